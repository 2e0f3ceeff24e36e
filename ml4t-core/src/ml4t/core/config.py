"""Configuration of a run: frozen classes, read from TOML, YAML or a mapping.

`load_config` reports everything that is wrong at once, each fault with its path, what was found, what is
allowed and the nearest accepted spelling. The file formats are parsed here and nowhere else.
"""

from __future__ import annotations

import enum
import math
import re
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import attrs

from ml4t.core.errors import ConfigError, ConfigWarning, Finding, Severity, nearest
from ml4t.core.instrument import Instrument, fractional_fields
from ml4t.core.policies import BuyingPower, Conversion, Policies
from ml4t.core.structuring import (
    Checked,
    DurationNs,
    internal,
    read_fields,
    readable_fields,
    setting,
    structure,
    unreadable,
)
from ml4t.core.types import DataKind, LotPolicy, ModelKind, StampMeaning
from ml4t.core.values import (
    FrozenMapping,
    decimal_places,
    decimal_text,
    format_duration,
    parse_duration,
    to_decimal,
)

if TYPE_CHECKING:
    from ml4t.core.plugins import PluginManager

CONFIG_VERSION = 1  #: of the layout of configuration files

# Limit and decimals. The ledger counts 1e-18 in 128 bits, which end at 1.7e20; cash x leverage has to fit.
LARGEST_AMOUNTS = {"initial_cash": (10**17, 18), "leverage": (1_000, 9)}

_TAKEN = ("metrics.json", "run_info.json")  #: files beside the manifest

# Key in `[broker]` of every kind of model.
MODEL_KEYS = {ModelKind.FILL: "fill_model", ModelKind.SLIPPAGE: "slippage_model"}
MODEL_KEYS |= {ModelKind.IMPACT: "impact_model", ModelKind.FEE: "commission_model"}
_OF_OWN_NAME = (ModelKind.BORROW, ModelKind.FUNDING, ModelKind.INTEREST, ModelKind.FX, ModelKind.MARGIN)
MODEL_KEYS |= {kind: f"{kind.label}_model" for kind in (*_OF_OWN_NAME, ModelKind.LIQUIDATION)}


class NativePolicy(enum.Enum):
    """Whether models run as native code: where possible, always (else an error), or never."""

    PREFER = "prefer"
    REQUIRE = "require"
    NEVER = "never"


class RecordCadence(enum.Enum):
    """How often the portfolio is recorded. AUTO: hourly, daily data each step; NAV: closes, no tables."""

    AUTO = "auto"
    STEP = "step"
    HOUR = "hour"
    SESSION = "session"
    NAV = "nav"


def _fault(path: str, message: str, found: object = None, *, allowed: tuple[str, ...] = ()) -> Finding:
    text = None if found is None else str(found)
    guess = nearest(text, allowed) if text and allowed else None
    return Finding(path=path, message=message, found=text, allowed=allowed, nearest=guess)


@attrs.frozen
class BacktestSection(Checked):
    """`[backtest]`: the period, the base currency, and what is written where; see `output_folder`.

    `engine` names what runs it: `rust`, or another that a plugin offers.
    """

    name: str = setting("backtest")
    start_date: date | datetime | None = setting(None)
    end_date: date | datetime | None = setting(None)
    base_currency: str = setting("USD")
    seed: int = setting(0)
    nav_calendar: str | None = setting(None)
    record: RecordCadence = setting(RecordCadence.AUTO)
    table_memory: int = setting(1 << 30)
    output: Path = setting(Path("runs/{name}"), convert=Path)
    run_manifest: str = setting("run_manifest.json")
    engine: str = setting("rust")
    native: NativePolicy = setting(NativePolicy.PREFER)
    required_plugins: tuple[str, ...] = setting((), convert=tuple)
    blocked_plugins: tuple[str, ...] = setting((), convert=tuple)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the period, the seed, the names and the requirements."""
        start, end = values.get("start_date"), values.get("end_date")
        if start is not None and end is not None and _day(start) > _day(end):
            yield _fault("end_date", f"{end} is before start_date {start}", end)
        for key in ("seed", "table_memory"):
            if not 0 <= (number := values.get(key, 0)) < 2**64:
                yield _fault(key, f"expected a whole number from 0 to 2**64 - 1, found {number}", number)
        for key in ("name", "run_manifest"):
            text = values.get(key, "-")
            if not text.strip() or Path(text).name != text or text == "..":
                yield _fault(key, f"expected a name without a folder, found {text!r}", text)
            elif key == "run_manifest" and key in values and (not text.endswith(".json") or text in _TAKEN):
                what = f"expected a name that ends with .json and is none of {', '.join(_TAKEN)}"
                yield _fault(key, f"{what}, found {text!r}", text)
        for index, text in enumerate(values.get("required_plugins", ())):
            if not _is_requirement(text):
                message = f"expected a requirement such as 'ml4t-impact>=0.2', found {text!r}"
                yield _fault(f"required_plugins[{index}]", message, text)

    @property
    def output_folder(self) -> Path:
        """`output` with the name of the run filled in."""
        return Path(str(self.output).replace("{name}", self.name))


def _day(moment: date | datetime) -> date:
    """Return the day in UTC, as for the rows that a period takes."""
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo is None else moment.astimezone(UTC)).date()
    return moment


def _is_requirement(text: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return bool(Requirement(text).name)
    except InvalidRequirement:
        return False


def _model(type_name: str) -> FrozenMapping:
    return FrozenMapping({"type": type_name})


def _latency(value: Any) -> Any:  # noqa: ANN401
    """Convert a latency: ns as they are, a duration in words, or a table for the engine to check."""
    kind: Any = DurationNs | FrozenMapping
    return value if type(value) is int else structure(value, kind)


@attrs.frozen
class BrokerSection(Checked):
    """`[broker]`: cash, market models by type name, and the rules of execution.

    `profile` names a set of values for this section, which a plugin offers; what is written here comes
    before them.

    A model is a table `{ type = "VolumeShare", volume_limit = 0.025 }`; its parameters are checked against
    the model's own class where plugins are loaded. A table of `latency` is checked by the engine, as is
    `settlement`, when trades settle: `{ days = 1, unsettled = "good_faith" }`.

    `interest_models` has a model by currency, of those that `interest_model`, of the base currency, does not
    count for; `initial_balances` the opening cash by currency beside `initial_cash`.
    """

    initial_cash: Decimal = setting(Decimal(100_000), convert=to_decimal)
    fill_model: FrozenMapping = setting(_model("Default"), convert=FrozenMapping)
    slippage_model: FrozenMapping = setting(_model("NoSlippage"), convert=FrozenMapping)
    impact_model: FrozenMapping | None = setting(None)
    commission_model: FrozenMapping = setting(_model("NoFee"), alias="fee_model", convert=FrozenMapping)
    lot_policy: LotPolicy = setting(LotPolicy.FIFO)
    allows_short: bool = attrs.field(default=False, kw_only=True)
    leverage: Decimal = setting(Decimal(1), convert=to_decimal)
    buying_power: BuyingPower = setting(BuyingPower.EQUITY)
    posting_quantum: Decimal = setting(Decimal("1e-9"), convert=to_decimal)
    latency: DurationNs | FrozenMapping = setting(DurationNs(0), convert=_latency)
    policies: Policies = setting(Policies())
    profile: str | None = setting(None)
    borrow_model: FrozenMapping | None = setting(None)
    funding_model: FrozenMapping | None = setting(None)
    interest_model: FrozenMapping | None = setting(None)
    interest_models: FrozenMapping = setting(FrozenMapping(), convert=FrozenMapping)
    fx_model: FrozenMapping | None = setting(None)
    margin_model: FrozenMapping | None = setting(None)
    liquidation_model: FrozenMapping | None = setting(None)
    conversion: Conversion = setting(Conversion.WHEN_SHORT)
    recall_sessions: int | None = setting(None)
    settlement: FrozenMapping | None = setting(None)
    initial_balances: FrozenMapping = setting(FrozenMapping(), convert=FrozenMapping)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the amounts, and that each model names its type."""
        for key, (limit, decimals) in LARGEST_AMOUNTS.items():
            amount = values.get(key, Decimal(1))
            if amount <= 0:
                yield _fault(key, f"expected a number above zero, found {amount}", amount)
            elif amount > limit or decimal_places(amount) > decimals:
                allowed = f"expected a number up to {limit:,} with at most {decimals} decimals"
                yield _fault(key, f"{allowed}, found {decimal_text(amount)}", amount)
        if (count := values.get("recall_sessions")) is not None and not 0 <= count < 2**32:
            yield _fault("recall_sessions", f"expected a number of sessions, 0 or more, found {count}", count)
        bound = values.get("buying_power", BuyingPower.EQUITY)
        if bound is not BuyingPower.EQUITY and values.get("leverage", Decimal(1)) != 1:
            message = f"leverage counts where buying_power is 'equity' alone, found {bound.value!r} beside it"
            yield _fault("leverage", message, values["leverage"])
        quantum = decimal_text(values.get("posting_quantum", Decimal(1)))
        if not re.fullmatch(r"1|0\.0{0,17}1", quantum):
            message = f"expected a power of ten from 1e-18 to 1, such as 0.01, found {quantum}"
            yield _fault("posting_quantum", message, quantum)
        if isinstance(latency := values.get("latency"), int) and latency < 0:
            text = format_duration(latency)
            yield _fault("latency", f"expected a duration of zero or more, found {text}", text)
        for key in MODEL_KEYS.values():
            if not isinstance((values.get(key) or {"type": ""}).get("type"), str):
                why = 'required, but missing; write a model as { type = "VolumeShare", volume_limit = 0.025 }'
                yield attrs.evolve(_fault(f"{key}.type", why), code="missing")


FILE_FEEDS = ("ParquetFeed", "CsvFeed")  #: types of `[[data_feeds]]` that no plugin offers


def _address(value: Any) -> Any:  # noqa: ANN401
    return value if "://" in str(value) else Path(value)


@attrs.frozen
class FeedSection(Checked):
    """`[[data_feeds]]`: a file of market data, or an address for a reader, and what its time stamps mean.

    `type` is ParquetFeed, CsvFeed or the name of a reader, which gets `options`; without it the scheme or the
    suffix of `path` decides. Both are checked where plugins are loaded.

    `columns` maps our names to the file's, `symbols` restricts what is loaded, `timezone` is the zone of
    stamps that carry none, `instrument_defaults` are fields of instruments without a section of their own.
    `fields` names the features to load (all by default), `range_check` says what to do with an open or close
    outside low and high, `matches_orders` which of several feeds of an instrument its orders meet.
    `consolidate` lists bars to build of the rows: a length such as `5m`, or a table of the keywords of
    `DataFeed.consolidate`, which checks them.
    """

    name: str = setting()
    type: str | None = setting(None)
    path: Path | str = setting(alias="uri", convert=_address)
    options: FrozenMapping = setting(FrozenMapping(), convert=FrozenMapping)
    kind: DataKind = setting(DataKind.BAR)
    stamp: StampMeaning = setting()
    interval: str | None = setting(None)
    columns: FrozenMapping = setting(FrozenMapping(), convert=FrozenMapping)
    symbols: tuple[str, ...] = setting((), convert=tuple)
    calendar: str = setting("XNYS")
    timezone: str | None = setting(None)
    currency: str = setting("USD")
    instrument_defaults: FrozenMapping = setting(FrozenMapping(), convert=FrozenMapping)
    fields: tuple[str, ...] | None = setting(None)
    range_check: Literal["refuse", "widen", "keep"] = setting("refuse")
    matches_orders: bool | None = setting(None)
    consolidate: tuple[str | FrozenMapping, ...] = setting((), convert=tuple)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check stamp and interval against the kind of data, and the fields of instruments."""
        kind, stamp, interval = values.get("kind"), values.get("stamp"), values.get("interval")
        by_kind = {DataKind.BAR: ("open", "close", "event", "session"), DataKind.QUOTE: ("event",)}
        allowed = by_kind.get(kind, ("event", "close", "session")) if kind else ()
        if kind and stamp and stamp.value not in allowed:
            yield _fault(
                "stamp", f"{stamp.value!r} is no stamp of a {kind.value}", stamp.value, allowed=allowed
            )
        if interval is not None:
            yield from _interval_faults(interval)
        elif (
            "interval" in values and kind is DataKind.BAR and stamp in (StampMeaning.OPEN, StampMeaning.CLOSE)
        ):
            message = "required for bars stamped 'open' or 'close', but missing; for example \"1m\" or \"1d\""
            yield attrs.evolve(_fault("interval", message), code="missing")
        if values.get("type") in FILE_FEEDS and isinstance(path := values.get("path"), str):
            yield _fault(
                "path", f"expected a local path, found {path!r}; other addresses need a reader", path
            )
        yield from _zone_faults(values)
        if defaults := values.get("instrument_defaults"):
            findings, _ = read_fields({"symbol": "-"} | instrument_fields(defaults), Instrument)
            yield from (finding.under("instrument_defaults") for finding in findings)


def _zone_faults(values: Mapping[str, Any]) -> Iterator[Finding]:
    if (zone := values.get("timezone")) is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = f"expected an IANA zone such as 'America/New_York' or 'UTC', found {zone!r}"
            guess = nearest(zone, available_timezones())
            yield attrs.evolve(_fault("timezone", message, zone), nearest=guess)


def _interval_faults(interval: str) -> Iterator[Finding]:
    try:
        if parse_duration(interval) <= 0:
            yield _fault("interval", f"expected a duration above zero, found {interval!r}", interval)
    except ValueError as error:
        yield _fault("interval", str(error), interval)


def instrument_fields(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an instrument as configured: `fractional = true` stands for steps of 1e-8."""
    fields = dict(table)
    if isinstance(fields.get("fractional"), bool):
        return fractional_fields(fields) if fields.pop("fractional") else fields
    return fields


@attrs.frozen
class SignalSection(Checked):
    """`[[signal_sources]]`: a file of predictions.

    `model_id` names those of a file without that column; `stamp` and `timezone` are as for feeds.
    """

    name: str = setting()
    type: Literal["ParquetSignalSource", "CsvSignalSource"] = setting()
    path: Path = setting(convert=Path)
    columns: FrozenMapping = setting(FrozenMapping(), convert=FrozenMapping)
    model_id: str | None = setting(None)
    stamp: Literal["event", "session"] | None = setting(None)
    timezone: str | None = setting(None)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the zone."""
        yield from _zone_faults(values)


@attrs.frozen
class TableSection:
    """A file of `[[corporate_actions]]`, `[[funding_rates]]`, `[[borrow_rates]]`, `[[fx_rates]]` ..."""

    name: str = setting()
    path: Path = setting(convert=Path)
    columns: FrozenMapping = setting(FrozenMapping(), convert=FrozenMapping)


TABLE_SECTIONS: tuple[str, ...] = ("corporate_actions", "funding_rates", "borrow_rates", "fx_rates")
TABLE_SECTIONS += ("settlement_prices", "margin_rates", "cash_flows", "rolls")
_TARGET = re.compile(r"(.+\.py|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):[A-Za-z_]\w*")


@attrs.frozen
class StrategySection(Checked):
    """`[[strategies]]`: a class, named `package.module:Class` or `file.py:Class`, and its parameters."""

    name: str = setting()
    type: str = setting()
    params: FrozenMapping = setting(FrozenMapping(), convert=FrozenMapping)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the form of the type."""
        if "type" in values and _TARGET.fullmatch(values["type"]) is None:
            message = f"expected 'package.module:Class' or 'file.py:Class', found {values['type']!r}"
            yield _fault("type", message, values["type"])


@attrs.frozen
class ReportSection(Checked):
    """`[report]`: the page, what it compares with (a symbol of the run), and the risk-free rate per year."""

    path: Path | None = setting(None)
    type: str = setting("HtmlReport")
    benchmark: str | None = setting(None)
    risk_free: float = setting(0.0)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the rate."""
        if not math.isfinite(rate := values.get("risk_free", 0.0)) or rate <= -1:
            yield _fault("risk_free", f"expected a rate per year above -1, such as 0.02, found {rate}", rate)


@attrs.frozen
class Origin:
    """The file that a configuration was read from, and its text at that time."""

    name: str
    text: str = attrs.field(repr=False)

    def refused(self, findings: Iterable[Finding]) -> ConfigError:
        """Return the error of faults, with the name of the file and their lines."""
        return ConfigError([_located(finding, self.text) for finding in findings], self.name or None)


@attrs.frozen
class RunConfig(Checked):
    """Everything that decides a run, except the contents of the files it names.

    `root`, the folder that relative paths count from, and `origin`, the file it was read from, are no part of
    it and do not count in comparisons.
    """

    config_version: int = setting(CONFIG_VERSION)
    backtest: BacktestSection = setting(BacktestSection())
    broker: BrokerSection = setting(BrokerSection())
    instruments: tuple[Instrument, ...] = setting((), convert=tuple)
    data_feeds: tuple[FeedSection, ...] = setting((), convert=tuple)
    signal_sources: tuple[SignalSection, ...] = setting((), convert=tuple)
    corporate_actions: tuple[TableSection, ...] = setting((), convert=tuple)
    funding_rates: tuple[TableSection, ...] = setting((), convert=tuple)
    borrow_rates: tuple[TableSection, ...] = setting((), convert=tuple)
    fx_rates: tuple[TableSection, ...] = setting((), convert=tuple)
    settlement_prices: tuple[TableSection, ...] = setting((), convert=tuple)
    margin_rates: tuple[TableSection, ...] = setting((), convert=tuple)
    cash_flows: tuple[TableSection, ...] = setting((), convert=tuple)
    rolls: tuple[TableSection, ...] = setting((), convert=tuple)
    strategies: tuple[StrategySection, ...] = setting((), convert=tuple)
    report: ReportSection = setting(ReportSection())
    root: Path | None = internal(None)
    origin: Origin = internal(Origin("", ""))

    def refused(self, findings: Iterable[Finding]) -> ConfigError:
        """Return the error of faults that show when a run is assembled, located as by `load_config`."""
        return self.origin.refused(findings)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Check the version, that names are unique, and that matching sources exist."""
        if not 1 <= (version := values.get("config_version", 1)) <= CONFIG_VERSION:
            message = f"this ml4t reads versions 1 to {CONFIG_VERSION}, found {version}; upgrade ml4t-core"
            yield _fault("config_version", message, version)
        for section in ("instruments", "data_feeds", "signal_sources", *TABLE_SECTIONS, "strategies"):
            key = "symbol" if section == "instruments" else "name"
            seen: dict[str, int] = {}
            for index, item in enumerate(values.get(section, ())):
                if (first := seen.setdefault(getattr(item, key), index)) != index:
                    message = f"{getattr(item, key)!r} is already used by {section}[{first}]"
                    yield _fault(f"{section}[{index}].{key}", message)
        feeds = tuple(feed.name for feed in values.get("data_feeds", ()))
        # Names of bars that are built in the run are known where they are built.
        is_known = feeds and not any(feed.consolidate for feed in values["data_feeds"])
        for index, item in enumerate(values.get("instruments", ()) if is_known else ()):
            if (source := item.matching_source) is not None and source not in feeds:
                path = f"instruments[{index}].matching_source"
                yield _fault(path, f"no data feed is named {source!r}", source, allowed=feeds)


def load_config(
    source: str | Path | Mapping[str, Any],
    *,
    root: str | Path | None = None,
    plugins: PluginManager | None = None,
    check: Callable[[Mapping[str, Any]], list[Finding]] | None = None,
) -> RunConfig:
    """Read the configuration of a run from a `.toml`, `.yaml` or `.yml` file, or from nested mappings.

    Relative paths count from `root`, by default the folder of the file; a mapping without a root leaves them
    as they are. With `plugins`, model types and parameters, required plugins and the plugins' own rules are
    checked too, and with `check` whatever that finds in the document. All faults found are one ConfigError.
    """
    given: object = source
    if not isinstance(given, str | Path | Mapping):
        msg = f"expected the path of a .toml or .yaml file, or a mapping of its sections, found {given!r}"
        raise ConfigError(msg)
    document, text = ({**source}, "") if isinstance(source, Mapping) else _parse(Path(source))
    origin = Origin("" if isinstance(source, Mapping) else str(source), text)
    if (fault := unreadable(document)) is not None:
        raise origin.refused([fault])
    if plugins is not None:
        document = plugins.migrate_config(document, from_version=document.get("config_version", 1))
        try:
            document = plugins.with_profile(document)
        except ConfigError as error:
            raise origin.refused(error.findings) from error.__cause__
    if isinstance(document.get("instruments"), list | tuple):
        tables = document["instruments"]
        document["instruments"] = [instrument_fields(t) if isinstance(t, Mapping) else t for t in tables]
    findings, values = read_fields(document, RunConfig)
    broker = document.get("broker")
    if plugins is None and isinstance(broker, Mapping) and (profile := broker.get("profile")) is not None:
        message = "profiles are offered by plugins; read the configuration with plugins=load_plugins()"
        findings.append(Finding(path="broker.profile", message=message, found=str(profile)))
    # What is wrong already is not told of twice.
    known = {finding.path for finding in findings}
    more = [] if plugins is None else plugins.check_document(document)
    findings += [finding for finding in more if finding.path not in known]
    findings += [] if check is None else check(document)
    config: RunConfig | None = None
    if not findings:
        folder = root if root is not None or not origin.name else Path(origin.name).parent
        config = RunConfig(**values, origin=origin)
        config = _anchored(config, None if folder is None else Path(folder).absolute())
        findings += [] if plugins is None else plugins.validate_config(config)
    if config is None or any(finding.severity is Severity.ERROR for finding in findings):
        raise origin.refused(findings)
    for finding in findings:
        warnings.warn(str(finding), ConfigWarning, stacklevel=2)
    return config


def blocked_plugins(source: object) -> tuple[str, ...]:
    """Return the plugins that a file or mapping blocks, before any is loaded; of one with faults, none."""
    try:
        document: Any = _parse(Path(source))[0] if isinstance(source, str | Path) else source
        return tuple(map(str, document["backtest"]["blocked_plugins"]))
    except (ConfigError, KeyError, TypeError):
        return ()


def _parse(path: Path) -> tuple[dict[str, Any], str]:
    """Read a file; return its content and its text."""

    def refused(message: str, *, code: str, line: int | None = None) -> ConfigError:
        return ConfigError(Finding(path="", message=message, code=code, line=line), str(path))

    if (suffix := path.suffix.lower()) not in (".toml", ".yaml", ".yml"):
        raise refused(f"expected a .toml, .yaml or .yml file, found {suffix!r}", code="format")  # noqa: EM102
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text) if suffix == ".toml" else _parse_yaml(text)
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror}", code="unreadable") from error  # noqa: EM102
    except ValueError as error:
        raise refused(str(error), code="syntax") from error
    except RecursionError:
        raise refused("holds lists or tables in one another without end", code="syntax") from None  # noqa: EM101
    if not isinstance(document, dict):
        found = type(document).__name__
        raise refused(f"expected sections such as backtest and broker, found {found}", code="invalid_type")  # noqa: EM102
    return document, text


def _parse_yaml(text: str) -> Any:  # noqa: ANN401
    """Read YAML 1.2, where ON and NO are text; `safe` builds plain values only."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if re.search(r"^%YAML\s+1\.[01]\b", text, re.MULTILINE):
        msg = "expected YAML 1.2, where ON and NO are text; take away the line %YAML, or write 1.2 in it"
        raise ValueError(msg)
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (at line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(" ".join(str(getattr(error, "problem", None) or error).split()) + where) from error
    return {} if document is None else document


def _located(finding: Finding, text: str) -> Finding:
    """Add the line of a finding's key where the file has that key only once, as a misspelled one usually is.

    A key stands before `=` or `:`, or ends the head of a table. tomllib reports no positions; the price of
    exact ones would be a second parser.
    """
    if finding.code == "missing":
        return finding
    key = re.escape(re.sub(r"\[\d+\]", "", finding.path).rpartition(".")[2])
    place = re.compile(rf"\b{key}[\"']?\s*[=:]|^\s*\[+[\w.\"' -]*\b{key}[\"']?\s*\]")
    lines = [n for n, line in enumerate(text.splitlines(), start=1) if place.search(line)]
    return attrs.evolve(finding, line=lines[0]) if key and len(lines) == 1 else finding


def _anchored(section: Any, root: Path | None) -> Any:  # noqa: ANN401
    """Resolve relative paths in a section and below. `..` is kept, so that the text can be given back."""
    if root is None:
        return section
    changes: dict[str, Any] = {"root": root} if isinstance(section, RunConfig) else {}
    for field in readable_fields(type(section)):
        value = getattr(section, field.name)
        if isinstance(value, Path):
            changes[field.name] = root / value
        elif isinstance(value, tuple) and value and attrs.has(type(value[0])):
            changes[field.name] = tuple(_anchored(item, root) for item in value)
        elif attrs.has(type(value)):
            changes[field.name] = _anchored(value, root)
    return attrs.evolve(section, **changes)
