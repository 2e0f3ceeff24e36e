//! Average volume of the sessions before the present one, and what orders took in this one.
//!
//! For fill models whose cap is a share of a day's usual volume. It is known before the open, so nothing waits for
//! the volume of a bar.

use crate::money::Ratio;
use crate::plan::{ActionKind, Feed, FeedKind, Plan, bar, trade};
use crate::state::State;

/// What is known of an instrument in one session of its calendar.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DailyVolume {
    /// Place of the session among those of the calendar, plus one; 0 before the first is asked about.
    session: usize,
    /// Mean volume of the sessions before it, 0 where there is none; NaN where a volume of them is missing.
    pub(super) average: f64,
    /// What orders took in it.
    pub(super) used: i64,
    /// Whether a split has changed the shares in which it is counted.
    is_stale: bool,
}

/// Volume of a row; NaN where it is missing.
fn volume(feed: &Feed, row: usize) -> f64 {
    match feed.data.kind {
        FeedKind::Bar => feed.value(bar::VOLUME, row),
        FeedKind::Trade => feed.value(trade::SIZE, row),
        FeedKind::Quote | FeedKind::Context => f64::NAN,
    }
}

/// Volume of a past row in the shares of now.
fn in_todays_shares(plan: &Plan, state: &State, i: usize, row: usize) -> f64 {
    let Some(feed) = plan.instruments[i].matching.map(|id| plan.feed(id)) else { return 0.0 };
    let since = state.actions_since(plan, i, feed.data.ts_event[row]);
    since.fold(volume(feed, row), |volume, action| match action.kind {
        #[expect(clippy::cast_precision_loss, reason = "ratios of splits are small")]
        ActionKind::Split(ratio) => volume * ratio.num as f64 / ratio.den as f64,
        ActionKind::CashDividend { .. } => volume,
    })
}

/// The session that a row belongs to: what begins at a close belongs to the next.
fn session_of(plan: &Plan, i: usize, feed: &Feed, row: usize) -> usize {
    let sessions = &plan.calendars[plan.instruments[i].calendar.index()];
    // A print at the close is still of the session.
    let begun = feed.data.ts_open.as_ref().map_or(feed.data.ts_event[row] - 1, |open| open[row]);
    sessions.closing_after(begun).unwrap_or(sessions.close.len())
}

impl DailyVolume {
    /// Move to the session of a row that orders meet; the rows before it count with the `days` sessions they end.
    pub(super) fn enter(&mut self, plan: &Plan, state: &State, (i, row): (usize, usize), days: usize) {
        let Some(id) = plan.instruments[i].matching else { return };
        let feed = plan.feed(id);
        let session = session_of(plan, i, feed, row) + 1;
        if self.session == session && !self.is_stale {
            return;
        }
        let seen = &feed.rows_of(i)[..state.completed[id.index()][i] as usize];
        let (mut from, mut sessions, mut last) = (seen.len(), 0, session);
        let mut to = seen.len();
        for (at, &past) in seen.iter().enumerate().rev() {
            let own = session_of(plan, i, feed, past as usize) + 1;
            if own == session {
                to = at;
            } else if own != last {
                if sessions == days {
                    break;
                }
                (sessions, last) = (sessions + 1, own);
            }
            from = at;
        }
        let total: f64 =
            seen[from.min(to)..to].iter().map(|&past| in_todays_shares(plan, state, i, past as usize)).sum();
        #[expect(clippy::cast_precision_loss, reason = "sessions are few")]
        let average = if sessions == 0 { 0.0 } else { total / sessions as f64 };
        let used = if self.session == session { self.used } else { 0 };
        *self = Self { session, average, used, is_stale: false };
    }

    /// Count in the shares after a split.
    pub(super) fn split(&mut self, ratio: Ratio) {
        self.used = ratio.scale_down(self.used).unwrap_or(i64::MAX);
        self.is_stale = true;
    }
}
