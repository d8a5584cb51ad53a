"""Two people and a command to agree to: what most tests of approvals need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection

from config.services import make_staff
from payments.errors import NotAllowedNow, PaymentsError
from payments.models import Approval, PaymentMethod
from payments.services.actors import Actor
from payments.services.approvable import COMMANDS, Approvable
from payments.services.approvals import approve, ask_approval
from payments.services.calls import Clock as AnyClock
from tests.payments.factories import Clock

REASON = "the payer called and it was them"


def person(name: str, role: str = "finance") -> Actor:
    return Actor.for_user(make_staff(name, role, "pw"))


def method(**fields: Any) -> PaymentMethod:
    return PaymentMethod.objects.create(kind="card", brand="visa", last_four="4242", **fields)


class Lamp:
    """A command of the tests' own: its subject is a payment method whose brand is set, with every hook there is.

    `asked` and `heard` are what the hooks were told.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = f"paint_{id(self)}"
        self.asked: list[str] = []
        self.heard: list[str] = []
        self.refuses = ""
        self.breaks: Exception | None = None
        offered = Approvable(
            title="Paint it",
            right="payments.block_method",
            show=self.show,
            execute=self.execute,
            before=self.before,
            ended=self.ended,
            lives=timedelta(hours=2),
        )
        monkeypatch.setattr(sys.modules[__name__], self.name, offered, raising=False)
        monkeypatch.setitem(COMMANDS, self.name, f"{__name__}.{self.name}")

    def show(self, subject: str, arguments: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
        row = PaymentMethod.objects.get(public_id=subject)
        return [("Brand", row.brand), ("Digits", row.last_four), ("Becomes", arguments["brand"])]

    def execute(self, subject: str, arguments: Mapping[str, Any], **parts: Any) -> str:
        PaymentMethod.objects.filter(public_id=subject).update(brand=arguments["brand"])
        if self.refuses:
            raise NotAllowedNow(self.refuses)
        if self.breaks is not None:
            raise self.breaks
        return f"Painted for {parts['maker'].label}, agreed by {parts['checker'].label}."

    def before(self, subject: str, arguments: Mapping[str, Any], clock: AnyClock) -> None:
        self.asked.append(subject)

    def ended(self, subject: str, approval: Approval, now: datetime) -> None:
        self.heard.append(f"{subject} {approval.state}")

    def ask(self, maker: Actor, row: PaymentMethod, clock: Clock, brand: str = "green") -> Approval:
        return ask_approval(self.name, row.public_id, {"brand": brand}, reason=REASON, actor=maker, now=clock())


def agree(approval: Approval, checker: Actor, clock: Clock, *, digest: str = "") -> Approval:
    return approve(approval.public_id, digest=digest or approval.digest, note="", actor=checker, clock=clock)


def at_once(work: list[Callable[[], str]]) -> list[str]:
    """Each in a thread and connection of its own, started together; refusals as text."""
    gate, answers = Barrier(len(work)), [""] * len(work)

    def run(place: int) -> None:
        try:
            gate.wait(60)
            answers[place] = work[place]()
        except PaymentsError as refusal:
            answers[place] = f"{type(refusal).__name__}: {refusal.detail}"
        finally:
            connection.close()

    threads = [Thread(target=run, args=(place,)) for place in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert all(answers), answers
    return answers
