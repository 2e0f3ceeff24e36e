//! What comes between the open of a bar and its booking, where a model needs the volume of the bar.

use std::cmp::Reverse;

use ml4t_abi::Phase;

use crate::error::Result;
use crate::ids::{BookId, FeedId, OrderId};
use crate::matching::Outcome;
use crate::order::{OrderStatus, Reason, Side};
use crate::phase::PhaseMarket;
use crate::recorder::Recorder;
use crate::replace;
use crate::replace::Changes;
use crate::trailing;

use super::{Desk, SimulatedVenue, Venue, guard_of, place_of};

/// What came between the open that decided an order and its booking.
#[derive(Clone, Debug)]
pub(super) enum Late {
    /// A cancel, the end of its session, the end of another order.
    End(OrderStatus, Reason),
    /// A change.
    Change(Box<Changes>),
}

impl SimulatedVenue {
    /// Whether the open of a bar in progress has decided an order, as far as prices do, and only the booking is to come:
    /// it fills, or that was the one event of its life.
    pub(super) fn waits_for_booking<R: Recorder>(&self, desk: &Desk<'_, R>, id: OrderId) -> Result<bool> {
        let order = desk.state.order(id);
        let i = order.request.instrument.index();
        if !self.is_deferred[i] {
            return Ok(false);
        }
        let feed = desk.plan.instruments[i].matching.map(FeedId::index);
        let Some(row) = feed.and_then(|f| desk.state.next_row(desk.plan, f, i)) else { return Ok(false) };
        // While the opens of a bar are booked the next bar has not begun.
        let opens = feed.and_then(|f| desk.plan.feeds[f].data.ts_open.as_ref());
        let (now, opened) = (desk.state.now, opens.map_or(i64::MAX, |open| open[row]));
        if opened > now || (opened == now && self.opened_at != now) {
            return Ok(false);
        }
        let market = PhaseMarket::read(desk.plan, i, row, Phase::OPEN)?;
        let is_its_event =
            order.request.time_in_force.is_immediate() && market.was_its_only_event(&order, desk.plan.policies);
        let is_decided = is_its_event || matches!(market.outcome(&order, desk.plan), Outcome::Executes(_));
        Ok(market.is_eligible(order.ts_active) && is_decided)
    }

    /// Show an open that will be booked later to the orders: it begins water marks, triggers, and makes limits wait.
    pub(super) fn see_open<R: Recorder>(&self, desk: &mut Desk<'_, R>, i: usize, row: usize) -> Result<()> {
        if self.live[i].is_empty() {
            return Ok(());
        }
        let market = PhaseMarket::read(desk.plan, i, row, Phase::OPEN)?;
        if self.live[i].has_trailing() {
            trailing::begin_all(desk, i, &market, self.live[i].ids())?;
        }
        for id in self.live[i].ids() {
            let plan = desk.plan;
            if desk.state.has_ended(id) {
                continue;
            }
            let order = desk.state.order_mut(id);
            if !market.is_eligible(order.ts_active) {
                continue;
            }
            match market.outcome(order, plan) {
                Outcome::Executes(_) => {}
                outcome => market.leave(order, outcome),
            }
        }
        Ok(())
    }

    /// Opens whose fills waited for the bar's end, then what came too late for them: cancels, expiries, rules.
    pub(super) fn settle_deferred<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)]) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.set);
        waiting.clear();
        waiting.extend(set.iter().filter(|&&(i, _)| self.is_deferred[i as usize]));
        self.match_set(desk, &waiting, Phase::OPEN)?;
        let is_booked = |id: &OrderId| {
            let i = desk.state.order(*id).request.instrument;
            waiting.iter().any(|&(k, _)| k == i.0)
        };
        let booked: Vec<OrderId> = self.late.keys().copied().filter(is_booked).collect();
        for id in booked {
            for request in self.late.remove(&id).unwrap_or_default() {
                match request {
                    Late::Change(changes) => self.change(desk, id, &changes)?,
                    Late::End(status, reason) => self.end_late(desk, id, status, reason)?,
                }
                self.cascade(desk)?;
            }
        }
        for &(i, row) in &waiting {
            self.is_deferred[i as usize] = false;
            for book in 0..desk.plan.books {
                if self.guards[guard_of(desk.plan, BookId(book), i as usize)].is_late {
                    let seen = place_of(desk.plan, desk.state, i as usize, row as usize);
                    self.set_rules(desk, (BookId(book), i as usize), seen)?;
                    self.cascade(desk)?;
                }
            }
        }
        self.set = waiting;
        Ok(())
    }

    fn end_late<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        id: OrderId,
        status: OrderStatus,
        reason: Reason,
    ) -> Result<()> {
        let order = desk.state.order(id);
        let i = order.request.instrument.index();
        if order.status.is_terminal() {
            return Ok(());
        }
        desk.state.move_order(id, status, reason, desk.recorder)?;
        if matches!(reason, Reason::CanceledByRequest | Reason::Rolled) {
            self.waive(desk, id);
        }
        self.remove(desk.plan, desk.state, i);
        Ok(())
    }

    pub(super) fn change<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId, changes: &Changes) -> Result<()> {
        if desk.state.has_ended(id) {
            // It is told that it came too late; what was under way to an order that ended is kept no more.
            return replace::decide(desk, id, changes, (0, &[])).map(drop);
        }
        desk.state.order_mut(id).changes -= 1;
        let before = *desk.state.order(id);
        let request = before.request;
        let i = request.instrument.index();
        let buys = self.live[i].ids().filter(|&other| {
            let other = desk.state.order(other);
            other.request.side == Side::Buy && other.request.book == request.book && !other.status.is_terminal()
        });
        let incoming = buys.map(|other| desk.state.order(other).leaves).fold(0, i64::saturating_add);
        // Only who lends asks for them.
        let asks = !desk.plan.rates.borrow.is_empty();
        let others: Vec<OrderId> = self.working(desk.state, i).filter(|&other| asks && other != id).collect();
        let decided = replace::decide(desk, id, changes, (incoming, &others))?;
        if decided.expires_anew {
            self.expiries.push(Reverse((desk.state.order(id).ts_expiry, id)));
        }
        let order = desk.state.order(id);
        if !order.status.is_terminal() {
            self.live[i].note(&order);
            self.keep_place(i, id, &before, &order);
            // Also one that was active at this instant already, because a fill has started it.
            if decided.is_as_new {
                self.activate(desk.plan, desk.state, id);
            }
        }
        Ok(())
    }

    pub(super) fn set_rules<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        (book, i): (BookId, usize),
        seen: usize,
    ) -> Result<()> {
        self.guards[guard_of(desk.plan, book, i)].set(desk, &mut self.live[i], (book, i), seen)?;
        self.live[i].sweep(desk.state);
        self.refresh_watch(desk.plan, desk.state, i);
        Ok(())
    }

    /// An order that the strategy took back; the order of a rule stays away.
    pub(super) fn waive<R>(&mut self, desk: &Desk<'_, R>, id: OrderId) {
        let request = desk.state.order(id).request;
        self.guards[guard_of(desk.plan, request.book, request.instrument.index())].waive(id);
    }
}
