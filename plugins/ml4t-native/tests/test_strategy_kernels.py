"""Strategy kernels: order records, counts, and the arrays they see."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest

from ml4t.core.errors import ModelError
from ml4t.native import Action, Life, NativeState, OrderType, native_model, struct, unset
from ml4t.native.structs import Made

pytest.importorskip("numba")

N_CONTEXTS = 1_000
CAPACITY = 8


@native_model(
    kind="strategy",
    columns=("close", "score"),
    state={"calls": 1, "best": 2},
    errors={3: "no cash", 4: "told to"},
)
@attrs.frozen
class Momentum:
    """Holds what has the best score, with a stop; cancels what rests."""

    fraction: float = 0.5

    @staticmethod
    def kernel(  # noqa: PLR0913 - the arguments of every strategy kernel
        params: Made,
        state: Made,
        ctx: Made,
        changed: Made,
        columns: Made,
        positions: Made,
        open_orders: Made,
        fills: Made,
        orders: Made,
    ) -> int:
        if ctx.cash < 0.0:
            return -3
        state.calls[0] += 1.0
        n = 0
        for k in range(len(open_orders)):
            if open_orders[k].client_id > 0 and n < len(orders):
                orders[n].action = Action.CANCEL
                orders[n].asset = open_orders[k].asset
                orders[n].client_id = open_orders[k].client_id
                n += 1
        best, top = -1, -np.inf
        for k in range(len(changed)):
            asset = changed[k]
            if columns[1, asset] > top:
                best, top = int(asset), columns[1, asset]
        traded = 0.0
        for k in range(len(fills)):
            traded += fills[k].quantity * fills[k].price * fills[k].side
        if best >= 0 and n < len(orders):
            price = columns[0, best]
            orders[n].action = Action.TARGET if positions[best] > 0.0 else Action.NEW
            orders[n].asset = best
            orders[n].order_type = OrderType.STOP_LIMIT
            orders[n].life = Life.DAY
            orders[n].client_id = int(ctx.instant) + 1
            orders[n].quantity = params.fraction * (ctx.equity - traded) / price - positions[best]
            orders[n].limit_price = price * 1.01 + state.best[1]
            state.best[0] = top
            state.best[1] = state.best[0] / 7.0
            n += 1
        return n


@attrs.frozen
class Scene:
    """The arguments of one call."""

    ctx: Made
    changed: Made
    columns: Made
    positions: Made
    open_orders: Made
    fills: Made

    def arrays(self) -> tuple[Any, ...]:
        room = (struct("OrderRecord") * CAPACITY)(*[unset("OrderRecord") for _ in range(CAPACITY)])
        return self.changed, self.columns, self.positions, self.open_orders, self.fills, room


def draw(rng: np.random.Generator, instant: int) -> Scene:
    n_assets, n_open, n_fills = int(rng.integers(1, 6)), int(rng.integers(0, 4)), int(rng.integers(0, 3))
    changed = np.flatnonzero(rng.random(n_assets) < 0.7).astype(np.uint32)
    columns = rng.lognormal(3.0, 1.0, (2, n_assets))
    columns[1][rng.random(n_assets) < 0.2] = math.nan
    open_orders = (struct("OpenOrder") * n_open)()
    for k in range(n_open):
        open_orders[k].asset, open_orders[k].client_id = int(rng.integers(n_assets)), int(rng.integers(0, 3))
    fills = (struct("FillEvent") * n_fills)()
    for k in range(n_fills):
        fills[k].quantity, fills[k].price, fills[k].side = (
            rng.lognormal(),
            rng.lognormal(),
            rng.choice([-1, 1]),
        )
    ctx = unset("StrategyContext")
    ctx.n_assets, ctx.n_columns, ctx.n_changed = n_assets, 2, len(changed)
    ctx.n_open_orders, ctx.n_fills, ctx.instant = n_open, n_fills, instant
    ctx.cash, ctx.equity = rng.lognormal(10.0), rng.lognormal(10.0)
    return Scene(ctx, changed, columns, rng.normal(0.0, 50.0, n_assets), open_orders, fills)


def test_machine_code_and_python_write_the_same_records(
    rng: np.random.Generator, bits: Callable[[Any], Any]
) -> None:
    model = Momentum()
    copied, native = model.clone(), NativeState(model)
    counts = set()
    for instant in range(N_CONTEXTS):
        scene = draw(rng, instant)
        expected, found = scene.arrays(), scene.arrays()
        count = copied.evaluate(scene.ctx, *expected)
        assert native.evaluate(scene.ctx, *found) == count
        assert bits(found[-1]) == bits(expected[-1])
        counts.add(count)
    assert counts == {0, 1, 2, 3, 4}


def test_a_record_is_what_the_kernel_wrote() -> None:
    """Half of an equity of 1,000 at 40 is 12.5; the limit is 40.4."""
    ctx = unset("StrategyContext")
    ctx.n_assets, ctx.n_columns, ctx.n_changed, ctx.instant = 2, 2, 1, 6
    ctx.cash, ctx.equity = 1.0, 1000.0
    scene = Scene(
        ctx,
        np.array([1], dtype=np.uint32),
        np.array([[30.0, 40.0], [9.0, 1.0]]),
        np.zeros(2),
        (struct("OpenOrder") * 0)(),
        (struct("FillEvent") * 0)(),
    )
    arrays = scene.arrays()
    assert NativeState(Momentum()).evaluate(ctx, *arrays) == 1
    order = arrays[-1][0]
    assert (order.action, order.asset, order.order_type, order.life) == (1, 1, 4, 1)
    assert (order.client_id, order.quantity, order.limit_price) == (7, 12.5, 40.4)
    assert math.isnan(order.stop_price)


def test_the_table_names_the_columns() -> None:
    table = NativeState(Momentum())._table
    assert (table.n_columns, ctypes.cast(table.columns, ctypes.c_char_p).value) == (2, b"close,score")
    assert (table.kind, table.output_size) == (100, 0)


def test_an_error_of_a_strategy_is_negative_and_0_orders_are_none(rng: np.random.Generator) -> None:
    scene = draw(rng, 0)
    scene.ctx.cash = -1.0
    native = NativeState(Momentum())
    for each in (Momentum(), native):
        with pytest.raises(ModelError, match=r"^Momentum: no cash$"):
            each.evaluate(scene.ctx, *scene.arrays())
    count = ctypes.c_uint32(0)
    assert native.call(scene.ctx, *scene.arrays(), CAPACITY, count) == -3
    scene.ctx.cash, scene.ctx.n_changed, scene.ctx.n_open_orders = 1.0, 0, 0
    assert native.call(scene.ctx, *scene.arrays(), CAPACITY, count) == 1
    assert count.value == 0


def test_more_records_than_have_room_are_refused() -> None:
    @native_model(kind="strategy")
    @attrs.frozen
    class Eager:
        writes: bool

        @staticmethod
        def kernel(  # noqa: PLR0913 - the arguments of every strategy kernel
            params: Made,
            state: Made,
            ctx: Made,
            changed: Made,
            columns: Made,
            positions: Made,
            open_orders: Made,
            fills: Made,
            orders: Made,
        ) -> int:
            if params.writes:
                orders[len(orders)].quantity = 1.0
            return len(orders) + 1

    scene = draw(np.random.default_rng(0), 0)
    with pytest.raises(ModelError, match="Eager: the kernel answered 9 order records, and 8 have room"):
        Eager(writes=False).evaluate(scene.ctx, *scene.arrays())
    with pytest.raises(ModelError, match="Eager: the kernel answered more records than have room"):
        NativeState(Eager(writes=False)).evaluate(scene.ctx, *scene.arrays())
    native = NativeState(Eager(writes=True))
    with pytest.raises(ModelError, match="Eager: the kernel raised an exception"):
        native.evaluate(scene.ctx, *scene.arrays())
    assert native.call(scene.ctx, *scene.arrays(), CAPACITY, ctypes.c_uint32(0)) == 0


def test_arguments_that_do_not_fit_are_refused(rng: np.random.Generator) -> None:
    native, scene = NativeState(Momentum()), draw(rng, 0)
    with pytest.raises(ModelError, match="eval of a strategy model takes 9 arguments, found 1"):
        native.call(scene.ctx)
    turned = np.zeros((2, 6))[:, ::2]
    with pytest.raises(ModelError, match="an array for a native model must be contiguous"):
        native.evaluate(scene.ctx, scene.changed, turned, *scene.arrays()[2:])
