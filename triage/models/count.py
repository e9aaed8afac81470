"""Counts that pages read instead of counting hundreds of thousands of rows: filled and mended by `triage.counting`."""

from django.db import models

from triage.models.certificate import Certificate
from triage.models.customer import Customer, CustomerQuerySet


class HourCount(models.Model):
    """What became, until now, of a customer's tickets that were received within one hour."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    hour = models.DateTimeField("beginning, UTC")
    by_itself = models.PositiveIntegerField("resolved by a runbook without a person's word", default=0)
    on_word = models.PositiveIntegerField("resolved by a runbook that a person ordered", default=0)
    by_person = models.PositiveIntegerField("answered or resolved by a person", default=0)
    waiting = models.PositiveIntegerField("waiting for a person", default=0)
    under_way = models.PositiveIntegerField(default=0)
    observed = models.PositiveIntegerField(default=0)
    withdrawn = models.PositiveIntegerField(default=0)
    in_time = models.PositiveIntegerField("had a due time and were decided by then", default=0)
    too_late = models.PositiveIntegerField("had a due time and were decided after it", default=0)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "hour"], name="hour_count_once")]
        indexes = [models.Index(fields=["hour"], name="hour_count_hour")]

    def __str__(self) -> str:
        return f"{self.customer_id} {self.hour:%Y-%m-%d %H}"


class ArticleCount(models.Model):
    """A customer's tickets by the article that was decided for, newest release and last 30 days.

    Tickets that chance drew are in `draws` only, and there only once a person has answered them.
    """

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    article = models.CharField("label", max_length=60)
    tickets = models.PositiveIntegerField("of the last 30 days that were not drawn", default=0)
    draws = models.PositiveIntegerField("clusters of the sealed holdout, answered, newer than training", default=0)
    verdicts = models.PositiveIntegerField("standing verdicts of the last 30 days where this was put first", default=0)
    agreed = models.PositiveIntegerField("of these, how many named it", default=0)
    confirmed = models.PositiveIntegerField("standing verdicts of the last 30 days that named it", default=0)
    tickets_90 = models.PositiveIntegerField("like tickets, of 90 days", default=0)
    verdicts_90 = models.PositiveIntegerField("like verdicts, of 90 days", default=0)
    agreed_90 = models.PositiveIntegerField("like agreed, of 90 days", default=0)
    confirmed_90 = models.PositiveIntegerField("like confirmed, of 90 days", default=0)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "article"], name="article_count_once")]
        indexes = [models.Index(fields=["article", "customer"], name="article_count_label")]

    def __str__(self) -> str:
        return f"{self.customer_id} {self.article}"


class ArticleWeek(models.Model):
    """A customer's tickets of one week by article: how often it was put first, and what people said. No holdout."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    article = models.CharField("label", max_length=60)
    week = models.DateField("its Monday, UTC")
    tickets = models.PositiveIntegerField("where it was put first", default=0)
    verdicts = models.PositiveIntegerField("standing verdicts of that week where it was put first", default=0)
    agreed = models.PositiveIntegerField("of these, how many named it", default=0)
    confirmed = models.PositiveIntegerField("standing verdicts of that week that named it", default=0)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "article", "week"], name="article_week_once")]
        indexes = [models.Index(fields=["week"], name="article_week_week")]

    def __str__(self) -> str:
        return f"{self.customer_id} {self.article} {self.week}"


class CertificateCount(models.Model):
    """What blind verdicts say of a certificate's runs. Only runs drawn for verification, which all have one chance."""

    certificate = models.OneToOneField(Certificate, on_delete=models.CASCADE, related_name="count")
    runs = models.PositiveIntegerField("ended runs under it", default=0)
    verified = models.PositiveIntegerField("drawn for verification and answered blind", default=0)
    wrong = models.PositiveIntegerField("of these, contradicted", default=0)
    missing = models.PositiveIntegerField("drawn for verification and not answered", default=0)

    def __str__(self) -> str:
        return f"{self.wrong} of {self.verified}"
