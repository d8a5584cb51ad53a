"""What do the people who agree to a fix see? Labels and values, to the last minor unit; no ages, no random ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.money import Money
from ledger.queries import EntryLine, EntryView
from payments.services.approvable import Line
from reconciliation.models import Break
from reconciliation.queries.break_words import kind_words
from reconciliation.services.resolutions.base import Answers, Command, money_of
from reconciliation.services.resolutions.rehearsal import Ran


def lines_shown(broken: Break, command: Command, answers: Answers, reason: str, note: str, ran: Ran) -> list[Line]:
    """The break, the fix, each line it books, what else it does, and the residual afterwards."""
    lines: list[Line] = [
        ("Break", f"{kind_words(broken.kind)}, {broken.account.name}, {broken.day}: {broken.public_id}"),
        ("Because", broken.because),
    ]
    if broken.payment_public_id:
        lines.append(("Payment", broken.payment_public_id))
    if broken.currency:
        lines.append(("Difference", str(money_of(broken, broken.difference_minor))))
        lines.append(("Value at risk", str(money_of(broken, broken.value_minor))))
    lines.append(("Fix", command.label))
    lines += answers_shown(command, answers, broken.currency)
    lines += entries_shown(ran.entries)
    lines += [(f"Effect {number}", text) for number, text in enumerate(ran.carried.effects, 1)]
    lines += [("Also ends", other.public_id) for other in ran.carried.also_ends]
    lines.append(("Residual after", residual_words(ran)))
    return [*lines, ("Reason", reason.replace("_", " ")), ("Note", note.strip())]


def answers_shown(command: Command, answers: Answers, currency: str) -> list[Line]:
    """What the person chose, in words; lines of a journal stand among what is booked."""
    given = [name for name in command.fields if name != "lines" and answers.get(name) not in (None, "")]
    return [_answer(name, answers[name], command.words.get(name, {}), currency) for name in given]


def _answer(name: str, value: Any, words: Mapping[str, str], currency: str) -> Line:
    if currency and name.endswith("_minor"):
        return name.removesuffix("_minor").capitalize(), str(Money(value, currency))
    return name.replace("_", " ").capitalize(), words.get(str(value), str(value))


def entries_shown(entries: Iterable[EntryView]) -> list[Line]:
    """Every posting, debit or credit."""
    postings = [line for entry in entries for line in entry.lines]
    return [
        (
            f"Line {number}",
            f"{'Debit' if line.amount_minor > 0 else 'Credit'} {_account(line)}:"
            f" {Money(abs(line.amount_minor), line.ref.currency)}",
        )
        for number, line in enumerate(postings, 1)
    ]


def _account(line: EntryLine) -> str:
    """The number before the name: before a currency it would read as an amount."""
    kept_for = line.ref.gateway or line.ref.customer
    return f"{line.ref.code} {line.account_name}" + (f" of {kept_for}" if kept_for else "")


def residual_words(ran: Ran) -> str:
    """What no break or timing item explains afterwards."""
    shown = ", ".join(str(Money(minor, currency)) for currency, minor in ran.open_residual.items())
    return shown or "0: nothing of it stays unexplained"
