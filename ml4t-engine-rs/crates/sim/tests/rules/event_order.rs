//! What happened when: a decision meets what begins after it, never what it was made from.

use crate::common::{DAY, HOUR, MINUTE, SECOND, TestResult, World, at, buy, day_bar, flat, minute_bar, sell, volume};
use ml4t_sim::currency::BASE;
use ml4t_sim::ledger::Account;
use ml4t_sim::models::{builtin_fill, builtin_slippage};
use ml4t_sim::plan::RecordCadence;
use ml4t_sim::policies::{FillTiming, InsufficientCash};

/// Two minutes of one stock; the numbers of the concept page.
fn two_minutes() -> World {
    let mut world = World::new();
    world.bars(
        "1m",
        &[
            minute_bar("AAA", at(1, 10, 30), [100.0, 100.4, 99.9, 100.3]),
            minute_bar("AAA", at(1, 10, 31), [100.32, 100.6, 100.1, 100.5]),
        ],
    );
    world
}

#[test]
fn a_decision_on_the_close_of_a_minute_fills_at_the_open_of_the_minute_that_begins_then() -> TestResult {
    let mut world = two_minutes();
    world.sends(at(1, 10, 31), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:31 #1 AAA buy 10 @ 100.32 open"]);
    assert_eq!(run.life(1), ["d1 10:31 submitted", "d1 10:31 accepted", "d1 10:31 filled"]);
    assert_eq!(run.cash(), "8996.8");
    Ok(())
}

#[test]
fn a_decision_on_the_close_of_a_day_fills_at_the_open_of_the_next_session() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1d",
        &[
            day_bar("AAA", 1, flat(100.0)),
            day_bar("AAA", 2, [101.5, 103.0, 101.0, 102.0]),
            day_bar("AAA", 3, flat(102.0)),
        ],
    );
    world.sends(at(1, 16, 0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 09:30 #1 AAA buy 10 @ 101.5 open"]);
    assert_eq!(run.life(1), ["d1 16:00 submitted", "d1 16:00 accepted", "d2 09:30 filled"]);
    Ok(())
}

#[test]
fn a_market_that_never_closes_fills_a_daily_decision_at_the_midnight_it_was_made() -> TestResult {
    let mut world = World::new();
    let bar = |day, price| ("BTC", at(day, 0, 0), at(day + 1, 0, 0), flat(price), 1_000.0);
    world.bars("1d", &[bar(1, 100.0), bar(2, 107.0), bar(3, 109.0)]);
    world.sends(at(2, 0, 0), buy("BTC", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 00:00 #1 BTC buy 10 @ 107 open"]);
    Ok(())
}

#[test]
fn an_order_sent_inside_an_open_bar_is_not_filled_by_that_bar() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1m",
        &[
            minute_bar("AAA", at(1, 10, 30), flat(100.0)),
            minute_bar("AAA", at(1, 10, 31), [100.0, 101.0, 80.0, 100.0]),
            minute_bar("AAA", at(1, 10, 32), [100.0, 101.0, 85.0, 100.0]),
        ],
    );
    let inside = at(1, 10, 31) + 30 * SECOND;
    world.signal(inside, inside, "AAA", "m", 1.0);
    world.sends(inside, buy("AAA", 10).limit("90")).sends(inside, buy("AAA", 5));
    let run = world.run()?;
    assert_eq!(
        run.fills(),
        ["d1 10:32 #2 AAA buy 5 @ 100 open", "d1 10:33 #1 AAA buy 10 @ 90 range"],
        "the bar that was open at 10:31:30 went to 80, but maybe before the order was there"
    );
    Ok(())
}

#[test]
fn a_cancel_sent_inside_an_open_bar_keeps_that_bar_from_filling_the_order() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1m",
        &[minute_bar("AAA", at(1, 10, 30), flat(100.0)), minute_bar("AAA", at(1, 10, 31), [100.0, 101.0, 80.0, 100.0])],
    );
    let inside = at(1, 10, 31) + 30 * SECOND;
    world.signal(inside, inside, "AAA", "m", 1.0);
    world.sends(at(1, 10, 31), buy("AAA", 10).limit("90")).cancels(inside, 1);
    let run = world.run()?;
    assert_eq!(run.fills(), [""; 0]);
    assert_eq!(run.end_of(1), "d1 10:31:30 canceled CANCELED_BY_REQUEST");
    Ok(())
}

#[test]
fn a_market_order_sent_after_the_opens_of_an_instant_waits_for_the_next_open() -> TestResult {
    let mut world = two_minutes();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 32), flat(100.7))]);
    world.sends(at(1, 10, 31), buy("AAA", 10)).sends_after_opens(at(1, 10, 31), sell("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:31 #1 AAA buy 10 @ 100.32 open", "d1 10:32 #2 AAA sell 10 @ 100.7 open"]);
    Ok(())
}

#[test]
fn a_limit_order_sent_after_the_opens_of_an_instant_is_not_filled_by_the_bar_that_opened_then() -> TestResult {
    let mut world = two_minutes();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 32), [100.5, 100.6, 100.1, 100.5])]);
    world.sends(at(1, 10, 31), buy("AAA", 10));
    // As from `on_fill`: the bar of 10:31 is open by now, so it is a bar that the order came into.
    world.sends_after_opens(at(1, 10, 31), sell("AAA", 10).limit("100.55"));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:31 #1 AAA buy 10 @ 100.32 open", "d1 10:33 #2 AAA sell 10 @ 100.55 range"]);
    Ok(())
}

#[test]
fn an_order_sent_after_the_opens_never_joins_a_fill_at_that_open_which_is_booked_later() -> TestResult {
    let mut world = two_minutes();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 32), flat(100.7))]);
    world.models.fill = builtin_fill("default", &crate::common::params(&[("volume_limit", 0.5)]))?;
    world.sends(at(1, 10, 31), buy("AAA", 10)).sends_after_opens(at(1, 10, 31), buy("AAA", 5));
    let run = world.run()?;
    assert_eq!(
        run.fills(),
        ["d1 10:32 #1 AAA buy 10 @ 100.32 open", "d1 10:33 #2 AAA buy 5 @ 100.7 open"],
        "the open of 10:31 was history when the second order was sent"
    );
    Ok(())
}

#[test]
fn latency_that_ends_inside_a_bar_leaves_that_bar_out() -> TestResult {
    let mut world = two_minutes();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 32), flat(100.7))]);
    world.latency = 30 * SECOND;
    world.sends(at(1, 10, 31), buy("AAA", 10)).sends(at(1, 10, 31), buy("AAA", 3).limit("100.2"));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:32 #1 AAA buy 10 @ 100.7 open"]);
    assert_eq!(run.life(1), ["d1 10:31 submitted", "d1 10:31 accepted", "d1 10:32 filled"]);
    Ok(())
}

#[test]
fn latency_that_ends_exactly_at_an_open_makes_that_open() -> TestResult {
    let mut world = two_minutes();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 32), flat(100.7))]);
    world.latency = MINUTE;
    world.sends(at(1, 10, 31), buy("AAA", 10));
    assert_eq!(world.run()?.fills(), ["d1 10:32 #1 AAA buy 10 @ 100.7 open"]);
    world.latency = MINUTE + 1;
    let run = world.run()?;
    assert_eq!(run.fills(), [""; 0], "a nanosecond more and the open is missed");
    assert_eq!(run.end_of(1), "d1 10:33 canceled END_OF_DATA");
    Ok(())
}

#[test]
fn a_cancel_travels_as_long_as_an_order() -> TestResult {
    // A limit of 90 works when the bar of 10:31 opens; the bar goes down to 80.
    let mut world = World::new();
    let dips = [100.0, 100.0, 80.0, 100.0];
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 29), flat(100.0)), minute_bar("AAA", at(1, 10, 30), flat(100.0))]);
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 31), dips), minute_bar("AAA", at(1, 10, 32), flat(100.0))]);
    world.sends(at(1, 10, 30), buy("AAA", 10).limit("90")).cancels(at(1, 10, 31), 1);
    world.latency = 30 * SECOND;
    let in_time = world.run()?;
    assert_eq!(in_time.end_of(1), "d1 10:31:30 canceled CANCELED_BY_REQUEST");
    assert_eq!(in_time.fills(), [""; 0], "a bar that is open when the cancel arrives fills nothing");
    world.latency = MINUTE + SECOND;
    let mut late = world.clone();
    late.bars("1m", &[minute_bar("AAA", at(1, 10, 33), dips), minute_bar("AAA", at(1, 10, 34), flat(100.0))]);
    let run = late.run()?;
    // Active at 10:31:01, so the bar of 10:31 is not for it; the cancel arrives at 10:32:01, before the bar of 10:33.
    assert_eq!(run.end_of(1), "d1 10:32:01 canceled CANCELED_BY_REQUEST");
    assert_eq!(run.script.canceled, [true]);
    Ok(())
}

#[test]
fn a_cancel_that_arrives_with_a_quote_comes_after_it() -> TestResult {
    let mut world = World::new();
    let second = |k| at(1, 10, 0) + k * SECOND;
    let quote = |k, ask| ("AAA", second(k), [90.0, ask], [9.0, 9.0]);
    world.quotes("quotes", &[quote(0, 101.0), quote(1, 101.0), quote(2, 101.0), quote(3, 99.0), quote(4, 99.0)]);
    world.latency = 2 * SECOND - 1;
    world.sends(second(0), buy("AAA", 1).limit("100")).cancels(second(1), 1);
    // The cancel is at the venue a nanosecond before the quote of the third second.
    assert_eq!(world.run()?.fills(), [""; 0]);
    world.latency = 2 * SECOND;
    assert_eq!(world.run()?.fills(), ["d1 10:00:03 #1 AAA buy 1 @ 99 quote"], "what ended comes first");
    Ok(())
}

#[test]
fn a_missing_bar_leaves_an_order_waiting_for_the_next_one_there_is() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1d",
        &[
            day_bar("AAA", 1, flat(100.0)),
            day_bar("BBB", 1, flat(10.0)),
            day_bar("BBB", 2, flat(11.0)),
            day_bar("AAA", 3, flat(103.0)),
            day_bar("BBB", 3, flat(12.0)),
        ],
    );
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(1, 16, 0), buy("BBB", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 09:30 #2 BBB buy 10 @ 11 open", "d3 09:30 #1 AAA buy 10 @ 103 open"]);
    Ok(())
}

#[test]
fn the_strategy_is_called_for_readable_data_and_not_for_opens() -> TestResult {
    let mut world = World::new();
    world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, flat(100.0)), day_bar("AAA", 3, flat(100.0))]);
    // A held position and a working order make the engine visit every open.
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(1, 16, 0), buy("AAA", 10).limit("50"));
    let run = world.run()?;
    assert_eq!(run.called(), ["d1 16:00", "d2 16:00", "d3 16:00"]);
    Ok(())
}

#[test]
fn what_the_strategy_sees_of_its_account_does_not_include_the_open_of_the_same_instant() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1m",
        &[
            minute_bar("AAA", at(1, 10, 30), flat(100.0)),
            minute_bar("AAA", at(1, 10, 31), flat(100.0)),
            minute_bar("AAA", at(1, 10, 32), flat(130.0)),
        ],
    );
    world.sends(at(1, 10, 31), buy("AAA", 10));
    world.probes(at(1, 10, 32), |api| {
        let book = &api.state.books[0];
        format!("long {} cash {}", book.purse(BASE).long_value.0 / 10_i128.pow(18), book.cash().0 / 10_i128.pow(18))
    });
    let run = world.run()?;
    assert_eq!(run.probed(), ["d1 10:32 long 1000 cash 9000"]);
    // Recorded after the opens of the instant: the position already stands at 130.
    assert_eq!(run.equity(), ["d1 10:31 10000", "d1 10:32 10300", "d1 10:33 nav 10300"]);
    Ok(())
}

#[test]
fn the_nav_of_a_session_does_not_see_the_open_that_follows_at_once() -> TestResult {
    let mut world = World::new();
    let sessions: Vec<(i64, i64, i64)> = (1..=3).map(|day| (day, day * DAY, (day + 1) * DAY)).collect();
    world.calendar("24/7", &sessions);
    world.nav_calendar = "24/7";
    let bar = |day, prices: [f64; 4]| ("BTC", at(day, 0, 0), at(day + 1, 0, 0), prices, 1_000.0);
    world.bars("1d", &[bar(1, flat(100.0)), bar(2, [100.0, 110.0, 100.0, 110.0]), bar(3, flat(500.0))]);
    world.sends(at(2, 0, 0), buy("BTC", 10));
    let run = world.run()?;
    assert_eq!(run.navs(), ["d2 00:00 nav 10000", "d3 00:00 nav 10100", "d4 00:00 nav 14000"]);
    Ok(())
}

#[test]
fn a_position_that_opens_at_the_open_is_marked_at_the_open_and_not_at_what_was_paid() -> TestResult {
    let mut world = two_minutes();
    world.models.slippage = builtin_slippage("fixed_fraction", &crate::common::params(&[("fraction", 0.25)]))?;
    world.sends(at(1, 10, 31), buy("AAA", 10));
    let run = world.run()?;
    // 100.32 x 1.25 = 125.4 is paid for what is worth 100.32 at that moment: 250.8 are gone at once.
    assert_eq!(run.fills(), ["d1 10:31 #1 AAA buy 10 @ 125.4 open"]);
    assert_eq!(run.equity(), ["d1 10:31 9749.2", "d1 10:32 nav 9751"]);
    Ok(())
}

#[test]
fn a_position_that_opens_on_the_decision_close_is_marked_at_that_close() -> TestResult {
    let mut world = World::new();
    world.policies.fill_timing = FillTiming::SameClose;
    world.models.slippage = builtin_slippage("fixed_fraction", &crate::common::params(&[("fraction", 0.25)]))?;
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 30), flat(100.0)), minute_bar("AAA", at(1, 10, 35), flat(104.0))]);
    world.sends(at(1, 10, 31), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:31 #1 AAA buy 10 @ 125 close"]);
    assert_eq!(run.equity(), ["d1 10:31 9750", "d1 10:36 nav 9790"]);
    Ok(())
}

#[test]
fn a_position_entered_again_is_not_valued_at_the_mark_of_its_earlier_life() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1m",
        &[
            minute_bar("AAA", at(1, 10, 30), flat(100.0)),
            minute_bar("AAA", at(1, 10, 31), flat(100.0)),
            minute_bar("AAA", at(1, 10, 32), flat(100.0)),
            minute_bar("AAA", at(1, 10, 33), flat(150.0)),
            minute_bar("AAA", at(1, 10, 34), flat(150.0)),
        ],
    );
    world
        .sends(at(1, 10, 31), buy("AAA", 10))
        .sends(at(1, 10, 32), sell("AAA", 10))
        .sends(at(1, 10, 34), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(
        run.equity(),
        ["d1 10:31 10000", "d1 10:32 10000", "d1 10:33 10000", "d1 10:34 10000", "d1 10:35 nav 10000"],
        "bought at 150 and worth 150: nothing was lost"
    );
    Ok(())
}

#[test]
fn a_held_position_is_marked_at_every_open_and_close_of_its_own_feed() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1m",
        &[minute_bar("AAA", at(1, 10, 30), flat(100.0)), minute_bar("AAA", at(1, 10, 31), [101.0, 104.0, 99.0, 103.0])],
    );
    // The second instrument only makes instants at which the account is recorded.
    world.bars(
        "other",
        &[
            minute_bar("ZZZ", at(1, 10, 30), flat(1.0)),
            ("ZZZ", at(1, 10, 31), at(1, 10, 31) + 30 * SECOND, flat(1.0), 1.0),
            ("ZZZ", at(1, 10, 31) + 30 * SECOND, at(1, 10, 32), flat(1.0), 1.0),
        ],
    );
    world.sends(at(1, 10, 31), buy("AAA", 10));
    let run = world.run()?;
    // Bought at 101; 103 is the close at 10:32; nothing between open and close moves the mark.
    assert_eq!(run.equity(), ["d1 10:31 10000", "d1 10:31:30 10000", "d1 10:32 nav 10020"]);
    assert_eq!(run.position("AAA"), "10 costing 1010 marked 103");
    Ok(())
}

#[test]
fn a_feed_that_is_not_the_matching_source_neither_fills_nor_marks() -> TestResult {
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 30), flat(100.0)), minute_bar("AAA", at(1, 10, 31), flat(100.0))]);
    world.bars("5m", &[("AAA", at(1, 10, 30), at(1, 10, 35), [100.0, 100.0, 50.0, 60.0], 1.0)]);
    world.trades("prints", &[("AAA", at(1, 10, 31) + 20 * SECOND, 55.0, 100.0)]);
    world.instrument("AAA", |spec| spec.matching = Some("1m"));
    world.sends(at(1, 10, 31), buy("AAA", 10)).sends(at(1, 10, 31), buy("AAA", 10).limit("90"));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:31 #1 AAA buy 10 @ 100 open"]);
    assert_eq!(run.position("AAA"), "10 costing 1000 marked 100");
    Ok(())
}

#[test]
fn quotes_come_before_bars_that_end_at_the_same_instant() -> TestResult {
    // Cash for one of them. The limit order on the bar was sent first, but the quote of that instant comes first.
    let mut world = World::new();
    world.cash("1000")?;
    world.policies.insufficient_cash = InsufficientCash::Wait;
    world.bars(
        "1m",
        &[minute_bar("BBB", at(1, 10, 30), flat(100.0)), minute_bar("BBB", at(1, 10, 31), [101.0, 101.0, 90.0, 95.0])],
    );
    world.quotes(
        "quotes",
        &[("AAA", at(1, 10, 31), [99.0, 100.0], [9.0, 9.0]), ("AAA", at(1, 10, 32), [99.0, 100.0], [9.0, 9.0])],
    );
    world.sends(at(1, 10, 31), buy("BBB", 10).limit("100")).sends(at(1, 10, 31), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:32 #2 AAA buy 10 @ 100 quote"]);
    Ok(())
}

#[test]
fn fills_of_a_completed_bar_precede_the_expiry_of_that_instant() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1m",
        &[minute_bar("AAA", at(1, 15, 58), flat(100.0)), minute_bar("AAA", at(1, 15, 59), [100.0, 100.0, 90.0, 95.0])],
    );
    world.sends(at(1, 15, 59), buy("AAA", 10).limit("92").day()).sends(at(1, 15, 59), buy("AAA", 10).limit("80").day());
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 16:00 #1 AAA buy 10 @ 92 range"]);
    assert_eq!(run.end_of(2), "d1 16:00 expired SESSION_CLOSED");
    Ok(())
}

#[test]
fn a_buy_at_the_close_before_the_ex_date_is_not_entitled_unless_it_filled_before() -> TestResult {
    let mut world = World::new();
    world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, flat(99.0)), day_bar("AAA", 3, flat(99.0))]);
    world.dividend(2, "AAA", "1", at(2, 0, 0))?;
    // Decided at the close of day 1, filled at the open of the ex-date: too late.
    world.sends(at(1, 16, 0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 09:30 #1 AAA buy 10 @ 99 open"]);
    assert_eq!(run.balance(Account::Dividends), "0");
    Ok(())
}

#[test]
fn instants_without_readable_data_leave_no_portfolio_row_but_session_closes_do() -> TestResult {
    let mut world = World::new();
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 30), flat(100.0)), minute_bar("AAA", at(3, 10, 30), flat(100.0))]);
    let early = at(1, 12, 0);
    world.signal(early, early, "AAA", "m", 1.0);
    let run = world.run()?;
    assert_eq!(run.equity(), ["d1 10:31 10000", "d1 16:00 nav 10000", "d2 16:00 nav 10000", "d3 10:31 nav 10000"]);
    Ok(())
}

#[test]
fn the_record_cadence_thins_the_rows_and_keeps_every_session_close() -> TestResult {
    let mut world = World::new();
    let opens = [at(1, 9, 30), at(1, 9, 58), at(1, 9, 59), at(1, 10, 0), at(1, 10, 59), at(1, 15, 59)];
    let rows: Vec<_> = opens.iter().map(|&ts| minute_bar("AAA", ts, flat(100.0))).collect();
    world.bars("1m", &rows);
    world.record = RecordCadence::Every(HOUR);
    assert_eq!(
        world.run()?.equity(),
        ["d1 09:31 10000", "d1 10:00 10000", "d1 11:00 10000", "d1 16:00 nav 10000"],
        "the first row of each hour, and the close"
    );
    world.record = RecordCadence::Session;
    assert_eq!(world.run()?.equity(), ["d1 16:00 nav 10000"]);
    Ok(())
}

#[test]
fn next_close_fills_at_the_close_of_the_bar_after_the_decision() -> TestResult {
    let mut world = two_minutes();
    world.policies.fill_timing = FillTiming::NextClose;
    world.sends(at(1, 10, 31), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:32 #1 AAA buy 10 @ 100.5 close"]);
    Ok(())
}

#[test]
fn next_close_fills_a_daily_decision_at_the_close_of_the_next_session() -> TestResult {
    let mut world = World::new();
    world.policies.fill_timing = FillTiming::NextClose;
    world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, [90.0, 110.0, 80.0, 105.0])]);
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(1, 16, 0), buy("AAA", 1).limit("85"));
    let run = world.run()?;
    assert_eq!(
        run.fills(),
        ["d2 16:00 #2 AAA buy 1 @ 85 range", "d2 16:00 #1 AAA buy 10 @ 105 close"],
        "resting orders meet the range, which lies before the close"
    );
    Ok(())
}

#[test]
fn same_close_fills_at_the_close_the_decision_was_made_on() -> TestResult {
    let mut world = two_minutes();
    world.policies.fill_timing = FillTiming::SameClose;
    world.sends(at(1, 10, 31), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:31 #1 AAA buy 10 @ 100.3 close"]);
    assert_eq!(run.life(1), ["d1 10:31 submitted", "d1 10:31 accepted", "d1 10:31 filled"]);
    Ok(())
}

#[test]
fn same_close_is_no_way_into_a_bar_that_was_open_when_the_order_became_active() -> TestResult {
    // Sent inside the bar of 10:31, or sent at its open with a latency that ends inside it: the bar after it fills.
    let mut world = two_minutes();
    world.policies.fill_timing = FillTiming::SameClose;
    world.bars("1m", &[minute_bar("AAA", at(1, 10, 32), [100.5, 101.0, 100.0, 100.9])]);
    let mut late = world.clone();
    let inside = at(1, 10, 31) + 30 * SECOND;
    world.signal(inside, inside, "AAA", "m", 1.0);
    world.sends(inside, buy("AAA", 10));
    assert_eq!(world.run()?.fills(), ["d1 10:33 #1 AAA buy 10 @ 100.9 close"]);
    late.latency = 30 * SECOND;
    late.sends(at(1, 10, 31), buy("AAA", 10));
    assert_eq!(late.run()?.fills(), ["d1 10:33 #1 AAA buy 10 @ 100.9 close"]);
    Ok(())
}

#[test]
fn same_close_of_one_instrument_competes_for_cash_by_submission() -> TestResult {
    for (first, second) in [("AAA", "BBB"), ("BBB", "AAA")] {
        let mut world = World::new();
        world.cash("1000")?;
        world.policies.insufficient_cash = InsufficientCash::Partial;
        world.policies.fill_timing = FillTiming::SameClose;
        world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), day_bar("BBB", 1, flat(100.0))]);
        world.sends(at(1, 16, 0), buy(first, 7)).sends(at(1, 16, 0), buy(second, 7));
        let run = world.run()?;
        assert_eq!(
            run.fills(),
            [format!("d1 16:00 #1 {first} buy 7 @ 100 close"), format!("d1 16:00 #2 {second} buy 3 @ 100 close")]
        );
    }
    Ok(())
}

#[test]
fn the_open_of_a_bar_becomes_the_mark_whether_or_not_the_bar_will_have_volume() -> TestResult {
    let mut world = World::new();
    world.bars(
        "1m",
        &[
            minute_bar("AAA", at(1, 10, 30), flat(100.0)),
            minute_bar("AAA", at(1, 10, 31), flat(100.0)),
            volume(minute_bar("AAA", at(1, 10, 32), flat(70.0)), 0.0),
        ],
    );
    world.sends(at(1, 10, 31), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.equity()[1], "d1 10:32 9700", "at the open nobody knows that nothing will trade at 70");
    Ok(())
}
