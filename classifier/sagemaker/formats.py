"""What clients of BlazingText's text classification send, and the answers they read.

`application/json`: {"instances": ["text", ...], "configuration": {"k": 2}} -> [{"label": [...], "prob": [...]}, ...].
`application/jsonlines`: {"source": "text", "k": 2} a line -> one such object a line. Labels carry `__label__`.
As the AWS documentation of the algorithm describes its inference formats.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from classifier.estimator import Ranking
from classifier.text import Document

JSON, LINES = "application/json", "application/jsonlines"
PREFIX = "__label__"
MOST_TEXTS = 10_000
MOST_BYTES = 6 * 1024 * 1024
"""What a real-time endpoint takes in one request."""


class InvocationInvalid(Exception):
    """The request cannot be read; `status` is 400, 413 or 415, and the message says what to mend."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """Texts, how many labels are wanted of each, and whether the answer is one object a line."""

    texts: tuple[str, ...]
    wanted: tuple[int, ...]
    lines: bool

    @property
    def documents(self) -> list[Document]:
        """The texts as the models read them."""
        return [Document("", text) for text in self.texts]

    @property
    def most(self) -> int:
        """The longest list of labels that is wanted."""
        return max(self.wanted, default=1)

    @property
    def content_type(self) -> str:
        """What the answer is sent as."""
        return LINES if self.lines else JSON


def parse(content_type: str, body: bytes) -> Asked:
    """What a request asks; raises InvocationInvalid. A parameter of the content type is ignored, as in charset."""
    kind = content_type.partition(";")[0].strip().lower()
    if len(body) > MOST_BYTES:
        raise InvocationInvalid(f"At most {MOST_BYTES >> 20} MiB a request; send it in parts.", 413)
    if kind not in (JSON, LINES):
        raise InvocationInvalid(f"Content-Type: send {JSON} or {LINES}.", 415)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvocationInvalid("The body is not UTF-8.") from error
    asked = _parse_json(text) if kind == JSON else _parse_lines(text)
    if len(asked.texts) > MOST_TEXTS:
        raise InvocationInvalid(f"At most {MOST_TEXTS} texts a request; send them in parts.", 413)
    return asked


def render(asked: Asked, rankings: Sequence[Ranking | None]) -> bytes:
    """The answer's bytes; None stands for a text about which nothing may be told."""
    answers = [_answer(ranking, k) for ranking, k in zip(rankings, asked.wanted, strict=True)]
    if asked.lines:
        return "".join(f"{json.dumps(answer)}\n" for answer in answers).encode()
    return json.dumps(answers).encode()


def _answer(ranking: Ranking | None, k: int) -> dict[str, list[Any]]:
    matches = ranking.matches[:k] if ranking else ()
    return {
        "label": [f"{PREFIX}{match.label}" for match in matches],
        "prob": [match.probability for match in matches],
    }


def _parse_json(text: str) -> Asked:
    values = _object(text, "The body")
    instances = values.get("instances")
    if not isinstance(instances, list) or not instances or not all(isinstance(one, str) for one in instances):
        raise InvocationInvalid('Send {"instances": ["text", ...]} with at least one text.')
    configuration = values.get("configuration", {})
    if not isinstance(configuration, dict):
        raise InvocationInvalid('configuration: an object, as in {"k": 2}.')
    k = _k(configuration.get("k", 1), "configuration.k")
    return Asked(tuple(instances), (k,) * len(instances), lines=False)


def _parse_lines(text: str) -> Asked:
    texts, wanted = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        values = _object(line, f"Line {number}")
        source = values.get("source")
        if not isinstance(source, str):
            raise InvocationInvalid(f'Line {number}: send {{"source": "text"}}.')
        texts.append(source)
        wanted.append(_k(values.get("k", 1), f"Line {number}: k"))
    if not texts:
        raise InvocationInvalid('Send {"source": "text"} a line, at least one.')
    return Asked(tuple(texts), tuple(wanted), lines=True)


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvocationInvalid(f"{where} is not JSON.") from error
    if not isinstance(values, dict):
        raise InvocationInvalid(f"{where} is not a JSON object.")
    return values


def _k(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvocationInvalid(f"{where}: a whole number from 1.")
    return min(value, MOST_TEXTS)
