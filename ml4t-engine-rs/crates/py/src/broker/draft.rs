//! From the keywords of an order to an order that is sent.

use ml4t_sim::contingent::GroupKind;
use ml4t_sim::error::SimError;
use ml4t_sim::ids::OrderId;
use ml4t_sim::money::Price;
use ml4t_sim::order::{OrderRequest, Reason, Side};
use ml4t_sim::policies::TickRounding;
use ml4t_sim::state::Asked;
use ml4t_sim::time::render;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{Broker, instrument_id};
use crate::convert::nearest;
use crate::error::{IntoPyResult, argument, to_py};
use crate::handle::OrderHandle;
use crate::terms::{Given, OffGrid, PRICED, TERMS, asked_for, lots};

/// The order to wait for, the group to join by one of its members, and the order whose lots to close.
type Links = (Option<OrderId>, Option<(GroupKind, OrderId)>, Option<OrderId>);

/// An order that was read without a fault: sending it cannot fail.
struct Draft {
    request: OrderRequest,
    tag: Option<String>,
    links: Links,
    /// Why intake will refuse it, and the numbers that the instrument cannot keep.
    refusal: Option<(Reason, String, Asked)>,
}

impl Broker {
    /// Send an order; without a side the sign of the quantity tells the direction.
    pub(super) fn place(
        &self,
        asset: &Bound<'_, PyAny>,
        quantity: &Bound<'_, PyAny>,
        side: Option<Side>,
        given: &Given<'_>,
        infers: bool,
    ) -> PyResult<OrderHandle> {
        let draft = self.draft(asset, quantity, side, given, infers)?;
        self.send(asset.py(), draft)
    }

    /// Send an order of a named side: `buy` and `sell`.
    pub(super) fn place_sided<'py>(
        &self,
        name: &str,
        side: Side,
        asset: &Bound<'py, PyAny>,
        quantity: &Bound<'py, PyAny>,
        terms: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<OrderHandle> {
        let mut given = Given::default();
        given.take(name, terms, &[&TERMS, &PRICED, &["tag"]])?;
        self.place(asset, quantity, Some(side), &given, true)
    }

    /// Send the two exits of an entry, or neither: a stop, and a target that one of the two cancels.
    pub(super) fn place_exits<'py>(
        &self,
        entry: &Bound<'py, PyAny>,
        stop: Given<'py>,
        target: Given<'py>,
    ) -> PyResult<(OrderHandle, OrderHandle)> {
        let py = entry.py();
        let id = self.find(entry)?;
        let (request, quantity) = {
            let core = self.shared.core(py)?;
            let order = core.run.state.order(id);
            let scale = &self.shared.plan.instrument(order.request.instrument).scale;
            let quantity = if order.refusal.is_some() {
                core.run.state.asked(&self.shared.plan, id).quantity.into_pyobject(py)?.into_any()
            } else {
                // As text, because not every quantity is a float.
                format!("{}e-{}", order.request.quantity, scale.quantity_exponent).into_pyobject(py)?.into_any()
            };
            (order.request, quantity)
        };
        let asset = self.shared.symbol(py, request.instrument.index()).into_bound(py).into_any();
        let draft = |given: Given<'py>| {
            let given = Given { parent: Some(entry.clone()), ..given };
            self.draft(&asset, &quantity, Some(request.side.opposite()), &given, true)
        };
        let (stop, mut target) = (draft(stop)?, draft(target)?);
        let stop = self.send(py, stop)?;
        target.links.1 = Some((GroupKind::Oco, stop.order_id()));
        Ok((stop, self.send(py, target)?))
    }

    fn draft(
        &self,
        asset: &Bound<'_, PyAny>,
        quantity: &Bound<'_, PyAny>,
        side: Option<Side>,
        given: &Given<'_>,
        infers: bool,
    ) -> PyResult<Draft> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let instrument = &self.shared.plan.instruments[i];
        let symbol = &instrument.symbol;
        let (order_type, time_in_force) = given.kind(infers)?;
        let (units, is_whole) = lots(quantity, instrument, self.shared.plan.policies.lot_rounding, "quantity")?;
        let (side, units) = match side {
            Some(side) => (side, units),
            None => (if units < 0 { Side::Sell } else { Side::Buy }, units.saturating_abs()),
        };
        let price = |value: Option<&Bound<'_, PyAny>>, field: &str, up: bool| -> PyResult<Option<(Price, bool)>> {
            let read = |v| nearest(v, instrument.scale.price_exponent, (field, symbol), up);
            Ok(value.map(read).transpose()?.map(|(p, is_exact)| (Price(p), is_exact)))
        };
        let prices = (given.limit_price.as_ref(), given.stop_price.as_ref());
        // Rounded to the side that fills less, as the policy for prices off the tick does.
        let limit = price(prices.0, "limit_price", side == Side::Sell)?;
        let stop = price(prices.1, "stop_price", (side == Side::Buy) == order_type.is_stop())?;
        let now = self.sending_at(py)?;
        let at = || format!("({symbol}, {})", render(now));
        if is_whole && units <= 0 {
            let found = quantity.str()?;
            let text = format!(
                "quantity of an order must be above zero, found {found}; the side tells the direction {}",
                at()
            );
            return Err(to_py(py, &SimError::order(text)));
        }
        let mut request = OrderRequest {
            book: self.book,
            order_type,
            time_in_force,
            limit_price: limit.map(|(p, _)| p),
            stop_price: stop.map(|(p, _)| p),
            ..OrderRequest::market(instrument_id(i), side, if is_whole { units } else { units.max(1) })
        };
        given.fill_in(py, &self.shared.plan, i, &mut request)?;
        let text = |value: &Bound<'_, PyAny>| {
            let found =
                value.extract().or_else(|_| Err(argument(py, &format!("tag is a str, found {}", value.repr()?))));
            found.map(Some)
        };
        let tag: Option<String> = given.tag.as_ref().map_or(Ok(None), text)?;
        let links = self.links(py, given, i)?;
        let is_strict = self.shared.plan.policies.tick_rounding == TickRounding::Reject;
        let is_off = |p: Option<(Price, bool)>| is_strict && p.is_some_and(|(_, is_exact)| !is_exact);
        let activation = given.activation_price.as_ref();
        let activation = activation.filter(|_| is_strict && request.trail.is_some());
        let activation = if given.activation_is_off(instrument, side)? { activation } else { None };
        let off_grid =
            OffGrid::of(instrument, (quantity, units, is_whole), (prices, is_off(limit), is_off(stop)), activation)?;
        request.validate().map_err(|e| {
            let text = format!("{} {}", e.message, at());
            to_py(py, &SimError { message: text, ..e })
        })?;
        let refusal = match off_grid {
            None => None,
            Some(OffGrid { reason, text }) => {
                let mut asked = asked_for(quantity, prices, symbol)?;
                if is_whole {
                    // As it was cut to lots, where it was.
                    asked.quantity = instrument.scale.quantity_f64(request.quantity);
                }
                Some((reason, format!("{text} {}", at()), asked))
            }
        };
        Ok(Draft { request, tag, links, refusal })
    }

    /// The order to wait for, the group to join, and the order whose lots to close.
    fn links(&self, py: Python<'_>, given: &Given<'_>, i: usize) -> PyResult<Links> {
        let symbol = &self.shared.plan.instruments[i].symbol;
        let parent = given.parent.as_ref().map(|order| self.find(order)).transpose()?;
        let group = match (&given.oco, &given.ouo) {
            (None, None) => None,
            (Some(other), None) => Some((GroupKind::Oco, self.find(other)?)),
            (None, Some(other)) => Some((GroupKind::Ouo, self.find(other)?)),
            (Some(_), Some(_)) => {
                let text = format!("an order belongs to one group: oco or ouo, not both ({symbol})");
                return Err(to_py(py, &SimError::order(text)));
            }
        };
        let opener = given.lot.as_ref().map(|order| self.find(order)).transpose()?;
        let mut core = self.shared.core(py)?;
        core.run.api().check_group(group).into_py(py)?;
        if let Some(opener) = opener {
            core.run.api().check_lot((self.book, instrument_id(i)), opener).into_py(py)?;
        }
        Ok((parent, group, opener))
    }

    fn send(&self, py: Python<'_>, draft: Draft) -> PyResult<OrderHandle> {
        let Draft { mut request, tag, links: (parent, group, opener), refusal } = draft;
        let mut core = self.shared.core(py)?;
        request.tag = Self::tag(&mut core, tag.as_deref());
        let mut api = core.run.api();
        let sent = match refusal {
            None => api.submit(request),
            Some((reason, text, asked)) => api.submit_refused(request, reason, text, Some(asked)),
        };
        let id = sent.into_py(py)?;
        api.link(id, parent, group).into_py(py)?;
        if let Some(opener) = opener {
            api.name_lot(id, opener);
        }
        Ok(self.handle(id))
    }
}
