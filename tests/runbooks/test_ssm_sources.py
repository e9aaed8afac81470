"""What AWS documents may do with a ticket's words, and what settings of runbooks and targets say is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from runbooks import definition
from runbooks.definition import DefinitionError
from runbooks.runners.ssm_sources import Given, problems
from runbooks.targets import TargetError, connect, lists
from runbooks.targets import ssm as accounts
from triage import targets

INSTANCE = "i-0123456789abcdef0"
INSTANCE_ID = {"type": "String", "allowedPattern": "^i-[0-9a-f]{8,17}$"}
ANY = {"type": "String", "allowedPattern": "^.*$"}
RUN = [{"name": "work", "action": "aws:runCommand", "inputs": {"Parameters": {"commands": ["x {{ InstanceId }}"]}}}]


def found(declared: dict[str, Any], value: str, steps: list[Any], *, ticketed: bool = True) -> list[str]:
    content = {"parameters": {"InstanceId": declared}, "mainSteps": steps}
    return list(problems(content, {"InstanceId": Given((value,), ticketed)}))


@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [
        ({"type": "String"}, INSTANCE, "InstanceId needs an allowedPattern from ^ to $"),
        ({"type": "String", "allowedPattern": "i-[0-9a-f]+"}, INSTANCE, "InstanceId needs an allowedPattern"),
        ({"type": "String", "allowedPattern": r"^i-[0-9a-f]+\$"}, INSTANCE, "InstanceId needs an allowedPattern"),
        ({"type": "StringList"}, INSTANCE, "InstanceId needs an allowedPattern"),
        ({"type": "AWS::EC2::Instance::Id"}, INSTANCE, "InstanceId needs an allowedPattern"),
        (INSTANCE_ID, "i-xyz", "InstanceId does not take i-xyz"),
        (INSTANCE_ID, f"{INSTANCE}; reboot", "does not take"),
        ({"type": "String", "allowedPattern": "^a|.*$"}, f"{INSTANCE}\n; reboot", "does not take"),
        ({"type": "String", "allowedValues": ["a", "b"]}, "c", "InstanceId does not take c"),
        (ANY, "$(reboot)", "could read as more than a name"),
        (ANY, "a b", "could read as more than a name"),
        (ANY, "-rf", "could read as more than a name"),
        (ANY, "@reboot", "could read as more than a name"),
        (ANY, "{{ssm:secret}}", "replaced by something else"),
        ({"type": "String", "allowedPattern": "^(a+)+$"}, "a" * 60 + "b", "can take for ever"),
        ({"type": "String", "allowedPattern": r"^\p{Alnum}+$"}, INSTANCE, "cannot be read here"),
        ({"type": "Boolean"}, "1", "does not take 1"),
        ({"type": "Integer"}, "1;2", "does not take"),
        ({"type": "StringMap"}, "a", "is a StringMap, into which no value is put"),
    ],
)
def test_a_value_that_a_document_would_paste_into_commands_is_bounded_on_both_sides(
    declared: dict[str, Any], value: str, said: str
) -> None:
    told = found(declared, value, RUN)
    assert len(told) == 1
    assert said in told[0]


def test_what_fits_on_both_sides_may_be_pasted_and_an_authors_own_text_needs_no_pattern() -> None:
    assert found(INSTANCE_ID, INSTANCE, RUN) == []
    assert found({"type": "String", "allowedValues": [INSTANCE]}, INSTANCE, RUN) == []
    assert found({"type": "Boolean"}, "true", RUN) == []
    assert found({"type": "String"}, "a text of; the author's", RUN, ticketed=False) == []
    assert found(INSTANCE_ID, "a text", RUN, ticketed=False) == ["InstanceId does not take a text"]


STEP = {"name": "s", "action": "aws:executeScript"}


@pytest.mark.parametrize(
    ("steps", "good"),
    [
        ([{"name": "s", "action": "aws:changeInstanceState", "inputs": {"InstanceIds": ["{{ InstanceId }}"]}}], True),
        ([{**STEP, "inputs": {"Script": "main()", "InputPayload": {"id": "{{ InstanceId }}"}}}], True),
        ([{**STEP, "inputs": {"Script": "print('{{ global:DATE }}')"}}], True),
        ([{**STEP, "inputs": {"Script": "print('{{ Other }}')"}}], True),
        ([{**STEP, "inputs": {"Script": "print('{{InstanceId}}')"}}], False),
        ([{**STEP, "inputs": {"Script": "print('{{ other.Output }}')"}}], False),
        ([{**STEP, "inputs": {"Script": "print('{{ variable:x }}')"}}], False),
        ([{"name": "l", "action": "aws:loop", "inputs": {"Steps": RUN}}], False),
        ([{"name": "s", "action": "aws:executeAutomation", "inputs": {"X": "{{ InstanceId }}"}}], False),
        ([{"name": "s", "action": "aws:runInstances", "inputs": {"UserData": "{{ InstanceId }}"}}], False),
    ],
)
def test_where_a_value_is_never_text_it_may_hold_any_character_that_its_pattern_allows(
    steps: list[Any], good: bool
) -> None:
    told = found({"type": "String", "allowedPattern": "^[a-z' ]+$"}, "it's me", steps)
    assert (not told) is good


DEFINITION = """
key = "restart"
title = "Restart an instance"
owner = "cloud"
tier = "irreversible"
reversible = false
assurance = "none"
runner = "ssm"
target_kind = "ssm"

[[parameters]]
name = "instance"
kind = "text"
title = "the instance"
fields = ["instance"]

[ssm.pre_check]
document = "Acme-Check"
version = "3"

[ssm.action]
document = "Acme-Restart"
version = "12"
parameters = { InstanceId = "{instance}", AutomationAssumeRole = "arn:aws:iam::123456789012:role/automation" }

[ssm.post_check]
document = "Acme-Check"
version = "3"
"""


def problem(tmp_path: Path, old: str = "", new: str = "") -> str:
    folder = tmp_path / "restart"
    folder.mkdir(exist_ok=True)
    assert old in DEFINITION
    (folder / "runbook.toml").write_text(DEFINITION.replace(old, new) if old else DEFINITION, encoding="utf-8")
    try:
        definition.read(folder)
    except DefinitionError as error:
        return str(error)
    return ""


def test_a_definition_says_which_document_each_phase_is_and_what_is_wrong_with_that(tmp_path: Path) -> None:
    assert problem(tmp_path) == ""
    book = definition.read(tmp_path / "restart")
    assert set(book.steps.functions) == {"pre_check", "action", "post_check"}
    irreversible = problem(tmp_path, 'tier = "irreversible"\nreversible = false', 'tier = "low"\nreversible = true')
    assert "reversible is true: add undo and undo_check" in irreversible
    assert "ssm.action.version" in problem(tmp_path, '"12"', '"$LATEST"')
    assert "nothing around it" in problem(tmp_path, '"{instance}"', '"web-{instance}"')
    assert "host: the runbook has no such parameter; it has instance" in problem(tmp_path, "{instance}", "{host}")
    assert "instance: no document gets this parameter" in problem(tmp_path, '"{instance}"', '"i-0"')
    assert "works on the kind 'ssm'" in problem(tmp_path, 'target_kind = "ssm"', 'target_kind = "journal"')
    assert "ssm.post_check: is missing" in problem(tmp_path, "[ssm.post_check]", "[ssm.undo]")


def test_each_phases_document_belongs_to_its_own_digest(tmp_path: Path) -> None:
    assert problem(tmp_path) == ""
    first = definition.read(tmp_path / "restart")
    assert problem(tmp_path, '"12"', '"13"') == ""
    second = definition.read(tmp_path / "restart")
    assert first.selection_digest == second.selection_digest
    assert first.action_digest != second.action_digest


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "region: Field required"),
        ({"region": "eu-central-1"}, "say who signs in"),
        ({"region": "eu-central-1", "access_key_id": "AKIA"}, "belong together"),
        ({"region": "eu-central-1", "role_arn": "arn:aws:iam::1:user/x"}, "role_arn"),
        ({"region": "eu-central-1", "role_arn": "arn:aws:iam::123456789012:role/x", "rol": "y"}, "rol: Extra"),
        ({"region": "x", "access_key_id": "AKIA-hidden", "secret_access_key": "hidden-4711"}, "region"),
        ({"region": "eu-central-1", "endpoint_url": "http://ssm.example.org"}, "endpoint_url: must be https://host"),
        ({"region": "eu-central-1", "endpoint_url": "https://u:hidden-4711@h"}, "endpoint_url: must be https://host"),
        ({"region": "eu-central-1", "target_groups": "tag:a=b"}, "must be JSON"),
    ],
)
def test_a_targets_settings_are_refused_with_what_is_wrong_and_no_value(settings: dict[str, str], said: str) -> None:
    with pytest.raises(TargetError) as caught:
        accounts.parse(settings)
    assert said in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert said in targets.trouble_with("ssm", json.dumps(settings))


def test_the_hosts_that_a_ticket_may_name_are_the_targets_own() -> None:
    own = {"region": "eu-central-1", "role_arn": "arn:aws:iam::123456789012:role/x", "hosts": '{"web1": "i-0123abcd"}'}
    assert lists.read("ssm", own).hosts == ("web1",)
    with pytest.raises(TargetError, match="hosts.web1"):
        accounts.parse({**own, "hosts": '{"web1": "the web server"}'})


def test_no_steps_ever_get_a_client_of_the_account() -> None:
    with pytest.raises(TargetError, match="worked on by the runner 'ssm' alone"):
        connect("ssm", {"region": "eu-central-1"})
