"""Tests of payments."""

import pytest

pytest.register_assert_rewrite("tests.payments.flows.books")
