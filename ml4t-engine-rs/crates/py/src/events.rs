//! Typed events, as `on_event` and its relatives get them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicUsize};

use ml4t_abi::{Liquidity, Phase};
use ml4t_sim::plan::{Feed, Plan};
use ml4t_sim::recorder::{Fill, MarginCallRow, OrderEvent as SimOrderEvent};
use ml4t_sim::time::Ns;
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyString};

use crate::delivery::kind_name;
use crate::error::unknown_name;
use crate::handle::OrderHandle;
use crate::shared::Shared;
use crate::timestamp::Timestamp;

/// Base class of everything a strategy is told.
#[pyclass(frozen, subclass, module = "ml4t.backtest", name = "Event")]
pub(crate) struct Event {
    // Cells that threads may share: an event that the strategy did not keep is used again for the next row.
    ts: AtomicI64,
    shared: Arc<Shared>,
    instrument: AtomicUsize,
}

impl Event {
    fn new(shared: &Arc<Shared>, ts: Ns, instrument: usize) -> Self {
        Self { ts: AtomicI64::new(ts), shared: Arc::clone(shared), instrument: AtomicUsize::new(instrument) }
    }

    fn ts(&self) -> Ns {
        self.ts.load(Relaxed)
    }

    fn instrument(&self) -> usize {
        self.instrument.load(Relaxed)
    }
}

#[pymethods]
impl Event {
    /// Symbol of the instrument.
    #[getter]
    fn asset(&self, py: Python<'_>) -> Py<PyString> {
        self.shared.symbol(py, self.instrument())
    }

    /// When it happened.
    #[getter]
    fn timestamp(&self) -> Timestamp {
        Timestamp::new(self.ts())
    }

    /// When it happened, in nanoseconds since 1970 UTC.
    #[getter]
    fn ts_event(&self) -> i64 {
        self.ts()
    }
}

/// A completed bar, a quote or a trade print: `event.bar["close"]`, `event.close`.
#[pyclass(frozen, extends = Event, module = "ml4t.backtest", name = "MarketEvent")]
pub(crate) struct MarketEvent {
    feed: AtomicUsize,
    row: AtomicUsize,
}

impl MarketEvent {
    pub(crate) fn create(py: Python<'_>, shared: &Arc<Shared>, feed: usize, row: usize) -> PyResult<Py<Self>> {
        let columns = &shared.plan.feeds[feed].data;
        let base = Event::new(shared, columns.ts_event[row], columns.instrument[row] as usize);
        Py::new(
            py,
            PyClassInitializer::from(base)
                .add_subclass(Self { feed: AtomicUsize::new(feed), row: AtomicUsize::new(row) }),
        )
    }

    /// Let an event that nobody kept show another row.
    pub(crate) fn renew(event: &Bound<'_, Self>, plan: &Plan, feed: usize, row: usize) {
        let columns = &plan.feeds[feed].data;
        let (this, base) = (event.get(), event.as_super().get());
        this.feed.store(feed, Relaxed);
        this.row.store(row, Relaxed);
        base.ts.store(columns.ts_event[row], Relaxed);
        base.instrument.store(columns.instrument[row] as usize, Relaxed);
    }

    fn row(&self) -> usize {
        self.row.load(Relaxed)
    }

    fn feed<'a>(&self, shared: &'a Shared) -> &'a Feed {
        &shared.plan.feeds[self.feed.load(Relaxed)]
    }

    fn find(&self, shared: &Shared, field: &str) -> Option<f64> {
        let feed = self.feed(shared);
        feed.column(field).map(|c| feed.value(c, self.row()))
    }

    fn field(&self, shared: &Shared, name: &str) -> PyResult<f64> {
        self.find(shared, name).ok_or_else(|| PyAttributeError::new_err(format!("the event has no field {name:?}")))
    }
}

#[pymethods]
impl MarketEvent {
    /// `bar`, `quote` or `trade`.
    #[getter]
    fn kind(slf: PyRef<'_, Self>) -> &'static str {
        kind_name(slf.feed(&slf.as_super().shared).data.kind)
    }

    /// Name of the feed.
    #[getter(feed)]
    fn feed_name(slf: PyRef<'_, Self>) -> String {
        slf.feed(&slf.as_super().shared).data.name.clone()
    }

    /// The values of the event by field name.
    #[getter]
    fn bar(slf: PyRef<'_, Self>) -> EventFields {
        EventFields { shared: Arc::clone(&slf.as_super().shared), feed: slf.feed.load(Relaxed), row: slf.row() }
    }

    /// The values of the event by field name.
    #[getter]
    fn quote(slf: PyRef<'_, Self>) -> EventFields {
        Self::bar(slf)
    }

    /// The values of the event by field name.
    #[getter]
    fn trade(slf: PyRef<'_, Self>) -> EventFields {
        Self::bar(slf)
    }

    /// When a bar opened, in nanoseconds since 1970 UTC; None for quotes and trades.
    #[getter]
    fn ts_open(slf: PyRef<'_, Self>) -> Option<i64> {
        slf.feed(&slf.as_super().shared).data.ts_open.as_ref().map(|open| open[slf.row()])
    }

    // The usual fields one by one: Python asks `__getattr__` only after a search that failed, which costs more than
    // everything else about an event.

    /// Open of a bar; `AttributeError` for events without one.
    #[getter]
    fn open(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "open")
    }

    /// High of a bar; `AttributeError` for events without one.
    #[getter]
    fn high(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "high")
    }

    /// Low of a bar; `AttributeError` for events without one.
    #[getter]
    fn low(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "low")
    }

    /// Close of a bar; `AttributeError` for events without one.
    #[getter]
    fn close(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "close")
    }

    /// Volume of a bar; `AttributeError` for events without one.
    #[getter]
    fn volume(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "volume")
    }

    /// Price of a print; `AttributeError` for events without one.
    #[getter]
    fn price(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "price")
    }

    /// Size of a print; `AttributeError` for events without one.
    #[getter]
    fn size(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "size")
    }

    /// Bid of a quote; `AttributeError` for events without one.
    #[getter]
    fn bid_price(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "bid_price")
    }

    /// Ask of a quote; `AttributeError` for events without one.
    #[getter]
    fn ask_price(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "ask_price")
    }

    /// Size at the bid of a quote; `AttributeError` for events without one.
    #[getter]
    fn bid_size(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "bid_size")
    }

    /// Size at the ask of a quote; `AttributeError` for events without one.
    #[getter]
    fn ask_size(slf: PyRef<'_, Self>) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, "ask_size")
    }

    fn __getattr__(slf: PyRef<'_, Self>, name: &str) -> PyResult<f64> {
        slf.field(&slf.as_super().shared, name)
    }

    fn __repr__(slf: PyRef<'_, Self>) -> String {
        let shared = &slf.as_super().shared;
        let feed = slf.feed(shared);
        let symbol = &shared.plan.instruments[slf.as_super().instrument()].symbol;
        let fields: Vec<String> =
            feed.data.columns.iter().map(|c| format!("{}={}", c.name, c.values[slf.row()])).collect();
        format!("MarketEvent({symbol}, {}, {})", ml4t_sim::time::render(slf.as_super().ts()), fields.join(", "))
    }
}

/// Values of one event by field name.
#[pyclass(frozen, mapping, module = "ml4t.backtest", name = "EventFields")]
pub(crate) struct EventFields {
    shared: Arc<Shared>,
    feed: usize,
    row: usize,
}

#[pymethods]
impl EventFields {
    fn __getitem__(&self, py: Python<'_>, field: &str) -> PyResult<f64> {
        let feed = &self.shared.plan.feeds[self.feed];
        let known = || feed.data.columns.iter().map(|c| c.name.as_str());
        feed.column(field).map(|c| feed.value(c, self.row)).ok_or_else(|| unknown_name(py, "field", field, known()))
    }

    fn __contains__(&self, field: &str) -> bool {
        self.shared.plan.feeds[self.feed].column(field).is_some()
    }

    /// Names of the fields.
    fn keys(&self) -> Vec<String> {
        self.shared.plan.feeds[self.feed].data.columns.iter().map(|c| c.name.clone()).collect()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.keys())?.as_any().try_iter()
    }

    fn __len__(&self) -> usize {
        self.shared.plan.feeds[self.feed].data.columns.len()
    }
}

/// A prediction that has just become readable.
#[pyclass(frozen, extends = Event, module = "ml4t.backtest", name = "SignalEvent")]
pub(crate) struct SignalEvent {
    row: usize,
}

impl SignalEvent {
    pub(crate) fn create(py: Python<'_>, shared: &Arc<Shared>, row: usize) -> PyResult<Option<Py<Self>>> {
        let Some(signals) = &shared.plan.signals else { return Ok(None) };
        let base = Event::new(shared, signals.ts_event[row], signals.instrument[row] as usize);
        Py::new(py, PyClassInitializer::from(base).add_subclass(Self { row })).map(Some)
    }
}

#[pymethods]
impl SignalEvent {
    /// The prediction.
    #[getter]
    fn score(slf: PyRef<'_, Self>) -> f64 {
        slf.as_super().shared.plan.signals.as_ref().map_or(f64::NAN, |s| s.score[slf.row])
    }

    /// Confidence, NaN where not given.
    #[getter]
    fn confidence(slf: PyRef<'_, Self>) -> f64 {
        slf.as_super().shared.plan.signals.as_ref().map_or(f64::NAN, |s| s.confidence[slf.row])
    }

    /// Model that made it, or the column name of a wide frame.
    #[getter]
    fn model_id(slf: PyRef<'_, Self>) -> String {
        let signals = slf.as_super().shared.plan.signals.as_ref();
        signals.map_or_else(String::new, |s| s.names[s.name[slf.row] as usize].clone())
    }

    /// Version of the model, empty where none is stated.
    #[getter]
    fn version(slf: PyRef<'_, Self>) -> String {
        let signals = slf.as_super().shared.plan.signals.as_ref();
        signals.map_or_else(String::new, |s| s.versions[s.version[slf.row] as usize].clone())
    }

    /// When it became readable, in nanoseconds since 1970 UTC.
    #[getter]
    fn ts_arrival(slf: PyRef<'_, Self>) -> i64 {
        slf.as_super().shared.plan.signals.as_ref().map_or(0, |s| s.ts_arrival[slf.row])
    }
}

/// Name of a phase in tables and events.
pub(crate) const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::OPEN => "open",
        Phase::RANGE => "range",
        Phase::CLOSE => "close",
        Phase::QUOTE => "quote",
        _ => "trade",
    }
}

/// Name of a liquidity flag in tables and events.
pub(crate) const fn liquidity_name(liquidity: Liquidity) -> &'static str {
    match liquidity {
        Liquidity::MAKER => "maker",
        _ => "taker",
    }
}

/// An execution of an order.
#[pyclass(frozen, extends = Event, module = "ml4t.backtest", name = "FillEvent")]
pub(crate) struct FillEvent {
    fill: Fill,
}

impl FillEvent {
    pub(crate) fn create(py: Python<'_>, shared: &Arc<Shared>, fill: Fill) -> PyResult<Py<Self>> {
        let base = Event::new(shared, fill.ts, fill.instrument.index());
        Py::new(py, PyClassInitializer::from(base).add_subclass(Self { fill }))
    }
}

#[pymethods]
impl FillEvent {
    /// Live handle of the order.
    #[getter]
    fn order(slf: PyRef<'_, Self>) -> OrderHandle {
        OrderHandle::new(&slf.as_super().shared, slf.fill.order)
    }

    /// Id of the order.
    #[getter]
    fn order_id(&self) -> u64 {
        self.fill.order.0 + 1
    }

    /// Side, an `ml4t.core.types.Side`.
    #[getter]
    fn side(slf: PyRef<'_, Self>) -> Py<PyAny> {
        slf.as_super().shared.enums.side(slf.py(), slf.fill.side)
    }

    /// Units, positive.
    #[getter]
    fn quantity(slf: PyRef<'_, Self>) -> f64 {
        slf.as_super().shared.plan.instrument(slf.fill.instrument).scale.quantity_f64(slf.fill.quantity)
    }

    /// Price, costs of spread, slippage and impact included.
    #[getter]
    fn price(slf: PyRef<'_, Self>) -> f64 {
        slf.as_super().shared.plan.instrument(slf.fill.instrument).scale.price_f64(slf.fill.price)
    }

    /// Price the market offered.
    #[getter]
    fn reference_price(slf: PyRef<'_, Self>) -> f64 {
        slf.as_super().shared.plan.instrument(slf.fill.instrument).scale.price_f64(slf.fill.reference)
    }

    /// Fee, negative for a rebate.
    #[getter]
    fn fee(&self) -> f64 {
        self.fill.fee.to_f64()
    }

    /// `maker` or `taker`.
    #[getter]
    fn liquidity(&self) -> &'static str {
        liquidity_name(self.fill.liquidity)
    }

    /// Where in the bar, or at which event: `open`, `range`, `close`, `quote`, `trade`.
    #[getter]
    fn phase(&self) -> &'static str {
        phase_name(self.fill.phase)
    }
}

/// A change of an order's state.
#[pyclass(frozen, extends = Event, module = "ml4t.backtest", name = "OrderEvent")]
pub(crate) struct OrderEvent {
    event: SimOrderEvent,
}

impl OrderEvent {
    pub(crate) fn create(
        py: Python<'_>,
        shared: &Arc<Shared>,
        event: SimOrderEvent,
        instrument: usize,
    ) -> PyResult<Py<Self>> {
        let base = Event::new(shared, event.ts, instrument);
        Py::new(py, PyClassInitializer::from(base).add_subclass(Self { event }))
    }
}

#[pymethods]
impl OrderEvent {
    /// Live handle of the order.
    #[getter]
    fn order(slf: PyRef<'_, Self>) -> OrderHandle {
        OrderHandle::new(&slf.as_super().shared, slf.event.order)
    }

    /// Id of the order.
    #[getter]
    fn order_id(&self) -> u64 {
        self.event.order.0 + 1
    }

    /// State after the change, an `ml4t.core.types.OrderStatus`.
    #[getter]
    fn status(slf: PyRef<'_, Self>) -> Py<PyAny> {
        slf.as_super().shared.enums.status(slf.py(), slf.event.to)
    }

    /// State before the change.
    #[getter]
    fn previous_status(slf: PyRef<'_, Self>) -> Py<PyAny> {
        slf.as_super().shared.enums.status(slf.py(), slf.event.from)
    }

    /// Code of the reason, empty where there is nothing to explain.
    #[getter]
    fn reason_code(&self) -> &'static str {
        self.event.reason.code()
    }

    /// Sentence of the reason, with what the engine knows about it.
    #[getter]
    fn reason(slf: PyRef<'_, Self>) -> PyResult<String> {
        let core = slf.as_super().shared.core(slf.py())?;
        Ok(core.run.state.sentence(slf.event.reason, slf.event.text).to_owned())
    }
}

/// A margin call, or what became of it; amounts are in the base currency.
#[pyclass(frozen, module = "ml4t.backtest", name = "MarginCallEvent")]
pub(crate) struct MarginCallEvent(MarginCallRow);

impl MarginCallEvent {
    pub(crate) const fn new(row: MarginCallRow) -> Self {
        Self(row)
    }
}

#[pymethods]
impl MarginCallEvent {
    /// When it happened.
    #[getter]
    const fn timestamp(&self) -> Timestamp {
        Timestamp::new(self.0.ts)
    }

    /// When it happened, in nanoseconds since 1970 UTC.
    #[getter]
    const fn ts_event(&self) -> i64 {
        self.0.ts
    }

    /// What equity does not reach: `maintenance`, `overnight`, or `liquidation_price`.
    #[getter]
    const fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }

    /// `warning`, `issued`, `met` or `liquidation`.
    #[getter]
    const fn status(&self) -> &'static str {
        self.0.status.as_str()
    }

    /// What the account is worth.
    #[getter]
    fn equity(&self) -> f64 {
        self.0.equity.to_f64()
    }

    /// What it needs.
    #[getter]
    fn requirement(&self) -> f64 {
        self.0.requirement.to_f64()
    }

    /// What is called for.
    #[getter]
    fn amount(&self) -> f64 {
        self.0.amount.to_f64()
    }

    /// Until when; None where nothing is called for.
    #[getter]
    fn deadline(&self) -> Option<Timestamp> {
        self.0.deadline.map(Timestamp::new)
    }

    /// Until when, in nanoseconds since 1970 UTC.
    #[getter]
    const fn ts_deadline(&self) -> Option<i64> {
        self.0.deadline
    }

    fn __repr__(&self) -> String {
        let MarginCallRow { ts, kind, status, equity, requirement, amount, .. } = &self.0;
        let [equity, requirement, amount] = [equity, requirement, amount].map(|cash| cash.to_f64());
        let at = ml4t_sim::time::render(*ts);
        let (kind, status) = (kind.as_str(), status.as_str());
        format!("MarginCallEvent({at}, {kind}, {status}, equity={equity}, requirement={requirement}, amount={amount})")
    }
}
