//! Random orders on random bars: whatever happens, the books add up and no fill lies outside what was offered.

use std::collections::BTreeSet;

use crate::common::busy::Dice;
use crate::common::{Ask, Outcome, World, at, buy, ledger, params, sell};
use ml4t_abi::Phase;
use ml4t_sim::error::{Result, SimError};
use ml4t_sim::models::{builtin_fee, builtin_fill, builtin_slippage};
use ml4t_sim::order::{OrderType, Side};
use ml4t_sim::plan::bar;
use ml4t_sim::policies::{FillTiming, InsufficientCash, LimitGap, LimitSlippage, LimitTouch, LotPolicy};
use ml4t_sim::recorder::Fill;
use ml4t_sim::time::Ns;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};

/// A fixed seed, so that red is red for everybody; the environment can ask for another, and for more cases.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(20_260_101);
    }
    config
}

/// A bar: minutes between it and the one before, and its shape in cents.
#[derive(Clone, Copy, Debug)]
struct Shape {
    gap: i64,
    open: i64,
    close: i64,
    above: i64,
    below: i64,
    volume: i64,
}

fn shape() -> impl Strategy<Value = Shape> {
    (0_i64..3, -300_i64..300, -300_i64..300, 0_i64..200, 0_i64..200, 0_i64..400).prop_map(
        |(gap, open, close, above, below, volume)| {
            let gap = if gap == 2 { 7 } else { 0 };
            let volume = if volume < 20 { 0 } else { volume };
            Shape { gap, open, close, above, below, volume }
        },
    )
}

/// An order: with which bar it is sent, and its prices in cents around the close of that bar.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about an order")]
struct Wish {
    bar: prop::sample::Index,
    is_second: bool,
    after_opens: bool,
    buys: bool,
    is_day: bool,
    quantity: i64,
    limit: Option<i64>,
    stop: Option<i64>,
    cancel: bool,
}

fn wish() -> impl Strategy<Value = Wish> {
    let price = || prop::option::of(-400_i64..400);
    (any::<prop::sample::Index>(), any::<[bool; 4]>(), prop::bool::weighted(0.15), 1_i64..120, price(), price())
        .prop_map(|(bar, [is_second, after_opens, buys, is_day], cancel, quantity, limit, stop)| Wish {
            bar,
            is_second,
            after_opens,
            buys,
            is_day,
            quantity,
            limit,
            stop,
            cancel,
        })
}

/// Everything a case is made of.
#[derive(Clone, Debug)]
struct Case {
    bars: [Vec<Shape>; 2],
    wishes: Vec<Wish>,
    /// Seed of account, policies and models.
    settings: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let bars = || prop::collection::vec(shape(), 2..14);
    (bars(), bars(), prop::collection::vec(wish(), 1..14), any::<u64>())
        .prop_map(|(first, second, wishes, settings)| Case { bars: [first, second], wishes, settings })
}

/// Share of the volume under a cap.
const SHARE: f64 = 0.25;

/// How a case trades, in words that the checks need.
#[derive(Clone, Copy, Debug)]
struct Rules {
    is_capped: bool,
    is_cash_account: bool,
}

fn settings(world: &mut World, seed: u64) -> Result<Rules> {
    let mut dice = Dice(seed);
    let mut pick = |n: i64| usize::try_from(dice.below(n)).unwrap_or(0);
    world.price_exponent = [2, 9][pick(2)];
    world.account.allows_short = pick(2) == 1;
    world.account.lot_policy = [LotPolicy::Fifo, LotPolicy::Average][pick(2)];
    world.latency = [0, 0, 30, 60][pick(4)] * crate::common::SECOND;
    let policies = &mut world.policies;
    policies.fill_timing =
        [FillTiming::NextOpen, FillTiming::NextOpen, FillTiming::NextClose, FillTiming::SameClose][pick(4)];
    policies.limit_touch = [LimitTouch::Touch, LimitTouch::Through][pick(2)];
    policies.limit_gap = [LimitGap::OpenIfBetter, LimitGap::OpenIfBetter, LimitGap::AtLimit][pick(3)];
    policies.limit_slippage = [LimitSlippage::None, LimitSlippage::Clamp, LimitSlippage::Refuse][pick(3)];
    policies.insufficient_cash = [InsufficientCash::Reject, InsufficientCash::Partial, InsufficientCash::Wait][pick(3)];
    let numbers = params(&[("volume_limit", SHARE), ("price_impact", 0.1), ("fraction", 0.002), ("spread", 0.05)]);
    let slippage = ["none", "fixed_fraction", "spread", "volume_share"][pick(4)];
    let fill_is_capped = pick(3) == 0;
    let width = params(&[("spread", 0.05)]);
    world.models.slippage = builtin_slippage(slippage, if slippage == "spread" { &width } else { &numbers })?;
    if fill_is_capped {
        world.models.fill = builtin_fill("default", &numbers)?;
    }
    let fee = ["none", "per_share", "per_order", "fraction"][pick(4)];
    world.models.fee = builtin_fee(fee, &params(&[("fee", 0.01), ("minimum", 0.35), ("rate", 0.0005)]))?;
    Ok(Rules { is_capped: fill_is_capped || slippage == "volume_share", is_cash_account: !world.account.allows_short })
}

const START: Ns = at(1, 9, 30);

#[expect(clippy::cast_precision_loss, reason = "cents and small volumes are exact")]
fn dollars(cents: i64) -> f64 {
    cents as f64 / 100.0
}

fn cents_text(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// The world of a case, its instruments under the given names.
fn world_of(case: &Case, names: [&str; 2]) -> Result<(World, Rules)> {
    let mut world = World::new();
    let rules = settings(&mut world, case.settings)?;
    // A close every quarter of an hour, so that DAY orders and NAVs have something to do.
    let quarters: Vec<(i64, Ns, Ns)> = (0..20)
        .map(|k| (k, START + k * 15 * crate::common::MINUTE, START + (k + 1) * 15 * crate::common::MINUTE))
        .collect();
    world.calendar("main", &quarters);
    let mut closes: [Vec<(Ns, i64)>; 2] = [Vec::new(), Vec::new()];
    for ((shapes, name), closes) in case.bars.iter().zip(names).zip(&mut closes) {
        let (mut ts, mut last) = (START, 5_000);
        for s in shapes {
            ts += s.gap * crate::common::MINUTE;
            let open = (last + s.open).max(500);
            last = (open + s.close).max(500);
            let (high, low) = (open.max(last) + s.above, (open.min(last) - s.below).max(100));
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let row = (name, ts, ts + crate::common::MINUTE, [open, high, low, last].map(dollars), s.volume as f64);
            world.bars("1m", &[row]);
            ts += crate::common::MINUTE;
            closes.push((ts, last));
        }
    }
    for (number, wish) in (1..).zip(&case.wishes) {
        let side = usize::from(wish.is_second);
        let (ts, close) = closes[side][wish.bar.index(closes[side].len())];
        let price = |offset: i64| cents_text((close + offset).max(1));
        let mut ask: Ask = if wish.buys { buy(names[side], wish.quantity) } else { sell(names[side], wish.quantity) };
        ask = wish.limit.map_or(ask.clone(), |offset| ask.limit(&price(offset)));
        ask = wish.stop.map_or(ask.clone(), |offset| ask.stop(&price(offset)));
        if wish.is_day {
            ask = ask.day();
        }
        if wish.after_opens {
            world.sends_after_opens(ts, ask);
        } else {
            world.sends(ts, ask);
        }
        if wish.cancel {
            world.cancels(ts + crate::common::MINUTE, number);
        }
    }
    Ok((world, rules))
}

/// Run a case and hand its parts to a check.
fn checked(case: &Case, check: impl Fn(&Outcome, Rules) -> Result<()>) -> std::result::Result<(), TestCaseError> {
    let failed = |e: SimError| TestCaseError::fail(e.message);
    let (world, rules) = world_of(case, ["AAA", "BBB"]).map_err(failed)?;
    let outcome = world.run_once().map_err(failed)?;
    check(&outcome, rules).map_err(|e| TestCaseError::fail(format!("{}\n{:#?}", e.message, outcome.fills())))
}

/// Times, prices and volume of the bar that a fill belongs to, prices in the instrument's units.
struct Offer {
    ts_open: Ns,
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: f64,
    row: usize,
}

fn offer(outcome: &Outcome, fill: &Fill) -> Result<Offer> {
    let plan = outcome.run.plan();
    let feed = &plan.feeds[0];
    let i = fill.instrument.index();
    let opens = feed.data.ts_open.as_ref().map_or(&[][..], |o| &o[..]);
    let ends_now = |&&row: &&u32| feed.data.ts_event[row as usize] == fill.ts;
    let opens_now = |&&row: &&u32| opens[row as usize] == fill.ts;
    let rows = feed.rows_of(i).iter();
    // A fill at the open is booked at once, or, when a model must see the whole bar, at its end.
    let is_late = outcome.run.plan().models.fill.needs_volume() || outcome.run.plan().models.slippage.needs_volume();
    let row =
        if fill.phase == Phase::OPEN && !is_late { rows.clone().find(opens_now) } else { rows.clone().find(ends_now) };
    let Some(&row) = row else {
        return Err(SimError::internal(format!("fill {} happened when no bar was there", fill.number)));
    };
    let row = row as usize;
    let price = |c| plan.instruments[i].scale.price(feed.value(c, row)).map_or(i64::MIN, |p| p.0);
    Ok(Offer {
        ts_open: opens[row],
        open: price(bar::OPEN),
        high: price(bar::HIGH),
        low: price(bar::LOW),
        close: price(bar::CLOSE),
        volume: feed.value(bar::VOLUME, row),
        row,
    })
}

fn fail(fill: &Fill, text: &str) -> Result<()> {
    Err(SimError::internal(format!(
        "fill {} of order {} at {}: {text}",
        fill.number,
        fill.order.0 + 1,
        crate::common::when(fill.ts)
    )))
}

/// The reference price is one that the bar offered in that phase.
fn check_prices(outcome: &Outcome, _: Rules) -> Result<()> {
    for fill in outcome.recorder().fills() {
        let offer = offer(outcome, &fill)?;
        let reference = fill.reference.0;
        let order = outcome.run.state.order(fill.order);
        let is_exempt = outcome.run.plan().policies.limit_gap == LimitGap::AtLimit
            && matches!(order.request.order_type, OrderType::Limit | OrderType::StopLimit);
        let fits = match fill.phase {
            Phase::OPEN => reference == offer.open,
            Phase::RANGE => (offer.low..=offer.high).contains(&reference),
            Phase::CLOSE => reference == offer.close,
            _ => false,
        };
        if !fits && !is_exempt {
            return fail(&fill, &format!("{reference} was not offered"));
        }
        if offer.volume <= 0.0 {
            return fail(&fill, "the bar did not trade");
        }
    }
    Ok(())
}

/// Limits are never passed, stops never fill before they trade.
fn check_limits(outcome: &Outcome, rules: Rules) -> Result<()> {
    // A stop that has traded but found no volume or no money is a market order from then on.
    let may_wait = rules.is_capped || outcome.run.plan().policies.insufficient_cash == InsufficientCash::Wait;
    let mut has_filled = vec![false; outcome.run.state.orders.len()];
    for fill in outcome.recorder().fills() {
        let request = outcome.run.state.order(fill.order).request;
        let sign = request.side.sign();
        if request.limit_price.is_some_and(|limit| (fill.price.0 - limit.0) * sign > 0) {
            return fail(&fill, "worse than the limit");
        }
        let is_first = !std::mem::replace(&mut has_filled[fill.order.index()], true);
        let is_stop = request.order_type == OrderType::Stop && is_first && !may_wait;
        if is_stop && request.stop_price.is_some_and(|stop| (fill.reference.0 - stop.0) * sign < 0) {
            return fail(&fill, "better than the stop that it waited for");
        }
        if fill.spread.0 < 0 || fill.slippage.0 < 0 || fill.impact.0 != 0 {
            return fail(&fill, "costs that help");
        }
    }
    Ok(())
}

/// Only bars that opened when the order was active; only later opens for what was sent after an open.
fn check_times(outcome: &Outcome, _: Rules) -> Result<()> {
    for fill in outcome.recorder().fills() {
        let offer = offer(outcome, &fill)?;
        let order = outcome.run.state.order(fill.order);
        let active = order.ts_accepted + outcome.run.plan().instruments[0].latency.submit.largest().unwrap_or(0);
        let is_decision_close = outcome.run.plan().policies.fill_timing == FillTiming::SameClose
            && fill.phase == Phase::CLOSE
            && fill.ts == order.ts_accepted;
        if active > offer.ts_open && !(is_decision_close && active <= fill.ts) {
            return fail(&fill, "the bar opened before the order was active");
        }
        let is_late = outcome.script.sent_after_opens.contains(&fill.order);
        if is_late && order.ts_accepted >= offer.ts_open {
            return fail(&fill, "sent after the opens of the instant at which the bar opened");
        }
        if order.request.time_in_force == ml4t_sim::order::TimeInForce::Day && fill.ts > order.ts_expiry {
            return fail(&fill, "a day order after its close");
        }
    }
    Ok(())
}

/// All orders of a bar together stay within its cap; an order within its quantity.
fn check_volumes(outcome: &Outcome, rules: Rules) -> Result<()> {
    let mut taken: Vec<((usize, usize), i64)> = Vec::new();
    let mut filled = vec![0; outcome.run.state.orders.len()];
    for fill in outcome.recorder().fills() {
        let offer = offer(outcome, &fill)?;
        let key = (fill.instrument.index(), offer.row);
        let at = taken.iter().position(|t| t.0 == key).unwrap_or(taken.len());
        if at == taken.len() {
            taken.push((key, 0));
        }
        taken[at].1 += fill.quantity;
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let is_over = taken[at].1 as f64 > SHARE * offer.volume;
        if rules.is_capped && is_over {
            return fail(&fill, "more than the cap of its bar");
        }
        filled[fill.order.index()] += fill.quantity;
    }
    for (k, (&filled, order)) in filled.iter().zip(outcome.run.state.orders.iter()).enumerate() {
        if filled != order.filled || order.filled + order.leaves != order.request.quantity || order.leaves < 0 {
            return Err(SimError::internal(format!("order {}: {filled} filled, {order:?}", k + 1)));
        }
    }
    Ok(())
}

/// A cash account never owes money or shares, not even between two fills.
fn check_solvency(outcome: &Outcome, rules: Rules) -> Result<()> {
    if !rules.is_cash_account {
        return Ok(());
    }
    let mut cash = outcome.run.plan().account.initial_cash.0;
    let mut held = vec![0; outcome.run.plan().instruments.len()];
    for fill in outcome.recorder().fills() {
        cash -= i128::from(fill.side.sign()) * fill.notional.0 + fill.fee.0;
        held[fill.instrument.index()] += fill.side.sign() * fill.quantity;
        if cash < 0 && fill.side == Side::Buy {
            return fail(&fill, "bought on credit");
        }
        if held[fill.instrument.index()] < 0 {
            return fail(&fill, "sold what was not there");
        }
    }
    Ok(())
}

/// What round trips gained is what was realised, and their fees are those of the closed part.
fn check_round_trips(outcome: &Outcome, _: Rules) -> Result<()> {
    let gained: i128 = outcome.recorder().round_trips().map(|r| r.exit_value.0 - r.entry_cost.0).sum();
    if crate::common::decimal(gained, 18) != outcome.realized() {
        return Err(SimError::accounting(format!("round trips gained {gained}, realised {}", outcome.realized())));
    }
    let in_lots: i128 = outcome.book(0).positions.iter().flat_map(|p| &p.lots).map(|l| l.fees.0).sum();
    let in_trips: i128 = outcome.recorder().round_trips().map(|r| r.fees.0).sum();
    let paid: i128 = outcome.recorder().fills().map(|f| f.fee.0).sum();
    if in_lots + in_trips != paid {
        return Err(SimError::accounting(format!("fees {in_lots} in lots and {in_trips} in trips, {paid} paid")));
    }
    Ok(())
}

/// From one portfolio row to the next, equity changes by what the books say: nothing appears or vanishes.
fn check_equity(outcome: &Outcome, _: Rules) -> Result<()> {
    for row in outcome.recorder().portfolio() {
        let before: i128 = outcome.recorder().fills().filter(|f| f.ts <= row.ts).map(|f| f.fee.0).sum();
        // At a session's close the row is written before the strategy and the opens of that instant.
        let until: i128 = outcome.recorder().fills().filter(|f| f.ts < row.ts).map(|f| f.fee.0).sum();
        if !(until.min(before)..=until.max(before)).contains(&row.fees.0) {
            return Err(SimError::accounting(format!("fees {:?} at {}", row.fees, crate::common::when(row.ts))));
        }
        let initial = outcome.run.plan().account.initial_cash.0;
        if row.cash.0 + row.cost.0 != initial + row.realized.0 - row.fees.0 {
            return Err(SimError::accounting(format!("the row at {} does not add up", crate::common::when(row.ts))));
        }
    }
    Ok(())
}

/// The fills of a run with roles instead of names.
fn by_role(outcome: &Outcome, names: [&str; 2]) -> Vec<String> {
    let role = |text: String| text.replace(names[0], "first").replace(names[1], "second");
    let mut rows: Vec<String> = outcome.fills().into_iter().map(role).collect();
    rows.extend((1..=outcome.run.state.orders.len() as u64).flat_map(|number| outcome.life(number)));
    rows.extend(outcome.equity());
    rows
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_books_add_up(case in case()) {
        checked(&case, |outcome, _| ledger::check(outcome))?;
        checked(&case, check_equity)?;
        checked(&case, check_round_trips)?;
    }

    #[test]
    fn no_fill_lies_outside_its_bar(case in case()) {
        checked(&case, check_prices)?;
    }

    #[test]
    fn no_fill_passes_its_limit_or_precedes_its_stop(case in case()) {
        checked(&case, check_limits)?;
    }

    #[test]
    fn no_bar_fills_an_order_that_came_after_it_opened(case in case()) {
        checked(&case, check_times)?;
    }

    #[test]
    fn no_bar_gives_more_than_its_cap_and_no_order_takes_more_than_it_asked_for(case in case()) {
        checked(&case, check_volumes)?;
    }

    #[test]
    fn no_cash_account_owes_anything(case in case()) {
        checked(&case, check_solvency)?;
    }

    #[test]
    fn names_change_nothing(case in case()) {
        let failed = |e: SimError| TestCaseError::fail(e.message);
        let run = |names| world_of(&case, names).and_then(|(world, _)| world.run_once()).map_err(failed);
        let (plain, turned) = (run(["AAA", "BBB"])?, run(["ZZZ", "YYY"])?);
        prop_assert_eq!(by_role(&plain, ["AAA", "BBB"]), by_role(&turned, ["ZZZ", "YYY"]));
    }

    #[test]
    fn two_runs_are_one(case in case()) {
        let failed = |e: SimError| TestCaseError::fail(e.message);
        let (world, _) = world_of(&case, ["AAA", "BBB"]).map_err(failed)?;
        prop_assert_eq!(world.run_once().map_err(failed)?.tables(), world.run_once().map_err(failed)?.tables());
    }
}

#[test]
fn the_cases_trade() -> crate::common::TestResult {
    // A generator whose orders never met a bar would make every property above true.
    let mut runner = TestRunner::new(config());
    let (mut fills, mut phases, mut ends) = (0, BTreeSet::new(), BTreeSet::new());
    for _ in 0..300 {
        let case = case().new_tree(&mut runner).map_err(|reason| reason.message().to_owned())?.current();
        let outcome = world_of(&case, ["AAA", "BBB"])?.0.run_once()?;
        fills += outcome.recorder().fills().len();
        phases.extend(outcome.recorder().fills().map(|f| f.phase.0));
        ends.extend(outcome.run.state.orders.iter().map(|o| format!("{} {}", o.status.as_str(), o.reason.code())));
    }
    assert!(fills > 500, "{fills} fills");
    assert_eq!(phases.len(), 3, "open, range and close: {phases:?}");
    for end in ["filled ", "expired SESSION_CLOSED", "canceled CANCELED_BY_REQUEST", "rejected SHORT_NOT_ALLOWED"] {
        assert!(ends.contains(end), "{end} is not among {ends:?}");
    }
    Ok(())
}
