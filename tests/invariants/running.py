"""Run markets, and look at results up to an instant."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import polars as pl

from ml4t.backtest import Engine, Results
from ml4t.core.plugins import PluginManager, load_plugins

from .markets import Market
from .readers import Reader

SLIPPAGE = (
    {"type": "NoSlippage"},
    {"type": "FixedFraction", "fraction": 0.001},
    {"type": "Spread", "spread": 0.03},
    {"type": "BasisPoints", "bps": 7.0},
    {"type": "BasisPoints", "bps": 5.0, "volume_limit": 0.1},
    {"type": "VolumeShare", "volume_limit": 0.05, "price_impact": 0.2},
    {"type": "VolumeShare", "volume_limit": 0.3, "price_impact": 0.1, "caps_quantity": False},
)
FEES = (
    {"type": "NoFee"},
    {"type": "PerShare", "fee": 0.005, "minimum": 1.0},
    {"type": "PerOrder", "fee": 0.7},
    {"type": "Fraction", "rate": 0.0013},
)
FILLS = (
    {"type": "Default"},
    {"type": "Default", "volume_limit": 0.2},
    {"type": "Default", "volume_limit": 0.2, "partial": False},
)
AVERAGED = (
    {"type": "Default", "volume_limit": 0.2, "average_days": 2},
    {"type": "Default", "volume_limit": 0.3, "average_days": 5, "partial": False},
)
POLICIES = {
    "fill_timing": ("next_open", "next_open", "next_close", "same_close"),
    "limit_touch": ("touch", "through"),
    "limit_gap": ("open_if_better", "at_limit"),
    "stop_gap": ("open", "at_stop"),
    "fill_order": ("submission", "exits_first"),
    "quote_fill": ("next", "standing"),
    "limit_slippage": ("none", "clamp", "refuse"),
    "insufficient_cash": ("reject", "partial", "wait"),
    "zero_volume": ("no_fill", "fill"),
    "tick_rounding": ("reject", "passive"),
    "path": ("worst", "ohlc", "olhc", "nearest_first", "close_only", "submission"),
    "same_bar_exit": ("allow", "next_bar"),
    "print_fills": ("none", "touch", "through"),
    "queue_position": ("none", "size_ahead"),
}


def draw_config(rng: np.random.Generator, market: Market, **fixed: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a configuration with every policy, model and account setting drawn at random."""

    def pick(options: Any) -> Any:  # noqa: ANN401 - one of the options
        return options[int(rng.integers(len(options)))]

    broker = {
        "initial_cash": pick(("2500", "100000", "7777.77")),
        "lot_policy": pick(("fifo", "average", "lifo", "highest_cost")),
        "allows_short": bool(rng.random() < 0.5),
        "leverage": pick(("1", "1", "2")),
        "posting_quantum": pick(("0.000000001", "0.01", "0.000000000000000001")),
        "latency": pick(("0s", "0s", "1ns", "45s", "3h")),
        "slippage_model": pick(SLIPPAGE if market.has_volume else SLIPPAGE[:3]),
        "commission_model": pick(FEES),
        "fill_model": pick(fill_models(market)),
        "policies": {name: pick(values) for name, values in POLICIES.items()},
    }
    if broker["policies"]["path"] == "close_only" and broker["policies"]["fill_timing"] == "next_open":
        broker["policies"]["fill_timing"] = "next_close"
    if broker["policies"]["same_bar_exit"] == "allow":
        # A stream of its own moves nothing that is drawn after it.
        meets_close = rng.spawn(1)[0].random() < 0.5
        broker["policies"]["order_inside_bar"] = "close" if meets_close else "next_bar"
    if broker["policies"]["print_fills"] != "touch":
        broker["policies"]["queue_position"] = "none"
    backtest: dict[str, Any] = {"record": pick(("auto", "step", "session"))}
    if market.nav_calendar is not None:
        backtest["nav_calendar"] = market.nav_calendar
    return {"backtest": backtest, "broker": broker | fixed}


def fill_models(market: Market) -> tuple[dict[str, Any], ...]:
    """Return the fill models that a market has the volumes for."""
    if not market.has_volume:
        return FILLS[:1]
    # Quotes have no volume to take an average of.
    return FILLS if any(table.kind == "quote" for table in market.tables) else FILLS + AVERAGED


@functools.cache
def plugins() -> PluginManager:
    """Return the plugins of the environment, found once: runs of a few rows are quicker than the search."""
    return load_plugins()


def run_reader(market: Market, reader: Reader, config: Mapping[str, Any]) -> Results:
    """Run a market with a reader."""
    return Engine(market.feeds(), reader, config=config, plugins=plugins(), **market.parts()).run()


@attrs.frozen
class Past:
    """What had happened by an instant: what was read and decided, and rows of the tables."""

    seen: list[tuple[int, str, str]]
    tables: Mapping[str, pl.DataFrame]


STAMPS = {
    "order_events": "ts_event",
    "fills": "ts_event",
    "ledger": "ts_event",
    "portfolio_history": "ts_event",
    "positions": "ts_event",
    "recorded": "ts_event",
    "round_trips": "ts_exit",
}
FIXED_AT_SUBMISSION = ["order_id", "client_order_id", "book", "symbol", "side", "order_type", "time_in_force"]
FIXED_AT_SUBMISSION += ["tag", "ts_submitted"]


def past(results: Results, reader: Reader, until_ns: int) -> Past:
    """Return everything stamped at or before an instant.

    Left out are the cancellations that the end of the data causes: where the data end is something that
    a change of later rows may move.
    """
    limit = pl.lit(until_ns, pl.Int64)
    tables = {
        name: results.table(name).filter(pl.col(stamp).cast(pl.Int64) <= limit)
        for name, stamp in STAMPS.items()
    }
    tables["order_events"] = tables["order_events"].filter(pl.col("reason_code") != "END_OF_DATA")
    orders = results.orders.filter(pl.col("ts_submitted").cast(pl.Int64) <= limit)
    accepted = pl.col("ts_accepted")
    tables["orders"] = orders.select(
        *FIXED_AT_SUBMISSION, pl.when(accepted.cast(pl.Int64) <= limit).then(accepted).alias("ts_accepted")
    )
    return Past([each for each in reader.seen if each[0] <= until_ns], tables)


def explain(before: Past, after: Past) -> str:
    """Return the first difference between two pasts, or an empty text."""
    for one, other in zip(before.seen, after.seen, strict=False):
        if one != other:
            if one[:2] != other[:2]:
                return f"called {one[:2]}, then {other[:2]}"
            return f"{one[:2]}: {_around(one[2], other[2])}"
    if len(before.seen) != len(after.seen):
        longer = max(before.seen, after.seen, key=len)[min(len(before.seen), len(after.seen))]
        return f"{len(before.seen)} callbacks, then {len(after.seen)}; the first more: {longer[:2]}"
    for name, table in before.tables.items():
        if not table.equals(after.tables[name]):
            return f"table {name}:\n{table}\n{after.tables[name]}"
    return ""


def _around(one: str, other: str) -> str:
    at = next(
        (k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return f"read {one[max(0, at - 200) : at + 80]!r}, then {other[max(0, at - 200) : at + 80]!r}"
