//! Fees per share, contract or order, and fractions of the notional.

use ml4t_abi::{FeeContext, Liquidity};

use super::Formula;
use crate::error::Result;
use crate::models::params::Reader;

/// Fee model `NoFee`.
#[derive(Clone, Copy)]
pub(super) struct NoFee;

impl Formula for NoFee {
    const NAME: &'static str = "no fee";
    const IS_NEUTRAL: bool = true;

    fn read(_params: &Reader<'_>) -> Result<Self> {
        Ok(Self)
    }

    fn evaluate(&self, _fill: &FeeContext) -> f64 {
        0.0
    }
}

/// Fee model `PerShare`: an amount per share or contract, with a minimum and a cap that hold for the order as a
/// whole, however many fills it takes. The cap wins over the minimum.
#[derive(Clone, Copy)]
pub(super) struct PerShare {
    fee: f64,
    minimum: f64,
    maximum_fraction: Option<f64>,
}

impl Formula for PerShare {
    const NAME: &'static str = "per share fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            fee: params.number("fee")?,
            minimum: params.number_or("minimum", 0.0)?,
            maximum_fraction: params.optional("maximum_fraction")?,
        })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        if self.minimum == 0.0 && self.maximum_fraction.is_none() {
            return self.fee * fill.quantity;
        }
        let quantity = fill.order_filled_quantity + fill.quantity;
        let mut total = (self.fee * quantity).max(self.minimum);
        if let Some(fraction) = self.maximum_fraction {
            total = total.min(fraction * (fill.order_notional + fill.notional).abs());
        }
        // What has been charged is not given back, should the cap shrink with the notional of later fills.
        (total - fill.order_fees).max(0.0)
    }
}

/// Fee model `PerContract`: an amount per contract and one per order, with a minimum for the order.
#[derive(Clone, Copy)]
pub(super) struct PerContract {
    fee: f64,
    order_fee: f64,
    minimum: f64,
}

impl Formula for PerContract {
    const NAME: &'static str = "per contract fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            fee: params.number("fee")?,
            order_fee: params.number_or("order_fee", 0.0)?,
            minimum: params.number_or("minimum", 0.0)?,
        })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        if self.minimum == 0.0 {
            let once = if fill.order_filled_quantity > 0.0 { 0.0 } else { self.order_fee };
            return once + self.fee * fill.quantity;
        }
        let total = self.order_fee + self.fee * (fill.order_filled_quantity + fill.quantity);
        (total.max(self.minimum) - fill.order_fees).max(0.0)
    }
}

/// Fee model `PerOrder`: one amount, at the first fill.
#[derive(Clone, Copy)]
pub(super) struct PerOrder {
    fee: f64,
}

impl Formula for PerOrder {
    const NAME: &'static str = "per order fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self { fee: params.number("fee")? })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        if fill.order_filled_quantity > 0.0 { 0.0 } else { self.fee }
    }
}

/// Fee model `Fraction`: a fraction of the size of the notional.
#[derive(Clone, Copy)]
pub(super) struct Fraction {
    rate: f64,
}

impl Formula for Fraction {
    const NAME: &'static str = "fraction of notional fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self { rate: params.number("rate")? })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        fill.notional.abs() * self.rate
    }
}

/// Fee model `MakerTaker`: a fraction of the size of the notional by who provided the liquidity.
#[derive(Clone, Copy)]
pub(super) struct MakerTaker {
    pub(super) maker: f64,
    pub(super) taker: f64,
}

impl MakerTaker {
    /// The fraction that a fill pays.
    pub(super) fn rate(&self, fill: &FeeContext) -> f64 {
        if fill.liquidity == Liquidity::MAKER { self.maker } else { self.taker }
    }
}

impl Formula for MakerTaker {
    const NAME: &'static str = "maker and taker fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self { maker: params.number("maker")?, taker: params.number("taker")? })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        fill.notional.abs() * self.rate(fill)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, assert_fees, charge, fill};
    use super::*;

    /// IBKR, "Commissions Stocks", US fixed: 0.005 per share, at least 1.00, at most 1 % of the value.
    const IBKR: PerShare = PerShare { fee: 0.005, minimum: 1.0, maximum_fraction: Some(0.01) };

    #[test]
    fn per_share_with_minimum_and_cap_gives_the_published_fees() {
        for (quantity, price, expected) in [
            (100.0, 25.0, 1.0),
            (1_000.0, 25.0, 5.0),
            (1_000.0, 0.25, 2.5),
            (1.0, 50.0, 0.5),
            (1.0, 150.0, 1.0),
            (250.0, 4.0, 1.25),
        ] {
            assert_close("fee", IBKR.evaluate(&fill(quantity, price)), expected);
        }
    }

    #[test]
    fn fills_of_one_order_pay_together_what_one_fill_would() {
        for pieces in [vec![1_000.0], vec![50.0, 50.0, 900.0], vec![1.0; 1_000], vec![150.0, 850.0]] {
            let fills: Vec<_> = pieces.iter().map(|&quantity| (quantity, 25.0)).collect();
            let fees = charge(&IBKR, &fills, 0.0);
            assert!(fees.iter().all(|&fee| fee >= 0.0));
            assert_close("order", fees.iter().sum(), 5.0);
        }
    }

    #[test]
    fn per_share_without_minimum_or_cap_is_the_plain_product() {
        let plain = PerShare { fee: 0.005, minimum: 0.0, maximum_fraction: None };
        let later = FeeContext { order_filled_quantity: 77.0, order_fees: 0.4, ..fill(300.0, 25.0) };
        assert_eq!(plain.evaluate(&later).to_bits(), (0.005_f64 * 300.0).to_bits());
    }

    #[test]
    fn a_fee_per_order_is_charged_at_its_first_fill_only() {
        assert_fees(&charge(&PerOrder { fee: 4.95 }, &[(10.0, 25.0), (10.0, 25.0)], 0.0), &[4.95, 0.0]);
    }

    #[test]
    fn a_fraction_of_notional_is_charged_on_its_size() {
        let model = Fraction { rate: 0.001 };
        assert_close("positive", model.evaluate(&fill(100.0, 25.0)), 2.5);
        let negative = FeeContext { notional: -2_500.0, ..fill(100.0, -25.0) };
        assert_close("negative", model.evaluate(&negative), 2.5);
    }

    /// zipline-reloaded, `tests/finance/test_commissions.py`: 0.001 per share, 0.85 per contract, 0.0015 per dollar, on
    /// 500 units at 20.00 worked from these rates.
    #[test]
    fn zipline_s_commissions_are_members() {
        let order = fill(500.0, 20.0);
        let per_share = PerShare { fee: 0.001, minimum: 0.0, maximum_fraction: None };
        assert_close("per share", per_share.evaluate(&order), 0.5);
        let per_contract = PerContract { fee: 0.85, order_fee: 0.0, minimum: 0.0 };
        assert_close("per contract", per_contract.evaluate(&order), 425.0);
        assert_close("per dollar", Fraction { rate: 0.0015 }.evaluate(&order), 15.0);
    }

    /// LEAN, ES of CME: 0.85 + 1.28 + 0.02 = 2.15 per contract.
    #[test]
    fn a_contract_costs_the_same_whatever_its_multiplier() {
        let nine = FeeContext { multiplier: 50.0, notional: 720_000.0, ..fill(9.0, 1_600.0) };
        assert_close("fee", PerContract { fee: 2.15, order_fee: 0.0, minimum: 0.0 }.evaluate(&nine), 19.35);
    }

    #[test]
    fn the_amount_per_order_is_charged_once_and_the_minimum_is_for_the_order() {
        let model = PerContract { fee: 0.85, order_fee: 1.5, minimum: 0.0 };
        assert_fees(&charge(&model, &[(2.0, 100.0), (3.0, 100.0)], 0.0), &[3.2, 2.55]);
        // 1.5 + 0.85 = 2.35 is raised to 4; with three more it is 1.5 + 4 x 0.85 = 4.90.
        let model = PerContract { minimum: 4.0, ..model };
        assert_fees(&charge(&model, &[(1.0, 100.0), (1.0, 100.0), (2.0, 100.0)], 0.0), &[4.0, 0.0, 0.9]);
    }

    #[test]
    fn a_maker_may_get_a_rebate_and_a_taker_pays() {
        let model = MakerTaker { maker: -0.000_25, taker: 0.000_75 };
        let taker = fill(2.0, 500.0);
        assert_close("taker", model.evaluate(&taker), 0.75);
        assert_close("maker", model.evaluate(&FeeContext { liquidity: Liquidity::MAKER, ..taker }), -0.25);
    }
}
