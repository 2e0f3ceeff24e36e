//! Interactive Brokers, US stocks: fixed, tiered, and the fixed form that LEAN has.

use ml4t_abi::{FeeContext, Liquidity};

use super::Formula;
use super::regulatory::Rates;
use super::tiers::marginal;
use crate::error::Result;
use crate::models::params::Reader;

/// A commission per share with a minimum and a cap for the order.
#[derive(Clone, Copy)]
struct PerShare {
    fee: f64,
    minimum: f64,
    maximum_fraction: f64,
}

impl PerShare {
    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            fee: params.number("fee")?,
            minimum: params.number("minimum")?,
            maximum_fraction: params.number("maximum_fraction")?,
        })
    }
}

/// Fee model `IbkrFixed`: the cap wins over the minimum, and regulatory fees come on top.
#[derive(Clone, Copy)]
pub(super) struct IbkrFixed {
    per_share: PerShare,
    passed_on: Rates,
}

impl IbkrFixed {
    /// The commission of an order that has filled so much; it grows with both.
    fn commission(&self, quantity: f64, notional: f64) -> f64 {
        if quantity <= 0.0 {
            return 0.0;
        }
        let PerShare { fee, minimum, maximum_fraction } = self.per_share;
        (fee * quantity).max(minimum).min(maximum_fraction * notional.abs())
    }
}

impl Formula for IbkrFixed {
    const NAME: &'static str = "IBKR fixed fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self { per_share: PerShare::read(params)?, passed_on: Rates::read(params)? })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        let before = self.commission(fill.order_filled_quantity, fill.order_notional);
        let notional = fill.order_notional.abs() + fill.notional.abs();
        let after = self.commission(fill.order_filled_quantity + fill.quantity, notional);
        let [sec, taf, cat] = self.passed_on.fees_of(fill);
        after - before + (sec + taf + cat)
    }
}

/// Fee model `LeanIbkr`: the minimum wins over the cap.
#[derive(Clone, Copy)]
pub(super) struct LeanIbkr(PerShare);

impl Formula for LeanIbkr {
    const NAME: &'static str = "IBKR fee as in LEAN";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self(PerShare::read(params)?))
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        let PerShare { fee, minimum, maximum_fraction } = self.0;
        let mut total = fee * (fill.order_filled_quantity + fill.quantity);
        if total < minimum {
            total = minimum;
        } else {
            total = total.min(maximum_fraction * (fill.order_notional.abs() + fill.notional.abs()));
        }
        (total - fill.order_fees).max(0.0)
    }
}

/// Fee model `IbkrTiered`: a commission by the month, and what clearing, exchange and regulators charge fill by fill.
#[derive(Clone)]
pub(super) struct IbkrTiered {
    limits: Vec<f64>,
    rates: Vec<f64>,
    minimum: f64,
    maximum_fraction: f64,
    passed_on: Rates,
    clearing_per_share: f64,
    clearing_maximum_fraction: f64,
    nyse_fraction: f64,
    finra_fraction: f64,
    maker_per_share: f64,
    taker_per_share: f64,
}

impl IbkrTiered {
    /// What the fill adds to the commission of its order.
    fn added(&self, fill: &FeeContext) -> f64 {
        let before = fill.order_filled_quantity;
        // The earlier fills of the order are taken for the last trades of the month.
        let start = (fill.month_quantity - before).max(0.0);
        let earlier = self.commission(start, before, fill.order_notional.abs());
        let together = fill.order_notional.abs() + fill.notional.abs();
        (self.commission(start, before + fill.quantity, together) - earlier).max(0.0)
    }

    /// The commission of an order that filled so much, begun after `start` shares of the month.
    fn commission(&self, start: f64, quantity: f64, notional: f64) -> f64 {
        if quantity <= 0.0 {
            return 0.0;
        }
        let per_share = marginal(&self.limits, &self.rates, start, quantity);
        per_share.max(self.minimum).min(self.maximum_fraction * notional)
    }
}

impl Formula for IbkrTiered {
    const NAME: &'static str = "IBKR tiered fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        let limits = params.numbers("limits")?;
        Ok(Self {
            rates: params.per_tier("rates", &limits)?,
            limits,
            minimum: params.number("minimum")?,
            maximum_fraction: params.number("maximum_fraction")?,
            passed_on: Rates::read(params)?,
            clearing_per_share: params.number("clearing_per_share")?,
            clearing_maximum_fraction: params.number("clearing_maximum_fraction")?,
            nyse_fraction: params.number("nyse_fraction")?,
            finra_fraction: params.number("finra_fraction")?,
            maker_per_share: params.number("maker_per_share")?,
            taker_per_share: params.number("taker_per_share")?,
        })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        let commission = self.added(fill);
        let clearing =
            (self.clearing_per_share * fill.quantity).min(self.clearing_maximum_fraction * fill.notional.abs());
        let exchange = if fill.liquidity == Liquidity::MAKER { self.maker_per_share } else { self.taker_per_share };
        let [sec, taf, cat] = self.passed_on.fees_of(fill);
        let mut fee = commission + clearing + exchange * fill.quantity;
        fee += commission * self.nyse_fraction + commission * self.finra_fraction;
        fee += sec;
        fee += taf;
        fee + cat
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, assert_fees, charge, fill, sale};
    use super::*;

    const NOTHING: Rates = Rates { sec_rate: 0.0, taf_per_share: 0.0, taf_maximum: 8.3, cat_per_share: 0.0 };
    /// Those of the page "Fixed vs. Tiered Pricing Comparison Examples" at its date.
    const AT_ITS_DATE: Rates = Rates { sec_rate: 0.000_008, taf_per_share: 0.000_145, taf_maximum: 7.27, ..NOTHING };
    const PER_SHARE: PerShare = PerShare { fee: 0.005, minimum: 1.0, maximum_fraction: 0.01 };
    const FIXED: IbkrFixed = IbkrFixed { per_share: PER_SHARE, passed_on: NOTHING };
    const LEAN: LeanIbkr = LeanIbkr(PerShare { maximum_fraction: 0.005, ..PER_SHARE });

    /// The commission alone.
    fn tiered() -> IbkrTiered {
        IbkrTiered {
            limits: vec![300e3, 3e6, 20e6, 100e6],
            rates: vec![0.003_5, 0.002, 0.001_5, 0.001, 0.000_5],
            minimum: 0.35,
            maximum_fraction: 0.01,
            passed_on: NOTHING,
            clearing_per_share: 0.0,
            clearing_maximum_fraction: 0.005,
            nyse_fraction: 0.0,
            finra_fraction: 0.0,
            maker_per_share: 0.0,
            taker_per_share: 0.0,
        }
    }

    /// Interactive Brokers, "Commissions Stocks", US fixed: the first three rows are its examples, the others follow from
    /// the rule, at least 1.00 and at most 1 % of the value.
    #[test]
    fn the_fixed_commission_is_the_published_one() {
        for (quantity, price, expected) in [
            (100.0, 25.0, 1.0),
            (1_000.0, 25.0, 5.0),
            (1_000.0, 0.25, 2.5),
            (1.0, 50.0, 0.5),
            (1.0, 150.0, 1.0),
            (250.0, 4.0, 1.25),
        ] {
            assert_close("fee", FIXED.evaluate(&fill(quantity, price)), expected);
        }
    }

    #[test]
    fn the_fixed_minimum_and_cap_hold_for_the_order() {
        assert_fees(&charge(&FIXED, &[(50.0, 25.0), (50.0, 25.0), (300.0, 25.0)], 0.0), &[1.0, 0.0, 1.0]);
        // 1 % of 50.00 is 0.50, 1 % of 100.00 is the minimum of 1.00, and 150 x 0.005 is less than that.
        assert_fees(&charge(&FIXED, &[(50.0, 1.0), (50.0, 1.0), (50.0, 1.0)], 0.0), &[0.5, 0.5, 0.0]);
    }

    /// LEAN, `InteractiveBrokersFeeModel` with a cap of 0.5 %: the minimum is not capped. The last row: more
    /// than the minimum per share, but the cap is below it.
    #[test]
    fn lean_s_form_lets_the_minimum_win_over_the_cap() {
        for (quantity, price, expected) in
            [(1_000.0, 0.25, 1.25), (10.0, 0.2, 1.0), (100.0, 25.0, 1.0), (688.0, 144.781_7, 3.44), (1e3, 0.1, 0.5)]
        {
            assert_close("fee", LEAN.evaluate(&fill(quantity, price)), expected);
        }
        assert_fees(&charge(&LEAN, &[(50.0, 25.0), (50.0, 25.0), (300.0, 25.0)], 0.0), &[1.0, 0.0, 1.0]);
    }

    /// "Stock and ETF Fixed vs. Tiered Pricing Comparison Examples": SEC 8.00 per million, TAF 0.000145 up to 7.27, FINRA
    /// 0.00056 and NYSE 0.000175 of the commission. Half a unit of the last digit printed is left open.
    #[test]
    fn the_tiered_price_of_a_sale_is_the_published_sum() {
        for (quantity, liquidity, maker, taker, expected, printed) in [
            (30_000_000.0, Liquidity::MAKER, -0.002_1, 0.003, -13_811.9, 0.05),
            (30_000_000.0, Liquidity::TAKER, -0.002_1, 0.003, 139_188.1, 0.05),
            (200_000.0, Liquidity::TAKER, 0.0, 0.003, 1_355.78, 0.005),
        ] {
            let model = IbkrTiered {
                passed_on: AT_ITS_DATE,
                clearing_per_share: 0.000_2,
                nyse_fraction: 0.000_175,
                finra_fraction: 0.000_56,
                maker_per_share: maker,
                taker_per_share: taker,
                ..tiered()
            };
            let found = model.evaluate(&FeeContext { liquidity, ..sale(quantity, 5.0) });
            assert!((found - expected).abs() <= printed, "found {found}, expected {expected}");
        }
    }

    #[test]
    fn the_fixed_price_of_a_sale_is_the_published_sum() {
        for (quantity, expected) in [(30_000_000.0, 151_207.27), (200_000.0, 1_015.27)] {
            let found = IbkrFixed { passed_on: AT_ITS_DATE, ..FIXED }.evaluate(&sale(quantity, 5.0));
            assert!((found - expected).abs() <= 0.005, "found {found}, expected {expected}");
        }
    }

    /// "Commissions Stocks": SEC 0.0000278 x value, TAF 0.000166 x shares, NSCC and DTC 0.0002 a share; worked for a sale
    /// of 1,000 at 25: 0.695, 0.166 and 0.20.
    #[test]
    fn sales_pay_the_regulators_and_buys_do_not() {
        let passed_on = Rates { sec_rate: 0.000_027_8, taf_per_share: 0.000_166, ..NOTHING };
        let model = IbkrTiered { passed_on, clearing_per_share: 0.000_2, ..tiered() };
        assert_close("sale", model.evaluate(&sale(1_000.0, 25.0)), 3.5 + 0.695 + 0.166 + 0.2);
        assert_close("buy", model.evaluate(&fill(1_000.0, 25.0)), 3.5 + 0.2);
        let model = IbkrFixed { passed_on, ..FIXED };
        assert_close("fixed", model.evaluate(&sale(1_000.0, 25.0)), 5.0 + 0.695 + 0.166);
    }

    #[test]
    fn the_tiered_minimum_and_cap_hold_for_the_order() {
        let model = tiered();
        assert_close("minimum", model.evaluate(&fill(10.0, 25.0)), 0.35);
        assert_close("cap", model.evaluate(&fill(10.0, 0.5)), 0.05);
        assert_fees(&charge(&model, &[(50.0, 25.0), (40.0, 25.0), (100.0, 25.0)], 0.0), &[0.35, 0.0, 0.315]);
    }

    #[test]
    fn the_clearing_fee_is_capped_by_the_value() {
        // 10,000 x 0.0002 = 2.00; half a percent of 10,000 x 0.01 is 0.50. The commission is capped at 1.00.
        let model = IbkrTiered { clearing_per_share: 0.000_2, ..tiered() };
        assert_close("fee", model.evaluate(&fill(10_000.0, 0.01)), 1.5);
    }
}
