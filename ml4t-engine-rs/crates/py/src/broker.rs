//! Orders and account, as a strategy sees them.

use std::sync::{Arc, MutexGuard};

use ml4t_sim::account::{UNLIMITED, Worth, free_power};
use ml4t_sim::error::SimError;
use ml4t_sim::ids::{BookId, InstrumentId, OrderId};
use ml4t_sim::order::{OrderRequest, Side};
use ml4t_sim::purse::Purse;
use ml4t_sim::replace::Changes;
use ml4t_sim::rules::{PositionRules, RuleKind};
use ml4t_sim::time::{Ns, render};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::convert::decimal;
use crate::error::{IntoPyResult, argument, to_py, unknown_name};
use crate::executors::WorkedHandle;
use crate::handle::OrderHandle;
use crate::models::Raised;
use crate::position::Position;
use crate::shared::{Core, Shared, Stage};
use crate::terms::{CHANGES, Given, TERMS, lots, name_of};

mod draft;
mod targets;

/// Orders and cancels that may wait for intake: a loop without end stops before memory does.
const MAX_COMMANDS: usize = 1_000_000;

/// Orders and account of one strategy.
#[pyclass(frozen, module = "ml4t.backtest", name = "Broker")]
pub(crate) struct Broker {
    shared: Arc<Shared>,
    book: BookId,
    /// Finds an execution algorithm: a callable that answers the object and its capsule, or None for that.
    algorithms: Option<Py<PyAny>>,
    raised: Raised,
}

impl Broker {
    pub(crate) fn new(shared: &Arc<Shared>, book: BookId, algorithms: Option<Py<PyAny>>, raised: &Raised) -> Self {
        Self { shared: Arc::clone(shared), book, algorithms, raised: Arc::clone(raised) }
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
                let now = render(core.run.state.now);
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

    /// The engine, when orders may be sent now.
    fn sending(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Core>> {
        let core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        Ok(core)
    }

    /// The present instant, when orders may be sent now.
    fn sending_at(&self, py: Python<'_>) -> PyResult<Ns> {
        Ok(self.sending(py)?.run.state.now)
    }

    fn find(&self, order: &Bound<'_, PyAny>) -> PyResult<OrderId> {
        let py = order.py();
        if let Ok(handle) = order.cast::<OrderHandle>() {
            if !Arc::ptr_eq(handle.get().shared(), &self.shared) {
                return Err(to_py(py, &SimError::order("the order belongs to another run".to_owned())));
            }
            return Ok(handle.get().order_id());
        }
        // A bool is an int for Python, and names no order.
        let number: Option<i128> = if order.is_instance_of::<PyBool>() { None } else { order.extract().ok() };
        let Some(number) = number.filter(|&number| number >= 0) else {
            let text = format!("an order is named by its handle or by its id (int), found {}", order.repr()?);
            return Err(to_py(py, &SimError::order(text)));
        };
        let count = self.shared.core(py)?.run.state.orders.len() as u64;
        let known = u64::try_from(number).ok().filter(|number| (1..=count).contains(number));
        let Some(known) = known else {
            let text = format!("no order {number}; this run has sent {count} so far");
            return Err(to_py(py, &SimError::order(text)));
        };
        Ok(OrderId(known - 1))
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

    /// Let an execution algorithm work a signed quantity: it sends the orders, now and as the market goes on.
    ///
    /// `algorithm` is an object with `evaluate`, or its table as in a configuration: `{"type": name, **parameters}`.
    #[pyo3(signature = (asset, quantity, algorithm, *, tag = None))]
    fn execute<'py>(
        &self,
        asset: &Bound<'py, PyAny>,
        quantity: &Bound<'py, PyAny>,
        algorithm: &Bound<'py, PyAny>,
        tag: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<WorkedHandle> {
        let py = asset.py();
        let tag: Option<String> = match tag {
            None => None,
            Some(given) => Some(
                given.extract().or_else(|_| Err(argument(py, &format!("tag is a str, found {}", given.repr()?))))?,
            ),
        };
        let i = self.shared.instrument(asset)?;
        let instrument = &self.shared.plan.instruments[i];
        let (units, is_whole) = lots(quantity, instrument, self.shared.plan.policies.lot_rounding, "quantity")?;
        let now = self.sending_at(py)?;
        if !is_whole || units == 0 {
            let lot = instrument.scale.quantity_f64(instrument.lot_size);
            let text = format!(
                "execute: quantity {} of {} is no multiple of lot_size {lot} other than zero; its sign tells the \
                 direction ({})",
                quantity.str()?,
                instrument.symbol,
                render(now)
            );
            return Err(to_py(py, &SimError::order(text)));
        }
        let (object, capsule) = match &self.algorithms {
            Some(find) => find.bind(py).call1((algorithm,))?.extract()?,
            None => (algorithm.clone(), py.None().into_bound(py)),
        };
        let side = if units < 0 { Side::Sell } else { Side::Buy };
        let mut core = self.shared.core(py)?;
        let request = OrderRequest {
            book: self.book,
            tag: Self::tag(&mut core, tag.as_deref()),
            ..OrderRequest::market(instrument_id(i), side, units.saturating_abs())
        };
        WorkedHandle::begin(&self.shared, &mut core, &request, (&object, &capsule, &self.raised))
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
        let named = |name: &str| Some(PyString::new(entry.py(), name).into_any());
        let life = time_in_force.cloned();
        let is_trailing = trail_amount.is_some() || trail_fraction.is_some();
        let stop = Given {
            order_type: named(if is_trailing { "trailing_stop" } else { "stop" }),
            stop_price: stop_price.cloned(),
            trail_amount: trail_amount.cloned(),
            trail_fraction: trail_fraction.cloned(),
            time_in_force: life.clone(),
            ..Given::default()
        };
        let target = Given {
            order_type: named("limit"),
            limit_price: Some(limit_price.clone()),
            time_in_force: life,
            ..Given::default()
        };
        self.place_exits(entry, stop, target)
    }

    /// Ask for another total quantity or other prices; False when the order is complete already.
    #[pyo3(signature = (order, **changes))]
    fn modify_order<'py>(&self, order: &Bound<'py, PyAny>, changes: Option<&Bound<'py, PyDict>>) -> PyResult<bool> {
        let py = order.py();
        let id = self.find(order)?;
        let mut given = Given::default();
        given.take("modify_order", changes, &[&CHANGES])?;
        let now = render(self.sending_at(py)?);
        let request = self.shared.core(py)?.run.state.order(id).request;
        let (i, is_stop) = (request.instrument.index(), request.order_type.is_stop());
        let asked = given.changes(py, &self.shared.plan, i, request.side, is_stop)?;
        if asked == Changes::default() {
            return Err(argument(py, &format!("modify_order needs at least one of {}", CHANGES.join(", "))));
        }
        let mut core = self.shared.core(py)?;
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
                let kind = RuleKind::SET.into_iter().find(|k| k.as_str() == name).ok_or_else(|| {
                    unknown_name(py, "position rule", &name, RuleKind::SET.iter().map(|k| k.as_str()))
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
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        let mut ids: Vec<OrderId> =
            state.rejected.iter().copied().filter(|&id| state.order(id).request.book == self.book).collect();
        ids.sort_unstable();
        Ok(ids.into_iter().map(|id| self.handle(id)).collect())
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

    /// Cash at hand: of all currencies together in the base currency, or of one alone.
    ///
    /// With `settled` what has not settled is left out.
    #[pyo3(signature = (currency = None, *, settled = false))]
    fn get_cash(&self, py: Python<'_>, currency: Option<&str>, settled: bool) -> PyResult<f64> {
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        let book = state.book(self.book);
        let cash = |purse: &Purse| if settled { purse.settled(state.now) } else { Ok(purse.cash()) };
        let Some(name) = currency else {
            return Ok(book.sum(&state.exchange.quotes, cash).into_py(py)?.to_f64());
        };
        let currencies = &self.shared.plan.currencies;
        let Some(id) = currencies.find(name) else {
            return Err(unknown_name(py, "currency", name, currencies.names().iter().map(String::as_str)));
        };
        Ok(cash(book.purse(id)).into_py(py)?.to_f64())
    }

    /// Buy so much of a foreign currency for the base currency, or sell it below zero; returns its number.
    fn convert(&self, currency: &str, amount: &Bound<'_, PyAny>) -> PyResult<u64> {
        let py = amount.py();
        let amount = decimal(amount, "amount", currency)?;
        let mut core = self.shared.core(py)?;
        Self::check_stage(py, &core)?;
        core.run.api().convert(self.book, currency, amount).into_py(py)
    }

    /// Cash, dividends due and positions at their marks.
    fn get_account_value(&self, py: Python<'_>) -> PyResult<f64> {
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        Ok(Worth::known(&self.shared.plan, state, state.book(self.book)).into_py(py)?.equity.to_f64())
    }

    /// What may still be bought, after working orders; infinite where nothing bounds it.
    #[getter]
    fn buying_power(&self, py: Python<'_>) -> PyResult<f64> {
        let core = self.shared.core(py)?;
        let book = core.run.state.book(self.book);
        let free = free_power(&self.shared.plan, &core.run.state, book).into_py(py)?;
        Ok(if free == UNLIMITED { f64::INFINITY } else { free.to_f64() })
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
        self.target_percent(asset, percent, (time_in_force, tag))
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
        self.target_value(asset, value, (time_in_force, tag))
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
        self.target_quantity(asset, quantity, (time_in_force, tag))
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
        self.target_weights(weights, keep_others, (time_in_force, tag))
    }

    /// Market order that closes a position; None when there is none.
    #[pyo3(signature = (asset, *, time_in_force = None, tag = None))]
    fn close_position(
        &self,
        asset: &Bound<'_, PyAny>,
        time_in_force: Option<&Bound<'_, PyAny>>,
        tag: Option<&str>,
    ) -> PyResult<Option<OrderHandle>> {
        self.target_nothing(asset, (time_in_force, tag))
    }
}

fn instrument_id(i: usize) -> InstrumentId {
    InstrumentId(u32::try_from(i).unwrap_or(u32::MAX))
}
