//! Indicators that the run itself keeps up to date, one per instrument, before the strategy is called.

use crate::error::{Result, SimError};
use crate::ids::FeedId;
use crate::indicators::{Indicator, WIDTH};
use crate::plan::{FeedKind, Plan};
use crate::state::State;

/// Where an instrument's values come from: a feed, and the columns of the indicator's arguments in it.
type Place = (usize, [usize; WIDTH]);

/// One indicator over all instruments.
#[derive(Clone, Debug)]
pub struct Tracked {
    places: Vec<Option<Place>>,
    each: Vec<Indicator>,
    /// Last answers: all instruments of the first output, then those of the next.
    values: Vec<f64>,
    outputs: usize,
}

impl Tracked {
    /// Begin with what is readable already.
    ///
    /// Of `fields`, names as `close` or `feed.close`, an instrument takes those of the first feed that has them all:
    /// the one that its orders meet, then the others in their sequence.
    ///
    /// # Errors
    /// The number of fields is not that of the indicator, or no feed has them.
    pub fn new(plan: &Plan, state: &State, prototype: &Indicator, fields: &[String]) -> Result<Self> {
        let wanted = prototype.fields().len();
        if fields.len() != wanted {
            let (found, usual) = (fields.len(), prototype.fields().join(", "));
            return Err(SimError::config(format!(
                "the indicator takes {wanted} fields (such as {usual}), found {found}"
            )));
        }
        let n = plan.instruments.len();
        let places: Vec<Option<Place>> = (0..n).map(|i| place(plan, i, fields)).collect();
        if places.iter().all(Option::is_none) {
            let mut known: Vec<&str> = Vec::new();
            for column in plan.feeds.iter().flat_map(|feed| &feed.data.columns) {
                if !known.contains(&column.name.as_str()) {
                    known.push(&column.name);
                }
            }
            return Err(SimError::config(format!(
                "no feed has the fields {}; the run has {}",
                fields.join(", "),
                known.join(", ")
            )));
        }
        let outputs = prototype.outputs().len();
        let mut tracked =
            Self { places, each: vec![prototype.clone(); n], values: vec![f64::NAN; n * outputs], outputs };
        for i in 0..n {
            let Some((feed, _)) = tracked.places[i] else { continue };
            for &row in state.readable_rows(plan, feed, i) {
                tracked.update(plan, feed, i, row as usize);
            }
        }
        Ok(tracked)
    }

    /// Last answers of an output, one an instrument, NaN until warm.
    #[must_use]
    pub fn values(&self, output: usize) -> &[f64] {
        let n = self.each.len();
        &self.values[output * n..(output + 1) * n]
    }

    /// Number of outputs.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    fn update(&mut self, plan: &Plan, feed: usize, i: usize, row: usize) {
        let Some((_, columns)) = self.places[i].filter(|place| place.0 == feed) else { return };
        let data = &plan.feeds[feed];
        self.each[i].update(columns.map(|column| data.value(column, row)));
        let n = self.each.len();
        for (output, value) in self.each[i].values().into_iter().take(self.outputs).enumerate() {
            self.values[output * n + i] = value;
        }
    }
}

/// The feed of an instrument that has all the fields, and their columns.
fn place(plan: &Plan, i: usize, fields: &[String]) -> Option<Place> {
    let first = plan.instruments[i].matching.map(FeedId::index);
    let rest = (0..plan.feeds.len()).filter(|&f| Some(f) != first);
    first.into_iter().chain(rest).find_map(|f| {
        let feed = &plan.feeds[f];
        if feed.data.kind == FeedKind::Context {
            return None;
        }
        let mut columns = [0; WIDTH];
        for (slot, field) in columns.iter_mut().zip(fields) {
            let own = field.strip_prefix(feed.data.name.as_str()).and_then(|rest| rest.strip_prefix('.'));
            *slot = feed.column(field).or_else(|| own.and_then(|name| feed.column(name)))?;
        }
        Some((f, columns))
    })
}

impl State {
    /// Let the indicators see the rows that have just become readable.
    pub(crate) fn track(&mut self, plan: &Plan) {
        for &block in &self.blocks {
            let instruments = &plan.feeds[block.feed].data.instrument;
            for row in block.rows(plan) {
                let Some(&i) = instruments.get(row) else { continue };
                for tracked in &mut self.tracked {
                    tracked.update(plan, block.feed, i as usize, row);
                }
            }
        }
    }
}
