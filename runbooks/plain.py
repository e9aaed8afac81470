"""Which texts may become a value at all: none that anything behind a run could read as more than a name."""

import unicodedata

FORBIDDEN = frozenset('/\\*?[]{}<>|;`$"')
"""Separators of paths, patterns of hosts and files, templates, and what a shell or a query would act on."""

LEADING = frozenset("-\u2212~@!=%#&")
"""At the beginning these make an option, a home folder, a file to read from, a tag or a formula of a text."""

REFERENCE = "#"
"""The one mark that a reference to a ticket may begin with."""


def trouble_with(value: str, *, reference: bool = False) -> str:
    """Return what keeps a text from being a value, to follow its name in a sentence; empty where nothing does.

    reference: the value refers to a ticket, so it may begin with `#`. A full-width sign counts as the plain one.
    """
    # Whatever reads the value later may see through compatibility forms, as file systems and browsers do.
    folded = unicodedata.normalize("NFKC", value)
    if not value.strip():
        return "is empty"
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in value + folded):
        return "has a line break or another invisible character"
    found = sorted(FORBIDDEN & set(value + folded))
    if found:
        return f"has the character {found[0]}"
    first = folded.lstrip()[:1]
    if (first in LEADING and not (reference and first == REFERENCE)) or unicodedata.category(first) == "Pd":
        return f"begins with the character {value.strip()[0]}"
    if set(folded.strip()) <= {"."} or ".." in folded:
        return "stands for another folder"
    return ""
