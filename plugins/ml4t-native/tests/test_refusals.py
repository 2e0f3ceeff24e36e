"""Kernels that cannot be compiled are told in a sentence, and what a kernel reads it cannot write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import pytest

from ml4t.backtest import DataFeed, datasets, run
from ml4t.core.errors import ModelError
from ml4t.native import OK, native_model

numba = pytest.importorskip("numba")
Made: TypeAlias = Any
Kernel = Callable[..., Any]


def misspells_out(params: Made, state: Made, ctx: Made, out: Made) -> Made:
    out.fees = 1.0
    return OK


def misspells_ctx(params: Made, state: Made, ctx: Made, out: Made) -> Made:
    out.fee = ctx.quantty
    return OK


def misspells_params(params: Made, state: Made, ctx: Made, out: Made) -> Made:
    out.fee = params.rte
    return OK


def returns_nothing(params: Made, state: Made, ctx: Made, out: Made) -> Made:
    out.fee = 1.0


def returns_a_fraction(params: Made, state: Made, ctx: Made, out: Made) -> Made:
    out.fee = 1.0
    return 1.5


def writes_text(params: Made, state: Made, ctx: Made, out: Made) -> Made:
    out.fee = "much"
    return OK


CASES: list[tuple[Kernel, tuple[str, ...]]] = [
    (misspells_out, ("has a field 'fees'", "test_refusals.py, line ")),
    (misspells_ctx, ("has a field 'quantty'", "test_refusals.py, line ")),
    (misspells_params, ("has a field 'rte'", "test_refusals.py, line ")),
    (returns_nothing, ("it returns nothing; it ends with a status",)),
    (returns_a_fraction, ("returns float64; it ends with a status",)),
    (writes_text, ("Cannot cast", "test_refusals.py, line ", "A kernel calls numpy")),
]


@pytest.mark.parametrize(("kernel", "parts"), CASES, ids=[kernel.__name__ for kernel, _ in CASES])
def test_a_kernel_that_cannot_be_compiled_is_told_in_one_sentence(
    kernel: Kernel, parts: tuple[str, ...]
) -> None:
    space = {"__annotations__": {"rate": float}, "rate": 0.1, "kernel": staticmethod(kernel)}
    made = native_model(kind="fee")(attrs.frozen(type("K", (), space)))
    with pytest.raises(ModelError) as raised:
        made().__ml4t_model_v1__(4)
    text = str(raised.value)
    assert text.startswith(kernel.__name__)
    for part in parts:
        assert part in text
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


def writes_columns(  # noqa: PLR0913 - the arguments of a strategy kernel
    params: Made,
    state: Made,
    ctx: Made,
    changed: Made,
    columns: Made,
    positions: Made,
    open_orders: Made,
    fills: Made,
    orders: Made,
) -> Made:
    columns[0, 0] = 1.0
    return 0


def writes_positions(  # noqa: PLR0913 - the arguments of a strategy kernel
    params: Made,
    state: Made,
    ctx: Made,
    changed: Made,
    columns: Made,
    positions: Made,
    open_orders: Made,
    fills: Made,
    orders: Made,
) -> Made:
    positions[0] = 1.0
    return 0


def writes_changed(  # noqa: PLR0913 - the arguments of a strategy kernel
    params: Made,
    state: Made,
    ctx: Made,
    changed: Made,
    columns: Made,
    positions: Made,
    open_orders: Made,
    fills: Made,
    orders: Made,
) -> Made:
    changed[0] = 0
    return 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("params, state, ctx, open_orders, orders", "it returns nothing; it ends with"),
        ("params, state, ctx, out", "it takes (params, state, ctx, out), which are not the arguments"),
    ],
)
def test_an_algorithm_that_is_no_kernel_of_its_kind_is_told_so(arguments: str, says: str) -> None:
    names: dict[str, Any] = {}
    exec(f"def kernel({arguments}):\n    x = 1.0\n", names)
    space = {"__annotations__": {"rate": float}, "rate": 0.1, "kernel": staticmethod(names["kernel"])}
    made = native_model(kind="executor")(attrs.frozen(type("K", (), space)))
    with pytest.raises(ModelError) as raised:
        made().__ml4t_model_v1__(13)
    assert says in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("what", ["columns", "positions", "changed"])
def test_what_a_strategy_kernel_reads_it_cannot_write(what: str) -> None:
    kernel = {"columns": writes_columns, "positions": writes_positions, "changed": writes_changed}[what]
    space = {"__annotations__": {"size": float}, "size": 1.0, "kernel": staticmethod(kernel)}
    made = native_model(kind="strategy", columns=("close",))(attrs.frozen(type("Writes", (), space)))
    feed = DataFeed(datasets.us_equity_daily(), stamp="session", symbols=["IBM"])
    with pytest.raises(ModelError, match=r"cannot be compiled: .*readonly"):
        run(made, feed)
    with pytest.raises(ModelError, match="read-only"):
        run(made, feed, config={"backtest": {"native": "never"}})
