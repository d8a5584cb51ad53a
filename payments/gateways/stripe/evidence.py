"""What of an object of Stripe's may stand in a timeline? Small, masked, JSON-able; no name, no address, no secret."""

from __future__ import annotations

from payments.gateways.stripe.values import Json, evidence_of, id_in, number_in, part, text_in


def of_intent(intent: Json) -> dict[str, object]:
    return evidence_of(
        payment_intent=id_in(intent, "id"),
        status=text_in(intent, "status"),
        charge=id_in(intent, "latest_charge"),
        amount_received_minor=number_in(intent, "amount_received"),
        cancellation_reason=text_in(intent, "cancellation_reason"),
    )


def of_charge(charge: Json) -> dict[str, object]:
    outcome, card = part(charge, "outcome"), part(charge, "payment_method_details", "card")
    checks = part(card, "checks")
    return evidence_of(
        charge=id_in(charge, "id"),
        payment_intent=id_in(charge, "payment_intent"),
        status=text_in(charge, "status"),
        captured=charge.get("captured") is True,
        disputed=True if charge.get("disputed") is True else None,
        outcome=text_in(outcome, "type"),
        network_status=text_in(outcome, "network_status"),
        risk_level=text_in(outcome, "risk_level"),
        authcode=text_in(charge, "authorization_code"),
        cvv=text_in(checks, "cvc_check"),
        avs=text_in(checks, "address_postal_code_check"),
        brand=text_in(card, "brand"),
        last_four=text_in(card, "last4")[:4],
    )


def of_refund(refund: Json) -> dict[str, object]:
    return evidence_of(
        refund=id_in(refund, "id"),
        status=text_in(refund, "status"),
        reason=text_in(refund, "reason"),
        failure_reason=text_in(refund, "failure_reason"),
        pending_reason=text_in(refund, "pending_reason"),
    )


def of_error(error: Json) -> dict[str, object]:
    return evidence_of(
        error_type=text_in(error, "type"),
        error_code=text_in(error, "code"),
        decline_code=text_in(error, "decline_code"),
        advice_code=text_in(error, "advice_code"),
        network_decline_code=text_in(error, "network_decline_code"),
        network_advice_code=text_in(error, "network_advice_code"),
        param=text_in(error, "param"),
        failed_charge=id_in(error, "charge"),
    )
