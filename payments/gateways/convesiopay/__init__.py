"""How does ConvesioPay speak? The adapter: orders, look-ups and notifications; what nobody confirmed stands in `contract`.

`orders` puts operations, `look_ups` asks what happened (`history` draws the facts), `notifications` hears, `codes` knows
what a refusal means, `values` reads objects and amounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from payments.facts import Fact
from payments.gateways.base import (
    AbsenceRule,
    Capabilities,
    CodeMeaning,
    Command,
    Issued,
    LookUpAnswer,
    LookUpQuestion,
    ReportPage,
    ReportQuestion,
    Send,
    WebhookMessage,
    WireAnswer,
    WireRequest,
)
from payments.gateways.convesiopay import codes, contract, look_ups, notifications, orders
from payments.gateways.errors import Unreadable

_SECRET, _INTEGRATION = "SECRET", "INTEGRATION"


class ConvesioPay:
    """ConvesioPay behind `payments.gateways.base.Adapter`. It keeps nothing."""

    provider: ClassVar[str] = "convesiopay"
    capabilities: ClassVar[Capabilities] = Capabilities(
        operations=orders.OPERATIONS,
        settlement="none",
        answer_is_final=True,
        multi_capture=False,
        refund_before_settlement=True,
        # An unconfirmed look-up may not know what exists: it proves presence only.
        absence=AbsenceRule(lookups=0, earliest_seconds=0),
        reports_fees=False,
        hold_days=contract.HOLD_DAYS,
        verified=False,
        issues_reusable=True,
        asks_payer=True,
        lists_window=False,
    )
    assumptions: ClassVar[tuple[str, ...]] = contract.assumptions()
    credential_fields: ClassVar[tuple[str, ...]] = (
        _SECRET,
        _INTEGRATION,
        "WEBHOOK_SECRET",
        "WEBHOOK_SECRET_PREVIOUS",
        "BASE_URL",
    )
    codes: ClassVar[Mapping[str, CodeMeaning]] = codes.SHEET
    webhook_answer: ClassVar[bytes] = contract.ACCEPTED

    def refuses(self, command: Command) -> str:
        return orders.refuses(command)

    def request(self, command: Command) -> WireRequest:
        return orders.request(command)

    def answer(self, command: Command, answer: WireAnswer, *, at: datetime) -> Fact:
        return orders.answer(command, answer, at=at)

    def issued(self, command: Command, answer: WireAnswer) -> Issued | None:
        return orders.issued(command, answer)

    def look_up_request(self, question: LookUpQuestion) -> WireRequest:
        return look_ups.request(question)

    def look_up_answer(self, question: LookUpQuestion, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        return look_ups.answer(question, answer, at=at)

    def window_request(self, start: datetime, end: datetime, *, page: int, cursor: str = "") -> WireRequest:
        """Raises ValueError: `lists_window` says that there is no such question."""
        raise ValueError("ConvesioPay is not known to list what changed in a window")

    def window_answer(self, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        """No answer to a question that can not be asked proves anything."""
        return LookUpAnswer(answered=False, evidence={"doubt": "ConvesioPay is not known to list a window"})

    def report_request(self, question: ReportQuestion) -> WireRequest:
        """Raises ValueError: its reports come as files."""
        raise ValueError("ConvesioPay is not known to tell of its books by API")

    def report_answer(self, question: ReportQuestion, answer: WireAnswer, *, at: datetime) -> ReportPage:
        """Raises Unreadable: there is no such answer."""
        raise Unreadable("ConvesioPay is not known to tell of its books by API")

    def verify_webhook(
        self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], *, at: datetime | None = None
    ) -> bool:
        """The items carry their signatures themselves; the headers say nothing."""
        return notifications.verify(body, secrets)

    def event_key(self, body: bytes) -> str:
        return notifications.event_key(body)

    def translate_webhook(self, body: bytes, *, received_at: datetime) -> WebhookMessage:
        return notifications.translate(body, received_at=received_at)

    def probe_request(self) -> WireRequest:
        return look_ups.probe_request()

    def probe_answer(self, answer: WireAnswer) -> bool:
        return look_ups.probe_answer(answer)

    def speak(self, request: WireRequest, credentials: Mapping[str, str], send: Send) -> WireAnswer:
        """Raises KeyError if the account has no secret or no integration, before anything could be sent."""
        return send(orders.sealed(request, credentials[_SECRET], credentials[_INTEGRATION]))
