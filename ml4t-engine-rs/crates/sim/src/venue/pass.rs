//! One phase of some rows: who may fill, in which sequence, and what comes of each turn.

use std::cmp::Reverse;

use ml4t_abi::{Liquidity, Phase};

use crate::error::Result;
use crate::execution::{Execution, Market};
use crate::guard::Cause;
use crate::ids::{InstrumentId, OrderId};
use crate::matching::{Outcome, Reach};
use crate::order::{OrderStatus, Reason, Side, TimeInForce};
use crate::path::Stand;
use crate::phase::{PhaseMarket, precedence};
use crate::policies::FillOrder;
use crate::recorder::Recorder;
use crate::trailing;

use super::{Averages, Desk, SimulatedVenue, Venue, guard_of, index_u32, is_close, place_of};

/// An order that may execute, and its place among those of its instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) key: (u8, u64, OrderId),
    /// Its place among instruments: precedence, then submission.
    pub(super) precedence: u8,
    pub(super) reach: Reach,
}

impl Candidate {
    pub(super) const fn id(&self) -> OrderId {
        self.key.2
    }
}

/// Whether a phase is for an order: a quote that stands is for those of `activating` alone.
pub(super) fn is_due(activating: &[OrderId], id: OrderId, phase: Phase) -> bool {
    phase != PhaseMarket::STANDING || activating.binary_search(&id).is_ok()
}

/// Where the quantity taken from a row is counted: bid and ask of a quote are two, a bar has one for both sides, and a
/// print beside quotes has its own.
fn slot_of<R>(desk: &Desk<'_, R>, i: usize, id: OrderId, phase: Phase) -> usize {
    if desk.plan.instruments[i].is_print(phase) {
        return 2;
    }
    usize::from(PhaseMarket::is_of_quotes(desk.plan, i) && desk.state.order(id).request.side == Side::Sell)
}

/// The first row of its matching feed that a position entered at this event has still to see.
fn seen_from<R>(desk: &Desk<'_, R>, i: usize, row: usize, phase: Phase) -> usize {
    let instrument = &desk.plan.instruments[i];
    match instrument.matching.filter(|_| instrument.is_print(phase)) {
        Some(quotes) => desk.state.completed[quotes.index()][i] as usize,
        // What is entered at a close, or at a quote that stood, has not seen the rest of its row.
        None => {
            place_of(desk.plan, desk.state, i, row) + usize::from(is_close(phase) || phase == PhaseMarket::STANDING)
        }
    }
}

impl SimulatedVenue {
    /// Let every instrument of `set` trade in one phase, in the sequence of the rules.
    pub(super) fn match_set<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        set: &[(u32, u32)],
        phase: Phase,
    ) -> Result<()> {
        self.pass += 1;
        self.heads.clear();
        for &(i, row) in set {
            self.line_up(desk, i as usize, row as usize, phase)?;
            self.show_head(i, row);
        }
        while let Some(Reverse((_, _, i, row))) = self.heads.pop() {
            // Nothing of another instrument can change this one's queue, so the head is still the head.
            if let Some(candidate) = self.queue[i as usize].pop()
                && self.turn(desk, i as usize, row as usize, phase, candidate)?
            {
                self.line_up(desk, i as usize, row as usize, phase)?;
            }
            self.show_head(i, row);
        }
        self.end_immediate(desk, set, phase)?;
        self.cascade(desk)?;
        for &(i, _) in set {
            self.live[i as usize].sweep(desk.state);
            self.refresh_watch(desk.plan, desk.state, i as usize);
        }
        Ok(())
    }

    /// Orders that had their only event in this phase and did not fill end, in the sequence of submission.
    pub(super) fn end_immediate<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        set: &[(u32, u32)],
        phase: Phase,
    ) -> Result<()> {
        let mut over = Vec::new();
        for &(i, row) in set.iter().filter(|&&(i, _)| self.live[i as usize].has_immediate()) {
            let market = PhaseMarket::read(desk.plan, i as usize, row as usize, phase)?;
            over.extend(self.live[i as usize].ids().filter(|&id| {
                let order = desk.state.order(id);
                order.request.time_in_force.is_immediate()
                    && !order.status.is_terminal()
                    && !self.over.contains(&id)
                    && market.is_eligible(order.ts_active)
                    && market.was_its_only_event(&order, desk.plan.policies)
                    && is_due(&self.activating, id, phase)
            }));
        }
        if matches!(phase, Phase::QUOTE | Phase::TRADE) {
            // The other quotes and prints of this instant come first.
            self.over.extend(over);
            return Ok(());
        }
        over.sort();
        self.end_all_unfilled(desk, &over)
    }

    /// End orders whose only events are over; what follows from the end of one follows before the next.
    pub(super) fn end_all_unfilled<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, ids: &[OrderId]) -> Result<()> {
        for &id in ids {
            if !desk.state.has_ended(id) {
                self.end_unfilled(desk, id)?;
                self.cascade(desk)?;
            }
        }
        Ok(())
    }

    /// End an order whose only event is over.
    pub(super) fn end_unfilled<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId) -> Result<()> {
        let request = desk.state.order(id).request;
        let (status, reason) = match request.time_in_force {
            TimeInForce::Opg => (OrderStatus::Expired, Reason::NotFilledAtOpen),
            _ => (OrderStatus::Canceled, Reason::NotFilledAtOnce),
        };
        desk.state.move_order(id, status, reason, desk.recorder)?;
        self.live[request.instrument.index()].note_end();
        Ok(())
    }

    /// Put the first order of an instrument among those of the others.
    pub(super) fn show_head(&mut self, i: u32, row: u32) {
        if let Some(candidate) = self.queue[i as usize].last() {
            self.heads.push(Reverse((candidate.precedence, candidate.id(), i, row)));
        }
    }

    /// The orders of an instrument that may execute in this phase and had no turn yet, in their sequence.
    pub(super) fn line_up<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        i: usize,
        row: usize,
        phase: Phase,
    ) -> Result<()> {
        self.queue[i].clear();
        if self.live[i].is_empty() {
            return Ok(());
        }
        let market = PhaseMarket::read(desk.plan, i, row, phase)?;
        for live in self.live[i].iter_mut() {
            let order = desk.state.order(live.id);
            let is_out =
                (!self.over.is_empty() && self.over.contains(&live.id)) || !is_due(&self.activating, live.id, phase);
            if is_out || live.pass == self.pass || order.status.is_terminal() || !market.is_eligible(order.ts_active) {
                continue;
            }
            let is_from_inside = market.is_from_inside(order.ts_active);
            if order.request.trail.is_some() && order.water_mark.is_none() && !is_from_inside {
                trailing::begin(desk.state.order_mut(live.id), &market, &desk.plan.instruments[i])?;
            }
            let order = desk.state.order(live.id);
            match market.outcome(&order, desk.plan) {
                Outcome::Executes(reach) => {
                    let position = &desk.state.book(order.request.book).positions[i];
                    let key = market.key(&order, reach, (live.id, &desk.plan.policies), position);
                    let precedence = precedence(&order, position, &desk.plan.policies);
                    self.queue[i].push(Candidate { key, precedence, reach });
                }
                outcome => {
                    if outcome == Outcome::Triggers {
                        live.pass = self.pass;
                    }
                    market.leave(desk.state.order_mut(live.id), outcome);
                }
            }
        }
        self.queue[i].sort_unstable_by_key(|candidate| Reverse(candidate.key));
        Ok(())
    }

    /// One order's turn at one event; tells whether the queue behind it has to be lined up anew.
    pub(super) fn turn<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        i: usize,
        row: usize,
        phase: Phase,
        candidate: Candidate,
    ) -> Result<bool> {
        let id = candidate.id();
        if desk.state.has_ended(id) {
            // Its group ended it after it was lined up.
            return Ok(false);
        }
        desk.state.at = Some(InstrumentId(index_u32(i)));
        desk.state.fault_point(if phase == Phase::OPEN { 10 } else { 1 });
        self.live[i].has_turn(id, self.pass);
        if candidate.reach.triggers {
            desk.state.order_mut(id).is_triggered = true;
        }
        let slot = slot_of(desk, i, id, phase);
        let key = row as u64 + 1;
        if self.used[i][slot].0 != key {
            self.used[i][slot] = (key, 0);
        }
        let is_print = desk.plan.instruments[i].is_print(phase);
        let most = if is_print { self.share_of_print(desk, id, row, self.used[i][slot].1) } else { i64::MAX };
        if most <= 0 {
            // All of the print went to those ahead.
            return Ok(false);
        }
        if !self.may_act(desk, id, candidate.reach)? {
            self.cascade(desk)?;
            return Ok(false);
        }
        let market = Market { instrument: i, row, phase, shows_bar: phase != Phase::OPEN || self.is_deferred[i] };
        let mut averages = [Averages::UNKNOWN; 3];
        if let Some(met) = desk.plan.instruments[i].met_in(phase).map(|feed| desk.plan.feed(feed)) {
            for (kind, days) in self.average_days.into_iter().enumerate().filter(|&(_, days)| days > 0) {
                averages[kind] = self.sessions[kind][i].enter(desk.plan, desk.state, (i, met, row), days);
            }
        }
        let volume_used = self.used[i][slot].1;
        let queue_ahead = self.ahead_of(i, &desk.state.order(id), id);
        let execution = Execution { id, reach: candidate.reach, market, volume_used, most, averages, queue_ahead };
        let taken = execution.run(desk, &mut self.models)?;
        let filled = taken.filled;
        // What no volume can hold caps nothing more.
        self.used[i][slot].1 = self.used[i][slot].1.saturating_add(filled);
        if let Some(sessions) = self.sessions[0].get_mut(i) {
            sessions.take(filled);
        }
        let order = desk.state.order_mut(id);
        if taken.must_wait && order.acts_as_limit() {
            order.has_rested = true;
        }
        let (request, is_over) = (order.request, order.status.is_terminal());
        let has_one_event = request.time_in_force.is_immediate();
        if is_over {
            self.live[i].note_end();
        } else if request.instructions.reduce_only && filled > 0 {
            self.end_if_nothing_to_reduce(desk, id)?;
        }
        if filled == 0 {
            if has_one_event && !is_over {
                self.end_unfilled(desk, id)?;
            }
            self.cascade(desk)?;
            return Ok(false);
        }
        self.after_fill(desk, (i, row, phase), candidate, filled)
    }

    /// Bring everything in line with a fill: rules, reservations, linked orders; tells whether to line up anew.
    fn after_fill<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        (i, row, phase): (usize, usize, Phase),
        candidate: Candidate,
        filled: i64,
    ) -> Result<bool> {
        let id = candidate.id();
        let request = desk.state.order(id).request;
        let book = request.book;
        let after = desk.state.book(book).positions[i].quantity;
        let before = after - request.side.sign() * filled;
        let turned = before.signum() != after.signum();
        let g = guard_of(desk.plan, book, i);
        if desk.plan.margin.at_price.is_some() {
            self.tell_liquidation(desk, id, filled)?;
        }
        if turned {
            let seen_from = seen_from(desk, i, row, phase);
            self.guards[g].turn(after.signum(), index_u32(seen_from));
        }
        let guarded = !self.guards[g].is_idle();
        let is_linked = desk.state.order(id).is_linked;
        if guarded || is_linked {
            let ts_open = PhaseMarket::read(desk.plan, i, row, phase)?.ts_open;
            let stand = Stand { at: candidate.reach.at, place: candidate.reach.place };
            let cause = Cause::Fill { phase, ts_open, stand };
            if guarded {
                self.guards[g].sync(desk, &mut self.live[i], (book, i), cause)?;
            }
            if is_linked {
                self.affect_linked(desk, id, filled, cause)?;
            }
        }
        // What an order sets aside changes with the position where it closes more than there is.
        if guarded || turned || self.live[i].may_exceed(before) || self.live[i].may_exceed(after) {
            self.reserve_again(desk, book, i)?;
        } else {
            Self::reserve_one(desk, id, i)?;
        }
        if request.time_in_force.is_immediate() && !desk.state.has_ended(id) {
            self.end_unfilled(desk, id)?;
        }
        self.cascade(desk)?;
        // Inside a bar, and where exits come first, the place of an order depends on the position.
        let depends = phase == Phase::RANGE || desk.plan.policies.fill_order == FillOrder::ExitsFirst;
        Ok(guarded || is_linked || (turned && depends))
    }

    /// Whether an order's own instructions let it act on what it has reached.
    pub(super) fn may_act<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId, reach: Reach) -> Result<bool> {
        let order = desk.state.order(id);
        let instructions = order.request.instructions;
        if instructions.post_only && reach.liquidity == Liquidity::TAKER {
            let i = order.request.instrument.index();
            let status = if order.filled > 0 { OrderStatus::Canceled } else { OrderStatus::Rejected };
            desk.state.move_order(id, status, Reason::PostOnlyWouldTake, desk.recorder)?;
            self.live[i].note_end();
            return Ok(false);
        }
        Ok(!instructions.reduce_only || !self.end_if_nothing_to_reduce(desk, id)?)
    }

    /// End an order that may only reduce a position where none is left for it; tells whether it did.
    pub(super) fn end_if_nothing_to_reduce<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        id: OrderId,
    ) -> Result<bool> {
        let order = desk.state.order(id);
        if order.wanted(desk.state.book(order.request.book).positions[order.request.instrument.index()].quantity) > 0 {
            return Ok(false);
        }
        let i = order.request.instrument.index();
        let status = if order.filled > 0 { OrderStatus::Canceled } else { OrderStatus::Rejected };
        desk.state.move_order(id, status, Reason::NothingToReduce, desk.recorder)?;
        self.live[i].note_end();
        Ok(true)
    }
}
