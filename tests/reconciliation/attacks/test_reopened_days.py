"""Does the proof of a day still hold when what belongs to it was booked after it was closed, and can it be closed again?"""

from __future__ import annotations

from datetime import timedelta

from payments.services.approvals import approve
from reconciliation.queries.proof import proof
from reconciliation.services import closing
from reconciliation.services.resolutions.undoing import undo
from tests.reconciliation.attacks.ends import AFTER, booked, end
from tests.reconciliation.factories import person
from tests.reconciliation.running.night import LATER, LineKind, MovementKind, Night


def residuals(night: Night) -> list[int]:
    return [proof(night.account.pk, "USD", LATER + timedelta(days=more)).residual_minor for more in (0, 1)]


def test_a_fix_of_a_closed_day_stands_in_its_proof(night: Night) -> None:
    fay, carl = person("fay"), person("carl")
    night.moved(MovementKind.CAPTURE, 1000)
    night.line(LineKind.ADJUSTMENT, -500)
    night.compare(LATER)
    late, adjusted = sorted(night.open_breaks(), key=lambda broken: broken.kind, reverse=True)
    closing.close_day(LATER, actor=fay, now=AFTER)
    end(late, "write_off")
    fee = end(adjusted, "post_fee", treatment="fee")
    assert (booked("5040"), booked("5010"), residuals(night)) == (1000, 500, [0, 0])
    undo(fee.public_id, reason="it was wrong", actor=fay, now=AFTER)
    assert residuals(night) == [0, 0]
    asked = closing.ask_reopen(LATER, reason="something was forgotten", actor=fay, now=AFTER)
    approve(asked.public_id, digest=asked.digest, note="", actor=carl, clock=lambda: AFTER)
    assert closing.close_day(LATER, actor=fay, now=AFTER).certificate["proofs"][0]["residual_minor"] == 0
