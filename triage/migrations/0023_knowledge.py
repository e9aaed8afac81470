import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("triage", "0022_draw_drawn"),
    ]

    operations = [
        migrations.CreateModel(
            name="ArticleWeek",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("article", models.CharField(max_length=60, verbose_name="label")),
                ("week", models.DateField(verbose_name="its Monday, UTC")),
                ("tickets", models.PositiveIntegerField(default=0, verbose_name="where it was put first")),
                (
                    "verdicts",
                    models.PositiveIntegerField(
                        default=0, verbose_name="standing verdicts of that week where it was put first"
                    ),
                ),
                ("agreed", models.PositiveIntegerField(default=0, verbose_name="of these, how many named it")),
                (
                    "confirmed",
                    models.PositiveIntegerField(default=0, verbose_name="standing verdicts of that week that named it"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Gap",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("words", models.CharField(max_length=120)),
                (
                    "terms",
                    models.JSONField(default=list, verbose_name="words that its tickets share and others do not"),
                ),
                ("notes", models.JSONField(default=list)),
                ("size", models.PositiveIntegerField()),
                ("weeks", models.JSONField(default=list)),
                ("first_at", models.DateTimeField(verbose_name="its oldest ticket was received")),
                ("last_at", models.DateTimeField(verbose_name="its newest ticket was received")),
                ("made_at", models.DateTimeField()),
                ("grouped_at", models.DateTimeField(verbose_name="when its tickets were last grouped")),
                ("dismissed_at", models.DateTimeField(null=True)),
                ("dismissed_because", models.CharField(blank=True, max_length=300)),
                ("dismissed_size", models.PositiveIntegerField(default=0, verbose_name="how many tickets it had then")),
            ],
        ),
        migrations.CreateModel(
            name="GapMember",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("place", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Suspect",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text_key", models.CharField(max_length=16)),
                ("given", models.CharField(max_length=60, verbose_name="the label it had")),
                ("likely", models.CharField(max_length=60)),
                ("probability", models.FloatField()),
                ("self_confidence", models.FloatField()),
                ("place", models.PositiveIntegerField(verbose_name="0 is the most suspicious")),
                (
                    "answer",
                    models.CharField(
                        choices=[
                            ("open", "Not looked at yet"),
                            ("keep", "The label is right"),
                            ("change", "Another article"),
                            ("drop", "Not a label"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("answered_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="articlecount",
            name="agreed_90",
            field=models.PositiveIntegerField(default=0, verbose_name="like agreed, of 90 days"),
        ),
        migrations.AddField(
            model_name="articlecount",
            name="confirmed",
            field=models.PositiveIntegerField(
                default=0, verbose_name="standing verdicts of the last 30 days that named it"
            ),
        ),
        migrations.AddField(
            model_name="articlecount",
            name="confirmed_90",
            field=models.PositiveIntegerField(default=0, verbose_name="like confirmed, of 90 days"),
        ),
        migrations.AddField(
            model_name="articlecount",
            name="tickets_90",
            field=models.PositiveIntegerField(default=0, verbose_name="like tickets, of 90 days"),
        ),
        migrations.AddField(
            model_name="articlecount",
            name="verdicts_90",
            field=models.PositiveIntegerField(default=0, verbose_name="like verdicts, of 90 days"),
        ),
        migrations.AddIndex(
            model_name="articlecount",
            index=models.Index(fields=["article", "customer"], name="article_count_label"),
        ),
        migrations.AddField(
            model_name="articleweek",
            name="customer",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="triage.customer"),
        ),
        migrations.AddField(
            model_name="gap",
            name="article",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="gaps",
                to="triage.article",
                verbose_name="written for it",
            ),
        ),
        migrations.AddField(
            model_name="gap",
            name="customer",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="triage.customer"),
        ),
        migrations.AddField(
            model_name="gapmember",
            name="gap",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="members", to="triage.gap"
            ),
        ),
        migrations.AddField(
            model_name="gapmember",
            name="ticket",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="gap_member", to="triage.ticket"
            ),
        ),
        migrations.AddField(
            model_name="suspect",
            name="answered_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="suspect",
            name="customer",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="triage.customer"),
        ),
        migrations.AddField(
            model_name="suspect",
            name="label",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="suspected", to="triage.label"
            ),
        ),
        migrations.AddField(
            model_name="suspect",
            name="made",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="triage.label",
                verbose_name="the label it was changed to",
            ),
        ),
        migrations.AddField(
            model_name="suspect",
            name="release",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="suspects", to="triage.release"
            ),
        ),
        migrations.AddIndex(
            model_name="articleweek",
            index=models.Index(fields=["week"], name="article_week_week"),
        ),
        migrations.AddConstraint(
            model_name="articleweek",
            constraint=models.UniqueConstraint(fields=("customer", "article", "week"), name="article_week_once"),
        ),
        migrations.AddIndex(
            model_name="gap",
            index=models.Index(fields=["customer", "size", "id"], name="gap_by_size"),
        ),
        migrations.AddConstraint(
            model_name="gap",
            constraint=models.CheckConstraint(condition=models.Q(("size__gte", 0)), name="gap_has_a_size"),
        ),
        migrations.AddIndex(
            model_name="gapmember",
            index=models.Index(fields=["gap", "place"], name="gap_member_place"),
        ),
        migrations.AddIndex(
            model_name="suspect",
            index=models.Index(fields=["customer", "answer", "place"], name="suspect_open"),
        ),
        migrations.AddConstraint(
            model_name="suspect",
            constraint=models.CheckConstraint(
                condition=models.Q(("answer__in", ["open", "keep", "change", "drop"])), name="suspect_answer_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="suspect",
            constraint=models.CheckConstraint(
                condition=models.Q(("probability__gte", 0), ("probability__lte", 1)), name="suspect_probability_0_1"
            ),
        ),
        migrations.AddConstraint(
            model_name="suspect",
            constraint=models.CheckConstraint(
                condition=models.Q(("self_confidence__gte", 0), ("self_confidence__lte", 1)),
                name="suspect_self_confidence_0_1",
            ),
        ),
        migrations.AddConstraint(
            model_name="suspect",
            constraint=models.UniqueConstraint(fields=("release", "label"), name="suspect_once_a_release"),
        ),
    ]
