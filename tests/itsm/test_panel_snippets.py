"""What each ITSM is given to show the panel: run by node on as much of its platform as it uses, and read by our API."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from triage.api.panels import Wanted

SHIPPED = Path(__file__).parents[2] / "docs" / "panel"
HOSTS = Path(__file__).with_name("panel_hosts.js")
SCRIPTS = {
    "servicenow": ("servicenow/TriagePanel.js",),
    "zendesk": ("zendesk/assets/panel.js",),
    "freshservice": ("freshservice/app/panel.js", "freshservice/config/requests.json"),
    "jira": ("jira/src/index.js", "jira/static/panel/panel.js"),
}
TICKETS = {"servicenow": "9d385017c611228701d22104cc95c371", "zendesk": "35436", "freshservice": "264", "jira": "SD-7"}
TOKEN = "triage_secret"
ADDRESS = "https://triage.example.org/panel/vendor/0/#pass=x"

node = shutil.which("node")
pytestmark = pytest.mark.skipif(node is None, reason="node is not installed")


def macro() -> str:
    """The script of ServiceNow's UI macro, as the browser gets it."""
    found = ET.parse(SHIPPED / "servicenow" / "ui_macro.xml").getroot().find("script")  # noqa: S314 - our own file
    assert found is not None
    return str(found.text)


def run(kind: str, *, status: int = 201, answer: Any = None, **given: Any) -> dict[str, Any]:
    """What the scripts sent, and what the agent then sees."""
    platform = {
        "kind": kind,
        "scripts": [str(SHIPPED / name) for name in SCRIPTS[kind]],
        "status": status,
        "answer": answer or {"url": ADDRESS},
        "agent": "bea@desk.example",
        "token": TOKEN,
        "macro": macro(),
        "parameters": {"sysparm_table": "incident", "sysparm_id": TICKETS["servicenow"]},
        "readable": [TICKETS["servicenow"]],
        "properties": {
            "triage.panel.url": "https://triage.example.org/api/panel-tokens/",
            "triage.panel.source": "vendor",
            "triage.panel.token": TOKEN,
        },
        **given,
    }
    assert node is not None
    done = subprocess.run(
        [node, str(HOSTS)], input=json.dumps(platform).encode(), capture_output=True, check=True, timeout=20
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("kind", SCRIPTS)
def test_the_script_asks_as_our_api_wants_it_and_shows_what_it_is_given(kind: str) -> None:
    seen = run(kind)
    [sent] = seen["sent"]
    assert (sent["url"], sent["method"]) == ("https://triage.example.org/api/panel-tokens/", "POST")
    assert sent["headers"] == {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    wanted = Wanted.model_validate_json(sent["body"], strict=True)
    assert (wanted.source, wanted.ticket, wanted.agent) == ("vendor", TICKETS[kind], "bea@desk.example")
    assert set(json.loads(sent["body"])) == {"source", "ticket", "agent"}
    assert (seen["src"], seen["hidden"], seen["why"]) == (ADDRESS, False, "")
    if kind == "zendesk":
        assert sent["secure"] is True, "else the token would be sent to the browser"


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_refusal_is_shown_in_words_and_no_frame(kind: str) -> None:
    seen = run(kind, status=403, answer={"detail": "Nobody here has this address."})
    assert (seen["src"], seen["why"]) == (None, "Nobody here has this address.")


@pytest.mark.parametrize(
    "given",
    [
        {"readable": []},
        {"parameters": {"sysparm_table": "sys_user", "sysparm_id": TICKETS["servicenow"]}},
        {"parameters": {"sysparm_table": "incident", "sysparm_id": "x^ORactive=true"}},
    ],
    ids=["not readable for the agent", "another table", "no sys_id"],
)
def test_servicenow_asks_for_nothing_that_its_agent_may_not_read(given: dict[str, Any]) -> None:
    seen = run("servicenow", **given)
    assert (seen["sent"], seen["src"]) == ([], None)
    assert seen["why"]


def test_servicenow_says_that_triage_does_not_answer() -> None:
    seen = run("servicenow", silent=True)
    assert (seen["src"], seen["why"], len(seen["warnings"])) == (None, "Triage does not answer.", 1)


def test_every_shipped_file_can_be_read() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files}
    assert kinds == {".js", ".json", ".yml", ".xml", ".html", ".svg"}
    for path in files:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            json.loads(text)
        elif path.suffix in (".xml", ".svg"):
            ET.fromstring(text)  # noqa: S314 - our own file
        elif path.suffix == ".html":
            assert 'referrerpolicy="no-referrer"' in text
            assert set(re.findall(r'id="(\w+)"', text)) == {"why", "panel"}
    for path in (path for path in files if path.suffix == ".js"):
        kind = "module" if "jira" in path.parts else "commonjs"
        checked = subprocess.run(
            [str(node), "--check", f"--input-type={kind}", "-"], input=path.read_bytes(), check=False
        )
        assert checked.returncode == 0, path
    old = (SHIPPED / "servicenow" / "TriagePanel.js").read_text(encoding="utf-8")
    assert not re.search(r"\b(const|let|class)\b|=>|`", old.partition("*/")[2]), "the instance's engine reads ES5"
    forge = yaml.safe_load((SHIPPED / "jira" / "manifest.yml").read_text(encoding="utf-8"))
    assert forge["permissions"]["external"]["frames"] == forge["permissions"]["external"]["fetch"]["backend"]
    assert {one["key"] for one in forge["resources"]} == {
        one["resource"] for one in forge["modules"]["jira:issuePanel"]
    }


def test_tokens_are_secret_settings_everywhere() -> None:
    zendesk = json.loads((SHIPPED / "zendesk" / "manifest.json").read_text(encoding="utf-8"))
    fresh = json.loads((SHIPPED / "freshservice" / "config" / "iparams.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in zendesk["parameters"] if one.get("secure")] == ["token"]
    assert [name for name, one in fresh.items() if one.get("secure")] == ["token"]
