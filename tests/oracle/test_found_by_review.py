"""What readers of the code found, on both engines: each was wrong once, some in both alike."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Instrument, StopLoss, Strategy, TrailingStop
from ml4t.core.errors import ModelError, NumericOverflowError, OrderError
from ml4t.core.models import FillArgs, FillOut

from .play import ENGINES, Action, at, clock, days, feed_of, flat, hourly, hours, play, run, split


@ENGINES
def test_an_account_tells_nothing_of_a_price_that_has_not_arrived(engine: str) -> None:
    """Worth, position and size of a target are the same whatever the close will be that is on its way."""

    def seen(close: float) -> list[Any]:
        bars = hours(*((100, 200, 50, price) for price in (100, 100, 100, close, 100)))
        late = bars.with_columns(ts_arrival=pl.col("ts_event") + dt.timedelta(minutes=30))
        quarters = [at(0) + dt.timedelta(minutes=15 * n) for n in range(1, 21)]
        found: list[Any] = []

        class Looks(Strategy):
            def on_start(self) -> None:
                self.is_sent = False

            def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
                if not self.is_sent and data["A"]["close"] == 100.0:
                    broker.buy("A", 10)
                    self.is_sent = True
                # The close of 04:00 is on its way until 04:30.
                if at(4) <= timestamp < at(4, 30):
                    position = broker.get_position("A")
                    order = broker.order_target_percent("B", 0.5)
                    size = None if order is None else order.quantity
                    found.append((broker.get_account_value(), position.mark_price, broker.buying_power, size))
                    broker.cancel_order(order)

        feeds = [hourly(late, name="late"), clock(*quarters, price=10.0, interval="15m")]
        run(engine, feeds, Looks, leverage=2, allows_short=True)
        assert len(found) == 2
        return found

    assert seen(100.0) == seen(150.0)


@ENGINES
def test_a_close_in_front_of_a_split_fills_no_new_shares(engine: str) -> None:
    # Flat in worth: 100.00 before, 50.00 from the third day on.
    feed = feed_of(flat(100, 100, 50, 50, 50), actions=split("2/1"))
    steps: dict[int, Action] = {1: lambda now: now.broker.buy("A", 10)}
    results = play(engine, feed, steps, policies={"fill_timing": "same_close"})
    assert results.fills["price"].to_list() == [50.0]
    assert results.nav["nav"].unique().to_list() == [100_000.0]


@ENGINES
def test_a_position_that_a_reverse_split_ended_leaves_no_mark_behind(engine: str) -> None:
    frame = pl.concat([flat(1, 1, 10, 10, 10), flat(10, 10, 10, 10, 10, symbol="B")])
    steps: dict[int, Action] = {
        0: lambda now: now.broker.buy("A", 1),
        3: lambda now: (now.broker.buy("A", 100), now.broker.buy("B", 5000)),
    }
    results = play(
        engine,
        feed_of(frame, actions=split("1/10")),
        steps,
        initial_cash=2000,
        leverage=2,
        policies={"insufficient_cash": "partial"},
    )
    last = results.portfolio_history.row(-1, named=True)
    assert last["gross_exposure"] <= 2 * last["equity"]


@ENGINES
def test_a_series_of_the_market_makes_no_run_longer_and_is_known_from_its_beginning(engine: str) -> None:
    years = [dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=n) for n in range(0, 1500, 30)]
    series = pl.DataFrame({"timestamp": years, "vix": [float(n) for n in range(len(years))]})
    context = DataFeed(series, name="market", kind="context", stamp="event")
    seen: list[float] = []

    class Reads(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            seen.append(context["vix"])

    feeds = [feed_of(flat(10, 10, 10, 10)), context]
    results = run(engine, feeds, Reads)
    assert results.nav.height == 4
    assert seen == [48.0] * 4


@ENGINES
def test_signals_of_before_the_first_open_call_nobody_and_are_known(engine: str) -> None:
    signals = pl.DataFrame(
        {
            "ts_event": [dt.datetime(2023, 12, 1, tzinfo=dt.UTC), dt.datetime(2023, 12, 15, tzinfo=dt.UTC)],
            "asset_id": ["A", "A"],
            "score": [0.25, 0.75],
            "model_id": ["m", "m"],
        }
    )
    calls: list[tuple[Any, float]] = []

    class Reads(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            calls.append((timestamp.date(), data["A"]["signals"]["m"]))

    feed = feed_of(flat(10, 10), signals=signals)
    run(engine, feed, Reads)
    assert calls == [(dt.date(2024, 1, 2), 0.75), (dt.date(2024, 1, 3), 0.75)]


@ENGINES
def test_a_trailing_stop_of_an_entry_at_the_close_has_not_seen_the_high_of_its_bar(engine: str) -> None:
    bars = days((100, 100, 100, 100), (100, 120, 99, 101), (101, 103, 100, 102), (102, 102, 90, 91))
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(TrailingStop(pct=0.05)), now.broker.buy("A", 10))
    }
    results = play(engine, feed_of(bars), steps, policies={"fill_timing": "next_close"})
    # Entered at 101; the highest since is 103, so the stop stands at 103 x 0.95 = 97.85.
    assert results.fills["price"].to_list() == [101.0, 97.85]


@ENGINES
def test_a_stop_below_a_negative_price_lies_below_it(engine: str) -> None:
    bars = days((-10, -10, -10, -10), (-10, -10, -10, -10), (-10, -9.6, -10.4, -10), (-10, -9.9, -11, -11))
    instrument = Instrument("A", calendar="24/7", allows_negative_prices=True)
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(StopLoss(pct=0.05)), now.broker.buy("A", 10))
    }
    results = play(engine, feed_of(bars, instruments=[instrument]), steps)
    assert results.fills["price"].to_list() == [-10.0, -10.5]


@ENGINES
def test_a_target_beyond_64_bits_is_an_overflow(engine: str) -> None:
    steps: dict[int, Action] = {0: lambda now: now.broker.order_target_quantity("A", -(2**63))}
    with pytest.raises(NumericOverflowError):
        play(engine, feed_of(flat(10, 10)), steps, allows_short=True)


@ENGINES
def test_a_stop_that_an_entry_inside_the_bar_moves_beyond_the_market_acts_where_the_market_stood(
    engine: str,
) -> None:
    bars = days((100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 90, 91), (91, 92, 90, 91))
    steps: dict[int, Action] = {
        0: lambda now: (now.broker.set_position_rules(StopLoss(pct=0.12)), now.broker.buy("A", 10)),
        1: lambda now: now.broker.buy("A", 1000, limit_price=90),
    }
    results = play(engine, feed_of(bars), steps)
    # In by 10 at 100.00; on the way down the stop of 88.00 is not reached, and the limit fills at 90.00. The
    # average of 90.10 puts it at 79.28: nothing happens.
    assert results.fills["price"].to_list() == [100.0, 90.0]
    steps[0] = lambda now: (now.broker.set_position_rules(StopLoss(pct=0.02)), now.broker.buy("A", 10))
    steps[1] = lambda now: now.broker.buy("A", 10, limit_price=90)
    results = play(engine, feed_of(bars), steps)
    # On the worst path the entry at 90.00 comes before the stop of 98.00. It moves the stop to 95.00 x 0.98 =
    # 93.10, where the market is not any more: it stood at 90.00.
    assert results.fills["price"].to_list() == [100.0, 90.0, 90.0]


@ENGINES
def test_a_level_that_moves_inside_an_open_bar_does_not_meet_what_the_bar_did_before(engine: str) -> None:
    bars = hours((100,) * 4, (100,) * 4, (100, 100, 96, 99), (99, 99, 98.5, 99))

    class Tightens(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if timestamp.hour == 1:
                broker.set_position_rules(StopLoss(pct=0.10))
                broker.buy("A", 10)
            if timestamp.minute == 45:
                broker.set_position_rules(StopLoss(pct=0.03))

    results = run(engine, [hourly(bars, name="bars"), clock(at(2, 45))], Tightens)
    # The low of 96.00 may lie before 02:45, when the level of 97.00 came; the next hour's low is 98.50.
    assert results.fills["price"].to_list() == [100.0]


@ENGINES
@pytest.mark.parametrize(
    "terms",
    [
        {"stop_price": 95, "limit_price": float("nan")},
        {"stop_price": None, "limit_price": 104},
        {"stop_price": 95, "limit_price": 104, "time_in_force": "someday"},
        {"trail_amount": 0, "limit_price": 104},
        {"stop_price": 95, "limit_price": 104, "trail_amount": 1},
    ],
)
def test_a_bracket_sends_both_exits_or_none(engine: str, terms: dict[str, Any]) -> None:
    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("A", 10)
        with pytest.raises(OrderError):
            now.broker.bracket(entry, **terms)

    results = play(engine, feed_of(flat(100, 100, 100)), {0: act})
    assert results.orders["status"].to_list() == ["filled"]


@ENGINES
def test_the_exits_of_a_bracket_are_as_large_as_an_entry_that_no_float_holds(engine: str) -> None:
    """2**53 + 1 units of a share kept to eight decimals."""
    units = "90071992.54740993"
    coin = Instrument("A", calendar="24/7", quantity_exponent=8, lot_size="0.00000001")

    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.bracket(now.broker.buy("A", units), stop_price=1, limit_price=4)

    feed = feed_of(days((2, 2, 2, 2), (2, 2, 2, 2), (5, 5, 5, 5)), instruments=[coin])
    results = play(engine, feed, {0: act}, initial_cash=10**9)
    # Exactly what came in went out: nothing is left, and the target of 4.00 was passed at the open of 5.00.
    assert results.orders["status"].to_list() == ["filled", "canceled", "filled"]
    assert results.portfolio_history["equity"][-1] == pytest.approx(10**9 + 3 * 90071992.54740993)
    assert results.positions.filter(pl.col("session") == dt.date(2024, 1, 3)).is_empty()


@ENGINES
def test_a_refused_change_says_why(engine: str) -> None:
    told: list[tuple[str, str]] = []

    class Changer(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if not broker.open_orders:
                self.order = broker.buy("A", 10, limit_price=90)
            elif not told:
                broker.modify_order(self.order, limit_price="90.001")

        def on_order(self, event: Any) -> None:  # noqa: ANN401
            if event.reason_code == "REPLACE_REJECTED":
                told.append((event.reason, event.order.reason))

    feed = feed_of(flat(100, 100, 100, 100))
    results = run(engine, feed, Changer)
    rows = results.order_events.filter(pl.col("reason_code") == "REPLACE_REJECTED")
    assert told == [(rows["reason"][0], "")]
    assert "limit_price 90.001 is not a multiple of tick_size 0.01" in rows["reason"][0]
    assert rows.height == 1


@ENGINES
def test_data_that_end_inside_a_session_leave_their_last_value(engine: str) -> None:
    """Two hours of a second day are there, and the price falls in them: returns and holdings know it."""
    start = dt.datetime(2024, 3, 4, 15, 0, tzinfo=dt.UTC)
    stamps = [
        start,
        start + dt.timedelta(hours=6),
        start + dt.timedelta(days=1),
        start + dt.timedelta(days=1, hours=1),
    ]
    prints = pl.DataFrame(
        {"symbol": "A", "timestamp": stamps, "price": [100.0, 100.0, 90.0, 80.0], "size": [1e6] * 4},
        schema={
            "symbol": pl.String,
            "timestamp": pl.Datetime("ns", "UTC"),
            "price": pl.Float64,
            "size": pl.Float64,
        },
    )
    feed = DataFeed(prints, kind="trade", stamp="event")
    results = play(engine, feed, {0: lambda now: now.broker.buy("A", 100)}, initial_cash=20_000)
    navs = results.portfolio_history.filter("is_nav").select("session", "equity").rows()
    # Bought at 100.00 at 16:00 New York, the close of the first session; 80.00 an hour after the next open.
    assert navs == [(dt.date(2024, 3, 4), 20_000.0), (dt.date(2024, 3, 5), 18_000.0)]
    assert results.portfolio_history["ts_event"].is_unique().all()
    assert results.positions.select("session", "mark_price").rows()[-1] == (dt.date(2024, 3, 5), 80.0)
    assert results.metrics["total_return"] == pytest.approx(-0.1)
    assert any("inside the session 2024-03-05 of XNYS" in note for note in results.warnings)


@ENGINES
@pytest.mark.parametrize(
    ("models", "filled"),
    [
        ({"slippage_model": {"type": "VolumeShare"}}, 10.0),  # 2.5 % of 400
        ({"fill_model": {"type": "Default", "volume_limit": 0.1}}, 40.0),
    ],
)
def test_an_order_for_the_close_on_quotes_is_capped_by_the_size_of_the_last_one(
    engine: str, models: dict[str, Any], filled: float
) -> None:
    stamps = [dt.datetime(2024, 3, 4, 20, minute, tzinfo=dt.UTC) for minute in (0, 59)]
    quotes = pl.DataFrame(
        {
            "symbol": ["A"] * 3,
            "timestamp": [*stamps, dt.datetime(2024, 3, 5, 20, 0, tzinfo=dt.UTC)],
            "bid_price": [10.0, 10.1, 10.0],
            "ask_price": [10.02, 10.12, 10.02],
            "bid_size": [500.0] * 3,
            "ask_size": [400.0] * 3,
        }
    )
    feed = DataFeed(quotes, kind="quote", stamp="event")
    steps: dict[int, Action] = {0: lambda now: now.broker.buy("A", 100, order_type="market_on_close")}
    results = play(engine, feed, steps, **models)
    assert results.fills.select("quantity", "reference_price", "phase").rows() == [(filled, 10.12, "close")]


def test_rejected_orders_are_found_by_number_in_the_sequence_they_were_sent() -> None:
    seen: list[list[int]] = []

    class Looks(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            broker.buy("A", 0.5)
            seen.append([order.id for order in broker.rejected_orders])

    run("rust", feed_of(flat(*[100.0] * 5)), Looks)
    assert seen == [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]


@attrs.frozen
class Generous:
    """Gives shares away."""

    def evaluate(self, asked: FillArgs) -> FillOut:
        return FillOut(price=-3.0, quantity=asked.leaves_quantity)


@ENGINES
def test_a_fill_model_makes_no_price_below_zero(engine: str) -> None:
    class Buyer(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            broker.buy("A", 1)

    config = {"backtest": {"engine": engine}}
    broken = Engine(feed_of(flat(100, 100, 100)), Buyer, config=config, models={"fill": Generous()})
    with pytest.raises(ModelError, match=r"price -3.* where the market's is 100.*must be above zero"):
        broken.run()


@ENGINES
def test_an_order_that_its_group_has_taken_along_is_not_asked_at_the_same_close(engine: str) -> None:
    def both(now: Any) -> None:  # noqa: ANN401 - the running strategy
        terms = {"time_in_force": "ioc", "reduce_only": True}
        now.broker.buy("A", 1, oco=now.broker.buy("A", 1, **terms), **terms)

    results = play(engine, feed_of(flat(10, 10, 10)), {1: both}, policies={"fill_timing": "same_close"})
    ends = results.orders.select("status", "reason_code").rows()
    assert ends == [("rejected", "NOTHING_TO_REDUCE"), ("canceled", "GROUP_ENDED")]


@ENGINES
@pytest.mark.parametrize("fill_model", [{}, {"fill_model": {"type": "Default", "volume_limit": 1.0}}])
def test_a_fill_at_a_limit_has_its_exact_price_beyond_the_digits_of_a_float(
    engine: str, fill_model: dict[str, Any]
) -> None:
    # 117283.95 in units of 1e-12 is no float: the nearest to it is 117283.949999999997.
    frame = days(*((123_456.0, 123_456.0, 110_000.0, 117_000.0),) * 3)
    instruments = [Instrument("A", calendar="24/7", price_exponent=12)]
    steps: dict[int, Action] = {0: lambda now: now.broker.buy("A", 1, limit_price=117_283.95)}
    results = play(engine, feed_of(frame, instruments=instruments), steps, initial_cash=200_000, **fill_model)
    trade = results.ledger.filter(pl.col("kind") == "trade")
    assert trade["amount"].to_list() == [Decimal("117283.95")]


@attrs.frozen
class TwoAtATime:
    """Fills two units of what is open, whatever the market is."""

    def evaluate(self, ctx: FillArgs, /) -> FillOut:
        return FillOut(ctx.price, min(2.0, ctx.leaves_quantity))


@ENGINES
def test_what_is_left_of_a_touched_order_takes_whatever_the_next_market_is(engine: str) -> None:
    # The trigger of 10.00 is met by the second bar alone; the market then stays above it.
    class Touched(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            if not broker.positions and not broker.open_orders:
                broker.buy("A", 5, order_type="market_if_touched", stop_price=10.0)

    feed, config = feed_of(flat(10, 10, 11, 12, 13)), {"backtest": {"engine": engine}}
    results = Engine(feed, Touched, config=config, models={"fill": TwoAtATime()}).run()
    assert results.fills.select("quantity", "price").rows() == [(2, 10), (2, 11), (1, 12)]


@ENGINES
def test_a_trailing_stop_that_came_before_the_first_price_sets_nothing_aside(engine: str) -> None:
    """B begins on the third day, and puts the stop at 22.00: nobody knew it when the order was taken in."""
    frame = pl.concat([flat(*[10.0] * 5), flat(*[20.0] * 5, symbol="B").tail(3)])
    power: list[float] = []

    class Early(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            power.append(broker.buying_power)
            if len(power) == 1:
                broker.buy("B", 100, order_type="trailing_stop", trail_amount=2.0)

    results = run(engine, feed_of(frame), Early, initial_cash=10_000)
    assert results.orders.select("status", "stop_price").rows() == [("canceled", 22.0)]
    assert power == [10_000.0] * 5
