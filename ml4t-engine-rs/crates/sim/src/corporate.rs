//! Corporate actions on the positions of a book. What they do to working orders is the venue's business.

use crate::error::Result;
use crate::ids::{BookId, InstrumentId};
use crate::instrument::Instrument;
use crate::ledger::{Account, Book, Posting, PostingKind, RoundTrip, WHAT, out_of_range};
use crate::money::{CASH_EXPONENT, Cash, Price, Qty, Ratio, mul_div_half_even};
use crate::recorder::Recorder;
use crate::time::Ns;

/// When and to what an action happens, and the step its amounts are rounded to.
#[derive(Clone, Copy, Debug)]
pub struct Corporate<'a> {
    /// Exchange-local midnight of the ex-date.
    pub ts: Ns,
    /// Which instrument.
    pub id: InstrumentId,
    /// Its facts.
    pub instrument: &'a Instrument,
    /// Posting quantum in units of 1e-18.
    pub quantum: i128,
    /// What one unit of its currency is worth in the base currency; zero where nothing is held that it could value.
    pub fx_rate: Cash,
    /// The price at which it was settled at this very instant.
    pub settled_at: Option<Price>,
}

impl Corporate<'_> {
    /// A posting of nothing yet, about its instrument.
    pub(crate) const fn posting(&self, book: BookId, kind: PostingKind) -> Posting {
        Posting {
            ts: self.ts,
            book,
            kind,
            currency: self.instrument.currency,
            debit: Account::Cash,
            credit: Account::Inventory,
            amount: Cash::ZERO,
            instrument: Some(self.id),
            fill: None,
        }
    }

    /// So much a unit, of a quantity, rounded once to the posting quantum.
    pub(crate) fn amount(&self, per_unit: Cash, quantity: i64) -> Result<Cash> {
        let range = || out_of_range(&self.instrument.symbol);
        let scale = &self.instrument.scale;
        // One division, straight to the quantum: amount x quantity x multiplier / (their scales x quantum).
        let unit = 10_i128.pow(scale.quantity_exponent + scale.multiplier_exponent);
        let held = i128::from(quantity).checked_mul(i128::from(scale.multiplier)).ok_or_else(range)?;
        let divisor = unit.checked_mul(self.quantum).ok_or_else(range)?;
        let units = mul_div_half_even(per_unit.0, held, divisor).ok_or_else(range)?;
        Ok(Cash(units.checked_mul(self.quantum).ok_or_else(range)?))
    }
}

impl Book {
    /// Scale the lots of a position in a split; fractions of a lot step are paid out at `mark` (new shares).
    ///
    /// # Errors
    /// A number leaves its range.
    pub fn split<R: Recorder>(&mut self, event: &Corporate<'_>, ratio: Ratio, recorder: &mut R) -> Result<()> {
        let &Corporate { id, instrument, .. } = event;
        let position = &mut self.positions[id.index()];
        let Some(old_mark) = position.mark.filter(|_| position.quantity != 0) else {
            position.mark = None;
            return Ok(());
        };
        let range = || out_of_range(&instrument.symbol);
        let fraction = position.split(&instrument.symbol, ratio, instrument.lot_size)?;
        let mark = ratio.unscale(old_mark).ok_or_else(range)?;
        self.pay_in_lieu(event, (mark, ratio.den), fraction, recorder)?;
        self.set_mark(id, &instrument.scale, mark).ok_or_else(range)?;
        let position = &mut self.positions[id.index()];
        self.held.put(id.index(), position.quantity != 0);
        if position.quantity == 0 {
            position.mark = None;
        }
        position.check(&instrument.symbol)
    }

    /// Pay for the fraction that a split has left, at a price of the new shares: cost and variation margin that it had,
    /// and its size in units of 1 / `den`.
    pub(crate) fn pay_in_lieu<R: Recorder>(
        &mut self,
        event: &Corporate<'_>,
        (mark, den): (Price, i64),
        (removed, returned, fraction): (Cash, Cash, i128),
        recorder: &mut R,
    ) -> Result<()> {
        let &Corporate { id, instrument, quantum, .. } = event;
        let range = || out_of_range(&instrument.symbol);
        // What the fraction is worth in new shares, rounded once, straight to the posting quantum.
        let unit = instrument.scale.notional(mark, Qty(1)).ok_or_else(range)?;
        let divisor = i128::from(den).checked_mul(quantum);
        let units = divisor.and_then(|d| mul_div_half_even(unit.0, fraction, d)).ok_or_else(range)?;
        let paid = Cash(units.checked_mul(quantum).ok_or_else(range)?);
        let template = event.posting(self.id, PostingKind::CashInLieu);
        if !instrument.is_margined() {
            self.post_signed(template, (Account::Cash, Account::Inventory), removed, recorder)?;
        }
        let gain = paid.minus(removed, WHAT)?.minus(returned, WHAT)?;
        self.post_signed(template, (Account::Cash, Account::RealizedPnl), gain, recorder)?;
        let position = &mut self.positions[id.index()];
        position.realized = position.realized.plus(gain, WHAT)?;
        Ok(())
    }

    /// Entitlement to a dividend on its ex-date: income now, paid at once or due; the mark drops by it.
    ///
    /// A fraction of it, in units of 1e-18, is withheld from longs as tax. Returns what is due later, positive for longs.
    ///
    /// # Errors
    /// A number leaves its range.
    pub fn dividend<R: Recorder>(
        &mut self,
        event: &Corporate<'_>,
        (per_unit, withholding): (Cash, Cash),
        pay_ts: Ns,
        recorder: &mut R,
    ) -> Result<Cash> {
        let &Corporate { ts, id, instrument, quantum, .. } = event;
        let is_paid_now = pay_ts <= ts;
        let range = || out_of_range(&instrument.symbol);
        let position = &self.positions[id.index()];
        if position.quantity == 0 {
            return Ok(Cash::ZERO);
        }
        let scale = &instrument.scale;
        let amount = event.amount(per_unit, position.quantity)?;
        let mark = position.mark.and_then(|mark| scale.less(mark, per_unit));
        let to = if is_paid_now { Account::Cash } else { Account::Receivable };
        let template = event.posting(self.id, PostingKind::Dividend);
        self.post_signed(template, (to, Account::Dividends), amount, recorder)?;
        let mut tax = Cash::ZERO;
        if withholding != Cash::ZERO && amount > Cash::ZERO {
            let divisor = 10_i128.pow(CASH_EXPONENT).checked_mul(quantum).ok_or_else(range)?;
            let units = mul_div_half_even(amount.0, withholding.0, divisor).ok_or_else(range)?;
            tax = Cash(units.checked_mul(quantum).ok_or_else(range)?);
            let template = Posting { kind: PostingKind::Withholding, ..template };
            self.post_signed(template, (Account::Dividends, to), tax, recorder)?;
        }
        if let Some(mark) = mark {
            self.set_mark(id, scale, mark).ok_or_else(range)?;
        }
        if is_paid_now { Ok(Cash::ZERO) } else { amount.minus(tax, WHAT) }
    }

    /// Close what is held of an instrument that ends, for so much a unit or at its mark.
    ///
    /// # Errors
    /// A number leaves its range.
    pub fn cash_out<R: Recorder>(
        &mut self,
        event: &Corporate<'_>,
        per_unit: Option<Cash>,
        recorder: &mut R,
    ) -> Result<()> {
        let &Corporate { ts, id, instrument, fx_rate, .. } = event;
        let (book, position) = (self.id, &mut self.positions[id.index()]);
        if position.quantity == 0 {
            position.mark = None;
            return Ok(());
        }
        // What is settled at a price is settled exactly, like a variation margin.
        let declared = per_unit.filter(|_| position.is_margined).and_then(|amount| instrument.price_of(amount));
        let value = match (declared.or(event.settled_at.filter(|_| per_unit.is_none())), per_unit) {
            (Some(price), _) => {
                let value = instrument.scale.notional(price, Qty(position.quantity));
                value.ok_or_else(|| out_of_range(&instrument.symbol))?
            }
            (None, Some(amount)) => event.amount(amount, position.quantity)?,
            (None, None) => position.value,
        };
        let (cost, settled, whole) = (position.cost, position.settled, position.quantity.abs());
        let (mut done, mut given) = (0, Cash::ZERO);
        for lot in std::mem::take(&mut position.lots) {
            done += lot.quantity.abs();
            // Running shares, so that the parts add up to the whole whatever the rounding of each.
            let upto = value.share(done, whole, WHAT)?;
            recorder.round_trip(&RoundTrip {
                book,
                instrument: id,
                quantity: lot.quantity,
                ts_entry: lot.ts,
                ts_exit: ts,
                entry_cost: lot.cost,
                exit_value: upto.minus(given, WHAT)?,
                fees: lot.fees,
                slippage: lot.slippage,
                entry_order: lot.order,
                entry_fill: lot.fill,
                exit: None,
                fx_rate,
            });
            given = upto;
        }
        let gain = value.minus(cost, WHAT)?.minus(settled, WHAT)?;
        position.realized = position.realized.plus(gain, WHAT)?;
        (position.quantity, position.cost, position.settled) = (0, Cash::ZERO, Cash::ZERO);
        let mark = position.mark.unwrap_or(Price(0));
        self.set_mark(id, &instrument.scale, mark).ok_or_else(|| out_of_range(&instrument.symbol))?;
        self.positions[id.index()].mark = None;
        self.held.put(id.index(), false);
        let template = event.posting(book, PostingKind::CashOut);
        if !instrument.is_margined() {
            self.post_signed(template, (Account::Cash, Account::Inventory), cost, recorder)?;
        }
        self.post_signed(template, (Account::Cash, Account::RealizedPnl), gain, recorder)?;
        self.positions[id.index()].check(&instrument.symbol)
    }

    /// Pay a dividend that was due.
    ///
    /// # Errors
    /// As [`Book::post`].
    pub fn pay_dividend<R: Recorder>(
        &mut self,
        ts: Ns,
        id: InstrumentId,
        amount: Cash,
        recorder: &mut R,
    ) -> Result<()> {
        let template = Posting {
            ts,
            book: self.id,
            kind: PostingKind::DividendPayment,
            currency: self.positions[id.index()].currency,
            debit: Account::Cash,
            credit: Account::Receivable,
            amount: Cash::ZERO,
            instrument: Some(id),
            fill: None,
        };
        self.post_signed(template, (Account::Cash, Account::Receivable), amount, recorder)
    }
}
