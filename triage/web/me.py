"""A person's own things: what they are told and how, how pages look, their password and their API tokens."""

from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from triage import lifecycle, people, second_factor, tokens
from triage.environment import environment
from triage.models import MailChoice, Membership, Notification, Person
from triage.queries.numbers import whole
from triage.telling.kinds import CHOICES, KINDS
from triage.web.page import DeskRequest, now, refuse, show, signed_in

SHOWN = 100


@require_GET
@signed_in
def notifications(request: DeskRequest) -> HttpResponse:
    """What people must hear of: unseen first."""
    rows = Notification.objects.visible_to(request.user).filter(desk=True).select_related("customer", "seen_by")
    context = {
        "unseen_rows": rows.filter(seen_at__isnull=True).order_by("-pk")[:SHOWN],
        "seen_rows": rows.filter(seen_at__isnull=False).order_by("-seen_at")[:30],
    }
    return show(request, "triage/notifications.html", context)


@require_POST
@signed_in
def seen(request: DeskRequest) -> HttpResponse:
    """Note that somebody has taken notice, of one or of all that the page showed; one person is enough."""
    rows = Notification.objects.visible_to(request.user).filter(seen_at__isnull=True)
    which = [pk for key in request.POST.getlist("which") if (pk := whole(key)) is not None]
    Notification.objects.filter(pk__in=rows.filter(pk__in=which).values("pk")).update(
        seen_by=request.user, seen_at=now()
    )
    return redirect("notifications")


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@signed_in
def me(request: DeskRequest) -> HttpResponse:
    """Password, language, zone and theme, mail and tokens. Who came by a link has no password yet and sets one here."""
    person = request.user
    kind = PasswordChangeForm if person.has_usable_password() else SetPasswordForm
    wants_password = request.method == "POST" and "new_password1" in request.POST and environment().local_passwords
    form = kind(person, request.POST if wants_password else None)
    if wants_password and form.is_valid():
        form.save()
        update_session_auth_hash(request, person)
        lifecycle.record(row=person, event="password set", at=now(), actor=f"person:{person.pk}")
        messages.success(request, _("Your password is set."))
        return redirect("me")
    if request.method == "POST" and "zone" in request.POST:
        return _set_look(request)
    if request.method == "POST" and "end-sessions" in request.POST:
        return _end_sessions(request)
    return _page(request, form=form)


@require_POST
@signed_in
def mail(request: DeskRequest) -> HttpResponse:
    """What comes by mail: each kind, as ticked."""
    wanted = set(request.POST.getlist("kind"))
    for kind in CHOICES:
        MailChoice.objects.update_or_create(person=request.user, kind=kind, defaults={"wanted": kind in wanted})
    messages.success(request, _("What comes by mail is as you chose."))
    return redirect("me")


@require_POST
@signed_in
def issue(request: DeskRequest) -> HttpResponse:
    """Make an API token; this answer is the only place where its secret is ever shown."""
    try:
        secret = tokens.issue(
            person=request.user,
            name=request.POST.get("name", ""),
            scopes=request.POST.getlist("scope"),
            days=request.POST.get("days", ""),
            at=now(),
        )
    except tokens.TokenRefused as error:
        refuse(request, error)
        return redirect("me")
    return _page(request, secret=secret)


@require_POST
@signed_in
def revoke(request: DeskRequest, pk: int) -> HttpResponse:
    """End one of the person's own tokens at once."""
    token = get_object_or_404(tokens.of(request.user), pk=pk)
    if tokens.revoke(token, at=now()):
        messages.success(request, _("The token %(name)s opens nothing any more.") % {"name": token.name})
    return redirect("me")


def _page(request: DeskRequest, **more: Any) -> HttpResponse:
    person = request.user
    chosen = dict(MailChoice.objects.filter(person=person).values_list("kind", "wanted"))
    kind = PasswordChangeForm if person.has_usable_password() else SetPasswordForm
    context = {
        "form": kind(person),
        "passwords": environment().local_passwords,
        "linked": person.identities.exists(),
        "factor": second_factor.of(person),
        "zones": sorted(available_timezones()),
        "languages": settings.LANGUAGES,
        "themes": Person.Theme.choices,
        "memberships": Membership.objects.filter(person=person.pk)
        .select_related("customer")
        .order_by("customer__name"),
        "mail_kinds": [(name, KINDS[name].words, chosen.get(name, KINDS[name].mail)) for name in CHOICES],
        "has_mail": bool(environment().mail_url.get_secret_value()),
        "tokens": tokens.of(person),
        "scopes": tokens.SCOPES.items(),
        "days": tokens.DAYS,
        **more,
    }
    return show(request, "triage/me.html", context)


def _end_sessions(request: DeskRequest) -> HttpResponse:
    people.end_sessions(request.user, by=request.user, at=now())
    request.user.refresh_from_db(fields=["sessions_era"])
    update_session_auth_hash(request, request.user)  # this one goes on
    messages.success(request, _("You are signed out everywhere but here."))
    return redirect("me")


def _set_look(request: DeskRequest) -> HttpResponse:
    """Zone, language and theme, each one of those there are; what is not sent stays as it is."""
    person = request.user
    offered = {
        "zone": available_timezones(),
        "language": {"", *dict(settings.LANGUAGES)},
        "theme": {"", *Person.Theme.values},
    }
    chosen = {name: request.POST[name] for name in offered if name in request.POST}
    unknown = [value for name, value in chosen.items() if value not in offered[name]]
    if unknown:
        refuse(request, ValueError(_("There is no such choice: %(value)s.") % {"value": repr(unknown[0][:64])}))
        return redirect("me")
    Person.objects.filter(pk=person.pk).update(**chosen)
    with translation.override(chosen.get("language") or translation.get_language()):
        messages.success(request, _("Pages look as you chose."))
    return redirect("me")
