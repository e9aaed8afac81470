from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('triage', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='prediction',
            name='new_articles',
            field=models.JSONField(default=list, verbose_name='articles without tickets, by their texts: [{"label", "likeness", "in_front", "source": "text"}]'),
        ),
        migrations.AlterField(
            model_name='prediction',
            name='matches',
            field=models.JSONField(verbose_name='what tickets taught, best first: [{"label", "probability", "source": "labels"}]'),
        ),
    ]
