"""One order meets the bars where the published table of fills says, whatever the bars are."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Engine, Results, Strategy

START = dt.datetime(2024, 3, 1, 15, 30, tzinfo=dt.UTC)
TICK = 0.25


@attrs.frozen
class BarOf:
    """Prices of a bar in ticks."""

    open: int
    high: int
    low: int
    close: int


@attrs.frozen
class Ask:
    """One order, sent at the end of the first bar; prices in ticks."""

    side: str
    order_type: str
    limit: int | None
    stop: int | None


@st.composite
def bars_of(draw: st.DrawFn) -> list[BarOf]:
    """Draw a first bar and up to five that the order can meet, in a range so narrow that they touch."""
    found = []
    for _ in range(draw(st.integers(2, 6))):
        prices = sorted(draw(st.integers(40, 48)) for _ in range(4))
        first, second = draw(st.permutations(prices[1:3]))
        found.append(BarOf(first, prices[3], prices[0], second))
    return found


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    order_type = draw(st.sampled_from(["market", "limit", "stop", "stop_limit"]))
    limit, stop = draw(st.integers(38, 50)), draw(st.integers(38, 50))
    return Ask(
        draw(st.sampled_from(["buy", "sell"])),
        order_type,
        limit if "limit" in order_type else None,
        stop if "stop" in order_type else None,
    )


def expected(bars: list[BarOf], ask: Ask) -> tuple[int, str, int] | None:
    """Return number of the bar, phase and price of the fill, by the table of `docs/concepts/fills-on-bars.md`.

    A sell is a buy in a world upside down.
    """
    sign = 1 if ask.side == "buy" else -1
    limit = None if ask.limit is None else sign * ask.limit
    stop = None if ask.stop is None else sign * ask.stop
    for number, bar in enumerate(bars[1:], start=1):
        opened, low, high = (
            sign * bar.open,
            min(sign * bar.low, sign * bar.high),
            max(sign * bar.low, sign * bar.high),
        )
        rests = True
        if stop is not None:
            if opened >= stop:
                stop = None  # triggered by the gap; the rest of the bar is still to come
            elif high >= stop:
                if limit is None or stop <= limit:
                    return number, "range", abs(stop)
                # What the bar does after the trigger is unknown, so a worse limit waits for the next bar.
                stop, rests = None, False
            else:
                continue
        if rests and (limit is None or opened <= limit):
            return number, "open", abs(opened)
        if rests and limit is not None and low <= limit:
            return number, "range", abs(limit)
    return None


class SendOne(Strategy):
    """Sends its order at the end of the first bar."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        if event.ts_event == int(START.timestamp()) * 10**9:
            self.broker.submit_order(
                "XYZ",
                10,
                self.ask.side,
                self.ask.order_type,
                None if self.ask.limit is None else self.ask.limit * TICK,
                None if self.ask.stop is None else self.ask.stop * TICK,
            )


def run_one(bars: list[BarOf], ask: Ask) -> Results:
    frame = pl.DataFrame(
        {
            "ts_event": [START + dt.timedelta(minutes=k) for k in range(len(bars))],
            "symbol": ["XYZ"] * len(bars),
            **{
                name: [getattr(bar, name) * TICK for bar in bars] for name in ("open", "high", "low", "close")
            },
            "volume": [1e6] * len(bars),
        }
    )
    feed = DataFeed(frame, stamp="close", interval="1m")
    return Engine(feed, SendOne, params={"ask": ask}, config={"broker": {"allows_short": True}}).run()


@given(bars=bars_of(), ask=asks())
def test_one_order_fills_where_the_published_table_says(bars: list[BarOf], ask: Ask) -> None:
    fills = run_one(bars, ask).fills.rows(named=True)
    wanted = expected(bars, ask)
    if wanted is None:
        assert fills == []
        return
    number, phase, price = wanted
    (fill,) = fills
    assert (fill["phase"], fill["price"]) == (phase, price * TICK)
    # A fill at the open is stamped when the bar begins, one in its range when it ends.
    minutes = number - 1 if phase == "open" else number
    assert fill["ts_event"] == START + dt.timedelta(minutes=minutes)


@pytest.mark.soak
@settings(max_examples=5_000)
@given(bars=bars_of(), ask=asks())
def test_one_order_fills_where_the_published_table_says_at_length(bars: list[BarOf], ask: Ask) -> None:
    test_one_order_fills_where_the_published_table_says.hypothesis.inner_test(bars, ask)  # type: ignore[attr-defined]


class Answer(Strategy):
    """Buys at the end of the first bar and answers its fill with an order of the test's choice."""

    def __init__(self, answer: Ask, place: str) -> None:
        self.answer = answer
        self.place = place
        self.has_answered = False

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if timestamp == START:
            broker.buy("XYZ", 10)

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        self.reply("on_fill")

    def on_order(self, event: Any) -> None:  # noqa: ANN401
        if event.status.value == "filled":
            self.reply("on_order")

    def reply(self, place: str) -> None:
        if place == self.place and not self.has_answered:
            self.has_answered = True
            limit, stop = (
                None if price is None else price * TICK for price in (self.answer.limit, self.answer.stop)
            )
            self.broker.submit_order(
                "XYZ", 10, self.answer.side, self.answer.order_type, limit, stop, tag="answer"
            )


@pytest.mark.parametrize("place", ["on_fill", "on_order"])
@given(bars=bars_of(), ask=asks())
def test_an_order_that_answers_a_fill_at_an_open_meets_only_later_bars(
    place: str, bars: list[BarOf], ask: Ask
) -> None:
    # The bar that opened at the fill is over for the answer: its high and low may lie before it. What
    # remains is an order that was sent at the end of that bar.
    frame = pl.DataFrame(
        {
            "ts_event": [START + dt.timedelta(minutes=k) for k in range(len(bars))],
            "symbol": ["XYZ"] * len(bars),
            **{
                name: [getattr(bar, name) * TICK for bar in bars] for name in ("open", "high", "low", "close")
            },
            "volume": [1e6] * len(bars),
        }
    )
    feed = DataFeed(frame, stamp="close", interval="1m")
    params = {"answer": ask, "place": place}
    results = Engine(feed, Answer, params=params, config={"broker": {"allows_short": True}}).run()
    answers = set(results.orders.filter(pl.col("tag") == "answer")["order_id"])
    fills = results.fills.filter(pl.col("order_id").is_in(answers)).rows(named=True)
    wanted = expected(bars[1:], ask)
    found = [((f["ts_event"] - START).total_seconds() / 60, f["phase"], f["price"] / TICK) for f in fills]
    if wanted is None:
        assert found == []
    else:
        number, phase, price = wanted
        assert found == [(number if phase == "open" else number + 1, phase, price)]
