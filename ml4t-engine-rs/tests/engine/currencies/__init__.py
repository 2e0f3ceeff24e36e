"""Accounts in several currencies, through the front door."""

import pytest

# What helpers assert is explained as what tests assert.
pytest.register_assert_rewrite(f"{__name__}.helpers", f"{__name__}.second_calculation")
