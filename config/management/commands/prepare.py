"""Make a start possible: tables, roles, start-up checks, and for a demo its people and gateway account.

The only process of a start that holds the owner's URL; it ends before the first request is served.
"""

import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, SystemCheckError

from config.checks import refuse_unsafe_start
from config.services import prepare_people


class Command(BaseCommand):
    """`manage.py prepare`"""

    help = "Migrate, make roles, run the start-up checks; in a demo also make its people and gateway account."
    requires_system_checks = ()  # they run below, once the tables are there

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        prepare_people(demo=settings.DEMO)
        try:
            refuse_unsafe_start()
        except SystemCheckError as refusal:
            self.stderr.write(str(refusal))
            sys.exit(1)
