"""Subscriptions to several symbols and to some of their events, on both engines."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Strategy
from ml4t.core.errors import EngineStateError, Ml4tError, StrategyError, UnknownNameError

Build = Callable[..., DataFeed]
Both = Callable[..., Any]
Diary = Any
Wanted = Mapping[str, Any]
InOrder = Callable[..., list[Any]]


def prices(strategy: Diary, *names: str) -> list[tuple[str, float]]:
    """Return symbol and price of what the callbacks of these names were told."""
    return [(what[0], what[2]) for _, _, what in strategy.of(*names)]


@pytest.fixture
def trades(tape: Build) -> DataFeed:
    """Return eight trades of A and four of B and of C: the n-th of A costs n, of B 10 + n, of C 20 + n."""
    ticks = [("A", n / 2, n) for n in range(1, 9)]
    ticks += [(symbol, float(n), base + n) for symbol, base in (("B", 10), ("C", 20)) for n in range(1, 5)]
    return tape("trade", sorted(ticks, key=lambda tick: tick[1]))


# -- several symbols -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple, set, iter, lambda names: dict.fromkeys(names)])
def test_several_symbols_are_one_subscription(
    both: Both, diary: Diary, trades: DataFeed, kind: Callable[..., Any]
) -> None:
    played = both(lambda: diary({"assets": kind(["C", "A"])}), trades)
    assert {symbol for symbol, _ in prices(played, "trade")} == {"A", "C"}
    assert len(played.of("trade")) == 12


def test_one_symbol_is_the_same_either_way(both: Both, diary: Diary, trades: DataFeed) -> None:
    forms = ({"asset": "B"}, {"assets": ["B"]}, {"assets": ["B", "B"]})
    played = [both(lambda each=each: diary(each), trades) for each in forms]
    assert prices(played[0], "trade") == [("B", 11), ("B", 12), ("B", 13), ("B", 14)]
    assert played[0].calls == played[1].calls == played[2].calls


def test_symbols_and_kind_restrict_together(both: Both, diary: Diary, tape: Build) -> None:
    ticks = [(symbol, second, 10) for second in (1.0, 2.0) for symbol in "AB"]
    feeds = [tape("trade", ticks), tape("quote", ticks, matches_orders=False)]
    played = both(lambda: diary({"assets": ["B"], "event_type": "quote"}), feeds)
    assert [(name, what[0]) for name, _, what in played.of("trade", "quote")] == [("quote", "B")] * 2


# -- every so manieth ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (1, [1, 2, 3, 4, 5, 6, 7, 8]),
        (2, [2, 4, 6, 8]),
        (3, [3, 6]),
        (8, [8]),
        (9, []),
        ("1s", [1, 2, 4, 6, 8]),
        ("2s", [1, 4, 8]),
        ("1500ms", [1, 3, 6]),
        ("1h", [1]),
    ],
)
def test_every_delivers_some_of_the_events_of_an_instrument(
    both: Both, diary: Diary, trades: DataFeed, every: object, expected: list[float]
) -> None:
    # The n-th trade of A happens n / 2 seconds after midnight.
    played = both(lambda: diary({"asset": "A", "every": every}), trades)
    assert [price for _, price in prices(played, "trade")] == expected


def test_each_instrument_counts_its_own(both: Both, diary: Diary, trades: DataFeed) -> None:
    played = both(lambda: diary({"every": 4}), trades)
    assert sorted(prices(played, "trade")) == [("A", 4), ("A", 8), ("B", 14), ("C", 24)]
    played = both(lambda: diary({"assets": ["A", "B"], "every": "2s"}), trades)
    assert sorted(prices(played, "trade")) == [("A", 1), ("A", 4), ("A", 8), ("B", 11), ("B", 12), ("B", 14)]


def test_only_what_matches_is_counted(both: Both, diary: Diary, tape: Build) -> None:
    ticks = [("A", float(second), second) for second in range(1, 7)]
    feeds = [tape("trade", ticks), tape("quote", ticks, matches_orders=False)]
    played = both(lambda: diary({"event_type": "trade", "every": 2}), feeds)
    assert played.of("quote") == []
    assert prices(played, "trade") == [("A", 2), ("A", 4), ("A", 6)]
    # Without a kind, the quotes and trades of the instrument are one sequence: a quote comes first.
    played = both(lambda: diary({"every": 3}), feeds)
    found = [(name, what[1]) for name, _, what in played.of("trade", "quote")]
    assert found == [("quote", 2), ("trade", 3), ("quote", 5), ("trade", 6)]


def test_a_period_counts_from_1970_by_when_a_row_was_true(both: Both, diary: Diary, tape: Build) -> None:
    # The third row belongs to the period before its arrival, the fifth opens a period and is told late.
    ticks = [("A", 290.0, 1), ("A", 300.0, 2), ("A", 599.0, 3, 601.0), ("A", 600.5, 4, 602.0)]
    ticks += [("A", 899.999, 5, 1300.0), ("A", 1000.0, 6, 1301.0), ("A", 1199.0, 7, 1302.0), ("B", 1400.0, 8)]
    played = both(lambda: diary({"every": "5m"}), tape("trade", ticks))
    found = [(second, what[2]) for _, second, what in played.of("trade")]
    assert found == [(290.0, 1), (300.0, 2), (602.0, 4), (1301.0, 6), (1400.0, 8)]


def test_signals_are_thinned_out_as_well(both: Both, diary: Diary, trades: DataFeed) -> None:
    midnight = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    signals = pl.DataFrame(
        {
            "ts_event": [midnight + n * dt.timedelta(milliseconds=300) for n in range(2, 11)],
            "asset_id": ["A", "B", "A"] * 3,
            "model_id": "m",
            "score": [float(n) for n in range(9)],
        }
    )
    played = both(lambda: diary({"event_type": "signal", "every": 2}), trades, signals=signals)
    assert prices(played, "signal") == [("A", 2), ("B", 4), ("A", 5), ("A", 8)]


# -- several subscriptions -------------------------------------------------------------------------------


def test_an_event_that_several_want_is_delivered_once(both: Both, diary: Diary, trades: DataFeed) -> None:
    wanted = {"assets": ["A", "B"]}, {"asset": "A", "every": 2}, {"event_type": "trade", "asset": "A"}
    played = both(lambda: diary(*wanted), trades)
    assert [price for symbol, price in prices(played, "trade") if symbol == "A"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [price for symbol, price in prices(played, "trade") if symbol != "A"] == [11, 12, 13, 14]


def test_each_subscription_counts_on_its_own(both: Both, diary: Diary, trades: DataFeed) -> None:
    wanted = {"asset": "A", "every": 2}, {"asset": "A", "every": 3}
    played = both(lambda: diary(*wanted), trades)
    assert [price for _, price in prices(played, "trade")] == [2, 3, 4, 6, 8]
    wanted = {"asset": "A", "every": 5}, {"every": "2s"}, {"asset": "B", "every": 3}
    played = both(lambda: diary(*wanted), trades)
    assert [price for symbol, price in prices(played, "trade") if symbol == "A"] == [1, 4, 5, 8]
    assert [price for symbol, price in prices(played, "trade") if symbol == "B"] == [11, 12, 13, 14]


# -- what is never thinned out ---------------------------------------------------------------------------


def buys(strategy: Diary, name: str) -> None:
    if name == "data":
        strategy.broker.buy("A", 1)


@pytest.mark.parametrize("every", [3, "1h"])
def test_own_fills_and_orders_are_never_thinned_out(
    both: Both, diary: Diary, trades: DataFeed, every: object
) -> None:
    played = both(lambda: diary({"every": every}, acts=buys), trades)
    assert [what[2] for _, _, what in played.of("fill")] == played.results.fills["price"].to_list()
    assert len(played.of("fill")) > 5
    told = [tuple(what[1:]) for _, _, what in played.of("order")]
    table = played.results.order_events.filter(pl.col("reason_code") != "END_OF_DATA")
    assert told == table.select("order_id", "status").rows()[: len(told)]
    assert len(told) > 3 * len(played.of("fill"))
    # Nor do they count as events of the instrument.
    quiet = both(lambda: diary({"every": every}), trades)
    assert played.of("trade") == quiet.of("trade")


def test_on_event_gets_all_fills_of_a_thin_subscription(both: Both, trades: DataFeed) -> None:
    class Listens(Strategy):
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def on_start(self) -> None:
            self.subscribe(every=1000)
            self.subscribe(event_type="fill", every=2)

        def on_event(self, event: Any) -> None:  # noqa: ANN401
            self.calls.append((type(event).__name__, event.ts_event))

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            broker.buy("A", 1)

    played = both(Listens, trades)
    names = [name for name, _ in played.calls]
    assert names.count("FillEvent") == played.results.fills.height > 5
    assert names.count("OrderEvent") > 15
    assert "MarketEvent" not in names


def test_on_data_does_not_depend_on_subscriptions(both: Both, diary: Diary, trades: DataFeed) -> None:
    everything, little = (
        both(lambda wanted=wanted: diary(*wanted), trades) for wanted in ([], [{"asset": "A", "every": 5}])
    )
    assert little.of("data") == everything.of("data")
    assert len(little.of("data")) == 8


# -- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subscription", "refusal"),
    [
        ({"asset": "A", "assets": ["B"]}, (StrategyError, "asset = 'A' or assets = .*not both")),
        ({"assets": "ABC"}, (StrategyError, "assets = 'ABC'; expected several symbols")),
        ({"assets": ["A", "D"]}, (UnknownNameError, "unknown symbol 'D'")),
        ({"every": 0}, (StrategyError, "every = 0; expected 1 or more")),
        ({"every": True}, ((Ml4tError, ValueError), "True")),
        ({"every": 1.5}, ((Ml4tError, ValueError), "1.5")),
        ({"every": "often"}, ((Ml4tError, ValueError), "often")),
        ({"every": "0s"}, ((Ml4tError, ValueError), "0s")),
    ],
    ids=str,
)
def test_a_subscription_that_makes_no_sense_is_refused(
    both: Both, diary: Diary, trades: DataFeed, subscription: Wanted, refusal: tuple[Any, str]
) -> None:
    with pytest.raises(refusal[0], match=refusal[1]):
        both(lambda: diary(subscription), trades)


def test_a_subscription_after_the_start_is_refused(both: Both, diary: Diary, trades: DataFeed) -> None:
    def late(strategy: Diary, name: str) -> None:
        with pytest.raises(EngineStateError, match="on_start"):
            strategy.subscribe(every=2)

    played = both(lambda: diary(acts=late), trades)
    assert len(played.of("trade")) == 16


# -- any subscriptions on any tape -----------------------------------------------------------------------

KINDS = ("trade", "quote", "bar")
MIDNIGHT_MS = 1_704_067_200_000
MS = {"1s": 1000, "2s": 2000, "1500ms": 1500, "700ms": 700}
late = st.sampled_from([0, 0, 0, 1, 5])
row = st.tuples(st.sampled_from("ABC"), st.integers(1, 24), st.integers(5, 20), late)
rows = st.lists(row, min_size=1, max_size=24)
every_kind = st.none() | st.integers(1, 4) | st.sampled_from(list(MS))
subscriptions = st.lists(
    st.fixed_dictionaries(
        {"every": every_kind},
        optional={
            "assets": st.lists(st.sampled_from("ABC"), min_size=1, max_size=3),
            "event_type": st.sampled_from([*KINDS, "fill", "order"]),
        },
    ),
    max_size=3,
)


@given(drawn=rows, kind=st.sampled_from(KINDS), wanted=subscriptions)
def test_both_engines_deliver_the_same(  # noqa: PLR0913 - a fixture each
    both: Both,
    diary: Diary,
    tape: Build,
    in_order: InOrder,
    drawn: list[Any],
    kind: str,
    wanted: list[Wanted],
) -> None:
    # Every symbol is known, and the last row comes after all that are late.
    ticks = in_order(kind, [*((symbol, 0, 9, 0) for symbol in "ABC"), *drawn, ("A", 40, 9, 0)])

    def trades(strategy: Diary, name: str) -> None:
        if name == "data" and len(strategy.calls) % 3 == 0:
            strategy.broker.buy(strategy.data.symbols[0], 1)

    played = both(lambda: diary(*wanted, acts=trades), tape(kind, ticks))
    shift = 0.5 if kind == "quote" else 0
    # What is readable at one instant comes by the time of the row, then by symbol.
    ticks.sort(key=lambda tick: (tick[3], tick[1], tick[0]))
    expected = thinned([(*tick[:2], tick[2] - shift) for tick in ticks], kind, wanted)
    assert [what for _, _, what in played.of(kind)] == expected


def thinned(events: list[Any], kind: str, wanted: list[Wanted]) -> list[Any]:
    """Return the events (symbol, second, price) that subscriptions ask for, by their definition."""
    found: set[int] = set()
    for each in wanted or [{"every": 1}]:
        if each.get("event_type", kind) != kind:
            continue
        for symbol in each.get("assets", "ABC"):
            places = [n for n, event in enumerate(events) if event[0] == symbol]
            every = each["every"] or 1
            if isinstance(every, int):
                found |= set(places[every - 1 :: every])
                continue
            periods = [(MIDNIGHT_MS + round(events[n][1] * 1000)) // MS[every] for n in places]
            before = [-1, *itertools.accumulate(periods, max)]
            found |= {n for n, at, last in zip(places, periods, before, strict=False) if at > last}
    return [event for n, event in enumerate(events) if n in found]
