"""Which gateway account is asked, and why? Reads accounts and credentials; decides before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass

from payments.gateways.base import Command
from payments.models import Credential, GatewayAccount, Payment
from payments.services.accounts import adapter_of, missing_credentials
from payments.states import OperationKind


@dataclass(frozen=True, slots=True)
class Route:
    """The chosen account with its credential, or neither; `why` is one sentence an account looked at."""

    account: GatewayAccount | None
    credential: Credential | None
    why: tuple[str, ...]


def choose_route(payment: Payment) -> Route:
    """The first enabled account, by priority, that can take this payment and holds a credential for its method."""
    credentials = {c.gateway_account_id: c for c in payment.method.credentials.all()}
    why: list[str] = []
    for account in GatewayAccount.objects.order_by("priority", "slug"):
        if payment.wanted_gateway and account.slug != payment.wanted_gateway:
            continue
        credential = credentials.get(account.pk)
        refusal = _refusal(payment, account, credential)
        if not refusal:
            return Route(account, credential, (*why, f"{account.name}: first that can take it."))
        why.append(f"{account.name}: {refusal}")
    return Route(None, None, tuple(why) or ("No gateway account is set up.",))


def _refusal(payment: Payment, account: GatewayAccount, credential: Credential | None) -> str:
    if not account.enabled:
        return "switched off."
    if payment.method.blocked_at is not None:
        return "the payment method is blocked."
    if account.currencies and payment.currency not in account.currencies:
        return f"takes no {payment.currency}."
    if credential is None:
        return "the payer's method has no credential for it."
    missing = missing_credentials(account)
    if missing:
        return f"{missing[0]} is not set."
    kind = OperationKind.SALE if payment.capture_mode == "automatic" else OperationKind.AUTHORISE
    return adapter_of(account).refuses(Command(kind, "reference", payment.money, credential=credential.token))
