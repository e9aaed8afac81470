"""Numbers in addresses and forms, which anybody can write by hand."""


def whole(text: str, *, digits: int = 17) -> int | None:
    """A number of at most so many digits, which a column of the database holds; None for everything else.

    Superscripts, for one, are digits to Python but no numbers.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def place(text: str) -> tuple[int, int] | None:
    """The place in a list from which to go on, `<value>~<primary key>`; None where it cannot be read."""
    value, _mark, key = text.partition("~")
    first, second = whole(value, digits=9), whole(key, digits=9)
    return None if first is None or second is None else (first, second)
