"""How does the admin look? Settings of the skin; imports no model, so that settings can read it."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static

# The kit first, then one sheet for each group of pages.
STYLE_SHEETS = ("console", "payment", "review", "ledger", "declines", "gateway", "upload", "finance", "reports")


def style_sheet(path: str) -> Callable[[HttpRequest], str]:
    """Return what finds the address of one of our style sheets; asked when a page is drawn, not when settings load."""
    return lambda request: static(path)


def favicon(request: HttpRequest) -> str:
    """Return the address of the site's picture."""
    return static("console/favicon.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Counterfoil",
    "SITE_HEADER": "Counterfoil",
    "SITE_SUBHEADER": "Payments back office",
    "SITE_SYMBOL": "receipt_long",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": favicon}],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": False,
    "BORDER_RADIUS": "5px",
    "ENVIRONMENT": "config.navigation.environment",
    "STYLES": [style_sheet(f"console/{name}.css") for name in STYLE_SHEETS],
    "COMMAND": {"search_models": False, "show_history": False},
    "LOGIN": {"form": "config.sign_in.SignInForm"},
    "SIDEBAR": {
        "show_search": False,
        "command_search": False,
        "show_all_applications": False,
        "navigation": "config.navigation.sidebar",
    },
    # A cool ink blue for what can be pressed; slate for the rest, so that only amounts and states speak up.
    "COLORS": {
        "base": {
            "50": "#f7f8fa", "100": "#eff1f4", "200": "#e1e5ea", "300": "#cbd2da", "400": "#94a0ae", "500": "#667383",
            "600": "#495565", "700": "#36404e", "800": "#222a35", "900": "#161c25", "950": "#0c1017",
        },
        "primary": {
            "50": "#eef6f8", "100": "#d5e8ed", "200": "#aed2dc", "300": "#7cb5c5", "400": "#4692a8", "500": "#2b768d",
            "600": "#1f6178", "700": "#1c4f62", "800": "#1b4252", "900": "#1a3845", "950": "#0c222d",
        },
    },
}  # fmt: skip
