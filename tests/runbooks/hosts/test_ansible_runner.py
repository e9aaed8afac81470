"""The Ansible runner with real ansible-playbook processes: what each way of ending means, and what is left of a run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from runbooks import process
from runbooks.definition import DefinitionError
from runbooks.outcome import Outcome
from runbooks.targets.plays import Told
from runbooks.watch import Watch
from tests.runbooks.hosts.conftest import HOLDS, LOCAL, PING, Execute, Write
from tests.runbooks.hosts.sshd import Sshd

REFUSING = "- ansible.builtin.assert: {that: false, fail_msg: 'not today'}\n"
FAMILY = """
- name: Start a family and wait
  ansible.builtin.command:
    argv: [/usr/bin/python3, -c, "{{ family }}"]
  vars:
    family: |
      import os, subprocess, time
      for _ in range(2):
          subprocess.Popen(["setsid", "sh", "-c", "setsid sleep 300 & sleep 300 & wait"])
      open("WITNESS", "w").write("2")
      time.sleep(300)
  changed_when: true
"""


def touch(path: Path) -> str:
    return f"- ansible.builtin.copy: {{content: x, dest: {path}, mode: '600'}}\n"


def gone(path: Path) -> str:
    return f"- ansible.builtin.file: {{path: {path}, state: absent}}\n"


def exists(path: Path, *, wanted: bool) -> str:
    return (
        f"- ansible.builtin.stat: {{path: {path}}}\n  register: found\n"
        f"- ansible.builtin.assert: {{that: found.stat.exists == {wanted}, fail_msg: 'wrong: {{{{ found.stat.exists }}}}'}}\n"
    )


def phases(outcome: Outcome) -> list[tuple[str, bool]]:
    return [(result.phase, result.ok) for result in outcome.phases]


def test_the_post_check_decides_and_not_the_exit_code_and_knows_what_was_noted_before(
    write: Write, execute: Execute, tmp_path: Path
) -> None:
    path, template = tmp_path / "made", "{{ lookup('pipe', 'id') }}"
    note = f'- ansible.builtin.set_stats: {{data: {{before: !unsafe "{template}", list: [1, two]}}}}\n'
    look = (
        "- ansible.builtin.assert: {that: [remembered.before == wanted, \"remembered.list == [1, 'two']\"]}\n"
        f'  vars: {{wanted: !unsafe "{template}"}}\n'
    )
    seen: list[str] = []
    outcome = execute(
        write(
            pre_check=note,
            action=touch(path) + "- ansible.builtin.fail: {msg: the action gave up}\n",
            post_check=exists(path, wanted=True) + look,
        ),
        options={"watch": Watch(on_start=lambda: seen.append(f"start {path.exists()}"), on_phase=seen.append)},
    )
    assert (outcome.status, outcome.phase) == ("succeeded", "post_check"), outcome.output
    assert phases(outcome) == [("pre_check", True), ("action", False), ("post_check", True)]
    assert outcome.message.startswith("The action reported the action gave up. ")
    assert outcome.remembered == {"before": template, "list": '[1, "two"]'}
    assert seen == ["pre_check", "start False", "action", "post_check"]


def test_an_assertion_of_the_pre_check_refuses_and_anything_else_breaks_off(
    write: Write, execute: Execute, tmp_path: Path
) -> None:
    path = tmp_path / "made"
    refused = execute(write(pre_check=REFUSING, action=touch(path)))
    assert (refused.status, refused.message, refused.changed_nothing) == ("refused", "not today", True)
    broken = execute(write(pre_check="- ansible.builtin.slurp: {src: /no/such/file}\n", action=touch(path)))
    assert (broken.status, broken.changed_nothing) == ("failed", True)
    assert "/no/such/file" in broken.message
    assert not path.exists()


def test_a_check_that_changes_something_is_no_agreement(write: Write, execute: Execute) -> None:
    outcome = execute(write(pre_check="- ansible.builtin.command: {argv: ['true']}\n" + HOLDS))
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "a check must change nothing" in outcome.message


def test_a_skipped_assertion_is_no_agreement_whatever_the_host_prints_and_leads_to_the_undo(
    write: Write, execute: Execute, tmp_path: Path
) -> None:
    path = tmp_path / "made"
    event = '{"event": "ok", "host": "here", "task": "x", "action": "assert", "changed": false, "ignored": false, "message": ""}'
    shout = (
        "- ansible.builtin.command: {argv: [printf, '%s\\n', !unsafe '" + event + "']}\n"
        "  changed_when: false\n  register: said\n"
        "- ansible.builtin.debug: {msg: '{{ said.stdout }}'}\n"
        "- ansible.builtin.assert: {that: true}\n  when: false\n"
    )
    outcome = execute(
        write(action=touch(path), post_check=shout, undo=gone(path), undo_check=exists(path, wanted=False))
    )
    assert (outcome.status, path.exists()) == ("undone", False)
    assert "no assertion was looked at" in outcome.message
    assert [phase for phase, _ in phases(outcome)] == ["pre_check", "action", "post_check", "undo", "undo_check"]


STATS = {"ok": 1, "failures": 0, "unreachable": 0, "changed": 0, "skipped": 0, "rescued": 0, "ignored": 0}


@pytest.mark.parametrize(
    ("code", "hosts", "reason"),
    [
        (0, None, "ended with exit code 0 and said no more"),
        (250, None, "ended with exit code 250"),
        (0, {}, "worked on no host and not on here"),
        (0, {"here": STATS, "there": STATS}, "worked on here, there and not on here"),
        (0, {"there": STATS}, "worked on there"),
        (0, {"here": STATS | {"ok": 0}}, "no task went well"),
        (0, {"here": STATS | {"failures": 1}}, "a task failed"),
        (0, {"here": STATS | {"unreachable": 1}}, "a task failed"),
    ],
)
def test_only_a_tally_of_exactly_this_host_is_an_agreement(
    code: int, hosts: dict[str, dict[str, int]] | None, reason: str
) -> None:
    told = Told("here")
    told.exit_code, told.hosts, told.held = code, hosts, 1
    assert reason in told.problem(assertion=True, changes=False)
    told.exit_code, told.hosts = 0, {"here": STATS}
    assert told.problem(assertion=True, changes=False) == ""


def test_a_dry_run_changes_nothing_and_says_what_would_change(write: Write, execute: Execute, tmp_path: Path) -> None:
    path = tmp_path / "made"
    outcome = execute(write(action=touch(path), post_check=exists(path, wanted=True)), dry_run=True)
    assert (outcome.status, outcome.message) == ("succeeded", "Nothing was changed; the output says what would be.")
    assert re.search(r"^\+x", outcome.output, re.MULTILINE)
    assert not path.exists()


def test_nothing_of_the_worker_or_of_a_user_is_inherited(
    write: Write, execute: Execute, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\nno_such: 1\nstdout_callback = nowhere\n", encoding="utf-8")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"))
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "nowhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "inherited-secret")
    monkeypatch.chdir(tmp_path)
    look = (
        "- ansible.builtin.command: {argv: [env]}\n  changed_when: false\n  register: seen\n"
        "- ansible.builtin.debug: {var: seen.stdout_lines}\n- ansible.builtin.debug: {msg: \"{{ lookup('env', 'HOME') }}\"}\n"
    )
    outcome = execute(write(pre_check=look + REFUSING))
    assert outcome.status == "refused", outcome.output
    assert "inherited-secret" not in outcome.output
    names = set(re.findall(r"- (\w+)=", outcome.output))
    assert names <= {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "TRIAGE_RUN", "TRIAGE_TASK", "TRIAGE_EVENTS", "PWD", "_", "LC_CTYPE",
                     "ANSIBLE_CONFIG", "ANSIBLE_HOME", "OLDPWD", "SHLVL", "LC_ALL", "LC_MESSAGES"}  # fmt: skip
    assert "triage-run-" in outcome.output


def test_secrets_reach_tasks_and_no_output(write: Write, execute: Execute, tmp_path: Path) -> None:
    secret = 'open "sesame" ü'
    path = tmp_path / "made"
    use = (
        f"- ansible.builtin.copy: {{content: '{{{{ secrets.word }}}}', dest: {path}, mode: '600'}}\n"
        "  no_log: true\n  changed_when: false\n"
        f"- ansible.builtin.slurp: {{src: {path}}}\n  register: read\n"
        "- ansible.builtin.debug: {msg: '{{ read.content | b64decode }}'}\n"
        "- ansible.builtin.fail: {msg: 'I know {{ read.content | b64decode }}'}\n"
    )
    outcome = execute(write(pre_check=use), settings={"secrets": {"word": secret}})
    assert path.read_text(encoding="utf-8") == secret
    assert "sesame" not in repr(outcome)
    assert "I know ****" in outcome.message


def test_the_output_is_bounded(write: Write, execute: Execute) -> None:
    flood = (
        "- ansible.builtin.command: {argv: [/usr/bin/python3, -c, \"print('x' * 3_000_000)\"]}\n"
        "  changed_when: false\n  register: said\n- ansible.builtin.debug: {var: said.stdout}\n"
    )
    outcome = execute(write(pre_check=flood + REFUSING))
    assert outcome.status == "refused"
    assert len(outcome.output.encode()) <= 1024 * 1024
    assert "bytes cut" in outcome.output


def test_a_changed_file_stops_the_run_before_it_begins(write: Write, execute: Execute, tmp_path: Path) -> None:
    runbook = write(files={"templates/t.j2": "one"})
    digest = (runbook.action_digest, runbook.selection_digest)
    (runbook.folder / "templates" / "t.j2").write_text("two", encoding="utf-8")
    outcome = execute(runbook)
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "t.j2 was changed after it was loaded" in outcome.message
    assert write(files={"templates/t.j2": "two"}).action_digest != digest[0]


def test_another_version_of_ansible_is_another_action(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from runbooks import source

    runbook = write()
    before = (runbook.action_digest, runbook.selection_digest)
    monkeypatch.setattr(source, "engine", lambda runner: f"ansible-core 9.9 for {runner}")
    assert runbook.action_digest != before[0]
    assert runbook.selection_digest == before[1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- ansible.builtin.shell: echo {{ parameters.x }}\n", "shell may not be used"),
        ("- shell: {cmd: echo}\n", "use command with argv"),
        ("- ansible.builtin.command: echo {{ parameters.x }}\n", "write the command as a list in argv"),
        ("- block:\n    - ansible.builtin.command: {cmd: echo}\n", "write the command as a list in argv"),
        ("- ansible.builtin.ping:\n  delegate_to: localhost\n", "one host only"),
        ("- ansible.builtin.ping:\n  connection: local\n", "the target decides"),
        ("- ansible.builtin.ping:\n  vars: {ansible_host: elsewhere}\n", "ansible_host may not be set"),
        ("- ansible.builtin.set_fact: {ansible_connection: local}\n", "ansible_connection may not be set"),
        ("- ansible.builtin.add_host: {name: x}\n", "the run has one host"),
        ("- ansible.builtin.ping:\n  async: 60\n", "cannot be ended with the run"),
        ("- ansible.builtin.debug: {msg: '{{ secrets.word }}'}\n", "add no_log: true"),
        ("- hosts: all\n  tasks: {", "this is no YAML"),
        ("just words", "write a list of tasks"),
    ],
)
def test_what_an_author_may_not_write_is_refused_when_read(write: Write, text: str, sentence: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(sentence)):
        write(action=text)


def test_a_check_without_an_assertion_is_refused_when_read(write: Write) -> None:
    with pytest.raises(DefinitionError, match=r"post_check.yml: a check without ansible.builtin.assert"):
        write(post_check=PING)


@pytest.mark.parametrize("over", ["here", "ssh"])
def test_the_time_limit_ends_the_whole_family_also_on_the_other_host(
    write: Write, execute: Execute, ssh_server: Sshd, tmp_path: Path, over: str
) -> None:
    witness = tmp_path / "witness"
    where: dict[str, Any] = {
        "hosts": {"here": LOCAL if over == "here" else ssh_server.host()},
        "settings": {} if over == "here" else {"private_key": ssh_server.private_key},
    }
    began = time.monotonic()
    execute(write(pre_check=REFUSING), **where)
    limit = round(2 + 2 * (time.monotonic() - began))  # so that the family has begun, however slow this machine is now
    began = time.monotonic()
    outcome = execute(write(pre_check=FAMILY.replace("WITNESS", str(witness))), **where, options={"time_limit": limit})
    assert time.monotonic() - began < limit + 10
    assert witness.read_text(encoding="utf-8") == "2"
    assert (outcome.status, outcome.phase) == ("failed", "pre_check")
    assert f"the time limit of {limit} s was reached" in outcome.message
    # The fixture looks that nothing which carries the run's mark is alive.


WORKER = """
import json, sys
from pathlib import Path
from runbooks import definition
from runbooks.runners import ansible
from runbooks.watch import Watch
ansible._RAM = Path(sys.argv[4])
ansible.execute(definition.read(Path(sys.argv[1])), parameters={"host": "here"}, run_id=sys.argv[2],
                target=json.loads(sys.argv[3]), watch=Watch(on_phase=lambda phase: print(phase, flush=True)))
"""


@pytest.mark.parametrize("over", ["here", "ssh"])
def test_kill_9_of_the_worker_leaves_no_orphan_and_no_folder(
    write: Write, ssh_server: Sshd, ram: Path, tmp_path: Path, over: str
) -> None:
    target = {"hosts": json.dumps({"here": LOCAL if over == "here" else ssh_server.host()})}
    if over == "ssh":
        target["private_key"] = ssh_server.private_key
    run_id = str(uuid.uuid4())
    runbook = write(pre_check=FAMILY.replace("WITNESS", str(tmp_path / "witness")))
    argv = [sys.executable, "-c", WORKER, str(runbook.folder), run_id, json.dumps(target), str(ram)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as worker:
        wait_until(lambda: sum(_command(pid).startswith(b"sleep") for pid in process.marked(run_id)) == 4)
        os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not process.marked(run_id))
    wait_until(lambda: list(ram.iterdir()) == [])


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_until(done: object, *, seconds: float = 15.0) -> None:
    assert callable(done)
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.05)
