"""Mappings and terms are policies: tried on a sample, asked for by one person, agreed to by another."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from django.contrib.auth.models import User

from config.services import make_staff
from payments.errors import Conflict, Forbidden, InvalidInput
from payments.models import Approval
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import Actor
from payments.services.approvals import approve
from reconciliation.models import ColumnMapping, StatementAccount
from reconciliation.services.demo import prepare_comparison
from reconciliation.services.ingestion import Report
from reconciliation.services.looking import look_at_report
from reconciliation.services.mappings import MappingWanted, ask_mapping, try_mapping, wanted_of
from reconciliation.services.terms import ask_bank_account, ask_terms, ensure_statement_accounts
from tests.reconciliation.ingestion.reports import COLUMNS, KINDS, NOW, csv_file, gateway, lines, read, sale

pytestmark = pytest.mark.django_db


def _people() -> tuple[Actor, Actor]:
    names = ("mia", "noor")
    for name in names:
        if not User.objects.filter(username=name).exists():
            make_staff(name, "finance", "a-long-password")
    mia, noor = (Actor.for_user(User.objects.get(username=name)) for name in names)
    return mia, noor


def _agree(public_id: str, checker: Actor) -> str:
    asked = Approval.objects.get(public_id=public_id)
    done = approve(public_id, digest=asked.digest, note="fine", actor=checker, clock=lambda: NOW)
    assert done.state == "executed", done.outcome
    return done.outcome


def _wanted(**fields) -> MappingWanted:
    return MappingWanted("acme", **({"columns": COLUMNS, "kinds": KINDS, "date_format": "%Y-%m-%d %H:%M:%S"} | fields))


def test_every_gateway_account_gets_terms_once_and_keeps_what_people_set():
    ensure_gateway_account("stripe", "stripe", "Stripe")
    ensure_gateway_account("other", "convesiopay", "Other")
    assert {account.slug for account in ensure_statement_accounts()} == {"stripe", "other"}
    StatementAccount.objects.filter(slug="stripe").update(lag_days=5)
    assert ensure_statement_accounts() == []
    found = StatementAccount.objects.get(slug="stripe")
    assert (found.source, found.fetched, found.lag_days, found.kind) == ("stripe_balance", True, 5, "gateway")
    assert StatementAccount.objects.get(slug="other").source == "csv_mapped"


def test_a_demo_has_a_bank_account_and_mappings_that_read_their_files():
    ensure_gateway_account("nmi", "nmi", "NMI")
    ensure_gateway_account("convesiopay", "convesiopay", "ConvesioPay")
    for _ in range(2):
        prepare_comparison(demo=True, now=NOW)
    assert ColumnMapping.objects.count() == 2
    assert StatementAccount.objects.get(slug="main").kind == "bank"
    content = (
        "Transaction ID,Order ID,Type,Currency,Gross,Fee,Net,Settled at,Batch,Card,Description\n"
        "17,att_1,Sale,USD,10.00,0.30,9.70,2026-11-20 22:00:00,b7,visa,\n"
        ",,Monthly fee,USD,-5.00,,,2026-11-20 22:00:00,b7,,Gateway fee\n"
        "Total,,,USD,5.00,0.30,4.70,,,,\n"
    )
    statement = read("nmi", content.encode(), source="csv_mapped")
    assert [line.line_key for line in lines("nmi")] == ["17:charge"]
    assert statement.lines_rejected == 1  # a fee without an id: the mapping of a real statement names one


def test_terms_change_when_two_people_agree():
    mia, noor = _people()
    account = gateway()
    changes = {
        "lag_days": 3,
        "currencies": ["USD"],
        "books_start_on": date(2026, 11, 1),
        "alert_to": ["fin@example.com"],
    }
    asked = ask_terms("acme", changes, version=account.version, reason="New contract", actor=mia, now=NOW)
    assert StatementAccount.objects.get().lag_days == 2
    shown = dict(Approval.objects.get().shown)
    assert (shown["Lag in business days"], shown["Currencies"]) == ("2 → 3", "any → USD")
    _agree(asked, noor)
    changed = StatementAccount.objects.get()
    assert (changed.lag_days, changed.currencies, changed.version) == (3, ["USD"], 1)
    assert changed.books_start_on == date(2026, 11, 1)
    with pytest.raises(Conflict):
        ask_terms("acme", {"lag_days": 4}, version=0, reason="Once more", actor=mia, now=NOW)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"source": "pdf"}, "source"),
        ({"currencies": ["US"]}, "currencies"),
        ({"holidays": ["Christmas"]}, "holidays"),
        ({"alert_to": ["nobody"]}, "alert_to"),
        ({"nightly_hour": 24}, "nightly_hour"),
        ({"lag_days": 20}, "lag_cap_days"),
        ({"slug": "other"}, "slug"),
        ({"lag_days": 2}, "name"),
    ],
)
def test_terms_that_can_not_be_are_refused_by_field(changes, field):
    gateway()
    mia, _ = _people()
    with pytest.raises(InvalidInput) as refusal:
        ask_terms("acme", changes, version=0, reason="Because", actor=mia, now=NOW)
    assert refusal.value.field == field


def test_a_further_bank_account_takes_two_people():
    mia, noor = _people()
    asked = ask_bank_account("giro", {"name": "Giro", "source": "mt940"}, reason="A second bank", actor=mia, now=NOW)
    _agree(asked, noor)
    assert StatementAccount.objects.get(slug="giro").kind == "bank"


def test_a_mapping_is_tried_before_it_is_asked_for():
    gateway()
    mia, _ = _people()
    content = csv_file(sale(1), sale(2, Type="Auto"), sale(3, Currency="EUR"))
    found = try_mapping(_wanted(), BytesIO(content), actor=mia)
    assert (found.read, found.rejected_count) == (3, 1)
    assert [line.line_key for line in found.lines] == ["k1", "k3"]
    assert found.rejected[0].reason == "The kind 'Auto' is not in the mapping."
    assert found.sums["USD"]["net"] == 970
    assert not lines()


def test_a_mapping_changes_by_a_new_version_when_two_people_agree():
    gateway()
    mia, noor = _people()
    wanted = _wanted(kinds=KINDS | {"Auto": "charge"})
    asked = ask_mapping(wanted, version=1, reason="The file has a new word", actor=mia, now=NOW)
    assert dict(Approval.objects.get().shown)["“Auto” means"] == "– → charge"
    _agree(asked, noor)
    newest = ColumnMapping.objects.get(current=True)
    assert (newest.number, newest.made_by, wanted_of(newest)) == (2, "mia, noor", wanted)
    with pytest.raises(Conflict):
        ask_mapping(_wanted(total_row="Total"), version=1, reason="Too late", actor=mia, now=NOW)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"columns": COLUMNS | {"colour": "Colour"}}, "columns"),
        ({"columns": {"gross": "Gross"}}, "columns"),
        ({"columns": {"occurred_at": "Time"}}, "columns"),
        ({"kinds": {"Sale": "sale"}}, "kinds"),
        ({"kinds": {}}, "kinds"),
        ({"delimiter": ""}, "delimiter"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"encoding": "klingon"}, "encoding"),
        ({"decimal_mark": "x"}, "decimal_mark"),
        ({"thousands_mark": "."}, "thousands_mark"),
        ({"date_format": "%H:%M"}, "date_format"),
        ({"date_format": "day"}, "date_format"),
        ({}, "columns"),
    ],
)
def test_mappings_that_can_not_be_are_refused_by_field(fields, field):
    gateway()
    mia, _ = _people()
    with pytest.raises(InvalidInput) as refusal:
        ask_mapping(_wanted(**fields), version=1, reason="Because", actor=mia, now=NOW)
    assert refusal.value.field == field


def test_looking_at_a_file_writes_nothing_and_takes_the_right():
    gateway()
    mia, _ = _people()
    found = look_at_report("acme", BytesIO(csv_file(sale(1), sale(2, gross="x"))), Report("x"), actor=mia)
    assert (found.read, found.rejected_count, found.first_day) == (2, 1, date(2026, 11, 20))
    assert not lines()
    with pytest.raises(Forbidden):
        look_at_report("acme", BytesIO(csv_file(sale(1))), Report("x"), actor=Actor("kim"))
