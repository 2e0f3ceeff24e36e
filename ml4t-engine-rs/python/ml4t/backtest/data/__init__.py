"""Market data, signals and corporate actions: from frames and files to what a run reads."""

from __future__ import annotations

from ml4t.backtest.data.actions import read_actions
from ml4t.backtest.data.adjusted import adjusted_prices
from ml4t.backtest.data.assemble import assemble
from ml4t.backtest.data.contracts import read_rolls
from ml4t.backtest.data.feed import DataFeed, FeedOptions
from ml4t.backtest.data.flows import read_cash_flows
from ml4t.backtest.data.fx import read_fx_rates
from ml4t.backtest.data.rates import (
    read_borrow_rates,
    read_funding_rates,
    read_margin_rates,
    read_settlement_prices,
)
from ml4t.backtest.data.report import FeedReport, Gap, SymbolReport
from ml4t.backtest.data.settings import RangeCheck
from ml4t.backtest.data.signals import Signals
from ml4t.backtest.data.tables import FeedTable, MarketData, SignalTable

__all__ = [
    "DataFeed",
    "FeedOptions",
    "FeedReport",
    "FeedTable",
    "Gap",
    "MarketData",
    "RangeCheck",
    "SignalTable",
    "Signals",
    "SymbolReport",
    "adjusted_prices",
    "assemble",
    "read_actions",
    "read_borrow_rates",
    "read_cash_flows",
    "read_funding_rates",
    "read_fx_rates",
    "read_margin_rates",
    "read_rolls",
    "read_settlement_prices",
]
