//! Numpy arrays that show the run's own columns, read-only and without copying.

use std::sync::Arc;

use ml4t_sim::plan::Plan;
use numpy::ndarray::{ArrayView, Dimension};
use numpy::npyffi::NPY_ARRAY_WRITEABLE;
use numpy::{Element, PyArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// Keeps the columns alive as long as an array shows them.
#[pyclass(frozen, module = "ml4t.engine")]
pub(crate) struct Owner {
    /// Never read: it is here so that the memory stays.
    _plan: Arc<Plan>,
}

impl Owner {
    pub(crate) fn create(py: Python<'_>, plan: &Arc<Plan>) -> PyResult<Py<Self>> {
        Py::new(py, Self { _plan: Arc::clone(plan) })
    }
}

/// Take away the right to write into an array.
pub(crate) fn freeze<T: Element, D: Dimension>(array: &Bound<'_, PyArray<T, D>>) {
    // SAFETY: the pointer is that of a live array that nobody else has seen yet, and the interpreter is attached.
    unsafe { (*array.as_array_ptr()).fields.flags &= !NPY_ARRAY_WRITEABLE };
}

/// Show values of a column of the plan that `owner` holds.
pub(crate) fn shown<'py, T: Element, D: Dimension>(
    py: Python<'py>,
    owner: &Py<Owner>,
    values: &ArrayView<'_, T, D>,
) -> Bound<'py, PyArray<T, D>> {
    // SAFETY: the values are in a column of the plan, which is immutable and lives as long as the owner, and the array
    // holds the owner.
    let array = unsafe { PyArray::borrow_from_array(values, owner.bind(py).clone().into_any()) };
    freeze(&array);
    array
}
