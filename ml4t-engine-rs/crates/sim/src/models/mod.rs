//! Models that a run plugs in: how much fills, what slips, what is charged.
//!
//! Every model, compiled in or brought by a plugin, native or Python, is evaluated through the flat structs
//! of `ml4t-abi`. The ones that are compiled in are looked up by name with [`builtin_fill`],
//! [`builtin_slippage`] and [`builtin_fee`]; a plugin class names its table and hands over its parameters.

pub mod builtin_math;
mod fee;
mod fill;
mod slippage;

use ml4t_abi::{FeeContext, FeeOutput, FillContext, FillOutput, SlippageContext, SlippageOutput, Status};

pub use fee::builtin_fee;
pub use fill::builtin_fill;
pub use slippage::builtin_slippage;

use crate::error::{Result, SimError};

/// A model of one kind: context in, output out.
pub trait Model<C, O>: Send + Sync {
    /// Evaluate; the output's floats are NaN on entry.
    fn eval(&mut self, context: &C, output: &mut O) -> Status;

    /// Whether the answer depends on the completed bar (its volume, range or close).
    ///
    /// A fill at the open is then priced at the open but booked when the bar is complete.
    fn needs_volume(&self) -> bool {
        false
    }

    /// Over how many sessions the context's average volume goes; 0 where it is not needed.
    fn average_days(&self) -> usize {
        0
    }

    /// Whether the context's random draws should be filled in.
    fn wants_draws(&self) -> bool {
        false
    }

    /// Text of the last error.
    fn last_error(&self) -> String {
        "the model raised or wrote nothing".to_owned()
    }

    /// Name, for messages and the execution path in the results.
    fn name(&self) -> &str;

    /// An independent copy with its own state.
    fn boxed_clone(&self) -> Box<dyn Model<C, O>>;
}

/// A fill model.
pub type FillModel = Box<dyn Model<FillContext, FillOutput>>;
/// A slippage model.
pub type SlippageModel = Box<dyn Model<SlippageContext, SlippageOutput>>;
/// A fee model.
pub type FeeModel = Box<dyn Model<FeeContext, FeeOutput>>;

/// The models of a run.
pub struct Models {
    /// How much of an order fills.
    pub fill: FillModel,
    /// What any order loses against its reference price.
    pub slippage: SlippageModel,
    /// What is charged.
    pub fee: FeeModel,
}

impl Clone for Models {
    fn clone(&self) -> Self {
        Self { fill: self.fill.boxed_clone(), slippage: self.slippage.boxed_clone(), fee: self.fee.boxed_clone() }
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Models({}, {}, {})", self.fill.name(), self.slippage.name(), self.fee.name())
    }
}

impl Default for Models {
    fn default() -> Self {
        Self { fill: fill::default_model(), slippage: slippage::no_slippage(), fee: fee::no_fee() }
    }
}

/// A parameter of a compiled-in model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Param {
    /// A number.
    Number(f64),
    /// A switch.
    Flag(bool),
    /// Not set.
    Missing,
}

/// Parameters by name, as the plugin class holds them.
#[derive(Clone, Debug, Default)]
pub struct Params(pub Vec<(String, Param)>);

impl Params {
    fn get(&self, name: &str) -> Param {
        self.0.iter().find(|(n, _)| n == name).map_or(Param::Missing, |(_, p)| *p)
    }

    fn number(&self, model: &str, name: &str) -> Result<f64> {
        match self.get(name) {
            Param::Number(x) => Ok(x),
            other => Err(SimError::config(format!("{model}: parameter {name} must be a number, found {other:?}"))),
        }
    }

    fn number_or(&self, model: &str, name: &str, default: f64) -> Result<f64> {
        if self.get(name) == Param::Missing { Ok(default) } else { self.number(model, name) }
    }

    fn flag_or(&self, model: &str, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            Param::Flag(x) => Ok(x),
            Param::Missing => Ok(default),
            Param::Number(x) => {
                Err(SimError::config(format!("{model}: parameter {name} must be true or false, found {x}")))
            }
        }
    }
}

fn unknown(kind: &str, name: &str, known: &[&str]) -> SimError {
    SimError::unknown_name(format!("no {kind} model {name:?} is compiled into the engine; known: {}", known.join(", ")))
}
