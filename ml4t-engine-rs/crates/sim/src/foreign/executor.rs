//! Execution algorithms of other libraries.

use ml4t_abi::{EvalExecutor, ExecutorContext, OpenOrder, OrderRecord};

use super::kernel::pointer;
use super::{ForeignTable, State};
use crate::worked::{Executor, answered};

/// A table of kind executor as an [`Executor`].
#[derive(Clone, Debug)]
pub(super) struct ForeignExecutor(State);

impl ForeignExecutor {
    pub(super) fn new(table: ForeignTable) -> Self {
        Self(State::of_proto(table))
    }
}

impl Executor for ForeignExecutor {
    fn name(&self) -> &str {
        self.0.table.name()
    }

    fn average_days(&self) -> usize {
        self.0.table.table.average_days as usize
    }

    fn draws(&self) -> usize {
        self.0.table.table.n_random as usize
    }

    fn begin(&mut self, seed: u64) -> Result<(), String> {
        self.0.reset(seed)
    }

    fn ask(
        &mut self,
        context: &ExecutorContext,
        open_orders: &[OpenOrder],
        orders: &mut [OrderRecord],
    ) -> Result<Option<usize>, String> {
        let Some(eval) = self.0.call::<EvalExecutor>() else { return Err(self.0.last_error()) };
        let mut n = 0_u32;
        let capacity = u32::try_from(orders.len()).unwrap_or(u32::MAX);
        // SAFETY: a state of this table; the arrays are as long as is said, and empty ones dangle, aligned.
        let status =
            unsafe { eval(self.0.at, context, pointer(open_orders), orders.as_mut_ptr(), capacity, &raw mut n) };
        answered(status, n as usize, orders.len(), || self.0.last_error())
    }

    fn boxed_clone(&self) -> Box<dyn Executor> {
        Box::new(self.clone())
    }
}
