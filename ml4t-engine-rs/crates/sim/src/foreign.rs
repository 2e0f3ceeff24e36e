//! Models of other libraries: from a table of the native interface to [`Model`].
//!
//! The only module of the simulator with `unsafe`. What a table promises is checked where it can be: magic, major
//! version, kind, sizes of context and output, the functions that must be there, and that states may move between
//! threads. What a function does with its pointers is the author's word; a panic that leaves a library ends the process,
//! which is why the export macros of `ml4t-abi` catch them.

mod executor;
mod kernel;
mod portfolio;

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use ml4t_abi::{
    ABI_MAJOR, ABI_MINOR, BorrowContext, BorrowOutput, Eval, EvalFill, FeeContext, FeeOutput, FillContext, FillEvent,
    FillOutput, FillSlice, Flag, FundingContext, FundingOutput, FxContext, FxOutput, ImpactContext, ImpactOutput,
    InterestContext, InterestOutput, Kind, LatencyContext, LatencyOutput, LiquidationContext, LiquidationOutput, MAGIC,
    MarginContext, MarginOutput, MarketEvent, ModelTable, SlippageContext, SlippageOutput, Status,
};

pub use kernel::Kernel;

use crate::error::{Result, SimError};
use crate::models::{
    BorrowModel, FeeModel, FillAnswer, FillModel, FundingModel, FxModel, ImpactModel, InterestModel, LatencyModel,
    LiquidationModel, MOST_SLICES, MarginModel, Model, SlippageModel,
};

/// Bytes of a table up to and with `eval`: what every table must have.
const LEAST_TABLE: usize = std::mem::offset_of!(ModelTable, observe);
/// Bytes that a fill model may keep for every order.
const MOST_ORDER_STATE: u32 = 256;
/// Sessions that a model may ask averages over.
pub const MOST_DAYS: u32 = 999_999;
const TEXT: usize = 1024;

/// A table that was read and checked, with what keeps its library alive.
#[derive(Clone)]
pub struct ForeignTable {
    table: ModelTable,
    name: String,
    keep: Arc<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for ForeignTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ForeignTable({})", self.name)
    }
}

// SAFETY: the pointers of a table are functions, constant text and a prototype that nothing changes; `clone` is the
// only function called with it, and tables whose states may not move between threads are refused.
unsafe impl Send for ForeignTable {}
// SAFETY: as above; `clone` of a prototype has to be callable from any thread, which SEND promises.
unsafe impl Sync for ForeignTable {}

/// Name of a kind in messages.
fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::FILL => "fill",
        Kind::SLIPPAGE => "slippage",
        Kind::IMPACT => "impact",
        Kind::FEE => "fee",
        Kind::STRATEGY => "strategy",
        Kind::LATENCY => "latency",
        Kind::BORROW => "borrow",
        Kind::FUNDING => "funding",
        Kind::INTEREST => "interest",
        Kind::EXECUTOR => "executor",
        _ => "other",
    }
}

/// Text of a table, as far as it is one.
fn text(at: *const c_char) -> String {
    if at.is_null() {
        return String::new();
    }
    // SAFETY: the interface demands a final zero.
    unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned()
}

impl ForeignTable {
    /// Read a table and check it against what the engine calls; `owner` names the model in messages.
    ///
    /// # Safety
    /// `table` points to a table of the interface, which stays as long as `keep` lives, as do its functions.
    ///
    /// # Errors
    /// It is none, of another major version or kind, asks for more than the engine knows, or lacks a function.
    pub unsafe fn read(
        table: *const ModelTable,
        keep: Arc<dyn Any + Send + Sync>,
        (kind, owner): (Kind, &str),
        (context, output): (usize, usize),
    ) -> Result<Self> {
        let refuse = |text: String| SimError::model(format!("{} model {owner}: {text}", label(kind)));
        // SAFETY: a table begins with magic and its own size.
        let (magic, size) = unsafe { ((*table).magic, (*table).struct_size as usize) };
        if magic != MAGIC {
            return Err(refuse(format!("its table begins with {magic:#018x}, a native model with {MAGIC:#018x}")));
        }
        // SAFETY: magic says that this is a table, and the version follows its size.
        let (major, minor) = unsafe { ((*table).abi_major, (*table).abi_minor) };
        if major != ABI_MAJOR {
            return Err(refuse(format!(
                "it was built for native interface {major}.{minor}, this engine has {ABI_MAJOR}.{ABI_MINOR}; \
                 {} has to be newer",
                if major > ABI_MAJOR { "the engine" } else { "the model" }
            )));
        }
        if size < LEAST_TABLE {
            return Err(refuse(format!("its table has {size} bytes, version 1 at least {LEAST_TABLE}")));
        }
        let mut copy = std::mem::MaybeUninit::<ModelTable>::zeroed();
        // SAFETY: as many bytes as both sides have; what the producer does not know stays zero, which is null or 0.
        let table = unsafe {
            let n = size.min(size_of::<ModelTable>());
            ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), n);
            copy.assume_init()
        };
        if table.kind != kind {
            let (found, wanted) = (table.kind.0, kind.0);
            return Err(refuse(format!("its table is of kind {found}, the engine asked for {wanted}")));
        }
        for (what, theirs, ours) in
            [("context", table.context_size as usize, context), ("output", table.output_size as usize, output)]
        {
            if theirs > ours {
                return Err(refuse(format!(
                    "it was built for a {what} of {theirs} bytes, this engine (interface {ABI_MAJOR}.{ABI_MINOR}) \
                     has {ours}; the engine has to be newer"
                )));
            }
        }
        let is_stateless = table.flags & Flag::STATELESS.0 != 0;
        if table.flags & Flag::SEND.0 == 0 && !is_stateless {
            return Err(refuse(
                "its states may not move between threads (flag SEND); the engine needs that".to_owned(),
            ));
        }
        let missing = [
            ("eval", table.eval.is_none()),
            ("clone", table.clone.is_none() && !is_stateless),
            ("observe, which its flag NEEDS_OBSERVE promises", {
                table.observe.is_none() && table.flags & Flag::NEEDS_OBSERVE.0 != 0
            }),
        ];
        if let Some((what, _)) = missing.into_iter().find(|(_, is_missing)| *is_missing) {
            return Err(refuse(format!("its table has no function {what}")));
        }
        if table.n_random > 4 {
            return Err(refuse(format!("it wants {} random draws for a call; at most 4", table.n_random)));
        }
        if table.order_state_size > MOST_ORDER_STATE {
            let found = table.order_state_size;
            return Err(refuse(format!("it wants {found} bytes for every order; at most {MOST_ORDER_STATE}")));
        }
        if table.average_days > MOST_DAYS {
            let found = table.average_days;
            return Err(refuse(format!("it wants averages over {found} sessions; at most {MOST_DAYS}")));
        }
        let (name, version) = (text(table.name), text(table.model_version));
        let name = match (name.is_empty(), version.is_empty()) {
            (true, _) => owner.to_owned(),
            (false, true) => name,
            (false, false) => format!("{name} version {version}"),
        };
        Ok(Self { table, name, keep })
    }

    /// Version of the interface that the table was built for.
    #[must_use]
    pub const fn version(&self) -> (u16, u16) {
        (self.table.abi_major, self.table.abi_minor)
    }

    /// Name and version of the model.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model as a fill model.
    #[must_use]
    pub fn into_fill(self) -> FillModel {
        Box::new(Foreign::<FillContext, FillAnswer>::new(self))
    }

    /// The model as a slippage model.
    #[must_use]
    pub fn into_slippage(self) -> SlippageModel {
        Box::new(Foreign::<SlippageContext, SlippageOutput>::new(self))
    }

    /// The model as an impact model.
    #[must_use]
    pub fn into_impact(self) -> ImpactModel {
        Box::new(Foreign::<ImpactContext, ImpactOutput>::new(self))
    }

    /// The model as a latency model.
    #[must_use]
    pub fn into_latency(self) -> LatencyModel {
        Box::new(Foreign::<LatencyContext, LatencyOutput>::new(self))
    }

    /// The model as a borrow model.
    #[must_use]
    pub fn into_borrow(self) -> BorrowModel {
        Box::new(Foreign::<BorrowContext, BorrowOutput>::new(self))
    }

    /// The model as a funding model.
    #[must_use]
    pub fn into_funding(self) -> FundingModel {
        Box::new(Foreign::<FundingContext, FundingOutput>::new(self))
    }

    /// The model as one of conversions.
    #[must_use]
    pub fn into_fx(self) -> FxModel {
        Box::new(Foreign::<FxContext, FxOutput>::new(self))
    }

    /// The model as an interest model.
    #[must_use]
    pub fn into_interest(self) -> InterestModel {
        Box::new(Foreign::<InterestContext, InterestOutput>::new(self))
    }

    /// The model as a margin model.
    #[must_use]
    pub fn into_margin(self) -> MarginModel {
        Box::new(Foreign::<MarginContext, MarginOutput>::new(self))
    }

    /// The model as a liquidation model.
    #[must_use]
    pub fn into_liquidation(self) -> LiquidationModel {
        Box::new(Foreign::<LiquidationContext, LiquidationOutput>::new(self))
    }

    /// The model as an execution algorithm.
    #[must_use]
    pub fn into_executor(self) -> Box<dyn crate::worked::Executor> {
        Box::new(executor::ForeignExecutor::new(self))
    }

    /// The model as a fee model.
    #[must_use]
    pub fn into_fee(self) -> FeeModel {
        Box::new(Foreign::<FeeContext, FeeOutput>::new(self))
    }
}

/// e to the power of x, the same bits on every platform, for models of other languages.
#[must_use]
pub extern "C" fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// Natural logarithm, likewise.
#[must_use]
pub extern "C" fn log(x: f64) -> f64 {
    libm::log(x)
}

/// x to the power of y, likewise.
#[must_use]
pub extern "C" fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

/// A state of a table: cloned from its prototype, dropped with it.
pub(crate) struct State {
    table: ForeignTable,
    at: *mut c_void,
}

// SAFETY: SEND promises that a state may move between threads, and STATELESS that there is none.
unsafe impl Send for State {}
// SAFETY: a state is asked through `&mut`, so that one thread has it at a time.
unsafe impl Sync for State {}

impl State {
    fn of_proto(table: ForeignTable) -> Self {
        let proto = table.table.proto;
        Self::of(table, proto)
    }

    /// The call, as the function of its kind; `None` for a state that is not there.
    fn call<F: Copy>(&self) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<usize>()) };
        let eval = self.table.table.eval.filter(|_| self.is_there())?;
        // SAFETY: the kind of the table was checked, and each kind has one signature, all of them function pointers.
        Some(unsafe { std::mem::transmute_copy::<unsafe extern "C" fn(), F>(&eval) })
    }

    fn of(table: ForeignTable, from: *const c_void) -> Self {
        // SAFETY: `from` is the prototype of this table or a state of it.
        let at = table.table.clone.map_or(table.table.proto, |clone| unsafe { clone(from) });
        Self { table, at }
    }

    /// Whether there is a state to ask: `clone` answers null when it cannot make one.
    const fn is_there(&self) -> bool {
        !self.at.is_null() || self.table.table.clone.is_none()
    }

    fn last_error(&self) -> String {
        if !self.is_there() {
            return "it could not copy its state (clone answered null)".to_owned();
        }
        let Some(last_error) = self.table.table.last_error else { return String::new() };
        let mut room = [0_u8; TEXT];
        // SAFETY: a state of this table, and room as long as is said.
        let n = unsafe { last_error(self.at, room.as_mut_ptr(), TEXT) };
        String::from_utf8_lossy(&room[..n.min(TEXT)]).trim_end_matches('\0').to_owned()
    }

    fn reset(&mut self, seed: u64) -> core::result::Result<(), String> {
        let refused = |status: Status, text: String| {
            if text.is_empty() { format!("reset answered status {}", status.0) } else { text }
        };
        if !self.is_there() {
            return Err(self.last_error());
        }
        let Some(reset) = self.table.table.reset else { return Ok(()) };
        // SAFETY: a state of this table.
        let status = unsafe { reset(self.at, seed) };
        if status == Status::OK { Ok(()) } else { Err(refused(status, self.last_error())) }
    }

    fn observe(&mut self, fill: &FillEvent) -> Status {
        // SAFETY: a state of this table, and a fill that lives through the call.
        self.table.table.observe.map_or(Status::OK, |observe| unsafe { observe(self.at, fill) })
    }
}

impl Clone for State {
    fn clone(&self) -> Self {
        let from = if self.is_there() { self.at.cast_const() } else { self.table.table.proto.cast_const() };
        Self::of(self.table.clone(), from)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.table.table.clone.is_some()
            && let Some(drop) = self.table.table.drop
        {
            // SAFETY: made by `clone`, and dropped once; null is allowed.
            unsafe { drop(self.at) };
        }
    }
}

/// A model of another library.
struct Foreign<C, O> {
    state: State,
    /// What a fill model keeps for each order that it was asked about; words, so that it is aligned.
    orders: BTreeMap<u64, Box<[u64]>>,
    kind: PhantomData<fn(&C) -> O>,
}

impl<C, O> Foreign<C, O> {
    fn new(table: ForeignTable) -> Self {
        Self { state: State::of_proto(table), orders: BTreeMap::new(), kind: PhantomData }
    }

    /// What the model keeps for an order, null where it keeps nothing.
    fn own(&mut self, order: u64) -> *mut c_void {
        let words = self.state.table.table.order_state_size.div_ceil(8) as usize;
        if words == 0 {
            return ptr::null_mut();
        }
        self.orders.entry(order).or_insert_with(|| vec![0; words].into()).as_mut_ptr().cast()
    }

    fn copy(&self) -> Self {
        Self { state: self.state.clone(), orders: self.orders.clone(), kind: PhantomData }
    }
}

/// What every kind shares.
macro_rules! shared {
    ($boxed:ty) => {
        fn needs_volume(&self) -> bool {
            self.state.table.table.flags & Flag::NEEDS_BAR.0 != 0
        }

        fn average_days(&self) -> usize {
            self.state.table.table.average_days as usize
        }

        fn draws(&self) -> usize {
            self.state.table.table.n_random as usize
        }

        fn wants_fills(&self) -> bool {
            self.state.table.table.flags & Flag::NEEDS_OBSERVE.0 != 0
        }

        fn observe(&mut self, fill: &FillEvent) -> Status {
            self.state.observe(fill)
        }

        fn last_error(&self) -> String {
            self.state.last_error()
        }

        fn name(&self) -> &str {
            &self.state.table.name
        }

        fn reset(&mut self, seed: u64) -> core::result::Result<(), String> {
            self.state.reset(seed)
        }

        fn boxed_clone(&self) -> $boxed {
            Box::new(self.copy())
        }
    };
}

macro_rules! one_context {
    ($context:ty, $output:ty, $boxed:ty) => {
        impl Model<$context, $output> for Foreign<$context, $output> {
            fn eval(&mut self, context: &$context, output: &mut $output) -> Status {
                let Some(eval) = self.state.call::<Eval<$context, $output>>() else { return Status::ERROR };
                // SAFETY: a state of this table, a context and an output at least as large as it was built for.
                unsafe { eval(self.state.at, context, output) }
            }

            shared!($boxed);
        }
    };
}

one_context!(SlippageContext, SlippageOutput, SlippageModel);
one_context!(ImpactContext, ImpactOutput, ImpactModel);
one_context!(FeeContext, FeeOutput, FeeModel);
one_context!(LatencyContext, LatencyOutput, LatencyModel);
one_context!(BorrowContext, BorrowOutput, BorrowModel);
one_context!(FundingContext, FundingOutput, FundingModel);
one_context!(FxContext, FxOutput, FxModel);
one_context!(InterestContext, InterestOutput, InterestModel);

impl Model<FillContext, FillAnswer> for Foreign<FillContext, FillAnswer> {
    fn eval(&mut self, context: &FillContext, answer: &mut FillAnswer) -> Status {
        let Some(eval) = self.state.call::<EvalFill>() else { return Status::ERROR };
        let mut slices = [FillSlice::UNSET; MOST_SLICES];
        let mut output = FillOutput::UNSET;
        #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
        let capacity = MOST_SLICES as u32;
        let own = self.own(context.order);
        // SAFETY: a state of this table; the arrays are as long as is said, and there is no book.
        let status = unsafe {
            eval(self.state.at, context, own, ptr::null(), 0, slices.as_mut_ptr(), capacity, &raw mut output)
        };
        answer.code = output.code;
        answer.count = (output.n_fills as usize).min(MOST_SLICES);
        answer.slices = slices;
        status
    }

    fn wants_market(&self) -> bool {
        self.state.table.table.on_market.is_some()
    }

    fn on_market(&mut self, event: &MarketEvent) -> Status {
        let Some(on_market) = self.state.table.table.on_market.filter(|_| self.state.is_there()) else {
            return Status::ERROR;
        };
        let own = self.own(event.order);
        // SAFETY: a state of this table, what it keeps for the order, and an event that lives through the call.
        unsafe { on_market(self.state.at, own, event) }
    }

    shared!(FillModel);
}

impl<C, O> std::fmt::Debug for Foreign<C, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Foreign({:?})", self.state.table)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({}, kept {})", self.table.name, Arc::strong_count(&self.table.keep))
    }
}
