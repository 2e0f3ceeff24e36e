"""Tax lots: what a holding consists of, and which part of its cost leaves when it shrinks.

A lot stores its quantity and its total cost, both negative for a short position. What leaves a lot takes its
share of the cost, rounded half to even to the unit of cash, so that the rest of the lot keeps the remainder.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import attrs

from ml4t.core.types import LotPolicy
from ml4t.reference.instruments import Terms
from ml4t.reference.numbers import CASH_UNIT, ZERO, half_even, toward_zero


@attrs.define(kw_only=True)
class Lot:
    """A parcel with its own cost and opening. `fees` and `slippage` are what opening it cost beside that."""

    quantity: Fraction
    cost: Fraction
    ts_open: int
    order_id: int
    fees: Fraction = ZERO
    slippage: Fraction = ZERO

    def split_off(self, quantity: Fraction) -> Lot:
        """Take a part, of the sign of the lot, out of it and return the part."""
        share = quantity / self.quantity
        part = Lot(
            quantity=quantity,
            cost=self.cost if share == 1 else half_even(self.cost * share, CASH_UNIT),
            ts_open=self.ts_open,
            order_id=self.order_id,
            fees=self.fees * share,
            slippage=self.slippage * share,
        )
        self.quantity -= part.quantity
        self.cost -= part.cost
        self.fees -= part.fees
        self.slippage -= part.slippage
        return part


@attrs.define(kw_only=True, eq=False)
class Holding:
    """The position in one instrument: its lots, oldest first, its mark and what it has realized.

    `mark` values the position; `known` is the last price that strategies could read. Both follow corporate actions and are
    None before the first print.
    """

    terms: Terms
    policy: LotPolicy
    lots: list[Lot] = attrs.field(factory=list)
    mark: Fraction | None = None
    known: Fraction | None = None
    realized: Fraction = ZERO

    @property
    def quantity(self) -> Fraction:
        """Units held, negative for a short position."""
        return sum((lot.quantity for lot in self.lots), ZERO)

    @property
    def cost(self) -> Fraction:
        """What the position cost, negative for a short position."""
        return sum((lot.cost for lot in self.lots), ZERO)

    @property
    def value(self) -> Fraction:
        """Worth at the mark; at cost while there is no mark."""
        if self.mark is None:
            return self.cost
        return self.terms.value(self.quantity, self.mark)

    def closable(self, sign: int, quantity: Fraction) -> Fraction:
        """Return how much of an order would close what is held; the rest would open."""
        held = self.quantity
        return min(quantity, abs(held)) if sign * held < 0 else ZERO

    def add(self, lot: Lot) -> None:
        """Open a lot, or add it to the one there is under the average policy."""
        if self.policy is LotPolicy.FIFO or not self.lots:
            self.lots.append(lot)
            return
        (held,) = self.lots
        held.quantity += lot.quantity
        held.cost += lot.cost
        held.fees += lot.fees
        held.slippage += lot.slippage

    def take(self, quantity: Fraction) -> Iterator[Lot]:
        """Take units, given above zero, out of the lots, oldest first."""
        while quantity > 0:
            lot = self.lots[0]
            units = min(quantity, abs(lot.quantity))
            yield lot.split_off(units if lot.quantity > 0 else -units)
            quantity -= units
            if not lot.quantity:
                self.lots.pop(0)

    def scale(self, ratio: Fraction) -> Fraction:
        """Multiply the units by a ratio; return the fraction of a lot step that cannot be held, signed.

        The lots keep their cost and their exact share of the units. When the fraction has been taken out, they are to be
        made whole.
        """
        for lot in self.lots:
            lot.quantity *= ratio
        held = self.quantity
        return held - toward_zero(held, self.terms.lot)

    def make_whole(self) -> None:
        """Give the lots whole lot steps, by running totals rounded towards zero.

        A lot that is left with nothing hands its cost to the next.
        """
        exact, given = ZERO, ZERO
        whole: list[Lot] = []
        left_over: list[Lot] = []
        for lot in self.lots:
            exact += lot.quantity
            lot.quantity = toward_zero(exact, self.terms.lot) - given
            given += lot.quantity
            if not lot.quantity:
                left_over.append(lot)
                continue
            for other in left_over:
                lot.cost += other.cost
                lot.fees += other.fees
                lot.slippage += other.slippage
            left_over.clear()
            whole.append(lot)
        self.lots = whole
