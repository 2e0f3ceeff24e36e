//! What perpetual futures pay each other.

use core::ffi::CStr;

use ml4t_abi::{Answer, FundingContext, FundingOutput, Kind, Model, Status, export_model};

use crate::exactly;

#[derive(Clone)]
struct PerpetualFunding;

impl Model for PerpetualFunding {
    type Context = FundingContext;
    type Output = FundingOutput;
    const KIND: Kind = Kind::FUNDING;
    const NAME: &'static CStr = c"PerpetualFunding";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [] = exactly("PerpetualFunding", params)?;
        Ok(Self)
    }

    fn evaluate(&mut self, context: &FundingContext, output: &mut FundingOutput) -> Answer {
        output.payment = -(context.quantity * context.multiplier * context.mark * context.rate);
        Ok(Status::OK)
    }
}

export_model!(ml4t_funding_perpetual: PerpetualFunding);
