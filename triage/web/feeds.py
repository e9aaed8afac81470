"""What people ask of a feed of articles: a pass now, and leave to retire what is missing."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from triage import bell
from triage.feeds import orders
from triage.models import ArticleFeed
from triage.queries import feeds as reads
from triage.queries.numbers import whole
from triage.web.page import DeskRequest, now, refuse, signed_in


@require_POST
@signed_in
def sync(request: DeskRequest, pk: int) -> HttpResponse:
    """List everything now."""
    feed = _feed(request, pk)
    try:
        orders.sync_now(feed=feed, person=request.user, at=now())
    except orders.OrderRefused as error:
        refuse(request, error)
    else:
        bell.ring("sync_articles", feed.pk)
        messages.success(request, _("Everything in %(feed)s is listed now.") % {"feed": feed.name})
    return redirect("articles")


@require_POST
@signed_in
def retire(request: DeskRequest, pk: int) -> HttpResponse:
    """Retire what the person saw missing, if it is still missing."""
    feed = _feed(request, pk)
    many = whole(request.POST.get("many", ""), digits=8) or 0
    try:
        orders.retire_missing(feed=feed, person=request.user, many=many, at=now())
    except orders.OrderRefused as error:
        refuse(request, error)
    else:
        bell.ring("sync_articles", feed.pk)
        messages.success(request, _("What is still missing in %(feed)s is retired now.") % {"feed": feed.name})
    return redirect("articles")


def _feed(request: DeskRequest, pk: int) -> ArticleFeed:
    feed: ArticleFeed = get_object_or_404(
        reads.visible_to(request.user).defer("credentials").select_related("customer"), pk=pk
    )
    return feed
