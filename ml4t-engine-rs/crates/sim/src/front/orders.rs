//! Orders as a table: each is sent when its row arrives.

use ml4t_abi::OrderRecord;

use crate::engine::Api;
use crate::error::{Result, SimError};
use crate::order::{OrderRequest, Side};
use crate::plan::Plan;
use crate::records::{Author, send};

use super::instrument;

/// One order: what to send, and which row of the user's table it is.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The order; its instrument is that of the signal that brings it.
    pub record: OrderRecord,
}

/// The number of a line that a score stands for.
fn line_of(score: f64) -> Option<usize> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number in range")]
    ((0.0..4e9).contains(&score) && score.fract() == 0.0).then_some(score as usize)
}

/// Sends the orders of a table; a signal whose name is one of the table's brings the number of a line.
#[derive(Debug)]
pub struct OrderList {
    lines: Vec<Line>,
    /// Whether signals of a name bring lines.
    brings: Vec<bool>,
    due: Vec<(usize, u32)>,
}

impl OrderList {
    /// Lines, and the signals whose score is the number of one.
    ///
    /// # Errors
    /// A signal brings a line that is not there.
    pub fn new(plan: &Plan, lines: Vec<Line>, names: &[u32]) -> Result<Self> {
        let known = plan.signals.as_ref().map_or(0, |signals| signals.names.len());
        let mut brings = vec![false; known];
        for &name in names {
            if let Some(place) = brings.get_mut(name as usize) {
                *place = true;
            }
        }
        if let Some(signals) = &plan.signals {
            for (&name, &score) in signals.name.iter().zip(signals.score.iter()) {
                if brings[name as usize] && line_of(score).is_none_or(|k| k >= lines.len()) {
                    let n = lines.len();
                    return Err(SimError::data(format!("a signal brings order {score} of a table of {n}, from 0")));
                }
            }
        }
        Ok(Self { lines, brings, due: Vec::new() })
    }

    pub(super) fn act(&mut self, api: &mut Api<'_>) -> Result<()> {
        let plan = api.plan;
        let Some(signals) = &plan.signals else { return Ok(()) };
        self.due.clear();
        for row in api.state.new_signals.0..api.state.new_signals.1 {
            if self.brings[signals.name[row] as usize] {
                self.due.extend(line_of(signals.score[row]).map(|k| (k, signals.instrument[row])));
            }
        }
        // In the sequence of the user's table.
        self.due.sort_unstable();
        for &(k, i) in &self.due {
            self.send(api, k, i as usize)
                .map_err(|error| SimError { message: format!("row {k} of the {}", error.message), ..error })?;
        }
        Ok(())
    }

    fn send(&self, api: &mut Api<'_>, k: usize, i: usize) -> Result<()> {
        let (plan, record) = (api.plan, &self.lines[k].record);
        let found = &plan.instruments[i];
        let author = Author { what: "order", name: "list", symbol: Some(&found.symbol), now: api.state.now };
        let (quantity, is_exact) = author.quantity(found, plan.policies.lot_rounding, record.quantity.abs())?;
        let side = if record.quantity > 0.0 { Side::Buy } else { Side::Sell };
        let order = OrderRequest::market(instrument(i), side, quantity);
        let request = author.request(found, order, record)?;
        send(api, author, found, (request, is_exact), record).map(drop)
    }
}
