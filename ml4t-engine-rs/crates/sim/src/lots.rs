//! Tax lots and the position they make up.

use std::collections::VecDeque;

use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::ledger::{WHAT, out_of_range};
use crate::money::{Cash, Price, Ratio, mul_div_half_even};
use crate::policies::LotPolicy;
use crate::time::Ns;

/// A parcel of a position with its own cost and opening time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    /// Signed quantity left.
    pub quantity: i64,
    /// Signed cost of what is left.
    pub cost: Cash,
    /// Entry fees of what is left.
    pub fees: Cash,
    /// Slippage, spread and impact paid at entry for what is left.
    pub slippage: Cash,
    /// When it was opened.
    pub ts: Ns,
    /// Order that opened it.
    pub order: OrderId,
}

/// Holding of one instrument.
#[derive(Clone, Debug, Default)]
pub struct Position {
    /// Signed quantity.
    pub quantity: i64,
    /// Signed cost of the lots.
    pub cost: Cash,
    /// Open lots, oldest first.
    pub lots: VecDeque<Lot>,
    /// Gain of closed lots, before fees.
    pub realized: Cash,
    /// Last price at which it was valued.
    pub mark: Option<Price>,
    /// Mark x quantity x multiplier.
    pub value: Cash,
}

impl Lot {
    /// Split off `quantity` units (positive) with their share of cost, fees and slippage.
    pub(crate) fn take(&mut self, quantity: i64) -> Result<Self> {
        let whole = self.quantity.abs();
        let part = Self {
            quantity: quantity * self.quantity.signum(),
            cost: self.cost.share(quantity, whole, WHAT)?,
            fees: self.fees.share(quantity, whole, WHAT)?,
            slippage: self.slippage.share(quantity, whole, WHAT)?,
            ..*self
        };
        self.quantity -= part.quantity;
        self.cost = self.cost.minus(part.cost, WHAT)?;
        self.fees = self.fees.minus(part.fees, WHAT)?;
        self.slippage = self.slippage.minus(part.slippage, WHAT)?;
        Ok(part)
    }
}

impl Position {
    pub(crate) fn open(&mut self, lot: Lot, policy: LotPolicy) -> Result<()> {
        self.cost = self.cost.plus(lot.cost, WHAT)?;
        match (policy, self.lots.front_mut()) {
            (LotPolicy::Average, Some(only)) => {
                only.quantity = only.quantity.checked_add(lot.quantity).ok_or_else(|| out_of_range("position"))?;
                only.cost = only.cost.plus(lot.cost, WHAT)?;
                only.fees = only.fees.plus(lot.fees, WHAT)?;
                only.slippage = only.slippage.plus(lot.slippage, WHAT)?;
            }
            _ => self.lots.push_back(lot),
        }
        Ok(())
    }

    /// Spread `target` units and `cost` over the lots in proportion; both add up exactly.
    pub(crate) fn rescale(&mut self, target: i64, cost: Cash, ratio: Ratio) -> Result<()> {
        let (old_quantity, old_cost) = (self.quantity, self.cost);
        let (mut units, mut money) = (0_i64, Cash::ZERO);
        let (mut seen_units, mut seen_cost) = (0_i64, Cash::ZERO);
        let last = self.lots.len().saturating_sub(1);
        for (k, lot) in self.lots.iter_mut().enumerate() {
            seen_units += lot.quantity;
            seen_cost = seen_cost.plus(lot.cost, WHAT)?;
            let upto = if k == last {
                (target, cost)
            } else {
                let part = ratio.scale_down(seen_units).ok_or_else(|| out_of_range("split"))?;
                // The total is rounded down to whole lots, so a running share may pass it.
                let part = if old_quantity >= 0 { part.min(target) } else { part.max(target) };
                let share = if old_cost == Cash::ZERO {
                    Cash::ZERO
                } else {
                    Cash(mul_div_half_even(cost.0, seen_cost.0, old_cost.0).ok_or_else(|| out_of_range("split"))?)
                };
                (part, share)
            };
            lot.quantity = upto.0 - units;
            lot.cost = upto.1.minus(money, WHAT)?;
            (units, money) = upto;
        }
        // A lot that shrank to nothing hands its cost to the next one, or to the last that is left.
        let mut carried = Cash::ZERO;
        let mut kept: VecDeque<Lot> = VecDeque::with_capacity(self.lots.len());
        for mut lot in self.lots.drain(..) {
            lot.cost = lot.cost.plus(carried, WHAT)?;
            carried = Cash::ZERO;
            if lot.quantity == 0 {
                carried = lot.cost;
            } else {
                kept.push_back(lot);
            }
        }
        if let Some(lot) = kept.back_mut() {
            lot.cost = lot.cost.plus(carried, WHAT)?;
        }
        self.lots = kept;
        self.quantity = target;
        self.cost = cost;
        Ok(())
    }

    /// The cheap half of the audit: what a fill can break.
    pub(crate) fn check(&self, symbol: &str) -> Result<()> {
        let is_flat = self.quantity == 0;
        if is_flat != self.lots.is_empty() || (is_flat && self.cost != Cash::ZERO) {
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
        if quantity != i128::from(self.quantity) || cost != self.cost {
            return Err(SimError::accounting(format!("{symbol}: the lots do not add up to the position")));
        }
        Ok(())
    }
}
