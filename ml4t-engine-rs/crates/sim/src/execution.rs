//! One fill: quantity from the fill model, costs from the slippage and fee models, money from the account.

use ml4t_abi::{
    FeeContext, FeeOutput, FillContext, FillOutput, Header, Liquidity, OrderKind, Phase, SlippageContext,
    SlippageOutput, Status,
};

use crate::account::{Exposure, Worth, affords, buying_power, short_text};
use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::instrument::Instrument;
use crate::ledger::LedgerFill;
use crate::matching::Reach;
use crate::models::Models;
use crate::money::{Cash, Price, Qty};
use crate::order::{Order, OrderStatus, Reason, Side, TimeInForce};
use crate::plan::{Feed, FeedKind, Plan, bar, quote, trade};
use crate::policies::{InsufficientCash, LimitSlippage};
use crate::recorder::{Fill, Recorder};
use crate::rng::Occasion;
use crate::state::Notice;
use crate::venue::Desk;

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
}

/// Answer of a slippage model, within the limit of the order.
#[derive(Clone, Copy, Debug)]
enum Slipped {
    Fills(UnitCosts, i64),
    NothingOffered,
    BeyondLimit,
}

/// What is about to be booked.
#[derive(Clone, Copy, Debug)]
struct Draft {
    quantity: i64,
    reference: Price,
    price: Price,
    costs: UnitCosts,
    liquidity: Liquidity,
    fee: Cash,
    notional: Cash,
}

/// Values of the row as models see them.
struct Row {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    bid: f64,
    ask: f64,
    bid_size: f64,
    ask_size: f64,
    trade_size: f64,
}

impl Row {
    fn read(feed: &Feed, row: usize, shows_bar: bool) -> Self {
        let nan = f64::NAN;
        let mut out = Self {
            open: nan,
            high: nan,
            low: nan,
            close: nan,
            volume: nan,
            bid: nan,
            ask: nan,
            bid_size: nan,
            ask_size: nan,
            trade_size: nan,
        };
        match feed.data.kind {
            FeedKind::Bar => {
                out.open = feed.value(bar::OPEN, row);
                if shows_bar {
                    out.high = feed.value(bar::HIGH, row);
                    out.low = feed.value(bar::LOW, row);
                    out.close = feed.value(bar::CLOSE, row);
                    out.volume = feed.value(bar::VOLUME, row);
                }
            }
            FeedKind::Quote => {
                out.bid = feed.value(quote::BID, row);
                out.ask = feed.value(quote::ASK, row);
                out.bid_size = feed.value(quote::BID_SIZE, row);
                out.ask_size = feed.value(quote::ASK_SIZE, row);
            }
            FeedKind::Trade => {
                out.close = feed.value(trade::PRICE, row);
                out.trade_size = feed.value(trade::SIZE, row);
            }
            FeedKind::Context => {}
        }
        out
    }
}

impl Row {
    /// Quantity that the event offers to a side: volume of the bar, size of the quote's far side or of the print.
    fn offered(&self, phase: Phase, side: Side) -> f64 {
        match (phase, side) {
            (Phase::QUOTE, Side::Buy) => self.ask_size,
            (Phase::QUOTE, Side::Sell) => self.bid_size,
            (Phase::TRADE, _) => self.trade_size,
            _ => self.volume,
        }
    }
}

impl Execution {
    /// Execute as far as models and account allow.
    pub(crate) fn run<R: Recorder>(&self, desk: &mut Desk<'_, R>, models: &mut Models) -> Result<Taken> {
        let plan = desk.plan;
        let instrument = &plan.instruments[self.market.instrument];
        desk.state.order_mut(self.id).attempts += 1;
        let order = *desk.state.order(self.id);
        let Some(feed) = instrument.matching.map(|f| plan.feed(f)) else {
            return Err(SimError::internal(format!("{}: executed without a feed", instrument.symbol)));
        };
        let row = Row::read(feed, self.market.row, self.market.shows_bar);
        let held = desk.state.book(order.request.book).positions[self.market.instrument].quantity;
        let all = order.wanted(held);
        let wanted = self.shown(&order, all);
        let Some((reference, quantity, liquidity)) = self.fill_model(desk, models, &order, (&row, wanted))? else {
            return Ok(Taken::NOTHING_OFFERED);
        };
        let (costs, quantity) =
            match self.slippage_model(desk, models, &order, &row, (reference, quantity, liquidity))? {
                Slipped::Fills(costs, quantity) => (costs, quantity),
                Slipped::NothingOffered => return Ok(Taken::NOTHING_OFFERED),
                Slipped::BeyondLimit => return Ok(Taken::KEPT_OUT),
            };
        let is_whole = order.request.instructions.all_or_none || order.request.time_in_force == TimeInForce::Fok;
        if is_whole && quantity < all {
            return Ok(Taken::NOTHING_OFFERED);
        }
        let sign = order.request.side.sign();
        let per_unit = costs.spread.0.checked_add(costs.slippage.0);
        let price = per_unit.and_then(|c| c.checked_mul(sign)).and_then(|c| reference.0.checked_add(c)).map(Price);
        let Some(price) = price else {
            return Err(self.out_of_range(desk, "fill price"));
        };
        let mut draft = Draft { quantity, reference, price, costs, liquidity, fee: Cash::ZERO, notional: Cash::ZERO };
        if order.request.side == Side::Sell && !plan.account.allows_short && quantity > held {
            let text = short_text(instrument, quantity, held, desk.state.now);
            self.refuse(desk, Reason::ShortNotAllowed, text)?;
            return Ok(Taken::KEPT_OUT);
        }
        self.price_out(desk, models, &order, &mut draft)?;
        let mut gives_up_rest = false;
        if !self.can_carry(desk, &order, &draft)? {
            match plan.policies.insufficient_cash {
                InsufficientCash::Partial if is_whole => return Ok(Taken::KEPT_OUT),
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
        if gives_up_rest && !desk.state.order(self.id).status.is_terminal() {
            self.refuse(desk, Reason::InsufficientCash, "the account could pay for no more".to_owned())?;
        }
        Ok(Taken { filled: draft.quantity, must_wait: true })
    }

    /// What a resting limit shows of itself to one quote or print.
    fn shown(&self, order: &Order, wanted: i64) -> i64 {
        let is_tick = matches!(self.market.phase, Phase::QUOTE | Phase::TRADE);
        match order.request.display_quantity {
            Some(shown) if is_tick && self.reach.liquidity == Liquidity::MAKER => wanted.min(shown),
            _ => wanted,
        }
    }

    fn fill_model<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        models: &mut Models,
        order: &Order,
        (row, wanted): (&Row, i64),
    ) -> Result<Option<(Price, i64, Liquidity)>> {
        let instrument = &desk.plan.instruments[self.market.instrument];
        let scale = &instrument.scale;
        let optional = |p: Option<Price>| p.map_or(f64::NAN, |p| scale.price_f64(p));
        let context = FillContext {
            header: self.header::<FillContext, R>(desk, order.request.side),
            kind: self.reach.kind,
            phase: self.market.data_phase(desk.plan),
            liquidity: self.reach.liquidity,
            reserved: 0,
            price: scale.price_f64(self.reach.price),
            leaves_quantity: scale.quantity_f64(wanted),
            limit_price: optional(order.request.limit_price),
            stop_price: optional(order.request.stop_price),
            open: row.open,
            high: row.high,
            low: row.low,
            close: row.close,
            volume: row.volume,
            bid: row.bid,
            ask: row.ask,
            bid_size: row.bid_size,
            ask_size: row.ask_size,
            trade_size: row.trade_size,
            volume_used: scale.quantity_f64(self.volume_used),
            lot_size: scale.quantity_f64(instrument.lot_size),
            tick_size: scale.price_f64(Price(instrument.tick_size)),
            random: self.draws(desk, models.fill.wants_draws(), 1, order),
        };
        let mut output =
            FillOutput { price: f64::NAN, quantity: f64::NAN, liquidity: self.reach.liquidity, reserved: 0, code: 0 };
        match models.fill.eval(&context, &mut output) {
            Status::OK => {}
            Status::NO_OPINION => return Ok(Some((self.reach.price, wanted, self.reach.liquidity))),
            Status::DEFER | Status::REJECT => return Ok(None),
            _ => return Err(self.model_error(desk, models.fill.name(), &models.fill.last_error())),
        }
        // A model that answers with what it was given means all of it, also beyond the 15 digits of an f64.
        let quantity = if output.quantity.to_bits() == context.leaves_quantity.to_bits() {
            Some(wanted)
        } else {
            scale.quantity_floor(output.quantity, instrument.lot_size)
        };
        let (Some(price), Some(quantity)) = (scale.price(output.price), quantity) else {
            let text = format!("price {} and quantity {} must be finite", shown(output.price), shown(output.quantity));
            return Err(self.model_error(desk, models.fill.name(), &text));
        };
        if quantity > wanted || quantity < 0 {
            let text = format!("quantity {} of {} open", output.quantity, context.leaves_quantity);
            return Err(self.model_error(desk, models.fill.name(), &text));
        }
        // As with costs: prices below zero are the market's to make.
        if self.reach.price.0 > 0 && price.0 <= 0 {
            let text = format!("price {} where the market's is {}; it must be above zero", output.price, context.price);
            return Err(self.model_error(desk, models.fill.name(), &text));
        }
        Ok((quantity > 0).then_some((price, quantity, output.liquidity)))
    }

    fn slippage_model<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        models: &mut Models,
        order: &Order,
        row: &Row,
        (reference, quantity, liquidity): (Price, i64, Liquidity),
    ) -> Result<Slipped> {
        let policy = desk.plan.policies.limit_slippage;
        let is_limit = self.reach.kind == OrderKind::LIMIT;
        let instrument = &desk.plan.instruments[self.market.instrument];
        let scale = &instrument.scale;
        let context = SlippageContext {
            header: self.header::<SlippageContext, R>(desk, order.request.side),
            phase: self.market.data_phase(desk.plan),
            reserved: 0,
            price: scale.price_f64(reference),
            quantity: scale.quantity_f64(quantity),
            open: row.open,
            high: row.high,
            low: row.low,
            close: row.close,
            volume: row.offered(self.market.data_phase(desk.plan), order.request.side),
            bid: row.bid,
            ask: row.ask,
            volume_used: scale.quantity_f64(self.volume_used),
            tick_size: scale.price_f64(Price(instrument.tick_size)),
            lot_size: scale.quantity_f64(instrument.lot_size),
            multiplier: scale.multiplier_f64(),
            random: self.draws(desk, models.slippage.wants_draws(), 2, order),
        };
        let Some(mut output) = self.slip(desk, models, &context)? else { return Ok(Slipped::NothingOffered) };
        let mut capped = quantity;
        if output.quantity_cap != f64::INFINITY {
            if output.quantity_cap.is_nan() {
                return Err(self.model_error(desk, models.slippage.name(), "quantity cap NaN is not a number"));
            }
            // A cap beyond the range of quantities caps nothing.
            let beyond = if output.quantity_cap > 0.0 { i64::MAX } else { 0 };
            capped = quantity.min(scale.quantity_floor(output.quantity_cap, instrument.lot_size).unwrap_or(beyond));
        }
        if capped <= 0 {
            return Ok(Slipped::NothingOffered);
        }
        if capped < quantity {
            // The price must be that of what really fills, in whole lots.
            let smaller = SlippageContext { quantity: scale.quantity_f64(capped), ..context };
            let Some(again) = self.slip(desk, models, &smaller)? else { return Ok(Slipped::NothingOffered) };
            output = again;
        }
        let quantity = capped;
        let (Some(slippage), Some(spread)) = (scale.price(output.adjustment), scale.price(output.spread)) else {
            let (adjustment, spread) = (shown(output.adjustment), shown(output.spread));
            let text = format!("adjustment {adjustment} and spread {spread} must be finite");
            return Err(self.model_error(desk, models.slippage.name(), &text));
        };
        let is_free = policy == LimitSlippage::None || (liquidity == Liquidity::MAKER && policy != LimitSlippage::Full);
        if is_limit && is_free {
            return Ok(Slipped::Fills(UnitCosts::default(), quantity));
        }
        let mut costs = UnitCosts { spread, slippage };
        if let Some(limit) = order.request.limit_price.filter(|_| is_limit && policy != LimitSlippage::Full) {
            let room = limit.0.saturating_sub(reference.0).saturating_mul(order.request.side.sign());
            if costs.spread.0.saturating_add(costs.slippage.0) > room {
                if policy == LimitSlippage::Refuse {
                    return Ok(Slipped::BeyondLimit);
                }
                costs.spread.0 = costs.spread.0.min(room);
                costs.slippage.0 = room - costs.spread.0;
            }
        }
        self.refuse_negative(desk, models.slippage.name(), reference, costs, order.request.side)?;
        Ok(Slipped::Fills(costs, quantity))
    }

    /// Prices below zero are the market's to make (power, calendar spreads), never a cost model's.
    fn refuse_negative<R>(
        &self,
        desk: &Desk<'_, R>,
        model: &str,
        reference: Price,
        costs: UnitCosts,
        side: Side,
    ) -> Result<()> {
        let scale = &desk.plan.instruments[self.market.instrument].scale;
        let per_unit = costs.spread.0.saturating_add(costs.slippage.0);
        let price = reference.0.saturating_add(per_unit.saturating_mul(side.sign()));
        if reference.0 <= 0 || price > 0 {
            return Ok(());
        }
        let text = format!(
            "costs of {} per unit would take the price from {} to {}; a price above zero must stay above zero",
            scale.price_f64(Price(per_unit)),
            scale.price_f64(reference),
            scale.price_f64(Price(price)),
        );
        Err(self.model_error(desk, model, &text))
    }

    /// One call of the slippage model; `None` when it lets nothing fill now.
    fn slip<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        models: &mut Models,
        context: &SlippageContext,
    ) -> Result<Option<SlippageOutput>> {
        let mut output = SlippageOutput { adjustment: f64::NAN, spread: f64::NAN, quantity_cap: f64::NAN, code: 0 };
        match models.slippage.eval(context, &mut output) {
            Status::OK => Ok(Some(output)),
            Status::NO_OPINION => {
                Ok(Some(SlippageOutput { adjustment: 0.0, spread: 0.0, quantity_cap: f64::INFINITY, code: 0 }))
            }
            Status::DEFER | Status::REJECT => Ok(None),
            _ => Err(self.model_error(desk, models.slippage.name(), &models.slippage.last_error())),
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
        let context = FeeContext {
            header: self.header::<FeeContext, R>(desk, order.request.side),
            liquidity: draft.liquidity,
            reserved: 0,
            price: scale.price_f64(draft.price),
            quantity: scale.quantity_f64(draft.quantity),
            multiplier: scale.multiplier_f64(),
            notional: draft.notional.to_f64().abs(),
            order_filled_quantity: scale.quantity_f64(order.filled),
            order_notional: order.filled_notional.to_f64().abs(),
            order_fees: order.fees.to_f64(),
        };
        let mut output = FeeOutput { fee: f64::NAN, code: 0 };
        draft.fee = match models.fee.eval(&context, &mut output) {
            Status::OK => Cash::from_f64(output.fee, desk.plan.account.posting_quantum).ok_or_else(|| {
                let rule = if output.fee.is_finite() { "leaves the range of money" } else { "must be finite" };
                self.model_error(desk, models.fee.name(), &format!("fee {} {rule}", shown(output.fee)))
            })?,
            Status::NO_OPINION => Cash::ZERO,
            _ => return Err(self.model_error(desk, models.fee.name(), &models.fee.last_error())),
        };
        Ok(())
    }

    fn can_carry<R: Recorder>(&self, desk: &Desk<'_, R>, order: &Order, draft: &Draft) -> Result<bool> {
        let book = desk.state.book(order.request.book);
        let position = &book.positions[self.market.instrument];
        let scale = &desk.plan.instruments[self.market.instrument].scale;
        let sign = order.request.side.sign();
        let after =
            position.quantity.checked_add(sign * draft.quantity).ok_or_else(|| self.out_of_range(desk, "position"))?;
        let value_after = scale.notional(draft.price, Qty(after)).ok_or_else(|| self.out_of_range(desk, "position"))?;
        let exposure = Exposure {
            notional: Cash(draft.notional.0 * i128::from(sign)),
            fee: draft.fee,
            value_before: position.value,
            value_after,
            is_reducing: position.quantity.signum() == -sign && draft.quantity <= position.quantity.abs(),
        };
        affords(book, &desk.plan.account, &exposure)
    }

    /// The largest quantity that the account can pay for, by bisection over lots.
    fn affordable<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
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
        Ok(format!(
            "{} {} {} at {} with fee {} needs more than the account has: cash {}, buying power {} ({})",
            order.request.side.as_str(),
            instrument.scale.quantity_f64(draft.quantity),
            instrument.symbol,
            instrument.scale.price_f64(draft.price),
            draft.fee.to_f64(),
            book.cash().to_f64(),
            buying_power(book, &desk.plan.account, Worth::at_marks(book)?)?.to_f64(),
            crate::time::render(desk.state.now)
        ))
    }

    /// End an order that the account cannot carry: rejected, or canceled when part of it is filled.
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
        let per_unit = Price(draft.costs.spread.0 + draft.costs.slippage.0);
        let lost = instrument.scale.notional(per_unit, Qty(draft.quantity));
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
        };
        desk.recorder.fill(&Fill {
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
            impact: Price(0),
            fee: draft.fee,
            notional: draft.notional,
            liquidity: draft.liquidity,
            phase: self.market.reported_phase(),
        });
        desk.state.book_mut(order.request.book).apply_fill(
            &fill,
            instrument,
            plan.account.lot_policy,
            desk.recorder,
        )?;
        let updated = desk.state.order_mut(self.id);
        updated.leaves -= draft.quantity;
        updated.filled += draft.quantity;
        updated.filled_notional = updated.filled_notional.plus(draft.notional, "order")?;
        updated.fees = updated.fees.plus(draft.fee, "order")?;
        let status = if updated.leaves == 0 { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        desk.state.notices.push(Notice::Fill(number));
        desk.state.move_order(self.id, status, Reason::None, desk.recorder)
    }

    fn header<C, R>(&self, desk: &Desk<'_, R>, side: Side) -> Header {
        let side = if side == Side::Buy { 1 } else { -1 };
        Header::of::<C>(side, u32::try_from(self.market.instrument).unwrap_or(u32::MAX), desk.state.now)
    }

    /// Draws of one model for this attempt of the order, or NaN for a model that wants none.
    fn draws<R>(&self, desk: &Desk<'_, R>, wanted: bool, model: u32, order: &Order) -> [f64; 4] {
        if !wanted {
            return [f64::NAN; 4];
        }
        Occasion { model, order: self.id.0, attempt: order.attempts }.uniforms(desk.plan.seed)
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
        let feed = plan.instruments[self.instrument].matching.map(|feed| plan.feed(feed).data.kind);
        match feed {
            Some(kind @ (FeedKind::Quote | FeedKind::Trade)) => kind.range_phase(),
            _ => self.reported_phase(),
        }
    }

    /// The phase as tables see it: a decision's own close is a close.
    fn reported_phase(&self) -> Phase {
        if self.phase.0 > Phase::TRADE.0 { Phase::CLOSE } else { self.phase }
    }
}

/// A number for a message: what a model answers may have three hundred digits.
fn shown(x: f64) -> String {
    if x.abs() >= 1e15 { format!("{x:e}") } else { x.to_string() }
}
