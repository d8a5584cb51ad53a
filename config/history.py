"""Can this database follow the migrations there are? One in the middle of a history that was squashed since can not."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


def stranded(connection: BaseDatabaseWrapper) -> str:
    """Why `migrate` must not go on from here, as a sentence; empty: it may. Django itself leaves such an app out unsaid."""
    loader = MigrationLoader(connection, load=False)
    loader.load_disk()
    applied = MigrationRecorder(connection).applied_migrations()
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        missing = [replaced for replaced in migration.replaces if replaced not in applied]
        if missing and len(missing) < len(migration.replaces):
            return (
                f"The database stands before {missing[0][0]}.{missing[0][1]}, which is part of {app}.{name} now: "
                "migrate it with the version that still had that file, or begin with an empty database."
            )
    return ""
