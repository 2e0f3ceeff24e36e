//! Changes of working orders: what is asked, and whether it can be done when it arrives.

use crate::account::{lacks_power, reservation, short_text};
use crate::carry::lacks_a_lender;
use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::instrument::Instrument;
use crate::money::Price;
use crate::order::{Order, OrderStatus, OrderType, Reason, Side, TimeInForce};
use crate::policies::{InsufficientCash, TickRounding};
use crate::recorder::Recorder;
use crate::terms::{Amount, Distance};
use crate::time::{NEVER, Ns, render};
use crate::trailing;
use crate::venue::Desk;

/// What `modify_order` asks for; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Total quantity.
    pub quantity: Option<i64>,
    /// Limit price.
    pub limit_price: Option<Price>,
    /// The price that triggers.
    pub stop_price: Option<Price>,
    /// Distance of a trailing stop.
    pub distance: Option<Distance>,
    /// Distance of its limit.
    pub limit_offset: Option<Amount>,
    /// End of a `gtd` order.
    pub expires_at: Option<Ns>,
    /// Why it is refused whatever the account says: a number that the instrument cannot keep.
    pub refusal: Option<String>,
}

/// The order as it would be; what it lacks is the sentence of a refusal.
fn changed(order: &Order, changes: &Changes, instrument: &Instrument, now: Ns) -> core::result::Result<Order, String> {
    let mut next = *order;
    let terms = &mut next.request;
    let scale = &instrument.scale;
    if order.status.is_terminal() {
        return Err(format!("the order is {}", order.status.as_str()));
    }
    if let Some(text) = &changes.refusal {
        return Err(text.clone());
    }
    if let Some(quantity) = changes.quantity {
        if quantity % instrument.lot_size != 0 {
            let (found, lot) = (scale.quantity_f64(quantity), scale.quantity_f64(instrument.lot_size));
            return Err(format!("quantity {found} is not a multiple of lot_size {lot}"));
        }
        terms.quantity = quantity;
        next.leaves = quantity - order.filled;
    }
    terms.limit_price = changes.limit_price.or(terms.limit_price);
    terms.stop_price = changes.stop_price.or(terms.stop_price);
    for (name, price) in [("limit_price", changes.limit_price), ("stop_price", changes.stop_price)] {
        let Some(price) = price else { continue };
        if price.0 <= 0 && !instrument.allows_negative_prices {
            return Err(format!("{name} {} must be above zero", scale.price_f64(price)));
        }
        if !instrument.on_tick(price) {
            let (found, tick) = (scale.price_f64(price), scale.price_f64(Price(instrument.tick_size)));
            return Err(format!("{name} {found} is not a multiple of tick_size {tick}"));
        }
    }
    if let Some(quantity) = changes.quantity.filter(|&quantity| quantity <= order.filled) {
        let (found, filled) = (scale.quantity_f64(quantity), scale.quantity_f64(order.filled));
        return Err(format!("quantity {found} is not above what is filled, {filled}"));
    }
    if let Some(trail) = &mut terms.trail {
        trail.distance = changes.distance.unwrap_or(trail.distance);
        trail.limit_offset = changes.limit_offset.or(trail.limit_offset);
        if changes.distance.is_some() || changes.limit_offset.is_some() {
            (terms.stop_price, terms.limit_price) = (None, None);
            trailing::place(&mut next, instrument).ok_or("the level of the trailing stop leaves its range")?;
        }
    }
    if let Some(at) = changes.expires_at {
        if at <= now {
            return Err(format!("expire_at {} is not after the present instant", render(at)));
        }
        next.request.expires_at = at;
        next.ts_expiry = at;
    }
    Ok(next)
}

/// What a change that has arrived has done to an order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Decided {
    /// It expires at another time now.
    pub expires_anew: bool,
    /// It stands in the market as a new order does.
    pub is_as_new: bool,
}

/// Give a changed order its standing in the market: that of a new one, unless it only became smaller; tells which.
fn stand(order: &Order, next: &mut Order, changes: &Changes, from: Ns) -> bool {
    let only_quantity = Changes { quantity: changes.quantity, ..Changes::default() };
    let is_as_new = *changes != only_quantity || next.request.quantity >= order.request.quantity;
    if is_as_new {
        next.ts_active = next.ts_active.max(from);
    }
    if next.request.limit_price != order.request.limit_price {
        next.has_rested = false;
    }
    let distance = |o: &Order| o.request.trail.map(|trail| trail.distance);
    if next.request.stop_price != order.request.stop_price || distance(next) != distance(order) {
        next.is_triggered = false;
        next.has_rested = false;
    }
    is_as_new
}

/// Decide a change that has arrived.
///
/// `incoming` is what working buys of the instrument may still bring in.
pub(crate) fn decide<R: Recorder>(
    desk: &mut Desk<'_, R>,
    id: OrderId,
    changes: &Changes,
    (incoming, others): (i64, &[OrderId]),
) -> Result<Decided> {
    let order = *desk.state.order(id);
    let instrument = desk.plan.instrument(order.request.instrument);
    let now = desk.state.now;
    let at = || format!("({}, {})", instrument.symbol, render(now));
    let mut changes = changes.clone();
    if desk.plan.policies.tick_rounding == TickRounding::Passive {
        let (side, is_stop) = (order.request.side, order.request.order_type.is_stop());
        changes.limit_price = changes.limit_price.map(|p| instrument.passive(p, side, false));
        changes.stop_price = changes.stop_price.map(|p| instrument.passive(p, side, is_stop));
    }
    let mut next = match changed(&order, &changes, instrument, now) {
        Ok(next) => next,
        Err(text) => {
            refuse(desk, id, &format!("{text} {}", at()));
            return Ok(Decided::default());
        }
    };
    let is_as_new = stand(&order, &mut next, &changes, now.saturating_add(i64::from(desk.state.is_after_opens)));
    if next.status == OrderStatus::Submitted {
        // It waits for its parent and sets nothing aside yet.
        finish(desk, id, &next)?;
        return Ok(Decided::default());
    }
    if changes.limit_price.is_some() || changes.stop_price.is_some() {
        next.expected_price = next.request.limit_price.or(next.request.stop_price);
    }
    let book = desk.state.book(order.request.book);
    let held = book.positions[order.request.instrument.index()].quantity;
    let covers = |needed: i64| held.saturating_add(incoming) >= needed;
    let is_larger_sale = order.request.side == Side::Sell && next.request.quantity > order.request.quantity;
    let never_shorts = !desk.plan.account.allows_short && !order.request.instructions.reduce_only;
    if is_larger_sale && never_shorts && !covers(next.leaves) {
        refuse(desk, id, &short_text(instrument, next.leaves, held, now));
        return Ok(Decided::default());
    }
    if is_larger_sale && let Some(text) = lacks_a_lender(desk.plan, desk.state, &next, others.iter().copied()) {
        refuse(desk, id, &text);
        return Ok(Decided::default());
    }
    let book = desk.state.book(order.request.book);
    let Some(wanted) = reservation(desk.plan, desk.state, &next, held)? else {
        refuse(desk, id, &format!("price x quantity leaves the range of the ledger {}", at()));
        return Ok(Decided::default());
    };
    let more = wanted.minus(order.reserved, "buying power")?;
    if desk.plan.policies.insufficient_cash == InsufficientCash::Reject
        && let Some(lack) = lacks_power(desk.plan, desk.state, book, (instrument, more))?
    {
        let (more, free) = lack.shown(desk.plan);
        let text = format!("it needs buying power of {more} more, {free} {}", at());
        refuse(desk, id, &text);
        return Ok(Decided::default());
    }
    next.reserved = wanted;
    desk.state.set_aside((order.request.book, order.request.instrument), more)?;
    finish(desk, id, &next)?;
    Ok(Decided { expires_anew: next.ts_expiry != order.ts_expiry && next.ts_expiry != NEVER, is_as_new })
}

fn finish<R: Recorder>(desk: &mut Desk<'_, R>, id: OrderId, next: &Order) -> Result<()> {
    *desk.state.order_mut(id) = *next;
    desk.state
        .adopt_quantity(id)
        .ok_or_else(|| SimError::overflow(format!("order {}: a quantity of its group leaves its range", id.0 + 1)))?;
    desk.state.note(id, (Reason::Replaced, 0), desk.recorder);
    Ok(())
}

fn refuse<R: Recorder>(desk: &mut Desk<'_, R>, id: OrderId, text: &str) {
    let text = desk.state.say(format!("change refused: {text}"));
    desk.state.note(id, (Reason::ReplaceRejected, text), desk.recorder);
}

impl Changes {
    /// What an order cannot be asked to change, because it has no such thing; the sentence of the error.
    #[must_use]
    pub fn misplaced(&self, order: &Order) -> Option<String> {
        let kind = order.request.order_type;
        let is_trailing = kind.is_trailing();
        let fields = [
            ("limit_price", self.limit_price.is_some(), kind.has_limit() && !is_trailing),
            ("stop_price", self.stop_price.is_some(), kind.has_trigger() && !is_trailing),
            ("trail_amount or trail_fraction", self.distance.is_some(), is_trailing),
            ("limit_offset", self.limit_offset.is_some(), kind == OrderType::TrailingStopLimit),
            ("expire_at", self.expires_at.is_some(), order.request.time_in_force == TimeInForce::Gtd),
        ];
        let found = fields.into_iter().find(|(_, is_given, has_it)| *is_given && !has_it);
        found.map(|(name, ..)| format!("a {} order has no {name} to change", kind.as_str()))
    }
}
