"""Phase 1 of a call: the operation with its key, its reference and its frozen request, written before anything is sent."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ledger.money import Money
from payments.gateways.base import Command
from payments.models import Attempt, Operation, Payment, Refund
from payments.services.case import Case
from payments.services.clocks import set_operation_clock
from payments.states import OperationKind


def new_reference(prefix: str) -> str:
    """Our own unique random reference at a gateway; 25 characters, within NMI's orderid."""
    return f"{prefix}-{secrets.token_hex(11)}"


def freeze(command: Command) -> dict[str, Any]:
    """The command as it is stored: plain JSON."""
    return {
        **asdict(command),
        "kind": command.kind.value,
        "money": [command.money.amount_minor, command.money.currency],
    }


def thaw(stored: dict[str, Any]) -> Command:
    """The frozen command again, to the letter."""
    amount_minor, currency = stored["money"]
    return Command(**{**stored, "kind": OperationKind(stored["kind"]), "money": Money(amount_minor, currency)})


def plan_operation(  # noqa: PLR0913 - one argument a column that the caller alone knows
    case: Case,
    attempt: Attempt,
    kind: OperationKind,
    money: Money,
    *,
    now: datetime,
    reference: str = "",
    credential: str = "",
    gateway_id: str = "",
    final: bool = True,
    refund: Refund | None = None,
    requested_by: str = "",
    flags: Mapping[str, Any] | None = None,
) -> Operation:
    """Write one planned operation under the payment's lock; `gateway_id`: the transaction it acts on, if not the attempt's.

    `flags`: further fields of the command, such as those of a stored credential.
    Raises: IntegrityError if another operation of the attempt is open; the caller's guard has asked before.
    """
    assert case.payment is not None
    reference, gateway_id = reference or new_reference("cf"), gateway_id or attempt.gateway_id
    command = Command(
        kind=kind,
        reference=reference,
        money=money,
        credential=credential,
        gateway_id=gateway_id,
        payment_id=case.payment.public_id,
        description=case.payment.reference,
        payer_email=case.payment.payer.email if case.payment.payer and credential else "",
        final=final,
        handle=attempt.handle,
        **(flags or {}),
    )
    operation = _row(case.payment, attempt, command)
    operation.refund, operation.requested_by, operation.planned_at = refund, requested_by, now
    set_operation_clock(operation, case.account, now)
    operation.save()
    case.operations.append(operation)
    return operation


def _row(payment: Payment, attempt: Attempt, command: Command) -> Operation:
    """The operation of a command, still without its times."""
    return Operation(
        payment=payment,
        attempt=attempt,
        gateway_account_id=attempt.gateway_account_id,
        kind=command.kind,
        reference=command.reference,
        gateway_id=command.gateway_id,
        amount_minor=command.money.amount_minor,
        currency=command.money.currency,
        final=command.final,
        request=freeze(command),
    )
