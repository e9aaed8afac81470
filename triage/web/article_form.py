"""Writing, changing and retiring an article: what it will mean is said before it is done, and nobody overwrites."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from runbooks.registry import RUNBOOKS
from triage import knowledge
from triage.learning import gap_work
from triage.models import Article, Customer, Gap
from triage.permissions import check_can_write_article, is_provider, publishes_at
from triage.queries import consequences
from triage.queries.consequences import Consequence
from triage.queries.customers import customers_of
from triage.queries.numbers import whole
from triage.web.knowledge import MOST_CUSTOMERS, article_of
from triage.web.page import DeskRequest, now, refuse, show, signed_in

LOCKED = ("title", "body", "language")
"""What the knowledge base that an article comes from owns: changed there, not here."""

SHARED = "*"
"""In the form: an article that all customers share."""


@dataclass
class Form:
    """What the person typed, or what is stored. `seen` stands for the version that they looked at."""

    key: str = ""
    title: str = ""
    symptoms: str = ""
    body: str = ""
    aliases: str = ""
    language: str = "en"
    label: str = ""
    runbook: str = ""
    seen: str = ""
    differs: list[tuple[str, str]] = field(default_factory=list)

    def text(self, *, retired: bool = False) -> knowledge.Text:
        """As the domain takes it; aliases stand one on a line."""
        lines = [line.strip()[:200] for line in self.aliases.splitlines()]
        return knowledge.Text(
            title=self.title[:300],
            symptoms=self.symptoms[:20_000],
            body=self.body[:200_000],
            aliases=tuple(line for line in lines if line)[:50],
            language=self.language.strip()[:16] or "en",
            label=self.label.strip(),
            runbook=self.runbook,
            retired=retired,
        )


@require_http_methods(["GET", "POST"])
@signed_in
def new(request: DeskRequest) -> HttpResponse:
    """Write an article; `gap` names what no article answered, from which it is begun."""
    owners = _owners(request)
    gap = _gap(request)
    if request.method == "GET":
        given = gap_work.draft(gap, at=now()) if gap else None
        form = Form(key=given.key, title=given.title, symptoms=given.symptoms, body=given.body) if given else Form()
        owner = gap.customer.slug if gap else request.GET.get("customer", "")
        return _show(request, form, gap=gap, owners=owners, owner=owner)
    owner = request.POST.get("customer", "")
    customer = None if owner == SHARED else next((one for one in owners if one.slug == owner), None)
    if customer is None and owner != SHARED:
        messages.error(request, _("Choose whose article it is."))
        return _show(request, _typed(request), gap=gap, owners=owners, owner=owner)
    form = _typed(request)
    try:
        row, _is_new = knowledge.put(
            person=request.user,
            customer=customer,
            key=form.key.strip(),
            text=form.text(),
            expected=lambda stored: stored is None,
            at=now(),
        )
        if gap:
            gap_work.link(gap, article=row, person=request.user, at=now())
    except knowledge.ArticleChanged:
        messages.error(
            request, _("There is an article with the key %(key)s already. Choose another key.") % {"key": form.key}
        )
        return _show(request, form, gap=gap, owners=owners, owner=owner)
    except (knowledge.ArticleRefused, gap_work.GapRefused) as error:
        refuse(request, error)
        return _show(request, form, gap=gap, owners=owners, owner=owner)
    messages.success(
        request, _("%(key)s is written. It is suggested from now on where its text fits.") % {"key": row.key}
    )
    return redirect("article", row.pk)


@require_http_methods(["GET", "POST"])
@signed_in
def edit(request: DeskRequest, pk: int) -> HttpResponse:
    """Change an article. What a feed owns stays; what voids a certificate is asked for once more."""
    row = article_of(request, pk)
    check_can_write_article(request.user, row.customer)
    stored = _stored(row)
    if request.method == "GET":
        return _show(request, stored, article=row)
    form = _typed(request)
    form.key = row.key
    for name in _locked(row):
        setattr(form, name, getattr(stored, name))
    if form.seen != stored.seen:
        return _differs(request, row, form, stored)
    text = form.text(retired=row.retired_at is not None)
    found = consequences.of_change(
        row,
        customer=row.customer,
        label=text.label or row.key,
        runbook=text.runbook,
        retired=text.retired,
        at=now(),
    )
    if found and "understood" not in request.POST:
        return _show(request, form, article=row, found=found)
    try:
        _put(request, row, text, seen=form.seen)
    except knowledge.ArticleChanged:
        return _differs(request, row, form, _stored(article_of(request, pk)))
    except knowledge.ArticleRefused as error:
        refuse(request, error)
        return _show(request, form, article=row)
    messages.success(request, _("%(key)s is changed.") % {"key": row.key})
    return redirect("article", row.pk)


@require_http_methods(["GET", "POST"])
@signed_in
def retire(request: DeskRequest, pk: int) -> HttpResponse:
    """Retire an article or bring it back: first what that means, then, by POST, the change."""
    row = article_of(request, pk)
    check_can_write_article(request.user, row.customer)
    stored, back = _stored(row), row.retired_at is not None
    text = stored.text(retired=not back)
    if request.method == "GET":
        found = consequences.of_change(
            row, customer=row.customer, label=row.translation_group, runbook=row.runbook, retired=not back, at=now()
        )
        context = {"article": row, "back": back, "found": found, "seen": stored.seen}
        return show(request, "triage/article_retire.html", context)
    try:
        _put(request, row, text, seen=request.POST.get("seen", ""))
    except (knowledge.ArticleChanged, knowledge.ArticleRefused) as error:
        refuse(request, error)
        return redirect("article", row.pk)
    said = _("%(key)s is live again.") if back else _("%(key)s is retired: it is neither suggested nor run.")
    messages.success(request, said % {"key": row.key})
    return redirect("article", row.pk)


def _put(request: DeskRequest, row: Article, text: knowledge.Text, *, seen: str) -> None:
    knowledge.put(
        person=request.user,
        customer=row.customer,
        key=row.key,
        text=text,
        expected=lambda stored: stored is not None and knowledge.stamp(stored) == seen,
        at=now(),
    )


def _stored(row: Article) -> Form:
    return Form(
        key=row.key,
        title=row.title,
        symptoms=row.symptoms,
        body=row.body,
        aliases="\n".join(str(alias) for alias in row.aliases),
        language=row.language,
        label=row.translation_group if row.translation_group != row.key else "",
        runbook=row.runbook,
        seen=knowledge.stamp(row),
    )


def _typed(request: DeskRequest) -> Form:
    names = ("key", "title", "symptoms", "body", "aliases", "language", "label", "runbook", "seen")
    # browsers send lines that end in CR LF; what is stored has LF
    typed = {name: request.POST.get(name, "").replace("\r\n", "\n") for name in names}
    return Form(**typed)  # type: ignore[arg-type]  # only names of text fields


def _locked(row: Article | None) -> tuple[str, ...]:
    return LOCKED if row is not None and getattr(row, "fed", None) is not None else ()


def _differs(request: DeskRequest, row: Article, form: Form, stored: Form) -> HttpResponse:
    """Somebody else saved meanwhile: what they wrote, beside what this person typed; a second save knows of it."""
    names = {
        "title": _("Title"),
        "symptoms": _("Symptoms"),
        "body": _("Text"),
        "aliases": _("Also called"),
        "language": _("Language"),
        "label": _("Label"),
        "runbook": _("Runbook"),
    }
    form.differs = [
        (words, getattr(stored, name)) for name, words in names.items() if getattr(stored, name) != getattr(form, name)
    ]
    form.seen = stored.seen
    return _show(request, form, article=row, status=409)


def _owners(request: DeskRequest) -> list[Customer]:
    """Customers whose articles the person may write; nobody else sees the page."""
    customers = list(customers_of(request.user)[:MOST_CUSTOMERS])
    allowed = publishes_at(request.user, customers)
    if not allowed:
        check_can_write_article(request.user, customers[0] if customers else None)
    return [one for one in customers if one.pk in allowed]


def _gap(request: DeskRequest) -> Gap | None:
    told = (request.POST if request.method == "POST" else request.GET).get("gap", "")
    if not told:
        return None
    pk = whole(told)
    if pk is None:
        raise Http404
    gap: Gap = get_object_or_404(Gap.objects.visible_to(request.user).select_related("customer"), pk=pk)
    check_can_write_article(request.user, gap.customer)
    return gap


def _show(
    request: DeskRequest,
    form: Form,
    *,
    article: Article | None = None,
    gap: Gap | None = None,
    owners: list[Customer] | None = None,
    owner: str = "",
    found: list[Consequence] | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "article": article,
        "gap": gap,
        "owners": owners or [],
        "owner": owner,
        "may_share": is_provider(request.user) and gap is None,
        "found": found or [],
        "locked": _locked(article),
        "runbooks": sorted(((key, one.title) for key, one in RUNBOOKS.items()), key=lambda pair: pair[1]),
    }
    return show(request, "triage/article_form.html", context, status=status)
