"""What fills leave behind for later ones: displacement of prices, what was traded in a month, told models.

The displacement of an instrument is the sum of the permanent parts of all fills so far, up for buys and down
for sells. It is in fill prices alone: marks, triggers and limits know the market as it was recorded.
"""

from __future__ import annotations

import time
from fractions import Fraction

import attrs

from ml4t.core.models import ObservedFill
from ml4t.reference.numbers import LARGEST_STEP, cash_float, checked, half_even
from ml4t.reference.orders import Fill
from ml4t.reference.plan import Instrument

__all__ = ["Past", "observed"]

SECOND_NS = 10**9


@attrs.define
class Past:
    """What models are told of the fills before one."""

    displaced: dict[int, int] = attrs.field(factory=dict)  #: price units, by instrument
    traded: dict[tuple[int, ...], tuple[Fraction, int]] = attrs.field(factory=dict)
    """Quantity and notional in the base currency, all instruments together, by year and month UTC."""

    def displacement(self, instrument: Instrument) -> int:
        """Return how far our fills have moved our prices, above zero when up."""
        return self.displaced.get(instrument.index, 0)

    def of_month(self, now: int) -> tuple[float, float]:
        """Return quantity and notional that were traded in the calendar month of an instant."""
        quantity, notional = self.traded.get(_month(now), (Fraction(0), 0))
        return float(quantity), cash_float(notional)

    def add(self, fill: Fill, worth: int) -> None:
        """Count a fill that was booked, `worth` so much of the base currency."""
        instrument = fill.order.instrument
        moved = self.displacement(instrument) + fill.order.sign * fill.permanent
        what = f"the displacement of {instrument.symbol} after a fill of order {fill.order.id}"
        self.displaced[instrument.index] = checked(moved, LARGEST_STEP, what)
        quantity, notional = self.traded.get(_month(fill.ts), (Fraction(0), 0))
        units = Fraction(fill.quantity, 10**instrument.quantity_exponent)
        self.traded[_month(fill.ts)] = quantity + units, notional + abs(worth)

    def split(self, instrument: Instrument, ratio: Fraction) -> None:
        """Scale the displacement as the prices."""
        moved = half_even(self.displacement(instrument) / ratio)
        what = f"the displacement of {instrument.symbol} after its split"
        self.displaced[instrument.index] = checked(moved, LARGEST_STEP, what)


def observed(fill: Fill) -> ObservedFill:
    """Return a fill as models are told of it."""
    order = fill.order
    instrument = order.instrument
    return ObservedFill(
        ts_ns=fill.ts,
        side=order.sign,
        asset=instrument.index,
        order_id=order.id,
        price=instrument.price(fill.price),
        quantity=instrument.quantity(fill.quantity),
        multiplier=float(instrument.multiplier),
        fee=cash_float(fill.fee),
        slippage=instrument.price(fill.slippage),
        impact=instrument.price(fill.impact),
        liquidity=fill.liquidity,
    )


def _month(now: int) -> tuple[int, ...]:
    """Return year and month of an instant, UTC."""
    return tuple(time.gmtime(now // SECOND_NS)[:2])
