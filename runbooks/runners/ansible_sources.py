"""What an author of an Ansible runbook may not write, since a ticket's words could reach too far through it."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

from runbooks import files
from runbooks.source import NEEDED, PHASES

CLOSED_KEYS = {
    "delegate_to": "tasks run on the run's one host only",
    "delegate_facts": "tasks run on the run's one host only",
    "local_action": "tasks run on the run's one host only",
    "connection": "the target decides how its host is reached",
    "remote_user": "the target decides who signs in",
    "port": "the target decides how its host is reached",
    "async": "what goes on after the task cannot be ended with the run",
    "action": "write the module's name as the key",
    "args": "write the arguments below the module's name",
}
CLOSED_MODULES = {
    "shell": "a shell reads more into a value than its text: use command with argv",
    "raw": "a shell reads more into a value than its text: use command with argv",
    "script": "its arguments go through a shell: put a module into library/",
    "expect": "its command goes through a shell's splitting: use command with argv",
    "add_host": "the run has one host",
    "group_by": "the run has one host",
}
ASSERTIONS = ("assert", "fail")
BLOCKS = ("block", "rescue", "always")
_SECRETS = re.compile(r"(?<![\w/])secrets(?![\w/])")


class AnsibleSettings(BaseModel):
    """The table [ansible] of a runbook.toml, which holds nothing: everything lies in the folder.

    There are pre_check.yml, action.yml, post_check.yml and, when reversible, undo.yml and undo_check.yml, each a list
    of tasks, and beside them whatever an Ansible role may have: files/, templates/, defaults/, handlers/, library/,
    module_utils/, roles/.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _folder_fits(self, info: ValidationInfo) -> "AnsibleSettings":
        folder = (info.context or {}).get("folder")
        if isinstance(folder, Path):
            try:
                found = problems(files.contents(folder))
            except (files.FolderError, OSError) as error:
                found = [str(error)]
            if found:
                raise ValueError("; ".join(found))
        return self


def problems(contents: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with the files of a runbook's folder, a sentence each with the mend.

    Without the extra `ansible` only what is missing: nothing can run then, and nothing here can read YAML.
    """
    found = [f"{phase}.yml: is missing: add it" for phase in NEEDED if f"{phase}.yml" not in contents]
    found += [f"{phase}.yml: is missing: add it" for phase in _half(contents)]
    if importlib.util.find_spec("yaml") is None:
        return found
    for name, data in contents.items():
        path = PurePosixPath(name)
        if path.suffix in (".yml", ".yaml") and (len(path.parts) == 1 or {"tasks", "handlers"} & set(path.parts)):
            found += [f"{name}: {problem}" for problem in _file(path, data)]
    return found


def _half(contents: Mapping[str, bytes]) -> list[str]:
    undo = [phase for phase in PHASES if phase not in NEEDED]
    missing = [phase for phase in undo if f"{phase}.yml" not in contents]
    return missing if len(missing) < len(undo) else []


def _file(path: PurePosixPath, data: bytes) -> list[str]:
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def tagged(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> object:
        return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None

    Loader.add_multi_constructor("!", tagged)
    try:
        tasks = yaml.load(data, Loader=Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        return [f"this is no YAML: {' '.join(str(error).split())}"]
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        return ["write a list of tasks"]
    every = list(_tasks(tasks))
    found = [problem for task in every for problem in _task(task)]
    modules = {_short(key) for task in every for key in task}
    if path.stem in ("post_check", "undo_check") and len(path.parts) == 1 and not modules & set(ASSERTIONS):
        found.append("a check without ansible.builtin.assert checks nothing: add one")
    return found


def _tasks(tasks: list[Any]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        if isinstance(task, dict):
            yield task
            for part in BLOCKS:
                yield from _tasks(task.get(part) or [])


def _short(key: object) -> str:
    return str(key).removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")


def _task(task: dict[str, Any]) -> Iterator[str]:
    name = str(task.get("name", "a task"))
    own = {key: value for key, value in task.items() if key not in BLOCKS}
    for key, value in own.items():
        if key in CLOSED_KEYS:
            yield f"{name}: {key} may not be used: {CLOSED_KEYS[key]}"
        if _short(key) in CLOSED_MODULES:
            yield f"{name}: {key} may not be used: {CLOSED_MODULES[_short(key)]}"
        if _short(key) == "command" and not (isinstance(value, dict) and {"cmd", "_raw_params"}.isdisjoint(value)):
            yield f"{name}: write the command as a list in argv, so that a value is never split"
        if _short(key) in ("vars", "set_fact") and isinstance(value, dict):
            for variable in value:
                if str(variable).startswith("ansible_"):
                    yield f"{name}: {variable} may not be set: the target decides how its host is reached"
    if _SECRETS.search(json.dumps(own, default=str)) and task.get("no_log") is not True:
        yield f"{name}: uses secrets: add no_log: true"
