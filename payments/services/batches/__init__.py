"""Spreadsheets of payments: read, checked, started, run, controlled, and given back with results."""
