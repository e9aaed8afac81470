"""The order of the queue as a column, what groups tickets that read alike, and filters that people save."""

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q, Value

import triage.models.fields

OPEN = ("needs_review", "waiting_approval")


def group_by_text(apps, schema_editor):
    """What waits already is grouped where its whole text is the same."""
    apps.get_model("triage", "Ticket").objects.filter(status__in=OPEN).update(alike=F("text_hash"))


class Migration(migrations.Migration):

    dependencies = [
        ("triage", "0015_counts"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedFilter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                ("query", models.JSONField(verbose_name="names and values of the queue's address")),
                ("position", models.IntegerField(default=0, verbose_name="lower comes first")),
                (
                    "person",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("person", "name"), name="saved_filter_once")],
            },
        ),
        migrations.RemoveIndex(model_name="ticket", name="ticket_queue"),
        migrations.AddField(
            model_name="ticket",
            name="alike",
            field=models.CharField(
                blank=True, default="", max_length=64, verbose_name="SHA-256 of the masked text, empty until it is classified"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="ticket",
            name="spoken",
            field=models.CharField(
                blank=True, default="", max_length=16, verbose_name="language as recognised in the text"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="ticket",
            name="turn",
            field=models.PositiveSmallIntegerField(
                default=500, verbose_name="0..999: the less, the more its answer is worth"
            ),
        ),
        migrations.RunPython(group_by_text, migrations.RunPython.noop, elidable=True),
        migrations.AddField(
            model_name="ticket",
            name="place",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.expressions.CombinedExpression(
                    django.db.models.expressions.CombinedExpression(
                        django.db.models.functions.comparison.Coalesce(
                            triage.models.fields.QuarterHours("due_at"), Value(2147483648)
                        ),
                        "*",
                        Value(1000),
                    ),
                    "+",
                    models.F("turn"),
                ),
                output_field=models.BigIntegerField(),
                verbose_name="in the desk's queue: due first, then turn",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(condition=Q(status__in=OPEN), fields=["place", "id"], name="ticket_open"),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(condition=Q(status__in=OPEN), fields=["customer", "place", "id"], name="ticket_queue"),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                condition=Q(status="needs_review"), fields=["customer", "alike", "place", "id"], name="ticket_alike"
            ),
        ),
    ]
