//! Micro-batches: the rows of a window as arrays.

use std::sync::Arc;

use ml4t_sim::state::Block;
use ml4t_sim::time::Ns;
use numpy::PyArray1;
use numpy::ndarray::ArrayView1;
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;

use crate::arrays::{freeze, shown};
use crate::delivery::kind_name;
use crate::error::unknown_name;
use crate::shared::Shared;
use crate::timestamp::Timestamp;

/// Rows of one feed that became readable within a window of time: `batch.price`, `batch.times`, `len(batch)`.
///
/// The arrays are read-only and show the run's own columns where the rows stand side by side.
#[pyclass(frozen, module = "ml4t.backtest", name = "MicroBatch")]
pub(crate) struct MicroBatch {
    shared: Arc<Shared>,
    feed: usize,
    now: Ns,
    rows: Rows,
}

/// Which rows.
enum Rows {
    /// All from one to another.
    Range(std::ops::Range<usize>),
    /// These.
    List(Vec<usize>),
}

impl MicroBatch {
    /// The rows of a block of which `is_wanted` holds; `None` where it holds of none.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        block: Block,
        now: Ns,
        is_wanted: Option<&dyn Fn(usize) -> bool>,
    ) -> Option<Self> {
        let plan = &shared.plan;
        let instruments = &plan.feeds[block.feed].data.instrument;
        let rows = if is_wanted.is_none() && !block.by_arrival {
            Rows::Range(block.from..block.to)
        } else {
            let of_block = block.rows(plan);
            Rows::List(of_block.filter(|&row| is_wanted.is_none_or(|f| f(instruments[row] as usize))).collect())
        };
        let batch = Self { shared: Arc::clone(shared), feed: block.feed, now, rows };
        (batch.len() > 0).then_some(batch)
    }

    fn len(&self) -> usize {
        match &self.rows {
            Rows::Range(range) => range.len(),
            Rows::List(list) => list.len(),
        }
    }

    fn array<'py, T: numpy::Element + Copy>(&self, py: Python<'py>, column: &[T]) -> Bound<'py, PyArray1<T>> {
        match &self.rows {
            Rows::Range(range) => shown(py, &self.shared.owner, &ArrayView1::from(&column[range.clone()])),
            Rows::List(list) => {
                let array = PyArray1::from_vec(py, list.iter().map(|&row| column[row]).collect());
                freeze(&array);
                array
            }
        }
    }

    fn field<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, PyArray1<f64>>> {
        let feed = &self.shared.plan.feeds[self.feed];
        feed.column(name).map(|column| self.array(py, &feed.data.columns[column].values))
    }
}

#[pymethods]
impl MicroBatch {
    /// `bar`, `quote` or `trade`.
    #[getter]
    fn kind(&self) -> &'static str {
        kind_name(self.shared.plan.feeds[self.feed].data.kind)
    }

    /// Name of the feed.
    #[getter]
    fn feed(&self) -> String {
        self.shared.plan.feeds[self.feed].data.name.clone()
    }

    /// The present instant: the end of the window.
    #[getter]
    fn timestamp(&self) -> Timestamp {
        Timestamp::new(self.now)
    }

    /// When each row was complete, in nanoseconds since 1970 UTC.
    #[getter]
    fn times<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        self.array(py, &self.shared.plan.feeds[self.feed].data.ts_event)
    }

    /// Instrument of each row, as its place in `data.symbols`.
    #[getter]
    fn assets<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.array(py, &self.shared.plan.feeds[self.feed].data.instrument)
    }

    /// Names of the fields.
    fn keys(&self) -> Vec<String> {
        self.shared.plan.feeds[self.feed].data.columns.iter().map(|c| c.name.clone()).collect()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, field: &str) -> PyResult<Bound<'py, PyArray1<f64>>> {
        self.field(py, field).ok_or_else(|| unknown_name(py, "field", field, self.keys().iter().map(String::as_str)))
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyArray1<f64>>> {
        self.field(py, name).ok_or_else(|| {
            PyAttributeError::new_err(format!("the batch has no field {name:?}; it has {}", self.keys().join(", ")))
        })
    }

    fn __len__(&self) -> usize {
        self.len()
    }

    fn __repr__(&self) -> String {
        let feed = &self.shared.plan.feeds[self.feed].data.name;
        format!("MicroBatch({feed}, {} rows up to {})", self.len(), ml4t_sim::time::render(self.now))
    }
}
