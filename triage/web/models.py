"""Models: which release answers, how good each is, how two differ, and changing which one is in force."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from triage import learning
from triage.models import Comparison, Release, Tuning
from triage.permissions import can_publish, check_can_publish, publishes_at
from triage.queries import certificates
from triage.queries import models as reads
from triage.queries.customers import customers_of
from triage.queries.models import Calibration
from triage.web import charts, jobs
from triage.web.charts import Bin, Chart
from triage.web.overview import chosen
from triage.web.page import DeskRequest, now, part, refuse, show, signed_in

MOST_LABELS = 200


@require_GET
@signed_in
def models(request: DeskRequest) -> HttpResponse:
    """All releases; asked for by htmx, the trainings' progress only."""
    customers = list(customers_of(request.user)[: certificates.MOST])
    customer = chosen(customers, request.GET.get("customer", ""))
    context: dict[str, Any] = {"jobs": reads.jobs(request.user, customer=customer)}
    if request.htmx:
        return part(request, "triage/model_jobs.html", context)
    mine = publishes_at(request.user, customers)
    context |= {
        "choices": customers,
        "customer": customer,
        "releases": reads.releases(request.user, customer=customer),
        "trainable": [one for one in ([customer] if customer else customers) if one.pk in mine],
    }
    return show(request, "triage/models.html", context)


@require_GET
@signed_in
def model(request: DeskRequest, slug: str, version: str) -> HttpResponse:
    """One release: figures, calibration, labels, and a comparison with another."""
    release = _release(request, slug, version)
    tuning = Tuning.objects.filter(release=release).first()
    found = reads.calibration(tuning)
    rivals = list(reads.rivals(release))
    other = next((one for one in rivals if one.version == request.GET.get("with", "")), rivals[0] if rivals else None)
    change = reads.change(release, at=now())
    context = {
        "release": release,
        "tuning": tuning,
        "labels": sorted(tuning.labels.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_LABELS] if tuning else [],
        "calibration": found,
        "chart": _reliability(release, found) if found else None,
        "certificates": [certificates.card(row, at=now()) for row in _certificates(request, release)],
        "rivals": rivals,
        "other": other,
        "earlier": reads.earlier(release) if release.status == Release.Status.IN_FORCE else None,
        "in_force": change.leaves,
        "may_publish": can_publish(request.user, release.customer),
        "below": learning.below_baseline(release.measures),
        **_compared(request, release, other),
    }
    return show(request, "triage/model.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def promote(request: DeskRequest, slug: str, version: str) -> HttpResponse:
    """Bring a release into force: first what that changes, then, by POST, the change."""
    release = _release(request, slug, version)
    check_can_publish(request.user, release.customer)
    if release.status == Release.Status.IN_FORCE:
        messages.success(request, _("%(version)s is in force.") % {"version": release.version})
        return redirect("model", slug, version)
    if request.method == "GET":
        return _confirm(request, release, back=False)
    try:
        learning.publish(release=release, actor=f"person:{request.user.pk}", at=now())
    except learning.PublishRefused as error:
        refuse(request, error)
        return redirect("model", slug, version)
    messages.success(request, _("%(version)s is in force.") % {"version": release.version})
    return redirect("model", slug, version)


@require_http_methods(["GET", "POST"])
@signed_in
def roll_back(request: DeskRequest, slug: str, version: str) -> HttpResponse:
    """Return from this release, which is in force, to the one before: first what that changes, then the change."""
    release = _release(request, slug, version)
    check_can_publish(request.user, release.customer)
    earlier = reads.earlier(release) if release.status == Release.Status.IN_FORCE else None
    if earlier is None:
        messages.error(request, _("There is nothing to go back to from this release."))
        return redirect("model", slug, version)
    if request.method == "GET":
        return _confirm(request, earlier, back=True)
    try:
        actor = f"person:{request.user.pk}"
        found = learning.rollback(customer=release.customer, actor=actor, at=now(), leaving=release)
    except learning.RollbackRefused as error:
        refuse(request, error)
        return redirect("model", slug, version)
    messages.success(request, _("Rolled back: %(version)s is in force again.") % {"version": found.version})
    return redirect("model", slug, found.version)


@require_POST
@signed_in
def train(request: DeskRequest, slug: str) -> HttpResponse:
    """Start a training on the customer's labels; its candidate comes into force only when somebody promotes it."""
    customer = get_object_or_404(customers_of(request.user), slug=slug)
    check_can_publish(request.user, customer)
    jobs.ask(
        request,
        lambda: learning.ask_training(customer=customer, person=request.user, at=now()),
        said=_("Training was asked for. Its progress is shown here."),
    )
    return redirect("models")


@require_POST
@signed_in
def compare(request: DeskRequest, slug: str, version: str) -> HttpResponse:
    """Have both releases answer the tickets of the last days."""
    release = _release(request, slug, version)
    check_can_publish(request.user, release.customer)
    other = get_object_or_404(Release.objects.of(release.customer), version=request.POST.get("with", ""))
    jobs.ask(
        request,
        lambda: learning.ask_comparison(new=release, old=other, person=request.user, at=now()),
        said=_("Both models answer the tickets of the last days. This takes a moment."),
    )
    return redirect("models")


def _release(request: DeskRequest, slug: str, version: str) -> Release:
    rows = Release.objects.visible_to(request.user).select_related("customer")
    found: Release = get_object_or_404(rows, customer__slug=slug, version=version)
    return found


def _certificates(request: DeskRequest, release: Release) -> Any:
    return certificates.visible(request.user).filter(release=release).order_by("-issued_at")[:20]


def _compared(request: DeskRequest, release: Release, other: Release | None) -> Mapping[str, Any]:
    """Both on held-out rows, and on the tickets of the last days where somebody asked for that."""
    if other is None:
        return {"paired": None, "comparison": None}
    paired = learning.paired(new=release, old=Release.objects.get(pk=other.pk))
    comparison = Comparison.objects.filter(new=release, old=other).select_related("customer").first()
    table = reads.disagreements(comparison, person=request.user, at=now()) if comparison else []
    return {"paired": paired, "comparison": comparison, "disagreements": table}


def _confirm(request: DeskRequest, release: Release, *, back: bool) -> HttpResponse:
    change = reads.change(release, at=now())
    left = Release.objects.filter(pk=change.leaves.pk).first() if change.leaves else None
    context = {
        "release": release,
        "back": back,
        "from_version": left.version if back and left else release.version,
        "change": change,
        "rises": [certificates.title(key) for row in change.rises for key in row.runbooks],
        "falls": [certificates.title(key) for row in change.falls for key in row.runbooks],
        "paired": learning.paired(new=release, old=left) if left else None,
        "below": learning.below_baseline(release.measures),
    }
    return show(request, "triage/model_confirm.html", context)


def _reliability(release: Release, found: Calibration) -> Chart:
    bins = tuple(
        Bin(one["probability"], one["accuracy"], low, high, int(one["count"]))
        for one, (low, high) in zip(found.bins, found.ends, strict=True)
    )
    title = _("How often a predicted probability comes true")
    return charts.reliability(key=f"reliability-{release.pk}", title=title, found=bins)
