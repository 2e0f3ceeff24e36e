//! What a model in Rust implements; [`crate::export_model`] and its relatives make a table of it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::layout::{
    ExecutorContext, FillContext, FillEvent, FillOutput, FillSlice, Holding, Kind, Level, Liquidity, OpenOrder,
    OrderRecord, Status, StrategyContext,
};

/// What a call answers: a status, or the text of an error.
pub type Answer = Result<Status, String>;

/// What lets a run be kept and taken up again: the same in every kind of model.
macro_rules! keeping {
    () => {
        /// Whether `save` and `load` work.
        const SAVES: bool = false;

        /// Write the state down, so that a copy that loads it goes on as this one would.
        fn save(&self) -> Vec<u8> {
            Vec::new()
        }

        /// Take over what `save` wrote.
        ///
        /// # Errors
        /// The bytes are of another version or another model.
        fn load(&mut self, bytes: &[u8]) -> Result<(), String> {
            Err(format!("{} bytes of a state, and this model keeps none", bytes.len()))
        }
    };
}

/// A model of a kind whose call has one context and one output.
pub trait Model: Clone + Send + 'static {
    /// Context of the kind.
    type Context;
    /// Output of the kind.
    type Output;
    /// What the model decides.
    const KIND: Kind;
    /// Its name.
    const NAME: &'static CStr;
    /// Its version.
    const VERSION: &'static CStr = c"1";
    /// Bits of [`crate::Flag`] beside `SEND`.
    const FLAGS: u32 = 0;
    /// Uniform draws wanted for a call, at most 4.
    const N_RANDOM: u32 = 0;

    /// Make one from its parameters, in the sequence in which the Python class lists them.
    ///
    /// # Errors
    /// The parameters are too few, or out of their range.
    fn new(params: &[f64]) -> Result<Self, String>;

    /// Answer one call; the output's floats are NaN before it.
    ///
    /// # Errors
    /// The context lacks what the model needs.
    fn evaluate(&mut self, context: &Self::Context, output: &mut Self::Output) -> Answer;

    /// Sessions over which average volume and volatility go; 0 where neither is needed.
    fn average_days(&self) -> u32 {
        0
    }

    /// Bits of [`crate::Flag`] that depend on the parameters.
    fn flags(&self) -> u32 {
        Self::FLAGS
    }

    /// A run begins.
    fn reset(&mut self, seed: u64) {
        let _ = seed;
    }

    /// A fill was booked; asked of models with `NEEDS_OBSERVE`.
    fn observe(&mut self, fill: &FillEvent) {
        let _ = fill;
    }

    keeping!();
}

/// A fill model: it may cut an order into slices at several prices.
pub trait FillModel: Clone + Send + 'static {
    /// Its name.
    const NAME: &'static CStr;
    /// Its version.
    const VERSION: &'static CStr = c"1";
    /// Bits of [`crate::Flag`] beside `SEND`.
    const FLAGS: u32 = 0;
    /// Uniform draws wanted for a call, at most 4.
    const N_RANDOM: u32 = 0;

    /// Make one from its parameters.
    ///
    /// # Errors
    /// The parameters are too few, or out of their range.
    fn new(params: &[f64]) -> Result<Self, String>;

    /// Answer one call. `levels` is the book, best first, and empty where there is none.
    ///
    /// # Errors
    /// The context lacks what the model needs.
    fn evaluate(&mut self, context: &FillContext, levels: &[Level], fills: &mut Slices<'_>) -> Answer;

    /// Sessions over which the average volume goes; 0 where it is not needed.
    fn average_days(&self) -> u32 {
        0
    }

    /// Bits of [`crate::Flag`] that depend on the parameters.
    fn flags(&self) -> u32 {
        Self::FLAGS
    }

    /// A run begins.
    fn reset(&mut self, seed: u64) {
        let _ = seed;
    }

    keeping!();
}

/// Room for the slices of a fill.
#[derive(Debug)]
pub struct Slices<'a> {
    room: &'a mut [FillSlice],
    output: &'a mut FillOutput,
}

impl<'a> Slices<'a> {
    /// Wrap the engine's buffer.
    pub const fn new(room: &'a mut [FillSlice], output: &'a mut FillOutput) -> Self {
        Self { room, output }
    }

    /// Add a slice.
    ///
    /// # Errors
    /// The buffer is full.
    pub fn push(&mut self, price: f64, quantity: f64, liquidity: Liquidity) -> Result<(), String> {
        let n = self.output.n_fills as usize;
        let Some(place) = self.room.get_mut(n) else {
            return Err(format!("more than {n} slices have no room"));
        };
        *place = FillSlice { price, quantity, liquidity, reserved: 0 };
        self.output.n_fills += 1;
        Ok(())
    }
}

/// A model of a whole portfolio: what it needs, or what of it is closed.
pub trait PortfolioModel: Clone + Send + 'static {
    /// Context of the kind.
    type Context;
    /// Output of the kind.
    type Output;
    /// What the model decides: [`Kind::MARGIN`] or [`Kind::LIQUIDATION`].
    const KIND: Kind;
    /// Its name.
    const NAME: &'static CStr;
    /// Its version.
    const VERSION: &'static CStr = c"1";

    /// Make one from its parameters, in the sequence in which the Python class lists them.
    ///
    /// # Errors
    /// The parameters are too few, or out of their range.
    fn new(params: &[f64]) -> Result<Self, String>;

    /// Answer one call: the maintenance of each position, or how much of each is closed, in `amounts`. All floats of the
    /// answer are NaN before it.
    ///
    /// # Errors
    /// The context lacks what the model needs.
    fn evaluate(
        &mut self,
        context: &Self::Context,
        holdings: &[Holding],
        amounts: &mut [f64],
        output: &mut Self::Output,
    ) -> Answer;

    /// A run begins.
    fn reset(&mut self, seed: u64) {
        let _ = seed;
    }

    keeping!();
}

/// A strategy kernel.
pub trait StrategyModel: Clone + Send + 'static {
    /// Its name.
    const NAME: &'static CStr;
    /// Its version.
    const VERSION: &'static CStr = c"1";
    /// Columns that it wants, separated by commas.
    const COLUMNS: &'static CStr;

    /// Make one from its parameters.
    ///
    /// # Errors
    /// The parameters are too few, or out of their range.
    fn new(params: &[f64]) -> Result<Self, String>;

    /// Answer one instant.
    ///
    /// # Errors
    /// The kernel cannot go on.
    fn evaluate(&mut self, input: &StrategyInput<'_>, orders: &mut Orders<'_>) -> Answer;

    /// A run begins.
    fn reset(&mut self, seed: u64) {
        let _ = seed;
    }

    keeping!();
}

/// An execution algorithm: it works one order by others.
pub trait ExecutorModel: Clone + Send + 'static {
    /// Its name.
    const NAME: &'static CStr;
    /// Its version.
    const VERSION: &'static CStr = c"1";
    /// Uniform draws wanted for a call, at most 4.
    const N_RANDOM: u32 = 0;

    /// Make one from its parameters.
    ///
    /// # Errors
    /// The parameters are too few, or out of their range.
    fn new(params: &[f64]) -> Result<Self, String>;

    /// Answer one call; `open_orders` are those at work, oldest first.
    ///
    /// # Errors
    /// The algorithm cannot go on.
    fn evaluate(&mut self, context: &ExecutorContext, open_orders: &[OpenOrder], orders: &mut Orders<'_>) -> Answer;

    /// Sessions over which average volume and volatility go; 0 where neither is needed.
    fn average_days(&self) -> u32 {
        0
    }

    /// An order begins to be worked.
    fn reset(&mut self, seed: u64) {
        let _ = seed;
    }

    keeping!();
}

/// What a kernel sees.
#[derive(Clone, Copy, Debug)]
pub struct StrategyInput<'a> {
    /// Instant and account.
    pub context: &'a StrategyContext,
    /// Instruments with a new row, ascending.
    pub changed: &'a [u32],
    /// Last known values, one column after the other.
    pub columns: &'a [f64],
    /// Signed positions.
    pub positions: &'a [f64],
    /// Orders at work, oldest first.
    pub open_orders: &'a [OpenOrder],
    /// Fills since the last call.
    pub fills: &'a [FillEvent],
}

impl StrategyInput<'_> {
    /// Last known values of one column, one for each instrument.
    #[must_use]
    pub fn column(&self, index: usize) -> &[f64] {
        let n = self.positions.len();
        self.columns.get(index * n..(index + 1) * n).unwrap_or(&[])
    }
}

/// Room for what a kernel asks.
#[derive(Debug)]
pub struct Orders<'a> {
    room: &'a mut [OrderRecord],
    count: &'a mut u32,
}

impl<'a> Orders<'a> {
    /// Wrap the engine's buffer.
    pub const fn new(room: &'a mut [OrderRecord], count: &'a mut u32) -> Self {
        Self { room, count }
    }

    /// Add a record.
    ///
    /// # Errors
    /// The buffer is full.
    pub fn push(&mut self, record: OrderRecord) -> Result<(), String> {
        let n = *self.count as usize;
        let Some(place) = self.room.get_mut(n) else {
            return Err(format!("more than {n} order records have no room"));
        };
        *place = record;
        *self.count += 1;
        Ok(())
    }
}
