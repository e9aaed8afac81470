"""Texts are grouped by what they ask for, the same way every time, however many there are."""

from classifier import grouping
from classifier.text import Document, TextPipeline
from tests import past


def _lines(count: int, seed: int) -> tuple[list[str], list[str]]:
    rows = past.tickets(count, seed=seed)
    return TextPipeline().lines(document for document, _ in rows), [label for _, label in rows]


def test_tickets_of_one_problem_come_together_and_the_words_name_it() -> None:
    lines, labels = _lines(160, 1)
    found = grouping.groups(lines)
    assert [len(group.members) for group in found] == sorted((len(group.members) for group in found), reverse=True)
    for group in found:
        assert len({labels[number] for number in group.members}) == 1
    assert {labels[group.members[0]] for group in found} == set(past.PROBLEMS)
    named = {labels[group.members[0]]: set(group.terms) for group in reversed(found)}
    assert named["printer"] & {"printer", "printing", "paper", "tray", "invoices"}
    assert named["mailbox"] & {"mailbox", "outlook", "mail"}


def test_the_same_lines_give_the_same_groups_and_no_line_is_in_two() -> None:
    lines, _labels = _lines(80, 2)
    once = grouping.groups(lines)
    assert grouping.groups(lines) == once
    numbers = [number for group in once for number in group.members]
    assert len(numbers) == len(set(numbers))


def test_of_more_lines_than_are_compared_at_once_the_others_join_what_was_found() -> None:
    lines, labels = _lines(160, 3)
    found = grouping.groups(lines, at_once=100)
    inside = sum(len(group.members) for group in found)
    assert inside == 160
    pure = sum(max(_counts(labels, group.members)) for group in found)
    assert pure / inside > 0.95


def _counts(labels: list[str], members: tuple[int, ...]) -> list[int]:
    mine = [labels[number] for number in members]
    return [mine.count(label) for label in set(mine)]


def test_equal_lines_count_as_many_but_weigh_as_one() -> None:
    storm = TextPipeline().lines([Document("disk full on web-1", "")] * 50)
    others, _labels = _lines(20, 4)
    first = grouping.groups([*storm, *others])[0]
    assert set(first.members) == set(range(50))


def test_few_or_empty_texts_are_no_group() -> None:
    assert grouping.groups([]) == []
    assert grouping.groups(TextPipeline().lines([Document("", "")] * 10)) == []
    assert grouping.groups(TextPipeline().lines([Document("vpn", "is slow"), Document("coffee", "is cold")])) == []
