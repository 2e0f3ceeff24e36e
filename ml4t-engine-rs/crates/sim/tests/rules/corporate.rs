//! Splits and cash dividends on raw prices: positions, working orders, marks, money.

use crate::common::{Outcome, TestResult, World, at, buy, day_bar, flat, params, sell, volume};
use ml4t_sim::ledger::Account;
use ml4t_sim::models::{builtin_fee, builtin_fill};
use ml4t_sim::policies::LotPolicy;

/// Buys `quantity` at the open of day 2 at `prices[1]`; the action is on day 3.
fn holding(mut world: World, quantity: i64, prices: &[f64]) -> Result<World, Box<dyn std::error::Error>> {
    world.cash("100000")?;
    world.account.allows_short = true;
    let bars: Vec<_> = (1..).zip(prices).map(|(day, &price)| day_bar("AAA", day, flat(price))).collect();
    world.bars("1d", &bars);
    let ask = if quantity > 0 { buy("AAA", quantity) } else { sell("AAA", -quantity) };
    world.sends(at(1, 16, 0), ask);
    Ok(world)
}

/// The postings behind the deposit and the purchase.
fn postings_of_the_action(run: &Outcome) -> Vec<String> {
    run.postings().split_off(2)
}

#[test]
fn a_split_two_for_one_doubles_shares_and_keeps_their_cost() -> TestResult {
    for world in World::both() {
        let mut world = holding(world, 100, &[50.0, 50.0, 25.5])?;
        world.split(3, "AAA", 2, 1)?;
        let run = world.run()?;
        assert_eq!(run.position("AAA"), "200 costing 5000 marked 25.5");
        assert_eq!(run.lots("AAA"), ["200 costing 5000"]);
        assert_eq!(run.navs()[1..], ["d2 16:00 nav 100000", "d3 16:00 nav 100100"]);
        assert_eq!(postings_of_the_action(&run), [""; 0], "no money moved");
    }
    Ok(())
}

#[test]
fn a_split_leaves_equity_where_it_was_until_something_trades() -> TestResult {
    for (new, old) in [(2, 1), (3, 2), (1, 4), (1, 5), (7, 1)] {
        let mut world = holding(World::new(), 1_000, &[42.0, 42.0])?;
        world.split(3, "AAA", new, old)?;
        // Another instrument keeps the clock ticking; AAA itself does not trade on day 3.
        world.bars("1d", &[day_bar("ZZZ", 3, flat(1.0))]);
        let run = world.run()?;
        assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 100000"), "{new}:{old}");
    }
    Ok(())
}

#[test]
fn a_split_three_for_two_of_an_odd_holding_pays_half_a_share_in_cash() -> TestResult {
    let mut world = holding(World::new(), 101, &[10.0, 10.0])?;
    world.bars("1d", &[("AAA", at(2, 16, 0), at(2, 17, 0), flat(12.0), 1_000.0), day_bar("ZZZ", 3, flat(1.0))]);
    world.split(3, "AAA", 3, 2)?;
    let run = world.run()?;
    // 101 x 3/2 = 151.5 at 8: 151 shares, 4.00 for the half. Its cost: 1010 x 0.5 / 151.5 = 3.33...
    assert_eq!(run.position("AAA"), "151 costing 1006.666666666666666667 marked 8");
    assert_eq!(
        postings_of_the_action(&run),
        [
            "d3 00:00 cash_in_lieu cash <- inventory 3.333333333333333333 AAA",
            "d3 00:00 cash_in_lieu cash <- realized_pnl 0.666666666666666667 AAA"
        ]
    );
    assert_eq!(run.cash(), "98994");
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 100202"), "101 at 12 were 2 a share up, and still are");
    Ok(())
}

#[test]
fn a_reverse_split_leaves_whole_shares_and_cash() -> TestResult {
    let mut world = holding(World::new(), 103, &[2.0, 2.0, 20.0])?;
    world.split(3, "AAA", 1, 10)?;
    let run = world.run()?;
    // 10.3 new shares at 20: ten of them, and 0.3 x 20 = 6 in cash, which cost 6.
    assert_eq!(run.position("AAA"), "10 costing 200 marked 20");
    assert_eq!(postings_of_the_action(&run), ["d3 00:00 cash_in_lieu cash <- inventory 6 AAA"]);
    assert_eq!(run.cash(), "99800");
    Ok(())
}

#[test]
fn a_reverse_split_below_one_share_pays_everything_out() -> TestResult {
    let mut world = holding(World::new(), 3, &[2.0, 2.5, 20.0])?;
    world.split(3, "AAA", 1, 10)?;
    let run = world.run()?;
    // Bought at 2.5; 0.3 of a share at 25 is 7.5, what it cost.
    assert_eq!(run.position("AAA"), "flat");
    assert_eq!(run.cash(), "100000");
    assert_eq!(run.realized(), "0");
    Ok(())
}

#[test]
fn a_short_position_splits_like_a_long_one_and_owes_the_fraction() -> TestResult {
    let mut world = holding(World::new(), -101, &[12.0, 12.0])?;
    world.bars("1d", &[day_bar("ZZZ", 3, flat(1.0))]);
    world.split(3, "AAA", 3, 2)?;
    let run = world.run()?;
    assert_eq!(run.position("AAA"), "-151 costing -1208 marked 8");
    assert_eq!(postings_of_the_action(&run), ["d3 00:00 cash_in_lieu inventory <- cash 4 AAA"]);
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 100000"));
    Ok(())
}

#[test]
fn a_fractional_holding_splits_without_remainder() -> TestResult {
    let mut world = World::new();
    world.instrument("AAA", |spec| spec.quantity_exponent = 8);
    let mut world = holding(world, 10_100_000_001, &[12.0, 12.0, 8.0])?;
    world.split(3, "AAA", 3, 2)?;
    let run = world.run()?;
    // 101.00000001 x 3/2 = 151.500000015: half a hundred-millionth is left over, 4e-8 in cash.
    assert_eq!(run.position("AAA"), "151.50000001 costing 1212.00000008 marked 8");
    assert_eq!(
        run.recorder().ledger().filter(|p| p.ts == at(3, 0, 0)).map(|p| p.amount.0).sum::<i128>(),
        40_000_000_000
    );
    Ok(())
}

#[test]
fn lots_split_in_proportion_and_add_up() -> TestResult {
    let mut world = holding(World::new(), 5, &[10.0, 10.0, 16.0, 12.0])?;
    // Two lots: 5 at 10 and 6 at 16, then 3:2 on day 4 makes 16.5.
    world.sends(at(2, 16, 0), buy("AAA", 6));
    world.split(4, "AAA", 3, 2)?;
    let run = world.run()?;
    // 7.5 and 9 new shares. The half that is paid out is sold like any other share: first in, first out.
    let lots: Vec<i64> = run.book(0).positions[0].lots.iter().map(|l| l.quantity).collect();
    assert_eq!(lots, [7, 9]);
    let cost: i128 = run.book(0).positions[0].lots.iter().map(|l| l.cost.0).sum();
    // 50 x 7 / 7.5 + 96 = 142.666...
    assert_eq!(crate::common::decimal(cost, 18), "142.666666666666666667");
    Ok(())
}

#[test]
fn the_fees_of_lots_survive_a_reverse_split_that_merges_them() -> TestResult {
    let mut world = holding(World::new(), 5, &[10.0, 10.0, 10.0, 100.0, 100.0, 100.0])?;
    world.models.fee = builtin_fee("per_order", &params(&[("fee", 1.0)]))?;
    world.sends(at(2, 16, 0), buy("AAA", 5));
    world.split(4, "AAA", 1, 10)?;
    world.sends(at(4, 16, 0), sell("AAA", 1));
    let run = world.run()?;
    let fees: i128 = run.recorder().round_trips().map(|r| r.fees.0).sum();
    assert_eq!(run.balance(Account::Fees), "3");
    assert_eq!(crate::common::decimal(fees, 18), "3", "{:?}", run.round_trips());
    Ok(())
}

#[test]
fn the_fees_of_a_fraction_that_is_paid_out_are_not_lost() -> TestResult {
    let mut world = holding(World::new(), 101, &[12.0, 12.0, 8.0, 8.0])?;
    world.models.fee = builtin_fee("per_order", &params(&[("fee", 1.0)]))?;
    world.split(3, "AAA", 3, 2)?;
    world.sends(at(3, 16, 0), sell("AAA", 151));
    let run = world.run()?;
    let fees: i128 = run.recorder().round_trips().map(|r| r.fees.0).sum();
    assert_eq!(run.balance(Account::Fees), "2");
    assert_eq!(crate::common::decimal(fees, 18), "2", "{:?}", run.round_trips());
    Ok(())
}

#[test]
fn an_average_lot_splits_as_one() -> TestResult {
    let mut world = World::new();
    world.account.lot_policy = LotPolicy::Average;
    let mut world = holding(world, 5, &[10.0, 10.0, 16.0, 8.0, 8.0])?;
    world.sends(at(2, 16, 0), buy("AAA", 5));
    world.split(4, "AAA", 2, 1)?;
    let run = world.run()?;
    assert_eq!(run.lots("AAA"), ["20 costing 130"]);
    Ok(())
}

#[test]
fn working_orders_follow_a_split() -> TestResult {
    // Two for one: a limit of 40 for 100 becomes one of 20 for 200, a stop of 70 one of 35.
    let mut world = holding(World::new(), 100, &[50.0, 50.0, 25.0])?;
    world.bars("1d", &[day_bar("AAA", 4, [25.0, 36.0, 19.0, 25.0])]);
    world.sends(at(2, 16, 0), buy("AAA", 100).limit("40")).sends(at(2, 16, 0), buy("AAA", 10).stop("70"));
    world.split(3, "AAA", 2, 1)?;
    let run = world.run()?;
    assert_eq!(run.fills()[1..], ["d4 16:00 #2 AAA buy 200 @ 20 range", "d4 16:00 #3 AAA buy 20 @ 35 range"]);
    Ok(())
}

#[test]
fn a_scaled_order_price_rounds_to_the_side_that_fills_less_in_any_scale_of_prices() -> TestResult {
    // 3:2 scales 10.00 to 6.666...: 6.66 for a buy limit, 6.67 for a sell limit; stops the other way round.
    for base in World::both() {
        let mut world = holding(base, 100, &[9.0, 9.0, 6.0])?;
        let decimals = world.price_exponent;
        world.sends(at(2, 16, 0), buy("AAA", 101).limit("10").stop("10"));
        world.sends(at(2, 16, 0), sell("AAA", 101).limit("10").stop("10"));
        world.sends(at(2, 16, 0), buy("AAA", 1).limit("0.02"));
        world.split(3, "AAA", 3, 2)?;
        world.cancels(at(3, 16, 0), 1);
        let run = world.run()?;
        let prices = |number: u64| {
            let request = run.run.state.order(ml4t_sim::ids::OrderId(number - 1)).request;
            let text = |p: Option<ml4t_sim::money::Price>| p.map(|p| crate::common::decimal(i128::from(p.0), decimals));
            (request.quantity, text(request.limit_price), text(request.stop_price))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(prices(2), (151, some("6.66"), some("6.67")), "{decimals} decimals");
        assert_eq!(prices(3), (151, some("6.67"), some("6.66")), "{decimals} decimals");
        assert_eq!(prices(4), (1, some("0.01"), None), "{decimals} decimals");
    }
    Ok(())
}

#[test]
fn an_order_that_a_reverse_split_shrinks_to_nothing_is_canceled_by_name() -> TestResult {
    let mut world = holding(World::new(), 100, &[2.0, 2.0, 20.0])?;
    world.sends(at(2, 16, 0), buy("AAA", 9).limit("1")).sends(at(2, 16, 0), buy("AAA", 19).limit("1"));
    world.split(3, "AAA", 1, 10)?;
    let run = world.run()?;
    assert_eq!(run.end_of(2), "d3 00:00 canceled SCALED_TO_NOTHING");
    assert_eq!(run.end_of(3), "d3 16:00 canceled END_OF_DATA");
    assert_eq!(run.run.state.order(ml4t_sim::ids::OrderId(2)).request.quantity, 1);
    Ok(())
}

/// An order for 20 of which 5 fill on day 2; on day 3 ten old shares become a new one, and one is left to fill.
fn partly_filled_before_a_reverse_split(third_open: f64) -> Result<World, Box<dyn std::error::Error>> {
    let mut world = World::new();
    world.cash("250")?;
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 0.1)]))?;
    let bar = |day, price| volume(day_bar("AAA", day, flat(price)), 50.0);
    world.bars("1d", &[bar(1, 10.0), bar(2, 10.0), bar(3, third_open)]);
    world.sends(at(1, 16, 0), buy("AAA", 20));
    world.split(3, "AAA", 1, 10)?;
    Ok(world)
}

#[test]
fn an_order_with_fills_stays_one_with_fills_through_a_reverse_split() -> TestResult {
    // 5 old shares are less than a new one. What is left of the order cannot be paid: canceled, as it has fills.
    let run = partly_filled_before_a_reverse_split(300.0)?.run()?;
    assert_eq!(run.fills(), ["d2 16:00 #1 AAA buy 5 @ 10 open"]);
    assert_eq!(run.end_of(1), "d3 16:00 canceled INSUFFICIENT_CASH");
    Ok(())
}

#[test]
fn a_fee_per_order_is_not_charged_again_after_a_reverse_split() -> TestResult {
    let mut world = partly_filled_before_a_reverse_split(100.0)?;
    world.models.fee = builtin_fee("per_order", &params(&[("fee", 1.0)]))?;
    let run = world.run()?;
    assert_eq!(run.fills(), ["d2 16:00 #1 AAA buy 5 @ 10 open", "d3 16:00 #1 AAA buy 1 @ 100 open"]);
    assert_eq!(run.balance(Account::Fees), "1");
    Ok(())
}

#[test]
fn a_split_of_another_instrument_touches_nothing() -> TestResult {
    let mut world = holding(World::new(), 100, &[50.0, 50.0, 50.0])?;
    world.bars("1d", &[day_bar("BBB", 1, flat(7.0)), day_bar("BBB", 3, flat(7.0))]);
    world.sends(at(2, 16, 0), buy("AAA", 100).limit("40"));
    world.split(3, "BBB", 2, 1)?;
    let run = world.run()?;
    assert_eq!(run.position("AAA"), "100 costing 5000 marked 50");
    assert_eq!(run.run.state.order(ml4t_sim::ids::OrderId(1)).request.quantity, 100);
    Ok(())
}

#[test]
fn a_market_order_decided_before_the_ex_date_buys_as_many_new_shares_as_old_ones_were_meant() -> TestResult {
    let mut world = World::new();
    world.bars("1d", &[day_bar("AAA", 1, flat(50.0)), day_bar("AAA", 2, flat(25.0))]);
    world.sends(at(1, 16, 0), buy("AAA", 100));
    world.split(2, "AAA", 2, 1)?;
    assert_eq!(world.run()?.fills(), ["d2 09:30 #1 AAA buy 200 @ 25 open"]);
    Ok(())
}

#[test]
fn a_dividend_is_owed_on_the_ex_date_and_paid_on_the_pay_date() -> TestResult {
    for world in World::both() {
        let mut world = holding(world, 100, &[50.0, 50.0, 49.5, 49.5, 49.5])?;
        world.dividend(3, "AAA", "0.50", at(5, 0, 0))?;
        let run = world.run()?;
        assert_eq!(
            postings_of_the_action(&run),
            ["d3 00:00 dividend receivable <- dividends 50 AAA", "d5 00:00 dividend_payment cash <- receivable 50 AAA"]
        );
        assert_eq!(run.cash(), "95050");
        assert_eq!(run.balance(Account::Receivable), "0");
        let flat_line = run.navs()[1..].iter().all(|nav| nav.ends_with(" nav 100000"));
        assert!(flat_line, "the price fell by the dividend, so nothing was won or lost: {:?}", run.navs());
    }
    Ok(())
}

#[test]
fn a_dividend_leaves_equity_where_it_was_until_something_trades() -> TestResult {
    let mut world = holding(World::new(), 100, &[50.0, 50.0])?;
    world.bars("1d", &[day_bar("ZZZ", 3, flat(1.0))]);
    world.dividend(3, "AAA", "0.123456789", at(30, 0, 0))?;
    let run = world.run()?;
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 100000"));
    assert_eq!(run.position("AAA"), "100 costing 5000 marked 49.876543211");
    assert_eq!(run.balance(Account::Receivable), "12.3456789", "still due when the data ends");
    Ok(())
}

#[test]
fn a_dividend_finer_than_the_price_drops_the_mark_by_what_a_price_can_hold() -> TestResult {
    // An eighth of a dollar on prices in cents: income of 12.50 on 100 shares, a mark of 49.88, not 49.875.
    let mut world = holding(World::cents(), 100, &[50.0, 50.0])?;
    world.bars("1d", &[day_bar("ZZZ", 3, flat(1.0))]);
    world.dividend(3, "AAA", "0.125", at(30, 0, 0))?;
    let run = world.run()?;
    assert_eq!(run.balance(Account::Receivable), "12.5");
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 100000.5"), "half a cent on each of 100 shares");
    Ok(())
}

#[test]
fn a_short_position_pays_the_dividend() -> TestResult {
    let mut world = holding(World::new(), -100, &[50.0, 50.0, 49.5, 49.5])?;
    world.dividend(3, "AAA", "0.5", at(4, 0, 0))?;
    let run = world.run()?;
    assert_eq!(
        postings_of_the_action(&run),
        ["d3 00:00 dividend dividends <- receivable 50 AAA", "d4 00:00 dividend_payment receivable <- cash 50 AAA"]
    );
    assert_eq!(run.cash(), "104950");
    assert_eq!(run.navs().pop().as_deref(), Some("d4 16:00 nav 100000"));
    Ok(())
}

#[test]
fn a_dividend_without_delay_is_paid_at_once() -> TestResult {
    for pay in [at(3, 0, 0), at(2, 0, 0)] {
        let mut world = holding(World::new(), 100, &[50.0, 50.0, 49.5])?;
        world.dividend(3, "AAA", "0.5", pay)?;
        assert_eq!(postings_of_the_action(&world.run()?), ["d3 00:00 dividend cash <- dividends 50 AAA"]);
    }
    Ok(())
}

#[test]
fn who_sold_before_the_ex_date_gets_nothing_and_who_sells_after_it_still_does() -> TestResult {
    let prices = [50.0, 50.0, 50.0, 50.0, 50.0];
    let mut early = holding(World::new(), 100, &prices)?;
    early.sends(at(2, 16, 0), sell("AAA", 100)).dividend(4, "AAA", "0.5", at(5, 0, 0))?;
    assert_eq!(early.run()?.balance(Account::Dividends), "0");
    let mut late = holding(World::new(), 100, &prices)?;
    late.sends(at(3, 16, 0), sell("AAA", 100)).dividend(4, "AAA", "0.5", at(5, 0, 0))?;
    let run = late.run()?;
    assert_eq!(run.position("AAA"), "flat");
    assert_eq!(run.cash(), "100050", "sold on the ex-date at its open, paid a day later");
    Ok(())
}

#[test]
fn dividend_and_split_of_one_day_pay_per_share_as_held_before() -> TestResult {
    let mut world = holding(World::new(), 100, &[50.0, 50.0, 24.5])?;
    world.dividend(3, "AAA", "1", at(3, 0, 0))?;
    world.split(3, "AAA", 2, 1)?;
    let run = world.run()?;
    assert_eq!(postings_of_the_action(&run), ["d3 00:00 dividend cash <- dividends 100 AAA"]);
    assert_eq!(run.position("AAA"), "200 costing 5000 marked 24.5");
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 100000"));
    Ok(())
}

#[test]
fn a_dividend_rounds_once_to_the_posting_quantum() -> TestResult {
    let mut world = holding(World::new(), 7, &[50.0, 50.0, 50.0])?;
    world.account.posting_quantum = 10_000_000_000_000_000;
    // 7 x 0.125 = 0.875, a tie between 0.87 and 0.88.
    world.dividend(3, "AAA", "0.125", at(3, 0, 0))?;
    assert_eq!(world.run()?.balance(Account::Dividends), "-0.88");
    Ok(())
}

#[test]
fn actions_reach_every_book_that_holds_the_instrument() -> TestResult {
    let mut world = holding(World::new(), 100, &[50.0, 50.0, 25.0])?;
    world.books = 2;
    world.sends(at(1, 16, 0), buy("AAA", 10).book(1));
    world.split(3, "AAA", 2, 1)?;
    world.dividend(3, "AAA", "0.5", at(3, 0, 0))?;
    let run = world.run()?;
    assert_eq!(run.position_in(0, "AAA"), "200 costing 5000 marked 25");
    assert_eq!(run.position_in(1, "AAA"), "20 costing 500 marked 25");
    // Both paid 0.5 per old share... the sequence at one instant is that of the plan; money is what counts.
    let paid: i128 = run.recorder().ledger().filter(|p| p.credit == Account::Dividends).map(|p| p.amount.0).sum();
    assert!(paid > 0);
    Ok(())
}

#[test]
fn an_action_between_sessions_happens_before_the_strategy_of_that_instant_decides() -> TestResult {
    let mut world = holding(World::new(), 100, &[50.0, 50.0, 25.0])?;
    world.split(3, "AAA", 2, 1)?;
    world.timers(&[at(3, 0, 0)]);
    world.probes(at(3, 0, 0), |api| {
        let position = &api.state.books[0].positions[0];
        format!("{} shares", position.quantity)
    });
    assert_eq!(world.run()?.probed(), ["d3 00:00 200 shares"]);
    Ok(())
}
