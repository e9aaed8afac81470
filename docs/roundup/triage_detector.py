"""Roundup detector: tells Triage of every new and changed issue, signed as Standard Webhooks ask.

Copy it into the tracker's detectors/ folder and write into detectors/config.ini there:

    [triage]
    url = https://triage.example.org/webhooks/roundup/
    secret = whsec_...

It posts after the change is committed, from a thread of its own: nobody at the tracker waits for Triage. What it could
not deliver in three tries is found when Triage pulls.
"""

import base64
import hashlib
import hmac
import http.client
import json
import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from urllib.parse import urlsplit

log = logging.getLogger("roundup.triage")
TRIES = 3
TIMEOUT = 10


def init(db):
    """Roundup calls this when it opens the tracker."""
    try:
        complete = db.config.detectors["TRIAGE_URL"] and db.config.detectors["TRIAGE_SECRET"]
    except KeyError:
        complete = False
    if not complete:
        log.error("detectors/config.ini has no url and secret under [triage]: Triage is told nothing")
        return
    db.issue.react("create", tell)
    db.issue.react("set", tell)


def tell(db, cl, nodeid, oldvalues):  # noqa: ARG001 - the arguments that Roundup hands over
    """Once the change is in the database, tell Triage how the issue stands."""
    try:
        body = json.dumps(issue(db, nodeid)).encode()
    except (AttributeError, KeyError, ValueError):
        # an exception here would keep people from filing issues
        log.exception("issue%s was not told to Triage; is this the classic schema?", nodeid)
        return
    options = db.config.detectors
    # what stands here is called after the commit, and forgotten on a rollback
    db.transactions.append((send, (options["TRIAGE_URL"], options["TRIAGE_SECRET"], body)))


def issue(db, nodeid):
    """The issue as Triage's standard payload; its first message is the text, later ones are conversation."""
    row = db.issue.getnode(nodeid)
    messages = sorted(row.messages, key=int)
    creator = db.user.getnode(row.creator)
    return {
        "external_id": f"issue{nodeid}",
        "subject": row.title or "",
        "body": db.msg.get(messages[0], "content") if messages else "",
        "requester": creator.address or creator.username,
        "channel": "roundup",
        "status": db.status.get(row.status, "name") if row.status else None,
        "priority": db.priority.get(row.priority, "name") if row.priority else None,
        "created_at": moment(row.creation),
        "updated_at": moment(row.activity),
        "fields": {
            "assignee": db.user.get(row.assignedto, "username") if row.assignedto else "",
            "creator_organisation": creator.organisation or "",
            "updated_by": db.user.get(db.getuid(), "username"),
        },
    }


def moment(date):
    """Whole seconds, as the REST API tells them."""
    return datetime.fromtimestamp(int(date.timestamp()), UTC).isoformat()


def send(url, secret, body):
    """Post from a thread of its own."""
    threading.Thread(target=post, args=(url, secret, body), daemon=True).start()


def post(url, secret, body):
    """Post the message under one id, again where nobody answered or where Triage asks for patience."""
    key = f"msg_{uuid.uuid4().hex}"
    for attempt in range(TRIES):
        time.sleep(attempt**2)
        try:
            status = posted(url, headers(secret, key, body), body)
        except (OSError, http.client.HTTPException) as error:
            log.warning("Triage was not told: %s", error)
            continue
        if status < 500 and status != 429:
            if status >= 300:
                log.error("Triage refused a message with %s; compare url and secret", status)
            return
        log.warning("Triage answered %s", status)


def posted(url, signed, body):
    """The status of the answer."""
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.netloc, timeout=TIMEOUT)
    try:
        connection.request("POST", place.path, body=body, headers=signed)
        return connection.getresponse().status
    finally:
        connection.close()


def headers(secret, key, body):
    """The three headers of https://www.standardwebhooks.com, signed just now."""
    stamp = str(int(time.time()))
    signing = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(signing, f"{key}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": key,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
