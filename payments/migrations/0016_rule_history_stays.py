"""Keeps the history of decline rules from being rewritten, by the trigger function of the causal log."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("payments", "0015_health_history")]

    operations = [
        migrations.RunSQL(
            "CREATE TRIGGER rule_changes_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_declinerulechange"
            " FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change()",
            "DROP TRIGGER rule_changes_are_append_only ON payments_declinerulechange",
        )
    ]
