"""Column types that several tables share."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import override

from triage import keys


class EncryptedTextField(models.TextField[str, str]):
    """Text that is encrypted at rest with the installation's key. It cannot be searched or ordered by."""

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        """Decrypt on the way out; raises ValueError under another installation's key."""
        return value if not value else keys.decrypt(value)

    def get_prep_value(self, value: Any) -> Any:
        """Encrypt on the way in; an empty text stays empty."""
        return value if not value else keys.encrypt(str(value))

    def get_lookup(self, lookup_name: str) -> Any:
        """Refuse comparisons: each encryption of one text differs."""
        if lookup_name != "isnull":
            raise TypeError(f"an encrypted column cannot be filtered by {lookup_name!r}")
        return super().get_lookup(lookup_name)


class QuarterHours(models.Func):
    """Whole quarters of an hour from 1970 to a moment in UTC, null for none: what counts as equally urgent.

    Written so that both databases take it for immutable, as a generated column must be.
    """

    arity = 1
    output_field = models.BigIntegerField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Days since noon of 4714 BC are a float: a millisecond more keeps full quarters from falling short."""
        template = "CAST(((julianday(%(expressions)s) - 2440587.5) * 86400 + 0.001) / 900 AS INTEGER)"
        return super().as_sql(compiler, connection, template=template, **context)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Without the time zone `extract` depends on no setting of the session."""
        template = "FLOOR(EXTRACT(EPOCH FROM %(expressions)s AT TIME ZONE 'UTC') / 900)::bigint"
        return super().as_sql(compiler, connection, template=template, **context)


def english(label: object) -> str:
    """A label as it is stored, or told to another system: in English, whatever language the person at work reads."""
    with override("en"):
        return str(label)


def probability(name: str, *, null: bool = False) -> models.CheckConstraint:
    """0 <= column <= 1, in the database."""
    inside = models.Q(**{f"{name}__gte": 0, f"{name}__lte": 1})
    return models.CheckConstraint(
        condition=inside | models.Q(**{f"{name}__isnull": True}) if null else inside,
        name=f"%(class)s_{name}_0_1",
    )


def one_of(name: str, choices: type[models.TextChoices]) -> models.CheckConstraint:
    """The column holds one of the choices, in the database."""
    return models.CheckConstraint(condition=models.Q(**{f"{name}__in": choices.values}), name=f"%(class)s_{name}_known")
