"""Where a run came from: hashes of inputs and sources, models used, machine and durations."""

from __future__ import annotations

import functools
import inspect
import json
import math
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from ml4t.backtest import datasets
from ml4t.backtest.data.plugged import ReaderUse
from ml4t.backtest.data.tables import MarketData
from ml4t.core.config import MODEL_KEYS, RunConfig
from ml4t.core.errors import Ml4tError, PluginError
from ml4t.core.plugins import PluginManager, Registered
from ml4t.core.policies import BuyingPower, PrintFills, QueuePosition
from ml4t.core.types import DataKind, ModelKind
from ml4t.core.values import FrozenMapping, format_ns
from ml4t.engine.compile import ChosenModel
from ml4t.engine.configuration import to_mapping
from ml4t.engine.manifest import (
    InputFile,
    ModelUse,
    build_manifest,
    canonical_json,
    installed_versions,
    sha256_file,
)

__all__ = ["RULES_VERSION", "manifest_of", "model_notes", "origin_note", "run_info_of", "strategy_identity"]
__all__ += ["with_algorithms"]

RULES_VERSION = 1
"""Version of the rules of execution and accounting; it rises when equal inputs give other results."""


def manifest_of(  # noqa: PLR0913 - what decides a run, each by its name
    config: RunConfig,
    data: MarketData,
    models: Iterable[ChosenModel],
    *,
    strategy: Mapping[str, Any],
    plugins: PluginManager,
    engine: Registered,
    extra: Mapping[str, Any],
    reads: Iterable[ReaderUse] = (),
) -> dict[str, Any]:
    """Build the manifest of a run; `extra` is what plugins add, under keys of their own.

    Its configuration has the parameters of each model as the plugin that is installed has them, with the
    version of their schema, so that a later plugin can tell.
    """
    chosen, used = list(models), list(reads)
    stored, migrated = _as_stored(config, plugins)
    entries = {
        "rules_version": RULES_VERSION,
        "engine": _engine_use(engine, plugins),
        "nav_calendar": data.nav_calendar,
        "strategy": dict(strategy),
        "data": [dict(entry) for entry in data.fingerprints],
        "readers": [use.entry() for use in used],
        "warnings": [*_warnings(config, chosen, data), *migrated],
    }
    manifest = build_manifest(
        config=to_mapping(stored),
        seed=config.backtest.seed,
        inputs=[*_inputs(data, config.root), *(use.input() for use in used)],
        models=[_model_use(model, plugins) for model in chosen],
        extra=entries | {key: value for key, value in extra.items() if _is_free(key, entries)},
    )
    manifest["versions"] |= installed_versions(use.reader.dist for use in used)
    return manifest


def with_strategy(
    manifest: dict[str, Any], strategy: Mapping[str, Any], kernel: ChosenModel | None, plugins: PluginManager
) -> dict[str, Any]:
    """Return a manifest of the same engine for another strategy of the same class: with its parameters."""
    uses = [] if kernel is None else [attrs.asdict(_model_use(kernel, plugins), recurse=False)]
    own = json.loads(canonical_json({"strategy": dict(strategy), "uses": uses}))
    others = [use for use in manifest["models"] if not uses or use["kind"] != uses[0]["kind"]]
    models = sorted([*others, *own["uses"]], key=lambda use: (use["kind"], use["type"]))
    return manifest | {"strategy": own["strategy"], "models": models}


def _as_stored(config: RunConfig, plugins: PluginManager) -> tuple[RunConfig, list[str]]:
    """Return the configuration with each model as its present schema has it, and what was migrated."""
    broker = config.broker
    notes: list[str] = []

    def current(kind: ModelKind, table: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            found = plugins.current_table(kind, table)
        except Ml4tError:
            # An object was given in its place, or it would have been refused by now.
            return table
        old, new = table.get("schema_version", found["schema_version"]), found["schema_version"]
        if old != new:
            offer = plugins.find(kind, found["type"])
            notes.append(
                f"{kind.label} model {offer.qualified}: its parameters of schema {old} were migrated to "
                f"schema {new} by plugin {offer.plugin}"
            )
        return FrozenMapping(found)

    def with_model(section: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return `[broker.latency]`, or the table of a venue, with its model as it is now."""
        model = section.get("model")
        return section if model is None else {**section, "model": current(ModelKind.LATENCY, model)}

    tables: dict[str, Any] = {
        key: current(kind, table)
        for kind, key in MODEL_KEYS.items()
        if (table := getattr(broker, key)) is not None
    }
    tables["interest_models"] = FrozenMapping(
        {name: current(ModelKind.INTEREST, table) for name, table in broker.interest_models.items()}
    )
    if isinstance(waits := broker.latency, Mapping):
        found = dict(with_model(waits))
        if "venues" in found:
            found["venues"] = {name: with_model(own) for name, own in found["venues"].items()}
        tables["latency"] = FrozenMapping(found)
    return attrs.evolve(config, broker=attrs.evolve(broker, **tables)), notes


def _engine_use(engine: Registered, plugins: PluginManager) -> dict[str, str]:
    info = next(each for each in plugins.infos if each.name == engine.plugin)
    return {"type": engine.qualified, "distribution": info.dist, "version": info.version}


def _is_free(key: str, entries: Mapping[str, Any]) -> bool:
    """Refuse a key of the engine's own."""
    if key in entries:
        msg = f"manifest entry {key!r} belongs to the engine and cannot be replaced by a plugin"
        raise PluginError(msg)
    return True


# Values of policies that flatter a result.
_OPTIMISTIC = {
    ("fill_timing", "same_close"): "orders fill at the close they were decided on, which is optimistic",
    ("quote_fill", "standing"): "orders fill at the quote they were decided on, which is optimistic",
    ("limit_gap", "at_limit"): "a limit through a gap fills at its own price, which may lie outside the bar",
    ("stop_gap", "at_stop"): "a stop through a gap fills at its own price, which may lie outside the bar",
}


def _warnings(config: RunConfig, models: Iterable[ChosenModel], data: MarketData) -> list[str]:
    found, used = list(data.notes), list(models)
    chosen = attrs.asdict(config.broker.policies)
    found += [
        f"{name} = {value}: {why}"
        for (name, value), why in _OPTIMISTIC.items()
        if chosen[name].value == value
    ]
    found += _prints_in_doubt(config, used, data)
    if note := _unfinished_session(data):
        found.append(note)
    found += _margin_in_doubt(config, {model.kind: model.model for model in used})
    found += [
        f"{model.kind} model {type(model.model).__name__} runs in Python, under the interpreter lock"
        + (f": {missing}" if (missing := getattr(model.model, "native_missing", None)) else "")
        for model in used
        if model.path == "python"
    ]
    return found


def _margin_in_doubt(config: RunConfig, models: Mapping[str, object]) -> Iterator[str]:
    """Say that an account can lose more than it has, or that what it is called for has no consequence."""
    broker = config.broker
    if "margin" not in models:
        is_margined = broker.leverage > 1 or broker.allows_short
        if is_margined and broker.buying_power is BuyingPower.EQUITY:
            yield (
                "leverage x equity bounds the size of positions when they are opened alone, and losses may "
                "exceed the account; give [broker] a margin_model for margin calls and liquidation"
            )
    elif "liquidation" not in models and not getattr(models["margin"], "liquidates_at_price", False):
        yield "margin calls are made and nothing is closed: give [broker] a liquidation_model"


def _prints_in_doubt(config: RunConfig, models: Iterable[ChosenModel], data: MarketData) -> Iterator[str]:
    """Say that prints fill whole orders where nothing caps them, and for whom there are none."""
    fills = config.broker.policies.print_fills
    if fills is PrintFills.NONE:
        return
    if not any(model.kind == "fill" and model.params.get("volume_limit") for model in models):
        yield f"print_fills = {fills.value}: without a volume_limit a print of any size fills whole orders"
    quoted = [index >= 0 and data.feeds[index].kind is DataKind.QUOTE for index in data.matching]
    alone = [
        instrument.symbol
        for instrument, is_quoted, prints in zip(data.instruments, quoted, data.prints, strict=True)
        if not (is_quoted and prints)
    ]
    if alone:
        names = ", ".join(alone[:5]) + (", ..." if len(alone) > 5 else "")
        yield f"print_fills = {fills.value} does nothing for {names}: no trade ticks beside quotes"
    if config.broker.policies.queue_position is QueuePosition.NONE:
        return
    used = {index for index, each in zip(data.matching, quoted, strict=True) if each}
    for index in sorted(used.union(*data.prints)):
        feed = data.feeds[index]
        sizes = ("bid_size", "ask_size") if feed.kind is DataKind.QUOTE else ("size",)
        for name in sizes:
            if feed.frame[name].is_nan().all():
                yield f"queue_position counts sizes, and feed {feed.name} has no {name}"


def _unfinished_session(data: MarketData) -> str:
    """Say that the data end inside a session of the NAV calendar; nothing when they do not."""
    last = data.span_ns[1]
    sessions = next(table.frame for table in data.calendars if table.name == data.nav_calendar)
    # Sessions do not overlap: the one with the first close behind the end is the only one it may lie in.
    place = int(sessions["close_ns"].search_sorted(last, side="right"))
    if place == sessions.height or sessions["open_ns"][place] >= last:
        return ""
    label, close = sessions["label"][place], sessions["close_ns"][place]
    return (
        f"The data end at {format_ns(last)}, inside the session {label} of {data.nav_calendar}: "
        f"the value then stands for its close, {format_ns(close)}"
    )


def _inputs(data: MarketData, root: Path | None) -> list[InputFile]:
    named = [attrs.evolve(file, name=_name_of(path, root)) for path, file in data.files.items()]
    return sorted(named, key=lambda file: (file.name, file.sha256))


def _name_of(path: Path, root: Path | None) -> str:
    """Return a name that means the same wherever the folder of the configuration is.

    A data set that ships with ml4t goes by its own name, a file below the folder by its place in it, and any
    other, which may be anywhere on another machine, by its name alone.
    """
    absolute = Path(os.path.abspath(path))
    shipped = {Path(os.path.abspath(datasets.path(name))): name for name in datasets.names()}
    if absolute in shipped:
        return f"dataset:{shipped[absolute]}"
    folder = None if root is None else Path(os.path.abspath(root))
    if folder is not None and absolute.is_relative_to(folder):
        return absolute.relative_to(folder).as_posix()
    return path.name


def _model_use(chosen: ChosenModel, plugins: PluginManager) -> ModelUse:
    cls = type(chosen.configured)
    target = f"{cls.__module__}:{cls.__qualname__}"
    kind = ModelKind[chosen.kind.upper()].label
    origin = {"type": target, "plugin": "", "distribution": "", "version": ""}
    for offer in plugins.registry():
        if offer.kind == kind and getattr(offer.spec, "target", "") == target:
            info = next(each for each in plugins.infos if each.name == offer.plugin)
            origin = {
                "type": offer.qualified,
                "plugin": offer.plugin,
                "distribution": info.dist,
                "version": info.version,
            }
            break
    return ModelUse(
        kind=chosen.kind,
        path=chosen.path,
        abi=chosen.abi,
        params={name: _plain(value) for name, value in chosen.params.items()},
        **origin,
    )


def with_algorithms(
    manifest: Mapping[str, Any], algorithms: Iterable[ChosenModel], plugins: PluginManager
) -> Mapping[str, Any]:
    """Return the manifest with the execution algorithms that the strategy asked for while it ran."""
    used = [attrs.asdict(_model_use(chosen, plugins)) for chosen in algorithms]
    return {**manifest, "models": [*manifest["models"], *used]} if used else manifest


def model_notes(models: Iterable[ChosenModel], plugins: PluginManager) -> list[str]:
    """Name the models of a run that are not the engine's own, each with where it comes from, for an error."""
    notes = []
    for chosen in models:
        if chosen.path == "builtin":
            continue
        use = _model_use(chosen, plugins)
        abi = f", native interface {use.abi}" if use.abi else ""
        notes.append(f"{use.kind} model {use.type} ran as {use.path}{abi}: {_origin_of(use)}")
    return notes


def origin_note(kind: str, model: object, plugins: PluginManager) -> str:
    """Say where a model comes from that cannot be used, for an error."""
    use = _model_use(ChosenModel(kind=kind, model=model), plugins)
    return f"{use.kind} model {use.type}: {_origin_of(use)}"


def _origin_of(use: ModelUse) -> str:
    if not use.plugin:
        return "given by the caller, of no plugin"
    return f"plugin {use.plugin}, distribution {use.distribution} {use.version}"


@functools.lru_cache(maxsize=64)
def _hash_of(file: str, _changed_ns: int, _size: int) -> str:
    """Hash a file that may be asked for again and again, once for each state of it."""
    return sha256_file(Path(file))


def strategy_identity(strategy: object, params: Mapping[str, Any]) -> dict[str, Any]:
    """Name, parameters and source hash of a strategy's class."""
    cls = type(strategy)
    try:
        file = inspect.getsourcefile(cls)
        found = None if file is None or not Path(file).is_file() else Path(file).stat()
        source = None if file is None or found is None else _hash_of(file, found.st_mtime_ns, found.st_size)
    except (TypeError, OSError):
        source = None
    return {
        "type": f"{cls.__module__}:{cls.__qualname__}",
        "params": {name: _plain(value) for name, value in sorted(params.items())},
        "source_sha256": source,
    }


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no text for them.
        return repr(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    text = repr(value)
    # An address would differ between two equal runs.
    return type(value).__qualname__ if " at 0x" in text else text


def run_info_of(*, started: str, durations: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, Any]:
    """Describe this execution: what may differ between two runs of one manifest."""
    return {
        "started": started,
        "durations_s": {name: round(value, 6) for name, value in durations.items()},
        "counts": dict(counts),
        "host": platform.node(),
        "platform": platform.platform(),
        "python_executable": sys.executable,
        "working_directory": str(Path.cwd()),
    }
