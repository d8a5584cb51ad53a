"""THE OPERATOR'S KIT. Locked-down admin pages, keyset lists and tags; knows no app above it."""
