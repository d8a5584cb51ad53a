"""Commands of the payments app; doors like any other: one service call each."""
