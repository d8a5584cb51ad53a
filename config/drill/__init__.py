"""What does the whole system do under trouble? Drives payments through its own doors, then checks the books from outside.

It knows the API, the simulator's control interface and plain SQL; no model and no decision of ours is asked.
"""
