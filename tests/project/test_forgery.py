"""Can another site send a command in a signed-in person's name? Every POST of the admin, from a browser without our token."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.project.test_rights_walk import (
    ANSWERS,
    COMMANDS,
    World,
    _credentials,
    admin_addresses,
    snapshot,
    world,
    written,
)

__all__ = ["_credentials", "world"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_no_command_is_taken_without_the_forms_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="operator"))
    before = snapshot()

    taken = [
        address.path
        for address in admin_addresses(world)
        if address.name in COMMANDS and client.post(address.path, ANSWERS).status_code != 403
    ]

    assert taken == []
    assert written(before) == []
