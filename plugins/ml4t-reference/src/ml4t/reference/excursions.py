"""Excursions: how far the market went against a round trip, and for it, while it was held.

Adverse is the least that its quantity has gained over its entry, favorable the most, before fees, dividends
and financing; nothing and what its exit gained always count, so the one is never above zero and the other
never below. The prices are those of the matching source, whether or not anybody had been told of them:

==================================================  ====================
piece of data                                       counts with
==================================================  ====================
bar that opens at the entry or later, ends before   high and low
the exit
such a bar that ends at the exit                    high and low, if the round trip ended at its close,
                                                    at the open that followed or by a corporate action;
                                                    else nothing
bar that the entry came inside                      close, if that is before the exit
quote or print between entry and exit               its mark
==================================================  ====================

With `path = "close_only"` the close of a bar is its high and its low. A price of before a split or a spin-off
is brought to the shares that were closed. Of a lot that another instrument gave no prices count: it was not
in this one from its entry on.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import attrs

from ml4t.core.policies import BarPath, Policies
from ml4t.reference.lots import RoundTrip
from ml4t.reference.market import Data, Market, mark_of
from ml4t.reference.matching import Bar
from ml4t.reference.numbers import half_even
from ml4t.reference.orders import OrderBook
from ml4t.reference.plan import Action, Effect

__all__ = ["Excursions"]


@attrs.frozen(repr=False, eq=False)
class Excursions:
    """Looks back on round trips."""

    policies: Policies
    market: Market
    book: OrderBook
    applied: Sequence[Action]  #: corporate actions of the run so far
    repriced: Mapping[int, Fraction]  #: what spin-offs have left of prices, by their place among them
    is_booked_late: bool  #: whether fills at an open are booked at the end of its bar

    def of(self, trip: RoundTrip) -> tuple[int, int]:
        """Return the adverse and the favorable excursion of a round trip, in cash units of its instrument."""
        instrument = trip.instrument
        quantity = trip.quantity if trip.is_long else -trip.quantity
        prices = list(self._prices(trip))
        # What a position is worth is a straight line in the price, so the ends of it are enough.
        ends = {min(prices), max(prices)} if prices else set()
        gained = [instrument.cash(price, quantity) - trip.entry_value for price in ends]
        return min(0, trip.gross, *gained), max(0, trip.gross, *gained)

    def _prices(self, trip: RoundTrip) -> Iterator[int]:
        """Yield the prices that count, as prices of the shares that were closed."""
        if self.book.orders[trip.entry_order_id - 1].instrument is not trip.instrument:
            return
        own = [
            (each.ts, self._left(place, each))
            for place, each in enumerate(self.applied[: trip.actions])
            if each.instrument == trip.instrument.index
        ]
        rows = self.market.rows(trip.instrument)
        begin = bisect.bisect_left(rows, trip.ts_entry, key=lambda data: data.ts_event)
        end = bisect.bisect_right(rows, trip.ts_exit, key=lambda data: data.ts_event)
        for data in rows[begin:end]:
            since = [left for ts, left in own if ts >= data.ts_event]
            for price in self._counted(data, trip):
                yield _brought(price, since)

    def _left(self, place: int, action: Action) -> Fraction:
        """Return what an action leaves of a price, as it has the cost of what was held."""
        return 1 / action.ratio if action.kind is Effect.SPLIT else self.repriced.get(place, Fraction(1))

    def _counted(self, data: Data, trip: RoundTrip) -> tuple[int, ...]:
        """Return the prices of a piece of data that count."""
        if isinstance(data, Bar) and data.ts_open >= trip.ts_entry:
            whole = {None, "close"} if self.is_booked_late else {None, "close", "open"}
            is_within = data.ts_event < trip.ts_exit or trip.exit_phase in whole
            if not is_within:
                return ()
            is_close_alone = self.policies.path is BarPath.CLOSE_ONLY
            return (data.close,) if is_close_alone else (data.high, data.low)
        price = mark_of(data)
        if price is None or not trip.ts_entry < data.ts_event < trip.ts_exit:
            return ()
        return (price,)


def _brought(price: int, left: Sequence[Fraction]) -> int:
    """Return a price of before actions as it counts after them."""
    for each in left:
        if each != 1:
            price = half_even(price * each)
    return price
