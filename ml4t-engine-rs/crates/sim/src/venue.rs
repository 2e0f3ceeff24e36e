//! The simulated venue: working orders, the sequence in which they meet the market, and what a fill costs.
//!
//! The rules of who may fill at which price stand in [`crate::matching`]; this file decides who comes first.
//! Within an instrument that is the leg of the path, the distance along it, then submission; across
//! instruments the lists are merged by the submission of their heads. The index of an instrument never matters.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use ml4t_abi::Phase;

use crate::account::reservation;
use crate::error::{Result, SimError};
use crate::guard::{Cause, Guard};
use crate::ids::{BookId, FeedId, InstrumentId, OrderId};
use crate::matching::is_out_of_reach;
use crate::models::Models;
use crate::money::{Cash, Price, Ratio};
use crate::order::{OrderStatus, Reason, Side, TimeInForce};

use crate::phase::PhaseMarket;
use crate::plan::{FeedKind, Plan, bar};
use crate::policies::{FillTiming, QuoteFill};
use crate::recorder::Recorder;
use crate::replace::Changes;
use crate::rules::RuleKind;
use crate::state::{Block, State};
use crate::terms::Instructions;
use crate::time::{NEVER, Ns};
use crate::trailing;
use crate::working::Working;

mod averages;
mod distribution;
mod interface;
mod late;
mod linked;
mod liquidation;
mod pass;
mod queue_position;
mod rows;

pub use interface::{Desk, Venue};

use averages::Sessions;
pub(crate) use averages::{Averages, averages_before, volume_in_todays_shares};
use late::Late;
use pass::Candidate;
use queue_position::Place;

const LIVE: u8 = 1;
const HELD: u8 = 2;
/// Instruments with orders at work beyond which rows are not looked at ahead of time.
const MOST_LOOKED_AHEAD: usize = 16;

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
    /// Instruments with live orders, in no order, and the place of each in it.
    at_work: Vec<u32>,
    place_at_work: Vec<u32>,
    opens: BinaryHeap<Reverse<(Ns, u32)>>,
    is_scheduled: Vec<bool>,
    /// The last instant whose opens are past.
    opened_at: Ns,
    expiries: BinaryHeap<Reverse<(Ns, OrderId)>>,
    /// Watched rows of this instant: (feed, instrument, row).
    touched: Vec<(u32, u32, u32)>,
    /// Instruments whose open waits for the bar's end because a model needs the whole bar.
    is_deferred: Vec<bool>,
    /// What came too late for orders that the open of such a bar has decided, in the sequence of its coming.
    late: BTreeMap<OrderId, Vec<Late>>,
    /// Orders whose only event was a quote or print of this instant, and which it did not fill.
    over: Vec<OrderId>,
    /// Quantity taken from the current row of each instrument: (row + 1, quantity), the second for bids of quotes, the
    /// third for prints beside quotes.
    used: Vec<[(u64, i64); 3]>,
    /// What the sessions before tell the fill, slippage and impact model of each instrument, where they ask.
    sessions: [Vec<Sessions>; 3],
    /// How many sessions each of them wants, 0 where it does not ask.
    average_days: [usize; 3],
    /// What is ahead of resting orders of each instrument, where it is known; ascending by order.
    queues: Vec<Vec<Place>>,
    /// Scratch: a queue that is counted anew.
    places: Vec<Place>,
    /// Children that a fill inside the present bar has started.
    born_inside: Vec<OrderId>,
    /// Whether an order was ever sent for the close of a session.
    has_closing: bool,
    /// Position rules of each book and instrument, those of a book side by side.
    guards: Vec<Guard>,
    pass: u64,
    /// Scratch: instruments and rows that trade together.
    set: Vec<(u32, u32)>,
    /// Scratch: watched rows of one feed.
    rows: Vec<(u32, u32)>,
    heads: BinaryHeap<Reverse<(u8, OrderId, u32, u32)>>,
    /// When orders become active that want the quote that stands then.
    activations: BinaryHeap<Reverse<(Ns, OrderId)>>,
    /// Those that do now, ascending.
    activating: Vec<OrderId>,
}

impl SimulatedVenue {
    /// A venue without orders, with its own copies of the plan's models.
    ///
    /// # Errors
    /// A model cannot begin.
    pub fn new(plan: &Plan) -> Result<Self> {
        let n = plan.instruments.len();
        let models = plan.models.fresh(plan.seed)?;
        let average_days = models.average_days();
        Ok(Self {
            needs_bar: models.need_bar(),
            models,
            live: vec![Working::default(); n],
            queue: vec![Vec::new(); n],
            watch: vec![0; n],
            at_work: Vec::new(),
            place_at_work: vec![0; n],
            opens: BinaryHeap::new(),
            is_scheduled: vec![false; n],
            opened_at: i64::MIN,
            expiries: BinaryHeap::new(),
            touched: Vec::new(),
            is_deferred: vec![false; n],
            late: BTreeMap::new(),
            over: Vec::new(),
            used: vec![[(0, 0); 3]; n],
            sessions: average_days.map(|days| vec![Sessions::default(); if days > 0 { n } else { 0 }]),
            average_days,
            queues: vec![Vec::new(); n],
            places: Vec::new(),
            born_inside: Vec::new(),
            has_closing: false,
            guards: vec![Guard::default(); n * usize::from(plan.books)],
            pass: 0,
            set: Vec::new(),
            rows: Vec::new(),
            heads: BinaryHeap::new(),
            activations: BinaryHeap::new(),
            activating: Vec::new(),
        })
    }

    /// Arrange that the next open of a watched instrument becomes an event.
    fn schedule_open(&mut self, plan: &Plan, state: &State, i: usize) {
        if self.watch[i] == 0 || self.is_scheduled[i] {
            return;
        }
        let Some(feed) = plan.instruments[i].matching else { return };
        let Some(opens) = &plan.feed(feed).data.ts_open else { return };
        let Some(row) = state.next_row(plan, feed.index(), i) else { return };
        if !self.has_opened(state, opens[row]) {
            self.is_scheduled[i] = true;
            self.opens.push(Reverse((opens[row], index_u32(i))));
        }
    }

    /// Whether the opens of that time are past.
    const fn has_opened(&self, state: &State, ts: Ns) -> bool {
        ts < state.now || (ts == state.now && self.opened_at == state.now)
    }

    /// A position was valued at the last price of its instrument: of the next row's open, or of the last complete row.
    fn saw(plan: &Plan, state: &mut State, i: usize, with_open: bool) {
        if let Some(feed) = plan.instruments[i].matching {
            let complete = state.completed[feed.index()][i];
            state.marks.see(i, complete, with_open);
        }
    }

    /// Count complete rows that do nothing but value positions.
    fn count_rows(&self, plan: &Plan, state: &mut State, feed: usize, (from, to): (usize, usize)) {
        let rows = to - from;
        let source = &plan.feeds[feed];
        let instruments = &source.data.instrument;
        if source.data.kind == FeedKind::Context {
            state.completed[feed][0] += index_u32(rows);
            return;
        }
        let count = |state: &mut State, i: usize, rows: usize| {
            state.completed[feed][i] += index_u32(rows);
            if self.watch[i] & HELD != 0 && plan.instruments[i].matching.is_some_and(|f| f.index() == feed) {
                state.marks.list(i);
            }
        };
        let first = instruments[from] as usize;
        if rows == 1 || source.rows_of(first).len() == source.len() {
            count(state, first, rows);
        } else if source.is_panel() {
            let width = self.watch.len();
            (0..width).for_each(|i| count(state, i, rows / width));
        } else {
            instruments[from..to].iter().for_each(|&i| count(state, i as usize, 1));
        }
    }

    /// Whether a row leaves all orders of its instrument as they are.
    fn is_out_of_reach(&self, plan: &Plan, state: &State, i: usize, (feed, row): (usize, usize)) -> bool {
        let source = &plan.feeds[feed];
        let instrument = &plan.instruments[i];
        if instrument.matching.is_none_or(|id| id.index() != feed) {
            return instrument.prints.is_none_or(|id| id.index() != feed);
        }
        if source.data.kind != FeedKind::Bar || self.needs_bar {
            return false;
        }
        self.are_out_of_reach(plan, state, i, (source.value(bar::LOW, row), source.value(bar::HIGH, row)))
    }

    /// Whether prices between two leave all orders of an instrument as they are.
    fn are_out_of_reach(&self, plan: &Plan, state: &State, i: usize, (low, high): (f64, f64)) -> bool {
        let (live, scale) = (&self.live[i], &plan.instruments[i].scale);
        let (Some(low), Some(high)) = (scale.price(low), scale.price(high)) else { return false };
        !live.has_trailing()
            && !live.has_immediate()
            && (0..plan.books).all(|book| !self.guards[guard_of(plan, BookId(book), i)].trails())
            && live.ids().all(|id| is_out_of_reach(&state.order(id), low, high))
    }

    /// When the next row of an instrument opens, if it reaches one of its orders: [`NEVER`] if it does not.
    fn reached_at(&self, plan: &Plan, state: &State, i: usize) -> Ns {
        let instrument = &plan.instruments[i];
        let Some(id) = instrument.matching.filter(|_| instrument.prints.is_none()) else { return i64::MIN };
        let Some(opens) = &plan.feed(id).data.ts_open else { return i64::MIN };
        let Some(row) = state.next_row(plan, id.index(), i) else { return NEVER };
        if self.is_out_of_reach(plan, state, i, (id.index(), row)) { NEVER } else { opens[row] }
    }

    /// Orders of an instrument that can still change, those that wait for another included, by id.
    fn open_orders_of(&self, state: &State, i: usize) -> Vec<OrderId> {
        let waiting = state.links.waiting.iter().copied();
        let own = waiting.filter(|&id| state.order(id).request.instrument.index() == i);
        let mut ids: Vec<OrderId> = self.working(state, i).chain(own).collect();
        ids.sort_unstable();
        ids
    }

    fn set_watch(&mut self, i: usize, watch: u8) {
        let was_live = self.watch[i] & LIVE != 0;
        self.watch[i] = watch;
        match (was_live, watch & LIVE != 0) {
            (false, true) => {
                self.place_at_work[i] = index_u32(self.at_work.len());
                self.at_work.push(index_u32(i));
            }
            (true, false) => {
                let place = self.place_at_work[i];
                self.at_work.swap_remove(place as usize);
                if let Some(&moved) = self.at_work.get(place as usize) {
                    self.place_at_work[moved as usize] = place;
                }
            }
            _ => {}
        }
    }

    fn refresh_watch(&mut self, plan: &Plan, state: &mut State, i: usize) {
        let live = if self.live[i].is_empty() { 0 } else { LIVE };
        let held = if state.books.iter().any(|b| b.positions[i].quantity != 0) { HELD } else { 0 };
        if held & !self.watch[i] != 0
            && let Some(feed) = plan.instruments[i].matching
        {
            // What the instrument was worth before it was held is nobody's mark.
            let feed = (feed.index(), plan.feed(feed).data.ts_open.as_ref());
            let next = feed.1.and_then(|opens| state.next_row(plan, feed.0, i).map(|row| opens[row]));
            Self::saw(plan, state, i, next.is_some_and(|ts| self.has_opened(state, ts)));
        }
        self.set_watch(i, live | held);
        self.watch_open(plan, state, i);
    }

    /// See to it that the next open of an instrument is met by its orders, or values its position.
    fn watch_open(&mut self, plan: &Plan, state: &mut State, i: usize) {
        if self.watch[i] == HELD && plan.margin.at_price.is_none() {
            state.marks.list(i);
        } else {
            self.schedule_open(plan, state, i);
        }
    }

    fn remove(&mut self, plan: &Plan, state: &mut State, i: usize) {
        self.live[i].remove(state);
        self.refresh_watch(plan, state, i);
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
        let wanted = reservation(desk.plan, desk.state, &order, held)?.ok_or_else(|| {
            SimError::overflow(format!("{}: a working order leaves the range of the ledger", instrument.symbol))
        })?;
        let change = wanted.minus(order.reserved, "buying power")?;
        desk.state.order_mut(id).reserved = wanted;
        desk.state.set_aside((book, desk.state.order(id).request.instrument), change)
    }
}

/// Place of the rules of a book for an instrument.
fn guard_of(plan: &Plan, book: BookId, i: usize) -> usize {
    usize::from(book.0) * plan.instruments.len() + i
}

/// Place of a row among those of its instrument in the feed that fills its orders.
fn place_of(plan: &Plan, state: &State, i: usize, row: usize) -> usize {
    let Some(feed) = plan.instruments[i].matching else { return 0 };
    let rows = plan.feed(feed).rows_of(i);
    // Nearly always the last complete row, or the one that has just begun.
    let seen = state.completed[feed.index()][i] as usize;
    let near = [seen.wrapping_sub(1), seen];
    let found = near.into_iter().find(|&place| rows.get(place).is_some_and(|&other| other as usize == row));
    found.unwrap_or_else(|| rows.partition_point(|&other| (other as usize) < row))
}

fn is_close(phase: Phase) -> bool {
    matches!(phase, Phase::CLOSE | PhaseMarket::DECISION_CLOSE | PhaseMarket::SESSION_CLOSE)
}

fn index_u32(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(u32::MAX)
}

impl Venue for SimulatedVenue {
    fn next_due(&self) -> Ns {
        let open = self.opens.peek().map_or(NEVER, |Reverse((ts, _))| *ts);
        let expiry = self.expiries.peek().map_or(NEVER, |Reverse((ts, _))| *ts);
        let activation = self.activations.peek().map_or(NEVER, |Reverse((ts, _))| *ts);
        open.min(expiry).min(activation)
    }

    fn passes(&mut self, plan: &Plan, now: Ns) -> bool {
        let is_later = |due: Option<Ns>| due.is_none_or(|ts| ts > now);
        let passes = plan.policies.fill_timing != FillTiming::SameClose
            && is_later(self.opens.peek().map(|Reverse((ts, _))| *ts))
            && is_later(self.activations.peek().map(|Reverse((ts, _))| *ts));
        if passes {
            self.opened_at = now;
            // Those that were active before this instant are no more at it.
            self.activating.clear();
        }
        passes
    }

    fn on_rows(&mut self, plan: &Plan, state: &mut State, feed: usize, (from, to): (usize, usize)) {
        let columns = &plan.feeds[feed].data;
        if columns.kind == FeedKind::Context {
            state.completed[feed][0] += index_u32(to - from);
            return;
        }
        for row in from..to {
            let i = columns.instrument[row];
            state.completed[feed][i as usize] += 1;
            let watch = self.watch[i as usize];
            if watch == 0 {
                continue;
            }
            let instrument = &plan.instruments[i as usize];
            let is_met = instrument.matching.is_some_and(|f| f.index() == feed);
            if is_met || (watch & LIVE != 0 && instrument.prints.is_some_and(|f| f.index() == feed)) {
                self.touched.push((index_u32(feed), i, index_u32(row)));
            }
        }
    }

    #[inline]
    fn is_quiet(&self, plan: &Plan, state: &State, blocks: &[Block]) -> bool {
        if plan.margin.at_price.is_some() {
            return false;
        }
        if self.at_work.is_empty() {
            return self.is_settled(state);
        }
        self.is_settled(state)
            && blocks.iter().all(|block| {
                let source = &plan.feeds[block.feed];
                let instruments = &source.data.instrument;
                let mut rows = block.from..block.to;
                source.data.kind == FeedKind::Context
                    || rows.all(|row| {
                        let i = instruments[row] as usize;
                        self.watch[i] & LIVE == 0 || self.is_out_of_reach(plan, state, i, (block.feed, row))
                    })
            })
    }

    #[inline]
    fn pass_rows(&mut self, plan: &Plan, state: &mut State, feed: usize, rows: (usize, usize)) {
        self.count_rows(plan, state, feed, rows);
        for at in 0..self.at_work.len() {
            self.schedule_open(plan, state, self.at_work[at] as usize);
        }
    }

    fn is_idle(&self) -> bool {
        self.at_work.is_empty()
    }

    fn begin_to_skip(&mut self, plan: &Plan, state: &State) -> Ns {
        if !self.is_settled(state) || self.at_work.len() > MOST_LOOKED_AHEAD {
            return i64::MIN;
        }
        let expiry = self.expiries.peek().map_or(NEVER, |Reverse((ts, _))| *ts);
        let activation = self.activations.peek().map_or(NEVER, |Reverse((ts, _))| *ts);
        let reach = self.at_work.iter().map(|&i| self.reached_at(plan, state, i as usize));
        reach.fold(expiry.min(activation), Ns::min)
    }

    fn skip_rows(&mut self, plan: &Plan, state: &mut State, feed: usize, rows: (usize, usize)) -> Ns {
        self.count_rows(plan, state, feed, rows);
        let reach = self.at_work.iter().map(|&i| self.reached_at(plan, state, i as usize));
        reach.fold(NEVER, Ns::min)
    }

    fn end_to_skip(&mut self, plan: &Plan, state: &State) {
        // Opens that were expected may lie behind.
        for Reverse((_, i)) in self.opens.drain() {
            self.is_scheduled[i as usize] = false;
        }
        for at in 0..self.at_work.len() {
            self.schedule_open(plan, state, self.at_work[at] as usize);
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
            let source = &desk.plan.feeds[feed as usize];
            match source.data.kind {
                FeedKind::Bar => self.on_bars(desk, source, &rows)?,
                FeedKind::Quote | FeedKind::Trade => self.on_ticks(desk, source, &rows)?,
                FeedKind::Context => {}
            }
            from = to;
        }
        for &(_, i, _) in &touched {
            self.watch_open(desk.plan, desk.state, i as usize);
        }
        self.rows = rows;
        self.touched = touched;
        self.touched.clear();
        Ok(())
    }

    fn on_expiry<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        if self.expiries.peek().is_none_or(|Reverse((ts, _))| *ts > desk.state.now) {
            return Ok(());
        }
        desk.state.settle_marks(desk.plan, desk.state.now.saturating_sub(1))?;
        let mut due = Vec::new();
        while let Some(&Reverse((ts, id))) = self.expiries.peek() {
            if ts > desk.state.now {
                break;
            }
            self.expiries.pop();
            // A time that was changed has an entry of its own.
            if desk.state.order(id).ts_expiry == ts {
                due.push(id);
            }
        }
        due.sort();
        self.match_session_closes(desk, &due)?;
        let mut ended = Vec::new();
        for id in due {
            let order = *desk.state.order(id);
            if order.status.is_terminal() {
                continue;
            }
            let i = order.request.instrument.index();
            desk.state.at = Some(order.request.instrument);
            desk.state.fault_point(2);
            let reason = order.expiry_reason();
            if self.waits_for_booking(desk, id)? {
                self.late.entry(id).or_default().push(Late::End(OrderStatus::Expired, reason));
                continue;
            }
            desk.state.move_order(id, OrderStatus::Expired, reason, desk.recorder)?;
            self.live[i].note_end();
            self.cascade(desk)?;
            if ended.last() != Some(&i) {
                ended.push(i);
            }
        }
        for i in ended {
            self.live[i].sweep(desk.state);
            self.refresh_watch(desk.plan, desk.state, i);
        }
        self.cascade(desk)
    }

    fn on_split<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, ratio: Ratio) -> Result<()> {
        let i = id.index();
        let instrument = &desk.plan.instruments[i];
        let range = || SimError::overflow(format!("{}: a split takes an order out of range", instrument.symbol));
        for id in self.open_orders_of(desk.state, i) {
            let order = desk.state.order(id);
            if order.status.is_terminal() {
                // One before it has taken it along.
                continue;
            }
            if order.filled > 0 {
                // Children that are still to come have to know its fills in the shares after the split.
                desk.state.remember_fills(id);
            }
            let order = desk.state.order_mut(id);
            // An order of a rule follows the position instead.
            if !order.follows_position() {
                let leaves = ratio.scale_down(order.leaves).ok_or_else(range)?;
                order.leaves = leaves - leaves % instrument.lot_size;
                order.request.quantity = order.filled.checked_add(order.leaves).ok_or_else(range)?;
                self.live[i].note(order);
            }
            let (side, is_stop) = (order.request.side, order.request.order_type.is_stop());
            let scaled = |price: Price, rounds_down: bool| -> Result<Price> {
                instrument.tick_of_quotient(price, ratio, rounds_down).ok_or_else(range)
            };
            order.request.limit_price = order.request.limit_price.map(|p| scaled(p, side == Side::Buy)).transpose()?;
            order.request.stop_price =
                order.request.stop_price.map(|p| scaled(p, (side == Side::Sell) == is_stop)).transpose()?;
            order.expected_price = order.expected_price.map(|p| ratio.unscale(p).ok_or_else(range)).transpose()?;
            trailing::split(order, instrument, ratio).ok_or_else(range)?;
            let is_linked = order.is_linked;
            if let Some(shown) = order.request.display_quantity {
                let scaled = ratio.scale_down(shown).ok_or_else(range)?;
                order.request.display_quantity = Some((scaled - scaled % instrument.lot_size).max(instrument.lot_size));
            }
            let leaves = order.leaves;
            if is_linked {
                desk.state.split_link(id, ratio, instrument.lot_size).ok_or_else(range)?;
            }
            if leaves == 0 {
                desk.state.move_order(id, OrderStatus::Canceled, Reason::ScaledToNothing, desk.recorder)?;
                self.remove(desk.plan, desk.state, i);
                self.cascade(desk)?;
            }
        }
        self.queues[i].clear();
        for sessions in self.sessions.iter_mut().filter_map(|all| all.get_mut(i)) {
            sessions.split(ratio);
        }
        let displacement = &mut desk.state.displacement[i];
        *displacement = ratio.unscale(Price(*displacement)).ok_or_else(range)?.0;
        let seen = distribution::rows_seen(desk, i);
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
        self.cascade(desk)
    }

    fn on_distribution<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, amount: Cash) -> Result<()> {
        self.lower_orders(desk, id.index(), amount)
    }

    fn on_repriced<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, ratio: Ratio) -> Result<()> {
        self.scale_rules(desk, id.index(), ratio)
    }

    fn on_received<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId) -> Result<()> {
        self.guard_received(desk, id.index())
    }

    fn on_delisted<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, reason: Reason) -> Result<()> {
        let i = id.index();
        for order in self.open_orders_of(desk.state, i) {
            if desk.state.has_ended(order) {
                // One before it has taken it along.
                continue;
            }
            self.end(desk, order, reason)?;
        }
        self.queues[i].clear();
        for book in (0..desk.plan.books).map(BookId) {
            self.guards[guard_of(desk.plan, book, i)].turn(0, 0);
        }
        self.refresh_watch(desk.plan, desk.state, i);
        Ok(())
    }

    fn reserve_all<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        for i in 0..self.live.len() {
            for id in self.live[i].ids() {
                Self::reserve_one(desk, id, i)?;
            }
        }
        Ok(())
    }

    fn clear_book<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, book: BookId) -> Result<()> {
        let working = (0..self.live.len()).flat_map(|i| self.working(desk.state, i));
        let mut ids: Vec<OrderId> = working.chain(desk.state.links.waiting.iter().copied()).collect();
        ids.sort_unstable();
        // Position rules go on guarding what is left.
        self.clear(desk, book, (ids, &[], Reason::Liquidation))
    }

    fn test_marks<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        self.liquidate_at_marks(desk)
    }

    fn close_for<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        place: (BookId, InstrumentId),
        units: (i64, RuleKind),
    ) -> Result<OrderId> {
        let instructions = Instructions { reduce_only: true, ..Instructions::NONE };
        self.send_for_broker(desk, place, units, instructions)
    }

    fn open_for<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        place: (BookId, InstrumentId),
        units: (i64, RuleKind),
    ) -> Result<OrderId> {
        self.send_for_broker(desk, place, units, Instructions::NONE)
    }

    fn clear_contract<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        (book, id): (BookId, InstrumentId),
    ) -> Result<i64> {
        let ids = self.open_orders_of(desk.state, id.index());
        // The roll sells all of it: position rules would only come before it.
        self.clear(desk, book, (ids, &RuleKind::SET, Reason::Rolled))?;
        self.take_back_rolls(desk, (book, id))
    }

    fn fill_at<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, order: (OrderId, Price)) -> Result<()> {
        self.fill_at_settlement(desk, order)
    }

    fn submit(&mut self, plan: &Plan, state: &State, id: OrderId) {
        let order = state.order(id);
        let i = order.request.instrument.index();
        if order.ts_expiry != NEVER {
            self.expiries.push(Reverse((order.ts_expiry, id)));
        }
        self.has_closing |= order.request.time_in_force == TimeInForce::Cls;
        self.live[i].insert(id, &order);
        self.set_watch(i, self.watch[i] | LIVE);
        self.schedule_open(plan, state, i);
    }

    fn activate(&mut self, plan: &Plan, state: &State, id: OrderId) {
        let order = state.order(id);
        let is_for_session = matches!(order.request.time_in_force, TimeInForce::Opg | TimeInForce::Cls);
        let is_standing = plan.policies.quote_fill == QuoteFill::Standing;
        if is_standing && !is_for_session && PhaseMarket::is_of_quotes(plan, order.request.instrument.index()) {
            self.activations.push(Reverse((order.ts_active, id)));
        }
    }

    fn on_standing<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        self.match_standing(desk)
    }

    fn cancel<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId) -> Result<()> {
        let order = desk.state.order(id);
        if order.status.is_terminal() {
            return Ok(());
        }
        let i = order.request.instrument.index();
        if self.waits_for_booking(desk, id)? {
            let end = Late::End(OrderStatus::Canceled, Reason::CanceledByRequest);
            self.late.entry(id).or_default().push(end);
            return Ok(());
        }
        desk.state.move_order(id, OrderStatus::Canceled, Reason::CanceledByRequest, desk.recorder)?;
        self.waive(desk, id);
        self.remove(desk.plan, desk.state, i);
        self.cascade(desk)
    }

    fn join<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId) -> Result<()> {
        self.grow(desk, id, None)?;
        self.cascade(desk)
    }

    fn cascade<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        if desk.state.links.ended.is_empty() { Ok(()) } else { self.end_linked(desk) }
    }

    fn replace<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId, changes: Box<Changes>) -> Result<()> {
        if !desk.state.has_ended(id) && self.waits_for_booking(desk, id)? {
            self.late.entry(id).or_default().push(Late::Change(changes));
            return Ok(());
        }
        self.change(desk, id, &changes)
    }

    fn on_same_close<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        if desk.plan.policies.fill_timing != FillTiming::SameClose {
            return Ok(());
        }
        let mut set = Vec::new();
        for (i, instrument) in desk.plan.instruments.iter().enumerate() {
            let Some(feed) = instrument.matching.filter(|_| !self.live[i].is_empty()) else { continue };
            // A close in front of a split or dividend of this instant is a price of the old shares.
            if desk.state.actions_since(desk.plan, i, desk.state.now).next().is_some() {
                continue;
            }
            let columns = &desk.plan.feed(feed).data;
            let row = desk.state.completed_row(desk.plan, feed.index(), i);
            let is_now = |row: usize| columns.kind == FeedKind::Bar && columns.ts_event[row] == desk.state.now;
            if let Some(row) = row.filter(|&row| is_now(row) && !desk.plan.feed(feed).is_resting(row)) {
                set.push((index_u32(i), index_u32(row)));
            }
        }
        if set.is_empty() {
            return Ok(());
        }
        desk.state.settle_marks(desk.plan, desk.state.now.saturating_sub(1))?;
        // Positions are valued at these closes already, unless shares that came since have put a newer value on them.
        self.match_set(desk, &set, PhaseMarket::DECISION_CLOSE)
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
        let is_quiet = self.is_settled(desk.state)
            && !self.needs_bar
            && desk.plan.margin.at_price.is_none()
            && set.iter().all(|&(i, row)| {
                let Some(feed) = desk.plan.instruments[i as usize].matching else { return true };
                let open = desk.plan.feed(feed).value(bar::OPEN, row as usize);
                self.are_out_of_reach(desk.plan, desk.state, i as usize, (open, open))
            });
        if is_quiet {
            for &(i, _) in &set {
                desk.state.marks.list(i as usize);
            }
            self.set = set;
            return Ok(());
        }
        desk.state.settle_marks(desk.plan, now)?;
        // What opens and ends in a break values positions; orders do not meet it.
        let is_open = |&(i, row): &(u32, u32)| {
            let feed = desk.plan.instruments[i as usize].matching;
            feed.is_none_or(|feed| !desk.plan.feed(feed).is_resting(row as usize))
        };
        if set.iter().all(is_open) {
            self.liquidate_in(desk, &set, Phase::OPEN)?;
            self.set_marks(desk, &set, Phase::OPEN)?;
        } else {
            let whole = set.clone();
            set.retain(is_open);
            self.liquidate_in(desk, &set, Phase::OPEN)?;
            self.set_marks(desk, &whole, Phase::OPEN)?;
        }
        if self.needs_bar {
            for &(i, row) in &set {
                self.is_deferred[i as usize] = !self.live[i as usize].is_empty();
                // Fills wait for the volume of the bar; what the open triggers and makes wait does not.
                self.see_open(desk, i as usize, row as usize)?;
            }
        } else {
            self.match_set(desk, &set, Phase::OPEN)?;
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
        self.cascade(desk)
    }

    fn working(&self, state: &State, i: usize) -> impl Iterator<Item = OrderId> {
        self.live[i].ids().filter(|&id| !state.has_ended(id))
    }

    fn finish<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        let working = (0..self.live.len()).flat_map(|i| self.working(desk.state, i));
        let mut ids: Vec<OrderId> = working.chain(desk.state.links.waiting.iter().copied()).collect();
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
