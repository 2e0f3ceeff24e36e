//! Time is UTC nanoseconds since 1970 in an `i64`; sessions are tables handed in by the caller.

use crate::error::SimError;

/// Nanoseconds since 1970-01-01T00:00 UTC.
pub type Ns = i64;

/// Later than every event.
pub const NEVER: Ns = i64::MAX;

/// The trading days of one calendar.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// Name of the calendar, for messages.
    pub name: String,
    /// Label of each session: days since 1970-01-01 of the exchange's own date.
    pub label: Vec<i32>,
    /// Opening instants, ascending.
    pub open: Vec<Ns>,
    /// Closing instants, ascending.
    pub close: Vec<Ns>,
    /// Where trading rests inside sessions: from and to, ascending; a session may have several or none.
    pub breaks: Vec<(Ns, Ns)>,
}

impl Sessions {
    /// Check that the sessions are ordered and do not overlap, and that each break lies within one of them.
    ///
    /// # Errors
    /// Names the first session out of order, or the break that no session holds.
    pub fn validate(&self) -> Result<(), SimError> {
        if self.open.len() != self.close.len() || self.open.len() != self.label.len() {
            return Err(SimError::data(format!("calendar {}: columns of unequal length", self.name)));
        }
        for k in 0..self.open.len() {
            let starts_after_previous = k == 0 || self.open[k] >= self.close[k - 1];
            if self.open[k] >= self.close[k] || !starts_after_previous {
                return Err(SimError::data(format!(
                    "calendar {}: session {} (day {}) does not follow the one before it",
                    self.name, k, self.label[k]
                )));
            }
        }
        let mut free_from = Ns::MIN;
        for &(from, to) in &self.breaks {
            let k = self.open.partition_point(|&open| open < from);
            let is_within = k > 0 && free_from < from && from < to && to < self.close[k - 1];
            if !is_within {
                return Err(SimError::data(format!(
                    "calendar {}: the break from {} to {} does not lie within a session, after the break before it",
                    self.name,
                    render(from),
                    render(to)
                )));
            }
            free_from = to;
        }
        Ok(())
    }

    /// Whether trading rests all the time from `from` to `to`, instants of data.
    ///
    /// What ends as a break begins is of before it, and what begins as it ends of after it.
    #[must_use]
    pub fn rests(&self, from: Ns, to: Ns) -> bool {
        let k = self.breaks.partition_point(|&(begin, _)| begin <= from);
        if k == 0 {
            return false;
        }
        let (begin, end) = self.breaks[k - 1];
        let is_tick = from == to;
        to <= end && (!is_tick || (begin < from && to < end))
    }

    /// Since when trading has gone on without a break: the open of the session, or the end of its last break. `None` in a
    /// break, and where no session is open.
    #[must_use]
    pub fn trading_since(&self, t: Ns) -> Option<Ns> {
        let open = self.closing_after(t).map(|k| self.open[k]).filter(|&open| open <= t)?;
        let k = self.breaks.partition_point(|&(begin, _)| begin <= t);
        let Some(&(_, end)) = k.checked_sub(1).and_then(|k| self.breaks.get(k)) else { return Some(open) };
        (end <= t).then(|| open.max(end))
    }

    /// Index of the first session that closes after `t`: the one an order accepted at `t` belongs to.
    ///
    /// An order accepted exactly at a close belongs to the next session.
    #[must_use]
    pub fn closing_after(&self, t: Ns) -> Option<usize> {
        let k = self.close.partition_point(|&close| close <= t);
        (k < self.close.len()).then_some(k)
    }

    /// The first session that opens at `t` or later.
    #[must_use]
    pub fn opening_from(&self, t: Ns) -> Option<usize> {
        let k = self.open.partition_point(|&open| open < t);
        (k < self.open.len()).then_some(k)
    }
}

/// ISO 8601 text of an instant, as short as it can be: `2024-03-01T14:30:00Z`.
#[must_use]
pub fn render(ts: Ns) -> String {
    if ts == NEVER || ts == i64::MIN {
        return "no time".to_owned();
    }
    iso(ts)
}

/// As [`render`], of the first and the last instant as well.
#[must_use]
pub fn iso(ts: Ns) -> String {
    let (days, rest) = (ts.div_euclid(86_400_000_000_000), ts.rem_euclid(86_400_000_000_000));
    let (year, month, day) = civil(days);
    let (seconds, nanos) = (rest / 1_000_000_000, rest % 1_000_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos == 0 { format!("{text}Z") } else { format!("{text}.{nanos:09}Z") }
}

/// Calendar month (UTC) of an instant, counted from year 0.
#[must_use]
pub const fn month_of(ts: Ns) -> i64 {
    let (year, month, _) = civil(ts.div_euclid(86_400_000_000_000));
    year * 12 + month - 1
}

/// Year, month and day of a day number since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
const fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_render_as_iso_text() {
        assert_eq!(render(0), "1970-01-01T00:00:00Z");
        assert_eq!(render(1_709_303_400_000_000_000), "2024-03-01T14:30:00Z");
        assert_eq!(render(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(iso(NEVER), "2262-04-11T23:47:16.854775807Z");
    }

    #[test]
    fn months_begin_at_midnight_of_their_first() {
        let day = 86_400_000_000_000;
        // 2024-02-29 is day 19,782.
        assert_eq!(month_of(19_783 * day - 1) - month_of(0), 54 * 12 + 1);
        assert_eq!(month_of(19_783 * day) - month_of(0), 54 * 12 + 2);
        assert_eq!(month_of(-1) - month_of(0), -1);
    }

    #[test]
    fn an_order_accepted_at_a_close_belongs_to_the_next_session() {
        let sessions = Sessions {
            name: "x".to_owned(),
            label: vec![0, 1],
            open: vec![10, 30],
            close: vec![20, 40],
            breaks: Vec::new(),
        };
        assert_eq!(sessions.closing_after(19), Some(0));
        assert_eq!(sessions.closing_after(20), Some(1));
        assert_eq!(sessions.closing_after(40), None);
    }

    /// A session from 10 to 20 that rests from 12 to 14 and from 17 to 18, and one from 20 to 30.
    fn with_breaks() -> Sessions {
        let breaks = vec![(12, 14), (17, 18)];
        Sessions { name: "x".to_owned(), label: vec![0, 1], open: vec![10, 20], close: vec![20, 30], breaks }
    }

    #[test]
    fn the_ends_of_a_break_belong_to_the_trading_around_it() {
        let sessions = with_breaks();
        let ticks: Vec<Ns> = (9..31).filter(|&t| sessions.rests(t, t)).collect();
        assert_eq!(ticks, [13]);
        // A bar rests where all of it does; one that reaches out of the break has traded.
        assert!(sessions.rests(12, 14) && sessions.rests(12, 13) && sessions.rests(17, 18));
        assert!(
            !sessions.rests(11, 13) && !sessions.rests(13, 15) && !sessions.rests(11, 15) && !sessions.rests(14, 17)
        );
    }

    #[test]
    fn trading_goes_on_since_the_open_or_the_last_break() {
        let sessions = with_breaks();
        let since: Vec<Option<Ns>> =
            [9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 29, 30].map(|t| sessions.trading_since(t)).into();
        let (a, b, c, d) = (Some(10), Some(14), Some(18), Some(20));
        assert_eq!(since, [None, a, a, None, None, b, b, None, c, c, d, d, None]);
    }

    #[test]
    fn a_break_outside_of_sessions_is_refused() {
        assert!(with_breaks().validate().is_ok());
        for breaks in
            [vec![(8, 9)], vec![(10, 12)], vec![(19, 20)], vec![(19, 21)], vec![(13, 13)], vec![(12, 14), (14, 15)]]
        {
            let text = Sessions { breaks, ..with_breaks() }.validate().map_err(|error| error.to_string());
            assert!(text.is_err_and(|text| text.contains("does not lie within a session")));
        }
    }
}
