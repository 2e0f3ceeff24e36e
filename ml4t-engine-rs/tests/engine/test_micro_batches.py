"""Rows of a window together: when they are handed over, what they hold, what orders can meet, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, MicroBatch, Strategy, schedule
from ml4t.core.errors import Ml4tError, UnknownNameError

Build = Callable[..., DataFeed]
Both = Callable[..., Any]
Diary = Any
Wanted = Mapping[str, Any]
Rows = list[tuple[Any, ...]]
InOrder = Callable[..., Rows]

SECOND = {"event_type": "trade", "window": "1s"}
TICKS = [("A", 0.1, 1), ("B", 0.1, 2), ("A", 1.0, 3), ("A", 1.001, 4), ("B", 3.5, 5), ("A", 3.7, 6)]


@pytest.fixture
def trades(tape: Build) -> DataFeed:
    return tape("trade", TICKS)


def batches(strategy: Diary) -> list[tuple[float, str, list[float]]]:
    """Return second, feed and prices of the batches."""
    return [(now, feed, [row[2] for row in rows]) for _, now, (feed, rows) in strategy.of("batch")]


# -- when ------------------------------------------------------------------------------------------------


def test_the_rows_of_a_window_come_together_at_its_end(both: Both, diary: Diary, trades: DataFeed) -> None:
    played = both(lambda: diary(SECOND), trades)
    assert played.of("batch") == [
        ("batch", 1.0, ("trades", [("A", 0.1, 1), ("B", 0.1, 2), ("A", 1.0, 3)])),
        # Nothing happens at 2.0 but the end of the window; nobody hears of the one that ends at 3.0.
        ("batch", 2.0, ("trades", [("A", 1.001, 4)])),
        # The last is handed over with the last row.
        ("batch", 3.7, ("trades", [("B", 3.5, 5), ("A", 3.7, 6)])),
    ]
    ends = [(name, second) for second in (1.0, 2.0, 3.7) for name in ("batch", "data")]
    assert [call[:2] for call in played.calls] == ends


def test_windows_are_whole_multiples_since_1970(both: Both, diary: Diary, tape: Build) -> None:
    assert MIDNIGHT_MS // 1000 % 7 == 3
    feed = tape("trade", [("A", float(second), second) for second in range(1, 20)])
    played = both(lambda: diary({"event_type": "trade", "window": "7s"}), feed)
    longest = both(lambda: diary({"window": "1h"}), feed)
    assert batches(longest) == [(19.0, "trades", [*range(1, 20)])]
    ends = {4.0: range(1, 5), 11.0: range(5, 12), 18.0: range(12, 19), 19.0: [19]}
    assert batches(played) == [(end, "trades", list(found)) for end, found in ends.items()]


def test_the_last_row_of_the_run_may_be_of_another_feed(both: Both, diary: Diary, tape: Build) -> None:
    quotes = tape("quote", [("A", 2.6, 10), ("A", 2.9, 11)], matches_orders=False)
    feeds = [tape("trade", [("A", 0.5, 1), ("A", 2.5, 2)]), quotes]
    played = both(lambda: diary(SECOND), feeds)
    assert batches(played) == [(1.0, "trades", [1]), (2.9, "trades", [2])]
    assert [now for _, now, _ in played.of("data")] == [1.0, 2.6, 2.9]


def test_a_timer_at_the_end_of_a_window_comes_first(both: Both, diary: Diary, trades: DataFeed) -> None:
    def start(strategy: Diary) -> None:
        strategy.schedule(lambda: strategy.note("timer", None), rule=schedule.every("1s"))

    played = both(lambda: diary(SECOND, start=start), trades)
    found = [call[:2] for call in played.calls if call[1] in (1.0, 2.0)]
    assert found == [(name, second) for second in (1.0, 2.0) for name in ("timer", "batch", "data")]
    assert batches(played) == batches(both(lambda: diary(SECOND), trades))


def test_late_rows_belong_to_the_window_in_which_they_arrive(both: Both, diary: Diary, tape: Build) -> None:
    ticks = [("A", 0.2, 1), ("A", 0.4, 2, 1.0), ("B", 0.5, 3, 2.5)]
    ticks += [("A", 0.6, 4, 1.1), ("A", 2.1, 5), ("C", 4.0, 6)]
    played = both(lambda: diary(SECOND), tape("trade", ticks))
    assert played.of("batch") == [
        ("batch", 1.0, ("trades", [("A", 0.2, 1), ("A", 0.4, 2)])),
        ("batch", 2.0, ("trades", [("A", 0.6, 4)])),
        ("batch", 3.0, ("trades", [("A", 2.1, 5), ("B", 0.5, 3)])),
        ("batch", 4.0, ("trades", [("C", 4.0, 6)])),
    ]


# -- what ------------------------------------------------------------------------------------------------


def test_arrays_equal_the_rows_are_read_only_and_may_be_kept(engine: Callable[..., Any], tape: Build) -> None:
    feed = tape("trade", TICKS)
    for name in ("rust", "reference"):
        kept: list[tuple[Any, ...]] = []

        class Keeps(Strategy):
            def on_start(self) -> None:
                self.subscribe(**SECOND)

            def on_batch(self, batch: Any, kept: Any = kept) -> None:  # noqa: ANN401
                arrays = (batch.price, batch["size"], batch.times, batch.assets)
                assert [array.dtype for array in arrays] == [np.float64, np.float64, np.int64, np.uint32]
                for array in arrays:
                    with pytest.raises(ValueError, match="read-only"):
                        array[0] = 0
                    assert not array.flags.writeable
                np.testing.assert_array_equal(batch.price, batch["price"])
                kept.append((batch, *arrays, [array.tolist() for array in arrays]))
                assert (isinstance(batch, MicroBatch), batch.kind, batch.feed) == (True, "trade", "trades")
                assert (batch.keys(), batch.timestamp.ns) == (["price", "size"], self.data.timestamp.ns)

        engine(Keeps, feed, backtest={"engine": name}).run()
        assert [each[1].tolist() for each in kept] == [[1, 2, 3], [4], [5, 6]]
        assert [each[4].tolist() for each in kept] == [[0, 1, 0], [0], [1, 0]]
        for batch, *arrays, values in kept:
            assert [array.tolist() for array in arrays] == values
            assert [each.tolist() for each in (batch.price, batch.size, batch.times, batch.assets)] == values
            assert len(batch) == len(arrays[0])


def test_an_unknown_field_of_a_batch_is_named(both: Both, diary: Diary, trades: DataFeed) -> None:
    class Asks(diary):  # type: ignore[misc]
        def on_batch(self, batch: Any) -> None:  # noqa: ANN401
            with pytest.raises(UnknownNameError, match=r"'prise'.*did you mean 'price'"):
                batch["prise"]
            with pytest.raises(AttributeError, match="prise"):
                batch.prise  # noqa: B018
            self.note("asked", None)

    assert len(both(lambda: Asks(SECOND), trades).of("asked")) == 3


@pytest.mark.parametrize("kind", ["bar", "quote", "trade"])
def test_windows_of_every_kind(both: Both, diary: Diary, tape: Build, kind: str) -> None:
    feed = tape(kind, [("A", float(second), second) for second in range(1, 6)])
    shift = 0.5 if kind == "quote" else 0
    for wanted in ({"event_type": kind, "window": "2s"}, {"window": "2s"}):
        played = both(lambda wanted=wanted: diary(wanted), feed)
        found = [(end, [price + shift for price in each]) for end, _, each in batches(played)]
        assert found == [(2.0, [1, 2]), (4.0, [3, 4]), (5.0, [5])]
        assert played.of(kind) == []


def test_a_batch_is_of_one_feed(both: Both, diary: Diary, tape: Build) -> None:
    ticks = [("A", second / 4, second) for second in range(1, 9)]
    feeds = [tape("trade", ticks), tape("quote", ticks, matches_orders=False)]
    played = both(lambda: diary({"window": "1s"}), feeds)
    expected = [(second, feed, 4) for second in (1.0, 2.0) for feed in ("quotes", "trades")]
    assert [(now, feed, len(found)) for now, feed, found in batches(played)] == expected
    assert len(played.of("data")) == 2


def test_rows_that_are_in_no_window_come_one_by_one(both: Both, diary: Diary, trades: DataFeed) -> None:
    played = both(lambda: diary({"asset": "A", **SECOND}, {"asset": "B"}), trades)
    assert batches(played) == [(1.0, "trades", [1, 3]), (2.0, "trades", [4]), (3.7, "trades", [6])]
    assert [what for _, _, what in played.of("trade")] == [("B", 0.1, 2), ("B", 3.5, 5)]
    # Only rows in windows do not call on_data.
    assert [now for _, now, _ in played.of("data")] == [0.1, 1.0, 2.0, 3.5, 3.7]


def test_rows_of_other_feeds_call_on_data(both: Both, diary: Diary, tape: Build, trades: DataFeed) -> None:
    quotes = tape("quote", [("A", 0.3, 10), ("B", 1.0, 11), ("A", 2.5, 12)], matches_orders=False)
    played = both(lambda: diary(SECOND, {"event_type": "quote"}), [trades, quotes])
    assert [now for _, now, _ in played.of("quote")] == [0.3, 1.0, 2.5]
    assert [now for _, now, _ in played.of("data")] == [0.3, 1.0, 2.0, 2.5, 3.7]
    assert batches(played) == batches(both(lambda: diary(SECOND), trades))


def test_on_event_is_not_told_of_rows_in_windows(both: Both, diary: Diary, trades: DataFeed) -> None:
    class Listens(diary):  # type: ignore[misc]
        on_trade = Strategy.on_trade

        def on_event(self, event: Any) -> None:  # noqa: ANN401
            self.note("event", event.asset)

    assert len(both(lambda: Listens({"event_type": "trade"}), trades).of("event")) == 6
    assert both(lambda: Listens(SECOND), trades).of("event") == []


# -- orders ----------------------------------------------------------------------------------------------


def buys(strategy: Diary, name: str) -> None:
    if name == "batch":
        strategy.broker.buy("A", 1)


def test_an_order_of_on_batch_meets_later_trades_only(both: Both, diary: Diary, trades: DataFeed) -> None:
    played = both(lambda: diary(SECOND, acts=buys), trades)
    # Sent at 1.0, where a trade is; at 2.0 where there is none; at the end, where nothing follows.
    assert played.results.fills["price"].to_list() == [4.0, 6.0]
    assert [(now, what[2]) for _, now, what in played.of("fill")] == [(1.001, 4.0), (3.7, 6.0)]


def test_an_order_of_on_batch_meets_the_next_open(both: Both, diary: Diary, tape: Build) -> None:
    feed = tape("bar", [("A", float(second), second) for second in range(1, 7)])
    assert both(lambda: diary({"window": "2s"}, acts=buys), feed).results.fills["price"].to_list() == [3, 5]


def test_orders_are_matched_against_each_row_of_a_window(both: Both, diary: Diary, trades: DataFeed) -> None:
    def rests(strategy: Diary, name: str) -> None:
        if name == "batch" and strategy.data.timestamp.second == 2:
            strategy.broker.buy("B", 1, limit_price=5)

    played = both(lambda: diary(SECOND, acts=rests), trades)
    assert [(now, what[2]) for _, now, what in played.of("fill")] == [(3.5, 5.0)]


# -- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subscription", "message"),
    [
        ({"window": "1s", "every": 2}, "a window or every = 2, not both"),
        ({"window": "1s", "event_type": "signal"}, "not of signals"),
        ({"window": "1s", "event_type": "fill"}, "not of fills"),
        ({"window": "1s", "event_type": "order"}, "not of orders"),
        ({"window": "1s", "model_id": "m"}, "not of signals"),
        ({"window": "0s"}, "0s"),
        ({"window": 5}, "5"),
    ],
    ids=str,
)
def test_a_window_that_makes_no_sense_is_refused(
    both: Both, diary: Diary, trades: DataFeed, subscription: Wanted, message: str
) -> None:
    with pytest.raises((Ml4tError, ValueError, TypeError), match=message):
        both(lambda: diary(subscription), trades)


# -- any windows on any tape -----------------------------------------------------------------------------

MIDNIGHT_MS = 1_704_067_200_000
LENGTHS = {"1s": 1000, "700ms": 700, "3s": 3000, "10s": 10_000}
ENDS = [*((symbol, 0, 9, 0) for symbol in "ABC"), ("A", 24, 9, 0)]
steps = st.integers(1, 30).map(lambda n: n / 4)
row = st.tuples(st.sampled_from("ABC"), steps, st.integers(1, 99), st.sampled_from([0, 0, 0, 0.25, 2]))
rows = st.lists(row, max_size=30)


def whole(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a draw with whole seconds, as bars have them."""
    return (row[0], math.ceil(2 * row[1]), row[2], math.ceil(row[3]))


some = st.lists(st.sampled_from("ABC"), min_size=1, max_size=2)
window = st.fixed_dictionaries({"window": st.sampled_from(list(LENGTHS))}, optional={"assets": some})
every = st.none() | st.integers(1, 3) | st.just("2s")
single = st.fixed_dictionaries({"every": every}, optional={"assets": some})
KINDS = ("trade", "quote", "bar")


@given(drawn=rows, wanted=window)
@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_rows_by_the_end_of_their_window(  # noqa: PLR0913 - a fixture each
    both: Both, diary: Diary, tape: Build, in_order: InOrder, kind: str, drawn: Rows, wanted: Wanted
) -> None:
    ticks = in_order(kind, [*ENDS, *(whole(row) if kind == "bar" else row for row in drawn)])
    played = both(lambda: diary(wanted), tape(kind, ticks))
    length, last = LENGTHS[wanted["window"]], max(tick[1] for tick in ticks)
    expected: dict[float, list[float]] = {}
    # What is readable at one instant comes by the time of the row, then by symbol.
    for symbol, _, price, arrival in sorted(ticks, key=lambda tick: (tick[3], tick[1], tick[0])):
        if symbol in wanted.get("assets", "ABC"):
            end = math.ceil((MIDNIGHT_MS + round(arrival * 1000)) / length) * length - MIDNIGHT_MS
            shown = price - 0.5 if kind == "quote" else price
            expected.setdefault(min(end / 1000, last), []).append(shown)
    assert batches(played) == [(end, f"{kind}s", found) for end, found in expected.items()]


@given(
    drawn=st.tuples(rows, rows), kinds=st.permutations(KINDS), wanted=st.lists(window | single, max_size=4)
)
def test_both_engines_call_the_same_whatever_is_subscribed_to(  # noqa: PLR0913 - a fixture each
    both: Both,
    diary: Diary,
    tape: Build,
    in_order: InOrder,
    drawn: list[Rows],
    kinds: list[str],
    wanted: Rows,
) -> None:
    def trades(strategy: Diary, name: str) -> None:
        if name in ("batch", "data") and len(strategy.calls) % 3 == 0:
            strategy.broker.buy(strategy.data.symbols[len(strategy.calls) % 2], 1)

    feeds = []
    for kind, part in zip(kinds, drawn, strict=False):
        ticks = in_order(kind, [*ENDS, *(whole(row) if kind == "bar" else row for row in part)])
        feeds.append(tape(kind, ticks, matches_orders=not feeds))
    both(lambda: diary(*wanted, acts=trades), feeds)
