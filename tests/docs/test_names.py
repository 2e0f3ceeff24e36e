"""Names of classes, hooks, models, markers and sessions in the documentation are those of the code."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest

from ml4t.backtest.data.feed import FeedOptions
from ml4t.core.config import FILE_FEEDS, MODEL_KEYS, FeedSection, RunConfig
from ml4t.core.hookspecs import KINDS, REGISTRY, SPEC_CLASSES
from ml4t.core.plugins import load_plugins
from ml4t.core.schemas import INPUTS, TABLES, table_schema
from ml4t.core.structuring import key_of, readable_fields

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "ml4t-core/src", ROOT / "ml4t-engine-rs/python", *sorted(ROOT.glob("plugins/*/src"))]
HOOKS = {name for specs in SPEC_CLASSES for name in vars(specs) if name.startswith("ml4t_")}
TICKED = re.compile(r"`([^`]+)`")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The text under a heading, to the next one of its level or above."""
    start = text.index(f"\n{heading}\n") + 1
    level = len(heading.partition(" ")[0])
    end = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(text, start + len(heading))
    return text[start : end.start() if end else None]


def rows(text: str) -> list[list[str]]:
    """The rows of the tables of a text, without their headings."""
    lines = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    starts = [k for k, row in enumerate(cells) if all(re.fullmatch(r"-+", cell) for cell in row)]
    return [row for k, row in enumerate(cells) if k not in starts and k + 1 not in starts]


def source_files() -> Iterator[Path]:
    for source in SOURCES:
        yield from sorted((source / "ml4t").rglob("*.py"))


# -- the glossary ------------------------------------------------------------------------------------------


@cache
def exported() -> dict[str, list[Any]]:
    """What every public name of every public module stands for; a name may be one of several modules."""
    found: dict[str, list[Any]] = {}
    for source in SOURCES:
        for path in sorted((source / "ml4t").rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            if any(part.startswith("_") and part != "__init__" for part in parts):
                continue
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            module = importlib.import_module(name)
            for key, value in vars(module).items():
                if not key.startswith("_"):
                    found.setdefault(key, []).append(value)
    return found


@cache
def words() -> frozenset[str]:
    """Lower-case names that a page may use: of tables and their columns, attributes of classes, keys."""
    columns = {field.name for name in (*TABLES, *INPUTS) for field in table_schema(name)}
    classes = {value for values in exported().values() for value in values if isinstance(value, type)}
    members = {name for cls in classes for name in (*dir(cls), *getattr(cls, "__annotations__", ()))}
    return frozenset(columns | members | set(TABLES) | set(exported()))


def exists(token: str) -> bool:
    """Whether a name between backticks is there; what is no name of ours passes."""
    if token.startswith("ml4t_"):
        return token in HOOKS
    if re.fullmatch(r"ml4t-[\w-]+", token):
        return any(metadata.distributions(name=token))
    if named := re.fullmatch(r'type = "(\w+)"', token):
        return named[1] in types_of_configuration()
    if not re.fullmatch(r"[A-Za-z_][\w.]*", token) or token.endswith(".parquet"):
        return True
    if token.startswith("ml4t."):
        return in_module(token)
    head, *rest = token.split(".")
    if head == "self":
        return all(name in words() for name in rest)
    if not rest and head[0].islower():
        return head in words()
    return any(has_all(value, rest) for value in exported().get(head, ())) or in_rust(token)


def in_module(path: str) -> bool:
    parts = path.split(".")
    for k in range(len(parts), 1, -1):
        try:
            module = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        return has_all(module, parts[k:])
    return False


def has_all(value: Any, names: list[str]) -> bool:  # noqa: ANN401
    """Whether attributes lead from one to the next; a field of an attrs class has no value to go on from."""
    for name in names:
        if attrs.has(value) and name in {field.name for field in attrs.fields(value)}:
            return True
        if not hasattr(value, name):
            return False
        value = getattr(value, name)
    return True


def in_rust(name: str) -> bool:
    sources = (ROOT / "ml4t-engine-rs/crates/sim/src").rglob("*.rs")
    return any(f"pub struct {name} " in path.read_text(encoding="utf-8") for path in sources)


@cache
def types_of_configuration() -> frozenset[str]:
    sections = [attrs.fields(FeedSection), *(attrs.fields(cls) for cls in member_classes(RunConfig))]
    literals = {value for fields in sections for field in fields for value in literal_values(field.type)}
    return frozenset({*literals, *FILE_FEEDS} | {offer.spec.name for offer in load_plugins().registry()})


def member_classes(cls: type) -> list[type]:
    hints = attrs.resolve_types(cls)
    inner = [each for field in attrs.fields(hints) for each in (field.type, *get_args(field.type))]
    return [attrs.resolve_types(each) for each in inner if isinstance(each, type) and attrs.has(each)]


def literal_values(hint: object) -> tuple[str, ...]:
    return tuple(value for value in get_args(hint) if isinstance(value, str))


def glossary(heading: str) -> list[list[str]]:
    return rows(section(page("glossary.md"), heading))


def names_in(text: str, *, absent: bool) -> list[str]:
    """Names in the sentences of a cell that call something absent, or in the others."""
    sentences = re.split(r"(?<=[.;]) ", text)
    return [name for each in sentences if ("not yet" in each) is absent for name in TICKED.findall(each)]


def test_every_name_that_the_glossary_gives_is_there() -> None:
    cells = [row[0] for row in glossary("## The words we use")]
    cells += [row[1] for row in glossary("## Names of the design documents")]
    names = [name for cell in cells for name in names_in(cell, absent=False)]
    assert len(names) > 50
    assert [name for name in names if not exists(name)] == []


def test_what_the_glossary_calls_absent_is_absent() -> None:
    table = glossary("## Names of the design documents")
    names = [name for row in table if row[1].startswith("not yet") for name in TICKED.findall(row[0])]
    names += [name for row in table for name in names_in(row[1], absent=True)]
    assert len(names) > 10
    assert [name for name in names if name in words() | types_of_configuration()] == []
    assert not {name.removesuffix(".parquet") for name in names} & set(TABLES)


@pytest.mark.parametrize(
    "token",
    [
        "ml4t.slippage.VolumeShareSlippage",
        "ml4t_register_nothing",
        "NoClassOfOurs",
        "Strategy.nowhere",
        "self.nowhere",
        'type = "Nothing"',
        "ml4t-nothing",
        "no_word_of_ours",
    ],
)
def test_a_name_that_is_not_there_would_be_noticed(token: str) -> None:
    assert not exists(token)


# -- plugins -----------------------------------------------------------------------------------------------


def calls(names: set[str]) -> Iterator[str]:
    """First arguments, where they are text, of calls of methods with these names."""
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr=name), args=[ast.Constant(value=str(text)), *_]):
                    if name in names:
                        yield text


def hooks_under(heading: str) -> set[str]:
    return {TICKED.findall(row[0])[0] for row in rows(section(page("reference/plugins.md"), heading))}


def test_the_page_about_plugins_tells_which_hooks_are_asked() -> None:
    # A hook is asked by name, or by attribute of the manager's `hook`.
    direct = {name for name in calls({"_ask", "ask_each", "subset_hook_caller"}) if name in HOOKS}
    text = "\n".join(path.read_text(encoding="utf-8") for path in source_files())
    direct |= set(re.findall(r"\bhook\.(ml4t_\w+)\(", text))
    offered = {name for name in HOOKS if name.startswith("ml4t_register_")} - direct
    area = {f"ml4t_register_{kind}" + ("" if kind == "compat" else "s"): kind for kind in REGISTRY}
    assert offered == set(area)
    # Kinds that somebody resolves by name, or picks out of the registry.
    used = {kind for kind in calls({"find", "resolve"}) if kind in KINDS}
    used |= set(re.findall(r'\.kind == "(\w+)"', text))
    used |= {"model"} if MODEL_KEYS else set()
    used |= {kind.lower() for kind in re.findall(r"build_model\(ModelKind\.(\w+)", text)}
    taken_up = {name for name in offered if area[name] in used}
    assert hooks_under("## Hooks that are asked") == direct | taken_up
    assert hooks_under("## Hooks that are listed and not used yet") == offered - taken_up
    assert hooks_under("## Hooks that are not asked yet") == HOOKS - direct - offered


def test_the_page_about_models_lists_every_model_with_its_parameters_and_defaults() -> None:
    text = page("reference/models.md")
    documented = dict.fromkeys(re.findall(r"^### `(\w+)`$", text, re.MULTILINE))
    ours = [
        each for each in load_plugins().registry() if each.plugin in ("fills", "slippage", "impact", "fees")
    ]
    classes = {offer.spec.load().__name__: offer.spec.load() for offer in ours}
    assert set(documented) == set(classes)
    for name, cls in classes.items():
        part = section(text, f"### `{name}`")
        others = {offer.spec.name for offer in ours if offer.spec.load() is cls} - {name}
        assert all(f"`{other}`" in part for other in others), name
        # Other tables of a model have more columns.
        written = {row[0].strip("`"): row[1] for row in rows(part) if len(row) == 3}
        assert written == {field.name: shown(field.default) for field in attrs.fields(cls)}, name


def shown(default: object) -> str:
    if default is attrs.NOTHING:
        return "required"
    return "none" if default is None else f"`{str(default).lower()}`"


# -- configuration and tests -------------------------------------------------------------------------------


def test_the_page_about_configuration_names_the_options_of_a_feed_that_are_no_keys() -> None:
    text = section(page("reference/config.md"), "## `[[data_feeds]]`")
    sentence = text[text.index("Of what `DataFeed` takes") :]
    options = set(FeedOptions.__annotations__) - {key_of(field) for field in readable_fields(FeedSection)}
    named = {token for token in TICKED.findall(sentence) if re.fullmatch(r"[a-z_]+", token)}
    assert named == options


def test_tables_that_the_page_about_configuration_calls_absent_are_absent() -> None:
    named = set(TICKED.findall(section(page("reference/config.md"), "## Not yet")))
    assert named
    assert not named & set(TABLES)


def test_the_page_about_testing_names_every_marker_and_every_session() -> None:
    text = page("contributing/testing.md")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
    left_out = re.search(r"A bare `pytest` leaves out what is marked\n([^.]+)\.", text)
    assert left_out is not None
    markers = {marker.partition(":")[0] for marker in settings["markers"]}
    assert set(TICKED.findall(left_out[1])) == markers
    assert set(re.findall(r"\b[a-z]+\b", settings["addopts"][-1])) - {"not", "or"} == markers
    source = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = set(re.findall(r"@nox\.session\(.*\)\ndef (\w+)", source))
    listed = {name for row in rows(text) for token in TICKED.findall(row[0]) for name in token.split()}
    assert sessions - {"tests"} <= listed
    folders = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()}
    assert [name for name in folders if f"tests/{name}/" not in text] == []
