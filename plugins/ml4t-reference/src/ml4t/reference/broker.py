"""The broker as a strategy sees it: sending orders, reading the account.

Numbers are exact: "0.1", 0.1 and 0.100 are one price. What cannot be expressed is an exception here; what the
market or the account refuses is an order that intake rejects, with a code and a sentence.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, TypeVar, final

import attrs

from ml4t.core.errors import (
    ArgumentError,
    DataError,
    EngineStateError,
    NumericOverflowError,
    OrderError,
    unknown_name,
)
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.core.values import to_decimal
from ml4t.reference.events import number_text
from ml4t.reference.intake import Cancel, Intake
from ml4t.reference.numbers import LARGEST_STEP, cash_float, plain_text
from ml4t.reference.orders import Order
from ml4t.reference.plan import Instrument
from ml4t.reference.readable import Readable
from ml4t.reference.rules import read_rules
from ml4t.reference.targets import cash_units, lots_for_value
from ml4t.reference.timestamp import Timestamp, text_of
from ml4t.reference.venue import Venue

__all__ = ["Broker", "Desk", "OrderHandle", "Position"]

_E = TypeVar("_E", bound=Enum)


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
        """Ask to take an order back; False when it is complete already."""
        self.sending()
        if not order.is_open:
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
    unrealized_pnl: float  #: gain not yet taken, before fees
    realized_pnl: float  #: gain taken so far on this instrument, before fees

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
        """Stop price; None without one."""
        return self._price(self._order.stop_price)

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


@final
class Broker:
    """Orders and account of one strategy; see `ml4t.core.sources.Broker`."""

    __slots__ = ("_desk",)

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # -- reading -----------------------------------------------------------------------------------------

    @property
    def open_orders(self) -> list[OrderHandle]:
        """Orders that can still change, in the order in which they were sent."""
        self._desk.reading()
        return [self._handle(order) for order in self._desk.venue.book.open()]

    @property
    def rejected_orders(self) -> list[OrderHandle]:
        """Orders that were refused."""
        self._desk.reading()
        orders = self._desk.venue.book.orders
        return [self._handle(order) for order in orders if order.status is OrderStatus.REJECTED]

    @property
    def positions(self) -> dict[str, Position]:
        """Positions that are not flat, by symbol."""
        self._desk.reading()
        return {each.symbol: self._position(each) for each in self._desk.venue.account.held()}

    @property
    def buying_power(self) -> float:
        """What may still be bought, or sold short, after what working orders have reserved."""
        self._desk.reading()
        venue = self._desk.venue
        power = self._desk.intake.pricing.power(venue.account)
        return cash_float(venue.account.free(power, venue.book.working()))

    def get_order(self, order: OrderHandle | int) -> OrderHandle:
        """Return the live view of an order."""
        self._desk.reading()
        return self._handle(self._find(order))

    def get_position(self, asset: str) -> Position | None:
        """Return the position as it is now, or None when nothing is held."""
        self._desk.reading()
        instrument = self._desk.instrument(asset)
        return self._position(instrument) if self._desk.venue.account.ledger.quantity(instrument) else None

    def get_cash(self) -> float:
        """Return cash at hand."""
        self._desk.reading()
        return cash_float(self._desk.venue.account.cash)

    def get_account_value(self) -> float:
        """Return equity: cash, dividends due, and positions at prices that have arrived."""
        self._desk.reading()
        return cash_float(self._desk.intake.pricing.equity(self._desk.venue.account))

    def _position(self, instrument: Instrument) -> Position:
        account = self._desk.venue.account
        holding = account.ledger.holding(instrument)
        mark, value = self._desk.intake.pricing.value(account, instrument)
        return Position(
            symbol=instrument.symbol,
            quantity=instrument.quantity(holding.quantity),
            avg_price=instrument.price(holding.average),
            mark_price=instrument.price(holding.average if mark is None else mark),
            market_value=cash_float(value),
            unrealized_pnl=cash_float(value - holding.cost),
            realized_pnl=cash_float(holding.realized),
        )

    # -- sending -----------------------------------------------------------------------------------------

    def submit_order(  # noqa: PLR0913 - the fields of an order
        self,
        asset: str,
        quantity: object,
        side: Side | str | None = None,
        order_type: OrderType | str | None = None,
        limit_price: object = None,
        stop_price: object = None,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle:
        """Send an order; without a side the sign of the quantity is the direction."""
        self._desk.sending()
        instrument = self._desk.instrument(asset)
        units = self._number("quantity", quantity, instrument)
        if side is None:
            chosen = Side.SELL if units < 0 else Side.BUY
            units = abs(units)
        else:
            chosen = _member(Side, "side", side)
        kind = OrderType.MARKET if order_type is None else _member(OrderType, "order_type", order_type)
        return self._send(
            instrument, units, chosen, kind, limit_price, stop_price, time_in_force=time_in_force, tag=tag
        )

    def buy(self, asset: str, quantity: object, **terms: Any) -> OrderHandle:  # noqa: ANN401
        """Send a buy order; without `order_type` the given prices say which."""
        return self._directed(asset, quantity, Side.BUY, **terms)

    def sell(self, asset: str, quantity: object, **terms: Any) -> OrderHandle:  # noqa: ANN401
        """Send a sell order; without `order_type` the given prices say which."""
        return self._directed(asset, quantity, Side.SELL, **terms)

    def _directed(  # noqa: PLR0913 - the fields of an order
        self,
        asset: str,
        quantity: object,
        side: Side,
        *,
        order_type: OrderType | str | None = None,
        limit_price: object = None,
        stop_price: object = None,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle:
        self._desk.sending()
        instrument = self._desk.instrument(asset)
        units = self._number("quantity", quantity, instrument)
        if order_type is None:
            by_prices = {
                (False, False): OrderType.MARKET,
                (True, False): OrderType.LIMIT,
                (False, True): OrderType.STOP,
                (True, True): OrderType.STOP_LIMIT,
            }
            kind = by_prices[limit_price is not None, stop_price is not None]
        else:
            kind = _member(OrderType, "order_type", order_type)
        return self._send(
            instrument, units, side, kind, limit_price, stop_price, time_in_force=time_in_force, tag=tag
        )

    def _send(  # noqa: PLR0913 - the fields of an order
        self,
        instrument: Instrument,
        units: Fraction,
        side: Side,
        kind: OrderType,
        limit_price: object,
        stop_price: object,
        *,
        time_in_force: TimeInForce | str | None,
        tag: str | None,
    ) -> OrderHandle:
        where = f"({instrument.symbol}, {text_of(self._desk.now)})"
        if units <= 0:
            message = f"quantity of an order must be above zero {where}"
            raise OrderError(message)
        prices: dict[str, Fraction | None] = {}
        for word, given in (("limit", limit_price), ("stop", stop_price)):
            name = f"{word}_price"
            if (word in kind.value.split("_")) != (given is not None):
                what = f"needs a {name}" if given is None else f"takes no {name}"
                message = f"a {kind.value} order {what} {where}"
                raise OrderError(message)
            prices[name] = None if given is None else self._number(name, given, instrument)
        life = (
            TimeInForce.GTC if time_in_force is None else _member(TimeInForce, "time_in_force", time_in_force)
        )
        order = Order(
            id=len(self._desk.venue.book.orders) + 1,
            instrument=instrument,
            side=side,
            order_type=kind,
            time_in_force=life,
            quantity=units,
            limit_price=prices["limit_price"],
            stop_price=prices["stop_price"],
            tag=tag or "",
            ts_submitted=self._desk.now,
        )
        self._desk.venue.book.orders.append(order)
        self._desk.intake.asks.append(order)
        return self._handle(order)

    def cancel_order(self, order: OrderHandle | int) -> bool:
        """Ask to take an order back; False when it is complete already."""
        self._desk.sending()
        return self._desk.cancel(self._find(order))

    # -- targets -----------------------------------------------------------------------------------------

    def order_target_percent(
        self,
        asset: str,
        percent: object,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle | None:
        """Send the market order that takes a position towards a fraction of equity."""
        self._desk.sending()
        instrument = self._desk.instrument(asset)
        worth = self._desk.intake.pricing.equity(self._desk.venue.account)
        value = Fraction(_decimal("percent", percent)) * worth
        return self._to_value(instrument, value, time_in_force, tag)

    def order_target_value(
        self,
        asset: str,
        value: object,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle | None:
        """Send the market order that takes a position towards a market value."""
        self._desk.sending()
        instrument = self._desk.instrument(asset)
        return self._to_value(instrument, cash_units(_decimal("value", value)), time_in_force, tag)

    def order_target_quantity(
        self,
        asset: str,
        quantity: object,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle | None:
        """Send the market order that takes a position to signed units."""
        self._desk.sending()
        instrument = self._desk.instrument(asset)
        units = Fraction(_decimal("quantity", quantity)) * 10**instrument.quantity_exponent
        handle = self._to_units(instrument, _fits(units, "quantity", instrument), time_in_force, tag)
        if handle is not None and units.denominator != 1:
            lot = plain_text(instrument.lot, instrument.quantity_exponent)
            where = f"({instrument.symbol}, {text_of(self._desk.now)})"
            text = f"target quantity {quantity} is not a multiple of lot_size {lot} {where}"
            handle.of(self._desk).refusal = ("OFF_LOT", text)
        return handle

    def order_target_weights(
        self,
        weights: Any,  # noqa: ANN401 - a mapping of symbols to fractions; checked here
        *,
        keep_others: bool = False,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> list[OrderHandle]:
        """Trade a basket towards fractions of equity: sells first, then buys, each by symbol."""
        self._desk.sending()
        if not isinstance(weights, Mapping):
            message = f"weights are a mapping of symbols to fractions of equity, found {weights!r}"
            raise ArgumentError(message)
        wanted = {
            self._desk.instrument(symbol).index: Fraction(_decimal("weight", weight))
            for symbol, weight in weights.items()
        }
        if not keep_others:
            instruments = self._desk.venue.plan.instruments
            wanted = {each.index: Fraction(0) for each in instruments if self._projected(each)} | wanted
        equity = self._desk.intake.pricing.equity(self._desk.venue.account)
        sizes = [
            (instrument, self._size(instrument, wanted[instrument.index] * equity))
            for instrument in self._desk.venue.plan.instruments
            if instrument.index in wanted
        ]
        sells = [each for each in sizes if each[1][0] < 0]
        buys = [each for each in sizes if each[1][0] > 0]
        handles = (
            self._market(instrument, units, time_in_force, tag, has_price=has_price)
            for instrument, (units, has_price) in (*sells, *buys)
        )
        return [handle for handle in handles if handle is not None]

    def close_position(
        self,
        asset: str,
        *,
        time_in_force: TimeInForce | str | None = None,
        tag: str | None = None,
    ) -> OrderHandle | None:
        """Send the market order that closes a position; None when there is none."""
        self._desk.sending()
        return self._to_units(self._desk.instrument(asset), Fraction(0), time_in_force, tag)

    def set_position_rules(self, rules: Any) -> None:  # noqa: ANN401 - a rule, a composite of rules, or None
        """Guard all positions, open and future, with rules that rest at the venue as orders.

        Rules send nothing by themselves, so `on_start` may set them.
        """
        if self._desk.is_over or self._desk.readable.epoch.now is not None:
            self._desk.sending()
        self._desk.intake.asks.append(read_rules(rules))

    def _to_value(
        self,
        instrument: Instrument,
        value: Fraction,
        time_in_force: TimeInForce | str | None,
        tag: str | None,
    ) -> OrderHandle | None:
        units, has_price = self._size(instrument, value)
        return self._market(instrument, units, time_in_force, tag, has_price=has_price)

    def _size(self, instrument: Instrument, value: Fraction) -> tuple[Fraction, bool]:
        """Return the signed difference to a market value, and whether there is a price to size it with.

        Without a price it is one lot, so that the order can be shown and refused; nothing at all needs none.
        """
        if value == 0:
            return -Fraction(self._projected(instrument)), True
        price = self._desk.intake.pricing.last(instrument)
        units = None if price is None else lots_for_value(value, price, instrument)
        if units is None:
            return Fraction(instrument.lot if value > 0 else -instrument.lot), False
        return _fits(Fraction(units), "quantity", instrument) - self._projected(instrument), True

    def _to_units(
        self,
        instrument: Instrument,
        units: Fraction,
        time_in_force: TimeInForce | str | None,
        tag: str | None,
    ) -> OrderHandle | None:
        return self._market(instrument, units - self._projected(instrument), time_in_force, tag)

    def _projected(self, instrument: Instrument) -> int:
        """Return the position with all market orders that still work counted as filled.

        Those that intake is going to refuse do not work.
        """
        venue = self._desk.venue
        waiting = (
            order.sign * order.leaves
            for order in venue.book.open()
            if order.instrument is instrument
            and order.order_type is OrderType.MARKET
            and order.refusal is None
            and order.quantity.denominator == 1
        )
        return venue.account.ledger.quantity(instrument) + sum(waiting)

    def _market(
        self,
        instrument: Instrument,
        units: Fraction,
        time_in_force: TimeInForce | str | None,
        tag: str | None,
        *,
        has_price: bool = True,
    ) -> OrderHandle | None:
        if units == 0:
            return None
        side = Side.BUY if units > 0 else Side.SELL
        handle = self._send(
            instrument, abs(units), side, OrderType.MARKET, None, None, time_in_force=time_in_force, tag=tag
        )
        if not has_price:
            when = text_of(self._desk.now)
            handle.of(self._desk).refusal = (
                "NO_PRICE",
                f"{instrument.symbol} has no price yet to size an order with ({when}); wait for its first "
                "row, or send a quantity",
            )
        return handle

    # -- helpers -----------------------------------------------------------------------------------------

    def _handle(self, order: Order) -> OrderHandle:
        return OrderHandle(self._desk, order)

    def _find(self, order: object) -> Order:
        if isinstance(order, OrderHandle):
            return order.of(self._desk)
        try:
            number = operator.index(order)  # type: ignore[arg-type]
        except TypeError:
            number = -1
        if number < 0 or isinstance(order, bool):
            message = f"an order is named by its handle or by its id, found {order!r}"
            raise OrderError(message)
        orders = self._desk.venue.book.orders
        if not 1 <= number <= len(orders):
            message = f"no order {number}; this run has sent {len(orders)} so far"
            raise OrderError(message)
        return orders[number - 1]

    def _number(self, name: str, value: object, instrument: Instrument) -> Fraction:
        exponent = instrument.quantity_exponent if name == "quantity" else instrument.price_exponent
        return _fits(Fraction(_decimal(name, value)) * 10**exponent, name, instrument)


def _fits(units: Fraction, name: str, instrument: Instrument) -> Fraction:
    if abs(units) > LARGEST_STEP:
        message = f"{name} of {instrument.symbol} leaves the range of 64 bits"
        raise NumericOverflowError(message)
    return units


def _decimal(name: str, value: object) -> Decimal:
    plain = value.item() if hasattr(value, "item") else value
    try:
        return to_decimal(plain)
    except DataError:
        message = f"{name} = {value!r} is not a finite number"
        raise OrderError(message) from None


def _member(kind: type[_E], name: str, value: object) -> _E:
    if isinstance(value, kind):
        return value
    members: Iterator[_E] = iter(kind)
    by_name = {str(member.value): member for member in members}
    found = by_name.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        message = f"{name} {value!r} is not known; allowed: {', '.join(by_name)}"
        raise OrderError(message)
    return found
