//! What short positions pay for borrowed shares.

use core::ffi::CStr;

use ml4t_abi::{Answer, BorrowContext, BorrowOutput, Kind, Model, Status, export_model};

use crate::exactly;

/// The constant rate, or where there is none that of the data.
fn rate_of(name: &str, constant: f64, context: &BorrowContext) -> Result<f64, String> {
    let rate = if constant.is_nan() { context.rate_annual } else { constant };
    if rate.is_nan() {
        return Err(format!(
            "{name} needs a borrow rate, and none was in force at the close before; give rate, or rows of borrow rates \
             from then on"
        ));
    }
    Ok(rate)
}

#[derive(Clone)]
struct BorrowFee {
    rate: f64,
    day_count: f64,
}

impl Model for BorrowFee {
    type Context = BorrowContext;
    type Output = BorrowOutput;
    const KIND: Kind = Kind::BORROW;
    const NAME: &'static CStr = c"BorrowFee";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [rate, day_count] = exactly("BorrowFee", params)?;
        Ok(Self { rate, day_count })
    }

    fn evaluate(&mut self, context: &BorrowContext, output: &mut BorrowOutput) -> Answer {
        let rate = rate_of("BorrowFee", self.rate, context)?;
        let value = context.price.abs() * context.quantity * context.multiplier;
        output.fee = value * rate * context.days / self.day_count;
        Ok(Status::OK)
    }
}

export_model!(ml4t_funding_borrow_fee: BorrowFee);

#[derive(Clone)]
struct IbkrBorrow {
    rate: f64,
    collateral: f64,
    /// Steps that a unit of currency has.
    steps: f64,
    day_count: f64,
}

/// What a product of two decimals may be off by, as a part of it.
const TOLERANCE: f64 = 1e-14;

impl Model for IbkrBorrow {
    type Context = BorrowContext;
    type Output = BorrowOutput;
    const KIND: Kind = Kind::BORROW;
    const NAME: &'static CStr = c"IbkrBorrow";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [rate, collateral, decimals, day_count] = exactly("IbkrBorrow", params)?;
        let steps = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the Python class has checked it")]
        let steps = *steps.get(decimals as usize).ok_or_else(|| format!("IbkrBorrow: decimals {decimals}"))?;
        Ok(Self { rate, collateral, steps, day_count })
    }

    fn evaluate(&mut self, context: &BorrowContext, output: &mut BorrowOutput) -> Answer {
        let rate = rate_of("IbkrBorrow", self.rate, context)?;
        let exact = context.price.abs() * self.collateral * self.steps;
        let collateral = (exact - exact * TOLERANCE).ceil() / self.steps;
        output.fee = collateral * context.quantity * context.multiplier * rate * context.days / self.day_count;
        Ok(Status::OK)
    }
}

export_model!(ml4t_funding_ibkr_borrow: IbkrBorrow);
