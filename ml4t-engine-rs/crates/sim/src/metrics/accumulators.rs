//! Running sums behind the statistics, each updated one value at a time, and the sorted returns.

use super::count;

/// Variance of returns below which they count as constant. A return is a ratio of two NAVs less one, so its own
/// rounding is some 1e-16: a standard deviation of 1e-15 is noise, and a ratio over it would be, too.
const NEGLIGIBLE_VARIANCE: f64 = 1e-30;

/// Central moments up to the fourth, updated one value at a time (Welford 1962 for the second; Pébay 2008,
/// SAND2008-6212, for the third and fourth).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub(super) n: u64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    pub(super) fn push(&mut self, x: f64) {
        let before = count(self.n);
        self.n += 1;
        let n = count(self.n);
        let delta = x - self.mean;
        let step = delta / n;
        let square = step * step;
        let term = delta * step * before;
        self.mean += step;
        self.m4 += term * square * (n * n - 3.0 * n + 3.0) + 6.0 * square * self.m2 - 4.0 * step * self.m3;
        self.m3 += term * step * (n - 2.0) - 3.0 * step * self.m2;
        self.m2 += term;
    }

    pub(super) fn mean(&self) -> f64 {
        if self.n == 0 { f64::NAN } else { self.mean }
    }

    /// Sample variance; NaN for fewer than two values.
    fn variance(&self) -> f64 {
        if self.n < 2 { f64::NAN } else { self.m2 / (count(self.n) - 1.0) }
    }

    /// Sample standard deviation; NaN for fewer than two values.
    pub(super) fn deviation(&self) -> f64 {
        self.variance().sqrt()
    }

    /// Standard deviation fit to divide by: NaN for constant values.
    pub(super) fn usable_deviation(&self) -> f64 {
        if self.variance() < NEGLIGIBLE_VARIANCE { f64::NAN } else { self.deviation() }
    }

    /// Standard deviation of a year of so many returns.
    pub(super) fn annual_volatility(&self, year: f64) -> f64 {
        self.deviation() * year.sqrt()
    }

    /// Mean above `risk_free` over the standard deviation, per square-root year; NaN for constant values.
    pub(super) fn sharpe(&self, risk_free: f64, year: f64) -> f64 {
        (self.mean() - risk_free) / self.usable_deviation() * year.sqrt()
    }

    /// G1 of Joanes and Gill 1998; NaN for fewer than three values or constant ones.
    pub(super) fn skew(&self) -> f64 {
        if self.n < 3 || self.variance() < NEGLIGIBLE_VARIANCE {
            return f64::NAN;
        }
        let n = count(self.n);
        let g1 = (self.m3 / n) / ((self.m2 / n) * (self.m2 / n).sqrt());
        g1 * (n * (n - 1.0)).sqrt() / (n - 2.0)
    }

    /// G2 of Joanes and Gill 1998; NaN for fewer than four values or constant ones.
    pub(super) fn kurtosis(&self) -> f64 {
        if self.n < 4 || self.variance() < NEGLIGIBLE_VARIANCE {
            return f64::NAN;
        }
        let n = count(self.n);
        let g2 = n * self.m4 / (self.m2 * self.m2) - 3.0;
        ((n + 1.0) * g2 + 6.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0))
    }
}

/// Second moments of pairs (Welford's update, extended to the product).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Covariance {
    n: u64,
    pub(super) mean_x: f64,
    mean_y: f64,
    m_xx: f64,
    m_yy: f64,
    m_xy: f64,
}

impl Covariance {
    pub(super) fn push(&mut self, x: f64, y: f64) {
        self.n += 1;
        let n = count(self.n);
        let (dx, dy) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += dx / n;
        self.mean_y += dy / n;
        self.m_xx += dx * (x - self.mean_x);
        self.m_yy += dy * (y - self.mean_y);
        self.m_xy += dx * (y - self.mean_y);
    }

    /// Slope of y on x; NaN for fewer than two pairs or a constant x.
    pub(super) fn slope(&self) -> f64 {
        if self.n < 2 || self.m_xx < NEGLIGIBLE_VARIANCE * count(self.n) {
            return f64::NAN;
        }
        self.m_xy / self.m_xx
    }

    /// Squared correlation; NaN for fewer than two pairs or where either side is constant.
    pub(super) fn r_squared(&self) -> f64 {
        let negligible = NEGLIGIBLE_VARIANCE * count(self.n);
        if self.n < 2 || self.m_xx < negligible || self.m_yy < negligible {
            return f64::NAN;
        }
        self.m_xy / self.m_xx * (self.m_xy / self.m_yy)
    }
}

/// Wealth against its running peak.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawdown {
    pub(super) wealth: f64,
    peak: f64,
    pub(super) deepest: f64,
    /// Periods since the last peak.
    under_water: u64,
    pub(super) longest: u64,
    /// Length of the deepest drawdown, once it has ended.
    closed_length: u64,
    /// The deepest drawdown is the one that lasts now.
    deepest_lasts: bool,
}

impl Default for Drawdown {
    fn default() -> Self {
        Self {
            wealth: 1.0,
            peak: 1.0,
            deepest: 0.0,
            under_water: 0,
            longest: 0,
            closed_length: 0,
            deepest_lasts: false,
        }
    }
}

impl Drawdown {
    pub(super) fn current(&self) -> f64 {
        (self.wealth - self.peak) / self.peak
    }

    pub(super) fn push(&mut self, value: f64) {
        self.wealth *= 1.0 + value;
        if self.wealth >= self.peak {
            self.recover();
            return;
        }
        self.under_water += 1;
        self.longest = self.longest.max(self.under_water);
        let depth = self.current();
        // A NaN depth compares false and stays: from there on no drawdown is known.
        let deeper = depth < self.deepest;
        if deeper || depth.is_nan() {
            self.deepest = depth;
            self.deepest_lasts = true;
        }
    }

    /// The period that regains the peak belongs to the drawdown.
    fn recover(&mut self) {
        if self.under_water > 0 {
            self.under_water += 1;
            self.longest = self.longest.max(self.under_water);
            if self.deepest_lasts {
                self.closed_length = self.under_water;
            }
        }
        self.peak = self.wealth;
        self.under_water = 0;
        self.deepest_lasts = false;
    }

    pub(super) fn deepest_length(&self) -> u64 {
        if self.deepest_lasts { self.under_water } else { self.closed_length }
    }
}

/// Returns in ascending order; empty stands for "not defined".
pub(super) struct Sorted(Vec<f64>);

impl Sorted {
    pub(super) fn new(returns: &[f64]) -> Self {
        let mut sorted = if returns.iter().any(|r| r.is_nan()) { Vec::new() } else { returns.to_vec() };
        sorted.sort_unstable_by(f64::total_cmp);
        Self(sorted)
    }

    pub(super) fn lowest(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn highest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// Linear interpolation between the neighbours of rank q (n - 1).
    pub(super) fn percentile(&self, q: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        let rank = q * count(self.0.len() as u64 - 1);
        let below = whole(rank);
        let above = (below + 1).min(self.0.len() - 1);
        let (low, high) = (self.0[below], self.0[above]);
        low + (high - low) * (rank - count(below as u64))
    }

    /// Mean of the lowest floor(q (n - 1)) + 1 values.
    pub(super) fn lowest_mean(&self, q: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        let tail = &self.0[..=whole(q * count(self.0.len() as u64 - 1))];
        tail.iter().sum::<f64>() / count(tail.len() as u64)
    }
}

/// Whole part of a rank.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is between 0 and the length")]
const fn whole(rank: f64) -> usize {
    rank as usize
}
