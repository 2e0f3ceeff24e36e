"""The price that decisions are made with: the last one that has arrived, as it counts now.

A size is a decision, so it is made from what is readable, not from the latest mark. A split or a dividend
since then is known, too: the price is the one that was true divided by the ratio, or less the amount.
"""

from __future__ import annotations

import attrs

from ml4t.reference.account import Account
from ml4t.reference.corporate import Corporate
from ml4t.reference.numbers import units_of_float
from ml4t.reference.plan import Instrument
from ml4t.reference.readable import Readable

__all__ = ["Known", "Pricing"]


@attrs.frozen(kw_only=True)
class Known:
    """A position at the price that a strategy may know; amounts are cash units, signed like the position."""

    price: int | None  #: None before the first
    notional: int  #: price x quantity x multiplier
    value: int  #: what it adds to equity: the same where it was paid for, else what it has not settled yet


@attrs.frozen
class Pricing:
    """Prices for the sizes of targets and for what orders reserve."""

    readable: Readable
    corporate: Corporate

    def last(self, instrument: Instrument) -> int | None:
        """Return the last known price in price units; None before the first."""
        value = self.readable.last_price(instrument.index)
        row = None
        if instrument.matching is not None:
            row = self.readable.last_row(instrument.matching, instrument.index)
        if value is None or instrument.matching is None or row is None:
            return None
        known_at = self.readable.plan.feeds[instrument.matching].columns["ts_event"][row]
        return self.corporate.adjusted(instrument, units_of_float(value, instrument.price_exponent), known_at)

    def position(self, account: Account, instrument: Instrument) -> Known:
        """Return what a strategy may know of what a position is worth.

        The mark of a feed with arrivals of its own is of a row that nobody has been told of yet: there it is
        the last price that has arrived, and before the first what the position cost, or was settled at.
        Prints that fill what rests can set a mark, too.
        """
        holding = account.ledger.holding(instrument)
        feeds = [self.readable.plan.feeds[each] for each in _sources(instrument)]
        if any(feed.is_late for feed in feeds):
            price = self.last(instrument)
            notional = holding.basis if price is None else instrument.cash(price, holding.quantity)
        else:
            price, notional = account.marks.get(instrument.index), account.notional(instrument)
        value = notional - holding.basis if instrument.is_margined else notional
        return Known(price=price, notional=notional, value=value)

    def equity(self, account: Account) -> int:
        """Return the worth of the account in the base currency, at prices that have arrived."""

        def total_in(currency: str) -> int:
            positions = sum(self.position(account, each).value for each in account.held_in(currency))
            return account.cash_in(currency) + account.receivable_in(currency) + positions

        return account.in_base(total_in)

    def gross(self, account: Account) -> int:
        """Return the size of all positions in the base currency, at prices that have arrived."""

        def gross_in(currency: str) -> int:
            return sum(abs(self.position(account, each).notional) for each in account.held_in(currency))

        return account.in_base(gross_in)


def _sources(instrument: Instrument) -> list[int]:
    """Return the feeds that can set the mark of an instrument."""
    return [each for each in (instrument.matching, instrument.prints) if each is not None]
