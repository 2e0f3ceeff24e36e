//! Micro-batches: rows of a feed that are handed over together, at the end of a window of time.
//!
//! A window ends at every whole multiple of its length since 1970 and holds the rows that became readable after the
//! one before and up to its end. It is due at its end, where that is an instant of its own; the last one is due with
//! the last row of the run.

use crate::plan::Plan;
use crate::state::{Block, State};
use crate::time::{NEVER, Ns};

/// Rows of one feed that wait for the end of their window.
#[derive(Clone, Debug)]
pub struct Batch {
    feed: usize,
    window: Ns,
    /// Instruments whose rows begin a window; `None` for all.
    wanted: Option<Vec<bool>>,
    waiting: Option<Block>,
    due: Ns,
}

impl Batch {
    /// Gather rows of a feed over windows of that length, above zero; those of some instruments, or of all.
    ///
    /// What is handed over has the rows of others in it.
    #[must_use]
    pub const fn new(feed: usize, window: Ns, wanted: Option<Vec<bool>>) -> Self {
        Self { feed, window, wanted, waiting: None, due: NEVER }
    }

    fn wants(&self, plan: &Plan, block: Block) -> bool {
        let instruments = &plan.feeds[self.feed].data.instrument;
        self.wanted.as_ref().is_none_or(|wanted| block.rows(plan).any(|row| wanted[instruments[row] as usize]))
    }

    /// When its rows are handed over, [`NEVER`] without rows.
    pub(crate) const fn due(&self) -> Ns {
        self.due
    }

    /// End of the window that an instant belongs to.
    const fn end(&self, now: Ns) -> Ns {
        let past = now.rem_euclid(self.window);
        if past == 0 { now } else { now.saturating_add(self.window - past) }
    }
}

impl State {
    /// Take in what has just become readable, hand over what is due; at the last instant everything is.
    pub(crate) fn gather_batches(&mut self, plan: &Plan, is_last: bool) {
        self.due_batches.clear();
        for (k, batch) in self.batches.iter_mut().enumerate() {
            for block in self.blocks.iter().filter(|block| block.feed == batch.feed) {
                if let Some(waiting) = &mut batch.waiting {
                    waiting.to = block.to;
                } else if batch.wants(plan, *block) {
                    batch.waiting = Some(*block);
                    batch.due = batch.end(self.now);
                }
            }
            if (batch.due <= self.now || is_last)
                && let Some(block) = batch.waiting.take()
            {
                batch.due = NEVER;
                self.due_batches.push((k, block));
            }
            self.due = self.due.min(batch.due);
        }
    }
}
