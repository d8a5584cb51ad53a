"""What does the gateway itself say? Its record is asked first and kept as evidence; nothing is ever invented.

The facts go the way of every fact: one decision, both books. A refund made in the gateway's dashboard is one of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from ledger.money import Money
from payments.errors import NotAllowedNow
from payments.queries.gateway_money import MovementRow, open_case_of
from payments.services.actors import Actor
from payments.services.calls import Clock
from payments.services.gateway_record import Asked, ask_record, record_said
from reconciliation.fixes import Fix
from reconciliation.models import Break, BreakEvidence, StatementAccount
from reconciliation.services.resolutions.base import Answers, By, Carried, Command
from reconciliation.services.resolutions.meeting import free_movements, meet, open_breaks_of, worth_of
from reconciliation.states import BreakType, LineKind

RECORD: Final = "gateway record.json"
RULE: Final = "gateway_word"
_REFUNDS: Final = frozenset({LineKind.REFUND, LineKind.REFUND_RETURN})


def ask(broken: Break, answers: Answers, actor: Actor, clock: Clock) -> None:
    """This function will ask the gateway for its record of the break's transaction and lay it beside the break.

    Raises: NotAllowedNow where it does not answer or knows nothing of it. Writes: evidence, where it says something new.
    """
    asked = _asked(broken)
    account_id = broken.account.gateway_account_id
    if asked is None or account_id is None:
        raise NotAllowedNow("There is no transaction of a gateway to ask about.")
    said = ask_record(account_id, asked, clock)
    if not said.answered:
        raise NotAllowedNow(
            f"{broken.account.name} gave no usable answer ({said.trouble}). Nothing is recorded unseen."
        )
    if not said.facts:
        raise NotAllowedNow(f"{broken.account.name}'s own record does not show {asked.gateway_id or asked.reference}.")
    _keep(broken, said.facts, actor, clock)


def _asked(broken: Break) -> Asked | None:
    line = broken.line
    if line is not None and (line.gateway_id or line.reference):
        minor = line.gross_minor if line.presentment_minor is None else line.presentment_minor
        money = Money(abs(minor), line.presentment_currency or line.currency)
        return Asked(line.gateway_id, money, parent_id=line.parent_id, reference=line.reference)
    named = str(broken.ours.get("transaction", "") or broken.theirs.get("transaction", ""))
    return Asked(named, Money(broken.value_minor, broken.currency)) if named and broken.currency else None


def _keep(broken: Break, facts: Sequence[dict[str, Any]], actor: Actor, clock: Clock) -> None:
    content = json.dumps(facts, sort_keys=True, indent=1).encode()
    digest = hashlib.sha256(content).hexdigest()
    last = broken.evidence.filter(name=RECORD).order_by("-id").first()
    if last is None or last.sha256 != digest:
        BreakEvidence.objects.create(
            broken=broken, name=RECORD, content_type="application/json", content=content, size=len(content),
            sha256=digest, by=actor.label[:100], at=clock(),
        )  # fmt: skip


def carry_out_word(broken: Break, answers: Answers, by: By) -> Carried:
    """Record what the gateway said, let line and movement meet, and say what is left to a run.

    Raises: NotAllowedNow where the record is not what the report says.
    """
    kept = broken.evidence.filter(name=RECORD).order_by("-id").first()
    account_id = broken.account.gateway_account_id
    if kept is None or account_id is None:
        raise NotAllowedNow("The gateway has not been asked yet.")
    before = [] if broken.line is None else free_movements(broken.line, account_id)
    recorded = record_said(account_id, json.loads(bytes(kept.content)), actor=by.actor, now=by.now)
    carried = Carried(effects=[one.because for one in recorded if one.changed])
    asked = _asked(broken)
    carried.review_public_id = open_case_of(account_id, asked.gateway_id) if asked else ""
    if carried.review_public_id:
        carried.effects.append("A case asks a person what the money is for.")
    if broken.line is None:
        if not carried.effects:
            raise NotAllowedNow("The gateway's record says nothing that our books do not know.")
        return carried
    found = free_movements(broken.line, account_id)
    if not found:
        raise NotAllowedNow("The gateway's record moves no money that this line could be: nothing would be explained.")
    return _met(broken, found, {row.id for row in before}, carried, by)


def _met(broken: Break, found: list[MovementRow], before: set[int], carried: Carried, by: By) -> Carried:
    """Line and movement meet. What was known before stood among timing items, or is the other side of a break."""
    line = broken.line
    assert line is not None
    carried.also_ends = open_breaks_of([row.id for row in found], broken)
    named = {other.movement_id for other in carried.also_ends}
    known = [row for row in found if row.id in before and row.id not in named and row.id != broken.movement_id]
    carried.timing_minor = sum(worth_of(row, broken) for row in known)
    carried.matches = meet(line, found, broken, by, rule=RULE)
    carried.effects.append(f"Line {line.number} of {line.statement.name} meets it.")
    return carried


def _fits(broken: Break, *, refund: bool) -> str:
    if broken.account.kind != StatementAccount.Kind.GATEWAY or broken.account.gateway_account_id is None:
        return "A bank keeps no record of single payments."
    if _asked(broken) is None:
        return "The line names no transaction that the gateway could be asked about."
    is_refund = broken.kind == BreakType.REFUND_UNMATCHED or (
        broken.line is not None and LineKind(broken.line.kind) in _REFUNDS
    )
    if refund != is_refund and broken.kind == BreakType.MISSING_IN_PAYMENTS:
        return "It is no refund." if refund else "It is a refund: record it as one."
    return ""


REPLAY_FACT = Command(
    fix=Fix.REPLAY_FACT,
    label="Record what the gateway says",
    explanation="A message of the gateway never came. Its own record is asked, and goes into both books as any message.",
    carry_out=carry_out_word,
    before=ask,
    fits=lambda broken: _fits(broken, refund=False),
)
RECORD_REFUND = Command(
    fix=Fix.RECORD_REFUND,
    label="Record the refund made elsewhere",
    explanation="Somebody refunded it in the gateway's dashboard. Its own record is asked, and the refund is recorded.",
    carry_out=carry_out_word,
    before=ask,
    fits=lambda broken: _fits(broken, refund=True),
)
