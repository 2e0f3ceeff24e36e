//! Marks: what held positions are worth, brought up to date when somebody looks.
//!
//! A position is valued at every price of the source that its orders meet: the open of a bar when it opens, its close
//! when it is complete, a quote, a print. Between two looks only the last of them matters, so while no order is at
//! work rows are merely noted here, and opens are no instants of their own but where margin is checked at them.
//! [`State::settle_marks`] does what was put off; whoever reads a value or an equity has called it before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ml4t_abi::Phase;

use crate::error::{Result, SimError};
use crate::ids::InstrumentId;
use crate::instrument::Instrument;
use crate::money::{Price, middle};
use crate::phase::PhaseMarket;
use crate::plan::{Feed, FeedKind, Plan, bar, quote, trade};
use crate::state::State;
use crate::time::{NEVER, Ns};

/// What is still to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// Held instruments that may have had a price since they were last valued.
    listed: Vec<u32>,
    is_listed: Vec<bool>,
    /// Opens to come of held instruments that are not listed.
    opens: BinaryHeap<Reverse<(Ns, u32)>>,
    /// The first of them.
    next_open: Ns,
    /// The last price of each that counts no more: twice the number of complete rows, and one more for the open of the
    /// next.
    seen: Vec<u64>,
}

impl Marks {
    pub(crate) fn new(instruments: usize) -> Self {
        Self {
            listed: Vec::new(),
            is_listed: vec![false; instruments],
            opens: BinaryHeap::new(),
            next_open: NEVER,
            seen: vec![0; instruments],
        }
    }

    /// A row of a held instrument is complete, or its next open may be to come.
    pub(crate) fn list(&mut self, i: usize) {
        if !std::mem::replace(&mut self.is_listed[i], true) {
            self.listed.push(u32::try_from(i).unwrap_or(u32::MAX));
        }
    }

    /// The next open that values a position, of those that are not listed.
    pub(crate) const fn next_open(&self) -> Ns {
        self.next_open
    }

    /// Whether an open of that time is still to value a position.
    pub(crate) const fn have_open_at(&self, now: Ns) -> bool {
        !self.listed.is_empty() || self.next_open <= now
    }

    /// Prices up to the last complete row, and the open of the next if `with_open`, count no more.
    pub(crate) fn see(&mut self, i: usize, complete: u32, with_open: bool) {
        self.seen[i] = self.seen[i].max(2 * u64::from(complete) + u64::from(with_open));
    }
}

/// A price leaves its range.
struct Beyond;

/// A price of a feed, `None` where there is none.
fn price_of(x: f64, instrument: &Instrument) -> std::result::Result<Option<Price>, Beyond> {
    if x.is_nan() { Ok(None) } else { instrument.scale.price(x).map(Some).ok_or(Beyond) }
}

/// What a complete row of a feed, or one that has opened, values a position at, as [`price_of`].
fn mark_of(
    feed: &Feed,
    row: usize,
    instrument: &Instrument,
    is_open: bool,
) -> std::result::Result<Option<Price>, Beyond> {
    let price = |column: usize| price_of(feed.value(column, row), instrument);
    match feed.data.kind {
        FeedKind::Bar => price(if is_open { bar::OPEN } else { bar::CLOSE }),
        FeedKind::Quote => Ok(middle(price(quote::BID)?, price(quote::ASK)?)),
        FeedKind::Trade => price(trade::PRICE),
        FeedKind::Context => Ok(None),
    }
}

/// The error that reading such a row gives.
fn out_of_range(plan: &Plan, (i, row): (usize, usize), phase: Phase) -> SimError {
    let read = PhaseMarket::read(plan, i, row, phase).err();
    read.unwrap_or_else(|| SimError::internal("a price was out of range and is not".to_owned()))
}

pub(crate) fn value_out_of_range(symbol: &str) -> SimError {
    SimError::overflow(format!("{symbol}: the position's value leaves the ledger's range"))
}

impl State {
    /// Value the positions in an instrument at a price; tells whether there are any.
    pub(crate) fn value_at(&mut self, plan: &Plan, i: usize, mark: Option<Price>) -> Result<bool> {
        let instrument = &plan.instruments[i];
        let id = InstrumentId(u32::try_from(i).unwrap_or(u32::MAX));
        let mut is_held = false;
        for book in &mut self.books {
            let quantity = book.positions[i].quantity;
            is_held |= quantity != 0;
            if let Some(mark) = mark.filter(|_| quantity != 0) {
                book.set_mark(id, &instrument.scale, mark).ok_or_else(|| value_out_of_range(&instrument.symbol))?;
            }
        }
        Ok(is_held)
    }

    /// Value all positions at the last price at or before an instant: of rows that are complete, and of bars that have
    /// opened.
    ///
    /// # Errors
    /// A price or a value leaves its range.
    #[inline]
    pub fn settle_marks(&mut self, plan: &Plan, upto: Ns) -> Result<()> {
        if self.marks.listed.is_empty() && self.marks.next_open > upto {
            return Ok(());
        }
        self.settle_listed(plan, upto)
    }

    /// Positions in an instrument have a mark that is newer than its prices so far.
    pub(crate) fn hold_mark(&mut self, plan: &Plan, i: usize) {
        let Some(id) = plan.instruments[i].matching else { return };
        let feed = plan.feed(id);
        let complete = self.completed[id.index()][i];
        let next = feed.rows_of(i).get(complete as usize);
        let open = next.and_then(|&row| feed.data.ts_open.as_ref().map(|open| open[row as usize]));
        self.marks.see(i, complete, open.is_some_and(|open| open < self.now));
        self.marks.list(i);
    }

    fn settle_listed(&mut self, plan: &Plan, upto: Ns) -> Result<()> {
        while let Some(&Reverse((ts, i))) = self.marks.opens.peek()
            && ts <= upto
        {
            self.marks.opens.pop();
            self.marks.list(i as usize);
        }
        let mut listed = std::mem::take(&mut self.marks.listed);
        let mut kept = 0;
        for at in 0..listed.len() {
            let i = listed[at];
            if self.settle_mark(plan, i as usize, upto)? {
                listed[kept] = i;
                kept += 1;
            } else {
                self.marks.is_listed[i as usize] = false;
            }
        }
        listed.truncate(kept);
        self.marks.listed = listed;
        self.marks.next_open = self.marks.opens.peek().map_or(NEVER, |Reverse((ts, _))| *ts);
        Ok(())
    }

    /// Value the position in one instrument; tells whether it stays listed, for an open that is about to come.
    fn settle_mark(&mut self, plan: &Plan, i: usize, upto: Ns) -> Result<bool> {
        if self.books.iter().all(|book| book.positions[i].quantity == 0) {
            return Ok(false);
        }
        let Some(id) = plan.instruments[i].matching else { return Ok(false) };
        let feed = plan.feed(id);
        let complete = self.completed[id.index()][i];
        let rows = feed.rows_of(i);
        let next = feed.data.ts_open.as_ref().and_then(|opens| rows.get(complete as usize).map(|&r| opens[r as usize]));
        let has_opened = next.is_some_and(|ts| ts <= upto);
        let last = 2 * u64::from(complete) + u64::from(has_opened);
        let mut event = last;
        // A price that is missing leaves the one before it.
        while event > self.marks.seen[i] {
            let is_open = event % 2 == 1;
            let place = usize::try_from(event / 2).unwrap_or(usize::MAX) - usize::from(!is_open);
            let row = rows[place] as usize;
            let phase = if is_open { Phase::OPEN } else { feed.data.kind.last_phase() };
            let mark = mark_of(feed, row, &plan.instruments[i], is_open);
            let mark = mark.map_err(|_| out_of_range(plan, (i, row), phase))?;
            if mark.is_some() {
                self.value_at(plan, i, mark)?;
                break;
            }
            event -= 1;
        }
        self.marks.seen[i] = self.marks.seen[i].max(last);
        match next.filter(|_| !has_opened) {
            Some(ts) if ts <= self.now => Ok(true),
            Some(ts) => {
                self.marks.opens.push(Reverse((ts, u32::try_from(i).unwrap_or(u32::MAX))));
                Ok(false)
            }
            None => Ok(false),
        }
    }
}
