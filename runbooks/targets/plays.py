"""Plays one phase's tasks on one host as ansible-playbook does and judges how that went; runs in the child process.

The verdict comes from the events of our own callback plugin, never from what is printed and never from the exit code
alone. Standard library only until the first phase is played.
"""

import contextlib
import importlib
import json
import os
import re
import selectors
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from runbooks.context import Context, NotDone, Refused
from runbooks.process import MARK
from runbooks.targets.sqlite import TargetError

CHECKS = ("pre_check", "post_check", "undo_check")
ASSERTIONS = ("ansible.builtin.assert", "ansible.builtin.fail", "assert", "fail")
"""Actions whose failure is an answer of the author; every other failure is an accident."""

EVENT_LIMIT = 1 << 20
REMEMBERED_LIMIT = 256 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class Plays:
    """The one host of a run, as the phases use it.

    settings: `run`, a JSON object: scratch (a folder that is this run's alone, with inventory, configuration and
    role), host (its name), variables (`target`, `secrets`), dry_run (the action changes nothing and says what it would
    change).
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        if "run" not in settings:
            raise TargetError("a target of the kind 'host' is for runbooks with runner = \"ansible\" only")
        self._run: dict[str, Any] = json.loads(settings["run"])
        self._scratch = Path(self._run["scratch"])
        self._remembered: dict[str, Any] = {}
        self._changes = False

    def allow_changes(self, allowed: bool) -> None:
        """Let tasks change the host, or count a changing task as an error (during checks)."""
        self._changes = allowed

    def close(self) -> None:
        """Hold nothing: each phase is a process of its own."""

    def play(self, phase: str, context: Context["Plays"]) -> None:
        """Play the phase's tasks; Refused or NotDone with the reason unless they went well.

        A phase went well when the tally says so for exactly this host; a check, moreover, when no task changed
        anything, and a post-check or undo-check when at least one assertion held.
        """
        dry = bool(self._run["dry_run"])
        if dry and phase == "post_check":
            return
        told = Told(self._run["host"])
        self._write_variables(context)
        self._start(phase, told, context, extra=["--check", "--diff"] if dry and phase == "action" else [])
        if refusal := told.refusal():
            raise Refused(refusal) if phase == "pre_check" else NotDone(refusal)
        problem = told.problem(assertion=phase in ("post_check", "undo_check"), changes=self._changes)
        if problem:
            raise NotDone(problem)

    def _write_variables(self, context: Context["Plays"]) -> None:
        """Everything that is not ours is marked unsafe, so that Ansible never reads a template in it."""
        variables = {
            "parameters": dict(context.parameters),
            "remembered": self._remembered,
            "run_id": context.run_id,
            **self._run["variables"],
        }
        (self._scratch / "variables.yml").write_text(unsafe_yaml(variables), encoding="utf-8")

    def _start(self, phase: str, told: "Told", context: Context["Plays"], *, extra: list[str]) -> None:
        self._warm(context.run_id)
        reading, writing = os.pipe()
        sys.stdout.flush()
        playing = os.fork()
        if playing == 0:
            self._become_ansible([*extra, f"{phase}.yml"], writing)
        os.close(writing)
        try:
            told.exit_code = self._listen(reading, playing, told, context)
        finally:
            os.close(reading)

    def _warm(self, run_id: str) -> None:
        """Load Ansible once a run, in the surroundings that it is for: it reads its configuration while it loads."""
        os.environ.clear()
        os.environ.update(self._environment(run_id))
        os.chdir(self._scratch)
        importlib.import_module("ansible.cli.playbook")

    @staticmethod
    def _become_ansible(arguments: list[str], pipe: int) -> NoReturn:
        """Be ansible-playbook; the copy of this process never returns into its own code."""
        from ansible.cli.playbook import PlaybookCLI

        code = 250
        try:
            os.environ["TRIAGE_EVENTS"] = str(pipe)
            PlaybookCLI.cli_executor(["ansible-playbook", "-i", "inventory.yml", "-e", "@variables.yml", *arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 250
        except BaseException:  # noqa: BLE001 - reported here, where it is known
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _environment(self, run_id: str) -> dict[str, str]:
        scratch = str(self._scratch)
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": f"{scratch}/home",
            "TMPDIR": f"{scratch}/home",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "ANSIBLE_CONFIG": f"{scratch}/ansible.cfg",
            "ANSIBLE_HOME": f"{scratch}/home",
            MARK: run_id,
        }

    def _listen(self, pipe: int, playing: int, told: "Told", context: Context["Plays"]) -> int:
        """Take events until ansible-playbook has ended; whoever still holds the pipe then is not waited for.

        Return its exit code, negative where a signal ended it.
        """
        code: int | None = None
        os.set_blocking(pipe, False)
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if code is None:
                    pid, status = os.waitpid(playing, os.WNOHANG)
                    code = os.waitstatus_to_exitcode(status) if pid else None
                if not selector.select(0 if code is not None else 0.1):
                    if code is not None:
                        return code
                    continue
                data = os.read(pipe, 65536)
                if not data:
                    return os.waitstatus_to_exitcode(os.waitpid(playing, 0)[1]) if code is None else code
                *lines, rest = (rest + data).split(b"\n")
                if len(rest) > EVENT_LIMIT:
                    raise NotDone("Ansible reported more than can be read")
                for line in lines:
                    for name, value in told.take(json.loads(line)).items():
                        self._remember(name, value, context)

    def _remember(self, name: str, value: Any, context: Context["Plays"]) -> None:
        """Keep what `set_stats` noted, for the later phases and for a person."""
        if not _NAME.fullmatch(name):
            raise NotDone(f"set_stats: the name {name[:100]!r} is no plain name")
        size = len(json.dumps({**self._remembered, name: value}))
        if size > REMEMBERED_LIMIT:
            raise NotDone(f"set_stats: {name} is too much to remember ({size} bytes with the rest)")
        self._remembered[name] = value
        plain = isinstance(value, (str, int)) and not isinstance(value, bool)
        context.remember(name, value if plain else json.dumps(value))


class Told:
    """What one ansible-playbook said of its tasks."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.exit_code = -1
        self.hosts: dict[str, dict[str, int]] | None = None
        self.held = 0
        self.changed: list[str] = []
        self.last: dict[str, Any] = {}

    def take(self, event: dict[str, Any]) -> Mapping[str, Any]:
        """Note one event; return what is to be remembered."""
        kind = event["event"]
        if kind == "stats":
            self.hosts = event["hosts"]
            return {}
        if kind in ("failed", "unreachable") and not event["ignored"]:
            self.last = event
        if kind == "ok" and event["action"] in ASSERTIONS:
            self.held += 1
        if event["changed"]:
            self.changed.append(event["task"])
        if "remember" in event and not isinstance(event["remember"], dict):
            raise NotDone(f"{event['task']}: more than can be remembered")
        return event.get("remember") or {}

    def refusal(self) -> str:
        """Return what the author's failing assertion says, where that is what ended the phase."""
        ended = self.exit_code != 0 and self.last.get("event") == "failed" and self.last["action"] in ASSERTIONS
        return (self.last["message"] or self.last["task"]) if ended else ""

    def problem(self, *, assertion: bool, changes: bool) -> str:
        """Return why the phase did not go well, or an empty text."""
        if self.exit_code != 0 and self.last:
            return f"{self.last['task']}: {self.last['message']}"
        if self.exit_code != 0 or self.hosts is None:
            return f"ansible-playbook ended with exit code {self.exit_code} and said no more; see the output"
        tally = self.hosts.get(self.host)
        if tally is None or set(self.hosts) != {self.host}:
            return f"Ansible worked on {', '.join(sorted(self.hosts)) or 'no host'} and not on {self.host}"
        if tally["failures"] or tally["unreachable"] or not tally["ok"]:
            return f"no task went well on {self.host}" if not tally["ok"] else f"a task failed on {self.host}"
        if assertion and not self.held:
            return "no assertion was looked at, so nothing was checked"
        if self.changed and not changes:
            return f"{self.changed[0]}: a check must change nothing (set changed_when: false where it does not)"
        return ""


def unsafe_yaml(value: Mapping[str, object]) -> str:
    """Return the table as YAML that as a whole is `!unsafe`: no text in it is read as a template.

    Texts are quoted within it and have no tag of their own: to a tagged one Ansible gives the kind that its words look
    like, so that "007" would be a number and "yes" a truth. ValueError for a key that is no plain name, and for text
    that no YAML can hold.
    """
    import yaml  # 20 ms, and only runs of Ansible need it

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, _data: object) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, data: Text) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style='"')

    def whole(dumper: yaml.SafeDumper, data: Whole) -> yaml.MappingNode:
        return dumper.represent_mapping("!unsafe", dict(data))

    Dumper.add_representer(Text, text)
    Dumper.add_representer(Whole, whole)
    marked = Whole((key, _marked(inner)) for key, inner in _named(value).items())
    return str(yaml.dump(marked, Dumper=Dumper, width=1_000_000, sort_keys=False))


class Text(str):
    """A text that Ansible must take as it is."""

    __slots__ = ()


class Whole(dict[str, object]):
    """A table in which nothing is a template."""


def _named(value: Mapping[str, object]) -> Mapping[str, object]:
    for key in value:
        if not re.fullmatch(r"[\w.:/@ +-]{1,200}", str(key)):
            raise ValueError(f"{str(key)[:100]!r} cannot be a key in a variable")
    return value


def _marked(value: object) -> object:
    if isinstance(value, dict):
        return {key: _marked(inner) for key, inner in _named(value).items()}
    if isinstance(value, (list, tuple)):
        return [_marked(inner) for inner in value]
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("a text with NUL or half a surrogate pair cannot be handed to Ansible")
        return Text(value)
    return value
