"""How far an amount is reduced after a refusal; who may accept short; use of a limit is counted by the person's number."""

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models

_PERCENT = (MinValueValidator(1), MaxValueValidator(99))


def count_by_number(apps: Any, schema_editor: Any) -> None:
    """Use counted by user name goes on under the number; what only an API token used keeps its name."""
    user_app, user_model = settings.AUTH_USER_MODEL.split(".")
    users, uses = apps.get_model(user_app, user_model), apps.get_model("payments", "LimitUse")
    for name, number in users.objects.values_list("username", "pk").iterator():
        uses.objects.filter(person=name).update(person=f"user:{number}")


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("payments", "0020_payout"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="payment",
            options={
                "permissions": (
                    ("create_payment", "Can create payments"),
                    ("capture_payment", "Can capture payments"),
                    ("cancel_payment", "Can cancel payments"),
                    ("refund_payment", "Can refund payments"),
                    ("retry_payment", "Can try declined payments again and cancel planned retries"),
                    ("accept_short", "Can accept less than is due as full payment"),
                    ("ask_gateway", "Can ask the gateway about a payment"),
                )
            },
        ),
        migrations.AddField(
            model_name="gatewayaccount",
            name="reduced_percent",
            field=models.PositiveSmallIntegerField(
                default=50, help_text="Of what was refused, so much is asked for next.", validators=[*_PERCENT]
            ),
        ),
        migrations.AddField(
            model_name="gatewayaccount",
            name="reduced_floor_percent",
            field=models.PositiveSmallIntegerField(
                default=10, help_text="Never less than this of what is due.", validators=[*_PERCENT]
            ),
        ),
        migrations.AddField(
            model_name="gatewayaccount",
            name="most_reductions",
            field=models.PositiveSmallIntegerField(
                default=2, help_text="Reduced tries for the same rest. 0: the amount is never reduced."
            ),
        ),
        migrations.AlterField(
            model_name="limituse",
            name="person",
            field=models.CharField(
                help_text="user:<number>, which outlives a new name; or an API token's.", max_length=100
            ),
        ),
        migrations.RunPython(count_by_number, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="operation",
            name="request",
            field=models.JSONField(
                help_text="The frozen command. It holds the payment token it was sent with; no key of ours, no card number."
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="accept_partial",
            field=models.BooleanField(
                default=False,
                help_text="A part may come in alone; the rest is collected, accepted short or the part goes back.",
            ),
        ),
        migrations.AlterField(
            model_name="review",
            name="kind",
            field=models.CharField(
                choices=[
                    ("captured_after_cancel", "captured after cancel"),
                    ("captured_after_refund", "captured after refund"),
                    ("captured_after_expiry", "captured after expiry"),
                    ("late_success_sibling_paid", "late success sibling paid"),
                    ("second_capture", "second capture"),
                    ("amount_mismatch", "amount mismatch"),
                    ("currency_mismatch", "currency mismatch"),
                    ("orphan", "orphan"),
                    ("refund_beyond_cap", "refund beyond cap"),
                    ("late_authorisation", "late authorisation"),
                    ("lookup_exhausted", "lookup exhausted"),
                    ("duplicate_of_other_payment", "duplicate of other payment"),
                    ("capture_failed", "capture failed"),
                    ("void_failed", "void failed"),
                    ("refund_failed", "refund failed"),
                    ("refund_overdue", "refund overdue"),
                    ("hold_ending", "hold ending"),
                    ("test_mode_money", "test mode money"),
                    ("dispute", "dispute"),
                    ("dispute_lost", "dispute lost"),
                    ("refund_returned", "refund returned"),
                    ("payment_stopped", "payment stopped"),
                    ("close_failed", "close failed"),
                    ("part_to_return", "part to return"),
                ],
                max_length=32,
            ),
        ),
    ]
