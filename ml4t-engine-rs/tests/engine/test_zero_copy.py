"""Arrays that the engine shows and takes: columns and windows of views, and indicators over whole arrays."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed
from ml4t.backtest.indicators import ATR, EMA, MACD, RSI, SMA, Bollinger, RollingStd
from ml4t.core.errors import DataError

nan = math.nan
Build = Callable[..., DataFeed]
Both = Callable[..., Any]
Diary = Any
Make = Callable[[], Any]
Floats = npt.NDArray[np.float64]

# -- indicators over arrays ------------------------------------------------------------------------------

MAKES: dict[str, Make] = {
    "SMA": lambda: SMA(3),
    "EMA": lambda: EMA(3),
    "EMA first": lambda: EMA(3, seed="first"),
    "RSI": lambda: RSI(3),
    "RollingStd": lambda: RollingStd(3),
    "MACD": lambda: MACD(2, 4, 3),
    "Bollinger": lambda: Bollinger(3),
}
values = st.lists(st.floats(0.01, 1e6) | st.sampled_from([nan, math.inf, 5.0]), max_size=30)


def one_by_one(indicator: Any, *columns: Iterable[float]) -> Floats:  # noqa: ANN401 - of many kinds
    return np.array([indicator.update(*map(float, row)) for row in zip(*columns, strict=True)])


@pytest.mark.parametrize("name", MAKES)
@given(first=values, second=values)
def test_over_equals_one_by_one_and_continues(name: str, first: list[float], second: list[float]) -> None:
    one, other = MAKES[name](), MAKES[name]()
    for part in (first, second):
        found = one.over(np.array(part))
        assert found.shape == ((len(part), 3) if name in ("MACD", "Bollinger") else (len(part),))
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, one_by_one(other, part).reshape(found.shape))
    np.testing.assert_equal(one.value, other.value)
    assert one.ready == other.ready
    np.testing.assert_equal(one.update(7.0), other.update(7.0))


bars = st.lists(st.tuples(*[st.floats(0.01, 1e4) | st.just(nan)] * 3), max_size=30)


@given(first=bars, second=bars)
def test_over_of_bars_equals_one_by_one(first: list[Any], second: list[Any]) -> None:
    one, other = ATR(3), ATR(3)
    for part in (first, second):
        columns = np.array(part).reshape(-1, 3)
        # Columns of one matrix are not next to one another.
        np.testing.assert_array_equal(one.over(*columns.T), one_by_one(other, *columns.T).reshape(-1))
    assert one.ready == other.ready


@pytest.mark.parametrize("name", MAKES)
def test_over_takes_arrays_of_other_kinds(name: str, rng: np.random.Generator) -> None:
    prices = rng.integers(1, 100, size=24)
    every = prices.astype(np.float64)
    expected = MAKES[name]().over(every)
    fixed = every.copy()
    fixed.flags.writeable = False
    twice = np.repeat(every, 2)
    forms = [every[::-1].copy()[::-1], twice[::2], np.column_stack([every, -every])[:, 0], fixed]
    forms += [prices.astype(kind).astype(np.float64) for kind in (np.int32, np.uint8, np.float32)]
    for form in forms:
        np.testing.assert_array_equal(MAKES[name]().over(form), expected)
    # What it was given is as it was.
    np.testing.assert_array_equal(every, prices)
    np.testing.assert_array_equal(MAKES[name]().over(every[::-1]), one_by_one(MAKES[name](), every[::-1]))
    np.testing.assert_array_equal(MAKES[name]().over(every[::3]), one_by_one(MAKES[name](), every[::3]))


@pytest.mark.parametrize("name", MAKES)
def test_answers_of_over_are_the_caller_s_own(name: str, rng: np.random.Generator) -> None:
    indicator, prices = MAKES[name](), rng.uniform(1, 100, size=24)
    first = indicator.over(prices)
    kept = first.copy()
    twin = copy.copy(indicator)
    second = indicator.over(prices)
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    np.testing.assert_array_equal(second, twin.over(prices))
    indicator.reset()
    np.testing.assert_array_equal(indicator.over(prices), kept)


def test_bars_of_unequal_lengths_are_refused_and_change_nothing() -> None:
    indicator = ATR(2)
    prices = np.array([1.0, 2.0, 3.0])
    for high, low, close in (
        (prices, prices, prices[:2]),
        (prices[:2], prices, prices),
        (prices, prices[:0], prices),
    ):
        with pytest.raises(DataError, match="length"):
            indicator.over(high, low, close)
    assert (math.isnan(indicator.value), indicator.ready) == (True, False)
    np.testing.assert_array_equal(indicator.over(prices, prices, prices), ATR(2).over(prices, prices, prices))


@pytest.mark.parametrize("wrong", [np.ones((2, 2)), "1, 2", None, 5.0, ["a"]], ids=str)
def test_what_is_no_array_of_numbers_is_refused(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        SMA(2).over(wrong)  # type: ignore[arg-type]


# -- what a view shows -----------------------------------------------------------------------------------


def looks(diary: Diary, ask: Callable[[Any], list[Floats]]) -> Diary:
    """Return a strategy that keeps the arrays that `ask` finds at each instant; they cannot be written to."""

    class Looks(diary):  # type: ignore[misc]
        def on_start(self) -> None:
            self.arrays: list[list[Floats]] = []

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            found = ask(data)
            for array in found:
                assert (array.dtype, array.flags.writeable) == (np.float64, False)
                if array.size:
                    with pytest.raises(ValueError, match="read-only"):
                        array[...] = 0
            self.arrays.append(found)
            self.note("data", repr([array.tolist() for array in found]))

    return Looks()


ASKED = [
    (n, symbols) for n in (1, 2, 3, 12) for symbols in ("A", "C", ["B"], ["C", "A"], ("A", "B", "C"), None)
]


def everything(data: Any) -> list[Floats]:  # noqa: ANN401 - of either engine
    windows = [data.history("close", n, symbols) for n, symbols in ASKED]
    windows += data.history(["close", "volume"], 2, ["A", "C"]).values()
    return [data.close, data.volume, *windows]


def known(series: dict[str, list[tuple[float, float]]], second: float) -> list[list[Any]]:
    """Return what `everything` shows of series of (second of the arrival, price)."""
    rows = {symbol: [price for at, price in each if at <= second] for symbol, each in series.items()}

    def window(n: int, symbols: Any, of: Callable[[float], float] = float) -> Any:  # noqa: ANN401
        if isinstance(symbols, str):
            return [*[nan] * n, *map(of, rows[symbols])][-n:]
        columns = [window(n, symbol, of) for symbol in symbols or "ABC"]
        return [list(row) for row in zip(*columns, strict=True)]

    def volume(price: float) -> float:
        return 1e6

    last = [window(1, symbol)[0] for symbol in "ABC"]
    volumes = [window(1, symbol, volume)[0] for symbol in "ABC"]
    pairs = [window(2, ["A", "C"]), window(2, ["A", "C"], volume)]
    return [last, volumes, *[window(n, symbols) for n, symbols in ASKED], *pairs]


PANELS: dict[str, list[tuple[Any, ...]]] = {
    "every instrument at every instant": [
        (s, float(n), 10 * k + n) for n in range(1, 9) for k, s in enumerate("ABC")
    ],
    "one begins late": [
        (s, float(n), 10 * k + n) for n in range(1, 9) for k, s in enumerate("ABC") if s != "C" or n > 4
    ],
    "one ends early": [
        (s, float(n), 10 * k + n) for n in range(1, 9) for k, s in enumerate("ABC") if s != "B" or n < 4
    ],
    "one row is missing": [
        (s, float(n), 10 * k + n) for n in range(1, 9) for k, s in enumerate("ABC") if (s, n) != ("A", 3)
    ],
    "one row is late": [
        (s, float(n), 10 * k + n, 4.5 if (s, n) == ("B", 4) else float(n))
        for n in range(1, 9)
        for k, s in enumerate("ABC")
    ],
    "one is always late": [
        (s, float(n), 10 * k + n, n + 0.5 * k) for n in range(1, 9) for k, s in enumerate("ABC")
    ],
    "gaps everywhere": [
        (s, float(n), 10 * k + n) for n in range(1, 13) for k, s in enumerate("ABC") if n % (k + 2) == 0
    ],
    "two instants have the same rows": [
        (s, 4.0 + n, 10 * k + n) for n in (1, 2) for k, s in enumerate("ABC")
    ],
}


def check(both: Both, diary: Diary, tape: Build, ticks: list[tuple[Any, ...]]) -> int:
    """Compare all that is shown with what it should be, at each instant and again after the run."""
    series: dict[str, list[tuple[float, float]]] = {symbol: [] for symbol in "ABC"}
    for symbol, second, price, *late in ticks:
        series[symbol].append((late[0] if late else second, price))
    played = both(lambda: looks(diary, everything), tape("bar", ticks))
    for (_, second, found), arrays in zip(played.of("data"), played.arrays, strict=True):
        expected = known(series, second)
        assert found == repr([np.array(each, dtype=float).tolist() for each in expected]), f"at {second}"
        # Kept arrays are what they were.
        assert repr([array.tolist() for array in arrays]) == found
    return len(played.arrays)


@pytest.mark.parametrize("name", PANELS)
def test_columns_and_windows_are_those_of_the_rows(both: Both, diary: Diary, tape: Build, name: str) -> None:
    assert check(both, diary, tape, PANELS[name]) > 1


def test_a_window_may_be_asked_for_by_one_symbol_of_one(both: Both, diary: Diary, tape: Build) -> None:
    feed = tape("bar", [("A", float(n), n) for n in range(1, 6)])

    def ask(data: Any) -> list[Floats]:  # noqa: ANN401
        return [
            data.close,
            *(data.history("close", n, symbols) for n in (1, 3) for symbols in ("A", ["A"], None)),
        ]

    played = both(lambda: looks(diary, ask), feed)
    shown = played.arrays[1]
    np.testing.assert_equal([array.tolist() for array in shown[:4]], [[2], [2], [[2]], [[2]]])
    np.testing.assert_equal(
        [array.tolist() for array in shown[4:]], [[nan, 1, 2], [[nan], [1], [2]], [[nan], [1], [2]]]
    )


rows = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(1, 12), st.sampled_from([0, 0, 0, 0.5, 1, 4])), max_size=30
)


@given(drawn=rows, whole=st.integers(0, 12))
def test_columns_and_windows_of_any_panel(
    both: Both, diary: Diary, tape: Build, drawn: list[tuple[str, int, float]], whole: int
) -> None:
    # A panel without a gap at first, then what was drawn, then the end.
    rows = {(symbol, n): 0.0 for n in range(whole + 1) for symbol in "ABC"}
    rows |= {(symbol, n + whole): late for symbol, n, late in drawn} | {("A", 30): 0.0}
    latest, ticks = dict.fromkeys("ABC", 0.0), []
    for price, ((symbol, second), late) in enumerate(
        sorted(rows.items(), key=lambda row: row[0][::-1]), start=1
    ):
        latest[symbol] = max(latest[symbol], second + late)
        ticks.append((symbol, float(second), float(price), latest[symbol]))
    check(both, diary, tape, ticks)
