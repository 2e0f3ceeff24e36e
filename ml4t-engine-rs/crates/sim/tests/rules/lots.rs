//! Postings, lots, round trips and fees, worked by hand.

use crate::common::{TestResult, World, at, buy, day_bar, flat, params, sell, volume};
use ml4t_sim::ledger::Account;
use ml4t_sim::models::{builtin_fee, builtin_fill, builtin_slippage};
use ml4t_sim::policies::LotPolicy;

/// One order a day, each filled at the open of the next day, at these prices: day k opens at `prices[k - 1]`.
fn one_order_a_day(prices: &[f64], quantities: &[i64], policy: LotPolicy) -> World {
    let mut world = World::new();
    world.account.lot_policy = policy;
    world.account.allows_short = true;
    let bars: Vec<_> = (1..).zip(prices).map(|(day, &price)| day_bar("AAA", day, flat(price))).collect();
    world.bars("1d", &bars);
    for (day, &quantity) in (1..).zip(quantities) {
        let ask = if quantity > 0 { buy("AAA", quantity) } else { sell("AAA", -quantity) };
        world.sends(at(day, 16, 0), ask);
    }
    world
}

fn fee_per_order(mut world: World, fee: f64) -> Result<World, Box<dyn std::error::Error>> {
    world.models.fee = builtin_fee("per_order", &params(&[("fee", fee)]))?;
    Ok(world)
}

#[test]
fn every_movement_of_a_round_trip_is_a_posting() -> TestResult {
    let mut world = fee_per_order(one_order_a_day(&[10.0, 10.0, 12.0, 13.0], &[100, 100, -150], LotPolicy::Fifo), 1.0)?;
    world.account.allows_short = false;
    let run = world.run()?;
    assert_eq!(
        run.postings(),
        [
            "d1 09:30 deposit cash <- capital 10000",
            "d2 09:30 trade inventory <- cash 1000 AAA",
            "d2 09:30 fee fees <- cash 1 AAA",
            "d3 09:30 trade inventory <- cash 1200 AAA",
            "d3 09:30 fee fees <- cash 1 AAA",
            "d4 09:30 trade cash <- inventory 1600 AAA",
            "d4 09:30 realized cash <- realized_pnl 350 AAA",
            "d4 09:30 fee fees <- cash 1 AAA"
        ]
    );
    assert_eq!(run.cash(), "9747");
    assert_eq!(run.balance(Account::Inventory), "600");
    assert_eq!(run.lots("AAA"), ["50 costing 600"]);
    Ok(())
}

#[test]
fn first_in_first_out_and_average_cost_agree_on_the_total_and_differ_in_its_parts() -> TestResult {
    for (policy, realized, inventory) in [(LotPolicy::Fifo, "350", "600"), (LotPolicy::Average, "300", "550")] {
        let run = fee_per_order(one_order_a_day(&[10.0, 10.0, 12.0, 13.0], &[100, 100, -150], policy), 1.0)?.run()?;
        assert_eq!(run.realized(), realized, "{policy:?}");
        assert_eq!(run.balance(Account::Inventory), inventory);
        assert_eq!(run.cash(), "9747");
        assert_eq!(run.navs().pop().as_deref(), Some("d4 16:00 nav 10397"), "9747 and fifty at 13");
    }
    Ok(())
}

/// Buy 100 at 10, 50 at 12, sell 120 at 11, 80 at 9 (which turns the position), buy 50 at 8.
const TURNING: (&[f64], &[i64]) = (&[10.0, 10.0, 12.0, 11.0, 9.0, 8.0, 8.0], &[100, 50, -120, -80, 50]);

#[test]
fn average_cost_through_a_turn_gives_the_published_ledger() -> TestResult {
    let (prices, quantities) = TURNING;
    // Cash against the opening 10,000: -1001, -1602, -283, 436, 35. Realised: 0, 0, 40, -10, 40.
    let steps = [
        ("8999", "0", "100 costing 1000 marked 10"),
        ("8398", "0", "150 costing 1600 marked 12"),
        ("9717", "40", "30 costing 320 marked 11"),
        ("10436", "-10", "-50 costing -450 marked 9"),
        ("10035", "40", "flat"),
    ];
    for (k, (cash, realized, position)) in (1..).zip(steps) {
        let world = one_order_a_day(&prices[..=k], &quantities[..k], LotPolicy::Average);
        let run = fee_per_order(world, 1.0)?.run()?;
        assert_eq!(run.cash(), cash, "after {k} orders");
        assert_eq!(run.realized(), realized, "after {k} orders");
        assert_eq!(run.position("AAA"), position, "after {k} orders");
    }
    Ok(())
}

#[test]
fn first_in_first_out_through_a_turn_closes_lot_by_lot() -> TestResult {
    let (prices, quantities) = TURNING;
    let run = fee_per_order(one_order_a_day(prices, quantities, LotPolicy::Fifo), 1.0)?.run()?;
    // 120 at 11 close 100 that cost 10 and 20 that cost 12; 80 at 9 close the 30 left and open 50 short.
    // Fees: entries 1 per 100 and 1 per 50, exits by share of the order's 1.
    assert_eq!(
        run.round_trips(),
        [
            "AAA 100 in 1000 out 1100 fees 1.833333333333333333 slippage 0",
            "AAA 20 in 240 out 220 fees 0.566666666666666667 slippage 0",
            "AAA 30 in 360 out 270 fees 0.975 slippage 0",
            "AAA -50 in -450 out -400 fees 1.625 slippage 0"
        ]
    );
    assert_eq!(run.realized(), "40");
    assert_eq!(run.cash(), "10035");
    assert_eq!(run.position("AAA"), "flat");
    Ok(())
}

#[test]
fn each_policy_closes_its_own_lots_and_all_end_with_the_same_money() -> TestResult {
    // 10 each at 12, 15, 11 and 14, then 15 sold at 13, then the other 25 at 10.
    let prices = [12.0, 12.0, 15.0, 11.0, 14.0, 13.0, 10.0];
    let quantities = [10, 10, 10, 10, -15, -25];
    for (policy, trips, realized) in [
        (LotPolicy::Fifo, ["10 in 120", "5 in 75", "5 in 75", "10 in 110", "10 in 140"], "0"),
        (LotPolicy::Lifo, ["10 in 140", "5 in 55", "5 in 55", "10 in 150", "10 in 120"], "0"),
        (LotPolicy::HighestCost, ["10 in 150", "5 in 70", "5 in 70", "10 in 120", "10 in 110"], "-25"),
    ] {
        let first = one_order_a_day(&prices[..6], &quantities[..5], policy).run()?;
        assert_eq!(first.realized(), realized, "{policy:?}");
        let run = one_order_a_day(&prices, &quantities, policy).run()?;
        let found = run.round_trips();
        let lots: Vec<&str> = found.iter().map(|trip| trip[4..].split(" out").next().unwrap_or("")).collect();
        assert_eq!(lots, trips, "{policy:?}");
        assert_eq!((run.realized(), run.cash()), ("-75".to_owned(), "9925".to_owned()), "{policy:?}");
    }
    Ok(())
}

#[test]
fn of_shorts_the_one_sold_at_the_lowest_price_ends_first_and_of_equal_ones_the_oldest() -> TestResult {
    // 10 short each at 12, 15, 11 and 11, then 15 bought back at 13.
    let prices = [12.0, 12.0, 15.0, 11.0, 11.0, 13.0];
    let mut world = one_order_a_day(&prices, &[-10, -10, -10, -10, 15], LotPolicy::HighestCost);
    world.account.allows_short = true;
    let run = world.run()?;
    let trips: Vec<_> = run.recorder().round_trips().map(|trip| (trip.entry_order.0, trip.quantity)).collect();
    assert_eq!(trips, [(2, -10), (3, -5)]);
    assert_eq!(run.lots("AAA"), ["-10 costing -120", "-10 costing -150", "-5 costing -55"]);
    Ok(())
}

#[test]
fn the_fees_of_round_trips_add_up_to_the_fees_paid() -> TestResult {
    // Three lots of odd sizes closed by two orders: the parts are rounded, their sum is not.
    let quantities = [7, 11, 13, -17, -14];
    let prices = [10.0, 10.0, 11.0, 12.0, 13.0, 14.0];
    for policy in [LotPolicy::Fifo, LotPolicy::Lifo, LotPolicy::HighestCost, LotPolicy::Average] {
        let mut world = fee_per_order(one_order_a_day(&prices, &quantities, policy), 1.0)?;
        world.models.slippage = builtin_slippage("fixed_fraction", &params(&[("fraction", 0.01)]))?;
        let run = world.run()?;
        let fees: i128 = run.recorder().round_trips().map(|r| r.fees.0).sum();
        assert_eq!(fees, 5 * 10_i128.pow(18), "{policy:?}");
        let slipped: i128 = run.recorder().round_trips().map(|r| r.slippage.0).sum();
        let paid: i128 =
            run.recorder().fills().map(|f| i128::from(f.slippage.0) * i128::from(f.quantity) * 1_000_000_000).sum();
        assert_eq!(slipped, paid, "{policy:?}");
        let gained: i128 = run.recorder().round_trips().map(|r| r.exit_value.0 - r.entry_cost.0).sum();
        assert_eq!(run.realized(), crate::common::decimal(gained, 18), "{policy:?}");
    }
    Ok(())
}

#[test]
fn a_minimum_per_order_is_paid_once_however_many_fills_it_takes() -> TestResult {
    let mut world = World::new();
    let bar = |day| volume(day_bar("AAA", day, flat(10.0)), 1_000.0);
    world.bars("1d", &(1..=5).map(bar).collect::<Vec<_>>());
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 0.1)]))?;
    world.models.fee = builtin_fee("per_share", &params(&[("fee", 0.005), ("minimum", 1.0)]))?;
    world.sends(at(1, 16, 0), buy("AAA", 300));
    let run = world.run()?;
    // 100 shares: 0.50, so the minimum; 200: 1.00, paid already; 300: 1.50, half of it new.
    let fees: Vec<String> = run.recorder().fills().map(|f| crate::common::decimal(f.fee.0, 18)).collect();
    assert_eq!(fees, ["1", "0", "0.5"]);
    assert_eq!(run.cash(), "6998.5");
    let no_posting_of_nothing = run.postings().iter().filter(|p| p.contains(" fee ")).count();
    assert_eq!(no_posting_of_nothing, 2);
    Ok(())
}

#[test]
fn a_cap_on_the_fee_is_a_share_of_the_whole_order() -> TestResult {
    let mut world = World::new();
    world.bars("1d", &[day_bar("AAA", 1, flat(0.1)), day_bar("AAA", 2, flat(0.1))]);
    let per_share = params(&[("fee", 0.005), ("minimum", 1.0), ("maximum_fraction", 0.01)]);
    world.models.fee = builtin_fee("per_share", &per_share)?;
    world.sends(at(1, 16, 0), buy("AAA", 100));
    // 100 x 0.005 is below the minimum of 1, and 1 is above 1 % of 10.
    assert_eq!(world.run()?.cash(), "9989.9");
    Ok(())
}

#[test]
fn a_flat_fee_is_charged_at_the_first_fill_of_an_order() -> TestResult {
    let mut world = World::new();
    let bar = |day| volume(day_bar("AAA", day, flat(10.0)), 1_000.0);
    world.bars("1d", &(1..=4).map(bar).collect::<Vec<_>>());
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 0.1)]))?;
    world.models.fee = builtin_fee("per_order", &params(&[("fee", 2.5)]))?;
    world.sends(at(1, 16, 0), buy("AAA", 200));
    let fees: Vec<String> = world.run()?.recorder().fills().map(|f| crate::common::decimal(f.fee.0, 18)).collect();
    assert_eq!(fees, ["2.5", "0"]);
    Ok(())
}

#[test]
fn a_fee_is_rounded_once_half_to_even_to_the_posting_quantum() -> TestResult {
    // Halves that a binary number holds exactly, with money in whole units.
    for (fee, charged) in [(0.5, "0"), (1.5, "2"), (2.5, "2"), (2.500_000_1, "3")] {
        let mut world = fee_per_order(one_order_a_day(&[100.0, 100.0], &[5], LotPolicy::Fifo), fee)?;
        world.account.posting_quantum = 1_000_000_000_000_000_000;
        assert_eq!(world.run()?.balance(Account::Fees), charged, "a fee of {fee}");
    }
    Ok(())
}

#[test]
fn a_rebate_is_money_that_comes_in() -> TestResult {
    let mut world = one_order_a_day(&[100.0, 100.0], &[10], LotPolicy::Fifo);
    world.models.fee = builtin_fee("fraction", &params(&[("rate", -0.001)]))?;
    let run = world.run()?;
    assert_eq!(run.cash(), "9001");
    assert_eq!(run.postings().pop().as_deref(), Some("d2 09:30 fee cash <- fees 1 AAA"));
    Ok(())
}

#[test]
fn reference_value_less_cash_moved_is_spread_slippage_and_fee() -> TestResult {
    let mut world = one_order_a_day(&[100.0, 100.0, 110.0], &[10, -10], LotPolicy::Fifo);
    world.models.slippage = builtin_slippage("basis_points", &params(&[("bps", 25.0)]))?;
    world.models.fee = builtin_fee("fraction", &params(&[("rate", 0.001)]))?;
    let run = world.run()?;
    assert_eq!(
        run.costs(),
        [
            "#1 taker reference 100 spread 0 slippage 0.25 impact 0 fee 1.0025 notional 1002.5",
            "#2 taker reference 110 spread 0 slippage 0.275 impact 0 fee 1.09725 notional 1097.25"
        ]
    );
    // 100 gained at reference prices, less 2.5 + 2.75 of slippage and 2.09975 of fees.
    assert_eq!(run.cash(), "10092.65025");
    Ok(())
}

#[test]
fn a_contract_multiplier_multiplies_money_and_not_quantity() -> TestResult {
    let mut world = one_order_a_day(&[100.25, 100.25, 101.5], &[2, -2], LotPolicy::Fifo);
    world.cash("50000")?;
    world.instrument("AAA", |spec| {
        spec.multiplier = "50";
        spec.tick_size = "0.25";
    });
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 09:30 #1 AAA buy 2 @ 100.25 open", "d3 09:30 #2 AAA sell 2 @ 101.5 open"]);
    assert_eq!(run.postings()[1], "d2 09:30 trade inventory <- cash 10025 AAA");
    assert_eq!(run.realized(), "125");
    Ok(())
}

#[test]
fn fractions_of_shares_are_exact() -> TestResult {
    let mut world = World::new();
    world.bars("1d", &[day_bar("AAA", 1, flat(123.456_789)), day_bar("AAA", 2, flat(123.456_789))]);
    world.instrument("AAA", |spec| spec.quantity_exponent = 8);
    world.sends(at(1, 16, 0), buy("AAA", 1)).sends(at(1, 16, 0), buy("AAA", 314_159_265));
    let run = world.run()?;
    // 123.456789 x 0.00000001, and 123.456789 x 3.14159265 = 387.85094091500085: every decimal.
    assert_eq!(
        run.postings()[1..],
        [
            "d2 09:30 trade inventory <- cash 0.00000123456789 AAA",
            "d2 09:30 trade inventory <- cash 387.85094091500085 AAA"
        ]
    );
    Ok(())
}

#[test]
fn a_tenth_of_a_cent_survives_a_thousand_trades() -> TestResult {
    let mut world = World::new();
    let bars: Vec<_> = (0..1_001).map(|k| crate::common::minute_bar("AAA", at(1, 0, k), flat(0.1))).collect();
    world.bars("1m", &bars);
    for k in 1..=1_000 {
        world.sends(at(1, 0, k), if k % 2 == 1 { buy("AAA", 3) } else { sell("AAA", 3) });
    }
    world.models.fee = builtin_fee("per_share", &params(&[("fee", 0.001)]))?;
    let run = world.run()?;
    assert_eq!(run.recorder().fills().len(), 1_000);
    assert_eq!(run.cash(), "9997", "a thousand times three tenths of a cent, and nothing else");
    Ok(())
}

#[test]
fn a_position_through_zero_in_one_fill_closes_one_side_and_opens_the_other() -> TestResult {
    let run = one_order_a_day(&[10.0, 10.0, 12.0, 12.0], &[10, -25], LotPolicy::Fifo).run()?;
    assert_eq!(
        run.postings()[2..],
        [
            "d3 09:30 trade cash <- inventory 100 AAA",
            "d3 09:30 realized cash <- realized_pnl 20 AAA",
            "d3 09:30 trade cash <- inventory 180 AAA"
        ]
    );
    assert_eq!(run.lots("AAA"), ["-15 costing -180"]);
    assert_eq!(run.cash(), "10200");
    Ok(())
}

#[test]
fn average_lots_keep_one_lot_and_its_exact_total_cost() -> TestResult {
    // 3 at 10 and 4 at 11 cost 74; two leave at 74 x 2 / 7, which no decimal holds.
    let run = one_order_a_day(&[10.0, 10.0, 11.0, 12.0, 12.0], &[3, 4, -2, -5], LotPolicy::Average).run()?;
    let costs: Vec<String> = run.recorder().round_trips().map(|r| crate::common::decimal(r.entry_cost.0, 18)).collect();
    assert_eq!(costs, ["21.142857142857142857", "52.857142857142857143"], "to the last unit, and 74 together");
    assert_eq!(run.realized(), "10");
    Ok(())
}
