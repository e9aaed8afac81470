"""What a ticket's text mentions by shape alone: account handles, words, sizes, other tickets. In any language.

The text is hostile. Every expression here is bounded or a single run of characters, so that the time
is linear in the length of the text.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from runbooks.names import UNSPACED, words

TEXT_LIMIT = 20_000
"""Characters that are read; a longer text is for a person, since what decides may stand behind the end."""

LONGEST_UNSPACED_NAME = 8
LONGEST_REFERENCE = 64

REFERENCE = (
    r"(?:INC|REQ|RITM|S?CTASK|TASK|CHG|PRB|PTASK|CS|CRQ|PBI|WO)[0-9]{5,15}"
    r"|(?!(?:AES|COVID|DIN|ISO|MD|RFC|RSA|SHA|USB|UTF|WPA)-)[A-Z][A-Z0-9]{1,9}-[0-9]{1,7}|#[0-9]{3,10}"
)
"""References to tickets as ServiceNow, Remedy, Jira and most others write them; a pattern may say others."""

UNSPACED_RUN = re.compile(f"[{UNSPACED}]+")
_RUN = re.compile(r"[\w.%+@\\'-]+")
_DOMAIN_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}\\{1,2}([A-Za-z0-9][A-Za-z0-9._-]{0,63})")
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,63}")
_LABELLED = re.compile(
    r"(?<!\w)(?:user(?:[ _-]?(?:id|name))?|uid|account ?name|sam ?account ?name|benutzer(?:name|kennung)?"
    r"|kontoname|kennung|identifiant|nom d'utilisateur|usuario|ユーザー?(?:名|ID)?|アカウント名)"
    r" ?[:=] ?([A-Za-z0-9][A-Za-z0-9._-]{1,63})(?![\w@\\])",
    re.IGNORECASE,
)
_SIZE = re.compile(
    r"(?<![0-9A-Za-z])([0-9]{1,7})(?:([.,])([0-9]{1,3}))? ?"
    r"(?i:(gb|gib|gigabytes?|gigaoctets?|ギガバイト|ギガ|mb|mib|megabytes?|mégaoctets?|tb|tib|terabytes?)"
    r"|(Go|GO|Mo|MO|(?<=[0-9])go|(?<=[0-9])mo))(?![0-9A-Za-z])"
)
_REFERENCE_TOKEN = re.compile(r"(?<![\w#.-])#?\w[\w-]*")
_REVERSING = re.compile("[\u202d\u202e]")
_MIB = {"g": 1024, "ギ": 1024, "m": 1, "t": 1024 * 1024}


class Handles(NamedTuple):
    """Names of accounts in a text.

    certain: unmistakably meant as an account (mail addresses, DOMAIN\\user, `user: x`).
    possible: could be a uid, as any word could; means somebody only if the directory knows it.
    """

    certain: tuple[str, ...]
    possible: tuple[str, ...]

    @property
    def shaped(self) -> tuple[str, ...]:
        """The possible ones that are no plain words: with a dot, hyphen, underscore or digit."""
        return tuple(name for name in self.possible if re.search(r"[._0-9-]", name))


def clean(text: str) -> str:
    """Return the text as it is read: NFKC, straight apostrophes, one space for any white space.

    Invisible format characters are dropped, as a reader does not see them either; half a surrogate pair
    becomes a question mark.
    """
    text = text[: TEXT_LIMIT + 1].encode("utf-8", "replace").decode()
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(text.split())


def unreadable(subject: str, body: str, cleaned: str) -> str:
    """Return why a text is not to be searched, or an empty text."""
    # One character can become eighteen by normalising, so both lengths count.
    if max(len(subject) + len(body), len(cleaned)) > TEXT_LIMIT:
        return f"the text is longer than {TEXT_LIMIT} characters"
    if _REVERSING.search(subject) or _REVERSING.search(body):
        # People would read another name than a program does.
        return "the text has characters that turn its reading direction round"
    return ""


def handles(text: str) -> Handles:
    """Return the account handles in a cleaned text, each once, in order."""
    certain: dict[str, None] = {match[1].rstrip(".-_"): None for match in _LABELLED.finditer(text)}
    possible: dict[str, None] = {}
    # An address may stand directly beside characters of a script without spaces.
    for run in _RUN.findall(UNSPACED_RUN.sub(" ", text)):
        token = run.strip(".'-_%+")
        token = token.removesuffix("'s").strip("@")
        named = token if "@" in token else bare(token)
        if "@" in token or named != token:
            certain[named] = None
            continue
        for piece in re.split(r"['\\]", token):
            if _HANDLE.fullmatch(piece):
                possible[piece] = None
    return Handles(tuple(certain), tuple(name for name in possible if name not in certain))


def bare(name: str) -> str:
    """Return a handle without its domain: `CORP\\j.smith` is `j.smith`."""
    match = _DOMAIN_USER.fullmatch(name)
    return match[1] if match else name


def spoken_names(text: str, *, longest: int) -> Iterator[str]:
    """Yield whatever in a cleaned text could be a person's name.

    Every run of 2 to `longest` neighbouring words, pairs also the other way round (Smith, Jane), and in
    scripts without spaces every run of 2 to 8 characters.
    """
    # The parts of an address are no name: jane.smith@corp.example is one person, Jane Smith may be several.
    in_order = words(_RUN.sub(lambda run: " 0 " if "@" in run[0] else run[0], text))
    for size in range(2, longest + 1):
        for start in range(len(in_order) - size + 1):
            yield " ".join(in_order[start : start + size])
    for first, second in itertools.pairwise(in_order):
        yield f"{second} {first}"
    for run in UNSPACED_RUN.findall(text):
        for size in range(2, LONGEST_UNSPACED_NAME + 1):
            for start in range(len(run) - size + 1):
                yield run[start : start + size]


def names_in(in_order: list[str], keys: frozenset[str], *, longest: int) -> list[str]:
    """Return which of the keys (words with one space between) the words name, longest match first, each once."""
    found: dict[str, None] = {}
    start = 0
    while start < len(in_order):
        step = 1
        for size in range(min(longest, len(in_order) - start), 0, -1):
            phrase = " ".join(in_order[start : start + size])
            if phrase in keys:
                found[phrase] = None
                step = size
                break
        start += step
    return list(found)


def references(text: str, pattern: str) -> tuple[str, ...]:
    """Return the references to tickets in a cleaned text, as written down (capitals), each once, in order.

    pattern: what a whole reference looks like. It only ever sees one short word at a time, so it can't take long.
    """
    form = re.compile(pattern)
    found: dict[str, None] = {}
    for match in _REFERENCE_TOKEN.finditer(UNSPACED_RUN.sub(" ", text)):
        word = match[0].rstrip("-_")
        if len(word) <= LONGEST_REFERENCE and (reference := reference_in(word, form)):
            found[reference] = None
    return tuple(found)


def reference_in(word: str, form: re.Pattern[str]) -> str:
    """Return a word as a reference of this form, in capitals where only those fit; empty where it is none."""
    if form.fullmatch(word):
        return word
    # web-1 and e-mail-2 are no references to Jira: only what has no hyphen may be written small.
    plain = word.upper()
    return plain if form.fullmatch(plain) and (form.pattern != REFERENCE or "-" not in word) else ""


def sizes(text: str) -> tuple[int | None, ...]:
    """Return the sizes in a cleaned text in MiB, each once; None for one that can't be read for certain."""
    found: dict[int | None, None] = {}
    for match in _SIZE.finditer(text):
        before = text[max(0, match.start() - 2) : match.start()]
        found[None if re.search(r"[0-9][.,'-]$|-$", before) else _mib(match)] = None
    return tuple(found)


def _mib(match: re.Match[str]) -> int | None:
    whole, mark, decimals, unit = match[1], match[2], match[3], (match[4] or match[5]).casefold()
    factor = _MIB[unit[0]]
    if mark and len(decimals) == 3:
        # 1.024 and 51,200 are thousands in some languages, and decimals in others.
        return int(whole + decimals) if factor == 1 and len(whole) <= 3 else None
    amount = int(whole) * factor
    if mark:
        amount += round(int(decimals) * factor / 10 ** len(decimals))
    return amount or None
