//! Market orders towards a quantity, a value or a fraction of equity.

use std::collections::BTreeSet;

use ml4t_sim::error::SimError;
use ml4t_sim::money::{Cash, Decimal};
use ml4t_sim::order::{OrderRequest, Reason, Side, TimeInForce};
use ml4t_sim::state::Asked;
use ml4t_sim::targets::{Target, expected_quantity, fraction_of_equity};
use ml4t_sim::time::render;
use pyo3::prelude::*;

use super::{Broker, instrument_id};
use crate::convert::decimal;
use crate::error::{IntoPyResult, argument, to_py};
use crate::handle::OrderHandle;
use crate::shared::Core;
use crate::terms::{lots, name_of};

/// Decimals of cash, to which fractions and amounts of targets are cut.
const EXPONENT: u32 = ml4t_sim::money::CASH_EXPONENT;

/// Lifetime and text that the orders of one call share.
pub(super) type Common<'a, 'py> = (Option<&'a Bound<'py, PyAny>>, Option<&'a str>);

impl Broker {
    /// A market order without a size yet.
    fn template(&self, core: &mut Core, (time_in_force, tag): Common<'_, '_>) -> PyResult<OrderRequest> {
        let life = time_in_force
            .map_or(Ok(TimeInForce::Gtc), |value| TimeInForce::parse(&name_of(value)?).into_py(value.py()))?;
        let tag = Self::tag(core, tag);
        Ok(OrderRequest {
            book: self.book,
            time_in_force: life,
            tag,
            ..OrderRequest::market(instrument_id(0), Side::Buy, 0)
        })
    }

    /// Position once the market orders under way have filled.
    fn expected(&self, core: &Core, i: usize) -> i64 {
        let place = (self.book, instrument_id(i));
        expected_quantity(&core.run.state, place, &core.run.open_orders(i), self.shared.plan.policies.target_orders)
    }

    /// Towards a signed quantity.
    fn towards(
        &self,
        py: Python<'_>,
        core: &mut Core,
        i: usize,
        target: i64,
        template: OrderRequest,
    ) -> PyResult<Option<OrderHandle>> {
        let working = core.run.open_orders(i);
        let template = OrderRequest { instrument: instrument_id(i), ..template };
        let sent = core.run.api().order_target(template, target, &working).into_py(py)?;
        Ok(sent.map(|id| self.handle(id)))
    }

    /// Towards a value; a rejected order before the instrument's first price.
    fn towards_value(
        &self,
        py: Python<'_>,
        core: &mut Core,
        i: usize,
        value: Cash,
        template: OrderRequest,
    ) -> PyResult<Option<OrderHandle>> {
        let expected = self.expected(core, i);
        let template = OrderRequest { instrument: instrument_id(i), ..template };
        let sent = core.run.api().order_value(template, value, expected).into_py(py)?;
        Ok(sent.map(|id| self.handle(id)))
    }

    /// Towards a fraction of equity.
    pub(super) fn target_percent(
        &self,
        asset: &Bound<'_, PyAny>,
        percent: &Bound<'_, PyAny>,
        common: Common<'_, '_>,
    ) -> PyResult<Option<OrderHandle>> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let fraction = decimal(percent, "percent", &self.shared.plan.instruments[i].symbol)?.truncated(EXPONENT);
        let mut core = self.sending(py)?;
        let value = fraction_of_equity(&self.shared.plan, &core.run.state, self.book, fraction).into_py(py)?;
        let template = self.template(&mut core, common)?;
        self.towards_value(py, &mut core, i, value, template)
    }

    /// Towards a value in the account's currency.
    pub(super) fn target_value(
        &self,
        asset: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        common: Common<'_, '_>,
    ) -> PyResult<Option<OrderHandle>> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let amount =
            Cash::from_decimal(decimal(value, "value", &self.shared.plan.instruments[i].symbol)?.truncated(EXPONENT))
                .ok_or_else(|| to_py(py, &SimError::overflow("value leaves the range of the ledger".to_owned())))?;
        let mut core = self.sending(py)?;
        let template = self.template(&mut core, common)?;
        self.towards_value(py, &mut core, i, amount, template)
    }

    /// Towards a signed number of units; one off the lot is refused by intake.
    pub(super) fn target_quantity(
        &self,
        asset: &Bound<'_, PyAny>,
        quantity: &Bound<'_, PyAny>,
        common: Common<'_, '_>,
    ) -> PyResult<Option<OrderHandle>> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let instrument = &self.shared.plan.instruments[i];
        let symbol = &instrument.symbol;
        let (target, is_whole) = lots(quantity, instrument, self.shared.plan.policies.lot_rounding, "quantity")?;
        let mut core = self.sending(py)?;
        let template = self.template(&mut core, common)?;
        if is_whole {
            return self.towards(py, &mut core, i, target, template);
        }
        let lot = instrument.scale.quantity_f64(instrument.lot_size);
        let now = render(core.run.state.now);
        let text = format!("target quantity {} is not a multiple of lot_size {lot} ({symbol}, {now})", quantity.str()?);
        let expected = self.expected(&core, i);
        let change = decimal(quantity, "quantity", symbol)?
            .minus(Decimal { mantissa: expected.into(), exponent: instrument.scale.quantity_exponent })
            .map_or(f64::NAN, Decimal::to_f64);
        let asked = Asked { quantity: change.abs(), limit_price: f64::NAN, stop_price: f64::NAN };
        let side = if change < 0.0 { Side::Sell } else { Side::Buy };
        let (instrument, quantity) = (instrument_id(i), instrument.lot_size);
        let request = OrderRequest { instrument, side, quantity, ..template };
        let id = core.run.api().submit_refused(request, Reason::OffLot, text, Some(asked)).into_py(py)?;
        Ok(Some(self.handle(id)))
    }

    /// A basket towards fractions of equity: what is sold first, then by symbol.
    pub(super) fn target_weights(
        &self,
        weights: &Bound<'_, PyAny>,
        keep_others: bool,
        common: Common<'_, '_>,
    ) -> PyResult<Vec<OrderHandle>> {
        let py = weights.py();
        let mut targets = self.weights(weights)?;
        let mut core = self.sending(py)?;
        if !keep_others {
            targets.extend(self.unnamed(&core, &targets));
        }
        let targets: Vec<Target> = targets
            .into_iter()
            .map(|(i, weight)| Target { instrument: instrument_id(i), weight, expected: self.expected(&core, i) })
            .collect();
        let template = self.template(&mut core, common)?;
        let mut sent = Vec::new();
        core.run.api().order_weights(template, &targets, &mut sent).into_py(py)?;
        Ok(sent.into_iter().map(|id| self.handle(id)).collect())
    }

    fn weights(&self, weights: &Bound<'_, PyAny>) -> PyResult<Vec<(usize, Option<Decimal>)>> {
        let py = weights.py();
        let Ok(items) = weights.call_method0("items") else {
            let text = format!("weights is a mapping of symbol to fraction of equity, found {}", weights.repr()?);
            return Err(argument(py, &text));
        };
        let mut out = Vec::new();
        for pair in items.try_iter()? {
            let (asset, weight): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
            let i = self.shared.instrument(&asset)?;
            let weight = decimal(&weight, "weight", &self.shared.plan.instruments[i].symbol)?;
            out.push((i, Some(weight.truncated(EXPONENT))));
        }
        Ok(out)
    }

    /// What is held or under way, and not named.
    fn unnamed(&self, core: &Core, named: &[(usize, Option<Decimal>)]) -> Vec<(usize, Option<Decimal>)> {
        let positions = &core.run.state.book(self.book).positions;
        let held = (0..positions.len()).filter(|&i| positions[i].quantity != 0);
        let under_way = core.run.all_open_orders();
        let under_way = under_way.iter().map(|&id| core.run.state.order(id).request.instrument.index());
        let others: BTreeSet<usize> = held.chain(under_way).filter(|i| named.iter().all(|n| n.0 != *i)).collect();
        others.into_iter().filter(|&i| self.expected(core, i) != 0).map(|i| (i, None)).collect()
    }

    /// Towards nothing.
    pub(super) fn target_nothing(
        &self,
        asset: &Bound<'_, PyAny>,
        common: Common<'_, '_>,
    ) -> PyResult<Option<OrderHandle>> {
        let i = self.shared.instrument(asset)?;
        let mut core = self.sending(asset.py())?;
        let template = self.template(&mut core, common)?;
        self.towards(asset.py(), &mut core, i, 0, template)
    }
}
