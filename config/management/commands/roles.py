"""Command `roles`: bring the groups to the role matrix, and say which rights are missing. Decides nothing itself."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.services import sync_roles


class Command(BaseCommand):
    help = "Make the groups support, operator, finance, auditor and admin hold exactly the rights of the role matrix."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        report = sync_roles()
        if options["json"]:
            self.stdout.write(json.dumps({"granted": report.granted, "missing": report.missing}))
        else:
            for role, rights in report.granted.items():
                self.stdout.write(f"{role}: {len(rights)} rights")
        if report.missing:
            raise CommandError(f"No model defines {', '.join(report.missing)}: run migrate first.")
