"""Does `reconcile` say in words, JSON and its exit code what the comparison came to?"""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command

from reconciliation.queries.equations import Places, lines_of, movements_of
from reconciliation.queries.scope import scope_of
from reconciliation.services.running import _finish
from tests.reconciliation.running.night import DAY, LATER, NIGHT, LineKind, Night

pytestmark = pytest.mark.django_db


def reconcile(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile", *arguments, stdout=out, stderr=out)
    return int(str(ended.value.code)), out.getvalue()


def test_balanced_without_open_breaks() -> None:
    night = Night()
    night.taken(1000)
    code, told = reconcile("nmi", "--date", DAY.isoformat())
    assert code == 0
    assert "1 lines read = 1 matched + 0 booked + 0 broken + 0 early + 0 rejected + 0 foreign" in told
    assert "1 open movements in scope = 1 matched + 0 broken + 0 expected" in told
    assert "residual 0.00 USD" in told or "residual USD 0.00" in told


def test_breaks_are_open() -> None:
    night = Night()
    night.line(LineKind.ADJUSTMENT, -80)
    code, told = reconcile("nmi", "--date", DAY.isoformat(), "--json")
    answer = json.loads(told)
    assert (code, answer["ok"], answer["balanced"]) == (1, False, True)
    assert answer["open_breaks"] == {"gateway_adjustment": 1}
    assert (answer["lines"]["read"], answer["lines"]["broken"]) == (1, 1)


@pytest.mark.parametrize(("slug", "day", "says"), [("nmi", LATER, "There is no report"), ("nobody", DAY, "nobody")])
def test_it_could_not_be_compared(slug: str, day: object, says: str) -> None:
    Night()
    code, told = reconcile(slug, "--date", str(day))
    assert code == 2
    assert says in told


def test_an_equation_that_does_not_hold_fails_loudly() -> None:
    """A run that knows nothing of a line which is there: the numbers say that one is in no part."""
    night = Night()
    night.line(LineKind.ADJUSTMENT, -80)
    run = night.compare()
    night.line(LineKind.CHARGE, 700, gateway_id="tx_lost")
    scope = scope_of(night.account, DAY)
    lines, movements = lines_of(run, scope, Places()), movements_of(run, scope, Places(), scope.end)
    assert (lines.holds, movements.holds) == (False, True)
    run.mark_running()
    _finish(run, lines, movements, {}, NIGHT)
    assert (run.state, run.balanced) == ("failed", False)
    assert "2 read = 0 matched + 1 booked + 0 broken + 0 early + 0 rejected + 0 foreign + 1 LOST" in run.because
