"""Do pages of what was done call a way out as its button does?"""

from reconciliation.fixes import Fix
from reconciliation.queries.break_words import FIX_WORDS, fix_words
from reconciliation.services.resolutions.registry import COMMANDS, command_of
from reconciliation.services.resolutions.showing import answers_shown


def test_the_words_are_those_of_the_buttons() -> None:
    assert {fix: command.label for fix, command in COMMANDS.items()} == FIX_WORDS


def test_several_at_once_say_so() -> None:
    assert fix_words(Fix.POST_FEE) == "Book it as a fee"
    assert fix_words("bulk post_fee") == "Book it as a fee, for all of one cause"


def test_answers_are_shown_in_words_and_money() -> None:
    assert answers_shown(command_of("post_fee"), {"treatment": "claim"}, "USD") == [
        ("Treatment", "claimed back from the gateway")
    ]
    assert answers_shown(command_of("refund_payer"), {"amount_minor": 250}, "USD") == [("Amount", "2.50 USD")]
    assert answers_shown(command_of("mark_timing"), {"until": "2026-03-10"}, "USD") == [("Until", "2026-03-10")]
