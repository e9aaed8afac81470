"""Past tickets of a small company: four articles, worded from parts, enough for a real model in a second or two."""

import random
from collections.abc import Iterator, Sequence

from classifier.text import Document

PROBLEMS = {
    "unlock-account": [
        "my account is locked after too many failed sign-ins",
        "the account got locked out, please unlock it",
        "locked account, cannot sign in any more",
        "please unlock my user account, it was locked this morning",
    ],
    "printer": [
        "the printer on our floor shows a paper jam",
        "printing fails, the printer is offline",
        "printer tray is empty and the queue hangs",
        "cannot print the invoices, printer does not react",
    ],
    "vpn": [
        "vpn connection drops every few minutes from home",
        "cannot reach the intranet through the vpn tunnel",
        "vpn client says the gateway does not answer",
        "the vpn tunnel is slow and disconnects",
    ],
    "mailbox": [
        "my mailbox is full and outlook refuses new mail",
        "mailbox quota reached, messages bounce back",
        "outlook says the mailbox has no space left",
        "please give me a bigger mailbox, it is full",
    ],
}
OPENINGS = ("hello,", "good morning,", "hi team,", "dear support,", "please help:", "since today", "again", "")
ENDINGS = (
    "thank you",
    "it is urgent",
    "I need it for the month end",
    "regards from the warehouse",
    "my colleague has the same",
    "best regards",
    "this is the second time",
    "",
)
PLACES = ("office", "warehouse", "front desk", "second floor", "home office", "laboratory", "canteen", "reception")
OUTSIDE = (
    "when does the canteen open on friday",
    "who won the football match yesterday evening",
    "please order new business cards with a blue logo",
    "the coffee machine needs more beans and milk",
    "can somebody water the plants in the lobby",
    "parking space for our visitors next tuesday",
)


def tickets(count: int, *, seed: int, labels: Sequence[str] = tuple(PROBLEMS)) -> list[tuple[Document, str]]:
    """Labelled tickets, each text once."""
    return list(_tickets(count, random.Random(seed), labels))


def _tickets(count: int, rng: random.Random, labels: Sequence[str]) -> Iterator[tuple[Document, str]]:
    seen: set[Document] = set()
    while len(seen) < count:
        label = rng.choice(list(labels))
        problem, place = rng.choice(PROBLEMS[label]), rng.choice(PLACES)
        body = f"{rng.choice(OPENINGS)} {problem} in the {place} {rng.choice(ENDINGS)}".strip()
        document = Document(f"{label.split('-')[0]} {rng.choice(PLACES)}", body)
        if document not in seen:
            seen.add(document)
            yield document, label


def outside(seed: int = 0) -> list[Document]:
    """Tickets that no article covers."""
    rng = random.Random(seed)
    return [Document("question", f"{rng.choice(OPENINGS)} {text} {rng.choice(ENDINGS)}") for text in OUTSIDE * 4]
