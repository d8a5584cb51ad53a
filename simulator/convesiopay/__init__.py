"""How does ConvesioPay behave on the wire? As far as is publicly known; what had to be assumed stands in `contract`."""
