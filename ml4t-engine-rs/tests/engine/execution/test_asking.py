"""When an execution algorithm is asked, and in which sequence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from ml4t.backtest import DataFeed, Strategy
from ml4t.backtest.executors import Answer, ExecutorArgs

Build = Callable[..., DataFeed]
Run = Any  # a run, an event, or what a step of a script is given; see conftest
Work = Callable[..., Run]
Child = Callable[..., Run]

HOUR = 3_600_000_000_000
MIDNIGHT = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9


def hours(run: Run) -> list[float]:
    return [(ctx.ts_ns - MIDNIGHT) / HOUR for ctx in run.asked]


@pytest.fixture
def bars(market: Build) -> DataFeed:
    """Bars of one hour that end at 1, 2, 3, 4 and 5 o'clock."""
    return market("bar", [(n, 9 + n, 100 * n) for n in range(1, 6)])


# -- at which instants -------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 2])
def test_it_is_asked_at_the_instant_of_the_order_and_at_every_later_row(
    work: Work, bars: DataFeed, first: int
) -> None:
    run = work(bars, at=first)
    assert hours(run) == [1.0, 2.0, 3.0, 4.0, 5.0][first:]
    assert run.told("call") == list(range(5 - first))
    assert set(run.told("begin_ns")) == {MIDNIGHT + (first + 1) * HOUR}


def test_rows_of_another_feed_of_the_instrument_do_not_ask_it(work: Work, market: Build) -> None:
    """The quotes fill the orders; the bars between them are news for the strategy alone."""
    quotes = market("quote", [(1, 9.9, 10.1), (4, 9.9, 10.1)], matches_orders=True)
    run = work([quotes, market("bar", [(2, 10, 100), (3, 10, 100)])])
    assert hours(run) == [1.0, 4.0]


def test_rows_of_other_instruments_do_not_ask_it(work: Work, daily: Build) -> None:
    feed = daily({"A": [10, None, 12, None], "B": [20, 21, 22, 23]})
    assert hours(work(feed)) == [24.0, 72.0]


def test_an_order_is_begun_where_its_instrument_has_no_news(work: Work, daily: Build) -> None:
    """The first question comes at once, also where the last row of the instrument is older."""
    feed = daily({"A": [10, None, 12, 13], "B": [20, 21, 22, 23]})
    assert hours(work(feed, at=1)) == [48.0, 72.0, 96.0]


def test_a_late_row_asks_it_when_it_arrives(work: Work, market: Build) -> None:
    """The row of 2 o'clock arrives at 3:30, after that of 3 o'clock would have been readable at 3:15."""
    feed = market("bar", [(1, 10, 100), (2, 11, 100), (3, 12, 100)], late=[0, 0.5, 0.25])
    run = work(feed)
    assert hours(run) == [1.0, 2.5]
    late_only = market("bar", [(1, 10, 100), (2, 11, 100), (3, 12, 100), (5, 13, 1)], late=[0, 0.5, 0.25, 0])
    assert hours(work(late_only)) == [1.0, 2.5, 3.25, 5.0]


def test_rows_that_arrive_together_are_one_question(work: Work, market: Build) -> None:
    feed = market("bar", [(1, 10, 100), (2, 11, 200), (3, 12, 400), (5, 13, 1)], late=[0, 1.5, 0.5, 0])
    run = work(feed)
    assert hours(run) == [1.0, 3.5, 5.0]
    assert run.told("volume") == [0.0, 600.0, 1.0]
    assert run.told("price") == [10.0, 12.0, 13.0]


def test_prints_of_one_instant_are_one_question(work: Work, market: Build) -> None:
    run = work(market("trade", [(1, 10, 5), (2, 11, 6), (2, 12, 7), (3, 13, 8)]))
    assert hours(run) == [1.0, 2.0, 3.0]
    assert run.told("volume") == [0.0, 13.0, 8.0]


def test_a_strategy_without_on_data_is_served_all_the_same(
    run_of: Callable[..., Run], bars: DataFeed, scripted: Run
) -> None:
    algorithm = scripted()

    class OnBar(Strategy):
        def on_bar(self, event: Run) -> None:
            if not algorithm.asked and event.close == 11.0:
                self.broker.execute("A", 10, algorithm)

    run_of(OnBar(), bars)
    assert [(ctx.ts_ns - MIDNIGHT) / HOUR for ctx in algorithm.asked] == [2.0, 3.0, 4.0, 5.0]


# -- beside the strategy -----------------------------------------------------------------------------------


class Sends(Strategy):
    """Lets two algorithms work, and sends an order of its own at every instant after those calls."""

    def __init__(self, first: Run, second: Run) -> None:
        self.algorithms = (first, second)
        self.seen: list[str] = []

    def on_data(self, timestamp: Run, data: Run, context: Run, broker: Run) -> None:
        if not self.seen:
            for algorithm in self.algorithms:
                broker.execute("A", 10, algorithm)
        self.seen.append("strategy")
        broker.buy("A", 1, tag="own")


def test_it_is_asked_after_the_strategy_and_in_the_sequence_of_the_orders(
    run_of: Callable[..., Run], bars: DataFeed, scripted: Run, child: Child
) -> None:
    def answers(name: str) -> Callable[[ExecutorArgs], Answer]:
        def answer(ctx: ExecutorArgs) -> Answer:
            strategy.seen.append(name)
            return (child(2),)

        return answer

    strategy = Sends(scripted(answers("first")), scripted(answers("second")))
    results = run_of(strategy, bars)
    assert strategy.seen[:6] == ["strategy", "first", "second"] * 2
    # Three orders of an instant: that of the strategy first, as it was sent first.
    assert results.orders["worked_order_id"].to_list()[:6] == [None, 1, 2] * 2
    assert results.fills.select("quantity", "price").rows()[:6] == [
        *[(1.0, 11.0), (2.0, 11.0), (2.0, 11.0)],
        *[(1.0, 12.0), (2.0, 12.0), (2.0, 12.0)],
    ]


def test_an_order_given_when_a_fill_is_told_is_begun_at_that_instant(
    run_of: Callable[..., Run], bars: DataFeed, scripted: Run
) -> None:
    algorithm, told = scripted(), []

    class OnFill(Strategy):
        def on_data(self, timestamp: Run, data: Run, context: Run, broker: Run) -> None:
            if not told and not broker.open_orders:
                broker.buy("A", 5)

        def on_fill(self, event: Run) -> None:
            told.append(self.data.timestamp)
            self.broker.execute("A", 10, algorithm)

    run_of(OnFill(), bars)
    (at,) = told
    (first, *_) = algorithm.asked
    assert str(at) == "2024-01-01T01:00:00Z"
    assert (first.ts_ns, first.begin_ns) == (MIDNIGHT + HOUR, MIDNIGHT + HOUR)
    assert (first.elapsed, first.volume) == (0.0, 0.0)


def test_two_orders_of_an_instrument_in_sequence(
    play: Callable[..., Run], bars: DataFeed, scripted: Run, child: Child
) -> None:
    """The second is given when the first is over; each has orders of its own, on its own side."""
    first, second = scripted({0: (child(100),)}), scripted({0: (child(40),)})
    run = play(
        {
            0: lambda now: now.broker.execute("A", 100, first, tag="in"),
            2: lambda now: now.broker.execute("A", -40, second, tag="out"),
        },
        bars,
    )
    assert [run[n].id for n in (0, 2)] == [1, 2]
    assert [run[n].status for n in (0, 2)] == ["filled", "filled"]
    assert run.fills == [("A", "buy", 100.0, 11.0), ("A", "sell", 40.0, 13.0)]
    assert run.results.orders.select("worked_order_id", "tag").rows() == [(1, "in"), (2, "out")]
    assert (len(first.asked), len(second.asked)) == (1, 1)


def test_two_orders_of_an_instrument_at_once_do_not_count_the_fills_of_the_other(
    play: Callable[..., Run], bars: DataFeed, scripted: Run, child: Child
) -> None:
    one, other = scripted({0: (child(30),), 2: (child(70),)}), scripted({1: (child(50),)})

    def both(now: Run) -> tuple[Run, ...]:
        return now.broker.execute("A", 100, one), now.broker.execute("A", -50, other)

    run = play({0: both}, bars, broker={"allows_short": True})
    assert [each.filled_quantity for each in run[0]] == [100.0, 50.0]
    assert [ctx.filled for ctx in one.asked] == [0.0, 30.0, 30.0]
    assert [ctx.filled for ctx in other.asked] == [0.0, 0.0]


# -- knows nothing of what comes ---------------------------------------------------------------------------


def test_what_comes_later_changes_no_question_before_it(work: Work, market: Build, child: Child) -> None:
    def answer(ctx: ExecutorArgs) -> Answer:
        return (child(min(10 + ctx.price // 1, ctx.to_send)),) if ctx.to_send else ()

    def questions(cut: int, factor: float) -> list[ExecutorArgs]:
        rows = [
            (n, (10 + n % 3) * (factor if n > cut else 1), 100 * n * (factor if n > cut else 1))
            for n in range(1, 9)
        ]
        run = work(market("bar", rows), 500, answer, average_days=2)
        return list(run.asked)

    for cut in (2, 5):
        plain, other = questions(cut, 1.0), questions(cut, 1.5)
        assert list(map(repr, plain[:cut])) == list(map(repr, other[:cut]))
        assert repr(plain[cut]) != repr(other[cut])
