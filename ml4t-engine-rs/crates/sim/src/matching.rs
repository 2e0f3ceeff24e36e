//! Market x order -> at which price the order meets the market, if it does.
//!
//! Pure functions over one order and one event; the fill table of the documentation is this file in words.
//! Sequence, costs and money are the venue's business.

use ml4t_abi::{Liquidity, OrderKind};

use crate::money::Price;
use crate::order::{Order, OrderType, Side, TimeInForce};
use crate::policies::{LimitGap, LimitTouch, Policies};

/// What an event does to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Untouched,
    /// The stop price traded, but the limit behind it does not allow a fill yet.
    Triggers,
    /// The order may execute.
    Executes(Reach),
}

/// Where an order meets the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Price before slippage.
    pub price: Price,
    /// How the order acts: a triggered stop is a market order.
    pub kind: OrderKind,
    /// Taker or maker.
    pub liquidity: Liquidity,
    /// Whether the stop price traded just now.
    pub triggers: bool,
    /// Price at which the path of the bar reaches the order, for the sequence of fills inside a bar.
    pub at: Price,
    /// Place on the path where that is, where the path is known.
    pub place: u64,
}

impl Reach {
    pub(crate) const fn market(price: Price) -> Self {
        Self { price, kind: OrderKind::MARKET, liquidity: Liquidity::TAKER, triggers: false, at: price, place: 0 }
    }

    pub(crate) const fn limit(price: Price, at: Price, liquidity: Liquidity) -> Self {
        Self { price, kind: OrderKind::LIMIT, liquidity, triggers: false, at, place: 0 }
    }

    pub(crate) const fn triggering(self) -> Self {
        Self { triggers: true, ..self }
    }
}

/// Whether `market` is at `level` or on the far side of it, for an order that waits for the market to fall
/// (buy limits, sell stops) or to rise (sell limits, buy stops).
const fn falls_to(market: Price, level: Price) -> bool {
    market.0 <= level.0
}

const fn rises_to(market: Price, level: Price) -> bool {
    market.0 >= level.0
}

/// Whether a limit order executes against a market price.
pub(crate) fn limit_allows(side: Side, market: Price, limit: Price, touch: LimitTouch) -> bool {
    match (side, touch) {
        (Side::Buy, LimitTouch::Touch) => falls_to(market, limit),
        (Side::Sell, LimitTouch::Touch) => rises_to(market, limit),
        (Side::Buy, LimitTouch::Through) => market < limit,
        (Side::Sell, LimitTouch::Through) => market > limit,
    }
}

/// Whether a bar with that low and high leaves an order as it is, whatever the policies: it neither reaches its price
/// nor makes it wait.
pub(crate) const fn is_out_of_reach(order: &Order, low: Price, high: Price) -> bool {
    let (level, side) = (order.request.limit_price, order.request.side);
    let waits_for_fall = match order.request.order_type {
        OrderType::Market | OrderType::TrailingStop | OrderType::TrailingStopLimit => return false,
        _ if order.acts_as_limit() && !order.has_rested => return false,
        _ if order.acts_as_limit() => matches!(side, Side::Buy),
        _ if order.is_triggered => return false,
        OrderType::MarketIfTouched | OrderType::LimitIfTouched => matches!(side, Side::Buy),
        _ => matches!(side, Side::Sell),
    };
    let level = if order.acts_as_limit() { level } else { order.request.stop_price };
    match level {
        Some(level) if waits_for_fall => low.0 > level.0,
        Some(level) => high.0 < level.0,
        None => false,
    }
}

const fn stop_trades(side: Side, market: Price, stop: Price) -> bool {
    match side {
        Side::Buy => rises_to(market, stop),
        Side::Sell => falls_to(market, stop),
    }
}

/// Whether the market at a price triggers an order: a stop lies against it, a touch in its favour.
pub(crate) const fn triggers(order: &Order, market: Price, trigger: Price) -> bool {
    let side = if order.request.order_type.is_stop() { order.request.side } else { order.request.side.opposite() };
    stop_trades(side, market, trigger)
}

/// At one price that is certain to have been offered: an open, a quote, a trade print.
///
/// A limit order beyond which the market already is fills at that better price under
/// [`LimitGap::OpenIfBetter`], unless it rested in a continuous market (`rests_continuously`), where the first
/// counterparty met it at its own price.
#[must_use]
pub fn at_price(order: &Order, market: Price, policies: &Policies, rests_continuously: bool) -> Outcome {
    let side = order.request.side;
    let has_rested = order.has_rested;
    let limit_reach = |limit: Price| {
        let liquidity = if has_rested { Liquidity::MAKER } else { Liquidity::TAKER };
        let own_price = policies.limit_gap == LimitGap::AtLimit || (rests_continuously && has_rested);
        Reach::limit(if own_price { limit } else { market }, market, liquidity)
    };
    match (order.request.order_type, order.request.limit_price, order.request.stop_price) {
        (OrderType::Market, ..) => Outcome::Executes(Reach::market(market)),
        (OrderType::Limit, Some(limit), _) if limit_allows(side, market, limit, policies.limit_touch) => {
            Outcome::Executes(limit_reach(limit))
        }
        (OrderType::Stop | OrderType::MarketIfTouched | OrderType::TrailingStop, _, Some(stop))
            if order.is_triggered || triggers(order, market, stop) =>
        {
            Outcome::Executes(Reach::market(market).triggering())
        }
        (OrderType::StopLimit | OrderType::LimitIfTouched | OrderType::TrailingStopLimit, Some(limit), Some(stop))
            if order.is_triggered || triggers(order, market, stop) =>
        {
            if limit_allows(side, market, limit, policies.limit_touch) {
                Outcome::Executes(limit_reach(limit).triggering())
            } else if order.is_triggered {
                Outcome::Untouched
            } else {
                Outcome::Triggers
            }
        }
        _ => Outcome::Untouched,
    }
}

/// Between the open and the close of a bar, after [`at_price`] was asked about the open.
#[must_use]
pub fn in_range(order: &Order, open: Option<Price>, (high, low): (Price, Price), policies: &Policies) -> Outcome {
    let side = order.request.side;
    // An order that the open already allowed had its turn there; the market does not come to its limit any more.
    let comes_to = |market: Price, limit: Price| {
        let stood_there = open.is_some_and(|open| limit_allows(side, open, limit, policies.limit_touch));
        !stood_there && limit_allows(side, market, limit, policies.limit_touch)
    };
    let (favourable, adverse) = match side {
        Side::Buy => (low, high),
        Side::Sell => (high, low),
    };
    match (order.request.order_type, order.request.limit_price, order.request.stop_price) {
        // Without an open it is not known where the market stood; a price outside the range was never offered.
        _ if open.is_none() && !is_within(order, high, low) => Outcome::Untouched,
        (OrderType::Limit, Some(limit), _) if comes_to(favourable, limit) => {
            Outcome::Executes(Reach::limit(limit, limit, Liquidity::MAKER))
        }
        (_, Some(limit), Some(_)) if order.is_triggered => {
            if comes_to(favourable, limit) {
                Outcome::Executes(Reach::limit(limit, limit, Liquidity::MAKER))
            } else {
                Outcome::Untouched
            }
        }
        // A stop that has traded is a market order, whose remainder waits for the next open.
        (OrderType::Stop | OrderType::TrailingStop, _, Some(stop))
            if !order.is_triggered && stop_trades(side, adverse, stop) =>
        {
            let at = acts_at(order, stop);
            Outcome::Executes(Reach { at, ..Reach::market(at) }.triggering())
        }
        (OrderType::MarketIfTouched, _, Some(trigger))
            if !order.is_triggered && triggers(order, favourable, trigger) =>
        {
            Outcome::Executes(Reach::market(trigger).triggering())
        }
        (order_type, Some(limit), Some(stop))
            if order_type != OrderType::Limit
                && triggers(order, if order_type.is_stop() { adverse } else { favourable }, stop) =>
        {
            // The market stands at the stop when it triggers. What it does afterwards inside the bar is not
            // known, so a limit beyond the stop is not assumed to be reached.
            let at = if order_type.is_stop() { acts_at(order, stop) } else { stop };
            if limit_allows(side, at, limit, LimitTouch::Touch) {
                Outcome::Executes(Reach::limit(at, at, Liquidity::TAKER).triggering())
            } else {
                Outcome::Triggers
            }
        }
        _ => Outcome::Untouched,
    }
}

/// Where a stop acts: at its price, or where the market stood when a fill inside this bar has placed it beyond that.
fn acts_at(order: &Order, stop: Price) -> Price {
    match (order.stood_at, order.request.side) {
        (None, _) => stop,
        (Some(stood), Side::Sell) => stop.min(stood.at),
        (Some(stood), Side::Buy) => stop.max(stood.at),
    }
}

/// Whether the price at which an order would fill inside a bar lies in the bar.
fn is_within(order: &Order, high: Price, low: Price) -> bool {
    let level = match order.request.order_type {
        OrderType::Market => None,
        _ if order.acts_as_limit() => order.request.limit_price,
        _ => order.request.stop_price,
    };
    level.is_some_and(|level| low <= level && level <= high)
}

/// At the close of a bar or session: market orders whose timing asks for it, and orders for that close alone.
#[must_use]
pub fn at_close(order: &Order, close: Price, policies: &Policies) -> Outcome {
    let is_for_close = order.request.time_in_force == TimeInForce::Cls;
    let waits_for_close = is_for_close || policies.waits_for_close(order.request.time_in_force);
    match (order.request.order_type, order.request.limit_price) {
        (OrderType::Market, _) if waits_for_close => Outcome::Executes(Reach::market(close)),
        (OrderType::Limit, Some(limit))
            if is_for_close && limit_allows(order.request.side, close, limit, policies.limit_touch) =>
        {
            Outcome::Executes(Reach::limit(close, close, Liquidity::TAKER))
        }
        _ => Outcome::Untouched,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstrumentId;
    use crate::order::OrderRequest;

    fn order(side: Side, order_type: OrderType, limit: Option<i64>, stop: Option<i64>) -> Order {
        let mut request = OrderRequest::market(InstrumentId(0), side, 10);
        request.order_type = order_type;
        request.limit_price = limit.map(Price);
        request.stop_price = stop.map(Price);
        Order::new(request, 0)
    }

    #[test]
    fn what_was_touched_is_in_reach_of_every_market() {
        let mut touched = order(Side::Buy, OrderType::MarketIfTouched, None, Some(100));
        assert!(is_out_of_reach(&touched, Price(101), Price(105)));
        touched.is_triggered = true;
        assert!(!is_out_of_reach(&touched, Price(101), Price(105)));
    }

    fn price(outcome: Outcome) -> Option<i64> {
        match outcome {
            Outcome::Executes(reach) => Some(reach.price.0),
            Outcome::Untouched | Outcome::Triggers => None,
        }
    }

    #[test]
    fn limit_buy_fills_at_the_better_open_when_the_market_gaps_below_the_limit() {
        let policies = Policies::default();
        let buy = order(Side::Buy, OrderType::Limit, Some(100), None);
        assert_eq!(price(at_price(&buy, Price(95), &policies, false)), Some(95));
        assert_eq!(price(at_price(&buy, Price(101), &policies, false)), None);
        let at_limit = Policies { limit_gap: LimitGap::AtLimit, ..policies };
        assert_eq!(price(at_price(&buy, Price(95), &at_limit, false)), Some(100));
    }

    #[test]
    fn a_touch_fills_unless_the_policy_asks_for_more() {
        let policies = Policies::default();
        let sell = order(Side::Sell, OrderType::Limit, Some(100), None);
        assert_eq!(price(in_range(&sell, None, (Price(100), Price(90)), &policies)), Some(100));
        let through = Policies { limit_touch: LimitTouch::Through, ..policies };
        assert_eq!(price(in_range(&sell, None, (Price(100), Price(90)), &through)), None);
        assert_eq!(price(in_range(&sell, None, (Price(101), Price(90)), &through)), Some(100));
    }

    #[test]
    fn a_stop_through_a_gap_fills_at_the_open_and_inside_the_bar_at_the_stop() {
        let policies = Policies::default();
        let sell = order(Side::Sell, OrderType::Stop, None, Some(95));
        assert_eq!(price(at_price(&sell, Price(90), &policies, false)), Some(90));
        assert_eq!(price(at_price(&sell, Price(96), &policies, false)), None);
        assert_eq!(price(in_range(&sell, None, (Price(99), Price(95)), &policies)), Some(95));
    }

    #[test]
    fn a_stop_limit_that_triggers_inside_the_bar_fills_at_the_stop_or_rests() {
        let policies = Policies::default();
        let open_limit = order(Side::Buy, OrderType::StopLimit, Some(105), Some(100));
        assert_eq!(price(in_range(&open_limit, None, (Price(102), Price(90)), &policies)), Some(100));
        let limit_below = order(Side::Buy, OrderType::StopLimit, Some(98), Some(100));
        assert_eq!(in_range(&limit_below, None, (Price(102), Price(90)), &policies), Outcome::Triggers);
    }
}
