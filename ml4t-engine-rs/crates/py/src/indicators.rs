//! The streaming indicators of the simulator as Python classes.

use ml4t_sim::error::SimError;
use ml4t_sim::indicators::{Atr, Bollinger, Ema, Macd, RollingStd, Rsi, Seed, Sma};
use pyo3::prelude::*;

use crate::error::{IntoPyResult, to_py};

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

scalar_indicator!(
    /// Simple moving average of the last `period` values.
    PySma(Sma) as "SMA", "(period=20)", new(py, period: usize = 20) Sma::new(period).into_py(py)?
);
scalar_indicator!(
    /// Exponential moving average with alpha = 2 / (period + 1).
    ///
    /// `seed="sma"` answers from the `period`-th value on, starting at the plain average; `seed="first"`
    /// starts at the first value and answers at once (`ready` still waits for `period` values).
    PyEma(Ema) as "EMA", "(period=20, seed='sma')", new(py, period: usize = 20, seed: &str = "sma") Ema::new(period, self::seed(py, seed)?).into_py(py)?
);
scalar_indicator!(
    /// Relative strength index, 0 to 100 (Wilder 1978).
    PyRsi(Rsi) as "RSI", "(period=14)", new(py, period: usize = 14) Rsi::new(period).into_py(py)?
);
scalar_indicator!(
    /// Standard deviation of the last `period` values; `ddof=1` divides by period - 1.
    PyRollingStd(RollingStd) as "RollingStd", "(period=20, ddof=1)",
    new(py, period: usize = 20, ddof: usize = 1) RollingStd::new(period, ddof).into_py(py)?
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
    fn new(py: Python<'_>, period: usize) -> PyResult<Self> {
        Ok(Self { inner: Atr::new(period).into_py(py)? })
    }

    /// Take the next bar and return the indicator, NaN until it is warm.
    fn update(&mut self, high: f64, low: f64, close: f64) -> f64 {
        self.inner.update(high, low, close)
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
    fn new(py: Python<'_>, fast: usize, slow: usize, signal: usize, seed: &str) -> PyResult<Self> {
        Ok(Self { inner: Macd::new(fast, slow, signal, self::seed(py, seed)?).into_py(py)? })
    }

    /// Take the next value; (line, signal, histogram), NaN until each is warm.
    fn update(&mut self, value: f64) -> (f64, f64, f64) {
        let lines = self.inner.update(value);
        (lines.line, lines.signal, lines.histogram)
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
    fn new(py: Python<'_>, period: usize, width: f64) -> PyResult<Self> {
        Ok(Self { inner: Bollinger::new(period, width).into_py(py)? })
    }

    /// Take the next value; (lower, middle, upper), NaN until warm.
    fn update(&mut self, value: f64) -> (f64, f64, f64) {
        let bands = self.inner.update(value);
        (bands.lower, bands.middle, bands.upper)
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
