// The queue while somebody works in it: choosing rows, groups that open, and rows that change where they stand.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const keysOn = () => localStorage.getItem("triage-keys") !== "off";
  const typing = (el) => el.matches("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=button], [type=submit])");
  const busy = () => document.querySelector("dialog[open], [popover]:popover-open");
  const picked = new Set();
  let last = null;
  let stamp = "";
  let focused = "";
  let prefix = "";

  function tell() {
    const count = document.getElementById("picked-count");
    const bar = document.getElementById("pick");
    const number = all("[data-pick]:checked").length;
    if (count) count.textContent = number ? count.dataset.some.replace("#", number) : count.dataset.none;
    if (bar) { bar.hidden = !number; document.body.classList.toggle("picking", number > 0); }
    all("[data-row]").forEach((row) => row.classList.toggle("chosen", Boolean(row.querySelector("[data-pick]:checked"))));
  }

  function pick(box, on) {
    box.checked = on;
    if (on) picked.add(box.value); else picked.delete(box.value);
  }

  // from the box chosen before to this one
  function range(box) {
    const boxes = all("[data-pick]:not(:disabled)");
    const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
    if (from >= 0) boxes.slice(from, to + 1).forEach((one) => pick(one, box.checked));
  }

  document.addEventListener("click", (event) => {
    const box = event.target.closest("[data-pick]");
    if (box) {
      pick(box, box.checked);
      if (event.shiftKey && last && last !== box) range(box);
      last = box;
      tell();
    }
    const group = event.target.closest("[data-group]");
    if (group) toggle(group, event);
    if (event.target.closest("[data-unpick]")) { all("[data-pick]").forEach((one) => pick(one, false)); tell(); }
  });

  // the list is asked for once; after that the link opens and shuts it
  function toggle(group, event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const list = document.getElementById(group.getAttribute("aria-controls"));
    if (list.childElementCount) event.stopImmediatePropagation();
    event.preventDefault();
    list.hidden = group.getAttribute("aria-expanded") === "true";
    group.setAttribute("aria-expanded", String(!list.hidden));
  }

  document.addEventListener("change", (event) => {
    const { target } = event;
    if (target.name === "article") { const one = document.querySelector("[name=verdict][value=article]"); if (one) one.checked = true; }
    if (target.matches("[data-words]") && target.checked) document.getElementById("words").focus();
  });

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const going = prefix === "g";
    prefix = key;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.keyCode === 229) return;
    if (event.repeat || going) return; // after g a letter goes to another page
    if (!keysOn() || typing(target) || busy()) return;
    const row = target.closest("[data-row]");
    if (row && (key === "x" || key === "X")) {
      const box = row.querySelector("[data-pick]");
      if (!box) return;
      event.preventDefault();
      pick(box, !box.checked);
      if (key === "X" && last && last !== box) range(box);
      last = box;
      tell();
    }
    const group = row && key === "o" && row.querySelector("[data-group]");
    if (group) { event.preventDefault(); group.click(); }
    const words = key === "n" && document.querySelector("[data-words]");
    if (words) { event.preventDefault(); event.stopImmediatePropagation(); words.click(); document.getElementById("words").focus(); }
  }, true);

  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.target.matches("[data-poll]")) return;
    event.detail.parameters.shown = all("[data-row]").map((row) => `${row.dataset.row}.${row.dataset.version}`).join(",");
    if (stamp) event.detail.headers["If-None-Match"] = stamp;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.matches("[data-poll]")) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (!event.detail.requestConfig.elt.matches("[data-poll]")) return;
    if (xhr.status === 304) event.detail.shouldSwap = false;
    else stamp = xhr.getResponseHeader("ETag") || "";
  });
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    focused = event.detail.target.contains(document.activeElement) ? document.activeElement.id || "row" : "";
    const open = event.detail.target.querySelector("[aria-expanded=true]");
    // an open group stays as it is read; its number follows when it is shut
    if (open && event.detail.target.matches("[data-row]")) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    restore();
    const again = focused && (document.getElementById(focused) || event.detail.target.querySelector("[data-item]"));
    if (again) again.focus({ preventScroll: true });
    focused = "";
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!event.target.matches("[data-live]")) return;
    stamp = "";
    document.getElementById("news").replaceChildren();
    restore();
    const first = document.querySelector("[data-list] [data-item]");
    if (first && (document.activeElement === document.body || !document.activeElement)) first.focus();
  });
  // with nothing under the agent's hand new tickets need no asking
  document.addEventListener("htmx:afterSettle", () => {
    const fresh = document.querySelector("[data-fresh]");
    if (fresh && !document.querySelector("[data-row]") && !fresh.dataset.asked) { fresh.dataset.asked = "yes"; fresh.click(); }
  });

  function restore() {
    all("[data-row] [data-pick]").forEach((box) => { box.checked = picked.has(box.value); });
    tell();
  }

  // going back in the browser brings ticked boxes back
  window.addEventListener("pageshow", () => { all("[data-pick]:checked").forEach((box) => picked.add(box.value)); tell(); });
  tell();
})();
