"""Which payloads does a provider's folder hold? Reads tests/fixtures/gateways/<provider>; the subjects are the same for all."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger.money import Money
from payments.facts import Fact, PayoutTold
from payments.gateways.base import Command, LookUpQuestion, WireAnswer, WireRequest
from payments.gateways.registry import ADAPTERS, get_adapter
from payments.states import COLLECTING, OperationKind

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "gateways"
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SENT_AT = datetime(2026, 3, 1, 11, 58, tzinfo=UTC)
TRANSACTION = "9000000001"
ATTEMPT, REFUND = "att_7Fq", "ref_2Ab"
CREDENTIAL = "tok-of-this-payer"
SECRET = "a-secret-key-of-the-account"

_REFUND_MONEY = Money(1000, "USD")
_MONEY = Money(4999, "USD")


def command(kind: OperationKind) -> Command:
    """The operation that the answers of the folder belong to."""
    collecting = kind in COLLECTING
    return Command(
        kind=kind,
        reference=REFUND if kind == OperationKind.REFUND else ATTEMPT if collecting else f"op_{kind}",
        money=_MONEY,
        credential=CREDENTIAL if collecting else "",
        gateway_id="" if collecting else TRANSACTION,
        handle="" if collecting else TRANSACTION,
        payment_id="pay_1",
        description="Order 17",
        payer_email="payer@example.com",
    )


def question(kind: OperationKind) -> LookUpQuestion:
    """The look-up that the answers of the folder belong to."""
    refund = kind == OperationKind.REFUND
    asked = LookUpQuestion(kind=kind, reference=REFUND if refund else ATTEMPT, money=_MONEY, sent_at=SENT_AT)
    if kind in COLLECTING:
        return asked
    return replace(asked, gateway_id=TRANSACTION, handle=TRANSACTION, money=_REFUND_MONEY if refund else _MONEY)


@dataclass(frozen=True)
class Case:
    """One payload of a provider, and what it must become."""

    provider: str
    name: str
    row: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.provider}: {self.name}"

    @property
    def kind(self) -> OperationKind:
        return OperationKind(self.row["kind"])

    @property
    def expect(self) -> dict[str, Any]:
        expected: dict[str, Any] = self.row["expect"]
        return expected

    @property
    def body(self) -> bytes:
        if "file" in self.row:
            return (FOLDER / self.provider / "look_ups" / str(self.row["file"])).read_bytes()
        body: object = self.row["body"]
        return body.encode() if isinstance(body, str) else json.dumps(body).encode()

    @property
    def wire(self) -> WireAnswer:
        return WireAnswer(self.row["status"], self.row["content_type"], self.body)


def cases(file: str) -> list[Case]:
    """All payloads of one kind, of every provider in the registry. A provider without the file fails the run."""
    return [
        Case(provider, row.get("name", ""), row)
        for provider in sorted(ADAPTERS)
        for row in json.loads((FOLDER / provider / file).read_text())
    ]


class Line:
    """Stands where the HTTP client stands: keeps what would leave, and answers nothing of worth."""

    def __init__(self) -> None:
        self.sent: list[WireRequest] = []

    def __call__(self, request: WireRequest) -> WireAnswer:
        self.sent.append(request)
        return WireAnswer(200, "text/plain", b"")


def spoken(provider: str, wire: WireRequest) -> WireRequest:
    """What would leave this machine for a request, the account's credentials in place."""
    adapter, line = get_adapter(provider), Line()
    credentials = dict.fromkeys(adapter.credential_fields, SECRET) | {"BASE_URL": "http://127.0.0.1:9/gateway"}
    try:
        adapter.speak(wire, credentials, line)
    except Exception:  # noqa: BLE001 - an SDK may choke on the empty answer; what was sent is what counts
        assert line.sent
    (sent,) = line.sent
    return sent


def written(wire: WireRequest) -> str:
    """Everything of a request that travels."""
    body = [*wire.form.items(), *(wire.json or {}).items(), wire.content]
    return f"{wire.method} {wire.path} {dict(wire.headers)} {body}"


def told(fact: Fact, expected: dict[str, Any]) -> dict[str, Any]:
    """What the fact says of just those fields that the payload's row names."""
    said: dict[str, Any] = {
        "fact": fact.kind.value,
        "certainty": fact.certainty.value,
        "failure_class": fact.failure_class.value if fact.failure_class else None,
        "about": fact.about.value if fact.about else None,
        "amount_minor": fact.money.amount_minor if fact.money else None,
        "currency": fact.money.currency if fact.money else None,
        "occurred_at": fact.occurred_at.isoformat(),
        "hold_until": fact.hold_until.isoformat() if fact.hold_until else None,
        "evidence": {name: fact.evidence.get(name) for name in expected.get("evidence", {})},
        "dispute": fact.dispute.state.value if fact.dispute else None,
        "settlement": _worth(fact),
    }
    plain = (
        "gateway_id", "handle", "reference", "original_gateway_id", "code", "message", "batch_id", "test_mode",
        "network_code", "network_advice", "gateway_advice", "retry_after_seconds", "alive", "action_url",
        "occurrence", "running_total",
    )  # fmt: skip
    said |= {name: getattr(fact, name) for name in plain}
    return {name: said[name] for name in expected}


def payout_told(payout: PayoutTold) -> dict[str, Any]:
    """What is said of a payout, all of it."""
    return {
        "gateway_id": payout.gateway_id,
        "state": payout.state.value,
        "amount_minor": payout.money.amount_minor,
        "currency": payout.money.currency,
        "made_at": payout.made_at.isoformat(),
        "occurred_at": payout.occurred_at.isoformat(),
        "arrives_on": payout.arrives_on.isoformat() if payout.arrives_on else None,
        "bank_ref": payout.bank_ref,
        "failure": payout.failure,
        "itemised": payout.itemised,
    }


def _worth(fact: Fact) -> list[object] | None:
    """Settlement money: id, gross, fee, currency, rate."""
    if fact.settlement is None:
        return None
    worth = fact.settlement
    return [
        worth.settlement_id,
        worth.money.amount_minor,
        worth.fee.amount_minor,
        worth.money.currency,
        worth.exchange_rate,
    ]
