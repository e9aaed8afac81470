"""What a person keeps for their own desk."""

from django.db import models

from triage.models.person import Person


class SavedFilter(models.Model):
    """A narrowed queue under a name. The first by `position` is what the queue opens with."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    name = models.CharField(max_length=60)
    query = models.JSONField("names and values of the queue's address")
    position = models.IntegerField("lower comes first", default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "name"], name="saved_filter_once")]

    def __str__(self) -> str:
        return self.name
