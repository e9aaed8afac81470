"""Lists a page at a time, newest first. A cursor names the last row seen, so rows that come meanwhile shift nothing."""

from typing import Annotated, TypeVar

from django.core import signing
from django.db.models import Model, QuerySet
from ninja import Query, Schema

from triage.api.problems import Refused

MOST = 100
LONGEST = 200
Row = TypeVar("Row", bound=Model)


class Page(Schema):
    """Which part of a list."""

    limit: Annotated[int, Query(ge=1, le=MOST)] = 50
    cursor: Annotated[str, Query(max_length=LONGEST, description="`next` of the page before")] = ""


def cut(rows: "QuerySet[Row]", page: Page) -> tuple[list[Row], str | None]:
    """The page's rows, and the cursor of the next page; None at the end."""
    signer = signing.Signer(salt=f"triage api list of {rows.model._meta.model_name}")
    if page.cursor:
        try:
            last = int(signer.unsign(page.cursor))
        except (signing.BadSignature, ValueError) as error:
            raise Refused(404, "cursor: not one that this list gave out; begin again without it.") from error
        rows = rows.filter(pk__lt=last)
    found = list(rows.order_by("-pk")[: page.limit + 1])
    shown = found[: page.limit]
    return shown, signer.sign(str(shown[-1].pk)) if len(found) > page.limit else None
