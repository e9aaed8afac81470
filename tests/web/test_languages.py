"""The interface in German and Japanese: whole catalogs, whole pages, and stored sentences in the reader's language."""

import ast
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client, override_settings
from django.utils import timezone, translation

from runbooks import registry
from tests import factories
from tests.browser.pages import furnish, pages
from tests.web.conftest import client_of
from tests.web.scene import Scene, busy
from triage import ended
from triage.connecting import vendors
from triage.models import (
    Article,
    ArticleFeed,
    Certificate,
    Decision,
    FeedArticle,
    Notification,
    Prediction,
    Run,
    Ticket,
)
from triage.web.told import SENTENCES, told

ROOT = Path(settings.BASE_DIR)
CATALOGS = ROOT / "triage" / "locale"
LANGUAGES = ("de", "ja")
NAMED = re.compile(r"%\(\w+\)[sd]")
TAGS = re.compile(r"<[^>]+>")
BRACED = re.compile(r"\{\w+\}")


@pytest.fixture(scope="module")
def gettext_tools() -> None:
    if not (shutil.which("xgettext") and shutil.which("msgfmt")):
        pytest.skip("there are no gettext tools: install them with `apt-get install gettext`")


@pytest.fixture(scope="module")
def made_anew(gettext_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with its catalogs, after `makemessages` went over it."""
    copy = tmp_path_factory.mktemp("tree") / "triage"
    left = shutil.ignore_patterns("migrations", "demo", "static", "__pycache__")
    shutil.copytree(ROOT / "triage", copy, ignore=left)
    with pytest.MonkeyPatch.context() as patch, override_settings(LOCALE_PATHS=[str(copy / "locale")]):
        patch.chdir(copy)
        call_command("makemessages", locale=list(LANGUAGES), add_location="file", verbosity=0)
    return copy / "locale"


def _entries(catalog: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The comments and the fields of each message."""
    for block in catalog.read_text(encoding="utf-8").split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if found := re.match(r'(msg\w+(?:\[\d])?) (".*")$', line):
                name = found[1]
                fields[name] = ast.literal_eval(found[2])
            elif line.startswith('"') and name:
                fields[name] += ast.literal_eval(line)
        if fields.get("msgid"):
            yield "\n".join(line for line in block.splitlines() if line.startswith("#")), fields


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalog_has_every_message_of_the_code_and_no_other(made_anew: Path, language: str) -> None:
    catalog = made_anew / language / "LC_MESSAGES" / "django.po"
    messages = list(_entries(catalog))
    assert len(messages) > 2000
    told_so = "run: cd triage && django-admin makemessages, translate, compilemessages (docs/languages.md)"
    lacking = [
        fields["msgid"]
        for comments, fields in messages
        if "fuzzy" in comments or not all(text for name, text in fields.items() if name.startswith("msgstr"))
    ]
    assert lacking == [], told_so
    obsolete = re.findall(r"^#~ msgid (.*)", catalog.read_text(encoding="utf-8"), re.MULTILINE)
    assert obsolete == [], told_so


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalog_is_the_one_that_is_written(gettext_tools: None, tmp_path: Path, language: str) -> None:
    folder = CATALOGS / language / "LC_MESSAGES"
    subprocess.run(["msgfmt", "--check-format", "-o", tmp_path / "new.mo", folder / "django.po"], check=True)
    said = [
        subprocess.run(["msgunfmt", compiled], check=True, capture_output=True).stdout
        for compiled in (folder / "django.mo", tmp_path / "new.mo")
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_placeholders_and_tags(language: str) -> None:
    for _, fields in _entries(CATALOGS / language / "LC_MESSAGES" / "django.po"):
        wanted = [fields["msgid"], fields.get("msgid_plural", fields["msgid"])]
        for name, text in fields.items():
            if name.startswith("msgstr"):
                # one of something may be said without its number
                names = [set(NAMED.findall(one)) for one in wanted]
                assert set(NAMED.findall(text)) in names, text
                assert Counter(TAGS.findall(text)) in [Counter(TAGS.findall(one)) for one in wanted], text


def _said_in_code() -> str:
    """Every text in the code below the pages, with `{}` where a value stands."""
    texts: list[str] = []
    for room in ("triage", "runbooks", "classifier"):
        for file in (ROOT / room).rglob("*.py"):
            if "told" not in file.parts and "migrations" not in file.parts:
                texts.extend(_texts(ast.parse(file.read_text(encoding="utf-8"))))
    return "\0".join(texts) + "\0" + "\0".join(texts).replace("_", " ")


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def _pieces(sentence: str, code: str) -> list[str]:
    """The sentence as the longest pieces that stand in the code, one after the other."""
    found: list[str] = []
    rest = sentence
    while rest:
        length = next((size for size in range(len(rest), 2, -1) if rest[:size] in code), 0)
        if not length:
            return [*found, f"?{rest}"]
        found.append(rest[:length])
        rest = rest[length:].removeprefix("{}")
    return found


def test_every_sentence_that_is_told_is_still_said_somewhere() -> None:
    code = _said_in_code()
    for sentence in SENTENCES:
        plain = NAMED.sub("{}", sentence).replace("%%", "%")
        pieces = _pieces(plain, code)
        assert len(pieces) <= 5, (sentence, pieces)
        assert not pieces[-1].startswith("?") or len(pieces[-1]) < 4, (sentence, pieces)


def test_a_stored_sentence_is_told_in_the_readers_language() -> None:
    waits = "Unlock must wait: its circuit is open: 3 of the last 10 runs went wrong; a person must close it."
    with translation.override("de"):
        assert told("The ticket was decided anew.") == "Über das Ticket wurde neu entschieden."
        assert told("Article KB0001 has no runbook.") == "Der Artikel KB0001 hat kein Runbook."
        assert told(waits) == (
            "Unlock muss warten: seine Sicherung ist offen: 3 der letzten 10 Läufe gingen schief; "
            "ein Mensch muss sie schließen."
        )
        two = told("Its run is gone. Lost before the start 3 times.")
        assert two == "Sein Lauf ist weg. Vor dem Start 3-mal verloren."
        assert told("Somebody wrote this by hand.") == "Somebody wrote this by hand."
        assert told("Its run is gone. Call Ada.") == "Its run is gone. Call Ada."
    with translation.override("ja"):
        assert (
            told("Its run is gone. Lost before the start 3 times.") == "実行が失われました。開始前に3回失われました。"
        )
    with translation.override("en"):
        assert told(waits) == waits


def test_hostile_text_is_told_as_it_is_and_at_once() -> None:
    hostile = "Article " + "the runbook {x} %(why)s: ; , " * 130
    with translation.override("ja"):
        begun = time.process_time()
        assert [told(f"{hostile}{number}") for number in range(20)] == [f"{hostile}{number}" for number in range(20)]
        assert time.process_time() - begun < 2
        assert told("<b>%(x)s</b> has this ticket open. Take another one.").startswith("<b>%(x)s</b>")


def test_what_is_stored_stays_english_whoever_is_at_work(db: None) -> None:
    ticket = factories.ticket()
    assert ticket.customer is not None
    run = factories.run(ticket, factories.target(ticket.customer), status=Run.Status.FAILED)
    with translation.override("de"):
        ended.tell_people(run, at=timezone.now())
        text = Notification.objects.get().text
        assert text.endswith(": failed.")
        assert told(text).endswith(": fehlgeschlagen.")


class _Words(HTMLParser):
    """What a page says of itself: its texts and labels, without code, tickets' texts and texts of another language."""

    ALONE = {"input", "img", "br", "meta", "link", "path", "rect", "line", "circle", "use", "hr"}
    FOREIGN = {"bdi", "code", "pre", "script", "textarea", "kbd", "svg"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.said: list[str] = []
        self.language: str | None = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note labels, and whether what follows is the page's own."""
        given = dict(attrs)
        if tag == "html":
            self.language = given.get("lang")
        self.said += [given[name] or "" for name in ("aria-label", "placeholder", "title") if name in given]
        if tag not in self.ALONE:
            self.open.append(
                (tag, tag in self.FOREIGN or ("lang" in given and tag != "html") or given.get("class") == "text")
            )

    def handle_endtag(self, tag: str) -> None:
        """Close what is open up to this element."""
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Note a text of the page's own."""
        if data.strip() and not any(foreign for _, foreign in self.open):
            self.said.append(" ".join(data.split()))


TELLTALE = re.compile(
    r"\b(the|and|of|is|are|not|with|from|to|by|it|this|that|ago|until|since|who|what|at|all|new|yet|"
    r"show|open|search|save|waiting|needs|runs|approve|found)\b"
)
ENGLISH_ON_PURPOSE = {
    "api": "what the API takes and gives, as its description for programs says it",
    "delivery": "a message as it came, and what other programs say",
    "source-test": "as above",
}


def _contents() -> list[str]:
    """What people, runbooks and the believable desk's stored rows say: it is as it was written, longest first."""
    found = [text for pair in Ticket.objects.values_list("subject", "body", "reason", "external_id") for text in pair]
    found += [text for pair in Article.objects.values_list("title", "symptoms", "body") for text in pair]
    found += [row.evidence.get("reason", "") for row in Prediction.objects.all()]
    found += [text for row in Certificate.objects.all() for text in (row.sentence, *row.breaks)]
    found += [text for pair in ArticleFeed.objects.values_list("name", "failure") for text in pair]
    found += [text for pair in FeedArticle.objects.values_list("title", "problem") for text in pair]
    found += [*Decision.objects.values_list("reason", flat=True), *Run.objects.values_list("reason", flat=True)]
    found += [vendor.name for vendor in vendors.VENDORS.values()]
    for runbook in registry.RUNBOOKS.values():
        found += [runbook.title, *(parameter.title for parameter in runbook.parameters)]
    return sorted({text for text in found if text}, key=len, reverse=True)


def test_every_page_speaks_the_language_and_nothing_of_ours_is_left_english(scene: Scene) -> None:
    """Each page in one of the languages, by turns: that both have every message is what the catalogs' test says."""
    busy(scene, at=timezone.now())
    desk = furnish(scene, at=timezone.now())
    contents, left = _contents(), []
    for page, language in zip(pages(desk), cycle(LANGUAGES), strict=False):
        answer = desk.client(page.who).get(page.path, headers={"Accept-Language": language})
        assert answer.status_code == page.status, page.name
        words = _Words()
        words.feed(answer.content.decode())
        assert words.language == ("" if page.part else language), page.name
        for said in words.said if page.name not in ENGLISH_ON_PURPOSE else ():
            for content in contents:
                said = BRACED.sub("", said).replace(content, "")  # noqa: PLW2901 - what is left of it is what counts
            if TELLTALE.search(said):
                left.append(f"{page.name}: {said}")
    assert not left, "\n".join(left)


def test_the_persons_choice_beats_the_browsers(db: None) -> None:
    person = factories.person(language="ja")
    answer = client_of(person).get("/me/", headers={"Accept-Language": "de"})
    assert 'lang="ja"' in answer.content.decode()
    assert "言語" in answer.content.decode()


@pytest.mark.parametrize(
    ("asked_for", "says"), [("de-AT,de;q=0.9", "Anmelden"), ("ja", "サインイン"), ("xx", "Sign in")]
)
def test_the_sign_in_page_follows_the_browser(client: Client, db: None, asked_for: str, says: str) -> None:
    page = client.get("/sign-in/", headers={"Accept-Language": asked_for}).content.decode()
    assert f">{says}</button>" in page
