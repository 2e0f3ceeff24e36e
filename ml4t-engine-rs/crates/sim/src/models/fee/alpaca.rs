//! Alpaca, US stocks.

use ml4t_abi::{FeeContext, FillEvent};

use super::Formula;
use super::regulatory::{Rates, cents_up};
use crate::error::Result;
use crate::models::params::Reader;

const DAY_NS: i64 = 86_400_000_000_000;

/// Fee model `AlpacaFees`: regulatory fees alone, each summed over a day (UTC) and rounded up to the cent.
#[derive(Clone)]
pub(super) struct AlpacaFees {
    rates: Rates,
    rounds_up: bool,
    /// The last day with a fill, and what has accrued on it before rounding.
    day: Option<i64>,
    accrued: [f64; 3],
}

impl AlpacaFees {
    const fn new(rates: Rates, rounds_up: bool) -> Self {
        Self { rates, rounds_up, day: None, accrued: [0.0; 3] }
    }

    /// What has accrued on the day of an instant.
    fn accrued(&self, ts_ns: i64) -> [f64; 3] {
        if self.day == Some(ts_ns.div_euclid(DAY_NS)) { self.accrued } else { [0.0; 3] }
    }
}

fn cents([sec, taf, cat]: [f64; 3]) -> f64 {
    cents_up(sec) + cents_up(taf) + cents_up(cat)
}

fn sums(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

impl Formula for AlpacaFees {
    const NAME: &'static str = "Alpaca fees";
    const COUNTS_FILLS: bool = true;

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self::new(Rates::read(params)?, params.flag_or("rounds_up", true)?))
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        let fees = self.rates.fees_of(fill);
        if !self.rounds_up {
            return fees[0] + fees[1] + fees[2];
        }
        let accrued = self.accrued(fill.header.ts_ns);
        (cents(sums(accrued, fees)) - cents(accrued)) / 100.0
    }

    fn observe(&mut self, fill: &FillEvent) {
        let fees = self.rates.fees(fill.header.side, fill.quantity, fill.quantity * fill.price * fill.multiplier);
        self.accrued = sums(self.accrued(fill.header.ts_ns), fees);
        self.day = Some(fill.header.ts_ns.div_euclid(DAY_NS));
    }

    fn reset(&mut self) {
        *self = Self::new(self.rates, self.rounds_up);
    }
}

#[cfg(test)]
mod tests {
    use ml4t_abi::Header;

    use super::super::testing::{BUY, SELL, assert_close, fill, sale};
    use super::*;

    /// Alpaca Securities, "Brokerage Fee Schedule" of September 2026.
    const RATES: Rates =
        Rates { sec_rate: 0.000_020_6, taf_per_share: 0.000_195, taf_maximum: 9.79, cat_per_share: 0.000_003 };

    /// What the fills of a run are charged, given as instant, side and quantity, all at 25.00.
    fn play(model: &mut AlpacaFees, fills: &[(i64, i8, f64)]) -> Vec<f64> {
        let mut fees = Vec::new();
        for &(ts_ns, side, quantity) in fills {
            let header = Header { ts_ns, side, ..Header::UNSET };
            fees.push(model.evaluate(&FeeContext { header, ..fill(quantity, 25.0) }));
            model.observe(&FillEvent { header, price: 25.0, quantity, multiplier: 1.0, ..FillEvent::UNSET });
        }
        fees
    }

    #[test]
    fn regulators_are_passed_on_exactly_where_nothing_is_rounded() {
        let model = AlpacaFees::new(RATES, false);
        assert_close("sale", model.evaluate(&sale(1_000.0, 25.0)), 0.515 + 0.195 + 0.003);
        assert_close("buy", model.evaluate(&fill(1_000.0, 25.0)), 0.003);
        assert_close("large", model.evaluate(&sale(100_000.0, 25.0)), 51.5 + 9.79 + 0.3);
    }

    /// One sale: 0.515 -> 0.52, 0.195 -> 0.20, 0.003 -> 0.01. The second makes 1.03, 0.39 and 0.006: 0.51 + 0.19 + 0.
    #[test]
    fn the_sums_of_a_day_are_rounded_up() {
        let mut model = AlpacaFees::new(RATES, true);
        let sales = [(0, SELL, 1e3), (3_600, SELL, 1e3), (DAY_NS, SELL, 1e3), (DAY_NS + 1, SELL, 1e3)];
        assert_eq!(play(&mut model, &sales), [0.73, 0.7, 0.73, 0.7]);
    }

    #[test]
    fn days_before_1970_are_told_apart_too() {
        let mut model = AlpacaFees::new(RATES, true);
        assert_eq!(play(&mut model, &[(-2, SELL, 1e3), (-1, SELL, 1e3), (0, SELL, 1e3)]), [0.73, 0.7, 0.73]);
    }

    /// docs.alpaca.markets, "Regulatory Fees": what comes to 0.00083 is rounded up to 0.01.
    #[test]
    fn the_first_small_buy_of_a_day_costs_a_cent_and_the_next_nothing() {
        let mut model = AlpacaFees::new(RATES, true);
        assert_eq!(play(&mut model, &[(0, BUY, 10.0), (1, BUY, 10.0)]), [0.01, 0.0]);
    }

    #[test]
    fn a_run_begins_with_nothing_accrued() {
        let mut model = AlpacaFees::new(RATES, true);
        assert_eq!(play(&mut model, &[(0, SELL, 1e3), (1, SELL, 1e3)]), [0.73, 0.7]);
        model.reset();
        assert_eq!(play(&mut model, &[(2, SELL, 1e3)]), [0.73]);
    }
}
