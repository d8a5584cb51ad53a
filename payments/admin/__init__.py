"""The operator's pages over payments: doors, each making one service call. Importing a module registers its pages."""

from payments.admin import (
    approval,
    batch,
    decline_code,
    dispute,
    gateway_account,
    inbox,
    limit,
    network_ceiling,
    payment,
    payment_method,
    payout,
    review,
    route,
    schedule,
    switch,
    unmapped_code,
)

__all__ = [
    "approval",
    "batch",
    "decline_code",
    "dispute",
    "gateway_account",
    "inbox",
    "limit",
    "network_ceiling",
    "payment",
    "payment_method",
    "payout",
    "review",
    "route",
    "schedule",
    "switch",
    "unmapped_code",
]
