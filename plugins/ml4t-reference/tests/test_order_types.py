"""Order types, times in force, instructions and changes, worked by hand.

Most cases play on the bar of `docs/concepts/fills-on-bars.md`: a flat day at 100.00 on which the order is
sent, then open 100.00, high 103.00, low 97.00, close 101.00. The market never closes; sessions end at
midnight.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Instrument, Results, Strategy, TrailingStop
from ml4t.core.errors import OrderError

Action = Callable[[Any], object]
FLAT = (100, 100, 100, 100)
BAR = (100, 103, 97, 101)
DAY = dt.date(2024, 1, 1)
START = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)


def days(*bars: tuple[float, ...], symbol: str = "A") -> pl.DataFrame:
    """Return daily bars: open, high, low, close and, where given, volume."""
    names = ("open", "high", "low", "close", "volume")
    return pl.DataFrame(
        [
            {"symbol": symbol, "session": DAY + dt.timedelta(days=n), "volume": 1e6}
            | dict(zip(names, map(float, prices), strict=False))
            for n, prices in enumerate(bars)
        ]
    )


def daily(*bars: tuple[float, ...], **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    return DataFeed(days(*bars), stamp="session", calendar="24/7", **options)


def hourly(*bars: tuple[float, ...], start: dt.datetime = START) -> DataFeed:
    names = ("open", "high", "low", "close", "volume")
    rows = [
        {"symbol": "A", "timestamp": start + dt.timedelta(hours=n), "volume": 1e6}
        | dict(zip(names, map(float, prices), strict=False))
        for n, prices in enumerate(bars)
    ]
    return DataFeed(pl.DataFrame(rows), stamp="open", interval="1h", calendar="24/7")


def quotes(*sides: tuple[float | None, float | None], **options: Any) -> DataFeed:  # noqa: ANN401
    """Return quotes an hour apart: bid, ask."""
    step = options.pop("step", 60)
    start = options.pop("start", START)
    rows = [
        {
            "symbol": "A",
            "timestamp": start + dt.timedelta(minutes=step * n),
            "bid_price": bid,
            "ask_price": ask,
            "bid_size": 1e6,
            "ask_size": 1e6,
        }
        for n, (bid, ask) in enumerate(sides)
    ]
    schema = {"symbol": pl.String, "timestamp": pl.Datetime("ns", "UTC"), "bid_price": pl.Float64}
    schema |= {"ask_price": pl.Float64, "bid_size": pl.Float64, "ask_size": pl.Float64}
    return DataFeed(pl.DataFrame(rows, schema=schema), kind="quote", stamp="event", calendar="24/7")


def prints(*prices: float, step: int = 60, start: dt.datetime = START) -> DataFeed:
    rows = [
        {
            "symbol": "A",
            "timestamp": start + dt.timedelta(minutes=step * n),
            "price": float(price),
            "size": 1e6,
        }
        for n, price in enumerate(prices)
    ]
    return DataFeed(pl.DataFrame(rows), kind="trade", stamp="event", calendar="24/7")


def play(feed: DataFeed, steps: dict[int, Action], **broker: Any) -> Results:  # noqa: ANN401
    """Run steps by the number of the call of `on_data`; short positions are allowed unless said otherwise."""

    class Script(Strategy):
        def on_start(self) -> None:
            self.calls = 0

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if self.calls in steps:
                steps[self.calls](self)
            self.calls += 1

    config = {"backtest": {"engine": "reference"}, "broker": {"allows_short": True, "leverage": 4} | broker}
    return Engine(feed, Script, config=config).run()


def send(side: str, quantity: float = 10, **terms: Any) -> Action:  # noqa: ANN401 - of `OrderTerms`
    return lambda now: getattr(now.broker, side)("A", quantity, **terms)


def fills(results: Results) -> list[tuple[Any, ...]]:
    return results.fills.select("price", "quantity").rows()


def ends(results: Results) -> list[tuple[Any, ...]]:
    return results.orders.select("status", "reason_code").rows()


def at(day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    return dt.datetime(2024, 1, day, hour, minute, tzinfo=dt.UTC)


# -- types on the bar of the table ---------------------------------------------------------------------------

IF_TOUCHED = {"order_type": "market_if_touched"}
LIMIT_TOUCHED = {"order_type": "limit_if_touched"}
TRAILING = {"order_type": "trailing_stop"}
TRAILING_LIMIT = {"order_type": "trailing_stop_limit"}


@pytest.mark.parametrize(
    ("side", "terms", "price", "phase", "liquidity"),
    [
        ("buy", {}, 100.0, "open", "taker"),
        ("buy", {"limit_price": 98}, 98.0, "range", "maker"),
        ("sell", {"stop_price": 98}, 98.0, "range", "taker"),
        ("buy", {"stop_price": 102, "limit_price": 102.5}, 102.0, "range", "taker"),
        # The market falls to 98.00 and stands there.
        ("buy", IF_TOUCHED | {"stop_price": 98}, 98.0, "range", "taker"),
        ("sell", IF_TOUCHED | {"stop_price": 102}, 102.0, "range", "taker"),
        ("buy", IF_TOUCHED | {"stop_price": 97}, 97.0, "range", "taker"),
        # The open is there already: it triggers at the open.
        ("buy", IF_TOUCHED | {"stop_price": 101}, 100.0, "open", "taker"),
        ("buy", IF_TOUCHED | {"stop_price": 100}, 100.0, "open", "taker"),
        ("buy", LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 98.5}, 98.0, "range", "taker"),
        ("sell", LIMIT_TOUCHED | {"stop_price": 102, "limit_price": 101}, 102.0, "range", "taker"),
        ("buy", LIMIT_TOUCHED | {"stop_price": 101, "limit_price": 102}, 100.0, "open", "taker"),
        # Triggered by the open, which the limit does not allow: it rests from there on.
        ("buy", LIMIT_TOUCHED | {"stop_price": 101, "limit_price": 98}, 98.0, "range", "maker"),
        ("sell", TRAILING | {"trail_amount": 3}, 97.0, "range", "taker"),
        ("buy", TRAILING | {"trail_amount": 3}, 103.0, "range", "taker"),
        ("sell", TRAILING | {"trail_fraction": 0.02}, 98.0, "range", "taker"),
        ("sell", TRAILING_LIMIT | {"trail_amount": 3, "limit_offset": 1}, 97.0, "range", "taker"),
        # 100.00 - 2.995 is 97.005, and the tick farther away from the market is 97.00.
        ("sell", TRAILING | {"trail_amount": "2.995"}, 97.0, "range", "taker"),
        ("buy", TRAILING | {"trail_amount": "2.995"}, 103.0, "range", "taker"),
        # The open activates it and begins the water mark.
        ("sell", TRAILING | {"trail_amount": 3, "activation_price": 100}, 97.0, "range", "taker"),
        ("sell", {"order_type": "market_on_open"}, 100.0, "open", "taker"),
        ("buy", {"order_type": "limit_on_open", "limit_price": 100}, 100.0, "open", "taker"),
        ("buy", {"order_type": "market_on_close"}, 101.0, "close", "taker"),
        ("buy", {"order_type": "limit_on_close", "limit_price": 101}, 101.0, "close", "taker"),
        ("buy", {"time_in_force": "ioc"}, 100.0, "open", "taker"),
        ("buy", {"time_in_force": "fok", "limit_price": 102}, 100.0, "open", "taker"),
    ],
)
def test_an_order_fills_on_the_bar_of_the_table(
    side: str, terms: dict[str, Any], price: float, phase: str, liquidity: str
) -> None:
    results = play(daily(FLAT, BAR), {0: send(side, **terms)})
    assert results.fills.select("price", "quantity", "phase", "liquidity").rows() == [
        (price, 10.0, phase, liquidity)
    ]


@pytest.mark.parametrize(
    ("side", "terms", "status", "code"),
    [
        ("buy", IF_TOUCHED | {"stop_price": 96}, "canceled", "END_OF_DATA"),
        ("sell", IF_TOUCHED | {"stop_price": 104}, "canceled", "END_OF_DATA"),
        # Triggered at 98.00, above its limit: it rests, and what the bar did afterwards is unknown.
        ("buy", LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 97.5}, "canceled", "END_OF_DATA"),
        ("sell", TRAILING | {"trail_amount": 4}, "canceled", "END_OF_DATA"),
        ("sell", TRAILING | {"trail_amount": 3, "activation_price": 101}, "canceled", "END_OF_DATA"),
        ("buy", {"time_in_force": "ioc", "limit_price": 99}, "canceled", "NOT_FILLED_AT_ONCE"),
        ("buy", {"time_in_force": "fok", "limit_price": 99}, "canceled", "NOT_FILLED_AT_ONCE"),
        ("buy", {"order_type": "limit_on_open", "limit_price": 99}, "expired", "NOT_FILLED_AT_OPEN"),
        ("buy", {"order_type": "limit_on_close", "limit_price": 100}, "expired", "NOT_FILLED_AT_CLOSE"),
        ("buy", {"limit_price": 100, "post_only": True}, "rejected", "POST_ONLY_WOULD_TAKE"),
        ("buy", {"reduce_only": True}, "rejected", "NOTHING_TO_REDUCE"),
    ],
)
def test_an_order_does_not_fill_on_the_bar_of_the_table(
    side: str, terms: dict[str, Any], status: str, code: str
) -> None:
    results = play(daily(FLAT, BAR), {0: send(side, **terms)})
    assert fills(results) == []
    assert ends(results) == [(status, code)]


def test_slippage_comes_on_top_of_a_market_if_touched_and_not_of_a_limit_if_touched() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 1, order_type="market_if_touched", stop_price=98),
            now.broker.buy("A", 1, order_type="limit_if_touched", stop_price=98, limit_price=98.5),
        )
    }
    results = play(daily(FLAT, BAR), steps, slippage_model={"type": "Spread", "spread": 0.04})
    assert results.fills.select("reference_price", "price").rows() == [(98.0, 98.02), (98.0, 98.0)]


def test_a_trigger_needs_a_touch_even_where_limits_need_more() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 1, order_type="market_if_touched", stop_price=97),
            now.broker.buy("A", 1, limit_price=97),
        )
    }
    results = play(daily(FLAT, BAR), steps, policies={"limit_touch": "through"})
    assert fills(results) == [(97.0, 1.0)]


def test_a_closing_order_if_touched_comes_after_a_stop_among_the_targets() -> None:
    steps: dict[int, Action] = {
        0: send("buy"),
        1: lambda now: (
            now.broker.sell("A", 10, order_type="market_if_touched", stop_price=102, reduce_only=True),
            now.broker.sell("A", 10, stop_price=98, reduce_only=True),
        ),
    }
    results = play(daily(FLAT, FLAT, BAR), steps)
    assert fills(results) == [(100.0, 10.0), (98.0, 10.0)]
    assert ends(results)[1:] == [("rejected", "NOTHING_TO_REDUCE"), ("filled", "")]


def test_a_limit_if_touched_that_was_triggered_rests_in_the_next_bar() -> None:
    """Triggered at 98.00 with a limit of 97.50; the next bar opens at 96.00, where a resting limit makes."""
    terms = LIMIT_TOUCHED | {"stop_price": 98, "limit_price": 97.5}
    results = play(daily(FLAT, BAR, (96, 96, 96, 96)), {0: send("buy", **terms)})
    assert results.fills.select("price", "liquidity").rows() == [(96.0, "maker")]


def test_a_price_off_the_tick_of_an_order_if_touched_goes_to_where_it_triggers_later() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 1, order_type="market_if_touched", stop_price=90.005),
            now.broker.sell("A", 1, order_type="market_if_touched", stop_price=110.005),
            now.broker.sell("A", 1, order_type="trailing_stop", trail_amount=9, activation_price=110.005),
        )
    }
    results = play(daily(FLAT, BAR), steps, policies={"tick_rounding": "passive"})
    assert results.orders.select("stop_price", "activation_price").rows() == [
        (90.0, None),
        (110.01, None),
        (None, 110.01),
    ]


# -- trailing stops ------------------------------------------------------------------------------------------


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
    feed = DataFeed(pl.concat([clock, late]), stamp="session", calendar="24/7")
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
    actions = pl.DataFrame(
        {"symbol": ["A"], "ex_date": [dt.date(2024, 1, 3)], "kind": ["split"], "ratio": ["2"]}
    )
    steps = {0: send("sell", **TRAILING_LIMIT, trail_amount="3.01", limit_offset=1)}
    results = play(daily(FLAT, (100, 102, 100, 100), (50, 50, 50, 50), actions=actions), steps)
    row = results.orders.select("quantity", "trail_amount", "limit_offset", "stop_price", "limit_price")
    # 102.00 becomes 51.00; less 1.505 it is 49.495, and the tick below is 49.49.
    assert row.rows() == [(20.0, 1.505, 0.5, 49.49, 48.99)]


# -- times in force ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expire_at", "expires"),
    [
        ("2024-01-03", at(4)),
        (dt.date(2024, 1, 3), at(4)),
        ("2024-01-03T12:00:00Z", at(3, 12)),
        (at(3, 12), at(3, 12)),
        (at(3, 12).astimezone(dt.timezone(dt.timedelta(hours=5))), at(3, 12)),
    ],
)
def test_a_gtd_order_works_to_its_time(expire_at: object, expires: dt.datetime) -> None:
    steps = {0: send("buy", limit_price=90, time_in_force="gtd", expire_at=expire_at)}
    results = play(daily(*(FLAT,) * 5), steps)
    assert results.orders.select("status", "reason_code", "ts_expires", "ts_closed").rows() == [
        ("expired", "TIME_EXPIRED", expires, expires)
    ]


def test_a_gtd_order_whose_time_has_come_is_rejected() -> None:
    steps = {0: send("buy", time_in_force="gtd", expire_at=at(2))}
    assert ends(play(daily(FLAT, FLAT), steps)) == [("rejected", "TIME_EXPIRED")]


@pytest.mark.parametrize(("life", "filled"), [("ioc", [(100.0, 50.0)]), ("fok", [])])
def test_what_a_cap_leaves_of_an_order_at_once_is_canceled_when_that_is_booked(
    life: str, filled: list[Any]
) -> None:
    results = play(
        daily(FLAT, (*BAR, 500), BAR),
        {0: send("buy", 80, time_in_force=life)},
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert fills(results) == filled
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]
    assert results.orders["ts_closed"].to_list() == [at(3)]


def test_a_bar_without_volume_ends_an_order_at_once() -> None:
    results = play(daily(FLAT, (*FLAT, 0), FLAT), {0: send("buy", time_in_force="ioc")})
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]
    assert results.orders["ts_closed"].to_list() == [at(2)]


@pytest.mark.parametrize(
    ("timing", "step", "price", "when"), [("next_close", 0, 101.0, at(3)), ("same_close", 1, 101.0, at(3))]
)
def test_a_market_order_at_once_meets_the_close_where_market_orders_fill_there(
    timing: str, step: int, price: float, when: dt.datetime
) -> None:
    steps = {step: send("buy", time_in_force="ioc")}
    results = play(daily(FLAT, BAR, FLAT), steps, policies={"fill_timing": timing})
    assert results.fills.select("price", "ts_event").rows() == [(price, when)]


def test_an_order_at_once_meets_the_first_quote_and_no_other() -> None:
    feed = quotes((99, 101), (99, 101), (97, 98))
    results = play(feed, {0: send("buy", limit_price=100, time_in_force="ioc")})
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]
    assert results.orders["ts_closed"].to_list() == [at(2, 1)]


def test_a_fok_order_that_cash_pays_only_in_part_ends() -> None:
    results = play(
        daily(FLAT, BAR),
        {0: send("buy", 15, time_in_force="fok")},
        initial_cash=1000,
        leverage=1,
        allows_short=False,
        policies={"insufficient_cash": "partial"},
    )
    assert fills(results) == []
    assert ends(results) == [("canceled", "NOT_FILLED_AT_ONCE")]


def test_a_fok_order_that_cash_cannot_pay_is_rejected() -> None:
    """The gap to 110.00 costs more than was set aside at 100.00."""
    results = play(
        daily(FLAT, (110, 110, 110, 110)),
        {0: send("buy", 10, time_in_force="fok")},
        initial_cash=1000,
        leverage=1,
        allows_short=False,
    )
    assert ends(results) == [("rejected", "INSUFFICIENT_CASH")]


@pytest.mark.parametrize("timing", ["next_open", "next_close", "same_close"])
def test_an_order_of_the_opening_takes_the_open_whatever_the_timing(timing: str) -> None:
    steps = {0: send("buy", order_type="market_on_open")}
    results = play(daily(FLAT, BAR, FLAT), steps, policies={"fill_timing": timing})
    assert results.fills.select("price", "phase", "ts_event").rows() == [(100.0, "open", at(2))]
    assert results.orders.select("order_type", "time_in_force").rows() == [("market", "opg")]


def test_an_order_of_the_opening_waits_for_the_next_session() -> None:
    feed = hourly(*((100 + n, 100 + n, 100 + n, 100 + n) for n in range(6)), start=at(2, 21))
    # Sent at 22:00, it lets the bars of 22:00 and 23:00 pass.
    results = play(feed, {0: send("buy", time_in_force="opg")})
    assert results.fills.select("price", "ts_event").rows() == [(103.0, at(3))]
    assert results.orders["ts_expires"].to_list() == [at(4)]


def test_an_order_of_the_opening_expires_at_the_close_of_a_session_that_brings_nothing() -> None:
    frame = days(FLAT, FLAT, FLAT).filter(pl.col("session") != dt.date(2024, 1, 2))
    feed = DataFeed(frame, stamp="session", calendar="24/7")
    results = play(feed, {0: send("buy", time_in_force="opg")})
    assert results.orders.select("status", "reason_code", "ts_closed").rows() == [
        ("expired", "NOT_FILLED_AT_OPEN", at(3))
    ]


def test_an_order_of_the_opening_takes_the_first_quote_of_the_session() -> None:
    feed = quotes((99, 101), (99, 102), (99, 103), (99, 104), start=at(2, 22))
    # Sent at 22:00; 23:00 passes, and midnight is the first of the next session.
    results = play(feed, {0: send("buy", time_in_force="opg")})
    assert results.fills.select("price", "ts_event").rows() == [(103.0, at(3))]


@pytest.mark.parametrize("timing", ["next_open", "next_close", "same_close"])
def test_an_order_of_the_close_takes_the_bar_that_ends_with_the_session(timing: str) -> None:
    feed = hourly(*((100 + n, 101 + n, 100 + n, 100.5 + n) for n in range(5)), start=at(2, 21))
    results = play(feed, {0: send("buy", time_in_force="cls")}, policies={"fill_timing": timing})
    assert results.fills.select("price", "phase", "ts_event").rows() == [(102.5, "close", at(3))]


def test_an_order_of_the_close_that_came_inside_the_last_bar_expires() -> None:
    feed = hourly((100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 100, 100), start=at(2, 22))
    results = play(feed, {0: send("buy", time_in_force="cls")}, latency="90m")
    # It is active at 00:30 and belongs to the session that ends after the data.
    assert ends(results) == [("canceled", "END_OF_DATA")]
    results = play(feed, {0: send("buy", time_in_force="cls")}, latency="30m")
    assert ends(results) == [("expired", "NOT_FILLED_AT_CLOSE")]


def test_an_order_of_the_close_takes_the_last_quote_of_the_session() -> None:
    feed = quotes((99, 101), (99, 102), (99, 103), (99, 104), step=50, start=at(2, 22))
    # 22:00, 22:50, 23:40 and 00:30: at midnight it takes the ask of 23:40.
    results = play(feed, {0: send("buy", time_in_force="cls")})
    assert results.fills.select("price", "phase", "ts_event", "liquidity").rows() == [
        (103.0, "close", at(3), "taker")
    ]


def test_an_order_of_the_close_takes_no_print_of_before_it_was_active() -> None:
    feed = prints(100, 101, 102, step=80, start=at(2, 22))
    # 22:00, 23:20 and 00:40; sent at 23:20.
    results = play(feed, {1: send("buy", time_in_force="cls")})
    assert results.orders.select("status", "reason_code", "ts_closed").rows() == [
        ("expired", "NOT_FILLED_AT_CLOSE", at(3))
    ]


@pytest.mark.parametrize(
    ("life", "price", "code"),
    [("opg", 100.0, "NOT_FILLED_AT_OPEN"), ("cls", 101.0, "NOT_FILLED_AT_CLOSE")],
)
def test_what_a_cap_leaves_at_the_opening_or_the_close_expires(life: str, price: float, code: str) -> None:
    results = play(
        daily(FLAT, (*BAR, 500), BAR),
        {0: send("buy", 80, time_in_force=life)},
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert results.fills.select("price", "quantity", "ts_event").rows() == [(price, 50.0, at(3))]
    assert results.orders.select("status", "reason_code", "ts_closed").rows() == [("expired", code, at(3))]


def test_orders_at_once_that_found_nothing_end_by_submission_after_the_event() -> None:
    """The second has a fill of its own; the others end when the open was matched for all."""
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 1, limit_price=90, time_in_force="ioc"),
            now.broker.buy("A", 2, time_in_force="ioc"),
            now.broker.buy("A", 3, limit_price=90, time_in_force="fok"),
        )
    }
    results = play(daily(FLAT, BAR), steps)
    closed = results.order_events.filter(pl.col("status").is_in(["filled", "canceled"]))
    assert closed.select("order_id", "status").rows() == [(2, "filled"), (1, "canceled"), (3, "canceled")]


def test_a_day_order_shows_when_it_expires() -> None:
    results = play(daily(FLAT, BAR, FLAT), {0: send("buy", limit_price=90, time_in_force="day")})
    assert results.orders.select("status", "reason_code", "ts_expires").rows() == [
        ("expired", "SESSION_CLOSED", at(3))
    ]


# -- instructions --------------------------------------------------------------------------------------------


def test_a_post_only_order_that_the_market_made_wait_makes() -> None:
    steps = {0: send("buy", limit_price=99, post_only=True)}
    results = play(daily(FLAT, (100, 100, 100, 100), (98, 98, 98, 98)), steps)
    assert results.fills.select("price", "liquidity").rows() == [(98.0, "maker")]
    assert results.orders["instructions"].to_list() == ["post_only"]


def test_a_reduce_only_order_fills_what_closes_the_position_and_ends() -> None:
    steps: dict[int, Action] = {0: send("buy", 6), 1: send("sell", 10, reduce_only=True)}
    results = play(daily(FLAT, FLAT, BAR), steps)
    assert fills(results) == [(100.0, 6.0), (100.0, 6.0)]
    assert ends(results) == [("filled", ""), ("canceled", "NOTHING_TO_REDUCE")]
    last = results.order_events.filter(order_id=2)["status"].to_list()
    assert last == ["submitted", "accepted", "partially_filled", "canceled"]


def test_a_reduce_only_order_may_be_sent_while_nothing_is_held_and_costs_no_buying_power() -> None:
    seen: list[float] = []
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.sell("A", 10, limit_price=103, reduce_only=True),
            now.broker.buy("A", 10, limit_price=98),
        ),
        1: lambda now: seen.append(now.broker.buying_power),
    }
    results = play(
        daily(FLAT, BAR, (102, 104, 102, 103)), steps, initial_cash=1000, leverage=1, allows_short=False
    )
    # In the second bar the buy fills at 98.00; the sell at 103.00 comes after it, in the same bar.
    assert fills(results) == [(98.0, 10.0), (103.0, 10.0)]
    assert seen == [1050.0]


def test_an_all_or_none_order_waits_for_a_bar_that_gives_all_of_it() -> None:
    steps = {0: send("buy", 80, all_or_none=True)}
    results = play(
        daily(FLAT, (*FLAT, 500), (*FLAT, 1000), FLAT),
        steps,
        fill_model={"type": "Default", "volume_limit": 0.1},
    )
    assert results.fills.select("quantity", "ts_event").rows() == [(80.0, at(4))]


def test_a_resting_limit_shows_so_much_on_prints_and_nothing_is_hidden_on_bars() -> None:
    terms = {"limit_price": 99, "display_quantity": 4}
    results = play(prints(100, 100, 99, 98, 97), {0: send("buy", **terms)})
    assert fills(results) == [(99.0, 4.0), (99.0, 4.0), (99.0, 2.0)]
    # Not resting yet, it takes all that it finds.
    assert fills(play(prints(100, 98, 97), {0: send("buy", **terms)})) == [(98.0, 10.0)]
    assert fills(play(daily(FLAT, BAR), {0: send("buy", **terms)})) == [(99.0, 10.0)]


def test_an_all_or_none_order_that_cash_pays_only_in_part_goes_on_working() -> None:
    results = play(
        daily(FLAT, (200, 200, 200, 200), (90, 90, 90, 90)),
        {0: send("buy", 10, all_or_none=True)},
        initial_cash=1000,
        leverage=1,
        allows_short=False,
        policies={"insufficient_cash": "partial"},
    )
    assert fills(results) == [(90.0, 10.0)]


def test_an_order_for_all_that_only_reduces_takes_all_that_can_be_reduced() -> None:
    steps: dict[int, Action] = {
        0: send("buy", 6),
        1: send("sell", 10, reduce_only=True, time_in_force="fok"),
    }
    results = play(daily(FLAT, FLAT, BAR), steps)
    assert fills(results) == [(100.0, 6.0), (100.0, 6.0)]
    assert ends(results)[1] == ("canceled", "NOTHING_TO_REDUCE")


def test_instructions_are_listed_in_their_order() -> None:
    steps = {0: send("buy", limit_price=98, all_or_none=True, reduce_only=True, post_only=True)}
    assert play(daily(FLAT, BAR), steps).orders["instructions"].to_list() == [
        "post_only reduce_only all_or_none"
    ]


# -- what is refused where it is written ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "error", "words"),
    [
        ({"price": 3}, TypeError, "unexpected keyword argument 'price'"),
        (
            {"limit_price": 99, "trail_amount": 1},
            OrderError,
            r"a limit order takes no trail_amount \(A, 2024",
        ),
        ({"order_type": "market_if_touched"}, OrderError, "needs a stop_price"),
        ({"order_type": "limit_if_touched", "stop_price": 9}, OrderError, "needs a limit_price"),
        (TRAILING, OrderError, "needs trail_amount or trail_fraction"),
        (TRAILING | {"trail_amount": 1, "trail_fraction": 0.1}, OrderError, "not both"),
        (TRAILING | {"trail_amount": 1, "limit_offset": 1}, OrderError, "takes no limit_offset"),
        (TRAILING | {"trail_amount": 0}, OrderError, "above 0"),
        (TRAILING | {"trail_fraction": 1}, OrderError, "below 1"),
        (TRAILING | {"trail_fraction": "0.0000000001"}, OrderError, "above 0"),
        (TRAILING_LIMIT | {"trail_amount": 1}, OrderError, "needs a limit_offset"),
        (TRAILING_LIMIT | {"trail_amount": 1, "limit_offset": -1}, OrderError, "0 or above"),
        ({"stop_price": 9, "activation_price": 8}, OrderError, "takes no activation_price"),
        ({"stop_price": 9, "time_in_force": "ioc"}, OrderError, "takes no time_in_force ioc; allowed: gtc"),
        (TRAILING | {"trail_amount": 1, "time_in_force": "cls"}, OrderError, "takes no time_in_force cls"),
        ({"time_in_force": "gtd"}, OrderError, "needs expire_at"),
        ({"expire_at": at(5)}, OrderError, "a gtc order takes no expire_at; allowed with gtd"),
        ({"post_only": True}, OrderError, "a market order takes no post_only; allowed with limit"),
        ({"display_quantity": 1}, OrderError, "a market order takes no display_quantity"),
        ({"limit_price": 9, "post_only": True, "time_in_force": "fok"}, OrderError, "takes no post_only"),
        ({"limit_price": 9, "display_quantity": 11}, OrderError, "not above the quantity"),
        ({"limit_price": 9, "display_quantity": 1.5}, OrderError, "not a multiple of lot_size 1"),
        ({"limit_price": 9, "post_only": 1}, TypeError, "True or False"),
        ({"time_in_force": "gtd", "expire_at": dt.datetime(2024, 1, 5)}, OrderError, "no time zone"),
        ({"time_in_force": "gtd", "expire_at": "soon"}, OrderError, "neither"),
        ({"time_in_force": "gtd", "expire_at": 5}, OrderError, "found 5"),
        (
            {"time_in_force": "gtd", "expire_at": dt.date(1800, 1, 5)},
            OrderError,
            "1800-01-05: .*no such session",
        ),
        ({"order_type": "market_on_open", "time_in_force": "day"}, OrderError, "takes no time_in_force day"),
        ({"order_type": "limit_on_close"}, OrderError, "a limit order needs a limit_price"),
        ({"order_type": "iceberg"}, OrderError, "allowed: market, .*trailing_stop_limit, market_on_open"),
    ],
)
def test_terms_that_do_not_fit_are_refused_at_the_call(
    terms: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        play(daily(FLAT, BAR), {0: send("buy", **terms)})


def test_an_activation_price_off_the_tick_is_rejected_and_an_amount_is_not() -> None:
    terms = TRAILING | {"trail_amount": "1.00001"}
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.sell("A", 1, **terms, activation_price="110.001"),
            now.broker.sell("A", 1, **terms, activation_price="110"),
        )
    }
    assert ends(play(daily(FLAT, BAR), steps)) == [("rejected", "OFF_TICK"), ("canceled", "END_OF_DATA")]


def test_a_trailing_order_reserves_at_the_last_price() -> None:
    steps: dict[int, Action] = {
        0: lambda now: (
            now.broker.buy("A", 10, **TRAILING, trail_amount=50),
            now.broker.buy("A", 1),
        )
    }
    results = play(daily(FLAT, BAR), steps, initial_cash=1000, leverage=1, allows_short=False)
    assert ends(results) == [("canceled", "END_OF_DATA"), ("rejected", "INSUFFICIENT_BUYING_POWER")]


# -- changes -------------------------------------------------------------------------------------------------


class Changes:
    """Sends one order at the first call and changes it at the second."""

    def __init__(self, side: str, terms: dict[str, Any], size: float = 10, **changes: Any) -> None:  # noqa: ANN401
        self.side, self.terms, self.size, self.changes = side, terms, size, changes
        self.pending: list[str | None] = []
        self.answers: list[bool] = []

    def send(self, now: Any) -> None:  # noqa: ANN401 - the running strategy
        self.order = getattr(now.broker, self.side)("A", self.size, **self.terms)

    def change(self, now: Any) -> None:  # noqa: ANN401
        self.answers.append(now.broker.modify_order(self.order, **self.changes))

    def look(self, now: Any) -> None:  # noqa: ANN401
        self.pending.append(self.order.pending)


def codes(results: Results) -> list[str]:
    return [code for code in results.order_events["reason_code"].to_list() if code]


def test_a_change_without_latency_follows_at_once() -> None:
    case = Changes("buy", {"limit_price": 90}, quantity=20, limit_price=98)
    results = play(daily(FLAT, FLAT, BAR), {0: case.send, 1: case.change})
    assert case.answers == [True]
    assert fills(results) == [(98.0, 20.0)]
    row = results.order_events.filter(reason_code="REPLACED").row(0, named=True)
    assert (row["status_from"], row["status"], row["ts_event"]) == ("accepted", "accepted", at(3))
    assert codes(results) == ["REPLACED"]


def test_a_limit_with_a_new_price_has_not_rested() -> None:
    """At 90.00 it had to wait; at 99.00 the open of 98.00 finds it marketable."""
    case = Changes("buy", {"limit_price": 90}, limit_price=99)
    results = play(daily(FLAT, FLAT, (98, 98, 98, 98)), {0: case.send, 1: case.change})
    assert results.fills.select("price", "liquidity").rows() == [(98.0, "taker")]


def test_another_quantity_alone_lets_it_rest() -> None:
    case = Changes("buy", {"limit_price": 99}, quantity=30)
    results = play(daily(FLAT, FLAT, (98, 98, 98, 98)), {0: case.send, 1: case.change})
    assert results.fills.select("price", "quantity", "liquidity").rows() == [(98.0, 30.0, "maker")]


@pytest.mark.parametrize(
    ("terms", "changes", "code"),
    [
        ({"limit_price": 90}, {"limit_price": "90.001"}, "REPLACE_REJECTED"),
        ({"limit_price": 90}, {"limit_price": -1}, "REPLACE_REJECTED"),
        ({"limit_price": 90}, {"quantity": 1.5}, "REPLACE_REJECTED"),
        ({"limit_price": 90}, {"quantity": 100_000}, "REPLACE_REJECTED"),
        (
            {"limit_price": 90, "time_in_force": "gtd", "expire_at": at(9)},
            {"expire_at": at(3)},
            "REPLACE_REJECTED",
        ),
        ({"limit_price": 90}, {"quantity": 5}, "REPLACED"),
        ({"limit_price": 90}, {"quantity": 20, "limit_price": 91}, "REPLACED"),
        ({"stop_price": 120}, {"stop_price": 110}, "REPLACED"),
        ({"limit_price": 90, "time_in_force": "gtd", "expire_at": at(9)}, {"expire_at": at(8)}, "REPLACED"),
        (TRAILING | {"trail_amount": 30}, {"trail_amount": 20}, "REPLACED"),
        (TRAILING | {"trail_amount": 30}, {"trail_fraction": 0.5}, "REPLACED"),
    ],
)
def test_a_change_is_made_or_refused(terms: dict[str, Any], changes: dict[str, Any], code: str) -> None:
    case = Changes("buy", terms)
    case.changes = changes
    results = play(daily(FLAT, FLAT, FLAT, FLAT), {0: case.send, 1: case.change})
    assert codes(results)[0] == code
    found = results.orders.row(0, named=True)
    if code == "REPLACED":
        names = {"expire_at": "ts_expires"}
        assert {name: found[names.get(name, name)] for name in changes} == changes
    else:
        assert found["quantity"] == 10.0
        assert found["limit_price"] == 90.0


def test_a_new_distance_moves_the_levels_from_the_same_water_mark() -> None:
    case = Changes("sell", TRAILING | {"trail_amount": 4}, trail_amount=6)
    results = play(daily(FLAT, BAR, (101, 101, 98, 98)), {0: case.send, 1: case.change})
    # 103.00 - 6: the low of 98.00 does not reach 97.00.
    assert fills(results) == []
    assert results.orders["stop_price"].to_list() == [97.0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "needs something to change"),
        ({"stop_price": 3}, "a limit order takes no stop_price"),
        ({"trail_amount": 3}, "a limit order takes no trail_amount"),
        ({"expire_at": at(9)}, "a gtc order takes no expire_at"),
        ({"quantity": 0}, "above zero"),
    ],
)
def test_changes_that_do_not_fit_are_refused_at_the_call(changes: dict[str, Any], words: str) -> None:
    case = Changes("buy", {"limit_price": 90})
    case.changes = changes
    with pytest.raises(OrderError, match=words):
        play(daily(FLAT, FLAT, BAR), {0: case.send, 1: case.change})
    case.changes = {"tag": "x"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'tag'"):
        play(daily(FLAT, FLAT, BAR), {0: case.send, 1: case.change})


def test_a_change_travels_as_long_as_an_order() -> None:
    case = Changes("buy", {"limit_price": 90}, limit_price=98)
    feed = hourly(FLAT, FLAT, FLAT, FLAT, BAR, BAR)
    steps = {0: case.send, 1: case.change, 2: case.look, 3: case.look, 4: case.look}
    results = play(feed, steps, latency="90m")
    # Asked for at 02:00, decided at 03:30, inside the bar that ends at 04:00; the next one can fill it.
    rows = results.order_events.filter(pl.col("reason_code") != "").select("reason_code", "ts_event").rows()
    assert rows == [("REPLACE_REQUESTED", at(2, 2)), ("REPLACED", at(2, 3, 30))]
    assert case.pending == ["replace", None, None]
    assert results.fills.select("price", "ts_event").rows() == [(98.0, at(2, 5))]


def test_an_order_that_was_changed_inside_a_bar_meets_nothing_of_it() -> None:
    for changes, filled in (
        ({"limit_price": 98}, []),
        ({"quantity": 20}, []),
        ({"quantity": 4}, [(97.5, 4.0)]),
    ):
        case = Changes("buy", {"limit_price": 97.5})
        case.changes = changes
        results = play(hourly(FLAT, FLAT, BAR), {0: case.send, 1: case.change}, latency="30m")
        # Decided at 02:30, inside the last bar. A smaller quantity alone keeps its standing.
        assert codes(results)[:2] == ["REPLACE_REQUESTED", "REPLACED"]
        assert fills(results) == filled


def test_a_cancel_under_way_is_a_row_and_comes_before_a_change() -> None:
    case = Changes("buy", {"limit_price": 90}, limit_price=98)

    def both(now: Any) -> None:  # noqa: ANN401
        now.broker.cancel_order(case.order)
        case.change(now)

    results = play(hourly(*(FLAT,) * 5), {0: case.send, 1: both, 2: case.look}, latency="90m")
    rows = results.order_events.filter(pl.col("reason_code") != "")
    assert rows.select("reason_code", "status_from", "status").rows() == [
        ("CANCEL_REQUESTED", "accepted", "accepted"),
        ("REPLACE_REQUESTED", "accepted", "accepted"),
        ("CANCELED_BY_REQUEST", "accepted", "canceled"),
        ("REPLACE_REJECTED", "canceled", "canceled"),
    ]
    assert case.pending == ["cancel"]


def test_a_complete_order_cannot_be_changed() -> None:
    case = Changes("buy", {}, quantity=20)
    results = play(daily(FLAT, FLAT, BAR), {0: case.send, 1: case.change})
    assert case.answers == [False]
    assert codes(results) == []


def test_a_change_finds_what_the_open_has_left_that_waits_for_its_volume() -> None:
    """Half of 100 fills 50 of 80 at the open; the change to 60, decided inside the bar, leaves 10."""
    case = Changes("buy", {}, size=80, quantity=60)
    feed = hourly((*FLAT, 100), (*FLAT, 100), (*FLAT, 100))
    config = {"fill_model": {"type": "Default", "volume_limit": 0.5}}

    class Late(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp == at(2, 1):
                case.send(self)
            if timestamp == at(2, 1, 30):
                case.change(self)

    clock = DataFeed(
        pl.DataFrame({"symbol": ["B"], "timestamp": [at(2, 1, 30)], "price": [1.0], "size": [1.0]}),
        name="clock",
        kind="trade",
        stamp="event",
        calendar="24/7",
    )
    run = {"backtest": {"engine": "reference"}, "broker": config}
    results = Engine([feed, clock], Late, config=run).run()
    assert fills(results) == [(100.0, 50.0), (100.0, 10.0)]
    events = results.order_events.filter(reason_code="REPLACED")
    assert events.select("ts_event", "filled_quantity").rows() == [(at(2, 2), 50.0)]


def test_orders_of_rules_are_not_changed_by_hand() -> None:
    def change(now: Any) -> None:  # noqa: ANN401
        (stop,) = now.broker.open_orders
        now.broker.modify_order(stop, stop_price=50)

    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(TrailingStop(pct=0.1)), now.broker.buy("A", 1)),
        1: change,
    }
    with pytest.raises(OrderError, match="kept by the rule trailing_stop"):
        play(daily(FLAT, FLAT, BAR), steps)


def test_a_fractional_instrument_shows_whole_lots_of_its_own() -> None:
    feed = DataFeed(
        days(FLAT, BAR),
        stamp="session",
        calendar="24/7",
        instruments=[Instrument.fractional("A", calendar="24/7")],
    )
    results = play(feed, {0: send("buy", 0.5, limit_price=98, display_quantity=0.25)})
    assert results.orders["display_quantity"].to_list() == [0.25]
