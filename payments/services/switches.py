"""Is sending stopped, by whom and why? Two switches for everything there is, and a pause for one gateway account."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from payments.card_numbers import has_card_number
from payments.errors import CardNumberRefused, Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.models import GatewayAccount, HealthEvent, Switch
from payments.services.actors import Actor

RIGHT = "payments.throw_switch"


def stopped_charges() -> str:
    """Why no new charge may begin: either switch does that. Empty: it may."""
    return _words(Switch.objects.filter(lifted_at=None).order_by("-kind").first())  # everything before charges


def stopped_everything() -> str:
    """Why no call at all may be sent. Empty: it may."""
    return _words(Switch.objects.filter(lifted_at=None, kind=Switch.Kind.EVERYTHING).first())


def _words(switch: Switch | None) -> str:
    if switch is None:
        return ""
    what = "All sending is" if switch.kind == Switch.Kind.EVERYTHING else "New charges are"
    return f"{what} stopped by {switch.thrown_by}: {switch.because}"


def throw_switch(kind: str, *, reason: str, actor: Actor, now: datetime) -> Switch:
    """Stop new charges, or everything.

    Raises: Forbidden; InvalidInput (kind, reason); Conflict naming who stopped it already. Idempotent on: kind, person and
    reason while it is thrown. Writes: the switch, a line of its history.
    """
    actor.require(RIGHT)
    because = _checked(reason, 300)
    if kind not in Switch.Kind.values:
        raise InvalidInput(f"There is no switch {kind!r}.", field="kind")
    try:
        with transaction.atomic():
            switch = Switch.objects.create(kind=kind, because=because, thrown_by=actor.label, thrown_at=now)
            _note(None, f"stopped {switch.get_kind_display()}", because, actor, now)
            return switch
    except IntegrityError:
        there = Switch.objects.filter(kind=kind, lifted_at=None).first()
    if there is not None and (there.thrown_by, there.because) == (actor.label, because):
        return there
    if there is None:
        raise _taken("Somebody", "stopped it and lifted it again at this moment")
    raise _taken(there.thrown_by, f"stopped it at {there.thrown_at:%H:%M} UTC: {there.because}")


def lift_switch(kind: str, *, reason: str, actor: Actor, now: datetime, seen: int | None = None) -> Switch:
    """Let sending go on. `seen`: the number of the switch the person looked at.

    Raises: Forbidden; InvalidInput (reason); NotAllowedNow if nothing was ever stopped; Conflict naming who lifted it, or
    who has thrown it anew since. Idempotent on: switch, person and reason. Writes: the switch, a line of its history.
    """
    actor.require(RIGHT)
    because = _checked(reason, 300)
    with transaction.atomic():
        switch = Switch.objects.select_for_update().filter(kind=kind).order_by("-id").first()
        if switch is None:
            raise NotAllowedNow("It is not stopped.")
        if seen is not None and switch.pk != seen:
            raise _taken(switch.thrown_by, f"stopped it anew at {switch.thrown_at:%H:%M} UTC: {switch.because}")
        if switch.lifted_at is not None:
            if (switch.lifted_by, switch.lifted_because) == (actor.label, because):
                return switch
            raise _taken(switch.lifted_by, f"lifted it at {switch.lifted_at:%H:%M} UTC: {switch.lifted_because}")
        switch.lifted_at, switch.lifted_by, switch.lifted_because = now, actor.label, because
        switch.save(update_fields=["lifted_at", "lifted_by", "lifted_because"])
        _note(None, f"resumed {switch.get_kind_display()}", because, actor, now)
        return switch


def pause_account(slug: str, *, reason: str, actor: Actor, now: datetime) -> GatewayAccount:
    """No new attempt goes to this account until it is resumed; open ones are followed to their end.

    Raises: Forbidden, NotFound, InvalidInput (reason), Conflict naming who paused it. Idempotent on: person and reason
    while it is paused. Writes: the account, a line of its history.
    """
    actor.require(RIGHT)
    because = _checked(reason, 200)
    with transaction.atomic():
        account = _locked(slug)
        if account.paused_at is not None:
            if (account.paused_by, account.paused_because) == (actor.label, because):
                return account
            what = f"paused it at {account.paused_at:%H:%M} UTC already: {account.paused_because}"
            raise _taken(account.paused_by, what)
        return _set_pause(account, now, because, actor, now)


def resume_account(slug: str, *, reason: str, actor: Actor, now: datetime) -> GatewayAccount:
    """New attempts may go to it again.

    Raises: Forbidden, NotFound, InvalidInput (reason), Conflict naming who resumed it. Writes: the account, a line of its
    history. Idempotent on: person and reason of the last resuming.
    """
    actor.require(RIGHT)
    because = _checked(reason, 200)
    with transaction.atomic():
        account = _locked(slug)
        if account.paused_at is not None:
            return _set_pause(account, None, because, actor, now)
        last = account.health_events.filter(what="resumed").first()
        if last is None:
            raise NotAllowedNow(f"{account.name} is not paused.")
        if (last.actor, last.because) == (actor.label, because):
            return account
        raise _taken(last.actor, f"resumed it at {last.at:%H:%M} UTC already: {last.because}")


def _set_pause(
    account: GatewayAccount, since: datetime | None, because: str, actor: Actor, now: datetime
) -> GatewayAccount:
    account.paused_at = since
    account.paused_by, account.paused_because = (actor.label, because) if since else ("", "")
    account.save(update_fields=["paused_at", "paused_by", "paused_because"])
    _note(account, "paused" if since else "resumed", because, actor, now)
    return account


def _locked(slug: str) -> GatewayAccount:
    account = GatewayAccount.objects.select_for_update().filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no gateway account {slug!r}.")
    return account


def _note(account: GatewayAccount | None, what: str, because: str, actor: Actor, now: datetime) -> None:
    HealthEvent.objects.create(gateway_account=account, at=now, what=what, because=because, actor=actor.label)


def _taken(who: str, what: str) -> Conflict:
    """Somebody was first: pages show who apart from what."""
    return Conflict(f"{who} {what}", who=who, what=what)


def _checked(reason: str, longest: int) -> str:
    """A reason that can be stored and shown. Raises: InvalidInput, CardNumberRefused."""
    text = " ".join(reason.split())
    if not text:
        raise InvalidInput("Say why: everybody will read it.", field="reason")
    if len(text) > longest:
        raise InvalidInput(f"The reason has {len(text)} characters; {longest} are the most.", field="reason")
    if has_card_number(text):
        raise CardNumberRefused("The reason looks like it holds a card number. Nothing was stored.", field="reason")
    return text
