"""The simulator for what runs; the same clock and account as every flow."""

from __future__ import annotations

from tests.payments.flows.conftest import clock, simulator

__all__ = ["clock", "simulator"]
