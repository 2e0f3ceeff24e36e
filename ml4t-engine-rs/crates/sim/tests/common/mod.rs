//! A small world to trade in, built from readable rows, and what a run in it left behind, rendered as text.
//!
//! Texts are exact: prices, money and times are integers, and the decimal point is put in by hand. So a claim
//! reads `["d1 10:31 #1 AAA buy 10 @ 100.32 open"]` and still compares integers.
//!
//! Every [`World::run`] runs twice, compares all tables, and adds up the ledger anew (see [`ledger`]).
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of the builder")]

pub(crate) mod busy;
pub(crate) mod ledger;
mod outcome;
mod script;

use std::collections::BTreeMap;
use std::sync::Arc;

use ml4t_sim::carry::Rates;
use ml4t_sim::currency::{BASE, Currencies};
use ml4t_sim::engine::Simulator;
use ml4t_sim::error::{Result, SimError};
use ml4t_sim::ids::{CalendarId, FeedId, InstrumentId};
use ml4t_sim::instrument::Instrument;
use ml4t_sim::latency::Latency;
use ml4t_sim::margin::MarginTerms;
use ml4t_sim::models::{Models, Param, Params};
use ml4t_sim::money::{Cash, Decimal, Ratio, Scale};
use ml4t_sim::plan::{
    AccountSettings, Action, ActionKind, Column, Feed, FeedColumns, FeedKind, Plan, RecordCadence, Signals,
};
use ml4t_sim::policies::{BuyingPower, Conversion, LotPolicy, Policies, Settlement};
use ml4t_sim::queue::ColumnSource;
use ml4t_sim::recorder::{Keep, TableRecorder};
use ml4t_sim::time::{Ns, Sessions};
use ml4t_sim::venue::SimulatedVenue;

pub(crate) use outcome::{Outcome, decimal, when};
pub(crate) use script::{Act, Ask, Moment, Probe, Script, Step, buy, sell};

/// What a test returns: errors of the engine are failures with their own words.
pub(crate) type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

/// A run over the columns of a plan that keeps every row.
pub(crate) type TestRun = Simulator<ColumnSource, SimulatedVenue, TableRecorder>;

pub(crate) const SECOND: Ns = 1_000_000_000;
pub(crate) const MINUTE: Ns = 60 * SECOND;
pub(crate) const HOUR: Ns = 60 * MINUTE;
pub(crate) const DAY: Ns = 24 * HOUR;

/// An instant: day (its number is also the session label), hour, minute.
pub(crate) const fn at(day: i64, hour: i64, minute: i64) -> Ns {
    day * DAY + hour * HOUR + minute * MINUTE
}

/// Opening and closing time of day of the sessions of the default calendar.
pub(crate) const OPEN: (i64, i64) = (9, 30);
pub(crate) const CLOSE: (i64, i64) = (16, 0);

/// Symbol, open and end of the bar, open-high-low-close, volume.
pub(crate) type BarRow<'a> = (&'a str, Ns, Ns, [f64; 4], f64);
/// Symbol, time, bid and ask, sizes at bid and ask.
pub(crate) type QuoteRow<'a> = (&'a str, Ns, [f64; 2], [f64; 2]);
/// Symbol, time, price, size.
pub(crate) type TradeRow<'a> = (&'a str, Ns, f64, f64);

/// The bar of a whole session of the default calendar.
pub(crate) const fn day_bar(symbol: &str, day: i64, prices: [f64; 4]) -> BarRow<'_> {
    (symbol, at(day, OPEN.0, OPEN.1), at(day, CLOSE.0, CLOSE.1), prices, 1_000_000.0)
}

/// The bar of the minute that begins at `open`.
pub(crate) const fn minute_bar(symbol: &str, open: Ns, prices: [f64; 4]) -> BarRow<'_> {
    (symbol, open, open + MINUTE, prices, 1_000_000.0)
}

/// The same bar with another volume.
pub(crate) const fn volume((symbol, open, end, prices, _): BarRow<'_>, volume: f64) -> BarRow<'_> {
    (symbol, open, end, prices, volume)
}

/// A bar that never moves.
pub(crate) const fn flat(price: f64) -> [f64; 4] {
    [price; 4]
}

/// Exact cash of a decimal text.
pub(crate) fn money(text: &str) -> Result<Cash> {
    Decimal::parse(text)
        .and_then(Cash::from_decimal)
        .ok_or_else(|| SimError::data(format!("{text:?} is not an amount of money")))
}

/// Parameters of a compiled-in model.
pub(crate) fn params(numbers: &[(&str, f64)]) -> Params {
    Params(numbers.iter().map(|&(name, x)| (name.to_owned(), Param::Number(x))).collect())
}

/// Facts of an instrument that a test may change.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) price_exponent: u32,
    pub(crate) quantity_exponent: u32,
    pub(crate) multiplier: &'static str,
    pub(crate) tick_size: &'static str,
    /// In quantity units.
    pub(crate) lot_size: i64,
    pub(crate) allows_negative_prices: bool,
    pub(crate) calendar: &'static str,
    /// Name of the matching feed; without one, the first feed that has rows of the instrument.
    pub(crate) matching: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Row {
    symbol: String,
    ts_open: Ns,
    ts_event: Ns,
    ts_arrival: Option<Ns>,
    values: Vec<f64>,
}

#[derive(Clone, Debug)]
struct FeedRows {
    name: String,
    kind: FeedKind,
    rows: Vec<Row>,
    /// Names of the values behind those of the kind.
    extra: Vec<String>,
}

#[derive(Clone, Debug)]
enum ActionRow {
    Split(Ratio),
    Dividend(Cash, Ns),
}

/// Everything a run is made of; change the fields, add rows, then [`World::run`].
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) policies: Policies,
    pub(crate) account: AccountSettings,
    pub(crate) latency: Ns,
    pub(crate) models: Models,
    pub(crate) books: u16,
    pub(crate) record: RecordCadence,
    pub(crate) warm_from: Ns,
    pub(crate) nav_calendar: &'static str,
    pub(crate) price_exponent: u32,
    pub(crate) script: Script,
    specs: BTreeMap<String, Spec>,
    feeds: Vec<FeedRows>,
    calendars: Vec<Sessions>,
    actions: Vec<(Ns, String, ActionRow)>,
    /// What data say about holding.
    pub rates: Rates,
    signals: Vec<(Ns, Ns, String, String, f64)>,
}

impl World {
    /// Ten thousand in cash, no costs, sessions from 09:30 to 16:00 on days 0 to 40, prices with 9 decimals.
    pub(crate) fn new() -> Self {
        let mut world = Self {
            policies: Policies::default(),
            latency: 0,
            account: AccountSettings {
                initial_cash: Cash(10_000 * 1_000_000_000_000_000_000),
                lot_policy: LotPolicy::Fifo,
                allows_short: false,
                buying_power: BuyingPower::Equity,
                leverage: Ratio { num: 1, den: 1 },
                conversion: Conversion::WhenShort,
                recall_sessions: None,
                posting_quantum: 1_000_000_000,
            },
            models: Models::default(),
            books: 1,
            record: RecordCadence::Step,
            warm_from: i64::MIN,
            nav_calendar: "main",
            price_exponent: 9,
            script: Script::default(),
            specs: BTreeMap::new(),
            feeds: Vec::new(),
            calendars: Vec::new(),
            actions: Vec::new(),
            rates: Rates::default(),
            signals: Vec::new(),
        };
        let days: Vec<(i64, Ns, Ns)> =
            (0..=40).map(|day| (day, at(day, OPEN.0, OPEN.1), at(day, CLOSE.0, CLOSE.1))).collect();
        world.calendar("main", &days);
        world
    }

    /// The same with prices in whole cents.
    pub(crate) fn cents() -> Self {
        Self { price_exponent: 2, ..Self::new() }
    }

    /// Both kinds of prices: what does not depend on the exponent is claimed in both.
    pub(crate) fn both() -> [Self; 2] {
        [Self::cents(), Self::new()]
    }

    /// Opening cash.
    pub(crate) fn cash(&mut self, text: &str) -> Result<&mut Self> {
        self.account.initial_cash = money(text)?;
        Ok(self)
    }

    /// Add or replace a session table: label, open, close of each session.
    pub(crate) fn calendar(&mut self, name: &str, sessions: &[(i64, Ns, Ns)]) -> &mut Self {
        self.calendars.retain(|c| c.name != name);
        self.calendars.push(Sessions {
            name: name.to_owned(),
            label: sessions.iter().map(|s| i32::try_from(s.0).unwrap_or(i32::MAX)).collect(),
            open: sessions.iter().map(|s| s.1).collect(),
            close: sessions.iter().map(|s| s.2).collect(),
            breaks: Vec::new(),
        });
        self
    }

    /// Let trading of a calendar rest from and to these instants.
    pub(crate) fn breaks(&mut self, name: &str, breaks: &[(Ns, Ns)]) -> &mut Self {
        for calendar in self.calendars.iter_mut().filter(|calendar| calendar.name == name) {
            calendar.breaks = breaks.to_vec();
        }
        self
    }

    /// Change the facts of an instrument, known from its rows or new.
    pub(crate) fn instrument(&mut self, symbol: &str, change: impl FnOnce(&mut Spec)) -> &mut Self {
        let price_exponent = self.price_exponent;
        change(self.specs.entry(symbol.to_owned()).or_insert_with(|| Spec {
            price_exponent,
            quantity_exponent: 0,
            multiplier: "1",
            tick_size: "0.01",
            lot_size: 1,
            allows_negative_prices: false,
            calendar: "main",
            matching: None,
        }));
        self
    }

    fn rows(&mut self, name: &str, kind: FeedKind, rows: Vec<Row>) -> &mut Self {
        for row in &rows {
            self.instrument(&row.symbol.clone(), |_| ());
        }
        match self.feeds.iter_mut().find(|f| f.name == name) {
            Some(feed) => feed.rows.extend(rows),
            None => self.feeds.push(FeedRows { name: name.to_owned(), kind, rows, extra: Vec::new() }),
        }
        self
    }

    /// Rows of a bar feed.
    pub(crate) fn bars(&mut self, feed: &str, rows: &[BarRow<'_>]) -> &mut Self {
        let row = |&(symbol, ts_open, ts_event, prices, volume): &BarRow<'_>| {
            let values = prices.into_iter().chain([volume]).collect();
            Row { symbol: symbol.to_owned(), ts_open, ts_event, ts_arrival: None, values }
        };
        self.rows(feed, FeedKind::Bar, rows.iter().map(row).collect())
    }

    /// Rows of a bar feed that can be known only later: each with its arrival.
    pub(crate) fn late_bars(&mut self, feed: &str, rows: &[(BarRow<'_>, Ns)]) -> &mut Self {
        let row = |&((symbol, ts_open, ts_event, prices, volume), arrival): &(BarRow<'_>, Ns)| {
            let values = prices.into_iter().chain([volume]).collect();
            Row { symbol: symbol.to_owned(), ts_open, ts_event, ts_arrival: Some(arrival), values }
        };
        self.rows(feed, FeedKind::Bar, rows.iter().map(row).collect())
    }

    /// Rows of a quote feed.
    pub(crate) fn quotes(&mut self, feed: &str, rows: &[QuoteRow<'_>]) -> &mut Self {
        let row = |&(symbol, ts, prices, sizes): &QuoteRow<'_>| {
            let values = prices.into_iter().chain(sizes).collect();
            Row { symbol: symbol.to_owned(), ts_open: ts, ts_event: ts, ts_arrival: None, values }
        };
        self.rows(feed, FeedKind::Quote, rows.iter().map(row).collect())
    }

    /// Rows of a trade feed.
    pub(crate) fn trades(&mut self, feed: &str, rows: &[TradeRow<'_>]) -> &mut Self {
        let row = |&(symbol, ts, price, size): &TradeRow<'_>| Row {
            symbol: symbol.to_owned(),
            ts_open: ts,
            ts_event: ts,
            ts_arrival: None,
            values: vec![price, size],
        };
        self.rows(feed, FeedKind::Trade, rows.iter().map(row).collect())
    }

    /// A series of the whole market: time and value.
    pub(crate) fn context(&mut self, feed: &str, column: &str, rows: &[(Ns, f64)]) -> &mut Self {
        let row = |&(ts, value): &(Ns, f64)| Row {
            symbol: String::new(),
            ts_open: ts,
            ts_event: ts,
            ts_arrival: None,
            values: vec![value],
        };
        self.feeds.push(FeedRows {
            name: feed.to_owned(),
            kind: FeedKind::Context,
            rows: rows.iter().map(row).collect(),
            extra: vec![column.to_owned()],
        });
        self
    }

    /// A split: new shares for old ones, at midnight of `day`.
    pub(crate) fn split(&mut self, day: i64, symbol: &str, new: i64, old: i64) -> Result<&mut Self> {
        self.split_at(at(day, 0, 0), symbol, new, old)
    }

    /// A split at any time.
    pub(crate) fn split_at(&mut self, ts: Ns, symbol: &str, new: i64, old: i64) -> Result<&mut Self> {
        let row = ActionRow::Split(Ratio::new(new, old)?);
        self.actions.push((ts, symbol.to_owned(), row));
        Ok(self)
    }

    /// A cash dividend per unit, ex at midnight of `day`, paid at `pay_ts`.
    pub(crate) fn dividend(&mut self, day: i64, symbol: &str, amount: &str, pay_ts: Ns) -> Result<&mut Self> {
        self.dividend_at(at(day, 0, 0), symbol, amount, pay_ts)
    }

    /// A cash dividend at any time.
    pub(crate) fn dividend_at(&mut self, ts: Ns, symbol: &str, amount: &str, pay_ts: Ns) -> Result<&mut Self> {
        self.actions.push((ts, symbol.to_owned(), ActionRow::Dividend(money(amount)?, pay_ts)));
        Ok(self)
    }

    /// Times of the rows of a feed at which they are readable, ascending and without repetition.
    pub(crate) fn row_times(&self, feed: &str) -> Vec<Ns> {
        let rows = self.feeds.iter().filter(|f| f.name == feed).flat_map(|f| &f.rows);
        let mut times: Vec<Ns> = rows.map(|r| r.ts_arrival.unwrap_or(r.ts_event)).collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    /// Change every value that nobody can know at `ts`: rows that end later (but not the open of a bar that has
    /// begun), signals that arrive later, actions that happen later.
    pub(crate) fn perturb_after(&mut self, ts: Ns, change: impl Fn(f64) -> f64) {
        for feed in &mut self.feeds {
            for row in feed.rows.iter_mut().filter(|r| r.ts_event > ts) {
                let knows_open = feed.kind == FeedKind::Bar && row.ts_open <= ts;
                for value in row.values.iter_mut().skip(usize::from(knows_open)) {
                    *value = change(*value);
                }
            }
        }
        for signal in self.signals.iter_mut().filter(|s| s.0 > ts) {
            signal.4 = change(signal.4);
        }
        for (_, _, action) in self.actions.iter_mut().filter(|a| a.0 > ts) {
            match action {
                ActionRow::Split(ratio) => std::mem::swap(&mut ratio.num, &mut ratio.den),
                ActionRow::Dividend(amount, _) => amount.0 *= 3,
            }
        }
    }

    /// A prediction: arrival, event, symbol, model, score.
    pub(crate) fn signal(&mut self, arrival: Ns, event: Ns, symbol: &str, model: &str, score: f64) -> &mut Self {
        self.instrument(symbol, |_| ());
        self.signals.push((arrival, event, symbol.to_owned(), model.to_owned(), score));
        self
    }

    /// Send an order in the strategy's call at `ts`.
    pub(crate) fn sends(&mut self, ts: Ns, ask: Ask) -> &mut Self {
        self.script.add(ts, Moment::Instant, Act::Send(ask));
        self
    }

    /// Send an order after the opens of `ts`, as from `on_fill`.
    pub(crate) fn sends_after_opens(&mut self, ts: Ns, ask: Ask) -> &mut Self {
        self.script.add(ts, Moment::Opened, Act::Send(ask));
        self
    }

    /// Ask to cancel order `number` (the first is 1) in the strategy's call at `ts`.
    pub(crate) fn cancels(&mut self, ts: Ns, number: u64) -> &mut Self {
        self.script.add(ts, Moment::Instant, Act::Cancel(number));
        self
    }

    /// Ask to cancel order `number` after the opens of `ts`.
    pub(crate) fn cancels_after_opens(&mut self, ts: Ns, number: u64) -> &mut Self {
        self.script.add(ts, Moment::Opened, Act::Cancel(number));
        self
    }

    /// Note what `probe` reads in the strategy's call at `ts`.
    pub(crate) fn probes(&mut self, ts: Ns, probe: Probe) -> &mut Self {
        self.script.add(ts, Moment::Instant, Act::Probe(probe));
        self
    }

    /// Ask before the first event to be called at `times`.
    pub(crate) fn timers(&mut self, times: &[Ns]) -> &mut Self {
        self.script.timers.extend(times);
        self
    }

    fn build_instruments(&self, feeds: &[FeedRows]) -> Result<Vec<Instrument>> {
        let missing = |what: &str, name: &str| SimError::config(format!("the world has no {what} {name}"));
        let mut out = Vec::new();
        for (symbol, spec) in &self.specs {
            let number = |text: &str| Decimal::parse(text).ok_or_else(|| missing("number", text));
            let scale = Scale::new(spec.price_exponent, spec.quantity_exponent, number(spec.multiplier)?)?;
            let tick = number(spec.tick_size)?.scaled_i64(spec.price_exponent);
            let mut named = feeds.iter().enumerate().filter(|(_, f)| match spec.matching {
                Some(name) => f.name == name,
                None => f.rows.iter().any(|r| r.symbol == *symbol),
            });
            let calendar = self.calendars.iter().position(|c| c.name == spec.calendar);
            let index = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
            out.push(Instrument {
                symbol: symbol.clone(),
                currency: BASE,
                settlement: Settlement::Upfront,
                scale,
                tick_size: tick.ok_or_else(|| missing("tick", spec.tick_size))?,
                lot_size: spec.lot_size,
                allows_negative_prices: spec.allows_negative_prices,
                is_borrowed: true,
                rolls_over: false,
                calendar: CalendarId(index(calendar.ok_or_else(|| missing("calendar", spec.calendar))?)),
                matching: named.next().map(|(k, _)| FeedId(index(k))),
                latency: Latency::fixed(self.latency)?,
                prints: None,
            });
        }
        Ok(out)
    }

    /// The plan of this world.
    pub(crate) fn plan(&self) -> Result<Plan> {
        let mut feeds = self.feeds.clone();
        feeds.sort_by_key(|f| f.kind);
        for feed in &mut feeds {
            feed.rows.sort_by(|a, b| (a.ts_event, &a.symbol).cmp(&(b.ts_event, &b.symbol)));
        }
        let instruments = self.build_instruments(&feeds)?;
        let index = |symbol: &str| -> Result<u32> {
            let i = instruments.iter().position(|x| x.symbol == symbol);
            i.and_then(|i| u32::try_from(i).ok()).ok_or_else(|| SimError::unknown_name(symbol.to_owned()))
        };
        let mut actions: Vec<Action> = Vec::new();
        for (ts, symbol, row) in &self.actions {
            let kind = match *row {
                ActionRow::Split(ratio) => ActionKind::Split(ratio),
                ActionRow::Dividend(amount, pay_ts) => {
                    ActionKind::CashDividend { amount, pay_ts, withholding: Cash::ZERO }
                }
            };
            actions.push(Action { ts: *ts, instrument: InstrumentId(index(symbol)?), kind });
        }
        actions.sort_by_key(|a| (a.ts, a.instrument));
        let nav = self.calendars.iter().position(|c| c.name == self.nav_calendar).unwrap_or(usize::MAX);
        let signals = self.build_signals(&index)?;
        if let Some(signals) = &signals {
            signals.validate(&instruments)?;
        }
        let built = feeds.iter().map(|f| build_feed(f, &instruments, &index));
        let feeds = built.map(|feed| Ok(feed?.with_breaks(&instruments, &self.calendars)));
        let feeds = feeds.collect::<Result<Vec<_>>>()?;
        Ok(Plan {
            instruments,
            feeds,
            signals,
            actions,
            rates: self.rates.clone(),
            calendars: self.calendars.clone(),
            nav_calendar: CalendarId(u16::try_from(nav).unwrap_or(u16::MAX)),
            currencies: Arc::new(Currencies::only("USD")),
            opening: Vec::new(),
            settlement_terms: None,
            margin_rates: Vec::new(),
            margin: MarginTerms::default(),
            settlements: Vec::new(),
            rolls: Vec::new(),
            flows: Vec::new(),
            policies: self.policies,
            account: self.account,
            models: self.models.clone(),
            books: self.books,
            seed: 7,
            record: self.record,
            warm_from: self.warm_from,
        })
    }

    fn build_signals(&self, index: &impl Fn(&str) -> Result<u32>) -> Result<Option<Signals>> {
        if self.signals.is_empty() {
            return Ok(None);
        }
        let mut rows = self.signals.clone();
        rows.sort_by_key(|r| r.0);
        let mut names: Vec<String> = rows.iter().map(|r| r.3.clone()).collect();
        names.sort();
        names.dedup();
        let name = |row: &str| names.iter().position(|n| n == row).and_then(|k| u32::try_from(k).ok()).unwrap_or(0);
        Ok(Some(Signals {
            ts_arrival: rows.iter().map(|r| r.0).collect(),
            ts_event: rows.iter().map(|r| r.1).collect(),
            instrument: rows.iter().map(|r| index(&r.2)).collect::<Result<Vec<_>>>()?.into(),
            name: rows.iter().map(|r| name(&r.3)).collect(),
            score: rows.iter().map(|r| r.4).collect(),
            confidence: rows.iter().map(|_| f64::NAN).collect(),
            version: rows.iter().map(|_| 0).collect(),
            names: names.clone(),
            versions: vec![String::new()],
        }))
    }

    /// A run at its beginning and the strategy that follows the script.
    pub(crate) fn start(&self) -> Result<(TestRun, Script)> {
        let plan = Arc::new(self.plan()?);
        let source = ColumnSource::new(Arc::clone(&plan));
        let venue = SimulatedVenue::new(&plan)?;
        let recorder = TableRecorder::new(&plan, Keep::All, None);
        Ok((Simulator::new(plan, source, venue, recorder)?, self.script.clone()))
    }

    /// Run to the end, once, without looking at the result.
    pub(crate) fn run_once(&self) -> Result<Outcome> {
        let (mut run, mut script) = self.start()?;
        run.run(&mut script)?;
        Ok(Outcome::new(run, script))
    }

    /// Run to the end twice: the tables must be the same, the script must have had all its moments, and the
    /// ledger must add up.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let outcome = self.run_once()?;
        assert_eq!(outcome.tables(), self.run_once()?.tables(), "two runs of one plan differ");
        outcome.script.check_done()?;
        ledger::check(&outcome)?;
        Ok(outcome)
    }
}

fn build_feed(feed: &FeedRows, instruments: &[Instrument], index: &impl Fn(&str) -> Result<u32>) -> Result<Feed> {
    let rows = &feed.rows;
    let is_late = rows.iter().any(|r| r.ts_arrival.is_some());
    let names = feed.kind.columns().iter().map(|name| (*name).to_owned()).chain(feed.extra.iter().cloned());
    let columns =
        names.enumerate().map(|(c, name)| Column { name, values: rows.iter().map(|r| r.values[c]).collect() });
    let instrument: Vec<u32> = match feed.kind {
        FeedKind::Context => Vec::new(),
        _ => rows.iter().map(|r| index(&r.symbol)).collect::<Result<_>>()?,
    };
    let data = FeedColumns {
        name: feed.name.clone(),
        kind: feed.kind,
        ts_event: rows.iter().map(|r| r.ts_event).collect(),
        ts_open: (feed.kind == FeedKind::Bar).then(|| rows.iter().map(|r| r.ts_open).collect()),
        ts_arrival: is_late.then(|| rows.iter().map(|r| r.ts_arrival.unwrap_or(r.ts_event)).collect()),
        instrument: instrument.into(),
        columns: columns.collect(),
    };
    Feed::new(data, instruments)
}
