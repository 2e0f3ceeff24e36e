"""Fill models that are told of the market: a queue that an author counts, in C and in Python."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import FillArgs, FillOut, ObservedMarket
from ml4t.native import OK, load, native_model
from ml4t.native.structs import Made

backtest = pytest.importorskip("ml4t.backtest")

# Ahead of an order is what its own side shows at its limit at the first quote after it became active. Prints
# at the limit take from it; what they leave is ours. One beyond the limit fills all.
C_QUEUE = """
#include <math.h>
#include <stdio.h>
#include <ml4t_abi.h>

typedef struct { double ahead, is_known; } place;

static int32_t on_market(void *state, void *order_state, const ml4t_market_event *event) {
    place *p = order_state;
    (void)state;
    if (event->phase == ML4T_PHASE_QUOTE) {
        if (event->bid_size == 666.0) return -6;
        if (p->is_known != 0.0) return ML4T_STATUS_OK;
        double own = event->side > 0 ? event->bid : event->ask;
        double shown = event->side > 0 ? event->bid_size : event->ask_size;
        p->is_known = 1.0;
        p->ahead = own == event->limit_price ? shown : 0.0;
        return ML4T_STATUS_OK;
    }
    if (p->is_known == 0.0) return ML4T_STATUS_NO_OPINION;
    if (event->trade_price == event->limit_price) p->ahead = fmax(p->ahead - event->trade_size, 0.0);
    else if ((event->trade_price - event->limit_price) * event->side < 0.0) p->ahead = 0.0;
    return ML4T_STATUS_OK;
}
static int32_t evaluate(void *state, const ml4t_fill_context *ctx, void *order_state,
                        const ml4t_level *levels, uint32_t n_levels, ml4t_fill_slice *fills,
                        uint32_t capacity, ml4t_fill_output *out) {
    const place *p = order_state;
    (void)state; (void)levels; (void)n_levels; (void)capacity;
    double quantity = ctx->leaves_quantity;
    if (ctx->phase == ML4T_PHASE_TRADE && ctx->close == ctx->limit_price) {
        if (p->is_known == 0.0) return ML4T_STATUS_DEFER;
        quantity = fmin(quantity, ctx->trade_size - p->ahead);
        if (!(quantity > 0.0)) return ML4T_STATUS_DEFER;
    }
    fills[0] = (ml4t_fill_slice){ .price = ctx->price, .quantity = quantity, .liquidity = ctx->liquidity };
    out->n_fills = 1;
    return ML4T_STATUS_OK;
}
static size_t last_error(const void *state, uint8_t *text, size_t capacity) {
    (void)state;
    return (size_t)snprintf((char *)text, capacity, "no such size");
}
ml4t_model_table *queue(const double *params, size_t n, char *error, size_t capacity) {
    static ml4t_model_table table;
    (void)params; (void)n; (void)error; (void)capacity;
    table = (ml4t_model_table){
        .magic = ML4T_MAGIC, .struct_size = sizeof table, .abi_major = ML4T_ABI_MAJOR,
        .abi_minor = ML4T_ABI_MINOR, .kind = ML4T_KIND_FILL,
        .flags = ML4T_FLAG_STATELESS | ML4T_FLAG_SEND,
        .context_size = sizeof(ml4t_fill_context), .output_size = sizeof(ml4t_fill_output),
        .order_state_size = sizeof(place), .name = "Queue", .model_version = "1",
        .eval = (void (*)(void))evaluate, .on_market = on_market, .last_error = last_error,
    };
    return &table;
}
"""


@attrs.define
class Queue:
    """The same in Python, with a place for every order."""

    ahead: dict[int, float] = attrs.field(factory=dict, init=False)

    def clone(self) -> Queue:
        return Queue()

    def on_market(self, event: ObservedMarket) -> None:
        known = self.ahead.get(event.order_id)
        if event.phase == "quote":
            if known is None:
                own, shown = (event.bid, event.bid_size) if event.side > 0 else (event.ask, event.ask_size)
                self.ahead[event.order_id] = shown if own == event.limit_price else 0.0
        elif known is not None and event.price == event.limit_price:
            self.ahead[event.order_id] = max(known - event.size, 0.0)
        elif known is not None and (event.price - event.limit_price) * event.side < 0.0:
            self.ahead[event.order_id] = 0.0

    def evaluate(self, ctx: FillArgs) -> FillOut:
        quantity = ctx.leaves_quantity
        if ctx.phase == "trade" and ctx.close == ctx.limit_price:
            known = self.ahead.get(ctx.order_id)
            quantity = 0.0 if known is None else min(quantity, ctx.size - known)
            if quantity <= 0.0:
                return FillOut()
        return FillOut(ctx.price, quantity, ctx.liquidity)


T0 = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)


def quote(ms: int, bid: float, ask: float, bid_size: float, ask_size: float, symbol: str = "A") -> Made:
    sides = {"bid_price": bid, "ask_price": ask, "bid_size": bid_size, "ask_size": ask_size}
    return {"symbol": symbol, "timestamp": T0 + dt.timedelta(milliseconds=ms)} | sides


def trade(ms: int, price: float, size: float, symbol: str = "A") -> Made:
    when = T0 + dt.timedelta(milliseconds=ms)
    return {"symbol": symbol, "timestamp": when, "price": price, "size": size}


def feeds(quotes: list[Made], prints: list[Made]) -> list[Made]:
    options = {"stamp": "event", "calendar": "24/7"}
    return [
        backtest.DataFeed(pl.DataFrame(quotes), kind="quote", name="quotes", matches_orders=True, **options),
        backtest.DataFeed(pl.DataFrame(prints), kind="trade", name="prints", **options),
    ]


def results(model: object, feed: list[Made], strategy: object, native: str = "prefer") -> Made:
    broker = {"policies": {"print_fills": "touch"}, "allows_short": True, "initial_cash": 1_000_000}
    config = {"backtest": {"native": native}, "broker": broker}
    return backtest.run(strategy, feed, config=config, models={} if model is None else {"fill": model})


class Bids(backtest.Strategy):  # type: ignore[misc, name-defined]
    """Bids for 150 at 10.00 at the first call."""

    def on_start(self) -> None:
        self.sent: Made = None

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        self.sent = self.sent or broker.buy("A", 150, limit_price=10.0)


def test_an_order_fills_once_prints_have_traded_what_stood_ahead(compile_c: Callable[..., Path]) -> None:
    """500 ahead at 1 ms; 400 and 100 of the 200 go to them; 100 to us; 9.99 fills the rest."""
    tape = feeds(
        # More at the bid later stands behind.
        [quote(0, 10.0, 10.02, 300, 300), quote(1, 10.0, 10.02, 500, 300), quote(5, 10.0, 10.02, 900, 300)],
        [trade(2, 10.0, 400), trade(6, 10.0, 200), trade(7, 9.99, 50), trade(8, 10.0, 5)],
    )
    for model in (load(compile_c(C_QUEUE), "queue"), Queue()):
        found = results(model, tape, Bids).fills
        assert found.select("quantity", "price", "liquidity").rows() == [
            (100.0, 10.0, "maker"),
            (50.0, 10.0, "maker"),
        ]
        assert [when.microsecond for when in found["ts_event"]] == [6_000, 7_000]


class Makes(backtest.Strategy):  # type: ignore[misc, name-defined]
    """Quotes both sides of two instruments by chance, moves some of it and takes some back."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        symbol = str(self.rng.choice(["A", "B"]))
        last = data.get_latest_price(symbol)
        if last is None or self.rng.random() < 0.4:
            return
        price = round(last + 0.01 * int(self.rng.integers(-3, 4)), 2)
        size = int(self.rng.integers(1, 9)) * 10
        at_work = broker.open_orders
        if at_work and self.rng.random() < 0.3:
            order = at_work[int(self.rng.integers(len(at_work)))]
            if self.rng.random() < 0.5:
                broker.cancel_order(order)
            else:
                broker.modify_order(order, limit_price=price)
        elif self.rng.random() < 0.5:
            broker.buy(symbol, size, limit_price=price)
        else:
            broker.sell(symbol, size, limit_price=price)


def random_tape(rng: np.random.Generator, count: int = 400) -> list[Made]:
    """Quotes that stay where they are for a while, and prints at and around them."""
    quotes, prints = [], []
    for symbol in "AB":
        middle = 1_000
        for n in range(count):
            middle += int(rng.choice([0, 0, 0, 0, 1, -1]))
            sides = (middle - 1) / 100, (middle + 1) / 100
            shown = rng.choice([10.0, 20.0, 60.0, 100.0], 2)
            quotes.append(quote(10 * n, *sides, *map(float, shown), symbol=symbol))
            for at in sorted(rng.integers(1, 10, int(rng.integers(0, 4)))):
                price = float(rng.choice(sides)) + 0.01 * int(rng.choice([0, 0, 0, 1, -1]))
                size = float(rng.choice([10.0, 30.0, 80.0]))
                prints.append(trade(10 * n + int(at), round(price, 2), size, symbol=symbol))
    return feeds(quotes, prints)


def test_c_and_python_fill_the_same_on_a_random_tape(
    compile_c: Callable[..., Path], rng: np.random.Generator
) -> None:
    tape, seed = random_tape(rng), int(rng.integers(2**32))
    native, plain = load(compile_c(C_QUEUE), "queue"), Queue()
    found = results(native, tape, lambda: Makes(seed), native="require")
    wanted = results(plain, tape, lambda: Makes(seed))
    assert (found.execution_paths["fill"], wanted.execution_paths["fill"]) == ("capsule", "python")
    at_prints = wanted.fills.filter(pl.col("phase") == "trade")
    assert at_prints.height > 50
    # The queue matters: without one prints fill whole orders, and earlier.
    assert not results(None, tape, lambda: Makes(seed)).fills.equals(wanted.fills)
    for name in ("fills", "order_events"):
        assert found.table(name).equals(wanted.table(name))
    # What a library keeps for orders belongs to the run.
    again = results(native, tape, lambda: Makes(seed), native="require")
    assert again.fills.equals(found.fills)
    assert plain.ahead == {}


def test_what_a_library_says_about_the_market_stops_the_run(compile_c: Callable[..., Path]) -> None:
    tape = feeds([quote(0, 10.0, 10.02, 300, 300), quote(1, 10.0, 10.02, 666, 300)], [trade(2, 10.0, 5)])
    told = r"model Queue version 1, A, order 1, 2024-01-02T00:00:00\.001000000Z: told of the market: no such"
    with pytest.raises(ModelError, match=told):
        results(load(compile_c(C_QUEUE), "queue"), tape, Bids)


def test_a_kernel_cannot_be_told_of_the_market() -> None:
    with pytest.raises(ConfigError, match=r"the class has on_market, which no kernel can have; write it in"):

        @native_model(kind="fill")
        @attrs.frozen
        class Told:
            @staticmethod
            def kernel(params: Made, state: Made, ctx: Made, fills: Made, out: Made) -> int:
                return OK

            def on_market(self, event: ObservedMarket) -> None:
                raise AssertionError


def test_a_kernel_in_python_sees_the_number_of_the_order_and_the_queue() -> None:
    @native_model(kind="fill")
    @attrs.frozen
    class Sees:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, fills: Made, out: Made) -> int:
            fills[0].price = float(ctx.order)
            fills[0].quantity = 0.0 if math.isnan(ctx.queue_ahead) else ctx.queue_ahead
            fills[0].liquidity = ctx.liquidity
            out.n_fills = 1
            return OK

    asked = FillArgs(ts_ns=0, side=1, order_id=7, queue_ahead=40.0)
    assert Sees().evaluate(asked) == FillOut(7.0, 40.0)
