"""Rolls: a position in one futures contract is closed, and as many units of the next one are opened.

A roll is due as its session opens, phase 7, before anybody is called. With `next_open` its orders are sent
then. With `settlement` they wait for the first instant after that at which both contracts are settled, and
fill there, in phase 3, right after variation margin was paid: each at its settlement price, or at the mark of
its last complete row where its calendar settles it.

First every order of the strategy for the contract that is left is taken back. What is held, less what orders
of the broker are closing already, is then rolled by two market orders of the broker: one that only reduces,
and one that opens. What an earlier roll has still to open of the contract is opened of the next one instead.
Whatever a fill costs, theirs do; only the account is not asked whether it can carry them.
"""

from __future__ import annotations

import attrs

from ml4t.core.types import OrderStatus, OrderType
from ml4t.reference.market import Data, Market, mark_of
from ml4t.reference.matching import at_close
from ml4t.reference.orders import Order, is_decided
from ml4t.reference.plan import Instrument, Roll
from ml4t.reference.settlement import Settling
from ml4t.reference.venue import Venue

__all__ = ["Roller"]

ROLL = "roll"  #: tag of its orders


@attrs.define
class Roller:
    """Knows which rolls are still to come, and does those that are due."""

    venue: Venue
    market: Market
    settling: Settling
    ahead: list[Roll] = attrs.field(init=False)
    waiting: list[Roll] = attrs.field(factory=list)  #: for settlement prices

    @ahead.default
    def _default_ahead(self) -> list[Roll]:
        return list(self.venue.plan.rolls)

    def begin(self, now: int) -> None:
        """Begin the rolls whose session opens."""
        while self.ahead and self.ahead[0].ts <= now:
            roll = self.ahead.pop(0)
            if roll.at_settlement:
                self.waiting.append(roll)
            else:
                self._send(roll, now)

    def settle(self, now: int) -> None:
        """Do the rolls that wait, where both contracts are settled at this instant."""
        for roll in list(self.waiting):
            contracts = [self.venue.plan.instruments[index] for index in (roll.old, roll.new)]
            prices = [self._price(each, now) for each in contracts]
            if None in prices:
                continue
            self.waiting.remove(roll)
            for order in self._send(roll, now):
                price = prices[contracts.index(order.instrument)]
                data = self.market.last(order.instrument)
                assert data is not None and price is not None
                self.venue.attempt(order, at_close(order, price), data, now, open_only=False)

    def _price(self, instrument: Instrument, now: int) -> int | None:
        """Return the price at which a contract is settled now; None where it is not, or never traded."""
        data: Data | None = self.market.last(instrument)
        if data is None:
            return None
        given = self.settling.prices.get(now, {}).get(instrument.index)
        if given is not None:
            return given
        return mark_of(data) if now in self.settling.closes.get(instrument.index, ()) else None

    def _send(self, roll: Roll, now: int) -> list[Order]:
        """Send the two orders of a roll, or what is needed of them."""
        venue, old = self.venue, self.venue.plan.instruments[roll.old]
        for order in venue.book.open():
            # One that a cancel before has taken along has ended already.
            is_own = order.instrument is old and not order.is_of_the_broker
            if is_own and order.is_open:
                venue.end(order, now, OrderStatus.CANCELED, "ROLLED")
        waiting = self._take_back(old, now)
        held = venue.account.ledger.quantity(old)
        closing = sum(
            order.sign * order.leaves
            for order in venue.book.working()
            if order.instrument is old and order.is_of_the_broker and order.order_type is OrderType.MARKET
        )
        units = held + closing if (held + closing) * held > 0 else 0
        sent = []
        if units:
            sent.append(venue.book.send_for_the_broker(old, -units, now, now, tag=ROLL, rolls=True))
        if units + waiting:
            new = venue.plan.instruments[roll.new]
            opens = {"tag": ROLL, "rolls": True, "reduce_only": False}
            sent.append(venue.book.send_for_the_broker(new, units + waiting, now, now, **opens))
        return sent

    def _take_back(self, old: Instrument, now: int) -> int:
        """Take back what a roll before has still to open of a contract, and return how many units that is.

        What an open has decided and a bar has yet to book stays.
        """
        legs = [
            order
            for order in self.venue.book.open()
            if order.instrument is old
            and order.rolls
            and not order.reduce_only
            and not is_decided(order, now)
        ]
        units = sum(order.sign * order.leaves for order in legs)
        for order in legs:
            self.venue.end(order, now, OrderStatus.CANCELED, "ROLLED")
        return units
