//! Models that a run plugs in: how much fills, what slips, what is charged.
//!
//! Every model, compiled in or brought by a plugin, native or Python, is evaluated through the flat structs
//! of `ml4t-abi`. The ones that are compiled in are looked up by name with [`builtin_fill`],
//! [`builtin_slippage`] and [`builtin_fee`]; a plugin class names its table and hands over its parameters.
//!
//! A formula that is compiled in carries its parameters under the names of the Python class, and does the same operations
//! in the same order, so the two agree bit for bit: only + - x /, roots, `abs`, `min`, `max` and rounding to whole
//! numbers occur. What the models decide is the business of the plugins `ml4t-fills`, `ml4t-slippage` and
//! `ml4t-fees`; here is no order logic, and no rounding but a schedule's own.

mod fee;
mod fill;
mod fx;
mod params;
mod slippage;

use ml4t_abi::{
    BorrowContext, BorrowOutput, FeeContext, FeeOutput, FillContext, FillEvent, FillSlice, FundingContext,
    FundingOutput, FxContext, FxOutput, Holding, ImpactContext, ImpactOutput, InterestContext, InterestOutput,
    LatencyContext, LatencyOutput, LiquidationContext, LiquidationOutput, Liquidity, MarginContext, MarginOutput,
    MarketEvent, SlippageContext, SlippageOutput, Status,
};

pub use fee::builtin_fee;
pub use fill::builtin_fill;
pub use fx::builtin_fx;
pub use params::{Param, Params};
pub use slippage::builtin_slippage;

use crate::carry::CarryModels;
use crate::error::{Result, SimError};

/// How many slices a fill model may cut one execution into.
pub const MOST_SLICES: usize = 16;

/// A refusal to answer, in words for the user; the engine puts instrument, time and model in front of it.
type Refusal = &'static str;

/// What is left for an order of the share `volume_limit` of `volume`, after `volume_used`; never negative.
fn volume_left(volume: f64, volume_used: f64, volume_limit: f64) -> f64 {
    (volume_limit * volume - volume_used).max(0.0)
}

/// What a fill model answers: the slices of the execution, and the reason of a refusal.
#[derive(Clone, Copy, Debug)]
pub struct FillAnswer {
    /// Room for the slices.
    pub slices: [FillSlice; MOST_SLICES],
    /// How many are written.
    pub count: usize,
    /// Reason of a refusal.
    pub code: u64,
}

impl FillAnswer {
    /// Nothing answered.
    pub const UNSET: Self = Self { slices: [FillSlice::UNSET; MOST_SLICES], count: 0, code: 0 };

    /// All at one price.
    pub const fn one(&mut self, price: f64, quantity: f64, liquidity: Liquidity) {
        self.slices[0] = FillSlice { price, quantity, liquidity, reserved: 0 };
        self.count = 1;
    }
}

/// A model of one kind: context in, output out.
pub trait Model<C, O>: Send + Sync {
    /// Evaluate; the output's floats are NaN on entry.
    fn eval(&mut self, context: &C, output: &mut O) -> Status;

    /// Whether its answer changes nothing, whatever it is asked: a fill model that lets all of it fill at the price of
    /// the event, slippage of nothing, no fee. It is not asked then.
    fn is_neutral(&self) -> bool {
        false
    }

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

    /// How many random draws of the context should be filled in.
    fn draws(&self) -> usize {
        0
    }

    /// Whether the model wants to be told of every fill.
    fn wants_fills(&self) -> bool {
        false
    }

    /// A fill was booked.
    fn observe(&mut self, _fill: &FillEvent) -> Status {
        Status::OK
    }

    /// Whether the model wants to be told of quotes and prints that orders at work see.
    fn wants_market(&self) -> bool {
        false
    }

    /// An order at work saw a quote or print.
    fn on_market(&mut self, _event: &MarketEvent) -> Status {
        Status::OK
    }

    /// Text of the last error.
    fn last_error(&self) -> String {
        "the model raised or wrote nothing".to_owned()
    }

    /// Name, for messages and the execution path in the results.
    fn name(&self) -> &str;

    /// A run with that seed begins.
    ///
    /// # Errors
    /// The text of a model that cannot begin.
    fn reset(&mut self, _seed: u64) -> core::result::Result<(), String> {
        Ok(())
    }

    /// An independent copy with its own state.
    fn boxed_clone(&self) -> Box<dyn Model<C, O>>;
}

/// A model of a whole portfolio: context and holdings in, an amount for each of them and an output out.
pub trait PortfolioModel<C, O>: Send + Sync {
    /// Evaluate; all floats of the answer are NaN on entry.
    fn eval(&mut self, context: &C, holdings: &[Holding], amounts: &mut [f64], output: &mut O) -> Status;

    /// Text of the last error.
    fn last_error(&self) -> String;

    /// Name, for messages and the execution path in the results.
    fn name(&self) -> &str;

    /// A run with that seed begins.
    ///
    /// # Errors
    /// The text of a model that cannot begin.
    fn reset(&mut self, seed: u64) -> core::result::Result<(), String>;

    /// An independent copy.
    fn boxed_clone(&self) -> Box<dyn PortfolioModel<C, O>>;
}

/// A margin model.
pub type MarginModel = Box<dyn PortfolioModel<MarginContext, MarginOutput>>;
/// A liquidation model.
pub type LiquidationModel = Box<dyn PortfolioModel<LiquidationContext, LiquidationOutput>>;
/// A fill model.
pub type FillModel = Box<dyn Model<FillContext, FillAnswer>>;
/// A slippage model.
pub type SlippageModel = Box<dyn Model<SlippageContext, SlippageOutput>>;
/// An impact model.
pub type ImpactModel = Box<dyn Model<ImpactContext, ImpactOutput>>;
/// A latency model.
pub type LatencyModel = Box<dyn Model<LatencyContext, LatencyOutput>>;
/// A borrow model.
pub type BorrowModel = Box<dyn Model<BorrowContext, BorrowOutput>>;
/// A funding model.
pub type FundingModel = Box<dyn Model<FundingContext, FundingOutput>>;
/// An interest model.
pub type InterestModel = Box<dyn Model<InterestContext, InterestOutput>>;
/// A model of conversions.
pub type FxModel = Box<dyn Model<FxContext, FxOutput>>;
/// A fee model.
pub type FeeModel = Box<dyn Model<FeeContext, FeeOutput>>;

/// The models of a run.
pub struct Models {
    /// How much of an order fills.
    pub fill: FillModel,
    /// What any order loses against its reference price.
    pub slippage: SlippageModel,
    /// How far our own size moves the price, where that is asked.
    pub impact: Option<ImpactModel>,
    /// What is charged.
    pub fee: FeeModel,
    /// How long messages are under way, for instruments that name one by its index.
    pub latency: Vec<LatencyModel>,
    /// What holding costs.
    pub carry: CarryModels,
    /// What converting one currency into another costs, where that is asked.
    pub fx: Option<FxModel>,
    /// What a portfolio needs, where that is asked.
    pub margin: Option<MarginModel>,
    /// What is closed of a portfolio that lacks it, where anything is.
    pub liquidation: Option<LiquidationModel>,
}

impl Clone for Models {
    fn clone(&self) -> Self {
        Self {
            fill: self.fill.boxed_clone(),
            slippage: self.slippage.boxed_clone(),
            impact: self.impact.as_ref().map(|model| model.boxed_clone()),
            fee: self.fee.boxed_clone(),
            latency: self.latency.iter().map(|model| model.boxed_clone()).collect(),
            carry: self.carry.clone(),
            fx: self.fx.as_ref().map(|model| model.boxed_clone()),
            margin: self.margin.as_ref().map(|model| model.boxed_clone()),
            liquidation: self.liquidation.as_ref().map(|model| model.boxed_clone()),
        }
    }
}

pub(crate) fn begin<C, O>(model: &mut dyn Model<C, O>, seed: u64) -> Result<()> {
    let begun = model.reset(seed);
    begun.map_err(|text| cannot_begin(model.name(), &text))
}

pub(crate) fn cannot_begin(name: &str, text: &str) -> SimError {
    SimError::model(format!("model {name}, at the start of the run: {text}"))
}

/// What is said of an answer that is none.
pub(crate) fn said(status: Status, text: &str) -> String {
    match status {
        Status::REJECT | Status::DEFER => {
            let name = if status == Status::REJECT { "REJECT" } else { "DEFER" };
            format!("it answered {name} (status {}), which is not for models of its kind", status.0)
        }
        _ if text.is_empty() => format!("it answered status {} and said nothing", status.0),
        _ => text.to_owned(),
    }
}

impl<C, O> std::fmt::Debug for dyn Model<C, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Models {
    /// Independent copies for a run.
    ///
    /// # Errors
    /// A model cannot begin.
    pub fn fresh(&self, seed: u64) -> Result<Self> {
        let mut models = self.clone();
        begin(&mut *models.fill, seed)?;
        begin(&mut *models.slippage, seed)?;
        if let Some(impact) = &mut models.impact {
            begin(&mut **impact, seed)?;
        }
        begin(&mut *models.fee, seed)?;
        Ok(models)
    }

    /// Whether a fill at the open of a bar has to wait for the rest of it.
    #[must_use]
    pub fn need_bar(&self) -> bool {
        let impact = self.impact.as_ref().is_some_and(|model| model.needs_volume());
        self.fill.needs_volume() || self.slippage.needs_volume() || impact
    }

    /// Over how many sessions the fill, slippage and impact model want averages.
    #[must_use]
    pub fn average_days(&self) -> [usize; 3] {
        let impact = self.impact.as_ref().map_or(0, |model| model.average_days());
        [self.fill.average_days(), self.slippage.average_days(), impact]
    }

    /// Tell those that want it of a fill, as far as all of them accept it; the name, status and text of the last answer.
    pub fn observe(&mut self, fill: &FillEvent) -> (&str, Status, String) {
        let mut said = ("", Status::OK, String::new());
        macro_rules! tell {
            ($model:expr) => {
                if said.1 == Status::OK && $model.wants_fills() {
                    let status = $model.observe(fill);
                    let text = if status == Status::OK { String::new() } else { $model.last_error() };
                    said = ($model.name(), status, text);
                }
            };
        }
        tell!(self.fill);
        tell!(self.slippage);
        if let Some(impact) = &mut self.impact {
            tell!(impact);
        }
        tell!(self.fee);
        said
    }

    /// Whether any of them wants to be told of fills.
    #[must_use]
    pub fn want_fills(&self) -> bool {
        let impact = self.impact.as_ref().is_some_and(|model| model.wants_fills());
        self.fill.wants_fills() || self.slippage.wants_fills() || impact || self.fee.wants_fills()
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let impact = self.impact.as_ref().map_or("no impact", |model| model.name());
        write!(f, "Models({}, {}, {impact}, {})", self.fill.name(), self.slippage.name(), self.fee.name())
    }
}

impl Default for Models {
    fn default() -> Self {
        Self {
            fill: fill::default_model(),
            slippage: slippage::no_slippage(),
            impact: None,
            fee: fee::no_fee(),
            latency: Vec::new(),
            carry: CarryModels::default(),
            fx: None,
            margin: None,
            liquidation: None,
        }
    }
}
