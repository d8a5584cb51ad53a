"""Statement formats: bytes or rows in, `reconciliation.lines` out. One file a format, none knows another. Pure."""
