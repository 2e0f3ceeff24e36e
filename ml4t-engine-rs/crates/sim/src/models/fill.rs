//! Fill models compiled in.

use ml4t_abi::{FillContext, Phase, Status};

use super::params::{Params, Reader, unknown};
use super::{FillAnswer, FillModel, Model, Refusal, volume_left};
use crate::error::{Result, SimError};

/// The quantity that fills, or `None` where the order is refused; or the sentence with which the run stops.
type Answer = std::result::Result<Option<f64>, Refusal>;

/// Fill model `Default`: the price that the matching rules allow, for what the market shows.
#[derive(Clone, Copy, Debug)]
struct DefaultFill {
    /// Share of the bar's volume, the quote's size or the print's size that all our orders may take together;
    /// `None` for no limit.
    volume_limit: Option<f64>,
    /// Sessions over whose average volume the share is taken instead, for all orders of a session; 0 for the event.
    average_days: usize,
    /// Whether an order takes what there is of the share; else one that is larger is refused.
    partial: bool,
}

impl DefaultFill {
    /// Quantity that fills now, of `leaves_quantity`, where the event (or the average session) shows `volume` and
    /// earlier orders took `volume_used` of it; `None` refuses the order. Without volume it is 0.
    ///
    /// # Errors
    /// There is a limit and the event has no volume.
    fn evaluate(&self, leaves_quantity: f64, volume: f64, volume_used: f64) -> Answer {
        let Some(limit) = self.volume_limit else { return Ok(Some(leaves_quantity)) };
        if volume.is_nan() {
            return Err(match self.average_days {
                0 => "volume_limit needs the volume of a bar or the size of a quote or print; this data has none",
                _ => "average_days needs every volume of those sessions; one is missing in this data",
            });
        }
        let left = volume_left(volume, volume_used, limit);
        Ok((self.partial || leaves_quantity <= left).then_some(leaves_quantity.min(left)))
    }
}

/// Fills what the matching rules allow, up to a fraction of the bar's volume, the quote's size or the print.
#[derive(Clone, Debug)]
struct Default {
    math: DefaultFill,
    error: Refusal,
}

impl Model<FillContext, FillAnswer> for Default {
    fn eval(&mut self, context: &FillContext, answer: &mut FillAnswer) -> Status {
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
                answer.one(context.price, quantity, context.liquidity);
                Status::OK
            }
            Err(text) => {
                self.error = text;
                Status::ERROR
            }
        }
    }

    fn is_neutral(&self) -> bool {
        self.math.volume_limit.is_none()
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
    if name != "default" {
        return Err(unknown("fill", name, &["default"]));
    }
    let reader = Reader { model: name, params };
    let days = reader.number_or("average_days", 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number")]
    let average_days = if days >= 0.0 && days.fract() == 0.0 && days < 1e6 {
        days as usize
    } else {
        let text = format!("{name}: average_days must be a whole number of sessions below a million, found {days}");
        return Err(SimError::config(text));
    };
    let volume_limit = reader.optional("volume_limit")?;
    let partial = reader.flag_or("partial", true)?;
    Ok(Box::new(Default { math: DefaultFill { volume_limit, average_days, partial }, error: "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_fill_takes_its_share_of_what_is_shown_and_no_more_than_is_left() {
        let limited = a_tenth(0, true);
        for (leaves, volume, used, expected) in [
            (100.0, 500.0, 0.0, 50.0),
            (100.0, 500.0, 20.0, 30.0),
            (100.0, 500.0, 60.0, 0.0),
            (10.0, 500.0, 0.0, 10.0),
            (10.0, 0.0, 0.0, 0.0),
        ] {
            let found = limited.evaluate(leaves, volume, used).unwrap().unwrap_or(f64::NAN);
            assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        }
        let unlimited = DefaultFill { volume_limit: None, average_days: 0, partial: true };
        assert_eq!(unlimited.evaluate(100.0, f64::NAN, 0.0), Ok(Some(100.0)));
    }

    #[test]
    fn an_order_beyond_its_share_is_refused_where_parts_are_not_taken() {
        let whole = a_tenth(0, false);
        assert_eq!(whole.evaluate(30.0, 500.0, 20.0), Ok(Some(30.0)));
        assert_eq!(whole.evaluate(31.0, 500.0, 20.0), Ok(None));
    }

    #[test]
    fn a_share_of_an_average_is_taken_and_one_that_is_missing_refused() {
        assert!(a_tenth(20, true).evaluate(10.0, f64::NAN, 0.0).unwrap_err().contains("average_days"));
        assert!(a_tenth(0, true).evaluate(10.0, f64::NAN, 0.0).unwrap_err().contains("volume_limit"));
        assert_eq!(a_tenth(20, true).evaluate(10.0, 0.0, 0.0), Ok(Some(0.0)));
        assert_eq!(a_tenth(20, true).evaluate(60.0, 500.0, 0.0), Ok(Some(50.0)));
    }

    const fn a_tenth(average_days: usize, partial: bool) -> DefaultFill {
        DefaultFill { volume_limit: Some(0.1), average_days, partial }
    }
}
