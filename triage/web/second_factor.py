"""A person's own second factor: set it up, get new recovery codes, do without."""

from typing import Any

import segno
from django.contrib import messages
from django.contrib.auth import authenticate
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from triage import second_factor
from triage.environment import environment
from triage.web import gate, openid
from triage.web.page import DeskRequest, now, show, signed_in

PROVED = "password-given"


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@signed_in
def mine(request: DeskRequest) -> HttpResponse:
    """One page for all of it. Every change takes the password or a code, so that an open screen gives nothing away."""
    steps = {"begin": _begin, "confirm": _confirm, "codes": _codes, "remove": _remove}
    step = steps.get(request.POST.get("step", ""))
    if request.method != "POST" or step is None:
        return _page(request)
    try:
        return step(request)
    except second_factor.CodeRefused as error:
        return _page(request, problem=str(error), status=422)


def _begin(request: DeskRequest) -> HttpResponse:
    person = request.user
    if person.has_usable_password() and not request.session.get(openid.MARK):
        known = authenticate(request, username=person.get_username(), password=request.POST.get("password", ""))
        if known is None or known.pk != person.pk:
            raise second_factor.CodeRefused(_("That is not your password."))
    request.session[PROVED] = True
    second_factor.begin(person, at=now())
    return redirect("me-second-factor")


def _confirm(request: DeskRequest) -> HttpResponse:
    if not request.session.get(PROVED):
        raise second_factor.CodeRefused(_("Begin again."))
    codes = second_factor.confirm(request.user, request.POST.get("code", "")[:100], at=now())
    del request.session[PROVED]
    gate.open_up(request)
    return _page(request, codes=codes)


def _codes(request: DeskRequest) -> HttpResponse:
    second_factor.check(request.user, request.POST.get("code", "")[:100], at=now())
    return _page(request, codes=second_factor.renew_codes(request.user, at=now()))


def _remove(request: DeskRequest) -> HttpResponse:
    person = request.user
    if second_factor.demanded(person):
        raise second_factor.CodeRefused(_("You may not do without one. An administrator resets it where it is lost."))
    second_factor.check(person, request.POST.get("code", "")[:100], at=now())
    second_factor.remove(person, actor=f"person:{person.pk}", at=now())
    messages.success(request, _("You sign in without a second factor from now on."))
    return redirect("me-second-factor")


def _page(request: DeskRequest, *, problem: str = "", status: int = 200, **more: Any) -> HttpResponse:
    person = request.user
    factor = second_factor.of(person)
    context: dict[str, Any] = {
        "factor": factor,
        "demanded": second_factor.demanded(person),
        "gated": bool(request.session.get(gate.MARK)),
        "asks_password": person.has_usable_password() and not request.session.get(openid.MARK),
        "passwords": environment().local_passwords,
        "codes_left": second_factor.codes_left(person) if factor else 0,
        "problem": problem,
        **more,
    }
    if factor is None and request.session.get(PROVED):
        begun = second_factor.begin(person, at=now())
        picture = segno.make(second_factor.address(begun), error="m", micro=False).svg_inline(
            scale=5, dark="#000", light="#fff"
        )
        context["picture"] = mark_safe(picture)  # noqa: S308 - made here of squares alone
        context["secret"] = " ".join(begun.secret[start : start + 4] for start in range(0, len(begun.secret), 4))
    return show(request, "triage/second_factor.html", context, status=status)
