"""The keywords of `subscribe`, as they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ml4t.core.errors import DataError, StrategyError, UnknownNameError
from ml4t.core.types import EventType
from ml4t.core.values import NS_PER_DAY
from ml4t.engine.subscriptions import Subscription


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, {}),
        (
            {"asset": "SPY", "event_type": "BAR", "frequency": "1D"},
            {"assets": ("SPY",), "event_type": EventType.BAR, "frequency_ns": NS_PER_DAY},
        ),
        ({"assets": ["B", "A", "B"], "every": 3}, {"assets": ("B", "A"), "every": 3}),
        (
            {"event_type": EventType.SIGNAL, "model_id": "m"},
            {"event_type": EventType.SIGNAL, "model_id": "m"},
        ),
        ({"every": "2m"}, {"every_ns": 120 * 10**9}),
        ({"every": np.int64(3)}, {"every": 3}),
        ({"event_type": "trade", "window": "1s"}, {"event_type": EventType.TRADE, "window_ns": 10**9}),
    ],
)
def test_keywords_are_read(given: dict[str, Any], read: dict[str, Any]) -> None:
    assert Subscription.of(**given) == Subscription(**read)


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"event_type": "bars"}, UnknownNameError, r"unknown event type 'bars'.* did you mean 'bar'"),
        ({"frequency": "daily"}, DataError, "duration"),
        ({"asset": "A", "assets": ["B"]}, StrategyError, "not both"),
        ({"assets": "IBM"}, StrategyError, "asset= takes one"),
        ({"every": 0}, StrategyError, "1 or more"),
        ({"every": True}, StrategyError, "1 or more"),
        ({"every": 1.5}, StrategyError, "1 or more"),
        ({"every": "10"}, DataError, "duration"),
        ({"assets": []}, StrategyError, "nothing would be told"),
        ({"every": "0s"}, StrategyError, "above zero"),
        ({"window": "-1s"}, StrategyError, "above zero"),
        ({"window": "1s", "every": 2}, StrategyError, "not both"),
        ({"window": "1s", "event_type": "fill"}, StrategyError, "one by one"),
        ({"window": "1s", "model_id": "m"}, StrategyError, "signals"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        Subscription.of(**given)
