"""What does a person need to see of a dispute: where it stands, by when to act, its money and its story? Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Link, QueueRow, Shown, TimelineItem, Tone, WorkQueue
from ledger.money import Money
from ledger.queries import entry_by_source_key
from payments.facts import DISPUTE_MONEY, FactKind
from payments.models import Dispute, Movement, Review, Transition
from payments.queries.disputes import standing_in
from payments.queries.review_page import kind_words, state_chip
from payments.queries.timeline import title_of, who_said
from payments.states import OPEN_DISPUTE_STATES, DisputeState, MovementKind

D = DisputeState
MOST_SHOWN, MOST_COUNTED, MOST_FACTS = 6, 50, 100
_CHIPS: dict[DisputeState, Chip] = {
    D.INQUIRY: Chip("inquiry", Tone.WARN, "contact_support", "The issuer asks; no money has moved"),
    D.CHARGEBACK: Chip("chargeback", Tone.BAD, "gavel", "The money is taken; evidence is asked for"),
    D.UNDER_REVIEW: Chip("under review", Tone.INFO, "hourglass_top", "The evidence is with the issuer"),
    D.PRE_ARBITRATION: Chip("pre-arbitration", Tone.BAD, "balance", "It is argued about again"),
    D.WON: Chip("won", Tone.GOOD, "emoji_events", "The money comes back"),
    D.LOST: Chip("lost", Tone.BAD, "money_off", "The money is gone"),
    D.CLOSED: Chip("closed", Tone.QUIET, "task_alt", "It came to nothing"),
}
_MOVEMENTS = {
    MovementKind.CHARGEBACK.value: "Taken",
    MovementKind.CHARGEBACK_RETURN.value: "Given back",
    MovementKind.FEE.value: "Fee",
}
_ABOUT = [kind.value for kind in DISPUTE_MONEY | {FactKind.DISPUTE}]
MOVEMENT_COLUMNS = ("Movement", "Amount", "At the gateway", "Settlement money", "Journal entry")
CASE_COLUMNS = ("Case", "State", "Decide by", "Because")


@dataclass(frozen=True, slots=True)
class DisputePage:
    """The page of one dispute."""

    chip: Chip
    summary: str
    facts: tuple[KeyValue, ...]
    payment: tuple[KeyValue, ...]
    movements: tuple[tuple[Shown, ...], ...]
    cases: tuple[tuple[Shown, ...], ...]
    story: tuple[TimelineItem, ...]


def dispute_chip(dispute: Dispute) -> Chip:
    """Where it stands, in a word."""
    return _CHIPS[D(dispute.state)]


def dispute_url(dispute: Dispute) -> str:
    """The address of its page."""
    return reverse("admin:payments_dispute_change", args=(dispute.public_id,))


def reason_words(dispute: Dispute) -> str:
    """The gateway's reason as people read it."""
    return dispute.reason.replace("_", " ") or "no reason told"


def fees_of(movements: list[Movement]) -> list[Money]:
    """What it cost, one sum a currency; a fee given back is taken off."""
    fees = [m.money for m in movements if m.kind == MovementKind.FEE]
    return [
        Money(sum(fee.amount_minor for fee in fees if fee.currency == currency), currency)
        for currency in dict.fromkeys(fee.currency for fee in fees)
    ]


def settlement_text(movement: Movement) -> str:
    """What a movement is worth in settlement money, its fee and the rate, in one line; empty while nothing was told."""
    if movement.settlement_minor is None:
        return ""
    gross = Money(movement.settlement_minor, movement.settlement_currency)
    fee = Money(movement.settlement_fee_minor or 0, movement.settlement_currency)
    parts = [str(gross)]
    if not fee.is_zero:
        parts.append(f"fee {fee}, net {gross - fee}")
    if movement.exchange_rate is not None:
        parts.append(f"rate {movement.exchange_rate.normalize():f}")
    if movement.available_at is not None:
        parts.append(f"available {movement.available_at:%d %b %Y}")
    return "; ".join(parts)


def dispute_page(dispute: Dispute, now: datetime) -> DisputePage:
    """Build the page; a constant number of queries but one an entry shown."""
    movements = list(dispute.movements.order_by("id"))
    cases = list(dispute.reviews.order_by("id"))
    return DisputePage(
        chip=dispute_chip(dispute),
        summary=_summary(dispute, movements),
        facts=_facts(dispute, movements, now),
        payment=_payment(dispute),
        movements=tuple(_movement(m) for m in movements),
        cases=tuple(_case(review) for review in cases),
        story=tuple(_told(fact) for fact in _story(dispute)),
    )


def _summary(dispute: Dispute, movements: list[Movement]) -> str:
    standing = standing_in(movements)
    match D(dispute.state):
        case D.INQUIRY:
            return (
                f"The payer's bank asks about {dispute.money}. No money has moved. Answer with evidence, or refund it."
            )
        case D.WON if standing is not None and standing.is_positive:
            return f"Won. {standing} has not come back yet."
        case D.WON:
            return "Won, and nothing is missing."
        case D.LOST:
            return f"Lost. {standing or dispute.money} is booked as a loss."
        case D.CLOSED:
            return "It came to nothing."
        case D.UNDER_REVIEW:
            return f"The evidence is with the issuer. {_taken(standing)}"
        case _:
            return f"Evidence is asked for. {_taken(standing)}"


def _taken(standing: Money | None) -> str:
    if standing is None or standing.is_zero:
        return "No money has been taken so far."
    return f"{standing} was taken and stands as a claim until it is decided."


def _facts(dispute: Dispute, movements: list[Movement], now: datetime) -> tuple[KeyValue, ...]:
    standing = standing_in(movements)
    waits = dispute.state in OPEN_DISPUTE_STATES
    late = waits and dispute.evidence_due_at is not None and dispute.evidence_due_at < now
    lines = [
        KeyValue("Disputed", Amount(dispute.amount_minor, dispute.currency)),
        KeyValue("Reason", reason_words(dispute), "The gateway's word."),
        KeyValue("Evidence due", dispute.evidence_due_at, "It is past." if late else ""),
        KeyValue("Taken and not back", _amount(standing), "" if standing else "No money has moved."),
        *(KeyValue("Fee", _amount(fee)) for fee in fees_of(movements)),
        KeyValue("Opened", dispute.opened_at),
        KeyValue("Last word of the gateway", dispute.told_at),
    ]
    if dispute.closed_at is not None:
        lines.append(KeyValue("Decided", dispute.closed_at))
    if dispute.accepted_at is not None:
        lines.append(KeyValue("Accepted by us", dispute.accepted_at))
    return (*lines, *_identity(dispute))


def _identity(dispute: Dispute) -> list[KeyValue]:
    account = dispute.gateway_account
    return [
        KeyValue("At", Link(account.name, reverse("admin:payments_gatewayaccount_change", args=(account.slug,)))),
        KeyValue("Gateway's dispute", Link(dispute.gateway_id, "", code=True)),
        KeyValue("Gateway's charge", Link(dispute.charge_id, "", code=True) if dispute.charge_id else None),
    ]


def _amount(money: Money | None) -> Amount | None:
    return Amount(money.amount_minor, money.currency) if money is not None else None


def _payment(dispute: Dispute) -> tuple[KeyValue, ...]:
    payment = dispute.payment
    if payment is None:
        return ()
    return (
        KeyValue("Payment", link_to(payment.public_id)),
        KeyValue("Reference", payment.reference),
        KeyValue("Amount", Amount(payment.amount_minor, payment.currency)),
        KeyValue("State", payment.state.replace("_", " ")),
        KeyValue("Paid with", str(payment.method)),
        KeyValue("Made", payment.created_at),
    )


def _movement(movement: Movement) -> tuple[Shown, ...]:
    entry = entry_by_source_key(movement.entry_source_key)
    money = Amount(movement.amount_minor, movement.currency)
    word = _MOVEMENTS.get(movement.kind, movement.kind)
    booked = link_to(entry.public_id) if entry else None
    return (word, money, movement.occurred_at, settlement_text(movement) or None, booked)


def _case(review: Review) -> tuple[Shown, ...]:
    url = reverse("admin:payments_review_change", args=(review.public_id,))
    return (Link(kind_words(review.kind), url), state_chip(review), review.due_at, review.because)


def _story(dispute: Dispute) -> list[Transition]:
    """What was said of it, newest last: found among the facts of its payment."""
    if dispute.payment_id is None:
        return []
    facts = Transition.objects.filter(payment_id=dispute.payment_id, fact__in=_ABOUT)
    own = facts.filter(inputs__fact__gateway_id=dispute.gateway_id).select_related("event", "look_up", "operation")
    return list(own.order_by("-id")[:MOST_FACTS])[::-1]


def _told(fact: Transition) -> TimelineItem:
    ignored = fact.verdict == "no_op"
    return TimelineItem(
        at=fact.at,
        title=title_of(fact),
        cause=f"By {who_said(fact)}; happened at {fact.occurred_at:%d %b %Y %H:%M} UTC.",
        detail=fact.because,
        tone=Tone.QUIET if ignored else Tone.BAD if fact.verdict == "review" else Tone.INFO,
        icon="gavel",
        ignored=ignored,
        evidence=fact.inputs.get("fact", {}),
    )


def disputes_open(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """The heap of the home page: disputes that ask for evidence, those due first."""
    if not request.user.has_perm("payments.view_dispute"):
        return None
    asking = [state.value for state in (D.INQUIRY, D.CHARGEBACK, D.PRE_ARBITRATION)]
    waiting = Dispute.objects.filter(state__in=asking).select_related("payment").order_by("act_by", "id")
    found = list(waiting[: MOST_COUNTED + 1])
    if not found:
        return None
    return WorkQueue(
        title="Disputes that ask for evidence",
        url=reverse("admin:payments_dispute_changelist"),
        rows=[_row(dispute, now) for dispute in found[:MOST_SHOWN]],
        more=len(found) > MOST_SHOWN,
        count=str(len(found)) if len(found) <= MOST_COUNTED else f"{MOST_COUNTED}+",
    )


def _row(dispute: Dispute, now: datetime) -> QueueRow:
    return QueueRow(
        title=Link(reason_words(dispute).capitalize(), dispute_url(dispute)),
        why=dispute_chip(dispute).hint + ".",
        since=dispute.opened_at,
        due=dispute.act_by,
        amount=Amount(dispute.amount_minor, dispute.currency),
        chip=overdue_chip(dispute, now) or dispute_chip(dispute),
        suggestion=f"Payment {dispute.payment.reference}" if dispute.payment else "Of no payment of ours",
    )


def overdue_chip(dispute: Dispute, now: datetime) -> Chip | None:
    """Loud from the moment somebody should have acted; nothing while it waits for the issuer, or is over."""
    if dispute.state not in OPEN_DISPUTE_STATES or dispute.state == D.UNDER_REVIEW or dispute.act_by >= now:
        return None
    return Chip("overdue", Tone.BAD, "alarm", "The evidence should have been sent by now.")
