//! The loop: one instant after the other, eleven phases each.
//!
//! What ended at T precedes what begins at T. [`Simulator::begin`] runs phases 1 to 7, then the strategy is
//! called (phase 8), [`Simulator::take_in`] runs phases 9 and 10, fills of the opens are delivered, and
//! [`Simulator::end`] records. [`Simulator::run`] drives a native strategy through these three calls; the
//! Python binding, and a live clock, make the same calls themselves.

use std::sync::Arc;

use crate::carry::CarryModels;
use crate::contingent::GroupKind;
use crate::corporate::Corporate;
use crate::currency::BASE;
use crate::error::{Result, SimError};
use crate::exchange::Exchange;
use crate::ids::{BookId, OrderId};
use crate::intake::Lists;
use crate::latency::LatencyModels;
use crate::ledger::Account;
use crate::margin::Margin;
use crate::money::Cash;
use crate::order::{Order, OrderRequest, Reason};
use crate::plan::{Action, ActionKind, Plan, RecordCadence};
use crate::queue::Source;
use crate::recorder::{BalanceRow, PositionRow, Recorder};
use crate::replace::Changes;
use crate::rules::{PositionRules, RuleKind};
use crate::state::{Asked, Block, Causes, Command, Payment, State};
use crate::time::{NEVER, Ns};
use crate::transfer::Receiver;
use crate::venue::{Desk, Venue};

/// Native strategy: called once per instant that has something to say.
pub trait Strategy {
    /// Before the first event.
    ///
    /// # Errors
    /// The run stops with the error.
    fn on_start(&mut self, _api: &mut Api<'_>) -> Result<()> {
        Ok(())
    }

    /// With everything readable now; orders sent here are taken in right after.
    ///
    /// # Errors
    /// The run stops with the error.
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()>;

    /// Whether it does anything at this instant; if not, it is not called.
    fn acts_now(&self, _state: &State) -> bool {
        true
    }

    /// Whether it acts on nothing but signals: rows may then pass by without instants of their own.
    fn acts_on_signals_alone(&self) -> bool {
        false
    }

    /// After the opens of the instant, when they filled something; orders sent here meet only later data.
    ///
    /// # Errors
    /// The run stops with the error.
    fn on_opened(&mut self, _api: &mut Api<'_>) -> Result<()> {
        Ok(())
    }
}

/// A strategy that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle;

impl Strategy for Idle {
    fn on_instant(&mut self, _: &mut Api<'_>) -> Result<()> {
        Ok(())
    }
}

/// What a strategy may read and ask for during a call.
#[derive(Debug)]
pub struct Api<'a> {
    /// Immutable half of the run.
    pub plan: &'a Plan,
    /// Changing half.
    pub state: &'a mut State,
}

impl Api<'_> {
    /// Send an order; it is checked at the intake of this instant.
    ///
    /// # Errors
    /// The request lacks a price its type needs, or has no size.
    pub fn submit(&mut self, request: OrderRequest) -> Result<OrderId> {
        request.validate()?;
        let id = self.state.orders.push(Order::new(request, self.state.now))?;
        self.state.commands.push(Command::Submit(id));
        Ok(id)
    }

    /// Check that an order may join the group of another.
    ///
    /// # Errors
    /// The other order belongs to a group of another kind.
    pub fn check_group(&self, group: Option<(GroupKind, OrderId)>) -> Result<()> {
        group.map_or(Ok(()), |(kind, other)| self.state.check_group(kind, other))
    }

    /// Let an order wait for `parent`, and put it into the group of another, right after it was sent.
    ///
    /// # Errors
    /// The other order belongs to a group of another kind.
    pub fn link(&mut self, id: OrderId, parent: Option<OrderId>, group: Option<(GroupKind, OrderId)>) -> Result<()> {
        if let Some((kind, other)) = group {
            self.state.link_group(id, kind, other)?;
        }
        if let Some(parent) = parent {
            self.state.link_child(id, parent);
        }
        Ok(())
    }

    /// Send an order that intake refuses for `reason`: one with a number that the instrument cannot keep, which
    /// stands in `asked`.
    ///
    /// # Errors
    /// As [`Api::submit`].
    pub fn submit_refused(
        &mut self,
        request: OrderRequest,
        reason: Reason,
        text: String,
        asked: Option<Asked>,
    ) -> Result<OrderId> {
        let id = self.submit(request)?;
        self.state.asked.extend(asked.map(|asked| (id, asked)));
        self.state.order_mut(id).refusal = Some(reason);
        self.state.explain(id, text);
        Ok(id)
    }

    /// Guard all positions of a book, open and future, with rules; they replace those set before.
    pub fn set_position_rules(&mut self, book: BookId, rules: PositionRules) {
        self.state.commands.push(Command::SetRules(book, rules));
    }

    /// Ask to take an order back; false when it is complete already, or an order of the broker.
    pub fn cancel(&mut self, id: OrderId) -> bool {
        let is_open = self
            .state
            .orders
            .get(id)
            .is_some_and(|o| !o.status.is_terminal() && !o.rule.is_some_and(RuleKind::is_of_the_broker));
        if is_open {
            self.state.commands.push(Command::Cancel(id));
        }
        is_open
    }

    /// Ask to change an order; false when it is complete already.
    ///
    /// # Errors
    /// The order has nothing of that kind to change, or belongs to a position rule.
    pub fn modify(&mut self, id: OrderId, changes: Changes) -> Result<bool> {
        let Some(order) = self.state.orders.get(id).filter(|o| !o.status.is_terminal()) else {
            return Ok(false);
        };
        if let Some(rule) = order.rule {
            if rule.is_of_the_broker() {
                let what = match rule {
                    RuleKind::BuyIn => "buy-in",
                    RuleKind::Roll => "roll",
                    _ => "liquidation",
                };
                return Err(SimError::order(format!("the order belongs to a {what}; it cannot be changed")));
            }
            let rule = rule.as_str();
            return Err(SimError::order(format!(
                "the order belongs to the position rule {rule}; set_position_rules changes it"
            )));
        }
        if let Some(text) = changes.misplaced(&order) {
            return Err(SimError::order(text));
        }
        self.state.commands.push(Command::Replace(id, Box::new(changes)));
        Ok(true)
    }
}

/// A run in progress.
#[derive(Clone, Debug)]
pub struct Simulator<S, V, R> {
    pub(crate) plan: Arc<Plan>,
    source: S,
    pub(crate) venue: V,
    /// Rows so far.
    pub recorder: R,
    /// The changing half.
    pub state: State,
    pub(crate) latencies: LatencyModels,
    pub(crate) carry: CarryModels,
    pub(crate) lists: Lists,
    /// Time of the last row.
    last: Ns,
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Assemble a run and deposit the opening cash.
    ///
    /// # Errors
    /// The plan is not valid.
    pub fn new(plan: Arc<Plan>, source: S, venue: V, recorder: R) -> Result<Self> {
        plan.validate()?;
        let mut state = State::new(&plan);
        let (start, last) = plan.span().unwrap_or((0, i64::MIN));
        let latencies = LatencyModels::new(&plan)?;
        let carry = plan.models.carry.fresh(plan.seed)?;
        state.exchange = Exchange::new(&plan)?;
        state.margin = Margin::new(&plan)?;
        state.exchange.quotes.catch_up(start);
        // Contracts that expired before the run: nothing was held that they could settle.
        let is_over = |action: &&Action| action.ts < start && matches!(action.kind, ActionKind::Expiry(_));
        for action in plan.actions.iter().take_while(is_over) {
            state.delisted[action.instrument.index()] = Some(action.ts);
            state.actions_seen += 1;
        }
        let lists = Lists::default();
        let mut simulator = Self { plan, source, venue, recorder, state, latencies, carry, lists, last };
        simulator.catch_up(start)?;
        simulator.state.accruals.begin(&simulator.plan.rates, start);
        simulator.state.due = simulator.next_due();
        let cash = simulator.plan.account.initial_cash;
        for book in &mut simulator.state.books {
            book.deposit(start, (BASE, cash), &mut simulator.recorder)?;
            for &balance in &simulator.plan.opening {
                book.deposit(start, balance, &mut simulator.recorder)?;
            }
        }
        simulator.record_balances(start, None)?;
        Ok(simulator)
    }

    /// What was known before the first open is known from the beginning, and calls nobody.
    fn catch_up(&mut self, start: Ns) -> Result<()> {
        let mut blocks = Vec::new();
        while self.source.peek() < start {
            self.source.take(self.source.peek(), &mut blocks);
        }
        for block in blocks {
            self.venue.on_rows(&self.plan, &mut self.state, block.feed, (block.from, block.to));
        }
        self.make_readable(start.saturating_sub(1))?;
        self.state.blocks.clear();
        self.state.causes = Causes::default();
        self.state.new_signals = (self.state.signals_seen, self.state.signals_seen);
        Ok(())
    }

    /// The plan of the run.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What the strategy may use now.
    pub fn api(&mut self) -> Api<'_> {
        Api { plan: &self.plan, state: &mut self.state }
    }

    /// Live orders of an instrument at the venue, in submission order, then those not yet taken in.
    pub fn open_orders(&self, i: usize) -> Vec<OrderId> {
        let sent = self.state.commands.iter().filter_map(|command| match command {
            Command::Submit(id) if self.state.order(*id).request.instrument.index() == i => Some(*id),
            Command::Submit(_) | Command::Cancel(_) | Command::Replace(..) | Command::SetRules(..) => None,
        });
        self.venue.working(&self.state, i).chain(sent).collect()
    }

    /// Every order that can still change, by id.
    pub fn all_open_orders(&self) -> Vec<OrderId> {
        let sent = self.state.commands.iter().filter_map(|command| match command {
            Command::Submit(id) => Some(*id),
            Command::Cancel(_) | Command::Replace(..) | Command::SetRules(..) => None,
        });
        let working = (0..self.plan.instruments.len()).flat_map(|i| self.venue.working(&self.state, i));
        let waiting = self.state.links.waiting.iter().copied();
        let mut ids: Vec<OrderId> = working.chain(sent).chain(waiting).collect();
        ids.sort();
        ids
    }

    /// Worth of all books.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn equity(&self) -> Result<Cash> {
        self.state.equity()
    }

    /// Run to the end of the data with a native strategy.
    ///
    /// # Errors
    /// The first error of a model, the strategy or the ledger; what was recorded so far stays.
    pub fn run<X: Strategy>(&mut self, strategy: &mut X) -> Result<()> {
        strategy.on_start(&mut self.api())?;
        while self.run_instants(strategy, usize::MAX)? {}
        self.finish()
    }

    /// Run at most so many instants; false at the end of the data.
    ///
    /// # Errors
    /// As [`Simulator::run`].
    pub fn run_instants<X: Strategy>(&mut self, strategy: &mut X, most: usize) -> Result<bool> {
        let is_plain = self.is_plain();
        let may_skip = is_plain && strategy.acts_on_signals_alone();
        let mut left = most;
        while left > 0 {
            if may_skip {
                self.skip_rows();
            } else if is_plain {
                left -= self.cruise(strategy, left)?;
                if left == 0 {
                    break;
                }
            }
            if !self.begin()? {
                return Ok(false);
            }
            left -= 1;
            if self.calls_strategy() && strategy.acts_now(&self.state) {
                self.settle_marks()?;
                strategy.on_instant(&mut self.api())?;
            }
            self.state.notices.clear();
            self.close_instant(strategy)?;
        }
        Ok(true)
    }

    /// Phases 9 to 11 of an instant whose strategy has been called.
    fn close_instant<X: Strategy>(&mut self, strategy: &mut X) -> Result<()> {
        self.take_in()?;
        if !self.state.notices.is_empty() {
            strategy.on_opened(&mut self.api())?;
            self.state.notices.clear();
            self.intake()?;
        }
        self.end()
    }

    /// Instants that have nothing but rows, while no order is at work: the strategy sees them, and nothing else happens
    /// until it asks for something. Returns how many there were.
    fn cruise<X: Strategy>(&mut self, strategy: &mut X, most: usize) -> Result<usize> {
        if self.state.had_due || self.has_intake() || !self.venue.is_idle() {
            return Ok(0);
        }
        let next = self.next_but_rows();
        let mut seen = 0;
        while seen < most && self.source.peek() < next {
            let state = &mut self.state;
            state.now = self.source.peek();
            state.exchange.quotes.catch_up(state.now);
            state.at = None;
            state.is_after_opens = false;
            state.causes = Causes { has_data: true, ..Causes::default() };
            state.blocks.clear();
            self.source.take(state.now, &mut state.blocks);
            for at in 0..state.blocks.len() {
                let Block { feed, from, to, .. } = state.blocks[at];
                self.venue.pass_rows(&self.plan, state, feed, (from, to));
            }
            seen += 1;
            if strategy.acts_now(&self.state) {
                self.settle_marks()?;
                strategy.on_instant(&mut self.api())?;
                if self.has_intake() {
                    self.close_instant(strategy)?;
                    break;
                }
            }
        }
        Ok(seen)
    }

    /// When anything but rows is due next: what a calendar, a timer, a signal, an expiry or a record asks for, or the end.
    fn next_but_rows(&mut self) -> Ns {
        let next_record = match self.plan.record {
            RecordCadence::Every(_) => self.state.next_record,
            RecordCadence::Step | RecordCadence::Session => NEVER,
        };
        let next = self.state.due.min(next_record).min(self.last);
        next.min(self.venue.begin_to_skip(&self.plan, &self.state))
    }

    /// Whether rows have no effect but that of orders and marks.
    fn is_plain(&self) -> bool {
        let state = &self.state;
        self.plan.record != RecordCadence::Step
            && !state.has_arrivals
            && state.tracked.is_empty()
            && state.batches.is_empty()
            && !state.margin.is_on()
    }

    /// Let rows pass by that do nothing but value positions, up to the next instant at which anything else happens.
    fn skip_rows(&mut self) {
        if self.has_intake() {
            return;
        }
        let mut next = self.next_but_rows();
        if self.source.peek() >= next {
            return;
        }
        let is_idle = self.venue.is_idle();
        let mut blocks = std::mem::take(&mut self.state.blocks);
        while self.source.peek() < next {
            blocks.clear();
            self.state.now = self.source.peek();
            // With orders at work each row is looked at before it is passed.
            if is_idle {
                self.source.skip(next, &mut blocks);
            } else {
                self.source.take(self.state.now, &mut blocks);
            }
            for block in &blocks {
                let rows = (block.from, block.to);
                next = next.min(self.venue.skip_rows(&self.plan, &mut self.state, block.feed, rows));
            }
        }
        blocks.clear();
        self.state.blocks = blocks;
        self.venue.end_to_skip(&self.plan, &self.state);
    }

    /// Whether this instant has something to say to a strategy: an open, a payment or an action alone has not.
    #[must_use]
    pub const fn calls_strategy(&self) -> bool {
        let causes = self.state.causes;
        causes.has_data || causes.has_signals || causes.has_timers || causes.closes_nav_session
    }

    /// Next instant at which anything but market rows and the venue has something to do.
    fn next_due(&self) -> Ns {
        let (state, plan) = (&self.state, &self.plan);
        let mut next = state.payments.iter().map(|p| p.ts).min().unwrap_or(NEVER);
        next = next
            .min(state.accruals.next_due(&plan.rates).unwrap_or(NEVER))
            .min(state.exchange.due)
            .min(plan.flows.get(state.flows_seen).map_or(NEVER, |flow| flow.ts))
            .min(state.settlements.next_due(plan))
            .min(state.rolls.next_due(plan));
        // Requests stand in the sequence of their arrival.
        next = next.min(state.requests.iter().map(|r| r.0).find(|&ts| ts > state.now).unwrap_or(NEVER));
        for (feed, &seen) in plan.feeds.iter().zip(&state.arrived) {
            if let (Some(order), Some(arrival)) = (feed.arrival(), &feed.data.ts_arrival) {
                next = next.min(order.get(seen).map_or(NEVER, |&row| arrival[row as usize]));
            }
        }
        if let Some(signals) = &plan.signals {
            next = next.min(signals.ts_arrival.get(state.signals_seen).copied().unwrap_or(NEVER));
        }
        // Those of now are handed over at the end of the instant's preparations.
        for batch in state.batches.iter().filter(|batch| batch.due() > state.now) {
            next = next.min(batch.due());
        }
        let nav = plan.nav_calendar.index();
        next.min(state.timers.get(state.timers_seen).map_or(NEVER, |t| t.ts))
            .min(plan.actions.get(state.actions_seen).map_or(NEVER, |a| a.ts))
            .min(plan.calendars[nav].close.get(state.sessions_seen[nav]).copied().unwrap_or(NEVER))
    }

    /// Whether the open of each position is an instant of its own, at which margin is checked.
    ///
    /// At each check marks are settled, which leaves listed only what opens at the same instant. Where liquidation has
    /// a price, the venue itself watches each open.
    fn checks_opens(&self) -> bool {
        self.state.margin.is_on() && self.plan.margin.at_price.is_none()
    }

    /// Phases 1 to 7 of the next instant; false when there is none.
    ///
    /// # Errors
    /// A model fails, a number leaves its range, an identity does not hold.
    pub fn begin(&mut self) -> Result<bool> {
        let rows_at = self.source.peek();
        let open = if self.checks_opens() { self.state.marks.next_open() } else { NEVER };
        let now = rows_at.min(self.venue.next_due()).min(self.state.due).min(open);
        // The run ends with the data; what the calendar and the timers hold beyond is not part of it.
        if now > self.last {
            return Ok(false);
        }
        let state = &mut self.state;
        state.now = now;
        let has_new_rates = state.exchange.quotes.catch_up(now) | state.margin.catch_up(&self.plan, now);
        state.at = None;
        state.is_after_opens = false;
        state.causes = Causes::default();
        state.blocks.clear();
        if rows_at == now {
            self.complete_data(now)?;
        }
        let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
        self.venue.on_expiry(&mut desk)?;
        if has_new_rates && self.plan.has_margin() {
            self.venue.reserve_all(&mut desk)?;
        }
        // One comparison stands for phases 3 to 7 where none of them has anything to do.
        if now >= self.state.due {
            self.settle_marks()?;
            self.settle(now)?;
            self.act(now)?;
            self.check_margins()?;
            self.value_session(now)?;
            self.make_readable(now)?;
            self.begin_rolls(now)?;
            self.fire_timers(now);
            self.state.due = self.next_due();
            self.state.had_due = true;
        } else {
            self.check_margins()?;
            if self.state.had_due {
                self.state.had_due = false;
                self.state.due_timers.clear();
                self.state.new_signals = (self.state.signals_seen, self.state.signals_seen);
            }
        }
        if !self.state.tracked.is_empty() {
            self.state.track(&self.plan);
        }
        if !self.state.batches.is_empty() {
            self.state.gather_batches(&self.plan, now >= self.last);
        }
        Ok(true)
    }

    /// Phase 1: completed bars, quotes and trades meet working orders.
    fn complete_data(&mut self, now: Ns) -> Result<()> {
        let mut blocks = std::mem::take(&mut self.state.blocks);
        self.source.take(now, &mut blocks);
        let is_quiet = self.venue.is_quiet(&self.plan, &self.state, &blocks);
        if is_quiet {
            for block in &blocks {
                self.venue.pass_rows(&self.plan, &mut self.state, block.feed, (block.from, block.to));
            }
        } else {
            // Orders may execute, and what an account can carry depends on what it is worth.
            self.state.settle_marks(&self.plan, now.saturating_sub(1))?;
            for block in &blocks {
                self.venue.on_rows(&self.plan, &mut self.state, block.feed, (block.from, block.to));
            }
        }
        if self.state.has_arrivals {
            // Rows with an arrival of their own become readable in phase 6.
            blocks.retain(|b| self.plan.feeds[b.feed].arrival().is_none());
        }
        self.state.causes.has_data = !blocks.is_empty();
        self.state.blocks = blocks;
        if is_quiet {
            return Ok(());
        }
        self.venue.on_completed(&mut Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder })
    }

    /// Phase 3: dividends that are due are paid, and what holding costs.
    fn settle(&mut self, now: Ns) -> Result<()> {
        self.pay_flows(now)?;
        if !self.state.payments.is_empty() {
            self.pay_dividends(now)?;
        }
        self.settle_margins(now)?;
        self.pay_funding(now)?;
        self.convert_asked(now)?;
        self.accrue(now)
    }

    fn pay_dividends(&mut self, now: Ns) -> Result<()> {
        let due: Vec<Payment> = self.state.payments.iter().filter(|p| p.ts <= now).copied().collect();
        self.state.payments.retain(|p| p.ts > now);
        for payment in due {
            self.state.at = Some(payment.instrument);
            self.state.fault_point(3);
            let State { books, exchange, .. } = &mut self.state;
            let book = &mut books[payment.book.index()];
            book.pay_dividend(now, payment.instrument, payment.amount, &mut self.recorder)?;
            let about = (self.plan.instrument(payment.instrument).currency, Some(payment.instrument));
            exchange.after_posting(&self.plan, book, about, now, &mut self.recorder)?;
        }
        Ok(())
    }

    /// Phase 4: corporate actions whose ex-date begins.
    fn act(&mut self, now: Ns) -> Result<()> {
        let Self { plan, state, venue, recorder, .. } = self;
        while let Some(action) = plan.actions.get(state.actions_seen).filter(|a| a.ts <= now) {
            state.actions_seen += 1;
            state.at = Some(action.instrument);
            state.fault_point(4);
            let instrument = plan.instrument(action.instrument);
            let fx_rate = state.exchange.quotes.unit(instrument.currency);
            let quantum = plan.account.posting_quantum;
            let settled_at = state.settlements.price_at(action.instrument, now);
            let event = Corporate { ts: now, id: action.instrument, instrument, quantum, fx_rate, settled_at };
            if action.kind.is_end() {
                state.delisted[action.instrument.index()] = Some(now);
                let reason = plan.reason_of_end(action.instrument);
                venue.on_delisted(&mut Desk { plan, state, recorder }, action.instrument, reason)?;
            }
            let receiver = receiver_of(plan, action);
            // A price of before by one of after, where what is held has changed it.
            let mut moved = None;
            let mut has_given = false;
            let State { books, exchange, payments, .. } = &mut *state;
            for book in books {
                let posted = book.posted;
                match (action.kind, receiver) {
                    (ActionKind::Split(ratio), _) => book.split(&event, ratio, recorder)?,
                    (ActionKind::CashOut(amount) | ActionKind::Expiry(amount), _) => {
                        book.cash_out(&event, amount, recorder)?;
                    }
                    (ActionKind::CashDividend { amount, pay_ts, withholding }, _) => {
                        let due = book.dividend(&event, (amount, withholding), pay_ts, recorder)?;
                        if due != Cash::ZERO {
                            let (book, instrument) = (book.id, action.instrument);
                            payments.push(Payment { ts: pay_ts, book, instrument, amount: due });
                        }
                    }
                    (ActionKind::SpinOff { amount, .. }, Some(to)) => {
                        let ratio = book.spin_off(&event, &to, amount, recorder)?;
                        (moved, has_given) = (ratio.or(moved), has_given || ratio.is_some());
                    }
                    (ActionKind::Exchange { amount, .. }, Some(to)) => {
                        has_given |= book.exchange(&event, &to, amount, recorder)?;
                    }
                    (ActionKind::SpinOff { .. } | ActionKind::Exchange { .. }, None) => {}
                }
                if book.posted > posted {
                    let has_paid = matches!(action.kind, ActionKind::Exchange { amount, .. } if amount != Cash::ZERO);
                    let whose = receiver.filter(|_| !has_paid).map_or(action.instrument, |to| to.id);
                    let about = (instrument.currency, Some(whose));
                    exchange.after_posting(plan, book, about, now, recorder)?;
                }
            }
            let mut desk = Desk { plan, state, recorder };
            match action.kind {
                ActionKind::Split(ratio) => {
                    desk.state.split_worked(plan, action.instrument, ratio)?;
                    venue.on_split(&mut desk, action.instrument, ratio)?;
                }
                kind => {
                    if let Some(ratio) = moved {
                        venue.on_repriced(&mut desk, action.instrument, ratio)?;
                    }
                    if let Some(to) = receiver.filter(|_| has_given) {
                        venue.on_received(&mut desk, to.id)?;
                    }
                    if let Some(amount) = kind.amount_off() {
                        venue.on_distribution(&mut desk, action.instrument, amount)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Label of the NAV session that closes now.
    pub(crate) fn nav_session_closing(&self, now: Ns) -> Option<i32> {
        let nav = self.plan.nav_calendar.index();
        let (calendar, session) = (&self.plan.calendars[nav], self.state.sessions_seen[nav]);
        (calendar.close.get(session) == Some(&now)).then(|| calendar.label[session])
    }

    /// Phase 5: net asset value at the close of a NAV session.
    fn value_session(&mut self, now: Ns) -> Result<()> {
        let Some(label) = self.nav_session_closing(now) else { return Ok(()) };
        self.state.at = None;
        self.state.fault_point(5);
        self.state.sessions_seen[self.plan.nav_calendar.index()] += 1;
        self.state.causes.closes_nav_session = true;
        self.record_nav(label)?;
        self.note_holdings(label);
        self.recall_shorts(now)
    }

    /// The data end inside a NAV session: what they leave is its value.
    fn value_unfinished_session(&mut self) -> Result<()> {
        let nav = self.plan.nav_calendar.index();
        let calendar = &self.plan.calendars[nav];
        let session = self.state.sessions_seen[nav];
        if calendar.open.get(session).is_none_or(|&open| open >= self.state.now) {
            return Ok(());
        }
        let label = calendar.label[session];
        self.record_nav(label)
    }

    /// Write down what every book is worth, as the official value of a session.
    fn record_nav(&mut self, label: i32) -> Result<()> {
        let now = self.state.now;
        for book in &self.state.books {
            book.audit(&self.plan.instruments)?;
            for (instrument, position) in book.holdings() {
                let Some(mark) = position.mark else { continue };
                self.recorder.position(&PositionRow {
                    ts: now,
                    session: label,
                    book: book.id,
                    instrument,
                    quantity: position.quantity,
                    cost: position.cost,
                    settled: position.settled,
                    mark,
                    value: position.value,
                });
            }
        }
        self.record_balances(now, Some(label))?;
        self.record_margins(label)?;
        self.record_portfolio(Some(label))
    }

    /// Write down what every book has in each currency, where there are several.
    fn record_balances(&mut self, ts: Ns, session: Option<i32>) -> Result<()> {
        if !self.plan.currencies.are_several() {
            return Ok(());
        }
        let quotes = &self.state.exchange.quotes;
        for book in &self.state.books {
            for (currency, purse) in book.purses() {
                self.recorder.balance(&BalanceRow {
                    ts,
                    session,
                    book: book.id,
                    currency,
                    cash: purse.cash(),
                    receivable: purse.balance(Account::Receivable),
                    long_value: purse.long_value,
                    short_value: purse.short_value,
                    open_pnl: purse.open_pnl(),
                    rate: quotes.known_rate(currency),
                    value: quotes.to_base(currency, purse.total()?)?,
                });
            }
        }
        Ok(())
    }

    /// Phase 6: rows and signals that arrive now become readable.
    fn make_readable(&mut self, now: Ns) -> Result<()> {
        let Self { plan, state, .. } = self;
        state.at = None;
        state.fault_point(6);
        for (f, feed) in plan.feeds.iter().enumerate() {
            let (Some(order), Some(arrival)) = (feed.arrival(), &feed.data.ts_arrival) else { continue };
            let from = state.arrived[f];
            let mut to = from;
            while to < order.len() && arrival[order[to] as usize] <= now {
                let i = feed.data.instrument.get(order[to] as usize).map_or(0, |&i| i as usize);
                state.count_arrival(f, i);
                to += 1;
            }
            if to > from {
                state.arrived[f] = to;
                state.blocks.push(Block { feed: f, from, to, by_arrival: true });
                state.causes.has_data = true;
            }
        }
        state.blocks.sort_by_key(|b| b.feed);
        let Some(signals) = &plan.signals else { return Ok(()) };
        let from = state.signals_seen;
        let mut to = from;
        while to < signals.ts_arrival.len() && signals.ts_arrival[to] <= now {
            let slot = signals.instrument[to] as usize * signals.names.len() + signals.name[to] as usize;
            state.set_signal(slot, to)?;
            to += 1;
        }
        state.signals_seen = to;
        state.new_signals = (from, to);
        state.causes.has_signals = to > from;
        Ok(())
    }

    /// Phase 7: timers.
    fn fire_timers(&mut self, now: Ns) {
        let state = &mut self.state;
        state.fault_point(7);
        state.due_timers.clear();
        while let Some(&timer) = state.timers.get(state.timers_seen).filter(|t| t.ts <= now) {
            state.timers_seen += 1;
            state.due_timers.push(timer);
        }
        state.causes.has_timers = !state.due_timers.is_empty();
    }

    /// Phases 9 and 10: take in what the strategy asked for, then the opens of this instant.
    ///
    /// # Errors
    /// As [`Simulator::begin`].
    pub fn take_in(&mut self) -> Result<()> {
        self.state.at = None;
        let has_open = self.checks_opens() && self.state.marks.have_open_at(self.state.now);
        if !self.has_intake() && !has_open && self.venue.passes(&self.plan, self.state.now) {
            self.state.is_after_opens = true;
            return Ok(());
        }
        if self.has_intake() {
            self.settle_marks()?;
            self.intake()?;
        }
        let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
        self.venue.on_same_close(&mut desk)?;
        self.venue.on_standing(&mut desk)?;
        self.venue.on_opens(&mut desk)?;
        self.state.is_after_opens = true;
        self.check_margins()?;
        // Whoever is told of the fills sees the opens.
        if self.state.notices.is_empty() { Ok(()) } else { self.settle_marks() }
    }

    /// Value positions at the prices that are past: up to the opens of this instant once they are.
    ///
    /// # Errors
    /// A price or a value leaves its range.
    pub fn settle_marks(&mut self) -> Result<()> {
        let upto = if self.state.is_after_opens { self.state.now } else { self.state.now.saturating_sub(1) };
        self.state.settle_marks(&self.plan, upto)
    }

    /// Phase 11.
    ///
    /// # Errors
    /// As [`Simulator::begin`].
    pub fn end(&mut self) -> Result<()> {
        self.state.at = None;
        self.state.fault_point(11);
        self.state.orders.put_away();
        let causes = self.state.causes;
        if !causes.has_data || causes.closes_nav_session {
            return Ok(());
        }
        let is_due = match self.plan.record {
            RecordCadence::Step => true,
            RecordCadence::Every(_) => self.state.now >= self.state.next_record,
            RecordCadence::Session => false,
        };
        if !is_due {
            return Ok(());
        }
        self.settle_marks()?;
        self.record_portfolio(None)
    }

    fn record_portfolio(&mut self, session: Option<i32>) -> Result<()> {
        let row = self.state.portfolio(session)?;
        if let RecordCadence::Every(period) = self.plan.record {
            let period_start = self.state.now.div_euclid(period).saturating_mul(period);
            self.state.next_record = period_start.saturating_add(period);
        }
        self.recorder.portfolio(&row);
        Ok(())
    }

    /// After the last instant: what still works is canceled, the ledger is re-summed.
    ///
    /// # Errors
    /// An identity does not hold.
    pub fn finish(&mut self) -> Result<()> {
        self.state.at = None;
        self.state.fault_point(12);
        self.expire_conversions();
        self.settle_marks()?;
        // Orders sent after the last event still get their answer.
        self.intake()?;
        self.venue.finish(&mut Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder })?;
        self.state.orders.put_away();
        self.value_unfinished_session()?;
        for book in &self.state.books {
            book.audit_all(&self.plan.instruments)?;
        }
        Ok(())
    }

    /// A copy of the run as it stands.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        self.clone()
    }

    /// Go back to a snapshot.
    pub fn restore(&mut self, snapshot: Self) {
        *self = snapshot;
    }
}

/// The instrument whose shares an action gives.
fn receiver_of<'p>(plan: &'p Plan, action: &Action) -> Option<Receiver<'p>> {
    let (ActionKind::SpinOff { into, .. } | ActionKind::Exchange { into, .. }) = action.kind else { return None };
    let id = into.instrument;
    let policy = plan.account.lot_policy;
    Some(Receiver { id, instrument: plan.instrument(id), ratio: into.ratio, policy })
}
