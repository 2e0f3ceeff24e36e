"""Execution algorithms as kernels: the question as structs, and order records as the answer.

The classes of question and answer are those of `ml4t.backtest.executors`. They are looked up when an
algorithm is asked with one, which only happens where the engine is installed.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import math
from collections.abc import Callable, Iterable
from typing import Any

from ml4t.core.errors import ModelError
from ml4t.native import layouts
from ml4t.native.constants import Action, Missing
from ml4t.native.records import LIVES, ORDER_TYPES
from ml4t.native.structs import Made, struct, unset

__all__ = ["MOST_RECORDS", "work"]

MOST_RECORDS = 64  #: orders, cancels and changes that an algorithm may ask for in one answer

#: Asks with context, open orders and room for records; how many were written, None to give up.
Ask = Callable[..., int | None]

_FIELDS = layouts.STRUCTS["ExecutorContext"][1]
_NUMBERS = [name for name, code, _, n in _FIELDS if code == "f8" and n == 1]
_MISSING = {
    "bid": Missing.QUOTE,
    "total_volume": Missing.VOLUME,
    "average_volume": Missing.AVERAGE_VOLUME,
    "volatility": Missing.VOLATILITY,
}
_TYPE_NUMBERS = {kind.value: number for number, kind in ORDER_TYPES.items()}


def work(given: Made, arrays: tuple[Any, ...], ask: Ask, *, n_random: int, who: str) -> Made:
    """Ask an execution algorithm.

    Parameters
    ----------
    given : object
        An `ExecutorArgs`, or an `ExecutorContext` with two arrays: its open orders and room for records.
    arrays : tuple
        Those two, empty beside an `ExecutorArgs`.
    ask : callable
        Asks the algorithm.
    n_random : int
        Draws that it wants.
    who : str
        The algorithm, for messages.

    Returns
    -------
    tuple, int or None
        Of an `ExecutorArgs` what is to be done, of a context how many records were written; None to give up.

    Raises
    ------
    ModelError
        If it is asked with something else, or a record asks for nothing that an algorithm may do.
    """
    if isinstance(given, struct("ExecutorContext")) and len(arrays) == 2:
        return ask(given, *arrays)
    classes = _classes(who)
    if not isinstance(given, classes.ExecutorArgs) or arrays:
        found = ", ".join(type(each).__name__ for each in (given, *arrays))
        wanted = "ExecutorArgs, or with ExecutorContext, its open orders and room for records"
        msg = f"{who} is an executor and is asked with {wanted}, not {found}"
        raise ModelError(msg)
    context, open_orders, records = _context(given, n_random, who), _open_orders(given, who), _room()
    count = ask(context, open_orders, records)
    if count is None:
        return None
    return tuple(_answers(records[:count], context.side, classes, who))


def _classes(who: str) -> Made:
    try:
        # By its name at run time: this package works without an engine.
        return importlib.import_module("ml4t.backtest.executors")
    except ImportError as error:
        msg = f"{who} works orders of a run, and ml4t-engine is not installed: pip install ml4t-engine"
        raise ModelError(msg) from error


def _context(given: Made, n_random: int, who: str) -> Made:
    context = unset("ExecutorContext")
    context.size, context.version = ctypes.sizeof(context), layouts.ABI_MINOR
    context.side, context.asset, context.ts_ns = given.side, given.asset, given.ts_ns
    context.begin_ns, context.call, context.n_open_orders = given.begin_ns, given.call, len(given.open_orders)
    for name in _NUMBERS:
        setattr(context, name, getattr(given, name))
    for name, bit in _MISSING.items():
        context.flags |= bit if math.isnan(getattr(given, name)) else 0
    if len(given.random) < n_random:
        msg = f"{who} wants {n_random} random numbers for a call, and ExecutorArgs has {len(given.random)}"
        raise ModelError(msg)
    for k in range(n_random):
        context.random[k] = given.random[k]
    return context


def _open_orders(given: Made, who: str) -> Made:
    orders: Made = (struct("OpenOrder") * len(given.open_orders))()
    for order, known in zip(orders, given.open_orders, strict=True):
        if known.order_type not in _TYPE_NUMBERS:
            allowed = ", ".join(_TYPE_NUMBERS)
            msg = f"{who}: order_type of an open order is {known.order_type!r}; allowed: {allowed}"
            raise ModelError(msg)
        order.asset, order.order_type = given.asset, _TYPE_NUMBERS[known.order_type]
        order.client_id = known.client_id
        order.leaves_quantity = given.side * known.leaves_quantity
        order.limit_price, order.stop_price = known.limit_price, known.stop_price
    return orders


@functools.cache
def _blank() -> bytes:
    return bytes(unset("OrderRecord")) * MOST_RECORDS


def _room() -> Made:
    return (struct("OrderRecord") * MOST_RECORDS).from_buffer_copy(_blank())


def _answers(records: Iterable[Made], side: int, classes: Made, who: str) -> Iterable[Made]:
    """Read records as the engine reads them; it refuses what the classes cannot say."""
    for record in records:
        if record.action == Action.NEW:
            yield _child_order(record, side, classes, who)
        elif record.action == Action.CANCEL:
            yield classes.CancelChild(record.client_id)
        elif record.action == Action.MODIFY:
            if not math.isnan(record.quantity):
                msg = f"{who}: it may change prices; cancel an order to change its quantity"
                raise ModelError(msg)
            own, limit_price, stop_price = record.client_id, record.limit_price, record.stop_price
            yield classes.RepriceChild(client_id=own, limit_price=limit_price, stop_price=stop_price)
        else:
            found = f"action {record.action} of an order record"
            msg = f"{who}: {found}; it may send, change and cancel orders"
            raise ModelError(msg)


def _child_order(record: Made, side: int, classes: Made, who: str) -> Made:
    if record.group or record.parent:
        msg = f"{who}: its orders stand alone; an order record has a group or a parent"
        raise ModelError(msg)
    for name, found, members in (
        ("order_type", record.order_type, ORDER_TYPES),
        ("life", record.life, LIVES),
    ):
        if found not in members:
            msg = f"{who}: {name} {found} of an order record is not known"
            raise ModelError(msg)
    return classes.ChildOrder(
        quantity=side * record.quantity,
        order_type=ORDER_TYPES[record.order_type],
        limit_price=record.limit_price,
        stop_price=record.stop_price,
        time_in_force=LIVES[record.life],
        client_id=record.client_id,
    )
