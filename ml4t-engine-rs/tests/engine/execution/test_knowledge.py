"""What an execution algorithm is told, worked by hand."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument

Build = Callable[..., DataFeed]
Run = Any  # a run, or what a step of a script is given; see conftest
Work = Callable[..., Run]
Child = Callable[..., Run]

nan = math.nan
EASTERN = "America/New_York"


def same(found: object, expected: object) -> bool:
    """Compare with NaN equal to itself, and without a tolerance."""
    return repr(found) == repr(expected)


# -- quantities --------------------------------------------------------------------------------------------


def test_what_has_traded_what_is_at_work_and_what_is_left(work: Work, daily: Build, child: Child) -> None:
    """30 fill at 11. Then 20 rest at 9 beside 50 that fill at 12."""
    table = {0: (child(30),), 1: (child(20, 9.0, 7), child(50)), 2: ()}
    run = work(daily({"A": [10, 11, 12, 13]}), 100, table)
    assert run.told("side", "quantity", "filled", "working", "to_send") == [
        (1, 100.0, 0.0, 0.0, 100.0),
        (1, 100.0, 30.0, 0.0, 70.0),
        (1, 100.0, 80.0, 20.0, 0.0),
        (1, 100.0, 80.0, 20.0, 0.0),
    ]
    # (30 x 11 + 50 x 12) / 80 = 930 / 80
    assert same(run.told("average_price"), [nan, 11.0, 11.625, 11.625])


def test_a_sale_has_the_side_minus_one_and_quantities_above_zero(
    work: Work, daily: Build, child: Child
) -> None:
    feed = daily({"A": [10, 11, 12, 13]})
    broker = {"allows_short": True}
    run = work(feed, -100, {0: (child(30, 20.0, 5),), 1: (child(60),)}, broker=broker)
    assert run.told("side", "quantity", "filled", "working", "to_send")[2] == (-1, 100.0, 60.0, 30.0, 10.0)
    assert set(run.results.orders["side"]) == {"sell"}
    (resting,) = run.asked[2].open_orders
    assert (resting.client_id, resting.leaves_quantity, resting.limit_price) == (5, 30.0, 20.0)


def test_orders_at_work_are_listed_oldest_first_with_their_prices(
    work: Work, daily: Build, child: Child
) -> None:
    answer = (
        child(10, 8.0, 3),
        child(20, order_type="stop", stop_price=20.0, number=1),
        child(5, 7.0),
        child(6, 6.5, 2),
    )
    run = work(daily({"A": [10, 10, 10]}), 100, {0: answer})
    listed = [
        (each.client_id, each.order_type, each.leaves_quantity, each.limit_price, each.stop_price)
        for each in run.asked[1].open_orders
    ]
    assert same(
        listed,
        [
            (3, "limit", 10.0, 8.0, nan),
            (1, "stop", 20.0, nan, 20.0),
            (0, "limit", 5.0, 7.0, nan),
            (2, "limit", 6.0, 6.5, nan),
        ],
    )
    assert run.asked[1].working == 41.0


def test_of_a_partial_fill_the_leaves_are_at_work(work: Work, daily: Build, child: Child) -> None:
    """A tenth of 400 a day: 40 of 90 on the second day, 40 on the third, the rest on the fourth."""
    feed = daily({"A": [(10, 10, 10, 10, 400)] * 5})
    broker = {"fill_model": {"type": "Default", "volume_limit": 0.1}}
    run = work(feed, 100, {0: (child(90, number=4),)}, broker=broker)
    assert run.told("filled", "working", "to_send")[:4] == [
        (0.0, 0.0, 100.0),
        (40.0, 50.0, 10.0),
        (80.0, 10.0, 10.0),
        (90.0, 0.0, 10.0),
    ]
    assert [each.leaves_quantity for each in run.asked[1].open_orders] == [50.0]


def test_the_instrument_says_lot_tick_and_multiplier(work: Work, daily: Build) -> None:
    instrument = Instrument("A", calendar="24/7", tick_size="0.25", lot_size="10", multiplier="50")
    (first, *_) = work(daily({"A": [10, 11]}, instruments=[instrument]), 100).asked
    assert (first.lot_size, first.tick_size, first.multiplier, first.asset) == (10.0, 0.25, 50.0, 0)


def test_the_asset_is_the_index_of_the_instrument(
    play: Callable[..., Run], daily: Build, scripted: Run
) -> None:
    algorithm = scripted()
    feed = daily({"A": [10, 11], "B": [20, 21], "C": [30, 31]})
    play({0: lambda now: now.broker.execute("C", 5, algorithm)}, feed)
    assert [(ctx.asset, ctx.price) for ctx in algorithm.asked] == [(2, 30.0), (2, 31.0)]


# -- the market --------------------------------------------------------------------------------------------


def test_of_a_bar_the_price_is_its_close_alone(work: Work, daily: Build) -> None:
    run = work(daily({"A": [(10, 12, 9, 11, 5), (20, 22, 19, 21, 6)]}))
    names = ("price", "bid", "ask", "bid_size", "ask_size")
    assert same(run.told(*names), [(11.0, nan, nan, nan, nan), (21.0, nan, nan, nan, nan)])


def test_of_a_quote_the_price_is_its_middle_and_both_sides_are_known(work: Work, market: Build) -> None:
    run = work(market("quote", [(1, 9, 10, 300, 500), (2, 9.5, 10, 200, 100)]))
    names = ("price", "bid", "ask", "bid_size", "ask_size", "volume", "total_volume")
    assert same(
        run.told(*names),
        [(9.5, 9.0, 10.0, 300.0, 500.0, nan, nan), (9.75, 9.5, 10.0, 200.0, 100.0, nan, nan)],
    )


def test_of_a_print_the_price_alone_is_known_and_its_size_is_volume(work: Work, market: Build) -> None:
    run = work(market("trade", [(1, 10, 7), (2, 10.5, 8), (3, 11, 9)]))
    names = ("price", "bid", "volume", "total_volume")
    assert same(run.told(*names)[1:], [(10.5, nan, 8.0, 8.0), (11.0, nan, 9.0, 17.0)])


def test_volume_counts_from_the_question_before_and_from_the_beginning(work: Work, daily: Build) -> None:
    """The order is given on the second day; what traded until then is not of its time."""
    volumes = [1, 20, 300, 4_000, 50_000]
    feed = daily({"A": [(10, 10, 10, 10, each) for each in volumes], "B": [20] * 5})
    run = work(feed, at=1)
    assert run.told("volume") == [0.0, 300.0, 4_000.0, 50_000.0]
    assert run.told("total_volume") == [0.0, 300.0, 4_300.0, 54_300.0]


def test_volume_is_zero_at_the_first_question_and_not_minus_zero(work: Work, daily: Build) -> None:
    assert same(work(daily({"A": [10, 11]})).told("volume", "total_volume")[0], (0.0, 0.0))


def test_volume_that_one_row_lacks_is_missing_for_that_question(work: Work, daily: Build) -> None:
    feed = daily({"A": [(10, 10, 10, 10, each) for each in (1, 20, nan, 4)]})
    run = work(feed)
    assert same(run.told("volume")[1:], [20.0, nan, 4.0])


def test_without_volume_in_the_feed_it_is_missing(work: Work) -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(3)]
    prices = dict.fromkeys(("open", "high", "low", "close"), 10.0)
    rows = [{"symbol": "A", "session": day, **prices} for day in days]
    run = work(DataFeed(pl.DataFrame(rows), stamp="session", calendar="24/7"))
    assert same(run.told("volume", "total_volume")[1:], [(nan, nan)] * 2)


# -- estimates ---------------------------------------------------------------------------------------------

CLOSES = (100.0, 110.0, 99.0, 108.9, 98.01, 98.01)
VOLUMES = (1_000.0, 3_000.0, 8_000.0, 4_000.0, 6_000.0, 7_000.0)


def test_averages_go_over_the_sessions_before_the_present_one(work: Work, daily: Build) -> None:
    """On a market that never closes the close of a day is the first instant of the next session.

    Returns of the days 2 to 6: +10%, -10%, +10%, -10%, 0.
    """
    feed = daily({"A": [(c, c, c, c, v) for c, v in zip(CLOSES, VOLUMES, strict=True)]})
    run = work(feed, average_days=3)
    found = run.told("average_volume", "volatility")
    returns = [after / before - 1 for before, after in pairwise(CLOSES)]
    volumes = [statistics.mean(VOLUMES[max(0, n - 2) : n + 1]) for n in range(6)]
    assert [volume for volume, _ in found] == pytest.approx(volumes, rel=1e-12)
    # A return of the session belongs to those of the last three that end in them.
    expected = [nan, nan, *(statistics.stdev(returns[max(0, n - 3) : n]) for n in range(2, 6))]
    assert [v for _, v in found] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_averages_are_missing_unless_the_class_asks_for_them(work: Work, daily: Build) -> None:
    run = work(daily({"A": list(CLOSES)}))
    assert same(set(map(repr, run.told("average_volume", "volatility"))), {"(nan, nan)"})


def test_the_present_session_is_in_no_average(work: Work, minutes: Build) -> None:
    """Three minutes a day with a million each: three million a day, known from the second day on."""
    run = work(minutes(["2024-03-04", "2024-03-05", "2024-03-06"]), average_days=20)
    assert same(run.told("average_volume"), [nan] * 3 + [3e6] * 6)


# -- time --------------------------------------------------------------------------------------------------


def hourly(stamps: list[str]) -> DataFeed:
    """Bars of one minute of XNYS that end at the given times of New York."""
    rows = [
        {"symbol": "A", "timestamp": dt.datetime.fromisoformat(at), "volume": 1.0}
        | dict.fromkeys(("open", "high", "low", "close"), 10.0)
        for at in stamps
    ]
    return DataFeed(pl.DataFrame(rows), stamp="close", interval="1m", timezone=EASTERN, calendar="XNYS")


def test_elapsed_time_counts_sessions_and_a_half_day_is_one(work: Work) -> None:
    """Thanksgiving 2024: Wednesday 6.5 hours, Thursday closed, Friday 3.5 hours (until 13:00)."""
    feed = hourly(
        [
            "2024-11-27T12:45",  # 3.25 hours of 6.5: the middle
            "2024-11-27T14:04",  # 79 minutes later, of 390
            "2024-11-27T16:00",  # the close
            "2024-11-29T09:51",  # 21 minutes of 210
            "2024-11-29T13:00",
            "2024-12-02T10:09",  # 39 minutes of 390
        ]
    )
    run = work(feed)
    expected = [0.0, 79 / 390, 0.5, 0.5 + 0.1, 1.5, 1.5 + 0.1]
    assert run.told("elapsed") == pytest.approx(expected, abs=1e-12)


def test_what_lies_between_sessions_does_not_count(work: Work) -> None:
    """Given at a close, a weekend and a holiday before the next session."""
    run = work(hourly(["2024-01-12T16:00", "2024-01-16T09:31", "2024-01-16T16:00"]))
    assert run.told("elapsed") == pytest.approx([0.0, 1 / 390, 1.0], abs=1e-12)


def test_on_a_market_that_never_closes_a_session_is_a_day(work: Work, market: Build) -> None:
    run = work(market("trade", [(6, 10, 1), (12, 10, 1), (30, 10, 1), (60, 10, 1)]))
    assert run.told("elapsed") == pytest.approx([0.0, 0.25, 1.0, 2.25], abs=1e-12)


# -- chance ------------------------------------------------------------------------------------------------


def test_draws_are_uniform_new_at_every_question_and_the_same_when_the_run_is_repeated(
    work: Work, daily: Build
) -> None:
    feed = daily({"A": [10] * 200})
    first, again = (work(feed).told("random") for _ in range(2))
    assert first == again
    flat = [draw for draws in first for draw in draws]
    assert len(set(flat)) == len(flat) == 800
    assert all(0.0 <= draw < 1.0 for draw in flat)
    # Mean of 800 uniform draws: 0.5 with a deviation of sqrt(1/12/800) = 0.0102.
    assert abs(statistics.mean(flat) - 0.5) < 0.05
    assert work(feed, backtest={"seed": 7}).told("random") != first


def test_two_orders_have_draws_of_their_own(play: Callable[..., Run], daily: Build, scripted: Run) -> None:
    one, other = scripted(), scripted()

    def both(now: Run) -> None:
        now.broker.execute("A", 1, one)
        now.broker.execute("A", 1, other)

    play({0: both}, daily({"A": [10, 11]}))
    assert one.asked[0].random != other.asked[0].random
