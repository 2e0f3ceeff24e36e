//! Entries and exits: a signal that is not zero opens a position, another closes it.

use crate::engine::Api;
use crate::error::Result;
use crate::ids::BookId;
use crate::money::Decimal;
use crate::plan::Plan;
use crate::targets::fraction_of_equity;

use super::{UnderWay, template};

/// How much an entry opens.
#[derive(Clone, Debug)]
pub enum Size {
    /// So many units of each instrument.
    Units(Vec<i64>),
    /// A fraction of equity.
    Weight(Decimal),
}

/// Opens and closes positions as two signals say.
#[derive(Debug)]
pub struct Entries {
    entry: u32,
    exit: Option<u32>,
    size: Size,
    under_way: UnderWay,
    /// Entry and exit of each instrument that arrived now, and the instruments.
    arrived: Vec<[f64; 2]>,
    named: Vec<u32>,
}

impl Entries {
    /// Of two signals by number.
    #[must_use]
    pub fn new(plan: &Plan, (entry, exit): (u32, Option<u32>), size: Size) -> Self {
        let n = plan.instruments.len();
        Self { entry, exit, size, under_way: UnderWay::new(plan), arrived: vec![[0.0; 2]; n], named: Vec::new() }
    }

    pub(super) fn act(&mut self, api: &mut Api<'_>) -> Result<()> {
        let plan = api.plan;
        let Some(signals) = &plan.signals else { return Ok(()) };
        self.named.clear();
        for row in api.state.new_signals.0..api.state.new_signals.1 {
            let place = match signals.name[row] {
                name if name == self.entry => 0,
                name if Some(name) == self.exit => 1,
                _ => continue,
            };
            let score = signals.score[row];
            if score != 0.0 {
                let i = signals.instrument[row];
                self.arrived[i as usize][place] = score;
                self.named.push(i);
            }
        }
        if self.named.is_empty() {
            return Ok(());
        }
        self.named.sort_unstable();
        self.named.dedup();
        for k in 0..self.named.len() {
            let i = self.named[k] as usize;
            let [entry, exit] = std::mem::take(&mut self.arrived[i]);
            let expected = self.under_way.expected(plan, api.state, i);
            let sign = if entry > 0.0 { 1 } else { -i64::from(entry < 0.0) };
            // Whether there is a position does not depend on the policy by which targets count what is under way.
            let held = self.under_way.counted(api.state, i);
            let sent = if sign != 0 && sign != held.signum() {
                self.enter(api, (i, expected), sign)?
            } else if exit != 0.0 && held != 0 {
                api.order_target_from(template(i), 0, expected)?
            } else {
                None
            };
            self.under_way.note(i, sent);
        }
        Ok(())
    }

    fn enter(&self, api: &mut Api<'_>, (i, expected): (usize, i64), sign: i64) -> Result<Option<crate::ids::OrderId>> {
        match &self.size {
            Size::Units(units) => api.order_target_from(template(i), sign * units[i], expected),
            Size::Weight(weight) => {
                let fraction = Decimal { mantissa: weight.mantissa * i128::from(sign), ..*weight };
                let value = fraction_of_equity(api.plan, api.state, BookId(0), fraction)?;
                api.order_value(template(i), value, expected)
            }
        }
    }
}
