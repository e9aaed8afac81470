"""People who sign in, and the tokens that let a program or a one-time link act for them."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _


class Theme(models.TextChoices):
    """How the pages look."""

    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class Person(AbstractUser):
    """Someone who signs in. What they may see and do stands in `Membership`."""

    Theme = Theme

    zone = models.CharField("time zone", max_length=64, default="UTC")
    language = models.CharField("language of the pages; empty: the browser's", max_length=8, blank=True)
    sessions_era = models.PositiveIntegerField("raised to end every session of the person", default=0, editable=False)
    theme = models.CharField("empty: as the system has it", max_length=8, choices=Theme, blank=True)

    roles: dict[int, frozenset[str]] | None = None
    """By customer, what the person is there; None until `permissions.remember` has read it for a request."""

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(condition=models.Q(theme__in=["", *Theme.values]), name="person_theme_known")
        ]

    def get_session_auth_hash(self) -> str:
        """What a session must hold to count: it changes with the password and with each end of all sessions."""
        found = super().get_session_auth_hash()
        if not self.sessions_era:
            return found
        return salted_hmac("triage.sessions", f"{found}:{self.sessions_era}", algorithm="sha256").hexdigest()


class TokenPurpose(models.TextChoices):
    """What the token opens."""

    SIGN_IN = "sign-in", _("One-time sign-in link")
    API = "api", _("API")


class Token(models.Model):
    """A secret shown once and stored hashed: a one-time sign-in link or an API credential."""

    Purpose = TokenPurpose

    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    purpose = models.CharField(max_length=16, choices=Purpose)
    name = models.CharField("what it is for, in the owner's words", max_length=80, blank=True)
    scopes = models.JSONField("what an API token may do, of what its owner may do", default=list)
    digest = models.CharField("SHA-256 of the secret", max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField("a link was used up; an API token was last used", null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.purpose} for {self.person_id}"
