//! What models are asked about an execution, and what their answers mean.

use ml4t_abi::{FillContext, Header, Liquidity, Missing, OrderKind, Phase, SlippageContext, SlippageOutput, Status};

use crate::error::{Result, shown};
use crate::matching::Reach;
use crate::models::{FillAnswer, MOST_SLICES, Models};
use crate::money::{Price, mul_div_half_even};
use crate::order::{Order, Side};
use crate::plan::{Feed, FeedKind, bar, quote, trade};
use crate::recorder::Recorder;
use crate::rng::Occasion;
use crate::venue::Desk;

use super::{Execution, UnitCosts};
use crate::models::said;

/// A part of an order that trades at one price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) reference: Price,
    pub(super) quantity: i64,
    pub(super) liquidity: Liquidity,
}

/// The slices of an execution, at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct SliceList {
    slices: [Slice; MOST_SLICES],
    count: usize,
    /// Whether more were offered, beyond the limit of the order.
    pub(super) is_cut: bool,
}

impl SliceList {
    const fn one(slice: Slice) -> Self {
        Self { slices: [slice; MOST_SLICES], count: 1, is_cut: false }
    }

    pub(super) fn parts(&self) -> &[Slice] {
        &self.slices[..self.count]
    }

    /// Several as one, for an order that trades as a whole: all at their average price, which lies between theirs, so
    /// that it has a place where they have.
    pub(super) fn merged(&self) -> Option<Slice> {
        let slices = self.parts();
        if slices.len() < 2 {
            return None;
        }
        let quantity: i64 = slices.iter().map(|slice| slice.quantity).sum();
        let worth = |slice: &Slice| i128::from(slice.reference.0) * i128::from(slice.quantity);
        let average = mul_div_half_even(slices.iter().map(worth).sum(), 1, i128::from(quantity))?;
        Some(Slice { reference: Price(i64::try_from(average).ok()?), quantity, ..slices[0] })
    }
}

/// Answer of a fill model.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives for one statement, and a box would allocate for every fill")]
pub(super) enum Offered {
    /// At least one slice.
    Fills(SliceList),
    Nothing,
    /// The order is not to go on, with the reason's code of the model, 0 for none.
    Refused(u64),
}

/// Answer of a slippage model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slipped {
    Fills(UnitCosts, i64),
    NothingOffered,
}

/// Values of the row as models see them.
pub(super) struct Row {
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
    volume: f64,
    pub(super) bid: f64,
    pub(super) ask: f64,
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
    pub(super) fn offered(&self, phase: Phase, side: Side) -> f64 {
        match (phase, side) {
            (Phase::QUOTE, Side::Buy) => self.ask_size,
            (Phase::QUOTE, Side::Sell) => self.bid_size,
            (Phase::TRADE, _) => self.trade_size,
            _ => self.volume,
        }
    }

    /// Bits of what nobody knows of the row.
    pub(super) fn missing(&self, volume: f64) -> u32 {
        Missing::bits(&[(Missing::BAR, self.high), (Missing::VOLUME, volume), (Missing::QUOTE, self.bid)])
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
        let averages = self.averages[0];
        let missing = row.missing(row.volume) | Missing::bits(&[(Missing::AVERAGE_VOLUME, averages.volume_or_zero())]);
        let context = FillContext {
            header: self.header::<FillContext, R>(desk, order.request.side, missing),
            kind: self.reach.kind,
            phase: self.market.data_phase(desk.plan),
            liquidity: self.reach.liquidity,
            reserved: 0,
            order: self.id.0 + 1,
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
            random: self.draws(desk, models.fill.draws(), 1, order),
            average_volume: averages.volume_or_zero(),
            session_used: scale.quantity_f64(averages.used),
            queue_ahead: self.queue_ahead.map_or(f64::NAN, |ahead| scale.quantity_f64(ahead)),
        };
        let mut answer = FillAnswer::UNSET;
        match models.fill.eval(&context, &mut answer) {
            Status::OK => {}
            Status::NO_OPINION => {
                let Reach { price: reference, liquidity, .. } = self.reach;
                return Ok(Offered::Fills(SliceList::one(Slice { reference, quantity: wanted, liquidity })));
            }
            Status::DEFER => return Ok(Offered::Nothing),
            Status::REJECT => return Ok(Offered::Refused(answer.code)),
            status => {
                return Err(self.model_error(desk, models.fill.name(), &said(status, &models.fill.last_error())));
            }
        }
        self.slices(desk, models.fill.name(), &context, (order, &answer, wanted))
    }

    /// Check what a fill model answered.
    fn slices<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        model: &str,
        context: &FillContext,
        (order, answer, wanted): (&Order, &FillAnswer, i64),
    ) -> Result<Offered> {
        let instrument = &desk.plan.instruments[self.market.instrument];
        let scale = &instrument.scale;
        let Reach { price: reference, liquidity, .. } = self.reach;
        let mut list = SliceList::one(Slice { reference, quantity: 0, liquidity });
        list.count = 0;
        let mut left = wanted;
        for slice in &answer.slices[..answer.count] {
            // A model that answers with what it was given means just that, also beyond the 15 digits of an f64.
            let quantity = if slice.quantity.to_bits() == context.leaves_quantity.to_bits() {
                Some(wanted)
            } else {
                scale.quantity_floor(slice.quantity, instrument.lot_size)
            };
            let same = slice.price.to_bits() == context.price.to_bits();
            let price = if same { Some(reference) } else { scale.price(slice.price) };
            let (Some(price), Some(quantity)) = (price, quantity) else {
                let text =
                    format!("price {} and quantity {} must be {RANGE}", shown(slice.price), shown(slice.quantity));
                return Err(self.model_error(desk, model, &text));
            };
            if quantity > left || quantity < 0 {
                let text = format!("quantity {} of {} open", slice.quantity, scale.quantity_f64(left));
                return Err(self.model_error(desk, model, &text));
            }
            // As with costs: prices below zero are the market's to make.
            if self.reach.price.0 > 0 && price.0 <= 0 {
                let (found, market) = (slice.price, context.price);
                let text = format!("price {found} where the market's is {market}; it must be above zero");
                return Err(self.model_error(desk, model, &text));
            }
            // What trading costs is for the models of slippage and impact; a fill itself keeps the limit.
            let limit = order.request.limit_price.filter(|_| quantity > 0 && self.reach.kind == OrderKind::LIMIT);
            if let Some(limit) = limit.filter(|limit| (price.0 - limit.0) * order.request.side.sign() > 0) {
                if list.count > 0 {
                    list.is_cut = true;
                    break;
                }
                let (found, limit) = (slice.price, scale.price_f64(limit));
                return Err(self.model_error(desk, model, &format!("price {found} is worse than the limit {limit}")));
            }
            if ![Liquidity::TAKER, Liquidity::MAKER].contains(&slice.liquidity) {
                let text = format!("liquidity {} is neither 1 (taker) nor 2 (maker)", slice.liquidity.0);
                return Err(self.model_error(desk, model, &text));
            }
            left -= quantity;
            if quantity > 0 {
                list.slices[list.count] = Slice { reference: price, quantity, liquidity: slice.liquidity };
                list.count += 1;
            }
        }
        Ok(if list.count > 0 { Offered::Fills(list) } else { Offered::Nothing })
    }

    pub(super) fn slippage_model<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        models: &mut Models,
        order: &Order,
        (row, Slice { reference, quantity, .. }): (&Row, Slice),
    ) -> Result<Slipped> {
        if models.slippage.is_neutral() {
            return Ok(Slipped::Fills(UnitCosts::default(), quantity));
        }
        let phase = self.market.data_phase(desk.plan);
        let volume = row.offered(phase, order.request.side);
        let averages = self.averages[1];
        let instrument = &desk.plan.instruments[self.market.instrument];
        let scale = &instrument.scale;
        let context = SlippageContext {
            header: self.header::<SlippageContext, R>(
                desk,
                order.request.side,
                row.missing(volume) | averages.missing(),
            ),
            phase,
            reserved: 0,
            price: scale.price_f64(reference),
            quantity: scale.quantity_f64(quantity),
            open: row.open,
            high: row.high,
            low: row.low,
            close: row.close,
            volume,
            bid: row.bid,
            ask: row.ask,
            volume_used: scale.quantity_f64(self.volume_used),
            tick_size: scale.price_f64(Price(instrument.tick_size)),
            lot_size: scale.quantity_f64(instrument.lot_size),
            multiplier: scale.multiplier_f64(),
            random: self.draws(desk, models.slippage.draws(), 2, order),
            average_volume: averages.volume,
            volatility: averages.volatility,
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
            let text = format!("adjustment {adjustment} and spread {spread} must be {RANGE}");
            return Err(self.model_error(desk, models.slippage.name(), &text));
        };
        Ok(Slipped::Fills(UnitCosts { spread, slippage, ..UnitCosts::default() }, quantity))
    }

    /// One call of the slippage model; `None` when it lets nothing fill now.
    fn slip<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        models: &mut Models,
        context: &SlippageContext,
    ) -> Result<Option<SlippageOutput>> {
        let mut output = SlippageOutput::UNSET;
        match models.slippage.eval(context, &mut output) {
            Status::OK => Ok(Some(output)),
            Status::NO_OPINION => {
                Ok(Some(SlippageOutput { adjustment: 0.0, spread: 0.0, quantity_cap: f64::INFINITY, code: 0 }))
            }
            Status::DEFER | Status::REJECT => Ok(None),
            status => Err(self.model_error(desk, models.slippage.name(), &said(status, &models.slippage.last_error()))),
        }
    }

    pub(super) fn header<C, R>(&self, desk: &Desk<'_, R>, side: Side, missing: u32) -> Header {
        let side = if side == Side::Buy { 1 } else { -1 };
        let asset = u32::try_from(self.market.instrument).unwrap_or(u32::MAX);
        Header { flags: missing, ..Header::of::<C>(side, asset, desk.state.now) }
    }

    /// Draws of one model for this attempt of the order, NaN where it wants none.
    pub(super) fn draws<R>(&self, desk: &Desk<'_, R>, wanted: usize, model: u32, order: &Order) -> [f64; 4] {
        let mut draws = [f64::NAN; 4];
        if wanted > 0 {
            let all = Occasion { model, order: self.id.0, attempt: order.attempts }.uniforms(desk.plan.seed);
            let n = wanted.min(4);
            draws[..n].copy_from_slice(&all[..n]);
        }
        draws
    }
}

/// What numbers of models have to be, in words.
pub(super) const RANGE: &str = "finite and within the instrument's range";
