"""Runbooks made for hostile values: parameters as open as a definition allows, used wherever a value can stand."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from runbooks import definition
from runbooks.base import Runbook
from tests.runbooks.rundeck_server import UUIDS

MANY = 40
"""Text parameters of one runbook."""
NAMES = tuple(f"v{number:02}" for number in range(MANY))

HEAD = """
key = "{key}"
title = "Take any text"
owner = "tests"
tier = "irreversible"
reversible = false
time_limit = 60
assurance = "none"
runner = "{runner}"
target_kind = "{target}"
"""
TEXT = """
[[parameters]]
name = "{name}"
kind = "text"
title = "{name}"
required = false
fields = ["{name}"]
max_length = 1000
"""

DIGEST = "import hashlib, os, sys; print(hashlib.sha256(b'\\x1e'.join(map(os.fsencode, sys.argv[1:]))).hexdigest())"

CAREFUL = f'''
"""Takes values as a careful author does: as arguments, as rows, as lines."""

import hashlib
import subprocess
import sys

DIGEST = {DIGEST!r}


def bearable(value):
    """Whether a command can have it for an argument at all."""
    return "\\0" not in value and value.encode(errors="ignore").decode() == value


def pre_check(context):
    """Always yes."""


def action(context):
    """Hand all values to another program, write them into a database, and print them."""
    values = [context.text(name) for name in sorted(context.parameters)]
    arguments = [value for value in values if bearable(value)]
    said = subprocess.run([sys.executable, "-I", "-c", DIGEST, *arguments], capture_output=True, text=True, check=True)
    context.remember("arguments", said.stdout.strip())
    whole = "\\x1e".join(values).encode("utf-8", "surrogatepass")
    context.remember("values", hashlib.sha256(whole).hexdigest())
    for value in arguments:
        context.target.append(context.run_id, "value", value)
        print(value)


def post_check(context):
    """Every row is there."""
    assert context.target.entries(context.run_id)
'''
CARELESS = '''
"""Does with values what no author may."""

import subprocess


def pre_check(context):
    """Always yes."""


def action(context):
    """Paste each into a shell's line."""
    for value in context.parameters.values():
        if "\\0" not in value:
            line = f"echo {value}".encode("utf-8", "replace")
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run(line, shell=True, executable="/bin/bash", timeout=10, cwd="/tmp", check=False, **quiet)


def post_check(context):
    """Always yes."""
'''

HOLDS = "- ansible.builtin.assert: {that: true, quiet: true}\n"
PLAYED = """
- name: As arguments, of which one is {{ parameters.v00 }}
  ansible.builtin.command:
    argv: "{{ ['/usr/bin/python3', '-I', '-c', lookup('file', 'digest.py')] + values }}"
  register: said
  changed_when: false
- name: In a template and as content
  ansible.builtin.copy: {content: "{{ lookup('template', 'values.j2') }}", dest: "{{ target.folders.kept.path }}/{{ run_id }}", mode: "600"}
- name: As an item, in a condition and in words
  ansible.builtin.debug: {msg: "{{ item.value }} is {{ item.value }}"}
  loop: "{{ parameters | dict2items }}"
  when: item.value == parameters[item.key]
- name: Kept
  ansible.builtin.set_stats: {data: {arguments: "{{ said.stdout }}"}}
"""
VALUES = "values: \"{{ parameters | dict2items | rejectattr('key', 'equalto', 'host') | sort(attribute='key') | map(attribute='value') }}\"\n"


def _written(folder: Path, key: str, runner: str, target: str, names: Sequence[str], table: str = "") -> Path:
    home = folder / key
    home.mkdir(parents=True, mode=0o755)
    text = HEAD.format(key=key, runner=runner, target=target) + "".join(TEXT.format(name=name) for name in names)
    (home / "runbook.toml").write_text(text + table, encoding="utf-8")
    return home


def python(folder: Path, *, careless: bool = False) -> Runbook:
    """Steps that take forty values, as they should or as they must not."""
    home = _written(folder, "careless" if careless else "careful", "python", "journal", NAMES)
    (home / "steps.py").write_text(CARELESS if careless else CAREFUL, encoding="utf-8")
    return definition.read(home)


def ansible(folder: Path) -> Runbook:
    """Tasks that take forty values: as arguments, in a template, as items, in a condition and in names."""
    home = _written(folder, "played", "ansible", "host", ("host", *NAMES))
    for name, text in (
        ("pre_check.yml", HOLDS),
        ("action.yml", PLAYED),
        ("post_check.yml", HOLDS),
        ("defaults/main.yml", VALUES),
        ("files/digest.py", DIGEST),
        ("templates/values.j2", "{{ values | join('\\x1e') }}"),
    ):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    return definition.read(home)


PHASES = ("pre_check", "action", "post_check")


def _open(names: Sequence[str]) -> str:
    return ", ".join(f'{name} = "{name}"' for name in names)


def awx(folder: Path) -> Runbook:
    """Three templates; forty values are their variables, another is the host that jobs are limited to."""
    table = f'[awx]\nvariables = {{ {_open(NAMES)} }}\nlimit = "machine"\n'
    table += "".join(f'[awx.{phase}]\ntemplate = "{phase}"\n' for phase in PHASES)
    return definition.read(_written(folder, "launched", "awx", "awx", (*NAMES, "machine"), f"\n{table}"))


def rundeck(folder: Path) -> Runbook:
    """Three jobs; forty values are their options, another is the node that they run on."""
    table = f'[rundeck]\noptions = {{ {_open(NAMES)} }}\nnode = "machine"\n'
    table += "".join(f'[rundeck.{phase}]\njob = "{UUIDS[phase]}"\n' for phase in PHASES)
    return definition.read(_written(folder, "jobs", "rundeck", "rundeck", (*NAMES, "machine"), f"\n{table}"))


def ssm(folder: Path) -> Runbook:
    """Three documents; forty values are their parameters, another is the one target of a rate-controlled execution."""
    given = ", ".join(f'{name} = "{{{name}}}"' for name in NAMES)
    table = "".join(
        f'[ssm.{phase}]\ndocument = "Acme-{phase}"\nversion = "3"\nparameters = {{ {given} }}\n'
        f'[ssm.{phase}.targets]\nparameter = "Target"\nvalues = ["{{machine}}"]\n'
        for phase in PHASES
    )
    return definition.read(_written(folder, "documents", "ssm", "ssm", (*NAMES, "machine"), f"\n{table}"))


def digest(values: Sequence[str]) -> str:
    """What the other program says of its arguments."""
    return hashlib.sha256("\x1e".join(values).encode("utf-8", "surrogatepass")).hexdigest()
