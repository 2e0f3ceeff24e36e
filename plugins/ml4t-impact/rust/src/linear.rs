//! Impact in proportion to the quantity.

use core::ffi::CStr;

use ml4t_abi::{Answer, ImpactContext, ImpactOutput, Kind, Model, Status, export_model};

use crate::estimates::{Estimates, exactly, price_and_quantity};

const NAME: &str = "Linear";

#[derive(Clone)]
struct Linear {
    temporary: f64,
    permanent: f64,
    estimates: Estimates,
}

impl Model for Linear {
    type Context = ImpactContext;
    type Output = ImpactOutput;
    const KIND: Kind = Kind::IMPACT;
    const NAME: &'static CStr = c"Linear";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [volatility, volume, days, temporary, permanent] = exactly(NAME, params)?;
        Ok(Self { temporary, permanent, estimates: Estimates::new(NAME, volatility, volume, days) })
    }

    fn average_days(&self) -> u32 {
        self.estimates.days()
    }

    fn evaluate(&mut self, context: &ImpactContext, output: &mut ImpactOutput) -> Answer {
        let (price, quantity) = price_and_quantity(NAME, context)?;
        let (volatility, volume) = self.estimates.of(context)?;
        let unit = price * (volatility * (quantity / volume));
        output.temporary = self.temporary * unit;
        output.permanent = self.permanent * unit;
        Ok(Status::OK)
    }
}

export_model!(ml4t_impact_linear: Linear);
