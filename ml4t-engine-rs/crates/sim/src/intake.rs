//! Phase 9: what a strategy asked for is checked, refused or accepted.

use crate::account::{lacks_power, reservation, short_text};
use crate::carry::lacks_a_lender;
use crate::engine::Simulator;
use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::latency::Message;
use crate::money::{Cash, Price};
use crate::named_lots::names_no_lot;
use crate::order::{OrderRequest, OrderStatus, Reason, Side, TimeInForce};
use crate::policies::{InsufficientCash, TickRounding};
use crate::prices::last_price;
use crate::queue::Source;
use crate::recorder::Recorder;
use crate::replace::Changes;
use crate::state::Command;
use crate::time::{NEVER, Ns, Sessions};
use crate::trailing;
use crate::venue::{Desk, Venue};

/// From when on an order that reaches the venue at `active` meets the market, and when it expires. Its session is the
/// first that closes, or opens, after `since`.
pub(crate) fn lifetime(request: &OrderRequest, active: Ns, since: Ns, sessions: &Sessions) -> (Ns, Ns) {
    let close_of = |session: Option<usize>| session.map_or(NEVER, |k| sessions.close[k]);
    match request.time_in_force {
        TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => (active, NEVER),
        TimeInForce::Day | TimeInForce::Cls => (active, close_of(sessions.closing_after(since))),
        TimeInForce::Gtd => (active, request.expires_at),
        TimeInForce::Opg => {
            let session = sessions.opening_from(since);
            // A print at the very opening is part of it.
            let opening = session.map_or(NEVER, |k| sessions.open[k] - 1);
            (active.max(opening), close_of(session))
        }
    }
}

/// Memory of intake, for the next one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    /// Orders that passed the checks of their own.
    checked: Vec<OrderId>,
    /// Orders and the buying power that they take or free.
    needs: Vec<(OrderId, Cash)>,
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Whether anything has been asked for, or arrives now.
    pub(crate) fn has_intake(&self) -> bool {
        let state = &self.state;
        !(state.commands.is_empty()
            && state.worked_now.is_empty()
            && state.requests.first().is_none_or(|request| request.0 > state.now)
            && state.exchange.due > state.now)
    }

    /// Phase 9 alone: also for what a strategy asks for when the fills of the opens are delivered.
    ///
    /// # Errors
    /// As [`Simulator::begin`].
    pub fn intake(&mut self) -> Result<()> {
        self.convert_asked(self.state.now)?;
        self.work_orders()?;
        self.arrived_requests()?;
        if self.state.commands.is_empty() {
            return Ok(());
        }
        let mut commands = std::mem::take(&mut self.state.commands);
        let mut checked = std::mem::take(&mut self.lists.checked);
        for command in commands.drain(..) {
            match command {
                Command::Submit(id) => {
                    if self.check(id)? {
                        checked.push(id);
                    }
                }
                Command::Cancel(id) => {
                    // An order sent and taken back within one callback must be accepted before it can be canceled.
                    self.accept_all(&mut checked)?;
                    self.request(id, None)?;
                }
                Command::Replace(id, changes) => {
                    self.accept_all(&mut checked)?;
                    self.request(id, Some(changes))?;
                }
                Command::SetRules(book, rules) => {
                    self.state.rules[usize::from(book.0)] = rules;
                    let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
                    self.venue.apply_rules(&mut desk, book)?;
                }
            }
        }
        self.accept_all(&mut checked)?;
        self.lists.checked = checked;
        if self.state.commands.is_empty() {
            self.state.commands = commands;
        }
        Ok(())
    }

    /// Refuse an order for the sake of its parent or group, or let it wait for its parent; tells whether it did.
    fn is_held_back(&mut self, id: OrderId) -> Result<bool> {
        if !self.state.order(id).is_linked {
            return Ok(false);
        }
        if let Some(reason) = self.state.link_refusal(id) {
            self.state.move_order(id, OrderStatus::Rejected, reason, &mut self.recorder)?;
            self.cascade()?;
            return Ok(true);
        }
        if self.state.parent_of(id).is_none() {
            return Ok(false);
        }
        self.state.links.waiting.insert(id);
        let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
        self.venue.join(&mut desk, id)?;
        Ok(true)
    }

    /// Send a cancel or a change on its way; it travels as long as an order does.
    fn request(&mut self, id: OrderId, changes: Option<Box<Changes>>) -> Result<()> {
        let now = self.state.now;
        let order = self.state.order_mut(id);
        let (reason, message) = match &changes {
            // One cancel is enough.
            None if order.status.is_terminal() || order.has_cancel => return Ok(()),
            None => {
                order.has_cancel = true;
                (Reason::CancelRequested, (Message::Cancel, 0))
            }
            Some(_) => {
                order.changes += 1;
                order.changes_sent += 1;
                (Reason::ReplaceRequested, (Message::Modify, order.changes_sent - 1))
            }
        };
        let travels = self.latencies.of(&self.plan, (id, order), message, now)?;
        // What was sent earlier about the same order arrives before it.
        let arrives = now.saturating_add(travels).max(order.ts_arrival);
        order.ts_arrival = arrives;
        if arrives > now {
            self.state.note(id, (reason, 0), &mut self.recorder);
            self.state.due = self.state.due.min(arrives);
        }
        let place = self.state.requests.partition_point(|request| request.0 <= arrives);
        self.state.requests.insert(place, (arrives, id, changes));
        self.arrived_requests()
    }

    /// Cancels and changes that are at the venue now take effect.
    fn arrived_requests(&mut self) -> Result<()> {
        if self.state.requests.first().is_none_or(|r| r.0 > self.state.now) {
            return Ok(());
        }
        let arrived = self.state.requests.iter().take_while(|r| r.0 <= self.state.now).count();
        let due: Vec<_> = self.state.requests.drain(..arrived).collect();
        for (_, id, changes) in due {
            let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
            match changes {
                None => self.venue.cancel(&mut desk, id)?,
                Some(changes) => self.venue.replace(&mut desk, id, changes)?,
            }
        }
        Ok(())
    }

    /// Checks that concern one order alone; true when it passed.
    fn check(&mut self, id: OrderId) -> Result<bool> {
        self.state.at = Some(self.state.order(id).request.instrument);
        self.state.fault_point(9);
        self.state.move_order(id, OrderStatus::Submitted, Reason::None, &mut self.recorder)?;
        if let Some(reason) = self.state.order(id).refusal {
            self.state.move_order(id, OrderStatus::Rejected, reason, &mut self.recorder)?;
            self.cascade()?;
            return Ok(false);
        }
        let plan = &*self.plan;
        let i = self.state.order(id).request.instrument.index();
        let instrument = &plan.instruments[i];
        let is_in_lots = self.state.order(id).request.quantity % instrument.lot_size == 0;
        // What is refused for its size, or comes too early or too late, keeps the prices it was sent with.
        let is_of_the_time = self.state.now >= plan.warm_from && self.state.delisted[i].is_none();
        if plan.policies.tick_rounding == TickRounding::Passive && is_in_lots && is_of_the_time {
            let request = &mut self.state.order_mut(id).request;
            let side = request.side;
            let is_stop = request.order_type.is_stop();
            request.limit_price = request.limit_price.map(|p| instrument.passive(p, side, false));
            request.stop_price = request.stop_price.map(|p| instrument.passive(p, side, is_stop));
            if let Some(trail) = &mut request.trail {
                trail.activation = trail.activation.map(|p| instrument.passive(p, side, false));
            }
        }
        let request = self.state.order(id).request;
        let scale = &instrument.scale;
        let activation = request.trail.and_then(|trail| trail.activation);
        let prices = [
            ("limit_price", request.limit_price),
            ("stop_price", request.stop_price),
            ("activation_price", activation),
        ];
        let off_tick = prices.iter().find(|(_, p)| p.is_some_and(|p| !instrument.on_tick(p)));
        let not_positive =
            prices.iter().find(|(_, p)| p.is_some_and(|p| p.0 <= 0 && !instrument.allows_negative_prices));
        let at = |text: String| format!("{text} ({}, {})", instrument.symbol, crate::time::render(self.state.now));
        let value = |p: Option<Price>| p.map_or(f64::NAN, |p| scale.price_f64(p));
        let refusal = if self.state.now < plan.warm_from {
            Some((Reason::WarmUp, at(format!("orders are refused until {}", crate::time::render(plan.warm_from)))))
        } else if let Some(ts) = self.state.delisted[i] {
            let reason = plan.reason_of_end(request.instrument);
            let what = if reason == Reason::ContractExpired { "expired" } else { "was delisted" };
            Some((reason, at(format!("{} {what} at {}", instrument.symbol, crate::time::render(ts)))))
        } else if !is_in_lots {
            let (quantity, lot) = (scale.quantity_f64(request.quantity), scale.quantity_f64(instrument.lot_size));
            Some((Reason::OffLot, at(format!("quantity {quantity} is not a multiple of lot_size {lot}"))))
        } else if let Some((name, price)) = not_positive {
            Some((Reason::PriceNotPositive, at(format!("{name} {} must be above zero", value(*price)))))
        } else if let Some((name, price)) = off_tick {
            let tick = scale.price_f64(Price(instrument.tick_size));
            Some((Reason::OffTick, at(format!("{name} {} is not a multiple of tick_size {tick}", value(*price)))))
        } else if instrument.matching.is_none() {
            Some((Reason::NoMarketData, at("no feed to match orders on".to_owned())))
        } else if request.expires_at <= self.state.now {
            let text =
                format!("expire_at {} is not after the present instant", crate::time::render(request.expires_at));
            Some((Reason::TimeExpired, at(text)))
        } else {
            None
        };
        if let Some((reason, text)) = refusal {
            self.reject(id, reason, text)?;
            self.cascade()?;
        }
        Ok(!self.state.has_ended(id))
    }

    /// What ended takes others with it.
    fn cascade(&mut self) -> Result<()> {
        if self.state.links.ended.is_empty() {
            return Ok(());
        }
        let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
        self.venue.cascade(&mut desk)
    }

    fn reject(&mut self, id: OrderId, reason: Reason, text: String) -> Result<()> {
        self.state.explain(id, text);
        self.state.move_order(id, OrderStatus::Rejected, reason, &mut self.recorder)
    }

    /// Accept what the account can carry. Orders that free buying power are counted first, whatever their place.
    fn accept_all(&mut self, checked: &mut Vec<OrderId>) -> Result<()> {
        if !self.state.margin.is_on() {
            return self.accept_each(checked);
        }
        // What orders set aside changes from one to the next, what is held does not.
        self.state.margin.let_stand(true);
        let accepted = self.accept_each(checked);
        self.state.margin.let_stand(false);
        accepted
    }

    fn accept_each(&mut self, checked: &mut Vec<OrderId>) -> Result<()> {
        let mut needs = std::mem::take(&mut self.lists.needs);
        for &id in checked.iter() {
            let waits = self.state.order(id).is_linked && self.state.parent_of(id).is_some();
            let need = if waits { Cash::ZERO } else { self.needed_power(id)? };
            if need < Cash::ZERO {
                self.reserve(id, need)?;
            }
            needs.push((id, need));
        }
        checked.clear();
        for (id, need) in needs.drain(..) {
            if self.is_held_back(id)? {
                continue;
            }
            if let Some((reason, text)) = self.account_objects(id, need)? {
                self.reject(id, reason, text)?;
                self.cascade()?;
                continue;
            }
            if need > Cash::ZERO {
                self.reserve(id, need)?;
            }
            self.accept(id)?;
        }
        self.lists.needs = needs;
        Ok(())
    }

    fn accept(&mut self, id: OrderId) -> Result<()> {
        let plan = &*self.plan;
        let now = self.state.now;
        // After the opens of T an order is one moment late for the bars that opened at T.
        let request = self.state.order(id).request;
        let instrument = plan.instrument(request.instrument);
        let travels = self.latencies.of(plan, (id, &self.state.order(id)), (Message::Submit, 0), now)?;
        let arrival = now.saturating_add(travels);
        let active = now.saturating_add(travels.max(i64::from(self.state.is_after_opens)));
        let water = match request.trail {
            Some(trail) if trail.activation.is_none() => last_price(plan, &self.state, request.instrument.index()),
            _ => None,
        };
        let calendar = &plan.calendars[instrument.calendar.index()];
        let (active, expiry) = lifetime(&request, active, active, calendar);
        let order = self.state.order_mut(id);
        order.ts_arrival = arrival;
        order.ts_active = active;
        order.ts_expiry = expiry;
        order.water_mark = water;
        if trailing::place(order, instrument).is_none() {
            return Err(SimError::overflow(format!(
                "{}: the level of a trailing stop leaves its range",
                instrument.symbol
            )));
        }
        self.state.move_order(id, OrderStatus::Accepted, Reason::None, &mut self.recorder)?;
        self.venue.submit(plan, &self.state, id);
        self.venue.activate(plan, &self.state, id);
        Ok(())
    }

    fn reserve(&mut self, id: OrderId, amount: Cash) -> Result<()> {
        let order = self.state.order_mut(id);
        order.reserved = amount;
        let whose = (order.request.book, order.request.instrument);
        self.state.set_aside(whose, amount)
    }

    /// Buying power that an order will take (positive) or free (negative), at its own or the last known price.
    fn needed_power(&mut self, id: OrderId) -> Result<Cash> {
        let request = self.state.order(id).request;
        let i = request.instrument.index();
        let own = request.limit_price.or(request.stop_price);
        let expected = own.or_else(|| last_price(&self.plan, &self.state, i));
        self.state.order_mut(id).expected_price = expected;
        let instrument = self.plan.instrument(request.instrument);
        let held = self.state.book(request.book).positions[i].quantity;
        reservation(&self.plan, &self.state, &self.state.order(id), held)?.ok_or_else(|| {
            SimError::overflow(format!(
                "order {} for {} {}: price x quantity leaves the range of the ledger",
                id.0 + 1,
                instrument.scale.quantity_f64(request.quantity),
                instrument.symbol
            ))
        })
    }

    fn account_objects(&mut self, id: OrderId, need: Cash) -> Result<Option<(Reason, String)>> {
        if let Some(text) = self.lacks_a_lender(id) {
            return Ok(Some((Reason::NotAvailableToBorrow, text)));
        }
        if let Some(text) = names_no_lot(&self.plan, &self.state, id) {
            return Ok(Some((Reason::NoSuchLot, text)));
        }
        let request = self.state.order(id).request;
        let instrument = self.plan.instrument(request.instrument);
        let book = self.state.book(request.book);
        let settings = &self.plan.account;
        let scale = &instrument.scale;
        if request.side == Side::Sell && !settings.allows_short && !request.instructions.reduce_only {
            let held = book.positions[request.instrument.index()].quantity;
            // What is on its way in is added up only where it decides.
            if held < request.quantity
                && held.saturating_add(self.incoming(request.instrument.index(), id)) < request.quantity
            {
                let text = short_text(instrument, request.quantity, held, self.state.now);
                return Ok(Some((Reason::ShortNotAllowed, text)));
            }
        }
        if need <= Cash::ZERO || self.plan.policies.insufficient_cash != InsufficientCash::Reject {
            return Ok(None);
        }
        let about = (instrument, need);
        let Some(lack) = lacks_power(&self.plan, &self.state, book, about)? else { return Ok(None) };
        let (need, free) = lack.shown(&self.plan);
        let text = format!(
            "{} {} {} needs buying power of {need}, {free} ({})",
            request.side.as_str(),
            scale.quantity_f64(request.quantity),
            instrument.symbol,
            crate::time::render(self.state.now)
        );
        Ok(Some((Reason::InsufficientBuyingPower, text)))
    }

    /// Why nobody lends what an order would sell short.
    fn lacks_a_lender(&mut self, id: OrderId) -> Option<String> {
        let order = *self.state.order(id);
        if self.plan.rates.borrow.is_empty() {
            return None;
        }
        let working = self.venue.working(&self.state, order.request.instrument.index());
        let others: Vec<OrderId> = working.filter(|&other| other != id).collect();
        lacks_a_lender(&self.plan, &mut self.state, &order, others)
    }

    /// Quantity that working buy orders of an instrument may still bring in.
    fn incoming(&self, i: usize, except: OrderId) -> i64 {
        let book = self.state.order(except).request.book;
        self.venue
            .working(&self.state, i)
            .filter(|&id| id != except && self.state.order(id).request.book == book)
            .map(|id| self.state.order(id).signed_leaves().max(0))
            .fold(0, i64::saturating_add)
    }
}
