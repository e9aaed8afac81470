"""Made-up tickets: a handful of articles, each with its own words and phrasings, repeatable by seed."""

import random

from classifier.text import Document

_OPENINGS = ("hello team", "hi", "good morning", "urgent", "please help", "since today", "")
_ARTICLES = {
    "unlock-account": (
        ("account", "login", "user"),
        ("locked", "blocked", "denied"),
        ("after too many attempts", "again"),
    ),
    "reset-password": (
        ("password", "passphrase"),
        ("forgotten", "expired", "unknown"),
        ("need a new one", "please reset"),
    ),
    "mailbox-full": (("mailbox", "outlook", "inbox"), ("full", "over quota"), ("cannot send mail", "raise the limit")),
    "printer-jam": (("printer", "copier"), ("jammed", "blinking", "out of toner"), ("paper stuck", "third floor")),
    "vpn-down": (("vpn", "tunnel", "remote access"), ("drops", "times out", "fails"), ("from home", "on wifi")),
    "add-to-group": (
        ("shared folder", "team drive", "group"),
        ("no access", "missing"),
        ("please add me", "permission"),
    ),
}
ARTICLES = tuple(_ARTICLES)
OUTSIDE = tuple(
    Document("", text)
    for text in (
        "the coffee machine in the kitchen leaks water over the floor",
        "when does the summer party begin and may children come along",
        "somebody parked a red bicycle in front of the loading ramp",
        "the plants near reception look dry and sad this week",
        "i would like to order business cards with my new title",
        "what is the weather going to be in the mountains tomorrow",
    )
)


def tickets(number: int, *, seed: int = 0) -> tuple[list[Document], list[str]]:
    """Documents and labels, sorted by label (the order that breaks a learner that does not shuffle)."""
    rng = random.Random(seed)
    rows = []
    for i in range(number):
        label = ARTICLES[i % len(ARTICLES)]
        thing, state, detail = (rng.choice(words) for words in _ARTICLES[label])
        fillers = [f"number {rng.randrange(1000)}", "for me and my colleague", "thank you", "it is important", ""]
        body = f"{rng.choice(_OPENINGS)} my {thing} is {state} {detail} {rng.choice(fillers)} ref{rng.randrange(10**6)}"
        rows.append((label, Document(f"{thing} {state}" if rng.random() < 0.5 else "", body)))
    rows.sort(key=lambda row: row[0])
    return [document for _, document in rows], [label for label, _ in rows]
