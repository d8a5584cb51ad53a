"""How is Stripe asked what happened? By the id we hold, else through its lists, which are never behind; never by its search.

Absence is proven from here, so a doubtful answer is no answer. A window is listed as the events that webhooks would have
brought: each shows its object as it was then, so their facts weigh as a webhook's do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from payments.facts import Fact, FactKind
from payments.gateways.base import LookUpAnswer, LookUpQuestion, WireAnswer, WireRequest
from payments.gateways.errors import Unreadable
from payments.gateways.stripe import answers, charges, evidence, reading, refunds, webhook
from payments.gateways.stripe.charges import Telling
from payments.gateways.stripe.intents import INTENTS, REFUNDS
from payments.gateways.stripe.values import Json, id_in, is_id, mask, part, read_json, rows, stamp_of, text_in
from payments.states import OperationKind, Source

CHARGES, EVENTS, BALANCE = "/v1/charges", "/v1/events", "/v1/balance"
PAGE_SIZE = 100
_EARLIER, _LATER = timedelta(minutes=5), timedelta(minutes=10)  # around the call: two clocks, and a slow answer
_SHOWN = 20

_OF_INTENT = ("latest_charge.balance_transaction", "latest_charge.refunds.data.balance_transaction")
_OF_CHARGE = ("payment_intent", "balance_transaction", "refunds.data.balance_transaction")


def request(question: LookUpQuestion) -> WireRequest:
    """One object by its id, or one page of a list. Raises ValueError if the question names nothing to ask by."""
    if question.kind == OperationKind.REFUND:
        return _refund_request(question)
    if question.handle and not question.cursor:
        return WireRequest("GET", f"{INTENTS}/{_safe(question.handle)}", _expand(_OF_INTENT))
    if question.gateway_id:
        return WireRequest("GET", f"{CHARGES}/{_safe(question.gateway_id)}", _expand(_OF_CHARGE))
    if not question.reference:
        raise ValueError(f"a look-up of a {question.kind} needs an id or our reference")
    return WireRequest("GET", INTENTS, _page(question) | _expand(tuple(f"data.{path}" for path in _OF_INTENT)))


def _refund_request(question: LookUpQuestion) -> WireRequest:
    """By its own id, by the charge, or by the time of the call: the intent of the attempt may not be the one refunded."""
    if question.gateway_id.startswith("re_"):
        return WireRequest("GET", f"{REFUNDS}/{_safe(question.gateway_id)}", _expand(("balance_transaction",)))
    if not question.reference:
        raise ValueError("a look-up of a refund needs our reference")
    of_charge = {"charge": question.gateway_id, "limit": str(PAGE_SIZE)} | _after(question.cursor)
    form = of_charge if question.gateway_id else _page(question)
    return WireRequest("GET", REFUNDS, form | _expand(("data.balance_transaction",)))


def _page(question: LookUpQuestion) -> dict[str, str]:
    form = {"limit": str(PAGE_SIZE)}
    if question.sent_at is not None:
        form["created[gte]"] = stamp_of(question.sent_at - _EARLIER)
        form["created[lte]"] = stamp_of(question.sent_at + _LATER)
    return form | _after(question.cursor)


def _after(cursor: str) -> dict[str, str]:
    return {"starting_after": cursor} if cursor else {}


def _expand(paths: tuple[str, ...]) -> dict[str, str]:
    return {f"expand[{place}]": path for place, path in enumerate(paths)}


def _safe(identifier: str) -> str:
    if not is_id(identifier):
        raise ValueError("a look-up needs an id of Stripe's form")
    return identifier


def answer(question: LookUpQuestion, wire: WireAnswer, *, at: datetime) -> LookUpAnswer:
    """All that Stripe knows of what the question names; a whole list without it, and nothing else, means not found."""
    try:
        found = _read(wire)
        telling = Telling(Source.LOOK_UP, at)
        if question.kind == OperationKind.REFUND:
            return _refunds(question, found, telling)
        return _attempt(question, found, telling)
    except Unreadable as doubt:
        return LookUpAnswer(answered=False, evidence={"doubt": mask(str(doubt)), "status": wire.status})


def _read(wire: WireAnswer) -> Json:
    found = read_json(wire.body)
    if wire.status != 200:
        raise Unreadable(f"HTTP status {wire.status}: {text_in(part(found, 'error'), 'message')}")
    return found


def _attempt(question: LookUpQuestion, found: Json, telling: Telling) -> LookUpAnswer:
    kind = text_in(found, "object")
    if kind == "charge":
        _refuse_other(question.gateway_id, id_in(found, "id"))
        intent = part(found, "payment_intent")
        return _told(question, (_with_charge(intent, found) if intent else found,), telling)
    if kind == "payment_intent":
        _refuse_other(question.handle or id_in(found, "id"), id_in(found, "id"))
        return _told(question, (found,), telling)
    listed = _list(found, "payment_intent")
    ours = tuple(intent for intent in listed if charges.reference_of(intent) == question.reference)
    if not ours:
        return _not_here(listed, found)
    return _told(question, ours, telling)


def _with_charge(intent: Json, charge: Json) -> Json:
    """An intent may own several charges: the history of the one we asked for, under the intent's own state."""
    same = id_in(intent, "latest_charge") == id_in(charge, "id")
    return {**intent, "latest_charge": charge} if same else charge


def _refuse_other(asked: str, found: str) -> None:
    if asked != found:
        raise Unreadable("the answer is about another object than the one asked for")


def _list(found: Json, kind: str) -> tuple[Json, ...]:
    listed = rows(found)
    if text_in(found, "object") != "list" or not isinstance(found.get("has_more"), bool) or "data" not in found:
        raise Unreadable("the answer is neither an object of ours nor a whole list")
    if any(text_in(one, "object") != kind or not id_in(one, "id") for one in listed):
        raise Unreadable(f"the list holds something that is no {kind}")
    return listed


def _not_here(listed: tuple[Json, ...], found: Json) -> LookUpAnswer:
    more = id_in(listed[-1], "id") if listed and found["has_more"] else ""
    if found["has_more"] and not more:
        raise Unreadable("the list says that it goes on, but not where")
    return LookUpAnswer(answered=True, evidence={"by": "list", "count": len(listed)}, next_cursor=more)


def _told(question: LookUpQuestion, ours: tuple[Json, ...], telling: Telling) -> LookUpAnswer:
    facts: list[Fact] = []
    for one in ours:
        facts += _facts_of(one, telling)
    unfinished = any(reading.is_unfinished(one) for one in ours)
    return LookUpAnswer(
        answered=True,
        found=True,
        in_progress=unfinished,
        facts=tuple(_of_this(question, facts)),
        evidence={"count": len(ours), "objects": [_shown(one) for one in ours[:_SHOWN]]},
        issued=next(filter(None, map(answers.issued_meanwhile, ours)), None),
    )


def _facts_of(one: Json, telling: Telling) -> list[Fact]:
    if text_in(one, "object") == "charge":
        facts, charge = charges.charge_facts(one, telling), one
    else:
        facts, charge = reading.intent_facts(one, telling), part(one, "latest_charge")
    for refund in rows(charge.get("refunds")):
        facts += refunds.refund_facts({"charge": charge.get("id"), **refund}, telling)
    return facts


def _of_this(question: LookUpQuestion, facts: list[Fact]) -> list[Fact]:
    """A refusal ends the operation, so it is told only if no sibling under the same reference took or may take money."""
    alive = {FactKind.AUTHORISATION, FactKind.CAPTURE, FactKind.ACTION_REQUIRED}
    if not any(fact.kind in alive for fact in facts):
        return facts
    return [fact for fact in facts if fact.kind != FactKind.DECLINED or fact.about == OperationKind.REFUND]


def _shown(one: Json) -> dict[str, object]:
    if text_in(one, "object") == "charge":
        return evidence.of_charge(one)
    return evidence.of_intent(one) | evidence.of_charge(part(one, "latest_charge"))


def _refunds(question: LookUpQuestion, found: Json, telling: Telling) -> LookUpAnswer:
    if text_in(found, "object") == "refund":
        _refuse_other(question.gateway_id, id_in(found, "id"))
        ours: list[Json] = [found]
    else:
        listed = _list(found, "refund")
        ours = [one for one in listed if charges.reference_of(one) == question.reference]
        if not ours:
            return _not_here(listed, found)
    facts = [fact for one in ours for fact in refunds.refund_facts(one, telling)]
    moved = any(fact.kind == FactKind.REFUND for fact in facts)
    facts = [fact for fact in facts if fact.kind != FactKind.DECLINED or not moved]
    return LookUpAnswer(
        answered=True,
        found=True,
        in_progress=any(text_in(one, "status") in ("pending", "requires_action") for one in ours),
        facts=tuple(facts),
        evidence={"count": len(ours), "objects": [evidence.of_refund(one) for one in ours[:_SHOWN]]},
    )


# --- windows and the probe --------------------------------------------------------------------------------------------


def window_request(start: datetime, end: datetime, *, cursor: str) -> WireRequest:
    """The events of a window, newest first, of the kinds that state facts. Stripe keeps thirty days of them."""
    form = {"limit": str(PAGE_SIZE), "created[gte]": stamp_of(start), "created[lte]": stamp_of(end)}
    form |= {f"types[{place}]": name for place, name in enumerate(sorted(webhook.LISTED))}
    return WireRequest("GET", EVENTS, form | _after(cursor))


def window_answer(wire: WireAnswer, *, at: datetime) -> LookUpAnswer:
    """All facts of one page, oldest first. An event that can not be read is named in the evidence and hides no other."""
    try:
        found = _read(wire)
        listed = _list(found, "event")
        more = "" if not listed or not found["has_more"] else id_in(listed[-1], "id")
    except Unreadable as doubt:
        return LookUpAnswer(answered=False, evidence={"doubt": mask(str(doubt)), "status": wire.status})
    facts: list[Fact] = []
    unreadable: list[str] = []
    for event in reversed(listed):
        try:
            facts += webhook.event_message(event, at).facts
        except Unreadable as doubt:
            unreadable.append(mask(f"{id_in(event, 'id')}: {doubt}"))
    return LookUpAnswer(
        answered=True,
        found=bool(listed),
        facts=tuple(facts),
        evidence={"count": len(listed), "unreadable": unreadable},
        next_cursor=more,
        last=not more,
    )


def probe_request() -> WireRequest:
    """The cheapest question there is: what the account holds."""
    return WireRequest("GET", BALANCE)


def probe_answer(wire: WireAnswer) -> bool:
    try:
        return text_in(_read(wire), "object") == "balance"
    except Unreadable:
        return False
