"""Which columns may a spreadsheet of payments have, and what do they mean? Names and explanations as data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

METADATA: Final = "metadata."
SECRETS: Final = frozenset({"token", "payment_method"})  # and every column of a gateway account; not shown to people


@dataclass(frozen=True, slots=True)
class Column:
    """One heading: what belongs below it, an example, the longest text it takes."""

    name: str
    explanation: str
    example: str = ""
    required: bool = False
    longest: int = 255


COLUMNS: Final = (
    Column(
        "reference", "Your order. While one of its payments is open or paid, no second one is made.", "order-1001",
        required=True, longest=100,
    ),
    Column(
        "amount", "In main units, digits and at most one decimal point: 12.34. No thousands separators.", "12.34",
        required=True, longest=40,
    ),
    Column("currency", "ISO 4217 code in capitals, or BTC.", "USD", required=True, longest=10),
    Column("token", "The gateway's token for the card, where one account is set up; demo tokens start with tok_."),
    Column("payment_method", "A payment method stored here, pm_…, instead of a token.", longest=40),
    Column("payer_id", "Your own id of the payer.", "customer-17", longest=100),
    Column("payer_email", "The payer's address.", "ada@example.com", longest=254),
    Column("payer_name", "The payer's name.", "Ada Lovelace", longest=200),
    Column("capture", "automatic takes the money at once (also when empty), manual only holds it.", "automatic"),
    Column("gateway", "The account that has to take it; empty: routing chooses.", longest=40),
    Column("goods_class", "physical (also when empty), digital or cash_like.", longest=10),
    Column("description", "Kept with the payment's metadata."),
)  # fmt: skip
BY_NAME: Final = {column.name: column for column in COLUMNS}
REQUIRED: Final = tuple(column.name for column in COLUMNS if column.required)
LONGEST_HEADING: Final = 100
RESULTS: Final = ("line", "outcome", "decline_class", "payment", "taken_by", "why")
"""What a file of results has beside the columns above; an upload of such a file leaves them aside."""


def heading_problem(headings: list[str], accounts: Collection[str]) -> str:
    """One sentence about the first thing wrong with a heading line, or an empty string.

    A first line without one heading of ours is taken for a payment: what stands in it may be a name or a number, and is
    not repeated.
    """
    named = [name for name in headings if name]
    if not set(REQUIRED) & set(named):
        return (
            f"The first line holds no headings. Expected are {', '.join(REQUIRED)}, and how the payer pays: token, "
            "payment_method or a column named like a gateway account. The template on the upload page has them all."
        )
    strange = [name for name in named if len(name) > LONGEST_HEADING or not name.isprintable()]
    if strange:
        return (
            f"The heading {strange[0][:60]!r} is longer than {LONGEST_HEADING} signs, or holds one that cannot be seen. "
            "Rename it."
        )
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        return f"The heading {twice[0]!r} stands there twice."
    unknown = [name for name in named if not is_known(name, accounts)]
    if unknown:
        return (
            f"The heading {unknown[0][:60]!r} is not known. Known are {', '.join(BY_NAME)}, metadata.<key>, "
            f"and one column for each gateway account: {', '.join(sorted(accounts)) or 'none is set up'}."
        )
    missing = [name for name in REQUIRED if name not in named]
    if missing:
        return f"The column {missing[0]!r} is missing."
    if not ({"token", "payment_method"} | set(accounts)) & set(named):
        return "No column says how the payer pays: token, payment_method, or one named like a gateway account."
    return ""


def is_known(name: str, accounts: Collection[str]) -> bool:
    return name in BY_NAME or name in RESULTS or name in accounts or (name.startswith(METADATA) and name != METADATA)


def without_secrets(values: Mapping[str, str]) -> dict[str, str]:
    """A row's cells without the columns that hold what is paid with: what is not needed any more is not kept."""
    return {name: text for name, text in values.items() if name not in SECRETS and not is_credential(name)}


def is_credential(name: str) -> bool:
    """Is the column one of a gateway account? Every other one has its name here."""
    return name not in BY_NAME and not name.startswith(METADATA)
