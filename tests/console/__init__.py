"""Tests of the operator's kit."""
