"""Which timers does the comparison have? Each makes one service call; all are safe to run twice."""
