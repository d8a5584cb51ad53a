"""How are Stripe's own books read? Balance transactions and payouts, page by page, cut to what a comparison needs.

A list is never behind, its newest stands first, and a window in the past does not change while it is paged: `created` is
never moved. What a payout is made of is told only once Stripe calls its reconciliation completed; before, it refuses.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from payments.facts import PayoutTold
from payments.gateways.base import ReportPage, ReportQuestion, WireAnswer, WireRequest
from payments.gateways.errors import Unreadable
from payments.gateways.stripe.charges import reference_of
from payments.gateways.stripe.values import (
    Json,
    evidence_of,
    id_in,
    is_id,
    mask,
    moment_in,
    number_in,
    part,
    read_json,
    rows,
    signed_money_in,
    stamp_of,
    text_in,
)
from payments.states import PayoutState

BALANCE_TRANSACTIONS, PAYOUTS = "/v1/balance_transactions", "/v1/payouts"
REPORTS = frozenset({"balance", "payouts"})
PAGE_SIZE = 100
_LONGEST_REFERENCE = 140
_STATES = {
    "pending": PayoutState.EXPECTED,
    "in_transit": PayoutState.IN_TRANSIT,
    "paid": PayoutState.PAID,
    "failed": PayoutState.FAILED,
    "canceled": PayoutState.FAILED,
}
# Nothing that changes by the passing of time alone: the same window asked for again is the same report.
_LINE = (
    "id",
    "object",
    "amount",
    "available_on",
    "created",
    "currency",
    "exchange_rate",
    "fee",
    "net",
    "reporting_category",
    "type",
)
_FEE = ("amount", "currency", "type")
_SOURCE = ("id", "object", "amount", "amount_captured", "currency", "reason")
_PAYOUT = (
    "id",
    "object",
    "amount",
    "arrival_date",
    "automatic",
    "created",
    "currency",
    "reconciliation_status",
    "status",
    "failure_code",
)


def request(question: ReportQuestion) -> WireRequest:
    """One page of a hundred. Raises ValueError for a question that Stripe can not be asked."""
    form = {"limit": str(PAGE_SIZE)}
    if question.start is not None:
        form["created[gte]"] = stamp_of(question.start)
    if question.end is not None:
        form["created[lte]"] = stamp_of(question.end)
    if question.cursor:
        form["starting_after"] = question.cursor
    if question.what == "payouts":
        return WireRequest("GET", PAYOUTS, form)
    if question.what != "balance":
        raise ValueError(f"Stripe has no report of the kind {question.what}")
    if question.payout_id:
        if not is_id(question.payout_id):
            raise ValueError("a payout needs an id of Stripe's form")
        form["payout"] = question.payout_id
    return WireRequest("GET", BALANCE_TRANSACTIONS, form | {"expand[0]": "data.source"})


def answer(question: ReportQuestion, wire: WireAnswer, *, at: datetime) -> ReportPage:
    """The page as rows, oldest fields and names kept. Raises Unreadable for anything but a whole page of the right kind."""
    found = read_json(wire.body)
    if wire.status != 200:
        raise Unreadable(f"HTTP status {wire.status}: {mask(text_in(part(found, 'error'), 'message'))}")
    payouts = question.what == "payouts"
    listed = _whole(found, "payout" if payouts else "balance_transaction")
    return ReportPage(
        rows=tuple(_payout(one) if payouts else _line(one) for one in listed),
        next_cursor=id_in(listed[-1], "id") if listed and found["has_more"] else "",
        last=not found["has_more"],
        payouts=tuple(told(one, at) for one in listed) if payouts else (),
    )


def told(payout: Json, at: datetime) -> PayoutTold:
    """Where a payout stands at `at`. A cancelled one never reaches the bank: it has failed. Raises Unreadable."""
    status = text_in(payout, "status")
    if text_in(payout, "object") != "payout" or not id_in(payout, "id") or status not in _STATES:
        raise Unreadable("this is no payout with a known status")
    failed = _STATES[status] == PayoutState.FAILED
    return PayoutTold(
        gateway_id=id_in(payout, "id"),
        state=_STATES[status],
        money=signed_money_in(payout, "amount"),
        made_at=moment_in(payout, "created", absent=at),
        occurred_at=at,
        arrives_on=_day_in(payout, "arrival_date"),
        bank_ref=mask(text_in(part(payout, "trace_id"), "value"))[:_LONGEST_REFERENCE],
        failure=(mask(text_in(payout, "failure_code")) or status) if failed else "",
        itemised=payout.get("automatic") is True and text_in(payout, "reconciliation_status") == "completed",
    )


def _day_in(payout: Json, name: str) -> date | None:
    """Stripe writes a day as its midnight in UTC."""
    seconds = number_in(payout, name)
    return datetime.fromtimestamp(seconds, UTC).date() if seconds is not None and 0 < seconds < 10**11 else None


def _whole(found: Json, kind: str) -> tuple[Json, ...]:
    listed = rows(found)
    if text_in(found, "object") != "list" or not isinstance(found.get("has_more"), bool) or "data" not in found:
        raise Unreadable("the answer is no whole list")
    if any(text_in(one, "object") != kind or not id_in(one, "id") for one in listed):
        raise Unreadable(f"the list holds something that is no {kind.replace('_', ' ')}")
    if found["has_more"] and not listed:
        raise Unreadable("the list says that it goes on, but not where")
    return listed


def _line(line: Json) -> Json:
    """A balance transaction by its own names; of its source what identifies it, and never the payer."""
    source = part(line, "source")
    return {
        **{name: line.get(name) for name in _LINE},
        "description": mask(text_in(line, "description")),
        "fee_details": [{name: one.get(name) for name in _FEE} for one in rows(line.get("fee_details"))],
        "source": _source(source) if source else id_in(line, "source"),
    }


def _source(source: Json) -> Json:
    card = part(source, "payment_method_details", "card")
    named = evidence_of(
        charge=id_in(source, "charge"),
        payment_intent=id_in(source, "payment_intent"),
        our_ref=reference_of(source),
        brand=text_in(card, "brand"),
    )
    return {name: source[name] for name in _SOURCE if source.get(name) is not None} | named


def _payout(payout: Json) -> Json:
    return {name: payout.get(name) for name in _PAYOUT} | {"trace": mask(text_in(part(payout, "trace_id"), "value"))}
