//! Moving average convergence and divergence.

use super::average::{Ema, Seed};
use crate::error::{Result, SimError};

/// The three series of [`Macd`], in price units; NaN where not yet defined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MacdLines {
    /// Fast average less slow average.
    pub line: f64,
    /// Exponential average of the line.
    pub signal: f64,
    /// Line less signal.
    pub histogram: f64,
}

/// Moving average convergence/divergence (Appel 1979; histogram by Aspray 1986), usually 12, 26, 9.
///
/// The line is answered once the slow average is; the signal averages the line's values from there on, so with
/// [`Seed::Sma`] it starts `signal` - 1 values later. With [`Seed::First`] all three answer from the first value.
/// `ready()` says that the signal has its full length.
#[derive(Clone, Debug)]
pub struct Macd {
    fast: Ema,
    slow: Ema,
    signal: Ema,
    value: MacdLines,
}

const UNDEFINED: MacdLines = MacdLines { line: f64::NAN, signal: f64::NAN, histogram: f64::NAN };

impl Macd {
    /// # Errors
    /// A period is 0, or `fast` is not below `slow`.
    pub fn new(fast: usize, slow: usize, signal: usize, seed: Seed) -> Result<Self> {
        let averages = Self {
            fast: Ema::named("MACD", "fast", fast, seed)?,
            slow: Ema::named("MACD", "slow", slow, seed)?,
            signal: Ema::named("MACD", "signal", signal, seed)?,
            value: UNDEFINED,
        };
        if fast >= slow {
            return Err(SimError::config(format!("MACD: fast is {fast} and slow is {slow}; fast must be the shorter")));
        }
        Ok(averages)
    }

    /// Take the next value; line, signal and histogram.
    pub fn update(&mut self, x: f64) -> MacdLines {
        if !x.is_finite() {
            return UNDEFINED;
        }
        let line = self.fast.update(x) - self.slow.update(x);
        // While the line is NaN the signal does not count it.
        let signal = self.signal.update(line);
        self.value = MacdLines { line, signal, histogram: line - signal };
        self.value
    }

    /// Last answer.
    #[must_use]
    pub const fn value(&self) -> MacdLines {
        self.value
    }

    /// Both averages and the signal have their full length.
    #[must_use]
    pub const fn ready(&self) -> bool {
        self.slow.ready() && self.signal.ready()
    }

    /// The periods fast, slow, signal.
    #[must_use]
    pub const fn periods(&self) -> (usize, usize, usize) {
        (self.fast.period(), self.slow.period(), self.signal.period())
    }

    /// Forget all values.
    pub const fn reset(&mut self) {
        self.fast.reset();
        self.slow.reset();
        self.signal.reset();
        self.value = UNDEFINED;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, walk};
    use super::*;

    /// Whole series at once: the mean of the first n values, then the recursion.
    fn ema(values: &[f64], n: u32) -> Vec<f64> {
        let length = n as usize;
        let alpha = 2.0 / f64::from(n + 1);
        let start = values[..length].iter().sum::<f64>() / f64::from(n);
        let later = values[length..].iter().scan(start, |average, x| {
            *average = alpha * x + (1.0 - alpha) * *average;
            Some(*average)
        });
        std::iter::once(start).chain(later).collect()
    }

    #[test]
    fn lines_equal_those_of_the_whole_series() {
        let values = walk(9, 300, 100.0, 2.0);
        let (fast, slow) = (ema(&values, 12), ema(&values, 26));
        let line: Vec<f64> = fast[14..].iter().zip(&slow).map(|(f, s)| f - s).collect();
        let signal = ema(&line, 9);
        let mut macd = Macd::new(12, 26, 9, Seed::Sma).unwrap();
        for (k, &x) in values.iter().enumerate() {
            let found = macd.update(x);
            assert_eq!((found.line.is_nan(), found.signal.is_nan()), (k < 25, k < 33), "value {k}");
            assert_eq!(macd.ready(), k >= 33, "value {k}");
            if k >= 25 {
                assert!((found.line - line[k - 25]).abs() < 1e-12);
            }
            if k >= 33 {
                assert!((found.signal - signal[k - 33]).abs() < 1e-12);
                assert_eq!(found.histogram.to_bits(), (found.line - found.signal).to_bits());
            }
        }
    }

    #[test]
    fn seeded_by_the_first_value_it_answers_at_once_and_is_ready_with_the_slow_average() {
        let mut macd = Macd::new(2, 4, 2, Seed::First).unwrap();
        for (k, x) in [10.0, 10.0, 10.0, 10.0, 13.0].into_iter().enumerate() {
            let found = macd.update(x);
            assert!(found.histogram.is_finite());
            assert_eq!(macd.ready(), k >= 3, "value {k}");
        }
        // Fast: 10 + 2/3 x 3 = 12; slow: 10 + 2/5 x 3 = 11.2; signal: 2/3 of the line.
        assert_close("line", macd.value().line, 0.8, 1e-12);
        assert_close("signal", macd.value().signal, 0.8 * 2.0 / 3.0, 1e-12);
    }

    #[test]
    fn missing_input_is_not_counted_and_reset_starts_over() {
        let mut macd = Macd::new(1, 2, 1, Seed::Sma).unwrap();
        for x in [1.0, 2.0, 4.0] {
            macd.update(x);
        }
        let before = macd.value();
        assert!(macd.update(f64::NAN).line.is_nan());
        assert_eq!(macd.value(), before);
        macd.reset();
        assert!(macd.value().line.is_nan() && !macd.ready() && macd.update(1.0).line.is_nan());
        assert_eq!(macd.periods(), (1, 2, 1));
    }

    #[test]
    fn periods_out_of_order_or_zero_are_refused() {
        let message = |fast, slow, signal| Macd::new(fast, slow, signal, Seed::Sma).unwrap_err().message;
        assert!(message(26, 12, 9).contains("MACD: fast is 26 and slow is 12"));
        assert!(message(12, 12, 9).contains("fast must be the shorter"));
        assert!(message(0, 26, 9).contains("MACD: fast is 0"));
        assert!(message(12, 26, 0).contains("MACD: signal is 0"));
    }
}
