"""Can a request, an approval or a group be used for something other than what people saw?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from payments.errors import Conflict, Forbidden
from payments.models import Limit
from payments.services.approvals import approve
from reconciliation.models import Break, Resolution
from reconciliation.services.desk import lay_evidence
from reconciliation.services.resolutions.bulk import BulkWish, resolve_bulk
from reconciliation.services.resolutions.commanding import preview, resolve
from tests.reconciliation.attacks.ends import MORNING, booked, clock, residual
from tests.reconciliation.factories import NOTE, person, wish
from tests.reconciliation.running.night import LATER, LineKind, Night


def adjusted(night: Night, *sums: int) -> list[Break]:
    for minor in sums:
        night.line(LineKind.ADJUSTMENT, minor)
    night.compare(LATER)
    return night.open_breaks()


def test_a_request_that_ended_one_break_is_no_answer_for_another(night: Night) -> None:
    one, other = adjusted(night, -500, -700)
    fiona = person()
    asked = wish("post_fee", one, request_id="same", treatment="fee")
    resolve(one.public_id, asked, actor=fiona, clock=clock)
    with pytest.raises(Conflict, match="ended another break"):
        resolve(other.public_id, asked, actor=fiona, clock=clock)
    with pytest.raises(Forbidden):
        resolve(one.public_id, asked, actor=person("arthur", "auditor"), clock=clock)
    assert booked("5010") == 500


def test_what_changed_between_looking_and_pressing_is_refused(night: Night) -> None:
    (one,) = adjusted(night, -500)
    asked = wish("post_fee", one, treatment="fee")
    preview(one.public_id, asked, actor=person(), clock=clock)
    assert one.line is not None
    one.line.gross_minor = -5_000
    one.line.save()
    night.compare(LATER)
    with pytest.raises(Conflict, match="changed since you looked"):
        resolve(one.public_id, asked, actor=person(), clock=clock)
    assert (booked("5010"), residual(night)) == (0, 0)


def test_one_of_a_group_that_changed_stays_open_and_the_others_end(night: Night) -> None:
    rows = adjusted(night, -500, -500)
    versions = {row.public_id: row.version for row in rows}
    Break.objects.filter(pk=rows[0].pk).update(version=9)
    asked = BulkWish("post_fee", {"treatment": "fee"}, "other", NOTE, versions, "bulk1")
    done = resolve_bulk(rows[0].public_id, asked, actor=person(), clock=clock)
    assert done.header is not None
    assert [ended for _, ended, _ in done.header.effects["outcomes"]].count(True) == 1
    assert (booked("5010"), residual(night)) == (500, 0)
    assert resolve_bulk(rows[0].public_id, asked, actor=person(), clock=clock).header == done.header
    with pytest.raises(Conflict, match="other breaks"):
        resolve_bulk(rows[0].public_id, replace(asked, versions={rows[0].public_id: 9}), actor=person(), clock=clock)


def test_a_limit_holds_the_sum_of_a_group_and_of_a_day(night: Night) -> None:
    Limit.objects.update(per_item_minor=900, per_day_minor=1_200)
    rows = adjusted(night, -500, -500, -800)
    versions = {row.public_id: row.version for row in rows[:2]}
    asked = BulkWish("post_fee", {"treatment": "fee"}, "other", NOTE, versions, "bulk1")
    assert resolve_bulk(rows[0].public_id, asked, actor=person(), clock=clock).approval is not None
    fiona = person("fay")
    assert resolve(rows[2].public_id, wish("post_fee", rows[2], treatment="fee"), actor=fiona, clock=clock).resolution
    again = resolve(rows[1].public_id, wish("post_fee", rows[1], treatment="fee"), actor=fiona, clock=clock)
    assert again.approval is not None
    assert booked("5010") == 800


def test_an_approval_is_for_its_maker_its_digest_and_its_day(night: Night) -> None:
    one, other = adjusted(night, -500, -500)
    fiona, frank = person(), person("frank")
    asked = []
    for row in (one, other):
        lay_evidence(row.public_id, name="mail.txt", content=b"gone", actor=fiona, now=MORNING)
        asked.append(resolve(row.public_id, wish("write_off", row), actor=fiona, clock=clock).approval)
    first, second = asked
    assert first is not None and second is not None
    for who, digest in ((fiona, first.digest), (person("arthur", "auditor"), first.digest), (frank, second.digest)):
        with pytest.raises((Forbidden, Conflict)):
            approve(first.public_id, digest=digest, note="", actor=who, clock=clock)
    late = approve(
        first.public_id, digest=first.digest, note="", actor=frank, clock=lambda: MORNING + timedelta(days=2)
    )
    assert late.state == "expired"
    resolve(other.public_id, wish("post_fee", other, treatment="fee"), actor=fiona, clock=clock)
    gone = approve(second.public_id, digest=second.digest, note="", actor=frank, clock=clock)
    assert gone.state == "outdated"
    assert (booked("5040"), booked("5010"), Resolution.objects.count(), residual(night)) == (0, 500, 1, 0)
