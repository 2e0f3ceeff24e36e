//! A run driven through a Python strategy.
//!
//! The loop works in Rust until somebody wants to be called, lets go of the lock, calls, and goes on. Only
//! callbacks that the strategy overrides are known here; their bound methods are fetched once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use ml4t_sim::engine::Strategy;
use ml4t_sim::error::{ErrorKind, SimError};
use ml4t_sim::foreign::Kernel;
use ml4t_sim::ids::BookId;
use ml4t_sim::plan::FeedKind;
use ml4t_sim::queue::ColumnSource;
use ml4t_sim::recorder::TableRecorder;
use ml4t_sim::state::Notice;
use ml4t_sim::time::render;
use ml4t_sim::venue::SimulatedVenue;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::broker::Broker;
use crate::error::{IntoPyResult, add_note, argument, internal, to_py, unknown_name};
use crate::events::{FillEvent, MarketEvent, OrderEvent, SignalEvent};
use crate::models::Raised;
use crate::shared::{Core, Run, Shared, Stage};
use crate::tables;
use crate::timestamp::Timestamp;
use crate::view::{Context, View};

/// Instants between two looks at pending signals (Ctrl-C) and two calls of the progress callback.
const BREATH: u32 = 2048;
/// Instants between two looks at signals and progress while a kernel runs: some milliseconds.
const KERNEL_BREATH: usize = 65_536;

/// A subscription: None means all.
struct Subscription {
    instrument: Option<usize>,
    kind: Option<String>,
    interval_ns: Option<i64>,
    model: Option<usize>,
}

impl Subscription {
    fn wants(&self, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|k| k == kind)
    }
}

/// Bound methods of the strategy.
#[derive(Default)]
struct Handlers {
    on_data: Option<Py<PyAny>>,
    on_event: Option<Py<PyAny>>,
    on_bar: Option<Py<PyAny>>,
    on_quote: Option<Py<PyAny>>,
    on_trade: Option<Py<PyAny>>,
    on_signal: Option<Py<PyAny>>,
    on_fill: Option<Py<PyAny>>,
    on_order: Option<Py<PyAny>>,
    on_daily_close: Option<Py<PyAny>>,
    on_stop: Option<Py<PyAny>>,
    /// Which rows of which feed go to a callback: per feed, per instrument.
    passes: Vec<Vec<bool>>,
    /// Whether any callback gets fills or order events.
    hears_of_orders: bool,
    /// Whether `on_event` gets fills and order events, per instrument.
    fills_of: Vec<bool>,
    orders_of: Vec<bool>,
}

impl Handlers {
    fn for_feed(&self, kind: FeedKind) -> Option<(&'static str, &Py<PyAny>)> {
        let own = match kind {
            FeedKind::Bar => ("on_bar", &self.on_bar),
            FeedKind::Quote => ("on_quote", &self.on_quote),
            FeedKind::Trade => ("on_trade", &self.on_trade),
            FeedKind::Context => return None,
        };
        own.1.as_ref().map(|f| (own.0, f)).or_else(|| self.on_event.as_ref().map(|f| ("on_event", f)))
    }

    fn for_signals(&self) -> Option<(&'static str, &Py<PyAny>)> {
        self.on_signal.as_ref().map(|f| ("on_signal", f)).or_else(|| self.on_event.as_ref().map(|f| ("on_event", f)))
    }

    fn for_fills(&self, instrument: usize) -> Option<(&'static str, &Py<PyAny>)> {
        let general = self.on_event.as_ref().filter(|_| self.fills_of[instrument]).map(|f| ("on_event", f));
        self.on_fill.as_ref().map(|f| ("on_fill", f)).or(general)
    }

    fn for_orders(&self, instrument: usize) -> Option<(&'static str, &Py<PyAny>)> {
        let general = self.on_event.as_ref().filter(|_| self.orders_of[instrument]).map(|f| ("on_event", f));
        self.on_order.as_ref().map(|f| ("on_order", f)).or(general)
    }
}

/// What is to be delivered at one instant.
#[derive(Default)]
struct Work {
    is_after_opens: bool,
    notices: Vec<Notice>,
    closes_session: bool,
    timers: Vec<u32>,
    rows: Vec<(usize, usize)>,
    signals: Vec<usize>,
    calls_on_data: bool,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.notices.is_empty()
            && !self.closes_session
            && self.timers.is_empty()
            && self.rows.is_empty()
            && self.signals.is_empty()
            && !self.calls_on_data
    }
}

/// One backtest: plan, state and rows, driven by callbacks.
#[pyclass(frozen, module = "ml4t.engine", name = "Run")]
pub(crate) struct PyRun {
    shared: Arc<Shared>,
    broker: Py<Broker>,
    raised: Raised,
    intervals: Vec<Option<i64>>,
    subscriptions: Mutex<Vec<Subscription>>,
    /// Callbacks of timers and what messages call them.
    timers: Mutex<Vec<(Py<PyAny>, String)>>,
}

impl PyRun {
    /// Work in Rust under the lock; a panic becomes an exception and ends the use of the run.
    fn guarded<T>(
        &self,
        py: Python<'_>,
        core: &mut Core,
        work: impl FnOnce(&mut Run) -> Result<T, SimError>,
    ) -> PyResult<T> {
        match catch_unwind(AssertUnwindSafe(|| work(&mut core.run))) {
            Ok(Err(error)) if error.kind == ErrorKind::Model => {
                let cause = self.raised.lock().ok().and_then(|mut raised| raised.take());
                // Ctrl-C and SystemExit are no fault of the model in which they happened to arrive.
                if let Some(interruption) = cause.as_ref().filter(|c| !c.is_instance_of::<PyException>(py)) {
                    return Err(interruption.clone_ref(py));
                }
                let exception = to_py(py, &error);
                exception.set_cause(py, cause);
                Err(exception)
            }
            Ok(result) => result.into_py(py),
            Err(payload) => {
                core.is_poisoned = true;
                let text = payload
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| payload.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                let state = &core.run.state;
                let at = state.at.map(|id| format!(", {}", self.shared.plan.instrument(id).symbol));
                let (now, at) = (render(state.now), at.unwrap_or_default());
                Err(internal(py, &format!("internal error of the engine at {now}{at}: {text}; please report it")))
            }
        }
    }

    /// Run a native strategy to the end of the data; from time to time look at signals and tell the progress.
    fn execute_native<X: Strategy + Send>(
        &self,
        py: Python<'_>,
        strategy: &mut X,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        {
            let mut core = self.shared.core(py)?;
            if core.stage != Stage::Starting {
                return Err(to_py(py, &SimError::state("a run executes once; assemble a new one".to_owned())));
            }
            core.stage = Stage::Finished;
            self.guarded(py, &mut core, |run| strategy.on_start(&mut run.api()))?;
        }
        loop {
            let mut core = self.shared.core(py)?;
            let goes_on = self.guarded(py, &mut core, |run| py.detach(|| run.run_instants(strategy, KERNEL_BREATH)))?;
            if !goes_on {
                return self.guarded(py, &mut core, |run| py.detach(|| run.finish()));
            }
            let now = core.run.state.now;
            drop(core);
            py.check_signals()?;
            if let Some(progress) = progress {
                progress.call1((now,))?;
            }
        }
    }

    /// Go on until somebody wants to be called; `None` at the end of the data.
    fn advance(&self, py: Python<'_>, handlers: &Handlers, mut resumes: bool) -> PyResult<Option<Work>> {
        let mut core = self.shared.core(py)?;
        for _ in 0..BREATH {
            if !resumes {
                if !self.guarded(py, &mut core, Run::begin)? {
                    return Ok(None);
                }
                self.shared.next_epoch();
                let work = self.collect(&mut core, handlers);
                if !work.is_empty() {
                    return Ok(Some(work));
                }
            }
            resumes = false;
            self.guarded(py, &mut core, Run::take_in)?;
            let notices = Self::notices(&mut core, handlers);
            if !notices.is_empty() {
                return Ok(Some(Work { is_after_opens: true, notices, ..Work::default() }));
            }
            self.guarded(py, &mut core, Run::end)?;
        }
        Ok(Some(Work { is_after_opens: true, ..Work::default() }))
    }

    /// Notices that some handler wants; the others are dropped.
    fn notices(core: &mut Core, handlers: &Handlers) -> Vec<Notice> {
        let mut notices = std::mem::take(&mut core.run.state.notices);
        if handlers.hears_of_orders {
            let orders = &core.run.state;
            let fills = &core.run.recorder.fills;
            notices.retain(|notice| match notice {
                Notice::Order(e) => handlers.for_orders(orders.order(e.order).request.instrument.index()).is_some(),
                Notice::Fill(k) => fills
                    .get(usize::try_from(*k).unwrap_or(usize::MAX))
                    .is_some_and(|f| handlers.for_fills(f.instrument.index()).is_some()),
            });
        } else {
            notices.clear();
        }
        notices
    }

    fn collect(&self, core: &mut Core, handlers: &Handlers) -> Work {
        let notices = Self::notices(core, handlers);
        let state = &core.run.state;
        let plan = &self.shared.plan;
        let causes = state.causes;
        let mut work = Work {
            notices,
            closes_session: causes.closes_nav_session && handlers.on_daily_close.is_some(),
            timers: state.due_timers.iter().map(|t| t.callback).collect(),
            calls_on_data: handlers.on_data.is_some() && (causes.has_data || causes.has_signals || causes.has_timers),
            ..Work::default()
        };
        for &block in &state.blocks {
            let columns = &plan.feeds[block.feed].data;
            if handlers.for_feed(columns.kind).is_none() {
                continue;
            }
            let passes = &handlers.passes[block.feed];
            let rows = state.block_rows(plan, block).filter(|&row| passes[columns.instrument[row] as usize]);
            work.rows.extend(rows.map(|row| (block.feed, row)));
        }
        if let (Some(signals), Some(_)) = (&plan.signals, handlers.for_signals()) {
            let rows = state.new_signals.0..state.new_signals.1;
            let wanted = |row: usize| self.wants_signal(signals.instrument[row] as usize, signals.name[row] as usize);
            work.signals = if rows.is_empty() { Vec::new() } else { rows.filter(|&row| wanted(row)).collect() };
        }
        work
    }

    fn wants_signal(&self, instrument: usize, name: usize) -> bool {
        let Ok(subscriptions) = self.subscriptions.lock() else { return false };
        subscriptions.is_empty()
            || subscriptions.iter().any(|s| {
                s.wants("signal") && s.instrument.is_none_or(|i| i == instrument) && s.model.is_none_or(|m| m == name)
            })
    }

    fn call(&self, py: Python<'_>, name: &str, f: &Py<PyAny>, event: Py<PyAny>, asset: &str) -> PyResult<()> {
        f.call1(py, (event,)).map(drop).map_err(|e| self.noted(py, e, &format!("in {name}, {asset}")))
    }

    /// The present instant, or the begin of the run before the first one.
    fn present(&self, core: &Core) -> i64 {
        match core.run.state.now {
            i64::MIN => self.shared.plan.span().map_or(0, |(first, _)| first),
            now => now,
        }
    }

    /// Name the place and the instant on an exception of the strategy.
    fn noted(&self, py: Python<'_>, error: PyErr, place: &str) -> PyErr {
        let now = self.shared.core(py).map_or_else(|_| String::new(), |core| render(core.run.state.now));
        add_note(py, &error, &format!("raised {place}, at {now}"));
        error
    }

    fn deliver_notices(&self, py: Python<'_>, handlers: &Handlers, notices: &[Notice]) -> PyResult<()> {
        for &notice in notices {
            match notice {
                Notice::Order(event) => {
                    let id = self.shared.core(py)?.run.state.order(event.order).request.instrument;
                    let Some((name, f)) = handlers.for_orders(id.index()) else { continue };
                    let object = OrderEvent::create(py, &self.shared, event, id.index())?.into_any();
                    self.call(py, name, f, object, &self.shared.plan.instrument(id).symbol)?;
                }
                Notice::Fill(number) => {
                    let fill = usize::try_from(number).map(|k| self.shared.core(py).map(|c| c.run.recorder.fills[k]));
                    let Ok(fill) = fill else { continue };
                    let fill = fill?;
                    let Some((name, f)) = handlers.for_fills(fill.instrument.index()) else { continue };
                    let object = FillEvent::create(py, &self.shared, fill)?.into_any();
                    self.call(py, name, f, object, &self.shared.plan.instrument(fill.instrument).symbol)?;
                }
            }
        }
        Ok(())
    }

    fn deliver(&self, py: Python<'_>, handlers: &Handlers, work: &Work, call_data: &mut DataCall) -> PyResult<()> {
        self.deliver_notices(py, handlers, &work.notices)?;
        if let Some(f) = handlers.on_daily_close.as_ref().filter(|_| work.closes_session) {
            f.call0(py).map_err(|e| self.noted(py, e, "in on_daily_close"))?;
        }
        for &timer in &work.timers {
            let entry =
                |t: &Vec<(Py<PyAny>, String)>| t.get(timer as usize).map(|(f, name)| (f.clone_ref(py), name.clone()));
            if let Some((f, name)) = self.timers.lock().ok().and_then(|t| entry(&t)) {
                f.call0(py).map_err(|e| self.noted(py, e, &format!("in {name}")))?;
            }
        }
        let plan = &self.shared.plan;
        for &(feed, row) in &work.rows {
            let columns = &plan.feeds[feed].data;
            if let Some((name, f)) = handlers.for_feed(columns.kind) {
                let event = MarketEvent::create(py, &self.shared, feed, row)?.into_any();
                self.call(py, name, f, event, &plan.instruments[columns.instrument[row] as usize].symbol)?;
            }
        }
        for &row in &work.signals {
            let (Some((name, f)), Some(event)) = (handlers.for_signals(), SignalEvent::create(py, &self.shared, row)?)
            else {
                continue;
            };
            let i = plan.signals.as_ref().map_or(0, |s| s.instrument[row] as usize);
            self.call(py, name, f, event.into_any(), &plan.instruments[i].symbol)?;
        }
        if let Some(f) = handlers.on_data.as_ref().filter(|_| work.calls_on_data) {
            call_data.call(py, self, f).map_err(|e| self.noted(py, e, "in on_data"))?;
        }
        Ok(())
    }

    fn handlers(&self, py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<Handlers> {
        let get = |name: &str| -> PyResult<Option<Py<PyAny>>> {
            Ok(given.get_item(name)?.filter(|f| !f.is_none()).map(Bound::unbind))
        };
        let subscriptions = self.subscriptions.lock().map_err(|_| internal(py, "subscriptions"))?;
        let is_open = subscriptions.is_empty();
        let n = self.shared.plan.instruments.len();
        let of = |kind: &str| -> Vec<bool> {
            let wants = |s: &Subscription, i: usize| s.wants(kind) && s.instrument.is_none_or(|wanted| wanted == i);
            (0..n).map(|i| is_open || subscriptions.iter().any(|s| wants(s, i))).collect()
        };
        let feeds = self.shared.plan.feeds.iter().enumerate();
        let passes = feeds.map(|(f, feed)| {
            let kind = kind_name(feed.data.kind);
            let fits =
                |s: &&Subscription| s.wants(kind) && s.interval_ns.is_none_or(|ns| self.intervals[f] == Some(ns));
            let fitting: Vec<&Subscription> = subscriptions.iter().filter(fits).collect();
            let passes = |i: usize| fitting.iter().any(|s| s.instrument.is_none_or(|wanted| wanted == i));
            (0..n).map(|i| is_open || passes(i)).collect()
        });
        let (on_event, on_fill, on_order) = (get("on_event")?, get("on_fill")?, get("on_order")?);
        Ok(Handlers {
            hears_of_orders: on_event.is_some() || on_fill.is_some() || on_order.is_some(),
            on_data: get("on_data")?,
            on_event,
            on_bar: get("on_bar")?,
            on_quote: get("on_quote")?,
            on_trade: get("on_trade")?,
            on_signal: get("on_signal")?,
            on_fill,
            on_order,
            on_daily_close: get("on_daily_close")?,
            on_stop: get("on_stop")?,
            passes: passes.collect(),
            fills_of: of("fill"),
            orders_of: of("order"),
        })
    }

    fn drive(&self, py: Python<'_>, handlers: &Handlers, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let mut call_data = DataCall::new(py, self)?;
        let mut resumes = false;
        let mut calls: u32 = 0;
        while let Some(work) = self.advance(py, handlers, resumes)? {
            calls += 1;
            let takes_breath = work.is_empty() || calls.is_multiple_of(BREATH);
            if takes_breath {
                py.check_signals()?;
                if let Some(progress) = progress {
                    let now = self.shared.core(py)?.run.state.now;
                    progress.call1((now,))?;
                }
            }
            if work.is_after_opens {
                if !work.is_empty() {
                    self.deliver_notices(py, handlers, &work.notices)?;
                    let mut core = self.shared.core(py)?;
                    self.guarded(py, &mut core, |run| {
                        run.state.notices.clear();
                        run.intake()?;
                        run.end()
                    })?;
                }
                resumes = false;
            } else {
                self.deliver(py, handlers, &work, &mut call_data)?;
                resumes = true;
            }
        }
        if let Some(f) = &handlers.on_stop {
            f.call0(py).map_err(|e| self.noted(py, e, "in on_stop"))?;
        }
        let mut core = self.shared.core(py)?;
        self.guarded(py, &mut core, Run::finish)
    }
}

/// A duration in its largest whole unit: `5m`, `1d`.
fn duration(ns: i64) -> String {
    const UNITS: [(i64, &str); 6] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1, "ns"),
    ];
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| ns % unit == 0).unwrap_or((1, "ns"));
    format!("{}{name}", ns / unit)
}

const fn kind_name(kind: FeedKind) -> &'static str {
    match kind {
        FeedKind::Bar => "bar",
        FeedKind::Quote => "quote",
        FeedKind::Trade => "trade",
        FeedKind::Context => "context",
    }
}

/// The arguments of `on_data`, made once; the view is made anew only when the strategy kept the last one.
struct DataCall {
    view: Py<View>,
    context: Py<Context>,
    broker: Py<Broker>,
}

impl DataCall {
    fn new(py: Python<'_>, run: &PyRun) -> PyResult<Self> {
        let shared = &run.shared;
        Ok(Self {
            view: Py::new(py, View::now(shared))?,
            context: Py::new(py, Context::new(shared))?,
            broker: run.broker.clone_ref(py),
        })
    }

    fn call(&mut self, py: Python<'_>, run: &PyRun, f: &Py<PyAny>) -> PyResult<()> {
        // SAFETY: the pointer is that of a live object, and the interpreter is attached.
        let holders = unsafe { pyo3::ffi::Py_REFCNT(self.view.as_ptr()) };
        if holders == 1 {
            self.view.get().renew();
        } else {
            self.view = Py::new(py, View::now(&run.shared))?;
        }
        let now = run.shared.core(py)?.run.state.now;
        f.call1(py, (Timestamp::new(now), &self.view, &self.context, &self.broker)).map(drop)
    }
}

#[pymethods]
impl PyRun {
    #[new]
    fn new(spec: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = spec.py();
        let raised = Raised::default();
        let (plan, intervals) = crate::assemble::plan(spec, &raised)?;
        let source = ColumnSource::new(Arc::clone(&plan));
        let venue = SimulatedVenue::new(&plan).into_py(py)?;
        let run = Run::new(plan, source, venue, TableRecorder::default()).into_py(py)?;
        #[cfg(feature = "fault-injection")]
        let run = crate::assemble::with_fault(run, spec)?;
        let shared = Shared::new(py, run)?;
        let algorithms = spec.get_item("algorithms")?.filter(|find| !find.is_none()).map(Bound::unbind);
        Ok(Self {
            broker: Py::new(py, Broker::new(&shared, BookId(0), algorithms, &raised))?,
            shared,
            raised,
            intervals,
            subscriptions: Mutex::new(Vec::new()),
            timers: Mutex::new(Vec::new()),
        })
    }

    /// The strategy's broker.
    #[getter]
    fn broker(&self, py: Python<'_>) -> Py<Broker> {
        self.broker.clone_ref(py)
    }

    /// A view that always shows the present instant.
    #[getter]
    fn data(&self) -> View {
        View::always(&self.shared)
    }

    /// The present instant in ns UTC, or None before the first.
    #[getter]
    fn now(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        let now = self.shared.core(py)?.run.state.now;
        Ok((now != i64::MIN).then_some(now))
    }

    /// Restrict the typed events to some; without any subscription all are delivered.
    #[pyo3(signature = (asset = None, kind = None, interval_ns = None, model_id = None))]
    fn subscribe(
        &self,
        py: Python<'_>,
        asset: Option<&Bound<'_, PyAny>>,
        kind: Option<String>,
        interval_ns: Option<i64>,
        model_id: Option<&str>,
    ) -> PyResult<()> {
        let instrument = asset.map(|a| self.shared.instrument(a)).transpose()?;
        let names: &[String] = self.shared.plan.signals.as_ref().map_or(&[], |s| s.names.as_slice());
        let model = model_id
            .map(|m| {
                let found = names.iter().position(|n| n == m);
                found.ok_or_else(|| unknown_name(py, "model_id", m, names.iter().map(String::as_str)))
            })
            .transpose()?;
        if self.shared.core(py)?.stage != Stage::Starting {
            let text = "events are subscribed to in on_start, before the first of them".to_owned();
            return Err(to_py(py, &SimError::state(text)));
        }
        if let Some(ns) = interval_ns.filter(|ns| !self.intervals.contains(&Some(*ns))) {
            let known: Vec<String> = self.intervals.iter().flatten().map(|&ns| duration(ns)).collect();
            let text = format!("no feed has bars of {}; this run has {}", duration(ns), known.join(", "));
            return Err(to_py(py, &SimError::config(text)));
        }
        // A model has nothing but signals, an interval nothing but bars.
        let implied = match (model, interval_ns) {
            (Some(_), _) => Some("signal".to_owned()),
            (None, Some(_)) => Some("bar".to_owned()),
            (None, None) => None,
        };
        let kind = kind.or(implied);
        let mut subscriptions = self.subscriptions.lock().map_err(|_| internal(py, "subscriptions"))?;
        subscriptions.push(Subscription { instrument, kind, interval_ns, model });
        Ok(())
    }

    /// Call `callback` without arguments at each of `times` (ns UTC, after the present instant); `name` is what
    /// messages call it.
    fn add_timers(&self, py: Python<'_>, times: Vec<i64>, callback: Py<PyAny>, name: String) -> PyResult<()> {
        let mut callbacks = self.timers.lock().map_err(|_| internal(py, "timers"))?;
        let number = u32::try_from(callbacks.len()).map_err(|_| PyValueError::new_err("too many timers"))?;
        self.shared.core(py)?.run.state.add_timers(&times, number).into_py(py)?;
        callbacks.push((callback, name));
        Ok(())
    }

    /// Keep named numbers of this instant.
    fn record(&self, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = values.py();
        let mut core = self.shared.core(py)?;
        let now = self.present(&core);
        for (name, value) in values {
            let name: String = name.extract()?;
            let shown = || value.repr().map_or_else(|_| "?".to_owned(), |r| r.to_string());
            let value: f64 = value
                .extract()
                .map_err(|_| argument(py, &format!("record({name}=...) takes numbers, found {}", shown())))?;
            let slot = core.record_names.iter().position(|n| *n == name).unwrap_or_else(|| {
                core.record_names.push(name);
                core.record_names.len() - 1
            });
            core.recorded.push((now, u32::try_from(slot).unwrap_or(0), value));
        }
        Ok(())
    }

    /// Keep a line of text of this instant.
    fn log(&self, py: Python<'_>, message: String, level: String) -> PyResult<()> {
        let mut core = self.shared.core(py)?;
        let now = self.present(&core);
        core.logs.push((now, level, message));
        Ok(())
    }

    /// Run to the end of the data. `handlers` maps callback names to bound methods.
    ///
    /// An exception of a callback comes out as it was raised, with notes that tell where and when; what was
    /// recorded until then can be read.
    #[pyo3(signature = (handlers, progress = None))]
    fn execute(&self, handlers: &Bound<'_, PyDict>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = handlers.py();
        {
            let mut core = self.shared.core(py)?;
            if core.stage != Stage::Starting {
                return Err(to_py(py, &SimError::state("a run executes once; assemble a new one".to_owned())));
            }
            core.stage = Stage::Calling;
            core.owner = std::thread::current().id();
        }
        let handlers = self.handlers(py, handlers)?;
        let outcome = self.drive(py, &handlers, progress);
        self.shared.next_epoch();
        // Bound methods of the strategy, which holds the run: a cycle that no collector sees.
        if let Ok(mut timers) = self.timers.lock() {
            timers.clear();
        }
        if let Ok(mut core) = self.shared.core(py) {
            core.stage = Stage::Finished;
        }
        outcome
    }

    /// Run a strategy kernel to the end of the data, without the interpreter: `capsule` holds its table, `model` made it.
    ///
    /// # Errors
    /// The table cannot be used, the kernel answers an error, or whatever stops a run.
    #[pyo3(signature = (model, capsule, progress = None))]
    fn execute_kernel(
        &self,
        model: &Bound<'_, PyAny>,
        capsule: &Bound<'_, PyAny>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = model.py();
        let table = crate::models::table(model, capsule, ml4t_abi::Kind::STRATEGY)?;
        let mut kernel = Kernel::new(table, &self.shared.plan).into_py(py)?;
        self.execute_native(py, &mut kernel, progress)
    }

    /// Run a table that trades to the end of the data, without the interpreter; see `ml4t.backtest.front`.
    ///
    /// # Errors
    /// A signal that it reads is not there, or whatever stops a run.
    #[pyo3(signature = (description, progress = None))]
    fn execute_table(&self, description: &Bound<'_, PyDict>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let mut table = crate::front::table(&self.shared.plan, description)?;
        self.execute_native(description.py(), &mut table, progress)
    }

    /// All tables by name, each readable through the Arrow C stream interface.
    fn tables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.shared.readable();
        let out = PyDict::new(py);
        for (name, table) in tables::all(&self.shared, &core)? {
            out.set_item(name, Py::new(py, table)?)?;
        }
        Ok(out)
    }

    /// Return statistics that the run kept while it went: one observation a session of the NAV calendar.
    fn streaming_metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.shared.readable();
        let out = PyDict::new(py);
        for (name, value) in core.run.metrics.summary().entries() {
            out.set_item(name, value)?;
        }
        Ok(out)
    }

    /// Numbers that describe the size of the run.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.shared.readable();
        let out = PyDict::new(py);
        let rows: usize = self.shared.plan.feeds.iter().map(ml4t_sim::plan::Feed::len).sum();
        out.set_item("rows", rows)?;
        out.set_item("orders", core.run.state.orders.len())?;
        out.set_item("fills", core.run.recorder.fills.len())?;
        Ok(out)
    }

    /// Address of the values of a column: equal to the producer's where no copy was made.
    fn column_address(&self, py: Python<'_>, feed: &str, column: &str) -> PyResult<usize> {
        let feeds = &self.shared.plan.feeds;
        let found = feeds.iter().find(|f| f.data.name == feed);
        let found = found.ok_or_else(|| unknown_name(py, "feed", feed, feeds.iter().map(|f| f.data.name.as_str())))?;
        let column = found
            .column(column)
            .ok_or_else(|| unknown_name(py, "column", column, found.data.columns.iter().map(|c| c.name.as_str())))?;
        Ok(found.data.columns[column].values.as_ptr() as usize)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let symbols: Vec<String> =
            self.shared.symbols.iter().take(3).map(|s: &Py<PyString>| s.bind(py).to_string()).collect();
        format!("Run({} instruments: {} …)", self.shared.symbols.len(), symbols.join(", "))
    }
}
