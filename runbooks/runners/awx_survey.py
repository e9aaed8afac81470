"""Which answers an AWX survey takes: looked at before a launch, which drops or refuses what does not fit.

The rules are AWX's own (`SurveyJobTemplateMixin._survey_element_validation` in ansible/awx, main/models/mixins.py).
"""

import contextlib
import math
from collections.abc import Mapping
from typing import Any

Value = str | int | float
TEXTS = ("text", "textarea")
PLACEHOLDER = "$encrypted$"
"""AWX puts a default in the place of this text."""
TEMPLATES = ("{{", "{%", "{#")
"""What Ansible may read as a template, where ALLOW_JINJA_IN_EXTRA_VARS is `always`."""


class Unfit(Exception):
    """The survey would not take the value; the message says why and what to change."""


def literal(value: Value) -> Value:
    """Return the value, which nothing behind a launch reads as more than itself; Unfit where something could."""
    if isinstance(value, str):
        for sign in (*TEMPLATES, PLACEHOLDER):
            if sign in value:
                raise Unfit(f"the value holds {sign}, which AWX or Ansible would read as more than text")
        if not value.isprintable():
            raise Unfit("the value holds a line break or another invisible character")
    return value


def answer(question: Mapping[str, Any], value: Value) -> Value:
    """Return the value as the question wants it; Unfit where it takes none such."""
    kind = question.get("type")
    if kind in TEXTS:
        text = str(value)
        _within(question, len(text), "characters")
        return text
    if kind in ("integer", "float"):
        return _within(question, _number(value, whole=kind == "integer"), "")
    if kind == "multiplechoice":
        if str(value) not in choices(question):
            raise Unfit("the value is none of the survey's choices")
        return str(value)
    raise Unfit(f"the survey asks for {kind}, which no value of a ticket answers: ask for a text or a choice")


def choices(question: Mapping[str, Any]) -> list[str]:
    """Return what a question offers, which AWX keeps as a list or as lines."""
    offered = question.get("choices") or []
    return offered.split("\n") if isinstance(offered, str) else [str(each) for each in offered]


def open_questions(questions: Mapping[str, Mapping[str, Any]], given: Mapping[str, Value]) -> list[str]:
    """Return the names of all questions that must be answered and are not."""
    return sorted(name for name, question in questions.items() if question.get("required") and name not in given)


def _number(value: Value, *, whole: bool) -> Value:
    """A number, which a text is where it is written as AWX writes it back: neither 007 nor 1.50."""
    for number in (int, float)[: 1 if whole else 2]:
        with contextlib.suppress(ValueError, OverflowError):
            if isinstance(value, number) or (str(number(value)) == value and math.isfinite(number(value))):
                return number(value)
    raise Unfit(f"the survey wants a {'whole number' if whole else 'number'}, and the value is none")


def _within(question: Mapping[str, Any], size: Value, unit: str) -> Value:
    least, most = bound(question.get("min")), bound(question.get("max"))
    number = float(size)
    if (least is not None and number < least) or (most is not None and number > most):
        told = " to ".join("any" if end is None else f"{end:g}" for end in (least, most))
        raise Unfit(f"the survey wants {told}{f' {unit}' if unit else ''}, and it is {size}")
    return size


def bound(given: object) -> float | None:
    """Return a question's least or most, which AWX keeps as a number, as a text, or not at all."""
    try:
        return None if given in (None, "") else float(str(given))
    except ValueError:
        return None
