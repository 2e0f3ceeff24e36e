//! Numbers that leave their range are errors that name the instrument. Nothing wraps, nothing panics.

use crate::common::{TestResult, World, at, buy, day_bar, flat, sell};
use ml4t_abi::{SlippageContext, SlippageOutput, Status};
use ml4t_sim::error::{ErrorKind, SimError};
use ml4t_sim::models::{Model, SlippageModel};
use ml4t_sim::money::Ratio;
use ml4t_sim::policies::{LimitSlippage, TickRounding};

/// Two days of a stock at `price`, on an account that may do what it likes.
fn reckless(price: f64) -> World {
    let mut world = World::new();
    world.account.allows_short = true;
    world.account.leverage = Ratio { num: 1_000_000_000, den: 1 };
    world.bars("1d", &(1..=4).map(|day| day_bar("AAA", day, flat(price))).collect::<Vec<_>>());
    world
}

fn error_of(world: &World) -> SimError {
    match world.run_once() {
        Err(error) => error,
        Ok(outcome) => SimError::internal(format!("no error, but {:?}", outcome.fills())),
    }
}

#[test]
fn a_price_beyond_its_scale_is_an_error_that_says_what_to_do() -> TestResult {
    // Nine decimals leave room for 9.2 billion.
    let mut world = reckless(1e10);
    world.sends(at(1, 16, 0), buy("AAA", 1));
    let error = error_of(&world);
    assert_eq!(error.kind, ErrorKind::Overflow, "{error}");
    assert!(error.message.contains("AAA") && error.message.contains("price_exponent"), "{error}");
    world.instrument("AAA", |spec| spec.price_exponent = 8);
    assert_eq!(world.run()?.fills(), ["d2 09:30 #1 AAA buy 1 @ 10000000000 open"]);
    Ok(())
}

#[test]
fn a_notional_beyond_the_ledger_is_an_error_that_names_the_instrument() {
    let mut world = reckless(100.0);
    world.sends(at(1, 16, 0), buy("AAA", i64::MAX));
    let error = error_of(&world);
    assert_eq!(error.kind, ErrorKind::Overflow, "{error}");
    assert!(error.message.contains("AAA"), "{error}");
}

#[test]
fn a_position_beyond_its_type_is_an_error_that_names_the_instrument() {
    let mut world = reckless(1.0);
    world.instrument("AAA", |spec| {
        spec.price_exponent = 0;
        spec.tick_size = "1";
    });
    world.account.leverage = Ratio { num: 2_000_000_000_000_000, den: 1 };
    world.sends(at(1, 16, 0), buy("AAA", 9_000_000_000_000_000_000));
    world.sends(at(2, 16, 0), buy("AAA", 9_000_000_000_000_000_000));
    let error = error_of(&world);
    assert_eq!(error.kind, ErrorKind::Overflow, "{error}");
    assert!(error.message.contains("AAA"), "{error}");
}

#[test]
fn a_split_beyond_the_type_of_quantities_is_an_error_that_names_the_instrument() -> TestResult {
    let mut world = reckless(0.01);
    world.cash("100000000000000000")?;
    world.account.leverage = Ratio::new(1, 1)?;
    world.sends(at(1, 16, 0), buy("AAA", 1_000_000_000_000_000_000));
    world.split(3, "AAA", 100, 1)?;
    let error = error_of(&world);
    assert_eq!(error.kind, ErrorKind::Overflow, "{error}");
    assert!(error.message.contains("AAA"), "{error}");
    Ok(())
}

#[test]
fn a_split_beyond_the_type_of_an_order_is_an_error_that_names_the_instrument() -> TestResult {
    let mut world = reckless(0.01);
    world.account.leverage = Ratio::new(1_000_000_000_000_000, 1)?;
    world.sends(at(1, 16, 0), sell("AAA", 1_000_000_000_000_000_000).limit("9"));
    world.split(3, "AAA", 100, 1)?;
    let error = error_of(&world);
    assert_eq!(error.kind, ErrorKind::Overflow, "{error}");
    assert!(error.message.contains("AAA"), "{error}");
    Ok(())
}

#[test]
fn the_largest_and_smallest_prices_of_an_order_are_no_panic() {
    for rounding in [TickRounding::Reject, TickRounding::Passive] {
        for tick in ["0.000000001", "0.01"] {
            for price in ["9223372036.854775807", "-9223372036.854775808"] {
                let mut world = reckless(100.0);
                world.policies.tick_rounding = rounding;
                world.instrument("AAA", |spec| {
                    spec.tick_size = tick;
                    spec.allows_negative_prices = true;
                });
                for ask in [buy("AAA", 1), sell("AAA", 1)] {
                    world.sends(at(1, 16, 0), ask.clone().limit(price)).sends(at(1, 16, 0), ask.stop(price));
                }
                // Working, refused or an error of the run: all of them are answers.
                if let Err(error) = world.run_once() {
                    assert_eq!(error.kind, ErrorKind::Overflow, "{error}");
                }
            }
        }
    }
}

#[test]
fn latency_beyond_the_end_of_time_is_forever() -> TestResult {
    let mut world = reckless(100.0);
    world.latency = i64::MAX;
    world.sends(at(1, 16, 0), buy("AAA", 1)).sends(at(1, 16, 0), buy("AAA", 1).day());
    let run = world.run()?;
    assert_eq!(run.end_of(1), "d4 16:00 canceled END_OF_DATA");
    assert_eq!(run.end_of(2), "d4 16:00 canceled END_OF_DATA");
    Ok(())
}

/// Answers with the same numbers whatever is asked.
#[derive(Clone, Debug)]
struct Fixed {
    adjustment: f64,
    spread: f64,
    quantity_cap: f64,
}

impl Model<SlippageContext, SlippageOutput> for Fixed {
    fn eval(&mut self, _: &SlippageContext, output: &mut SlippageOutput) -> Status {
        output.adjustment = self.adjustment;
        output.spread = self.spread;
        output.quantity_cap = self.quantity_cap;
        Status::OK
    }

    fn name(&self) -> &'static str {
        "fixed answers"
    }

    fn boxed_clone(&self) -> SlippageModel {
        Box::new(self.clone())
    }
}

#[test]
fn costs_beyond_the_range_of_a_price_are_an_error() {
    // Each part fits a price with nine decimals, their sum does not.
    for policy in [LimitSlippage::None, LimitSlippage::Clamp, LimitSlippage::Refuse] {
        for ask in [buy("AAA", 1), buy("AAA", 1).limit("9000000000")] {
            let mut world = reckless(100.0);
            world.policies.limit_slippage = policy;
            world.models.slippage = Box::new(Fixed { adjustment: 9e9, spread: 9e9, quantity_cap: f64::INFINITY });
            world.sends(at(1, 16, 0), ask);
            if let Err(error) = world.run_once() {
                assert_eq!(error.kind, ErrorKind::Overflow, "{error}");
                assert!(error.message.contains("AAA"), "{error}");
            }
        }
    }
}

#[test]
fn answers_of_a_model_that_are_no_numbers_stop_the_run_and_name_it() {
    let nan = f64::NAN;
    let infinity = f64::INFINITY;
    for (adjustment, spread, quantity_cap) in
        [(nan, 0.0, infinity), (0.0, nan, infinity), (0.0, 0.0, nan), (infinity, 0.0, infinity), (1e300, 0.0, infinity)]
    {
        let mut world = reckless(100.0);
        world.models.slippage = Box::new(Fixed { adjustment, spread, quantity_cap });
        world.sends(at(1, 16, 0), buy("AAA", 1));
        let error = error_of(&world);
        assert_eq!(error.kind, ErrorKind::Model, "{error}");
        for part in ["fixed answers", "AAA", "order 1", "1970-01-03T09:30:00Z"] {
            assert!(error.message.contains(part), "{error} names {part}");
        }
    }
}

#[test]
fn a_plan_that_contradicts_itself_is_refused_before_it_runs() {
    let refused = |change: &dyn Fn(&mut World)| {
        let mut world = reckless(100.0);
        change(&mut world);
        world.start().map(|_| ()).err().map(|e| e.kind)
    };
    assert_eq!(refused(&|w| w.account.posting_quantum = 3), Some(ErrorKind::Config));
    assert_eq!(refused(&|w| w.latency = -1), Some(ErrorKind::Config));
    assert_eq!(refused(&|w| w.account.initial_cash.0 = -1), Some(ErrorKind::Config));
    assert_eq!(refused(&|w| w.books = 0), Some(ErrorKind::Config));
    assert_eq!(refused(&|w| w.nav_calendar = "nowhere"), Some(ErrorKind::Config));
    let overlap = |w: &mut World| {
        w.calendar("main", &[(1, at(1, 9, 0), at(1, 16, 0)), (2, at(1, 15, 0), at(2, 16, 0))]);
    };
    assert_eq!(refused(&overlap), Some(ErrorKind::Data));
    let wide = |w: &mut World| {
        w.instrument("AAA", |spec| spec.quantity_exponent = 10);
    };
    assert_eq!(refused(&wide), Some(ErrorKind::Config), "nine and ten decimals are more than eighteen");
}
