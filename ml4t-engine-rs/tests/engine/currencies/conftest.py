"""Markets of instruments of several currencies, and a run of a script on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from ml4t.backtest import DataFeed, Instrument

from .helpers import EURUSD, Made, Play, rates


@pytest.fixture
def market(daily: Callable[..., DataFeed]) -> Callable[..., DataFeed]:
    """Return a builder of daily bars; SAP and VOW are of EUR, SONY is of JPY, BP of GBP, others of USD."""
    homes = {"SAP": "EUR", "VOW": "EUR", "SONY": "JPY", "BP": "GBP"}

    def build(*, currencies: Mapping[str, str] | None = None, **prices: Sequence[Any]) -> DataFeed:
        known = homes | dict(currencies or {})
        instruments = [
            Instrument(symbol, currency=known.get(symbol, "USD"), calendar="24/7") for symbol in prices
        ]
        return daily(prices, instruments=instruments)

    return build


@pytest.fixture
def go(play: Play, market: Callable[..., DataFeed]) -> Play:
    """Return a function that runs steps, on SAP at 100 and with rates of EURUSD unless others are given."""

    def go(steps: Mapping[int, Made], feed: DataFeed | None = None, **parts: Made) -> Made:
        feed = market(SAP=[100.0] * 6) if feed is None else feed
        return play(steps, feed, **{"fx": rates(EURUSD=EURUSD)} | parts)

    return go
