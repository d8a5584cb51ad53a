"""How do gateways' messages become facts? Stored once at the door, drained by workers, replayed by people."""

from payments.services.inbox.back_fill import BackFilled, GatewayDidNotAnswer, back_fill
from payments.services.inbox.drain import Drained, drain_inbox
from payments.services.inbox.replay import (
    FactPreview,
    ReplayPreview,
    ReplayResult,
    preview_replay,
    preview_replays,
    replay_event,
    replay_events,
)
from payments.services.inbox.store import BAD_SIGNATURE_RUN, Receipt, Received, receive_event, store_event

__all__ = [
    "BAD_SIGNATURE_RUN",
    "BackFilled",
    "Drained",
    "FactPreview",
    "GatewayDidNotAnswer",
    "Receipt",
    "Received",
    "ReplayPreview",
    "ReplayResult",
    "back_fill",
    "drain_inbox",
    "preview_replay",
    "preview_replays",
    "receive_event",
    "replay_event",
    "replay_events",
    "store_event",
]
