"""What may a gateway charge by its contract? Rates are added from a day on and ended on a day, by two people; none is rewritten.

A rate added over a running one of the same kind, method and currency ends it the day before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.db.models import Q, QuerySet

from ledger.money import AmountError, Money, UnknownCurrency
from payments.errors import Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from reconciliation.models import ContractRate, StatementAccount
from reconciliation.states import LineKind

EDIT: Final = "reconciliation.edit_terms"
KINDS: Final = tuple(
    kind.value for kind in LineKind if kind not in {LineKind.BANK_CREDIT, LineKind.BANK_DEBIT, LineKind.DECLINE}
)
_MOST_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class RateWanted:
    """A rate as the contract has it, as people write it: "2.9", "0.30". `method` empty: every brand and method."""

    account: str
    kind: str
    currency: str
    percent: str
    fixed: str
    valid_from: str  # ISO
    source: str
    method: str = ""
    tax_percent: str = "0"
    tolerance: str = "0.01"


def ask_rate(wanted: RateWanted, *, reason: str, actor: Actor, now: datetime) -> str:
    """This function will ask a second person to agree to a new rate. Returns the approval's public id.

    Raises: Forbidden, NotFound, InvalidInput naming the field, NotAllowedNow, Conflict. Idempotent as `ask_approval`.
    Writes: the approval.
    """
    actor.require(EDIT)
    _row_of(wanted)
    subject = "/".join((wanted.account, wanted.kind, wanted.method or "all", wanted.currency))
    approval = ask_approval("add_contract_rate", subject, asdict(wanted), reason=reason, actor=actor, now=now)
    return str(approval.public_id)


def preview_rate(wanted: RateWanted) -> list[Line]:
    """What a second person would be shown. Raises: NotFound, InvalidInput naming the field, NotAllowedNow."""
    row = _row_of(wanted)
    running = _running(row).first()
    ends = f"{words_of(running)}; ends on {row.valid_from - timedelta(days=1)}" if running else "none"
    return [
        ("Account", row.account.name),
        ("New rate", words_of(row)),
        ("Replaces", ends),
        ("Stands in", row.source),
        (
            "Follows",
            f"The next comparison judges lines since {row.valid_from} by it, and books the difference as variance.",
        ),
    ]


def ask_end(rate_id: int, last_day: date, *, reason: str, actor: Actor, now: datetime) -> str:
    """This function will ask a second person to agree that a rate ends. Returns the approval's public id.

    Raises: Forbidden, NotFound, InvalidInput naming the field, NotAllowedNow, Conflict. Writes: the approval.
    """
    actor.require(EDIT)
    _ending(str(rate_id), last_day)
    arguments = {"last_day": last_day.isoformat()}
    approval = ask_approval("end_contract_rate", str(rate_id), arguments, reason=reason, actor=actor, now=now)
    return str(approval.public_id)


def preview_end(rate_id: int, last_day: date) -> list[Line]:
    """What a second person would be shown. Raises: NotFound, InvalidInput naming the field, NotAllowedNow."""
    row = _ending(str(rate_id), last_day)
    return [("Account", row.account.name), ("Rate", words_of(row)), ("Last day", last_day.isoformat())]


def words_of(rate: ContractRate) -> str:
    """A rate in one sentence."""
    fixed = Money(rate.fixed_minor, rate.currency)
    whose = rate.method or "every method"
    tax = f", tax {rate.tax_percent.normalize():f} %" if rate.tax_percent else ""
    span = f"from {rate.valid_from}" + (f" to {rate.valid_to}" if rate.valid_to else "")
    return f"{rate.kind.replace('_', ' ')}, {whose}: {rate.percent.normalize():f} % + {fixed}{tax}, {span}"


def ensure_rates(slug: str, rates: list[RateWanted]) -> int:
    """This function will give an account that has no rates its first ones. Returns how many it wrote.

    For set-up only: what is there is left alone, and changing it takes two people; an account that is not there gets none.
    Idempotent on: the account.
    """
    bare = StatementAccount.objects.filter(slug=slug, rates__isnull=True)
    if not bare.exists():
        return 0
    return len(ContractRate.objects.bulk_create([_row_of(wanted) for wanted in rates]))


# --- judging ----------------------------------------------------------------------------------------------------------


def _row_of(wanted: RateWanted) -> ContractRate:
    """The row it would be. Raises: NotFound, InvalidInput naming the field, NotAllowedNow when it is there already."""
    account = StatementAccount.objects.filter(slug=wanted.account).first()
    if account is None:
        raise NotFound(f"There is no account {wanted.account!r}.")
    if wanted.kind not in KINDS:
        raise InvalidInput("Name a kind of line, such as charge or refund.", field="kind")
    if not wanted.source.strip():
        raise InvalidInput("Say where it stands: contract, annex or letter.", field="source")
    row = ContractRate(
        account=account,
        kind=wanted.kind,
        method=wanted.method.strip()[:40],
        currency=wanted.currency,
        percent=_percent(wanted.percent, "percent"),
        fixed_minor=_minor(wanted.fixed, wanted.currency, "fixed"),
        tax_percent=_percent(wanted.tax_percent, "tax_percent"),
        tolerance_minor=_minor(wanted.tolerance, wanted.currency, "tolerance"),
        valid_from=_day(wanted.valid_from),
        source=wanted.source.strip()[:200],
    )
    later = _alike(row).filter(valid_from__gte=row.valid_from).order_by("valid_from").first()
    if later is not None:
        raise InvalidInput(f"A rate from {later.valid_from} is known; begin after that day.", field="valid_from")
    return row


def _alike(row: ContractRate) -> QuerySet[ContractRate]:
    return ContractRate.objects.filter(
        account=row.account, kind=row.kind, method__iexact=row.method, currency=row.currency
    )


def _running(row: ContractRate) -> QuerySet[ContractRate]:
    still = Q(valid_to__isnull=True) | Q(valid_to__gte=row.valid_from)
    return _alike(row).filter(still, valid_from__lt=row.valid_from).order_by("-valid_from")


def _ending(subject: str, last_day: date, *, lock: bool = False) -> ContractRate:
    rows = ContractRate.objects.select_related("account")
    rows = rows.select_for_update(of=("self",)) if lock else rows
    row = rows.filter(pk=int(subject)).first() if subject.isdigit() else None
    if row is None:
        raise NotFound(f"There is no rate {subject}.")
    if row.valid_to is not None and row.valid_to <= last_day:
        raise NotAllowedNow(f"It ends on {row.valid_to} already.")
    if last_day < row.valid_from - timedelta(days=1):
        raise InvalidInput(f"It begins on {row.valid_from}: the day before is the earliest.", field="last_day")
    return row


def _percent(text: str, field: str) -> Decimal:
    try:
        percent = Decimal(text.strip() or "0")
    except InvalidOperation:
        percent = Decimal("NaN")
    if not percent.is_finite() or not 0 <= percent <= _MOST_PERCENT or percent != round(percent, 4):
        raise InvalidInput("Percent between 0 and 100 with a point and at most four decimals, like 2.9.", field=field)
    return percent


def _minor(text: str, currency: str, field: str) -> int:
    try:
        money = Money.parse(text.strip() or "0", currency)
    except UnknownCurrency as error:
        raise InvalidInput(str(error), field="currency") from error
    except AmountError as error:
        raise InvalidInput(str(error), field=field) from error
    if money.amount_minor < 0:
        raise InvalidInput("It takes away: write it without a minus.", field=field)
    return money.amount_minor


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("A day as 2026-03-31.", field="valid_from") from error


# --- approvals --------------------------------------------------------------------------------------------------------


def _show_rate(_subject: str, arguments: Arguments, _now: datetime) -> list[Line]:
    return preview_rate(RateWanted(**arguments))


def _add(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Any, now: datetime
) -> str:  # fmt: skip
    wanted = RateWanted(**arguments)
    StatementAccount.objects.select_for_update(no_key=True).filter(slug=wanted.account).first()
    row = _row_of(wanted)
    _running(row).update(valid_to=row.valid_from - timedelta(days=1))
    row.save()
    return f"In force: {words_of(row)}."


def _show_end(subject: str, arguments: Arguments, _now: datetime) -> list[Line]:
    row = _ending(subject, date.fromisoformat(arguments["last_day"]))
    return [("Account", row.account.name), ("Rate", words_of(row)), ("Last day", arguments["last_day"])]


def _end(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Any, now: datetime
) -> str:  # fmt: skip
    row = _ending(subject, date.fromisoformat(arguments["last_day"]), lock=True)
    if dict(approval.shown)["Rate"] != words_of(row):
        raise Conflict("The rate was changed at this moment.")
    row.valid_to = date.fromisoformat(arguments["last_day"])
    row.save(update_fields=["valid_to"])
    return f"Ended: {words_of(row)}."


ADD_RATE: Final = Approvable(title="Add a contract rate", right=EDIT, show=_show_rate, execute=_add)
END_RATE: Final = Approvable(title="End a contract rate", right=EDIT, show=_show_end, execute=_end)
