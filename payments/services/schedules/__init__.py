"""Charges that recur by the payer's mandate: made and changed by people, charged by the sweep, stopped by the payer's bank."""
