"""Tells the run how each task went, over a pipe of its own: what a host prints can never pass for an event.

Loaded by ansible-playbook, as a callback plugin that speaks beside the one for people.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: triage_events
type: notification
short_description: one JSON line for each result, to the pipe in TRIAGE_EVENTS
description: One JSON line for each result, to the pipe in TRIAGE_EVENTS.
"""

TEXT_LIMIT = 2000
LINE_LIMIT = 65536


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible brings no types
    """Results and the final tally as JSON lines."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "triage_events"
    CALLBACK_NEEDS_ENABLED = True

    def _tell(self, line: Mapping[str, Any]) -> None:
        data = json.dumps(line, default=str).encode() + b"\n"
        pipe = int(os.environ["TRIAGE_EVENTS"])
        while data:
            data = data[os.write(pipe, data) :]

    def _result(self, how: str, result: Any, *, ignored: bool = False) -> None:
        told: Mapping[str, Any] = result.result
        task = result.task
        line = {
            "event": how,
            "host": result.host.get_name(),
            "task": str(task.get_name())[:TEXT_LIMIT],
            "action": str(task.resolved_action or task.action),
            "changed": told.get("changed") is True,
            "ignored": ignored,
            "message": _message(told),
        }
        stats = told.get("ansible_stats")
        if how == "ok" and isinstance(stats, Mapping):
            line["remember"] = stats.get("data", {})
            if len(json.dumps(line, default=str)) > LINE_LIMIT:
                line["remember"] = None
        self._tell(line)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Tell of a task that went well."""
        self._result("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Tell of a task that failed."""
        self._result("failed", result, ignored=ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Tell that the host could not be reached."""
        self._result("unreachable", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell the tally of each host."""
        self._tell({"event": "stats", "hosts": {host: stats.summarize(host) for host in stats.processed}})


def _message(told: Mapping[str, Any]) -> str:
    """What went wrong, of the first failing item where the task is a loop; nothing of a censored result."""
    if told.get("_ansible_no_log"):
        return "(hidden, since the task handles secrets)"
    items = told.get("results")
    for item in items if isinstance(items, list) else []:
        if isinstance(item, Mapping) and item.get("failed"):
            return _message(item)
    parts = [told.get(name) for name in ("msg", "stderr")]
    return ": ".join(str(part).strip() for part in parts if part)[:TEXT_LIMIT]
