//! Regulation T, and what FINRA asks for holding.

use core::ffi::CStr;

use ml4t_abi::{Answer, Holding, Kind, MarginContext, MarginOutput, PortfolioModel, Status, export_portfolio_model};

use crate::symbols::Bound;
use crate::{first, larger};

const FROM_PRICE: f64 = 5.0;
const FROM_LEAST: f64 = 5.0;
const BELOW_LEAST: f64 = 2.5;

#[derive(Clone)]
struct RegT {
    initial: f64,
    maintenance_long: f64,
    maintenance_short: f64,
    opening: f64,
    special: Bound<f64>,
}

impl RegT {
    /// What holding one unit needs.
    fn to_hold(&self, holding: &Holding, price: f64, least: f64) -> f64 {
        if holding.quantity < 0.0 {
            if price >= FROM_PRICE {
                larger(larger(self.maintenance_short * price, FROM_LEAST), least)
            } else {
                larger(larger(price, BELOW_LEAST), least)
            }
        } else {
            larger(self.maintenance_long * price, least)
        }
    }
}

impl PortfolioModel for RegT {
    type Context = MarginContext;
    type Output = MarginOutput;
    const KIND: Kind = Kind::MARGIN;
    const NAME: &'static CStr = c"RegT";

    fn new(params: &[f64]) -> Result<Self, String> {
        let ([initial, maintenance_long, maintenance_short, intraday, mark], special) = first("RegT", params)?;
        let opening = if intraday.is_nan() { initial } else { intraday };
        let special = Bound::new(mark, special.iter().copied());
        Ok(Self { initial, maintenance_long, maintenance_short, opening, special })
    }

    fn evaluate(
        &mut self,
        _context: &MarginContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        output: &mut MarginOutput,
    ) -> Answer {
        let (mut initial, mut maintenance, mut overnight) = (0.0, 0.0, 0.0);
        for (holding, amount) in holdings.iter().zip(amounts) {
            let price = holding.mark.abs();
            let size = holding.quantity.abs() * holding.multiplier * holding.fx;
            let least = self.special.of(holding.asset, "RegT", "special", 0.0)? * price;
            let held = self.to_hold(holding, price, least) * size;
            initial += larger(larger(self.opening * price, least) * size, held);
            overnight += larger(self.initial * price, least) * size;
            maintenance += held;
            *amount = held;
        }
        (output.initial, output.maintenance, output.overnight) = (initial, maintenance, overnight);
        Ok(Status::OK)
    }
}

export_portfolio_model!(ml4t_margin_reg_t: RegT);
