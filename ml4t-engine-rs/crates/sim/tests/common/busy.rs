//! Worlds full of everything, drawn from a seed, and a strategy that reacts to all it can see.

use ml4t_sim::engine::{Api, Strategy};
use ml4t_sim::error::Result;
use ml4t_sim::ids::{BookId, InstrumentId, OrderId};
use ml4t_sim::ledger::Account;
use ml4t_sim::models::{builtin_fee, builtin_fill, builtin_slippage};
use ml4t_sim::money::{Price, Ratio};
use ml4t_sim::order::{OrderRequest, OrderType, Side, TimeInForce};
use ml4t_sim::plan::FeedKind;
use ml4t_sim::policies::{FillTiming, InsufficientCash, LimitGap, LimitSlippage, LimitTouch, LotPolicy};
use ml4t_sim::time::Ns;

use super::{MINUTE, Outcome, SECOND, Script, World, at, params};

/// A small generator of its own, so that the worlds do not move with anybody's library (`SplitMix64`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(pub(crate) u64);

const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Dice {
    /// A number from 0 to `bound` - 1.
    pub(crate) const fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(self.0) % bound.unsigned_abs()).cast_signed()
    }

    /// True once in `n` times.
    pub(crate) const fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }

    /// A price `cents` away from another, in either direction.
    const fn step(&mut self, from: i64, cents: i64) -> i64 {
        let to = from + self.below(2 * cents + 1) - cents;
        if to < 100 { 100 } else { to }
    }
}

#[expect(clippy::cast_precision_loss, reason = "cents and small volumes are exact")]
fn dollars(cents: i64) -> f64 {
    cents as f64 / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "cents and small volumes are exact")]
const fn plain(x: i64) -> f64 {
    x as f64
}

/// Roles of the instruments: two on minute bars, one on quotes, one on prints, one on bars that arrive late.
pub(crate) const ROLES: usize = 5;

/// Names in the order of their roles, and the same roles under names that sort the other way round.
pub(crate) const NAMES: [&str; ROLES] = ["AAA", "BBB", "CCC", "DDD", "EEE"];
/// See [`NAMES`].
pub(crate) const TURNED: [&str; ROLES] = ["VVV", "UUU", "TTT", "SSS", "RRR"];

/// Beginning and length of a world in minutes; a session lasts twenty.
const START: Ns = at(1, 9, 30);
const MINUTES: i64 = 80;

/// The world of a seed.
pub(crate) fn world(seed: u64, names: [&str; ROLES]) -> Result<World> {
    let mut dice = Dice(seed);
    let mut world = World::new();
    settings(&mut world, &mut dice)?;
    let session = |k: i64| (k, START + k * 20 * MINUTE, START + (k + 1) * 20 * MINUTE);
    world.calendar("main", &(0..MINUTES / 20).map(session).collect::<Vec<_>>());
    for symbol in [names[0], names[1]] {
        bars(&mut world, &mut dice, symbol, "1m", 0);
    }
    bars(&mut world, &mut dice, names[4], "late", 150);
    let (mut ts, mut cents) = (START, 5_000);
    while ts < START + MINUTES * MINUTE {
        cents = dice.step(cents, 40);
        let (bid, ask) = (cents, cents + 1 + dice.below(20));
        let sizes = [plain(1 + dice.below(60)), plain(1 + dice.below(60))];
        world.quotes("quotes", &[(names[2], ts, [dollars(bid), dollars(ask)], sizes)]);
        cents = dice.step(cents, 40);
        world.trades("prints", &[(names[3], ts, dollars(cents), plain(1 + dice.below(60)))]);
        ts += if dice.one_in(4) { 0 } else { (5 + dice.below(50)) * SECOND };
    }
    for _ in 0..10 {
        let event = START + dice.below(MINUTES * 60) * SECOND;
        let arrival = event + dice.below(300) * SECOND;
        let symbol = names[usize::try_from(dice.below(5)).unwrap_or(0)];
        world.signal(arrival, event, symbol, "model", plain(dice.below(1_000)) / 8.0);
    }
    for symbol in names {
        let (new, old) = [(2, 1), (3, 2), (1, 3)][usize::try_from(dice.below(3)).unwrap_or(0)];
        let ts = START + (20 + dice.below(40)) * MINUTE;
        world.split_at(ts, symbol, new, old)?;
        let ts = START + (10 + dice.below(50)) * MINUTE;
        world.dividend_at(ts, symbol, "0.25", ts + dice.below(20) * MINUTE)?;
    }
    Ok(world)
}

/// Account, policies and models.
fn settings(world: &mut World, dice: &mut Dice) -> Result<()> {
    world.account.allows_short = dice.one_in(2);
    world.account.leverage = if dice.one_in(2) { Ratio::new(1, 1)? } else { Ratio::new(3, 2)? };
    world.account.lot_policy = match dice.below(4) {
        0 => LotPolicy::Fifo,
        1 => LotPolicy::Lifo,
        2 => LotPolicy::HighestCost,
        _ => LotPolicy::Average,
    };
    world.latency = if dice.one_in(2) { 0 } else { dice.below(90) * SECOND };
    let policies = &mut world.policies;
    let pick = usize::try_from(dice.below(3)).unwrap_or(0);
    policies.fill_timing = [FillTiming::NextOpen, FillTiming::NextClose, FillTiming::SameClose][pick];
    let pick = usize::try_from(dice.below(3)).unwrap_or(0);
    policies.insufficient_cash = [InsufficientCash::Reject, InsufficientCash::Partial, InsufficientCash::Wait][pick];
    policies.limit_touch = if dice.one_in(2) { LimitTouch::Touch } else { LimitTouch::Through };
    policies.limit_gap = if dice.one_in(3) { LimitGap::AtLimit } else { LimitGap::OpenIfBetter };
    let pick = usize::try_from(dice.below(3)).unwrap_or(0);
    policies.limit_slippage = [LimitSlippage::None, LimitSlippage::Clamp, LimitSlippage::Refuse][pick];
    let numbers =
        params(&[("volume_limit", 0.25), ("price_impact", 0.1), ("bps", 3.0), ("spread", 0.02), ("fraction", 0.001)]);
    let name = ["none", "basis_points", "volume_share"][usize::try_from(dice.below(3)).unwrap_or(0)];
    world.models.slippage = builtin_slippage(name, &numbers)?;
    if dice.one_in(3) {
        world.models.fill = builtin_fill("default", &numbers)?;
    }
    let numbers = params(&[("fee", 0.01), ("minimum", 0.35), ("rate", 0.0005)]);
    let name = ["none", "per_share", "per_order", "fraction"][usize::try_from(dice.below(4)).unwrap_or(0)];
    world.models.fee = builtin_fee(name, &numbers)?;
    Ok(())
}

/// Minute bars with holes and, sometimes, without volume; `delay` seconds late.
fn bars(world: &mut World, dice: &mut Dice, symbol: &str, feed: &str, delay: i64) {
    let mut close = 2_000 + dice.below(8_000);
    for k in 0..MINUTES {
        let open = dice.step(close, 60);
        close = dice.step(open, 80);
        let high = open.max(close) + dice.below(50);
        let low = (open.min(close) - dice.below(50)).max(50);
        let volume = if dice.one_in(15) { 0 } else { 1 + dice.below(500) };
        if dice.one_in(8) {
            continue;
        }
        let ts = START + k * MINUTE;
        let prices = [open, high, low, close].map(dollars);
        let row = (symbol, ts, ts + MINUTE, prices, plain(volume));
        if delay == 0 {
            world.bars(feed, &[row]);
        } else {
            world.late_bars(feed, &[(row, ts + MINUTE + delay * SECOND)]);
        }
    }
}

/// Decides by a hash of everything that may be known: prices, signals, account, orders. Whatever leaks, changes
/// what it does.
#[derive(Clone, Debug)]
pub(crate) struct Reactive {
    seed: u64,
    /// Index of the instrument of each role, so that a name changes nothing.
    roles: Vec<usize>,
    /// What it knew at each call, for comparison.
    pub(crate) knew: Vec<(Ns, u64)>,
}

impl Reactive {
    /// For a world of these names.
    pub(crate) fn new(seed: u64, names: &[&str]) -> Self {
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        let role = |name: &&str| sorted.iter().position(|s| s == name).unwrap_or(0);
        Self { seed, roles: names.iter().map(role).collect(), knew: Vec::new() }
    }

    fn knowledge(&self, api: &Api<'_>) -> u64 {
        let mut hash = mix(self.seed ^ api.state.now.cast_unsigned());
        let mut add = |x: u64| hash = mix(hash ^ x).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let book = &api.state.books[0];
        for &i in &self.roles {
            for (f, feed) in api.plan.feeds.iter().enumerate() {
                let row = api.state.readable_row(api.plan, f, i);
                add(row.map_or(1, |r| feed.value(0, r).to_bits() ^ feed.value(1, r).to_bits().rotate_left(7)));
            }
            add(api
                .state
                .signal_row(api.plan, i, 0)
                .map_or(2, |r| api.plan.signals.as_ref().map_or(3, |s| s.score[r].to_bits())));
            add(book.positions[i].quantity.cast_unsigned());
        }
        for account in Account::ALL {
            let bytes = book.balance(account).0.to_le_bytes();
            bytes.chunks(8).for_each(|half| add(half.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte))));
        }
        for order in api.state.orders.iter() {
            add(order.status as u64 ^ order.leaves.cast_unsigned().rotate_left(9));
        }
        hash
    }

    /// Last price of a role that may be known, in whole cents.
    #[expect(clippy::cast_possible_truncation, reason = "prices of the world are small")]
    fn cents(&self, api: &Api<'_>, role: usize) -> i64 {
        let i = self.roles[role];
        let feeds = api.plan.feeds.iter().enumerate();
        let mut known = feeds.filter_map(|(f, feed)| {
            let row = api.state.readable_row(api.plan, f, i)?;
            let column = if feed.data.kind == FeedKind::Bar { 3 } else { 0 };
            Some((feed.value(column, row) * 100.0).round() as i64)
        });
        known.next_back().unwrap_or(5_000)
    }

    fn react(&mut self, api: &mut Api<'_>, patience: i64) -> Result<()> {
        let knowledge = self.knowledge(api);
        self.knew.push((api.state.now, knowledge));
        let mut dice = Dice(knowledge);
        if dice.one_in(patience) {
            let role = usize::try_from(dice.below(5)).unwrap_or(0);
            let cents = self.cents(api, role);
            let request = self.request(&mut dice, role, cents);
            api.submit(request)?;
        }
        if dice.one_in(4 * patience) && !api.state.orders.is_empty() {
            let count = i64::try_from(api.state.orders.len()).unwrap_or(1);
            api.cancel(OrderId(dice.below(count).unsigned_abs()));
        }
        Ok(())
    }

    fn request(&self, dice: &mut Dice, role: usize, cents: i64) -> OrderRequest {
        let instrument = InstrumentId(u32::try_from(self.roles[role]).unwrap_or(0));
        let side = if dice.one_in(2) { Side::Buy } else { Side::Sell };
        let mut request = OrderRequest::market(instrument, side, 1 + dice.below(80));
        request.book = BookId(0);
        request.time_in_force = if dice.one_in(2) { TimeInForce::Day } else { TimeInForce::Gtc };
        let pick = usize::try_from(dice.below(4)).unwrap_or(0);
        request.order_type = [OrderType::Market, OrderType::Limit, OrderType::Stop, OrderType::StopLimit][pick];
        let mut near = || Some(Price(dice.step(cents, 120) * 10_000_000));
        if matches!(request.order_type, OrderType::Limit | OrderType::StopLimit) {
            request.limit_price = near();
        }
        if matches!(request.order_type, OrderType::Stop | OrderType::StopLimit) {
            request.stop_price = near();
        }
        request
    }
}

impl Strategy for Reactive {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.react(api, 3)
    }

    fn on_opened(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.react(api, 6)
    }
}

/// Run a world with the strategy that reacts to everything.
pub(crate) fn run(world: &World, mut strategy: Reactive) -> Result<(Outcome, Reactive)> {
    let (mut run, _) = world.start()?;
    run.run(&mut strategy)?;
    Ok((Outcome::new(run, Script::default()), strategy))
}
