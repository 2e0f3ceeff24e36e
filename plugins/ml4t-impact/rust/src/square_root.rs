//! The square-root law of market impact.

use core::ffi::CStr;

use ml4t_abi::{Answer, ImpactContext, ImpactOutput, Kind, Model, Status, export_model};

use crate::estimates::{Estimates, exactly, price_and_quantity};

const NAME: &str = "SquareRoot";

#[derive(Clone)]
struct SquareRoot {
    coefficient: f64,
    estimates: Estimates,
}

impl Model for SquareRoot {
    type Context = ImpactContext;
    type Output = ImpactOutput;
    const KIND: Kind = Kind::IMPACT;
    const NAME: &'static CStr = c"SquareRoot";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [volatility, volume, days, coefficient] = exactly(NAME, params)?;
        Ok(Self { coefficient, estimates: Estimates::new(NAME, volatility, volume, days) })
    }

    fn average_days(&self) -> u32 {
        self.estimates.days()
    }

    fn evaluate(&mut self, context: &ImpactContext, output: &mut ImpactOutput) -> Answer {
        let (price, quantity) = price_and_quantity(NAME, context)?;
        let (volatility, volume) = self.estimates.of(context)?;
        output.permanent = 0.0;
        if quantity == 0.0 {
            output.temporary = 0.0;
            return Ok(Status::OK);
        }
        let before = context.order_filled_quantity.max(0.0);
        let after = before + quantity;
        let squares = after * after + after * before + before * before;
        let root = squares / (after * after.sqrt() + before * before.sqrt());
        output.temporary = price * (self.coefficient * volatility * (root / volume.sqrt()));
        Ok(Status::OK)
    }
}

export_model!(ml4t_impact_square_root: SquareRoot);
