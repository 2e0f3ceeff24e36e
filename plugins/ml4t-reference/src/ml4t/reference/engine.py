"""The engine: instants in their order, and the eleven phases of each.

An instant is every distinct time at which something happens: a row completes or arrives, a bar opens for an
instrument with live orders or a position, a session of the NAV calendar closes, a timer fires, a corporate
action, a settlement, funding or a payment is due, a cancel or a change arrives, an order expires or meets a
quote that stands, a rate comes into force that a conversion waits for. The run begins at its first open and
ends with the last row of data.

What ended at an instant precedes what begins at it. `Run._instant` is that sentence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat

import attrs

from ml4t.core.errors import ArgumentError, EngineStateError
from ml4t.core.types import DataKind, OrderStatus
from ml4t.reference import standing
from ml4t.reference.account import Account
from ml4t.reference.attribution import Attribution
from ml4t.reference.broker import Broker
from ml4t.reference.calls import Calls
from ml4t.reference.carry import Carry
from ml4t.reference.context import Context
from ml4t.reference.contingent import Contingent
from ml4t.reference.corporate import Corporate
from ml4t.reference.costs import Costs
from ml4t.reference.dealer import Dealer
from ml4t.reference.delivery import Delivery, Subscription
from ml4t.reference.desk import Desk, OrderHandle
from ml4t.reference.events import FillEvent, MarginCallEvent, OrderEvent
from ml4t.reference.exchange import Exchange
from ml4t.reference.excursions import Excursions
from ml4t.reference.flows import Flows
from ml4t.reference.guards import Guards
from ml4t.reference.intake import Intake
from ml4t.reference.ledger import Ledger
from ml4t.reference.lenders import recall
from ml4t.reference.liquidation import Liquidator
from ml4t.reference.liquidation_price import Closing
from ml4t.reference.margin import Margin
from ml4t.reference.margin_terms import CallRow
from ml4t.reference.market import Data, Market
from ml4t.reference.matching import Bar
from ml4t.reference.memorandum import Memorandum
from ml4t.reference.numbers import cash_float
from ml4t.reference.orders import Fill, OrderBook, Transition
from ml4t.reference.plan import Instrument, Plan
from ml4t.reference.pricing import Pricing
from ml4t.reference.readable import News, Readable
from ml4t.reference.rolling import Roller
from ml4t.reference.settlement import Settling, settlement_instants
from ml4t.reference.tables import Recorder
from ml4t.reference.timestamp import Timestamp
from ml4t.reference.tracked import IndicatorColumn
from ml4t.reference.unsettled import Unsettled
from ml4t.reference.venue import Venue
from ml4t.reference.view import PITData

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Run"]

PROGRESS_EVERY = 256


@attrs.frozen(kw_only=True, order=False)
class _Timer:
    ts: int
    sequence: int
    callback: Callable[[], object]
    label: str


class Run:
    """One backtest, driven by callbacks.

    Parameters
    ----------
    spec : mapping
        Description of the run, as `ml4t.engine.compile.describe` writes it.

    Raises
    ------
    DataError, ConfigError
        If the description asks for something that this engine does not cover.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        plan = Plan.of(spec)
        self._plan = plan
        self._begin, self._end = _span(plan)
        book = OrderBook()
        ledger = Ledger(plan.account.lot_policy, plan.currencies, unsettled=Unsettled.of(plan))
        account = Account(plan.account, ledger, plan.instruments, plan.currencies, self._begin)
        self._exchange = Exchange(plan, account, Dealer(plan))
        self._venue = _venue(plan, book, account, self._exchange)
        self._calls = _calls(plan, self._venue)
        self._market = Market(plan)
        self._flows = Flows(plan, account, self._exchange)
        self._settling = Settling(plan, account, self._exchange)
        self._recalls: dict[int, int] = {}
        self._corporate = Corporate(self._venue, self._settling)
        self._corporate.begin(self._begin)
        self._roller = Roller(self._venue, self._market, self._settling)
        self._carry = Carry(plan, account, self._exchange)
        self._readable = Readable(plan)
        pricing = Pricing(self._readable, self._corporate)
        self._venue.contingent.last = pricing.last
        self._desk = Desk(self._venue, Intake(plan, self._venue, pricing), self._readable)
        self._delivery = Delivery(plan, self._desk)
        self._attribution = Attribution(account, book.fills)
        self._recorder = Recorder()
        self._broker = Broker(self._desk)
        self._data = PITData(self._readable)
        self._context = Context(self._readable)
        self._tracked: list[IndicatorColumn] = []
        self._timers: list[_Timer] = []
        self._timer_count = 0
        self._static = _static_instants(plan, self._begin, self._end)
        self._started = False
        self._last_record: int | None = None
        account.open()

    # -- what the front door uses ------------------------------------------------------------------------

    @property
    def broker(self) -> Broker:
        """The strategy's broker."""
        return self._broker

    @property
    def data(self) -> PITData:
        """A view that always shows the present instant."""
        return self._data

    @property
    def now(self) -> int | None:
        """The present instant; None before the first."""
        return self._readable.epoch.now

    def subscribe(  # noqa: PLR0913 - the parts of a subscription, each by its name
        self,
        assets: Sequence[str] | None = None,
        kind: str | None = None,
        interval_ns: int | None = None,
        model_id: str | None = None,
        *,
        every: int | None = None,
        every_ns: int | None = None,
        window_ns: int | None = None,
    ) -> None:
        """Restrict the typed events to some; without any subscription all are delivered."""
        if self._started:
            message = "subscriptions are made before the run begins, in on_start"
            raise EngineStateError(message)
        self._delivery.subscribe(
            Subscription(
                assets=None if assets is None else tuple(assets),
                kind=kind,
                interval_ns=interval_ns,
                model_id=model_id,
                every=every,
                every_ns=every_ns,
                window_ns=window_ns,
            )
        )

    def track(self, prototype: object, fields: Sequence[str] | None = None) -> IndicatorColumn:
        """Keep an indicator up to date for every instrument."""
        if self._started:
            message = "indicators are declared before the run begins, in on_start"
            raise EngineStateError(message)
        column = IndicatorColumn(self._plan, prototype, fields)
        self._tracked.append(column)
        return column

    def add_timers(self, times: Sequence[int], callback: Callable[[], object], name: str) -> None:
        """Call `callback` at each of `times`."""
        now = self.now
        for ts in times:
            if now is not None and ts <= now:
                message = f"a timer at {Timestamp(ts)} is not after the present instant, {Timestamp(now)}"
                raise EngineStateError(message)
        self._timers += [
            _Timer(ts=ts, sequence=self._timer_count, callback=callback, label=name) for ts in times
        ]
        self._timer_count += 1

    def record(self, values: Mapping[str, Any]) -> None:
        """Keep named numbers of this instant."""
        rows = []
        for name, value in values.items():
            if isinstance(value, str) or not isinstance(value, SupportsFloat):
                message = f"record({name}=...) takes numbers, found {value!r}"
                raise ArgumentError(message)
            rows.append({"ts_event": self._stamp, "name": name, "value": float(value)})
        self._recorder.recorded.extend(rows)

    def log(self, message: str, level: str) -> None:
        """Keep a line of text of this instant."""
        self._recorder.logs.append({"ts_event": self._stamp, "level": level, "message": message})

    @property
    def _stamp(self) -> int:
        return self._begin if self.now is None else self.now

    def execute(
        self,
        handlers: Mapping[str, Callable[..., object]],
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Run to the end of the data, once."""
        if self._started:
            message = "a run executes once; assemble a new one"
            raise EngineStateError(message)
        self._started = True
        self._delivery.handlers = dict(handlers)
        self._desk.thread = threading.get_ident()
        self._desk.is_running = True
        try:
            self._loop(progress)
        finally:
            self._desk.is_running = False
            self._desk.is_over = True
            self._readable.epoch.end()

    def tables(self) -> dict[str, pa.Table]:
        """Return all tables so far, by the names of `ml4t.core.schemas.TABLES`."""
        venue = self._venue
        excursions = Excursions(
            self._plan.policies,
            self._market,
            venue.book,
            self._corporate.applied,
            self._corporate.repriced,
            self._plan.models.needs_volume,
        )
        return self._recorder.tables(
            venue.book, venue.account, self._attribution, self._exchange, self._flows.paid, excursions
        )

    def counts(self) -> dict[str, Any]:
        """Return the size of the run: `rows` of input, `orders`, `fills`; and the rolls that wait."""
        book = self._venue.book
        rows = sum(len(feed) for feed in self._plan.feeds)
        symbols = [each.symbol for each in self._plan.instruments]
        waiting = [(symbols[each.old], symbols[each.new], each.ts) for each in self._roller.waiting]
        return {
            "rows": rows,
            "orders": len(book.orders),
            "fills": len(book.fills),
            "waiting_rolls": waiting,
        }

    # -- time --------------------------------------------------------------------------------------------

    def _loop(self, progress: Callable[[int], object] | None) -> None:
        count = 0
        self._recorder.cash_of_each(self._begin, self._venue.account, None)
        # What was known before the first open is known from the beginning, and calls nobody.
        known = self._readable.advance(self._begin - 1)
        for column in self._tracked:
            column.take(known)
        now = self._next_instant(None)
        while now is not None:
            self._instant(now)
            count += 1
            if progress is not None and count % PROGRESS_EVERY == 0:
                progress(now)
            now = self._next_instant(now)
        self._finish()

    def _next_instant(self, now: int | None) -> int | None:
        """Return the next time at which something happens; None after the last."""
        after = self._begin - 1 if now is None else now
        due = [self._static[-1] if self._static else None]
        due += [timer.ts for timer in self._timers]
        due += [self._corporate.next_payment(), self._desk.intake.next_request(), self._delivery.next_due()]
        due.append(self._exchange.next_due())
        live = {order.instrument.index for order in self._venue.book.working()}
        for instrument in self._plan.instruments:
            if instrument.index in live or self._venue.account.ledger.quantity(instrument):
                due.append(self._market.next_open(instrument, after))
        due += [order.expires for order in self._venue.book.working()]
        due += standing.due(self._venue)
        ahead = [ts for ts in due if ts is not None and after < ts <= self._end]
        return min(ahead, default=None)

    def _instant(self, now: int) -> None:
        """Take one instant through its phases: what ended at it comes before what begins at it."""
        while self._static and self._static[-1] <= now:
            self._static.pop()
        rows = self._market.complete(now)
        self._venue.account.now = now
        self._readable.epoch.begin(now)
        self._completed_data(now, rows)
        self._session_closes(now)
        session = self._session_that_closed(now)
        self._settlements(now, session)
        self._corporate_actions(now)
        self._marks_and_nav(now, session)
        news = self._becomes_readable(now)
        self._roller.begin(now)
        # No callback of T sees less than another: what arrives at T is readable before the fills are told.
        self._tell(now)
        has_timers = self._run_timers(now, session)
        self._strategy(now, news, has_timers=has_timers)
        self._take_in(now, rows)
        self._opens(now)
        self._record(now, session, news)

    def _completed_data(self, now: int, rows: list[tuple[Instrument, Data]]) -> None:
        """Phase 1: working orders are matched against ranges and closes of bars, quotes and trades."""
        self._venue.complete(now, rows, self._market.prints(now))

    def _session_closes(self, now: int) -> None:
        """Phase 2: orders of the close fill where there are no bars, then orders expire."""
        self._venue.close_sessions(now)

    def _session_that_closed(self, now: int) -> int | None:
        """Return the label of the session of the NAV calendar that closes now; None where none does."""
        sessions = self._plan.calendars[self._plan.nav_calendar]
        if now <= self._begin or now not in sessions.closes:
            return None
        return sessions.labels[sessions.closes.index(now)]

    def _settlements(self, now: int, session: int | None) -> None:
        """Phase 3: payments from outside; dividends, variation margin, funding, conversions, other carry."""
        self._flows.pay(now)
        self._carry.learn(now)
        self._corporate.pay(now)
        self._settling.settle(now)
        self._roller.settle(now)
        self._carry.fund(now)
        self._exchange.execute_due(now)
        if session is not None:
            self._carry.accrue(now, session)

    def _corporate_actions(self, now: int) -> None:
        """Phase 4: corporate actions of this instant, in the order of their table."""
        for action in self._plan.actions:
            if action.ts == now:
                self._corporate.apply(action, now)

    def _marks_and_nav(self, now: int, session: int | None) -> None:
        """Phase 5: margin is checked, then the value of the session that closed is written down.

        So is what the next close charges.
        """
        if self._calls is not None:
            self._calls.check(now, is_close=session is not None, after_opens=False)
        if session is not None:
            self._write_nav(now, session)
            self._carry.note(session)
            recall(self._plan, self._venue, self._recalls, now)

    def _write_nav(self, now: int, label: int) -> None:
        """Write down what the account is worth, as the official value of a session, and why it changed."""
        account = self._venue.account
        account.ledger.check()
        self._recorder.portfolio(now, account, label)
        self._recorder.holdings(now, account, label)
        self._recorder.cash_of_each(now, account, label)
        if self._calls is not None:
            self._recorder.needs(now, self._calls.measure(), label)
        self._attribution.explain(now, label)

    def _becomes_readable(self, now: int) -> News:
        """Phase 6: rows and signals that have arrived become readable, and indicators see them."""
        news = self._readable.advance(now)
        for column in self._tracked:
            column.take(news)
        return news

    def _run_timers(self, now: int, session: int | None) -> bool:
        """Phase 7: `on_daily_close`, then what was scheduled, in the sequence of the schedules."""
        if session is not None:
            self._delivery.call("on_daily_close", now)
        due = sorted((each for each in self._timers if each.ts <= now), key=lambda each: each.sequence)
        self._timers = [each for each in self._timers if each.ts > now]
        for timer in due:
            self._delivery.run(timer.callback, timer.label, now)
        return bool(due)

    def _strategy(self, now: int, news: News, *, has_timers: bool) -> None:
        """Phase 8: typed events of what is new, then `on_data`, once."""
        ends_window = self._delivery.gather(news, now, is_last=now >= self._end)
        self._delivery.news(news, now)
        if self._delivery.causes_data(news) or has_timers or ends_window:
            self._delivery.call(
                "on_data", now, Timestamp(now), self._data.bound(), self._context, self._broker
            )

    def _take_in(self, now: int, rows: list[tuple[Instrument, Data]]) -> None:
        """Phase 9: requests arrive, orders are accepted; closes of now and quotes that stand may fill."""
        self._desk.intake.arrive(now)
        self._desk.intake.take(now)
        self._venue.close_now(now, rows)
        self._venue.meet_standing(now)

    def _opens(self, now: int) -> None:
        """Phase 10: bars that open now fill orders, and margin is checked; fills are told and answered."""
        live = {order.instrument.index for order in self._venue.book.working()}
        bars: list[tuple[Instrument, Bar]] = []
        for instrument in self._plan.instruments:
            bar = self._market.opening(instrument, now)
            if bar is not None and (
                instrument.index in live or self._venue.account.ledger.quantity(instrument)
            ):
                bars.append((instrument, bar))
        self._venue.open(now, bars)
        if self._calls is not None:
            self._calls.check(now, is_close=False, after_opens=True)
        self._tell(now)
        self._desk.intake.take(now, after_opens=True)

    def _record(self, now: int, session: int | None, news: News) -> None:
        """Phase 11: the account is written down where rows became readable, if it is due and no NAV was."""
        if session is None and (news.rows or news.context) and self._is_due(now):
            self._recorder.portfolio(now, self._venue.account, None)
            self._last_record = now
        if session is not None:
            self._last_record = now

    def _is_due(self, now: int) -> bool:
        """Say whether to record: at every step, or at the first one of each hour (or other distance)."""
        step = self._plan.record_ns
        if step is None:
            return False
        return step == 0 or self._last_record is None or now // step > self._last_record // step

    def _tell(self, now: int) -> None:
        """Tell of fills and changes of orders, in their sequence; a fill before the state it leads to."""
        book = self._venue.book
        untold, book.untold = book.untold, []
        if self._delivery.wants_orders():
            for item in untold:
                self._delivery.order(self._event(item), now)

    def _event(self, item: Fill | Transition | CallRow) -> FillEvent | OrderEvent | MarginCallEvent:
        if isinstance(item, CallRow):
            return MarginCallEvent(
                ts_event=item.ts,
                kind=item.kind,
                status=item.status,
                equity=cash_float(item.equity),
                requirement=cash_float(item.requirement),
                amount=cash_float(item.amount),
                ts_deadline=item.deadline,
            )
        order = item.order
        instrument = order.instrument
        handle = OrderHandle(self._desk, order)
        if isinstance(item, Transition):
            return OrderEvent(
                asset=instrument.symbol,
                ts_event=item.ts,
                order=handle,
                order_id=order.id,
                status=item.after,
                previous_status=item.before,
                reason_code=item.reason_code,
                reason=item.reason,
            )
        return FillEvent(
            asset=instrument.symbol,
            ts_event=item.ts,
            order=handle,
            order_id=order.id,
            side=order.side,
            quantity=instrument.quantity(item.quantity),
            price=instrument.price(item.price),
            reference_price=instrument.price(item.reference),
            fee=cash_float(item.fee),
            liquidity=item.liquidity,
            phase=item.phase,
        )

    def _finish(self) -> None:
        """After the last instant: `on_stop`, its orders, and the end of everything that still works."""
        now = self._stamp
        self._delivery.call("on_stop", self.now)
        # The data have ended, so what is asked for now comes too late like its orders.
        self._exchange.expire(now)
        self._desk.intake.take(now, after_opens=True)
        for order in self._venue.book.live():
            self._venue.book.move(order, OrderStatus.CANCELED, now, "END_OF_DATA")
        # Data that end inside a session leave their last value as that of the session.
        sessions = self._plan.calendars[self._plan.nav_calendar]
        for opened, closed, label in zip(sessions.opens, sessions.closes, sessions.labels, strict=True):
            if opened < now < closed:
                self._write_nav(now, label)
        self._venue.account.ledger.check()


def _venue(plan: Plan, book: OrderBook, account: Account, exchange: Exchange) -> Venue:
    guards, contingent = Guards(plan, book, account), Contingent(plan, book)
    return Venue(plan, book, account, Costs(plan), guards, contingent, exchange)


def _calls(plan: Plan, venue: Venue) -> Calls | None:
    """Bound an account by its margin model and return what checks it; None without such a model."""
    if plan.models.margin is None:
        return None
    margin = Margin(plan, venue.account)
    venue.account.margin = margin
    venue.memorandum = Memorandum(margin) if plan.margin.has_sma else None
    if plan.margin.liquidates_at_price:
        venue.closing = Closing(venue, margin)
    liquidator = None if plan.models.liquidation is None else Liquidator(venue, margin)
    return Calls(
        book=venue.book,
        terms=plan.margin,
        margin=margin,
        memorandum=venue.memorandum,
        liquidator=liquidator,
        closing=venue.closing,
    )


def _span(plan: Plan) -> tuple[int, int]:
    """Return the first open and the last completed row of what is traded; market-wide series do not count."""
    firsts, lasts = [], []
    for feed in plan.feeds:
        if len(feed) and feed.kind is not DataKind.CONTEXT:
            firsts.append(min(feed.columns["ts_open" if feed.kind is DataKind.BAR else "ts_event"]))
            lasts.append(max(feed.columns["ts_event"]))
    return min(firsts), max(lasts)


def _static_instants(plan: Plan, begin: int, end: int) -> list[int]:
    """Return the instants that are known beforehand, the next one last."""
    times: set[int] = set()
    for feed in plan.feeds:
        times.update(feed.columns["ts_event"])
        times.update(feed.columns["ts_arrival"])
    if plan.signals is not None:
        times.update(plan.signals.columns["ts_arrival"])
    times.update(close for close in plan.calendars[plan.nav_calendar].closes if close > begin)
    times.update(action.ts for action in plan.actions)
    times.update(flow.ts for flow in plan.cash_flows)
    times.update(roll.ts for roll in plan.rolls)
    times.update(row.ts for row in plan.funding)
    times.update(settlement_instants(plan, begin))
    return sorted((ts for ts in times if begin <= ts <= end), reverse=True)
