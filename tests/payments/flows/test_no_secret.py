"""Where do credentials, keys and payers' addresses turn up? In their own columns, and in no other table, log, page or figure."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from config.services import make_staff
from payments.models import Attempt, Credential, GatewayAccount, InboundEvent, Operation
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.batches.running import run_batch
from payments.services.execution import advance_payment
from payments.services.refunds import advance_refund, request_refund
from tests.payments.batches.uploads import started
from tests.payments.factories import Clock, paid, sweep_until_quiet
from tests.payments.flows.test_stripe_payment import Gateway, stripe

__all__ = ["stripe"]
pytestmark = pytest.mark.django_db(transaction=True)

KEYS = ("demo-nmi-security-key", "demo-nmi-webhook-secret", "sk_test_demo", "whsec_demo")
# With the method; in the frozen call, which is sent again as it was; on the payer's way; and in raw webhooks, as signed.
OWN_COLUMNS = {
    "payments_credential": ("token", "customer"),
    "payments_operation": ("request",),
    "payments_attempt": ("action_url",),
    "payments_inboundevent": ("body",),
}


def kept() -> dict[str, str]:
    """Every table as text, without the columns that may hold a secret."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT to_jsonb(t) - %s::text[] FROM "{table}" t', [list(OWN_COLUMNS.get(table, ()))])
            found[table] = str(cursor.fetchall())
        return found


def everything_that_happens(stripe: Gateway, clock: Clock) -> None:
    """Sales, declines with a second gateway, payers at their bank, lost answers, refunds, an upload, webhooks."""
    sale = paid(clock)
    refund = request_refund(sale.public_id, amount_minor=400, reason="a", actor=SYSTEM, now=clock())
    advance_refund(refund.pk, clock)
    for token in ("tok_decline_soft_decline", "tok_decline_insufficient_funds", "tok_3ds"):
        paid(clock, token=token)
    paid(clock, token="tok_3ds", gateway="stripe", return_url="https://shop.example/back")
    stripe.fault("lost_response", "sale")
    stripe.simulator.fault("lost_response", "sale", gateway="nmi", times=1)
    paid(clock, gateway="stripe")
    paid(clock, gateway="nmi")
    batch = started(clock, "a", "b")
    run_batch(batch.pk, clock)
    for row in batch.rows.all():
        advance_payment(row.payment_id or 0, clock)
    for slug in ("nmi", "stripe"):
        held = paid(clock, gateway=slug, capture="manual")
        assert held.state == "authorised"
    sweep_until_quiet(clock, rounds=3, step=timedelta(seconds=30))
    stripe.hear()


def test_secrets_are_kept_where_they_belong_and_shown_nowhere(
    stripe: Gateway, clock: Clock, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    settings.DEMO = True
    ensure_gateway_account("stripe", "stripe", "Stripe")
    assert set(GatewayAccount.objects.values_list("slug", flat=True)) == {"nmi", "stripe"}
    with caplog.at_level(logging.DEBUG):
        everything_that_happens(stripe, clock)

    tokens = set(Credential.objects.values_list("token", flat=True))
    customers = set(Credential.objects.exclude(customer="").values_list("customer", flat=True))
    addresses = set(Attempt.objects.exclude(action_url="").values_list("action_url", flat=True))
    assert addresses and tokens and Operation.objects.filter(state="declined").exists()
    secrets = {*tokens, *customers, *addresses, *KEYS}

    assert [(table, secret) for table, text in kept().items() for secret in secrets if secret in text] == []
    assert [secret for secret in secrets if secret in caplog.text] == []

    client = Client()
    client.force_login(make_staff("auditor", "auditor", "pw"))
    pages = ["/metrics", "/readyz", "/admin/payments/paymentmethod/", "/admin/payments/inboundevent/"]
    pages += [f"/admin/payments/payment/{one.payment.public_id}/" for one in Attempt.objects.select_related("payment")]
    pages += [f"/admin/payments/inboundevent/{event.public_id}/" for event in InboundEvent.objects.all()]
    pages += [f"/admin/payments/paymentmethod/{one.method.public_id}/" for one in Credential.objects.all()]
    shown = {page: client.get(page).text for page in dict.fromkeys(pages)}
    assert [(page, secret) for page, text in shown.items() for secret in secrets if secret in text] == []
