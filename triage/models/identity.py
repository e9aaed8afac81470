"""What proves who somebody is, besides a password: an OpenID provider's word, and a second factor of their own."""

from django.db import models

from triage.models.fields import EncryptedTextField
from triage.models.person import Person


class Identity(models.Model):
    """Somebody as an OpenID provider knows them. The pair never changes hands; names and addresses may."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255)
    linked_at = models.DateTimeField()
    used_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class SecondFactor(models.Model):
    """A secret in the person's authenticator app (RFC 6238). It counts once a code has confirmed it."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, related_name="second_factor")
    secret = EncryptedTextField("20 random bytes in base32")
    started_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField("the 30 seconds whose code was used last; none before opens", default=0)
    failures = models.PositiveSmallIntegerField("tries since the last right code", default=0)
    blocked_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"second factor of {self.person_id}"


class RecoveryCode(models.Model):
    """Opens once in the place of the authenticator app."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField("HMAC-SHA256 under the installation's key", max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["factor", "digest"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"recovery code of {self.factor_id}"
