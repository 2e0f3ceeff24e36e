//! What orders and rules do when shares pay something out, or come from another instrument.

use crate::error::{Result, SimError};
use crate::guard::Cause;
use crate::ids::{BookId, FeedId};
use crate::instrument::Instrument;
use crate::money::{CASH_EXPONENT, Cash, Price, Ratio};
use crate::order::{Order, OrderType, Side};
use crate::recorder::Recorder;

use super::{Desk, SimulatedVenue, Venue, guard_of, index_u32};

/// Whether an order waits below the market for its price.
const fn waits_below(order: &Order) -> bool {
    match (order.request.side, order.request.order_type) {
        (Side::Buy, OrderType::Limit | OrderType::MarketIfTouched | OrderType::LimitIfTouched) => true,
        (Side::Sell, kind) => matches!(kind, OrderType::Stop | OrderType::StopLimit),
        _ => false,
    }
}

/// A price less an amount, on the tick below; as it was where nothing would be left.
fn lowered(instrument: &Instrument, price: Price, amount: Cash) -> Option<Price> {
    let unit = 10_i128.pow(CASH_EXPONENT - instrument.scale.price_exponent);
    let exact = i128::from(price.0).checked_mul(unit)?.checked_sub(amount.0)?;
    let ticks = exact.div_euclid(unit.checked_mul(instrument.tick_size.into())?);
    if ticks <= 0 {
        return Some(price);
    }
    i64::try_from(ticks.checked_mul(instrument.tick_size.into())?).ok().map(Price)
}

impl SimulatedVenue {
    /// Lower the orders that ask for it.
    pub(super) fn lower_orders<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, i: usize, amount: Cash) -> Result<()> {
        let instrument = &desk.plan.instruments[i];
        let range = || SimError::overflow(format!("{}: a dividend takes an order out of range", instrument.symbol));
        let mut has_any = false;
        for id in self.open_orders_of(desk.state, i) {
            let found: Order = *desk.state.order(id);
            let follows = found.request.instructions.adjust_for_dividend && waits_below(&found);
            if !follows || found.status.is_terminal() {
                continue;
            }
            has_any = true;
            let order = desk.state.order_mut(id);
            for price in [&mut order.request.limit_price, &mut order.request.stop_price].into_iter().flatten() {
                *price = lowered(instrument, *price, amount).ok_or_else(range)?;
            }
            if let Some(expected) = &mut order.expected_price {
                let less = instrument.scale.less(*expected, amount).ok_or_else(range)?;
                *expected = if less > Price(0) { less } else { *expected };
            }
            self.live[i].note(order);
            let after = *order;
            self.keep_place(i, id, &found, &after);
            Self::reserve_one(desk, id, i)?;
        }
        if has_any {
            self.refresh_watch(desk.plan, desk.state, i);
        }
        Ok(())
    }

    /// Levels of rules follow a price that has changed without a trade.
    pub(super) fn scale_rules<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, i: usize, ratio: Ratio) -> Result<()> {
        let seen = rows_seen(desk, i);
        for book in (0..desk.plan.books).map(BookId) {
            let guard = &mut self.guards[guard_of(desk.plan, book, i)];
            guard.split(desk.plan, i, seen, ratio)?;
            if !guard.is_idle() {
                guard.sync(desk, &mut self.live[i], (book, i), Cause::Repriced)?;
            }
        }
        self.live[i].sweep(desk.state);
        self.refresh_watch(desk.plan, desk.state, i);
        self.cascade(desk)
    }

    /// Guard positions that have changed without a fill.
    pub(super) fn guard_received<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, i: usize) -> Result<()> {
        let seen = rows_seen(desk, i);
        for book in (0..desk.plan.books).map(BookId) {
            let side = desk.state.book(book).positions[i].quantity.signum();
            let guard = &mut self.guards[guard_of(desk.plan, book, i)];
            if guard.side() != side {
                guard.turn(side, index_u32(seen));
            }
            if !guard.is_idle() {
                guard.sync(desk, &mut self.live[i], (book, i), Cause::Rules)?;
            }
            self.reserve_again(desk, book, i)?;
        }
        desk.state.hold_mark(desk.plan, i);
        self.live[i].sweep(desk.state);
        self.refresh_watch(desk.plan, desk.state, i);
        self.cascade(desk)
    }
}

/// How many rows of an instrument are past.
pub(super) fn rows_seen<R>(desk: &Desk<'_, R>, i: usize) -> usize {
    let feed = desk.plan.instruments[i].matching.map(FeedId::index);
    feed.map_or(0, |feed| desk.state.completed[feed][i] as usize)
}
