"""Runs a runbook's Ansible tasks on one host of the target, in a process tree of their own, and says how that ended.

The guardian's child loads Ansible once and forks an ansible-playbook for each phase, with files that are this run's
alone. ansible-runner
is not used: it reads events out of what is printed, where a host's own output can pass for one.
"""

import hashlib
import json
import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runbooks import files, process, rules, scratch, sweep
from runbooks import parameters as values
from runbooks.base import Runbook
from runbooks.files import Changed, FolderError
from runbooks.outcome import Outcome
from runbooks.runners import python
from runbooks.runners.conversation import cleaner
from runbooks.source import PHASES, SourceError, engine
from runbooks.targets import host as hosts
from runbooks.targets.host import HostSettings
from runbooks.targets.plays import unsafe_yaml
from runbooks.targets.sqlite import TargetError
from runbooks.watch import QUIET, Watch

HOST = "host"
"""The parameter that names the host; every Ansible runbook has it."""

PLUGINS = Path(__file__).with_name("ansible_plugins")
_PHASES = Path(__file__).with_name("ansible_phases")
_SWEEP = Path(sweep.__file__)
_RAM = Path("/dev/shm")  # noqa: S108 - only folders made by mkdtemp, mode 0700, lie there


class _Refused(Exception):
    """The run must not begin; the message says why."""


def execute(
    runbook: Runbook,
    *,
    parameters: Mapping[str, str],
    target: Mapping[str, str],
    run_id: str,
    handed: Mapping[str, str] | None = None,
    watch: Watch = QUIET,
    job: str = "",
    time_limit: float | None = None,
) -> Outcome:
    """Execute the runbook once; arguments and result as those of `runners.python.execute`.

    handed and job: must be empty. parameters: `host` must be exactly one name in the target's hosts; a run on any
      other is refused.
    target: see `runbooks.targets.host.parse`. Secrets lie in a folder of mode 0700 for the length of the run.
    """
    if handed or job:
        raise ValueError("handed, job: Ansible's tasks are given neither")
    return _run(runbook, parameters, target, run_id, dry_run=False, watch=watch, time_limit=time_limit)


def dry_run(
    runbook: Runbook,
    *,
    parameters: Mapping[str, str],
    target: Mapping[str, str],
    run_id: str,
    time_limit: float | None = None,
) -> Outcome:
    """Run the pre-check, and the action with `--check --diff`: the output says what it would change.

    `succeeded` means that the pre-check agreed and the action could be tried; modules that know no check mode, such
    as command, are skipped by Ansible.
    """
    once = runbook.model_copy(update={"reversible": False})
    outcome = _run(once, parameters, target, run_id, dry_run=True, time_limit=time_limit)
    tried = {result.phase: result for result in outcome.phases}.get("action")
    if outcome.status != "succeeded" or tried is None:
        return outcome
    if not tried.ok:
        return replace(outcome, status="failed", message=f"The action could not be tried: {tried.message}.")
    return replace(outcome, message="Nothing was changed; the output says what would be.")


def _run(
    runbook: Runbook,
    parameters: Mapping[str, str],
    target: Mapping[str, str],
    run_id: str,
    *,
    dry_run: bool,
    watch: Watch = QUIET,
    time_limit: float | None = None,
) -> Outcome:
    clean = cleaner(target)
    try:
        settings = hosts.parse(target)
        clean = cleaner({**target, **settings.hidden()})
        given = values.typed(runbook, parameters)
        host = _host(runbook, settings, given)
        with tempfile.TemporaryDirectory(
            prefix="triage-run-", dir=_RAM if os.access(_RAM, os.W_OK) else None, ignore_cleanup_errors=True
        ) as folder:
            _prepare(Path(folder), runbook, settings, host)
            _prepare_end(Path(folder), settings, host, run_id)
            request = _request(runbook, given, run_id, _plays(Path(folder), settings, host, dry_run=dry_run))
            return python.lead(
                runbook,
                request,
                clean=clean,
                watch=watch,
                time_limit=time_limit,
                scratch=folder,
            )
    except _Refused as error:
        return Outcome("refused", "start", clean(f"{error}; nothing was changed"))
    except (values.ParameterError, SourceError, TargetError, Changed, FolderError, OSError, ValueError) as error:
        return Outcome("failed", "start", clean(f"the run could not begin: {error}; nothing was changed"))


def _host(runbook: Runbook, settings: HostSettings, parameters: Mapping[str, str | int]) -> str:
    """Return the one host that the run is for; no pattern, group or part of a name ever is one."""
    for parameter in runbook.parameters:
        if parameter.name.startswith("ansible"):
            raise values.ParameterError(f"{parameter.name}: no parameter may be called so, as Ansible's own are")
    if not engine("ansible"):
        raise SourceError("Ansible is not installed: install Triage with the extra 'ansible'")
    name = parameters.get(HOST)
    if not isinstance(name, str) or name not in settings.hosts:
        raise _Refused(f"{rules.short(str(name))} is none of the target's {len(settings.hosts)} hosts")
    environment = settings.hosts[name].environment
    if runbook.key not in settings.runbooks.get(environment, (runbook.key,)):
        raise _Refused(f"{name} is a {environment} host, where {runbook.key} may not run")
    return name


def _prepare(folder: Path, runbook: Runbook, settings: HostSettings, name: str) -> None:
    """Lay out everything that ansible-playbook reads: exactly the files that were decided on, exactly one host."""
    role = folder / "roles" / runbook.key
    for file, data in files.verified(runbook.folder, runbook.steps.digests).items():
        path = role / "tasks" / file if "/" not in file and file.endswith(".yml") else role / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "home").mkdir()
    (folder / "ansible.cfg").write_text(_config(folder, runbook.key), encoding="utf-8")
    (folder / "inventory.yml").write_text(_inventory(folder, settings, name), encoding="utf-8")
    for phase in PHASES:
        play = {
            "name": f"{runbook.title}: {phase.replace('_', '-')}",
            "hosts": "all",
            "gather_facts": False,
            # A value is an argument as it is, whatever of it looks like a variable or a home folder.
            "module_defaults": {"ansible.builtin.command": {"expand_argument_vars": False}},
            "environment": {process.MARK: "{{ run_id }}", sweep.MARK: "{{ run_id }}"},
            "tasks": [{"ansible.builtin.import_role": {"name": runbook.key, "tasks_from": phase}}],
        }
        if (role / "tasks" / f"{phase}.yml").exists():
            (folder / f"{phase}.yml").write_text(json.dumps([play]), encoding="utf-8")
    if settings.private_key is not None:
        (folder / "key").touch(mode=0o600)
        (folder / "key").write_text(settings.private_key.get_secret_value().strip() + "\n", encoding="utf-8")


def _inventory(folder: Path, settings: HostSettings, name: str) -> str:
    host = settings.hosts[name]
    reached = {
        "ansible_connection": host.connection,
        "ansible_host": host.address,
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_become": host.become,
        "ansible_python_interpreter": host.python,
    }
    if host.connection == "ssh":
        (folder / "known_hosts").write_text(hosts.known_hosts(host), encoding="ascii")
        reached["ansible_ssh_common_args"] = shlex.join(hosts.ssh_options(folder, settings))
    return unsafe_yaml({"all": {"hosts": {name: reached}}})


def _config(folder: Path, role: str) -> str:
    lines: dict[str, dict[str, object]] = {
        "defaults": {
            "callback_plugins": PLUGINS,
            "callbacks_enabled": "triage_events",
            "callback_result_format": "yaml",
            "collections_path": folder / "roles" / role / "collections",
            "deprecation_warnings": False,
            "forks": 1,
            "gathering": "explicit",
            "host_key_checking": True,
            "inject_facts_as_vars": False,
            "localhost_warning": False,
            "nocolor": True,
            "nocows": True,
            "no_target_syslog": True,
            "retry_files_enabled": False,
            "roles_path": f"{folder / 'roles'}:{folder / 'roles' / role / 'roles'}",
            "timeout": 10,
        },
        "inventory": {"enable_plugins": "yaml"},
        "connection": {"pipelining": True},
        "ssh_connection": {"pipelining": True, "ssh_args": "", "retries": 0},
    }
    sections = (f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in section.items()) for name, section in lines.items())
    return "\n".join(sections).replace("%", "%%")


def _prepare_end(folder: Path, settings: HostSettings, name: str, run_id: str) -> None:
    """Leave word how to end what a broken run left on the other host; on this one the guardian sees to it."""
    host = settings.hosts[name]
    if host.connection == "ssh":
        reach = [*hosts.ssh_options(folder, settings), "-p", str(host.port), "-l", host.user, "--", host.address]
        command = ["sudo", "-n"] * host.become + [host.python, "-I", "-", run_id]
        scratch.leave_word(folder, ["ssh", *reach, *command], _SWEEP.read_text(encoding="utf-8"))


def _plays(folder: Path, settings: HostSettings, name: str, *, dry_run: bool) -> dict[str, Any]:
    return {
        "scratch": str(folder),
        "host": name,
        "variables": {
            "target": settings.touchable(name),
            "secrets": {name: secret.get_secret_value() for name, secret in settings.secrets.items()},
        },
        "dry_run": dry_run,
    }


def _request(
    runbook: Runbook, parameters: Mapping[str, str | int], run_id: str, plays: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "folder": str(_PHASES),
        "digests": {"steps.py": hashlib.sha256((_PHASES / "steps.py").read_bytes()).hexdigest()},
        "reversible": runbook.reversible,
        "target_kind": "host",
        "target": {"run": json.dumps(plays)},
        "parameters": dict(parameters),
        "handed": {},
        "run_as": "",
        "bounds": runbook.resources.model_dump(exclude={"processes"}),
    }
