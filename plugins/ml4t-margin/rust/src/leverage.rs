//! One leverage for everything.

use core::ffi::CStr;

use ml4t_abi::{Answer, Holding, Kind, MarginContext, MarginOutput, PortfolioModel, Status, export_portfolio_model};

use crate::exactly;

#[derive(Clone)]
struct FixedLeverage {
    leverage: f64,
    maintenance: f64,
}

impl PortfolioModel for FixedLeverage {
    type Context = MarginContext;
    type Output = MarginOutput;
    const KIND: Kind = Kind::MARGIN;
    const NAME: &'static CStr = c"FixedLeverage";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [leverage, maintenance] = exactly("FixedLeverage", params)?;
        Ok(Self { leverage, maintenance })
    }

    fn evaluate(
        &mut self,
        _context: &MarginContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        output: &mut MarginOutput,
    ) -> Answer {
        let (mut initial, mut maintenance) = (0.0, 0.0);
        for (holding, amount) in holdings.iter().zip(amounts) {
            let value = holding.quantity.abs() * holding.mark.abs() * holding.multiplier * holding.fx;
            let held = value * self.maintenance;
            initial += value / self.leverage;
            maintenance += held;
            *amount = held;
        }
        (output.initial, output.maintenance) = (initial, maintenance);
        Ok(Status::OK)
    }
}

export_portfolio_model!(ml4t_margin_fixed_leverage: FixedLeverage);
