"""The shipped host runbooks over ssh, on real files and processes of this machine."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runbooks import registry
from runbooks.outcome import Outcome
from tests.runbooks.hosts.conftest import Execute
from tests.runbooks.hosts.sshd import Sshd

CONTROL = """
import os, pathlib, signal, subprocess, sys, time
folder, verb, broken = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "broken"
file = folder / "pid"
pid = int(file.read_text()) if file.exists() else 0

def lives():
    try:
        return pid and open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

if verb == "pid":
    print(pid if lives() else 0)
elif verb in ("stop", "restart") and lives():
    os.kill(pid, signal.SIGKILL)
if verb == "restart" and not broken:
    started = subprocess.Popen(["sleep", "600"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
    file.write_text(str(started.pid))
"""


class Daemon:
    """A service of a temporary folder, started and stopped by a script, as an init script does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = folder / "control.py"
        self.script.write_text(CONTROL, encoding="utf-8")

    def command(self, verb: str, *, broken: bool = False) -> list[str]:
        return ["/usr/bin/python3", str(self.script), str(self.folder), verb, "broken" if broken else "sound"]

    def do(self, verb: str) -> int:
        said = subprocess.run(self.command(verb), capture_output=True, text=True, check=True).stdout
        return int(said or 0)

    def settings(self, *, broken: bool = False) -> dict[str, Any]:
        return {verb: self.command(verb, broken=broken) for verb in ("pid", "restart", "stop")} | {"start_seconds": 1}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.do("stop")


@pytest.fixture
def on_host(execute: Execute, ssh_server: Sshd) -> Execute:
    """Run a shipped runbook on the host `web1`, reached by ssh."""

    def run(key: str, *, settings: dict[str, Any] | None = None, **parameters: str) -> Outcome:
        return execute(
            registry.get(key),
            hosts={"web1": ssh_server.host(), "web2": ssh_server.host()},
            settings={"private_key": ssh_server.private_key, **(settings or {})},
            **({"host": "web1"} | parameters),
        )

    return run


def test_diagnostics_see_the_host_and_change_nothing(on_host: Execute) -> None:
    outcome = on_host("collect_diagnostics")
    assert outcome.status == "succeeded", outcome.output
    seen = json.loads(str(outcome.remembered["diagnostics"]))
    assert seen["memory"]["total_mb"] == pytest.approx(psutil.virtual_memory().total >> 20, abs=1)
    assert seen["processors"] == os.cpu_count()
    assert "/" in [disk["mount"] for disk in seen["disks"]]
    assert "changed=0" in outcome.output
    assert "changed=1" not in outcome.output


def test_a_restarted_service_has_another_process_that_outlives_the_run(on_host: Execute, daemon: Daemon) -> None:
    daemon.do("restart")
    before = daemon.do("pid")
    outcome = on_host("restart_service", settings={"services": {"web": daemon.settings()}}, service="web")
    assert outcome.status == "succeeded", outcome.output
    assert daemon.do("pid") not in (0, before)
    # Without the run's marks: what sweeps up after a later, broken run must not find it.
    assert b"TRIAGE" not in Path(f"/proc/{daemon.do('pid')}/environ").read_bytes().replace(
        b"TRIAGE_RUN=\0", b""
    ).replace(b"TRIAGE_TASK=\0", b"")


def test_a_service_that_does_not_come_up_is_left_down_only_where_it_was_down(on_host: Execute, daemon: Daemon) -> None:
    outcome = on_host("restart_service", settings={"services": {"web": daemon.settings(broken=True)}}, service="web")
    assert outcome.status == "undone"
    assert "web does not stay up" in outcome.message
    assert daemon.do("pid") == 0


def old(path: Path, *, days: int = 30, size: int = 4096) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def test_only_old_plain_files_in_allowed_folders_are_deleted_and_links_are_never_followed(
    on_host: Execute, tmp_path: Path
) -> None:
    inside, outside = tmp_path / "cache", tmp_path / "outside"
    doomed = [old(inside / "a"), old(inside / "deep" / "er" / "b; rm -rf x"), old(inside / "-rf")]
    kept = [old(inside / "young", days=1), old(outside / "precious"), old(inside / "open")]
    (inside / "link").symlink_to(outside / "precious")
    (inside / "folder").symlink_to(outside)
    os.mkfifo(inside / "pipe")
    settings = {"folders": {"cache": {"path": str(inside), "older_than_days": 7}}}
    with (inside / "open").open("rb"):
        outcome = on_host("free_disk_space", settings=settings)
        assert outcome.status == "succeeded", outcome.output
    assert outcome.remembered["old_files"] == 3
    assert "1 old files are in use and stay" in outcome.output
    assert not any(path.exists() for path in doomed)
    assert all(path.exists() for path in kept)
    assert (inside / "link").is_symlink()
    assert (inside / "pipe").exists()


def test_what_the_target_does_not_name_is_refused(on_host: Execute) -> None:
    outcome = on_host("restart_service", service="sshd")
    assert (outcome.status, outcome.message) == ("refused", "sshd is no service that may be restarted on web1")


def test_a_folder_that_became_a_link_is_not_entered(on_host: Execute, tmp_path: Path) -> None:
    precious = old(tmp_path / "outside" / "precious")
    (tmp_path / "cache").symlink_to(tmp_path / "outside")
    settings = {"folders": {"cache": {"path": str(tmp_path / "cache"), "older_than_days": 7}}}
    outcome = on_host("free_disk_space", settings=settings)
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "is reached by a link" in outcome.message
    assert precious.exists()


def test_a_log_is_rotated_by_its_own_configuration(on_host: Execute, tmp_path: Path) -> None:
    if not Path("/usr/sbin/logrotate").exists():
        pytest.skip("no logrotate: apt-get install logrotate")
    log, config = tmp_path / "app.log", tmp_path / "app.conf"
    log.write_text("line\n" * 100, encoding="utf-8")
    tmp_path.chmod(0o755)
    config.write_text(f"{log} {{\n rotate 2\n create 0600\n su root root\n}}\n", encoding="utf-8")
    config.chmod(0o644)
    settings = {"logs": {"app": {"config": str(config), "file": str(log), "state": str(tmp_path / "state")}}}
    outcome = on_host("rotate_logs", settings=settings, log="app")
    assert outcome.status == "succeeded", outcome.output
    assert log.read_text(encoding="utf-8") == ""
    assert (tmp_path / "app.log.1").read_text(encoding="utf-8") == "line\n" * 100


@pytest.fixture
def busy() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of nobody that needs a whole processor."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a process of another user")
    code = "while True: pass"
    with subprocess.Popen(["/usr/bin/python3", "-c", code], user="nobody", cwd="/") as started:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, started.pid, -10)  # it gets a whole one, whatever else runs here
        yield started
        started.kill()


def test_exactly_the_busy_process_that_is_meant_is_ended(on_host: Execute, busy: "subprocess.Popen[bytes]") -> None:
    settings = {"processes": {"users": ["nobody"], "cpu_percent": 20}}
    meant = {"pid": str(busy.pid), "command": "python3"}
    wrong = on_host("kill_runaway_process", settings=settings, **(meant | {"command": "java"}))
    assert (wrong.status, wrong.message) == ("refused", f"process {busy.pid} is python3 and not java")
    assert busy.poll() is None
    outcome = on_host("kill_runaway_process", settings=settings, **meant)
    assert outcome.status == "succeeded", outcome.output
    assert busy.wait(5) == -signal.SIGTERM


def test_processes_of_root_and_idle_ones_are_never_ended(on_host: Execute) -> None:
    settings = {"processes": {"users": ["nobody"], "cpu_percent": 20}}
    first = on_host("kill_runaway_process", settings=settings, pid="1", command=psutil.Process(1).name()[:15])
    assert (first.status, first.message) == ("refused", "processes of root are not ended")
    with subprocess.Popen(["sleep", "60"], user="nobody") as idle:
        outcome = on_host("kill_runaway_process", settings=settings, pid=str(idle.pid), command="sleep")
        idle.kill()
    assert outcome.status == "refused"
    assert "sleep needs 0 % of a processor" in outcome.message


def test_the_number_of_an_ended_process_hits_nobody_else() -> None:
    path = registry.get("kill_runaway_process").folder / "library" / "one_process.py"
    with subprocess.Popen(["sleep", "60"], user="nobody") as other:
        code = (
            f"import sys; sys.argv = ['x']; source = open({str(path)!r}).read()\nmodule = {{'__name__': 'm'}}\n"
            f"exec(source, module)\nnow = module['look']({other.pid})\n"
            f"print(module['end']({other.pid}, now | {{'started': now['started'] - 1}}))\n"
            f"print(module['end'](1, module['look'](1)))\n"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert said == (
            f"process {other.pid} is no longer the one that was looked at\na process of root is never ended\n"
        )
        assert other.poll() is None
        other.kill()
