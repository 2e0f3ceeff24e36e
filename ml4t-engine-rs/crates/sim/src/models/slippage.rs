//! Slippage models compiled in: one struct per formula.
//!
//! Prices are in the instrument's currency per unit, quantities in units and positive; NaN stands for missing data.

mod of_price;
mod of_volume;
#[cfg(test)]
mod testing;

use ml4t_abi::{SlippageContext, SlippageOutput, Status};

use super::params::{Params, Reader, unknown};
use super::{Model, Refusal, SlippageModel};
use crate::error::Result;

/// What a slippage model answers; positive numbers hurt the order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slippage {
    /// Slippage per unit.
    price_adjustment: f64,
    /// Half spread per unit, reported apart from slippage.
    spread: f64,
    /// Most that may fill at this event, infinity without a cap.
    ///
    /// An order larger than the cap is filled up to it and the model is asked again with that quantity, so that
    /// the adjustment is that of the quantity which fills.
    quantity_cap: f64,
}

impl Slippage {
    /// Nothing lost and no cap.
    const NONE: Self = Self { price_adjustment: 0.0, spread: 0.0, quantity_cap: f64::INFINITY };
}

/// What a fill loses, by the parameters that the struct holds.
trait Formula: Clone + Send + Sync + Sized + 'static {
    /// Name, for messages.
    const NAME: &'static str;
    /// Whether a fill loses nothing, whatever it is.
    const IS_NEUTRAL: bool = false;
    /// Over how many sessions average volume and volatility go; 0 where neither is needed.
    const AVERAGE_DAYS: usize = 0;

    /// Read the parameters.
    fn read(params: &Reader<'_>) -> Result<Self>;

    /// Slippage, half spread and cap; or the sentence with which the run stops.
    fn evaluate(&self, asked: &SlippageContext) -> std::result::Result<Slippage, Refusal>;

    /// Whether the answer uses the volume of the bar.
    fn needs_volume(&self) -> bool {
        false
    }
}

/// A formula and the text of its last refusal.
#[derive(Clone)]
struct Builtin<F> {
    formula: F,
    error: Refusal,
}

impl<F: Formula> Builtin<F> {
    fn boxed(params: &Reader<'_>) -> Result<SlippageModel> {
        Ok(Box::new(Self { formula: F::read(params)?, error: "" }))
    }
}

impl<F: Formula> Model<SlippageContext, SlippageOutput> for Builtin<F> {
    fn eval(&mut self, context: &SlippageContext, output: &mut SlippageOutput) -> Status {
        match self.formula.evaluate(context) {
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

    fn is_neutral(&self) -> bool {
        F::IS_NEUTRAL
    }

    fn needs_volume(&self) -> bool {
        self.formula.needs_volume()
    }

    fn average_days(&self) -> usize {
        F::AVERAGE_DAYS
    }

    fn last_error(&self) -> String {
        self.error.to_owned()
    }

    fn name(&self) -> &'static str {
        F::NAME
    }

    fn boxed_clone(&self) -> SlippageModel {
        Box::new(self.clone())
    }
}

pub(super) fn no_slippage() -> SlippageModel {
    Box::new(Builtin { formula: of_price::NoSlippage, error: "" })
}

type Make = fn(&Reader<'_>) -> Result<SlippageModel>;

const TABLES: [(&str, Make); 7] = [
    ("none", Builtin::<of_price::NoSlippage>::boxed),
    ("fixed_fraction", Builtin::<of_price::FixedFraction>::boxed),
    ("basis_points", Builtin::<of_price::BasisPoints>::boxed),
    ("spread", Builtin::<of_price::Spread>::boxed),
    ("volume_share", Builtin::<of_volume::VolumeShare>::boxed),
    ("lean_volume_share", Builtin::<of_volume::LeanVolumeShare>::boxed),
    ("volatility_volume_share", Builtin::<of_volume::VolatilityVolumeShare>::boxed),
];

/// The slippage model of that name.
///
/// # Errors
/// The name is not known or a parameter is missing or of the wrong type.
pub fn builtin_slippage(name: &str, params: &Params) -> Result<SlippageModel> {
    match TABLES.iter().find(|(known, _)| *known == name) {
        Some((_, make)) => make(&Reader { model: name, params }),
        None => Err(unknown("slippage", name, &TABLES.map(|(known, _)| known))),
    }
}
