"""How does a model declare a machine? Typed wrappers around django-fsm-2, public ids, and CHECK constraints; no states here."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django.db import models
from django_fsm import FSMField, transition

P = ParamSpec("P")
R = TypeVar("R")

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no look-alikes: people read ids to each other


def new_public_id(prefix: str) -> str:
    """A random, prefixed, never re-issued id of about 99 bits."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(20))


def public_id_field(prefix: str) -> models.CharField[str, str]:
    return models.CharField(max_length=32, unique=True, editable=False, default=partial(new_public_id, prefix))


def state_field(initial: StrEnum, states: type[StrEnum]) -> models.CharField[str, str]:
    """A protected FSM field: only transitions move it."""
    choices = [(state.value, state.value.replace("_", " ")) for state in states]
    field: models.CharField[str, str] = FSMField(
        max_length=20, default=initial.value, choices=choices, protected=True, db_index=False
    )
    return field


def move(source: Iterable[StrEnum], target: StrEnum) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A typed `transition` of the field called `state`; its body must stay free of services, gateways, ORM and clock."""
    decorate: Any = transition(field="state", source=[state.value for state in source], target=target.value)
    return decorate  # type: ignore[no-any-return]


def states_check(name: str, states: type[StrEnum]) -> models.CheckConstraint:
    """The database refuses a value that is no state: the constructor and `update()` pass FSM's protection by."""
    return models.CheckConstraint(condition=models.Q(state__in=[state.value for state in states]), name=name)


def enum_choices(values: type[StrEnum]) -> list[tuple[str, str]]:
    return [(value.value, value.value.replace("_", " ")) for value in values]
