"""What is left of a mail: the sender's own words, in time linear in its length."""

import time

import pytest

from triage.itsm.threads import first_message

OWN = "My VPN is down since 8:30.\n\nCan you restart it?"


@pytest.mark.parametrize(
    "answered",
    [
        "-----Original Message-----\nFrom: Bob\nSent: Friday\n\nold words",
        "-----Ursprüngliche Nachricht-----\nVon: Bob\n\nalte Worte",
        "On Fri, 20 Nov 2026 at 09:30, Bob <bob@example.org> wrote:\n> old words",
        "On Fri, 20 Nov 2026 at 09:30, Bob Longname <\nbob@example.org> wrote:\n> old words",
        "Am Fr., 20. Nov. 2026 um 09:30 Uhr schrieb Bob <bob@example.org>:\n> alte Worte",
        "Le ven. 20 nov. 2026 à 09:30, Bob <bob@example.org> a écrit :\n> vieux mots",
        "El vie, 20 nov 2026 a las 9:30, Bob (<bob@example.org>) escribió:\n> palabras",
        "Il giorno ven 20 nov 2026 alle ore 09:30 Bob <bob@example.org> ha scritto:\n> parole",
        "Op vr 20 nov 2026 om 09:30 schreef Bob <bob@example.org>:\n> oude woorden",
        "From: Bob <bob@example.org>\nSent: Friday, 20 November 2026 09:30\nTo: Ada\nSubject: VPN\n\nold words",
        "Von: Bob\nGesendet: Freitag, 20. November 2026 09:30\nAn: Ada\n\nalte Worte",
        "De : Bob\nEnvoyé : vendredi 20 novembre 2026\nÀ : Ada\n\nvieux mots",
        "> old words\n>\n> more of them",
        "-- \nAda Lovelace\nAnalytical Engines Ltd",
        "Sent from my iPhone",
        "Von meinem iPhone gesendet",
    ],
)
def test_answered_mails_and_signatures_are_cut(answered: str) -> None:
    assert first_message(f"{OWN}\n\n{answered}") == OWN


@pytest.mark.parametrize(
    "text",
    [
        "Error on 3 machines:\nweb01\nweb02",
        "From: the printer on floor 2, nothing comes out",
        ">>> import os\n>>> os.getcwd()",
        "--\nonly this",
        "a\n--\n" + "a line of a log\n" * 40,
        "On Monday I wrote: nothing works.\nIt still does not.",
        "> everything is quoted",
        "",
    ],
)
def test_what_only_looks_like_one_is_kept(text: str) -> None:
    assert first_message(text).rstrip() == text.rstrip()


def test_a_forwarded_mail_is_kept_whole() -> None:
    text = "Please see below.\n\nFrom: Bob\nSent: Friday, 20 November 2026\nTo: Ada\n\nThe mail server is down."
    assert first_message(text, subject="FW: mail server") == text
    assert first_message(text, subject="Mail server") == "Please see below."


@pytest.mark.parametrize(
    "unit", ["\n", "> ", "On 1 ", "On 1\n", "From: a\n", "--\n", "-", "Am 1 schrieb ", "schrieb :", "x\n"]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    first_message(text)
    assert time.process_time() - began < 3.0
