//! Fee models compiled in.

use ml4t_abi::{FeeContext, FeeOutput, Status};

use super::builtin_math::{FeeBasis, Fraction, PerOrder, PerShare};
use super::{FeeModel, Model, Params, unknown};
use crate::error::Result;

#[derive(Clone, Copy, Debug)]
enum Builtin {
    None,
    PerShare(PerShare),
    PerOrder(PerOrder),
    Fraction(Fraction),
}

impl Model<FeeContext, FeeOutput> for Builtin {
    fn eval(&mut self, context: &FeeContext, output: &mut FeeOutput) -> Status {
        let basis = FeeBasis {
            quantity: context.quantity,
            notional: context.notional,
            order_filled_quantity: context.order_filled_quantity,
            order_notional: context.order_notional,
            order_fees: context.order_fees,
        };
        output.fee = match self {
            Self::None => 0.0,
            Self::PerShare(m) => m.evaluate(&basis),
            Self::PerOrder(m) => m.evaluate(&basis),
            Self::Fraction(m) => m.evaluate(&basis),
        };
        Status::OK
    }

    fn name(&self) -> &'static str {
        match self {
            Self::None => "no fee",
            Self::PerShare(_) => "per share fee",
            Self::PerOrder(_) => "per order fee",
            Self::Fraction(_) => "fraction of notional fee",
        }
    }

    fn boxed_clone(&self) -> FeeModel {
        Box::new(*self)
    }
}

pub(super) fn no_fee() -> FeeModel {
    Box::new(Builtin::None)
}

/// The fee model of that name.
///
/// # Errors
/// The name is not known or a parameter is missing or of the wrong type.
pub fn builtin_fee(name: &str, params: &Params) -> Result<FeeModel> {
    let model = match name {
        "none" => Builtin::None,
        "per_share" => {
            let cap = params.number_or(name, "maximum_fraction", f64::NAN)?;
            Builtin::PerShare(PerShare {
                fee: params.number(name, "fee")?,
                minimum: params.number_or(name, "minimum", 0.0)?,
                maximum_fraction: (!cap.is_nan()).then_some(cap),
            })
        }
        "per_order" => Builtin::PerOrder(PerOrder { fee: params.number(name, "fee")? }),
        "fraction" => Builtin::Fraction(Fraction { rate: params.number(name, "rate")? }),
        other => return Err(unknown("fee", other, &["none", "per_share", "per_order", "fraction"])),
    };
    Ok(Box::new(model))
}
