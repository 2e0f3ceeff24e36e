"""Feeds that readers of plugins read: which reader a section means, what it is called with, what it gave.

A reader is a function `read(uri, *, ...)` with named options. It returns a table (polars, pandas or pyarrow),
an iterator of tables, or an event source, an instance of `ml4t.core.sources.DataFeed`.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from attrs import field, frozen

from ml4t.backtest import datasets
from ml4t.backtest.data.feed import DataFeed
from ml4t.backtest.data.frames import to_polars
from ml4t.backtest.data.readers import CSV, PARQUET, reason_of
from ml4t.core import sources
from ml4t.core.config import FILE_FEEDS, FeedSection, RunConfig
from ml4t.core.errors import (
    ConfigError,
    DataError,
    Finding,
    Ml4tError,
    PluginError,
    UnknownNameError,
    nearest,
)
from ml4t.core.events import Bar, Quote, TradeTick
from ml4t.core.plugins import PluginManager
from ml4t.core.values import thawed
from ml4t.engine.manifest import InputFile

__all__ = ["Reader", "ReaderUse", "find_reader", "read_section", "reader_faults"]

SHIPPED = "dataset"  #: scheme of the data sets that come with ml4t
# One letter would be a drive of Windows.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?P<rest>.*)", re.DOTALL)
_KINDS = "a polars, pandas or pyarrow table, an iterator of these, or an event source"
_Panic = pl.exceptions.PanicException


@frozen(kw_only=True)
class Reader:
    """A reader, and whose it is.

    Attributes
    ----------
    name
        Full name, `plugin:name`; of one that `ml4t_open_data` returned, that of the plugin.
    scheme
        What it is registered for; empty for one that `ml4t_open_data` returned.
    plugin, dist, version
        Where it comes from.
    load
        Imports the function and returns it.
    """

    name: str
    scheme: str
    plugin: str
    dist: str
    version: str
    load: Callable[[], Any] = field(repr=False)

    def __str__(self) -> str:
        return f"reader {self.name!r} of plugin {self.plugin!r}, {self.dist} {self.version}"


# Which reader ------------------------------------------------------------------------------------


def find_reader(
    address: str, given: str | None, options: Mapping[str, Any], plugins: PluginManager
) -> Reader | None:
    """Return the reader that `type` names, or that the scheme or the suffix of an address calls for.

    None stands for Parquet and CSV files, which need none. `ml4t_open_data` is asked about an address that
    nothing is registered for.

    Raises
    ------
    ConfigError
        No reader has the name, several have, or nothing tells which is meant; its path is relative to the
        section.
    """
    if given in FILE_FEEDS:
        return None
    if given is not None:
        return _named(given, plugins)
    found = _SCHEME.fullmatch(address)
    scheme = "" if found is None else found[1].lower()
    if scheme == SHIPPED:
        return None
    offers = [offer for offer in plugins.registry() if offer.kind == "reader"]
    if scheme and (meant := sorted({o.spec.name for o in offers if o.spec.name.lower() == scheme})):
        return _named(meant[0], plugins)
    is_local = "://" not in address
    for suffix in _suffixes(address) if is_local else ():
        names = [offer.qualified for offer in offers if offer.spec.name.lower().lstrip(".") == suffix]
        names += ["ParquetFeed"] if f".{suffix}" in PARQUET else ["CsvFeed"] if f".{suffix}" in CSV else []
        if len(names) > 1:
            message = f"{address!r} could be read by {' and by '.join(names)}; write one of them as type"
            raise ConfigError(Finding(path="type", message=message, code="ambiguous", found=suffix))
        if names:
            return None if names[0] in FILE_FEEDS else _named(names[0], plugins)
    if (reader := _opened(address, options, plugins)) is not None:
        return reader
    known = tuple(sorted({offer.spec.name for offer in offers}))
    if not is_local:
        message = f"no reader is registered for the scheme {scheme!r}"
        guess = nearest(scheme, known)
        raise ConfigError(
            Finding(
                path="path",
                message=message,
                code="unknown_name",
                found=scheme,
                allowed=known,
                nearest=guess,
            )
        )
    message = f"required, but missing: the suffix of {address!r} does not tell what reads it"
    raise ConfigError(
        Finding(path="type", message=message, code="missing", allowed=(*FILE_FEEDS, *_known(plugins)))
    )


def _known(plugins: PluginManager) -> list[str]:
    """Return the names under which readers can be had: short where that is unique."""
    offers = [offer for offer in plugins.registry() if offer.kind == "reader"]
    names = [offer.spec.name for offer in offers]
    return sorted(o.spec.name if names.count(o.spec.name) == 1 else o.qualified for o in offers)


def _named(name: str, plugins: PluginManager) -> Reader:
    try:
        offer = plugins.find("reader", name)
    except UnknownNameError as error:
        if ":" in name:
            raise ConfigError(
                Finding(path="type", message=str(error), code="unknown_name", found=name)
            ) from None
        known = (*FILE_FEEDS, *_known(plugins))
        # What could not be loaded, and perhaps had it, stands below the first line.
        message = "\n".join([f"no reader is named {name!r}", *str(error).splitlines()[1:]])
        fault = Finding(
            path="type",
            message=message,
            code="unknown_name",
            found=name,
            allowed=known,
            nearest=nearest(name, known),
        )
        raise ConfigError(fault) from None
    except PluginError as error:
        raise ConfigError(Finding(path="type", message=str(error), code="plugin", found=name)) from error
    info = next(each for each in plugins.infos if each.name == offer.plugin)
    return Reader(
        name=offer.qualified,
        scheme=offer.spec.name,
        plugin=offer.plugin,
        dist=info.dist,
        version=info.version,
        load=lambda: plugins.resolve("reader", offer.qualified),
    )


def _suffixes(address: str) -> Iterator[str]:
    """Yield the suffixes of a path without their dot, the longest first: `csv.gz`, then `gz`."""
    parts = Path(address).name.lower().split(".")
    return (".".join(parts[n:]) for n in range(1, len(parts)))


def _opened(address: str, options: Mapping[str, Any], plugins: PluginManager) -> Reader | None:
    """Ask `ml4t_open_data` of each plugin in turn, so that it is known whose answer decides."""
    for impl in reversed(plugins.hook.ml4t_open_data.get_hookimpls()):
        others = [plugin for plugin in plugins.get_plugins() if plugin is not impl.plugin]
        info = next(each for each in plugins.infos if each.name == impl.plugin_name)
        whose = f"ml4t_open_data of plugin {info.name!r}, {info.dist} {info.version}"
        try:
            read = plugins.subset_hook_caller("ml4t_open_data", others)(uri=address, options=thawed(options))
        except Exception as error:
            message = f"{whose}, failed: {type(error).__name__}: {error}"
            raise ConfigError(Finding(path="path", message=message, code="plugin")) from error
        if read is not None:

            def load(read: object = read) -> object:
                return read

            return Reader(
                name=info.name,
                scheme="",
                plugin=info.name,
                dist=info.dist,
                version=info.version,
                load=load,
            )
    return None


def reader_faults(table: Mapping[str, Any], plugins: PluginManager) -> list[Finding]:
    """Return what is wrong with the reader that a table of `[[data_feeds]]` means, and with its options.

    What is of a wrong type, others report.
    """
    given, options = table.get("type"), table.get("options", {})
    address = table.get("path", table.get("uri"))
    if not isinstance(given, str | None) or not isinstance(address, str | Path):
        return []
    if not isinstance(options, Mapping):
        return []
    try:
        reader = find_reader(str(address), given, options, plugins)
        if reader is None:
            return _without_options(given or "a file", options)
        return _option_faults(reader, reader.load(), options)
    except ConfigError as error:
        return list(error.findings)
    except PluginError as error:
        return [Finding(path="type", message=str(error), code="plugin", found=given)]


def _without_options(name: str, options: Mapping[str, Any]) -> list[Finding]:
    message = f"these are for readers of plugins; {name} has none, its keys are those of the section"
    return [Finding(path="options", message=message)] if options else []


def _option_faults(reader: Reader, read: object, options: Mapping[str, Any]) -> list[Finding]:
    """Compare options with the keywords of the function."""
    if not callable(read):
        return [Finding(path="type", message=f"{reader}: {read!r} is no function", code="plugin")]
    try:
        _, *parameters = inspect.signature(read).parameters.values()
    except (TypeError, ValueError):
        # A function in C may not tell, and one without arguments cannot take the address: the call shows it.
        return []
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return []
    named = [each for each in parameters if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)]
    known = tuple(each.name for each in named)
    faults = [
        Finding(
            path=f"options.{key}",
            message=f"unknown option of {reader}",
            code="unknown_key",
            found=key,
            allowed=known,
            nearest=nearest(key, known),
        )
        for key in options
        if key not in known
    ]
    missing = [each.name for each in named if each.default is each.empty and each.name not in options]
    message = f"required by {reader}, but missing"
    return faults + [Finding(path=f"options.{key}", message=message, code="missing") for key in missing]


# What it reads -----------------------------------------------------------------------------------


class _Digest:
    """SHA-256 and number of bytes of what was read."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)

    def text(self) -> str:
        return self._hash.hexdigest()


@frozen(kw_only=True)
class ReaderUse:
    """A reader that a run used: of which feed, with which options, and what came of it."""

    feed: str
    reader: Reader
    options: Mapping[str, Any]
    name: str  #: of the address, the same on every machine
    digest: _Digest = field(repr=False)

    def entry(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {
            "feed": self.feed,
            "type": self.reader.name,
            "plugin": self.reader.plugin,
            "distribution": self.reader.dist,
            "version": self.reader.version,
            "options": dict(self.options),
        }

    def input(self) -> InputFile:
        """Return the fingerprint of what was read; of an event source, once a run has read it."""
        return InputFile(name=self.name, sha256=self.digest.text(), size=self.digest.size)


class ReadFeed(DataFeed):
    """A table that a reader read."""

    reader_use: ReaderUse


class ReadEvents(DataFeed):
    """Events of the source that a reader returned, hashed as they pass."""

    reader_use: ReaderUse
    source: sources.DataFeed

    def get_next_event(self) -> Bar | Quote | TradeTick | None:
        """Return the next event of the source."""
        if (event := self.source.get_next_event()) is not None:
            self.reader_use.digest.add(repr(event).encode())
        return event


def read_section(
    section: FeedSection, reader: Reader, *, config: RunConfig, path: str, settings: Mapping[str, Any]
) -> DataFeed:
    """Call the reader of a section and return what it read as a feed.

    Parameters
    ----------
    section
        The section of the configuration.
    reader
        Its reader.
    config
        The configuration, which knows its file.
    path
        Place of the section in it, such as `data_feeds[0]`.
    settings
        Keywords of `DataFeed`.

    Raises
    ------
    DataError
        The reader raises, or gives something that is neither table nor event source; the message names feed,
        reader, plugin, distribution and version, and the place in the file.
    """

    def refused(what: str) -> DataError:
        fault = Finding(path=f"{path}.{_key(config)}", message=f"feed {section.name}: {reader} {what}")
        return DataError(str(config.refused([fault])))

    address, name = _address(section, reader, config.root)
    try:
        found = reader.load()(address, **thawed(section.options))
        tables = list(found) if isinstance(found, Iterator) else None
    except (Exception, _Panic) as error:
        kind = "" if isinstance(error, Ml4tError) else f"{type(error).__name__}: "
        what = f"raised {kind}{error}"
        raise refused(what) from error
    digest = _Digest()
    use = ReaderUse(
        feed=section.name,
        reader=reader,
        options=thawed(section.options),
        name=name,
        digest=digest,
    )
    if isinstance(found, sources.DataFeed):
        events = ReadEvents(
            **dict(settings) | {"interval": section.interval or getattr(found, "interval", None)}
        )
        events.reader_use, events.source = use, found
        return events
    try:
        table = _table(found) if tables is None else _joined(tables)
        _add_table(digest, table)
    except (TypeError, ValueError, DataError, pl.exceptions.PolarsError) as error:
        raise refused(reason_of(error)) from error
    feed = ReadFeed(table, **settings)
    feed.reader_use = use
    return feed


def _key(config: RunConfig) -> str:
    """Return the key that holds the address, which has two names."""
    return "uri" if re.search(r"\buri[\"']?\s*[=:]", config.origin.text) else "path"


def _address(section: FeedSection, reader: Reader, root: Path | None) -> tuple[str, str]:
    """Return what the reader is asked for, and a name of it that means the same on every machine.

    What stands behind the reader's own scheme (`folder:prices`), or has no scheme, is a path and counts from
    the folder of the configuration. What has `://` is no path, and is handed over as it is.
    """
    if isinstance(section.path, str):
        return section.path, section.path
    base = Path() if root is None else root
    path = section.path.relative_to(base) if section.path.is_relative_to(base) else section.path
    found = _SCHEME.fullmatch(path.as_posix())
    if found is not None and found[1].lower() == SHIPPED:
        return str(datasets.path(found["rest"])), path.as_posix()
    if found is not None and found[1].lower() == reader.scheme.lower():
        rest = Path(found["rest"])
        shown = rest.name if rest.is_absolute() else rest.as_posix()
        return f"{found[1]}:{base / rest}", f"{found[1]}:{shown}"
    return str(section.path), path.name if path.is_absolute() else path.as_posix()


def _table(found: object) -> pl.DataFrame | object:
    """Return a table, as polars where that can be; a pandas frame with levels of columns stays one."""
    is_pandas = type(found).__module__.partition(".")[0] == "pandas" and hasattr(found, "columns")
    if not is_pandas and not isinstance(found, pl.LazyFrame) and not hasattr(found, "__arrow_c_stream__"):
        message = f"returned {type(found).__name__} {_short(found)}; expected {_KINDS}"
        raise DataError(message)
    if is_pandas and getattr(getattr(found, "columns"), "nlevels", 1) > 1:  # noqa: B009 - no type has it
        return found
    # Reading a lazy table twice, once for its digest, could give other rows.
    return to_polars(found, name="returned a table that cannot be read").lazy().collect()


def _joined(tables: list[object]) -> pl.DataFrame:
    frames = [_table(each) for each in tables]
    if not frames:
        message = f"returned an iterator without a table; expected {_KINDS}"
        raise DataError(message)
    plain = [each for each in frames if isinstance(each, pl.DataFrame)]
    if len(plain) < len(frames):
        message = "returned pandas frames with levels of columns one by one; join them first"
        raise DataError(message)
    try:
        return pl.concat(plain, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        message = f"returned tables that do not fit one another: {reason_of(error)}"
        raise DataError(message) from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _add_table(digest: _Digest, table: object) -> None:
    """Add the columns of a table: names, types, which values are missing, and the bytes of the others.

    It does not depend on how the rows are split into chunks, nor on what lies under a missing value.
    """
    if not isinstance(table, pl.DataFrame):
        import pyarrow as pa

        columns: Any = table
        table = pl.DataFrame(pa.Table.from_pandas(columns).replace_schema_metadata(None))
    for name, column in zip(table.columns, table.get_columns(), strict=True):
        digest.add(f"{name}\0{column.dtype}\0{len(column)}\0".encode())
        digest.add(column.is_null().to_numpy().tobytes())
        if column.dtype in (pl.String, pl.Categorical, pl.Enum):
            texts = column.cast(pl.String).fill_null("")
            digest.add(texts.str.len_bytes().to_numpy().tobytes())
            digest.add("".join(texts.to_list()).encode())
        elif column.dtype.is_integer() or column.dtype.is_float() or column.dtype.is_temporal():
            digest.add(column.to_physical().fill_null(0).to_numpy().tobytes())
        else:
            digest.add("\0".join(map(repr, column.to_list())).encode())
