//! The simulated venue: working orders, the sequence in which they meet the market, and what a fill costs.
//!
//! The rules of who may fill at which price stand in [`crate::matching`]; this file decides who comes first.
//! Within an instrument that is the leg of the path, the distance along it, then submission; across
//! instruments the lists are merged by the submission of their heads. The index of an instrument never matters.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ml4t_abi::Phase;

use crate::account::reservation;
use crate::error::{Result, SimError};
use crate::execution::{Execution, Market};
use crate::guard::{Cause, Guard};
use crate::ids::{BookId, FeedId, InstrumentId, OrderId};
use crate::matching::{Outcome, Reach};
use crate::models::Models;
use crate::money::{Price, Ratio};
use crate::order::{OrderStatus, Reason, Side};
use crate::phase::PhaseMarket;
use crate::plan::{FeedKind, Plan};
use crate::policies::FillTiming;
use crate::recorder::Recorder;
use crate::state::State;
use crate::time::{NEVER, Ns};
use crate::working::Working;

/// What a venue works on during a call.
#[derive(Debug)]
pub struct Desk<'a, R> {
    /// Immutable half of the run.
    pub plan: &'a Plan,
    /// Changing half.
    pub state: &'a mut State,
    /// Where rows go.
    pub recorder: &'a mut R,
}

/// Where orders go. The simulated venue matches them; a remote one sends them on and takes reports back.
pub trait Venue: Clone {
    /// Next instant at which the venue has something to do on its own.
    fn next_due(&self) -> Ns;
    /// Count completed rows `from..to` of a feed and note those that concern somebody.
    fn on_rows(&mut self, plan: &Plan, state: &mut State, feed: usize, rows: (usize, usize));
    /// Phase 1: completed data meet working orders, then set marks.
    ///
    /// # Errors
    /// A model fails or a number leaves its range.
    fn on_completed<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 2: orders whose time runs out now.
    ///
    /// # Errors
    /// The order cannot expire: a bug.
    fn on_expiry<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 4: a split scales working orders.
    ///
    /// # Errors
    /// A number leaves its range.
    fn on_split<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, ratio: Ratio) -> Result<()>;
    /// Phase 9: an accepted order starts to work.
    fn submit(&mut self, plan: &Plan, state: &State, id: OrderId);
    /// Phase 9: a request to take an order back.
    ///
    /// # Errors
    /// The order cannot be canceled: a bug.
    fn cancel<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId) -> Result<()>;
    /// End of phase 9: orders that want the close they were decided on.
    ///
    /// # Errors
    /// As [`Venue::on_completed`].
    fn on_same_close<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 10: opens of this instant.
    ///
    /// # Errors
    /// As [`Venue::on_completed`].
    fn on_opens<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 9: the rules of a book changed.
    ///
    /// # Errors
    /// A level leaves its range.
    fn apply_rules<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, book: BookId) -> Result<()>;
    /// Live orders of an instrument, in submission order.
    fn working(&self, i: usize) -> impl Iterator<Item = OrderId>;
    /// After the last event: nothing will fill any more.
    ///
    /// # Errors
    /// The order cannot be canceled: a bug.
    fn finish<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
}

/// An order that may execute, and its place among those of its instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    key: (u8, u64, OrderId),
    reach: Reach,
}

impl Candidate {
    const fn id(&self) -> OrderId {
        self.key.2
    }
}

const LIVE: u8 = 1;
const HELD: u8 = 2;

/// Matches orders against the feeds of the plan.
#[derive(Clone, Debug)]
pub struct SimulatedVenue {
    models: Models,
    needs_bar: bool,
    live: Vec<Working>,
    /// Orders of each instrument that may execute in the present pass, the first at the end.
    queue: Vec<Vec<Candidate>>,
    /// Whether an instrument has live orders or is held; rows of others are only counted.
    watch: Vec<u8>,
    opens: BinaryHeap<Reverse<(Ns, u32)>>,
    is_scheduled: Vec<bool>,
    /// The last instant whose opens are past.
    opened_at: Ns,
    expiries: BinaryHeap<Reverse<(Ns, OrderId)>>,
    /// Watched rows of this instant: (feed, instrument, row).
    touched: Vec<(u32, u32, u32)>,
    /// Instruments whose open waits for the bar's end because a model needs the whole bar.
    is_deferred: Vec<bool>,
    /// Quantity taken from the current row of each instrument: (row + 1, quantity), the second for bids of quotes.
    used: Vec<[(u64, i64); 2]>,
    /// Position rules of each book and instrument, those of a book side by side.
    guards: Vec<Guard>,
    pass: u64,
    /// Scratch: instruments and rows that trade together.
    set: Vec<(u32, u32)>,
    /// Scratch: watched rows of one feed.
    rows: Vec<(u32, u32)>,
    heads: BinaryHeap<Reverse<(OrderId, u32, u32)>>,
}

impl SimulatedVenue {
    /// A venue without orders, with its own copies of the plan's models.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let n = plan.instruments.len();
        let models = plan.models.clone();
        Self {
            needs_bar: models.fill.needs_volume() || models.slippage.needs_volume(),
            models,
            live: vec![Working::default(); n],
            queue: vec![Vec::new(); n],
            watch: vec![0; n],
            opens: BinaryHeap::new(),
            is_scheduled: vec![false; n],
            opened_at: i64::MIN,
            expiries: BinaryHeap::new(),
            touched: Vec::new(),
            is_deferred: vec![false; n],
            used: vec![[(0, 0); 2]; n],
            guards: vec![Guard::default(); n * usize::from(plan.books)],
            pass: 0,
            set: Vec::new(),
            rows: Vec::new(),
            heads: BinaryHeap::new(),
        }
    }

    /// Arrange that the next open of a watched instrument becomes an event.
    fn schedule_open(&mut self, plan: &Plan, state: &State, i: usize) {
        if self.watch[i] == 0 || self.is_scheduled[i] {
            return;
        }
        let Some(feed) = plan.instruments[i].matching else { return };
        let Some(opens) = &plan.feed(feed).data.ts_open else { return };
        let Some(row) = state.next_row(plan, feed.index(), i) else { return };
        let ts = opens[row];
        if ts > state.now || (ts == state.now && self.opened_at != state.now) {
            self.is_scheduled[i] = true;
            self.opens.push(Reverse((ts, index_u32(i))));
        }
    }

    fn refresh_watch(&mut self, plan: &Plan, state: &State, i: usize) {
        let live = if self.live[i].is_empty() { 0 } else { LIVE };
        let held = if state.books.iter().any(|b| b.positions[i].quantity != 0) { HELD } else { 0 };
        self.watch[i] = live | held;
        self.schedule_open(plan, state, i);
    }

    fn remove(&mut self, plan: &Plan, state: &State, i: usize, id: OrderId) {
        self.live[i].remove(id);
        self.refresh_watch(plan, state, i);
    }

    /// Let every instrument of `set` trade in one phase, in the sequence of the rules.
    fn match_set<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)], phase: Phase) -> Result<()> {
        self.pass += 1;
        self.heads.clear();
        for &(i, row) in set {
            self.line_up(desk, i as usize, row as usize, phase)?;
            self.show_head(i, row);
        }
        while let Some(Reverse((_, i, row))) = self.heads.pop() {
            // Nothing of another instrument can change this one's queue, so the head is still the head.
            if let Some(candidate) = self.queue[i as usize].pop()
                && self.turn(desk, i as usize, row as usize, phase, candidate)?
            {
                self.line_up(desk, i as usize, row as usize, phase)?;
            }
            self.show_head(i, row);
        }
        for &(i, _) in set {
            self.live[i as usize].sweep(desk.state);
            self.refresh_watch(desk.plan, desk.state, i as usize);
        }
        Ok(())
    }

    /// Put the first order of an instrument among those of the others.
    fn show_head(&mut self, i: u32, row: u32) {
        if let Some(candidate) = self.queue[i as usize].last() {
            self.heads.push(Reverse((candidate.id(), i, row)));
        }
    }

    /// The orders of an instrument that may execute in this phase and had no turn yet, in their sequence.
    fn line_up<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, i: usize, row: usize, phase: Phase) -> Result<()> {
        self.queue[i].clear();
        if self.live[i].is_empty() {
            return Ok(());
        }
        let market = PhaseMarket::read(desk.plan, i, row, phase)?;
        for live in self.live[i].iter_mut() {
            let order = desk.state.order(live.id);
            if live.pass == self.pass || order.status.is_terminal() || !market.is_eligible(order.ts_active) {
                continue;
            }
            match market.outcome(order, desk.plan) {
                Outcome::Executes(reach) => {
                    let position = &desk.state.book(order.request.book).positions[i];
                    self.queue[i].push(Candidate { key: market.key(order, reach, live.id, position), reach });
                }
                Outcome::Triggers => {
                    live.pass = self.pass;
                    let order = desk.state.order_mut(live.id);
                    order.is_triggered = true;
                    order.has_rested = true;
                }
                Outcome::Untouched => {
                    if order.acts_as_limit() && matches!(phase, Phase::OPEN | Phase::QUOTE | Phase::TRADE) {
                        desk.state.order_mut(live.id).has_rested = true;
                    }
                }
            }
        }
        self.queue[i].sort_unstable_by_key(|candidate| Reverse(candidate.key));
        Ok(())
    }

    /// One order's turn at one event; tells whether the queue behind it has to be lined up anew.
    fn turn<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        i: usize,
        row: usize,
        phase: Phase,
        candidate: Candidate,
    ) -> Result<bool> {
        let id = candidate.id();
        desk.state.at = Some(InstrumentId(index_u32(i)));
        desk.state.fault_point(if phase == Phase::OPEN { 10 } else { 1 });
        self.live[i].has_turn(id, self.pass);
        if candidate.reach.triggers {
            desk.state.order_mut(id).is_triggered = true;
        }
        let key = row as u64 + 1;
        // Bid and ask of a quote are two quantities; a bar and a print have one for both sides.
        let slot = usize::from(phase == Phase::QUOTE && desk.state.order(id).request.side == Side::Sell);
        if self.used[i][slot].0 != key {
            self.used[i][slot] = (key, 0);
        }
        let market = Market { instrument: i, row, phase, shows_bar: phase != Phase::OPEN || self.is_deferred[i] };
        let execution = Execution { id, reach: candidate.reach, market, volume_used: self.used[i][slot].1 };
        let taken = execution.run(desk, &mut self.models)?;
        let filled = taken.filled;
        // What no volume can hold caps nothing more.
        self.used[i][slot].1 = self.used[i][slot].1.saturating_add(filled);
        let order = desk.state.order_mut(id);
        if taken.must_wait && order.acts_as_limit() {
            order.has_rested = true;
        }
        let (book, signed) = (order.request.book, order.request.side.sign() * filled);
        if order.status.is_terminal() {
            self.live[i].note_end();
        }
        if filled == 0 {
            return Ok(false);
        }
        let after = desk.state.book(book).positions[i].quantity;
        let before = after - signed;
        let turned = before.signum() != after.signum();
        let g = guard_of(desk.plan, book, i);
        if turned {
            // What is entered at a close has not seen the rest of its row.
            let seen_from = place_of(desk.plan, i, row) + usize::from(is_close(phase));
            self.guards[g].turn(after.signum(), index_u32(seen_from));
        }
        let guarded = !self.guards[g].is_idle();
        if guarded {
            let ts_open = PhaseMarket::read(desk.plan, i, row, phase)?.ts_open;
            let cause = Cause::Fill { phase, ts_open, at: candidate.reach.at };
            self.guards[g].sync(desk, &mut self.live[i], (book, i), cause)?;
        }
        // What an order sets aside changes with the position where it closes more than there is.
        if guarded || turned || self.live[i].may_exceed(before) || self.live[i].may_exceed(after) {
            self.reserve_again(desk, book, i)?;
        } else {
            Self::reserve_one(desk, id, i)?;
        }
        // Only inside a bar does the place of an order depend on the position.
        Ok(guarded || (turned && phase == Phase::RANGE))
    }

    /// Whether the open of a bar in progress filled an order, as far as prices decide, and only the booking is to come.
    fn waits_for_booking<R: Recorder>(&self, desk: &Desk<'_, R>, id: OrderId) -> Result<bool> {
        let order = desk.state.order(id);
        let i = order.request.instrument.index();
        if !self.is_deferred[i] {
            return Ok(false);
        }
        let feed = desk.plan.instruments[i].matching.map(FeedId::index);
        let Some(row) = feed.and_then(|f| desk.state.next_row(desk.plan, f, i)) else { return Ok(false) };
        let market = PhaseMarket::read(desk.plan, i, row, Phase::OPEN)?;
        Ok(market.is_eligible(order.ts_active) && matches!(market.outcome(order, desk.plan), Outcome::Executes(_)))
    }

    /// What working orders set aside depends on the position, which has changed.
    fn reserve_again<R: Recorder>(&self, desk: &mut Desk<'_, R>, book: BookId, i: usize) -> Result<()> {
        for id in self.live[i].ids() {
            if desk.state.order(id).request.book == book {
                Self::reserve_one(desk, id, i)?;
            }
        }
        Ok(())
    }

    fn reserve_one<R: Recorder>(desk: &mut Desk<'_, R>, id: OrderId, i: usize) -> Result<()> {
        let instrument = &desk.plan.instruments[i];
        let order = desk.state.order(id);
        if order.status.is_terminal() {
            return Ok(());
        }
        let book = order.request.book;
        let held = desk.state.book(book).positions[i].quantity;
        let wanted = reservation(order, held, instrument, &desk.plan.account).ok_or_else(|| {
            SimError::overflow(format!("{}: a working order leaves the range of the ledger", instrument.symbol))
        })?;
        let change = wanted.minus(order.reserved, "buying power")?;
        desk.state.order_mut(id).reserved = wanted;
        let total = &mut desk.state.book_mut(book).reserved;
        *total = total.plus(change, "buying power")?;
        Ok(())
    }

    /// Move trailing stops after the prices of a bar, quote or print.
    fn trail<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)]) -> Result<()> {
        for book in 0..desk.plan.books {
            for &(i, row) in set {
                let place = (BookId(book), i as usize);
                let guard = &mut self.guards[guard_of(desk.plan, place.0, place.1)];
                if !guard.is_idle() {
                    guard.trail(desk, place, place_of(desk.plan, place.1, row as usize) + 1)?;
                }
            }
        }
        Ok(())
    }

    /// Opens whose fills waited for the bar's end, then what came too late for them: cancels, expiries, rules.
    fn settle_deferred<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)]) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.set);
        waiting.clear();
        waiting.extend(set.iter().filter(|&&(i, _)| self.is_deferred[i as usize]));
        self.match_set(desk, &waiting, Phase::OPEN)?;
        let ids = waiting.iter().flat_map(|&(i, _)| self.live[i as usize].ids());
        let mut late: Vec<OrderId> = ids.filter(|&id| desk.state.order(id).end_pending.is_some()).collect();
        late.sort();
        for id in late {
            let order = desk.state.order(id);
            let i = order.request.instrument.index();
            if let (Some((status, reason)), false) = (order.end_pending, order.status.is_terminal()) {
                desk.state.move_order(id, status, reason, desk.recorder)?;
                self.waive(desk, id);
            }
            self.remove(desk.plan, desk.state, i, id);
        }
        for &(i, row) in &waiting {
            self.is_deferred[i as usize] = false;
            for book in 0..desk.plan.books {
                if self.guards[guard_of(desk.plan, BookId(book), i as usize)].is_late {
                    let seen = place_of(desk.plan, i as usize, row as usize);
                    self.set_rules(desk, (BookId(book), i as usize), seen)?;
                }
            }
        }
        self.set = waiting;
        Ok(())
    }

    fn set_rules<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        (book, i): (BookId, usize),
        seen: usize,
    ) -> Result<()> {
        self.guards[guard_of(desk.plan, book, i)].set(desk, &mut self.live[i], (book, i), seen)?;
        self.live[i].sweep(desk.state);
        self.refresh_watch(desk.plan, desk.state, i);
        Ok(())
    }

    /// An order that the strategy took back; the order of a rule stays away.
    fn waive<R>(&mut self, desk: &Desk<'_, R>, id: OrderId) {
        let request = desk.state.order(id).request;
        self.guards[guard_of(desk.plan, request.book, request.instrument.index())].waive(id);
    }

    fn set_marks<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)], phase: Phase) -> Result<()> {
        for &(i, row) in set {
            if self.watch[i as usize] & HELD == 0 {
                continue;
            }
            let instrument = &desk.plan.instruments[i as usize];
            let Some(mark) = PhaseMarket::read(desk.plan, i as usize, row as usize, phase)?.mark() else { continue };
            for book in &mut desk.state.books {
                if book.positions[i as usize].quantity != 0 {
                    book.set_mark(InstrumentId(i), &instrument.scale, mark).ok_or_else(|| {
                        SimError::overflow(format!(
                            "{}: the position's value leaves the ledger's range",
                            instrument.symbol
                        ))
                    })?;
                }
            }
        }
        Ok(())
    }

    fn on_bars<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)]) -> Result<()> {
        if self.needs_bar {
            self.settle_deferred(desk, set)?;
        }
        self.match_set(desk, set, Phase::RANGE)?;
        for book in 0..desk.plan.books {
            for &(i, _) in set {
                for id in self.guards[guard_of(desk.plan, BookId(book), i as usize)].orders() {
                    desk.state.order_mut(id).stood_at = None;
                }
            }
        }
        // What is entered at the close has not seen the high of the bar.
        self.trail(desk, set)?;
        if desk.plan.policies.fill_timing != FillTiming::NextOpen {
            self.match_set(desk, set, Phase::CLOSE)?;
        }
        self.set_marks(desk, set, Phase::CLOSE)
    }

    /// Rows of one quote or trade feed: the k-th row of every instrument trades before the next of any.
    fn on_ticks<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, rows: &[(u32, u32)], phase: Phase) -> Result<()> {
        let mut round = std::mem::take(&mut self.set);
        for k in 0.. {
            round.clear();
            // Rows of one feed are sorted by instrument: the k-th of each is k places behind its first.
            let is_kth =
                |at: usize| at >= k && rows[at - k].0 == rows[at].0 && (at == k || rows[at - k - 1].0 != rows[at].0);
            round.extend((0..rows.len()).filter(|&at| is_kth(at)).map(|at| rows[at]));
            if round.is_empty() {
                break;
            }
            self.match_set(desk, &round, phase)?;
            self.trail(desk, &round)?;
            self.set_marks(desk, &round, phase)?;
        }
        self.set = round;
        Ok(())
    }
}

/// Place of the rules of a book for an instrument.
fn guard_of(plan: &Plan, book: BookId, i: usize) -> usize {
    usize::from(book.0) * plan.instruments.len() + i
}

/// Place of a row among those of its instrument in the feed that fills its orders.
fn place_of(plan: &Plan, i: usize, row: usize) -> usize {
    let feed = plan.instruments[i].matching.map(|feed| plan.feed(feed));
    feed.map_or(0, |feed| feed.rows_of(i).partition_point(|&other| (other as usize) < row))
}

fn is_close(phase: Phase) -> bool {
    phase == Phase::CLOSE || phase == PhaseMarket::DECISION_CLOSE
}

fn index_u32(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(u32::MAX)
}

impl Venue for SimulatedVenue {
    fn next_due(&self) -> Ns {
        let open = self.opens.peek().map_or(NEVER, |Reverse((ts, _))| *ts);
        let expiry = self.expiries.peek().map_or(NEVER, |Reverse((ts, _))| *ts);
        open.min(expiry)
    }

    fn on_rows(&mut self, plan: &Plan, state: &mut State, feed: usize, (from, to): (usize, usize)) {
        let columns = &plan.feeds[feed].data;
        if columns.kind == FeedKind::Context {
            state.completed[feed][0] += index_u32(to - from);
            return;
        }
        let counts = &mut state.completed[feed];
        for row in from..to {
            let i = columns.instrument[row];
            counts[i as usize] += 1;
            if self.watch[i as usize] != 0 && plan.instruments[i as usize].matching.is_some_and(|f| f.index() == feed) {
                self.touched.push((index_u32(feed), i, index_u32(row)));
            }
        }
    }

    fn on_completed<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        if self.touched.is_empty() {
            return Ok(());
        }
        let touched = std::mem::take(&mut self.touched);
        let mut rows = std::mem::take(&mut self.rows);
        let mut from = 0;
        while from < touched.len() {
            let feed = touched[from].0;
            let to = from + touched[from..].iter().take_while(|t| t.0 == feed).count();
            rows.clear();
            rows.extend(touched[from..to].iter().map(|&(_, i, row)| (i, row)));
            match desk.plan.feeds[feed as usize].data.kind {
                FeedKind::Bar => self.on_bars(desk, &rows)?,
                FeedKind::Quote => self.on_ticks(desk, &rows, Phase::QUOTE)?,
                FeedKind::Trade => self.on_ticks(desk, &rows, Phase::TRADE)?,
                FeedKind::Context => {}
            }
            from = to;
        }
        for &(_, i, _) in &touched {
            self.schedule_open(desk.plan, desk.state, i as usize);
        }
        self.rows = rows;
        self.touched = touched;
        self.touched.clear();
        Ok(())
    }

    fn on_expiry<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        let mut ended = Vec::new();
        while let Some(&Reverse((ts, id))) = self.expiries.peek() {
            if ts > desk.state.now {
                break;
            }
            self.expiries.pop();
            let order = desk.state.order(id);
            if order.status.is_terminal() {
                continue;
            }
            let i = order.request.instrument.index();
            desk.state.at = Some(order.request.instrument);
            desk.state.fault_point(2);
            if self.waits_for_booking(desk, id)? {
                let end = &mut desk.state.order_mut(id).end_pending;
                *end = end.or(Some((OrderStatus::Expired, Reason::SessionClosed)));
                continue;
            }
            desk.state.move_order(id, OrderStatus::Expired, Reason::SessionClosed, desk.recorder)?;
            self.live[i].note_end();
            if ended.last() != Some(&i) {
                ended.push(i);
            }
        }
        for i in ended {
            self.live[i].sweep(desk.state);
            self.refresh_watch(desk.plan, desk.state, i);
        }
        Ok(())
    }

    fn on_split<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, ratio: Ratio) -> Result<()> {
        let i = id.index();
        let instrument = &desk.plan.instruments[i];
        let range = || SimError::overflow(format!("{}: a split takes an order out of range", instrument.symbol));
        let ids: Vec<OrderId> = self.working(i).collect();
        for id in ids {
            let order = desk.state.order_mut(id);
            // An order of a rule follows the position instead.
            if order.rule.is_none() {
                let leaves = ratio.scale_down(order.leaves).ok_or_else(range)?;
                order.leaves = leaves - leaves % instrument.lot_size;
                order.request.quantity = order.filled.checked_add(order.leaves).ok_or_else(range)?;
                self.live[i].note(order);
            }
            let side = order.request.side;
            let scaled = |price: Price, rounds_down: bool| -> Result<Price> {
                instrument.tick_of_quotient(price, ratio, rounds_down).ok_or_else(range)
            };
            order.request.limit_price = order.request.limit_price.map(|p| scaled(p, side == Side::Buy)).transpose()?;
            order.request.stop_price = order.request.stop_price.map(|p| scaled(p, side == Side::Sell)).transpose()?;
            order.expected_price = order.expected_price.map(|p| ratio.unscale(p).ok_or_else(range)).transpose()?;
            if order.leaves == 0 {
                desk.state.move_order(id, OrderStatus::Canceled, Reason::ScaledToNothing, desk.recorder)?;
                self.remove(desk.plan, desk.state, i, id);
            }
        }
        let feed = instrument.matching.map(FeedId::index);
        let seen = feed.map_or(0, |feed| desk.state.completed[feed][i] as usize);
        for book in (0..desk.plan.books).map(BookId) {
            let guard = &mut self.guards[guard_of(desk.plan, book, i)];
            guard.split(desk.plan, i, seen, ratio)?;
            if desk.state.book(book).positions[i].quantity == 0 {
                guard.turn(0, 0);
            }
            if !guard.is_idle() {
                guard.sync(desk, &mut self.live[i], (book, i), Cause::Split)?;
            }
            self.reserve_again(desk, book, i)?;
        }
        self.live[i].sweep(desk.state);
        self.refresh_watch(desk.plan, desk.state, i);
        Ok(())
    }

    fn submit(&mut self, plan: &Plan, state: &State, id: OrderId) {
        let order = state.order(id);
        let i = order.request.instrument.index();
        if order.ts_expiry != NEVER {
            self.expiries.push(Reverse((order.ts_expiry, id)));
        }
        self.live[i].insert(id, order);
        self.watch[i] |= LIVE;
        self.schedule_open(plan, state, i);
    }

    fn cancel<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId) -> Result<()> {
        let order = desk.state.order(id);
        if order.status.is_terminal() {
            return Ok(());
        }
        let i = order.request.instrument.index();
        if self.waits_for_booking(desk, id)? {
            let end = &mut desk.state.order_mut(id).end_pending;
            *end = end.or(Some((OrderStatus::Canceled, Reason::CanceledByRequest)));
            return Ok(());
        }
        desk.state.move_order(id, OrderStatus::Canceled, Reason::CanceledByRequest, desk.recorder)?;
        self.waive(desk, id);
        self.remove(desk.plan, desk.state, i, id);
        Ok(())
    }

    fn on_same_close<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        if desk.plan.policies.fill_timing != FillTiming::SameClose {
            return Ok(());
        }
        let mut set = Vec::new();
        for (i, instrument) in desk.plan.instruments.iter().enumerate() {
            let Some(feed) = instrument.matching.filter(|_| !self.live[i].is_empty()) else { continue };
            // A close in front of a split or dividend of this instant is a price of the old shares.
            let seen = &desk.plan.actions[..desk.state.actions_seen];
            let acts_now = seen.iter().rev().take_while(|a| a.ts == desk.state.now);
            if acts_now.into_iter().any(|a| a.instrument.index() == i) {
                continue;
            }
            let columns = &desk.plan.feed(feed).data;
            let row = desk.state.completed_row(desk.plan, feed.index(), i);
            if let Some(row) = row.filter(|&r| columns.kind == FeedKind::Bar && columns.ts_event[r] == desk.state.now) {
                set.push((index_u32(i), index_u32(row)));
            }
        }
        self.match_set(desk, &set, PhaseMarket::DECISION_CLOSE)?;
        self.set_marks(desk, &set, Phase::CLOSE)
    }

    fn on_opens<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        let now = desk.state.now;
        self.opened_at = now;
        let mut set = std::mem::take(&mut self.set);
        set.clear();
        while let Some(&Reverse((ts, i))) = self.opens.peek() {
            if ts > now {
                break;
            }
            self.opens.pop();
            self.is_scheduled[i as usize] = false;
            let feed = desk.plan.instruments[i as usize].matching;
            if let Some(row) = feed.and_then(|f| desk.state.next_row(desk.plan, f.index(), i as usize)) {
                set.push((i, index_u32(row)));
            }
        }
        self.set_marks(desk, &set, Phase::OPEN)?;
        if self.needs_bar {
            for &(i, _) in &set {
                self.is_deferred[i as usize] = !self.live[i as usize].is_empty();
            }
        } else {
            self.match_set(desk, &set, Phase::OPEN)?;
            // What was opened just now is worth the open, not what was paid.
            self.set_marks(desk, &set, Phase::OPEN)?;
        }
        self.set = set;
        Ok(())
    }

    fn apply_rules<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, book: BookId) -> Result<()> {
        for i in 0..self.live.len() {
            if self.is_deferred[i] {
                // What the open of the bar decided stands; new rules find what it leaves.
                self.guards[guard_of(desk.plan, book, i)].is_late = true;
                continue;
            }
            let feed = desk.plan.instruments[i].matching.map(FeedId::index);
            let seen = feed.map_or(0, |feed| desk.state.completed[feed][i] as usize);
            self.set_rules(desk, (book, i), seen)?;
        }
        Ok(())
    }

    fn working(&self, i: usize) -> impl Iterator<Item = OrderId> {
        self.live[i].ids()
    }

    fn finish<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        let mut ids: Vec<OrderId> = self.live.iter().flat_map(Working::ids).collect();
        ids.sort();
        for id in ids {
            desk.state.move_order(id, OrderStatus::Canceled, Reason::EndOfData, desk.recorder)?;
        }
        for live in &mut self.live {
            live.clear();
        }
        Ok(())
    }
}
