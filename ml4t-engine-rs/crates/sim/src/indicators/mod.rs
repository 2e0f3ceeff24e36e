//! Streaming indicators: one value in, one value out, at a cost that does not depend on the period.
//!
//! # Rules that all of them keep
//! - **Warm-up.** The output is NaN until the indicator has seen what its definition needs, so that a comparison
//!   with it is false; `ready()` turns true at the same update. The one exception is chosen by name:
//!   [`Seed::First`] answers from the first value on, and `ready()` still waits for the period.
//! - **Missing input.** An input that is not finite is not counted: the update returns NaN, the state stays as it
//!   was, and `value()` still is the last answer.
//! - **Windows count values**, not time.
//! - **Drift.** Windowed statistics are merged from parts of the present window; nothing is ever subtracted from
//!   a running sum. A value that has left the window leaves no residue, however large it was, and the millionth
//!   answer is as exact as the first. `window.rs` has the scheme.
//! - `reset()` returns to the state of construction, `clone()` is a snapshot, and nothing is allocated after
//!   construction.
//!
//! Only + - x / and sqrt occur, so the answers are the same on every platform.

mod any;
mod average;
mod bands;
mod macd;
mod wilder;
mod window;

pub use any::{Indicator, WIDTH};
pub use average::{Ema, Seed, Sma};
pub use bands::{Bollinger, BollingerBands, RollingStd};
pub use macd::{Macd, MacdLines};
pub use wilder::{Atr, Rsi};

use crate::error::{Result, SimError};

/// Check that a period counts at least one value.
fn check_period(indicator: &str, name: &str, period: usize) -> Result<()> {
    if period == 0 {
        return Err(SimError::config(format!("{indicator}: {name} is 0; it counts values and must be at least 1")));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "periods are far below 2^53")]
const fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod testing {
    //! Input for the tests of this module.

    /// A reproducible walk: `n` values around `offset` whose steps are some `scale` wide.
    pub(super) fn walk(seed: u64, n: usize, offset: f64, scale: f64) -> Vec<f64> {
        let mut z = seed;
        let mut x = 0.0;
        (0..n)
            .map(|_| {
                z = 16_807 * z % ((1 << 31) - 1);
                let uniform = f64::from(u32::try_from(z).unwrap()) / f64::from(u32::MAX >> 1);
                // Pulled back to the middle, so that a long walk stays at the same scale.
                x = 0.99 * x + scale * (uniform - 0.5);
                offset + x
            })
            .collect()
    }

    pub(super) fn assert_close(what: &str, found: f64, expected: f64, relative: f64) {
        let tolerance = relative * expected.abs().max(f64::MIN_POSITIVE);
        assert!((found - expected).abs() <= tolerance, "{what}: found {found}, expected {expected}");
    }
}
