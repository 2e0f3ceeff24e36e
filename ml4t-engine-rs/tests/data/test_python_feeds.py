from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml4t.backtest import MarketEvent as MarketEventView
from ml4t.backtest import Strategy, run
from ml4t.backtest.data import DataFeed, assemble
from ml4t.core import sources
from ml4t.core.errors import DataError
from ml4t.core.events import Bar, Quote, TradeTick
from ml4t.core.instrument import Instrument
from ml4t.core.types import DataKind

MarketEvent = Bar | Quote | TradeTick
MINUTE = 60 * 10**9


class Listed(DataFeed):
    """A user's feed: its own constructor, and no call of the one it inherits."""

    interval = "1m"
    calendar = "24/7"

    def __init__(self, events: list[MarketEvent]) -> None:
        self.rest: Iterator[MarketEvent] = iter(events)

    def get_next_event(self) -> MarketEvent | None:
        return next(self.rest, None)


@pytest.fixture(scope="module")
def at(ns: Callable[[str], int]) -> int:
    return ns("2012-07-03T14:31:00+00:00")


def bar(symbol: str, at: int, price: float = 10.0, **more: object) -> Bar:
    return Bar(symbol, at, price, price + 1, price - 1, price, 100, **more)  # type: ignore[arg-type]


def test_a_python_feed_equals_the_frame_of_its_rows(at: int) -> None:
    events: list[MarketEvent] = [
        bar(symbol, at + n * MINUTE, 10.0 + n) for n in range(50) for symbol in ("B", "A")
    ]
    frame = pl.DataFrame(
        [
            (e.ts_event, e.symbol, e.open, e.high, e.low, e.close, e.volume)
            for e in events
            if isinstance(e, Bar)
        ],
        schema=["ts_event", "symbol", "open", "high", "low", "close", "volume"],
        orient="row",
    )
    mine = assemble(Listed(events))
    table = assemble(DataFeed(frame, name="Listed", stamp="close", interval="1m", calendar="24/7"))
    assert mine.instruments == table.instruments
    assert mine.feeds[0].name == "Listed"
    assert_frame_equal(mine.feeds[0].frame, table.feeds[0].frame)


def test_the_rows_of_a_frame_read_as_events_make_the_same_frame(prices: pl.DataFrame) -> None:
    feed = DataFeed(prices, stamp="session")
    events = list(iter(feed.get_next_event, None))
    assert len(events) == prices.height
    first = events[0]
    assert isinstance(first, Bar)
    assert (first.symbol, first.open) == ("AAPL", 118.56)
    assert dict(first.fields) == {"adj_close": prices["adj_close"][0]}

    class NewYork(Listed):
        calendar = "XNYS"

    assert_frame_equal(assemble(NewYork(events)).feeds[0].frame, assemble(feed).feeds[0].frame)


def test_events_of_several_kinds_become_one_table_each(at: int) -> None:
    events: list[MarketEvent] = [
        Quote("A", at, 9.9, 10.1),
        TradeTick("A", at, 10.0, 5),
        bar("A", at + MINUTE, ts_open=at),
        Quote("A", at + MINUTE, 9.8, 10.0, 1, 2),
    ]

    class Mixed(Listed):
        name = "mixed"

    source = Instrument("A", calendar="24/7", matching_source="mixed.quote")
    data = assemble(Mixed(events), instruments=[source])
    assert [(table.name, table.kind) for table in data.feeds] == [
        ("mixed.quote", DataKind.QUOTE),
        ("mixed.trade", DataKind.TRADE),
        ("mixed.bar", DataKind.BAR),
    ]
    assert data.feeds[0].frame["bid_size"].is_nan().to_list() == [True, False]


class Venue(Listed):
    """Quotes and prints from one feed."""

    name = "venue"

    def __init__(self, at: int) -> None:
        super().__init__([Quote("A", at, 9.9, 10.1), TradeTick("A", at, 10.0, 5)])


def test_without_a_choice_a_feed_of_several_kinds_is_refused_with_what_to_write(at: int) -> None:
    with pytest.raises(DataError) as refused:
        assemble(Venue(at))
    message = str(refused.value)
    assert message.startswith(
        "A: feed venue yields quotes and trades, which are read as the feeds venue.quote, venue.trade"
    )
    assert "matches_orders=True" not in message, "it is said of the whole feed and would choose nothing"

    # Both of the remedies, as they are written in the message.
    declared = "Instrument('A', calendar='24/7', matching_source='venue.quote')"
    assert f"instruments=[{declared}]" in message
    data = assemble(Venue(at), instruments=[eval(declared)])
    assert [data.feeds[index].name for index in data.matching] == ["venue.quote"]

    defaults = "{'matching_source': 'venue.quote'}"
    assert message.endswith(f"instrument_defaults={defaults}")

    class WithDefaults(Venue):
        instrument_defaults = eval(defaults)

    data = assemble(WithDefaults(at))
    assert [data.feeds[index].name for index in data.matching] == ["venue.quote"]
    assert data.instruments[0].calendar == "24/7"


def test_three_kinds_of_one_feed_are_named_in_the_refusal(at: int) -> None:
    events = [Quote("A", at, 9.9, 10.1), TradeTick("A", at, 10.0, 5), bar("A", at + MINUTE, ts_open=at)]
    with pytest.raises(DataError, match=r"A: feed Listed yields quotes, trades and bars, which"):
        assemble(Listed(events))


def test_a_feed_of_several_kinds_of_which_none_matches_is_refused(at: int) -> None:
    class Watched(Venue):
        matches_orders = False

    with pytest.raises(DataError) as refused:
        assemble(Watched(at))
    assert str(refused.value) == (
        "A: every feed that has it (venue.quote, venue.trade) declares matches_orders=False; one must match: "
        "leave matches_orders out on that feed, or declare Instrument('A', matching_source='...') with its "
        "name"
    )


def test_kinds_of_a_feed_are_read_by_their_names(at: int) -> None:
    class Reads(Strategy):
        def on_quote(self, event: MarketEventView) -> None:
            self.record(last=self.data["A"]["venue.trade.price"])

    source = Instrument("A", calendar="24/7", matching_source="venue.quote")
    assert run(Reads, Venue(at), instruments=[source]).recorded["value"].to_list() == [10.0]


def test_fields_of_bars_become_features(at: int) -> None:
    events: list[MarketEvent] = [
        bar("A", at, fields={"alpha": 0.5}),
        bar("A", at + MINUTE, fields={"beta": 2.0}),
    ]
    table = assemble(Listed(events)).feeds[0]
    assert table.extra == ("alpha", "beta")
    assert table.frame["alpha"].is_nan().to_list() == [False, True]


def test_a_late_event_makes_an_arrival_column(at: int) -> None:
    events: list[MarketEvent] = [bar("A", at), bar("A", at + MINUTE, ts_arrival=at + 3 * MINUTE)]
    frame = assemble(Listed(events)).feeds[0].frame
    assert frame["ts_arrival"].to_list() == [at, at + 3 * MINUTE]


def test_a_daily_python_feed_opens_with_the_session(ns: Callable[[str], int]) -> None:
    class Daily(Listed):
        interval = "1d"
        calendar = "XNYS"

    frame = assemble(Daily([bar("IBM", ns("2012-07-03T13:00:00-04:00"))])).feeds[0].frame
    assert frame["ts_open"].to_list() == [ns("2012-07-03T09:30:00-04:00")]


def test_a_feed_without_an_end_is_legal_where_the_run_has_one(ns: Callable[[str], int]) -> None:
    class Endless(DataFeed):
        calendar = "24/7"
        interval = "1h"

        def __init__(self) -> None:
            self.count = itertools.count()

        def get_next_event(self) -> Bar:
            n = next(self.count)
            return bar("A", ns("2012-07-03T01:00:00+00:00") + n * 60 * MINUTE)

    data = assemble(Endless(), end=dt.date(2012, 7, 4))
    assert data.feeds[0].frame.height == 48


def test_a_feed_of_the_kernels_base_class_is_enough(at: int) -> None:
    class Bare(sources.DataFeed):
        def __init__(self) -> None:
            self.events = iter([TradeTick("A", at, 1.0)])

        def get_next_event(self) -> TradeTick | None:
            return next(self.events, None)

    data = assemble(Bare())
    assert data.feeds[0].name == "Bare"
    assert data.instruments[0].calendar == "XNYS"


def test_an_event_out_of_order_is_refused(at: int) -> None:
    with pytest.raises(DataError, match="B at 2012-07-03T14:30:00Z came after A at 2012-07-03T14:31:00Z"):
        assemble(Listed([bar("A", at), bar("B", at - MINUTE)]))


def test_something_that_is_no_event_is_refused() -> None:
    with pytest.raises(
        DataError, match="get_next_event returned a dict; it returns Bar, Quote, TradeTick, or None"
    ):
        assemble(Listed([{"symbol": "A"}]))  # type: ignore[list-item]


def test_a_feed_at_its_end_is_refused(at: int) -> None:
    feed = Listed([bar("A", at)])
    assemble(feed)
    with pytest.raises(
        DataError, match="a feed that has been read once is at its end, so give each run a new one"
    ):
        assemble(feed)
    with pytest.raises(DataError, match="can be read only once"):
        _ = feed.report


def test_a_bar_without_an_open_needs_an_interval(at: int) -> None:
    class Unknown(Listed):
        interval = None  # type: ignore[assignment]

    with pytest.raises(
        DataError, match="the bar of A at 2012-07-03T14:31:00Z has no ts_open and the feed declares no"
    ):
        assemble(Unknown([bar("A", at)]))
    with pytest.raises(DataError, match="has no ts_open and others of this feed have one"):
        assemble(Listed([bar("A", at, ts_open=at - MINUTE), bar("A", at + MINUTE)]))


def test_events_are_checked_like_rows(at: int) -> None:
    with pytest.raises(DataError, match=r"A at 2012-07-03T14:31:00Z: high 1.0 is below low 2.0"):
        assemble(Listed([Bar("A", at, 1.5, 1.0, 2.0, 1.5)]))


def test_reading_context_as_events_is_refused() -> None:
    frame = pl.DataFrame({"timestamp": [dt.datetime(2012, 7, 3, tzinfo=dt.UTC)], "vix": [15.0]})
    with pytest.raises(DataError, match="context rows belong to no instrument"):
        DataFeed(frame, kind="context", stamp="event").get_next_event()


def test_quotes_and_trades_of_frames_read_as_events(at: int) -> None:
    quotes = pl.DataFrame({"ts_event": [at], "symbol": "A", "bid_price": 1.0, "ask_price": 1.5})
    quote = DataFeed(quotes, kind="quote", stamp="event").get_next_event()
    assert isinstance(quote, Quote)
    assert (quote.bid_price, quote.ask_price, quote.ts_event) == (1.0, 1.5, at)
    trade = DataFeed(quotes.rename({"ask_price": "price"}), kind="trade", stamp="event").get_next_event()
    assert isinstance(trade, TradeTick)
    assert trade.price == 1.5


def test_symbols_that_a_python_feed_does_not_yield_are_refused_as_unknown(at: int) -> None:
    with pytest.raises(DataError, match=r"instruments declares 'B', which no feed has"):
        assemble(Listed([bar("A", at)]), instruments=[Instrument("B", calendar="24/7")])
