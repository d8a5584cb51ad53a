"""The operator's pages over payments: doors, each making one service call. Importing a module registers its pages."""

from payments.admin import gateway_account, inbox, payment, review

__all__ = ["gateway_account", "inbox", "payment", "review"]
