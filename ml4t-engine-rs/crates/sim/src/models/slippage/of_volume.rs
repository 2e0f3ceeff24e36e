//! Slippage that grows with our share of what the market trades.

use ml4t_abi::SlippageContext;

use super::{Formula, Slippage};
use crate::error::Result;
use crate::models::params::Reader;
use crate::models::{Refusal, volume_left};

const SESSIONS_PER_YEAR: f64 = 252.0;

/// Slippage model `VolumeShare`: grows with the square of our share of the volume.
///
/// Sources: zipline-reloaded `VolumeShareSlippage` where `caps_quantity`, else LEAN `VolumeShareSlippageModel`.
#[derive(Clone, Copy)]
pub(super) struct VolumeShare {
    /// Largest share that counts.
    volume_limit: f64,
    /// Slippage as a fraction of the price, per square of the share.
    price_impact: f64,
    /// `true`: the limit also caps what fills on a bar, and the share counts what our earlier orders took.
    /// `false`: everything fills, and the share of the single fill stops growing at the limit.
    caps_quantity: bool,
}

impl Formula for VolumeShare {
    const NAME: &'static str = "volume share slippage";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            volume_limit: params.number("volume_limit")?,
            price_impact: params.number("price_impact")?,
            caps_quantity: params.flag_or("caps_quantity", true)?,
        })
    }

    /// An event without volume fills nothing where quantity is capped, and costs the most where it is not.
    fn evaluate(&self, asked: &SlippageContext) -> std::result::Result<Slippage, Refusal> {
        let &SlippageContext { price, quantity, volume, volume_used, .. } = asked;
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

    fn needs_volume(&self) -> bool {
        true
    }
}

/// Slippage model `LeanVolumeShare`: the square of the fill's own share, which fills whole.
///
/// Source: LEAN `VolumeShareSlippageModel`.
#[derive(Clone, Copy)]
pub(super) struct LeanVolumeShare {
    /// Largest share that counts.
    volume_limit: f64,
    /// Slippage as a fraction of the price, per square of the share.
    price_impact: f64,
    /// Whether a fill without volume, 0 or missing, loses nothing; else as much as at the limit.
    free_without_volume: bool,
}

impl Formula for LeanVolumeShare {
    const NAME: &'static str = "volume share slippage as in LEAN";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            volume_limit: params.number("volume_limit")?,
            price_impact: params.number("price_impact")?,
            free_without_volume: params.flag_or("free_without_volume", false)?,
        })
    }

    fn evaluate(&self, asked: &SlippageContext) -> std::result::Result<Slippage, Refusal> {
        if asked.volume.is_nan() && !self.free_without_volume {
            return Err(
                "LeanVolumeShare needs volume, which this data lacks; set free_without_volume = true where venues \
                 report none, or use BasisPoints or Spread",
            );
        }
        let share = if asked.volume > 0.0 {
            (asked.quantity / asked.volume).min(self.volume_limit)
        } else if self.free_without_volume {
            0.0
        } else {
            self.volume_limit
        };
        let price_adjustment = asked.price.abs() * (self.price_impact * (share * share));
        Ok(Slippage { price_adjustment, ..Slippage::NONE })
    }

    fn needs_volume(&self) -> bool {
        true
    }
}

/// Slippage model `VolatilityVolumeShare`: volatility times the root of the fill's share of the average volume.
///
/// Source: zipline-reloaded `VolatilityVolumeShare`.
#[derive(Clone, Copy)]
pub(super) struct VolatilityVolumeShare {
    /// Largest share of the volume that all orders together may take.
    volume_limit: f64,
    /// Basis points per unit of volatility a year and root of the share.
    eta: f64,
    /// Basis points while volatility or average volume are not known.
    no_history_bps: f64,
}

impl Formula for VolatilityVolumeShare {
    const NAME: &'static str = "volatility volume share slippage";
    const AVERAGE_DAYS: usize = 20;

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            volume_limit: params.number("volume_limit")?,
            eta: params.number("eta")?,
            no_history_bps: params.number("no_history_bps")?,
        })
    }

    fn evaluate(&self, asked: &SlippageContext) -> std::result::Result<Slippage, Refusal> {
        if asked.volume.is_nan() {
            return Err("VolatilityVolumeShare needs volume, which this data lacks; use BasisPoints or Spread");
        }
        let quantity_cap = volume_left(asked.volume, asked.volume_used, self.volume_limit);
        let mut bps = self.no_history_bps;
        // A comparison with NaN is false.
        if asked.average_volume > 0.0 && asked.volatility >= 0.0 {
            let annual = asked.volatility * SESSIONS_PER_YEAR.sqrt();
            bps = self.eta * annual * (asked.quantity.min(quantity_cap) / asked.average_volume).sqrt();
        }
        Ok(Slippage { price_adjustment: asked.price.abs() * bps / 10_000.0, spread: 0.0, quantity_cap })
    }

    fn needs_volume(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{asked, assert_close};
    use super::*;

    const CAPPED: VolumeShare = VolumeShare { volume_limit: 0.025, price_impact: 0.1, caps_quantity: true };
    const LEAN: LeanVolumeShare =
        LeanVolumeShare { volume_limit: 0.025, price_impact: 0.1, free_without_volume: false };
    const VOLATILITY: VolatilityVolumeShare =
        VolatilityVolumeShare { volume_limit: 0.05, eta: 0.05, no_history_bps: 7.5 };

    fn used(volume_used: f64, asked: SlippageContext) -> SlippageContext {
        SlippageContext { volume_used, ..asked }
    }

    /// The order filled as the engine does: up to the cap, asked again with what fills.
    fn fill(model: &impl Formula, first: &SlippageContext) -> (f64, f64) {
        let quantity = first.quantity.min(model.evaluate(first).unwrap().quantity_cap);
        let again = SlippageContext { quantity, ..*first };
        (quantity, first.price + model.evaluate(&again).unwrap().price_adjustment)
    }

    /// zipline-reloaded, `tests/finance/test_slippage.py`.
    #[test]
    fn capped_volume_share_gives_the_published_fills() {
        let future = VolumeShare { volume_limit: 1.0, price_impact: 0.3, caps_quantity: true };
        for (model, price, quantity, volume, taken, expected_quantity, expected_price) in [
            (CAPPED, 3.0, 100.0, 200.0, 0.0, 5.0, 3.000_187_5),
            (CAPPED, 3.5, 100.0, 2_000.0, 0.0, 50.0, 3.500_218_75),
            (CAPPED, 4.0, 100.0, 2_000.0, 0.0, 50.0, 4.000_25),
            (future, 5.0, 10.0, 100.0, 0.0, 10.0, 5.015),
            (CAPPED, 100.0, 30.0, 2_000.0, 0.0, 30.0, 100.002_25),
            (CAPPED, 100.0, 20.0, 2_000.0, 30.0, 20.0, 100.006_25),
        ] {
            let (filled, paid) = fill(&model, &used(taken, asked(price, quantity, volume)));
            assert_close("quantity", filled, expected_quantity);
            assert_close("price", paid, expected_price);
        }
    }

    #[test]
    fn a_bar_that_is_used_up_or_empty_fills_nothing_under_a_cap() {
        for (volume, taken) in [(2_000.0, 50.0), (2_000.0, 80.0), (0.0, 0.0)] {
            let asked = used(taken, asked(10.0, 5.0, volume));
            assert_eq!(CAPPED.evaluate(&asked).unwrap().quantity_cap.to_bits(), 0);
            let taken_twice = used(2.0 * taken, asked);
            assert_eq!(VOLATILITY.evaluate(&taken_twice).unwrap().quantity_cap.to_bits(), 0);
        }
    }

    /// LEAN `VolumeShareSlippageModel`, recomputed from its formula.
    #[test]
    fn an_uncapped_share_stops_growing_at_the_limit() {
        let uncapped = VolumeShare { caps_quantity: false, ..CAPPED };
        for (quantity, volume, expected) in
            [(100.0, 100.0, 0.006_25), (1.0, 100.0, 0.001), (2.0, 100.0, 0.004), (1.0, 0.0, 0.006_25)]
        {
            let asked = used(7.0, asked(100.0, quantity, volume));
            for found in [uncapped.evaluate(&asked), LEAN.evaluate(&asked)].map(std::result::Result::unwrap) {
                assert_close("slippage", found.price_adjustment, expected);
                assert!(found.quantity_cap.is_infinite());
            }
        }
    }

    #[test]
    fn where_venues_report_no_volume_lean_s_slippage_is_free_if_asked_for() {
        let free = LeanVolumeShare { free_without_volume: true, ..LEAN };
        for volume in [0.0, f64::NAN] {
            assert_eq!(free.evaluate(&asked(1.1, 1e5, volume)), Ok(Slippage::NONE));
        }
        let known = asked(100.0, 2.0, 100.0);
        assert_eq!(free.evaluate(&known), LEAN.evaluate(&known));
    }

    /// zipline-reloaded, `finance/slippage.py`, worked by hand: 0.05 x (0.01 sqrt(252)) x sqrt(100 / 10,000) = 0.05 x
    /// 0.1587450787 x 0.1 = 7.937253933e-4 basis points, of 60 that is 4.762352360e-6; the cap is 5 % of 2,000.
    #[test]
    fn volatility_and_the_root_of_the_share_of_the_average_give_the_formula() {
        let known = SlippageContext { average_volume: 10_000.0, volatility: 0.01, ..asked(60.0, 150.0, 2_000.0) };
        let found = VOLATILITY.evaluate(&known).unwrap();
        assert_close("slippage", found.price_adjustment, 60.0 * 7.937_253_933_193_772e-8);
        assert_close("cap", found.quantity_cap, 100.0);
        assert_close("cap", VOLATILITY.evaluate(&used(30.0, known)).unwrap().quantity_cap, 70.0);
    }

    /// The same source: 7.5 basis points without history, or without volume in it.
    #[test]
    fn without_history_a_fill_loses_seven_and_a_half_basis_points() {
        let nan = f64::NAN;
        for (average_volume, volatility) in [(nan, nan), (10_000.0, nan), (nan, 0.01), (0.0, 0.01)] {
            let asked = SlippageContext { average_volume, volatility, ..asked(60.0, 10.0, 1_000.0) };
            assert_close("slippage", VOLATILITY.evaluate(&asked).unwrap().price_adjustment, 0.045);
        }
    }

    #[test]
    fn missing_volume_is_refused() {
        let without = asked(10.0, 1.0, f64::NAN);
        assert!(CAPPED.evaluate(&without).unwrap_err().contains("VolumeShare needs volume"));
        assert!(LEAN.evaluate(&without).unwrap_err().contains("LeanVolumeShare needs volume"));
        assert!(VOLATILITY.evaluate(&without).unwrap_err().contains("VolatilityVolumeShare needs volume"));
    }
}
