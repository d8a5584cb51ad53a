"""Is a certificate true? The file by itself, then every number of it against the database, then the chain behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from ledger import queries as ledger
from reconciliation import certificate as certificates
from reconciliation.models import DayClose, Statement
from reconciliation.queries.closing import trial_balance_of


def objections_to(certificate: object) -> list[str]:
    """Everything that is not as the certificate says; empty: it is true. Reads the entries of its days again."""
    wrong = certificates.objections(certificate)
    if wrong or not isinstance(certificate, dict):
        return wrong
    close = DayClose.objects.filter(digest=certificate["digest"]).first()
    if close is None:
        return ["No close here was ever given this certificate."]
    found = list(_of_close(certificate, close))
    return [*found, *_of_books(certificate), *_of_reports(certificate), *_of_chain(close)]


def _of_close(certificate: Mapping[str, Any], close: DayClose) -> Iterator[str]:
    if close.reopened_at is not None:
        yield f"The day was reopened by {close.reopened_by} at {close.reopened_at.isoformat()}: {close.reopened_because}"
        return
    here = (close.day.isoformat(), close.closed_at.isoformat(), close.closed_by, close.approved_by)
    said = tuple(certificate[name] for name in ("day", "closed_at", "closed_by", "approved_by"))
    if here != (*said[:2], said[2][:100], said[3][:100]):
        yield f"The close as it is kept says other things of day, time or people: {', '.join(here)}."
    through = ledger.closed_through()
    if through is None or through < close.day:
        yield f"The books are no longer closed for {close.day}: they are closed through {through or 'no day'}."


def _of_books(certificate: Mapping[str, Any]) -> Iterator[str]:
    said = certificate["books"]
    first = date.fromisoformat(certificate["first_day"]) if certificate["first_day"] else None
    day = date.fromisoformat(certificate["day"])
    now = ledger.day_digest(first, day)
    if now.entries_count != said["entries"]:
        yield f"It was closed with {said['entries']} entries; the database has {now.entries_count}."
    if now.digest != said["digest"]:
        yield "The entries of its days are not the ones it was closed with."
    if now.debits_minor != said["debits_minor"]:
        yield f"Debits were {said['debits_minor']}, and are {now.debits_minor}."
    if trial_balance_of(day) != said["trial_balance"]:
        yield "The trial balance as of the day is another one."


def _of_reports(certificate: Mapping[str, Any]) -> Iterator[str]:
    wanted = {report["statement"]: report for report in certificate["reports"]}
    here = dict(Statement.objects.filter(public_id__in=wanted).values_list("public_id", "sha256"))
    for public_id, report in wanted.items():
        if here.get(public_id) != report["sha256"]:
            yield f"Report {public_id} ({report['name']}) is gone, or its digest is another one."


def _of_chain(close: DayClose) -> Iterator[str]:
    """Back to the first close: each names the digest of the one before, and each digest is over what is stored."""
    while True:
        if certificates.digest_of(close.certificate) != close.digest:
            yield f"The stored certificate of {close.day} was changed after it was made."
        said, before = close.certificate.get("previous"), close.previous
        if (said or {}).get("digest", "") != (before.digest if before else ""):
            yield f"The certificate of {close.day} does not follow the one before it."
        if before is None:
            return
        close = before
