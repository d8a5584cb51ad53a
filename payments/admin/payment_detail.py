"""How is a payment's page laid out? Turns the read `PaymentPage` into chips, links and tables; reads next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from console.values import Amount, Chip, KeyValue, Link, Section, Shown, Step, Tone
from ledger.money import Money
from ledger.queries import EntryView
from payments.admin.payment_attempts import attempt_rows
from payments.admin.payment_chips import (
    MOVEMENT_WORDS,
    flags,
    masked_email,
    masked_payer,
    payment_chip,
    plain,
    refund_chip,
    retry_chip,
    review_chip,
)
from payments.admin.payment_commands import page_url, shown
from payments.models import (
    BatchRow,
    Dispute,
    Movement,
    Payer,
    Payment,
    Refund,
    Retry,
    Review,
)
from payments.queries.dispute_page import dispute_chip, dispute_url, fees_of, reason_words, settlement_text
from payments.queries.disputes import standing_in
from payments.queries.method_page import payment_hint
from payments.queries.page import MoneyStrip, PaymentPage
from payments.queries.timeline import Line, Run
from payments.services.declining import words_for_payer
from payments.services.intake import REQUEST_ID
from payments.services.payer_page import pay_address
from payments.states import AWAITING_STATES, MovementKind, PaymentState, RetryState, ReviewState


@dataclass(frozen=True, slots=True)
class Cell:
    """One amount of the money strip; `note` says what it means, `quiet` that it is zero."""

    label: str
    amount: Amount
    note: str = ""
    tone: str = "quiet"


def address(view: str, public_id: str) -> str:
    """The address of another page, or nothing where that page is not there: the text then stands without a link."""
    try:
        return reverse(f"admin:{view}", args=(public_id,)) if public_id else ""
    except NoReverseMatch:
        return ""


_OF_RETRIES = ("retry", "cancel_retry")


def context_of(page: PaymentPage, *, sees_books: bool) -> dict[str, Any]:
    """Everything the template shows."""
    payment = page.payment
    links = {
        key: address("ledger_journalentry_change", entry) if sees_books else "" for key, entry in page.entry_ids.items()
    }
    can = [_step(page, step) for step in page.steps]
    waiting = any(review.state == ReviewState.OPEN for review in page.reviews)
    return {
        "page": page,
        "chips": [payment_chip(payment), *flags(payment, needs_a_person=waiting)],
        "money_cells": _cells(page.money),
        "can": [*_decide_steps(page), *(step for step in can if not step.blocked_by)],
        "cannot": [step for step in can if step.blocked_by],
        "head_facts": [*_head_facts(payment), *_told_payer(page)],
        "attempts": [attempt_rows(view) for view in page.attempts],
        "several": len(page.attempts) > 1,
        "movements": _movements(page, links),
        "retries": [_retry(retry) for retry in page.retries],
        "retry_steps": [_step(page, s) for s in page.steps if s.name in _OF_RETRIES and not s.blocked_by],
        "refunds": [_refund(refund) for refund in page.refunds],
        "reviews": [_review(review) for review in page.reviews],
        "disputes": _disputes(page),
        "entries": [_entry(entry, links) for entry in page.entries] if sees_books else [],
        "runs": [_run(run, page, links) for run in page.timeline],
        "siblings": [
            (Link(s.public_id, page_url(s), code=True), payment_chip(s), shown(s.money)) for s in page.siblings
        ],
        "sibling_columns": ("Payment", "State", "Amount"),
    }


def sections_of(page: PaymentPage, sees: Callable[[str], bool], now: datetime) -> list[Section]:
    """What other apps say of the payment, settings.PAYMENT_SECTIONS. `sees`: which permissions the person has."""
    sources = (import_string(source) for source in settings.PAYMENT_SECTIONS)
    return [section for source in sources for section in source(page, sees, now)]


# --- money, steps, facts ----------------------------------------------------------------------------------------------


def _cells(money: MoneyStrip) -> list[Cell]:
    cells = [
        Cell("Asked", shown(money.asked)),
        Cell("Held", shown(money.held), "" if money.held.is_zero else "not taken", _tone(money.held, "info")),
        Cell("Captured", shown(money.captured), "", _tone(money.captured, "good")),
        Cell("Refunded", shown(money.refunded), _on_its_way(money.on_its_way_back), _tone(money.refunded, "info")),
    ]
    if not money.missing.is_zero:
        cells.append(Cell("Missing", shown(money.missing), "of what is due", "warn"))
    cells += [Cell("Under review", shown(held), "booked, not counted", "bad") for held in money.under_review]
    if not money.under_review:
        cells.append(Cell("Under review", Amount(0, money.asked.currency), tone="zero"))
    if not money.withheld.is_zero:
        cells.append(Cell("Disputed", shown(money.withheld), "in doubt or charged back", "bad"))
    return [*cells, Cell("Refundable", shown(money.refundable), "", _tone(money.refundable, "quiet"))]


def _tone(money: Money, tone: str) -> str:
    return "zero" if money.is_zero else tone


def _on_its_way(money: Money) -> str:
    return "" if money.is_zero else f"{money} on its way"


def _decide_steps(page: PaymentPage) -> list[Step]:
    steps = []
    for review in page.reviews:
        if review.state == ReviewState.OPEN:
            url = address("payments_review_change", review.public_id)
            label = f"Open the review: {plain(review.kind)}"
            steps.append(Step(label, url, blocked_by="" if url else "Reviews have no page here.", primary=True))
    return steps


def _step(page: PaymentPage, step: Any) -> Step:
    url = address(f"payments_payment_{step.name}", page.payment.public_id)
    return Step(step.label, url, blocked_by=step.blocked_by, post=step.name == "ask", hint=step.means)


_PAYER_MAY_ACT = AWAITING_STATES | {PaymentState.INITIATED, PaymentState.VALIDATED}


def _head_facts(payment: Payment) -> list[KeyValue]:
    payer, method = payment.payer, payment.method
    lines = [
        KeyValue("Payer", masked_payer(payer) or None, _payer_hint(payer)),
        KeyValue(
            "Method",
            Link(str(method), address("payments_paymentmethod_change", method.public_id)),
            payment_hint(payment),
        ),
        KeyValue("Capture", payment.capture_mode, "takes parts" if payment.accept_partial else ""),
        KeyValue("Created", payment.created_at, _made_by(payment)),
        KeyValue("Last fact", payment.updated_at),
        KeyValue("Pays until", payment.expires_at),
    ]
    if payment.token and payment.state in _PAYER_MAY_ACT:
        page = Link(pay_address(payment), "", code=True)
        lines.append(KeyValue("Payer's page", page, "whoever opens it acts as the payer"))
    if payment.hold_until:
        lines.append(KeyValue("Held until", payment.hold_until))
    if payment.wanted_gateway:
        lines.append(KeyValue("Gateway wanted", payment.wanted_gateway))
    if "upload_line" in payment.metadata:  # a hint that saves the others a query; the row is what counts
        lines += _upload(payment)
    if payment.schedule_id:
        schedule = payment.schedule
        assert schedule is not None
        lines.append(
            KeyValue("Recurring charge", Link(schedule.name, address("payments_schedule_change", schedule.public_id)))
        )
    if payment.possible_duplicate_of:
        first = payment.possible_duplicate_of
        lines.append(
            KeyValue("Possible duplicate of", Link(first.public_id, page_url(first), code=True), first.reference)
        )
    return lines


def _told_payer(page: PaymentPage) -> list[KeyValue]:
    """Of a payment that was refused: what its payer reads, which names no reason that helps a thief."""
    refused = page.payment.state == PaymentState.FAILED and page.attempts and page.attempts[0].attempt.failure_class
    return [KeyValue("Payer reads", words_for_payer(page.attempts[0].attempt))] if refused else []


def _upload(payment: Payment) -> list[KeyValue]:
    row = BatchRow.objects.filter(payment=payment).select_related("batch").first()
    if row is None:
        return []
    link = Link(row.batch.name, address("payments_batch_change", row.batch.public_id))
    return [KeyValue("Uploaded in", link, f"line {row.number}")]


def _payer_hint(payer: Payer | None) -> str:
    """What else is known, masked: enough to tell two payers apart."""
    if payer is None:
        return ""
    parts = [masked_email(payer.email) if payer.email and payer.name else "", payer.external_id if payer.name else ""]
    return " · ".join(part for part in parts if part)


def _made_by(payment: Payment) -> str:
    """Only what a form of ours wrote: the same key from a merchant comes without the form's own id."""
    return f"by {payment.metadata['created_by']}" if {"created_by", REQUEST_ID} <= payment.metadata.keys() else ""


# --- what happened ----------------------------------------------------------------------------------------------------


def _run(run: Run, page: PaymentPage, links: dict[str, str]) -> dict[str, Any]:
    return {"folded": run.folded, "lines": [{"line": li, "links": _line_links(li, page, links)} for li in run.lines]}


def _line_links(line: Line, page: PaymentPage, links: dict[str, str]) -> list[Link]:
    """The call on this page, the event in the inbox, the entry in the books."""
    found = []
    if line.operation_id:
        found.append(Link(line.operation_id, f"#{line.operation_id}", code=True))
    if line.event_id:
        found.append(Link(line.event_id, address("payments_inboundevent_change", line.event_id), code=True))
    entry = page.entry_ids.get(line.entry_source_key, "")
    if entry:
        found.append(Link(entry, links.get(line.entry_source_key, ""), code=True))
    return found


# --- money rows -------------------------------------------------------------------------------------------------------


def _movements(page: PaymentPage, links: dict[str, str]) -> dict[str, Any]:
    columns = ("Movement", "Amount", "At the gateway", "We knew", "Transaction", "Settled", "Booked by")
    worth = [settlement_text(movement) for movement in page.movements]
    rows = [_movement(movement, page, links) for movement in page.movements]
    if not any(worth):
        return {"columns": columns, "rows": rows}
    told = [[*row[:2], text or None, *row[2:]] for row, text in zip(rows, worth, strict=True)]
    return {"columns": (*columns[:2], "Settlement money", *columns[2:]), "rows": told}


def _movement(movement: Movement, page: PaymentPage, links: dict[str, str]) -> list[Shown]:
    kind = MovementKind(movement.kind)
    word = MOVEMENT_WORDS[kind] + (" of captured money" if movement.of_captured_money else "")
    word += f", revision {movement.revision}" if movement.revision else ""
    title: Shown = word if movement.counts else Chip(f"{word}, under review", Tone.BAD, "person_alert")
    entry = page.entry_ids.get(movement.entry_source_key, "")
    return [
        title, shown(movement.money), movement.occurred_at, movement.posted_at, Link(movement.gateway_id, "", code=True),
        _settled(movement), Link(entry, links.get(movement.entry_source_key, ""), code=True) if entry else None,
    ]  # fmt: skip


def _settled(movement: Movement) -> Shown:
    if movement.settled_at:
        return f"batch {movement.batch_id}" if movement.batch_id else "yes"
    if movement.kind == MovementKind.AUTHORISATION:
        return "released" if movement.released_at else "held"
    return "not yet" if movement.kind in {MovementKind.CAPTURE, MovementKind.REFUND} else None


def _refund(refund: Refund) -> dict[str, Any]:
    return {
        "refund": refund,
        "chip": refund_chip(refund),
        "money": shown(refund.money),
        "origin": refund.get_origin_display(),
    }


def _retry(retry: Retry) -> dict[str, Any]:
    return {
        "retry": retry,
        "chip": retry_chip(retry),
        "after": retry.after.number,
        "ended": retry.ended_because or ("" if retry.state == RetryState.WAITING else "made by the worker"),
    }


def _review(review: Review) -> dict[str, Any]:
    return {
        "review": review,
        "chip": review_chip(review),
        "kind": plain(review.kind).capitalize(),
        "url": address("payments_review_change", review.public_id),
        "held": shown(review.held) if review.held is not None and not review.held.is_zero else None,
        "held_on": {"2050": "suspense", "2040": "overpayments"}.get(review.held_on, review.held_on),
        "decided_by": review.decided_by.get_username() if review.decided_by else "",
        "decision": plain(review.decision),
    }


def _disputes(page: PaymentPage) -> dict[str, Any]:
    columns = ("Dispute", "State", "Disputed", "Evidence due", "Taken and not back", "Fee", "Opened")
    return {"columns": columns, "rows": [_dispute(dispute, page) for dispute in page.disputes]}


def _dispute(dispute: Dispute, page: PaymentPage) -> list[Shown]:
    own = [m for m in page.movements if m.dispute_id == dispute.pk]
    standing = standing_in(own)
    fees = ", ".join(str(fee) for fee in fees_of(own))
    return [
        Link(reason_words(dispute).capitalize(), dispute_url(dispute)), dispute_chip(dispute), shown(dispute.money),
        dispute.evidence_due_at, shown(standing) if standing else None, fees or None, dispute.opened_at,
    ]  # fmt: skip


def _entry(entry: EntryView, links: dict[str, str]) -> dict[str, Any]:
    lines = [
        [
            f"{line.ref.code} {line.account_name}",
            Amount(line.debit_minor, line.ref.currency) if line.debit_minor else "",
            Amount(line.credit_minor, line.ref.currency) if line.credit_minor else "",
        ]
        for line in entry.lines
    ]
    return {"entry": entry, "url": links.get(entry.source_key, ""), "lines": lines}
