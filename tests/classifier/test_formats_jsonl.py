"""Labelled files: what is read, and what is refused with its place and a way out."""

import gzip
import json
from pathlib import Path

import pytest

from classifier.formats.jsonl import FormatError, Row, read
from classifier.text import Document


def written(folder: Path, *lines: str | bytes, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines))
    return path


def test_rows_are_read_with_subject_language_unknown_keys_and_their_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '{"text": "My mailbox is full", "label": " quota ", "subject": "Mail", "lang": "en", "queue": [1, {}]}',
        "",
        '{"label": "vpn", "text": "接続できません", "subject": null, "lang_guess": "ja"}',
    )
    assert read(path) == [
        Row(Document("Mail", "My mailbox is full"), "quota", "en", 1),
        Row(Document("", "接続できません"), "vpn", "ja", 3),
    ]


def test_gzip_is_told_by_its_bytes_and_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf{"text": "a", "label": "b"}\n{"text": "c", "label": "d"}'
    for name in ("rows.jsonl.gz", "rows"):
        (tmp_path / name).write_bytes(gzip.compress(text))
        assert [row.label for row in read(tmp_path / name)] == ["b", "d"]


def test_out_of_scope_rows_need_no_label(tmp_path: Path) -> None:
    path = written(tmp_path, '{"text": "a"}', '{"text": "b", "label": 7}')
    assert [row.label for row in read(path, labelled=False)] == ["", ""]


def test_hostile_text_is_data_not_an_error(tmp_path: Path) -> None:
    text = "{{[[" * 200 + "\u0000\n__label__x </s> \ud800 ,,,"
    path = written(tmp_path, json.dumps({"text": text + "," * 20_000, "label": "x"}))
    assert read(path)[0].document.body.startswith(text)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{text: 1}", "not JSON at character 2"),
        ('["text"]', "one JSON object is wanted"),
        ('{"label": "x", "body": "y"}', '"text" is missing; it has body, label'),
        ('{"text": "a"}', '"label" is missing'),
        ('{"text": "a", "label": 3}', '"label" must be text in quotes, not 3'),
        ('{"text": ["a"], "label": "x"}', '"text" must be text in quotes'),
        ('{"text": "a", "label": "  "}', "the label is empty"),
        ('{"text": "a", "label": "x\\ny"}', "printable"),
        ('{"text": "a", "label": "\\ud800"}', "printable"),
        ('{"text": "a", "text": "b", "label": "x"}', "the key 'text' stands twice"),
        ('{"text": "a", "label": "x", "n": NaN}', "NaN is no JSON number"),
        ('{"text": "a", "label": "x", "n": -Infinity}', "Infinity is no JSON number"),
        ('{"text": "a", "label": "x", "n": 1e999}', "too large"),
        ('{"text": "a", "label": "x", "n": ' + "9" * 5000 + "}", "too large"),
        ('{"text": "a", "label": "x", "n": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested more than 64 deep"),
        ('{"text": "a", "label": "x", "n": [' + "0," * 20_000 + "0]}", "more than 10,000 values"),
        ('{"text": "' + "a" * (1 << 20) + '", "label": "x"}', "longer than 1,048,576 bytes"),
        (b'{"text": "\xff", "label": "x"}', "byte 11 is not UTF-8"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, line: str | bytes, complaint: str
) -> None:
    path = written(tmp_path, '{"text": "fine", "label": "x"}', line)
    with pytest.raises(FormatError) as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}, line 2: ")
    assert complaint in str(refusal.value)


def test_damaged_missing_and_empty_files_are_refused_by_name(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"text": "a", "label": "b"}\n' * 1000)
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "altered.gz").write_bytes(whole[:20] + b"\x00\xff\x00" + whole[23:])
    for name in ("cut.gz", "altered.gz"):
        with pytest.raises(FormatError, match=f"{name} is damaged"):
            read(tmp_path / name)
    with pytest.raises(FormatError, match=r"none\.jsonl cannot be read: No such file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(FormatError, match="holds no rows"):
        read(written(tmp_path, "", "  "))
