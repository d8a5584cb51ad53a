"""By which terms is an account compared, and who agreed? Accounts are made for gateways; a change of terms takes two people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from ledger.money import MINOR_DIGITS
from payments.card_numbers import has_card_number
from payments.errors import CardNumberRefused, Conflict, InvalidInput, NotFound
from payments.queries.accounts_to_compare import AccountToCompare, accounts_to_compare
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from reconciliation.models import StatementAccount
from reconciliation.queries.terms_words import hours_text, sum_words
from reconciliation.sources.registry import SOURCES

EDIT: Final = "reconciliation.edit_terms"
NEW: Final = "new"
EDITABLE: Final = (
    "name",
    "source",
    "time_zone",
    "currencies",
    "books_start_on",
    "fetched",
    "nightly",
    "nightly_hour",
    "lag_days",
    "lag_cap_days",
    "early_seconds",
    "bank_days",
    "tolerance_minor",
    "tolerance_day_minor",
    "holidays",
    "alert_count",
    "alert_value_minor",
    "alert_age_days",
    "alert_share",
    "alert_to",
    "sample_percent",
)
"""What can be changed; what an account is (slug, kind, gateway) can not."""
_LABELS: Final = {
    "source": "Format",
    "fetched": "Its report is asked for by API",
    "nightly": "Compared every night by itself",
    "nightly_hour": "Hour of the night",
    "lag_days": "Lag in business days",
    "lag_cap_days": "Longest lag in calendar days",
    "early_seconds": "Head start of a report",
    "bank_days": "Bank days of a payout",
    "tolerance_minor": "Rounding per line",
    "tolerance_day_minor": "Rounding per day",
    "alert_count": "Alarm from open differences",
    "alert_value_minor": "Alarm from value at risk",
    "alert_age_days": "Alarm from an age in days",
    "alert_share": "Alarm from a share of lines",
    "alert_to": "Told by e-mail",
    "sample_percent": "Second looks in percent",
}
_BY_PROVIDER: Final = {
    "stripe": {"source": "stripe_balance", "fetched": True},
    "nmi": {"source": "nmi_window", "fetched": True},
}
_FILES: Final = {"source": "csv_mapped", "fetched": False}
_MOST_ADDRESSES: Final = 20


def ensure_statement_accounts(begun: Mapping[str, datetime] = MappingProxyType({})) -> list[StatementAccount]:
    """This function will give every gateway account its terms, if it has none yet. Returns those it made.

    `begun`: from the day of which moment on the account of a slug is compared; without it, or where money moved before
    that day, everything counts. What is there is left as people set it.
    Idempotent on: the gateway account. Writes: the accounts.
    """
    known = set(StatementAccount.objects.values_list("slug", flat=True))
    made = [
        _first_terms(account, begun.get(account.slug)) for account in accounts_to_compare() if account.slug not in known
    ]
    StatementAccount.objects.bulk_create(made, ignore_conflicts=True)
    return made


def ensure_bank_account(slug: str, name: str, *, begun: datetime | None = None) -> None:
    """This function will make a bank account of ours, for set-up only, that is compared from the day of `begun` on.

    Idempotent on: slug. Writes: the account.
    """
    if not StatementAccount.objects.filter(slug=slug).exists():
        account = new_bank_account(slug)
        account.name, account.books_start_on = name, _day_there(account, begun)
        StatementAccount.objects.bulk_create([account], ignore_conflicts=True)


def ask_terms(
    slug: str, changes: Mapping[str, Any], *, version: int, reason: str, actor: Actor, now: datetime
) -> str:  # fmt: skip
    """This function will ask a second person to agree to other terms. Returns the approval's public id.

    Raises: Forbidden, NotFound, InvalidInput naming the field; Conflict if they were changed since `version`, or somebody
    has asked already. Idempotent as `ask_approval`. Writes: the approval.
    """
    actor.require(EDIT)
    account = _find(slug)
    if account.version != version:
        raise Conflict(f"The terms of {account.name} were changed since you opened them. Look at them as they are now.")
    differences(account, changes)
    arguments = {"changes": _as_json(changes), "version": version}
    return str(ask_approval("edit_terms", slug, arguments, reason=reason, actor=actor, now=now).public_id)


def ask_bank_account(
    slug: str, changes: Mapping[str, Any], *, reason: str, actor: Actor, now: datetime
) -> str:  # fmt: skip
    """This function will ask a second person to agree to a further bank account. Returns the approval's public id.

    Raises: Forbidden, InvalidInput naming the field, Conflict. Idempotent as `ask_approval`. Writes: the approval.
    """
    actor.require(EDIT)
    differences(new_bank_account(slug), changes)
    arguments = {"changes": _as_json(changes), "version": 0}
    return str(ask_approval("edit_terms", f"{NEW}/{slug}", arguments, reason=reason, actor=actor, now=now).public_id)


def differences(account: StatementAccount, changes: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What changes: (label, now, then) in words. Raises: InvalidInput naming the field, also where nothing changes."""
    wanted = _applied(account, changes)
    before = {} if not account.pk else {name: words_of(account, name) for name in EDITABLE}
    after = {name: words_of(wanted, name) for name in EDITABLE}
    found = [
        (label_of(name), before.get(name, "–"), after[name]) for name in EDITABLE if before.get(name) != after[name]
    ]
    if not found:
        raise InvalidInput("Nothing would change.", field="name")
    return found


def new_bank_account(slug: str) -> StatementAccount:
    """A bank account as it would begin, unsaved. Raises: InvalidInput for a name that is taken."""
    if StatementAccount.objects.filter(slug=slug).exists():
        raise InvalidInput(f"There is an account {slug!r} already.", field="slug")
    return StatementAccount(slug=slug, kind=StatementAccount.Kind.BANK, source="camt053")


def label_of(name: str) -> str:
    """What people call a term."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def words_of(account: StatementAccount, name: str) -> str:
    """A term as text."""
    value = getattr(account, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or ("any" if name == "currencies" else "none")
    if name == "source":
        return SOURCES[value].words if value in SOURCES else str(value)
    if name.endswith("_minor"):
        return sum_words(value, account.currencies)
    if name == "early_seconds":
        return f"{hours_text(value)} h"
    return "not set" if value is None else str(value)


# --- judging ----------------------------------------------------------------------------------------------------------


def _first_terms(account: AccountToCompare, begun: datetime | None) -> StatementAccount:
    terms = StatementAccount(
        slug=account.slug,
        name=account.name,
        kind=StatementAccount.Kind.GATEWAY,
        gateway_account_id=account.id,
        **_BY_PROVIDER.get(account.provider, _FILES),
    )
    first, moved = _day_there(terms, begun), _day_there(terms, account.moved_at)
    if first is not None and (moved is None or moved >= first):
        terms.books_start_on = first
    return terms


def _day_there(account: StatementAccount, moment: datetime | None) -> date | None:
    """The day of a moment where the account's days begin and end."""
    return None if moment is None else moment.astimezone(ZoneInfo(account.time_zone)).date()


def _find(slug: str, *, lock: bool = False) -> StatementAccount:
    rows = StatementAccount.objects.select_for_update() if lock else StatementAccount.objects.all()
    account = rows.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no account {slug!r}.")
    return account


def _subject(subject: str, *, lock: bool = False) -> StatementAccount:
    new, _, slug = subject.partition("/")
    return new_bank_account(slug) if new == NEW and slug else _find(subject, lock=lock)


def _as_json(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if not isinstance(value, (list, int, str, type(None))) else value
        for name, value in changes.items()
    }


def _applied(account: StatementAccount, changes: Mapping[str, Any]) -> StatementAccount:
    """The account as it would be. Raises: InvalidInput naming the field, CardNumberRefused."""
    wanted = StatementAccount.objects.get(pk=account.pk) if account.pk else account
    for name, value in changes.items():
        if name not in EDITABLE:
            raise InvalidInput(f"{name} can not be edited.", field=name)
        setattr(wanted, name, value)
    _check(wanted)
    return wanted


def _check(account: StatementAccount) -> None:
    if has_card_number(account.name):
        raise CardNumberRefused("The name looks like it holds a card number. Nothing was stored.", field="name")
    try:
        ZoneInfo(account.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as wrong:
        raise InvalidInput(f"No time zone is called {account.time_zone!r}.", field="time_zone") from wrong
    if account.source not in SOURCES:
        raise InvalidInput(f"No format is called {account.source!r}.", field="source")
    _check_lists(account)
    try:
        account.full_clean(validate_unique=not account.pk)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidInput(f"{label_of(field)}: {messages[0]}", field=field) from error
    if account.lag_cap_days < account.lag_days:
        raise InvalidInput("The cap is not below the lag itself.", field="lag_cap_days")


def _check_lists(account: StatementAccount) -> None:
    for code in account.currencies:
        if code not in MINOR_DIGITS:
            raise InvalidInput(f"Currency {str(code)[:10]!r} is in no table.", field="currencies")
    for day in account.holidays:
        try:
            date.fromisoformat(str(day))
        except ValueError as wrong:
            raise InvalidInput(f"{str(day)[:20]!r} is no day as 2026-12-25.", field="holidays") from wrong
    if len(account.alert_to) > _MOST_ADDRESSES:
        raise InvalidInput(f"At most {_MOST_ADDRESSES} people are told.", field="alert_to")
    for address in account.alert_to:
        try:
            validate_email(str(address))
        except ValidationError as wrong:
            raise InvalidInput(f"{str(address)[:60]!r} is no e-mail address.", field="alert_to") from wrong


# --- approvals --------------------------------------------------------------------------------------------------------


def _show(subject: str, arguments: Arguments, _now: datetime) -> list[Line]:
    account = _subject(subject)
    if account.version != arguments["version"]:
        raise Conflict("The terms were changed since this was asked for.")
    head = [("Account", account.name or subject.partition("/")[2])]
    return [*head, *((label, f"{now} → {then}") for label, now, then in differences(account, arguments["changes"]))]


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Any, now: datetime
) -> str:  # fmt: skip
    account = _applied(_subject(subject, lock=True), arguments["changes"])
    account.version += 1
    account.save()
    return f"In force: the terms of {account.name}."


EDIT_TERMS: Final = Approvable(title="Change the terms of an account", right=EDIT, show=_show, execute=_execute)
