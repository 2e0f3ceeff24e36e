//! The model that Almgren, Thum, Hauptmann and Li (2005) fitted to trades in US stocks.

use core::ffi::CStr;

use ml4t_abi::{Answer, ImpactContext, ImpactOutput, Kind, Model, Status, export_model};

use crate::estimates::{Estimates, exactly, price_and_quantity};

const NAME: &str = "Almgren2005";

#[derive(Clone)]
struct Almgren2005 {
    duration_days: f64,
    gamma: f64,
    eta: f64,
    permanent_exponent: f64,
    temporary_exponent: f64,
    turnover_exponent: f64,
    /// Theta / V; NaN where it is made of the shares outstanding.
    inverse_turnover: f64,
    shares_outstanding: f64,
    estimates: Estimates,
}

impl Model for Almgren2005 {
    type Context = ImpactContext;
    type Output = ImpactOutput;
    const KIND: Kind = Kind::IMPACT;
    const NAME: &'static CStr = c"Almgren2005";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [
            volatility,
            volume,
            days,
            duration_days,
            gamma,
            eta,
            permanent_exponent,
            temporary_exponent,
            turnover_exponent,
            inverse_turnover,
            shares_outstanding,
        ] = exactly(NAME, params)?;
        let estimates = Estimates::new(NAME, volatility, volume, days);
        Ok(Self {
            duration_days,
            gamma,
            eta,
            permanent_exponent,
            temporary_exponent,
            turnover_exponent,
            inverse_turnover,
            shares_outstanding,
            estimates,
        })
    }

    fn average_days(&self) -> u32 {
        self.estimates.days()
    }

    fn evaluate(&mut self, context: &ImpactContext, output: &mut ImpactOutput) -> Answer {
        let (price, quantity) = price_and_quantity(NAME, context)?;
        let (volatility, volume) = self.estimates.of(context)?;
        let given = self.inverse_turnover;
        let turnover = if given.is_nan() { self.shares_outstanding / volume } else { given };
        let share = quantity / volume;
        let mut permanent = self.gamma * volatility * libm::pow(share, self.permanent_exponent);
        permanent *= libm::pow(turnover, self.turnover_exponent);
        let temporary = self.eta * volatility * libm::pow(share / self.duration_days, self.temporary_exponent);
        output.temporary = price * (permanent / 2.0 + temporary);
        output.permanent = price * permanent;
        Ok(Status::OK)
    }
}

export_model!(ml4t_impact_almgren_2005: Almgren2005);
