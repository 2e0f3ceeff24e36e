//! Formulas of the fill, slippage and fee models that are compiled into the simulator.
//!
//! Each struct carries the parameters of one model under the names that its Python class has, and `evaluate` does
//! the same operations in the same order, so the two agree bit for bit: only + - x / `abs`, `min` and `max` occur.
//! What the models decide is the business of the plugins `ml4t-fills`, `ml4t-slippage` and `ml4t-fees`; this
//! file holds no state, no order logic and no rounding.
//!
//! Prices are in the instrument's currency per unit, quantities in units and positive, money in the instrument's
//! currency; NaN stands for missing data. An error is the sentence that the run stops with, after the engine has
//! put instrument, time and model in front of it.

/// A refusal to answer, in words for the user.
pub type Refusal = &'static str;

/// What a slippage model answers; positive numbers hurt the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slippage {
    /// Slippage per unit.
    pub price_adjustment: f64,
    /// Half spread per unit, reported apart from slippage.
    pub spread: f64,
    /// Most that may fill at this event, infinity without a cap.
    ///
    /// An order larger than the cap is filled up to it and the model is asked again with that quantity, so that
    /// the adjustment is that of the quantity which fills.
    pub quantity_cap: f64,
}

impl Slippage {
    /// Nothing lost and no cap.
    pub const NONE: Self = Self { price_adjustment: 0.0, spread: 0.0, quantity_cap: f64::INFINITY };
}

/// What is left for an order of the share `volume_limit` of `volume`, after `volume_used`; never negative.
fn volume_left(volume: f64, volume_used: f64, volume_limit: f64) -> f64 {
    (volume_limit * volume - volume_used).max(0.0)
}

/// Fill model `Default`: the price that the matching rules allow, for what the market shows.
#[derive(Clone, Copy, Debug)]
pub struct DefaultFill {
    /// Share of the bar's volume, the quote's size or the print's size that all our orders may take together;
    /// `None` for no limit.
    pub volume_limit: Option<f64>,
    /// Sessions over whose average volume the share is taken instead, for all orders of a session; 0 for the event.
    pub average_days: usize,
    /// Whether an order takes what there is of the share; else one that is larger is refused.
    pub partial: bool,
}

impl DefaultFill {
    /// Quantity that fills now, of `leaves_quantity`, where the event (or the average session) shows `volume` and
    /// earlier orders took `volume_used` of it; `None` refuses the order. Without volume it is 0.
    ///
    /// # Errors
    /// There is a limit and the event has no volume.
    pub fn evaluate(&self, leaves_quantity: f64, volume: f64, volume_used: f64) -> Result<Option<f64>, Refusal> {
        let Some(limit) = self.volume_limit else { return Ok(Some(leaves_quantity)) };
        if volume.is_nan() {
            return Err(match self.average_days {
                0 => "volume_limit needs the volume of a bar or the size of a quote or print; this data has none",
                _ => "average_days needs every volume of those sessions; one is missing in this data",
            });
        }
        let left = volume_left(volume, volume_used, limit);
        Ok((self.partial || leaves_quantity <= left).then_some(leaves_quantity.min(left)))
    }
}

/// Slippage model `FixedFraction`: a fraction of the price.
#[derive(Clone, Copy, Debug)]
pub struct FixedFraction {
    /// Slippage per unit of price.
    pub fraction: f64,
}

impl FixedFraction {
    /// Slippage at `price`. Negative prices lose as much as positive ones.
    #[must_use]
    pub fn evaluate(&self, price: f64) -> Slippage {
        Slippage { price_adjustment: price.abs() * self.fraction, ..Slippage::NONE }
    }
}

/// Slippage model `BasisPoints`: hundredths of a percent of the price, optionally up to a share of the volume.
///
/// Source: zipline-reloaded `FixedBasisPointsSlippage`.
#[derive(Clone, Copy, Debug)]
pub struct BasisPoints {
    /// Slippage in 1/10,000 of the price.
    pub bps: f64,
    /// Share of the volume that all our orders may take together; `None` for no limit.
    pub volume_limit: Option<f64>,
}

impl BasisPoints {
    /// Slippage at `price`, and the cap on an event of `volume` of which `volume_used` is taken.
    ///
    /// # Errors
    /// There is a limit and the volume is missing.
    pub fn evaluate(&self, price: f64, volume: f64, volume_used: f64) -> Result<Slippage, Refusal> {
        let price_adjustment = price.abs() * self.bps / 10_000.0;
        let Some(limit) = self.volume_limit else { return Ok(Slippage { price_adjustment, ..Slippage::NONE }) };
        if volume.is_nan() {
            return Err("BasisPoints with volume_limit needs volume, which this data lacks; leave volume_limit out");
        }
        Ok(Slippage { price_adjustment, spread: 0.0, quantity_cap: volume_left(volume, volume_used, limit) })
    }
}

/// Slippage model `Spread`: half of a constant spread, where the price is not already one side of a quote.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Width of the spread.
    pub width: SpreadWidth,
}

/// How the width of a constant spread is given; the Python class has the fields `spread` and `fraction`, of
/// which exactly one is set.
#[derive(Clone, Copy, Debug)]
pub enum SpreadWidth {
    /// In price units (`spread`).
    Price(f64),
    /// As a fraction of the price (`fraction`).
    Fraction(f64),
}

impl Spread {
    /// Half spread at `price`; nothing at a quote, whose far side is the price.
    #[must_use]
    pub fn evaluate(&self, price: f64, at_quote: bool) -> Slippage {
        if at_quote {
            return Slippage::NONE;
        }
        let width = match self.width {
            SpreadWidth::Price(width) => width,
            SpreadWidth::Fraction(fraction) => price.abs() * fraction,
        };
        Slippage { spread: width / 2.0, ..Slippage::NONE }
    }
}

/// Slippage model `VolumeShare`: grows with the square of our share of the volume.
///
/// Sources: zipline-reloaded `VolumeShareSlippage` where `caps_quantity`, else LEAN `VolumeShareSlippageModel`.
#[derive(Clone, Copy, Debug)]
pub struct VolumeShare {
    /// Largest share that counts.
    pub volume_limit: f64,
    /// Slippage as a fraction of the price, per square of the share.
    pub price_impact: f64,
    /// `true`: the limit also caps what fills on a bar, and the share counts what our earlier orders took.
    /// `false`: everything fills, and the share of the single fill stops growing at the limit.
    pub caps_quantity: bool,
}

impl VolumeShare {
    /// Slippage of `quantity` at `price`, on an event of `volume` of which our earlier orders took `volume_used`.
    ///
    /// An event without volume fills nothing where quantity is capped, and costs the most where it is not.
    ///
    /// # Errors
    /// The volume is missing.
    pub fn evaluate(&self, price: f64, quantity: f64, volume: f64, volume_used: f64) -> Result<Slippage, Refusal> {
        if volume.is_nan() {
            return Err("VolumeShare needs volume, which this data lacks; use BasisPoints or Spread");
        }
        let quantity_cap =
            if self.caps_quantity { volume_left(volume, volume_used, self.volume_limit) } else { f64::INFINITY };
        let taken = if self.caps_quantity { volume_used + quantity.min(quantity_cap) } else { quantity };
        let share = if volume > 0.0 { (taken / volume).min(self.volume_limit) } else { self.volume_limit };
        let price_adjustment = price.abs() * (self.price_impact * (share * share));
        Ok(Slippage { price_adjustment, spread: 0.0, quantity_cap })
    }
}

/// What the order behind a fill has done so far, and the fill.
#[derive(Clone, Copy, Debug)]
pub struct FeeBasis {
    /// Quantity of the fill.
    pub quantity: f64,
    /// `price x quantity x multiplier` of the fill.
    pub notional: f64,
    /// Quantity that the order filled before.
    pub order_filled_quantity: f64,
    /// Notional that the order filled before.
    pub order_notional: f64,
    /// Fees that the order paid before.
    pub order_fees: f64,
}

/// Fee model `PerShare`: an amount per share or contract, with a minimum and a cap that hold for the order as a
/// whole, however many fills it takes. The cap wins over the minimum.
#[derive(Clone, Copy, Debug)]
pub struct PerShare {
    /// Fee per share.
    pub fee: f64,
    /// Least that an order with a fill pays.
    pub minimum: f64,
    /// Most that an order pays, as a fraction of its notional; `None` for no cap.
    pub maximum_fraction: Option<f64>,
}

impl PerShare {
    /// What this fill adds to the order's fees.
    #[must_use]
    pub fn evaluate(&self, basis: &FeeBasis) -> f64 {
        if self.minimum == 0.0 && self.maximum_fraction.is_none() {
            return self.fee * basis.quantity;
        }
        let quantity = basis.order_filled_quantity + basis.quantity;
        let mut total = (self.fee * quantity).max(self.minimum);
        if let Some(fraction) = self.maximum_fraction {
            total = total.min(fraction * (basis.order_notional + basis.notional).abs());
        }
        // What has been charged is not given back, should the cap shrink with the notional of later fills.
        (total - basis.order_fees).max(0.0)
    }
}

/// Fee model `PerOrder`: one amount, at the first fill.
#[derive(Clone, Copy, Debug)]
pub struct PerOrder {
    /// Fee per order.
    pub fee: f64,
}

impl PerOrder {
    /// What this fill adds to the order's fees.
    #[must_use]
    pub fn evaluate(&self, basis: &FeeBasis) -> f64 {
        if basis.order_filled_quantity > 0.0 { 0.0 } else { self.fee }
    }
}

/// Fee model `Fraction`: a fraction of the size of the notional.
#[derive(Clone, Copy, Debug)]
pub struct Fraction {
    /// Fee per unit of notional.
    pub rate: f64,
}

impl Fraction {
    /// What this fill adds to the order's fees.
    #[must_use]
    pub fn evaluate(&self, basis: &FeeBasis) -> f64 {
        basis.notional.abs() * self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(what: &str, found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: found {found}, expected {expected}");
    }

    /// `quantity` of an order filled as the engine does: up to the cap, asked again with what fills.
    fn fill(model: VolumeShare, price: f64, quantity: f64, volume: f64, volume_used: f64) -> (f64, f64) {
        let cap = model.evaluate(price, quantity, volume, volume_used).unwrap().quantity_cap;
        let filled = quantity.min(cap);
        (filled, price + model.evaluate(price, filled, volume, volume_used).unwrap().price_adjustment)
    }

    /// zipline-reloaded, `tests/finance/test_slippage.py`.
    #[test]
    fn capped_volume_share_gives_the_published_fills() {
        let equity = VolumeShare { volume_limit: 0.025, price_impact: 0.1, caps_quantity: true };
        let future = VolumeShare { volume_limit: 1.0, price_impact: 0.3, caps_quantity: true };
        let cases = [
            (equity, 3.0, 100.0, 200.0, 0.0, 5.0, 3.000_187_5),
            (equity, 3.5, 100.0, 2_000.0, 0.0, 50.0, 3.500_218_75),
            (equity, 4.0, 100.0, 2_000.0, 0.0, 50.0, 4.000_25),
            (future, 5.0, 10.0, 100.0, 0.0, 10.0, 5.015),
            (equity, 100.0, 30.0, 2_000.0, 0.0, 30.0, 100.002_25),
            (equity, 100.0, 20.0, 2_000.0, 30.0, 20.0, 100.006_25),
        ];
        for (model, price, quantity, volume, used, expected_quantity, expected_price) in cases {
            let (filled, paid) = fill(model, price, quantity, volume, used);
            assert_close("quantity", filled, expected_quantity);
            assert_close("price", paid, expected_price);
        }
    }

    #[test]
    fn capped_volume_share_fills_nothing_on_a_bar_that_is_used_up_or_empty() {
        let model = VolumeShare { volume_limit: 0.025, price_impact: 0.1, caps_quantity: true };
        for (volume, used) in [(2_000.0, 50.0), (2_000.0, 80.0), (0.0, 0.0)] {
            assert_eq!(model.evaluate(10.0, 5.0, volume, used).unwrap().quantity_cap.to_bits(), 0);
        }
    }

    /// LEAN `VolumeShareSlippageModel`, recomputed from its formula.
    #[test]
    fn uncapped_volume_share_stops_growing_at_the_limit() {
        let model = VolumeShare { volume_limit: 0.025, price_impact: 0.1, caps_quantity: false };
        for (quantity, volume, expected) in
            [(100.0, 100.0, 0.006_25), (1.0, 100.0, 0.001), (2.0, 100.0, 0.004), (1.0, 0.0, 0.006_25)]
        {
            let found = model.evaluate(100.0, quantity, volume, 0.0).unwrap();
            assert_close("slippage", found.price_adjustment, expected);
            assert!(found.quantity_cap.is_infinite());
        }
    }

    /// zipline-reloaded, `tests/finance/test_slippage.py`: close 3.0, bar volume 200.
    #[test]
    fn basis_points_with_a_limit_give_the_published_fills() {
        for (bps, limit, quantity, expected_quantity, expected_price) in [
            (5.0, 0.1, 100.0, 20.0, 3.0015),
            (5.0, 0.1, 10.0, 10.0, 3.0015),
            (10.0, 0.1, 100.0, 20.0, 3.003),
            (5.0, 0.2, 100.0, 40.0, 3.0015),
        ] {
            let found = BasisPoints { bps, volume_limit: Some(limit) }.evaluate(3.0, 200.0, 0.0).unwrap();
            assert_close("quantity", found.quantity_cap.min(quantity), expected_quantity);
            assert_close("price", 3.0 + found.price_adjustment, expected_price);
        }
    }

    #[test]
    fn missing_volume_is_refused_where_a_limit_needs_it() {
        let nan = f64::NAN;
        let share = VolumeShare { volume_limit: 0.025, price_impact: 0.1, caps_quantity: false };
        assert!(share.evaluate(10.0, 1.0, nan, 0.0).unwrap_err().contains("needs volume"));
        assert!(BasisPoints { bps: 5.0, volume_limit: Some(0.1) }.evaluate(10.0, nan, 0.0).is_err());
        assert!(a_tenth(0, true).evaluate(10.0, nan, 0.0).is_err());
        let free = BasisPoints { bps: 5.0, volume_limit: None }.evaluate(10.0, nan, nan).unwrap();
        assert!(free.quantity_cap.is_infinite());
    }

    #[test]
    fn slippage_hurts_at_negative_prices_too() {
        assert_close("fraction", FixedFraction { fraction: 0.01 }.evaluate(-37.63).price_adjustment, 0.3763);
        let width = SpreadWidth::Fraction(0.02);
        assert_close("spread", Spread { width }.evaluate(-10.0, false).spread, 0.1);
    }

    #[test]
    fn half_the_spread_is_paid_except_at_a_quote() {
        let spread = Spread { width: SpreadWidth::Price(0.05) };
        assert_close("half", spread.evaluate(10.0, false).spread, 0.025);
        assert_eq!(spread.evaluate(10.0, true), Slippage::NONE);
        let spread = Spread { width: SpreadWidth::Fraction(0.001) };
        assert_close("half", spread.evaluate(10.0, false).spread, 0.005);
    }

    #[test]
    fn a_default_fill_takes_its_share_of_what_is_shown_and_no_more_than_is_left() {
        let limited = a_tenth(0, true);
        for (leaves, volume, used, expected) in [
            (100.0, 500.0, 0.0, 50.0),
            (100.0, 500.0, 20.0, 30.0),
            (100.0, 500.0, 60.0, 0.0),
            (10.0, 500.0, 0.0, 10.0),
            (10.0, 0.0, 0.0, 0.0),
        ] {
            let found = limited.evaluate(leaves, volume, used).unwrap().unwrap_or(f64::NAN);
            assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        }
        let unlimited = DefaultFill { volume_limit: None, average_days: 0, partial: true };
        assert_eq!(unlimited.evaluate(100.0, f64::NAN, 0.0), Ok(Some(100.0)));
    }

    #[test]
    fn an_order_beyond_its_share_is_refused_where_parts_are_not_taken() {
        let whole = a_tenth(0, false);
        assert_eq!(whole.evaluate(30.0, 500.0, 20.0), Ok(Some(30.0)));
        assert_eq!(whole.evaluate(31.0, 500.0, 20.0), Ok(None));
    }

    #[test]
    fn a_share_of_an_average_is_taken_and_one_that_is_missing_refused() {
        assert!(a_tenth(20, true).evaluate(10.0, f64::NAN, 0.0).is_err());
        assert_eq!(a_tenth(20, true).evaluate(10.0, 0.0, 0.0), Ok(Some(0.0)));
        assert_eq!(a_tenth(20, true).evaluate(60.0, 500.0, 0.0), Ok(Some(50.0)));
    }

    const fn a_tenth(average_days: usize, partial: bool) -> DefaultFill {
        DefaultFill { volume_limit: Some(0.1), average_days, partial }
    }

    fn whole_order(quantity: f64, price: f64) -> FeeBasis {
        FeeBasis {
            quantity,
            notional: quantity * price,
            order_filled_quantity: 0.0,
            order_notional: 0.0,
            order_fees: 0.0,
        }
    }

    /// IBKR, "Commissions Stocks", US fixed: 0.005 per share, at least 1.00, at most 1 % of the value.
    const IBKR_FIXED: PerShare = PerShare { fee: 0.005, minimum: 1.0, maximum_fraction: Some(0.01) };

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
            assert_close("fee", IBKR_FIXED.evaluate(&whole_order(quantity, price)), expected);
        }
    }

    #[test]
    fn fills_of_one_order_pay_together_what_one_fill_would() {
        for pieces in [vec![1_000.0], vec![50.0, 50.0, 900.0], vec![1.0; 1_000], vec![150.0, 850.0]] {
            let mut so_far = whole_order(0.0, 25.0);
            for &quantity in &pieces {
                let now = FeeBasis { quantity, notional: quantity * 25.0, ..so_far };
                let fee = IBKR_FIXED.evaluate(&now);
                assert!(fee >= 0.0);
                so_far.order_filled_quantity += quantity;
                so_far.order_notional += now.notional;
                so_far.order_fees += fee;
            }
            assert_close("order", so_far.order_fees, 5.0);
        }
    }

    #[test]
    fn per_share_without_minimum_or_cap_is_the_plain_product() {
        let plain = PerShare { fee: 0.005, minimum: 0.0, maximum_fraction: None };
        let later = FeeBasis { order_filled_quantity: 77.0, order_fees: 0.4, ..whole_order(300.0, 25.0) };
        assert_eq!(plain.evaluate(&later).to_bits(), (0.005_f64 * 300.0).to_bits());
    }

    #[test]
    fn a_fee_per_order_is_charged_at_its_first_fill_only() {
        let model = PerOrder { fee: 4.95 };
        let first = whole_order(10.0, 25.0);
        assert_close("first", model.evaluate(&first), 4.95);
        assert_eq!(model.evaluate(&FeeBasis { order_filled_quantity: 10.0, ..first }).to_bits(), 0);
    }

    #[test]
    fn a_fraction_of_notional_is_charged_on_its_size() {
        let model = Fraction { rate: 0.001 };
        assert_close("positive", model.evaluate(&whole_order(100.0, 25.0)), 2.5);
        assert_close("negative price", model.evaluate(&whole_order(100.0, -25.0)), 2.5);
    }
}
