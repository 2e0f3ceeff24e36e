//! Strategies that are tables: signals of the plan become orders without anybody being called.
//!
//! Each does what a strategy in Python does that looks at the signals that have just arrived, order by order; the
//! three have forms in Python that say so, and the tests compare them.

mod entries;
mod orders;
mod weights;

use crate::engine::{Api, Strategy};
use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::order::{OrderRequest, Side};
use crate::plan::Plan;
use crate::policies::TargetOrders;
use crate::state::State;
use crate::targets::expected_quantity;

pub use entries::{Entries, Size};
pub use orders::{Line, OrderList};
pub use weights::Weights;

/// One of the tables.
#[derive(Debug)]
pub enum Table {
    /// Target weights.
    Weights(Weights),
    /// Entries and exits.
    Entries(Entries),
    /// Orders.
    Orders(OrderList),
}

impl Strategy for Table {
    fn acts_now(&self, state: &State) -> bool {
        state.causes.has_signals
    }

    fn acts_on_signals_alone(&self) -> bool {
        true
    }

    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        match self {
            Self::Weights(weights) => weights.act(api),
            Self::Entries(entries) => entries.act(api),
            Self::Orders(orders) => orders.act(api),
        }
    }
}

/// Number of the signal that a table reads.
///
/// # Errors
/// No signal has that name.
pub fn signal_named(plan: &Plan, name: &str) -> Result<u32> {
    let names = plan.signals.as_ref().map_or(&[][..], |signals| signals.names.as_slice());
    let found = names.iter().position(|known| known == name).and_then(|k| u32::try_from(k).ok());
    found.ok_or_else(|| SimError::unknown_name(format!("no signal is called {name:?}; known: {}", names.join(", "))))
}

/// The market orders of a table that may still change, by instrument.
#[derive(Debug)]
struct UnderWay(Vec<Vec<OrderId>>);

impl UnderWay {
    fn new(plan: &Plan) -> Self {
        Self(vec![Vec::new(); plan.instruments.len()])
    }

    fn note(&mut self, i: usize, sent: Option<OrderId>) {
        self.0[i].extend(sent);
    }

    fn forget(&mut self, state: &State, i: usize) {
        self.0[i].retain(|&id| !state.has_ended(id));
    }

    /// Position once they have filled.
    fn expected(&mut self, plan: &Plan, state: &State, i: usize) -> i64 {
        self.forget(state, i);
        expected_quantity(state, (BookId(0), instrument(i)), &self.0[i], plan.policies.target_orders)
    }

    /// The same, whatever the policy of targets says of orders under way.
    fn counted(&mut self, state: &State, i: usize) -> i64 {
        self.forget(state, i);
        expected_quantity(state, (BookId(0), instrument(i)), &self.0[i], TargetOrders::Counted)
    }
}

/// Market order of an instrument without a size yet.
fn template(i: usize) -> OrderRequest {
    OrderRequest::market(instrument(i), Side::Buy, 0)
}

fn instrument(i: usize) -> InstrumentId {
    InstrumentId(u32::try_from(i).unwrap_or(u32::MAX))
}
