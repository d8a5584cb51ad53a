"""A journal by hand: on the accounts flagged for it, balanced, by two people. For one break, or of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.chart import CHART, AccountRef
from ledger.drafts import PostingDraft
from ledger.errors import LedgerError
from payments.errors import InvalidInput
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.services.resolutions.base import (
    POST_JOURNAL as RIGHT,
)
from reconciliation.services.resolutions.base import (
    Answers,
    By,
    Carried,
    Command,
    balance_account,
    open_item,
    post_for,
)
from reconciliation.services.resolutions.meeting import let_pair_meet, off_of

MANUAL: Final = tuple(sorted(spec.code for spec in CHART.values() if spec.manual))
_MOST = 20


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line as a person writes it: minor units, debit positive."""

    code: str
    currency: str
    amount_minor: int
    gateway: str = ""


def lines_of(answers: Answers) -> tuple[JournalLine, ...]:
    """The lines of an answer. Raises: InvalidInput for what is no line, or too many."""
    rows: Sequence[Any] = answers.get("lines") or ()
    if not 0 < len(rows) <= _MOST:
        raise InvalidInput(f"A journal has one to {_MOST} lines.", field="lines")
    try:
        return tuple(
            JournalLine(str(row["code"]), str(row["currency"]), int(row["amount_minor"]), str(row.get("gateway", "")))
            for row in rows
        )
    except (KeyError, TypeError, ValueError):
        raise InvalidInput("A line needs an account, a currency and a sum.", field="lines") from None


def draft_line(line: JournalLine) -> PostingDraft:
    """Raises: InvalidInput for an account that is not flagged, lacks its gateway, or a sum of zero."""
    if line.code not in MANUAL:
        raise InvalidInput(f"Account {line.code} is not open to journals by hand.", field="lines")
    spec = CHART[line.code]
    gateway = line.gateway if "gateway" in spec.dimensions else ""
    try:
        return PostingDraft(AccountRef(line.code, line.currency, gateway=gateway), line.amount_minor)
    except (LedgerError, ValueError) as error:
        raise InvalidInput(str(error), field="lines") from error


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    """The person writes the other side; the balance account's line is what the break needs, no more and no less."""
    lines = [draft_line(line) for line in lines_of(answers)]
    off = off_of(broken)
    if {line.account.currency for line in lines} - {broken.currency}:
        raise InvalidInput(f"A journal for this break is in {broken.currency}.", field="lines")
    total = sum(line.amount_minor for line in lines)
    if total != -off:
        raise InvalidInput(
            f"Its lines come to {total} minor units; {-off} would end the break. The balance's line is written by itself.",
            field="lines",
        )
    if off:
        lines.insert(0, PostingDraft(balance_account(broken.account, broken.currency), off, open_item(broken)))
    post_for(broken, by, tuple(lines), step="journal", text="journal by hand")
    carried = Carried(effects=[f"{len(lines)} lines are booked by hand."])
    let_pair_meet(broken, by, carried)
    return carried


POST_JOURNAL = Command(
    fix=Fix.POST_JOURNAL,
    label="Journal by hand",
    explanation="None of the others says what it is: the other side is written by hand. Always two people.",
    carry_out=_carry_out,
    fits=lambda broken: "" if broken.currency else "It is about no money.",
    fields=("lines",),
    two_people=True,
    evidence=True,
    right=RIGHT,
)
