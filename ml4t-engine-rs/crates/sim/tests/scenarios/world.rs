//! From the inputs of a scenario to a plan, and the run of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ml4t_sim::carry::{BorrowRate, FundingRate, Rates};
use ml4t_sim::currency::{Currencies, FxRow};
use ml4t_sim::engine::Simulator;
use ml4t_sim::error::Result;
use ml4t_sim::flows::CashFlow;
use ml4t_sim::ids::{CalendarId, CurrencyId, FeedId, InstrumentId};
use ml4t_sim::instrument::Instrument;
use ml4t_sim::latency::{Delay, Latency};
use ml4t_sim::margin::MarginRate;
use ml4t_sim::money::{Cash, Decimal, Price, Ratio, Scale};
use ml4t_sim::plan::{
    AccountSettings, Action, ActionKind, Column, Feed, FeedColumns, FeedKind, Plan, RecordCadence, Shares,
};
use ml4t_sim::policies::{
    BarPath, BuyingPower, Conversion, FillOrder, FillTiming, InsufficientCash, LimitGap, LimitSlippage, LimitTouch,
    LotPolicy, LotRounding, OrderInsideBar, Policies, PrintFills, QueuePosition, QuoteFill, SameBarExit, Settlement,
    StopGap, TargetOrders, TargetRounding, TickRounding, TrailBasis, UnsettledCash, ZeroVolume,
};
use ml4t_sim::queue::ColumnSource;
use ml4t_sim::recorder::{Keep, TableRecorder};
use ml4t_sim::roll::{Roll, RollAt};
use ml4t_sim::settlement::SettlementPrice;
use ml4t_sim::time::Sessions;
use ml4t_sim::unsettled::SettlementTerms;
use ml4t_sim::venue::SimulatedVenue;

use crate::common::{self, TestRun};
use crate::margin::margin_terms;
use crate::models::models;
use crate::script::Script;
use crate::table::{Row, Scenario, cell, day, float, instant, units, wrong};

/// A plan and the strategy that goes with it.
#[derive(Debug)]
pub(crate) struct World {
    plan: Arc<Plan>,
    script: Script,
}

/// A finished run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) rows: common::Outcome,
    script: Script,
}

impl Outcome {
    pub(crate) const fn run(&self) -> &TestRun {
        &self.rows.run
    }

    /// The first ask whose call never came.
    pub(crate) fn unsent(&self) -> Option<&str> {
        self.script.unsent()
    }

    /// All rows of all tables.
    pub(crate) fn tables(&self) -> String {
        format!("{:?} {:?}", self.run().recorder, self.run().state.orders)
    }
}

/// A row of a feed before it has its columns.
struct Input {
    symbol: String,
    ts_open: i64,
    ts_event: i64,
    ts_arrival: i64,
    values: Vec<f64>,
}

const FEEDS: [(&str, FeedKind, &[&str]); 3] = [
    ("quotes", FeedKind::Quote, &["bid", "ask", "bid_size", "ask_size"]),
    ("trades", FeedKind::Trade, &["price", "size"]),
    ("bars", FeedKind::Bar, &["open", "high", "low", "close", "volume"]),
];

impl World {
    pub(crate) fn of(scenario: &Scenario) -> Result<Self> {
        let calendars = calendars(scenario)?;
        let inputs = inputs(scenario)?;
        let currencies = Arc::new(currencies(scenario)?);
        let mut instruments = instruments(scenario, (&calendars, &currencies), &inputs)?;
        let policies = policies(scenario)?;
        if policies.print_fills != PrintFills::None {
            find_prints(&mut instruments, &inputs);
        }
        let feeds = inputs.into_iter().map(|((kind, name), rows)| feed(kind, name, &rows, &instruments));
        let feeds = feeds.map(|feed| Ok(feed?.with_breaks(&instruments, &calendars))).collect::<Result<Vec<_>>>()?;
        let nav = match scenario.text("nav_calendar") {
            Some(name) => calendars.iter().position(|c| c.name == name).ok_or_else(|| wrong(name))?,
            None => 0,
        };
        let plan = Plan {
            actions: actions(scenario, &instruments, &calendars)?,
            rates: rates(scenario, &instruments)?,
            margin_rates: margin_rates(scenario, &instruments)?,
            margin: margin_terms(scenario)?,
            settlements: settlements(scenario, &instruments)?,
            rolls: rolls(scenario, &instruments, &calendars)?,
            flows: flows(scenario, &currencies)?,
            instruments,
            feeds,
            signals: None,
            calendars,
            nav_calendar: CalendarId(u16::try_from(nav).unwrap_or(u16::MAX)),
            opening: opening(scenario, &currencies)?,
            settlement_terms: settlement_terms(scenario)?,
            policies,
            account: account(scenario)?,
            models: models(scenario, &currencies)?,
            currencies,
            books: 1,
            seed: scenario.number("seed").unwrap_or(0),
            record: RecordCadence::Step,
            warm_from: i64::MIN,
        };
        Ok(Self { plan: Arc::new(plan), script: Script::of(scenario)? })
    }

    /// Run to the end of the data.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let source = ColumnSource::new(Arc::clone(&self.plan));
        let venue = SimulatedVenue::new(&self.plan)?;
        let mut run =
            Simulator::new(Arc::clone(&self.plan), source, venue, TableRecorder::new(&self.plan, Keep::All, None))?;
        let mut script = self.script.clone();
        run.run(&mut script)?;
        Ok(Outcome { rows: common::Outcome::new(run, common::Script::default()), script })
    }
}

fn calendars(scenario: &Scenario) -> Result<Vec<Sessions>> {
    let mut found: BTreeMap<String, Sessions> = BTreeMap::new();
    for row in scenario.table("sessions")?.rows {
        let name = cell(&row, "calendar", "").to_owned();
        let sessions = found.entry(name.clone()).or_insert_with(|| Sessions { name, ..Sessions::default() });
        sessions.label.push(i32::try_from(day(cell(&row, "label", ""))?).unwrap_or(i32::MAX));
        sessions.open.push(instant(cell(&row, "opens", ""))?);
        sessions.close.push(instant(cell(&row, "closes", ""))?);
        if !cell(&row, "rests", "").is_empty() {
            sessions.breaks.push((instant(cell(&row, "rests", ""))?, instant(cell(&row, "resumes", ""))?));
        }
    }
    Ok(found.into_values().collect())
}

/// The rows of every feed, feeds in their published order: kind, then name.
fn inputs(scenario: &Scenario) -> Result<BTreeMap<(FeedKind, String), Vec<Input>>> {
    let mut found: BTreeMap<(FeedKind, String), Vec<Input>> = BTreeMap::new();
    for (key, kind, columns) in FEEDS {
        let time = if kind == FeedKind::Bar { "ends" } else { "time" };
        for row in scenario.table(key)?.rows {
            let ts_event = instant(cell(&row, time, ""))?;
            let read = |column: &str, default: i64| match cell(&row, column, "") {
                "" => Ok(default),
                text => instant(text),
            };
            let input = Input {
                symbol: cell(&row, "symbol", "").to_owned(),
                ts_open: read("opens", ts_event)?,
                ts_event,
                ts_arrival: read("arrives", ts_event)?,
                values: columns.iter().map(|c| float(&row, c)).collect::<Result<_>>()?,
            };
            found.entry((kind, cell(&row, "feed", key).to_owned())).or_default().push(input);
        }
    }
    for rows in found.values_mut() {
        rows.sort_by(|a, b| (a.ts_event, &a.symbol).cmp(&(b.ts_event, &b.symbol)));
    }
    Ok(found)
}

fn instruments(
    scenario: &Scenario,
    (calendars, currencies): (&[Sessions], &Currencies),
    inputs: &BTreeMap<(FeedKind, String), Vec<Input>>,
) -> Result<Vec<Instrument>> {
    let declared = scenario.table("instruments")?.rows;
    let symbols: BTreeSet<&str> =
        declared.iter().map(|r| cell(r, "symbol", "")).chain(inputs.values().flatten().map(|r| &*r.symbol)).collect();
    let nothing = Row::new();
    let mut found = Vec::new();
    for symbol in symbols {
        let row = declared.iter().find(|r| cell(r, "symbol", "") == symbol).unwrap_or(&nothing);
        let exponent = |column: &str, default| {
            let text = cell(row, column, default);
            text.parse::<u32>().map_err(|_| wrong(format!("{column}: {text:?}")))
        };
        let (price_exponent, quantity_exponent) =
            (exponent("price_exponent", "9")?, exponent("quantity_exponent", "0")?);
        let multiplier = cell(row, "multiplier", "1");
        let multiplier = Decimal::parse(multiplier).ok_or_else(|| wrong(format!("multiplier {multiplier:?}")))?;
        let calendar = cell(row, "calendar", &calendars[0].name);
        let calendar = calendars.iter().position(|c| c.name == calendar).ok_or_else(|| wrong(calendar.to_owned()))?;
        let matching = match cell(row, "matching", "") {
            "" => inputs.iter().position(|(_, rows)| rows.iter().any(|r| r.symbol == symbol)),
            name => inputs.keys().position(|(_, feed)| feed == name),
        };
        let index = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        // The smallest step of quantity is the lot of an instrument that declares none.
        let lot_size = match cell(row, "lot_size", "") {
            "" if quantity_exponent == 0 => 1,
            "" => units("1", quantity_exponent)?,
            text => units(text, quantity_exponent)?,
        };
        let is_pair = cell(row, "asset_class", "equity") == "fx";
        found.push(Instrument {
            symbol: symbol.to_owned(),
            settlement: Settlement::parse(cell(row, "settlement", if is_pair { "on_close" } else { "upfront" }))?,
            currency: currency_of(currencies, cell(row, "currency", &base(scenario)))?,
            scale: Scale::new(price_exponent, quantity_exponent, multiplier)?,
            tick_size: units(cell(row, "tick_size", "0.01"), price_exponent)?,
            lot_size,
            allows_negative_prices: cell(row, "allows_negative_prices", "false") == "true",
            is_borrowed: !is_pair,
            rolls_over: is_pair,
            calendar: CalendarId(index(calendar)),
            matching: matching.map(|f| FeedId(index(f))),
            latency: latency_of(scenario, cell(row, "venue", &calendars[calendar].name))?,
            prints: None,
        });
    }
    Ok(found)
}

/// Trade ticks beside the quotes of an instrument fill what rests.
fn find_prints(instruments: &mut [Instrument], inputs: &BTreeMap<(FeedKind, String), Vec<Input>>) {
    for instrument in instruments {
        let is_of_quotes = |feed: FeedId| inputs.keys().nth(feed.index()).is_some_and(|key| key.0 == FeedKind::Quote);
        if instrument.matching.is_some_and(is_of_quotes) {
            let mut feeds = inputs.iter().enumerate();
            let found = feeds.find(|(_, ((kind, _), rows))| {
                *kind == FeedKind::Trade && rows.iter().any(|row| row.symbol == instrument.symbol)
            });
            instrument.prints = found.map(|(f, _)| FeedId(u16::try_from(f).unwrap_or(u16::MAX)));
        }
    }
}

fn index_of(instruments: &[Instrument], symbol: &str) -> Result<InstrumentId> {
    let i = instruments.iter().position(|x| x.symbol == symbol).and_then(|i| u32::try_from(i).ok());
    i.map(InstrumentId).ok_or_else(|| wrong(format!("no instrument {symbol}")))
}

fn feed(kind: FeedKind, name: String, rows: &[Input], instruments: &[Instrument]) -> Result<Feed> {
    let is_late = rows.iter().any(|r| r.ts_arrival != r.ts_event);
    let columns = kind.columns().iter().enumerate();
    let columns =
        columns.map(|(c, &name)| Column { name: name.to_owned(), values: rows.iter().map(|r| r.values[c]).collect() });
    let data = FeedColumns {
        name,
        kind,
        ts_event: rows.iter().map(|r| r.ts_event).collect(),
        ts_open: (kind == FeedKind::Bar).then(|| rows.iter().map(|r| r.ts_open).collect()),
        ts_arrival: is_late.then(|| rows.iter().map(|r| r.ts_arrival).collect()),
        instrument: rows.iter().map(|r| Ok(index_of(instruments, &r.symbol)?.0)).collect::<Result<Vec<_>>>()?.into(),
        columns: columns.collect(),
    };
    Feed::new(data, instruments)
}

fn actions(scenario: &Scenario, instruments: &[Instrument], calendars: &[Sessions]) -> Result<Vec<Action>> {
    let mut found = Vec::new();
    for row in scenario.table("actions")?.rows {
        let (ts, value) = (instant(cell(&row, "effective", ""))?, cell(&row, "value", ""));
        let kind = match (cell(&row, "kind", ""), value.split_once('/')) {
            ("split", Some((new, old))) => ActionKind::Split(Ratio::new(units(new, 0)?, units(old, 0)?)?),
            ("dividend", None) => {
                let paid = cell(&row, "paid", "");
                let pay_ts = if paid.is_empty() { ts } else { instant(paid)? };
                let withholding = money(cell(&row, "withheld", "0"))?;
                ActionKind::CashDividend { amount: money(value)?, pay_ts, withholding }
            }
            ("spin_off" | "stock_merger", Some((new, old))) => {
                let instrument = index_of(instruments, cell(&row, "into", ""))?;
                let into = Shares { instrument, ratio: Ratio::new(units(new, 0)?, units(old, 0)?)? };
                let amount = money(cell(&row, "amount", "0"))?;
                if cell(&row, "kind", "") == "spin_off" {
                    ActionKind::SpinOff { into, amount }
                } else {
                    ActionKind::Exchange { into, amount }
                }
            }
            ("delisting", None) => ActionKind::CashOut(if value.is_empty() { None } else { Some(money(value)?) }),
            (kind, _) => return Err(wrong(format!("{kind} {value} is no corporate action"))),
        };
        found.push(Action { ts, instrument: index_of(instruments, cell(&row, "symbol", ""))?, kind });
    }
    let settled = settlements(scenario, instruments)?;
    for row in scenario.table("instruments")?.rows.iter().filter(|row| !cell(row, "last_trade", "").is_empty()) {
        let instrument = index_of(instruments, cell(row, "symbol", ""))?;
        let sessions = &calendars[instruments[instrument.index()].calendar.index()];
        let k = session(sessions, cell(row, "last_trade", ""))?;
        // Its close, or what settles it for the last time before the next session opens.
        let next = sessions.open.get(k + 1).copied().unwrap_or(i64::MAX);
        let own = settled.iter().filter(|s| s.instrument == instrument && s.ts > sessions.open[k] && s.ts < next);
        let ts = own.map(|s| s.ts).fold(sessions.close[k], i64::max);
        found.push(Action { ts, instrument, kind: ActionKind::Expiry(None) });
    }
    // What is given comes after what happens to it, and an end after what was given.
    let stage = |action: &Action| match action.kind {
        ActionKind::SpinOff { .. } => 1,
        ActionKind::Exchange { .. } => 2,
        _ => 0,
    };
    found.sort_by_key(|a| (a.ts, stage(a), a.instrument));
    Ok(found)
}

/// Place of the session of that label.
fn session(sessions: &Sessions, label: &str) -> Result<usize> {
    let days = i32::try_from(day(label)?).unwrap_or(i32::MAX);
    sessions.label.iter().position(|&each| each == days).ok_or_else(|| wrong(format!("{label} is no session")))
}

fn rolls(scenario: &Scenario, instruments: &[Instrument], calendars: &[Sessions]) -> Result<Vec<Roll>> {
    let mut rows = Vec::new();
    for row in scenario.table("rolls")?.rows {
        let contract = |side: &str| index_of(instruments, cell(&row, side, ""));
        let (from, to) = (contract("from")?, contract("to")?);
        let sessions = &calendars[instruments[from.index()].calendar.index()];
        let ts = sessions.open[session(sessions, cell(&row, "session", ""))?];
        rows.push(Roll { ts, from, to, at: RollAt::parse(cell(&row, "roll_at", "next_open"))? });
    }
    rows.sort_by_key(|roll| (roll.ts, roll.from));
    Ok(rows)
}

fn flows(scenario: &Scenario, currencies: &Currencies) -> Result<Vec<CashFlow>> {
    let mut rows = Vec::new();
    for row in scenario.table("cash_flows")?.rows {
        let currency = currency_of(currencies, cell(&row, "currency", &base(scenario)))?;
        rows.push(CashFlow {
            ts: instant(cell(&row, "time", ""))?,
            currency,
            amount: money(cell(&row, "amount", ""))?,
        });
    }
    rows.sort_by_key(|row| row.ts);
    Ok(rows)
}

fn settlements(scenario: &Scenario, instruments: &[Instrument]) -> Result<Vec<SettlementPrice>> {
    let mut rows = Vec::new();
    for row in scenario.table("settlement_prices")?.rows {
        let (ts, instrument) = (instant(cell(&row, "time", ""))?, index_of(instruments, cell(&row, "symbol", ""))?);
        let exponent = instruments[instrument.index()].scale.price_exponent;
        rows.push(SettlementPrice { ts, instrument, price: Price(units(cell(&row, "price", ""), exponent)?) });
    }
    rows.sort_by_key(|row| (row.ts, row.instrument));
    Ok(rows)
}

fn margin_rates(scenario: &Scenario, instruments: &[Instrument]) -> Result<Vec<MarginRate>> {
    let mut rows = Vec::new();
    for row in scenario.table("margin_rates")?.rows {
        let (ts, instrument) = (instant(cell(&row, "time", ""))?, index_of(instruments, cell(&row, "symbol", ""))?);
        let (initial, maintenance) = (float(&row, "initial")?, float(&row, "maintenance")?);
        rows.push(MarginRate { ts, instrument, initial, maintenance });
    }
    rows.sort_by_key(|row| (row.ts, row.instrument));
    Ok(rows)
}

/// What data say about holding.
fn rates(scenario: &Scenario, instruments: &[Instrument]) -> Result<Rates> {
    let mut rates = Rates::default();
    let number = |row: &Row, column: &str, default: f64| match cell(row, column, "") {
        "" => Ok(default),
        text => text.parse().map_err(|_| wrong(format!("{column} {text:?}"))),
    };
    for row in scenario.table("funding_rates")?.rows {
        let (ts, instrument) = (instant(cell(&row, "time", ""))?, index_of(instruments, cell(&row, "symbol", ""))?);
        let (rate, mark) = (number(&row, "rate", f64::NAN)?, number(&row, "mark", f64::NAN)?);
        let short_rate = number(&row, "short_rate", rate)?;
        rates.funding.push(FundingRate { ts, instrument, rate, short_rate, mark });
    }
    for row in scenario.table("borrow_rates")?.rows {
        let (ts, instrument) = (instant(cell(&row, "time", ""))?, index_of(instruments, cell(&row, "symbol", ""))?);
        let rate = number(&row, "rate", f64::NAN)?;
        let available = number(&row, "available", f64::INFINITY)?;
        rates.borrow.push(BorrowRate { ts, instrument, rate, available });
    }
    rates.funding.sort_by_key(|row| (row.ts, row.instrument));
    rates.borrow.sort_by_key(|row| (row.ts, row.instrument));
    Ok(rates)
}

fn base(scenario: &Scenario) -> String {
    scenario.text("base_currency").unwrap_or_else(|| "USD".to_owned())
}

/// The base currency first, then those of instruments, balances and interest in alphabetical order.
fn currencies(scenario: &Scenario) -> Result<Currencies> {
    let base = base(scenario);
    let mut names: BTreeSet<String> = BTreeSet::new();
    for row in scenario.table("instruments")?.rows {
        names.insert(cell(&row, "currency", &base).to_owned());
    }
    for name in balances(scenario).into_iter().map(|(name, _)| name) {
        names.insert(name);
    }
    names.extend(scenario.settings("interest_models").into_keys());
    for row in scenario.table("cash_flows")?.rows {
        names.insert(cell(&row, "currency", &base).to_owned());
    }
    names.remove(&base);
    let mut rows = Vec::new();
    for row in scenario.table("fx_rates")?.rows {
        let (pair, text) = (cell(&row, "pair", ""), cell(&row, "rate", ""));
        let (from, to) = pair.split_at_checked(3).ok_or_else(|| wrong(format!("{pair:?} is no pair")))?;
        let rate = text.parse().map_err(|_| wrong(format!("rate {text:?}")))?;
        rows.push(FxRow { ts: instant(cell(&row, "time", ""))?, base: from.to_owned(), quote: to.to_owned(), rate });
    }
    rows.sort_by(|a, b| (a.ts, &a.base, &a.quote).cmp(&(b.ts, &b.base, &b.quote)));
    Currencies::new(std::iter::once(base).chain(names).collect(), &rows)
}

fn balances(scenario: &Scenario) -> Vec<(String, String)> {
    let found = scenario.settings("account");
    let table = found.get("initial_balances").and_then(toml::Value::as_table);
    let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    table.map_or_else(Vec::new, |table| table.iter().map(|(name, value)| (name.clone(), text(value))).collect())
}

fn opening(scenario: &Scenario, currencies: &Currencies) -> Result<Vec<(CurrencyId, Cash)>> {
    let mut found = balances(scenario)
        .into_iter()
        .map(|(name, amount)| Ok((currency_of(currencies, &name)?, money(&amount)?)))
        .collect::<Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

pub(crate) fn currency_of(currencies: &Currencies, name: &str) -> Result<CurrencyId> {
    currencies.find(name).ok_or_else(|| wrong(format!("no currency {name}")))
}

pub(crate) fn money(text: &str) -> Result<Cash> {
    let found = Decimal::parse(text).and_then(Cash::from_decimal);
    found.ok_or_else(|| wrong(format!("{text:?} is not an amount of money")))
}

fn policies(scenario: &Scenario) -> Result<Policies> {
    let mut policies = Policies::default();
    for (name, value) in scenario.settings("policies") {
        let text = value.as_str().unwrap_or_default();
        match name.as_str() {
            "fill_timing" => policies.fill_timing = FillTiming::parse(text)?,
            "limit_touch" => policies.limit_touch = LimitTouch::parse(text)?,
            "limit_gap" => policies.limit_gap = LimitGap::parse(text)?,
            "stop_gap" => policies.stop_gap = StopGap::parse(text)?,
            "fill_order" => policies.fill_order = FillOrder::parse(text)?,
            "quote_fill" => policies.quote_fill = QuoteFill::parse(text)?,
            "limit_slippage" => policies.limit_slippage = LimitSlippage::parse(text)?,
            "insufficient_cash" => policies.insufficient_cash = InsufficientCash::parse(text)?,
            "zero_volume" => policies.zero_volume = ZeroVolume::parse(text)?,
            "tick_rounding" => policies.tick_rounding = TickRounding::parse(text)?,
            "trail_basis" => policies.trail_basis = TrailBasis::parse(text)?,
            "target_rounding" => policies.target_rounding = TargetRounding::parse(text)?,
            "lot_rounding" => policies.lot_rounding = LotRounding::parse(text)?,
            "target_orders" => policies.target_orders = TargetOrders::parse(text)?,
            "path" => policies.path = BarPath::parse(text)?,
            "order_inside_bar" => policies.order_inside_bar = OrderInsideBar::parse(text)?,
            "same_bar_exit" => policies.same_bar_exit = SameBarExit::parse(text)?,
            "print_fills" => policies.print_fills = PrintFills::parse(text)?,
            "queue_position" => policies.queue_position = QueuePosition::parse(text)?,
            _ => return Err(wrong(format!("no policy {name}"))),
        }
    }
    Ok(policies)
}

fn account(scenario: &Scenario) -> Result<AccountSettings> {
    let mut account = AccountSettings {
        initial_cash: money("100000")?,
        lot_policy: LotPolicy::Fifo,
        allows_short: false,
        buying_power: BuyingPower::Equity,
        leverage: Ratio { num: 1, den: 1 },
        conversion: Conversion::WhenShort,
        posting_quantum: 1_000_000_000,
        recall_sessions: None,
    };
    for (name, value) in scenario.settings("account") {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match name.as_str() {
            "initial_cash" => account.initial_cash = money(&text)?,
            "lot_policy" => account.lot_policy = LotPolicy::parse(&text)?,
            "buying_power" => account.buying_power = BuyingPower::parse(&text)?,
            "allows_short" => account.allows_short = text == "true",
            "leverage" => {
                let hundredths = units(&text, 2)?;
                account.leverage = Ratio::new(hundredths, 100)?;
            }
            "posting_quantum" => account.posting_quantum = money(&text)?.0,
            "recall_sessions" => account.recall_sessions = text.parse().ok(),
            "conversion" => account.conversion = Conversion::parse(&text)?,
            // Of the instruments, of the currencies, and beside the account: see `latency_of`, `opening`, `settlement_terms`.
            "latency" | "initial_balances" | "settlement" => {}
            _ => return Err(wrong(format!("no setting {name} of an account"))),
        }
    }
    Ok(account)
}

/// `{ days = 1, unsettled = "held" }`, or days by the dates they begin on.
fn settlement_terms(scenario: &Scenario) -> Result<Option<SettlementTerms>> {
    let settings = scenario.settings("account");
    let Some(found) = settings.get("settlement") else { return Ok(None) };
    let days = found.get("days").ok_or_else(|| wrong("settlement needs days".to_owned()))?;
    let number = |value: &toml::Value| {
        let days = value.as_integer().and_then(|days| u32::try_from(days).ok());
        days.ok_or_else(|| wrong(format!("{value} is no number of days")))
    };
    let days = match days.as_table() {
        Some(dated) => dated
            .iter()
            .map(|(date, days)| Ok((i32::try_from(day(date)?).unwrap_or(i32::MAX), number(days)?)))
            .collect::<Result<Vec<_>>>()?,
        None => vec![(i32::MIN, number(days)?)],
    };
    let unsettled = found.get("unsettled").and_then(toml::Value::as_str).unwrap_or("good_faith");
    Ok(Some(SettlementTerms { days, unsettled: UnsettledCash::parse(unsettled)? }))
}

/// Latency of the orders at a venue: a duration, or a table of messages and, beside them, of venues.
fn latency_of(scenario: &Scenario, venue: &str) -> Result<Latency> {
    let settings = scenario.settings("account");
    let Some(found) = settings.get("latency") else { return Latency::fixed(0) };
    if let Some(text) = found.as_str() {
        return Latency::fixed(duration(text)?);
    }
    let own = found.get("venues").and_then(|venues| venues.get(venue));
    let delay = |message: &str| match own.and_then(|own| own.get(message)).or_else(|| found.get(message)) {
        Some(value) => delay(value),
        None => Delay::new(&[0]),
    };
    Ok(Latency { submit: delay("submit")?, modify: delay("modify")?, cancel: delay("cancel")?, venue: 0 })
}

/// `"5ms"`, `{ quantiles = ["1ms", "2ms"] }`, `{ distribution = "uniform", low = "1ms", high = "2ms" }`.
fn delay(value: &toml::Value) -> Result<Delay> {
    let bad = || wrong(format!("{value} is no latency"));
    let read = |value: &toml::Value| value.as_str().ok_or_else(bad).and_then(duration);
    if value.is_str() {
        return Delay::new(&[read(value)?]);
    }
    if let Some(quantiles) = value.get("quantiles").and_then(toml::Value::as_array) {
        return Delay::new(&quantiles.iter().map(read).collect::<Result<Vec<_>>>()?);
    }
    match (value.get("distribution").and_then(toml::Value::as_str), value.get("low"), value.get("high")) {
        (Some("uniform"), Some(low), Some(high)) => Delay::new(&[read(low)?, read(high)?]),
        _ => Err(bad()),
    }
}

/// `250ms`, `1s`, `1h30m`.
pub(crate) fn duration(text: &str) -> Result<i64> {
    let bad = || wrong(format!("{text:?} is no duration"));
    let (mut rest, mut total) = (text, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let unit = match &rest[digits..digits + letters] {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(bad()),
        };
        total += units(&rest[..digits], 0)? * unit;
        rest = &rest[digits + letters..];
    }
    Ok(total)
}
