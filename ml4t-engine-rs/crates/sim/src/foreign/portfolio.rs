//! Models of a whole portfolio in other libraries.

use ml4t_abi::{
    EvalLiquidation, EvalMargin, Holding, LiquidationContext, LiquidationOutput, MarginContext, MarginOutput, Status,
};

use super::Foreign;
use crate::models::PortfolioModel;

macro_rules! portfolio {
    ($context:ty, $output:ty, $eval:ty) => {
        impl PortfolioModel<$context, $output> for Foreign<$context, $output> {
            fn eval(
                &mut self,
                context: &$context,
                holdings: &[Holding],
                amounts: &mut [f64],
                output: &mut $output,
            ) -> Status {
                let Some(eval) = self.state.call::<$eval>() else { return Status::ERROR };
                let n = u32::try_from(holdings.len().min(amounts.len())).unwrap_or(u32::MAX);
                // SAFETY: a state of this table, a context and an output at least as large as it was built for, and
                // arrays as long as is said.
                unsafe { eval(self.state.at, context, holdings.as_ptr(), n, amounts.as_mut_ptr(), output) }
            }

            fn last_error(&self) -> String {
                self.state.last_error()
            }

            fn name(&self) -> &str {
                &self.state.table.name
            }

            fn reset(&mut self, seed: u64) -> core::result::Result<(), String> {
                self.state.reset(seed)
            }

            fn boxed_clone(&self) -> Box<dyn PortfolioModel<$context, $output>> {
                Box::new(self.copy())
            }
        }
    };
}

portfolio!(MarginContext, MarginOutput, EvalMargin);
portfolio!(LiquidationContext, LiquidationOutput, EvalLiquidation);
