"""What may be paid with, and where? Credentials that gateways issue are kept here; methods are blocked and the block lifted."""

from __future__ import annotations

import calendar
import hashlib
from datetime import date, datetime

from django.db import transaction

from payments.errors import InvalidInput, NotAllowedNow, NotFound
from payments.gateways.base import CardShown, Issued
from payments.models import Approval, Credential, MethodBlock, Operation, Payment, PaymentMethod
from payments.services.accounts import adapter_of
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from payments.states import OperationState

BLOCK = "payments.block_method"
_SHORTEST_REASON = 5


# --- credentials ------------------------------------------------------------------------------------------------------


def keep_issued(operation_id: int, issued: Issued, now: datetime) -> None:
    """This function will keep what a gateway's answer gave for later calls with the operation's payment method.

    A stored credential is never replaced: a later answer without one, or with another one, leaves it. What is known
    of the card stays as it is; only what is missing is filled in.
    Idempotent: the same answer twice changes nothing. Writes: credential, payment method.
    """
    operation = Operation.objects.select_related("payment", "gateway_account").get(pk=operation_id)
    with transaction.atomic():
        method = PaymentMethod.objects.select_for_update(no_key=True).get(pk=operation.payment.method_id)
        credential = Credential.objects.filter(method=method, gateway_account=operation.gateway_account).first()
        if credential is None and issued.credential:
            credential = Credential(method=method, gateway_account=operation.gateway_account, used_at=now)
        if credential is not None:
            _keep_credential(credential, issued, now)
        if issued.card is not None:
            _keep_card(method, issued.card, operation.gateway_account.provider)
            _count_by_card(operation, method)


def _keep_credential(credential: Credential, issued: Issued, now: datetime) -> None:
    if issued.credential and not credential.reusable:
        credential.token, credential.customer = issued.credential, issued.customer
        credential.reusable, credential.exchanged_at = True, now
    elif issued.credential == credential.token and not credential.customer:
        credential.customer = issued.customer
    if not credential.network_transaction_id:
        credential.network_transaction_id = issued.network_transaction_id[:64]
    credential.save()


def _keep_card(method: PaymentMethod, card: CardShown, provider: str) -> None:
    digits = card.last_four if len(card.last_four) == 4 and card.last_four.isdigit() else ""
    method.brand = method.brand or card.brand[:20]
    method.last_four = method.last_four or digits
    method.expires_on = method.expires_on or _last_day(card.expires)
    method.fingerprint = method.fingerprint or _fingerprint(provider, card.fingerprint)
    method.save(update_fields=["brand", "last_four", "expires_on", "fingerprint"])


def _count_by_card(operation: Operation, method: PaymentMethod) -> None:
    """Calls sent before anybody had told the card were counted by the method alone; now they count by the card."""
    alone = f"pm:{method.public_id}"
    if method.fingerprint and operation.fingerprint == alone:
        declined = Operation.objects.filter(fingerprint=alone, state=OperationState.DECLINED)
        declined.update(fingerprint=method.fingerprint)
        Operation.objects.filter(pk=operation.pk, fingerprint=alone).update(fingerprint=method.fingerprint)


def _last_day(expires: tuple[int, int] | None) -> date | None:
    """A card is good to the end of its month."""
    if expires is None or not (1 <= expires[1] <= 12 and 2000 <= expires[0] <= 9999):
        return None
    year, month = expires
    return date(year, month, calendar.monthrange(year, month)[1])


def _fingerprint(provider: str, told: str) -> str:
    """The gateway's own, kept apart from other gateways': each makes them its own way."""
    if not told:
        return ""
    whole = f"{provider}:{told}"
    return whole if len(whole) <= 64 else hashlib.sha256(whole.encode()).hexdigest()


def stored_flags(payment: Payment, credential: Credential) -> dict[str, object]:
    """The fields of a collecting Command that say how the credential is used, by the networks' rules.

    The first use of a single-use token stores it, where the gateway can; later ones refer to the first. Only the
    payment's own mandate makes a charge the merchant's.
    """
    can_store = adapter_of(credential.gateway_account).capabilities.issues_reusable
    store = can_store and not credential.reusable
    return {
        "reusable": credential.reusable,
        "store": store,
        "initiated_by": payment.initiated_by,
        "stored_credential": "used" if credential.reusable else "stored" if store else "",
        "network_transaction_id": credential.network_transaction_id if credential.reusable else "",
        "customer": credential.customer if credential.reusable else "",
    }


def why_unusable(method: PaymentMethod, gateway: str = "") -> str:
    """Why no gateway account, or not the one with this slug, can be asked with the method any more; empty: one can."""
    credentials = list(method.credentials.select_related("gateway_account"))
    if gateway:
        credentials = [c for c in credentials if c.gateway_account.slug == gateway]
    if any(credential.usable for credential in credentials):
        return ""
    where = f"Gateway account {gateway} holds" if gateway else "Gateway accounts hold"
    if not credentials:
        return f"{where} no credential for it."
    return f"{where} no stored credential for it, and its single-use token is spent."


# --- blocks -----------------------------------------------------------------------------------------------------------


def why_blocked(method: PaymentMethod) -> str:
    """Why the method is refused everywhere; empty: it is not. The same card under another method counts as well."""
    if method.blocked_at is not None:
        return f"It is blocked since {method.blocked_at:%d %b %Y}: {method.blocked_because}"
    other = _blocked_twin(method)
    return f"The same card is blocked as {other.public_id}: {other.blocked_because}" if other else ""


def _blocked_twin(method: PaymentMethod) -> PaymentMethod | None:
    if not method.fingerprint:
        return None
    twins = PaymentMethod.objects.filter(fingerprint=method.fingerprint, blocked_at__isnull=False)
    return twins.exclude(pk=method.pk).order_by("blocked_at").first()


def record_block(method: PaymentMethod, *, because: str, by: str, now: datetime) -> None:
    """This function will block a method, under its lock. `by` empty: a gateway's answer did.

    Idempotent: a blocked one stays as it is. Writes: the method, its history.
    """
    with transaction.atomic():
        row = PaymentMethod.objects.select_for_update(no_key=True).get(pk=method.pk)
        if row.blocked_at is None:
            row.blocked_at, row.blocked_because = now, because[:200]
            row.save(update_fields=["blocked_at", "blocked_because"])
            MethodBlock.objects.create(method=row, blocked_at=now, because=because[:200], blocked_by=by[:100])
    method.blocked_at, method.blocked_because = row.blocked_at, row.blocked_because


def block_method(public_id: str, *, reason: str, actor: Actor, now: datetime) -> PaymentMethod:
    """This function will refuse a method everywhere from now on; payments already sent are followed to their end.

    Raises: NotFound, Forbidden, InvalidInput (reason), NotAllowedNow (blocked already). Writes: as `record_block`.
    """
    actor.require(BLOCK)
    if len(reason.strip()) < _SHORTEST_REASON:
        raise InvalidInput("Blocking needs a reason: what did you see?", field="reason")
    with transaction.atomic():
        method = _find(public_id, lock=True)
        if method.blocked_at is not None:
            raise NotAllowedNow(why_blocked(method))
        record_block(method, because=reason.strip(), by=actor.label, now=now)
        return method


def ask_lift(public_id: str, *, reason: str, actor: Actor, now: datetime) -> Approval:
    """This function will ask a second person to agree that a block is lifted.

    Raises: NotFound, Forbidden, InvalidInput (reason), NotAllowedNow (not blocked), Conflict. Writes: the approval.
    """
    return ask_approval("lift_block", public_id, {}, reason=reason, actor=actor, now=now)


def _find(public_id: str, *, lock: bool = False) -> PaymentMethod:
    rows = PaymentMethod.objects.select_for_update(no_key=True) if lock else PaymentMethod.objects
    method = rows.filter(public_id=public_id).first()
    if method is None:
        raise NotFound(f"There is no payment method {public_id}.")
    return method


def preview_lift(public_id: str) -> list[Line]:
    """What a second person would be shown. Raises: NotFound, NotAllowedNow (not blocked). Writes nothing."""
    method = _find(public_id)
    if method.blocked_at is None:
        raise NotAllowedNow(
            "This payment method is not blocked itself." if why_blocked(method) else "It is not blocked."
        )
    block = method.blocks.filter(lifted_at=None).first()
    by = block.blocked_by if block else ""
    twin = _blocked_twin(method)
    times = method.blocks.count()
    lines = [
        ("Payment method", f"{method} ({method.public_id})"),
        ("Blocked since", f"{method.blocked_at:%d %b %Y %H:%M} UTC"),
        ("Blocked because", method.blocked_because),
        ("Blocked by", by or "an answer of a gateway"),
        ("Blocked how often", "once" if times <= 1 else f"{times} times"),
    ]
    if twin is not None:
        lines.append(("Stays refused", f"the same card is blocked as {twin.public_id} too"))
    return lines


def _show_lift(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    return preview_lift(subject)


def _lift(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    method = _find(subject)
    assert method.blocked_at is not None, "what was shown just now says since when"
    ended = method.blocks.filter(lifted_at=None).update(
        lifted_at=now, lifted_because=approval.reason, asked_by=maker.label[:100], approved_by=checker.label[:100]
    )
    if not ended:  # blocked before its history was kept
        MethodBlock.objects.create(
            method=method,
            blocked_at=method.blocked_at,
            because=method.blocked_because,
            lifted_at=now,
            lifted_because=approval.reason,
            asked_by=maker.label[:100],
            approved_by=checker.label[:100],
        )
    method.blocked_at, method.blocked_because = None, ""
    method.save(update_fields=["blocked_at", "blocked_because"])
    return "The block is lifted: the method is taken again."


def _lock(subject: str, arguments: Arguments) -> None:
    _find(subject, lock=True)


LIFT_BLOCK = Approvable(
    title="Lift the block of a payment method", right=BLOCK, show=_show_lift, execute=_lift, lock=_lock
)
