"""How does the kit, which knows no books, write money? The one line between console and the ledger."""

from ledger.money import Money


def decimal_string(amount_minor: int, currency: str) -> str:
    """Write signed minor units as a plain decimal number in the currency's own digits: -1234 USD is "-12.34"."""
    return Money(amount_minor, currency).to_decimal_string()
