"""The venue: where working orders meet the market, one piece of data after the other.

Orders of one instrument compete for volume, and all of them for cash. At the open of bars they are decided by
submission, across instruments too; `fill_order` may put exits before. What is complete is a path for each
instrument (`ml4t.reference.paths`). Those are merged across instruments by the submission of their heads, so
the place of an instrument in a list never decides anything.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from ml4t.core.policies import BarPath, FillOrder, FillTiming, InsufficientCash, ZeroVolume
from ml4t.core.types import OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference import lifetimes, power, standing, trailing, unsettled
from ml4t.reference.account import Account
from ml4t.reference.contingent import Birth, Contingent
from ml4t.reference.costs import Costs, Execution, Meeting, Passed, Shown, Slice
from ml4t.reference.exchange import Exchange
from ml4t.reference.guards import Guards, Occasion
from ml4t.reference.market import Data, in_turns, mark_of
from ml4t.reference.matching import Bar, Offer, Quote, Trade, at_close, at_open, at_session_close, own_side
from ml4t.reference.memorandum import Memorandum
from ml4t.reference.models import average_days
from ml4t.reference.numbers import cash_text, plain_text
from ml4t.reference.orders import Fill, Order, OrderBook, is_decided
from ml4t.reference.paths import RANGES, Path
from ml4t.reference.plan import Instrument, Plan
from ml4t.reference.prints import PrintPath
from ml4t.reference.rules import Rule
from ml4t.reference.timestamp import text_of
from ml4t.reference.turnover import Turnover

if TYPE_CHECKING:
    from ml4t.reference.liquidation_price import Closing

__all__ = ["Venue"]


@attrs.define
class Venue:
    """Matches orders against data and books what fills."""

    plan: Plan
    book: OrderBook
    account: Account
    costs: Costs
    guards: Guards
    contingent: Contingent
    exchange: Exchange
    memorandum: Memorandum | None = None  #: that some margin models go by
    closing: Closing | None = None  #: of positions at a price, which other margin models have
    is_completing: bool = False  #: phase 1: sessions that close now have not closed yet
    unbooked: set[int] = attrs.field(factory=set)  #: instruments whose open waits for the volume of its bar
    late: set[int] = attrs.field(factory=set)  #: those of them whose rules were changed meanwhile
    used: dict[tuple[int, int], tuple[int, int]] = attrs.field(factory=dict)
    last_ticks: dict[int, Quote | Trade] = attrs.field(factory=dict)  #: by instrument
    last_marks: dict[int, int] = attrs.field(factory=dict)  #: that rows have set, by instrument
    turnover: Turnover = attrs.field(init=False)

    @turnover.default
    def _default_turnover(self) -> Turnover:
        return Turnover(self.plan)

    # -- phase 1: completed data -------------------------------------------------------------------------

    def complete(
        self, now: int, rows: list[tuple[Instrument, Data]], prints: list[tuple[Instrument, Data]]
    ) -> None:
        """Match working orders against what is complete at this instant, `prints` of it beside quotes.

        Each source fills what it can before the next is looked at, and of a source the k-th row of every
        instrument before the next of any. Marks are set when those are through: a fill is paid for with the
        marks of before.
        """
        self.is_completing = True
        sources = {each.matching or 0 for each, _ in rows} | {each.prints or 0 for each, _ in prints}
        for source in sorted(sources):
            own = in_turns([row for row in rows if (row[0].matching or 0) == source])
            beside = in_turns([row for row in prints if (row[0].prints or 0) == source])
            over: list[Order] = []
            for matching, others in itertools.zip_longest(own, beside):
                paths = [Path(self, instrument, [data]) for instrument, data in self.traded(matching)]
                paths += [PrintPath(self, instrument, [data]) for instrument, data in self.traded(others)]
                over += self._complete_turn(now, paths, matching or [])
            self._end_all(over, now)
        self.is_completing = False

    def _complete_turn(self, now: int, paths: list[Path], rows: list[tuple[Instrument, Data]]) -> list[Order]:
        """Match one turn; return the orders that end when all ticks of the source and instant are matched.

        Orders have no path through a row in a break. It is worth what it says and nothing else.
        """
        traded = self.traded(rows)
        self._close_in(now, [row for row in traded if not isinstance(row[1], Bar)])
        self._walk(now, paths)
        if self.plan.models.needs_volume:
            self._end_all([order for path in paths for order in path.met_open()], now)
        self._booked(now, [path.instrument for path in paths])
        # What an open has filled that waited for its volume is held in the range of its bar.
        self._close_in(now, [row for row in traded if isinstance(row[1], Bar)])
        for path in paths:
            path.stage = RANGES
        self._walk(now, paths)
        for path in paths:
            path.come_to_closes()
        self._walk(now, paths)
        for path in paths:
            path.follow()
        over = [order for path in paths for order in path.over]
        if any(isinstance(data, Bar) for _, data in rows):
            self._end_all(over, now)
            over = []
        for instrument, data in rows:
            self.turnover.see(instrument, data)
            if not isinstance(data, Bar) and not self.rests(instrument, data):
                self.last_ticks[instrument.index] = data
            mark = mark_of(data)
            if mark is not None:
                self.account.marks[instrument.index] = self.last_marks[instrument.index] = mark
        return over

    def _close_in(self, now: int, rows: list[tuple[Instrument, Data]]) -> None:
        """Place the stops of liquidations at a price that rows reach, where there are such."""
        if self.closing is not None:
            self.closing.before_rows(now, rows)

    def _walk(self, now: int, paths: list[Path]) -> None:
        """Take the chances of several instruments, merged by their heads."""
        while True:
            heads = [(path, chance) for path in paths if (chance := path.head()) is not None]
            if not heads:
                return
            path, chance = min(heads, key=lambda head: (not head[1].is_of_open, *self.turn(head[1].order)))
            path.attempt(chance, now)

    def turn(self, order: Order) -> tuple[int, int]:
        """Return who comes first where submission decides; what is against a position may go before."""
        is_exit = self.account.ledger.quantity(order.instrument) * order.sign < 0
        goes_before = is_exit and self.plan.policies.fill_order is FillOrder.EXITS_FIRST
        return (0 if goes_before else 1), order.id

    def _in_turn(self, orders: list[Order]) -> Iterator[Order]:
        """Yield orders in their turns; whose turn it is depends on what the one before has done."""
        left = list(orders)
        while left:
            order = min(left, key=self.turn)
            left.remove(order)
            yield order

    def _booked(self, now: int, instruments: list[Instrument]) -> None:
        """After the opens that waited for their volume: what came too late for them takes what they left.

        First orders end that were canceled or whose time was over, and changes are made; then rules come into
        force.
        """
        booked = [each for each in instruments if each.index in self.unbooked]
        self.unbooked -= {each.index for each in booked}
        for order in [each for each in self.book.orders if each.waiting and each.instrument in booked]:
            waiting, order.waiting = order.waiting, []
            for act in waiting:
                act(now)
        for instrument in booked:
            if instrument.index in self.late:
                self.late.remove(instrument.index)
                self.guards.put_in_force(instrument, now)
                self.contingent.settle(now)

    def end(self, order: Order, now: int, status: OrderStatus, code: str) -> None:
        """Cancel an order, or let it expire.

        An order that the open of a bar has decided is filled already, though that is booked when the bar is
        complete; what is left of it then is ended. The order of a rule that is taken back stays away.
        """
        if not order.is_live:
            return
        if is_decided(order, now):
            order.waiting.append(lambda later: self.end(order, later, status, code))
            return
        self.book.move(order, status, now, code)
        if order.rule is not None:
            self.guards.waived.add((order.instrument.index, order.rule))
        self.contingent.settle(now)

    def _end_all(self, orders: list[Order], now: int) -> None:
        """End orders whose one event has been matched for all, by submission."""
        for order in sorted(orders, key=lambda order: order.id):
            self._end_once(order, now)

    def _end_once(self, order: Order, now: int) -> None:
        """End an order that was for one event, which is over."""
        if order.is_working and order.time_in_force in lifetimes.ONCE:
            status, code = lifetimes.end_of(order)
            self.book.move(order, status, now, code)
            self.contingent.settle(now)

    # -- phase 2: closes of sessions ---------------------------------------------------------------------

    def close_sessions(self, now: int) -> None:
        """Fill orders of the close on quotes and prints, then let orders expire whose time is over."""
        due = [order for order in self.book.working() if order.expires is not None and order.expires <= now]
        for order in self._in_turn([each for each in due if each.time_in_force is TimeInForce.CLS]):
            if order.is_working:
                self._close_on_tick(order, now)
        for order in due:
            if order.is_working and order.time_in_force in lifetimes.EXPIRIES:
                self.end(order, now, OrderStatus.EXPIRED, lifetimes.EXPIRIES[order.time_in_force])

    def _close_on_tick(self, order: Order, now: int) -> None:
        """Let an order take the last quote or print of the session, if that came after it was active."""
        instrument = order.instrument
        data = self.last_ticks.get(instrument.index)
        if data is None or data.ts_event <= order.active_from or order.expires is None:
            return
        sessions = self.plan.calendars[instrument.calendar]
        price = own_side(order, data)
        if price is None or data.ts_event < sessions.opens[sessions.closes.index(order.expires)]:
            return
        offer = at_session_close(order, price, self.plan.policies)
        if offer is not None:
            self.attempt(order, offer, data, now, open_only=False)
            # The last row is the mark, whatever side of it filled, also one of a break.
            self.account.marks[instrument.index] = self.last_marks[instrument.index]

    # -- phase 9: closes of bars that are over -----------------------------------------------------------

    def close_now(self, now: int, rows: list[tuple[Instrument, Data]]) -> None:
        """Fill market orders at the closes of this instant: `fill_timing = "same_close"`, phase 9.

        Those are the orders that were accepted just now; what they leave, and orders that find no close, wait
        for the close of a bar that opens later.
        """
        if self.plan.policies.fill_timing is not FillTiming.SAME_CLOSE:
            return
        # A close in front of a split or dividend of this instant is a price of the old shares.
        acted = {action.instrument for action in self.plan.actions if action.ts == now}
        traded = self.traded(rows)
        bars = {
            each.index: data for each, data in traded if isinstance(data, Bar) and each.index not in acted
        }
        met: list[Order] = []
        for order in self._in_turn(self.book.working()):
            bar = bars.get(order.instrument.index)
            if bar is None or order.order_type is not OrderType.MARKET:
                continue
            if not order.is_live:
                # The order before it has taken it along.
                continue
            if order.ts_accepted != now or order.active_from != now:
                continue
            if order.time_in_force in (TimeInForce.OPG, TimeInForce.CLS) or order.skips_bar == bar.ts_event:
                continue
            met.append(order)
            if self.trades(bar):
                self.attempt(order, at_close(order, bar.close), bar, now, open_only=False)
        self._end_all(met, now)

    def meet_standing(self, now: int) -> None:
        """Let orders that become active now meet the quotes that stand, by `quote_fill`: phase 9."""
        paths = standing.paths(self, now)
        self._walk(now, list(paths))
        for path in paths:
            path.follow()
        self._end_all([order for path in paths for order in path.over], now)
        for path in paths:
            if (mark := mark_of(path.quote)) is not None:
                self.account.marks[path.instrument.index] = mark

    # -- phase 10: opens ---------------------------------------------------------------------------------

    def open(self, now: int, bars: list[tuple[Instrument, Bar]]) -> None:
        """Set marks to the opens, then decide working orders at them by submission.

        Where a model needs the volume of the bar, nothing is decided yet: the fill is priced at the open and
        booked when the bar is complete. A bar in a break sets a mark and decides nothing.
        """
        opened, bars = bars, [row for row in bars if not self.rests(*row)]
        if self.closing is not None:
            self.closing.before_opens(now, bars)
        for instrument, bar in opened:
            self.account.marks[instrument.index] = bar.open
        for instrument, bar in bars:
            self._let_rest(instrument, bar)
        if self.plan.models.needs_volume:
            self._decide(bars)
            return
        by_instrument = {instrument.index: bar for instrument, bar in bars}
        tried: set[int] = set()
        while (chance := self._next_at_open(by_instrument, tried)) is not None:
            order, bar, offer = chance
            tried.add(order.id)
            order.skips_bar = bar.ts_event
            self.attempt(order, offer, bar, now, open_only=True)
        self._end_all([order for each, bar in bars for order in self.that_met_open(each, bar)], now)

    def that_met_open(self, instrument: Instrument, bar: Bar) -> list[Order]:
        """Return the orders whose one event was the open of a bar."""
        policies = self.plan.policies
        return [
            order
            for order in self.book.working()
            if order.instrument is instrument
            and lifetimes.is_active(order, bar)
            and lifetimes.meets_once(order, policies) == "open"
        ]

    def _let_rest(self, instrument: Instrument, bar: Bar) -> None:
        """Let limits rest that meet a bar in which nothing trades: they have to wait."""
        for order in self.book.working():
            is_met = order.instrument is instrument and lifetimes.is_active(order, bar)
            if is_met and not self.trades(bar) and not order.waits_for_stop:
                order.resting = True

    def _decide(self, bars: list[tuple[Instrument, Bar]]) -> None:
        """Note which orders an open decides: a cancel that comes later does not undo that."""
        for instrument, bar in bars:
            for order in self.book.working():
                if order.instrument is not instrument:
                    continue
                self.unbooked.add(instrument.index)
                if not lifetimes.is_active(order, bar):
                    continue
                is_decided = lifetimes.meets_once(order, self.plan.policies) == "open"
                if self.trades(bar):
                    before = order.triggered
                    offer = at_open(order, bar.open, self.plan.policies)
                    is_decided |= offer is not None
                    # A stop that fills counts as reached when its fill is booked.
                    order.triggered = order.triggered if offer is None else before
                order.decided = bar.ts_event if is_decided else None

    def _next_at_open(self, bars: dict[int, Bar], tried: set[int]) -> tuple[Order, Bar, Offer] | None:
        """Return the first order in turn that can trade at its open and has not tried yet.

        A fill may have moved the stop of a rule beyond the open, so each time all are looked at.
        """
        meeting = [
            (order, bar)
            for order in self.book.working()
            if (bar := bars.get(order.instrument.index)) is not None
            and order.id not in tried
            and lifetimes.is_active(order, bar)
            and self.trades(bar)
        ]
        if self.plan.policies.path is not BarPath.CLOSE_ONLY:
            # All see the open before the first of them trades.
            for order, bar in meeting:
                trailing.meet(order, bar.open)
        for order, bar in sorted(meeting, key=lambda each: self.turn(each[0])):
            offer = at_open(order, bar.open, self.plan.policies)
            if offer is not None:
                return order, bar, offer
        return None

    def rests(self, instrument: Instrument, data: Data) -> bool:
        """Say whether a piece of data lies in a break of its calendar: orders do not meet it."""
        sessions = self.plan.calendars[instrument.calendar]
        return sessions.is_break(data.ts_open if isinstance(data, Bar) else data.ts_event, data.ts_event)

    def traded(self, rows: Sequence[tuple[Instrument, Data]] | None) -> list[tuple[Instrument, Data]]:
        """Return the rows that orders meet."""
        return [row for row in rows or () if not self.rests(*row)]

    def trades(self, bar: Bar) -> bool:
        """Say whether a bar can fill orders: one without volume did not trade."""
        return bar.volume != 0 or self.plan.policies.zero_volume is ZeroVolume.FILL

    # -- one attempt -------------------------------------------------------------------------------------

    def attempt(self, order: Order, offer: Offer, data: Data, now: int, *, open_only: bool) -> None:
        """Let an order take an offer, as far as its instructions, the models and the account allow."""
        if order.post_only and offer.is_limit and offer.liquidity == "taker":
            self.book.end(order, now, "POST_ONLY_WOULD_TAKE")
        elif self.reducible(order) == 0:
            self.book.end(order, now, "NOTHING_TO_REDUCE")
        else:
            self._trade(order, offer, data, now, open_only=open_only)
            self._end_once(order, now)
        self.contingent.settle(now)

    def reducible(self, order: Order) -> int:
        """Return how much is open of an order now: of one that only reduces, what the position has of it."""
        return self.account.parts(order, order.leaves)[0] if order.reduce_only else order.leaves

    def _trade(self, order: Order, offer: Offer, data: Data, now: int, *, open_only: bool) -> None:
        shown = self._shown(order, data, open_only=open_only)
        used = self.taken_from(order, data)
        most = min(self.reducible(order), self._displayed(order, data))
        if offer.most is not None:
            most = min(most, offer.most)
        meeting = Meeting(order=order, offer=offer, shown=shown, used=used, now=now)
        needs_all = order.all_or_none or order.time_in_force is TimeInForce.FOK
        offered = self.costs.slices(meeting, most=most, is_one_fill=needs_all)
        if isinstance(offered, Passed):
            if offered is Passed.FOR_WANT:
                self._wait(order, offer)
            else:
                self.book.end(order, now, "REFUSED_BY_MODEL", self.costs.refusal_text(order, most, now))
            return
        slices, is_cut = offered
        fills: list[Fill] = []
        fill: Fill | None = None
        is_full = True
        for each in slices:
            # Each knows the ones before it, and the first that does not fill in full is the last.
            meeting = attrs.evolve(meeting, used=self.taken_from(order, data))
            fill = self._take(meeting, each, data, needs_all=needs_all)
            fills += [] if fill is None else [fill]
            is_full = fill is not None and fill.quantity == each.quantity
            if not is_full or not order.is_working:
                break
        # What its limit keeps out of the rest leaves it as marketable as before.
        if fill is not None and not (is_cut and is_full):
            self._wait(order, offer)
        if fills:
            self._follow(fills, offer, data)

    def _shown(self, order: Order, data: Data, *, open_only: bool) -> Shown:
        """Return what the models are shown: the data, and what is estimated from the sessions before."""
        models, turnover, instrument = self.plan.models, self.turnover, order.instrument
        fields: dict[str, dict[str, float]] = {"fill": {}}
        if days := average_days(models.fill):
            fields["fill"] = turnover.shown(instrument, data, days)
        for name, model in (("slippage", models.slippage), ("impact", models.impact)):
            days = average_days(model)
            fields[name] = turnover.estimates(instrument, data, days) if days else {}
        return Shown.of(data, open_only=open_only).with_sessions(**fields)

    def _take(self, meeting: Meeting, slice_: Slice, data: Data, *, needs_all: bool) -> Fill | None:
        """Let an order take a slice, as far as costs and account allow."""
        order, offer, now = meeting.order, meeting.offer, meeting.now
        execution = self.costs.quote(meeting, slice_, least=self.reducible(order) if needs_all else 0)
        if isinstance(execution, Passed):
            # What its own costs kept out stays marketable; what found nothing to trade with has to wait.
            if execution is Passed.FOR_WANT:
                self._wait(order, offer)
            return None
        if not self._may_sell(order, execution.quantity):
            self.book.end(order, now, "SHORT_NOT_ALLOWED", self.short_text(order, execution.quantity, now))
            return None
        if not self._payable(order, execution):
            return self._cannot_pay(order, execution, offer, data, now, needs_all=needs_all)
        return self._fill(order, execution, offer, data, now)

    def _cannot_pay(
        self, order: Order, execution: Execution, offer: Offer, data: Data, now: int, *, needs_all: bool
    ) -> Fill | None:
        """Do what `insufficient_cash` says; a part is not all of an order that asks for all or nothing."""
        policy = self.plan.policies.insufficient_cash
        if policy is InsufficientCash.WAIT or (policy is InsufficientCash.PARTIAL and needs_all):
            return None
        part = None
        if policy is InsufficientCash.PARTIAL:
            part = self._affordable(order, execution, now)
        if part is None:
            self.book.end(order, now, "INSUFFICIENT_CASH", self._missing(order, execution, now))
            return None
        fill = self._fill(order, part, offer, data, now)
        if order.is_working:
            text = "the account could pay for no more"
            self.book.move(order, OrderStatus.CANCELED, now, "INSUFFICIENT_CASH", text)
        return fill

    def _follow(self, fills: list[Fill], offer: Offer, data: Data) -> None:
        """Do what follows from the fills of an execution: orders of rules first, then groups and children."""
        fill = fills[-1]
        occasion = Occasion.of(fill, offer, data, self.plan.policies)
        self.guards.guard(fill.order.instrument, fill.ts, occasion)
        quantity = sum(each.quantity for each in fills)
        birth = Birth(fill=fill, quantity=quantity, offer=offer, data=data, is_completing=self.is_completing)
        self.contingent.after_fill(birth)

    def _displayed(self, order: Order, data: Data) -> int:
        """Return what one event may fill at most: what a resting limit shows on quotes and prints."""
        if order.display_quantity is None or isinstance(data, Bar) or not order.resting:
            return order.leaves
        return int(order.display_quantity)

    def _wait(self, order: Order, offer: Offer) -> None:
        """Let what is left of a limit wait in the market, which had no more to give."""
        order.resting = order.resting or (offer.is_limit and order.is_working)

    def _payable(self, order: Order, execution: Execution) -> bool:
        if order.rolls:
            # Whoever holds a contract goes on with the next one; margin is looked at afterwards.
            return True
        return power.can_pay(
            self.account, self.exchange.dealer, order, execution.quantity, execution.price, execution.fee
        )

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
        currency, base = instrument.currency, self.account.currencies.base
        cash = cash_text(self.account.cash_in(currency))
        if currency != base:
            cash = f"{cash} {currency} and {cash_text(self.account.cash_in(base))} {base}"
        could = cash_text(power.before_orders(self.account))
        return (
            f"{order.side.value} {quantity} {instrument.symbol} at {price} "
            f"with fee {cash_text(execution.fee)} needs more than the account has: "
            f"cash {cash}, buying power {could} ({text_of(now)})"
        )

    def _may_sell(self, order: Order, quantity: int) -> bool:
        if order.side is Side.BUY or self.plan.account.allows_short:
            return True
        return self.account.ledger.quantity(order.instrument) >= quantity

    def is_covered(self, order: Order) -> bool:
        """Say whether an account without short positions may take a sell in: it may count on working buys."""
        if order.side is Side.BUY or self.plan.account.allows_short or order.reduce_only:
            return True
        buys = sum(
            each.leaves
            for each in self.book.working()
            if each.instrument is order.instrument and each.side is Side.BUY
        )
        return self.account.ledger.quantity(order.instrument) + buys >= order.leaves

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
            spread=execution.parts.spread,
            slippage=execution.parts.slippage,
            impact=execution.parts.impact,
            permanent_impact=execution.parts.permanent_impact,
            permanent=execution.permanent,
            fee=execution.fee,
            notional=instrument.cash(execution.price, execution.quantity),
            liquidity=execution.liquidity,
            phase=offer.phase,
        )
        self.used[self._source(order, data)] = (data.row, self.taken_from(order, data) + execution.quantity)
        self.turnover.take(instrument, data, execution.quantity)
        held = self.account.ledger.quantity(instrument)
        if not held:
            # A position that opens is worth what the market was at, before costs.
            self.account.marks[instrument.index] = offer.market
        breach = unsettled.book(self.account, self.exchange, fill)
        if self.memorandum is not None:
            self.memorandum.note(fill, held)
        self.book.fill(fill, *breach)
        self.costs.tell(fill)
        if order.is_working and self.reducible(order) == 0:
            self.book.end(order, now, "NOTHING_TO_REDUCE")
        return fill

    def taken_from(self, order: Order, data: Data) -> int:
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
        self.guards.rules = rules
        for instrument in self.plan.instruments:
            if instrument.index in self.unbooked:
                self.late.add(instrument.index)
            else:
                self.guards.put_in_force(instrument, now, active_from=now + after_opens)
        self.contingent.settle(now)
