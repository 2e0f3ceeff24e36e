"""Frames of market data: valid ones of every kind and form, and what can be wrong with them."""

from __future__ import annotations

import datetime as dt
import functools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

UTC = pl.Datetime("ns", "UTC")
START = dt.datetime(2012, 7, 2, 13, 30, tzinfo=dt.UTC)  # the open of a Monday in New York
DAYS = [dt.date(2012, 7, day) for day in (2, 3, 5, 6, 9, 10)]
VALUES: Mapping[str, tuple[str, ...]] = {
    "bar": ("open", "high", "low", "close", "volume"),
    "quote": ("bid_price", "ask_price", "bid_size", "ask_size"),
    "trade": ("price", "size"),
}
STAMPS = {"bar": ("open", "close", "event", "session"), "quote": ("event",), "trade": ("event",)}

# A space or letters of another script are a symbol like any other.
SYMBOLS = ["A", "B", "", " ", "a b", " A", "Ä", "股", "\u202e", "a\0b", "\n", "x" * 300]
SYMBOLS += ["NaN", "nan", "0", "A.B/C", "🙂"]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-10, 0.1 + 0.2, 1e9, 9.3e9, 1e18, 1e19, 1.7e308]
NUMBERS += [math.nan, math.inf, -math.inf]
INSTANTS = [0, 1, -1, 2**63 - 1, -(2**63), 10**17, -(10**17), 4 * 10**18, 10**12, 1_341_235_800_000_000_000]
NAMES = ["symbol", "Symbol", "ticker", "asset_id", "timestamp", "date", "ts_event", "ts_open"]
NAMES += ["ts_arrival", "session", "open", "Open", " close ", "volume", "price", "signals"]
NAMES += ["instrument", "alpha", "", " ", "x.y", "Ä", "\0", "kind"]
DTYPES: list[Any] = [
    pl.String,
    pl.Int8,
    pl.Int64,
    pl.UInt64,
    pl.Int128,
    pl.Float32,
    pl.Float64,
    pl.Boolean,
    pl.Date,
]
DTYPES += [
    pl.Decimal(38, 4),
    pl.Categorical,
    pl.Binary,
    pl.Time,
    pl.Null,
    pl.List(pl.Float64),
    pl.Duration("us"),
    UTC,
]
DTYPES += [
    pl.Datetime("ms"),
    pl.Datetime("us", "Asia/Tokyo"),
    pl.Datetime("ns"),
    pl.Struct({"x": pl.Float64}),
    pl.Object,
]
FAR = [
    dt.datetime(1, 1, 1),
    dt.datetime(9999, 12, 31, 23, 59),
    dt.datetime(1677, 9, 21),
    dt.datetime(2262, 4, 11),
]
FAR += [
    dt.datetime(1969, 12, 31),
    dt.datetime(2012, 7, 4),
    dt.datetime(2012, 11, 4, 1, 30),
    dt.datetime(2012, 3, 11, 2, 30),
]


@attrs.frozen
class Source:
    """A frame in long form, or one made from it, and the declarations of its feed."""

    prices: Any
    options: dict[str, Any]
    long: pl.DataFrame = attrs.field(repr=False)
    form: str = "polars"
    is_changed: bool = False


def stamps_of(stamp: str, count: int) -> dict[str, pl.Series]:
    """Return the stamp columns of one symbol."""
    if stamp == "session":
        return {"session": pl.Series(DAYS[:count], dtype=pl.Date)}
    ends = pl.Series([START + dt.timedelta(minutes=k + 1) for k in range(count)], dtype=UTC)
    if stamp == "event":
        return {"ts_open": ends - dt.timedelta(minutes=1), "ts_event": ends}
    return {"timestamp": ends}


@st.composite
def frames(draw: st.DrawFn, kind: str, stamp: str) -> pl.DataFrame:
    """Return a valid frame in long form."""
    symbols = draw(st.lists(st.sampled_from(["A", "B", "Ä", "a b"]), min_size=1, max_size=3, unique=True))
    count = draw(st.integers(1, len(DAYS)))
    price = st.integers(100, 5_000).map(lambda cents: cents / 100)
    parts = []
    for symbol in symbols:
        columns: dict[str, Any] = dict(stamps_of(stamp, count))
        if kind != "bar":
            columns.pop("ts_open", None)
        for name in VALUES[kind]:
            number = (
                st.sampled_from([0.0, 100.0, 5_000.0])
                if name in ("volume", "size", "bid_size", "ask_size")
                else price
            )
            columns[name] = [draw(number) for _ in range(count)]
        if kind == "bar":
            rows = list(zip(*(columns[name] for name in ("open", "high", "low", "close")), strict=True))
            columns["high"], columns["low"] = [max(row) for row in rows], [min(row) for row in rows]
        parts.append(pl.DataFrame({"symbol": [symbol] * count, **columns}))
    return pl.concat(parts)


# --------------------------------------------------------------------------- what can be wrong


def _put(draw: st.DrawFn, frame: pl.DataFrame) -> pl.DataFrame:
    """Put an odd value into one cell."""
    column = draw(st.sampled_from(frame.columns))
    dtype = frame.schema[column]
    if dtype.is_temporal():
        value: Any = draw(st.none() | st.sampled_from(FAR))
        changed = pl.lit(value).cast(dtype if dtype == pl.Date else pl.Datetime("us"), strict=False)
        if dtype != pl.Date:
            # Beyond the reach of ns there is only us.
            frame = frame.with_columns(pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone(None))
            changed = changed.dt.replace_time_zone(None)
            zone = getattr(dtype, "time_zone", None)
            if zone is not None:
                frame = frame.with_columns(
                    pl.col(column).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
                )
                changed = changed.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    elif dtype == pl.String:
        changed = pl.lit(draw(st.none() | st.sampled_from(SYMBOLS)), dtype=pl.String)
    else:
        changed = pl.lit(draw(st.none() | st.sampled_from(NUMBERS)), dtype=pl.Float64).cast(
            dtype, strict=False
        )
    row = draw(st.integers(0, max(0, frame.height - 1)))
    at = pl.int_range(pl.len()) == row
    return frame.with_columns(pl.when(at).then(changed).otherwise(pl.col(column)).alias(column))


def _cast(draw: st.DrawFn, frame: pl.DataFrame) -> pl.DataFrame:
    column, dtype = draw(st.sampled_from(frame.columns)), draw(st.sampled_from(DTYPES))
    if dtype == pl.Object:
        return frame.with_columns(pl.Series(column, frame[column].to_list(), dtype=pl.Object))
    return frame.with_columns(pl.col(column).cast(dtype, strict=False))


def _stamp(draw: st.DrawFn, frame: pl.DataFrame) -> pl.DataFrame:
    """Write the stamps in another way: as integers, text, with another unit or zone, or none."""
    known = [name for name, dtype in frame.schema.items() if dtype.is_temporal()]
    if not known:
        return frame
    column = draw(st.sampled_from(known))
    way = draw(st.sampled_from(["integers", "text", "naive", "zone", "ms", "odd text", "odd integers"]))
    stamp = pl.col(column).cast(pl.Datetime("ns"))
    changed = {
        "integers": stamp.cast(pl.Int64),
        "text": pl.col(column).cast(pl.String),
        "naive": stamp.dt.replace_time_zone(None),
        "zone": stamp.dt.replace_time_zone("Asia/Tokyo"),
        "ms": stamp.dt.cast_time_unit("ms"),
        "odd text": pl.lit(
            draw(st.sampled_from(["", "x", "2012-07-02", "20120702", "2012-13-45", "2012-07-02T25:00"]))
        ),
        "odd integers": pl.lit(draw(st.sampled_from(INSTANTS)), dtype=pl.Int64) + pl.int_range(pl.len()),
    }[way]
    return frame.with_columns(changed.alias(column))


def _add(draw: st.DrawFn, frame: pl.DataFrame) -> pl.DataFrame:
    name = draw(st.sampled_from(NAMES))
    values = draw(
        st.sampled_from([1.0, math.nan, math.inf, None, True, "x", 2**63, START, dt.date(1, 1, 1), b"x", [1]])
    )
    return frame.with_columns(pl.Series(name, [values] * frame.height))


def _rename(draw: st.DrawFn, frame: pl.DataFrame) -> pl.DataFrame:
    column, name = draw(st.sampled_from(frame.columns)), draw(st.sampled_from(NAMES))
    return frame if name in frame.columns else frame.rename({column: name})


CHANGES: Mapping[str, Callable[[st.DrawFn, pl.DataFrame], pl.DataFrame]] = {
    "put": _put,
    "cast": _cast,
    "stamp": _stamp,
    "add": _add,
    "rename": _rename,
    "drop": lambda draw, frame: frame.drop(draw(st.sampled_from(frame.columns))),
    "repeat": lambda draw, frame: pl.concat([frame, frame.head(draw(st.integers(1, 3)))]),
    "shuffle": lambda draw, frame: frame[draw(st.permutations(range(frame.height)))],
    "cut": lambda draw, frame: frame.head(draw(st.integers(0, 1))),
    "symbol": lambda draw, frame: frame.with_columns(
        pl.lit(draw(st.sampled_from(SYMBOLS)), dtype=pl.String).alias("symbol")
    ),
}

OPTIONS: Mapping[str, list[Any]] = {
    "interval": [
        "1m",
        "0m",
        "-1m",
        "1d",
        "2d",
        "1h",
        "",
        "x",
        5,
        dt.timedelta(minutes=1),
        dt.timedelta.max,
        math.nan,
        "9" * 30 + "d",
    ],
    "timezone": ["UTC", "America/New_York", "Mars/Phobos", "", "../x", "\0", 3, dt.UTC],
    "calendar": ["XNYS", "24/7", "CME_Equity", "nope", "", 5, None],
    "symbols": [["A"], "A", [], ["zzz"], [""], 5, [None], ["A", "A"], [["A"]]],
    "fields": [[], ["alpha"], ["close"], ["nope"], "alpha", 5, [None]],
    "columns": [
        {"close": "open"},
        {"close": "nope"},
        {"x": "y"},
        {"": ""},
        {1: 2},
        5,
        ["close"],
        {"close": None},
    ],
    "instrument_defaults": [
        {"tick_size": "0.01"},
        {"price_exponent": 0},
        {"price_exponent": 18},
        {"x": 1},
        {"symbol": "Q"},
        {"allows_negative_prices": True},
        {"tick_size": "1e9999999999"},
        {"lot_size": math.nan},
        {1: 2},
        5,
    ],
    "range_check": ["widen", "keep", "refuse", "nope", None, 5],
    "matches_orders": [True, False, None, "yes"],
    "cuts_to_session": [True, False, "no"],
    "name": ["", "x", "Ä", 5, None, "a\0b"],
    "stamp": ["open", "close", "event", "session", "nope", None, 5],
    "kind": ["bar", "quote", "trade", "context", "nope", None, 5],
    "currency": ["USD", "EUR", "", 5, " "],
    "instruments": [[], {}, 5, ["A"], {"A": 5}],
}


# --------------------------------------------------------------------------- forms


def _by_symbol(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {str(name): part.drop("symbol") for (name,), part in frame.group_by("symbol", maintain_order=True)}


def _by_field(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    stamp = next(name for name, dtype in frame.schema.items() if dtype.is_temporal())
    fields = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    return {name: frame.pivot("symbol", index=stamp, values=name) for name in fields}


def _levels(frame: pl.DataFrame) -> Any:  # noqa: ANN401 - a pandas frame
    stamp = next(name for name, dtype in frame.schema.items() if dtype.is_temporal())
    return frame.to_pandas().set_index([stamp, "symbol"]).unstack("symbol")


def _dictionaries(frame: pl.DataFrame) -> pa.Table:
    """Return an Arrow table of other types: dictionaries, half floats, more chunks."""
    table = frame.to_arrow()
    for index, name in enumerate(table.column_names):
        column = table[name]
        if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        elif name == "volume" and pa.types.is_float64(column.type):
            column = column.cast(pa.float16())
        table = table.set_column(index, name, column)
    return pa.concat_tables([table.slice(0, 1), table.slice(1)])


def _offsets(frame: pl.DataFrame) -> pa.Table:
    """Return an Arrow table with offsets for zones, which polars has not."""
    table = frame.to_arrow()
    for index, (name, dtype) in enumerate(zip(table.column_names, table.schema.types, strict=True)):
        if pa.types.is_timestamp(dtype) and dtype.tz:
            table = table.set_column(index, name, table[name].cast(pa.timestamp("ns", "+05:30")))
    return table


FORMS: Mapping[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "lazy": lambda frame: frame.lazy(),
    "pandas": lambda frame: frame.to_pandas(),
    "pandas, indexed": lambda frame: frame.to_pandas().set_index(frame.columns[:2]),
    "pandas of objects": lambda frame: frame.to_pandas().astype(object),
    "pandas of arrow": lambda frame: frame.to_pandas(use_pyarrow_extension_array=True),
    "arrow": lambda frame: frame.to_arrow(),
    "arrow of other types": _dictionaries,
    "arrow with offsets": _offsets,
    "by symbol": _by_symbol,
    "by field": _by_field,
    "pandas with two column levels": _levels,
    "wide": lambda frame: next(iter(_by_field(frame).values())),
}


def formed(frame: pl.DataFrame, form: str) -> Any:  # noqa: ANN401 - a frame of any library
    """Return a frame in a form; as it is where that form cannot hold it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return FORMS[form](frame)
        except (Exception, pl.exceptions.PanicException):
            return frame


@functools.cache
def _plain_options(kind: str, stamp: str) -> dict[str, Any]:
    options: dict[str, Any] = {"kind": kind, "stamp": stamp}
    return options | ({"interval": "1m"} if stamp in ("open", "close") else {})


@st.composite
def sources(draw: st.DrawFn, *, changes: int = 3) -> Source:
    """Return market data of a random kind in a random form, with up to so many things changed."""
    kind = draw(st.sampled_from(["bar", "bar", "quote", "trade"]))
    stamp = draw(st.sampled_from(STAMPS[kind]))
    frame = draw(frames(kind, stamp))
    options = dict(_plain_options(kind, stamp))
    number = draw(st.sampled_from([1, 1, 1, 2, 2, *range(changes + 1)]))
    for _ in range(number):
        change = draw(st.sampled_from([*CHANGES, "option", "option"]))
        if change == "option":
            name = draw(st.sampled_from(list(OPTIONS)))
            options[name] = draw(st.sampled_from(OPTIONS[name]))
        elif frame.width and (frame.height or change in ("add", "rename", "drop")):
            try:
                frame = CHANGES[change](draw, frame)
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
                # This frame cannot be changed in this way.
                continue
    form = draw(st.sampled_from(["polars", "polars", "pandas", "arrow", *FORMS]))
    return Source(formed(frame, form), options, frame, form, number > 0)
