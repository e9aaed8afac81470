"""Lists a page at a time, newest first: `before` is the id of the last row seen."""

from typing import Annotated, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from ninja import Query, Schema

from triage.api.problems import Refused

MOST = 100
Row = TypeVar("Row", bound=Model)


class Page(Schema):
    """Which part of a list."""

    limit: Annotated[int, Query(ge=1, le=MOST)] = 50
    before: UUID | None = None


def cut(rows: "QuerySet[Row]", page: Page) -> tuple[list[Row], str | None]:
    """The page's rows, and the `before` of the next page; None at the end."""
    if page.before is not None:
        last = rows.filter(uuid=page.before).values_list("pk", flat=True).first()
        if last is None:
            raise Refused(422, "before: no row of this list has this id.")
        rows = rows.filter(pk__lt=last)
    found = list(rows.order_by("-pk")[: page.limit + 1])
    shown = found[: page.limit]
    return shown, str(shown[-1].uuid) if len(found) > page.limit else None  # type: ignore[attr-defined]  # every list's
