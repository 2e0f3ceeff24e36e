//! Slippage that is a part of the price, whatever the market trades.

use ml4t_abi::{Phase, SlippageContext};

use super::{Formula, Slippage};
use crate::error::{Result, SimError};
use crate::models::params::Reader;
use crate::models::{Refusal, volume_left};

/// Slippage model `NoSlippage`.
#[derive(Clone, Copy)]
pub(super) struct NoSlippage;

impl Formula for NoSlippage {
    const NAME: &'static str = "no slippage";
    const IS_NEUTRAL: bool = true;

    fn read(_params: &Reader<'_>) -> Result<Self> {
        Ok(Self)
    }

    fn evaluate(&self, _asked: &SlippageContext) -> std::result::Result<Slippage, Refusal> {
        Ok(Slippage::NONE)
    }
}

/// Slippage model `FixedFraction`: a fraction of the price. Negative prices lose as much as positive ones.
#[derive(Clone, Copy)]
pub(super) struct FixedFraction {
    fraction: f64,
}

impl Formula for FixedFraction {
    const NAME: &'static str = "fixed fraction slippage";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self { fraction: params.number("fraction")? })
    }

    fn evaluate(&self, asked: &SlippageContext) -> std::result::Result<Slippage, Refusal> {
        Ok(Slippage { price_adjustment: asked.price.abs() * self.fraction, ..Slippage::NONE })
    }
}

/// Slippage model `BasisPoints`: hundredths of a percent of the price, optionally up to a share of the volume.
///
/// Source: zipline-reloaded `FixedBasisPointsSlippage`.
#[derive(Clone, Copy)]
pub(super) struct BasisPoints {
    bps: f64,
    volume_limit: Option<f64>,
}

impl Formula for BasisPoints {
    const NAME: &'static str = "basis points slippage";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self { bps: params.number("bps")?, volume_limit: params.optional("volume_limit")? })
    }

    fn evaluate(&self, asked: &SlippageContext) -> std::result::Result<Slippage, Refusal> {
        let price_adjustment = asked.price.abs() * self.bps / 10_000.0;
        let Some(limit) = self.volume_limit else { return Ok(Slippage { price_adjustment, ..Slippage::NONE }) };
        if asked.volume.is_nan() {
            return Err("BasisPoints with volume_limit needs volume, which this data lacks; leave volume_limit out");
        }
        let quantity_cap = volume_left(asked.volume, asked.volume_used, limit);
        Ok(Slippage { price_adjustment, spread: 0.0, quantity_cap })
    }

    fn needs_volume(&self) -> bool {
        self.volume_limit.is_some()
    }
}

/// Slippage model `Spread`: half of a constant spread, where the price is not already one side of a quote.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    width: Width,
}

/// How the width of a constant spread is given; the Python class has the fields `spread` and `fraction`, of
/// which exactly one is set.
#[derive(Clone, Copy)]
enum Width {
    /// In price units (`spread`).
    Price(f64),
    /// As a fraction of the price (`fraction`).
    Fraction(f64),
}

impl Formula for Spread {
    const NAME: &'static str = "spread slippage";

    fn read(params: &Reader<'_>) -> Result<Self> {
        let width = match (params.optional("spread")?, params.optional("fraction")?) {
            (Some(price), None) => Width::Price(price),
            (None, Some(fraction)) => Width::Fraction(fraction),
            _ => return Err(SimError::config("spread: give either spread or fraction".to_owned())),
        };
        Ok(Self { width })
    }

    fn evaluate(&self, asked: &SlippageContext) -> std::result::Result<Slippage, Refusal> {
        if asked.phase == Phase::QUOTE {
            return Ok(Slippage::NONE);
        }
        let width = match self.width {
            Width::Price(width) => width,
            Width::Fraction(fraction) => asked.price.abs() * fraction,
        };
        Ok(Slippage { spread: width / 2.0, ..Slippage::NONE })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{asked, assert_close};
    use super::*;

    /// zipline-reloaded, `tests/finance/test_slippage.py`: close 3.0, bar volume 200.
    #[test]
    fn basis_points_with_a_limit_give_the_published_fills() {
        for (bps, limit, quantity, expected_quantity, expected_price) in [
            (5.0, 0.1, 100.0, 20.0, 3.0015),
            (5.0, 0.1, 10.0, 10.0, 3.0015),
            (10.0, 0.1, 100.0, 20.0, 3.003),
            (5.0, 0.2, 100.0, 40.0, 3.0015),
        ] {
            let model = BasisPoints { bps, volume_limit: Some(limit) };
            let found = model.evaluate(&asked(3.0, quantity, 200.0)).unwrap();
            assert_close("quantity", found.quantity_cap.min(quantity), expected_quantity);
            assert_close("price", 3.0 + found.price_adjustment, expected_price);
        }
    }

    #[test]
    fn missing_volume_is_refused_where_a_limit_needs_it() {
        let without = asked(10.0, 1.0, f64::NAN);
        let limited = BasisPoints { bps: 5.0, volume_limit: Some(0.1) };
        assert!(limited.evaluate(&without).unwrap_err().contains("needs volume"));
        let free = BasisPoints { bps: 5.0, volume_limit: None }.evaluate(&without).unwrap();
        assert!(free.quantity_cap.is_infinite());
    }

    #[test]
    fn slippage_hurts_at_negative_prices_too() {
        let found = FixedFraction { fraction: 0.01 }.evaluate(&asked(-37.63, 1.0, 1.0)).unwrap();
        assert_close("fraction", found.price_adjustment, 0.3763);
        let found = Spread { width: Width::Fraction(0.02) }.evaluate(&asked(-10.0, 1.0, 1.0)).unwrap();
        assert_close("spread", found.spread, 0.1);
    }

    #[test]
    fn half_the_spread_is_paid_except_at_a_quote() {
        let close = asked(10.0, 1.0, 1.0);
        let spread = Spread { width: Width::Price(0.05) };
        assert_close("half", spread.evaluate(&close).unwrap().spread, 0.025);
        let quote = SlippageContext { phase: Phase::QUOTE, ..close };
        assert_eq!(spread.evaluate(&quote), Ok(Slippage::NONE));
        let spread = Spread { width: Width::Fraction(0.001) };
        assert_close("half", spread.evaluate(&close).unwrap().spread, 0.005);
    }
}
