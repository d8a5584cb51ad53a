"""Spreadsheets of payments: read, checked, run, killed and given back."""
