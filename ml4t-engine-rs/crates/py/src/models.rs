//! Models written in Python, evaluated under the interpreter lock through the same contexts as native ones.

use std::sync::{Arc, Mutex};

use ml4t_abi::{
    BorrowContext, BorrowOutput, CAPSULE, ExecutorContext, FeeContext, FeeOutput, FillContext, FillEvent, FillOutput,
    FundingContext, FundingOutput, FxContext, FxOutput, Header, ImpactContext, ImpactOutput, InterestContext,
    InterestOutput, Kind, LatencyContext, LatencyOutput, LiquidationContext, LiquidationOutput, Liquidity,
    MarginContext, MarginOutput, MarketEvent, Message, OrderKind, SlippageContext, SlippageOutput, Status,
    StrategyContext,
};
use ml4t_sim::error::SimError;
use ml4t_sim::foreign::{ForeignTable, MOST_DAYS};
use ml4t_sim::models::{
    BorrowModel, FeeModel, FillAnswer, FillModel, FundingModel, FxModel, ImpactModel, InterestModel, LatencyModel,
    MOST_SLICES, Model, Param, Params, SlippageModel,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyCapsule, PyDict, PyList, PyString, PyTuple};

use crate::error::IntoPyResult;
use crate::events::{liquidity_name, phase_name};

/// A Python object with `evaluate`, and the class of its argument struct.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a class")]
pub(crate) struct PythonModel {
    object: Py<PyAny>,
    arguments: Py<PyAny>,
    name: String,
    needs_volume: bool,
    average_days: usize,
    has_observe: bool,
    has_on_market: bool,
    has_clone: bool,
    error: String,
    raised: Raised,
}

/// The exception that a model raised last, for the cause of the error that stops the run.
pub(crate) type Raised = Arc<Mutex<Option<PyErr>>>;

/// Keep an exception for the cause of the error that stops the run; its text.
pub(crate) fn keep(py: Python<'_>, raised: &Raised, error: PyErr) -> String {
    let name = error.get_type(py).name().map_or_else(|_| "error".to_owned(), |n| n.to_string());
    // A model that says itself what is wrong is not told of twice.
    let text = match name.as_str() {
        "ModelError" => error.value(py).to_string(),
        _ => format!("{name}: {}", error.value(py)),
    };
    if let Ok(mut raised) = raised.lock() {
        *raised = Some(error);
    }
    text
}

/// Sessions that an object asks averages over, 0 where it does not.
pub(crate) fn average_days(object: &Bound<'_, PyAny>) -> PyResult<usize> {
    let Some(days) = object.getattr("average_days").ok().filter(|days| !days.is_none()) else { return Ok(0) };
    let found = if days.is_instance_of::<PyBool>() { None } else { days.extract::<u32>().ok() };
    found.filter(|&days| days <= MOST_DAYS).map(|days| days as usize).ok_or_else(|| {
        let (name, shown) = (object.get_type().name(), days.repr());
        let text = match (name, shown) {
            (Ok(name), Ok(shown)) => {
                format!("{name}: average_days = {shown}; expected a whole number from 0 to {MOST_DAYS}")
            }
            (Err(error), _) | (_, Err(error)) => return error,
        };
        crate::error::to_py(object.py(), &SimError::config(text))
    })
}

impl PythonModel {
    pub(crate) fn new(object: &Bound<'_, PyAny>, arguments: &str, raised: &Raised) -> PyResult<Self> {
        let py = object.py();
        let needs_volume = object.getattr("needs_volume").is_ok_and(|x| x.is_truthy().unwrap_or(false));
        Ok(Self {
            average_days: average_days(object)?,
            arguments: py.import("ml4t.core.models")?.getattr(arguments)?.unbind(),
            name: object.get_type().name()?.to_string(),
            has_observe: object.hasattr("observe")?,
            has_on_market: object.hasattr("on_market")?,
            has_clone: object.hasattr("clone")?,
            object: object.clone().unbind(),
            needs_volume,
            error: String::new(),
            raised: Arc::clone(raised),
        })
    }

    /// A copy with a state of its own, where the model says that it has one.
    pub(crate) fn copy(&self) -> Self {
        let (object, error) = Python::attach(|py| {
            let object = self.object.bind(py);
            match if self.has_clone { object.call_method0("clone") } else { Ok(object.clone()) } {
                Ok(copy) => (copy.unbind(), String::new()),
                Err(error) => (object.clone().unbind(), self.keep(py, error)),
            }
        });
        Python::attach(|py| Self {
            object,
            arguments: self.arguments.clone_ref(py),
            name: self.name.clone(),
            needs_volume: self.needs_volume,
            average_days: self.average_days,
            has_observe: self.has_observe,
            has_on_market: self.has_on_market,
            has_clone: self.has_clone,
            error,
            raised: Arc::clone(&self.raised),
        })
    }

    fn keep(&self, py: Python<'_>, error: PyErr) -> String {
        keep(py, &self.raised, error)
    }

    /// A run begins: tells of a copy that could not be made.
    pub(crate) fn reset(&self) -> Result<(), String> {
        if self.error.is_empty() { Ok(()) } else { Err(format!("clone: {}", self.error)) }
    }

    /// Tell of a fill.
    fn observe(&mut self, fill: &FillEvent) -> Status {
        let outcome = Python::attach(|py| -> PyResult<()> {
            let fields = PyDict::new(py);
            write_header(&fields, &fill.header)?;
            fields.set_item("asset", fill.header.asset)?;
            fields.set_item("order_id", fill.order)?;
            fields.set_item("liquidity", liquidity_name(fill.liquidity))?;
            write_floats(
                &fields,
                &[
                    ("price", fill.price),
                    ("quantity", fill.quantity),
                    ("multiplier", fill.multiplier),
                    ("fee", fill.fee),
                    ("slippage", fill.slippage),
                    ("impact", fill.impact),
                ],
            )?;
            let class = py.import("ml4t.core.models")?.getattr("ObservedFill")?;
            let seen = class.call(PyTuple::empty(py), Some(&fields))?;
            self.object.bind(py).call_method1("observe", (seen,)).map(drop)
        });
        match outcome {
            Ok(()) => Status::OK,
            Err(error) => {
                self.error = Python::attach(|py| self.keep(py, error));
                Status::ERROR
            }
        }
    }

    pub(crate) fn last_error(&self) -> String {
        self.error.clone()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Call `evaluate`; the closures write the arguments and read the answer.
    pub(crate) fn call(
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
                self.error = Python::attach(|py| self.keep(py, error));
                Status::ERROR
            }
        }
    }
}

/// A number of an answer, which has to be of a class that has it.
pub(crate) fn number(answer: &Bound<'_, PyAny>, field: &str, class: &str) -> PyResult<f64> {
    let py = answer.py();
    let fault = |text: String| crate::error::model(py, &text);
    let Ok(value) = answer.getattr(field) else {
        return Err(fault(format!("evaluate answered {}; expected {class}", answer.repr()?)));
    };
    value.extract().map_err(|_| match value.repr() {
        Ok(found) => fault(format!("evaluate answered {class} with {field} = {found}; expected a number")),
        Err(error) => error,
    })
}

pub(crate) fn write_header(fields: &Bound<'_, PyDict>, header: &Header) -> PyResult<()> {
    fields.set_item("ts_ns", header.ts_ns)?;
    fields.set_item("side", header.side)
}

pub(crate) fn write_floats(fields: &Bound<'_, PyDict>, values: &[(&str, f64)]) -> PyResult<()> {
    values.iter().try_for_each(|(name, value)| fields.set_item(name, value))
}

/// What every kind shares.
macro_rules! shared {
    ($boxed:ty) => {
        fn needs_volume(&self) -> bool {
            self.0.needs_volume
        }

        fn average_days(&self) -> usize {
            self.0.average_days
        }

        fn wants_fills(&self) -> bool {
            self.0.has_observe
        }

        fn observe(&mut self, fill: &FillEvent) -> Status {
            self.0.observe(fill)
        }

        fn reset(&mut self, _seed: u64) -> Result<(), String> {
            self.0.reset()
        }

        fn last_error(&self) -> String {
            self.0.last_error()
        }

        fn name(&self) -> &str {
            self.0.name()
        }

        fn boxed_clone(&self) -> $boxed {
            Box::new(Self(self.0.copy()))
        }
    };
}

/// Fields of `SlippageArgs`, which `ImpactArgs` has as well.
macro_rules! slippage_fields {
    ($c:expr) => {
        [
            ("quantity", $c.quantity),
            ("reference_price", $c.price),
            ("open", $c.open),
            ("high", $c.high),
            ("low", $c.low),
            ("close", $c.close),
            ("volume", $c.volume),
            ("bid", $c.bid),
            ("ask", $c.ask),
            ("volume_used", $c.volume_used),
            ("tick_size", $c.tick_size),
            ("lot_size", $c.lot_size),
            ("multiplier", $c.multiplier),
            ("average_volume", $c.average_volume),
            ("volatility", $c.volatility),
        ]
    };
}

struct PythonFill(PythonModel);

impl Model<FillContext, FillAnswer> for PythonFill {
    fn eval(&mut self, c: &FillContext, out: &mut FillAnswer) -> Status {
        let write = |fields: &Bound<'_, PyDict>| {
            write_header(fields, &c.header)?;
            fields.set_item("order_id", c.order)?;
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
                    ("queue_ahead", c.queue_ahead),
                ],
            )
        };
        let (mut declines, mut rejects) = (false, false);
        let status = self.0.call(write, |answer| {
            let slices = if answer.is_instance_of::<PyTuple>() {
                answer.extract::<Vec<Bound<'_, PyAny>>>()?
            } else {
                vec![answer.clone()]
            };
            if slices.len() > MOST_SLICES {
                let text = format!("{} slices; at most {MOST_SLICES}", slices.len());
                return Err(PyValueError::new_err(text));
            }
            for slice in &slices {
                let place = &mut out.slices[out.count];
                place.price = number(slice, "price", "FillOut")?;
                place.quantity = number(slice, "quantity", "FillOut")?;
                let liquidity: String = slice.getattr("liquidity")?.extract()?;
                place.liquidity = match liquidity.as_str() {
                    "maker" => Liquidity::MAKER,
                    "taker" => Liquidity::TAKER,
                    other => {
                        let text = format!("liquidity = {other:?}; allowed: maker, taker");
                        return Err(PyValueError::new_err(text));
                    }
                };
                rejects |= slice.getattr("rejects")?.extract::<bool>()?;
                out.count += usize::from(!place.price.is_nan() || place.quantity > 0.0);
            }
            declines = out.count == 0;
            Ok(())
        });
        match status {
            Status::OK if rejects => Status::REJECT,
            Status::OK if declines => Status::DEFER,
            status => status,
        }
    }

    fn wants_market(&self) -> bool {
        self.0.has_on_market
    }

    fn on_market(&mut self, event: &MarketEvent) -> Status {
        let outcome = Python::attach(|py| -> PyResult<()> {
            let fields = PyDict::new(py);
            write_header(&fields, &event.header)?;
            fields.set_item("asset", event.header.asset)?;
            fields.set_item("order_id", event.order)?;
            fields.set_item("phase", phase_name(event.phase))?;
            write_floats(
                &fields,
                &[
                    ("limit_price", event.limit_price),
                    ("leaves_quantity", event.leaves_quantity),
                    ("bid", event.bid),
                    ("ask", event.ask),
                    ("bid_size", event.bid_size),
                    ("ask_size", event.ask_size),
                    ("price", event.trade_price),
                    ("size", event.trade_size),
                ],
            )?;
            let class = py.import("ml4t.core.models")?.getattr("ObservedMarket")?;
            let seen = class.call(PyTuple::empty(py), Some(&fields))?;
            self.0.object.bind(py).call_method1("on_market", (seen,)).map(drop)
        });
        match outcome {
            Ok(()) => Status::OK,
            Err(error) => {
                self.0.error = Python::attach(|py| self.0.keep(py, error));
                Status::ERROR
            }
        }
    }

    shared!(FillModel);
}

struct PythonSlippage(PythonModel);

impl Model<SlippageContext, SlippageOutput> for PythonSlippage {
    fn eval(&mut self, c: &SlippageContext, out: &mut SlippageOutput) -> Status {
        let write = |fields: &Bound<'_, PyDict>| {
            write_header(fields, &c.header)?;
            fields.set_item("phase", phase_name(c.phase))?;
            write_floats(fields, &slippage_fields!(c))
        };
        self.0.call(write, |answer| {
            out.adjustment = number(answer, "price_adjustment", "SlippageOut")?;
            out.spread = number(answer, "spread", "SlippageOut")?;
            out.quantity_cap = number(answer, "quantity_cap", "SlippageOut")?;
            Ok(())
        })
    }

    shared!(SlippageModel);
}

struct PythonImpact(PythonModel);

impl Model<ImpactContext, ImpactOutput> for PythonImpact {
    fn eval(&mut self, c: &ImpactContext, out: &mut ImpactOutput) -> Status {
        let write = |fields: &Bound<'_, PyDict>| {
            write_header(fields, &c.header)?;
            fields.set_item("asset", c.header.asset)?;
            fields.set_item("phase", phase_name(c.phase))?;
            write_floats(fields, &slippage_fields!(c))?;
            write_floats(
                fields,
                &[
                    ("order_quantity", c.order_quantity),
                    ("order_filled_quantity", c.order_filled_quantity),
                    ("displacement", c.displacement),
                ],
            )
        };
        self.0.call(write, |answer| {
            out.temporary = number(answer, "temporary", "ImpactOut")?;
            out.permanent = number(answer, "permanent", "ImpactOut")?;
            Ok(())
        })
    }

    shared!(ImpactModel);
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
                    ("month_quantity", c.month_quantity),
                    ("month_notional", c.month_notional),
                ],
            )
        };
        self.0.call(write, |answer| {
            out.fee = number(answer, "fee", "FeeOut")?;
            Ok(())
        })
    }

    shared!(FeeModel);
}

struct PythonLatency(PythonModel);

impl Model<LatencyContext, LatencyOutput> for PythonLatency {
    fn eval(&mut self, c: &LatencyContext, out: &mut LatencyOutput) -> Status {
        let write = |fields: &Bound<'_, PyDict>| {
            write_header(fields, &c.header)?;
            fields.set_item("asset", c.header.asset)?;
            fields.set_item("venue", c.venue)?;
            let message = match c.message {
                Message::SUBMIT => "submit",
                Message::MODIFY => "modify",
                _ => "cancel",
            };
            fields.set_item("message", message)?;
            fields.set_item("random", PyTuple::new(fields.py(), c.random)?)
        };
        self.0.call(write, |answer| {
            out.delay_ns = number(answer, "delay_ns", "LatencyOut")?;
            Ok(())
        })
    }

    fn draws(&self) -> usize {
        4
    }

    shared!(LatencyModel);
}

pub(crate) fn python_latency(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<LatencyModel> {
    Ok(Box::new(PythonLatency(PythonModel::new(object, "LatencyArgs", raised)?)))
}

/// A model of what holding costs: its context as numbers of the argument class, and the one number that it answers.
macro_rules! carry_model {
    ($name:ident, $make:ident, ($context:ty, $output:ty, $boxed:ty), ($arguments:literal, $class:literal),
     $answer:ident, [$($field:ident),*]) => {
        struct $name(PythonModel);

        impl Model<$context, $output> for $name {
            fn eval(&mut self, c: &$context, out: &mut $output) -> Status {
                let write = |fields: &Bound<'_, PyDict>| {
                    write_header(fields, &c.header)?;
                    if c.header.side != 0 {
                        fields.set_item("asset", c.header.asset)?;
                    }
                    write_floats(fields, &[$((stringify!($field), c.$field)),*])
                };
                self.0.call(write, |answer| {
                    out.$answer = number(answer, stringify!($answer), $class)?;
                    Ok(())
                })
            }

            shared!($boxed);
        }

        pub(crate) fn $make(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<$boxed> {
            Ok(Box::new($name(PythonModel::new(object, $arguments, raised)?)))
        }
    };
}

carry_model!(
    PythonBorrow,
    python_borrow,
    (BorrowContext, BorrowOutput, BorrowModel),
    ("BorrowArgs", "BorrowOut"),
    fee,
    [price, quantity, multiplier, days, rate_annual]
);
carry_model!(
    PythonFunding,
    python_funding,
    (FundingContext, FundingOutput, FundingModel),
    ("FundingArgs", "FundingOut"),
    payment,
    [mark, quantity, multiplier, rate]
);
carry_model!(
    PythonInterest,
    python_interest,
    (InterestContext, InterestOutput, InterestModel),
    ("InterestArgs", "InterestOut"),
    payment,
    [cash, short_value, days]
);

struct PythonFx(PythonModel);

impl Model<FxContext, FxOutput> for PythonFx {
    fn eval(&mut self, c: &FxContext, out: &mut FxOutput) -> Status {
        let write = |fields: &Bound<'_, PyDict>| {
            write_header(fields, &c.header)?;
            fields.set_item("asset", c.header.asset)?;
            write_floats(fields, &[("amount", c.amount), ("rate", c.rate)])
        };
        self.0.call(write, |answer| {
            out.rate = number(answer, "rate", "FxOut")?;
            out.fee = number(answer, "fee", "FxOut")?;
            Ok(())
        })
    }

    shared!(FxModel);
}

pub(crate) fn python_fx(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<FxModel> {
    Ok(Box::new(PythonFx(PythonModel::new(object, "FxArgs", raised)?)))
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

pub(crate) fn python_impact(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<ImpactModel> {
    Ok(Box::new(PythonImpact(PythonModel::new(object, "ImpactArgs", raised)?)))
}

/// Sizes of context and output of a kind.
const fn sizes(kind: Kind) -> (usize, usize) {
    match kind {
        Kind::FILL => (size_of::<FillContext>(), size_of::<FillOutput>()),
        Kind::SLIPPAGE => (size_of::<SlippageContext>(), size_of::<SlippageOutput>()),
        Kind::IMPACT => (size_of::<ImpactContext>(), size_of::<ImpactOutput>()),
        Kind::FEE => (size_of::<FeeContext>(), size_of::<FeeOutput>()),
        Kind::LATENCY => (size_of::<LatencyContext>(), size_of::<LatencyOutput>()),
        Kind::BORROW => (size_of::<BorrowContext>(), size_of::<BorrowOutput>()),
        Kind::FUNDING => (size_of::<FundingContext>(), size_of::<FundingOutput>()),
        Kind::FX => (size_of::<FxContext>(), size_of::<FxOutput>()),
        Kind::INTEREST => (size_of::<InterestContext>(), size_of::<InterestOutput>()),
        Kind::MARGIN => (size_of::<MarginContext>(), size_of::<MarginOutput>()),
        Kind::LIQUIDATION => (size_of::<LiquidationContext>(), size_of::<LiquidationOutput>()),
        Kind::EXECUTOR => (size_of::<ExecutorContext>(), 0),
        _ => (size_of::<StrategyContext>(), 0),
    }
}

/// The table of a capsule; it keeps the capsule, and the model that made it, as long as it lives.
pub(crate) fn table(object: &Bound<'_, PyAny>, capsule: &Bound<'_, PyAny>, kind: Kind) -> PyResult<ForeignTable> {
    let py = object.py();
    let owner = object.get_type().name()?.to_string();
    let Ok(found) = capsule.cast::<PyCapsule>() else {
        let text = format!(
            "{owner}.__ml4t_model_v1__({}) answered {}; expected a capsule named {CAPSULE:?}, or None",
            kind.0,
            capsule.repr()?
        );
        return Err(crate::error::model(py, &text));
    };
    let Ok(pointer) = found.pointer_checked(Some(CAPSULE)) else {
        let name = found.name()?.map_or_else(
            || "no name".to_owned(),
            |name| {
                // SAFETY: the name lives as long as the capsule, which is at hand.
                format!("{:?}", unsafe { name.as_cstr() })
            },
        );
        let text = format!(
            "{owner}.__ml4t_model_v1__({}) answered a capsule named {name}; this engine reads {CAPSULE:?}",
            kind.0
        );
        return Err(crate::error::model(py, &text));
    };
    let keep = Arc::new((object.clone().unbind(), capsule.clone().unbind()));
    // SAFETY: a capsule of that name holds a table, which lives as long as the capsule and the model do.
    unsafe { ForeignTable::read(pointer.as_ptr().cast(), keep, (kind, &owner), sizes(kind)) }.into_py(py)
}

/// Parameters of a compiled-in model: numbers, switches, words, lists of numbers and None.
pub(crate) fn params(mapping: &Bound<'_, PyDict>) -> PyResult<Params> {
    let mut out = Vec::new();
    for (name, value) in mapping {
        let param = if value.is_none() {
            Param::Missing
        } else if value.is_instance_of::<PyBool>() {
            Param::Flag(value.extract()?)
        } else if value.is_instance_of::<PyString>() {
            Param::Text(value.extract()?)
        } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            Param::Numbers(value.extract()?)
        } else {
            // int, float or Decimal
            Param::Number(value.extract::<f64>()?)
        };
        out.push((name.extract()?, param));
    }
    Ok(Params(out))
}
