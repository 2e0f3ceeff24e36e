//! The fill table on bars: order type x bar, gaps, touches, stop-limits, the worst path, bars without volume.

use crate::common::{Ask, TestResult, World, at, buy, day_bar, flat, sell, volume};
use ml4t_sim::policies::{InsufficientCash, LimitGap, LimitTouch, TickRounding, ZeroVolume};

const NO_FILLS: [&str; 0] = [];

/// The bar of the concept page, and the one after it.
const BAR: [f64; 4] = [100.0, 103.0, 97.0, 101.0];

/// Day 1 stands still at 100, then come `bars`; whoever sells holds a hundred since day 0.
fn world_of(mut world: World, bars: &[[f64; 4]]) -> World {
    world.account.initial_cash = ml4t_sim::money::Cash(1_000_000 * 1_000_000_000_000_000_000);
    let mut rows = vec![day_bar("AAA", 0, flat(100.0)), day_bar("AAA", 1, flat(100.0))];
    rows.extend((2..).zip(bars).map(|(day, &prices)| day_bar("AAA", day, prices)));
    world.bars("1d", &rows);
    world.sends(at(0, 16, 0), buy("AAA", 100));
    world
}

/// Fills of `asks`, sent at the close before the first of `bars`, without the fill that bought the hundred.
fn fills_of(world: World, bars: &[[f64; 4]], asks: &[Ask]) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut world = world_of(world, bars);
    for ask in asks {
        world.sends(at(1, 16, 0), ask.clone());
    }
    let run = world.run()?;
    Ok(run.fills().split_off(1))
}

/// What each order does in the bar, in both scales of price.
fn check_table(change: impl Fn(&mut World), table: &[(Ask, &str)]) -> TestResult {
    for base in World::both() {
        for (ask, expected) in table {
            let mut world = base.clone();
            change(&mut world);
            let fills = fills_of(world, &[BAR], std::slice::from_ref(ask))?;
            let expected: Vec<String> = if expected.is_empty() { Vec::new() } else { vec![(*expected).to_owned()] };
            assert_eq!(fills, expected, "{ask:?}, {} decimals", base.price_exponent);
        }
    }
    Ok(())
}

#[test]
fn buys_fill_as_the_published_table_says() -> TestResult {
    check_table(
        |_| (),
        &[
            (buy("AAA", 10), "d2 09:30 #2 AAA buy 10 @ 100 open"),
            (buy("AAA", 10).limit("98"), "d2 16:00 #2 AAA buy 10 @ 98 range"),
            (buy("AAA", 10).limit("97"), "d2 16:00 #2 AAA buy 10 @ 97 range"),
            (buy("AAA", 10).limit("96.99"), ""),
            (buy("AAA", 10).limit("100"), "d2 09:30 #2 AAA buy 10 @ 100 open"),
            (buy("AAA", 10).limit("102"), "d2 09:30 #2 AAA buy 10 @ 100 open"),
            (buy("AAA", 10).stop("102"), "d2 16:00 #2 AAA buy 10 @ 102 range"),
            (buy("AAA", 10).stop("103"), "d2 16:00 #2 AAA buy 10 @ 103 range"),
            (buy("AAA", 10).stop("103.01"), ""),
            (buy("AAA", 10).stop("100"), "d2 09:30 #2 AAA buy 10 @ 100 open"),
            (buy("AAA", 10).stop("99"), "d2 09:30 #2 AAA buy 10 @ 100 open"),
            (buy("AAA", 10).stop("102").limit("102.5"), "d2 16:00 #2 AAA buy 10 @ 102 range"),
            (buy("AAA", 10).stop("102").limit("102"), "d2 16:00 #2 AAA buy 10 @ 102 range"),
            (buy("AAA", 10).stop("102").limit("101"), ""),
            (buy("AAA", 10).stop("99").limit("99.5"), "d2 16:00 #2 AAA buy 10 @ 99.5 range"),
            (buy("AAA", 10).stop("99").limit("100.5"), "d2 09:30 #2 AAA buy 10 @ 100 open"),
            (buy("AAA", 10).stop("99").limit("96"), ""),
            (buy("AAA", 10).stop("104").limit("105"), ""),
        ],
    )
}

#[test]
fn sells_mirror_buys() -> TestResult {
    check_table(
        |_| (),
        &[
            (sell("AAA", 10), "d2 09:30 #2 AAA sell 10 @ 100 open"),
            (sell("AAA", 10).limit("102"), "d2 16:00 #2 AAA sell 10 @ 102 range"),
            (sell("AAA", 10).limit("103"), "d2 16:00 #2 AAA sell 10 @ 103 range"),
            (sell("AAA", 10).limit("103.01"), ""),
            (sell("AAA", 10).limit("98"), "d2 09:30 #2 AAA sell 10 @ 100 open"),
            (sell("AAA", 10).stop("98"), "d2 16:00 #2 AAA sell 10 @ 98 range"),
            (sell("AAA", 10).stop("97"), "d2 16:00 #2 AAA sell 10 @ 97 range"),
            (sell("AAA", 10).stop("96.99"), ""),
            (sell("AAA", 10).stop("101"), "d2 09:30 #2 AAA sell 10 @ 100 open"),
            (sell("AAA", 10).stop("98").limit("97.5"), "d2 16:00 #2 AAA sell 10 @ 98 range"),
            (sell("AAA", 10).stop("98").limit("99"), ""),
            (sell("AAA", 10).stop("101").limit("100.5"), "d2 16:00 #2 AAA sell 10 @ 100.5 range"),
            (sell("AAA", 10).stop("101").limit("99.5"), "d2 09:30 #2 AAA sell 10 @ 100 open"),
        ],
    )
}

#[test]
fn a_limit_through_a_gap_fills_at_its_own_price_where_the_policy_says_so() -> TestResult {
    check_table(
        |world| world.policies.limit_gap = LimitGap::AtLimit,
        &[
            (buy("AAA", 10).limit("104"), "d2 09:30 #2 AAA buy 10 @ 104 open"),
            (sell("AAA", 10).limit("96"), "d2 09:30 #2 AAA sell 10 @ 96 open"),
            (buy("AAA", 10).limit("98"), "d2 16:00 #2 AAA buy 10 @ 98 range"),
            (buy("AAA", 10).stop("99"), "d2 09:30 #2 AAA buy 10 @ 100 open"),
        ],
    )
}

#[test]
fn a_limit_that_must_be_traded_through_does_not_fill_at_a_touch() -> TestResult {
    check_table(
        |world| world.policies.limit_touch = LimitTouch::Through,
        &[
            (buy("AAA", 10).limit("97"), ""),
            (buy("AAA", 10).limit("97.01"), "d2 16:00 #2 AAA buy 10 @ 97.01 range"),
            (sell("AAA", 10).limit("103"), ""),
            (sell("AAA", 10).limit("102.99"), "d2 16:00 #2 AAA sell 10 @ 102.99 range"),
            // Touched at the open, traded through later in the bar.
            (buy("AAA", 10).limit("100"), "d2 16:00 #2 AAA buy 10 @ 100 range"),
            (buy("AAA", 10).limit("100.01"), "d2 09:30 #2 AAA buy 10 @ 100 open"),
            // Stops trade at a touch whatever the policy on limits says.
            (buy("AAA", 10).stop("103"), "d2 16:00 #2 AAA buy 10 @ 103 range"),
        ],
    )
}

#[test]
fn a_stop_through_a_gap_fills_at_the_open_whichever_way() -> TestResult {
    let gap_down = fills_of(World::new(), &[[90.0, 92.0, 85.0, 91.0]], &[sell("AAA", 100).stop("95")])?;
    assert_eq!(gap_down, ["d2 09:30 #2 AAA sell 100 @ 90 open"]);
    let gap_up = fills_of(World::new(), &[[110.0, 112.0, 108.0, 111.0]], &[buy("AAA", 10).stop("105")])?;
    assert_eq!(gap_up, ["d2 09:30 #2 AAA buy 10 @ 110 open"]);
    Ok(())
}

#[test]
fn a_limit_through_a_gap_fills_at_the_better_open_whichever_way() -> TestResult {
    let gap_down = fills_of(World::new(), &[[90.0, 92.0, 85.0, 91.0]], &[buy("AAA", 10).limit("95")])?;
    assert_eq!(gap_down, ["d2 09:30 #2 AAA buy 10 @ 90 open"]);
    let gap_up = fills_of(World::new(), &[[110.0, 112.0, 108.0, 111.0]], &[sell("AAA", 10).limit("105")])?;
    assert_eq!(gap_up, ["d2 09:30 #2 AAA sell 10 @ 110 open"]);
    Ok(())
}

#[test]
fn a_stop_limit_that_triggered_rests_as_a_limit_order_from_then_on() -> TestResult {
    let ask = [buy("AAA", 10).stop("102").limit("101")];
    // Triggered on day 2; day 3 comes down to the limit inside the bar, then at a better open.
    let inside = fills_of(World::new(), &[BAR, [102.0, 103.0, 100.5, 102.0]], &ask)?;
    assert_eq!(inside, ["d3 16:00 #2 AAA buy 10 @ 101 range"]);
    let at_open = fills_of(World::new(), &[BAR, [100.2, 103.0, 100.1, 102.0]], &ask)?;
    assert_eq!(at_open, ["d3 09:30 #2 AAA buy 10 @ 100.2 open"]);
    // A bar that never goes near the stop again fills it all the same: the trigger is remembered.
    let far_below = fills_of(World::new(), &[BAR, [101.5, 101.6, 101.4, 101.5], [100.9, 100.9, 90.0, 90.0]], &ask)?;
    assert_eq!(far_below, ["d4 09:30 #2 AAA buy 10 @ 100.9 open"]);
    Ok(())
}

#[test]
fn a_stop_that_never_trades_fills_nothing_though_its_limit_would() -> TestResult {
    let fills = fills_of(World::new(), &[[100.0, 101.0, 90.0, 95.0]], &[buy("AAA", 10).stop("102").limit("103")])?;
    assert_eq!(fills, NO_FILLS);
    Ok(())
}

#[test]
fn a_reachable_stop_comes_before_a_reachable_target() -> TestResult {
    // The target was sent first and lies nearer to the open; the path is the worst one all the same.
    let mut world = world_of(World::new(), &[BAR]);
    world.sends(at(1, 16, 0), sell("AAA", 100).limit("101")).sends(at(1, 16, 0), sell("AAA", 100).stop("98"));
    let run = world.run()?;
    assert_eq!(run.fills().split_off(1), ["d2 16:00 #3 AAA sell 100 @ 98 range"]);
    assert_eq!(run.position("AAA"), "flat");
    assert_eq!(run.end_of(2), "d2 16:00 rejected SHORT_NOT_ALLOWED", "nothing is left that it could sell");
    Ok(())
}

#[test]
fn a_short_position_is_stopped_out_above_before_its_target_below() -> TestResult {
    let mut world = World::new();
    world.account.allows_short = true;
    world.bars("1d", &[day_bar("AAA", 0, flat(100.0)), day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, BAR)]);
    world.sends(at(0, 16, 0), sell("AAA", 10));
    world.sends(at(1, 16, 0), buy("AAA", 10).limit("99")).sends(at(1, 16, 0), buy("AAA", 10).stop("102"));
    let run = world.run()?;
    assert_eq!(run.fills()[1], "d2 16:00 #3 AAA buy 10 @ 102 range");
    Ok(())
}

#[test]
fn entries_come_before_the_stop_that_they_make_worse() -> TestResult {
    // Distance from the open: entry 3, stop 2. The stop was sent first. The entry still comes first.
    let mut world = world_of(World::new(), &[BAR]);
    world.sends(at(1, 16, 0), sell("AAA", 100).stop("98")).sends(at(1, 16, 0), buy("AAA", 10).stop("103"));
    let run = world.run()?;
    assert_eq!(run.fills().split_off(1), ["d2 16:00 #3 AAA buy 10 @ 103 range", "d2 16:00 #2 AAA sell 100 @ 98 range"]);
    Ok(())
}

#[test]
fn a_protective_stop_sent_with_its_entry_waits_for_the_entry_and_then_protects() -> TestResult {
    // A flat account that may not sell short: the sell is no entry, whatever its distance from the open.
    let mut world = World::new();
    world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, BAR)]);
    world.sends(at(1, 16, 0), buy("AAA", 10).stop("103")).sends(at(1, 16, 0), sell("AAA", 10).stop("98"));
    let run = world.run()?;
    assert_eq!(
        run.fills(),
        ["d2 16:00 #1 AAA buy 10 @ 103 range", "d2 16:00 #2 AAA sell 10 @ 98 range"],
        "entries first, then a reachable stop"
    );
    Ok(())
}

#[test]
fn an_entry_that_fills_in_the_range_meets_its_stop_in_the_same_bar() -> TestResult {
    let mut world = World::new();
    world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, BAR)]);
    // The entry lies nearer than the stop, so nothing hinges on who may sell short.
    world.sends(at(1, 16, 0), buy("AAA", 10).limit("99")).sends(at(1, 16, 0), sell("AAA", 10).stop("97.5"));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 16:00 #1 AAA buy 10 @ 99 range", "d2 16:00 #2 AAA sell 10 @ 97.5 range"]);
    Ok(())
}

#[test]
fn entries_on_one_leg_come_by_distance_and_then_by_submission() -> TestResult {
    let asks =
        [buy("AAA", 1).limit("97.5"), buy("AAA", 2).limit("99"), buy("AAA", 3).limit("98"), buy("AAA", 4).limit("99")];
    assert_eq!(
        fills_of(World::new(), &[BAR], &asks)?,
        [
            "d2 16:00 #3 AAA buy 2 @ 99 range",
            "d2 16:00 #5 AAA buy 4 @ 99 range",
            "d2 16:00 #4 AAA buy 3 @ 98 range",
            "d2 16:00 #2 AAA buy 1 @ 97.5 range"
        ]
    );
    Ok(())
}

#[test]
fn orders_at_one_open_come_by_submission_whatever_their_type() -> TestResult {
    let asks = [sell("AAA", 1).stop("101"), buy("AAA", 2), buy("AAA", 3).limit("105"), sell("AAA", 4)];
    assert_eq!(
        fills_of(World::new(), &[BAR], &asks)?,
        [
            "d2 09:30 #2 AAA sell 1 @ 100 open",
            "d2 09:30 #3 AAA buy 2 @ 100 open",
            "d2 09:30 #4 AAA buy 3 @ 100 open",
            "d2 09:30 #5 AAA sell 4 @ 100 open"
        ]
    );
    Ok(())
}

#[test]
fn a_bar_without_volume_fills_nothing_and_the_next_one_does() -> TestResult {
    let mut world = World::new();
    let bars = [
        day_bar("AAA", 1, flat(100.0)),
        volume(day_bar("AAA", 2, BAR), 0.0),
        day_bar("AAA", 3, [100.5, 103.0, 97.0, 101.0]),
    ];
    world.bars("1d", &bars);
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(1, 16, 0), buy("AAA", 10).limit("98"));
    world.sends(at(1, 16, 0), buy("AAA", 1).stop("102"));
    let run = world.run()?;
    assert_eq!(
        run.fills(),
        [
            "d3 09:30 #1 AAA buy 10 @ 100.5 open",
            "d3 16:00 #3 AAA buy 1 @ 102 range",
            "d3 16:00 #2 AAA buy 10 @ 98 range"
        ],
        "by distance from the open of 100.5: 1.5 up, 2.5 down"
    );
    Ok(())
}

#[test]
fn a_bar_without_volume_fills_where_the_data_marks_missing_volume_that_way() -> TestResult {
    let mut world = World::new();
    world.policies.zero_volume = ZeroVolume::Fill;
    world.bars("1d", &[volume(day_bar("AAA", 1, flat(100.0)), 0.0), volume(day_bar("AAA", 2, BAR), 0.0)]);
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(1, 16, 0), buy("AAA", 10).limit("98"));
    assert_eq!(world.run()?.fills(), ["d2 09:30 #1 AAA buy 10 @ 100 open", "d2 16:00 #2 AAA buy 10 @ 98 range"]);
    Ok(())
}

#[test]
fn missing_volume_is_not_zero_volume() -> TestResult {
    let mut world = World::new();
    world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), volume(day_bar("AAA", 2, BAR), f64::NAN)]);
    world.sends(at(1, 16, 0), buy("AAA", 10));
    assert_eq!(world.run()?.fills(), ["d2 09:30 #1 AAA buy 10 @ 100 open"]);
    Ok(())
}

#[test]
fn a_bar_without_an_open_price_leaves_market_orders_waiting() -> TestResult {
    let mut world = World::new();
    let hole = [f64::NAN, 103.0, 97.0, 101.0];
    world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, hole), day_bar("AAA", 3, flat(102.0))]);
    world.sends(at(1, 16, 0), buy("AAA", 10)).sends(at(1, 16, 0), buy("AAA", 5).limit("98"));
    assert_eq!(world.run()?.fills(), ["d2 16:00 #2 AAA buy 5 @ 98 range", "d3 09:30 #1 AAA buy 10 @ 102 open"]);
    Ok(())
}

#[test]
fn a_limit_above_a_bar_whose_open_is_missing_does_not_fill_above_the_bar() -> TestResult {
    let mut world = World::new();
    let hole = [f64::NAN, 103.0, 97.0, 101.0];
    world.bars("1d", &[day_bar("AAA", 1, flat(100.0)), day_bar("AAA", 2, hole)]);
    world.sends(at(1, 16, 0), buy("AAA", 10).limit("105")).sends(at(1, 16, 0), buy("AAA", 10).stop("95"));
    let run = world.run()?;
    for fill in run.recorder().fills() {
        let cents = fill.reference.0 / 10_000_000;
        assert!((9_700..=10_300).contains(&cents), "{:?}: the bar went from 97 to 103", run.fills());
    }
    Ok(())
}

#[test]
fn a_gapped_stop_that_could_not_be_paid_at_the_open_waits_for_the_next_one() -> TestResult {
    let mut world = World::new();
    world.cash("1000")?;
    world.policies.insufficient_cash = InsufficientCash::Wait;
    let bars = [flat(90.0), [101.0, 103.0, 97.0, 98.0], [99.0, 99.5, 98.5, 99.0]];
    world.bars("1d", &(1..).zip(bars).map(|(day, prices)| day_bar("AAA", day, prices)).collect::<Vec<_>>());
    // Triggered at the open of 101, where 10 cost 1010. From there on it is a market order; 95 was never offered.
    world.sends(at(1, 16, 0), buy("AAA", 10).stop("95"));
    assert_eq!(world.run()?.fills(), ["d3 09:30 #1 AAA buy 10 @ 99 open"]);
    Ok(())
}

#[test]
fn a_gapped_limit_that_is_paid_for_later_in_the_bar_pays_a_price_of_the_bar() -> TestResult {
    let mut world = World::new();
    world.cash("1000")?;
    world.policies.insufficient_cash = InsufficientCash::Wait;
    let rows = |symbol, bars: [[f64; 4]; 3]| {
        (1..).zip(bars).map(|(day, prices)| day_bar(symbol, day, prices)).collect::<Vec<_>>()
    };
    world.bars("1d", &rows("AAA", [flat(100.0), flat(100.0), [100.0, 103.0, 97.0, 101.0]]));
    world.bars("1d", &rows("BBB", [flat(10.0), flat(10.0), [10.0, 12.0, 10.0, 12.0]]));
    // The sale of BBB at 12 inside the bar of day 3 brings the money for AAA, whose open was already below 105.
    world.sends(at(1, 16, 0), buy("BBB", 90));
    world.sends(at(2, 16, 0), sell("BBB", 90).limit("12")).sends(at(2, 16, 0), buy("AAA", 10).limit("105"));
    let run = world.run()?;
    for fill in run.recorder().fills().filter(|f| run.symbol(f.instrument) == "AAA") {
        let cents = fill.reference.0 / 10_000_000;
        assert!((9_700..=10_300).contains(&cents), "{:?}: the bar went from 97 to 103", run.fills());
    }
    Ok(())
}

#[test]
fn liquidity_is_taken_at_the_open_and_provided_by_what_rested() -> TestResult {
    let mut world = world_of(World::new(), &[BAR, [97.5, 99.0, 97.0, 98.0]]);
    let sent = at(1, 16, 0);
    world.sends(sent, buy("AAA", 1).limit("105")); // takes at the open
    world.sends(sent, buy("AAA", 2).limit("98")); // rests, is met in the range
    world.sends(sent, buy("AAA", 3).stop("102")); // becomes a market order
    world.sends(sent, sell("AAA", 4).limit("104")); // rests for good
    assert_eq!(world.run()?.liquidity(), ["#1 taker", "#2 taker", "#3 maker", "#4 taker"]);
    Ok(())
}

#[test]
fn an_order_price_off_the_tick_is_refused_or_moved_to_the_side_that_fills_less() -> TestResult {
    let asks = [
        (buy("AAA", 1).limit("98.017"), "98.01"),
        (sell("AAA", 1).limit("102.013"), "102.02"),
        (buy("AAA", 1).stop("102.013"), "102.02"),
        (sell("AAA", 1).stop("98.017"), "98.01"),
    ];
    for (ask, price) in asks {
        let mut world = world_of(World::new(), &[BAR]);
        world.sends(at(1, 16, 0), ask.clone());
        let run = world.run()?;
        assert_eq!(run.end_of(2), "d1 16:00 rejected OFF_TICK");
        assert!(run.reason(2).contains("tick_size 0.01") && run.reason(2).contains("AAA"), "{}", run.reason(2));
        world.policies.tick_rounding = TickRounding::Passive;
        let fill = world.run()?.fills().pop().unwrap_or_default();
        assert!(fill.contains(&format!("@ {price} range")), "{fill} at {price}");
    }
    Ok(())
}

#[test]
fn prices_below_zero_trade_where_the_instrument_says_so() -> TestResult {
    let mut world = World::new();
    world.account.allows_short = true;
    world.bars("1d", &[day_bar("OIL", 1, flat(5.0)), day_bar("OIL", 2, [-10.0, -5.0, -37.63, -13.0])]);
    world.sends(at(1, 16, 0), buy("OIL", 10)).sends(at(1, 16, 0), buy("OIL", 10).limit("-30"));
    let refused = world.run()?;
    assert_eq!(refused.end_of(2), "d1 16:00 rejected PRICE_NOT_POSITIVE");
    world.instrument("OIL", |spec| spec.allows_negative_prices = true);
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 09:30 #1 OIL buy 10 @ -10 open", "d2 16:00 #2 OIL buy 10 @ -30 range"]);
    // 100 and 300 came in; 20 units at -13 are worth -260.
    assert_eq!(run.cash(), "10400");
    assert_eq!(run.position("OIL"), "20 costing -400 marked -13");
    assert_eq!(run.navs().pop().as_deref(), Some("d2 16:00 nav 10140"));
    Ok(())
}
