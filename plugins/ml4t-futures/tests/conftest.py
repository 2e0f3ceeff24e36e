"""Chains that several tests use, and bars in one line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl
import pytest

from ml4t.futures import FuturesChain

Closes = Mapping[str, Sequence[float | None]]
Bars = Callable[..., pl.DataFrame]


@pytest.fixture
def es() -> FuturesChain:
    """E-mini S&P 500, which ends on the third Friday of the quarter's last month."""
    dates = {"ESZ3": dt.date(2013, 12, 20), "ESH4": dt.date(2014, 3, 21), "ESM4": dt.date(2014, 6, 20)}
    table = pl.DataFrame({"symbol": list(dates), "last_trade": list(dates.values())})
    return FuturesChain.from_frame(
        table, "ES", multiplier=50, tick_size=0.25, calendar="CME_Equity", settlement="cash"
    )


@pytest.fixture
def gold() -> FuturesChain:
    """COMEX gold: first notice is the last business day of the month before delivery."""
    table = pl.DataFrame(
        {
            "symbol": ["GCZ3", "GCF4", "GCG4", "GCJ4"],
            "last_trade": [
                dt.date(2013, 12, 27),
                dt.date(2014, 1, 29),
                dt.date(2014, 2, 26),
                dt.date(2014, 4, 28),
            ],
            "first_notice": [
                dt.date(2013, 11, 29),
                dt.date(2013, 12, 31),
                dt.date(2014, 1, 31),
                dt.date(2014, 3, 31),
            ],
        }
    )
    return FuturesChain.from_frame(
        table, "GC", multiplier=100, tick_size="0.1", calendar="CMEGlobex_GC", settlement="physical"
    )


@pytest.fixture
def corn() -> FuturesChain:
    """Corn of July and December 2018: the business day before the 15th of the month."""
    table = pl.DataFrame(
        {"symbol": ["ZCN8", "ZCZ8"], "last_trade": [dt.date(2018, 7, 13), dt.date(2018, 12, 14)]}
    )
    return FuturesChain.from_frame(
        table, "ZC", multiplier=50, tick_size=0.25, calendar="CBOT_Agriculture", settlement="physical"
    )


@pytest.fixture
def daily() -> Bars:
    """Return daily bars of closes by symbol: all prices of a bar are its close; None is no bar."""

    def build(sessions: Sequence[dt.date], closes: Closes, **columns: Closes) -> pl.DataFrame:
        rows: list[dict[str, Any]] = []
        for symbol, prices in closes.items():
            for k, (session, price) in enumerate(zip(sessions, prices, strict=True)):
                if price is not None:
                    row = {"session": session, "contract": symbol, "volume": 1.0}
                    row |= dict.fromkeys(("open", "high", "low", "close"), float(price))
                    rows.append(row | {name: values[symbol][k] for name, values in columns.items()})
        return pl.DataFrame(rows, infer_schema_length=None)

    return build
