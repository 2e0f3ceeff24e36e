//! Futures that are rolled: what is held of one contract is closed, and as much of the next one is opened.
//!
//! A roll is due as its session opens. From then on the broker takes back what works on the contract that is left and
//! sends two market orders, which costs are charged to like to any other: at once for the next open of each contract, or
//! at the next instant at which both of them are settled, at the two settlement prices. Nothing of what was given before
//! decides with a price that is to come: the roll itself was known when its session opened.

use crate::engine::Simulator;
use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId};
use crate::money::Price;
use crate::order::OrderType;
use crate::phase::PhaseMarket;
use crate::plan::Plan;
use crate::policies::Settlement;
use crate::queue::Source;
use crate::recorder::Recorder;
use crate::rules::RuleKind;
use crate::state::State;
use crate::time::{NEVER, Ns};
use crate::venue::{Desk, Venue};

/// At which prices a roll is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollAt {
    /// The next open, quote or print of each contract.
    NextOpen,
    /// The settlement prices of both contracts.
    Settlement,
}

impl RollAt {
    /// Read its name.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "next_open" => Ok(Self::NextOpen),
            "settlement" => Ok(Self::Settlement),
            other => Err(SimError::data(format!("roll_at {other:?} is neither next_open nor settlement"))),
        }
    }
}

/// A position goes from one contract into another.
#[derive(Clone, Copy, Debug)]
pub struct Roll {
    /// As its session opens.
    pub ts: Ns,
    /// The contract that is left.
    pub from: InstrumentId,
    /// The one that follows.
    pub to: InstrumentId,
    /// At which prices.
    pub at: RollAt,
}

/// Check sequence and contracts of rolls.
///
/// # Errors
/// Names the row.
pub(crate) fn validate(rolls: &[Roll], plan: &Plan) -> Result<()> {
    for (k, roll) in rolls.iter().enumerate() {
        let fail = |text: String| Err(SimError::data(format!("rolls, row {k}: {text}")));
        let pair = [roll.from, roll.to].map(|id| plan.instruments.get(id.index()));
        let [Some(from), Some(to)] = pair else { return fail("a contract of it does not exist".to_owned()) };
        let is_one_for_one = from.currency == to.currency
            && from.lot_size == to.lot_size
            && from.scale.multiplier == to.scale.multiplier
            && from.scale.multiplier_exponent == to.scale.multiplier_exponent
            && from.scale.quantity_exponent == to.scale.quantity_exponent;
        if !(from.is_margined() && to.is_margined() && is_one_for_one) || roll.from == roll.to {
            return fail(format!("{} cannot be rolled into {} one for one", from.symbol, to.symbol));
        }
        let is_daily = [from, to].iter().all(|each| each.settlement == Settlement::Daily);
        if roll.at == RollAt::Settlement && !is_daily {
            return fail(format!("{} and {} are not both settled daily", from.symbol, to.symbol));
        }
        if k > 0 && (rolls[k - 1].ts, rolls[k - 1].from) >= (roll.ts, roll.from) {
            return fail("it is not after the one before it, by time and contract".to_owned());
        }
    }
    Ok(())
}

/// How far a run has rolled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rolls {
    seen: usize,
    /// Those that are due and wait for settlement prices, by their place in the plan.
    waiting: Vec<usize>,
}

impl Rolls {
    /// Those that wait for settlement prices.
    pub(crate) fn waiting<'p>(&self, plan: &'p Plan) -> impl Iterator<Item = &'p Roll> {
        self.waiting.iter().map(|&k| &plan.rolls[k])
    }

    pub(crate) fn next_due(&self, plan: &Plan) -> Ns {
        plan.rolls.get(self.seen).map_or(NEVER, |roll| roll.ts)
    }
}

impl State {
    /// Rolls whose session has opened, and which wait for settlement prices of both contracts.
    pub fn waiting_rolls<'p>(&self, plan: &'p Plan) -> impl Iterator<Item = &'p Roll> {
        self.rolls.waiting(plan)
    }
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Phase 7: rolls whose session opens now.
    pub(crate) fn begin_rolls(&mut self, now: Ns) -> Result<()> {
        while let Some(&roll) = self.plan.rolls.get(self.state.rolls.seen).filter(|roll| roll.ts <= now) {
            match roll.at {
                RollAt::NextOpen => self.roll_books(roll, None)?,
                RollAt::Settlement => self.state.rolls.waiting.push(self.state.rolls.seen),
            }
            self.state.rolls.seen += 1;
        }
        Ok(())
    }

    /// Phase 3: instruments were settled, each at a price of its own or at its last one.
    pub(crate) fn roll_at_settlement(&mut self, settled: &[(InstrumentId, Option<Price>)]) -> Result<()> {
        let waiting = std::mem::take(&mut self.state.rolls.waiting);
        for k in waiting {
            let roll = self.plan.rolls[k];
            let price = |id: InstrumentId| {
                let (_, own) = settled.iter().find(|(settled, _)| *settled == id)?;
                // Without a row of the contract nothing shows a model what it trades in.
                let last = last_complete(&self.plan, &self.state, id)?;
                Some(own.map_or(last, |own| Ok(Some(own))))
            };
            let from = price(roll.from).transpose()?.flatten();
            match from.zip(price(roll.to).transpose()?.flatten()) {
                Some(prices) => self.roll_books(roll, Some(prices))?,
                None => self.state.rolls.waiting.push(k),
            }
        }
        Ok(())
    }

    /// Roll what every book holds: for the next opens, or now, at prices.
    fn roll_books(&mut self, roll: Roll, prices: Option<(Price, Price)>) -> Result<()> {
        for book in (0..self.plan.books).map(BookId) {
            let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
            // A leg of the roll before that still waits goes on into the next contract.
            let waiting = self.venue.clear_contract(&mut desk, (book, roll.from))?;
            let working = self.venue.working(&self.state, roll.from.index());
            let closing = working.map(|id| self.state.order(id)).filter(|order| {
                // What is being closed for want of margin is not opened anew.
                order.request.book == book
                    && order.request.order_type == OrderType::Market
                    && order.rule.is_some_and(RuleKind::is_of_the_broker)
            });
            let closing: i64 = closing.map(|order| order.signed_leaves()).fold(0, i64::saturating_add);
            let held = self.state.book(book).positions[roll.from.index()].quantity;
            let units = held.saturating_add(closing);
            let units = if units.signum() == held.signum() { units } else { 0 };
            let all = units.saturating_add(waiting);
            let mut desk = Desk { plan: &self.plan, state: &mut self.state, recorder: &mut self.recorder };
            let mut sent = [None, None];
            if units != 0 {
                sent[0] = Some(self.venue.close_for(&mut desk, (book, roll.from), (-units, RuleKind::Roll))?);
            }
            if all != 0 {
                sent[1] = Some(self.venue.open_for(&mut desk, (book, roll.to), (all, RuleKind::Roll))?);
            }
            let Some((from, to)) = prices else { continue };
            for (order, price) in sent.into_iter().zip([from, to]).filter_map(|(order, price)| Some((order?, price))) {
                self.venue.fill_at(&mut desk, (order, price))?;
            }
        }
        Ok(())
    }
}

/// What the last complete row of an instrument values a position at; `None` before the first one.
fn last_complete(plan: &Plan, state: &State, id: InstrumentId) -> Option<Result<Option<Price>>> {
    let feed = plan.instrument(id).matching?;
    let row = state.completed_row(plan, feed.index(), id.index())?;
    let phase = plan.feed(feed).data.kind.last_phase();
    Some(PhaseMarket::read(plan, id.index(), row, phase).map(|market| market.mark()))
}
