//! Margin: what a portfolio needs, and what that leaves to open more.
//!
//! A model says what a whole portfolio needs, in the base currency; equity beyond it is free. A requirement is a function
//! of the portfolio alone, so that the model is asked through a shared reference. [`crate::margin_call`] says what
//! follows where equity does not reach.

use std::cell::OnceCell;
use std::sync::{Mutex, PoisonError};

use ml4t_abi::{Header, Holding, MarginContext, MarginOutput, Status};

use crate::account::known_price;
use crate::currency::Quotes;
use crate::error::{Result, SimError, shown};
use crate::exchange::Exchange;
use crate::ids::{BookId, InstrumentId};
use crate::ledger::Book;
use crate::liquidation_price::AtPrice;
use crate::margin_call::{Calls, Checked};
use crate::models::{MarginModel, cannot_begin, said};
use crate::money::{Cash, Price};
use crate::plan::Plan;
use crate::state::State;
use crate::time::{Ns, render};

pub(crate) const WHAT: &str = "margin";
/// Amounts that a ledger entry holds at any posting quantum.
const SURELY_MONEY: std::ops::Range<f64> = 0.0..1e18;

/// What data say about the margin of an instrument, in its currency.
#[derive(Clone, Copy, Debug)]
pub struct MarginRate {
    /// From when on.
    pub ts: Ns,
    /// Of which instrument.
    pub instrument: InstrumentId,
    /// To open a unit; NaN where it is not known.
    pub initial: f64,
    /// To hold it; likewise.
    pub maintenance: f64,
}

/// Check the sequence of margin rates.
///
/// # Errors
/// Names the row.
pub(crate) fn validate(rates: &[MarginRate], plan: &Plan) -> Result<()> {
    if let Some(k) = rates.iter().position(|row| row.instrument.index() >= plan.instruments.len()) {
        return Err(SimError::data(format!("margin rates, row {k}: its instrument does not exist")));
    }
    let place = |row: &MarginRate| (row.ts, row.instrument);
    if let Some(k) = rates.windows(2).position(|pair| place(&pair[0]) >= place(&pair[1])) {
        return Err(SimError::data(format!(
            "margin rates must be sorted by time and instrument without duplicates: row {} is not after the one before it",
            k + 1
        )));
    }
    Ok(())
}

/// What a margin model says about itself, and a liquidation model.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarginTerms {
    /// Whether the test at the close goes by a special memorandum account.
    pub has_sma: bool,
    /// From a call to its deadline.
    pub grace: Ns,
    /// The part of equity from which on maintenance is warned of.
    pub warn_at: Option<f64>,
    /// How the exchange closes positions by itself, if it does; there are no calls then.
    pub at_price: Option<AtPrice>,
}

/// What a portfolio needs, in the base currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// To open it.
    pub initial: Cash,
    /// To hold it.
    pub maintenance: Cash,
    /// To hold it over the close of a session; `None` where nothing is tested then.
    pub overnight: Option<Cash>,
}

/// The margin model, and memory for its questions.
struct Asked {
    model: MarginModel,
    holdings: Vec<Holding>,
    amounts: Vec<f64>,
}

impl Asked {
    const fn new(model: MarginModel) -> Self {
        Self { model, holdings: Vec::new(), amounts: Vec::new() }
    }
}

/// Where questions are asked from, while nothing moves.
pub(crate) struct About<'a> {
    pub plan: &'a Plan,
    pub quotes: &'a Quotes,
    pub book: &'a Book,
    pub now: Ns,
    /// Cash and equity, since the first question that has shown them.
    worth: OnceCell<(Cash, Cash)>,
}

/// Margin of a run.
#[derive(Default)]
pub struct Margin {
    asked: Option<Mutex<Asked>>,
    /// Rates in force by instrument; empty before the first.
    rates: Vec<(f64, f64)>,
    rates_seen: usize,
    /// Of each book.
    pub(crate) calls: Vec<Calls>,
    /// Every book as it was checked at the close of a session, for the row of that close.
    pub(crate) closing: Vec<Checked>,
    /// What the positions of books need at known prices, while nothing moves them: `None` where they may move.
    standing: Mutex<Option<Vec<(BookId, Requirement)>>>,
}

impl Margin {
    /// That of a plan, with a model of its own.
    ///
    /// # Errors
    /// The model cannot begin.
    pub fn new(plan: &Plan) -> Result<Self> {
        let Some(model) = &plan.models.margin else { return Ok(Self::default()) };
        let mut model = model.boxed_clone();
        model.reset(plan.seed).map_err(|text| cannot_begin(model.name(), &text))?;
        let calls = (0..plan.books).map(|_| Calls::new(plan)).collect::<Result<_>>()?;
        let asked = Some(Mutex::new(Asked::new(model)));
        Ok(Self { asked, calls, ..Self::default() })
    }

    /// Whether there is a model.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.asked.is_some()
    }

    /// Let the rates take effect that are due; tells whether there are any.
    #[inline]
    pub(crate) fn catch_up(&mut self, plan: &Plan, now: Ns) -> bool {
        let before = self.rates_seen;
        while let Some(row) = plan.margin_rates.get(self.rates_seen).filter(|row| row.ts <= now) {
            self.rates.resize(plan.instruments.len(), (f64::NAN, f64::NAN));
            self.rates[row.instrument.index()] = (row.initial, row.maintenance);
            self.rates_seen += 1;
        }
        self.rates_seen > before
    }

    /// A position as models see it.
    fn holding(&self, about: &About<'_>, id: InstrumentId, quantity: i64, mark: f64) -> Holding {
        let instrument = about.plan.instrument(id);
        let scale = &instrument.scale;
        let (initial_rate, maintenance_rate) = *self.rates.get(id.index()).unwrap_or(&(f64::NAN, f64::NAN));
        Holding {
            asset: id.0,
            reserved: 0,
            quantity: scale.quantity_f64(quantity),
            mark,
            multiplier: scale.multiplier_f64(),
            fx: about.quotes.unit_f64(instrument.currency),
            initial_rate,
            maintenance_rate,
            lot_size: scale.quantity_f64(instrument.lot_size),
            unrealized: f64::NAN,
            requirement: f64::NAN,
        }
    }

    /// Ask about a portfolio; what it needs, and what `after` makes of its positions and the maintenance of each, which is
    /// an amount of money.
    fn ask<T>(
        &self,
        about: &About<'_>,
        fill: impl FnOnce(&mut Vec<Holding>),
        after: impl FnOnce(&[Holding], &[f64]) -> T,
    ) -> Result<(Requirement, T)> {
        let Some(asked) = &self.asked else {
            return Err(SimError::internal("a margin model is asked where there is none".to_owned()));
        };
        let mut guard = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let Asked { model, holdings, amounts } = &mut *guard;
        holdings.clear();
        amounts.clear();
        fill(holdings);
        if holdings.is_empty() {
            return Ok((Requirement::default(), after(holdings, amounts)));
        }
        amounts.resize(holdings.len(), f64::NAN);
        let (cash, equity) = about.worth()?;
        let header = Header::of::<MarginContext>(0, 0, about.now);
        let context = MarginContext { header, cash: cash.to_f64(), equity: equity.to_f64() };
        let mut output = MarginOutput::UNSET;
        let status = model.eval(&context, holdings, amounts, &mut output);
        let fail = |text: String| {
            let (book, at) = (about.book.id.0, render(about.now));
            SimError::model(format!("model {}, book {book}, {at}: margin: {text}", model.name()))
        };
        if status != Status::OK {
            return Err(fail(said(status, &model.last_error())));
        }
        let quantum = about.plan.account.posting_quantum;
        let money = |what: &str, of: &str, found: f64| {
            let cash = Cash::from_f64(found, quantum).filter(|_| found >= 0.0);
            let allowed = "must be zero or more, and an amount of money";
            cash.ok_or_else(|| fail(format!("{what}{of} {} {allowed}", shown(found))))
        };
        let overnight = Some(output.overnight).filter(|needed| !needed.is_nan());
        let requirement = Requirement {
            initial: money("initial", "", output.initial)?,
            maintenance: money("maintenance", "", output.maintenance)?,
            overnight: overnight.map(|needed| money("overnight", "", needed)).transpose()?,
        };
        for (holding, &amount) in holdings.iter().zip(amounts.iter()) {
            // Rounding what nobody reads would cost more than the model.
            if !SURELY_MONEY.contains(&amount) {
                money("requirement of ", &about.plan.instruments[holding.asset as usize].symbol, amount)?;
            }
        }
        Ok((requirement, after(holdings, amounts)))
    }

    /// What the positions of a book need at their marks.
    ///
    /// # Errors
    /// The model fails, a rate is missing, or a sum leaves the range of a ledger entry.
    pub(crate) fn of_book(&self, about: &About<'_>) -> Result<Requirement> {
        Ok(self.ask(about, |holdings| self.list(about, holdings), |_, _| ())?.0)
    }

    /// The positions of a book at their marks, and what each needs.
    pub(crate) fn each_of_book(&self, about: &About<'_>) -> Result<Vec<(Holding, Cash)>> {
        let quantum = about.plan.account.posting_quantum;
        let money = |amount: &f64| Cash::from_f64(*amount, quantum).unwrap_or(Cash::ZERO);
        let pairs = |holdings: &[Holding], each: &[f64]| holdings.iter().copied().zip(each.iter().map(money)).collect();
        Ok(self.ask(about, |holdings| self.list(about, holdings), pairs)?.1)
    }

    fn list(&self, about: &About<'_>, holdings: &mut Vec<Holding>) {
        about.book.holdings().for_each(|(id, position)| {
            let scale = &about.plan.instrument(id).scale;
            let mark = position.mark.map_or(f64::NAN, |mark| scale.price_f64(mark));
            holdings.push(self.holding(about, id, position.quantity, mark));
        });
    }

    /// Answer [`Margin::of_known`] once a book from now on, or anew each time again.
    pub(crate) fn let_stand(&mut self, stands: bool) {
        *self.standing.get_mut().unwrap_or_else(PoisonError::into_inner) = stands.then(Vec::new);
    }

    /// What the positions need at prices that a strategy may know; where there is none, at what they cost on average.
    pub(crate) fn of_known(&self, about: &About<'_>, state: &State) -> Result<Requirement> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answers) = &mut *standing else { return self.ask_known(about, state) };
        if let Some((_, needs)) = answers.iter().find(|(book, _)| *book == about.book.id) {
            return Ok(*needs);
        }
        let needs = self.ask_known(about, state)?;
        answers.push((about.book.id, needs));
        Ok(needs)
    }

    fn ask_known(&self, about: &About<'_>, state: &State) -> Result<Requirement> {
        let list = |holdings: &mut Vec<Holding>| {
            for (id, position) in about.book.holdings() {
                let scale = &about.plan.instrument(id).scale;
                let known = known_price(about.plan, state, id.index(), position);
                let average = || scale.average_price(position.cost, crate::money::Qty(position.quantity));
                let mark = known.map_or_else(average, |price| scale.price_f64(price));
                holdings.push(self.holding(about, id, position.quantity, mark));
            }
        };
        Ok(self.ask(about, list, |_, _| ())?.0)
    }

    /// What a position needs alone.
    pub(crate) fn alone(
        &self,
        about: &About<'_>,
        id: InstrumentId,
        quantity: i64,
        price: Price,
    ) -> Result<Requirement> {
        self.alone_at(about, id, quantity, about.plan.instrument(id).scale.price_f64(price))
    }

    /// The same at a price between those that are traded.
    pub(crate) fn alone_at(
        &self,
        about: &About<'_>,
        id: InstrumentId,
        quantity: i64,
        mark: f64,
    ) -> Result<Requirement> {
        let list = |holdings: &mut Vec<Holding>| {
            if quantity != 0 {
                holdings.push(self.holding(about, id, quantity, mark));
            }
        };
        Ok(self.ask(about, list, |_, _| ())?.0)
    }

    /// What the positions need in which one has another quantity, at another price.
    pub(crate) fn with(&self, about: &About<'_>, id: InstrumentId, quantity: i64, price: Price) -> Result<Requirement> {
        let list = |holdings: &mut Vec<Holding>| {
            self.list(about, holdings);
            let found = holdings.binary_search_by_key(&id.0, |holding| holding.asset);
            let mark = about.plan.instrument(id).scale.price_f64(price);
            let changed = self.holding(about, id, quantity, mark);
            match found {
                Ok(place) if quantity == 0 => drop(holdings.remove(place)),
                Ok(place) => holdings[place] = changed,
                Err(_) if quantity == 0 => {}
                Err(place) => holdings.insert(place, changed),
            }
        };
        Ok(self.ask(about, list, |_, _| ())?.0)
    }

    /// What an order needs that opens so many units and gives back others, both signed, at a price.
    pub(crate) fn of_order(
        &self,
        about: &About<'_>,
        instrument: InstrumentId,
        (opens, gives_back): (i64, i64),
        price: Price,
    ) -> Result<Cash> {
        let needs = self.alone(about, instrument, opens, price)?.initial;
        needs.minus(self.alone(about, instrument, gives_back, price)?.initial, WHAT)
    }

    /// Whether the account can carry a position of so many units at a price, and a fee.
    pub(crate) fn affords(
        &self,
        about: &About<'_>,
        (id, quantity, price): (InstrumentId, i64, Price),
        fee: Cash,
    ) -> Result<bool> {
        let currency = about.plan.instrument(id).currency;
        let equity = about.worth()?.1.minus(about.quotes.to_base(currency, fee)?, WHAT)?;
        Ok(self.with(about, id, quantity, price)?.initial <= equity)
    }
}

impl<'a> About<'a> {
    /// A book of a state.
    pub(crate) fn of(plan: &'a Plan, state: &'a State, book: BookId) -> Self {
        Self::new(plan, &state.exchange.quotes, state.book(book), state.now)
    }

    /// A book beside the exchange that it trades on.
    pub(crate) const fn beside(plan: &'a Plan, exchange: &'a Exchange, book: &'a Book, now: Ns) -> Self {
        Self::new(plan, &exchange.quotes, book, now)
    }

    const fn new(plan: &'a Plan, quotes: &'a Quotes, book: &'a Book, now: Ns) -> Self {
        Self { plan, quotes, book, now, worth: OnceCell::new() }
    }

    /// Cash and equity of the book, in the base currency.
    pub(crate) fn worth(&self) -> Result<(Cash, Cash)> {
        if let Some(worth) = self.worth.get() {
            return Ok(*worth);
        }
        let found = (self.book.all_cash(self.quotes)?, self.book.equity(self.quotes)?);
        Ok(*self.worth.get_or_init(|| found))
    }
}

impl Clone for Margin {
    fn clone(&self) -> Self {
        let copy = |asked: &Mutex<Asked>| {
            let model = asked.lock().unwrap_or_else(PoisonError::into_inner).model.boxed_clone();
            Mutex::new(Asked::new(model))
        };
        Self {
            asked: self.asked.as_ref().map(copy),
            rates: self.rates.clone(),
            rates_seen: self.rates_seen,
            calls: self.calls.clone(),
            closing: self.closing.clone(),
            standing: Mutex::default(),
        }
    }
}

impl std::fmt::Debug for Margin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Margin(on: {}, {:?})", self.is_on(), self.calls)
    }
}
