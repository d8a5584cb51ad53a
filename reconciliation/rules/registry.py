"""Which rules are there, in which order, and which version of them compared a day? One line a rule."""

from __future__ import annotations

from typing import Final

from reconciliation.rules.base import Rule
from reconciliation.rules.gateway_id import GatewayId
from reconciliation.rules.payout_amount import PayoutAmount
from reconciliation.rules.reference import Reference
from reconciliation.rules.settlement_id import SettlementId
from reconciliation.rules.suggestion import Suggestion

RULES: Final[tuple[Rule, ...]] = (SettlementId(), GatewayId(), Reference(), PayoutAmount())
"""Strongest identity first; all of them rest on something both sides share."""
SUGGESTIONS: Final[Rule] = Suggestion()
VERSION: Final = ".".join(str(rule.version) for rule in (*RULES, SUGGESTIONS))
"""Kept with each run."""
