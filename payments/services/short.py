"""May less than is due count as all of it? A person says so, with a reason; above a limit a second person agrees first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from payments.errors import InvalidInput, NotAllowedNow, NotFound
from payments.facts import Fact, FactKind
from payments.models import Approval, Payment
from payments.services import limits
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from payments.services.case import Case, lock_payment, nothing_open, part_money, rest_money
from payments.services.commands import Preview
from payments.services.recording import Cause, apply_fact
from payments.services.refunds import lock_by_public_id
from payments.services.snapshots import snapshot_of
from payments.states import PaymentState, Source

RIGHT = "payments.accept_short"
_ACTION = "accept_short"
_SHORTEST_REASON = 5


@dataclass(frozen=True, slots=True)
class Accepted:
    """The payment; with an approval it waits for a second person, `because` says why."""

    payment: Payment
    approval: Approval | None = None
    because: str = ""


def accept_short(payment_id: str, *, reason: str, actor: Actor, now: datetime, version: int | None = None) -> Accepted:
    """This function will take what has come in as full payment, or ask a second person to agree to that.

    Raises: NotFound, Forbidden, InvalidInput (reason), Conflict, NotAllowedNow (not partially paid, a rest under way, a case
    open). Idempotent on: the payment's version. Writes: payment, entry (what is missing to rounding and tolerance),
    transition, the use of the limit; or the approval.
    """
    actor.require(RIGHT)
    if len(reason.strip()) < _SHORTEST_REASON:
        raise InvalidInput("Accepting less needs a reason.", field="reason")
    with transaction.atomic():
        case = lock_by_public_id(payment_id, version)
        payment = case.payment
        assert payment is not None
        refusal = why_not_short(case)
        if refusal:
            raise NotAllowedNow(refusal)
        missing = rest_money(case)
        because = limits.spend(_ACTION, {missing.currency: missing.amount_minor}, actor=actor, now=now)
        if because:
            return Accepted(
                payment, ask_approval(_ACTION, payment_id, {}, reason=reason, actor=actor, now=now), because
            )
        _accept(case, reason, actor, now)
        return Accepted(payment)


def preview_short(payment_id: str, *, actor: Actor, now: datetime) -> Preview:
    """What accepting would do now, and whether it takes a second person; writes nothing. Raises: NotFound."""
    case = _read(payment_id)
    refusal = why_not_short(case)
    if refusal:
        return Preview("Accept short", (), refusal)
    part, missing = part_money(case), rest_money(case)
    because = limits.needs_second_person(_ACTION, {missing.currency: missing.amount_minor}, actor=actor, now=now)
    return Preview(
        "Accept short",
        (
            f"{part} counts as all of it; {missing} is given up.",
            f"Debit partial payments held {part} and rounding and tolerance {missing}, credit sales {part + missing}.",
            f"A second person has to agree first. {because}" if because else "It is done at once.",
        ),
    )


def why_not_short(case: Case) -> str:
    """Why less can not be accepted now; empty: it can."""
    payment = case.payment
    assert payment is not None
    if payment.state != PaymentState.PARTIALLY_PAID:
        return (
            f"The payment is {payment.state.replace('_', ' ')}: only one that is partially paid can be accepted short."
        )
    if payment.cancel_requested_at is not None:
        return "Cancelling has been asked: what had come in goes back."
    if case.reviews:
        return "A case is open about it: decide that first."
    if not nothing_open(case):
        return "The rest is being collected: its end is awaited first."
    return "A dispute over what came in is open: it decides first." if payment.money_in_doubt else ""


def _accept(case: Case, reason: str, actor: Actor, now: datetime) -> None:
    missing = rest_money(case)
    fact = Fact(
        FactKind.SHORT_ACCEPTED,
        Source.OPERATOR,
        now,
        money=missing,
        message=f"Accepted as paid with {missing} missing: {reason.strip()}"[:400],
    )
    apply_fact(case, snapshot_of(case, fact), fact, Cause(actor=actor.label, user_id=actor.user_id), now)


def _read(payment_id: str) -> Case:
    pk = Payment.objects.filter(public_id=payment_id).values_list("pk", flat=True).first()
    if pk is None:
        raise NotFound(f"There is no payment {payment_id}.")
    with transaction.atomic():
        return lock_payment(pk)


# --- the second person ------------------------------------------------------------------------------------------------


def _show(subject: str, arguments: Arguments, now: datetime) -> Sequence[Line]:
    case = _read(subject)
    refusal = why_not_short(case)
    if refusal:
        raise NotAllowedNow(refusal)
    payment, missing = case.payment, rest_money(case)
    assert payment is not None
    return [
        ("Payment", payment.public_id),
        ("Order", payment.reference),
        ("Due", str(payment.money)),
        ("Came in", str(part_money(case))),
        ("Given up", str(missing)),
        ("Pays until", f"{payment.expires_at:%d %b %Y %H:%M} UTC"),
    ]


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    case = lock_by_public_id(subject)
    refusal = why_not_short(case)
    if refusal:
        raise NotAllowedNow(refusal)
    missing = rest_money(case)
    by = Actor(f"{maker.label}, approved by {checker.label}"[:100], maker.user_id)
    _accept(case, approval.reason, by, now)
    return f"Accepted: the payment is paid with {missing} missing."


def _lock(subject: str, arguments: Arguments) -> None:
    lock_by_public_id(subject)


ACCEPT_SHORT = Approvable(title="Accept less than is due", right=RIGHT, show=_show, execute=_execute, lock=_lock)
