"""What does a demo's comparison need? Terms for every gateway account, a bank account, mappings of plausible files, and rates."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from reconciliation.services.contract_rates import RateWanted, ensure_rates
from reconciliation.services.mappings import MappingWanted, ensure_mapping
from reconciliation.services.terms import ensure_bank_account, ensure_statement_accounts

BANK: Final = "main"
_GATEWAYS: Final = ("nmi", "convesiopay", "stripe")
_KINDS: Final = {
    "Sale": "charge",
    "Refund": "refund",
    "Chargeback": "chargeback",
    "Chargeback reversal": "chargeback_return",
}
_ACQUIRER: Final = MappingWanted(
    account="nmi",
    columns={
        "line_key": "{Transaction ID}:{kind}",
        "gateway_id": "Transaction ID",
        "reference": "Order ID",
        "kind": "Type",
        "currency": "Currency",
        "gross": "Gross",
        "fee": "Fee",
        "net": "Net",
        "occurred_at": "Settled at",
        "payout_id": "Batch",
        "method": "Card",
        "text": "Description",
    },
    kinds=_KINDS
    | {"Monthly fee": "fee", "Deposit": "payout", "Reserve": "reserve_hold", "Reserve release": "reserve_release"},
    date_format="%Y-%m-%d %H:%M:%S",
    total_row="Total",
)
_CONVESIOPAY: Final = MappingWanted(
    account="convesiopay",
    columns={
        "line_key": "Psp Reference",
        "gateway_id": "Psp Reference",
        "parent_id": "Original Reference",
        "reference": "Merchant Reference",
        "kind": "Type",
        "currency": "Net Currency",
        "gross": "Gross",
        "fee": "Commission",
        "net": "Net",
        "occurred_at": "Creation Date",
        "payout_id": "Batch Number",
        "method": "Payment Method",
    },
    kinds={
        "Settled": "charge",
        "Refunded": "refund",
        "RefundedReversed": "refund_return",
        "Chargeback": "chargeback",
        "ChargebackReversed": "chargeback_return",
        "Fee": "fee",
        "MiscCosts": "adjustment",
        "MerchantPayout": "payout",
        "Balancetransfer": "adjustment",
    },
    date_format="%Y-%m-%d %H:%M:%S",
)

_STRIPE_RATES: Final = [
    RateWanted("stripe", "charge", "USD", "2.9", "0.30", "2020-01-01", "Stripe's standard contract (simulated)"),
    RateWanted("stripe", "refund", "USD", "0", "0", "2020-01-01", "Stripe's standard contract (simulated)"),
]


def prepare_comparison(*, demo: bool, now: datetime) -> None:
    """This function will give every gateway account its terms; for a demo also a bank account and two mappings.

    A demo's own accounts begin with the day of the start: there was no business before, so no report of it is awaited.
    Idempotent on: names. What people changed stays. Writes: accounts, mappings.
    """
    ensure_statement_accounts(dict.fromkeys(_GATEWAYS, now) if demo else {})
    if not demo:
        return
    ensure_bank_account(BANK, "Main bank account (simulated)", begun=now)
    for wanted in (_ACQUIRER, _CONVESIOPAY):
        ensure_mapping(wanted, now)
    ensure_rates("stripe", _STRIPE_RATES)
