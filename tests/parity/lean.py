"""Regression algorithms of QuantConnect LEAN as runs of ml4t under the profile `lean`.

What a profile cannot say is added here: a fill model that knows the quote of the bar that has just ended, the
sizes that the algorithms ask for. `alone=True` leaves these out and shows what the profile gives by itself.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import attrs
import polars as pl

from ml4t.backtest import DataFeed, Instrument, Results, Strategy, run
from ml4t.core.models import FeeArgs, FeeOut, FillArgs, FillOut
from ml4t.core.types import AssetClass

from .lean_data import (
    SIDES,
    Period,
    Vendor,
    hours_feed,
    middles_feed,
    minutes_feed,
    sessions_feed,
    sides_feed,
)
from .ours import FREE, Broker, changed

SPY, AAPL, ES = "SPY", "AAPL", "ES201312"
WEEK = Period(dt.date(2013, 10, 7), dt.date(2013, 10, 11))
ADJUSTED = Instrument(SPY, **FREE)


# --------------------------------------------------------------------------- models


@attrs.frozen
class Standing:
    """Prices that stood at the end of each bar: bid and ask, or twice the same."""

    times_ns: tuple[int, ...]
    bids: tuple[float, ...]
    asks: tuple[float, ...]

    @classmethod
    def of(cls, bars: pl.DataFrame, bid: str = "bid_close", ask: str = "ask_close") -> Standing:
        """Read them from columns of bars."""
        ends = bars.sort("ts_end")
        return cls(tuple(ends["ts_end"].dt.epoch("ns")), tuple(ends[bid]), tuple(ends[ask]))

    def near(self, side: int, index: int) -> float:
        """Return what a buy (1) pays or a sell (-1) gets."""
        return (self.asks if side > 0 else self.bids)[index]


@attrs.frozen
class AtStandingQuote:
    """An order takes the side of the quote that stood when it met the market."""

    standing: Standing

    def evaluate(self, ctx: FillArgs) -> FillOut:
        """Answer the last quote at or before the instant."""
        index = bisect_right(self.standing.times_ns, ctx.ts_ns) - 1
        return FillOut(price=self.standing.near(ctx.side, index), quantity=ctx.leaves_quantity)


@attrs.frozen
class AtStopOrClose:
    """A stop that was reached takes its stop or the close of the quote bar, whichever is worse."""

    standing: Standing

    def evaluate(self, ctx: FillArgs) -> FillOut:
        """Answer with the close of the bar that is about to end."""
        close = self.standing.near(ctx.side, bisect_right(self.standing.times_ns, ctx.ts_ns))
        worse = max if ctx.side > 0 else min
        return FillOut(price=worse(ctx.stop_price, close), quantity=ctx.leaves_quantity)


@attrs.frozen
class AtWorstWithinLimit:
    """A limit takes the worst price of the bar, its limit at most, where the bar closes within it."""

    needs_volume: ClassVar[bool] = True  # It asks for the completed bar.

    def evaluate(self, ctx: FillArgs) -> FillOut:
        """Answer the lower of high and limit for a buy, the higher of low and limit for a sell."""
        is_within = (ctx.limit_price - ctx.close) * ctx.side > 0
        worst = min(ctx.high, ctx.limit_price) if ctx.side > 0 else max(ctx.low, ctx.limit_price)
        return FillOut(price=worst if is_within else math.nan, quantity=ctx.leaves_quantity)


@attrs.frozen
class PerContract:
    """Each contract costs the same from an instant on; what is held at the beginning was not bought."""

    fee: float
    since_ns: int

    def evaluate(self, ctx: FeeArgs) -> FeeOut:
        """Answer the fee of one fill."""
        return FeeOut(fee=0.0 if ctx.ts_ns < self.since_ns else self.fee * ctx.quantity)


# --------------------------------------------------------------------------- strategies


class Invest(Strategy):
    """Buys a share of equity once, sized as LEAN does or left to the engine."""

    FREE_SHARE = Decimal("0.0025")
    FEE, LEAST_FEE = Decimal("0.005"), Decimal(1)

    def __init__(self, symbol: str, weight: str, *, alone: bool) -> None:
        self.symbol, self.weight, self.alone = symbol, Decimal(weight), alone

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if broker.positions or broker.open_orders:
            return
        if self.alone:
            broker.order_target_percent(self.symbol, self.weight)
            return
        worth, price = (Decimal(str(x)) for x in (broker.get_account_value(), data[self.symbol]["close"]))
        budget = (1 - self.FREE_SHARE) * worth
        fee = max(self.FEE * (budget * self.weight / price // 1), self.LEAST_FEE)
        # The fraction is cut by the engine.
        broker.buy(self.symbol, (budget - fee) * self.weight / price)


class BuyOne(Strategy):
    """Buys one share."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if not broker.positions and not broker.open_orders:
            broker.buy(self.symbol, 1)


class CrossingAverages(Strategy):
    """Stop-limits beyond the bar in which an average crosses another: one buy, then one sell."""

    PERIODS, TOLERANCE = (30, 60), 0.001

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.closes: list[float] = []
        self.averages: dict[int, float] = {}
        self.entry: Any = None
        self.exit: Any = None

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        bar = data[self.symbol]
        self._average(bar["close"])
        if len(self.averages) < len(self.PERIODS):
            return
        fast, slow = (self.averages[period] for period in self.PERIODS)
        level = slow * (1 + self.TOLERANCE)
        if self.entry is None:
            if fast > level:
                self.entry = broker.buy(self.symbol, 100, **_beyond(bar["high"], "1.10", "1.11"))
        elif not self.entry.is_open and self.exit is None and fast < level:
            self.exit = broker.sell(self.symbol, 100, **_beyond(bar["low"], "0.99", "0.98"))

    def _average(self, close: float) -> None:
        """Move the exponential averages, each of which begins with the mean of its first closes."""
        self.closes.append(close)
        for period in self.PERIODS:
            if len(self.closes) == period:
                self.averages[period] = sum(self.closes) / period
            elif len(self.closes) > period:
                self.averages[period] += (close - self.averages[period]) * 2 / (period + 1)


def _beyond(price: float, stop: str, limit: str) -> dict[str, Any]:
    """Return the terms of a stop-limit; its prices are off any tick, and the engine moves them to one."""
    exact = Decimal(str(price))
    prices = {"stop_price": exact * Decimal(stop), "limit_price": exact * Decimal(limit)}
    return {"order_type": "stop_limit", **prices}


class TrailInAndOut(Strategy):
    """Enters and leaves with a trailing stop."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.sent = 0

    def on_bar(self, event: Any) -> None:  # noqa: ANN401
        broker = self.broker
        if self.sent == 0:
            broker.buy(self.symbol, 100, order_type="trailing_stop", trail_amount="2.00")
            self.sent = 1
        elif self.sent == 1 and broker.positions:
            broker.sell(self.symbol, 100, order_type="trailing_stop", trail_amount="0.50")
            self.sent = 2


class Scripted(Strategy):
    """Sends market orders after the first bars of each day."""

    def __init__(self, symbol: str, script: Mapping[int, Sequence[int]]) -> None:
        self.symbol, self.script = symbol, script
        self.seen: dict[int, int] = {}

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        number = self.seen[timestamp.day] = self.seen.get(timestamp.day, 0) + 1
        asked = self.script[timestamp.day]
        if number <= len(asked):
            quantity = asked[number - 1]
            broker.submit_order(self.symbol, abs(quantity), "buy" if quantity > 0 else "sell")


# --------------------------------------------------------------------------- algorithms


@attrs.frozen(kw_only=True)
class Setup:
    """What a run takes beside the profile."""

    feed: DataFeed | Iterable[DataFeed]
    strategy: type[Strategy]
    params: Mapping[str, Any]
    instrument: Instrument = ADJUSTED
    models: Mapping[str, Any] = attrs.field(factory=dict)
    actions: pl.DataFrame | None = None
    broker: Broker = attrs.field(factory=dict)


def basic_template(vendor: Vendor, *, alone: bool) -> Setup:
    """All of SPY at the first minute."""
    trades, quotes = vendor.adjusted_minutes(SPY, WEEK)
    return Setup(
        feed=minutes_feed(trades),
        strategy=Invest,
        params={"symbol": SPY, "weight": "1", "alone": alone},
        models={} if alone else {"fill": AtStandingQuote(Standing.of(quotes))},
    )


def basic_template_daily(vendor: Vendor, *, alone: bool) -> Setup:
    """All of SPY at the first session."""
    period = Period(dt.date(2013, 10, 8), dt.date(2013, 10, 17))
    return Setup(
        feed=sessions_feed(vendor.adjusted_bars("equity_daily", SPY, period)),
        strategy=Invest,
        params={"symbol": SPY, "weight": "1", "alone": alone},
    )


def basic_template_hourly(vendor: Vendor, *, alone: bool) -> Setup:
    """All of SPY at the first hour; there are no quotes of hours, and the close stands for them."""
    bars = vendor.adjusted_bars("equity_hour", SPY, WEEK)
    return Setup(
        feed=hours_feed(bars),
        strategy=Invest,
        params={"symbol": SPY, "weight": "1", "alone": alone},
        models={} if alone else {"fill": AtStandingQuote(Standing.of(bars, "close", "close"))},
    )


def dividend(vendor: Vendor, *, alone: bool) -> Setup:
    """Half of equity in SPY as traded, with what it pays, in whole cents."""
    period = Period(dt.date(1998, 1, 1), dt.date(2006, 1, 1))
    paid = vendor.table("equity_dividends", id=SPY)
    paid = paid.filter(pl.col("ex_date").is_between(period.first, period.last))
    amount = "cash_per_share" if alone else "cash_per_share_cents"
    return Setup(
        feed=sessions_feed(vendor.bars("equity_daily", SPY, period)),
        strategy=Invest,
        params={"symbol": SPY, "weight": "0.5", "alone": alone},
        instrument=Instrument(SPY),
        actions=paid.select(
            pl.col("id").alias("symbol"),
            "ex_date",
            pl.col(amount).alias("amount"),
            kind=pl.lit("cash_dividend"),
        ),
    )


def split_partial_share(vendor: Vendor, *, alone: bool) -> Setup:
    """One share of AAPL over its split; its multiplier has seven decimals, which is less than 7 for 1."""
    period = Period(dt.date(2014, 6, 5), dt.date(2014, 6, 9))
    trades, quotes = vendor.minutes(AAPL, period)
    splits = vendor.table("equity_splits", id=AAPL, ex_date=period.last)
    multiplier = Fraction(str(splits["price_multiplier"].item()))
    ratio = "7" if alone else f"{multiplier.denominator}/{multiplier.numerator}"
    return Setup(
        feed=minutes_feed(trades),
        strategy=BuyOne,
        params={"symbol": AAPL},
        instrument=Instrument(AAPL),
        models={} if alone else {"fill": AtStandingQuote(Standing.of(quotes))},
        actions=pl.DataFrame(
            {"symbol": [AAPL], "ex_date": [period.last], "kind": ["split"], "ratio": [ratio]}
        ),
    )


def stop_limit(vendor: Vendor, *, alone: bool) -> Setup:
    """Stop-limits on daily bars."""
    period = Period(dt.date(2013, 1, 1), dt.date(2017, 1, 1))
    return Setup(
        feed=sessions_feed(vendor.adjusted_bars("equity_daily", SPY, period)),
        strategy=CrossingAverages,
        params={"symbol": SPY},
        models={} if alone else {"fill": AtWorstWithinLimit()},
    )


def trailing_stop(vendor: Vendor, *, alone: bool) -> Setup:
    """Trailing stops on both sides of minute quotes; alone on the bars of trades."""
    trades, quotes = vendor.adjusted_minutes(SPY, WEEK)
    both = [sides_feed(quotes), minutes_feed(trades, matches_orders=False)]
    return Setup(
        feed=minutes_feed(trades) if alone else both,
        strategy=TrailInAndOut,
        params={"symbol": SPY},
        models={} if alone else {"fill": AtStopOrClose(Standing.of(quotes))},
    )


def futures_settlement(vendor: Vendor, *, alone: bool) -> Setup:
    """In and out of one ES contract for four days; the one held at the beginning is bought on the eve."""
    period = Period(dt.date(2013, 10, 7), dt.date(2013, 10, 10))
    regular = vendor.futures_quotes("ES", "201312", period)
    eve = dt.datetime(2013, 10, 6, 22, tzinfo=dt.UTC)
    opening = pl.DataFrame(
        {"symbol": [ES] * 2, "ts": [eve, eve + dt.timedelta(minutes=1)]}
        | {side: [1600.0] * 2 for side in SIDES}
    ).with_columns(ts_end=pl.col("ts") + dt.timedelta(minutes=1))
    opening = opening.with_columns(pl.col("ts", "ts_end").cast(regular.schema["ts"]))
    quotes = pl.concat([opening, regular.select(opening.columns)])
    fee = PerContract(2.15, since_ns=int(regular["ts"].dt.epoch("ns")[0]))
    future = {
        "asset_class": AssetClass.FUTURE,
        "calendar": "CME_Equity",
        "tick_size": "0.25",
        "multiplier": 50,
    }
    return Setup(
        feed=middles_feed(quotes, "CME_Equity"),
        strategy=Scripted,
        params={"symbol": ES, "script": {6: [1], 7: [1, 1], 8: [-1], 9: [-3], 10: [-1, 2]}},
        instrument=Instrument(ES, **future),
        models={"fee": fee} if alone else {"fee": fee, "fill": AtStandingQuote(Standing.of(quotes))},
        # LEAN asks for the margin of a contract, which leverage on its whole value does not know.
        broker={"buying_power": "unlimited", "leverage": 1},
    )


ALGORITHMS: dict[str, Callable[..., Setup]] = {
    "BasicTemplateAlgorithm": basic_template,
    "BasicTemplateDailyAlgorithm": basic_template_daily,
    "BasicTemplateHourlyAlgorithm": basic_template_hourly,
    "DividendRegressionAlgorithm": dividend,
    "SplitPartialShareRegressionAlgorithm": split_partial_share,
    "StopLimitOrderRegressionAlgorithm": stop_limit,
    "TrailingStopOrderRegressionAlgorithm": trailing_stop,
    "FuturesDailySettlementLongRegressionAlgorithm": futures_settlement,
}


def run_algorithm(
    name: str, vendor: Vendor, *, changes: Broker | None = None, alone: bool = False
) -> Results:
    """Run an algorithm under the profile `lean`.

    Parameters
    ----------
    name : str
        One of `ALGORITHMS`.
    vendor : Vendor
        Where the prices are.
    changes : mapping or None
        Values of `[broker]` that differ from the profile.
    alone : bool
        Without the models and sizes that are added to the profile.
    """
    setup = ALGORITHMS[name](vendor, alone=alone)
    broker = changed(changed({"profile": "lean"}, setup.broker), changes or {})
    return run(
        setup.strategy,
        setup.feed,
        params=setup.params,
        config={"broker": broker},
        instruments=[setup.instrument],
        models=setup.models,
        actions=setup.actions,
    )
