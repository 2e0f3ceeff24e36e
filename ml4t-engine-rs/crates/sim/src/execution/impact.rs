//! What our own size does to a price, and how far costs may go.

use ml4t_abi::{ImpactContext, ImpactOutput, Liquidity, OrderKind, Status};

use crate::error::{Result, shown};
use crate::models::Models;
use crate::money::Price;
use crate::order::{Order, Side};
use crate::policies::LimitSlippage;
use crate::recorder::Recorder;
use crate::venue::Desk;

use super::asked::{RANGE, Row, Slice};
use super::{Execution, UnitCosts};
use crate::models::said;

/// What a fill pays for the moves of the price by our fills, and by how much it moves it itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub(super) costs: UnitCosts,
    pub(super) pushes: Price,
}

impl Execution {
    /// Ask the impact model about one slice.
    pub(super) fn impact_model<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        models: &mut Models,
        order: &Order,
        (row, slice): (&Row, Slice),
    ) -> Result<Moved> {
        let Some(model) = &mut models.impact else { return Ok(Moved::default()) };
        let instrument = &desk.plan.instruments[self.market.instrument];
        let scale = &instrument.scale;
        let side = order.request.side;
        let displacement = Price(desk.state.displacement[self.market.instrument]);
        let phase = self.market.data_phase(desk.plan);
        let volume = row.offered(phase, side);
        let averages = self.averages[2];
        let context = ImpactContext {
            header: self.header::<ImpactContext, R>(desk, side, row.missing(volume) | averages.missing()),
            phase,
            reserved: 0,
            price: scale.price_f64(slice.reference),
            quantity: scale.quantity_f64(slice.quantity),
            order_quantity: scale.quantity_f64(order.request.quantity),
            order_filled_quantity: scale.quantity_f64(order.filled),
            open: row.open,
            high: row.high,
            low: row.low,
            close: row.close,
            volume,
            bid: row.bid,
            ask: row.ask,
            volume_used: scale.quantity_f64(self.volume_used),
            average_volume: averages.volume,
            volatility: averages.volatility,
            displacement: scale.price_f64(displacement),
            tick_size: scale.price_f64(Price(instrument.tick_size)),
            lot_size: scale.quantity_f64(instrument.lot_size),
            multiplier: scale.multiplier_f64(),
            random: self.draws(desk, model.draws(), 3, order),
        };
        let mut output = ImpactOutput::UNSET;
        match model.eval(&context, &mut output) {
            Status::OK => {}
            Status::NO_OPINION => (output.temporary, output.permanent) = (0.0, 0.0),
            status => {
                let (name, text) = (model.name().to_owned(), said(status, &model.last_error()));
                return Err(self.model_error(desk, &name, &text));
            }
        }
        let (Some(temporary), Some(pushes)) = (scale.price(output.temporary), scale.price(output.permanent)) else {
            let (temporary, permanent) = (shown(output.temporary), shown(output.permanent));
            let text = format!("temporary {temporary} and permanent {permanent} must be {RANGE}");
            let name = model.name().to_owned();
            return Err(self.model_error(desk, &name, &text));
        };
        let permanent_impact = Price(displacement.0 * side.sign());
        let Some(impact) = temporary.0.checked_add(permanent_impact.0).map(Price) else {
            return Err(self.out_of_range(desk, "impact"));
        };
        Ok(Moved { costs: UnitCosts { impact, permanent_impact, ..UnitCosts::default() }, pushes })
    }

    /// Costs as far as the limit of the order lets them go; `None` where they would pass it and may not.
    pub(super) fn within_limit<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        order: &Order,
        (slipped, moved): (UnitCosts, UnitCosts),
        (reference, liquidity): (Price, Liquidity),
    ) -> Option<UnitCosts> {
        let policy = desk.plan.policies.limit_slippage;
        let is_limit = self.reach.kind == OrderKind::LIMIT;
        if is_limit && policy != LimitSlippage::Full && (policy == LimitSlippage::None || liquidity == Liquidity::MAKER)
        {
            return Some(UnitCosts::default());
        }
        let mut costs = UnitCosts { spread: slipped.spread, slippage: slipped.slippage, ..moved };
        let limit = order.request.limit_price.filter(|_| is_limit && policy != LimitSlippage::Full);
        let room = limit.map(|limit| limit.0.saturating_sub(reference.0).saturating_mul(order.request.side.sign()));
        // A slice may lie beyond the limit; costs are cut to nothing then, never below it.
        let room = room.map(|room| if policy == LimitSlippage::Clamp { room.max(0) } else { room });
        let all = costs.spread.0.saturating_add(costs.slippage.0).saturating_add(costs.impact.0);
        match room {
            Some(room) if all > room => {
                if policy == LimitSlippage::Refuse {
                    return None;
                }
                // Cut from the impact first, then from the slippage, then from the spread.
                costs.impact.0 -= all.saturating_sub(room).min(costs.impact.0.max(0));
                costs.permanent_impact = costs.permanent_impact.min(costs.impact);
                let room = room.saturating_sub(costs.impact.0);
                if costs.spread.0.saturating_add(costs.slippage.0) > room {
                    costs.spread.0 = costs.spread.0.min(room);
                    costs.slippage.0 = room - costs.spread.0;
                }
            }
            _ => {}
        }
        Some(costs)
    }

    /// Prices below zero are the market's to make (power, calendar spreads), never a cost model's.
    pub(super) fn refuse_negative<R>(
        &self,
        desk: &Desk<'_, R>,
        models: &Models,
        reference: Price,
        costs: UnitCosts,
        side: Side,
    ) -> Result<()> {
        let scale = &desk.plan.instruments[self.market.instrument].scale;
        let slipped = costs.spread.0.saturating_add(costs.slippage.0);
        let per_unit = slipped.saturating_add(costs.impact.0);
        let price = reference.0.saturating_add(per_unit.saturating_mul(side.sign()));
        if reference.0 <= 0 || price > 0 {
            return Ok(());
        }
        let impact = models.impact.as_ref().filter(|_| reference.0.saturating_add(slipped * side.sign()) > 0);
        let model = impact.map_or_else(|| models.slippage.name(), |model| model.name());
        let text = format!(
            "costs of {} per unit would take the price from {} to {}; a price above zero must stay above zero",
            scale.price_f64(Price(per_unit)),
            scale.price_f64(reference),
            scale.price_f64(Price(price)),
        );
        Err(self.model_error(desk, model, &text))
    }
}
