"""Hands the rules of the books to PostgreSQL (sql/0002_enforcement.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_books")]

    operations = [
        migrations.RunSQL(
            (SQL / "0002_enforcement.sql").read_text(), (SQL / "0002_enforcement_undo.sql").read_text()
        )
    ]
