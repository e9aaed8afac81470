"""What people do about a gap: dismiss it, bring it back, begin an article from it, and say which one was written."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from triage import lifecycle
from triage.knowledge import KEY
from triage.models import Article, Draw, Gap, Person, Review, Writeback
from triage.permissions import check_can_write_article
from triage.queries import blind
from triage.review.answering import key_of

SENTENCES = 5
LONGEST_SENTENCE = 200
REPLIES = 3
LONGEST_REPLY = 1_500
LOOKED_AT = 40
_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_NO_KEY = re.compile(r"[^A-Za-z0-9]+")


class GapRefused(Exception):
    """It cannot be done to this gap; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An article as a person begins it. Tickets' own words are in it: the person takes out what is private."""

    key: str
    title: str
    symptoms: str
    body: str


def dismiss(gap: Gap, *, person: Person, because: str, at: datetime) -> None:
    """No article for this one, with the reason; it comes back when it grows. Raises GapRefused, PermissionDenied."""
    check_can_write_article(person, gap.customer)
    because = " ".join(because.split())[:300]
    if not because:
        raise GapRefused(_("Say in a few words why it needs no article: others will read it."))
    with transaction.atomic():
        free = Gap.objects.filter(pk=gap.pk, article__isnull=True)
        values = {"dismissed_at": at, "dismissed_because": because, "dismissed_size": gap.size}
        if not free.update(**values):
            raise GapRefused(_("The gap is gone, or an article was written for it. Reload the page."))
        lifecycle.record(row=gap, event="dismissed", at=at, actor=f"person:{person.pk}", reason=because)


def bring_back(gap: Gap, *, person: Person, at: datetime) -> None:
    """Show a dismissed gap again."""
    check_can_write_article(person, gap.customer)
    with transaction.atomic():
        values = {"dismissed_at": None, "dismissed_because": "", "dismissed_size": 0}
        if Gap.objects.filter(pk=gap.pk, dismissed_at__isnull=False).update(**values):
            lifecycle.record(row=gap, event="shown again", at=at, actor=f"person:{person.pk}")


def link(gap: Gap, *, article: Article, person: Person, at: datetime) -> None:
    """The article was written for this gap: its tickets are no gap any more, as long as the article is live."""
    check_can_write_article(person, gap.customer)
    if article.customer_id not in (None, gap.customer_id):
        raise GapRefused(_("The article is another customer's."))
    with transaction.atomic():
        if Gap.objects.filter(pk=gap.pk).update(article=article):
            reason = f"{article.key} {article.title}"
            lifecycle.record(row=gap, event="article written", at=at, actor=f"person:{person.pk}", reason=reason)


def draft(gap: Gap, *, at: datetime) -> Draft:
    """Title from its words, symptoms from its tickets' first sentences, body from what agents wrote to requesters.

    Drawn tickets give no words: they may certify, and an article is read by models.
    """
    members = gap.members.filter(ticket__draw__purpose=Draw.Purpose.NONE).order_by("place")
    tickets = [member.ticket for member in members.select_related("ticket")[:LOOKED_AT]]
    hidden = blind.sealed(tickets, at=at)
    open_ = [ticket for ticket in tickets if ticket.pk not in hidden]
    sentences: dict[str, str] = {}
    for ticket in open_:
        sentence = _first_sentence(ticket.body) or ticket.subject.strip()
        if sentence:
            sentences.setdefault(sentence.casefold(), sentence[:LONGEST_SENTENCE])
    title = gap.words[:1].upper() + gap.words[1:]
    return Draft(
        key=_key(gap),
        title=title,
        symptoms="\n".join(f"- {sentence}" for sentence in list(sentences.values())[:SENTENCES]),
        body=_body([ticket.pk for ticket in open_]),
    )


def _first_sentence(body: str) -> str:
    """The first sentence of some length: greetings are shorter."""
    parts = [" ".join(part.split()) for part in _END.split(body[:2_000])]
    return next((part for part in parts if len(part) > 20), "")


def _key(gap: Gap) -> str:
    """A key that is free, from the words; a person may choose another."""
    slug = _NO_KEY.sub("-", gap.words).strip("-").lower()[:40].strip("-")
    start = slug if re.fullmatch(KEY, slug) else f"gap-{gap.pk}"
    taken = set(Article.objects.filter(key__startswith=start).values_list("key", flat=True))
    taken |= set(
        Article.objects.filter(translation_group__startswith=start).values_list("translation_group", flat=True)
    )
    return start if start not in taken else f"{start}-{gap.pk}"


def _body(tickets: list[int]) -> str:
    """A skeleton: what to do, and below it what agents asked or answered and whom they gave it to."""
    rows = Review.objects.filter(ticket__in=tickets, undone_at__isnull=True).order_by("pk")
    told = Writeback.objects.filter(key__in=[key_of(row) for row in rows], content__public=True).order_by("pk")
    texts = Counter(str(content.get("text", "")).strip() for content in told.values_list("content", flat=True))
    takers = Counter(row.note for row in rows if row.follow == "assign" and row.note)
    lines = [_("What to do:"), "", "1. "]
    replies = [text for text, _count in texts.most_common(REPLIES) if text]
    if replies:
        lines += ["", _("What agents wrote to requesters:")]
        lines += [f"\n{text[:LONGEST_REPLY]}" for text in replies]
    if takers:
        lines += ["", _("Whom it was given to:")]
        lines += [f"- {name} ({count})" for name, count in takers.most_common(REPLIES)]
    return "\n".join(lines)
