"""Who says what a code means? One click classifies a code nobody knew; changing a known meaning takes two people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from payments.declines import NO_CHOICE, NextStep, steps_to_choose, with_choice
from payments.errors import Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.models import Approval, DeclineRule, DeclineRuleChange, UnmappedCode
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from payments.services.declining.sheet import CodeRow, known_code
from payments.states import Certainty, FailureClass

EDIT = "payments.edit_decline_rule"
CLASSIFY = "payments.classify_code"
LONGEST_WAIT_SECONDS = 30 * 86_400
CLASSES: tuple[FailureClass, ...] = tuple(name for name in FailureClass if name not in NO_CHOICE)
"""What people may say that a code means."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a code shall mean. No class: as its sheet says, the rule goes. Other empty fields: as the class says."""

    failure_class: str
    next_step: str = ""
    payer_wording: str = ""
    retry_after_seconds: int | None = None


def classify_code(provider: str, code: str, failure_class: str, *, actor: Actor, now: datetime) -> DeclineRule:
    """This function will give a code that nobody knew its class, at once.

    Raises: Forbidden, NotFound (nobody has met it), InvalidInput, Conflict (it means something else already).
    Idempotent on: provider, code and class. Writes: DeclineRule, its history, UnmappedCode.
    """
    actor.require(CLASSIFY)
    if failure_class not in CLASSES:
        raise InvalidInput(f"{failure_class!r} is no class that people can give.", field="failure_class")
    with transaction.atomic():
        heap = UnmappedCode.objects.select_for_update().filter(provider=provider, code=code).first()
        if heap is None:
            raise NotFound(f"No refusal has come with {provider} {code}.")
        known = known_code(provider, code)
        if known is not None and known.failure_class != failure_class:
            raise Conflict(f"{known} means {_words(known.failure_class)} already. Change it on its own page.")
        if known is None:
            _write(provider, code, Wanted(failure_class), actor.label, "", "Classified when it was met.", now)
        heap.classified_at = heap.classified_at or now
        heap.save(update_fields=["classified_at"])
        return DeclineRule.objects.get(provider=provider, code=code)


def ask_rule(
    provider: str, code: str, wanted: Wanted, *, version: int, reason: str, actor: Actor, now: datetime
) -> Approval:
    """This function will ask a second person to agree to another meaning of a known code.

    Raises: Forbidden, NotFound, InvalidInput naming the field, NotAllowedNow, Conflict (it changed since `version`, or
    somebody has asked). Idempotent as `ask_approval`. Writes: the approval.
    """
    actor.require(EDIT)
    row = _known(provider, code)
    if row.rule_version != version:
        raise Conflict(f"{row} was changed since you opened it. Look at it again.")
    check(row, wanted)
    return ask_approval(
        "change_decline_rule", subject_of(provider, code), asdict(wanted), reason=reason, actor=actor, now=now
    )


def subject_of(provider: str, code: str) -> str:
    """How an approval names a code."""
    return f"{provider}/{code}"


def check(row: CodeRow, wanted: Wanted) -> None:
    """Can this be said of the code at all? Raises: InvalidInput naming the field, NotAllowedNow."""
    if row.certainty == Certainty.UNKNOWN:
        raise NotAllowedNow(
            "After this code nobody knows whether money moved: it is always looked up, whatever its class."
        )
    if not wanted.failure_class:
        _check_going_back(row, wanted)
    elif wanted.failure_class not in CLASSES:
        raise InvalidInput(f"{wanted.failure_class!r} is no class that people can give.", field="failure_class")
    elif wanted.next_step and wanted.next_step not in steps_to_choose(FailureClass(wanted.failure_class)):
        allowed = ", ".join(sorted(_words(step) for step in steps_to_choose(FailureClass(wanted.failure_class))))
        raise InvalidInput(f"{_words(wanted.failure_class).capitalize()} allows: {allowed}.", field="next_step")
    wait = wanted.retry_after_seconds
    if wait is not None and not 0 <= wait <= LONGEST_WAIT_SECONDS:
        raise InvalidInput("At most 30 days.", field="retry_after_seconds")
    if wanted.payer_wording and not wanted.payer_wording.strip().endswith((".", "!", "?")):
        raise InvalidInput("The payer reads whole sentences: end it with a full stop.", field="payer_wording")
    if wanted == current(row) or (not row.rule_version and wanted == Wanted(row.sheet_class or "")):
        raise NotAllowedNow("Nothing is changed yet.")


def _check_going_back(row: CodeRow, wanted: Wanted) -> None:
    if row.sheet_class is None:
        raise InvalidInput("No sheet knows this code: it needs a class.", field="failure_class")
    if wanted != Wanted(""):
        raise InvalidInput("As the sheet says: then without a step, words or wait of your own.", field="failure_class")


def current(row: CodeRow) -> Wanted:
    """What people have said so far; a code nobody has touched means what its sheet says."""
    if not row.rule_version:
        return Wanted("")
    return Wanted(row.failure_class, row.chosen_step, row.chosen_wording, row.chosen_wait)


def _known(provider: str, code: str) -> CodeRow:
    row = known_code(provider, code)
    if row is None:
        raise NotFound(f"Nobody knows {provider} {code}.")
    return row


def _show(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    provider, code = subject.split("/", 1)
    row, wanted = _known(provider, code), Wanted(**arguments)
    check(row, wanted)
    return [
        ("Code", f"{provider} {code}" + (f", {row.text}" if row.text else "")),
        *lines_of(row, wanted),
        ("Version", str(row.rule_version)),
    ]


def lines_of(row: CodeRow, wanted: Wanted) -> list[Line]:
    """Now and then, for what would change."""
    before, after = current(row), wanted
    pairs = (
        ("Class", _class_words(row, before.failure_class), _class_words(row, after.failure_class)),
        ("Next step", _step_words(before.next_step), _step_words(after.next_step)),
        ("Payer reads", before.payer_wording or "as the class says", after.payer_wording or "as the class says"),
        ("Not tried again within", _wait_words(before), _wait_words(after)),
    )
    return [(label, f"{old} → {new}") for label, old, new in pairs if old != new]


def preview_rule(row: CodeRow, wanted: Wanted) -> tuple[list[Line], CodeRow]:
    """What would change, and the code as it would be then. Raises: InvalidInput naming the field, NotAllowedNow."""
    check(row, wanted)
    failure_class = FailureClass(wanted.failure_class or row.sheet_class or FailureClass.UNKNOWN)
    advice = with_choice(failure_class, step=wanted.next_step, wording=wanted.payer_wording)
    return lines_of(row, wanted), replace(row, failure_class=failure_class, advice=advice)


def _class_words(row: CodeRow, name: str) -> str:
    if name:
        return _words(name)
    return f"{_words(row.sheet_class)}, as the sheet says" if row.sheet_class else "none"


def _step_words(step: str) -> str:
    return _words(NextStep(step)) if step else "as the class says"


def _wait_words(wanted: Wanted) -> str:
    return "as the sheet says" if wanted.retry_after_seconds is None else f"{wanted.retry_after_seconds} seconds"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    provider, code = subject.split("/", 1)
    list(DeclineRule.objects.select_for_update().filter(provider=provider, code=code))
    row, wanted = _known(provider, code), Wanted(**arguments)
    if dict(approval.shown)["Version"] != str(row.rule_version):
        raise Conflict(f"{row} was changed at this moment.")
    check(row, wanted)
    _write(provider, code, wanted, maker.label, checker.label, approval.reason, now)
    return f"In force: {provider} {code} means {_class_words(row, wanted.failure_class)}."


def _write(provider: str, code: str, wanted: Wanted, actor: str, approved_by: str, reason: str, now: datetime) -> None:
    """The rule and its history, in the caller's transaction."""
    rule = DeclineRule.objects.filter(provider=provider, code=code).first()
    before: dict[str, Any] = _kept(rule) if rule else {}
    if not wanted.failure_class:
        DeclineRule.objects.filter(provider=provider, code=code).delete()
    else:
        rule = rule or DeclineRule(provider=provider, code=code)
        for name, value in asdict(wanted).items():
            setattr(rule, name, value)
        rule.version = _version(provider, code) + 1
        rule.save()
    DeclineRuleChange.objects.create(
        provider=provider,
        code=code,
        at=now,
        actor=actor[:100],
        approved_by=approved_by[:100],
        reason=reason[:300],
        before=before,
        after=asdict(wanted) if wanted.failure_class else {},
    )


def _version(provider: str, code: str) -> int:
    """Changes so far: it never goes back, not even when a rule has gone and another comes."""
    return DeclineRuleChange.objects.filter(provider=provider, code=code).count()


def _kept(rule: DeclineRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in asdict(Wanted(""))}


CHANGE_DECLINE_RULE = Approvable(title="Change what a decline code means", right=EDIT, show=_show, execute=_execute)
