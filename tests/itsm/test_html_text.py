"""HTML bodies as text: what a reader would see, in linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.itsm.html_text import plain, to_text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>x<li>y</ul>", "- x\n- y"),
        ("<table><tr><td>host</td><td>web01</td></tr></table>", "host web01"),
        ("un<b>brok</b>en", "unbroken"),
        ("<div>a\n   b\t c</div>", "a b c"),
        ("<style>p {color: red}</style><p>seen</p><script>alert('<p>')</script >", "seen"),
        ("<title>Mail</title><body>text</body>", "text"),
        ("<p>x<!-- hidden <b> -->y</p>", "xy"),
        ("<p>1 &lt; 2 &amp; &#8364;5&nbsp;&eacute;</p>", "1 < 2 & €5 é"),
        ("<p>&lt;script&gt; is text</p>", "<script> is text"),
        ("<p>&#0;&#xD800;&#" + "9" * 5000 + ";</p>", "\ufffd\ufffd\ufffd"),
        ("<P STYLE='x'>UPPER</P>", "UPPER"),
        ("<!DOCTYPE html><?xml?><p>a</p>", "a"),
        ("<p>load > 90 % and < 95 %", "load > 90 % and < 95 %"),
        ("<p>the rest <is not a tag", "the rest <is not a tag"),
    ],
)
def test_a_reader_of_the_page_would_see(source: str, text: str) -> None:
    assert to_text(source) == text


@pytest.mark.parametrize(
    "text",
    [
        "Plain text,\n\n  with   spaces kept",
        "From: Ada <ada@example.org>",
        "set <id> to List<String> if a < b",
        "1 &lt; 2 stays as the sender wrote it",
        "",
    ],
)
def test_plain_text_is_left_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_html_is_known_by_its_tags() -> None:
    assert plain('Hello<br class="x">world') == "Hello\nworld"
    assert plain('<a href="https://example.org">here</a>') == "here"


@given(st.text(alphabet="<>/!-&;#xp b=\"'1scriptSTYLE\n", max_size=80))
def test_any_text_becomes_text_without_a_whole_tag_of_the_known_kind(source: str) -> None:
    text = to_text(source)
    assert "\0" not in text
    assert text == text.strip()


@pytest.mark.parametrize(
    "unit",
    [
        "<div>",
        "<",
        "<a ",
        "<!--",
        "<p x='",
        "<script>",
        "<b a=1>",
        "&#",
        "&lt",
        "&#9",
        "<p> </p>",
        "\n",
        "<title><",
        "<style></styl",
    ],
)
def test_a_megabyte_of_hostile_html_takes_less_than_two_seconds(unit: str) -> None:
    source = "<p>" + unit * (1_000_000 // len(unit))
    before = time.process_time()
    plain(source)
    assert time.process_time() - before < 2
