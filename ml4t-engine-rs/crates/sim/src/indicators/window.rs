//! Mean and squared deviations over the last n values, without subtraction of what leaves.
//!
//! The stream is cut into blocks of n values. A window of n then is the tail of the previous block followed by
//! the head of the present one. The head grows by one value per update (Welford 1962); the statistics of every
//! tail of a block are computed in one backward pass when the block is full; the two parts are merged by the
//! formula of Chan et al. 1979 (STAN-CS-79-773). That is three small steps per value,
//! whatever n is; the backward pass falls on one update in n.
//!
//! The usual update, which adds the new value's share and subtracts the old one's, is as fast and loses digits:
//! rounding accumulates over the whole stream, and one extreme value spoils every later window.
//!
//! All values are taken relative to the first value of the present block, which is part of the window. Prices near
//! 1e9 with a spread of 1 so keep all their digits, and the mean of equal values is that value exactly.

use super::count;
use crate::error::{Result, SimError};

/// Number, mean and sum of squared deviations of some values.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    n: usize,
    mean: f64,
    squares: f64,
}

impl Part {
    fn with(self, x: f64) -> Self {
        let n = self.n + 1;
        let delta = x - self.mean;
        let mean = self.mean + delta / count(n);
        Self { n, mean, squares: self.squares + delta * (x - mean) }
    }

    fn merged(self, other: Self) -> Self {
        if other.n == 0 {
            return self;
        }
        let n = self.n + other.n;
        let share = count(other.n) / count(n);
        let delta = other.mean - self.mean;
        Self {
            n,
            mean: self.mean + delta * share,
            squares: self.squares + other.squares + delta * delta * (count(self.n) * share),
        }
    }
}

/// Mean and dispersion of a full window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) mean: f64,
    /// Sum of squared deviations from the mean, never negative.
    pub(super) squares: f64,
}

/// The last n values of a stream.
#[derive(Clone, Debug)]
pub(super) struct Window {
    period: usize,
    /// The present block up to `head.n`, and behind it what is left of the previous one.
    values: Vec<f64>,
    /// Statistics of the previous block from each index to its end.
    tails: Vec<Part>,
    head: Part,
    anchor: f64,
    /// The first block has been filled.
    full: bool,
}

impl Window {
    /// # Errors
    /// The period is 0, or too large for memory.
    pub(super) fn new(indicator: &str, period: usize) -> Result<Self> {
        super::check_period(indicator, "period", period)?;
        let (mut values, mut tails) = (Vec::new(), Vec::new());
        let reserved = values.try_reserve_exact(period).and_then(|()| tails.try_reserve_exact(period));
        if reserved.is_err() {
            return Err(SimError::config(format!("{indicator}: no memory for a window of period {period}")));
        }
        Ok(Self { period, values, tails, head: Part::default(), anchor: 0.0, full: false })
    }

    pub(super) const fn period(&self) -> usize {
        self.period
    }

    /// The window has n values.
    pub(super) const fn ready(&self) -> bool {
        self.full
    }

    pub(super) fn reset(&mut self) {
        self.values.clear();
        self.tails.clear();
        self.head = Part::default();
        self.full = false;
    }

    /// Take a finite value; the statistics of the window once it is full.
    pub(super) fn push(&mut self, x: f64) -> Option<Spread> {
        if self.head.n == self.period {
            self.head = Part::default();
        }
        if self.head.n == 0 {
            self.anchor = x;
            self.measure_tails();
        }
        let at = self.head.n;
        if self.full {
            self.values[at] = x;
        } else {
            self.values.push(x);
        }
        self.head = self.head.with(x - self.anchor);
        if self.head.n == self.period {
            self.full = true;
        }
        self.full.then(|| self.spread())
    }

    /// Statistics of the window as it stands; only for a full one.
    fn spread(&self) -> Spread {
        let tail = self.tails.get(self.head.n).copied().unwrap_or_default();
        let all = self.head.merged(tail);
        Spread { mean: self.anchor + all.mean, squares: all.squares }
    }

    /// Backward pass over the block that has just been completed.
    fn measure_tails(&mut self) {
        if !self.full {
            return;
        }
        self.tails.resize(self.period, Part::default());
        let mut tail = Part::default();
        for (slot, &x) in self.tails.iter_mut().zip(&self.values).rev() {
            tail = tail.with(x - self.anchor);
            *slot = tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, walk};
    use super::*;

    /// Two-pass mean and squared deviations, relative to the first value.
    fn brute_force(window: &[f64]) -> Spread {
        let n = count(window.len());
        let shifted: Vec<f64> = window.iter().map(|x| x - window[0]).collect();
        let mean = shifted.iter().sum::<f64>() / n;
        let squares = shifted.iter().map(|d| (d - mean) * (d - mean)).sum();
        Spread { mean: window[0] + mean, squares }
    }

    fn compare(values: &[f64], period: usize, every: usize, relative: f64) {
        let mut window = Window::new("test", period).unwrap();
        for (k, &x) in values.iter().enumerate() {
            let found = window.push(x);
            assert_eq!(found.is_some(), k + 1 >= period, "period {period}, value {k}");
            let Some(found) = found.filter(|_| k % every == 0 || k + 1 == values.len()) else { continue };
            let expected = brute_force(&values[k + 1 - period..=k]);
            assert_close("mean", found.mean, expected.mean, 1e-14);
            let tolerance = relative * expected.squares.max(1e-300);
            let error = (found.squares - expected.squares).abs();
            assert!(error <= tolerance, "period {period}, value {k}: off by {error} of {}", expected.squares);
        }
    }

    #[test]
    fn every_window_of_every_small_period_equals_its_direct_statistics() {
        let values = walk(1, 200, 100.0, 1.0);
        for period in 1..=40 {
            compare(&values, period, 1, 1e-11);
        }
    }

    #[test]
    fn a_million_updates_at_a_large_offset_lose_no_digits() {
        compare(&walk(2, 1_000_000, 1e9, 1.0), 20, 997, 1e-12);
        compare(&walk(3, 1_000_000, 1e9, 1.0), 1_000, 49_999, 1e-12);
    }

    #[test]
    fn an_extreme_value_leaves_no_residue_once_it_has_left() {
        let mut values = walk(4, 200, 1.0, 0.01);
        for at in [17, 40, 63] {
            values[at] = 1e15;
        }
        let mut window = Window::new("test", 10).unwrap();
        for (k, &x) in values.iter().enumerate() {
            let found = window.push(x);
            if k > 80 {
                let expected = brute_force(&values[k - 9..=k]);
                assert_close("squares", found.unwrap().squares, expected.squares, 1e-11);
            }
        }
    }

    #[test]
    fn equal_values_have_exactly_their_value_as_mean_and_no_dispersion() {
        let mut window = Window::new("test", 7).unwrap();
        for spread in (0..50).filter_map(|_| window.push(0.1)) {
            assert_eq!((spread.mean.to_bits(), spread.squares.to_bits()), (0.1_f64.to_bits(), 0));
        }
    }

    #[test]
    fn a_period_that_cannot_be_held_is_refused() {
        let message = Window::new("SMA", usize::MAX).unwrap_err().message;
        assert!(message.contains("no memory for a window of period 18446744073709551615"), "{message}");
    }
}
