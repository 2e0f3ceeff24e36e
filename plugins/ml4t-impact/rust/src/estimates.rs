//! What models of impact scale with: volatility and average volume, of the context or given as constants.

use ml4t_abi::ImpactContext;

/// Constants and window of a model; NaN where the engine's estimate is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimates {
    name: &'static str,
    volatility: f64,
    average_volume: f64,
    days: u32,
}

/// A number of sessions, as it comes among the parameters.
fn whole(days: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the Python class has checked it")]
    let days = days as u32;
    days
}

impl Estimates {
    pub(crate) fn new(name: &'static str, volatility: f64, average_volume: f64, days: f64) -> Self {
        Self { name, volatility, average_volume, days: whole(days) }
    }

    /// Sessions that the engine is asked to estimate over.
    pub(crate) const fn days(&self) -> u32 {
        self.days
    }

    /// Volatility, a fraction per day, and average daily volume.
    pub(crate) fn of(&self, context: &ImpactContext) -> Result<(f64, f64), String> {
        let or = |constant: f64, estimate: f64| if constant.is_nan() { estimate } else { constant };
        let volatility = or(self.volatility, context.volatility);
        let volume = or(self.average_volume, context.average_volume);
        let remedy =
            |what| format!("let the data begin some sessions before the first order, or give {what} as a constant");
        if !(0.0..f64::INFINITY).contains(&volatility) {
            let (name, remedy) = (self.name, remedy("volatility"));
            return Err(format!("{name} needs a volatility of earlier sessions, found {volatility}; {remedy}"));
        }
        if !(volume > 0.0 && volume < f64::INFINITY) {
            let (name, remedy) = (self.name, remedy("average_volume"));
            return Err(format!(
                "{name} needs an average volume of earlier sessions above 0, found {volume}; {remedy}"
            ));
        }
        Ok((volatility, volume))
    }
}

/// Size of the reference price, and the quantity of the fill.
pub(crate) fn price_and_quantity(name: &str, context: &ImpactContext) -> Result<(f64, f64), String> {
    if !context.price.is_finite() {
        return Err(format!("{name} needs a reference price, found {}", context.price));
    }
    if !(0.0..f64::INFINITY).contains(&context.quantity) {
        return Err(format!("{name} needs the quantity of the fill, 0 or more, found {}", context.quantity));
    }
    Ok((context.price.abs(), context.quantity))
}

/// The parameters of a model, as many as it has.
pub(crate) fn exactly<const N: usize>(name: &str, params: &[f64]) -> Result<[f64; N], String> {
    params.try_into().map_err(|_| format!("{name} takes {N} parameters, found {}", params.len()))
}
