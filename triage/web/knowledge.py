"""Articles: the list and one article with its translations and what it leads to."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from runbooks.registry import RUNBOOKS
from triage.feeds import KINDS
from triage.models import Article, Review
from triage.permissions import can_write_article
from triage.queries import articles as reads
from triage.queries import feeds
from triage.queries.customers import customers_of
from triage.web.page import DeskRequest, show, signed_in

PAGE = 100


@require_GET
@signed_in
def articles(request: DeskRequest) -> HttpResponse:
    """Live articles by key; every word must occur in key, title or symptoms."""
    text, after = request.GET.get("text", "").strip()[:200], request.GET.get("after", "")[:60]
    rows = reads.visible_to(request.user).filter(retired_at__isnull=True)
    rows = rows.select_related("customer", "fed__feed").defer("body", "fed__feed__credentials")
    rows = reads.mentioning(rows, text)
    key, _, pk = after.partition("~")
    if pk.isdigit() and len(pk) < 18:
        rows = reads.behind(rows, key=key, pk=int(pk))
    shown = list(rows.order_by("key", "pk")[: PAGE + 1])
    last = shown[PAGE - 1] if len(shown) > PAGE else None
    context = {
        "articles": [(row, RUNBOOKS.get(row.runbook)) for row in shown[:PAGE]],
        "text": text,
        "onward": f"{last.key}~{last.pk}" if last else "",
        **({} if text or after else _feeds(request)),
    }
    return show(request, "triage/articles.html", context)


@require_GET
@signed_in
def article(request: DeskRequest, pk: int) -> HttpResponse:
    """One article."""
    rows = reads.visible_to(request.user).select_related("customer", "fed__feed").defer("fed__feed__credentials")
    row: Article = get_object_or_404(rows, pk=pk)
    others = reads.visible_to(request.user).filter(translation_group=row.translation_group).exclude(pk=row.pk)
    verdicts = Review.objects.visible_to(request.user).filter(
        article=row.translation_group, undone_at__isnull=True, customer__in=customers_of(request.user)
    )
    context = {
        "article": row,
        "translations": others.filter(retired_at__isnull=True).order_by("language", "pk")[:50],
        "runbook": RUNBOOKS.get(row.runbook),
        "may_write": can_write_article(request.user, row.customer),
        "verdicts": verdicts.count(),
        "latest": verdicts.select_related("ticket", "person").order_by("-pk")[:8],
    }
    return show(request, "triage/article.html", context)


def _feeds(request: DeskRequest) -> dict[str, object]:
    """Where articles come from; `trouble`: one of them needs somebody who may do something about it."""
    found = feeds.shown_to(request.user)
    named = [(one, KINDS[one.feed.kind].words if one.feed.kind in KINDS else one.feed.kind) for one in found]
    trouble = any(one.may and (one.feed.failure or one.feed.held_back or one.problem_count) for one in found)
    return {"feeds": named, "trouble": trouble}
