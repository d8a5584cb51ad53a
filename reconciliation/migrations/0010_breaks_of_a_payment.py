"""Which breaks is a payment in? Asked by its public id, as people search."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0009_statement_readings")]

    operations = [
        migrations.AddIndex(
            model_name="break",
            index=models.Index(
                condition=models.Q(("payment_public_id", ""), _negated=True),
                fields=["payment_public_id"],
                name="breaks_of_a_payment",
            ),
        ),
    ]
