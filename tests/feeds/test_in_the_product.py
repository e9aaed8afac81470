"""Feeds in the product: rung and carried out, by hand on the command line, suggested at once, kept promises at the end."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django.utils import timezone

from classifier.text import Document
from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import Account, create
from tests import factories, past, trained
from tests.factories import NOW
from triage import bell, prediction, recovery, serving, tasks
from triage.cli import cli
from triage.feeds import passes
from triage.models import Article, ArticleFeed, Decision, Mode, Notification

pytestmark = pytest.mark.django_db(transaction=True)
BADGE = Document("badge", "my badge does not open the turnstile at the gate, the reader stays red")
LOCKED = Document("unlock office", "hello, my account is locked after too many failed sign-ins in the office regards")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two articles."""
    place = tmp_path / "articles"
    place.mkdir()
    (place / "badge.md").write_text("# Badge does not open the turnstile\n\nThe reader at the gate stays red.\n")
    (place / "printer.md").write_text("# Printer is on fire\n")
    return place


def feed_of(folder: Path, **values: Any) -> ArticleFeed:
    given: dict[str, Any] = {"slug": "wiki", "kind": "folder", "name": "Wiki", "settings": {"path": str(folder)}}
    return ArticleFeed.objects.create(**{**given, **values})


def test_a_feed_is_rung_for_when_it_is_due_and_gone_over_by_its_task(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, by_hand = feed_of(folder), feed_of(folder, slug="by-hand", every=None, customer=factories.customer())
    assert feed_of(folder, slug="off", enabled=False) is not None
    rings = [bell for bell in recovery.sweep(at=timezone.now()).bells if bell[0] == "sync_articles"]
    assert rings == [("sync_articles", (feed.pk,))]
    rung: list[tuple[Any, ...]] = []
    monkeypatch.setattr(bell, "ring_now", lambda *what: rung.append(what))
    monkeypatch.setattr("triage.feeds.folder.PAGE", 1)
    monkeypatch.setitem(passes.sync.__kwdefaults__ or {}, "seconds", -1.0)  # each message carries one page
    tasks.sync_articles(feed.pk)
    assert (Article.objects.count(), rung) == (1, [("sync_articles", feed.pk)])
    tasks.sync_articles(feed.pk)
    assert Article.objects.count() == 2
    assert rung == [("sync_articles", feed.pk)]  # the pass is whole: nothing more to ring for
    tasks.sync_articles(feed.pk)  # a message that came twice
    assert passes.due(at=timezone.now()) == []
    assert passes.due(at=timezone.now() + timedelta(seconds=901)) == [feed.pk]
    assert not ArticleFeed.objects.get(pk=by_hand.pk).done_at


def triage(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.usefixtures("lake")
def test_the_command_line_pulls_articles_too_and_a_second_time_changes_nothing(folder: Path) -> None:
    feed_of(folder)
    ended = triage("pull", "--json", "-")
    assert ended.exit_code == 0, ended.output
    (told,) = json.loads(ended.stdout)["feeds"]
    assert (told["feed"], told["added"], told["complete"], told["full"]) == ("wiki", 2, True, True)
    assert "wiki: 2 articles in 1 pages, 2 new, 0 changed, 0 back, 0 retired" in ended.stderr
    again = json.loads(triage("pull", "--articles", "--json", "-").stdout)
    assert (again["sources"], again["feeds"][0]["added"], again["feeds"][0]["changed"]) == ([], 0, 0)
    (folder / "badge.md").write_text("# Badge\n\nNew text\n")
    assert json.loads(triage("pull", "--feed", "wiki", "--json", "-").stdout)["feeds"][0]["changed"] == 1
    folder.rename(folder.with_name("away"))
    failed = triage("pull", "--json", "-")
    assert failed.exit_code == 1
    assert "cannot be read" in json.loads(failed.stdout)["feeds"][0]["failure"]
    assert (
        triage("pull", "--feed", "nowhere").exit_code,
        triage("pull", "--feed", "wiki", "--source", "x").exit_code,
    ) == (2, 2)


def test_what_a_feed_brings_is_suggested_at_once_and_no_more_once_it_is_retired(folder: Path) -> None:
    customer = factories.customer()
    for label in past.PROBLEMS:
        factories.article(key=label)
    model = serving.load(trained.release(customer))

    def suggested() -> list[str]:
        (placed,) = serving.suggest_new(model, model.classifier.rank([BADGE]))
        return [one.label for one in (*placed.in_front, *placed.after)]

    assert suggested() == []
    feed = feed_of(folder, customer=customer)
    assert passes.sync(feed.pk, at=timezone.now()) is not None
    assert suggested() == ["badge"]
    (folder / "badge.md").write_text("---\nretired: true\n---\n# Badge does not open the turnstile\n")
    done = passes.sync(feed.pk, at=timezone.now(), by_hand=True)
    assert done is not None
    assert done.counts.retired == 1
    assert suggested() == []


def test_an_article_that_leads_to_a_runbook_ends_its_automation_and_somebody_is_told(tmp_path: Path) -> None:
    customer = factories.customer(mode=Mode.AUTOMATE)
    for label in past.PROBLEMS:
        factories.article(key=label, runbook="unlock_account" if label == "unlock-account" else "", customer=customer)
    ada = Account(uid="ada", display_name="Ada Lovelace", mail="ada@example.org", locked=True)
    create(tmp_path / "directory.sqlite3", [ada])
    factories.target(customer, kind="directory", settings=f'{{"path": "{tmp_path / "directory.sqlite3"}"}}')
    release = trained.release(customer)
    folder = tmp_path / "articles"
    folder.mkdir()
    for label in past.PROBLEMS:
        (folder / f"{label}.md").write_text(f"# {label}\n")
    feed = feed_of(folder, customer=customer, adopt=True)

    def gate() -> str:
        with serving.offered(customer) as articles:
            pool = [RUNBOOKS["unlock_account"]]
            return serving.gate(serving.load(release), pool=pool, articles=articles).hash

    before = gate()
    factories.certificate(
        release, gate=before, action_digests={"unlock_account": RUNBOOKS["unlock_account"].action_digest}
    )
    passes.sync(feed.pk, at=NOW, by_hand=True)
    assert gate() == before
    source = factories.source(customer=customer)
    assert _decided(source, "1").mode == Mode.AUTOMATE
    (folder / "unlock-account.md").unlink()
    done = passes.sync(feed.pk, at=NOW, by_hand=True)
    assert done is not None
    assert done.counts.retired == 1
    assert gate() == before  # the certificate stands: what it promises is about tickets that run, and none does
    decided = _decided(source, "2")
    assert decided.mode == Mode.SUGGEST
    assert "is retired" in decided.reason
    told = Notification.objects.get(kind="runbook_article_retired")
    assert (told.customer, "unlock_account" in told.text) == (customer, True)
    (folder / "unlock-account.md").write_text("# Account locked\n")
    passes.sync(feed.pk, at=NOW, by_hand=True)
    assert _decided(source, "3").mode == Mode.AUTOMATE


def _decided(source: Any, external_id: str) -> Decision:
    ticket = factories.ticket(
        source=source, external_id=external_id, subject=LOCKED.subject, body=LOCKED.body + external_id, channel="portal"
    )
    prediction.classify_batch(at=NOW, limit=10)
    found: Decision = Decision.objects.filter(ticket=ticket).latest("pk")
    return found
