//! An instant that becomes a `datetime` only when somebody looks.

use ml4t_sim::time::{Ns, iso};
use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Objects of the datetime module, fetched once.
struct DatetimeApi {
    datetime: Py<PyAny>,
    timedelta: Py<PyAny>,
    epoch: Py<PyAny>,
    microsecond: Py<PyAny>,
}

fn api(py: Python<'_>) -> PyResult<&DatetimeApi> {
    static API: PyOnceLock<DatetimeApi> = PyOnceLock::new();
    API.get_or_try_init(py, || {
        let module = py.import("datetime")?;
        let timedelta = module.getattr("timedelta")?;
        let utc = module.getattr("timezone")?.getattr("utc")?;
        let datetime = module.getattr("datetime")?;
        Ok(DatetimeApi {
            epoch: datetime.call1((1970, 1, 1, 0, 0, 0, 0, utc))?.unbind(),
            microsecond: timedelta.call1((0, 0, 1))?.unbind(),
            datetime: datetime.unbind(),
            timedelta: timedelta.unbind(),
        })
    })
}

/// A duration of `ns` nanoseconds as a `timedelta` (microseconds, rounded down).
pub(crate) fn timedelta(py: Python<'_>, ns: i128) -> PyResult<Py<PyAny>> {
    Ok(api(py)?.timedelta.bind(py).call1((0, 0, ns.div_euclid(1000)))?.unbind())
}

/// An instant in UTC with nanoseconds.
///
/// Behaves like a timezone-aware `datetime.datetime` of microsecond precision: attributes, methods, comparison,
/// subtraction and formatting are those of the datetime, which is built on first use.
#[pyclass(frozen, module = "ml4t.backtest", name = "Timestamp")]
pub(crate) struct Timestamp {
    /// Nanoseconds since 1970-01-01T00:00 UTC.
    #[pyo3(get)]
    ns: Ns,
}

impl Timestamp {
    pub(crate) const fn new(ns: Ns) -> Self {
        Self { ns }
    }

    /// Nanoseconds of another instant: a `Timestamp` or an aware `datetime`, pandas' included.
    fn other_ns(other: &Bound<'_, PyAny>) -> PyResult<Option<i128>> {
        let py = other.py();
        if let Ok(stamp) = other.cast::<Self>() {
            return Ok(Some(i128::from(stamp.get().ns)));
        }
        let api = api(py)?;
        if !other.is_instance(api.datetime.bind(py))? || other.call_method0("utcoffset")?.is_none() {
            // Naive datetimes are unequal to aware ones and not ordered with them, as everywhere in Python.
            return Ok(None);
        }
        let since = other.sub(api.epoch.bind(py))?;
        let micros: i128 = since.floor_div(api.microsecond.bind(py))?.extract()?;
        let beyond: i128 = other.getattr("nanosecond").and_then(|n| n.extract()).unwrap_or(0);
        Ok(Some(micros * 1000 + beyond))
    }
}

#[pymethods]
impl Timestamp {
    #[new]
    fn py_new(ns: i64) -> Self {
        Self { ns }
    }

    /// The instant as an aware `datetime` in UTC, nanoseconds cut off.
    #[getter]
    fn datetime(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let api = api(py)?;
        Ok(api.epoch.bind(py).add(timedelta(py, i128::from(self.ns))?)?.unbind())
    }

    fn __getattr__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        Ok(self.datetime(py)?.bind(py).getattr(name)?.unbind())
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        Ok(match Self::other_ns(other)? {
            Some(ns) => op.matches(i128::from(self.ns).cmp(&ns)).into_pyobject(py)?.to_owned().into_any().unbind(),
            None if other.is_instance(api(py)?.datetime.bind(py))? => {
                self.datetime(py)?.bind(py).rich_compare(other, op)?.unbind()
            }
            None => py.NotImplemented(),
        })
    }

    fn __sub__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = other.py();
        match Self::other_ns(other)? {
            // Of the datetimes, so that a difference turned round is its negative and two in a row add up.
            Some(ns) => timedelta(py, (i128::from(self.ns).div_euclid(1000) - ns.div_euclid(1000)) * 1000),
            None => Ok(self.datetime(py)?.bind(py).sub(other)?.unbind()),
        }
    }

    fn __rsub__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Ok(other.sub(self.datetime(other.py())?)?.unbind())
    }

    fn __add__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Ok(self.datetime(other.py())?.bind(other.py()).add(other)?.unbind())
    }

    fn __radd__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__add__(other)
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> (Py<PyAny>, (i64,)) {
        (slf.get_type().into_any().unbind(), (slf.get().ns,))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<i64> {
        if self.ns % 1000 == 0 {
            // Equal to a datetime, hence the same hash.
            return Ok(self.datetime(py)?.bind(py).hash()? as i64);
        }
        // As pandas hashes a timestamp with nanoseconds.
        Ok(self.ns.into_pyobject(py)?.hash()? as i64)
    }

    fn __int__(&self) -> i64 {
        self.ns
    }

    fn __str__(&self) -> String {
        iso(self.ns)
    }

    fn __repr__(&self) -> String {
        format!("Timestamp('{}')", iso(self.ns))
    }

    fn __format__(&self, py: Python<'_>, spec: &str) -> PyResult<String> {
        if spec.is_empty() {
            return Ok(iso(self.ns));
        }
        self.datetime(py)?.bind(py).call_method1("__format__", (spec,))?.extract()
    }
}
