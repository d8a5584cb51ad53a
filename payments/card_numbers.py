"""Does this look like a card number? Pure scanning of texts and documents; it keeps and repeats nothing it finds.

A candidate is 13 to 19 digits with an issuer's prefix whose last digit is right by Luhn. Blanks, dashes, dots, slashes,
underscores and plus signs may stand between digits; letters and other signs end a candidate. Any neighbouring groups
may make up the number, so that "17 4111 1111 1111 1111 12/29" is found.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import unquote

REPLACED: Final = "[card number]"
SHORTEST: Final = 13
LONGEST: Final = 19
_RUN: Final = re.compile(r"\d(?:[\s./_+\-\u2010-\u2015\u2212]{0,2}\d){12,}")
_RANDOM_ID: Final = re.compile(  # a UUID, or 24 and more hexadecimal digits
    r"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24,128})(?![0-9a-z])", re.IGNORECASE
)
# First six digits, lowest and highest, of the ranges issuers use (ISO/IEC 7812; the schemes' published tables).
_ISSUERS: Final = (
    (220000, 220499),  # Mir
    (222100, 272099),  # Mastercard
    (300000, 309999),  # Diners Club
    (340000, 399999),  # American Express, JCB, Diners Club
    (400000, 499999),  # Visa
    (500000, 589999),  # Mastercard, Maestro, Verve, RuPay
    (600000, 699999),  # Discover, UnionPay, Maestro, RuPay
    (810000, 829999),  # UnionPay, RuPay
    (860000, 860099),  # Uzcard
    (979200, 979299),  # Troy
    (986000, 986099),  # Humo
)


def has_card_number(text: str) -> bool:
    """True if some neighbouring digit groups of the text look like a card number."""
    return next(_candidates(_plain(text)), None) is not None


def without_card_numbers(text: str) -> str:
    """The text with every run of digits that holds a card number replaced."""
    if not has_card_number(text):
        return text
    kept = _RUN.sub(lambda run: REPLACED if has_card_number(run.group()) else run.group(), text)
    return REPLACED if has_card_number(kept) else kept  # written in digits that only folding reveals


class WithoutCardNumbers(logging.Filter):
    """For log handlers: a message may quote what a stranger sent, an address for instance."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, its message and its traceback without card numbers."""
        message = record.getMessage()
        if has_card_number(message):
            record.msg, record.args = without_card_numbers(message), None
        if (
            record.exc_info and not record.exc_text
        ):  # an error may quote what it could not read; formatters keep this text
            record.exc_text = without_card_numbers(logging.Formatter().formatException(record.exc_info))
        return True


def find_card_number(document: object, *, amounts: Collection[str] = ()) -> str | None:
    """The path ("payer.name", "metadata.notes.0") of the first text, number or key that looks like a card number.

    Numbers at the paths in `amounts` are quantities and are not read as text. A key is reported as its parent's path
    with "[key]" behind it, because the key itself must not be repeated.
    """
    pending: list[tuple[str, object]] = [("", document)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            if any(has_card_number(str(key)) for key in value):
                return f"{path}[key]"
            pending.extend((f"{path}.{key}" if path else str(key), child) for key, child in value.items())
        elif isinstance(value, list | tuple):
            pending.extend((f"{path}.{number}", child) for number, child in enumerate(value))
        elif _is_suspect(value, is_amount=path in amounts):
            return path
    return None


def _is_suspect(value: object, *, is_amount: bool) -> bool:
    if isinstance(value, str):
        return has_card_number(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return not is_amount and has_card_number(str(value))
    return False


def _plain(text: str) -> str:
    """Full-width and other digits as ASCII, invisible format characters gone, addresses unquoted, random ids blanked out.

    An id of hexadecimal digits with a letter in it is random: one in a thousand would be refused by chance.
    """
    if len(text) < SHORTEST:
        return ""
    folded = unicodedata.normalize("NFKC", unquote(text) if "%" in text else text)
    visible = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    return _RANDOM_ID.sub(lambda id_: id_.group() if id_.group().replace("-", "").isdigit() else " x ", visible)


def _candidates(text: str) -> Iterator[str]:
    for run in _RUN.finditer(text):
        groups = re.findall(r"\d+", run.group())
        for start in range(len(groups)):
            digits = ""
            for group in groups[start:]:
                digits += group
                if len(digits) > LONGEST:
                    break
                if len(digits) >= SHORTEST and _is_issued(digits) and _passes_luhn(digits):
                    yield digits


def _is_issued(digits: str) -> bool:
    prefix = int(digits[:6])
    return any(low <= prefix <= high for low, high in _ISSUERS)


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
