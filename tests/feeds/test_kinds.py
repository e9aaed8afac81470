"""The registry of kinds."""

from triage.feeds import KINDS


def test_every_kind_has_words_and_an_example_that_its_settings_take() -> None:
    for kind in KINDS.values():
        assert kind.words
        kind.settings.model_validate(kind.example)
