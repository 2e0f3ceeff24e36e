//! What the sessions before the present one say about an instrument: their average volume and volatility, and what
//! orders took in the present one.
//!
//! For fill models whose cap is a share of a day's usual volume, and for slippage and impact that grow with the share
//! of it and with volatility. All is known before the open, so nothing waits for the volume of a bar.

use ml4t_abi::Missing;

use crate::money::Ratio;
use crate::plan::{ActionKind, Feed, FeedKind, Plan, bar, trade};
use crate::state::State;

/// What a model is told of the sessions before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Averages {
    /// Mean volume of a session; NaN where there is none, or a volume is missing.
    pub(crate) volume: f64,
    /// Standard deviation of the daily returns; NaN with fewer than two.
    pub(crate) volatility: f64,
    /// What orders took in the present session.
    pub(crate) used: i64,
    /// Sessions that the average is over.
    count: usize,
}

impl Averages {
    /// Of a model that does not ask.
    pub(crate) const UNKNOWN: Self = Self { volume: f64::NAN, volatility: f64::NAN, used: 0, count: usize::MAX };

    /// The mean volume, 0 before the first session: nothing is usual yet.
    pub(crate) const fn volume_or_zero(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.volume }
    }

    /// Bits of what is not known.
    pub(crate) fn missing(&self) -> u32 {
        Missing::bits(&[(Missing::AVERAGE_VOLUME, self.volume), (Missing::VOLATILITY, self.volatility)])
    }
}

/// What is known of an instrument in one session of its calendar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sessions {
    /// Place of the present session among those of the calendar, plus one; 0 before the first is asked about.
    session: usize,
    known: Averages,
    /// Whether a split has changed the shares in which it is counted.
    is_stale: bool,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { session: 0, known: Averages { used: 0, ..Averages::UNKNOWN }, is_stale: false }
    }
}

/// Volume of a row; NaN where it is missing.
fn volume(feed: &Feed, row: usize) -> f64 {
    match feed.data.kind {
        FeedKind::Bar => feed.value(bar::VOLUME, row),
        FeedKind::Trade => feed.value(trade::SIZE, row),
        FeedKind::Quote | FeedKind::Context => f64::NAN,
    }
}

/// A number of shares of a past row in the shares of now; a price is divided by the same.
fn in_todays_shares(plan: &Plan, state: &State, (i, row): (usize, usize), (shares, price): (f64, f64)) -> (f64, f64) {
    let Some(feed) = plan.instruments[i].matching.map(|id| plan.feed(id)) else { return (0.0, f64::NAN) };
    let since = state.actions_since(plan, i, feed.data.ts_event[row]);
    since.fold((shares, price), |(shares, price), action| match action.kind {
        #[expect(clippy::cast_precision_loss, reason = "ratios of splits are small")]
        ActionKind::Split(ratio) => {
            let (new, old) = (ratio.num as f64, ratio.den as f64);
            (shares * new / old, price * old / new)
        }
        _ => (shares, price),
    })
}

/// The session that a row of a feed belongs to: what begins at a close belongs to the next.
fn session_of(plan: &Plan, i: usize, feed: &Feed, row: usize) -> usize {
    let sessions = &plan.calendars[plan.instruments[i].calendar.index()];
    // A print at the close is still of the session.
    let begun = feed.data.ts_open.as_ref().map_or(feed.data.ts_event[row] - 1, |open| open[row]);
    sessions.closing_after(begun).unwrap_or(sessions.close.len())
}

/// Sum over returns and over their squares, for a standard deviation in two passes.
fn deviation(returns: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sessions are few")]
    let n = returns.len() as f64;
    if returns.len() < 2 {
        return f64::NAN;
    }
    let mean = returns.iter().sum::<f64>() / n;
    let squares: f64 = returns.iter().map(|r| (r - mean) * (r - mean)).sum();
    (squares / (n - 1.0)).sqrt()
}

/// Averages over the `days` sessions with rows before a session (its place plus one), of rows that are known.
fn over(plan: &Plan, state: &State, (i, feed, seen): (usize, &Feed, &[u32]), session: usize, days: usize) -> Averages {
    let today = |past: u32| {
        let row = past as usize;
        in_todays_shares(plan, state, (i, row), (volume(feed, row), feed.last_price(row)))
    };
    // Back from the newest: sessions are met in reverse, and the first row met of each is its last.
    let (mut from, mut to, mut last) = (seen.len(), seen.len(), session);
    let mut closes = Vec::with_capacity(days + 1);
    for (at, &past) in seen.iter().enumerate().rev() {
        let own = session_of(plan, i, feed, past as usize) + 1;
        if own == session {
            (from, to) = (at, at);
            continue;
        }
        if own != last {
            // One session more than `days`, for the return into the first of them.
            if closes.len() > days {
                break;
            }
            closes.push(f64::NAN);
            last = own;
        }
        // The last price of a session that there is: its last quote may have one side alone.
        if let Some(close) = closes.last_mut().filter(|close| close.is_nan()) {
            *close = today(past).1;
        }
        if closes.len() <= days {
            from = at;
        }
    }
    let count = closes.len().min(days);
    let total: f64 = seen[from.min(to)..to].iter().map(|&past| today(past).0).sum();
    #[expect(clippy::cast_precision_loss, reason = "sessions are few")]
    let average = if count == 0 { f64::NAN } else { total / count as f64 };
    closes.reverse();
    let returns: Vec<f64> = closes.windows(2).map(|pair| (pair[1] - pair[0]) / pair[0]).collect();
    Averages { volume: average, volatility: deviation(&returns), used: 0, count }
}

/// Volume of a past row in the shares of now; NaN where it is missing.
pub(crate) fn volume_in_todays_shares(plan: &Plan, state: &State, i: usize, row: usize) -> f64 {
    let Some(id) = plan.instruments[i].matching else { return f64::NAN };
    in_todays_shares(plan, state, (i, row), (volume(plan.feed(id), row), f64::NAN)).0
}

/// Averages over the `days` sessions before the one that now is or comes next, of rows that a strategy may read.
pub(crate) fn averages_before(plan: &Plan, state: &State, i: usize, days: usize) -> Averages {
    let Some(id) = plan.instruments[i].matching else { return Averages::UNKNOWN };
    let sessions = &plan.calendars[plan.instruments[i].calendar.index()];
    let session = sessions.closing_after(state.now).unwrap_or(sessions.close.len()) + 1;
    over(plan, state, (i, plan.feed(id), state.readable_rows(plan, id.index(), i)), session, days)
}

impl Sessions {
    /// Move to the session of a row that orders meet; the rows before it count with the `days` sessions they end.
    ///
    /// `met` is the feed of that row: the one that fills the orders, or prints beside its quotes.
    pub(super) fn enter(
        &mut self,
        plan: &Plan,
        state: &State,
        (i, met, row): (usize, &Feed, usize),
        days: usize,
    ) -> Averages {
        let Some(id) = plan.instruments[i].matching else { return self.known };
        let feed = plan.feed(id);
        let session = session_of(plan, i, met, row) + 1;
        if self.session == session && !self.is_stale {
            return self.known;
        }
        let seen = &feed.rows_of(i)[..state.completed[id.index()][i] as usize];
        let found = over(plan, state, (i, feed, seen), session, days);
        let used = if self.session == session { self.known.used } else { 0 };
        let known = Averages { used, ..found };
        *self = Self { session, known, is_stale: false };
        known
    }

    /// Orders took so much.
    pub(super) const fn take(&mut self, filled: i64) {
        self.known.used = self.known.used.saturating_add(filled);
    }

    /// Count in the shares after a split.
    pub(super) fn split(&mut self, ratio: Ratio) {
        self.known.used = ratio.scale_down(self.known.used).unwrap_or(i64::MAX);
        self.is_stale = true;
    }
}
