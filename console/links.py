"""Where does a public id lead? By its prefix, over settings.CONSOLE_LINKS, so that an app may link what it does not know."""

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from console.values import Link


def link_to(public_id: str) -> Link:
    """Return the id as a link to its page, or as plain text where no page is known for its prefix.

    settings.CONSOLE_LINKS maps "pay_" to the name of an address that takes the id.
    """
    prefix, mark, _ = public_id.partition("_")
    name = getattr(settings, "CONSOLE_LINKS", {}).get(f"{prefix}_") if mark else None
    return Link(public_id, _address(name, public_id) if name else "", code=True)


def _address(name: str, public_id: str) -> str:
    try:
        return reverse(name, args=(public_id,))
    except NoReverseMatch:  # the page is not installed
        return ""
