"""Entries become articles: new ones are added, changed ones changed, and what people say here stays theirs.

The feed owns title, text and language, and whether the article is retired as long as nobody here retired it. Aliases,
symptoms, runbook and label belong to people here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from triage import lifecycle
from triage.feeds.base import KEY, LONGEST_REASON, Entry, Listed, Unusable
from triage.itsm.strict_json import shown
from triage.models import Article, ArticleFeed, FeedArticle

ACTOR = "system:articles"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a pass did, in articles; `refused`: listed, but no article here, each with its reason on the page."""

    seen: int = 0
    added: int = 0
    changed: int = 0
    back: int = 0
    retired: int = 0
    refused: int = 0

    def and_one(self, what: str) -> "Counts":
        """With one more of a kind; "" counts nothing."""
        return replace(self, **{what: getattr(self, what) + 1}) if what else self


def take(feed: ArticleFeed, page: Listed, *, counts: Counts, at: datetime) -> Counts:
    """One page of the pass that is going on, in the caller's transaction."""
    ids = [entry.external_id for entry in page.entries]
    rows = FeedArticle.objects.filter(feed=feed, external_id__in=ids).select_related("article")
    known = {row.external_id: row for row in rows}
    for entry in page.entries:
        row = known.setdefault(entry.external_id, FeedArticle(feed=feed, external_id=entry.external_id))
        counts = counts.and_one("seen").and_one(_one(feed, row, entry, at=at))
    for one in page.unusable:
        counts = counts.and_one("refused")
        _put_aside(feed, one)
    return counts


def _one(feed: ArticleFeed, row: FeedArticle, entry: Entry, *, at: datetime) -> str:
    """Take over one entry; what became of it, as a name of Counts."""
    if not entry.live:
        # what never was an article here is none of ours; the end of the pass decides about the others
        if row.pk is not None:
            _keep(row, leaving_in=feed.pass_id)
        return ""
    if row.article_id and row.seen_in == feed.pass_id and row.digest != entry.digest:
        _keep(row, problem=f"It is listed twice with different texts; {shown(entry.title)} was left out.")
        return "refused"
    row.leaving_in, row.seen_in = None, feed.pass_id
    row.title, row.url, row.changed_at = entry.title, entry.url, entry.changed_at
    if row.article is not None:
        return _follow(feed, row, row.article, entry, at=at)
    row.key = _key(feed, entry.key)
    row.label, settled = _label(feed, entry)
    row.problem = _clash(feed, row, settled=settled)
    before = _taken_over(feed, row)
    if before is not None:
        row.problem = ""
        return _follow(feed, row, before, entry, at=at)
    return _add(feed, row, entry, at=at)


def _add(feed: ArticleFeed, row: FeedArticle, entry: Entry, *, at: datetime) -> str:
    """A new article, unless its key or label belongs to another."""
    if not row.problem:
        try:
            with transaction.atomic():
                row.article = Article.objects.create(
                    customer=feed.customer,
                    key=row.key,
                    title=entry.title,
                    symptoms=entry.symptoms,
                    body=entry.body,
                    aliases=list(entry.aliases),
                    language=entry.language,
                    translation_group=row.label,
                )
        except IntegrityError:
            row.problem = f"The key {row.key} was given to another article just now."
    row.digest = entry.digest if row.article else ""
    row.save()
    if row.article is None:
        return "refused"
    lifecycle.record(row=row.article, event="added", at=at, actor=ACTOR, reason=f"feed {feed.slug}")
    return "added"


def _follow(feed: ArticleFeed, row: FeedArticle, article: Article, entry: Entry, *, at: datetime) -> str:
    """What the feed owns follows it; the article is locked, since people may be changing the rest."""
    label, settled = _label(feed, entry)
    back = row.gone_at is not None
    if row.pk and row.article_id and row.digest == entry.digest and label == row.label and not back:
        _keep(row, problem="", leaving_in=None, seen_in=row.seen_in, url=row.url, changed_at=row.changed_at)
        return ""
    article = Article.objects.select_for_update().get(pk=article.pk)
    values: dict[str, object] = {}
    if row.digest != entry.digest:
        values |= {"title": entry.title, "body": entry.body, "language": entry.language}
    if back and article.retired_at == row.gone_at:  # whom a person retired stays retired
        values["retired_at"] = None
    # a label that a person gave it here stays
    if row.article_id and label != row.label and article.translation_group == row.label:
        values |= {"translation_group": label} if settled or not _used(feed, label) else {}
    changed = [name for name, value in values.items() if getattr(article, name) != value]
    for name in changed:
        setattr(article, name, values[name])
    if changed:
        article.save(update_fields=[*changed, "updated_at"])
        event = "back" if "retired_at" in changed else "changed"
        lifecycle.record(row=article, event=event, at=at, actor=ACTOR, reason=f"feed {feed.slug}: {', '.join(changed)}")
    row.article, row.digest, row.gone_at, row.problem, row.label = article, entry.digest, None, "", label
    row.save()
    return "back" if "retired_at" in changed else "changed" if changed else ""


def _keep(row: FeedArticle, **columns: object) -> None:
    FeedArticle.objects.filter(pk=row.pk).update(**columns)


def _put_aside(feed: ArticleFeed, one: Unusable) -> None:
    """A record that cannot be read retires nothing: what it stands for is kept, with the reason."""
    if not one.external_id:
        return
    mine = FeedArticle.objects.filter(feed=feed)
    # an article's translations; a file by its path
    parts = Q(external_id__startswith=f"{one.external_id}:") | Q(url=one.external_id)
    known = mine.filter(Q(external_id=one.external_id) | parts)
    said = {"problem": one.reason[:LONGEST_REASON], "seen_in": feed.pass_id, "leaving_in": None}
    if not known.update(**said):
        FeedArticle.objects.create(feed=feed, external_id=one.external_id, **said)


def _key(feed: ArticleFeed, key: str) -> str:
    return f"{feed.settings.get('key_prefix', '')}{key}"


def _label(feed: ArticleFeed, entry: Entry) -> tuple[str, bool]:
    """The label of the article that this one translates, its own key otherwise; and whether the former stands here.

    Then it may be a label that people gave it, and the translation goes along.
    """
    if entry.group == entry.key:
        return _key(feed, entry.key), False
    key = _key(feed, entry.group)
    source = FeedArticle.objects.filter(feed=feed, key=key, article__isnull=False).select_related("article").first()
    return (source.article.translation_group, True) if source and source.article else (key, False)


def _clash(feed: ArticleFeed, row: FeedArticle, *, settled: bool) -> str:
    """Why this key or label cannot be used; empty where it can."""
    if not (KEY.fullmatch(row.key) and KEY.fullmatch(row.label)):
        return f"The key {shown(row.key)} is longer than 60 characters; shorten key_prefix in the feed's settings."
    other = Article.objects.filter(customer=feed.customer, key=row.key).first()
    other = other or _used(feed, row.key) or (None if settled else _used(feed, row.label))
    if other is None:
        return ""
    whose = "an article of this customer" if other.customer_id else "an article that all customers share"
    return (
        f"{row.key} is in use: {whose}, {shown(other.title)}. Let the feed take over articles with its keys, or set a "
        "key_prefix."
    )


def _used(feed: ArticleFeed, label: str) -> Article | None:
    """An article that is not this feed's and that has the label, or would share it: it would lead to its runbook."""
    seen = Q(customer=feed.customer) | Q(customer__isnull=True)
    rows = Article.objects.filter(seen, Q(key=label) | Q(translation_group=label))
    return rows.exclude(pk__in=FeedArticle.objects.filter(feed=feed, article__isnull=False).values("article")).first()


def _taken_over(feed: ArticleFeed, row: FeedArticle) -> Article | None:
    """The article of the same owner and key that no feed has yet, where the feed is to take such over."""
    if not feed.adopt:
        return None
    free = Article.objects.filter(customer=feed.customer, key=row.key, fed__isnull=True)
    return free.first()


def problems(feed: ArticleFeed) -> Iterable[FeedArticle]:
    """What the feed lists and is no article here, or no longer follows, with the reason."""
    return FeedArticle.objects.filter(feed=feed).exclude(problem="").select_related("article").order_by("external_id")
