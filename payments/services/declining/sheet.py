"""What does every known code of every provider mean here? Each adapter's sheet with people's rules over it. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from payments.declines import Advice, advice_on, with_choice
from payments.gateways.base import CodeMeaning
from payments.gateways.registry import ADAPTERS, get_adapter
from payments.models import DeclineRule
from payments.states import Certainty, FailureClass


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code of one provider as it counts now. `rule_version` 0: nobody has said otherwise, the sheet's class holds."""

    provider: str
    code: str
    text: str
    failure_class: FailureClass
    certainty: Certainty
    advice: Advice
    sheet_class: FailureClass | None  # None: the code is on no sheet, people have classified it
    retry_after_seconds: int | None = None
    revokes: bool = False
    chosen_step: str = ""
    chosen_wording: str = ""
    chosen_wait: int | None = None
    rule_version: int = 0

    @property
    def pk(self) -> str:
        """What names it: provider and code."""
        return f"{self.provider}:{self.code}"

    def __str__(self) -> str:
        return f"{self.provider} {self.code}"


def providers() -> tuple[str, ...]:
    """Every provider that an adapter speaks for."""
    return tuple(sorted(ADAPTERS))


def known_codes() -> list[CodeRow]:
    """All of them, by provider and code: every sheet, and codes that only people know. One query."""
    rules = {(rule.provider, rule.code): rule for rule in DeclineRule.objects.all()}
    sheets: Mapping[str, Mapping[str, CodeMeaning]] = {name: get_adapter(name).codes for name in providers()}
    keys = {(name, code) for name, sheet in sheets.items() for code in sheet} | set(rules)
    return [_row(name, code, sheets.get(name, {}).get(code), rules.get((name, code))) for name, code in sorted(keys)]


def known_code(provider: str, code: str) -> CodeRow | None:
    """One of them, or None where neither a sheet nor a rule knows it."""
    rule = DeclineRule.objects.filter(provider=provider, code=code).first()
    meaning = get_adapter(provider).codes.get(code) if provider in ADAPTERS else None
    return _row(provider, code, meaning, rule) if meaning or rule else None


def _row(provider: str, code: str, meaning: CodeMeaning | None, rule: DeclineRule | None) -> CodeRow:
    # A code on no sheet is told as unknown by the wire, and proven a refusal by look-up before its class counts.
    certainty = meaning.certainty if meaning else Certainty.REFUSED
    failure_class = FailureClass(rule.failure_class) if rule else meaning.failure_class if meaning else None
    assert failure_class is not None
    advice = advice_on(failure_class, certainty)
    if rule and certainty != Certainty.UNKNOWN:
        advice = with_choice(failure_class, step=rule.next_step, wording=rule.payer_wording)
    wait = meaning.retry_after_seconds if meaning else None
    if rule and rule.retry_after_seconds is not None:
        wait = rule.retry_after_seconds
    return CodeRow(
        provider=provider,
        code=code,
        text=meaning.text if meaning else "",
        failure_class=failure_class,
        certainty=certainty,
        advice=advice,
        sheet_class=meaning.failure_class if meaning else None,
        retry_after_seconds=wait,
        revokes=bool(meaning and meaning.revokes),
        chosen_step=rule.next_step if rule else "",
        chosen_wording=rule.payer_wording if rule else "",
        chosen_wait=rule.retry_after_seconds if rule else None,
        rule_version=rule.version if rule else 0,
    )
