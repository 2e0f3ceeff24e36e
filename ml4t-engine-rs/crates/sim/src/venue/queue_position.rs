//! Who is before a resting limit at its price, as far as quotes and prints show it.

use std::cmp::Ordering;

use ml4t_abi::{Header, MarketEvent, Phase, Status};

use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::instrument::Instrument;
use crate::models::said;
use crate::money::Price;
use crate::order::{Order, Side};
use crate::phase::PhaseMarket;
use crate::plan::{Feed, FeedKind, quote, trade};
use crate::policies::QueuePosition;
use crate::time::{Ns, render};

use super::pass::is_due;
use super::{Desk, SimulatedVenue};

/// What is known of an order's place in the queue at its price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    id: OrderId,
    /// Quantity ahead.
    ahead: i64,
    /// What was open of the order, and its limit, when it was counted: more, or another, is at the end.
    leaves: i64,
    limit: Price,
}

impl Place {
    fn is_of(&self, order: &Order) -> bool {
        order.leaves <= self.leaves && order.request.limit_price == Some(self.limit)
    }
}

/// What an event shows of sizes.
enum Sizes {
    /// Of bid and ask.
    Quote([Option<i64>; 2]),
    /// Of a print.
    Print(i64),
}

impl Sizes {
    /// What is ahead of a limit after the event, from what was known before it.
    fn ahead_after(&self, market: &PhaseMarket, side: Side, limit: Price, known: Option<i64>) -> Option<i64> {
        let (price, shown) = match (self, side) {
            (Self::Quote(sizes), Side::Buy) => (market.bid, sizes[0]),
            (Self::Quote(sizes), Side::Sell) => (market.ask, sizes[1]),
            (Self::Print(_), _) => (market.mark(), None),
        };
        match (price.map(|price| against(side, limit, price)), self) {
            (Some(Ordering::Greater), _) => Some(0),
            (Some(Ordering::Equal), Self::Quote(_)) => {
                shown.map_or(known, |shown| Some(known.map_or(shown, |ahead| ahead.min(shown))))
            }
            (Some(Ordering::Equal), Self::Print(traded)) => known.map(|ahead| ahead.saturating_sub(*traded).max(0)),
            _ => known,
        }
    }
}

/// Size that is shown, in whole lots rounded up; `None` where it is missing.
fn shown_size(feed: &Feed, column: usize, row: usize, instrument: &Instrument) -> Option<i64> {
    let size = feed.value(column, row);
    if size.is_nan() {
        return None;
    }
    let Some(whole) = instrument.scale.quantity_floor(size, instrument.lot_size) else { return Some(i64::MAX) };
    let is_cut = instrument.scale.quantity_f64(whole) < size;
    Some(if is_cut { whole.saturating_add(instrument.lot_size) } else { whole })
}

/// Size of a print in whole lots; one that is missing is nothing.
fn print_size(feed: &Feed, row: usize, instrument: &Instrument) -> i64 {
    let size = feed.value(trade::SIZE, row);
    let beyond = if size.is_nan() { 0 } else { i64::MAX };
    instrument.scale.quantity_floor(size, instrument.lot_size).unwrap_or(beyond)
}

/// Where a limit stands to a price of its own side or a print: `Less` is worse for a fill.
fn against(side: Side, limit: Price, price: Price) -> Ordering {
    if side == Side::Buy { limit.cmp(&price) } else { price.cmp(&limit) }
}

/// A quote or print as a fill model is told of it.
fn market_event(
    now: Ns,
    (instrument, feed, row): (&Instrument, &Feed, usize),
    (id, order, limit): (OrderId, &Order, Price),
) -> MarketEvent {
    let (scale, request) = (&instrument.scale, &order.request);
    let side = if request.side == Side::Buy { 1 } else { -1 };
    let event = MarketEvent {
        header: Header::of::<MarketEvent>(side, request.instrument.0, now),
        order: id.0 + 1,
        limit_price: scale.price_f64(limit),
        leaves_quantity: scale.quantity_f64(order.leaves),
        ..MarketEvent::UNSET
    };
    if feed.data.kind == FeedKind::Quote {
        return MarketEvent {
            phase: Phase::QUOTE,
            bid: feed.value(quote::BID, row),
            ask: feed.value(quote::ASK, row),
            bid_size: feed.value(quote::BID_SIZE, row),
            ask_size: feed.value(quote::ASK_SIZE, row),
            ..event
        };
    }
    MarketEvent {
        phase: Phase::TRADE,
        trade_price: feed.value(trade::PRICE, row),
        trade_size: feed.value(trade::SIZE, row),
        ..event
    }
}

impl SimulatedVenue {
    pub(super) fn ahead_of(&self, i: usize, order: &Order, id: OrderId) -> Option<i64> {
        let places = &self.queues[i];
        let at = places.binary_search_by_key(&id, |place| place.id).ok()?;
        Some(places[at]).filter(|place| place.is_of(order)).map(|place| place.ahead)
    }

    /// The most that a print has for an order once those ahead of it, and what the print `filled` already, had theirs.
    pub(super) fn share_of_print<R>(&self, desk: &Desk<'_, R>, id: OrderId, row: usize, filled: i64) -> i64 {
        let order = desk.state.order(id);
        let i = order.request.instrument.index();
        let instrument = &desk.plan.instruments[i];
        let (Some(prints), Some(limit)) = (instrument.prints, order.request.limit_price) else { return i64::MAX };
        let feed = desk.plan.feed(prints);
        let is_at = instrument.scale.price(feed.value(trade::PRICE, row)) == Some(limit);
        if desk.plan.policies.queue_position == QueuePosition::None || !is_at {
            return i64::MAX;
        }
        let ahead = self.ahead_of(i, &order, id);
        ahead.map_or(0, |ahead| print_size(feed, row, instrument).saturating_sub(ahead).saturating_sub(filled))
    }

    /// Count what is ahead of the orders that rest, after a quote or a print was matched.
    pub(super) fn count_ahead<R>(&mut self, desk: &Desk<'_, R>, set: &[(u32, u32)], phase: Phase) -> Result<()> {
        if desk.plan.policies.queue_position == QueuePosition::None {
            return Ok(());
        }
        for &(i, row) in set {
            let (i, row) = (i as usize, row as usize);
            let instrument = &desk.plan.instruments[i];
            let (Some(quotes), Some(prints)) = (instrument.matching, instrument.prints) else { continue };
            let market = PhaseMarket::read(desk.plan, i, row, phase)?;
            if !market.has_traded {
                continue;
            }
            let sizes = match phase {
                Phase::TRADE => Sizes::Print(print_size(desk.plan.feed(prints), row, instrument)),
                _ => Sizes::Quote(
                    [quote::BID_SIZE, quote::ASK_SIZE].map(|c| shown_size(desk.plan.feed(quotes), c, row, instrument)),
                ),
            };
            let mut places = std::mem::take(&mut self.places);
            places.clear();
            for id in self.live[i].ids() {
                let order = desk.state.order(id);
                let Some(limit) = order.request.limit_price else { continue };
                if order.status.is_terminal() || !order.acts_as_limit() || !order.has_rested {
                    continue;
                }
                let known = self.ahead_of(i, &order, id);
                let is_met = is_due(&self.activating, id, phase) && market.is_eligible(order.ts_active);
                let ahead = if is_met { sizes.ahead_after(&market, order.request.side, limit, known) } else { known };
                places.extend(ahead.map(|ahead| Place { id, ahead, leaves: order.leaves, limit }));
            }
            self.places = std::mem::replace(&mut self.queues[i], places);
        }
        Ok(())
    }

    /// Tell a fill model that wants it of a quote or a print that was matched, for every limit at work that was active.
    pub(super) fn tell_market<R>(&mut self, desk: &Desk<'_, R>, set: &[(u32, u32)], phase: Phase) -> Result<()> {
        if !self.models.fill.wants_market() || !matches!(phase, Phase::QUOTE | Phase::TRADE) {
            return Ok(());
        }
        for &(i, row) in set {
            let (i, row) = (i as usize, row as usize);
            let instrument = &desk.plan.instruments[i];
            let Some(met) = instrument.met_in(phase) else { continue };
            let (market, feed) = (PhaseMarket::read(desk.plan, i, row, phase)?, desk.plan.feed(met));
            for id in self.live[i].ids() {
                let order = desk.state.order(id);
                let is_met = market.is_eligible(order.ts_active) && !order.status.is_terminal();
                let Some(limit) = order.request.limit_price.filter(|_| is_met && order.acts_as_limit()) else {
                    continue;
                };
                let event = market_event(desk.state.now, (instrument, feed, row), (id, &order, limit));
                let status = self.models.fill.on_market(&event);
                if status != Status::OK && status != Status::NO_OPINION {
                    let text = said(status, &self.models.fill.last_error());
                    return Err(SimError::model(format!(
                        "model {}, {}, order {}, {}: told of the market: {text}",
                        self.models.fill.name(),
                        instrument.symbol,
                        id.0 + 1,
                        render(desk.state.now)
                    )));
                }
            }
        }
        Ok(())
    }

    /// An order was changed: a new price or a larger quantity goes to the end.
    pub(super) fn keep_place(&mut self, i: usize, id: OrderId, before: &Order, after: &Order) {
        let (old, new) = (&before.request, &after.request);
        if new.limit_price == old.limit_price && new.quantity <= old.quantity {
            return;
        }
        self.queues[i].retain(|place| place.id != id);
    }
}
