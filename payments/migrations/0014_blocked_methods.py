"""Blocked payment methods are listed by an index of their own: they are few among many."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0013_retry_right")]

    operations = [
        migrations.AddIndex(
            model_name="paymentmethod",
            index=models.Index(
                condition=models.Q(("blocked_at__isnull", False)), fields=["-id"], name="method_blocked"
            ),
        ),
    ]
