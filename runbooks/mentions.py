"""What a ticket's text mentions by shape alone: account handles, words, sizes. In any language.

The text is hostile. Every expression here is bounded or a single run of characters, so that the time
is linear in the length of the text.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

TEXT_LIMIT = 20_000
"""Characters that are read; a longer text is for a person, since what decides may stand behind the end."""

# Scripts without spaces between words: an address may stand directly beside them.
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f]+")
_RUN = re.compile(r"[\w.%+@\\'-]+")
_MAIL = re.compile(r"[^\s@\\]{1,64}@[^\s@\\]{1,190}")
_DOMAIN_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}\\{1,2}([A-Za-z0-9][A-Za-z0-9._-]{0,63})")
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,63}")
_WORD = re.compile(r"[^\W_]+")
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
_REVERSING = re.compile("[\u202d\u202e]")
_MIB = {"g": 1024, "ギ": 1024, "m": 1, "t": 1024 * 1024}


class Handles(NamedTuple):
    """Names of accounts in a text.

    certain: unmistakably meant as an account (mail addresses, DOMAIN\\user, `user: x`).
    possible: has the shape of a uid; means somebody only if the directory knows it.
    """

    certain: tuple[str, ...]
    possible: tuple[str, ...]


def clean(text: str) -> str:
    """Return the text as it is read: NFKC, straight apostrophes, one space for any white space.

    Invisible format characters are dropped, as a reader does not see them either.
    """
    text = unicodedata.normalize("NFKC", text[: TEXT_LIMIT + 1]).replace("\u2019", "'")
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(text.split())


def misleads(text: str) -> bool:
    """Say whether the text turns its reading direction round: people and programs would read it differently."""
    return _REVERSING.search(text) is not None


def handles(text: str) -> Handles:
    """Return the account handles in a cleaned text, each once, in order."""
    certain: dict[str, None] = {match[1].rstrip(".-_"): None for match in _LABELLED.finditer(text)}
    possible: dict[str, None] = {}
    for run in _RUN.findall(_UNSPACED.sub(" ", text)):
        token = run.strip(".'-_%+")
        if "@" in token:
            certain[token.removesuffix("'s")] = None
            continue
        if "\\" in token:
            match = _DOMAIN_USER.fullmatch(token.removesuffix("'s"))
            if match:
                certain[match[1]] = None
            continue
        for piece in token.split("'"):
            if _HANDLE.fullmatch(piece):
                possible[piece] = None
    return Handles(tuple(certain), tuple(name for name in possible if name not in certain))


def is_mail(name: str) -> bool:
    """Say whether a name has the shape of a mail address."""
    return _MAIL.fullmatch(name) is not None


def bare(name: str) -> str:
    """Return a handle without its domain: `CORP\\j.smith` is `j.smith`."""
    match = _DOMAIN_USER.fullmatch(name)
    return match[1] if match else name


def words(text: str) -> list[str]:
    """Return the caseless words of a cleaned text in order; underscores and punctuation part words."""
    return _WORD.findall(text.casefold())


def phrases(words_of_text: list[str], *, longest: int) -> Iterator[str]:
    """Yield every run of 2 to `longest` neighbouring words, and pairs also the other way round (Smith, Jane)."""
    for size in range(2, longest + 1):
        for start in range(len(words_of_text) - size + 1):
            yield " ".join(words_of_text[start : start + size])
    for first, second in itertools.pairwise(words_of_text):
        yield f"{second} {first}"


def names_in(words_of_text: list[str], keys: frozenset[str], *, longest: int) -> list[str]:
    """Return which of the keys (words with one space between) the text names, longest match first, each once."""
    found: dict[str, None] = {}
    start = 0
    while start < len(words_of_text):
        step = 1
        for size in range(min(longest, len(words_of_text) - start), 0, -1):
            phrase = " ".join(words_of_text[start : start + size])
            if phrase in keys:
                found[phrase] = None
                step = size
                break
        start += step
    return list(found)


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
        # 1.024 and 51,200 are thousands in some language, and decimals in another.
        return int(whole + decimals) if factor == 1 and len(whole) <= 3 else None
    amount = int(whole) * factor
    if mark:
        amount += round(int(decimals) * factor / 10 ** len(decimals))
    return amount or None
