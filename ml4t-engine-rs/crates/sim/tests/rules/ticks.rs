//! Quotes and trade prints: the other side of the market, strictly after the decision, row by row.

use crate::common::{MINUTE, QuoteRow, SECOND, TestResult, TradeRow, World, at, buy, flat, minute_bar, params, sell};
use ml4t_sim::models::{builtin_fill, builtin_slippage};
use ml4t_sim::policies::{InsufficientCash, LimitTouch};

const NO_FILLS: [&str; 0] = [];

/// The k-th second after 10:00 of day 1.
const fn second(k: i64) -> i64 {
    at(1, 10, 0) + k * SECOND
}

/// A quote of a hundred at each side.
const fn quote(symbol: &str, ts: i64, bid: f64, ask: f64) -> QuoteRow<'_> {
    (symbol, ts, [bid, ask], [100.0, 100.0])
}

fn quotes(rows: &[QuoteRow<'_>]) -> World {
    let mut world = World::new();
    world.quotes("quotes", rows);
    world
}

#[test]
fn a_market_order_takes_the_other_side_of_the_first_quote_after_the_decision() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        quote("AAA", second(1), 98.0, 102.0),
        quote("AAA", second(2), 97.0, 103.0),
    ]);
    world.sends(second(0), buy("AAA", 10)).sends(second(1), sell("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:00:01 #1 AAA buy 10 @ 102 quote", "d1 10:00:02 #2 AAA sell 10 @ 97 quote"]);
    assert_eq!(run.liquidity(), ["#1 taker", "#2 taker"]);
    assert_eq!(run.realized(), "-50");
    Ok(())
}

#[test]
fn a_quote_at_the_very_instant_of_activity_is_too_early() -> TestResult {
    let rows = [
        quote("AAA", second(0), 99.0, 101.0),
        quote("AAA", second(1), 98.0, 102.0),
        quote("AAA", second(1) + 1, 97.0, 103.0),
    ];
    let mut world = quotes(&rows);
    world.latency = SECOND;
    world.sends(second(0), buy("AAA", 10));
    assert_eq!(world.run()?.fills(), ["d1 10:00:01.000000001 #1 AAA buy 10 @ 103 quote"]);
    world.latency = SECOND - 1;
    assert_eq!(world.run()?.fills(), ["d1 10:00:01 #1 AAA buy 10 @ 102 quote"]);
    Ok(())
}

#[test]
fn a_limit_fills_when_the_other_side_reaches_it_and_at_its_own_price_when_it_rested() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        quote("AAA", second(1), 99.0, 100.5),
        quote("AAA", second(2), 99.0, 100.01),
        quote("AAA", second(3), 98.5, 99.5),
    ]);
    world.sends(second(0), buy("AAA", 10).limit("100"));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:00:03 #1 AAA buy 10 @ 100 quote"]);
    assert_eq!(run.liquidity(), ["#1 maker"]);
    Ok(())
}

#[test]
fn a_limit_that_the_market_is_already_through_takes_the_better_quote() -> TestResult {
    let mut world = quotes(&[quote("AAA", second(0), 99.0, 101.0), quote("AAA", second(1), 98.0, 99.5)]);
    world.sends(second(0), buy("AAA", 10).limit("100")).sends(second(0), buy("AAA", 1).limit("98"));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:00:01 #1 AAA buy 10 @ 99.5 quote"]);
    assert_eq!(run.liquidity(), ["#1 taker"]);
    Ok(())
}

#[test]
fn a_touch_by_a_quote_is_enough_unless_the_policy_asks_for_more() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        quote("AAA", second(1), 99.0, 100.0),
        quote("AAA", second(2), 99.0, 99.99),
    ]);
    world.sends(second(0), buy("AAA", 10).limit("100"));
    assert_eq!(world.run()?.fills(), ["d1 10:00:01 #1 AAA buy 10 @ 100 quote"]);
    world.policies.limit_touch = LimitTouch::Through;
    assert_eq!(world.run()?.fills(), ["d1 10:00:02 #1 AAA buy 10 @ 100 quote"]);
    Ok(())
}

#[test]
fn a_stop_watches_the_side_it_would_trade_at() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        quote("AAA", second(1), 99.0, 101.0),
        quote("AAA", second(2), 101.5, 102.5),
        quote("AAA", second(3), 94.0, 96.5),
        quote("AAA", second(4), 93.5, 94.0),
    ]);
    world.sends(second(0), buy("AAA", 10).stop("102")).sends(second(2), sell("AAA", 10).stop("95"));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:00:02 #1 AAA buy 10 @ 102.5 quote", "d1 10:00:03 #2 AAA sell 10 @ 94 quote"]);
    Ok(())
}

#[test]
fn a_stop_limit_on_quotes_triggers_and_then_waits_for_its_limit() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 100.0),
        quote("AAA", second(1), 103.0, 104.0),
        quote("AAA", second(2), 102.0, 103.0),
        quote("AAA", second(3), 101.0, 102.4),
    ]);
    world.sends(second(0), buy("AAA", 10).stop("102").limit("102.5"));
    assert_eq!(world.run()?.fills(), ["d1 10:00:03 #1 AAA buy 10 @ 102.5 quote"]);
    Ok(())
}

#[test]
fn a_one_sided_quote_fills_only_who_wants_that_side() -> TestResult {
    let nan = f64::NAN;
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        quote("AAA", second(1), 99.0, 101.0),
        quote("AAA", second(2), 97.0, nan),
        quote("AAA", second(3), nan, 105.0),
    ]);
    world.sends(second(0), buy("AAA", 10)).sends(second(1), buy("AAA", 1)).sends(second(1), sell("AAA", 10));
    assert_eq!(
        world.run()?.fills(),
        [
            "d1 10:00:01 #1 AAA buy 10 @ 101 quote",
            "d1 10:00:02 #3 AAA sell 10 @ 97 quote",
            "d1 10:00:03 #2 AAA buy 1 @ 105 quote"
        ]
    );
    Ok(())
}

#[test]
fn a_position_is_marked_at_the_middle_of_the_quote() -> TestResult {
    let rows = [
        quote("AAA", second(0), 99.0, 100.0),
        quote("AAA", second(1), 99.0, 100.0),
        quote("AAA", second(2), 100.0, 100.01),
        quote("AAA", second(3), 100.01, 100.02),
    ];
    let mut world = quotes(&rows);
    world.sends(second(0), buy("AAA", 10));
    let fine = world.run()?;
    assert_eq!(
        fine.equity(),
        ["d1 10:00 10000", "d1 10:00:01 9995", "d1 10:00:02 10000.05", "d1 10:00:03 nav 10000.15"]
    );
    // In whole cents the middle is rounded half to even: 99.50, 100.00 and 100.02.
    let mut world = World::cents();
    world.quotes("quotes", &rows);
    world.sends(second(0), buy("AAA", 10));
    let cents = world.run()?;
    assert_eq!(cents.equity(), ["d1 10:00 10000", "d1 10:00:01 9995", "d1 10:00:02 10000", "d1 10:00:03 nav 10000.2"]);
    Ok(())
}

#[test]
fn two_quotes_of_one_instrument_at_one_instant_are_met_one_after_the_other() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        ("AAA", second(1), [99.0, 101.0], [5.0, 5.0]),
        ("AAA", second(1), [99.0, 102.0], [7.0, 7.0]),
    ]);
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 1.0)]))?;
    world.sends(second(0), buy("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:00:01 #1 AAA buy 5 @ 101 quote", "d1 10:00:01 #1 AAA buy 5 @ 102 quote"]);
    assert_eq!(
        run.life(1),
        ["d1 10:00 submitted", "d1 10:00 accepted", "d1 10:00:01 partially_filled", "d1 10:00:01 filled"]
    );
    assert_eq!(run.position("AAA"), "10 costing 1015 marked 100.5");
    Ok(())
}

#[test]
fn rows_of_other_instruments_between_two_rows_of_one_change_nothing_for_it() -> TestResult {
    // As above, with a quote of another instrument between the two.
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        quote("BBB", second(0), 9.0, 10.0),
        ("AAA", second(1), [99.0, 101.0], [5.0, 5.0]),
        quote("BBB", second(1), 9.0, 10.0),
        ("AAA", second(1), [99.0, 102.0], [7.0, 7.0]),
    ]);
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 1.0)]))?;
    world.sends(second(0), buy("AAA", 10)).sends(second(0), buy("BBB", 1));
    let run = world.run()?;
    let of_a: Vec<String> = run.fills().into_iter().filter(|f| f.contains("AAA")).collect();
    assert_eq!(of_a, ["d1 10:00:01 #1 AAA buy 5 @ 101 quote", "d1 10:00:01 #1 AAA buy 5 @ 102 quote"]);
    Ok(())
}

#[test]
fn a_limit_met_by_the_first_of_two_simultaneous_quotes_is_not_met_again() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        quote("AAA", second(1), 99.0, 100.0),
        quote("AAA", second(1), 99.0, 99.0),
    ]);
    world.sends(second(0), buy("AAA", 10).limit("100")).sends(second(0), buy("AAA", 10).limit("99.5"));
    assert_eq!(
        world.run()?.fills(),
        ["d1 10:00:01 #1 AAA buy 10 @ 100 quote", "d1 10:00:01 #2 AAA buy 10 @ 99.5 quote"],
        "the second order rested through the first quote"
    );
    Ok(())
}

#[test]
fn the_size_of_a_quote_is_shared_and_what_is_left_waits_for_the_next() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        ("AAA", second(1), [99.0, 101.0], [1.0, 10.0]),
        ("AAA", second(2), [99.0, 102.0], [1.0, 10.0]),
    ]);
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 1.0)]))?;
    world.sends(second(0), buy("AAA", 7)).sends(second(0), buy("AAA", 7));
    assert_eq!(
        world.run()?.fills(),
        [
            "d1 10:00:01 #1 AAA buy 7 @ 101 quote",
            "d1 10:00:01 #2 AAA buy 3 @ 101 quote",
            "d1 10:00:02 #2 AAA buy 4 @ 102 quote"
        ]
    );
    Ok(())
}

#[test]
fn the_two_sides_of_a_quote_are_two_sizes() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", second(0), 99.0, 101.0),
        quote("AAA", second(1), 99.0, 101.0),
        ("AAA", second(2), [99.0, 101.0], [6.0, 8.0]),
    ]);
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 1.0)]))?;
    world.sends(second(0), buy("AAA", 10)).sends(second(1), buy("AAA", 8)).sends(second(1), sell("AAA", 6));
    assert_eq!(
        world.run()?.fills(),
        [
            "d1 10:00:01 #1 AAA buy 10 @ 101 quote",
            "d1 10:00:02 #2 AAA buy 8 @ 101 quote",
            "d1 10:00:02 #3 AAA sell 6 @ 99 quote"
        ],
        "what a buyer took from the ask is not missing at the bid"
    );
    Ok(())
}

#[test]
fn a_print_plays_both_sides_and_the_one_that_was_decided_on_does_not_fill() -> TestResult {
    let rows: [TradeRow<'_>; 3] =
        [("AAA", second(0), 100.0, 50.0), ("AAA", second(1), 101.0, 50.0), ("AAA", second(2), 99.0, 50.0)];
    let mut world = World::new();
    world.trades("prints", &rows);
    world.sends(second(0), buy("AAA", 10)).sends(second(1), sell("AAA", 10));
    let run = world.run()?;
    assert_eq!(run.fills(), ["d1 10:00:01 #1 AAA buy 10 @ 101 trade", "d1 10:00:02 #2 AAA sell 10 @ 99 trade"]);
    Ok(())
}

#[test]
fn limits_and_stops_on_prints() -> TestResult {
    let mut world = World::new();
    world.trades(
        "prints",
        &[
            ("AAA", second(0), 100.0, 50.0),
            ("AAA", second(1), 100.0, 50.0),
            ("AAA", second(2), 98.0, 50.0),
            ("AAA", second(3), 103.0, 50.0),
        ],
    );
    world.sends(second(0), buy("AAA", 10).limit("99")).sends(second(0), buy("AAA", 5).limit("100"));
    world.sends(second(0), buy("AAA", 3).stop("102"));
    assert_eq!(
        world.run()?.fills(),
        [
            "d1 10:00:01 #2 AAA buy 5 @ 100 trade",
            "d1 10:00:02 #1 AAA buy 10 @ 99 trade",
            "d1 10:00:03 #3 AAA buy 3 @ 103 trade"
        ]
    );
    Ok(())
}

#[test]
fn the_size_of_a_print_caps_what_it_fills() -> TestResult {
    let mut world = World::new();
    world.trades(
        "prints",
        &[("AAA", second(0), 100.0, 50.0), ("AAA", second(1), 101.0, 4.0), ("AAA", second(2), 102.0, 50.0)],
    );
    world.models.fill = builtin_fill("default", &params(&[("volume_limit", 0.5)]))?;
    world.sends(second(0), buy("AAA", 10));
    assert_eq!(world.run()?.fills(), ["d1 10:00:01 #1 AAA buy 2 @ 101 trade", "d1 10:00:02 #1 AAA buy 8 @ 102 trade"]);
    Ok(())
}

#[test]
fn a_constant_spread_is_paid_on_prints_and_bars_but_not_at_a_quote() -> TestResult {
    let mut world = World::new();
    world.quotes("q", &[quote("QQQ", second(0), 99.0, 101.0), quote("QQQ", second(60), 99.0, 101.0)]);
    world.trades("t", &[("TTT", second(0), 100.0, 9.0), ("TTT", second(60), 100.0, 9.0)]);
    world.bars("b", &[minute_bar("BBB", second(0) - MINUTE, flat(100.0)), minute_bar("BBB", second(0), flat(100.0))]);
    world.models.slippage = builtin_slippage("spread", &params(&[("spread", 0.05)]))?;
    for symbol in ["QQQ", "TTT", "BBB"] {
        world.sends(second(0), buy(symbol, 10));
    }
    assert_eq!(
        world.run()?.costs(),
        [
            "#3 taker reference 100 spread 0.025 slippage 0 impact 0 fee 0 notional 1000.25",
            "#1 taker reference 101 spread 0 slippage 0 impact 0 fee 0 notional 1010",
            "#2 taker reference 100 spread 0.025 slippage 0 impact 0 fee 0 notional 1000.25"
        ]
    );
    Ok(())
}

#[test]
fn instruments_of_one_instant_compete_by_submission_and_not_by_row() -> TestResult {
    for (first, second_one) in [("AAA", "BBB"), ("BBB", "AAA")] {
        let mut world = quotes(&[
            quote("AAA", second(0), 99.0, 100.0),
            quote("BBB", second(0), 99.0, 100.0),
            quote("AAA", second(1), 99.0, 100.0),
            quote("BBB", second(1), 99.0, 100.0),
        ]);
        world.cash("1000")?;
        world.policies.insufficient_cash = InsufficientCash::Partial;
        world.sends(second(0), buy(first, 7)).sends(second(0), buy(second_one, 7));
        assert_eq!(
            world.run()?.fills(),
            [
                format!("d1 10:00:01 #1 {first} buy 7 @ 100 quote"),
                format!("d1 10:00:01 #2 {second_one} buy 3 @ 100 quote")
            ]
        );
    }
    Ok(())
}

#[test]
fn a_day_order_on_quotes_expires_at_the_close() -> TestResult {
    let mut world = quotes(&[
        quote("AAA", at(1, 15, 59), 99.0, 101.0),
        quote("AAA", at(1, 16, 0), 99.0, 100.5),
        quote("AAA", at(2, 9, 30), 89.0, 90.0),
    ]);
    world.sends(at(1, 15, 59), buy("AAA", 10).limit("100").day());
    let run = world.run()?;
    assert_eq!(run.end_of(1), "d1 16:00 expired SESSION_CLOSED");
    assert_eq!(run.fills(), NO_FILLS);
    Ok(())
}
