//! From the Python description of a table that trades to a [`Table`].

use ml4t_abi::{Action, OrderRecord};
use ml4t_sim::error::SimError;
use ml4t_sim::front::{Entries, Line, OrderList, Size, Table, Weights, signal_named};
use ml4t_sim::money::CASH_EXPONENT;
use ml4t_sim::order::{OrderType, TimeInForce};
use ml4t_sim::plan::Plan;
use ml4t_sim::records::{number_of_life, number_of_type};
use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::assemble::{get, number, take};
use crate::error::{IntoPyResult, to_py};

type Dict<'py> = Bound<'py, PyDict>;

/// Read the description that `ml4t.backtest.front` writes.
pub(crate) fn table(plan: &Plan, description: &Dict<'_>) -> PyResult<Table> {
    let py = description.py();
    let signal = |key: &str| -> PyResult<u32> {
        let name: String = take(description, key)?;
        signal_named(plan, &name).into_py(py)
    };
    let kind: String = take(description, "kind")?;
    match kind.as_str() {
        "weights" => Ok(Table::Weights(Weights::new(plan, signal("signal")?, take(description, "keep_others")?))),
        "entries" => {
            let exit = if get(description, "exit")?.is_none() { None } else { Some(signal("exit")?) };
            Ok(Table::Entries(Entries::new(plan, (signal("entry")?, exit), size(plan, description)?)))
        }
        "orders" => {
            let signals: Vec<String> = take(description, "signals")?;
            let numbers =
                signals.iter().map(|name| signal_named(plan, name)).collect::<Result<Vec<_>, _>>().into_py(py)?;
            OrderList::new(plan, lines(description)?, &numbers).map(Table::Orders).into_py(py)
        }
        other => Err(to_py(py, &SimError::internal(format!("a table of kind {other:?}")))),
    }
}

fn size(plan: &Plan, description: &Dict<'_>) -> PyResult<Size> {
    let py = description.py();
    if get(description, "quantity")?.is_none() {
        return Ok(Size::Weight(number(description, "weight")?.truncated(CASH_EXPONENT)));
    }
    let quantity = number(description, "quantity")?;
    let units = plan.instruments.iter().map(|instrument| {
        quantity
            .scaled_i64(instrument.scale.quantity_exponent)
            .filter(|units| units % instrument.lot_size == 0)
            .ok_or_else(|| {
                let lot = instrument.scale.quantity_f64(instrument.lot_size);
                let (symbol, found) = (&instrument.symbol, quantity.to_f64());
                SimError::config(format!("quantity {found} is not a multiple of lot_size {lot} of {symbol}"))
            })
    });
    units.collect::<Result<Vec<i64>, _>>().map(Size::Units).into_py(py)
}

fn lines(description: &Dict<'_>) -> PyResult<Vec<Line>> {
    let py = description.py();
    let floats = |key: &str| -> PyResult<PyReadonlyArray1<'_, f64>> { get(description, key)?.extract() };
    let codes = |key: &str| -> PyResult<PyReadonlyArray1<'_, u32>> { get(description, key)?.extract() };
    let (sizes, limits, stops) = (floats("quantity")?, floats("limit_price")?, floats("stop_price")?);
    let (type_codes, life_codes) = (codes("order_type")?, codes("time_in_force")?);
    let kinds: Vec<String> = take(description, "order_types")?;
    let lives: Vec<String> = take(description, "times_in_force")?;
    let types = kinds.iter().map(|name| OrderType::parse(name).map(number_of_type)).collect::<Result<Vec<_>, _>>();
    let types = types.into_py(py)?;
    let lifetimes =
        lives.iter().map(|name| TimeInForce::parse(name).map(number_of_life)).collect::<Result<Vec<_>, _>>();
    let lifetimes = lifetimes.into_py(py)?;
    let n = sizes.len();
    let broken = || to_py(py, &SimError::internal("a table of orders with columns of unequal lengths".to_owned()));
    let mut made = Vec::with_capacity(n);
    for k in 0..n {
        let line = (|| {
            let record = OrderRecord {
                action: Action::NEW,
                quantity: *sizes.get(k)?,
                limit_price: *limits.get(k)?,
                stop_price: *stops.get(k)?,
                order_type: *types.get(*type_codes.get(k)? as usize)?,
                life: (*lifetimes.get(*life_codes.get(k)? as usize)?)?,
                ..OrderRecord::UNSET
            };
            Some(Line { record })
        })();
        made.push(line.ok_or_else(broken)?);
    }
    Ok(made)
}
