//! Merging of sorted feeds into instants.

use std::sync::Arc;

use crate::plan::Plan;
use crate::state::Block;
use crate::time::{NEVER, Ns};

/// Where completed market rows come from.
pub trait Source: Clone {
    /// Time of the next completed row, `NEVER` when there is none.
    fn peek(&self) -> Ns;

    /// Hand out the rows completed at `t`, one block a feed, in tie order.
    fn take(&mut self, t: Ns, blocks: &mut Vec<Block>);

    /// Hand out all rows completed before `t`, one block a feed; the rows of several instants are in it.
    fn skip(&mut self, t: Ns, blocks: &mut Vec<Block>);
}

/// The columns of a plan, merged by walking one cursor per feed.
#[derive(Clone, Debug)]
pub struct ColumnSource {
    plan: Arc<Plan>,
    cursor: Vec<usize>,
    /// Time of the row at each cursor.
    head: Vec<Ns>,
}

impl ColumnSource {
    /// At the first row of every feed.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let head = plan.feeds.iter().map(|f| f.data.ts_event.first().copied().unwrap_or(NEVER)).collect();
        Self { cursor: vec![0; plan.feeds.len()], head, plan }
    }
}

impl Source for ColumnSource {
    fn peek(&self) -> Ns {
        self.head.iter().copied().min().unwrap_or(NEVER)
    }

    fn take(&mut self, t: Ns, blocks: &mut Vec<Block>) {
        for (feed, head) in self.head.iter_mut().enumerate() {
            if *head != t {
                continue;
            }
            let times = &self.plan.feeds[feed].data.ts_event;
            let from = self.cursor[feed];
            let mut to = from + 1;
            while to < times.len() && times[to] == t {
                to += 1;
            }
            self.cursor[feed] = to;
            *head = times.get(to).copied().unwrap_or(NEVER);
            blocks.push(Block { feed, from, to, by_arrival: false });
        }
    }

    fn skip(&mut self, t: Ns, blocks: &mut Vec<Block>) {
        for (feed, head) in self.head.iter_mut().enumerate() {
            if *head >= t {
                continue;
            }
            let times = &self.plan.feeds[feed].data.ts_event;
            let from = self.cursor[feed];
            // Near rows are the likely ones: in steps that double, then by halves.
            let mut step = 1;
            while from + step < times.len() && times[from + step] < t {
                step *= 2;
            }
            let upto = times.len().min(from + step + 1);
            let to = from + times[from..upto].partition_point(|&ts| ts < t);
            self.cursor[feed] = to;
            *head = times.get(to).copied().unwrap_or(NEVER);
            blocks.push(Block { feed, from, to, by_arrival: false });
        }
    }
}
