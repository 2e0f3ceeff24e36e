//! What a strategy may know when: arrivals, signals, timers, and numbers derived from them.

use crate::common::{SECOND, TestResult, World, at, buy, flat, minute_bar};
use ml4t_sim::engine::Api;
use ml4t_sim::ids::{BookId, InstrumentId};
use ml4t_sim::money::{Cash, Decimal};
use ml4t_sim::plan::bar;
use ml4t_sim::targets::{fraction_of_equity, quantity_for_value};

/// Close of the last bar that may be read.
fn last_close(api: &Api<'_>) -> String {
    match api.state.readable_row(api.plan, 0, 0) {
        Some(row) => format!("close {}", api.plan.feeds[0].value(bar::CLOSE, row)),
        None => "nothing".to_owned(),
    }
}

/// Score of the last signal of the first model that may be read.
fn last_score(api: &Api<'_>) -> String {
    match (api.state.signal_row(api.plan, 0, 0), &api.plan.signals) {
        (Some(row), Some(signals)) => format!("score {}", signals.score[row]),
        _ => "nothing".to_owned(),
    }
}

/// How many units of the first instrument a thousand would buy.
fn units_for_a_thousand(api: &Api<'_>) -> String {
    let thousand = Cash(1_000 * 1_000_000_000_000_000_000);
    match quantity_for_value(api.plan, api.state, InstrumentId(0), thousand, 0) {
        Ok(Some(quantity)) => format!("{quantity} units"),
        Ok(None) => "no price".to_owned(),
        Err(error) => error.message,
    }
}

/// Three minutes; the second is known with a delay of 90 seconds.
fn delayed() -> World {
    let mut world = World::new();
    world.late_bars(
        "1m",
        &[
            (minute_bar("AAA", at(1, 10, 0), flat(100.0)), at(1, 10, 1)),
            (minute_bar("AAA", at(1, 10, 1), flat(200.0)), at(1, 10, 3) + 30 * SECOND),
            (minute_bar("AAA", at(1, 10, 2), flat(250.0)), at(1, 10, 3) + 30 * SECOND),
            (minute_bar("AAA", at(1, 10, 3), flat(250.0)), at(1, 10, 4)),
        ],
    );
    world
}

#[test]
fn a_row_becomes_readable_at_its_arrival_and_not_at_its_event() -> TestResult {
    let mut world = delayed();
    world.timers(&[at(1, 10, 0), at(1, 10, 2), at(1, 10, 3)]);
    for ts in [at(1, 10, 0), at(1, 10, 1), at(1, 10, 2), at(1, 10, 3), at(1, 10, 3) + 30 * SECOND, at(1, 10, 4)] {
        world.probes(ts, last_close);
    }
    assert_eq!(
        world.run()?.probed(),
        [
            "d1 10:00 nothing",
            "d1 10:01 close 100",
            "d1 10:02 close 100",
            "d1 10:03 close 100",
            "d1 10:03:30 close 250",
            "d1 10:04 close 250"
        ]
    );
    Ok(())
}

#[test]
fn orders_are_matched_at_the_event_of_a_row_whenever_it_arrives() -> TestResult {
    let mut world = delayed();
    world.sends(at(1, 10, 1), buy("AAA", 10));
    assert_eq!(world.run()?.fills(), ["d1 10:01 #1 AAA buy 10 @ 200 open"]);
    Ok(())
}

#[test]
fn a_decision_on_a_late_row_meets_the_next_open_after_its_arrival() -> TestResult {
    let mut world = delayed();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 4), flat(260.0))]);
    world.sends(at(1, 10, 3) + 30 * SECOND, buy("AAA", 10));
    assert_eq!(world.run()?.fills(), ["d1 10:04 #1 AAA buy 10 @ 260 open"]);
    Ok(())
}

#[test]
fn sizing_by_value_uses_the_last_price_that_has_arrived() -> TestResult {
    let mut world = delayed();
    world.timers(&[at(1, 10, 2)]);
    for ts in [at(1, 10, 1), at(1, 10, 2), at(1, 10, 3) + 30 * SECOND] {
        world.probes(ts, units_for_a_thousand);
    }
    assert_eq!(
        world.run()?.probed(),
        ["d1 10:01 10 units", "d1 10:02 10 units", "d1 10:03:30 4 units"],
        "at 10:02 the close of 200 has happened, but the strategy cannot know it before 10:03:30"
    );
    Ok(())
}

#[test]
fn before_the_first_price_nothing_can_be_sized() -> TestResult {
    let mut world = delayed();
    world.timers(&[at(1, 10, 0)]);
    world.probes(at(1, 10, 0), units_for_a_thousand);
    assert_eq!(world.run()?.probed(), ["d1 10:00 no price"]);
    Ok(())
}

#[test]
fn sizing_after_a_split_or_dividend_expects_the_new_price_before_it_was_seen() -> TestResult {
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 0), flat(100.0)), minute_bar("AAA", at(1, 11, 0), flat(24.0))]);
    world.split_at(at(1, 10, 20), "AAA", 4, 1)?.dividend_at(at(1, 10, 40), "AAA", "1", at(1, 10, 40))?;
    world.timers(&[at(1, 10, 10), at(1, 10, 30), at(1, 10, 50)]);
    for ts in [at(1, 10, 10), at(1, 10, 30), at(1, 10, 50), at(1, 11, 1)] {
        world.probes(ts, units_for_a_thousand);
    }
    // 1000 / 100, then / 25, then / 24; the print of 24 has the dividend in it already.
    assert_eq!(
        world.run()?.probed(),
        ["d1 10:10 10 units", "d1 10:30 40 units", "d1 10:50 41 units", "d1 11:01 41 units"]
    );
    Ok(())
}

#[test]
fn a_fraction_of_equity_is_exact_to_the_last_unit() -> TestResult {
    let mut world = delayed();
    world.cash("1000.000000000000000003")?;
    world.probes(at(1, 10, 1), |api| {
        let third = Decimal { mantissa: 3_333, exponent: 4 };
        fraction_of_equity(api.plan, api.state, BookId(0), third).map_or_else(|e| e.message, |cash| cash.0.to_string())
    });
    // 1000.000000000000000003 x 0.3333 = 333.3000000000000000009999, rounded toward zero.
    assert_eq!(world.run()?.probed(), ["d1 10:01 333300000000000000000"]);
    Ok(())
}

#[test]
fn a_signal_is_readable_from_its_arrival_on_and_calls_the_strategy() -> TestResult {
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 0), flat(100.0)), minute_bar("AAA", at(1, 10, 4), flat(100.0))]);
    world.signal(at(1, 10, 2), at(1, 10, 0), "AAA", "m", 0.25);
    world.signal(at(1, 10, 3), at(1, 10, 1), "AAA", "m", 0.75);
    for ts in [at(1, 10, 1), at(1, 10, 2), at(1, 10, 3), at(1, 10, 5)] {
        world.probes(ts, last_score);
    }
    let run = world.run()?;
    assert_eq!(run.probed(), ["d1 10:01 nothing", "d1 10:02 score 0.25", "d1 10:03 score 0.75", "d1 10:05 score 0.75"]);
    assert_eq!(run.called(), ["d1 10:01", "d1 10:02", "d1 10:03", "d1 10:05"]);
    Ok(())
}

#[test]
fn a_signal_that_arrives_with_a_bar_is_seen_in_the_same_call() -> TestResult {
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 0), flat(100.0)), minute_bar("AAA", at(1, 10, 1), flat(103.0))]);
    world.signal(at(1, 10, 1), at(1, 10, 0), "AAA", "m", 0.5);
    world.probes(at(1, 10, 1), last_score).probes(at(1, 10, 1), last_close);
    world.sends(at(1, 10, 1), buy("AAA", 1));
    let run = world.run()?;
    assert_eq!(run.probed(), ["d1 10:01 score 0.5", "d1 10:01 close 100"]);
    assert_eq!(run.called(), ["d1 10:01", "d1 10:02"], "one call an instant");
    assert_eq!(run.fills(), ["d1 10:01 #1 AAA buy 1 @ 103 open"]);
    Ok(())
}

#[test]
fn signals_of_two_models_and_instruments_do_not_mix() -> TestResult {
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 0), flat(1.0)), minute_bar("BBB", at(1, 10, 0), flat(1.0))]);
    let ts = at(1, 10, 0);
    world.signal(ts, ts, "BBB", "second", 4.0).signal(ts, ts, "AAA", "first", 1.0).signal(ts, ts, "AAA", "second", 2.0);
    world.probes(ts, |api| {
        let score = |i, name| match (api.state.signal_row(api.plan, i, name), &api.plan.signals) {
            (Some(row), Some(signals)) => signals.score[row].to_string(),
            _ => "-".to_owned(),
        };
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, name)| score(i, name)).join(" ")
    });
    assert_eq!(world.run()?.probed(), ["d1 10:00 1 2 - 4"]);
    Ok(())
}

#[test]
fn a_timer_calls_the_strategy_between_rows_and_its_orders_meet_the_next_open() -> TestResult {
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 0), flat(100.0)), minute_bar("AAA", at(1, 10, 5), flat(105.0))]);
    let between = at(1, 10, 3);
    world.timers(&[between, at(1, 10, 5), at(2, 0, 0)]);
    world.sends(between, buy("AAA", 1)).sends(at(1, 10, 5), buy("AAA", 2));
    let run = world.run()?;
    assert_eq!(run.called(), ["d1 10:01", "d1 10:03", "d1 10:05", "d1 10:06"], "the run ends with the data");
    assert_eq!(
        run.fills(),
        ["d1 10:05 #1 AAA buy 1 @ 105 open", "d1 10:05 #2 AAA buy 2 @ 105 open"],
        "a timer at the instant of an open comes before the open"
    );
    Ok(())
}

#[test]
fn a_timer_in_the_past_or_present_is_refused() -> TestResult {
    let world = delayed();
    let (mut run, _) = world.start()?;
    assert!(run.begin()?);
    let now = run.state.now;
    assert!(run.api().state.add_timers(&[now], 0).is_err());
    assert!(run.api().state.add_timers(&[now - 1], 0).is_err());
    assert!(run.api().state.add_timers(&[now + 1], 0).is_ok());
    Ok(())
}

#[test]
fn rows_of_several_sources_at_one_instant_are_handed_out_quote_trade_bar() -> TestResult {
    let mut world = World::new();
    world.bars("b", &[minute_bar("AAA", at(1, 10, 0), flat(100.0))]);
    world.trades("t", &[("BBB", at(1, 10, 1), 10.0, 1.0)]);
    world.quotes("q", &[("CCC", at(1, 10, 1), [1.0, 2.0], [1.0, 1.0])]);
    world.probes(at(1, 10, 1), |api| {
        let names = api.state.blocks.iter().map(|b| api.plan.feeds[b.feed].data.name.as_str());
        names.collect::<Vec<_>>().join(" ")
    });
    assert_eq!(world.run()?.probed(), ["d1 10:01 q t b"]);
    Ok(())
}

#[test]
fn a_series_of_the_whole_market_is_readable_from_its_time_on() -> TestResult {
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 0), flat(100.0)), minute_bar("AAA", at(1, 10, 1), flat(100.0))]);
    world.context("vix", "close", &[(at(1, 10, 1), 17.5), (at(1, 10, 1) + 30 * SECOND, 18.25)]);
    let level: crate::common::Probe = |api| {
        let row = api.state.readable_row(api.plan, 1, 0);
        row.map_or_else(|| "nothing".to_owned(), |row| api.plan.feeds[1].value(0, row).to_string())
    };
    world.timers(&[at(1, 10, 0)]);
    for ts in [at(1, 10, 0), at(1, 10, 1), at(1, 10, 1) + 30 * SECOND, at(1, 10, 2)] {
        world.probes(ts, level);
    }
    assert_eq!(world.run()?.probed(), ["d1 10:00 nothing", "d1 10:01 17.5", "d1 10:01:30 18.25", "d1 10:02 18.25"]);
    Ok(())
}

#[test]
fn rows_that_arrive_late_are_handed_out_once_and_by_arrival() -> TestResult {
    let mut world = World::new();
    let late = at(1, 10, 5);
    world.late_bars(
        "1m",
        &[
            (minute_bar("AAA", at(1, 10, 0), flat(1.0)), late),
            (minute_bar("BBB", at(1, 10, 0), flat(2.0)), at(1, 10, 1)),
            (minute_bar("BBB", at(1, 10, 4), flat(3.0)), late),
        ],
    );
    let rows: crate::common::Probe = |api| {
        let rows = api.state.blocks.iter().flat_map(|&b| b.rows(api.plan));
        rows.map(|row| format!("{}", api.plan.feeds[0].value(bar::CLOSE, row))).collect::<Vec<_>>().join(" ")
    };
    world.probes(at(1, 10, 1), rows).probes(late, rows);
    let run = world.run()?;
    assert_eq!(run.probed(), ["d1 10:01 2", "d1 10:05 1 3"]);
    assert_eq!(run.called(), ["d1 10:01", "d1 10:05"]);
    Ok(())
}

#[test]
fn feeds_that_could_leak_or_contradict_themselves_are_refused() {
    let early = |rows: &[_]| {
        let mut world = World::new();
        world.late_bars("1m", rows);
        world.plan().map_err(|e| e.message).err().unwrap_or_default()
    };
    let arrives_before = early(&[(minute_bar("AAA", at(1, 10, 0), flat(1.0)), at(1, 10, 0))]);
    assert!(arrives_before.contains("AAA") && arrives_before.contains("before ts_event"), "{arrives_before}");
    let overlaps = early(&[
        (minute_bar("AAA", at(1, 10, 0), flat(1.0)), at(1, 10, 1)),
        (minute_bar("AAA", at(1, 10, 0) + 30 * SECOND, flat(1.0)), at(1, 10, 2)),
    ]);
    assert!(overlaps.contains("AAA") && overlaps.contains("overlaps"), "{overlaps}");
    let mut world = World::new();
    world.bars("1m", &[("AAA", at(1, 10, 1), at(1, 10, 1), flat(1.0), 1.0)]);
    assert!(world.plan().is_err(), "a bar that closes when it opens");
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 0), flat(1.0))]);
    world.signal(at(1, 10, 0), at(1, 10, 1), "AAA", "m", 1.0);
    assert!(world.plan().is_err(), "a signal that arrives before its event");
}
