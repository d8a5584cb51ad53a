"""Gateways that name the attempt apart from its money: an attempt keeps that name and is found by it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0006_routes_of_accounts")]

    operations = [
        migrations.AddField(
            model_name="attempt",
            name="handle",
            field=models.CharField(
                blank=True,
                help_text="What the gateway calls the attempt, where that is not its transaction.",
                max_length=100,
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("handle", ""), _negated=True),
                fields=["gateway_account", "handle"],
                name="attempt_handle",
            ),
        ),
    ]
