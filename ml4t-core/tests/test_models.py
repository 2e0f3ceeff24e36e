"""Parameters of models: what is a number, and which are in range."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ml4t.core.models import number, outside


@pytest.mark.parametrize(
    ("value", "limits", "message"),
    [
        (Decimal("0.5"), {}, None),
        (None, {}, None),
        (1, {"high": 1.0}, None),
        (0, {"above": True}, "expected a number above 0, found 0.0"),
        (2, {"high": 1.0}, "expected a number of 0 or more and at most 1, found 2.0"),
        ("1", {}, "expected a number of 0 or more, found '1'"),
        (True, {}, "expected a number of 0 or more, found True"),
        (float("nan"), {}, "expected a number of 0 or more, found nan"),
    ],
)
def test_a_parameter_outside_its_range_is_told(value: Any, limits: Any, message: str | None) -> None:  # noqa: ANN401
    found = [finding.message for finding in outside({"fee": number(value)}, "fee", **limits)]
    assert found == ([] if message is None else [message])
