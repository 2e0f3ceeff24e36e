//! After warm-up, an event costs no memory: a run asks the allocator for nothing but what it keeps.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use common::{SECOND, TestResult, World, at, buy, params};
use ml4t_sim::engine::{Api, Simulator, Strategy};
use ml4t_sim::error::Result;
use ml4t_sim::ids::InstrumentId;
use ml4t_sim::models::builtin_fill;
use ml4t_sim::order::{OrderRequest, Side};
use ml4t_sim::plan::RecordCadence;
use ml4t_sim::queue::ColumnSource;
use ml4t_sim::recorder::MetricsRecorder;
use ml4t_sim::venue::SimulatedVenue;

thread_local! {
    /// Requests of this thread, so that tests that run side by side do not count each other.
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // A thread that is going away may still free memory; nobody counts any more then.
    let _ = REQUESTS.try_with(|requests| requests.set(requests.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` or `realloc` above, which are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The list of session returns doubles with the 5th, 9th, 17th and 33rd of the forty sessions: memory per session,
/// not per event. What the end of the data does to orders adds a few more where there are orders.
const GROWTH: u64 = 6;

fn requests() -> u64 {
    REQUESTS.with(Cell::get)
}

/// Sends the orders of a script once, then only counts: calls, and memory requests since `warm` calls.
#[derive(Debug)]
struct Watcher {
    script: common::Script,
    warm: u64,
    calls: u64,
    since: u64,
}

impl Strategy for Watcher {
    fn on_start(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.script.on_start(api)
    }

    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        if self.calls < self.warm {
            self.script.on_instant(api)?;
        }
        self.calls += 1;
        if self.calls == self.warm {
            self.since = requests();
        }
        Ok(())
    }
}

/// Two stocks on bars of a second, a quoted one, prints, signals, late rows, timers; forty short sessions.
fn busy() -> World {
    let mut world = World::new();
    let start = at(1, 9, 30);
    let sessions: Vec<(i64, i64, i64)> =
        (0..40).map(|k| (k, start + k * 100 * SECOND, start + (k + 1) * 100 * SECOND)).collect();
    world.calendar("main", &sessions);
    world.record = RecordCadence::Step;
    let prices = [100.0, 101.0, 99.0, 100.5];
    for k in 0..4_000 {
        let ts = start + k * SECOND;
        world.bars("1s", &[("AAA", ts, ts + SECOND, prices, 1_000.0), ("BBB", ts, ts + SECOND, prices, 1_000.0)]);
        world.quotes("quotes", &[("CCC", ts + SECOND / 2, [99.0, 101.0], [5.0, 5.0])]);
        if k % 3 == 0 {
            world.trades("prints", &[("DDD", ts, 50.0, 5.0)]);
            world.signal(ts + SECOND / 3, ts, "AAA", "m", 1.0);
            world.late_bars("late", &[(("EEE", ts, ts + SECOND, prices, 1.0), ts + 5 * SECOND)]);
        }
    }
    world.timers(&(0..400).map(|k| start + k * 10 * SECOND + 7).collect::<Vec<_>>());
    world
}

/// Memory requests between call number 500 and the end of the data, and the number of calls.
fn requests_per_run(world: &World) -> Result<(u64, u64)> {
    let plan = Arc::new(world.plan()?);
    let (source, venue) = (ColumnSource::new(Arc::clone(&plan)), SimulatedVenue::new(&plan).expect("models begin"));
    let mut run = Simulator::new(plan, source, venue, MetricsRecorder)?;
    let mut watcher = Watcher { script: world.script.clone(), warm: 500, calls: 0, since: 0 };
    run.run(&mut watcher)?;
    let asked = requests() - watcher.since;
    watcher.script.check_done()?;
    Ok((asked, watcher.calls))
}

/// Turns a position around at every call: a market order that fills each time.
#[derive(Debug)]
struct Turner {
    warm: u64,
    calls: u64,
    since: u64,
}

impl Strategy for Turner {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        let side = if self.calls.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        self.calls += 1;
        for instrument in 0..2 {
            api.submit(OrderRequest::market(InstrumentId(instrument), side, 3))?;
        }
        if self.calls == self.warm {
            self.since = requests();
        }
        Ok(())
    }
}

#[test]
fn the_counter_counts() {
    let before = requests();
    let boxed = Box::new([0_u8; 64]);
    assert!(requests() > before, "{boxed:?}");
}

#[test]
fn a_run_without_orders_allocates_nothing_after_warm_up() -> TestResult {
    let (asked, calls) = requests_per_run(&busy())?;
    assert!(calls > 8_000, "{calls} calls");
    assert!(asked <= GROWTH, "{asked} memory requests in {calls} calls");
    Ok(())
}

#[test]
fn holding_positions_allocates_nothing_after_warm_up() -> TestResult {
    let mut world = busy();
    let sent = at(1, 9, 30) + SECOND;
    for symbol in ["AAA", "BBB", "CCC", "DDD", "EEE"] {
        world.sends(sent, buy(symbol, 1));
    }
    let (asked, calls) = requests_per_run(&world)?;
    assert!(asked <= GROWTH, "{asked} memory requests in {calls} calls");
    Ok(())
}

#[test]
fn orders_that_rest_out_of_reach_allocate_nothing_after_warm_up() -> TestResult {
    let mut world = busy();
    let sent = at(1, 9, 30) + SECOND;
    for symbol in ["AAA", "BBB", "CCC", "DDD", "EEE"] {
        world.sends(sent, buy(symbol, 1).limit("1"));
    }
    let (asked, calls) = requests_per_run(&world)?;
    assert!(asked <= GROWTH + 10, "{asked} memory requests in {calls} calls");
    Ok(())
}

#[test]
fn resting_orders_under_a_volume_cap_allocate_nothing_after_warm_up() -> TestResult {
    let mut world = busy();
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 0.1)]))?;
    world.sends(at(1, 9, 30) + SECOND, buy("AAA", 1).limit("1")).sends(at(1, 9, 30) + SECOND, buy("BBB", 1));
    let (asked, calls) = requests_per_run(&world)?;
    assert!(asked <= GROWTH + 10, "{asked} memory requests in {calls} calls");
    Ok(())
}

#[test]
fn orders_that_fill_allocate_nothing_but_what_is_kept_of_them() -> TestResult {
    let mut world = World::new();
    let start = at(1, 9, 30);
    world.calendar("main", &[(0, start, start + 5_000 * SECOND)]);
    for k in 0..4_000 {
        let (ts, prices) = (start + k * SECOND, [100.0, 101.0, 99.0, 100.5]);
        world.bars("1s", &[("AAA", ts, ts + SECOND, prices, 1_000.0), ("BBB", ts, ts + SECOND, prices, 1_000.0)]);
    }
    let plan = Arc::new(world.plan()?);
    let (source, venue) = (ColumnSource::new(Arc::clone(&plan)), SimulatedVenue::new(&plan).expect("models begin"));
    let mut run = Simulator::new(plan, source, venue, MetricsRecorder)?;
    let mut turner = Turner { warm: 500, calls: 0, since: 0 };
    run.run(&mut turner)?;
    let asked = requests() - turner.since;
    assert_eq!((run.state.fills, run.state.orders.len()), (7_998, 8_000));
    // What is kept of orders that ended grows by pieces of 512, the list of their places doubles.
    assert!(asked <= 7_000 / 512 + 20, "{asked} memory requests for {} fills", run.state.fills);
    Ok(())
}
