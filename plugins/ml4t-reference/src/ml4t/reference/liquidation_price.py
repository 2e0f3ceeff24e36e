"""Liquidation at a price, where a margin model has it: positions end at the price that takes their margin.

Before a piece of data meets orders, the way from the mark of a position to the worst price of that data is
looked at: at an open that is the open, in the range of a bar its low for longs and its high for shorts (its
close where nothing else of bars is known), of a quote the bid for longs and the ask for shorts, of a print
its price. At a price, of a position

==========  ==========================================================  ======================================
mode        is left                                                     is needed
==========  ==========================================================  ======================================
cross       equity, with this position at that price                    maintenance of the whole portfolio so
isolated    what opens it alone at its average cost, and its gain       maintenance of it alone
==========  ==========================================================  ======================================

Other positions count at their marks. The price is *reached* where what is left does not exceed what is
needed. A stop of the venue is placed at the first tick on the way that is reached, and the data then meet it
like any order: inside a bar it fills there, after a gap at the open. Where the mark itself is reached that is
the tick at the mark, or the next one that is worse. The checks of margin look at marks alone.

A position has one such stop, which follows its size. Each time it is looked at anew, until the stop has been
reached: it moves to where the position ends now, and goes where it does not end on the way. With its first
fill it is a row of `margin_calls`, with what was left and needed at its price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ml4t.core.policies import BarPath
from ml4t.reference.margin import Entry, Margin
from ml4t.reference.margin_terms import CallRow
from ml4t.reference.market import Data
from ml4t.reference.matching import Bar, Quote
from ml4t.reference.plan import Instrument

if TYPE_CHECKING:
    from ml4t.reference.venue import Venue

__all__ = ["Closing"]


@attrs.frozen
class _Standing:
    """What stands behind a position at a price; cash units of the base currency."""

    left: int
    needed: int

    @property
    def is_reached(self) -> bool:
        """Whether that is the end of the position."""
        return self.left <= self.needed


@attrs.frozen(repr=False, eq=False)
class Closing:
    """Looks for the prices at which positions end, and places the stops that close them there."""

    venue: Venue
    margin: Margin

    # -- when --------------------------------------------------------------------------------------------

    def before_opens(self, now: int, bars: list[tuple[Instrument, Bar]]) -> None:
        """Look at the ways to opens, all from the marks before them."""
        for instrument, bar in bars:
            if self.venue.trades(bar):
                self._look(instrument, bar.open, now, active_from=bar.ts_open)

    def before_rows(self, now: int, rows: list[tuple[Instrument, Data]]) -> None:
        """Look at the ways through data that are complete now."""
        for instrument, data in rows:
            worst = self._worst(instrument, data)
            if worst is not None:
                # It meets this very data: a bar from its open on, a tick that comes after it.
                active_from = data.ts_open if isinstance(data, Bar) else data.ts_event - 1
                self._look(instrument, worst, now, active_from=active_from)

    def check(self, now: int) -> None:
        """Look at the marks of all positions."""
        for entry in self.margin.held():
            mark = self.margin.account.marks[entry.instrument.index]
            self._look(entry.instrument, mark, now, active_from=now)

    def _worst(self, instrument: Instrument, data: Data) -> int | None:
        """Return the worst price of a piece of data for the position; None where there is none."""
        is_long = self.margin.account.ledger.quantity(instrument) > 0
        if isinstance(data, Bar):
            if not self.venue.trades(data):
                return None
            if self.venue.plan.policies.path is BarPath.CLOSE_ONLY:
                return data.close
            return data.low if is_long else data.high
        if isinstance(data, Quote):
            return data.bid if is_long else data.ask
        return data.price if data.has_traded else None

    # -- where -------------------------------------------------------------------------------------------

    def _look(self, instrument: Instrument, worst: int, now: int, *, active_from: int) -> None:
        """Place the stop of a position, or move it, if a price on the way to the worst one is its end."""
        guards = self.venue.guards
        stop = guards.liquidation(instrument)
        if not self.margin.account.ledger.quantity(instrument) or (stop is not None and stop.triggered):
            return
        price = self._first_reached(instrument, worst)
        if price is None:
            if stop is not None:
                guards.withdraw(stop, now)
            return
        if stop is None:
            stop = guards.liquidate_at(instrument, price, now, active_from)
        else:
            guards.move_liquidation(stop, price, now)
        standing = self._at(instrument, price)
        stop.call = CallRow(
            ts=now,
            kind="liquidation_price",
            status="liquidation",
            equity=standing.left,
            requirement=standing.needed,
            amount=standing.needed - standing.left,
            deadline=None,
        )

    def _first_reached(self, instrument: Instrument, worst: int) -> int | None:
        """Return the first tick from the mark to the worst price that is reached; None where that is not."""
        mark = self.margin.account.marks[instrument.index]
        sign = 1 if self.margin.account.ledger.quantity(instrument) > 0 else -1
        # Ticks are counted from the mark on, in the direction that is worse.
        tick = instrument.tick
        first = sign * (mark * sign // tick) * tick
        if self._at(instrument, mark).is_reached:
            return first
        if (worst - mark) * sign >= 0 or not self._at(instrument, worst).is_reached:
            return None
        before, reached = -1, -(-(first - worst) * sign // tick)
        while reached - before > 1:
            middle = (before + reached) // 2
            if self._at(instrument, first - sign * middle * tick).is_reached:
                reached = middle
            else:
                before = middle
        return first - sign * reached * tick

    def _at(self, instrument: Instrument, price: int) -> _Standing:
        """Return what stands behind a position at a price."""
        margin, account = self.margin, self.margin.account
        held = account.ledger.holding(instrument)
        quantity, currency = held.quantity, instrument.currency
        value = instrument.cash(price, quantity)
        if self.venue.plan.margin.is_isolated:
            own = margin.alone(instrument, quantity, held.average).initial
            left = own + account.to_base(value - held.basis, currency)
            return _Standing(left, margin.alone(instrument, quantity, price).maintenance)
        left = account.equity + account.to_base(value - account.notional(instrument), currency)
        others = [
            Entry(each.instrument, each.quantity, price) if each.instrument is instrument else each
            for each in margin.held()
        ]
        return _Standing(left, margin.of(others).maintenance)
