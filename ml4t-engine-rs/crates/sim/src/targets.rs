//! Sizing: how many units reach a target, and the order that gets there.

use crate::account::Worth;
use crate::contingent::counts_as_sent;
use crate::engine::Api;
use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::money::{Cash, Decimal, Price, Qty};
use crate::order::{OrderRequest, OrderType, Reason, Side};
use crate::plan::Plan;
use crate::policies::{LotRounding, TargetOrders, TargetRounding};
use crate::prices::last_price;
use crate::state::State;

/// Worth of a book, at prices that have arrived, times a decimal fraction, rounded toward zero.
///
/// # Errors
/// The product leaves the range of a ledger entry.
pub fn fraction_of_equity(plan: &Plan, state: &State, book: BookId, fraction: Decimal) -> Result<Cash> {
    let equity = Worth::known(plan, state, state.book(book))?.equity;
    let unit = 10_i128.checked_pow(fraction.exponent);
    let scaled = unit.and_then(|unit| {
        // Whole and rest apart, so that 18 decimals of cash times 18 of the fraction stay in range.
        let (whole, rest) = (equity.0 / unit, equity.0 % unit);
        whole.checked_mul(fraction.mantissa)?.checked_add(rest.checked_mul(fraction.mantissa)? / unit)
    });
    scaled.map(Cash).ok_or_else(|| SimError::overflow("percent x equity leaves the range of the ledger".to_owned()))
}

/// Signed quantity worth `value` at the last known price, or that plus a part of a lot where the order that leads there
/// from `expected` is what is cut; `None` before the first price.
///
/// # Errors
/// The quantity leaves the range of 64 bits.
pub fn quantity_for_value(
    plan: &Plan,
    state: &State,
    id: InstrumentId,
    value: Cash,
    expected: i64,
) -> Result<Option<i64>> {
    let instrument = plan.instrument(id);
    let Some(price) = last_price(plan, state, id.index()).filter(|p| p.0 != 0) else { return Ok(None) };
    let price = Price(price.0.abs());
    let quotes = &state.exchange.quotes;
    let in_base = |amount: Cash| quotes.to_base(instrument.currency, amount);
    let lot = instrument.scale.notional(price, Qty(instrument.lot_size)).map(in_base).transpose()?;
    if lot == Some(Cash::ZERO) {
        // So little that it is worth nothing in the base currency: as without a price.
        return Ok(None);
    }
    let from = match plan.policies.target_rounding {
        TargetRounding::Position => 0,
        TargetRounding::Order => expected,
    };
    let held = instrument.scale.notional(price, Qty(from)).map(in_base).transpose()?;
    let amount = held.and_then(|held| value.0.checked_sub(held.0));
    let lots = lot.zip(amount).map(|(lot, amount)| amount / lot.0).and_then(|n| i64::try_from(n).ok());
    let quantity = lots.and_then(|n| n.checked_mul(instrument.lot_size)).and_then(|n| n.checked_add(from));
    quantity.map(Some).ok_or_else(|| {
        SimError::overflow(format!("{}: the target quantity leaves the range of 64 bits", instrument.symbol))
    })
}

/// Position plus what working and just sent market orders will add; resting orders may never fill and do not
/// count, nor do those that intake will refuse.
#[must_use]
pub fn expected_quantity(
    state: &State,
    (book, id): (BookId, InstrumentId),
    working: &[OrderId],
    policy: TargetOrders,
) -> i64 {
    let held = state.book(book).positions[id.index()].quantity;
    if policy == TargetOrders::Ignored {
        return held;
    }
    let counts = |order: &&OrderId| {
        let order = state.order(**order);
        order.request.book == book
            && order.request.instrument == id
            && order.request.order_type == OrderType::Market
            && !order.status.is_terminal()
            && order.refusal.is_none()
    };
    let is_sent = |id: &&OrderId| counts_as_sent(state, &state.order(**id), **id);
    working
        .iter()
        .filter(counts)
        .filter(is_sent)
        .map(|&o| state.order(o).signed_leaves())
        .fold(held, i64::saturating_add)
}

/// A part of a basket.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Of what.
    pub instrument: InstrumentId,
    /// Fraction of equity; `None` to have nothing of it.
    pub weight: Option<Decimal>,
    /// Position once the market orders under way have filled.
    pub expected: i64,
}

impl Api<'_> {
    /// Signed quantity worth `value`, as [`quantity_for_value`]; nothing needs no price.
    ///
    /// # Errors
    /// The quantity leaves the range of 64 bits.
    pub fn quantity_towards(&self, id: InstrumentId, value: Cash, expected: i64) -> Result<Option<i64>> {
        if value == Cash::ZERO {
            let lot = self.plan.instrument(id).lot_size;
            // Where the order is what is cut, less than a lot is left of it.
            let is_of_order = self.plan.policies.target_rounding == TargetRounding::Order;
            return Ok(Some(if is_of_order { expected % lot } else { 0 }));
        }
        quantity_for_value(self.plan, self.state, id, value, expected)
    }

    /// Send the market order that takes a position from `expected` to a value; a rejected one before the first price.
    ///
    /// # Errors
    /// The quantity leaves the range of 64 bits.
    pub fn order_value(&mut self, template: OrderRequest, value: Cash, expected: i64) -> Result<Option<OrderId>> {
        match self.quantity_towards(template.instrument, value, expected)? {
            Some(target) => self.order_target_from(template, target, expected),
            None => self.refuse_without_price(template, value > Cash::ZERO).map(Some),
        }
    }

    /// Trade a basket towards fractions of equity: what is sold first, then by symbol. `template` is without instrument;
    /// what is sent is added to `sent`.
    ///
    /// # Errors
    /// A value or quantity leaves its range.
    pub fn order_weights(&mut self, template: OrderRequest, targets: &[Target], sent: &mut Vec<OrderId>) -> Result<()> {
        let mut changes = Vec::with_capacity(targets.len());
        // Most of a basket are alike.
        let mut last: Option<(Decimal, Cash)> = None;
        for target in targets {
            let value = match (target.weight, last) {
                (None, _) => Cash::ZERO,
                (Some(weight), Some((known, value))) if weight == known => value,
                (Some(weight), _) => {
                    let value = fraction_of_equity(self.plan, self.state, template.book, weight)?;
                    last = Some((weight, value));
                    value
                }
            };
            let quantity = self.quantity_towards(target.instrument, value, target.expected)?;
            // Without a price the sign of the value tells whether it buys.
            let buys = quantity.map_or(value >= Cash::ZERO, |quantity| quantity >= target.expected);
            // Instruments are numbered by symbol.
            changes.push((buys, target.instrument, quantity, target.expected, value));
        }
        changes.sort_unstable_by_key(|&(buys, instrument, ..)| (buys, instrument));
        for (_, instrument, quantity, expected, value) in changes {
            let template = OrderRequest { instrument, ..template };
            match quantity {
                Some(quantity) => sent.extend(self.order_target_from(template, quantity, expected)?),
                None => sent.push(self.refuse_without_price(template, value > Cash::ZERO)?),
            }
        }
        Ok(())
    }

    /// Record that an order towards a value could not be sized: rejected, one lot, for want of a price.
    ///
    /// # Errors
    /// As [`Api::submit`].
    pub fn refuse_without_price(&mut self, template: OrderRequest, is_buy: bool) -> Result<OrderId> {
        let instrument = self.plan.instrument(template.instrument);
        let side = if is_buy { Side::Buy } else { Side::Sell };
        let text = format!(
            "{} has no price yet to size an order with ({}); wait for its first row, or send a quantity",
            instrument.symbol,
            crate::time::render(self.state.now)
        );
        let request = OrderRequest { side, quantity: instrument.lot_size, ..template };
        self.submit_refused(request, Reason::NoPrice, text, None)
    }

    /// Send the market order that takes a position to `target` units; `None` when it is there already.
    ///
    /// `template` says for whom, how long and with which tag; its side and quantity are replaced.
    ///
    /// # Errors
    /// The difference leaves the range of 64 bits.
    pub fn order_target(
        &mut self,
        template: OrderRequest,
        target: i64,
        working: &[OrderId],
    ) -> Result<Option<OrderId>> {
        let expected = expected_quantity(
            self.state,
            (template.book, template.instrument),
            working,
            self.plan.policies.target_orders,
        );
        self.order_target_from(template, target, expected)
    }

    /// As [`Api::order_target`], of a position that will be `expected` once the market orders under way have filled.
    ///
    /// # Errors
    /// The difference leaves the range of 64 bits.
    pub fn order_target_from(&mut self, template: OrderRequest, target: i64, expected: i64) -> Result<Option<OrderId>> {
        let difference = target.checked_sub(expected).ok_or_else(|| {
            SimError::overflow(format!("{}: target quantity", self.plan.instrument(template.instrument).symbol))
        })?;
        if difference == 0 {
            return Ok(None);
        }
        let side = if difference > 0 { Side::Buy } else { Side::Sell };
        let quantity = difference.checked_abs().ok_or_else(|| {
            SimError::overflow(format!("{}: target quantity", self.plan.instrument(template.instrument).symbol))
        })?;
        let instrument = self.plan.instrument(template.instrument);
        // An odd position leads to whole lots by an odd order, which is cut like any other.
        let is_whole = target % instrument.lot_size == 0;
        let rounding = if is_whole { self.plan.policies.lot_rounding } else { LotRounding::Reject };
        let (quantity, _) = instrument.in_lots((quantity, true), rounding);
        self.submit(OrderRequest { side, quantity, ..template }).map(Some)
    }
}
