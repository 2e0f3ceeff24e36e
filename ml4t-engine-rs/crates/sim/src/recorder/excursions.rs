//! How far the market went against and for what a round trip held, from the rows of its instrument when somebody asks.
//!
//! A bar counts with its high and low where it was held from its open on and to its end, and with its close where it was
//! entered inside; of a bar in which an order closed the position only that order's price is known to be its own.

use ml4t_abi::Phase;

use super::Fill;
use super::tables::TableRecorder;
use crate::ids::InstrumentId;
use crate::instrument::Instrument;
use crate::ledger::RoundTrip;
use crate::money::{Cash, Price, Qty, Ratio, middle};
use crate::plan::{Action, ActionKind, Feed, FeedKind, Plan, bar, quote};
use crate::policies::BarPath;
use crate::time::Ns;

/// Rows whose extremes are known together.
const BLOCK: usize = 64;

/// Lowest and highest price; NaN where there is none.
type Span = (f64, f64);

const NONE: Span = (f64::NAN, f64::NAN);

fn union(a: Span, b: Span) -> Span {
    // A number beside what is missing is the number.
    (a.0.min(b.0), a.1.max(b.1))
}

/// Extremes of the rows of one instrument.
struct Extremes<'p> {
    feed: &'p Feed,
    rows: &'p [u32],
    instrument: &'p Instrument,
    by_close: bool,
    /// Whether fills at an open are booked at the end of its bar.
    waits: bool,
    blocks: Vec<Span>,
    /// Splits and spin-offs: when, and a price before by one after.
    actions: Vec<(Ns, Ratio)>,
}

impl<'p> Extremes<'p> {
    fn new(plan: &'p Plan, id: InstrumentId) -> Option<Self> {
        let instrument = plan.instrument(id);
        let feed = plan.feed(instrument.matching?);
        let rows = feed.rows_of(id.index());
        let by_close = plan.policies.path == BarPath::CloseOnly;
        let own: Vec<Action> = plan.actions.iter().filter(|action| action.instrument == id).copied().collect();
        let waits = plan.models.need_bar();
        let mut found = Self { feed, rows, instrument, by_close, waits, blocks: Vec::new(), actions: Vec::new() };
        found.actions = found.ratios(&own);
        let span = |rows: &[u32]| rows.iter().fold(NONE, |span, &row| union(span, found.of(row)));
        found.blocks = rows.chunks(BLOCK).map(span).collect();
        Some(found)
    }

    /// What positions are valued at after a row.
    fn close(&self, row: u32) -> f64 {
        let row = row as usize;
        if self.feed.data.kind != FeedKind::Quote {
            return self.feed.last_price(row);
        }
        let side = |column| self.instrument.scale.price(self.feed.value(column, row));
        let mark = middle(side(quote::BID), side(quote::ASK));
        mark.map_or(f64::NAN, |mark| self.instrument.scale.price_f64(mark))
    }

    fn of(&self, row: u32) -> Span {
        if self.feed.data.kind == FeedKind::Bar && !self.by_close {
            return (self.feed.value(bar::LOW, row as usize), self.feed.value(bar::HIGH, row as usize));
        }
        let close = self.close(row);
        (close, close)
    }

    /// Extremes of the rows from a place to another.
    fn range(&self, from: usize, to: usize) -> Span {
        let (first, last) = (from.div_ceil(BLOCK), to / BLOCK);
        let single = |span, places: &[u32]| places.iter().fold(span, |span, &row| union(span, self.of(row)));
        if first >= last {
            return single(NONE, &self.rows[from..to.max(from)]);
        }
        let span = single(NONE, &self.rows[from..first * BLOCK]);
        let span = self.blocks[first..last].iter().fold(span, |span, &block| union(span, block));
        single(span, &self.rows[last * BLOCK..to])
    }

    fn event(&self, place: usize) -> Ns {
        self.feed.data.ts_event[self.rows[place] as usize]
    }

    /// When a bar has opened; of others when they came.
    fn open(&self, place: usize) -> Ns {
        self.feed.data.ts_open.as_ref().map_or_else(|| self.event(place), |open| open[self.rows[place] as usize])
    }

    /// The number of rows for which something holds that holds for the first of them.
    fn count(&self, holds: impl Fn(Ns) -> bool) -> usize {
        self.rows.partition_point(|&row| holds(self.feed.data.ts_event[row as usize]))
    }

    /// By what splits and spin-offs divide the price of what was held.
    fn ratios(&self, own: &[Action]) -> Vec<(Ns, Ratio)> {
        let scale = &self.instrument.scale;
        let mut found = Vec::new();
        let mut since: Vec<ActionKind> = Vec::new();
        let mut last = 0;
        for action in own {
            let place = self.count(|ts| ts <= action.ts);
            if place > last {
                // A row came between, and its price has all that was before in it.
                (last, since) = (place, Vec::new());
            }
            let ratio = match action.kind {
                ActionKind::Split(ratio) => Some(ratio),
                ActionKind::SpinOff { amount, .. } => self.mark(place, &since).and_then(|mark| {
                    let after = scale.less(mark, amount)?;
                    Ratio::new(mark.0, after.0).ok()
                }),
                _ => None,
            };
            found.extend(ratio.map(|ratio| (action.ts, ratio)));
            since.push(action.kind);
        }
        found
    }

    /// What was held was valued at, before the row at a place and after those actions.
    fn mark(&self, place: usize, since: &[ActionKind]) -> Option<Price> {
        let scale = &self.instrument.scale;
        let closes = self.rows[..place].iter().rev().map(|&row| self.close(row));
        let close = closes.into_iter().find(|close| !close.is_nan())?;
        since.iter().try_fold(scale.price(close)?, |price, kind| kind.price_after(price, scale))
    }

    /// A price of that time in the shares of a later one.
    fn later(&self, price: f64, ts: Ns, upto: Ns) -> Option<Price> {
        let scale = &self.instrument.scale;
        let from = self.actions.partition_point(|&(at, _)| at < ts);
        let mut passed = self.actions[from..].iter().take_while(|&&(at, _)| at <= upto);
        passed.try_fold(scale.price(price)?, |price, &(_, ratio)| ratio.unscale(price))
    }

    /// Extremes of what a round trip was worth at the prices of its time.
    fn worth(&self, trip: &RoundTrip, phase: Option<Phase>) -> (i128, i128) {
        // The open of a bar comes after the bars that end there, and after the actions of that instant; but one that has
        // to wait for its own bar is booked at its end.
        let is_late = phase.is_none_or(|phase| phase == Phase::OPEN && !self.waits);
        let upto = if is_late { trip.ts_exit } else { trip.ts_exit.saturating_sub(1) };
        let begin = self.count(|ts| ts <= trip.ts_entry);
        let end = self.count(|ts| ts < trip.ts_exit).max(begin);
        let is_at_end = (is_late || phase == Some(Phase::CLOSE)) && end < self.rows.len();
        let has_last = is_at_end
            && self.feed.data.kind == FeedKind::Bar
            && self.event(end) == trip.ts_exit
            && self.open(end) >= trip.ts_entry;
        let mut found = (0, 0);
        let mut count = |span: Span, ts: Ns| {
            for price in [span.0, span.1] {
                let worth =
                    self.later(price, ts, upto).and_then(|p| self.instrument.scale.notional(p, Qty(trip.quantity)));
                if let Some(Cash(worth)) = worth {
                    let gain = worth.saturating_sub(trip.entry_cost.0);
                    found = (gain.min(found.0), gain.max(found.1));
                }
            }
        };
        let mut place = begin;
        if begin < end && self.open(begin) < trip.ts_entry {
            let close = self.close(self.rows[begin]);
            count((close, close), self.event(begin));
            place += 1;
        }
        let stop = end + usize::from(has_last);
        while place < stop {
            // Up to the next action all prices are of the same shares.
            let ts = self.event(place);
            let next = self.actions.iter().map(|&(at, _)| at).find(|&at| at >= ts && at <= upto);
            let to = next.map_or(stop, |at| self.count(|ts| ts <= at).clamp(place + 1, stop));
            count(self.range(place, to), ts);
            place = to;
        }
        found
    }
}

impl TableRecorder {
    /// Maximum adverse and favorable excursion of each round trip, gross: the first at most zero, the second at least.
    #[must_use]
    pub fn excursions(&self) -> Vec<(Cash, Cash)> {
        let plan = self.plan();
        let mut known: Vec<Option<Option<Extremes<'_>>>> = (0..plan.instruments.len()).map(|_| None).collect();
        let fill = |number: u64| self.rows_of::<Fill>(index(number)..index(number) + 1).next();
        self.round_trips()
            .map(|trip| {
                let gross = trip.exit_value.0.saturating_sub(trip.entry_cost.0);
                let is_own = fill(trip.entry_fill).is_some_and(|fill| fill.instrument == trip.instrument);
                let phase = trip.exit.and_then(|(_, number)| fill(number)).map(|fill| fill.phase);
                let slot = &mut known[trip.instrument.index()];
                let extremes = slot.get_or_insert_with(|| Extremes::new(plan, trip.instrument));
                let found = extremes.as_ref().filter(|_| is_own).map_or((0, 0), |own| own.worth(&trip, phase));
                (Cash(found.0.min(gross)), Cash(found.1.max(gross)))
            })
            .collect()
    }
}

fn index(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
