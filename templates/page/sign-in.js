// The link that `slipway up` prints carries the key as a fragment, which never leaves the browser.
"use strict";
function takeKey() {
  if (location.hash.length < 2) return;
  document.getElementById("key").value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("sign-in").requestSubmit();
}
takeKey();
// A link opened in a tab that shows this page already changes the fragment alone.
addEventListener("hashchange", takeKey);
