"""Which facts follow from one payment intent? Its history as far as it tells it; nothing beyond its words.

The id of money is the charge's (`ch_`), the refund's (`re_`) or the dispute's (`du_`); a payment intent (`pi_`) is only the
handle of an attempt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from payments.facts import Fact, FactKind
from payments.gateways.errors import Unreadable
from payments.gateways.stripe import codes, evidence
from payments.gateways.stripe.charges import Telling, charge_facts, reference_of
from payments.gateways.stripe.values import Json, id_in, mask, moment_in, part, text_in
from payments.states import Certainty, FailureClass, OperationKind

_LONGEST_URL = 2000
_ENDED_BY_ITSELF = ("automatic", "expired")  # nobody asked: the hold had run out
_STATUSES = (
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "succeeded",
    "canceled",
)


def status_of(intent: Json) -> str:
    """Where a payment intent stands. Raises Unreadable for an object that is none."""
    status = text_in(intent, "status")
    if intent.get("object") != "payment_intent" or not id_in(intent, "id") or status not in _STATUSES:
        raise Unreadable("this is no payment intent with a known status")
    return status


def is_unfinished(intent: Json) -> bool:
    """Has Stripe not finished it? An intent that waits for a payment method, and was refused none, was never confirmed."""
    status = text_in(intent, "status")
    never_tried = status == "requires_payment_method" and not part(intent, "last_payment_error")
    nowhere_to_go = status == "requires_action" and not action_url(intent)
    return never_tried or nowhere_to_go or status in ("processing", "requires_confirmation")


def about_of(intent: Json) -> OperationKind:
    return OperationKind.AUTHORISE if text_in(intent, "capture_method") == "manual" else OperationKind.SALE


def intent_facts(intent: Json, telling: Telling) -> list[Fact]:
    """All that happened in a payment intent whose latest charge is expanded, oldest first. Raises Unreadable."""
    status, charge = status_of(intent), part(intent, "latest_charge")
    if not charge and id_in(intent, "latest_charge"):
        raise Unreadable("the latest charge is not part of the answer")
    facts = list(_of_its_charge(intent, charge, telling)) if charge else []
    held = next((fact for fact in facts if fact.kind == FactKind.AUTHORISATION), None)
    taken = any(fact.kind == FactKind.CAPTURE for fact in facts)
    if status == "canceled" and held is not None and not taken:
        return [replace(held, undone=True), _released(intent, held, telling)]
    if status == "canceled" and not facts:
        return [closed(intent, telling)]
    if status == "requires_action" and action_url(intent):
        return [*facts, action_required(intent, telling)]
    if status == "requires_payment_method" and part(intent, "last_payment_error"):
        return [*facts, refused(intent, part(intent, "last_payment_error"), telling, alive=True)]
    return facts


def _of_its_charge(intent: Json, charge: Json, telling: Telling) -> Iterator[Fact]:
    manual = about_of(intent) == OperationKind.AUTHORISE
    for fact in charge_facts(charge, telling, held_first=manual):
        yield replace(
            fact,
            reference=fact.reference or (reference_of(intent) if not fact.original_gateway_id else ""),
            handle=id_in(intent, "id"),
        )


def _released(intent: Json, held: Fact, telling: Telling) -> Fact:
    happened = moment_in(intent, "canceled_at", absent=telling.at)
    if text_in(intent, "cancellation_reason") in _ENDED_BY_ITSELF:
        return replace(held, kind=FactKind.HOLD_LAPSED, occurred_at=happened, money=None, hold_until=None)
    return replace(held, kind=FactKind.VOID, occurred_at=happened, hold_until=None)


def refused(intent: Json, error: Json, telling: Telling, *, alive: bool) -> Fact:
    """Why the last try took nothing. `alive`: the payer, who was sent to their bank, could still try again."""
    error = {**error, **blocked(intent, error)}
    meaning = codes.declined(code_of(error))
    fact = replace(
        of_intent(intent, FactKind.DECLINED, telling),
        certainty=Certainty.REFUSED,
        failure_class=meaning.failure_class,
        retry_after_seconds=meaning.retry_after_seconds,
        alive=alive,
    )
    return with_error(fact, error)


def blocked(intent: Json, error: Json) -> Json:
    """Stripe's own block, where its error tells it as any decline: the failed charge shows what it was."""
    outcome = part(intent, "latest_charge", "outcome")
    told = codes.declined(code_of(error)).failure_class == FailureClass.FRAUD
    if told or text_in(outcome, "type") != "blocked":
        return {}
    reason = text_in(outcome, "reason")
    return {"decline_code": reason if reason in codes.SHEET else "request_blocked"}


def with_error(fact: Fact, error: Json) -> Fact:
    """The fact with what an error says: code, words, the networks' own codes."""
    return replace(
        fact,
        code=mask(code_of(error))[:60],
        message=mask(text_in(error, "message")),
        network_code=mask(text_in(error, "network_decline_code"))[:20],
        network_advice=mask(text_in(error, "network_advice_code"))[:20],
        gateway_advice=mask(text_in(error, "advice_code"))[:40],
        evidence=fact.evidence | evidence.of_error(error),
    )


def code_of(error: Json) -> str:
    """A decline is known by its decline code, any other error by its code, one without a code by its type."""
    return text_in(error, "decline_code") or text_in(error, "code") or text_in(error, "type")


def action_required(intent: Json, telling: Telling) -> Fact:
    """The payer has to confirm. The address is theirs alone: it goes into no evidence. Raises Unreadable without one."""
    if not action_url(intent):
        raise Unreadable("the payer has to confirm, and no address is named for it")
    return replace(
        of_intent(intent, FactKind.ACTION_REQUIRED, telling),
        action_url=action_url(intent),
        alive=True,
        failure_class=FailureClass.AUTHENTICATION_REQUIRED,
    )


def action_url(intent: Json) -> str:
    """Where the payer confirms; we ask for nothing but a redirect."""
    url = text_in(part(intent, "next_action", "redirect_to_url"), "url")
    return url if url.startswith(("https://", "http://")) and len(url) <= _LONGEST_URL else ""


def closed(intent: Json, telling: Telling) -> Fact:
    """Cancelled without anything held: it can take no money any more."""
    fact = of_intent(intent, FactKind.CLOSED, telling)
    return replace(
        fact,
        about=OperationKind.CLOSE,
        certainty=Certainty.REFUSED,
        failure_class=FailureClass.AUTHENTICATION_REQUIRED,  # what was open waited for the payer
        occurred_at=moment_in(intent, "canceled_at", absent=telling.at),
    )


def of_intent(intent: Json, kind: FactKind, telling: Telling) -> Fact:
    """What an intent states about its attempt, without money."""
    return Fact(
        kind=kind,
        source=telling.source,
        occurred_at=telling.at,
        handle=id_in(intent, "id"),
        reference=reference_of(intent),
        about=about_of(intent),
        certainty=Certainty.UNKNOWN,
        test_mode=intent.get("livemode") is False,
        evidence=evidence.of_intent(intent),
    )


def unknown(kind: OperationKind, reference: str, telling: Telling, evidence: dict[str, object]) -> Fact:
    """No usable answer."""
    return Fact(
        kind=FactKind.UNKNOWN,
        source=telling.source,
        occurred_at=telling.at,
        about=kind,
        reference=reference,
        certainty=Certainty.UNKNOWN,
        failure_class=FailureClass.UNKNOWN,
        evidence=evidence,
    )
