// As much of the ServiceNow platform as the Business Rule uses; prints the message that it sends as JSON.
const crypto = require("node:crypto");
const fs = require("node:fs");
const vm = require("node:vm");

const given = JSON.parse(fs.readFileSync(0, "utf8"));
const sent = { headers: {} };
const warnings = [];

function glide(row) {
    return {
        getValue: (name) => (row[name] === undefined ? null : row[name]),
        getDisplayValue: (name) => (name === undefined ? row.number : given.shown[name] || row[name] || ""),
        isValidField: (name) => name in row,
        getUniqueValue: () => row.sys_id,
        getElements: () => Object.keys(row).map((name) => ({ getName: () => name })),
        getElement: (name) => ({ getRefRecord: () => glide(given.people[row[name]] || {}) }),
    };
}

class GlideRecord {
    constructor(table) {
        this.rows = given[table] || [];
    }
    addQuery(name, value) {
        this.rows = this.rows.filter((row) => String(row[name]) === String(value));
    }
    orderBy(name) {
        this.rows = [...this.rows].sort((one, other) => (one[name] < other[name] ? -1 : 1));
    }
    setLimit(count) {
        this.rows = this.rows.slice(0, count);
    }
    query() {}
    next() {
        this.row = this.rows.shift();
        return this.row !== undefined;
    }
    getValue(name) {
        return this.row[name];
    }
}

class GlideCertificateEncryption {
    generateMac(key, algorithm, data) {
        if (algorithm !== "HmacSHA256") throw new Error(algorithm);
        return crypto.createHmac("sha256", Buffer.from(key, "base64")).update(data, "utf8").digest("base64");
    }
}

class RESTMessageV2 {
    setEndpoint(url) { sent.url = url; }
    setHttpMethod(method) { sent.method = method; }
    setHttpTimeout() {}
    setRequestHeader(name, value) { sent.headers[name.toLowerCase()] = value; }
    setRequestBody(body) { sent.body = body; }
    execute() {
        if (given.fails) throw new Error("timed out");
        return { getStatusCode: () => 202 };
    }
}

const platform = {
    current: glide(given.row),
    previous: null,
    gs: {
        getProperty: (name, otherwise) => (given.properties[name] === undefined ? otherwise : given.properties[name]),
        warn: (text) => warnings.push(text),
    },
    GlideRecord,
    GlideCertificateEncryption,
    sn_ws: { RESTMessageV2 },
};
vm.runInNewContext(fs.readFileSync(process.argv[2], "utf8"), platform);
console.log(JSON.stringify({ ...sent, warnings }));
