//! Orders at the venue, by instrument and in the sequence of submission.

use crate::ids::OrderId;
use crate::order::{Order, Side};
use crate::state::State;

/// An order that can still fill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub id: OrderId,
    /// Last pass in which the order was dealt with, so that no order has two turns at one event.
    pub pass: u64,
}

/// The live orders of one instrument.
///
/// An order that ends during a pass stays in the list until [`Working::sweep`], so that a thousand fills cost one
/// walk through it; whoever reads the list before that looks at the status.
#[derive(Clone, Debug, Default)]
pub(crate) struct Working {
    /// Ascending by id, which is the sequence of submission.
    list: Vec<Live>,
    has_ended: bool,
    /// How many were taken out since the last sweep and still stand in the list.
    taken_out: usize,
    /// Upper bounds since the list was last empty: the largest order of each side.
    largest: [i64; 2],
    /// Whether there was, since the list was last empty, an order with one event only, or one that trails.
    has_immediate: bool,
    has_trailing: bool,
}

impl Working {
    /// Add an order; nearly always the last of the list.
    pub(crate) fn insert(&mut self, id: OrderId, order: &Order) {
        if self.list.is_empty() {
            self.largest = [0; 2];
            self.has_immediate = false;
            self.has_trailing = false;
        }
        self.note(order);
        self.has_immediate |= order.request.time_in_force.is_immediate();
        self.has_trailing |= order.request.order_type.is_trailing();
        let place = match self.list.last() {
            Some(last) if last.id > id => self.list.partition_point(|l| l.id < id),
            _ => self.list.len(),
        };
        self.list.insert(place, Live { id, pass: 0 });
    }

    /// The size of an order may have grown: a split, or a rule that follows its position.
    pub(crate) fn note(&mut self, order: &Order) {
        let largest = &mut self.largest[order.request.side as usize];
        *largest = order.leaves.max(*largest);
    }

    /// Take out an order that has ended: it leaves the list when half of the list may go, so that taking out all of
    /// them one by one costs two walks.
    pub(crate) fn remove(&mut self, state: &State) {
        self.has_ended = true;
        self.taken_out += 1;
        if self.taken_out * 2 >= self.list.len() {
            self.sweep(state);
        }
    }

    /// Note that an order ended; it is taken out by the next [`Working::sweep`].
    pub(crate) const fn note_end(&mut self) {
        self.has_ended = true;
    }

    /// Take out what has ended.
    pub(crate) fn sweep(&mut self, state: &State) {
        if std::mem::take(&mut self.has_ended) {
            self.taken_out = 0;
            self.list.retain(|l| !state.has_ended(l.id));
        }
    }

    /// Take out everything.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.has_ended = false;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Live> {
        self.list.iter_mut()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = OrderId> {
        self.list.iter().map(|l| l.id)
    }

    /// Whether there may be orders that have one event only.
    pub(crate) const fn has_immediate(&self) -> bool {
        self.has_immediate
    }

    /// Whether there may be orders whose stop follows the market.
    pub(crate) const fn has_trailing(&self) -> bool {
        self.has_trailing
    }

    /// Mark an order as dealt with in a pass.
    pub(crate) fn has_turn(&mut self, id: OrderId, pass: u64) {
        if let Ok(place) = self.list.binary_search_by_key(&id, |l| l.id) {
            self.list[place].pass = pass;
        }
    }

    /// Whether an order of the side that closes a position of `held` units may be larger than it.
    pub(crate) const fn may_exceed(&self, held: i64) -> bool {
        let closing = if held > 0 { Side::Sell } else { Side::Buy };
        held != 0 && self.largest[closing as usize] > held.abs()
    }
}
