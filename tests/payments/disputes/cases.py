"""The product of the axes by which disputes are decided: what is said, what was known, what the payment is. In a fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

from ledger.money import Money
from payments.decisions import Decision, decide
from payments.facts import DisputeKnown, DisputeTold, Fact, FactKind, Snapshot
from payments.states import DisputeState, PaymentState, Source

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
DUE, ZERO = Money(1000, "USD"), Money(0, "USD")
PAYMENTS = ("none", PaymentState.CAPTURED, PaymentState.CHARGED_BACK, PaymentState.REFUNDED)
MONEY = (FactKind.CHARGEBACK, FactKind.CHARGEBACK_RETURN, FactKind.FEE)
STANDING = {"nothing taken": None, "all taken": DUE}


@dataclass(frozen=True)
class Point:
    """One point: a word about the state, or money; `when` is before or after the word that we rest on."""

    said: DisputeState | FactKind
    when: str
    known: DisputeState | None
    standing: str
    payment: str

    @property
    def is_money(self) -> bool:
        """Words and kinds of money bear equal names: "chargeback" is both."""
        return isinstance(self.said, FactKind)

    @property
    def fact(self) -> Fact:
        at = AT + timedelta(hours=1 if self.when == "newer" else -1)
        if isinstance(self.said, FactKind):
            return Fact(self.said, Source.WEBHOOK, at, gateway_id="du_1", original_gateway_id="ch_1", money=DUE)
        told = DisputeTold("du_1", self.said, DUE, "fraudulent")
        return Fact(FactKind.DISPUTE, Source.WEBHOOK, at, gateway_id="du_1", dispute=told)

    @property
    def snapshot(self) -> Snapshot:
        decided = self.known in {DisputeState.WON, DisputeState.LOST, DisputeState.PRE_ARBITRATION}
        dispute = DisputeKnown(
            state=self.known,
            told_at=AT if self.known else None,
            decided_before=decided,
            standing=STANDING[self.standing] if self.known else None,
        )
        if self.payment == "none":
            return Snapshot(dispute=dispute)
        refunded = DUE if self.payment == PaymentState.REFUNDED else ZERO
        state = PaymentState(self.payment)
        return Snapshot(payment_state=state, due=DUE, captured=DUE, refunded=refunded, dispute=dispute)

    @property
    def decision(self) -> Decision:
        return decide(self.snapshot, self.fact)

    @property
    def row(self) -> str:
        d = self.decision
        parts = [
            d.verdict,
            f"dispute={d.dispute_to}" if d.dispute_to else "",
            f"payment={d.payment_to}" if d.payment_to else "",
            f"posting={d.posting}" if d.posting != "none" else "",
            f"review={d.review}" if d.review else "",
        ]
        point = (
            "money" if self.is_money else "word",
            self.said,
            self.when,
            f"known {self.known}",
            self.standing,
            f"payment {self.payment}",
        )
        return " | ".join(map(str, point)) + " -> " + " ".join(filter(None, parts))


def points() -> Iterator[Point]:
    """Every point; money says nothing of the state, so its time is one, and without a dispute nothing stands."""
    known = (None, *DisputeState)
    for said, when, state, standing, payment in product(
        (*DisputeState, *MONEY), ("newer", "older"), known, STANDING, PAYMENTS
    ):
        if (isinstance(said, FactKind) and when == "older") or (state is None and standing != "nothing taken"):
            continue
        yield Point(said, when, state, standing, payment)
