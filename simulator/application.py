"""Which gateways are played, and where do requests go? Builds the whole simulator out of its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from simulator.clock import Agenda, SimulatedClock
from simulator.control import Control
from simulator.convesiopay.gateway import ConvesioPayGateway
from simulator.faults import FaultBoard
from simulator.gateway import Gateway, World
from simulator.messages import Answer, Request
from simulator.nmi.gateway import NmiGateway
from simulator.reports.stripe_books import keep_books
from simulator.reports.wire import ReportDesk
from simulator.stripe.gateway import StripeGateway
from simulator.transport import html_page
from simulator.webhooks import RetryPlan, WebhookSender

DEMO_HMAC_KEY = "64656d6f2d636f6e766573696f7061792d686d61632d6b6579"  # hexadecimal, as this gateway hands its keys out


@dataclass(frozen=True, slots=True)
class Settings:
    """`webhooks`: base URL, empty to send none. `settle_every`: simulated seconds between batches, 0 for never.

    `behind_seconds`: how far in the past the gateways' clock starts.
    """

    webhooks: str = ""
    seed: int = 7
    settle_every: float = 0.0
    retries: RetryPlan = field(default_factory=RetryPlan)
    environment: Mapping[str, str] = field(default_factory=dict)
    behind_seconds: float = 0.0


def build_application(settings: Settings) -> Callable[[Request], Answer]:
    """The function that answers every request."""
    clock = SimulatedClock(settings.behind_seconds)
    sender = WebhookSender(clock, settings.webhooks, settings.retries)
    world = World(clock, Agenda(clock), FaultBoard(settings.seed), sender, Agenda(clock, name="calendar"))
    nmi = NmiGateway(
        world,
        settings.environment.get("GATEWAY_NMI_SECURITY_KEY") or "demo-nmi-security-key",
        settings.environment.get("GATEWAY_NMI_WEBHOOK_SECRET") or "demo-nmi-webhook-secret",
    )
    convesiopay = ConvesioPayGateway(
        world,
        settings.environment.get("GATEWAY_CONVESIOPAY_SECRET") or "demo-convesiopay-secret",
        settings.environment.get("GATEWAY_CONVESIOPAY_WEBHOOK_SECRET") or DEMO_HMAC_KEY,
    )
    stripe = StripeGateway(
        world,
        settings.environment.get("GATEWAY_STRIPE_SECRET_KEY") or "sk_test_demo",
        settings.environment.get("GATEWAY_STRIPE_WEBHOOK_SECRET") or "whsec_demo",
    )
    gateways: dict[str, Gateway] = {nmi.name: nmi, convesiopay.name: convesiopay, stripe.name: stripe}
    if settings.settle_every:
        _settle_again_and_again(Agenda(clock, name="settlement"), gateways, settings.settle_every)
    reports = ReportDesk(lambda made: stripe.fill(lambda store: keep_books(made, store)))
    control = Control(world, gateways, reports)

    def route(request: Request) -> Answer:
        head, slash, rest = request.path.lstrip("/").partition("/")
        inner = replace(request, path=slash + rest)
        if head == "_control":
            return control.handle(inner)
        return gateways[head].handle(inner) if head in gateways else html_page("404 Not Found", 404)

    return route


def _settle_again_and_again(agenda: Agenda, gateways: Mapping[str, Gateway], seconds: float) -> None:
    """All gateways, on an agenda of its own, which reset does not clear."""

    def settle() -> None:
        agenda.after(seconds, settle)
        for gateway in gateways.values():
            gateway.settle_all()

    agenda.after(seconds, settle)
