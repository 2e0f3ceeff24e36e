"""Every hook a plugin may implement, with its contract, and the specs that hooks return.

A plugin is a module (or an object) named by an entry point of the group `ml4t`. It implements hooks as
functions marked with `hookimpl`, each with only the arguments it needs, and leaves its heavy imports to the
targets it names. Hooks run while a run is assembled or when it ends, never per event.
"""

from __future__ import annotations

import enum
import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import pluggy

from ml4t.core.errors import unknown_name
from ml4t.core.structuring import json_schema, setting
from ml4t.core.types import AssetClass, ModelKind

if TYPE_CHECKING:
    from datetime import date

    import click

    from ml4t.core.config import RunConfig
    from ml4t.core.errors import Finding
    from ml4t.core.instrument import Instrument
    from ml4t.core.plugins import PluginManager

hookspec = pluggy.HookspecMarker("ml4t")
hookimpl = pluggy.HookimplMarker("ml4t")

_is_name = attrs.validators.matches_re(r"[\w./-]+")
_is_target = attrs.validators.matches_re(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _is_version(spec: Any, _: object, value: object) -> None:  # noqa: ANN401
    if type(value) is not int or value < 1:
        msg = f"schema_version of {spec.name!r}: expected a whole number of 1 or more, found {value!r}"
        raise ValueError(msg)


class Native(enum.Enum):
    """How a model can run without Python: not at all, by its own capsule, or by a table in the engine."""

    NONE = "none"
    CAPSULE = "capsule"
    BUILTIN = "builtin"


class Spec:
    """What hooks return: a name, and a target `package.module:attribute` that is imported only when used."""

    __slots__ = ()

    name: str
    target: str

    def load(self) -> Any:  # noqa: ANN401
        """Import the target and return it."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


@attrs.frozen
class _Named(Spec):
    name: str = attrs.field(validator=_is_name)
    target: str = attrs.field(validator=_is_target)
    summary: str = setting("")


def _model_kind(kind: ModelKind | str) -> ModelKind:
    labels = {member.label: member for member in ModelKind}
    if kind not in labels and kind not in labels.values():
        raise unknown_name("kind of model", str(kind), labels)  # noqa: EM101
    return labels[kind] if isinstance(kind, str) else kind


@attrs.frozen
class ModelSpec(Spec):
    """A market model: `ModelSpec("fee", "PerShare", "package.module:Class")`.

    `schema_version` counts the forms that its parameters had. It rises when a parameter gets another name,
    another meaning or no longer exists, and `ml4t_migrate_model` then reads what was stored before.
    """

    kind: ModelKind = attrs.field(converter=_model_kind)
    name: str = attrs.field(validator=_is_name)
    target: str = attrs.field(validator=_is_target)
    native: Native = setting(Native.NONE, convert=Native)
    summary: str = setting("")
    schema_version: int = attrs.field(default=1, kw_only=True, validator=_is_version)

    def params_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the parameters and of their version; imports the model."""
        schema, newest = json_schema(self.load()), self.schema_version
        version = {"type": "integer", "minimum": 1, "maximum": newest, "default": newest}
        return schema | {"properties": schema["properties"] | {"schema_version": version}}


@attrs.frozen
class InstrumentSpec(_Named):
    """A class of instruments, named as the member of `AssetClass` it is for."""

    def __attrs_post_init__(self) -> None:
        known = [asset_class.value for asset_class in AssetClass]
        if self.name not in known:
            raise unknown_name("asset class", self.name, known)  # noqa: EM101


class CalendarSpec(_Named):
    """A trading calendar; the target returns a `Calendar`."""


@attrs.frozen
class ReaderSpec(_Named):
    """A data reader; `name` is a URI scheme or a file suffix, `capabilities` are among lazy, live, pit."""

    capabilities: frozenset[str] = setting(frozenset(), convert=frozenset)


@attrs.frozen
class BrokerSpec(_Named):
    """A connection to a venue: modes among paper and live, and what it takes, by the values of the enums."""

    modes: frozenset[str] = setting(frozenset(), convert=frozenset)
    order_types: frozenset[str] = setting(frozenset(), convert=frozenset)
    time_in_force: frozenset[str] = setting(frozenset(), convert=frozenset)
    asset_classes: frozenset[str] = setting(frozenset(), convert=frozenset)


@attrs.frozen
class EngineSpec(_Named):
    """An engine that runs backtests; the target is a class as `ml4t.core.sources.EngineRun` says.

    `native` tells whether it runs native models as they are; one that does not runs them all in Python.
    """

    native: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class ExecutorSpec(ModelSpec):
    """An execution algorithm, which works a big order by smaller ones: a model of kind executor."""

    kind: ModelKind = attrs.field(default=ModelKind.EXECUTOR, init=False)


class OptimizerSpec(_Named):
    """A portfolio construction or sizing method."""


class MetricSpec(_Named):
    """A statistic computed from results."""


@attrs.frozen
class ReporterSpec(_Named):
    """A report writer and the formats it writes."""

    formats: tuple[str, ...] = setting((), convert=tuple)


@attrs.frozen
class CompatSpec(_Named):
    """A foreign strategy API, and the name of the profile that reproduces its rules."""

    source_api: str = setting("")
    profile: str | None = setting(None)


class ProfileSpec(_Named):
    """A named set of configuration values; the target is a mapping or a function that returns one."""


@attrs.frozen(kw_only=True)
class Check:
    """Outcome of one health check; `fix` says what to do when it is not ok."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


class RegistrySpecs(Protocol):
    """What a plugin offers. Each hook returns a list and does nothing else; imports are for the targets."""

    @hookspec
    def ml4t_register_models(self) -> Sequence[ModelSpec]:
        """Offer market models, each name once per kind.

        Other plugins may use the same name; a configuration then writes `plugin:Name`.
        """

    @hookspec
    def ml4t_register_instruments(self) -> Sequence[InstrumentSpec]:
        """Offer classes of instruments."""

    @hookspec
    def ml4t_register_calendars(self) -> Sequence[CalendarSpec]:
        """Offer trading calendars."""

    @hookspec
    def ml4t_register_readers(self) -> Sequence[ReaderSpec]:
        """Offer data readers by URI scheme or file suffix."""

    @hookspec
    def ml4t_register_brokers(self) -> Sequence[BrokerSpec]:
        """Offer connections to venues."""

    @hookspec
    def ml4t_register_engines(self) -> Sequence[EngineSpec]:
        """Offer engines that run backtests; a configuration names one in `backtest.engine`."""

    @hookspec
    def ml4t_register_executors(self) -> Sequence[ExecutorSpec]:
        """Offer execution algorithms."""

    @hookspec
    def ml4t_register_optimizers(self) -> Sequence[OptimizerSpec]:
        """Offer portfolio construction and sizing."""

    @hookspec
    def ml4t_register_metrics(self) -> Sequence[MetricSpec]:
        """Offer statistics."""

    @hookspec
    def ml4t_register_reporters(self) -> Sequence[ReporterSpec]:
        """Offer report writers."""

    @hookspec
    def ml4t_register_compat(self) -> Sequence[CompatSpec]:
        """Offer foreign strategy APIs."""

    @hookspec
    def ml4t_register_profiles(self) -> Sequence[ProfileSpec]:
        """Offer named sets of configuration values."""

    @hookspec
    def ml4t_register_commands(self, cli: click.Group) -> None:
        """Add sub-commands to `ml4t`. A name that is taken is refused."""


class ResolveSpecs(Protocol):
    """Questions that the first plugin with an answer decides; None passes to the next."""

    @hookspec(firstresult=True)
    def ml4t_resolve_instrument(self, symbol: str, venue: str | None, asof: date | None) -> Instrument | None:
        """Return the instrument that a symbol meant at a venue on a date."""

    @hookspec(firstresult=True)
    def ml4t_open_data(self, uri: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return a reader for an address that no registered reader has the scheme or suffix of, or None.

        A reader is a function `read(uri, *, ...)`; it is called with the address and the options.
        """

    @hookspec(firstresult=True)
    def ml4t_detect_strategy(self, source: str) -> str | None:
        """Return the name of the `CompatSpec` whose API a strategy's source text uses."""


class ConfigSpecs(Protocol):
    """The configuration, before anything runs."""

    @hookspec
    def ml4t_validate_config(self, config: RunConfig, registry: PluginManager) -> Sequence[Finding]:
        """Return what is wrong with a configuration that the kernel accepts, and change nothing.

        A plugin that raises is reported as a warning, and the others are still asked.
        """

    @hookspec
    def ml4t_migrate_config(self, document: dict[str, Any], from_version: int) -> dict[str, Any] | None:
        """Return a document of an older version brought up to date, or None to leave it as it is.

        Plugins are asked by name, each with a copy of what the one before returned.
        """

    @hookspec
    def ml4t_migrate_model(
        self, kind: str, name: str, params: dict[str, Any], from_version: int
    ) -> dict[str, Any] | None:
        """Return parameters of an older schema of a model as its present schema has them.

        Only the plugin that offers the model is asked, with a copy; what it returns is checked like what a
        file says. With None, or where it raises, the configuration is refused.
        """


class RunSpecs(Protocol):
    """A run or a sweep as a whole. `run` and `sweep` are the engine's descriptions, to be read only."""

    @hookspec
    def ml4t_before_run(self, run: Any) -> None:  # noqa: ANN401
        """Act when a run is assembled, before its first event."""

    @hookspec
    def ml4t_after_run(self, run: Any, result: Any) -> None:  # noqa: ANN401
        """Act after the last event, with the results."""

    @hookspec
    def ml4t_on_run_error(self, run: Any, exc: BaseException) -> None:  # noqa: ANN401
        """Act when a run stops with an exception, which goes on to the caller."""

    @hookspec
    def ml4t_before_sweep(self, sweep: Any) -> None:  # noqa: ANN401
        """Act before the first run of a sweep."""

    @hookspec
    def ml4t_after_sweep(self, sweep: Any, results: Any) -> None:  # noqa: ANN401
        """Act after the last run of a sweep."""

    @hookspec
    def ml4t_manifest(self, run: Any) -> Mapping[str, Any]:  # noqa: ANN401
        """Return entries for the run manifest: plain values under keys of their own, equal for equal runs."""


class HealthSpecs(Protocol):
    """Diagnosis."""

    @hookspec
    def ml4t_doctor(self, registry: PluginManager, config: str | None) -> Sequence[Check]:
        """Return checks for `ml4t doctor`; a plugin that raises is shown as a check that failed.

        `config` is the configuration file that the command was given, None without one.
        """


SPEC_CLASSES = (RegistrySpecs, ResolveSpecs, ConfigSpecs, RunSpecs, HealthSpecs)

# What every registry hook returns, by its kind; a `ModelSpec` names its kind itself.
REGISTRY: Mapping[str, type[Spec]] = {
    "model": ModelSpec,
    "instrument": InstrumentSpec,
    "calendar": CalendarSpec,
    "reader": ReaderSpec,
    "broker": BrokerSpec,
    "engine": EngineSpec,
    "executor": ExecutorSpec,
    "optimizer": OptimizerSpec,
    "metric": MetricSpec,
    "reporter": ReporterSpec,
    "compat": CompatSpec,
    "profile": ProfileSpec,
}
KINDS = tuple(dict.fromkeys([*(kind.label for kind in ModelKind), *list(REGISTRY)[1:]]))
