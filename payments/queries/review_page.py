"""What does a person need to see to decide a case? The question in words, the money, the payment, the evidence. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import Group
from django.urls import reverse

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Link, Shown, TimelineItem, Tone
from ledger.chart import CHART
from ledger.queries import entries_for_subject, entry_by_source_key
from ledger.reports import EntryTable, entry_table
from payments.models import Movement, Payment, Refund, Review, Transition
from payments.queries.review_words import QUESTIONS, REASON_WORDS
from payments.states import MovementKind, RefundState, ReviewKind, ReviewState, Source

_STATES = {
    ReviewState.OPEN: Chip("open", Tone.WARN, "rule", "A person must decide."),
    ReviewState.DECIDED: Chip("decided", Tone.GOOD, "gavel", "A person has decided."),
    ReviewState.SETTLED: Chip("settled", Tone.QUIET, "task_alt", "A later fact of the gateway answered it."),
}
_REFUND_TONES = {
    RefundState.SUCCEEDED: (Tone.GOOD, "check_circle"),
    RefundState.FAILED: (Tone.BAD, "error"),
    RefundState.UNKNOWN: (Tone.WARN, "help"),
    RefundState.RETURNED: (Tone.BAD, "undo"),
    RefundState.CANCELLED: (Tone.QUIET, "block"),
}
_SOURCES = {
    Source.ANSWER: "the gateway's answer",
    Source.WEBHOOK: "webhook",
    Source.LOOK_UP: "look-up",
    Source.CLOCK: "the clock",
    Source.SERVICE: "our own service",
    Source.OPERATOR: "a person",
    Source.API: "the merchant's system",
}
_MOST_MOVEMENTS = 50


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """Everything the page of one case shows, but the decisions it offers."""

    question: str
    because: str
    money: tuple[KeyValue, ...]
    payment: tuple[KeyValue, ...]
    case: tuple[KeyValue, ...]
    decided: tuple[KeyValue, ...]
    movements: tuple[tuple[Shown, ...], ...]
    taken: tuple[tuple[Shown, ...], ...]
    opened_by: tuple[TimelineItem, ...]
    entries: tuple[EntryTable, ...]
    chip: Chip


TAKEN_COLUMNS = ("Attempt", "Gateway", "Transaction", "Taken", "When", "Settled", "What it is")
MOVEMENT_COLUMNS = ("Movement", "Amount", "Happened", "Counts", "Journal entry")


def kind_words(kind: str) -> str:
    """What a kind of case is called in lists."""
    return QUESTIONS[ReviewKind(kind)][0]


def question_of(kind: str) -> str:
    """The question a person has to answer."""
    return QUESTIONS[ReviewKind(kind)][1]


def kind_chip(kind: str) -> Chip:
    """The kind of case with its question on hover; the tone says whether money stands still."""
    return Chip(kind_words(kind), Tone.INFO, "rule", question_of(kind))


def state_chip(review: Review) -> Chip:
    """How far the case has come."""
    return _STATES[ReviewState(review.state)]


def held_amount(review: Review) -> Amount | None:
    """What stands still until it is decided: signed, money that went out is negative; None without money."""
    return Amount(review.held_minor, review.currency) if review.held_on else None


def held_place(review: Review) -> str:
    """The account the money stands on, by code and name; empty without money."""
    spec = CHART.get(review.held_on)
    return f"{spec.code} {spec.name}" if spec else ""


def due_chip(review: Review, now: datetime) -> Chip | None:
    """Loud once the time to decide is past; nothing for a case that is over."""
    if review.state != ReviewState.OPEN or review.due_at >= now:
        return None
    return Chip("overdue", Tone.BAD, "alarm", "The time by which somebody should have decided is past.")


def roles_that_may(codename: str) -> str:
    """The roles that hold a right of this app, for "who could": "operator, finance"."""
    groups = Group.objects.filter(permissions__codename=codename, permissions__content_type__app_label="payments")
    return ", ".join(groups.order_by("name").values_list("name", flat=True)) or "nobody yet"


def last_word(public_id: str, otherwise: str) -> tuple[str, str, datetime | None]:
    """Who changed the case last, what they did, and when: for the person who came second. `otherwise`: if rows say nothing."""
    review = Review.objects.select_related("decided_by").get(public_id=public_id)
    if review.state == ReviewState.DECIDED and review.decided_by is not None:
        what = f"decided “{review.decision.replace('_', ' ')}”: {review.note.strip()}".rstrip(".")
        return review.decided_by.get_username(), what, review.decided_at
    if review.state == ReviewState.SETTLED:
        return "The gateway's word", "settled the case", review.decided_at
    if review.note:  # only putting a case off leaves a note on an open one
        return "Somebody else", f"put it off until {review.due_at:%d %b %Y %H:%M} UTC: {review.note}", None
    return "New facts", f"changed the case: {otherwise}".rstrip("."), None


def review_page(review: Review, now: datetime, *, decision: str = "", payer: str = "") -> ReviewPage:
    """Build the page of one case out of its rows; `now` tells what is overdue.

    `decision` says in words what was decided, `payer` names the payer as far as people may read it.
    """
    movements = _movements(review)
    return ReviewPage(
        question=question_of(review.kind),
        because=review.because,
        money=_money(review),
        payment=_payment(review.payment, payer, now) if review.payment else (),
        case=_case(review, now),
        decided=_decided(review, decision),
        movements=tuple(_movement_cells(movement) for movement in movements),
        taken=_taken(review),
        opened_by=_opened_by(review),
        entries=_entries(review, movements),
        chip=due_chip(review, now) or state_chip(review),
    )


def _money(review: Review) -> tuple[KeyValue, ...]:
    if not review.held_on:
        return ()
    direction = "came in and waits" if review.held_minor >= 0 else "went out and is not explained"
    waits = review.state == ReviewState.OPEN
    return (
        KeyValue(
            "Amount", held_amount(review), f"Money that {direction}; it is in the books already." if waits else ""
        ),
        KeyValue("Stands on" if waits else "Stood on", held_place(review)),
        KeyValue("At", _gateway_link(review)),
        KeyValue("Gateway's transaction", Link(review.gateway_id, "", code=True) if review.gateway_id else None),
    )


def _gateway_link(review: Review) -> Link:
    account = review.gateway_account
    return Link(account.name, reverse("admin:payments_gatewayaccount_change", args=(account.slug,)))


def _payment(payment: Payment, payer: str, now: datetime) -> tuple[KeyValue, ...]:
    return (
        KeyValue("Payment", link_to(payment.public_id)),
        KeyValue("Reference", payment.reference),
        KeyValue("Asked for", Amount(payment.amount_minor, payment.currency)),
        KeyValue("State", payment.state.replace("_", " ")),
        KeyValue("Payer", payer or None),
        KeyValue("Paid with", str(payment.method)),
        KeyValue("Made", payment.created_at),
        KeyValue("Expired" if payment.expires_at < now else "Expires", payment.expires_at),
    )


def _case(review: Review, now: datetime) -> tuple[KeyValue, ...]:
    waiting = review.state == ReviewState.OPEN
    return (
        KeyValue("Kind", kind_words(review.kind)),
        KeyValue("Gateway", _gateway_link(review)),
        *_dispute(review),
        KeyValue("Opened", review.opened_at),
        KeyValue("Decide by", review.due_at, "Overdue." if waiting and review.due_at < now else ""),
        KeyValue(
            "Gateway last asked",
            review.asked_at,
            "Every decision asks it again first." if waiting and review.payment else "",
        ),
        *([KeyValue("Noted so far", review.note)] if waiting and review.note else []),
    )


def _dispute(review: Review) -> list[KeyValue]:
    """The dispute that the case is about, and by when its evidence is due."""
    if review.dispute is None:
        return []
    return [
        KeyValue("Dispute", link_to(review.dispute.public_id), review.dispute.reason.replace("_", " ")),
        KeyValue("Evidence due", review.dispute.evidence_due_at),
    ]


def _decided(review: Review, decision: str) -> tuple[KeyValue, ...]:
    if review.state == ReviewState.OPEN:
        return ()
    if review.state == ReviewState.SETTLED:
        return (KeyValue("Settled", "A later fact of the gateway took the question away; nobody had to decide."),)
    return (
        KeyValue("Decision", decision or review.decision.replace("_", " ")),
        KeyValue("By", review.decided_by.get_username() if review.decided_by else None),
        KeyValue("When", review.decided_at),
        KeyValue("Reason", REASON_WORDS.get(review.reason, review.reason)),
        KeyValue("Note", review.note),
        *_follow_ups(review),
    )


def _follow_ups(review: Review) -> list[KeyValue]:
    entry = entry_by_source_key(review.entry_source_key) if review.entry_source_key else None
    booked = [KeyValue("Booked by", link_to(entry.public_id), entry.description)] if entry else []
    return booked + [_refund(refund) for refund in review.refunds.order_by("id")]


def _refund(refund: Refund) -> KeyValue:
    tone, icon = _REFUND_TONES.get(RefundState(refund.state), (Tone.INFO, "hourglass_top"))
    until = f" until {refund.waits_until:%d %b %H:%M} UTC" if refund.waits_until else ""
    hint = f"{refund.public_id}: {refund.money}. {refund.waits_because}{until if refund.waits_because else ''}"
    return KeyValue("Refund that follows", Chip(refund.state, tone, icon), hint.strip())


def _movements(review: Review) -> list[Movement]:
    """Every movement of the transaction the case is about."""
    if not review.gateway_id:
        return []
    same = Movement.objects.filter(gateway_account_id=review.gateway_account_id, gateway_id=review.gateway_id)
    return list(same.order_by("id")[:_MOST_MOVEMENTS])


def _movement_cells(movement: Movement) -> tuple[Shown, ...]:
    entry = entry_by_source_key(movement.entry_source_key)
    return (
        movement.get_kind_display(),
        Amount(movement.amount_minor, movement.currency),
        movement.occurred_at,
        Chip("yes", Tone.GOOD, "check", "Part of the payment's amounts.")
        if movement.counts
        else Chip("no", Tone.QUIET, "pause", "Not part of the payment's amounts: the case holds it, or held it."),
        link_to(entry.public_id) if entry else None,
    )


def _taken(review: Review) -> tuple[tuple[Shown, ...], ...]:
    """What was taken for the payment, transaction beside transaction; nothing where it was taken once."""
    if review.payment is None:
        return ()
    captures = review.payment.movements.filter(kind=MovementKind.CAPTURE).select_related("attempt", "gateway_account")
    found = list(captures.order_by("attempt__number", "id")[:_MOST_MOVEMENTS])
    if len({(m.gateway_account_id, m.gateway_id) for m in found}) < 2:
        return ()
    return tuple(_taken_cells(movement, review) for movement in found)


def _taken_cells(movement: Movement, review: Review) -> tuple[Shown, ...]:
    mine = (movement.gateway_account_id, movement.gateway_id) == (review.gateway_account_id, review.gateway_id)
    here = Chip("this case", Tone.WARN, "rule", "The money that this case is about")
    pays = Chip("pays the order", Tone.GOOD, "check_circle", "Part of the payment's amounts")
    other = Chip("not counted", Tone.QUIET, "pause", "Another case holds it, or held it")
    return (
        f"attempt {movement.attempt.number}" if movement.attempt else "by another hand",
        movement.gateway_account.name,
        Link(movement.gateway_id, "", code=True),
        Amount(movement.amount_minor, movement.currency),
        movement.occurred_at,
        movement.settled_at or "not yet",
        here if mine else pays if movement.counts else other,
    )


def _opened_by(review: Review) -> tuple[TimelineItem, ...]:
    """The fact that opened the case: recorded in the same moment, naming the case in its after-states; or the one that a
    question of ours followed from."""
    facts = Transition.objects.filter(payment=review.payment, at=review.opened_at)
    facts = facts.select_related("event", "look_up", "operation")
    named = facts.filter(after__has_key=review.public_id).order_by("id")[:1] or _refusal_behind(review)
    return tuple(_fact(fact) for fact in named)


def _refusal_behind(review: Review) -> list[Transition]:
    """The last answer about the attempt: of a payment that was stopped, what the gateway said. Else the clock's own doing."""
    if review.kind != ReviewKind.PAYMENT_STOPPED or review.attempt_id is None:
        return []
    of_attempt = Transition.objects.filter(
        operation__attempt=review.attempt_id, id__isnull=False, at__lte=review.opened_at
    )
    told = of_attempt.filter(fact__in=("declined", "not_sent", "absent")).select_related(
        "event", "look_up", "operation"
    )
    return list(told.order_by("-id")[:1])


def _fact(fact: Transition) -> TimelineItem:
    carried = {
        "fact": fact.inputs.get("fact", {}),
        **({"webhook": fact.event.public_id} if fact.event else {}),
        **({"look-up": fact.look_up.evidence} if fact.look_up else {}),
        **({"operation": fact.operation.public_id} if fact.operation else {}),
    }
    return TimelineItem(
        at=fact.at,
        title=f"{fact.fact.replace('_', ' ').capitalize()} by {_SOURCES[Source(fact.source)]}",
        cause=f"It says this happened at {fact.occurred_at:%d %b %Y %H:%M:%S} UTC." + _by_whom(fact),
        detail=fact.because,
        tone=Tone.WARN,
        icon="rule",
        evidence=carried,
    )


def _by_whom(fact: Transition) -> str:
    return f" {fact.actor}." if fact.actor else ""


def _entries(review: Review, movements: list[Movement]) -> tuple[EntryTable, ...]:
    """The entries that booked the money of the case, and the one that took it out of where it stood."""
    reserved = [f"refund:{public_id}:reserved" for public_id in review.refunds.values_list("public_id", flat=True)]
    keys = dict.fromkeys([*(m.entry_source_key for m in movements), review.entry_source_key, *reserved])
    found = [entry_by_source_key(key) for key in keys if key]
    subjects = [] if review.payment else entries_for_subject(review.public_id)
    once = {entry.public_id: entry for entry in [*found, *subjects] if entry}
    money = [entry for entry in once.values() if not all(line.ref.spec.memo for line in entry.lines)]
    return tuple(entry_table(entry) for entry in sorted(money, key=lambda entry: entry.id))
