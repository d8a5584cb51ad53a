"""Was everything planted found, and nothing else? Breaks beside labels, by type: planted, found, true; precision and recall."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.detecting.labels import Label, key_of
from reconciliation.models import Break, Run, StatementAccount
from reconciliation.queries.proof import currencies_of, proof
from reconciliation.queries.scope import scope_of
from reconciliation.states import OPEN_BREAK_STATES, BreakState


@dataclass
class Score:
    """Of one type. `told` is how many breaks there are, of which `true` are a label with its very money."""

    planted: int = 0
    told: int = 0
    true: int = 0

    @property
    def precision(self) -> float:
        return self.true / self.told if self.told else 1.0

    @property
    def recall(self) -> float:
        return self.true / self.planted if self.planted else 1.0

    @property
    def whole(self) -> bool:
        return self.planted == self.told == self.true

    def add(self, other: Score) -> None:
        self.planted, self.told, self.true = (
            self.planted + other.planted, self.told + other.told, self.true + other.true,
        )  # fmt: skip


@dataclass
class Verdict:
    """By type, and in sentences what is wrong."""

    scores: dict[str, Score] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def judge(labels: Iterable[Label]) -> Verdict:
    """Compare every break of the database, whatever became of it, with the labels: type, key, amounts and currency."""
    verdict, scores = Verdict(), defaultdict[str, Score](Score)
    planted = {label.place: label for label in labels}
    met: set[tuple[str, str, str]] = set()
    for label in planted.values():
        scores[label.type].planted += 1
    for broken in Break.objects.select_related("account", "line", "statement").order_by("id"):
        scores[broken.kind].told += 1
        place = (str(broken.kind), broken.account.slug, key_of(broken))
        found = planted.get(place)
        wrong = _wrong(broken, found, again=place in met)
        met.add(place)
        if wrong:
            verdict.wrong.append(f"{' '.join(place)}: {wrong}")
        else:
            scores[broken.kind].true += 1
    verdict.wrong += [
        f"{' '.join(place)}: not found, {label.money}" for place, label in planted.items() if place not in met
    ]
    verdict.scores = dict(sorted(scores.items()))
    return verdict


def _wrong(broken: Break, label: Label | None, *, again: bool) -> str:
    if label is None:
        return f"not planted: {broken.because} ({broken.state})"
    money = (broken.value_minor, broken.difference_minor, broken.currency)
    if money != label.money:
        return f"its money is {money}, planted was {label.money}"
    if again:
        return "told a second time"
    if label.passing and broken.state in OPEN_BREAK_STATES:
        return "still open, though a later report ends it"
    if not label.passing and broken.state == BreakState.RESOLVED and broken.ended_by:
        return f"ended by {broken.ended_by}, though nothing has changed"
    return ""


def residuals(labels: Iterable[Label]) -> list[str]:
    """Where a proof of the last day leaves something over that was not planted as a drift."""
    drifts = {(label.gateway, label.currency): label.between_minor for label in labels if label.type == "balance_drift"}
    wrong = []
    for account in StatementAccount.objects.order_by("slug"):
        last = Run.objects.filter(account=account).latest("day").day
        for currency in currencies_of(account, scope_of(account, last)):
            left = proof(account.pk, currency, last).residual_minor
            due = drifts.get((account.slug, currency), 0)
            if left != due:
                wrong.append(f"{account.slug} {currency}: {left} left over, planted was {due}")
    return wrong
