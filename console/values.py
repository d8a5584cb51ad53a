"""What does a page show? Frozen values that an app hands to the templates; they decide nothing and know no model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Tone(StrEnum):
    """How loud a chip, banner or timeline line speaks. Colour never speaks alone: text and icon stand beside it."""

    QUIET = "quiet"  # final or not interesting now
    INFO = "info"  # in motion by itself
    GOOD = "good"  # done as wished
    WARN = "warn"  # a person should look, money is not at risk yet
    BAD = "bad"  # a person must act


@dataclass(frozen=True, slots=True)
class Chip:
    """A state in words, with icon (a Material Symbols name) and tone; `hint` is the sentence behind it, on hover."""

    text: str
    tone: Tone = Tone.QUIET
    icon: str = "circle"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount to show: signed minor units of the currency. Formatted by settings.CONSOLE_MONEY_FORMAT."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Link:
    """A name that leads somewhere; `code` sets it in the type of identifiers."""

    text: str
    url: str
    code: bool = False


Shown = str | int | Chip | Amount | Link | datetime | None
"""Everything a key-value line or a table cell may hold."""


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One line of a facts block. A value of None is shown as a dash: "not known yet", which differs from empty."""

    label: str
    value: Shown
    hint: str = ""


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One thing that happened, who or what caused it, and the raw evidence behind it (redacted when shown)."""

    at: datetime
    title: str
    cause: str = ""
    detail: str = ""
    tone: Tone = Tone.QUIET
    icon: str = "circle"
    ignored: bool = False
    evidence: object = None
    children: Sequence["TimelineItem"] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Something the person may or may not do here; `blocked_by` says the failed condition and who could."""

    label: str
    url: str = ""
    blocked_by: str = ""
    post: bool = False
    hint: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Banner:
    """A sentence above every page, such as "Sending is stopped since 09:12 by Priya: bank incident"."""

    text: str
    tone: Tone = Tone.WARN
    icon: str = "campaign"


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One case on the home page: what it is, since when it waits, by when somebody must act, and the suggested step."""

    title: Link
    why: str
    since: datetime
    due: datetime | None = None
    amount: Amount | None = None
    chip: Chip | None = None
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class WorkQueue:
    """A heap of cases that need a person. `rows` are the most urgent few, `url` leads to all of them.

    `count` says how many there are, as people read it ("7", "50+"); empty: as many as there are rows.
    """

    title: str
    url: str
    rows: Sequence[QueueRow] = field(default_factory=tuple)
    more: bool = False
    count: str = ""
    empty: str = "Nothing waits here."


@dataclass(frozen=True, slots=True)
class Section:
    """A part that an app adds to another app's page. Without rows, `empty` says so and `advice` what follows."""

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Shown]] = ()
    empty: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a command would do, before it is done: facts in words, and the lines it would write.

    `objections` say why it can not be done, each with the page that mends it: while there is one nothing can be confirmed.
    """

    summary: str
    facts: Sequence[KeyValue] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Shown]] = ()
    warnings: Sequence[str] = ()
    objections: Sequence[tuple[str, Link | None]] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did: the sentence for the person, and the page to go to."""

    message: str
    url: str
    tone: Tone = Tone.GOOD
