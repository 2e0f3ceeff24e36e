//! Fill models compiled in.

use ml4t_abi::{FillContext, FillOutput, Phase, Status};

use super::builtin_math::DefaultFill;
use super::{FillModel, Model, Params, unknown};
use crate::error::Result;

/// Fills what the matching rules allow, up to a fraction of the bar's volume, the quote's size or the print.
#[derive(Clone, Debug)]
struct Default {
    math: DefaultFill,
    error: &'static str,
}

impl Model<FillContext, FillOutput> for Default {
    fn eval(&mut self, context: &FillContext, output: &mut FillOutput) -> Status {
        let volume = match context.phase {
            Phase::QUOTE if context.header.side > 0 => context.ask_size,
            Phase::QUOTE => context.bid_size,
            Phase::TRADE => context.trade_size,
            _ => context.volume,
        };
        match self.math.evaluate(context.leaves_quantity, volume, context.volume_used) {
            Ok(quantity) => {
                output.price = context.price;
                output.quantity = quantity;
                output.liquidity = context.liquidity;
                Status::OK
            }
            Err(text) => {
                self.error = text;
                Status::ERROR
            }
        }
    }

    fn needs_volume(&self) -> bool {
        self.math.volume_limit.is_some()
    }

    fn last_error(&self) -> String {
        self.error.to_owned()
    }

    fn name(&self) -> &'static str {
        "default fill"
    }

    fn boxed_clone(&self) -> FillModel {
        Box::new(self.clone())
    }
}

pub(super) fn default_model() -> FillModel {
    Box::new(Default { math: DefaultFill { volume_limit: None }, error: "" })
}

/// The fill model of that name.
///
/// # Errors
/// The name is not known or a parameter is missing or of the wrong type.
pub fn builtin_fill(name: &str, params: &Params) -> Result<FillModel> {
    match name {
        "default" => {
            let limit = params.number_or(name, "volume_limit", f64::NAN)?;
            let volume_limit = (!limit.is_nan()).then_some(limit);
            Ok(Box::new(Default { math: DefaultFill { volume_limit }, error: "" }))
        }
        other => Err(unknown("fill", other, &["default"])),
    }
}
