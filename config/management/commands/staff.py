"""Make a person who may log in to the admin, with exactly one role."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.roles import Role
from config.services import UnknownRoleError, make_staff


class Command(BaseCommand):
    """`manage.py staff NAME --role ROLE --password P [--json]`"""

    help = "Make a person with a role, or bring an existing one to this role and password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", required=True, help=", ".join(Role))
        parser.add_argument("--password", required=True)
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            person = make_staff(options["name"], options["role"], options["password"])
        except (UnknownRoleError, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        words = {"name": person.get_username(), "role": options["role"]}
        self.stdout.write(json.dumps(words) if options["json"] else f"{words['name']} may log in as {words['role']}.")
