"""What does NMI remember? All versions of all transactions, vault and used tokens; callers hold the lock."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from simulator.nmi.cards import Card
from simulator.nmi.model import CANCELED, FAILED, Transaction


class Store:
    """In memory. Ids never repeat, not even after reset or restart: they start from the time of day."""

    def __init__(self) -> None:
        # Twelve digits: hundredths of a second since 1970, then counted up; shorter than any card number.
        self._ids = itertools.count(time.time_ns() // 10_000_000)
        self.reset()

    def reset(self) -> None:
        self._versions: dict[str, list[tuple[datetime, Transaction]]] = {}
        self._by_reference: defaultdict[str, list[str]] = defaultdict(list)
        self._refunds: defaultdict[str, list[str]] = defaultdict(list)
        self._by_card: defaultdict[tuple[str, str, int], list[str]] = defaultdict(list)
        self.vault: dict[str, Card] = {}
        self.used_tokens: set[str] = set()

    def next_id(self) -> str:
        return str(next(self._ids))

    def put(self, transaction: Transaction, visible_at: datetime) -> None:
        """Append a version; look-ups show it from `visible_at`."""
        versions = self._versions.setdefault(transaction.transaction_id, [])
        versions.append((visible_at, transaction))
        if len(versions) == 1:
            self._by_reference[transaction.order_id].append(transaction.transaction_id)
            self._by_card[_content(transaction)].append(transaction.transaction_id)
            if transaction.refunds:
                self._refunds[transaction.refunds].append(transaction.transaction_id)

    def get(self, transaction_id: str) -> Transaction | None:
        """The true present version."""
        versions = self._versions.get(transaction_id)
        return versions[-1][1] if versions else None

    def all(self) -> Iterator[Transaction]:
        """The true present versions, oldest transaction first."""
        return (versions[-1][1] for versions in self._versions.values())

    def by_reference(self, reference: str) -> list[Transaction]:
        return [self._versions[found][-1][1] for found in self._by_reference.get(reference, ())]

    def shown(self, now: datetime, lag_seconds: float, ids: Iterable[str] | None = None) -> Iterator[Transaction]:
        """What a look-up may see: of each transaction the last version visible (by `lag_seconds` later) at `now`."""
        until = now - timedelta(seconds=lag_seconds)
        for transaction_id in self._versions if ids is None else ids:
            for visible_at, version in reversed(self._versions.get(transaction_id, ())):
                if visible_at <= until:
                    yield version
                    break

    def ids_of_reference(self, reference: str) -> list[str]:
        return self._by_reference.get(reference, [])

    def refunded_minor(self, transaction_id: str) -> int:
        """The sum of refunds of a transaction that were neither refused nor voided."""
        refunds = (self._versions[found][-1][1] for found in self._refunds.get(transaction_id, ()))
        return sum(r.money_action.amount_minor for r in refunds if r.condition not in (FAILED, CANCELED))

    def same_content(self, card: Card, action_type: str, amount_minor: int) -> Iterator[Transaction]:
        """Approved transactions of this card, type and requested amount, newest first."""
        for found in reversed(self._by_card.get((card.fingerprint, action_type, amount_minor), ())):
            transaction = self._versions[found][-1][1]
            if transaction.actions[0].success:
                yield transaction


def _content(transaction: Transaction) -> tuple[str, str, int]:
    return transaction.card.fingerprint, transaction.opened_as, transaction.requested_minor
