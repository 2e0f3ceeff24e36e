//! Target weights: the portfolio follows a signal that is a fraction of equity.

use crate::engine::Api;
use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::money::{CASH_EXPONENT, Decimal};
use crate::plan::Plan;
use crate::targets::Target;

use super::{UnderWay, instrument, template};

/// Trades towards the weights that arrive together.
#[derive(Debug)]
pub struct Weights {
    signal: u32,
    keeps_others: bool,
    under_way: UnderWay,
    /// Whether a weight of an instrument is among those that arrived now, and the last one.
    given: Vec<Option<Decimal>>,
    named: Vec<u32>,
    targets: Vec<Target>,
    sent: Vec<OrderId>,
    /// The last weight that was turned into a decimal: most of a portfolio are alike.
    last: (f64, Decimal),
}

impl Weights {
    /// Of the signal of that number; what the weights do not name is closed, unless `keeps_others`.
    #[must_use]
    pub fn new(plan: &Plan, signal: u32, keeps_others: bool) -> Self {
        Self {
            signal,
            keeps_others,
            under_way: UnderWay::new(plan),
            given: vec![None; plan.instruments.len()],
            named: Vec::new(),
            targets: Vec::new(),
            sent: Vec::new(),
            last: (0.0, Decimal { mantissa: 0, exponent: 0 }),
        }
    }

    fn decimal(&mut self, weight: f64) -> Result<Decimal> {
        if self.last.0.to_bits() != weight.to_bits() {
            self.last = (weight, shortest(weight)?);
        }
        Ok(self.last.1)
    }

    pub(super) fn act(&mut self, api: &mut Api<'_>) -> Result<()> {
        let plan = api.plan;
        let Some(signals) = &plan.signals else { return Ok(()) };
        self.named.clear();
        for row in api.state.new_signals.0..api.state.new_signals.1 {
            if signals.name[row] == self.signal {
                let (i, weight) = (signals.instrument[row], self.decimal(signals.score[row])?);
                if self.given[i as usize].replace(weight).is_none() {
                    self.named.push(i);
                }
            }
        }
        if self.named.is_empty() {
            return Ok(());
        }
        self.targets.clear();
        for &i in &self.named {
            let i = i as usize;
            let expected = self.under_way.expected(plan, api.state, i);
            self.targets.push(Target { instrument: instrument(i), weight: self.given[i], expected });
        }
        if !self.keeps_others {
            for i in (0..self.given.len()).filter(|&i| self.given[i].is_none()) {
                let held = api.state.books[0].positions[i].quantity;
                if held == 0 && self.under_way.0[i].is_empty() {
                    continue;
                }
                let expected = self.under_way.expected(plan, api.state, i);
                if expected != 0 {
                    self.targets.push(Target { instrument: instrument(i), weight: None, expected });
                }
            }
        }
        for &i in &self.named {
            self.given[i as usize] = None;
        }
        self.sent.clear();
        api.order_weights(template(0), &self.targets, &mut self.sent)?;
        for &id in &self.sent {
            self.under_way.note(api.state.order(id).request.instrument.index(), Some(id));
        }
        Ok(())
    }
}

/// The decimal that a float was typed as, cut to what cash keeps.
fn shortest(x: f64) -> Result<Decimal> {
    let found = Decimal::parse(&x.to_string()).map(|decimal| decimal.truncated(CASH_EXPONENT));
    found.ok_or_else(|| SimError::overflow(format!("weight {x} is beyond every range here")))
}
