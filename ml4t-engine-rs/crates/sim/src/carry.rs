//! What holding costs and brings, in phase 3: funding at its times; interest and what borrowed shares cost from one close
//! of the NAV calendar to the next.
//!
//! What a close accrues on was noted at the close before: cash, and the short positions of then at the marks of then.
//! Whoever covers in between was short overnight and pays.

use ml4t_abi::{
    BorrowContext, BorrowOutput, FundingContext, FundingOutput, Header, InterestContext, InterestOutput, Status,
};

use crate::engine::Simulator;
use crate::error::{Result, SimError, shown};
use crate::ids::{BookId, CurrencyId, InstrumentId, OrderId};
use crate::ledger::{Account, Posting, PostingKind};
use crate::models::{BorrowModel, FundingModel, InterestModel, Model, begin, said};
use crate::money::{Cash, Price};
use crate::order::{Order, Side};
use crate::plan::Plan;
use crate::queue::Source;
use crate::recorder::Recorder;
use crate::state::State;
use crate::time::{Ns, render};
use crate::venue::Venue;

/// What data say about holding, each list sorted by time and instrument.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// Paid at their times.
    pub funding: Vec<FundingRate>,
    /// In force until the next one of the instrument.
    pub borrow: Vec<BorrowRate>,
}

/// Funding of a perpetual future, or what rolling a position in a currency pair over costs.
#[derive(Clone, Copy, Debug)]
pub struct FundingRate {
    /// When it is paid.
    pub ts: Ns,
    /// Of which instrument.
    pub instrument: InstrumentId,
    /// Fraction of the interval; above zero longs pay.
    pub rate: f64,
    /// The rate of short positions, which get it where it is above zero; of perpetuals the same.
    pub short_rate: f64,
    /// Price that the payment counts with, NaN for the mark of the position.
    pub mark: f64,
}

/// What borrowed shares cost.
#[derive(Clone, Copy, Debug)]
pub struct BorrowRate {
    /// From when on.
    pub ts: Ns,
    /// Of which instrument.
    pub instrument: InstrumentId,
    /// Fraction per year, NaN where nobody quotes one.
    pub rate: f64,
    /// Quantity that can be borrowed; infinite where it is not known.
    pub available: f64,
}

impl Rates {
    /// Check sequence and instruments.
    ///
    /// # Errors
    /// Names the list and the row.
    pub fn validate(&self, plan: &Plan) -> Result<()> {
        let funding: Vec<(Ns, InstrumentId)> = self.funding.iter().map(|row| (row.ts, row.instrument)).collect();
        let borrow: Vec<(Ns, InstrumentId)> = self.borrow.iter().map(|row| (row.ts, row.instrument)).collect();
        for (name, rows) in [("funding", funding), ("borrow", borrow)] {
            if let Some(k) = rows.iter().position(|row| row.1.index() >= plan.instruments.len()) {
                return Err(SimError::data(format!("{name} rates, row {k}: its instrument does not exist")));
            }
            if let Some(k) = rows.windows(2).position(|pair| pair[0] >= pair[1]) {
                return Err(SimError::data(format!(
                    "{name} rates must be sorted by time and instrument without duplicates: row {} is not after the one \
                     before it",
                    k + 1
                )));
            }
        }
        if !self.funding.is_empty() && plan.models.carry.funding.is_none() {
            return Err(SimError::config("funding rates are given without a funding model".to_owned()));
        }
        Ok(())
    }
}

/// The models of what holding costs, where they are asked.
#[derive(Debug, Default)]
pub struct CarryModels {
    /// What short positions pay.
    pub borrow: Option<BorrowModel>,
    /// What perpetual futures and currency pairs pay.
    pub funding: Option<FundingModel>,
    /// What cash earns, by currency.
    pub interest: Vec<(CurrencyId, InterestModel)>,
}

impl Clone for CarryModels {
    fn clone(&self) -> Self {
        Self {
            borrow: self.borrow.as_ref().map(|model| model.boxed_clone()),
            funding: self.funding.as_ref().map(|model| model.boxed_clone()),
            interest: self.interest.iter().map(|(id, model)| (*id, model.boxed_clone())).collect(),
        }
    }
}

impl CarryModels {
    /// Independent copies for a run.
    ///
    /// # Errors
    /// A model cannot begin.
    pub fn fresh(&self, seed: u64) -> Result<Self> {
        let mut models = self.clone();
        models.borrow.as_deref_mut().map_or(Ok(()), |model| begin(model, seed))?;
        models.funding.as_deref_mut().map_or(Ok(()), |model| begin(model, seed))?;
        models.interest.iter_mut().try_for_each(|(_, model)| begin(&mut **model, seed))?;
        Ok(models)
    }

    const fn accrue(&self) -> bool {
        self.borrow.is_some() || !self.interest.is_empty()
    }
}

/// What the next close accrues on, and how far the rates were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accruals {
    /// Label of the close at which the rest was noted.
    label: Option<i32>,
    /// Of each book with a model of interest: currency, cash, and the size of what is short.
    cash: Vec<(BookId, CurrencyId, Cash, Cash)>,
    shorts: Vec<Short>,
    /// Rate and quantity available of borrowed shares, by instrument; empty before the first row.
    terms: Vec<(f64, f64)>,
    borrow_seen: usize,
    funding_seen: usize,
}

/// Terms of borrowing that nobody has told of.
const UNKNOWN: (f64, f64) = (f64::NAN, f64::INFINITY);

#[derive(Clone, Copy, Debug)]
struct Short {
    book: BookId,
    instrument: InstrumentId,
    quantity: i64,
    price: Price,
    rate: f64,
}

impl Accruals {
    /// Funding before the begin of the data is paid by nobody.
    pub(crate) fn begin(&mut self, rates: &Rates, start: Ns) {
        self.funding_seen = rates.funding.partition_point(|row| row.ts < start);
    }

    pub(crate) fn next_due(&self, rates: &Rates) -> Option<Ns> {
        rates.funding.get(self.funding_seen).map(|row| row.ts)
    }

    /// Let the borrow rates take effect that are due.
    fn catch_up(&mut self, plan: &Plan, now: Ns) {
        while let Some(row) = plan.rates.borrow.get(self.borrow_seen).filter(|row| row.ts <= now) {
            self.terms.resize(plan.instruments.len(), UNKNOWN);
            self.terms[row.instrument.index()] = (row.rate, row.available);
            self.borrow_seen += 1;
        }
    }

    /// Units of an instrument that can be borrowed now; infinite where nobody says.
    pub(crate) fn available(&mut self, plan: &Plan, id: InstrumentId, now: Ns) -> f64 {
        self.catch_up(plan, now);
        self.terms.get(id.index()).unwrap_or(&UNKNOWN).1
    }
}

/// Ask a model, and round what it answers to the posting quantum.
fn ask<C, O>(
    model: &mut dyn Model<C, O>,
    (context, mut output): (&C, O),
    amount: fn(&O) -> f64,
    (plan, (kind, what), instrument, now): (&Plan, (&str, &str), Option<InstrumentId>, Ns),
) -> Result<Cash> {
    let status = model.eval(context, &mut output);
    let found = amount(&output);
    let text = match status {
        Status::OK => match Cash::from_f64(found, plan.account.posting_quantum) {
            Some(cash) => return Ok(cash),
            None if found.is_finite() => format!("{what} {} leaves the range of money", shown(found)),
            None => format!("{what} {} must be finite", shown(found)),
        },
        Status::NO_OPINION => return Ok(Cash::ZERO),
        status => said(status, &model.last_error()),
    };
    let whose = instrument.map_or(String::new(), |id| format!("{}, ", plan.instrument(id).symbol));
    Err(SimError::model(format!("model {}, {whose}{}: {kind}: {text}", model.name(), render(now))))
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Funding that is due now.
    pub(crate) fn pay_funding(&mut self, now: Ns) -> Result<()> {
        let Self { plan, state, carry, recorder, .. } = self;
        let Some(model) = carry.funding.as_deref_mut() else { return Ok(()) };
        while let Some(row) = plan.rates.funding.get(state.accruals.funding_seen).filter(|row| row.ts <= now) {
            state.accruals.funding_seen += 1;
            state.at = Some(row.instrument);
            let scale = &plan.instrument(row.instrument).scale;
            let currency = plan.instrument(row.instrument).currency;
            let rolls_over = plan.instrument(row.instrument).rolls_over;
            let kind = if rolls_over { PostingKind::Rollover } else { PostingKind::Funding };
            for book in &mut state.books {
                let position = &book.positions[row.instrument.index()];
                let Some(mark) = position.mark.filter(|_| position.quantity != 0) else { continue };
                let side = if position.quantity > 0 { 1 } else { -1 };
                let context = FundingContext {
                    header: Header::of::<FundingContext>(side, row.instrument.0, now),
                    mark: if row.mark.is_nan() { scale.price_f64(mark) } else { row.mark },
                    quantity: scale.quantity_f64(position.quantity),
                    multiplier: scale.multiplier_f64(),
                    rate: if position.quantity > 0 { row.rate } else { row.short_rate },
                };
                let about = (&**plan, ("funding", "payment"), Some(row.instrument), now);
                let payment = ask(model, (&context, FundingOutput::UNSET), |output| output.payment, about)?;
                let template = template(kind, now, (book.id, currency), Some(row.instrument));
                book.post_signed(template, (Account::Cash, Account::Funding), payment, recorder)?;
                if payment != Cash::ZERO {
                    state.exchange.after_posting(plan, book, (currency, Some(row.instrument)), now, recorder)?;
                }
            }
        }
        state.at = None;
        Ok(())
    }

    /// Interest and borrow fees of the days up to the close of the NAV session `label`, if it closes now.
    pub(crate) fn accrue(&mut self, now: Ns) -> Result<()> {
        let Some(label) = self.nav_session_closing(now) else { return Ok(()) };
        let Self { plan, state, carry, recorder, .. } = self;
        let State { accruals, books, at, exchange, .. } = state;
        let Some(before) = accruals.label.filter(|_| carry.accrue()) else { return Ok(()) };
        let days = f64::from(label - before);
        for &(book, currency, cash, short_value) in &accruals.cash {
            if let Some((_, model)) = carry.interest.iter_mut().find(|(id, _)| *id == currency) {
                let context = InterestContext {
                    header: Header::of::<InterestContext>(0, 0, now),
                    cash: cash.to_f64(),
                    short_value: short_value.to_f64(),
                    days,
                };
                let about = (&**plan, ("interest", "payment"), None, now);
                let payment = ask(&mut **model, (&context, InterestOutput::UNSET), |output| output.payment, about)?;
                let template = template(PostingKind::Interest, now, (book, currency), None);
                let book = &mut books[book.index()];
                book.post_signed(template, (Account::Cash, Account::Interest), payment, recorder)?;
                if payment != Cash::ZERO {
                    exchange.after_posting(plan, book, (currency, None), now, recorder)?;
                }
            }
        }
        if let Some(model) = carry.borrow.as_deref_mut() {
            for short in &accruals.shorts {
                *at = Some(short.instrument);
                let (scale, currency) =
                    (&plan.instrument(short.instrument).scale, plan.instrument(short.instrument).currency);
                let context = BorrowContext {
                    header: Header::of::<BorrowContext>(-1, short.instrument.0, now),
                    price: scale.price_f64(short.price),
                    quantity: scale.quantity_f64(short.quantity),
                    multiplier: scale.multiplier_f64(),
                    days,
                    rate_annual: short.rate,
                };
                let about = (&**plan, ("borrow", "fee"), Some(short.instrument), now);
                let fee = ask(model, (&context, BorrowOutput::UNSET), |output| output.fee, about)?;
                let template = template(PostingKind::Borrow, now, (short.book, currency), Some(short.instrument));
                let book = &mut books[short.book.index()];
                book.post_signed(template, (Account::Borrow, Account::Cash), fee, recorder)?;
                if fee != Cash::ZERO {
                    exchange.after_posting(plan, book, (currency, Some(short.instrument)), now, recorder)?;
                }
            }
        }
        *at = None;
        Ok(())
    }

    /// Note what the next close accrues on; the NAV session `label` closes now.
    pub(crate) fn note_holdings(&mut self, label: i32) {
        let Self { plan, state, carry, .. } = self;
        if !carry.accrue() {
            return;
        }
        let State { accruals, books, now, .. } = state;
        accruals.catch_up(plan, *now);
        accruals.label = Some(label);
        accruals.cash.clear();
        accruals.shorts.clear();
        for book in books {
            // Derivatives are sold short without anything being borrowed.
            let is_borrowed = |id: InstrumentId| plan.instrument(id).is_borrowed;
            let shorts = book.holdings().filter(|(id, position)| position.quantity < 0 && is_borrowed(*id));
            for (instrument, position) in shorts {
                let Some(price) = position.mark else { continue };
                let (rate, _) = *accruals.terms.get(instrument.index()).unwrap_or(&UNKNOWN);
                let quantity = -position.quantity;
                accruals.shorts.push(Short { book: book.id, instrument, quantity, price, rate });
            }
            for (currency, _) in &carry.interest {
                let shorts = book.holdings().filter(|(id, position)| position.quantity < 0 && is_borrowed(*id));
                let shorts = shorts.filter(|(_, position)| position.currency == *currency && position.mark.is_some());
                // What a ledger holds leaves room for the sum of all of them.
                let sum = shorts.fold(0_i128, |sum, (_, p)| sum.saturating_add(p.value.0.saturating_abs()));
                accruals.cash.push((book.id, *currency, book.purse(*currency).cash(), Cash(sum)));
            }
        }
    }
}

/// Why nobody lends what an order sells beyond what is held, beside what is short and what `others`, the orders at work of
/// its instrument, would open; like buying power, what would close the position held now counts as closing in each order.
pub(crate) fn lacks_a_lender(
    plan: &Plan,
    state: &mut State,
    order: &Order,
    others: impl IntoIterator<Item = OrderId>,
) -> Option<String> {
    let request = order.request;
    let is_borrowed = plan.instrument(request.instrument).is_borrowed;
    let may_lack = plan.account.allows_short && is_borrowed && !plan.rates.borrow.is_empty();
    if !may_lack || request.side == Side::Buy || request.instructions.reduce_only {
        return None;
    }
    let (i, now) = (request.instrument.index(), state.now);
    let held = state.book(request.book).positions[i].quantity;
    let opening = |selling: i64| selling.saturating_sub(held.max(0)).max(0);
    if opening(order.leaves) == 0 {
        return None;
    }
    let available = state.accruals.available(plan, request.instrument, now);
    let short = others
        .into_iter()
        .map(|other| state.order(other))
        .filter(|other| other.request.book == request.book && !other.request.instructions.reduce_only)
        .map(|other| opening(-other.signed_leaves()))
        .fold(opening(order.leaves).saturating_add((-held).max(0)), i64::saturating_add);
    let instrument = plan.instrument(request.instrument);
    let short = instrument.scale.quantity_f64(short);
    (short > available.max(0.0)).then(|| {
        format!(
            "{}: with this order {short} would be sold short, {available} can be borrowed ({})",
            instrument.symbol,
            render(now)
        )
    })
}

const fn template(
    kind: PostingKind,
    ts: Ns,
    (book, currency): (BookId, CurrencyId),
    instrument: Option<InstrumentId>,
) -> Posting {
    // Debit and credit are put in by `post_signed`.
    let (debit, credit) = (Account::Cash, Account::Cash);
    Posting { ts, book, kind, currency, debit, credit, amount: Cash::ZERO, instrument, fill: None }
}
