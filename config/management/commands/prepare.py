"""Make a start possible: tables, roles, start-up checks, terms of comparing; for a demo its people and accounts.

The only process of a start that holds the owner's URL; it ends before the first request is served.
"""

import sys
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, SystemCheckError
from django.db import OperationalError
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from config.checks import refuse_unsafe_start
from config.services import prepare_start


class Command(BaseCommand):
    """`manage.py prepare`"""

    help = "Migrate, make roles, run the start-up checks, give accounts their terms; in a demo also make people and accounts."
    requires_system_checks = ()  # they run below, once the tables are there

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
            prepare_start(demo=settings.DEMO, now=timezone.now())
            refuse_unsafe_start()
            current_app.send_task(
                "config.heartbeat", retry=False
            )  # ready as soon as a worker is, not at beat's next round
        except SystemCheckError as refusal:
            self._refuse(str(refusal))
        except OperationalError as trouble:
            self._refuse(f"PostgreSQL at DATABASE_URL can not be used: {str(trouble).strip().splitlines()[0]}")
        except BrokerError as trouble:
            self._refuse(f"Redis at REDIS_URL can not be used: {str(trouble).strip().splitlines()[-1]}")

    def _refuse(self, words: str) -> None:
        self.stderr.write(words)
        sys.exit(1)
