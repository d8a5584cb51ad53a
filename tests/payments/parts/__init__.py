"""Payments that take parts."""
