//! Everything of a run that changes.

use std::collections::BTreeMap;

use crate::batches::Batch;
use crate::carry::Accruals;
use crate::contingent::Links;
use crate::currency::BASE;
use crate::error::{Result, SimError};
use crate::exchange::Exchange;
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::ledger::Book;
use crate::margin::Margin;
use crate::marks::Marks;
use crate::money::Cash;
use crate::order::{Order, OrderStatus, Reason};
use crate::orders::{Found, Orders};
use crate::plan::{Action, Plan, Timer};
use crate::recall::Recalls;
use crate::recorder::{Fill, MarginCallRow, OrderEvent, PortfolioRow, Recorder};
use crate::replace::Changes;
use crate::roll::Rolls;
use crate::rules::PositionRules;
use crate::settlement::Settlements;
use crate::time::{NEVER, Ns};
use crate::tracked::Tracked;
use crate::worked::WorkedOrder;

/// Rows of one feed that became readable at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Which feed.
    pub feed: usize,
    /// First row, or first position in the feed's arrival order.
    pub from: usize,
    /// One past the last.
    pub to: usize,
    /// Whether `from` and `to` count positions in the arrival order.
    pub by_arrival: bool,
}

impl Block {
    /// Its row numbers, in delivery order.
    pub fn rows(self, plan: &Plan) -> impl Iterator<Item = usize> + use<'_> {
        let arrival = if self.by_arrival { plan.feeds[self.feed].arrival() } else { None };
        (self.from..self.to).map(move |k| arrival.map_or(k, |order| order[k] as usize))
    }
}

/// What a strategy may be told about its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An order changed its state.
    Order(OrderEvent),
    /// A fill was booked.
    Fill(Fill),
    /// A margin call, or what became of it.
    Margin(MarginCallRow),
}

/// What a strategy asked for since the last intake.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Check and accept an order that was submitted.
    Submit(OrderId),
    /// Take an order back.
    Cancel(OrderId),
    /// Change an order.
    Replace(OrderId, Box<Changes>),
    /// Guard the positions of a book with other rules.
    SetRules(BookId, PositionRules),
}

/// Why the strategy is called at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts about an instant")]
pub struct Causes {
    /// Market rows became readable.
    pub has_data: bool,
    /// Signals became readable.
    pub has_signals: bool,
    /// Timers are due.
    pub has_timers: bool,
    /// A session of the NAV calendar closed.
    pub closes_nav_session: bool,
}

/// A dividend that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub ts: Ns,
    pub book: BookId,
    pub instrument: InstrumentId,
    pub amount: Cash,
}

/// Numbers of an order that is refused because the instrument cannot keep them; NaN where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// Quantity, above zero.
    pub quantity: f64,
    /// Limit price.
    pub limit_price: f64,
    /// Stop price.
    pub stop_price: f64,
}

/// The changing half of a run; cloning it is a snapshot.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a run and its instant")]
pub struct State {
    /// Current instant.
    pub now: Ns,
    /// Accounts.
    pub books: Vec<Book>,
    /// Sum of the permanent impact of all fills so far in each instrument, in price units, up for buys.
    pub displacement: Vec<i64>,
    /// Whether fills are kept for a kernel that wants them, and those since its last call.
    pub keeps_fills: bool,
    /// Fills since the last call of such a kernel.
    pub told: Vec<ml4t_abi::FillEvent>,
    /// Orders that algorithms work, by number from 1.
    pub(crate) worked: Vec<WorkedOrder>,
    /// Those whose algorithms go on, in the sequence in which they were given.
    pub(crate) worked_now: Vec<u32>,
    /// Position rules of each book.
    pub rules: Vec<PositionRules>,
    /// All orders ever submitted, by id.
    pub orders: Orders,
    /// Orders that were refused, in the sequence of it.
    pub rejected: Vec<OrderId>,
    /// Sentences of reasons that have details; orders and their events name them by number, from 1.
    sentences: Vec<String>,
    /// Who waits for whom, and who belongs together.
    pub(crate) links: Links,
    /// Orders that name the lots they close, by the order that opened those.
    pub(crate) named_lots: BTreeMap<OrderId, OrderId>,
    /// What was asked for by orders whose numbers the instrument cannot keep, in sequence.
    pub asked: Vec<(OrderId, Asked)>,
    /// Not yet delivered to the strategy.
    pub notices: Vec<Notice>,
    /// Not yet taken in.
    pub commands: Vec<Command>,
    /// Why the strategy is called now.
    pub causes: Causes,
    /// Rows that became readable now, in tie order.
    pub blocks: Vec<Block>,
    /// Signals that became readable now.
    pub new_signals: (usize, usize),
    /// Timers that are due now.
    pub due_timers: Vec<Timer>,
    /// Completed rows of each instrument, per feed.
    pub completed: Vec<Vec<u32>>,
    /// Readable rows of each instrument, for feeds with arrivals.
    readable: Vec<Option<Vec<u32>>>,
    /// Whether there is such a feed.
    pub(crate) has_arrivals: bool,
    /// Position in the arrival order of each feed.
    pub(crate) arrived: Vec<usize>,
    /// Signals delivered so far.
    pub(crate) signals_seen: usize,
    /// Last signal of each (instrument, name), as row + 1; 0 for none.
    latest_signal: Vec<u32>,
    pub(crate) actions_seen: usize,
    /// When the instruments ended that have.
    pub(crate) delisted: Vec<Option<Ns>>,
    pub(crate) sessions_seen: Vec<usize>,
    pub(crate) payments: Vec<Payment>,
    /// What the next close accrues on.
    pub(crate) accruals: Accruals,
    /// Borrowed shares that are lent no longer.
    pub(crate) recalls: Recalls,
    /// How far positions were rolled.
    pub(crate) rolls: Rolls,
    /// Payments from and to outside so far.
    pub(crate) flows_seen: usize,
    /// How far positions that are not paid for were settled.
    pub(crate) settlements: Settlements,
    /// Rates of currencies in force, and conversions to come.
    pub exchange: Exchange,
    /// What portfolios need, and calls for what they lack.
    pub margin: Margin,
    /// Cancels (`None`) and changes on their way to the venue, by arrival.
    pub(crate) requests: Vec<(Ns, OrderId, Option<Box<Changes>>)>,
    /// Sorted by time.
    pub(crate) timers: Vec<Timer>,
    pub(crate) timers_seen: usize,
    /// Positions that are to be valued before anybody looks.
    pub(crate) marks: Marks,
    /// Indicators that the run keeps up to date.
    pub tracked: Vec<Tracked>,
    /// Rows that wait for the end of their windows.
    pub batches: Vec<Batch>,
    /// Windows that are over now, by the number of their batch, each with its rows.
    pub due_batches: Vec<(usize, Block)>,
    /// Number of the next fill.
    pub fills: u64,
    /// Next instant of phases 3 to 7.
    pub(crate) due: Ns,
    /// Whether the opens of this instant are past: what is sent now meets only later data.
    pub(crate) is_after_opens: bool,
    /// Whether phases 3 to 7 ran at this instant.
    pub(crate) had_due: bool,
    /// First instant that is due for a portfolio row.
    pub(crate) next_record: Ns,
    /// The instrument being dealt with, for the message of an internal error.
    pub at: Option<InstrumentId>,
    /// Phase in which to panic, 12 for the end of the run; 0 for none.
    #[cfg(feature = "fault-injection")]
    pub fault: u8,
}

impl State {
    /// The state before the first event; the opening deposit is posted by the engine.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let instruments = plan.instruments.len();
        let names = plan.signals.as_ref().map_or(0, |s| s.names.len());
        let width = |feed: &crate::plan::Feed| if feed.data.instrument.is_empty() { 1 } else { instruments };
        let start = plan.span().map_or(0, |(first, _)| first);
        Self {
            now: i64::MIN,
            books: (0..plan.books)
                .map(|b| Book::new(BookId(b), &plan.instruments, plan.currencies.names().len()))
                .collect(),
            displacement: vec![0; instruments],
            keeps_fills: false,
            told: Vec::new(),
            worked: Vec::new(),
            worked_now: Vec::new(),
            rules: vec![PositionRules::default(); usize::from(plan.books)],
            orders: Orders::default(),
            rejected: Vec::new(),
            sentences: Vec::new(),
            links: Links::default(),
            named_lots: BTreeMap::new(),
            asked: Vec::new(),
            notices: Vec::new(),
            commands: Vec::new(),
            causes: Causes::default(),
            blocks: Vec::new(),
            new_signals: (0, 0),
            due_timers: Vec::new(),
            completed: plan.feeds.iter().map(|f| vec![0; width(f)]).collect(),
            readable: plan.feeds.iter().map(|f| f.arrival().map(|_| vec![0; width(f)])).collect(),
            has_arrivals: plan.feeds.iter().any(|feed| feed.arrival().is_some()),
            arrived: vec![0; plan.feeds.len()],
            signals_seen: 0,
            latest_signal: vec![0; instruments * names],
            actions_seen: 0,
            delisted: vec![None; instruments],
            // Sessions that closed when the run begins, or before, are not part of it.
            sessions_seen: plan.calendars.iter().map(|c| c.close.partition_point(|&t| t <= start)).collect(),
            payments: Vec::new(),
            accruals: Accruals::default(),
            recalls: Recalls::default(),
            rolls: Rolls::default(),
            flows_seen: plan.flows.partition_point(|flow| flow.ts <= start),
            settlements: Settlements::new(plan, start),
            exchange: Exchange::idle(&plan.currencies),
            margin: Margin::default(),
            requests: Vec::new(),
            timers: Vec::new(),
            timers_seen: 0,
            marks: Marks::new(instruments),
            tracked: Vec::new(),
            batches: Vec::new(),
            due_batches: Vec::new(),
            fills: 0,
            due: NEVER,
            is_after_opens: false,
            had_due: false,
            next_record: i64::MIN,
            at: None,
            #[cfg(feature = "fault-injection")]
            fault: 0,
        }
    }

    /// Panic here if a test asked for it; nothing without the feature `fault-injection`.
    #[cfg_attr(not(feature = "fault-injection"), expect(clippy::unused_self, reason = "nothing to look at"))]
    pub(crate) const fn fault_point(&self, phase: u8) {
        #[cfg(feature = "fault-injection")]
        assert!(self.fault != phase, "a fault injected by a test");
        #[cfg(not(feature = "fault-injection"))]
        let _ = phase;
    }

    /// Corporate actions of an instrument that have happened since a row of that time was complete, the oldest first.
    pub(crate) fn actions_since<'a>(&self, plan: &'a Plan, i: usize, ts: Ns) -> impl Iterator<Item = &'a Action> {
        let seen = &plan.actions[..self.actions_seen];
        let from = seen.partition_point(|action| action.ts < ts);
        seen[from..].iter().filter(move |action| action.instrument.index() == i)
    }

    /// Last completed row of an instrument in a feed: what matching and marks may use.
    #[must_use]
    pub fn completed_row(&self, plan: &Plan, feed: usize, instrument: usize) -> Option<usize> {
        let seen = self.completed[feed][instrument] as usize;
        (seen > 0).then(|| plan.feeds[feed].rows_of(instrument)[seen - 1] as usize)
    }

    /// Last completed row of an instrument in a feed that does not lie in a break of its calendar.
    pub(crate) fn traded_row(&self, plan: &Plan, feed: usize, instrument: usize) -> Option<usize> {
        let seen = self.completed[feed][instrument] as usize;
        let feed = &plan.feeds[feed];
        feed.rows_of(instrument)[..seen].iter().map(|&row| row as usize).rfind(|&row| !feed.is_resting(row))
    }

    /// First row of an instrument that is not complete.
    #[must_use]
    pub fn next_row(&self, plan: &Plan, feed: usize, instrument: usize) -> Option<usize> {
        let seen = self.completed[feed][instrument] as usize;
        plan.feeds[feed].rows_of(instrument).get(seen).map(|&row| row as usize)
    }

    /// Rows of an instrument that a strategy may read, in time order.
    #[must_use]
    pub fn readable_rows<'p>(&self, plan: &'p Plan, feed: usize, instrument: usize) -> &'p [u32] {
        let counts = self.readable[feed].as_ref().unwrap_or(&self.completed[feed]);
        let seen = counts.get(instrument).map_or(0, |&n| n as usize);
        &plan.feeds[feed].rows_of(instrument)[..seen]
    }

    /// Last row of an instrument that a strategy may read.
    #[must_use]
    pub fn readable_row(&self, plan: &Plan, feed: usize, instrument: usize) -> Option<usize> {
        self.readable_rows(plan, feed, instrument).last().map(|&row| row as usize)
    }

    pub(crate) fn count_arrival(&mut self, feed: usize, instrument: usize) {
        if let Some(counts) = &mut self.readable[feed] {
            counts[instrument] += 1;
        }
    }

    /// Last signal row of an instrument and name that a strategy may read.
    #[must_use]
    pub fn signal_row(&self, plan: &Plan, instrument: usize, name: usize) -> Option<usize> {
        let names = plan.signals.as_ref()?.names.len();
        let row = *self.latest_signal.get(instrument * names + name)?;
        (row > 0).then(|| row as usize - 1)
    }

    pub(crate) fn set_signal(&mut self, slot: usize, row: usize) -> Result<()> {
        let row = u32::try_from(row + 1).map_err(|_| SimError::data("more than 4e9 signals".to_owned()))?;
        self.latest_signal[slot] = row;
        Ok(())
    }

    /// The book of that id.
    #[must_use]
    pub fn book(&self, id: BookId) -> &Book {
        &self.books[usize::from(id.0)]
    }

    /// The order of that id.
    #[must_use]
    #[inline]
    pub fn order(&self, id: OrderId) -> Found<'_> {
        self.orders.of(id)
    }

    /// Whether nothing more can happen to an order.
    #[must_use]
    #[inline]
    pub fn has_ended(&self, id: OrderId) -> bool {
        self.orders.has_ended(id)
    }

    /// Quantity, limit and stop price of an order as they were asked for; NaN where there is none.
    #[must_use]
    pub fn asked(&self, plan: &Plan, id: OrderId) -> Asked {
        let order = self.order(id);
        if order.refusal.is_some()
            && let Ok(found) = self.asked.binary_search_by_key(&id, |asked| asked.0)
        {
            return self.asked[found].1;
        }
        let scale = &plan.instrument(order.request.instrument).scale;
        let price = |p: Option<crate::money::Price>| p.map_or(f64::NAN, |p| scale.price_f64(p));
        Asked {
            quantity: scale.quantity_f64(order.request.quantity),
            limit_price: price(order.request.limit_price),
            stop_price: price(order.request.stop_price),
        }
    }

    pub(crate) fn order_mut(&mut self, id: OrderId) -> &mut Order {
        debug_assert!(!self.orders.is_put_away(id), "order {}: what is kept of it changes no more", id.0 + 1);
        self.orders.of_mut(id)
    }

    /// The market does not stand anywhere inside a bar any more.
    pub(crate) fn forget_stand(&mut self, id: OrderId) {
        if !self.has_ended(id) {
            self.order_mut(id).stood_at = None;
        }
    }

    /// Change an order's state, record it and tell the strategy.
    pub(crate) fn move_order<R: Recorder>(
        &mut self,
        id: OrderId,
        to: OrderStatus,
        reason: Reason,
        recorder: &mut R,
    ) -> Result<()> {
        self.transit(id, (to, reason, 0), recorder)
    }

    /// The same with a sentence of this transition alone, also where the order goes on.
    pub(crate) fn move_order_saying<R: Recorder>(
        &mut self,
        id: OrderId,
        to: OrderStatus,
        (reason, sentence): (Reason, String),
        recorder: &mut R,
    ) -> Result<()> {
        let said = self.say(sentence);
        self.transit(id, (to, reason, said), recorder)
    }

    fn transit<R: Recorder>(
        &mut self,
        id: OrderId,
        (to, reason, said): (OrderStatus, Reason, u32),
        recorder: &mut R,
    ) -> Result<()> {
        let now = self.now;
        let order = self.orders.of_mut(id);
        if said != 0 && to.is_terminal() {
            order.text = said;
        }
        let from = order.become_status(id, to, reason, now)?;
        if to == OrderStatus::Rejected {
            self.rejected.push(id);
        }
        if to.is_terminal() {
            if order.is_linked {
                self.links.ended.push(id);
            }
            self.links.waiting.remove(&id);
            let reserved = std::mem::take(&mut order.reserved);
            let whose = (order.request.book, order.request.instrument);
            self.set_aside(whose, Cash(-reserved.0))?;
            self.orders.close(id);
        }
        let order = self.orders.of(id);
        let text = if to.is_terminal() { order.text } else { said };
        let event = OrderEvent { ts: now, order: id, from, to, reason, text, filled: order.filled };
        recorder.order_event(&event);
        self.notices.push(Notice::Order(event));
        Ok(())
    }

    /// Say in detail why an order is about to end.
    pub(crate) fn explain(&mut self, id: OrderId, text: String) {
        let text = self.say(text);
        self.order_mut(id).text = text;
    }

    /// Keep a sentence; its number.
    pub(crate) fn say(&mut self, text: String) -> u32 {
        self.sentences.push(text);
        u32::try_from(self.sentences.len()).unwrap_or(0)
    }

    /// The sentence of a reason, or the one with details of that number.
    #[must_use]
    pub fn sentence(&self, reason: Reason, text: u32) -> &str {
        let number = (text as usize).checked_sub(1);
        number.and_then(|k| self.sentences.get(k)).map_or(reason.sentence(), String::as_str)
    }

    /// Write down something about an order that leaves its state as it is, and tell the strategy.
    pub(crate) fn note<R: Recorder>(&mut self, id: OrderId, (reason, text): (Reason, u32), recorder: &mut R) {
        let order = self.order(id);
        let (status, filled) = (order.status, order.filled);
        let event = OrderEvent { ts: self.now, order: id, from: status, to: status, reason, text, filled };
        recorder.order_event(&event);
        self.notices.push(Notice::Order(event));
    }

    /// Ask to be called at the given times; merged with those already asked for.
    ///
    /// # Errors
    /// A time is not after the present.
    pub fn add_timers(&mut self, times: &[Ns], callback: u32) -> Result<()> {
        if times.iter().any(|&ts| ts <= self.now || ts == NEVER) {
            return Err(SimError::state("a timer must lie after the present instant".to_owned()));
        }
        self.timers.drain(..std::mem::take(&mut self.timers_seen));
        self.timers.extend(times.iter().map(|&ts| Timer { ts, callback }));
        self.timers.sort();
        self.due = self.due.min(self.timers.first().map_or(NEVER, |t| t.ts));
        Ok(())
    }

    /// Set so much more of the currency of an instrument aside; below zero, less.
    pub(crate) fn set_aside(&mut self, (book, id): (BookId, InstrumentId), more: Cash) -> Result<()> {
        let book = &mut self.books[usize::from(book.0)];
        let (currency, is_margined) = (book.positions[id.index()].currency, book.positions[id.index()].is_margined);
        // What a margin model needs is of the base currency, and of one kind.
        let (currency, is_margined) = if self.margin.is_on() { (BASE, false) } else { (currency, is_margined) };
        let purse = book.purse_mut(currency);
        let reserved = if is_margined { &mut purse.reserved_margined } else { &mut purse.reserved };
        *reserved = reserved.plus(more, "buying power")?;
        Ok(())
    }

    /// What all books are worth together, in the base currency.
    ///
    /// # Errors
    /// A rate is missing, or a sum leaves the range of a ledger entry.
    pub fn equity(&self) -> Result<Cash> {
        let worth = |sum: Cash, book: &Book| sum.plus(book.equity(&self.exchange.quotes)?, "equity");
        self.books.iter().try_fold(Cash::ZERO, worth)
    }

    /// The account now, all books together, in the base currency.
    pub(crate) fn portfolio(&self, session: Option<i32>) -> Result<PortfolioRow> {
        let quotes = &self.exchange.quotes;
        let mut sums = [Cash::ZERO; 14];
        for book in &self.books {
            for (sum, part) in sums.iter_mut().zip(book.purse(BASE).parts()?) {
                *sum = sum.plus(part, "portfolio")?;
            }
            for (currency, purse) in book.foreign() {
                for (sum, part) in sums.iter_mut().zip(purse.parts()?) {
                    *sum = sum.plus(quotes.to_base(currency, part)?, "portfolio")?;
                }
            }
        }
        let [cash, receivable, long_value, short_value, cost, realized, fees, dividends, carry, fx, fx_costs, ..] =
            sums;
        let [.., open_pnl, margined_long, margined_short] = sums;
        let (ts, equity) = (self.now, self.equity()?);
        Ok(PortfolioRow {
            ts,
            session,
            cash,
            receivable,
            long_value,
            short_value,
            open_pnl,
            margined_long,
            margined_short,
            equity,
            cost,
            realized,
            fees,
            dividends,
            carry,
            fx,
            fx_costs,
        })
    }
}
