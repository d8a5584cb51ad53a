"""What happened to a payment, in what order, and what followed from what? Lines out of transition rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from payments.facts import FactKind
from payments.models import InboundEvent, LookUp, Transition
from payments.states import Source

_TITLES = {
    FactKind.AUTHORISATION: "Money held",
    FactKind.CAPTURE: "Money taken",
    FactKind.VOID: "Voided",
    FactKind.REFUND: "Money went back",
    FactKind.DECLINED: "Declined",
    FactKind.NOT_SENT: "Not sent",
    FactKind.UNKNOWN: "Outcome unknown",
    FactKind.ABSENT: "Proven absent",
    FactKind.EXHAUSTED: "Look-ups exhausted",
    FactKind.DUPLICATE: "Called a duplicate",
    FactKind.SETTLED: "Settled",
    FactKind.HOLD_LAPSED: "Hold lapsed",
    FactKind.REFUND_RETURN: "Refund came back",
    FactKind.REFUND_FAILED: "Refund failed",
    FactKind.CHARGEBACK: "Chargeback: money taken",
    FactKind.CHARGEBACK_RETURN: "Chargeback: money given back",
    FactKind.FEE: "Dispute fee",
    FactKind.DISPUTE: "Dispute",
    FactKind.SETTLEMENT_TOLD: "Settlement money told",
    FactKind.CHECKS_PASSED: "Checked",
    FactKind.NO_ROUTE: "No way to collect",
    FactKind.ATTEMPT_OPENED: "Attempt opened",
    FactKind.CANCEL_ASKED: "Cancelling asked",
    FactKind.CAPTURE_ASKED: "Capture asked",
    FactKind.REFUND_ASKED: "Refund asked",
    FactKind.REVIEW_DECIDED: "Review decided",
    FactKind.REVIEW_OPENED: "Review opened",
    FactKind.EXPIRY_DUE: "Window closed",
    FactKind.ACTION_REQUIRED: "The payer has to confirm",
    FactKind.CLOSED: "Closed at the gateway",
    FactKind.RETRY_PLANNED: "Retry planned",
    FactKind.RETRY_CANCELLED: "Retry cancelled",
    FactKind.GIVEN_UP: "Given up",
}
_SOURCES = {
    Source.ANSWER: ("the gateway's answer", "call_received"),
    Source.WEBHOOK: ("a webhook", "webhook"),
    Source.LOOK_UP: ("a look-up at the gateway", "travel_explore"),
    Source.CLOCK: ("the clock", "schedule"),
    Source.SERVICE: ("our own step", "settings"),
    Source.OPERATOR: ("a person", "person"),
    Source.API: ("the merchant's system", "api"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One fact: what it says, who said it, what it changed, what it followed from, and the evidence behind it."""

    key: int
    at: datetime
    occurred_at: datetime
    title: str
    because: str
    source: str
    icon: str
    tone: str
    changes: tuple[str, ...] = ()
    ignored: bool = False
    parent_key: int | None = None
    parent_title: str = ""
    event_id: str = ""
    operation_id: str = ""
    entry_source_key: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        return f"fact-{self.key}"

    @property
    def happened_earlier(self) -> bool:
        """Worth saying when it happened: we heard of it a minute or more after."""
        return (self.at - self.occurred_at).total_seconds() >= 60


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive lines of one sort: facts that did something are shown, a longer run without effect is folded."""

    lines: tuple[Line, ...]
    folded: bool = False


_SHORT_RUN = 2  # this many ignored facts in a row are shown as they are


def timeline(facts: Iterable[Transition]) -> tuple[Run, ...]:
    """Oldest first, so that a cause stands above its effect; runs of ignored facts folded, none left out."""
    titles = {fact.pk: title_of(fact) for fact in facts}
    lines = [replace(line_of(f), parent_title=titles.get(f.parent_id or 0, "")) for f in facts]
    runs: list[list[Line]] = []
    for line in lines:
        if runs and runs[-1][-1].ignored == line.ignored:
            runs[-1].append(line)
        else:
            runs.append([line])
    return tuple(Run(tuple(run), folded=run[0].ignored and len(run) > _SHORT_RUN) for run in runs)


def title_of(fact: Transition) -> str:
    known = {kind.value: title for kind, title in _TITLES.items()}
    return known.get(fact.fact, fact.fact.replace("_", " ").capitalize())


def line_of(fact: Transition) -> Line:
    """One transition row as a line of the timeline."""
    _words, icon = _SOURCES.get(Source(fact.source), ("", "circle"))
    return Line(
        key=fact.pk,
        at=fact.at,
        occurred_at=fact.occurred_at,
        title=title_of(fact),
        because=fact.because,
        source=who_said(fact),
        icon=icon,
        tone=_tone(fact),
        changes=_changes(fact),
        ignored=fact.verdict == "no_op",
        parent_key=fact.parent_id,
        event_id=fact.event.public_id if fact.event else "",
        operation_id=fact.operation.public_id if fact.operation else "",
        entry_source_key=fact.entry_source_key,
        evidence=_evidence(fact),
    )


def who_said(fact: Transition) -> str:
    """The person or system behind a fact, else its source in words."""
    words, _icon = _SOURCES.get(Source(fact.source), (fact.source, ""))
    if fact.source == Source.LOOK_UP:
        return f"{words}, asked by {fact.actor}" if fact.actor else words
    return fact.actor or words


_WORRYING = frozenset({FactKind.UNKNOWN, FactKind.EXHAUSTED, FactKind.NOT_SENT, FactKind.GIVEN_UP})


def _tone(fact: Transition) -> str:
    if fact.verdict == "no_op":
        return "quiet"
    if fact.verdict == "review":
        return "bad"
    if fact.verdict == "ask" or fact.fact in _WORRYING:
        return "warn"
    if fact.fact in {FactKind.CAPTURE, FactKind.SETTLED, FactKind.AUTHORISATION}:
        return "good"
    return "info"


def _changes(fact: Transition) -> tuple[str, ...]:
    """ "payment pending → captured", for every machine that moved."""
    changed = [name for name, state in fact.after.items() if fact.before.get(name) != state]
    return tuple(
        f"{name.replace('_', ' ') if '_' not in name[:5] else name}: "
        f"{_plain(fact.before.get(name, 'new'))} → {_plain(fact.after[name])}"
        for name in changed
    ) + tuple(f"{name}: closed" for name in fact.before if name not in fact.after)


def _plain(state: str) -> str:
    return state.replace("_", " ")


def _evidence(fact: Transition) -> dict[str, Any]:
    """The fact as it was said, what was known then, and the raw message behind it. Redacted where it is shown."""
    found: dict[str, Any] = {}
    if fact.event is not None:
        found["Webhook as received"] = _body(fact, fact.event)
    if fact.look_up is not None:
        found["Look-up"] = _look_up(fact.look_up)
    inputs = fact.inputs or {}
    found["Fact as judged"] = inputs.get("fact", {})
    found["What was known then"] = inputs.get("snapshot", {})
    return {name: value for name, value in found.items() if value}


def _body(fact: Transition, event: InboundEvent) -> object:
    body: object = getattr(fact, "body", None)
    if body is None:
        return f"The message is too large for this page; it stands in the inbox as {event.public_id}."
    return body


def _look_up(look_up: LookUp) -> dict[str, object]:
    return {"asked": look_up.method, "result": look_up.get_result_display(), **look_up.evidence}
