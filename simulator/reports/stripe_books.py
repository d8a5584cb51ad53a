"""How does a world stand in Stripe's own books? Balance transactions, what they are for, and payouts, as its API lists them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from simulator.reports.values import Payout, Row
from simulator.reports.world import World
from simulator.stripe import objects
from simulator.stripe.store import Json, Store

_TYPES = {
    "charge": "charge", "refund": "refund", "refund_return": "refund_failure", "chargeback": "adjustment",
    "chargeback_return": "adjustment", "fee": "stripe_fee", "payout": "payout", "reserve_hold": "reserve_transaction",
    "reserve_release": "reserve_transaction", "adjustment": "adjustment",
}  # fmt: skip
_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


def keep_books(world: World, store: Store) -> None:
    """Put a world's Stripe into the store, oldest first, where lists and look-ups find it."""
    fees = {row.key.removesuffix(":fee"): -row.gross for row in world.rows["stripe"] if row.kind == "dispute_fee"}
    charges = {row.gateway_id: row for row in world.rows["stripe"] if row.kind == "charge"}
    for row in sorted(world.rows["stripe"], key=lambda one: (one.at, one.key)):
        if row.kind == "dispute_fee":
            continue
        for value in (*_source(row, charges), _transaction(row, fees.get(row.key, 0))):
            store.put(value, _ALWAYS)
    for payout in sorted((one for one in world.payouts if one.gateway == "stripe"), key=lambda one: one.row.at):
        store.put(_payout(payout), _ALWAYS)
        for item in (*payout.items, payout.row):
            store.pay_out(item.key, payout.row.payout_id)


def _transaction(row: Row, dispute_fee: int) -> Json:
    made = objects.balance_transaction(
        row.key, _TYPES[row.kind], row.gateway_id if row.kind not in ("fee", "adjustment") else "", row.gross,
        created=_seconds(row.at), available_on=_seconds(row.at + timedelta(days=2)), description=row.text,
    )  # fmt: skip
    fee = row.fee + row.tax + dispute_fee
    details = [("stripe_fee", row.fee + dispute_fee), ("tax", row.tax)]
    made |= {
        "fee": fee,
        "fee_details": [{"amount": minor, "currency": "usd", "type": kind} for kind, minor in details if minor],
        "net": row.gross - fee,
        "exchange_rate": row.rate,
    }
    if row.kind == "adjustment":
        made |= {"reporting_category": "other_adjustment", "source": None}
    elif row.kind in ("fee", "reserve_hold", "reserve_release"):
        made |= {"source": None}
    return made


def _source(row: Row, charges: dict[str, Row]) -> Iterator[Json]:
    """What the transaction is for: charges, refunds and disputes, each once."""
    if row.kind not in ("charge", "refund", "chargeback"):
        return
    minor, currency = abs(row.presented or row.gross), (row.presented_in or row.currency).lower()
    common: Json = {"id": row.gateway_id, "amount": minor, "currency": currency, "created": _seconds(row.at)}
    common |= {"metadata": {"our_ref": row.reference} if row.reference else {}, "payment_intent": None}
    common |= {"customer": None, "transfer_group": None}
    if row.kind == "charge":
        brand = {"card": {"brand": row.method}, "type": "card"}
        yield common | {"object": "charge", "amount_captured": minor, "payment_method_details": brand}
    else:
        kind = "refund" if row.kind == "refund" else "dispute"
        assert row.parent_id in charges
        yield common | {"object": kind, "charge": row.parent_id, "reason": None}


def _payout(payout: Payout) -> Json:
    arrival = datetime.combine(payout.arrives, time(), UTC)
    made = objects.payout(payout.row.payout_id, payout.amount, _seconds(payout.row.at), _seconds(arrival))
    return made | {
        "balance_transaction": payout.row.key,
        "reconciliation_status": "completed",
        "status": "paid",
        "trace_id": {"status": "supported", "value": payout.bank_ref},
    }


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
