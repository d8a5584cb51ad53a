"""Everything the page of one payment shows, as one frozen value built from rows. Reads no clock and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from ledger.money import Money
from ledger.queries import EntryView
from payments.models import Attempt, Dispute, LookUp, Movement, Operation, Payment, Refund, Retry, Review
from payments.queries.explanation import Explanation, explain
from payments.queries.explanation_waiting import absence_earliest
from payments.queries.page_rows import PaymentRows, page_version, read_payment
from payments.queries.page_steps import PageStep, steps_of
from payments.queries.timeline import Run, timeline
from payments.states import OPEN_OPERATION_STATES

_Judge = Callable[[PaymentRows, datetime], str]


@dataclass(frozen=True, slots=True)
class CallView:
    """One operation with the look-ups made for it, and when absence could be proven at the earliest."""

    operation: Operation
    look_ups: tuple[LookUp, ...]
    is_open: bool
    absence_earliest: datetime | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One try to collect, with its calls in order."""

    attempt: Attempt
    is_current: bool
    calls: tuple[CallView, ...]


@dataclass(frozen=True, slots=True)
class MoneyStrip:
    """What was asked and what became of it; sums of movements in the payment's currency, `under_review` in any."""

    asked: Money
    held: Money
    captured: Money
    refunded: Money
    refundable: Money
    withheld: Money
    on_its_way_back: Money
    under_review: tuple[Money, ...]
    missing: Money  # of a partially paid payment; else zero


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """The page. `version` changes whenever the page would."""

    payment: Payment
    version: str
    money: MoneyStrip
    explanation: Explanation
    steps: tuple[PageStep, ...]
    timeline: tuple[Run, ...]
    more_facts: bool
    attempts: tuple[AttemptView, ...]
    movements: tuple[Movement, ...]
    refunds: tuple[Refund, ...]
    retries: tuple[Retry, ...]
    reviews: tuple[Review, ...]
    disputes: tuple[Dispute, ...]
    entries: tuple[EntryView, ...]
    siblings: tuple[Payment, ...]

    @property
    def entry_ids(self) -> dict[str, str]:
        """Public ids of the entries by their source key, for links from movements and facts."""
        return {entry.source_key: entry.public_id for entry in self.entries}


def payment_page(payment: Payment, *, rights: Collection[str], now: datetime, why_not_again: _Judge) -> PaymentPage:
    """The page of a payment for a person with these rights. The version is read first: a fact that comes between shows as new.

    `why_not_again`: the service's own word on another try, which rests on routes, health and the networks' ceilings.
    """
    version = page_version(payment.public_id)
    rows = read_payment(payment)
    return build_page(rows, version=version, rights=rights, now=now, not_again=why_not_again(rows, now))


def build_page(
    rows: PaymentRows, *, version: str, rights: Collection[str], now: datetime, not_again: str = ""
) -> PaymentPage:
    """The same from rows at hand; pure."""
    return PaymentPage(
        payment=rows.payment,
        version=version,
        money=MoneyStrip(
            asked=rows.payment.money,
            held=rows.held,
            captured=rows.captured,
            refunded=rows.refunded,
            refundable=rows.refundable,
            withheld=rows.withheld,
            on_its_way_back=rows.on_its_way_back,
            under_review=tuple(rows.under_review),
            missing=rows.missing,
        ),
        explanation=explain(rows, now),
        steps=steps_of(rows, rights, not_again),
        timeline=timeline(rows.facts),
        more_facts=rows.more_facts,
        attempts=tuple(_attempt(rows, attempt) for attempt in reversed(rows.attempts)),
        movements=tuple(rows.movements),
        refunds=tuple(rows.refunds),
        retries=tuple(rows.retries),
        reviews=tuple(rows.reviews),
        disputes=tuple(rows.disputes),
        entries=tuple(rows.entries),
        siblings=tuple(rows.siblings),
    )


def _attempt(rows: PaymentRows, attempt: Attempt) -> AttemptView:
    calls = [_call(rows, o) for o in rows.operations if o.attempt_id == attempt.pk]
    return AttemptView(attempt, attempt is rows.attempt, tuple(calls))


def _call(rows: PaymentRows, operation: Operation) -> CallView:
    return CallView(
        operation=operation,
        look_ups=tuple(look_up for look_up in rows.look_ups if look_up.operation_id == operation.pk),
        is_open=operation.state in OPEN_OPERATION_STATES,
        absence_earliest=absence_earliest(operation, operation.gateway_account),
    )
