"""The venue: where working orders meet the market, one piece of data after the other.

Orders of one instrument compete for volume, and all of them for cash. At the open of bars they are decided by
submission, across instruments too. In the range of a bar the path is the worst for the position held: first
what opens or enlarges it, then a stop that closes it, then a target; within each by the distance from the
open, then by submission. Those lists are merged across instruments by the submission of their heads, so the
place of an instrument in a list never decides anything.
"""

from __future__ import annotations

from fractions import Fraction

import attrs

from ml4t.core.config import FillTiming, InsufficientCash, ZeroVolume
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference.account import Account
from ml4t.reference.costs import Costs, Execution, Passed, Shown
from ml4t.reference.market import Data
from ml4t.reference.matching import (
    Bar,
    Offer,
    Quote,
    Trade,
    at_close,
    at_open,
    at_tick,
    in_range,
    reached_stop,
)
from ml4t.reference.numbers import cash_text, half_even, plain_text
from ml4t.reference.orders import Fill, Order, OrderBook
from ml4t.reference.plan import Instrument, Plan
from ml4t.reference.rules import KINDS, Rule, Trail, level
from ml4t.reference.timestamp import text_of

__all__ = ["Venue"]

# Legs of the path inside a bar, in their sequence.
OPENS, ENTRIES, STOPS, TARGETS, CLOSES = range(5)
RANGES = ENTRIES  # stage of a path in which entries, stops and targets have their chances


@attrs.frozen(kw_only=True)
class Chance:
    """An order that may trade: where on the path, how far along its leg, and at what price."""

    leg: int
    distance: int
    order: Order
    offer: Offer

    @property
    def place(self) -> tuple[int, int, int]:
        """Sequence of chances of one instrument."""
        return self.leg, self.distance, self.order.id

    @property
    def turn(self) -> tuple[int, int]:
        """Sequence of the heads of several instruments: fills of opens come before all ranges."""
        return (0 if self.leg == OPENS else 1), self.order.id


@attrs.define
class Venue:
    """Matches orders against data, books what fills, and keeps the orders of position rules."""

    plan: Plan
    book: OrderBook
    account: Account
    costs: Costs
    rules: tuple[Rule, ...] = ()
    in_force: dict[int, tuple[Rule, ...]] = attrs.field(factory=dict)  #: rules, by instrument
    guards: dict[tuple[int, str], Order] = attrs.field(factory=dict)
    waived: set[tuple[int, str]] = attrs.field(factory=set)  #: rules whose order the strategy took back
    unbooked: set[int] = attrs.field(factory=set)  #: instruments whose open waits for the volume of its bar
    late: set[int] = attrs.field(factory=set)  #: those of them whose rules were changed meanwhile
    trails: dict[int, Trail] = attrs.field(factory=dict)
    used: dict[tuple[int, int], tuple[int, int]] = attrs.field(factory=dict)

    # -- phase 1: completed data -------------------------------------------------------------------------

    def complete(self, now: int, rows: list[tuple[Instrument, Data]]) -> None:
        """Match working orders against what is complete at this instant.

        Each source fills what it can before the next is looked at. Marks are set when it is through: a fill
        is paid for with the marks of before.
        """
        for source in sorted({instrument.matching or 0 for instrument, _ in rows}):
            self._complete_source(now, [row for row in rows if (row[0].matching or 0) == source])

    def _complete_source(self, now: int, rows: list[tuple[Instrument, Data]]) -> None:
        waiting: dict[int, list[Data]] = {}
        for instrument, data in rows:
            waiting.setdefault(instrument.index, []).append(data)
        paths = [_Path(self, self.plan.instruments[index], datas) for index, datas in waiting.items()]
        self._walk(now, paths)
        self._booked(now, [path.instrument for path in paths])
        for path in paths:
            path.stage = RANGES
        self._walk(now, paths)
        for path in paths:
            path.come_to_closes()
        self._walk(now, paths)
        for instrument, data in rows:
            mark = _mark(data)
            if mark is not None:
                self.account.marks[instrument.index] = mark

    def _walk(self, now: int, paths: list[_Path]) -> None:
        """Take the chances of several instruments, merged by their heads."""
        while True:
            heads = [(path, chance) for path in paths if (chance := path.head()) is not None]
            if not heads:
                return
            path, chance = min(heads, key=lambda head: head[1].turn)
            path.attempt(chance, now)

    def _booked(self, now: int, instruments: list[Instrument]) -> None:
        """After the opens that waited for their volume: what came too late for them takes what they left.

        First orders end that were canceled, or whose session closed, then rules come into force.
        """
        booked = [each for each in instruments if each.index in self.unbooked]
        self.unbooked -= {each.index for each in booked}
        for order in self.book.working():
            if order.instrument in booked and order.end_pending is not None:
                self.end(order, now, *order.end_pending)
        for instrument in booked:
            if instrument.index in self.late:
                self.late.remove(instrument.index)
                self._put_in_force(instrument, now)

    def end(self, order: Order, now: int, status: OrderStatus, code: str) -> None:
        """Cancel an order, or let it expire.

        An order that the open of a bar has decided is filled already, though that is booked when the bar is
        complete; what is left of it then is ended. The order of a rule that is taken back stays away.
        """
        if order.decided is not None and order.decided > now:
            order.end_pending = order.end_pending or (status, code)
            return
        self.book.move(order, status, now, code)
        if order.rule is not None:
            self.waived.add((order.instrument.index, order.rule))

    def follow(self, instrument: Instrument, data: Data) -> None:
        """Let the trailing stop of a position follow a piece of data that is complete."""
        mark = _mark(data)
        if isinstance(data, Bar):
            self._trail(instrument, data.high, data.low)
        elif mark is not None:
            self._trail(instrument, mark, mark)

    def close_now(self, now: int, rows: list[tuple[Instrument, Data]]) -> None:
        """Fill market orders at the closes of this instant: `fill_timing = "same_close"`, phase 9.

        Those are the orders that were accepted just now; what they leave, and orders that find no close, wait
        for the close of a bar that opens later.
        """
        if self.plan.policies.fill_timing is not FillTiming.SAME_CLOSE:
            return
        # A close in front of a split or dividend of this instant is a price of the old shares.
        acted = {action.instrument for action in self.plan.actions if action.ts == now}
        bars = {each.index: data for each, data in rows if isinstance(data, Bar) and each.index not in acted}
        for order in self.book.working():
            bar = bars.get(order.instrument.index)
            if bar is None or order.order_type is not OrderType.MARKET:
                continue
            if order.ts_accepted != now or order.active_from != now:
                continue
            if self.trades(bar):
                self.attempt(order, at_close(order, bar.close), bar, now, open_only=False)

    # -- phase 10: opens ---------------------------------------------------------------------------------

    def open(self, now: int, bars: list[tuple[Instrument, Bar]]) -> None:
        """Set marks to the opens, then decide working orders at them by submission.

        Where a model needs the volume of the bar, nothing is decided yet: the fill is priced at the open and
        booked when the bar is complete.
        """
        for instrument, bar in bars:
            self.account.marks[instrument.index] = bar.open
            self._let_rest(now, instrument, bar)
        if self.plan.models.needs_volume:
            self._decide(now, bars)
            return
        by_instrument = {instrument.index: bar for instrument, bar in bars}
        tried: set[int] = set()
        while True:
            chance = self._next_at_open(now, by_instrument, tried)
            if chance is None:
                return
            order, bar, offer = chance
            tried.add(order.id)
            order.skips_bar = bar.ts_event
            self.attempt(order, offer, bar, now, open_only=True)
            # What was opened just now is worth the open, not what was paid.
            self.account.marks[order.instrument.index] = bar.open

    def _let_rest(self, now: int, instrument: Instrument, bar: Bar) -> None:
        """Let limits rest that meet a bar in which nothing trades: they have to wait."""
        for order in self.book.working():
            is_met = order.instrument is instrument and order.active_from <= now
            if is_met and not self.trades(bar) and not order.waits_for_stop:
                order.resting = True

    def _decide(self, now: int, bars: list[tuple[Instrument, Bar]]) -> None:
        """Note which orders an open decides: a cancel that comes later does not undo that."""
        for instrument, bar in bars:
            for order in self.book.working():
                if order.instrument is not instrument:
                    continue
                self.unbooked.add(instrument.index)
                if order.active_from > now:
                    continue
                if self.trades(bar):
                    before = order.triggered
                    offer = at_open(order, bar.open, self.plan.policies)
                    order.decided = None if offer is None else bar.ts_event
                    # A stop that fills counts as reached when its fill is booked.
                    order.triggered = order.triggered if offer is None else before

    def _next_at_open(
        self, now: int, bars: dict[int, Bar], tried: set[int]
    ) -> tuple[Order, Bar, Offer] | None:
        """Return the first order by submission that can trade at its open and has not tried yet.

        A fill may have moved the stop of a rule beyond the open, so each time all are looked at.
        """
        for order in self.book.working():
            bar = bars.get(order.instrument.index)
            if bar is None or order.id in tried or order.active_from > now or not self.trades(bar):
                continue
            offer = at_open(order, bar.open, self.plan.policies)
            if offer is not None:
                return order, bar, offer
        return None

    def trades(self, bar: Bar) -> bool:
        """Say whether a bar can fill orders: one without volume did not trade."""
        return bar.volume != 0 or self.plan.policies.zero_volume is ZeroVolume.FILL

    # -- one attempt -------------------------------------------------------------------------------------

    def attempt(self, order: Order, offer: Offer, data: Data, now: int, *, open_only: bool) -> bool:
        """Let an order take an offer, as far as models and account allow; say whether it filled."""
        shown = Shown.of(data, open_only=open_only)
        used = self._used(order, data)
        execution = self.costs.quote(order, offer, shown, used, now)
        if isinstance(execution, Passed):
            # What its own slippage kept out stays marketable; what found nothing to trade with has to wait.
            if execution is Passed.BY_FILL_MODEL:
                self._wait(order, offer)
            return False
        if not self._may_sell(order, execution.quantity):
            self.book.end(order, now, "SHORT_NOT_ALLOWED", self.short_text(order, execution.quantity, now))
            return False
        if self._payable(order, execution):
            fill = self._fill(order, execution, offer, data, now)
            self._wait(order, offer)
            self.guard(order.instrument, now, _Occasion.of(fill, offer, data))
            return True
        policy = self.plan.policies.insufficient_cash
        if policy is InsufficientCash.WAIT:
            return False
        part = None
        if policy is InsufficientCash.PARTIAL:
            part = self._affordable(order, execution, now)
        if part is None:
            self.book.end(order, now, "INSUFFICIENT_CASH", self._missing(order, execution, now))
            return False
        fill = self._fill(order, part, offer, data, now)
        if order.is_working:
            text = "the account could pay for no more"
            self.book.move(order, OrderStatus.CANCELED, now, "INSUFFICIENT_CASH", text)
        self.guard(order.instrument, now, _Occasion.of(fill, offer, data))
        return True

    def _wait(self, order: Order, offer: Offer) -> None:
        """Let what is left of a limit wait in the market, which had no more to give."""
        order.resting = order.resting or (offer.is_limit and order.is_working)

    def _payable(self, order: Order, execution: Execution) -> bool:
        return self.account.can_pay(order, execution.quantity, execution.price, execution.fee)

    def _affordable(self, order: Order, whole: Execution, now: int) -> Execution | None:
        """Return the largest part in whole lots that the account can pay for, at the price of the whole."""
        lot = order.instrument.lot
        low, high = 0, whole.quantity // lot
        best: Execution | None = None
        while high - low > 1:
            middle = (low + high) // 2
            found = self.costs.part(order, whole, middle * lot, now)
            if self._payable(order, found):
                low, best = middle, found
            else:
                high = middle
        return best

    def _missing(self, order: Order, execution: Execution, now: int) -> str:
        instrument = order.instrument
        quantity = plain_text(execution.quantity, instrument.quantity_exponent)
        price = plain_text(execution.price, instrument.price_exponent)
        cash, power = cash_text(self.account.cash), cash_text(self.account.power)
        return (
            f"{order.side.value} {quantity} {instrument.symbol} at {price} "
            f"with fee {cash_text(execution.fee)} needs more than the account has: "
            f"cash {cash}, buying power {power} ({text_of(now)})"
        )

    def _may_sell(self, order: Order, quantity: int) -> bool:
        if order.side is Side.BUY or self.plan.account.allows_short:
            return True
        return self.account.ledger.quantity(order.instrument) >= quantity

    def short_text(self, order: Order, units: int, now: int) -> str:
        """Return the sentence for a sell that nothing covers."""
        instrument = order.instrument
        held = plain_text(self.account.ledger.quantity(instrument), instrument.quantity_exponent)
        quantity = plain_text(units, instrument.quantity_exponent)
        return (
            f"sells {quantity} {instrument.symbol}, the account holds {held} and may not sell short "
            f"({text_of(now)})"
        )

    def _fill(self, order: Order, execution: Execution, offer: Offer, data: Data, now: int) -> Fill:
        instrument = order.instrument
        fill = Fill(
            id=len(self.book.fills) + 1,
            order=order,
            ts=now,
            quantity=execution.quantity,
            price=execution.price,
            reference=execution.reference,
            spread=execution.spread,
            slippage=execution.slippage,
            fee=execution.fee,
            notional=instrument.cash(execution.price, execution.quantity),
            liquidity=execution.liquidity,
            phase=offer.phase,
        )
        self.used[self._source(order, data)] = (data.row, self._used(order, data) + execution.quantity)
        if not self.account.ledger.quantity(instrument):
            # A position that opens is worth what the market was at, before costs.
            self.account.marks[instrument.index] = execution.reference
        self.account.ledger.book(fill)
        self.book.fill(fill)
        return fill

    def _used(self, order: Order, data: Data) -> int:
        """Return what earlier orders took from the same data: of a quote, from the same side."""
        row, units = self.used.get(self._source(order, data), (-1, 0))
        return units if row == data.row else 0

    def _source(self, order: Order, data: Data) -> tuple[int, int]:
        return order.instrument.index, order.sign if isinstance(data, Quote) else 0

    # -- position rules ----------------------------------------------------------------------------------

    def set_rules(self, rules: tuple[Rule, ...], now: int, *, after_opens: bool) -> None:
        """Replace the rules, for positions that are open too.

        What the open of a bar has decided stands; where that is not booked yet, new rules find what is left.
        """
        self.rules = rules
        for instrument in self.plan.instruments:
            if instrument.index in self.unbooked:
                self.late.add(instrument.index)
            else:
                self._put_in_force(instrument, now, active_from=now + after_opens)

    def _put_in_force(self, instrument: Instrument, now: int, active_from: int | None = None) -> None:
        before = _fraction(self.in_force.get(instrument.index, ()), "trailing_stop")
        self.in_force[instrument.index] = self.rules
        self.waived = {each for each in self.waived if each[0] != instrument.index}
        occasion = _Occasion(
            active_from=now if active_from is None else active_from,
            of_rules=True,
            keeps=before == _fraction(self.rules, "trailing_stop"),
        )
        self.guard(instrument, now, occasion)

    def follow_split(self, instrument: Instrument, now: int) -> None:
        """Bring the orders of rules into line with a position that was split: new sizes, and new levels."""
        self.guard(instrument, now, _Occasion(active_from=now, keeps=False))

    def guard(self, instrument: Instrument, now: int, occasion: _Occasion) -> None:
        """Bring the orders of rules into line with a position: place, follow, or take away."""
        holding = self.account.ledger.holding(instrument)
        held = holding.quantity
        self._turn(instrument, held)
        rules = {rule.kind: rule for rule in self.in_force.get(instrument.index, ())}
        for kind in KINDS:
            rule = rules.get(kind) if held else None
            order = self.guards.get((instrument.index, kind))
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
                order.quantity = Fraction(order.filled + abs(held))
                keeps = occasion.keeps and kind == "trailing_stop"
                self._move(order, _tighter(order, price) if keeps else price, now, occasion)

    def _turn(self, instrument: Instrument, held: int) -> None:
        """Forget what belongs to a position that was closed or turned, and begin anew for one that opened."""
        trail = self.trails.get(instrument.index)
        if trail is not None and (held == 0 or trail.is_long != (held > 0)):
            self.trails.pop(instrument.index)
            self.waived = {each for each in self.waived if each[0] != instrument.index}
        if held:
            self.trails.setdefault(instrument.index, Trail(is_long=held > 0))

    def _move(self, order: Order, price: Fraction, now: int, occasion: _Occasion) -> None:
        """Give an order of a rule its new level; where the market went before does not count for it.

        A stop that a fill inside a bar has moved beyond the market acts where the market stood at that fill.
        """
        before = (order.limit_price, order.stop_price)
        if not order.triggered:
            _set_price(order, price)
        has_moved = before != (order.limit_price, order.stop_price)
        if occasion.of_rules:
            if has_moved:
                order.active_from = occasion.active_from
        elif occasion.inside is not None:
            order.market_at_birth = occasion.market
            if has_moved and order.order_type is OrderType.LIMIT:
                order.active_from = now

    def _place(
        self, rule: Rule, instrument: Instrument, held: int, price: Fraction, now: int, occasion: _Occasion
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
            active_from=occasion.active_from,
            market_at_birth=occasion.market,
            decided=occasion.opened if self.plan.models.needs_volume else None,
            skips_bar=occasion.inside if rule.order_type is OrderType.LIMIT else None,
        )
        _set_price(order, price)
        self.book.orders.append(order)
        self.guards[instrument.index, rule.kind] = order
        self.book.move(order, OrderStatus.SUBMITTED, now)
        self.book.move(order, OrderStatus.ACCEPTED, now)

    def _trail(self, instrument: Instrument, high: int, low: int) -> None:
        trail = self.trails.get(instrument.index)
        if trail is None:
            return
        trail.see(high, low)
        order = self.guards.get((instrument.index, "trailing_stop"))
        rules = self.in_force.get(instrument.index, ())
        rule = next((rule for rule in rules if rule.kind == "trailing_stop"), None)
        if order is not None and order.is_working and not order.triggered and rule is not None:
            average = self.account.ledger.holding(instrument).average
            price = level(rule, instrument, average, trail, is_long=trail.is_long)
            _set_price(order, _tighter(order, price))


@attrs.frozen(kw_only=True)
class _Occasion:
    """Why orders of rules are looked at: a fill, new rules or a split; from when on what is placed counts.

    After a fill: where the market stood, and the bar whose open it was (`opened`) or whose range (`inside`).
    """

    active_from: int
    market: int | None = None
    opened: int | None = None
    inside: int | None = None
    of_rules: bool = False
    keeps: bool = True  #: whether a trailing stop may not go back

    @classmethod
    def of(cls, fill: Fill, offer: Offer, data: Data) -> _Occasion:
        if not isinstance(data, Bar) or fill.phase == "close":
            return cls(active_from=fill.ts)
        if fill.phase == "open":
            return cls(active_from=data.ts_open, market=offer.market, opened=data.ts_event)
        return cls(active_from=data.ts_open, market=offer.market, inside=data.ts_event)


def _fraction(rules: tuple[Rule, ...], kind: str) -> Fraction | None:
    return next((rule.fraction for rule in rules if rule.kind == kind), None)


def _tighter(order: Order, price: Fraction) -> Fraction:
    """Return a price of a stop that has not gone back."""
    assert order.stop_price is not None
    return max(order.stop_price, price) if order.side is Side.SELL else min(order.stop_price, price)


class _Path:
    """Chances of one instrument at what is complete at an instant, in their sequence."""

    def __init__(self, venue: Venue, instrument: Instrument, datas: list[Data]) -> None:
        self._venue = venue
        self.instrument = instrument
        self._datas = datas
        self._tried: set[tuple[int, int]] = set()
        self.stage = OPENS

    def head(self) -> Chance | None:
        """Return the next chance; a piece of data that has none left is done, a bar after its close."""
        while self._datas:
            data = self._datas[0]
            if not isinstance(data, Bar) and self.stage == OPENS:
                return None
            chances = self._bar(data) if isinstance(data, Bar) else self._tick(data)
            if chances:
                return min(chances, key=lambda chance: chance.place)
            if isinstance(data, Bar) and self.stage != CLOSES:
                return None
            self._leave(data)
        return None

    def attempt(self, chance: Chance, now: int) -> None:
        """Let the order take its chance, once."""
        self._tried.add((chance.order.id, chance.leg if chance.leg in (OPENS, CLOSES) else ENTRIES))
        order = chance.order
        data = self._datas[0]
        if isinstance(data, Bar) and order.waits_for_stop:
            order.triggered = True
        if chance.leg == OPENS and isinstance(data, Bar):
            order.skips_bar = data.ts_event
        self._venue.attempt(order, chance.offer, data, now, open_only=False)

    def come_to_closes(self) -> None:
        """Go from the ranges to the closes: what is entered there has not seen the high of the bar."""
        self.stage = CLOSES
        for data in self._datas:
            if isinstance(data, Bar):
                self._venue.follow(self.instrument, data)

    def _leave(self, data: Data) -> None:
        self._datas.pop(0)
        self._tried.clear()
        if isinstance(data, Bar):
            self._trigger(data)
        else:
            self._venue.follow(self.instrument, data)

    def _trigger(self, bar: Bar) -> None:
        """Remember which stop-limit orders the bar has reached, though their limits did not allow a fill."""
        if self._venue.trades(bar):
            for order in self._eligible(bar):
                is_waiting = order.order_type is OrderType.STOP_LIMIT and order.waits_for_stop
                if is_waiting and reached_stop(order, bar) is not None:
                    order.triggered = order.resting = True
        for order in self._venue.book.working():
            if order.instrument is self.instrument:
                order.market_at_birth = None

    def _eligible(self, data: Data) -> list[Order]:
        """Return the orders that this piece of data can fill.

        A bar fills what was active at or before its open; a tick only what was active strictly before it.
        """
        own = [order for order in self._venue.book.working() if order.instrument is self.instrument]
        if isinstance(data, Bar):
            return [order for order in own if order.active_from <= data.ts_open]
        return [order for order in own if order.active_from < data.ts_event]

    def _tick(self, data: Quote | Trade) -> list[Chance]:
        chances: list[Chance] = []
        for order in self._eligible(data):
            if (order.id, ENTRIES) in self._tried:
                continue
            offer = at_tick(order, data, self._venue.plan.policies)
            if offer is None:
                self._tried.add((order.id, ENTRIES))
            else:
                return [Chance(leg=ENTRIES, distance=0, order=order, offer=offer)]
        return chances

    def _bar(self, bar: Bar) -> list[Chance]:
        venue = self._venue
        if not venue.trades(bar):
            return []
        chances = []
        held = venue.account.ledger.quantity(self.instrument)
        for order in self._eligible(bar):
            if self.stage == OPENS and self._is_decided(order, bar):
                before = order.triggered
                offer = at_open(order, bar.open, venue.plan.policies)
                if offer is not None:
                    # It counts as reached when its turn comes: a fill before may move the level of a rule.
                    order.triggered = before
                    chances.append(Chance(leg=OPENS, distance=0, order=order, offer=offer))
                    continue
                self._tried.add((order.id, OPENS))
            if self.stage == OPENS:
                continue
            chance = self._in_range(order, bar, held)
            if chance is not None:
                chances.append(chance)
        return chances

    def _is_decided(self, order: Order, bar: Bar) -> bool:
        """Say whether the open of this bar decided an order, or has to: one that a fill there has placed."""
        if not self._venue.plan.models.needs_volume or (order.id, OPENS) in self._tried:
            return False
        return order.decided == bar.ts_event

    def _in_range(self, order: Order, bar: Bar, held: int) -> Chance | None:
        policies = self._venue.plan.policies
        if order.order_type is OrderType.MARKET:
            waits = policies.fill_timing is FillTiming.NEXT_OPEN or self.stage != CLOSES
            if waits or (order.id, CLOSES) in self._tried:
                return None
            return Chance(leg=CLOSES, distance=0, order=order, offer=at_close(order, bar.close))
        if self.stage == CLOSES or order.skips_bar == bar.ts_event or (order.id, ENTRIES) in self._tried:
            return None
        offer = in_range(order, bar, policies)
        if offer is None:
            return None
        leg = ENTRIES
        never_opens = order.side is Side.SELL and not self._venue.plan.account.allows_short
        if held * order.sign < 0 or never_opens:
            is_stop = order.order_type in (OrderType.STOP, OrderType.STOP_LIMIT)
            leg = STOPS if is_stop else TARGETS
        return Chance(leg=leg, distance=abs(offer.price - bar.open), order=order, offer=offer)


def _set_price(order: Order, price: Fraction) -> None:
    if order.order_type is OrderType.LIMIT:
        order.limit_price = price
    else:
        order.stop_price = price


def _mark(data: Data) -> int | None:
    """Return the mark that a piece of data sets: close, print, or middle of a quote."""
    if isinstance(data, Bar):
        return data.close
    if isinstance(data, Trade):
        return data.price
    if data.bid is None or data.ask is None:
        return data.ask if data.bid is None else data.bid
    return half_even(Fraction(data.bid + data.ask, 2))
