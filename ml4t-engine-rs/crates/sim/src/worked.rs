//! Orders that an execution algorithm works: one big order, cut into others over time.
//!
//! A strategy gives an instrument, a signed quantity and an algorithm ([`Api::execute`]). From then on the algorithm is asked
//! right after the strategy: at once, and again at every instant at which a row of the instrument's matching feed became
//! readable, until all has traded, the strategy takes the order back or the algorithm gives up. It sees what the strategy
//! could see and answers order records; its orders go through the intake like those of the strategy.

use ml4t_abi::{Action, ExecutorContext, Header, Missing, OpenOrder, OrderRecord, Status};

use crate::engine::{Api, Simulator};
use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::instrument::Instrument;
use crate::money::{Cash, Ratio};
use crate::order::{OrderRequest, Side};
use crate::plan::{Feed, FeedKind, Plan, quote};
use crate::prices::last_price;
use crate::queue::Source;
use crate::recorder::Recorder;
use crate::records::{Author, open_order, send};
use crate::replace::Changes;
use crate::rng::Occasion;
use crate::state::State;
use crate::time::{Ns, Sessions};
use crate::venue::{Averages, Venue, averages_before, volume_in_todays_shares};

/// Orders that an algorithm may ask for in one call.
const MOST_RECORDS: usize = 64;
/// Number of the random stream of algorithms; those of models are below, those of messages 16 to 18.
const STREAM: u32 = 24;

/// An execution algorithm.
pub trait Executor: Send + Sync + std::fmt::Debug {
    /// Its name, for messages.
    fn name(&self) -> &str;

    /// Over how many sessions average volume and volatility go; 0 where they are not needed.
    fn average_days(&self) -> usize {
        0
    }

    /// How many random draws of the context are filled in.
    fn draws(&self) -> usize {
        0
    }

    /// An order begins to be worked.
    ///
    /// # Errors
    /// The text of an algorithm that cannot begin.
    fn begin(&mut self, _seed: u64) -> core::result::Result<(), String> {
        Ok(())
    }

    /// What is to be done now: how many records were written, `None` to give up.
    ///
    /// # Errors
    /// The text of an algorithm that cannot go on.
    fn ask(
        &mut self,
        context: &ExecutorContext,
        open_orders: &[OpenOrder],
        orders: &mut [OrderRecord],
    ) -> core::result::Result<Option<usize>, String>;

    /// An independent copy.
    fn boxed_clone(&self) -> Box<dyn Executor>;
}

impl Clone for Box<dyn Executor> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

/// An order of an algorithm, and what was last seen of its fills.
#[derive(Clone, Copy, Debug)]
struct Child {
    id: OrderId,
    client_id: u64,
    filled: i64,
    notional: Cash,
    is_leaving: bool,
}

/// Where a worked order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The algorithm goes on.
    Working,
    /// All has traded.
    Filled,
    /// The strategy took it back, or the algorithm gave up.
    Canceled,
}

/// What is known of a worked order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Instrument.
    pub instrument: InstrumentId,
    /// Side.
    pub side: Side,
    /// The whole, in quantity units; follows splits.
    pub quantity: i64,
    /// What has traded of it; follows splits.
    pub filled: i64,
    /// Sum of price x quantity x multiplier of its fills.
    pub notional: Cash,
    /// Where it stands.
    pub progress: Progress,
    /// When it was given.
    pub begin: Ns,
}

impl Standing {
    /// Average price of its fills; NaN before the first.
    #[must_use]
    pub fn average_price(&self, instrument: &Instrument) -> f64 {
        instrument.scale.average_price(self.notional, crate::money::Qty(self.filled))
    }
}

/// An order that an algorithm works.
#[derive(Clone, Debug)]
pub struct WorkedOrder {
    executor: Box<dyn Executor>,
    book: BookId,
    instrument: InstrumentId,
    side: Side,
    /// The whole, in quantity units; follows splits.
    quantity: i64,
    /// What has traded of it; follows splits.
    filled: i64,
    /// Sum of price x quantity x multiplier of its fills.
    notional: Cash,
    progress: Progress,
    begin: Ns,
    number: u32,
    tag: u32,
    calls: u64,
    rows_seen: usize,
    total_volume: f64,
    /// Orders that can still fill, oldest first.
    children: Vec<Child>,
}

impl WorkedOrder {
    /// Take over what its orders have traded since the last look, and forget those that ended.
    fn look(&mut self, state: &State) -> Result<()> {
        for child in &mut self.children {
            let order = state.order(child.id);
            self.filled = self.filled.saturating_add(order.filled - child.filled);
            let paid = order.filled_notional.minus(child.notional, "fills of a worked order")?;
            self.notional = self.notional.plus(paid, "fills of a worked order")?;
            (child.filled, child.notional) = (order.filled, order.filled_notional);
        }
        self.children.retain(|child| !state.has_ended(child.id));
        Ok(())
    }

    /// What its orders still have to trade; those with a cancel under way are not counted.
    fn working(&self, state: &State) -> i64 {
        let staying = self.children.iter().filter(|child| !child.is_leaving);
        staying.map(|child| state.order(child.id).leaves).sum()
    }

    fn context(&self, plan: &Plan, state: &State, market: &Market) -> ExecutorContext {
        let instrument = plan.instrument(self.instrument);
        let scale = &instrument.scale;
        let i = self.instrument.index();
        let averages = match self.executor.average_days() {
            0 => Averages::UNKNOWN,
            days => averages_before(plan, state, i, days),
        };
        let row = &market.row;
        let price = last_price(plan, state, i).map_or(f64::NAN, |price| scale.price_f64(price));
        let quotes = Missing::bits(&[(Missing::QUOTE, row.bid), (Missing::VOLUME, self.total_volume)]);
        let occasion = Occasion {
            model: STREAM,
            order: u64::from(self.number),
            attempt: u32::try_from(self.calls).unwrap_or(u32::MAX),
        };
        let drawn = if self.executor.draws() == 0 { [f64::NAN; 4] } else { occasion.uniforms(plan.seed) };
        let mut random = [f64::NAN; 4];
        let n = self.executor.draws().min(4);
        random[..n].copy_from_slice(&drawn[..n]);
        let side = if self.side == Side::Buy { 1 } else { -1 };
        ExecutorContext {
            header: Header {
                flags: quotes | averages.missing(),
                ..Header::of::<ExecutorContext>(side, self.instrument.0, state.now)
            },
            begin_ns: self.begin,
            call: self.calls,
            n_open_orders: u32::try_from(self.children.len()).unwrap_or(u32::MAX),
            reserved: 0,
            elapsed: sessions_between(&plan.calendars[instrument.calendar.index()], self.begin, state.now),
            quantity: scale.quantity_f64(self.quantity),
            filled: scale.quantity_f64(self.filled),
            working: scale.quantity_f64(self.working(state)),
            average_price: scale.average_price(self.notional, crate::money::Qty(self.filled)),
            price,
            bid: row.bid,
            ask: row.ask,
            bid_size: row.bid_size,
            ask_size: row.ask_size,
            volume: market.volume,
            total_volume: self.total_volume,
            average_volume: averages.volume,
            volatility: averages.volatility,
            lot_size: scale.quantity_f64(instrument.lot_size),
            tick_size: scale.price_f64(crate::money::Price(instrument.tick_size)),
            multiplier: scale.multiplier_f64(),
            random,
        }
    }

    /// Whether it has something to be asked about: it is new, or a row became readable.
    fn is_due(&self, rows: usize) -> bool {
        self.calls == 0 || rows > self.rows_seen
    }

    fn carry_out(&mut self, api: &mut Api<'_>, record: &OrderRecord) -> Result<()> {
        let instrument = api.plan.instrument(self.instrument);
        let author = author(api.state.now, &*self.executor, instrument);
        let child = |client_id: u64| {
            let found = self.children.iter().position(|child| client_id != 0 && child.client_id == client_id);
            found.ok_or_else(|| author.error(&format!("an order record names order {client_id}, which is not at work")))
        };
        match record.action {
            Action::NEW => {
                if record.group != 0 || record.parent != 0 {
                    return Err(author.error("its orders stand alone; an order record has a group or a parent"));
                }
                if child(record.client_id).is_ok() {
                    let number = record.client_id;
                    return Err(author.error(&format!(
                        "an order record has client_id {number}, and an order at work has it already"
                    )));
                }
                let sign = if self.side == Side::Buy { 1.0 } else { -1.0 };
                let asked = snapped(instrument, record.quantity * sign);
                let (quantity, is_exact) = author.quantity(instrument, api.plan.policies.lot_rounding, asked)?;
                let left = self.quantity - self.filled - self.working(api.state);
                if quantity > left {
                    let (found, left) = (record.quantity, instrument.scale.quantity_f64(left.max(0)) * sign);
                    return Err(author.error(&format!("it asks for {found} more, and {left} are left to send")));
                }
                let template = OrderRequest {
                    book: self.book,
                    tag: self.tag,
                    worked: self.number,
                    ..OrderRequest::market(self.instrument, self.side, quantity)
                };
                let request = author.request(instrument, template, record)?;
                let id = send(api, author, instrument, (request, is_exact), record)?;
                self.children.push(Child {
                    id,
                    client_id: record.client_id,
                    filled: 0,
                    notional: Cash::ZERO,
                    is_leaving: false,
                });
            }
            Action::CANCEL => {
                let at = child(record.client_id)?;
                api.cancel(self.children[at].id);
                self.children[at].is_leaving = true;
            }
            Action::MODIFY => {
                if !record.quantity.is_nan() {
                    return Err(author.error("it may change prices; cancel an order to change its quantity"));
                }
                let limit_price = author.price(instrument, "limit_price", record.limit_price)?;
                let stop_price = author.price(instrument, "stop_price", record.stop_price)?;
                let id = self.children[child(record.client_id)?].id;
                api.modify(id, Changes { limit_price, stop_price, ..Changes::default() })?;
            }
            other => {
                let text = format!("action {} of an order record; it may send, change and cancel orders", other.0);
                return Err(author.error(&text));
            }
        }
        Ok(())
    }

    /// Take back what is at work.
    fn end(&mut self, api: &mut Api<'_>, progress: Progress) {
        self.progress = progress;
        for child in &mut self.children {
            api.cancel(child.id);
            child.is_leaving = true;
        }
    }

    fn split(&mut self, state: &State, instrument: &Instrument, ratio: Ratio) -> Result<()> {
        self.look(state)?;
        let range = || SimError::overflow(format!("{}: a split takes a worked order out of range", instrument.symbol));
        let left = ratio.scale_down(self.quantity - self.filled).ok_or_else(range)?;
        self.filled = ratio.scale_down(self.filled).ok_or_else(range)?;
        self.quantity = (left - left % instrument.lot_size).checked_add(self.filled).ok_or_else(range)?;
        #[expect(clippy::cast_precision_loss, reason = "ratios of splits are small")]
        let factor = ratio.num as f64 / ratio.den as f64;
        self.total_volume *= factor;
        Ok(())
    }
}

/// An algorithm and its instrument, for messages.
fn author<'a>(now: Ns, executor: &'a dyn Executor, instrument: &'a Instrument) -> Author<'a> {
    Author { what: "executor", name: executor.name(), symbol: Some(&instrument.symbol), now }
}

/// A quantity, which was computed from the lot, as the multiple of it that it is but for noise.
fn snapped(instrument: &Instrument, quantity: f64) -> f64 {
    let lots = quantity / instrument.scale.quantity_f64(instrument.lot_size);
    // What is no number stays what it is.
    if lots.is_nan() || (lots - lots.round()).abs() > 1e-9 || lots.abs() > 9e15 {
        return quantity;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    let units = (lots.round() as i64).checked_mul(instrument.lot_size);
    units.map_or(quantity, |units| instrument.scale.quantity_f64(units))
}

/// Last quote, and what was traded since the last look.
struct Market {
    row: Quote,
    volume: f64,
}

struct Quote {
    bid: f64,
    ask: f64,
    bid_size: f64,
    ask_size: f64,
}

impl Market {
    fn read(plan: &Plan, state: &State, (i, feed): (usize, &Feed), (rows, from): (&[u32], usize)) -> Self {
        let nan = f64::NAN;
        let mut row = Quote { bid: nan, ask: nan, bid_size: nan, ask_size: nan };
        if let (FeedKind::Quote, Some(&last)) = (feed.data.kind, rows.last()) {
            let value = |column: usize| feed.value(column, last as usize);
            row = Quote {
                bid: value(quote::BID),
                ask: value(quote::ASK),
                bid_size: value(quote::BID_SIZE),
                ask_size: value(quote::ASK_SIZE),
            };
        }
        let has_volume = matches!(feed.data.kind, FeedKind::Bar | FeedKind::Trade);
        let new = rows.get(from..).unwrap_or(&[]).iter();
        let traded = new.fold(0.0, |sum, &row| sum + volume_in_todays_shares(plan, state, i, row as usize));
        Self { row, volume: if has_volume { traded } else { nan } }
    }
}

/// Time between two instants in sessions; what lies between sessions does not count.
fn sessions_between(sessions: &Sessions, from: Ns, to: Ns) -> f64 {
    let place = |t: Ns| {
        let k = sessions.closing_after(t).unwrap_or(sessions.close.len());
        let opened = sessions.open.get(k).copied().filter(|&open| open < t);
        #[expect(clippy::cast_precision_loss, reason = "a fraction of a session")]
        let part = opened.map_or(0.0, |open| (t - open) as f64 / (sessions.close[k] - open) as f64);
        (k, part)
    };
    let ((k0, part0), (k1, part1)) = (place(from), place(to));
    #[expect(clippy::cast_precision_loss, reason = "sessions are few")]
    let whole = k1.saturating_sub(k0) as f64;
    whole + (part1 - part0)
}

impl Api<'_> {
    /// Let an algorithm work an order of `request`'s side and quantity; its number, from 1.
    ///
    /// # Errors
    /// The quantity is not above zero, no feed fills orders of the instrument, or the algorithm cannot begin.
    pub fn execute(&mut self, request: &OrderRequest, mut executor: Box<dyn Executor>) -> Result<u32> {
        let instrument = self.plan.instrument(request.instrument);
        if request.quantity <= 0 || request.quantity % instrument.lot_size != 0 {
            let lot = instrument.scale.quantity_f64(instrument.lot_size);
            let found = instrument.scale.quantity_f64(request.quantity);
            return Err(SimError::order(format!(
                "{}: a worked order of {found}; it needs whole lots of {lot}, above zero",
                instrument.symbol
            )));
        }
        let rows = instrument.matching.ok_or_else(|| {
            SimError::order(format!("{}: no feed fills orders of it, so none can be worked", instrument.symbol))
        })?;
        let begun = executor.begin(self.plan.seed);
        begun
            .map_err(|text| SimError::model(format!("executor {}, {}: {text}", executor.name(), instrument.symbol)))?;
        let number = u32::try_from(self.state.worked.len() + 1)
            .map_err(|_| SimError::order("more than 4e9 worked orders".to_owned()))?;
        self.state.worked.push(WorkedOrder {
            executor,
            book: request.book,
            instrument: request.instrument,
            side: request.side,
            quantity: request.quantity,
            filled: 0,
            notional: Cash::ZERO,
            progress: Progress::Working,
            begin: self.state.now,
            number,
            tag: request.tag,
            calls: 0,
            rows_seen: self.state.readable_rows(self.plan, rows.index(), request.instrument.index()).len(),
            total_volume: 0.0,
            children: Vec::new(),
        });
        self.state.worked_now.push(number);
        Ok(number)
    }

    /// Take a worked order back, with its orders at work; false when it is over.
    ///
    /// # Errors
    /// A sum leaves its range.
    pub fn cancel_worked(&mut self, number: u32) -> Result<bool> {
        let mut worked = std::mem::take(&mut self.state.worked);
        let outcome = self.cancel_one(&mut worked, number);
        self.state.worked = worked;
        outcome
    }

    fn cancel_one(&mut self, worked: &mut [WorkedOrder], number: u32) -> Result<bool> {
        let Some(worked) = worked.get_mut(number as usize - 1).filter(|w| w.progress == Progress::Working) else {
            return Ok(false);
        };
        worked.look(self.state)?;
        worked.end(self, Progress::Canceled);
        Ok(true)
    }

    /// Ask every algorithm of `active` that has something new.
    fn work(&mut self, worked: &mut [WorkedOrder], active: &[u32]) -> Result<()> {
        let mut room = [OrderRecord::UNSET; MOST_RECORDS];
        let mut open = Vec::new();
        for &number in active {
            let order = &mut worked[number as usize - 1];
            order.look(self.state)?;
            if order.progress != Progress::Working {
                continue;
            }
            if order.filled >= order.quantity {
                order.end(self, Progress::Filled);
                continue;
            }
            let i = order.instrument.index();
            if self.state.delisted[i].is_some() {
                order.end(self, Progress::Canceled);
                continue;
            }
            let Some(id) = self.plan.instruments[i].matching else { continue };
            let rows = self.state.readable_rows(self.plan, id.index(), i);
            if !order.is_due(rows.len()) {
                continue;
            }
            let feed = self.plan.feed(id);
            let market = Market::read(self.plan, self.state, (i, feed), (rows, order.rows_seen));
            order.rows_seen = rows.len();
            order.total_volume += market.volume;
            let context = order.context(self.plan, self.state, &market);
            open.clear();
            let (plan, state) = (self.plan, &*self.state);
            open.extend(order.children.iter().map(|c| open_order(plan, &state.order(c.id), c.client_id)));
            order.calls += 1;
            room.fill(OrderRecord::UNSET);
            let answer = order.executor.ask(&context, &open, &mut room);
            match answer {
                Ok(Some(n)) => room[..n].iter().try_for_each(|record| order.carry_out(self, record))?,
                Ok(None) => order.end(self, Progress::Canceled),
                Err(text) => {
                    let instrument = &self.plan.instruments[i];
                    return Err(author(self.state.now, &*order.executor, instrument).error(&text));
                }
            }
        }
        Ok(())
    }
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Before what was asked for is taken in: algorithms send their orders after the strategy has sent its own.
    pub(crate) fn work_orders(&mut self) -> Result<()> {
        if self.state.worked_now.is_empty() {
            return Ok(());
        }
        let mut worked = std::mem::take(&mut self.state.worked);
        let mut active = std::mem::take(&mut self.state.worked_now);
        let outcome = self.api().work(&mut worked, &active);
        active.retain(|&number| worked[number as usize - 1].progress == Progress::Working);
        (self.state.worked, self.state.worked_now) = (worked, active);
        outcome
    }
}

impl State {
    /// A worked order as it stands now, with what its orders have traded since the algorithm was asked last.
    ///
    /// # Panics
    /// There is none of that number.
    #[must_use]
    pub fn worked(&self, number: u32) -> Standing {
        let order = &self.worked[number as usize - 1];
        let mut standing = Standing {
            instrument: order.instrument,
            side: order.side,
            quantity: order.quantity,
            filled: order.filled,
            notional: order.notional,
            progress: order.progress,
            begin: order.begin,
        };
        for child in &order.children {
            let own = self.order(child.id);
            standing.filled = standing.filled.saturating_add(own.filled - child.filled);
            // What leaves its range is told of when the order is asked about next.
            let paid = own.filled_notional.minus(child.notional, "").and_then(|new| standing.notional.plus(new, ""));
            standing.notional = paid.unwrap_or(standing.notional);
        }
        if standing.progress == Progress::Working && standing.filled >= standing.quantity {
            standing.progress = Progress::Filled;
        }
        standing
    }

    /// The orders that belong to a worked order.
    pub fn orders_of_worked(&self, number: u32) -> impl Iterator<Item = OrderId> {
        (0..self.orders.len() as u64).map(OrderId).filter(move |&id| self.orders.worked_of(id) == number)
    }

    /// Worked orders of an instrument follow a split, before their orders at work do.
    pub(crate) fn split_worked(&mut self, plan: &Plan, id: InstrumentId, ratio: Ratio) -> Result<()> {
        let mut worked = std::mem::take(&mut self.worked);
        let own = worked.iter_mut().filter(|order| order.instrument == id);
        let outcome = own.into_iter().try_for_each(|order| order.split(self, plan.instrument(id), ratio));
        self.worked = worked;
        outcome
    }
}

/// What the status of a call means: how many records count, `None` to give up.
///
/// # Errors
/// The text of an algorithm that failed.
pub(crate) fn answered(
    status: Status,
    n: usize,
    capacity: usize,
    last_error: impl FnOnce() -> String,
) -> core::result::Result<Option<usize>, String> {
    match status {
        Status::OK if n <= capacity => Ok(Some(n)),
        Status::OK => Err(format!("it wrote {n} orders where {capacity} have room")),
        Status::NO_OPINION | Status::DEFER => Ok(Some(0)),
        Status::REJECT => Ok(None),
        status => {
            let text = last_error();
            Err(if text.is_empty() { format!("it answered status {} and said nothing", status.0) } else { text })
        }
    }
}
