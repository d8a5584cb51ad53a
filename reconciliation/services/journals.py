"""How is an entry made by hand that belongs to no break? On flagged accounts, balanced, asked for by one and agreed by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from ledger.drafts import EntryDraft
from ledger.errors import LedgerError
from ledger.money import Money
from ledger.services import post_entry
from payments.card_numbers import has_card_number
from payments.errors import CardNumberRefused, InvalidInput
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Approval, Line
from payments.services.approvals import ask_approval
from reconciliation.services.resolutions.base import POST_JOURNAL as RIGHT
from reconciliation.services.resolutions.base import moment_of
from reconciliation.services.resolutions.post_journal import draft_line, lines_of

_SHORTEST: Final = 5


@dataclass(frozen=True, slots=True)
class Journal:
    """An entry as a person writes it. `lines` as `post_journal.lines_of` reads them: minor units, debit positive."""

    lines: Sequence[Mapping[str, Any]]
    text: str
    day: date
    request_id: str

    def as_arguments(self) -> dict[str, Any]:
        """As an approval keeps it."""
        return {
            "lines": [dict(line) for line in self.lines],
            "text": self.text,
            "day": self.day.isoformat(),
            "request_id": self.request_id,
        }


def preview_journal(journal: Journal, *, actor: Actor, now: datetime) -> EntryDraft:
    """The entry as it would be posted. Raises: Forbidden, InvalidInput naming the field. Writes nothing."""
    actor.require(RIGHT)
    return _draft(journal, actor, now)


def ask_journal(journal: Journal, *, actor: Actor, now: datetime) -> Approval:
    """This function will ask a second person to agree to an entry by hand; there is no sum that one person may post.

    Raises: Forbidden, InvalidInput, Conflict. Idempotent as `ask_approval`. Writes: the request.
    """
    actor.require(RIGHT)
    _draft(journal, actor, now)
    subject = f"journal:{journal.request_id}"
    return ask_approval("post_journal", subject, journal.as_arguments(), reason=journal.text, actor=actor, now=now)


def _draft(journal: Journal, actor: Actor, now: datetime) -> EntryDraft:
    text = journal.text.strip()
    if len(text) < _SHORTEST:
        raise InvalidInput("What is it for? The entry shows it.", field="text")
    if has_card_number(text):
        raise CardNumberRefused("This looks like a card number: it is not kept. Leave it out.", field="text")
    if journal.day > now.date():
        raise InvalidInput("An entry is not of a day to come.", field="day")
    lines = tuple(draft_line(line) for line in lines_of({"lines": journal.lines}))
    try:
        return EntryDraft(
            source_key=f"journal:{journal.request_id}",
            subject=f"journal:{journal.request_id}",
            occurred_at=moment_of(journal.day, now),
            description=text[:400],
            postings=lines,
            actor=actor.label[:100],
        )
    except LedgerError as error:
        raise InvalidInput(str(error), field="lines") from error


def _show(subject: str, arguments: Mapping[str, Any], now: datetime) -> list[Line]:
    draft = _draft(_journal(arguments), Actor(label=""), now)
    shown = [
        (f"Line {number}", f"{'Debit' if line.amount_minor > 0 else 'Credit'} {line.account} {line.account.spec.name}:"
         f" {Money(abs(line.amount_minor), line.account.currency)}")
        for number, line in enumerate(draft.postings, 1)
    ]  # fmt: skip
    return [("Day", str(arguments["day"])), *shown, ("For", draft.description)]


def _execute(
    subject: str, arguments: Mapping[str, Any], *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    posted = post_entry(_draft(_journal(arguments), maker, now), now=now)
    return f"{posted.public_id} is booked on {posted.booked_on:%d %b %Y}."


def _journal(arguments: Mapping[str, Any]) -> Journal:
    return Journal(arguments["lines"], arguments["text"], date.fromisoformat(arguments["day"]), arguments["request_id"])


POST_JOURNAL: Final = Approvable(title="Book a journal by hand", right=RIGHT, show=_show, execute=_execute)
