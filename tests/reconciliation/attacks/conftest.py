"""A gateway account with a whole report, and people who may end its breaks alone."""

from __future__ import annotations

import pytest

from tests.reconciliation.factories import may_alone
from tests.reconciliation.running.night import DAY, LATER, Night


@pytest.fixture
def night(transactional_db: None) -> Night:
    may_alone()
    made = Night()
    made.reported(DAY, LATER)
    return made
