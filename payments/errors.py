"""How do payment services refuse? Small named classes; each says what was refused and, where it helps, what to do."""

from __future__ import annotations


class PaymentsError(Exception):
    """A refusal. `code` is stable and machine-readable; `field` names the input that is wrong, if one is."""

    code = "refused"
    status = 409

    def __init__(self, detail: str, *, field: str = "", **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.extra = extra


class NotFound(PaymentsError):
    code, status = "not_found", 404


class InvalidInput(PaymentsError):
    """The caller's input cannot be used; `field` names where."""

    code, status = "invalid_input", 422


class CardNumberRefused(PaymentsError):
    """Something that looks like a card number came in. The value itself is never kept or repeated."""

    code, status = "card_number_refused", 422


class DuplicateReference(PaymentsError):
    """A payment of the same reference is open or paid."""

    code, status = "duplicate_reference", 409


class NotAllowedNow(PaymentsError):
    """The state does not allow the command; the detail says why and what would."""

    code, status = "not_allowed_now", 409


class NotEnough(PaymentsError):
    """The amount is more than what can be captured or refunded."""

    code, status = "amount_too_large", 422


class Conflict(PaymentsError):
    """Somebody or something changed the subject since it was read; says who and what."""

    code, status = "conflict", 409


class Forbidden(PaymentsError):
    """The actor may not do this; says which role could."""

    code, status = "forbidden", 403
