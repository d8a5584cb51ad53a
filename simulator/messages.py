"""What do a request and an answer look like, free of sockets? Frozen values; no input or output here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl


class ControlError(Exception):
    """A control request that cannot be carried out: names the field at fault and what would be right."""

    def __init__(self, field_name: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.field_name = field_name
        self.message = message
        self.status = status


class Ending(StrEnum):
    """How the exchange ends on the socket."""

    SEND = "send"  # the answer is sent
    CUT = "cut"  # the connection is closed without one byte of answer
    RESET = "reset"  # the connection is torn down (RST)
    HANG = "hang"  # nothing is sent until the client leaves, 60 s at most


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `path` is what follows the gateway's own prefix. Header names are lower case.

    Of repeated names `query` has the last; `raw_query` has them all.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw_query: str = ""

    def form(self) -> dict[str, str]:
        """The urlencoded body; of repeated names the last one counts, as PHP reads it."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def json(self) -> dict[str, Any]:
        """The JSON object in the body. Raises: ControlError when it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise ControlError("body", f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise ControlError("body", "the body must be a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer and how it ends; `delay_seconds` is waited before it is sent, `headers` go beside type and length."""

    body: bytes = b""
    status: int = 200
    content_type: str = "text/html; charset=UTF-8"
    ending: Ending = Ending.SEND
    delay_seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = 200) -> Answer:
    """An answer of the control interface."""
    return Answer((json.dumps(value, ensure_ascii=False) + "\n").encode(), status, "application/json")
