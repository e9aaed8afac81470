"""What the ITSM is told of a verdict. It waits until the verdict can no longer be undone."""

from datetime import datetime

from triage.models import Article, Review, Writeback
from triage.models.fields import english
from triage.queries import articles
from triage.queries.blind import GRACE, UNDO

V = Review.Verdict


def draft(article: Article) -> str:
    """An article as a reply begins, for a person to change."""
    return "\n\n".join(part for part in (article.title, article.body) if part)


def tell(
    review: Review, *, article: Article | None, language: str, closes: bool, at: datetime, reply: str = ""
) -> None:
    """Note what to tell. A `note` is for the requester where its content says so, else for the agents there.

    A reply is what the person wrote; where that is nothing, the article in `language`, where there is such a version.
    """
    if review.follow == "reply" and article:
        shown = articles.best(review.customer, article.translation_group, language)
        article = shown.article if shown else article
    Writeback.objects.create(
        customer=review.customer,
        ticket=review.ticket,
        key=key_of(review),
        what="resolve" if closes else "note",
        content={
            "text": reply if reply and review.follow == "reply" else _text(review, article),
            "public": review.follow in ("reply", "ask"),
            "verdict": review.verdict,
            "follow": review.follow,
            "article": article.key if article else "",
        },
        next_at=at + UNDO + GRACE,
        created_at=at,
    )


def key_of(review: Review) -> str:
    """The key under which the ITSM is told of a review, once."""
    return f"review-{review.pk}"


def _text(review: Review, article: Article | None) -> str:
    if review.follow == "reply" and article:
        return "\n\n".join(part for part in (review.note, draft(article)) if part)
    if review.follow == "ask":
        return review.note
    said = f"{article.key} {article.title}" if article else english(V(review.verdict).label)
    said = f"{said} of {review.duplicate_of.external_id}" if review.duplicate_of else said
    if review.follow == "assign":
        return f"To be assigned to: {review.note} ({said})"
    return f"{said}. {review.note}".strip() if review.note else f"{said}."
