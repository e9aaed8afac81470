"""One-time links that runs send to people who cannot sign in."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import one_of
from triage.models.run import Run
from triage.models.runbook import Target


class LinkPurpose(models.TextChoices):
    """What the link opens."""

    SET_PASSWORD = "set_password", _("Set a password")


class OneTimeLink(models.Model):
    """A link that one run sent for one account. Its secret is in the mail and nowhere else; here is its hash.

    It opens while the run stands as succeeded, it has neither expired nor been used nor been revoked, and tries are
    left: a directory that does not like a password lets its owner try another one.
    """

    Purpose = LinkPurpose

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="links")
    purpose = models.CharField(max_length=20, choices=Purpose)
    target = models.ForeignKey(Target, on_delete=models.CASCADE)
    account = models.CharField(max_length=200)
    digest = models.CharField("SHA-256 of the secret", max_length=64, unique=True)
    tries = models.PositiveSmallIntegerField("passwords that were sent to the directory", default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField("another link took its place", null=True, blank=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("purpose", LinkPurpose),
            models.UniqueConstraint(
                fields=["target", "account", "purpose"],
                condition=models.Q(used_at__isnull=True, revoked_at__isnull=True),
                name="one_open_link_per_account",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} for {self.account}"
