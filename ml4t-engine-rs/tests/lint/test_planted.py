"""Faults put into the real prices that ship with the package are found where they were put, and no others."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from ml4t.backtest import datasets, lint
from ml4t.backtest.data import adjusted_prices

PRICES = ("open", "high", "low", "close")


@pytest.fixture(scope="module")
def prices() -> pl.DataFrame:
    return datasets.us_equity_daily()


@pytest.fixture(scope="module")
def actions() -> pl.DataFrame:
    return datasets.us_equity_actions()


def errors(frame: pl.DataFrame, actions: pl.DataFrame) -> list[tuple[str, str | None, str | None]]:
    report = lint(frame, actions=actions, ignore=["adjusted-feature"])
    return [(each.code, each.symbol, each.at) for each in report.errors]


def rows(symbol: str, first: dt.date, last: dt.date = dt.date(2013, 3, 1)) -> pl.Expr:
    return (pl.col("symbol") == symbol) & pl.col("session").is_between(first, last)


def test_a_split_that_was_left_out(prices: pl.DataFrame, actions: pl.DataFrame) -> None:
    left = actions.filter(pl.col("ex_date") != dt.date(2005, 2, 28))
    assert errors(prices, left) == [("split-unmarked", "AAPL", "2005-02-28")]


@pytest.mark.parametrize("how", ["split", "total_return"])
def test_adjusted_prices_with_the_actions_they_were_adjusted_for(
    prices: pl.DataFrame, actions: pl.DataFrame, how: str
) -> None:
    frame = adjusted_prices(prices, actions, how=how)  # type: ignore[arg-type]
    assert errors(frame, actions) == [
        ("split-not-in-prices", "AAPL", "2000-06-21"),
        ("split-not-in-prices", "AAPL", "2005-02-28"),
        ("split-not-in-prices", "MSFT", "2003-02-18"),
    ]


def test_prices_adjusted_for_all_payments_have_long_digits(
    prices: pl.DataFrame, actions: pl.DataFrame
) -> None:
    frame = adjusted_prices(prices, actions, how="total_return").drop("adj_close")
    found = lint(frame)
    # GOOG and FB paid nothing and did not split.
    assert {each.symbol for each in found.doubts if each.code == "adjusted-prices"} == {"AAPL", "IBM", "MSFT"}


def test_the_adjusted_close_beside_raw_prices(prices: pl.DataFrame, actions: pl.DataFrame) -> None:
    mixed = prices.with_columns(close="adj_close").drop("adj_close")
    found = lint(mixed, actions=actions, ignore=["split-not-in-prices", "split-unmarked", "price-spike"])
    # FB has nothing to adjust; GOOG only a later split, of 2014, that the column knows.
    wrong = {each.symbol for each in found.errors if each.code == "adjusted-close"}
    assert wrong == {"AAPL", "GOOG", "IBM", "MSFT"}


def test_lots_in_place_of_shares_from_a_day_on(prices: pl.DataFrame, actions: pl.DataFrame) -> None:
    since = rows("IBM", dt.date(2008, 1, 2))
    lots = pl.when(since).then((pl.col("volume") / 100).round()).otherwise("volume")
    assert errors(prices.with_columns(volume=lots), actions) == [("volume-unit", "IBM", "2008-01-02")]


def test_cents_in_place_of_dollars_for_a_month(prices: pl.DataFrame, actions: pl.DataFrame) -> None:
    month = rows("GOOG", dt.date(2010, 3, 1), dt.date(2010, 3, 31))
    cents = [pl.when(month).then(pl.col(name) * 100).otherwise(name).alias(name) for name in PRICES]
    assert errors(prices.with_columns(cents), actions) == [("unit-change", "GOOG", "2010-03-01")]


def test_a_dead_share_that_was_filled_to_the_end(prices: pl.DataFrame, actions: pl.DataFrame) -> None:
    dead = rows("FB", dt.date(2013, 1, 2))
    last = prices.filter(pl.col("symbol") == "FB", pl.col("session") == dt.date(2012, 12, 31))["close"].item()
    filled = prices.with_columns(
        *(pl.when(dead).then(pl.lit(last)).otherwise(name).alias(name) for name in PRICES),
        volume=pl.when(dead).then(0.0).otherwise("volume"),
    )
    assert errors(filled, actions) == [("filled-after-delisting", "FB", "2013-01-02")]


def test_a_session_loaded_under_the_next_label(prices: pl.DataFrame, actions: pl.DataFrame) -> None:
    day, following = dt.date(2006, 5, 9), dt.date(2006, 5, 10)
    copy = prices.filter(pl.col("session") == day).with_columns(session=pl.lit(following))
    twice = pl.concat([prices.filter(pl.col("session") != following), copy]).sort("session", "symbol")
    assert errors(twice, actions) == [
        ("session-repeated", symbol, "2006-05-10") for symbol in ("AAPL", "GOOG", "IBM", "MSFT")
    ]


def test_a_misplaced_decimal_point(prices: pl.DataFrame, actions: pl.DataFrame) -> None:
    wrong = rows("MSFT", dt.date(2009, 7, 8), dt.date(2009, 7, 8))
    spoilt = prices.with_columns(
        close=pl.when(wrong).then(pl.col("close") / 10).otherwise("close"),
        low=pl.when(wrong).then(pl.col("close") / 10).otherwise("low"),
    )
    assert errors(spoilt, actions) == [("unit-change", "MSFT", "2009-07-08")]
