"""The embedded broker and lake start from an empty folder, survive kill -9 and are never started twice."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis

from tests import servers
from triage.embedded import Embedded, EmbeddedError
from triage.ports import free_ports


def test_both_parts_answer_and_keep_what_they_were_given_over_kill_nine(home: Path) -> None:
    embedded = Embedded(home)
    try:
        endpoints = embedded.start()
        path = endpoints.broker_url.removeprefix("redis+socket://")
        assert len(path) < 108
        with redis.Redis(unix_socket_path=path) as client:
            client.set("kept", "yes")
            time.sleep(1.2)  # the append-only file reaches the disk every second
        servers.store(endpoints).put("raw/kept", b"yes")
        for part in embedded.parts:
            assert part.process is not None
            os.kill(part.process.pid, signal.SIGKILL)
            part.process.wait()
        assert sorted(embedded.restart_dead()) == ["broker", "lake"]
        for part in embedded.parts:
            embedded._await(part)
        with redis.Redis(unix_socket_path=path) as client:
            assert client.get("kept") == b"yes"
        assert servers.store(endpoints).get("raw/kept") == b"yes"
    finally:
        embedded.stop()


def test_a_second_start_in_the_same_folder_names_the_process_that_holds_it(home: Path) -> None:
    with servers.embedded(home):
        assert Embedded.running(home) is not None
        with pytest.raises(EmbeddedError, match=f"in use by process {os.getpid()}"):
            Embedded(home).start()
    assert Embedded.running(home) is None


def test_credentials_are_for_the_owner_only_and_stay_the_same(home: Path) -> None:
    with servers.embedded(home) as first:
        for name in ("endpoints.json", "lake-credentials.json"):
            assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    with servers.embedded(home) as second:
        assert (first.s3_access_key, first.s3_secret_key) == (second.s3_access_key, second.s3_secret_key)


def test_the_parts_die_with_a_starter_that_was_killed_and_start_again(home: Path) -> None:
    program = "import sys, time, pathlib; from triage.embedded import Embedded\n"
    program += "e = Embedded(pathlib.Path(sys.argv[1])); e.start(); print('up', flush=True); time.sleep(60)"
    starter = subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"up\n"
    parts = psutil.Process(starter.pid).children(recursive=True)
    assert len(parts) >= 2
    starter.kill()
    starter.wait()
    starter.stdout.close()
    _, alive = psutil.wait_procs(parts, timeout=10)
    assert alive == []
    with servers.embedded(home) as endpoints:
        servers.store(endpoints).put("raw/again", b"yes")


def test_a_part_that_cannot_start_says_so_with_its_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = home / "bin"
    broken.mkdir()
    (broken / "weed").write_text("#!/bin/sh\necho no room in this boat\nexit 3\n")
    (broken / "weed").chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken}:{os.environ['PATH']}")
    with pytest.raises(EmbeddedError, match="embedded lake did not start[\\s\\S]*no room in this boat"):
        Embedded(home).start()
    assert Embedded.running(home) is None


def test_a_port_is_told_once_and_is_none_that_a_connection_may_get_meanwhile() -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as server:
        found = [*free_ports(200), *free_ports(200)]
        assert server.getsockname()[1] not in found
    assert len(set(found)) == 400
    assert max(found) < 32_768  # where Linux begins, unless told otherwise
