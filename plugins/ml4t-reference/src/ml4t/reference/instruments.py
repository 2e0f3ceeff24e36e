"""An instrument with its steps as fractions."""

from __future__ import annotations

from fractions import Fraction

from attrs import frozen

from ml4t.core.instrument import Instrument
from ml4t.reference.numbers import checked_count, from_market


@frozen(kw_only=True)
class Terms:
    """What the rules need to know of an instrument.

    Attributes
    ----------
    id : int
        Position in the universe, which is sorted by symbol. No rule depends on it.
    tick, lot : Fraction
        Steps of the prices and quantities of orders.
    price_step, quantity_step : Fraction
        Steps of the prices and quantities that the account keeps.
    matching : int
        Index of the feed its orders meet; negative without one.
    """

    id: int
    symbol: str
    currency: str
    calendar: str
    tick: Fraction
    lot: Fraction
    multiplier: Fraction
    price_step: Fraction
    quantity_step: Fraction
    allows_negative_prices: bool
    matching: int

    @classmethod
    def of(cls, instrument: Instrument, *, position: int, matching: int) -> Terms:
        """Read an instrument of the universe."""
        return cls(
            id=position,
            symbol=instrument.symbol,
            currency=instrument.currency,
            calendar=instrument.calendar,
            tick=Fraction(instrument.tick_size),
            lot=Fraction(instrument.lot_size),
            multiplier=Fraction(instrument.multiplier),
            price_step=Fraction(1, 10**instrument.price_exponent),
            quantity_step=Fraction(1, 10**instrument.quantity_exponent),
            allows_negative_prices=instrument.allows_negative_prices,
            matching=matching,
        )

    def price(self, value: float) -> Fraction:
        """Return a price of market data as the account keeps it."""
        return from_market(value, self.price_step, f"a price of {self.symbol}")

    def value(self, quantity: Fraction, price: Fraction) -> Fraction:
        """Return the money that a quantity is worth at a price, signed like their product."""
        return quantity * price * self.multiplier

    def checked_quantity(self, quantity: Fraction) -> Fraction:
        """Return a quantity that fits, or raise NumericOverflowError."""
        return checked_count(quantity, self.quantity_step, f"a quantity of {self.symbol}")
