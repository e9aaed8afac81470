import { invoke } from "@forge/bridge";

const why = document.getElementById("why");
invoke("address").then((told) => {
  const panel = document.getElementById("panel");
  why.textContent = told.why || "";
  if (!told.url) return;
  panel.src = told.url;
  panel.hidden = false;
}, () => { why.textContent = "Triage does not answer."; });
