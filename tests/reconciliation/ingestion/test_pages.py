"""Can finance import a statement, see what became of its lines, and change mappings and terms in the browser?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from payments.models import Approval
from reconciliation.admin.kept_file import pack, unpack
from reconciliation.models import ColumnMapping, Statement, StatementAccount
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.reconciliation.ingestion.reports import COLUMNS, DAY, csv_file, gateway, mapping, read, sale

pytestmark = pytest.mark.django_db
UPLOAD = reverse("admin:reconciliation_statement_upload")
LIST = reverse("admin:reconciliation_statement_changelist")
SUMS = ("tolerance_minor", "tolerance_day_minor", "alert_value_minor")


@pytest.fixture(autouse=True)
def _demo(settings: object) -> None:
    settings.DEMO = True  # type: ignore[attr-defined]  # no second factor


@pytest.fixture
def fay() -> Client:
    return signed_in("finance", "fay")


def _file(content: bytes, name: str = "day.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def _bare(slug: str) -> StatementAccount:
    """An account of CSV files for which nobody has made a mapping."""
    return StatementAccount.objects.create(slug=slug, name=slug.title(), kind="gateway", source="csv_mapped")


def _page(statement: Statement) -> str:
    return reverse("admin:reconciliation_statement_change", args=(statement.public_id,))


def _agree(person: Client) -> Approval:
    request = Approval.objects.get()
    path = reverse("admin:payments_approval_approve", args=(request.public_id,))
    _, confirmed = prepare(person, path, note="seen")
    person.post(path, confirmed)
    request.refresh_from_db()
    return request


def test_an_empty_list_says_what_to_do(fay):
    words = text_of(fay.get(LIST))
    assert "No report has come yet" in words
    assert "Files of the others, and of the bank, are imported here." in words
    assert "Import a statement" in words


def test_without_an_account_the_import_says_what_comes_first(fay):
    shown = fay.get(UPLOAD)
    assert "Ask for your bank account here, and a second person agrees" in text_of(shown)
    assert f'href="{reverse("admin:reconciliation_statementaccount_add_bank")}"' in shown.content.decode()
    for answer in (shown, fay.post(UPLOAD, {"look": "1"})):
        assert 'type="file"' not in answer.content.decode()
    other = signed_in("operator", "ola").get(UPLOAD)
    assert "Finance can ask for a bank account" in text_of(other)
    assert "add_bank" not in other.content.decode()


def test_before_a_file_is_chosen_the_page_says_which_files_whose_and_what_then(fay, django_assert_max_num_queries):
    gateway()
    read("acme", csv_file(sale(1)))
    _bare("bare")
    StatementAccount.objects.create(slug="main", name="Main", kind="bank", source="camt053")
    with django_assert_max_num_queries(14):
        shown = fay.get(UPLOAD)
    assert shown.context["form"]["account"].value() == ""
    words = text_of(shown)
    for said in (
        "Choose an account Main · Bank statement, camt.053 Acme · CSV with a column mapping Bare",
        "camt.053 (.xml), MT940 (.sta, .mt940, .txt), CSV (.csv, by the account's column mapping)",
        "Up to 20 MB.",
        "Nothing is kept before you press “Import it”.",
        "A day that waited for it is compared within a minute.",
        f"Acme a file CSV, mapping 1 {DAY}",
        "Bare a file CSV: ask for its column mapping first no report yet",
        "Main a file Bank statement, camt.053 no report yet",
    ):
        assert said in words
    named = fay.get(f"{UPLOAD}?account=main").context["form"]
    assert named["account"].value() == "main"
    assert "nobody has made its column mapping yet" in text_of(signed_in("operator", "ola").get(UPLOAD))


def test_an_account_that_is_alone_need_not_be_chosen(fay):
    gateway()
    assert fay.get(UPLOAD).context["form"].fields["account"].choices == [("acme", "Acme · CSV with a column mapping")]


def test_a_missing_mapping_is_said_at_the_account(fay):
    _bare("acme")
    looked = fay.post(UPLOAD, {"account": "acme", "file": _file(csv_file(sale(1))), "look": "1"})
    assert looked.context["form"].errors == {"account": ["Acme has no column mapping yet: make one first."]}
    assert "ask for its column mapping first" in text_of(looked)


def test_a_file_is_looked_at_before_it_is_imported(fay):
    gateway()
    content = csv_file(sale(1), sale(2, gross="1x"))
    looked = fay.post(UPLOAD, {"account": "acme", "file": _file(content), "look": "1"})
    words = text_of(looked)
    assert "2 lines read, 1 of them rejected; 2026-11-20 to 2026-11-20." in words
    assert "Gross: '1x' is no amount with '.' before decimals." in words
    assert not Statement.objects.exists()
    done = fay.post(UPLOAD, {"account": "acme", "import": "1", **looked.context["kept"]})
    statement = Statement.objects.get()
    assert done.url == _page(statement)
    assert (statement.name, statement.received_by, statement.lines_new) == ("day.csv", "fay", 1)
    again = fay.post(UPLOAD, {"account": "acme", "file": _file(content), "import": "1"})
    assert "nothing was read again" in text_of(fay.get(again.url))


def test_what_can_not_be_read_is_said_on_the_form(fay):
    gateway()
    looked = fay.post(UPLOAD, {"account": "acme", "file": _file(b"a;b\n1;2\n"), "look": "1"})
    assert looked.status_code == 422
    assert "Is the delimiter ',' right?" in text_of(looked)
    assert "Choose a file first." in text_of(fay.post(UPLOAD, {"account": "acme", "look": "1"}))


def test_the_page_of_a_report_adds_up_and_offers_what_was_rejected(fay):
    gateway()
    read("acme", csv_file(sale(1), sale(2)))
    statement = read("acme", csv_file(sale(1), sale(2, fee="0.50", net="9.50"), sale(3, Type="=HYPERLINK(1)")))
    words = text_of(fay.get(_page(statement)))
    for said in (
        "Read 3",
        "Known said by an earlier report, and the same + 1",
        "adds up",
        "The kind '=HYPERLINK(1)' is not",
    ):
        assert said in words
    assert "k2 changed fee: 0.30; net: 9.70 fee: 0.50; net: 9.50" in words
    file = fay.get(reverse("admin:reconciliation_statement_rejected", args=(statement.public_id,)))
    text = b"".join(file.streaming_content).decode()
    assert text.splitlines()[1].startswith("3,The kind '=HYPERLINK(1)' is not in the mapping.,")


def test_a_refused_and_an_incomplete_report_say_why(fay):
    account = gateway()
    refused = read("acme", b"a;b\n")
    words = text_of(fay.get(_page(refused)))
    assert "Nothing of it was kept:" in words
    mapping(account, total_row="Total")
    incomplete = read("acme", csv_file(sale(1), "Total,,USD,99.00,,,,,,"))
    words = text_of(fay.get(_page(incomplete)))
    assert "Its sum of gross is 99.00 USD, but its lines add up to 10.00 USD. Until a whole report comes" in words
    assert "does not hold" in words


def test_lists_are_narrowed_and_cost_the_same_whatever_they_hold(fay, django_assert_max_num_queries):
    gateway()
    for number in range(3):
        read("acme", csv_file(sale(number)), starts_on=DAY - timedelta(days=number), ends_on=DAY)
    with django_assert_max_num_queries(20):
        shown = fay.get(LIST)
    assert len(shown.context["cl"].result_list) == 3
    assert text_of(shown).count("check_circle whole") == 3
    for narrowed in ("incomplete", "rejected", "restating", "refused"):
        assert not fay.get(f"{LIST}?is={narrowed}").context["cl"].result_list


def test_a_mapping_is_tried_on_a_sample_and_asked_for(fay):
    gateway()
    first = ColumnMapping.objects.get()
    path = reverse("admin:reconciliation_columnmapping_edit", args=(first.pk,))
    form = fay.get(path).context["form"]
    answers = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "", False)}
    assert "gross = Gross" in answers["columns"]
    answers |= {"kinds": f"{answers['kinds']}\nAuto = charge", "reason": "The file has a new word"}
    tried = fay.post(path, {**answers, "sample": _file(csv_file(sale(1, Type="Auto"), sale(2, Type="Gift")))})
    words = text_of(tried)
    for said in ("“Auto” means – charge", "2 lines read, 1 of them rejected", "The kind 'Gift' is not in the mapping."):
        assert said in words
    asked = fay.post(path, {**answers, "ask": "1"})
    assert asked.url == reverse("admin:payments_approval_change", args=(Approval.objects.get().public_id,))
    assert ColumnMapping.objects.count() == 1
    assert _agree(signed_in("finance", "carl")).state == "executed"
    newest = ColumnMapping.objects.get(current=True)
    assert (newest.number, newest.kinds["Auto"], newest.columns) == (2, "charge", COLUMNS)
    for mapped in ColumnMapping.objects.all():
        words = text_of(fay.get(reverse("admin:reconciliation_columnmapping_change", args=(mapped.pk,))))
        assert ("in force" if mapped.current else "earlier") in words


def test_a_mapping_with_a_slip_is_refused_on_its_field(fay):
    gateway()
    path = reverse("admin:reconciliation_columnmapping_add")
    answers = {
        "account": "acme",
        "columns": "gross Gross",
        "delimiter": ",",
        "encoding": "utf-8",
        "date_format": "%Y",
        "reason": "Because",
    }
    assert "“gross Gross” lacks an equals sign." in text_of(fay.post(path, answers))
    refused = fay.post(path, answers | {"columns": "gross = Gross\noccurred_at = Day"})
    assert "The form has to name day, month and year." in text_of(refused)


def test_terms_are_changed_by_two_people(fay):
    account = gateway()
    path = reverse("admin:reconciliation_statementaccount_edit", args=(account.pk,))
    shown, confirmed = prepare(fay, path, lag_days="4", currencies="USD, EUR", reason="New contract")
    assert "2 → 4" in text_of(shown)
    fay.post(path, confirmed)
    assert _agree(signed_in("finance", "carl")).state == "executed"
    changed = StatementAccount.objects.get()
    assert (changed.lag_days, changed.currencies, changed.version) == (4, ["USD", "EUR"], 1)
    words = text_of(fay.get(reverse("admin:reconciliation_statementaccount_change", args=(account.pk,))))
    assert "4 business days" in words


def test_sums_are_typed_as_money_and_the_head_start_in_hours(fay):
    account = gateway(currencies=["USD", "JPY"], tolerance_minor=5, early_seconds=100)
    path = reverse("admin:reconciliation_statementaccount_edit", args=(account.pk,))
    form = fay.get(path).context["form"]
    assert [form[name].value() for name in SUMS] == ["0.05", "0.00", "1000.00"]
    shown, confirmed = prepare(fay, path, alert_value_minor="2500.5", early_seconds="1.5", reason="A larger shop")
    words = text_of(shown)
    assert "Alarm from value at risk 1,000.00 USD, 100,000 JPY → 2,500.50 USD, 250,050 JPY" in words
    assert "Head start of a report 0.0278 h → 1.5 h" in words
    assert "Rounding per line" not in words  # as it was: 100 seconds and 0.05 come back as the same numbers
    fay.post(path, confirmed)
    request = Approval.objects.get()
    assert "2,500.50 USD" in text_of(fay.get(reverse("admin:payments_approval_change", args=(request.public_id,))))
    assert _agree(signed_in("finance", "carl")).state == "executed"
    changed = StatementAccount.objects.get()
    assert (changed.tolerance_minor, changed.alert_value_minor, changed.early_seconds) == (5, 250_050, 5400)
    words = text_of(fay.get(reverse("admin:reconciliation_statementaccount_change", args=(account.pk,))))
    assert "2,500.50 USD, 250,050 JPY" in words
    assert "1.5 h" in words
    shown, _ = prepare(fay, path, lag_days="4", reason="Once more")
    assert text_of(shown).count("→") == 1


def test_sums_of_an_account_of_any_currency_say_so(fay):
    account = gateway(tolerance_minor=5)
    shown = fay.get(reverse("admin:reconciliation_statementaccount_change", args=(account.pk,)))
    assert "0.05 of any currency with two decimals" in text_of(shown)


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"tolerance_minor": "0,05"}, "tolerance_minor", "'0,05' is not an amount"),
        ({"tolerance_minor": "-1"}, "tolerance_minor", "from 0 to 21474836.47 USD"),
        ({"tolerance_day_minor": "30000000"}, "tolerance_day_minor", "from 0 to 21474836.47 USD"),
        ({"alert_value_minor": "1.234"}, "alert_value_minor", "'1.234' has 3 decimals, but USD has 2."),
        ({"currencies": "JPY", "alert_value_minor": "1.5"}, "alert_value_minor", "1 decimal, but JPY has none"),
        ({"currencies": "US"}, "currencies", "'US' is in no table"),
        ({"early_seconds": "a day"}, "early_seconds", "Enter a number."),
        ({"early_seconds": "-1"}, "early_seconds", "greater than or equal to 0"),
        ({"early_seconds": "1e9"}, "early_seconds", "no more than 9 digits"),
    ],
)
def test_a_slip_in_a_sum_or_a_span_is_refused_on_its_field(fay, typed, field, said):
    account = gateway()
    path = reverse("admin:reconciliation_statementaccount_edit", args=(account.pk,))
    whole = {"tolerance_minor": "0", "tolerance_day_minor": "0", "alert_value_minor": "0"}
    shown, _ = prepare(fay, path, **{**whole, "reason": "Because", **typed})
    assert shown.status_code == 422
    assert {name: said in " ".join(errors) for name, errors in shown.context["form"].errors.items()} == {field: True}


def test_a_bank_account_is_asked_for(fay):
    path = reverse("admin:reconciliation_statementaccount_add_bank")
    _, confirmed = prepare(fay, path, slug="giro", name="Giro", reason="A second bank")
    fay.post(path, confirmed)
    assert _agree(signed_in("finance", "carl")).state == "executed"
    assert StatementAccount.objects.get().kind == "bank"
    assert "Giro" in text_of(fay.get(reverse("admin:reconciliation_statementaccount_changelist")))


def test_a_file_travels_in_a_form_only_if_it_is_short():
    content = csv_file(*(sale(number) for number in range(2000)))
    assert unpack(pack(content)) == content
    assert unpack("not a file") == unpack("aGVsbG8=") == b""
