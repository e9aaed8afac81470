"""ITSM connections and which customer their tickets belong to."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer
from triage.models.fields import EncryptedTextField, one_of


class Assurance(models.TextChoices):
    """Who is asking, and how sure are we, from least to most."""

    NONE = "none", _("Unknown sender")
    MONITORED = "monitored", _("Monitored machine")
    MAIL = "mail", _("Verified mail")
    PORTAL = "portal", _("Signed-in portal")


class Source(models.Model):
    """One ITSM connection. Without a customer of its own, its mappings decide whose each ticket is."""

    slug = models.SlugField(max_length=40, unique=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=20, default="standard")
    name = models.CharField(max_length=200)
    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.PROTECT)
    secrets = EncryptedTextField("signing secrets, one a line, newest first", blank=True)
    credentials = EncryptedTextField("credentials for the ITSM's API as JSON", blank=True)
    settings = models.JSONField(default=dict, blank=True)
    public_hosts = models.JSONField(
        "hosts that a customer's administrator entered: called at public addresses only",
        default=list,
        blank=True,
        editable=False,
    )
    assurance = models.JSONField("assurance level by channel", default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    in_setup = models.BooleanField(
        "messages are kept and shown, and become tickets only when it goes live", default=False
    )
    pull_every = models.PositiveIntegerField("seconds between two pulls, empty for none", null=True, blank=True)
    pulled_until = models.DateTimeField("every change up to here is stored", null=True, blank=True, editable=False)
    pull_from = models.DateTimeField("where the pass that is going on began", null=True, blank=True, editable=False)
    pull_seen = models.DateTimeField("latest change seen in this pass", null=True, blank=True, editable=False)
    pull_cursor = models.TextField("next page of this pass", blank=True, editable=False)
    pull_claim_until = models.DateTimeField(null=True, blank=True, editable=False)
    pull_due_at = models.DateTimeField("not before", null=True, blank=True, editable=False)
    pull_failure = models.TextField("why the last pull failed", blank=True, editable=False)
    pull_failures = models.PositiveIntegerField("failed pulls in a row", default=0, editable=False)
    pull_failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def signing_secrets(self) -> list[str]:
        """The secrets that a signature may be made with; several while one is being rotated."""
        return [line.strip() for line in self.secrets.splitlines() if line.strip()]

    def assurance_of(self, channel: str) -> Assurance:
        """How sure we are of who asks on this channel; NONE for a channel that nobody configured."""
        level = self.assurance.get(channel, Assurance.NONE)
        return Assurance(level) if level in Assurance.values else Assurance.NONE


class SourceMappingPart(models.TextChoices):
    """What the ITSM calls the owner of a ticket."""

    COMPANY = "company", _("Company")
    DOMAIN = "domain", _("Domain")
    PROJECT = "project", _("Project")
    ORGANISATION = "organisation", _("Organisation")


class SourceMapping(models.Model):
    """One value of the ITSM (company, domain, project, organisation) that belongs to a customer."""

    Part = SourceMappingPart

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="mappings")
    part = models.CharField(max_length=16, choices=Part)
    value = models.CharField(max_length=200)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            one_of("part", SourceMappingPart),
            models.UniqueConstraint(fields=["source", "part", "value"], name="mapping_names_one_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.part}={self.value} -> {self.customer_id}"
