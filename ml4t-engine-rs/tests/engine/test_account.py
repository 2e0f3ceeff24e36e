"""The account as a strategy reads it: cash, equity, buying power, positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import DataFeed, Instrument, Position, Strategy

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]

CASH = {"initial_cash": 1_000}
MARGIN = {"initial_cash": 1_000, "allows_short": True, "leverage": 2}


def account(now: Now) -> tuple[float, float, float]:
    broker = now.broker
    return broker.get_cash(), broker.get_account_value(), broker.buying_power


@pytest.fixture
def rising(daily: Build) -> DataFeed:
    return daily({"A": [10, 10, 12, 15], "B": [100, 100, 90, 80]})


def test_an_untouched_account_has_its_opening_cash(play: Play, rising: DataFeed) -> None:
    assert play({0: account}, rising, broker={"initial_cash": "1000.50"})[0] == (1_000.5, 1_000.5, 1_000.5)


def test_equity_follows_the_marks_and_cash_the_fills(play: Play, rising: DataFeed) -> None:
    steps = {0: lambda now: now.broker.buy("A", 50), 1: account, 2: account, 3: account}
    run = play(steps, rising, broker=CASH)
    assert [run[n] for n in (1, 2, 3)] == [
        (500.0, 1_000.0, 500.0),
        (500.0, 1_100.0, 500.0),
        (500.0, 1_250.0, 500.0),
    ]


def test_working_orders_reserve_buying_power_and_free_it_when_they_end(play: Play, daily: Build) -> None:
    feed = daily({"A": [10] * 5})

    def cancel(now: Now) -> None:
        now.broker.cancel_order(1)

    steps = {0: lambda now: now.broker.buy("A", 40, limit_price=5), 1: account, 2: cancel, 3: account}
    run = play(steps, feed, broker=CASH)
    assert run[1] == (1_000.0, 1_000.0, 800.0)
    assert run[3] == (1_000.0, 1_000.0, 1_000.0)


def test_a_margin_account_may_take_on_its_leverage(play: Play, rising: DataFeed) -> None:
    steps = {0: account, 1: lambda now: now.broker.buy("A", 100), 2: account}
    run = play(steps, rising, broker=MARGIN)
    assert run[0] == (1_000.0, 1_000.0, 2_000.0)
    # 100 at the open of 12: no change of equity, 1,200 of 2,000 in use.
    assert run[2] == (-200.0, 1_000.0, 800.0)


def test_a_short_position_is_worth_less_than_nothing(play: Play, rising: DataFeed) -> None:
    steps = {0: lambda now: now.broker.sell("A", 50), 2: lambda now: now.broker.get_position("A")}
    run = play(steps, rising, broker=MARGIN)
    position: Position = run[2]
    assert (position.quantity, position.avg_price, position.mark_price) == (-50.0, 10.0, 12.0)
    assert (position.market_value, position.unrealized_pnl, position.realized_pnl) == (-600.0, -100.0, 0.0)


def test_a_position_shows_average_cost_mark_and_gains(play: Play, rising: DataFeed) -> None:
    steps = {
        0: lambda now: now.broker.buy("A", 10),
        1: lambda now: now.broker.buy("A", 30),
        2: lambda now: [now.broker.get_position("A"), now.broker.sell("A", 20)],
        3: lambda now: now.broker.get_position("A"),
    }
    run = play(steps, rising, broker=CASH)
    before, after = run[2][0], run[3]
    assert (before.symbol, before.quantity, before.avg_price) == ("A", 40.0, 11.5)
    assert (before.market_value, before.unrealized_pnl, before.realized_pnl) == (480.0, 20.0, 0.0)
    # First in, first out: 10 bought at 10 and 10 at 12, sold at 15.
    assert (after.quantity, after.avg_price, after.realized_pnl) == (20.0, 12.0, 80.0)
    assert (after.mark_price, after.market_value, after.unrealized_pnl) == (15.0, 300.0, 60.0)


def test_average_cost_is_a_policy(play: Play, rising: DataFeed) -> None:
    steps = {
        0: lambda now: now.broker.buy("A", 10),
        1: lambda now: now.broker.buy("A", 30),
        2: lambda now: now.broker.sell("A", 20),
        3: lambda now: now.broker.get_position("A"),
    }
    position = play(steps, rising, broker={**CASH, "lot_policy": "average"})[3]
    assert (position.avg_price, position.realized_pnl) == (11.5, 70.0)


def test_a_position_is_a_snapshot(play: Play, rising: DataFeed) -> None:
    steps = {
        0: lambda now: now.broker.buy("A", 10),
        1: lambda now: now.broker.get_position("A"),
        3: lambda now: (now.strategy.returned[1].mark_price, now.broker.get_position("A").mark_price),
    }
    assert play(steps, rising, broker=CASH)[3] == (10.0, 15.0)


def test_nothing_held_is_none_and_no_entry(play: Play, rising: DataFeed) -> None:
    steps = {
        0: lambda now: [now.broker.get_position("A"), now.broker.positions, now.broker.buy("A", 10)],
        1: lambda now: [list(now.broker.positions), now.broker.close_position("A")],
        2: lambda now: [now.broker.get_position("A"), now.broker.positions],
    }
    run = play(steps, rising, broker=CASH)
    assert run[0][:2] == [None, {}]
    assert run[1][0] == ["A"]
    assert run[2] == [None, {}]


def test_positions_are_sorted_by_symbol(play: Play, daily: Build) -> None:
    feed = daily({symbol: [10] * 3 for symbol in "DBCA"})
    steps = {
        0: lambda now: [now.broker.buy(symbol, 1) for symbol in "CADB"],
        1: lambda now: list(now.broker.positions),
    }
    assert play(steps, feed)[1] == ["A", "B", "C", "D"]


def test_multiplier_and_fees_are_in_the_money_and_not_in_the_price(play: Play, daily: Build) -> None:
    feed = daily({"A": [10, 10, 11]}, instruments=[Instrument("A", multiplier=50, calendar="24/7")])
    broker = {"initial_cash": 10_000, "commission_model": {"type": "PerOrder", "fee": 7}}
    steps = {
        0: lambda now: now.broker.buy("A", 2),
        2: lambda now: (*account(now), now.broker.get_position("A")),
    }
    cash, equity, _, position = play(steps, feed, broker=broker)[2]
    assert (cash, equity) == (8_993.0, 10_093.0)
    assert (position.avg_price, position.market_value, position.unrealized_pnl) == (10.0, 1_100.0, 100.0)


def test_a_dividend_that_is_due_counts_as_equity_before_it_is_cash(play: Play, daily: Build) -> None:
    actions = pl.DataFrame(
        {
            "symbol": ["A"],
            "ex_date": ["2024-01-03"],
            "kind": ["cash_dividend"],
            "amount": ["2"],
            "pay_date": ["2024-01-05"],
        }
    )
    feed = daily({"A": [10, 10, 8, 8, 8]}, actions=actions)
    steps = {0: lambda now: now.broker.buy("A", 50), **{n: account for n in range(1, 5)}}
    run = play(steps, feed, broker=CASH)
    assert [run[n][:2] for n in range(1, 5)] == [
        (500.0, 1_000.0),
        (500.0, 1_000.0),
        (600.0, 1_000.0),
        (600.0, 1_000.0),
    ]


def test_the_account_can_be_read_in_on_start_and_on_stop(
    run_of: Callable[..., Any], rising: DataFeed
) -> None:
    seen = []

    class Reads(Strategy):
        def look(self) -> None:
            broker = self.broker
            seen.append(
                (broker.get_cash(), broker.get_account_value(), broker.positions, list(broker.open_orders))
            )

        on_start = on_stop = look

    run_of(Reads(), rising, broker=CASH)
    assert seen == [(1_000.0, 1_000.0, {}, [])] * 2


def test_the_account_can_be_read_after_the_run(play: Play, rising: DataFeed) -> None:
    run = play({0: lambda now: now.broker.buy("A", 50)}, rising, broker=CASH)
    broker = run.script.broker
    assert (broker.get_cash(), broker.get_account_value()) == (500.0, 1_250.0)
    assert broker.positions["A"].quantity == 50.0
    assert repr(broker.get_position("A")) == "Position(A, 50 at 10, worth 750)"


def test_the_broker_of_on_data_is_the_broker_of_the_strategy(play: Play, rising: DataFeed) -> None:
    assert play({0: lambda now: now.broker is now.strategy.broker}, rising)[0]
