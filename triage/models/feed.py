"""Where articles come from: feeds of knowledge bases elsewhere, and what each of them lists."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from triage.models.article import Article
from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import EncryptedTextField, probability
from triage.models.source import Source


class ArticleFeed(models.Model):
    """One knowledge base elsewhere. Without a customer its articles are the provider's, shared by all.

    A pass lists what changed, or everything (`pass_full`); its state is kept from page to page, so that a worker that
    dies costs nothing.
    """

    slug = models.SlugField(max_length=40, unique=True)
    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=200)
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.PROTECT, help_text="empty: shared by all customers"
    )
    source = models.ForeignKey(
        Source, null=True, blank=True, on_delete=models.PROTECT, help_text="use this source's address and credentials"
    )
    credentials = EncryptedTextField("credentials for the knowledge base's API as JSON", blank=True)
    settings = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    every = models.PositiveIntegerField(
        "seconds between two passes, empty for none",
        null=True,
        blank=True,
        default=900,
        validators=[MinValueValidator(60)],
    )
    full_every = models.PositiveIntegerField(
        "seconds between two full listings", default=6 * 3600, validators=[MinValueValidator(600)]
    )
    most_gone = models.FloatField(
        "share of its articles that one pass may retire",
        default=0.2,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
    )
    adopt = models.BooleanField("take over articles that are here already under the same key", default=False)
    pass_id = models.UUIDField("the pass that is going on", null=True, blank=True, editable=False)
    pass_full = models.BooleanField(default=False, editable=False)
    pass_blind = models.BooleanField("a record without an id could not be read", default=False, editable=False)
    pass_since = models.DateTimeField(null=True, blank=True, editable=False)
    pass_began = models.DateTimeField(null=True, blank=True, editable=False)
    pass_counts = models.JSONField(default=dict, blank=True, editable=False)
    cursor = models.TextField("next page of this pass", blank=True, editable=False)
    listed_until = models.DateTimeField("every change up to here is stored", null=True, blank=True, editable=False)
    full_at = models.DateTimeField("when the last full listing ended", null=True, blank=True, editable=False)
    done_at = models.DateTimeField("when the last pass ended", null=True, blank=True, editable=False)
    counts = models.JSONField("what the last pass did", default=dict, blank=True, editable=False)
    claim_until = models.DateTimeField(null=True, blank=True, editable=False)
    due_at = models.DateTimeField("not before", null=True, blank=True, editable=False)
    failure = models.TextField("why the last pass failed", blank=True, editable=False)
    failures = models.PositiveIntegerField("failed passes in a row", default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    held_back = models.PositiveIntegerField("articles that were missing and not retired", default=0, editable=False)
    held_since = models.DateTimeField(null=True, blank=True, editable=False)
    may_retire = models.PositiveIntegerField("so many a person allowed to retire", default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [probability("most_gone")]

    def __str__(self) -> str:
        return self.name


class FeedArticle(models.Model):
    """What a feed lists under one id, and the article that it became here; None where that was not possible."""

    feed = models.ForeignKey(ArticleFeed, on_delete=models.CASCADE, related_name="listed")
    external_id = models.CharField(max_length=200)
    article = models.OneToOneField(Article, null=True, blank=True, on_delete=models.CASCADE, related_name="fed")
    key = models.CharField("the article's key as the feed has it", max_length=60, blank=True)
    label = models.CharField("the label as the feed has it", max_length=60, blank=True)
    title = models.CharField(max_length=300, blank=True)
    url = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField("last change in the knowledge base", null=True, blank=True)
    digest = models.CharField("SHA-256 of title, text and language", max_length=64, blank=True)
    problem = models.CharField("why it is not an article here", max_length=500, blank=True)
    seen_in = models.UUIDField("the last pass that listed it", null=True, blank=True)
    leaving_in = models.UUIDField("the pass that listed it as retired", null=True, blank=True)
    gone_at = models.DateTimeField("when it was retired here because it is gone there", null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["feed", "external_id"], name="listed_once_by_a_feed")]
        indexes = [models.Index(fields=["feed", "key"], name="listed_by_key")]

    def __str__(self) -> str:
        return f"{self.external_id} of {self.feed_id}"

    def link(self) -> str:
        """Its address, where it has one that a browser may be sent to; a file's path is none."""
        return self.url if self.url.startswith(("https://", "http://")) else ""
