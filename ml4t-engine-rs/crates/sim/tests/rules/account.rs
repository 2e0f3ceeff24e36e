//! What an account may do: cash at intake and at the fill, shorts, leverage, and every refusal by name.

use crate::common::{Ask, Outcome, TestResult, World, at, buy, day_bar, decimal, flat, params, sell, volume};
use ml4t_sim::models::{builtin_fee, builtin_fill, builtin_slippage};
use ml4t_sim::money::Ratio;
use ml4t_sim::policies::{InsufficientCash, LimitSlippage};

const NO_FILLS: [&str; 0] = [];

/// A thousand in cash, and a stock that closes at 100 on day 1 and then opens and stays at `prices`.
fn thousand(prices: &[f64]) -> Result<World, Box<dyn std::error::Error>> {
    let mut world = World::new();
    world.cash("1000")?;
    let mut rows = vec![day_bar("AAA", 1, flat(100.0))];
    rows.extend((2..).zip(prices).map(|(day, &price)| day_bar("AAA", day, flat(price))));
    world.bars("1d", &rows);
    Ok(world)
}

fn sent(mut world: World, asks: &[Ask]) -> Result<Outcome, Box<dyn std::error::Error>> {
    for ask in asks {
        world.sends(at(1, 16, 0), ask.clone());
    }
    Ok(world.run()?)
}

#[test]
fn the_last_cent_may_be_spent() -> TestResult {
    let run = sent(thousand(&[100.0])?, &[buy("AAA", 10)])?;
    assert_eq!(run.fills(), ["d2 09:30 #1 AAA buy 10 @ 100 open"]);
    assert_eq!(run.cash(), "0");
    Ok(())
}

#[test]
fn an_order_beyond_the_cash_is_refused_at_intake_with_the_numbers() -> TestResult {
    let run = sent(thousand(&[100.0])?, &[buy("AAA", 11)])?;
    assert_eq!(run.life(1), ["d1 16:00 submitted", "d1 16:00 rejected INSUFFICIENT_BUYING_POWER"]);
    for part in ["11", "AAA", "1100", "1000", "1970-01-02T16:00:00Z"] {
        assert!(run.reason(1).contains(part), "{:?} names {part}", run.reason(1));
    }
    Ok(())
}

#[test]
fn a_price_that_rose_overnight_refuses_the_fill_and_the_run_goes_on() -> TestResult {
    let run = sent(thousand(&[101.0, 100.0])?, &[buy("AAA", 10), buy("AAA", 0).limit("1")]).map(|_| ());
    assert!(run.is_err(), "an order of nothing cannot be built");
    let mut world = thousand(&[101.0, 100.0])?;
    world.sends(at(2, 16, 0), buy("AAA", 9));
    let run = sent(world, &[buy("AAA", 10)])?;
    assert_eq!(run.life(1), ["d1 16:00 submitted", "d1 16:00 accepted", "d2 09:30 rejected INSUFFICIENT_CASH"]);
    assert!(run.reason(1).contains("cash 1000"), "{}", run.reason(1));
    assert_eq!(run.fills(), ["d3 09:30 #2 AAA buy 9 @ 100 open"]);
    Ok(())
}

#[test]
fn partial_fills_what_the_account_can_pay_and_gives_up_the_rest() -> TestResult {
    let mut world = thousand(&[101.0])?;
    world.policies.insufficient_cash = InsufficientCash::Partial;
    let run = sent(world, &[buy("AAA", 12)])?;
    assert_eq!(run.fills(), ["d2 09:30 #1 AAA buy 9 @ 101 open"]);
    assert_eq!(run.cash(), "91");
    assert_eq!(
        run.life(1),
        ["d1 16:00 submitted", "d1 16:00 accepted", "d2 09:30 partially_filled", "d2 09:30 canceled INSUFFICIENT_CASH"]
    );
    Ok(())
}

#[test]
fn partial_counts_the_fee_into_what_can_be_paid() -> TestResult {
    let mut world = thousand(&[100.0])?;
    world.policies.insufficient_cash = InsufficientCash::Partial;
    world.models.fee = builtin_fee("per_order", &params(&[("fee", 100.01)]))?;
    let run = sent(world, &[buy("AAA", 10)])?;
    // 9 x 100 + 100.01 are a cent too many.
    assert_eq!(run.fills(), ["d2 09:30 #1 AAA buy 8 @ 100 open"]);
    assert_eq!(run.cash(), "99.99");
    Ok(())
}

#[test]
fn partial_without_money_for_one_unit_is_a_rejection() -> TestResult {
    let mut world = thousand(&[1_000.01])?;
    world.policies.insufficient_cash = InsufficientCash::Partial;
    let run = sent(world, &[buy("AAA", 10)])?;
    assert_eq!(run.end_of(1), "d2 09:30 rejected INSUFFICIENT_CASH");
    Ok(())
}

#[test]
fn partial_buys_whole_lots() -> TestResult {
    let mut world = thousand(&[10.0])?;
    world.policies.insufficient_cash = InsufficientCash::Partial;
    world.instrument("AAA", |spec| spec.lot_size = 30);
    assert_eq!(sent(world, &[buy("AAA", 120)])?.fills(), ["d2 09:30 #1 AAA buy 90 @ 10 open"]);
    Ok(())
}

#[test]
fn wait_keeps_the_order_working_until_it_can_be_paid() -> TestResult {
    let mut world = thousand(&[101.0, 102.0, 99.0])?;
    world.policies.insufficient_cash = InsufficientCash::Wait;
    let run = sent(world, &[buy("AAA", 10)])?;
    assert_eq!(run.fills(), ["d4 09:30 #1 AAA buy 10 @ 99 open"]);
    assert_eq!(run.life(1), ["d1 16:00 submitted", "d1 16:00 accepted", "d4 09:30 filled"]);
    Ok(())
}

#[test]
fn a_fee_can_be_what_is_missing() -> TestResult {
    let mut world = thousand(&[100.0])?;
    world.models.fee = builtin_fee("per_order", &params(&[("fee", 0.01)]))?;
    assert_eq!(sent(world, &[buy("AAA", 10)])?.end_of(1), "d2 09:30 rejected INSUFFICIENT_CASH");
    Ok(())
}

#[test]
fn slippage_can_be_what_is_missing() -> TestResult {
    let mut world = thousand(&[100.0])?;
    world.models.slippage = builtin_slippage("basis_points", &params(&[("bps", 1.0)]))?;
    assert_eq!(sent(world, &[buy("AAA", 10)])?.end_of(1), "d2 09:30 rejected INSUFFICIENT_CASH");
    Ok(())
}

#[test]
fn working_buys_set_buying_power_aside_until_they_end() -> TestResult {
    let mut world = thousand(&[100.0, 100.0, 100.0])?;
    world.sends(at(1, 16, 0), buy("AAA", 10).limit("60")).sends(at(1, 16, 0), buy("AAA", 10).limit("50"));
    world.cancels(at(2, 16, 0), 1).sends(at(2, 16, 0), buy("AAA", 10).limit("50"));
    let run = world.run()?;
    assert_eq!(run.end_of(2), "d1 16:00 rejected INSUFFICIENT_BUYING_POWER", "600 of 1000 are set aside");
    assert_eq!(run.end_of(3), "d4 16:00 canceled END_OF_DATA", "they came back with the cancel");
    Ok(())
}

#[test]
fn a_sale_without_position_is_refused_on_an_account_that_may_not_short() -> TestResult {
    let run = sent(thousand(&[100.0])?, &[sell("AAA", 1), sell("AAA", 1).limit("200"), sell("AAA", 1).stop("90")])?;
    for order in 1..=3 {
        assert_eq!(run.end_of(order), "d1 16:00 rejected SHORT_NOT_ALLOWED");
    }
    assert!(run.reason(1).contains("AAA") && run.reason(1).contains("may not sell short"), "{}", run.reason(1));
    Ok(())
}

#[test]
fn more_than_is_held_cannot_be_sold() -> TestResult {
    let mut world = thousand(&[100.0, 100.0])?;
    world.sends(at(2, 16, 0), sell("AAA", 6)).sends(at(2, 16, 0), sell("AAA", 5));
    let run = sent(world, &[buy("AAA", 5)])?;
    assert_eq!(run.end_of(2), "d2 16:00 rejected SHORT_NOT_ALLOWED");
    assert_eq!(run.fills()[1..], ["d3 09:30 #3 AAA sell 5 @ 100 open"]);
    Ok(())
}

#[test]
fn two_sells_of_one_position_are_accepted_and_the_second_is_refused_when_it_would_go_short() -> TestResult {
    let mut world = thousand(&[100.0, 100.0])?;
    world.sends(at(2, 16, 0), sell("AAA", 5)).sends(at(2, 16, 0), sell("AAA", 5));
    let run = sent(world, &[buy("AAA", 5)])?;
    assert_eq!(run.end_of(2), "d3 09:30 filled");
    assert_eq!(run.end_of(3), "d3 09:30 rejected SHORT_NOT_ALLOWED");
    assert_eq!(run.position("AAA"), "flat");
    Ok(())
}

#[test]
fn a_working_buy_of_another_account_is_no_cover_for_a_sale() -> TestResult {
    let mut world = thousand(&[100.0])?;
    world.books = 2;
    let run = sent(world, &[buy("AAA", 5).limit("90").book(1), sell("AAA", 5)])?;
    assert_eq!(run.life(2), ["d1 16:00 submitted", "d1 16:00 rejected SHORT_NOT_ALLOWED"]);
    Ok(())
}

#[test]
fn a_short_sale_brings_cash_and_owes_shares() -> TestResult {
    let mut world = thousand(&[100.0, 90.0])?;
    world.account.allows_short = true;
    world.sends(at(2, 16, 0), buy("AAA", 5));
    let run = sent(world, &[sell("AAA", 5)])?;
    assert_eq!(run.fills(), ["d2 09:30 #1 AAA sell 5 @ 100 open", "d3 09:30 #2 AAA buy 5 @ 90 open"]);
    assert_eq!(run.navs(), ["d1 16:00 nav 1000", "d2 16:00 nav 1000", "d3 16:00 nav 1050"]);
    assert_eq!(run.realized(), "50");
    assert_eq!(
        run.postings()[1..],
        [
            "d2 09:30 trade cash <- inventory 500 AAA",
            "d3 09:30 trade inventory <- cash 500 AAA",
            "d3 09:30 realized cash <- realized_pnl 50 AAA"
        ],
        "buying back: the proceeds of the sale go out, and the gain comes in"
    );
    Ok(())
}

#[test]
fn a_short_position_is_worth_less_as_the_price_rises() -> TestResult {
    let mut world = thousand(&[100.0, 130.0])?;
    world.account.allows_short = true;
    let run = sent(world, &[sell("AAA", 5)])?;
    assert_eq!(run.position("AAA"), "-5 costing -500 marked 130");
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 850"));
    Ok(())
}

#[test]
fn gross_exposure_is_bounded_by_leverage_times_equity() -> TestResult {
    for (allows_short, asks, expected) in [
        (false, [buy("AAA", 20), buy("AAA", 1)], "d1 16:00 rejected INSUFFICIENT_BUYING_POWER"),
        (true, [buy("AAA", 12), sell("BBB", 80)], "d2 09:30 filled"),
        (true, [buy("AAA", 12), sell("BBB", 81)], "d1 16:00 rejected INSUFFICIENT_BUYING_POWER"),
        (true, [sell("AAA", 20), sell("BBB", 1)], "d1 16:00 rejected INSUFFICIENT_BUYING_POWER"),
    ] {
        let mut world = thousand(&[100.0])?;
        world.bars("1d", &[day_bar("BBB", 1, flat(10.0)), day_bar("BBB", 2, flat(10.0))]);
        world.account.leverage = Ratio { num: 2, den: 1 };
        world.account.allows_short = allows_short;
        let run = sent(world, &asks)?;
        assert_eq!(run.end_of(1), "d2 09:30 filled");
        assert_eq!(run.end_of(2), expected, "{asks:?}");
    }
    Ok(())
}

#[test]
fn borrowed_money_shows_as_negative_cash_and_losses_as_lost_equity() -> TestResult {
    let mut world = thousand(&[100.0, 90.0])?;
    world.account.leverage = Ratio { num: 2, den: 1 };
    let run = sent(world, &[buy("AAA", 20)])?;
    assert_eq!(run.cash(), "-1000");
    assert_eq!(run.navs().pop().as_deref(), Some("d3 16:00 nav 800"));
    Ok(())
}

#[test]
fn a_leveraged_account_over_its_limit_may_still_reduce() -> TestResult {
    let mut world = thousand(&[100.0, 60.0, 60.0])?;
    world.account.leverage = Ratio { num: 2, den: 1 };
    // At 60 the equity is 200 and the position 1200: far over the limit of 400.
    world.sends(at(3, 16, 0), buy("AAA", 1)).sends(at(3, 16, 0), sell("AAA", 15));
    let run = sent(world, &[buy("AAA", 20)])?;
    assert_eq!(run.end_of(3), "d4 09:30 filled");
    assert_eq!(run.position("AAA"), "5 costing 500 marked 60");
    assert!(run.end_of(2).contains("rejected"), "{}", run.end_of(2));
    Ok(())
}

#[test]
fn leverage_is_checked_at_the_price_of_the_fill() -> TestResult {
    let mut world = thousand(&[101.0])?;
    world.account.leverage = Ratio { num: 2, den: 1 };
    let run = sent(world, &[buy("AAA", 20)])?;
    assert_eq!(run.end_of(1), "d2 09:30 rejected INSUFFICIENT_CASH", "2020 are more than twice 1000");
    Ok(())
}

#[test]
fn a_quantity_off_the_lot_is_refused_not_rounded() -> TestResult {
    let mut world = thousand(&[100.0])?;
    world.instrument("AAA", |spec| spec.lot_size = 2);
    let run = sent(world, &[buy("AAA", 3), buy("AAA", 4)])?;
    assert_eq!(run.end_of(1), "d1 16:00 rejected OFF_LOT");
    assert!(run.reason(1).contains("lot_size 2"), "{}", run.reason(1));
    assert_eq!(run.fills(), ["d2 09:30 #2 AAA buy 4 @ 100 open"]);
    Ok(())
}

#[test]
fn a_price_of_zero_is_refused() -> TestResult {
    let run = sent(thousand(&[100.0])?, &[buy("AAA", 1).limit("0"), buy("AAA", 1).stop("-1")])?;
    assert_eq!(run.end_of(1), "d1 16:00 rejected PRICE_NOT_POSITIVE");
    assert_eq!(run.end_of(2), "d1 16:00 rejected PRICE_NOT_POSITIVE");
    Ok(())
}

#[test]
fn an_instrument_without_market_data_is_refused_by_name() -> TestResult {
    let mut world = thousand(&[100.0])?;
    world.instrument("ZZZ", |_| ());
    let run = sent(world, &[buy("ZZZ", 1)])?;
    assert_eq!(run.end_of(1), "d1 16:00 rejected NO_MARKET_DATA");
    Ok(())
}

#[test]
fn an_order_that_filled_in_part_is_canceled_and_never_rejected() -> TestResult {
    // A tenth of the volume a day: 5 fill, and on the next day there is no money for more.
    let mut world = thousand(&[])?;
    let bar = |day, price| volume(day_bar("AAA", day, flat(price)), 50.0);
    world.bars("1d", &[bar(2, 100.0), bar(3, 101.0)]);
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 0.1)]))?;
    let run = sent(world, &[buy("AAA", 10)])?;
    assert_eq!(run.fills(), ["d2 16:00 #1 AAA buy 5 @ 100 open"]);
    assert_eq!(run.end_of(1), "d3 16:00 canceled INSUFFICIENT_CASH");
    assert_eq!(run.position("AAA"), "5 costing 500 marked 101");
    Ok(())
}

#[test]
fn slippage_on_a_marketable_limit_follows_the_policy() -> TestResult {
    for (policy, limit, expected) in [
        (LimitSlippage::None, "100.5", "100 open"),
        (LimitSlippage::Clamp, "100.5", "100.5 open"),
        (LimitSlippage::Clamp, "105", "101 open"),
        (LimitSlippage::Refuse, "105", "101 open"),
        (LimitSlippage::Refuse, "101", "101 open"),
    ] {
        let mut world = thousand(&[100.0])?;
        world.policies.limit_slippage = policy;
        world.models.slippage = builtin_slippage("fixed_fraction", &params(&[("fraction", 0.01)]))?;
        let run = sent(world, &[buy("AAA", 5).limit(limit)])?;
        assert_eq!(run.fills(), [format!("d2 09:30 #1 AAA buy 5 @ {expected}")], "{policy:?} {limit}");
    }
    Ok(())
}

#[test]
fn a_limit_refused_for_its_slippage_at_the_open_does_not_fill_at_a_price_outside_the_bar() -> TestResult {
    let mut world = thousand(&[100.0])?;
    world.policies.limit_slippage = LimitSlippage::Refuse;
    world.models.slippage = builtin_slippage("fixed_fraction", &params(&[("fraction", 0.01)]))?;
    // The open of 100 would cost 101, beyond the limit of 100.5. Nothing traded at 100.5: the bar stood at 100.
    let run = sent(world, &[buy("AAA", 5).limit("100.5")])?;
    assert_eq!(run.fills(), NO_FILLS);
    Ok(())
}

#[test]
fn books_have_each_their_own_cash() -> TestResult {
    let mut world = thousand(&[100.0])?;
    world.books = 2;
    let run = sent(world, &[buy("AAA", 10), buy("AAA", 10).book(1), buy("AAA", 1).book(1)])?;
    assert_eq!(run.end_of(3), "d1 16:00 rejected INSUFFICIENT_BUYING_POWER");
    assert_eq!(run.position_in(1, "AAA"), "10 costing 1000 marked 100");
    assert_eq!(decimal(run.book(1).cash().0, 18), "0");
    assert_eq!(run.navs(), ["d1 16:00 nav 2000", "d2 16:00 nav 2000"]);
    Ok(())
}

#[test]
fn no_refusal_moves_money() -> TestResult {
    let run = sent(thousand(&[100.0])?, &[buy("AAA", 99), sell("AAA", 1), buy("AAA", 1).limit("0.001")])?;
    assert_eq!(run.fills(), NO_FILLS);
    assert_eq!(run.postings(), ["d1 09:30 deposit cash <- capital 1000"]);
    Ok(())
}
