"""Keeps what was said from being rewritten, and puts the networks' ceilings in (sql/0002_rules.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    replaces = [
        ("payments", "0004_append_only"),
        ("payments", "0011_decline_desk"),
        ("payments", "0015_health_history"),
        ("payments", "0016_rule_history_stays"),
    ]

    dependencies = [("payments", "0001_models")]

    operations = [
        migrations.RunSQL((SQL / "0002_rules.sql").read_text(), (SQL / "0002_rules_undo.sql").read_text()),
    ]
