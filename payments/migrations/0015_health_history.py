"""Who paused, stopped and resumed what is kept as it was said: the history of health is appended to, never rewritten."""

from django.db import migrations

TRIGGER = """
CREATE TRIGGER health_events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_healthevent
  FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0014_blocked_methods")]

    operations = [
        migrations.RunSQL(TRIGGER, "DROP TRIGGER health_events_are_append_only ON payments_healthevent;"),
    ]
