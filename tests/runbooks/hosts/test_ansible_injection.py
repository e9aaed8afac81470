"""Hostile values: whatever a ticket says stays a text, reaches one host only, and starts nothing.

A sample is tried in a plain run of the tests; TRIAGE_INJECTIONS=all tries every payload.
"""

import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runbooks.hosts.conftest import LOCAL, Execute, Write

SAMPLE = 3

COMMANDS = (
    "{{{{ lookup('pipe', '{x}') }}}}",
    "{{{{ query('ansible.builtin.pipe', '{x}') }}}}",
    "{{% set x = lookup('pipe', '{x}') %}}{{{{ x }}}}",
    "{{{{ lookup('template', '/dev/stdin') }}}}{{{{ lookup('pipe','{x}') }}}}",
    "{{{{ self.__init__.__globals__.__builtins__.__import__('os').system('{x}') }}}}",
    "{{{{ cycler.__init__.__globals__.os.popen('{x}').read() }}}}",
    "{{{{ ''.__class__.__mro__[1].__subclasses__() }}}}",
    "#jinja2: variable_start_string:'[[', variable_end_string:']]'\n[[ lookup('pipe', '{x}') ]]",
    '!unsafe \'{{{{ lookup("pipe", "{x}") }}}}\'',
    "\"\n  injected: !vault x\n  other: \"{{{{ lookup('pipe', '{x}') }}}}",
    "*alias {{{{ lookup('pipe', '{x}') }}}}",
    "!!python/object/apply:os.system ['{x}']",
    "$({x})",
    "`{x}`",
    "; {x} #",
    "| {x}",
    "|| {x}",
    "& {x} &",
    "&& {x}",
    "\n{x}\n",
    "'; {x}; '",
    '"; {x}; "',
    "' \"$({x})\" '",
    "x\r\n{x}\r\n",
    "--extra-vars=@/etc/passwd {x}",
    "--connection=local",
    "-e ansible_connection=local",
    "-oProxyCommand={x}",
    "ansible_connection=local ansible_host=127.0.0.1",
    "ansible_ssh_common_args=-oProxyCommand={x}",
    "x ansible_become=yes ansible_become_exe={x}",
    "_raw_params={x}",
    "creates=/x {x}",
    "argv={x}",
    "${{IFS}}{x}",
    "%({x})s",
    "{{x}}",
    "@{x}",
    "../../../../bin/sh -c {x}",
    "\u202e{x}\u2066",
    "ｘ；{x}",
    "\u2028{x}\u0085",
    "\ufeff{{{{ lookup('pipe', '{x}') }}}}",
    "\U0001f4a3 {x}",
    "{{{{ '{{{{' }}}} lookup('pipe', '{x}') }}}}",
)
PATTERNS = (
    "all", "*", "!x", "~.*", "here:there", "here,there", "here*", "h?re", "[a:z]", "web[1:3]", "all:!here", "here[0]",
    "@/etc/hosts", "localhost", "127.0.0.1", "HERE", " here", "here ", "here\n", "here\0", "", "--limit=all", "-i /etc",
    "ｈere", "here\u200b", "ungrouped", "&here", "here;id", "{{ 'here' }}", "there.example.org", "root@here", "::1",
)  # fmt: skip

USES = """
- name: As one argument
  ansible.builtin.command:
    argv: [/usr/bin/python3, -c, "import hashlib, os, sys; print(hashlib.sha256(os.fsencode(sys.argv[1])).hexdigest())",
      "{{ parameters.value }}"]
  changed_when: false
  register: argument
- name: As content and as a path
  ansible.builtin.copy: {content: "{{ parameters.value }}", dest: "FOLDER/{{ parameters.value | hash }}", mode: "600"}
  changed_when: false
  register: written
- name: In a template, an item, a name {{ parameters.other }}
  ansible.builtin.copy: {content: "{{ lookup('template', 'value.j2') }}", dest: "FOLDER/{{ item | hash }}.t", mode: "600"}
  changed_when: false
  loop: ["{{ parameters.other }}"]
- name: In a condition
  ansible.builtin.debug: {msg: "{{ parameters.value }} and {{ parameters.other }}"}
  when: parameters.value == parameters.other
- name: Kept
  ansible.builtin.set_stats: {data: {digest: "{{ argument.stdout }}", value: "{{ parameters.value }}"}}
- name: Refused in its words
  ansible.builtin.fail: {msg: "{{ parameters.value }}"}
"""


class Canary:
    """What every payload tries to do: touch a file, and connect to a port."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "canary"
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if connection.recv(4) == b"stop":
                    return
                self.connections += 1

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"stop")
        self._thread.join()
        self._socket.close()

    def payloads(self) -> list[str]:
        do = f"touch {self.file}; exec 3<>/dev/tcp/127.0.0.1/{self.port}"
        return [payload.format(x=do) for payload in COMMANDS]


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    made = Canary(tmp_path)
    yield made
    made.close()
    assert not made.file.exists()
    assert made.connections == 0


def chosen(count: int) -> list[int]:
    """A few of them, spread evenly, or all."""
    return (
        list(range(count))
        if os.environ.get("TRIAGE_INJECTIONS") == "all"
        else list(range(0, count, count // SAMPLE))[:SAMPLE]
    )


@pytest.mark.parametrize("number", chosen(len(COMMANDS)))
def test_a_hostile_value_arrives_byte_for_byte_and_starts_nothing(
    write: Write, execute: Execute, canary: Canary, tmp_path: Path, number: int
) -> None:
    payload = canary.payloads()[number]
    folder = tmp_path / "written"
    folder.mkdir()
    runbook = write(
        parameters=("host", "value", "other"),
        pre_check=USES.replace("FOLDER", str(folder)),
        files={"templates/value.j2": "{{ parameters.value }}"},
    )
    outcome = execute(runbook, value=payload, other=payload)
    assert outcome.status == "refused", outcome.output
    assert outcome.remembered["digest"] == hashlib.sha256(payload.encode()).hexdigest()
    assert outcome.remembered["value"] == payload
    assert outcome.message.strip() == payload.strip()
    assert {path.read_bytes().decode().strip("\n") for path in folder.iterdir()} == {payload.strip("\n")}


def test_what_looks_like_a_variable_a_number_or_a_day_is_the_same_text_as_an_argument(
    write: Write, execute: Execute
) -> None:
    given = {"a": "~/$PATH ${HOME}", "b": "007", "c": "yes", "d": "2026-11-22", "e": "*", "f": "null"}
    program = "import json, sys; print(json.dumps(sys.argv[1:]))"
    values = ", ".join(f"'{{{{ parameters.{name} }}}}'" for name in given)
    tasks = f"- ansible.builtin.command:\n    argv: [/usr/bin/python3, -c, '{program}', {values}]\n"
    tasks += (
        "  register: said\n  changed_when: false\n- ansible.builtin.set_stats: {data: {said: '{{ said.stdout }}'}}\n"
    )
    outcome = execute(write(parameters=("host", *given), pre_check=tasks), **given)
    assert json.loads(str(outcome.remembered["said"])) == list(given.values()), outcome.output


@pytest.mark.parametrize("payload", ["nul \0 in it", "half \ud800 a pair"])
def test_what_no_command_can_take_never_begins(write: Write, execute: Execute, payload: str) -> None:
    outcome = execute(
        write(parameters=("host", "value"), pre_check="- ansible.builtin.debug: {var: parameters}\n"), value=payload
    )
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "NUL or half a surrogate pair" in outcome.message


def test_no_pattern_and_no_likeness_is_a_host(write: Write, execute: Execute, canary: Canary) -> None:
    runbook = write()
    hosts = {"here": LOCAL, "there": LOCAL, "x": LOCAL}
    for pattern in (*PATTERNS, *canary.payloads()):
        outcome = execute(runbook, hosts=hosts, host=pattern)
        assert outcome.status in ("refused", "failed"), pattern
        assert (outcome.phase, outcome.output) == ("start", ""), pattern


def test_a_parameter_can_neither_be_called_like_ansibles_own_nor_come_unasked(write: Write, execute: Execute) -> None:
    named = execute(write(parameters=("host", "ansible_connection")), ansible_connection="local")
    assert (named.status, named.phase) == ("failed", "start")
    assert "no parameter may be called so" in named.message
    unasked = execute(write(), ansible_connection="local")
    assert (unasked.status, unasked.phase) == ("failed", "start")
    assert "has no such parameter" in unasked.message
