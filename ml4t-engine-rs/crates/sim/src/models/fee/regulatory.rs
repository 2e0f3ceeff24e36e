//! What US regulators charge on sales of stocks, as brokers pass it on.

use ml4t_abi::FeeContext;

use crate::error::Result;
use crate::models::params::Reader;

/// The rates, under the names that all models give them.
#[derive(Clone, Copy)]
pub(super) struct Rates {
    /// Fee of Section 31 of the Exchange Act, a fraction of the value sold.
    pub(super) sec_rate: f64,
    /// FINRA Trading Activity Fee per share sold.
    pub(super) taf_per_share: f64,
    /// The most of it for an execution.
    pub(super) taf_maximum: f64,
    /// Fee for the Consolidated Audit Trail per share, on both sides.
    pub(super) cat_per_share: f64,
}

impl Rates {
    pub(super) fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            sec_rate: params.number("sec_rate")?,
            taf_per_share: params.number("taf_per_share")?,
            taf_maximum: params.number("taf_maximum")?,
            cat_per_share: params.number("cat_per_share")?,
        })
    }

    /// The three fees of an execution.
    pub(super) fn fees(&self, side: i8, quantity: f64, notional: f64) -> [f64; 3] {
        let (sec, taf) = if side < 0 {
            (self.sec_rate * notional.abs(), (self.taf_per_share * quantity).min(self.taf_maximum))
        } else {
            (0.0, 0.0)
        };
        [sec, taf, self.cat_per_share * quantity]
    }

    /// The three fees of a fill.
    pub(super) fn fees_of(&self, fill: &FeeContext) -> [f64; 3] {
        self.fees(fill.header.side, fill.quantity, fill.notional)
    }
}

/// An amount in whole cents, rounded up unless it is whole but for the last bits of a float.
pub(super) fn cents_up(amount: f64) -> f64 {
    // 0 is added for its sign: nothing rounds up to -0.
    (amount * 100.0 - 1e-7).ceil() + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_rounded_up_unless_they_are_whole_but_for_the_last_bits() {
        for (amount, expected) in [(0.0, 0), (0.000_83, 1), (0.01, 1), (0.010_01, 2), (46_000.0 * 0.000_195, 897)] {
            assert_eq!(cents_up(amount).to_bits(), f64::from(expected).to_bits(), "{amount}");
        }
    }
}
