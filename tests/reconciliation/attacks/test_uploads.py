"""What can a file do to who reads it? Bombs, depth, encodings and broken tags: refused with a sentence, in flat memory."""

from __future__ import annotations

import time
import tracemalloc
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any

import pytest

from payments.services.actors import SYSTEM
from reconciliation.models import Line, Statement, StatementAccount
from reconciliation.services.ingestion import ingest
from tests.reconciliation.ingestion.reports import HEADING, NOW, csv_file, gateway, sale
from tests.reconciliation.sources.test_bank import balance, detail, entry

pytestmark = pytest.mark.django_db
NS = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
END = "</BkToCstmrStmt></Document>"
LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
SECRET = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def camt(inside: str, before: str = "") -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>{before}{NS}<Stmt>{inside}</Stmt>{END}'.encode()


DEEP = "<a>" * 60_000 + "</a>" * 60_000
WIDE = "<a/>" * 600_000
REFUSED = {
    "laughs": camt(entry("1.00"), LAUGHS),
    "external": camt(entry("1.00"), SECRET),
    "deep_in_entry": camt(entry("1.00", details=f"<TxDtls>{DEEP}</TxDtls>")),
    "deep_anywhere": camt(f"<GrpHdr>{DEEP}</GrpHdr>{entry('1.00')}"),
    "wide": camt(entry("1.00", details=f"<TxDtls>{WIDE}</TxDtls>")),
    "nul": camt(entry("1.00")).replace(b"B1", b"B\0"),
    "cut": camt(entry("1.00"))[:-30],
    "utf7": camt(entry("1.00")).replace(b"UTF-8", b"UTF-7"),
    "unknown encoding": camt(entry("1.00")).replace(b"UTF-8", b"x-none"),
    "bytes": bytes(range(256)) * 50,
    "other": b"<html><body/></html>",
}


def read(source: str, content: Any, **fields: Any) -> Statement:
    gateway(source=source, kind="bank", **fields)
    return ingest(
        "acme", content if not isinstance(content, bytes) else BytesIO(content), name="x", actor=SYSTEM, now=NOW
    )


@pytest.mark.parametrize("name", REFUSED)
def test_a_camt_file_that_is_a_weapon_is_refused(name: str) -> None:
    begun = time.process_time()
    statement = read("camt053", REFUSED[name])
    assert (statement.state, Line.objects.count()) == ("refused", 0)
    assert statement.refused_because
    assert time.process_time() - begun < 20


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso-8859-1"])
def test_encodings_that_a_file_names_itself_are_read(encoding: str) -> None:
    text = camt(entry("1.00", details=detail("Müller"))).decode().replace("UTF-8", encoding.removesuffix("-sig"))
    statement = read("camt053", text.encode(encoding))
    assert (statement.state, statement.lines_new) == ("read", 1)
    assert Line.objects.get().reference == "Müller"


class Endless(RawIOBase):
    """A file of one sign again and again, without ever being in memory."""

    def __init__(self, head: bytes, size: int) -> None:
        self._head, self._size, self._at = head, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, at: int, whence: int = 0) -> int:
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at)
        piece = (self._head[self._at : self._at + count] + b"x" * count)[:count]
        buffer[:count] = piece
        self._at += count
        return count


@pytest.mark.parametrize(
    ("source", "head"),
    [
        ("camt053", camt("").partition(b"</Stmt>")[0] + b"<Ntry><AddtlNtryInf>"),
        ("mt940", b":20:"),
        ("csv_mapped", HEADING.encode()),
    ],
)
def test_one_endless_line_is_no_memory(source: str, head: bytes) -> None:
    tracemalloc.start()
    statement = read(source, BufferedReader(Endless(head, 200 * 1024 * 1024)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert statement.state == "refused"
    assert peak < 40 * 2**20


MT = ":20:X\n:25:NL00BANK0123456789\n:28C:1/1\n:60F:C261120EUR0,\n:61:2611201120C10,00NTRFREF//B1\n:86:text\n:62F:C261120EUR10,\n"


BROKEN = (
    MT.replace(":62F:C261120EUR10,\n", ""),
    MT.replace("C10,00", "C10"),
    MT.replace(":61:", ":61"),
    MT.replace(":60F:", ":60"),
    MT.replace("2611201120", "2613401340"),
    MT.replace("EUR10,", "XXX10,"),
    MT.replace("C10,00", "X10,00"),
    MT * 2 + ":61:",
    MT.replace("10,00", "9" * 400 + ",00"),
    MT.replace(":86:", ":86:" + ":61:" * 4000),
    "\0" * 5000,
    MT.replace("text", "x" * 900_000),
    MT.replace("REF//B1", "A" * 200_000),
    MT.replace(":86:text", ":86:" + "?20" * 30_000),
    MT.replace(":86:text", ":86:" + "/" * 60_000),
)


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_an_mt940_with_broken_tags_is_incomplete_or_refused_but_read_at_once(text: str) -> None:
    begun = time.process_time()
    statement = read("mt940", text.encode())
    assert statement.state == "refused" or not statement.complete or statement.lines_new == 1
    assert time.process_time() - begun < 20


def of(iban: str, number: int = 1) -> str:
    return f"<Acct><Id><IBAN>{iban}</IBAN></Id></Acct>{balance('OPBD', '0.00')}{entry('1.00', ref=f'B{number}')}"


def test_a_statement_of_another_account_is_refused() -> None:
    assert read("camt053", camt(of("DE02 1203"))).told_account == "DE021203"
    for iban, number in (("DE99", 2), ("DE99", 3)):
        refused = ingest("acme", BytesIO(camt(of(iban, number))), name="y", actor=SYSTEM, now=NOW)
        assert "DE99; the statements of Acme are of DE021203" in refused.refused_because
    gateway("other", source="camt053", kind="bank")
    refused = ingest("other", BytesIO(camt(of("de021203", 4))), name="y", actor=SYSTEM, now=NOW)
    assert "whose statements are those of Acme" in refused.refused_because
    gateway("dollars", source="camt053", kind="bank", currencies=["USD"])
    StatementAccount.objects.filter(slug="acme").update(currencies=["EUR"])
    dollars = camt(of("DE021203", 5)).replace(b'Ccy="EUR"', b'Ccy="USD"')
    assert ingest("dollars", BytesIO(dollars), name="y", actor=SYSTEM, now=NOW).state == "read"
    both = camt(f"{of('DE99')}</Stmt><Stmt>{of('DE98')}")
    assert "more than one account" in ingest("other", BytesIO(both), name="z", actor=SYSTEM, now=NOW).refused_because
    assert Line.objects.count() == 2


def test_a_sentence_about_a_file_of_nothing_can_be_kept() -> None:
    gateway()
    assert ingest("acme", BytesIO(b"\0" * 9000), name="x", actor=SYSTEM, now=NOW).state == "refused"


def test_a_formula_in_a_cell_stays_text_and_a_nul_is_rejected() -> None:
    gateway()
    rows = (sale(1, Order="=cmd|' /C calc'!A0"), sale(2, Order="o\0x"))
    statement = ingest("acme", BytesIO(csv_file(*rows)), name="x", actor=SYSTEM, now=NOW)
    assert (statement.lines_new, statement.lines_rejected) == (1, 1)


def test_amounts_whose_sum_no_night_could_keep_are_rejected() -> None:
    gateway()
    rows = (sale(number, "90000000000000000.00", "", "") for number in (1, 2))
    statement = ingest("acme", BytesIO(csv_file(*rows, sale(3))), name="x", actor=SYSTEM, now=NOW)
    assert (statement.lines_new, statement.lines_rejected) == (1, 2)
