"""What may be sent, and what comes back? Strict shapes for reading and for the OpenAPI page; no rule of business."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from ledger.money import BIGINT_MAX, minor_digits
from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest

DAY_SECONDS = 86_400


def _known_currency(code: str) -> str:
    minor_digits(code)  # its UnknownCurrency is a ValueError and says what a currency looks like
    return code


def _printable(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("must not begin or end with a blank nor hold control characters")
    return text


AmountMinor = Annotated[int, Field(gt=0, le=BIGINT_MAX, description="Minor units of the currency: 1234 is 12.34 USD.")]
Currency = Annotated[str, AfterValidator(_known_currency), Field(description="ISO 4217, upper case.", examples=["USD"])]
Line = AfterValidator(_printable)


class Strict(BaseModel):
    """No coercion, no unknown members."""

    model_config = ConfigDict(strict=True, extra="forbid")


class PayerIn(Strict):
    """Who pays, as the merchant knows them."""

    id: Annotated[str, Field(max_length=100), Line] = ""
    email: Annotated[str, Field(max_length=254), Line] = ""
    name: Annotated[str, Field(max_length=200), Line] = ""


class MethodIn(Strict):
    """One of token, credentials or payment_method. Card numbers are refused: send what the gateway's form gave you."""

    type: Literal["card", "upi", "crypto", "wallet"]
    token: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    credentials: dict[str, Annotated[str, Field(min_length=1, max_length=255)]] | None = Field(
        default=None, min_length=1, max_length=20, description="A credential for each gateway account, by its slug."
    )
    payment_method: Annotated[str, Field(min_length=1, max_length=40)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [way for way in (self.token, self.credentials, self.payment_method) if way is not None]
        if len(ways) > 1 or (self.type == "card" and not ways):
            raise ValueError("needs exactly one of token, credentials and payment_method")
        return self


class PaymentIn(Strict):
    """A payment intent."""

    amount_minor: AmountMinor
    currency: Currency
    reference: Annotated[str, Field(min_length=1, max_length=100, description="Your order."), Line]
    method: MethodIn
    payer: PayerIn | None = None
    capture: Literal["automatic", "manual"] = "automatic"
    gateway: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    accept_partial: bool = False
    goods_class: Literal["physical", "digital", "cash_like"] = "physical"
    return_url: Annotated[str, Field(max_length=500, pattern=r"^https?://[^\s]+$")] | None = None
    expires_in_seconds: Annotated[int, Field(ge=60, le=31 * DAY_SECONDS)] | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict, max_length=100)
    allow_another: Annotated[
        bool, Field(description="Make a second payment of this reference though one is open or paid.")
    ] = False

    def to_request(self) -> PaymentRequest:
        """The intent as the intake service takes it."""
        return PaymentRequest(
            amount_minor=self.amount_minor,
            currency=self.currency,
            reference=self.reference,
            method=MethodRequest(
                type=self.method.type,
                token=self.method.token or "",
                credentials=self.method.credentials or {},
                payment_method=self.method.payment_method or "",
            ),
            payer=PayerRequest(self.payer.id, self.payer.email, self.payer.name) if self.payer else None,
            capture=self.capture,
            gateway=self.gateway or "",
            accept_partial=self.accept_partial,
            goods_class=self.goods_class,
            return_url=self.return_url or "",
            expires_in_seconds=self.expires_in_seconds,
            metadata=dict(self.metadata),
            allow_another=self.allow_another,
        )


class CaptureIn(Strict):
    """How much of the hold to take; null takes all of it. After a final capture the rest of the hold is let go."""

    amount_minor: AmountMinor | None = None
    final: bool = True


class CancelIn(Strict):
    """Nothing is needed to cancel."""


class RefundIn(Strict):
    """How much to give back, and why."""

    amount_minor: AmountMinor
    reason: Annotated[str, Field(min_length=1, max_length=200), Line]


class FailureOut(Strict):
    """Why the payment's latest call at the gateway did not succeed."""

    operation: str
    class_: Annotated[str | None, Field(alias="class", description="Ours: hard_decline, insufficient_funds, …")]
    code: Annotated[str | None, Field(description="The gateway's.")]
    message: str | None


class PaymentOut(Strict):
    """A payment. Amounts are what happened at the gateway, in minor units of the payment's currency."""

    id: str
    state: str
    waits_for: Annotated[str | None, Field(description="worker, gateway, look_up, merchant, operator, settlement.")]
    cancel_requested: bool
    amount_minor: int
    currency: str
    reference: str
    amount_authorised_minor: int
    amount_captured_minor: int
    amount_refunded_minor: int
    gateway: str | None
    review: Annotated[str | None, Field(description="An open question that an operator decides.")]
    pay_url: Annotated[
        str | None,
        Field(
            description="Send the payer there while waits_for is payer: they have to confirm at their bank."
            " Whoever opens it acts as the payer."
        ),
    ]
    failure: FailureOut | None
    expires_at: datetime
    metadata: dict[str, JsonValue]
    created_at: datetime
    updated_at: datetime


class PaymentPage(Strict):
    """Newest first. `next` is the `before` of the following page, null on the last."""

    items: list[PaymentOut]
    next: str | None


class RefundOut(Strict):
    """A refund and how far it has come."""

    id: str
    payment: str
    state: str
    waits_for: str | None
    waits_because: str | None
    amount_minor: int
    currency: str
    reason: str
    origin: str
    created_at: datetime
    updated_at: datetime


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `field` names the input that is wrong, `payment_id` a payment that is in the way."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    errors: list[dict[str, str]] | None = None  # field and detail of each wrong input
    payment_id: str | None = None
