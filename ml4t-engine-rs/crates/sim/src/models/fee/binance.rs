//! Binance, spot and USD-margined futures, which differ in their rates.

use ml4t_abi::FeeContext;

use super::Formula;
use super::basic::MakerTaker;
use crate::error::Result;
use crate::models::params::Reader;

/// Fee models `BinanceSpot` and `BinanceFutures`: fractions of the notional, less a discount.
#[derive(Clone, Copy)]
pub(super) struct Binance {
    rates: MakerTaker,
    bnb_discount: f64,
}

impl Formula for Binance {
    const NAME: &'static str = "Binance fee";

    fn read(params: &Reader<'_>) -> Result<Self> {
        Ok(Self { rates: MakerTaker::read(params)?, bnb_discount: params.number("bnb_discount")? })
    }

    fn evaluate(&self, fill: &FeeContext) -> f64 {
        let rate = self.rates.rate(fill);
        // A rebate is paid in full.
        let kept = if rate > 0.0 { 1.0 - self.bnb_discount } else { 1.0 };
        fill.notional.abs() * rate * kept
    }
}

#[cfg(test)]
mod tests {
    use ml4t_abi::Liquidity;

    use super::super::testing::{assert_close, fill};
    use super::*;

    const FUTURES: Binance = Binance { rates: MakerTaker { maker: 0.000_2, taker: 0.000_5 }, bnb_discount: 0.0 };
    const SPOT: Binance = Binance { rates: MakerTaker { maker: 0.001, taker: 0.001 }, bnb_discount: 0.0 };

    fn maker(price: f64) -> FeeContext {
        FeeContext { liquidity: Liquidity::MAKER, ..fill(1.0, price) }
    }

    /// Binance, "Futures Fee Structure & Fee Calculations", worked example: 1 BTC bought at 10,104 by a market order, sold
    /// at 11,104 by a limit order.
    #[test]
    fn futures_are_charged_as_the_exchange_works_out() {
        assert_close("taker", FUTURES.evaluate(&fill(1.0, 10_104.0)), 5.052);
        assert_close("maker", FUTURES.evaluate(&maker(11_104.0)), 2.220_8);
    }

    /// Binance, "Fee Rate", regular user: 0.1000 %, with BNB 0.0750 %; futures 10 % off.
    #[test]
    fn fees_paid_in_bnb_are_discounted_and_rebates_are_not() {
        assert_close("spot", SPOT.evaluate(&fill(1.0, 40_000.0)), 40.0);
        assert_close("with BNB", Binance { bnb_discount: 0.25, ..SPOT }.evaluate(&fill(1.0, 40_000.0)), 30.0);
        let futures = Binance { bnb_discount: 0.1, ..FUTURES };
        assert_close("futures", futures.evaluate(&fill(1.0, 40_000.0)), 18.0);
        let rebate = Binance { rates: MakerTaker { maker: -0.000_1, taker: 0.000_5 }, ..futures };
        assert_close("rebate", rebate.evaluate(&maker(10_000.0)), -1.0);
    }
}
