"""Finding, loading, listing and asking plugins.

A plugin is found by its entry point and never by its name in our code. One that cannot be loaded is kept as
a `PluginFailure`, reported once, and takes nothing else down; it is an error only for what needs it, or
where failures are strict. What is blocked is not imported at all.
"""

from __future__ import annotations

import copy
import importlib.util
import os
import re
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from ml4t.core import HOOK_API
from ml4t.core.config import CONFIG_VERSION, MODEL_KEYS, BrokerSection
from ml4t.core.errors import (
    ConfigError,
    Finding,
    Ml4tError,
    PluginError,
    PluginWarning,
    Severity,
    UnknownNameError,
    nearest,
    unknown_name,
)
from ml4t.core.hookspecs import KINDS, REGISTRY, SPEC_CLASSES, Check, ModelSpec, Spec
from ml4t.core.structuring import structure
from ml4t.core.types import ModelKind
from ml4t.core.values import thawed

if TYPE_CHECKING:
    from ml4t.core.config import RunConfig

ENTRY_POINT_GROUP = "ml4t"


@attrs.frozen(kw_only=True)
class PluginInfo:
    """A plugin that was found, by the name of its entry point; `reason` says why it is not active."""

    name: str
    dist: str = "(none)"
    version: str = ""
    status: str = "active"  #: active, blocked, failed or incompatible
    reason: str = ""

    def __str__(self) -> str:
        state = f"{self.status}, {self.reason}" if self.reason else self.status
        return f"plugin {self.name!r} of {self.dist} {self.version}: {state}"


@attrs.frozen(kw_only=True)
class PluginFailure(PluginInfo):
    """A plugin that could not be loaded or broke a contract, with its traceback as text."""

    traceback: str


@attrs.frozen(kw_only=True)
class Registered:
    """Something that a plugin offers; `qualified` (`plugin:Name`) is unique within its kind."""

    kind: str
    plugin: str
    spec: Any

    @property
    def qualified(self) -> str:
        """Plugin and name with a colon between them."""
        return f"{self.plugin}:{self.spec.name}"


class _IncompatibleError(PluginError):
    """The plugin was written for another version of the hooks."""


class PluginManager(pluggy.PluginManager):
    """The plugins of an environment, and what they offer.

    Parameters
    ----------
    enable : collection of str
        Entry or distribution names to load whatever the environment variables say (`-p NAME`).
    block : collection of str
        Names not to import (`-p no:NAME`); they win over `enable`.
    unwanted : collection of str
        Names that a configuration blocks (`backtest.blocked_plugins`); they win over all else, and a name of
        nothing that is installed is none to speak of.
    environ : Mapping or None
        Environment variables, by default those of the process. `ML4T_BLOCK_PLUGINS` and `ML4T_PLUGINS` are
        comma-separated names to refuse and the only ones to load. `ML4T_DISABLE_PLUGIN_AUTOLOAD=1` leaves
        only what is named there or in `enable`. `ML4T_TRACE_PLUGINS=1` prints hook calls.
    strict : bool or None
        Whether a failing plugin raises. By default `ML4T_STRICT_PLUGINS` decides, and without it `CI`.
    """

    def __init__(
        self,
        *,
        enable: Collection[str] = (),
        block: Collection[str] = (),
        unwanted: Collection[str] = (),
        environ: Mapping[str, str] | None = None,
        strict: bool | None = None,
    ) -> None:
        super().__init__("ml4t")
        environ = os.environ if environ is None else environ
        self._enable, self._block, self._unwanted = _names(enable), _names(block), _names(unwanted)
        self._env_block = _names(environ.get("ML4T_BLOCK_PLUGINS", "").split(","))
        self._env_allow = _names(environ.get("ML4T_PLUGINS", "").split(","))
        self._autoload = not _is_on(environ, "ML4T_DISABLE_PLUGIN_AUTOLOAD")
        switch = "ML4T_STRICT_PLUGINS" if "ML4T_STRICT_PLUGINS" in environ else "CI"
        self._strict = _is_on(environ, switch) if strict is None else strict
        self._known: set[str] = set()
        self._infos: dict[str, PluginInfo] = {}
        self._registry: tuple[Registered, ...] | None = None
        for specs in SPEC_CLASSES:
            self.add_hookspecs(specs)
        if _is_on(environ, "ML4T_TRACE_PLUGINS"):
            self.trace.root.setwriter(sys.stderr.write)
            self.enable_tracing()

    # -- loading -----------------------------------------------------------------------------------

    def load_entry_points(self) -> None:
        """Load every plugin of the environment that is not blocked, in the order of names.

        A name claimed by two distributions is refused for both: which one wins must not depend on spelling.
        """
        found = metadata.entry_points(group=ENTRY_POINT_GROUP)
        entries = sorted((entry.name, *_owner(entry), entry) for entry in found)
        known = self._known = {name for entry, dist, *_ in entries for name in _names((entry, dist))}
        for name in sorted((self._enable | self._block) - known):
            raise unknown_name("plugin", name, known)  # noqa: EM101
        blocked = {(entry, dist): self._why_blocked(_names((entry, dist))) for entry, dist, *_ in entries}
        namesakes = Counter(entry for entry, *_ in entries)
        claims = Counter(entry for entry, dist, *_ in entries if not blocked[entry, dist])
        for name, dist, version, entry in entries:
            info = PluginInfo(name=name, dist=dist, version=version)
            key = name if namesakes[name] == 1 else f"{name} of {dist}"
            if blocked[name, dist]:
                self._infos[key] = attrs.evolve(info, status="blocked", reason=blocked[name, dist])
            elif claims[name] > 1:
                owners = ", ".join(other for claimed, other, *_ in entries if claimed == name)
                msg = f"{owners} claim the same name; block all but one by distribution name"
                self._fail(info, PluginError(msg), key=key)
            else:
                self._load(entry, info)

    def _why_blocked(self, names: frozenset[str]) -> str:
        if names & self._unwanted:
            return "blocked by backtest.blocked_plugins"
        if names & self._block:
            return "blocked by -p no:"
        if names & self._enable:
            return ""
        if names & self._env_block:
            return "blocked by ML4T_BLOCK_PLUGINS"
        if self._env_allow and not names & self._env_allow:
            return "not listed in ML4T_PLUGINS"
        return "" if self._autoload or names & self._env_allow else "ML4T_DISABLE_PLUGIN_AUTOLOAD is set"

    def _load(self, entry: metadata.EntryPoint, info: PluginInfo) -> None:
        self._infos[info.name] = info
        try:
            self.register(entry.load(), name=info.name)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit and the panics of native modules are failures too
            self._fail(info, error)

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Register a plugin once its hook version and its hooks are found to be right."""
        wanted, version = getattr(plugin, "ml4t_hook_api", None), ".".join(map(str, HOOK_API))
        if wanted is not None and not _satisfies(version, wanted):
            msg = f"it needs hook API {wanted!r}, this ml4t-core has {version}"
            raise _IncompatibleError(msg)
        hooks = [attribute for attribute in dir(self.hook) if attribute.startswith("ml4t_")]
        for attribute in dir(plugin):
            options = self.parse_hookimpl_opts(plugin, attribute)
            hook = (options and options.get("specname")) or attribute
            if options and hook not in hooks and not options.get("optionalhook"):
                msg = f"{hook} is no hook; the nearest is {nearest(hook, hooks)}"
                raise PluginError(msg)
            if not options and attribute in hooks:
                msg = f"{attribute} is not marked with @hookimpl (from ml4t.core import hookimpl)"
                raise PluginError(msg)
        registered = super().register(plugin, name=name)
        if registered is not None:
            self._infos.setdefault(registered, PluginInfo(name=registered))
        self._registry = None
        return registered

    def _fail(self, info: PluginInfo, error: BaseException, *, key: str | None = None) -> None:
        """Keep a failure, drop what the plugin had registered, and warn or raise."""
        prefix = "" if isinstance(error, PluginError) else f"{type(error).__name__}: "
        # Validators of attrs put what they looked at behind their sentence.
        said = error.args[0] if len(error.args) > 1 and isinstance(error, ValueError) else error
        status = "incompatible" if isinstance(error, _IncompatibleError) else "failed"
        told = attrs.asdict(info) | {"status": status, "reason": prefix + " ".join(str(said).split())}
        failure = PluginFailure(**told, traceback="".join(traceback.format_exception(error)))
        self._infos[key or info.name] = failure
        if self.has_plugin(info.name):
            self.unregister(name=info.name)
        if self._strict:
            raise PluginError(str(failure)) from error
        warnings.warn(f"{failure}; see `ml4t plugins --failed`", PluginWarning, stacklevel=3)

    # -- listing -----------------------------------------------------------------------------------

    @property
    def infos(self) -> tuple[PluginInfo, ...]:
        """Every plugin that was found, whatever became of it, by name."""
        self.registry()
        return tuple(info for _, info in sorted(self._infos.items()))

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """Every plugin that could not be loaded or broke a contract, by name."""
        return tuple(info for info in self.infos if isinstance(info, PluginFailure))

    def named(self, name: str) -> tuple[PluginInfo, ...]:
        """Return what goes by a name, its own or that of its distribution, whatever became of it."""
        return tuple(info for info in self.infos if _names((name,)) & _names((info.name, info.dist)))

    def hooks_of(self, name: str) -> tuple[str, ...]:
        """Return the names of the hooks that an active plugin implements."""
        plugin = self.get_plugin(name)
        return tuple(sorted(c.name for c in self.get_hookcallers(plugin) or ())) if plugin else ()

    def registry(self) -> tuple[Registered, ...]:
        """Return everything that plugins offer, by plugin and hook; one that breaks the rules fails."""
        if self._registry is None:
            offers: list[Registered] = []
            for name, plugin in sorted(self.list_name_plugin()):
                try:
                    offers.extend(self._offers(name, plugin))
                except Exception as error:
                    self._fail(self._infos[name], error)
            self._registry = tuple(offers)
        return self._registry

    def _offers(self, name: str, plugin: object) -> Iterable[Registered]:
        offers: dict[tuple[str, str], Registered] = {}
        for area, cls in REGISTRY.items():
            hook = f"ml4t_register_{area}" + ("" if area == "compat" else "s")
            for spec in self._ask(hook, plugin):
                if not isinstance(spec, cls):
                    msg = f"{hook} must return a list of {cls.__name__}, found {spec!r}"
                    raise PluginError(msg)
                kind = spec.kind.label if isinstance(spec, ModelSpec) else area
                offer = Registered(kind=kind, plugin=name, spec=spec)
                if offers.setdefault((kind, spec.name), offer) is not offer:
                    msg = f"it registers two specs of kind {kind} named {offer.qualified!r}"
                    raise PluginError(msg)
        return offers.values()

    def _ask(self, hook: str, plugin: object, **arguments: object) -> list[Any]:
        """Call a hook of one plugin alone; return what it answered as a flat list."""
        others = [other for other in self.get_plugins() if other is not plugin]
        answers = self.subset_hook_caller(hook, others)(**arguments)
        return [item for each in answers for item in (each if isinstance(each, list | tuple) else [each])]

    def ask_each(self, hook: str, **arguments: object) -> Iterator[tuple[str, list[Any] | Exception]]:
        """Ask each plugin that implements a hook, by name; one that raises does not stop the others."""
        implementing = {impl.plugin_name for impl in getattr(self.hook, hook).get_hookimpls()}
        for name in sorted(implementing):
            try:
                yield name, self._ask(hook, self.get_plugin(name), **arguments)
            except Exception as error:
                yield name, error

    # -- resolving ---------------------------------------------------------------------------------

    def find(self, kind: ModelKind | str, name: str) -> Registered:
        """Return what is registered under a short name that is unique, or under `plugin:Name`.

        UnknownNameError if nothing of the kind has that name; PluginError if several plugins have it, or the
        plugin named does not work.
        """
        label = kind.label if isinstance(kind, ModelKind) else kind
        if label not in KINDS:
            raise unknown_name("kind", label, KINDS)  # noqa: EM101
        offers = [offer for offer in self.registry() if offer.kind == label]
        matches = [offer for offer in offers if name in (offer.qualified, offer.spec.name)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            choices = " and ".join(offer.qualified for offer in matches)
            msg = f"{label} {name!r} is ambiguous between {choices}; write one of them in full"
            raise PluginError(msg)
        plugin, colon, _ = name.partition(":")
        broken = [i for i in self.infos if i.status != "active" and (i.name == plugin or not colon)]
        if colon and broken:
            msg = f"{label} {name!r} needs {_with_traceback(broken[0])}"
            raise PluginError(msg)
        if colon and not self.has_plugin(plugin):
            raise unknown_name("plugin", plugin, (info.name for info in self.infos))  # noqa: EM101
        counts = Counter(offer.spec.name for offer in offers)
        known = [o.spec.name if counts[o.spec.name] == 1 else o.qualified for o in offers]
        detail = _with_traceback if len(broken) == 1 else str
        hint = "".join(f"\nnot loaded, and perhaps what is missing: {detail(info)}" for info in broken)
        raise UnknownNameError(f"{unknown_name(label, name, known)}{hint}")  # noqa: EM102

    def resolve(self, kind: ModelKind | str, name: str) -> Any:  # noqa: ANN401
        """Import what is registered under a name; see `find`. A target that fails is a PluginError."""
        offer = self.find(kind, name)
        try:
            return offer.spec.load()
        except Exception as error:
            info, what = self._infos[offer.plugin], f"{offer.kind} {offer.qualified!r}"
            msg = f"{what} of {info.dist} {info.version}: cannot import {offer.spec.target!r}: {error}"
            raise PluginError(msg) from error

    def build_model(self, kind: ModelKind, table: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Build a model from its configuration `{"type": name, **parameters}`.

        ConfigError with every unknown, missing or wrong parameter; else as `current_table` and `resolve`.
        """
        given = table
        table = self.current_table(kind, given)
        cls = self.resolve(kind, name := table["type"])
        if not attrs.has(cls) or not callable(getattr(cls, "evaluate", None)):
            info = self._infos[self.find(kind, name).plugin]
            owner = f"{kind.label} {name!r} of {info.dist} {info.version}"
            msg = f"{owner}: {cls!r} must be an attrs class with a method evaluate(ctx)"
            raise PluginError(msg)
        params = {key: value for key, value in table.items() if key not in ("type", "schema_version")}
        try:
            return structure(params, cls)
        except ConfigError as error:
            if (old := given.get("schema_version", table["schema_version"])) == table["schema_version"]:
                raise
            note = f", in what ml4t_migrate_model of {name!r} made of schema {old}"
            raise ConfigError(attrs.evolve(f, message=f.message + note) for f in error.findings) from error

    def current_table(self, kind: ModelKind, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return the table of a model as its present schema has it, with `schema_version`.

        Parameters of an older schema are migrated by the plugin that offers the model. ConfigError if it does
        not do that, or if they are of a newer schema; else as `find`.
        """
        if not isinstance(name := table.get("type"), str):
            raise ConfigError(Finding(path="type", message="required, but missing", code="missing"))
        offer, params = self.find(kind, name), thawed(table)
        present = offer.spec.schema_version
        if type(version := params.pop("schema_version", present)) is not int or version < 1:
            message = f"expected a whole number of 1 or more, found {version!r}"
            raise ConfigError(Finding(path="schema_version", message=message, found=str(version)))
        del params["type"]
        params = params if version == present else self._migrated(offer, params, version)
        return {**params, "type": name, "schema_version": present}

    def _migrated(self, offer: Registered, params: dict[str, Any], version: int) -> dict[str, Any]:
        info, present, cause = self._infos[offer.plugin], offer.spec.schema_version, None
        why = f"they were written by a newer {info.dist}; upgrade it"
        if version < present:
            told = {"kind": offer.kind, "name": offer.spec.name, "params": params, "from_version": version}
            try:
                found = self._ask("ml4t_migrate_model", self.get_plugin(offer.plugin), **told)
                if found and isinstance(found[0], Mapping):
                    return dict(found[0])
                why = f"ml4t_migrate_model answered {found[0]!r}" if found else "the plugin migrates none"
            except Exception as error:
                why, cause = f"ml4t_migrate_model failed, {type(error).__name__}: {error}", error
            why += f"; write those of schema {present}, or install the {info.dist} that wrote these"
        what = f"{offer.kind} {offer.qualified!r} of plugin {info.name!r}, {info.dist} {info.version}"
        message = f"{what}, has schema {present}, and these parameters are of schema {version}: {why}"
        raise ConfigError(Finding(path="schema_version", message=message, found=str(version))) from cause

    # -- configuration -----------------------------------------------------------------------------

    def migrate_config(self, document: Mapping[str, Any], *, from_version: object) -> dict[str, Any]:
        """Let plugins bring a document of an older layout up to date, in the order of their names."""
        current = dict(document)
        version = from_version if isinstance(from_version, int) else CONFIG_VERSION
        for name, plugin in sorted(self.list_name_plugin()):
            arguments = {"document": copy.deepcopy(current), "from_version": version}
            try:
                current = (self._ask("ml4t_migrate_config", plugin, **arguments) or [current])[-1]
            except Exception as error:
                msg = f"plugin {name!r} failed while migrating the configuration: {error}"
                raise PluginError(msg) from error
        return current

    def with_profile(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Put the values of the profile that `[broker]` names under those that are written there."""
        broker = _table(document, "broker")
        if not isinstance(name := broker.get("profile"), str):
            return dict(document)
        try:
            target = self.resolve("profile", name)
        except Ml4tError as error:
            finding = Finding(path="broker.profile", message=str(error), code="unknown_name", found=name)
            raise ConfigError(finding) from error
        values: Mapping[str, Any] = target() if callable(target) else target
        merged = {**values, **broker}
        policies = [table.get("policies", {}) for table in (values, broker)]
        if all(isinstance(table, Mapping) for table in policies):
            merged["policies"] = {**policies[0], **policies[1]}
        if "fee_model" in broker:
            # The other name of the same key.
            merged.pop("commission_model", None)
        return {**document, "broker": merged}

    def check_document(self, document: Mapping[str, Any]) -> list[Finding]:
        """Return what is wrong with the plugins, engine, report and models that a document asks for."""
        findings: list[Finding] = []
        required = _table(document, "backtest").get("required_plugins")
        for index, text in enumerate(required if isinstance(required, list | tuple) else ()):
            if message := self._unmet(text):
                path = f"backtest.required_plugins[{index}]"
                findings.append(Finding(path=path, message=message, code="plugin", found=str(text)))
        for what, section, key in (("engine", "backtest", "engine"), ("reporter", "report", "type")):
            if isinstance(name := _table(document, section).get(key), str):
                try:
                    self.find(what, name)
                except Ml4tError as error:
                    path = f"{section}.{key}"
                    findings.append(Finding(path=path, message=str(error), code="unknown_name", found=name))
        for kind, given, table in _model_tables(_table(document, "broker")):
            if isinstance(table, Mapping) and isinstance(table.get("type"), str):
                try:
                    self.build_model(kind, table)
                except ConfigError as error:
                    info = self._infos[self.find(kind, table["type"]).plugin]
                    who, under = f"{info.name} of {info.dist} {info.version}", f"broker.{given}"
                    findings.extend(attrs.evolve(f.under(under), plugin=who) for f in error.findings)
                except Ml4tError as error:
                    path = f"broker.{given}.type"
                    findings.append(Finding(path=path, message=str(error), code="unknown_name"))
        return findings

    def require(self, requirements: Iterable[str]) -> None:
        """Raise PluginError unless an active plugin meets every requirement such as "ml4t-impact>=0.2"."""
        if unmet := [message for text in requirements if (message := self._unmet(text))]:
            raise PluginError("\n".join(unmet))

    def _unmet(self, text: object) -> str | None:
        """Say why a requirement is not met; None when it is."""
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            requirement = Requirement(str(text))
        except InvalidRequirement:
            return f"{text!r} is no requirement such as 'ml4t-impact>=0.2'"
        if not (infos := self.named(requirement.name)):
            return f"{requirement.name} is not installed; run: pip install '{text}'"
        if not (active := [info for info in infos if info.status == "active"]):
            return f"{text} is required: {_with_traceback(infos[0])}"
        if active[0].version and not _satisfies(active[0].version, requirement.specifier):
            return f"{text} is required, {active[0].dist} {active[0].version} is installed"
        return None

    def validate_config(self, config: RunConfig) -> list[Finding]:
        """Ask plugins what is wrong with a configuration; one that raises becomes a warning."""
        findings: list[Finding] = []
        for name, answer in self.ask_each("ml4t_validate_config", config=config, registry=self):
            for finding in [answer] if isinstance(answer, Exception) else answer:
                if isinstance(finding, Finding):
                    findings.append(attrs.evolve(finding, plugin=finding.plugin or name))
                else:
                    message = f"ml4t_validate_config failed: {finding!r}"
                    warning = Finding(path="", message=message, severity=Severity.WARNING, plugin=name)
                    findings.append(attrs.evolve(warning, code="plugin"))
        return findings

    def checks(self, config: str | None = None) -> list[Check]:
        """Return the health of every plugin found, and what the plugins' checks say, also of a file."""
        found: list[Check] = []
        for unmatched in sorted((self._env_block | self._env_allow) - self._known):
            detail = f"ML4T_BLOCK_PLUGINS or ML4T_PLUGINS names {unmatched!r}, which is not installed"
            found.append(Check(name="plugin switches", ok=False, detail=detail, fix="check the spelling"))
        for info in self.infos:
            ok = not isinstance(info, PluginFailure)
            fix = "" if ok else f"upgrade {info.dist}, or block it with ML4T_BLOCK_PLUGINS={info.dist}"
            found.append(Check(name=f"plugin {info.name}", ok=ok, detail=str(info), fix=fix))
        for offer in self.registry():
            if (fault := _import_fault(offer.spec)) is not None:
                found.append(Check(name=f"{offer.kind} {offer.qualified}", ok=False, detail=fault))
        for name, answer in self.ask_each("ml4t_doctor", registry=self, config=config):
            for check in [answer] if isinstance(answer, Exception) else answer:
                if isinstance(check, Check):
                    found.append(attrs.evolve(check, name=f"{name}: {check.name}"))
                else:
                    found.append(Check(name=f"{name}: ml4t_doctor", ok=False, detail=f"failed: {check!r}"))
        return found


def load_plugins(**switches: Any) -> PluginManager:  # noqa: ANN401
    """Load the plugins of the environment; the keywords are those of `PluginManager`."""
    manager = PluginManager(**switches)
    manager.load_entry_points()
    return manager


def _names(texts: Iterable[str]) -> frozenset[str]:
    """Normalize names as package indexes do: `ML4T_Fees` and `ml4t-fees` are one."""
    return frozenset(re.sub(r"[-_.]+", "-", text.strip()).lower() for text in texts if text.strip())


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() not in ("", "0", "false", "no", "off")


def _owner(entry: metadata.EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("(none)", "")


def _model_tables(broker: Mapping[str, Any]) -> Iterator[tuple[ModelKind, str, Any]]:
    """Yield kind, place and table of every model of `[broker]`."""
    for kind, key in MODEL_KEYS.items():
        given = "fee_model" if kind is ModelKind.FEE and "fee_model" in broker else key
        yield kind, given, broker.get(given, getattr(BrokerSection(), key))
    for name, table in _table(broker, "interest_models").items():
        yield ModelKind.INTEREST, f"interest_models.{name}", table


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return section if isinstance(section := document.get(key), Mapping) else {}


def _satisfies(version: str, specifier: object) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(str(specifier)).contains(version, prereleases=True)
    except InvalidSpecifier:
        msg = f"{specifier!r} is no version range such as '>=1.0,<2'"
        raise PluginError(msg) from None


def _with_traceback(info: PluginInfo) -> str:
    return f"{info}\n{info.traceback}" if isinstance(info, PluginFailure) else str(info)


def _import_fault(spec: Spec) -> str | None:
    """Say why the module of a target cannot be found; the module itself is not executed."""
    module = spec.target.partition(":")[0]
    try:
        return None if importlib.util.find_spec(module) is not None else f"there is no module {module!r}"
    except Exception as error:
        return f"{module!r} cannot be found: {type(error).__name__}: {error}"
