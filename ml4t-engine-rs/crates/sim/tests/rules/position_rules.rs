//! Position rules: stop loss, take profit and trailing stop as resting orders of the engine.

use crate::common::{Ask, TestResult, World, at, buy, day_bar, flat, params, sell};
use ml4t_sim::engine::{Api, Strategy};
use ml4t_sim::error::Result;
use ml4t_sim::ids::BookId;
use ml4t_sim::models::builtin_slippage;
use ml4t_sim::money::Decimal;
use ml4t_sim::rules::{PositionRules, RuleKind};

const NO_FILLS: [&str; 0] = [];

/// Sets its rules before the first event, then follows the script.
#[derive(Clone, Debug)]
struct Guarded {
    rules: PositionRules,
    script: crate::common::Script,
}

impl Strategy for Guarded {
    fn on_start(&mut self, api: &mut Api<'_>) -> Result<()> {
        api.set_position_rules(BookId(0), self.rules);
        self.script.on_start(api)
    }

    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.script.on_instant(api)
    }
}

/// Run a world under rules, each a kind and a fraction in percent.
fn run(world: &World, rules: &[(RuleKind, i128)]) -> Result<crate::common::Outcome> {
    let mut guard = PositionRules::default();
    for &(kind, percent) in rules {
        guard = guard.with(kind, Decimal { mantissa: percent, exponent: 2 })?;
    }
    let (mut run, script) = world.start()?;
    let mut strategy = Guarded { rules: guard, script };
    run.run(&mut strategy)?;
    strategy.script.check_done()?;
    let outcome = crate::common::Outcome::new(run, strategy.script);
    crate::common::ledger::check(&outcome)?;
    Ok(outcome)
}

/// Day 1 stands still at 100; the order, sent at its close, meets the bars of the days after it.
fn world_of(ask: Ask, bars: &[[f64; 4]]) -> World {
    let mut world = World::new();
    world.account.allows_short = true;
    let mut rows = vec![day_bar("AAA", 1, flat(100.0))];
    rows.extend((2..).zip(bars).map(|(day, &prices)| day_bar("AAA", day, prices)));
    world.bars("1d", &rows);
    world.sends(at(1, 16, 0), ask);
    world
}

#[test]
fn a_stop_loss_closes_a_long_position_below_its_entry() -> TestResult {
    let world = world_of(buy("AAA", 10), &[flat(100.0), [99.0, 99.0, 94.0, 96.0]]);
    let run = run(&world, &[(RuleKind::StopLoss, 5)])?;
    assert_eq!(run.fills(), ["d2 09:30 #1 AAA buy 10 @ 100 open", "d3 16:00 #2 AAA sell 10 @ 95 range"]);
    assert_eq!(run.position("AAA"), "flat");
    Ok(())
}

#[test]
fn a_stop_loss_closes_a_short_position_above_its_entry() -> TestResult {
    let world = world_of(sell("AAA", 10), &[flat(100.0), [101.0, 106.0, 101.0, 104.0]]);
    let run = run(&world, &[(RuleKind::StopLoss, 5)])?;
    assert_eq!(run.fills()[1..], ["d3 16:00 #2 AAA buy 10 @ 105 range"]);
    Ok(())
}

#[test]
fn a_gap_through_the_stop_loss_fills_at_the_open() -> TestResult {
    let world = world_of(buy("AAA", 10), &[flat(100.0), [90.0, 92.0, 89.0, 91.0]]);
    assert_eq!(run(&world, &[(RuleKind::StopLoss, 5)])?.fills()[1..], ["d3 09:30 #2 AAA sell 10 @ 90 open"]);
    Ok(())
}

#[test]
fn a_take_profit_fills_at_its_level_and_a_gap_at_the_better_open() -> TestResult {
    let inside = world_of(buy("AAA", 10), &[flat(100.0), [101.0, 112.0, 100.0, 108.0]]);
    assert_eq!(run(&inside, &[(RuleKind::TakeProfit, 10)])?.fills()[1..], ["d3 16:00 #2 AAA sell 10 @ 110 range"]);
    let gap = world_of(buy("AAA", 10), &[flat(100.0), [115.0, 116.0, 114.0, 115.0]]);
    assert_eq!(run(&gap, &[(RuleKind::TakeProfit, 10)])?.fills()[1..], ["d3 09:30 #2 AAA sell 10 @ 115 open"]);
    Ok(())
}

#[test]
fn where_both_are_reachable_the_stop_comes_first_and_takes_the_target_with_it() -> TestResult {
    let world = world_of(buy("AAA", 10), &[flat(100.0), [100.0, 120.0, 80.0, 100.0]]);
    let run = run(&world, &[(RuleKind::TakeProfit, 10), (RuleKind::StopLoss, 5)])?;
    assert_eq!(run.fills()[1..], ["d3 16:00 #2 AAA sell 10 @ 95 range"]);
    assert_eq!(run.end_of(3), "d3 16:00 canceled POSITION_CLOSED");
    assert_eq!(run.position("AAA"), "flat");
    Ok(())
}

#[test]
fn a_position_opened_at_an_open_meets_the_rest_of_that_bar() -> TestResult {
    let world = world_of(buy("AAA", 10), &[[100.0, 101.0, 90.0, 99.0]]);
    assert_eq!(run(&world, &[(RuleKind::StopLoss, 5)])?.fills()[1..], ["d2 16:00 #2 AAA sell 10 @ 95 range"]);
    let world = world_of(buy("AAA", 10), &[[100.0, 112.0, 99.0, 99.0]]);
    assert_eq!(run(&world, &[(RuleKind::TakeProfit, 10)])?.fills()[1..], ["d2 16:00 #2 AAA sell 10 @ 110 range"]);
    Ok(())
}

#[test]
fn a_position_opened_inside_a_bar_meets_its_stop_in_that_bar_but_not_its_target() -> TestResult {
    let bar = [100.0, 112.0, 90.0, 99.0];
    let stopped = run(&world_of(buy("AAA", 10).limit("98"), &[bar, bar]), &[(RuleKind::StopLoss, 5)])?;
    // 98 less 5 % is 93.10.
    assert_eq!(stopped.fills(), ["d2 16:00 #1 AAA buy 10 @ 98 range", "d2 16:00 #2 AAA sell 10 @ 93.1 range"]);
    let waits = run(&world_of(buy("AAA", 10).limit("98"), &[bar, bar]), &[(RuleKind::TakeProfit, 10)])?;
    assert_eq!(waits.fills()[1..], ["d3 16:00 #2 AAA sell 10 @ 107.8 range"], "112 may lie before the entry");
    Ok(())
}

#[test]
fn rules_act_without_latency() -> TestResult {
    let mut world = world_of(buy("AAA", 10), &[[100.0, 101.0, 90.0, 99.0]]);
    world.latency = 3_600 * crate::common::SECOND;
    assert_eq!(run(&world, &[(RuleKind::StopLoss, 5)])?.fills()[1..], ["d2 16:00 #2 AAA sell 10 @ 95 range"]);
    Ok(())
}

#[test]
fn a_rule_follows_size_and_average_entry() -> TestResult {
    let mut world = world_of(buy("AAA", 10), &[flat(100.0), flat(110.0), [110.0, 110.0, 90.0, 95.0]]);
    world.sends(at(2, 16, 0), buy("AAA", 10));
    // Ten at 100 and ten at 110: 105 on average, and 10 % below it 94.50.
    let run = run(&world, &[(RuleKind::StopLoss, 10)])?;
    assert_eq!(run.fills()[2..], ["d4 16:00 #2 AAA sell 20 @ 94.5 range"]);
    Ok(())
}

#[test]
fn a_rule_shrinks_with_the_position_and_ends_with_it() -> TestResult {
    let mut world = world_of(buy("AAA", 10), &[flat(100.0), flat(100.0), flat(100.0), [100.0, 100.0, 50.0, 60.0]]);
    world.sends(at(2, 16, 0), sell("AAA", 4)).sends(at(3, 16, 0), sell("AAA", 6));
    let run = run(&world, &[(RuleKind::StopLoss, 10)])?;
    assert_eq!(run.end_of(2), "d4 09:30 canceled POSITION_CLOSED");
    assert_eq!(run.fills().len(), 3, "{:?}", run.fills());
    Ok(())
}

#[test]
fn a_level_counts_from_what_was_paid_slippage_included_and_rounds_away_from_the_market() -> TestResult {
    let mut world = world_of(buy("AAA", 10), &[flat(100.0), [100.0, 100.0, 90.0, 95.0]]);
    world.models.slippage = builtin_slippage("fixed_fraction", &params(&[("fraction", 0.000_3)]))?;
    // Paid 100.03; 5 % below is 95.0285, on the tick 95.02; the stop itself slips by 0.03 % to 94.991494.
    let run = run(&world, &[(RuleKind::StopLoss, 5)])?;
    assert_eq!(run.recorder().fills().nth(1).map(|f| f.reference.0), Some(95_020_000_000));
    assert_eq!(run.fills()[1..], ["d3 16:00 #2 AAA sell 10 @ 94.991494 range"]);
    Ok(())
}

#[test]
fn a_trailing_stop_follows_the_highest_price_and_never_goes_back() -> TestResult {
    let bars = [flat(100.0), [100.0, 120.0, 100.0, 118.0], [118.0, 118.0, 112.0, 113.0], [113.0, 113.0, 107.0, 108.0]];
    // 10 % below 120 is 108; day 4 stays above it, day 5 does not.
    let run = run(&world_of(buy("AAA", 10), &bars), &[(RuleKind::TrailingStop, 10)])?;
    assert_eq!(run.fills()[1..], ["d5 16:00 #2 AAA sell 10 @ 108 range"]);
    Ok(())
}

#[test]
fn a_trailing_stop_does_not_use_a_high_before_it_was_seen() -> TestResult {
    // On day 3 the bar reaches 120 and falls to 100; whether 120 came first is unknown, and the stop of 90 holds.
    let run =
        run(&world_of(buy("AAA", 10), &[flat(100.0), [100.0, 120.0, 100.0, 118.0]]), &[(RuleKind::TrailingStop, 10)])?;
    assert_eq!(run.fills()[1..], NO_FILLS);
    Ok(())
}

#[test]
fn a_trailing_stop_of_a_short_follows_the_lowest_price() -> TestResult {
    let bars = [flat(100.0), [100.0, 100.0, 80.0, 82.0], [82.0, 89.0, 82.0, 88.0]];
    let run = run(&world_of(sell("AAA", 10), &bars), &[(RuleKind::TrailingStop, 10)])?;
    assert_eq!(run.fills()[1..], ["d4 16:00 #2 AAA buy 10 @ 88 range"]);
    Ok(())
}

#[test]
fn a_turned_position_has_rules_of_its_own() -> TestResult {
    let mut world = world_of(buy("AAA", 10), &[flat(100.0), flat(100.0), [100.0, 106.0, 94.0, 100.0]]);
    world.sends(at(2, 16, 0), sell("AAA", 25));
    let run = run(&world, &[(RuleKind::StopLoss, 5)])?;
    assert_eq!(run.end_of(2), "d3 09:30 canceled POSITION_CLOSED");
    assert_eq!(run.fills()[2..], ["d4 16:00 #4 AAA buy 15 @ 105 range"]);
    Ok(())
}

#[test]
fn a_split_moves_the_level_of_a_rule_with_the_position() -> TestResult {
    for kind in [RuleKind::StopLoss, RuleKind::TrailingStop] {
        let mut world = world_of(buy("AAA", 10), &[flat(100.0), [50.0, 50.0, 48.0, 49.0], [49.0, 49.0, 44.0, 46.0]]);
        world.split(3, "AAA", 2, 1)?;
        // 5 % below 100 is 95, after two for one 47.50.
        let run = run(&world, &[(kind, 5)])?;
        assert_eq!(run.fills()[1..], ["d4 16:00 #2 AAA sell 20 @ 47.5 range"], "{kind:?}");
    }
    Ok(())
}

#[test]
fn a_reverse_split_with_cash_in_lieu_leaves_rule_and_position_of_one_size() -> TestResult {
    let mut world = world_of(buy("AAA", 15), &[flat(100.0), flat(1_000.0), [1_000.0, 1_000.0, 900.0, 950.0]]);
    world.split(3, "AAA", 1, 10)?;
    let run = run(&world, &[(RuleKind::StopLoss, 5)])?;
    assert_eq!(run.fills()[1..], ["d4 16:00 #2 AAA sell 1 @ 950 range"]);
    assert_eq!(run.position("AAA"), "flat");
    Ok(())
}

#[test]
fn rules_that_make_no_sense_are_refused_by_name() {
    let with = |kind, mantissa, exponent| {
        PositionRules::default().with(kind, Decimal { mantissa, exponent }).map(|_| ()).map_err(|e| e.message)
    };
    for (kind, mantissa, exponent) in [
        (RuleKind::StopLoss, 0, 0),
        (RuleKind::StopLoss, -5, 2),
        (RuleKind::StopLoss, 1, 0),
        (RuleKind::TrailingStop, 150, 2),
        (RuleKind::TakeProfit, 0, 0),
    ] {
        let text = with(kind, mantissa, exponent).err().unwrap_or_default();
        assert!(text.contains(kind.as_str()), "{kind:?} {mantissa}e-{exponent}: {text}");
    }
    assert!(with(RuleKind::TakeProfit, 3, 0).is_ok(), "a target of three times the entry on top");
}
