// Links carry secrets as fragments, which never leave the browser: the console key, or an invitation.
"use strict";
function takeKey() {
  if (location.hash.length < 2) return;
  const invitation = document.getElementById("secret");
  const field = invitation || document.getElementById("key");
  field.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  if (!invitation) document.getElementById("sign-in").requestSubmit();
}
takeKey();
// A link opened in a tab that shows this page already changes the fragment alone.
addEventListener("hashchange", takeKey);
