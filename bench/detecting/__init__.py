"""One world of the simulator's, played through the product: our side, terms, nights, and what was found beside what was planted."""
