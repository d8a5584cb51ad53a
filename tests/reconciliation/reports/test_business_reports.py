"""Do the reports of payments and of the comparison say what happened? A few rows of each, made as in life where life makes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from ledger.money import Money
from payments.facts import FactKind, PayoutTold
from payments.services.payouts import tell_payout
from payments.states import DisputeState, PayoutState
from reconciliation.models import Break, ContractRate, Line, Run, Statement, StatementAccount
from tests.payments.admin import payment_scenes as scenes
from tests.payments.disputes import told
from tests.payments.factories import Clock
from tests.reconciliation.reports.books import NOW, exported, rows_of

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = date(2026, 3, 10)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes.set_credentials(monkeypatch)


@pytest.fixture
def account() -> StatementAccount:
    return StatementAccount.objects.create(slug="nmi", name="NMI", kind="gateway", source="csv_mapped")


@pytest.fixture
def statement(account: StatementAccount) -> Statement:
    return Statement.objects.create(account=account, source="csv_mapped", name="march", sha256="0" * 64, received_at=AT)


def line(statement: Statement, number: int, kind: str = "charge", **values: object) -> Line:
    usual: dict[str, object] = {
        "line_key": f"line_{number}", "day": DAY, "occurred_at": AT, "currency": "USD", "gross_minor": 10_000, "method": "Visa",
        "content_hash": "0" * 64,
    }  # fmt: skip
    return Line.objects.create(
        account=statement.account, statement=statement, number=number, kind=kind, **{**usual, **values}
    )


class TestPayments:
    def test_a_row_is_a_payment_with_sums_of_its_movements(self) -> None:
        kept = scenes.captured(AT, reference="order-1")
        part = scenes.part_refunded(AT, reference="order-2")
        lost = scenes.declined(AT, reference="=order-3")

        rows = {row["payment"]: row for row in rows_of("payments")}

        amounts = ("currency", "amount", "captured", "refunded", "charged_back", "kept")
        assert [rows[kept.public_id][name] for name in amounts] == ["USD", "125.00", "125.00", "0.00", "0.00", "125.00"]
        assert [rows[part.public_id][name] for name in amounts] == [
            "USD",
            "125.00",
            "125.00",
            "25.00",
            "0.00",
            "100.00",
        ]
        assert [rows[lost.public_id][name] for name in amounts] == ["USD", "125.00", "0.00", "0.00", "0.00", "0.00"]
        assert (rows[lost.public_id]["reference"], rows[lost.public_id]["account"]) == ("'=order-3", "nmi")
        assert rows[kept.public_id]["captured_at"] == "2026-03-10T12:00:00Z"

    def test_a_period_is_of_business_days(self, settings: object) -> None:
        settings.BUSINESS_TIME_ZONE = "Pacific/Kiritimati"  # 14 hours ahead: the 10th at noon is the 11th there
        scenes.stored(AT)

        assert rows_of("payments", from_="2026-03-10", to="2026-03-10") == []
        assert len(rows_of("payments", from_="2026-03-11", to="2026-03-11", state="initiated", account="")) == 1
        assert rows_of("payments", state="captured") == []

    def test_a_refund_always_names_its_payment_and_the_charge(self) -> None:
        waits = scenes.refund_waits(AT, reference="order-1")
        back = scenes.part_refunded(AT, reference="order-2")

        rows = {row["payment"]: row for row in rows_of("refunds")}

        assert set(rows) == {waits.public_id, back.public_id}
        names = ("reference", "state", "origin", "amount", "went_back", "gateway_id", "charge_id")
        charge = scenes.gateway_id(back)
        assert [rows[back.public_id][name] for name in names] == [
            "order-2", "succeeded", "external", "25.00", "25.00", "9100001", charge,
        ]  # fmt: skip
        assert [rows[waits.public_id][name] for name in names[1:5]] == ["waiting", "requested", "25.00", ""]

    def test_a_dispute_shows_what_it_took_gave_back_and_costs(self) -> None:
        payment = scenes.captured(AT)
        charge, clock = scenes.gateway_id(payment), Clock()
        told.record(told.word(DisputeState.CHARGEBACK, AT, charge=charge), clock)
        told.record(told.moved(FactKind.CHARGEBACK, AT, charge=charge), clock)

        (row,) = rows_of("disputes")

        names = ("payment", "gateway_id", "charge_id", "state", "reason", "currency", "amount", "taken", "given_back")
        assert [row[name] for name in names] == [
            payment.public_id, "du_1", charge, "chargeback", "fraudulent", "USD", "10.00", "10.00", "",
        ]  # fmt: skip


class TestPayouts:
    def test_a_payout_is_compared_with_the_lines_that_name_it(self, statement: Statement) -> None:
        scenes.stored(AT)
        for number, (gateway_id, minor) in enumerate([("po_1", 9_650), ("po_2", 5_000)]):
            tell_payout(
                "nmi", PayoutTold(gateway_id, PayoutState.PAID, Money(minor, "USD"), AT, AT, arrives_on=DAY), now=AT
            )
            line(statement, number, payout_id="po_1" if number == 0 else "", net_minor=9_700, gateway_id=f"c{number}")
        line(statement, 7, "payout", payout_id="po_1", gross_minor=-9_650, net_minor=-9_650)

        rows = {row["gateway_id"]: row for row in rows_of("payouts")}

        names = ("account", "state", "amount", "items", "items_net", "difference", "arrives_on")
        assert [rows["po_1"][name] for name in names] == ["nmi", "paid", "96.50", "1", "97.00", "-0.50", "2026-03-10"]
        assert [rows["po_2"][name] for name in names[2:6]] == ["50.00", "0", "", ""]


class TestFees:
    @pytest.fixture(autouse=True)
    def _contract(self, account: StatementAccount, statement: Statement) -> None:
        ContractRate.objects.create(
            account=account, kind="charge", currency="USD", percent=Decimal("2.9"), fixed_minor=30, tax_percent=Decimal(19),
            valid_from=date(2026, 1, 1), source="annex A",
        )  # fmt: skip
        ContractRate.objects.create(
            account=account, kind="charge", method="amex", currency="USD", percent=Decimal("3.5"), fixed_minor=0,
            valid_from=date(2026, 1, 1), source="annex B",
        )  # fmt: skip
        line(statement, 1, fee_minor=320, tax_minor=61, net_minor=9_619)
        line(statement, 2, fee_minor=350, tax_minor=61, net_minor=9_589)
        line(statement, 3, method="Amex", fee_minor=351, net_minor=9_649)
        line(statement, 4, "refund", gross_minor=-500, fee_minor=10, net_minor=-510)
        line(statement, 5, "fee", gross_minor=-2_500, net_minor=-2_500)
        line(statement, 6, status="failed", fee_minor=99)

    def test_what_was_charged_stands_beside_the_contracts_word(self) -> None:
        rows = rows_of("fees", account="nmi")

        names = ("line", "charged", "expected", "variance", "tax_charged", "tax_expected", "contract")
        assert [tuple(row[name] for name in names) for row in rows] == [
            ("line_1", "3.20", "3.20", "0.00", "0.61", "0.61", "annex A"),
            ("line_2", "3.50", "3.20", "0.30", "0.61", "0.61", "annex A"),
            ("line_3", "3.51", "3.50", "0.01", "", "0.00", "annex B"),
            ("line_4", "0.10", "", "", "", "", ""),
            ("line_5", "25.00", "", "", "", "", ""),
        ]

    def test_the_claim_file_holds_what_is_beyond_contract_and_tolerance(self) -> None:
        assert [(row["line"], row["variance"]) for row in rows_of("fees", claim="yes")] == [("line_2", "0.30")]

    def test_the_database_and_the_rule_expect_the_same(self) -> None:
        from reconciliation import rates

        for row in rows_of("fees", account="nmi")[:3]:
            known = [
                rates.Rate(
                    one.kind, one.currency, one.percent, one.fixed_minor, one.valid_from, one.method, one.tax_percent
                )
                for one in ContractRate.objects.all()
            ]
            rate = rates.rate_for(known, kind=row["kind"], method=row["method"], currency="USD", day=DAY)
            asked = rates.expected(rate, kind=row["kind"], gross_minor=10_000)
            assert (Money(asked.fee_minor, "USD").to_decimal_string(), row["tax_expected"]) == (
                row["expected"],
                Money(asked.tax_minor, "USD").to_decimal_string(),
            )


class TestBreaks:
    def make(self, account: StatementAccount, key: str, days_ago: int, **values: object) -> Break:
        day = NOW.date() - timedelta(days=days_ago)
        usual: dict[str, object] = {
            "kind": "amount_mismatch", "currency": "USD", "difference_minor": -500, "value_minor": 500, "cause": "refund",
            "because": "@they say 5.00 more", "opened_at": NOW, "last_seen_at": NOW, "due_at": NOW,
        }  # fmt: skip
        return Break.objects.create(account=account, key=key, day=day, **{**usual, **values})

    def test_open_ones_are_told_with_age_and_value(self, account: StatementAccount) -> None:
        for days in (0, 2, 7, 30, 31):
            self.make(account, f"k{days}", days)
        self.make(account, "ended", 4, state="resolved", ended_at=NOW - timedelta(days=2))

        rows = rows_of("breaks")

        assert [(row["age_days"], row["age"]) for row in rows] == [
            ("31", "over 30"), ("30", "8 to 30"), ("7", "4 to 7"), ("2", "2 to 3"), ("0", "0 to 1"),
        ]  # fmt: skip
        assert (rows[0]["difference"], rows[0]["value"], rows[0]["because"]) == (
            "-5.00",
            "5.00",
            "'@they say 5.00 more",
        )

    def test_one_about_no_money_has_a_row_and_no_sum(self, account: StatementAccount) -> None:
        self.make(account, "k1", 0)
        self.make(account, "late", 0, kind="report_missing", currency="", difference_minor=0, value_minor=0)

        for kind in ("csv", "xlsx"):
            _, manifest = exported("breaks", kind)
            assert manifest["rows"] == 2
            assert manifest["totals"] == {
                "": {"rows": "1"}, "USD": {"rows": "1", "difference": "-5.00", "value": "5.00"},
            }  # fmt: skip
        assert [row["value"] for row in rows_of("breaks") if row["kind"] == "report_missing"] == [""]

    def test_as_of_a_day_those_are_open_that_had_not_ended(self, account: StatementAccount) -> None:
        self.make(account, "ended", 4, state="resolved", ended_at=NOW - timedelta(days=2))

        assert len(rows_of("breaks", day="2026-03-17")) == 1
        assert rows_of("breaks", day="2026-03-18") == []
        assert len(rows_of("breaks", which="all")) == 1


def test_a_run_is_told_with_both_equations(account: StatementAccount) -> None:
    lines = {"read": 10, "matched": 7, "booked": 1, "broken": 1, "early": 1, "rejected": 0, "foreign": 0, "money": {}}
    movements = {"open": 9, "matched": 7, "broken": 1, "expected": 1}
    run = Run.objects.create(
        account=account, day=DAY, state="done", balanced=True, times=1, lines=lines, movements=movements, finished_at=AT
    )
    Run.objects.create(account=account, day=DAY + timedelta(days=1), state="waiting", because="its report is late")
    TestBreaks().make(account, "k", 1, last_run=run)

    done, waiting = rows_of("reconciliation_summary")

    names = (
        "account",
        "state",
        "balanced",
        "lines_read",
        "lines_matched",
        "movements_open",
        "movements_expected",
        "breaks_open",
    )
    assert [done[name] for name in names] == ["nmi", "done", "yes", "10", "7", "9", "1", "1"]
    assert (waiting["lines_read"], waiting["because"]) == ("", "its report is late")
