"""Tickets as people write them: greeting, symptom, what happened besides, thanks, signature, and what mail adds."""

import random
from collections.abc import Sequence

from triage.demo.phrases import Lexicon
from triage.demo.texture import shouted, with_typos
from triage.demo.values import filled

_SUBJECT_LENGTH = 60
_REPLIES = ("Re: ", "RE: ", "FW: ", "AW: ", "Fwd: ", "WG: ", "TR : ")


def letter(
    lexicon: Lexicon,
    rng: random.Random,
    *,
    symptoms: Sequence[str],
    language: str,
    given: dict[str, str],
    name: str,
    clauses: Sequence[str] = (),
) -> tuple[str, str]:
    """Subject and body. `symptoms`: the phrase at the core and others that say it again; `name` signs.

    `clauses` follow the symptoms in the body; the last symptom may become the subject.
    """
    styled = [_styled(symptom, language, rng) for symptom in symptoms]
    subject = filled(_subject(lexicon, rng, styled, language), given, rng)
    shape = rng.random()
    if shape < 0.14:
        lines = [_sentences(styled[:1] if subject else styled, clauses, language, rng)]
    else:
        busy = 9 if shape > 0.96 else 2
        lines = _normal(lexicon, rng, styled, clauses, language, busy=busy)
        lines += _below(lexicon, rng, name, long=busy > 2)
    lines += _planted(lexicon, rng)
    return subject, "\n".join(filled(line, given, rng) for line in lines)


def _styled(symptom: str, language: str, rng: random.Random) -> str:
    chance = rng.random()
    if language != "ja" and chance < 0.13:
        return with_typos(symptom, rng)
    if language != "ja" and chance < 0.17:
        return shouted(symptom)
    # Not capitalize(): the rest of the sentence keeps its capitals, and a gap its name.
    return symptom if chance > 0.6 or symptom.startswith("{") else symptom[0].upper() + symptom[1:]


def _subject(lexicon: Lexicon, rng: random.Random, styled: Sequence[str], language: str) -> str:
    chance = rng.random()
    if chance < 0.34:
        subject = rng.choice(lexicon.general("subjects", language))
    elif chance < 0.39:
        subject = ""
    else:
        subject = _cut(styled[-1])
    return rng.choice(_REPLIES) + subject if subject and rng.random() < 0.06 else subject


def _cut(text: str) -> str:
    if len(text) <= _SUBJECT_LENGTH:
        return text
    head, space, _ = text[:_SUBJECT_LENGTH].rpartition(" ")
    return head if space and head.count("{") == head.count("}") else text


def _normal(
    lexicon: Lexicon, rng: random.Random, styled: Sequence[str], clauses: Sequence[str], language: str, *, busy: int
) -> list[str]:
    """Greeting, a paragraph, thanks. Some greet in another language than they complain in."""
    polite = "en" if rng.random() < 0.05 else language
    contexts = lexicon.general("contexts", language)
    around = rng.sample(contexts, min(len(contexts), rng.randint(0, busy)))
    if rng.random() < 0.07:
        around.append(rng.choice(lexicon.general("asides", language)))
    lines = []
    if rng.random() < 0.62:
        lines.append(rng.choice(lexicon.general("greetings", polite)))
    said = styled if rng.random() < 0.7 else styled[:1]
    paragraph = [_sentences(said, clauses, language, rng), *around]
    if rng.random() < 0.15:
        rng.shuffle(paragraph)
    lines.append(("" if language == "ja" else " ").join(paragraph))
    if rng.random() < 0.6:
        lines.append(rng.choice(lexicon.general("closings", polite)))
    return lines


def _sentences(symptoms: Sequence[str], clauses: Sequence[str], language: str, rng: random.Random) -> str:
    if language == "ja":
        return "".join(part if part.endswith("。") else f"{part}。" for part in (*symptoms, *clauses))
    ends = [".", ".", ".", "", "!", "...", "!!"]
    closed = [part if part[-1] in ".!?" else part + rng.choice(ends) for part in (*symptoms, *clauses)]
    return ("\n" if rng.random() < 0.2 else " ").join(closed)


def _below(lexicon: Lexicon, rng: random.Random, name: str, *, long: bool) -> list[str]:
    lines = []
    if rng.random() < 0.45:
        lines.append(rng.choice(("", "-- \n")) + name)
    if rng.random() < 0.12:
        lines.append("\n" + rng.choice(lexicon.general("footers")))
    if rng.random() < (0.5 if long else 0.05):
        lines.append("\n" + rng.choice(lexicon.general("quotes")))
    if rng.random() < (0.5 if long else 0.05):
        lines.append("\n" + rng.choice(lexicon.general("pastes")))
    return lines


def _planted(lexicon: Lexicon, rng: random.Random) -> list[str]:
    """What somebody put in to see whether it is obeyed."""
    return [rng.choice(lexicon.general("hostile"))] if rng.random() < 0.04 else []
