//! Specific lots: an order may name another one, and closes first what that one has opened.

use crate::engine::Api;
use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::lots::Lot;
use crate::plan::Plan;
use crate::policies::LotPolicy;
use crate::state::State;
use crate::time::render;

impl Api<'_> {
    /// Check that an order for an instrument may name the lots that another one opens.
    ///
    /// # Errors
    /// That one is of another book, or the account pools its lots.
    pub fn check_lot(&self, (book, id): (BookId, InstrumentId), opener: OrderId) -> Result<()> {
        let wrong = if self.plan.account.lot_policy == LotPolicy::Average {
            "lot_policy = \"average\" keeps a single lot; there is none to name"
        } else if book != self.state.order(opener).request.book {
            "the order that opened it is of another account"
        } else {
            return Ok(());
        };
        let symbol = &self.plan.instrument(id).symbol;
        Err(SimError::order(format!("lot: {wrong} ({symbol}, {})", render(self.state.now))))
    }

    /// Let an order that was sent close the lots first which another one has opened, or will have.
    pub fn name_lot(&mut self, id: OrderId, opener: OrderId) {
        self.state.named_lots.insert(id, opener);
    }
}

/// Why an order cannot close the lots that it names: the one that it names has ended, and nothing that it opened is held.
/// One that works may still open some.
pub(crate) fn names_no_lot(plan: &Plan, state: &State, id: OrderId) -> Option<String> {
    let opener = *state.named_lots.get(&id)?;
    let request = state.order(id).request;
    let position = &state.book(request.book).positions[request.instrument.index()];
    let closes = |lot: &Lot| lot.order == opener && lot.quantity.signum() == -request.side.sign();
    let is_of_it = state.order(opener).request.instrument == request.instrument;
    if (is_of_it && !state.has_ended(opener)) || position.lots.iter().any(closes) {
        return None;
    }
    let (symbol, at) = (&plan.instrument(request.instrument).symbol, render(state.now));
    Some(format!("order {} opened no lot of {symbol} that is held and that this one would close ({at})", opener.0 + 1))
}
