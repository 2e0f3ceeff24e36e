"""Run the cases of vectorbt on it, in an environment that holds only that, and print JSON.

Cases without stops go through `Portfolio.from_orders`, others through `Portfolio.from_signals` with
accumulation, which then trades the same. Every setting that a case does not name is vectorbt's default.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import vectorbt as vbt
from vectorbt.portfolio.enums import OrderSide, SizeType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import Case, Order, read

COSTS = {
    "commission": "fees",
    "commission_per_order": "fixed_fees",
    "slippage": "slippage",
    "lot_size": "size_granularity",
    "minimum_quantity": "min_size",
}
PRICED = ("stop", "trailing_stop", "limit")


class CaseError(ValueError):
    """Raised for what a case asks and vectorbt does not have."""

    def __init__(self, case: Case, what: str) -> None:
        super().__init__(f"{case.name}: {what}")


@dataclass(frozen=True)
class Frames:
    """A row per session and a column per symbol; NaN where a symbol has no bar."""

    sessions: list[dt.date]
    symbols: list[str]
    prices: dict[str, pd.DataFrame]

    @classmethod
    def of(cls, case: Case) -> Frames:
        """Lay the bars of a case out."""
        sessions, symbols = case.sessions, list(case.bars)
        prices = {}
        for field in ("open", "high", "low", "close"):
            columns = {
                symbol: pd.Series({bar.session: getattr(bar, field) for bar in bars}, dtype=float)
                for symbol, bars in case.bars.items()
            }
            frame = pd.DataFrame(columns).reindex(index=sessions, columns=symbols)
            frame.index = pd.DatetimeIndex(sessions)
            prices[field] = frame
        return cls(sessions, symbols, prices)

    def cell(self, order: Order) -> tuple[int, int]:
        """Return row and column of an order."""
        return self.sessions.index(order.sent), self.symbols.index(order.symbol)

    def full(self, value: float) -> np.ndarray:
        """Return an array of one value."""
        return np.full((len(self.sessions), len(self.symbols)), value)


def call_sequence(case: Case, frames: Frames) -> np.ndarray:
    """Return the columns of every row: first those without an order (stops precede closes), then by line."""
    sequence = []
    for session in frames.sessions:
        ordered = [
            frames.cell(order)[1] for order in case.orders if order.sent == session and not order.parent
        ]
        others = [column for column in range(len(frames.symbols)) if column not in ordered]
        sequence.append(others + ordered)
    return np.array(sequence, dtype=np.int64)


def exact_fraction(base: float, price: float) -> float:
    """Return the fraction of a base that gives a price, to the bit where floats allow that."""
    sign = 1.0 if price > base else -1.0
    first = sign * (price / base - 1.0)
    up, down = first, first
    for _ in range(64):
        for fraction in (up, down):
            if base * (1.0 + sign * fraction) == price:
                return fraction
        up, down = math.nextafter(up, math.inf), math.nextafter(down, 0.0)
    return first


def is_stop_loss(entry: Order, order: Order, base: float) -> bool:
    """Tell a stop from a target; refuse one on the wrong side of the entry."""
    below = entry.side == "buy"
    if order.type == "trailing_stop":
        return True
    price = order.prices["stop_price" if order.type == "stop" else "limit_price"]
    if (price < base) != (below if order.type == "stop" else not below):
        message = f"{order.name}: {price} is on the wrong side of {base}"
        raise ValueError(message)
    return order.type == "stop"


def stop_arrays(case: Case, frames: Frames) -> dict[str, np.ndarray]:
    """Return stops and targets as fractions of the close of their entries."""
    stops, targets = frames.full(math.nan), frames.full(math.nan)
    trails = np.zeros(stops.shape, dtype=bool)
    entries = {order.name: order for order in case.orders if not order.parent}
    for order in (order for order in case.orders if order.parent):
        entry = entries[str(order.parent)]
        same = (entry.sent, entry.symbol, entry.quantity) == (order.sent, order.symbol, order.quantity)
        if order.type not in PRICED or not same or entry.side == order.side:
            raise CaseError(case, f"{order.name} is no exit of all of {entry.name}, sent with it")
        row, column = frames.cell(order)
        base = float(frames.prices["close"].iloc[row, column])
        array = stops if is_stop_loss(entry, order, base) else targets
        if not math.isnan(array[row, column]):
            raise CaseError(case, f"{order.name}: an entry has one stop and one target")
        if order.type == "trailing_stop":
            array[row, column] = order.prices["trail_fraction"]
            trails[row, column] = True
        else:
            array[row, column] = exact_fraction(base, next(iter(order.prices.values())))
    return {"sl_stop": stops, "sl_trail": trails, "tp_stop": targets}


def sizes(case: Case, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Return what is ordered at each close, sells below zero, and in which unit."""
    quantities, units = frames.full(math.nan), np.full(frames.full(0.0).shape, SizeType.Amount)
    for order in (order for order in case.orders if not order.parent):
        if order.type not in ("market", "target_percent") or order.good_till:
            raise CaseError(case, f"{order.name}: vectorbt has no such order")
        cell = frames.cell(order)
        if not math.isnan(quantities[cell]):
            raise CaseError(case, f"{order.name}: one order a symbol and session")
        quantities[cell] = -order.quantity if order.side == "sell" else order.quantity
        if order.type == "target_percent":
            units[cell] = SizeType.TargetPercent
    return quantities, units


def simulate(case: Case, frames: Frames) -> vbt.Portfolio:
    """Run a case."""
    quantities, units = sizes(case, frames)
    common: dict[str, object] = {COSTS[key]: value for key, value in case.costs.items()}
    common |= {"init_cash": case.cash, "cash_sharing": True, "group_by": True, "freq": "1D"}
    common["call_seq"] = call_sequence(case, frames)
    close = frames.prices["close"]
    if not any(order.parent for order in case.orders):
        return vbt.Portfolio.from_orders(close, size=quantities, size_type=units, **common)
    if (units == SizeType.TargetPercent).any():
        raise CaseError(case, "signals know no targets of equity")
    return vbt.Portfolio.from_signals(
        close,
        entries=quantities > 0,
        exits=False,
        short_entries=quantities < 0,
        short_exits=False,
        size=np.nan_to_num(np.abs(quantities)),
        accumulate=True,
        **{field: frames.prices[field] for field in ("open", "high", "low")},
        **stop_arrays(case, frames),
        **common,
    )


def report(frames: Frames, portfolio: vbt.Portfolio) -> dict[str, object]:
    """Return what a case traded and what is left."""
    records = portfolio.orders.records.sort_values("id")
    trades = [
        {
            "session": frames.sessions[int(record.idx)].isoformat(),
            "symbol": frames.symbols[int(record.col)],
            "side": "buy" if record.side == OrderSide.Buy else "sell",
            "quantity": float(record.size),
            "price": float(record.price),
            "commission": float(record.fees),
        }
        for record in records.itertuples(index=False)
    ]
    held = portfolio.assets().iloc[-1]
    return {
        "trades": trades,
        "final_value": float(np.squeeze(portfolio.final_value())),
        "final_cash": float(np.squeeze(portfolio.cash().iloc[-1])),
        "positions": {symbol: float(held[symbol]) for symbol in frames.symbols if held[symbol] != 0},
    }


def main() -> None:
    """Print the results of all cases."""
    results = {}
    for case in read("vectorbt"):
        frames = Frames.of(case)
        results[case.name] = report(frames, simulate(case, frames))
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
