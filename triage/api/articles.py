"""Articles: what solves tickets. A PUT states one as a whole; entity tags keep writers from undoing each other."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.http import parse_etags
from ninja import Field, Path, Query, Router, Schema, Status
from pydantic import StrictBool

from runbooks.registry import RUNBOOKS
from triage import knowledge
from triage.api.access import customer_of, person_of
from triage.api.fields import Text
from triage.api.front import tag
from triage.api.pages import Page, cut
from triage.api.problems import PROBLEMS, Refused
from triage.models import Article, Person
from triage.queries import articles as reads

router = Router(tags=["articles"])
Key = Annotated[str, Path(pattern=knowledge.KEY)]
Owner = Annotated[str, Query(max_length=40, description="whose article; empty: one that all customers share")]


def _runbooks(schema: dict[str, Any]) -> None:
    schema["enum"] = ["", *sorted(RUNBOOKS)]


class ArticleIn(Schema):
    """All that an article says. `label` is shared by its translations; empty: the article's own key."""

    title: Annotated[Text, Field(min_length=1, max_length=300, pattern=r"[^\s\x00-\x1f]")]
    symptoms: Annotated[Text, Field(max_length=20_000)] = ""
    body: Annotated[Text, Field(max_length=200_000)] = ""
    aliases: Annotated[list[Annotated[Text, Field(max_length=200)]], Field(max_length=50)] = []
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?$")] = "en"
    label: Annotated[str, Field(pattern=rf"^$|{knowledge.KEY}")] = ""
    runbook: Annotated[Text, Field(max_length=60, json_schema_extra=_runbooks)] = ""
    retired: StrictBool = False


class ArticleOut(Schema):
    """One article in one language; `customer` is null where all share it."""

    key: str
    customer: str | None
    title: str
    symptoms: str
    body: str
    aliases: list[str]
    language: str
    label: str
    runbook: str
    retired: bool
    retired_at: datetime | None
    updated_at: datetime


class Articles(Schema):
    """A page of articles."""

    items: list[ArticleOut]
    next: str | None


class Wanted(Page):
    """Which articles: those of one customer, in one language, of one label, retired or live ones, by words."""

    customer: Owner = ""
    language: Annotated[str, Query(max_length=16)] = ""
    label: Annotated[str, Query(max_length=60)] = ""
    retired: bool = False
    text: Annotated[str, Query(max_length=200)] = ""


@router.get("/", response={200: Articles, **PROBLEMS}, operation_id="list_articles")
def articles(request: HttpRequest, wanted: Query[Wanted]) -> Articles:
    """Articles of the owner's customers and those that all share, newest first."""
    rows = reads.visible_to(person_of(request, "articles:read")).select_related("customer")
    rows = reads.mentioning(rows.filter(retired_at__isnull=not wanted.retired), wanted.text)
    named = {"customer__slug": wanted.customer, "language": wanted.language, "translation_group": wanted.label}
    rows = rows.filter(**{name: value for name, value in named.items() if value})
    shown, onward = cut(rows, wanted)
    return Articles(items=[_shown(row) for row in shown], next=onward)


@router.get("/{key}", response={200: ArticleOut, **PROBLEMS}, operation_id="read_article")
def article(request: HttpRequest, key: Key, customer: Owner = "") -> ArticleOut:
    """One article. Its `ETag` is what a PUT's `If-Match` names."""
    return _shown(get_object_or_404(_rows(person_of(request, "articles:read"), customer), key=key))


@router.put("/{key}", response={200: ArticleOut, 201: ArticleOut, **PROBLEMS}, operation_id="write_article")
def write(
    request: HttpRequest, response: HttpResponse, key: Key, said: ArticleIn, customer: Owner = ""
) -> Status[ArticleOut]:
    """Write, change or retire an article as a whole.

    A change needs `If-Match` with the entity tag that was read (428 without, 412 where the article changed since). With
    `If-None-Match: *` only a new article is written. Stewards and administrators of the customer may; shared articles
    are the provider's administrators'.
    """
    person = person_of(request, "articles:write")
    owner = customer_of(person, customer) if customer else None
    given = said.model_dump(exclude={"aliases"})
    try:
        row, new = knowledge.put(
            person=person,
            customer=owner,
            key=key,
            text=knowledge.Text(**given, aliases=tuple(said.aliases)),
            expected=_expected(request),
            at=timezone.now(),
        )
    except knowledge.ArticleChanged as error:
        raise Refused(412, str(error)) from error
    shown = _shown(row)
    response["ETag"] = _tag(shown, request)
    return Status(201 if new else 200, shown)


def _expected(request: HttpRequest) -> Callable[[Article | None], bool]:
    """Whether the stored article is the one that the writer means, by the request's conditions."""
    match = parse_etags(request.headers.get("If-Match", ""))
    fresh = "*" in parse_etags(request.headers.get("If-None-Match", ""))

    def holds(row: Article | None) -> bool:
        if row is None:
            return not match
        if fresh:
            return False
        if not match:
            raise Refused(428, "There is such an article: read it, and send its ETag as If-Match.")
        return "*" in match or _tag(_shown(row), request) in match

    return holds


def _rows(person: Person, customer: str) -> "QuerySet[Article]":
    rows = reads.visible_to(person).select_related("customer")
    return rows.filter(customer__slug=customer) if customer else rows.filter(customer__isnull=True)


def _tag(shown: ArticleOut, request: HttpRequest) -> str:
    """The entity tag that a GET of this article carries."""
    from triage.api.root import api  # the root knows its nouns, so it is not there yet when this file is read

    return tag(api.create_response(request, shown.model_dump(), status=200).content)


def _shown(row: Article) -> ArticleOut:
    return ArticleOut(
        key=row.key,
        customer=row.customer.slug if row.customer else None,
        title=row.title,
        symptoms=row.symptoms,
        body=row.body,
        aliases=[str(alias) for alias in row.aliases],
        language=row.language,
        label=row.translation_group,
        runbook=row.runbook,
        retired=row.retired_at is not None,
        retired_at=row.retired_at,
        updated_at=row.updated_at,
    )
