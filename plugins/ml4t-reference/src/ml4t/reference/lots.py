"""Lots: the parcels that a position is made of, and which of them is closed.

A lot keeps what it cost as a total; an average price is computed when somebody asks. A lot of an instrument
that is not paid for (`ml4t.reference.settlement`) keeps what it was worth at its entry all the same, and
beside it what variation margin it has received so far. Amounts are cash units of the currency of the
instrument, below zero for what was sold short.
"""

from __future__ import annotations

from fractions import Fraction

import attrs

from ml4t.core.types import LotPolicy
from ml4t.reference.numbers import half_even
from ml4t.reference.plan import Instrument
from ml4t.reference.unsettled import LONG_AGO

__all__ = ["Holding", "Lot", "RoundTrip", "next_to_close", "take", "whole_units"]


@attrs.define(kw_only=True)
class Lot:
    """A parcel of a position: `quantity` and `cost` are below zero for what was sold short.

    `fees` and `slippage` are what its entry cost beside its price, as far as the lot is still there.
    `settled` is the variation margin that it has received, below zero what it has paid; always zero where
    the position is paid for. `unpaid_until` is when the money settles that it was bought with
    (`ml4t.reference.unsettled`); long ago where that was settled.
    """

    quantity: int
    cost: int
    settled: int = 0
    fees: int
    slippage: int
    ts_open: int
    order_id: int
    unpaid_until: int = LONG_AGO

    def join(self, other: Lot) -> None:
        """Take another lot in, where positions have an average: paid for when both are."""
        self.quantity += other.quantity
        self.receive(other)
        self.unpaid_until = max(self.unpaid_until, other.unpaid_until)

    def receive(self, other: Lot) -> None:
        """Take over what another lot has cost, and what it has received."""
        self.cost += other.cost
        self.settled += other.settled
        self.fees += other.fees
        self.slippage += other.slippage

    def give(self, share: Fraction, quantity: int) -> Lot:
        """Give a share of all that away, rounded half to even, as a lot of a quantity; keep the own one."""
        part = attrs.evolve(
            self,
            quantity=quantity,
            cost=half_even(self.cost * share),
            settled=half_even(self.settled * share),
            fees=half_even(self.fees * share),
            slippage=half_even(self.slippage * share),
        )
        self.cost -= part.cost
        self.settled -= part.settled
        self.fees -= part.fees
        self.slippage -= part.slippage
        return part


@attrs.frozen(kw_only=True)
class RoundTrip:
    """An entry matched with its exit; amounts are cash units of the currency of the instrument."""

    instrument: Instrument
    is_long: bool
    quantity: int
    ts_entry: int
    ts_exit: int
    entry_value: int
    exit_value: int
    gross: int
    fees: int
    slippage: int
    entry_order_id: int
    exit_order_id: int | None  #: None where no order closed it, but a corporate action
    exit_phase: str | None  #: of the fill that closed it; None likewise
    exit_reason: str
    actions: int  #: corporate actions of the run that came before the exit
    fx_rate: float  #: base currency for one unit of that currency, at the exit


@attrs.define
class Holding:
    """The position in one instrument: its lots, oldest first, and the result of those that were closed."""

    instrument: Instrument
    lots: list[Lot] = attrs.field(factory=list)
    realized: int = 0

    @property
    def quantity(self) -> int:
        """Signed units held."""
        return sum(lot.quantity for lot in self.lots)

    @property
    def cost(self) -> int:
        """Signed cost of what is held, fees apart."""
        return sum(lot.cost for lot in self.lots)

    @property
    def basis(self) -> int:
        """Signed worth at which what is held has been settled so far: at first its cost."""
        return sum(lot.cost + lot.settled for lot in self.lots)

    @property
    def average(self) -> Fraction:
        """Average cost per unit, in price units."""
        one = Fraction(self.instrument.cash(1, 1)) if self.instrument.multiplier else Fraction(1)
        return Fraction(self.cost, self.quantity) / one


def whole_units(holding: Holding, scaled: list[Fraction], sign: int) -> None:
    """Give the lots whole units by running totals rounded down."""
    running, given = Fraction(0), 0
    kept: list[Lot] = []
    handed: Lot | None = None
    for lot, size in zip(holding.lots, scaled, strict=True):
        running += size
        units = running.numerator // running.denominator - given
        given += units
        lot.quantity = units * sign
        if handed is not None:
            lot.receive(handed)
            handed = None
        if units:
            kept.append(lot)
        else:
            handed = lot
    holding.lots = kept


def next_to_close(lots: list[Lot], policy: LotPolicy) -> Lot:
    """Return the lot that is closed next.

    By `highest_cost` it is the one whose end gains least, of equal ones the oldest. Cost is signed: the
    highest per unit is that of the dearest of longs, and of shorts that of the one sold at the lowest price.
    It is that of the entry, whatever has been settled since.
    """
    if policy is LotPolicy.LIFO:
        return lots[-1]
    if policy is LotPolicy.HIGHEST_COST:
        return max(lots, key=lambda lot: Fraction(lot.cost, abs(lot.quantity)))
    return lots[0]


def take(holding: Holding, quantity: int, policy: LotPolicy, opener: int | None = None) -> list[Lot]:
    """Take units out of the lots and return the parcels with their share of cost, margin, fees, slippage.

    The lots that the order `opener` has opened are taken first, the oldest of them before the others.

    A whole lot takes all of its cost with it; of a part the shares are rounded half to even.
    """
    parts: list[Lot] = []
    left = quantity
    while left:
        named = [each for each in holding.lots if each.order_id == opener]
        lot = named[0] if named else next_to_close(holding.lots, policy)
        units = min(left, abs(lot.quantity))
        left -= units
        if units == abs(lot.quantity):
            parts.append(lot)
            holding.lots = [each for each in holding.lots if each is not lot]
            continue
        part = lot.give(Fraction(units, abs(lot.quantity)), units if lot.quantity > 0 else -units)
        lot.quantity -= part.quantity
        parts.append(part)
    return parts
