"""Between the argument classes of `ml4t.core.models` and the structs of the native interface.

The two say the same under different names where that reads better in its place: `reference_price` is `price`,
`price_adjustment` is `adjustment`, the `size` of a print is `trade_size`, and phases are texts there and
numbers here. What an argument class does not carry is NaN here, as a missing number is everywhere.
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any, cast

import attrs

from ml4t.core.errors import ModelError
from ml4t.core.models import (
    MODEL_STRUCTS,
    BorrowOut,
    FeeOut,
    FillOut,
    FundingOut,
    FxOut,
    ImpactOut,
    InterestOut,
    LatencyOut,
    ObservedFill,
    SlippageOut,
)
from ml4t.core.types import ModelKind
from ml4t.native import layouts
from ml4t.native.constants import (
    DEFER,
    NO_OPINION,
    OK,
    REJECT,
    Liquidity,
    Message,
    Missing,
    OrderKind,
    Phase,
)
from ml4t.native.structs import Made, struct, unset
from ml4t.native.table import sizes

__all__ = ["MOST_SLICES", "answer", "context_name", "context_of", "event_of", "output_of"]

MOST_SLICES = 16  #: into which a fill model may cut an execution

_CORE_NAMES: dict[ModelKind, dict[str, str]] = {
    ModelKind.FILL: {"trade_size": "size"},
    ModelKind.SLIPPAGE: {"price": "reference_price"},
    ModelKind.IMPACT: {"price": "reference_price"},
    ModelKind.FEE: {},
    ModelKind.LATENCY: {},
    ModelKind.BORROW: {},
    ModelKind.FUNDING: {},
    ModelKind.INTEREST: {},
    ModelKind.FX: {},
    ModelKind.MARGIN: {},
    ModelKind.LIQUIDATION: {},
}
_TEXTS: dict[str, tuple[str, dict[str, int]]] = {
    "kind": ("order_type", {kind.name.lower(): kind for kind in OrderKind}),
    "phase": ("phase", {phase.name.lower(): phase for phase in Phase}),
    "liquidity": ("liquidity", {liquidity.name.lower(): liquidity for liquidity in Liquidity}),
    "message": ("message", {message.name.lower(): message for message in Message}),
}
# Whole numbers of a context beside its header, and where they stand in core.
_COUNTS = {"order": "order_id", "venue": "venue"}
_MISSING = {
    "high": Missing.BAR,
    "volume": Missing.VOLUME,
    "bid": Missing.QUOTE,
    "average_volume": Missing.AVERAGE_VOLUME,
    "volatility": Missing.VOLATILITY,
}


def context_name(kind: ModelKind) -> str:
    """Return the name of the context of a kind."""
    return dict(layouts.EVALS[kind.name])["context"].removeprefix("const ").removesuffix("*")


@functools.cache
def _fields(kind: ModelKind) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], bool]:
    """Return the fields that are texts in core, pairs of names of the others, and whether core has draws."""
    known = {field.name for field in attrs.fields(MODEL_STRUCTS[kind][0])}
    names = _CORE_NAMES[kind]
    fields = layouts.STRUCTS[context_name(kind)][1]
    numbers = [(name, names.get(name, name)) for name, code, _, n in fields if code == "f8" and n == 1]
    texts = [name for name, _, _, _ in fields if name in _TEXTS]
    return tuple(texts), tuple((name, core) for name, core in numbers if core in known), "random" in known


def context_of(kind: ModelKind, given: Made, *, n_random: int = 0, who: str) -> Made:
    """Return the context of a call.

    Parameters
    ----------
    kind : ModelKind
        What the model decides.
    given : object
        The argument class of `ml4t.core.models`, or for any kind the context itself.
    n_random : int
        Draws that the model wants.
    who : str
        The model, for messages.

    Raises
    ------
    ModelError
        If it is of another class, or has no draws for a model that wants some.
    """
    name = context_name(kind)
    if isinstance(given, struct(name)):
        return given
    wanted: type = MODEL_STRUCTS[kind][0] if kind in MODEL_STRUCTS else struct(name)
    if not isinstance(given, wanted):
        msg = f"{who} is a {kind.label} model and is asked with {wanted.__name__}, not {type(given).__name__}"
        raise ModelError(msg)
    texts, numbers, has_draws = _fields(kind)
    context, asked = unset(name), cast("Made", given)
    _write_header(context, asked, asked.ts_ns)
    _write_texts(context, asked, texts, who)
    _write_numbers(context, asked, numbers)
    if n_random > 0 and not has_draws:
        msg = f"{who} wants {n_random} random numbers for a call, which {wanted.__name__} does not carry"
        raise ModelError(msg)
    if has_draws:
        # As from the engine: what the model did not ask for stays NaN.
        for at, number in enumerate(_wanted(asked.random, n_random, who)):
            context.random[at] = number
    return context


def _write_texts(context: Made, asked: Made, texts: tuple[str, ...], who: str) -> None:
    for field in texts:
        core, values = _TEXTS[field]
        text = getattr(asked, core)
        if text not in values:
            msg = f"{who}: {core} is {text!r}; allowed: {', '.join(values)}"
            raise ModelError(msg)
        setattr(context, field, values[text])


def _write_numbers(context: Made, asked: Made, numbers: tuple[tuple[str, str], ...]) -> None:
    for field, core in numbers:
        value = getattr(asked, core)
        setattr(context, field, value)
        if field in _MISSING and math.isnan(value):
            context.flags |= _MISSING[field]
    for field, core in _COUNTS.items():
        if hasattr(context, field) and hasattr(asked, core):
            setattr(context, field, getattr(asked, core))


def _wanted(draws: tuple[float, ...], n_random: int, who: str) -> tuple[float, ...]:
    if len(draws) < n_random:
        msg = f"{who} wants {n_random} random numbers for a call, and is asked with {len(draws)}"
        raise ModelError(msg)
    return draws[:n_random]


def _write_header(context: Made, given: Made, ts_ns: int) -> None:
    context.size = ctypes.sizeof(context)
    context.version = layouts.ABI_MINOR
    context.side = given.side
    context.asset = getattr(given, "asset", 0)
    context.ts_ns = ts_ns


def event_of(fill: Made, *, who: str) -> Made:
    """Return an `ObservedFill` as the `FillEvent` of the interface.

    Raises
    ------
    ModelError
        If it is of another class.
    """
    if isinstance(fill, struct("FillEvent")):
        return fill
    if not isinstance(fill, ObservedFill):
        msg = f"{who} is told of fills by an ObservedFill, not {type(fill).__name__}"
        raise ModelError(msg)
    event = unset("FillEvent")
    _write_header(event, fill, fill.ts_ns)
    event.order = fill.order_id
    event.liquidity = Liquidity[fill.liquidity.upper()]
    for name in ("price", "quantity", "multiplier", "fee", "slippage", "impact"):
        setattr(event, name, getattr(fill, name))
    return event


def output_of(kind: ModelKind) -> Made:
    """Return the output of a kind with nothing set, None where it has none."""
    if sizes(kind)[1] == 0:
        return None
    return unset(dict(layouts.EVALS[kind.name])["output"].removesuffix("*"))


# Kinds that answer one number: its name, and the class of the answer.
_ONE_NUMBER: dict[ModelKind, tuple[str, Any]] = {
    ModelKind.FEE: ("fee", FeeOut),
    ModelKind.LATENCY: ("delay_ns", LatencyOut),
    ModelKind.BORROW: ("fee", BorrowOut),
    ModelKind.FUNDING: ("payment", FundingOut),
    ModelKind.INTEREST: ("payment", InterestOut),
}


# What the engine does when a model has no opinion, as the answer that says so.
_WITHOUT: dict[ModelKind, Any] = {
    ModelKind.SLIPPAGE: SlippageOut(price_adjustment=0.0),
    ModelKind.IMPACT: ImpactOut(temporary=0.0),
    ModelKind.FEE: FeeOut(fee=0.0),
    ModelKind.BORROW: BorrowOut(fee=0.0),
    ModelKind.FUNDING: FundingOut(payment=0.0),
    ModelKind.INTEREST: InterestOut(payment=0.0),
}


def answer(kind: ModelKind, status: int, parts: tuple[Any, Any, Any], *, who: str) -> Made:
    """Return the answer of a call as the class of `ml4t.core.models`; for other kinds the output itself.

    A fill that is cut into several slices is a tuple of them.

    Parameters
    ----------
    kind : ModelKind
        What the model decides.
    status : int
        What it answered, above 0.
    parts : tuple
        Context, output, and the slices of a fill model.
    who : str
        The model, for messages.

    Raises
    ------
    ModelError
        If the status or what was written has no meaning for the kind.
    """
    context, output, slices = parts
    if kind is ModelKind.FILL:
        return _fill(status, context, (output, slices), who)
    if kind is ModelKind.SLIPPAGE and status in (DEFER, REJECT):
        return SlippageOut(price_adjustment=0.0, quantity_cap=0.0)
    if status == NO_OPINION and kind in _WITHOUT:
        return _WITHOUT[kind]
    if status == NO_OPINION and kind is ModelKind.FX:
        return FxOut(rate=context.rate)
    if status != OK:
        msg = f"{who} answered the status {status}, which means nothing for a {kind.label} model"
        raise ModelError(msg)
    if kind is ModelKind.SLIPPAGE:
        return SlippageOut(output.adjustment, output.spread, output.quantity_cap)
    if kind is ModelKind.IMPACT:
        return ImpactOut(output.temporary, output.permanent)
    if kind is ModelKind.FX:
        return FxOut(output.rate, output.fee)
    if kind in _ONE_NUMBER:
        name, made = _ONE_NUMBER[kind]
        return made(getattr(output, name))
    return output


def _fill(status: int, context: Made, parts: tuple[Made, Made], who: str) -> FillOut | tuple[FillOut, ...]:
    output, slices = parts
    if status == NO_OPINION:
        return FillOut(context.price, context.leaves_quantity, Liquidity(context.liquidity).name.lower())
    if status in (DEFER, REJECT):
        return FillOut(rejects=status == REJECT)
    if status != OK:
        msg = f"{who} answered the status {status}, which means nothing for a fill model"
        raise ModelError(msg)
    if output.n_fills > MOST_SLICES:
        msg = f"{who} says that it wrote {output.n_fills} slices; {MOST_SLICES} have room"
        raise ModelError(msg)
    found = [_slice(each, who) for each in slices[: output.n_fills]]
    if not found:
        return FillOut()
    return found[0] if len(found) == 1 else tuple(found)


def _slice(written: Made, who: str) -> FillOut:
    if written.liquidity not in set(Liquidity):
        msg = f"{who} answered the liquidity {written.liquidity}; allowed: 1 (taker), 2 (maker)"
        raise ModelError(msg)
    return FillOut(written.price, written.quantity, Liquidity(written.liquidity).name.lower())
