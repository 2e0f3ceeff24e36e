//! Borrowed shares that are lent no longer: recalled at one close, bought in some closes later.

use crate::engine::Simulator;
use crate::error::Result;
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::queue::Source;
use crate::recorder::Recorder;
use crate::rules::RuleKind;
use crate::state::State;
use crate::time::Ns;
use crate::venue::{Desk, Venue};

/// What was recalled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recalls {
    /// For how many closes in a row, by book and instrument; empty before the first.
    closes: Vec<u32>,
    /// Orders that buy in.
    orders: Vec<OrderId>,
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// At the close of a NAV session: count for how many closes in a row more was short than can be borrowed, and buy in
    /// what still is after as many as the account allows.
    pub(crate) fn recall_shorts(&mut self, now: Ns) -> Result<()> {
        let Some(most) = self.plan.account.recall_sessions.filter(|_| !self.plan.rates.borrow.is_empty()) else {
            return Ok(());
        };
        let count = self.plan.instruments.len();
        self.state.recalls.closes.resize(count * usize::from(self.plan.books), 0);
        for book in (0..self.plan.books).map(BookId) {
            for (i, id) in (0_u32..).map(InstrumentId).enumerate().take(count) {
                let excess = self.excess(book, id, now);
                let state = &mut self.state;
                let closes = &mut state.recalls.closes[usize::from(book.0) * count + i];
                *closes = if excess > 0 { closes.saturating_add(1) } else { 0 };
                if *closes > most {
                    *closes = 0;
                    let mut desk = Desk { plan: &self.plan, state, recorder: &mut self.recorder };
                    let order = self.venue.close_for(&mut desk, (book, id), (excess, RuleKind::BuyIn))?;
                    self.state.recalls.orders.push(order);
                }
            }
        }
        Ok(())
    }

    /// Units that are short beyond what can be borrowed, in whole lots, and that no order buys in yet.
    fn excess(&mut self, book: BookId, id: InstrumentId, now: Ns) -> i64 {
        let instrument = self.plan.instrument(id);
        let held = self.state.book(book).positions[id.index()].quantity;
        if held >= 0 || !instrument.is_borrowed {
            return 0;
        }
        let available = self.state.accruals.available(&self.plan, id, now).max(0.0);
        let short = held.saturating_neg().saturating_sub(bought_in(&self.state, book, id));
        let scale = &instrument.scale;
        if short <= 0 || scale.quantity_f64(short) <= available {
            return 0;
        }
        let lent = scale.quantity_floor(available, instrument.lot_size).unwrap_or(short);
        (short - lent).max(0)
    }
}

/// What orders at work buy in.
fn bought_in(state: &State, book: BookId, id: InstrumentId) -> i64 {
    let open = state.recalls.orders.iter().filter(|&&order| !state.has_ended(order)).map(|&order| state.order(order));
    let own = open.filter(|order| (order.request.book, order.request.instrument) == (book, id));
    own.map(|order| order.leaves).sum()
}
