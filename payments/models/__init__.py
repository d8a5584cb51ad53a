"""The tables of the business, one file a noun. Models hold state and refuse bad moves; services are the only writers."""

from payments.models.approval import Approval, Limit, LimitUse
from payments.models.attempt import Attempt
from payments.models.batch import Batch, BatchRow
from payments.models.decline import DeclineRule, DeclineRuleChange, NetworkCeiling, UnmappedCode
from payments.models.dispute import Dispute
from payments.models.gateway_account import GatewayAccount, Incident
from payments.models.idempotency import ApiToken, IdempotencyRecord
from payments.models.inbound_event import InboundEvent
from payments.models.movement import Movement
from payments.models.operation import LookUp, Operation
from payments.models.payment import Payment
from payments.models.payment_method import Credential, MethodBlock, Payer, PaymentMethod
from payments.models.payout import Payout, PayoutWord
from payments.models.refund import Refund
from payments.models.retry import Retry
from payments.models.review import Review
from payments.models.routing import GatewayHealth, GatewayMonth, HealthEvent, Route, Switch
from payments.models.schedule import DueDate, Schedule, ScheduleChange
from payments.models.transition import Transition

__all__ = [
    "ApiToken",
    "Approval",
    "Attempt",
    "Batch",
    "BatchRow",
    "Credential",
    "DeclineRule",
    "DeclineRuleChange",
    "Dispute",
    "DueDate",
    "GatewayAccount",
    "GatewayHealth",
    "GatewayMonth",
    "HealthEvent",
    "IdempotencyRecord",
    "InboundEvent",
    "Incident",
    "Limit",
    "LimitUse",
    "LookUp",
    "MethodBlock",
    "Movement",
    "NetworkCeiling",
    "Operation",
    "Payer",
    "Payment",
    "PaymentMethod",
    "Payout",
    "PayoutWord",
    "Refund",
    "Retry",
    "Review",
    "Route",
    "Schedule",
    "ScheduleChange",
    "Switch",
    "Transition",
    "UnmappedCode",
]
