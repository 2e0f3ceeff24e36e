//! Position rules: stop loss, take profit and trailing stop.
//!
//! A rule with a price level is a resting order held at the venue for the whole position. It is placed when the
//! position opens, follows its size and average entry, and is canceled when the position is closed; whichever
//! of them fills takes the others with it. Such orders act without latency and meet the rest of the bar in
//! which the position was opened; a target waits for the next bar when the entry itself filled inside the bar,
//! because whether the market went there before or after is not known.

use ml4t_abi::Phase;

use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::instrument::Instrument;
use crate::money::{Decimal, Price, Qty, mul_div_half_even};
use crate::order::{Order, OrderRequest, OrderStatus, OrderType, Reason, Side, TimeInForce};
use crate::recorder::Recorder;
use crate::time::Ns;
use crate::venue::Desk;

/// Kinds of position rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Leave when the price falls a fraction below the average entry (rises above, for shorts).
    StopLoss,
    /// Leave when it rises a fraction above (falls below, for shorts).
    TakeProfit,
    /// Leave when it falls a fraction below the highest price since the entry (rises above the lowest).
    TrailingStop,
}

impl RuleKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::StopLoss, Self::TakeProfit, Self::TrailingStop];

    /// Name in the tables: the tag of the order.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StopLoss => "stop_loss",
            Self::TakeProfit => "take_profit",
            Self::TrailingStop => "trailing_stop",
        }
    }

    const fn order_type(self) -> OrderType {
        match self {
            Self::StopLoss | Self::TrailingStop => OrderType::Stop,
            Self::TakeProfit => OrderType::Limit,
        }
    }
}

/// Fractions of the entry price by kind; `None` where the rule is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PositionRules {
    fractions: [Option<Decimal>; RuleKind::ALL.len()],
}

impl PositionRules {
    /// Add a rule.
    ///
    /// # Errors
    /// The fraction is not above 0, a loss of 1 or more, or the kind is set already.
    pub fn with(mut self, kind: RuleKind, fraction: Decimal) -> Result<Self> {
        let one = 10_i128.checked_pow(fraction.exponent).unwrap_or(0);
        let is_loss = kind != RuleKind::TakeProfit;
        if fraction.exponent > 9 || fraction.mantissa <= 0 || (is_loss && fraction.mantissa >= one) {
            return Err(SimError::config(format!(
                "{}: the fraction must be above 0{} and have at most 9 decimals",
                kind.as_str(),
                if is_loss { ", below 1" } else { "" }
            )));
        }
        let slot = &mut self.fractions[kind as usize];
        if slot.is_some() {
            return Err(SimError::config(format!("{} is set twice", kind.as_str())));
        }
        *slot = Some(fraction);
        Ok(self)
    }

    /// Whether no rule is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fractions.iter().all(Option::is_none)
    }

    const fn fraction(&self, kind: RuleKind) -> Option<Decimal> {
        self.fractions[kind as usize]
    }
}

/// The event that changed a position, or `None` when the rules themselves changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    pub phase: Phase,
    pub ts_open: Ns,
    /// Where the market stood at the fill.
    pub at: Price,
}

/// Level at `fraction` from `base`, below it when `is_below`, rounded to the tick farther away: a stop triggers
/// later and a target is reached later.
fn level(instrument: &Instrument, base: Price, fraction: Decimal, is_below: bool) -> Option<Price> {
    let one = 10_i128.checked_pow(fraction.exponent)?;
    // A fraction of the size of the price, so that below is below where prices are negative, too.
    let away = if is_below == (base.0 >= 0) { -fraction.mantissa } else { fraction.mantissa };
    let exact = i64::try_from(mul_div_half_even(i128::from(base.0), one + away, one)?).ok().map(Price)?;
    Some(if is_below { instrument.tick_floor(exact) } else { instrument.tick_ceil(exact) })
}

/// Bring the rule orders of a position in line with it; returns those that are new.
///
/// `live` are the live orders of the instrument.
pub(crate) fn sync<R: Recorder>(
    desk: &mut Desk<'_, R>,
    book: BookId,
    i: usize,
    live: &[OrderId],
    cause: Option<Cause>,
) -> Result<Vec<OrderId>> {
    let rules = desk.state.rules[usize::from(book.0)];
    let instrument = &desk.plan.instruments[i];
    let range = || SimError::overflow(format!("{}: the level of a position rule leaves its range", instrument.symbol));
    let position = &desk.state.book(book).positions[i];
    let (held, cost) = (position.quantity, position.cost);
    let entry = if held == 0 { None } else { Some(instrument.scale.average_units(cost, Qty(held)).ok_or_else(range)?) };
    let side = if held > 0 { Side::Sell } else { Side::Buy };
    let mut placed = Vec::new();
    for kind in RuleKind::ALL {
        let existing = live.iter().copied().find(|&id| {
            let order = desk.state.order(id);
            order.rule == Some(kind) && order.request.book == book && !order.status.is_terminal()
        });
        let wanted = entry.zip(rules.fraction(kind));
        let Some((entry, fraction)) = wanted else {
            if let Some(id) = existing {
                let reason = if entry.is_some() { Reason::CanceledByRequest } else { Reason::PositionClosed };
                desk.state.move_order(id, OrderStatus::Canceled, reason, desk.recorder)?;
            }
            continue;
        };
        let is_below = (held > 0) == (kind != RuleKind::TakeProfit);
        let price = level(instrument, entry, fraction, is_below).ok_or_else(range)?;
        let fits = existing.filter(|&id| desk.state.order(id).request.side == side);
        if let Some(id) = fits {
            let now = desk.state.now;
            let order = desk.state.order_mut(id);
            let before = (order.request.limit_price, order.request.stop_price);
            resize(order, held.abs(), price, kind, side);
            let has_moved = before != (order.request.limit_price, order.request.stop_price);
            match cause {
                // Where the market went before its level moved here does not count for it.
                None if has_moved => order.ts_active = now,
                Some(Cause { phase: Phase::RANGE, at, .. }) => {
                    order.stood_at = Some(at);
                    if has_moved && kind == RuleKind::TakeProfit {
                        order.ts_active = now;
                    }
                }
                _ => {}
            }
            continue;
        }
        if let Some(id) = existing {
            desk.state.move_order(id, OrderStatus::Canceled, Reason::PositionClosed, desk.recorder)?;
        }
        placed.push(place(desk, book, i, kind, (side, held.abs(), price), cause)?);
    }
    Ok(placed)
}

/// Follow size and entry of the position. A stop that has traded is a market order by now and keeps its price,
/// and a trailing stop never goes back.
fn resize(order: &mut Order, quantity: i64, price: Price, kind: RuleKind, side: Side) {
    order.leaves = quantity;
    order.request.quantity = order.filled + quantity;
    if order.is_triggered {
        return;
    }
    match kind {
        RuleKind::TakeProfit => order.request.limit_price = Some(price),
        RuleKind::StopLoss => order.request.stop_price = Some(price),
        RuleKind::TrailingStop => order.request.stop_price = order.request.stop_price.map(|p| tighter(p, price, side)),
    }
}

fn tighter(old: Price, new: Price, side: Side) -> Price {
    if side == Side::Sell { old.max(new) } else { old.min(new) }
}

fn place<R: Recorder>(
    desk: &mut Desk<'_, R>,
    book: BookId,
    i: usize,
    kind: RuleKind,
    (side, quantity, price): (Side, i64, Price),
    cause: Option<Cause>,
) -> Result<OrderId> {
    let now = desk.state.now;
    let id = OrderId(desk.state.orders.len() as u64);
    let order_type = kind.order_type();
    let request = OrderRequest {
        book,
        instrument: InstrumentId(u32::try_from(i).unwrap_or(u32::MAX)),
        side,
        order_type,
        time_in_force: TimeInForce::Gtc,
        quantity,
        limit_price: (order_type == OrderType::Limit).then_some(price),
        stop_price: (order_type == OrderType::Stop).then_some(price),
        tag: 0,
    };
    let mut order = Order::new(request, now);
    order.rule = Some(kind);
    order.ts_active = match cause {
        Some(Cause { phase: Phase::OPEN, ts_open, .. }) => ts_open,
        Some(Cause { phase: Phase::RANGE, ts_open, .. }) if kind != RuleKind::TakeProfit => ts_open,
        _ => now,
    };
    order.stood_at = cause.filter(|c| c.phase == Phase::RANGE).map(|c| c.at);
    desk.state.orders.push(order);
    desk.state.move_order(id, OrderStatus::Submitted, Reason::None, desk.recorder)?;
    desk.state.move_order(id, OrderStatus::Accepted, Reason::None, desk.recorder)?;
    Ok(id)
}

/// Move the trailing stops of an instrument after prices up to `high` and down to `low` were seen.
pub(crate) fn trail<R: Recorder>(desk: &mut Desk<'_, R>, i: usize, live: &[OrderId], (high, low): (Price, Price)) {
    let instrument = &desk.plan.instruments[i];
    for &id in live {
        let order = desk.state.order(id);
        let (Some(RuleKind::TrailingStop), false) = (order.rule, order.is_triggered) else { continue };
        let (side, book) = (order.request.side, order.request.book);
        let fraction = desk.state.rules[usize::from(book.0)].fraction(RuleKind::TrailingStop);
        let is_below = side == Side::Sell;
        let extreme = if is_below { high } else { low };
        let moved = fraction.and_then(|f| level(instrument, extreme, f, is_below));
        if let (Some(old), Some(new)) = (desk.state.order(id).request.stop_price, moved) {
            desk.state.order_mut(id).request.stop_price = Some(tighter(old, new, side));
        }
    }
}
