"""What is counted of each gateway and month, and the index that counting captures needs."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0011_decline_desk")]

    operations = [
        migrations.CreateModel(
            name="GatewayMonth",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField(help_text="Its first day, in the business's time zone.")),
                (
                    "answered",
                    models.PositiveIntegerField(default=0, help_text="Collecting calls that an issuer answered."),
                ),
                ("declined", models.PositiveIntegerField(default=0, help_text="Of these, refused.")),
                ("captured", models.PositiveIntegerField(default=0, help_text="Captures of the month.")),
                (
                    "disputed",
                    models.PositiveIntegerField(
                        default=0, help_text="Disputes opened in the month, inquiries left out."
                    ),
                ),
                ("counted_at", models.DateTimeField()),
                (
                    "gateway_account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="months",
                        to="payments.gatewayaccount",
                    ),
                ),
            ],
            options={
                "ordering": ("-month",),
                "constraints": [
                    models.UniqueConstraint(fields=("gateway_account", "month"), name="one_row_per_gateway_month")
                ],
            },
        ),
        migrations.AlterField(
            model_name="incident",
            name="kind",
            field=models.CharField(
                choices=[
                    ("look_ups_unanswered", "look-ups get no answer"),
                    ("bad_signatures", "a run of refused webhook signatures"),
                    ("batch_failed", "the gateway says a settlement batch failed"),
                    ("breaker_open", "calls get no answer, new payments go elsewhere"),
                    ("decline_ratio", "more declines than the alarm line allows"),
                    ("dispute_ratio", "more disputes than the alarm line allows"),
                ],
                max_length=24,
            ),
        ),
        migrations.AddIndex(
            model_name="movement",
            index=models.Index(
                condition=models.Q(("kind", "capture")),
                fields=["gateway_account", "occurred_at"],
                name="captures_by_month",
            ),
        ),
    ]
