"""Prices of the algorithms that LEAN publishes results for, prepared as it reads them.

They are in a folder outside the repository.
"""

from __future__ import annotations

import datetime as dt
import os
from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import attrs
import polars as pl

from ml4t.backtest import DataFeed

FOLDER = "ML4T_VENDOR_DATA"
"""Environment variable that names the folder."""

PRICES = ("open", "high", "low", "close")
SIDES = tuple(f"{side}_{price}" for side in ("bid", "ask") for price in PRICES)
DECIMALS = 9
NEW_YORK = "America/New_York"


def folder() -> Path | None:
    """Return the folder, or nothing where none is named or the one named is absent."""
    named = os.environ.get(FOLDER)
    return Path(named) if named and Path(named).is_dir() else None


@attrs.frozen
class Period:
    """First and last session, both included."""

    first: dt.date
    last: dt.date


@attrs.frozen(slots=False)
class Adjustment:
    """Price factor times split factor, by the session up to which they hold.

    The last row, of a date long after the prices, decides the level of all of them: orders then meet
    prices that nobody could know at the time.
    """

    rows: tuple[tuple[dt.date, Decimal], ...]

    @cached_property
    def _until(self) -> tuple[dt.date, ...]:
        return tuple(last for last, _ in self.rows)

    def factor(self, session: dt.date) -> Decimal:
        """Return the factor of the first row whose date is not before the session."""
        return self.rows[bisect_left(self._until, session)][1]

    def of(self, frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
        """Return a frame with a column `session`, its prices times the factor, exactly and rounded once."""
        factors = {session: self.factor(session) for session in frame["session"].unique()}
        adjusted = [
            pl.Series(
                column,
                [
                    None if price is None else _float(_decimal(price) * factors[session])
                    for price, session in frame.select(column, "session").iter_rows()
                ],
                dtype=pl.Float64,
            )
            for column in columns
        ]
        return frame.with_columns(adjusted)


@attrs.frozen
class Vendor:
    """The tables of the folder."""

    path: Path

    def table(self, name: str, **matches: object) -> pl.DataFrame:
        """Return the rows of a table in which these columns have these values."""
        return pl.read_parquet(self.path / f"{name}.parquet").filter(**matches)

    def adjustment(self, symbol: str) -> Adjustment:
        """Return the factors of a symbol."""
        rows = self.table("equity_factors", id=symbol).sort("last_date")
        columns = rows.select("last_date", "price_factor", "split_factor").iter_rows()
        return Adjustment(
            tuple((last, Decimal(str(price)) * Decimal(str(split))) for last, price, split in columns)
        )

    def minutes(self, symbol: str, period: Period) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return trade bars and quote bars of regular sessions, as traded."""
        trades = self.table("equity_minute_trade", symbol=symbol, regular=True)
        quotes = self.table("equity_minute_quote", symbol=symbol, regular=True)
        return _raw(_within(trades, period), PRICES), _raw(_within(quotes, period), SIDES)

    def adjusted_minutes(self, symbol: str, period: Period) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the same with adjusted prices."""
        trades, quotes = self.minutes(symbol, period)
        adjustment = self.adjustment(symbol)
        return adjustment.of(trades, PRICES), adjustment.of(quotes, SIDES)

    def bars(self, name: str, symbol: str, period: Period) -> pl.DataFrame:
        """Return the bars of `equity_hour` or `equity_daily`, as traded."""
        return _raw(_within(self.table(name, symbol=symbol), period), PRICES)

    def adjusted_bars(self, name: str, symbol: str, period: Period) -> pl.DataFrame:
        """Return the same with adjusted prices."""
        return self.adjustment(symbol).of(self.bars(name, symbol, period), PRICES)

    def futures_quotes(self, root: str, contract: str, period: Period) -> pl.DataFrame:
        """Return minute quote bars from 09:30 to 17:00 in New York; an absent side is the last one known."""
        quotes = self.table("futures_minute_quote", root=root, contract=contract).sort("ts")
        there = pl.col("ts").dt.convert_time_zone(NEW_YORK)
        quotes = quotes.with_columns(session=there.dt.date(), symbol=pl.lit(root + contract))
        regular = there.dt.time().is_between(dt.time(9, 30), dt.time(17), closed="left")
        return (
            _within(quotes, period).filter(regular).with_columns(pl.col(SIDES).fill_null(strategy="forward"))
        )


def sessions_feed(bars: pl.DataFrame) -> DataFeed:
    """Return daily bars as a feed."""
    return DataFeed(bars.select("symbol", "session", *PRICES, "volume"), stamp="session")


def hours_feed(bars: pl.DataFrame) -> DataFeed:
    """Return hour bars as a feed; the first of a session begins with it, at half past."""
    columns = bars.select("symbol", pl.col("ts_end").alias("timestamp"), *PRICES, "volume")
    return DataFeed(columns, stamp="close", interval="1h", cuts_to_session=True)


def minutes_feed(bars: pl.DataFrame, *, matches_orders: bool | None = None) -> DataFeed:
    """Return minute bars as a feed."""
    columns = bars.select("symbol", pl.col("ts").alias("timestamp"), *PRICES, "volume")
    return DataFeed(columns, stamp="open", interval="1m", name="minutes", matches_orders=matches_orders)


def middles_feed(quotes: pl.DataFrame, calendar: str) -> DataFeed:
    """Return bars of the middle of bid and ask."""
    middles = [((pl.col(f"bid_{price}") + pl.col(f"ask_{price}")) / 2).alias(price) for price in PRICES]
    columns = quotes.select("symbol", pl.col("ts").alias("timestamp"), *middles)
    return DataFeed(columns, stamp="open", interval="1m", calendar=calendar)


def sides_feed(quotes: pl.DataFrame) -> DataFeed:
    """Return quote bars as quotes, in the sequence in which a trailing stop is to see them.

    First what triggers, the highest ask and the lowest bid, then what the stop follows, the lowest ask and
    the highest bid. They come in the last nanoseconds of the bar, before what is decided on it.
    """
    steps = ((3, "bid_low", "ask_high"), (2, None, "ask_low"), (1, "bid_high", None))
    nothing = pl.lit(None, dtype=pl.Float64)
    parts = [
        quotes.select(
            "symbol",
            (pl.col("ts_end") - pl.duration(nanoseconds=before)).alias("timestamp"),
            (nothing if bid is None else pl.col(bid)).alias("bid_price"),
            (nothing if ask is None else pl.col(ask)).alias("ask_price"),
        )
        for before, bid, ask in steps
    ]
    columns = pl.concat(parts).sort("timestamp")
    return DataFeed(columns, kind="quote", stamp="event", name="sides", matches_orders=True)


def _within(frame: pl.DataFrame, period: Period) -> pl.DataFrame:
    return frame.filter(pl.col("session").is_between(period.first, period.last))


def _raw(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    return frame.with_columns(pl.col(columns).round(4))


def _decimal(price: float) -> Decimal:
    return Decimal(str(round(price, 4)))


def _float(price: Decimal) -> float:
    return float(round(price, DECIMALS))
