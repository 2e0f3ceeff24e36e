//! Moving averages.

use super::window::Window;
use super::{check_period, count};
use crate::error::Result;

/// Simple moving average: the mean of the last `period` values.
#[derive(Clone, Debug)]
pub struct Sma {
    window: Window,
    value: f64,
}

impl Sma {
    /// # Errors
    /// `period` is 0.
    pub fn new(period: usize) -> Result<Self> {
        Ok(Self { window: Window::new("SMA", period)?, value: f64::NAN })
    }

    /// Take the next value; the average, NaN until `period` values have been seen.
    pub fn update(&mut self, x: f64) -> f64 {
        if !x.is_finite() {
            return f64::NAN;
        }
        self.value = self.window.push(x).map_or(f64::NAN, |spread| spread.mean);
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

    /// Forget all values.
    pub fn reset(&mut self) {
        self.window.reset();
        self.value = f64::NAN;
    }
}

/// What an exponential average starts from. The two differ for a few multiples of the period, then converge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seed {
    /// The mean of the first `period` values; nothing is answered before. What charting packages show.
    #[default]
    Sma,
    /// The first value; answers from the first value on, which are well defined but lean on that one value.
    /// Numerical libraries call this the unadjusted form.
    First,
}

/// Exponential moving average with the weight 2 / (`period` + 1) for the newest value.
///
/// `ema += alpha * (x - ema)`, started as [`Seed`] says.
#[derive(Clone, Debug)]
pub struct Ema {
    period: usize,
    seed: Seed,
    alpha: f64,
    seen: usize,
    average: f64,
}

impl Ema {
    /// # Errors
    /// `period` is 0.
    pub fn new(period: usize, seed: Seed) -> Result<Self> {
        Self::named("EMA", "period", period, seed)
    }

    /// As `new`, for an average inside another indicator.
    pub(super) fn named(indicator: &str, parameter: &str, period: usize, seed: Seed) -> Result<Self> {
        check_period(indicator, parameter, period)?;
        Ok(Self { period, seed, alpha: 2.0 / (count(period) + 1.0), seen: 0, average: 0.0 })
    }

    /// Take the next value; the average. NaN until `period` values have been seen, unless seeded by the first.
    pub fn update(&mut self, x: f64) -> f64 {
        if !x.is_finite() {
            return f64::NAN;
        }
        let averages_plainly = self.seed == Seed::Sma && self.seen < self.period;
        if !self.ready() {
            self.seen += 1;
        }
        if self.seen == 1 {
            // Also for period 1, whose weight is 1.
            self.average = x;
        } else if averages_plainly {
            self.average += (x - self.average) / count(self.seen);
        } else {
            self.average += self.alpha * (x - self.average);
        }
        self.value()
    }

    /// Last answer.
    #[must_use]
    pub const fn value(&self) -> f64 {
        let answers = match self.seed {
            Seed::Sma => self.ready(),
            Seed::First => self.seen > 0,
        };
        if answers { self.average } else { f64::NAN }
    }

    /// `period` values have been seen, whatever the seed.
    #[must_use]
    pub const fn ready(&self) -> bool {
        self.seen >= self.period
    }

    /// Nominal length.
    #[must_use]
    pub const fn period(&self) -> usize {
        self.period
    }

    /// How the average starts.
    #[must_use]
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// Forget all values.
    pub const fn reset(&mut self) {
        self.seen = 0;
        self.average = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, walk};
    use super::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn sma_is_nan_until_the_window_is_full_and_then_the_mean() {
        let mut sma = Sma::new(3).unwrap();
        let found: Vec<f64> = [2.0, 5.0, 1.0, 6.25].iter().map(|&x| sma.update(x)).collect();
        assert!(found[0].is_nan() && found[1].is_nan());
        assert_close("third", found[2], 8.0 / 3.0, 1e-15);
        assert_close("fourth", found[3], 12.25 / 3.0, 1e-15);
        assert!(sma.ready() && sma.period() == 3);
    }

    #[test]
    fn sma_over_a_long_walk_equals_the_mean_of_each_window() {
        let values = walk(5, 5_000, 100.0, 2.0);
        for period in [1, 2, 50, 200] {
            let mut sma = Sma::new(period).unwrap();
            for (k, &x) in values.iter().enumerate() {
                let found = sma.update(x);
                if k + 1 >= period {
                    let expected = values[k + 1 - period..=k].iter().sum::<f64>() / count(period);
                    assert_close("mean", found, expected, 1e-13);
                }
            }
        }
    }

    #[test]
    fn ema_seeded_by_the_first_value_answers_at_once_and_is_ready_after_the_period() {
        let mut ema = Ema::new(3, Seed::First).unwrap();
        let expected: [(f64, f64, bool); 4] =
            [(2.0, 2.0, false), (5.0, 3.5, false), (1.0, 2.25, true), (6.25, 4.25, true)];
        for (x, average, ready) in expected {
            assert_eq!((ema.update(x).to_bits(), ema.ready()), (average.to_bits(), ready), "after {x}");
        }
    }

    #[test]
    fn ema_seeded_by_the_mean_is_nan_before_it_and_recursive_after_it() {
        let mut ema = Ema::new(3, Seed::Sma).unwrap();
        assert!(ema.update(2.0).is_nan() && ema.update(5.0).is_nan() && !ema.ready());
        assert_close("mean of three", ema.update(1.0), 8.0 / 3.0, 1e-15);
        assert!(ema.ready());
        assert_close("recursion", ema.update(6.25), 8.0 / 6.0 + 6.25 / 2.0, 1e-15);
    }

    #[test]
    fn an_average_of_one_value_is_that_value() {
        for seed in [Seed::Sma, Seed::First] {
            let mut ema = Ema::new(1, seed).unwrap();
            assert_eq!(bits(&[ema.update(3.5), ema.update(-7.0)]), bits(&[3.5, -7.0]));
        }
    }

    #[test]
    fn an_input_that_is_not_finite_answers_nan_and_changes_nothing() {
        let values = walk(6, 40, 10.0, 1.0);
        let (mut plain, mut disturbed) = (Sma::new(5).unwrap(), Sma::new(5).unwrap());
        let (mut plain_ema, mut disturbed_ema) = (Ema::new(5, Seed::Sma).unwrap(), Ema::new(5, Seed::Sma).unwrap());
        for &x in &values {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(disturbed.update(bad).is_nan() && disturbed_ema.update(bad).is_nan());
            }
            assert_eq!(bits(&[plain.update(x)]), bits(&[disturbed.update(x)]));
            assert_eq!(bits(&[plain_ema.update(x)]), bits(&[disturbed_ema.update(x)]));
        }
        assert!(plain.ready());
    }

    #[test]
    fn reset_starts_over_and_a_clone_goes_on_alone() {
        let mut ema = Ema::new(2, Seed::Sma).unwrap();
        let mut sma = Sma::new(2).unwrap();
        for x in [1.0, 2.0, 4.0] {
            ema.update(x);
            sma.update(x);
        }
        let (ema_copy, sma_copy) = (ema.clone(), sma.clone());
        ema.reset();
        sma.reset();
        assert!(!ema.ready() && !sma.ready() && ema.value().is_nan() && sma.value().is_nan());
        assert!(ema.update(10.0).is_nan() && sma.update(10.0).is_nan());
        assert_eq!(bits(&[ema.update(20.0), sma.update(20.0)]), bits(&[15.0, 15.0]));
        assert_eq!(bits(&[sma_copy.value()]), bits(&[3.0]));
        assert!(ema_copy.ready());
    }

    #[test]
    fn a_period_of_zero_is_refused() {
        assert!(Sma::new(0).unwrap_err().message.contains("SMA: period is 0"));
        assert!(Ema::new(0, Seed::First).unwrap_err().message.contains("EMA: period is 0"));
    }
}
