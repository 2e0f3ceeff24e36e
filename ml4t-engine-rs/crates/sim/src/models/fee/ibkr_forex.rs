//! Interactive Brokers, spot currencies.

use ml4t_abi::FeeContext;

use super::Formula;
use super::tiers::tier;
use crate::error::Result;
use crate::models::params::Reader;

/// Fee model `IbkrForex`: basis points of the value, with a minimum for the order, both by the notional of the month.
#[derive(Clone)]
pub(super) struct IbkrForex {
    limits: Vec<f64>,
    bps: Vec<f64>,
    minimums: Vec<f64>,
}

impl Formula for IbkrForex {
    const NAME: &'static str = "IBKR currencies fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        let limits = params.numbers("limits")?;
        let (bps, minimums) = (params.per_tier("bps", &limits)?, params.per_tier("minimums", &limits)?);
        Ok(Self { limits, bps, minimums })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        let index = tier(&self.limits, fill.month_notional.abs());
        let total = (fill.order_notional.abs() + fill.notional.abs()) * self.bps[index] / 10_000.0;
        (total.max(self.minimums[index]) - fill.order_fees).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, assert_fees, charge, fill};
    use super::*;

    fn published() -> IbkrForex {
        let limits = vec![1e9, 2e9, 5e9];
        IbkrForex { limits, bps: vec![0.2, 0.15, 0.1, 0.08], minimums: vec![2.0, 1.5, 1.25, 1.0] }
    }

    /// LEAN, `InteractiveBrokersFeeModel`, Forex: 0.20 bp, at least 2.00, up to a billion a month; then 0.15
    /// and 1.50, 0.10 and 1.25, 0.08 and 1.00.
    #[test]
    fn a_currency_costs_basis_points_with_a_minimum_by_the_month() {
        for (used, notional, expected) in [
            (0.0, 1e6, 20.0),
            (0.0, 5e4, 2.0),
            (1e9, 1e6, 20.0),
            (1.5e9, 1e6, 15.0),
            (1.5e9, 5e4, 1.5),
            (3e9, 1e6, 10.0),
            (3e9, 5e4, 1.25),
            (6e9, 1e6, 8.0),
            (6e9, 5e4, 1.0),
        ] {
            let asked = FeeContext { month_notional: used, ..fill(notional, 1.0) };
            assert_close("fee", published().evaluate(&asked), expected);
        }
    }

    #[test]
    fn the_minimum_is_for_the_order() {
        let fees = charge(&published(), &[(50_000.0, 1.0), (30_000.0, 1.0), (40_000.0, 1.0)], 0.0);
        assert_fees(&fees, &[2.0, 0.0, 0.4]);
    }
}
