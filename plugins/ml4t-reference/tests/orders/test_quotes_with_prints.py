"""Prints beside quotes, worked by hand: what they fill, what they leave alone, and who is before an order.

Times are minutes after the first quote, at which the orders of step 0 are sent. The next quote, a minute
later, makes them wait: bid 10.00 and ask 10.02, where a case does not say otherwise.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Results, StopLoss, TakeProfit
from ml4t.core.errors import ConfigError, DataError, ModelError

from .market import START, TRAILING, Action, ends, play, send

Row = tuple[float | None, ...]

TOUCH = {"print_fills": "touch"}
QUEUE = TOUCH | {"queue_position": "size_ahead"}
STILL = ((0, 10.00, 10.02), (1, 10.00, 10.02), (10, 10.00, 10.02))
CAP = {"fill_model": {"type": "Default", "volume_limit": 0.1}}
BUY: dict[int, Action] = {0: send("buy", 150, limit_price=10)}
SELL: dict[int, Action] = {0: send("sell", 150, limit_price=10.02)}


def feed(
    kind: Any,  # noqa: ANN401 - a kind of data
    names: tuple[str, ...],
    rows: tuple[Row, ...],
    symbol: str = "A",
    **options: Any,  # noqa: ANN401 - keywords of DataFeed
) -> DataFeed:
    """Return ticks of one symbol, each row a number of minutes and the values by their names."""
    times = [START + dt.timedelta(minutes=float(row[0] or 0)) for row in rows]
    frame = pl.DataFrame(
        {"symbol": [symbol] * len(rows), "timestamp": pl.Series(times, dtype=pl.Datetime("ns", "UTC"))}
        | {
            name: pl.Series([row[n] for row in rows], dtype=pl.Float64)
            for n, name in enumerate(names, start=1)
        }
    )
    return DataFeed(frame, kind=kind, stamp="event", calendar="24/7", **options)


def quotes(*rows: Row, **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    """Return quotes: minute, bid, ask, and where given the sizes; 500 at the bid and 300 at the ask."""
    names = ("bid_price", "ask_price", "bid_size", "ask_size")
    full = tuple((*row, *(500.0, 300.0)[len(row) - 3 :]) for row in rows)
    return feed("quote", names, full, **({"name": "quotes", "matches_orders": True} | options))


def prints(*rows: Row, **options: Any) -> DataFeed:  # noqa: ANN401 - keywords of DataFeed
    """Return prints: minute, price and size."""
    return feed("trade", ("price", "size"), rows, **({"name": "prints"} | options))


def run(
    steps: dict[int, Action],
    *trades: Row,
    at: tuple[Row, ...] = STILL,
    policies: dict[str, str] | None = None,
    **broker: Any,  # noqa: ANN401 - settings of that section
) -> Results:
    """Run steps on quotes and prints of A."""
    return play(
        [quotes(*at), prints(*trades)], steps, policies=TOUCH if policies is None else policies, **broker
    )


def made(results: Results) -> list[tuple[Any, ...]]:
    """Return minute, order, quantity and price of the fills."""
    minutes = (pl.col("ts_event") - START).dt.total_minutes()
    return results.fills.select(minutes, "order_id", "quantity", "price").rows()


# -- what prints fill ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "minute"),
    [("touch", 2), ("through", 3)],
)
def test_a_resting_limit_fills_at_a_print_at_it_or_only_beyond_it(policy: str, minute: int) -> None:
    results = run(BUY, (2, 10.00, 1.0), (3, 9.99, 1.0), policies={"print_fills": policy})
    assert made(results) == [(minute, 1, 150, 10.00)]
    assert results.fills.select("liquidity", "phase", "reference_price").row(0) == ("maker", "trade", 10.00)


def test_without_the_policy_prints_fill_nothing() -> None:
    assert made(run(BUY, (2, 9.00, 1e6), policies={})) == []


def test_a_limit_that_no_quote_made_wait_is_not_filled() -> None:
    # Sent at the second quote: it meets none before minute 10.
    results = run({1: send("buy", limit_price=10)}, (2, 9.00, 1e6), (11, 9.00, 1e6))
    assert made(results) == [(11, 1, 10, 10.00)]


def test_a_quote_with_nobody_on_the_other_side_makes_a_limit_wait() -> None:
    results = run(BUY, (2, 10.00, 1.0), at=((0, 10.00, 10.02), (1, 10.00, None)))
    assert made(results) == [(2, 1, 150, 10.00)]


def test_a_limit_that_cash_keeps_waiting_does_not_rest() -> None:
    # 150 at the ask of 10.02 cost 1503.00, and at a print no less: it stays marketable, and takes the quote
    # that it can pay for.
    results = run(
        {0: send("buy", 150, limit_price=10.02)},
        (2, 10.02, 1e6),
        at=((0, 10.00, 10.02), (1, 10.00, 10.02), (10, 9.00, 9.02)),
        policies=TOUCH | {"insufficient_cash": "wait"},
        initial_cash=1500,
        leverage=1,
        allows_short=False,
    )
    assert made(results) == [(10, 1, 150, 9.02)]
    assert results.fills["liquidity"].to_list() == ["taker"]


@pytest.mark.parametrize(
    "action",
    [
        send("buy"),
        send("sell", stop_price=9.98),
        send("buy", stop_price=9.98, order_type="market_if_touched"),
        send("sell", trail_amount=0.5, **TRAILING),
        send("buy", limit_price=10, time_in_force="ioc"),
        send("buy", limit_price=10, time_in_force="cls"),
    ],
)
def test_prints_fill_and_trigger_nothing_else(action: Action) -> None:
    # Sent at the second quote, the order meets that of minute 10 alone; the prints lie before and after it.
    results = run({1: action}, (2, 9.00, 1e6), (3, 11.00, 1e6), (11, 9.00, 1e6))
    assert results.fills.filter(pl.col("phase") == "trade").is_empty()
    stop = results.orders["stop_price"][0]
    # A trailing stop begins 0.50 behind the middle of 10.01 and does not follow the print of 11.00.
    assert stop is None or stop in (9.98, 9.51)


def test_a_print_is_no_mark_but_of_a_position_that_it_opens() -> None:
    seen: list[float] = []
    look: Action = lambda now: seen.append(now.broker.get_account_value())  # noqa: E731
    results = run({0: BUY[0], 2: look, 3: look, 4: look}, (2, 9.80, 1.0), (3, 9.00, 1.0), initial_cash=2000)
    # 1,500 are spent. 150 at 9.80 are 1,470; 9.00 marks nothing; at the quote they are worth 10.01 each.
    assert made(results) == [(2, 1, 150, 10.00)]
    assert seen == [1970, 1970, 2001.5]


def test_a_print_that_arrives_later_is_not_shown_before() -> None:
    # The print of minute 2 arrives at minute 5. The fill is told at once; what the 150 are worth goes by the
    # quote of minute 1 until that of minute 10: 500 + 150 x 10.01 = 2001.50.
    seen: list[float] = []
    look: Action = lambda now: seen.append(now.broker.get_account_value())  # noqa: E731
    late = pl.DataFrame(
        {
            "symbol": ["A"],
            "ts_event": [START + dt.timedelta(minutes=2)],
            "ts_arrival": [START + dt.timedelta(minutes=5)],
            "price": [9.80],
            "size": [1.0],
        }
    )
    beside = DataFeed(late, kind="trade", stamp="event", calendar="24/7", name="prints")
    ask = quotes((0, 10.00, 10.02), (1, 10.00, 10.02), (10, 10.00, 10.02))
    clock = feed("trade", ("price", "size"), ((3, 1.0, 1.0),), symbol="B", name="clock")
    results = play([ask, beside, clock], {0: BUY[0], 2: look, 3: look}, policies=TOUCH, initial_cash=2000)
    assert made(results) == [(2, 1, 150, 10.00)]
    assert seen == [2001.5, 2001.5]


def test_a_stop_limit_that_was_triggered_and_waits_is_filled() -> None:
    action = send("buy", stop_price=10.05, limit_price=10.03)
    results = run({0: action}, (2, 10.03, 1.0), at=((0, 10.00, 10.02), (1, 10.02, 10.06)))
    assert made(results) == [(2, 1, 10, 10.03)]


def test_a_new_price_has_to_be_made_wait_by_a_quote() -> None:
    steps = BUY | {2: lambda now: now.broker.modify_order(1, limit_price=10.01)}
    # The print of minute 2 is above 10.00; from then on the limit is 10.01.
    results = run(steps, (2, 10.01, 1.0), (3, 9.00, 1.0), (11, 10.01, 1.0))
    assert made(results) == [(11, 1, 150, 10.01)]


def test_a_new_trigger_arms_a_stop_limit_again_and_prints_leave_it_alone() -> None:
    steps: dict[int, Action] = {
        0: send("buy", stop_price=10.05, limit_price=10.03),
        2: lambda now: now.broker.modify_order(1, stop_price=10.10),
    }
    at = ((0, 10.00, 10.02), (1, 10.02, 10.06), (10, 10.00, 10.02))
    assert made(run(steps, (2, 10.04, 1.0), (3, 10.00, 1.0), at=at)) == []


# -- caps, instructions, money -------------------------------------------------------------------------------


def test_a_cap_counts_each_print_and_its_row_is_not_the_row_of_a_quote() -> None:
    # A tenth of 300 at the ask, then a tenth of the first print, a row of the same number in its own feed.
    results = run(
        {0: send("buy", 50, limit_price=10.02)},
        (2, 10.02, 100.0),
        (3, 10.02, 100.0),
        at=((0, 10.00, 10.02), (1, 10.00, 10.02)),
        **CAP,
    )
    assert made(results) == [(1, 1, 30, 10.02), (2, 1, 10, 10.02), (3, 1, 10, 10.02)]
    assert results.fills["liquidity"].to_list() == ["taker", "maker", "maker"]


def test_orders_of_both_sides_share_the_cap_of_a_print() -> None:
    def both(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.sell("A", 30, limit_price=10.01)
        now.broker.buy("A", 30, limit_price=10.01)

    assert made(run({0: both}, (2, 10.01, 400.0), **CAP)) == [(2, 1, 30, 10.01), (2, 2, 10, 10.01)]


def test_a_cap_needs_the_size_of_a_print() -> None:
    with pytest.raises(ModelError, match="volume_limit needs"):
        run(BUY, (2, 10.00, None), **CAP)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"post_only": True}, [(2, 1, 150, 10.00)]),
        ({"all_or_none": True}, [(2, 1, 150, 10.00)]),
        ({"display_quantity": 60}, [(2, 1, 60, 10.00), (3, 1, 60, 10.00), (4, 1, 30, 10.00)]),
        ({"time_in_force": "day"}, [(2, 1, 150, 10.00)]),
    ],
)
def test_instructions_count_as_on_prints_alone(
    terms: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    action = send("buy", 150, limit_price=10, **terms)
    assert made(run({0: action}, (2, 10.00, 1.0), (3, 10.00, 1.0), (4, 9.99, 1.0))) == expected


def test_what_cannot_be_paid_at_a_print_ends_as_at_any_fill() -> None:
    # 1,000 less 45 at 12.00 are 460; the limit of 50 at 10.00 needs 500.
    steps: dict[int, Action] = {0: send("buy", 50, limit_price=10), 1: send("buy", 45)}
    at = ((0, 10.00, 10.02), (1, 10.00, 10.02), (2, 10.00, 12.00))
    results = run(steps, (3, 10.00, 1.0), at=at, initial_cash=1000, leverage=1, allows_short=False)
    assert ends(results) == [("rejected", "INSUFFICIENT_CASH"), ("filled", "")]


# -- what follows --------------------------------------------------------------------------------------------


def test_a_take_profit_is_filled_by_a_print_and_a_stop_loss_is_not() -> None:
    def begin(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.set_position_rules(TakeProfit(pct=0.01))
        now.broker.buy("A", 10)

    at = (*STILL[:2], (2, 10.00, 10.02), (10, 10.00, 10.02))
    # 10.02 x 1.01 = 10.1202, up to 10.13.
    assert made(run({0: begin}, (3, 10.13, 1.0), at=at)) == [(1, 1, 10, 10.02), (3, 2, 10, 10.13)]

    def guard(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.set_position_rules(StopLoss(pct=0.01))
        now.broker.buy("A", 10)

    assert made(run({0: guard}, (3, 9.00, 1.0), at=at)) == [(1, 1, 10, 10.02)]


def test_a_bracket_lives_on_prints_once_quotes_have_seen_it() -> None:
    def bracket(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("A", 10, limit_price=10)
        now.broker.bracket(entry, stop_price=9.5, limit_price=10.05)

    at = (*STILL[:2], (4, 10.00, 10.02), (10, 10.00, 10.02))
    results = run({0: bracket}, (2, 10.00, 1.0), (3, 10.05, 1.0), (5, 10.05, 1.0), at=at)
    assert made(results) == [(2, 1, 10, 10.00), (5, 3, 10, 10.05)]
    assert ends(results) == [("filled", ""), ("canceled", "GROUP_FILLED"), ("filled", "")]


def test_the_second_print_of_an_instant_comes_after_the_first_of_another_instrument() -> None:
    def both(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.buy("A", 10, limit_price=10)
        now.broker.buy("B", 10, limit_price=10)

    rows = ((0, 10.00, 10.02), (1, 10.00, 10.02))
    a, b = (quotes(*rows, symbol=symbol, name=f"quotes {symbol}") for symbol in "AB")
    ticks = pl.DataFrame(
        {
            "symbol": ["A", "A", "B"],
            "timestamp": [START + dt.timedelta(minutes=2)] * 3,
            "price": [10.01, 10.00, 10.00],
            "size": [1.0] * 3,
        }
    )
    beside = DataFeed(ticks, kind="trade", stamp="event", calendar="24/7", name="prints")
    results = play([a, b, beside], {0: both}, policies=TOUCH)
    assert made(results) == [(2, 2, 10, 10.00), (2, 1, 10, 10.00)]


# -- the queue -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "trades", "expected"),
    [
        # 500 ahead: 400, then 100 of 200; 9.99 is beyond.
        (STILL, ((2, 10.0, 400.0), (3, 10.0, 200.0), (4, 9.99, 1.0)), [(3, 1, 100, 10.0), (4, 1, 50, 10.0)]),
        # A later quote shows fewer, and one after that more.
        (
            (*STILL[:2], (2, 10.0, 10.02, 100.0, 300.0), (3, 10.0, 10.02)),
            ((4, 10.0, 150.0),),
            [(4, 1, 50, 10.0)],
        ),
        # The limit is better than the bid.
        (((0, 10.0, 10.02), (1, 9.99, 10.02)), ((2, 10.0, 20.0),), [(2, 1, 20, 10.0)]),
        # A better bid tells nothing, and takes nothing of what is known.
        (((0, 10.01, 10.02), (1, 10.01, 10.02)), ((2, 10.0, 9e5),), []),
        ((*STILL[:2], (2, 10.01, 10.02)), ((3, 10.0, 520.0),), [(3, 1, 20, 10.0)]),
        # No bid, and a bid without size.
        (
            (*STILL[:2], (2, None, 10.02), (3, 10.0, 10.02, None, 300.0)),
            ((4, 10.0, 520.0),),
            [(4, 1, 20, 10.0)],
        ),
        (((0, 10.0, 10.02), (1, 10.0, 10.02, None, 300.0)), ((2, 10.0, 9e5),), []),
        # Nobody at the bid: a size of nothing.
        (((0, 10.0, 10.02), (1, 10.0, 10.02, 0.0, 300.0)), ((2, 10.0, 20.0),), [(2, 1, 20, 10.0)]),
        # A print above the limit is not of its queue, and one without size is not known to be.
        (STILL, ((2, 10.01, 9e5), (3, 10.0, None), (4, 10.0, 520.0)), [(4, 1, 20, 10.0)]),
        # Beyond the limit the size plays no part.
        (STILL, ((2, 9.99, None),), [(2, 1, 150, 10.0)]),
    ],
)
def test_a_print_at_the_limit_fills_what_it_leaves_after_those_ahead(
    at: tuple[Row, ...], trades: tuple[Row, ...], expected: list[tuple[Any, ...]]
) -> None:
    assert made(run(BUY, *trades, at=at, policies=QUEUE)) == expected


def test_a_sale_waits_behind_the_ask() -> None:
    results = run(
        SELL, (2, 10.01, 9e5), (3, 10.02, 200.0), (4, 10.02, 150.0), (5, 10.03, 1.0), policies=QUEUE
    )
    assert made(results) == [(4, 1, 50, 10.02), (5, 1, 100, 10.02)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # 100 are ahead after the print of 400. A smaller quantity keeps that.
        ({"quantity": 120}, [(3, 1, 100, 10.0), (11, 1, 20, 10.0)]),
        # A larger one, and a new price, are behind what the quote of minute 10 shows: 500 of 550.
        ({"quantity": 200}, [(11, 1, 50, 10.0)]),
        ({"limit_price": 9.99}, []),
        # What it says already is no change.
        ({"quantity": 150}, [(3, 1, 100, 10.0), (11, 1, 50, 10.0)]),
        ({"limit_price": 10}, [(3, 1, 100, 10.0), (11, 1, 50, 10.0)]),
    ],
)
def test_a_change_keeps_the_place_or_loses_it(
    changes: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    steps = BUY | {2: lambda now: now.broker.modify_order(1, **changes)}
    trades = ((2, 10.0, 400.0), (3, 10.0, 200.0), (11, 10.0, 550.0))
    assert made(run(steps, *trades, policies=QUEUE)) == expected


def test_a_price_that_was_left_and_taken_again_has_lost_its_place() -> None:
    def away_and_back(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.modify_order(1, limit_price=9.99)
        now.broker.modify_order(1, limit_price=10)

    results = run(
        BUY | {2: away_and_back}, (2, 10.0, 400.0), (3, 10.0, 9e5), (11, 10.0, 550.0), policies=QUEUE
    )
    assert made(results) == [(11, 1, 50, 10.0)]


def test_a_group_that_takes_a_part_keeps_the_place_of_the_rest() -> None:
    # 60 sold at 10.01, before the ask, leave 90 of 150 at 10.02. 300 are ahead there: 20 of 320, then 70.
    def group(now: Any) -> None:  # noqa: ANN401 - the running strategy
        first = now.broker.sell("A", 150, limit_price=10.02)
        now.broker.sell("A", 60, limit_price=10.01, ouo=first)

    results = run({0: group}, (2, 10.01, 60.0), (3, 10.02, 320.0), (4, 10.02, 70.0), policies=QUEUE)
    assert made(results) == [(2, 2, 60, 10.01), (3, 1, 20, 10.02), (4, 1, 70, 10.02)]


def test_a_child_that_grows_at_a_print_has_lost_its_place_for_it() -> None:
    def pair(now: Any) -> None:  # noqa: ANN401 - the running strategy
        entry = now.broker.buy("A", 100, limit_price=10)
        now.broker.buy("A", 100, limit_price=9.95, parent=entry)

    # 50 of the parent at minute 3, so 50 of the child, which the quote of minute 4 finds behind 200. The
    # print of minute 5 fills the parent, so 50 more are asked for at 9.95. What is ahead of the child is not
    # known at minute 7; after the quote of minute 8 it is 200 again, and 230 leave 30.
    at = (*STILL[:2], (4, 9.95, 10.02, 200.0, 1.0), (8, 9.95, 10.02, 200.0, 1.0))
    trades = ((2, 10.0, 500.0), (3, 10.0, 50.0), (5, 9.96, 10.0), (7, 9.95, 9e5), (9, 9.95, 230.0))
    results = run({0: pair}, *trades, at=at, policies=QUEUE)
    assert made(results) == [(3, 1, 50, 10.0), (5, 1, 50, 10.0), (9, 2, 30, 9.95)]


def test_own_orders_share_what_a_print_leaves_by_submission() -> None:
    def two(now: Any) -> None:  # noqa: ANN401 - the running strategy
        now.broker.buy("A", 60, limit_price=10)
        now.broker.buy("A", 60, limit_price=10)

    results = run({0: two}, (2, 10.0, 600.0), (3, 10.0, 50.0), policies=QUEUE)
    assert made(results) == [(2, 1, 60, 10.0), (2, 2, 40, 10.0), (3, 2, 20, 10.0)]


def test_sizes_that_are_no_whole_lots_are_rounded_against_the_order() -> None:
    feeds = [
        quotes(*STILL, instruments=[Instrument("A", calendar="24/7", lot_size=7)]),
        prints((2, 10.0, 519.0)),
    ]
    results = play(feeds, {0: send("buy", 140, limit_price=10)}, policies=QUEUE)
    # 500 at the bid are 504 ahead, and 519 traded are 518: two lots.
    assert made(results) == [(2, 1, 14, 10.0)]


def test_sizes_of_a_fractional_instrument_are_the_numbers_that_their_floats_stand_for() -> None:
    # 0.3 is a float a little below 0.3, and stands for 300,000,000 units of 1e-9.
    sizes = ((0, 10.0, 10.02), (1, 10.0, 10.02, 0.1, 1.0))
    instruments = [Instrument.fractional("A", calendar="24/7")]
    feeds = [quotes(*sizes, instruments=instruments), prints((2, 10.0, 0.3))]
    results = play(feeds, {0: send("buy", 1, limit_price=10)}, policies=QUEUE)
    assert made(results) == [(2, 1, 0.2, 10.0)]


def test_a_split_loses_the_place() -> None:
    actions = pl.DataFrame(
        {"symbol": ["A"], "ex_date": [dt.date(2024, 1, 3)], "kind": ["split"], "ratio": ["2"]}
    )
    day = 24 * 60
    at = ((0, 10.0, 10.02), (1, 10.0, 10.02), (day + 2, 5.0, 5.01, 100.0, 1.0))
    trades = ((2, 10.0, 500.0), (day + 1, 5.0, 9e5), (day + 3, 5.0, 300.0))
    feeds = [quotes(*at, actions=actions), prints(*trades)]
    assert made(play(feeds, BUY, policies=QUEUE)) == [(day + 3, 1, 200, 5.0)]


# -- which feed it is ----------------------------------------------------------------------------------------


def test_of_several_feeds_of_prints_the_one_that_matches_nothing_fills() -> None:
    others = (prints((2, 9.0, 1.0)), prints((3, 10.0, 1.0), name="venue", matches_orders=False))
    assert made(play([quotes(*STILL), *others], BUY, policies=TOUCH)) == [(3, 1, 150, 10.0)]


def test_several_feeds_of_prints_without_a_choice_are_an_error() -> None:
    others = (prints((2, 9.0, 1.0)), prints((3, 10.0, 1.0), name="venue"))
    with pytest.raises(DataError, match="declare matches_orders=False on that feed alone"):
        play([quotes(*STILL), *others], BUY, policies=TOUCH)
    assert made(play([quotes(*STILL), *others], BUY)) == []


def test_an_instrument_without_prints_goes_by_its_quotes() -> None:
    assert made(play(quotes(*STILL), BUY, policies=QUEUE)) == []


@pytest.mark.parametrize("policies", [{}, {"print_fills": "through"}, {"print_fills": "none"}])
def test_a_queue_without_prints_at_the_limit_is_refused_where_it_is_written(policies: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="set print_fills = 'touch' as well"):
        run(BUY, (2, 10.0, 1.0), policies=policies | {"queue_position": "size_ahead"})
