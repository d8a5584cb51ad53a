"""Tests of the payments app's admin pages."""
