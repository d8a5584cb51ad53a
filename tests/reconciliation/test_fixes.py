"""Has every kind of break at least one way out, behind which a command stands?"""

from __future__ import annotations

import pytest

from reconciliation.fixes import BULK_FIXES, FIXES, Fix, fixes_for
from reconciliation.services.resolutions.registry import COMMANDS, command_of
from reconciliation.states import BreakType


@pytest.mark.parametrize("kind", list(BreakType))
def test_no_kind_of_break_needs_surgery(kind: BreakType) -> None:
    assert fixes_for(kind)
    assert all(command_of(fix).fix == fix for fix in fixes_for(kind))


def test_every_fix_is_a_way_out_of_something_and_has_a_command() -> None:
    offered = {fix for fixes in FIXES.values() for fix in fixes}
    assert offered == set(Fix) == set(COMMANDS)


def test_fixes_over_many_breaks_read_nothing_of_the_single_one() -> None:
    """What names a counterpart, a sum or lines is of one break."""
    single = {"counterpart", "lines", "amount_minor"}
    assert not any(single & set(command_of(fix).fields) for fix in BULK_FIXES)
