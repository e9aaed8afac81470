"""First steps: from an empty installation to the first decided ticket, each with its state as the tables have it."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from triage import bell, customers, history, learning, sample_articles
from triage.environment import environment
from triage.learning.labelled import HELD_OUT
from triage.learning.train import FEWEST_ROWS
from triage.models import Customer, Mode
from triage.permissions import (
    can_administer,
    can_import_history,
    can_publish,
    can_write_article,
    check_can_administer,
    check_can_import_history,
    check_can_publish,
    check_can_write_article,
    is_provider,
)
from triage.queries import start as reads
from triage.queries.customers import customers_of
from triage.queries.start import Way
from triage.web.customers import MODES
from triage.web.page import DeskRequest, now, part, refuse, show, signed_in

NO_CHANGE = 204
NEEDED = round(FEWEST_ROWS / (1 - HELD_OUT))
"""Labelled texts of which enough are left to train on when some are held out; the training itself counts exactly."""


@require_GET
@signed_in
def start(request: DeskRequest) -> HttpResponse:
    """All steps."""
    customer = reads.choice(request.user, request.GET.get("customer", ""))
    if customer is None:
        if request.GET.get("customer"):
            raise Http404
        # the provider's administrator makes the first customer; others belong to none yet
        return show(
            request, "triage/start.html", {"modes": MODES, "mode": Mode.SUGGEST, "may_add": is_provider(request.user)}
        )
    return _page(request, customer)


@require_GET
@signed_in
def live(request: DeskRequest) -> HttpResponse:
    """The steps that change while somebody looks, asked for by htmx; 204 where nothing did."""
    way = reads.way(_customer(request, request.GET.get("customer", "")), at=now())
    if request.GET.get("seen") == way.mark:
        return HttpResponse(status=NO_CHANGE)
    return part(request, "triage/start_live.html", _context(request, way))


@require_POST
@signed_in
def name(request: DeskRequest) -> HttpResponse:
    """Step 1: what the organisation is called, and how far Triage may go for it."""
    given, at = request.POST, now()
    try:
        if given.get("customer"):
            customer = _customer(request, given["customer"])
            check_can_administer(request.user, customer)
        else:
            named = given.get("name", "")
            slug = slugify(named)[:40].strip("-_") or "customer"
            customer = customers.add(by=request.user, slug=slug, name=named, at=at)
        customers.change(customer, {**_as_it_is(customer), **given.dict()}, by=request.user, at=at)
    except customers.CustomerRefused as error:
        refuse(request, error)
        return redirect("start")
    messages.success(request, _("Saved."))
    return _back(customer, "source")


@require_POST
@signed_in
def past(request: DeskRequest) -> HttpResponse:
    """Step 2, or instead of it: a file of past tickets."""
    customer = _customer(request, request.POST.get("customer", ""))
    check_can_import_history(request.user, customer)
    file = request.FILES.get("file")
    raw = file.read(history.MOST_BYTES + 1) if file else b""
    actor = f"person:{request.user.pk}"
    encoding = request.POST.get("encoding", "utf-8")
    try:
        found = history.bring_in(customer=customer, raw=raw, encoding=encoding, actor=actor, at=now())
    except history.HistoryRefused as error:
        return _page(request, customer, refused=error, status=422)
    if found.new:
        bell.ring("land_waiting")
    said = ngettext(
        "%(rows)s past ticket was read, %(new)s of it new here.",
        "%(rows)s past tickets were read, %(new)s of them new here.",
        found.rows,
    )
    messages.success(request, said % {"rows": found.rows, "new": found.new})
    return _back(customer, "model")


@require_POST
@signed_in
def samples(request: DeskRequest) -> HttpResponse:
    """Step 3: the sample company's articles."""
    customer = _customer(request, request.POST.get("customer", ""))
    check_can_write_article(request.user, customer)
    done = sample_articles.take(customer=customer, person=request.user, at=now())
    said = ngettext("%(count)s article was added.", "%(count)s articles were added.", done)
    messages.success(request, said % {"count": done})
    return _back(customer, "articles")


@require_POST
@signed_in
def train(request: DeskRequest) -> HttpResponse:
    """Step 4: the first model, which comes into force unless it is worse than plain TF-IDF."""
    customer = _customer(request, request.POST.get("customer", ""))
    check_can_publish(request.user, customer)
    try:
        job = learning.ask_training(customer=customer, person=request.user, at=now(), publish=True)
    except learning.JobRefused as error:
        refuse(request, error)
    else:
        bell.ring("land_waiting")  # what was said a moment ago teaches too
        bell.ring("learn", job.pk)
    return _back(customer, "model")


def _customer(request: DeskRequest, slug: str) -> Customer:
    return get_object_or_404(customers_of(request.user), slug=slug)


def _as_it_is(customer: Customer) -> dict[str, str]:
    """The settings' form as it would be sent unchanged."""
    return {
        "name": customer.name,
        "mode": customer.mode,
        "holdout_share": f"{customer.holdout_share * 100:.4f}",
        "verify_share": f"{customer.verify_share * 100:.4f}",
        "minutes_a_ticket": str(customer.minutes_a_ticket),
        "write_back": "1" if customer.write_back else "",
    }


def _back(customer: Customer, step: str) -> HttpResponse:
    return redirect(f"{reverse('start')}?customer={customer.slug}#{step}")


def _page(
    request: DeskRequest, customer: Customer, *, refused: history.HistoryRefused | None = None, status: int = 200
) -> HttpResponse:
    context = _context(request, reads.way(customer, at=now()))
    many = list(customers_of(request.user)[:50])
    context |= {
        "choices": many if len(many) > 1 else [],
        "modes": MODES,
        "mode": customer.mode,
        "encodings": history.ENCODINGS,
        "megabytes": history.MOST_BYTES >> 20,
        "refused": refused,
        "samples": sample_articles.count(),
        "password_missing": environment().local_passwords and not request.user.has_usable_password(),
        "provider": is_provider(request.user),
    }
    return show(request, "triage/start.html", context, status=status)


def _context(request: DeskRequest, way: Way) -> dict[str, Any]:
    customer, person = way.customer, request.user
    may = {
        "administer": can_administer(person, customer),
        "write": can_write_article(person, customer),
        "past": can_import_history(person, customer),
        "train": can_publish(person, customer),
    }
    taught = way.taught
    enough = taught.texts >= NEEDED and taught.articles > 1
    return {
        "way": way,
        "customer": customer,
        "may": may,
        "ask": [] if all(may.values()) else reads.administrators(customer),
        "needed": NEEDED,
        "enough": enough,
        "many_labels": taught.more and enough,
        "watches": way.learning or not way.decided,
    }
