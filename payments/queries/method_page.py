"""What can still be done with a payment method, and what does its page show? Credentials by state only, never themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from console.values import Amount, Chip, KeyValue, Link, Shown, Tone
from payments.models import Credential, MethodBlock, Payment, PaymentMethod
from payments.states import AWAITING_STATES, PaymentState

CREDENTIAL_COLUMNS = ("Gateway account", "Credential", "First sent", "Became stored", "Network's reference")
BLOCK_COLUMNS = ("Blocked", "By", "Because", "Lifted", "Asked and agreed by", "Because")
PAYMENT_COLUMNS = ("Payment", "Reference", "Amount", "State", "Made")
_MOST_PAYMENTS = 20
_MAY_TRY = AWAITING_STATES | {PaymentState.INITIATED, PaymentState.VALIDATED, PaymentState.FAILED}
_STORED = Chip("stored", Tone.GOOD, "key", "It can be charged again.")
_UNUSED = Chip("single-use, not used yet", Tone.INFO, "confirmation_number", "Good for one call.")
_SPENT = Chip("single-use, spent", Tone.QUIET, "do_not_disturb_on", "It was sent once; the gateway takes it no more.")
_BLOCKED = Chip("blocked", Tone.BAD, "block")
_ACCEPTED = Chip("accepted", Tone.GOOD, "check_circle", "New payments with it are accepted.")
_SPENT_METHOD = Chip("spent", Tone.QUIET, "do_not_disturb_on", "No gateway could be asked with it any more.")


@dataclass(frozen=True, slots=True)
class MethodPage:
    """Everything the page of one method shows, but what may be done."""

    chip: Chip
    prospects: str
    facts: tuple[KeyValue, ...]
    credentials: tuple[tuple[Shown, ...], ...]
    blocks: tuple[tuple[Shown, ...], ...]
    payments: tuple[tuple[Shown, ...], ...]


def prospects(credentials: Sequence[Credential]) -> str:
    """Can a declined payment be tried again, and elsewhere? In a sentence. Each account's row has to be loaded."""
    usable = [c.gateway_account.name for c in credentials if c.usable]
    spent = [c.gateway_account.name for c in credentials if not c.usable]
    if not credentials:
        return "No retry and no failover: no gateway account holds a credential."
    if not usable:
        held = " and ".join(spent)
        return (
            f"No retry and no failover: the single-use token of {held} is spent, and no stored credential was issued."
        )
    if len(usable) == 1:
        rest = f"; the single-use token of {' and '.join(spent)} is spent" if spent else ""
        return f"No failover: only {usable[0]} can be asked{rest}."
    return f"{', '.join(usable[:-1])} and {usable[-1]} can be asked."


def payment_hint(payment: Payment) -> str:
    """What a payment's page says beside its method: blocked, or that no other try is possible while one may still come."""
    method = payment.method
    if method.blocked_at is not None:
        return f"Blocked, at no gateway taken: {method.blocked_because}"
    if PaymentState(payment.state) not in _MAY_TRY:
        return ""
    credentials = list(method.credentials.select_related("gateway_account").order_by("gateway_account__priority"))
    return "" if sum(credential.usable for credential in credentials) > 1 else prospects(credentials)


def method_chip(method: PaymentMethod, *, blocked: str = "") -> Chip:
    """May it be paid with? `blocked`: the sentence why not, if it is known to be refused."""
    if blocked or method.blocked_at is not None:
        return Chip(_BLOCKED.text, _BLOCKED.tone, _BLOCKED.icon, blocked or method.blocked_because)
    return _ACCEPTED if any(c.usable for c in method.credentials.all()) else _SPENT_METHOD


def credential_chip(credential: Credential) -> Chip:
    """In which state is one credential?"""
    if credential.reusable:
        return _STORED
    return _UNUSED if credential.usable else _SPENT


def method_page(method: PaymentMethod, *, payer: str, blocked: str) -> MethodPage:
    """Build the page out of the method's rows. `payer` names the payer as far as people may read it."""
    credentials = list(method.credentials.select_related("gateway_account").order_by("gateway_account__priority"))
    payments = method.payments.order_by("-id")[:_MOST_PAYMENTS]
    return MethodPage(
        chip=method_chip(method, blocked=blocked),
        prospects="It is refused everywhere." if blocked else prospects(credentials),
        facts=_facts(method, payer),
        credentials=tuple(_credential_cells(credential) for credential in credentials),
        blocks=tuple(_block_cells(block) for block in method.blocks.all()),
        payments=tuple(_payment_cells(payment) for payment in payments),
    )


def twins_of(method: PaymentMethod) -> list[PaymentMethod]:
    """Other methods of the same card, by the gateway's fingerprint."""
    if not method.fingerprint:
        return []
    return list(PaymentMethod.objects.filter(fingerprint=method.fingerprint).exclude(pk=method.pk).order_by("-id")[:10])


def _facts(method: PaymentMethod, payer: str) -> tuple[KeyValue, ...]:
    twins = twins_of(method)
    also = ", ".join(twin.public_id for twin in twins)
    return (
        KeyValue("Kind", method.get_kind_display().capitalize()),
        KeyValue("Brand", method.brand or None),
        KeyValue("Number", f"•••• {method.last_four}" if method.last_four else None, "Known once a gateway told it."),
        KeyValue("Good until", f"{method.expires_on:%m/%Y}" if method.expires_on else None),
        KeyValue("Payer", payer or None),
        KeyValue("The same card", also or "under no other method" if method.fingerprint else None),
    )


def _credential_cells(credential: Credential) -> tuple[Shown, ...]:
    account = credential.gateway_account
    return (
        Link(account.name, reverse("admin:payments_gatewayaccount_change", args=(account.slug,))),
        credential_chip(credential),
        credential.used_at,
        credential.exchanged_at,
        "known" if credential.network_transaction_id else None,
    )


def _block_cells(block: MethodBlock) -> tuple[Shown, ...]:
    people = f"{block.asked_by}, {block.approved_by}" if block.approved_by else None
    by = block.blocked_by or "an answer of a gateway"
    return (block.blocked_at, by, block.because, block.lifted_at, people, block.lifted_because or None)


def _payment_cells(payment: Payment) -> tuple[Shown, ...]:
    return (
        Link(payment.public_id, reverse("admin:payments_payment_change", args=(payment.public_id,)), code=True),
        payment.reference,
        Amount(payment.amount_minor, payment.currency),
        payment.state.replace("_", " "),
        payment.created_at,
    )
