"""How does a person work on a break and end it? Command pages and buttons, each one service call, bound to its version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from console.commands import CommandCall, CommandPage, Frame
from console.links import link_to
from console.values import Amount, KeyValue, Outcome, Preview, Shown, Tone
from ledger.queries import EntryView
from payments.admin.payment_commands import describe_conflict
from payments.errors import Conflict, PaymentsError
from payments.services.actors import Actor
from reconciliation.admin.break_forms import (
    FORMS,
    EvidenceForm,
    FixForm,
    GiveForm,
    NoteForm,
    SnoozeForm,
    answers_of,
    morning_of,
)
from reconciliation.fixes import BULK_FIXES, Fix
from reconciliation.models import Break, StatementAccount
from reconciliation.queries.break_words import fix_words, kind_words, state_chip
from reconciliation.services import desk
from reconciliation.services.resolutions.base import Command
from reconciliation.services.resolutions.bulk import BulkWish, breaks_of_cause, preview_bulk, resolve_bulk
from reconciliation.services.resolutions.commanding import Done, Wish, preview, resolve
from reconciliation.services.resolutions.registry import COMMANDS

COLUMNS = ("Account", "Kept for", "Debit", "Credit")
BULK_COLUMNS = ("Break", "Day", "Difference", "Value")


def url_of(broken: Any) -> str:
    """Where a break's page is."""
    return reverse("admin:reconciliation_break_change", args=(broken.public_id,))


def _facts(broken: Break) -> list[KeyValue]:
    lines = [
        KeyValue("Break", kind_words(broken.kind), broken.because),
        KeyValue("State", state_chip(broken, timezone.now())),
        KeyValue("Account", broken.account.name),
    ]
    if broken.currency:
        lines.append(KeyValue("Difference of the balance", Amount(broken.difference_minor, broken.currency)))
        lines.append(KeyValue("Value at risk", Amount(broken.value_minor, broken.currency)))
    return lines


def _page(name: str, title: str, intro: str, button: str, **more: Any) -> CommandPage:
    return CommandPage(
        name=name, title=title, intro=intro, button=button, refusals=(PaymentsError,), conflicts=(Conflict,),
        describe_conflict=describe_conflict, **{"facts": _facts, "return_to": url_of, **more},
    )  # fmt: skip


# --- the fixes --------------------------------------------------------------------------------------------------------


def fix_page(command: Command) -> CommandPage:
    """Build the three screens of one way out."""
    return _page(
        f"fix_{command.fix.value}",
        command.label,
        f"{command.explanation} The preview is the fix itself, carried out and taken back.",
        command.label,
        form=FORMS.get(command.fix, FixForm),
        preview=lambda call: _preview(command, call),
        execute=lambda call: _execute(command, call),
    )


def _wish(command: Command, call: CommandCall) -> Wish:
    broken: Break = call.subject
    gateway = broken.account.slug if broken.account.kind == StatementAccount.Kind.GATEWAY else ""
    return Wish(
        command=command.fix.value,
        answers=answers_of(call.answers, broken.currency, gateway),
        reason=call.answers["reason"],
        note=call.answers["note"],
        version=int(call.version or broken.version),
        request_id=call.request_id,
    )


def _preview(command: Command, call: CommandCall) -> Preview:
    shown = preview(call.subject.public_id, _wish(command, call), actor=Actor.for_user(call.actor), clock=timezone.now)
    residual = {currency: minor for currency, minor in shown.residual.items() if minor}
    rest: Shown = "0: nothing of it stays unexplained"
    if residual:
        currency, minor = next(iter(residual.items()))
        rest = Amount(minor, currency)
    return Preview(
        summary=f"{command.label}.",
        facts=[
            *(KeyValue("And then" if number else "What follows", text) for number, text in enumerate(shown.effects)),
            KeyValue("Residual afterwards", rest),
            KeyValue("Who", "You and a second person" if shown.second_person else "You may do this alone."),
        ],
        columns=COLUMNS if shown.entries else (),
        rows=entry_rows(shown.entries),
        warnings=[f"{shown.second_person} Confirming asks a second person."] if shown.second_person else [],
        version=str(shown.version),
    )


def entry_rows(entries: tuple[EntryView, ...]) -> list[tuple[Shown, ...]]:
    """Each posting with debit and credit apart; accounts as text, for those that are new were taken back again."""
    return [
        (
            f"{line.ref.code} {line.account_name}",
            line.ref.gateway or line.ref.customer,
            Amount(line.debit_minor, line.ref.currency) if line.debit_minor else "",
            Amount(line.credit_minor, line.ref.currency) if line.credit_minor else "",
        )
        for entry in entries
        for line in sorted(entry.lines, key=lambda line: line.amount_minor < 0)
    ]


def _execute(command: Command, call: CommandCall) -> Outcome:
    done = resolve(call.subject.public_id, _wish(command, call), actor=Actor.for_user(call.actor), clock=timezone.now)
    return outcome_of(done, url_of(call.subject))


def outcome_of(done: Done, url: str) -> Outcome:
    """The sentence for the person: resolved, or a second person is asked."""
    if done.approval is not None:
        address = reverse("admin:payments_approval_change", args=(done.approval.public_id,))
        return Outcome("A second person has to agree to it now.", address, Tone.WARN)
    assert done.resolution is not None
    return Outcome(f"Resolved: {fix_words(done.resolution.command)}.", url)


FIX_PAGES = {fix: fix_page(command) for fix, command in COMMANDS.items()}


# --- several of one cause ---------------------------------------------------------------------------------------------


def bulk_page(command: Command) -> CommandPage:
    """Build the three screens of one way out over all open breaks of one cause."""
    return _page(
        f"bulk_{command.fix.value}",
        f"{command.label}: all of this cause",
        "One request over exactly the breaks listed in the preview. Each is ended or refused on its own, with its outcome.",
        "End all of them",
        form=FORMS.get(command.fix, FixForm),
        preview=lambda call: _preview_bulk(command, call),
        execute=lambda call: _execute_bulk(command, call),
        facts=_cause_facts,
    )


def _cause_facts(broken: Break) -> list[KeyValue]:
    rows = breaks_of_cause(broken.public_id)
    lines = [
        KeyValue("Cause", broken.cause.replace("_", " "), kind_words(broken.kind)),
        KeyValue("Open breaks", f"{len(rows):,}"),
    ]
    if broken.currency:
        lines.append(KeyValue("Value at risk", Amount(sum(row.value_minor for row in rows), broken.currency)))
    return lines


def _bulk_wish(command: Command, call: CommandCall, versions: dict[str, int]) -> BulkWish:
    answers = answers_of(call.answers, call.subject.currency)
    return BulkWish(command.fix.value, answers, call.answers["reason"], call.answers["note"], versions, call.request_id)


def _versions(broken: Break) -> dict[str, int]:
    return {row.public_id: row.version for row in breaks_of_cause(broken.public_id)}


def _preview_bulk(command: Command, call: CommandCall) -> Preview:
    rows = breaks_of_cause(call.subject.public_id)
    wish = _bulk_wish(command, call, {row.public_id: row.version for row in rows})
    lines, why = preview_bulk(call.subject.public_id, wish, actor=Actor.for_user(call.actor), now=call.now)
    ids = {row.public_id for row in rows}
    return Preview(
        summary=f"{command.label}, for {len(rows):,} breaks.",
        facts=[
            *(KeyValue(label, value) for label, value in lines if label not in ids),
            KeyValue("Who", why or "You may do this alone."),
        ],
        columns=BULK_COLUMNS,
        rows=[
            (
                link_to(row.public_id),
                f"{row.day:%d %b %Y}",
                Amount(row.difference_minor, row.currency) if row.currency else "",
                Amount(row.value_minor, row.currency) if row.currency else "",
            )
            for row in rows
        ],
        warnings=[f"{why} Confirming asks a second person."] if why else [],
        version=_packed(wish.versions),
    )


def _packed(versions: Any) -> str:
    """The breaks and versions that were shown, sealed with the preview: what came meanwhile is not ended by it."""
    return " ".join(f"{public_id}:{version}" for public_id, version in sorted(versions.items()))


def _execute_bulk(command: Command, call: CommandCall) -> Outcome:
    versions = {pair.rpartition(":")[0]: int(pair.rpartition(":")[2]) for pair in call.version.split()}
    wish = _bulk_wish(command, call, versions)
    done = resolve_bulk(call.subject.public_id, wish, actor=Actor.for_user(call.actor), clock=timezone.now)
    if done.approval is not None:
        address = reverse("admin:payments_approval_change", args=(done.approval.public_id,))
        return Outcome("A second person has to agree to it now.", address, Tone.WARN)
    assert done.header is not None
    outcomes = done.header.effects["outcomes"]
    ended = sum(1 for _, ok, _ in outcomes if ok)
    address = reverse("admin:reconciliation_resolution_change", args=(done.header.public_id,))
    tone = Tone.GOOD if ended == len(outcomes) else Tone.WARN
    return Outcome(f"{ended:,} of {len(outcomes):,} breaks are ended.", address, tone)


BULK_PAGES = {fix: bulk_page(COMMANDS[fix]) for fix in Fix if fix in BULK_FIXES}


# --- working on it ----------------------------------------------------------------------------------------------------


def take(request: HttpRequest, broken: Break) -> HttpResponse:
    """A button: it is mine."""
    return _pressed(request, broken, desk.take, "It is yours now.")


def release(request: HttpRequest, broken: Break) -> HttpResponse:
    """A button: it is everybody's again."""
    return _pressed(request, broken, desk.release, "It is everybody's again.")


def _pressed(request: HttpRequest, broken: Break, call: Any, said: str) -> HttpResponse:
    try:
        version = int(request.POST.get("version", broken.version))
        call(broken.public_id, version=version, actor=Actor.for_user(request.user), now=timezone.now())  # type: ignore[arg-type]
    except (PaymentsError, ValueError) as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, said)
    return HttpResponseRedirect(url_of(broken))


def _say(call: CommandCall, summary: str, *facts: KeyValue) -> Preview:
    return Preview(summary=summary, facts=list(facts), version=str(call.subject.version))


def _preview_snooze(call: CommandCall) -> Preview:
    until = morning_of(call.answers["until"])
    return _say(
        call, "It leaves the queue until then. Nothing is booked.", KeyValue("Comes back", until),
        KeyValue("Why", call.answers["because"]),
    )  # fmt: skip


def _execute_snooze(call: CommandCall) -> Outcome:
    desk.snooze(
        call.subject.public_id, until=morning_of(call.answers["until"]), because=call.answers["because"],
        version=int(call.version), actor=Actor.for_user(call.actor), now=call.now,
    )  # fmt: skip
    return Outcome("Snoozed.", url_of(call.subject))


def _execute_give(call: CommandCall) -> Outcome:
    desk.give(
        call.subject.public_id, to=call.answers["to"], version=int(call.version), actor=Actor.for_user(call.actor),
        now=call.now,
    )  # fmt: skip
    return Outcome(f"It is {call.answers['to']}'s now.", url_of(call.subject))


def _execute_note(call: CommandCall) -> Outcome:
    desk.add_note(call.subject.public_id, call.answers["text"], actor=Actor.for_user(call.actor), now=call.now)
    return Outcome("The note is kept.", url_of(call.subject))


SNOOZE = _page(
    "snooze", "Snooze", "For what waits for somebody else. It comes back by itself.", "Snooze",
    form=SnoozeForm, preview=_preview_snooze, execute=_execute_snooze,
)  # fmt: skip
GIVE = _page(
    "give", "Give it to somebody", "They find it among their own.", "Give it", form=GiveForm,
    preview=lambda call: _say(call, "Another person looks into it.", KeyValue("To", call.answers["to"])),
    execute=_execute_give,
)  # fmt: skip
NOTE = _page(
    "note", "Add a note", "What you found, for whoever reads it next.", "Keep the note", form=NoteForm,
    preview=lambda call: _say(call, "This is kept for ever.", KeyValue("Note", call.answers["text"])),
    execute=_execute_note,
)  # fmt: skip


class EvidencePage(CommandPage):
    """Form and done: a file can not be kept between a preview and its confirmation."""

    def respond(self, request: HttpRequest, admin: Frame, subject: Any, now: datetime) -> HttpResponse:
        """Answer a GET with the form, a POST with the way back."""
        if request.method in ("GET", "HEAD"):
            return _evidence_form(request, admin, subject, EvidenceForm())
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
        form = EvidenceForm(request.POST, request.FILES)
        if getattr(request, "upload_too_large", False):
            form.errors["file"] = form.error_class(["The file is larger than 5 MB."])
        if not form.is_valid():
            return _evidence_form(request, admin, subject, form)
        file = form.cleaned_data["file"]
        try:
            desk.lay_evidence(
                subject.public_id, name=file.name, content=file.read(desk.MOST_BYTES + 1),
                actor=Actor.for_user(request.user), now=now,  # type: ignore[arg-type]
            )  # fmt: skip
        except PaymentsError as refusal:
            form.add_error("file", str(refusal))
            return _evidence_form(request, admin, subject, form)
        messages.success(request, f"{file.name} lies beside the break.")
        return HttpResponseRedirect(url_of(subject))


def _evidence_form(request: HttpRequest, admin: Frame, subject: Any, form: EvidenceForm) -> HttpResponse:
    context = {"title": EVIDENCE.title, "intro": EVIDENCE.intro, "form": form, "return_url": url_of(subject)}
    response = admin.page(request, "admin/reconciliation/break/evidence.html", context, subject)
    response.status_code = 422 if form.errors else 200
    return response


def _never(call: Any) -> Any:
    raise AssertionError("a file has neither preview nor confirmation")


EVIDENCE = EvidencePage(
    name="evidence",
    title="Add a file as evidence",
    intro="What proves it: a mail, a letter, a picture of the dashboard. It is kept as it is, with its digest.",
    button="Keep the file",
    form=EvidenceForm,
    preview=_never,
    execute=_never,
)
