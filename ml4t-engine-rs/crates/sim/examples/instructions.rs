//! Fixed workloads of the simulator, of which `tests/bench/instructions.py` counts the instructions:
//! `instructions --list` names them, `instructions NAME` runs one.
//!
//! A workload is the same plan and the same orders each time: no chance, no clock, nothing of the machine. Only
//! [`run_counted`] is counted, neither the making of the plan nor what is printed: units, unit, fills and final equity,
//! so that a count stands beside what was computed.

#[path = "../tests/common/mod.rs"]
mod common;

use std::ffi::CStr;
use std::io::Write as _;
use std::sync::Arc;

use common::{
    BarRow, HOUR, MINUTE, SECOND, TestResult, TestRun, TradeRow, World, at, day_bar, decimal, minute_bar, params,
};
use ml4t_abi::{
    Action, Answer, Kind, Life, ModelTable, OrderRecord, OrderType as RecordType, Orders, Status, StrategyContext,
    StrategyInput, StrategyModel, export_strategy,
};
use ml4t_sim::contingent::GroupKind;
use ml4t_sim::engine::{Api, Idle, Strategy};
use ml4t_sim::error::{Result, SimError};
use ml4t_sim::foreign::{ForeignTable, Kernel};
use ml4t_sim::ids::InstrumentId;
use ml4t_sim::models::{builtin_fee, builtin_slippage};
use ml4t_sim::money::{CASH_EXPONENT, Decimal, Price};
use ml4t_sim::order::{OrderRequest, OrderType, Side};
use ml4t_sim::plan::{Plan, RecordCadence};
use ml4t_sim::targets::Target;

/// What a run is made of, and how much of it there is.
struct Workload {
    name: &'static str,
    /// How often what is counted happens, and what it is.
    units: u32,
    unit: &'static str,
    world: fn(u32) -> Result<World>,
    strategy: fn(&Plan) -> Result<Box<dyn Strategy>>,
}

const fn workload(
    name: &'static str,
    (units, unit): (u32, &'static str),
    world: fn(u32) -> Result<World>,
    strategy: fn(&Plan) -> Result<Box<dyn Strategy>>,
) -> Workload {
    Workload { name, units, unit, world, strategy }
}

/// All of them. Each is as small as it can be while what a run costs once stays far below what its units cost.
const WORKLOADS: [Workload; 10] = [
    workload("prints_idle", (100_000, "print"), prints, |_| Ok(Box::new(Idle))),
    workload("prints_held", (100_000, "print"), prints, |_| Ok(Box::new(Holder::default()))),
    workload("minutes_idle", (20_000, "row"), five_by_minutes, |_| Ok(Box::new(Idle))),
    workload("minutes_held", (20_000, "row"), five_by_minutes, |_| Ok(Box::new(Holder::default()))),
    workload("days_held", (2_500, "session"), days, |_| Ok(Box::new(Holder::default()))),
    workload("market_orders", (2_000, "fill"), minutes_with_costs, |_| Ok(Box::new(Turner::default()))),
    workload("limits_resting", (10_000, "row"), minutes, |_| Ok(Box::new(Rester::default()))),
    workload("brackets", (500, "bracket"), bracket_minutes, |_| Ok(Box::new(Bracketer::default()))),
    workload("rebalance", (100, "day of 50 targets"), fifty_by_days, |_| Ok(Box::new(Rebalancer::default()))),
    workload("kernel", (50_000, "call"), prints, kernel),
];

/// What is counted, and the only function of this program with its name; not inlined, so that it has one.
#[inline(never)]
fn run_counted(run: &mut TestRun, strategy: &mut Boxed) -> Result<()> {
    run.run(strategy)
}

fn main() -> TestResult {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    let names = WORKLOADS.map(|workload| workload.name);
    if name == "--list" {
        writeln!(out, "{}", names.join("\n"))?;
        return Ok(());
    }
    let Some(workload) = WORKLOADS.iter().find(|workload| workload.name == name) else {
        return Err(format!("no workload is called {name:?}; known: {}", names.join(", ")).into());
    };
    let (mut run, _) = (workload.world)(workload.units)?.start()?;
    let mut strategy = Boxed((workload.strategy)(run.plan())?);
    // A large request lets the allocator tidy up what the making of the plan left, which it would do during the run.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
    run_counted(&mut run, &mut strategy)?;
    let (fills, equity) = (run.state.fills, decimal(run.equity()?.0, CASH_EXPONENT));
    writeln!(out, "{}\t{}\t{fills}\t{equity}", workload.units, workload.unit)?;
    Ok(())
}

/// A strategy of any kind, so that all workloads run through one and the same loop.
struct Boxed(Box<dyn Strategy>);

impl Strategy for Boxed {
    fn on_start(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.0.on_start(api)
    }

    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.0.on_instant(api)
    }

    fn on_opened(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.0.on_opened(api)
    }
}

// ---------------------------------------------------------------------------------------------- the markets

/// Minutes of a session of the default calendar.
const SESSION: u32 = 390;

/// A world with enough cash to hold a little of everything, recorded as runs of minutes are unless told otherwise.
fn world() -> Result<World> {
    let mut world = World::new();
    world.cash("10000000")?;
    world.record = RecordCadence::Every(HOUR);
    Ok(world)
}

/// A price in cents that goes up by eleven and down again, one cent at a time.
const fn wave(k: u32) -> u32 {
    let step = k % 22;
    10_000 + if step < 11 { step } else { 22 - step }
}

fn dollars(cents: u32) -> f64 {
    f64::from(cents) / 100.0
}

/// Open, high, low and close of the `k`th bar.
fn waving(k: u32) -> [f64; 4] {
    let (open, close) = (wave(k), wave(k + 1));
    [open, open.max(close) + 2, open.min(close) - 2, close].map(dollars)
}

/// The `k`th minute of trading.
fn minute(symbol: &str, k: u32, prices: [f64; 4]) -> BarRow<'_> {
    let open = at(1 + i64::from(k / SESSION), 9, 30) + i64::from(k % SESSION) * MINUTE;
    minute_bar(symbol, open, prices)
}

/// Prints of one instrument, five a second.
fn prints(n: u32) -> Result<World> {
    let print = |k| -> TradeRow<'_> { ("AAA", at(1, 9, 30) + i64::from(k) * SECOND / 5, dollars(wave(k)), 100.0) };
    let mut world = world()?;
    world.trades("prints", &(0..n).map(print).collect::<Vec<_>>());
    Ok(world)
}

/// Minute bars of one instrument.
fn minutes(n: u32) -> Result<World> {
    let mut world = world()?;
    world.bars("1m", &(0..n).map(|k| minute("AAA", k, waving(k))).collect::<Vec<_>>());
    Ok(world)
}

/// The same, one more than orders that fill, with slippage and a fee.
fn minutes_with_costs(n: u32) -> Result<World> {
    let mut world = minutes(n + 1)?;
    world.models.slippage = builtin_slippage("basis_points", &params(&[("bps", 2.0)]))?;
    world.models.fee = builtin_fee("per_share", &params(&[("fee", 0.005), ("minimum", 1.0)]))?;
    Ok(world)
}

/// Minute bars of five instruments, `n` in all.
fn five_by_minutes(n: u32) -> Result<World> {
    let mut world = world()?;
    let symbols = ["AAA", "BBB", "CCC", "DDD", "EEE"];
    let row = |k: u32| symbols.map(|symbol| minute(symbol, k, waving(k)));
    world.bars("1m", &(0..n / 5).flat_map(row).collect::<Vec<_>>());
    Ok(world)
}

/// Four bars for each bracket: decision, entry at the open, a move to target or stop, and back.
fn bracket_minutes(n: u32) -> Result<World> {
    let mut world = world()?;
    let row = |k: u32| {
        let (high, low) = match k % 8 {
            2 => (10_200, 10_000),
            6 => (10_000, 9_800),
            _ => (10_000, 10_000),
        };
        minute("AAA", k, [10_000, high, low, 10_000].map(dollars))
    };
    world.bars("1m", &(0..4 * n).map(row).collect::<Vec<_>>());
    Ok(world)
}

/// Daily bars of these instruments with as many sessions.
fn daily(symbols: &[String], n: u32) -> Result<World> {
    let mut world = world()?;
    world.record = RecordCadence::Step;
    let session = |day| (day, at(day, 9, 30), at(day, 16, 0));
    world.calendar("main", &(0..=i64::from(n)).map(session).collect::<Vec<_>>());
    let row = |day: u32| symbols.iter().map(move |symbol| day_bar(symbol, i64::from(day), waving(day)));
    world.bars("1d", &(1..=n).flat_map(row).collect::<Vec<_>>());
    Ok(world)
}

fn days(n: u32) -> Result<World> {
    daily(&["AAA".to_owned()], n)
}

fn fifty_by_days(n: u32) -> Result<World> {
    daily(&(0..50).map(|i| format!("S{i:02}")).collect::<Vec<_>>(), n)
}

// ---------------------------------------------------------------------------------------------- the strategies

/// An order of the first instrument at `dollars`.
fn priced(order_type: OrderType, side: Side, quantity: i64, dollars: i64) -> OrderRequest {
    let price = Some(Price(dollars * 1_000_000_000));
    let (limit_price, stop_price) = if order_type == OrderType::Stop { (None, price) } else { (price, None) };
    OrderRequest { order_type, limit_price, stop_price, ..OrderRequest::market(InstrumentId(0), side, quantity) }
}

/// Numbers of all instruments.
fn instruments(plan: &Plan) -> impl Iterator<Item = InstrumentId> {
    (0_u32..).map(InstrumentId).take(plan.instruments.len())
}

/// Buys some of everything at the first call and keeps it.
#[derive(Default)]
struct Holder {
    is_in: bool,
}

impl Strategy for Holder {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        if !std::mem::replace(&mut self.is_in, true) {
            for id in instruments(api.plan) {
                api.submit(OrderRequest::market(id, Side::Buy, 10))?;
            }
        }
        Ok(())
    }
}

/// Buys at one call and sells at the next.
#[derive(Default)]
struct Turner {
    is_in: bool,
}

impl Strategy for Turner {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        let side = if self.is_in { Side::Sell } else { Side::Buy };
        self.is_in = !self.is_in;
        api.submit(OrderRequest::market(InstrumentId(0), side, 10))?;
        Ok(())
    }
}

/// Sends ten orders that the market never reaches.
#[derive(Default)]
struct Rester {
    has_sent: bool,
}

impl Strategy for Rester {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        if !std::mem::replace(&mut self.has_sent, true) {
            for dollars in 1..=10 {
                api.submit(priced(OrderType::Limit, Side::Buy, 10, dollars))?;
            }
        }
        Ok(())
    }
}

/// Enters at every fourth call, with a stop and a target that one of the two cancels.
#[derive(Default)]
struct Bracketer {
    calls: u32,
}

impl Strategy for Bracketer {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        if self.calls.is_multiple_of(4) {
            let entry = api.submit(OrderRequest::market(InstrumentId(0), Side::Buy, 10))?;
            let stop = api.submit(priced(OrderType::Stop, Side::Sell, 10, 99))?;
            api.link(stop, Some(entry), None)?;
            let target = api.submit(priced(OrderType::Limit, Side::Sell, 10, 102))?;
            api.link(target, Some(entry), Some((GroupKind::Oco, stop)))?;
        }
        self.calls += 1;
        Ok(())
    }
}

/// Gives every second instrument more of the equity, and at the next call the others.
#[derive(Default)]
struct Rebalancer {
    calls: usize,
}

impl Strategy for Rebalancer {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        let target = |id: InstrumentId| {
            let has_more = (id.index() + self.calls).is_multiple_of(2);
            let weight = Decimal { mantissa: if has_more { 20 } else { 12 }, exponent: 3 };
            let expected = api.state.books[0].positions[id.index()].quantity;
            Target { instrument: id, weight: Some(weight), expected }
        };
        let targets: Vec<Target> = instruments(api.plan).map(target).collect();
        self.calls += 1;
        api.order_weights(OrderRequest::market(InstrumentId(0), Side::Buy, 0), &targets, &mut Vec::new())
    }
}

/// Reads the last price at each call, and buys or sells at every thousandth.
#[derive(Clone)]
struct Reader {
    calls: u64,
    highest: f64,
}

impl StrategyModel for Reader {
    const NAME: &'static CStr = c"Reader";
    const COLUMNS: &'static CStr = c"price";

    fn new(_params: &[f64]) -> std::result::Result<Self, String> {
        Ok(Self { calls: 0, highest: 0.0 })
    }

    fn evaluate(&mut self, input: &StrategyInput<'_>, orders: &mut Orders<'_>) -> Answer {
        for &asset in input.changed {
            let asset_at = asset as usize;
            self.highest = self.highest.max(input.column(0)[asset_at]);
            self.calls += 1;
            if self.calls.is_multiple_of(1_000) {
                orders.push(OrderRecord {
                    action: Action::NEW,
                    asset,
                    order_type: RecordType::MARKET,
                    life: Life::GTC,
                    quantity: if input.positions[asset_at] > 0.0 { -10.0 } else { 10.0 },
                    ..OrderRecord::UNSET
                })?;
            }
        }
        Ok(Status::OK)
    }
}

export_strategy!(reader: Reader);

/// The kernel above, through its table as an author's library gives it.
fn kernel(plan: &Plan) -> Result<Box<dyn Strategy>> {
    let mut text = [0_u8; 100];
    // SAFETY: no parameters, and room for a text as long as is said.
    let table: *mut ModelTable = unsafe { reader::reader([].as_ptr(), 0, text.as_mut_ptr(), text.len()) };
    if table.is_null() {
        return Err(SimError::model(String::from_utf8_lossy(&text).into_owned()));
    }
    let sizes = (size_of::<StrategyContext>(), 0);
    // SAFETY: a table of the interface, which is never released: the process ends with its run.
    let table = unsafe { ForeignTable::read(table, Arc::new(()), (Kind::STRATEGY, "Reader"), sizes) }?;
    Ok(Box::new(Kernel::new(table, plan)?))
}
