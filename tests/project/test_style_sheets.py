"""Does one style sheet overrule another by accident? All are loaded on every page, so each selector has one home."""

import re
from collections import defaultdict
from pathlib import Path

SHEETS = Path(__file__).resolve().parents[2] / "static" / "console"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{[^{}]*\}")


def homes(sheets: dict[str, str]) -> dict[str, set[str]]:
    """Each selector outside media queries, and the sheets that define it."""
    found = defaultdict(set)
    for name, text in sheets.items():
        plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", _COMMENT.sub("", text))
        for rule in _RULE.finditer(plain):
            for selector in re.split(r",(?![^(]*\))", rule[1]):
                found[" ".join(selector.split())].add(name)
    return found


def test_no_selector_is_defined_in_two_sheets() -> None:
    found = homes({path.name: path.read_text() for path in SHEETS.glob("*.css")})

    assert ".cf-page" in found
    assert {selector: names for selector, names in found.items() if len(names) > 1} == {}


def test_a_planted_second_home_is_noticed() -> None:
    planted = {
        "a.css": ".x, .y b { top: 0; }",
        "b.css": "/* .x {} */ @media (print) { .x { top: 1px; } } .y  b { top: 1px; }",
    }

    assert {selector: names for selector, names in homes(planted).items() if len(names) > 1} == {
        ".y b": {"a.css", "b.css"}
    }
