"""Does the home page name the uploads that wait for a person, and only those, to those who may look at them?"""

from __future__ import annotations

from typing import Any

import pytest

from payments.services.actors import SYSTEM
from payments.services.batches.controls import pause_batch
from tests.payments.admin.desk import signed_in, text_of
from tests.payments.batches.sheets import csv_file, order
from tests.payments.batches.uploads import run_rounds, started, uploaded
from tests.payments.factories import Clock, nmi_account

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def demo(settings: Any) -> None:
    settings.DEMO = True


def home(role: str) -> str:
    return text_of(signed_in(role).get("/admin/"))


def test_an_upload_that_is_read_and_not_started_waits_for_a_person() -> None:
    nmi_account()
    uploaded(Clock(), file=csv_file(order("a"), order("b", "5.00"), order("c", "x")), name="dues.csv")

    said = home("operator")

    for words in ("Uploads that wait", "dues.csv", "not started", "2 good rows, 1 with problems", "17.34"):
        assert words in said, words


def test_a_paused_upload_says_why_and_a_finished_one_is_gone() -> None:
    nmi_account()
    clock = Clock()
    batch = started(clock, "a", "b", name="paused.csv")
    pause_batch(batch.public_id, version=batch.version, because="the bank asked", actor=SYSTEM, now=clock())
    run_rounds(started(clock, "c", name="done.csv"), clock)

    said = home("operator")

    assert "paused.csv" in said and "the bank asked" in said
    assert "done.csv" not in said
