"""Ticket text never becomes code, an option, a template, a pattern of hosts or a path: for each kind of parameter."""

import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runbooks import parameters, plain
from runbooks.base import Parameter, Runbook
from runbooks.parameters import Extraction
from runbooks.registry import RUNBOOKS
from runbooks.targets import directory as directories
from runbooks.targets.directory import Account, Group, SqliteDirectory
from runbooks.targets.lists import Lists

LISTS = Lists(
    hosts=("web1.corp.example", "web2", "mail"), services=("nginx",), software={"Visio": ("Microsoft Visio",), "R": ()}
)
ANY: dict[str, Any] = {"title": "it", "pattern": r"[\s\S]*", "max_length": 300, "fields": ("f",)}
KINDS = {
    "account": Parameter(name="x", kind="account", **ANY),
    "own account": Parameter(name="x", kind="account", own=True, **ANY),
    "mailbox": Parameter(name="x", kind="mailbox", **ANY),
    "group": Parameter(name="x", kind="group", **ANY),
    "host": Parameter(name="x", kind="host", **ANY),
    "software": Parameter(name="x", kind="software", **ANY),
    "ticket": Parameter(name="x", kind="ticket", **ANY),
    "usual ticket": Parameter(name="x", kind="ticket", title="it", fields=("f",)),
    "date": Parameter(name="x", kind="date", **ANY),
    "size_mb": Parameter(name="x", kind="size_mb", minimum=1, maximum=10**9, **ANY),
    "choice": Parameter(name="x", kind="choice", choices=("Red", "Dark Blue"), **ANY),
    "service": Parameter(name="x", kind="choice", listed_by="services", **ANY),
    "text": Parameter(name="x", kind="text", **ANY),
}
EVIL = (
    "-oProxyCommand=id", "--force", "–rf", "−x", "../../etc/passwd", "..", "/etc/passwd", "C:\\Users", "web*", "web?", "[a-z]",
    "{{ lookup('pipe','id') }}", "{% x %}", "${HOME}", "$(id)", "`id`", "a\nb", "a\rb", "a\x00b", "a\u2028b", "a\u202eb",
    "a\x85b", "@/etc/hosts", "~root", "!unsafe x", "!x", "=cmd", "&x", "a;b", "a|b", "a>b", "／etc", "－x", "｛｛x｝｝", "＊", "",
    " ", "\t", "\ud800",
)  # fmt: skip
NAMES = ("web1", "web1.corp.example", "web2", "mail", "nginx", "Visio", "R", "j.smith", "Finance", "Red", "OPS-12",
         "#1234", "2026-04-03", "03/04/2026", "50 GB", "jane@corp.example", "user: ", "host: ")  # fmt: skip
HOSTILE = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from((*EVIL, *NAMES, " ", ",", "\n", "-", "/", "{{", "*")), max_size=8).map("".join),
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteDirectory]:
    path: Path = tmp_path_factory.mktemp("directory") / "d.sqlite"
    accounts = [
        Account("j.smith", "Jane Smith", "jane@corp.example"),
        # A directory may hold anything: what could be misread there is no value either.
        Account("-rf", "Rolf", "-rf@corp.example"),
        Account("a/b", "Ab", "a/b@corp.example"),
        Account("{{x}}", "X", "{{x}}@corp.example"),
        Account("web*", "Star", "web*@corp.example"),
    ]
    names = ("Finance", "-force", "Sales/EMEA", "{{ x }}", "*")
    directories.create(path, accounts, groups=[Group(name, name, self_service=True) for name in names])
    client = SqliteDirectory(path)
    yield client
    client.close()


def taking(kind: str) -> Runbook:
    return RUNBOOKS["record_only"].model_copy(update={"parameters": (KINDS[kind],)})


def is_plain(value: str, kind: str) -> bool:
    """Said again in other words than the product's."""
    folded = unicodedata.normalize("NFKC", value)
    first = folded.lstrip()[0] if folded.strip() else "-"
    return (
        not any(sign in folded for sign in ("/", "\\", "*", "?", "[", "]", "{", "}", "`", "$", "<", ">", "|", ";"))
        and folded.isprintable()
        and first not in "-–—−~@!=%&"
        and (first != "#" or "ticket" in kind)
        and ".." not in folded
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(body=HOSTILE, field=HOSTILE)
@example(body="-rf a/b {{x}} web* user: -rf", field="")
def test_whatever_a_ticket_says_no_value_could_be_misread(
    opened: SqliteDirectory, kind: str, body: str, field: str
) -> None:
    known: dict[str, Any] = {"requester": "j.smith", "directory": opened, "lists": LISTS}
    for fields in ({}, {"f": field}):
        found = parameters.extract(taking(kind), subject="", body=body, fields=fields, **known)
        for value in found.values.values():
            assert is_plain(value, kind), value
        assert parameters.validate(taking(kind), found, **known) == found.problems


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_person_types_or_a_directory_holds_is_refused_where_it_could_be_misread(
    opened: SqliteDirectory, kind: str
) -> None:
    for value in EVIL:
        for directory, lists in ((opened, LISTS), (None, None)):
            said = parameters.validate(
                taking(kind), Extraction({"x": value}), directory=directory, lists=lists, requester="", machine=True
            )
            assert said, value
            assert said[0].isprintable()


@settings(max_examples=200, deadline=None)
@given(value=st.one_of(HOSTILE, st.text(max_size=20)))
def test_a_value_that_is_plain_for_the_product_is_plain_in_other_words_too(value: str) -> None:
    if not plain.trouble_with(value):
        assert is_plain(value, "text")


@pytest.mark.parametrize(
    "value", ["O'Brien", "R+D (Berlin)", "Jean-Luc", "C#", "a.b-c_d", "山田 太郎", "50 %", "x@y.example"]
)
def test_ordinary_names_are_plain(value: str) -> None:
    assert plain.trouble_with(value) == ""


@pytest.mark.parametrize(
    "piece",
    [
        "1.", "1/", "1-", "1 ", "1. ", "3 may ", "may ", "jan", "2026-", "2026年", "1月", "令和", "next ", "morgen ", "明日",
        "web1 ", "web1.", "w.", "a-", "_", "host:", "host: a", "web1*", "#", "#1", "INC", "A-1", "A-", "é", "山", "山a",
        "c+", "visio", "R ", "Microsoft ", "1er ", "de ", "-server", "@web1 ",
    ],
)  # fmt: skip
def test_reading_any_kind_takes_linear_time(piece: str) -> None:
    kinds = ("host", "software", "usual ticket", "date", "service")
    all_at_once = taking("host").model_copy(
        update={"parameters": tuple(KINDS[kind].model_copy(update={"name": f"x{n}"}) for n, kind in enumerate(kinds))}
    )

    def seconds(length: int) -> float:
        body = piece * (length // len(piece))
        best = 10.0
        for _ in range(2):
            began = time.process_time()
            parameters.extract(all_at_once, subject="", body=body, requester="", fields={}, lists=LISTS)
            best = min(best, time.process_time() - began)
        return best

    # Four times the text; a quadratic expression would take sixteen times as long.
    short, long = seconds(4_900), seconds(19_600)
    assert long < max(8 * short, 0.1)
    assert long < 1.5
