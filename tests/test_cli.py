"""The `triage` command from outside: exit codes, messages and JSON."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from triage.ports import free_ports


def triage(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "TRIAGE_HOME": str(home / "home")}
    return subprocess.run(
        [sys.executable, "-m", "triage", *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_names_every_command(home: Path) -> None:
    ended = triage(home, "--help")
    assert ended.returncode == 0
    names = ("demo", "up", "doctor", "evaluate", "train", "publish", "rollback", "reconcile", "runbook", "sign-in")
    assert [name for name in names if name not in ended.stdout] == []


def test_bad_usage_ends_with_2_and_names_what_was_wrong(home: Path) -> None:
    for arguments, named in ((["evaluate"], "--train"), (["demo", "--tickets", "none"], "none"), (["paint"], "paint")):
        ended = triage(home, *arguments)
        assert ended.returncode == 2
        assert named in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_file_that_cannot_be_read_is_one_line_with_its_place(home: Path) -> None:
    bad = home / "bad.jsonl"
    bad.write_text('{"text": "a", "label": "b"}\n{"text": NaN, "label": "b"}\n')
    ended = triage(home, "evaluate", "--train", str(bad), "--test", str(bad))
    assert ended.returncode == 1
    assert "bad.jsonl" in ended.stderr
    assert "line 2" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_doctor_finds_a_folder_that_others_can_read(home: Path) -> None:
    (home / "home").mkdir(mode=0o755)
    (home / "home").chmod(0o755)
    ended = triage(home, "doctor", "--json", "-")
    assert ended.returncode == 1
    findings = {finding["part"]: finding for finding in json.loads(ended.stdout)["findings"]}
    assert "chmod 700" in findings["home folder"]["words"]
    assert findings["broker"]["good"]
    assert findings["lake"]["good"]
    assert "triage up" in findings["database"]["words"]


@pytest.mark.slow
def test_up_serves_until_it_is_told_to_stop_and_leaves_nothing_running(home: Path) -> None:
    port = free_ports(1)[0]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "TRIAGE_HOME": str(home / "home")}
    product = subprocess.Popen(
        [sys.executable, "-m", "triage", "up", "--port", str(port)],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert product.stderr is not None
    first, second = product.stderr.readline(), product.stderr.readline()
    assert f"http://127.0.0.1:{port}" in first
    assert "/sign-in/" in second
    until = time.monotonic() + 60
    healthy = None
    while time.monotonic() < until and healthy is None:
        time.sleep(1)
        found = triage(home, "doctor", "--json", "-")
        healthy = found if found.returncode == 0 else None
    link = triage(home, "sign-in", "admin")
    unknown = triage(home, "sign-in", "nobody")
    family = psutil.Process(product.pid).children(recursive=True)
    product.send_signal(signal.SIGTERM)
    assert product.wait(60) == 0
    product.stderr.close()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert healthy is not None, found.stdout
    assert "/sign-in/" in link.stdout
    assert (unknown.returncode, "'nobody'" in unknown.stderr) == (2, True)
