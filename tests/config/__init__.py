"""Does the project start, stop, refuse and answer as promised?"""
