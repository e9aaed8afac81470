"""Tickets of the sample company, made once for all tests of it."""

from typing import NamedTuple

import pytest

from triage.demo import tickets
from triage.demo.samples import Sample


class Made(NamedTuple):
    """A whole demo's tickets."""

    train: list[Sample]
    certify: list[Sample]
    stream: list[Sample]

    @property
    def everything(self) -> list[Sample]:
        return [*self.train, *self.certify, *self.stream]


@pytest.fixture(scope="session")
def made() -> Made:
    train, certify = tickets.generate_history(seed=11, n_train=3000, n_certify=1500)
    return Made(train, certify, tickets.generate(seed=11, n=1500, stream=True))


def text(sample: Sample) -> str:
    return f"{sample.subject}\n{sample.body}"
