"""Every first-party model computes the same bits compiled in and in Python, through whole random runs."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.backtest import Broker, Context, DataFeed, Engine, Instrument, PITData, Results, Strategy, Timestamp
from ml4t.core.models import FeeArgs, FeeOut, FillArgs, FillOut, SlippageArgs, SlippageOut
from ml4t.core.plugins import PluginManager
from ml4t.core.schemas import TABLES
from ml4t.fees import (
    AlpacaFees,
    BinanceFutures,
    BinanceSpot,
    Fraction,
    IbkrFixed,
    IbkrForex,
    IbkrOptions,
    IbkrTiered,
    LeanIbkr,
    MakerTaker,
    NoFee,
    PerContract,
    PerOrder,
    PerShare,
    Tiered,
)
from ml4t.fills import Default
from ml4t.slippage import (
    BasisPoints,
    FixedFraction,
    LeanVolumeShare,
    NoSlippage,
    Spread,
    VolatilityVolumeShare,
    VolumeShare,
)

Make = Callable[..., Engine]

FILLS = [Default(), Default(volume_limit=0.13)]
SLIPPAGES = [
    NoSlippage(),
    FixedFraction(0.00137),
    BasisPoints(7.3),
    BasisPoints(3.1, volume_limit=0.07),
    Spread(0.037),
    Spread(fraction=0.00071),
    VolumeShare(),
    VolumeShare(0.031, price_impact=0.17),
    VolumeShare(0.05, price_impact=0.3, caps_quantity=False),
    LeanVolumeShare(),
    LeanVolumeShare(0.21, price_impact=0.37, free_without_volume=True),
    VolatilityVolumeShare(),
    VolatilityVolumeShare(0.11, eta=31.7, no_history_bps=3.3),
]
FEES = [
    NoFee(),
    PerShare(0.0057),
    PerShare(0.005, minimum=1.0, maximum_fraction=0.01),
    PerOrder(4.95),
    Fraction(0.00077),
    PerContract(0.0213),
    PerContract(0.0213, order_fee=1.37),
    PerContract(0.0213, order_fee=0.37, minimum=2.9),
    MakerTaker(-0.00013, taker=0.00071),
    Tiered([170, 1_300], rates=[0.0037, 0.0021, -0.0003]),
    Tiered([170, 1_300], rates=[0.0371, 0.0213, 0.0117], minimum=1.7),
    Tiered([7_000.7, 90_000.1], rates=[0.0037, 0.0021, 0.0003], basis="notional"),
    Tiered([7_000.7, 90_000.1], rates=[0.0037, 0.0021, 0.0003], basis="notional", minimum=3.1),
    IbkrFixed(),
    IbkrFixed(0.013, minimum=0.7, maximum_fraction=0.0009, taf_maximum=0.003, cat_per_share=0.00007),
    LeanIbkr(),
    LeanIbkr(0.031, minimum=0.4, maximum_fraction=0.0013),
    IbkrTiered(),
    IbkrTiered([170, 1_300], rates=[0.037, 0.021, 0.0117], maker_per_share=-0.0021, taker_per_share=0.003),
    IbkrTiered([170, 1_300], rates=[0.37, 0.21, 0.117], maximum_fraction=0.0017, cat_per_share=0.0001),
    IbkrOptions(),
    IbkrOptions(minimum=17.3),
    IbkrForex(),
    IbkrForex([7_000, 90_000], bps=[3.1, 2.3, 0.7], minimums=[0.9, 0.5, 0.3]),
    AlpacaFees(),
    AlpacaFees(rounds_up=False),
    AlpacaFees(sec_rate=0.00113, taf_per_share=0.0171, taf_maximum=0.31, cat_per_share=0.0031),
    BinanceSpot(),
    BinanceSpot(maker=-0.0003, taker=0.0011, bnb_discount=0.25),
    BinanceFutures(),
    BinanceFutures(bnb_discount=0.1),
]
SYMBOLS = ("A", "B", "C")
CHEAP = (0.071, 0.13, 0.043)
EXACT = "0.000000000000000001"  # as posting_quantum it leaves the last bit of a fee


class Noise(Strategy):
    """Sends random orders of every kind, the same ones in every run with the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        for symbol in data:
            price = data.get_latest_price(symbol)
            if price is None or self.random.random() < 0.3:
                continue
            self.send(broker, symbol, price)
        working = broker.open_orders
        if len(working) > 8:
            broker.cancel_order(working[int(self.random.integers(len(working)))])

    def send(self, broker: Broker, symbol: str, price: float) -> None:
        kind = int(self.random.integers(6))
        quantity = int(self.random.integers(1, 60))
        side = "buy" if self.random.random() < 0.5 else "sell"
        low, high = round(price * 0.99, 2), round(price * 1.01, 2)
        life = "day" if self.random.random() < 0.3 else "gtc"
        if kind == 0:
            broker.order_target_percent(symbol, round(float(self.random.uniform(-0.4, 0.4)), 3))
        elif kind == 1:
            broker.submit_order(symbol, quantity, side, "market", time_in_force=life)
        elif kind == 2:
            broker.submit_order(
                symbol, quantity, side, "limit", low if side == "buy" else high, time_in_force=life
            )
        elif kind == 3:
            stop = high if side == "buy" else low
            broker.submit_order(symbol, quantity, side, "stop", stop_price=stop, time_in_force=life)
        elif kind == 4:
            broker.submit_order(
                symbol, quantity, side, "stop_limit", round(price, 2), high if side == "buy" else low
            )
        else:
            broker.close_position(symbol)


def bars(
    random: np.random.Generator, count: int = 120, starts: tuple[float, ...] = (17.0, 113.0, 5.0)
) -> DataFeed:
    rows = []
    first = dt.date(2024, 1, 1)
    for symbol, start in zip(SYMBOLS, starts, strict=True):
        close = start
        for n in range(count):
            opened = close * (1 + random.normal() * 0.01)
            closed = opened * (1 + random.normal() * 0.02)
            high = max(opened, closed) * (1 + abs(random.normal()) * 0.005)
            low = min(opened, closed) * (1 - abs(random.normal()) * 0.005)
            prices = np.round([opened, high, low, closed], 4)
            volume = float(random.integers(0, 900)) * (random.random() > 0.1)
            rows.append((symbol, first + dt.timedelta(days=n), *prices.tolist(), volume))
            close = float(prices[3])
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    instruments = [
        Instrument("A", calendar="24/7"),
        Instrument("B", calendar="24/7", multiplier="2.5"),
        Instrument.fractional("C", calendar="24/7"),
    ]
    return DataFeed(frame, stamp="session", instruments=instruments, range_check="widen")


def ticks(random: np.random.Generator, kind: str, count: int = 250) -> DataFeed:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    rows = []
    middle = {"A": 17.0, "B": 113.0}
    for n in range(count):
        symbol = SYMBOLS[int(random.integers(2))]
        middle[symbol] *= 1 + random.normal() * 0.003
        price, half = middle[symbol], 0.02
        sizes = [float(random.integers(0, 120)) for _ in range(2)]
        time = start + dt.timedelta(minutes=n)
        values = (
            [round(price - half, 4), round(price + half, 4), *sizes] if kind == "quote" else [price, sizes[0]]
        )
        rows.append((symbol, time, *values))
    fields = ["bid_price", "ask_price", "bid_size", "ask_size"] if kind == "quote" else ["price", "size"]
    frame = pl.DataFrame(rows, schema=["symbol", "timestamp", *fields], orient="row")
    return DataFeed(frame, kind=kind, stamp="event", calendar="24/7")  # type: ignore[arg-type]


def bits(results: Results) -> dict[str, bytes]:
    """Every table down to the bits of its numbers."""
    return {name: results.table(name).write_ipc(None).getvalue() for name in TABLES}


def compare(
    engine: Make, feed: DataFeed, native: dict[str, Any], python: dict[str, Any], **broker: object
) -> Results:
    settings = {"initial_cash": 50_000, "allows_short": True, "leverage": 3, **broker}
    runs = [
        engine(
            Noise, feed, params={"seed": 7}, models=models, broker=settings, backtest={"native": policy}
        ).run()
        for models, policy in ((native, "require"), (python, "never"))
    ]
    first, second = (bits(run) for run in runs)
    for name in TABLES:
        assert first[name] == second[name], name
    return runs[0]


def label(model: object) -> str:
    return str(model)


@pytest.mark.parametrize("slippage", SLIPPAGES, ids=label)
@pytest.mark.parametrize("fill", FILLS, ids=label)
def test_fill_and_slippage_models_agree_on_bars(
    engine: Make, rng: np.random.Generator, fill: object, slippage: object
) -> None:
    models = {"fill": fill, "slippage": slippage, "fee": PerShare(0.005, minimum=1.0)}
    results = compare(engine, bars(rng), models, models)
    assert results.fills.height > 40
    assert results.fills["phase"].n_unique() >= 2


@pytest.mark.parametrize("fee", FEES, ids=label)
def test_fee_models_agree_on_bars(engine: Make, rng: np.random.Generator, fee: object) -> None:
    models = {"fill": Default(volume_limit=0.2), "slippage": BasisPoints(2), "fee": fee}
    results = compare(engine, bars(rng), models, models, posting_quantum=EXACT)
    assert results.fills.height > 40
    assert (results.fills["fee"].n_unique() > 1) == (type(fee) is not NoFee)


@pytest.mark.parametrize("fee", FEES, ids=label)
def test_fee_models_agree_on_cheap_instruments_and_many_fills_a_day(
    engine: Make, rng: np.random.Generator, fee: object
) -> None:
    models = {"fill": Default(volume_limit=0.4), "slippage": NoSlippage(), "fee": fee}
    settings = {"initial_cash": 900, "posting_quantum": EXACT}
    results = compare(engine, bars(rng, starts=CHEAP), models, models, **settings)
    assert results.fills["price"].min() < 0.05 < 0.1 < results.fills["price"].max()
    results = compare(engine, ticks(rng, "quote"), models, models, posting_quantum=EXACT)
    assert results.fills.height > 20
    assert (results.fills["fee"].n_unique() > 1) == (type(fee) is not NoFee)


@pytest.mark.parametrize("kind", ["quote", "trade"])
@pytest.mark.parametrize("slippage", SLIPPAGES, ids=label)
def test_all_slippage_models_agree_on_ticks(
    engine: Make, rng: np.random.Generator, kind: str, slippage: object
) -> None:
    models = {"fill": Default(volume_limit=0.5), "slippage": slippage, "fee": Fraction(0.0003)}
    results = compare(engine, ticks(rng, kind), models, models)
    assert results.fills.height > 20
    assert results.fills["phase"].unique().to_list() == [kind]


POLICIES = [
    {"fill_timing": "next_close", "limit_slippage": "clamp"},
    {"fill_timing": "same_close", "limit_slippage": "refuse"},
    {"limit_touch": "through", "limit_gap": "at_limit", "insufficient_cash": "partial"},
    {"zero_volume": "fill", "insufficient_cash": "wait", "limit_slippage": "clamp"},
]


@pytest.mark.parametrize("policies", POLICIES, ids=lambda policies: "+".join(policies.values()))
@pytest.mark.parametrize("lot_policy", ["fifo", "average"])
def test_models_agree_under_every_policy(
    engine: Make, rng: np.random.Generator, policies: dict[str, str], lot_policy: str
) -> None:
    models = {
        "fill": Default(volume_limit=0.3),
        "slippage": VolumeShare(0.4, price_impact=0.2),
        "fee": PerShare(0.005, minimum=1.0, maximum_fraction=0.01),
    }
    results = compare(
        engine, bars(rng), models, models, policies=policies, lot_policy=lot_policy, initial_cash=3_000
    )
    assert results.fills.height > 20


# -- the same formulas written by somebody else ----------------------------------------------------------


@attrs.frozen
class OwnFill:
    limit: float

    @property
    def needs_volume(self) -> bool:
        return True

    def evaluate(self, ctx: FillArgs) -> FillOut:
        room = max(self.limit * ctx.volume - ctx.volume_used, 0.0)
        return FillOut(ctx.price, min(ctx.leaves_quantity, room), ctx.liquidity)


@attrs.frozen
class OwnSlippage:
    bps: float

    def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
        return SlippageOut(abs(ctx.reference_price) * self.bps / 10_000.0)


@attrs.frozen
class OwnFee:
    rate: float

    def evaluate(self, ctx: FeeArgs) -> FeeOut:
        return FeeOut(abs(ctx.notional) * self.rate)


def test_a_users_own_models_are_worth_as_much_as_those_compiled_in(
    engine: Make, rng: np.random.Generator
) -> None:
    builtin = {"fill": Default(volume_limit=0.17), "slippage": BasisPoints(4.3), "fee": Fraction(0.00091)}
    own = {"fill": OwnFill(0.17), "slippage": OwnSlippage(4.3), "fee": OwnFee(0.00091)}
    names = list(builtin)
    feed = bars(rng)
    for mixture in itertools.product([False, True], repeat=3):
        models = {
            name: own[name] if mine else builtin[name] for name, mine in zip(names, mixture, strict=True)
        }
        compare(engine, feed, builtin, models)


def test_every_model_that_ships_is_compared_here(plugins: PluginManager) -> None:
    compared = {type(model).__name__ for model in (*FILLS, *SLIPPAGES, *FEES)}
    offered = {
        plugins.resolve(offer.kind, offer.qualified).__name__
        for offer in plugins.registry()
        if offer.kind in ("fill", "slippage", "fee")
    }
    assert compared == offered
