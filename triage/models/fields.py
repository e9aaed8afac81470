"""Column types that several tables share."""

from typing import Any

from django.db import models

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
