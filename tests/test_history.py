"""Past tickets come from files, whole or not at all, and each of them once."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import factories, past
from triage import history, landing
from triage.cli import cli
from triage.history import HistoryRefused, Past, bring_in, read
from triage.learning import labelled
from triage.models import AuditEvent, Customer, Label

LABELS = {"KB0001": "KB0001", "KB0001-DE": "KB0001", "KB0002": "KB0002"}


def csv_of(*lines: str, heading: str = "subject,body,article") -> bytes:
    return "\n".join((heading, *lines)).encode()


def refused(raw: bytes, **how: str) -> list[tuple[int, str]]:
    with pytest.raises(HistoryRefused) as found:
        read(raw, labels=LABELS, **how)
    return found.value.problems


def test_csv_is_read_with_quotes_line_breaks_and_whatever_separates() -> None:
    text = 'Locked,"my account,\r\nsince ""today""",KB0001-DE\r\n,only a body,none\r\n'
    wanted = [Past("Locked", 'my account,\r\nsince "today"', "KB0001"), Past("", "only a body", "")]
    heading = "Subject, BODY ,article"
    assert read(csv_of(text, heading=heading), labels=LABELS) == wanted
    assert read(b"\xef\xbb\xbf" + csv_of(text, heading=heading), labels=LABELS) == wanted
    other = "number;article;subject;body\n7;KB0002;Drucker;läuft nicht"
    for encoding in ("cp1252", "utf-16"):
        assert read(other.encode(encoding), labels=LABELS, encoding=encoding) == [
            Past("Drucker", "läuft nicht", "KB0002")
        ]
    assert read(other.encode("utf-16"), labels=LABELS)[0].body == "läuft nicht"


def test_json_lines_are_read_and_other_keys_left_aside() -> None:
    lines = [{"subject": "a", "body": "b", "article": "KB0001", "id": 7}, {"body": "c", "article": "KB0002"}]
    raw = "\n\n".join(json.dumps(line) for line in lines).encode()
    assert read(raw, labels=LABELS) == [Past("a", "b", "KB0001"), Past("", "c", "KB0002")]


def test_every_line_that_cannot_be_used_is_named() -> None:
    raw = csv_of('"two\nlines",x,KB0001', "a,b,KB9999", "a,b,", "a,b", ",,KB0001", f"a,{'x' * 64001},KB0001")
    found = refused(raw)
    assert [line for line, _ in found] == [4, 5, 6, 7, 8]
    assert "no live article 'KB9999'" in found[0][1]
    assert "write none" in found[1][1]
    assert "is a quote missing" in found[2][1]
    lines = ['{"body": "x", "article": "KB0001"}', '{"body": 1, "article": "KB0001"}', "[]", '{"body": "\\u0000"']
    assert [line for line, _ in refused("\n".join(lines).encode())] == [2, 3, 4]


@pytest.mark.parametrize(
    ("raw", "line", "why"),
    [
        (b"  ", 0, "empty"),
        (b"subject,body\na,b", 1, "article"),
        (b"subject,body,article,article\na,b,c,d", 1, "article"),
        (b"subject,body,article", 0, "no tickets"),
        (b"subject,body,article\na,\xff,KB0001", 2, "not UTF-8"),
        (b"subject,body,article\na,b\0,KB0001", 2, "NUL"),
        (b'subject,body,article\na,b,KB0001\na,"b"c,KB0001', 3, "not CSV"),
        (b'subject,body,article\na,"' + b"b" * 200_000 + b'",KB0001', 2, "not CSV"),
        (b'{"body": "\\u0000", "article": "KB0001"}', 1, "NUL"),
        (b'{"body": "' + b"[" * 100 + b'", "body": "x"}', 1, "twice"),
    ],
)
def test_hostile_and_broken_files_are_refused_with_the_line(raw: bytes, line: int, why: str) -> None:
    found = refused(raw)
    assert found[0][0] == line
    assert why in found[0][1]


def test_a_file_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_ROWS", 2)
    assert refused(csv_of(*["a,b,KB0001"] * 3)) == [(4, "The file has more than 2 tickets: split it.")]
    monkeypatch.setattr(history, "MOST_BYTES", 10)
    assert "split it" in refused(csv_of("a,b,KB0001"))[0][1]


@pytest.fixture
def customer(db: None) -> Customer:
    found = factories.customer(slug="acme")
    for label in past.PROBLEMS:
        factories.article(key=label, customer=found)
    factories.article(key="theirs", customer=factories.customer())
    return found


def file(count: int, **more: str) -> bytes:
    rows = [{"subject": d.subject, "body": d.body, "article": label} for d, label in past.tickets(count, seed=5)]
    return "\n".join(json.dumps({**row, **more}) for row in rows).encode()


def test_the_same_file_twice_a_longer_one_and_one_cut_short_bring_each_row_once(customer: Customer) -> None:
    first = bring_in(customer=customer, raw=file(30), actor="person:1", at=factories.NOW)
    assert (first.rows, first.new, first.articles) == (30, 30, 4)
    assert {row.provenance for row in Label.objects.of(customer)} == {"history"}
    Label.objects.filter(pk__in=Label.objects.values("pk")[:7]).delete()  # a process that died half-way
    again = bring_in(customer=customer, raw=file(30), actor="person:1", at=factories.NOW)
    longer = bring_in(customer=customer, raw=file(40), actor="person:1", at=factories.NOW)
    same = bring_in(customer=customer, raw=file(40), actor="person:1", at=factories.NOW)
    assert (again.new, longer.new, same.new, Label.objects.count()) == (7, 10, 0, 40)
    assert AuditEvent.objects.filter(event="history imported", actor="person:1").count() == 3
    other = factories.customer()
    with pytest.raises(HistoryRefused):
        bring_in(customer=other, raw=file(3), actor="person:1", at=factories.NOW)
    with pytest.raises(HistoryRefused, match="theirs"):
        bring_in(customer=customer, raw=file(3, article="theirs"), actor="person:1", at=factories.NOW)
    assert Label.objects.count() == 40


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("lake")
def test_the_command_imports_what_a_training_reads(tmp_path: Path, customer: Customer) -> None:
    path = tmp_path / "past.jsonl"
    path.write_bytes(file(60))
    ended = CliRunner().invoke(cli, ["import-history", str(path), "--customer", "acme", "--json", "-"])
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["new"] == 60
    landing.carry_labels(at=factories.NOW)
    assert len(labelled.labels_of(customer, at=factories.NOW).rows) == 60
    path.write_bytes(file(2) + b'\n{"body": "x", "article": "nowhere"}')
    failed = CliRunner().invoke(cli, ["import-history", str(path), "--customer", "acme"])
    assert failed.exit_code == 1
    assert f"{path}:3: There is no live article 'nowhere'" in failed.stderr
    assert CliRunner().invoke(cli, ["import-history", str(path), "--customer", "nobody"]).exit_code == 2
