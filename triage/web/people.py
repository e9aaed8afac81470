"""People for administrators: who there is, with which roles; accounts made, reset and switched off."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from triage import lifecycle, openid, second_factor
from triage import people as accounts
from triage.environment import environment
from triage.models import Customer, Person, Role
from triage.permissions import can_govern, check_can_administer_some, check_can_govern, is_provider
from triage.queries import log
from triage.queries import people as reads
from triage.web.page import DeskRequest, now, refuse, show, signed_in
from triage.web.signin import make_sign_in_link


@require_GET
@signed_in
def people(request: DeskRequest) -> HttpResponse:
    """Everybody that the reader administers, by sign-in name."""
    check_can_administer_some(request.user)
    given = request.GET
    filters = {"text": given.get("text", "")[:100], "state": given.get("state", "")}
    rows, onward = reads.page(request.user, after=given.get("after", "")[:150], **filters)
    context = {
        "rows": rows,
        "onward": onward,
        "filters": filters,
        "narrowed": any(filters.values()),
        "administered": reads.customers_administered(request.user)[:500],
        "role_choices": Role.choices,
        "provider": is_provider(request.user),
        "mails": bool(environment().mail_url.get_secret_value()),
    }
    return show(request, "triage/people.html", context)


@require_POST
@signed_in
def add(request: DeskRequest) -> HttpResponse:
    """Invite somebody: an account, roles at one customer, and a sign-in link that this answer alone shows."""
    check_can_administer_some(request.user)
    given = request.POST
    customer = None
    if given.get("customer"):
        customer = get_object_or_404(reads.customers_administered(request.user), slug=given["customer"])
    try:
        person, new = accounts.add(
            by=request.user,
            username=given.get("username", "").strip(),
            mail=given.get("mail", "").strip(),
            name=given.get("name", ""),
            customer=customer,
            roles=given.getlist("role"),
            at=now(),
        )
    except accounts.PersonRefused as error:
        refuse(request, error)
        return redirect("people")
    if new:
        return _hand_over(request, person)
    said = _("%(mail)s has an account here already: it has the roles now, and nothing else about it was changed.")
    messages.success(request, said % {"mail": given.get("mail", "").strip()})
    return redirect("people")


@require_GET
@signed_in
def person(request: DeskRequest, pk: int) -> HttpResponse:
    """One person: roles, ways to sign in, tokens, what happened to the account."""
    return _page(request, _theirs(request, pk))


@require_POST
@signed_in
def roles(request: DeskRequest, pk: int, slug: str = "") -> HttpResponse:
    """Exactly the ticked roles at one customer, of the address or of the form."""
    one = _theirs(request, pk)
    named = slug or request.POST.get("customer", "")
    customer = get_object_or_404(reads.customers_administered(request.user), slug=named)
    try:
        changed = accounts.set_roles(one, customer, request.POST.getlist("role"), by=request.user, at=now())
    except accounts.PersonRefused as error:
        refuse(request, error)
    else:
        said = _("The roles at %(customer)s are as you chose.") if changed else _("They stood so already.")
        messages.success(request, said % {"customer": customer.name} if changed else said)
    still = reads.people(request.user).filter(pk=one.pk).exists()
    return redirect("person", one.pk) if still else redirect("people")


@require_POST
@signed_in
def change(request: DeskRequest, pk: int) -> HttpResponse:
    """One of the things that may be done to an account, named by `what`."""
    one = _theirs(request, pk)
    what = request.POST.get("what", "")
    try:
        if what == "link":
            accounts.check_can_make_link(one, by=request.user)
            accounts.close_links(one, by=request.user, at=now())
            return _hand_over(request, one)
        said = _change(request, one, what)
    except accounts.PersonRefused as error:
        refuse(request, error)
    else:
        messages.success(request, said)
    return redirect("person", one.pk)


def _change(request: DeskRequest, one: Person, what: str) -> str:
    by, at = request.user, now()
    if what in ("off", "on"):
        done = accounts.set_active(one, active=what == "on", by=by, at=at)
        said = _("The account is switched on.") if what == "on" else _("The account is switched off: nothing opens it.")
        return said if done else _("It stood so already.")
    if what == "factor":
        done = accounts.reset_second_factor(one, by=by, at=at)
        return _("The second factor is removed.") if done else _("There was none.")
    if what in ("provider", "no-provider"):
        done = accounts.set_provider(one, provider=what == "provider", by=by, at=at)
        return _("Their standing is changed.") if done else _("It stood so already.")
    if what == "sessions":
        accounts.end_sessions(one, by=by, at=at)
        return _("They are signed out everywhere.")
    if what == "address":
        accounts.confirm_address(one, by=by, at=at)
        return _("The address counts where an owner is asked for a yes.")
    if what == "about":
        changed = accounts.rename(one, values=request.POST, by=by, at=at)
        return _("Saved.") if changed else _("It stood so already.")
    if what == "links":
        closed = accounts.close_links(one, by=by, at=at)
        return ngettext("%(n)d link taken back.", "%(n)d links taken back.", closed) % {"n": closed}
    if what == "unlink":
        check_can_govern(by, one)
        identity = get_object_or_404(one.identities, pk=request.POST.get("identity", "0"))
        openid.unlink(identity, actor=f"person:{by.pk}", at=at)
        return _("The next sign-in at the provider is a first one.")
    raise accounts.PersonRefused(_("There is no such change."))


def _theirs(request: DeskRequest, pk: int) -> Person:
    check_can_administer_some(request.user)
    return get_object_or_404(reads.people(request.user), pk=pk)


def _hand_over(request: DeskRequest, one: Person) -> HttpResponse:
    """Make a sign-in link and mail it, where that was wished; otherwise this answer alone shows it."""
    link = environment().base_url + make_sign_in_link(one, at=now())
    lifecycle.record(row=one, event="sign-in link made", at=now(), actor=f"person:{request.user.pk}")
    if not (request.POST.get("send") and accounts.can_mail_link(one)):
        return _page(request, one, link=link)
    try:
        accounts.mail_link(one, link, at=now())
    except accounts.PersonRefused as error:
        refuse(request, error)
        return _page(request, one, link=link)
    messages.success(request, _("The sign-in link is on its way to %(mail)s.") % {"mail": one.email})
    return redirect("person", one.pk)


def _page(request: DeskRequest, one: Person, **more: Any) -> HttpResponse:
    row = reads.one(one, by=request.user)
    governs = can_govern(request.user, one)
    context = {
        "row": row,
        "one": one,
        "customers_with_roles": [(customer, _choices(row, customer)) for customer in _by_name(row)],
        "others": reads.customers_administered(request.user).exclude(pk__in=[c.pk for c in row.roles])[:500],
        "role_choices": Role.choices,
        "governs": governs,
        "mails": accounts.can_mail_link(one),
        "provider": is_provider(request.user),
        "self": one.pk == request.user.pk,
        "factor": second_factor.of(one),
        "demanded": second_factor.demanded(one),
        "identities": accounts.identities(one) if governs else [],
        "tokens": reads.tokens(request.user, at=now()).filter(person=one),
        "events": log.of_person(one) if governs else [],
        **more,
    }
    response = show(request, "triage/person.html", context)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _by_name(row: reads.Row) -> list[Customer]:
    return sorted(row.roles, key=lambda customer: (customer.name, customer.pk))


def _choices(row: reads.Row, customer: Customer) -> list[tuple[str, str, bool]]:
    has = row.roles[customer]
    return [(value, str(label), str(label) in has) for value, label in Role.choices]
