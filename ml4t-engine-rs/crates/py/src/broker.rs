//! Orders and account, as a strategy sees them.

use std::collections::BTreeSet;
use std::sync::Arc;

use ml4t_sim::account::{Worth, buying_power};
use ml4t_sim::contingent::GroupKind;
use ml4t_sim::error::SimError;
use ml4t_sim::ids::{BookId, InstrumentId, OrderId};
use ml4t_sim::money::{Cash, Decimal, Price};
use ml4t_sim::order::{Order, OrderRequest, OrderStatus, OrderType, Reason, Side, TimeInForce};
use ml4t_sim::policies::TickRounding;
use ml4t_sim::replace::Changes;
use ml4t_sim::rules::{PositionRules, RuleKind};
use ml4t_sim::state::Asked;
use ml4t_sim::targets::{expected_quantity, fraction_of_equity, quantity_for_value};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{decimal, nearest};
use crate::error::{IntoPyResult, argument, to_py, unknown_name};
use crate::handle::OrderHandle;
use crate::position::Position;
use crate::shared::{Core, Shared, Stage};
use crate::terms::{CHANGES, Given, OffGrid, PRICED, TERMS, asked_for, name_of};

/// Decimals of cash, to which fractions and amounts of targets are cut.
const EXPONENT: u32 = ml4t_sim::money::CASH_EXPONENT;

/// Orders and cancels that may wait for intake: a loop without end stops before memory does.
const MAX_COMMANDS: usize = 1_000_000;

/// Orders and account of one strategy.
#[pyclass(frozen, module = "ml4t.backtest", name = "Broker")]
pub(crate) struct Broker {
    shared: Arc<Shared>,
    book: BookId,
}

/// What the keyword arguments of an order say, beside instrument and quantity.
#[derive(Clone, Copy)]
struct Terms {
    order_type: OrderType,
    time_in_force: TimeInForce,
    tag: u32,
}

/// The order to wait for, and the group to join by one of its members.
type Links = (Option<OrderId>, Option<(GroupKind, OrderId)>);

fn read_time_in_force(value: Option<&Bound<'_, PyAny>>) -> PyResult<TimeInForce> {
    value.map_or(Ok(TimeInForce::Gtc), |v| TimeInForce::parse(&name_of(v)?).into_py(v.py()))
}

impl Broker {
    pub(crate) fn new(shared: &Arc<Shared>, book: BookId) -> Self {
        Self { shared: Arc::clone(shared), book }
    }

    /// Refuse orders from outside a callback, or from another thread.
    pub(crate) fn check_stage(py: Python<'_>, core: &Core) -> PyResult<()> {
        let text = match core.stage {
            Stage::Starting => "orders can be sent from the first event on, not in on_start or before the run",
            Stage::Finished => "the run is over; no order can be sent or canceled",
            Stage::Calling if core.owner != std::thread::current().id() => {
                "orders may be sent only from the thread that runs the strategy"
            }
            Stage::Calling if core.run.state.commands.len() >= MAX_COMMANDS => {
                let now = ml4t_sim::time::render(core.run.state.now);
                let text = format!(
                    "more than 1,000,000 orders and cancels in one callback ({now}); most likely a loop without end"
                );
                return Err(to_py(py, &SimError::order(text)));
            }
            Stage::Calling => return Ok(()),
        };
        Err(to_py(py, &SimError::state(text.to_owned())))
    }

    fn tag(core: &mut Core, tag: Option<&str>) -> u32 {
        let Some(tag) = tag.filter(|t| !t.is_empty()) else { return 0 };
        if let Some(&found) = core.text_index.get(tag) {
            return found;
        }
        let next = u32::try_from(core.texts.len()).unwrap_or(0);
        core.texts.push(tag.to_owned());
        core.text_index.insert(tag.to_owned(), next);
        next
    }

    fn handle(&self, id: OrderId) -> OrderHandle {
        OrderHandle::new(&self.shared, id)
    }

    /// Send an order; without a side the sign of the quantity tells the direction.
    fn place(
        &self,
        asset: &Bound<'_, PyAny>,
        quantity: &Bound<'_, PyAny>,
        side: Option<Side>,
        given: &Given<'_>,
        infers: bool,
    ) -> PyResult<OrderHandle> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let instrument = &self.shared.plan.instruments[i];
        let symbol = &instrument.symbol;
        let (order_type, time_in_force) = given.kind(infers)?;
        let (units, is_whole) = nearest(quantity, instrument.scale.quantity_exponent, ("quantity", symbol), false)?;
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
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        let now = ml4t_sim::time::render(core.run.state.now);
        if is_whole && units <= 0 {
            let found = quantity.str()?;
            let text = format!(
                "quantity of an order must be above zero, found {found}; the side tells the direction ({symbol}, {now})"
            );
            return Err(to_py(py, &SimError::order(text)));
        }
        let tag: Option<String> = given.tag.as_ref().map(PyAnyMethods::extract).transpose()?;
        let mut request = OrderRequest {
            book: self.book,
            order_type,
            time_in_force,
            limit_price: limit.map(|(p, _)| p),
            stop_price: stop.map(|(p, _)| p),
            tag: Self::tag(&mut core, tag.as_deref()),
            ..OrderRequest::market(instrument_id(i), side, if is_whole { units } else { units.max(1) })
        };
        drop(core);
        given.fill_in(py, &self.shared.plan, i, &mut request)?;
        let (parent, group) = self.links(py, given, symbol)?;
        let is_strict = self.shared.plan.policies.tick_rounding == TickRounding::Reject;
        let is_off = |p: Option<(Price, bool)>| is_strict && p.is_some_and(|(_, is_exact)| !is_exact);
        let activation = given.activation_price.as_ref();
        let activation = activation.filter(|_| is_strict && request.trail.is_some());
        let activation = if given.activation_is_off(instrument, side)? { activation } else { None };
        let off_grid =
            OffGrid::of(instrument, (quantity, is_whole), (prices, is_off(limit), is_off(stop)), activation)?;
        let mut core = self.shared.core(py)?;
        core.run.api().check_group(group).into_py(py)?;
        let sent = match off_grid {
            None => core.run.api().submit(request),
            Some(OffGrid { reason, text }) => {
                let asked = asked_for(quantity, prices, symbol)?;
                core.run.api().submit_refused(request, reason, format!("{text} ({symbol}, {now})"), Some(asked))
            }
        };
        let id = sent.map_err(|e| {
            let text = format!("{} ({symbol}, {now})", e.message);
            to_py(py, &SimError { message: text, ..e })
        })?;
        core.run.api().link(id, parent, group).into_py(py)?;
        drop(core);
        Ok(self.handle(id))
    }

    /// Send an order of a named side: `buy` and `sell`.
    fn place_sided<'py>(
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

    /// The order to wait for, and the group to join.
    fn links(&self, py: Python<'_>, given: &Given<'_>, symbol: &str) -> PyResult<Links> {
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
        Ok((parent, group))
    }

    fn template(&self, i: usize, terms: Terms) -> OrderRequest {
        OrderRequest {
            book: self.book,
            order_type: terms.order_type,
            time_in_force: terms.time_in_force,
            tag: terms.tag,
            ..OrderRequest::market(instrument_id(i), Side::Buy, 0)
        }
    }

    /// Position once the market orders under way have filled.
    fn expected(&self, core: &Core, i: usize) -> i64 {
        expected_quantity(&core.run.state, self.book, instrument_id(i), &core.run.open_orders(i))
    }

    /// Market order towards a signed quantity.
    fn towards(
        &self,
        py: Python<'_>,
        core: &mut Core,
        i: usize,
        target: i64,
        terms: Terms,
    ) -> PyResult<Option<OrderHandle>> {
        let working = core.run.open_orders(i);
        let sent = core.run.api().order_target(self.template(i, terms), target, &working).into_py(py)?;
        Ok(sent.map(|id| self.handle(id)))
    }

    /// Market order towards a value; a rejected one before the instrument's first price.
    fn towards_value(
        &self,
        py: Python<'_>,
        core: &mut Core,
        i: usize,
        value: Cash,
        terms: Terms,
    ) -> PyResult<Option<OrderHandle>> {
        if let Some(target) = self.quantity_for(py, core, i, value)? {
            return self.towards(py, core, i, target, terms);
        }
        let sent = core.run.api().refuse_without_price(self.template(i, terms), value > Cash::ZERO);
        Ok(Some(self.handle(sent.into_py(py)?)))
    }

    fn terms(core: &mut Core, time_in_force: Option<&Bound<'_, PyAny>>, tag: Option<&str>) -> PyResult<Terms> {
        Ok(Terms {
            order_type: OrderType::Market,
            time_in_force: read_time_in_force(time_in_force)?,
            tag: Self::tag(core, tag),
        })
    }

    fn quantity_for(&self, py: Python<'_>, core: &Core, i: usize, value: Cash) -> PyResult<Option<i64>> {
        if value == Cash::ZERO {
            return Ok(Some(0));
        }
        quantity_for_value(&self.shared.plan, &core.run.state, instrument_id(i), value).into_py(py)
    }

    fn find(&self, order: &Bound<'_, PyAny>) -> PyResult<OrderId> {
        let py = order.py();
        if let Ok(handle) = order.cast::<OrderHandle>() {
            if !Arc::ptr_eq(handle.get().shared(), &self.shared) {
                return Err(to_py(py, &SimError::order("the order belongs to another run".to_owned())));
            }
            return Ok(handle.get().order_id());
        }
        let number: u64 = order.extract().map_err(|_| {
            to_py(py, &SimError::order("an order is named by its handle or by its id (int)".to_owned()))
        })?;
        let count = self.shared.core(py)?.run.state.orders.len() as u64;
        if number == 0 || number > count {
            let text = format!("no order {number}; this run has sent {count} so far");
            return Err(to_py(py, &SimError::order(text)));
        }
        Ok(OrderId(number - 1))
    }

    fn select(&self, py: Python<'_>, wanted: impl Fn(&Order) -> bool) -> PyResult<Vec<OrderHandle>> {
        let core = self.shared.core(py)?;
        let orders = core.run.state.orders.iter().enumerate();
        Ok(orders
            .filter(|(_, o)| o.request.book == self.book && wanted(o))
            .map(|(k, _)| self.handle(OrderId(k as u64)))
            .collect())
    }
}

#[pymethods]
impl Broker {
    /// Send an order and return its live handle.
    ///
    /// Without `side` the sign of `quantity` tells the direction. Prices and quantity may be int, float, str
    /// or `Decimal`. The order is checked at the intake of this instant; look at the handle, or at
    /// `on_order`, for the answer.
    #[pyo3(signature = (
        asset, quantity, side = None, order_type = None, limit_price = None, stop_price = None, **terms
    ))]
    #[expect(clippy::too_many_arguments, reason = "the documented signature")]
    fn submit_order<'py>(
        &self,
        asset: &Bound<'py, PyAny>,
        quantity: &Bound<'py, PyAny>,
        side: Option<&Bound<'py, PyAny>>,
        order_type: Option<Bound<'py, PyAny>>,
        limit_price: Option<Bound<'py, PyAny>>,
        stop_price: Option<Bound<'py, PyAny>>,
        terms: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<OrderHandle> {
        let side = side.map(|s| Side::parse(&name_of(s)?).into_py(s.py())).transpose()?;
        let mut given = Given::priced(order_type, limit_price, stop_price);
        given.take("submit_order", terms, &[&TERMS, &["tag"]])?;
        self.place(asset, quantity, side, &given, false)
    }

    /// Send a buy order; keywords as in `submit_order`.
    #[pyo3(signature = (asset, quantity, **terms))]
    fn buy<'py>(
        &self,
        asset: &Bound<'py, PyAny>,
        quantity: &Bound<'py, PyAny>,
        terms: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<OrderHandle> {
        self.place_sided("buy", Side::Buy, asset, quantity, terms)
    }

    /// Send a sell order; keywords as in `submit_order`.
    #[pyo3(signature = (asset, quantity, **terms))]
    fn sell<'py>(
        &self,
        asset: &Bound<'py, PyAny>,
        quantity: &Bound<'py, PyAny>,
        terms: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<OrderHandle> {
        self.place_sided("sell", Side::Sell, asset, quantity, terms)
    }

    /// Send a stop and a target that wait for `entry` and cancel each other; returns their handles.
    ///
    /// The stop is at `stop_price`, or follows the market with `trail_amount` or `trail_fraction`; the target is a
    /// limit order at `limit_price`.
    #[pyo3(signature = (
        entry, *, limit_price, stop_price = None, trail_amount = None, trail_fraction = None, time_in_force = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "the documented signature")]
    fn bracket<'py>(
        &self,
        entry: &Bound<'py, PyAny>,
        limit_price: &Bound<'py, PyAny>,
        stop_price: Option<&Bound<'py, PyAny>>,
        trail_amount: Option<&Bound<'py, PyAny>>,
        trail_fraction: Option<&Bound<'py, PyAny>>,
        time_in_force: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(OrderHandle, OrderHandle)> {
        let py = entry.py();
        let id = self.find(entry)?;
        let (request, quantity) = {
            let core = self.shared.core(py)?;
            (core.run.state.order(id).request, core.run.state.asked(&self.shared.plan, id).quantity)
        };
        let asset = self.shared.symbol(py, request.instrument.index()).into_bound(py).into_any();
        let quantity = quantity.into_pyobject(py)?.into_any();
        let side = request.side.opposite();
        let stop = PyDict::new(py);
        stop.set_item("parent", entry)?;
        stop.set_item("time_in_force", time_in_force)?;
        let is_trailing = trail_amount.is_some() || trail_fraction.is_some();
        stop.set_item("order_type", if is_trailing { "trailing_stop" } else { "stop" })?;
        stop.set_item("stop_price", stop_price)?;
        stop.set_item("trail_amount", trail_amount)?;
        stop.set_item("trail_fraction", trail_fraction)?;
        let send = |terms: &Bound<'py, PyDict>| {
            let mut given = Given::default();
            given.take("bracket", Some(terms), &[&TERMS, &PRICED])?;
            self.place(&asset, &quantity, Some(side), &given, true)
        };
        let stop = send(&stop)?;
        let target = PyDict::new(py);
        target.set_item("parent", entry)?;
        target.set_item("time_in_force", time_in_force)?;
        target.set_item("order_type", "limit")?;
        target.set_item("limit_price", limit_price)?;
        target.set_item("oco", stop.order_id().0 + 1)?;
        Ok((stop, send(&target)?))
    }

    /// Ask for another total quantity or other prices; False when the order is complete already.
    #[pyo3(signature = (order, **changes))]
    fn modify_order<'py>(&self, order: &Bound<'py, PyAny>, changes: Option<&Bound<'py, PyDict>>) -> PyResult<bool> {
        let py = order.py();
        let id = self.find(order)?;
        let mut given = Given::default();
        given.take("modify_order", changes, &[&CHANGES])?;
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        let request = core.run.state.order(id).request;
        let (i, is_stop) = (request.instrument.index(), request.order_type.is_stop());
        let asked = given.changes(py, &self.shared.plan, i, request.side, is_stop)?;
        if asked == Changes::default() {
            return Err(argument(py, &format!("modify_order needs at least one of {}", CHANGES.join(", "))));
        }
        let now = ml4t_sim::time::render(core.run.state.now);
        core.run.api().modify(id, asked).map_err(|e| {
            let text = format!("{} ({}, {now})", e.message, self.shared.plan.instruments[i].symbol);
            to_py(py, &SimError { message: text, ..e })
        })
    }

    /// Guard all positions, open and future, with rules of `ml4t.backtest.rules`; they replace those set before.
    ///
    /// None takes the rules away.
    fn set_position_rules(&self, py: Python<'_>, rules: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let mut wanted = PositionRules::default();
        if let Some(rules) = rules {
            let Ok(listed) = rules.getattr("rules") else {
                return Err(argument(
                    py,
                    &format!(
                        "position rules are StopLoss, TakeProfit, TrailingStop or a CompositeRule of them, found {}",
                        rules.repr()?
                    ),
                ));
            };
            for rule in listed.try_iter()? {
                let rule = rule?;
                let name: String = rule.getattr("kind")?.extract()?;
                let kind = RuleKind::ALL.into_iter().find(|k| k.as_str() == name).ok_or_else(|| {
                    unknown_name(py, "position rule", &name, RuleKind::ALL.iter().map(|k| k.as_str()))
                })?;
                wanted = wanted.with(kind, decimal(&rule.getattr("pct")?, "pct", &name)?).into_py(py)?;
            }
        }
        let mut core = self.shared.core(py)?;
        // Rules send nothing by themselves, so on_start may set them.
        if core.stage != Stage::Starting {
            Self::check_stage(py, &core)?;
        }
        core.run.api().set_position_rules(self.book, wanted);
        Ok(())
    }

    /// Ask to take an order back; False when it is complete already.
    fn cancel_order(&self, order: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = order.py();
        let id = self.find(order)?;
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        Ok(core.run.api().cancel(id))
    }

    /// Live handle of an order.
    fn get_order(&self, order: &Bound<'_, PyAny>) -> PyResult<OrderHandle> {
        Ok(self.handle(self.find(order)?))
    }

    /// Handles of all orders that can still change, in the order they were sent.
    #[getter]
    fn open_orders(&self, py: Python<'_>) -> PyResult<Vec<OrderHandle>> {
        let core = self.shared.core(py)?;
        let ids = core.run.all_open_orders().into_iter();
        Ok(ids.filter(|&id| core.run.state.order(id).request.book == self.book).map(|id| self.handle(id)).collect())
    }

    /// Handles of all orders that were refused.
    #[getter]
    fn rejected_orders(&self, py: Python<'_>) -> PyResult<Vec<OrderHandle>> {
        self.select(py, |o| o.status == OrderStatus::Rejected)
    }

    /// Position of an instrument, or None when nothing is held.
    fn get_position(&self, asset: &Bound<'_, PyAny>) -> PyResult<Option<Position>> {
        let i = self.shared.instrument(asset)?;
        let core = self.shared.core(asset.py())?;
        Ok(Position::read(&self.shared, &core, self.book, i))
    }

    /// Positions that are not flat, by symbol.
    #[getter]
    fn positions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.shared.core(py)?;
        let out = PyDict::new(py);
        for i in 0..self.shared.plan.instruments.len() {
            if let Some(position) = Position::read(&self.shared, &core, self.book, i) {
                out.set_item(self.shared.symbol(py, i), Py::new(py, position)?)?;
            }
        }
        Ok(out)
    }

    /// Cash at hand.
    fn get_cash(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.shared.core(py)?.run.state.book(self.book).cash().to_f64())
    }

    /// Cash, dividends due and positions at their marks.
    fn get_account_value(&self, py: Python<'_>) -> PyResult<f64> {
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        Ok(Worth::known(&self.shared.plan, state, state.book(self.book)).into_py(py)?.equity.to_f64())
    }

    /// What may still be bought, after working orders.
    #[getter]
    fn buying_power(&self, py: Python<'_>) -> PyResult<f64> {
        let core = self.shared.core(py)?;
        let book = core.run.state.book(self.book);
        let worth = Worth::known(&self.shared.plan, &core.run.state, book).into_py(py)?;
        let free = buying_power(book, &self.shared.plan.account, worth).into_py(py)?;
        Ok(free.minus(book.reserved, "buying power").into_py(py)?.to_f64())
    }

    /// Market order towards a fraction of equity (0.5 is half of it) at the last price; None when there.
    ///
    /// Working market orders of the instrument count as done.
    #[pyo3(signature = (asset, percent, *, time_in_force = None, tag = None))]
    fn order_target_percent(
        &self,
        asset: &Bound<'_, PyAny>,
        percent: &Bound<'_, PyAny>,
        time_in_force: Option<&Bound<'_, PyAny>>,
        tag: Option<&str>,
    ) -> PyResult<Option<OrderHandle>> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let fraction = decimal(percent, "percent", &self.shared.plan.instruments[i].symbol)?.truncated(EXPONENT);
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        let value = fraction_of_equity(&self.shared.plan, &core.run.state, self.book, fraction).into_py(py)?;
        let terms = Self::terms(&mut core, time_in_force, tag)?;
        self.towards_value(py, &mut core, i, value, terms)
    }

    /// Market order towards a market value in the account's currency; None when there.
    #[pyo3(signature = (asset, value, *, time_in_force = None, tag = None))]
    fn order_target_value(
        &self,
        asset: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        time_in_force: Option<&Bound<'_, PyAny>>,
        tag: Option<&str>,
    ) -> PyResult<Option<OrderHandle>> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let amount =
            Cash::from_decimal(decimal(value, "value", &self.shared.plan.instruments[i].symbol)?.truncated(EXPONENT))
                .ok_or_else(|| to_py(py, &SimError::overflow("value leaves the range of the ledger".to_owned())))?;
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        let terms = Self::terms(&mut core, time_in_force, tag)?;
        self.towards_value(py, &mut core, i, amount, terms)
    }

    /// Market order towards a signed number of units; None when there.
    #[pyo3(signature = (asset, quantity, *, time_in_force = None, tag = None))]
    fn order_target_quantity(
        &self,
        asset: &Bound<'_, PyAny>,
        quantity: &Bound<'_, PyAny>,
        time_in_force: Option<&Bound<'_, PyAny>>,
        tag: Option<&str>,
    ) -> PyResult<Option<OrderHandle>> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let instrument = &self.shared.plan.instruments[i];
        let symbol = &instrument.symbol;
        let (target, is_whole) = nearest(quantity, instrument.scale.quantity_exponent, ("quantity", symbol), false)?;
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        let terms = Self::terms(&mut core, time_in_force, tag)?;
        if !is_whole {
            let lot = instrument.scale.quantity_f64(instrument.lot_size);
            let now = ml4t_sim::time::render(core.run.state.now);
            let text =
                format!("target quantity {} is not a multiple of lot_size {lot} ({symbol}, {now})", quantity.str()?);
            let expected = self.expected(&core, i);
            let change = decimal(quantity, "quantity", symbol)?
                .minus(Decimal { mantissa: expected.into(), exponent: instrument.scale.quantity_exponent })
                .map_or(f64::NAN, Decimal::to_f64);
            let asked = Asked { quantity: change.abs(), limit_price: f64::NAN, stop_price: f64::NAN };
            let side = if change < 0.0 { Side::Sell } else { Side::Buy };
            let request = OrderRequest { side, quantity: instrument.lot_size, ..self.template(i, terms) };
            let id = core.run.api().submit_refused(request, Reason::OffLot, text, Some(asked)).into_py(py)?;
            return Ok(Some(self.handle(id)));
        }
        self.towards(py, &mut core, i, target, terms)
    }

    /// Trade a basket towards fractions of equity; sells go first, then by symbol.
    ///
    /// Positions, and market orders under way, that the mapping does not name are closed, unless `keep_others`.
    #[pyo3(signature = (weights, *, keep_others = false, time_in_force = None, tag = None))]
    fn order_target_weights(
        &self,
        weights: &Bound<'_, PyAny>,
        keep_others: bool,
        time_in_force: Option<&Bound<'_, PyAny>>,
        tag: Option<&str>,
    ) -> PyResult<Vec<OrderHandle>> {
        let py = weights.py();
        let mut targets: Vec<(usize, Option<Decimal>)> = Vec::new();
        let Ok(items) = weights.call_method0("items") else {
            return Err(argument(
                py,
                &format!("weights is a mapping of symbol to fraction of equity, found {}", weights.repr()?),
            ));
        };
        for pair in items.try_iter()? {
            let (asset, weight): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
            let i = self.shared.instrument(&asset)?;
            let weight = decimal(&weight, "weight", &self.shared.plan.instruments[i].symbol)?;
            targets.push((i, Some(weight.truncated(EXPONENT))));
        }
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        if !keep_others {
            let named: Vec<usize> = targets.iter().map(|t| t.0).collect();
            let positions = &core.run.state.book(self.book).positions;
            let held = (0..positions.len()).filter(|&i| positions[i].quantity != 0);
            let under_way = core.run.all_open_orders();
            let under_way = under_way.iter().map(|&id| core.run.state.order(id).request.instrument.index());
            let others: BTreeSet<usize> = held.chain(under_way).filter(|i| !named.contains(i)).collect();
            targets.extend(others.into_iter().filter(|&i| self.expected(&core, i) != 0).map(|i| (i, None)));
        }
        let mut changes = Vec::with_capacity(targets.len());
        for (i, weight) in targets {
            let value = match weight {
                Some(weight) => {
                    fraction_of_equity(&self.shared.plan, &core.run.state, self.book, weight).into_py(py)?
                }
                None => Cash::ZERO,
            };
            let target = self.quantity_for(py, &core, i, value)?;
            let expected = self.expected(&core, i);
            changes.push((target.is_none_or(|t| t >= expected), i, value));
        }
        // Instruments are numbered by symbol.
        changes.sort_unstable();
        let terms = Self::terms(&mut core, time_in_force, tag)?;
        let mut sent = Vec::new();
        for (_, i, value) in changes {
            sent.extend(self.towards_value(py, &mut core, i, value, terms)?);
        }
        Ok(sent)
    }

    /// Market order that closes a position; None when there is none.
    #[pyo3(signature = (asset, *, time_in_force = None, tag = None))]
    fn close_position(
        &self,
        asset: &Bound<'_, PyAny>,
        time_in_force: Option<&Bound<'_, PyAny>>,
        tag: Option<&str>,
    ) -> PyResult<Option<OrderHandle>> {
        let py = asset.py();
        let i = self.shared.instrument(asset)?;
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        let terms = Self::terms(&mut core, time_in_force, tag)?;
        self.towards(py, &mut core, i, 0, terms)
    }
}

fn instrument_id(i: usize) -> InstrumentId {
    InstrumentId(u32::try_from(i).unwrap_or(u32::MAX))
}
