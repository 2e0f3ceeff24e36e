//! Rates that change with what was traded in the month.

use ml4t_abi::FeeContext;

use super::Formula;
use crate::error::Result;
use crate::models::params::Reader;

/// What `amount` costs when `start` is used up already: each part at the rate of its tier.
///
/// A tier goes from the limit before it, exclusive, to its own, inclusive; the last one has no limit.
pub(super) fn marginal(limits: &[f64], rates: &[f64], start: f64, amount: f64) -> f64 {
    let mut total = 0.0;
    let mut below: f64 = 0.0;
    for (index, rate) in rates.iter().enumerate() {
        let end = limits.get(index).copied().unwrap_or(f64::INFINITY);
        let within = (start + amount).min(end) - start.max(below);
        if within > 0.0 {
            total += rate * within;
        }
        below = end;
    }
    total
}

/// The index of the tier that `used` is in; a limit still belongs to the tier that it ends.
pub(super) fn tier(limits: &[f64], used: f64) -> usize {
    limits.iter().filter(|&&limit| used > limit).count()
}

/// Fee model `Tiered`: each part of what is traded in a month at the rate of the tier it falls into.
#[derive(Clone)]
pub(super) struct Tiered {
    limits: Vec<f64>,
    rates: Vec<f64>,
    is_by_notional: bool,
    minimum: f64,
}

impl Formula for Tiered {
    const NAME: &'static str = "tiered fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        let limits = params.numbers("limits")?;
        Ok(Self {
            rates: params.per_tier("rates", &limits)?,
            limits,
            is_by_notional: params.choice("basis", &["quantity", "notional"])? == 1,
            minimum: params.number_or("minimum", 0.0)?,
        })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        let (used, before, amount) = if self.is_by_notional {
            (fill.month_notional.abs(), fill.order_notional.abs(), fill.notional.abs())
        } else {
            (fill.month_quantity, fill.order_filled_quantity, fill.quantity)
        };
        if self.minimum == 0.0 {
            return marginal(&self.limits, &self.rates, used, amount);
        }
        // The earlier fills of the order are taken for the last trades of the month.
        let start = (used - before).max(0.0);
        let total = marginal(&self.limits, &self.rates, start, before + amount);
        (total.max(self.minimum) - fill.order_fees).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, assert_fees, charge, fill};
    use super::*;

    fn ibkr(minimum: f64) -> Tiered {
        let limits = vec![300e3, 3e6, 20e6, 100e6];
        Tiered { limits, rates: vec![0.003_5, 0.002, 0.001_5, 0.001, 0.000_5], is_by_notional: false, minimum }
    }

    /// Interactive Brokers, "Commissions Stocks", US tiered, read marginally; worked by hand: 300,000 x 0.0035 + 100,000
    /// x 0.0020 = 1,250 and 5,000 x 0.0035 + 5,000 x 0.0020 = 27.50.
    #[test]
    fn each_share_pays_the_rate_of_the_tier_it_falls_into() {
        for (used, quantity, expected) in [
            (0.0, 400_000.0, 1_250.0),
            (295_000.0, 10_000.0, 27.5),
            (0.0, 300_000.0, 1_050.0),
            (300_000.0, 1.0, 0.002),
            (0.0, 30_000_000.0, 1_050.0 + 5_400.0 + 25_500.0 + 10_000.0),
            (200e6, 1_000_000.0, 500.0),
        ] {
            let asked = FeeContext { month_quantity: used, ..fill(quantity, 25.0) };
            assert_close("fee", ibkr(0.0).evaluate(&asked), expected);
        }
    }

    #[test]
    fn tiers_by_notional_charge_fractions_of_its_size() {
        // 400 of the 1,000 are left at 0.2 %, the other 600 pay 0.1 %.
        let model = Tiered { limits: vec![1_000.0], rates: vec![0.002, 0.001], is_by_notional: true, minimum: 0.0 };
        let asked = FeeContext { month_notional: 600.0, ..fill(10.0, 100.0) };
        assert_close("fee", model.evaluate(&asked), 1.4);
    }

    #[test]
    fn the_minimum_is_for_the_order_and_its_fills_pay_together_what_one_would() {
        assert_fees(&charge(&ibkr(1.0), &[(100.0, 25.0), (100.0, 25.0), (400.0, 25.0)], 0.0), &[1.0, 0.0, 1.1]);
        let apart = charge(&ibkr(0.35), &[(4_000.0, 25.0), (4_000.0, 25.0), (2_000.0, 25.0)], 295_000.0);
        assert_close("across a limit", apart.iter().sum(), 27.5);
    }

    #[test]
    fn a_limit_belongs_to_the_tier_that_it_ends() {
        let limits = [10.0, 20.0];
        for (used, expected) in [(0.0, 0), (10.0, 0), (10.5, 1), (20.0, 1), (21.0, 2)] {
            assert_eq!(tier(&limits, used), expected);
        }
    }
}
