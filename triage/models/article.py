"""Knowledge-management articles."""

from django.db import models
from django.db.models import Q

from triage.models.customer import Customer, CustomerQuerySet


class ArticleQuerySet(CustomerQuerySet):
    """Articles: a customer's own, and the provider's that all share."""

    def offered_to(self, customer: Customer | None) -> "ArticleQuerySet":
        """Live articles that may answer this customer's tickets."""
        return self.filter(Q(customer=customer) | Q(customer__isnull=True), retired_at__isnull=True)


class Article(models.Model):
    """One article in one language. A translation group is one label for all its languages."""

    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.CASCADE)
    key = models.CharField(max_length=60)
    title = models.CharField(max_length=300)
    symptoms = models.TextField(blank=True)
    body = models.TextField(blank=True)
    aliases = models.JSONField(default=list, blank=True)
    language = models.CharField(max_length=16, default="en")
    translation_group = models.CharField("the label; the key where there is no translation", max_length=60)
    runbook = models.CharField("runbook key", max_length=60, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ArticleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "key"], name="article_key_once"),
            models.UniqueConstraint(fields=["key"], condition=Q(customer__isnull=True), name="shared_article_key_once"),
        ]
        indexes = [models.Index(fields=["translation_group"], name="article_label")]

    def __str__(self) -> str:
        return f"{self.key} {self.title}"
