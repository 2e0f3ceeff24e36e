//! Lots that go from one instrument into another: spin-offs, mergers for shares, changes of a symbol.
//!
//! What moves moves at its market value, so that the price of neither instrument seems to have moved; the gain that the
//! lots have made so far moves with them, and so do their age and what entering them has cost.

use crate::corporate::Corporate;
use crate::error::{Result, SimError, shown};
use crate::ids::InstrumentId;
use crate::instrument::Instrument;
use crate::ledger::{Account, Book, PostingKind, RoundTrip, WHAT, out_of_range};
use crate::lots::Position;
use crate::money::{CASH_EXPONENT, Cash, Price, Qty, Ratio, mul_div_half_even};
use crate::policies::LotPolicy;
use crate::recorder::Recorder;
use crate::time::render;

/// Where lots go, and in what number.
#[derive(Clone, Copy, Debug)]
pub struct Receiver<'a> {
    /// Which instrument.
    pub id: InstrumentId,
    /// Its facts.
    pub instrument: &'a Instrument,
    /// How many of its shares for one.
    pub ratio: Ratio,
    /// Sequence in which its lots are closed.
    pub policy: LotPolicy,
}

impl Receiver<'_> {
    /// The ratio in smallest units of quantity of both instruments.
    fn in_units(&self, from: &Instrument) -> Result<Ratio> {
        let (new, old) = (self.instrument.scale.quantity_exponent, from.scale.quantity_exponent);
        let times = |x: i64, exponent: u32| 10_i64.checked_pow(exponent).and_then(|unit| x.checked_mul(unit));
        let num = times(self.ratio.num, new.saturating_sub(old));
        let den = times(self.ratio.den, old.saturating_sub(new));
        let (num, den) = num.zip(den).ok_or_else(|| out_of_range(&self.instrument.symbol))?;
        Ratio::new(num, den)
    }

    /// What a share is worth: as what is `held` of them, or else what one of the other leaves for it, in units of 1e-18 of
    /// the currency. An earlier price may be of long ago, or of whoever had the symbol then.
    fn mark(&self, event: &Corporate<'_>, held: Option<Price>, left: i128) -> Result<Price> {
        if let Some(mark) = held {
            return Ok(mark);
        }
        let (from, into) = (&event.instrument.scale, &self.instrument.scale);
        let found = || {
            let a = left.checked_mul(from.multiplier.into())?.checked_mul(10_i128.pow(into.multiplier_exponent))?;
            let b = 10_i128.pow(into.price_exponent).checked_mul(self.ratio.den.into())?;
            let c = 10_i128.pow(CASH_EXPONENT + from.multiplier_exponent).checked_mul(into.multiplier.into())?;
            let price = mul_div_half_even(a, b, c.checked_mul(self.ratio.num.into())?)?;
            i64::try_from(price).ok().map(Price)
        };
        let price = found().ok_or_else(|| out_of_range(&self.instrument.symbol))?;
        if price <= Price(0) {
            return Err(SimError::data(format!(
                "{} at {}: what a share of {} leaves for it is not above zero; the amount in cash has to be below its last \
                 price",
                self.instrument.symbol,
                render(event.ts),
                event.instrument.symbol
            )));
        }
        Ok(price)
    }
}

impl Book {
    /// Who holds gets shares of another instrument, worth `amount` for one; his own cost that much less.
    ///
    /// Returns the prices before and after, of what was held.
    ///
    /// # Errors
    /// The amount is not below the price, or a number leaves its range.
    pub fn spin_off<R: Recorder>(
        &mut self,
        event: &Corporate<'_>,
        to: &Receiver<'_>,
        amount: Cash,
        recorder: &mut R,
    ) -> Result<Option<Ratio>> {
        let &Corporate { ts, id, instrument, .. } = event;
        let range = || out_of_range(&instrument.symbol);
        let position = &mut self.positions[id.index()];
        let Some(before) = position.mark.filter(|_| position.quantity != 0) else { return Ok(None) };
        let scale = &instrument.scale;
        let after = scale.less(before, amount).ok_or_else(range)?;
        if after <= Price(0) {
            return Err(SimError::data(format!(
                "the spin-off of {} at {}: its amount {} is not below the last price {}; it is what goes to {} with one \
                 share",
                instrument.symbol,
                render(ts),
                shown(amount.to_f64()),
                shown(scale.price_f64(before)),
                to.instrument.symbol
            )));
        }
        let off = before.0.checked_sub(after.0).ok_or_else(range)?;
        let value = scale.notional(Price(off), Qty(position.quantity)).ok_or_else(range)?;
        let lots = position.give(off.into(), before.0.into())?;
        let quantity = position.quantity;
        let mut carried = Position { quantity, lots, ..Position::default() };
        carried.cost = carried.lots.iter().try_fold(Cash::ZERO, |sum, lot| sum.plus(lot.cost, WHAT))?;
        self.set_mark(id, scale, after).ok_or_else(range)?;
        let left = i128::from(off) * 10_i128.pow(CASH_EXPONENT - scale.price_exponent);
        let mark = to.mark(event, self.positions[to.id.index()].mark, left)?;
        self.carry(event, to, (carried, value, mark), recorder)?;
        Ratio::new(before.0, after.0).map(Some)
    }

    /// The instrument ends: who holds gets shares of another one for it, and `amount` in cash for each beside. Tells whether
    /// anything was held.
    ///
    /// # Errors
    /// A number leaves its range.
    pub fn exchange<R: Recorder>(
        &mut self,
        event: &Corporate<'_>,
        to: &Receiver<'_>,
        amount: Cash,
        recorder: &mut R,
    ) -> Result<bool> {
        let &Corporate { id, instrument, .. } = event;
        let range = || out_of_range(&instrument.symbol);
        let position = &self.positions[id.index()];
        let (quantity, worth) = (position.quantity, position.value);
        let Some(old) = position.mark.filter(|_| quantity != 0) else {
            self.positions[id.index()].mark = None;
            return Ok(false);
        };
        let paid = event.amount(amount, quantity)?;
        let unit = 10_i128.pow(CASH_EXPONENT - instrument.scale.price_exponent);
        let mark = to.mark(event, self.positions[to.id.index()].mark, i128::from(old.0) * unit - amount.0)?;
        if paid != Cash::ZERO {
            self.pay_beside(event, to, (paid, mark), recorder)?;
        }
        let position = &mut self.positions[id.index()];
        let carried =
            Position { quantity, cost: position.cost, lots: std::mem::take(&mut position.lots), ..Position::default() };
        (position.quantity, position.cost) = (0, Cash::ZERO);
        self.set_mark(id, &instrument.scale, old).ok_or_else(range)?;
        self.positions[id.index()].mark = None;
        self.held.put(id.index(), false);
        self.carry(event, to, (carried, worth.minus(paid, WHAT)?, mark), recorder)?;
        self.positions[id.index()].check(&instrument.symbol)?;
        Ok(true)
    }

    /// The cash of a merger: its part of the cost, by what cash and shares are worth, is realised.
    fn pay_beside<R: Recorder>(
        &mut self,
        event: &Corporate<'_>,
        to: &Receiver<'_>,
        (paid, mark): (Cash, Price),
        recorder: &mut R,
    ) -> Result<()> {
        let &Corporate { id, instrument, .. } = event;
        let range = || out_of_range(&instrument.symbol);
        let ratio = to.in_units(instrument)?;
        let unit = to.instrument.scale.notional(mark, Qty(1)).ok_or_else(range)?;
        let position = &mut self.positions[id.index()];
        let shares = i128::from(position.quantity.abs()) * i128::from(ratio.num);
        let shares = mul_div_half_even(unit.0, shares, ratio.den.into()).ok_or_else(range)?;
        let whole = paid.0.abs().checked_add(shares).ok_or_else(range)?;
        let mut sold = Cash::ZERO;
        for lot in &mut position.lots {
            let cost = Cash(mul_div_half_even(lot.cost.0, paid.0.abs(), whole).ok_or_else(range)?);
            lot.cost = lot.cost.minus(cost, WHAT)?;
            sold = sold.plus(cost, WHAT)?;
        }
        position.cost = position.cost.minus(sold, WHAT)?;
        let gain = paid.minus(sold, WHAT)?;
        position.realized = position.realized.plus(gain, WHAT)?;
        let template = event.posting(self.id, PostingKind::CashOut);
        self.post_signed(template, (Account::Cash, Account::Inventory), sold, recorder)?;
        self.post_signed(template, (Account::Cash, Account::RealizedPnl), gain, recorder)
    }

    /// Carry lots into another instrument at a price: book what moves, pay fractions out, put the rest into the position.
    fn carry<R: Recorder>(
        &mut self,
        event: &Corporate<'_>,
        to: &Receiver<'_>,
        (mut carried, value, mark): (Position, Cash, Price),
        recorder: &mut R,
    ) -> Result<()> {
        let into = Corporate { id: to.id, instrument: to.instrument, settled_at: None, ..*event };
        let gain = value.minus(carried.cost, WHAT)?;
        let [out, inward] = [event, &into].map(|event| event.posting(self.id, PostingKind::Transfer));
        for (template, account, amount) in [
            (out, Account::Inventory, carried.cost),
            (out, Account::CarriedGain, gain),
            (inward, Account::Inventory, Cash(-carried.cost.0)),
            (inward, Account::CarriedGain, Cash(-gain.0)),
        ] {
            self.post_signed(template, (Account::Transfer, account), amount, recorder)?;
        }
        let ratio = to.in_units(event.instrument)?;
        let fraction = carried.split(&to.instrument.symbol, ratio, to.instrument.lot_size)?;
        self.pay_in_lieu(&into, (mark, ratio.den), fraction, recorder)?;
        self.take_over(&into, carried, to.policy, recorder)?;
        let range = || out_of_range(&to.instrument.symbol);
        self.set_mark(to.id, &to.instrument.scale, mark).ok_or_else(range)?;
        let position = &mut self.positions[to.id.index()];
        self.held.put(to.id.index(), position.quantity != 0);
        if position.quantity == 0 {
            position.mark = None;
        }
        position.check(&to.instrument.symbol)
    }

    /// Put lots into a position. Those of the other sign close it, at what they have cost.
    fn take_over<R: Recorder>(
        &mut self,
        event: &Corporate<'_>,
        carried: Position,
        policy: LotPolicy,
        recorder: &mut R,
    ) -> Result<()> {
        let book = self.id;
        let position = &mut self.positions[event.id.index()];
        let mut gain = Cash::ZERO;
        for mut lot in carried.lots {
            let mut closed = Vec::new();
            if position.quantity.signum() == -lot.quantity.signum() {
                let closing = position.quantity.abs().min(lot.quantity.abs());
                position.close(closing, (policy, None), |part| {
                    closed.push(part);
                    Ok(())
                })?;
            }
            for part in closed {
                let own = lot.take(part.quantity.abs())?;
                position.quantity -= part.quantity;
                position.cost = position.cost.minus(part.cost, WHAT)?;
                gain = gain.minus(own.cost, WHAT)?.minus(part.cost, WHAT)?;
                recorder.round_trip(&RoundTrip {
                    book,
                    instrument: event.id,
                    quantity: part.quantity,
                    ts_entry: part.ts,
                    ts_exit: event.ts,
                    entry_cost: part.cost,
                    exit_value: Cash(-own.cost.0),
                    fees: part.fees.plus(own.fees, WHAT)?,
                    slippage: part.slippage.plus(own.slippage, WHAT)?,
                    entry_order: part.order,
                    entry_fill: part.fill,
                    exit: None,
                    fx_rate: event.fx_rate,
                });
            }
            if lot.quantity != 0 {
                position.take_over(lot, policy)?;
            }
        }
        position.realized = position.realized.plus(gain, WHAT)?;
        let template = event.posting(book, PostingKind::Realized);
        self.post_signed(template, (Account::Inventory, Account::RealizedPnl), gain, recorder)
    }
}
