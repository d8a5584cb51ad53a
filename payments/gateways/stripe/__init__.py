"""How does Stripe speak? The adapter: operations, look-ups, windows, webhooks. Translation only.

`intents` puts operations and `answers` reads what comes back; `listing` asks what happened; `books` reads
its balance and payouts; `webhook` hears. `reading`,
`charges`, `refunds` and `disputes` draw facts from objects, `codes` knows what a refusal means, `values` reads amounts and times,
`evidence` says what of an object may be kept, and `sdk` speaks through the official library.
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
from payments.gateways.stripe import answers, books, codes, intents, listing, webhook
from payments.gateways.stripe.values import HOLD_DAYS

_SECRET_KEY, _BASE_URL = "SECRET_KEY", "BASE_URL"


class Stripe:
    """Stripe behind `payments.gateways.base.Adapter`. It keeps nothing."""

    provider: ClassVar[str] = "stripe"
    capabilities: ClassVar[Capabilities] = Capabilities(
        operations=intents.KINDS,
        settlement="payouts",
        answer_is_final=True,
        multi_capture=True,
        refund_before_settlement=True,
        # Its lists are never behind, so two looks are enough; two minutes outlast a request that is still under way.
        absence=AbsenceRule(lookups=2, earliest_seconds=2 * 60),
        reports_fees=True,
        hold_days=HOLD_DAYS,
        issues_reusable=True,
        asks_payer=True,
        vague_codes=frozenset({"generic_decline", "card_declined"}),
        reports=books.REPORTS,
    )
    assumptions: ClassVar[tuple[str, ...]] = (
        "the HTTP status of each error is as its API reference says; only 402 is read as a decline",
        "HTTP 401 and 429 are answered before a request is worked on; lock_timeout comes as 429 or 400",
        "a request that is rejected for its parameters (400 with a known code) has moved nothing",
        "a charge bears the metadata of its payment intent; where it does not, the intent's id finds the payment",
        "a charge's captured amount never falls: a smaller total is an older word",
        "one charge may be captured several times, and its balance transaction may speak of one capture only",
        "a payment intent that ended by itself says so by cancellation reason automatic or expired",
        "an authorisation holds for seven days where its charge names no capture_before",
        "a release of uncaptured money may be shown as a refund without a balance transaction; it moves nothing",
        "a payment intent cancelled without a payment error had held the money of its latest charge",
        "a stored payment method needs a customer, which is made by a call before the payment; it moves no money",
        "merchant-initiated payments refer to the first use by themselves; its network transaction id is not sent",
        "a demand for the payer's confirmation is declined at once where nobody is there or no way leads back",
        "a refusal answered to our own call leaves nothing open: nobody else has been given the intent",
        "a block by Stripe's own rules that is answered as a generic decline bears no code of the network, and is looked up",
        "each webhook delivery, a repeated one too, is signed with a new time; five minutes of age are accepted",
        "webhooks come in any order and more than once, and their objects look as those of the pinned API version",
        "a refund that failed after its money had left names the balance transaction of its return",
        "a fee of a dispute is named by the balance transaction of its withdrawal",
        "a payout that Stripe makes by itself tells what it is made of once its reconciliation is completed",
        "arrival dates are midnights in UTC, and a cancelled payout has gone back to the balance",
        "events are listed for thirty days; an older window can not be filled",
        "ISK, UGX and currencies with three decimals are not sent: how they are written is not confirmed",
    )
    credential_fields: ClassVar[tuple[str, ...]] = (
        _SECRET_KEY,
        "WEBHOOK_SECRET",
        "WEBHOOK_SECRET_PREVIOUS",
        _BASE_URL,
    )
    codes: ClassVar[Mapping[str, CodeMeaning]] = codes.SHEET
    webhook_answer: ClassVar[bytes] = b""

    def refuses(self, command: Command) -> str:
        return intents.refuses(command)

    def request(self, command: Command) -> WireRequest:
        return intents.request(command)

    def answer(self, command: Command, answer: WireAnswer, *, at: datetime) -> Fact:
        return answers.answer(command, answer, at=at)

    def issued(self, command: Command, answer: WireAnswer) -> Issued | None:
        return answers.issued(command, answer)

    def look_up_request(self, question: LookUpQuestion) -> WireRequest:
        return listing.request(question)

    def look_up_answer(self, question: LookUpQuestion, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        return listing.answer(question, answer, at=at)

    def window_request(self, start: datetime, end: datetime, *, page: int, cursor: str = "") -> WireRequest:
        return listing.window_request(start, end, cursor=cursor)

    def window_answer(self, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        return listing.window_answer(answer, at=at)

    def report_request(self, question: ReportQuestion) -> WireRequest:
        return books.request(question)

    def report_answer(self, question: ReportQuestion, answer: WireAnswer, *, at: datetime) -> ReportPage:
        return books.answer(question, answer, at=at)

    def verify_webhook(
        self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], *, at: datetime | None = None
    ) -> bool:
        return webhook.verify(headers, body, secrets, at=at)

    def event_key(self, body: bytes) -> str:
        return webhook.event_key(body)

    def translate_webhook(self, body: bytes, *, received_at: datetime) -> WebhookMessage:
        return webhook.translate(body, received_at=received_at)

    def probe_request(self) -> WireRequest:
        return listing.probe_request()

    def probe_answer(self, answer: WireAnswer) -> bool:
        return listing.probe_answer(answer)

    def speak(self, request: WireRequest, credentials: Mapping[str, str], send: Send) -> WireAnswer:
        """Through the official library, which is imported when it is first needed."""
        secret_key, base_url = credentials[_SECRET_KEY], credentials[_BASE_URL]
        from payments.gateways.stripe import sdk

        return sdk.speak(request, secret_key, base_url, send)
