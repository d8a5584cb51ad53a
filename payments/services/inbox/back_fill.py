"""What did we miss while webhooks did not come? Lists the gateway's window page by page and records every fact."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from payments.decisions import Verdict
from payments.errors import InvalidInput, NotFound, PaymentsError
from payments.facts import Fact
from payments.gateways.base import LookUpAnswer
from payments.gateways.errors import GatewayError
from payments.models import GatewayAccount
from payments.services.accounts import adapter_of
from payments.services.actors import Actor
from payments.services.calls import Clock, ask
from payments.services.recording import Cause, record_fact

LAST_PAGE = 10_000  # a gateway that never sends an empty page is not listed for ever


class GatewayDidNotAnswer(PaymentsError):
    """A page of the window did not come. What came before is recorded; the whole window can be listed again."""

    code, status = "gateway_did_not_answer", 502


@dataclass(frozen=True, slots=True)
class BackFilled:
    """What a window held. `facts` counts by verdict; `unreadable` names transactions that could not be read.

    `waiting` are gateway ids that find no payment yet and are too young to be nobody's: list the window again after
    `again_after`.
    """

    pages: int
    facts: dict[str, int]
    changed: int
    waiting: tuple[str, ...]
    again_after: datetime | None
    unreadable: tuple[str, ...]


def back_fill(account_slug: str, start: datetime, end: datetime, clock: Clock, *, actor: Actor) -> BackFilled:
    """This function will list everything that changed at the gateway from `start` to `end`, and record it.

    Raises: Forbidden, NotFound, InvalidInput, GatewayDidNotAnswer. Idempotent on: the movements the gateway names.
    Writes: whatever the facts lead to, each in its own transaction; the gateway is asked outside of them.
    """
    actor.require("payments.ask_gateway")
    account = GatewayAccount.objects.filter(slug=account_slug).first()
    if account is None:
        raise NotFound(f"There is no gateway account {account_slug}.")
    if not adapter_of(account).capabilities.lists_window:
        raise InvalidInput(
            f"{account.name} can not list what changed in a window; only single payments can be asked about."
        )
    if start >= end:
        raise InvalidInput("The window ends before it starts.", field="end")
    verdicts: Counter[str] = Counter()
    waiting: dict[str, datetime] = {}
    unreadable: list[str] = []
    changed, page, cursor = 0, 0, ""
    while (answer := _page(account, start, end, page, cursor, clock)).found:
        for fact in answer.facts:
            changed += _record(account, fact, clock(), actor, verdicts, waiting)
        unreadable += _unreadable(answer)
        page, cursor = page + 1, answer.next_cursor
        if answer.last:
            break
        if page == LAST_PAGE:
            raise GatewayDidNotAnswer(f"The list has no end after {LAST_PAGE} pages; list a smaller window.")
    again = max(waiting.values(), default=None)
    return BackFilled(page, dict(verdicts), changed, tuple(waiting), again, tuple(unreadable))


def _page(
    account: GatewayAccount, start: datetime, end: datetime, page: int, cursor: str, clock: Clock
) -> LookUpAnswer:
    adapter = adapter_of(account)
    try:
        wire = ask(account, adapter.window_request(start, end, page=page, cursor=cursor), clock)
    except GatewayError as trouble:
        raise GatewayDidNotAnswer(
            f"{account.name} did not answer for page {page} of the window: {trouble}"
        ) from trouble
    answer = adapter.window_answer(wire, at=clock())
    if not answer.answered:
        raise GatewayDidNotAnswer(f"{account.name} gave no usable answer for page {page} of the window.")
    return answer


def _record(
    account: GatewayAccount,
    fact: Fact,
    now: datetime,
    actor: Actor,
    verdicts: Counter[str],
    waiting: dict[str, datetime],
) -> bool:
    orphan_at = fact.occurred_at + timedelta(seconds=account.orphan_seconds)
    cause = Cause(actor=actor.label, user_id=actor.user_id)
    recorded = record_fact(fact, account_id=account.pk, cause=cause, now=now, orphan_due=now >= orphan_at)
    verdicts[recorded.verdict.value] += 1
    if recorded.verdict == Verdict.PARK:
        waiting[fact.gateway_id] = max(orphan_at, now)
    return recorded.changed


def _unreadable(answer: LookUpAnswer) -> list[str]:
    named = answer.evidence.get("unreadable", [])
    return [str(item) for item in named] if isinstance(named, list | tuple) else []
