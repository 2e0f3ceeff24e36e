//! Many calls of a model where runs make them, to measure what one costs.

use ml4t_abi::{Header, Phase, SlippageContext, SlippageOutput, Status};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::assemble::slippage_model;
use crate::models::Raised;

/// A number from 0 to 1 that follows another: Park and Miller (1988), exact in 64 bits.
const fn next(seed: &mut u64) -> f64 {
    *seed = *seed * 16_807 % 2_147_483_647;
    #[expect(clippy::cast_precision_loss, reason = "below 2^31")]
    let fraction = *seed as f64 / 2_147_483_647.0;
    fraction
}

/// Ask a slippage model `calls` times about contexts that differ, the same for every model; the sum of its answers.
#[pyfunction]
pub(crate) fn ask_slippage(description: &Bound<'_, PyDict>, calls: u64) -> PyResult<f64> {
    let py = description.py();
    let mut model = slippage_model(description, &Raised::default())?;
    let outcome = py.detach(|| {
        let (mut seed, mut sum) = (42, 0.0);
        let mut context = SlippageContext {
            header: Header::of::<SlippageContext>(1, 0, 0),
            phase: Phase::CLOSE,
            volume_used: 0.0,
            ..SlippageContext::UNSET
        };
        for call in 0..calls {
            context.price = 50.0 + next(&mut seed);
            context.quantity = 1_000.0 * next(&mut seed);
            context.volume = 100_000.0;
            let mut output = SlippageOutput::UNSET;
            if model.eval(&context, &mut output) != Status::OK {
                return Err((call, model.last_error()));
            }
            sum += output.adjustment;
        }
        Ok(sum)
    });
    outcome.map_err(|(call, text)| crate::error::model(py, &format!("call {call}: {text}")))
}
