"""The pages of reconciliation and finance."""
