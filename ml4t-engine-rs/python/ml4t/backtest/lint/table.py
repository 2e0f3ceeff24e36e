"""The data as detectors read them: one frame, sorted, with what was declared and what the calendar knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from attrs import evolve, field, frozen

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.actions import read_actions
from ml4t.backtest.data.columns import SYMBOL_NAMES, Layout, find_layout, folded
from ml4t.backtest.data.frames import files_of, read_table
from ml4t.backtest.data.readers import expand_paths
from ml4t.backtest.data.settings import FeedSettings
from ml4t.backtest.data.tables import VALUE_COLUMNS
from ml4t.backtest.lint.times import Declared, labelled, sessions_of, stamped
from ml4t.core.errors import DataError
from ml4t.core.types import DataKind, StampMeaning

__all__ = ["Declared", "Table", "read"]

ADJUSTED = ("adj", "adjusted")


@frozen(kw_only=True, eq=False)
class Table:
    """The rows of a source with what is known of them.

    Attributes
    ----------
    declared
        What the caller said.
    frame
        Sorted by symbol, then stamp, then `row`. Columns: ``row`` (number in its file), ``source`` (number of
        the file), ``file`` (its name, if there are several), ``symbol``, ``label`` (Date of the session; null
        of intraday rows), ``ts`` (Int64 UTC ns; null of session labels), ``day`` (label or local date),
        ``ts_open`` where rows have both stamps, the value columns of the kind as Float64 with null for
        whatever is no number, and ``adjusted`` where a bar has an adjusted close beside its close.
    sessions
        Of the calendar, around the rows.
    is_daily
        Whether a row is a session.
    names
        The source's column by our name.
    features
        Columns that a feed would load as features.
    actions
        ``symbol``, ``ex_date``, ``kind``, ``ratio`` and ``amount``; None where none were given.
    meaning
        What the stamps were declared to be, or what their columns' names say; None for neither.
    naive
        For naive stamps without a declared zone, the zones tried, each with the part of the rows that lie in
        sessions; the best one was used.
    nameless
        Rows without a stamp; they are not in `frame`.
    """

    declared: Declared
    frame: pl.DataFrame = field(repr=False)
    sessions: SessionTable = field(repr=False)
    is_daily: bool
    names: Mapping[str, str]
    features: tuple[str, ...] = ()
    actions: pl.DataFrame | None = field(default=None, repr=False)
    meaning: StampMeaning | None = None
    naive: Mapping[str, float] = field(factory=dict)
    nameless: pl.DataFrame = field(factory=pl.DataFrame, repr=False)

    @property
    def stamp(self) -> pl.Expr:
        """What orders the rows of a symbol."""
        return pl.col("label" if self.is_daily else "ts")

    @property
    def never_rests(self) -> bool:
        """Whether sessions follow each other without a night between: opens are closes, too."""
        opens, closes = self.sessions.frame["open_ns"], self.sessions.frame["close_ns"]
        return bool((opens[1:] == closes[:-1]).mean() or 0) if len(opens) > 1 else False


@frozen(kw_only=True)
class _Piece:
    frame: pl.DataFrame
    name: str
    symbol: str | None


def read(source: object, declared: Declared, *, actions: object = None) -> Table:
    """Return a table of a frame, a mapping of one frame per symbol, or files, which are read as one.

    Faults of the rows are left for the detectors. A file without a symbol column is taken for one symbol,
    called like the file.

    Raises
    ------
    DataError
        The source cannot be read: no such file, no column for stamp or price, stamps of no known form.
    """
    pieces = _pieces(source, declared)
    rows, lost, layouts = [], [], []
    naive: dict[str, float] = {}
    for number, piece in enumerate(pieces):
        layout = _layout(piece, declared)
        layouts.append(layout)
        file = pl.lit(piece.name if len(pieces) > 1 else None, dtype=pl.String).alias("file")
        mine = _columns(piece, layout, declared).with_columns(file, source=pl.lit(number))
        lost.append(mine.filter(pl.col("stamp").is_null()).select("row", "file", "symbol"))
        placed, zones = stamped(mine.filter(pl.col("stamp").is_not_null()), declared)
        rows.append(placed)
        naive = naive or zones
    found = pl.concat(rows, how="diagonal")
    sessions = sessions_of(found, declared)
    found, is_daily = labelled(found, sessions, label=declared.label)
    local = pl.col("ts").cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(sessions.timezone).dt.date()
    found = found.with_columns(day=pl.coalesce("label", local))
    by = ("symbol", *(("label",) if is_daily else ()), "ts", "source", "row")
    return Table(
        declared=declared,
        frame=found.sort(by, maintain_order=True),
        sessions=sessions,
        is_daily=is_daily,
        names={ours: _source_of(name, declared.columns) for ours, name in layouts[0].values.items()},
        features=layouts[0].extra,
        actions=None if actions is None else _action_frame(actions),
        meaning=_meaning(pieces[0].frame, declared),
        naive=naive,
        nameless=pl.concat(lost),
    )


def _pieces(source: object, declared: Declared) -> list[_Piece]:
    """Return the frames of a source with our names, each with the symbol that it has by its name."""
    if isinstance(source, Mapping):
        named: list[tuple[object, str]] = [(source[key], str(key)) for key in sorted(source, key=str)]
    elif (files := files_of(source)) is not None:
        paths = expand_paths(files.locations, name=declared.label)
        named = [(path, _stem(path)) for path in paths]
    else:
        named = [(source, "data")]
    found = []
    for each, name in named:
        frame, _ = read_table(each, label=declared.label, columns=declared.columns)
        if not isinstance(source, Mapping) and {folded(c) for c in frame.columns}.intersection(SYMBOL_NAMES):
            found.append(_Piece(frame=frame, name=_shown(each, name), symbol=None))
        else:
            found.append(_Piece(frame=frame, name=_shown(each, name), symbol=name))
    if not found:
        message = f"{declared.label}: the mapping of frames is empty"
        raise DataError(message)
    return found


def _source_of(name: str, columns: Mapping[str, str]) -> str:
    """Return how the source calls a column; renames are written in either direction."""
    return columns.get(name) or {theirs: ours for ours, theirs in columns.items()}.get(name, name)


def _shown(source: object, name: str) -> str:
    return source.name if isinstance(source, Path) else name


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def is_adjusted(name: str) -> bool:
    """Say whether a column is an adjusted price by its name: ``Adj Close``, ``close_adjusted``."""
    words = folded(name).replace(".", "_").split("_")
    plain = folded(name).replace("_", "")
    return any(word in ADJUSTED for word in words) or plain.startswith(("adjclose", "adjustedclose"))


def _meaning(frame: pl.DataFrame, declared: Declared) -> StampMeaning | None:
    """Return what the stamps were declared to be, or what the names of their columns say by themselves."""
    names = {folded(name) for name in frame.columns}
    if declared.stamp is not None or declared.kind is not DataKind.BAR or "ts_open" not in names:
        return declared.stamp
    return StampMeaning.EVENT if "ts_event" in names else StampMeaning.OPEN


def _layout(piece: _Piece, declared: Declared) -> Layout:
    schema = piece.frame.schema
    names = {folded(name) for name in schema}
    stamp = _meaning(piece.frame, declared) or StampMeaning.SESSION
    settings = FeedSettings(
        name=declared.label, kind=declared.kind, stamp=stamp, interval=None, calendar=declared.calendar
    )
    adjusted = [name for name in schema if is_adjusted(name) and "close" in folded(name)]
    if declared.kind is DataKind.BAR and "close" not in names and len(adjusted) == 1:
        # It is all there is to trade at; what that means is for a detector to say.
        close = {adjusted[0]: "close"}
        layout = find_layout(
            {close.get(name, name): dtype for name, dtype in schema.items()},
            settings,
            needs_symbol=piece.symbol is None,
        )
        return evolve(layout, values={**layout.values, "close": adjusted[0]})
    return find_layout(schema, settings, needs_symbol=piece.symbol is None)


def _columns(piece: _Piece, layout: Layout, declared: Declared) -> pl.DataFrame:
    """Return the rows of a piece by our names, stamps as they are."""
    frame = piece.frame
    columns = [
        pl.lit(piece.symbol).alias("symbol")
        if layout.symbol is None or piece.symbol is not None
        else pl.col(layout.symbol).cast(pl.String).fill_null("(no symbol)").alias("symbol"),
        pl.col(layout.stamp).alias("stamp"),
        *(pl.col(name).alias("ts_open") for name in (layout.opens,) if name),
        *(_number(source).alias(name) for name, source in layout.values.items()),
        *(
            pl.lit(None, dtype=pl.Float64).alias(name)
            for name in VALUE_COLUMNS[declared.kind]
            if name not in layout.values
        ),
    ]
    beside = [
        name
        for name, dtype in frame.schema.items()
        if is_adjusted(name) and "close" in folded(name) and name not in layout.values.values()
        if dtype.is_numeric()
    ]
    if declared.kind is DataKind.BAR:
        columns.append((_number(beside[0]) if beside else pl.lit(None, dtype=pl.Float64)).alias("adjusted"))
    return frame.select(columns).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))


def _number(name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def _action_frame(actions: object) -> pl.DataFrame:
    table = read_actions(actions).table
    ratio = pl.col("ratio_num") / pl.col("ratio_den")
    return table.select(
        "symbol",
        "ex_date",
        "kind",
        # What prices are divided by: a stock dividend gives further shares.
        ratio=pl.when(pl.col("kind") == "stock_dividend").then(ratio + 1).otherwise(ratio),
        amount=pl.col("amount").cast(pl.Float64, strict=False),
    )
