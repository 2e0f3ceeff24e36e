//! Numbers and Arrow columns from Python.

use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, UInt32Type};
use arrow_array::{Array, PrimitiveArray, RecordBatch, RecordBatchReader, StringViewArray};
use arrow_buffer::ScalarBuffer;
use ml4t_sim::error::SimError;
use ml4t_sim::money::Decimal;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyCapsule, PyFloat, PyInt};

use crate::error::{IntoPyResult, to_py};

/// Take over the Arrow C stream of an object and read its only batch, without copying the buffers.
///
/// The buffers stay those of the producer and live as long as any column made of them.
pub(crate) fn record_batch(object: &Bound<'_, PyAny>, what: &str) -> PyResult<RecordBatch> {
    let py = object.py();
    let capsule = object.call_method0("__arrow_c_stream__")?.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of that name holds a valid ArrowArrayStream (Arrow PyCapsule interface); `from_raw`
    // moves it out and leaves a released stream behind, so that the capsule's destructor frees nothing twice.
    let reader = unsafe { RecordBatchStreamReader::from_raw(pointer.as_ptr()) };
    let fail = |text: String| to_py(py, &SimError::data(format!("{what}: {text}")));
    let reader = reader.map_err(|e| fail(e.to_string()))?;
    let schema = reader.schema();
    let mut batches = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| fail(e.to_string()))?;
        if batch.num_rows() > 0 {
            batches.push(batch);
        }
    }
    match batches.len() {
        0 => Ok(RecordBatch::new_empty(schema)),
        1 => Ok(batches.remove(0)),
        n => Err(fail(format!("{n} chunks; the columns must be rechunked into one"))),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    py: Python<'_>,
    batch: &RecordBatch,
    name: &str,
    what: &str,
) -> PyResult<PrimitiveArray<T>> {
    let fail = |text: String| to_py(py, &SimError::data(format!("{what}: {text}")));
    let array = batch.column_by_name(name).ok_or_else(|| fail(format!("column {name} is missing")))?;
    let typed = array
        .as_any()
        .downcast_ref::<PrimitiveArray<T>>()
        .ok_or_else(|| fail(format!("column {name} has type {}, {} is expected", array.data_type(), T::DATA_TYPE)))?;
    Ok(typed.clone())
}

fn without_nulls<T: ArrowPrimitiveType>(
    py: Python<'_>,
    batch: &RecordBatch,
    name: &str,
    what: &str,
) -> PyResult<ScalarBuffer<T::Native>> {
    let array = primitive::<T>(py, batch, name, what)?;
    if array.null_count() > 0 {
        let text = format!("{what}: column {name} has {} missing values", array.null_count());
        return Err(to_py(py, &SimError::data(text)));
    }
    Ok(array.values().clone())
}

/// An `Int64` column.
pub(crate) fn int64(py: Python<'_>, batch: &RecordBatch, name: &str, what: &str) -> PyResult<ScalarBuffer<i64>> {
    without_nulls::<Int64Type>(py, batch, name, what)
}

/// A `UInt32` column.
pub(crate) fn uint32(py: Python<'_>, batch: &RecordBatch, name: &str, what: &str) -> PyResult<ScalarBuffer<u32>> {
    without_nulls::<UInt32Type>(py, batch, name, what)
}

/// An `Int32` column.
pub(crate) fn int32(py: Python<'_>, batch: &RecordBatch, name: &str, what: &str) -> PyResult<ScalarBuffer<i32>> {
    without_nulls::<Int32Type>(py, batch, name, what)
}

/// A `Float64` column; missing values become NaN, in a copy made only when there are any.
pub(crate) fn float64(py: Python<'_>, batch: &RecordBatch, name: &str, what: &str) -> PyResult<ScalarBuffer<f64>> {
    let array = primitive::<Float64Type>(py, batch, name, what)?;
    if array.null_count() == 0 {
        return Ok(array.values().clone());
    }
    Ok(array.iter().map(|x| x.unwrap_or(f64::NAN)).collect::<Vec<f64>>().into())
}

/// A column of texts, as polars hands them over.
pub(crate) fn texts(py: Python<'_>, batch: &RecordBatch, name: &str, what: &str) -> PyResult<StringViewArray> {
    let fail = |text: String| to_py(py, &SimError::data(format!("{what}: column {name} {text}")));
    let array = batch.column_by_name(name).ok_or_else(|| fail("is missing".to_owned()))?;
    let typed = array.as_any().downcast_ref::<StringViewArray>();
    let typed = typed.ok_or_else(|| fail(format!("has type {}, Utf8View is expected", array.data_type())))?;
    if typed.null_count() > 0 {
        return Err(fail(format!("has {} missing values", typed.null_count())));
    }
    Ok(typed.clone())
}

/// An exact decimal from int, float (by its shortest text), str or `decimal.Decimal`; `of` names what it is about.
pub(crate) fn decimal(value: &Bound<'_, PyAny>, field: &str, of: &str) -> PyResult<Decimal> {
    let py = value.py();
    let refuse = || {
        let shown = value.repr().map_or_else(|_| "?".to_owned(), |r| r.to_string());
        if is_finite(value) {
            return to_py(py, &SimError::overflow(format!("{field} = {shown} is beyond every range here ({of})")));
        }
        let text = format!("{field} = {shown} is not a finite number (int, float, str or Decimal) ({of})");
        to_py(py, &SimError::order(text))
    };
    if value.is_instance_of::<PyBool>() {
        return Err(refuse());
    }
    if value.is_instance_of::<PyInt>() {
        let mantissa = value.extract::<i128>().map_err(|_| refuse())?;
        return Ok(Decimal { mantissa, exponent: 0 });
    }
    if value.is_instance_of::<PyFloat>() {
        let x = value.extract::<f64>()?;
        if !x.is_finite() {
            return Err(refuse());
        }
        // Rust prints the shortest text that reads back as x, which is the number that the user typed.
        return Decimal::parse(&x.to_string()).ok_or_else(refuse);
    }
    Decimal::parse(value.str()?.to_str()?).ok_or_else(refuse)
}

/// Whether Python takes it for a finite number, of whatever size.
fn is_finite(value: &Bound<'_, PyAny>) -> bool {
    if value.is_instance_of::<PyBool>() {
        return false;
    }
    let text = value.str().map(|s| s.to_string()).unwrap_or_default();
    // A text that Rust reads as a float is a number; one that is too large for a float reads as infinite.
    let is_word = text.bytes().any(|b| b.is_ascii_alphabetic() && !matches!(b, b'e' | b'E'));
    !is_word && text.trim().parse::<f64>().is_ok()
}

/// `decimal` in units of 10^-`exponent`, rounded down or up, and whether that was exact.
pub(crate) fn nearest(
    value: &Bound<'_, PyAny>,
    exponent: u32,
    (field, symbol): (&str, &str),
    up: bool,
) -> PyResult<(i64, bool)> {
    decimal(value, field, symbol)?
        .scaled_toward(exponent, up)
        .map_or_else(|| scaled(value, exponent, field, symbol).map(|x| (x, true)), Ok)
}

/// `decimal` in units of 10^-`exponent`.
pub(crate) fn scaled(value: &Bound<'_, PyAny>, exponent: u32, field: &str, symbol: &str) -> PyResult<i64> {
    let number = decimal(value, field, symbol)?;
    number
        .scaled_i64(exponent)
        .ok_or_else(|| {
            let shown = value.str().map_or_else(|_| "?".to_owned(), |s| s.to_string());
            if number.exponent > exponent {
                SimError::order(format!(
                    "{field} = {shown} of {symbol} has {} decimals, the instrument keeps {exponent}",
                    number.exponent
                ))
            } else {
                SimError::overflow(format!(
                    "{field} = {shown} of {symbol} leaves the range of 64 bits at {exponent} decimals"
                ))
            }
        })
        .into_py(value.py())
}
