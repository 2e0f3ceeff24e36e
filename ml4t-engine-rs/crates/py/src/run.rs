//! A run driven through a Python strategy.
//!
//! The loop works in Rust until somebody wants to be called, lets go of the lock, calls, and goes on. Only
//! callbacks that the strategy overrides are known here; their bound methods are fetched once.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use ml4t_sim::batches::Batch;
use ml4t_sim::engine::Strategy;
use ml4t_sim::error::{ErrorKind, SimError};
use ml4t_sim::foreign::Kernel;
use ml4t_sim::ids::BookId;
use ml4t_sim::orders::Orders;
use ml4t_sim::plan::{Feed, FeedKind};
use ml4t_sim::queue::ColumnSource;
use ml4t_sim::recorder::{Keep, TableRecorder};
use ml4t_sim::state::{Block, Notice};
use ml4t_sim::time::render;
use ml4t_sim::tracked::Tracked;
use ml4t_sim::venue::SimulatedVenue;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::batch::MicroBatch;
use crate::broker::Broker;
use crate::delivery::{Arguments, Every, Handlers, Subscription, Work, broken, kind_name, no_model, state_error};
use crate::error::{IntoPyResult, add_note, argument, internal, to_py, unknown_name};
use crate::events::{FillEvent, MarginCallEvent, OrderEvent, SignalEvent};
use crate::indicators::IndicatorColumn;
use crate::models::Raised;
use crate::shared::{Core, Run, Shared, Stage};
use crate::tables;
use crate::view::View;

/// Instants between two looks at pending signals (Ctrl-C) and two calls of the progress callback.
const BREATH: u32 = 2048;
/// Instants between two looks at signals and progress while a kernel runs: some milliseconds.
const KERNEL_BREATH: usize = 65_536;

/// One backtest: plan, state and rows, driven by callbacks.
#[pyclass(frozen, module = "ml4t.engine", name = "Run")]
pub(crate) struct PyRun {
    shared: Arc<Shared>,
    broker: Py<Broker>,
    raised: Raised,
    intervals: Vec<Option<i64>>,
    subscriptions: Mutex<Vec<Subscription>>,
    /// Subscription of each micro-batch of the state.
    windows: Mutex<Vec<usize>>,
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

    /// Go on until somebody wants to be called, and say of what; false at the end of the data.
    fn advance(&self, py: Python<'_>, handlers: &mut Handlers, work: &mut Work, mut resumes: bool) -> PyResult<bool> {
        let mut core = self.shared.core(py)?;
        for _ in 0..BREATH {
            if !resumes {
                if !self.guarded(py, &mut core, Run::begin)? {
                    return Ok(false);
                }
                self.shared.next_epoch();
                core.show_tracked(py);
                work.clear(false);
                work.take_notices(&mut core, handlers);
                work.collect(&self.shared.plan, &core.run.state, handlers);
                if !work.is_empty() {
                    self.guarded(py, &mut core, Run::settle_marks)?;
                    return Ok(true);
                }
            }
            resumes = false;
            self.guarded(py, &mut core, Run::take_in)?;
            work.clear(true);
            work.take_notices(&mut core, handlers);
            if !work.is_empty() {
                return Ok(true);
            }
            self.guarded(py, &mut core, Run::end)?;
        }
        work.clear(true);
        Ok(true)
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
    pub(crate) fn noted(&self, py: Python<'_>, error: PyErr, place: &str) -> PyErr {
        let now = self.shared.core(py).map_or_else(|_| String::new(), |core| render(core.run.state.now));
        add_note(py, &error, &format!("raised {place}, at {now}"));
        error
    }

    pub(crate) fn deliver_notices(&self, py: Python<'_>, handlers: &Handlers, notices: &[Notice]) -> PyResult<()> {
        for &notice in notices {
            match notice {
                Notice::Order(event) => {
                    let id = self.shared.core(py)?.run.state.order(event.order).request.instrument;
                    let Some((name, f)) = handlers.for_orders(id.index()) else { continue };
                    let object = OrderEvent::create(py, &self.shared, event, id.index())?.into_any();
                    self.call(py, name, f, object, &self.shared.plan.instrument(id).symbol)?;
                }
                Notice::Fill(fill) => {
                    let Some((name, f)) = handlers.for_fills(fill.instrument.index()) else { continue };
                    let object = FillEvent::create(py, &self.shared, fill)?.into_any();
                    self.call(py, name, f, object, &self.shared.plan.instrument(fill.instrument).symbol)?;
                }
                Notice::Margin(row) => {
                    let Some(f) = &handlers.on_margin_call else { continue };
                    let event = Py::new(py, MarginCallEvent::new(row))?;
                    f.call1(py, (event,)).map_err(|e| self.noted(py, e, "in on_margin_call"))?;
                }
            }
        }
        Ok(())
    }

    /// Call what was scheduled under that number.
    pub(crate) fn fire(&self, py: Python<'_>, timer: u32) -> PyResult<()> {
        let entry =
            |t: &Vec<(Py<PyAny>, String)>| t.get(timer as usize).map(|(f, name)| (f.clone_ref(py), name.clone()));
        if let Some((f, name)) = self.timers.lock().ok().and_then(|t| entry(&t)) {
            f.call0(py).map_err(|e| self.noted(py, e, &format!("in {name}")))?;
        }
        Ok(())
    }

    pub(crate) fn deliver_signal(
        &self,
        py: Python<'_>,
        handler: Option<(&'static str, &Py<PyAny>)>,
        row: usize,
    ) -> PyResult<()> {
        let (Some((name, f)), Some(event)) = (handler, SignalEvent::create(py, &self.shared, row)?) else {
            return Ok(());
        };
        let plan = &self.shared.plan;
        let i = plan.signals.as_ref().map_or(0, |s| s.instrument[row] as usize);
        self.call(py, name, f, event.into_any(), &plan.instruments[i].symbol)
    }

    /// The rows of a window that a subscription wants.
    pub(crate) fn batch(&self, py: Python<'_>, number: usize, block: Block) -> PyResult<Option<MicroBatch>> {
        let subscriptions = self.subscriptions.lock().map_err(|_| broken(py))?;
        let windows = self.windows.lock().map_err(|_| broken(py))?;
        let now = self.shared.core(py)?.run.state.now;
        let Some(subscription) = windows.get(number).and_then(|&k| subscriptions.get(k)) else { return Ok(None) };
        let is_wanted = |i: usize| subscription.is_of(i);
        let some = subscription.instruments.is_some().then_some(&is_wanted as &dyn Fn(usize) -> bool);
        Ok(MicroBatch::new(&self.shared, block, now, some))
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn handlers(&self, py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<Handlers> {
        let subscriptions = self.subscriptions.lock().map_err(|_| broken(py))?;
        Handlers::new(&self.shared.plan, &self.intervals, &subscriptions, given)
    }

    fn drive(&self, py: Python<'_>, handlers: &mut Handlers, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let mut arguments = Arguments::new(py, &self.shared, &self.broker)?;
        let mut work = Work::default();
        let mut resumes = false;
        let mut calls: u32 = 0;
        while self.advance(py, handlers, &mut work, resumes)? {
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
                self.deliver(py, handlers, &work, &mut arguments)?;
                resumes = true;
            }
        }
        if let Some(f) = &handlers.on_stop {
            {
                let mut core = self.shared.core(py)?;
                self.guarded(py, &mut core, Run::settle_marks)?;
            }
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

#[pymethods]
impl PyRun {
    #[new]
    fn new(spec: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = spec.py();
        let raised = Raised::default();
        let (plan, intervals) = crate::assemble::plan(spec, &raised)?;
        let source = ColumnSource::new(Arc::clone(&plan));
        let venue = SimulatedVenue::new(&plan).into_py(py)?;
        let budget = crate::spill::budget(spec)?;
        let keep = if crate::assemble::take(spec, "keeps_tables")? { Keep::All } else { Keep::Nav };
        let recorder = TableRecorder::new(&plan, keep, budget.as_ref());
        let mut run = Run::new(plan, source, venue, recorder).into_py(py)?;
        run.state.orders = Orders::new(budget);
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
            windows: Mutex::new(Vec::new()),
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
    #[pyo3(signature = (assets = None, kind = None, interval_ns = None, model_id = None, *, every = None, every_ns = None, window_ns = None))]
    #[expect(clippy::too_many_arguments, reason = "the parts of a subscription, each by its name")]
    fn subscribe(
        &self,
        py: Python<'_>,
        assets: Option<&Bound<'_, PyAny>>,
        kind: Option<String>,
        interval_ns: Option<i64>,
        model_id: Option<&str>,
        every: Option<i64>,
        every_ns: Option<i64>,
        window_ns: Option<i64>,
    ) -> PyResult<()> {
        let plan = &self.shared.plan;
        let symbols = |assets: &Bound<'_, PyAny>| -> PyResult<Vec<usize>> {
            assets.try_iter()?.map(|asset| self.shared.instrument(&asset?)).collect()
        };
        let instruments = assets.map(symbols).transpose()?;
        let names: &[String] = plan.signals.as_ref().map_or(&[], |s| s.names.as_slice());
        let model =
            model_id.map(|m| names.iter().position(|n| n == m).ok_or_else(|| no_model(py, plan, m))).transpose()?;
        if self.shared.core(py)?.stage != Stage::Starting {
            return Err(state_error(py, "events are subscribed to in on_start, before the first of them"));
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
        let every = match (every, every_ns) {
            (Some(n), _) => Every::Count(n.max(1)),
            (None, Some(ns)) => Every::Period(ns.max(1)),
            (None, None) => Every::Event,
        };
        let wanted = Subscription { instruments, kind, interval_ns, model, every, window: window_ns };
        let mut subscriptions = self.subscriptions.lock().map_err(|_| broken(py))?;
        if let Some(window) = window_ns {
            let mut windows = self.windows.lock().map_err(|_| broken(py))?;
            let feeds = plan.feeds.iter().zip(&self.intervals).enumerate();
            let is_of = |feed: &Feed, interval: Option<i64>| {
                feed.data.kind != FeedKind::Context && wanted.fits_feed(kind_name(feed.data.kind), interval)
            };
            let fitting: Vec<usize> = feeds.filter(|(_, (feed, i))| is_of(feed, **i)).map(|(k, _)| k).collect();
            if fitting.is_empty() {
                let feeds = plan.feeds.iter().filter(|feed| feed.data.kind != FeedKind::Context);
                let found: BTreeSet<&str> = feeds.map(|feed| kind_name(feed.data.kind)).collect();
                let (kind, found) = (wanted.kind.as_deref().unwrap_or("market"), Vec::from_iter(found).join(", "));
                let text = format!("no feed has {kind} rows for a window; this run has {found}");
                return Err(to_py(py, &SimError::config(text)));
            }
            let mut core = self.shared.core(py)?;
            for feed in fitting {
                let all = 0..plan.instruments.len();
                let some = wanted.instruments.as_ref().map(|_| all.map(|i| wanted.is_of(i)).collect());
                core.run.state.batches.push(Batch::new(feed, window, some));
                windows.push(subscriptions.len());
            }
        }
        subscriptions.push(wanted);
        Ok(())
    }

    /// Keep an indicator up to date for every instrument, before the strategy is called.
    #[pyo3(signature = (prototype, fields = None))]
    fn track(&self, prototype: &Bound<'_, PyAny>, fields: Option<Vec<String>>) -> PyResult<IndicatorColumn> {
        let py = prototype.py();
        let indicator = crate::indicators::prototype(prototype)?;
        let usual = || indicator.fields().iter().map(|&name| name.to_owned()).collect();
        let fields = fields.unwrap_or_else(usual);
        let mut core = self.shared.core(py)?;
        if core.stage != Stage::Starting {
            return Err(state_error(py, "indicators are declared in on_start, before the first event"));
        }
        let tracked = Tracked::new(&self.shared.plan, &core.run.state, &indicator, &fields).into_py(py)?;
        let column = IndicatorColumn::new(py, &self.shared, &indicator);
        core.tracked.push(column.arrays(py));
        core.run.state.tracked.push(tracked);
        core.show_tracked(py);
        Ok(column)
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
        let mut handlers = self.handlers(py, handlers)?;
        let outcome = self.drive(py, &mut handlers, progress);
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
        let out = PyDict::new(py);
        let keep = self.shared.readable().run.recorder.keep();
        for (name, table) in tables::all(&self.shared, keep) {
            out.set_item(name, Py::new(py, table)?)?;
        }
        Ok(out)
    }

    /// Numbers that describe the size of the run.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.shared.readable();
        let out = PyDict::new(py);
        let rows: usize = self.shared.plan.feeds.iter().map(Feed::len).sum();
        out.set_item("rows", rows)?;
        out.set_item("orders", core.run.state.orders.len())?;
        out.set_item("fills", core.run.state.fills)?;
        let (orders, rows) = (core.run.state.orders.bytes(), core.run.recorder.bytes());
        out.set_item("table_bytes", orders.0 + rows.0)?;
        out.set_item("spilled_bytes", orders.1 + rows.1)?;
        let has_room = core.run.state.orders.has_room() && core.run.recorder.has_room();
        out.set_item("has_room", has_room)?;
        let symbol = |id| self.shared.plan.instrument(id).symbol.as_str();
        let waiting = core.run.state.waiting_rolls(&self.shared.plan);
        let waiting: Vec<_> = waiting.map(|roll| (symbol(roll.from), symbol(roll.to), roll.ts)).collect();
        out.set_item("waiting_rolls", waiting)?;
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
