//! The price at which an exchange closes a position: where what is left does not exceed what is needed to hold it.

use crate::error::Result;
use crate::ids::InstrumentId;
use crate::margin::{About, Margin, WHAT};
use crate::marks::value_out_of_range;
use crate::money::{Cash, Price, Qty};

/// How an exchange closes positions.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtPrice {
    /// Whether each position has a margin of its own, what was needed to open it; else all of the account stands for it.
    pub is_isolated: bool,
    /// What the exchange takes of the value that it closes.
    pub fee: f64,
}

/// A liquidation: at which price, what is left there, and what is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub price: Price,
    pub left: Cash,
    pub needed: Cash,
}

impl Level {
    const fn is_reached(&self) -> bool {
        self.left.0 <= self.needed.0
    }
}

impl Margin {
    /// What is left of a position, and what is needed to hold it, at a price; others are at their marks.
    fn at_price(&self, about: &About<'_>, terms: AtPrice, id: InstrumentId, price: Price) -> Result<Level> {
        let instrument = about.plan.instrument(id);
        let position = &about.book.positions[id.index()];
        let value = instrument.scale.notional(price, Qty(position.quantity));
        let value = value.ok_or_else(|| value_out_of_range(&instrument.symbol))?;
        let gained = |since: Cash| about.quotes.to_base(instrument.currency, value.minus(since, WHAT)?);
        let (left, needed) = if terms.is_isolated {
            let average = instrument.scale.average_price(position.cost, Qty(position.quantity));
            let own = self.alone_at(about, id, position.quantity, average)?.initial;
            let needed = self.alone(about, id, position.quantity, price)?;
            (own.plus(gained(position.carried_at())?, WHAT)?, needed)
        } else {
            let equity = about.book.equity(about.quotes)?;
            (equity.plus(gained(position.value)?, WHAT)?, self.with(about, id, position.quantity, price)?)
        };
        Ok(Level { price, left, needed: needed.maintenance })
    }

    /// Where a position is closed on the way from its mark to a price; `None` where that is not reached.
    ///
    /// What is left falls on that way, and less of it is needed only as far: the first tick is found by halving.
    pub(crate) fn liquidation(
        &self,
        about: &About<'_>,
        terms: AtPrice,
        id: InstrumentId,
        to: Price,
    ) -> Result<Option<Level>> {
        let instrument = about.plan.instrument(id);
        let position = &about.book.positions[id.index()];
        let Some(mark) = position.mark.filter(|_| position.quantity != 0) else { return Ok(None) };
        let is_long = position.quantity > 0;
        let on_tick = |price: Price| if is_long { instrument.tick_floor(price) } else { instrument.tick_ceil(price) };
        let found = |price: Price| self.at_price(about, terms, id, price);
        if found(mark)?.is_reached() {
            return found(on_tick(mark)).map(Some);
        }
        let is_on_the_way = if is_long { to < mark } else { to > mark };
        if !is_on_the_way || !found(to)?.is_reached() {
            return Ok(None);
        }
        let tick = instrument.tick_size;
        let beyond = if is_long { instrument.tick_ceil(mark) } else { instrument.tick_floor(mark) };
        let (mut reached, mut not_reached) = (on_tick(to), beyond);
        let mut level = found(reached)?;
        while reached.0.abs_diff(not_reached.0) > tick.unsigned_abs() {
            let ticks = i64::midpoint(reached.0 / tick, not_reached.0 / tick);
            let middle = found(Price(ticks * tick))?;
            if middle.is_reached() {
                (reached, level) = (middle.price, middle);
            } else {
                not_reached = middle.price;
            }
        }
        Ok(Some(level))
    }
}
