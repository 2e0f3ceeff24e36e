"""What broker and handles share, and what a strategy gets from them: live views of orders, and positions."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import final

import attrs

from ml4t.core.errors import ArgumentError, EngineStateError, OrderError, unknown_name
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference.account import Account
from ml4t.reference.events import number_text
from ml4t.reference.intake import Cancel, Intake
from ml4t.reference.numbers import cash_float
from ml4t.reference.orders import Order
from ml4t.reference.plan import Instrument
from ml4t.reference.pricing import Pricing
from ml4t.reference.readable import Readable
from ml4t.reference.timestamp import Timestamp
from ml4t.reference.venue import Venue

__all__ = ["Desk", "OrderHandle", "Position"]


@attrs.define(eq=False)
class Desk:
    """What broker and handles share: the venue, intake, and whether the strategy may act now."""

    venue: Venue
    intake: Intake
    readable: Readable
    is_running: bool = False
    is_over: bool = False
    in_callback: bool = False
    thread: int = 0

    @property
    def now(self) -> int:
        """The present instant."""
        now = self.readable.epoch.now
        return 0 if now is None else now

    def reading(self) -> None:
        """Refuse to be read while the engine is at work: by a model, or by another thread."""
        if self.is_running and not self.in_callback:
            message = "the engine is at work: models and other threads may not use the broker"
            raise EngineStateError(message)

    def sending(self) -> None:
        """Refuse orders before the first event, after the run, and from other threads."""
        if self.is_over:
            message = "the run is over; no order can be sent or canceled"
            raise EngineStateError(message)
        if not self.is_running or self.readable.epoch.now is None:
            message = "orders can be sent from the first event on, not in on_start"
            raise EngineStateError(message)
        if threading.get_ident() != self.thread:
            message = "orders may be sent only from the thread that runs the strategy"
            raise EngineStateError(message)
        self.reading()

    def instrument(self, symbol: object) -> Instrument:
        """Return the instrument of a symbol."""
        if not isinstance(symbol, str):
            message = f"a symbol is a str, found {symbol!r}"
            raise ArgumentError(message)
        plan = self.venue.plan
        for instrument in plan.instruments:
            if instrument.symbol == symbol:
                return instrument
        raise unknown_name("symbol", symbol, plan.symbols)  # noqa: EM101

    def cancel(self, order: Order) -> bool:
        """Ask to take an order back; False when it is complete already, or belongs to a liquidation."""
        self.sending()
        if not order.is_open or order.is_of_the_broker:
            return False
        self.intake.asks.append(Cancel(order))
        return True


@attrs.frozen(kw_only=True, repr=False)
class Position:
    """A holding at the moment it was asked for; it does not change afterwards."""

    symbol: str
    quantity: float  #: units, negative for a short position
    avg_price: float  #: average cost per unit, fees apart
    mark_price: float  #: price at which it is valued
    market_value: float  #: value at the mark, negative for a short position
    unrealized_pnl: float  #: gain not yet taken or settled, before fees
    realized_pnl: float  #: gain taken so far on this instrument, variation margin included, before fees

    @classmethod
    def of(cls, pricing: Pricing, account: Account, instrument: Instrument) -> Position:
        """Return a position as a strategy may know it now."""
        holding = account.ledger.holding(instrument)
        known = pricing.position(account, instrument)
        return cls(
            symbol=instrument.symbol,
            quantity=instrument.quantity(holding.quantity),
            avg_price=instrument.price(holding.average),
            mark_price=instrument.price(holding.average if known.price is None else known.price),
            market_value=cash_float(known.notional),
            unrealized_pnl=cash_float(known.notional - holding.basis),
            realized_pnl=cash_float(holding.realized),
        )

    def __repr__(self) -> str:
        quantity, price, value = (
            number_text(each) for each in (self.quantity, self.avg_price, self.market_value)
        )
        return f"Position({self.symbol}, {quantity} at {price}, worth {value})"


@final
class OrderHandle:
    """Live view of an order: every attribute is what the order is now, also after the run."""

    __slots__ = ("_desk", "_order")

    def __init__(self, desk: Desk, order: Order) -> None:
        self._desk = desk
        self._order = order

    def of(self, desk: Desk) -> Order:
        """Return the order, for the run that it belongs to."""
        if desk is not self._desk:
            message = f"order {self._order.id} belongs to another run"
            raise OrderError(message)
        return self._order

    @property
    def id(self) -> int:
        """Number of the order in its run, from 1."""
        return self._order.id

    @property
    def client_order_id(self) -> str:
        """Id that a broker is given."""
        return f"0-{self._order.id}"

    @property
    def asset(self) -> str:
        """Symbol."""
        return self._order.instrument.symbol

    @property
    def side(self) -> Side:
        """Buy or sell."""
        return self._order.side

    @property
    def order_type(self) -> OrderType:
        """Kind."""
        return self._order.order_type

    @property
    def time_in_force(self) -> TimeInForce:
        """Lifetime."""
        return self._order.time_in_force

    @property
    def status(self) -> OrderStatus:
        """State."""
        return self._order.status

    @property
    def is_open(self) -> bool:
        """Whether the order can still change."""
        return self._order.is_open

    @property
    def quantity(self) -> float:
        """Units asked for, above zero; a split scales them."""
        return self._units(self._order.quantity)

    @property
    def filled_quantity(self) -> float:
        """Units filled."""
        return self._units(self._order.filled)

    @property
    def leaves_quantity(self) -> float:
        """Units that can still fill."""
        order = self._order
        return self._units(order.quantity - order.filled) if order.is_open else 0.0

    @property
    def avg_fill_price(self) -> float | None:
        """Average price of the fills; None before the first."""
        return self._price(self._order.average)

    @property
    def limit_price(self) -> float | None:
        """Limit price; None without one."""
        return self._price(self._order.limit_price)

    @property
    def stop_price(self) -> float | None:
        """Price that triggers; None without one, and for a trailing stop that has seen no price yet."""
        return self._price(self._order.stop_price)

    @property
    def trail_amount(self) -> float | None:
        """Distance of a trailing stop in units of price; None without one."""
        return self._price(self._order.trail_amount)

    @property
    def trail_fraction(self) -> float | None:
        """Distance of a trailing stop as a fraction of its water mark; None without one."""
        fraction = self._order.trail_fraction
        return None if fraction is None else float(fraction)

    @property
    def limit_offset(self) -> float | None:
        """Distance of the limit behind a trailing stop; None without one."""
        return self._price(self._order.limit_offset)

    @property
    def activation_price(self) -> float | None:
        """Price that the market has to reach before a trailing stop does anything; None without one."""
        return self._price(self._order.activation_price)

    @property
    def display_quantity(self) -> float | None:
        """Units that a resting limit shows; None for all of them."""
        shown = self._order.display_quantity
        return None if shown is None else self._units(shown)

    @property
    def pending(self) -> str | None:
        """`cancel` or `replace` while such a request is under way to the venue, else None."""
        return self._order.pending

    @property
    def reason_code(self) -> str:
        """Code of the reason for its state; empty where nothing is to explain."""
        return self._order.reason_code

    @property
    def reason(self) -> str:
        """Sentence that explains its state."""
        return self._order.reason

    @property
    def tag(self) -> str:
        """Free text given with the order; the name of the rule for an order of a position rule."""
        return self._order.tag

    @property
    def ts_submitted(self) -> Timestamp:
        """When it was sent."""
        return Timestamp(self._order.ts_submitted)

    def cancel(self) -> bool:
        """Ask to take the order back; False when it is complete already."""
        return self._desk.cancel(self._order)

    def _units(self, units: Fraction | int) -> float:
        return self._order.instrument.quantity(units)

    def _price(self, units: Fraction | None) -> float | None:
        return None if units is None else self._order.instrument.price(units)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OrderHandle) and other._order is self._order

    def __hash__(self) -> int:
        return hash((id(self._desk), self._order.id))

    def __int__(self) -> int:
        return self._order.id

    def __repr__(self) -> str:
        order = self._order
        quantity = number_text(self.quantity)
        return (
            f"OrderHandle({order.id}, {order.order_type.value} {order.side.value} {quantity} "
            f"{order.instrument.symbol}, {order.status.value})"
        )
