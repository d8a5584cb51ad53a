"""Bring the tables up to date, as the owner of the tables. The application's role may not: it must not be able to undo
the books' enforcement."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from config.history import stranded

DEFAULT_PRIVILEGES = sql.SQL(
    """ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO {app};
       ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {app};
       GRANT USAGE ON SCHEMA public TO {app}"""
)


class Command(migrate.Command):
    """Django's migrate, on the owner's connection when DATABASE_OWNER_URL is set."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Writes: tables. The connection is handed back as the application's role afterwards.

        Raises: CommandError if the database stands in the middle of a history that is squashed.
        """
        connection = connections[options["database"]]
        if reason := stranded(connection):
            raise CommandError(reason)
        if not settings.OWNER_DATABASE:
            return super().handle(*args, **options)
        before = dict(connection.settings_dict)
        become_owner(connection)
        try:
            return super().handle(*args, **options)
        finally:
            connection.close()
            connection.settings_dict.update(before)


def become_owner(connection: BaseDatabaseWrapper) -> None:
    """Reconnect as the owner and let the application's role use what will be made.

    TRUNCATE is granted on purpose: the triggers then refuse it with advice instead of a bare "permission denied".
    """
    app = connection.settings_dict["USER"]
    owner = settings.OWNER_DATABASE
    connection.close()
    connection.settings_dict.update({key: owner[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "OPTIONS")})
    if app and app != owner["USER"]:
        with connection.cursor() as cursor:  # before django_migrations exists, or nobody but the owner could read it
            cursor.execute(DEFAULT_PRIVILEGES.format(app=sql.Identifier(app)))
