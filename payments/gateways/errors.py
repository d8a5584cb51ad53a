"""How can a call across the boundary fail to give an answer? Three errors; certainty is part of their type."""

from __future__ import annotations


class GatewayError(Exception):
    """Base of what `http.send` and the adapters raise. Its text is for people; `raw` is what the machine said, if it did."""

    def __init__(self, words: str = "", *, raw: str = "") -> None:
        super().__init__(words)
        self.raw = raw[:200]


class NotSent(GatewayError):
    """The gateway provably got nothing: no name, refused connection, failed TLS, send_before passed before the first byte."""


class NotTried(NotSent):
    """Nothing was sent by our own doing: it says nothing of the gateway's health."""


class OutcomeUnknown(GatewayError):
    """At least one byte may have left, and no whole answer came back. Only a look-up can tell."""


class Unreadable(GatewayError):
    """A signed message whose content is not of this gateway's form; it is parked for a person, never dropped."""
