"""Decide which models a run has, and what executes each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.backtest.latency import Latency
from ml4t.core.config import MODEL_KEYS, NativePolicy, RunConfig
from ml4t.core.errors import ConfigError, Finding, Ml4tError, ModelError
from ml4t.core.types import ModelKind
from ml4t.engine.compile import INTEREST, LATENCY, ChosenModel, model_path
from ml4t.engine.portfolio_models import PORTFOLIO, model_for, portfolio_terms, refuse_contradictions
from ml4t.engine.provenance import origin_note

if TYPE_CHECKING:
    from ml4t.core.plugins import PluginManager

__all__ = ["changeable", "chosen_models", "with_symbols"]

# Kinds of the models that a run may be given as objects.
_OPTIONAL = ("borrow", "funding", "interest", "fx", *PORTFOLIO)
_GIVEN = ("fill", "slippage", "impact", "fee", "latency", *_OPTIONAL)


def chosen_models(
    config: RunConfig, given: Mapping[str, Any], plugins: PluginManager, *, runs_native: bool
) -> dict[str, ChosenModel]:
    """Find the models of a run: those `given` as objects by kind, else those that the configuration names.

    Returns
    -------
    dict
        By kind; latency models as `LATENCY` and their place in `broker.latency`, interest models of other
        currencies than the base as `INTEREST` and the currency. What executes one that has to know the
        instruments of the run is decided by `with_symbols`.

    Raises
    ------
    ConfigError
        If something else than models is given, a table is wrong, models contradict each other, or only
        native models are allowed.
    ModelError
        If a native form is none that the engine can use.
    """
    found: object = given
    if not isinstance(found, Mapping):
        msg = f"models = {found!r}; expected a mapping of kind ({', '.join(_GIVEN)}) to model"
        raise ConfigError(msg)
    if unknown := sorted(given.keys() - {*_GIVEN}):
        msg = f"models {unknown} are of no known kind; allowed: {', '.join(_GIVEN)}"
        raise ConfigError(msg)
    chosen = {}
    for name, (kind, path, table) in _tables(config, given).items():
        model = None if name.startswith(INTEREST) else given.get(kind)
        if model is None and table is None:
            continue
        if model is None:
            model = _configured(config, ModelKind[kind.upper()], table or {}, plugins, path=path)
        if message := _no_model(kind, model, plugins) or changeable(kind, model):
            raise ConfigError(message)
        if kind in PORTFOLIO:
            portfolio_terms(kind, model)
        if _needs_symbols(kind, model):
            chosen[name] = ChosenModel(kind=kind, model=model)
        else:
            chosen[name] = _with_path(kind, model, config, plugins, runs_native=runs_native)
    refuse_contradictions(config, {name: each.model for name, each in chosen.items()})
    return chosen


def with_symbols(
    models: Mapping[str, ChosenModel],
    symbols: Sequence[str],
    config: RunConfig,
    plugins: PluginManager,
    *,
    runs_native: bool,
) -> dict[str, ChosenModel]:
    """Return the models for a run with these instruments.

    Raises
    ------
    ConfigError, ModelError
        As `chosen_models`; and if a model makes none of the instruments that can be used.
    """
    found = dict(models)
    for name, chosen in models.items():
        kind, model = chosen.kind, chosen.configured
        if _needs_symbols(kind, model):
            try:
                made = model_for(kind, model, symbols)
                if message := _no_model(kind, made, plugins) or changeable(kind, made):
                    where = f"{type(model).__name__}.with_symbols: {message}"
                    raise ModelError(where)
            except ModelError as error:
                error.add_note(origin_note(kind, model, plugins))
                raise
            own = _with_path(kind, made, config, plugins, runs_native=runs_native)
            found[name] = attrs.evolve(own, origin=model)
    return found


def _needs_symbols(kind: str, model: object) -> bool:
    return kind in PORTFOLIO and hasattr(model, "with_symbols")


def _with_path(
    kind: str, model: object, config: RunConfig, plugins: PluginManager, *, runs_native: bool
) -> ChosenModel:
    """Decide what executes a model."""
    try:
        chosen = model_path(kind, model, config.backtest.native, runs_native=runs_native)
        if chosen.path == "python" and not _evaluates(model):
            raise ConfigError(_without_python(kind, model, config, runs_native=runs_native))
    except ConfigError as error:
        raise config.refused(error.findings) from None
    except ModelError as error:
        error.add_note(origin_note(kind, model, plugins))
        raise
    return chosen


def _no_model(kind: str, model: object, plugins: PluginManager) -> str:
    """Say that an object cannot be asked, or is of another kind."""
    cls = type(model)
    if not attrs.has(cls) or not (_evaluates(model) or hasattr(model, "__ml4t_model_v1__")):
        return f"{kind} model {model!r} must be an instance of an attrs class with a method evaluate(ctx)"
    target = f"{cls.__module__}:{cls.__qualname__}"
    kinds = {offer.kind for offer in plugins.registry() if getattr(offer.spec, "target", "") == target}
    if not kinds or kind in kinds:
        return ""
    return f"{cls.__name__} is a {' and '.join(sorted(kinds))} model, and was given as the {kind} model"


def changeable(kind: str, model: object) -> str:
    """Say that a model can change and cannot be copied: a run would begin where the last one ended."""
    # Frozen attrs classes share one function that refuses to set an attribute.
    refuses: object = attrs.frozen(type("", (), {})).__setattr__
    is_frozen = type(model).__setattr__ is refuses
    if is_frozen or callable(getattr(model, "clone", None)):
        return ""
    return (
        f"{kind} model {model!r} can change, so that a run would begin where the last one ended; make its "
        "class attrs.frozen, or give it clone(), which returns it as it is when a run begins"
    )


def _tables(
    config: RunConfig, given: Mapping[str, Any]
) -> dict[str, tuple[str, str, Mapping[str, Any] | None]]:
    """Return kind, path and table of every model that a run may have, by its name."""
    broker = config.broker
    tables = {
        "fill": broker.fill_model,
        "slippage": broker.slippage_model,
        "impact": broker.impact_model,
        "fee": broker.commission_model,
        **{kind: getattr(broker, MODEL_KEYS[ModelKind[kind.upper()]]) for kind in _OPTIONAL},
    }
    found: dict[str, tuple[str, str, Mapping[str, Any] | None]] = {
        kind: (kind, f"broker.{MODEL_KEYS[ModelKind[kind.upper()]]}", table) for kind, table in tables.items()
    }
    for name, table in broker.interest_models.items():
        found[f"{INTEREST}{name}"] = ("interest", f"broker.interest_models.{name}", table)
    latency = Latency.of(broker.latency)
    if given.get("latency") is None:
        for place, table in latency.models.items():
            found[f"{LATENCY}{place}"] = ("latency", f"broker.latency.{place}", table)
        return found
    if latency != Latency.of(0):
        message = (
            "a latency model was given as an object, which decides all messages; leave out one of the two"
        )
        raise config.refused([Finding(path="broker.latency", message=message)])
    return {**found, f"{LATENCY}model": ("latency", "broker.latency", None)}


def _evaluates(model: object) -> bool:
    return callable(getattr(model, "evaluate", None))


def _without_python(kind: str, model: object, config: RunConfig, *, runs_native: bool) -> Finding:
    """Say why a model that is native alone cannot run."""
    native, name = config.backtest.native, type(model).__name__
    if not runs_native:
        path, found = "backtest.engine", config.backtest.engine
        why = f"the engine {found!r} calls no native code; choose another engine"
    elif native is NativePolicy.NEVER:
        path, found = "backtest.native", native.value
        why = 'backtest.native = "never" calls none; set it to "prefer"'
    else:
        path, found = "backtest.native", native.value
        missing = getattr(model, "native_missing", None)
        why = "it has no native form here" + (f" ({missing})" if missing else "")
    message = f"{kind} model {name} is native code without evaluate(ctx), and {why}"
    return Finding(path=path, message=message, found=found)


def _configured(
    config: RunConfig, kind: ModelKind, table: Mapping[str, Any], plugins: PluginManager, *, path: str
) -> Any:  # noqa: ANN401 - a model of any class
    """Build a model of the configuration, which may have been read without plugins, and so unchecked."""
    try:
        return plugins.build_model(kind, table)
    except ConfigError as error:
        raise config.refused(finding.under(path) for finding in error.findings) from None
    except Ml4tError as error:
        # No plugin offers the name, several do, or the one that does cannot be used.
        found = str(table.get("type"))
        finding = Finding(path=f"{path}.type", message=str(error), code="unknown_name", found=found)
        raise config.refused([finding]) from error
