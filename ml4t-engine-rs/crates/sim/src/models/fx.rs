//! Models of conversions compiled in.

use ml4t_abi::{FxContext, FxOutput, Status};

use super::params::{Params, Reader, unknown};
use super::{FxModel, Model};
use crate::error::Result;

/// Model `FxSpread`: half a spread on the middle rate, and a commission with a minimum.
#[derive(Clone, Copy)]
struct FxSpread {
    spread: f64,
    commission: f64,
    minimum: f64,
}

impl Model<FxContext, FxOutput> for FxSpread {
    fn eval(&mut self, asked: &FxContext, output: &mut FxOutput) -> Status {
        let half = asked.rate * self.spread / 2.0;
        output.rate = if asked.header.side > 0 { asked.rate + half } else { asked.rate - half };
        output.fee = (asked.amount.abs() * asked.rate * self.commission).max(self.minimum);
        Status::OK
    }

    fn name(&self) -> &'static str {
        "fx spread"
    }

    fn boxed_clone(&self) -> FxModel {
        Box::new(*self)
    }
}

/// The model of conversions of that name.
///
/// # Errors
/// The name is not known or a parameter is missing or of the wrong type.
pub fn builtin_fx(name: &str, params: &Params) -> Result<FxModel> {
    let read = Reader { model: name, params };
    match name {
        "fx_spread" => Ok(Box::new(FxSpread {
            spread: read.number("spread")?,
            commission: read.number_or("commission", 0.0)?,
            minimum: read.number_or("minimum", 0.0)?,
        })),
        _ => Err(unknown("fx", name, &["fx_spread"])),
    }
}
