// Freshworks' proxy puts the token in: it is a secure installation parameter, and no browser sees it.
(async () => {
  "use strict";
  const why = document.getElementById("why");
  try {
    const client = await app.initialized();
    const [{ source }, { ticket }, { loggedInUser }] = await Promise.all([
      client.iparams.get("source"), client.data.get("ticket"), client.data.get("loggedInUser"),
    ]);
    const agent = loggedInUser.email || (loggedInUser.user && loggedInUser.user.email);
    const answer = await client.request.invokeTemplate("panelToken", {
      body: JSON.stringify({ source, ticket: String(ticket.display_id || ticket.id), agent }),
    });
    const panel = document.getElementById("panel");
    panel.src = JSON.parse(answer.response).url;
    panel.hidden = false;
  } catch (error) {
    let told = {};
    try { told = JSON.parse(error.response); } catch { /* the proxy's own words are for programs */ }
    why.textContent = told.detail || "Triage does not answer.";
  }
})();
