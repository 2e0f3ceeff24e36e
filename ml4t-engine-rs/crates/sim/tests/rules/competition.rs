//! Who comes first where cash or volume does not suffice for all, and fills that wait for the bar's end.

use crate::common::{
    Probe, TestResult, World, at, buy, day_bar, decimal, flat, minute_bar, params, sell, volume, when,
};
use ml4t_sim::ids::OrderId;
use ml4t_sim::models::{builtin_fee, builtin_fill, builtin_slippage};
use ml4t_sim::policies::{FillTiming, InsufficientCash};

const NO_FILLS: [&str; 0] = [];

/// Cash, position of the first instrument and state of the first order, as a strategy reads them.
const ACCOUNT: Probe = |api| {
    let book = &api.state.books[0];
    let status = api.state.order(OrderId(0)).status.as_str();
    format!("cash {} holds {} {status}", decimal(book.cash().0, 18), book.positions[0].quantity)
};

/// Five-minute bars of AAA with a volume of 1000 each, minutes of ZZZ that let the clock tick in between.
fn slow_and_fast(second_bar: [f64; 4], third_bar: [f64; 4]) -> World {
    let mut world = World::new();
    let bar = |minute, prices| ("AAA", at(1, 10, minute), at(1, 10, minute + 5), prices, 1_000.0);
    world.bars("5m", &[bar(0, flat(100.0)), bar(5, second_bar), bar(10, third_bar)]);
    let minutes: Vec<_> = (0..15).map(|k| minute_bar("ZZZ", at(1, 10, k), flat(1.0))).collect();
    world.bars("1m", &minutes);
    world
}

/// Nobody takes more than a tenth of a bar.
fn capped(mut world: World) -> Result<World, Box<dyn std::error::Error>> {
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 0.1)]))?;
    Ok(world)
}

fn volume_share(mut world: World) -> Result<World, Box<dyn std::error::Error>> {
    let share = params(&[("volume_limit", 0.1), ("price_impact", 0.1)]);
    world.models.slippage = builtin_slippage("volume_share", &share)?;
    Ok(world)
}

#[test]
fn cash_at_an_open_goes_to_who_was_sent_first_whatever_the_instrument() -> TestResult {
    for (first, second) in [("AAA", "BBB"), ("BBB", "AAA")] {
        let mut world = World::new();
        world.cash("1000")?;
        world.policies.insufficient_cash = InsufficientCash::Partial;
        for symbol in ["AAA", "BBB"] {
            world.bars("1d", &[day_bar(symbol, 1, flat(100.0)), day_bar(symbol, 2, flat(100.0))]);
        }
        world.sends(at(1, 16, 0), buy(first, 7)).sends(at(1, 16, 0), buy(second, 7));
        let run = world.run()?;
        assert_eq!(
            run.fills(),
            [format!("d2 09:30 #1 {first} buy 7 @ 100 open"), format!("d2 09:30 #2 {second} buy 3 @ 100 open")]
        );
        assert_eq!(run.end_of(2), "d2 09:30 canceled INSUFFICIENT_CASH");
        assert_eq!(run.cash(), "0");
    }
    Ok(())
}

#[test]
fn opens_of_several_feeds_at_one_instant_compete_as_one() -> TestResult {
    for (first, second) in [("AAA", "BBB"), ("BBB", "AAA")] {
        let mut world = World::new();
        world.cash("1000")?;
        world.policies.insufficient_cash = InsufficientCash::Partial;
        world.bars("a", &[day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, flat(100.0))]);
        world.bars("b", &[day_bar("BBB", 1, flat(100.0)), day_bar("BBB", 2, flat(100.0))]);
        world.sends(at(1, 16, 0), buy(first, 7)).sends(at(1, 16, 0), buy(second, 7));
        assert_eq!(
            world.run()?.fills(),
            [format!("d2 09:30 #1 {first} buy 7 @ 100 open"), format!("d2 09:30 #2 {second} buy 3 @ 100 open")]
        );
    }
    Ok(())
}

#[test]
fn inside_a_bar_the_lists_of_instruments_are_merged_by_the_submission_of_their_heads() -> TestResult {
    for (one, other) in [("AAA", "BBB"), ("BBB", "AAA")] {
        let mut world = World::new();
        for symbol in ["AAA", "BBB"] {
            world.bars("1d", &[day_bar(symbol, 1, flat(100.0)), day_bar(symbol, 2, [100.0, 100.0, 97.0, 97.0])]);
        }
        // `one` is reached at 99 (#3) and then at 98 (#1); `other` at 99 (#2). Heads: #3 and #2, then #1.
        let sent = at(1, 16, 0);
        world.sends(sent, buy(one, 1).limit("98"));
        world.sends(sent, buy(other, 2).limit("99"));
        world.sends(sent, buy(one, 3).limit("99"));
        assert_eq!(
            world.run()?.fills(),
            [
                format!("d2 16:00 #2 {other} buy 2 @ 99 range"),
                format!("d2 16:00 #3 {one} buy 3 @ 99 range"),
                format!("d2 16:00 #1 {one} buy 1 @ 98 range")
            ]
        );
    }
    Ok(())
}

#[test]
fn a_basket_that_sends_its_sell_first_pays_for_the_buy() -> TestResult {
    let mut world = World::new();
    world.cash("1000")?;
    for symbol in ["AAA", "BBB"] {
        world.bars("1d", &(1..=3).map(|day| day_bar(symbol, day, flat(100.0))).collect::<Vec<_>>());
    }
    world.sends(at(1, 16, 0), buy("BBB", 10));
    world.sends(at(2, 16, 0), sell("BBB", 10)).sends(at(2, 16, 0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills()[1..], ["d3 09:30 #2 BBB sell 10 @ 100 open", "d3 09:30 #3 AAA buy 10 @ 100 open"]);
    Ok(())
}

#[test]
fn a_buy_sent_before_the_sell_that_would_pay_for_it_is_accepted_and_then_refused_at_the_open() -> TestResult {
    let mut world = World::new();
    world.cash("1000")?;
    for symbol in ["AAA", "BBB"] {
        world.bars("1d", &(1..=3).map(|day| day_bar(symbol, day, flat(100.0))).collect::<Vec<_>>());
    }
    world.sends(at(1, 16, 0), buy("BBB", 10));
    world.sends(at(2, 16, 0), buy("AAA", 10)).sends(at(2, 16, 0), sell("BBB", 10));
    let run = world.run()?;
    // At intake what the sell will free is counted; at the open the sequence of submission rules.
    assert_eq!(run.life(2), ["d2 16:00 submitted", "d2 16:00 accepted", "d3 09:30 rejected INSUFFICIENT_CASH"]);
    assert_eq!(run.fills()[1..], ["d3 09:30 #3 BBB sell 10 @ 100 open"]);
    Ok(())
}

#[test]
fn a_volume_cap_is_shared_by_all_orders_of_a_bar_and_the_rest_meets_the_next_open() -> TestResult {
    let mut world = capped(World::new())?;
    let bars = [
        volume(day_bar("AAA", 1, flat(10.0)), 1_000.0),
        volume(day_bar("AAA", 2, [10.0, 10.5, 9.5, 10.0]), 1_000.0),
        volume(day_bar("AAA", 3, [11.0, 11.5, 10.5, 11.0]), 1_000.0),
    ];
    world.bars("1d", &bars);
    world.sends(at(1, 16, 0), buy("AAA", 70)).sends(at(1, 16, 0), buy("AAA", 70));
    let run = world.run()?;
    assert_eq!(
        run.fills(),
        ["d2 16:00 #1 AAA buy 70 @ 10 open", "d2 16:00 #2 AAA buy 30 @ 10 open", "d3 16:00 #2 AAA buy 40 @ 11 open"]
    );
    assert_eq!(
        run.life(2),
        ["d1 16:00 submitted", "d1 16:00 accepted", "d2 16:00 partially_filled", "d3 16:00 filled"]
    );
    Ok(())
}

#[test]
fn open_and_range_of_one_bar_draw_on_one_cap() -> TestResult {
    let mut world = capped(World::new())?;
    let bar = |day, prices| volume(day_bar("AAA", day, prices), 1_000.0);
    world.bars("1d", &[bar(1, flat(10.0)), bar(2, [10.0, 10.0, 9.0, 10.0]), bar(3, [10.0, 10.0, 9.0, 10.0])]);
    world.sends(at(1, 16, 0), buy("AAA", 60).limit("9.5")).sends(at(1, 16, 0), buy("AAA", 80));
    assert_eq!(
        world.run()?.fills(),
        [
            "d2 16:00 #2 AAA buy 80 @ 10 open",
            "d2 16:00 #1 AAA buy 20 @ 9.5 range",
            "d3 16:00 #1 AAA buy 40 @ 9.5 range"
        ]
    );
    Ok(())
}

#[test]
fn a_cap_is_cut_to_whole_lots() -> TestResult {
    let mut world = World::new();
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 0.055)]))?;
    let bar = |day| volume(day_bar("AAA", day, flat(10.0)), 1_000.0);
    world.bars("1d", &[bar(1), bar(2), bar(3)]);
    world.instrument("AAA", |spec| spec.lot_size = 10);
    world.sends(at(1, 16, 0), buy("AAA", 60));
    assert_eq!(
        world.run()?.fills(),
        ["d2 16:00 #1 AAA buy 50 @ 10 open", "d3 16:00 #1 AAA buy 10 @ 10 open"],
        "5.5 % of 1000 are 55, which is five lots of ten"
    );
    Ok(())
}

#[test]
fn a_share_of_the_volume_is_priced_at_the_open_and_booked_at_the_end_of_the_bar() -> TestResult {
    let mut world = volume_share(slow_and_fast([100.0, 130.0, 95.0, 120.0], flat(120.0)))?;
    world.sends(at(1, 10, 5), buy("AAA", 50));
    for minute in [5, 6, 9, 10] {
        world.probes(at(1, 10, minute), ACCOUNT);
    }
    let run = world.run()?;
    // Share 50 / 1000; 100 x 0.1 x 0.05 x 0.05 = 0.025.
    assert_eq!(run.fills(), ["d1 10:10 #1 AAA buy 50 @ 100.025 open"]);
    assert_eq!(run.costs(), ["#1 taker reference 100 spread 0 slippage 0.025 impact 0 fee 0 notional 5001.25"]);
    assert_eq!(
        run.probed(),
        [
            "d1 10:05 cash 10000 holds 0 created",
            "d1 10:06 cash 10000 holds 0 accepted",
            "d1 10:09 cash 10000 holds 0 accepted",
            "d1 10:10 cash 4998.75 holds 50 filled"
        ]
    );
    let quiet: Vec<String> = (1..10).map(|minute| format!("{} 10000", when(at(1, 10, minute)))).collect();
    assert_eq!(run.equity()[..9], quiet, "nothing shows the fill before the bar is complete");
    // 4998.75 in cash and 50 at the close of 120.
    assert_eq!(run.equity()[9], "d1 10:10 10998.75");
    Ok(())
}

#[test]
fn orders_that_share_the_volume_each_pay_for_what_the_ones_before_them_took() -> TestResult {
    let mut world = volume_share(slow_and_fast(flat(100.0), flat(101.0)))?;
    world.cash("100000")?;
    world.sends(at(1, 10, 5), buy("AAA", 60)).sends(at(1, 10, 5), buy("AAA", 60));
    // 6 % cost 100 x 0.1 x 0.0036; the second fills 40 at a share of 10 %, and 20 at 2 % of the next bar.
    assert_eq!(
        world.run()?.fills(),
        [
            "d1 10:10 #1 AAA buy 60 @ 100.036 open",
            "d1 10:10 #2 AAA buy 40 @ 100.1 open",
            "d1 10:15 #2 AAA buy 20 @ 101.00404 open"
        ]
    );
    Ok(())
}

#[test]
fn a_fill_at_the_open_that_waits_is_booked_before_the_range_of_its_bar() -> TestResult {
    let mut world = capped(slow_and_fast([100.0, 130.0, 90.0, 120.0], flat(120.0)))?;
    // The position that opens at 100 is there when the range comes down to its stop.
    world.sends(at(1, 10, 5), buy("AAA", 50)).sends(at(1, 10, 5), sell("AAA", 50).stop("95"));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:10 #1 AAA buy 50 @ 100 open", "d1 10:10 #2 AAA sell 50 @ 95 range"]);
    assert_eq!(run.realized(), "-250");
    Ok(())
}

#[test]
fn a_cancel_cannot_take_back_a_fill_that_the_open_has_decided() -> TestResult {
    let mut world = capped(slow_and_fast(flat(100.0), flat(100.0)))?;
    world.sends(at(1, 10, 5), buy("AAA", 50)).cancels(at(1, 10, 7), 1);
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:10 #1 AAA buy 50 @ 100 open"]);
    assert_eq!(run.life(1), ["d1 10:05 submitted", "d1 10:05 accepted", "d1 10:10 filled"]);
    Ok(())
}

#[test]
fn a_cancel_takes_back_what_the_open_left_over() -> TestResult {
    let mut world = capped(slow_and_fast(flat(50.0), flat(50.0)))?;
    world.cash("100000")?;
    world.sends(at(1, 10, 5), buy("AAA", 150)).cancels(at(1, 10, 7), 1);
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:10 #1 AAA buy 100 @ 50 open"]);
    assert_eq!(
        run.life(1),
        [
            "d1 10:05 submitted",
            "d1 10:05 accepted",
            "d1 10:10 partially_filled",
            "d1 10:10 canceled CANCELED_BY_REQUEST"
        ]
    );
    Ok(())
}

#[test]
fn a_cancel_sent_after_the_opens_of_the_same_instant_comes_too_late_as_well() -> TestResult {
    // Without a cap the order would be filled by the time `on_fill` and `on_order` are called; so it is with one.
    let mut world = slow_and_fast(flat(100.0), flat(100.0));
    world.sends(at(1, 10, 5), buy("AAA", 50)).cancels_after_opens(at(1, 10, 5), 1);
    assert_eq!(world.run()?.fills(), ["d1 10:05 #1 AAA buy 50 @ 100 open"]);
    assert_eq!(capped(world)?.run()?.fills(), ["d1 10:10 #1 AAA buy 50 @ 100 open"]);
    Ok(())
}

#[test]
fn a_cancel_sent_at_the_instant_of_the_open_is_in_time() -> TestResult {
    let mut world = capped(slow_and_fast(flat(100.0), flat(100.0)))?;
    world.sends(at(1, 10, 3), buy("AAA", 50)).cancels(at(1, 10, 5), 1);
    let run = world.run()?;
    assert_eq!(run.fills(), NO_FILLS);
    assert_eq!(run.end_of(1), "d1 10:05 canceled CANCELED_BY_REQUEST");
    Ok(())
}

#[test]
fn an_order_sent_inside_the_bar_is_canceled_at_once_although_another_waits_for_its_end() -> TestResult {
    let mut world = capped(slow_and_fast(flat(100.0), flat(100.0)))?;
    world.sends(at(1, 10, 5), buy("AAA", 5)).sends(at(1, 10, 6), buy("AAA", 5)).cancels(at(1, 10, 7), 2);
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:10 #1 AAA buy 5 @ 100 open"]);
    assert_eq!(run.end_of(2), "d1 10:07 canceled CANCELED_BY_REQUEST", "the open could decide nothing about it");
    Ok(())
}

#[test]
fn a_limit_order_that_the_open_did_not_reach_is_canceled_at_once() -> TestResult {
    let mut world = capped(slow_and_fast([100.0, 100.0, 90.0, 95.0], flat(95.0)))?;
    world.sends(at(1, 10, 5), buy("AAA", 5).limit("92")).cancels(at(1, 10, 7), 1);
    let run = world.run()?;
    assert_eq!(run.fills(), NO_FILLS, "a cancel inside a bar keeps the rest of the bar from filling the order");
    assert_eq!(run.end_of(1), "d1 10:07 canceled CANCELED_BY_REQUEST", "with or without a cap");
    Ok(())
}

#[test]
fn a_bar_without_volume_gives_a_capped_order_nothing() -> TestResult {
    let mut world = volume_share(World::new())?;
    let bar = |day, size| volume(day_bar("AAA", day, flat(10.0)), size);
    world.bars("1d", &[bar(1, 1_000.0), bar(2, 0.0), bar(3, 1_000.0)]);
    world.sends(at(1, 16, 0), buy("AAA", 10));
    // 1 % of the volume costs 10 x 0.1 x 0.0001.
    assert_eq!(world.run()?.fills(), ["d3 16:00 #1 AAA buy 10 @ 10.0001 open"]);
    Ok(())
}

#[test]
fn a_volume_too_small_for_one_unit_leaves_the_order_waiting() -> TestResult {
    let mut world = capped(World::new())?;
    let bar = |day, size| volume(day_bar("AAA", day, flat(10.0)), size);
    world.bars("1d", &[bar(1, 1_000.0), bar(2, 9.0), bar(3, 10.0)]);
    world.sends(at(1, 16, 0), buy("AAA", 1));
    assert_eq!(world.run()?.fills(), ["d3 16:00 #1 AAA buy 1 @ 10 open"]);
    Ok(())
}

#[test]
fn a_cap_without_volume_in_the_data_stops_the_run_and_says_why() -> TestResult {
    let mut world = volume_share(World::new())?;
    world.bars("1d", &[day_bar("AAA", 1, flat(10.0)), volume(day_bar("AAA", 2, flat(10.0)), f64::NAN)]);
    world.sends(at(1, 16, 0), buy("AAA", 10));
    let error = world.run_once().map(|_| ()).err().map(|e| e.message).unwrap_or_default();
    for part in ["AAA", "order 1", "volume share slippage", "1970-01-03T16:00:00Z"] {
        assert!(error.contains(part), "{error:?} names {part}");
    }
    Ok(())
}

#[test]
fn the_close_of_a_bar_draws_on_the_cap_of_that_bar() -> TestResult {
    let mut world = capped(World::new())?;
    world.policies.fill_timing = FillTiming::NextClose;
    let bar = |day, prices| volume(day_bar("AAA", day, prices), 1_000.0);
    world.bars("1d", &[bar(1, flat(10.0)), bar(2, [10.0, 10.0, 9.0, 9.5]), bar(3, flat(9.0))]);
    world.sends(at(1, 16, 0), buy("AAA", 90)).sends(at(1, 16, 0), buy("AAA", 30).limit("9.2"));
    assert_eq!(
        world.run()?.fills(),
        [
            "d2 16:00 #2 AAA buy 30 @ 9.2 range",
            "d2 16:00 #1 AAA buy 70 @ 9.5 close",
            "d3 16:00 #1 AAA buy 20 @ 9 close"
        ]
    );
    Ok(())
}

#[test]
fn the_decision_close_draws_on_the_cap_of_its_bar() -> TestResult {
    let mut world = capped(World::new())?;
    world.policies.fill_timing = FillTiming::SameClose;
    let bar = |day, prices| volume(day_bar("AAA", day, prices), 1_000.0);
    world.bars("1d", &[bar(1, flat(10.0)), bar(2, [10.0, 10.0, 9.0, 9.5]), bar(3, flat(9.0))]);
    world.sends(at(1, 16, 0), buy("AAA", 40).limit("9.2")).sends(at(2, 16, 0), buy("AAA", 90));
    assert_eq!(
        world.run()?.fills(),
        [
            "d2 16:00 #1 AAA buy 40 @ 9.2 range",
            "d2 16:00 #2 AAA buy 60 @ 9.5 close",
            "d3 16:00 #2 AAA buy 30 @ 9 close"
        ]
    );
    Ok(())
}

#[test]
fn books_share_the_volume_of_a_bar_and_nothing_else() -> TestResult {
    let mut world = capped(World::new())?;
    world.books = 2;
    world.cash("1000")?;
    world.models.fee = builtin_fee("per_order", &params(&[("fee", 1.0)]))?;
    let bar = |day| volume(day_bar("AAA", day, flat(10.0)), 1_000.0);
    world.bars("1d", &[bar(1), bar(2), bar(3)]);
    world.sends(at(1, 16, 0), buy("AAA", 70).book(1)).sends(at(1, 16, 0), buy("AAA", 70));
    let run = world.run()?;
    assert_eq!(
        run.fills(),
        ["d2 16:00 #1 AAA buy 70 @ 10 open", "d2 16:00 #2 AAA buy 30 @ 10 open", "d3 16:00 #2 AAA buy 40 @ 10 open"]
    );
    for book in [0, 1] {
        assert_eq!(decimal(run.book(book).cash().0, 18), "299");
        assert_eq!(run.position_in(book, "AAA"), "70 costing 700 marked 10");
    }
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 1998"), "the net asset value is that of all books");
    Ok(())
}
