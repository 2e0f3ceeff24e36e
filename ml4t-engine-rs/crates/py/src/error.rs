//! `SimError` -> the exception classes of `ml4t.core.errors`, one to one.

use ml4t_sim::error::{ErrorKind, SimError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

const MODULE: &str = "ml4t.core.errors";

const fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Data => "DataError",
        ErrorKind::Config => "ConfigError",
        ErrorKind::Order => "OrderError",
        ErrorKind::Model => "ModelError",
        ErrorKind::Overflow => "NumericOverflowError",
        ErrorKind::Accounting => "AccountingError",
        ErrorKind::UnknownName => "UnknownNameError",
        ErrorKind::State => "EngineStateError",
        ErrorKind::Internal => "EngineInternalError",
    }
}

fn raise(py: Python<'_>, class: &str, message: &str) -> PyErr {
    let built = py.import(MODULE).and_then(|m| m.getattr(class)).and_then(|c| c.call1((message,)));
    match built {
        Ok(instance) => PyErr::from_value(instance),
        Err(error) => error,
    }
}

/// The exception of a simulator error.
pub(crate) fn to_py(py: Python<'_>, error: &SimError) -> PyErr {
    raise(py, class_name(error.kind), &error.message)
}

/// A `ModelError`.
pub(crate) fn model(py: Python<'_>, message: &str) -> PyErr {
    raise(py, "ModelError", message)
}

/// A `StaleViewError`.
pub(crate) fn stale(py: Python<'_>, message: &str) -> PyErr {
    raise(py, "StaleViewError", message)
}

/// An `ArgumentError`: a `TypeError` of ours.
pub(crate) fn argument(py: Python<'_>, message: &str) -> PyErr {
    raise(py, "ArgumentError", message)
}

/// An `UnknownNameError` that names the nearest known name.
pub(crate) fn unknown_name<'a>(
    py: Python<'_>,
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> PyErr {
    let known: Vec<&str> = known.into_iter().collect();
    let built = py.import(MODULE).and_then(|m| m.call_method1("unknown_name", (kind, name, known)));
    match built {
        Ok(instance) => PyErr::from_value(instance),
        Err(error) => error,
    }
}

/// Shorthand for `map_err(|e| to_py(py, &e))`.
pub(crate) trait IntoPyResult<T> {
    fn into_py(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> IntoPyResult<T> for Result<T, SimError> {
    fn into_py(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| to_py(py, &error))
    }
}

/// Add a line to an exception, as `BaseException.add_note` does.
pub(crate) fn add_note(py: Python<'_>, error: &PyErr, note: &str) {
    static ADD_NOTE: PyOnceLock<Py<PyString>> = PyOnceLock::new();
    let name = ADD_NOTE.get_or_init(py, || PyString::new(py, "add_note").unbind());
    // An exception class may refuse notes; the exception itself matters more.
    drop(error.value(py).call_method1(name.bind(py), (note,)));
}

/// An `EngineInternalError`.
pub(crate) fn internal(py: Python<'_>, message: &str) -> PyErr {
    raise(py, "EngineInternalError", message)
}
