//! Interactive Brokers, US options.

use ml4t_abi::FeeContext;

use super::Formula;
use super::tiers::tier;
use crate::error::Result;
use crate::models::params::Reader;

const LIMITS: [f64; 3] = [10_000.0, 50_000.0, 100_000.0];
/// By tier of the month: premium of 0.10 or more, of 0.05 or more, below.
const RATES: [[f64; 3]; 4] = [[0.65, 0.5, 0.25], [0.5, 0.5, 0.25], [0.25, 0.25, 0.25], [0.15, 0.15, 0.15]];

/// Fee model `IbkrOptions`: money per contract, by premium and by the contracts of the month.
#[derive(Clone, Copy)]
pub(super) struct IbkrOptions {
    minimum: f64,
}

/// The rate of a premium.
fn per_contract([rich, middle, cheap]: [f64; 3], premium: f64) -> f64 {
    match premium.abs() {
        size if size >= 0.1 => rich,
        size if size >= 0.05 => middle,
        _ => cheap,
    }
}

impl Formula for IbkrOptions {
    const NAME: &'static str = "IBKR options fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self { minimum: params.number("minimum")? })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        let rates = RATES[tier(&LIMITS, fill.month_quantity)];
        let fee = per_contract(rates, fill.price) * fill.quantity;
        if fill.order_filled_quantity <= 0.0 {
            return fee.max(self.minimum);
        }
        // At their average premium; what they came to one by one is not known.
        let average = fill.order_notional / (fill.order_filled_quantity * fill.multiplier);
        let earlier = per_contract(rates, average) * fill.order_filled_quantity;
        (earlier + fee).max(self.minimum) - earlier.max(self.minimum)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, assert_fees, charge, fill};
    use super::*;

    /// LEAN, `InteractiveBrokersFeeModel`: up to 10,000 contracts a month 0.65 from a premium of 0.10, 0.50
    /// from 0.05, 0.25 below, at least 1.00 per order; the later tiers from the same source.
    #[test]
    fn an_option_costs_by_its_premium_and_the_month() {
        for (used, quantity, premium, expected) in [
            (0.0, 10.0, 0.10, 6.5),
            (0.0, 10.0, 0.099_9, 5.0),
            (0.0, 10.0, 0.05, 5.0),
            (0.0, 10.0, 0.049_9, 2.5),
            (0.0, 1.0, 3.2, 1.0),
            (0.0, 2.0, 0.01, 1.0),
            (10_000.0, 10.0, 1.0, 6.5),
            (10_001.0, 10.0, 1.0, 5.0),
            (10_001.0, 10.0, 0.04, 2.5),
            (50_001.0, 10.0, 1.0, 2.5),
            (100_001.0, 10.0, 1.0, 1.5),
        ] {
            let asked = FeeContext { month_quantity: used, multiplier: 100.0, ..fill(quantity, premium) };
            assert_close("fee", IbkrOptions { minimum: 1.0 }.evaluate(&asked), expected);
        }
    }

    #[test]
    fn the_minimum_is_for_the_order() {
        let fees = charge(&IbkrOptions { minimum: 1.0 }, &[(1.0, 2.0), (1.0, 2.0), (1.0, 2.0)], 0.0);
        assert_fees(&fees, &[1.0, 0.3, 0.65]);
    }
}
