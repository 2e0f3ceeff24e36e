//! Positions that are not paid for: what they have gained since they were last settled is all they are worth.
//!
//! A future is settled each day, in phase 3: what the settlement price has moved is paid at once, and the lot remembers how
//! much it has received. Whatever else is margined pays when it is closed.

use crate::engine::Simulator;
use crate::error::{Result, SimError};
use crate::ids::{CalendarId, InstrumentId};
use crate::instrument::Instrument;
use crate::ledger::{Account, Book, Posting, PostingKind, WHAT, out_of_range};
use crate::money::{Cash, Price, Qty};
use crate::plan::Plan;
use crate::policies::Settlement;
use crate::queue::Source;
use crate::recorder::Recorder;
use crate::state::State;
use crate::time::{NEVER, Ns};
use crate::venue::Venue;

/// A settlement price of the data.
#[derive(Clone, Copy, Debug)]
pub struct SettlementPrice {
    /// When it is settled.
    pub ts: Ns,
    /// Of which instrument.
    pub instrument: InstrumentId,
    /// At which price.
    pub price: Price,
}

/// Check sequence and instruments of settlement prices.
///
/// # Errors
/// Names the row.
pub(crate) fn validate(rows: &[SettlementPrice], plan: &Plan) -> Result<()> {
    for (k, row) in rows.iter().enumerate() {
        let daily = plan.instruments.get(row.instrument.index()).is_some_and(|x| x.settlement == Settlement::Daily);
        if !daily {
            return Err(SimError::data(format!("settlement prices, row {k}: its instrument is not settled daily")));
        }
        if k > 0 && (rows[k - 1].ts, rows[k - 1].instrument) >= (row.ts, row.instrument) {
            return Err(SimError::data(format!(
                "settlement prices must be sorted by time and instrument without duplicates: row {k} is not after the one \
                 before it"
            )));
        }
    }
    Ok(())
}

/// How far a run has settled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settlements {
    /// Rows that have passed.
    seen: usize,
    /// Calendars whose closes settle instruments without prices of their own, with the number of closes passed.
    closes: Vec<(CalendarId, usize, Vec<InstrumentId>)>,
    /// What was settled at the last instant at which anything was, and when.
    now: (Ns, Vec<(InstrumentId, Price)>),
}

impl Settlements {
    /// What is settled when, from the begin of the data on.
    pub(crate) fn new(plan: &Plan, start: Ns) -> Self {
        let seen = plan.settlements.partition_point(|row| row.ts < start);
        let mut closes: Vec<(CalendarId, usize, Vec<InstrumentId>)> = Vec::new();
        for (instrument, k) in plan.instruments.iter().zip(0_u32..) {
            let id = InstrumentId(k);
            let has_prices = plan.settlements.iter().any(|row| row.instrument == id);
            if instrument.settlement != Settlement::Daily || has_prices {
                continue;
            }
            if let Some((_, _, ids)) = closes.iter_mut().find(|(calendar, ..)| *calendar == instrument.calendar) {
                ids.push(id);
            } else {
                let close = &plan.calendars[instrument.calendar.index()].close;
                closes.push((instrument.calendar, close.partition_point(|&ts| ts <= start), vec![id]));
            }
        }
        Self { seen, closes, now: (NEVER, Vec::new()) }
    }

    /// When anything is settled next.
    pub(crate) fn next_due(&self, plan: &Plan) -> Ns {
        let row = plan.settlements.get(self.seen).map_or(NEVER, |row| row.ts);
        let close = |(calendar, seen, _): &(CalendarId, usize, Vec<InstrumentId>)| {
            plan.calendars[calendar.index()].close.get(*seen).copied().unwrap_or(NEVER)
        };
        self.closes.iter().map(close).fold(row, Ns::min)
    }

    /// What is settled now, by instrument, each with its price or at its mark; counts as passed.
    fn take(&mut self, plan: &Plan, now: Ns) -> Vec<(InstrumentId, Option<Price>)> {
        let mut due = Vec::new();
        while let Some(row) = plan.settlements.get(self.seen).filter(|row| row.ts <= now) {
            due.push((row.instrument, Some(row.price)));
            self.seen += 1;
        }
        for (calendar, seen, ids) in &mut self.closes {
            if plan.calendars[calendar.index()].close.get(*seen).is_some_and(|&ts| ts <= now) {
                *seen += 1;
                due.extend(ids.iter().map(|&id| (id, None)));
            }
        }
        due.sort_by_key(|(id, _)| *id);
        due
    }

    /// The price at which an instrument was settled at this very instant.
    pub(crate) fn price_at(&self, id: InstrumentId, now: Ns) -> Option<Price> {
        let found = self.now.1.iter().find(|(settled, _)| self.now.0 == now && *settled == id);
        found.map(|(_, price)| *price)
    }
}

impl Book {
    /// Pay what a position has gained since it was last settled, at its settlement price.
    fn settle_margin<R: Recorder>(
        &mut self,
        (id, instrument): (InstrumentId, &Instrument),
        price: Price,
        ts: Ns,
        recorder: &mut R,
    ) -> Result<()> {
        let range = || out_of_range(&instrument.symbol);
        let position = &mut self.positions[id.index()];
        let worth = instrument.scale.notional(price, Qty(position.quantity)).ok_or_else(range)?;
        let gain = worth.minus(position.basis(), WHAT)?;
        for lot in &mut position.lots {
            let value = instrument.scale.notional(price, Qty(lot.quantity)).ok_or_else(range)?;
            lot.settled = value.minus(lot.cost, WHAT)?;
        }
        position.settled = worth.minus(position.cost, WHAT)?;
        position.realized = position.realized.plus(gain, WHAT)?;
        let mark = position.mark.unwrap_or(price);
        self.set_mark(id, &instrument.scale, mark).ok_or_else(range)?;
        let template = Posting {
            ts,
            book: self.id,
            kind: PostingKind::VariationMargin,
            currency: instrument.currency,
            debit: Account::Cash,
            credit: Account::RealizedPnl,
            amount: Cash::ZERO,
            instrument: Some(id),
            fill: None,
        };
        self.post_signed(template, (Account::Cash, Account::RealizedPnl), gain, recorder)
    }
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Variation margin that is due now.
    pub(crate) fn settle_margins(&mut self, now: Ns) -> Result<()> {
        let Self { plan, state, recorder, .. } = self;
        if state.settlements.next_due(plan) > now {
            return Ok(());
        }
        let State { settlements, books, exchange, at, .. } = state;
        let due = settlements.take(plan, now);
        settlements.now = (now, Vec::new());
        for &(id, price) in &due {
            *at = Some(id);
            let instrument = plan.instrument(id);
            for book in &mut *books {
                let position = &book.positions[id.index()];
                let Some(price) = price.or(position.mark).filter(|_| position.quantity != 0) else { continue };
                settlements.now.1.push((id, price));
                let posted = book.posted;
                book.settle_margin((id, instrument), price, now, recorder)?;
                if book.posted > posted {
                    exchange.after_posting(plan, book, (instrument.currency, Some(id)), now, recorder)?;
                }
            }
        }
        *at = None;
        self.roll_at_settlement(&due)
    }
}
