"""Results in the shapes of pyfolio and quantstats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest

from ml4t.backtest import Results

Make = Callable[..., Results]


def test_pyfolio_gets_returns_indexed_by_midnight_utc(real: Results) -> None:
    returns = real.to_pyfolio().returns
    assert isinstance(returns.index, pd.DatetimeIndex) and str(returns.index.tz) == "UTC"
    assert (returns.index == returns.index.normalize()).all()
    assert [stamp.date() for stamp in returns.index] == real.nav["session"].to_list()
    np.testing.assert_array_equal(returns.to_numpy(), real.returns()["return"].to_numpy())


def test_a_row_of_pyfolio_positions_adds_up_to_nav(real: Results) -> None:
    found = real.to_pyfolio()
    assert list(found.positions.columns) == ["AAPL", "IBM", "MSFT", "cash"]
    assert found.positions.index.equals(found.returns.index)
    np.testing.assert_allclose(found.positions.sum(axis=1).to_numpy(), real.nav["nav"].to_numpy(), rtol=1e-12)
    held = real.positions.filter(real.positions["symbol"] == "AAPL")
    assert found.positions["AAPL"].sum() == pytest.approx(held["market_value"].sum())
    assert (found.positions["AAPL"] != 0).sum() == held.height


def test_pyfolio_transactions_are_the_signed_fills(real: Results) -> None:
    transactions = real.to_pyfolio().transactions
    fills = real.fills
    assert list(transactions.columns) == ["amount", "price", "symbol"]
    assert str(transactions.index.tz) == "UTC"
    signs = np.where(fills["side"].to_numpy() == "buy", 1.0, -1.0)
    np.testing.assert_array_equal(transactions["amount"].to_numpy(), fills["quantity"].to_numpy() * signs)
    np.testing.assert_array_equal(transactions["price"].to_numpy(), fills["price"].to_numpy())
    assert [stamp.to_pydatetime() for stamp in transactions.index] == fills["ts_event"].to_list()
    assert set(transactions["amount"] > 0) == {True, False}


def test_positions_of_several_books_are_added_up(make: Make) -> None:
    rows = [
        {"session": date(2024, 1, 1), "book": book, "symbol": "IBM", "market_value": value}
        for book, value in ((0, 60.0), (1, -10.0))
    ]
    positions = make(nav=[100.0, 90.0], positions=rows).to_pyfolio().positions
    assert positions["IBM"].to_list() == [50.0, 0.0]
    assert positions["cash"].to_list() == [50.0, 90.0]


def test_a_run_that_never_traded_exports_empty_shapes(make: Make) -> None:
    found = make(nav=[100.0, 100.0]).to_pyfolio()
    assert list(found.positions.columns) == ["cash"]
    assert found.transactions.empty and list(found.transactions.columns) == ["amount", "price", "symbol"]


def test_quantstats_gets_a_named_series_without_time_zone(real: Results) -> None:
    returns = real.to_quantstats()
    assert returns.name == "rotation"
    assert isinstance(returns.index, pd.DatetimeIndex) and returns.index.tz is None
    np.testing.assert_array_equal(returns.to_numpy(), real.returns()["return"].to_numpy())
