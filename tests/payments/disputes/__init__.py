"""Disputes, refunds that come back, and settlement money: decisions, books and pages."""
