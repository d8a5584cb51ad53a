"""By which terms are the accounts of a world compared? As a finance team would set them up: sources, layouts, contract."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from payments.services.accounts import ensure_gateway_account
from reconciliation.models import ColumnMapping, ContractRate, StatementAccount

GATEWAYS = ("stripe", "nmi", "convesiopay")
BANKS = {"bank-usd": ("camt053", "USD"), "bank-eur": ("mt940", "EUR"), "bank-jpy": ("csv_mapped", "JPY")}
_SOURCES = {"stripe": "stripe_balance", "nmi": "csv_mapped", "convesiopay": "csv_mapped"}
_CURRENCIES = {"stripe": ["USD"], "nmi": ["USD", "EUR"], "convesiopay": ["USD", "JPY"]}
_KINDS = {
    "Sale": "charge", "Refund": "refund", "Refund reversal": "refund_return", "Chargeback": "chargeback",
    "Chargeback reversal": "chargeback_return", "Dispute fee": "dispute_fee", "Service fee": "fee", "Funding": "payout",
    "Reserve withheld": "reserve_hold", "Reserve released": "reserve_release", "Correction": "adjustment",
}  # fmt: skip
_ACQUIRER: dict[str, Any] = {
    "columns": {
        "line_key": "Line", "kind": "Type", "gateway_id": "Transaction", "reference": "Order", "parent_id": "Original",
        "occurred_at": "Time", "currency": "Currency", "gross": "Gross", "fee": "Fee", "net": "Net",
        "presentment_currency": "Payer currency", "presentment": "Payer amount", "rate": "Rate", "method": "Card",
        "status": "Status", "payout_id": "Payout", "available_on": "Funding date", "bank_ref": "Trace", "count": "Count",
    },
    "kinds": _KINDS, "date_format": "%Y-%m-%d %H:%M:%S", "total_row": "TOTAL",
}  # fmt: skip
_CONVESIOPAY: dict[str, Any] = {
    "columns": {
        "line_key": "Id", "kind": "Type", "gateway_id": "PSP reference", "reference": "Merchant reference",
        "parent_id": "Original", "occurred_at": "Booked", "currency": "Currency", "gross": "Gross", "fee": "Fee",
        "tax": "VAT", "net": "Net", "presentment_currency": "Shopper currency", "presentment": "Shopper amount",
        "rate": "Rate", "method": "Method", "status": "Status", "payout_id": "Payout", "available_on": "Arrives",
        "bank_ref": "Bank reference", "count": "Rows",
    },
    "kinds": _KINDS, "date_format": "%d.%m.%Y %H:%M:%S", "delimiter": ";", "decimal_mark": ",", "fees_negative": True,
    "total_row": "Rows in all",
}  # fmt: skip
_BANK: dict[str, Any] = {
    "columns": {
        "occurred_at": "Booked", "available_on": "Value", "text": "Text", "reference": "Reference", "debit": "Debit",
        "credit": "Credit", "bank_ref": "Bank reference",
    },
    "date_format": "%Y-%m-%d",
}  # fmt: skip
_LAYOUTS = {"nmi": _ACQUIRER, "convesiopay": _CONVESIOPAY, "bank-jpy": _BANK}


def environment(url: str) -> dict[str, str]:
    """Where the adapters find the simulator, and by which secrets."""
    names = {f"GATEWAY_{slug.upper()}_BASE_URL": f"{url}/{slug}" for slug in GATEWAYS}
    names |= {"GATEWAY_STRIPE_SECRET_KEY": "sk_test_demo", "GATEWAY_NMI_SECURITY_KEY": "demo-nmi-security-key"}
    names |= {"GATEWAY_STRIPE_WEBHOOK_SECRET": "secret", "GATEWAY_NMI_WEBHOOK_SECRET": "secret"}
    return names | {"GATEWAY_CONVESIOPAY_SECRET": "demo-convesiopay-secret"}


def make_accounts(zone: str, first: date, now: datetime, *, offsets: bool) -> None:
    """Three gateways and three banks; `offsets`: the acquirer writes each time with its own."""
    common: dict[str, Any] = {"time_zone": zone, "books_start_on": first, "bank_days": 1}
    for slug in GATEWAYS:
        gateway = ensure_gateway_account(slug, slug, slug.title())
        StatementAccount.objects.create(
            slug=slug, name=gateway.name, kind="gateway", gateway_account=gateway, source=_SOURCES[slug],
            currencies=_CURRENCIES[slug], fetched=slug == "stripe", **common,
        )  # fmt: skip
    for slug, (source, currency) in BANKS.items():
        StatementAccount.objects.create(
            slug=slug, name=slug, kind="bank", source=source, currencies=[currency], **common
        )
    for slug, layout in _LAYOUTS.items():
        values = layout | ({"date_format": "%Y-%m-%d %H:%M:%S%z"} if slug == "nmi" and offsets else {})
        account = StatementAccount.objects.get(slug=slug)
        ColumnMapping.objects.create(account=account, number=1, made_at=now, made_by="bench", **values)


def agree(slug: str, rates: list[dict[str, Any]]) -> None:
    """The contract, as the gateway has it in writing."""
    account = StatementAccount.objects.get(slug=slug)
    for rate in rates:
        ContractRate.objects.create(
            account=account, kind=rate["kind"], method=rate["method"], currency=rate["currency"],
            percent=Decimal(rate["percent"]), fixed_minor=rate["fixed_minor"], tax_percent=Decimal(rate["tax_percent"]),
            valid_from=date(2026, 1, 1), source="contract",
        )  # fmt: skip
