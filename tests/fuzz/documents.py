"""Configuration documents: valid ones to start from, what is put into them, and their text in files."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

from ml4t.core.config import RunConfig, load_config
from ml4t.engine.configuration import to_mapping

ROOT = Path(__file__).parents[2]
Document = dict[Any, Any]

FEED = {"name": "d", "type": "ParquetFeed", "path": "d.parquet", "stamp": "close", "interval": "1m"}
FULL: Document = {
    "backtest": {
        "name": "x",
        "start_date": "2005-01-01",
        "end_date": "2012-12-31T16:00:00-05:00",
        "seed": 7,
        "nav_calendar": "XNYS",
        "output": "out/{name}",
        "required_plugins": ["ml4t-fees>=0.1"],
    },
    "broker": {
        "initial_cash": "0.1",
        "leverage": 2,
        "latency": {
            "submit": "1h30m",
            "modify": {"distribution": "uniform", "low": "1ms", "high": "2ms"},
            "venues": {
                "V": {"cancel": {"quantiles": ["1ns", "2s"]}},
                "W": {"submit": {"distribution": "lognormal", "median": "5ms", "sigma": 0.5}},
            },
        },
        "fee_model": {"type": "PerShare", "fee": 0.005},
        "policies": {"limit_touch": "through"},
    },
    "instruments": [
        {"symbol": "A", "tick_size": "0.25", "venue": "V", "matching_source": "d"},
        {"symbol": "B", "fractional": True},
    ],
    "data_feeds": [
        FEED | {"symbols": ["A"], "fields": ["alpha"], "columns": {"close": "px"}, "timezone": "UTC"},
        FEED | {"name": "e", "instrument_defaults": {"fractional": True, "multiplier": 50}, "kind": "bar"},
    ],
    "signal_sources": [{"name": "s", "type": "CsvSignalSource", "path": "s.csv", "stamp": "event"}],
    "corporate_actions": [{"name": "a", "path": "../a.parquet", "columns": {}}],
    "strategies": [
        {"name": "t", "type": "pkg.mod:Class", "params": {"n": 3, "deep": {"list": [1, {"x": None}]}}}
    ],
    "report": {"path": "report.html", "benchmark": "A", "risk_free": 0.01},
}


def _published() -> list[Document]:
    """Return the examples and the TOML and YAML blocks of the pages about configuration."""
    found = [
        tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "examples").glob("*.toml"))
    ]
    for page in ("how-to/config-file.md", "reference/config.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        found += [
            tomllib.loads(block)
            for block in re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        ]
        found += [
            YAML(typ="safe", pure=True).load(block)
            for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        ]
    return found


VALID: tuple[Document, ...] = (
    {},
    FULL,
    to_mapping(RunConfig()),
    to_mapping(load_config(FULL)),
    *_published(),
)
KEYS = sorted({key for text in re.findall(r"'([a-z_]+)':", str(VALID)) for key in [text]})


def nested(depth: int, *, is_list: bool) -> Any:  # noqa: ANN401 - a list or a table
    """Return a value so many levels deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if is_list else {"a": value}
    return value


def endless() -> Document:
    """Return a table that holds itself."""
    table: Document = {}
    table["a"] = table
    return table


def bomb() -> list[Any]:
    """Return a list of a few objects that is 4 to the 30th written out."""
    value: list[Any] = [1]
    for _ in range(30):
        value = [value] * 4
    return value


AWKWARD_TEXT = [
    "",
    " ",
    "{name}",
    "..",
    ".",
    "a/b",
    "/etc/x",
    "\0",
    "nan",
    "1e999999999",
    "1e-999999999",
    "-0",
]
AWKWARD_TEXT += [
    "9" * 5_000,
    "0." + "1" * 60,
    "9" * 40 + "w",
    "0.0000000001ns",
    "1/0",
    "1/3",
    "1e9/7",
    "2020-13-45",
]
AWKWARD_TEXT += [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2005-01-01T23:00:00-05:00",
    "x" * 10_000,
]
AWKWARD_TEXT += [
    "next_open",
    "NEXT_OPEN",
    "٣",
    "ﬁ",
    "a\u0301",
    "\u202e",
    "s3://b/x",
    "a:b",
    "a.py:B",
    "pkg:C",
    "null",
]
AWKWARD_NUMBERS = [
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**64),
    10**17,
    10**17 + 1,
    10**400,
    -0.0,
    0.1,
    1e300,
    5e-324,
]
AWKWARD_NUMBERS += [math.nan, math.inf, -math.inf, True, False]
MOMENTS = st.dates() | st.datetimes(timezones=st.none() | st.timezones() | st.just(dt.UTC)) | st.times()

PLAIN = (
    st.sampled_from([*AWKWARD_TEXT, *AWKWARD_NUMBERS])
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | MOMENTS
)
# What no file can hold but a mapping of Python can.
FOREIGN = PLAIN | st.sampled_from(
    [
        None,
        b"x",
        {1},
        (1, 2),
        Decimal("NaN"),
        Decimal("1E+999999"),
        Decimal(1) / 3,
        Fraction(1, 3),
        dt.timedelta(1),
        object,
        print,
        1j,
        Path("x"),
        10**5_000,
        "\ud800",
        dt.datetime.max.replace(tzinfo=dt.UTC),
        dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=14))),
    ]
)
# Built where they are used: to show one is as endless as to read it.
ENDLESS: Mapping[str, Callable[[], Any]] = {
    "deep table": lambda: nested(20_000, is_list=False),
    "deep list": lambda: nested(500, is_list=True),
    "table in itself": endless,
    "repeated lists": bomb,
}


def values(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return leaves, and lists and tables of them."""
    keys = st.sampled_from(KEYS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    return (
        leaf
        | st.lists(leaf, max_size=3)
        | st.dictionaries(keys, leaf | st.lists(leaf, max_size=2), max_size=3)
    )


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any value
    """Return the paths of all values of a document."""
    if isinstance(document, dict):
        children = list(document.items())
    else:
        children = list(enumerate(document)) if isinstance(document, list) else []
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def copied(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return a copy of the tables and lists of a value."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


@st.composite
def holes(draw: st.DrawFn) -> tuple[int, tuple[Any, ...]]:
    """Return the number of a valid document and a place in it."""
    number = draw(st.integers(1, len(VALID) - 1))
    return number, draw(st.sampled_from(places(VALID[number])[1:]))


def filled(hole: tuple[int, tuple[Any, ...]], value: object) -> Document:
    """Return a valid document with a value in one place."""
    number, path = hole
    document: Document = copied(VALID[number])
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def _change(draw: st.DrawFn, document: Document, leaf: st.SearchStrategy[Any]) -> None:
    """Change one thing of a document."""
    path = draw(st.sampled_from(places(document)))
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    kind = draw(st.sampled_from(["put", "add", "drop", "rename", "repeat", "move"]))
    target = place[path[-1]] if path else document
    if kind == "add" and isinstance(target, dict):
        target[
            draw(st.sampled_from(KEYS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4))
        ] = draw(values(leaf))
    elif kind == "repeat" and isinstance(target, list):
        target.extend(copied(target))
    elif path and kind == "drop":
        del place[path[-1]]
    elif path and kind == "rename" and isinstance(place, dict):
        place[draw(st.sampled_from(KEYS) | st.just(str(path[-1]).upper()))] = place.pop(path[-1])
    elif path and kind == "move":
        document[draw(st.sampled_from(KEYS))] = copied(target)
    elif path:
        place[path[-1]] = draw(values(leaf))


@st.composite
def documents(draw: st.DrawFn, leaf: st.SearchStrategy[Any] = PLAIN) -> Document:
    """Return a valid document with up to four changes."""
    document: Document = copied(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3, 4]))):
        _change(draw, document, leaf)
    return document


# --------------------------------------------------------------------------- text


def toml_text(document: Document) -> str:
    """Write a document as TOML with inline tables; what TOML has no text for becomes one."""
    return "".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in document.items())


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    # JSON leaves DEL as it is, which TOML does not allow.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def yaml_text(document: Document) -> str:
    """Write a document as YAML; a time of day, which YAML has no type for, becomes text."""
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(_yaml(document), stream)
    return stream.getvalue()


def _yaml(value: object) -> object:
    if isinstance(value, dict):
        return {key: _yaml(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_yaml(item) for item in value]
    return value.isoformat() if isinstance(value, dt.time) else value
