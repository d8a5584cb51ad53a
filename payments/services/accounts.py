"""Which gateway accounts exist, with which clocks and credentials? Credentials are read from the environment when needed
and never stored, logged or shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from payments.errors import Conflict, InvalidInput
from payments.gateways.base import Adapter
from payments.gateways.registry import get_adapter
from payments.models import GatewayAccount, Route
from payments.services.actors import Actor

EDITABLE = (
    "name",
    "enabled",
    "shared",
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
    "breaker_failures",
    "breaker_seconds",
    "max_in_flight",
    "max_per_second",
    "decline_alarm_percent",
    "dispute_alarm_percent",
    "reduced_percent",
    "reduced_floor_percent",
    "most_reductions",
)


@dataclass(frozen=True, slots=True)
class CredentialState:
    """One environment variable of an account: only whether it is set. `needed` False: it may be missing."""

    name: str
    is_set: bool
    needed: bool


@dataclass(frozen=True, slots=True)
class AccountDescription:
    """What the account's adapter can do, what it rests on unverified, and which credentials the process has."""

    operations: tuple[str, ...]
    settlement: str
    answer_is_final: bool
    multi_capture: bool
    refund_before_settlement: bool
    reports_fees: bool
    hold_days: int
    absence_look_ups: int
    absence_seconds: int
    lists_window: bool
    reports: tuple[str, ...]
    confirmed: bool
    assumptions: tuple[str, ...]
    credentials: tuple[CredentialState, ...]


def describe(account: GatewayAccount) -> AccountDescription:
    """Say what people may know of an account beside its row. Values of credentials never leave this module."""
    adapter = adapter_of(account)
    can = adapter.capabilities
    return AccountDescription(
        operations=tuple(sorted(kind.value for kind in can.operations)),
        settlement=can.settlement,
        answer_is_final=can.answer_is_final,
        multi_capture=can.multi_capture,
        refund_before_settlement=can.refund_before_settlement,
        reports_fees=can.reports_fees,
        hold_days=can.hold_days,
        absence_look_ups=can.absence.lookups,
        absence_seconds=can.absence.earliest_seconds,
        lists_window=can.lists_window,
        reports=tuple(sorted(can.reports)),
        confirmed=can.verified,
        assumptions=adapter.assumptions,
        credentials=_credential_states(account),
    )


def is_confirmed(account: GatewayAccount) -> bool:
    """Was the gateway's contract read in its own documentation? Else parts of it are assumed, and people are told."""
    return adapter_of(account).capabilities.verified


def _credential_states(account: GatewayAccount) -> tuple[CredentialState, ...]:
    have = credentials_of(account)
    # A previous secret exists only while one is rotated.
    names = dict.fromkeys((*adapter_of(account).credential_fields, "BASE_URL"))
    return tuple(
        CredentialState(_variable(account, name), bool(have.get(name.lower())), not name.endswith("_PREVIOUS"))
        for name in names
    )


def _variable(account: GatewayAccount, name: str) -> str:
    return f"GATEWAY_{account.slug.upper().replace('-', '_')}_{name}"


def adapter_of(account: GatewayAccount) -> Adapter:
    return get_adapter(account.provider)


def credentials_of(account: GatewayAccount) -> Mapping[str, str]:
    """GATEWAY_<SLUG>_<FIELD> of the environment, by lower-case field."""
    read: Callable[[str], dict[str, str]] = settings.GATEWAY_CREDENTIALS
    return read(account.slug)


def missing_credentials(account: GatewayAccount) -> list[str]:
    """Names of the environment variables that an enabled account lacks."""
    return [one.name for one in _credential_states(account) if one.needed and not one.is_set]


def ensure_gateway_account(slug: str, provider: str, name: str, **fields: Any) -> GatewayAccount:
    """Make the account, with a route of everything to it, if its slug is new; an existing one is left as operators set it.

    A new account proves absence by its adapter's own rule, which operators may make stricter.
    Idempotent on: slug. Writes: the account, its first route.
    """
    rule = get_adapter(provider).capabilities.absence
    if rule.lookups:
        fields = {"absence_look_ups": rule.lookups, "absence_seconds": rule.earliest_seconds, **fields}
    with transaction.atomic():
        account, made = GatewayAccount.objects.get_or_create(
            slug=slug, defaults={"provider": provider, "name": name, **fields}
        )
        if made:
            Route.objects.create(name=f"Everything to {name}", gateway_account=account, priority=account.priority)
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
    for name in ("decline_alarm_percent", "dispute_alarm_percent"):
        if not 0 <= getattr(account, name) <= 100:
            raise InvalidInput("An alarm line stands between 0 and 100 percent.", field=name)
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
