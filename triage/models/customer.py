"""Customers, who may see them, and the one manager through which people's queries go."""

import uuid
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from triage.models.fields import one_of, probability


class CustomerQuerySet(models.QuerySet):  # type: ignore[type-arg]  # one class serves every table that has a customer
    """Rows that belong to a customer. A query that serves a person starts with `visible_to`."""

    def of(self, customer: "Customer") -> Self:
        """Rows of one customer."""
        return self.filter(customer=customer)

    def visible_to(self, person: models.Model) -> Self:
        """Rows of the customers that the person is a member of, all rows for a provider's administrator.

        Rows that no customer owns yet (unmapped tickets) are seen by the provider's administrators only.
        """
        if getattr(person, "is_superuser", False):
            return self
        roles = getattr(person, "roles", None)
        if roles is not None:
            return self.filter(customer__in=list(roles))  # numbers, so that the database knows how many rows they have
        # a subquery, not a join: several roles at one customer must not repeat its rows
        return self.filter(customer__in=Membership.objects.filter(person=person.pk).values("customer"))


class Mode(models.TextChoices):
    """How far Triage may go by itself for a customer, from least to most."""

    OBSERVE = "observe", _("Observe: record, show and do nothing")
    SUGGEST = "suggest", _("Suggest: show the agent what fits")
    APPROVE = "approve", _("Approve: a person confirms each run")
    AUTOMATE = "automate", _("Automate: run by itself under a certificate")


class Customer(models.Model):
    """An organisation whose tickets are handled. Nothing learnt from one is shown to another."""

    slug = models.SlugField(max_length=40, unique=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200)
    mode = models.CharField(max_length=16, choices=Mode, default=Mode.SUGGEST)
    automation_enabled = models.BooleanField("kill switch: off stops every start", default=True)
    holdout_share = models.FloatField(default=0.5)
    verify_share = models.FloatField(default=0.05)
    yearly_delta = models.FloatField(default=0.05)
    minutes_a_ticket = models.PositiveSmallIntegerField("assumed: a person's minutes that a run saves", default=10)
    write_back = models.BooleanField("the ITSM may be told: notes, resolutions; never in observe mode", default=True)
    alpha_by_tier = models.JSONField(
        'by risk tier, the highest alpha of a certificate that runs count on: {"medium": 0.02}',
        default=dict,
        blank=True,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            one_of("mode", Mode),
            probability("holdout_share"),
            probability("verify_share"),
            probability("yearly_delta"),
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a person is to a customer."""

    AGENT = "agent", _("Support agent")
    APPROVER = "approver", _("Approver")
    STEWARD = "steward", _("Model steward")
    ADMIN = "admin", _("Administrator")
    AUDITOR = "auditor", _("Auditor (reads only)")


class Membership(models.Model):
    """A person's role at a customer."""

    person = models.ForeignKey("triage.Person", on_delete=models.CASCADE)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    role = models.CharField(max_length=16, choices=Role)

    class Meta:
        constraints = [
            one_of("role", Role),
            models.UniqueConstraint(fields=["person", "customer", "role"], name="membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} {self.role} at {self.customer_id}"
