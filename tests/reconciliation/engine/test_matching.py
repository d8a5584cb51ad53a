"""Do the statement for identities and the engine on the rest find what the engine alone finds, whatever the input?"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.models import Movement
from reconciliation.engine import compare
from reconciliation.models import Line, Match, Run
from reconciliation.queries.comparing import line_entries, movement_entries
from reconciliation.queries.scope import scope_of, terms_of
from reconciliation.services.matching import match, match_identical
from tests.exploring import examples
from tests.reconciliation.booking.world import DAY, NOW, World, at_noon

pytestmark = pytest.mark.django_db
_numbers = count(1)

OFF = (
    "", "", "", "no line", "no movement", "line twice", "movement twice", "amount", "currency", "status", "void too", "void",
    "fits", "fits not", "told", "told by another", "before",
)  # fmt: skip
PAIR = st.tuples(st.integers(1, 9), st.sampled_from(["capture", "refund", "chargeback"]), st.sampled_from(OFF))


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs=st.lists(PAIR, min_size=2, max_size=7))
def test_set_based_and_pure_agree(pairs: list[tuple[int, str, str]]) -> None:
    with transaction.atomic():
        world = World("nmi", "nmi")
        for who, kind, off in pairs:
            _pair(world, who, kind, off)
        _agree(world)
        transaction.set_rollback(True)


def _pair(world: World, who: int, kind: str, off: str) -> None:
    """A movement and its line, but for what is off. Numbers drawn again make several of one transaction."""
    theirs = {"capture": "charge"}.get(kind, kind)
    line = None
    if off != "no line":
        rate = {"fits": Decimal(1), "fits not": Decimal(2)}.get(off)
        minor, currency = (900 if off == "amount" else 1000), ("GBP" if off == "currency" else "USD")
        line = _line(world, who, theirs, minor, currency, "voided" if off == "status" else "settled", rate)
    if off == "line twice":
        _line(world, who, theirs, 1000, "USD", "settled", None)
    if off == "no movement":
        return
    told = line.line_key if line is not None and off in {"told", "told by another"} else ""
    ours = who + 100 if off == "told by another" else who
    _movement(world, told, ours, kind, "EUR" if off.startswith("fits") else "USD", 1 if off == "before" else 0)
    if off == "told by another":
        _line(world, ours, theirs, 1000, "USD", "settled", None)
        _movement(world, "", who, kind, "USD", 0)
    if off == "movement twice":
        _movement(world, "", who, kind, "USD", 0)
    if off in {"void too", "void"}:
        _movement(world, "", who, "void", "USD", 0, 1000 if off == "void" else 600)


def _agree(world: World) -> None:
    run = Run.objects.get(account=world.account)
    day, now = DAY, NOW + timedelta(days=30)
    scope, terms = scope_of(world.account, day), terms_of(world.account, day, now)
    lines = line_entries(list(Line.objects.values_list("pk", flat=True)))
    movements = movement_entries(list(Movement.objects.values_list("pk", flat=True)), "UTC")
    alone = compare(lines, movements, terms)
    together = match(run, scope, terms, now)
    rows = Match.objects.filter(undone_at=None)
    assert {(row.line_id, row.movement_id, row.rule) for row in rows} == {
        (line.id, movement.id, pairing.rule)
        for pairing in alone.pairings
        for line, movement in [
            *((line, pairing.movements[0]) for line in pairing.lines),
            *((pairing.lines[0], movement) for movement in pairing.movements[1:]),
        ]
    }
    named = [(one.found.kind, one.found.key, one.line_ids, one.movement_ids) for one in alone.breaks]
    assert sorted((one.found.kind, one.found.key, one.line_ids, one.movement_ids) for one in together.breaks) == sorted(
        named
    )
    assert (together.early, together.booked) == (set(alone.early), set(alone.booked))


def _line(world: World, who: int, kind: str, minor: int, currency: str, status: str, rate: Decimal | None) -> Line:
    sign = 1 if kind == "charge" else -1
    exchanged = {"presentment_minor": sign * minor, "presentment_currency": "EUR", "rate": rate} if rate else {}
    return world.line(
        kind,
        sign * minor,
        "USD" if rate else currency,
        gateway_id=f"tx_{who}",
        status=status,
        **exchanged,  # type: ignore[arg-type]
    )


def _movement(
    world: World, told: str, who: int, kind: str, currency: str, days: int, minor: int = 1000
) -> None:  # fmt: skip
    same = Movement.objects.filter(gateway_account=world.gateway, gateway_id=f"tx_{who}", kind=kind)
    Movement.objects.create(
        gateway_account=world.gateway, gateway_id=f"tx_{who}", kind=kind, occurrence=same.count(), amount_minor=minor,
        currency=currency, of_captured_money=kind == "void", occurred_at=at_noon(DAY - timedelta(days=days)),
        posted_at=NOW, entry_source_key=f"movement:{next(_numbers)}", settlement_id=told,
    )  # fmt: skip


def test_equal_identities_meet_in_the_statement_alone() -> None:
    """So that the agreement above is not that of a statement which finds nothing."""
    world = World("nmi", "nmi")
    for who in range(3):
        _movement(world, "", who, "capture", "USD", 0)
        _line(world, who, "charge", 1000, "USD", "settled", None)
    assert match_identical(world.run, scope_of(world.account, DAY), NOW) == 3
    assert match_identical(world.run, scope_of(world.account, DAY), NOW) == 0


def test_a_match_that_a_person_undid_is_made_again_by_no_statement_twice() -> None:
    """Undone, the pair is open again: the next run looks at it anew, and keeps both words."""
    world = World("nmi", "nmi")
    _movement(world, "", 1, "capture", "USD", 0)
    _line(world, 1, "charge", 1000, "USD", "settled", None)
    match_identical(world.run, scope_of(world.account, DAY), NOW)
    Match.objects.update(undone_at=NOW, undone_by="olga")
    assert match_identical(world.run, scope_of(world.account, DAY), NOW) == 1
    assert Match.objects.count() == 2
