"""Makes a runbook's draft of what AWX says about one job template: parameters of its survey, and all that is missing.

Names, texts and choices are AWX's users' own and may hold anything: they become values of a table, never its form.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runbooks import plain
from runbooks.base import ANY
from runbooks.rules import short
from runbooks.runners import awx_survey
from runbooks.runners.job_settings import OWN, RESERVED

RUN_VARIABLE: Final = "triage_run"
LONGEST_SECONDS: Final = 840
LONGEST_TEXT: Final = 200
MOST_CHOICES: Final = 200
WHOLE, DECIMAL = r"0|-?[1-9][0-9]{0,17}", r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{0,8}[1-9])?"

_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_ASKED = {
    "credential": "a credential", "scm_branch": "a branch", "tags": "tags", "skip_tags": "tags to skip",
    "diff_mode": "diff mode", "verbosity": "a verbosity", "forks": "forks", "job_slice_count": "slices",
    "timeout": "a time limit", "execution_environment": "an execution environment", "labels": "labels",
    "instance_groups": "instance groups",
}  # fmt: skip
"""What a template may prompt for and no run ever gives: what the template itself says holds."""


@dataclass(frozen=True)
class Source:
    """What AWX says: the template, its launch page, the questions of its survey, its project (None: it has none)."""

    template: Mapping[str, Any]
    launch: Mapping[str, Any]
    questions: Sequence[Mapping[str, Any]]
    project: Mapping[str, Any] | None


@dataclass(frozen=True)
class Drafted:
    """A definition without its key, and what it lacks, a sentence each, besides phases and articles."""

    title: str
    description: str
    table: Mapping[str, Any]
    lacks: tuple[str, ...]


def drafted(source: Source, *, inventory: int) -> Drafted:
    """Return the draft of a template. inventory: the number of the one that the target's jobs work on."""
    template = source.template
    parameters, variables, lacks = _parameters(source.questions)
    table: dict[str, Any] = {
        "title": line(template.get("name"), "job template"),
        "owner": line(_summary(template, "organization"), "nobody is named"),
        "article_keys": [],
        "tier": "high",
        "reversible": True,
        "assurance": "portal",
        "time_limit": _seconds(template),
        "runner": "awx",
        "target_kind": "awx",
    }
    awx: dict[str, Any] = {"variables": variables}
    if source.launch.get("ask_limit_on_launch") is True:
        name = _free_name("host", {each["name"] for each in parameters})
        parameters.append({"name": name, "kind": "host", "title": "the host"})
        awx["limit"] = name
    if template.get("allow_simultaneous") is not True:
        table["limits"] = {"concurrent": 1}
    if parameters:
        table["parameters"] = parameters
    table["awx"] = {**awx, "action": {"template": template["id"]}}
    lacks += [*_prompts(source, inventory), *_identity(source), *_project(source.project), *_template(template)]
    return Drafted(table["title"], line(template.get("description"), ""), table, tuple(lacks))


def key(name: object, number: int, *, taken: Collection[str]) -> str:
    """Return a folder's name for a template: from its own where that is free, with its number where it is not."""
    folded = unicodedata.normalize("NFKD", str(name)).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", folded).strip("_")[:45].strip("_")
    if not slug or not slug[0].isalpha():
        slug = f"job_{slug}" if slug else "job_template"
    return slug if slug not in taken and slug != "job_template" else f"{slug}_{number}"


def line(text: object, otherwise: str) -> str:
    """Return a text as one line of at most 300 visible characters; `otherwise` where nothing is left."""
    whole = "".join(c if c.isprintable() else " " for c in str(text or ""))
    return " ".join(whole.split())[:300].strip() or otherwise


def _parameters(questions: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str], list[str]]:
    """The parameters, which variable each answers, and what is lacking about them."""
    made: list[dict[str, Any]] = []
    variables: dict[str, str] = {}
    lacks: list[str] = []
    for question in questions:
        variable = str(question.get("variable", ""))
        if variable == RUN_VARIABLE or variable in variables:
            continue
        told = f"survey question {short(variable)}"
        if not _VARIABLE.fullmatch(variable) or variable.lower().startswith(OWN) or variable in RESERVED:
            lacks.append(f"{told}: no run may set a variable of this name: rename it in the survey")
            continue
        one, wrong = _parameter(question, variable)
        lacks += [f"{told}: {why}" for why in wrong]
        if one is None:
            continue
        one = {"name": _free_name(variable, {each["name"] for each in made}), **one}
        if question.get("required") is not True:
            one["required"] = False
        made.append(one)
        variables[variable] = one["name"]
    return made, variables, lacks


def _parameter(question: Mapping[str, Any], variable: str) -> tuple[dict[str, Any] | None, list[str]]:
    """One question as a parameter without its name; None where no value of a ticket could answer it."""
    kind = question.get("type")
    must = ", and it must be answered: no run can" if question.get("required") else ": left out"
    title = line(question.get("question_name"), variable)
    text = {"kind": "text", "title": title, "fields": [variable]}
    if kind in awx_survey.TEXTS:
        return _text(question, text)
    if kind in ("integer", "float"):
        return {**text, "pattern": WHOLE if kind == "integer" else DECIMAL, "max_length": 26}, []
    if kind == "multiplechoice":
        offered = list(dict.fromkeys(each for each in awx_survey.choices(question) if each))
        fit = [each for each in offered if len(each) <= LONGEST_TEXT and not plain.trouble_with(each)][:MOST_CHOICES]
        lost = len(offered) - len(fit)
        wrong = [f"{lost} of its {len(offered)} choices cannot be values: look which"] if lost else []
        if not fit:
            return None, [f"has no choice that can be a value{must}"]
        return {"kind": "choice", "title": title, "fields": [variable], "choices": fit}, wrong
    if kind == "password":
        return None, [f"asks for a password, which no ticket ever brings{must}: keep it in a credential in AWX"]
    if kind == "multiselect":
        return None, [f"asks for several choices at once, which no value of a ticket answers{must}"]
    return None, [f"is of the type {short(str(kind))}, which is not known{must}"]


def _text(question: Mapping[str, Any], text: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """A free text: AWX bounds its length only, so somebody must say what it may be."""
    least, most = awx_survey.bound(question.get("min")), awx_survey.bound(question.get("max"))
    longest = int(min(max(most if most is not None else LONGEST_TEXT, 1), 1000))
    found = {**text, "max_length": longest}
    if least is not None and 0 < least <= longest:
        found["pattern"] = rf"[^\x00-\x1f\x7f]{{{int(least)},{longest}}}"
    return found, ["may have several lines in AWX, and has one here"] if question.get("type") == "textarea" else []


def free_texts(table: Mapping[str, Any]) -> list[str]:
    """Return the names of the parameters of a definition that take any text."""
    given = table.get("parameters")
    rows = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return [
        str(each.get("name"))
        for each in rows
        if each.get("kind") == "text" and str(each.get("pattern", ANY)).startswith(r"[^\x00-\x1f\x7f]")
    ]


def _prompts(source: Source, inventory: int) -> Iterator[str]:
    template, launch = source.template, source.launch
    if launch.get("ask_limit_on_launch") is not True:
        yield "limit: is not prompted for, so a job works on the whole inventory: tick Prompt on launch"
    own = template.get("inventory")
    if launch.get("ask_inventory_on_launch") is True:
        yield f"inventory: is prompted for, and every run gives the target's, number {inventory}: see that it is meant"
    elif own != inventory:
        yield f"inventory: the template's is {own or 'none'}, the target's is {inventory}: make them one"
    for name, words in _ASKED.items():
        if launch.get(f"ask_{name}_on_launch") is True:
            yield f"{name}: is prompted for, and no run gives {words}: see that the template's own is meant"
    if launch.get("credential_needed_to_start") is True:
        yield "credential: the template has none, and no run gives one: set it there"
    for name in launch.get("passwords_needed_to_start") or ():
        yield f"password {short(str(name))}: is asked for at each launch: keep it in the credential"


def _identity(source: Source) -> Iterator[str]:
    asked = any(each.get("variable") == RUN_VARIABLE for each in source.questions)
    open_to_all = source.launch.get("ask_variables_on_launch") is True
    if not asked and not open_to_all:
        yield f"{RUN_VARIABLE}: AWX would drop the run's identity: add a text question with this variable to the survey"
    if open_to_all and not [each for each in source.questions if each.get("variable") != RUN_VARIABLE]:
        yield "survey: there is none and any variable is taken, so nobody knows which values the playbook wants"


def _project(project: Mapping[str, Any] | None) -> Iterator[str]:
    if project is None:
        yield "project: the template has none, or this token may not see it: give it one"
    elif project.get("scm_update_on_launch") is not False:
        yield "project: scm_update_on_launch is set, so nobody has seen what would run: switch it off"
    elif not project.get("scm_type") or not project.get("scm_revision"):
        yield "project: has no revision: keep its playbooks under source control, and update it once"


def _template(template: Mapping[str, Any]) -> Iterator[str]:
    if template.get("become_enabled") is True:
        yield "privileged: its playbook runs as root or another user (become_enabled): look at what it may do"
    if template.get("job_slice_count", 1) != 1:
        yield "slices: its jobs are several, of which only one is followed: set job slicing to 1"
    if template.get("job_type", "run") != "run":
        kind = short(str(template.get("job_type")))
        yield f"job_type: is {kind}, which changes nothing: it may be a check for another runbook"
    if template.get("scm_branch"):
        yield "scm_branch: the template takes a branch of its own, which may move: write a commit"
    if isinstance(template.get("timeout"), int) and template["timeout"] > LONGEST_SECONDS:
        yield f"timeout: is {template['timeout']} s in AWX, and no run lasts more than {LONGEST_SECONDS} s"


def _seconds(template: Mapping[str, Any]) -> int:
    timeout = template.get("timeout")
    return min(timeout, LONGEST_SECONDS) if isinstance(timeout, int) and timeout >= 1 else LONGEST_SECONDS


def _summary(template: Mapping[str, Any], name: str) -> object:
    fields = template.get("summary_fields")
    found = fields.get(name) if isinstance(fields, Mapping) else None
    return found.get("name") if isinstance(found, Mapping) else None


def _free_name(wanted: str, taken: Collection[str]) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", wanted.lower()).strip("_")[:50]
    slug = slug if slug[:1].isalpha() else f"value_{slug}"
    number, name = 2, slug
    while name in taken:
        name, number = f"{slug}_{number}", number + 1
    return name
