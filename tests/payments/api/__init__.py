"""Tests of the API: real requests against the real doors, services and database."""
