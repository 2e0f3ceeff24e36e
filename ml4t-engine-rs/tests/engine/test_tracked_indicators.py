"""Indicators that the engine keeps up to date for every instrument, and indicators over whole arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Strategy, run, schedule
from ml4t.backtest.indicators import ATR, EMA, MACD, RSI, SMA, Bollinger, RollingStd
from ml4t.core.errors import ArgumentError, ConfigError, EngineStateError, Ml4tError, UnknownNameError

nan = math.nan
Build = Callable[..., DataFeed]
Both = Callable[..., Any]
Diary = Any
Make = Callable[[], Any]
InOrder = Callable[..., list[Any]]

OUTPUTS: list[tuple[Make, list[str]]] = [
    (lambda: MACD(1, 2, 2), ["line", "signal", "histogram"]),
    (lambda: Bollinger(3), ["lower", "middle", "upper"]),
]
ALL: list[Make] = [lambda: SMA(3), lambda: EMA(3), lambda: EMA(3, seed="first"), lambda: RSI(2)]
ALL += [lambda: RollingStd(3), *(make for make, _ in OUTPUTS)]
CLOSES = [10.0, 11.5, 12, 9, 14, 13, 17, 16]
# Of the callbacks of a diary that leaves on_data.
SILENT = {"event_type": "signal"}


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


def seen_at(played: Diary) -> dict[float, Any]:
    """Return what was seen at each second, which no callback of it saw otherwise."""
    found: dict[float, Any] = {}
    for (_, second, _), each in zip(played.calls, played.seen, strict=True):
        assert repr(found.setdefault(second, each)) == repr(each)
    return found


def after_each(make: Make, values: Sequence[Any]) -> list[Any]:
    """Return the answers of one indicator of one's own."""
    indicator = make()
    return [indicator.update(*(value if isinstance(value, tuple) else (value,))) for value in values]


@pytest.fixture
def market(daily: Build) -> DataFeed:
    """Return bars of three instruments: one has gaps, and one begins late."""
    b = [50.0, None, 51, None, None, 48, 47, 49]
    return daily({"A": CLOSES, "B": b, "C": [None] * 4 + [5.0, 6, 7, 8]})


# -- the same as an indicator of one's own ---------------------------------------------------------------


def test_a_column_counts_the_rows_of_each_instrument(both: Both, diary: Diary, market: DataFeed) -> None:
    played = both(lambda: watches(diary, lambda: SMA(3), SILENT), market)
    found = {symbol: [each[symbol] for each in played.seen] for symbol in "ABC"}
    # B has rows on the first, third, sixth day and on.
    np.testing.assert_allclose(found["B"], [nan] * 5 + [149 / 3, 146 / 3, 48])
    np.testing.assert_allclose(found["C"], [nan] * 6 + [6, 7])
    np.testing.assert_array_equal(found["A"], after_each(lambda: SMA(3), CLOSES))


def test_a_column_is_up_to_date_before_every_callback(both: Both, diary: Diary, market: DataFeed) -> None:
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
    found = [what[0] for _, _, what in played.of("data")]
    np.testing.assert_equal(found, [nan, 10.75, 11.75, 10.5, 11.5, 13.5, 15, 16.5])


@pytest.mark.parametrize(("make", "names"), OUTPUTS)
def test_several_outputs_have_names(
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
            assert not any(kept.flags.writeable for kept in self.kept)
            rows = [self.column[symbol] for symbol in data.symbols]
            assert all(isinstance(row, tuple) for row in rows)
            np.testing.assert_array_equal(np.array(rows).T, self.kept)
            self.note("data", repr(rows[0]))

    played = both(Reads, market)
    expected = after_each(make, CLOSES)
    assert [what for _, _, what in played.of("data")] == [repr(each) for each in expected]


def test_fields_choose_what_an_indicator_is_fed_with(both: Both, diary: Diary, daily: Build) -> None:
    rows = [(10, 12, 9, 11, 100), (11, 15, 10, 14, 300), (14, 14, 11, 12, 500), (12, 13, 8, 9, 200)]
    feed = daily({"A": rows})
    for make, fields, places in (
        (lambda: SMA(2), ["prices.volume"], (4,)),
        (lambda: SMA(2), "low", (2,)),
        (lambda: ATR(2), None, (1, 2, 3)),
        (lambda: ATR(2), ["high", "low", "open"], (1, 2, 0)),
    ):
        played = both(lambda make=make, fields=fields: watches(diary, make, SILENT, fields=fields), feed)
        expected = after_each(make, [tuple(row[place] for place in places) for row in rows])
        np.testing.assert_array_equal([each["A"] for each in played.seen], expected)


@pytest.mark.parametrize("fields", [5, [], ["close", 1]])
def test_fields_are_names(fields: Any, daily: Build) -> None:  # noqa: ANN401
    class Wrong(Strategy):
        def on_start(self) -> None:
            self.track(SMA(2), fields=fields)

    with pytest.raises(
        ConfigError, match=r"track\(fields=.*expected the name of a field, or a list of names"
    ):
        run(Wrong, daily({"A": [1.0, 2.0]}))


def test_a_field_of_one_of_several_feeds(both: Both, diary: Diary, daily: Build) -> None:
    two = daily({"A": [7, None, 9]}, name="two", matches_orders=False)
    feeds = [daily({"A": [1, 2, 3], "B": [4, 5, 6]}, name="one"), two]
    for fields, a, b in (
        ("close", [1, 1.5, 2.25], [4, 4.5, 5.25]),
        ("one.close", [1, 1.5, 2.25], [4, 4.5, 5.25]),
        ("two.close", [7, 7, 8], [nan] * 3),
    ):
        make = partial(EMA, 3, seed="first")
        played = both(lambda make=make, fields=fields: watches(diary, make, SILENT, fields=fields), feeds)
        np.testing.assert_allclose([each["A"] for each in played.seen], a)
        np.testing.assert_allclose([each["B"] for each in played.seen], b)


def test_prints_and_quotes_feed_an_indicator_row_by_row(both: Both, diary: Diary, tape: Build) -> None:
    # Two rows at one instant: before any callback of it the indicator has seen both.
    ticks = [("A", 1.0, 1), ("B", 1.0, 10), ("A", 2.0, 2), ("A", 2.0, 6), ("A", 3.0, 7), ("B", 3.0, 20)]
    for kind, field, shift in (("trade", "price", 0), ("quote", "bid_price", 0.5)):
        feed = tape(kind, ticks)
        played = both(lambda field=field: watches(diary, lambda: SMA(2), fields=field), feed)
        found = [(each["A"] + shift, each["B"] + shift) for each in seen_at(played).values()]
        np.testing.assert_equal(found, [(nan, nan), (4.0, nan), (6.5, 15.0)])


def test_a_missing_value_is_not_counted(both: Both, diary: Diary, daily: Build) -> None:
    feed = daily({"A": [1, 2, 3, 4]}, features=lambda symbol, n: {"beta": None if n == 1 else float(n)})
    played = both(lambda: watches(diary, lambda: SMA(2), SILENT, fields="beta"), feed)
    np.testing.assert_equal([each["A"] for each in played.seen], [nan, nan, 1.0, 2.5])


def test_late_rows_are_seen_when_they_arrive(both: Both, diary: Diary, tape: Build) -> None:
    ticks = [("A", 1.0, 10), ("A", 2.0, 20, 3.5), ("A", 3.0, 30, 3.5), ("A", 4.0, 40), ("A", 5.0, 50)]
    ticks += [("B", float(n), n) for n in range(1, 6)]
    played = both(lambda: watches(diary, lambda: SMA(2)), tape("bar", ticks))
    found = {second: each["A"] for second, each in seen_at(played).items()}
    np.testing.assert_equal(found, {1.0: nan, 2.0: nan, 3.0: nan, 3.5: 25.0, 4.0: 35.0, 5.0: 45.0})


WANTED = [{"asset": "B"}, {"every": 100}, {"window": "3d"}, {"assets": ["A"], "window": "2d"}]


@pytest.mark.parametrize("subscription", WANTED, ids=str)
def test_subscriptions_make_no_difference(
    both: Both, diary: Diary, market: DataFeed, subscription: dict[str, Any]
) -> None:
    free, thin = (both(lambda s=s: watches(diary, lambda: SMA(2), *s), market) for s in ([], [subscription]))
    everything, found = seen_at(free), seen_at(thin)
    assert found and repr(found) == repr({second: everything[second] for second in found})


def test_every_instrument_gets_a_copy_as_it_stands(both: Both, diary: Diary, market: DataFeed) -> None:
    warm = SMA(3)
    warm.over(np.array([1.0, 2.0]))
    played = both(lambda: watches(diary, lambda: warm, SILENT), market)
    np.testing.assert_allclose([each["A"] for each in played.seen][:2], [13 / 3, 23.5 / 3])
    assert (played.seen[0]["B"], warm.ready) == (pytest.approx(53 / 3), False)


# -- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tracked", "refusal"),
    [
        ((SMA(2), "clsoe"), (Ml4tError, "clsoe")),
        ((SMA(2), "nowhere.close"), (Ml4tError, "nowhere")),
        ((SMA(2), ["close", "volume"]), (ConfigError, "1")),
        ((ATR(2), ["high", "low"]), (ConfigError, "3")),
        ((SMA, None), (ArgumentError, "indicator")),
        (("SMA(20)", None), (ArgumentError, "indicator")),
    ],
    ids=["typo", "feed", "too many", "too few", "class", "text"],
)
def test_what_cannot_be_tracked_is_refused(
    both: Both, diary: Diary, market: DataFeed, tracked: tuple[Any, Any], refusal: tuple[Any, str]
) -> None:
    def start(strategy: Diary) -> None:
        with pytest.raises(refusal[0], match=refusal[1]):
            strategy.track(tracked[0], fields=tracked[1])

    assert both(lambda: diary(start=start), market).calls


def test_tracking_is_for_on_start_and_known_symbols(both: Both, diary: Diary, market: DataFeed) -> None:
    def start(strategy: Diary) -> None:
        for make in ALL:
            with pytest.raises(UnknownNameError, match="unknown symbol 'D'"):
                strategy.track(make())["D"]

    def late(strategy: Diary, name: str) -> None:
        with pytest.raises(EngineStateError, match="on_start"):
            strategy.track(SMA(2))

    assert both(lambda: diary(start=start, acts=late), market).calls


# -- any tape --------------------------------------------------------------------------------------------

FIELDS = {"trade": ["price", "size"], "quote": ["bid_price", "ask_size"], "bar": ["close", "volume"]}
late = st.sampled_from([0, 0, 1, 7])
rows = st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 30), st.integers(1, 99), late), max_size=30)


@given(drawn=rows, kind=st.sampled_from(list(FIELDS)), place=st.integers(0, 1), make=st.sampled_from(ALL))
def test_a_column_equals_an_indicator_fed_by_every_row(  # noqa: PLR0913 - a fixture each
    both: Both,
    diary: Diary,
    tape: Build,
    in_order: InOrder,
    drawn: list[Any],
    kind: str,
    place: int,
    make: Make,
) -> None:
    ticks = in_order(kind, [("B", 0, 5, 0), *drawn, ("A", 40, 5, 0)])
    field = FIELDS[kind][place]

    class Feeds(diary):  # type: ignore[misc]
        def on_start(self) -> None:
            self.column = self.track(make(), fields=field)
            self.own = {symbol: make() for symbol in "AB"}

        def feed(self, event: Any) -> None:  # noqa: ANN401
            self.own[event.asset].update(event.bar[field])
            self.note(event.kind, [event.asset, repr([self.column[symbol] for symbol in "AB"])])

        on_trade = on_quote = on_bar = feed

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            found = [self.column[symbol] for symbol in "AB"]
            np.testing.assert_equal(found, [self.own[symbol].value for symbol in "AB"])
            self.note("data", repr(found))

    assert both(Feeds, tape(kind, ticks)).calls
