"""Do payments and the books agree? Proofs that `verify_ledger` runs beside its own; each finding names what and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db.models import Sum

from ledger import queries as ledger
from ledger.queries import Finding
from payments.accounting import DISPUTED_FUNDS, OVERPAYMENTS, PARTIAL_PAYMENTS, SUSPENSE
from payments.models import Dispute, Movement, Payment, Review
from payments.states import FINAL_STATES, OPEN_DISPUTE_STATES, DisputeState, MovementKind, PaymentState, ReviewState

_CHUNK = 5_000
_CLAIM_SIGN = {MovementKind.CHARGEBACK.value: 1, MovementKind.CHARGEBACK_RETURN.value: -1}


def suspense_findings() -> list[Finding]:
    """Suspense, per gateway and currency, is the sum of the open money reviews that hold it."""
    found: list[Finding] = []
    booked: Counter[tuple[str, str]] = Counter()
    for row in ledger.balances(codes=[SUSPENSE]):
        booked[row.ref.gateway, row.ref.currency] += -row.amount_minor
    reviewed: Counter[tuple[str, str]] = Counter()
    open_reviews = Review.objects.filter(state=ReviewState.OPEN, held_on=SUSPENSE)
    rows = open_reviews.values("gateway_account__slug", "currency").annotate(held_total=Sum("held_minor")).order_by()
    for row_ in rows:
        reviewed[row_["gateway_account__slug"], row_["currency"]] += row_["held_total"]
    for key in sorted(set(booked) | set(reviewed)):
        if booked[key] != reviewed[key]:
            detail = f"suspense holds {booked[key]} minor units, open reviews explain {reviewed[key]}"
            found.append(Finding("suspense_not_reviewed", " ".join(key), detail))
    return found


def completeness_findings() -> list[Finding]:
    """Every movement has its entry, every entry of a movement has its movement, every waiting row has its clock, no payment
    gave back more than it took, nobody is owed less than nothing, and what is held of partial payments is theirs."""
    return [
        *_movements_without_entry(),
        *_entries_without_movement(),
        *_rows_without_clock(),
        *_negative_payments(),
        *_negative_overpayments(),
        *_claims_of_disputes(),
        *_parts_held(),
    ]


def _movements_without_entry() -> Iterator[Finding]:
    keys: list[str] = []
    for key in Movement.objects.values_list("entry_source_key", flat=True).iterator(chunk_size=_CHUNK):
        keys.append(key)
        if len(keys) == _CHUNK:
            yield from _missing(keys)
            keys = []
    yield from _missing(keys)


def _missing(keys: list[str]) -> Iterator[Finding]:
    for key in ledger.missing_source_keys(keys):
        yield Finding("movement_without_entry", key, "no journal entry has the movement's source key")


def _entries_without_movement() -> Iterator[Finding]:
    keys: list[str] = []
    for key in ledger.source_keys_starting_with("movement:"):
        keys.append(key)
        if len(keys) == _CHUNK:
            yield from _unmoved(keys)
            keys = []
    yield from _unmoved(keys)


def _unmoved(keys: list[str]) -> Iterator[Finding]:
    known = set(Movement.objects.filter(entry_source_key__in=keys).values_list("entry_source_key", flat=True))
    for key in keys:
        if key not in known:
            yield Finding("entry_without_movement", key, "no movement names this entry")


def _rows_without_clock() -> Iterator[Finding]:
    final = [state.value for state in FINAL_STATES]
    for payment in Payment.objects.exclude(state__in=final).filter(next_check_at=None)[:_CHUNK]:
        yield Finding("payment_without_clock", payment.public_id, f"{payment.state}, and nothing will look at it again")
    waiting = [state.value for state in OPEN_DISPUTE_STATES]
    for dispute in Dispute.objects.filter(state__in=waiting, next_check_at=None)[:_CHUNK]:
        yield Finding("dispute_without_clock", dispute.public_id, f"{dispute.state}, and nothing will look at it again")


def _negative_payments() -> Iterator[Finding]:
    """captured − given back ≥ 0 for each payment, in its own currency."""
    sums: dict[int, int] = {}
    rows = Movement.objects.filter(counts=True).exclude(payment=None)
    for payment_id, kind, captured_back, amount in rows.values_list(
        "payment_id", "kind", "of_captured_money", "amount_minor"
    ).iterator(chunk_size=_CHUNK):
        sign = {"capture": 1, "refund": -1, "refund_return": 1, "void": -1 if captured_back else 0}.get(kind, 0)
        sums[payment_id] = sums.get(payment_id, 0) + sign * amount
    for payment_id, left in sums.items():
        if left < 0:
            yield Finding("payment_below_zero", str(payment_id), f"{left} minor units: more went back than came in")


def _negative_overpayments() -> list[Finding]:
    """Money owed on 2040 is never negative: more would have been given back than was owed."""
    return [
        Finding("overpayment_below_zero", str(row.ref), f"{-row.amount_minor} minor units")
        for row in ledger.balances(codes=[OVERPAYMENTS])
        if -row.amount_minor < 0
    ]


def _claims_of_disputes() -> Iterator[Finding]:
    """Disputed funds (1130), per gateway and currency, are what disputes that are not lost have taken and not given back."""
    booked: Counter[tuple[str, str]] = Counter()
    for row in ledger.balances(codes=[DISPUTED_FUNDS]):
        booked[row.ref.gateway, row.ref.currency] += row.amount_minor
    taken: Counter[tuple[str, str]] = Counter()
    money = Movement.objects.filter(kind__in=list(_CLAIM_SIGN)).exclude(dispute__state=DisputeState.LOST)
    rows = money.values("gateway_account__slug", "currency", "kind").annotate(total=Sum("amount_minor")).order_by()
    for row_ in rows:
        taken[row_["gateway_account__slug"], row_["currency"]] += _CLAIM_SIGN[row_["kind"]] * row_["total"]
    for key in sorted(set(booked) | set(taken)):
        if booked[key] != taken[key]:
            detail = f"the claim stands at {booked[key]} minor units, open disputes have taken {taken[key]}"
            yield Finding("claim_without_dispute", " ".join(key), detail)


def _parts_held() -> Iterator[Finding]:
    """Partial payments held (2025), per currency, are what stands of payments that are partially paid: what came in less what
    went back and what lost disputes took."""
    booked: Counter[str] = Counter()
    for row in ledger.balances(codes=[PARTIAL_PAYMENTS]):
        booked[row.ref.currency] += -row.amount_minor
    stands: Counter[str] = Counter()
    for payment in Payment.objects.filter(state=PaymentState.PARTIALLY_PAID).iterator(chunk_size=_CHUNK):
        own = payment.movements.filter(counts=True, currency=payment.currency)
        for kind, amount, captured_back, lost in own.values_list(
            "kind", "amount_minor", "of_captured_money", "dispute__state"
        ):
            stands[payment.currency] += _part_sign(kind, lost, back=captured_back) * amount
    for currency in sorted(set(booked) | set(stands)):
        if booked[currency] != stands[currency]:
            detail = f"{booked[currency]} minor units are held, partially paid payments explain {stands[currency]}"
            yield Finding("part_without_payment", currency, detail)


def _part_sign(kind: str, dispute: str | None, *, back: bool) -> int:
    if kind in _CLAIM_SIGN:
        return -_CLAIM_SIGN[kind] if dispute == DisputeState.LOST else 0
    return {"capture": 1, "refund": -1, "refund_return": 1, "void": -1 if back else 0}.get(kind, 0)
