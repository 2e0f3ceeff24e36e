"""Run cases on ml4t under a profile, a `[broker]` section, and tell what came of them as a peer does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs
import polars as pl

from ml4t.backtest import DataFeed, Results, Strategy, run
from ml4t.core.instrument import Instrument
from ml4t.core.models import FeeArgs, FeeOut
from ml4t.fees import Fraction, PerOrder, PerShare

from .cases import Case, Order

Outcome: TypeAlias = dict[str, Any]
"""What a peer prints for one case."""

Broker: TypeAlias = Mapping[str, Any]
"""A `[broker]` section, or a part of one."""

WHOLE: dict[str, object] = {}
FREE = {"tick_size": "1e-9"}
FRACTIONS = FREE | {"lot_size": "1e-9", "quantity_exponent": 9}
INSTRUMENTS: dict[str, Mapping[str, object]] = {"zipline": WHOLE, "backtrader": FREE, "vectorbt": FRACTIONS}
"""Steps of prices and quantities that each engine knows: an instrument is no part of a profile."""


@attrs.frozen
class _Sum:
    """Fees that an order pays beside each other."""

    parts: tuple[Any, ...]

    def evaluate(self, asked: FeeArgs) -> FeeOut:
        """Answer the sum."""
        return FeeOut(fee=sum(part.evaluate(asked).fee for part in self.parts))


class Script(Strategy):
    """Sends the orders of a case, each after the bar of its session."""

    def __init__(self, case: Case) -> None:
        self.left = list(case.orders)
        self.sent: dict[str, Any] = {}

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        """Send what is due; the close of a session of XNYS lies on its date in UTC as well."""
        today = dt.date(timestamp.year, timestamp.month, timestamp.day)
        due = [order for order in self.left if order.sent == today]
        self.left = [order for order in self.left if order.sent != today]
        for order in due:
            self._send(order, broker)

    def _send(self, order: Order, broker: Any) -> None:  # noqa: ANN401
        if order.type == "cancel":
            if self.sent[order.name] is not None:
                broker.cancel_order(self.sent[order.name])
        elif order.type == "target_percent":
            self.sent[order.name] = broker.order_target_percent(order.symbol, order.quantity, tag=order.name)
        else:
            terms: dict[str, Any] = {"order_type": order.type, "tag": order.name, **order.prices}
            terms |= {
                key: self.sent[name]
                for key, name in (("parent", order.parent), ("oco", order.oco))
                if name is not None
            }
            if order.good_till is not None:
                terms |= {"time_in_force": "gtd", "expire_at": order.good_till}
            self.sent[order.name] = broker.submit_order(order.symbol, order.quantity, order.side, **terms)


def run_case(case: Case, broker: Broker, instrument: Mapping[str, object] = WHOLE) -> Outcome:
    """Run one case with the settings of a profile; its models are those of the costs of the case.

    Parameters
    ----------
    case : Case
        What to run.
    broker : mapping
        A `[broker]` section: the profile.
    instrument : mapping
        Fields of every instrument, one of `INSTRUMENTS`.
    """
    models, fees = _models(case.costs)
    settings = {**broker, **models, "initial_cash": case.cash}
    if "price_impact" in case.costs:
        # Of zipline's models VolumeShareSlippage alone looks at the limit: it does not fill beyond it.
        settings["policies"] = {"limit_slippage": "refuse", **settings.get("policies", {})}
    fields = {**instrument, **_lots(case, instrument)}
    results = run(
        Script,
        DataFeed(_bars(case), stamp="session"),
        params={"case": case},
        config={"broker": settings},
        instruments=[Instrument(symbol, **fields) for symbol in case.bars],
        models={"fee": fees} if fees else None,
    )
    return _outcome(case, results)


def changed(broker: Broker, changes: Broker) -> dict[str, Any]:
    """Return a profile with other values; of tables, the keys that are named."""
    merged = dict(broker)
    for key, value in changes.items():
        inner = merged.get(key)
        is_table = isinstance(inner, Mapping) and isinstance(value, Mapping) and "type" not in value
        merged[key] = {**inner, **value} if is_table else value
    return merged


def _bars(case: Case) -> pl.DataFrame:
    rows = [
        (symbol, bar.session, bar.open, bar.high, bar.low, bar.close, bar.volume)
        for symbol, bars in case.bars.items()
        for bar in bars
    ]
    return pl.DataFrame(
        rows, schema=["symbol", "session", "open", "high", "low", "close", "volume"], orient="row"
    )


def _lots(case: Case, instrument: Mapping[str, object]) -> Mapping[str, object]:
    if "lot_size" in case.costs:
        return {"lot_size": case.costs["lot_size"]}
    # Backtrader trades any fraction that an order asks for, and sizes targets in whole units.
    is_asked = any(order.quantity % 1 for order in case.orders if order.type != "target_percent")
    return FRACTIONS if instrument is FREE and is_asked else {}


def _models(costs: Mapping[str, float]) -> tuple[dict[str, object], _Sum | None]:
    """Return the models of a case by their keys, and their sum where it has two kinds of fees."""
    fees: list[tuple[Any, dict[str, object]]] = []
    if "commission" in costs:
        rate = costs["commission"]
        fees.append((Fraction(rate), {"type": "Fraction", "rate": rate}))
    if "commission_per_share" in costs:
        fee, least = costs["commission_per_share"], costs.get("commission_minimum", 0.0)
        fees.append((PerShare(fee, minimum=least), {"type": "PerShare", "fee": fee, "minimum": least}))
    if "commission_per_order" in costs:
        fee = costs["commission_per_order"]
        fees.append((PerOrder(fee), {"type": "PerOrder", "fee": fee}))
    models = {"slippage_model": _slippage(costs), "fill_model": {"type": "Default"}}
    models["commission_model"] = fees[0][1] if fees else {"type": "NoFee"}
    if "volume_limit" in costs and "volume_limit" not in models["slippage_model"]:
        models["fill_model"] = {"type": "Default", "volume_limit": costs["volume_limit"]}
    both = _Sum(tuple(model for model, _ in fees)) if len(fees) > 1 else None
    return dict(models), both


def _slippage(costs: Mapping[str, float]) -> dict[str, object]:
    limit = {key: costs[key] for key in ("volume_limit",) if key in costs}
    if "price_impact" in costs:
        return {"type": "VolumeShare", "price_impact": costs["price_impact"], **limit}
    if "spread" in costs:
        return {"type": "Spread", "spread": costs["spread"]}
    if "slippage" in costs and limit:
        return {"type": "BasisPoints", "bps": costs["slippage"] * 10_000, **limit}
    if "slippage" in costs:
        return {"type": "FixedFraction", "fraction": costs["slippage"]}
    return {"type": "NoSlippage"}


def _outcome(case: Case, results: Results) -> Outcome:
    columns = ("ts_event", "symbol", "side", "quantity", "price", "fee")
    trades = [
        {
            "session": ts_event.date().isoformat(),
            "symbol": symbol,
            "side": side,
            "quantity": quantity,
            "price": price,
            "commission": fee,
        }
        for ts_event, symbol, side, quantity, price, fee in results.fills.select(columns).rows()
    ]
    held = dict.fromkeys(case.bars, 0.0)
    for trade in trades:
        held[trade["symbol"]] += trade["quantity"] if trade["side"] == "buy" else -trade["quantity"]
    last = results.portfolio_history.row(-1, named=True)
    return {
        "trades": trades,
        "final_value": last["equity"],
        "final_cash": last["cash"],
        "positions": {symbol: round(quantity, 9) for symbol, quantity in held.items() if round(quantity, 9)},
    }
