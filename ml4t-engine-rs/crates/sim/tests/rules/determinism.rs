//! The same input gives the same bytes, interrupted or not, whatever the names; later rows change nothing earlier.

use crate::common::busy::{NAMES, ROLES, Reactive, TURNED, run, world};
use crate::common::{MINUTE, Outcome, TestResult, TestRun, at, ledger};
use ml4t_sim::engine::Strategy;
use ml4t_sim::error::Result;
use ml4t_sim::time::Ns;

const SEEDS: std::ops::Range<u64> = 0..60;

/// One instant of the loop that `Simulator::run` is.
fn step(run: &mut TestRun, strategy: &mut Reactive) -> Result<bool> {
    if !run.begin()? {
        return Ok(false);
    }
    if run.calls_strategy() {
        strategy.on_instant(&mut run.api())?;
    }
    run.state.notices.clear();
    run.take_in()?;
    if !run.state.notices.is_empty() {
        strategy.on_opened(&mut run.api())?;
        run.state.notices.clear();
        run.intake()?;
    }
    run.end()?;
    Ok(true)
}

fn tables(run: &TestRun) -> String {
    format!("{:?}", run.recorder)
}

#[test]
fn the_worlds_are_busy_enough_to_prove_something() -> TestResult {
    let (mut fills, mut orders, mut trips, mut kinds) = (0, 0, 0, std::collections::BTreeSet::new());
    for seed in SEEDS {
        let (outcome, _) = run(&world(seed, NAMES)?, Reactive::new(seed, &NAMES))?;
        fills += outcome.recorder().fills().len();
        orders += outcome.run.state.orders.len();
        trips += outcome.recorder().round_trips().len();
        kinds.extend(outcome.recorder().order_events().map(|e| format!("{} {}", e.to.as_str(), e.reason.code())));
    }
    assert!(fills > 1_000 && orders > 2_000 && trips > 300, "{fills} fills of {orders} orders, {trips} round trips");
    for kind in
        ["canceled CANCELED_BY_REQUEST", "expired SESSION_CLOSED", "partially_filled ", "rejected INSUFFICIENT_CASH"]
    {
        assert!(kinds.contains(kind), "{kind} never happened in {kinds:?}");
    }
    Ok(())
}

#[test]
fn the_ledger_of_a_busy_world_adds_up() -> TestResult {
    for seed in SEEDS {
        let (outcome, _) = run(&world(seed, NAMES)?, Reactive::new(seed, &NAMES))?;
        ledger::check(&outcome).map_err(|e| format!("seed {seed}: {e}"))?;
    }
    Ok(())
}

#[test]
fn two_runs_of_a_busy_world_leave_the_same_rows() -> TestResult {
    for seed in SEEDS {
        let world = world(seed, NAMES)?;
        let (first, one) = run(&world, Reactive::new(seed, &NAMES))?;
        let (second, other) = run(&world, Reactive::new(seed, &NAMES))?;
        assert_eq!(first.tables(), second.tables(), "seed {seed}");
        assert_eq!(one.knew, other.knew, "seed {seed}");
    }
    Ok(())
}

#[test]
fn a_run_restored_from_a_snapshot_ends_as_if_nothing_had_happened() -> TestResult {
    for seed in SEEDS.step_by(6) {
        let world = world(seed, NAMES)?;
        let (whole, _) = run(&world, Reactive::new(seed, &NAMES))?;
        for kept in [1, 30, 95] {
            let mut strategy = Reactive::new(seed, &NAMES);
            let (mut run, _) = world.start()?;
            for _ in 0..kept {
                step(&mut run, &mut strategy)?;
            }
            let (snapshot, its_strategy) = (run.snapshot(), strategy.clone());
            // Go on for a while, then come back: what happened in between must leave no trace.
            for _ in 0..40 {
                step(&mut run, &mut strategy)?;
            }
            run.restore(snapshot);
            strategy = its_strategy;
            while step(&mut run, &mut strategy)? {}
            run.finish()?;
            assert_eq!(tables(&run), tables(&whole.run), "seed {seed}, snapshot after {kept} instants");
        }
    }
    Ok(())
}

#[test]
fn two_runs_that_share_a_plan_and_take_turns_do_not_meet() -> TestResult {
    let world = world(3, NAMES)?;
    let (whole, _) = run(&world, Reactive::new(3, &NAMES))?;
    let (mut one, _) = world.start()?;
    let mut other = one.clone();
    let (mut first, mut second) = (Reactive::new(3, &NAMES), Reactive::new(3, &NAMES));
    loop {
        let goes_on = step(&mut one, &mut first)?;
        if !step(&mut other, &mut second)? && !goes_on {
            break;
        }
    }
    one.finish()?;
    other.finish()?;
    assert_eq!(tables(&one), tables(&whole.run));
    assert_eq!(tables(&other), tables(&whole.run));
    Ok(())
}

/// Rows with names instead of indices, in an order that does not depend on indices.
fn by_role(outcome: &Outcome, names: [&str; ROLES]) -> Vec<String> {
    let role = |text: &str| {
        let mut text = text.to_owned();
        for (k, name) in names.iter().enumerate() {
            text = text.replace(name, &format!("role {k}"));
        }
        text
    };
    let mut rows: Vec<String> = outcome.fills().iter().map(|f| role(f)).collect();
    rows.extend(outcome.costs());
    rows.extend(outcome.equity());
    for number in 1..=outcome.run.state.orders.len() as u64 {
        rows.extend(outcome.life(number));
    }
    rows.extend(outcome.round_trips().iter().map(|r| role(r)));
    let mut postings: Vec<String> = outcome.postings().iter().map(|p| role(p)).collect();
    // Actions of one instant on several instruments are postings side by side; their sum is what counts.
    postings.sort();
    rows.extend(postings);
    rows
}

#[test]
fn names_that_turn_the_order_of_instruments_around_change_nothing() -> TestResult {
    for seed in SEEDS {
        let (plain, _) = run(&world(seed, NAMES)?, Reactive::new(seed, &NAMES))?;
        let (turned, _) = run(&world(seed, TURNED)?, Reactive::new(seed, &TURNED))?;
        assert_eq!(by_role(&plain, NAMES), by_role(&turned, TURNED), "seed {seed}");
    }
    Ok(())
}

/// All rows up to and including `ts`, and all that the strategy knew until then.
fn history(outcome: &Outcome, strategy: &Reactive, ts: Ns) -> String {
    let rows = outcome.recorder();
    let fills: Vec<_> = rows.fills().filter(|r| r.ts <= ts).collect();
    let events: Vec<_> = rows.order_events().filter(|r| r.ts <= ts).collect();
    let ledger: Vec<_> = rows.ledger().filter(|r| r.ts <= ts).collect();
    let portfolio: Vec<_> = rows.portfolio().filter(|r| r.ts <= ts).collect();
    let positions: Vec<_> = rows.positions().filter(|r| r.ts <= ts).collect();
    let knew: Vec<_> = strategy.knew.iter().filter(|k| k.0 <= ts).collect();
    format!("{fills:?} {events:?} {ledger:?} {portfolio:?} {positions:?} {knew:?}")
}

#[test]
fn changing_anything_after_an_instant_changes_nothing_up_to_it() -> TestResult {
    let mut differ = 0;
    for seed in SEEDS {
        let base = world(seed, NAMES)?;
        let (plain, plain_strategy) = run(&base, Reactive::new(seed, &NAMES))?;
        for minutes in [7, 23, 41, 66] {
            // Once at the end of a bar, once in the middle of one.
            for ts in [at(1, 9, 30) + minutes * MINUTE, at(1, 9, 30) + minutes * MINUTE + MINUTE / 2] {
                let mut other = base.clone();
                // Volume stays above zero where it was: whether a bar traded at all is known from its open.
                other.perturb_after(ts, |x| if x > 0.0 { (x * 137.0).round() / 100.0 + 1.0 } else { x });
                let (changed, strategy) = run(&other, Reactive::new(seed, &NAMES))
                    .map_err(|e| format!("seed {seed}, changed after {}: {e}", crate::common::when(ts)))?;
                assert_eq!(
                    history(&plain, &plain_strategy, ts),
                    history(&changed, &strategy, ts),
                    "seed {seed}, {}",
                    crate::common::when(ts)
                );
                differ += usize::from(plain.tables() != changed.tables());
            }
        }
    }
    assert!(differ > 400, "the change must matter after the instant: it did in {differ} of 480 runs");
    Ok(())
}
