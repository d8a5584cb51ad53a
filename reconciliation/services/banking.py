"""Which payouts does the bank show? Lines of a bank's statement meet payouts by what both name; the rest are differences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef

from payments.queries import reconciling as ours
from payments.queries.reconciling import PayoutKnown
from payments.services.payouts import confirm_in_bank, return_from_bank
from reconciliation.engine import Broken
from reconciliation.findings import FoundBreak
from reconciliation.models import Line, Match, Run, StatementAccount
from reconciliation.queries.comparing import line_entries
from reconciliation.queries.scope import Scope
from reconciliation.rules.base import LineEntry, said, their_side
from reconciliation.states import BANK_KINDS, BreakType

RULE: Final = "bank_reference"
_NEAR: Final = timedelta(days=3)
_GONE_BACK: Final = frozenset({"in_bank", "failed", "returned"})


def match_bank(run: Run, scope: Scope, now: datetime) -> list[Broken]:
    """This function will meet open lines of a bank with payouts, and confirm those; returns what no payout explains.

    A line and a payout meet when the line names the payout (its bank reference or id) or its gateway, and the amounts are
    equal; where only the gateway is named, once on either side and close to the day it was to arrive.
    Idempotent on: lines in a match. Writes: matches, payouts and their entries; one transaction a line.
    """
    lines = _open_lines(scope)
    waiting = ours.payouts_not_in_bank()
    names = _names()
    broken: list[Broken] = []
    for line in lines:
        payout = _named(line, waiting) or _by_gateway(line, lines, waiting, names)
        if payout is not None:
            _confirm(run, line, payout, now)
            waiting.remove(payout)
        elif not _returned(run, line, now):
            broken.append(Broken(_unmatched(line, waiting), (line.id,)))
    return broken


def _open_lines(scope: Scope) -> list[LineEntry]:
    met = Match.objects.filter(line_id=OuterRef("pk"), undone_at=None)
    rows = Line.objects.filter(
        account_id=scope.account_id, removed=False, kind__in=sorted(kind.value for kind in BANK_KINDS)
    )
    inside = rows.filter(day__range=(scope.first, scope.day)) | rows.filter(pk__in=scope.line_ids)
    free = inside.filter(~Exists(met)).exclude(pk__in=scope.settled_lines)
    return line_entries(list(free.values_list("pk", flat=True)))


def _text(line: LineEntry) -> str:
    return " ".join((line.reference, line.text, line.gateway_id, line.payout_id, *_bank_ref(line))).lower()


def _bank_ref(line: LineEntry) -> Sequence[str]:
    return [ref for ref in Line.objects.filter(pk=line.id).values_list("bank_ref", flat=True) if ref]


def _names_it(line: LineEntry, payout: PayoutKnown) -> bool:
    text = _text(line)
    return any(_stands_in(name.lower(), text) for name in (payout.bank_ref, payout.gateway_id) if name)


def _stands_in(name: str, text: str) -> bool:
    """As a word of its own: `po_1` does not stand in `po_12`, nor the 7 in 4711."""
    return re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text) is not None


def _named(line: LineEntry, waiting: Sequence[PayoutKnown]) -> PayoutKnown | None:
    for payout in waiting:
        if (payout.amount_minor, payout.currency) == (line.gross_minor, line.currency) and _names_it(line, payout):
            return payout
    return None


def _names() -> dict[int, tuple[str, ...]]:
    """How a bank's text may name a gateway."""
    accounts = StatementAccount.objects.filter(gateway_account__isnull=False).select_related("gateway_account")
    return {
        account.gateway_account_id or 0: tuple(
            {account.slug.lower(), account.name.lower(), account.gateway_account.provider.lower()}
            if account.gateway_account
            else ()
        )
        for account in accounts
    }


def _by_gateway(
    line: LineEntry, lines: Sequence[LineEntry], waiting: Sequence[PayoutKnown], names: dict[int, tuple[str, ...]]
) -> PayoutKnown | None:
    text = _text(line)
    alike = [
        payout
        for payout in waiting
        if (payout.amount_minor, payout.currency) == (line.gross_minor, line.currency)
        and abs(payout.arrives_on - line.day) <= _NEAR
        and any(_stands_in(name, text) for name in names.get(payout.gateway_account_id, ()))
    ]
    same = [other for other in lines if (other.gross_minor, other.currency) == (line.gross_minor, line.currency)]
    return alike[0] if len(alike) == 1 and len(same) == 1 else None


@transaction.atomic
def _confirm(run: Run, line: LineEntry, payout: PayoutKnown, now: datetime) -> None:
    _keep(run, line, payout.id, now)
    confirm_in_bank(payout.id, on=line.day, bank_line_key=line.key, now=now)


def _returned(run: Run, line: LineEntry, now: datetime) -> bool:
    """Money that leaves the bank and names a payout of the same amount: the bank sent it back."""
    if line.gross_minor >= 0:
        return False
    for payout in _gone_back(line):
        if _names_it(line, payout):
            with transaction.atomic():
                _keep(run, line, payout.id, now)
                return_from_bank(payout.id, on=line.day, bank_line_key=line.key, now=now)
            return True
    return False


def _gone_back(line: LineEntry) -> list[PayoutKnown]:
    found = ours.payouts_in_bank(line.currency, -line.gross_minor)
    return [payout for payout in found if payout.state in _GONE_BACK]


def _keep(run: Run, line: LineEntry, payout_id: int, now: datetime) -> None:
    Match.objects.create(
        run=run, account_id=run.account_id, line_id=line.id, payout_id=payout_id, rule=RULE, matched_at=now
    )


def _unmatched(line: LineEntry, waiting: Sequence[PayoutKnown]) -> FoundBreak:
    alike = [p for p in waiting if (p.amount_minor, p.currency) == (line.gross_minor, line.currency)]
    money = said(line.gross_minor, line.currency)
    ours_: dict[str, str] = {}
    if alike:
        ours_["candidates"] = "; ".join(
            f"{p.public_id} {p.gateway_id}, to arrive on {_day(p.arrives_on)}" for p in alike[:5]
        )
    return FoundBreak(
        kind=BreakType.BANK_UNMATCHED,
        key=f"line:{line.key}",
        currency=line.currency,
        difference_minor=line.worth_minor,
        value_minor=abs(line.gross_minor),
        day=line.day,
        cause=f"the bank's lines without payout, {line.currency}",
        because=f"The bank shows {money} on {line.day}, and no payout explains it.",
        ours=ours_,
        theirs=their_side(line),
        line_id=line.id,
        statement_id=line.statement_id,
    )


def _day(day: date) -> str:
    return day.isoformat()
