//! The streaming indicators of the simulator as Python classes.

use std::sync::Arc;

use ml4t_sim::error::SimError;
use ml4t_sim::indicators::{Atr, Bollinger, Ema, Indicator, Macd, RollingStd, Rsi, Seed, Sma};
use numpy::{AllowTypeChange, PyArray1, PyArray2, PyArrayLike1, PyArrayMethods};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::arrays::freeze;
use crate::error::{IntoPyResult, argument, to_py};
use crate::shared::Shared;

/// Numbers in one dimension: an array, or whatever numpy makes one of.
type Floats<'py> = PyArrayLike1<'py, f64, AllowTypeChange>;

/// The indicator that an object of ours is, as it stands.
pub(crate) fn prototype(object: &Bound<'_, PyAny>) -> PyResult<Indicator> {
    macro_rules! try_as {
        ($($class:ident => $variant:ident),*) => {
            $(if let Ok(found) = object.cast::<$class>() {
                return Ok(Indicator::$variant(found.borrow().inner.clone()));
            })*
        };
    }
    try_as!(PySma => Sma, PyEma => Ema, PyRsi => Rsi, PyRollingStd => RollingStd, PyAtr => Atr, PyMacd => Macd, PyBollinger => Bollinger);
    let text =
        format!("track takes an indicator of ml4t.backtest.indicators, such as SMA(20), found {}", object.repr()?);
    Err(argument(object.py(), &text))
}

/// One row of three answers after each value.
fn table<'py>(values: &Floats<'py>, mut update: impl FnMut(f64) -> [f64; 3]) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let py = values.py();
    let values = values.as_array();
    let mut cells = Vec::with_capacity(3 * values.len());
    for &x in values {
        cells.extend(update(x));
    }
    PyArray1::from_vec(py, cells).reshape([values.len(), 3])
}

/// An indicator that the run keeps up to date: `column[symbol]`, `column.values`.
///
/// It always shows the present instant. An indicator with several outputs has an array for each by its name, such as
/// `column.line`, and `column[symbol]` is a tuple.
#[pyclass(frozen, module = "ml4t.backtest.indicators", name = "IndicatorColumn")]
pub(crate) struct IndicatorColumn {
    shared: Arc<Shared>,
    names: &'static [&'static str],
    arrays: Vec<Py<PyArray1<f64>>>,
}

impl IndicatorColumn {
    pub(crate) fn new(py: Python<'_>, shared: &Arc<Shared>, indicator: &Indicator) -> Self {
        let n = shared.plan.instruments.len();
        let make = |_: &&str| {
            let array = PyArray1::from_vec(py, vec![f64::NAN; n]);
            freeze(&array);
            array.unbind()
        };
        let names = indicator.outputs();
        Self { shared: Arc::clone(shared), names, arrays: names.iter().map(make).collect() }
    }

    pub(crate) fn arrays(&self, py: Python<'_>) -> Vec<Py<PyArray1<f64>>> {
        self.arrays.iter().map(|array| array.clone_ref(py)).collect()
    }
}

#[pymethods]
impl IndicatorColumn {
    /// Last answers over `data.symbols`, NaN until warm: read-only, and the same array all the time.
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        if let [only] = self.arrays.as_slice() {
            return Ok(only.bind(py).clone());
        }
        let names = self.names.join(", ");
        Err(PyAttributeError::new_err(format!("this indicator has several outputs; take one of {names}")))
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let found = self.names.iter().position(|n| *n == name).map(|k| self.arrays[k].bind(py).clone());
        found.ok_or_else(|| {
            let known = self.names.join(", ");
            PyAttributeError::new_err(format!("the indicator has no output {name:?}; it has {known}"))
        })
    }

    fn __getitem__<'py>(&self, symbol: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = symbol.py();
        let i = self.shared.instrument(symbol)?;
        let value = |array: &Py<PyArray1<f64>>| array.bind(py).get_owned(i).unwrap_or(f64::NAN);
        match self.arrays.as_slice() {
            [only] => Ok(value(only).into_pyobject(py)?.into_any()),
            several => Ok(PyTuple::new(py, several.iter().map(value))?.into_any()),
        }
    }

    fn __repr__(&self) -> String {
        format!("IndicatorColumn({} instruments: {})", self.shared.symbols.len(), self.names.join(", "))
    }
}

fn seed(py: Python<'_>, name: &str) -> PyResult<Seed> {
    match name {
        "first" => Ok(Seed::First),
        "sma" => Ok(Seed::Sma),
        other => Err(to_py(py, &SimError::config(format!("seed = {other:?} is not known; allowed: first, sma")))),
    }
}

macro_rules! scalar_indicator {
    (
        $(#[$doc:meta])* $class:ident($inner:ty) as $name:literal, $shown:literal,
        new($py:ident $(, $arg:ident : $type:ty = $default:literal)*) $build:expr
    ) => {
        $(#[$doc])*
        #[pyclass(module = "ml4t.backtest.indicators", name = $name)]
        pub(crate) struct $class {
            inner: $inner,
        }

        #[pymethods]
        impl $class {
            #[new]
            #[pyo3(signature = ($($arg = $default),*), text_signature = $shown)]
            fn new($py: Python<'_>, $($arg: $type),*) -> PyResult<Self> {
                Ok(Self { inner: $build })
            }

            /// Take the next value and return the indicator, NaN until it is warm.
            fn update(&mut self, value: f64) -> f64 {
                self.inner.update(value)
            }

            /// Last answer, NaN until it is warm.
            #[getter]
            fn value(&self) -> f64 {
                self.inner.value()
            }

            /// Whether the indicator has seen its full length.
            #[getter]
            fn ready(&self) -> bool {
                self.inner.ready()
            }

            /// Take all values of an array, one after the other; the indicator after each.
            fn over<'py>(&mut self, values: Floats<'py>) -> Bound<'py, PyArray1<f64>> {
                let py = values.py();
                let answers = values.as_array().iter().map(|&x| self.inner.update(x)).collect();
                PyArray1::from_vec(py, answers)
            }

            /// Forget everything.
            fn reset(&mut self) {
                self.inner.reset();
            }

            fn __copy__(&self) -> Self {
                Self { inner: self.inner.clone() }
            }

            #[expect(unused_variables, reason = "the protocol of copy.deepcopy")]
            fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> Self {
                self.__copy__()
            }
        }
    };
}

/// A number of values, as Python gives it.
fn number(py: Python<'_>, indicator: &str, name: &str, n: i64) -> PyResult<usize> {
    usize::try_from(n).map_err(|_| {
        let text = format!("{indicator}: {name} is {n}; it counts values and cannot be negative");
        to_py(py, &SimError::config(text))
    })
}

scalar_indicator!(
    /// Simple moving average of the last `period` values.
    PySma(Sma) as "SMA", "(period=20)", new(py, period: i64 = 20) Sma::new(number(py, "SMA", "period", period)?).into_py(py)?
);
scalar_indicator!(
    /// Exponential moving average with alpha = 2 / (period + 1).
    ///
    /// `seed="sma"` answers from the `period`-th value on, starting at the plain average; `seed="first"`
    /// starts at the first value and answers at once (`ready` still waits for `period` values).
    PyEma(Ema) as "EMA", "(period=20, seed='sma')", new(py, period: i64 = 20, seed: &str = "sma") Ema::new(number(py, "EMA", "period", period)?, self::seed(py, seed)?).into_py(py)?
);
scalar_indicator!(
    /// Relative strength index, 0 to 100 (Wilder 1978).
    PyRsi(Rsi) as "RSI", "(period=14)", new(py, period: i64 = 14) Rsi::new(number(py, "RSI", "period", period)?).into_py(py)?
);
scalar_indicator!(
    /// Standard deviation of the last `period` values; `ddof=1` divides by period - 1.
    PyRollingStd(RollingStd) as "RollingStd", "(period=20, ddof=1)",
    new(py, period: i64 = 20, ddof: i64 = 1)
    RollingStd::new(number(py, "RollingStd", "period", period)?, number(py, "RollingStd", "ddof", ddof)?).into_py(py)?
);

/// Average true range (Wilder 1978).
#[pyclass(module = "ml4t.backtest.indicators", name = "ATR")]
pub(crate) struct PyAtr {
    inner: Atr,
}

#[pymethods]
impl PyAtr {
    #[new]
    #[pyo3(signature = (period = 14))]
    fn new(py: Python<'_>, period: i64) -> PyResult<Self> {
        Ok(Self { inner: Atr::new(number(py, "ATR", "period", period)?).into_py(py)? })
    }

    /// Take the next bar and return the indicator, NaN until it is warm.
    fn update(&mut self, high: f64, low: f64, close: f64) -> f64 {
        self.inner.update(high, low, close)
    }

    /// Take all bars of three arrays of one length, one after the other; the indicator after each.
    fn over<'py>(
        &mut self,
        high: Floats<'py>,
        low: Floats<'py>,
        close: Floats<'py>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let py = high.py();
        let (high, low, close) = (high.as_array(), low.as_array(), close.as_array());
        if high.len() != low.len() || low.len() != close.len() {
            let (h, l, c) = (high.len(), low.len(), close.len());
            let text = format!("ATR.over takes arrays of one length, found {h} highs, {l} lows and {c} closes");
            return Err(to_py(py, &SimError::data(text)));
        }
        let bars = high.iter().zip(low).zip(close);
        let answers = bars.map(|((&high, &low), &close)| self.inner.update(high, low, close)).collect();
        Ok(PyArray1::from_vec(py, answers))
    }

    /// Last answer, NaN until it is warm.
    #[getter]
    fn value(&self) -> f64 {
        self.inner.value()
    }

    /// Whether the indicator has seen its full length.
    #[getter]
    fn ready(&self) -> bool {
        self.inner.ready()
    }

    /// Forget everything.
    fn reset(&mut self) {
        self.inner.reset();
    }

    fn __copy__(&self) -> Self {
        Self { inner: self.inner.clone() }
    }

    #[expect(unused_variables, reason = "the protocol of copy.deepcopy")]
    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> Self {
        self.__copy__()
    }
}

/// Moving average convergence/divergence: `update` returns (line, signal, histogram).
#[pyclass(module = "ml4t.backtest.indicators", name = "MACD")]
pub(crate) struct PyMacd {
    inner: Macd,
}

#[pymethods]
impl PyMacd {
    #[new]
    #[pyo3(signature = (fast = 12, slow = 26, signal = 9, seed = "sma"))]
    fn new(py: Python<'_>, fast: i64, slow: i64, signal: i64, seed: &str) -> PyResult<Self> {
        let [fast, slow, signal] = [("fast", fast), ("slow", slow), ("signal", signal)];
        let [fast, slow, signal] = [fast, slow, signal].map(|(name, n)| number(py, "MACD", name, n));
        let (fast, slow, signal) = (fast?, slow?, signal?);
        Ok(Self { inner: Macd::new(fast, slow, signal, self::seed(py, seed)?).into_py(py)? })
    }

    /// Take the next value; (line, signal, histogram), NaN until each is warm.
    fn update(&mut self, value: f64) -> (f64, f64, f64) {
        let lines = self.inner.update(value);
        (lines.line, lines.signal, lines.histogram)
    }

    /// Take all values of an array, one after the other; a row (line, signal, histogram) after each.
    fn over<'py>(&mut self, values: Floats<'py>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        table(&values, |x| {
            let lines = self.inner.update(x);
            [lines.line, lines.signal, lines.histogram]
        })
    }

    /// Last (line, signal, histogram).
    #[getter]
    fn value(&self) -> (f64, f64, f64) {
        let lines = self.inner.value();
        (lines.line, lines.signal, lines.histogram)
    }

    /// Whether the signal has its full length.
    #[getter]
    fn ready(&self) -> bool {
        self.inner.ready()
    }

    /// Forget everything.
    fn reset(&mut self) {
        self.inner.reset();
    }

    fn __copy__(&self) -> Self {
        Self { inner: self.inner.clone() }
    }

    #[expect(unused_variables, reason = "the protocol of copy.deepcopy")]
    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> Self {
        self.__copy__()
    }
}

/// Bollinger bands: `update` returns (lower, middle, upper).
#[pyclass(module = "ml4t.backtest.indicators", name = "Bollinger")]
pub(crate) struct PyBollinger {
    inner: Bollinger,
}

#[pymethods]
impl PyBollinger {
    #[new]
    #[pyo3(signature = (period = 20, width = 2.0))]
    fn new(py: Python<'_>, period: i64, width: f64) -> PyResult<Self> {
        Ok(Self { inner: Bollinger::new(number(py, "Bollinger", "period", period)?, width).into_py(py)? })
    }

    /// Take the next value; (lower, middle, upper), NaN until warm.
    fn update(&mut self, value: f64) -> (f64, f64, f64) {
        let bands = self.inner.update(value);
        (bands.lower, bands.middle, bands.upper)
    }

    /// Take all values of an array, one after the other; a row (lower, middle, upper) after each.
    fn over<'py>(&mut self, values: Floats<'py>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        table(&values, |x| {
            let bands = self.inner.update(x);
            [bands.lower, bands.middle, bands.upper]
        })
    }

    /// Last (lower, middle, upper).
    #[getter]
    fn value(&self) -> (f64, f64, f64) {
        let bands = self.inner.value();
        (bands.lower, bands.middle, bands.upper)
    }

    /// Whether the window is full.
    #[getter]
    fn ready(&self) -> bool {
        self.inner.ready()
    }

    /// Forget everything.
    fn reset(&mut self) {
        self.inner.reset();
    }

    fn __copy__(&self) -> Self {
        Self { inner: self.inner.clone() }
    }

    #[expect(unused_variables, reason = "the protocol of copy.deepcopy")]
    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> Self {
        self.__copy__()
    }
}
