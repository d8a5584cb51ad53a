"""Which rows does the comparison give to reports? SQL with named arguments; amounts in minor units, debit positive."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

from payments.queries import exports as of_payments
from reconciliation.models import StatementAccount
from reconciliation.queries.break_words import BUCKETS
from reconciliation.rules.base import NOT_MOVED
from reconciliation.states import MOVEMENT_KINDS, LineKind

Sql = tuple[str, dict[str, Any]]

# Words, not "2-3": a spreadsheet would make the third of February of it.
_NAMED: Final = " ".join(
    f"WHEN age.days <= {last} THEN '{first} to {last}'" for first, last in BUCKETS if last is not None
)
_BUCKET: Final = f"CASE {_NAMED} ELSE 'over {BUCKETS[-1][0] - 1}' END"
# As of the end of a day: what had been opened by then and had not ended.
_BREAKS: Final = f"""
SELECT broken.id AS break_row, broken.public_id AS break, account.slug AS account, broken.kind,
       broken.state, broken.currency, broken.difference_minor AS difference, broken.value_minor AS value, broken.day,
       age.days AS age_days, {_BUCKET} AS age, coalesce(owner.username, '') AS owner, broken.due_at,
       broken.payment_public_id AS payment, coalesce(line.line_key, '') AS line, coalesce(line.gateway_id, '') AS gateway_id,
       broken.cause, broken.because, broken.opened_at, broken.ended_at, broken.ended_by
  FROM reconciliation_break AS broken JOIN reconciliation_statementaccount AS account ON account.id = broken.account_id
  LEFT JOIN auth_user AS owner ON owner.id = broken.owner_id
  LEFT JOIN reconciliation_line AS line ON line.id = broken.line_id
  CROSS JOIN LATERAL (SELECT greatest(coalesce(least(broken.ended_at::date, %(day)s::date), %(day)s::date) - broken.day, 0)
                        AS days) AS age
 WHERE broken.day <= %(day)s::date
   AND (%(open)s = false OR broken.ended_at IS NULL OR broken.ended_at >= %(after)s::timestamptz)
   AND (%(account)s::text IS NULL OR account.slug = %(account)s)
   AND (%(currency)s::text IS NULL OR broken.currency = %(currency)s)"""  # noqa: S608 - made of our own constants
# As `reconciliation/rates.py` says it: of this method before the general one, the newest before older ones; the percentage
# is of money that moved, and a line that is itself a fee has none. Fees are told without their tax.
_FEES: Final = """
SELECT line.id AS line_row, account.slug AS account, line.day, line.kind, line.line_key AS line, line.gateway_id, line.reference,
       line.payout_id AS payout, line.method, line.currency, line.gross_minor AS gross, cost.fee AS charged,
       due.fee AS expected, cost.fee - due.fee AS variance, line.tax_minor AS tax_charged, due.tax AS tax_expected,
       coalesce(line.tax_minor, 0) - due.tax AS tax_variance,
       coalesce(rate.percent || ' %% + ' || rate.fixed_minor || ' minor units', '') AS rate, coalesce(rate.source, '') AS contract
  FROM reconciliation_line AS line JOIN reconciliation_statementaccount AS account ON account.id = line.account_id
  CROSS JOIN LATERAL (
    SELECT CASE WHEN line.kind = ANY(%(fees)s) THEN coalesce(line.fee_minor, 0) - line.gross_minor
                ELSE coalesce(line.fee_minor, line.gross_minor - line.net_minor - coalesce(line.tax_minor, 0)) END AS fee
  ) AS cost
  LEFT JOIN LATERAL (
    SELECT * FROM reconciliation_contractrate AS rate
     WHERE rate.account_id = line.account_id AND rate.kind = line.kind AND rate.currency = line.currency
       AND lower(rate.method) IN ('', lower(line.method)) AND rate.valid_from <= line.day
       AND (rate.valid_to IS NULL OR rate.valid_to >= line.day)
     ORDER BY rate.method <> '' DESC, rate.valid_from DESC, rate.id DESC LIMIT 1) AS rate ON true
  LEFT JOIN LATERAL (
    SELECT base.fee, round(base.fee * rate.tax_percent / 100)::bigint AS tax
      FROM (SELECT round(CASE WHEN line.kind = ANY(%(movements)s) THEN abs(line.gross_minor) ELSE 0 END
                         * rate.percent / 100)::bigint + rate.fixed_minor AS fee) AS base
     WHERE rate.id IS NOT NULL) AS due ON true
 WHERE cost.fee IS NOT NULL AND NOT line.removed AND line.kind = ANY(%(charged)s) AND lower(line.status) <> ALL(%(not_moved)s)
   AND (%(from)s::date IS NULL OR line.day >= %(from)s) AND (%(to)s::date IS NULL OR line.day <= %(to)s)
   AND (%(account)s::text IS NULL OR account.slug = %(account)s)
   AND (%(currency)s::text IS NULL OR line.currency = %(currency)s)
   AND (%(claim)s = false OR cost.fee - due.fee > rate.tolerance_minor
        OR coalesce(line.tax_minor, 0) - due.tax > rate.tolerance_minor)"""
_PAYOUTS: Final = """
SELECT payout.*, items.lines AS items, items.net AS items_net,
       CASE WHEN items.lines > 0 THEN payout.amount - items.net END AS difference
  FROM ({payouts}) AS payout
  LEFT JOIN reconciliation_statementaccount AS account ON account.slug = payout.account
  LEFT JOIN LATERAL (
    SELECT count(*) AS lines, sum(coalesce(line.net_minor, line.gross_minor)) AS net FROM reconciliation_line AS line
     WHERE line.account_id = account.id AND line.payout_id = payout.gateway_id AND line.payout_id <> ''
       AND line.kind NOT IN ('payout', 'payout_return') AND line.currency = payout.currency AND NOT line.removed
  ) AS items ON true"""
_PARTS: Final = {
    "lines": ("read", "matched", "booked", "broken", "early", "rejected", "foreign"),
    "movements": ("open", "matched", "broken", "expected"),
}
_EQUATIONS: Final = ", ".join(
    f"(run.{whole}->>'{part}')::bigint AS {whole}_{part}" for whole, parts in _PARTS.items() for part in parts
)
_RUNS: Final = f"""
SELECT run.id AS run_row, run.day, account.slug AS account, run.public_id AS run, run.state, run.balanced, run.times,
       {_EQUATIONS}, found.breaks AS breaks_found, open.breaks AS breaks_open, run.finished_at, run.because
  FROM reconciliation_run AS run JOIN reconciliation_statementaccount AS account ON account.id = run.account_id
  CROSS JOIN LATERAL (SELECT count(*) AS breaks FROM reconciliation_break WHERE last_run_id = run.id) AS found
  CROSS JOIN LATERAL (SELECT count(*) AS breaks FROM reconciliation_break
                       WHERE last_run_id = run.id AND ended_at IS NULL) AS open
 WHERE (%(from)s::date IS NULL OR run.day >= %(from)s) AND (%(to)s::date IS NULL OR run.day <= %(to)s)
   AND (%(account)s::text IS NULL OR account.slug = %(account)s)"""  # noqa: S608 - made of our own constants
_HANDED: Final = """
SELECT batch.public_id AS batch, batch.day, handed.entry_id FROM reconciliation_handedentry AS handed
  JOIN reconciliation_handover AS batch ON batch.id = handed.hand_over_id AND batch.day = %(handed_day)s"""


def breaks_sql(day: date, after: datetime, *, only_open: bool, account: str | None, currency: str | None) -> Sql:
    """One row a break known by the end of `day` (`after` is the moment it ends); order by account, day, break_row."""
    return _BREAKS, {"day": day, "after": after, "open": only_open, "account": account, "currency": currency}


def fees_sql(start: date | None, end: date | None, *, claim: bool, account: str | None, currency: str | None) -> Sql:
    """One row a line with a fee, beside what the contract says; with `claim` those beyond its tolerance alone. Order by
    account, day, line_row."""
    kinds = {
        "fees": [LineKind.FEE.value, LineKind.DISPUTE_FEE.value],
        "movements": sorted(MOVEMENT_KINDS),
        "charged": sorted(MOVEMENT_KINDS | {LineKind.FEE}),
        "not_moved": sorted(NOT_MOVED),
    }
    return _FEES, {"from": start, "to": end, "claim": claim, "account": account, "currency": currency, **kinds}


def payouts_sql(
    start: datetime | None, end: datetime | None, *, state: str | None, account: str | None, currency: str | None
) -> Sql:
    """One row a payout with the sum of its lines; order by payout_row."""
    sql, args = of_payments.payouts_sql(start, end, state=state, account=account, currency=currency)
    return _PAYOUTS.format(payouts=sql), args


def runs_sql(start: date | None, end: date | None, *, account: str | None) -> Sql:
    """One row a run, its equations as they were kept; order by day, account."""
    return _RUNS, {"from": start, "to": end, "account": account}


def handed_sql(day: date) -> Sql:
    """The entries of one hand-over: batch, day and entry_id."""
    return _HANDED, {"handed_day": day}


def account_slugs() -> list[str]:
    """Every account that is compared, for choosing one."""
    return list(StatementAccount.objects.order_by("slug").values_list("slug", flat=True))
