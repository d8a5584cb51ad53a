"""Which rows are these accounts, and may they go that low? Makes accounts on first use, locks those with a floor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from ledger.chart import AccountRef, Side
from ledger.drafts import EntryDraft
from ledger.errors import InsufficientFunds

# A batch of hundreds of accounts is joined; the few of a single entry are named, which plans and runs three times faster.
_FEW: Final = 8
_FIND_FEW: Final = """
SELECT id, code, currency, gateway, customer, min_balance FROM ledger_account
 WHERE (code, currency, gateway, customer) IN ({rows})
"""
_FIND_MANY: Final = """
SELECT account.id, account.code, account.currency, account.gateway, account.customer, account.min_balance
  FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS wanted (code, currency, gateway, customer)
  JOIN ledger_account AS account USING (code, currency, gateway, customer)
"""
# Rows are made in one order everywhere, so that two first users wait for each other and do not deadlock.
_MAKE: Final = """
INSERT INTO ledger_account (code, currency, gateway, customer, normal_side, memo, open_item, min_balance, created_at)
SELECT code, currency, gateway, customer, normal_side, memo, open_item, min_balance, %s
  FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bool[], %s::bool[], %s::bigint[])
    AS wanted (code, currency, gateway, customer, normal_side, memo, open_item, min_balance)
ON CONFLICT (code, currency, gateway, customer) DO NOTHING
"""
# NO KEY: postings of others that only reference the account's key (foreign key checks) are not held up.
_LOCK: Final = "SELECT id FROM ledger_account WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_BALANCES: Final = """
SELECT wanted.id, coalesce((SELECT sum(amount_minor) FROM ledger_posting WHERE account_id = wanted.id), 0)::bigint
  FROM unnest(%s::bigint[]) AS wanted (id)
"""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """What posting must know of an account's row. `floor_minor` is seen from the normal side; None means no floor."""

    id: int
    ref: AccountRef
    floor_minor: int | None

    @property
    def sign(self) -> int:
        """+1 where debits raise the balance, -1 where credits do."""
        return 1 if self.ref.spec.normal_side is Side.DEBIT else -1


def rows_of(refs: Collection[AccountRef], *, now: datetime) -> dict[AccountRef, AccountRow]:
    """Find the accounts' rows; make the missing ones. Writes: accounts. Idempotent on: the reference."""
    found = _find(refs)
    missing = sorted(ref for ref in refs if ref not in found)
    if missing:
        _make(missing, now)
        found |= _find(missing)
    return found


def _find(refs: Collection[AccountRef]) -> dict[AccountRef, AccountRow]:
    with connection.cursor() as cursor:
        if len(refs) > _FEW:
            cursor.execute(_FIND_MANY, _columns(refs))
        else:
            named = [text for ref in refs for text in (ref.code, ref.currency, ref.gateway, ref.customer)]
            cursor.execute(_FIND_FEW.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(refs))), named)
        rows = cursor.fetchall()
    found = (AccountRow(row[0], AccountRef(*row[1:5]), row[5]) for row in rows)
    return {account.ref: account for account in found}


def _make(refs: Iterable[AccountRef], now: datetime) -> None:
    specs = [ref.spec for ref in refs]
    nature: list[list[object]] = [
        [spec.normal_side.value for spec in specs],
        [spec.memo for spec in specs],
        [spec.open_item for spec in specs],
        [spec.min_balance for spec in specs],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, [now, *_columns(refs), *nature])


def _columns(refs: Iterable[AccountRef]) -> list[list[str]]:
    rows = [(ref.code, ref.currency, ref.gateway, ref.customer) for ref in refs]
    return [[row[column] for row in rows] for column in range(4)]


def lock_lowered(accounts: Mapping[AccountRef, AccountRow], drafts: Iterable[EntryDraft]) -> list[AccountRow]:
    """Lock, in id order, the accounts with a floor that any of these drafts lowers; return them."""
    lowered = {
        account.id: account
        for draft in drafts
        for line in draft.postings
        for account in (accounts[line.account],)
        if account.floor_minor is not None and line.amount_minor * account.sign < 0
    }
    if lowered:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [sorted(lowered)])
    return list(lowered.values())


def available(locked: Collection[AccountRow]) -> dict[AccountRef, int]:
    """Minor units each locked account may still lose before its floor; negative when it is below already.

    A statement of its own after the lock: it sees what the transaction we waited for has committed.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, [[account.id for account in locked]])
        sums: dict[int, int] = dict(cursor.fetchall())
    return {account.ref: sums[account.id] * account.sign - (account.floor_minor or 0) for account in locked}


def check_floors(locked: Collection[AccountRow], drafts: Iterable[EntryDraft]) -> None:
    """Raises: InsufficientFunds when the drafts together take an account below its floor; what raises it may pass."""
    signs = {account.ref: account.sign for account in locked}
    change = dict.fromkeys(signs, 0)
    for draft in drafts:
        for line in draft.postings:
            if line.account in change:
                change[line.account] += line.amount_minor * signs[line.account]
    left = available(locked)
    for ref, amount in sorted(change.items()):
        if amount < 0 and left[ref] + amount < 0:
            raise InsufficientFunds(str(ref), ref.currency, available_minor=left[ref], needed_minor=-amount)
