"""How does a merchant's truth become payments, movements and books? In bulk, and with damage that only an owner of tables can do.

Rows are those that recording a fact leaves: a payment an order, its attempt and calls, a movement a message, an entry each.
Planted here, because no gateway can: movements without entry, money booked twice, entries of nothing, an entry of another sum.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from bench.detecting.labels import Label
from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, credit, debit
from ledger.money import Money
from ledger.services import post_entries
from payments.accounting import Booking, entry_for
from payments.decisions import Posting
from payments.models import Attempt, GatewayAccount, Movement, Operation, Payment, PaymentMethod
from payments.states import AttemptState, OperationKind, OperationState, PaymentState

_POSTINGS = {
    "capture": Posting.CAPTURE, "void": Posting.REFUND_EXTERNAL, "refund": Posting.REFUND_EXTERNAL,
    "refund_return": Posting.SUSPENSE, "chargeback": Posting.CHARGEBACK, "chargeback_return": Posting.CHARGEBACK_RETURN,
    "fee": Posting.DISPUTE_FEE,
}  # fmt: skip
_CHUNK = 1_000
Row = dict[str, Any]


@dataclass
class Damage:
    """What is planted in our own tables, by what it is planted on: a movement's gateway id."""

    unbooked: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    off: dict[str, int] = field(default_factory=dict)
    of_nothing: list[EntryDraft] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)


def damage_of(slug: str, rows: Sequence[Row], apart: set[str], day: date, zone: ZoneInfo, draw: Random) -> Damage:
    """Draws which movements of the day are damaged; those that other labels name are left alone."""
    found, counted = Damage(), Counter(row["order"] for row in rows)
    plain = [
        row for row in rows
        if row["object"] == "movement" and row["kind"] == "capture" and row["heard"] and counted[row["order"]] == 1
        and row["order"] not in apart and datetime.fromisoformat(row["at"]).astimezone(zone).date() == day
    ]  # fmt: skip
    chosen = draw.sample(plain, k=7)
    for row in chosen[: draw.randint(1, 3)]:
        found.unbooked.add(row["gateway_id"])
        found.labels.append(_label("missing_in_ledger", slug, row, row["amount_minor"]))
    for row in chosen[3 : 3 + draw.randint(1, 3)]:
        found.twice.add(row["gateway_id"])
        found.labels.append(_label("duplicate_internal", slug, row, -row["amount_minor"], "#1"))
    for number in range(draw.randint(1, 2)):
        found.of_nothing.append(_entry_of_nothing(slug, number, chosen[0]))
        key, minor = found.of_nothing[-1].source_key, found.of_nothing[-1].postings[0].amount_minor
        found.labels.append(Label("duplicate_internal", slug, f"entry:{key}", minor, -minor, chosen[0]["currency"]))
    if slug == "nmi":
        row, off = chosen[6], draw.randint(1, 5_000)
        found.off[row["gateway_id"]] = off
        currency = row["currency"]
        found.labels.append(Label("balance_drift", slug, f"balance:{currency}", off, -off, currency))
    return found


def _label(kind: str, slug: str, row: Row, between: int, more: str = "") -> Label:
    return Label(kind, slug, f"movement:{row['gateway_id']}:charge{more}", abs(between), between, row["currency"])


def _entry_of_nothing(slug: str, number: int, like: Row) -> EntryDraft:
    money, key = Money(1_000 + number, like["currency"]), f"movement:{slug}:nothing{number}:capture"
    receivable = AccountRef(chart.GATEWAY_RECEIVABLE.code, like["currency"], gateway=slug)
    sales = AccountRef(chart.SALES_CLEARING.code, like["currency"])
    lines = (debit(receivable, money, "nothing"), credit(sales, money, "nothing"))
    return EntryDraft(key, "nothing", datetime.fromisoformat(like["at"]), "an entry of nothing", lines)


def load(account: GatewayAccount, rows: Sequence[Row], damage: Damage, now: datetime) -> int:
    """Everything the merchant has heard of, into the tables; how many movements."""
    orders: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["object"] == "call" or row["heard"]:
            orders[row["order"]].append(row)
    method = PaymentMethod.objects.create(kind="card", brand="visa", last_four="4242")
    with transaction.atomic():
        payments = _payments(orders, method, now)
        attempts = _attempts(account, orders, payments, now)
        movements = _movements(account, orders, payments, attempts, now)
        movements += [_again(one) for one in movements if one.gateway_id in damage.twice]
        Movement.objects.bulk_create(movements, batch_size=_CHUNK)
        booked = [one for one in movements if one.gateway_id not in damage.unbooked]
        drafts = [_entry(account.slug, one, damage.off.get(one.gateway_id, 0)) for one in booked]
        for at in range(0, len(drafts), _CHUNK):
            post_entries(drafts[at : at + _CHUNK], now=now)
        post_entries(damage.of_nothing, now=now)
    return len(movements)


def _payments(orders: dict[str, list[Row]], method: PaymentMethod, now: datetime) -> dict[str, Payment]:
    made = {}
    for order, rows in orders.items():
        taken = any(row["object"] == "movement" and row["kind"] == "capture" for row in rows)
        made[order] = Payment(
            reference=order, amount_minor=rows[0]["amount_minor"], currency=rows[0]["currency"], method=method,
            capture_mode="automatic", state=PaymentState.CAPTURED if taken else PaymentState.FAILED, waits_for="",
            expires_at=now, created_at=now, updated_at=now,
        )  # fmt: skip
    Payment.objects.bulk_create(made.values(), batch_size=_CHUNK)
    return made


def _attempts(
    account: GatewayAccount, orders: dict[str, list[Row]], payments: dict[str, Payment], now: datetime
) -> dict[str, Attempt]:
    made, calls = {}, []
    for order, rows in orders.items():
        first = rows[0]
        state = AttemptState.CAPTURED if first["object"] == "movement" else AttemptState.DECLINED
        made[order] = Attempt(
            payment=payments[order], number=1, gateway_account=account, reference=first["reference"], state=state,
            gateway_id=first.get("gateway_id", ""), amount_minor=first["amount_minor"], created_at=now,
        )  # fmt: skip
    Attempt.objects.bulk_create(made.values(), batch_size=_CHUNK)
    for order, rows in orders.items():
        calls += [
            _call(account, made[order], row["reference"], OperationKind.SALE, row["state"], row, now)
            for row in rows if row["object"] == "call"
        ]  # fmt: skip
    Operation.objects.bulk_create(calls, batch_size=_CHUNK)
    return made


def _call(
    account: GatewayAccount, attempt: Attempt, reference: str, kind: OperationKind, state: str, row: Row, now: datetime
) -> Operation:
    return Operation(
        payment=attempt.payment, attempt=attempt, gateway_account=account, kind=kind, reference=reference, state=state,
        amount_minor=row["amount_minor"], currency=row["currency"], request={}, waits_for="", planned_at=now,
    )  # fmt: skip


def _movements(
    account: GatewayAccount, orders: dict[str, list[Row]], payments: dict[str, Payment], attempts: dict[str, Attempt],
    now: datetime,
) -> list[Movement]:  # fmt: skip
    refunds = {
        row["reference"]: _call(
            account, attempts[order], row["reference"], OperationKind.REFUND, OperationState.SUCCEEDED, row, now
        )
        for order, rows in orders.items() for row in rows if row["object"] == "movement" and row["kind"] == "refund"
    }  # fmt: skip
    Operation.objects.bulk_create(refunds.values(), batch_size=_CHUNK)
    return [
        _movement(account, payments[order], attempts[order], refunds.get(row["reference"]), row, now)
        for order, rows in orders.items() for row in rows if row["object"] == "movement"
    ]  # fmt: skip


def _movement(
    account: GatewayAccount, payment: Payment, attempt: Attempt, refund: Operation | None, row: Row, now: datetime
) -> Movement:
    kind, occurrence = row["kind"], row["occurrence"]
    return Movement(
        gateway_account=account, gateway_id=row["gateway_id"], kind=kind, occurrence=occurrence, payment=payment,
        attempt=attempt, operation=refund if kind == "refund" else None, amount_minor=row["amount_minor"],
        currency=row["currency"], of_captured_money=kind == "void", occurred_at=datetime.fromisoformat(row["at"]),
        posted_at=now, entry_source_key=f"movement:{account.slug}:{row['gateway_id']}:{kind}:{occurrence}",
        settlement_id=row["settlement_id"], settlement_minor=row["settlement_minor"],
        settlement_currency=row["settlement_currency"], exchange_rate=Decimal(row["rate"]) if row["rate"] else None,
    )  # fmt: skip


def _again(one: Movement) -> Movement:
    """The same money, booked a second time."""
    return Movement(
        gateway_account=one.gateway_account, gateway_id=one.gateway_id, kind=one.kind, occurrence=1, payment=one.payment,
        attempt=one.attempt, amount_minor=one.amount_minor, currency=one.currency, occurred_at=one.occurred_at,
        posted_at=one.posted_at, entry_source_key=f"{one.entry_source_key}:again",
    )  # fmt: skip


def _entry(slug: str, movement: Movement, off: int) -> EntryDraft:
    assert movement.payment is not None
    booking = Booking(
        movement.entry_source_key, movement.payment.public_id, "", movement.occurred_at, slug, movement.payment.public_id,
        disputed=movement.gateway_id,
    )  # fmt: skip
    money = Money(movement.amount_minor + off, movement.currency)
    draft = entry_for(_POSTINGS[movement.kind], money, booking)
    assert draft is not None
    return draft


def open_bank(account: str, row: Row, day: date, now: datetime) -> None:
    """What our books say the bank holds when they begin."""
    if not row["amount_minor"]:
        return
    money, key = Money(row["amount_minor"], row["currency"]), f"opening:{account}"
    lines = (
        debit(AccountRef(chart.BANK.code, row["currency"]), money),
        credit(AccountRef(chart.OPENING_BALANCES.code, row["currency"]), money),
    )
    at = datetime.combine(day, datetime.min.time(), ZoneInfo("UTC"))
    with transaction.atomic():
        post_entries([EntryDraft(key, account, at, "opening position", lines)], now=now)
