"""Orders of position rules: placed, moved and taken away as positions, rules and markets change."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import attrs

from ml4t.core.policies import LimitTouch, Policies, SameBarExit
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference.account import Account
from ml4t.reference.market import Data
from ml4t.reference.matching import Bar, Offer, Quote, allows
from ml4t.reference.orders import STOPS, Fill, Order, OrderBook, Terms
from ml4t.reference.plan import Instrument, Plan
from ml4t.reference.rules import KINDS, Rule, Trail, level

__all__ = ["LIQUIDATION", "Guards", "Occasion"]

LIQUIDATION = "liquidation"  #: tag of orders that close positions for want of margin, and rule of their stops

OF_ONE_EVENT = (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS)


@attrs.define
class Guards:
    """Keeps an order at the venue for each rule of each position."""

    plan: Plan
    book: OrderBook
    account: Account
    rules: tuple[Rule, ...] = ()
    in_force: dict[int, tuple[Rule, ...]] = attrs.field(factory=dict)  #: rules, by instrument
    orders: dict[tuple[int, str], Order] = attrs.field(factory=dict)
    waived: set[tuple[int, str]] = attrs.field(factory=set)  #: rules whose order the strategy took back
    trails: dict[int, Trail] = attrs.field(factory=dict)

    def follow(self, instrument: Instrument, data: Data) -> None:
        """Let the trailing stop of a position follow a piece of data that is complete.

        On quotes that is the side that triggers it: the bid of a long position, the ask of a short one.
        """
        if isinstance(data, Bar):
            self.trail(instrument, data.high, data.low)
            return
        price: int | None
        if isinstance(data, Quote):
            held = self.account.ledger.quantity(instrument)
            price = data.bid if held > 0 else data.ask
        else:
            price = data.price
        if price is not None:
            self.trail(instrument, price, price)

    def put_in_force(self, instrument: Instrument, now: int, active_from: int | None = None) -> None:
        """Let the rules of now guard the position of an instrument."""
        before = _fraction(self.in_force.get(instrument.index, ()), "trailing_stop")
        self.in_force[instrument.index] = self.rules
        self.waived = {each for each in self.waived if each[0] != instrument.index}
        occasion = Occasion(
            active_from=now if active_from is None else active_from,
            of_rules=True,
            keeps=before == _fraction(self.rules, "trailing_stop"),
        )
        self.guard(instrument, now, occasion)

    def terms(self, instrument: Instrument) -> dict[int, Terms]:
        """Return sizes and levels of the orders of rules that guard an instrument, by their numbers."""
        own = (order for (index, _), order in self.orders.items() if index == instrument.index)
        return {order.id: order.terms for order in own}

    def follow_split(self, instrument: Instrument, now: int, before: Mapping[int, Terms]) -> None:
        """Bring the orders of rules into line with a position that was split: new sizes, and new levels.

        What they had `before` says which of them have moved: a split scales them first, like any order.
        """
        self.guard(instrument, now, Occasion(active_from=now, keeps=False, before=before))

    def guard(self, instrument: Instrument, now: int, occasion: Occasion) -> None:
        """Bring the orders of rules into line with a position: place, follow, or take away."""
        holding = self.account.ledger.holding(instrument)
        held = holding.quantity
        self._turn(instrument, held)
        rules = {rule.kind: rule for rule in self.in_force.get(instrument.index, ())}
        for kind in KINDS:
            rule = rules.get(kind) if held else None
            order = self.orders.get((instrument.index, kind))
            if order is not None and not order.is_working:
                order = None
            if order is not None and (rule is None or order.sign * held > 0):
                code = "CANCELED_BY_REQUEST" if held and order.sign * held < 0 else "POSITION_CLOSED"
                self.book.move(order, OrderStatus.CANCELED, now, code)
                order = None
            if rule is None or (instrument.index, kind) in self.waived:
                continue
            trail = self.trails[instrument.index]
            price = level(rule, instrument, holding.average, trail, is_long=held > 0)
            if order is None:
                self._place(rule, instrument, held, price, now, occasion)
            else:
                before = occasion.before.get(order.id, order.terms)
                order.quantity = Fraction(order.filled + abs(held))
                keeps = occasion.keeps and kind == "trailing_stop"
                self._move(order, _tighter(order, price) if keeps else price, now, occasion)
                if _has_moved(order, before):
                    self.book.note(order, now, "MOVED_WITH_POSITION")
        self._follow_position(instrument, held, now, occasion)

    def liquidation(self, instrument: Instrument) -> Order | None:
        """Return the stop that liquidates a position, where one is at work."""
        order = self.orders.get((instrument.index, LIQUIDATION))
        return order if order is not None and order.is_working else None

    def _follow_position(self, instrument: Instrument, held: int, now: int, occasion: Occasion) -> None:
        """Give the stop of a liquidation the size of its position, or take it away with that."""
        order = self.liquidation(instrument)
        if order is None:
            return
        if order.sign * held >= 0:
            self.book.move(order, OrderStatus.CANCELED, now, "POSITION_CLOSED")
            return
        before = occasion.before.get(order.id, order.terms)
        order.quantity = Fraction(order.filled + abs(held))
        if _has_moved(order, before):
            self.book.note(order, now, "MOVED_WITH_POSITION")

    def liquidate_at(self, instrument: Instrument, price: int, now: int, active_from: int) -> Order:
        """Place the stop that liquidates a position."""
        held = self.account.ledger.quantity(instrument)
        order = Order(
            id=len(self.book.orders) + 1,
            instrument=instrument,
            side=Side.SELL if held > 0 else Side.BUY,
            order_type=OrderType.STOP,
            time_in_force=TimeInForce.GTC,
            quantity=Fraction(abs(held)),
            stop_price=Fraction(price),
            tag=LIQUIDATION,
            rule=LIQUIDATION,
            liquidates=True,
            ts_submitted=now,
            active_from=active_from,
        )
        self.book.orders.append(order)
        self.orders[instrument.index, LIQUIDATION] = order
        self.book.move(order, OrderStatus.SUBMITTED, now)
        self.book.move(order, OrderStatus.ACCEPTED, now)
        return order

    def withdraw(self, order: Order, now: int) -> None:
        """Take the stop away that would have liquidated a position."""
        self.book.move(order, OrderStatus.CANCELED, now, "POSITION_CLOSED")

    def move_liquidation(self, order: Order, price: int, now: int) -> None:
        """Move the stop that liquidates a position."""
        if order.stop_price != price:
            order.stop_price = Fraction(price)
            self.book.note(order, now, "MOVED_WITH_POSITION")

    def _turn(self, instrument: Instrument, held: int) -> None:
        """Forget what belongs to a position that was closed or turned, and begin anew for one that opened."""
        trail = self.trails.get(instrument.index)
        if trail is not None and (held == 0 or trail.is_long != (held > 0)):
            self.trails.pop(instrument.index)
            self.waived = {each for each in self.waived if each[0] != instrument.index}
        if held:
            self.trails.setdefault(instrument.index, Trail(is_long=held > 0))

    def _move(self, order: Order, price: Fraction, now: int, occasion: Occasion) -> None:
        """Give an order of a rule its new level; where the market went before does not count for it.

        A stop that a fill inside a bar has moved beyond the market acts where the market stood at that fill.
        """
        before = (order.limit_price, order.stop_price)
        if not order.triggered:
            _set_price(order, price)
        has_moved = before != (order.limit_price, order.stop_price)
        if has_moved:
            order.place = None
        if occasion.of_rules:
            if has_moved:
                order.active_from = occasion.active_from
        elif occasion.place is not None:
            if has_moved:
                order.began = occasion.began
        elif occasion.inside is not None:
            order.market_at_birth = occasion.market
            if has_moved and order.order_type is OrderType.LIMIT:
                order.active_from = now
        elif occasion.opened is not None and has_moved:
            self._moved_at_open(order, occasion)

    def _moved_at_open(self, order: Order, occasion: Occasion) -> None:
        """Let an order meet the open where that is booked later, or the range where the open refused it."""
        if self.plan.models.needs_volume:
            order.decided = occasion.opened
        is_through = self.plan.policies.limit_touch is LimitTouch.THROUGH
        market = occasion.market
        is_limit = order.order_type is OrderType.LIMIT
        if is_limit and market is not None and not allows(order, market, strictly=is_through):
            order.skips_bar = None

    def _place(
        self, rule: Rule, instrument: Instrument, held: int, price: Fraction, now: int, occasion: Occasion
    ) -> None:
        order = Order(
            id=len(self.book.orders) + 1,
            instrument=instrument,
            side=Side.SELL if held > 0 else Side.BUY,
            order_type=rule.order_type,
            time_in_force=TimeInForce.GTC,
            quantity=Fraction(abs(held)),
            tag=rule.kind,
            rule=rule.kind,
            ts_submitted=now,
        )
        occasion.start(order, needs_volume=self.plan.models.needs_volume)
        _set_price(order, price)
        self.book.orders.append(order)
        self.orders[instrument.index, rule.kind] = order
        self.book.move(order, OrderStatus.SUBMITTED, now)
        self.book.move(order, OrderStatus.ACCEPTED, now)

    def trail(self, instrument: Instrument, high: int, low: int) -> None:
        """Let the trailing stop of a position see the prices of what is complete."""
        trail = self.trails.get(instrument.index)
        if trail is None:
            return
        trail.see(high, low)
        order = self.orders.get((instrument.index, "trailing_stop"))
        rules = self.in_force.get(instrument.index, ())
        rule = next((rule for rule in rules if rule.kind == "trailing_stop"), None)
        if order is not None and order.is_working and not order.triggered and rule is not None:
            average = self.account.ledger.holding(instrument).average
            price = level(rule, instrument, average, trail, is_long=trail.is_long)
            _set_price(order, _tighter(order, price))


@attrs.frozen(kw_only=True)
class Occasion:
    """Why orders of rules are looked at: a fill, new rules or a split; from when on what is placed counts.

    After a fill: where the market stood, and the bar whose open it was (`opened`) or whose range (`inside`);
    `place` on the path of the bar, where that is known. `next_bar` is when the bar ends, where what is new
    waits for the next. After a split: the terms of the orders `before` it, by their numbers.
    """

    active_from: int
    market: int | None = None
    opened: int | None = None
    inside: int | None = None
    place: int | None = None
    next_bar: int | None = None
    of_rules: bool = False
    keeps: bool = True  #: whether a trailing stop may not go back
    before: Mapping[int, Terms] = attrs.field(factory=dict)

    @classmethod
    def of(cls, fill: Fill, offer: Offer, data: Data, policies: Policies) -> Occasion:
        """Return the occasion that a fill is."""
        if not isinstance(data, Bar) or fill.phase == "close":
            return cls(active_from=fill.ts)
        is_open = fill.phase == "open"
        return cls(
            active_from=data.ts_open,
            market=offer.market,
            opened=data.ts_event if is_open else None,
            inside=None if is_open else data.ts_event,
            place=offer.place,
            next_bar=data.ts_event if policies.same_bar_exit is SameBarExit.NEXT_BAR else None,
        )

    @property
    def began(self) -> tuple[int, int, int] | None:
        """Place and price on the path of a bar from which on an order meets it, where that is known."""
        if self.inside is None or self.place is None or self.market is None:
            return None
        return self.inside, self.place, self.market

    def start(self, order: Order, *, needs_volume: bool) -> None:
        """Say from when on an order that is new meets its instrument: one of a rule, or a child.

        A bar in which it waits does not fill it at its close either, also where that takes what is decided on
        it.
        """
        if self.next_bar is not None:
            order.active_from = order.skips_bar = self.next_bar
        elif self.inside is not None and not self._meets_rest(order):
            order.active_from = self.inside
        else:
            order.active_from = self.active_from
            order.market_at_birth = self.market
            order.decided = self.opened if needs_volume else None
            order.began = self.began

    def _meets_rest(self, order: Order) -> bool:
        """Say whether what a fill inside a bar has started meets the rest of it.

        Where the path is not known that is a stop, of any kind: whether the market was anywhere else before
        the fill or after it, nobody knows.
        """
        if self.place is None:
            return order.order_type in STOPS
        return order.time_in_force not in OF_ONE_EVENT


def _fraction(rules: tuple[Rule, ...], kind: str) -> Fraction | None:
    return next((rule.fraction for rule in rules if rule.kind == kind), None)


def _has_moved(order: Order, before: Terms) -> bool:
    """Say whether an order has another size or level than before; one that was triggered only a size."""
    return order.leaves != before[0] if order.triggered else order.terms != before


def _tighter(order: Order, price: Fraction) -> Fraction:
    """Return a price of a stop that has not gone back."""
    assert order.stop_price is not None
    return max(order.stop_price, price) if order.side is Side.SELL else min(order.stop_price, price)


def _set_price(order: Order, price: Fraction) -> None:
    if order.order_type is OrderType.LIMIT:
        order.limit_price = price
    else:
        order.stop_price = price
