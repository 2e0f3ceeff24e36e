"""One order meets the bars where the published table of fills says, whatever the bars are."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml4t.backtest import DataFeed, Engine, Strategy

from .running import plugins

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
    """Return bar, phase and price of the fill, by the table of `docs/concepts/fills-on-bars.md`.

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


class SendEach(Strategy):
    """Sends one order per share: at the end of its first bar, or from there on as an answer to a fill."""

    def __init__(self, asks: dict[str, Ask], place: str) -> None:
        self.asks = asks
        self.place = place

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        if event.ts_event == int(START.timestamp()) * 10**9:
            if self.place == "on_bar":
                self.send(event.asset)
            else:
                self.broker.buy(event.asset, 10)

    def on_fill(self, event: Any) -> None:  # noqa: ANN401
        if self.place == "on_fill" and not event.order.tag:
            self.send(event.asset)

    def on_order(self, event: Any) -> None:  # noqa: ANN401
        if self.place == "on_order" and event.status.value == "filled" and not event.order.tag:
            self.send(event.asset)

    def send(self, symbol: str) -> None:
        ask = self.asks[symbol]
        limit, stop = (None if price is None else price * TICK for price in (ask.limit, ask.stop))
        self.broker.submit_order(symbol, 10, ask.side, ask.order_type, limit, stop, tag="asked")


def fills_of(cases: list[tuple[list[BarOf], Ask]], place: str) -> list[list[tuple[float, str, float]]]:
    """Run one share per case; return minute, phase and price in ticks of the fills of each order."""
    names = [f"S{number:02}" for number in range(len(cases))]
    rows = [
        (START + dt.timedelta(minutes=k), name, *(price * TICK for price in attrs.astuple(bar)), 1e6)
        for name, (bars, _) in zip(names, cases, strict=True)
        for k, bar in enumerate(bars)
    ]
    columns = ["ts_event", "symbol", "open", "high", "low", "close", "volume"]
    feed = DataFeed(pl.DataFrame(rows, schema=columns, orient="row"), stamp="close", interval="1m")
    params = {"asks": {name: ask for name, (_, ask) in zip(names, cases, strict=True)}, "place": place}
    config = {"broker": {"allows_short": True, "initial_cash": 10**9}}
    results = Engine(feed, SendEach, params=params, config=config, plugins=plugins()).run()
    asked = results.orders.filter(pl.col("tag") == "asked")["order_id"].implode()
    fills = results.fills.filter(pl.col("order_id").is_in(asked))
    return [
        [
            ((fill["ts_event"] - START).total_seconds() / 60, fill["phase"], fill["price"] / TICK)
            for fill in fills.filter(pl.col("symbol") == name).rows(named=True)
        ]
        for name in names
    ]


def check_cases(cases: list[tuple[list[BarOf], Ask]], place: str) -> None:
    """Compare every fill with the table."""
    # The bar that opens at a fill is over for an answer to it: its high and low may lie before the answer.
    # That leaves an order as good as sent at the end of that bar.
    late = 0 if place == "on_bar" else 1
    for (bars, ask), found in zip(cases, fills_of(cases, place), strict=True):
        wanted = expected(bars[late:], ask)
        if wanted is None:
            assert found == [], (bars, ask)
        else:
            # A fill at the open is stamped when the bar begins, one in its range when it ends.
            number, phase, price = wanted
            minute = number + late - (phase == "open")
            assert found == [(minute, phase, price)], (bars, ask)


CASES = st.lists(st.tuples(bars_of(), asks()), min_size=1, max_size=30)


@given(cases=CASES)
def test_one_order_fills_where_the_published_table_says(cases: list[tuple[list[BarOf], Ask]]) -> None:
    check_cases(cases, "on_bar")


@pytest.mark.parametrize("place", ["on_fill", "on_order"])
@settings(max_examples=25)
@given(cases=CASES)
def test_an_answer_to_a_fill_at_an_open_meets_only_later_bars(
    place: str, cases: list[tuple[list[BarOf], Ask]]
) -> None:
    check_cases(cases, place)


@pytest.mark.soak
@pytest.mark.parametrize("place", ["on_bar", "on_fill", "on_order"])
@settings(max_examples=2_000)
@given(cases=CASES)
def test_orders_fill_where_the_published_table_says_at_length(
    place: str, cases: list[tuple[list[BarOf], Ask]]
) -> None:
    check_cases(cases, place)


def test_a_stop_sent_from_a_fill_does_not_fill_at_a_price_that_never_traded() -> None:
    # Bought at the open of 25.00; a stop to sell at 37.50 is triggered at once and takes the next open.
    bar = BarOf(100, 104, 96, 100)
    check_cases([([bar] * 4, Ask("sell", "stop", None, 150))], "on_fill")
