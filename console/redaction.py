"""What of a raw message may a person see? Pure: hides secrets and card numbers in any shape they come in."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

HIDDEN = "••••"
_SECRET = re.compile(
    r"security_?key|secret|password|passwd|authori[sz]ation$|api_?key|access_?token|payment_?token|credential|cookie"
    r"|signature|cvv|cvc|cc_?exp|cc_?number|card_?number|account_?number|^token$|^pan$|private"
    # where the payer confirms and comes back to: who knows the address stands in their place
    r"|next_?action|redirect_?(?:to_?)?url|return_?url|action_?required",
    re.IGNORECASE,
)
# What can be charged again: hidden where it is an id; an object of that name says which card it was.
_STORED = re.compile(
    r"^payment_?method$|^customer$|customer_?vault|stored_?payment_?method|recurring_?detail_?reference", re.IGNORECASE
)
_CARD = re.compile(r"(?<![\w.])(?:\d[\s./_+-]{0,2}){12,18}\d(?![\w.])")
_PAIR = re.compile(r'"(?P<name>[^"\\]{1,80})"\s*:\s*"(?P<text>(?:[^"\\]|\\.)*)"')
_ELEMENT = re.compile(r"<(?P<name>[\w:.-]+)(?P<rest>[^>]*)>(?P<text>[^<]*)</(?P=name)>")


def redact(value: object) -> Any:
    """Return the value with secrets hidden and card numbers cut to their last four digits.

    Text is looked through as what it is: JSON becomes a structure, a form body a mapping, XML stays text with the
    secret elements hidden. Bytes that are no text are replaced by their length.
    """
    match value:
        case Mapping():
            return {
                str(k): HIDDEN if v and _is_secret(str(k), v) else redact(_nameless(str(k), v))
                for k, v in value.items()
            }
        case bytes() | bytearray() | memoryview():
            return _redact_bytes(bytes(value))
        case str():
            return _redact_text(value)
        case bool() | None | float():
            return value
        case int():
            return _hide_cards(str(value)) if _CARD.fullmatch(str(value)) else value
        case Sequence():
            return [redact(item) for item in value]
        case _:
            return _hide_cards(str(value))


def _is_secret(name: str, value: object) -> bool:
    return bool(_SECRET.search(name) or (isinstance(value, str | int) and _STORED.search(name)))


def _nameless(name: str, value: object) -> object:
    """What can be charged again, without its own id."""
    if isinstance(value, Mapping) and "id" in value and _STORED.search(name):
        return {**value, "id": HIDDEN}
    return value


def _redact_bytes(raw: bytes) -> Any:
    try:
        return _redact_text(raw.decode())
    except UnicodeDecodeError:
        return f"{len(raw)} bytes that are no text"


def _redact_text(text: str) -> Any:
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        return _redact_json(text, stripped)
    if stripped[:1] == "<":
        return _hide_cards(_ELEMENT.sub(_hide_element, text))
    if re.fullmatch(r"[\w.%+\[\]-]+=\S*", stripped) and "&" in stripped:
        return redact(dict(parse_qsl(stripped, keep_blank_values=True)))
    return _hide_cards(text)


def _redact_json(text: str, stripped: str) -> Any:
    """What cannot be looked through is not shown: it would be shown with its secrets."""
    try:
        return redact(json.loads(stripped))
    except json.JSONDecodeError:
        return _hide_cards(_PAIR.sub(_hide_pair, text))
    except (ValueError, RecursionError):
        return f"{len(text)} characters that could not be looked through for secrets"


def _hide_pair(found: re.Match[str]) -> str:
    if not found["text"] or not _is_secret(found["name"], found["text"]):
        return found[0]
    return f'{found[0][: found.start("text") - found.start()]}{HIDDEN}"'


def _hide_element(found: re.Match[str]) -> str:
    hidden = HIDDEN if found["text"].strip() and _is_secret(found["name"], found["text"]) else found["text"]
    return f"<{found['name']}{found['rest']}>{hidden}</{found['name']}>"


def _hide_cards(text: str) -> str:
    return _CARD.sub(_hide_card, text)


def _hide_card(found: re.Match[str]) -> str:
    """Judge by the Luhn sum alone: an id that happens to pass loses its digits on the page, a card never stays."""
    digits = [int(d) for d in found[0] if d.isdigit()]
    doubled = [d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(reversed(digits))]
    if sum(doubled) % 10:
        return found[0]
    return f"{HIDDEN}{''.join(map(str, digits[-4:]))}"
