"""How does a bank write camt.053 and MT940? Opening, entries, closing; the closing balance is that of the whole day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from xml.sax.saxutils import escape

from simulator.reports.contract import text_of
from simulator.reports.values import BankLine

_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"


def camt053(
    lines: Sequence[BankLine], *, currency: str, opening: int, closing: int, entries: int, days: tuple[date, date]
) -> bytes:
    """One statement. `entries` and `closing` are what it says of itself."""
    parts = [
        _balance("OPBD", opening, currency, days[0]),
        _balance("CLBD", closing, currency, days[1]),
        f"<TxsSummry><TtlNtries><NbOfNtries>{entries}</NbOfNtries></TtlNtries></TxsSummry>",
        *(_entry(line) for line in lines),
    ]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{_NAMESPACE}"><BkToCstmrStmt><GrpHdr><MsgId>1</MsgId></GrpHdr>'
        f"<Stmt><Id>{days[0]}</Id>{''.join(parts)}</Stmt></BkToCstmrStmt></Document>\n"
    ).encode()


def _balance(code: str, minor: int, currency: str, day: date) -> str:
    side = "CRDT" if minor >= 0 else "DBIT"
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{text_of(abs(minor), currency)}</Amt>'
        f"<CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _entry(line: BankLine) -> str:
    side = "CRDT" if line.amount >= 0 else "DBIT"
    return (
        f'<Ntry><Amt Ccy="{line.currency}">{text_of(abs(line.amount), line.currency)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{line.on}</Dt></BookgDt><ValDt><Dt>{line.on}</Dt></ValDt>"
        f"<AcctSvcrRef>{line.ref}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>{line.reference or 'NOTPROVIDED'}"
        f"</EndToEndId></Refs><RmtInf><Ustrd>{escape(line.text)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


def mt940(lines: Sequence[BankLine], *, currency: str, opening: int, closing: int, days: tuple[date, date]) -> bytes:
    """One statement."""
    written = [":20:STATEMENT", ":25:12345678/9876543", ":28C:1/1", f":60F:{_amount(opening, days[0], currency)}"]
    for line in lines:
        mark, when = "C" if line.amount >= 0 else "D", line.on.strftime("%y%m%d%m%d")
        money = text_of(abs(line.amount), currency, ",") + ("" if currency != "JPY" else ",")
        written.append(f":61:{when}{mark}{money}NTRFNONREF//{line.ref}")
        written.append(f":86:{line.text} {line.reference}".strip())
    written.append(f":62F:{_amount(closing, days[1], currency)}")
    return ("\r\n".join([*written, "-"]) + "\r\n").encode()


def _amount(minor: int, day: date, currency: str) -> str:
    return f"{'C' if minor >= 0 else 'D'}{day.strftime('%y%m%d')}{currency}{text_of(abs(minor), currency, ',')}"
