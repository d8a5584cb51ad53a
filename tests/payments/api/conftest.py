"""What do the API's tests share? One gateway account, and a merchant system that may do everything."""

from __future__ import annotations

import pytest
from django.utils import timezone

from payments.models import GatewayAccount
from payments.services.accounts import ensure_gateway_account
from payments.services.tokens import issue_token
from tests.payments.api.callers import MerchantSystem


@pytest.fixture
def account() -> GatewayAccount:
    """The one gateway account."""
    return ensure_gateway_account("nmi", "nmi", "NMI")


@pytest.fixture
def merchant(account: GatewayAccount) -> MerchantSystem:
    """A system whose token has every scope."""
    return MerchantSystem(issue_token("shop", now=timezone.now()).token)
