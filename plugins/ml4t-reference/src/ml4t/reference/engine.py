"""The simulation: eleven phases at every instant, each a method of its own.

What ended at T precedes what begins at T. The documentation page "Event order" is the rule; this module is the
same page in Python. The listener is whoever decides: it is told what became known and asked for requests, which
are taken in when it has answered.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import takewhile
from typing import Protocol

import attrs

from ml4t.core.config import FillTiming, InsufficientCash, TickRounding, ZeroVolume
from ml4t.core.types import ActionKind, DataKind, OrderStatus, OrderType, Side, TimeInForce
from ml4t.reference.account import Account
from ml4t.reference.actions import Action, Due, after, pay_dividend, settle, split_holding, split_orders
from ml4t.reference.agenda import BarVisit, CloseAgenda, OpenAgenda, RangeAgenda, TickAgenda, work_off
from ml4t.reference.costs import Models, Proposal
from ml4t.reference.instruments import Terms
from ml4t.reference.intake import Refusal, account_refusal, order_refusal, round_passively
from ml4t.reference.ledger import Cause
from ml4t.reference.lots import Lot
from ml4t.reference.market import Market, Row, Session
from ml4t.reference.matching import Offer
from ml4t.reference.numbers import ZERO
from ml4t.reference.orders import REASONS, Order
from ml4t.reference.records import Record, Records
from ml4t.reference.settings import Settings


@attrs.frozen(kw_only=True)
class Wish:
    """What a strategy asks for, with exact numbers."""

    terms: Terms
    side: Side
    quantity: Fraction
    order_type: OrderType = OrderType.MARKET
    limit_price: Fraction | None = None
    stop_price: Fraction | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    tag: str = ""


@attrs.frozen
class Send:
    """A request to send an order."""

    order: Order


@attrs.frozen
class Cancel:
    """A request to take an order back."""

    order: Order


class Listener(Protocol):
    """Who decides. Every method may submit and cancel; the requests are taken in when it returns."""

    def next_timer(self, after: int | None) -> int | None:
        """Return the first instant later than `after`, or the first at all, at which a timer is due."""

    def readable(self, rows: Sequence[Row]) -> bool:
        """Take in what became readable at this instant; answer whether that is a reason to decide."""

    def timers(self) -> bool:
        """Call the timers that are due; answer whether there were any."""

    def daily_close(self) -> None:
        """Act on the close of a session of the NAV calendar."""

    def decide(self) -> None:
        """Decide, once per instant."""

    def filled(self, order: Order, fill: Record) -> None:
        """Learn of a fill."""

    def order_changed(self, order: Order, event: Record) -> None:
        """Learn that the state of an order changed."""


@attrs.define(kw_only=True, eq=False)
class Simulation:
    """The state of a run. `now` is the instant that is being worked on."""

    market: Market
    settings: Settings
    models: Models
    actions: Sequence[Action]
    listener: Listener
    account: Account
    records: Records = attrs.field(factory=Records)
    orders: list[Order] = attrs.field(factory=list)
    now: int | None = None
    _static: list[int] = attrs.field(factory=list)
    _extra: set[int] = attrs.field(factory=set)
    _requests: deque[Send | Cancel] = attrs.field(factory=deque)
    _cancels: list[tuple[int, Order]] = attrs.field(factory=list)
    _dues: list[Due] = attrs.field(factory=list)
    _visits: dict[tuple[int, int], BarVisit] = attrs.field(factory=dict)
    _news: deque[Callable[[], None]] = attrs.field(factory=deque)
    _after_opens: bool = False
    _last_recorded: int | None = None

    @classmethod
    def of(
        cls,
        market: Market,
        settings: Settings,
        models: Models,
        actions: Sequence[Action],
        *,
        listener: Listener,
    ) -> Simulation:
        """Prepare a run: an account without money, and the list of instants."""
        account = Account.of(
            market.terms,
            leverage=settings.leverage,
            allows_short=settings.allows_short,
            policy=settings.lot_policy,
        )
        closes = {session.closes for table in market.sessions.values() for session in table}
        moments = {market.first, *market.completed, *market.arrived, *market.opened, *closes}
        moments |= {each for action in actions for each in (action.ts, action.pay_ts)}
        static = sorted(moment for moment in moments if market.first <= moment <= market.last)
        return cls(
            market=market,
            settings=settings,
            models=models,
            actions=actions,
            listener=listener,
            account=account,
            static=static,
        )

    # -- the loop ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work through all instants, and close what is still working at the end of the data."""
        self.now = self.market.first
        deposit = Cause(ts_event=self.now, kind="deposit")
        self.account.ledger.post(deposit, debit="cash", credit="capital", amount=self.settings.initial_cash)
        moment = self._next(None)
        while moment is not None:
            self._instant(moment)
            moment = self._next(moment)
        for order in self._working():
            self._end(order, OrderStatus.CANCELED, "END_OF_DATA")
        self._tell()
        self.account.ledger.check(self._inventory(), self.market.last)

    def _next(self, after: int | None) -> int | None:
        """Return the next instant: of the data, of the calendars, of a timer, or of a cancel under way."""
        index = 0 if after is None else bisect_right(self._static, after)
        found = self._static[index : index + 1]
        found += [moment for moment in self._extra if after is not None and moment > after]
        timer = self.listener.next_timer(after)
        found += [] if timer is None else [timer]
        return min((moment for moment in found if moment <= self.market.last), default=None)

    def _instant(self, now: int) -> None:
        self.now = now
        self._after_opens = False
        self.phase_1_completed_data()
        self.phase_2_session_closes()
        self.phase_3_settlement()
        self.phase_4_corporate_actions()
        session = self.phase_5_nav()
        rows, is_reason = self.phase_6_readable()
        is_reason = self.phase_7_timers(session) or is_reason
        if is_reason:
            self.phase_8_decide()
        self.phase_9_intake()
        self.phase_10_opens()
        self.phase_11_record(rows, session)

    # -- the phases --------------------------------------------------------------------------------------

    def phase_1_completed_data(self) -> None:
        """Match working orders against ranges and closes of bars, quotes and trades; then set the marks."""
        rows = self.market.completed.get(self._now, ())
        for feed in sorted({row.feed for row in rows}):
            taken = [row for row in rows if row.feed == feed]
            if taken[0].kind is DataKind.BAR:
                self._match_bars(taken)
            else:
                self._match_ticks(taken)
        for row in rows:
            assert row.terms is not None
            self.account.holdings[row.terms.id].mark = row.mark
        self._tell()

    def _match_bars(self, rows: Sequence[Row]) -> None:
        """Match what completed bars still offer: opens that had to wait for the volume, then ranges, then closes."""
        keys = [(row.feed, row.number) for row in rows]
        visits = [visit for key in keys if (visit := self._visits.pop(key, None)) is not None]
        self._book_opens(visits)
        for order in [order for visit in visits for order in visit.cancels]:
            self._cancel(order)
        work_off([self._range_agenda(visit) for visit in visits])
        work_off([CloseAgenda(visit=visit, attempt=self._attempt) for visit in visits])

    def _match_ticks(self, rows: Sequence[Row]) -> None:
        """Match quotes or trades, those of one instrument in their order."""
        agendas = []
        for instrument in {row.terms.id: None for row in rows if row.terms is not None}:
            ticks = deque(row for row in rows if row.terms is not None and row.terms.id == instrument)
            orders = [order for order in self._working() if order.terms.id == instrument]
            agendas.append(
                TickAgenda(
                    rows=ticks, orders=orders, policies=self.settings.policies, attempt=self._attempt
                )
            )
        work_off(agendas)

    def _range_agenda(self, visit: BarVisit) -> RangeAgenda:
        assert visit.row.terms is not None
        holding = self.account.holdings[visit.row.terms.id]
        return RangeAgenda(
            visit=visit,
            policies=self.settings.policies,
            position=lambda: holding.quantity,
            attempt=self._attempt,
        )

    def phase_2_session_closes(self) -> None:
        """Let the day orders of a session that closes now expire."""
        for order in self._working():
            if order.expires_at == self._now:
                self._end(order, OrderStatus.EXPIRED, "SESSION_CLOSED")
        self._tell()

    def phase_3_settlement(self) -> None:
        """Pay the dividends whose pay date has come."""
        for due in [due for due in self._dues if due.ts == self._now]:
            self._dues.remove(due)
            settle(self.account, due, self._now)

    def phase_4_corporate_actions(self) -> None:
        """Carry out the splits and dividends whose ex-date begins."""
        quantum = self.settings.posting_quantum
        for action in self.actions:
            if action.ts != self._now:
                continue
            if action.kind is ActionKind.CASH_DIVIDEND:
                due = pay_dividend(self.account, action, quantum)
                self._dues += [] if due is None else [due]
            else:
                split_holding(self.account, action, quantum)
                for order in list(split_orders(self._working(), action)):
                    self._end(order, OrderStatus.CANCELED, "SCALED_TO_NOTHING")
        self._tell()

    def phase_5_nav(self) -> Session | None:
        """Take the official value of a session of the NAV calendar that closes now; return the session."""
        sessions = self.market.sessions[self.market.nav_calendar]
        # A session that closes where the run begins is not part of it.
        session = next((s for s in sessions if s.closes == self._now > self.market.first), None)
        if session is not None:
            self.account.ledger.check(self._inventory(), self._now)
            self.records.add_positions(self.account.holdings, self._now, session)
            self._record(session)
        return session

    def phase_6_readable(self) -> tuple[Sequence[Row], bool]:
        """Make what arrives now readable; return the rows, and whether there is a reason to decide."""
        rows = self.market.arrived.get(self._now, ())
        for row in rows:
            if row.terms is not None and row.terms.matching == row.feed:
                self.account.holdings[row.terms.id].known = self._today(row)
        return rows, self.listener.readable(rows)

    def _today(self, row: Row) -> Fraction | None:
        """Return the price of a row, seen through the corporate actions since it was complete."""
        price: Fraction | None = row.mark
        for action in self.actions:
            if action.terms is row.terms and row.ts_event <= action.ts <= self._now:
                price = after(action, price)
        return price

    def phase_7_timers(self, session: Session | None) -> bool:
        """Call the timers that are due, and `on_daily_close` after the close of a session."""
        was_due = self.listener.timers()
        if session is not None:
            self.listener.daily_close()
        self.take_requests()
        return was_due

    def phase_8_decide(self) -> None:
        """Ask for a decision, once, with everything that is readable now."""
        self.listener.decide()
        self.take_requests()

    def phase_9_intake(self) -> None:
        """Let cancels arrive that were under way, and fill market orders at the closes of now if told so.

        Requests have been taken in when the callback that made them returned.
        """
        for moment, order in list(self._cancels):
            if moment == self._now:
                self._cancels.remove((moment, order))
                self._cancel(order)
        if self.settings.policies.fill_timing is FillTiming.SAME_CLOSE:
            self._fill_at_closes()
        self._tell()

    def _fill_at_closes(self) -> None:
        """Fill the market orders that became active at this instant at the closes of this instant."""
        closed = {
            row.terms.id: row
            for row in self.market.completed.get(self._now, ())
            if row.kind is DataKind.BAR and row.terms is not None and self._fills(row)
        }
        for order in self._working():
            row = closed.get(order.terms.id)
            if row is not None and order.active_at == self._now and order.order_type is OrderType.MARKET:
                price = row.price("close")
                assert price is not None
                self._attempt(order, Offer(price=price, phase="close"), row)

    def phase_10_opens(self) -> None:
        """Set the marks to the opens of the bars that begin now, and show these to the orders that are active."""
        opened = self.market.opened.get(self._now, ())
        for order in (order for row in opened if not self._fills(row) for order in self._meeting(row)):
            order.is_resting = not order.waits_for_stop
        bars = [row for row in opened if self._fills(row)]
        for row in bars:
            assert row.terms is not None
            self.account.holdings[row.terms.id].mark = row.price("open")
        visits = [BarVisit.at_open(row, self._meeting(row), self.settings.policies) for row in bars]
        for visit in visits:
            self._visits[visit.row.feed, visit.row.number] = visit
        if not self.models.needs_volume:
            self._book_opens(visits)
        self._after_opens = True
        self._tell()

    def _book_opens(self, visits: Sequence[BarVisit]) -> None:
        work_off([OpenAgenda(visit=visit, attempt=self._attempt) for visit in visits])

    def _meeting(self, row: Row) -> list[Order]:
        """Return the orders that a bar which opens now can fill, by sequence."""
        return [
            order
            for order in self._working()
            if order.terms is row.terms and order.meets_opens_from <= self._now
        ]

    def _fills(self, row: Row) -> bool:
        """Tell whether a bar fills orders: one in which nothing traded does only where the policy says so."""
        return row.traded or self.settings.policies.zero_volume is ZeroVolume.FILL

    def phase_11_record(self, rows: Sequence[Row], session: Session | None) -> None:
        """Write a row of the portfolio: at a step where market data became readable, at the cadence of the run."""
        every = self.settings.record_ns
        if session is not None or every is None or not rows:
            return
        if every and self._last_recorded is not None and self._last_recorded // every == self._now // every:
            return
        self._record(None)

    # -- orders ------------------------------------------------------------------------------------------

    def submit(self, wish: Wish) -> Order:
        """Send an order. It leaves the strategy when the callback that sent it returns."""
        order = Order(
            id=len(self.orders) + 1,
            terms=wish.terms,
            side=wish.side,
            order_type=wish.order_type,
            time_in_force=wish.time_in_force,
            quantity=wish.quantity,
            limit_price=wish.limit_price,
            stop_price=wish.stop_price,
            tag=wish.tag,
            ts_submitted=self._now,
        )
        self.orders.append(order)
        self._requests.append(Send(order))
        return order

    def cancel(self, order: Order) -> bool:
        """Ask to take an order back; False when it is closed already."""
        if order.status.is_closed:
            return False
        self._requests.append(Cancel(order))
        return True

    def take_requests(self) -> None:
        """Take in what the callback that has returned asked for, by sequence.

        Orders sent in a row are a basket: all of them are submitted before the first is accepted.
        """
        while self._requests:
            basket = [each.order for each in takewhile(lambda each: isinstance(each, Send), self._requests)]
            for order in basket:
                self._requests.popleft()
                self._submit(order)
            for order in basket:
                self._accept(order)
            if self._requests:
                self._take_cancel(self._requests.popleft().order)

    def _submit(self, order: Order) -> None:
        """Hand an order over, and refuse it if it is wrong in itself."""
        self._move(order, OrderStatus.SUBMITTED)
        if self.settings.policies.tick_rounding is TickRounding.PASSIVE:
            round_passively(order)
        refusal = order_refusal(order, is_warm=self._now >= self.settings.warm_from)
        if refusal is not None:
            self._end(order, OrderStatus.REJECTED, refusal.code, refusal.sentence)

    def _accept(self, order: Order) -> None:
        """Accept an order, or refuse it if the account cannot carry it."""
        if order.status.is_closed:
            return
        refusal = account_refusal(order, self.account, self._working(), self.settings.policies)
        if refusal is not None:
            self._end(order, OrderStatus.REJECTED, refusal.code, refusal.sentence)
            return
        order.ts_accepted = self._now
        order.active_at = self._now + self.settings.latency_ns
        order.meets_opens_from = max(order.active_at, self._now + 1 if self._after_opens else self._now)
        if order.time_in_force is TimeInForce.DAY:
            order.expires_at = self.market.next_close(order.terms.calendar, self._now)
        self._move(order, OrderStatus.ACCEPTED)

    def _take_cancel(self, order: Order) -> None:
        """Cancel an order now, or let the cancel travel as long as orders do."""
        if not self.settings.latency_ns:
            self._cancel(order)
            return
        moment = self._now + self.settings.latency_ns
        self._extra.add(moment)
        self._cancels.append((moment, order))

    def _cancel(self, order: Order) -> None:
        """Cancel an order, unless an open has met it: what was traded there is booked first."""
        holder = next((visit for visit in self._visits.values() if visit.holds(order)), None)
        if holder is not None:
            holder.cancels.append(order)
        elif order.is_working:
            self._end(order, OrderStatus.CANCELED, "CANCELED_BY_REQUEST")

    def _working(self) -> list[Order]:
        return [order for order in self.orders if order.is_working]

    def _move(self, order: Order, status: OrderStatus, code: str = "") -> None:
        before = order.move(status)
        event = self.records.add_event(order, before, code, self._now)
        self._news.append(lambda: self.listener.order_changed(order, event))

    def _end(self, order: Order, status: OrderStatus, code: str, sentence: str = "") -> None:
        """Close an order for a reason."""
        order.reason_code = code
        order.reason = sentence or REASONS[code]
        order.ts_closed = self._now
        self._move(order, status, code)

    def _tell(self) -> None:
        """Deliver the news about orders and fills."""
        while self._news:
            self._news.popleft()()
            self.take_requests()

    # -- fills -------------------------------------------------------------------------------------------

    def _attempt(self, order: Order, offer: Offer, row: Row) -> None:
        """Take an offer if the models, the account and its permissions allow it."""
        proposal = self.models.propose(order, offer, row, self._now)
        if proposal is None:
            return
        holding = self.account.holdings[order.terms.id]
        if order.sign < 0 and not self.settings.allows_short and proposal.quantity > holding.quantity:
            self._refuse_fill(order, Refusal.of("SHORT_NOT_ALLOWED"))
            return
        if not self._affords(order, proposal):
            policy = self.settings.policies.insufficient_cash
            if policy is InsufficientCash.WAIT:
                return
            partial = None
            if policy is InsufficientCash.PARTIAL:
                partial = self._largest_affordable(order, offer, row, proposal)
            if partial is not None:
                self._book(order, offer, row, partial)
            self._refuse_fill(order, Refusal.of("INSUFFICIENT_CASH"))
            return
        self._book(order, offer, row, proposal)

    def _refuse_fill(self, order: Order, refusal: Refusal) -> None:
        """Close an order that the account cannot carry: a rejected order never moved money."""
        status = OrderStatus.CANCELED if order.filled else OrderStatus.REJECTED
        self._end(order, status, refusal.code, refusal.sentence)

    def _affords(self, order: Order, proposal: Proposal) -> bool:
        """Tell whether the account can pay for what a fill opens, and for its fee; closing is always possible."""
        holding = self.account.holdings[order.terms.id]
        closing = holding.closable(order.sign, proposal.quantity)
        opening = proposal.quantity - closing
        if not opening:
            return True
        need = abs(order.terms.value(opening, proposal.price)) + proposal.fee
        freed = abs(order.terms.value(closing, proposal.price))
        return need <= self.account.room + freed

    def _largest_affordable(
        self, order: Order, offer: Offer, row: Row, proposal: Proposal
    ) -> Proposal | None:
        """Return the fill of the most lots that the account can pay for, or None."""
        lot = order.terms.lot
        few, many = 0, int(proposal.quantity / lot)
        best: Proposal | None = None
        at_reference = attrs.evolve(offer, price=proposal.reference, is_maker=proposal.liquidity == "maker")
        while few < many - 1:
            half = (few + many) // 2
            tried = self.models.priced(order, at_reference, row, half * lot, self._now)
            if tried is not None and self._affords(order, tried):
                few, best = half, tried
            else:
                many = half
        return best

    def _book(self, order: Order, offer: Offer, row: Row, proposal: Proposal) -> None:
        """Carry out a fill: the order, the ledger, the tables."""
        terms, units = order.terms, proposal.quantity
        notional = terms.value(units, abs(proposal.price))
        slippage = terms.value(units, proposal.spread + proposal.slippage)
        fill: Record = {
            "fill_id": len(self.records.fills) + 1,
            "order_id": order.id,
            "book": 0,
            "ts_event": self._now,
            "symbol": terms.symbol,
            "side": order.side.value,
            "quantity": units,
            "price": proposal.price,
            "reference_price": proposal.reference,
            "spread": proposal.spread,
            "slippage": proposal.slippage,
            "impact": ZERO,
            "fee": proposal.fee,
            "notional": notional,
            "currency": terms.currency,
            "liquidity": proposal.liquidity,
            "phase": offer.phase,
        }
        self.records.fills.append(fill)
        row.used += units
        self._post(order, proposal, fill, slippage)
        order.filled += units
        order.value += units * proposal.price
        order.notional += notional
        order.fees += proposal.fee
        terms.checked_quantity(self.account.holdings[terms.id].quantity)
        self._news.append(lambda: self.listener.filled(order, fill))
        if order.filled == order.quantity:
            order.ts_closed = self._now
            self._move(order, OrderStatus.FILLED)
        else:
            self._move(order, OrderStatus.PARTIALLY_FILLED)

    def _post(self, order: Order, proposal: Proposal, fill: Record, slippage: Fraction) -> None:
        """Post a trade and its fee, and keep the round trips that it ends."""
        terms, units = order.terms, proposal.quantity
        lot = Lot(
            quantity=order.sign * units,
            cost=order.sign * terms.value(units, proposal.price),
            ts_open=self._now,
            order_id=order.id,
            fees=proposal.fee,
            slippage=slippage,
        )
        belongs = {"symbol": terms.symbol, "order_id": order.id, "fill_id": fill["fill_id"]}
        closed = self.account.trade(lot, terms, Cause(ts_event=self._now, kind="trade", **belongs))
        fee = Cause(ts_event=self._now, kind="fee", **belongs)
        self.account.ledger.post(fee, debit="fees", credit="cash", amount=proposal.fee)
        for part in closed:
            share = abs(part.quantity) / units
            self.records.add_round_trip(
                part,
                {
                    "fill": fill,
                    "multiplier": terms.multiplier,
                    "fees": proposal.fee * share,
                    "slippage": slippage * share,
                },
            )

    # -- small things ------------------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        assert self.now is not None
        return self.now

    def _inventory(self) -> Fraction:
        return sum((holding.cost for holding in self.account.holdings), ZERO)

    def _record(self, session: Session | None) -> None:
        self.records.add_portfolio(self.account, self._now, session)
        self._last_recorded = self._now
