"""What does each event do to the merchant's balance and to the true books? Balance transactions and movements."""

from __future__ import annotations

from simulator.books import Movement
from simulator.stripe import money, objects
from simulator.stripe.desk import Desk
from simulator.stripe.objects import reference_of
from simulator.stripe.store import Json

AVAILABLE_AFTER_SECONDS = 2 * 86_400


def move(
    desk: Desk,
    kind: str,
    operation: str,
    charge: Json,
    amount_minor: int,
    *,
    about: Json | None = None,
    sent_reference: str = "",
) -> None:
    """Note money that truly moved. `about`: the refund or dispute it moved for, where that is not the charge itself."""
    card = desk.store.cards[charge["payment_method"]]
    own = about or charge
    named_by_itself = about is not None and about["object"] == "refund"
    desk.moved.append(
        Movement(
            kind=kind,
            operation=operation,
            gateway_id=own["id"],
            reference=reference_of(own if named_by_itself else charge),
            operation_reference=sent_reference,
            amount_minor=amount_minor,
            currency=(money.SETTLEMENT if kind == "fee" else charge["currency"]).upper(),
            occurred_at=desk.now,
            card=card.masked,
            token=card.token.removeprefix("stripe_"),
            payer_email=charge["receipt_email"] or "",
            origin="foreign" if charge["payment_intent"] in desk.store.foreign else desk.origin,
            original_gateway_id=charge["id"] if about else "",
            original_reference=reference_of(charge) if about else "",
            releases="authorisation" if kind == "void" else "",
        )
    )


def book_capture(desk: Desk, charge_id: str, amount_minor: int, operation: str) -> Json:
    """The charge with its balance transaction; Stripe's fee goes off at once."""
    charge = desk.store.known(charge_id)
    settled_minor = money.settlement_minor(amount_minor, charge["currency"])
    fee_minor = money.processing_fee_minor(settled_minor)
    line = _line(desk, "charge", charge_id, settled_minor, charge["currency"], charge["description"] or "")
    line = desk.put(objects.with_fee(line, fee_minor, "stripe_fee", "Stripe processing fees"))
    move(desk, "fee", operation, charge, fee_minor)
    return desk.change(charge_id, balance_transaction=line["id"])


def book_refund(desk: Desk, refund: Json) -> str:
    """Id of the balance transaction: the whole amount, no fee, and none given back."""
    gone_minor = -money.settlement_minor(refund["amount"], refund["currency"])
    line = desk.put(_line(desk, "refund", refund["id"], gone_minor, refund["currency"], "REFUND FOR CHARGE"))
    return str(line["id"])


def book_refund_return(desk: Desk, refund: Json) -> str:
    """Id of the balance transaction with which a failed refund comes back."""
    back_minor = money.settlement_minor(refund["amount"], refund["currency"])
    line = desk.put(_line(desk, "refund_failure", refund["id"], back_minor, refund["currency"], "REFUND FAILURE"))
    return str(line["id"])


def book_withdrawal(desk: Desk, dispute: Json, *, with_fee: bool) -> Json:
    """What the issuer takes back, and Stripe's fee for it."""
    charge = desk.store.known(dispute["charge"])
    gone_minor = -money.settlement_minor(dispute["amount"], dispute["currency"])
    line = _line(desk, "adjustment", dispute["id"], gone_minor, dispute["currency"], "Chargeback withdrawal")
    if with_fee:
        line = objects.with_fee(line, money.DISPUTE_FEE_MINOR, "stripe_fee", "Dispute fee")
        move(desk, "fee", "dispute", charge, money.DISPUTE_FEE_MINOR, about=dispute)
    move(desk, "chargeback", "dispute", charge, dispute["amount"], about=dispute)
    return desk.put(line)


def book_reinstatement(desk: Desk, dispute: Json) -> Json:
    """What a won dispute gives back; the fee stays with Stripe."""
    charge = desk.store.known(dispute["charge"])
    back_minor = money.settlement_minor(dispute["amount"], dispute["currency"])
    line = _line(desk, "adjustment", dispute["id"], back_minor, dispute["currency"], "Chargeback reversal")
    move(desk, "chargeback_return", "dispute", charge, dispute["amount"], about=dispute)
    return desk.put(line)


def book_payout(desk: Desk, payout: Json, kind: str, amount_minor: int) -> str:
    """Id of the payout's own line, or of the one with which a failed payout comes back."""
    line = _line(desk, kind, payout["id"], amount_minor, money.SETTLEMENT, "STRIPE PAYOUT")
    return str(desk.put(line | {"status": "available"})["id"])


def _line(desk: Desk, kind: str, source: str, amount_minor: int, currency: str, description: str) -> Json:
    made = objects.balance_transaction(
        desk.store.next_id("txn"),
        kind,
        source,
        amount_minor,
        created=desk.seconds,
        available_on=desk.seconds + AVAILABLE_AFTER_SECONDS,
        description=description,
    )
    return made | {"exchange_rate": money.exchange_rate(currency)}
