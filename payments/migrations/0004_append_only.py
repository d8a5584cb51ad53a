"""Keeps the causal log and what movements say from being rewritten (sql/0004_append_only.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_occurrences")]

    operations = [
        migrations.RunSQL(
            (SQL / "0004_append_only.sql").read_text(), (SQL / "0004_append_only_undo.sql").read_text()
        )
    ]
