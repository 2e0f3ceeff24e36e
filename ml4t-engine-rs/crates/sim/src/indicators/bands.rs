//! Dispersion over a window.

use super::count;
use super::window::{Spread, Window};
use crate::error::{Result, SimError};

/// Standard deviation of the last `period` values.
///
/// `ddof` is subtracted from the number of values in the denominator: 1 for the estimate from a sample, 0 for the
/// deviation of the window itself.
#[derive(Clone, Debug)]
pub struct RollingStd {
    window: Window,
    ddof: usize,
    value: f64,
}

impl RollingStd {
    /// # Errors
    /// `period` is 0 or not above `ddof`.
    pub fn new(period: usize, ddof: usize) -> Result<Self> {
        let window = Window::new("RollingStd", period)?;
        if period <= ddof {
            return Err(SimError::config(format!(
                "RollingStd: period is {period} and ddof is {ddof}; a deviation needs more values than ddof"
            )));
        }
        Ok(Self { window, ddof, value: f64::NAN })
    }

    /// Take the next value; the deviation, NaN until `period` values have been seen.
    pub fn update(&mut self, x: f64) -> f64 {
        if !x.is_finite() {
            return f64::NAN;
        }
        let denominator = count(self.window.period() - self.ddof);
        self.value = self.window.push(x).map_or(f64::NAN, |spread| deviation(spread, denominator));
        self.value
    }

    /// Last answer.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// `period` values have been seen.
    #[must_use]
    pub const fn ready(&self) -> bool {
        self.window.ready()
    }

    /// Number of values in the window.
    #[must_use]
    pub const fn period(&self) -> usize {
        self.window.period()
    }

    /// What is subtracted from the number of values.
    #[must_use]
    pub const fn ddof(&self) -> usize {
        self.ddof
    }

    /// Forget all values.
    pub fn reset(&mut self) {
        self.window.reset();
        self.value = f64::NAN;
    }
}

fn deviation(spread: Spread, denominator: f64) -> f64 {
    (spread.squares / denominator).sqrt()
}

/// The three series of [`Bollinger`], in price units; NaN where not yet defined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BollingerBands {
    /// Mean of the window.
    pub middle: f64,
    /// Middle plus `width` deviations.
    pub upper: f64,
    /// Middle less `width` deviations.
    pub lower: f64,
}

const UNDEFINED: BollingerBands = BollingerBands { middle: f64::NAN, upper: f64::NAN, lower: f64::NAN };

/// Bollinger bands, usually 20 and 2.0 (Bollinger, "Bollinger on Bollinger Bands", 2001).
///
/// The deviation is that of the window itself (n in the denominator), as Bollinger defines it.
#[derive(Clone, Debug)]
pub struct Bollinger {
    window: Window,
    width: f64,
    value: BollingerBands,
}

impl Bollinger {
    /// # Errors
    /// `period` is 0, `width` is negative or not finite.
    pub fn new(period: usize, width: f64) -> Result<Self> {
        let window = Window::new("Bollinger", period)?;
        if !(width.is_finite() && width >= 0.0) {
            return Err(SimError::config(format!(
                "Bollinger: width is {width}; it counts standard deviations and must be 0 or more"
            )));
        }
        Ok(Self { window, width, value: UNDEFINED })
    }

    /// Take the next value; the bands, NaN until `period` values have been seen.
    pub fn update(&mut self, x: f64) -> BollingerBands {
        if !x.is_finite() {
            return UNDEFINED;
        }
        self.value = self.window.push(x).map_or(UNDEFINED, |spread| {
            let half = self.width * deviation(spread, count(self.window.period()));
            BollingerBands { middle: spread.mean, upper: spread.mean + half, lower: spread.mean - half }
        });
        self.value
    }

    /// Last answer.
    #[must_use]
    pub const fn value(&self) -> BollingerBands {
        self.value
    }

    /// `period` values have been seen.
    #[must_use]
    pub const fn ready(&self) -> bool {
        self.window.ready()
    }

    /// Number of values in the window.
    #[must_use]
    pub const fn period(&self) -> usize {
        self.window.period()
    }

    /// Standard deviations between the middle and a band.
    #[must_use]
    pub const fn width(&self) -> f64 {
        self.width
    }

    /// Forget all values.
    pub fn reset(&mut self) {
        self.window.reset();
        self.value = UNDEFINED;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, walk};
    use super::*;

    #[test]
    fn deviation_of_a_sample_and_of_the_window_differ_by_their_denominator() {
        let (mut sample, mut window) = (RollingStd::new(4, 1).unwrap(), RollingStd::new(4, 0).unwrap());
        for x in [9.0, 2.0, 4.0, 4.0] {
            assert!(sample.value().is_nan());
            sample.update(x);
            window.update(x);
        }
        // The window 2, 4, 4, 6 has the mean 4 and squared deviations of 8.
        assert_close("ddof 1", sample.update(6.0), (8.0_f64 / 3.0).sqrt(), 1e-15);
        assert_close("ddof 0", window.update(6.0), 2.0_f64.sqrt(), 1e-15);
        assert!(sample.ready() && (sample.period(), sample.ddof()) == (4, 1));
    }

    #[test]
    fn bands_lie_width_deviations_of_the_window_from_its_mean() {
        let values = walk(10, 2_000, 100.0, 2.0);
        let mut bands = Bollinger::new(20, 2.0).unwrap();
        for (k, &x) in values.iter().enumerate() {
            let found = bands.update(x);
            assert_eq!(found.middle.is_nan(), k < 19, "value {k}");
            if k >= 19 {
                let window = &values[k - 19..=k];
                let mean = window.iter().sum::<f64>() / 20.0;
                let variance = window.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / 20.0;
                assert_close("middle", found.middle, mean, 1e-13);
                assert_close("upper", found.upper, mean + 2.0 * variance.sqrt(), 1e-12);
                assert_close("lower", found.lower, mean - 2.0 * variance.sqrt(), 1e-12);
            }
        }
        assert!(bands.ready());
    }

    #[test]
    fn bands_of_a_flat_market_are_its_price_exactly() {
        let mut bands = Bollinger::new(20, 2.0).unwrap();
        for _ in 0..100 {
            bands.update(0.1);
        }
        assert_eq!(bands.value(), BollingerBands { middle: 0.1, upper: 0.1, lower: 0.1 });
    }

    #[test]
    fn missing_input_is_not_counted_and_reset_starts_over() {
        let (mut std, mut bands) = (RollingStd::new(2, 1).unwrap(), Bollinger::new(2, 1.0).unwrap());
        for x in [1.0, 3.0, 7.0] {
            assert!(std.update(f64::NAN).is_nan() && bands.update(f64::INFINITY).upper.is_nan());
            std.update(x);
            bands.update(x);
        }
        assert_close("deviation", std.value(), 8.0_f64.sqrt(), 1e-15);
        assert_eq!(bands.value(), BollingerBands { middle: 5.0, upper: 7.0, lower: 3.0 });
        std.reset();
        bands.reset();
        assert!(!std.ready() && !bands.ready() && std.value().is_nan() && bands.value().lower.is_nan());
        assert!(std.update(1.0).is_nan() && bands.update(1.0).middle.is_nan());
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        assert!(RollingStd::new(0, 0).unwrap_err().message.contains("RollingStd: period is 0"));
        assert!(RollingStd::new(1, 1).unwrap_err().message.contains("period is 1 and ddof is 1"));
        assert!(Bollinger::new(0, 2.0).unwrap_err().message.contains("Bollinger: period is 0"));
        assert!(Bollinger::new(20, -1.0).unwrap_err().message.contains("width is -1"));
        assert!(Bollinger::new(20, f64::NAN).unwrap_err().message.contains("width is NaN"));
    }
}
