// As much of each ITSM's platform as its panel's script uses. Standard input: {"kind", "scripts", ...}; standard output:
// what was sent to Triage, and what the agent then sees.
const fs = require("node:fs");
const vm = require("node:vm");

const given = JSON.parse(fs.readFileSync(0, "utf8"));
const seen = { sent: [], src: null, hidden: true, why: "", warnings: [] };
const nodes = {
    why: { set textContent(text) { seen.why = text; } },
    panel: { set src(url) { seen.src = url; }, set hidden(yes) { seen.hidden = yes; } },
};
nodes.triage_panel = nodes.panel;
nodes.triage_panel_why = nodes.why;
const document = { getElementById: (id) => nodes[id] };
const answers = (asked) => { seen.sent.push(asked); return { status: given.status, body: JSON.stringify(given.answer) }; };
const script = (place) => fs.readFileSync(given.scripts[place], "utf8");
const later = () => new Promise((resolve) => setTimeout(resolve, 20));

async function servicenow() {
    class RESTMessageV2 {
        constructor() { this.asked = { headers: {} }; }
        setEndpoint(url) { this.asked.url = url; }
        setHttpMethod(method) { this.asked.method = method; }
        setHttpTimeout() {}
        setRequestHeader(name, value) { this.asked.headers[name] = value; }
        setRequestBody(body) { this.asked.body = body; }
        execute() {
            if (given.silent) throw new Error("timed out");
            const answer = answers(this.asked);
            return { getStatusCode: () => answer.status, getBody: () => answer.body };
        }
    }
    const server = {
        Class: { create: () => function () {} },
        AbstractAjaxProcessor: { getParameter(name) { return given.parameters[name]; } },
        RESTMessageV2,
        GlideRecordSecure: class { get(id) { return given.readable.includes(id); } },
        gs: {
            getProperty: (name) => given.properties[name],
            getUser: () => ({ getEmail: () => given.agent }),
            getUserName: () => "bea",
            warn: (text) => seen.warnings.push(text),
        },
    };
    server.Object = { extendsObject: (parent, own) => ({ ...parent, ...own }) };
    vm.runInNewContext(script(0), server);
    const told = vm.runInNewContext("new TriagePanel().address()", server);
    vm.runInNewContext(given.macro, {
        document,
        addAfterPageLoadedEvent: (act) => act(),
        g_form: { getTableName: () => "incident", getUniqueValue: () => given.parameters.sysparm_id },
        GlideAjax: class { addParam() {} getXMLAnswer(act) { act(told); } },
    });
}

async function zendesk() {
    vm.runInNewContext(script(0), {
        document,
        ZAFClient: {
            init: () => ({
                metadata: async () => ({ settings: { address: "https://triage.example.org", source: "vendor" } }),
                get: async () => ({ "ticket.id": 35436, "currentUser.email": given.agent }),
                invoke() {},
                request: async (asked) => {
                    const token = (text) => text.replace("{{setting.token}}", given.token);
                    const headers = { ...asked.headers, Authorization: token(asked.headers.Authorization) };
                    const answer = answers({ url: asked.url, method: asked.type, headers: { ...headers, "Content-Type": asked.contentType }, body: asked.data, secure: asked.secure });
                    if (answer.status !== 201) throw { responseJSON: given.answer };
                    return given.answer;
                },
            }),
        },
    });
    await later();
}

async function freshservice() {
    const template = JSON.parse(script(1)).panelToken.schema;
    const filled = (text) => text.replace("<%= iparam.host %>", "triage.example.org").replace("<%= iparam.token %>", given.token);
    vm.runInNewContext(script(0), {
        document,
        app: {
            initialized: async () => ({
                iparams: { get: async () => ({ source: "vendor" }) },
                data: { get: async (name) => (name === "ticket" ? { ticket: { id: 9, display_id: 264 } } : { loggedInUser: { email: given.agent } }) },
                request: {
                    invokeTemplate: async (name, { body }) => {
                        if (name !== "panelToken") throw new Error(name);
                        const headers = Object.fromEntries(Object.entries(template.headers).map(([key, value]) => [key, filled(value)]));
                        const url = `${template.protocol}://${filled(template.host)}${template.path}`;
                        const answer = answers({ url, method: template.method, headers, body });
                        if (answer.status !== 201) throw { response: answer.body };
                        return { response: answer.body };
                    },
                },
            }),
        },
    });
    await later();
}

// imports are the bundler's and the platform's matter: here they are names of the context
const bare = (text) => text.replace(/^import .*$/gm, "").replace(/^export const /gm, "const ");

async function jira() {
    const made = {};
    const server = {
        process: { env: { TRIAGE_URL: "https://triage.example.org", TRIAGE_SOURCE: "vendor", TRIAGE_TOKEN: given.token } },
        api: { asUser: () => ({ requestJira: async () => ({ json: async () => ({ emailAddress: given.agent }) }) }) },
        route: (text) => text[0],
        fetch: async (url, { method, headers, body }) => {
            const answer = answers({ url, method, headers, body });
            return { status: answer.status, json: async () => JSON.parse(answer.body) };
        },
        Resolver: class { define(name, act) { made[name] = act; } getDefinitions() { return made; } },
    };
    vm.runInNewContext(bare(script(0)), server);
    const context = { accountId: "557058:1", extension: { issue: { id: "10002", key: "SD-7" } } };
    vm.runInNewContext(bare(script(1)), { document, invoke: (name) => made[name]({ context }) });
    await later();
}

({ servicenow, zendesk, freshservice, jira })[given.kind]().then(() => process.stdout.write(JSON.stringify(seen)));
