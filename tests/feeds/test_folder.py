"""The `folder` feed keeps the contract of all feeds, and what is its own."""

import os
import time
from pathlib import Path
from typing import ClassVar

import pytest

from tests.feeds.contract import HOUR, HTML, START, Translated
from tests.feeds.fakes.folder import Folder
from triage.models import Article, ArticleFeed, FeedArticle

pytestmark = pytest.mark.django_db


class TestFolder(Translated):
    """The contract."""

    kind: ClassVar = "folder"
    library_kind: ClassVar = Folder

    def check_text(self, body: str) -> None:
        """Markdown is read as it is, and shown as text."""
        assert body == HTML

    def test_a_folder_that_is_not_there_is_a_failure_and_retires_nothing(
        self, library: Folder, feed: ArticleFeed
    ) -> None:
        self.several(library, 2)
        self.well(feed)
        library.folder.rename(library.folder.with_name("away"))
        assert "cannot be read" in self.sync(feed, START + HOUR).failure
        assert not Article.objects.filter(retired_at__isnull=False).exists()

    def test_names_and_headings_serve_where_there_is_no_front_matter(self, library: Folder, feed: ArticleFeed) -> None:
        inner = library.folder / "Network & VPN"
        inner.mkdir()
        (inner / "drops.md").write_text("Intro\n\n## VPN drops ##\n\nRestart it.\n", encoding="utf-8")
        (inner / "drops.de.md").write_text("# VPN bricht ab\n", encoding="utf-8-sig")
        (inner / "plain.markdown").write_bytes(b"No heading\r\nat all")
        self.well(feed)
        rows = {row.title: (row.language, row.key, row.translation_group, row.body) for row in Article.objects.all()}
        key = "Network-VPN-drops"
        assert rows["VPN drops"] == ("en", key, key, "Intro\n\n\n\nRestart it.")
        assert rows["VPN bricht ab"][0] == "de"
        assert rows["VPN bricht ab"][2] == key
        assert rows["plain"][3] == "No heading\nat all"

    def test_front_matter_begins_an_article_and_never_overwrites_people(
        self, library: Folder, feed: ArticleFeed
    ) -> None:
        head = (
            "key: 0012\ntitle: 'Badge: red'\nlang: de\nsymptoms: Red light\naliases: [pass, 7, {a: b}]\nrunbook: unlock"
        )
        file = library.folder / "badge.md"
        file.write_text(f"---\n{head}\n---\n# Another heading\n", encoding="utf-8")
        self.well(feed)
        found = self.article("0012")
        assert (found.title, found.language, found.symptoms, found.aliases) == (
            "Badge: red",
            "de",
            "Red light",
            ["pass", "7"],
        )
        assert (found.body, found.runbook) == ("# Another heading", "")
        file.write_text(f"---\n{head.replace('Red light', 'Blue light')}\n---\nNew\n", encoding="utf-8")
        self.well(feed, START + HOUR)
        found.refresh_from_db()
        assert (found.body, found.symptoms) == ("New", "Red light")

    def test_a_file_with_a_key_may_move_and_a_key_in_two_files_is_shown(
        self, library: Folder, feed: ArticleFeed
    ) -> None:
        key, _ = self.several(library, 2)
        self.well(feed)
        file = library.folder / f"{key}.md"
        (library.folder / "inner").mkdir()
        moved = file.rename(library.folder / "inner" / "moved.md")
        assert self.well(feed, START + HOUR).counts.retired == 0
        (library.folder / "zz.md").write_text(f"---\nkey: {key}\n---\n# Twin\n", encoding="utf-8")
        assert self.well(feed, START + 2 * HOUR).counts.refused == 1
        assert self.article(key).title == "Article 0"
        assert "listed twice" in FeedArticle.objects.get(article__key=key).problem
        moved.unlink()
        assert self.well(feed, START + 3 * HOUR).counts.changed == 1
        assert (self.article(key).title, self.article(key).fed.problem) == ("Twin", "")

    def test_links_lead_nowhere_and_what_is_hidden_stays_hidden(
        self, library: Folder, feed: ArticleFeed, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret.md"
        secret.write_text("# Secret\n", encoding="utf-8")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "far.md").write_text("# Far\n", encoding="utf-8")
        (library.folder / "link.md").symlink_to(secret)
        (library.folder / "folder").symlink_to(tmp_path / "elsewhere")
        (library.folder / ".git").mkdir()
        (library.folder / ".git" / "x.md").write_text("# Hidden\n", encoding="utf-8")
        os.mkfifo(library.folder / "pipe.md")
        (library.folder / "own.md").write_text("# Own\n", encoding="utf-8")
        done = self.well(feed)
        assert [row.title for row in Article.objects.all()] == ["Own"]
        assert done.counts.refused == 1  # the pipe

    @pytest.mark.parametrize(
        ("raw", "said"),
        [
            (b"---\nkey: [a\n---\n", "no YAML, line"),
            (b"---\n" + b"[" * 5000 + b"\n---\n", "brackets"),
            (b"---\n- a\n---\n", "no list of"),
            (b"---\nx: " + b"y" * 20_000 + b"\n---\n", "16 KiB"),
            (b"---\nkey: ../../etc/passwd\n---\n# T", "cannot be a key"),
            (b"\xff\xfe", "not UTF-8"),
            (b"x" * (1024 * 1024 + 1), "1 MiB"),
        ],
    )
    def test_a_file_that_cannot_be_used_is_named_with_its_reason(
        self, library: Folder, feed: ArticleFeed, raw: bytes, said: str
    ) -> None:
        (library.folder / "bad.md").write_bytes(raw)
        (library.folder / "good.md").write_text("# Good\n", encoding="utf-8")
        done = self.well(feed)
        assert (done.counts.added, done.counts.refused) == (1, 1)
        problem = FeedArticle.objects.get(external_id="bad.md").problem
        assert problem.startswith("bad.md: ")
        assert said in problem

    def test_hostile_markdown_costs_no_time(self, library: Folder, feed: ArticleFeed) -> None:
        started = time.process_time()
        for number, text in enumerate(("# " + "#" * 900_000, "#" * 900_000, "---\n" * 200_000, "# \n" * 300_000)):
            (library.folder / f"{number}.md").write_text(text, encoding="utf-8")
        self.well(feed)
        assert time.process_time() - started < 4
