//! Tax lots and the position they make up.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::currency::BASE;
use crate::error::{Result, SimError};
use crate::ids::{CurrencyId, OrderId};
use crate::ledger::{WHAT, out_of_range};
use crate::money::{Cash, Price, Ratio, mul_div_half_even};
use crate::policies::LotPolicy;
use crate::time::Ns;

/// A parcel of a position with its own cost and opening time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    /// Signed quantity left.
    pub quantity: i64,
    /// Signed cost of what is left, or what that was worth when it was opened if it was not paid for.
    pub cost: Cash,
    /// Variation margin that what is left has received so far.
    pub settled: Cash,
    /// Entry fees of what is left.
    pub fees: Cash,
    /// Slippage, spread and impact paid at entry for what is left.
    pub slippage: Cash,
    /// When it was opened.
    pub ts: Ns,
    /// Order that opened it.
    pub order: OrderId,
    /// Number of the fill that did.
    pub fill: u64,
    /// When the money that paid for it settles; long before where it had settled.
    pub unpaid_until: Ns,
}

/// Holding of one instrument; amounts are in its currency.
#[derive(Clone, Debug)]
pub struct Position {
    /// Which currency that is.
    pub currency: CurrencyId,
    /// Whether the position is not paid for.
    pub is_margined: bool,
    /// Signed quantity.
    pub quantity: i64,
    /// Signed cost of the lots.
    pub cost: Cash,
    /// Variation margin that the lots have received.
    pub settled: Cash,
    /// What of the value the account does not own, as its purse counts it: nothing of what is paid for.
    pub(crate) counted: Cash,
    /// Open lots, oldest first.
    pub lots: VecDeque<Lot>,
    /// Gain of closed lots, before fees.
    pub realized: Cash,
    /// Last price at which it was valued.
    pub mark: Option<Price>,
    /// Mark x quantity x multiplier.
    pub value: Cash,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            currency: BASE,
            is_margined: false,
            quantity: 0,
            cost: Cash::ZERO,
            settled: Cash::ZERO,
            counted: Cash::ZERO,
            lots: VecDeque::new(),
            realized: Cash::ZERO,
            mark: None,
            value: Cash::ZERO,
        }
    }
}

impl Lot {
    /// Take over cost, variation margin, fees and slippage of a lot that is no more.
    fn receive(&mut self, [cost, settled, fees, slippage]: [Cash; 4]) -> Result<()> {
        self.cost = self.cost.plus(cost, WHAT)?;
        self.settled = self.settled.plus(settled, WHAT)?;
        self.fees = self.fees.plus(fees, WHAT)?;
        self.slippage = self.slippage.plus(slippage, WHAT)?;
        Ok(())
    }

    /// Split off `quantity` units (positive) with their share of cost, fees and slippage.
    pub(crate) fn take(&mut self, quantity: i64) -> Result<Self> {
        let whole = self.quantity.abs();
        let part = Self {
            quantity: quantity * self.quantity.signum(),
            cost: self.cost.share(quantity, whole, WHAT)?,
            settled: self.settled.share(quantity, whole, WHAT)?,
            fees: self.fees.share(quantity, whole, WHAT)?,
            slippage: self.slippage.share(quantity, whole, WHAT)?,
            ..*self
        };
        self.quantity -= part.quantity;
        self.cost = self.cost.minus(part.cost, WHAT)?;
        self.settled = self.settled.minus(part.settled, WHAT)?;
        self.fees = self.fees.minus(part.fees, WHAT)?;
        self.slippage = self.slippage.minus(part.slippage, WHAT)?;
        Ok(part)
    }
}

/// How two quotients compare, exactly; the divisors are above zero.
fn compare((a, b): (i128, u64), (c, d): (i128, u64)) -> Ordering {
    let (b, d) = (i128::from(b), i128::from(d));
    let (whole, other) = (a.div_euclid(b), c.div_euclid(d));
    // What is left is below a divisor of 64 bits, so that its product with the other has room.
    whole.cmp(&other).then_with(|| (a.rem_euclid(b) * d).cmp(&(c.rem_euclid(d) * b)))
}

impl Position {
    /// What its units cost, and what has been settled since: what it gains from now on it gains above that.
    #[must_use]
    pub const fn carried_at(&self) -> Cash {
        // Both are parts of sums that had room; what is paid for is never settled.
        Cash(self.cost.0.wrapping_add(self.settled.0))
    }

    /// What of the value at a mark the account does not own: what a position that is not paid for was last settled at.
    #[must_use]
    pub const fn basis(&self) -> Cash {
        if self.is_margined { self.carried_at() } else { Cash::ZERO }
    }

    /// What the position adds to the equity at its mark.
    #[must_use]
    pub const fn worth(&self) -> Cash {
        Cash(self.value.0.wrapping_sub(self.basis().0))
    }

    /// Take `closing` units out of the lots, first of those that the order `named` opened, oldest first, and then in the
    /// sequence of the policy; hands over each part.
    pub(crate) fn close(
        &mut self,
        closing: i64,
        (policy, named): (LotPolicy, Option<OrderId>),
        mut part: impl FnMut(Lot) -> Result<()>,
    ) -> Result<()> {
        let mut left = closing;
        let take = |lot: &mut Lot, left: &mut i64| {
            let part = lot.take((*left).min(lot.quantity.abs()))?;
            *left -= part.quantity.abs();
            Ok(part)
        };
        if named.is_some() {
            for lot in self.lots.iter_mut().filter(|lot| Some(lot.order) == named) {
                if left == 0 {
                    break;
                }
                part(take(lot, &mut left)?)?;
            }
            self.lots.retain(|lot| lot.quantity != 0);
        }
        if policy == LotPolicy::HighestCost && left > 0 {
            // Only the last one is taken from in part, so that the sequence holds for all of them.
            for place in self.dearest_first() {
                if left == 0 {
                    break;
                }
                part(take(&mut self.lots[place], &mut left)?)?;
            }
            self.lots.retain(|lot| lot.quantity != 0);
        }
        while left > 0 {
            let next = if policy == LotPolicy::Lifo { self.lots.back_mut() } else { self.lots.front_mut() };
            let Some(lot) = next else {
                return Err(SimError::accounting("a fill closes more than the lots hold".to_owned()));
            };
            part(take(lot, &mut left)?)?;
            if lot.quantity == 0 {
                if policy == LotPolicy::Lifo {
                    self.lots.pop_back()
                } else {
                    self.lots.pop_front()
                };
            }
        }
        Ok(())
    }

    /// Places of the lots, the one first whose end gains least, of equal ones the oldest.
    fn dearest_first(&self) -> Vec<usize> {
        let unit = |k: usize| (self.lots[k].cost.0, self.lots[k].quantity.unsigned_abs());
        let mut places: Vec<usize> = (0..self.lots.len()).collect();
        places.sort_by(|&a, &b| compare(unit(b), unit(a)));
        places
    }

    pub(crate) fn open(&mut self, lot: Lot, policy: LotPolicy) -> Result<()> {
        self.cost = self.cost.plus(lot.cost, WHAT)?;
        self.settled = self.settled.plus(lot.settled, WHAT)?;
        match (policy, self.lots.front_mut()) {
            (LotPolicy::Average, Some(only)) => {
                only.quantity = only.quantity.checked_add(lot.quantity).ok_or_else(|| out_of_range("position"))?;
                only.cost = only.cost.plus(lot.cost, WHAT)?;
                only.settled = only.settled.plus(lot.settled, WHAT)?;
                only.fees = only.fees.plus(lot.fees, WHAT)?;
                only.slippage = only.slippage.plus(lot.slippage, WHAT)?;
                only.unpaid_until = only.unpaid_until.max(lot.unpaid_until);
            }
            _ => self.lots.push_back(lot),
        }
        Ok(())
    }

    /// Take over a lot of another instrument, at its place by age.
    pub(crate) fn take_over(&mut self, lot: Lot, policy: LotPolicy) -> Result<()> {
        self.quantity = self.quantity.checked_add(lot.quantity).ok_or_else(|| out_of_range("position"))?;
        let is_pooled = policy == LotPolicy::Average && !self.lots.is_empty();
        let behind = self.lots.partition_point(|each| each.ts <= lot.ts);
        if is_pooled || behind == self.lots.len() {
            return self.open(lot, policy);
        }
        self.cost = self.cost.plus(lot.cost, WHAT)?;
        self.settled = self.settled.plus(lot.settled, WHAT)?;
        self.lots.insert(behind, lot);
        Ok(())
    }

    /// Give `part` of `whole` of what each lot cost, and of what entering it cost, away, as lots of the same size.
    pub(crate) fn give(&mut self, part: i128, whole: i128) -> Result<VecDeque<Lot>> {
        let share = |amount: &mut Cash| -> Result<Cash> {
            let given = mul_div_half_even(amount.0, part, whole).map(Cash).ok_or_else(|| out_of_range("position"))?;
            *amount = amount.minus(given, WHAT)?;
            Ok(given)
        };
        let mut given = VecDeque::with_capacity(self.lots.len());
        for lot in &mut self.lots {
            let cost = share(&mut lot.cost)?;
            self.cost = self.cost.minus(cost, WHAT)?;
            given.push_back(Lot { cost, fees: share(&mut lot.fees)?, slippage: share(&mut lot.slippage)?, ..*lot });
        }
        Ok(given)
    }

    /// Apply a split: every lot is scaled, the fraction of a `step` that the position as a whole is left with is
    /// taken out of the oldest lots like a sale, and the lots get whole units by running totals rounded down.
    ///
    /// Returns cost and variation margin of the fraction, and the fraction in units of 1 / (denominator of the ratio).
    pub(crate) fn split(&mut self, symbol: &str, ratio: Ratio, step: i64) -> Result<(Cash, Cash, i128)> {
        let range = || out_of_range(symbol);
        let (num, den) = (i128::from(ratio.num), i128::from(ratio.den));
        let sign = self.quantity.signum();
        let exact = i128::from(self.quantity.abs()) * num;
        let steps = exact / (den * i128::from(step));
        let target = i64::try_from(steps).ok().and_then(|n| n.checked_mul(step)).ok_or_else(range)?;
        let fraction = exact - i128::from(target) * den;
        let (mut unsold, mut removed, mut returned) = (fraction, Cash::ZERO, Cash::ZERO);
        let (mut scaled, mut given) = (0_i128, 0_i64);
        let mut carried = [Cash::ZERO; 4];
        let mut kept: VecDeque<Lot> = VecDeque::with_capacity(self.lots.len());
        for mut lot in self.lots.drain(..) {
            let whole = i128::from(lot.quantity.abs()) * num;
            let sold = unsold.min(whole);
            let rest = |amount: Cash| -> Result<Cash> {
                let part = mul_div_half_even(amount.0, sold, whole).ok_or_else(range)?;
                amount.minus(Cash(part), WHAT)
            };
            let cost = rest(lot.cost)?;
            removed = removed.plus(lot.cost.minus(cost, WHAT)?, WHAT)?;
            let settled = rest(lot.settled)?;
            returned = returned.plus(lot.settled.minus(settled, WHAT)?, WHAT)?;
            unsold -= sold;
            scaled += whole - sold;
            let upto = i64::try_from(scaled / den).map_err(|_| range())?;
            lot.quantity = sign * (upto - given);
            given = upto;
            // A lot that shrank to nothing hands on its cost, and what entering it cost, to the next.
            (lot.cost, lot.settled) = (cost, settled);
            lot.receive(carried)?;
            carried = [Cash::ZERO; 4];
            if lot.quantity == 0 {
                carried = [lot.cost, lot.settled, lot.fees, lot.slippage];
            } else {
                kept.push_back(lot);
            }
        }
        if let Some(last) = kept.back_mut() {
            last.receive(carried)?;
        }
        self.lots = kept;
        self.quantity = sign * target;
        self.cost = self.cost.minus(removed, WHAT)?;
        self.settled = self.settled.minus(returned, WHAT)?;
        Ok((removed, returned, fraction * i128::from(sign)))
    }

    /// The cheap half of the audit: what a fill can break.
    pub(crate) fn check(&self, symbol: &str) -> Result<()> {
        let is_flat = self.quantity == 0;
        let is_paid_out = self.cost == Cash::ZERO && self.settled == Cash::ZERO;
        if is_flat != self.lots.is_empty() || (is_flat && !is_paid_out) {
            return Err(SimError::accounting(format!(
                "{symbol}: quantity {} with {} lots and cost {}",
                self.quantity,
                self.lots.len(),
                self.cost.to_f64()
            )));
        }
        Ok(())
    }

    pub(crate) fn check_lots(&self, symbol: &str) -> Result<()> {
        self.check(symbol)?;
        let quantity: i128 = self.lots.iter().map(|l| i128::from(l.quantity)).sum();
        let cost = self.lots.iter().try_fold(Cash::ZERO, |sum, l| sum.plus(l.cost, WHAT))?;
        let settled = self.lots.iter().try_fold(Cash::ZERO, |sum, l| sum.plus(l.settled, WHAT))?;
        if quantity != i128::from(self.quantity) || cost != self.cost || settled != self.settled {
            return Err(SimError::accounting(format!("{symbol}: the lots do not add up to the position")));
        }
        Ok(())
    }
}
