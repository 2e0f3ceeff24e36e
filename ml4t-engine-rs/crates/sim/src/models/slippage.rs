//! Slippage models compiled in.

use ml4t_abi::{Phase, SlippageContext, SlippageOutput, Status};

use super::builtin_math::{BasisPoints, FixedFraction, Refusal, Slippage, Spread, SpreadWidth, VolumeShare};
use super::{Model, Params, SlippageModel, unknown};
use crate::error::{Result, SimError};

#[derive(Clone, Copy, Debug)]
enum Formula {
    None,
    FixedFraction(FixedFraction),
    BasisPoints(BasisPoints),
    Spread(Spread),
    VolumeShare(VolumeShare),
}

/// A formula and the text of its last refusal.
#[derive(Clone, Debug)]
struct Builtin {
    formula: Formula,
    error: &'static str,
}

impl Builtin {
    fn evaluate(&self, c: &SlippageContext) -> std::result::Result<Slippage, Refusal> {
        match self.formula {
            Formula::None => Ok(Slippage::NONE),
            Formula::FixedFraction(m) => Ok(m.evaluate(c.price)),
            Formula::BasisPoints(m) => m.evaluate(c.price, c.volume, c.volume_used),
            Formula::Spread(m) => Ok(m.evaluate(c.price, c.phase == Phase::QUOTE)),
            Formula::VolumeShare(m) => m.evaluate(c.price, c.quantity, c.volume, c.volume_used),
        }
    }
}

impl Model<SlippageContext, SlippageOutput> for Builtin {
    fn eval(&mut self, context: &SlippageContext, output: &mut SlippageOutput) -> Status {
        match self.evaluate(context) {
            Ok(answer) => {
                output.adjustment = answer.price_adjustment;
                output.spread = answer.spread;
                output.quantity_cap = answer.quantity_cap;
                Status::OK
            }
            Err(text) => {
                self.error = text;
                Status::ERROR
            }
        }
    }

    fn needs_volume(&self) -> bool {
        match self.formula {
            Formula::None | Formula::FixedFraction(_) | Formula::Spread(_) => false,
            Formula::BasisPoints(m) => m.volume_limit.is_some(),
            Formula::VolumeShare(_) => true,
        }
    }

    fn last_error(&self) -> String {
        self.error.to_owned()
    }

    fn name(&self) -> &'static str {
        match self.formula {
            Formula::None => "no slippage",
            Formula::FixedFraction(_) => "fixed fraction slippage",
            Formula::BasisPoints(_) => "basis points slippage",
            Formula::Spread(_) => "spread slippage",
            Formula::VolumeShare(_) => "volume share slippage",
        }
    }

    fn boxed_clone(&self) -> SlippageModel {
        Box::new(self.clone())
    }
}

pub(super) fn no_slippage() -> SlippageModel {
    Box::new(Builtin { formula: Formula::None, error: "" })
}

/// The slippage model of that name.
///
/// # Errors
/// The name is not known or a parameter is missing or of the wrong type.
pub fn builtin_slippage(name: &str, params: &Params) -> Result<SlippageModel> {
    let optional = |field: &str| -> Result<Option<f64>> {
        let x = params.number_or(name, field, f64::NAN)?;
        Ok((!x.is_nan()).then_some(x))
    };
    let formula = match name {
        "none" => Formula::None,
        "fixed_fraction" => Formula::FixedFraction(FixedFraction { fraction: params.number(name, "fraction")? }),
        "basis_points" => Formula::BasisPoints(BasisPoints {
            bps: params.number(name, "bps")?,
            volume_limit: optional("volume_limit")?,
        }),
        "spread" => {
            let width = match (optional("spread")?, optional("fraction")?) {
                (Some(price), None) => SpreadWidth::Price(price),
                (None, Some(fraction)) => SpreadWidth::Fraction(fraction),
                _ => return Err(SimError::config("spread: give either spread or fraction".to_owned())),
            };
            Formula::Spread(Spread { width })
        }
        "volume_share" => Formula::VolumeShare(VolumeShare {
            volume_limit: params.number(name, "volume_limit")?,
            price_impact: params.number(name, "price_impact")?,
            caps_quantity: params.flag_or(name, "caps_quantity", true)?,
        }),
        other => {
            let known = ["none", "fixed_fraction", "basis_points", "spread", "volume_share"];
            return Err(unknown("slippage", other, &known));
        }
    };
    Ok(Box::new(Builtin { formula, error: "" }))
}
