"""The payer paid too much, or twice: a refund is asked for, and goes its own way with its own checks."""

from __future__ import annotations

from payments.errors import InvalidInput
from payments.services.refunds import request_refund
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    amount = answers.get("amount_minor")
    if not isinstance(amount, int) or amount <= 0:
        raise InvalidInput("How much goes back to the payer?", field="amount_minor")
    refund = request_refund(
        broken.payment_public_id,
        amount_minor=amount,
        reason=f"difference {broken.public_id}",
        actor=by.actor,
        now=by.now,
    )
    return Carried(
        effects=[f"{money_of(broken, amount)} are reserved and go back to the payer of {broken.payment_public_id}."],
        barred_undo=f"Refund {refund.public_id} was asked for: it is stopped on the payment's own page.",
    )


def _fits(broken: Break) -> str:
    if not broken.payment_public_id:
        return "No payment of ours is named."
    if broken.difference_minor:
        return (
            "Our books do not have the money yet. Record what the gateway says first: what is too much waits in a case"
            " of the payment, whose prepared decision gives it back."
        )
    return ""


REFUND_PAYER = Command(
    fix=Fix.REFUND_PAYER,
    label="Refund the payer",
    explanation="What was taken too much goes back, by a refund of the payment.",
    carry_out=_carry_out,
    fits=_fits,
    fields=("amount_minor",),
)
