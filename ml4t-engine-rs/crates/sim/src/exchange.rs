//! Conversions of one currency into another: those that an account needs, and those that a strategy asks for.
//!
//! A conversion is between a foreign currency and the base. It moves the amount in one, its worth at the middle rate in the
//! other, and what the model asks beyond that is a cost of its own.

use std::sync::Arc;

use ml4t_abi::{FxContext, FxOutput, Header, Status};

use crate::account::goes_by_cash;
use crate::currency::{BASE, Currencies, Quotes, at_rate, exact_rate};
use crate::engine::{Api, Simulator};
use crate::error::{Result, SimError, shown};
use crate::ids::{BookId, CurrencyId, InstrumentId};
use crate::ledger::{Account, Book, Posting, PostingKind, WHAT};
use crate::models::{FxModel, begin, said};
use crate::money::{Cash, Decimal, div_half_even};
use crate::plan::Plan;
use crate::policies::{Conversion, QuoteFill};
use crate::queue::Source;
use crate::recorder::{AskedConversion, ConversionStatus, Recorder};
use crate::time::{NEVER, Ns, render};
use crate::venue::Venue;

/// A conversion that a strategy asked for and that has not happened yet.
#[derive(Clone, Copy, Debug)]
struct Request {
    id: u64,
    ts: Ns,
    /// When it happens.
    due: Ns,
    book: BookId,
    currency: CurrencyId,
    amount: Cash,
}

/// Rates in force, the model that prices conversions, and what is to be converted.
#[derive(Debug)]
pub struct Exchange {
    /// Rates in force.
    pub quotes: Quotes,
    /// What a conversion costs; nothing without one.
    model: Option<FxModel>,
    requests: Vec<Request>,
    /// When the next of them happens.
    pub(crate) due: Ns,
    asked: u64,
}

impl Clone for Exchange {
    fn clone(&self) -> Self {
        Self {
            quotes: self.quotes.clone(),
            model: self.model.as_ref().map(|model| model.boxed_clone()),
            requests: self.requests.clone(),
            due: self.due,
            asked: self.asked,
        }
    }
}

/// A conversion with its price.
#[derive(Clone, Copy, Debug)]
struct Deal {
    currency: CurrencyId,
    /// Of the foreign currency, above zero if it is bought.
    amount: Cash,
    /// What that is worth in the base currency at the middle rate, never below zero.
    worth: Cash,
    /// What it costs beyond that.
    cost: Cash,
}

impl Deal {
    /// What leaves the base currency; below zero what it brings.
    fn price(&self) -> Result<Cash> {
        let sign = if self.amount > Cash::ZERO { 1 } else { -1 };
        Cash(sign * self.worth.0).plus(self.cost, WHAT)
    }
}

impl Exchange {
    /// At the begin of a run.
    ///
    /// # Errors
    /// The model cannot begin.
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let mut model = plan.models.fx.as_ref().map(|model| model.boxed_clone());
        model.as_deref_mut().map_or(Ok(()), |model| begin(model, plan.seed))?;
        Ok(Self { quotes: Quotes::new(&plan.currencies), model, requests: Vec::new(), due: NEVER, asked: 0 })
    }

    /// One of a run that has no model of it.
    pub(crate) fn idle(currencies: &Arc<Currencies>) -> Self {
        Self { quotes: Quotes::new(currencies), model: None, requests: Vec::new(), due: NEVER, asked: 0 }
    }

    /// Price a conversion of so much of a foreign currency, bought above zero and sold below.
    fn deal(&mut self, plan: &Plan, (currency, amount): (CurrencyId, Cash), now: Ns) -> Result<Deal> {
        let units = Cash(amount.0.abs());
        let quantum = plan.account.posting_quantum;
        let name = plan.currencies.name(currency);
        let range = || {
            SimError::overflow(format!(
                "converting {} {name} at {} leaves the range of the ledger",
                amount.to_f64(),
                render(now)
            ))
        };
        let rounded = |x: Cash| div_half_even(x.0, quantum).and_then(|x| x.checked_mul(quantum)).map(Cash);
        let worth = rounded(self.quotes.to_base(currency, units)?).ok_or_else(range)?;
        let mut deal = Deal { currency, amount, worth, cost: Cash::ZERO };
        let Some(model) = self.model.as_deref_mut() else { return Ok(deal) };
        let side = if amount > Cash::ZERO { 1 } else { -1 };
        self.quotes.rate(currency)?;
        let middle = self.quotes.unit_f64(currency);
        let context = FxContext {
            header: Header::of::<FxContext>(side, u32::from(currency.0), now),
            amount: amount.to_f64(),
            rate: middle,
        };
        let mut output = FxOutput::UNSET;
        let fail = |model: &FxModel, text: &str| {
            let at = render(now);
            SimError::model(format!("model {}, {name}, {at}: conversion: {text}", model.name()))
        };
        let status = model.eval(&context, &mut output);
        let model = self.model.as_ref().ok_or_else(range)?;
        match status {
            Status::OK => {}
            Status::NO_OPINION => return Ok(deal),
            status => return Err(fail(model, &said(status, &model.last_error()))),
        }
        let fee = Cash::from_f64(output.fee, quantum)
            .ok_or_else(|| fail(model, &format!("fee {} must be finite and money", shown(output.fee))))?;
        #[expect(clippy::float_cmp, reason = "the very rate that was shown")]
        let value = if output.rate == middle {
            worth
        } else {
            let rate = exact_rate(output.rate).filter(|&rate| rate > 0);
            let rate = rate.ok_or_else(|| {
                fail(model, &format!("rate {} must be above zero, and at most 1e23", shown(output.rate)))
            })?;
            at_rate(units, rate).and_then(rounded).ok_or_else(range)?
        };
        let worse = if side > 0 { value.minus(worth, WHAT)? } else { worth.minus(value, WHAT)? };
        deal.cost = worse.plus(fee, WHAT)?;
        Ok(deal)
    }

    /// Whether the base currency of a book pays for what it lacks of a foreign one, and leaves what is to be kept.
    pub(crate) fn covers(
        &mut self,
        plan: &Plan,
        book: &Book,
        (currency, lacks): (CurrencyId, Cash),
        (kept, now): (Cash, Ns),
    ) -> Result<bool> {
        if currency == BASE || plan.account.conversion == Conversion::Never {
            return Ok(false);
        }
        Ok(self.deal(plan, (currency, lacks), now)?.price()?.plus(kept, WHAT)?
            <= book.spendable(plan, book.purse(BASE), now)?)
    }

    /// Convert what the account does by itself once something has been posted in a currency.
    ///
    /// # Errors
    /// A rate is missing, the model fails, or an amount leaves its range.
    #[inline]
    pub(crate) fn after_posting<R: Recorder>(
        &mut self,
        plan: &Plan,
        book: &mut Book,
        (currency, cause): (CurrencyId, Option<InstrumentId>),
        now: Ns,
        recorder: &mut R,
    ) -> Result<()> {
        if currency == BASE { Ok(()) } else { self.settle(plan, book, (currency, cause), now, recorder) }
    }

    fn settle<R: Recorder>(
        &mut self,
        plan: &Plan,
        book: &mut Book,
        (currency, cause): (CurrencyId, Option<InstrumentId>),
        now: Ns,
        recorder: &mut R,
    ) -> Result<()> {
        let cash = book.purse(currency).cash();
        let converts = match plan.account.conversion {
            Conversion::Never => false,
            Conversion::WhenShort => cash < Cash::ZERO,
            Conversion::Always => cash != Cash::ZERO,
        };
        if !converts {
            return Ok(());
        }
        let deal = self.deal(plan, (currency, Cash(-cash.0)), now)?;
        book.convert(&deal, cause, now, recorder)
    }
}

impl Book {
    /// Post both sides of a conversion, and its cost.
    fn convert<R: Recorder>(
        &mut self,
        deal: &Deal,
        cause: Option<InstrumentId>,
        ts: Ns,
        recorder: &mut R,
    ) -> Result<()> {
        let (from, to) = if deal.amount > Cash::ZERO { (BASE, deal.currency) } else { (deal.currency, BASE) };
        let unsettled = &self.purse(from).parcels;
        let unsettled = if unsettled.is_empty() { None } else { Some(unsettled.clone()) };
        let template = Posting {
            ts,
            book: self.id,
            kind: PostingKind::Conversion,
            currency: deal.currency,
            debit: Account::Cash,
            credit: Account::Exchange,
            amount: Cash::ZERO,
            instrument: cause,
            fill: None,
        };
        let (buys, sells) = ((Account::Cash, Account::Exchange), (Account::Exchange, Account::Cash));
        self.post_signed(template, buys, deal.amount, recorder)?;
        let base = Posting { currency: BASE, ..template };
        self.post_signed(base, if deal.amount > Cash::ZERO { sells } else { buys }, deal.worth, recorder)?;
        let cost = Posting { kind: PostingKind::ConversionCost, ..base };
        self.post_signed(cost, (Account::FxCosts, Account::Cash), deal.cost, recorder)?;
        let Some(before) = unsettled else { return Ok(()) };
        let (foreign, price) = (Cash(deal.amount.0.abs()), deal.price()?);
        let (paid, received) = if to == BASE { (foreign, Cash(-price.0)) } else { (price, foreign) };
        self.carry_unsettled((before, from, paid), (to, received), ts)
    }
}

impl Api<'_> {
    /// Ask to buy so much of a foreign currency for the base currency, or to sell it below zero; its number, from 1.
    ///
    /// # Errors
    /// The currency is not of the run, or is the base; the amount is nothing or has no room.
    pub fn convert(&mut self, book: BookId, currency: &str, amount: Decimal) -> Result<u64> {
        let names = self.plan.currencies.names();
        let Some(id) = self.plan.currencies.find(currency) else {
            return Err(SimError::order(format!(
                "convert: {currency:?} is no currency of this run; its currencies are {}",
                names.join(", ")
            )));
        };
        if id == BASE {
            return Err(SimError::order(format!(
                "convert: {currency} is the base currency, which pays for the others; name the other one"
            )));
        }
        let amount = Cash::from_decimal(amount).filter(|&amount| amount != Cash::ZERO).ok_or_else(|| {
            SimError::order(format!(
                "convert: the amount of {currency} must be a number other than zero, below 1.7e20 and with at most 18 \
                 decimals"
            ))
        })?;
        let (plan, state) = (self.plan, &mut *self.state);
        let now = state.now;
        let due = match plan.policies.quote_fill {
            QuoteFill::Next => plan.currencies.next_rate(id, now),
            QuoteFill::Standing => now,
        };
        let exchange = &mut state.exchange;
        exchange.asked += 1;
        exchange.requests.push(Request { id: exchange.asked, ts: now, due, book, currency: id, amount });
        exchange.due = exchange.due.min(due);
        state.due = state.due.min(if due > now { due } else { NEVER });
        Ok(exchange.asked)
    }
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Conversions asked for that are due.
    pub(crate) fn convert_asked(&mut self, now: Ns) -> Result<()> {
        if self.state.exchange.due > now {
            return Ok(());
        }
        while let Some(at) = self.state.exchange.requests.iter().position(|request| request.due <= now) {
            let request = self.state.exchange.requests.remove(at);
            let Self { plan, state, recorder, .. } = self;
            let book = &mut state.books[request.book.index()];
            let deal = state.exchange.deal(plan, (request.currency, request.amount), now)?;
            let buys = request.amount > Cash::ZERO;
            let needed = if buys { deal.price()? } else { Cash(-request.amount.0) };
            let has = book.spendable(plan, book.purse(if buys { BASE } else { request.currency }), now)?;
            if goes_by_cash(plan) && needed > has {
                let paid_in = plan.currencies.name(if buys { BASE } else { request.currency });
                let text = format!(
                    "converting {} {} needs {} {paid_in}, the account has {} ({})",
                    request.amount.to_f64(),
                    plan.currencies.name(request.currency),
                    needed.to_f64(),
                    has.to_f64(),
                    render(now)
                );
                self.answer(&request, (now, ConversionStatus::Refused), text);
            } else {
                recorder.conversion(&request.answered(now, ConversionStatus::Executed, 0));
                book.convert(&deal, None, now, recorder)?;
            }
        }
        let exchange = &mut self.state.exchange;
        exchange.due = exchange.requests.iter().map(|request| request.due).min().unwrap_or(NEVER);
        Ok(())
    }

    /// The data end before the next rate of what was asked for.
    pub(crate) fn expire_conversions(&mut self) {
        let now = self.state.now;
        for request in std::mem::take(&mut self.state.exchange.requests) {
            let currency = self.plan.currencies.name(request.currency);
            let text = format!("the data end before another rate of {currency} ({})", render(now));
            self.answer(&request, (now, ConversionStatus::Expired), text);
        }
    }

    fn answer(&mut self, request: &Request, (now, status): (Ns, ConversionStatus), text: String) {
        let text = self.state.say(text);
        self.recorder.conversion(&request.answered(now, status, text));
    }
}

impl Request {
    const fn answered(&self, now: Ns, status: ConversionStatus, text: u32) -> AskedConversion {
        AskedConversion {
            id: self.id,
            ts_submitted: self.ts,
            ts: now,
            book: self.book,
            currency: self.currency,
            amount: self.amount,
            status,
            text,
        }
    }
}
