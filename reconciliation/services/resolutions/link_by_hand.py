"""A person says that these two are the same money: a line and a movement, or a bank line and a payout. Both must be free.

Sums may differ by rounding inside the tolerance, or by a fee that the gateway kept back; by anything else they are not
the same money.
"""

from __future__ import annotations

from ledger import chart
from payments.errors import InvalidInput, NotAllowedNow
from payments.queries.gateway_money import (
    MovementRow,
    movement_by_id,
    movement_by_public_id,
    payout_by_public_id,
)
from payments.services.payouts import confirm_in_bank
from reconciliation.fixes import Fix
from reconciliation.models import Break, Line, Match, StatementAccount
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of, post_difference
from reconciliation.services.resolutions.meeting import KINDS, meet, open_breaks_of, worth_of
from reconciliation.services.resolutions.rounding import STEP, lock_rounding, too_much
from reconciliation.states import OPEN_BREAK_STATES, LineKind

RULE = "by_hand"


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    named = str(answers.get("counterpart", "")).strip()
    if broken.line is not None and broken.account.kind == StatementAccount.Kind.BANK:
        return _to_payout(broken, broken.line, named, by)
    line, movement = _both(broken, named)
    if line.currency != broken.currency:
        raise InvalidInput(f"The line is in {line.currency}, the break in {broken.currency}.", field="counterpart")
    carried = Carried()
    worth = worth_of(movement, broken)
    if not worth:
        raise InvalidInput(f"{movement.public_id} moved nothing in {broken.currency} here.", field="counterpart")
    _explain(broken, line, worth, str(answers.get("rest", "")), by, carried)
    carried.also_ends = _other_side(broken, line, movement)
    _no_more_expected(broken, line, movement, worth, carried)
    carried.matches = meet(line, [movement], broken, by, rule=RULE)
    carried.effects.append(
        f"Line {line.line_key} meets {movement.public_id} of {movement.payment_public_id or 'nobody'}."
    )
    return carried


def _both(broken: Break, named: str) -> tuple[Line, MovementRow]:
    """Whichever of the two the break is not about is named by the person. Raises: InvalidInput."""
    if broken.line is not None:
        found = movement_by_public_id(named)
        if found is None or found.account_id != broken.account.gateway_account_id:
            raise InvalidInput("Name a movement of this gateway account, mov_….", field="counterpart")
        if found.kind not in KINDS.get(broken.line.kind, ()):
            raise InvalidInput(f"The line is a {broken.line.kind}, that movement a {found.kind}.", field="counterpart")
        return broken.line, found
    movement = movement_by_id(broken.movement_id or 0)
    line = (
        Line.objects.select_related("statement").filter(account=broken.account, line_key=named, removed=False).first()
    )
    if movement is None or line is None:
        raise InvalidInput("Name a line of this account by its key.", field="counterpart")
    if movement.kind not in KINDS.get(line.kind, ()):
        raise InvalidInput(f"The movement is a {movement.kind}, that line a {line.kind}.", field="counterpart")
    return line, movement


def _explain(broken: Break, line: Line, worth: int, rest: str, by: By, carried: Carried) -> None:
    """Book what the sums differ by, if it may be what the person says it is. Raises: NotAllowedNow, InvalidInput."""
    off, step = line.gross_minor - worth, "rest"
    if not off:
        return
    if rest == "rounding":
        lock_rounding(broken)
        refused = too_much(broken, line.day, off)
        if refused:
            raise NotAllowedNow(f"They differ by {money_of(broken, off)}. {refused}")
        code, step = chart.ROUNDING.code, STEP
    elif rest == "fee":
        if off > 0 or abs(off) * 10 > abs(worth):
            raise NotAllowedNow(f"They differ by {money_of(broken, off)}: that is no fee the gateway kept back.")
        code = chart.GATEWAY_FEES.code
    else:
        raise InvalidInput(f"They differ by {money_of(broken, off)}: say what that is.", field="rest")
    text = f"{rest} between two that were linked"
    post_difference(broken, by, code, amount_minor=off, step=step, text=text, line=line)
    carried.effects.append(f"{money_of(broken, off)} between them is {rest}.")


def _other_side(broken: Break, line: Line, movement: MovementRow) -> list[Break]:
    """The break of the other side, if there is one: it ends with this one."""
    about = open_breaks_of([movement.id], broken)
    known = {other.pk for other in about} | {broken.pk}
    rows = Break.objects.select_for_update(of=("self",)).select_related("account", "line").filter(
        account=broken.account, line=line, state__in=[state.value for state in OPEN_BREAK_STATES]
    )  # fmt: skip
    return [*about, *rows.exclude(pk__in=known).order_by("id")]


def _no_more_expected(broken: Break, line: Line, movement: MovementRow, worth: int, carried: Carried) -> None:
    """What was no break stood among timing items, and leaves them: a movement unreported, or a line ahead of our word."""
    ended = (broken, *carried.also_ends)
    if not any(one.movement_id == movement.id for one in ended):
        carried.timing_minor += worth
    if not any(one.line_id == line.pk for one in ended):
        net = line.net_minor if line.net_minor is not None else line.gross_minor
        carried.timing_minor -= net


def _to_payout(broken: Break, line: Line, named: str, by: By) -> Carried:
    """A line of the bank is this payout: it has arrived."""
    payout = payout_by_public_id(named)
    if payout is None:
        raise InvalidInput("Name a payout, po_….", field="counterpart")
    if payout.money.currency != line.currency or payout.money.amount_minor != line.gross_minor:
        raise NotAllowedNow(f"The payout is {payout.money}, the bank's line {money_of(broken, line.gross_minor)}.")
    if line.kind != LineKind.BANK_CREDIT or Match.objects.filter(undone_at=None, line=line).exists():
        raise NotAllowedNow("The line is no credit, or has met a payout already.")
    if Match.objects.filter(undone_at=None, payout_id=payout.id).exists():
        raise NotAllowedNow("The payout has met another line of the bank already.")
    confirm_in_bank(payout.id, on=line.day, bank_line_key=line.line_key, now=by.now, actor=by.actor.label)
    match = Match.objects.create(
        run=broken.last_run, account=line.account, line=line, payout_id=payout.id, rule=RULE, matched_at=by.now,
        matched_by=by.actor.label[:100],
    )  # fmt: skip
    rows = Break.objects.select_for_update(of=("self",)).select_related("account", "line").filter(
        payout_id=payout.id, kind="payout_not_in_bank", state__in=[state.value for state in OPEN_BREAK_STATES]
    )  # fmt: skip
    return Carried(
        effects=[f"The bank's line of {line.day:%d %b %Y} is payout {payout.public_id}."],
        matches=[match.pk],
        also_ends=list(rows.order_by("id")),
        barred_undo="The payout is in the bank by the bank's own line: its return would be a line of its own.",
    )


def _fits(broken: Break) -> str:
    if broken.line is None and broken.movement_id is None:
        return (
            "Link from the bank's line: its break names the payout." if broken.payout_id else "Neither side is named."
        )
    return ""


LINK_BY_HAND = Command(
    fix=Fix.LINK_BY_HAND,
    label="Link by hand",
    explanation="These two are the same money, though nothing they share says so. Both must be free.",
    carry_out=_carry_out,
    fits=_fits,
    fields=("counterpart", "rest"),
)
