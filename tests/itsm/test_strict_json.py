"""JSON from strangers: what json.loads takes and a database does not is refused in words."""

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.itsm import PayloadInvalid
from triage.itsm.strict_json import MAX_NODES, loads, shown

CLEAN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"x": {"b": 1, "b": 1}}', "'b' stands twice"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "5000 characters"),
        (b'{"a": 1e131000}', "too large"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udc00": 1}', "half of a surrogate pair"),
        (b'{"a": "x\\u0000y"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"", "not JSON"),
        (b"{} {}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 64"),
        (b'{"a":' * 100_000, "deeper than 64"),
        (b"[" + b"0," * MAX_NODES + b"0]", "values"),
    ],
)
def test_what_a_database_cannot_keep_is_refused_by_name(raw: bytes, said: str) -> None:
    with pytest.raises(PayloadInvalid, match=said) as caught:
        loads(raw)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 300


def test_a_value_at_the_caps_is_taken() -> None:
    assert loads(b"[" * 64 + b"]" * 64)
    assert loads(b"[" + b"0," * (MAX_NODES - 2) + b"0]")
    assert loads(b'{"a": 123456789012345678901234567890}') == {"a": 123456789012345678901234567890}
    assert loads(b'"\\ud83d\\ude00"') == "😀"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | CLEAN,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CLEAN, inner, max_size=4),
        max_leaves=20,
    )
)
def test_clean_json_comes_out_as_it_went_in(value: object) -> None:
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_a_value_or_a_refusal(raw: bytes) -> None:
    with contextlib.suppress(PayloadInvalid):
        json.dumps(loads(raw), allow_nan=False).encode()


def test_a_megabyte_of_the_smallest_values_is_refused_quickly() -> None:
    before = time.process_time()
    with pytest.raises(PayloadInvalid):
        loads(b"[" + b"{}," * 340_000 + b"{}]")
    assert time.process_time() - before < 3


def test_hostile_text_is_shown_short_and_harmless() -> None:
    assert shown("\x1b[31m\n" + "x" * 100) == "'\\x1b[31m\\n" + "x" * 46 + "..."
