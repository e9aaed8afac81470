"""Rows as CSV (RFC 4180) that a spreadsheet program shows as text, whatever somebody has written into a ticket.

The rule, after OWASP's "CSV Injection": a text that begins with one of = + - @, their full-width forms, tab, carriage
return or line feed gets an apostrophe in front, so that no program takes it for a formula; every cell is quoted.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence

BEGINS_A_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
BYTE_ORDER_MARK = "\ufeff"
"""Without it, spreadsheet programs on Windows take UTF-8 for their own old encoding."""


class _Echo:
    """A file that hands back what is written, so that `csv` writes into a stream of answers."""

    def write(self, text: str) -> str:
        return text


def cell(value: str | int | None) -> str | int:
    """The value as it may stand in a cell; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(BEGINS_A_FORMULA):
        return f"'{value}"
    return value


def lines(header: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> Iterator[str]:
    """The lines of the file, one at a time; the first begins with the byte order mark."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield BYTE_ORDER_MARK + writer.writerow(header)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])
