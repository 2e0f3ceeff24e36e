//! The linear impact of Almgren and Chriss (2000).

use core::ffi::CStr;

use ml4t_abi::{Answer, ImpactContext, ImpactOutput, Kind, Model, Status, export_model};

use crate::estimates::{exactly, price_and_quantity};

const NAME: &str = "AlmgrenChriss";

#[derive(Clone)]
struct AlmgrenChriss {
    gamma: f64,
    eta: f64,
    epsilon: f64,
    tau: f64,
}

impl Model for AlmgrenChriss {
    type Context = ImpactContext;
    type Output = ImpactOutput;
    const KIND: Kind = Kind::IMPACT;
    const NAME: &'static CStr = c"AlmgrenChriss";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [gamma, eta, epsilon, tau] = exactly(NAME, params)?;
        Ok(Self { gamma, eta, epsilon, tau })
    }

    fn evaluate(&mut self, context: &ImpactContext, output: &mut ImpactOutput) -> Answer {
        let (_, quantity) = price_and_quantity(NAME, context)?;
        let is_nothing = quantity == 0.0;
        output.temporary = if is_nothing { 0.0 } else { self.epsilon + self.eta * (quantity / self.tau) };
        output.permanent = if is_nothing { 0.0 } else { self.gamma * quantity };
        Ok(Status::OK)
    }
}

export_model!(ml4t_impact_almgren_chriss: AlmgrenChriss);
