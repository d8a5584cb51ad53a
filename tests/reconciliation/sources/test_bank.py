"""Bank statements: camt.053 and MT940 become lines and balances; what is no bank statement is refused."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest

from reconciliation.errors import UnreadableStatement
from reconciliation.lines import AccountNamed, Balance, ControlTotal, RejectedLine, Shortfall, StatementLine
from reconciliation.sources.base import Reading
from reconciliation.sources.camt053 import CAMT053
from reconciliation.sources.mt940 import MT940

DAY = date(2026, 11, 20)


def entry(
    amount: str, side: str = "CRDT", status: str = "<Sts><Cd>BOOK</Cd></Sts>", details: str = "", ref: str = "B1"
) -> str:
    return (
        f'<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd>{status}<BookgDt><Dt>2026-11-20</Dt></BookgDt>'
        f"<ValDt><Dt>2026-11-21</Dt></ValDt><AcctSvcrRef>{ref}</AcctSvcrRef><NtryDtls>{details}</NtryDtls></Ntry>"
    )


def detail(reference: str, amount: str = "") -> str:
    money = f'<Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>' if amount else ""
    named = f"<Refs><EndToEndId>{reference}</EndToEndId></Refs>"
    return f"<TxDtls>{named}{money}<RmtInf><Ustrd>Payout {reference}</Ustrd></RmtInf></TxDtls>"


def balance(code: str, amount: str) -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        "<Dt><Dt>2026-11-20</Dt></Dt></Bal>"
    )


def camt(*parts: str, message: str = "BkToCstmrStmt") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
        f"<{message}><GrpHdr><MsgId>1</MsgId></GrpHdr><Stmt><Id>1</Id>{''.join(parts)}</Stmt></{message}></Document>"
    ).encode()


def read(source, content: bytes):
    return list(source.read(BytesIO(content), Reading()))


def test_camt_entries_become_lines_between_their_balances():
    content = camt(
        balance("OPBD", "100.00"),
        balance("CLBD", "150.25"),
        entry("60.25", details=detail("po_1")),
        entry("10", "DBIT"),
    )
    opening, first, second, closing = read(CAMT053, content)
    assert opening == Balance(opening=True, currency="EUR", amount_minor=10_000, on=DAY)
    assert closing == Balance(opening=False, currency="EUR", amount_minor=15_025, on=DAY)
    assert (first.kind, first.gross_minor, first.reference, first.bank_ref) == ("bank_credit", 6025, "po_1", "B1")
    assert (first.text, first.available_on, first.occurred_at.date()) == ("Payout po_1", date(2026, 11, 21), DAY)
    assert (second.kind, second.gross_minor, second.net_minor) == ("bank_debit", -1000, -1000)


def test_a_collective_entry_becomes_a_line_each_if_its_parts_add_up():
    lines = read(CAMT053, camt(entry("30.00", details=detail("a", "10.00") + detail("b", "20.00"))))
    assert [(line.reference, line.gross_minor) for line in lines] == [("a", 1000), ("b", 2000)]
    whole = read(CAMT053, camt(entry("31.00", details=detail("a", "10.00") + detail("b", "20.00"))))
    assert [line.gross_minor for line in whole] == [3100]


def test_an_entry_that_is_not_booked_is_no_line():
    assert read(CAMT053, camt(entry("30.00", status="<Sts>PDNG</Sts>"))) == []
    assert len(read(CAMT053, camt(entry("30.00", status="<Sts>BOOK</Sts>")))) == 1


def test_a_summary_of_entries_is_a_control():
    items = read(
        CAMT053, camt("<TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries></TtlNtries></TxsSummry>", entry("1.00"))
    )
    assert items[-1] == ControlTotal("entries", 2, found=1)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (entry("1,00"), "'1,00' is no amount"),
        (entry("1.001"), "has 3 decimals, but EUR has 2"),
        (entry("1.00", "CREDIT"), "neither credit nor debit"),
        (entry("1.00").replace("2026-11-20", "20.11.2026"), "is no time of the form"),
    ],
)
def test_an_entry_that_can_not_be_read_is_rejected(broken, reason):
    rejected, fine = read(CAMT053, camt(broken, entry("2.000")))
    assert isinstance(rejected, RejectedLine)
    assert reason in rejected.reason
    assert (fine.number, fine.gross_minor) == (2, 200)


@pytest.mark.parametrize(
    "content",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><Document>&c;</Document>',
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Document>&x;</Document>',
        camt(entry("1.00"))[:-30],
        camt(message="BkToCstmrDbtCdtNtfctn"),
        b"Day,Out,In\n",
        b"<Document/>",
    ],
)
def test_what_is_no_camt_statement_is_refused(content):
    with pytest.raises(UnreadableStatement):
        read(CAMT053, content)


MT = """:20:STARTUMS
:25:DE12500105170648489890
:28C:00001/001
:60F:C261119EUR1000,00
:61:2611211120C100,50NTRFNONREF//BANKREF1
:86:166?00GUTSCHRIFT?20EREF+po_123?21 Payout
:61:2611201120D10,00NMSCREF2
:86:Charges
:61:2611201120RC3,NMSCREF3
:62F:C261120EUR1087,50
-
"""


def test_mt940_lines_stand_between_their_balances():
    account, opening, credit, debit, reversal, closing = read(MT940, MT.encode())
    assert isinstance(account, AccountNamed)
    assert (opening.opening, opening.amount_minor, opening.on) == (True, 100_000, date(2026, 11, 19))
    assert (closing.opening, closing.amount_minor, closing.on) == (False, 108_750, DAY)
    assert (credit.kind, credit.gross_minor, credit.bank_ref) == ("bank_credit", 10_050, "BANKREF1")
    assert (credit.occurred_at.date(), credit.available_on) == (DAY, date(2026, 11, 21))
    assert (debit.gross_minor, debit.reference, debit.text) == (-1000, "REF2", "Charges")
    assert (reversal.kind, reversal.gross_minor) == ("bank_debit", -300)


def test_an_mt940_file_of_several_statements_keeps_each_balance():
    second = MT.replace("C261119EUR1000,00", "C261120EUR1087,50").replace(
        "C261120EUR1087,50\n-", "C261121EUR1175,00\n-"
    )
    items = read(MT940, b"\xef\xbb\xbf" + (MT + second).encode())
    assert [item.amount_minor for item in items if isinstance(item, Balance)] == [100_000, 108_750, 108_750, 117_500]
    assert [item.number for item in items if isinstance(item, StatementLine)] == [1, 2, 3, 4, 5, 6]


def test_an_mt940_statement_that_was_cut_off_says_so():
    items = read(MT940, MT.partition(":62F:")[0].encode())
    assert items[-1] == Shortfall("A statement has no closing balance: it was cut off.")


@pytest.mark.parametrize("content", [b"Day,Out,In\n", b"", b":61:2611211120C100,50NTRFNONREF\n", b"x" * 2_000_000])
def test_what_is_no_mt940_is_refused(content):
    with pytest.raises(UnreadableStatement):
        read(MT940, content)


def test_old_western_letters_are_read():
    assert read(MT940, MT.replace("Charges", "Gebühr").encode("cp1252"))[3].text == "Gebühr"
