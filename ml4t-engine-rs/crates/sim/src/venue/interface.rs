//! What the simulator asks of a venue: a simulated one matches orders, a remote one sends them on.

use crate::error::Result;
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::money::{Cash, Price, Ratio};
use crate::order::Reason;
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::replace::Changes;
use crate::rules::RuleKind;
use crate::state::{Block, State};
use crate::time::Ns;

/// What a venue works on during a call.
#[derive(Debug)]
pub struct Desk<'a, R> {
    /// Immutable half of the run.
    pub plan: &'a Plan,
    /// Changing half.
    pub state: &'a mut State,
    /// Where rows go.
    pub recorder: &'a mut R,
}

/// Where orders go. The simulated venue matches them; a remote one sends them on and takes reports back.
pub trait Venue: Clone {
    /// Next instant at which the venue has something to do on its own.
    fn next_due(&self) -> Ns;
    /// Let the opens of an instant pass at which nobody asked for anything; false, and nothing done, where something
    /// opens now or an order meets the present prices.
    fn passes(&mut self, plan: &Plan, now: Ns) -> bool;
    /// Count completed rows `from..to` of a feed and note those that concern somebody.
    fn on_rows(&mut self, plan: &Plan, state: &mut State, feed: usize, rows: (usize, usize));
    /// Whether complete rows do nothing but value positions: no order is at work that they reach.
    fn is_quiet(&self, plan: &Plan, state: &State, blocks: &[Block]) -> bool;
    /// Count complete rows that do nothing but value positions.
    fn pass_rows(&mut self, plan: &Plan, state: &mut State, feed: usize, rows: (usize, usize));
    /// Whether no order is at work.
    fn is_idle(&self) -> bool;
    /// Begin to let rows pass without instants of their own; when the first instant may be that must not be skipped.
    fn begin_to_skip(&mut self, plan: &Plan, state: &State) -> Ns;
    /// Count complete rows while rows are skipped; the same for what follows them.
    fn skip_rows(&mut self, plan: &Plan, state: &mut State, feed: usize, rows: (usize, usize)) -> Ns;
    /// Arrange what follows after rows were skipped.
    fn end_to_skip(&mut self, plan: &Plan, state: &State);
    /// Phase 1: completed data meet working orders, then set marks.
    ///
    /// # Errors
    /// A model fails or a number leaves its range.
    fn on_completed<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 2: orders whose time runs out now.
    ///
    /// # Errors
    /// The order cannot expire: a bug.
    fn on_expiry<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 4: a split scales working orders.
    ///
    /// # Errors
    /// A number leaves its range.
    fn on_split<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, ratio: Ratio) -> Result<()>;
    /// Phase 4: so much was paid out of each share: orders that ask for it follow.
    ///
    /// # Errors
    /// A number leaves its range.
    fn on_distribution<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, amount: Cash) -> Result<()>;
    /// Phase 4: what is held has changed its price without a trade, by the price before to the one after.
    ///
    /// # Errors
    /// A number leaves its range.
    fn on_repriced<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, ratio: Ratio) -> Result<()>;
    /// Phase 4: positions in an instrument have changed without a fill.
    ///
    /// # Errors
    /// A number leaves its range.
    fn on_received<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId) -> Result<()>;
    /// Phase 4: an instrument ends: its orders are canceled, before its positions are closed.
    ///
    /// # Errors
    /// An order cannot change its state.
    fn on_delisted<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: InstrumentId, reason: Reason) -> Result<()>;
    /// A liquidation begins: orders of a book are canceled, but for those of position rules.
    ///
    /// # Errors
    /// An order cannot change its state.
    fn clear_book<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, book: BookId) -> Result<()>;
    /// Rates have changed by which margin is reckoned: set aside for orders at work what they need now.
    ///
    /// # Errors
    /// What they need is not known, or leaves the range of the ledger.
    fn reserve_all<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Let the exchange close positions whose marks have taken their margin.
    ///
    /// # Errors
    /// The margin model fails, or a number leaves its range.
    fn test_marks<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Send a market order of the broker that closes so many units of a position, signed as the order, and why.
    ///
    /// # Errors
    /// An order cannot change its state.
    fn close_for<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        place: (BookId, InstrumentId),
        units: (i64, RuleKind),
    ) -> Result<OrderId>;
    /// Send a market order of the broker that opens as many units, signed likewise.
    ///
    /// # Errors
    /// As [`Venue::close_for`].
    fn open_for<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        place: (BookId, InstrumentId),
        units: (i64, RuleKind),
    ) -> Result<OrderId>;
    /// A contract is left: orders of a book for it are canceled, but for those of position rules and of the broker.
    ///
    /// # Errors
    /// An order cannot change its state.
    fn clear_contract<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, place: (BookId, InstrumentId)) -> Result<i64>;
    /// Fill an order of the broker now, at a price that its instrument was settled at.
    ///
    /// # Errors
    /// As [`Venue::on_completed`].
    fn fill_at<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, order: (OrderId, Price)) -> Result<()>;
    /// Phase 9: an accepted order starts to work.
    fn submit(&mut self, plan: &Plan, state: &State, id: OrderId);
    /// Phase 9: an order that a strategy sent or changed becomes active at a known time.
    fn activate(&mut self, plan: &Plan, state: &State, id: OrderId);
    /// End of phase 9: orders that become active now and want the quote that stands.
    ///
    /// # Errors
    /// As [`Venue::on_completed`].
    fn on_standing<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 9: a request to take an order back.
    ///
    /// # Errors
    /// The order cannot be canceled: a bug.
    fn cancel<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId) -> Result<()>;
    /// Phase 9: an order whose parent has fills already starts to work.
    ///
    /// # Errors
    /// A number leaves its range.
    fn join<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId) -> Result<()>;
    /// Orders that ended take others with them.
    ///
    /// # Errors
    /// The order cannot be canceled: a bug.
    fn cascade<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 9: a request to change an order.
    ///
    /// # Errors
    /// A number leaves its range.
    fn replace<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, id: OrderId, changes: Box<Changes>) -> Result<()>;
    /// End of phase 9: orders that want the close they were decided on.
    ///
    /// # Errors
    /// As [`Venue::on_completed`].
    fn on_same_close<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 10: opens of this instant.
    ///
    /// # Errors
    /// As [`Venue::on_completed`].
    fn on_opens<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
    /// Phase 9: the rules of a book changed.
    ///
    /// # Errors
    /// A level leaves its range.
    fn apply_rules<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, book: BookId) -> Result<()>;
    /// Live orders of an instrument, in submission order.
    fn working(&self, state: &State, i: usize) -> impl Iterator<Item = OrderId>;
    /// After the last event: nothing will fill any more.
    ///
    /// # Errors
    /// The order cannot be canceled: a bug.
    fn finish<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()>;
}
