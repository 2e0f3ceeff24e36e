"""Liquidation by orders: what the venue closes of a portfolio when the time of a margin call is over.

While an order of a liquidation before is open, nothing more is done. The liquidation model says how much of
each position is closed. First every order ends that has not ended, but those of position rules, which guard
what is held. Then market orders close what the model said, in whole lots: they are accepted at once, without
latency, only ever reduce, and the strategy can neither cancel nor change them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.models import Holding, LiquidationArgs
from ml4t.core.types import OrderStatus
from ml4t.reference.asking import asked, refuse
from ml4t.reference.guards import LIQUIDATION
from ml4t.reference.margin import BOOK, Entry, Margin, Requirement, number_of
from ml4t.reference.numbers import cash_float
from ml4t.reference.plan import Instrument
from ml4t.reference.venue import Venue

__all__ = ["Liquidator", "Occasion"]


@attrs.frozen(kw_only=True)
class Occasion:
    """Why positions are closed: what the account lacks, in cash units of the base currency, and when."""

    now: int
    after_opens: bool
    deficit: int
    needs: Requirement
    is_overnight: bool

    @property
    def share(self) -> float:
        """What a position needs in this respect, for each unit of its maintenance."""
        if not self.is_overnight or self.needs.overnight is None or self.needs.maintenance == 0:
            return 1.0
        return cash_float(self.needs.overnight) / cash_float(self.needs.maintenance)


@attrs.frozen
class Liquidator:
    """Asks the liquidation model, and sends the orders that it asks for."""

    venue: Venue
    margin: Margin

    def asked_for(self, occasion: Occasion) -> list[tuple[Entry, int]]:
        """Return how many units of which position are closed; nothing while a liquidation is at work."""
        if any(order.liquidates for order in self.venue.book.open()):
            return []
        entries = self.margin.held()
        units = self._ask(entries, occasion)
        return [pair for pair in zip(entries, units, strict=True) if pair[1]]

    def liquidate(self, closed: Sequence[tuple[Entry, int]], occasion: Occasion) -> None:
        """Take all other orders back, and close positions."""
        for order in self.venue.book.open():
            # One that a cancel before has taken along has ended already.
            if order.rule is None and not order.buys_in and not order.rolls and order.is_open:
                self.venue.end(order, occasion.now, OrderStatus.CANCELED, "LIQUIDATION")
        for entry, units in closed:
            self._send(entry, units, occasion)

    # -- what is closed ----------------------------------------------------------------------------------

    def _ask(self, entries: Sequence[Entry], occasion: Occasion) -> list[int]:
        """Return the units that are closed of each position."""
        account, model, now = self.margin.account, self.venue.plan.models.liquidation, occasion.now
        args = LiquidationArgs(
            ts_ns=now,
            cash=cash_float(account.cash),
            equity=cash_float(account.equity),
            deficit=cash_float(occasion.deficit),
            holdings=self._holdings(entries, occasion),
        )
        with asked(model, BOOK, now, "liquidation: "):
            return _read(model.evaluate(args), entries)

    def _holdings(self, entries: Sequence[Entry], occasion: Occasion) -> tuple[Holding, ...]:
        """Return the positions as the model sees them: with what each needs, and what it has gained."""
        plain = self.margin.holdings(entries)
        return tuple(
            attrs.evolve(
                holding,
                unrealized=cash_float(self._gained(entry.instrument)),
                requirement=cash_float(needed) * occasion.share,
            )
            for holding, entry, needed in zip(plain, entries, occasion.needs.each, strict=True)
        )

    def _gained(self, instrument: Instrument) -> int:
        """Return what a position has gained and not taken or settled yet, in the base currency."""
        account = self.margin.account
        gained = account.notional(instrument) - account.ledger.holding(instrument).basis
        return account.to_base(gained, instrument.currency)

    # -- orders ------------------------------------------------------------------------------------------

    def _send(self, entry: Entry, units: int, occasion: Occasion) -> None:
        """Send the order that closes a position: for the bars of this instant only before they open."""
        signed = -units if entry.quantity > 0 else units
        now = occasion.now
        self.venue.book.send_for_the_broker(
            entry.instrument, signed, now, now + occasion.after_opens, tag=LIQUIDATION, liquidates=True
        )


def _read(answer: Any, entries: Sequence[Entry]) -> list[int]:  # noqa: ANN401 - what a model answers
    close = [number_of("close", float(each)) for each in answer.close]
    if len(close) != len(entries):
        refuse(f"close has {len(close)} numbers for {len(entries)} positions")
    return [
        min(_whole_lots(quantity, entry.instrument), abs(entry.quantity))
        for quantity, entry in zip(close, entries, strict=True)
    ]


def _whole_lots(quantity: float, instrument: Instrument) -> int:
    """Return the fewest units in whole lots that are not less than a quantity, as floats see them.

    The float of 0.1 lies a little above 0.1, and is one lot of 0.1 all the same.
    """
    lots: int = math.ceil(Fraction(quantity) * 10**instrument.quantity_exponent / instrument.lot)
    if lots and instrument.quantity((lots - 1) * instrument.lot) >= quantity:
        lots -= 1
    return lots * instrument.lot
