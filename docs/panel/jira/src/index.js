// Runs on Atlassian's servers: who looks at which issue is what Jira says, and the token is an encrypted variable.
//   forge variables set --encrypt TRIAGE_TOKEN triage_...
//   forge variables set TRIAGE_URL https://triage.example.org
//   forge variables set TRIAGE_SOURCE jira
import api, { fetch, route } from "@forge/api";
import Resolver from "@forge/resolver";

const resolver = new Resolver();

resolver.define("address", async ({ context }) => {
  const { TRIAGE_URL, TRIAGE_SOURCE, TRIAGE_TOKEN } = process.env;
  const me = await (await api.asUser().requestJira(route`/rest/api/3/myself`)).json();
  const answer = await fetch(`${TRIAGE_URL}/api/panel-tokens/`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TRIAGE_TOKEN}` },
    body: JSON.stringify({
      source: TRIAGE_SOURCE,
      ticket: context.extension.issue.key,
      agent: me.emailAddress || context.accountId,
    }),
  });
  const told = await answer.json();
  return answer.status === 201 ? { url: told.url } : { why: told.detail || "Triage refused." };
});

export const handler = resolver.getDefinitions();
