"""What did the caller send? Form encoding with nested names, read with types; every refusal names its parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from simulator.stripe.errors import invalid, missing_parameter

Nested = dict[str, Any]
_MOST_KEYS, _LONGEST_KEY, _LONGEST_VALUE = 50, 40, 500
_YES_NO = {"true": True, "false": False}


def decode(text: str) -> Nested:
    """`metadata[a]=1&expand[]=x` as `{"metadata": {"a": "1"}, "expand": {"0": "x"}}`. Raises: ApiError."""
    tree: Nested = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        *path, leaf = name.replace("]", "").split("[")
        branch = tree
        for key in path:
            branch = branch.setdefault(_key(branch, key), {})
            if not isinstance(branch, dict):
                raise invalid("Invalid object", key)
        if isinstance(branch.get(leaf), dict):
            raise invalid(f"Invalid {leaf}", leaf)
        branch[_key(branch, leaf)] = value
    return tree


def _key(branch: Nested, key: str) -> str:
    """A name, or for `[]` the next number."""
    return key or str(len(branch))


class Params:
    """Readers over one request's parameters. `prefix` names where a nested one stands."""

    def __init__(self, tree: Mapping[str, Any], prefix: str = "") -> None:
        self.tree = tree
        self._prefix = prefix

    def __contains__(self, name: str) -> bool:
        return name in self.tree

    def allow(self, *names: str) -> None:
        """Raises: ApiError for any other."""
        for name in self.tree:
            if name not in (*names, "expand"):
                raise invalid(f"Received unknown parameter: {name}", self._named(name), "parameter_unknown")

    def text(self, name: str, default: str = "") -> str:
        value = self.tree.get(name, default)
        if not isinstance(value, str):
            raise invalid("Invalid string", self._named(name))
        return value

    def required(self, name: str) -> str:
        if not self.text(name):
            raise missing_parameter(self._named(name))
        return self.text(name)

    def whole(self, name: str) -> int | None:
        """A whole number, None when absent."""
        text = self.text(name)
        if name not in self.tree:
            return None
        if not text.removeprefix("-").isdecimal():
            raise invalid(f"Invalid integer: {text}", self._named(name), "parameter_invalid_integer")
        return int(text)

    def flag(self, name: str, *, default: bool = False) -> bool:
        text = self.text(name)
        if name not in self.tree or text == "":
            return default
        if text not in _YES_NO:
            raise invalid(f"Invalid boolean: {text}", self._named(name))
        return _YES_NO[text]

    def choice(self, name: str, choices: Iterable[str], default: str = "") -> str:
        text = self.text(name) or default
        if text and text not in choices:
            listed = ", ".join(choices)
            raise invalid(f"Invalid {name}: must be one of {listed}", self._named(name))
        return text

    def inside(self, name: str) -> Params:
        """The parameters nested below a name; empty ones when it is absent."""
        value = self.tree.get(name) or {}
        if not isinstance(value, dict):
            raise invalid("Invalid object", self._named(name))
        return Params(value, self._named(name))

    def items(self, name: str) -> list[str]:
        """The values of a list, in order."""
        value = self.tree.get(name) or {}
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise invalid("Invalid array", self._named(name))
        return list(value.values())

    def metadata(self) -> dict[str, str]:
        given = self.inside("metadata").tree
        if len(given) > _MOST_KEYS:
            raise invalid(f"Metadata may have up to {_MOST_KEYS} keys.", "metadata")
        for key, value in given.items():
            if not isinstance(value, str) or len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
                raise invalid(
                    f"Metadata keys have up to {_LONGEST_KEY} characters, values {_LONGEST_VALUE}.", f"metadata[{key}]"
                )
        return dict(given)

    def _named(self, name: str) -> str:
        return f"{self._prefix}[{name}]" if self._prefix else name
