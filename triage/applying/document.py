"""What `customers.yaml` may say: typed, strict, every name known.

What is not said stays as it is; a new row then begins with the default. An empty value (null) is said.
"""

from datetime import date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from runbooks.environments import Environment, Rule

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")]
Username = Annotated[str, Field(pattern=r"^[\w.@+-]{1,150}$")]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Share = Annotated[float, Field(ge=0, le=1)]
Strictness = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Mode = Literal["observe", "suggest", "approve", "automate"]
Role = Literal["agent", "approver", "steward", "admin", "auditor"]
Tier = Literal["low", "medium", "high", "irreversible"]
Assurance = Literal["none", "monitored", "mail", "portal"]
PARTS = ("company", "domain", "project", "organisation")


def _moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("write a moment with its zone, such as 2026-12-24T00:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError("say the time zone, as in 2026-12-24T00:00:00Z or ...+01:00")
    return found


def _hour(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return time.fromisoformat(value)
    except ValueError:
        raise ValueError("write a time such as 22:00") from None


def _day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("write a day such as 2026-01-31") from None


Moment = Annotated[datetime, BeforeValidator(_moment)]
Hour = Annotated[time, BeforeValidator(_hour)]
Day = Annotated[date, BeforeValidator(_day)]


class Said(BaseModel):
    """One mapping of the file."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    def said(self, *names: str) -> dict[str, Any]:
        """Those of the names that the file says, with what it says."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class Human(Said):
    """Somebody who signs in. `administrator`: the provider's, for all customers."""

    name: Username
    email: Annotated[str, Field(max_length=254, pattern=r"^([^@\s]+@[^@\s]+)?$")] = ""
    first_name: Annotated[str, Field(max_length=150)] = ""
    last_name: Annotated[str, Field(max_length=150)] = ""
    active: bool = True
    administrator: bool = False


class Policy(Said):
    """What one runbook may do at the customer. Empty limits: the runbook's own."""

    enabled: bool = True
    runs_an_hour: Count | None = None
    concurrent: Count | None = None
    environments: dict[Environment, Rule] = {}


class Limited(Said):
    """How many runs; over all that runbook and target leave open."""

    runbook: str = ""
    target: str = ""
    each: bool = False
    runs_an_hour: Count | None = None
    concurrent: Count | None = None

    @model_validator(mode="after")
    def _limits(self) -> "Limited":
        if self.runs_an_hour is None and self.concurrent is None:
            raise ValueError("give runs_an_hour, concurrent or both: else nothing is limited")
        return self


class Opening(Said):
    """A maintenance window."""

    runbook: str = ""
    target: str = ""
    days: Line = "FREQ=WEEKLY;BYDAY=SA,SU"
    begins: Hour
    ends: Hour
    zone: Line = "UTC"
    first_day: Day = date(2024, 1, 1)


class Frozen(Said):
    """A change freeze."""

    begins: Moment
    ends: Moment
    reason: Annotated[str, Field(min_length=1, max_length=300)]

    @model_validator(mode="after")
    def _lasts(self) -> "Frozen":
        if self.ends <= self.begins:
            raise ValueError("a freeze ends after it begins: give a later time")
        return self


class Touched(Said):
    """What runbooks may touch. `settings`: values, of which secrets are references, or one word for all of them."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
    environment: Environment | None = None
    settings: str | dict[str, Any] = "stored"


class Endpoint(Said):
    """Another program that is told by signed webhooks."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    url: Annotated[str, Field(max_length=500)]
    kinds: list[str] = []
    internal: bool = False
    enabled: bool = True
    secrets: str | list[str] | None = None


class Customer(Said):
    """One organisation, with what runbooks may do there."""

    slug: Slug
    name: Line | None = None
    mode: Mode = "observe"
    write_back: bool = False
    holdout_share: Share = 0.5
    verify_share: Share = 0.05
    yearly_delta: Share = 0.05
    alpha_by_tier: dict[Tier, Strictness] = {}
    people: dict[Role, list[Username]] = {}
    allowed_runbooks: list[str] | None = None
    runbooks: dict[str, Policy] = {}
    limits: list[Limited] = []
    windows: list[Opening] = []
    freezes: list[Frozen] = []
    targets: dict[Key, Touched] = {}
    events: list[Endpoint] = []


class Mapped(Said):
    """One owner in the ITSM, and the customer that it is here: exactly one of the parts is given."""

    company: Line | None = None
    domain: Line | None = None
    project: Line | None = None
    organisation: Line | None = None
    customer: Slug

    @model_validator(mode="after")
    def _one(self) -> "Mapped":
        if sum(getattr(self, part) is not None for part in PARTS) != 1:
            raise ValueError(f"name exactly one of {', '.join(PARTS)}")
        return self

    @property
    def owner(self) -> tuple[str, str]:
        """Which part of the ITSM's owner, and its value."""
        return next((part, str(getattr(self, part))) for part in PARTS if getattr(self, part) is not None)


class Connection(Said):
    """One ITSM: it names its customer, or mappings decide."""

    slug: Slug
    kind: str = "standard"
    name: Line | None = None
    customer: Slug | None = None
    mappings: list[Mapped] = []
    settings: dict[str, Any] = {}
    assurance: dict[Line, Assurance] = {}
    pull_every: Annotated[int, Field(ge=1, le=86_400 * 7)] | None = None
    enabled: bool = True
    secrets: str | list[str] | None = None
    credentials: str | dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Connection":
        if self.customer is not None and self.mappings:
            raise ValueError("a source names its customer or has mappings, not both")
        return self


class Document(Said):
    """The whole file, with the defaults already put in."""

    version: Literal[1] = 1
    people: list[Human] = []
    customers: list[Customer] = []
    sources: list[Connection] = []
    freezes: list[Frozen] = []
    events: list[Endpoint] = []
