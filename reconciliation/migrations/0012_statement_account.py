"""Keeps whose statement it is, as the source says: a file of another account is refused."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("reconciliation", "0011_matches_without_checks"),)

    operations = (
        migrations.AddField(
            model_name="statement",
            name="told_account",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Whose it is, as the source says: an IBAN or the bank's own number.",
                max_length=64,
            ),
            preserve_default=False,
        ),
    )
