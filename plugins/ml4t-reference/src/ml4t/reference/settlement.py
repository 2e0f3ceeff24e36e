"""Settlement, phase 3: positions that are not paid for receive or pay what they have gained or lost.

A future, a perpetual, a currency on margin is a promise. Opening one moves no cash, only its fee; its
notional is price x quantity x multiplier, and what it is worth is what it has gained since it was settled:

    value = notional at the mark - basis,    basis = sum over its lots of cost + settled

`cost` is the notional at the entry of a lot, `settled` the variation margin that it has received. All three
have the sign of the position.

===========  ==========================================================  =====================================
settlement   when gains become cash                                      examples
===========  ==========================================================  =====================================
`upfront`    the position is paid for: nothing of all this               shares, bonds, coins, options
`daily`      at each settlement, what was gained since the last one      futures
`on_close`   when a position is closed, reduced or ends                  perpetuals, currency pairs on margin
===========  ==========================================================  =====================================

An instrument that has settlement prices is settled at their times, any other at its mark as each session of
its calendar closes. Settling leaves marks and entries what they are: afterwards the basis is the notional at
the settlement price. What is not settled yet is settled by the fill that closes it, at the price of that, or
as the instrument ends.
"""

from __future__ import annotations

import attrs

from ml4t.reference.account import Account
from ml4t.reference.exchange import Exchange
from ml4t.reference.plan import Instrument, Plan, Settlement

__all__ = ["Settling", "settlement_instants"]


def settlement_instants(plan: Plan, begin: int) -> set[int]:
    """Return when instruments are settled; nobody is called at such an instant for it alone."""
    times = {row.ts for row in plan.settlements}
    for instrument in _without_prices(plan):
        times.update(close for close in plan.calendars[instrument.calendar].closes if close > begin)
    return times


def _without_prices(plan: Plan) -> list[Instrument]:
    """Return the daily instruments without settlement prices: they are settled at their marks."""
    priced = {row.instrument for row in plan.settlements}
    daily = [each for each in plan.instruments if each.settlement is Settlement.DAILY]
    return [each for each in daily if each.index not in priced]


@attrs.define
class Settling:
    """Pays variation margin, and remembers at which price an instrument was settled last."""

    plan: Plan
    account: Account
    exchange: Exchange
    last: dict[int, tuple[int, int]] = attrs.field(factory=dict)
    """When, and at which price in units, by instrument; with a position alone."""
    prices: dict[int, dict[int, int]] = attrs.field(init=False)
    """Settlement prices in units by their time, then by instrument."""
    closes: dict[int, frozenset[int]] = attrs.field(init=False)
    """When instruments are settled at their marks, by instrument."""

    @prices.default
    def _default_prices(self) -> dict[int, dict[int, int]]:
        prices: dict[int, dict[int, int]] = {}
        for row in self.plan.settlements:
            prices.setdefault(row.ts, {})[row.instrument] = row.price
        return prices

    @closes.default
    def _default_closes(self) -> dict[int, frozenset[int]]:
        calendars = self.plan.calendars
        return {each.index: frozenset(calendars[each.calendar].closes) for each in _without_prices(self.plan)}

    def settle(self, now: int) -> None:
        """Settle every position that is due now, by the index of instruments."""
        for index, price in sorted(self._due(now).items()):
            self._settle(self.plan.instruments[index], price, now)

    def price_at(self, instrument: Instrument, now: int) -> int | None:
        """Return the price at which an instrument was settled at this very instant; None where it was not."""
        when, price = self.last.get(instrument.index, (None, 0))
        return price if when == now else None

    def _due(self, now: int) -> dict[int, int]:
        """Return the settlement prices of this instant by instrument."""
        due = dict(self.prices.get(now, {}))
        for index, closes in self.closes.items():
            if now in closes and index in self.account.marks:
                due[index] = self.account.marks[index]
        return due

    def _settle(self, instrument: Instrument, price: int, now: int) -> None:
        ledger = self.account.ledger
        if not ledger.quantity(instrument):
            return
        self.last[instrument.index] = (now, price)
        if ledger.settle(now, instrument, price):
            self.exchange.after_event(now, instrument.currency, instrument)
