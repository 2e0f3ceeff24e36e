//! Fee models compiled in: one struct per formula, one file per family.
//!
//! Quantities are in units and positive, money is in the instrument's currency. Where a rule holds for an order as a
//! whole, a fill is charged what it adds to the order's total.

mod alpaca;
mod basic;
mod binance;
mod ibkr_forex;
mod ibkr_options;
mod ibkr_stocks;
mod regulatory;
#[cfg(test)]
mod testing;
mod tiers;

use ml4t_abi::{FeeContext, FeeOutput, FillEvent, Status};

use super::params::{Params, Reader, unknown};
use super::{FeeModel, Model};
use crate::error::Result;

/// What a fill costs, by the parameters that the struct holds.
trait Formula: Clone + Send + Sync + Sized + 'static {
    /// Name, for messages.
    const NAME: &'static str;
    /// Whether a fill costs nothing, whatever it is.
    const IS_NEUTRAL: bool = false;
    /// Whether it keeps count of the fills of the run.
    const COUNTS_FILLS: bool = false;

    /// Read the parameters.
    fn read(params: &Reader<'_>) -> Result<Self>;

    /// Money that the fill costs, negative for a rebate.
    fn evaluate(&self, fill: &FeeContext) -> f64;

    /// A fill was booked.
    fn observe(&mut self, _fill: &FillEvent) {}

    /// A run begins.
    fn reset(&mut self) {}
}

#[derive(Clone)]
struct Builtin<F>(F);

impl<F: Formula> Builtin<F> {
    fn boxed(params: &Reader<'_>) -> Result<FeeModel> {
        Ok(Box::new(Self(F::read(params)?)))
    }
}

impl<F: Formula> Model<FeeContext, FeeOutput> for Builtin<F> {
    fn eval(&mut self, context: &FeeContext, output: &mut FeeOutput) -> Status {
        output.fee = self.0.evaluate(context);
        Status::OK
    }

    fn is_neutral(&self) -> bool {
        F::IS_NEUTRAL
    }

    fn wants_fills(&self) -> bool {
        F::COUNTS_FILLS
    }

    fn observe(&mut self, fill: &FillEvent) -> Status {
        self.0.observe(fill);
        Status::OK
    }

    fn reset(&mut self, _seed: u64) -> std::result::Result<(), String> {
        self.0.reset();
        Ok(())
    }

    fn name(&self) -> &'static str {
        F::NAME
    }

    fn boxed_clone(&self) -> FeeModel {
        Box::new(self.clone())
    }
}

pub(super) fn no_fee() -> FeeModel {
    Box::new(Builtin(basic::NoFee))
}

type Make = fn(&Reader<'_>) -> Result<FeeModel>;

const TABLES: [(&str, Make); 15] = [
    ("none", Builtin::<basic::NoFee>::boxed),
    ("per_share", Builtin::<basic::PerShare>::boxed),
    ("per_order", Builtin::<basic::PerOrder>::boxed),
    ("fraction", Builtin::<basic::Fraction>::boxed),
    ("per_contract", Builtin::<basic::PerContract>::boxed),
    ("maker_taker", Builtin::<basic::MakerTaker>::boxed),
    ("tiered", Builtin::<tiers::Tiered>::boxed),
    ("ibkr_fixed", Builtin::<ibkr_stocks::IbkrFixed>::boxed),
    ("lean_ibkr", Builtin::<ibkr_stocks::LeanIbkr>::boxed),
    ("ibkr_tiered", Builtin::<ibkr_stocks::IbkrTiered>::boxed),
    ("ibkr_options", Builtin::<ibkr_options::IbkrOptions>::boxed),
    ("ibkr_forex", Builtin::<ibkr_forex::IbkrForex>::boxed),
    ("alpaca_fees", Builtin::<alpaca::AlpacaFees>::boxed),
    ("binance_spot", Builtin::<binance::Binance>::boxed),
    ("binance_futures", Builtin::<binance::Binance>::boxed),
];

/// The fee model of that name.
///
/// # Errors
/// The name is not known or a parameter is missing or of the wrong type.
pub fn builtin_fee(name: &str, params: &Params) -> Result<FeeModel> {
    match TABLES.iter().find(|(known, _)| *known == name) {
        Some((_, make)) => make(&Reader { model: name, params }),
        None => Err(unknown("fee", name, &TABLES.map(|(known, _)| known))),
    }
}
