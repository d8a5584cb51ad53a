"""Does Counterfoil do what it promises? The tests, laid out like the source."""
