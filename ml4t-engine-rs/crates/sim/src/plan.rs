//! The immutable part of a run: columns, instruments, calendars, policies and model prototypes.
//!
//! A plan is shared by all runs of a sweep behind an `Arc`; everything that changes lives in
//! [`crate::state::State`].

use std::sync::Arc;

use arrow_buffer::ScalarBuffer;

use ml4t_abi::Phase;

use crate::account::goes_by_cash;
use crate::carry::Rates;
use crate::currency::{BASE, Currencies};
use crate::error::{Result, SimError};
use crate::flows::CashFlow;
use crate::ids::{CalendarId, CurrencyId, FeedId, InstrumentId};
use crate::instrument::Instrument;
use crate::margin::{MarginRate, MarginTerms};
use crate::models::Models;
use crate::money::{Cash, Price, Ratio, Scale, check_quantum};
use crate::order::Reason;
use crate::policies::{BuyingPower, Conversion, LotPolicy, Policies};
use crate::roll::Roll;
use crate::settlement::SettlementPrice;
use crate::time::{Ns, Sessions};
use crate::unsettled::SettlementTerms;

/// What the rows of a feed are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeedKind {
    /// Best bid and ask.
    Quote,
    /// Trade prints.
    Trade,
    /// Open, high, low, close, volume of an interval.
    Bar,
    /// Market-wide series without instrument.
    Context,
}

impl FeedKind {
    /// Names of the leading value columns.
    #[must_use]
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Quote => &["bid_price", "ask_price", "bid_size", "ask_size"],
            Self::Trade => &["price", "size"],
            Self::Bar => &["open", "high", "low", "close", "volume"],
            Self::Context => &[],
        }
    }

    /// The last phase of a row: what a position is valued at afterwards.
    pub(crate) const fn last_phase(self) -> Phase {
        match self {
            Self::Bar => Phase::CLOSE,
            other => other.range_phase(),
        }
    }

    /// The phase in which a row shows how far its prices went.
    pub(crate) const fn range_phase(self) -> Phase {
        match self {
            Self::Quote => Phase::QUOTE,
            Self::Trade | Self::Context => Phase::TRADE,
            Self::Bar => Phase::RANGE,
        }
    }
}

/// Positions of the value columns of a bar feed.
pub mod bar {
    /// First trade of the interval.
    pub const OPEN: usize = 0;
    /// Highest trade.
    pub const HIGH: usize = 1;
    /// Lowest trade.
    pub const LOW: usize = 2;
    /// Last trade.
    pub const CLOSE: usize = 3;
    /// Traded quantity.
    pub const VOLUME: usize = 4;
}

/// Positions of the value columns of a quote feed.
pub mod quote {
    /// Best bid.
    pub const BID: usize = 0;
    /// Best ask.
    pub const ASK: usize = 1;
    /// Size at the bid.
    pub const BID_SIZE: usize = 2;
    /// Size at the ask.
    pub const ASK_SIZE: usize = 3;
}

/// Positions of the value columns of a trade feed.
pub mod trade {
    /// Price of the print.
    pub const PRICE: usize = 0;
    /// Size of the print.
    pub const SIZE: usize = 1;
}

/// A named column of values.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name, unique in the feed.
    pub name: String,
    /// Values, one a row, NaN where missing.
    pub values: ScalarBuffer<f64>,
}

/// The columns of one feed as handed in; see [`Feed::new`].
#[derive(Clone, Debug)]
pub struct FeedColumns {
    /// Name, unique in the plan.
    pub name: String,
    /// What the rows are.
    pub kind: FeedKind,
    /// When each row was complete, ascending.
    pub ts_event: ScalarBuffer<i64>,
    /// When each bar opened; bars only.
    pub ts_open: Option<ScalarBuffer<i64>>,
    /// When each row could be known, if later than `ts_event`.
    pub ts_arrival: Option<ScalarBuffer<i64>>,
    /// Instrument of each row; empty for context feeds.
    pub instrument: ScalarBuffer<u32>,
    /// Value columns: those of the kind first, then features.
    pub columns: Vec<Column>,
}

/// A feed with its per-instrument row lists; a clone shares them.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Columns as handed in; the buffers are the caller's.
    pub data: FeedColumns,
    /// Rows of each instrument one after the other: instrument i has `rows[start[i]..start[i + 1]]`.
    rows: Arc<[u32]>,
    start: Arc<[u32]>,
    /// Rows in the order in which they become readable, where that differs from row order.
    arrival: Option<Arc<[u32]>>,
    /// Whether every instant has one row of every instrument.
    is_panel: bool,
    /// Rows that lie in a break of their calendar, a bit each; `None` where there are none.
    resting: Option<Arc<[u64]>>,
}

impl Feed {
    /// Check the columns and index their rows.
    ///
    /// # Errors
    /// Names the feed, instrument and row that break a rule: equal lengths, `ts_event` ascending, bars of an
    /// instrument not overlapping, `ts_arrival` not before `ts_event` and ascending per instrument.
    pub fn new(data: FeedColumns, instruments: &[Instrument]) -> Result<Self> {
        let n = data.ts_event.len();
        let name = &data.name;
        let fail = |text: String| Err(SimError::data(format!("feed {name}: {text}")));
        if u32::try_from(n).is_err() {
            return fail(format!("{n} rows; one feed holds at most {}", u32::MAX));
        }
        let unequal = data.columns.iter().any(|c| c.values.len() != n)
            || data.ts_open.as_ref().is_some_and(|c| c.len() != n)
            || data.ts_arrival.as_ref().is_some_and(|c| c.len() != n)
            || (data.kind != FeedKind::Context && data.instrument.len() != n);
        if unequal {
            return fail("columns of unequal length".to_owned());
        }
        let expected = data.kind.columns();
        if data.columns.len() < expected.len() || expected.iter().zip(&data.columns).any(|(e, c)| *e != c.name) {
            return fail(format!("value columns must begin with {}", expected.join(", ")));
        }
        if (data.kind == FeedKind::Bar) != data.ts_open.is_some() {
            return fail("ts_open belongs to bars, and every bar has one".to_owned());
        }
        let count = if data.kind == FeedKind::Context { 1 } else { instruments.len() };
        let (rows, start) = index_rows(&data, count)?;
        let mut feed =
            Self { rows: rows.into(), start: start.into(), arrival: None, is_panel: false, resting: None, data };
        feed.check_times(instruments)?;
        feed.arrival = feed.arrival_order();
        feed.is_panel = feed.arrival.is_none() && feed.has_whole_rows(count);
        Ok(feed)
    }

    /// Note which rows lie in a break of the calendar of their instrument: orders do not meet them.
    #[must_use]
    pub fn with_breaks(mut self, instruments: &[Instrument], calendars: &[Sessions]) -> Self {
        let data = &self.data;
        let mut bits = vec![0_u64; self.len().div_ceil(64)];
        let mut is_any = false;
        for (i, instrument) in instruments.iter().enumerate().take(self.start.len() - 1) {
            let sessions = calendars.get(instrument.calendar.index()).filter(|sessions| !sessions.breaks.is_empty());
            let Some(sessions) = sessions.filter(|_| data.kind != FeedKind::Context) else { continue };
            for &row in self.rows_of(i) {
                let row = row as usize;
                let until = data.ts_event[row];
                if sessions.rests(data.ts_open.as_ref().map_or(until, |open| open[row]), until) {
                    bits[row / 64] |= 1 << (row % 64);
                    is_any = true;
                }
            }
        }
        self.resting = is_any.then(|| bits.into());
        self
    }

    /// Whether some rows lie in breaks.
    pub(crate) const fn has_resting(&self) -> bool {
        self.resting.is_some()
    }

    /// Whether a row lies in a break of its calendar.
    #[inline]
    #[must_use]
    pub fn is_resting(&self, row: usize) -> bool {
        self.resting.as_ref().is_some_and(|bits| bits[row / 64] >> (row % 64) & 1 == 1)
    }

    fn check_times(&self, instruments: &[Instrument]) -> Result<()> {
        let data = &self.data;
        let symbol = |i: usize| instruments.get(i).map_or("(market)", |x| x.symbol.as_str());
        for (k, pair) in data.ts_event.windows(2).enumerate() {
            if pair[1] < pair[0] {
                return Err(SimError::data(format!(
                    "feed {}: rows must be sorted by ts_event; row {} ({}) precedes row {k} ({})",
                    data.name,
                    k + 1,
                    pair[1],
                    pair[0]
                )));
            }
        }
        let of_row = |k: usize| data.instrument.get(k).copied().unwrap_or(0);
        for k in 1..data.ts_event.len() {
            if data.ts_event[k] == data.ts_event[k - 1] && of_row(k) < of_row(k - 1) {
                return Err(self.row_error(
                    symbol(of_row(k) as usize),
                    k,
                    "rows of one instant must be sorted by symbol",
                ));
            }
        }
        for i in 0..self.start.len() - 1 {
            let rows = self.rows_of(i);
            for (k, &row) in rows.iter().enumerate() {
                let row = row as usize;
                let previous = (k > 0).then(|| rows[k - 1] as usize);
                if let Some(open) = &data.ts_open {
                    if open[row] >= data.ts_event[row] {
                        return Err(self.row_error(symbol(i), row, "a bar must close after it opens"));
                    }
                    if previous.is_some_and(|p| data.ts_event[p] > open[row]) {
                        return Err(self.row_error(symbol(i), row, "the bar overlaps the one before it"));
                    }
                }
                if let Some(arrival) = &data.ts_arrival {
                    if arrival[row] < data.ts_event[row] {
                        return Err(self.row_error(symbol(i), row, "ts_arrival lies before ts_event"));
                    }
                    if previous.is_some_and(|p| arrival[p] > arrival[row]) {
                        return Err(self.row_error(symbol(i), row, "ts_arrival lies before that of the row before it"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the rows are those of all instruments at one instant, then those at the next, and so on.
    fn has_whole_rows(&self, count: usize) -> bool {
        let data = &self.data;
        data.kind != FeedKind::Context
            && data.ts_event.chunks(count).zip(data.instrument.chunks(count)).all(|(stamps, instruments)| {
                stamps.len() == count
                    && stamps.iter().all(|ts| *ts == stamps[0])
                    && instruments.iter().zip(0_u32..).all(|(&i, k)| i == k)
            })
    }

    fn row_error(&self, symbol: &str, row: usize, text: &str) -> SimError {
        let data = &self.data;
        SimError::data(format!("feed {}, {symbol}, row {row}, ts_event {}: {text}", data.name, data.ts_event[row]))
    }

    fn arrival_order(&self) -> Option<Arc<[u32]>> {
        let arrival = self.data.ts_arrival.as_ref()?;
        if arrival[..] == self.data.ts_event[..] {
            // Nothing is late: rows are readable when they are complete.
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked in `new`")]
        let mut order: Vec<u32> = (0..arrival.len() as u32).collect();
        order.sort_by_key(|&row| arrival[row as usize]);
        Some(order.into())
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.ts_event.len()
    }

    /// Whether the feed has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of instrument `i`, in time order.
    #[must_use]
    pub fn rows_of(&self, i: usize) -> &[u32] {
        &self.rows[self.start[i] as usize..self.start[i + 1] as usize]
    }

    /// Whether every instant has one row of every instrument, in their sequence, readable when it is complete: row k
    /// of instrument i is k x instruments + i.
    #[must_use]
    pub const fn is_panel(&self) -> bool {
        self.is_panel
    }

    /// Row numbers by arrival, for feeds in which some row arrives after it was complete.
    #[must_use]
    pub fn arrival(&self) -> Option<&[u32]> {
        self.arrival.as_deref()
    }

    /// Value column `c` of row `row`.
    #[must_use]
    pub fn value(&self, c: usize, row: usize) -> f64 {
        self.data.columns[c].values[row]
    }

    /// Last price of a row: close, print, or the middle of a quote; NaN where there is none.
    #[must_use]
    pub fn last_price(&self, row: usize) -> f64 {
        match self.data.kind {
            FeedKind::Bar => self.value(bar::CLOSE, row),
            FeedKind::Trade => self.value(trade::PRICE, row),
            FeedKind::Quote => f64::midpoint(self.value(quote::BID, row), self.value(quote::ASK, row)),
            FeedKind::Context => f64::NAN,
        }
    }

    /// Position of the named column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.data.columns.iter().position(|c| c.name == name)
    }
}

/// Counting sort of row numbers by instrument, stable in row order.
fn index_rows(data: &FeedColumns, count: usize) -> Result<(Vec<u32>, Vec<u32>)> {
    let n = data.ts_event.len();
    if data.kind == FeedKind::Context {
        #[expect(clippy::cast_possible_truncation, reason = "checked by the caller")]
        return Ok(((0..n as u32).collect(), vec![0, n as u32]));
    }
    let mut start = vec![0_u32; count + 1];
    for (row, &i) in data.instrument.iter().enumerate() {
        if i as usize >= count {
            return Err(SimError::data(format!("feed {}, row {row}: instrument index {i} of {count}", data.name)));
        }
        start[i as usize + 1] += 1;
    }
    for i in 0..count {
        start[i + 1] += start[i];
    }
    let mut fill = start.clone();
    let mut rows = vec![0_u32; n];
    for (row, &i) in data.instrument.iter().enumerate() {
        let at = &mut fill[i as usize];
        #[expect(clippy::cast_possible_truncation, reason = "checked by the caller")]
        {
            rows[*at as usize] = row as u32;
        }
        *at += 1;
    }
    Ok((rows, start))
}

/// External predictions, sorted by arrival.
#[derive(Clone, Debug)]
pub struct Signals {
    /// When the strategy may know it, ascending.
    pub ts_arrival: ScalarBuffer<i64>,
    /// Time of the data behind it.
    pub ts_event: ScalarBuffer<i64>,
    /// Instrument.
    pub instrument: ScalarBuffer<u32>,
    /// Index into `names`.
    pub name: ScalarBuffer<u32>,
    /// Prediction.
    pub score: ScalarBuffer<f64>,
    /// Confidence, NaN where not given.
    pub confidence: ScalarBuffer<f64>,
    /// Index into `versions`.
    pub version: ScalarBuffer<u32>,
    /// Model ids, or the column names of a wide frame.
    pub names: Vec<String>,
    /// Model versions; the empty text where none is stated.
    pub versions: Vec<String>,
}

impl Signals {
    /// Check lengths, indices, and that the rows are sorted by arrival and arrive after their event.
    ///
    /// # Errors
    /// Names the row that breaks a rule.
    pub fn validate(&self, instruments: &[Instrument]) -> Result<()> {
        let n = self.ts_arrival.len();
        let lengths = [self.ts_event.len(), self.instrument.len(), self.name.len(), self.version.len()];
        if lengths.iter().any(|&len| len != n) || self.score.len() != n || self.confidence.len() != n {
            return Err(SimError::data("signals: columns of unequal length".to_owned()));
        }
        for row in 0..n {
            let fail = |text: &str| Err(SimError::data(format!("signals, row {row}: {text}")));
            if self.ts_arrival[row] < self.ts_event[row] {
                return fail("ts_arrival lies before ts_event");
            }
            if row > 0 && self.ts_arrival[row] < self.ts_arrival[row - 1] {
                return fail("rows must be sorted by ts_arrival");
            }
            let known = (self.instrument[row] as usize) < instruments.len()
                && (self.name[row] as usize) < self.names.len()
                && (self.version[row] as usize) < self.versions.len();
            if !known {
                return fail("an index is out of range");
            }
        }
        Ok(())
    }
}

/// A corporate action at exchange-local midnight of its ex-date.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// When it takes effect.
    pub ts: Ns,
    /// Whom it concerns.
    pub instrument: InstrumentId,
    /// What it does.
    pub kind: ActionKind,
}

/// Shares of another instrument that an action gives.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Which.
    pub instrument: InstrumentId,
    /// How many for a share.
    pub ratio: Ratio,
}

/// Kinds of corporate action.
#[derive(Clone, Copy, Debug)]
pub enum ActionKind {
    /// New shares per old share.
    Split(Ratio),
    /// Money per share as held on the ex-date, and when it is paid.
    CashDividend {
        /// Amount per unit in units of 1e-18 of the currency.
        amount: Cash,
        /// Pay instant; on or before the ex-date means at once.
        pay_ts: Ns,
        /// Fraction of it that is withheld as tax from who holds, in units of 1e-18.
        withholding: Cash,
    },
    /// Who holds gets shares of another instrument, and keeps what he holds.
    SpinOff {
        /// Which, and how many for one.
        into: Shares,
        /// What they are worth for one share, in units of 1e-18 of the currency.
        amount: Cash,
    },
    /// The instrument ends: who holds gets shares of another one for it, and this for a unit beside, as above.
    Exchange {
        /// Which, and how many for one.
        into: Shares,
        /// Cash per unit, zero for none.
        amount: Cash,
    },
    /// The instrument ends: who holds gets this for a unit, in units of 1e-18 of the currency; `None` for the last price.
    CashOut(Option<Cash>),
    /// The contract expires: what is held of it is settled for the last time, at this price in units of 1e-18 of the
    /// currency; `None` for the price of this instant.
    Expiry(Option<Cash>),
}

impl ActionKind {
    /// How much it takes off a price of before, where it does.
    #[must_use]
    pub const fn amount_off(self) -> Option<Cash> {
        match self {
            Self::CashDividend { amount, .. } | Self::SpinOff { amount, .. } => Some(amount),
            Self::Split(_) | Self::Exchange { .. } | Self::CashOut(_) | Self::Expiry(_) => None,
        }
    }

    /// A price of before as it counts after it; `None` where it leaves its range.
    #[must_use]
    pub fn price_after(self, price: Price, scale: &Scale) -> Option<Price> {
        match self {
            Self::Split(ratio) => ratio.unscale(price),
            kind => kind.amount_off().map_or(Some(price), |amount| scale.less(price, amount)),
        }
    }

    /// Whether the instrument is no more.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::CashOut(_) | Self::Exchange { .. } | Self::Expiry(_))
    }
}

/// A time at which the strategy wants to be called, and the index of its callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When.
    pub ts: Ns,
    /// Which callback.
    pub callback: u32,
}

/// Account settings.
#[derive(Clone, Copy, Debug)]
pub struct AccountSettings {
    /// Opening cash in the base currency.
    pub initial_cash: Cash,
    /// Which lots a closing fill consumes.
    pub lot_policy: LotPolicy,
    /// Whether positions below zero are allowed.
    pub allows_short: bool,
    /// Gross exposure allowed per unit of equity.
    pub leverage: Ratio,
    /// What bounds an account.
    pub buying_power: BuyingPower,
    /// What it does by itself with cash of other currencies.
    pub conversion: Conversion,
    /// Step to which model answers are rounded, in units of 1e-18.
    pub posting_quantum: i128,
    /// How many sessions after a recall of borrowed shares they are bought in; `None` for never.
    pub recall_sessions: Option<u32>,
}

/// How often a portfolio row is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordCadence {
    /// Every instant with readable data, and session closes.
    Step,
    /// At most one row per period of this many ns, and session closes.
    Every(Ns),
    /// Session closes only.
    Session,
}

/// Everything a run needs and never changes.
#[derive(Debug)]
pub struct Plan {
    /// Sorted by symbol.
    pub instruments: Vec<Instrument>,
    /// Sorted by tie order: quotes, trades, bars by interval, then name.
    pub feeds: Vec<Feed>,
    /// Predictions, if any.
    pub signals: Option<Signals>,
    /// Sorted by time, instrument.
    pub actions: Vec<Action>,
    /// What data say about holding.
    pub rates: Rates,
    /// What data say about margin, sorted by time and instrument.
    pub margin_rates: Vec<MarginRate>,
    /// What the models of margin and liquidation say about themselves.
    pub margin: MarginTerms,
    /// Settlement prices of what is settled daily, sorted by time and instrument.
    pub settlements: Vec<SettlementPrice>,
    /// Positions that go from one contract into the next, sorted by time and contract.
    pub rolls: Vec<Roll>,
    /// What is paid in and taken out, sorted by time.
    pub flows: Vec<CashFlow>,
    /// The currencies of the run, the base currency first, and their rates.
    pub currencies: Arc<Currencies>,
    /// Opening cash in other currencies than the base.
    pub opening: Vec<(CurrencyId, Cash)>,
    /// Session tables.
    pub calendars: Vec<Sessions>,
    /// The calendar whose closes are the official NAV.
    pub nav_calendar: CalendarId,
    /// Execution policies.
    pub policies: Policies,
    /// Account settings.
    pub account: AccountSettings,
    /// When trades settle; `None` where their money is there at once.
    pub settlement_terms: Option<SettlementTerms>,
    /// Model prototypes.
    pub models: Models,
    /// Number of books.
    pub books: u16,
    /// Master seed.
    pub seed: u64,
    /// Portfolio rows.
    pub record: RecordCadence,
    /// Orders sent before this instant are refused.
    pub warm_from: Ns,
}

impl Plan {
    /// Check what no single part can check.
    ///
    /// # Errors
    /// Names the part and the rule.
    pub fn validate(&self) -> Result<()> {
        self.policies.validate()?;
        for pair in self.instruments.windows(2) {
            if pair[0].symbol >= pair[1].symbol {
                return Err(SimError::data(format!(
                    "instruments must be sorted by symbol without duplicates: {} then {}",
                    pair[0].symbol, pair[1].symbol
                )));
            }
        }
        for instrument in &self.instruments {
            instrument.validate()?;
            if instrument.currency.index() >= self.currencies.names().len() {
                return Err(SimError::config(format!("{}: its currency does not exist", instrument.symbol)));
            }
            if instrument.matching.is_some_and(|f| f.index() >= self.feeds.len()) {
                return Err(SimError::config(format!("{}: its matching feed does not exist", instrument.symbol)));
            }
            let kind = |feed: FeedId| self.feeds.get(feed.index()).map(|feed| feed.data.kind);
            let has_quotes = instrument.matching.and_then(kind) == Some(FeedKind::Quote);
            if instrument.prints.is_some_and(|prints| !has_quotes || kind(prints) != Some(FeedKind::Trade)) {
                return Err(SimError::config(format!(
                    "{}: its prints must be trade ticks beside quotes",
                    instrument.symbol
                )));
            }
            if self.models.fill.average_days() > 0 && has_quotes {
                return Err(SimError::config(format!(
                    "{}: its orders meet quotes, which have no volume, and the fill model asks for the average volume \
                     of a day (average_days); use a cap of the size shown",
                    instrument.symbol
                )));
            }
            if instrument.calendar.index() >= self.calendars.len() {
                return Err(SimError::config(format!("{}: its calendar does not exist", instrument.symbol)));
            }
        }
        for calendar in &self.calendars {
            calendar.validate()?;
        }
        if self.nav_calendar.index() >= self.calendars.len() {
            return Err(SimError::config("nav_calendar does not exist".to_owned()));
        }
        for action in &self.actions {
            let (ActionKind::SpinOff { into, .. } | ActionKind::Exchange { into, .. }) = action.kind else { continue };
            let pair = [action.instrument, into.instrument].map(|id| self.instruments.get(id.index()));
            let [Some(giver), Some(taker)] = pair else {
                return Err(SimError::data("a corporate action is of no instrument of the run".to_owned()));
            };
            if giver.currency != taker.currency || giver.is_margined() || taker.is_margined() {
                return Err(SimError::data(format!(
                    "{} cannot be exchanged for {}: both have to be paid for, in one currency",
                    giver.symbol, taker.symbol
                )));
            }
        }
        self.rates.validate(self)?;
        crate::margin::validate(&self.margin_rates, self)?;
        crate::settlement::validate(&self.settlements, self)?;
        crate::roll::validate(&self.rolls, self)?;
        crate::flows::validate(&self.flows, self)?;
        self.check_settlement_terms()?;
        check_quantum(self.account.posting_quantum)?;
        if self.account.initial_cash < Cash::ZERO || self.books == 0 {
            return Err(SimError::config("initial_cash must not be negative, and one book is needed".to_owned()));
        }
        if self.opening.iter().any(|(id, cash)| *cash < Cash::ZERO || id.index() >= self.currencies.names().len()) {
            return Err(SimError::config("an opening balance is below zero, or of no currency of the run".to_owned()));
        }
        Ok(())
    }

    fn check_settlement_terms(&self) -> Result<()> {
        let Some(terms) = &self.settlement_terms else { return Ok(()) };
        if !goes_by_cash(self) {
            return Err(SimError::config("settlement: only an account that goes by cash waits for money".to_owned()));
        }
        if terms.days.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(SimError::config("settlement: its dates must be sorted without duplicates".to_owned()));
        }
        Ok(())
    }

    /// Name of the base currency.
    #[must_use]
    pub fn base_currency(&self) -> &str {
        self.currencies.name(BASE)
    }

    /// Why an instrument that ends takes orders no longer.
    #[must_use]
    pub fn reason_of_end(&self, id: InstrumentId) -> Reason {
        let expires = |action: &&Action| action.instrument == id && matches!(action.kind, ActionKind::Expiry(_));
        self.actions.iter().find(expires).map_or(Reason::Delisted, |_| Reason::ContractExpired)
    }

    /// Whether a margin model bounds accounts.
    #[must_use]
    #[inline]
    pub const fn has_margin(&self) -> bool {
        self.models.margin.is_some()
    }

    /// The instrument of that id.
    #[must_use]
    pub fn instrument(&self, id: InstrumentId) -> &Instrument {
        &self.instruments[id.index()]
    }

    /// The feed of that id.
    #[must_use]
    pub fn feed(&self, id: FeedId) -> &Feed {
        &self.feeds[id.index()]
    }

    /// First and last instant with data of what is traded: the first open of a bar begins the run.
    ///
    /// Series of the whole market make no run longer.
    #[must_use]
    pub fn span(&self) -> Option<(Ns, Ns)> {
        let feeds = self.feeds.iter().filter(|f| !f.is_empty() && f.data.kind != FeedKind::Context);
        let edges = feeds.map(|f| {
            let opens = f.data.ts_open.as_ref();
            let first = |i: usize| f.rows_of(i).first().and_then(|&row| opens.map(|o| o[row as usize]));
            let open = (0..f.start.len() - 1).filter_map(first).min();
            (open.unwrap_or(f.data.ts_event[0]), f.data.ts_event[f.len() - 1])
        });
        edges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}
