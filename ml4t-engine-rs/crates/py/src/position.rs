//! A position, as a strategy sees it.

use ml4t_sim::account::known_value;
use ml4t_sim::ids::BookId;
use ml4t_sim::money::Cash;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::shared::{Core, Shared};

/// A holding at the moment it was asked for.
#[pyclass(frozen, get_all, module = "ml4t.backtest", name = "Position")]
pub(crate) struct Position {
    /// Symbol.
    symbol: Py<PyString>,
    /// Signed units.
    quantity: f64,
    /// Average cost per unit.
    avg_price: f64,
    /// Price at which it is valued.
    mark_price: f64,
    /// Signed value at the mark.
    market_value: f64,
    /// Gain not yet taken, before fees.
    unrealized_pnl: f64,
    /// Gain taken, before fees.
    realized_pnl: f64,
}

impl Position {
    pub(crate) fn read(shared: &Shared, core: &Core, book: BookId, i: usize) -> Option<Self> {
        let position = &core.run.state.book(book).positions[i];
        if position.quantity == 0 {
            return None;
        }
        let scale = &shared.plan.instruments[i].scale;
        let average = scale.average_price(position.cost, ml4t_sim::money::Qty(position.quantity));
        // A value that leaves its range is an error of the run itself; here it is not known.
        let (mark, value) = known_value(&shared.plan, &core.run.state, i, position).ok()?;
        let unrealized = Cash(value.0 - position.carried_at().0);
        Some(Self {
            symbol: Python::attach(|py| shared.symbol(py, i)),
            quantity: scale.quantity_f64(position.quantity),
            avg_price: average,
            mark_price: mark.map_or(average, |m| scale.price_f64(m)),
            market_value: value.to_f64(),
            unrealized_pnl: unrealized.to_f64(),
            realized_pnl: position.realized.to_f64(),
        })
    }
}

#[pymethods]
impl Position {
    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "Position({}, {} at {}, worth {})",
            self.symbol.bind(py),
            self.quantity,
            self.avg_price,
            self.market_value
        )
    }
}
