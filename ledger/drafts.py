"""Debit is positive, credit is negative, amounts are whole minor units (bigint): what is an entry about to be posted?

Pure. Building a draft that may not be booked is impossible: unbalanced in a currency, fewer than two lines, a line of
zero, no key. A draft is a value; `ledger.services.post_entries` makes it permanent.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.chart import AccountRef, check_text
from ledger.errors import DraftRefused, UnbalancedDraft
from ledger.money import Money, checked_minor

CONTENT_FIELDS: Final = ("accounts", "amounts", "currency", "subject", "match_key", "reverses")
"""What the content hash covers, in the words of the conflict message."""


@dataclass(frozen=True, slots=True)
class PostingDraft:
    """One line: an account and a signed amount, debit positive. Raises: DraftRefused, AmountError."""

    account: AccountRef
    amount_minor: int
    match_key: str = ""
    """Which open item the line belongs to; required on open-item accounts."""

    def __post_init__(self) -> None:
        checked_minor(self.amount_minor)
        if self.amount_minor == 0:
            raise DraftRefused(f"A line of zero on account {self.account} says nothing: leave it out.")
        check_text(
            "match key", self.match_key, required=self.account.spec.open_item, where=lambda: f"account {self.account}"
        )

    @property
    def money(self) -> Money:
        """The signed amount with its currency."""
        return Money(self.amount_minor, self.account.currency)


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """Two or more lines that balance in every currency, and why. Raises: DraftRefused (UnbalancedDraft)."""

    source_key: str
    """What is recorded: the movement or command, never the event that told of it. Unique for ever."""
    subject: str
    """Public id of what the entry is about, such as the payment."""
    occurred_at: datetime
    """When it happened in the world; decides the accounting date."""
    description: str
    postings: tuple[PostingDraft, ...]
    reverses: str | None = None
    """Public id of the entry this one takes back."""
    actor: str = ""
    """Who decided it, when a person did."""

    def __post_init__(self) -> None:
        check_text("source key", self.source_key, required=True, where=lambda: "an entry")
        check_text("subject", self.subject, required=True, where=self._name)
        check_text("actor", self.actor, required=False, where=self._name)
        if "\x00" in self.description:
            raise DraftRefused(f"The description of {self._name()} holds a NUL character.")
        if self.occurred_at.utcoffset() is None:
            raise DraftRefused(f"occurred_at of {self._name()} has no time zone.")
        object.__setattr__(self, "postings", tuple(self.postings))
        if len(self.postings) < 2:
            raise DraftRefused(
                f"Entry {self.source_key!r} has {len(self.postings)} lines; double entry needs at least two."
            )
        self._check_balance()

    def _name(self) -> str:
        return f"entry {self.source_key!r}"

    def _check_balance(self) -> None:
        sums: defaultdict[tuple[str, bool], int] = defaultdict(int)
        for line in self.postings:
            sums[line.account.currency, line.account.spec.memo] += line.amount_minor
        for (currency, memo), total in sorted(sums.items()):
            if total != 0:
                raise UnbalancedDraft(self.source_key, currency, total, memo=memo)

    @property
    def content(self) -> dict[str, object]:
        """The hashed content by the names of `CONTENT_FIELDS`; equal content gives equal values."""
        lines = sorted((line.account, line.amount_minor, line.match_key) for line in self.postings)
        return {
            "accounts": sorted({str(account) for account, _, _ in lines}),
            "amounts": [[str(account), amount] for account, amount, _ in lines],
            "currency": sorted({account.currency for account, _, _ in lines}),
            "subject": self.subject,
            "match_key": sorted({key for _, _, key in lines}),
            "reverses": self.reverses or "",
        }

    @property
    def content_hash(self) -> str:
        """SHA-256 over lines, match keys, subject and the reversed entry; the order of the lines is no content."""
        return content_hash(
            self.subject,
            self.reverses or "",
            (
                (a.code, a.currency, a.gateway, a.customer, line.amount_minor, line.match_key)
                for line in self.postings
                for a in (line.account,)
            ),
        )


def content_hash(subject: str, reverses: str, lines: Iterable[tuple[str, str, str, str, int, str]]) -> str:
    """Canonical hash of an entry. A line is (code, currency, gateway, customer, amount_minor, match_key)."""
    canonical = json.dumps([subject, reverses, sorted(lines)], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def debit(account: AccountRef, money: Money, match_key: str = "") -> PostingDraft:
    """A line on the debit side. Raises: DraftRefused unless the money is positive and in the account's currency."""
    return PostingDraft(account, _positive(account, money).amount_minor, match_key)


def credit(account: AccountRef, money: Money, match_key: str = "") -> PostingDraft:
    """A line on the credit side. Raises: DraftRefused unless the money is positive and in the account's currency."""
    return PostingDraft(account, -_positive(account, money).amount_minor, match_key)


def _positive(account: AccountRef, money: Money) -> Money:
    if money.currency != account.currency:
        raise DraftRefused(f"{money} cannot stand on account {account}: an account has one currency.")
    if not money.is_positive:
        raise DraftRefused(f"{money} on account {account} must be positive: the side says the direction.")
    return money
