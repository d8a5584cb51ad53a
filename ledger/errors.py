"""Which refusals do the books know? One small class each: attributes for code, a sentence for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date


class LedgerError(Exception):
    """Any refusal of the books. Nothing was written by the call that raised it."""


class UnknownAccount(LedgerError):
    """The chart has no account of this code."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"The chart of accounts has no account {code!r}. Add it to ledger/chart.py first.")


class WrongDimensions(LedgerError):
    """An account was named with a dimension it does not have, or without one it needs."""

    def __init__(self, code: str, *, needs: Sequence[str], got: Sequence[str]) -> None:
        self.code, self.needs, self.got = code, tuple(needs), tuple(got)
        wanted, given = (" and ".join(names) or "nothing" for names in (needs, got))
        super().__init__(f"Account {code} is kept per {wanted} (and currency), but {given} was given.")


class DraftRefused(LedgerError):
    """An entry that may not exist was about to be built. The message says what is wrong with it."""


class UnbalancedDraft(DraftRefused):
    """Debits and credits of one currency differ."""

    def __init__(self, source_key: str, currency: str, difference_minor: int, *, memo: bool = False) -> None:
        self.source_key, self.currency, self.difference_minor = source_key, currency, difference_minor
        side = "debits exceed credits" if difference_minor > 0 else "credits exceed debits"
        lines = "memo lines" if memo else "lines"
        super().__init__(
            f"Entry {source_key!r}: {side} by {abs(difference_minor)} minor units on its {currency} {lines}. "
            "Each currency must balance by itself."
        )


class NotInTransaction(LedgerError):
    """Posting was asked outside a transaction."""

    def __init__(self) -> None:
        super().__init__(
            "Entries are posted inside the caller's transaction, together with what they record: call this within "
            "transaction.atomic()."
        )


class SourceKeyConflict(LedgerError):
    """The same source key was used for other content. A correction is a reversal and a new entry."""

    def __init__(self, source_key: str, entry_public_id: str, fields: Sequence[str], details: str) -> None:
        self.source_key, self.entry_public_id, self.fields = source_key, entry_public_id, tuple(fields)
        super().__init__(
            f"{source_key!r} was already posted as {entry_public_id or 'another draft of this batch'} with other "
            f"{', '.join(fields)}: {details}. Reverse that entry and post the right one under a new key."
        )


class InsufficientFunds(LedgerError):
    """An account with a floor would fall below it."""

    def __init__(self, account: str, currency: str, *, available_minor: int, needed_minor: int) -> None:
        self.account, self.currency = account, currency
        self.available_minor, self.needed_minor = available_minor, needed_minor
        self.missing_minor = needed_minor - available_minor
        super().__init__(
            f"Account {account} has {available_minor} minor units of {currency} available, {needed_minor} are needed: "
            f"{self.missing_minor} missing."
        )


class EntryNotFound(LedgerError):
    """No entry has this public id."""

    def __init__(self, public_id: str) -> None:
        self.public_id = public_id
        super().__init__(f"There is no journal entry {public_id!r}.")


class AlreadyReversed(LedgerError):
    """An entry is reversed once. What is still wrong is put right by a new entry."""

    def __init__(self, public_id: str, reversal_public_id: str) -> None:
        self.public_id, self.reversal_public_id = public_id, reversal_public_id
        super().__init__(
            f"Entry {public_id} was already reversed by {reversal_public_id}. Post a new entry for what is still wrong."
        )


class DayNotClosable(LedgerError):
    """A day can not be closed, or not be opened again."""

    def __init__(self, day: date, why: str) -> None:
        self.day = day
        super().__init__(f"{day} {why}")
