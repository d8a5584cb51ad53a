"""The comparison: our books, the gateways' reports and the bank; what does not line up, and how it is put right."""
