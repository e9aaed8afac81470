"""API tokens of the people that an administrator is there for: what they may do, and their end."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from triage import tokens as api_tokens
from triage.permissions import check_can_administer_some
from triage.queries import people as reads
from triage.web.page import DeskRequest, now, show, signed_in

SHOWN = 500


@require_GET
@signed_in
def tokens(request: DeskRequest) -> HttpResponse:
    """Every token that opens something, by owner. No secret is stored, so none can be shown."""
    check_can_administer_some(request.user)
    rows = list(reads.tokens(request.user, at=now())[: SHOWN + 1])
    return show(request, "triage/tokens.html", {"rows": rows[:SHOWN], "more": len(rows) > SHOWN, "shown": SHOWN})


@require_POST
@signed_in
def revoke(request: DeskRequest, pk: int) -> HttpResponse:
    """End a token at once."""
    check_can_administer_some(request.user)
    token = get_object_or_404(reads.tokens(request.user, at=now()), pk=pk)
    if api_tokens.revoke(token, by=request.user, at=now()):
        messages.success(request, _("The token %(name)s opens nothing any more.") % {"name": token.name})
    return redirect("tokens")
