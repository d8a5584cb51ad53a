"""Template tags of the operator's kit."""
