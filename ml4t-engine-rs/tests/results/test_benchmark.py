"""A symbol of the run as its benchmark."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Strategy, datasets
from ml4t.backtest.data import MarketData, assemble
from ml4t.core.errors import ConfigError, UnknownNameError
from ml4t.engine.benchmark import symbol_returns


@pytest.fixture(scope="module")
def data() -> MarketData:
    feed = DataFeed(datasets.us_equity_daily(), stamp="session", actions=datasets.us_equity_actions())
    return assemble([feed])


# Ratio of the source's adjusted closes, 2000-03-01 to 2013-03-01: splits applied, dividends reinvested.
@pytest.mark.parametrize(("symbol", "growth"), [("AAPL", 13.40862), ("IBM", 2.37921), ("MSFT", 0.81667)])
def test_raw_prices_and_actions_give_the_adjusted_total_return(
    symbol: str, growth: float, data: MarketData
) -> None:
    returns = symbol_returns(data, symbol)
    assert returns.height == 3270
    assert returns["session"][0] == date(2000, 3, 1) and returns["return"][0] == 0.0
    assert (1.0 + returns["return"]).product() == pytest.approx(growth, abs=5e-6)


def test_every_session_return_equals_that_of_the_adjusted_closes(data: MarketData) -> None:
    adjusted = datasets.us_equity_daily().filter(pl.col("symbol") == "MSFT").sort("session")["adj_close"]
    expected = (adjusted / adjusted.shift(1) - 1.0).fill_null(0.0)
    # The source prints six decimals.
    assert (symbol_returns(data, "MSFT")["return"] - expected).abs().max() < 1e-7


def test_the_benchmark_covers_every_session_of_the_run() -> None:
    feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM", "MSFT"])
    engine = Engine(
        feed, Strategy, config={"backtest": {"start_date": "2005-03-07", "end_date": "2006-02-02"}}
    )
    results = engine.run()
    returns = symbol_returns(engine.data, "IBM")
    assert returns["session"].to_list() == results.nav["session"].to_list()
    assert "beta" in results.performance(benchmark=returns)


def test_a_symbol_that_begins_after_the_run_is_refused(data: MarketData) -> None:
    with pytest.raises(
        ConfigError, match="FB has no price before 2012-05-18, and the run begins with 2000-03-01"
    ):
        symbol_returns(data, "FB")


def test_an_unknown_symbol_names_the_nearest(data: MarketData) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'AAPL'"):
        symbol_returns(data, "APPL")


def test_quotes_count_by_their_middle() -> None:
    quotes = pl.DataFrame(
        {
            "symbol": ["X"] * 3,
            "ts_event": pl.Series(
                ["2024-01-02T20:00:00", "2024-01-03T15:00:00", "2024-01-03T20:59:00"]
            ).str.to_datetime(time_unit="ns", time_zone="UTC"),
            "bid_price": [9.0, 5.0, 10.0],
            "ask_price": [11.0, 5.0, 14.0],
        }
    )
    returns = symbol_returns(assemble([DataFeed(quotes, kind="quote", stamp="event")]), "X")
    assert returns.rows() == [(date(2024, 1, 2), 0.0), (date(2024, 1, 3), pytest.approx(0.2))]
