//! Where equity does not reach: warnings, margin calls and their deadlines, and what is closed then.
//!
//! Margin is checked in phase 5, before a net asset value is recorded, and again after the opens of the instant. Each check
//! compares a book with what its positions need; what follows is a row of `margin_calls`, and orders of the engine.

use std::sync::{Mutex, PoisonError};

use ml4t_abi::{Header, Holding, LiquidationContext, LiquidationOutput, Status};

use crate::engine::Simulator;
use crate::error::{Result, SimError, shown};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::ledger::Account;
use crate::margin::{About, Requirement, WHAT};
use crate::models::{LiquidationModel, cannot_begin, said};
use crate::money::{Cash, Price};
use crate::plan::Plan;
use crate::queue::Source;
use crate::recorder::{MarginCallRow, MarginRow, Recorder};
use crate::rules::RuleKind;
use crate::state::{Notice, State};
use crate::time::{Ns, render};
use crate::venue::{Desk, Venue};

/// Which requirement equity does not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// To hold the positions.
    Maintenance,
    /// To hold them over the close of a session.
    Overnight,
    /// To hold one of them on an exchange, which closes it at that price.
    LiquidationPrice,
}

impl CallKind {
    /// Name in the table of calls.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Overnight => "overnight",
            Self::LiquidationPrice => "liquidation_price",
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// Equity comes near to what is needed.
    Warning,
    /// It does not reach.
    Issued,
    /// It does again.
    Met,
    /// Positions are closed.
    Liquidation,
}

impl CallStatus {
    /// Name in the table of calls.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Issued => "issued",
            Self::Met => "met",
            Self::Liquidation => "liquidation",
        }
    }
}

/// A special memorandum account: what the test at the close goes by under Regulation T.
#[derive(Clone, Debug, Default)]
struct Memorandum {
    balance: Cash,
    /// By currency: cash and receivables that trades since the close before would have left of those at it, if nothing
    /// else had moved them.
    expected: Vec<Cash>,
    /// What the trades since need more.
    needed: Cash,
}

/// Calls of a book.
pub(crate) struct Calls {
    liquidation: Option<Mutex<LiquidationModel>>,
    /// Deadlines of the calls that are open, by kind.
    open: [Option<Ns>; 2],
    is_warned: bool,
    memorandum: Memorandum,
    /// Orders of the last liquidation.
    orders: Vec<OrderId>,
}

impl Calls {
    /// None yet, and a liquidation model of its own.
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let mut liquidation = plan.models.liquidation.as_ref().map(|model| model.boxed_clone());
        if let Some(model) = &mut liquidation {
            model.reset(plan.seed).map_err(|text| cannot_begin(model.name(), &text))?;
        }
        let liquidation = liquidation.map(Mutex::new);
        Ok(Self {
            liquidation,
            open: [None; 2],
            is_warned: false,
            memorandum: Memorandum {
                expected: vec![Cash::ZERO; plan.currencies.names().len()],
                ..Memorandum::default()
            },
            orders: Vec::new(),
        })
    }
}

impl Clone for Calls {
    fn clone(&self) -> Self {
        let copy = |model: &Mutex<LiquidationModel>| {
            Mutex::new(model.lock().unwrap_or_else(PoisonError::into_inner).boxed_clone())
        };
        let (liquidation, orders) = (self.liquidation.as_ref().map(copy), self.orders.clone());
        let memorandum = self.memorandum.clone();
        Self { liquidation, orders, open: self.open, is_warned: self.is_warned, memorandum }
    }
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Calls(open: {:?}, warned: {})", self.open, self.is_warned)
    }
}

/// A book at a check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    book: BookId,
    equity: Cash,
    needs: Requirement,
    is_empty: bool,
}

impl State {
    /// Write down a call, or what became of it, and tell the strategy.
    pub(crate) fn record_call<R: Recorder>(&mut self, row: MarginCallRow, recorder: &mut R) {
        recorder.margin_call(&row);
        self.notices.push(Notice::Margin(row));
    }

    fn check_margin(&self, plan: &Plan, book: BookId) -> Result<Checked> {
        let about = About::of(plan, self, book);
        let (_, equity) = about.worth()?;
        let is_empty = about.book.holdings().next().is_none();
        let needs = if is_empty { Requirement::default() } else { self.margin.of_book(&about)? };
        Ok(Checked { book, equity, needs, is_empty })
    }

    /// A fill was booked: what a special memorandum account counts of it. `before` is the position before it, `notional` its
    /// signed value in the currency of its instrument.
    pub(crate) fn note_for_memorandum(
        &mut self,
        plan: &Plan,
        (book, id): (BookId, InstrumentId),
        before: i64,
        (price, notional): (Price, Cash),
    ) -> Result<()> {
        if !plan.margin.has_sma {
            return Ok(());
        }
        let about = About::of(plan, self, book);
        let position = &about.book.positions[id.index()];
        let needs = |quantity: i64| -> Result<Cash> {
            Ok(self.margin.alone(&about, id, quantity, price)?.overnight.unwrap_or(Cash::ZERO))
        };
        let more = needs(position.quantity)?.minus(needs(before)?, WHAT)?;
        let (paid, currency) = (if position.is_margined { Cash::ZERO } else { notional }, position.currency);
        let memorandum = &mut self.margin.calls[book.index()].memorandum;
        memorandum.needed = memorandum.needed.plus(more, WHAT)?;
        let expected = &mut memorandum.expected[currency.index()];
        *expected = expected.minus(paid, WHAT)?;
        Ok(())
    }
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Compare every book with what its positions need.
    pub(crate) fn check_margins(&mut self) -> Result<()> {
        if !self.state.margin.is_on() {
            return Ok(());
        }
        self.settle_marks()?;
        self.state.at = None;
        self.state.margin.closing.clear();
        if self.plan.margin.at_price.is_some() {
            let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
            return self.venue.test_marks(&mut desk);
        }
        let now = self.state.now;
        let closes = !self.state.is_after_opens && self.nav_session_closing(now).is_some();
        for book in (0..self.plan.books).map(BookId) {
            let checked = self.state.check_margin(&self.plan, book)?;
            let (equity, needed) = (checked.equity, checked.needs.maintenance);
            let lacks = (!checked.is_empty && equity < needed).then(|| needed.minus(equity, WHAT)).transpose()?;
            self.follow_call(&checked, (CallKind::Maintenance, needed), lacks)?;
            if lacks.is_none() {
                self.warn(&checked);
            }
            if closes {
                self.test_at_close(&checked)?;
                self.state.margin.closing.push(checked);
            }
        }
        Ok(())
    }

    fn record_call(&mut self, row: MarginCallRow) {
        self.state.record_call(row, &mut self.recorder);
    }

    fn warn(&mut self, checked: &Checked) {
        let Some(at) = self.plan.margin.warn_at else { return };
        let (equity, needed) = (checked.equity, checked.needs.maintenance);
        let is_near = !checked.is_empty && needed.to_f64() > at * equity.to_f64();
        let calls = &mut self.state.margin.calls[checked.book.index()];
        let was_warned = std::mem::replace(&mut calls.is_warned, is_near);
        if is_near && !was_warned {
            let (ts, book, kind, status) = (self.state.now, checked.book, CallKind::Maintenance, CallStatus::Warning);
            let (requirement, amount) = (needed, Cash::ZERO);
            self.record_call(MarginCallRow { ts, book, kind, status, equity, requirement, amount, deadline: None });
        }
    }

    /// The test at the close of a session of the NAV calendar.
    fn test_at_close(&mut self, checked: &Checked) -> Result<()> {
        let book = checked.book;
        let overnight = if checked.is_empty { Some(Cash::ZERO) } else { checked.needs.overnight };
        let Some(needed) = overnight else { return Ok(()) };
        let mut excess = checked.equity.minus(needed, WHAT)?;
        if self.plan.margin.has_sma {
            let State { books, exchange, margin, .. } = &mut self.state;
            let memorandum = &mut margin.calls[book.index()].memorandum;
            let mut carried = memorandum.balance.minus(memorandum.needed, WHAT)?;
            for (currency, purse) in books[book.index()].purses() {
                // A dividend counts from its ex-date on, as it does in equity.
                let has = purse.cash().plus(purse.balance(Account::Receivable), WHAT)?;
                let expected = std::mem::replace(&mut memorandum.expected[currency.index()], has);
                carried = carried.plus(exchange.quotes.to_base(currency, has.minus(expected, WHAT)?)?, WHAT)?;
            }
            excess = carried.max(excess);
            (memorandum.balance, memorandum.needed) = (excess, Cash::ZERO);
        }
        let lacks = (!checked.is_empty && excess < Cash::ZERO).then_some(Cash(-excess.0));
        self.follow_call(checked, (CallKind::Overnight, needed), lacks)
    }

    /// Issue a call, say that it is met, or close positions at its deadline.
    fn follow_call(
        &mut self,
        checked: &Checked,
        (kind, requirement): (CallKind, Cash),
        lacks: Option<Cash>,
    ) -> Result<()> {
        let (now, book, grace) = (self.state.now, checked.book, self.plan.margin.grace);
        let open = &mut self.state.margin.calls[book.index()].open[kind as usize];
        let row = |status: CallStatus, amount: Cash, deadline: Option<Ns>| {
            let equity = checked.equity;
            MarginCallRow { ts: now, book, kind, status, equity, requirement, amount, deadline }
        };
        let Some(lacks) = lacks else {
            // An account that owes money has met nothing, though nothing is left that needs margin.
            if checked.equity >= Cash::ZERO && open.take().is_some() {
                self.record_call(row(CallStatus::Met, Cash::ZERO, None));
            }
            return Ok(());
        };
        let was_open = open.is_some();
        let deadline = *open.get_or_insert(now.saturating_add(grace));
        if !was_open {
            self.record_call(row(CallStatus::Issued, lacks, Some(deadline)));
        }
        let orders = &self.state.margin.calls[book.index()].orders;
        if deadline > now || orders.iter().any(|&id| !self.state.has_ended(id)) {
            return Ok(());
        }
        let closes = what_to_close(&self.plan, &self.state, checked, kind, lacks)?;
        if closes.is_empty() {
            return Ok(());
        }
        self.record_call(row(CallStatus::Liquidation, lacks, Some(deadline)));
        let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
        self.venue.clear_book(&mut desk, book)?;
        let mut orders = Vec::with_capacity(closes.len());
        for (instrument, quantity) in closes {
            orders.push(self.venue.close_for(&mut desk, (book, instrument), (quantity, RuleKind::Liquidation))?);
        }
        self.state.margin.calls[book.index()].orders = orders;
        Ok(())
    }

    /// Write down what every book needs, at a net asset value.
    pub(crate) fn record_margins(&mut self, session: i32) -> Result<()> {
        if !self.state.margin.is_on() {
            return Ok(());
        }
        // Between the check at a close and the row of it nothing is traded, and nothing has another price.
        let mut closing = std::mem::take(&mut self.state.margin.closing);
        for book in (0..self.plan.books).map(BookId) {
            let checked = closing.get(book.index()).copied();
            let checked = checked.map_or_else(|| self.state.check_margin(&self.plan, book), Ok)?;
            let Checked { equity, needs, .. } = checked;
            let memorandum = self.state.margin.calls[book.index()].memorandum.balance;
            self.recorder.margin(&MarginRow {
                ts: self.state.now,
                session,
                book,
                equity,
                initial: needs.initial,
                maintenance: needs.maintenance,
                overnight: needs.overnight,
                excess: equity.minus(needs.maintenance, WHAT)?,
                sma: self.plan.margin.has_sma.then_some(memorandum),
            });
        }
        closing.clear();
        self.state.margin.closing = closing;
        Ok(())
    }
}

/// Units to close of each instrument, signed as the order that closes them, by instrument.
fn what_to_close(
    plan: &Plan,
    state: &State,
    checked: &Checked,
    kind: CallKind,
    deficit: Cash,
) -> Result<Vec<(InstrumentId, i64)>> {
    let about = About::of(plan, state, checked.book);
    let Some(model) = &state.margin.calls[checked.book.index()].liquidation else { return Ok(Vec::new()) };
    let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
    // What is needed over night has no parts of its own: those of maintenance stand for them.
    let share = match (kind, checked.needs.overnight) {
        (CallKind::Overnight, Some(overnight)) if checked.needs.maintenance > Cash::ZERO => {
            overnight.to_f64() / checked.needs.maintenance.to_f64()
        }
        _ => 1.0,
    };
    let mut holdings: Vec<Holding> = Vec::new();
    for (mut holding, maintenance) in state.margin.each_of_book(&about)? {
        let position = &about.book.positions[holding.asset as usize];
        let gained = position.value.minus(position.carried_at(), WHAT)?;
        holding.unrealized = about.quotes.to_base(position.currency, gained)?.to_f64();
        holding.requirement = maintenance.to_f64() * share;
        holdings.push(holding);
    }
    let context = LiquidationContext {
        header: Header::of::<LiquidationContext>(0, 0, about.now),
        cash: about.book.all_cash(about.quotes)?.to_f64(),
        equity: checked.equity.to_f64(),
        deficit: deficit.to_f64(),
    };
    let mut amounts = vec![f64::NAN; holdings.len()];
    let mut output = LiquidationOutput::UNSET;
    let status = model.eval(&context, &holdings, &mut amounts, &mut output);
    let fail = |text: String| {
        let at = render(about.now);
        SimError::model(format!("model {}, book {}, {at}: liquidation: {text}", model.name(), checked.book.0))
    };
    if status != Status::OK {
        return Err(fail(said(status, &model.last_error())));
    }
    let mut closes = Vec::new();
    for (holding, &amount) in holdings.iter().zip(&amounts) {
        let id = InstrumentId(holding.asset);
        let instrument = plan.instrument(id);
        if !(amount >= 0.0 && amount.is_finite()) {
            let symbol = &instrument.symbol;
            return Err(fail(format!("close of {symbol} {} must be finite, and zero or more", shown(amount))));
        }
        let held = about.book.positions[id.index()].quantity;
        let units = instrument.scale.quantity_ceil(amount, instrument.lot_size);
        let units = units.map_or(held.abs(), |units| units.min(held.abs()));
        if units > 0 {
            closes.push((id, -units * held.signum()));
        }
    }
    Ok(closes)
}
