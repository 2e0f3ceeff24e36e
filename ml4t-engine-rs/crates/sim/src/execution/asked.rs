//! What models are asked about an execution, and what their answers mean.

use ml4t_abi::{FillContext, FillOutput, Header, Liquidity, OrderKind, Phase, SlippageContext, SlippageOutput, Status};

use crate::error::Result;
use crate::models::Models;
use crate::money::Price;
use crate::order::{Order, Side};
use crate::plan::{Feed, FeedKind, bar, quote, trade};
use crate::policies::LimitSlippage;
use crate::recorder::Recorder;
use crate::rng::Occasion;
use crate::venue::Desk;

use super::{Execution, UnitCosts};

/// Answer of a fill model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offered {
    /// Price, quantity and liquidity.
    Fills(Price, i64, Liquidity),
    Nothing,
    /// The order is not to go on.
    Refused,
}

/// Answer of a slippage model, within the limit of the order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slipped {
    Fills(UnitCosts, i64),
    NothingOffered,
    BeyondLimit,
}

/// Values of the row as models see them.
pub(super) struct Row {
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
    pub(super) fn read(feed: &Feed, row: usize, shows_bar: bool) -> Self {
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
    pub(super) fn fill_model<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        models: &mut Models,
        order: &Order,
        (row, wanted): (&Row, i64),
    ) -> Result<Offered> {
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
            average_volume: self.daily.0,
            session_used: scale.quantity_f64(self.daily.1),
        };
        let mut output =
            FillOutput { price: f64::NAN, quantity: f64::NAN, liquidity: self.reach.liquidity, reserved: 0, code: 0 };
        match models.fill.eval(&context, &mut output) {
            Status::OK => {}
            Status::NO_OPINION => return Ok(Offered::Fills(self.reach.price, wanted, self.reach.liquidity)),
            Status::DEFER => return Ok(Offered::Nothing),
            Status::REJECT => return Ok(Offered::Refused),
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
        Ok(if quantity > 0 { Offered::Fills(price, quantity, output.liquidity) } else { Offered::Nothing })
    }

    pub(super) fn slippage_model<R: Recorder>(
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

    pub(super) fn header<C, R>(&self, desk: &Desk<'_, R>, side: Side) -> Header {
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
}

/// A number for a message: what a model answers may have three hundred digits.
pub(super) fn shown(x: f64) -> String {
    if x.abs() >= 1e15 { format!("{x:e}") } else { x.to_string() }
}
