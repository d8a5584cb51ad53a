"""What is wrong with a row? Every problem by column and sentence, found without the database; nothing is corrected silently."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from ledger.money import Money, MoneyError, UnknownCurrency, minor_digits
from payments.card_numbers import has_card_number
from payments.services.batches.columns import BY_NAME, METADATA, RESULTS
from payments.services.batches.files import Cell, Line

_EXPONENT: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_NOISE: Final = re.compile(r"-?[0-9]+\.[0-9]*(?:0{5,}|9{5,})[0-9]*")
_DECIMAL_COMMA: Final = re.compile(r"-?[0-9]{1,12},[0-9]+")
_GROUPED: Final = re.compile(r"-?[0-9]{1,3}(?:[,. '\u00a0\u202f][0-9]{3})+(?:[.,][0-9]+)?")
_EXACT_DIGITS: Final = 15  # a spreadsheet's numbers keep no more
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_CARD_SHAPES: Final = (
    (4, 4, 4, 4),
    (4, 6, 5),
    (8, 8),
)  # as cards print their numbers; other shapes are too often chance
_CHOICES: Final = {
    "capture": ("automatic", "manual"),
    "goods_class": ("physical", "digital", "cash_like"),
}
CARD_SENTENCE: Final = "This looks like a card number. The row is refused, and none of its cells was kept."


@dataclass
class Checked:
    """One row after its checks. A row with a problem is never started; a warning does not stop it."""

    number: int
    values: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    reference: str = ""
    money: Money | None = None

    def wrong(self, column: str, sentence: str) -> None:
        self.problems.append((column, sentence))

    def credentials(self, accounts: Collection[str]) -> dict[str, str]:
        """Account slug to credential, for the accounts that have a filled column."""
        return {slug: self.values[slug] for slug in accounts if self.values.get(slug)}


class Checker:
    """Checks the rows of one file one after the other; remembers references only, for duplicates inside the file."""

    def __init__(self, headings: list[str], accounts: Collection[str]) -> None:
        self._headings = headings
        self._accounts = frozenset(accounts)
        self._first: dict[str, int] = {}

    def check(self, line: Line) -> Checked:
        """This function will name everything that is wrong with the row, apart from what only the database knows."""
        number, cells = line
        row = Checked(number)
        named = [(name, cell) for name, cell in zip(self._headings, cells, strict=False) if name and cell.text]
        carded = [name for name, cell in named if has_card_number(cell.text)]
        carded = carded or _split_card(named)
        if carded:
            row.problems = [(name, CARD_SENTENCE) for name in carded]
            return row
        kept = [(name, cell) for name, cell in named if name not in RESULTS]
        for name, cell in kept:
            self._text(row, name, cell)
        found = dict(kept)
        self._reference(row, found.get("reference", Cell("")))
        _amount(row, found.get("amount", Cell("")))
        self._method(row)
        for name, choices in _CHOICES.items():
            if (value := row.values.get(name)) and value not in choices:
                row.wrong(name, f"{value[:40]!r} is not possible; {' or '.join(choices)} is.")
        if (address := row.values.get("payer_email")) and not _EMAIL.fullmatch(address):
            row.wrong("payer_email", "This is no e-mail address.")
        return row

    def _text(self, row: Checked, name: str, cell: Cell) -> None:
        """Keep the cell's text, if a text of this column can look so."""
        column = BY_NAME.get(name)
        longest = column.longest if column else 255
        if not cell.text.isprintable():
            row.wrong(name, "It holds a sign that cannot be seen: a line break, a control character or the like.")
        elif len(cell.text) > longest:
            row.wrong(name, f"It has {len(cell.text)} signs; {longest} are possible.")
            row.values[name] = cell.text[:longest]
        else:
            row.values[name] = cell.text

    def _reference(self, row: Checked, cell: Cell) -> None:
        reference = row.values.get("reference", "")
        if not cell.text:
            row.wrong("reference", "The reference is missing.")
            return
        sentence = _mangled_reference(cell)
        if sentence:
            row.wrong("reference", sentence)
        if not reference:
            return
        row.reference = reference
        first = self._first.setdefault(reference, row.number)
        if first != row.number:
            row.wrong("reference", f"The same reference stands in line {first} already.")

    def _method(self, row: Checked) -> None:
        """Exactly one way to pay: a token, a stored method, or credentials by account."""
        values = row.values
        ways = [name for name in ("token", "payment_method") if values.get(name)]
        held = sorted(row.credentials(self._accounts))
        if not ways and not held:
            row.wrong("token", "No column of this row says how the payer pays.")
        elif len(ways) + bool(held) > 1:
            both = " and ".join([*ways, *held[:1]])
            row.wrong(ways[0], f"{both} are filled; one way to pay is possible.")
        elif "token" in ways and not values["token"].startswith("tok_") and len(self._accounts) > 1:
            row.wrong(
                "token", "Several gateway accounts are set up: put the token below the name of the account it is for."
            )
        elif held and (gateway := values.get("gateway")) and gateway not in held:
            row.wrong("gateway", f"{gateway} has to take it, but its column holds no credential.")


def _split_card(named: list[tuple[str, Cell]]) -> list[str]:
    """The columns of a card number whose groups of digits stand in neighbouring cells: 4-4-4-4, 4-6-5 or two halves."""
    for shape in _CARD_SHAPES:
        for at in range(len(named) - len(shape) + 1):
            part = named[at : at + len(shape)]
            if all(
                len(cell.text) == most and cell.text.isdigit() for (_, cell), most in zip(part, shape, strict=True)
            ) and (has_card_number("".join(cell.text for _, cell in part))):
                return [name for name, _ in part]
    return []


def _mangled_reference(cell: Cell) -> str:
    if _EXPONENT.fullmatch(cell.text):
        return (
            f"{cell.text!r} is what a spreadsheet makes of a long number: digits are lost. Format the column as text, and fill "
            "it again."
        )
    digits = cell.text.lstrip("-")
    if cell.kind == "number" and (len(digits) > _EXACT_DIGITS or "." in digits):
        return (
            "The spreadsheet holds it as a number, which keeps 15 digits. Format the column as text, and fill it again."
        )
    return (
        "The spreadsheet made a date of it. Format the column as text, and fill it again."
        if cell.kind == "date"
        else ""
    )


def _amount(row: Checked, cell: Cell) -> None:
    currency = row.values.get("currency", "")
    if not currency:
        row.wrong("currency", "The currency is missing.")
    if not cell.text:
        row.wrong("amount", "The amount is missing.")
    if currency:
        try:
            minor_digits(currency)
        except UnknownCurrency:
            row.wrong("currency", _currency_sentence(currency))
            currency = ""
    if not cell.text:
        return
    sentence = next((said for is_so, said in _AMOUNTS if is_so(cell)), "")
    if sentence:
        row.wrong("amount", sentence.format(cell.text[:40]))
    elif currency:
        _parse(row, cell.text, currency)


def _parse(row: Checked, text: str, currency: str) -> None:
    try:
        money = Money.parse(text, currency)
    except MoneyError as error:
        noise = (
            f"{text[:40]} is what a spreadsheet calculated, not what somebody typed. Round it to {currency}'s decimals."
        )
        row.wrong("amount", noise if _NOISE.fullmatch(text) else str(error))
        return
    if money.is_positive:
        row.money = money
    else:
        row.wrong("amount", "The amount must be more than zero.")


def _currency_sentence(code: str) -> str:
    try:
        minor_digits(code.upper())
    except UnknownCurrency:
        return f"There is no currency {code[:10]!r}."
    return f"Write {code.upper()} in capitals."


_AMOUNTS: Final[tuple[tuple[Callable[[Cell], bool], str], ...]] = (
    (lambda cell: cell.kind == "date", "The spreadsheet made the date {} of this amount. Type it again, formatted as text."),
    (lambda cell: cell.kind == "boolean", "{} is no amount."),
    (
        lambda cell: _EXPONENT.fullmatch(cell.text) is not None,
        "{} is what a spreadsheet makes of a long number: digits may be lost. Type the amount again, formatted as text.",
    ),
    (
        lambda cell: _GROUPED.fullmatch(cell.text) is not None and cell.text.count(".") + cell.text.count(",") > 1,
        "{} has separators of thousands. Write digits and at most one decimal point.",
    ),
    (
        lambda cell: _DECIMAL_COMMA.fullmatch(cell.text) is not None,
        "{} has a comma, which may stand for decimals or thousands. Write a decimal point, like 12.34.",
    ),
)  # fmt: skip


def decode_metadata(values: dict[str, str]) -> dict[str, object]:
    """The row's own metadata: the columns metadata.<key>, and the description."""
    found: dict[str, object] = {
        name.removeprefix(METADATA): value for name, value in values.items() if name.startswith(METADATA)
    }
    return found | ({"description": values["description"]} if values.get("description") else {})
