"""Which gateway account is asked, and why? Routes are rows, asked by priority; each account passed over says why in a sentence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from ledger.money import Money
from payments.gateways.base import Command
from payments.models import Credential, GatewayAccount, Payment, Route
from payments.services.accounts import adapter_of, missing_credentials
from payments.services.health import why_not
from payments.services.methods import why_blocked
from payments.states import OperationKind


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen account with its credential, or neither; `why` is one sentence an account looked at, the chosen one last."""

    account: GatewayAccount | None
    credential: Credential | None
    why: tuple[str, ...]
    may_change: bool = False  # nobody can take it now, and one of them could once it is healthy or resumed


def choose_route(
    payment: Payment, *, now: datetime, tried: Collection[int] = (), amount: Money | None = None, peek: bool = False
) -> Choice:
    """The first enabled route, by priority, whose account can take this payment now and holds a credential for its method.

    `tried`: accounts this round has asked already. `amount`: what is to be collected, if not all of it. Call it under the
    payment's lock, right before the attempt is written. Writes: at most the claim to be a half-open breaker's one payment,
    and with `peek`, for a question that may lead to no attempt, nothing.
    """
    amount = amount or payment.money
    blocked = why_blocked(payment.method)
    if blocked:
        return Choice(None, None, (f"The payment method is refused everywhere. {blocked}",))
    credentials = {credential.gateway_account_id: credential for credential in payment.method.credentials.all()}
    why: list[str] = []
    may_change = False
    for account, mismatch in _candidates(payment, amount):
        credential = credentials.get(account.pk)
        refusal = mismatch or ("asked already" if account.pk in tried else "")
        refusal = refusal or _refusal(payment, amount, account, credential)
        if not refusal:
            refusal = why_not(account, payment_id=payment.pk, now=now, peek=peek)
            may_change = may_change or bool(refusal)
        if not refusal:
            if credential is not None:
                credential.gateway_account = account
            return Choice(account, credential, (*why, _chosen(account, first=not why)))
        why.append(f"{account.name}: {refusal.rstrip('.')}.")
    return Choice(None, None, tuple(why) or (_nowhere(payment),), may_change)


def _chosen(account: GatewayAccount, *, first: bool) -> str:
    return f"{account.name}: first that can take it." if first else f"{account.name}: next that can take it."


def _nowhere(payment: Payment) -> str:
    if payment.wanted_gateway:
        return f"No route leads to {payment.wanted_gateway}, and no other gateway may be asked."
    return "No route is set up."


def _candidates(payment: Payment, amount: Money) -> list[tuple[GatewayAccount, str]]:
    """Each account once, where its first fitting route stands; else where its first route stands, with what does not fit."""
    fitting: dict[int, Route] = {}
    unfit: dict[int, tuple[Route, str]] = {}
    for route in Route.objects.select_related("gateway_account").order_by("priority", "id"):
        if payment.wanted_gateway and route.gateway_account.slug != payment.wanted_gateway:
            continue
        mismatch = _mismatch(route, payment, amount)
        if mismatch:
            unfit.setdefault(route.gateway_account_id, (route, mismatch))
        else:
            fitting.setdefault(route.gateway_account_id, route)
    found = [(route, "") for route in fitting.values()]
    found += [told for account_id, told in unfit.items() if account_id not in fitting]
    found.sort(key=lambda told: (told[0].priority, told[0].pk))
    return [(route.gateway_account, mismatch) for route, mismatch in found]


def _mismatch(route: Route, payment: Payment, amount: Money) -> str:
    if not route.enabled:
        return f"its route “{route.name}” is switched off"
    if route.currency and route.currency != amount.currency:
        return f"its route “{route.name}” is for {route.currency}"
    if route.method_kind and route.method_kind != payment.method.kind:
        return f"its route “{route.name}” is for {route.method_kind}"
    if route.min_minor is not None and amount.amount_minor < route.min_minor:
        return f"its route “{route.name}” begins at {Money(route.min_minor, route.currency)}"
    if route.max_minor is not None and amount.amount_minor > route.max_minor:
        return f"its route “{route.name}” ends at {Money(route.max_minor, route.currency)}"
    return ""


def _refusal(payment: Payment, amount: Money, account: GatewayAccount, credential: Credential | None) -> str:
    if not account.enabled:
        return "switched off"
    if account.currencies and amount.currency not in account.currencies:
        return f"takes no {amount.currency}"
    if credential is None:
        return "the payer's method has no credential for it"
    if not credential.usable:
        return "its single-use token is spent"
    if payment.initiated_by == "merchant" and not credential.reusable:
        return "it keeps no stored credential, and the payer is not there"
    missing = missing_credentials(account)
    if missing:
        return f"{missing[0]} is not set"
    kind = OperationKind.SALE if payment.capture_mode == "automatic" else OperationKind.AUTHORISE
    return adapter_of(account).refuses(
        Command(kind, "reference", amount, credential=credential.token, customer=credential.customer)
    )
