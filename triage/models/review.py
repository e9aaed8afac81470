"""People's verdicts and the labels made of them."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import one_of
from triage.models.person import Person
from triage.models.ticket import Ticket


class ReviewVerdict(models.TextChoices):
    """What the person found."""

    ARTICLE = "article", _("This article")
    NONE = "none", _("None of these")
    DUPLICATE = "duplicate", _("Duplicate")
    TWO_PROBLEMS = "two_problems", _("Two problems")
    NOT_OURS = "not_ours", _("Not ours")
    WRONG_PARAMETERS = "wrong_parameters", _("Right article, wrong parameters")


class Review(models.Model):
    """A person's verdict on a ticket."""

    Verdict = ReviewVerdict

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="reviews")
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT)
    verdict = models.CharField(max_length=20, choices=Verdict)
    article = models.CharField(max_length=60, blank=True)
    also_acceptable = models.JSONField(default=list)
    duplicate_of = models.ForeignKey(Ticket, null=True, on_delete=models.PROTECT, related_name="duplicates")
    parameters = models.JSONField("what the runbook should have been given, where the person said so", default=dict)
    note = models.CharField(max_length=1000, blank=True)
    follow = models.CharField("reply, run, assign, ask", max_length=16, blank=True)
    blind = models.BooleanField("answered before the suggestion was shown", default=False)
    provenance = models.CharField(max_length=40, default="desk")
    text_hash = models.CharField(max_length=64)
    decided_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("verdict", ReviewVerdict),
            models.CheckConstraint(
                condition=~models.Q(verdict="article") | ~models.Q(article=""),
                name="verdict_article_names_one",
            ),
        ]
        indexes = [models.Index(fields=["customer", "article", "id"], name="review_by_article")]

    def __str__(self) -> str:
        return f"{self.verdict} {self.article}"


class Label(models.Model):
    """(text, article) with where it came from; written here first, then carried to the lake's table."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    ticket = models.ForeignKey(Ticket, null=True, on_delete=models.PROTECT)
    review = models.ForeignKey(Review, null=True, on_delete=models.PROTECT)
    subject = models.TextField(blank=True)
    body = models.TextField(blank=True)
    language = models.CharField(max_length=16, blank=True)
    article = models.CharField("label; empty: none of the articles", max_length=60, blank=True)
    provenance = models.CharField(max_length=40)
    draw_purpose = models.CharField(max_length=16, default="none")
    draw_probability = models.FloatField(default=0.0)
    made_at = models.DateTimeField(db_index=True)
    withdrawn_at = models.DateTimeField(null=True)
    landed_at = models.DateTimeField(null=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=models.Q(landed_at__isnull=True), name="label_waits_for_lake"),
        ]

    def __str__(self) -> str:
        return f"{self.article or 'none'} ({self.provenance})"
