//! Orders of the engine that close what there is no margin for.

use ml4t_abi::Phase;

use super::late::Late;
use super::pass::Candidate;
use super::{HELD, SimulatedVenue, guard_of};
use crate::error::Result;
use crate::guard::from_now_on;
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::liquidation_price::{AtPrice, Level};
use crate::margin::About;
use crate::margin_call::{CallKind, CallStatus};
use crate::matching::Reach;
use crate::money::Price;
use crate::order::{Order, OrderRequest, OrderStatus, Reason, Side};
use crate::phase::PhaseMarket;
use crate::recorder::{MarginCallRow, Recorder};
use crate::rules::RuleKind;
use crate::terms::Instructions;
use crate::time::Ns;
use crate::venue::{Desk, Venue};

impl SimulatedVenue {
    /// Cancel those of some orders, given by id, that are of a book and of the strategy, or of one of those position rules.
    pub(super) fn clear<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        book: BookId,
        (mut ids, rules, reason): (Vec<OrderId>, &[RuleKind], Reason),
    ) -> Result<()> {
        ids.retain(|&id| {
            let order = desk.state.order(id);
            order.request.book == book && order.rule.is_none_or(|rule| rules.contains(&rule))
        });
        for id in ids {
            if desk.state.has_ended(id) {
                // One before it has taken it along.
                continue;
            }
            if self.waits_for_booking(desk, id)? {
                let end = Late::End(OrderStatus::Canceled, reason);
                self.late.entry(id).or_default().push(end);
                continue;
            }
            self.end(desk, id, reason)?;
            self.waive(desk, id);
        }
        Ok(())
    }

    /// Cancel an order, and what ends with it.
    pub(super) fn end<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId, reason: Reason) -> Result<()> {
        let i = desk.state.order(id).request.instrument.index();
        desk.state.move_order(id, OrderStatus::Canceled, reason, desk.recorder)?;
        self.remove(desk.plan, desk.state, i);
        self.cascade(desk)
    }

    /// Take back what an earlier roll has still to open of a contract; how many units that is. What an open has decided and
    /// a bar has yet to book stays.
    pub(super) fn take_back_rolls<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        (book, id): (BookId, InstrumentId),
    ) -> Result<i64> {
        let mut units: i64 = 0;
        for id in self.open_orders_of(desk.state, id.index()) {
            let order = desk.state.order(id);
            let opens = order.rule == Some(RuleKind::Roll) && !order.request.instructions.reduce_only;
            if order.request.book != book || !opens || self.waits_for_booking(desk, id)? {
                continue;
            }
            units = units.saturating_add(order.signed_leaves());
            self.end(desk, id, Reason::Rolled)?;
        }
        Ok(units)
    }

    /// Send a market order of the broker for so many units, signed as the order.
    pub(super) fn send_for_broker<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        (book, id): (BookId, InstrumentId),
        (units, rule): (i64, RuleKind),
        instructions: Instructions,
    ) -> Result<OrderId> {
        let side = if units > 0 { Side::Buy } else { Side::Sell };
        let request = OrderRequest { book, instructions, ..OrderRequest::market(id, side, units.abs()) };
        let mut order = Order::new(request, desk.state.now);
        order.rule = Some(rule);
        order.ts_active = from_now_on(desk);
        let id = desk.state.orders.push(order)?;
        desk.state.move_order(id, OrderStatus::Submitted, Reason::None, desk.recorder)?;
        desk.state.move_order(id, OrderStatus::Accepted, Reason::None, desk.recorder)?;
        self.submit(desk.plan, desk.state, id);
        self.activate(desk.plan, desk.state, id);
        Ok(id)
    }

    /// Let an order meet a settlement price, with the last complete row for the models.
    pub(super) fn fill_at_settlement<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        (id, price): (OrderId, Price),
    ) -> Result<()> {
        let i = desk.state.order(id).request.instrument.index();
        let row =
            desk.plan.instruments[i].matching.and_then(|feed| desk.state.completed_row(desk.plan, feed.index(), i));
        let Some(row) = row else { return Ok(()) };
        self.pass += 1;
        let candidate = Candidate { key: (0, 0, id), precedence: 0, reach: Reach::market(price) };
        self.turn(desk, i, row, PhaseMarket::SESSION_CLOSE, candidate)?;
        self.cascade(desk)?;
        self.live[i].sweep(desk.state);
        self.refresh_watch(desk.plan, desk.state, i);
        Ok(())
    }

    /// Before rows meet orders: let the exchange close what their worst prices take the margin of.
    pub(super) fn liquidate_in<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        set: &[(u32, u32)],
        phase: Phase,
    ) -> Result<()> {
        let Some(terms) = desk.plan.margin.at_price else { return Ok(()) };
        for &(i, row) in set {
            if self.watch[i as usize] & HELD == 0 {
                continue;
            }
            let market = PhaseMarket::read(desk.plan, i as usize, row as usize, phase)?;
            for book in (0..desk.plan.books).map(BookId) {
                let held = desk.state.book(book).positions[i as usize].quantity;
                let worst = market.worst(if held > 0 { Side::Sell } else { Side::Buy });
                if let Some(worst) = worst.filter(|_| held != 0 && market.has_traded) {
                    self.test_price(desk, terms, (book, InstrumentId(i)), (worst, Ns::MIN))?;
                }
            }
        }
        Ok(())
    }

    /// Let the exchange close what the marks have taken the margin of: at the next price.
    pub(super) fn liquidate_at_marks<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        let Some(terms) = desk.plan.margin.at_price else { return Ok(()) };
        for book in (0..desk.plan.books).map(BookId) {
            let held: Vec<(InstrumentId, Option<Price>)> =
                desk.state.book(book).holdings().map(|(id, position)| (id, position.mark)).collect();
            for (id, mark) in held {
                if let Some(mark) = mark {
                    // A bar that has just opened has its range before it.
                    let since = desk.state.now;
                    self.test_price(desk, terms, (book, id), (mark, since))?;
                }
            }
        }
        Ok(())
    }

    /// Let the exchange close a position where it loses its margin on the way to a price, from a time on.
    fn test_price<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        terms: AtPrice,
        (book, id): (BookId, InstrumentId),
        (price, since): (Price, Ns),
    ) -> Result<()> {
        let i = id.index();
        if self.guards[guard_of(desk.plan, book, i)].has_begun_liquidation(desk.state) {
            return Ok(());
        }
        let level = desk.state.margin.liquidation(&About::of(desk.plan, desk.state, book), terms, id, price)?;
        let g = guard_of(desk.plan, book, i);
        self.guards[g].liquidate(desk, &mut self.live[i], (book, i), (level, since))?;
        self.refresh_watch(desk.plan, desk.state, i);
        Ok(())
    }

    /// An order has filled: write down what was left where it is the exchange that has closed the position.
    pub(super) fn tell_liquidation<R: Recorder>(&self, desk: &mut Desk<'_, R>, id: OrderId, filled: i64) -> Result<()> {
        let order = desk.state.order(id);
        let (book, instrument) = (order.request.book, order.request.instrument);
        let is_first = order.rule == Some(RuleKind::Liquidation) && order.filled == filled;
        let level = self.guards[guard_of(desk.plan, book, instrument.index())].liquidation();
        let Some(Level { left, needed, .. }) = level.filter(|_| is_first) else { return Ok(()) };
        let row = MarginCallRow {
            ts: desk.state.now,
            book,
            kind: CallKind::LiquidationPrice,
            status: CallStatus::Liquidation,
            equity: left,
            requirement: needed,
            amount: needed.minus(left, "margin")?,
            deadline: None,
        };
        desk.state.record_call(row, desk.recorder);
        Ok(())
    }
}
