"""What would a command write? It is run in full and taken back: what is shown is what will be, not what somebody foretold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import transaction

from ledger.queries import EntryView, entries_made_here, last_entry_id
from reconciliation.models import Break
from reconciliation.services.resolutions.base import By, Carried, balance_account
from reconciliation.services.resolutions.rematching import book_day_of


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a command: what it did, the entries it posted, and what it would leave unexplained by currency."""

    carried: Carried
    entries: tuple[EntryView, ...]
    residual: Mapping[str, int]

    @property
    def open_residual(self) -> dict[str, int]:
        return {currency: minor for currency, minor in sorted(self.residual.items()) if minor}


def run(broken: Break, by: By, work: Callable[[], Carried]) -> Ran:
    """This function will carry a command out and look at what it did, in the caller's transaction.

    The day's lines are booked first, so that nothing but the command's own doing is seen.
    """
    if broken.line is not None:
        book_day_of(broken.account, [broken.line], by.now)
    before = last_entry_id()
    carried = work()
    entries = tuple(entries_made_here(before))
    return Ran(carried, entries, _residual(broken, carried, entries))


def rehearse(broken: Break, by: By, work: Callable[[], Carried]) -> Ran:
    """The same, taken back: every row it wrote, every message it queued. Raises what the command raises."""
    with transaction.atomic():
        ran = run(broken, by, work)
        transaction.set_rollback(True)
    return ran


def _residual(broken: Break, carried: Carried, entries: tuple[EntryView, ...]) -> dict[str, int]:
    """The gateway's balance less ours and the timing items, once these breaks are over; zero where nothing is left."""
    left: defaultdict[str, int] = defaultdict(int)
    for ended in (broken, *carried.also_ends):
        left[ended.currency] += ended.difference_minor
    left[broken.currency] += carried.gateway_minor - carried.timing_minor
    for entry in entries:
        for line in entry.lines:
            if line.ref == balance_account(broken.account, line.ref.currency):
                left[line.ref.currency] -= line.amount_minor
    return dict(left)
