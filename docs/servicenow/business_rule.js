/*
 * Business Rule "Triage: send ticket" for ServiceNow (global scope).
 *
 *   Tables   Incident [incident], and if they are used: Catalog Task [sc_task], Requested Item [sc_req_item]
 *   When     async, on insert and update
 *   Needs    system properties  triage.webhook.url     https://triage.example.org/webhooks/<source>/
 *                               triage.webhook.secret  whsec_... (type "password2"), the signing secret of the source
 *
 * Each message is the whole record, signed by Standard Webhooks (https://www.standardwebhooks.com). RESTMessageV2 does
 * not try again: what is lost here, Triage finds when it pulls. Comments and work notes are never sent.
 * ES5, as the instance's engine wants it.
 */
(function executeRule(current, previous /* null when async */) {
    var FIELDS = [
        'sys_id', 'sys_class_name', 'number', 'short_description', 'description', 'state', 'priority', 'contact_type',
        'sla_due', 'sys_created_on', 'sys_updated_on', 'sys_updated_by', 'sys_mod_count', 'sys_domain', 'category',
        'subcategory', 'cmdb_ci', 'location', 'company', 'assignment_group'
    ];
    var PEOPLE = ['caller_id', 'requested_for', 'request_item.requested_for', 'request.requested_for', 'opened_by'];

    var url = String(gs.getProperty('triage.webhook.url', ''));
    var secret = String(gs.getProperty('triage.webhook.secret', ''));
    if (!url || secret.indexOf('whsec_') !== 0) {
        gs.warn('Triage: set the system properties triage.webhook.url and triage.webhook.secret');
        return;
    }

    function pair(record, name) {
        return { value: String(record.getValue(name) || ''), display_value: String(record.getDisplayValue(name) || '') };
    }

    /* A field of the person that a chain of references leads to, empty where the chain ends early. */
    function ofPerson(path, name) {
        var record = current;
        var steps = path.split('.');
        for (var i = 0; i < steps.length; i++) {
            if (!record.isValidField(steps[i]) || !record.getValue(steps[i])) {
                return '';
            }
            record = record.getElement(steps[i]).getRefRecord();
        }
        return record.isValidField(name) ? String(record.getValue(name) || '') : '';
    }

    /* When the first running SLA of the record ends; the platform has computed it. */
    function slaEnd() {
        var sla = new GlideRecord('task_sla');
        sla.addQuery('task', current.getUniqueValue());
        sla.addQuery('active', true);
        sla.addQuery('stage', 'in_progress');
        sla.orderBy('planned_end_time');
        sla.setLimit(1);
        sla.query();
        return sla.next() ? String(sla.getValue('planned_end_time') || '') : '';
    }

    /* ASCII only, so that the signed characters and the sent bytes are the same. */
    function ascii(text) {
        return text.replace(/[\u007f-\uffff]/g, function (letter) {
            return '\\u' + ('0000' + letter.charCodeAt(0).toString(16)).slice(-4);
        });
    }

    var record = {};
    var i;
    for (i = 0; i < FIELDS.length; i++) {
        if (current.isValidField(FIELDS[i])) {
            record[FIELDS[i]] = pair(current, FIELDS[i]);
        }
    }
    var elements = current.getElements();
    for (i = 0; i < elements.length; i++) {
        var name = String(elements[i].getName());
        if (name.indexOf('u_') === 0 && current.getValue(name)) {
            record[name] = pair(current, name);
        }
    }
    for (i = 0; i < PEOPLE.length; i++) {
        record[PEOPLE[i] + '.email'] = { value: ofPerson(PEOPLE[i], 'email') };
        record[PEOPLE[i] + '.user_name'] = { value: ofPerson(PEOPLE[i], 'user_name') };
    }
    record.task_sla = { value: slaEnd() };

    var body = ascii(JSON.stringify({ record: record }));
    var key = current.getUniqueValue() + '_' + current.getValue('sys_mod_count') + '_' +
        String(current.getValue('sys_updated_on')).replace(/[^0-9]/g, '');
    var seconds = String(Math.floor(new Date().getTime() / 1000));
    /* generateMac wants its key in base64, which is what stands after whsec_, and answers in base64 */
    var mac = new GlideCertificateEncryption().generateMac(secret.substring(6), 'HmacSHA256', key + '.' + seconds + '.' + body);

    var message = new sn_ws.RESTMessageV2();
    message.setEndpoint(url);
    message.setHttpMethod('POST');
    message.setHttpTimeout(10000);
    message.setRequestHeader('Content-Type', 'application/json');
    message.setRequestHeader('webhook-id', key);
    message.setRequestHeader('webhook-timestamp', seconds);
    message.setRequestHeader('webhook-signature', 'v1,' + mac);
    message.setRequestBody(body);
    try {
        var status = message.execute().getStatusCode();
        if (status !== 202) {
            gs.warn('Triage answered ' + status + ' for ' + current.getDisplayValue());
        }
    } catch (error) {
        gs.warn('Triage does not answer: ' + error);
    }
})(current, previous);
