//! Trailing stop orders: how their stops follow the market.

use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::instrument::Instrument;
use crate::money::{Price, Ratio};
use crate::order::{Order, Side};
use crate::phase::PhaseMarket;
use crate::policies::TrailBasis;
use crate::recorder::Recorder;
use crate::venue::Desk;

fn range(instrument: &Instrument) -> SimError {
    SimError::overflow(format!("{}: the level of a trailing stop leaves its range", instrument.symbol))
}

/// Give an order its stop, and the limit behind it, for its water mark; a stop that is in force never goes back.
pub(crate) fn place(order: &mut Order, instrument: &Instrument) -> Option<()> {
    let (Some(trail), Some(water)) = (order.request.trail, order.water_mark) else { return Some(()) };
    let side = order.request.side;
    let (stop, limit) = trail.levels(water, side, instrument)?;
    let keeps = match (order.request.stop_price, side) {
        (None, _) => false,
        (Some(old), Side::Sell) => old >= stop,
        (Some(old), Side::Buy) => old <= stop,
    };
    if !keeps {
        order.request.stop_price = Some(stop);
        order.request.limit_price = limit;
    }
    Some(())
}

/// An open, quote or print that an order without a water mark meets may begin it.
pub(crate) fn begin(order: &mut Order, market: &PhaseMarket, instrument: &Instrument) -> Result<()> {
    let side = order.request.side;
    let Some(price) = market.certain_price(side).filter(|_| market.has_traded) else { return Ok(()) };
    if order.request.trail.is_some_and(|trail| trail.is_activated_by(price, side)) {
        order.water_mark = Some(price);
        place(order, instrument).ok_or_else(|| range(instrument))?;
    }
    Ok(())
}

/// Let an open, quote or print begin the water marks of the orders that have none.
pub(crate) fn begin_all<R: Recorder>(
    desk: &mut Desk<'_, R>,
    i: usize,
    market: &PhaseMarket,
    live: impl Iterator<Item = OrderId>,
) -> Result<()> {
    let instrument = &desk.plan.instruments[i];
    for id in live {
        if desk.state.has_ended(id) {
            continue;
        }
        let order = desk.state.order_mut(id);
        let begins = order.request.trail.is_some() && order.water_mark.is_none();
        // The close that an order from inside a bar meets begins nothing.
        if begins && market.is_eligible(order.ts_active) && !market.is_from_inside(order.ts_active) {
            begin(order, market, instrument)?;
        }
    }
    Ok(())
}

/// Let the trailing stops of an instrument follow a row that is complete.
pub(crate) fn follow<R: Recorder>(
    desk: &mut Desk<'_, R>,
    i: usize,
    row: usize,
    live: impl Iterator<Item = OrderId>,
) -> Result<()> {
    let instrument = &desk.plan.instruments[i];
    let Some(kind) = instrument.matching.map(|feed| desk.plan.feed(feed).data.kind) else { return Ok(()) };
    let market = PhaseMarket::read(desk.plan, i, row, kind.range_phase())?;
    if !market.has_traded {
        return Ok(());
    }
    let is_by_close = kind == crate::plan::FeedKind::Bar && desk.plan.policies.trail_basis == TrailBasis::Close;
    let close = if is_by_close { PhaseMarket::read(desk.plan, i, row, ml4t_abi::Phase::CLOSE)?.mark() } else { None };
    for id in live {
        if desk.state.has_ended(id) {
            continue;
        }
        let order = desk.state.order_mut(id);
        let side = order.request.side;
        let Some(trail) = order.request.trail else { continue };
        if order.is_triggered || !market.is_eligible(order.ts_active) {
            continue;
        }
        let Some(reached) = market.extreme(side) else { continue };
        let best = close.unwrap_or(reached);
        order.water_mark = match order.water_mark {
            Some(water) => Some(better(water, best, side)),
            None if trail.is_activated_by(reached, side) => Some(best),
            None => None,
        };
        place(order, instrument).ok_or_else(|| range(instrument))?;
    }
    Ok(())
}

/// The price that a stop of that side follows: the higher one of a sell, the lower one of a buy.
pub(crate) fn better(a: Price, b: Price, side: Side) -> Price {
    if side == Side::Sell { a.max(b) } else { a.min(b) }
}

/// Put a trailing stop order into the shares after a split: its levels are taken anew.
pub(crate) fn split(order: &mut Order, instrument: &Instrument, ratio: Ratio) -> Option<()> {
    let Some(trail) = order.request.trail else { return Some(()) };
    order.request.trail = Some(trail.unscale(ratio, order.request.side, instrument)?);
    order.water_mark = match order.water_mark {
        Some(water) => Some(ratio.unscale(water)?),
        None => None,
    };
    if !order.is_triggered && order.water_mark.is_some() {
        order.request.stop_price = None;
        place(order, instrument)?;
    }
    Some(())
}
