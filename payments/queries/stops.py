"""Is sending stopped or a gateway paused, by whom and why? Banners above every page, and what the stop page shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from console.values import Banner, Chip, Shown, Tone
from payments.models import GatewayAccount, HealthEvent, Switch

MOST_EVENTS = 15
_MOST_PAUSED = 5
_EFFECTS = {
    Switch.Kind.CHARGES: (
        "No new charge begins. Captures, voids, refunds and look-ups go on; new payments wait and lose nothing."
    ),
    Switch.Kind.EVERYTHING: (
        "No call at all is sent to any gateway. Webhooks are still received; what is under way is followed up later."
    ),
}


@dataclass(frozen=True, slots=True)
class SwitchState:
    """One of the two switches as it stands; `thrown` None: it is not thrown."""

    kind: str
    title: str
    effect: str
    chip: Chip
    thrown: Switch | None


def switch_states() -> list[SwitchState]:
    """Both switches, the milder first."""
    thrown = {switch.kind: switch for switch in Switch.objects.filter(lifted_at=None)}
    return [_state(kind, thrown.get(kind)) for kind in (Switch.Kind.CHARGES, Switch.Kind.EVERYTHING)]


def open_switch(kind: str) -> Switch | None:
    """The switch of this kind that is thrown now."""
    return Switch.objects.filter(kind=kind, lifted_at=None).first()


def effect_of(kind: str) -> str:
    """What stopping this does, in a sentence."""
    return _EFFECTS[Switch.Kind(kind)]


def _state(kind: Switch.Kind, thrown: Switch | None) -> SwitchState:
    running = Chip("running", Tone.GOOD, "play_circle")
    stopped = Chip("stopped", Tone.BAD if kind == Switch.Kind.EVERYTHING else Tone.WARN, "front_hand")
    return SwitchState(kind, str(kind.label).capitalize(), _EFFECTS[kind], stopped if thrown else running, thrown)


def events(account: GatewayAccount) -> list[tuple[Shown, ...]]:
    """The newest lines of the account's history of pauses and breakers."""
    rows = account.health_events.order_by("-id")[:MOST_EVENTS]
    return [(row.at, _what(row), row.because, row.actor or "by itself") for row in rows]


def _what(row: HealthEvent) -> Chip:
    good = row.what.startswith("resumed") or row.what == "breaker closed"
    if good:
        return Chip(row.what, Tone.GOOD, "play_circle")
    if row.what == "breaker half open":
        return Chip(row.what, Tone.INFO, "sync_alt")
    return Chip(row.what, Tone.WARN, "front_hand")


def switch_banner(request: HttpRequest) -> Banner | None:
    """Who stopped sending, why and since when: red for everything, amber for new charges. For everybody at the admin."""
    switch = Switch.objects.filter(lifted_at=None).order_by("-kind").first()
    if switch is None:
        return None
    everything = switch.kind == Switch.Kind.EVERYTHING
    what = "All sending is" if everything else "New charges are"
    text = f"{what} stopped since {_since(switch.thrown_at)} by {switch.thrown_by}: {switch.because}"
    return Banner(text, Tone.BAD if everything else Tone.WARN, "front_hand")


def pause_banner(request: HttpRequest) -> Banner | None:
    """Which gateway accounts a person has paused."""
    paused = list(GatewayAccount.objects.exclude(paused_at=None).order_by("paused_at", "slug")[: _MOST_PAUSED + 1])
    told = [
        f"{account.name} is paused since {_since(account.paused_at)} by {account.paused_by}: {account.paused_because}"
        for account in paused[:_MOST_PAUSED]
    ]
    if not told:
        return None
    more = " And more, see Gateway accounts." if len(paused) > _MOST_PAUSED else ""
    return Banner("; ".join(told) + more, Tone.WARN, "pause_circle")


def _since(at: datetime | None) -> str:
    return f"{at:%d %b %H:%M} UTC" if at else "now"
