"""How does NMI (Network Merchants) speak? The adapter: operations, look-ups, windows, webhooks. Translation only.

`transact` puts operations, `query` asks what happened (`report` reads, `history` draws the facts), `webhook` hears,
`codes` knows what an answer means, `values` reads amounts and dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
from payments.gateways.nmi import books, codes, query, transact, webhook
from payments.gateways.nmi.values import HOLD_DAYS

_SECURITY_KEY = "SECURITY_KEY"


class Nmi:
    """NMI behind `payments.gateways.base.Adapter`. It keeps nothing."""

    provider: ClassVar[str] = "nmi"
    capabilities: ClassVar[Capabilities] = Capabilities(
        operations=frozenset(transact.TYPES),
        settlement="batches",
        answer_is_final=True,
        multi_capture=False,
        refund_before_settlement=False,
        # A sale may be missing from the report for a moment; five looks over a quarter of an hour outlast that.
        absence=AbsenceRule(lookups=5, earliest_seconds=15 * 60),
        reports_fees=False,
        hold_days=HOLD_DAYS,
        issues_reusable=True,
        reports=books.REPORTS,
    )
    assumptions: ClassVar[tuple[str, ...]] = (
        "an approved capture keeps the authorisation's transaction id",
        "a second capture of one authorisation is not possible",
        "an authorisation holds for seven days; NMI states no period",
        "the account's own duplicate window is in force; what it compares is not known, so a duplicate is looked up",
        "code 440 is refused before any money moves, and so are 410, 411, 441, 460 and 461",
        "HTTP 429 is answered before the Payment API reads the request",
        "query.php reports a failure as <error_response>",
        "query.php reads and writes its dates in UTC",
        "query.php counts its pages from 0 and answers an empty one after the last",
        "query.php lists by transaction id in result_order standard; where it does not, a report counts only if nothing moved",
        "a sale is in the report at the latest 15 minutes after it was made",
        "a batch_id of 0 means no batch; only condition complete or a settle action means settled",
        "condition canceled without a void action means a lapsed hold, or a void if money had been captured",
        "a refund made in NMI's own panel keeps the order id of the sale; without it, it is parked and becomes a case",
        "money going back may be reported with a minus sign",
        "webhooks come in any order and more than once",
        "add_customer beside a sale keeps the card under the customer_vault_id of the answer, if that is approved",
        "initial_transaction_id is the id of the transaction that stored the card",
        "a charge by the merchant is marked billing_method recurring",
        "processor_response_code, where the processor passes it on, is the card network's own code",
        "amounts have two decimals; how other currencies are written is not known, so they are refused",
    )
    credential_fields: ClassVar[tuple[str, ...]] = (
        _SECURITY_KEY,
        "WEBHOOK_SECRET",
        "WEBHOOK_SECRET_PREVIOUS",
        "BASE_URL",
    )

    codes: ClassVar[Mapping[str, CodeMeaning]] = codes.SHEET
    webhook_answer: ClassVar[bytes] = b""

    def refuses(self, command: Command) -> str:
        return transact.refuses(command)

    def request(self, command: Command) -> WireRequest:
        return transact.request(command)

    def answer(self, command: Command, answer: WireAnswer, *, at: datetime) -> Fact:
        return transact.answer(command, answer, at=at)

    def issued(self, command: Command, answer: WireAnswer) -> Issued | None:
        return transact.issued(command, answer)

    def look_up_request(self, question: LookUpQuestion) -> WireRequest:
        return query.request(question)

    def look_up_answer(self, question: LookUpQuestion, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        return query.answer(question, answer, at=at)

    def window_request(self, start: datetime, end: datetime, *, page: int, cursor: str = "") -> WireRequest:
        return query.window_request(start, end, page=page)

    def window_answer(self, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        return query.window_answer(answer, at=at)

    def report_request(self, question: ReportQuestion) -> WireRequest:
        return books.request(question)

    def report_answer(self, question: ReportQuestion, answer: WireAnswer, *, at: datetime) -> ReportPage:
        return books.answer(question, answer, at=at)

    def verify_webhook(
        self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], *, at: datetime | None = None
    ) -> bool:
        return webhook.verify(headers, body, secrets)

    def event_key(self, body: bytes) -> str:
        return webhook.event_key(body)

    def translate_webhook(self, body: bytes, *, received_at: datetime) -> WebhookMessage:
        return webhook.translate(body, received_at=received_at)

    def probe_request(self) -> WireRequest:
        return query.probe_request()

    def probe_answer(self, answer: WireAnswer) -> bool:
        return query.probe_answer(answer)

    def speak(self, request: WireRequest, credentials: Mapping[str, str], send: Send) -> WireAnswer:
        """Raises KeyError if the account has no security key, before anything could be sent."""
        return send(replace(request, form={**request.form, "security_key": credentials[_SECURITY_KEY]}))
