//! Delivery: which callbacks of a strategy are told of what.

use std::sync::Arc;

use ml4t_sim::plan::{FeedKind, Plan};
use ml4t_sim::state::{Block, Notice, State};
use ml4t_sim::time::Ns;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::broker::Broker;
use crate::error::{internal, to_py, unknown_name};
use crate::events::MarketEvent;
use crate::run::PyRun;
use crate::shared::{Core, Shared};
use crate::timestamp::Timestamp;
use crate::view::{Context, View};

/// How many of the events that fit a subscription wants, of each instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    /// All of them.
    Event,
    /// Every so manieth.
    Count(i64),
    /// The first at or after each whole multiple of so many nanoseconds since 1970.
    Period(Ns),
}

/// A subscription: None means all.
pub(crate) struct Subscription {
    pub instruments: Option<Vec<usize>>,
    pub kind: Option<String>,
    pub interval_ns: Option<i64>,
    pub model: Option<usize>,
    pub every: Every,
    /// Length of the windows in which rows are handed over together; `None` for one by one.
    pub window: Option<Ns>,
}

impl Subscription {
    fn wants(&self, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|k| k == kind)
    }

    pub(crate) fn is_of(&self, instrument: usize) -> bool {
        self.instruments.as_ref().is_none_or(|wanted| wanted.contains(&instrument))
    }

    /// Whether it is of the rows of a feed.
    pub(crate) fn fits_feed(&self, kind: &str, interval_ns: Option<i64>) -> bool {
        self.wants(kind) && self.interval_ns.is_none_or(|ns| interval_ns == Some(ns))
    }
}

/// What a subscription with `every` has seen of each instrument.
struct Throttle {
    every: Every,
    seen: Vec<i64>,
}

impl Throttle {
    fn new(every: Every, instruments: usize) -> Self {
        let before = if matches!(every, Every::Period(_)) { i64::MIN } else { 0 };
        Self { every, seen: vec![before; instruments] }
    }

    /// Count an event; whether it is one of those wanted.
    const fn takes(&mut self, instrument: usize, ts: Ns) -> bool {
        let seen = &mut self.seen.as_mut_slice()[instrument];
        match self.every {
            Every::Event => true,
            Every::Count(n) => {
                *seen += 1;
                let is_due = *seen == n;
                if is_due {
                    *seen = 0;
                }
                is_due
            }
            Every::Period(ns) => {
                let number = ts.div_euclid(ns);
                let is_new = *seen != number;
                *seen = number;
                is_new
            }
        }
    }
}

/// Which events of one source go to a callback.
struct Passes {
    /// Those of these instruments, all of them.
    all: Vec<bool>,
    /// Numbers of the throttles that fit, each with its instruments.
    throttled: Vec<(usize, Vec<bool>)>,
}

impl Passes {
    fn admits(&self, throttles: &mut [Throttle], instrument: usize, ts: Ns) -> bool {
        let mut admits = self.all[instrument];
        for (number, instruments) in &self.throttled {
            // Each counts, whatever the others say.
            admits |= instruments[instrument] && throttles[*number].takes(instrument, ts);
        }
        admits
    }
}

/// Bound methods of the strategy, and what they are told of.
pub(crate) struct Handlers {
    on_data: Option<Py<PyAny>>,
    on_event: Option<Py<PyAny>>,
    on_bar: Option<Py<PyAny>>,
    on_quote: Option<Py<PyAny>>,
    on_trade: Option<Py<PyAny>>,
    on_signal: Option<Py<PyAny>>,
    on_batch: Option<Py<PyAny>>,
    on_fill: Option<Py<PyAny>>,
    on_order: Option<Py<PyAny>>,
    pub(crate) on_margin_call: Option<Py<PyAny>>,
    on_daily_close: Option<Py<PyAny>>,
    pub(crate) on_stop: Option<Py<PyAny>>,
    /// Rows, by feed.
    rows: Vec<Passes>,
    /// Signals, by model.
    signals: Vec<Passes>,
    throttles: Vec<Throttle>,
    /// Per feed whose rows come in windows, and call `on_data` no more on their own; `None` where none do.
    windowed: Vec<Option<Vec<bool>>>,
    has_windows: bool,
    /// Whether any callback gets fills, order events or margin calls.
    hears_of_orders: bool,
    /// Whether `on_event` gets fills and order events, per instrument.
    fills_of: Vec<bool>,
    orders_of: Vec<bool>,
}

/// A callback and its name.
type Named<'a> = (&'static str, &'a Py<PyAny>);

impl Handlers {
    /// # Errors
    /// The mapping cannot be read.
    pub(crate) fn new(
        plan: &Plan,
        intervals: &[Option<i64>],
        subscriptions: &[Subscription],
        given: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let get = |name: &str| -> PyResult<Option<Py<PyAny>>> {
            Ok(given.get_item(name)?.filter(|f| !f.is_none()).map(Bound::unbind))
        };
        let n = plan.instruments.len();
        let is_open = subscriptions.is_empty();
        let of = |kind: &str| -> Vec<bool> {
            let wants = |i: usize| subscriptions.iter().any(|s| s.wants(kind) && s.is_of(i) && s.window.is_none());
            (0..n).map(|i| is_open || wants(i)).collect()
        };
        let passes = |fits: &dyn Fn(&Subscription) -> bool| {
            let fitting: Vec<(usize, &Subscription)> =
                subscriptions.iter().enumerate().filter(|(_, s)| s.window.is_none() && fits(s)).collect();
            let whole: Vec<&Subscription> =
                fitting.iter().filter(|(_, s)| s.every == Every::Event).map(|&(_, s)| s).collect();
            let throttled = fitting.iter().filter(|(_, s)| s.every != Every::Event);
            Passes {
                all: (0..n).map(|i| is_open || whole.iter().any(|s| s.is_of(i))).collect(),
                throttled: throttled.map(|&(k, s)| (k, (0..n).map(|i| s.is_of(i)).collect())).collect(),
            }
        };
        let feeds = || plan.feeds.iter().zip(intervals).map(|(feed, &interval)| (kind_name(feed.data.kind), interval));
        let rows = feeds().map(|(kind, interval)| passes(&|s| s.fits_feed(kind, interval))).collect();
        let names = plan.signals.as_ref().map_or(0, |s| s.names.len());
        let signals =
            (0..names).map(|m| passes(&|s| s.wants("signal") && s.model.is_none_or(|wanted| wanted == m))).collect();
        let windowed: Vec<Option<Vec<bool>>> = feeds()
            .map(|(kind, interval)| {
                let is_window = |s: &&Subscription| s.window.is_some() && s.fits_feed(kind, interval);
                let windows: Vec<&Subscription> =
                    subscriptions.iter().filter(|s| kind != "context" && is_window(s)).collect();
                (!windows.is_empty()).then(|| (0..n).map(|i| windows.iter().any(|s| s.is_of(i))).collect())
            })
            .collect();
        let (on_event, on_fill, on_order) = (get("on_event")?, get("on_fill")?, get("on_order")?);
        let on_margin_call = get("on_margin_call")?;
        let hears_of_orders = [&on_event, &on_fill, &on_order, &on_margin_call].into_iter().any(Option::is_some);
        Ok(Self {
            hears_of_orders,
            on_margin_call,
            on_data: get("on_data")?,
            on_event,
            on_bar: get("on_bar")?,
            on_quote: get("on_quote")?,
            on_trade: get("on_trade")?,
            on_signal: get("on_signal")?,
            on_batch: get("on_batch")?,
            on_fill,
            on_order,
            on_daily_close: get("on_daily_close")?,
            on_stop: get("on_stop")?,
            rows,
            signals,
            throttles: subscriptions.iter().map(|s| Throttle::new(s.every, n)).collect(),
            has_windows: windowed.iter().any(Option::is_some),
            windowed,
            fills_of: of("fill"),
            orders_of: of("order"),
        })
    }

    fn for_feed(&self, kind: FeedKind) -> Option<Named<'_>> {
        let own = match kind {
            FeedKind::Bar => ("on_bar", &self.on_bar),
            FeedKind::Quote => ("on_quote", &self.on_quote),
            FeedKind::Trade => ("on_trade", &self.on_trade),
            FeedKind::Context => return None,
        };
        own.1.as_ref().map(|f| (own.0, f)).or_else(|| self.on_event.as_ref().map(|f| ("on_event", f)))
    }

    fn for_signals(&self) -> Option<Named<'_>> {
        self.on_signal.as_ref().map(|f| ("on_signal", f)).or_else(|| self.on_event.as_ref().map(|f| ("on_event", f)))
    }

    pub(crate) fn for_fills(&self, instrument: usize) -> Option<Named<'_>> {
        let general = self.on_event.as_ref().filter(|_| self.fills_of[instrument]).map(|f| ("on_event", f));
        self.on_fill.as_ref().map(|f| ("on_fill", f)).or(general)
    }

    pub(crate) fn for_orders(&self, instrument: usize) -> Option<Named<'_>> {
        let general = self.on_event.as_ref().filter(|_| self.orders_of[instrument]).map(|f| ("on_event", f));
        self.on_order.as_ref().map(|f| ("on_order", f)).or(general)
    }
}

/// What is to be delivered at one instant; kept from one to the next for its memory.
#[derive(Default)]
pub(crate) struct Work {
    pub is_after_opens: bool,
    pub notices: Vec<Notice>,
    closes_session: bool,
    timers: Vec<u32>,
    rows: Vec<(usize, usize)>,
    batches: Vec<(usize, Block)>,
    signals: Vec<usize>,
    calls_on_data: bool,
}

impl Work {
    pub(crate) const fn is_empty(&self) -> bool {
        self.notices.is_empty()
            && !self.closes_session
            && self.timers.is_empty()
            && self.rows.is_empty()
            && self.batches.is_empty()
            && self.signals.is_empty()
            && !self.calls_on_data
    }

    /// Forget what was delivered.
    pub(crate) fn clear(&mut self, is_after_opens: bool) {
        self.is_after_opens = is_after_opens;
        self.notices.clear();
        self.closes_session = false;
        self.timers.clear();
        self.rows.clear();
        self.batches.clear();
        self.signals.clear();
        self.calls_on_data = false;
    }

    /// Take the notices that some handler wants; the others are dropped.
    pub(crate) fn take_notices(&mut self, core: &mut Core, handlers: &Handlers) {
        let found = &mut core.run.state.notices;
        if found.is_empty() {
            return;
        }
        if !handlers.hears_of_orders {
            found.clear();
            return;
        }
        std::mem::swap(&mut self.notices, found);
        let state = &core.run.state;
        self.notices.retain(|notice| match notice {
            Notice::Order(e) => handlers.for_orders(state.order(e.order).request.instrument.index()).is_some(),
            Notice::Fill(fill) => handlers.for_fills(fill.instrument.index()).is_some(),
            Notice::Margin(_) => handlers.on_margin_call.is_some(),
        });
    }

    /// Take what has just become readable and somebody wants to be told of.
    pub(crate) fn collect(&mut self, plan: &Plan, state: &State, handlers: &mut Handlers) {
        let causes = state.causes;
        self.closes_session = causes.closes_nav_session && handlers.on_daily_close.is_some();
        self.timers.extend(state.due_timers.iter().map(|t| t.callback));
        if handlers.on_data.is_some() {
            let is_alone = |block: &Block| {
                let instruments = &plan.feeds[block.feed].data.instrument;
                handlers.windowed[block.feed]
                    .as_ref()
                    .is_none_or(|windowed| block.rows(plan).any(|row| !windowed[instruments[row] as usize]))
            };
            let has_data = causes.has_data && (!handlers.has_windows || state.blocks.iter().any(is_alone));
            self.calls_on_data = has_data || causes.has_signals || causes.has_timers || !state.due_batches.is_empty();
        }
        for &block in &state.blocks {
            let columns = &plan.feeds[block.feed].data;
            if handlers.for_feed(columns.kind).is_none() {
                continue;
            }
            let (passes, throttles) = (&handlers.rows[block.feed], &mut handlers.throttles);
            let rows = block.rows(plan);
            let rows =
                rows.filter(|&row| passes.admits(throttles, columns.instrument[row] as usize, columns.ts_event[row]));
            self.rows.extend(rows.map(|row| (block.feed, row)));
        }
        if handlers.on_batch.is_some() {
            self.batches.extend_from_slice(&state.due_batches);
        }
        if let (Some(signals), true) = (&plan.signals, causes.has_signals && handlers.for_signals().is_some()) {
            let (passes, throttles) = (&handlers.signals, &mut handlers.throttles);
            self.signals.extend((state.new_signals.0..state.new_signals.1).filter(|&row| {
                let (instrument, ts) = (signals.instrument[row] as usize, signals.ts_event[row]);
                passes[signals.name[row] as usize].admits(throttles, instrument, ts)
            }));
        }
    }
}

/// Name of a kind of feed.
pub(crate) const fn kind_name(kind: FeedKind) -> &'static str {
    match kind {
        FeedKind::Bar => "bar",
        FeedKind::Quote => "quote",
        FeedKind::Trade => "trade",
        FeedKind::Context => "context",
    }
}

/// Whether an object has one holder.
fn has_one_holder<T>(object: &Bound<'_, T>) -> bool {
    // SAFETY: the pointer is that of a live object, and the interpreter is attached.
    unsafe { pyo3::ffi::Py_REFCNT(object.as_ptr()) == 1 }
}

/// The arguments of callbacks, made once; one is made anew only when the strategy kept the last.
pub(crate) struct Arguments {
    view: Py<View>,
    context: Py<Context>,
    broker: Py<Broker>,
    /// A tuple of a market event, and the event.
    event: Option<(Py<PyTuple>, Py<MarketEvent>)>,
}

impl Arguments {
    pub(crate) fn new(py: Python<'_>, shared: &Arc<Shared>, broker: &Py<Broker>) -> PyResult<Self> {
        Ok(Self {
            view: Py::new(py, View::now(shared))?,
            context: Py::new(py, Context::new(shared))?,
            broker: broker.clone_ref(py),
            event: None,
        })
    }

    fn of_data(&mut self, py: Python<'_>, shared: &Arc<Shared>, f: &Py<PyAny>) -> PyResult<()> {
        if has_one_holder(self.view.bind(py)) {
            self.view.get().renew();
        } else {
            self.view = Py::new(py, View::now(shared))?;
        }
        let now = shared.core(py)?.run.state.now;
        f.call1(py, (Timestamp::new(now), &self.view, &self.context, &self.broker)).map(drop)
    }

    fn of_row<'py>(
        &mut self,
        py: Python<'py>,
        shared: &Arc<Shared>,
        (feed, row): (usize, usize),
    ) -> PyResult<&Bound<'py, PyTuple>> {
        // The tuple and we hold the event.
        let is_free = |(tuple, event): &(Py<PyTuple>, Py<MarketEvent>)| {
            // SAFETY: as in `has_one_holder`.
            let holders = unsafe { pyo3::ffi::Py_REFCNT(event.as_ptr()) };
            holders == 2 && has_one_holder(tuple.bind(py))
        };
        if let Some(kept) = self.event.take().filter(is_free) {
            MarketEvent::renew(kept.1.bind(py), &shared.plan, feed, row);
            return Ok(self.event.insert(kept).0.bind(py));
        }
        let event = MarketEvent::create(py, shared, feed, row)?;
        let tuple = PyTuple::new(py, [&event])?.unbind();
        Ok(self.event.insert((tuple, event)).0.bind(py))
    }
}

impl PyRun {
    /// Tell the strategy what has happened at this instant.
    pub(crate) fn deliver(
        &self,
        py: Python<'_>,
        handlers: &Handlers,
        work: &Work,
        arguments: &mut Arguments,
    ) -> PyResult<()> {
        let (shared, plan) = (self.shared(), &self.shared().plan);
        self.deliver_notices(py, handlers, &work.notices)?;
        if let Some(f) = handlers.on_daily_close.as_ref().filter(|_| work.closes_session) {
            f.call0(py).map_err(|e| self.noted(py, e, "in on_daily_close"))?;
        }
        for &timer in &work.timers {
            self.fire(py, timer)?;
        }
        for &(feed, row) in &work.rows {
            let columns = &plan.feeds[feed].data;
            if let Some((name, f)) = handlers.for_feed(columns.kind) {
                let event = arguments.of_row(py, shared, (feed, row))?;
                f.bind(py).call1(event).map_err(|e| {
                    let asset = &plan.instruments[columns.instrument[row] as usize].symbol;
                    self.noted(py, e, &format!("in {name}, {asset}"))
                })?;
            }
        }
        if let Some(f) = &handlers.on_batch {
            for &(number, block) in &work.batches {
                let Some(batch) = self.batch(py, number, block)? else { continue };
                f.call1(py, (batch,)).map_err(|e| self.noted(py, e, "in on_batch"))?;
            }
        }
        for &row in &work.signals {
            self.deliver_signal(py, handlers.for_signals(), row)?;
        }
        if let Some(f) = handlers.on_data.as_ref().filter(|_| work.calls_on_data) {
            arguments.of_data(py, shared, f).map_err(|e| self.noted(py, e, "in on_data"))?;
        }
        Ok(())
    }
}

/// The error for a name that is none.
pub(crate) fn no_model(py: Python<'_>, plan: &Plan, model: &str) -> PyErr {
    let names: &[String] = plan.signals.as_ref().map_or(&[], |s| s.names.as_slice());
    unknown_name(py, "model_id", model, names.iter().map(String::as_str))
}

/// A lock that somebody left in disorder.
pub(crate) fn broken(py: Python<'_>) -> PyErr {
    internal(py, "subscriptions")
}

/// A state error with a text.
pub(crate) fn state_error(py: Python<'_>, text: &str) -> PyErr {
    to_py(py, &ml4t_sim::error::SimError::state(text.to_owned()))
}
