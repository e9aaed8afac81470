"""Which articles a customer's labels stand for, and the runbook and directory behind each."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

from django.db.models import Q

from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS, why_not
from runbooks.targets import TargetError
from runbooks.targets.accounts import Directory
from runbooks.targets.lists import Lists
from triage import targets
from triage.models import Article, Customer
from triage.routing import Offer


@contextmanager
def offered(customer: Customer) -> Iterator[dict[str, Offer]]:
    """The customer's articles by label, retired ones included; directories are open until the context ends.

    A customer's own articles replace shared ones of the same label. Translations that name different runbooks lead
    to none: nobody said which one is meant.
    """
    rows: dict[str, list[Article]] = {}
    for article in Article.objects.filter(Q(customer=customer) | Q(customer__isnull=True)).order_by("pk"):
        rows.setdefault(article.translation_group, []).append(article)
    with ExitStack() as opened:
        reached: dict[str, tuple[Directory | None, Lists | None, str]] = {}
        found = {}
        for label, articles in rows.items():
            offer = _offer(label, articles)
            if offer.runbook is not None:
                kind = offer.runbook.target_kind
                if kind not in reached:
                    reached[kind] = _reach(customer, offer.runbook, opened)
                directory, lists, trouble = reached[kind]
                offer = replace(offer, directory=directory, lists=lists, trouble=trouble)
            found[label] = offer
        yield found


def _offer(label: str, rows: list[Article]) -> Offer:
    rows = [row for row in rows if row.customer_id is not None] or rows
    key, live = leads_to((row.runbook, row.retired_at is None) for row in rows)
    return Offer(label=label, live=live, runbook=RUNBOOKS.get(key), trouble=why_not(key))


def leads_to(versions: Iterable[tuple[str, bool]]) -> tuple[str, bool]:
    """The runbook that articles of one label lead to, from each one's runbook and whether it is live; and if any is."""
    rows = list(versions)
    live = [row for row in rows if row[1]]
    named = {runbook for runbook, _live in live or rows if runbook}
    return (named.pop() if len(named) == 1 else "", bool(live))


def _reach(customer: Customer, runbook: Runbook, opened: ExitStack) -> tuple[Directory | None, Lists | None, str]:
    """The directory to look accounts up in, where the target is one, its lists, and what is wrong with the target."""
    target = targets.target_for(customer, runbook)
    if target is None:
        return None, None, f"not exactly one {runbook.target_kind} is set up that the runbook could work on"
    try:
        lists = targets.lists_of(target)
        directory = targets.directory(target)
    except (TargetError, LookupError, ValueError) as error:
        return None, None, f"the {runbook.target_kind} cannot be used: {error}"
    return (opened.enter_context(closing(directory)) if directory else None), lists, ""
