"""What `ml4t doctor` tries of models and of a configuration.

A model is imported, built with its defaults and traded with on a small market of one instrument, natively and
in Python: what is broken shows as it would in a run, and costs a line of the report instead of the run.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from ml4t.backtest.data import DataFeed
from ml4t.backtest.engine import Engine
from ml4t.backtest.names import checker_of
from ml4t.core.config import BacktestSection, NativePolicy, RunConfig
from ml4t.core.errors import ConfigError, Ml4tError
from ml4t.core.hookspecs import Check, EngineSpec, hookimpl
from ml4t.core.models import (
    FeeArgs,
    FeeOut,
    FillArgs,
    FillOut,
    SlippageArgs,
    SlippageOut,
)
from ml4t.core.plugins import PluginInfo, PluginManager, Registered
from ml4t.core.strategy import Strategy
from ml4t.core.types import ModelKind
from ml4t.engine.chosen import chosen_models
from ml4t.engine.configuration import load_config
from ml4t.engine.hooks import all_calendars

__all__ = ["checks"]

_ASKED = (ModelKind.FILL, ModelKind.SLIPPAGE, ModelKind.IMPACT, ModelKind.FEE, ModelKind.LATENCY)
KINDS = (*(kind.label for kind in _ASKED), ModelKind.EXECUTOR.label)
SYMBOL = "TEST"
# A volatility needs two returns; a buy, a sell and one more of each.
_LEAST_SESSIONS, _TRADED = 4, 5


def checks(registry: PluginManager, config: str | None) -> list[Check]:
    """Return one check for the models of each plugin, one for names that are shared, one for a file."""
    found = [*_model_checks(registry), *_reader_checks(registry), *_name_checks(registry)]
    return found if config is None else [*found, _config_check(registry, config)]


# -- models ------------------------------------------------------------------------------------------------


def _model_checks(registry: PluginManager) -> Iterator[Check]:
    infos = {info.name: info for info in registry.infos}
    by_plugin: dict[str, list[Registered]] = {}
    for offer in registry.registry():
        if offer.kind in KINDS:
            by_plugin.setdefault(offer.plugin, []).append(offer)
    for name, offers in sorted(by_plugin.items()):
        yield _plugin_check(infos[name], offers, registry)


def _plugin_check(info: PluginInfo, offers: Iterable[Registered], registry: PluginManager) -> Check:
    """Try every model of a plugin; one line names all that are faulty."""
    tried, untried, faults = 0, [], []
    for offer in offers:
        what = f"{offer.kind} model {offer.qualified!r}"
        try:
            cls = registry.resolve(offer.kind, offer.qualified)
            if (fault := _shape_fault(cls)) is not None:
                faults.append(f"{what}: {fault}")
            elif needed := _required(cls):
                untried.append(f"{offer.spec.name} (no default for {', '.join(needed)})")
            elif (model := _built(cls)) is None:
                untried.append(f"{offer.spec.name} (its defaults alone make none)")
            else:
                tried += 1
                _trade_with(offer.kind, model)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit and the panics of native modules are faults too
            told = _told(error)
            faults.append(told if repr(offer.qualified) in told else f"{what}: {told}")
    detail = f"plugin {info.name!r} of {info.dist} {info.version}: {tried} tried"
    detail += f"; not tried: {', '.join(untried)}" if untried else ""
    detail += "".join(f"; {fault}" for fault in faults)
    fix = f"upgrade {info.dist}, or block it with ML4T_BLOCK_PLUGINS={info.dist}" if faults else ""
    return Check(name=f"models of {info.name}", ok=not faults, detail=detail, fix=fix)


def _reader_checks(registry: PluginManager) -> Iterator[Check]:
    """Import the readers of every plugin; they are not asked for data."""
    infos = {info.name: info for info in registry.infos}
    for offer in registry.registry():
        if offer.kind != "reader":
            continue
        info = infos[offer.plugin]
        name = f"reader {offer.qualified!r}"
        try:
            target = registry.resolve(offer.kind, offer.qualified)
        except Ml4tError as error:
            fix = f"upgrade {info.dist}, or block it with ML4T_BLOCK_PLUGINS={info.dist}"
            yield Check(name=name, ok=False, detail=_told(error), fix=fix)
            continue
        owner = f"plugin {info.name!r} of {info.dist} {info.version}"
        is_callable = callable(target)
        detail = f"{owner}: found" if is_callable else f"{owner}: {target!r} cannot be called"
        yield Check(
            name=name, ok=is_callable, detail=detail, fix="" if is_callable else f"upgrade {info.dist}"
        )


def _told(error: BaseException) -> str:
    """Return what an error says, in one line; whose it is says the line already."""
    kind = "" if isinstance(error, Ml4tError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def _shape_fault(cls: Any) -> str | None:  # noqa: ANN401 - whatever the target is
    """Say why something cannot be a model; None where it can."""
    if not isinstance(cls, type) or not attrs.has(cls) or not callable(getattr(cls, "evaluate", None)):
        return f"{cls!r} must be an attrs class with a method evaluate(ctx)"
    return None


def _required(cls: type) -> list[str]:
    fields = [field for field in attrs.fields(cls) if field.init and field.default is attrs.NOTHING]
    return [field.alias or field.name for field in fields]


def _built(cls: type) -> object:
    """Build a model of its defaults; None where it refuses them, as one does that needs one of two."""
    try:
        return cls()
    except ConfigError:
        return None


def _trade_with(kind: str, model: Any) -> None:  # noqa: ANN401 - a model of any kind
    """Trade a little with a model, as a run would, natively where it can be and in Python.

    Raises
    ------
    Exception
        Whatever a run raises.
    """
    models = {"fill": _Fill(), "slippage": _Slippage(), "fee": _Fee()}
    # An algorithm works an order of the strategy; the other kinds are models of the run.
    algorithm = model if kind == ModelKind.EXECUTOR.label else None
    models |= {} if algorithm is not None else {kind: model}
    wait = max(getattr(model, "average_days", None) or 0, _LEAST_SESSIONS)
    feed = DataFeed(_market(sessions=wait + _TRADED), stamp="session", calendar="24/7")
    plugins = PluginManager(environ={}, strict=True)
    plugins.register(_Bare, "engine")
    for native in (NativePolicy.PREFER, NativePolicy.NEVER):
        config = RunConfig(backtest=BacktestSection(native=native))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            params = {"wait": wait, "algorithm": algorithm}
            Engine(feed, _InAndOut, params=params, config=config, models=models, plugins=plugins).run()


def _market(*, sessions: int) -> pl.DataFrame:
    """Return sessions of one instrument whose price goes up and down."""
    close = [100.0 + k % 3 for k in range(sessions)]
    return pl.DataFrame(
        {
            "session": [dt.date(2024, 1, 1) + dt.timedelta(days=k) for k in range(sessions)],
            "symbol": [SYMBOL] * sessions,
            "open": close,
            "high": [price + 1.0 for price in close],
            "low": [price - 1.0 for price in close],
            "close": close,
            "volume": [1e6] * sessions,
        }
    )


class _InAndOut(Strategy):
    """Waits until averages are known, then buys and sells in turn, or lets an algorithm work orders."""

    def __init__(self, wait: int, algorithm: Any = None) -> None:  # noqa: ANN401 - one of any class
        self.wait = wait
        self.algorithm = algorithm

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        self.wait -= 1
        if self.wait > 0:
            return
        if self.algorithm is not None:
            if self.wait == 0:
                broker.execute(SYMBOL, 100, self.algorithm)
        elif (held := broker.get_position(SYMBOL)) is None:
            broker.buy(SYMBOL, 100)
        else:
            broker.sell(SYMBOL, held.quantity)


class _Bare:
    """A plugin with the engine alone: the trial of a model asks nobody else."""

    @staticmethod
    @hookimpl
    def ml4t_register_engines() -> list[EngineSpec]:
        """Offer the Rust engine."""
        return [EngineSpec("rust", "ml4t.engine._engine:Run", native=True)]


@attrs.frozen
class _Fill:
    """All of an order fills."""

    def evaluate(self, ctx: FillArgs) -> FillOut:
        return FillOut(ctx.price, ctx.leaves_quantity, ctx.liquidity)


@attrs.frozen
class _Slippage:
    """Nothing is lost."""

    def evaluate(self, ctx: SlippageArgs) -> SlippageOut:
        return SlippageOut(0.0)


@attrs.frozen
class _Fee:
    """Nothing is charged."""

    def evaluate(self, ctx: FeeArgs) -> FeeOut:
        return FeeOut(0.0)


# -- names and configurations ------------------------------------------------------------------------------


def _name_checks(registry: PluginManager) -> Iterator[Check]:
    """Tell of short names that several plugins have: allowed, but a configuration has to say which."""
    infos = {info.name: info for info in registry.infos}
    owners: dict[tuple[str, str], list[PluginInfo]] = {}
    for offer in registry.registry():
        owners.setdefault((offer.kind, offer.spec.name), []).append(infos[offer.plugin])
    for (kind, name), found in sorted(owners.items()):
        if len(found) > 1:
            choices = " and ".join(f"{info.name}:{name} of {info.dist} {info.version}" for info in found)
            detail = f"{kind} {name!r} is ambiguous between {choices}; write one of them in full"
            yield Check(name="shared names", ok=True, detail=detail)


def _config_check(registry: PluginManager, config: str) -> Check:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check = checker_of(all_calendars({}, registry), registry)
            settings = load_config(config, plugins=registry, check=check)
            # Latency models, which stand in a section of the engine's own, are built with the others here.
            chosen_models(settings, {}, registry, runs_native=True)
    except ConfigError as error:
        texts = [str(finding).partition("\nTraceback")[0] for finding in error.findings]
        detail = "; ".join(" ".join(text.split()) for text in texts)
        return Check(name=f"config {Path(config).name}", ok=False, detail=detail, fix="correct the file")
    notes = [f"; {warning.message}" for warning in caught]
    wanted = [f"; requires {text}" for text in settings.backtest.required_plugins]
    refused = [f"; blocks {text}" for text in settings.backtest.blocked_plugins]
    detail = "read, with its models and plugins" + "".join([*wanted, *refused, *notes])
    return Check(name=f"config {Path(config).name}", ok=True, detail=detail)
