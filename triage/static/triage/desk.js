// Keys and small manners of the desk. Everything works without it; with it, without a mouse.
(() => {
  "use strict";
  const GO = { q: "/", a: "/approvals/", r: "/runs/", o: "/overview/" };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const visible = (el) => el.checkVisibility ? el.checkVisibility() : el.offsetParent !== null;
  const usable = (el) => visible(el) && !el.matches(":disabled");
  const keysOn = () => localStorage.getItem("triage-keys") !== "off";
  const open = () => document.querySelector("dialog[open], [popover]:popover-open");
  const typing = (el) => el.matches("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=button], [type=submit])");
  let prefix = "";
  let selected = 0;
  let wanted = false;
  let unfolded = [];

  function items() { return all("[data-list] [data-item]").filter(usable); }

  function move(step) {
    const list = items();
    if (!list.length) return;
    const here = list.indexOf(document.activeElement);
    const checked = list.findIndex((el) => el.checked);
    const from = here >= 0 ? here : checked >= 0 ? checked : step > 0 ? -1 : list.length;
    choose(list[Math.max(0, Math.min(list.length - 1, from + step))]);
  }

  function choose(el) {
    el.focus();
    if (el.type === "radio" && !el.checked) el.click();
    el.scrollIntoView({ block: "nearest" });
  }

  // Enter may come before the answer to the last letters: then the first result is taken as soon as it is there
  function takeFirst(search) {
    const shown = document.querySelector("#results [data-q]");
    wanted = !shown || shown.dataset.q !== search.value.trim();
    const first = document.querySelector("#results [data-item]");
    if (!wanted && first) choose(first);
  }

  function act(el) {
    if (el.matches("input:not([type=submit], [type=button]), select, textarea")) {
      const group = el.type === "radio" ? document.querySelector(`[name="${el.name}"]:checked`) : null;
      (group || el).focus();
      if (el.type === "search") el.select();
    } else el.click();
  }

  function digit(key) {
    const el = all(`[data-number="${key}"]`).find(usable);
    if (!el) return false;
    if (el.checked && document.activeElement === el) el.form.requestSubmit();
    else choose(el);
    return true;
  }

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    // 229: Safari reports the Enter that ends a composition as a key of its own
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.keyCode === 229) return;
    // a key that is held down moves, but it decides nothing
    if (event.repeat && !typing(target) && /^(Enter|[^jk ])$/.test(key)) { event.preventDefault(); return; }
    if (typing(target)) {
      if (key === "Enter" && target.matches("[data-no-enter]")) event.preventDefault();
      if (key === "Escape" && !open()) target.blur();
      if (target.matches("[data-search]") && (key === "Enter" || key === "ArrowDown")) {
        event.preventDefault();
        takeFirst(target);
      }
      return;
    }
    if (!keysOn() && key !== "Escape") return;
    if (open()) return;
    if (prefix === "g") {
      prefix = "";
      if (GO[key]) { event.preventDefault(); location.assign(GO[key]); return; }
    }
    if (key === "g") { prefix = "g"; setTimeout(() => { prefix = ""; }, 1200); return; }
    if (key === "j" || (key === "ArrowDown" && target.matches("a[data-item]"))) { event.preventDefault(); move(1); return; }
    if (key === "k" || (key === "ArrowUp" && target.matches("a[data-item]"))) { event.preventDefault(); move(-1); return; }
    if (/^[1-9]$/.test(key) && digit(key)) { event.preventDefault(); return; }
    const el = all("[data-key]").find((candidate) => candidate.dataset.key === key && usable(candidate));
    if (el) { event.preventDefault(); act(el); }
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog).showModal();
    const closer = event.target.closest("[data-close]");
    if (closer) { const dialog = closer.closest("dialog"); if (dialog) dialog.close(); else history.back(); }
    const copier = event.target.closest("[data-copy]");
    if (copier && navigator.clipboard) {
      navigator.clipboard.writeText(document.getElementById(copier.dataset.copy).textContent).then(() => { copier.dataset.copied = "yes"; });
    }
    const toggle = event.target.closest("[data-switch-keys]");
    if (toggle) { localStorage.setItem("triage-keys", keysOn() ? "off" : "on"); showSwitch(); }
  });

  // one verdict a click: a second press while the first is on its way would meet a decided ticket
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-once]") || (event.submitter && event.submitter.matches("[data-many]"))) return;
    if (event.target.dataset.sent) event.preventDefault();
    else event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => all("[data-sent]").forEach((form) => { delete form.dataset.sent; }));

  function showSwitch() {
    all("[data-switch-keys]").forEach((el) => {
      el.setAttribute("aria-pressed", String(keysOn()));
      el.textContent = keysOn() ? el.dataset.on : el.dataset.off;
    });
  }

  function trouble(text) {
    const el = document.getElementById("trouble");
    el.textContent = text;
    el.hidden = !text;
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.matches("[data-live]")) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.matches("[data-live]")) selected = items().indexOf(document.activeElement);
    unfolded = all("details[open][id]", event.target).map((el) => el.id);
    // a late answer must not take away the article that was just chosen
    if (event.target.id === "results" && event.target.contains(document.activeElement)) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "confirm" && !event.target.open) event.target.showModal();
    // what somebody unfolded stays so when the part around it is drawn anew
    unfolded.forEach((id) => { const el = document.getElementById(id); if (el) el.open = true; });
    const list = event.target.matches("[data-live]") && selected >= 0 ? items() : [];
    // the ticket under the cursor was decided by somebody else: its place keeps the cursor
    if (list.length && !list.includes(document.activeElement)) list[Math.min(selected, list.length - 1)].focus();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "results" && wanted) takeFirst(document.querySelector("[data-search]"));
  });
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) trouble(""); });
  const words = document.getElementById("trouble").dataset; // in the person's language
  document.addEventListener("htmx:sendError", () => trouble(words.silent));
  document.addEventListener("htmx:responseError", (event) => trouble(words.refused.replace("#", event.detail.xhr.status)));

  all("[data-vanish]").forEach((el) => setTimeout(() => el.remove(), Number(el.dataset.vanish)));
  showSwitch();
  // on a phone the pages are a strip: the one that is open is in sight
  document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
})();
