//! Impact that decays: what earlier fills did to the price, less what has come back since.

use core::ffi::CStr;
use std::collections::BTreeMap;

use ml4t_abi::{Answer, FillEvent, Flag, ImpactContext, ImpactOutput, Kind, Model, Status, export_model};

use crate::estimates::{Estimates, exactly, price_and_quantity};

const NAME: &str = "Propagator";
const DAY_NS: f64 = 86_400e9;

/// How moves decay.
#[derive(Clone, Copy)]
enum Decay {
    /// At this rate per day.
    Exponential(f64),
    /// After so many days, with this power.
    PowerLaw(f64, f64),
}

impl Decay {
    /// The part of a move that is left after so many days.
    fn kept(self, days: f64) -> f64 {
        match self {
            Self::Exponential(rate) => libm::exp(-rate * days),
            Self::PowerLaw(relaxation, beta) => {
                let relaxed = days / relaxation;
                libm::pow(1.0 + relaxed * relaxed, -beta / 2.0)
            }
        }
    }
}

/// What is known of one instrument.
#[derive(Clone, Default)]
struct Instrument {
    /// Volatility and volume of the last question.
    scale: (f64, f64),
    /// When, and the signed move then, a fraction of the price.
    moves: Vec<(i64, f64)>,
}

#[derive(Clone)]
struct Propagator {
    coefficient: f64,
    exponent: f64,
    decay: Decay,
    permanent_share: f64,
    estimates: Estimates,
    instruments: BTreeMap<u32, Instrument>,
}

/// What is left of moves, a fraction of the price, positive when up.
fn left(decay: Decay, moves: &[(i64, f64)], now: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a duration in days")]
    let days = |at: i64| (now - at).max(0) as f64 / DAY_NS;
    moves.iter().map(|&(at, size)| size * decay.kept(days(at))).sum()
}

impl Propagator {
    /// How far a fill moves the price, a fraction of it.
    fn size(&self, quantity: f64, (volatility, volume): (f64, f64)) -> f64 {
        let share = quantity / volume;
        let is_linear = self.exponent.to_bits() == 1.0_f64.to_bits();
        let size = if is_linear { share } else { libm::pow(share, self.exponent) };
        self.coefficient * volatility * size
    }
}

impl Model for Propagator {
    type Context = ImpactContext;
    type Output = ImpactOutput;
    const KIND: Kind = Kind::IMPACT;
    const NAME: &'static CStr = c"Propagator";
    const FLAGS: u32 = Flag::NEEDS_OBSERVE.0;

    fn new(params: &[f64]) -> Result<Self, String> {
        let [volatility, volume, days, coefficient, exponent, resilience, relaxation, beta, permanent_share] =
            exactly(NAME, params)?;
        let decay =
            if resilience.is_nan() { Decay::PowerLaw(relaxation, beta) } else { Decay::Exponential(resilience) };
        let estimates = Estimates::new(NAME, volatility, volume, days);
        Ok(Self { coefficient, exponent, decay, permanent_share, estimates, instruments: BTreeMap::new() })
    }

    fn average_days(&self) -> u32 {
        self.estimates.days()
    }

    fn reset(&mut self, _seed: u64) {
        self.instruments.clear();
    }

    fn evaluate(&mut self, context: &ImpactContext, output: &mut ImpactOutput) -> Answer {
        let (price, quantity) = price_and_quantity(NAME, context)?;
        let scale = self.estimates.of(context)?;
        let own = self.size(quantity, scale);
        let known = self.instruments.entry(context.header.asset).or_default();
        known.scale = scale;
        (output.temporary, output.permanent) = (0.0, 0.0);
        if quantity > 0.0 {
            let side = f64::from(context.header.side);
            let earlier = side * left(self.decay, &known.moves, context.header.ts_ns);
            output.temporary = price * (own / (1.0 + self.exponent) + earlier);
            output.permanent = price * (self.permanent_share * own);
        }
        Ok(Status::OK)
    }

    fn observe(&mut self, fill: &FillEvent) {
        let (asset, now) = (fill.header.asset, fill.header.ts_ns);
        let Some(scale) = self.instruments.get(&asset).map(|known| known.scale) else { return };
        let size = f64::from(fill.header.side) * self.size(fill.quantity, scale) * (1.0 - self.permanent_share);
        let decay = self.decay;
        let Some(known) = self.instruments.get_mut(&asset) else { return };
        match decay {
            // One number holds all of them: they decay alike.
            Decay::Exponential(_) => known.moves = vec![(now, left(decay, &known.moves, now) + size)],
            Decay::PowerLaw(..) => known.moves.push((now, size)),
        }
    }
}

export_model!(ml4t_impact_propagator: Propagator);
