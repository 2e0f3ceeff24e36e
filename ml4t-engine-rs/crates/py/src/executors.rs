//! Execution algorithms: those in Python, asked under the interpreter lock, and the handle of an order that one works.

use std::sync::Arc;

use ml4t_abi::{Action, ExecutorContext, Kind, OpenOrder, OrderRecord};
use ml4t_sim::order::{OrderRequest, OrderType, TimeInForce};
use ml4t_sim::records::{number_of_life, number_of_type};
use ml4t_sim::worked::{Executor, Progress, Standing};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::broker::Broker;
use crate::error::IntoPyResult;
use crate::handle::OrderHandle;
use crate::models::{Raised, average_days, keep, write_floats};
use crate::shared::{Core, Shared};
use crate::terms::name_of;
use crate::timestamp::Timestamp;

/// An algorithm whose `evaluate` is Python.
#[derive(Debug)]
struct PythonExecutor {
    object: Py<PyAny>,
    name: String,
    average_days: usize,
    raised: Raised,
    error: String,
}

impl PythonExecutor {
    fn new(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<Self> {
        Ok(Self {
            object: object.clone().unbind(),
            name: object.get_type().name()?.to_string(),
            average_days: average_days(object)?,
            raised: Arc::clone(raised),
            error: String::new(),
        })
    }

    /// A copy with a state of its own, where the algorithm says that it has one.
    fn copy(&self, py: Python<'_>) -> Self {
        let object = self.object.bind(py);
        let has_clone = object.hasattr("clone").unwrap_or(false);
        let (object, error) = match if has_clone { object.call_method0("clone") } else { Ok(object.clone()) } {
            Ok(copy) => (copy.unbind(), String::new()),
            Err(error) => (object.clone().unbind(), keep(py, &self.raised, error)),
        };
        let (name, raised) = (self.name.clone(), Arc::clone(&self.raised));
        Self { object, name, average_days: self.average_days, raised, error }
    }

    fn evaluate(
        &self,
        py: Python<'_>,
        context: &ExecutorContext,
        open_orders: &[OpenOrder],
        orders: &mut [OrderRecord],
    ) -> PyResult<Option<usize>> {
        let module = py.import("ml4t.backtest.executors")?;
        let arguments = arguments(&module, context, open_orders)?;
        let answer = self.object.bind(py).call_method1("evaluate", (arguments,))?;
        if answer.is_none() {
            return Ok(None);
        }
        let mut n = 0;
        let Ok(items) = answer.try_iter() else { return Err(no_answer(&answer)?) };
        for item in items {
            let Some(place) = orders.get_mut(n) else {
                return Err(PyValueError::new_err(format!("more than {n} orders in one answer have no room")));
            };
            *place = record(&item?, f64::from(context.header.side))?;
            n += 1;
        }
        Ok(Some(n))
    }
}

fn arguments<'py>(
    module: &Bound<'py, PyModule>,
    c: &ExecutorContext,
    open_orders: &[OpenOrder],
) -> PyResult<Bound<'py, PyAny>> {
    let py = module.py();
    let class = module.getattr("OpenChild")?;
    let open = open_orders.iter().map(|o| {
        let own = OrderType::ALL.iter().find(|&&kind| number_of_type(kind) == o.order_type);
        let name = own.map_or("market", |kind| kind.as_str());
        class.call1((o.client_id, name, o.leaves_quantity.abs(), o.limit_price, o.stop_price))
    });
    let fields = PyDict::new(py);
    fields.set_item("ts_ns", c.header.ts_ns)?;
    fields.set_item("side", c.header.side)?;
    fields.set_item("asset", c.header.asset)?;
    fields.set_item("begin_ns", c.begin_ns)?;
    fields.set_item("call", c.call)?;
    fields.set_item("random", PyTuple::new(py, c.random)?)?;
    fields.set_item("open_orders", PyTuple::new(py, open.collect::<PyResult<Vec<_>>>()?)?)?;
    write_floats(
        &fields,
        &[
            ("elapsed", c.elapsed),
            ("quantity", c.quantity),
            ("filled", c.filled),
            ("working", c.working),
            ("average_price", c.average_price),
            ("price", c.price),
            ("bid", c.bid),
            ("ask", c.ask),
            ("bid_size", c.bid_size),
            ("ask_size", c.ask_size),
            ("volume", c.volume),
            ("total_volume", c.total_volume),
            ("average_volume", c.average_volume),
            ("volatility", c.volatility),
            ("lot_size", c.lot_size),
            ("tick_size", c.tick_size),
            ("multiplier", c.multiplier),
        ],
    )?;
    module.getattr("ExecutorArgs")?.call(PyTuple::empty(py), Some(&fields))
}

/// What one member of an answer asks for: its class tells.
fn record(item: &Bound<'_, PyAny>, side: f64) -> PyResult<OrderRecord> {
    let name = item.get_type().name()?;
    let wrong = |field: &str, value: &Bound<'_, PyAny>, expected: &str| -> PyErr {
        let shown = value.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
        let class = name.to_string();
        crate::error::model(
            item.py(),
            &format!("evaluate answered {class} with {field} = {shown}; expected {expected}"),
        )
    };
    let number = |field: &str| -> PyResult<f64> {
        let value = item.getattr(field)?;
        value.extract().map_err(|_| wrong(field, &value, "a number"))
    };
    let own = || -> PyResult<u64> {
        let value = item.getattr("client_id")?;
        value.extract().map_err(|_| wrong("client_id", &value, "a whole number of 0 or more"))
    };
    match name.to_cow()?.as_ref() {
        "ChildOrder" => {
            let kind = name_of(&item.getattr("order_type")?)?;
            let life = name_of(&item.getattr("time_in_force")?)?;
            let wanted = OrderType::parse(&kind).ok().filter(|kind| !kind.is_trailing());
            let lives = TimeInForce::parse(&life).ok().and_then(number_of_life);
            let one_of = |names: Vec<&str>| format!("one of {}", names.join(", "));
            let types =
                || one_of(OrderType::ALL.iter().filter(|kind| !kind.is_trailing()).map(|kind| kind.as_str()).collect());
            let allowed = |life: &&TimeInForce| number_of_life(**life).is_some();
            let lifetimes = || one_of(TimeInForce::ALL.iter().filter(allowed).map(|life| life.as_str()).collect());
            let text = |found: &str| PyString::new(item.py(), found).into_any();
            Ok(OrderRecord {
                action: Action::NEW,
                order_type: number_of_type(wanted.ok_or_else(|| wrong("order_type", &text(&kind), &types()))?),
                life: lives.ok_or_else(|| wrong("time_in_force", &text(&life), &lifetimes()))?,
                client_id: own()?,
                quantity: number("quantity")? * side,
                limit_price: number("limit_price")?,
                stop_price: number("stop_price")?,
                ..OrderRecord::UNSET
            })
        }
        "CancelChild" => Ok(OrderRecord { action: Action::CANCEL, client_id: own()?, ..OrderRecord::UNSET }),
        "RepriceChild" => Ok(OrderRecord {
            action: Action::MODIFY,
            client_id: own()?,
            limit_price: number("limit_price")?,
            stop_price: number("stop_price")?,
            ..OrderRecord::UNSET
        }),
        _ => Err(no_answer(item)?),
    }
}

fn no_answer(found: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let expected = "expected a sequence of ChildOrder, CancelChild and RepriceChild, or None to give up";
    Ok(crate::error::model(found.py(), &format!("evaluate answered {}; {expected}", found.repr()?)))
}

impl Executor for PythonExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    fn average_days(&self) -> usize {
        self.average_days
    }

    fn draws(&self) -> usize {
        4
    }

    fn begin(&mut self, _seed: u64) -> Result<(), String> {
        if self.error.is_empty() { Ok(()) } else { Err(format!("clone: {}", self.error)) }
    }

    fn ask(
        &mut self,
        context: &ExecutorContext,
        open_orders: &[OpenOrder],
        orders: &mut [OrderRecord],
    ) -> Result<Option<usize>, String> {
        Python::attach(|py| {
            self.evaluate(py, context, open_orders, orders).map_err(|error| keep(py, &self.raised, error))
        })
    }

    fn boxed_clone(&self) -> Box<dyn Executor> {
        Box::new(Python::attach(|py| self.copy(py)))
    }
}

/// What executes an algorithm: a native table of `capsule`, else `evaluate` of the object.
fn executor(object: &Bound<'_, PyAny>, capsule: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<Box<dyn Executor>> {
    if capsule.is_none() {
        return Ok(Box::new(PythonExecutor::new(object, raised)?.copy(object.py())));
    }
    Ok(crate::models::table(object, capsule, Kind::EXECUTOR)?.into_executor())
}

/// An order that an algorithm works, as the strategy holds it.
#[pyclass(frozen, module = "ml4t.backtest", name = "WorkedOrder")]
pub(crate) struct WorkedHandle {
    shared: Arc<Shared>,
    number: u32,
}

impl WorkedHandle {
    /// Let an algorithm work an order.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        core: &mut Core,
        request: &OrderRequest,
        (object, capsule, raised): (&Bound<'_, PyAny>, &Bound<'_, PyAny>, &Raised),
    ) -> PyResult<Self> {
        let algorithm = executor(object, capsule, raised)?;
        let number = core.run.api().execute(request, algorithm).into_py(object.py())?;
        Ok(Self { shared: Arc::clone(shared), number })
    }

    fn now(&self, py: Python<'_>) -> PyResult<Standing> {
        Ok(self.shared.core(py)?.run.state.worked(self.number))
    }

    fn units(&self, now: &Standing, quantity: i64) -> f64 {
        self.shared.plan.instrument(now.instrument).scale.quantity_f64(quantity)
    }
}

#[pymethods]
impl WorkedHandle {
    /// Number of the worked order in its run, from 1: `worked_order_id` of the table `orders`.
    #[getter]
    fn id(&self) -> u32 {
        self.number
    }

    /// Symbol.
    #[getter]
    fn asset(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        Ok(self.shared.symbol(py, self.now(py)?.instrument.index()))
    }

    /// Side.
    #[getter]
    fn side(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.shared.enums.side(py, self.now(py)?.side))
    }

    /// The whole quantity, positive; follows splits.
    #[getter]
    fn quantity(&self, py: Python<'_>) -> PyResult<f64> {
        let now = self.now(py)?;
        Ok(self.units(&now, now.quantity))
    }

    /// What has traded of it.
    #[getter]
    fn filled_quantity(&self, py: Python<'_>) -> PyResult<f64> {
        let now = self.now(py)?;
        Ok(self.units(&now, now.filled))
    }

    /// What has not traded yet.
    #[getter]
    fn remaining_quantity(&self, py: Python<'_>) -> PyResult<f64> {
        let now = self.now(py)?;
        Ok(self.units(&now, (now.quantity - now.filled).max(0)))
    }

    /// Average price of its fills; NaN before the first.
    #[getter]
    fn average_price(&self, py: Python<'_>) -> PyResult<f64> {
        let now = self.now(py)?;
        Ok(now.average_price(self.shared.plan.instrument(now.instrument)))
    }

    /// `working`, `filled` or `canceled`.
    #[getter]
    fn status(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(match self.now(py)?.progress {
            Progress::Working => "working",
            Progress::Filled => "filled",
            Progress::Canceled => "canceled",
        })
    }

    /// Instant at which it was given.
    #[getter]
    fn begun(&self, py: Python<'_>) -> PyResult<Py<Timestamp>> {
        Py::new(py, Timestamp::new(self.now(py)?.begin))
    }

    /// Handles of the orders that the algorithm has sent so far.
    #[getter]
    fn orders(&self, py: Python<'_>) -> PyResult<Vec<OrderHandle>> {
        let core = self.shared.core(py)?;
        let ids = core.run.state.orders_of_worked(self.number);
        Ok(ids.map(|id| OrderHandle::new(&self.shared, id)).collect())
    }

    /// Take it back, with its orders at work; False when it is over.
    fn cancel(&self, py: Python<'_>) -> PyResult<bool> {
        let mut core = self.shared.core(py)?;
        Broker::check_stage(py, &core)?;
        core.run.api().cancel_worked(self.number).into_py(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (side, status) = (self.now(py)?.side.as_str(), self.status(py)?);
        let (quantity, filled) = (self.quantity(py)?, self.filled_quantity(py)?);
        let symbol = self.asset(py)?;
        Ok(format!("WorkedOrder({}: {side} {quantity} {symbol}, {filled} filled, {status})", self.number))
    }
}
