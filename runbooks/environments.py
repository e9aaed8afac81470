"""Where a runbook may run by itself, where a person must approve, and where it never runs. Plain rules; no look-ups."""

from collections.abc import Mapping
from typing import Final, Literal

Environment = Literal["production", "staging", "test", "development"]
Rule = Literal["run", "approve", "never"]

ENVIRONMENTS: Final[tuple[Environment, ...]] = ("production", "staging", "test", "development")
RULES: Final[tuple[Rule, ...]] = ("run", "approve", "never")
"""From the freest to the strictest: by itself, after a person's word, not at all."""

UNSAID: Final[Environment] = "production"
"""What a target counts as that says nothing of its environment: the one where a mistake costs most."""


def strictest(environment: str, *rules: Mapping[str, str]) -> Rule:
    """The rule in force in an environment: the strictest of those given; "run" where nobody says anything.

    rules: by environment, from whoever may lay down some, such as the runbook's author and the customer.
    """
    said = [rule[environment] for rule in rules if environment in rule]
    return RULES[max((RULES.index(_known(one)) for one in said), default=0)]


def _known(rule: str) -> Rule:
    """A rule that this version does not know is taken for the strictest."""
    return next((known for known in RULES if known == rule), "never")
