//! The path that a market is assumed to have taken through a bar, and where on it an order is met.

use ml4t_abi::Liquidity;

use crate::matching::{Outcome, Reach, limit_allows, triggers};
use crate::money::Price;
use crate::order::{Order, OrderType};
use crate::policies::{BarPath, LimitGap, LimitTouch, Policies};

/// Straight lines from the open through the extremes to the close. A place is the way from the open, in units of price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    points: [Price; 4],
}

/// A place on the path, and the price there; of an order, where a fill of the same bar started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Price of the market.
    pub at: Price,
    /// Way from the open; zero where the path is not known.
    pub place: u64,
}

impl Stand {
    const fn of(self, reach: Reach) -> Reach {
        Reach { at: self.at, place: self.place, ..reach }
    }
}

impl Path {
    /// The path of a bar where the policy knows one; a bar without an open has none, one without a close ends early.
    pub(crate) fn of(
        policy: BarPath,
        open: Option<Price>,
        (high, low): (Price, Price),
        close: Option<Price>,
    ) -> Option<Self> {
        let open = open?;
        let is_high_first = match policy {
            BarPath::Ohlc => true,
            BarPath::Olhc => false,
            BarPath::NearestFirst => high.0.abs_diff(open.0) < open.0.abs_diff(low.0),
            BarPath::Worst | BarPath::CloseOnly | BarPath::Submission => return None,
        };
        let (first, second) = if is_high_first { (high, low) } else { (low, high) };
        Some(Self { points: [open, first, second, close.unwrap_or(second)] })
    }

    /// First place at or after `from` where `is_met` holds, as it does from `level` on in one direction.
    fn meets(&self, level: Price, from: u64, is_met: impl Fn(Price) -> bool) -> Option<Stand> {
        let mut begun = 0;
        for line in self.points.windows(2) {
            let (a, b) = (line[0], line[1]);
            let ended = begun + a.0.abs_diff(b.0);
            if ended >= from {
                let stands = if from > begun { along(a, b, from - begun) } else { a };
                if is_met(stands) {
                    return Some(Stand { at: stands, place: begun.max(from) });
                }
                if is_met(b) {
                    return Some(Stand { at: level, place: begun + a.0.abs_diff(level.0) });
                }
            }
            begun = ended;
        }
        None
    }
}

/// Price after `way` units of the line from `a` to `b`.
const fn along(a: Price, b: Price, way: u64) -> Price {
    let way = way.cast_signed();
    if a.0 <= b.0 { Price(a.0 + way) } else { Price(a.0 - way) }
}

/// What the path of a bar does to an order that the open has not filled.
pub(crate) fn on_path(order: &Order, path: &Path, policies: &Policies) -> Outcome {
    let stand = order.stood_at;
    let from = stand.map_or(0, |stand| stand.place);
    match (order.request.order_type, order.request.limit_price, order.request.stop_price) {
        (OrderType::Market, ..) => {
            stand.map_or(Outcome::Untouched, |stand| Outcome::Executes(stand.of(Reach::market(stand.at))))
        }
        (OrderType::Limit, Some(limit), _) => rests(order, limit, path, stand, policies),
        (_, Some(limit), Some(_)) if order.is_triggered => rests(order, limit, path, stand, policies),
        // A stop that has traded is a market order, whose remainder waits for the next open.
        (_, limit, Some(trigger)) if !order.is_triggered => {
            let met = match stand {
                // A limit met one unit beyond stands at its price, which is where what it starts begins.
                Some(stand) if triggers(order, stand.at, trigger) => Some(stand),
                _ => path.meets(trigger, from, |market| triggers(order, market, trigger)),
            };
            let Some(met) = met else {
                return Outcome::Untouched;
            };
            let Some(limit) = limit else {
                return Outcome::Executes(met.of(Reach::market(met.at)).triggering());
            };
            if limit_allows(order.request.side, met.at, limit, LimitTouch::Touch) {
                let taken = Reach::limit(met.at, met.at, Liquidity::TAKER);
                return Outcome::Executes(met.of(taken).triggering());
            }
            match limit_from(order, limit, path, met.place, policies) {
                Some(later) => Outcome::Executes(later.of(Reach::limit(limit, limit, Liquidity::MAKER)).triggering()),
                None => Outcome::Triggers,
            }
        }
        _ => Outcome::Untouched,
    }
}

/// A limit order: one that was at work at the open had its turn there if the open allowed it.
fn rests(order: &Order, limit: Price, path: &Path, stand: Option<Stand>, policies: &Policies) -> Outcome {
    let side = order.request.side;
    let begins_at = stand.map_or(path.points[0], |stand| stand.at);
    if limit_allows(side, begins_at, limit, policies.limit_touch) {
        return stand.map_or(Outcome::Untouched, |stand| {
            let price = if policies.limit_gap == LimitGap::AtLimit { limit } else { stand.at };
            Outcome::Executes(stand.of(Reach::limit(price, stand.at, Liquidity::TAKER)))
        });
    }
    match limit_from(order, limit, path, stand.map_or(0, |stand| stand.place), policies) {
        Some(met) => Outcome::Executes(met.of(Reach::limit(limit, limit, Liquidity::MAKER))),
        None => Outcome::Untouched,
    }
}

/// Where the path allows a limit from a place on.
fn limit_from(order: &Order, limit: Price, path: &Path, from: u64, policies: &Policies) -> Option<Stand> {
    let side = order.request.side;
    let beyond = i64::from(policies.limit_touch == LimitTouch::Through);
    let level = Price(limit.0.saturating_sub(beyond * side.sign()));
    let met = path.meets(level, from, |market| limit_allows(side, market, limit, policies.limit_touch))?;
    Some(Stand { at: limit, ..met })
}
