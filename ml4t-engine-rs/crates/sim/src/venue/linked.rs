//! Orders that hang together: children that wait for a fill, groups that share one fate.

use ml4t_abi::Phase;

use crate::error::{Result, SimError};
use crate::guard::Cause;
use crate::ids::OrderId;
use crate::intake::lifetime;
use crate::order::{OrderStatus, Reason, TimeInForce};
use crate::phase::PhaseMarket;
use crate::prices::{last_price, price_before};
use crate::recorder::Recorder;
use crate::terms::Amount;
use crate::trailing;

use super::late::Late;
use super::{Desk, SimulatedVenue, Venue};

impl SimulatedVenue {
    /// End an order for the sake of another.
    pub(super) fn drop_order<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        id: OrderId,
        reason: Reason,
    ) -> Result<()> {
        let i = desk.state.order(id).request.instrument.index();
        desk.state.move_order(id, OrderStatus::Canceled, reason, desk.recorder)?;
        // Its instrument may have no part in what happens now.
        self.live[i].note_end();
        self.live[i].sweep(desk.state);
        self.refresh_watch(desk.plan, desk.state, i);
        Ok(())
    }

    /// After a fill of an order that hangs together with others: the members of its group shrink, its children grow.
    pub(super) fn affect_linked<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        id: OrderId,
        filled: i64,
        cause: Cause,
    ) -> Result<()> {
        desk.state.meet(id, filled).ok_or_else(|| range(id))?;
        // A complete fill in a group of the kind `oco` ends the others.
        let others = if desk.state.fills_its_group(id) { Vec::new() } else { desk.state.siblings(id) };
        let exponent = desk.plan.instrument(desk.state.order(id).request.instrument).scale.quantity_exponent;
        for other in others {
            self.shrink(desk, other, filled, exponent)?;
        }
        self.end_linked(desk)?;
        for child in desk.state.links.children_of(id) {
            self.grow(desk, child, Some((id, cause)))?;
        }
        self.end_linked(desk)
    }

    /// Another member of its group filled `quantity` units of 10^-`exponent`.
    fn shrink<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId, quantity: i64, exponent: u32) -> Result<()> {
        let order = desk.state.order(id);
        if order.status.is_terminal() {
            return Ok(());
        }
        let i = order.request.instrument.index();
        let instrument = &desk.plan.instruments[i];
        let unit = 10_i128.pow(instrument.scale.quantity_exponent);
        let amount = Amount { num: i128::from(quantity) * unit, den: 10_i128.pow(exponent) };
        let left = desk.state.take(id, amount, instrument.lot_size).ok_or_else(|| range(id))?;
        if left == 0 {
            return self.drop_order(desk, id, Reason::GroupFilled);
        }
        let order = desk.state.order_mut(id);
        order.leaves = left;
        order.request.quantity = order.filled.checked_add(left).ok_or_else(|| range(id))?;
        desk.state.note(id, (Reason::Reduced, 0), desk.recorder);
        if desk.state.links.waiting.contains(&id) { Ok(()) } else { Self::reserve_one(desk, id, i) }
    }

    /// Give a child its share of what its parent has filled; with the first lot it starts to work.
    pub(super) fn grow<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        id: OrderId,
        cause: Option<(OrderId, Cause)>,
    ) -> Result<()> {
        let order = *desk.state.order(id);
        let is_waiting = desk.state.links.waiting.contains(&id);
        let is_working = matches!(order.status, OrderStatus::Accepted | OrderStatus::PartiallyFilled);
        if !is_waiting && !is_working {
            return Ok(());
        }
        let i = order.request.instrument.index();
        let leaves = desk.state.share(id, desk.plan.instruments[i].lot_size).ok_or_else(|| range(id))?;
        if leaves == 0 || (is_working && leaves <= order.leaves) {
            return Ok(());
        }
        if is_waiting && order.request.expires_at <= desk.state.now {
            // It never began, and stays as large as it was asked for.
            desk.state.links.waiting.remove(&id);
            return desk.state.move_order(id, OrderStatus::Rejected, Reason::TimeExpired, desk.recorder);
        }
        let grown = desk.state.order_mut(id);
        grown.request.quantity = grown.filled.checked_add(leaves).ok_or_else(|| range(id))?;
        grown.leaves = leaves;
        if is_waiting {
            desk.state.links.waiting.remove(&id);
            return self.start_child(desk, id, cause);
        }
        self.live[i].note(&desk.state.order(id));
        Self::reserve_one(desk, id, i)
    }

    /// A child starts to work where its parent filled, without latency.
    pub(super) fn start_child<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        id: OrderId,
        cause: Option<(OrderId, Cause)>,
    ) -> Result<()> {
        let request = desk.state.order(id).request;
        let now = desk.state.now;
        let asked_at = now.saturating_add(i64::from(desk.state.is_after_opens && cause.is_none()));
        let is_after_opens = self.opened_at == now;
        let is_own = cause.is_some_and(|(parent, _)| desk.state.order(parent).request.instrument == request.instrument);
        let (from, stood_at, at) = match cause.map(|(_, cause)| cause) {
            Some(Cause::Fill { phase: Phase::OPEN, .. }) if !is_own => {
                // A bar of its own that opens at this instant has opened already.
                (now.saturating_add(i64::from(is_after_opens)), None, None)
            }
            Some(_) if !is_own => (now, None, None),
            Some(Cause::Fill { phase, ts_open, stand }) => {
                let from = desk.plan.policies.starts_in_bar(phase, ts_open, &request);
                let stood_at = from.filter(|_| phase == Phase::RANGE).map(|_| stand);
                (from.unwrap_or(now), stood_at, Some(stand.at))
            }
            _ => (asked_at, None, None),
        };
        // What ended comes before the close of the session: a fill with it still belongs to the session.
        let is_completing = cause.is_some_and(|(_, cause)| match cause {
            Cause::Fill { phase, .. } => !is_after_opens && phase.0 <= Phase::TRADE.0,
            _ => false,
        });
        let instrument = &desk.plan.instruments[request.instrument.index()];
        let calendar = &desk.plan.calendars[instrument.calendar.index()];
        let since = match request.time_in_force {
            // It takes part in the open that filled its parent, whenever that is booked.
            TimeInForce::Opg => from,
            _ if is_completing => now - 1,
            _ => from.max(now),
        };
        let (active, expiry) = lifetime(&request, from, since, calendar);
        let i = request.instrument.index();
        let last = || {
            let find = if is_completing { price_before } else { last_price };
            find(desk.plan, desk.state, i)
        };
        let water = match request.trail {
            Some(trail) if trail.activation.is_none() => at.or_else(last),
            _ => None,
        };
        let own = request.limit_price.or(request.stop_price);
        let expected = own.or(at).or_else(last);
        let order = desk.state.order_mut(id);
        (order.ts_active, order.ts_expiry, order.stood_at) = (active, expiry, stood_at);
        (order.water_mark, order.expected_price) = (water, expected);
        if stood_at.is_some() {
            self.born_inside.push(id);
        }
        trailing::place(order, instrument).ok_or_else(|| {
            SimError::overflow(format!("{}: the level of a trailing stop leaves its range", instrument.symbol))
        })?;
        desk.state.move_order(id, OrderStatus::Accepted, Reason::None, desk.recorder)?;
        self.submit(desk.plan, desk.state, id);
        if cause.is_some_and(|(_, cause)| matches!(cause, Cause::Fill { phase: PhaseMarket::DECISION_CLOSE, .. })) {
            // The close that its parent was decided on is no price for what the fill has started.
            self.live[i].has_turn(id, self.pass);
        }
        Self::reserve_one(desk, id, i)
    }

    /// Orders that ended take others with them, one level after the other.
    pub(super) fn end_linked<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        let mut at = 0;
        while let Some(&id) = desk.state.links.ended.get(at) {
            at += 1;
            for (other, reason) in desk.state.consequences(id) {
                if desk.state.has_ended(other) {
                    continue;
                }
                // What the open of a bar has decided stands when its group ends, not when another filled.
                if reason == Reason::GroupEnded && self.waits_for_booking(desk, other)? {
                    self.late.entry(other).or_default().push(Late::End(OrderStatus::Canceled, reason));
                } else {
                    self.drop_order(desk, other, reason)?;
                }
            }
        }
        desk.state.links.ended.clear();
        Ok(())
    }
}

fn range(id: OrderId) -> SimError {
    SimError::overflow(format!("order {}: a quantity of its group or parent leaves its range", id.0 + 1))
}
