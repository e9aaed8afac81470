"""Every kind of notification: who hears of it, whether by mail unless they choose otherwise, and its event's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Audience(Enum):
    """Who hears of it. Where nobody is found, the customer's administrators, then the provider's."""

    OWNER = "the runbook's owner"
    APPROVERS = "approvers"
    STEWARDS = "model stewards"
    ADMINS = "administrators"
    EVERYONE = "approvers, model stewards and administrators"
    PROVIDER = "the provider's administrators"
    NOBODY = "nobody by mail"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`words`: on the page of choices. `blind`: said of a ticket drawn for a blind answer, with no runbook in it."""

    words: str
    audience: Audience
    mail: bool
    event: str
    blind: str = ""
    desk: bool = True


RUN_ENDED = "a run for it has ended"
DECIDED = "ticket_decided"
KINDS: Mapping[str, Kind] = {
    "approval_waiting": Kind(
        words="A run waits for approval",
        audience=Audience.APPROVERS,
        mail=True,
        event="approval.needed",
        blind="a run for it waits for approval",
    ),
    "run_unknown": Kind(
        words="Nobody knows whether a run happened",
        audience=Audience.OWNER,
        mail=True,
        event="run.unknown",
        blind="nobody knows whether a run for it happened",
    ),
    "run_undo_failed": Kind(
        words="A run failed, and so did its undoing",
        audience=Audience.OWNER,
        mail=True,
        event="run.finished",
        blind=RUN_ENDED,
    ),
    "run_failed": Kind(
        words="A run failed", audience=Audience.OWNER, mail=False, event="run.finished", blind=RUN_ENDED
    ),
    "run_undone": Kind(
        words="A run was undone", audience=Audience.OWNER, mail=False, event="run.finished", blind=RUN_ENDED
    ),
    "run_succeeded": Kind(
        words="A run succeeded",
        audience=Audience.NOBODY,
        mail=False,
        event="run.finished",
        blind=RUN_ENDED,
        desk=False,
    ),
    "circuit_open": Kind(
        words="A runbook no longer starts: too many runs went wrong",
        audience=Audience.OWNER,
        mail=True,
        event="circuit.open",
    ),
    "certificate_revoked": Kind(
        words="A certificate was revoked", audience=Audience.STEWARDS, mail=True, event="certificate.revoked"
    ),
    "certificate_expires": Kind(
        words="A certificate expires within 14 days",
        audience=Audience.STEWARDS,
        mail=True,
        event="certificate.expires",
    ),
    "verification_contradicts": Kind(
        words="A blind check contradicts a run",
        audience=Audience.STEWARDS,
        mail=True,
        event="verification.contradicts",
        blind="a check of it needs a look",
    ),
    "automation_off": Kind(
        words="Automation was switched off", audience=Audience.EVERYONE, mail=True, event="automation.off"
    ),
    "signature": Kind(
        words="A source's signature was refused, once a day",
        audience=Audience.ADMINS,
        mail=True,
        event="source.signature_refused",
    ),
    "credentials_refused": Kind(
        words="A source refused our credentials while it was told something, once a day",
        audience=Audience.ADMINS,
        mail=True,
        event="source.credentials_refused",
    ),
    "pull_failing": Kind(
        words="A source could not be pulled for an hour",
        audience=Audience.ADMINS,
        mail=True,
        event="source.pull_failing",
    ),
    "articles_failing": Kind(
        words="Articles of a feed could not be listed for an hour",
        audience=Audience.ADMINS,
        mail=True,
        event="articles.failing",
    ),
    "articles_held_back": Kind(
        words="A feed no longer lists many of its articles; they wait for a word before they are retired",
        audience=Audience.EVERYONE,
        mail=True,
        event="articles.held_back",
    ),
    "runbook_article_retired": Kind(
        words="An article that leads to a runbook was retired in its knowledge base",
        audience=Audience.STEWARDS,
        mail=True,
        event="article.retired",
    ),
    "writeback_given_up": Kind(
        words="The ITSM could not be told of a ticket",
        audience=Audience.ADMINS,
        mail=False,
        event="writeback.given_up",
        blind="the ITSM could not be told of it; tell it by hand",
    ),
    "password_change_untold": Kind(
        words="A changed password could not be told to its owner",
        audience=Audience.ADMINS,
        mail=True,
        event="password_change.untold",
    ),
    "endpoint_disabled": Kind(
        words="An event endpoint was switched off after failing for days",
        audience=Audience.ADMINS,
        mail=True,
        event="endpoint.disabled",
    ),
    "mail_given_up": Kind(
        words="A mail could not be delivered", audience=Audience.NOBODY, mail=False, event="mail.given_up"
    ),
    DECIDED: Kind(
        words="A ticket was decided", audience=Audience.NOBODY, mail=False, event="ticket.decided", desk=False
    ),
    "reconciler_stalled": Kind(
        words="The reconciler has stopped", audience=Audience.PROVIDER, mail=True, event="reconciler.stalled"
    ),
}
CHOICES = tuple(name for name, kind in KINDS.items() if kind.audience is not Audience.NOBODY)
EVENTS = tuple(sorted({kind.event for kind in KINDS.values()}))
STREAMS = frozenset({KINDS[DECIDED].event})
"""Events of which there is one a ticket: they go only to endpoints that name them."""
