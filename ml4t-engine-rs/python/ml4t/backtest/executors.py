"""Execution algorithms: what works a big order by smaller ones.

A strategy calls `broker.execute(asset, quantity, algorithm)`. From then on the algorithm is asked right
after the strategy: at once, and at every later instant at which a row of the instrument's prices became
readable, until all has traded or it gives up. It knows what the strategy could know, and answers what is to
be done.

An algorithm is an attrs-frozen class whose fields are its parameters, with `evaluate(ctx)`. `average_days`
is the number of sessions over which `average_volume` and `volatility` go, 0 where it needs neither. One with
state has `clone()`, which is called once for every order that it works. A native one has
`__ml4t_model_v1__(13)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import attrs

if TYPE_CHECKING:
    from ml4t.core.types import OrderType, TimeInForce

__all__ = ["Answer", "CancelChild", "ChildOrder", "ExecutionAlgorithm"]
__all__ += ["ExecutorArgs", "OpenChild", "RepriceChild"]

NAN = math.nan


@attrs.frozen
class OpenChild:
    """An order of the algorithm that is at work. Missing prices are NaN."""

    client_id: int  #: the number that the algorithm gave it, 0 for none
    order_type: str
    leaves_quantity: float  #: still to trade, positive
    limit_price: float = NAN
    stop_price: float = NAN


@attrs.frozen(kw_only=True)
class ExecutorArgs:
    """The question to an algorithm: what is to be done now for this order. NaN means missing."""

    ts_ns: int  #: the present instant, ns UTC
    side: int  #: +1 buys, -1 sells
    asset: int = 0  #: index of the instrument in the run
    begin_ns: int = 0  #: instant at which the order was given, ns UTC
    call: int = 0  #: number of the question for this order, from 0
    elapsed: float = 0.0  #: time since it was given, in sessions; what lies between sessions does not count
    quantity: float  #: of the whole order, positive
    filled: float = 0.0  #: what has traded of it
    working: float = 0.0  #: what its orders at work still have to trade
    average_price: float = NAN  #: of its fills
    open_orders: tuple[OpenChild, ...] = ()  #: oldest first
    price: float = NAN  #: the last one known: close of a bar, print, or middle of a quote
    bid: float = NAN
    ask: float = NAN
    bid_size: float = NAN
    ask_size: float = NAN
    volume: float = NAN  #: of the market since the question before
    total_volume: float = NAN  #: of the market since the order was given
    average_volume: float = NAN  #: of the `average_days` sessions before the present one
    volatility: float = NAN  #: of their daily returns, a fraction per day
    lot_size: float = 1.0
    tick_size: float = NAN
    multiplier: float = 1.0
    random: tuple[float, ...] = ()  #: four uniform draws in [0, 1), the same whenever the run is repeated

    @property
    def to_send(self) -> float:
        """What is neither traded nor at work."""
        return self.quantity - self.filled - self.working


@attrs.frozen(kw_only=True)
class ChildOrder:
    """An order that is to be sent, on the side of the whole; together they may not exceed what is left."""

    quantity: float  #: positive, a multiple of the lot
    order_type: OrderType | str = "market"
    limit_price: float = NAN
    stop_price: float = NAN
    time_in_force: TimeInForce | str = "gtc"
    client_id: int = 0  #: a number above 0 by which the algorithm can cancel or reprice it


@attrs.frozen
class CancelChild:
    """An order at work that is to be taken back."""

    client_id: int


@attrs.frozen(kw_only=True)
class RepriceChild:
    """An order at work that is to get other prices; one that is NaN stays."""

    client_id: int
    limit_price: float = NAN
    stop_price: float = NAN


Answer: TypeAlias = Sequence[ChildOrder | CancelChild | RepriceChild] | None


@runtime_checkable
class ExecutionAlgorithm(Protocol):
    """Decides when, and by which orders, a big order trades."""

    def evaluate(self, ctx: ExecutorArgs, /) -> Answer:
        """Answer what is to be done now: nothing (an empty sequence), orders, or None to give up."""
