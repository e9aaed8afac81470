"""Which tickets are to be assigned or categorised in their ITSM, and how that went: rows only, told by `writeback`.

What a customer allows stands in the source's setting `placing`. A verdict of a person comes before what the model
alone decided, and what is written later before what still waits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from triage.itsm import placing
from triage.itsm.placing import Order, Placed, Placing, Wanted
from triage.models import Article, Customer, Decision, Mode, Review, Run, Ticket, Writeback
from triage.models.fields import english
from triage.queries import blind

WHAT = "place"
S = Writeback.Status
NO_GROUP = "no group of the source's settings is called {said!r}"


@dataclass(frozen=True)
class Chosen:
    """A decision of the model: `probability` of its article; never of a drawn ticket."""

    ticket: Ticket
    decision: Decision
    probability: float


def after_decisions(customer: Customer, found: Iterable[Chosen], *, at: datetime) -> int:
    """Place what the model alone is sure enough of, as the customer's `from_probability` says; how many rows."""
    rules: dict[int, Placing | None] = {}
    sure: list[tuple[Chosen, Placing]] = []
    for one in found:
        source = one.ticket.source
        if source.pk not in rules:
            rules[source.pk] = placing.of(source)
        rule = rules[source.pk]
        allowed = rule.customers.get(customer.slug) if rule else None
        least = allowed.from_probability if allowed else None
        if rule and least and one.probability >= least and one.decision.mode in (Mode.SUGGEST, Mode.APPROVE):
            sure.append((one, rule))
    keys = _keys(customer, {one.decision.article for one, _ in sure})
    rows = []
    for one, rule in sure:
        label = one.decision.article
        wanted = _by_article(rule, label, keys.get(label, ()))
        because = f"the model says {label} ({one.probability:.0%})"
        key = f"place-decision-{one.decision.pk}"
        content = {"decision": one.decision.pk}
        rows += _row(one.ticket, rule, wanted, customer=customer, key=key, because=because, more=content, at=at)
    Writeback.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def after_review(review: Review, *, at: datetime) -> None:
    """Place what a person decided, once it cannot be undone; `assign` names the group in the person's words."""
    rule = placing.of(review.ticket.source)
    if rule is None:
        return
    keys = _keys(review.customer, {review.article})
    wanted = _by_article(rule, review.article, keys.get(review.article, ()))
    unmet: dict[str, str] = {}
    if review.follow == "assign":
        wanted.pop("group", None)
        if group := rule.group_called(review.note):
            wanted["group"] = group
        else:
            unmet["group"] = NO_GROUP.format(said=review.note[:80])
    because = f"a person decided: {review.article or english(review.Verdict(review.verdict).label)}"
    key, more = key_of(review), {"unmet": unmet} if unmet else {}
    due = at + blind.UNDO + blind.GRACE
    rows = _row(review.ticket, rule, wanted, customer=review.customer, key=key, because=because, more=more, at=at)
    for row in rows:
        row.next_at = due
    Writeback.objects.bulk_create(rows, ignore_conflicts=True)


def after_run(run: Run, tickets: Sequence[int], *, at: datetime) -> None:
    """Place the tickets that a run resolved: by its article, and over that by its runbook."""
    label = run.decision.article if run.decision else ""
    keys = _keys(run.customer, {label})
    rows = []
    for ticket in Ticket.objects.filter(pk__in=tickets).select_related("source"):
        rule = placing.of(ticket.source)
        if rule is None:
            continue
        own = rule.runbooks.get(run.runbook)
        wanted = _by_article(rule, label, keys.get(label, ())) | (own.wanted() if own else {})
        because, key = f"the runbook {run.runbook} ran", f"place-run-{run.uuid}-{ticket.pk}"
        rows += _row(ticket, rule, wanted, customer=run.customer, key=key, because=because, more={}, at=at)
    Writeback.objects.bulk_create(rows, ignore_conflicts=True)


def withdraw(review: Review, *, at: datetime) -> None:
    """An undone verdict places nothing."""
    mine = Writeback.objects.filter(key=key_of(review), status=S.WAITING, attempts=0)
    mine.update(status=S.GIVEN_UP, reason="undone", done_at=at)


def key_of(review: Review) -> str:
    """The key of what a review places, once."""
    return f"place-review-{review.pk}"


def outdated(row: Writeback, ticket: Ticket) -> str:
    """Why this is not to be placed any more, in a sentence; empty while it is, and for other rows."""
    if row.what != WHAT:
        return ""
    if ticket.status == Ticket.Status.WITHDRAWN:
        return "The ticket was taken or finished elsewhere."
    later = Writeback.objects.filter(ticket=ticket, what=WHAT, pk__gt=row.pk).exclude(status=S.GIVEN_UP)
    if later.exists():
        return "A later decision places the ticket."
    decision = row.content.get("decision")
    if decision is None:
        return ""
    if not Decision.objects.filter(pk=decision, in_force=True, text_hash=ticket.text_hash).exists():
        return "The ticket was decided anew."
    said = Review.objects.filter(ticket=ticket, text_hash=ticket.text_hash, undone_at__isnull=True)
    return "A person has decided the ticket." if said.exists() else ""


def order(row: Writeback) -> tuple[Order, Mapping[str, str]]:
    """What to ask the ITSM for, of what the customer allows now; and why not the rest."""
    rule = placing.of(row.ticket.source)
    allowed = rule.customers.get(row.customer.slug) if rule else None
    kept, left = placing.permitted(row.content.get("wanted", {}), allowed)
    return Order(row.key, kept, _last(row)), {**row.content.get("unmet", {}), **left}


def done(row: Writeback, placed: Placed, left: Mapping[str, str]) -> Placed:
    """Keep in the row what was set and what was left; and in the ticket what our change will come back as."""
    # an earlier try may have set it although its answer was lost
    ours = {name for name, why in placed.left.items() if row.attempts and why == placing.ALREADY}
    known = {name: value for name, value in row.content.get("wanted", {}).items() if name in ours}
    stays = {name: why for name, why in placed.left.items() if name not in ours}
    whole = Placed({**known, **placed.set}, {**left, **stays}, placed.echo)
    row.content = {**row.content, "set": dict(whole.set), "left": dict(whole.left)}
    Writeback.objects.filter(pk=row.pk).update(content=row.content)
    if whole.echo:
        ticket = Ticket.objects.select_for_update().get(pk=row.ticket_id)
        fields = {**ticket.fields, **whole.echo}
        Ticket.objects.filter(pk=ticket.pk).update(fields=fields)
    return whole


def _last(row: Writeback) -> dict[str, str | list[str]]:
    """What we set on this ticket before, the newest last."""
    before = Writeback.objects.filter(ticket=row.ticket_id, what=WHAT, status=S.DONE, pk__lt=row.pk).order_by("pk")
    last: dict[str, str | list[str]] = {}
    for content in before.values_list("content", flat=True):
        for name, value in content.get("set", {}).items():
            known = last.get(name)
            last[name] = [*known, *value] if isinstance(known, list) and isinstance(value, list) else value
    return last


def _row(
    ticket: Ticket,
    rule: Placing,
    wanted: Wanted,
    *,
    customer: Customer,
    key: str,
    because: str,
    more: Mapping[str, Any],
    at: datetime,
) -> list[Writeback]:
    """The row of one ticket; none where the customer allows nothing here, or nothing is wanted."""
    if customer.slug not in rule.customers or not (wanted or more.get("unmet")):
        return []
    kept, left = placing.permitted(wanted, rule.customers[customer.slug])
    if not kept and not rule.customers[customer.slug].may_assign:
        return []
    content = {"wanted": kept, "because": because, **more, "unmet": {**left, **more.get("unmet", {})}}
    common = {"next_at": at, "created_at": at}
    return [Writeback(customer=customer, ticket=ticket, key=key, what=WHAT, content=content, **common)]


def _by_article(rule: Placing, label: str, keys: Iterable[str]) -> dict[str, str | list[str]]:
    """What the settings say of the label, else of one of its articles' keys."""
    found = next((rule.articles[name] for name in (label, *keys) if name in rule.articles), None)
    return found.wanted() if found else {}


def _keys(customer: Customer, labels: set[str]) -> dict[str, list[str]]:
    """The articles' keys of each label, the customer's own first."""
    wanted = labels - {""}
    if not wanted:
        return {}
    mine = Q(customer=customer) | Q(customer__isnull=True)
    rows = Article.objects.filter(mine, translation_group__in=wanted).order_by("-customer_id", "key")
    found: dict[str, list[str]] = {}
    for label, key in rows.values_list("translation_group", "key"):
        found.setdefault(label, []).append(key)
    return found
