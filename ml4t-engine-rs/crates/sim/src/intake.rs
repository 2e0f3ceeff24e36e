//! Phase 9: what a strategy asked for is checked, refused or accepted.

use std::sync::Arc;

use crate::account::{Worth, buying_power, reservation};
use crate::engine::{Simulator, last_price};
use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::money::{Cash, Price};
use crate::order::{OrderStatus, Reason, Side, TimeInForce};
use crate::policies::{InsufficientCash, TickRounding};
use crate::queue::Source;
use crate::recorder::Recorder;
use crate::state::Command;
use crate::time::NEVER;
use crate::venue::{Desk, Venue};

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Phase 9 alone: also for what a strategy asks for when the fills of the opens are delivered.
    ///
    /// # Errors
    /// As [`Simulator::begin`].
    pub fn intake(&mut self) -> Result<()> {
        self.arrived_cancels()?;
        if self.state.commands.is_empty() {
            return Ok(());
        }
        let commands = std::mem::take(&mut self.state.commands);
        let mut checked = Vec::new();
        for &command in &commands {
            match command {
                Command::Submit(id) => {
                    if self.check(id)? {
                        checked.push(id);
                    }
                }
                Command::Cancel(id) => {
                    // An order sent and taken back within one callback must be accepted before it can be canceled.
                    self.accept_all(&mut checked)?;
                    let arrives = self.state.now.saturating_add(self.plan.account.latency);
                    self.state.cancels.push((arrives, id));
                    if arrives > self.state.now {
                        self.state.due = self.state.due.min(arrives);
                    }
                    self.arrived_cancels()?;
                }
                Command::SetRules(book, rules) => {
                    self.state.rules[usize::from(book.0)] = rules;
                    let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
                    self.venue.apply_rules(&mut desk, book)?;
                }
            }
        }
        self.accept_all(&mut checked)
    }

    /// Cancels travel as long as orders do; those that are at the venue now take effect.
    fn arrived_cancels(&mut self) -> Result<()> {
        let arrived = self.state.cancels.iter().take_while(|c| c.0 <= self.state.now).count();
        let due: Vec<OrderId> = self.state.cancels.drain(..arrived).map(|c| c.1).collect();
        for id in due {
            let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
            self.venue.cancel(&mut desk, id)?;
        }
        Ok(())
    }

    /// Checks that concern one order alone; true when it passed.
    fn check(&mut self, id: OrderId) -> Result<bool> {
        let plan = Arc::clone(&self.plan);
        self.state.at = Some(self.state.order(id).request.instrument);
        self.state.fault_point(9);
        self.state.move_order(id, OrderStatus::Submitted, Reason::None, &mut self.recorder)?;
        if let Some(reason) = self.state.order(id).refusal {
            self.state.move_order(id, OrderStatus::Rejected, reason, &mut self.recorder)?;
            return Ok(false);
        }
        let instrument = plan.instrument(self.state.order(id).request.instrument);
        if plan.policies.tick_rounding == TickRounding::Passive {
            let request = &mut self.state.order_mut(id).request;
            let buys = request.side == Side::Buy;
            let snap = |p: Price, down: bool| if down { instrument.tick_floor(p) } else { instrument.tick_ceil(p) };
            request.limit_price = request.limit_price.map(|p| snap(p, buys));
            request.stop_price = request.stop_price.map(|p| snap(p, !buys));
        }
        let request = self.state.order(id).request;
        let scale = &instrument.scale;
        let prices = [("limit_price", request.limit_price), ("stop_price", request.stop_price)];
        let off_tick = prices.iter().find(|(_, p)| p.is_some_and(|p| !instrument.on_tick(p)));
        let not_positive =
            prices.iter().find(|(_, p)| p.is_some_and(|p| p.0 <= 0 && !instrument.allows_negative_prices));
        let at = |text: String| format!("{text} ({}, {})", instrument.symbol, crate::time::render(self.state.now));
        let value = |p: Option<Price>| p.map_or(f64::NAN, |p| scale.price_f64(p));
        let refusal = if self.state.now < plan.warm_from {
            Some((Reason::WarmUp, at(format!("orders are refused until {}", crate::time::render(plan.warm_from)))))
        } else if let Some((name, price)) = off_tick {
            let tick = scale.price_f64(Price(instrument.tick_size));
            Some((Reason::OffTick, at(format!("{name} {} is not a multiple of tick_size {tick}", value(*price)))))
        } else if let Some((name, price)) = not_positive {
            Some((Reason::PriceNotPositive, at(format!("{name} {} must be above zero", value(*price)))))
        } else if request.quantity % instrument.lot_size != 0 {
            let (quantity, lot) = (scale.quantity_f64(request.quantity), scale.quantity_f64(instrument.lot_size));
            Some((Reason::OffLot, at(format!("quantity {quantity} is not a multiple of lot_size {lot}"))))
        } else if instrument.matching.is_none() {
            Some((Reason::NoMarketData, at("no feed to match orders on".to_owned())))
        } else {
            None
        };
        match refusal {
            Some((reason, text)) => self.reject(id, reason, text).map(|()| false),
            None => Ok(true),
        }
    }

    fn reject(&mut self, id: OrderId, reason: Reason, text: String) -> Result<()> {
        self.state.reason_texts.push((id, text));
        self.state.move_order(id, OrderStatus::Rejected, reason, &mut self.recorder)
    }

    /// Accept what the account can carry. Orders that free buying power are counted first, whatever their place.
    fn accept_all(&mut self, checked: &mut Vec<OrderId>) -> Result<()> {
        let mut needs = Vec::with_capacity(checked.len());
        for &id in checked.iter() {
            let need = self.needed_power(id)?;
            if need < Cash::ZERO {
                self.reserve(id, need)?;
            }
            needs.push((id, need));
        }
        checked.clear();
        for (id, need) in needs {
            if let Some((reason, text)) = self.account_objects(id, need)? {
                self.reject(id, reason, text)?;
                continue;
            }
            if need > Cash::ZERO {
                self.reserve(id, need)?;
            }
            self.accept(id)?;
        }
        Ok(())
    }

    fn accept(&mut self, id: OrderId) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let now = self.state.now;
        // After the opens of T an order is one moment late for the bars that opened at T.
        let delay = plan.account.latency.max(i64::from(self.state.is_after_opens));
        let active = now.checked_add(delay).unwrap_or(NEVER);
        let order = self.state.order_mut(id);
        order.ts_active = active;
        if order.request.time_in_force == TimeInForce::Day {
            let calendar = &plan.calendars[plan.instrument(order.request.instrument).calendar.index()];
            order.ts_expiry = calendar.closing_after(active).map_or(NEVER, |k| calendar.close[k]);
        }
        self.state.move_order(id, OrderStatus::Accepted, Reason::None, &mut self.recorder)?;
        self.venue.submit(&plan, &self.state, id);
        Ok(())
    }

    fn reserve(&mut self, id: OrderId, amount: Cash) -> Result<()> {
        let order = self.state.order_mut(id);
        order.reserved = amount;
        let book = order.request.book;
        let book = self.state.book_mut(book);
        book.reserved = book.reserved.plus(amount, "buying power")?;
        Ok(())
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
        reservation(self.state.order(id), held, instrument, &self.plan.account).ok_or_else(|| {
            SimError::overflow(format!(
                "order {} for {} {}: price x quantity leaves the range of the ledger",
                id.0 + 1,
                instrument.scale.quantity_f64(request.quantity),
                instrument.symbol
            ))
        })
    }

    fn account_objects(&self, id: OrderId, need: Cash) -> Result<Option<(Reason, String)>> {
        let request = self.state.order(id).request;
        let instrument = self.plan.instrument(request.instrument);
        let book = self.state.book(request.book);
        let settings = &self.plan.account;
        let scale = &instrument.scale;
        if request.side == Side::Sell && !settings.allows_short {
            let held = book.positions[request.instrument.index()].quantity;
            // What is on its way in is added up only where it decides.
            if held < request.quantity
                && held.saturating_add(self.incoming(request.instrument.index(), id)) < request.quantity
            {
                let text = format!(
                    "sells {} {}, the account holds {} and may not sell short ({})",
                    scale.quantity_f64(request.quantity),
                    instrument.symbol,
                    scale.quantity_f64(held),
                    crate::time::render(self.state.now)
                );
                return Ok(Some((Reason::ShortNotAllowed, text)));
            }
        }
        if need <= Cash::ZERO || self.plan.policies.insufficient_cash != InsufficientCash::Reject {
            return Ok(None);
        }
        let worth = Worth::known(&self.plan, &self.state, book)?;
        let free = buying_power(book, settings, worth)?.minus(book.reserved, "buying power")?;
        if need <= free {
            return Ok(None);
        }
        let text = format!(
            "{} {} {} needs buying power of {}, {} is free ({})",
            request.side.as_str(),
            scale.quantity_f64(request.quantity),
            instrument.symbol,
            need.to_f64(),
            free.to_f64(),
            crate::time::render(self.state.now)
        );
        Ok(Some((Reason::InsufficientBuyingPower, text)))
    }

    /// Quantity that working buy orders of an instrument may still bring in.
    fn incoming(&self, i: usize, except: OrderId) -> i64 {
        let book = self.state.order(except).request.book;
        self.venue
            .working(i)
            .filter(|&id| id != except && self.state.order(id).request.book == book)
            .map(|id| self.state.order(id).signed_leaves().max(0))
            .fold(0, i64::saturating_add)
    }
}
