"""Parameters come out of tickets in any language, and whatever could be read in two ways goes to a person."""

from typing import Any

import pytest

from runbooks import parameters
from runbooks.base import Parameter, Runbook
from runbooks.parameters import Extraction, ParameterError
from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import SqliteDirectory

UNLOCK, GROUP, QUOTA = (RUNBOOKS[key] for key in ("unlock_account", "add_to_group", "raise_mailbox_quota"))
JANE, BOB = "jane.smith@corp.example", "bob.jones@corp.example"


def of(body: str = "", *, runbook: Runbook = UNLOCK, requester: str = JANE, **more: Any) -> Extraction:
    given: dict[str, Any] = {"subject": "", "fields": {}, "directory": None} | more
    return parameters.extract(runbook, body=body, requester=requester, **given)


@pytest.mark.parametrize(
    "body",
    [
        "please unlock j.smith, locked out since eight",
        "bitte das Konto j.smith entsperren",
        "Merci de débloquer le compte de l'utilisateur j.smith.",
        "ユーザーj.smithがロックアウトされました",
        "j.smith のアカウントロック解除を依頼します",
        r"CORP\j.smith cannot sign in",
        "mail jane.smith@corp.example does not open",
        "Konto von »Jane.Smith@corp.example« gesperrt!",
        "user: J.SMITH is locked",
        "(j.smith)",
        "j.smith's account; e.g. Outlook, node.js and config.yaml do not open",
        "ｊ．ｓｍｉｔｈ のロック解除",
        "j.smi\u200bth is locked",
        "j.smith, jane.smith@corp.example, CORP\\j.smith: all of them are me",
    ],
)
def test_an_account_is_found_in_text_of_any_language(directory: SqliteDirectory, body: str) -> None:
    found = of(body, directory=directory)
    assert (found.values, found.sources) == ({"account": "j.smith"}, {"account": "text"})
    assert found.complete


def test_an_account_in_the_subject_counts_as_text(directory: SqliteDirectory) -> None:
    assert of("please help", subject="j.smith locked", directory=directory).sources == {"account": "text"}


@pytest.mark.parametrize("requester", [JANE, "j.smith", "J.Smith", "CORP\\j.smith", " jane.smith@CORP.example "])
def test_my_account_is_the_requesters(directory: SqliteDirectory, requester: str) -> None:
    found = of("ich bin gesperrt", requester=requester, directory=directory)
    assert (found.values, found.sources) == ({"account": "j.smith"}, {"account": "requester"})


@pytest.mark.parametrize("requester", ["Jane Smith", "Bob Jones", "stranger@elsewhere.example", "", "x" * 500])
def test_a_requester_who_is_not_known_by_handle_has_no_account(directory: SqliteDirectory, requester: str) -> None:
    found = of("I am locked out", requester=requester, directory=directory)
    assert found.values == {}
    assert "no account of their own" in found.problems[0]


@pytest.mark.parametrize(
    ("body", "candidates"),
    [
        ("please unlock bjones", ("bjones",)),
        ("das Konto von Bob Jones ist gesperrt", ("bjones",)),
        ("Jones, Bob is locked", ("bjones",)),
        ("le compte de bob.jones@corp.example est bloqué", ("bjones",)),
        ("山田太郎さんのアカウントがロックされました", ("t.yamada",)),
        ("Max Müller-Muster kommt nicht rein", ("m.muster",)),
        (r"see C:\Users\bjones\Desktop", ("bjones",)),
        ("https://portal.corp.example/people/bjones", ("bjones",)),
        ("@bjones is locked", ("bjones",)),
    ],
)
def test_somebody_elses_account_is_never_taken_for_ones_own(
    directory: SqliteDirectory, body: str, candidates: tuple[str, ...]
) -> None:
    found = of(body, directory=directory)
    assert found.problems == (f"account: {candidates[0]} is not the requester's own account",)
    assert (found.values, found.candidates) == ({}, {"account": candidates})


def test_two_accounts_are_ambiguous_and_both_are_offered(directory: SqliteDirectory) -> None:
    found = of("j.smith and Bob Jones are locked", directory=directory)
    assert found.problems == ("account: the text names bjones, j.smith, and one is wanted",)
    assert found.candidates == {"account": ("bjones", "j.smith")}


def test_a_name_that_two_people_have_is_ambiguous(directory: SqliteDirectory) -> None:
    assert of("Jane Smith is locked", directory=directory).candidates == {"account": ("j.smith", "jsmith2")}


@pytest.mark.parametrize(
    "body", ["unlock jon.doe@corp.example", r"unlock CORP\jdoe", "user: jdoe", "müller@corp.example"]
)
def test_an_account_that_is_certainly_meant_and_unknown_is_never_replaced_by_another(
    directory: SqliteDirectory, body: str
) -> None:
    found = of(f"{body}. Regards, jane.smith@corp.example", directory=directory)
    assert found.values == {}
    assert "the directory has nobody called" in found.problems[0]


def test_a_machine_must_name_the_account_and_may_name_any(directory: SqliteDirectory) -> None:
    machine: dict[str, Any] = {"requester": "idm@corp.example", "machine": True, "directory": directory}
    assert of("lockout: subject=bjones attempts=5", **machine).values == {"account": "bjones"}
    assert of("lockout policy triggered", **machine).problems == (
        "account: the account to unlock is neither in a field nor in the text",
    )


def test_a_field_goes_before_the_text_and_is_never_overruled_by_it(directory: SqliteDirectory) -> None:
    machine: dict[str, Any] = {"requester": "", "machine": True, "directory": directory}
    found = of("about j.smith", fields={"Account": "CORP\\bjones", "user": "m.muster"}, **machine)
    assert (found.values, found.sources) == ({"account": "bjones"}, {"account": "field account"})
    found = of("about j.smith", fields={"account": "no.body"}, **machine)
    assert found.problems == ("account: the directory has nobody called no.body",)
    found = of("about j.smith", fields={"account": "", "user": None, "username": []}, **machine)
    assert found.sources == {"account": "text"}
    assert of("", fields={"account": ["bjones"]}, **machine).values == {"account": "bjones"}


@pytest.mark.parametrize("given", [True, 1.5, {"value": "bjones"}, ["bjones", "j.smith"], "x" * 400])
def test_a_field_that_holds_no_single_text_is_a_problem(directory: SqliteDirectory, given: object) -> None:
    found = of("", fields={"account": given}, machine=True, directory=directory)
    assert found.problems[0].startswith("account: the field account ")


@pytest.mark.parametrize(
    ("body", "group"),
    [
        ("please add me to Finance-Readers", "Finance-Readers"),
        ("bitte fügt mich der Gruppe „finance readers“ hinzu", "Finance-Readers"),
        ("ajoutez-moi à FINANCE_READERS, merci", "Finance-Readers"),
        ("グループ「VPN Users」に追加してください", "VPN Users"),
        ("I need Finance please", "Finance"),
    ],
)
def test_a_group_is_found_among_those_of_the_directory(directory: SqliteDirectory, body: str, group: str) -> None:
    assert of(body, runbook=GROUP, directory=directory).values == {"account": "j.smith", "group": group}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("add me to Domain Admins", "group: Domain Admins can't be asked for by ticket"),
        ("add me to payroll", "group: Payroll can't be asked for by ticket"),
        ("Finance and Payroll please", "group: the text names Finance, Payroll, and one is wanted"),
        ("VPN Users, Finance-Readers", "group: the text names VPN Users, Finance-Readers, and one is wanted"),
        ("add me to Nowhere", "group: the group is neither in a field nor in the text"),
    ],
)
def test_a_group_that_is_closed_or_not_the_only_one_is_a_problem(
    directory: SqliteDirectory, body: str, problem: str
) -> None:
    assert of(body, runbook=GROUP, directory=directory).problems == (problem,)


def test_a_group_in_a_field_is_matched_whole(directory: SqliteDirectory) -> None:
    given: dict[str, Any] = {"runbook": GROUP, "directory": directory}
    assert of(fields={"group": "vpn users"}, **given).values["group"] == "VPN Users"
    assert of(fields={"group": "Nowhere"}, **given).problems == ("group: the directory has no group Nowhere",)
    assert of(fields={"group": "Finance; Payroll"}, **given).problems != ()


@pytest.mark.parametrize(
    ("body", "mib"),
    [
        ("please raise my mailbox to 50 GB", 51_200),
        ("bitte auf 50GB erhöhen", 51_200),
        ("Postfach auf 12,5 GB", 12_800),
        ("quota to 12.50 GiB.", 12_800),
        ("augmenter à 50 Go svp", 51_200),
        ("augmenter à 50go", 51_200),
        ("メールボックスを50GBに増やしてください", 51_200),
        ("５０ＧＢにしてください", 51_200),
        ("at least 20480 MB", 20_480),
        ("20.480 MB bitte", 20_480),
        ("50 Gigabyte", 51_200),
        ("10 GB are full, 50 GB please", 51_200),
    ],
)
def test_a_size_is_found_in_text_of_any_language(directory: SqliteDirectory, body: str, mib: int) -> None:
    assert of(body, runbook=QUOTA, directory=directory).values == {"account": "j.smith", "quota_mb": str(mib)}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise it from 5 GB to 50 GB", "the text names 5120 MiB, 51200 MiB, and one is wanted"),
        ("10-50 GB", "can't be read for certain"),
        ("1.500 GB", "can't be read for certain"),
        ("raise it to 900 GB", "921600 MiB is not within 1024 to 102400 MiB"),
        ("1 MB", "1 MiB is not within"),
        ("please raise my quota", "neither in a field nor in the text"),
        ("I have 10 to send, 50 gone", "neither in a field nor in the text"),
    ],
)
def test_a_size_that_is_unclear_or_out_of_bounds_is_a_problem(
    directory: SqliteDirectory, body: str, words: str
) -> None:
    found = of(body, runbook=QUOTA, directory=directory)
    assert len(found.problems) == 1
    assert words in found.problems[0]
    assert "quota_mb" not in found.values


@pytest.mark.parametrize(
    ("fields", "mib"),
    [
        ({"quota_mb": 51200}, "51200"),
        ({"quota_mb": "51200"}, "51200"),
        ({"QUOTA_GB": "50"}, "51200"),
        ({"quota": "50 GB"}, "51200"),
        ({"quota": "50"}, None),
        ({"quota_mb": "-51200"}, None),
        ({"quota_mb": "51200; rm -rf"}, None),
    ],
)
def test_a_size_in_a_field_takes_its_unit_from_value_or_name(
    directory: SqliteDirectory, fields: dict[str, object], mib: str | None
) -> None:
    assert of("to 20 GB", runbook=QUOTA, fields=fields, directory=directory).values.get("quota_mb") == mib


def test_a_text_that_is_too_long_or_turned_round_is_not_searched(directory: SqliteDirectory) -> None:
    for body, why in (
        ("j.smith " + "x" * 20_000, "longer than 20000 characters"),
        ("\ufdfa" * 5_000, "longer than 20000 characters"),
        ("unlock \u202ehtims.j", "turn its reading direction round"),
    ):
        found = of(body, directory=directory)
        assert found.values == {}
        assert why in found.problems[0]
        assert of(body, fields={"account": "j.smith"}, directory=directory).complete


def test_without_a_directory_only_shapes_are_known() -> None:
    assert of("Please unlock my account j.smith").values == {"account": "j.smith"}
    assert of("my account is locked").problems == ("account: the requester's account is known to the directory only",)
    assert of("add j.smith to Finance", runbook=GROUP).problems == (
        "group: the groups are known to the directory only",
    )


def choosing(**changes: Any) -> Runbook:
    colour = Parameter(name="colour", kind="choice", title="the colour", choices=("Red", "Dark Blue"), **changes)
    host = Parameter(
        name="host", kind="text", title="the host", fields=("host",), pattern=r"[a-z0-9-]+", required=False
    )
    return RUNBOOKS["record_only"].model_copy(update={"parameters": (colour, host)})


def test_a_choice_is_one_of_the_list_and_a_text_comes_from_a_field_only() -> None:
    assert of("paint it dark-blue, host web1", runbook=choosing()).values == {"colour": "Dark Blue"}
    found = of("", runbook=choosing(fields=("c",)), fields={"c": "red", "host": "web-1"})
    assert found.values == {"colour": "Red", "host": "web-1"}
    found = of("", runbook=choosing(fields=("c",)), fields={"c": "green", "host": "web1; reboot"})
    assert found.problems == (
        "colour: green is not one of Red, Dark Blue",
        "host: web1; reboot does not have the form that the host must have",
    )


def test_values_are_validated_again_before_a_run(directory: SqliteDirectory) -> None:
    def problems(values: dict[str, str], requester: str = JANE, **more: Any) -> tuple[str, ...]:
        return parameters.validate(GROUP, Extraction(values), directory=directory, requester=requester, **more)

    good = {"account": "j.smith", "group": "Finance"}
    assert problems(good) == ()
    assert problems(good, requester=BOB) == ("account: j.smith is not the requester's own account",)
    assert problems(good, requester="", machine=True) == ()
    assert problems({"account": "j.smith"}) == ("group: the group is missing",)
    assert problems(good | {"account": "no.body"}) == ("account: the directory has no account no.body",)
    assert problems(good | {"account": JANE}) != ()
    assert problems(good | {"group": "Payroll"}) == ("group: Payroll can't be asked for by ticket",)
    assert problems(good | {"force": "yes"}) == ("force: add_to_group has no such parameter",)
    assert problems(good | {"account": "-j.smith"}) != ()


def test_problems_found_before_stay_problems(directory: SqliteDirectory) -> None:
    found = of("add me", runbook=GROUP, directory=directory)
    assert parameters.validate(GROUP, found, directory=directory, requester=JANE) == found.problems


def test_values_are_typed_for_the_steps() -> None:
    assert parameters.typed(QUOTA, {"account": "j.smith", "quota_mb": "51200"}) == {
        "account": "j.smith",
        "quota_mb": 51_200,
    }
    for values in ({"account": "j.smith"}, {"account": "j.smith", "quota_mb": "\u0665\u0660\u0660\u0660"}, {}):
        with pytest.raises(ParameterError, match="quota_mb: "):
            parameters.typed(QUOTA, values)
