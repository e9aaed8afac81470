"""A model folder behind SageMaker's contract: a real server process, asked by a real HTTP client."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from classifier import artifact
from classifier.sagemaker import formats
from classifier.text import Document
from tests import past, trained
from triage.ports import free_ports

KEY = b"k" * 32
TEXTS = ["my account is locked, please unlock it", "the printer on our floor shows a paper jam"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sagemaker") / "model"
    golden = [document for document, _ in past.tickets(3, seed=3)]
    artifact.save(trained.model(), made, key=KEY, golden=golden, metadata={})
    return made


class Server:
    """The server's process and a client of it."""

    def __init__(self, folder: Path, port: int) -> None:
        argv = [
            "-m",
            "classifier.sagemaker",
            "serve",
            "--model",
            str(folder),
            "--port",
            str(port),
            "--host",
            "127.0.0.1",
        ]
        environment = {**os.environ, "TRIAGE_MODEL_KEY": KEY.hex()}
        self.process = subprocess.Popen([sys.executable, *argv], env=environment, stderr=subprocess.PIPE)
        self.url, self.http = f"http://127.0.0.1:{port}", urllib3.PoolManager(retries=False, timeout=20)

    def wait(self) -> None:
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            try:
                if self.http.request("GET", f"{self.url}/ping").status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                time.sleep(0.1)
        raise AssertionError("/ping did not answer")

    def invoke(self, body: str | bytes, kind: str = formats.JSON) -> urllib3.BaseHTTPResponse:
        return self.http.request("POST", f"{self.url}/invocations", body=body, headers={"Content-Type": kind})


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    (port,) = free_ports(1)
    started = Server(folder, port)
    try:
        started.wait()
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


def expected(texts: list[str], k: int) -> list[dict[str, list[object]]]:
    rankings = trained.model().rank([Document("", text) for text in texts], k=k)
    return [
        {
            "label": [f"__label__{match.label}" for match in ranking.matches],
            "prob": [match.probability for match in ranking.matches],
        }
        for ranking in rankings
    ]


def test_a_client_of_blazingtext_reads_the_answers(server: Server) -> None:
    one = server.invoke(json.dumps({"instances": TEXTS}))
    assert (one.status, one.headers["Content-Type"]) == (200, "application/json")
    assert one.json() == expected(TEXTS, 1)
    assert [answer["label"] for answer in one.json()] == [["__label__unlock-account"], ["__label__printer"]]
    two = server.invoke(json.dumps({"instances": TEXTS, "configuration": {"k": 2}}), "application/json; charset=utf-8")
    assert two.json() == expected(TEXTS, 2)
    every = server.invoke(json.dumps({"instances": TEXTS, "configuration": {"k": 99}}))
    assert [len(answer["prob"]) for answer in every.json()] == [len(past.PROBLEMS)] * 2


def test_lines_are_answered_line_by_line(server: Server) -> None:
    asked = "".join(json.dumps({"source": text, "k": k}) + "\n" for text, k in zip(TEXTS, (1, 3), strict=True))
    answer = server.invoke(asked, formats.LINES)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/jsonlines")
    lines = [json.loads(line) for line in answer.data.decode().splitlines()]
    assert lines == [expected(TEXTS[:1], 1)[0], expected(TEXTS[1:], 3)[0]]


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        ("a,b", "text/csv", 415, "application/jsonlines"),
        ("{", formats.JSON, 400, "not JSON"),
        ("[1]", formats.JSON, 400, "not a JSON object"),
        ('{"instances": []}', formats.JSON, 400, "at least one"),
        ('{"instances": [1]}', formats.JSON, 400, "at least one"),
        ('{"instances": ["a"], "configuration": {"k": 0}}', formats.JSON, 400, "configuration.k"),
        ('{"source": "a"}\n{"source": 1}', formats.LINES, 400, "Line 2"),
        (b"\xff", formats.JSON, 400, "UTF-8"),
        (b" " * (formats.MOST_BYTES + 1), formats.JSON, 413, "6 MiB"),
        (json.dumps({"instances": ["a"] * (formats.MOST_TEXTS + 1)}), formats.JSON, 413, "texts"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_answered_is_said(server: Server, body: str | bytes, kind: str, status: int, said: str) -> None:
    answer = server.invoke(body, kind)
    assert answer.status == status
    assert said in answer.json()["message"]
    assert server.http.request("GET", f"{server.url}/ping").status == 200


def test_hostile_texts_are_answered_and_other_addresses_are_not(server: Server) -> None:
    odd = ["", "\x00\n\r", "__label__printer </s>", "\ud800", "a" * 200_000]
    answer = server.invoke(json.dumps({"instances": odd}))
    assert answer.status == 200
    assert len(answer.json()) == len(odd)
    assert server.http.request("GET", f"{server.url}/etc/passwd").status == 404
    assert server.http.request("GET", f"{server.url}/invocations").status == 405


def test_it_ends_in_order_and_opens_no_other_key(folder: Path) -> None:
    (port,) = free_ports(1)
    started = Server(folder, port)
    started.wait()
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(timeout=25) == 0
    started.process.communicate()
    argv = [sys.executable, "-m", "classifier.sagemaker", "serve", "--model", str(folder), "--port", str(port)]
    wrong = subprocess.run(
        argv, env={**os.environ, "TRIAGE_MODEL_KEY": "00" * 32}, capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, "not signed" in wrong.stderr) == (1, True)
    none = subprocess.run(argv, env={**os.environ, "TRIAGE_MODEL_KEY": ""}, capture_output=True, text=True, check=False)
    assert (none.returncode, "TRIAGE_MODEL_KEY" in none.stderr) == (2, True)
