//! Orders and sessions: what a DAY order lives through, early closes, NAV, warm-up, the end of the data.

use crate::common::{SECOND, TestResult, World, at, buy, day_bar, flat, minute_bar, sell};

const NO_FILLS: [&str; 0] = [];

fn daily(days: std::ops::RangeInclusive<i64>) -> World {
    let mut world = World::new();
    let rows: Vec<_> = days.map(|day| day_bar("AAA", day, [100.0, 102.0, 98.0, 100.0])).collect();
    world.bars("1d", &rows);
    world
}

#[test]
fn a_day_order_accepted_at_a_close_belongs_to_the_next_session() -> TestResult {
    let mut world = daily(1..=3);
    world.sends(at(1, 16, 0), buy("AAA", 10).limit("90").day());
    let run = world.run()?;
    assert_eq!(run.life(1), ["d1 16:00 submitted", "d1 16:00 accepted", "d2 16:00 expired SESSION_CLOSED"]);
    assert_eq!(run.fills(), NO_FILLS);
    Ok(())
}

#[test]
fn a_day_order_of_daily_data_meets_one_bar_and_may_fill_at_its_very_end() -> TestResult {
    let mut world = daily(1..=3);
    world.sends(at(1, 16, 0), buy("AAA", 10).limit("98").day());
    assert_eq!(world.run()?.fills(), ["d2 16:00 #1 AAA buy 10 @ 98 range"]);
    Ok(())
}

#[test]
fn a_good_till_canceled_order_crosses_closes_until_it_fills() -> TestResult {
    let mut world = daily(1..=2);
    world.bars("1d", &[day_bar("AAA", 3, flat(100.0)), day_bar("AAA", 4, [100.0, 100.0, 89.0, 95.0])]);
    world.sends(at(1, 16, 0), buy("AAA", 10).limit("90"));
    assert_eq!(world.run()?.fills(), ["d4 16:00 #1 AAA buy 10 @ 90 range"]);
    Ok(())
}

#[test]
fn a_day_order_sent_within_a_session_expires_at_its_close_although_nothing_trades_then() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1m",
        &[
            minute_bar("AAA", at(1, 10, 0), flat(100.0)),
            minute_bar("AAA", at(1, 10, 1), flat(100.0)),
            minute_bar("AAA", at(2, 10, 0), flat(80.0)),
        ],
    );
    world.sends(at(1, 10, 1), buy("AAA", 10).limit("90").day());
    let run = world.run()?;
    assert_eq!(run.end_of(1), "d1 16:00 expired SESSION_CLOSED");
    assert_eq!(run.fills(), NO_FILLS, "the market of the next day came too late");
    Ok(())
}

#[test]
fn a_day_order_sent_between_sessions_belongs_to_the_next_one() -> TestResult {
    let mut world = daily(1..=3);
    world.signal(at(1, 20, 0), at(1, 20, 0), "AAA", "m", 1.0);
    world.sends(at(1, 20, 0), buy("AAA", 10).limit("90").day());
    assert_eq!(world.run()?.life(1), ["d1 20:00 submitted", "d1 20:00 accepted", "d2 16:00 expired SESSION_CLOSED"]);
    Ok(())
}

#[test]
fn an_early_close_ends_a_day_order_early() -> TestResult {
    let mut world = World::new();
    world.calendar("main", &[(1, at(1, 9, 30), at(1, 13, 0)), (2, at(2, 9, 30), at(2, 16, 0))]);
    world.bars(
        "1m",
        &[
            minute_bar("AAA", at(1, 12, 0), flat(100.0)),
            minute_bar("AAA", at(1, 12, 59), flat(100.0)),
            minute_bar("AAA", at(1, 13, 30), flat(80.0)),
            minute_bar("AAA", at(2, 12, 0), flat(100.0)),
        ],
    );
    world.sends(at(1, 12, 1), buy("AAA", 10).limit("90").day());
    // At the early close itself: the next session, which closes at the usual time.
    world.sends(at(1, 13, 0), buy("AAA", 10).limit("70").day());
    let run = world.run()?;
    assert_eq!(run.end_of(1), "d1 13:00 expired SESSION_CLOSED");
    assert_eq!(run.end_of(2), "d2 12:01 canceled END_OF_DATA");
    // The data end inside the second session: their last value is its NAV.
    assert_eq!(run.navs(), ["d1 13:00 nav 10000", "d2 12:01 nav 10000"]);
    Ok(())
}

#[test]
fn a_day_order_lives_by_the_calendar_of_its_instrument_and_nav_by_the_nav_calendar() -> TestResult {
    let mut world = World::new();
    let nights: Vec<(i64, i64, i64)> = (1..=3).map(|day| (day, at(day, 0, 0), at(day + 1, 0, 0))).collect();
    world.calendar("24/7", &nights);
    world.instrument("BTC", |spec| spec.calendar = "24/7");
    let coin = |day| ("BTC", at(day, 0, 0), at(day + 1, 0, 0), [100.0, 102.0, 98.0, 100.0], 1_000.0);
    world.bars("1d", &[coin(1), day_bar("AAA", 1, flat(10.0)), coin(2), day_bar("AAA", 2, flat(10.0)), coin(3)]);
    world.sends(at(1, 16, 0), buy("AAA", 1).limit("9").day()).sends(at(1, 16, 0), buy("BTC", 1).limit("90").day());
    let run = world.run()?;
    assert_eq!(run.end_of(1), "d2 16:00 expired SESSION_CLOSED");
    assert_eq!(run.end_of(2), "d2 00:00 expired SESSION_CLOSED");
    assert_eq!(run.navs(), ["d1 16:00 nav 10000", "d2 16:00 nav 10000", "d3 16:00 nav 10000"]);
    world.nav_calendar = "24/7";
    assert_eq!(world.run()?.navs(), ["d2 00:00 nav 10000", "d3 00:00 nav 10000", "d4 00:00 nav 10000"]);
    Ok(())
}

#[test]
fn a_session_without_any_row_has_a_nav_at_the_last_marks() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1d",
        &[
            day_bar("AAA", 1, flat(100.0)),
            day_bar("AAA", 2, [100.0, 105.0, 100.0, 105.0]),
            day_bar("AAA", 5, flat(110.0)),
        ],
    );
    world.sends(at(1, 16, 0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(
        run.navs(),
        ["d1 16:00 nav 10000", "d2 16:00 nav 10050", "d3 16:00 nav 10050", "d4 16:00 nav 10050", "d5 16:00 nav 10100"]
    );
    let positions: Vec<(i32, i64, i128)> =
        run.recorder().positions().map(|p| (p.session, p.quantity, p.value.0 / 1_000_000_000_000_000_000)).collect();
    assert_eq!(positions, [(2, 10, 1050), (3, 10, 1050), (4, 10, 1050), (5, 10, 1100)]);
    Ok(())
}

#[test]
fn returns_are_taken_from_one_nav_to_the_next() -> TestResult {
    let mut world = World::new();
    world.cash("1000")?;
    world.bars(
        "1d",
        &[
            day_bar("AAA", 1, flat(100.0)),
            day_bar("AAA", 2, [100.0, 150.0, 100.0, 150.0]),
            day_bar("AAA", 3, [150.0, 150.0, 75.0, 75.0]),
        ],
    );
    world.sends(at(1, 16, 0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.navs(), ["d1 16:00 nav 1000", "d2 16:00 nav 1500", "d3 16:00 nav 750"]);
    Ok(())
}

#[test]
fn orders_are_refused_before_the_strategy_is_warm() -> TestResult {
    let mut world = daily(1..=4);
    world.warm_from = at(2, 16, 0);
    world.signal(at(2, 12, 0), at(2, 12, 0), "AAA", "m", 1.0);
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(2, 12, 0), buy("AAA", 10)).sends(at(2, 16, 0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.life(1), ["d1 16:00 submitted", "d1 16:00 rejected WARM_UP"]);
    assert_eq!(run.life(2), ["d2 12:00 submitted", "d2 12:00 rejected WARM_UP"]);
    assert_eq!(run.fills(), ["d3 09:30 #3 AAA buy 10 @ 100 open"]);
    assert!(run.reason(1).contains("AAA"), "the sentence names the instrument: {}", run.reason(1));
    Ok(())
}

#[test]
fn what_still_works_when_the_data_ends_is_canceled_and_says_why() -> TestResult {
    let mut world = daily(1..=2);
    world.sends(at(1, 16, 0), buy("AAA", 10).limit("50")).sends(at(2, 16, 0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.end_of(1), "d2 16:00 canceled END_OF_DATA");
    assert_eq!(
        run.life(2),
        ["d2 16:00 submitted", "d2 16:00 accepted", "d2 16:00 canceled END_OF_DATA"],
        "an order on the last close gets its answers, and no price"
    );
    Ok(())
}

#[test]
fn an_order_whose_latency_outlives_the_data_is_canceled_at_its_end() -> TestResult {
    let mut world = daily(1..=2);
    world.latency = 30 * 24 * 3600 * SECOND;
    world.sends(at(1, 16, 0), buy("AAA", 10));
    assert_eq!(world.run()?.end_of(1), "d2 16:00 canceled END_OF_DATA");
    Ok(())
}

#[test]
fn a_position_held_at_the_end_stays_in_the_books_at_its_last_mark() -> TestResult {
    let mut world = daily(1..=3);
    world.sends(at(1, 16, 0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.position("AAA"), "10 costing 1000 marked 100");
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 10000"));
    assert_eq!(run.round_trips(), NO_FILLS);
    Ok(())
}

#[test]
fn a_day_order_that_filled_or_was_canceled_does_not_expire() -> TestResult {
    let mut world = daily(1..=3);
    world.signal(at(2, 12, 0), at(2, 12, 0), "AAA", "m", 1.0);
    world.sends(at(1, 16, 0), buy("AAA", 10).day()).sends(at(1, 16, 0), buy("AAA", 10).limit("50").day());
    world.cancels(at(2, 12, 0), 2);
    let run = world.run()?;
    assert_eq!(run.end_of(1), "d2 09:30 filled");
    assert_eq!(run.end_of(2), "d2 12:00 canceled CANCELED_BY_REQUEST");
    Ok(())
}

#[test]
fn an_order_canceled_in_the_call_that_sent_it_is_accepted_first() -> TestResult {
    let mut world = daily(1..=2);
    world.sends(at(1, 16, 0), buy("AAA", 10)).cancels(at(1, 16, 0), 1);
    let run = world.run()?;
    assert_eq!(run.life(1), ["d1 16:00 submitted", "d1 16:00 accepted", "d1 16:00 canceled CANCELED_BY_REQUEST"]);
    assert_eq!(run.script.canceled, [true]);
    Ok(())
}

#[test]
fn a_cancel_at_the_instant_of_an_open_is_in_time_and_a_cancel_of_a_filled_order_is_not() -> TestResult {
    let mut world = daily(1..=3);
    world.signal(at(2, 9, 30), at(2, 9, 30), "AAA", "m", 1.0);
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(1, 16, 0), buy("AAA", 1));
    world.cancels(at(2, 9, 30), 1).cancels(at(2, 16, 0), 2);
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 09:30 #2 AAA buy 1 @ 100 open"]);
    assert_eq!(run.end_of(1), "d2 09:30 canceled CANCELED_BY_REQUEST");
    assert_eq!(run.script.canceled, [true, false]);
    Ok(())
}

#[test]
fn a_day_sell_stop_guards_one_session_only() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1d",
        &[
            day_bar("AAA", 1, flat(100.0)),
            day_bar("AAA", 2, flat(100.0)),
            day_bar("AAA", 3, flat(100.0)),
            day_bar("AAA", 4, [100.0, 100.0, 80.0, 90.0]),
        ],
    );
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(2, 16, 0), sell("AAA", 10).stop("95").day());
    let run = world.run()?;
    assert_eq!(run.end_of(2), "d3 16:00 expired SESSION_CLOSED");
    assert_eq!(run.position("AAA"), "10 costing 1000 marked 90");
    Ok(())
}
