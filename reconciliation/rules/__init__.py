"""Matching rules: lines and movements in, pairs out. One file a rule, none knows another. Pure."""
