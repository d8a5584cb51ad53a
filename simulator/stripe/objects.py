"""What do Stripe's objects look like when they come into being? Makers of JSON values; pure, the rules are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from simulator.stripe.cards import Card
from simulator.stripe.codes import BLOCKED, Refusal
from simulator.stripe.store import Json

_CHECKED = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}
_NOBODY = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}


def reference_of(value: Mapping[str, Any]) -> str:
    """Our reference, which the merchant keeps in the metadata."""
    return str(value.get("metadata", {}).get("our_ref", ""))


def payment_method(method_id: str, card: Card, created: int, customer: str | None = None) -> Json:
    return {
        "id": method_id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": dict(_NOBODY),
        "card": {
            "brand": card.brand,
            "checks": dict(_CHECKED),
            "country": "US",
            "display_brand": card.brand,
            "exp_month": card.expiry_month,
            "exp_year": card.expiry_year,
            "fingerprint": card.fingerprint,
            "funding": "credit",
            "last4": card.last_four,
            "networks": {"available": [card.brand], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": created,
        "customer": customer,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def charge(
    charge_id: str, intent: Json, card: Card, created: int, *, amount_minor: int, currency: str, network_id: str
) -> Json:
    """An attempt at the card, its outcome still open."""
    return {
        "id": charge_id,
        "object": "charge",
        "amount": amount_minor,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "authorization_code": None,
        "balance_transaction": None,
        "billing_details": dict(_NOBODY) | {"email": intent["receipt_email"]},
        "calculated_statement_descriptor": "SIMULATED MERCHANT",
        "captured": False,
        "created": created,
        "currency": currency,
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": {"card": _card_used(card, amount_minor, network_id), "type": "card"},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "pending",
        "transfer_data": None,
        "transfer_group": None,
    }


def _card_used(card: Card, amount_minor: int, network_id: str) -> Json:
    return {
        "amount_authorized": amount_minor,
        "authorization_code": None,
        "brand": card.brand,
        "checks": dict(_CHECKED),
        "country": "US",
        "exp_month": card.expiry_month,
        "exp_year": card.expiry_year,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": card.fingerprint,
        "funding": "credit",
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card.last_four,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": network_id,
        "overcapture": {"maximum_amount_capturable": amount_minor, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "wallet": None,
    }


def approved_outcome() -> Json:
    return _outcome("authorized", "approved_by_network", "Payment complete.") | {
        "reason": None,
        "risk_level": "normal",
        "risk_score": 12,
    }


def refused_outcome(refusal: Refusal) -> Json:
    """`outcome` of a failed charge: blocked by Stripe itself, or declined by the issuer."""
    blocked = BLOCKED.get(refusal.word) or ("rule" if refusal.word == "request_blocked" else "")
    if blocked:
        return _outcome("blocked", "not_sent_to_network", "Stripe blocked this payment.") | {
            "reason": blocked,
            "risk_level": "highest",
            "risk_score": 92,
        }
    told = _outcome("issuer_declined", "declined_by_network", "The bank did not approve this payment.")
    return told | {
        "advice_code": refusal.advice_code or None,
        "network_advice_code": refusal.network_advice_code or None,
        "network_decline_code": refusal.network_code or None,
        "reason": refusal.decline_code or None,
        "risk_level": "normal",
        "risk_score": 30,
    }


def _outcome(kind: str, network_status: str, message: str) -> Json:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": network_status,
        "seller_message": message,
        "type": kind,
    }


def refund(refund_id: str, of: Json, amount_minor: int, reason: str | None, created: int) -> Json:
    return {
        "id": refund_id,
        "object": "refund",
        "amount": amount_minor,
        "balance_transaction": None,
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "customer": of["customer"],
        "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
        "failure_balance_transaction": None,
        "failure_reason": None,
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "payment_method": of["payment_method"],
        "pending_reason": None,
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def balance_transaction(
    txn_id: str, kind: str, source: str, amount_minor: int, *, created: int, available_on: int, description: str = ""
) -> Json:
    """A line of the balance in the currency of settlement, without a fee."""
    return {
        "id": txn_id,
        "object": "balance_transaction",
        "amount": amount_minor,
        "available_on": available_on,
        "balance_type": "payments",
        "created": created,
        "currency": "usd",
        "description": description or None,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount_minor,
        "reporting_category": _CATEGORIES.get(kind, kind),
        "source": source,
        "status": "pending",
        "type": kind,
    }


_CATEGORIES = {"adjustment": "dispute", "refund_failure": "refund_failure", "payout_failure": "payout_reversal"}


def with_fee(transaction: Json, fee_minor: int, kind: str, description: str) -> Json:
    detail = {
        "amount": fee_minor,
        "application": None,
        "currency": transaction["currency"],
        "description": description,
        "type": kind,
    }
    return transaction | {"fee": fee_minor, "fee_details": [detail], "net": transaction["amount"] - fee_minor}


def dispute(dispute_id: str, of: Json, amount_minor: int, *, reason: str, status: str, created: int, due: int) -> Json:
    card = of["payment_method_details"]["card"]
    return {
        "id": dispute_id,
        "object": "dispute",
        "amount": amount_minor,
        "balance_transactions": [],
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {"due_by": due, "has_evidence": False, "past_due": False, "submission_count": 0},
        "is_charge_refundable": status.startswith("warning"),
        "livemode": False,
        "metadata": {},
        "network_reason_code": _NETWORK_REASONS.get(reason, "10"),
        "payment_intent": of["payment_intent"],
        "payment_method_details": {
            "card": {"brand": card["brand"], "case_type": "chargeback", "network_reason_code": "10"},
            "type": "card",
        },
        "reason": reason,
        "status": status,
    }


_NETWORK_REASONS = {
    "fraudulent": "10",
    "product_not_received": "13.1",
    "duplicate": "12.6",
    "credit_not_processed": "13.7",
}


def payout(payout_id: str, amount_minor: int, created: int, arrival: int) -> Json:
    return {
        "id": payout_id,
        "object": "payout",
        "amount": amount_minor,
        "application_fee": None,
        "arrival_date": arrival,
        "automatic": True,
        "balance_transaction": None,
        "created": created,
        "currency": "usd",
        "description": "STRIPE PAYOUT",
        "destination": None,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "reconciliation_status": "in_progress",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "in_transit",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
    }


def customer(customer_id: str, created: int, *, email: str, name: str, description: str) -> Json:
    return {
        "id": customer_id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": description or None,
        "email": email or None,
        "invoice_settings": {"default_payment_method": None},
        "livemode": False,
        "metadata": {},
        "name": name or None,
        "phone": None,
        "shipping": None,
    }


def plain(value: object) -> object:
    """What the JSON encoder does not know: a rate of exchange, which is a number on the wire."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} does not go on the wire")
