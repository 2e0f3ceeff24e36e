//! What the Python-facing objects of one run share.
//!
//! The loop holds the lock only while Rust works. Around every call into Python it is free, so that the view,
//! the broker and the orders can take it; taken twice, it says who did something that is not allowed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::ThreadId;

use ml4t_sim::engine::Simulator;
use ml4t_sim::error::SimError;
use ml4t_sim::order::{Order, OrderStatus, OrderType, Side, TimeInForce};
use ml4t_sim::plan::Plan;
use ml4t_sim::queue::ColumnSource;
use ml4t_sim::recorder::TableRecorder;
use ml4t_sim::rules::RuleKind;
use ml4t_sim::time::Ns;
use ml4t_sim::venue::SimulatedVenue;
use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::arrays::Owner;
use crate::error::{argument, internal, to_py, unknown_name};

pub(crate) type Run = Simulator<ColumnSource, SimulatedVenue, TableRecorder>;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before the first event.
    Starting,
    /// Inside a callback: orders are welcome.
    Calling,
    /// Over.
    Finished,
}

/// The mutable part, behind the lock.
pub(crate) struct Core {
    pub run: Run,
    pub stage: Stage,
    pub owner: ThreadId,
    /// Texts that orders refer to; the first is empty.
    pub texts: Vec<String>,
    /// Text -> its place.
    pub text_index: BTreeMap<String, u32>,
    /// Names of recorded values, in order of first use.
    pub record_names: Vec<String>,
    /// (instant, name, value).
    pub recorded: Vec<(Ns, u32, f64)>,
    /// (instant, level, message).
    pub logs: Vec<(Ns, String, String)>,
    /// Arrays in which the answers of tracked indicators are shown, per indicator and output.
    pub tracked: Vec<Vec<Py<PyArray1<f64>>>>,
    pub is_poisoned: bool,
}

impl Core {
    /// Show the last answers of tracked indicators.
    pub(crate) fn show_tracked(&self, py: Python<'_>) {
        for (arrays, tracked) in self.tracked.iter().zip(&self.run.state.tracked) {
            for (output, array) in arrays.iter().enumerate() {
                let values = tracked.values(output);
                // SAFETY: the array was made with one place an instrument, is read-only for everybody else, and the
                // interpreter is attached, so that nobody reads it meanwhile.
                unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), array.bind(py).data(), values.len()) };
            }
        }
    }

    /// Free text of an order, or the rule that placed it.
    pub(crate) fn tag(&self, order: &Order) -> &str {
        match order.rule {
            Some(rule) => RuleKind::as_str(rule),
            None => &self.texts[order.request.tag as usize],
        }
    }
}

/// The enum members of `ml4t.core.types`, fetched once.
pub(crate) struct Enums {
    status: Vec<Py<PyAny>>,
    side: Vec<Py<PyAny>>,
    order_type: Vec<Py<PyAny>>,
    time_in_force: Vec<Py<PyAny>>,
}

impl Enums {
    fn load(py: Python<'_>) -> PyResult<Self> {
        let types = py.import("ml4t.core.types")?;
        let members = |class: &str, names: Vec<&str>| -> PyResult<Vec<Py<PyAny>>> {
            let class = types.getattr(class)?;
            names.into_iter().map(|name| Ok(class.call1((name,))?.unbind())).collect()
        };
        Ok(Self {
            status: members("OrderStatus", OrderStatus::ALL.iter().map(|x| x.as_str()).collect())?,
            side: members("Side", Side::ALL.iter().map(|x| x.as_str()).collect())?,
            order_type: members("OrderType", OrderType::ALL.iter().map(|x| x.as_str()).collect())?,
            time_in_force: members("TimeInForce", TimeInForce::ALL.iter().map(|x| x.as_str()).collect())?,
        })
    }

    pub(crate) fn status(&self, py: Python<'_>, value: OrderStatus) -> Py<PyAny> {
        self.status[value as usize].clone_ref(py)
    }

    pub(crate) fn side(&self, py: Python<'_>, value: Side) -> Py<PyAny> {
        self.side[value as usize].clone_ref(py)
    }

    pub(crate) fn order_type(&self, py: Python<'_>, value: OrderType) -> Py<PyAny> {
        self.order_type[value as usize].clone_ref(py)
    }

    pub(crate) fn time_in_force(&self, py: Python<'_>, value: TimeInForce) -> Py<PyAny> {
        self.time_in_force[value as usize].clone_ref(py)
    }
}

/// Shared by the run, its view, its broker, its orders and its events.
pub(crate) struct Shared {
    pub plan: Arc<Plan>,
    core: Mutex<Core>,
    /// Number of the present instant; views and rows of earlier ones are stale.
    epoch: AtomicU64,
    /// Symbol -> index.
    index: Py<PyDict>,
    /// Index -> symbol.
    pub symbols: Vec<Py<PyString>>,
    pub enums: Enums,
    /// Owner of the columns that arrays show.
    pub owner: Py<Owner>,
}

impl Shared {
    pub(crate) fn new(py: Python<'_>, run: Run) -> PyResult<Arc<Self>> {
        let plan = Arc::clone(run.plan());
        let index = PyDict::new(py);
        let mut symbols = Vec::with_capacity(plan.instruments.len());
        for (i, instrument) in plan.instruments.iter().enumerate() {
            let symbol = PyString::new(py, &instrument.symbol);
            index.set_item(&symbol, i)?;
            symbols.push(symbol.unbind());
        }
        let core = Core {
            run,
            stage: Stage::Starting,
            owner: std::thread::current().id(),
            texts: vec![String::new()],
            text_index: BTreeMap::new(),
            record_names: Vec::new(),
            recorded: Vec::new(),
            logs: Vec::new(),
            tracked: Vec::new(),
            is_poisoned: false,
        };
        let owner = Owner::create(py, &plan)?;
        Ok(Arc::new(Self {
            owner,
            plan,
            core: Mutex::new(core),
            epoch: AtomicU64::new(1),
            index: index.unbind(),
            symbols,
            enums: Enums::load(py)?,
        }))
    }

    /// The mutable part.
    pub(crate) fn core(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Core>> {
        let guard = match self.core.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::WouldBlock) => {
                let text =
                    "the engine is at work: models and other threads may not use the broker or the data of a run";
                return Err(to_py(py, &SimError::state(text.to_owned())));
            }
            Err(TryLockError::Poisoned(_)) => return Err(internal(py, POISONED)),
        };
        if guard.is_poisoned { Err(internal(py, POISONED)) } else { Ok(guard) }
    }

    /// The mutable part for reading results, which stay readable after an internal error.
    pub(crate) fn readable(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn next_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Index of a symbol; an unknown one raises and names the nearest.
    pub(crate) fn instrument(&self, symbol: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = symbol.py();
        if let Some(found) = self.index.bind(py).get_item(symbol)? {
            return found.extract();
        }
        let Ok(text) = symbol.cast::<PyString>() else {
            return Err(argument(py, &format!("a symbol is a str, found {}", symbol.repr()?)));
        };
        Err(unknown_name(py, "symbol", text.to_str()?, self.plan.instruments.iter().map(|i| i.symbol.as_str())))
    }

    pub(crate) fn symbol(&self, py: Python<'_>, i: usize) -> Py<PyString> {
        self.symbols[i].clone_ref(py)
    }
}

pub(crate) const POISONED: &str = "this run stopped on an internal error of the engine and cannot be used any more; its results up to then can be read";
