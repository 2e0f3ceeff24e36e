//! Performance of a series of session returns: accumulators that the run feeds once per NAV, and their summary.
//!
//! Statistics are `f64` and never fed back into the simulation. [`ReturnStatistics`] takes one return at a time
//! in O(1) and may be cloned with the rest of the run's state; [`performance`] is the same code over a slice.
//! Only value at risk, expected shortfall and the tail ratio need order statistics: for them the returns
//! are kept, 8 bytes per session, and a copy is sorted when the summary is asked for.
//!
//! # Conventions
//! Libraries disagree, so each choice is stated. With one exception the numbers equal empyrical-reloaded 0.7.1:
//! where the dispersion in a denominator is zero, ratios are NaN, never infinite.
//!
//! - Returns are simple and per period; wealth starts at 1 and compounds. `risk_free` is per period too, and is
//!   subtracted in `sharpe`, `downside_risk`, `sortino`, `omega` and `alpha` (for the middle three it acts as the
//!   minimum acceptable return). Information ratio and tracking error need none.
//! - Standard deviations have n - 1 in the denominator; downside risk has n, over all periods (Sortino and Price
//!   1994), not only the losing ones.
//! - `alpha` compounds: (1 + mean excess over beta x benchmark)^`periods_per_year` - 1.
//! - `information_ratio` is per period, as in empyrical (`excess_sharpe`); `information_ratio_annual` is the same
//!   scaled by sqrt(`periods_per_year`), the counterpart of `tracking_error`, which is annual.
//! - `var_5` and the percentiles of `tail_ratio` interpolate linearly (Hyndman and Fan 1996, type 7); `cvar_5` is
//!   the mean of the lowest floor(0.05 (n - 1)) + 1 returns. Both keep the sign of a return: losses are negative.
//! - Skewness and excess kurtosis are corrected for bias (Joanes and Gill 1998, G1 and G2).
//! - `hit_rate` counts gains among the periods that moved; flat periods are left out.

mod accumulators;

use accumulators::{Covariance, Drawdown, Moments, Sorted};

use crate::error::{Result, SimError};

/// The statistics of a series of returns. NaN where a number is not defined for the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Performance {
    /// Number of returns.
    pub periods: u64,
    /// Compound return of the whole series.
    pub total_return: f64,
    /// Compound return per year.
    pub annual_return: f64,
    /// Standard deviation per year.
    pub annual_volatility: f64,
    /// Mean excess return over its standard deviation, per square-root year (Sharpe 1994).
    pub sharpe: f64,
    /// Root mean square of the shortfalls below `risk_free`, per year.
    pub downside_risk: f64,
    /// Mean excess return per year over `downside_risk`.
    pub sortino: f64,
    /// Deepest fall below an earlier peak, as a negative fraction of the peak; the start counts as a peak.
    pub max_drawdown: f64,
    /// Periods of that deepest drawdown (the first, among equals), from its peak to the recovery of the peak or
    /// the end of the series.
    pub max_drawdown_length: u64,
    /// Periods of the drawdown that lasted longest, which need not be the deepest.
    pub longest_drawdown_length: u64,
    /// `annual_return` over the size of `max_drawdown` (Young 1991).
    pub calmar: f64,
    /// Sum of gains over sum of losses against `risk_free` (Keating and Shadwick 2002).
    pub omega: f64,
    /// Size of the 95th percentile over the size of the 5th.
    pub tail_ratio: f64,
    /// 5th percentile of returns.
    pub var_5: f64,
    /// Mean of the returns in the lowest twentieth.
    pub cvar_5: f64,
    /// R squared of a straight line through the cumulative log returns.
    pub stability: f64,
    /// Skewness.
    pub skew: f64,
    /// Excess kurtosis: 0 for a normal distribution.
    pub kurtosis: f64,
    /// Return per year not explained by the benchmark (Jensen 1968).
    pub alpha: f64,
    /// Slope of the regression on the benchmark.
    pub beta: f64,
    /// Standard deviation of the difference to the benchmark, per year.
    pub tracking_error: f64,
    /// Mean over standard deviation of the difference to the benchmark, per period.
    pub information_ratio: f64,
    /// `information_ratio` per square-root year.
    pub information_ratio_annual: f64,
    /// Highest return of a period.
    pub best: f64,
    /// Lowest return of a period.
    pub worst: f64,
    /// Share of gains among the periods with a return other than 0.
    pub hit_rate: f64,
}

impl Performance {
    /// Name and value of every statistic, in the order of the struct.
    #[must_use]
    pub fn entries(&self) -> [(&'static str, f64); 26] {
        [
            ("periods", count(self.periods)),
            ("total_return", self.total_return),
            ("annual_return", self.annual_return),
            ("annual_volatility", self.annual_volatility),
            ("sharpe", self.sharpe),
            ("downside_risk", self.downside_risk),
            ("sortino", self.sortino),
            ("max_drawdown", self.max_drawdown),
            ("max_drawdown_length", count(self.max_drawdown_length)),
            ("longest_drawdown_length", count(self.longest_drawdown_length)),
            ("calmar", self.calmar),
            ("omega", self.omega),
            ("tail_ratio", self.tail_ratio),
            ("var_5", self.var_5),
            ("cvar_5", self.cvar_5),
            ("stability", self.stability),
            ("skew", self.skew),
            ("kurtosis", self.kurtosis),
            ("alpha", self.alpha),
            ("beta", self.beta),
            ("tracking_error", self.tracking_error),
            ("information_ratio", self.information_ratio),
            ("information_ratio_annual", self.information_ratio_annual),
            ("best", self.best),
            ("worst", self.worst),
            ("hit_rate", self.hit_rate),
        ]
    }
}

/// Statistics of `returns`, against `benchmark` where there is one.
///
/// `returns` and `benchmark` are simple returns per period, aligned; `risk_free` is per period;
/// `periods_per_year` is 252 for daily series. An empty series gives NaN everywhere; one return gives what one
/// return can tell (no dispersion, no ratios).
///
/// # Errors
/// A return that is not finite (a missing value has to be dropped or filled by whoever knows why it is missing),
/// a benchmark of another length, `periods_per_year` that is not above 0, `risk_free` that is not finite.
pub fn performance(
    returns: &[f64],
    benchmark: Option<&[f64]>,
    risk_free: f64,
    periods_per_year: f64,
) -> Result<Performance> {
    let mut statistics = ReturnStatistics::new(risk_free, periods_per_year)?;
    check_returns(returns, benchmark)?;
    for (k, &value) in returns.iter().enumerate() {
        statistics.push(value, benchmark.map(|b| b[k]));
    }
    Ok(statistics.summary())
}

/// Annual volatility and Sharpe ratio over each window of `window` returns, as [`performance`] has them.
///
/// # Errors
/// As [`performance`].
pub fn rolling(returns: &[f64], window: usize, risk_free: f64, periods_per_year: f64) -> Result<(Vec<f64>, Vec<f64>)> {
    check_settings(risk_free, periods_per_year)?;
    check_returns(returns, None)?;
    let of_window = |part: &[f64]| {
        let mut moments = Moments::default();
        for &value in part {
            moments.push(value);
        }
        (moments.annual_volatility(periods_per_year), moments.sharpe(risk_free, periods_per_year))
    };
    Ok(returns.windows(window.max(1)).map(of_window).unzip())
}

fn check_settings(risk_free: f64, periods_per_year: f64) -> Result<()> {
    if !risk_free.is_finite() {
        return Err(SimError::config(format!("risk_free is {risk_free}; it must be a finite rate per period")));
    }
    if !(periods_per_year.is_finite() && periods_per_year > 0.0) {
        return Err(SimError::config(format!(
            "periods_per_year is {periods_per_year}; it must be above 0, such as 252 for daily returns"
        )));
    }
    Ok(())
}

fn check_returns(returns: &[f64], benchmark: Option<&[f64]>) -> Result<()> {
    if let Some(benchmark) = benchmark
        && benchmark.len() != returns.len()
    {
        return Err(SimError::data(format!(
            "benchmark has {} returns and the series has {}; align them by session first",
            benchmark.len(),
            returns.len()
        )));
    }
    for (k, &value) in returns.iter().enumerate() {
        for (what, x) in [("return", value), ("benchmark return", benchmark.map_or(0.0, |b| b[k]))] {
            if !x.is_finite() {
                return Err(SimError::data(format!(
                    "{what} {k} is {x}; returns must be finite, drop or fill missing periods first"
                )));
            }
        }
    }
    Ok(())
}

/// Streaming statistics of a series of returns.
#[derive(Clone, Debug)]
pub struct ReturnStatistics {
    risk_free: f64,
    periods_per_year: f64,
    /// Kept for the percentiles.
    returns: Vec<f64>,
    moments: Moments,
    drawdown: Drawdown,
    log_wealth: f64,
    /// Cumulative log return against the number of the period.
    trend: Covariance,
    /// Return against benchmark return; NaN once a benchmark return was missing.
    benchmark: Covariance,
    active: Moments,
    sums: Sums,
}

/// Plain sums and counts.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    shortfall_squared: f64,
    above: f64,
    below: f64,
    gains: u64,
    losses: u64,
}

impl ReturnStatistics {
    /// Without returns yet. Units as in [`performance`].
    ///
    /// # Errors
    /// `periods_per_year` is not above 0 or `risk_free` is not finite.
    pub fn new(risk_free: f64, periods_per_year: f64) -> Result<Self> {
        check_settings(risk_free, periods_per_year)?;
        Ok(Self {
            risk_free,
            periods_per_year,
            returns: Vec::new(),
            moments: Moments::default(),
            drawdown: Drawdown::default(),
            log_wealth: 0.0,
            trend: Covariance::default(),
            benchmark: Covariance::default(),
            active: Moments::default(),
            sums: Sums::default(),
        })
    }

    /// Number of returns so far.
    #[must_use]
    pub fn periods(&self) -> u64 {
        self.moments.n
    }

    /// Compound return so far, NaN before the first period.
    #[must_use]
    pub fn total_return(&self) -> f64 {
        if self.moments.n == 0 { f64::NAN } else { self.drawdown.wealth - 1.0 }
    }

    /// Fall below the last peak at this moment, 0 or negative; NaN before the first period.
    #[must_use]
    pub fn current_drawdown(&self) -> f64 {
        if self.moments.n == 0 { f64::NAN } else { self.drawdown.current() }
    }

    /// Take the return of the next period, and the benchmark's where there is one.
    ///
    /// A NaN (equity that was not positive has no return) makes the statistics that use it NaN from here on, and
    /// so does a missing benchmark for those that compare.
    pub fn push(&mut self, value: f64, benchmark: Option<f64>) {
        let benchmark = benchmark.unwrap_or(f64::NAN);
        let excess = value - self.risk_free;
        self.returns.push(value);
        self.trend_step(value);
        self.moments.push(value);
        self.drawdown.push(value);
        self.benchmark.push(benchmark, value);
        self.active.push(value - benchmark);
        self.sums.push(value, excess);
    }

    fn trend_step(&mut self, value: f64) {
        self.log_wealth += libm::log1p(value);
        self.trend.push(count(self.moments.n), self.log_wealth);
    }

    /// The statistics of the returns so far.
    #[must_use]
    pub fn summary(&self) -> Performance {
        let n = self.moments.n;
        let year = self.periods_per_year;
        let sorted = Sorted::new(&self.returns);
        let annual_return = self.annual_return();
        let max_drawdown = if n == 0 { f64::NAN } else { self.drawdown.deepest };
        let downside_risk = (self.sums.shortfall_squared / count(n)).sqrt() * year.sqrt();
        let beta = self.benchmark.slope();
        let information_ratio = self.active.mean() / self.active.usable_deviation();
        Performance {
            periods: n,
            total_return: self.total_return(),
            annual_return,
            annual_volatility: self.moments.annual_volatility(year),
            sharpe: self.moments.sharpe(self.risk_free, year),
            downside_risk,
            sortino: if n < 2 { f64::NAN } else { over(self.excess_mean() * year, downside_risk) },
            max_drawdown,
            max_drawdown_length: self.drawdown.deepest_length(),
            longest_drawdown_length: self.drawdown.longest,
            calmar: over(annual_return, max_drawdown.abs()),
            omega: if n < 2 { f64::NAN } else { over(self.sums.above, self.sums.below) },
            tail_ratio: over(sorted.percentile(0.95).abs(), sorted.percentile(0.05).abs()),
            var_5: sorted.percentile(0.05),
            cvar_5: sorted.lowest_mean(0.05),
            stability: self.trend.r_squared(),
            skew: self.moments.skew(),
            kurtosis: self.moments.kurtosis(),
            alpha: self.alpha(beta),
            beta,
            tracking_error: self.active.deviation() * year.sqrt(),
            information_ratio,
            information_ratio_annual: information_ratio * year.sqrt(),
            best: sorted.highest(),
            worst: sorted.lowest(),
            hit_rate: over(count(self.sums.gains), count(self.sums.gains + self.sums.losses)),
        }
    }

    fn excess_mean(&self) -> f64 {
        self.moments.mean() - self.risk_free
    }

    fn annual_return(&self) -> f64 {
        if self.moments.n == 0 {
            return f64::NAN;
        }
        libm::pow(self.drawdown.wealth, self.periods_per_year / count(self.moments.n)) - 1.0
    }

    fn alpha(&self, beta: f64) -> f64 {
        if self.moments.n < 2 {
            return f64::NAN;
        }
        let unexplained = self.excess_mean() - beta * (self.benchmark.mean_x - self.risk_free);
        libm::pow(1.0 + unexplained, self.periods_per_year) - 1.0
    }
}

impl Sums {
    fn push(&mut self, value: f64, excess: f64) {
        let shortfall = if excess > 0.0 { 0.0 } else { excess };
        self.shortfall_squared += shortfall * shortfall;
        self.below -= shortfall;
        self.above += if excess < 0.0 { 0.0 } else { excess };
        self.gains += u64::from(value > 0.0);
        self.losses += u64::from(value < 0.0);
    }
}

/// A ratio, NaN when its denominator is 0.
fn over(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 { f64::NAN } else { numerator / denominator }
}

#[expect(clippy::cast_precision_loss, reason = "counts of periods are far below 2^53")]
const fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
