"""Which gateway accounts exist, with which clocks and credentials? Credentials are read from the environment when needed
and never stored, logged or shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from payments.errors import Conflict, InvalidInput
from payments.gateways.base import Adapter
from payments.gateways.registry import get_adapter
from payments.models import GatewayAccount
from payments.services.actors import Actor

EDITABLE = (
    "name",
    "enabled",
    "shared",
    "priority",
    "planned_seconds",
    "send_window_seconds",
    "call_seconds",
    "look_up_first_seconds",
    "absence_look_ups",
    "absence_seconds",
    "look_up_limit",
    "expiry_seconds",
    "grace_seconds",
    "hold_warning_seconds",
    "orphan_seconds",
    "settlement_wait_seconds",
)


def adapter_of(account: GatewayAccount) -> Adapter:
    return get_adapter(account.provider)


def credentials_of(account: GatewayAccount) -> Mapping[str, str]:
    """GATEWAY_<SLUG>_<FIELD> of the environment, by lower-case field."""
    read: Callable[[str], dict[str, str]] = settings.GATEWAY_CREDENTIALS
    return read(account.slug)


def missing_credentials(account: GatewayAccount) -> list[str]:
    """Names of the environment variables that an enabled account lacks."""
    have = credentials_of(account)
    prefix = account.slug.upper().replace("-", "_")
    needed = (*adapter_of(account).credential_fields, "BASE_URL")
    # A previous secret exists only while one is rotated.
    needed = tuple(name for name in needed if not name.endswith("_PREVIOUS"))
    return [f"GATEWAY_{prefix}_{name}" for name in needed if not have.get(name.lower())]


def ensure_gateway_account(slug: str, provider: str, name: str, **fields: Any) -> GatewayAccount:
    """Make the account if its slug is new; an existing one is left as operators set it. Idempotent on: slug."""
    get_adapter(provider)
    account, _made = GatewayAccount.objects.get_or_create(
        slug=slug, defaults={"provider": provider, "name": name, **fields}
    )
    return account


def edit_gateway_account(slug: str, changes: Mapping[str, Any], *, version: int, actor: Actor) -> GatewayAccount:
    """This function will change switches and clocks of an account.

    Raises: Forbidden; Conflict if somebody edited it since `version`; InvalidInput naming the field.
    Writes: the account.
    """
    actor.require("payments.edit_gateway_account")
    with transaction.atomic():
        account = GatewayAccount.objects.select_for_update().get(slug=slug)
        if account.version != version:
            raise Conflict(f"{account.name} was changed since you opened it. Look at the new values and try again.")
        for name, value in changes.items():
            if name not in EDITABLE:
                raise InvalidInput(f"{name} can not be edited.", field=name)
            setattr(account, name, value)
        _refuse_unsafe(account)
        account.version += 1
        account.save()
        return account


def _refuse_unsafe(account: GatewayAccount) -> None:
    try:
        account.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidInput(f"{field}: {messages[0]}", field=field) from error
    rule = adapter_of(account).capabilities.absence
    if account.absence_look_ups < rule.lookups:
        raise InvalidInput(f"Absence needs at least {rule.lookups} look-ups at this gateway.", field="absence_look_ups")
    if account.absence_seconds < rule.earliest_seconds:
        raise InvalidInput(
            f"Absence is proven at the earliest {rule.earliest_seconds} seconds after the call.",
            field="absence_seconds",
        )


def enabled_accounts() -> list[GatewayAccount]:
    """Accounts that take new attempts, in the order they are asked."""
    return list(GatewayAccount.objects.filter(enabled=True))
