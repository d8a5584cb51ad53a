"""Do pages of what was done call a way out as its button does?"""

from reconciliation.fixes import Fix
from reconciliation.queries.break_words import FIX_WORDS, fix_words
from reconciliation.services.resolutions.registry import COMMANDS


def test_the_words_are_those_of_the_buttons() -> None:
    assert {fix: command.label for fix, command in COMMANDS.items()} == FIX_WORDS


def test_several_at_once_say_so() -> None:
    assert fix_words(Fix.POST_FEE) == "Book it as a fee"
    assert fix_words("bulk post_fee") == "Book it as a fee, for all of one cause"
