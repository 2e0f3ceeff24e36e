//! Indicators of J. Welles Wilder, "New Concepts in Technical Trading Systems", 1978.

use super::{check_period, count};
use crate::error::Result;

/// Wilder's smoothing: the mean of the first n values, then `average += (x - average) / n`.
///
/// The division is a product with 1 / n, rounded once: each value waits for the one before it, and a product takes a
/// third of the time. Equal values still have that value as their average, exactly.
#[derive(Clone, Debug)]
struct Smoothed {
    period: usize,
    seen: usize,
    average: f64,
    share: f64,
}

impl Smoothed {
    fn new(period: usize) -> Self {
        Self { period, seen: 0, average: 0.0, share: 1.0 / count(period) }
    }

    /// Whether zeros have made so little of it that floats lose its digits.
    fn has_vanished(&self) -> bool {
        self.average < 1e-250
    }

    #[inline]
    fn update(&mut self, x: f64) {
        let step = x - self.average;
        if self.ready() {
            self.average += step * self.share;
        } else {
            // Below the period this is the running mean.
            self.seen += 1;
            self.average += step / count(self.seen);
        }
    }

    const fn ready(&self) -> bool {
        self.seen >= self.period
    }

    const fn reset(&mut self) {
        self.seen = 0;
        self.average = 0.0;
    }
}

/// Relative strength index, 0 to 100 (Wilder 1978).
///
/// `100 * gain / (gain + loss)` of the smoothed upward and downward changes, which is Wilder's
/// `100 - 100 / (1 + gain / loss)` without the division by a zero loss. The first answer comes with value
/// `period` + 1, the first that completes `period` changes. Where nothing has moved at all Wilder gives no rule;
/// we answer the neutral 50, which neither an oversold nor an overbought test takes for a signal.
#[derive(Clone, Debug)]
pub struct Rsi {
    gain: Smoothed,
    loss: Smoothed,
    last: f64,
    value: f64,
}

impl Rsi {
    /// # Errors
    /// `period` is 0.
    pub fn new(period: usize) -> Result<Self> {
        check_period("RSI", "period", period)?;
        Ok(Self { gain: Smoothed::new(period), loss: Smoothed::new(period), last: f64::NAN, value: f64::NAN })
    }

    /// Take the next value; the index, NaN until `period` changes have been seen.
    pub fn update(&mut self, x: f64) -> f64 {
        if !x.is_finite() {
            return f64::NAN;
        }
        let change = x - self.last;
        self.last = x;
        if change.is_nan() {
            // The first value has no change.
            return f64::NAN;
        }
        if change == 0.0 && self.ready() && self.gain.has_vanished() && self.loss.has_vanished() {
            // Where nothing moves their ratio stays, and both would end as zeros.
            return self.value;
        }
        self.gain.update(if change > 0.0 { change } else { 0.0 });
        self.loss.update(if change < 0.0 { -change } else { 0.0 });
        if self.ready() {
            let total = self.gain.average + self.loss.average;
            self.value = if total == 0.0 { 50.0 } else { 100.0 * (self.gain.average / total) };
        }
        self.value
    }

    /// Last answer.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// `period` changes have been seen.
    #[must_use]
    pub const fn ready(&self) -> bool {
        self.gain.ready()
    }

    /// Number of changes in the first average.
    #[must_use]
    pub const fn period(&self) -> usize {
        self.gain.period
    }

    /// Forget all values.
    pub const fn reset(&mut self) {
        self.gain.reset();
        self.loss.reset();
        self.last = f64::NAN;
        self.value = f64::NAN;
    }
}

/// Average true range in price units (Wilder 1978).
///
/// The true range is the largest of high - low, |high - previous close| and |low - previous close|. The first bar
/// has no previous close and counts with high - low, so the first answer comes with bar `period`; packages that
/// drop the first bar answer one bar later and differ from us by a vanishing amount.
#[derive(Clone, Debug)]
pub struct Atr {
    range: Smoothed,
    last_close: f64,
}

impl Atr {
    /// # Errors
    /// `period` is 0.
    pub fn new(period: usize) -> Result<Self> {
        check_period("ATR", "period", period)?;
        Ok(Self { range: Smoothed::new(period), last_close: f64::NAN })
    }

    /// Take the next bar; the average, NaN until `period` bars have been seen. A bar with a price that is not finite
    /// is not counted.
    pub fn update(&mut self, high: f64, low: f64, close: f64) -> f64 {
        if !(high.is_finite() && low.is_finite() && close.is_finite()) {
            return f64::NAN;
        }
        // `max` passes over the NaN that the first bar has for a previous close.
        let gaps = (high - self.last_close).abs().max((low - self.last_close).abs());
        self.last_close = close;
        let range = (high - low).max(gaps);
        self.range.update(range);
        if range == 0.0 && self.range.has_vanished() {
            // Less than the smallest float would never become nothing.
            self.range.average = 0.0;
        }
        self.value()
    }

    /// Last answer.
    #[must_use]
    pub const fn value(&self) -> f64 {
        if self.ready() { self.range.average } else { f64::NAN }
    }

    /// `period` bars have been seen.
    #[must_use]
    pub const fn ready(&self) -> bool {
        self.range.ready()
    }

    /// Number of bars in the first average.
    #[must_use]
    pub const fn period(&self) -> usize {
        self.range.period
    }

    /// Forget all bars.
    pub const fn reset(&mut self) {
        self.range.reset();
        self.last_close = f64::NAN;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, walk};
    use super::*;

    /// The textbook form: mean of the first n, then (previous x (n - 1) + new) / n.
    fn smoothed(values: &[f64], n: usize) -> f64 {
        let start = values[..n].iter().sum::<f64>() / count(n);
        values[n..].iter().fold(start, |average, x| (average * (count(n) - 1.0) + x) / count(n))
    }

    #[test]
    fn rsi_equals_the_textbook_form_at_every_value() {
        let prices = walk(8, 400, 50.0, 1.0);
        for period in [1, 2, 14] {
            let mut rsi = Rsi::new(period).unwrap();
            for k in 0..prices.len() {
                let found = rsi.update(prices[k]);
                assert_eq!(found.is_nan(), k < period, "value {k}");
                assert_eq!(rsi.ready(), k >= period);
                if k >= period {
                    let changes: Vec<f64> = prices[..=k].windows(2).map(|w| w[1] - w[0]).collect();
                    let gain = smoothed(&changes.iter().map(|c| c.max(0.0)).collect::<Vec<_>>(), period);
                    let loss = smoothed(&changes.iter().map(|c| (-c).max(0.0)).collect::<Vec<_>>(), period);
                    let expected = 100.0 - 100.0 / (1.0 + gain / loss);
                    assert!((found - expected).abs() < 1e-10, "value {k}: {found} and {expected}");
                }
            }
        }
    }

    /// Worked by hand: changes +1, -1, +2 with period 2: gains 1/2 then 5/4, losses 1/2 then 1/4.
    #[test]
    fn rsi_of_three_changes_is_as_worked_by_hand() {
        let mut rsi = Rsi::new(2).unwrap();
        let found: Vec<f64> = [10.0, 11.0, 10.0, 12.0].iter().map(|&x| rsi.update(x)).collect();
        assert!(found[0].is_nan() && found[1].is_nan());
        assert_close("third", found[2], 50.0, 1e-15);
        assert_close("fourth", found[3], 100.0 * 1.25 / 1.5, 1e-15);
    }

    #[test]
    fn rsi_is_100_without_losses_0_without_gains_and_50_without_changes() {
        for (step, expected) in [(1.0, 100.0_f64), (-1.0, 0.0), (0.0, 50.0)] {
            let mut rsi = Rsi::new(3).unwrap();
            for k in 0..10 {
                rsi.update(20.0 + step * count(k));
            }
            assert_eq!(rsi.value().to_bits(), expected.to_bits(), "step {step}");
        }
    }

    #[test]
    fn long_calm_keeps_the_index_and_ends_the_range() {
        let (mut rsi, mut atr) = (Rsi::new(14).unwrap(), Atr::new(14).unwrap());
        for price in walk(5, 60, 50.0, 1.0) {
            rsi.update(price);
            atr.update(price + 1.0, price - 1.0, price);
        }
        let (index, last) = (rsi.update(60.0), 60.0);
        for _ in 0..20_000 {
            rsi.update(last);
            atr.update(last, last, last);
        }
        assert_close("index", rsi.value(), index, 1e-9);
        assert_eq!(atr.value().to_bits(), 0.0_f64.to_bits());
        // And what moves again moves both.
        assert!(rsi.update(61.0) > 99.9 && atr.update(62.0, 60.0, 61.0) > 0.1);
    }

    /// True ranges by hand: 2 (high - low), 3 (gap up from 11: 14 - 11), 4 (gap down from 13: 13 - 9), 1.
    #[test]
    fn atr_counts_gaps_over_the_previous_close() {
        let mut atr = Atr::new(2).unwrap();
        assert!(atr.update(12.0, 10.0, 11.0).is_nan() && !atr.ready());
        assert_close("mean of two", atr.update(14.0, 12.0, 13.0), 2.5, 1e-15);
        assert_close("gap down", atr.update(10.0, 9.0, 9.5), 3.25, 1e-15);
        assert_close("inside", atr.update(10.0, 9.0, 9.5), 2.125, 1e-15);
    }

    #[test]
    fn a_bar_with_a_missing_price_is_not_counted() {
        let (mut plain, mut disturbed) = (Atr::new(2).unwrap(), Atr::new(2).unwrap());
        for (high, low, close) in [(12.0, 10.0, 11.0), (14.0, 12.0, 13.0), (10.0, 9.0, 9.5)] {
            assert!(disturbed.update(f64::NAN, low, close).is_nan());
            assert!(disturbed.update(high, f64::INFINITY, close).is_nan());
            assert!(disturbed.update(high, low, f64::NAN).is_nan());
            assert_eq!(plain.update(high, low, close).to_bits(), disturbed.update(high, low, close).to_bits());
        }
    }

    #[test]
    fn reset_and_missing_input_of_rsi() {
        let mut rsi = Rsi::new(2).unwrap();
        for x in [10.0, 11.0, 10.0] {
            rsi.update(x);
        }
        assert!(rsi.update(f64::NAN).is_nan());
        assert_close("kept", rsi.value(), 50.0, 1e-15);
        assert_close("next", rsi.clone().update(12.0), 100.0 * 1.25 / 1.5, 1e-15);
        rsi.reset();
        assert!(!rsi.ready() && rsi.update(100.0).is_nan() && rsi.update(101.0).is_nan());
        assert_close("after reset", rsi.update(102.0), 100.0, 1e-15);
    }

    #[test]
    fn a_period_of_zero_is_refused() {
        assert!(Rsi::new(0).unwrap_err().message.contains("RSI: period is 0"));
        assert!(Atr::new(0).unwrap_err().message.contains("ATR: period is 0"));
    }
}
