"""The text pipeline under hostile input, in every script, and as one object that travels with the model."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.text import BAR, MASKS, Document, TextPipeline, masked, normalise, text_hash

HOSTILE = st.text(alphabet=st.characters(codec=None, categories=None), max_size=300) | st.lists(
    st.sampled_from(
        ["__label__x", "</s>", "||", "\x00", "\n", "\ud800", "\u202e", "\u200b", "é", "ﷺ", "日本語", "ไทย", "a"]
    )
).map("".join)


@settings(max_examples=150, deadline=None)
@given(subject=HOSTILE, body=HOSTILE, masks=st.sets(st.sampled_from(MASKS)))
def test_a_line_never_holds_what_fasttext_takes_for_its_own(subject: str, body: str, masks: set[str]) -> None:
    line = TextPipeline(masks=tuple(sorted(masks))).line(Document(subject, body))
    line.encode()  # no lone surrogate
    tokens = line.split(" ")
    assert line == "" or all(tokens)
    assert tokens.count(BAR) <= 1
    assert not any(token.startswith("__label__") or token == "</s>" for token in tokens)
    assert not any(unicodedata.category(character) == "Cc" for character in line)


@settings(max_examples=100, deadline=None)
@given(text=HOSTILE)
def test_normalising_agrees_with_the_library_and_settles(text: str) -> None:
    once = normalise(text)
    assert once == " ".join(once.split())
    assert normalise(once) == normalise(normalise(once))


def test_normalising_composes_like_nfkc_across_pieces() -> None:
    text = "x" + "é" * 600 + "ｱｲｳ ﬁle Ⅷ №5"
    assert normalise(text) == unicodedata.normalize("NFKC", text).casefold()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "a" + "\u0301\u0327" * 500_000,
        "\ufdfa" * 300_000,
        "1.1.1.1." * 125_000,
        "a@a." * 250_000,
        "://" * 300_000,
        "__label__" * 110_000,
        "ไ" * 300_000,
        "日" * 300_000,
        "( " * 500_000,
        "2024-01-01t" * 90_000,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_a_megabyte_of_anything_takes_bounded_time(text: str) -> None:
    document = Document(text[:100], text)
    TextPipeline().line(Document("ไ日に", "warm up"))
    started = time.process_time()
    line = TextPipeline(masks=MASKS).line(document)
    assert time.process_time() - started < 1
    assert len(line) <= 2 * 4001
    masked(document), text_hash(document)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("subject", "body", "line"),
    [
        ("", "", ""),
        ("VPN", "", "vpn"),
        ("", "It does not connect", "it does not connect"),
        ("VPN", "It does not connect.", "vpn || it does not connect ."),
        ("A || b", "c || d", "a | | b || c | | d"),
        ("", "ＶＰＮ\u00a0ｆａｉｌｓ\r\n\tｎｏｗ", "vpn fails now"),
        ("", "pass\u00adword re\u200bset", "password reset"),
        ("", "__label__root </s>", "_ _ label _ _ root < / s >"),
        ("", "Straße naïve", "strasse naïve"),
        ("", "\x00\ud800a\x07b", "a b"),
        (
            "",
            "Job_593 failed on srv_12_3 at 09/11/2016 11:18:00.",
            "job_593 failed on srv_12_3 at 09/11/2016 11:18:00 .",
        ),
        ("", "disk_free is 2%, 1.5GB of 10.0.0.1: x_", "disk _ free is 2 % , 1.5 gb of 10.0.0.1 : x _"),
        ("", "会議室_12 10:30 から", "会 議 室 _12 10:30 か ら"),
    ],
)
def test_a_line_is_what_one_would_expect(subject: str, body: str, line: str) -> None:
    assert TextPipeline().line(Document(subject, body)) == line


@pytest.mark.parametrize(
    "sentence",
    ["今日は会社のメールが開けません", "今天无法登录公司的邮箱系统", "วันนี้ฉันเข้าอีเมลบริษัทไม่ได้"],
    ids=["ja", "zh", "th"],
)
def test_scripts_without_spaces_become_words(sentence: str) -> None:
    words = TextPipeline(segmenter="phrases").line(Document("", sentence)).split(" ")
    assert 4 <= len(words) < len(sentence) / 1.5
    assert "".join(words) == sentence
    assert TextPipeline(segmenter="none").line(Document("", sentence)) == sentence
    by_default = TextPipeline().line(Document("", sentence)).split(" ")
    assert by_default == (words if sentence.startswith("วัน") else list(sentence))


def test_combining_vowels_stay_inside_their_word() -> None:
    assert TextPipeline().line(Document("", "पासवर्ड रीसेट")) == "पासवर्ड रीसेट"


def test_long_text_keeps_its_start_and_its_end() -> None:
    line = TextPipeline(limit=100).line(Document("", f"start {'x ' * 10_000} end"))
    assert line.startswith("start")
    assert line.endswith("end")
    assert len(line) <= 201


def test_alerts_of_one_cause_are_equal_once_masked() -> None:
    one = Document(
        "Disk full on srv-ab01.example.com", "At 12:30:11 on 2026-01-02: 97% of 120GB, pid 4711, trace 3f2a99bc01"
    )
    other = Document(
        "Disk full on srv-zz99.example.com", "At 08:01:59 on 2026-02-28: 99% of 80GB, pid 12, trace 00ffee1234"
    )
    assert masked(one) == masked(other)
    assert "srv" not in masked(one)
    assert text_hash(one) != text_hash(other)
    assert masked(one) != masked(Document("Disk full", "again"))


def test_numbers_inside_unspaced_text_are_masked_too() -> None:
    assert masked(Document("", "サーバー12345でエラー")) == masked(Document("", "サーバー987でエラー"))


def test_masks_are_single_tokens_of_a_line() -> None:
    line = TextPipeline(masks=MASKS).line(
        Document("", "call 5551234 at 10:15 on pc-12.example.com or mail a.b@example.com")
    )
    assert line == "call <number> at <time> on <host> or mail <mail>"


def test_the_hash_ignores_what_no_model_sees() -> None:
    assert text_hash(Document("VPN ", "is\u200b  DOWN")) == text_hash(Document("vpn", "is down"))
    assert text_hash(Document("vpn", "is down")) != text_hash(Document("vpn", "is up"))
    text_hash(Document("\ud800", "\ud800"))


def test_a_pipeline_survives_its_dictionary() -> None:
    pipeline = TextPipeline(limit=500, masks=("times",), segmenter="characters")
    assert TextPipeline.from_dict(pipeline.as_dict()) == pipeline


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 1}, "at least 16"),
        ({"masks": ("names",)}, "unknown masks"),
        ({"segmenter": "mecab"}, "unknown segmenter"),
    ],
)
def test_unknown_options_are_refused_with_the_choices(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextPipeline.from_dict({**TextPipeline().as_dict(), **options})


def test_a_model_of_other_text_rules_is_refused() -> None:
    with pytest.raises(ValueError, match="train a new model"):
        TextPipeline.from_dict({**TextPipeline().as_dict(), "version": "1"})


def test_a_pipeline_of_a_newer_version_is_refused() -> None:
    with pytest.raises(ValueError, match="newer version"):
        TextPipeline.from_dict({**TextPipeline().as_dict(), "stemmer": "en"})
