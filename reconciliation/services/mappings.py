"""How is a CSV file of an account to be read, and who agreed? A change is a new version; statements keep their own."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

from payments.errors import Conflict, InvalidInput, NotFound
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from reconciliation.models import ColumnMapping, StatementAccount
from reconciliation.services.looking import Look, look_into
from reconciliation.sources.base import Columns
from reconciliation.sources.csv_mapped import FIELDS
from reconciliation.states import LineKind

EDIT: Final = "reconciliation.edit_terms"
_MONEY: Final = ({"gross"}, {"net"}, {"debit", "credit"})
_SAMPLE: Final = datetime(2026, 11, 20, 13, 14, 15, tzinfo=UTC)
_LONGEST: Final = {
    "delimiter": 1,
    "decimal_mark": 1,
    "thousands_mark": 1,
    "encoding": 20,
    "date_format": 40,
    "total_row": 40,
}


@dataclass(frozen=True, slots=True)
class MappingWanted:
    """A mapping as it shall be; the fields are those of `Columns`."""

    account: str
    columns: Mapping[str, str]
    kinds: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8-sig"
    decimal_mark: str = "."
    thousands_mark: str = ""
    date_format: str = "%Y-%m-%d"
    fees_negative: bool = False
    debits_positive: bool = False
    total_row: str = ""

    def as_columns(self) -> Columns:
        values = asdict(self)
        del values["account"]
        return Columns(**values)


def ask_mapping(wanted: MappingWanted, *, version: int, reason: str, actor: Actor, now: datetime) -> str:
    """This function will ask a second person to agree to a mapping. `version` is the one it takes the place of; 0: none.

    Returns the approval's public id. Raises: Forbidden, NotFound, InvalidInput naming the field; Conflict if there is a newer
    one, or somebody has asked already. Idempotent as `ask_approval`. Writes: the approval.
    """
    actor.require(EDIT)
    differences(wanted)
    arguments = {**asdict(wanted), "version": version}
    _require_version(wanted.account, version)
    return str(ask_approval("change_mapping", wanted.account, arguments, reason=reason, actor=actor, now=now).public_id)


def try_mapping(wanted: MappingWanted, sample: BinaryIO, *, actor: Actor) -> Look:
    """What a sample file would be read as. Writes nothing.

    Raises: Forbidden, NotFound, InvalidInput naming the field, UnreadableStatement.
    """
    actor.require(EDIT)
    check(wanted)
    return look_into(_account(wanted.account), sample, source="csv_mapped", columns=wanted.as_columns())


def differences(wanted: MappingWanted) -> list[tuple[str, str, str]]:
    """What changes: (label, now, then) in words. Raises: NotFound, InvalidInput naming the field, also where nothing does."""
    check(wanted)
    current = ColumnMapping.objects.filter(account__slug=wanted.account, current=True).first()
    after = _words(wanted.as_columns())
    before = _words(wanted_of(current).as_columns()) if current is not None else {}
    found = [
        (label, before.get(label, "–"), after.get(label, "–"))
        for label in {**before, **after}
        if before.get(label) != after.get(label)
    ]
    if not found:
        raise InvalidInput("Nothing would change.", field="columns")
    return found


def wanted_of(mapping: ColumnMapping) -> MappingWanted:
    """A mapping as it is."""
    names = [name for name in MappingWanted.__dataclass_fields__ if name != "account"]
    return MappingWanted(mapping.account.slug, **{name: getattr(mapping, name) for name in names})


def ensure_mapping(wanted: MappingWanted, now: datetime) -> None:
    """This function will give an account that has no mapping its first one, for set-up only.

    Idempotent on: the account. Writes: the mapping.
    """
    check(wanted)
    account = _account(wanted.account)
    if not ColumnMapping.objects.filter(account=account).exists():
        _write(wanted, account, 1, "set-up", now)


def check(wanted: MappingWanted) -> None:
    """Can files be read by it at all? Raises: NotFound, InvalidInput naming the field."""
    _account(wanted.account)
    unknown = sorted(set(wanted.columns) - FIELDS)
    if unknown:
        raise InvalidInput(f"There is no field {unknown[0]!r}.", field="columns")
    named = {name for name, heading in wanted.columns.items() if str(heading).strip()}
    if not any(needed <= named for needed in _MONEY):
        raise InvalidInput(
            "Name the column of the gross amount, of the net amount, or those of debit and credit.", field="columns"
        )
    if "occurred_at" not in named:
        raise InvalidInput("Name the column of the time.", field="columns")
    for word, kind in wanted.kinds.items():
        if kind not in set(LineKind):
            raise InvalidInput(f"{word!r} stands for {kind!r}, which is no kind of line.", field="kinds")
    if named & {"kind"} and not wanted.kinds:
        raise InvalidInput("Say what the file's words for a kind stand for.", field="kinds")
    _check_form(wanted)


def _check_form(wanted: MappingWanted) -> None:
    for name, longest in _LONGEST.items():
        if len(getattr(wanted, name)) > longest and not (name == "delimiter" and wanted.delimiter == "\\t"):
            raise InvalidInput(f"At most {longest} characters.", field=name)
    if wanted.delimiter != "\\t" and (not wanted.delimiter or wanted.delimiter in '"\r\n '):
        raise InvalidInput("A delimiter is one character, such as , or ; or \\t.", field="delimiter")
    if wanted.decimal_mark and wanted.decimal_mark not in ".,":
        raise InvalidInput("Decimals stand behind a point or a comma; empty means minor units.", field="decimal_mark")
    if wanted.thousands_mark and (wanted.thousands_mark == wanted.decimal_mark or wanted.thousands_mark.isdigit()):
        raise InvalidInput("Thousands need a mark of their own.", field="thousands_mark")
    try:
        codecs.lookup(wanted.encoding)
    except LookupError as wrong:
        raise InvalidInput(f"No encoding is called {wanted.encoding!r}.", field="encoding") from wrong
    _check_date_format(wanted.date_format)


def _check_date_format(date_format: str) -> None:
    """A format is right if a moment written by it reads back as the same day."""
    try:
        written = _SAMPLE.strftime(date_format)
        back = datetime.strptime(written, date_format)  # noqa: DTZ007 - only its day is compared
    except ValueError as wrong:
        raise InvalidInput(f"{date_format!r} is no form of dates, such as %d.%m.%Y.", field="date_format") from wrong
    if back.date() != _SAMPLE.date():
        raise InvalidInput("The form has to name day, month and year.", field="date_format")


def _account(slug: str) -> StatementAccount:
    account = StatementAccount.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no account {slug!r}.")
    return account


def _words(columns: Columns) -> dict[str, str]:
    fields = {f"Column of {name.replace('_', ' ')}": heading for name, heading in columns.columns.items() if heading}
    kinds = {f"“{word}” means": kind.replace("_", " ") for word, kind in columns.kinds.items()}
    return {
        **fields,
        **kinds,
        "Delimiter": columns.delimiter,
        "Encoding": columns.encoding,
        "Decimal mark": columns.decimal_mark or "none: minor units",
        "Thousands mark": columns.thousands_mark or "none",
        "Form of dates": columns.date_format,
        "Fees that take away": "have a minus" if columns.fees_negative else "have no sign",
        "Refunds and other debits": "have no minus" if columns.debits_positive else "have a minus",
        "Row of totals": columns.total_row or "none",
    }


def _require_version(slug: str, version: int) -> None:
    newest = (
        ColumnMapping.objects.filter(account__slug=slug).order_by("-number").values_list("number", flat=True).first()
    )
    if (newest or 0) != version:
        raise Conflict("The mapping was changed since you opened it. Look at it as it is now.")


def _write(wanted: MappingWanted, account: StatementAccount, number: int, by: str, now: datetime) -> ColumnMapping:
    values = asdict(wanted)
    del values["account"]
    ColumnMapping.objects.filter(account=account, current=True).update(current=False)
    return ColumnMapping.objects.create(account=account, number=number, made_at=now, made_by=by[:100], **values)


# --- approvals --------------------------------------------------------------------------------------------------------


def _split(arguments: Arguments) -> tuple[MappingWanted, int]:
    values = dict(arguments)
    version = int(values.pop("version"))
    return MappingWanted(**values), version


def _show(_subject: str, arguments: Arguments, _now: datetime) -> list[Line]:
    wanted, version = _split(arguments)
    _require_version(wanted.account, version)
    lines = [(label, f"{now} → {then}") for label, now, then in differences(wanted)]
    return [("Account", _account(wanted.account).name), ("New version", str(version + 1)), *lines]


def _lock(subject: str, _arguments: Arguments) -> None:
    StatementAccount.objects.select_for_update().filter(slug=subject).first()


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Any, now: datetime
) -> str:  # fmt: skip
    wanted, version = _split(arguments)
    mapping = _write(wanted, _account(subject), version + 1, f"{maker.label}, {checker.label}", now)
    return f"In force: {mapping}."


CHANGE_MAPPING: Final = Approvable(
    title="Change a column mapping", right=EDIT, show=_show, execute=_execute, lock=_lock
)
