//! The handle of an order, as a strategy holds it.

use std::sync::Arc;

use ml4t_sim::ids::{BookId, OrderId};
use ml4t_sim::order::Order;
use ml4t_sim::state::Asked;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::broker::Broker;
use crate::shared::Shared;
use crate::timestamp::Timestamp;

/// Live handle of an order: every attribute is read from the engine when asked for.
#[pyclass(frozen, module = "ml4t.backtest", name = "OrderHandle")]
pub(crate) struct OrderHandle {
    shared: Arc<Shared>,
    id: OrderId,
}

impl OrderHandle {
    pub(crate) fn new(shared: &Arc<Shared>, id: OrderId) -> Self {
        Self { shared: Arc::clone(shared), id }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn order_id(&self) -> OrderId {
        self.id
    }

    fn read(&self, py: Python<'_>) -> PyResult<Order> {
        Ok(*self.shared.core(py)?.run.state.order(self.id))
    }

    fn asked(&self, py: Python<'_>) -> PyResult<Asked> {
        Ok(self.shared.core(py)?.run.state.asked(&self.shared.plan, self.id))
    }

    fn instrument(&self, order: &Order) -> &ml4t_sim::instrument::Instrument {
        self.shared.plan.instrument(order.request.instrument)
    }
}

#[pymethods]
impl OrderHandle {
    /// Number of the order in its run, from 1.
    #[getter]
    fn id(&self) -> u64 {
        self.id.0 + 1
    }

    /// Id that a broker is given: the same in every run of the same strategy on the same data.
    #[getter]
    fn client_order_id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(client_order_id(self.read(py)?.request.book, self.id))
    }

    /// Symbol.
    #[getter]
    fn asset(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        Ok(self.shared.symbol(py, self.read(py)?.request.instrument.index()))
    }

    /// Side.
    #[getter]
    fn side(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.shared.enums.side(py, self.read(py)?.request.side))
    }

    /// Kind.
    #[getter]
    fn order_type(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.shared.enums.order_type(py, self.read(py)?.request.order_type))
    }

    /// Lifetime.
    #[getter]
    fn time_in_force(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.shared.enums.time_in_force(py, self.read(py)?.request.time_in_force))
    }

    /// State.
    #[getter]
    fn status(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.shared.enums.status(py, self.read(py)?.status))
    }

    /// Units asked for, positive.
    #[getter]
    fn quantity(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.asked(py)?.quantity)
    }

    /// Units filled.
    #[getter]
    fn filled_quantity(&self, py: Python<'_>) -> PyResult<f64> {
        let order = self.read(py)?;
        Ok(self.instrument(&order).scale.quantity_f64(order.filled))
    }

    /// Units still to fill: none once the order has ended.
    #[getter]
    fn leaves_quantity(&self, py: Python<'_>) -> PyResult<f64> {
        let order = self.read(py)?;
        if order.status.is_terminal() {
            return Ok(0.0);
        }
        Ok(self.instrument(&order).scale.quantity_f64(order.leaves))
    }

    /// Average price of the fills, None before the first.
    #[getter]
    fn avg_fill_price(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let order = self.read(py)?;
        let scale = &self.instrument(&order).scale;
        let average = scale.average_price(order.filled_notional, ml4t_sim::money::Qty(order.filled));
        Ok((!average.is_nan()).then_some(average))
    }

    /// Limit price, None without one.
    #[getter]
    fn limit_price(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(Some(self.asked(py)?.limit_price).filter(|p| !p.is_nan()))
    }

    /// Stop price, None without one.
    #[getter]
    fn stop_price(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(Some(self.asked(py)?.stop_price).filter(|p| !p.is_nan()))
    }

    /// `cancel` or `replace` while a request is under way, None otherwise.
    #[getter]
    fn pending(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        Ok(self.read(py)?.pending())
    }

    /// Whether the order can still change.
    #[getter]
    fn is_open(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(!self.read(py)?.status.is_terminal())
    }

    /// Code of the reason for its state, empty where there is nothing to explain.
    #[getter]
    fn reason_code(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(self.read(py)?.reason.code())
    }

    /// Sentence that explains its state.
    #[getter]
    fn reason(&self, py: Python<'_>) -> PyResult<String> {
        let core = self.shared.core(py)?;
        let order = core.run.state.order(self.id);
        Ok(core.run.state.sentence(order.reason, order.text).to_owned())
    }

    /// Free text given with the order; the name of the rule for an order that a position rule placed.
    #[getter]
    fn tag(&self, py: Python<'_>) -> PyResult<String> {
        let core = self.shared.core(py)?;
        Ok(core.tag(&core.run.state.order(self.id)).to_owned())
    }

    /// When it was sent.
    #[getter]
    fn ts_submitted(&self, py: Python<'_>) -> PyResult<Timestamp> {
        Ok(Timestamp::new(self.read(py)?.ts_submitted))
    }

    /// Ask to take the order back; False when it is complete already.
    fn cancel(&self, py: Python<'_>) -> PyResult<bool> {
        let mut core = self.shared.core(py)?;
        Broker::check_stage(py, &core)?;
        Ok(core.run.api().cancel(self.id))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().id == self.id && Arc::ptr_eq(&other.get().shared, &self.shared))
    }

    fn __hash__(&self) -> u64 {
        self.id.0
    }

    fn __int__(&self) -> u64 {
        self.id.0 + 1
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let order = self.read(py)?;
        let instrument = self.instrument(&order);
        Ok(format!(
            "OrderHandle({}, {} {} {} {}, {})",
            self.id.0 + 1,
            order.request.order_type.as_str(),
            order.request.side.as_str(),
            instrument.scale.quantity_f64(order.request.quantity),
            instrument.symbol,
            order.status.as_str()
        ))
    }
}

/// Deterministic id for brokers and tables.
pub(crate) fn client_order_id(book: BookId, id: OrderId) -> String {
    format!("{}-{}", book.0, id.0 + 1)
}
