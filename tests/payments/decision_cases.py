"""The product of the axes that `decide` judges by: every combination once, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product

from ledger.money import Money
from payments.decisions import Decision, decide
from payments.facts import Fact, FactKind, Snapshot
from payments.states import AttemptState, OperationKind, OperationState, PaymentState, Source

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
DUE = Money(1000, "USD")
MONEY = {
    "equal": DUE,
    "less": Money(900, "USD"),
    "more": Money(1100, "USD"),
    "other currency": Money(1000, "EUR"),
}
SUBJECTS = ("current", "earlier", "closed", "none")
NOVELTY = ("new", "known", "restated")
# What calls of ours do; money that disputes and returned refunds move has axes of its own (tests/payments/disputes).
_OPERATION = {
    FactKind.AUTHORISATION: OperationKind.AUTHORISE,
    FactKind.CAPTURE: OperationKind.SALE,
    FactKind.VOID: OperationKind.VOID,
    FactKind.REFUND: None,
}
_CLOSED = {AttemptState.DECLINED, AttemptState.FAILED, AttemptState.VOIDED}


@dataclass(frozen=True)
class Combination:
    """One point of novelty × subject × money × state, for one kind of money and one source."""

    kind: FactKind
    source: Source
    novelty: str
    subject: str
    state: PaymentState
    money: str
    parts: bool = False  # the payment takes parts

    @property
    def fact(self) -> Fact:
        return Fact(self.kind, self.source, AT, gateway_id="9001", reference="cf-1", money=MONEY[self.money])

    @property
    def snapshot(self) -> Snapshot:
        known = {"new": None, "known": MONEY[self.money], "restated": Money(777, "USD")}[self.novelty]
        if self.subject == "none":
            return Snapshot(known_money=known)
        operation = _OPERATION[self.kind]
        return replace(
            _around(self.state),
            accept_partial=self.parts or self.state == PaymentState.PARTIALLY_PAID,
            known_money=known,
            attempt_is_current=self.subject != "earlier",
            other_attempt_holds=self.subject == "earlier" and self.state == PaymentState.AUTHORISED,
            attempt_state=AttemptState.DECLINED if self.subject == "closed" else _attempt_state(self.state),
            operation_kind=operation,
            operation_state=OperationState.UNKNOWN if operation else None,
            asked=DUE if operation else None,
        )

    @property
    def decision(self) -> Decision:
        return decide(self.snapshot, self.fact)

    @property
    def row(self) -> str:
        """One line of the table: the point, and everything the decision does there."""
        d = self.decision
        parts = [
            d.verdict,
            f"payment={d.payment_to}" if d.payment_to else "",
            f"attempt={d.attempt_to}" if d.attempt_to else "",
            f"operation={d.operation_to}" if d.operation_to else "",
            f"posting={d.posting}" if d.posting != "none" else "",
            f"review={d.review}" if d.review else "",
            "late" if d.late else "",
        ]
        point = (self.kind, self.source, self.novelty, self.subject, self.state, self.money, *self._parts)
        return " | ".join(map(str, point)) + " -> " + " ".join(filter(None, parts))

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("takes parts",) if self.parts else ()


def _attempt_state(state: PaymentState) -> AttemptState:
    return {
        PaymentState.PENDING: AttemptState.OPEN,
        PaymentState.AUTHORISED: AttemptState.AUTHORISED,
        PaymentState.FAILED: AttemptState.FAILED,
        PaymentState.CANCELLED: AttemptState.VOIDED,
        PaymentState.EXPIRED: AttemptState.LAPSED,
    }.get(state, AttemptState.CAPTURED)


def _around(state: PaymentState) -> Snapshot:
    """What the books hold around a payment of this state."""
    zero = Money(0, "USD")
    paid = state in {PaymentState.CAPTURED, PaymentState.SETTLED, PaymentState.RECONCILED, PaymentState.REFUNDED}
    captured = DUE if paid else Money(100, "USD") if state == PaymentState.PARTIALLY_PAID else zero
    return Snapshot(
        payment_state=state,
        due=DUE,
        hold=DUE if state == PaymentState.AUTHORISED else None,
        captured=captured,
        refunded=DUE if state == PaymentState.REFUNDED else zero,
    )


def combinations() -> Iterator[Combination]:
    """Every point; for subject "none" the state says nothing and one stands for all."""
    sources = (Source.WEBHOOK, Source.LOOK_UP)
    for kind, source, novelty, subject, state, money in product(
        sorted(_OPERATION), sources, NOVELTY, SUBJECTS, PaymentState, MONEY
    ):
        if subject == "none" and state != PaymentState.INITIATED:
            continue
        yield Combination(kind, source, novelty, subject, state, money)
    yield from takes_parts()


def takes_parts() -> Iterator[Combination]:
    """What comes in new for a payment that takes parts: only there less than due is no question."""
    kinds = (FactKind.AUTHORISATION, FactKind.CAPTURE)
    states = [state for state in PaymentState if state != PaymentState.PARTIALLY_PAID]  # these take parts, all of them
    for kind, source, subject, state, money in product(
        kinds, (Source.WEBHOOK, Source.LOOK_UP), SUBJECTS[:3], states, MONEY
    ):
        yield Combination(kind, source, "new", subject, state, money, parts=True)
