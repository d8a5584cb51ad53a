"""Gives disputes an order to work them in, and keeps which of the gateway's words they rest on."""

import django.utils.timezone
from django.db import migrations, models

OPEN = ["chargeback", "inquiry", "pre_arbitration", "under_review"]


class Migration(migrations.Migration):
    dependencies = [("payments", "0008_edit_limit")]

    operations = [
        migrations.AddField(
            model_name="dispute",
            name="act_by",
            field=models.DateTimeField(
                default=django.utils.timezone.now, help_text="When the evidence is due, or a day after it was opened."
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="dispute",
            name="told_at",
            field=models.DateTimeField(help_text="The gateway's time of the word that its state rests on.", null=True),
        ),
        migrations.AlterField(
            model_name="dispute",
            name="closed_at",
            field=models.DateTimeField(blank=True, help_text="When it was last won or lost.", null=True),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(condition=models.Q(("state__in", OPEN)), fields=["act_by", "id"], name="dispute_queue"),
        ),
    ]
