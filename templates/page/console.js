// Keeps a page up to date: moments, the lists, and a deployment's state and log. Everything is readable without it.
"use strict";
const MAX_LINES = 10000;

function ago(seconds) {
  if (seconds < 5) return "just now";
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => seconds >= size);
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

function duration(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function tellTime() {
  const now = Date.now();
  for (const node of document.querySelectorAll("time[data-ago]")) {
    const seconds = (now - Date.parse(node.dateTime)) / 1000;
    if (seconds < 30 * 86400) node.textContent = ago(seconds);
  }
  for (const node of document.querySelectorAll("[data-since]")) {
    node.textContent = duration((now - Date.parse(node.dataset.since)) / 1000);
  }
}

async function replace(node, url, part) {
  const answer = await fetch(url, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return false;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const source = part ? fresh.querySelector(part) : fresh.body;
  // What somebody types or has opened stays.
  if (!source || node.contains(document.activeElement) || node.querySelector("details[open]")) return false;
  if (part) for (const name of source.getAttributeNames()) node.setAttribute(name, source.getAttribute(name));
  node.replaceChildren(...source.childNodes);
  tellTime();
  return true;
}

function keepFresh(node) {
  setTimeout(async () => {
    if (!document.hidden) await replace(node, location.href, "#fresh").catch(() => false);
    keepFresh(node);
  }, Number(node.dataset.refresh) * 1000);
}

function lineNode(line) {
  const node = document.createElement("div");
  node.className = `line ${["stdout", "stderr"].includes(line.stream) ? line.stream : "slipway"}`;
  node.id = `L${line.n}`;
  const number = document.createElement("a");
  number.href = `#L${line.n}`;
  number.title = line.at || "";
  number.textContent = line.n;
  const text = document.createElement("span");
  text.textContent = line.text;
  node.append(number, text);
  return node;
}

function stepNode(step) {
  const node = document.createElement("div");
  node.className = "step-mark";
  node.textContent = step;
  return node;
}

function followLog(log) {
  const follow = document.getElementById("follow");
  const connection = document.getElementById("connection");
  const standing = document.getElementById("standing");
  const spoken = document.getElementById("spoken");
  let step = [...log.querySelectorAll(".step-mark")].pop()?.textContent || "";
  let last = Number(log.dataset.last);
  let state = "";
  let waiting = [];
  let following = !location.hash.startsWith("#L");

  const toBottom = () => { log.scrollTop = log.scrollHeight; };
  const showFollow = () => { follow.hidden = following; };
  log.addEventListener("scroll", () => {
    following = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    showFollow();
  });
  follow.addEventListener("click", () => { following = true; toBottom(); showFollow(); });
  if (following) toBottom();
  showFollow();

  const flush = () => {
    const fragment = document.createDocumentFragment();
    for (const line of waiting) {
      if (line.step && line.step !== step) fragment.append(stepNode(step = line.step));
      fragment.append(lineNode(line));
    }
    waiting = [];
    document.getElementById("empty")?.remove();
    log.append(fragment);
    while (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
    if (following) toBottom();
  };

  let refreshing = null;
  const refresh = () => {
    clearTimeout(refreshing);
    refreshing = setTimeout(async () => {
      const done = await replace(standing, standing.dataset.url).catch(() => false);
      if (!done) refreshing = setTimeout(refresh, 2000);
      if (following) toBottom();
    }, 100);
  };

  const source = new EventSource(`${log.dataset.stream}?after=${last}`);
  connection.textContent = "connecting";
  source.onopen = () => { connection.textContent = "live"; connection.className = "live"; };
  source.onerror = () => {
    connection.className = "quiet-text";
    connection.textContent = source.readyState === EventSource.CLOSED ? "disconnected: reload the page" : "reconnecting";
  };
  source.onmessage = (event) => {
    const frame = JSON.parse(event.data);
    if (frame.type === "log") {
      if (frame.n <= last) return;
      last = frame.n;
      if (!waiting.length) requestAnimationFrame(flush);
      waiting.push(frame);
      return;
    }
    refresh();
    if (frame.status !== state) {
      if (state) spoken.textContent = `The deployment is now ${frame.status}.`;
      state = frame.status;
      document.title = document.title.replace(/^(DEP-\d+) \w+/, `$1 ${state}`);
    }
    if (frame.type === "done") {
      source.close();
      connection.className = "quiet-text";
      connection.textContent = "";
    }
  };
}

// A second click must not ask for the same twice.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button) setTimeout(() => { button.disabled = true; });
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});
// What was said once is not said again by a reload.
if (/[?&]said=/.test(location.search)) {
  const kept = new URLSearchParams(location.search);
  kept.delete("said");
  history.replaceState(null, "", location.pathname + (`${kept}` ? `?${kept}` : "") + location.hash);
}

setInterval(tellTime, 1000);
const log = document.getElementById("log");
if (log?.dataset.stream) followLog(log);
const fresh = document.getElementById("fresh");
if (fresh && !document.querySelector("[data-refused]")) keepFresh(fresh);
