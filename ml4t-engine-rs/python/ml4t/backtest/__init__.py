"""The front door of ml4t: data in, strategy in, results out.

Examples
--------
>>> from ml4t.backtest import DataFeed, Strategy, datasets, run
>>> class Hold(Strategy):
...     def on_data(self, timestamp, data, context, broker):
...         if broker.get_position("IBM") is None and not broker.open_orders:
...             broker.order_target_percent("IBM", 0.95)
>>> feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
>>> results = run(Hold, feed)
>>> results.fills.height
1
"""

from __future__ import annotations

from ml4t.backtest import datasets
from ml4t.backtest.arrays import ArrayBacktest, run_backtest
from ml4t.backtest.audit import AuditReport, audit
from ml4t.backtest.data import DataFeed, Signals
from ml4t.backtest.data.signal_sources import CsvSignalSource, ParquetSignalSource
from ml4t.backtest.engine import Engine, run
from ml4t.backtest.front import EntryExit, OrderList, TargetWeights
from ml4t.backtest.lint import lint
from ml4t.backtest.rules import CompositeRule, PositionRule, StopLoss, TakeProfit, TrailingStop
from ml4t.core import schedule
from ml4t.core.callbacks import (
    Event,
    FillEvent,
    MarginCallEvent,
    MarketEvent,
    MicroBatch,
    OrderEvent,
    SignalEvent,
)
from ml4t.core.config import RunConfig
from ml4t.core.events import Bar, CorporateAction, Quote, Signal, TradeTick
from ml4t.core.instrument import Instrument
from ml4t.core.sources import SignalSource
from ml4t.core.strategy import Strategy
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.engine import _engine
from ml4t.engine._engine import (
    Broker,
    Context,
    OrderHandle,
    PITData,
    Position,
    Timestamp,
    WorkedOrder,
)
from ml4t.engine.configuration import load_config
from ml4t.engine.results import Results

__all__ = [
    "ArrayBacktest",
    "AuditReport",
    "Bar",
    "Broker",
    "CompositeRule",
    "Context",
    "CorporateAction",
    "CsvSignalSource",
    "DataFeed",
    "Engine",
    "EntryExit",
    "Event",
    "FillEvent",
    "Instrument",
    "MarginCallEvent",
    "MarketEvent",
    "MicroBatch",
    "OrderEvent",
    "OrderHandle",
    "OrderList",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "PITData",
    "ParquetSignalSource",
    "Position",
    "PositionRule",
    "Quote",
    "Results",
    "RunConfig",
    "Side",
    "Signal",
    "SignalEvent",
    "SignalSource",
    "Signals",
    "StopLoss",
    "Strategy",
    "TakeProfit",
    "TargetWeights",
    "TimeInForce",
    "Timestamp",
    "TradeTick",
    "TrailingStop",
    "WorkedOrder",
    "audit",
    "datasets",
    "lint",
    "load_config",
    "run",
    "run_backtest",
    "schedule",
]

OrderSide = Side
"""The documents' name of `Side`."""

for _abstract in (Event, FillEvent, MarginCallEvent, MarketEvent, MicroBatch, OrderEvent, SignalEvent):
    _abstract.register(getattr(_engine, _abstract.__name__))
