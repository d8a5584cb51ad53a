"""Adds the index of payments that wait for a payer, a retry or a switch: a few out of millions."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0018_priority_words")]

    operations = [
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                fields=["waits_for", "-id"],
                name="payment_held_up",
                condition=models.Q(waits_for__in=["payer", "retry", "switch"]),
            ),
        )
    ]
