//! Models written in Python, evaluated under the interpreter lock through the same contexts as native ones.

use std::sync::{Arc, Mutex};

use ml4t_abi::{
    FeeContext, FeeOutput, FillContext, FillOutput, Header, Liquidity, OrderKind, SlippageContext, SlippageOutput,
    Status,
};
use ml4t_sim::models::{FeeModel, FillModel, Model, Param, Params, SlippageModel};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use crate::events::{liquidity_name, phase_name};

/// A Python object with `evaluate`, and the class of its argument struct.
struct PythonModel {
    object: Py<PyAny>,
    arguments: Py<PyAny>,
    name: String,
    needs_volume: bool,
    average_days: usize,
    error: String,
    raised: Raised,
}

/// The exception that a model raised last, for the cause of the error that stops the run.
pub(crate) type Raised = Arc<Mutex<Option<PyErr>>>;

impl PythonModel {
    fn new(object: &Bound<'_, PyAny>, arguments: &str, raised: &Raised) -> PyResult<Self> {
        let py = object.py();
        let needs_volume = object.getattr("needs_volume").is_ok_and(|x| x.is_truthy().unwrap_or(false));
        let days = object.getattr("average_days").ok().filter(|days| !days.is_none());
        Ok(Self {
            average_days: days.map_or(Ok(0), |days| days.extract())?,
            arguments: py.import("ml4t.core.models")?.getattr(arguments)?.unbind(),
            name: object.get_type().name()?.to_string(),
            object: object.clone().unbind(),
            needs_volume,
            error: String::new(),
            raised: Arc::clone(raised),
        })
    }

    fn copy(&self) -> Self {
        Python::attach(|py| Self {
            object: self.object.clone_ref(py),
            arguments: self.arguments.clone_ref(py),
            name: self.name.clone(),
            needs_volume: self.needs_volume,
            average_days: self.average_days,
            error: self.error.clone(),
            raised: Arc::clone(&self.raised),
        })
    }

    /// Call `evaluate`; the closures write the arguments and read the answer.
    fn call(
        &mut self,
        write: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>,
        read: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>,
    ) -> Status {
        let outcome = Python::attach(|py| -> PyResult<()> {
            let fields = PyDict::new(py);
            write(&fields)?;
            let arguments = self.arguments.bind(py).call(PyTuple::empty(py), Some(&fields))?;
            read(&self.object.bind(py).call_method1("evaluate", (arguments,))?)
        });
        match outcome {
            Ok(()) => Status::OK,
            Err(error) => {
                self.error = Python::attach(|py| {
                    let name = error.get_type(py).name().map_or_else(|_| "error".to_owned(), |n| n.to_string());
                    format!("{name}: {}", error.value(py))
                });
                if let Ok(mut raised) = self.raised.lock() {
                    *raised = Some(error);
                }
                Status::ERROR
            }
        }
    }
}

fn write_header(fields: &Bound<'_, PyDict>, header: &Header) -> PyResult<()> {
    fields.set_item("ts_ns", header.ts_ns)?;
    fields.set_item("side", header.side)
}

fn write_floats(fields: &Bound<'_, PyDict>, values: &[(&str, f64)]) -> PyResult<()> {
    values.iter().try_for_each(|(name, value)| fields.set_item(name, value))
}

struct PythonFill(PythonModel);

impl Model<FillContext, FillOutput> for PythonFill {
    fn eval(&mut self, c: &FillContext, out: &mut FillOutput) -> Status {
        let write = |fields: &Bound<'_, PyDict>| {
            write_header(fields, &c.header)?;
            fields.set_item("order_type", if c.kind == OrderKind::LIMIT { "limit" } else { "market" })?;
            fields.set_item("phase", phase_name(c.phase))?;
            fields.set_item("liquidity", liquidity_name(c.liquidity))?;
            write_floats(
                fields,
                &[
                    ("price", c.price),
                    ("leaves_quantity", c.leaves_quantity),
                    ("limit_price", c.limit_price),
                    ("stop_price", c.stop_price),
                    ("open", c.open),
                    ("high", c.high),
                    ("low", c.low),
                    ("close", c.close),
                    ("volume", c.volume),
                    ("bid", c.bid),
                    ("ask", c.ask),
                    ("bid_size", c.bid_size),
                    ("ask_size", c.ask_size),
                    ("size", c.trade_size),
                    ("volume_used", c.volume_used),
                    ("lot_size", c.lot_size),
                    ("tick_size", c.tick_size),
                    ("average_volume", c.average_volume),
                    ("session_used", c.session_used),
                ],
            )
        };
        let (mut declines, mut rejects) = (false, false);
        let status = self.0.call(write, |answer| {
            out.price = answer.getattr("price")?.extract()?;
            out.quantity = answer.getattr("quantity")?.extract()?;
            let liquidity: String = answer.getattr("liquidity")?.extract()?;
            out.liquidity = match liquidity.as_str() {
                "maker" => Liquidity::MAKER,
                "taker" => Liquidity::TAKER,
                other => {
                    let text = format!("liquidity = {other:?}; allowed: maker, taker");
                    return Err(PyValueError::new_err(text));
                }
            };
            declines = out.price.is_nan();
            rejects = answer.getattr("rejects")?.extract()?;
            Ok(())
        });
        match status {
            Status::OK if rejects => Status::REJECT,
            Status::OK if declines => Status::DEFER,
            status => status,
        }
    }

    fn needs_volume(&self) -> bool {
        self.0.needs_volume
    }

    fn average_days(&self) -> usize {
        self.0.average_days
    }

    fn last_error(&self) -> String {
        self.0.error.clone()
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    fn boxed_clone(&self) -> FillModel {
        Box::new(Self(self.0.copy()))
    }
}

struct PythonSlippage(PythonModel);

impl Model<SlippageContext, SlippageOutput> for PythonSlippage {
    fn eval(&mut self, c: &SlippageContext, out: &mut SlippageOutput) -> Status {
        let write = |fields: &Bound<'_, PyDict>| {
            write_header(fields, &c.header)?;
            fields.set_item("phase", phase_name(c.phase))?;
            write_floats(
                fields,
                &[
                    ("quantity", c.quantity),
                    ("reference_price", c.price),
                    ("open", c.open),
                    ("high", c.high),
                    ("low", c.low),
                    ("close", c.close),
                    ("volume", c.volume),
                    ("bid", c.bid),
                    ("ask", c.ask),
                    ("volume_used", c.volume_used),
                    ("tick_size", c.tick_size),
                    ("lot_size", c.lot_size),
                    ("multiplier", c.multiplier),
                ],
            )
        };
        self.0.call(write, |answer| {
            out.adjustment = answer.getattr("price_adjustment")?.extract()?;
            out.spread = answer.getattr("spread")?.extract()?;
            out.quantity_cap = answer.getattr("quantity_cap")?.extract()?;
            Ok(())
        })
    }

    fn needs_volume(&self) -> bool {
        self.0.needs_volume
    }

    fn last_error(&self) -> String {
        self.0.error.clone()
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    fn boxed_clone(&self) -> SlippageModel {
        Box::new(Self(self.0.copy()))
    }
}

struct PythonFee(PythonModel);

impl Model<FeeContext, FeeOutput> for PythonFee {
    fn eval(&mut self, c: &FeeContext, out: &mut FeeOutput) -> Status {
        let write = |fields: &Bound<'_, PyDict>| {
            write_header(fields, &c.header)?;
            fields.set_item("liquidity", liquidity_name(c.liquidity))?;
            write_floats(
                fields,
                &[
                    ("quantity", c.quantity),
                    ("price", c.price),
                    ("multiplier", c.multiplier),
                    ("notional", c.notional),
                    ("order_filled_quantity", c.order_filled_quantity),
                    ("order_notional", c.order_notional),
                    ("order_fees", c.order_fees),
                ],
            )
        };
        self.0.call(write, |answer| {
            out.fee = answer.getattr("fee")?.extract()?;
            Ok(())
        })
    }

    fn last_error(&self) -> String {
        self.0.error.clone()
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    fn boxed_clone(&self) -> FeeModel {
        Box::new(Self(self.0.copy()))
    }
}

pub(crate) fn python_fill(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<FillModel> {
    Ok(Box::new(PythonFill(PythonModel::new(object, "FillArgs", raised)?)))
}

pub(crate) fn python_slippage(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<SlippageModel> {
    Ok(Box::new(PythonSlippage(PythonModel::new(object, "SlippageArgs", raised)?)))
}

pub(crate) fn python_fee(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<FeeModel> {
    Ok(Box::new(PythonFee(PythonModel::new(object, "FeeArgs", raised)?)))
}

/// Parameters of a compiled-in model: numbers, switches and None.
pub(crate) fn params(mapping: &Bound<'_, PyDict>) -> PyResult<Params> {
    let mut out = Vec::new();
    for (name, value) in mapping {
        let param = if value.is_none() {
            Param::Missing
        } else if value.is_instance_of::<PyBool>() {
            Param::Flag(value.extract()?)
        } else {
            // int, float or Decimal
            Param::Number(value.extract::<f64>()?)
        };
        out.push((name.extract()?, param));
    }
    Ok(Params(out))
}
