//! The optimal trajectory of Almgren and Chriss (2000) as an execution algorithm.

use core::ffi::CStr;

use ml4t_abi::{Answer, ExecutorContext, ExecutorModel, OpenOrder, OrderRecord, Orders, Status, export_executor};

use crate::estimates::exactly;

const NAME: &str = "AlmgrenChrissTrajectory";
/// Below it the trajectory is even to the last digit that a lot shows.
const LEAST_URGENCY: f64 = 1e-6;
/// Shares of a period and of a lot that are noise of the arithmetic.
const NOISE: f64 = 1e-9;

#[derive(Clone)]
struct Trajectory {
    gamma: f64,
    eta: f64,
    periods: f64,
    period: f64,
    risk_aversion: f64,
    volatility: f64,
    days: u32,
    /// kappa x tau of the order at hand, NaN before its first call.
    urgency: f64,
}

impl Trajectory {
    fn urgency_of(&self, context: &ExecutorContext) -> Result<f64, String> {
        if self.risk_aversion == 0.0 {
            return Ok(0.0);
        }
        let volatility = if self.volatility.is_nan() { context.volatility } else { self.volatility };
        if !(0.0..f64::INFINITY).contains(&volatility) {
            return Err(format!(
                "{NAME} needs a volatility of earlier sessions, found {volatility}; let the data begin some sessions \
                 before the first order, or give volatility as a constant"
            ));
        }
        if !context.price.is_finite() {
            return Err(format!("{NAME} needs a price, found {}", context.price));
        }
        let sigma = volatility * context.price.abs();
        let eta_tilde = self.eta - self.gamma * self.period / 2.0;
        let half = (self.risk_aversion * sigma * sigma / eta_tilde).sqrt() * self.period / 2.0;
        if half < LEAST_URGENCY {
            return Ok(0.0);
        }
        // The inverse hyperbolic sine of it, twice.
        Ok(2.0 * libm::log(half + (half * half + 1.0).sqrt()))
    }

    /// Share of the order that is left when `k` periods are.
    fn left(&self, k: f64) -> f64 {
        if self.urgency == 0.0 {
            return k / self.periods;
        }
        let (tau, n) = (self.urgency, self.periods);
        libm::exp((k - n) * tau) * (1.0 - libm::exp(-2.0 * k * tau)) / (1.0 - libm::exp(-2.0 * n * tau))
    }
}

impl ExecutorModel for Trajectory {
    const NAME: &'static CStr = c"AlmgrenChrissTrajectory";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [gamma, eta, periods, period, risk_aversion, volatility, days] = exactly(NAME, params)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the Python class has checked it")]
        let days = if volatility.is_nan() && risk_aversion > 0.0 { days as u32 } else { 0 };
        Ok(Self { gamma, eta, periods, period, risk_aversion, volatility, days, urgency: f64::NAN })
    }

    fn average_days(&self) -> u32 {
        self.days
    }

    fn reset(&mut self, _seed: u64) {
        self.urgency = f64::NAN;
    }

    fn evaluate(&mut self, context: &ExecutorContext, _open: &[OpenOrder], orders: &mut Orders<'_>) -> Answer {
        if self.urgency.is_nan() {
            self.urgency = self.urgency_of(context)?;
        }
        let begun = ((context.elapsed / self.period + NOISE).floor() + 1.0).min(self.periods);
        let done = if begun >= self.periods { 1.0 } else { 1.0 - self.left(self.periods - begun) };
        let due = context.quantity * done - context.filled - context.working;
        let lots = (due / context.lot_size + NOISE).floor();
        if lots > 0.0 {
            let quantity = lots * context.lot_size * f64::from(context.header.side);
            orders.push(OrderRecord {
                action: ml4t_abi::Action::NEW,
                order_type: ml4t_abi::OrderType::MARKET,
                asset: context.header.asset,
                quantity,
                ..OrderRecord::UNSET
            })?;
        }
        Ok(Status::OK)
    }
}

export_executor!(ml4t_impact_almgren_chriss_trajectory: Trajectory);
