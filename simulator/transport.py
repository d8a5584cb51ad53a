"""How is trouble on the wire acted out? The same for every gateway: process or not, then answer, cut, reset or hang."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from simulator.clock import Agenda
from simulator.faults import Strike
from simulator.messages import Answer, Ending

_PAGE = "<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"


def html_page(title: str, status: int = 200) -> Answer:
    """A page such as a web server in front of a gateway would show."""
    return Answer(_PAGE.format(title=title).encode(), status)


_INSTEAD = {
    "lost_response": Answer(ending=Ending.CUT),
    "dropped_request": Answer(ending=Ending.CUT),
    "late_authorisation": Answer(ending=Ending.CUT),
    "server_error": html_page("500 Internal Server Error", 500),
    "timeout": Answer(ending=Ending.HANG),
    "empty_body": Answer(),
    "html_body": html_page("Scheduled maintenance"),
    "rate_limited": html_page("429 Too Many Requests", 429),
    "outage": Answer(ending=Ending.RESET),
}


def act_out(
    strike: Strike | None, process: Callable[[], Answer], agenda: Agenda, own: Mapping[str, Answer] | None = None
) -> Answer:
    """The answer after the fault: `process` is called once, never, or later on the agenda.

    `own`: what a gateway answers in its own words, by name of the fault.
    """
    if strike is None:
        return process()
    if strike.name == "slow":
        return replace(process(), delay_seconds=strike.seconds)
    if strike.name == "late_authorisation":
        agenda.after(strike.seconds, lambda: _ignore(process()))
    if strike.name == "lost_response" or strike.name.endswith("_after"):
        process()
    if own and strike.name in own:
        return own[strike.name]
    return _INSTEAD[strike.name.removesuffix("_after")]


def _ignore(_: Answer) -> None:
    """Nobody waits for this answer any more."""
