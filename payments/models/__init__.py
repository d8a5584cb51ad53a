"""The tables of the business, one file a noun. Models hold state and refuse bad moves; services are the only writers."""

from payments.models.attempt import Attempt
from payments.models.gateway_account import GatewayAccount, Incident
from payments.models.idempotency import ApiToken, IdempotencyRecord
from payments.models.inbound_event import InboundEvent
from payments.models.movement import Movement
from payments.models.operation import LookUp, Operation
from payments.models.payment import Payment
from payments.models.payment_method import Credential, Payer, PaymentMethod
from payments.models.refund import Refund
from payments.models.review import Review
from payments.models.transition import Transition

__all__ = [
    "ApiToken",
    "Attempt",
    "Credential",
    "GatewayAccount",
    "IdempotencyRecord",
    "InboundEvent",
    "Incident",
    "LookUp",
    "Movement",
    "Operation",
    "Payer",
    "Payment",
    "PaymentMethod",
    "Refund",
    "Review",
    "Transition",
]
