//! Strategy kernels: a table of kind strategy as a [`Strategy`] of the loop, without any interpreter.
//!
//! A kernel is called at every instant that has something to say. It sees the last known values of the columns that it
//! asked for as one matrix, positions, its working orders and the fills since its last call, and writes order
//! records into a buffer; they are taken in like the orders of any strategy.

use std::collections::BTreeMap;
use std::ptr::NonNull;

use ml4t_abi::{Action, EvalStrategy, Header, OpenOrder, OrderRecord, Status, StrategyContext};

use super::{ForeignTable, State};
use crate::contingent::GroupKind;
use crate::engine::{Api, Strategy};
use crate::error::{Result, SimError, shown};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::money::Cash;
use crate::order::{OrderRequest, Side};
use crate::plan::{FeedKind, Plan};
use crate::records::{Author, open_order, send};
use crate::replace::Changes;
use crate::state::State as RunState;
use crate::worked::answered;

/// Orders that a kernel may ask for at one instant, beside two of every instrument.
const SPARE_RECORDS: usize = 64;

/// A strategy of another library.
pub struct Kernel {
    state: State,
    /// Where each column of the matrix comes from: (feed, column) pairs, or the name of a signal.
    sources: Vec<Vec<Origin>>,
    /// Of each feed: where the values of a column go, and which column.
    by_feed: Vec<Vec<(usize, usize)>>,
    /// Whether rows of a feed arrive later than they are complete.
    has_arrivals: bool,
    n_assets: usize,
    columns: Vec<f64>,
    positions: Vec<f64>,
    changed: Vec<u32>,
    open: Vec<OpenOrder>,
    orders: Vec<OrderRecord>,
    /// Orders at work, oldest first, with the kernel's number of each.
    live: Vec<(OrderId, u64)>,
    /// Orders by the kernel's number, and the first order of each group.
    known: BTreeMap<u64, OrderId>,
    groups: BTreeMap<u64, OrderId>,
    instant: u64,
    eval: EvalStrategy,
    /// What the last call was given; numbers of this run stay.
    context: StrategyContext,
    /// Fills and corporate actions of which the positions know.
    positions_at: Option<(u64, usize)>,
    cash: Shown,
    equity: Shown,
}

/// An amount and the float that shows it, which is worth keeping while the amount stays.
#[derive(Clone, Copy, Debug)]
struct Shown(Cash, f64);

impl Shown {
    const NOTHING: Self = Self(Cash::ZERO, 0.0);

    fn show(&mut self, amount: Cash) -> f64 {
        if self.0 != amount {
            *self = Self(amount, amount.to_f64());
        }
        self.1
    }
}

/// One source of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Feed(usize, usize),
    Signal(usize),
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kernel({}, {} columns)", self.state.table.name, self.sources.len())
    }
}

/// Find what a kernel calls `name`: a column of all feeds that have it, of one feed as `feed.column`, or a signal.
fn resolve(plan: &Plan, owner: &str, name: &str) -> Result<Vec<Origin>> {
    let mut found = Vec::new();
    for (f, feed) in plan.feeds.iter().enumerate() {
        let own = name.strip_prefix(&feed.data.name).and_then(|rest| rest.strip_prefix('.'));
        if let Some(column) = feed.column(own.unwrap_or(name)) {
            found.push(Origin::Feed(f, column));
        }
    }
    let names = plan.signals.as_ref().map_or(&[][..], |signals| signals.names.as_slice());
    let signal = names.iter().position(|known| known == name);
    if let (Some(Origin::Feed(f, _)), Some(_)) = (found.first(), signal) {
        let feed = &plan.feeds[*f].data.name;
        return Err(SimError::config(format!(
            "kernel {owner}: {name:?} is a column of the feed {feed} and a signal; write {feed}.{name} for the column, or \
             rename the signal"
        )));
    }
    found.extend(signal.map(Origin::Signal));
    let feeds: Vec<usize> =
        found.iter().filter_map(|o| if let Origin::Feed(f, _) = o { Some(*f) } else { None }).collect();
    let shares = |a: usize, b: usize| (0..plan.instruments.len()).any(|i| has_rows(plan, a, i) && has_rows(plan, b, i));
    if let Some((&a, &b)) =
        feeds.iter().flat_map(|a| feeds.iter().map(move |b| (a, b))).find(|&(&a, &b)| a < b && shares(a, b))
    {
        let (a, b) = (&plan.feeds[a].data.name, &plan.feeds[b].data.name);
        return Err(SimError::config(format!(
            "kernel {owner}: column {name:?} is in the feeds {a} and {b} of one instrument; write {a}.{name} or {b}.{name}"
        )));
    }
    if found.is_empty() {
        let mut known: Vec<String> =
            plan.feeds.iter().flat_map(|feed| feed.data.columns.iter().map(|column| column.name.clone())).collect();
        known.extend(names.iter().cloned());
        known.sort();
        known.dedup();
        return Err(SimError::unknown_name(format!(
            "kernel {owner}: no feed has a column {name:?} and no signal that name; known: {}",
            known.join(", ")
        )));
    }
    Ok(found)
}

fn has_rows(plan: &Plan, feed: usize, i: usize) -> bool {
    let feed = &plan.feeds[feed];
    feed.data.kind == FeedKind::Context || !feed.rows_of(i).is_empty()
}

impl Kernel {
    /// The kernel of a table, for the runs of a plan.
    ///
    /// # Errors
    /// A column that it wants is not there or stands for two, or it cannot begin.
    pub fn new(table: ForeignTable, plan: &Plan) -> Result<Self> {
        let owner = table.name.clone();
        let text = super::text(table.table.columns);
        let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.len() != table.table.n_columns as usize {
            let n = table.table.n_columns;
            return Err(SimError::model(format!(
                "kernel {owner}: n_columns = {n}, but columns names {}: {text:?}",
                names.len()
            )));
        }
        let sources = names.into_iter().map(|name| resolve(plan, &owner, name)).collect::<Result<Vec<_>>>()?;
        let n_assets = plan.instruments.len();
        let columns_of = |f: usize| -> Vec<(usize, usize)> {
            let origins = sources.iter().enumerate().flat_map(|(k, origins)| origins.iter().map(move |o| (k, *o)));
            origins
                .filter_map(|(k, origin)| match origin {
                    Origin::Feed(feed, column) if feed == f => Some((k * n_assets, column)),
                    Origin::Feed(..) | Origin::Signal(_) => None,
                })
                .collect()
        };
        let by_feed = (0..plan.feeds.len()).map(columns_of).collect();
        let mut state = State::of_proto(table);
        let begun = state.reset(plan.seed);
        begun.map_err(|text| SimError::model(format!("kernel {owner}, at the start of the run: {text}")))?;
        let eval = state
            .call::<EvalStrategy>()
            .ok_or_else(|| SimError::model(format!("kernel {owner}: its table has no function eval")))?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let context = StrategyContext {
            header: Header::of::<StrategyContext>(0, 0, 0),
            n_assets: count(n_assets),
            n_columns: count(sources.len()),
            n_changed: 0,
            n_open_orders: 0,
            n_fills: 0,
            session_closed: 0,
            cash: 0.0,
            equity: 0.0,
            instant: 0,
        };
        Ok(Self {
            state,
            columns: vec![f64::NAN; sources.len() * n_assets],
            sources,
            by_feed,
            has_arrivals: plan.feeds.iter().any(|feed| feed.arrival().is_some()),
            n_assets,
            positions: vec![0.0; n_assets],
            changed: Vec::with_capacity(n_assets),
            open: Vec::new(),
            orders: vec![OrderRecord::UNSET; 2 * n_assets + SPARE_RECORDS],
            live: Vec::new(),
            known: BTreeMap::new(),
            groups: BTreeMap::new(),
            instant: 0,
            eval,
            context,
            positions_at: None,
            cash: Shown::NOTHING,
            equity: Shown::NOTHING,
        })
    }

    /// Write what was known before the first open into the matrix.
    fn recall(&mut self, plan: &Plan, state: &RunState) {
        for (k, origins) in self.sources.iter().enumerate() {
            for origin in origins {
                for i in 0..self.n_assets {
                    let known = match *origin {
                        Origin::Feed(f, column) => {
                            let feed = &plan.feeds[f];
                            // Rows of context belong to every instrument.
                            let place = if feed.data.instrument.is_empty() { 0 } else { i };
                            state.readable_row(plan, f, place).map(|row| feed.value(column, row))
                        }
                        Origin::Signal(name) => state
                            .signal_row(plan, i, name)
                            .zip(plan.signals.as_ref())
                            .map(|(row, signals)| signals.score[row]),
                    };
                    if let Some(value) = known {
                        self.columns[k * self.n_assets + i] = value;
                    }
                }
            }
        }
    }

    /// Write the rows that became readable now into the matrix.
    fn read(&mut self, plan: &Plan, state: &RunState) {
        self.changed.clear();
        let mut is_sorted = true;
        for block in &state.blocks {
            let feed = &plan.feeds[block.feed];
            let order = feed.arrival().filter(|_| block.by_arrival);
            for at in block.from..block.to {
                let row = order.map_or(at, |order| order[at] as usize);
                // Rows of context belong to every instrument.
                let own = feed.data.instrument.get(row).copied();
                let (from, to) = own.map_or((0, self.n_assets), |i| (i as usize, i as usize + 1));
                if let Some(i) = own {
                    is_sorted &= self.changed.last().is_none_or(|&last| last < i);
                    self.changed.push(i);
                }
                for &(place, column) in &self.by_feed[block.feed] {
                    self.columns[place + from..place + to].fill(feed.value(column, row));
                }
            }
        }
        if let Some(signals) = &plan.signals {
            for row in state.new_signals.0..state.new_signals.1 {
                let (i, name) = (signals.instrument[row], signals.name[row] as usize);
                is_sorted &= self.changed.last().is_none_or(|&last| last < i);
                self.changed.push(i);
                for (k, origins) in self.sources.iter().enumerate() {
                    if origins.contains(&Origin::Signal(name)) {
                        self.columns[k * self.n_assets + i as usize] = signals.score[row];
                    }
                }
            }
        }
        if !is_sorted {
            self.changed.sort_unstable();
            self.changed.dedup();
        }
    }

    fn look_at_account(&mut self, plan: &Plan, state: &RunState) {
        // Nothing else changes a position.
        let at = Some((state.fills, state.actions_seen));
        if self.positions_at != at {
            self.positions_at = at;
            let book = state.book(BookId(0));
            for (i, (place, position)) in self.positions.iter_mut().zip(&book.positions).enumerate() {
                *place = plan.instruments[i].scale.quantity_f64(position.quantity);
            }
        }
        self.open.clear();
        if self.live.is_empty() {
            return;
        }
        self.live.retain(|&(id, _)| !state.has_ended(id));
        self.open.extend(self.live.iter().map(|&(id, client_id)| open_order(plan, &state.order(id), client_id)));
    }

    /// What the account is worth as far as a strategy may know.
    fn worth(&self, plan: &Plan, state: &RunState) -> Result<Cash> {
        let book = state.book(BookId(0));
        if self.has_arrivals {
            Ok(crate::account::Worth::known(plan, state, book)?.equity)
        } else {
            book.equity(&state.exchange.quotes)
        }
    }

    fn ask(&mut self, api: &Api<'_>) -> Result<usize> {
        let (plan, state) = (api.plan, &*api.state);
        let eval = self.eval;
        let equity = self.worth(plan, state)?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let context = &mut self.context;
        context.header.ts_ns = state.now;
        context.n_changed = count(self.changed.len());
        context.n_open_orders = count(self.open.len());
        context.n_fills = count(state.told.len());
        context.session_closed = u32::from(state.causes.closes_nav_session);
        let quotes = &state.exchange.quotes;
        context.cash = self.cash.show(state.book(BookId(0)).all_cash(quotes)?);
        context.equity = self.equity.show(equity);
        context.instant = self.instant;
        self.instant += 1;
        let mut n = 0_u32;
        let capacity = self.orders.len();
        // SAFETY: a state of this table; the arrays are as long as the context says, and empty ones dangle, aligned.
        let status = unsafe {
            eval(
                self.state.at,
                &raw const self.context,
                pointer(&self.changed),
                pointer(&self.columns),
                pointer(&self.positions),
                pointer(&self.open),
                pointer(&state.told),
                self.orders.as_mut_ptr(),
                count(capacity),
                &raw mut n,
            )
        };
        if status == Status::OK && n as usize <= capacity {
            return Ok(n as usize);
        }
        let answer = answered(status, n as usize, capacity, || self.state.last_error());
        let answer = answer.and_then(|n| n.ok_or_else(|| format!("it answered status {} and said nothing", status.0)));
        answer.map_err(|text| self.error(state, &text))
    }

    fn author(&self, state: &RunState) -> Author<'_> {
        Author { what: "kernel", name: &self.state.table.name, symbol: None, now: state.now }
    }

    fn error(&self, state: &RunState, text: &str) -> SimError {
        self.author(state).error(text)
    }

    fn carry_out(&mut self, api: &mut Api<'_>, record: &OrderRecord) -> Result<()> {
        if record.asset as usize >= self.n_assets {
            let (found, n) = (record.asset, self.n_assets);
            return Err(self.error(api.state, &format!("asset {found} of an order record; this run has {n}, from 0")));
        }
        match record.action {
            Action::NEW => self.send(api, record),
            Action::TARGET => self.send_target(api, record),
            Action::MODIFY => {
                let id = self.order(api.state, record.client_id)?;
                let plan = api.plan;
                let instrument = &plan.instruments[api.state.order(id).request.instrument.index()];
                let author = self.author(api.state);
                let limit_price = author.price(instrument, "limit_price", record.limit_price)?;
                let stop_price = author.price(instrument, "stop_price", record.stop_price)?;
                let (mut quantity, mut refusal) = (None, None);
                if !record.quantity.is_nan() {
                    let asked = record.quantity.abs();
                    let rounding = plan.policies.lot_rounding;
                    let (units, is_exact) = author.quantity(instrument, rounding, asked)?;
                    quantity = Some(units);
                    let lot = instrument.scale.quantity_f64(instrument.lot_size);
                    refusal = (!is_exact).then(|| format!("quantity {asked} is not a multiple of lot_size {lot}"));
                }
                let changes = Changes { quantity, limit_price, stop_price, refusal, ..Changes::default() };
                api.modify(id, changes).map(drop)
            }
            Action::CANCEL => {
                let id = self.order(api.state, record.client_id)?;
                api.cancel(id);
                Ok(())
            }
            other => Err(self.error(api.state, &format!("action {} of an order record is not known", other.0))),
        }
    }

    fn send(&mut self, api: &mut Api<'_>, record: &OrderRecord) -> Result<()> {
        let plan = api.plan;
        let instrument = &plan.instruments[record.asset as usize];
        let rounding = plan.policies.lot_rounding;
        self.check_number(api.state, record.client_id)?;
        let author = self.author(api.state);
        let (quantity, is_exact) = author.quantity(instrument, rounding, record.quantity.abs())?;
        let side = if record.quantity > 0.0 { Side::Buy } else { Side::Sell };
        let template = OrderRequest::market(InstrumentId(record.asset), side, quantity);
        let request = author.request(instrument, template, record)?;
        let parent = if record.parent == 0 { None } else { Some(self.order(api.state, record.parent)?) };
        let group = (record.group != 0).then(|| self.groups.get(&record.group).copied()).flatten();
        let group = group.map(|first| (GroupKind::Oco, first));
        api.check_group(group)?;
        let author = self.author(api.state);
        let id = send(api, author, instrument, (request, is_exact), record)?;
        api.link(id, parent, group)?;
        if record.group != 0 {
            self.groups.entry(record.group).or_insert(id);
        }
        self.remember(id, record.client_id);
        Ok(())
    }

    fn send_target(&mut self, api: &mut Api<'_>, record: &OrderRecord) -> Result<()> {
        let plan = api.plan;
        let instrument = &plan.instruments[record.asset as usize];
        let units = instrument.scale.quantity_floor(record.quantity.abs(), instrument.lot_size);
        let Some(target) = units.filter(|_| record.quantity.is_finite()) else {
            let (symbol, found) = (&instrument.symbol, shown(record.quantity));
            let text = format!("{symbol}: target {found}; it must be a number of units within the instrument's range");
            return Err(self.error(api.state, &text));
        };
        let target = if record.quantity < 0.0 { -target } else { target };
        self.check_number(api.state, record.client_id)?;
        // What waits for its parent has not been sent to the market.
        let waiting = &api.state.links.waiting;
        let own: Vec<OrderId> = self.live.iter().map(|&(id, _)| id).filter(|id| !waiting.contains(id)).collect();
        let template = OrderRequest {
            time_in_force: self.author(api.state).life(record.life)?,
            ..OrderRequest::market(InstrumentId(record.asset), Side::Buy, 0)
        };
        if let Some(id) = api.order_target(template, target, &own)? {
            self.remember(id, record.client_id);
        }
        Ok(())
    }

    /// A number names one order: one at work cannot share it.
    fn check_number(&self, state: &RunState, client_id: u64) -> Result<()> {
        let is_taken = client_id != 0 && self.known.get(&client_id).is_some_and(|&id| !state.has_ended(id));
        if is_taken {
            let text = format!("an order record has client_id {client_id}, and an order at work has it already");
            return Err(self.error(state, &text));
        }
        Ok(())
    }

    fn remember(&mut self, id: OrderId, client_id: u64) {
        self.live.push((id, client_id));
        if client_id != 0 {
            self.known.insert(client_id, id);
        }
    }

    fn order(&self, state: &RunState, client_id: u64) -> Result<OrderId> {
        self.known.get(&client_id).copied().ok_or_else(|| {
            self.error(state, &format!("an order record names order {client_id}, which it has not sent"))
        })
    }
}

impl Strategy for Kernel {
    fn on_start(&mut self, api: &mut Api<'_>) -> Result<()> {
        api.state.keeps_fills = true;
        self.recall(api.plan, api.state);
        Ok(())
    }

    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.read(api.plan, api.state);
        self.look_at_account(api.plan, api.state);
        let n = self.ask(api)?;
        api.state.told.clear();
        if n == 0 {
            return Ok(());
        }
        let orders = std::mem::take(&mut self.orders);
        let outcome = orders[..n].iter().try_for_each(|record| self.carry_out(api, record));
        self.orders = orders;
        self.orders[..n].fill(OrderRecord::UNSET);
        outcome
    }
}

/// Where an array begins; one without elements somewhere aligned, so that a slice of no elements may be made of it.
pub(super) const fn pointer<T>(values: &[T]) -> *const T {
    if values.is_empty() { NonNull::dangling().as_ptr() } else { values.as_ptr() }
}
