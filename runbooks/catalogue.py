"""Names of an allow-list that a text or field names, by themselves or by their aliases, in any script."""

import re
from collections.abc import Collection, Mapping

from runbooks import mentions
from runbooks.names import UNSPACED, handle_key

Names = Mapping[str, Collection[str]]
"""An allow-list: the aliases of each name."""

# C, C++ and C# are three things.
_WORD = re.compile(r"[^\W_]+[+#]*")
_EDGE = re.compile(f"(?<=[{UNSPACED}])(?=[^{UNSPACED}\\s])|(?<=[^{UNSPACED}\\s])(?=[{UNSPACED}])")
_UNSPACED_NAME = re.compile(f"[{UNSPACED}]+")


def words(text: str) -> list[str]:
    """Return the caseless words of a text in order; scripts without spaces are parted from others."""
    return _WORD.findall(_EDGE.sub(" ", handle_key(text)))


def called(names: Names, given: str) -> tuple[str, ...]:
    """Return the names that a whole text, such as a field's, is: exactly one of them as written, else by its words."""
    if given in names:
        return (given,)
    key = words(given)
    return tuple(name for name, aliases in names.items() if key and any(words(one) == key for one in (name, *aliases)))


def named(names: Names, text: str) -> tuple[str, ...]:
    """Return the names that a text names somewhere, each once: of two that overlap the longer one."""
    by_key: dict[str, dict[str, None]] = {}
    for name, aliases in names.items():
        for one in (name, *aliases):
            by_key.setdefault(" ".join(words(one)), {})[name] = None
    by_key.pop("", None)
    longest = max((key.count(" ") + 1 for key in by_key), default=0)
    in_order = words(text)
    found = dict.fromkeys(mentions.names_in(in_order, frozenset(by_key), longest=longest))
    # Where words are not parted by spaces, a name stands within a longer run.
    rest = " ".join(word for word in in_order if _UNSPACED_NAME.fullmatch(word) and word not in found)
    for key in sorted(filter(_UNSPACED_NAME.fullmatch, by_key), key=len, reverse=True):
        if key in rest:
            found[key] = None
            rest = rest.replace(key, " ")
    return tuple(dict.fromkeys(name for key in found for name in by_key[key]))
