"""Trailing stops: what they follow, and where that puts them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import TrailingStop

from .market import (
    BAR,
    FLAT,
    TRAILING,
    TRAILING_LIMIT,
    Action,
    daily,
    days,
    ends,
    feed_of,
    fills,
    play,
    prints,
    quotes,
    send,
    split_in_two,
)


@pytest.mark.parametrize(
    ("basis", "bars", "price"),
    [
        # 103.00 - 4 is 99.00, which the open of the third bar has passed.
        ("high_low", (BAR, (98, 98, 98, 98)), 98.0),
        ("high_low", (BAR, (101, 101, 98, 98)), 99.0),
        # The close of 101.00 gives 97.00.
        ("close", (BAR, (101, 101, 98, 98)), None),
        ("close", (BAR, (101, 101, 97, 98)), 97.0),
        # It never goes back: 103.00 stays.
        ("high_low", (BAR, (101, 101, 100, 100), (100, 100, 99, 99)), 99.0),
    ],
)
def test_a_trailing_stop_follows_completed_bars(
    basis: str, bars: tuple[Any, ...], price: float | None
) -> None:
    steps = {0: send("sell", **TRAILING, trail_amount=4)}
    results = play(daily(FLAT, *bars), steps, policies={"trail_basis": basis})
    assert results.fills["price"].to_list() == ([] if price is None else [price])


def test_a_trailing_stop_shows_its_levels_at_the_end() -> None:
    steps = {0: send("sell", **TRAILING_LIMIT, trail_amount=4, limit_offset="0.505")}
    results = play(daily(FLAT, BAR), steps)
    row = results.orders.select("stop_price", "limit_price", "trail_amount", "limit_offset", "trail_fraction")
    # 99.00 - 0.505 is 98.495: a limit to sell goes up to the tick.
    assert row.rows() == [(99.0, 98.5, 4.0, 0.505, None)]


def test_a_trailing_stop_limit_stays_where_it_is_once_it_is_reached() -> None:
    """The gap to 95.00 reaches the stop of 96.00 and not the limit of 95.50, which fills on the way back."""
    steps = {0: send("sell", **TRAILING_LIMIT, trail_amount=4, limit_offset=0.5)}
    results = play(daily(FLAT, (95, 95, 95, 95), (95, 120, 95, 95)), steps)
    assert results.fills.select("price", "liquidity").rows() == [(95.5, "maker")]


def test_without_a_last_price_the_water_mark_begins_at_the_first_open() -> None:
    """A clock calls the strategy before the first bar of A is complete."""
    clock = days(FLAT, FLAT, FLAT, symbol="B")
    late = days(FLAT, (100, 100, 100, 100), (90, 91, 86, 90)).filter(pl.col("session") > dt.date(2024, 1, 2))
    feed = feed_of(pl.concat([clock, late]))
    results = play(feed, {0: send("sell", **TRAILING, trail_amount=3)})
    assert results.fills["price"].to_list() == [87.0]


def test_activation_in_the_range_begins_the_water_mark_when_the_bar_is_complete() -> None:
    steps = {0: send("sell", **TRAILING, trail_amount=2, activation_price=102)}
    # The high of 103.00 puts the stop at 101.00; the low of that bar has not counted.
    results = play(daily(FLAT, BAR, (102, 102, 100, 100)), steps)
    assert results.fills["price"].to_list() == [101.0]


def test_a_bar_without_volume_moves_no_trailing_stop() -> None:
    steps = {0: send("sell", **TRAILING, trail_amount=4)}
    results = play(daily(FLAT, (100, 120, 100, 118, 0), (100, 100, 97, 98)), steps)
    assert fills(results) == []
    assert results.orders["stop_price"].to_list() == [96.0]


def test_a_trailing_stop_on_quotes_follows_the_side_that_triggers_it() -> None:
    """The middle at acceptance is 100.00; bids of 101.00 and then 99.00, where the stop of 99.00 is."""
    feed = quotes((99, 101), (101, 103), (None, 200), (99, 101))
    results = play(feed, {0: send("sell", **TRAILING, trail_amount=2)})
    assert results.fills.select("price", "phase").rows() == [(99.0, "quote")]
    feed = quotes((99, 101), (97, 99), (1, None), (99, 101))
    results = play(feed, {0: send("buy", **TRAILING, trail_amount=2)})
    assert results.fills["price"].to_list() == [101.0]


def test_a_trailing_stop_on_prints_follows_the_prints() -> None:
    results = play(prints(100, 103, 101, 100), {0: send("sell", **TRAILING, trail_fraction="0.02")})
    # 103.00 x 0.98 is 100.94, and the tick farther away the same.
    assert results.fills["price"].to_list() == [100.0]
    assert results.orders["stop_price"].to_list() == [100.94]


def test_a_trailing_rule_on_quotes_follows_the_bid_of_a_long_position() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(TrailingStop(pct=0.01)), now.broker.buy("A", 1)),
    }
    # Entered at 100.00; 1 % below the bid of 104.00 is 102.96, below the middle 105.00 it would be 103.95.
    results = play(quotes((100, 100), (100, 100), (104, 106), (None, 300), (103, 105)), steps)
    assert results.fills["price"].to_list() == [100.0]
    assert results.orders.filter(tag="trailing_stop")["stop_price"].to_list() == [102.96]


def test_a_split_scales_a_trailing_stop() -> None:
    actions = split_in_two(dt.date(2024, 1, 3))
    steps = {0: send("sell", **TRAILING_LIMIT, trail_amount="3.01", limit_offset=1)}
    results = play(daily(FLAT, (100, 102, 100, 100), (50, 50, 50, 50), actions=actions), steps)
    row = results.orders.select("quantity", "trail_amount", "limit_offset", "stop_price", "limit_price")
    # 102.00 becomes 51.00; less 1.505 it is 49.495, and the tick below is 49.49.
    assert row.rows() == [(20.0, 1.505, 0.5, 49.49, 48.99)]


def test_a_trailing_order_reserves_at_the_last_price() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 10, **TRAILING, trail_amount=50),
            now.broker.buy("A", 1),
        )
    }
    results = play(daily(FLAT, BAR), steps, initial_cash=1000, leverage=1, allows_short=False)
    assert ends(results) == [("canceled", "END_OF_DATA"), ("rejected", "INSUFFICIENT_BUYING_POWER")]
