"""What can somebody who owns the database change so that a certificate still holds?"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from reconciliation import certificate as certificates
from reconciliation.queries.verification import objections_to
from reconciliation.services import closing
from tests import services
from tests.ledger.books import capture, post
from tests.payments.approvals.people import person

DAY = date(2026, 3, 10)
LATER = datetime(2026, 3, 13, 9, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def certificate(db: None) -> dict[str, Any]:
    post(capture("day/1"))
    made: dict[str, Any] = closing.close_day(DAY, actor=person("fay"), now=LATER).certificate
    assert objections_to(made) == []
    return made


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE ledger_journalentry SET actor = 'somebody else'",
        "UPDATE ledger_journalentry SET description = 'another reason'",
        "UPDATE ledger_journalentry SET subject = 'pay_2'",
        "UPDATE ledger_posting SET match_key = 'pay_2'",
        "UPDATE ledger_account SET gateway = 'stripe' WHERE code = '1110'",
        "UPDATE ledger_closedday SET reopened_at = now(), reopened_by = 'mallory'",
        "DELETE FROM ledger_closedday",
        "UPDATE reconciliation_dayclose SET closed_by = 'mallory'",
        "UPDATE reconciliation_dayclose SET approved_by = 'carl'",
    ],
)
def test_damage_by_who_owns_the_database_is_seen(certificate: dict[str, Any], damage: str) -> None:
    with psycopg.connect(services.owner_url()) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(damage)
    assert objections_to(certificate)


def test_a_certificate_edited_in_any_field_is_refused(certificate: dict[str, Any]) -> None:
    for name in certificate:
        for other in ("x", 7, [1], {"a": 1}):
            assert objections_to({**certificate, name: other}), name
        assert objections_to({key: value for key, value in certificate.items() if key != name}), name
    assert objections_to({**certificate, "more": 1})


def test_one_that_is_sealed_anew_was_never_given(certificate: dict[str, Any]) -> None:
    content = {key: value for key, value in certificate.items() if key not in ("digest", "format")}
    forged = certificates.sealed({**content, "closed_by": "mallory"})
    assert objections_to(forged) == ["No close here was ever given this certificate."]
