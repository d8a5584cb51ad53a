"""How are a payment's attempts laid out, with each call, its refusal and its look-ups? Chips and lines; reads no database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from console.values import Chip, KeyValue, Shown, Tone
from payments.admin.payment_chips import attempt_chip, certainty_chip, operation_chip
from payments.admin.payment_commands import shown
from payments.models import Attempt, LookUp, Operation
from payments.queries.account_page import UNCONFIRMED
from payments.queries.decline_page import class_chip
from payments.queries.decline_words import network_words
from payments.queries.page import AttemptView, CallView
from payments.queries.route_words import route_words
from payments.services.accounts import is_confirmed
from payments.states import COLLECTING, AttemptState, FailureClass, OperationState


def attempt_rows(view: AttemptView) -> dict[str, Any]:
    attempt = view.attempt
    return {
        "attempt": attempt,
        "is_current": view.is_current,
        "chip": attempt_chip(attempt),
        "gateway": attempt.gateway_account.name,
        "doubt": None if is_confirmed(attempt.gateway_account) else UNCONFIRMED,
        "way": route_words(attempt.route),
        "role": _role(view),
        "payers_turn": _payers_turn(attempt),
        "calls": [_call(call, attempt) for call in reversed(view.calls)],
    }


def _role(view: AttemptView) -> str:
    """What this attempt is to the payment, where there are several."""
    match view.attempt.state:
        case AttemptState.CAPTURED:
            return "this one took the money"
        case AttemptState.AUTHORISED:
            return "this one holds the money"
        case AttemptState.VOIDED:
            return "closed, nothing left to take"
    return "" if view.is_current else "earlier attempt"


def _payers_turn(attempt: Attempt) -> str:
    """Whoever has the bank's link acts as the payer: people see that it was given, never the link."""
    if not attempt.awaits_payer:
        return ""
    return "over for us, and being closed" if attempt.failure_class else "link given to the payer"


_PAYER_ASKED = Chip(
    "payer asked", Tone.INFO, "person", "The gateway sent the payer to their bank; no money has moved yet"
)


def _only_asked_payer(operation: Operation, attempt: Attempt) -> bool:
    """The call went as it should and took nothing: whether money comes of it is the payer's to say."""
    asked = operation.kind in COLLECTING and operation.failure_class == FailureClass.AUTHENTICATION_REQUIRED
    no_money = attempt.state in {AttemptState.OPEN, AttemptState.VOIDED}
    return asked and operation.state == OperationState.SUCCEEDED and no_money


def _call(view: CallView, attempt: Attempt) -> dict[str, Any]:
    operation = view.operation
    asked, succeeded = _only_asked_payer(operation, attempt), operation.state == OperationState.SUCCEEDED
    return {
        "operation": operation,
        "is_open": view.is_open,
        "chip": _PAYER_ASKED if asked else operation_chip(operation),
        "certainty": None if asked else certainty_chip(operation),
        "failure": _failure(operation),
        "failure_class": class_chip(operation.failure_class) if operation.failure_class and not succeeded else None,
        "network": network_words(operation),
        "money": shown(operation.money),
        "phases": _phases(operation),
        "absence_earliest": view.absence_earliest if view.look_ups and view.is_open else None,
        "look_up_columns": ("Asked", "By", "How", "Answer", "Counts as"),
        "look_ups": [_look_up(look_up) for look_up in view.look_ups],
        "look_up_evidence": [{"asked": str(lk.asked_at), "result": lk.result, **lk.evidence} for lk in view.look_ups],
    }


def _failure(operation: Operation) -> str:
    parts = [f"code {operation.code}" if operation.code else "", operation.message]
    return " · ".join(part for part in parts if part)


def _phases(operation: Operation) -> list[KeyValue]:
    """Moments of one call lie within seconds: the clock's time says more than a distance, and the gap most."""
    by = f"by {operation.requested_by}" if operation.requested_by else ""
    lines = [
        KeyValue("Planned", _clock(operation.planned_at), by),
        KeyValue("Sent", _clock(operation.sent_at)),
        KeyValue("First byte before", _clock(operation.send_before)),
        KeyValue("Done before", _clock(operation.done_before)),
        KeyValue("Ended", _clock(operation.ended_at), _took(operation)),
    ]
    if operation.retry_not_before is not None:
        lines.append(KeyValue("Not again before", operation.retry_not_before, "by the issuer or the network"))
    if operation.next_check_at is not None:
        lines.append(KeyValue("Next step", operation.next_check_at))
    return lines


def _clock(at: datetime | None) -> str | None:
    return f"{at:%d %b %H:%M:%S}" if at else None


def _took(operation: Operation) -> str:
    if operation.sent_at is None or operation.ended_at is None:
        return ""
    return f"after {(operation.ended_at - operation.sent_at).total_seconds():.1f} s"


_LOOK_UP_CHIPS = {
    LookUp.Result.FOUND: Chip("found", Tone.GOOD, "check_circle"),
    LookUp.Result.IN_PROGRESS: Chip("in progress", Tone.INFO, "sync"),
    LookUp.Result.ABSENT: Chip("no trace", Tone.WARN, "search_off"),
    LookUp.Result.UNANSWERED: Chip("no answer", Tone.QUIET, "wifi_off"),
}
_PROOF = Chip("proof of absence", Tone.GOOD, "verified", "Part of the proof that the call never happened")


def _look_up(look_up: LookUp) -> list[Shown]:
    unanswered = look_up.result == LookUp.Result.UNANSWERED
    counts: Shown = _PROOF if look_up.counts else "nothing: it proves nothing" if unanswered else "evidence"
    chip = _LOOK_UP_CHIPS[LookUp.Result(look_up.result)]
    return [look_up.asked_at, look_up.asked_by or "the sweep", look_up.method, chip, counts]
