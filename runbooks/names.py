"""How names are compared: uids, mail addresses, names of people and groups, in any script.

Standard library only: the directory needs it in the child process of every run.
"""

import re
import unicodedata

UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Characters of scripts that put no space between words, for use inside a character class."""

_WORD = re.compile(r"[^\W_]+")
_GAP = re.compile(f"(?<=[{UNSPACED}]) (?=[{UNSPACED}])")


def handle_key(name: str) -> str:
    """Return a uid or mail address as it is compared: NFKC, caseless, no space around.

    Half a surrogate pair, which no database takes, becomes a question mark.
    """
    name = name.encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFKC", name).casefold().strip()


def words(text: str) -> list[str]:
    """Return the caseless words of a text in order; underscores and punctuation part words."""
    return _WORD.findall(handle_key(text))


def words_key(name: str) -> str:
    """Return the name of a person or group as it is compared: its words, caseless, one space between.

    No space between characters of scripts that have none: a text may write the name with or without.
    """
    return _GAP.sub("", " ".join(words(name)))
