"""Gateways: pure translation plus one HTTP client. No Django inside, no database, no clock of its own."""
