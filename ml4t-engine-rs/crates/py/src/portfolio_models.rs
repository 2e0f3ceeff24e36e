//! Margin and liquidation models written in Python.

use ml4t_abi::{Holding, LiquidationContext, LiquidationOutput, MarginContext, MarginOutput, Status};
use ml4t_sim::models::{LiquidationModel, MarginModel, PortfolioModel};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::models::{PythonModel, Raised, number, write_floats, write_header};

/// Positions as objects of the class `Holding`.
fn holdings_of<'py>(py: Python<'py>, holdings: &[Holding]) -> PyResult<Bound<'py, PyTuple>> {
    let class = py.import("ml4t.core.models")?.getattr("Holding")?;
    let one = |holding: &Holding| {
        let fields = PyDict::new(py);
        fields.set_item("asset", holding.asset)?;
        write_floats(
            &fields,
            &[
                ("quantity", holding.quantity),
                ("mark", holding.mark),
                ("multiplier", holding.multiplier),
                ("fx", holding.fx),
                ("initial_rate", holding.initial_rate),
                ("maintenance_rate", holding.maintenance_rate),
                ("lot_size", holding.lot_size),
                ("unrealized", holding.unrealized),
                ("requirement", holding.requirement),
            ],
        )?;
        class.call(PyTuple::empty(py), Some(&fields))
    };
    PyTuple::new(py, holdings.iter().map(one).collect::<PyResult<Vec<_>>>()?)
}

/// A number for each position out of a field of an answer.
fn amounts_of(answer: &Bound<'_, PyAny>, (class, field): (&str, &str), amounts: &mut [f64]) -> PyResult<()> {
    let py = answer.py();
    let Ok(value) = answer.getattr(field) else {
        let text = format!("evaluate answered {}; expected {class}", answer.repr()?);
        return Err(crate::error::model(py, &text));
    };
    let found: Option<Vec<f64>> = value.extract().ok();
    let Some(found) = found.filter(|found| found.len() == amounts.len()) else {
        let (shown, n) = (value.repr()?, amounts.len());
        let text = format!("evaluate answered {class} with {field} = {shown}; expected {n} numbers, one a holding");
        return Err(crate::error::model(py, &text));
    };
    amounts.copy_from_slice(&found);
    Ok(())
}

macro_rules! portfolio_model {
    ($name:ident, $make:ident, ($context:ty, $output:ty, $boxed:ty), $arguments:literal, [$($field:ident),*],
     ($class:literal, $each:literal), [$($answer:ident),*]) => {
        struct $name(PythonModel);

        impl PortfolioModel<$context, $output> for $name {
            fn eval(
                &mut self,
                context: &$context,
                holdings: &[Holding],
                amounts: &mut [f64],
                output: &mut $output,
            ) -> Status {
                let write = |fields: &Bound<'_, PyDict>| {
                    write_header(fields, &context.header)?;
                    write_floats(fields, &[$((stringify!($field), context.$field)),*])?;
                    fields.set_item("holdings", holdings_of(fields.py(), holdings)?)
                };
                output.code = 0;
                self.0.call(write, |answer| {
                    $(output.$answer = number(answer, stringify!($answer), $class)?;)*
                    amounts_of(answer, ($class, $each), amounts)
                })
            }

            fn last_error(&self) -> String {
                self.0.last_error()
            }

            fn name(&self) -> &str {
                self.0.name()
            }

            fn reset(&mut self, _seed: u64) -> Result<(), String> {
                self.0.reset()
            }

            fn boxed_clone(&self) -> $boxed {
                Box::new(Self(self.0.copy()))
            }
        }

        pub(crate) fn $make(object: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<$boxed> {
            Ok(Box::new($name(PythonModel::new(object, $arguments, raised)?)))
        }
    };
}

portfolio_model!(
    PythonMargin,
    python_margin,
    (MarginContext, MarginOutput, MarginModel),
    "MarginArgs",
    [cash, equity],
    ("MarginOut", "requirement"),
    [initial, maintenance, overnight]
);
portfolio_model!(
    PythonLiquidation,
    python_liquidation,
    (LiquidationContext, LiquidationOutput, LiquidationModel),
    "LiquidationArgs",
    [cash, equity, deficit],
    ("LiquidationOut", "close"),
    []
);
