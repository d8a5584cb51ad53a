"""What must be true whatever went wrong? Pure: evidence in, one verdict a rule out, each miss named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from config.drill.evidence import Evidence, Row
from config.drill.rules_of_charges import (
    PAID,
    Judged,
    attempts_of,
    ceilings_are_kept,
    charged_once_per_payer,
    charged_once_per_reference,
    declines_end_in_their_class,
    net_captured,
    no_call_after_never,
    one_answer_per_key,
    refunded_once,
    refunds_within_captures,
    the_next_try_waits_for_certainty,
)

EXAMPLES = 5
_FINAL = {"captured", "settled", "reconciled", "failed", "expired", "cancelled", "refunded", "charged_back"}
_UNPAID = {"failed", "expired", "cancelled"}
_OPEN_OPERATION = {"planned", "sent", "unknown"}
_OPEN_REFUND = {"requested", "approved", "waiting", "sent", "unknown"}
_UNCONCLUDED = {"stored", "poisoned"}


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule: how many things it was asked of, how many broke it, and the first of those."""

    name: str
    says: str
    checked: int
    missed: int
    examples: tuple[str, ...]


def judge(evidence: Evidence) -> list[Invariant]:
    """Every rule, in the order in which a reader wants them."""
    rules = RULES | (WHEN_SETTLED if evidence.settled else {})
    return [_verdict(name, rule, rule(evidence)) for name, rule in rules.items()]


def _verdict(name: str, rule: Callable[[Evidence], Judged], judged: Judged) -> Invariant:
    rows = list(judged)
    wrong = [f"{subject}: {trouble}" for subject, trouble in rows if trouble]
    says = (rule.__doc__ or "").strip().splitlines()[0]
    return Invariant(name, says, len(rows), len(wrong), tuple(wrong[:EXAMPLES]))


# --- nothing forgotten ------------------------------------------------------------------------------------------------


def no_hold_forgotten(e: Evidence) -> Judged:
    """Every hold at the gateway was captured or voided, or somebody has an open case about it."""
    cases = _cases(e)
    for m in e.their_movements:
        if m["kind"] != "authorisation":
            continue
        stands = any(hold["transaction_id"] == m["gateway_id"] for hold in e.their_holds)
        yield m["gateway_id"], "still held, and nobody was asked" if stands and m["gateway_id"] not in cases else ""


def nothing_kept_for_the_unpaid(e: Evidence) -> Judged:
    """Of a failed, expired or cancelled payment the gateway holds no money that no open case is about."""
    net, cases = net_captured(e), _cases(e)
    for payment in e.payments:
        if payment["state"] not in _UNPAID:
            continue
        kept = [a["gateway_id"] for a in attempts_of(e, payment) if any(net.get(a["gateway_id"], {}).values())]
        silent = [gateway_id for gateway_id in kept if gateway_id not in cases]
        yield payment["public_id"], f"{payment['state']}, and {silent[0]} kept the money" if silent else ""


def the_paid_were_charged(e: Evidence) -> Judged:
    """A payment that counts as paid was captured at the gateway."""
    charged = {m["gateway_id"] for m in e.their_movements if m["kind"] == "capture"}
    for payment in e.payments:
        if payment["state"] in PAID:
            ids = {a["gateway_id"] for a in attempts_of(e, payment)}
            yield payment["public_id"], "" if ids & charged else f"{payment['state']}, and nothing was captured"


def _cases(e: Evidence) -> set[str]:
    """Transactions that an open case is about, by itself or through its payment."""
    asked = {review["payment_id"] for review in e.reviews if review["payment_id"] is not None}
    named = {review["gateway_id"] for review in e.reviews if review["gateway_id"]}
    return named | {a["gateway_id"] for a in e.attempts if a["payment_id"] in asked and a["gateway_id"]}


def every_row_has_a_next_step(e: Evidence) -> Judged:
    """Every payment, call and refund is final, or waits for somebody named until a time to come, or has an open case."""
    asked = {review["payment_id"] for review in e.reviews}
    for payment in e.payments:
        done = payment["state"] in _FINAL or payment["id"] in asked
        yield payment["public_id"], "" if done else _unclocked(payment, e)
    for operation in e.operations:
        if operation["state"] in _OPEN_OPERATION:
            yield operation["public_id"], "" if operation["payment_id"] in asked else _unclocked(operation, e)
    for refund in e.refunds:
        if refund["state"] in _OPEN_REFUND:
            carried = any(o["refund_id"] == refund["id"] and o["state"] in _OPEN_OPERATION for o in e.operations)
            yield refund["public_id"], "" if carried or refund["payment_id"] in asked else _unclocked(refund, e)


def every_order_is_accounted_for(e: Evidence) -> Judged:
    """Every row of a spreadsheet, and every charge of the merchant's own, became one payment or says why it did not."""
    made = Counter(payment["reference"] for payment in e.payments)
    rows = {row["reference"]: row for row in e.rows}
    for plan in e.plans:
        if plan.door == "merchant":
            yield plan.reference, "" if made[plan.reference] == 1 else f"{made[plan.reference]} payments"
        elif plan.door == "upload":
            row = rows.get(plan.reference)
            refused = row is not None and row["state"] in ("bad", "failed") and bool(row["problems"])
            same = row is not None and row["state"] == "made" and row["payment_id"] and made[plan.reference] == 1
            ended = row is not None and row["upload"] == "finished"
            yield plan.reference, "" if (same or refused) and ended else _row_words(row, made[plan.reference])


def _row_words(row: Row | None, made: int) -> str:
    if row is None:
        return "no row of an upload"
    return f"line {row['number']} is {row['state']}, its upload {row['upload']}, {made} payments"


def only_ends_and_cases_are_left(e: Evidence) -> Judged:
    """After all that time everything has ended, or a person is asked."""
    asked = {review["payment_id"] for review in e.reviews}
    open_ = [(p["public_id"], p["id"], p["state"], p["state"] not in _FINAL) for p in e.payments]
    open_ += [(o["public_id"], o["payment_id"], o["state"], o["state"] in _OPEN_OPERATION) for o in e.operations]
    open_ += [(r["public_id"], r["payment_id"], r["state"], r["state"] in _OPEN_REFUND) for r in e.refunds]
    open_ += [(f"retry of {r['payment_id']}", r["payment_id"], r["state"], r["state"] == "waiting") for r in e.retries]
    for name, payment_id, state, is_open in open_:
        yield name, f"still {state}, and no case is open" if is_open and payment_id not in asked else ""


def _unclocked(row: Row, e: Evidence) -> str:
    if not row["waits_for"] or row["next_check_at"] is None:
        return f"{row['state']}, and nothing will look at it again"
    if row["next_check_at"] <= e.now:
        return f"{row['state']}, waits for {row['waits_for']} since {row['next_check_at'].isoformat()}"
    return ""


# --- two books --------------------------------------------------------------------------------------------------------


def every_movement_there_is_ours(e: Evidence) -> Judged:
    """Every movement in the gateway's books is in ours, once and with its amount."""
    ours, theirs = _both_sums(e)
    for key in sorted(theirs):
        yield " ".join(key), "" if ours[key] == theirs[key] else f"{theirs[key]} there, {ours[key]} here"


def every_movement_of_ours_is_there(e: Evidence) -> Judged:
    """Every movement in our books is in the gateway's, once and with its amount."""
    ours, theirs = _both_sums(e)
    for key in sorted(ours):
        if ours[key] or key in theirs:
            yield " ".join(key), "" if ours[key] == theirs[key] else f"{ours[key]} here, {theirs[key]} there"


def _both_sums(e: Evidence) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """By transaction, kind and currency: a restated movement is the sum of its revisions.

    A void that ends a hold moves no money, it releases what was held, whatever it names: that one is counted. What a
    gateway keeps of a charge is no movement of ours but a part of one.
    """
    voids = [m for m in e.their_movements if m["kind"] == "void"]
    releases = {m["gateway_id"] for m in voids} - {m["gateway_id"] for m in voids if m["releases"] != "authorisation"}
    charges = {t["transaction_id"] for t in e.their_transactions}
    theirs = [m for m in e.their_movements if m["kind"] != "fee" or m["gateway_id"] not in charges]
    return _sums(e.movements, releases), _sums(theirs, releases)


def _sums(movements: Iterable[Row], releases: set[str]) -> Counter[tuple[str, ...]]:
    sums: Counter[tuple[str, ...]] = Counter()
    for m in movements:
        if m["kind"] == "void" and m["gateway_id"] in releases:
            sums[m["gateway_id"], "void of a hold"] += 1
        else:
            sums[m["gateway_id"], m["kind"], m["currency"]] += m["amount_minor"]
    return sums


def fees_are_the_gateways(e: Evidence) -> Judged:
    """What we say a gateway kept of a charge is what it kept."""
    kept: Counter[str] = Counter()
    for m in e.their_movements:
        if m["kind"] == "fee":
            kept[m["gateway_id"]] += m["amount_minor"]
    for m in e.movements:
        if m["kind"] == "capture" and m["settlement_fee_minor"] is not None:
            both = (m["settlement_fee_minor"], kept[m["gateway_id"]])
            yield m["gateway_id"], "" if both[0] == both[1] else f"{both[0]} here, {both[1]} there"


def one_entry_per_movement(e: Evidence) -> Judged:
    """Every movement has exactly one journal entry, and every entry of a movement has its movement."""
    entries = Counter(entry["source_key"] for entry in e.entries)
    movements = Counter(m["entry_source_key"] for m in e.movements)
    for key in sorted(entries | movements):
        both = (movements[key], entries[key])
        yield key, "" if both == (1, 1) else f"{both[0]} movements, {both[1]} entries"


def suspense_is_reviewed(e: Evidence) -> Judged:
    """Suspense, by gateway and currency, is what open money reviews hold."""
    booked = {(row["gateway"], row["currency"]): -row["amount_minor"] for row in e.suspense}
    held: Counter[tuple[str, str]] = Counter()
    for review in e.reviews:
        if review["held_on"] == "2050":
            held[review["gateway"], review["currency"]] += review["held_minor"]
    for key in sorted(booked.keys() | held.keys()):
        same = booked.get(key, 0) == held[key]
        yield " ".join(key), "" if same else f"suspense {booked.get(key, 0)}, open reviews {held[key]}"


def the_ledger_verifies(e: Evidence) -> Judged:
    """verify_ledger finds nothing."""
    yield "verify_ledger", "; ".join(e.ledger_findings[:EXAMPLES])


def the_api_says_the_same(e: Evidence) -> Judged:
    """The API shows each payment as its row and its movements stand."""
    rows = {payment["public_id"]: payment for payment in e.payments}
    captured: Counter[tuple[int, str]] = Counter()
    for m in e.movements:
        if m["kind"] == "capture" and m["counts"] and m["payment_id"] is not None:
            captured[m["payment_id"], m["currency"]] += m["amount_minor"]
    for payment_id, view in sorted(e.api.items()):
        row = rows.get(payment_id)
        if row is None:
            yield payment_id, "accepted, and there is no such payment"
            continue
        ours = (row["state"], captured[row["id"], row["currency"]])
        shown = (view["state"], view["amount_captured_minor"])
        yield payment_id, "" if ours == shown else f"shown {shown}, is {ours}"


# --- the inbox --------------------------------------------------------------------------------------------------------


def every_webhook_stored_once(e: Evidence) -> Judged:
    """Every webhook delivered is stored once and worked off; no forged one is stored."""
    stored = Counter(event["event_key"] for event in e.events)
    forged = {w["event_id"] for w in e.their_webhooks if w["note"] == "webhook_forged"}
    for event_id in sorted({w["event_id"] for w in e.their_webhooks if w["state"] == "delivered"} - forged):
        yield event_id, "" if stored[event_id] == 1 else f"stored {stored[event_id]} times"
    for event_id in sorted(forged):
        yield event_id, "forged, and stored" if stored[event_id] else ""
    for event in e.events:
        if event["state"] in _UNCONCLUDED:
            yield event["event_key"], f"{event['state']}: {event['error'] or 'not worked off'}"


def nothing_raised(e: Evidence) -> Judged:
    """No row made the sweep fail."""
    yield "sweep", "; ".join(f"{row}: {error}" for row, error in list(e.sweep_failures.items())[:EXAMPLES])


RULES: dict[str, Callable[[Evidence], Judged]] = {
    rule.__name__: rule
    for rule in (
        charged_once_per_reference,
        charged_once_per_payer,
        one_answer_per_key,
        refunded_once,
        refunds_within_captures,
        declines_end_in_their_class,
        no_call_after_never,
        ceilings_are_kept,
        the_next_try_waits_for_certainty,
        no_hold_forgotten,
        nothing_kept_for_the_unpaid,
        the_paid_were_charged,
        every_row_has_a_next_step,
        every_order_is_accounted_for,
        every_movement_there_is_ours,
        every_movement_of_ours_is_there,
        fees_are_the_gateways,
        one_entry_per_movement,
        suspense_is_reviewed,
        the_ledger_verifies,
        the_api_says_the_same,
        every_webhook_stored_once,
        nothing_raised,
    )
}
WHEN_SETTLED: dict[str, Callable[[Evidence], Judged]] = {
    only_ends_and_cases_are_left.__name__: only_ends_and_cases_are_left
}
