"""Run the cases of zipline on zipline-reloaded and print what it traded, as JSON.

All bars go into one bundle in a temporary folder; a symbol carries the number of its case, because most cases
use the same sessions.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from zipline import run_algorithm
from zipline.data import bundles
from zipline.finance.blotter import SimulationBlotter
from zipline.finance.commission import CommissionModel, NoCommission, PerDollar, PerShare, PerTrade
from zipline.finance.slippage import (
    FixedBasisPointsSlippage,
    FixedSlippage,
    SlippageModel,
    VolumeShareSlippage,
)
from zipline.utils.calendar_utils import get_calendar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import Bar, Case, Order, read

if TYPE_CHECKING:
    from zipline.algorithm import TradingAlgorithm
    from zipline.assets import AssetDBWriter
    from zipline.data.adjustments import SQLiteAdjustmentWriter
    from zipline.data.bcolz_daily_bars import BcolzDailyBarWriter
    from zipline.protocol import BarData

BUNDLE = "parity"
CALENDAR = "XNYS"
FIELDS = ("open", "high", "low", "close", "volume")
TYPES = ("market", "limit", "stop", "stop_limit", "cancel", "target_percent")


class Recorder(SimulationBlotter):
    """The usual blotter, which notes every transaction with its commission."""

    def __init__(self, case: Case) -> None:
        """Take the models that the costs of the case name."""
        super().__init__(
            equity_slippage=_slippage(case.costs),
            equity_commission=_commission(case.costs),
        )
        self.trades: list[dict[str, object]] = []

    def get_transactions(self, bar_data: BarData) -> tuple[list[Any], list[Any], list[Any]]:
        """Match the open orders; an order has one transaction a bar at most."""
        found = super().get_transactions(bar_data)
        transactions, commissions, _ = found
        paid = {each["order"].id: float(each["cost"]) for each in commissions}
        for each in transactions:
            trade = {
                "session": each.dt.date().isoformat(),
                "symbol": _case_symbol(each.asset.symbol),
                "side": "buy" if each.amount > 0 else "sell",
                "quantity": abs(int(each.amount)),
                "price": float(each.price),
                "commission": paid.get(each.order_id, 0.0),
            }
            self.trades.append(trade)
        return found


class Script:
    """The decisions of a case as `initialize` and `handle_data`."""

    def __init__(self, case: Case, sids: dict[str, int]) -> None:
        """Keep what is sent, by session."""
        self.case = case
        self.sids = sids
        self.ids: dict[str, str | None] = {}
        self.end: dict[str, object] = {}

    def initialize(self, context: TradingAlgorithm) -> None:
        """Nothing to prepare; the costs are the blotter's."""

    def handle_data(self, context: TradingAlgorithm, _data: BarData) -> None:
        """Send the orders of this session, and note what the account is worth."""
        today = context.get_datetime().date()
        for order in self.case.orders:
            if order.sent == today:
                self._send(context, order)
        portfolio = context.portfolio
        self.end = {
            "final_value": float(portfolio.portfolio_value),
            "final_cash": float(portfolio.cash),
            "positions": {
                _case_symbol(asset.symbol): int(held.amount)
                for asset, held in portfolio.positions.items()
                if held.amount
            },
        }

    def _send(self, context: TradingAlgorithm, order: Order) -> None:
        if order.type == "cancel":
            if self.ids[order.name] is not None:
                context.cancel_order(self.ids[order.name])
            return
        asset = context.sid(self.sids[order.symbol])
        if order.type == "target_percent":
            self.ids[order.name] = context.order_target_percent(asset, order.quantity)
            return
        amount = order.quantity if order.side == "buy" else -order.quantity
        self.ids[order.name] = context.order(asset, amount, **order.prices)


def _slippage(costs: dict[str, float]) -> SlippageModel:
    if "price_impact" in costs:
        return VolumeShareSlippage(costs["volume_limit"], costs["price_impact"])
    if "slippage" in costs:
        return FixedBasisPointsSlippage(costs["slippage"] * 10_000, costs["volume_limit"])
    if "volume_limit" in costs:
        message = "volume_limit needs price_impact or slippage: no model of zipline has it alone"
        raise ValueError(message)
    return FixedSlippage(costs.get("spread", 0.0))


def _commission(costs: dict[str, float]) -> CommissionModel:
    if "commission_per_share" in costs:
        return PerShare(costs["commission_per_share"], costs.get("commission_minimum", 0.0))
    if "commission_per_order" in costs:
        return PerTrade(costs["commission_per_order"])
    return PerDollar(costs["commission"]) if "commission" in costs else NoCommission()


def _refuse(case: Case) -> None:
    """Raise for what zipline or its bundles do not know."""
    for order in case.orders:
        if order.type not in TYPES or order.parent or order.oco or order.good_till:
            message = f"{case.name}: zipline has no {order.type} order with these terms"
            raise ValueError(message)
    for bar in (bar for bars in case.bars.values() for bar in bars):
        for price in (bar.open, bar.high, bar.low, bar.close):
            if abs(round(price * 1000) - price * 1000) > 1e-6:
                message = f"{case.name}: a bundle keeps thousandths, {price} is finer"
                raise ValueError(message)


def _bundle_symbol(number: int, symbol: str) -> str:
    return f"{symbol}_{number}"


def _case_symbol(symbol: str) -> str:
    return symbol.rsplit("_", 1)[0]


def _frame(bars: list[Bar], sessions: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the bars with a row for every session, as a bundle wants it: zeros where there is no bar."""
    rows = {pd.Timestamp(bar.session): [getattr(bar, name) for name in FIELDS] for bar in bars}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(FIELDS))
    return frame.reindex(sessions[sessions >= frame.index[0]], fill_value=0.0)


def _ingest(cases: list[Case], root: dict[str, str]) -> list[dict[str, int]]:
    """Write all bars as one bundle; return the sid of each symbol for each case."""
    days = [day for case in cases for day in case.sessions]
    sessions = get_calendar(CALENDAR).sessions_in_range(min(days).isoformat(), max(days).isoformat())
    outside = sorted({day for day in days if pd.Timestamp(day) not in sessions})
    if outside:
        message = f"no sessions of {CALENDAR}: {', '.join(map(str, outside))}"
        raise ValueError(message)
    frames: list[pd.DataFrame] = []
    assets: list[dict[str, object]] = []
    sids: list[dict[str, int]] = []
    for number, case in enumerate(cases):
        sids.append({})
        for symbol, bars in case.bars.items():
            frame = _frame(bars, sessions)
            sids[-1][symbol] = len(frames)
            frames.append(frame)
            asset = {
                "symbol": _bundle_symbol(number, symbol),
                "start_date": frame.index[0],
                "end_date": sessions[-1],
                "auto_close_date": sessions[-1] + pd.Timedelta(days=1),
                "exchange": CALENDAR,
            }
            assets.append(asset)

    def write(
        _environ: object,
        asset_writer: AssetDBWriter,
        _minutes: object,
        daily: BcolzDailyBarWriter,
        adjustments: SQLiteAdjustmentWriter,
        *_: object,
    ) -> None:
        daily.write(enumerate(frames))
        exchange = {"exchange": CALENDAR, "canonical_name": CALENDAR, "country_code": "US"}
        asset_writer.write(equities=pd.DataFrame(assets), exchanges=pd.DataFrame([exchange]))
        adjustments.write()

    bundles.register(BUNDLE, write, CALENDAR, sessions[0], sessions[-1])
    bundles.ingest(BUNDLE, environ=root)
    return sids


def _run(case: Case, sids: dict[str, int], root: dict[str, str]) -> dict[str, object]:
    """Run one case from its first to its last session."""
    script, blotter = Script(case, sids), Recorder(case)
    start, end = (pd.Timestamp(case.sessions[at]) for at in (0, -1))
    run_algorithm(
        start=start,
        end=end,
        initialize=script.initialize,
        handle_data=script.handle_data,
        capital_base=case.cash,
        bundle=BUNDLE,
        blotter=blotter,
        benchmark_returns=pd.Series(0.0, index=pd.date_range(start, end)),
        default_extension=False,
        environ=root,
    )
    return {"trades": blotter.trades, **script.end}


def main() -> None:
    """Print the outcome of all cases, or of those whose names hold the argument."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="zipline")
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    cases = [case for case in read("zipline") if wanted in case.name]
    for case in cases:
        _refuse(case)
    with tempfile.TemporaryDirectory() as folder:
        root = {**os.environ, "ZIPLINE_ROOT": folder}
        sids = _ingest(cases, root)
        found = {case.name: _run(case, sids[at], root) for at, case in enumerate(cases)}
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
