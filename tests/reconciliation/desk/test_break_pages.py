"""Can a person find a break, understand it, end it, and take that back, with nothing but the admin?"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from payments.models import Approval
from payments.states import MovementKind
from reconciliation.models import Break, Resolution
from reconciliation.states import BreakState, BreakType, LineKind
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.reconciliation.factories import NOTE, a_break, person
from tests.reconciliation.resolutions.scene import LATER, Scene

pytestmark = pytest.mark.django_db
B = BreakType
REASON = {"reason": "gateway_fee", "note": NOTE}


@pytest.fixture(autouse=True)
def demo(settings: Any) -> None:
    """Signed in without a second factor."""
    settings.DEMO = True


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def fiona(scene: Scene) -> Client:
    return signed_in("finance", "fiona")


def adjusted(scene: Scene, minor: int = -500) -> Break:
    line = scene.line(LineKind.ADJUSTMENT, minor)
    sides: dict[str, Any] = {
        "ours": {"amount": "10.00 USD", "reference": "order-1"},
        "theirs": {"amount": "9.50 USD", "reference": "order-1", "text": "correction"},
    }
    return a_break(scene.account, B.GATEWAY_ADJUSTMENT, line=line, **sides)


def url(name: str, *args: object) -> str:
    return reverse(f"admin:reconciliation_{name}", args=args)


def test_the_queue_shows_what_is_open_by_kind_age_and_money(scene: Scene, fiona: Client) -> None:
    broken = adjusted(scene)
    a_break(scene.account, B.REPORT_MISSING, currency="")
    page = fiona.get(url("break_changelist"))
    shown = text_of(page)
    assert "5.00 USD" in shown
    assert "Adjustment 1" in shown and "Report missing 1" in shown
    assert "over 30 days 2" in shown
    filtered = fiona.get(url("break_changelist"), {"kind": "gateway_adjustment", "age": "31", "owner": "nobody"})
    assert [row.pk for row in filtered.context["cl"].result_list] == [broken.pk]
    assert not fiona.get(url("break_changelist"), {"owner": "me"}).context["cl"].result_list
    found = fiona.get(url("break_changelist"), {"q": broken.public_id})
    assert [row.pk for row in found.context["cl"].result_list] == [broken.pk]


def test_the_list_costs_the_same_however_many_breaks_there_are(
    scene: Scene, fiona: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        adjusted(scene)
    with django_assert_max_num_queries(16):
        fiona.get(url("break_changelist"))


def test_a_break_says_what_differs_and_which_ways_out_fit(scene: Scene, fiona: Client) -> None:
    page = fiona.get(url("break_change", adjusted(scene).public_id))
    shown = text_of(page)
    assert "Amount 10.00 USD 9.50 USD difference differs" in shown
    assert "Reference order-1 order-1" in shown
    assert "the gateway's balance is below ours" in shown
    assert "-5.00 USD of the balance would stay without explanation" in shown
    ways = {step.label: step.blocked_by for step in page.context["ways_out"]}
    assert ways["Book it as a fee"] == ""
    assert ways["Write it off"].startswith("It needs evidence")


def test_a_fix_is_previewed_then_done_then_taken_back(scene: Scene, fiona: Client) -> None:
    broken = adjusted(scene)
    shown, confirm = prepare(fiona, url("break_fix_post_fee", broken.public_id), treatment="variance", **REASON)
    words = text_of(shown)
    assert "5015 Fee variance stripe 5.00 USD" in words
    assert "Residual afterwards 0: nothing of it stays unexplained" in words
    done = fiona.post(url("break_fix_post_fee", broken.public_id), confirm, follow=True)
    assert "Resolved: Book it as a fee." in text_of(done)
    resolution = Resolution.objects.get()
    again = fiona.post(url("break_fix_post_fee", broken.public_id), confirm)
    assert (again.status_code, Resolution.objects.count()) == (302, 1)
    page = text_of(fiona.get(url("resolution_change", resolution.public_id)))
    assert "accepted as fee variance" in page and broken.public_id in page
    shown, confirm = prepare(fiona, url("resolution_undo", resolution.public_id), reason="wrong account")
    assert "Opens again" in text_of(shown)
    fiona.post(url("resolution_undo", resolution.public_id), confirm)
    broken.refresh_from_db()
    assert (broken.state, scene.residual()) == (BreakState.OPEN, 0)
    story = text_of(fiona.get(url("break_change", broken.public_id)))
    assert "Resolved: Book it as a fee" in story and "Taken back" in story


def test_a_second_look_agrees_or_takes_it_back(scene: Scene, fiona: Client) -> None:
    breaks = [adjusted(scene) for _ in range(2)]
    made = [scene.resolve(broken, "post_fee", treatment="fee").resolution for broken in breaks]
    Resolution.objects.update(sampled=True, rule="fee", by="")
    due = url("resolution_changelist") + "?look=due"
    assert len(fiona.get(due).context["cl"].result_list) == 2
    for resolution, answer, verdict in zip(made, ("agree", "disagree"), ("", "it was no fee"), strict=True):
        assert resolution is not None
        path = url(f"resolution_{answer}", resolution.public_id)
        _, confirm = prepare(fiona, path, verdict=verdict)
        fiona.post(path, confirm)
    assert not fiona.get(due).context["cl"].result_list
    states = [Break.objects.get(pk=broken.pk).state for broken in breaks]
    assert (states, scene.residual()) == ([BreakState.RESOLVED, BreakState.OPEN], 0)


def test_who_comes_second_hears_who_was_first(scene: Scene, fiona: Client) -> None:
    broken = adjusted(scene)
    path = url("break_fix_post_fee", broken.public_id)
    _, confirm = prepare(fiona, path, treatment="fee", **REASON)
    frank = signed_in("finance", "frank")
    _, quicker = prepare(frank, path, treatment="claim", **REASON)
    frank.post(path, quicker)
    answer = fiona.post(path, confirm)
    assert answer.status_code == 409
    assert "Frank" in text_of(answer)


def test_a_journal_is_typed_as_bookkeepers_write_and_asks_a_second_person(scene: Scene, fiona: Client) -> None:
    broken = adjusted(scene)
    file = SimpleUploadedFile("letter.txt", b"a fee for a dispute", content_type="text/html")
    laid = fiona.post(url("break_evidence", broken.public_id), {"file": file}, follow=True)
    assert "letter.txt lies beside the break" in text_of(laid)
    path = url("break_fix_post_journal", broken.public_id)
    bad, _ = prepare(fiona, path, lines="5025 5.00", **REASON)
    assert "Line 1 is not as" in text_of(bad)
    shown, confirm = prepare(fiona, path, lines="Dr 5025 5.00", **REASON)
    assert "1110 Gateway receivable stripe \u2013 5.00 USD" in text_of(shown) or "1110 Gateway receivable" in text_of(
        shown
    )
    fiona.post(path, confirm)
    assert Approval.objects.get().command == "post_break_journal"
    own = url("resolution_journal")
    shown, confirm = prepare(fiona, own, gateway="stripe", lines="Dr 1160 5\nCr 5010 5", text="claimed in March")
    assert "1160 Claims on gateway" in text_of(shown)
    fiona.post(own, confirm)
    assert Approval.objects.filter(command="post_journal").count() == 1


def test_evidence_comes_back_as_a_file_and_never_as_a_page(scene: Scene, fiona: Client) -> None:
    broken = adjusted(scene)
    file = SimpleUploadedFile("räte; x.txt", b"<script>alert(1)</script>", content_type="text/html")
    fiona.post(url("break_evidence", broken.public_id), {"file": file})
    page = fiona.get(url("break_change", broken.public_id)).content.decode()
    (path,) = re.findall(r'href="(/admin/reconciliation/break/[^"]+/evidence/\d+/)"', page)
    answer = fiona.get(path)
    assert answer["Content-Type"] == "text/plain"
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert (answer["X-Content-Type-Options"], answer.content) == ("nosniff", b"<script>alert(1)</script>")
    refused = fiona.post(url("break_evidence", broken.public_id), {"file": SimpleUploadedFile("x.html", b"<b>")})
    assert refused.status_code == 422
    other = adjusted(scene)
    assert fiona.get(path.replace(broken.public_id, other.public_id)).status_code == 404


def test_breaks_of_one_cause_are_ended_together(scene: Scene, fiona: Client) -> None:
    breaks = [adjusted(scene) for _ in range(3)]
    assert "GATEWAY" not in text_of(fiona.get(url("break_causes")))
    page = fiona.get(url("break_causes"))
    (row,) = page.context["rows"]
    assert row[3] == "3"
    cause = fiona.get(url("break_cause", breaks[0].public_id))
    assert "Book it as a fee" in [step.label for step in cause.context["ways_out"]]
    path = url("break_bulk_post_fee", breaks[0].public_id)
    shown, confirm = prepare(fiona, path, treatment="fee", **REASON)
    assert "Value at risk in all 15.00 USD" in text_of(shown)
    assert "Treatment accepted as a gateway fee" in text_of(shown)
    late = adjusted(scene)
    answer = fiona.post(path, confirm, follow=True)
    assert "3 of 3 breaks are ended." in text_of(answer)
    late.refresh_from_db()
    assert late.state == BreakState.OPEN, "it was not shown"
    assert scene.residual() == 0


def test_working_on_a_break_moves_no_money_and_is_told_in_its_story(scene: Scene, fiona: Client) -> None:
    broken = adjusted(scene)
    fiona.post(url("break_take", broken.public_id), {"version": "0"})
    for name, typed in (
        ("note", {"text": "asked their support"}),
        ("snooze", {"until": (LATER.date()).isoformat(), "because": "they answer on Friday"}),
    ):
        _, confirm = prepare(fiona, url(f"break_{name}", broken.public_id), **typed)
        fiona.post(url(f"break_{name}", broken.public_id), confirm)
    broken.refresh_from_db()
    assert (broken.state, broken.owner.get_username() if broken.owner else "") == ("investigating", "fiona")
    assert "asked their support" in text_of(fiona.get(url("break_change", broken.public_id)))
    person("greta")
    _, confirm = prepare(fiona, url("break_give", broken.public_id), to="greta")
    fiona.post(url("break_give", broken.public_id), confirm)
    broken.refresh_from_db()
    assert broken.owner is not None and broken.owner.get_username() == "greta"


def test_the_home_page_names_what_is_nobody_elses(scene: Scene, fiona: Client) -> None:
    mine, other, asleep = (adjusted(scene) for _ in range(3))
    Break.objects.filter(pk=other.pk).update(owner=person("greta").user_id)
    Break.objects.filter(pk=asleep.pk).update(snoozed_until=timezone.now() + timedelta(days=1))
    page = fiona.get(reverse("admin:index")).content.decode()
    assert "Breaks to resolve" in page
    assert (mine.public_id in page, other.public_id in page, asleep.public_id in page) == (True, False, False)
    assert "Breaks to resolve" not in text_of(signed_in("support").get(reverse("admin:index")))


def test_an_auditor_reads_everything_and_is_offered_nothing(scene: Scene) -> None:
    broken = adjusted(scene)
    arthur = signed_in("auditor", "arthur")
    page = arthur.get(url("break_change", broken.public_id))
    assert page.context["work"] == []
    assert all(step.blocked_by for step in page.context["ways_out"])
    assert "finance" in page.context["ways_out"][0].blocked_by
    assert arthur.post(url("break_take", broken.public_id)).status_code == 403
    assert arthur.get(url("break_fix_post_fee", broken.public_id)).status_code == 403


def test_a_payment_that_moved_links_to_its_break_and_back(scene: Scene, fiona: Client) -> None:
    movement = scene.moved(MovementKind.CAPTURE, 1000)
    broken = a_break(scene.account, B.MISSING_AT_GATEWAY, movement=movement, payment_public_id="pay_x")
    assert "/admin/payments/payment/pay_x/" in fiona.get(url("break_change", broken.public_id)).content.decode()
