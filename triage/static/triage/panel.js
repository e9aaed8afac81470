// The panel inside the ITSM: it trades the pass behind the address's # for one that lives in this page's memory alone.
(() => {
  "use strict";
  const RENEWED = "X-Panel-Pass";
  const place = document.getElementById("panel");
  const trouble = document.getElementById("trouble");
  const base = location.pathname;
  let pass = "";

  function say(text) {
    trouble.textContent = text;
    trouble.hidden = !text;
  }

  function close() {
    pass = "";
    place.replaceChildren(document.getElementById("closed").content.cloneNode(true));
    place.removeAttribute("aria-busy");
  }

  async function enter() {
    const launch = new URLSearchParams(location.hash.slice(1)).get("pass");
    history.replaceState(null, "", base); // neither history nor a copied address keeps it
    if (!launch) { close(); return; }
    let answer;
    try {
      answer = await fetch(`${base}enter/`, {
        method: "POST", headers: { Authorization: `Bearer ${launch}` }, credentials: "omit", cache: "no-store", redirect: "error",
      });
    } catch {
      say(document.getElementById("silent").innerHTML);
      return;
    }
    if (!answer.ok) { close(); return; }
    const told = await answer.json();
    pass = answer.headers.get(RENEWED);
    document.documentElement.lang = told.language;
    if (told.theme) document.documentElement.dataset.theme = told.theme;
    place.removeAttribute("aria-busy");
    htmx.ajax("GET", `${base}state/`, { target: "#panel" });
  }

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers.Authorization = `Bearer ${pass}`;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!pass || (document.hidden && event.target.matches("[data-live]"))) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    const next = xhr.getResponseHeader(RENEWED);
    if (next) pass = next;
    say("");
    if (xhr.status === 401) { event.detail.target = place; pass = ""; }
    // refusals come as a panel that says why
    if ([401, 403, 404, 409].includes(xhr.status)) { event.detail.shouldSwap = true; event.detail.isError = false; }
  });
  document.addEventListener("htmx:sendError", () => say(document.getElementById("silent").innerHTML));
  document.addEventListener("htmx:timeout", () => say(document.getElementById("silent").innerHTML));
  window.addEventListener("hashchange", enter);
  enter();
})();
