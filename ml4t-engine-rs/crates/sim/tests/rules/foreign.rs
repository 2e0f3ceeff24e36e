//! Models of other libraries, through the native interface: the same results as compiled in, and refusals that say why.

use std::ffi::{CStr, c_void};
use std::sync::Arc;

use crate::common::{TestResult, World, at, buy, day_bar, flat, sell};
use ml4t_abi::{
    Answer, ExecutorContext, FillContext, FillEvent, FillModel, FillOutput, Flag, ImpactContext, ImpactOutput, Kind,
    LatencyContext, LatencyOutput, Level, Liquidity, Model, ModelTable, Slices, SlippageContext, SlippageOutput,
    Status, export_fill_model, export_model,
};
use ml4t_sim::error::{ErrorKind, SimError};
use ml4t_sim::foreign::ForeignTable;
use ml4t_sim::models::{Param, Params, builtin_slippage};

/// The fraction `params[0]` of the price; fails where told to.
#[derive(Clone)]
struct Fraction(f64);

impl Model for Fraction {
    type Context = SlippageContext;
    type Output = SlippageOutput;
    const KIND: Kind = Kind::SLIPPAGE;
    const NAME: &'static CStr = c"Fraction";
    const VERSION: &'static CStr = c"0.3";

    fn new(params: &[f64]) -> Result<Self, String> {
        params.first().map(|x| Self(*x)).ok_or_else(|| "expected a fraction".to_owned())
    }

    fn evaluate(&mut self, context: &SlippageContext, output: &mut SlippageOutput) -> Answer {
        assert!(self.0.is_nan() || self.0 < 2.0, "a fraction of {}", self.0);
        if self.0 < 0.0 {
            return Err("the fraction is below zero".into());
        }
        output.adjustment = context.price * self.0;
        output.spread = 0.0;
        output.quantity_cap = f64::INFINITY;
        Ok(if self.0 > 0.99 { Status(-7) } else { Status::OK })
    }
}

export_model!(fraction: Fraction);

/// Pays 0.02 and leaves 0.05, and 1.00 more to pay for every fill that it was told of.
#[derive(Clone)]
struct Mover {
    seen: f64,
}

impl Model for Mover {
    type Context = ImpactContext;
    type Output = ImpactOutput;
    const KIND: Kind = Kind::IMPACT;
    const NAME: &'static CStr = c"Mover";
    const VERSION: &'static CStr = c"";

    fn new(_params: &[f64]) -> Result<Self, String> {
        Ok(Self { seen: 0.0 })
    }

    fn flags(&self) -> u32 {
        Flag::NEEDS_OBSERVE.0
    }

    fn evaluate(&mut self, _context: &ImpactContext, output: &mut ImpactOutput) -> Answer {
        output.temporary = 0.02 + self.seen;
        output.permanent = 0.05;
        Ok(Status::OK)
    }

    fn observe(&mut self, fill: &FillEvent) {
        self.seen += if fill.quantity < 8.0 { 1.0 } else { 0.0 };
    }

    fn reset(&mut self, _seed: u64) {
        self.seen = 0.0;
    }
}

export_model!(mover: Mover);

/// Half at the price, half a tick worse, never the last lot.
#[derive(Clone)]
struct Halves;

impl FillModel for Halves {
    const NAME: &'static CStr = c"Halves";

    fn new(_params: &[f64]) -> Result<Self, String> {
        Ok(Self)
    }

    fn evaluate(&mut self, context: &FillContext, _levels: &[Level], fills: &mut Slices<'_>) -> Answer {
        let half = context.leaves_quantity / 2.0;
        fills.push(context.price, half, Liquidity::TAKER)?;
        fills.push(context.price + f64::from(context.header.side) * context.tick_size, half, Liquidity::MAKER)?;
        Ok(Status::OK)
    }
}

export_fill_model!(halves: Halves);

/// A table, released when nobody has it any more.
struct Owned(*mut ModelTable);

// SAFETY: nothing is done with the pointer but release it once.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: made by an exported function, and released once.
        unsafe {
            if let Some(release) = (*self.0).release {
                release(self.0);
            }
        }
    }
}

type Constructor = unsafe extern "C" fn(*const f64, usize, *mut u8, usize) -> *mut ModelTable;

/// Make a table, change it, and read it as the engine does.
pub(crate) fn read(
    symbol: Constructor,
    params: &[f64],
    kind: Kind,
    change: impl FnOnce(&mut ModelTable),
) -> Result<ForeignTable, SimError> {
    let mut text = [0_u8; 100];
    // SAFETY: both are as long as is said.
    let table = unsafe { symbol(params.as_ptr(), params.len(), text.as_mut_ptr(), text.len()) };
    assert!(!table.is_null(), "{}", String::from_utf8_lossy(&text));
    let owned = Arc::new(Owned(table));
    // SAFETY: alive, and nobody else has it yet.
    change(unsafe { &mut *table });
    let sizes = match kind {
        Kind::FILL => (size_of::<FillContext>(), size_of::<FillOutput>()),
        Kind::IMPACT => (size_of::<ImpactContext>(), size_of::<ImpactOutput>()),
        Kind::LATENCY => (size_of::<LatencyContext>(), size_of::<LatencyOutput>()),
        Kind::EXECUTOR => (size_of::<ExecutorContext>(), 0),
        _ => (size_of::<SlippageContext>(), size_of::<SlippageOutput>()),
    };
    // SAFETY: the table lives as long as `owned`.
    unsafe { ForeignTable::read(table, owned, (kind, "Owner"), sizes) }
}

fn world() -> World {
    let mut world = World::new();
    world.bars("1d", &(1..=5).map(|day| day_bar("AAA", day, flat(100.0))).collect::<Vec<_>>());
    world
}

#[test]
fn a_model_of_another_library_has_the_results_of_the_one_compiled_in() -> TestResult {
    let mut compiled = world();
    let params = Params(vec![("fraction".to_owned(), Param::Number(0.00125))]);
    compiled.models.slippage = builtin_slippage("fixed_fraction", &params)?;
    let mut foreign = world();
    foreign.models.slippage = read(fraction::fraction, &[0.00125], Kind::SLIPPAGE, |_| {})?.into_slippage();
    for world in [&mut compiled, &mut foreign] {
        world.sends(at(1, 16, 0), buy("AAA", 10));
        world.sends(at(2, 16, 0), sell("AAA", 3));
    }
    let (compiled, foreign) = (compiled.run()?, foreign.run()?);
    assert_eq!(compiled.tables(), foreign.tables());
    assert_eq!(foreign.costs()[0], "#1 taker reference 100 spread 0 slippage 0.125 impact 0 fee 0 notional 1001.25");
    Ok(())
}

#[test]
fn permanent_impact_moves_later_fills_and_nothing_else() -> TestResult {
    let mut world = world();
    world.models.impact = Some(read(mover::mover, &[], Kind::IMPACT, |_| {})?.into_impact());
    world.sends(at(1, 16, 0), buy("AAA", 10));
    world.sends(at(2, 16, 0), buy("AAA", 10));
    world.sends(at(3, 16, 0), sell("AAA", 15));
    let run = world.run()?;
    // 100 + 0.02; 100 + 0.05 + 0.02; 100 + 0.10 - 0.02: the sale has the displacement for it.
    assert_eq!(
        run.costs(),
        [
            "#1 taker reference 100 spread 0 slippage 0 impact 0.02 fee 0 notional 1000.2",
            "#2 taker reference 100 spread 0 slippage 0 impact 0.07 fee 0 notional 1000.7",
            "#3 taker reference 100 spread 0 slippage 0 impact -0.08 fee 0 notional 1501.2"
        ]
    );
    Ok(())
}

#[test]
fn a_split_scales_the_displacement() -> TestResult {
    let mut world = World::new();
    let price = |day| if day < 3 { flat(100.0) } else { flat(50.0) };
    world.bars("1d", &(1..=4).map(|day| day_bar("AAA", day, price(day))).collect::<Vec<_>>());
    world.split(3, "AAA", 2, 1)?;
    world.models.impact = Some(read(mover::mover, &[], Kind::IMPACT, |_| {})?.into_impact());
    world.sends(at(1, 16, 0), buy("AAA", 10));
    world.sends(at(3, 16, 0), buy("AAA", 10));
    let costs = world.run()?.costs();
    assert_eq!(costs[1], "#2 taker reference 50 spread 0 slippage 0 impact 0.045 fee 0 notional 500.45");
    Ok(())
}

#[test]
fn a_model_is_told_of_fills_and_begins_every_run_anew() -> TestResult {
    let mut world = world();
    world.models.impact = Some(read(mover::mover, &[], Kind::IMPACT, |_| {})?.into_impact());
    world.sends(at(1, 16, 0), buy("AAA", 7));
    world.sends(at(2, 16, 0), buy("AAA", 10));
    // `run` runs twice and compares.
    let run = world.run()?;
    assert_eq!(run.costs()[1], "#2 taker reference 100 spread 0 slippage 0 impact 1.07 fee 0 notional 1010.7");
    Ok(())
}

#[test]
fn slices_are_fills_and_an_order_that_trades_as_a_whole_has_one() -> TestResult {
    let mut world = world();
    world.models.fill = read(halves::halves, &[], Kind::FILL, |_| {})?.into_fill();
    world.sends(at(1, 16, 0), buy("AAA", 10));
    world.sends(at(2, 16, 0), sell("AAA", 10).fok());
    let run = world.run()?;
    assert_eq!(
        run.fills(),
        [
            "d2 09:30 #1 AAA buy 5 @ 100 open",
            "d2 09:30 #1 AAA buy 5 @ 100.01 open",
            "d3 09:30 #2 AAA sell 10 @ 99.995 open"
        ]
    );
    Ok(())
}

#[test]
fn errors_name_model_instrument_order_and_time() -> TestResult {
    for (param, expected) in [
        (-1.0, "the fraction is below zero"),
        (1.0, "it answered status -7 and said nothing"),
        (3.0, "a fraction of 3"),
        (f64::NAN, "adjustment NaN and spread 0 must be finite"),
    ] {
        let mut world = world();
        world.models.slippage = read(fraction::fraction, &[param], Kind::SLIPPAGE, |_| {})?.into_slippage();
        world.sends(at(1, 16, 0), buy("AAA", 1));
        let error = world.run_once().err().ok_or_else(|| SimError::internal("no error"))?;
        assert_eq!(error.kind, ErrorKind::Model, "{error}");
        for part in ["Fraction version 0.3", "AAA", "order 1", "1970-01-03T09:30", expected] {
            assert!(error.message.contains(part), "{part} in {error}");
        }
    }
    Ok(())
}

/// Cannot copy anything.
unsafe extern "C" fn no_clone(_: *const c_void) -> *mut c_void {
    std::ptr::null_mut()
}

#[test]
fn a_state_that_cannot_be_copied_is_an_error_at_the_start() -> TestResult {
    let mut world = world();
    let table = read(fraction::fraction, &[0.1], Kind::SLIPPAGE, |table| table.clone = Some(no_clone))?;
    world.models.slippage = table.into_slippage();
    let error = world.run_once().err().ok_or_else(|| SimError::internal("no error"))?;
    assert!(error.message.contains("Fraction") && error.message.contains("clone answered null"), "{error}");
    Ok(())
}

#[test]
fn tables_that_cannot_be_used_are_refused_with_both_values() {
    type Change = fn(&mut ModelTable);
    let cases: [(Change, &[&str]); 10] = [
        (|t| t.magic = 7, &["0x0000000000000007", "0x314c444d5434"]),
        (|t| t.abi_major = 2, &["interface 2.0", "has 1.0", "the engine has to be newer"]),
        (|t| t.abi_major = 0, &["interface 0.0", "the model has to be newer"]),
        (|t| t.struct_size = 40, &["40 bytes"]),
        (|t| t.kind = Kind::FEE, &["kind 4", "asked for 2"]),
        (|t| t.context_size = 9000, &["context of 9000 bytes"]),
        (|t| t.output_size = 9000, &["output of 9000 bytes"]),
        (|t| t.flags = 0, &["SEND"]),
        (|t| t.eval = None, &["no function eval"]),
        (|t| t.n_random = 5, &["5 random draws", "at most 4"]),
    ];
    for (change, parts) in cases {
        let found = read(fraction::fraction, &[0.1], Kind::SLIPPAGE, change);
        let Err(error) = found else { unreachable!("accepted, {parts:?} expected") };
        assert!(error.message.contains("slippage model Owner"), "{error}");
        for part in parts {
            assert!(error.message.contains(part), "{part} in {error}");
        }
    }
}

#[test]
fn a_shorter_table_of_the_same_version_has_null_where_it_ends() -> TestResult {
    // Up to `observe`; what is beyond is not read.
    let table = read(fraction::fraction, &[0.1], Kind::SLIPPAGE, |table| {
        table.struct_size = u32::try_from(std::mem::offset_of!(ModelTable, observe)).unwrap_or(0);
    })?;
    let mut world = world();
    world.models.slippage = table.into_slippage();
    world.sends(at(1, 16, 0), buy("AAA", 1));
    assert_eq!(world.run()?.fills().len(), 1);
    Ok(())
}
