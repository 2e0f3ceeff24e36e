//! Python binding of the ml4t simulator.
//!
//! The only crate that names pyo3. It takes Arrow columns in and hands Arrow tables out without copying
//! prices, drives a run through the callbacks of a Python strategy, and turns errors and panics into
//! exceptions. Nothing here decides a number.
#![expect(clippy::needless_pass_by_value, reason = "pyo3 hands arguments and self references over by value")]

mod arrays;
mod assemble;
mod batch;
mod broker;
mod convert;
mod delivery;
mod error;
mod events;
mod executors;
mod front;
mod handle;
mod indicators;
mod measure;
mod models;
mod portfolio_models;
mod position;
mod run;
mod shared;
mod spill;
mod tables;
mod terms;
mod timestamp;
mod view;

use numpy::{PyArray1, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::IntoPyResult;

/// Statistics of a series of simple returns per period.
///
/// `benchmark` is aligned with `returns`; `risk_free` is per period. See `docs/how-to/read-results.md` for the
/// conventions.
#[pyfunction]
#[pyo3(signature = (returns, *, benchmark = None, risk_free = 0.0, periods_per_year = 252.0))]
fn performance<'py>(
    py: Python<'py>,
    returns: PyReadonlyArray1<'py, f64>,
    benchmark: Option<PyReadonlyArray1<'py, f64>>,
    risk_free: f64,
    periods_per_year: f64,
) -> PyResult<Bound<'py, PyDict>> {
    // A strided array has no slice; its values are gathered instead.
    let gather = |a: &PyReadonlyArray1<'py, f64>| -> Vec<f64> {
        if a.is_contiguous() { a.as_slice().map(<[f64]>::to_vec).unwrap_or_default() } else { a.as_array().to_vec() }
    };
    let values = gather(&returns);
    let against = benchmark.as_ref().map(gather);
    let summary =
        ml4t_sim::metrics::performance(&values, against.as_deref(), risk_free, periods_per_year).into_py(py)?;
    let out = PyDict::new(py);
    for (name, value) in summary.entries() {
        out.set_item(name, value)?;
    }
    Ok(out)
}

/// Annual volatility and Sharpe ratio of each window of `window` returns, as `performance` has them.
#[pyfunction]
#[pyo3(signature = (returns, window, *, risk_free = 0.0, periods_per_year = 252.0))]
fn rolling_performance<'py>(
    py: Python<'py>,
    returns: PyReadonlyArray1<'py, f64>,
    window: usize,
    risk_free: f64,
    periods_per_year: f64,
) -> PyResult<[Bound<'py, PyArray1<f64>>; 2]> {
    let values = returns.as_array().to_vec();
    let (volatility, sharpe) = ml4t_sim::metrics::rolling(&values, window, risk_free, periods_per_year).into_py(py)?;
    Ok([volatility, sharpe].map(|values| PyArray1::from_vec(py, values)))
}

/// Every reason code of an order with its sentence, for the documentation.
#[pyfunction]
fn reason_codes() -> Vec<(&'static str, &'static str)> {
    ml4t_sim::order::Reason::ALL.iter().filter(|r| !r.code().is_empty()).map(|r| (r.code(), r.sentence())).collect()
}

/// Check the table of a model's capsule as a run would; its name, and the version of the interface it was built for.
#[pyfunction]
fn native_table(model: &Bound<'_, PyAny>, capsule: &Bound<'_, PyAny>, kind: u32) -> PyResult<(String, (u16, u16))> {
    let table = models::table(model, capsule, ml4t_abi::Kind(kind))?;
    Ok((table.name().to_owned(), table.version()))
}

/// Addresses of `double f(double)` (and `double pow(double, double)`) whose bits are the same on every platform.
#[pyfunction]
fn math_functions(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("exp", ml4t_sim::foreign::exp as *const () as usize)?;
    out.set_item("log", ml4t_sim::foreign::log as *const () as usize)?;
    out.set_item("pow", ml4t_sim::foreign::pow as *const () as usize)?;
    Ok(out)
}

#[pymodule]
mod _engine {
    #[pymodule_export]
    use super::batch::MicroBatch;
    #[pymodule_export]
    use super::broker::Broker;
    #[pymodule_export]
    use super::events::{Event, EventFields, FillEvent, MarginCallEvent, MarketEvent, OrderEvent, SignalEvent};
    #[pymodule_export]
    use super::executors::WorkedHandle;
    #[pymodule_export]
    use super::handle::OrderHandle;
    #[pymodule_export]
    use super::indicators::{IndicatorColumn, PyAtr, PyBollinger, PyEma, PyMacd, PyRollingStd, PyRsi, PySma};
    #[pymodule_export]
    use super::measure::ask_slippage;
    #[pymodule_export]
    use super::position::Position;
    #[pymodule_export]
    use super::run::PyRun;
    #[pymodule_export]
    use super::tables::Table;
    #[pymodule_export]
    use super::timestamp::Timestamp;
    #[pymodule_export]
    use super::view::{Context, Row, SignalRow, View};
    #[pymodule_export]
    use super::{math_functions, native_table, performance, reason_codes, rolling_performance};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "a module attribute of Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
