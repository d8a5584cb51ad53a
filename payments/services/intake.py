"""How does a payment enter? Checks what can be checked without a gateway, stores the intent, nudges the worker."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import connection, transaction

from ledger.money import Money, UnknownCurrency, minor_digits
from payments.card_numbers import find_card_number
from payments.errors import CardNumberRefused, DuplicateReference, InvalidInput
from payments.gateways.base import Command
from payments.jobs import ADVANCE_PAYMENT, enqueue
from payments.models import Credential, GatewayAccount, Payer, Payment, PaymentMethod
from payments.services.accounts import adapter_of
from payments.services.actors import Actor
from payments.services.methods import why_blocked, why_unusable
from payments.states import OPEN_OR_PAID_STATES, OperationKind, Waits

RADAR_MINUTES = 30  # same payer, amount and currency within this is flagged as a possible duplicate
DEMO_TOKENS = "tok_"
STORED = "vault:"
REQUEST_ID = (
    "counterfoil_request"  # in metadata; of ours alone, so that nobody can name a request that others will make
)


@dataclass(frozen=True, slots=True)
class PayerRequest:
    id: str = ""
    email: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class MethodRequest:
    """One of: a demo token for every gateway, one credential per gateway account slug, or a stored payment method."""

    type: str
    token: str = ""
    credentials: dict[str, str] = field(default_factory=dict)
    payment_method: str = ""


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A payment intent as any door takes it in; amounts in minor units."""

    amount_minor: int
    currency: str
    reference: str
    method: MethodRequest
    payer: PayerRequest | None = None
    capture: str = "automatic"
    gateway: str = ""
    accept_partial: bool = False
    goods_class: str = "physical"
    return_url: str = ""
    expires_in_seconds: int | None = None
    metadata: dict[str, object] = field(default_factory=dict)
    allow_another: bool = False
    initiated_by: str = "customer"  # merchant: the payer is not there; by a mandate, and with time for retries
    schedule_id: int | None = None
    request_id: str = ""  # a form's one-time id: sending the form twice makes one payment


def create_payment(request: PaymentRequest, *, actor: Actor, now: datetime) -> Payment:
    """This function will store a payment intent; execution follows outside.

    Raises: InvalidInput naming the field, DuplicateReference naming the payment, Forbidden.
    Idempotent on: (reference, request_id) if the caller names one. The API keys its requests and uploads their rows
    instead, and the reference guards both.
    Writes: payer, payment method, credentials, payment.
    """
    actor.require("payments.create_payment")
    _check(request)
    with transaction.atomic():
        lock_reference(request.reference)
        made = _made_before(request)
        if made is not None:
            return made
        if not request.allow_another:
            _refuse_second(request.reference)
        payer = _payer(request.payer)
        account = _wanted_account(request)
        method = _method(request, payer, now)
        payment = Payment(
            reference=request.reference,
            amount_minor=request.amount_minor,
            currency=request.currency,
            payer=payer,
            method=method,
            capture_mode=request.capture,
            wanted_gateway=account.slug if account else "",
            accept_partial=request.accept_partial,
            goods_class=request.goods_class,
            return_url=request.return_url,
            initiated_by=request.initiated_by,
            schedule_id=request.schedule_id,
            token=secrets.token_urlsafe(18),
            metadata=request.metadata | ({REQUEST_ID: request.request_id} if request.request_id else {}),
            waits_for=Waits.WORKER,
            next_check_at=now + timedelta(seconds=account.planned_seconds if account else 60),
            expires_at=now + timedelta(seconds=request.expires_in_seconds or _expiry(account)),
            possible_duplicate_of=_possible_duplicate(payer, request, now),
            created_at=now,
            updated_at=now,
        )
        payment.save()
        enqueue(ADVANCE_PAYMENT, payment.pk)
    return payment


def _check(request: PaymentRequest) -> None:
    if not request.reference.strip():
        raise InvalidInput("A payment needs the merchant's reference.", field="reference")
    _refuse_card_numbers(request)
    if REQUEST_ID in request.metadata:
        raise InvalidInput(f"{REQUEST_ID} is a name of ours: call it something else.", field=f"metadata.{REQUEST_ID}")
    if request.amount_minor <= 0:
        raise InvalidInput("The amount must be more than zero.", field="amount_minor")
    try:
        minor_digits(request.currency)
    except UnknownCurrency as error:
        raise InvalidInput(str(error), field="currency") from error
    if request.method.type != PaymentMethod.Kind.CARD:
        raise InvalidInput(
            f"No gateway account takes {request.method.type} payments yet; card is possible.", field="method.type"
        )


def _refuse_card_numbers(request: PaymentRequest) -> None:
    """The second line behind the doors' own scan: nothing that looks like a card number reaches a table."""
    where = find_card_number(asdict(request), amounts=("amount_minor", "expires_in_seconds"))
    if where:
        raise CardNumberRefused(
            f"{where} holds what looks like a card number. It was not stored; send a gateway's token instead.",
            field=where,
        )


def lock_reference(reference: str) -> None:
    """Two intents of one reference at once: the second waits, then sees the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 17))", [reference])


def _made_before(request: PaymentRequest) -> Payment | None:
    """The payment of the same request, sent again; looked for under the reference's lock."""
    if not request.request_id:
        return None
    same = {"reference": request.reference, f"metadata__{REQUEST_ID}": request.request_id}
    return Payment.objects.filter(**same).first()


def _refuse_second(reference: str) -> None:
    states = [state.value for state in OPEN_OR_PAID_STATES]
    first = Payment.objects.filter(reference=reference, state__in=states).order_by("id").first()
    if first is not None:
        raise DuplicateReference(
            f"Payment {first.public_id} of this reference is {first.state}. Send allow_another to make a second one.",
            field="reference",
            payment_id=first.public_id,
        )


def _payer(request: PayerRequest | None) -> Payer | None:
    if request is None or not (request.id or request.email or request.name):
        return None
    return Payer.objects.create(
        external_id=request.id,
        email=request.email,
        name=request.name,
        fingerprint=payer_fingerprint(request.id, request.email),
    )


def payer_fingerprint(external_id: str, email: str) -> str:
    """The same payer again: a digest of the merchant's id, else of the e-mail; empty if neither is known."""
    known = f"id:{external_id}" if external_id else f"email:{email.strip().lower()}" if email.strip() else ""
    return hashlib.sha256(known.encode()).hexdigest() if known else ""


def _possible_duplicate(payer: Payer | None, request: PaymentRequest, now: datetime) -> Payment | None:
    """The duplicate radar: same payer, amount and currency a short while ago, under another reference."""
    if payer is None or not payer.fingerprint:
        return None
    return (
        Payment.objects.filter(
            payer__fingerprint=payer.fingerprint,
            amount_minor=request.amount_minor,
            currency=request.currency,
            created_at__gte=now - timedelta(minutes=RADAR_MINUTES),
        )
        .order_by("-id")
        .first()
    )


def _wanted_account(request: PaymentRequest) -> GatewayAccount | None:
    if not request.gateway:
        return None
    account = GatewayAccount.objects.filter(slug=request.gateway).first()
    if account is None:
        raise InvalidInput(f"There is no gateway account {request.gateway!r}.", field="gateway")
    money = Money(request.amount_minor, request.currency)
    refusal = adapter_of(account).refuses(Command(OperationKind.SALE, "x", money, credential="x"))
    if refusal:
        raise InvalidInput(refusal, field="currency")
    return account


def _expiry(account: GatewayAccount | None) -> int:
    account = account or GatewayAccount.objects.filter(enabled=True).first()
    return account.expiry_seconds if account else 3600


def _method(request: PaymentRequest, payer: Payer | None, now: datetime) -> PaymentMethod:
    wanted = request.method
    if wanted.payment_method:
        return _stored_method(wanted.payment_method, request.gateway)
    credentials = _credentials(wanted)
    method = PaymentMethod.objects.create(kind=wanted.type, payer=payer)
    Credential.objects.bulk_create(
        Credential(method=method, gateway_account=account, token=token, reusable=_is_stored(account, token))
        for account, token in credentials.items()
    )
    return method


def _is_stored(account: GatewayAccount, token: str) -> bool:
    """A merchant who keeps a gateway's stored credential says so by `vault:`; a demo's tokens work any number of times."""
    demo = not account.live and token.startswith(f"{account.provider}_{DEMO_TOKENS}")
    return demo or token.startswith(STORED)


def _stored_method(public_id: str, gateway: str) -> PaymentMethod:
    """The method, if it can still be paid with. `gateway`: the one account that was wanted, if any."""
    method = PaymentMethod.objects.filter(public_id=public_id).first()
    if method is None:
        raise InvalidInput(f"There is no payment method {public_id}.", field="method.payment_method")
    refused = why_blocked(method) or why_unusable(method, gateway)
    if refused:
        raise InvalidInput(f"This payment method can not be used. {refused}", field="method.payment_method")
    return method


def _credentials(wanted: MethodRequest) -> dict[GatewayAccount, str]:
    """One credential per gateway account. A demo token is expanded for every account that is not live."""
    accounts = {account.slug: account for account in GatewayAccount.objects.all()}
    if wanted.credentials:
        unknown = sorted(set(wanted.credentials) - set(accounts))
        if unknown:
            raise InvalidInput(f"There is no gateway account {unknown[0]!r}.", field=f"method.credentials.{unknown[0]}")
        found = {accounts[slug]: token for slug, token in wanted.credentials.items() if token}
        for account, token in found.items():
            _refuse_unreadable(token, f"method.credentials.{account.slug}")
    elif wanted.token.startswith(DEMO_TOKENS):
        found = {a: f"{a.provider}_{wanted.token}" for a in accounts.values() if not a.live}
    elif wanted.token and len(accounts) == 1:
        _refuse_unreadable(wanted.token, "method.token")
        found = {next(iter(accounts.values())): wanted.token}
    else:
        found = {}
    if not found:
        raise InvalidInput(
            "The method carries no credential that a gateway account of ours could use.",
            field="method.token" if wanted.token else "method.credentials",
        )
    return found


def _refuse_unreadable(token: str, field: str) -> None:
    """A gateway's credential has signs that can be seen, and no blanks; "vault:" alone names nothing that is stored."""
    if not token.isprintable() or " " in token or not token.removeprefix(STORED):
        raise InvalidInput(f"{field}: this is no credential that a gateway issues.", field=field)
