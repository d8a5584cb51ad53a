"""May this person do it alone? The table of limits by role, what each person used today, and how a limit is changed.

No row means that a second person is always needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import F

from ledger.money import Money, UnknownCurrency, minor_digits
from payments.errors import InvalidInput
from payments.models import Approval, Limit, LimitUse
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval

EDIT = "payments.edit_limit"
API_ROLE = "api"
ALWAYS = "always a second person"
ACTIONS: dict[str, str] = {
    "start_batch": "Start an upload",
    "edit_schedule": "Set up a recurring charge, or raise it",
    "charge_overdue": "Charge a skipped date",
    "accept_short": "Accept less than is due",
    "resolve_break": "Resolve a difference",
}
"""What a limit can be set for; whoever asks `needs_second_person` has its line here."""
_RIGHTS: dict[str, str] = {
    "start_batch": "start_batch",
    "edit_schedule": "edit_schedule",
    "charge_overdue": "edit_schedule",
    "accept_short": "accept_short",
}
"""The right that doing it takes: a limit of a role without it would never be asked."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A limit as it shall be, minor units. Both None: no row, so that a second person is always needed."""

    action: str
    currency: str
    role: str
    per_item_minor: int | None
    per_day_minor: int | None


def needs_second_person(action: str, money_by_currency: Mapping[str, int], *, actor: Actor, now: datetime) -> str:
    """Why this needs a second person, in a sentence; empty: the actor may do it alone. Reads only.

    `money_by_currency` is one item: minor units for each currency it moves. What counts it is `spend`.
    """
    if actor.is_system:
        return ""
    roles = _roles(actor)
    reasons = (
        _reason(action, Money(minor, currency), roles, _used(action, currency, actor, now))
        for currency, minor in sorted(money_by_currency.items())
    )
    return next((reason for reason in reasons if reason), "")


def spend(action: str, money_by_currency: Mapping[str, int], *, actor: Actor, now: datetime) -> str:
    """This function will count one item against the actor's day, if they may do it alone; else say why not.

    To be called in the transaction of what it is spent on: they count together or not at all. The rows of use are
    locked in order of currency, so that two items at once do not pass a limit that holds one.
    Raises: RuntimeError outside a transaction. Writes: the use of each currency, unless it answers with a reason.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("A limit is spent in the transaction of what it is spent on.")
    if actor.is_system:
        return ""
    day, person = business_day(now), _person(actor)
    currencies = sorted(money_by_currency)
    LimitUse.objects.bulk_create(
        [LimitUse(action=action, currency=currency, person=person, day=day) for currency in currencies],
        ignore_conflicts=True,
    )
    uses = LimitUse.objects.filter(action=action, person=person, day=day, currency__in=currencies)
    list(uses.select_for_update().order_by("currency"))
    reason = needs_second_person(action, money_by_currency, actor=actor, now=now)
    if reason:
        return reason
    for currency, minor in money_by_currency.items():
        uses.filter(currency=currency).update(used_minor=F("used_minor") + minor)
    return ""


def business_day(now: datetime) -> date:
    """The day that use is counted on, in BUSINESS_TIME_ZONE."""
    return now.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()


def ask_limit(wanted: Wanted, *, reason: str, actor: Actor, now: datetime) -> Approval:
    """This function will ask a second person to agree to a limit, new, changed or (both sums None) removed.

    Raises: Forbidden, InvalidInput naming the field, Conflict. Idempotent as `ask_approval`. Writes: the approval.
    """
    _check(wanted)
    arguments = {"per_item_minor": wanted.per_item_minor, "per_day_minor": wanted.per_day_minor}
    subject = subject_of(wanted.action, wanted.currency, wanted.role)
    return ask_approval("change_limit", subject, arguments, reason=reason, actor=actor, now=now)


def preview_limit(wanted: Wanted) -> Sequence[Line]:
    """What a second person would be shown. Raises: InvalidInput naming the field. Writes nothing."""
    _check(wanted)
    arguments = {"per_item_minor": wanted.per_item_minor, "per_day_minor": wanted.per_day_minor}
    return _lines(subject_of(wanted.action, wanted.currency, wanted.role), arguments)


def subject_of(action: str, currency: str, role: str) -> str:
    """How an approval names a limit."""
    return f"{action}/{currency}/{role}"


def roles_with_limits() -> tuple[str, ...]:
    """Every role that a limit can be set for: those that may do one of these things at all. The API may do none."""
    return _roles_holding(*_RIGHTS.values())


def _roles_holding(*codenames: str) -> tuple[str, ...]:
    held = Group.objects.filter(permissions__content_type__app_label="payments", permissions__codename__in=codenames)
    return tuple(held.order_by("name").values_list("name", flat=True).distinct())


def _reason(action: str, money: Money, roles: Sequence[str], used: Money) -> str:
    """The widest of the actor's roles decides: one row that allows both the item and the day is enough."""
    what = ACTIONS.get(action, action.replace("_", " "))
    rows = list(Limit.objects.filter(action=action, currency=money.currency, role__in=roles))
    if not rows:
        return f"{what}: no limit in {money.currency} lets {_names(roles)} do this alone."
    widest = Money(max(row.per_item_minor for row in rows), money.currency)
    if widest < money:
        return f"{what}: {money} is more than the {widest} that one person may do alone."
    after = used + money
    fitting = [row for row in rows if row.per_item_minor >= money.amount_minor]
    if all(row.per_day_minor < after.amount_minor for row in fitting):
        per_day = Money(max(row.per_day_minor for row in fitting), money.currency)
        return f"{what}: with {money} it would be {after} today, more than the {per_day} a day that one person may do alone."
    return ""


def _used(action: str, currency: str, actor: Actor, now: datetime) -> Money:
    use = LimitUse.objects.filter(action=action, currency=currency, person=_person(actor), day=business_day(now))
    return Money(use.values_list("used_minor", flat=True).first() or 0, currency)


def _person(actor: Actor) -> str:
    """By number, so that a new name begins no new day; an API token has none."""
    return f"user:{actor.user_id}" if actor.user_id is not None else actor.label[:100]


def _roles(actor: Actor) -> tuple[str, ...]:
    if actor.user_id is None:
        return (API_ROLE,)
    return tuple(Group.objects.filter(user=actor.user_id).order_by("name").values_list("name", flat=True))


def _names(roles: Sequence[str]) -> str:
    return " or ".join(roles) or "somebody without a role"


# --- changing a limit -------------------------------------------------------------------------------------------------


def _check(wanted: Wanted) -> None:
    if wanted.action not in ACTIONS:
        raise InvalidInput(f"No limit can be set for {wanted.action!r}.", field="action")
    could = _roles_holding(_RIGHTS[wanted.action])
    if wanted.role not in could and wanted.per_item_minor is not None:  # an older row may always be removed
        who = f" {' and '.join(could)} could." if could else ""
        raise InvalidInput(f"{wanted.role} may not do this at all, with or without a limit.{who}", field="role")
    try:
        minor_digits(wanted.currency)
    except UnknownCurrency as error:
        raise InvalidInput(str(error), field="currency") from error
    item, day = wanted.per_item_minor, wanted.per_day_minor
    if (item is None) != (day is None):
        raise InvalidInput("A limit needs both sums, one item and one day.", field="per_day_minor")
    if item is None or day is None:
        return
    if item < 0 or day < 0:
        raise InvalidInput("A limit is not negative.", field="per_item_minor")
    if day < item:
        raise InvalidInput("A day's limit is at least one item's.", field="per_day_minor")


def _show(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    return _lines(subject, arguments)


def _lines(subject: str, arguments: Arguments) -> list[Line]:
    wanted = _wanted(subject, arguments)
    _check(wanted)
    row = _row(wanted)
    before = _words(row.per_item_minor, row.per_day_minor, row.currency) if row else ALWAYS
    after = _words(wanted.per_item_minor, wanted.per_day_minor, wanted.currency)
    if before == after:
        raise InvalidInput("The limit is that already.", field="per_item_minor")
    return [
        ("What", ACTIONS[wanted.action]),
        ("Role", wanted.role),
        ("Now", before),
        ("Then", after),
        ("Changed before", _times(row)),
    ]


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    wanted = _wanted(subject, arguments)
    row = _row(wanted)
    if wanted.per_item_minor is None or wanted.per_day_minor is None:
        if row is not None:
            row.delete()
        return "The limit is removed: a second person is always needed."
    row = row or Limit(action=wanted.action, currency=wanted.currency, role=wanted.role)
    row.per_item_minor, row.per_day_minor = wanted.per_item_minor, wanted.per_day_minor
    row.version += 1
    row.save()
    return f"In force: {_words(row.per_item_minor, row.per_day_minor, row.currency)}."


def _wanted(subject: str, arguments: Arguments) -> Wanted:
    action, currency, role = subject.split("/", 2)
    return Wanted(action, currency, role, arguments["per_item_minor"], arguments["per_day_minor"])


def _row(wanted: Wanted, *, lock: bool = False) -> Limit | None:
    rows = Limit.objects.select_for_update() if lock else Limit.objects
    return rows.filter(action=wanted.action, currency=wanted.currency, role=wanted.role).first()


def _times(row: Limit | None) -> str:
    """Counts the row's edits, so that a limit changed and changed back is not the one that was shown."""
    return "never" if row is None or not row.version else "once" if row.version == 1 else f"{row.version} times"


def _words(per_item: int | None, per_day: int | None, currency: str) -> str:
    if per_item is None or per_day is None:
        return ALWAYS
    return f"alone up to {Money(per_item, currency)} at a time and {Money(per_day, currency)} a day"


def _lock(subject: str, arguments: Arguments) -> None:
    _row(_wanted(subject, arguments), lock=True)


CHANGE_LIMIT = Approvable(title="Change a limit", right=EDIT, show=_show, execute=_execute, lock=_lock)
