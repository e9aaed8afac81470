"""Tests."""

import pytest

pytest.register_assert_rewrite("tests.itsm.contract")
