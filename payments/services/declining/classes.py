"""What does one refusal mean, by our rules and the network's word, and which codes does nobody know? Certainty is the wire's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from payments.decisions import DUPLICATE_OF_OTHER
from payments.declines import Advice, NextStep, advice_on, with_choice
from payments.facts import Fact, FactKind
from payments.gateways.registry import get_adapter
from payments.models import Attempt, DeclineRule, Operation, UnmappedCode
from payments.network_rules import advise, applied
from payments.states import Certainty, FailureClass, Source

_MEANS_SOMETHING = frozenset({Certainty.REFUSED, Certainty.NOT_SENT})
_GATEWAYS = frozenset({Source.ANSWER, Source.LOOK_UP, Source.WEBHOOK})  # our own steps carry codes of ours
_TELLS_CODES = frozenset({FactKind.DECLINED, FactKind.NOT_SENT})


def classified(fact: Fact, provider: str, brand: str = "") -> Fact:
    """The fact as it counts here: our rule on its code over the sheet's class, then the network's word over both.

    `brand` is the card's, empty if nobody told it. Certainty is never changed; a fact whose outcome is unknown, that tells
    of money or that has no class comes back as it was. Writes nothing.
    """
    if fact.failure_class is None or fact.kind == FactKind.DUPLICATE or fact.certainty not in _MEANS_SOMETHING:
        return fact
    rule = _rule(provider, fact.code)
    failure_class, wait = fact.failure_class, _wait_told(fact, provider)
    if rule is not None:
        failure_class = FailureClass(rule.failure_class)
        wait = rule.retry_after_seconds if rule.retry_after_seconds is not None else wait
    if fact.certainty == Certainty.REFUSED:
        told = advise(brand, fact.network_code, fact.network_advice, fact.gateway_advice)
        failure_class = applied(failure_class, told)
        if told.retry_after is not None:
            wait = max(wait or 0, int(told.retry_after.total_seconds()))
    return replace(fact, failure_class=failure_class, retry_after_seconds=wait)


def _wait_told(fact: Fact, provider: str) -> int | None:
    """What the fact says, else the sheet: a look-up or webhook may tell the code and leave the wait to the reader."""
    if fact.retry_after_seconds is not None:
        return fact.retry_after_seconds
    meaning = get_adapter(provider).codes.get(fact.code)
    return meaning.retry_after_seconds if meaning else None


def advice_for(operation: Operation, provider: str) -> Advice:
    """What follows from an operation's refusal, with people's own step and wording for its code.

    Raises: ValueError if it took money. Writes nothing.
    """
    failure_class = FailureClass(operation.failure_class or FailureClass.UNKNOWN)
    certainty = Certainty(operation.certainty or Certainty.UNKNOWN)
    advice = advice_on(failure_class, certainty)
    if certainty == Certainty.UNKNOWN:
        return advice
    rule = _rule(provider, operation.code)
    if rule is not None:
        advice = with_choice(failure_class, step=rule.next_step, wording=rule.payer_wording)
    if certainty == Certainty.REFUSED and _forbidden(operation):
        return Advice((NextStep.NEVER_AGAIN,), advice.payer_wording)
    return advice


def words_for_payer(attempt: Attempt) -> str:
    """What the payer may read of a refused attempt: the rule's words for its code, else those of its class."""
    rule = _rule(attempt.gateway_account.provider, attempt.code)
    failure_class = FailureClass(attempt.failure_class or FailureClass.UNKNOWN)
    return with_choice(failure_class, wording=rule.payer_wording if rule else "").payer_wording


def _forbidden(operation: Operation) -> bool:
    """Does the network forbid another try, whatever a rule may say today?"""
    told = (operation.network_code, operation.network_advice, operation.gateway_advice)
    return any(told) and advise(operation.payment.method.brand, *told).never


def _rule(provider: str, code: str) -> DeclineRule | None:
    return DeclineRule.objects.filter(provider=provider, code=code).first() if code else None


def note_unmapped(operation: Operation, fact: Fact, now: datetime) -> None:
    """Count a refusal whose code neither the sheet nor a rule knows, with its money and this operation as the sample.

    Call it last in the fact's transaction: it locks one row of the code. Unknown outcomes are not counted before a look-up
    has proven the refusal, and one operation not twice in a row. Writes: UnmappedCode.
    """
    provider = operation.gateway_account.provider
    if not fact.code or fact.kind not in _TELLS_CODES or fact.source not in _GATEWAYS:
        return
    if fact.code == DUPLICATE_OF_OTHER or fact.code in get_adapter(provider).codes:
        return
    if _rule(provider, fact.code) is not None:
        return
    with transaction.atomic():
        UnmappedCode.objects.get_or_create(
            provider=provider, code=fact.code[:60], defaults={"first_seen_at": now, "last_seen_at": now}
        )
        row = UnmappedCode.objects.select_for_update().get(provider=provider, code=fact.code[:60])
        if row.sample_id == operation.pk:
            return
        row.seen += 1
        row.money[operation.currency] = row.money.get(operation.currency, 0) + operation.amount_minor
        row.sample, row.last_seen_at, row.message = operation, now, fact.message[:300]
        row.save()
