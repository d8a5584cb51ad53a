"""Is a report whole? What it says it holds beside what was read; balances that follow on; each with its sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ledger.money import Money
from reconciliation.errors import UnreadableStatement
from reconciliation.lines import AccountNamed, Balance, ControlTotal, Item, RejectedLine, Shortfall, StatementLine
from reconciliation.models import Statement, StatementAccount
from reconciliation.states import StatementState

OPENING = "opening balance"


@dataclass
class Tally:
    """Adds up what passes, in flat memory. Sums are of all lines as they stand in the report, by currency."""

    sums: dict[str, dict[str, int]] = field(default_factory=dict)
    controls: list[dict[str, Any]] = field(default_factory=list)
    balances: list[dict[str, Any]] = field(default_factory=list)
    account: str = ""
    _told: list[ControlTotal] = field(default_factory=list)
    _running: dict[str, int] = field(default_factory=dict)
    _closed: dict[str, int] = field(default_factory=dict)

    def lines(self, items: Iterable[Item]) -> Iterator[StatementLine | RejectedLine]:
        """The lines and rejected lines, while everything else is noted."""
        for item in items:
            if isinstance(item, StatementLine):
                self._add(item)
                yield item
            elif isinstance(item, RejectedLine):
                yield item
            elif isinstance(item, Balance):
                self._balance(item)
            elif isinstance(item, ControlTotal):
                self._told.append(item)
            elif isinstance(item, AccountNamed):
                self._of(item)
            else:
                self._note(_shortfall(item))

    def _of(self, told: AccountNamed) -> None:
        """One file, one account. Raises: UnreadableStatement."""
        name = "".join(told.name.split()).upper()[:64]
        if self.account and name != self.account:
            raise UnreadableStatement(
                f"It holds statements of more than one account, {self.account} and {name}: read a file of each."
            )
        self.account = name

    def finish(self, *, read: int, rejected: int) -> None:
        """Compare the totals the report names. To be called once, after the last line."""
        for told in self._told:
            self._note(self._control(told, read, rejected))
        if read and read == rejected:
            self._note(_shortfall(Shortfall("Every line was rejected: does the mapping fit this file?")))

    def _add(self, line: StatementLine) -> None:
        sums = self.sums.setdefault(line.currency, defaultdict(int))
        net = line.gross_minor if line.net_minor is None else line.net_minor
        sums["lines"] += 1
        sums["gross"] += line.gross_minor
        sums["fee"] += line.fee_minor or 0
        sums["tax"] += line.tax_minor or 0
        sums["net"] += net
        if line.currency in self._running:
            self._running[line.currency] += net

    def _balance(self, told: Balance) -> None:
        on = told.on.isoformat() if told.on else ""
        self.balances.append(
            {"opening": told.opening, "currency": told.currency, "amount_minor": told.amount_minor, "on": on}
        )
        if told.opening:
            before = self._closed.get(told.currency)
            if before is not None:
                self._note(_amount_control("opening balance inside the file", told.currency, told.amount_minor, before))
            self._running[told.currency] = told.amount_minor
        else:
            found = self._running.get(told.currency)
            if found is not None:
                self._note(_amount_control("closing balance", told.currency, told.amount_minor, found))
            self._closed[told.currency] = told.amount_minor

    def _control(self, told: ControlTotal, read: int, rejected: int) -> dict[str, Any]:
        if told.found is not None or told.name == "lines":
            return _count_control(told.name, told.value, read if told.found is None else told.found)
        found = self.sums.get(told.currency, {}).get(told.name, 0)
        control = _amount_control(f"sum of {told.name}", told.currency, told.value, found)
        if rejected and not control["holds"]:
            control["words"] += f" {rejected:,} rejected lines are not in the sum."
        return control

    def _note(self, control: dict[str, Any]) -> None:
        self.controls.append(control)


def require_same_account(account: StatementAccount, source: str, named: str) -> None:
    """The statement is of the account that earlier ones were of, and of no other of ours. Raises: UnreadableStatement."""
    if not named:
        return
    read = Statement.objects.filter(source=source, state__in=[StatementState.READ, StatementState.SUPERSEDED])
    before = read.filter(account=account).exclude(told_account="").order_by("-id").first()
    if before is not None and before.told_account != named:
        raise UnreadableStatement(
            f"It is of account {named}; the statements of {account.name} are of {before.told_account}."
        )
    others = StatementAccount.objects.filter(pk__in=read.filter(told_account=named).values("account")).exclude(
        pk=account.pk
    )
    # Some banks keep every currency under one number, and ours are an account each.
    other = next((one for one in others if not _apart(one, account)), None)
    if other is not None:
        raise UnreadableStatement(f"It is of account {named}, whose statements are those of {other.name}.")


def _apart(one: StatementAccount, other: StatementAccount) -> bool:
    return bool(one.currencies and other.currencies) and not set(one.currencies) & set(other.currencies)


def follow_on(statement: Statement) -> None:
    """Compare the opening balances with the closing ones of the report before. Changes the statement, unsaved."""
    kept = [control for control in statement.controls if control["name"] != OPENING]
    for currency, amount_minor in _first_openings(statement).items():
        before = _closing_before(statement, currency)
        if before is not None:
            kept.append(_amount_control(OPENING, currency, amount_minor, before, "the statement before closed at"))
    statement.controls = kept
    failing = [control["words"] for control in kept if not control["holds"]]
    statement.complete = not failing
    statement.incomplete_because = " ".join(failing)[:400]


def next_to_follow(statement: Statement) -> Statement | None:
    """The report that comes after this one in time, locked: its opening balance may have to be looked at anew."""
    if statement.ends_on is None or not statement.balances:
        return None
    later = _readable(statement).filter(starts_on__gt=statement.ends_on).order_by("starts_on", "id")
    found: Statement | None = later.select_for_update().first()
    return found


def _readable(statement: Statement) -> Any:
    same = Statement.objects.filter(account_id=statement.account_id, source=statement.source, payout_id="")
    return same.filter(state=StatementState.READ.value).exclude(balances=[]).exclude(pk=statement.pk)


def _first_openings(statement: Statement) -> dict[str, int]:
    openings: dict[str, int] = {}
    for balance in statement.balances:
        if balance["opening"]:
            openings.setdefault(balance["currency"], balance["amount_minor"])
    return openings


def _closing_before(statement: Statement, currency: str) -> int | None:
    if statement.starts_on is None:
        return None
    earlier = _readable(statement).filter(ends_on__lt=statement.starts_on).order_by("-ends_on", "-id")
    for balances in earlier.values_list("balances", flat=True)[:20]:
        closing = [one["amount_minor"] for one in balances if not one["opening"] and one["currency"] == currency]
        if closing:
            return int(closing[-1])
    return None


def _amount_control(
    name: str, currency: str, said: int, found: int, against: str = "its lines add up to"
) -> dict[str, Any]:
    words = f"Its {name} is {Money(said, currency)}, but {against} {Money(found, currency)}."
    return {"name": name, "currency": currency, "said": said, "found": found, "holds": said == found, "words": words}


def _count_control(name: str, said: int, found: int) -> dict[str, Any]:
    words = f"It says {said:,} {name}, but {found:,} were read."
    return {"name": name, "currency": "", "said": said, "found": found, "holds": said == found, "words": words}


def _shortfall(told: Shortfall) -> dict[str, Any]:
    return {"name": "whole", "currency": "", "said": None, "found": None, "holds": False, "words": told.because[:300]}
