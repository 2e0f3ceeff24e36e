"""The broker as a strategy sees it: sending orders, reading the account.

Numbers are exact: "0.1", 0.1 and 0.100 are one price. What cannot be expressed is an exception here; what the
market or the account refuses is an order that intake rejects, with a code and a sentence.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, final

from ml4t.core.errors import ArgumentError, OrderError, unknown_name
from ml4t.core.policies import LotRounding, Policies, TargetOrders, TargetRounding
from ml4t.core.types import LotPolicy, OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference import power
from ml4t.reference.desk import Desk, OrderHandle, Position
from ml4t.reference.numbers import cash_float, plain_text
from ml4t.reference.orders import Group, Order
from ml4t.reference.plan import Instrument
from ml4t.reference.replace import Replace
from ml4t.reference.rules import read_rules
from ml4t.reference.targets import cash_units, lots_for_value, whole_lots
from ml4t.reference.terms import LINKS, Reader, amount_to_convert, decimal, fits, kind_of, member
from ml4t.reference.timestamp import text_of

__all__ = ["Broker"]


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
        """What may still be bought, or sold short, after what working orders have reserved; base currency."""
        self._desk.reading()
        venue = self._desk.venue
        if venue.account.is_unlimited:
            return math.inf
        aside = venue.account.set_aside(venue.book.working())
        return cash_float(power.free(venue.account, self._desk.intake.pricing, aside))

    def get_order(self, order: OrderHandle | int) -> OrderHandle:
        """Return the live view of an order."""
        self._desk.reading()
        return self._handle(self._find(order))

    def get_position(self, asset: str) -> Position | None:
        """Return the position as it is now, or None when nothing is held."""
        self._desk.reading()
        instrument = self._desk.instrument(asset)
        return self._position(instrument) if self._desk.venue.account.ledger.quantity(instrument) else None

    def get_cash(self, currency: str | None = None, *, settled: bool = False) -> float:
        """Return cash at hand, or what of it has settled: of one currency, or of all in the base currency."""
        self._desk.reading()
        account = self._desk.venue.account
        cash_in = account.settled_in if settled else account.cash_in
        if currency is None:
            return cash_float(account.in_base(cash_in))
        if currency not in account.currencies.names:
            raise unknown_name("currency", currency, account.currencies.names)  # noqa: EM101
        return cash_float(cash_in(currency))

    def get_account_value(self) -> float:
        """Return equity in the base currency: cash, dividends due, positions at prices that have arrived."""
        self._desk.reading()
        return cash_float(self._desk.intake.pricing.equity(self._desk.venue.account))

    def _position(self, instrument: Instrument) -> Position:
        return Position.of(self._desk.intake.pricing, self._desk.venue.account, instrument)

    # -- sending -----------------------------------------------------------------------------------------

    def submit_order(
        self,
        asset: str,
        quantity: object,
        side: Side | str | None = None,
        order_type: OrderType | str | None = None,
        limit_price: object = None,
        stop_price: object = None,
        **terms: Any,  # noqa: ANN401 - of `OrderTerms`
    ) -> OrderHandle:
        """Send an order; without a side the sign of the quantity is the direction."""
        self._desk.sending()
        instrument = self._desk.instrument(asset)
        units = self._cut(self._units(quantity, instrument), instrument)
        if side is None:
            chosen = Side.SELL if units < 0 else Side.BUY
            units = abs(units)
        else:
            chosen = member(Side, "side", side)
        terms |= {"limit_price": limit_price, "stop_price": stop_price}
        kind = OrderType.MARKET if order_type is None else order_type
        return self._send("submit_order", instrument, units, chosen, kind, terms)

    def buy(self, asset: str, quantity: object, **terms: Any) -> OrderHandle:  # noqa: ANN401
        """Send a buy order; without `order_type` the given prices say which."""
        return self._directed("buy", asset, quantity, Side.BUY, terms)

    def sell(self, asset: str, quantity: object, **terms: Any) -> OrderHandle:  # noqa: ANN401
        """Send a sell order; without `order_type` the given prices say which."""
        return self._directed("sell", asset, quantity, Side.SELL, terms)

    def _directed(
        self, name: str, asset: str, quantity: object, side: Side, terms: dict[str, Any]
    ) -> OrderHandle:
        self._desk.sending()
        instrument = self._desk.instrument(asset)
        units = self._cut(self._units(quantity, instrument), instrument)
        kind = terms.pop("order_type", None)
        return self._send(name, instrument, units, side, kind_of(terms) if kind is None else kind, terms)

    def _send(
        self,
        name: str,
        instrument: Instrument,
        units: Fraction,
        side: Side,
        kind: OrderType | str,
        terms: Mapping[str, Any],
    ) -> OrderHandle:
        if units <= 0:
            where = f"({instrument.symbol}, {text_of(self._desk.now)})"
            message = f"quantity of an order must be above zero {where}"
            raise OrderError(message)
        links = self._links(instrument, terms)
        own = {key: value for key, value in terms.items() if key not in LINKS}
        order = Order(
            id=len(self._desk.venue.book.orders) + 1,
            instrument=instrument,
            side=side,
            quantity=units,
            ts_submitted=self._desk.now,
            **self._reader(instrument).order(name, kind, units, own),
        )
        self._desk.venue.book.orders.append(order)
        self._link(order, links)
        self._desk.intake.asks.append(order)
        return self._handle(order)

    def _links(self, instrument: Instrument, terms: Mapping[str, Any]) -> dict[str, Order]:
        """Return the orders that an order is tied to, by keyword."""
        links = {key: self._find(terms[key]) for key in LINKS if terms.get(key) is not None}
        where = f"({instrument.symbol}, {text_of(self._desk.now)})"
        if "lot" in links and self._desk.venue.plan.account.lot_policy is LotPolicy.AVERAGE:
            message = f'lot: lot_policy = "average" keeps a single lot; there is none to name {where}'
            raise OrderError(message)
        if "oco" in links and "ouo" in links:
            message = f"an order belongs to one group at most: oco or ouo, not both {where}"
            raise OrderError(message)
        for kind in ("oco", "ouo"):
            other = links.get(kind)
            if other is None:
                continue
            if other.rule is not None:
                message = f"order {other.id} is kept by the rule {other.rule} and joins no group {where}"
                raise OrderError(message)
            if other.liquidates:
                message = f"order {other.id} belongs to a liquidation and joins no group {where}"
                raise OrderError(message)
            if other.buys_in:
                message = f"order {other.id} belongs to a buy-in and joins no group {where}"
                raise OrderError(message)
            if other.rolls:
                message = f"order {other.id} belongs to a roll and joins no group {where}"
                raise OrderError(message)
            if other.group is not None and other.group.kind != kind:
                message = (
                    f"order {other.id} belongs to the group {other.group.name}, which takes no {kind} {where}"
                )
                raise OrderError(message)
        return links

    def _link(self, order: Order, links: Mapping[str, Order]) -> None:
        """Tie an order to its parent, and let it join the group of another or begin one."""
        if (opener := links.get("lot")) is not None:
            order.opener = opener.id
        if (parent := links.get("parent")) is not None:
            order.parent = parent
            parent.children.append(order)
        for kind in ("oco", "ouo"):
            if (other := links.get(kind)) is None:
                continue
            if other.group is None:
                groups = self._desk.venue.book.groups
                other.group = Group(kind, len(groups) + 1, [other])
                groups.append(other.group)
            order.group = other.group
            order.group.members.append(order)

    def execute(self, asset: str, quantity: object, algorithm: object, *, tag: str | None = None) -> Any:  # noqa: ANN401
        """Refuse: this engine works no orders by execution algorithms."""
        del quantity, tag
        symbol = self._desk.instrument(asset).symbol
        message = (
            f"the engine 'reference' works no orders by execution algorithms, {algorithm!r} was asked for "
            f'({symbol}, {text_of(self._desk.now)}); set backtest.engine = "rust"'
        )
        raise OrderError(message)

    def bracket(
        self,
        entry: OrderHandle | int,
        *,
        limit_price: object,
        stop_price: object = None,
        trail_amount: object = None,
        trail_fraction: object = None,
        time_in_force: TimeInForce | str | None = None,
    ) -> tuple[OrderHandle, OrderHandle]:
        """Send a stop and a target that wait for `entry` and cancel each other; return their handles."""
        self._desk.sending()
        parent = self._find(entry)
        instrument = parent.instrument
        side = Side.SELL if parent.side is Side.BUY else Side.BUY
        shared = {"time_in_force": time_in_force}
        stop = shared | {"stop_price": stop_price}
        stop |= {"trail_amount": trail_amount, "trail_fraction": trail_fraction}
        is_trailing = trail_amount is not None or trail_fraction is not None
        kind = OrderType.TRAILING_STOP if is_trailing else OrderType.STOP
        target = shared | {"limit_price": limit_price}
        # Nothing is sent where one of the two cannot be.
        reader = self._reader(instrument)
        reader.order("bracket", kind, parent.asked, stop)
        reader.order("bracket", OrderType.LIMIT, parent.asked, target)
        link = {"parent": parent.id}
        first = self._send("bracket", instrument, parent.asked, side, kind, stop | link)
        link["oco"] = first.id
        return first, self._send("bracket", instrument, parent.asked, side, OrderType.LIMIT, target | link)

    def modify_order(self, order: OrderHandle | int, **changes: Any) -> bool:  # noqa: ANN401
        """Ask for another total quantity or other prices; False when the order is complete already."""
        self._desk.sending()
        found = self._find(order)
        terms = self._reader(found.instrument).changes(found, changes)
        if not found.is_open:
            return False
        if "quantity" in terms:
            terms["quantity"] = self._cut(terms["quantity"], found.instrument)
        self._desk.intake.asks.append(Replace(found, terms))
        return True

    def _reader(self, instrument: Instrument) -> Reader:
        sessions = self._desk.venue.plan.calendars[instrument.calendar]
        return Reader(instrument, sessions, self._desk.now)

    def cancel_order(self, order: OrderHandle | int) -> bool:
        """Ask to take an order back; False when it is complete already."""
        self._desk.sending()
        return self._desk.cancel(self._find(order))

    def convert(self, currency: str, amount: object) -> int:
        """Ask to buy an amount of a currency for the base currency, or below zero to sell it.

        Returns the number that the table of conversions names it by.
        """
        self._desk.sending()
        exchange, now = self._desk.venue.exchange, self._desk.now
        units = amount_to_convert(self._desk.venue.plan.currencies, currency, amount, now)
        return exchange.ask(currency, units, now)

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
        value = Fraction(decimal("percent", percent)) * worth
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
        return self._to_value(instrument, cash_units(decimal("value", value)), time_in_force, tag)

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
        given = self._units(quantity, instrument)
        units = self._cut(given, instrument)
        difference = units - self._expected(instrument)
        # A target of which a cut leaves nothing is refused as it was given.
        is_whole = given == 0 or whole_lots(given, instrument) != 0
        handle = self._market(instrument, difference, time_in_force, tag, cuts=is_whole)
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
            self._desk.instrument(symbol).index: Fraction(decimal("weight", weight))
            for symbol, weight in weights.items()
        }
        if not keep_others:
            instruments = self._desk.venue.plan.instruments
            wanted = {each.index: Fraction(0) for each in instruments if self._expected(each)} | wanted
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
        instrument = self._desk.instrument(asset)
        return self._market(instrument, Fraction(-self._expected(instrument)), time_in_force, tag)

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
        expected = self._expected(instrument)
        of_order = self._policies.target_rounding is TargetRounding.ORDER
        if value == 0:
            return Fraction(whole_lots(-expected, instrument) if of_order else -expected), True
        price = self._desk.intake.pricing.last(instrument)
        # Below zero its size counts: a value above zero always buys.
        price = None if price is None else abs(price)
        if price is not None and of_order:
            value -= self._value_in_base(instrument, price, expected)
        units = None
        if price is not None:
            units = lots_for_value(value, self._value_in_base(instrument, price, instrument.lot), instrument)
        if units is None:
            return Fraction(instrument.lot if value > 0 else -instrument.lot), False
        size = fits(Fraction(units), "quantity", instrument)
        return (size if of_order else size - expected), True

    def _value_in_base(self, instrument: Instrument, price: int, quantity: int) -> int:
        """Return what units of an instrument are worth at a price, in cash units of the base currency."""
        return self._desk.venue.account.to_base(instrument.cash(price, quantity), instrument.currency)

    def _expected(self, instrument: Instrument) -> int:
        """Return the position that a target starts from: all market orders that still work count as filled.

        Those that intake is going to refuse do not work, and with `target_orders = "ignored"` none counts.
        """
        venue = self._desk.venue
        if self._policies.target_orders is TargetOrders.IGNORED:
            return venue.account.ledger.quantity(instrument)
        waiting = (
            order.sign * order.leaves
            for order in venue.book.open()
            if order.instrument is instrument
            and order.order_type is OrderType.MARKET
            and order.refusal is None
            and (order.parent is None or order.is_working)
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
        cuts: bool = True,
    ) -> OrderHandle | None:
        if units == 0:
            return None
        side = Side.BUY if units > 0 else Side.SELL
        size = abs(self._cut(units, instrument) if cuts else units)
        terms = {"time_in_force": time_in_force, "tag": tag}
        handle = self._send("submit_order", instrument, size, side, OrderType.MARKET, terms)
        if not has_price:
            when = text_of(self._desk.now)
            handle.of(self._desk).refusal = (
                "NO_PRICE",
                f"{instrument.symbol} has no price yet to size an order with ({when}); wait for its first "
                "row, or send a quantity",
            )
        return handle

    def _cut(self, units: Fraction, instrument: Instrument) -> Fraction:
        """Cut a quantity to whole lots with `lot_rounding = "down"`; what that leaves nothing of stays."""
        if self._policies.lot_rounding is LotRounding.REJECT:
            return units
        return Fraction(whole_lots(units, instrument) or units)

    @property
    def _policies(self) -> Policies:
        return self._desk.venue.plan.policies

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

    def _units(self, quantity: object, instrument: Instrument) -> Fraction:
        units = Fraction(decimal("quantity", quantity)) * 10**instrument.quantity_exponent
        return fits(units, "quantity", instrument)
