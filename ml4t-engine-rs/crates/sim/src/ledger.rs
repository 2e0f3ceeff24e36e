//! Double-entry ledger: cash, receivables and positions as tax lots, one set per book.
//!
//! Every movement is a posting of a positive amount from a credited to a debited account, in one currency. Balances are
//! kept debit-positive, so that all balances of a book in a currency add up to zero at any time; this is asserted after each
//! posting, and the lots of what is held are re-summed against the inventory account at each net asset value (at the end
//! also what is flat).

use crate::currency::{BASE, Quotes};
use crate::error::{Result, SimError};
use crate::ids::{BookId, CurrencyId, InstrumentId, OrderId};
use crate::instrument::Instrument;
use crate::lots::{Lot, Position};
use crate::money::{Cash, Price, Qty, Scale};
use crate::policies::LotPolicy;
use crate::purse::Purse;
use crate::recorder::Recorder;
use crate::time::Ns;
use crate::unsettled::GoodFaith;

/// Accounts of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Money at hand.
    Cash,
    /// Cost of open positions; negative for shorts.
    Inventory,
    /// Dividends due and not yet paid.
    Receivable,
    /// Gains and losses of closed lots, before fees.
    RealizedPnl,
    /// Fees paid.
    Fees,
    /// Dividends earned, or paid on shorts.
    Dividends,
    /// Deposits.
    Capital,
    /// What borrowed shares cost.
    Borrow,
    /// Funding and rollover paid.
    Funding,
    /// Interest paid.
    Interest,
    /// What conversions have taken out of a currency, less what they brought.
    Exchange,
    /// What conversions cost.
    FxCosts,
    /// What is on its way from one instrument into another; nothing before and after.
    Transfer,
    /// What lots on their way have gained so far; nothing before and after.
    CarriedGain,
}

impl Account {
    /// All accounts.
    pub const ALL: [Self; 14] = [
        Self::Cash,
        Self::Inventory,
        Self::Receivable,
        Self::RealizedPnl,
        Self::Fees,
        Self::Dividends,
        Self::Capital,
        Self::Borrow,
        Self::Funding,
        Self::Interest,
        Self::Exchange,
        Self::FxCosts,
        Self::Transfer,
        Self::CarriedGain,
    ];

    /// Name in the ledger table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::Inventory => "inventory",
            Self::Receivable => "receivable",
            Self::RealizedPnl => "realized_pnl",
            Self::Fees => "fees",
            Self::Dividends => "dividends",
            Self::Capital => "capital",
            Self::Borrow => "borrow",
            Self::Funding => "funding",
            Self::Interest => "interest",
            Self::Exchange => "exchange",
            Self::FxCosts => "fx_costs",
            Self::Transfer => "transfer",
            Self::CarriedGain => "carried_gain",
        }
    }
}

/// What a posting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostingKind {
    /// Opening cash, and what is paid in later.
    Deposit,
    /// What is taken out.
    Withdrawal,
    /// Cost moved by a fill.
    Trade,
    /// Gain or loss of lots closed by a fill.
    Realized,
    /// Fee of a fill.
    Fee,
    /// Dividend on its ex-date.
    Dividend,
    /// Payment of a dividend that was due.
    DividendPayment,
    /// Cash for the fraction of a share that a split leaves.
    CashInLieu,
    /// What a short position paid for borrowed shares.
    Borrow,
    /// Funding of a perpetual future.
    Funding,
    /// Interest on cash.
    Interest,
    /// What a position brought at the end of its instrument.
    CashOut,
    /// One side of a conversion of one currency into another.
    Conversion,
    /// What it cost against the middle rate.
    ConversionCost,
    /// What a settlement price has moved of a position that is not paid for.
    VariationMargin,
    /// Tax that was withheld from a dividend.
    Withholding,
    /// Lots that a spin-off or a merger carries from one instrument into another.
    Transfer,
    /// What holding a currency pair to the next value date costs.
    Rollover,
}

impl PostingKind {
    /// All kinds.
    pub const ALL: [Self; 18] = [
        Self::Deposit,
        Self::Withdrawal,
        Self::Trade,
        Self::Realized,
        Self::Fee,
        Self::Dividend,
        Self::DividendPayment,
        Self::CashInLieu,
        Self::Borrow,
        Self::Funding,
        Self::Interest,
        Self::CashOut,
        Self::Conversion,
        Self::ConversionCost,
        Self::VariationMargin,
        Self::Withholding,
        Self::Transfer,
        Self::Rollover,
    ];

    /// Name in the ledger table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Trade => "trade",
            Self::Realized => "realized",
            Self::Fee => "fee",
            Self::Dividend => "dividend",
            Self::DividendPayment => "dividend_payment",
            Self::CashInLieu => "cash_in_lieu",
            Self::CashOut => "cash_out",
            Self::Conversion => "conversion",
            Self::ConversionCost => "conversion_cost",
            Self::VariationMargin => "variation_margin",
            Self::Withholding => "withholding",
            Self::Transfer => "transfer",
            Self::Borrow => "borrow",
            Self::Funding => "funding",
            Self::Rollover => "rollover",
            Self::Interest => "interest",
        }
    }
}

/// One row of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// When.
    pub ts: Ns,
    /// Whose.
    pub book: BookId,
    /// What for.
    pub kind: PostingKind,
    /// In which currency.
    pub currency: CurrencyId,
    /// Account that receives.
    pub debit: Account,
    /// Account that gives.
    pub credit: Account,
    /// Positive amount.
    pub amount: Cash,
    /// Instrument concerned.
    pub instrument: Option<InstrumentId>,
    /// Order and number of the fill concerned.
    pub fill: Option<(OrderId, u64)>,
}

/// An entry-to-exit pair of lot and fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// Whose.
    pub book: BookId,
    /// Instrument.
    pub instrument: InstrumentId,
    /// Signed quantity that was held: positive for longs.
    pub quantity: i64,
    /// When the lot was opened.
    pub ts_entry: Ns,
    /// When it was closed.
    pub ts_exit: Ns,
    /// Signed cost.
    pub entry_cost: Cash,
    /// Signed proceeds.
    pub exit_value: Cash,
    /// Fees of both ends.
    pub fees: Cash,
    /// Slippage, spread and impact of both ends.
    pub slippage: Cash,
    /// Order that opened it.
    pub entry_order: OrderId,
    /// Number of the fill that did.
    pub entry_fill: u64,
    /// Order and number of the fill that closed it; `None` for the end of the instrument.
    pub exit: Option<(OrderId, u64)>,
    /// What one unit of its currency was worth in the base currency then.
    pub fx_rate: Cash,
}

/// A fill as the ledger needs it.
#[derive(Clone, Copy, Debug)]
pub struct LedgerFill {
    /// When.
    pub ts: Ns,
    /// Whose.
    pub book: BookId,
    /// Instrument.
    pub instrument: InstrumentId,
    /// Signed quantity.
    pub quantity: i64,
    /// Final price.
    pub price: Price,
    /// Where the market stood: what a position that opens is worth first.
    pub market: Price,
    /// Fee, negative for a rebate.
    pub fee: Cash,
    /// Money lost to slippage, spread and impact.
    pub slippage: Cash,
    /// Order.
    pub order: OrderId,
    /// Number of the fill.
    pub number: u64,
    /// What one unit of its currency is worth in the base currency.
    pub fx_rate: Cash,
    /// The order that opened the lots which it closes first.
    pub lot: Option<OrderId>,
}

/// Accounts and positions of one book.
#[derive(Clone, Debug)]
pub struct Book {
    /// Which.
    pub id: BookId,
    /// In the base currency.
    base: Purse,
    /// In the others, in their sequence.
    foreign: Vec<Purse>,
    /// One an instrument.
    pub positions: Vec<Position>,
    pub(crate) held: Held,
    traded: MonthTotals,
    /// How many postings there were.
    pub(crate) posted: u64,
    pub(crate) good_faith: GoodFaith,
}

/// What a book traded in a calendar month (UTC), over all instruments.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonthTotals {
    /// Number of the month; see [`crate::time::month_of`].
    month: i64,
    /// Sum of quantities, with the decimals of money.
    pub quantity: Cash,
    /// Sum of notionals.
    pub notional: Cash,
}

pub(crate) const WHAT: &str = "ledger";

/// Which instruments are held: a bit each.
#[derive(Clone, Debug)]
pub(crate) struct Held(Vec<u64>);

impl Held {
    fn new(instruments: usize) -> Self {
        Self(vec![0; instruments.div_ceil(64)])
    }

    pub(crate) fn put(&mut self, i: usize, is_held: bool) {
        let bit = 1 << (i % 64);
        let word = &mut self.0[i / 64];
        *word = if is_held { *word | bit } else { *word & !bit };
    }

    /// Those that are held, in ascending order.
    fn iter(&self) -> impl Iterator<Item = usize> + Clone {
        self.0.iter().enumerate().flat_map(|(k, &word)| {
            let after = |rest: &u64| Some(rest & rest.wrapping_sub(1)).filter(|&rest| rest != 0);
            std::iter::successors(Some(word).filter(|&word| word != 0), after)
                .map(move |rest| 64 * k + rest.trailing_zeros() as usize)
        })
    }
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(id: BookId, instruments: &[Instrument], currencies: usize) -> Self {
        let position = |instrument: &Instrument| Position {
            currency: instrument.currency,
            is_margined: instrument.is_margined(),
            ..Position::default()
        };
        Self {
            id,
            base: Purse::default(),
            foreign: vec![Purse::default(); currencies.saturating_sub(1)],
            positions: instruments.iter().map(position).collect(),
            held: Held::new(instruments.len()),
            traded: MonthTotals::default(),
            posted: 0,
            good_faith: GoodFaith::default(),
        }
    }

    /// What it has in a currency.
    #[must_use]
    #[inline]
    pub fn purse(&self, currency: CurrencyId) -> &Purse {
        if currency == BASE { &self.base } else { &self.foreign[currency.index() - 1] }
    }

    #[inline]
    pub(crate) fn purse_mut(&mut self, currency: CurrencyId) -> &mut Purse {
        if currency == BASE { &mut self.base } else { &mut self.foreign[currency.index() - 1] }
    }

    pub(crate) fn purses_mut(&mut self) -> impl Iterator<Item = &mut Purse> {
        std::iter::once(&mut self.base).chain(&mut self.foreign)
    }

    /// What it has in each currency.
    pub fn purses(&self) -> impl Iterator<Item = (CurrencyId, &Purse)> {
        std::iter::once((BASE, &self.base)).chain(self.foreign())
    }

    /// What it has in each currency but the base.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = (CurrencyId, &Purse)> {
        self.foreign.iter().zip(1_u8..).map(|(purse, k)| (CurrencyId(k), purse))
    }

    /// What was traded so far in the month of an instant.
    #[must_use]
    pub fn month(&self, now: Ns) -> MonthTotals {
        let month = crate::time::month_of(now);
        if self.traded.month == month { self.traded } else { MonthTotals { month, ..MonthTotals::default() } }
    }

    /// Count a fill; what no ledger can hold counts no more.
    pub(crate) fn trade_in_month(&mut self, now: Ns, (quantity, notional): (Cash, Cash)) {
        let before = self.month(now);
        let sum = |a: Cash, b: Cash| Cash(a.0.saturating_add(b.0.saturating_abs()));
        self.traded = MonthTotals {
            quantity: sum(before.quantity, quantity),
            notional: sum(before.notional, notional),
            ..before
        };
    }

    /// Debit-positive balance of an account in the base currency.
    #[must_use]
    pub const fn balance(&self, account: Account) -> Cash {
        self.base.balance(account)
    }

    /// Cash at hand in the base currency.
    #[must_use]
    pub const fn cash(&self) -> Cash {
        self.base.cash()
    }

    /// A number of each currency, all of them in the base currency; each is converted once.
    ///
    /// # Errors
    /// A rate is missing, or the sum leaves the range of a ledger entry.
    #[inline]
    pub fn sum(&self, quotes: &Quotes, of: impl Fn(&Purse) -> Result<Cash>) -> Result<Cash> {
        let sum = of(&self.base)?;
        if self.foreign.is_empty() { Ok(sum) } else { self.with_foreign(sum, quotes, of) }
    }

    fn with_foreign(&self, mut sum: Cash, quotes: &Quotes, of: impl Fn(&Purse) -> Result<Cash>) -> Result<Cash> {
        for (purse, k) in self.foreign.iter().zip(1_u8..) {
            sum = sum.plus(quotes.to_base(CurrencyId(k), of(purse)?)?, WHAT)?;
        }
        Ok(sum)
    }

    /// Cash of all currencies in the base currency.
    ///
    /// # Errors
    /// As [`Book::sum`].
    #[inline]
    pub fn all_cash(&self, quotes: &Quotes) -> Result<Cash> {
        if self.foreign.is_empty() { Ok(self.base.cash()) } else { self.sum(quotes, |purse| Ok(purse.cash())) }
    }

    /// Worth of the account in the base currency: cash, receivables and positions at their marks.
    ///
    /// # Errors
    /// As [`Book::sum`].
    pub fn equity(&self, quotes: &Quotes) -> Result<Cash> {
        if self.foreign.is_empty() { self.base.total() } else { self.sum(quotes, Purse::total) }
    }

    /// Sum of the sizes of all positions in the base currency.
    ///
    /// # Errors
    /// As [`Book::sum`].
    pub fn gross_exposure(&self, quotes: &Quotes) -> Result<Cash> {
        self.sum(quotes, Purse::gross)
    }

    /// Record a posting and move its amount.
    ///
    /// # Errors
    /// A balance leaves its range, or the balances no longer add up to zero.
    pub fn post<R: Recorder>(&mut self, posting: Posting, recorder: &mut R) -> Result<()> {
        if posting.amount == Cash::ZERO {
            return Ok(());
        }
        if posting.amount < Cash::ZERO {
            return Err(SimError::accounting(format!("a posting of {} must be positive", posting.amount.to_f64())));
        }
        self.purse_mut(posting.currency).apply(&posting)?;
        self.posted += 1;
        recorder.posting(&posting);
        Ok(())
    }

    /// Post a signed amount: positive debits `to`, negative debits `from`.
    pub(crate) fn post_signed<R: Recorder>(
        &mut self,
        template: Posting,
        (to, from): (Account, Account),
        amount: Cash,
        recorder: &mut R,
    ) -> Result<()> {
        let (debit, credit) = if amount >= Cash::ZERO { (to, from) } else { (from, to) };
        self.post(Posting { debit, credit, amount: Cash(amount.0.abs()), ..template }, recorder)
    }

    /// Opening cash.
    ///
    /// # Errors
    /// As [`Book::post`].
    pub fn deposit<R: Recorder>(
        &mut self,
        ts: Ns,
        (currency, amount): (CurrencyId, Cash),
        recorder: &mut R,
    ) -> Result<()> {
        let template = Posting {
            ts,
            book: self.id,
            kind: PostingKind::Deposit,
            currency,
            debit: Account::Cash,
            credit: Account::Capital,
            amount,
            instrument: None,
            fill: None,
        };
        self.post(template, recorder)
    }

    /// Book a fill: close lots against it, open a lot with what remains, charge the fee, value the position.
    ///
    /// # Errors
    /// An amount or quantity leaves its range, or an identity does not hold.
    pub fn apply_fill<R: Recorder>(
        &mut self,
        fill: &LedgerFill,
        instrument: &Instrument,
        policy: LotPolicy,
        recorder: &mut R,
    ) -> Result<()> {
        let scale = &instrument.scale;
        let held = self.positions[fill.instrument.index()].quantity;
        let closing = if held.signum() == -fill.quantity.signum() { held.abs().min(fill.quantity.abs()) } else { 0 };
        let opening = fill.quantity.abs() - closing;
        let value = |quantity: i64| {
            let signed = quantity * fill.quantity.signum();
            scale.notional(fill.price, Qty(signed)).ok_or_else(|| out_of_range(&instrument.symbol))
        };
        let template = Posting {
            ts: fill.ts,
            book: self.id,
            kind: PostingKind::Trade,
            currency: instrument.currency,
            debit: Account::Cash,
            credit: Account::Inventory,
            amount: Cash::ZERO,
            instrument: Some(fill.instrument),
            fill: Some((fill.order, fill.number)),
        };
        if closing > 0 {
            let (cost, settled) = self.close_lots(fill, policy, (closing, value(closing)?), recorder)?;
            // Proceeds are positive for a sale and negative for a buy-back.
            let proceeds = Cash(-value(closing)?.0);
            if !instrument.is_margined() {
                self.post_signed(template, (Account::Cash, Account::Inventory), cost, recorder)?;
            }
            let gain = proceeds.minus(cost, WHAT)?.minus(settled, WHAT)?;
            let kind = PostingKind::Realized;
            self.post_signed(Posting { kind, ..template }, (Account::Cash, Account::RealizedPnl), gain, recorder)?;
            let realized = &mut self.positions[fill.instrument.index()].realized;
            *realized = realized.plus(gain, WHAT)?;
        }
        if opening > 0 {
            let cost = value(opening)?;
            if !instrument.is_margined() {
                self.post_signed(template, (Account::Inventory, Account::Cash), cost, recorder)?;
            }
            let whole = fill.quantity.abs();
            let lot = Lot {
                quantity: opening * fill.quantity.signum(),
                cost,
                settled: Cash::ZERO,
                fees: fill.fee.minus(fill.fee.share(closing, whole, WHAT)?, WHAT)?,
                slippage: fill.slippage.minus(fill.slippage.share(closing, whole, WHAT)?, WHAT)?,
                ts: fill.ts,
                order: fill.order,
                fill: fill.number,
                unpaid_until: Ns::MIN,
            };
            self.positions[fill.instrument.index()].open(lot, policy)?;
        }
        let kind = PostingKind::Fee;
        self.post_signed(Posting { kind, ..template }, (Account::Fees, Account::Cash), fill.fee, recorder)?;
        let position = &mut self.positions[fill.instrument.index()];
        position.quantity = held.checked_add(fill.quantity).ok_or_else(|| out_of_range(&instrument.symbol))?;
        let mark = position.mark.unwrap_or(fill.market);
        self.set_mark(fill.instrument, scale, mark).ok_or_else(|| out_of_range(&instrument.symbol))?;
        let position = &mut self.positions[fill.instrument.index()];
        self.held.put(fill.instrument.index(), position.quantity != 0);
        if position.quantity == 0 {
            // A position entered again is not worth what the last one was.
            position.mark = None;
        }
        position.check(&instrument.symbol)
    }

    /// Take `closing` units out of the lots; returns their signed cost, and the variation margin they have received.
    fn close_lots<R: Recorder>(
        &mut self,
        fill: &LedgerFill,
        policy: LotPolicy,
        (closing, exit_cost): (i64, Cash),
        recorder: &mut R,
    ) -> Result<(Cash, Cash)> {
        let whole = fill.quantity.abs();
        let (book, position, faith) = (self.id, &mut self.positions[fill.instrument.index()], &mut self.good_faith);
        let (mut done, mut cost, mut settled) = (0, Cash::ZERO, Cash::ZERO);
        // Running shares, so that the parts add up to the whole whatever the rounding of each.
        let mut given = (Cash::ZERO, Cash::ZERO, Cash::ZERO);
        position.close(closing, (policy, fill.lot), |part| {
            cost = cost.plus(part.cost, WHAT)?;
            settled = settled.plus(part.settled, WHAT)?;
            done += part.quantity.abs();
            faith.closes(&part, fill.ts);
            let upto = (
                exit_cost.share(done, closing, WHAT)?,
                fill.fee.share(done, whole, WHAT)?,
                fill.slippage.share(done, whole, WHAT)?,
            );
            recorder.round_trip(&RoundTrip {
                book,
                instrument: fill.instrument,
                quantity: part.quantity,
                ts_entry: part.ts,
                ts_exit: fill.ts,
                entry_cost: part.cost,
                exit_value: given.0.minus(upto.0, WHAT)?,
                fees: part.fees.plus(upto.1.minus(given.1, WHAT)?, WHAT)?,
                slippage: part.slippage.plus(upto.2.minus(given.2, WHAT)?, WHAT)?,
                entry_order: part.order,
                entry_fill: part.fill,
                exit: Some((fill.order, fill.number)),
                fx_rate: fill.fx_rate,
            });
            given = upto;
            Ok(())
        })?;
        position.cost = position.cost.minus(cost, WHAT)?;
        position.settled = position.settled.minus(settled, WHAT)?;
        Ok((cost, settled))
    }

    /// Value a position at `mark`. `None` when the value leaves its range.
    pub fn set_mark(&mut self, id: InstrumentId, scale: &Scale, mark: Price) -> Option<()> {
        let position = &mut self.positions[id.index()];
        let value = scale.notional(mark, Qty(position.quantity))?;
        let before = position.value;
        position.mark = Some(mark);
        position.value = value;
        let (currency, counted, basis) = (position.currency, position.counted, position.basis());
        if before.0 == value.0 && counted.0 == basis.0 {
            return Some(());
        }
        if !position.is_margined {
            return self.purse_mut(currency).revalue(before, value);
        }
        position.counted = basis;
        self.purse_mut(currency).revalue_margined((before, counted), (value, basis))
    }

    /// The instruments that are held, in their sequence, with the positions.
    pub fn holdings(&self) -> impl Iterator<Item = (InstrumentId, &Position)> + Clone {
        self.held.iter().map(|i| (InstrumentId(u32::try_from(i).unwrap_or(u32::MAX)), &self.positions[i]))
    }

    /// Re-sum every lot that is held against the running totals.
    ///
    /// What is not held counts nothing: a cost or a value left there would be missing in the sums.
    ///
    /// # Errors
    /// Names the instrument, or the total, that does not agree.
    pub fn audit(&self, instruments: &[Instrument]) -> Result<()> {
        self.add_up(instruments, &self.holdings().map(|(id, _)| id.index()))
    }

    /// As [`Book::audit`], over all positions, those that are flat included.
    ///
    /// # Errors
    /// As there.
    pub fn audit_all(&self, instruments: &[Instrument]) -> Result<()> {
        self.add_up(instruments, &(0..self.positions.len()))
    }

    fn add_up(&self, instruments: &[Instrument], among: &(impl Iterator<Item = usize> + Clone)) -> Result<()> {
        for (currency, purse) in self.purses() {
            let mut cost = Cash::ZERO;
            let (mut long, mut short, mut open) = (Cash::ZERO, Cash::ZERO, Cash::ZERO);
            for i in among.clone() {
                let position = &self.positions[i];
                if position.currency != currency {
                    continue;
                }
                position.check_lots(&instruments[i].symbol)?;
                if position.is_margined {
                    open = open.plus(position.worth(), WHAT)?;
                    continue;
                }
                cost = cost.plus(position.cost, WHAT)?;
                let side = if position.value.0 >= 0 { &mut long } else { &mut short };
                *side = side.plus(position.value, WHAT)?;
            }
            let kept = (purse.balance(Account::Inventory), purse.long_value, purse.short_value);
            if (cost, long, short) != kept || open != purse.open_pnl() {
                return Err(SimError::accounting(format!(
                    "positions re-sum to cost {}, long {}, short {}; the running totals are {}, {}, {}",
                    cost.to_f64(),
                    long.to_f64(),
                    short.to_f64(),
                    kept.0.to_f64(),
                    kept.1.to_f64(),
                    kept.2.to_f64()
                )));
            }
        }
        Ok(())
    }
}

pub(crate) fn out_of_range(symbol: &str) -> SimError {
    SimError::overflow(format!("{symbol}: price x quantity leaves the range of the ledger (1.7e20 currency units)"))
}
