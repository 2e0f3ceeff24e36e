//! Entries and exits: a signal that is not zero opens a position, another closes it.

use crate::engine::Api;
use crate::error::{Result, SimError};
use crate::ids::{BookId, OrderId};
use crate::money::Decimal;
use crate::order::{OrderRequest, Side};
use crate::plan::Plan;
use crate::policies::TargetOrders;
use crate::targets::fraction_of_equity;
use crate::terms::Instructions;

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
            let held = self.under_way.counted(api.state, i);
            let sign = if entry > 0.0 { 1 } else { -i64::from(entry < 0.0) };
            let enters = sign != 0 && sign != held.signum();
            // Where targets do not count what is under way, the one that turns a position counts from what is held.
            let is_one_order =
                enters && matches!(self.size, Size::Weight(_)) && plan.policies.target_orders == TargetOrders::Ignored;
            if held != 0 && !is_one_order && (enters || exit != 0.0) {
                let closing = leave(i, held)?;
                let sent = api.submit(closing)?;
                self.under_way.note(i, Some(sent));
            }
            if enters {
                let sent = self.enter(api, i, sign)?;
                self.under_way.note(i, sent);
            }
        }
        Ok(())
    }

    fn enter(&mut self, api: &mut Api<'_>, i: usize, sign: i64) -> Result<Option<OrderId>> {
        match &self.size {
            Size::Units(units) => {
                let side = if sign > 0 { Side::Buy } else { Side::Sell };
                api.submit(OrderRequest { side, quantity: units[i], ..template(i) }).map(Some)
            }
            Size::Weight(weight) => {
                let fraction = Decimal { mantissa: weight.mantissa * i128::from(sign), ..*weight };
                let value = fraction_of_equity(api.plan, api.state, BookId(0), fraction)?;
                let expected = self.under_way.expected(api.plan, api.state, i);
                api.order_value(template(i), value, expected)
            }
        }
    }
}

/// The order that closes what is held and, if a stop was there before it, nothing else.
fn leave(i: usize, held: i64) -> Result<OrderRequest> {
    let side = if held > 0 { Side::Sell } else { Side::Buy };
    let range = || SimError::overflow("a position leaves the range of 64 bits".to_owned());
    let quantity = held.checked_abs().ok_or_else(range)?;
    let instructions = Instructions { reduce_only: true, ..Instructions::default() };
    Ok(OrderRequest { side, quantity, instructions, ..template(i) })
}
