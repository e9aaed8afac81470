"""What each kind of source needs of its administrator: what it is called, what to paste where, which settings it has.

The connectors are in `triage.itsm`; this is what people are told of them. A kind without an entry gets a plain one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Words: TypeAlias = "str | Promise"


@dataclass(frozen=True)
class Setting:
    """One entry of a source's `settings`. `form`: `text`, `list` (one a line, or with commas) or a tuple of choices."""

    name: str
    label: Words
    help: Words = ""
    form: str | tuple[str, ...] = "text"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One kind in words. `steps` may hold `{url}`; `pastes` are (label, text with `{url}` and `{secret}`) to copy.

    `theirs`: the vendor makes the signing secret, and it is entered here. `signing`: `whsec` (32 bytes in
    base64) or `text`. `script`: a file under `docs/`.
    """

    name: str
    sentence: Words
    steps: tuple[Words, ...] = ()
    pastes: tuple[tuple[Words, str], ...] = ()
    script: str = ""
    theirs: bool = False
    signing: str = "text"
    credentials: tuple[str, ...] = ("basic", "bearer", "token", "oauth2_client")
    settings: tuple[Setting, ...] = ()
    channels: tuple[str, ...] = ("portal", "mail", "phone", "chat", "api", "monitoring")
    parts: tuple[str, ...] = ("company", "domain", "project", "organisation")
    pull_every: int = 300


API = Setting("api_url", _("Address of its API"), _("Its root, such as https://acme.example.org, without a path."))
OWN = Setting("own_user", _("Our own user there"), _("What it does is never taken for somebody else's change."))
GROUPS = Setting(
    "our_groups",
    _("Groups whose tickets are ours"),
    _("A ticket assigned to another group is left alone. Empty: every group is ours."),
    "list",
)
SETTLED = Setting(
    "settled_statuses",
    _("Statuses that mean finished"),
    _("Empty: solved, resolved, closed, done and their like."),
    "list",
)
COMMENTS = Setting(
    "comments",
    _("What may be written there"),
    _("Everybody who sees it reads our comments: none, only replies that a person wrote, or all."),
    ("none", "replies", "all"),
)
EXAMPLE = """import base64, hmac, json, os, time, urllib.request, uuid

secret = base64.b64decode(os.environ["TRIAGE_SECRET"].removeprefix("whsec_"))
ticket = {"external_id": "TEST-1", "subject": "Test: account locked", "body": "I cannot sign in.",
          "requester": "ada@example.org", "channel": "portal", "status": "new"}
body, key, at = json.dumps(ticket).encode(), f"msg_{uuid.uuid4().hex}", str(int(time.time()))
signed = hmac.digest(secret, f"{key}.{at}.".encode() + body, "sha256")
headers = {"Content-Type": "application/json", "webhook-id": key, "webhook-timestamp": at,
           "webhook-signature": "v1," + base64.b64encode(signed).decode()}
print(urllib.request.urlopen(urllib.request.Request("{url}", body, headers)).read().decode())
"""

VENDORS: Mapping[str, Vendor] = {
    "servicenow": Vendor(
        name="ServiceNow",
        sentence=_("Incidents, catalogue tasks and requested items, sent by a Business Rule that we ship."),
        steps=(
            _("System Properties (sys_properties.list): make the two below; the secret is of type password2."),
            _(
                "System Definition, Business Rules, New, global scope: table Incident, Advanced, when async, "
                "Insert and Update. Paste the script as it is; the same for Catalog Task and Requested Item, if used."
            ),
            _("Make or change an incident."),
        ),
        pastes=(("triage.webhook.url", "{url}"), ("triage.webhook.secret", "{secret}")),
        script="servicenow/business_rule.js",
        signing="whsec",
        credentials=("basic", "oauth2_client"),
        settings=(
            API,
            OWN,
            GROUPS,
            Setting("tables", _("Tables"), _("Empty: incident, sc_task and sc_req_item."), "list"),
            Setting("extra_fields", _("Further fields to read"), _("Such as u_host."), "list"),
            Setting("close_code", _("Close code of a solved incident"), _("One of the instance's own choices.")),
        ),
        channels=("portal", "mail", "phone", "chat", "monitoring"),
        parts=("company", "domain"),
    ),
    "jira": Vendor(
        name="Jira and Jira Service Management",
        sentence=_("Issues of Jira Cloud or Data Center, sent by a webhook of the site."),
        steps=(
            _("System, Webhooks, Create: the address and the secret below."),
            _(
                "Events: Issue created, updated, deleted; Comment created, updated. Leave the body in; "
                "narrow it by JQL, such as project = SD."
            ),
            _("Make or change an issue. Data Center signs from version 10 on; an older one is pulled only."),
        ),
        pastes=((_("Address"), "{url}"), (_("Secret"), "{secret}")),
        credentials=("basic", "bearer", "oauth2_client"),
        settings=(
            API,
            Setting("edition", _("Edition"), _("Where the address does not tell."), ("", "cloud", "data_center")),
            Setting("projects", _("Projects to pull"), _("Their keys, such as SD."), "list"),
            OWN,
            GROUPS,
            SETTLED,
            Setting("resolve_transition", _("Transition that solves an issue"), _("Empty: the best one into Done.")),
            Setting("resolution", _("Resolution of a solved issue")),
        ),
        channels=("portal", "mail", "api", "jira"),
        parts=("project", "organisation"),
    ),
    "zendesk": Vendor(
        name="Zendesk",
        sentence=_("Tickets of one account, sent by a webhook for ticket events."),
        steps=(
            _(
                "Apps and integrations, Webhooks, Create: connect it to Zendesk events, choose the ticket events, the "
                "address below, POST, JSON."
            ),
            _("Reveal its secret and enter it here."),
            _("Make a ticket. Zendesk's own “Test webhook” signs with a secret that everybody knows, and is refused."),
        ),
        pastes=((_("Address"), "{url}"),),
        theirs=True,
        credentials=("basic",),
        settings=(API, OWN, GROUPS),
        channels=("mail", "portal", "web", "phone", "chat", "api"),
        parts=("organisation",),
        pull_every=120,
    ),
    "freshservice": Vendor(
        name="Freshservice",
        sentence=_("Tickets of one account, sent by a workflow; the address must begin with https."),
        steps=(
            _(
                "Admin, Workflow Automator, New, Ticket: events Ticket is raised, Status is changed, Subject or "
                "description is changed."
            ),
            _(
                "Action Trigger webhook: POST, the address and the custom header below, encoding JSON, content Simple "
                "with id, subject, description, status, priority, source and requester's email."
            ),
            _("Make a ticket."),
        ),
        pastes=((_("Address"), "{url}"), (_("Custom header"), "X-Triage-Secret: {secret}")),
        credentials=("basic",),
        settings=(API, OWN, GROUPS, Setting("workspace_id", _("Workspace"), _("Its number; empty: all."))),
        channels=("mail", "portal", "phone", "chat"),
        parts=("organisation",),
        pull_every=120,
    ),
    "github": Vendor(
        name="GitHub issues",
        sentence=_("Issues of repositories on github.com or an Enterprise Server; pull requests are no tickets."),
        steps=(
            _(
                "In the repository or organisation: Settings, Webhooks, Add: the address and secret below, "
                "content type application/json."
            ),
            _("Events: Issues and Issue comments."),
            _("Make an issue. GitHub never sends a failed message again, so let Triage pull as well."),
        ),
        pastes=((_("Payload URL"), "{url}"), (_("Secret"), "{secret}")),
        credentials=("bearer",),
        settings=(
            Setting(
                "api_url", _("Address of its API"), _("https://api.github.com, or https://github.example.org/api/v3.")
            ),
            Setting("repositories", _("Repositories to pull"), _("As owner/name."), "list"),
            COMMENTS,
            Setting("resolved_label", _("Label of a closed issue")),
            OWN,
        ),
        channels=("github",),
        parts=("project", "organisation"),
    ),
    "roundup": Vendor(
        name="Roundup",
        sentence=_("Issues of a Roundup tracker (2.4 or newer), sent by a detector that we ship."),
        steps=(
            _("Copy the script below into the tracker's detectors/ folder as triage_detector.py."),
            _("Add the lines below to detectors/config.ini, and restart the tracker."),
            _("Make or change an issue."),
        ),
        pastes=(("detectors/config.ini", "[triage]\nurl = {url}\nsecret = {secret}"),),
        script="roundup/triage_detector.py",
        signing="whsec",
        credentials=("basic",),
        settings=(
            API,
            COMMENTS,
            Setting("resolved_status", _("Status of a solved issue"), _("Empty: resolved.")),
            OWN,
            SETTLED,
        ),
        channels=("roundup",),
        parts=("organisation",),
    ),
    "standard": Vendor(
        name="Standard Webhooks",
        sentence=_("Any system that can send signed JSON (standardwebhooks.com), and scripts that people write."),
        steps=(
            _("Send each ticket as JSON to the address below, signed with the secret as standardwebhooks.com says."),
            _("Or try it with the script below: put the secret into the variable TRIAGE_SECRET and start it."),
        ),
        pastes=((_("Address"), "{url}"), (_("A first message (Python)"), EXAMPLE)),
        signing="whsec",
        settings=(
            Setting("read_url", _("Address to read one ticket"), _("With {external_id} in it.")),
            Setting("pull_url", _("Address to pull changes"), _("With {since} and {cursor} in it.")),
            Setting("reply_url", _("Address that is told what became of a ticket")),
            OWN,
            GROUPS,
            SETTLED,
        ),
    ),
}


def vendor_of(kind: str) -> Vendor:
    """What people are told of a kind."""
    return VENDORS.get(kind) or Vendor(name=kind, sentence="", settings=(API, OWN, GROUPS, SETTLED))
