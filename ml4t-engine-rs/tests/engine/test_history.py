"""Windows of the past: shapes, padding, and that each instrument counts its own rows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ml4t.backtest import DataFeed
from ml4t.core.errors import UnknownNameError

Build = Callable[..., DataFeed]
Now = Any  # what a step of a script is given; see conftest
Play = Callable[..., Any]

nan = np.nan


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily({"A": [1, 2, 3, 4], "B": [10, None, 30, None], "C": [None, None, None, 400]})


def at_the_end(play: Play, market: DataFeed, step: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - of many kinds
    return play({3: step}, market)[3]


def test_one_symbol_gives_a_vector_oldest_first(play: Play, market: DataFeed) -> None:
    found = at_the_end(play, market, lambda now: now.data.history("close", 3, "A"))
    assert (found.shape, found.dtype) == ((3,), np.float64)
    np.testing.assert_equal(found, [2, 3, 4])


def test_fewer_rows_than_asked_for_leave_nan_in_front(play: Play, market: DataFeed) -> None:
    np.testing.assert_equal(
        at_the_end(play, market, lambda now: now.data.history("close", 6, "A")), [nan, nan, 1, 2, 3, 4]
    )


def test_all_symbols_give_a_matrix_in_the_order_of_the_columns(play: Play, market: DataFeed) -> None:
    found = at_the_end(play, market, lambda now: now.data.history("close", 2))
    assert found.shape == (2, 3)
    # Each instrument counts its own rows: the two of B are those of the first and third day.
    np.testing.assert_equal(found, [[3, 10, nan], [4, 30, 400]])


@pytest.mark.parametrize("kind", [list, tuple, iter, np.array, lambda names: (name for name in names)])
def test_several_symbols_are_columns_in_the_order_asked_for(
    play: Play, market: DataFeed, kind: object
) -> None:
    found = at_the_end(play, market, lambda now: now.data.history("close", 2, kind(["C", "A"])))
    np.testing.assert_equal(found, [[nan, 3], [400, 4]])


def test_a_list_of_one_symbol_is_still_a_matrix(play: Play, market: DataFeed) -> None:
    assert at_the_end(play, market, lambda now: now.data.history("close", 2, ["A"]).shape) == (2, 1)


def test_no_symbols_give_no_columns(play: Play, market: DataFeed) -> None:
    assert at_the_end(play, market, lambda now: now.data.history("close", 2, []).shape) == (2, 0)


def test_several_fields_give_a_dict_of_arrays(play: Play, market: DataFeed) -> None:
    one, many = at_the_end(
        play,
        market,
        lambda now: (now.data.history(["close", "volume"], 2, "A"), now.data.history(("open",), 1)),
    )
    assert list(one) == ["close", "volume"]
    np.testing.assert_equal(one["close"], [3, 4])
    np.testing.assert_equal(one["volume"], [1e6, 1e6])
    assert list(many) == ["open"]
    np.testing.assert_equal(many["open"], [[4, 30, 400]])


def test_a_window_grows_with_the_run_and_ends_at_the_present(play: Play, market: DataFeed) -> None:
    run = play({n: lambda now: now.data.history("close", 2, "B").tolist() for n in range(4)}, market)
    np.testing.assert_equal([run[n] for n in range(4)], [[nan, 10], [nan, 10], [10, 30], [10, 30]])


def test_what_data_shows_can_be_read_and_not_changed(play: Play, market: DataFeed) -> None:
    def scribble(now: Now) -> None:
        shown = [now.data.history("close", 2), now.data.history("close", 2, "A"), now.data.close]
        for array in [*shown, now.data.history("close", 2, ["B", "A"]), now.data.history("close", 9)]:
            with pytest.raises(ValueError, match="read-only"):
                array[:] = -1
        np.testing.assert_equal(now.data.history("close", 2, "A"), [3, 4])

    at_the_end(play, market, scribble)


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", None])
def test_a_length_that_is_no_count_is_refused(play: Play, market: DataFeed, n: object) -> None:
    def look(now: Now) -> None:
        with pytest.raises((ValueError, TypeError, OverflowError)):
            now.data.history("close", n)

    at_the_end(play, market, look)


SCRIPT = """
from ml4t.backtest import DataFeed, Strategy, datasets, run

class Asks(Strategy):
    def on_data(self, timestamp, data, context, broker):
        for n in (2**40, 2**62):
            for symbols in ("IBM", ["IBM"], None):
                try:
                    data.history("close", n, symbols)
                except (MemoryError, ValueError, OverflowError) as error:
                    pass
        assert data.history("close", 10**6, "IBM").shape == (10**6,)

feed = DataFeed(datasets.us_equity_daily().head(3), stamp="session", symbols=["IBM"])
print(run(Asks, feed).status)
"""


def test_a_window_beyond_all_memory_is_an_exception_and_not_the_end_of_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "complete\n"), done.stderr


def test_an_unknown_field_is_named_with_the_nearest(play: Play, market: DataFeed) -> None:
    def look(now: Now) -> None:
        for fields in ("clsoe", ["close", "clsoe"]):
            with pytest.raises(UnknownNameError, match=r"unknown field of A 'clsoe'.*did you mean 'close'\?"):
                now.data.history(fields, 2)

    at_the_end(play, market, look)


def test_a_field_that_only_some_instruments_have_is_nan_for_the_others(play: Play, daily: Build) -> None:
    feeds = [
        daily({"A": [1, 2]}, features=lambda symbol, n: {"beta": float(n)}, name="one"),
        daily({"B": [3, 4]}, name="two"),
    ]

    def look(now: Now) -> object:
        return now.data.history("beta", 2), now.data.history("beta", 2, "B"), now.data.beta

    window, other, column = play({1: look}, feeds)[1]
    np.testing.assert_equal(window, [[0, nan], [1, nan]])
    np.testing.assert_equal(other, [nan, nan])
    np.testing.assert_equal(column, [1, nan])


def test_a_long_window_over_many_instruments_equals_the_prices(
    play: Play, daily: Build, rng: np.random.Generator
) -> None:
    prices = np.round(rng.uniform(1, 100, size=(60, 5)), 2)
    feed = daily({f"S{k}": list(prices[:, k]) for k in range(5)})
    run = play({n: lambda now: now.data.history("close", 20) for n in (10, 30, 59)}, feed)
    for n in (10, 30, 59):
        expected = np.vstack([np.full((20, 5), nan), prices[: n + 1]])[-20:]
        np.testing.assert_array_equal(run[n], expected)
