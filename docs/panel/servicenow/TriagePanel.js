/*
 * Script Include "TriagePanel" for ServiceNow (global scope), client callable.
 *
 *   Needs   system properties  triage.panel.url     https://triage.example.org/api/panel-tokens/
 *                              triage.panel.source  the short name of the source in Triage
 *                              triage.panel.token   an API token of the scope "panel" (type "password2")
 *
 * The form asks it for the panel's address. Who sits there is what the instance knows, not what the browser says; and
 * the record is read with the agent's own rights first. The token stays on the server.
 * ES5, as the instance's engine wants it.
 */
var TriagePanel = Class.create();
TriagePanel.prototype = Object.extendsObject(AbstractAjaxProcessor, {
    TABLES: ['incident', 'sc_task', 'sc_req_item'],

    /* {"url": ...} for the iframe, or {"why": ...} in a sentence. */
    address: function () {
        var table = String(this.getParameter('sysparm_table') || '');
        var id = String(this.getParameter('sysparm_id') || '');
        if (this.TABLES.indexOf(table) < 0 || !/^[0-9a-f]{32}$/.test(id)) {
            return JSON.stringify({ why: 'Triage shows no panel for this kind of record.' });
        }
        var record = new GlideRecordSecure(table);
        if (!record.get(id)) {
            return JSON.stringify({ why: 'You may not read this record.' });
        }
        return JSON.stringify(this._asked(id, String(gs.getUser().getEmail() || gs.getUserName())));
    },

    _asked: function (id, agent) {
        var request = new RESTMessageV2();
        request.setEndpoint(String(gs.getProperty('triage.panel.url', '')));
        request.setHttpMethod('POST');
        request.setHttpTimeout(10000);
        request.setRequestHeader('Content-Type', 'application/json');
        request.setRequestHeader('Authorization', 'Bearer ' + gs.getProperty('triage.panel.token', ''));
        request.setRequestBody(JSON.stringify({
            source: String(gs.getProperty('triage.panel.source', '')), ticket: id, agent: agent
        }));
        try {
            var answer = request.execute();
            var told = JSON.parse(answer.getBody());
            if (answer.getStatusCode() === 201) {
                return { url: told.url };
            }
            gs.warn('Triage: no panel: ' + answer.getStatusCode() + ' ' + told.detail);
            return { why: String(told.detail || 'Triage refused.') };
        } catch (error) {
            gs.warn('Triage: no panel: ' + error);
            return { why: 'Triage does not answer.' };
        }
    },

    type: 'TriagePanel'
});
