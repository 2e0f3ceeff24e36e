"""Several venues in one run: sessions, breaks, early closes, holidays, clocks that change and halts."""

import pytest

# What helpers assert is explained as what tests assert.
pytest.register_assert_rewrite(f"{__name__}.helpers")
