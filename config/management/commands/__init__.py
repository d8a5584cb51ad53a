"""Commands of the project: start everything, migrate, make people."""
