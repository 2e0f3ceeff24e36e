//! Fill models compiled in.

use ml4t_abi::{FillContext, FillOutput, Phase, Status};

use super::builtin_math::DefaultFill;
use super::{FillModel, Model, Params, unknown};
use crate::error::{Result, SimError};

/// Fills what the matching rules allow, up to a fraction of the bar's volume, the quote's size or the print.
#[derive(Clone, Debug)]
struct Default {
    math: DefaultFill,
    error: &'static str,
}

impl Model<FillContext, FillOutput> for Default {
    fn eval(&mut self, context: &FillContext, output: &mut FillOutput) -> Status {
        let (volume, used) = match context.phase {
            _ if self.math.average_days > 0 => (context.average_volume, context.session_used),
            Phase::QUOTE if context.header.side > 0 => (context.ask_size, context.volume_used),
            Phase::QUOTE => (context.bid_size, context.volume_used),
            Phase::TRADE => (context.trade_size, context.volume_used),
            _ => (context.volume, context.volume_used),
        };
        match self.math.evaluate(context.leaves_quantity, volume, used) {
            Ok(None) => Status::REJECT,
            Ok(Some(quantity)) => {
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
        self.math.volume_limit.is_some() && self.math.average_days == 0
    }

    fn average_days(&self) -> usize {
        self.math.average_days
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
    Box::new(Default { math: DefaultFill { volume_limit: None, average_days: 0, partial: true }, error: "" })
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
            let days = params.number_or(name, "average_days", 0.0)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number")]
            let average_days = if days >= 0.0 && days.fract() == 0.0 && days < 1e6 {
                days as usize
            } else {
                let text =
                    format!("{name}: average_days must be a whole number of sessions below a million, found {days}");
                return Err(SimError::config(text));
            };
            let partial = params.flag_or(name, "partial", true)?;
            Ok(Box::new(Default { math: DefaultFill { volume_limit, average_days, partial }, error: "" }))
        }
        other => Err(unknown("fill", other, &["default"])),
    }
}
