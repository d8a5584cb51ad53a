"""How does a person pause one gateway account, and resume it? Two commands with a preview and a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms

from console.commands import CommandCall, CommandPage
from console.values import KeyValue, Outcome, Preview, Tone
from payments import errors
from payments.admin.payment_forms import CommandForm
from payments.admin.switch import taken
from payments.models import GatewayAccount
from payments.services import switches
from payments.services.actors import Actor

Home = Callable[[Any], str]


class PauseForm(CommandForm):
    """Why; explanations of payments quote it."""

    reason = forms.CharField(max_length=200, help_text="Shown above every page, with your name.")


def pause_page(home: Home) -> CommandPage:
    """New payments go elsewhere until somebody resumes it; `home` is the account's page."""

    def preview(call: CommandCall) -> Preview:
        account: GatewayAccount = call.subject
        if account.paused_at is not None:
            raise errors.NotAllowedNow(f"{account.paused_by} has paused it already: {account.paused_because}")
        others = GatewayAccount.objects.filter(enabled=True, paused_at=None).exclude(pk=account.pk).exists()
        alone = (
            []
            if others
            else ["No other gateway account takes payments: new ones wait until somebody resumes it, or lapse."]
        )
        facts = [KeyValue("Reason", call.answers["reason"]), KeyValue("Shown as", call.actor.get_username())]
        return Preview(
            f"No new payment goes to {account.name}. Open ones are followed to their end.", facts, warnings=alone
        )

    def execute(call: CommandCall) -> Outcome:
        actor, reason = Actor.for_user(call.actor), call.answers["reason"]
        account = switches.pause_account(call.subject.slug, reason=reason, actor=actor, now=call.now)
        return Outcome(f"You paused {account.name}.", home(account), Tone.WARN)

    return _page("pause", "Pause this gateway account", "New payments go elsewhere meanwhile.", preview, execute, home)


def resume_page(home: Home) -> CommandPage:
    """New payments may go there again; `home` is the account's page."""

    def preview(call: CommandCall) -> Preview:
        account: GatewayAccount = call.subject
        if account.paused_at is None:
            raise errors.NotAllowedNow("It is not paused.")
        facts = [
            KeyValue("Paused by", account.paused_by),
            KeyValue("Paused", account.paused_at),
            KeyValue("Because", account.paused_because),
            KeyValue("Resumed because", call.answers["reason"]),
        ]
        return Preview(f"New payments may go to {account.name} again.", facts)

    def execute(call: CommandCall) -> Outcome:
        actor, reason = Actor.for_user(call.actor), call.answers["reason"]
        account = switches.resume_account(call.subject.slug, reason=reason, actor=actor, now=call.now)
        return Outcome(f"You resumed {account.name}.", home(account))

    return _page("resume", "Resume this gateway account", "Say why it is safe again.", preview, execute, home)


def _page(
    name: str,
    title: str,
    intro: str,
    preview: Callable[[CommandCall], Preview],
    execute: Callable[[CommandCall], Outcome],
    home: Home,
) -> CommandPage:
    return CommandPage(
        name, title, intro, name.capitalize(), PauseForm, preview, execute,
        refusals=(errors.PaymentsError,), conflicts=(errors.Conflict,), describe_conflict=taken,
        facts=lambda account: [KeyValue("Account", account.name)], return_to=home,
    )  # fmt: skip
