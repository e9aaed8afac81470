"""Articles: the list with what each is used for, and one article with its translations and what it leads to."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from runbooks.registry import RUNBOOKS
from triage.feeds import KINDS
from triage.models import Article
from triage.permissions import can_write_article, publishes_at
from triage.queries import articles as reads
from triage.queries import feeds, library
from triage.queries.certificates import certified
from triage.queries.customers import customers_of
from triage.queries.library import SHOW, SORTS, Wanted, Week
from triage.queries.numbers import whole
from triage.web import charts
from triage.web.charts import Chart, Stack
from triage.web.overview import chosen
from triage.web.page import DeskRequest, now, show, signed_in

MOST_CUSTOMERS = 200


@require_GET
@signed_in
def articles(request: DeskRequest) -> HttpResponse:
    """The library, narrowed and sorted; every word must occur in key, title or symptoms."""
    customers = list(customers_of(request.user)[:MOST_CUSTOMERS])
    customer = chosen(customers, request.GET.get("customer", ""))
    wanted = _wanted(request)
    scope = [customer] if customer else customers
    rows, onward = library.page(request.user, wanted=wanted, customers=scope, at=now())
    narrowed = bool(wanted.text or wanted.language or wanted.show != "live" or customer)
    context = {
        "rows": rows,
        "onward": onward,
        "wanted": wanted,
        "narrowed": narrowed,
        "customer": customer,
        "choices": customers,
        "languages": library.languages(request.user),
        "show": SHOW,
        "sorts": SORTS,
        "may_write": bool(publishes_at(request.user, customers)),
        **({} if narrowed or wanted.after else _feeds(request)),
    }
    return show(request, "triage/articles.html", context)


@require_GET
@signed_in
def article(request: DeskRequest, pk: int) -> HttpResponse:
    """One article."""
    row = article_of(request, pk)
    at = now()
    customers = list(customers_of(request.user)[:MOST_CUSTOMERS])
    keys = [one.pk for one in customers]
    others = reads.visible_to(request.user).filter(translation_group=row.translation_group).exclude(pk=row.pk)
    verdicts, latest = library.solved(request.user, row, customers=keys, at=at)
    weeks = library.weeks(row, customers=keys, at=at)
    held = certified(keys, at=at).get(row.runbook, set())
    context = {
        "article": row,
        "translations": others.filter(retired_at__isnull=True).order_by("language", "pk")[:50],
        "runbook": RUNBOOKS.get(row.runbook),
        "covered": [one for one in customers if one.pk in held and row.customer_id in (None, one.pk)],
        "may_write": can_write_article(request.user, row.customer),
        "verdicts": verdicts,
        "latest": latest,
        "use": library.used([row], customers=keys).get(row.pk, library.Use()),
        "charts": _charts(row, weeks),
        "confused": library.confused(row, customers=keys),
        "gaps": row.gaps.visible_to(request.user).order_by("-size")[:5],
    }
    return show(request, "triage/article.html", context)


def article_of(request: DeskRequest, pk: int) -> Article:
    """The article, where the person may see it; 404 otherwise."""
    rows = reads.visible_to(request.user).select_related("customer", "fed__feed").defer("fed__feed__credentials")
    row: Article = get_object_or_404(rows, pk=pk)
    return row


def _wanted(request: DeskRequest) -> Wanted:
    given = request.GET
    value, _mark, pk = given.get("after", "")[:400].rpartition("~")
    key = whole(pk)
    return Wanted(
        text=given.get("text", "").strip()[:200],
        language=given.get("language", "")[:16],
        show=given.get("show", "") if given.get("show", "") in SHOW else "live",
        sort=given.get("sort", "") if given.get("sort", "") in SORTS else "key",
        after=(value, key) if key is not None else None,
    )


def _charts(row: Article, weeks: list[Week]) -> list[Chart]:
    """How often it was put first and how often people agreed, week by week; nothing where it was never used."""
    labels = tuple(date_format(week.begins, "j M") for week in weeks)
    found = []
    if any(week.tickets for week in weeks):
        series = (Stack(_("Put first"), "o1", tuple(float(week.tickets) for week in weeks)),)
        title = _("Tickets where it was put first, by week")
        found.append(
            charts.stacked(key=f"volume-{row.pk}", title=title, unit=_("Tickets"), labels=labels, series=series)
        )
    if any(week.verdicts for week in weeks):
        values = tuple(week.agreed / week.verdicts if week.verdicts else None for week in weeks)
        title = _("How many verdicts named it where it was put first, by week")
        found.append(
            charts.shares(key=f"agreed-{row.pk}", title=title, unit=_("Agreed, %"), labels=labels, values=values)
        )
    return found


def _feeds(request: DeskRequest) -> dict[str, object]:
    """Where articles come from; `trouble`: one of them needs somebody who may do something about it."""
    found = feeds.shown_to(request.user)
    named = [(one, KINDS[one.feed.kind].words if one.feed.kind in KINDS else one.feed.kind) for one in found]
    trouble = any(one.may and (one.feed.failure or one.feed.held_back or one.problem_count) for one in found)
    return {"feeds": named, "trouble": trouble}
