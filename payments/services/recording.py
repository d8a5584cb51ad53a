"""What follows when we are told something? `record_fact`: the only caller of `decide`, and the only way a fact becomes books.

One transaction locks the payment, decides, moves the machines, appends the transition row and posts the entry. All or none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from django.db import transaction

from ledger.money import Money
from payments.decisions import Decision, Verdict, decide
from payments.facts import DisputeKnown, DisputeTold, Fact, FactKind, SettlementTold, Snapshot
from payments.jobs import ADVANCE_PAYMENT, ADVANCE_REFUND, enqueue
from payments.models import Transition
from payments.services import declining
from payments.services.case import Case, movement_time
from payments.services.clocks import set_payment_clock
from payments.services.disputes import find_dispute
from payments.services.effects import Done, carry_out
from payments.services.finding import lock_case
from payments.services.refund_returns import spelled_out
from payments.services.running_totals import as_one_movement
from payments.services.snapshots import snapshot_of
from payments.states import RefundState, Source

_REFUSALS = frozenset({FactKind.DECLINED, FactKind.NOT_SENT})


@dataclass(frozen=True, slots=True)
class Cause:
    """Where a fact comes from: the row that carried it, or the person. `parent_id` is the transition it followed from."""

    actor: str = ""
    user_id: int | None = None
    event_id: int | None = None
    look_up_id: int | None = None
    operation_id: int | None = None
    parent_id: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a fact did. `changed` False: it was known, or waits (parked)."""

    verdict: Verdict
    because: str
    payment_id: int | None
    transition_id: int | None
    changed: bool


def record_fact(fact: Fact, *, account_id: int, cause: Cause, now: datetime, orphan_due: bool = False) -> Recorded:
    """This function will judge one fact and carry the judgement out, in one transaction (its own, or the caller's).

    `account_id` is the gateway account whose books the fact is about; `orphan_due` says that it was parked long enough.
    Idempotent on: the movement's identity (gateway account, gateway id, kind, revision).
    Writes: movement, journal entry, machines, review, refund, transition; nothing but the answer when it is parked.
    Raises: TransitionNotAllowed if a decision asks for a move that a machine forbids (a bug, loud on purpose).
    """
    with transaction.atomic():
        case = lock_case(fact, account_id, cause.operation_id)
        if fact.kind in _REFUSALS:
            brand = case.payment.method.brand if case.payment else ""
            fact = declining.classified(fact, case.account.provider, brand)
        fact = as_one_movement(case, fact)
        fact = spelled_out(case, fact)
        find_dispute(case, fact)
        snapshot = snapshot_of(case, fact, orphan_due=orphan_due)
        return apply_fact(case, snapshot, fact, cause, now)


def apply_fact(case: Case, snapshot: Snapshot, fact: Fact, cause: Cause, now: datetime) -> Recorded:
    """The inner half, for services that have locked the case themselves."""
    decision = decide(snapshot, fact)
    if decision.verdict == Verdict.PARK:
        payment_id = case.payment.pk if case.payment else None
        return Recorded(decision.verdict, decision.because, payment_id, None, changed=False)
    before = states_of(case)
    done = Done()
    if decision.verdict != Verdict.NO_OP:
        done = carry_out(case, fact, decision, now=now, actor=cause.actor)
        _keep_payment(case, fact, decision, now)
    if fact.kind in _REFUSALS and case.operation is not None and decision.verdict != Verdict.NO_OP:
        declining.note_unmapped(case.operation, fact, now)
    row = _append(case, snapshot, fact, cause, decision, done, before, now)
    return Recorded(
        decision.verdict, decision.because, row.payment_id, row.pk, changed=decision.verdict != Verdict.NO_OP
    )


def _keep_payment(case: Case, fact: Fact, decision: Decision, now: datetime) -> None:
    """Set the payment's clock after everything around it has moved, and nudge the worker if its next step is due."""
    payment = case.payment
    if payment is None:
        return
    set_payment_clock(case, now, ask=decision.verdict == Verdict.ASK or _hides_credential(case, fact))
    payment.version += 1
    payment.updated_at = now
    payment.save()
    if payment.next_check_at is not None and payment.next_check_at <= now:
        enqueue(ADVANCE_PAYMENT, payment.pk)
    refund = case.refund_of(case.operation)
    due = refund is not None and refund.next_check_at is not None and refund.next_check_at <= now
    if refund is not None and refund.state == RefundState.WAITING and due:
        enqueue(ADVANCE_REFUND, refund.pk)


def _hides_credential(case: Case, fact: Fact) -> bool:
    """Has a webhook told of the money of a call that was to store the card? It brings no credential: only a look-up does."""
    took = fact.source == Source.WEBHOOK and fact.kind in {FactKind.AUTHORISATION, FactKind.CAPTURE}
    operation, payment = case.operation, case.payment
    if not took or operation is None or payment is None or not operation.request.get("store"):
        return False
    stored = payment.method.credentials.filter(gateway_account_id=operation.gateway_account_id, reusable=True)
    return not stored.exists()


def states_of(case: Case) -> dict[str, str]:
    """The state of every machine a fact can move, for before and after."""
    states = {}
    if case.payment:
        states["payment"] = case.payment.state
    if case.attempt:
        states["attempt"] = case.attempt.state
    if case.operation:
        states["operation"] = case.operation.state
        refund = case.refund_of(case.operation)
        if refund:
            states["refund"] = refund.state
    if case.returning:
        states["refund"] = case.returning.state
    if case.dispute:
        states["dispute"] = case.dispute.state
    for review in case.reviews:
        states[review.public_id] = review.state
    return states


def _append(  # noqa: PLR0913 - the row holds exactly these
    case: Case,
    snapshot: Snapshot,
    fact: Fact,
    cause: Cause,
    decision: Decision,
    done: Done,
    before: dict[str, str],
    now: datetime,
) -> Transition:
    row = Transition.objects.create(
        payment=case.payment,
        parent_id=cause.parent_id or _followed_from(case, decision),
        at=now,
        occurred_at=movement_time(fact, now),
        fact=fact.kind,
        source=fact.source,
        verdict=decision.verdict,
        because=decision.because[:400],
        inputs={"fact": as_json(fact), "snapshot": as_json(snapshot)},
        before=before,
        after=states_of(case),
        actor=cause.actor,
        user_id=cause.user_id,
        event_id=cause.event_id,
        look_up_id=cause.look_up_id,
        operation=case.operation,
        entry_source_key=done.entry_source_key,
    )
    if decision.verdict != Verdict.NO_OP:
        case.followed = row.pk
    return row


def _followed_from(case: Case, decision: Decision) -> int | None:
    """The fact that made the state this one met: the last that had an effect on the payment."""
    if case.payment is None or case.followed is not None:
        return case.followed
    if case.payment.version == (0 if decision.verdict == Verdict.NO_OP else 1):
        return None  # the first one: every effect counts the version up
    effective = case.payment.transitions.exclude(verdict=Verdict.NO_OP).order_by("-id")
    return effective.values_list("pk", flat=True).first()


def as_json(value: Fact | Snapshot | DisputeTold | DisputeKnown | SettlementTold) -> dict[str, object]:
    """A frozen value as JSON, without what is empty; money as minor units and currency."""
    shown: dict[str, object] = {}
    for item in fields(value):
        part = getattr(value, item.name)
        if part is None or part in ("", {}):
            continue
        if isinstance(part, Money):
            part = {"amount_minor": part.amount_minor, "currency": part.currency}
        elif isinstance(part, datetime):
            part = part.isoformat()
        elif isinstance(part, DisputeTold | DisputeKnown | SettlementTold):
            part = as_json(part)
        elif item.name == "action_url":
            part = "given"  # whoever has it can act as the payer
        shown[item.name] = part
    return shown
