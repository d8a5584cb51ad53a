"""Are rates added and ended by two people, chosen as the contract means it, and shown for what they are?"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from config.services import make_staff
from payments.errors import Forbidden, InvalidInput, NotAllowedNow
from payments.models import Approval
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import Actor
from payments.services.approvals import approve
from reconciliation.models import ContractRate, StatementAccount
from reconciliation.queries.charges import contract
from reconciliation.rates import Rate, expected, kinds_booked, rate_for
from reconciliation.services.contract_rates import RateWanted, ask_end, ask_rate, ensure_rates, preview_rate
from reconciliation.services.demo import prepare_comparison
from reconciliation.states import LineKind
from simulator.stripe.money import processing_fee_minor
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.reconciliation.booking.world import World

NOW = datetime(2026, 3, 3, 6, tzinfo=UTC)
DAY = date(2026, 3, 2)
WANTED = RateWanted("stripe", "charge", "USD", "2.9", "0.30", "2026-01-01", "contract of 2025, annex A")


def a_rate(**fields) -> Rate:
    told = {
        "kind": "charge",
        "currency": "USD",
        "percent": Decimal("2.9"),
        "fixed_minor": 30,
        "valid_from": date(2026, 1, 1),
    }
    return Rate(**{**told, **fields})


class TestChoosing:
    def test_the_one_for_just_this_method_then_the_latest(self):
        plain, visa = a_rate(), a_rate(method="Visa")
        later, over = (
            a_rate(valid_from=date(2026, 2, 1)),
            a_rate(valid_to=date(2026, 3, 1), valid_from=date(2026, 2, 20)),
        )
        rates = [plain, visa, later, over]

        def found(method: str, day: date = DAY) -> Rate | None:
            return rate_for(rates, kind="charge", method=method, currency="USD", day=day)

        assert found("visa") is visa
        assert found("amex") is later
        assert found("", date(2026, 1, 5)) is plain
        assert found("", date(2026, 2, 25)) is over
        assert found("", date(2025, 12, 31)) is None

    @pytest.mark.parametrize(
        ("gross", "fee"),
        [(10_000, 320), (-10_000, 320), (50, 31), (0, 30), (1_069, 61), (1_017, 59), (10_500_000, 304_530)],
    )
    def test_half_a_cent_goes_up(self, gross, fee):
        assert expected(a_rate(), kind="charge", gross_minor=gross).fee_minor == fee

    def test_tax_is_on_the_fee_and_rounding_is_no_difference(self):
        asked = expected(a_rate(tax_percent=Decimal(19)), kind="charge", gross_minor=10_000)

        assert (asked.fee_minor, asked.tax_minor) == (320, 61)
        assert not asked.fee_differs(321) and asked.fee_differs(322) and asked.tax_differs(59)

    def test_what_is_booked_without_a_question(self):
        rates = [a_rate(kind="reserve_hold"), a_rate(kind="adjustment", valid_to=date(2026, 2, 1))]

        assert kinds_booked(rates, DAY) == {
            LineKind.FEE, LineKind.PAYOUT, LineKind.PAYOUT_RETURN, LineKind.RESERVE_HOLD,
        }  # fmt: skip


@pytest.mark.django_db
class TestTwoPeople:
    @pytest.fixture(autouse=True)
    def _people(self):
        self.world = World("stripe")
        self.mia, self.finn = (Actor.for_user(make_staff(name, "finance", "pw")) for name in ("mia", "finn"))

    def agree(self, public_id: str) -> None:
        asked = Approval.objects.get(public_id=public_id)
        done = approve(public_id, digest=asked.digest, note="", actor=self.finn, clock=lambda: NOW)
        assert done.state == "executed", done.outcome

    def test_one_asks_the_other_agrees(self):
        asked = ask_rate(WANTED, reason="new contract", actor=self.mia, now=NOW)
        assert not ContractRate.objects.exists()
        self.agree(asked)

        row = ContractRate.objects.get()
        assert (row.percent, row.fixed_minor, row.tolerance_minor, row.valid_to) == (Decimal("2.9"), 30, 1, None)

    def test_a_later_one_ends_the_one_that_runs(self):
        ensure_rates("stripe", [WANTED])
        later = RateWanted("stripe", "charge", "USD", "2.5", "0.25", "2026-04-01", "letter of March")
        assert (
            "Replaces",
            "charge, every method: 2.9 % + 0.30 USD, from 2026-01-01; ends on 2026-03-31",
        ) in preview_rate(later)
        self.agree(ask_rate(later, reason="cheaper", actor=self.mia, now=NOW))

        first, second = ContractRate.objects.order_by("valid_from")
        assert (first.valid_to, second.valid_to) == (date(2026, 3, 31), None)

    def test_ending(self):
        ensure_rates("stripe", [WANTED])
        row = ContractRate.objects.get()
        self.agree(ask_end(row.pk, date(2026, 3, 31), reason="contract ends", actor=self.mia, now=NOW))

        row.refresh_from_db()
        assert row.valid_to == date(2026, 3, 31)
        with pytest.raises(NotAllowedNow, match="2026-03-31"):
            ask_end(row.pk, date(2026, 4, 30), reason="later", actor=self.mia, now=NOW)

    def test_set_up_leaves_alone_what_is_there(self):
        assert (ensure_rates("stripe", [WANTED]), ensure_rates("stripe", [WANTED, WANTED])) == (1, 0)

    @pytest.mark.parametrize(
        ("field", "value", "named"),
        [
            ("kind", "tips", "kind"),
            ("currency", "XYZ", "currency"),
            ("percent", "2,9", "percent"),
            ("percent", "NaN", "percent"),
            ("percent", "101", "percent"),
            ("percent", "2.91234", "percent"),
            ("fixed", "0.305", "fixed"),
            ("fixed", "-0.30", "fixed"),
            ("valid_from", "31.3.2026", "valid_from"),
            ("source", " ", "source"),
        ],
    )
    def test_what_makes_no_sense_names_its_field(self, field, value, named):
        with pytest.raises(InvalidInput) as refused:
            ask_rate(RateWanted(**{**_told(), field: value}), reason="x", actor=self.mia, now=NOW)
        assert refused.value.field == named

    def test_not_before_one_that_is_known(self):
        ensure_rates("stripe", [WANTED])
        with pytest.raises(InvalidInput, match="2026-01-01"):
            ask_rate(WANTED, reason="again", actor=self.mia, now=NOW)

    def test_it_takes_the_right(self):
        ola = Actor.for_user(make_staff("ola", "operator", "pw"))
        with pytest.raises(Forbidden):
            ask_rate(WANTED, reason="x", actor=ola, now=NOW)


def _told() -> dict[str, str]:
    return {name: getattr(WANTED, name) for name in WANTED.__slots__}


@pytest.mark.django_db
def test_a_demo_has_the_rates_that_its_gateway_charges():
    for provider in ("nmi", "convesiopay", "stripe"):
        ensure_gateway_account(provider, provider, provider)
    for _ in range(2):
        prepare_comparison(demo=True, now=NOW)
    rate = rate_for(
        contract(StatementAccount.objects.get(slug="stripe").pk), kind="charge", method="visa", currency="USD", day=DAY
    )

    assert rate is not None and ContractRate.objects.count() == 2
    for gross in (50, 1_017, 10_000, 99_999):
        assert expected(rate, kind="charge", gross_minor=gross).fee_minor == processing_fee_minor(gross)


@pytest.mark.django_db
class TestPages:
    @pytest.fixture(autouse=True)
    def _demo(self, settings):
        settings.DEMO = True

    def test_a_rate_is_asked_for_on_its_page(self):
        World("stripe")
        client = signed_in("finance")
        shown, confirm = prepare(
            client, "/admin/reconciliation/contractrate/add/", account="stripe", kind="charge", method="",
            currency="USD", percent="2.9", fixed="0.30", valid_from="2026-01-01", source="annex A", reason="new contract",
        )  # fmt: skip
        assert "charge, every method: 2.9 % + 0.30 USD, from 2026-01-01" in text_of(shown)

        assert client.post("/admin/reconciliation/contractrate/add/", confirm).status_code == 302
        assert Approval.objects.get().command == "add_contract_rate"
        assert not ContractRate.objects.exists()

    def test_the_list_and_the_page(self):
        World("stripe")
        ensure_rates("stripe", [WANTED])
        client = signed_in("finance")

        assert "Charge, every method" in text_of(client.get("/admin/reconciliation/contractrate/"))
        page = text_of(client.get(f"/admin/reconciliation/contractrate/{ContractRate.objects.get().pk}/"))
        assert "contract of 2025, annex A" in page and "End it" in page
