//! One fill: quantity from the fill model, costs from the slippage and fee models, money from the account.

use ml4t_abi::{FeeContext, FeeOutput, FillEvent, Liquidity, Phase, Status};

use crate::account::{Exposure, affords, buying_power, short_text};
use crate::currency::BASE;
use crate::error::{Result, SimError, shown};
use crate::ids::OrderId;
use crate::instrument::Instrument;
use crate::ledger::LedgerFill;
use crate::matching::Reach;
use crate::models::{Models, said};
use crate::money::{CASH_EXPONENT, Cash, Price, Qty};
use crate::order::{Order, OrderStatus, Reason, Side, TimeInForce};
use crate::phase::PhaseMarket;
use crate::plan::{FeedKind, Plan};
use crate::policies::InsufficientCash;
use crate::recorder::{Fill, Recorder};
use crate::rules::RuleKind;
use crate::state::{Notice, State};
use crate::venue::{Averages, Desk};

mod asked;
mod impact;

use asked::{Offered, Row, Slice, Slipped};

/// The event at which an order executes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Market {
    pub instrument: usize,
    pub row: usize,
    pub phase: Phase,
    /// Whether the bar is complete, so that models may see more than its open.
    pub shows_bar: bool,
}

/// An order that may execute at an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Execution {
    pub id: OrderId,
    pub reach: Reach,
    pub market: Market,
    pub volume_used: i64,
    /// The most that the event has for this order.
    pub most: i64,
    /// What the sessions before tell the fill, slippage and impact model.
    pub averages: [Averages; 3],
    /// What is known to be ahead of a resting limit at its price.
    pub queue_ahead: Option<i64>,
}

/// What came of an execution.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    /// Filled quantity.
    pub filled: i64,
    /// Whether the market had no more to give, so that what is left waits in it.
    pub must_wait: bool,
}

impl Taken {
    /// The order itself, or its account, kept it out: it is as marketable as before.
    const KEPT_OUT: Self = Self { filled: 0, must_wait: false };
    const NOTHING_OFFERED: Self = Self { filled: 0, must_wait: true };
}

/// Costs of one unit, each rounded to the price exponent.
#[derive(Clone, Copy, Debug, Default)]
struct UnitCosts {
    spread: Price,
    slippage: Price,
    impact: Price,
    /// The part of `impact` that earlier fills of the run left in the price.
    permanent_impact: Price,
}

impl UnitCosts {
    /// All of them together.
    fn sum(&self) -> Option<i64> {
        self.spread.0.checked_add(self.slippage.0)?.checked_add(self.impact.0)
    }
}

/// What is about to be booked.
#[derive(Clone, Copy, Debug)]
struct Draft {
    quantity: i64,
    reference: Price,
    price: Price,
    costs: UnitCosts,
    /// How far the fill moves the prices of later ones.
    pushes: Price,
    liquidity: Liquidity,
    fee: Cash,
    notional: Cash,
}

impl Execution {
    /// Execute as far as models and account allow.
    pub(crate) fn run<R: Recorder>(&self, desk: &mut Desk<'_, R>, models: &mut Models) -> Result<Taken> {
        let plan = desk.plan;
        let instrument = &plan.instruments[self.market.instrument];
        desk.state.order_mut(self.id).attempts += 1;
        let Some(feed) = instrument.met_in(self.market.phase).map(|f| plan.feed(f)) else {
            return Err(SimError::internal(format!("{}: executed without a feed", instrument.symbol)));
        };
        let row = Row::read(feed, self.market.row, self.market.shows_bar);
        let order = desk.state.order(self.id);
        let held = desk.state.book(order.request.book).positions[self.market.instrument].quantity;
        let all = order.wanted(held);
        let wanted = self.shown(&order, all).min(self.most);
        let is_whole = order.request.instructions.all_or_none || order.request.time_in_force == TimeInForce::Fok;
        let least = if is_whole { all } else { 0 };
        if models.fill.is_neutral() {
            let Reach { price: reference, liquidity, .. } = self.reach;
            return self.trade_all(desk, models, &row, (&[Slice { reference, quantity: wanted, liquidity }], least));
        }
        let order = *order;
        let slices = match self.fill_model(desk, models, &order, (&row, wanted))? {
            Offered::Fills(slices) => slices,
            Offered::Nothing => return Ok(Taken::NOTHING_OFFERED),
            Offered::Refused(code) => {
                let text = self.refused_by_model(desk, wanted, code);
                self.refuse(desk, Reason::RefusedByModel, text)?;
                return Ok(Taken::KEPT_OUT);
            }
        };
        let merged = if is_whole { slices.merged() } else { None };
        let parts = merged.as_ref().map_or(slices.parts(), std::slice::from_ref);
        let mut taken = self.trade_all(desk, models, &row, (parts, least))?;
        // What its limit keeps out of the rest leaves it as marketable as before.
        let offered: i64 = parts.iter().map(|slice| slice.quantity).sum();
        taken.must_wait &= !(slices.is_cut && taken.filled == offered);
        Ok(taken)
    }

    /// Execute slices one after the other, until one does not fill as a whole.
    fn trade_all<R: Recorder>(
        &self,
        desk: &mut Desk<'_, R>,
        models: &mut Models,
        row: &Row,
        (slices, least): (&[Slice], i64),
    ) -> Result<Taken> {
        let mut taken = Taken::NOTHING_OFFERED;
        for &slice in slices {
            let part = Self { volume_used: self.volume_used.saturating_add(taken.filled), ..*self };
            let found = part.trade(desk, models, row, (slice, least))?;
            taken = Taken { filled: taken.filled + found.filled, must_wait: found.must_wait };
            if found.filled != slice.quantity || desk.state.has_ended(self.id) {
                break;
            }
        }
        Ok(taken)
    }

    /// Execute one slice, unless it is smaller than `least`.
    fn trade<R: Recorder>(
        &self,
        desk: &mut Desk<'_, R>,
        models: &mut Models,
        row: &Row,
        (slice, least): (Slice, i64),
    ) -> Result<Taken> {
        let plan = desk.plan;
        let instrument = &plan.instruments[self.market.instrument];
        let order = *desk.state.order(self.id);
        let held = desk.state.book(order.request.book).positions[self.market.instrument].quantity;
        let Slice { reference, liquidity, .. } = slice;
        let (costs, quantity) = match self.slippage_model(desk, models, &order, (row, slice))? {
            Slipped::Fills(costs, quantity) if quantity > 0 => (costs, quantity),
            _ => return Ok(Taken::NOTHING_OFFERED),
        };
        if quantity < least {
            return Ok(Taken::NOTHING_OFFERED);
        }
        let moved = self.impact_model(desk, models, &order, (row, Slice { quantity, ..slice }))?;
        let Some(costs) = self.within_limit(desk, &order, (costs, moved.costs), (reference, liquidity)) else {
            return Ok(Taken::KEPT_OUT);
        };
        self.refuse_negative(desk, models, reference, costs, order.request.side)?;
        let sign = order.request.side.sign();
        let per_unit = costs.sum().and_then(|c| c.checked_mul(sign));
        let Some(price) = per_unit.and_then(|c| reference.0.checked_add(c)).map(Price) else {
            return Err(self.out_of_range(desk, "fill price"));
        };
        let pushes = moved.pushes;
        let (fee, notional) = (Cash::ZERO, Cash::ZERO);
        let mut draft = Draft { quantity, reference, price, costs, pushes, liquidity, fee, notional };
        if order.request.side == Side::Sell && !plan.account.allows_short && quantity > held {
            let text = short_text(instrument, quantity, held, desk.state.now);
            self.refuse(desk, Reason::ShortNotAllowed, text)?;
            return Ok(Taken::KEPT_OUT);
        }
        self.price_out(desk, models, &order, &mut draft)?;
        let mut gives_up_rest = false;
        if !self.can_carry(desk, &order, &draft)? {
            match plan.policies.insufficient_cash {
                InsufficientCash::Partial if least > 0 => return Ok(Taken::KEPT_OUT),
                InsufficientCash::Wait => return Ok(Taken::KEPT_OUT),
                InsufficientCash::Partial => gives_up_rest = true,
                InsufficientCash::Reject => {}
            }
            let affordable = if gives_up_rest { self.affordable(desk, models, &order, draft)? } else { None };
            let Some(smaller) = affordable else {
                let text = self.shortfall(desk, &order, &draft)?;
                self.refuse(desk, Reason::InsufficientCash, text)?;
                return Ok(Taken::KEPT_OUT);
            };
            draft = smaller;
        }
        self.book(desk, &order, &draft)?;
        self.tell(desk, models, &order, &draft)?;
        if gives_up_rest && !desk.state.has_ended(self.id) {
            self.refuse(desk, Reason::InsufficientCash, "the account could pay for no more".to_owned())?;
        }
        Ok(Taken { filled: draft.quantity, must_wait: true })
    }

    /// Let the models, and a kernel, that want it know of a fill.
    fn tell<R: Recorder>(
        &self,
        desk: &mut Desk<'_, R>,
        models: &mut Models,
        order: &Order,
        draft: &Draft,
    ) -> Result<()> {
        if !models.want_fills() && !desk.state.keeps_fills {
            return Ok(());
        }
        let scale = &desk.plan.instruments[self.market.instrument].scale;
        let fill = FillEvent {
            header: self.header::<FillEvent, R>(desk, order.request.side, 0),
            order: self.id.0 + 1,
            price: scale.price_f64(draft.price),
            quantity: scale.quantity_f64(draft.quantity),
            multiplier: scale.multiplier_f64(),
            fee: draft.fee.to_f64(),
            slippage: scale.price_f64(draft.costs.slippage),
            impact: scale.price_f64(draft.costs.impact),
            liquidity: draft.liquidity,
            reserved: 0,
        };
        if desk.state.keeps_fills {
            desk.state.told.push(fill);
        }
        let (name, status, text) = models.observe(&fill);
        if status == Status::OK || status == Status::NO_OPINION {
            return Ok(());
        }
        Err(self.model_error(desk, name, &format!("told of a fill: {}", said(status, &text))))
    }

    /// What a resting limit shows of itself to one quote or print.
    fn shown(&self, order: &Order, wanted: i64) -> i64 {
        let is_tick = matches!(self.market.phase, Phase::QUOTE | Phase::TRADE | PhaseMarket::STANDING);
        match order.request.display_quantity {
            Some(shown) if is_tick && self.reach.liquidity == Liquidity::MAKER => wanted.min(shown),
            _ => wanted,
        }
    }

    /// Fill in notional and fee of a draft.
    fn price_out<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        models: &mut Models,
        order: &Order,
        draft: &mut Draft,
    ) -> Result<()> {
        let scale = &desk.plan.instruments[self.market.instrument].scale;
        let notional = scale.notional(draft.price, Qty(draft.quantity));
        draft.notional = notional.ok_or_else(|| self.out_of_range(desk, "notional"))?;
        let taken = self.liquidation_fee(desk, order, draft.notional)?;
        if models.fee.is_neutral() {
            draft.fee = taken;
            return Ok(());
        }
        let month = desk.state.book(order.request.book).month(desk.state.now);
        let context = FeeContext {
            header: self.header::<FeeContext, R>(desk, order.request.side, 0),
            liquidity: draft.liquidity,
            reserved: 0,
            price: scale.price_f64(draft.price),
            quantity: scale.quantity_f64(draft.quantity),
            multiplier: scale.multiplier_f64(),
            notional: draft.notional.to_f64().abs(),
            order_filled_quantity: scale.quantity_f64(order.filled),
            order_notional: order.filled_notional.to_f64().abs(),
            order_fees: order.fees.to_f64(),
            month_quantity: month.quantity.to_f64(),
            month_notional: month.notional.to_f64(),
        };
        let mut output = FeeOutput::UNSET;
        draft.fee = match models.fee.eval(&context, &mut output) {
            Status::OK => Cash::from_f64(output.fee, desk.plan.account.posting_quantum).ok_or_else(|| {
                let rule = if output.fee.is_finite() { "leaves the range of money" } else { "must be finite" };
                self.model_error(desk, models.fee.name(), &format!("fee {} {rule}", shown(output.fee)))
            })?,
            Status::NO_OPINION => Cash::ZERO,
            status => {
                return Err(self.model_error(desk, models.fee.name(), &said(status, &models.fee.last_error())));
            }
        };
        draft.fee = draft.fee.plus(taken, "fee")?;
        Ok(())
    }

    /// What an exchange takes of the value that it closes.
    fn liquidation_fee<R: Recorder>(&self, desk: &Desk<'_, R>, order: &Order, notional: Cash) -> Result<Cash> {
        let Some(terms) = desk.plan.margin.at_price.filter(|_| order.rule == Some(RuleKind::Liquidation)) else {
            return Ok(Cash::ZERO);
        };
        let fee = Cash::from_f64(notional.to_f64().abs() * terms.fee, desk.plan.account.posting_quantum);
        fee.ok_or_else(|| self.out_of_range(desk, "liquidation fee"))
    }

    fn can_carry<R: Recorder>(&self, desk: &mut Desk<'_, R>, order: &Order, draft: &Draft) -> Result<bool> {
        let book = desk.state.book(order.request.book);
        let position = &book.positions[self.market.instrument];
        let scale = &desk.plan.instruments[self.market.instrument].scale;
        let sign = order.request.side.sign();
        let after =
            position.quantity.checked_add(sign * draft.quantity).ok_or_else(|| self.out_of_range(desk, "position"))?;
        let value_after = scale.notional(draft.price, Qty(after)).ok_or_else(|| self.out_of_range(desk, "position"))?;
        let exposure = Exposure {
            instrument: order.request.instrument,
            after,
            price: draft.price,
            currency: position.currency,
            is_margined: position.is_margined,
            notional: Cash(draft.notional.0 * i128::from(sign)),
            fee: draft.fee,
            value_before: position.value,
            value_after,
            is_reducing: position.quantity.signum() == -sign && draft.quantity <= position.quantity.abs(),
        };
        if order.rule == Some(RuleKind::Roll) {
            // As large as what it closes elsewhere: whoever holds that goes on with it, and margin is checked afterwards.
            return Ok(true);
        }
        let State { books, exchange, margin, now, .. } = &mut *desk.state;
        affords(desk.plan, (exchange, margin), &books[order.request.book.index()], &exposure, *now)
    }

    /// The largest quantity that the account can pay for, by bisection over lots.
    fn affordable<R: Recorder>(
        &self,
        desk: &mut Desk<'_, R>,
        models: &mut Models,
        order: &Order,
        draft: Draft,
    ) -> Result<Option<Draft>> {
        let lot = desk.plan.instruments[self.market.instrument].lot_size;
        let (mut low, mut high) = (0, draft.quantity / lot);
        let mut best = None;
        while low < high {
            let middle = low + (high - low + 1) / 2;
            let mut smaller = Draft { quantity: middle * lot, ..draft };
            self.price_out(desk, models, order, &mut smaller)?;
            if self.can_carry(desk, order, &smaller)? {
                low = middle;
                best = Some(smaller);
            } else {
                high = middle - 1;
            }
        }
        Ok(best)
    }

    fn shortfall<R: Recorder>(&self, desk: &Desk<'_, R>, order: &Order, draft: &Draft) -> Result<String> {
        let book = desk.state.book(order.request.book);
        let instrument = &desk.plan.instruments[self.market.instrument];
        let power = buying_power(desk.plan, desk.state, book)?;
        let currency = instrument.currency;
        let own = book.purse(currency).cash().to_f64();
        let cash = if currency == BASE {
            own.to_string()
        } else {
            let (name, base) = (desk.plan.currencies.name(currency), desk.plan.base_currency());
            format!("{own} {name} and {} {base}", book.cash().to_f64())
        };
        Ok(format!(
            "{} {} {} at {} with fee {} needs more than the account has: cash {}, buying power {} ({})",
            order.request.side.as_str(),
            instrument.scale.quantity_f64(draft.quantity),
            instrument.symbol,
            instrument.scale.price_f64(draft.price),
            draft.fee.to_f64(),
            cash,
            power.to_f64(),
            crate::time::render(desk.state.now)
        ))
    }

    fn refused_by_model<R>(&self, desk: &Desk<'_, R>, wanted: i64, code: u64) -> String {
        let (instrument, now) = self.place(desk);
        let quantity = instrument.scale.quantity_f64(wanted);
        let code = if code == 0 { String::new() } else { format!(", its code is {code}") };
        let at = crate::time::render(now);
        format!("the fill model takes no order of {quantity}{code} ({}, {at})", instrument.symbol)
    }

    /// End an order that the account cannot carry, or a model refuses: rejected, or canceled when part of it is filled.
    fn refuse<R: Recorder>(&self, desk: &mut Desk<'_, R>, reason: Reason, text: String) -> Result<()> {
        let has_fills = desk.state.order(self.id).filled > 0;
        let status = if has_fills { OrderStatus::Canceled } else { OrderStatus::Rejected };
        desk.state.explain(self.id, text);
        desk.state.move_order(self.id, status, reason, desk.recorder)
    }

    fn book<R: Recorder>(&self, desk: &mut Desk<'_, R>, order: &Order, draft: &Draft) -> Result<()> {
        let plan = desk.plan;
        let instrument = &plan.instruments[self.market.instrument];
        let id = order.request.instrument;
        let sign = order.request.side.sign();
        let lost =
            draft.costs.sum().and_then(|per_unit| instrument.scale.notional(Price(per_unit), Qty(draft.quantity)));
        let now = desk.state.now;
        let number = desk.state.fills;
        desk.state.fills += 1;
        let fill = LedgerFill {
            ts: now,
            book: order.request.book,
            instrument: id,
            quantity: sign * draft.quantity,
            price: draft.price,
            market: self.reach.at,
            fee: draft.fee,
            slippage: lost.ok_or_else(|| self.out_of_range(desk, "slippage"))?,
            order: self.id,
            number,
            fx_rate: desk.state.exchange.quotes.unit(instrument.currency),
            lot: desk.state.named_lots.get(&self.id).copied(),
        };
        let row = Fill {
            number,
            order: self.id,
            book: order.request.book,
            ts: now,
            instrument: id,
            side: order.request.side,
            quantity: draft.quantity,
            price: draft.price,
            reference: draft.reference,
            spread: draft.costs.spread,
            slippage: draft.costs.slippage,
            impact: draft.costs.impact,
            permanent_impact: draft.costs.permanent_impact,
            fee: draft.fee,
            notional: draft.notional,
            liquidity: draft.liquidity,
            phase: self.market.reported_phase(),
            fx_rate: fill.fx_rate,
            is_of_roll: order.rule == Some(RuleKind::Roll),
        };
        desk.recorder.fill(&row);
        let State { books, exchange, .. } = &mut *desk.state;
        let book = &mut books[order.request.book.index()];
        let before = book.positions[self.market.instrument].quantity;
        let signed = Cash(draft.notional.0 * i128::from(sign));
        let violation = book.trade(plan, exchange, (&fill, Cash(-signed.0)), desk.recorder)?;
        let decimals = CASH_EXPONENT - instrument.scale.quantity_exponent;
        let worth = exchange.quotes.to_base(instrument.currency, draft.notional)?;
        book.trade_in_month(now, (Cash(i128::from(draft.quantity) * 10_i128.pow(decimals)), worth));
        let displacement = &mut desk.state.displacement[self.market.instrument];
        *displacement =
            draft.pushes.0.checked_mul(sign).and_then(|by| displacement.checked_add(by)).ok_or_else(|| {
                SimError::overflow(format!("{}: the displacement by our own fills leaves its range", instrument.symbol))
            })?;
        desk.state.note_for_memorandum(plan, (order.request.book, id), before, (draft.price, signed))?;
        let updated = desk.state.order_mut(self.id);
        updated.leaves -= draft.quantity;
        updated.filled += draft.quantity;
        updated.filled_notional = updated.filled_notional.plus(draft.notional, "order")?;
        updated.fees = updated.fees.plus(draft.fee, "order")?;
        let status = if updated.leaves == 0 { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        desk.state.notices.push(Notice::Fill(row));
        let Some(text) = violation else {
            return desk.state.move_order(self.id, status, Reason::None, desk.recorder);
        };
        desk.state.move_order_saying(self.id, status, (Reason::GoodFaithViolation, text), desk.recorder)
    }

    fn place<'a, R>(&self, desk: &'a Desk<'_, R>) -> (&'a Instrument, i64) {
        (&desk.plan.instruments[self.market.instrument], desk.state.now)
    }

    fn model_error<R>(&self, desk: &Desk<'_, R>, model: &str, text: &str) -> SimError {
        let (instrument, now) = self.place(desk);
        SimError::model(format!(
            "model {model}, {}, order {}, {}: {text}",
            instrument.symbol,
            self.id.0 + 1,
            crate::time::render(now)
        ))
    }

    fn out_of_range<R>(&self, desk: &Desk<'_, R>, what: &str) -> SimError {
        let (instrument, now) = self.place(desk);
        SimError::overflow(format!(
            "{what} of order {} leaves the range of its type ({}, {})",
            self.id.0 + 1,
            instrument.symbol,
            crate::time::render(now)
        ))
    }
}

impl Market {
    /// The phase as models see it: what kind of data they are given. The close of a session on quotes or prints is the
    /// last of them.
    fn data_phase(&self, plan: &Plan) -> Phase {
        let feed = plan.instruments[self.instrument].met_in(self.phase).map(|feed| plan.feed(feed).data.kind);
        match feed {
            Some(kind @ (FeedKind::Quote | FeedKind::Trade)) => kind.range_phase(),
            _ => self.reported_phase(),
        }
    }

    /// The phase as tables see it: a decision's own close is a close, a standing quote a quote.
    fn reported_phase(&self) -> Phase {
        match self.phase {
            PhaseMarket::STANDING => Phase::QUOTE,
            phase if phase.0 > Phase::TRADE.0 => Phase::CLOSE,
            phase => phase,
        }
    }
}
