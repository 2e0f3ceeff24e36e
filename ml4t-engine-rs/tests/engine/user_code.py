"""A strategy as a user would write it, fully annotated: `mypy --strict` must find nothing wrong with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from ml4t.backtest import (
    Broker,
    CompositeRule,
    Context,
    DataFeed,
    Engine,
    Event,
    FillEvent,
    MarketEvent,
    OrderEvent,
    OrderHandle,
    OrderStatus,
    OrderType,
    PITData,
    Position,
    Results,
    Side,
    SignalEvent,
    StopLoss,
    Strategy,
    TakeProfit,
    TimeInForce,
    Timestamp,
    datasets,
    run,
    schedule,
)
from ml4t.backtest.indicators import ATR, MACD, SMA, Bollinger


class Crossover(Strategy):
    """Uses whatever a strategy can use."""

    warmup = 20

    def __init__(self, symbol: str, *, fast: int = 20, slow: int = 50) -> None:
        self.symbol = symbol
        self.fast = SMA(fast)
        self.slow = SMA(slow)
        self.range = ATR(14)
        self.macd = MACD()
        self.bands = Bollinger(20, 2.0)
        self.entry: OrderHandle | None = None
        self.last: Timestamp | None = None

    def on_start(self) -> None:
        self.subscribe(asset=self.symbol, event_type="bar", frequency="1d")
        self.schedule(rule=schedule.month_end(offset="-15m"))
        self.schedule(self.rebalance, rule=schedule.every_sessions(5))
        cash: float = self.broker.get_cash()
        self.log(f"begins with {cash:,.2f}", level="debug")

    def rebalance(self) -> None:
        orders = self.broker.order_target_weights({self.symbol: 0.5, "IBM": Decimal("0.25")}, tag="weekly")
        self.record(orders=len(orders))

    def on_bar(self, event: MarketEvent) -> None:
        high: float = event.high
        close: float = event.bar["close"]
        self.range.update(high, event.low, close)
        line, signal, _ = self.macd.update(close)
        lower, _, upper = self.bands.value
        if self.fast.update(close) > self.slow.update(close) and line > signal and lower < close < upper:
            self.entry = self.broker.buy(
                self.symbol, 10, limit_price=round(close * 0.99, 2), time_in_force="day"
            )

    def on_signal(self, event: SignalEvent) -> None:
        if event.score > 0.7 and event.model_id == "m" and event.timestamp.hour < 20:
            self.broker.order_target_percent(event.asset, event.score, tag=event.version)

    def on_fill(self, event: FillEvent) -> None:
        cost: float = (event.price - event.reference_price) * event.quantity * event.side.sign + event.fee
        self.record(cost=cost)
        if event.order.tag == "entry" and event.side is Side.BUY:
            self.broker.sell(event.asset, event.quantity, stop_price="95.00", tag="stop")

    def on_order(self, event: OrderEvent) -> None:
        if event.status is OrderStatus.REJECTED:
            self.log(f"{event.order_id}: {event.reason_code} {event.order.reason}", level="warning")

    def on_event(self, event: Event) -> None:
        self.last = event.timestamp

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        day: dt.date = timestamp.date()
        is_late: bool = timestamp > dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
        age: dt.timedelta | None = data[self.symbol].age
        close: npt.NDArray[np.float64] = data.close
        window: npt.NDArray[np.float64] = data.history("close", 20, self.symbol)
        both: dict[str, npt.NDArray[np.float64]] = data.history(["open", "close"], 5)
        score: float = data[self.symbol]["signals"].get("score", 0.0)
        weights: Mapping[str, float] = {symbol: 1 / len(data) for symbol in data}
        position: Position | None = broker.get_position(self.symbol)
        price: float | None = data.get_latest_price(self.symbol)
        volatility: float = context.get("vix", 20.0)
        if position is not None and age is not None and price is not None and is_late:
            self.record(day=day.toordinal(), gain=position.unrealized_pnl / price, vix=volatility)
        if score > 0 and window.mean() > close.mean() and both["close"].size:
            broker.set_position_rules(CompositeRule([StopLoss(pct=0.05), TakeProfit(pct=0.1)]))
            broker.order_target_weights(weights, keep_others=True)
        elif not broker.open_orders:
            order = broker.submit_order(
                self.symbol,
                np.float64(3.0),
                Side.BUY,
                OrderType.STOP_LIMIT,
                Decimal("101.5"),
                101,
                time_in_force=TimeInForce.DAY,
            )
            broker.cancel_order(order.id)
            average: float | None = order.avg_fill_price
            assert average is None or average > 0
        for symbol, row in data.items():
            self.record(**{symbol: row["close"]})

    def on_daily_close(self) -> None:
        self.record(equity=self.broker.get_account_value(), power=self.broker.buying_power)
        held = {symbol: position.quantity for symbol, position in self.broker.positions.items()}
        if self.symbol in self.data and held:
            self.broker.close_position(self.symbol)

    def on_rebalance_trigger(self) -> None:
        for order in self.broker.open_orders:
            order.cancel()

    def on_stop(self) -> None:
        window = self.data.history("close", 5, [self.symbol])
        self.log(f"ends at {self.data.timestamp:%Y-%m-%d} with {window.shape}")


def main() -> Results:
    """Run it."""
    prices: pl.DataFrame = datasets.us_equity_daily()
    feed = DataFeed(prices, stamp="session", symbols=["AAPL", "IBM"])
    engine = Engine(feed, Crossover, params={"symbol": "AAPL"}, config={"broker": {"initial_cash": 50_000}})
    first: Results = engine.run(progress=lambda part: None)
    second: Results = run(Crossover("IBM"), feed)
    return first if first.metrics["sharpe"] > second.metrics["sharpe"] else second
