"""Indicators that the engine keeps up to date for every instrument, and indicators over whole arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, schedule
from ml4t.backtest.indicators import ATR, EMA, MACD, RSI, SMA, Bollinger, RollingStd
from ml4t.core.errors import ArgumentError, ConfigError, EngineStateError, Ml4tError, UnknownNameError

nan = math.nan
Build = Callable[..., DataFeed]
Both = Callable[..., Any]
Diary = Any
Make = Callable[[], Any]

ONE_OUTPUT: list[Make] = [
    lambda: SMA(3),
    lambda: EMA(3),
    lambda: EMA(3, seed="first"),
    lambda: RSI(2),
    lambda: RollingStd(3),
]
OUTPUTS: list[tuple[Make, list[str]]] = [
    (lambda: MACD(1, 2, 2), ["line", "signal", "histogram"]),
    (lambda: Bollinger(3), ["lower", "middle", "upper"]),
]
ALL: list[Make] = [*ONE_OUTPUT, *(make for make, _ in OUTPUTS)]


def watches(diary: Diary, make: Make, *subscriptions: dict[str, Any], **options: object) -> Diary:
    """Return a strategy that keeps the answers of a tracked indicator at every call, by symbol."""

    class Watches(diary):  # type: ignore[misc]
        def on_start(self) -> None:
            super().on_start()
            self.column = self.track(make(), **options)
            self.seen: list[Any] = []

        def note(self, name: str, what: object) -> None:
            self.seen.append({symbol: self.column[symbol] for symbol in self.data.symbols})
            super().note(name, [what, repr(self.seen[-1])])

    return Watches(*subscriptions)


def after_each(make: Make, values: Sequence[Any]) -> list[Any]:
    """Return the answers of one indicator of one's own."""
    indicator = make()
    return [indicator.update(*(value if isinstance(value, tuple) else (value,))) for value in values]


@pytest.fixture
def market(daily: Build) -> DataFeed:
    """Return bars of three instruments: one has gaps, and one begins late."""
    a = [10.0, 11.5, 12, 9, 14, 13, 17, 16]
    b = [50.0, None, 51, None, None, 48, 47, 49]
    return daily({"A": a, "B": b, "C": [None] * 4 + [5.0, 6, 7, 8]})


# -- the same as an indicator of one's own ---------------------------------------------------------------


@pytest.mark.parametrize("make", ALL)
def test_a_column_equals_an_indicator_that_on_bar_feeds(
    both: Both, diary: Diary, market: DataFeed, make: Make
) -> None:
    class Compares(diary):  # type: ignore[misc]
        def on_start(self) -> None:
            self.column = self.track(make())
            self.own = {symbol: make() for symbol in self.data.symbols}

        def on_bar(self, event: Any) -> None:  # noqa: ANN401
            self.own[event.asset].update(event.close)
            np.testing.assert_equal(self.column[event.asset], self.own[event.asset].value)

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            found = [self.column[symbol] for symbol in data.symbols]
            np.testing.assert_equal(found, [self.own[symbol].value for symbol in data.symbols])
            self.note("data", repr(found))

    assert len(both(Compares, market).calls) == 8


def test_a_column_is_nan_until_warm_and_counts_the_rows_of_each(
    both: Both, diary: Diary, market: DataFeed
) -> None:
    played = both(lambda: watches(diary, lambda: SMA(3), {"event_type": "signal"}), market)
    found = {symbol: [each[symbol] for each in played.seen] for symbol in "ABC"}
    # B has rows on the first, third, sixth day and on.
    np.testing.assert_allclose(found["B"], [nan] * 5 + [149 / 3, 146 / 3, 48])
    np.testing.assert_allclose(found["C"], [nan] * 6 + [6, 7])
    expected = after_each(lambda: SMA(3), [10.0, 11.5, 12, 9, 14, 13, 17, 16])
    np.testing.assert_array_equal(found["A"], expected)


def test_a_column_is_up_to_date_before_every_callback_of_the_instant(
    both: Both, diary: Diary, market: DataFeed
) -> None:
    class Looks(diary):  # type: ignore[misc]
        def on_start(self) -> None:
            self.column = self.track(SMA(1))
            assert np.isnan(self.column.values).all()
            self.schedule(lambda: self.note("timer", None), rule=schedule.every("12h"))

        def note(self, name: str, what: object) -> None:
            # An average of one value is the last close.
            np.testing.assert_array_equal(self.column.values, self.data.close)
            super().note(name, self.column.values.tolist())

        def on_daily_close(self) -> None:
            self.note("close", None)

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            self.note("data", None)
            broker.buy("A", 1)

    played = both(Looks, market)
    assert {call[0] for call in played.calls} == {"timer", "close", "bar", "data", "fill", "order"}


def test_values_are_one_read_only_array_over_the_symbols(both: Both, diary: Diary, market: DataFeed) -> None:
    class Keeps(diary):  # type: ignore[misc]
        def on_start(self) -> None:
            self.column = self.track(SMA(2))
            self.kept = self.column.values
            assert (self.kept.shape, self.kept.dtype) == ((3,), np.float64)

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            assert self.column.values is self.kept
            with pytest.raises(ValueError, match="read-only"):
                self.kept[0] = 1.0
            np.testing.assert_equal(self.kept.tolist(), [self.column[symbol] for symbol in data.symbols])
            self.note("data", self.kept.tolist())

    played = both(Keeps, market)
    np.testing.assert_equal(
        [call[2][0] for call in played.calls], [nan, 10.75, 11.75, 10.5, 11.5, 13.5, 15, 16.5]
    )


@pytest.mark.parametrize(("make", "names"), OUTPUTS)
def test_several_outputs_are_arrays_by_name_and_tuples_by_symbol(
    both: Both, diary: Diary, market: DataFeed, make: Make, names: list[str]
) -> None:
    class Reads(diary):  # type: ignore[misc]
        def on_start(self) -> None:
            self.column = self.track(make())
            self.kept = [getattr(self.column, name) for name in names]
            for use in ("values", "nothing"):
                with pytest.raises(AttributeError):
                    getattr(self.column, use)

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            assert all(
                getattr(self.column, name) is kept for name, kept in zip(names, self.kept, strict=True)
            )
            assert not any(kept.flags.writeable for kept in self.kept)
            rows = [self.column[symbol] for symbol in data.symbols]
            assert all(isinstance(row, tuple) for row in rows)
            np.testing.assert_array_equal(np.array(rows).T, self.kept)
            self.note("data", repr(rows[0]))

    played = both(Reads, market)
    expected = after_each(make, [10.0, 11.5, 12, 9, 14, 13, 17, 16])
    assert [call[2] for call in played.calls] == [repr(each) for each in expected]


def test_fields_choose_what_an_indicator_is_fed_with(both: Both, diary: Diary, daily: Build) -> None:
    rows = [(10, 12, 9, 11, 100), (11, 15, 10, 14, 300), (14, 14, 11, 12, 500), (12, 13, 8, 9, 200)]
    feed = daily({"A": rows}, features=lambda symbol, n: {"beta": 0.5 * n})
    silent = {"event_type": "signal"}
    for make, fields, places in (
        (lambda: SMA(2), "volume", (4,)),
        (lambda: SMA(2), ["volume"], (4,)),
        (lambda: SMA(2), "prices.low", (2,)),
        (lambda: ATR(2), None, (1, 2, 3)),
        (lambda: ATR(2), ("high", "low", "close"), (1, 2, 3)),
        (lambda: ATR(2), ["high", "low", "open"], (1, 2, 0)),
    ):
        played = both(lambda make=make, fields=fields: watches(diary, make, silent, fields=fields), feed)
        expected = after_each(make, [tuple(row[place] for place in places) for row in rows])
        np.testing.assert_array_equal([each["A"] for each in played.seen], expected)
    played = both(lambda: watches(diary, lambda: SMA(2), silent, fields="beta"), feed)
    np.testing.assert_equal([each["A"] for each in played.seen], [nan, 0.25, 0.75, 1.25])


def test_a_field_of_one_of_several_feeds(both: Both, diary: Diary, daily: Build) -> None:
    feeds = [
        daily({"A": [1, 2, 3], "B": [4, 5, 6]}, name="one"),
        daily({"A": [7, None, 9]}, name="two", matches_orders=False),
    ]
    for fields, a, b in (
        ("close", [1, 1.5, 2.25], [4, 4.5, 5.25]),
        ("one.close", [1, 1.5, 2.25], [4, 4.5, 5.25]),
        ("two.close", [7, 7, 8], [nan] * 3),
    ):
        played = both(
            lambda fields=fields: watches(diary, lambda: EMA(3, seed="first"), fields=fields), feeds
        )
        for symbol, expected in (("A", a), ("B", b)):
            found = [
                each[symbol]
                for each, call in zip(played.seen, played.calls, strict=True)
                if call[0] == "data"
            ]
            np.testing.assert_allclose(found, expected)


def test_prints_and_quotes_feed_an_indicator_row_by_row(both: Both, diary: Diary, tape: Build) -> None:
    # Two rows at one instant: before any callback of it the indicator has seen both.
    ticks = [("A", 1.0, 1), ("B", 1.0, 10), ("A", 2.0, 2), ("A", 2.0, 6), ("A", 3.0, 7), ("B", 3.0, 20)]
    for kind, field, shift in (
        ("trade", "price", 0),
        ("quote", "bid_price", 0.5),
        ("quote", "ask_price", -0.5),
    ):
        feed = tape(kind, ticks)
        played = both(lambda field=field: watches(diary, lambda: SMA(2), fields=field), feed)
        at = {call[1]: each for call, each in zip(played.calls, played.seen, strict=True)}
        np.testing.assert_equal([at[n]["A"] + shift for n in (1.0, 2.0, 3.0)], [nan, 4.0, 6.5])
        np.testing.assert_equal([at[n]["B"] + shift for n in (1.0, 2.0, 3.0)], [nan, nan, 15.0])
        told = [each["A"] for call, each in zip(played.calls, played.seen, strict=True) if call[1] == 2.0]
        np.testing.assert_equal(told, [4.0 - shift] * 3)


def test_a_value_that_is_missing_is_not_counted(both: Both, diary: Diary, tape: Build, daily: Build) -> None:
    feed = daily({"A": [1, 2, 3, 4]}, features=lambda symbol, n: {"beta": None if n == 1 else float(n)})
    played = both(lambda: watches(diary, lambda: SMA(2), {"event_type": "signal"}, fields="beta"), feed)
    np.testing.assert_equal([each["A"] for each in played.seen], [nan, nan, 1.0, 2.5])


def test_late_rows_are_seen_when_they_arrive(both: Both, diary: Diary, tape: Build) -> None:
    ticks = [("A", 1.0, 10), ("A", 2.0, 20, 3.5), ("A", 3.0, 30, 3.5), ("A", 4.0, 40), ("A", 5.0, 50)]
    ticks += [("B", float(n), n) for n in range(1, 6)]
    feed = tape("bar", sorted(ticks, key=lambda tick: tick[1]))
    played = both(lambda: watches(diary, lambda: SMA(2)), feed)
    found = {call[1]: each["A"] for call, each in zip(played.calls, played.seen, strict=True)}
    expected = {1.0: nan, 2.0: nan, 3.0: nan, 3.5: 25.0, 4.0: 35.0, 5.0: 45.0}
    np.testing.assert_equal(found, expected)


@pytest.mark.parametrize(
    "subscription",
    [
        {"asset": "B"},
        {"every": 100},
        {"event_type": "fill"},
        {"window": "3d"},
        {"assets": ["A"], "window": "2d"},
    ],
    ids=str,
)
def test_subscriptions_make_no_difference(
    both: Both, diary: Diary, market: DataFeed, subscription: dict[str, Any]
) -> None:
    free, thin = (both(lambda s=s: watches(diary, lambda: SMA(2), *s), market) for s in ([], [subscription]))
    everything = {call[1]: repr(each) for call, each in zip(free.calls, free.seen, strict=True)}
    found = {call[1]: repr(each) for call, each in zip(thin.calls, thin.seen, strict=True)}
    assert found
    assert found == {second: everything[second] for second in found}


def test_every_instrument_gets_a_copy_of_the_indicator_as_it_stands(
    both: Both, diary: Diary, market: DataFeed
) -> None:
    warm = SMA(3)
    warm.over(np.array([1.0, 2.0]))
    played = both(lambda: watches(diary, lambda: warm, {"event_type": "signal"}), market)
    np.testing.assert_allclose([each["A"] for each in played.seen][:2], [13 / 3, 23.5 / 3])
    assert played.seen[0]["B"] == pytest.approx(53 / 3)
    assert not warm.ready


# -- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "fields", "error", "message"),
    [
        (lambda: SMA(2), "clsoe", Ml4tError, "clsoe.*did you mean 'close'"),
        (lambda: SMA(2), "prices.beta", Ml4tError, "beta"),
        (lambda: SMA(2), "nowhere.close", Ml4tError, "nowhere"),
        (lambda: SMA(2), ["close", "volume"], ConfigError, "SMA|1"),
        (lambda: SMA(2), [], ConfigError, "SMA|1"),
        (lambda: ATR(2), ["high", "low"], ConfigError, "ATR|3"),
        (lambda: SMA, None, ArgumentError, "indicator"),
        (lambda: "SMA(20)", None, ArgumentError, "indicator"),
        (lambda: None, None, ArgumentError, "indicator"),
    ],
    ids=str,
)
def test_what_cannot_be_tracked_is_refused(  # noqa: PLR0913 - a fixture each
    both: Both,
    diary: Diary,
    market: DataFeed,
    make: Make,
    fields: object,
    error: type[Exception],
    message: str,
) -> None:
    def start(strategy: Diary) -> None:
        with pytest.raises(error, match=message):
            strategy.track(make(), fields=fields)
        strategy.refused = True

    assert both(lambda: diary(start=start), market).refused


def test_prints_have_no_close(both: Both, diary: Diary, tape: Build) -> None:
    def start(strategy: Diary) -> None:
        with pytest.raises(Ml4tError, match="close"):
            strategy.track(SMA(2))
        assert np.isnan(strategy.track(SMA(2), fields="price").values).all()

    both(lambda: diary(start=start), tape("trade", [("A", 1.0, 1)]))


def test_an_unknown_symbol_is_refused_and_named(both: Both, diary: Diary, market: DataFeed) -> None:
    def start(strategy: Diary) -> None:
        for make in ALL:
            with pytest.raises(UnknownNameError, match="unknown symbol 'D'"):
                strategy.track(make())["D"]

    both(lambda: diary(start=start), market)


def test_tracking_begins_in_on_start(both: Both, diary: Diary, market: DataFeed) -> None:
    def late(strategy: Diary, name: str) -> None:
        with pytest.raises(EngineStateError, match="on_start"):
            strategy.track(SMA(2))

    assert both(lambda: diary(acts=late), market).calls


# -- any tape --------------------------------------------------------------------------------------------

FIELDS = {"trade": ["price", "size"], "quote": ["bid_price", "ask_size"], "bar": ["close", "volume"]}
rows = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(1, 30), st.integers(1, 99), st.sampled_from([0, 0, 1, 7])),
    max_size=30,
)


@given(
    drawn=rows,
    kind=st.sampled_from(list(FIELDS)),
    place=st.integers(0, 1),
    which=st.integers(0, len(ALL) - 1),
)
def test_a_column_equals_an_indicator_fed_by_every_row(  # noqa: PLR0913 - a fixture each
    both: Both, diary: Diary, tape: Build, drawn: list[Any], kind: str, place: int, which: int
) -> None:
    latest, ticks = {"A": 0.0, "B": 0.0}, []
    for symbol, second, price, late in sorted(
        [("B", 0, 5, 0), *drawn, ("A", 40, 5, 0)], key=lambda row: row[1]
    ):
        latest[symbol] = max(latest[symbol], second + late)
        ticks.append((symbol, float(second), price, float(latest[symbol])))
    if kind == "bar":
        ticks = list({tick[:2]: tick for tick in ticks}.values())
    make, field = ALL[which], FIELDS[kind][place]

    class Feeds(diary):  # type: ignore[misc]
        def on_start(self) -> None:
            self.column = self.track(make(), fields=field)
            self.own = {symbol: make() for symbol in "AB"}

        def note(self, name: str, what: Any) -> None:  # noqa: ANN401
            super().note(name, [what, repr([self.column[symbol] for symbol in "AB"])])

        def feed(self, event: Any) -> None:  # noqa: ANN401
            self.own[event.asset].update(event.bar[field])
            self.note(event.kind, event.asset)

        on_trade = on_quote = on_bar = feed

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            found = [self.column[symbol] for symbol in "AB"]
            np.testing.assert_equal(found, [self.own[symbol].value for symbol in "AB"])
            self.note("data", None)

    assert both(Feeds, tape(kind, ticks)).calls
