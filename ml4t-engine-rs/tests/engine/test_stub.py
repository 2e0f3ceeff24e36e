"""The type stub of the extension says what the extension has: names, signatures, types."""

from __future__ import annotations

import ast
import datetime as dt
import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Strategy, Timestamp
from ml4t.backtest.executors import ChildOrder, ExecutorArgs
from ml4t.core.models import MarginArgs, MarginOut
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.engine import _engine
from ml4t.engine.compile import describe

STUB = Path(_engine.__file__).with_name("_engine.pyi")
TREE = ast.parse(STUB.read_text(encoding="utf-8"))
CLASSES = {node.name: node for node in TREE.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in TREE.body if isinstance(node, ast.FunctionDef)}

# Special methods that Python makes of others, or of a class being one, and that a stub need not repeat.
IMPLIED = {"__doc__", "__module__", "__ne__", "__str__", "__repr__", "__getattribute__", "__dict__"}
# Appears on a class when something first asks for it.
IMPLIED |= {"__annotations__"}
ORDERINGS = {"__lt__", "__le__", "__gt__", "__ge__"}
# What the datetime behind a Timestamp answers, through `__getattr__`.
OF_THE_DATETIME = {name for name in dir(dt.datetime) if not name.startswith("_")}


def members_of(node: ast.ClassDef) -> dict[str, list[ast.FunctionDef]]:
    found: dict[str, list[ast.FunctionDef]] = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            found.setdefault(item.name, []).append(item)
    return found


def decorators(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    return {item.id for item in node.decorator_list if isinstance(item, ast.Name)}


def own_names(cls: type) -> set[str]:
    names = set(vars(cls)) - IMPLIED
    # Equality comes with all six comparisons in C.
    return names - ORDERINGS if cls is not Timestamp else names


def signature_of(node: ast.FunctionDef) -> list[tuple[str, str, object]]:
    """Name, kind and default of every parameter but `self`, as `inspect` tells them."""
    arguments = node.args
    kind = inspect.Parameter
    positional = [(a, kind.POSITIONAL_ONLY) for a in arguments.posonlyargs]
    positional += [(a, kind.POSITIONAL_OR_KEYWORD) for a in arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    rows = [
        (argument.arg, how.name, inspect.Parameter.empty if default is None else ast.literal_eval(default))
        for (argument, how), default in zip(positional, [*defaults, *arguments.defaults], strict=True)
    ]
    rows += [
        (a.arg, "KEYWORD_ONLY", inspect.Parameter.empty if d is None else ast.literal_eval(d))
        for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg is not None:
        rows.append((arguments.kwarg.arg, "VAR_KEYWORD", inspect.Parameter.empty))
    return [row for row in rows if row[0] not in ("self", "cls")]


def real_signature(function: Callable[..., object]) -> list[tuple[str, str, object]]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind.name, p.default) for p in parameters if p.name != "self"]


def pairs() -> Iterator[Any]:
    for name, node in CLASSES.items():
        for method, nodes in members_of(node).items():
            yield pytest.param(name, method, nodes, id=f"{name}.{method}")


# -- names -----------------------------------------------------------------------------------------------


def test_the_stub_has_every_public_name_of_the_extension_and_no_other() -> None:
    real = {name for name in vars(_engine) if not name.startswith("_")}
    assert CLASSES.keys() | FUNCTIONS.keys() == real
    assert isinstance(_engine.__version__, str)


@pytest.mark.parametrize("name", CLASSES)
def test_the_stub_has_every_member_of_a_class_and_no_other(name: str) -> None:
    cls = getattr(_engine, name)
    stub = set(members_of(CLASSES[name])) - IMPLIED
    if name == "Timestamp":
        stub -= OF_THE_DATETIME
    real = own_names(cls)
    if "__getattr__" in stub:
        # In C the hook is part of `__getattribute__`; a class with a `__dict__` needs none.
        assert "__getattribute__" in vars(cls) or "__dict__" in vars(cls)
        stub -= {"__getattr__", "__setattr__"}
    assert stub == real


@pytest.mark.parametrize("name", CLASSES)
def test_bases_and_finality_are_as_stated(name: str) -> None:
    cls, node = getattr(_engine, name), CLASSES[name]
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    assert [base.__name__ for base in cls.__bases__ if base is not object] == bases
    is_final = not cls.__flags__ & (1 << 10)  # Py_TPFLAGS_BASETYPE
    assert ("final" in decorators(node)) is is_final


@pytest.mark.parametrize("name", CLASSES)
def test_what_can_be_constructed_is_what_the_stub_says(name: str) -> None:
    cls = getattr(_engine, name)
    nodes = members_of(CLASSES[name]).get("__new__")
    if nodes is None:
        with pytest.raises(TypeError, match="cannot create"):
            cls()
    else:
        assert signature_of(nodes[0]) == real_signature(cls)


# -- signatures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method", "nodes"), list(pairs()))
def test_a_method_has_the_signature_of_the_stub(name: str, method: str, nodes: list[ast.FunctionDef]) -> None:
    cls = getattr(_engine, name)
    if name == "Timestamp" and method in OF_THE_DATETIME:
        member = inspect.getattr_static(dt.datetime, method)
        is_property = not callable(member) or "property" in decorators(nodes[0])
        assert is_property == ("property" in decorators(nodes[0]))
        assert hasattr(Timestamp(0), method)
        return
    member = inspect.getattr_static(cls, method, None)
    if "property" in decorators(nodes[0]):
        assert isinstance(member, types.GetSetDescriptorType | types.MemberDescriptorType)
        return
    if method.startswith("__") or member is None:
        # Slots have no signatures of their own.
        return
    real = real_signature(member)
    for node in nodes:
        stated = signature_of(node)
        # An overload may narrow a parameter to having no default.
        assert [row[:2] for row in stated] == [row[:2] for row in real]
        for (_, _, own), (_, _, default) in zip(stated, real, strict=True):
            assert own == default or (len(nodes) > 1 and own is inspect.Parameter.empty)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_signature_of_the_stub(name: str) -> None:
    assert signature_of(FUNCTIONS[name]) == real_signature(getattr(_engine, name))


@pytest.mark.parametrize("name", CLASSES)
def test_no_signature_hides_a_default(name: str) -> None:
    # `help(EMA)` must show 20, not three dots.
    cls = getattr(_engine, name)
    assert "..." not in (cls.__text_signature__ or "")
    for member in vars(cls).values():
        assert "..." not in (getattr(member, "__text_signature__", None) or "")


# -- documentation ---------------------------------------------------------------------------------------


def public(node: ast.ClassDef) -> Iterator[tuple[str, list[ast.FunctionDef]]]:
    for name, nodes in members_of(node).items():
        is_of_the_datetime = node.name == "Timestamp" and name in OF_THE_DATETIME
        if not name.startswith("__") and not is_of_the_datetime:
            yield name, nodes


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_member_is_documented_in_the_stub_and_in_the_extension(name: str) -> None:
    node, cls = CLASSES[name], getattr(_engine, name)
    assert ast.get_docstring(node)
    assert inspect.getdoc(cls)
    for member, nodes in public(node):
        assert any(ast.get_docstring(each) for each in nodes), f"{name}.{member} in the stub"
        assert getattr(inspect.getattr_static(cls, member), "__doc__", None), f"{name}.{member}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_documented(name: str) -> None:
    assert ast.get_docstring(FUNCTIONS[name])
    assert inspect.getdoc(getattr(_engine, name))


# -- types -----------------------------------------------------------------------------------------------


@attrs.frozen
class AtOnce:
    """An execution algorithm that sends all at once."""

    def evaluate(self, ctx: ExecutorArgs, /) -> tuple[ChildOrder, ...]:
        return (ChildOrder(quantity=ctx.to_send),) if ctx.to_send > 0 else ()


@attrs.frozen
class Demanding:
    """A margin model that lets everything be opened and nothing be held."""

    def evaluate(self, ctx: MarginArgs, /) -> MarginOut:
        each = tuple(1e9 for _ in ctx.holdings)
        return MarginOut(0.0, sum(each), each)


# Fields that a quote or a print has, and the bars of `objects` have not.
NOT_OF_BARS = {
    ("MarketEvent", member) for member in ("price", "size", "bid_price", "ask_price", "bid_size", "ask_size")
}


@pytest.fixture(scope="module")
def objects(  # noqa: C901 - one strategy that touches every class
    engine: Callable[..., Engine], daily: Callable[..., DataFeed]
) -> dict[str, Any]:
    """One instance of every class, from a run that fills, rejects, slips and predicts."""
    found: dict[str, Any] = {}
    checked: list[tuple[str, str, object]] = []

    def keep(value: object) -> None:
        name = type(value).__name__
        found[name] = value
        # Views and rows must be looked at within their instant.
        members = [member for member in properties(name) if (name, member) not in NOT_OF_BARS]
        checked.extend((name, member, getattr(value, member)) for member in members)

    class Collects(Strategy):
        def on_start(self) -> None:
            for kind in ("bar", "signal", "fill", "order"):
                self.subscribe(event_type=kind)
            self.subscribe(event_type="bar", window="1d")
            keep(self.track(_engine.SMA(2)))

        def on_batch(self, batch: object) -> None:
            keep(batch)

        def on_event(self, event: object) -> None:
            keep(event)
            if type(event).__name__ == "MarketEvent":
                keep(event.bar)  # type: ignore[attr-defined]

        def on_margin_call(self, event: object) -> None:
            keep(event)

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            broker.buy("A", 1, limit_price=10, stop_price=10)
            broker.buy("A", 1)
            for value in (timestamp, data, data["A"], data["A"]["signals"], context, broker):
                keep(value)
            keep(broker.open_orders[0])
            keep(broker.execute("A", 1, AtOnce()))
            if broker.positions:
                keep(broker.positions["A"])

    signals = pl.DataFrame(
        {"ts_event": [dt.datetime(2024, 1, 2, tzinfo=dt.UTC)], "asset_id": ["A"], "score": [0.5]}
    )
    made = engine(Collects, daily({"A": [10, 10, 10]}), signals=signals, models={"margin": Demanding()})
    made.run()
    run = _engine.Run(describe(made.config, made.data, made._models, warm_from=0))
    keep(run)
    run.execute({})
    keep(run.tables()["orders"])
    for cls in (_engine.ATR, _engine.Bollinger, _engine.EMA, _engine.MACD):
        keep(cls())
    for cls in (_engine.RSI, _engine.RollingStd, _engine.SMA):
        keep(cls())
    found["checked"] = checked
    return found


def properties(name: str) -> list[str]:
    found = [m for m, nodes in members_of(CLASSES[name]).items() if "property" in decorators(nodes[0])]
    return [member for member in found if member != "__dict__"]


NAMES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "None": type(None),
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "Side": Side,
    "OrderType": OrderType,
    "TimeInForce": TimeInForce,
    "OrderStatus": OrderStatus,
    "dt.datetime": dt.datetime,
    "dt.timedelta": dt.timedelta,
    "dt.tzinfo": dt.tzinfo,
    "_Floats": np.ndarray,
}


def fits(value: object, annotation: ast.expr) -> bool:
    """Whether a value has the type that an annotation of the stub names."""
    if isinstance(annotation, ast.BinOp):
        return fits(value, annotation.left) or fits(value, annotation.right)
    if isinstance(annotation, ast.Subscript):
        text = ast.unparse(annotation.value)
        if text == "Callable":
            return callable(value)
        if text == "npt.NDArray":
            kind = ast.unparse(annotation.slice).removeprefix("np.")
            return isinstance(value, np.ndarray) and value.dtype == np.dtype(kind)
        inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        if text == "tuple":
            assert isinstance(value, tuple)
            inner = [inner[0]] * len(value) if ast.unparse(inner[-1]) == "..." else inner
            return len(inner) == len(value) and all(map(fits, value, inner))
        if text == "dict":
            return isinstance(value, dict) and all(
                fits(key, inner[0]) and fits(item, inner[1]) for key, item in value.items()
            )
        assert text == "list", text
        return isinstance(value, list) and all(fits(item, inner[0]) for item in value)
    text = ast.unparse(annotation)
    # int is no float here: what is declared a float must be one.
    return (
        type(value) is NAMES[text]
        if text in ("int", "float", "bool")
        else isinstance(value, NAMES.get(text) or getattr(_engine, text))
    )


def test_every_property_has_the_type_of_the_stub(objects: dict[str, Any]) -> None:
    seen = set()
    for name, member, value in objects["checked"]:
        (node,) = members_of(CLASSES[name])[member]
        assert node.returns is not None
        assert fits(value, node.returns), f"{name}.{member} = {value!r}, not {ast.unparse(node.returns)}"
        seen.add(name)
    # The base class of events has no instances of its own.
    assert seen | {"Event", "Table"} >= {name for name in CLASSES if properties(name)}
    assert objects.keys() - {"checked"} == CLASSES.keys() - {"Event"}


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"Event"}))
def test_attributes_cannot_be_set(objects: dict[str, Any], name: str) -> None:
    value = objects[name]
    for member in properties(name):
        with pytest.raises(AttributeError):
            setattr(value, member, 1)
    if name != "Context":
        with pytest.raises(AttributeError):
            value.something_new = 1


@attrs.frozen
class Unrelated:
    """Something that no comparison knows."""


def test_comparisons_that_the_stub_does_not_have_are_type_errors(objects: dict[str, Any]) -> None:
    handle = objects["OrderHandle"]
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(handle, compare)(handle) is NotImplemented
    assert (handle == Unrelated()) is False
