"""Run one case through both engines, and compare."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ml4t.backtest import Engine, Results, Strategy
from ml4t.backtest.data import MarketData, assemble
from ml4t.core.config import RunConfig, load_config
from ml4t.core.plugins import PluginManager, load_plugins
from ml4t.core.types import ModelKind
from ml4t.reference import Api, ModelSet, ReferenceResult, simulate

from .cases import Case, Step

COMPARED = ("orders", "order_events", "fills", "ledger", "positions", "portfolio_history", "round_trips")
# Sentences may be worded differently; codes may not.
NOT_COMPARED = {"orders": ("reason",)}


@functools.cache
def plugins() -> PluginManager:
    """Return the plugins of the environment."""
    return load_plugins()


class Scripted(Strategy):
    """Does at call n of `on_data` what the script says."""

    def __init__(self, steps: Mapping[int, Sequence[Step]], warmup: int) -> None:
        self.steps = steps
        self.warmup = warmup
        self.calls: list[tuple[int, float]] = []
        self.handles: list[Any] = []

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for step in self.steps.get(len(self.calls), ()):
            if step.order is not None:
                order = dict(step.order)
                self.handles.append(broker.submit_order(order.pop("symbol"), **order))
            elif step.cancel is not None and step.cancel <= len(self.handles):
                broker.cancel_order(self.handles[-step.cancel])
        self.calls.append((timestamp.ns, broker.buying_power))


def run_engine(case: Case) -> tuple[Results, list[tuple[int, float]]]:
    """Run the engine; return its results, and the instants and buying power of the calls."""
    strategy = Scripted(case.steps, case.warmup)
    engine = Engine(
        [table.feed() for table in case.tables],
        lambda: strategy,
        config=case.config,
        instruments=case.instruments,
        signals=_signals(case),
        actions=list(case.actions) or None,
        plugins=plugins(),
    )
    return engine.run(), strategy.calls


def run_reference(case: Case) -> tuple[ReferenceResult, list[tuple[int, float]]]:
    """Run the reference; return its result, and the instants and buying power of the calls."""
    config = load_config(case.config, plugins=plugins())
    calls: list[tuple[int, float]] = []
    sent: list[int] = []

    def script(now: int, api: Api) -> None:
        for step in case.steps.get(len(calls), ()):
            if step.order is not None:
                order = dict(step.order)
                sent.append(api.submit(order.pop("symbol"), order.pop("quantity"), order.pop("side"), **order))
            elif step.cancel is not None and step.cancel <= len(sent):
                api.cancel(sent[-step.cancel])
        calls.append((now, float(api.buying_power)))

    result = simulate(market_data(case), config, models_of(config), script, warmup=case.warmup)
    return result, calls


def market_data(case: Case) -> MarketData:
    """Assemble the data of a case."""
    return assemble(
        [table.feed() for table in case.tables],
        instruments=case.instruments,
        signals=_signals(case),
        actions=list(case.actions) or None,
    )


def models_of(config: RunConfig) -> ModelSet:
    """Build the models that a configuration names."""
    broker = config.broker
    return ModelSet(
        fill=plugins().build_model(ModelKind.FILL, broker.fill_model),
        slippage=plugins().build_model(ModelKind.SLIPPAGE, broker.slippage_model),
        fee=plugins().build_model(ModelKind.FEE, broker.commission_model),
    )


def _signals(case: Case) -> pl.DataFrame | None:
    return pl.DataFrame(list(case.signals)) if case.signals else None


def rows_of(results: Results, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table of the engine, instants as ns."""
    frame = results.table(table)
    stamps = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    return frame.with_columns(pl.col(stamps).cast(pl.Int64)).to_dicts()


def differences(case: Case) -> list[str]:
    """Return what differs between the engines, one line each; empty when nothing does."""
    engine, calls = run_engine(case)
    reference, expected_calls = run_reference(case)
    found = _compare("calls", [dict(zip(("ts", "power"), c, strict=True)) for c in calls],
                     [dict(zip(("ts", "power"), c, strict=True)) for c in expected_calls])
    for table in COMPARED:
        found += _compare(table, rows_of(engine, table), reference.rendered(table))
    return found


def _compare(table: str, rows: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for number, (row, wanted) in enumerate(zip(rows, expected, strict=False)):
        wrong = [name for name in wanted if name not in NOT_COMPARED.get(table, ()) and not _same(row[name], wanted[name])]
        if wrong:
            shown = {name: (row[name], wanted[name]) for name in wrong}
            found.append(f"{table}[{number}] (engine, reference): {shown} in {dict(row)}")
    if len(rows) != len(expected):
        longer, name = (rows, "engine") if len(rows) > len(expected) else (expected, "reference")
        found.append(f"{table}: engine has {len(rows)} rows, reference {len(expected)}; only the {name} has {dict(longer[min(len(rows), len(expected))])}")
    return found


def _same(value: object, wanted: object) -> bool:
    return value == wanted or (value != value and wanted != wanted)
