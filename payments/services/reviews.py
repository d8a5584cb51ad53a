"""What is reviewed money for? A person decides, after the gateway was asked again; the entry leaves suspense with them as cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from payments.errors import Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.facts import Fact, FactKind
from payments.jobs import ADVANCE_PAYMENT, enqueue
from payments.models import Review
from payments.services.actors import Actor
from payments.services.calls import Clock
from payments.services.case import lock_payment
from payments.services.clocks import set_payment_clock
from payments.services.dispositions import CHOICES, Choice, refusal_of
from payments.services.finding import lock_transaction
from payments.services.recording import Cause, apply_fact
from payments.services.refunds import means_words
from payments.services.resolution import ask_about
from payments.services.review_effects import EFFECTS, Decided
from payments.services.snapshots import snapshot_of
from payments.states import (
    ReviewState,
    Source,
)

ASKED_WITHIN = timedelta(minutes=15)  # a decision rests on an answer of the gateway no older than this
REASONS = (
    "customer_request",
    "duplicate",
    "fraud",
    "late_money",
    "short_money",
    "excess",
    "gateway_error",
    "our_error",
    "other",
)


@dataclass(frozen=True, slots=True)
class Option:
    """One prepared decision. `refused` says why it is not possible here; empty: it is."""

    code: str
    label: str
    explanation: str
    recommended: bool
    refused: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the gateway says now, and what the decision would write. Bound to `version`."""

    review_id: str
    option: str
    answered: bool
    changes: tuple[str, ...]
    lines: tuple[str, ...]
    version: int
    refused: str


def options_of(review: Review) -> tuple[Option, ...]:
    """The prepared decisions of a case, the recommended one first."""
    options = [
        Option(c.code, c.label, _explanation(c, review), c.recommended_for(review), refusal_of(c, review))
        for c in CHOICES
        if c.fits(review)
    ]
    return tuple(sorted(options, key=lambda o: (bool(o.refused), not o.recommended)))


def _explanation(choice: Choice, review: Review) -> str:
    """Giving it back says by which means, where, and of which transaction."""
    means = means_words(review) if choice.code == "refund" else ""
    return f"{choice.explanation} {means}".strip()


def prepare_decision(review_id: str, *, option: str, actor: Actor, clock: Clock, target_payment: str = "") -> Prepared:
    """This function will ask the gateway first, then say what the decision would do. Decides nothing.

    Raises: NotFound, Forbidden, InvalidInput (option). Writes: look-ups, what they reveal, and when it was asked.
    """
    actor.require("payments.decide_review")
    review = _find(review_id)
    choice = _choice(option)
    answered = True
    changes: tuple[str, ...] = ()
    if review.payment_id is not None:
        asked = ask_about(review.payment_id, clock, asked_by=actor.label, user_id=actor.user_id)
        answered, changes = asked.answered, asked.changes
    review = _stamp(review.pk, clock(), answered=answered)
    refused = "" if answered else "The gateway did not answer. Try again in a minute: nothing is decided on old news."
    refused = refused or _refused(review, choice)
    lines = () if refused else _lines(review, choice, target_payment)
    return Prepared(review.public_id, option, answered, changes, lines, review.version, refused)


def _find(review_id: str) -> Review:
    review = Review.objects.filter(public_id=review_id).first()
    if review is None:
        raise NotFound(f"There is no review {review_id}.")
    return review


def _choice(option: str) -> Choice:
    for choice in CHOICES:
        if choice.code == option:
            return choice
    raise InvalidInput(f"There is no decision called {option!r}.", field="option")


def _refused(review: Review, choice: Choice) -> str:
    if review.state != ReviewState.OPEN:
        return f"The review is {review.state} already: {review.note or review.decision}"
    return refusal_of(choice, review)


def _stamp(review_pk: int, now: datetime, *, answered: bool) -> Review:
    with transaction.atomic():
        review = Review.objects.select_for_update().get(pk=review_pk)
        if answered and review.state == ReviewState.OPEN:
            review.asked_at = now
            review.save(update_fields=["asked_at"])
        return review


def _lines(review: Review, choice: Choice, target_payment: str) -> tuple[str, ...]:
    account = {"2050": "suspense", "2040": "overpayments owed"}.get(review.held_on, review.held_on)
    lines = [
        line.format(money=review.held, account=account, target=target_payment or "the payment you name")
        for line in choice.lines
    ]
    means = means_words(review) if choice.code == "refund" else ""
    return (*lines, *([means] if means else []))


def decide_review(  # noqa: PLR0913 - a decision has this many parts
    review_id: str,
    *,
    option: str,
    reason: str,
    note: str,
    version: int,
    actor: Actor,
    now: datetime,
    target_payment: str = "",
    until: datetime | None = None,
) -> Review:
    """This function will carry out one decision in one transaction: entry out of suspense, state, and what follows.

    Raises: NotFound, Forbidden, InvalidInput (option, reason, note, target_payment, until), Conflict (somebody or the
    gateway was faster), NotAllowedNow (the gateway was not asked just before).
    Idempotent on: the review's version, once. Writes: review, entry, refund or payment, transition.
    """
    actor.require("payments.decide_review")
    choice = _choice(option)
    if reason not in REASONS:
        raise InvalidInput("A decision needs a reason from the list.", field="reason")
    if len(note.strip()) < 5:
        raise InvalidInput("A decision needs a note: what did you see, why this?", field="note")
    found = _find(review_id)
    with transaction.atomic():
        case = lock_payment(found.payment_id) if found.payment_id else None
        if case is not None:
            case.account = found.gateway_account  # the case's own, which need not be the last attempt's
        else:  # the same lock that facts of nobody's transaction take
            lock_transaction(found.gateway_account_id, found.gateway_id)
        review = Review.objects.select_for_update().get(pk=found.pk)
        _guard(review, choice, version, now)
        decided = Decided(case, review, choice, reason, note.strip(), actor, now, target_payment, until)
        _carry_out(decided)
        return review


def _guard(review: Review, choice: Choice, version: int, now: datetime) -> None:
    if review.version != version or review.state != ReviewState.OPEN:
        who = review.decided_by.get_username() if review.decided_by else "The gateway's word"
        what = f"{who}: {review.decision or 'new facts'}. {review.note}".strip()
        raise Conflict(f"The case changed since you opened it. {what}")
    if review.payment_id and (review.asked_at is None or now - review.asked_at > ASKED_WITHIN):
        raise NotAllowedNow("The gateway has to be asked again before this is decided: open the preview once more.")
    refused = refusal_of(choice, review)
    if refused:
        raise NotAllowedNow(refused)


def _carry_out(d: Decided) -> None:
    _log(d)
    if d.choice.code == "hold_until":
        _hold_until(d)
        return
    d.review.mark_decided()
    d.review.decision, d.review.reason, d.review.note = d.choice.code, d.reason, d.note
    d.review.decided_by_id, d.review.decided_at = d.actor.user_id, d.now
    d.review.next_check_at, d.review.version = None, d.review.version + 1
    if d.review.held_on and d.choice.code in {"apply_here", "apply_to_other", "wallet", "adopt"}:
        d.review.entry_source_key = d.source_key
    d.review.save()
    if d.case is not None:
        d.case.reviews = [r for r in d.case.reviews if r.pk != d.review.pk]
    EFFECTS[d.choice.code](d)
    _set_clock(d)


def _log(d: Decided) -> None:
    if d.case is None:
        return
    fact = Fact(FactKind.REVIEW_DECIDED, Source.OPERATOR, d.now, message=f"{d.choice.label}. {d.note}"[:400])
    cause = Cause(actor=d.actor.label, user_id=d.actor.user_id)
    apply_fact(d.case, snapshot_of(d.case, fact), fact, cause, d.now)


def _set_clock(d: Decided) -> None:
    if d.case is None or d.case.payment is None:
        return
    set_payment_clock(d.case, d.now)
    d.case.payment.save()
    if d.case.payment.next_check_at is not None and d.case.payment.next_check_at <= d.now:
        enqueue(ADVANCE_PAYMENT, d.case.payment.pk)


def _hold_until(d: Decided) -> None:
    if d.until is None or not d.now < d.until <= d.now + timedelta(days=90):
        raise InvalidInput("Hold needs a date within the next 90 days.", field="until")
    d.review.due_at = d.review.next_check_at = d.until
    d.review.note = f"{d.review.note}\n{d.actor.label}: {d.note}".strip()
    d.review.reason, d.review.version = d.reason, d.review.version + 1
    d.review.save()
