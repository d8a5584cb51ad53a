"""What does a refusal mean here? Sheets, people's own rules, the networks' word and their ceilings; and who changes them."""

from payments.services.declining.ceilings import ceiling_reached
from payments.services.declining.classes import advice_for, classified, note_unmapped, words_for_payer

__all__ = ["advice_for", "ceiling_reached", "classified", "note_unmapped", "words_for_payer"]
