//! Completed rows: the ranges and closes of bars, quotes and prints, and what follows them.

use std::borrow::Cow;
use std::cmp::Reverse;

use ml4t_abi::Phase;

use crate::error::Result;
use crate::ids::{BookId, OrderId};
use crate::order::TimeInForce;
use crate::phase::PhaseMarket;
use crate::plan::{Feed, FeedKind};
use crate::policies::{BarPath, FillTiming, OrderInsideBar};
use crate::recorder::Recorder;
use crate::state::State;
use crate::time::Ns;
use crate::trailing;

use super::{Desk, HELD, SimulatedVenue, guard_of, index_u32, place_of};

/// Whether a split or dividend of an instrument makes a price of that time one of the old shares.
fn has_acted_since<R>(desk: &Desk<'_, R>, i: usize, ts: Ns) -> bool {
    desk.state.actions_since(desk.plan, i, ts).next().is_some()
}

/// The last quote of an instrument, if it came since trading last began and is a price of today's shares.
fn standing_row<R>(desk: &Desk<'_, R>, i: usize) -> Option<usize> {
    let instrument = &desk.plan.instruments[i];
    let feed = instrument.matching?;
    let row = desk.state.completed_row(desk.plan, feed.index(), i)?;
    let ts = desk.plan.feed(feed).data.ts_event[row];
    let sessions = &desk.plan.calendars[instrument.calendar.index()];
    let stands = sessions.trading_since(desk.state.now).is_some_and(|since| since <= ts);
    (stands && !has_acted_since(desk, i, ts)).then_some(row)
}

/// The rows that do not lie in a break of their calendar: those that orders meet.
pub(super) fn trading<'s>(feed: &Feed, rows: &'s [(u32, u32)]) -> Cow<'s, [(u32, u32)]> {
    if !feed.has_resting() {
        return Cow::Borrowed(rows);
    }
    rows.iter().filter(|&&(_, row)| !feed.is_resting(row as usize)).copied().collect()
}

impl SimulatedVenue {
    /// Whether nothing is left to follow from what happened before.
    pub(super) fn is_settled(&self, state: &State) -> bool {
        self.born_inside.is_empty() && self.over.is_empty() && state.links.ended.is_empty()
    }

    /// Move trailing stop orders after a bar, quote or print was matched.
    fn trail_orders<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)]) -> Result<()> {
        for &(i, row) in set.iter().filter(|&&(i, _)| self.live[i as usize].has_trailing()) {
            trailing::follow(desk, i as usize, row as usize, self.live[i as usize].ids())?;
        }
        Ok(())
    }

    /// Move the trailing stops of position rules after the prices of a bar, quote or print.
    fn trail_rules<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)]) -> Result<()> {
        self.trail_rules_but(desk, set, |_, _| Ok(false))
    }

    /// Move those before the close of a bar that do not meet it: one that came inside the bar meets its close as it is.
    fn trail_rules_before_closes<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)]) -> Result<()> {
        if desk.plan.policies.order_inside_bar != OrderInsideBar::Close {
            return self.trail_rules(desk, set);
        }
        self.trail_rules_but(desk, set, |desk, (id, row)| {
            let order = desk.state.order(id);
            let market = PhaseMarket::read(desk.plan, order.request.instrument.index(), row as usize, Phase::CLOSE)?;
            Ok(!order.status.is_terminal() && market.is_from_inside(order.ts_active))
        })
    }

    fn trail_rules_but<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        set: &[(u32, u32)],
        is_left_out: impl Fn(&Desk<'_, R>, (OrderId, u32)) -> Result<bool>,
    ) -> Result<()> {
        for book in 0..desk.plan.books {
            for &(i, row) in set {
                let place = (BookId(book), i as usize);
                let guard = &mut self.guards[guard_of(desk.plan, place.0, place.1)];
                if guard.is_idle() || guard.trailing().map_or(Ok(false), |id| is_left_out(desk, (id, row)))? {
                    continue;
                }
                guard.trail(desk, place, place_of(desk.plan, desk.state, place.1, row as usize) + 1)?;
            }
        }
        Ok(())
    }

    /// Orders for the close of a session on quotes and prints: they meet the last one of it that came after them.
    pub(super) fn match_session_closes<R: Recorder>(&mut self, desk: &mut Desk<'_, R>, due: &[OrderId]) -> Result<()> {
        let mut set = Vec::new();
        for &id in due {
            let order = desk.state.order(id);
            let i = order.request.instrument.index();
            let instrument = &desk.plan.instruments[i];
            let Some(feed) = instrument.matching else { continue };
            let is_asked = order.request.time_in_force == TimeInForce::Cls && !order.status.is_terminal();
            if !is_asked || desk.plan.feed(feed).data.kind == FeedKind::Bar || set.iter().any(|&(k, _)| k as usize == i)
            {
                continue;
            }
            let sessions = &desk.plan.calendars[instrument.calendar.index()];
            let opened = sessions.close.binary_search(&desk.state.now).ok().map(|k| sessions.open[k]);
            let Some(row) = desk.state.traded_row(desk.plan, feed.index(), i) else { continue };
            let ts = desk.plan.feed(feed).data.ts_event[row];
            if opened.is_some_and(|opened| ts >= opened) && !has_acted_since(desk, i, ts) {
                set.push((index_u32(i), index_u32(row)));
            }
        }
        if set.is_empty() {
            return Ok(());
        }
        set.sort_unstable();
        self.match_set(desk, &set, PhaseMarket::SESSION_CLOSE)?;
        for &(i, _) in &set {
            // The last price is the mark, also one of a break.
            let Some(feed) = desk.plan.instruments[i as usize].matching else { continue };
            if let Some(row) = desk.state.completed_row(desk.plan, feed.index(), i as usize) {
                self.set_marks(desk, &[(i, index_u32(row))], desk.plan.feed(feed).data.kind.range_phase())?;
            }
        }
        Ok(())
    }

    /// Orders that become active now meet the quote that stands, if it is one of the session that is open.
    pub(super) fn match_standing<R: Recorder>(&mut self, desk: &mut Desk<'_, R>) -> Result<()> {
        let now = desk.state.now;
        self.activating.clear();
        let mut set = Vec::new();
        while let Some(&Reverse((ts, id))) = self.activations.peek().filter(|Reverse((ts, _))| *ts <= now) {
            self.activations.pop();
            let order = desk.state.order(id);
            let i = order.request.instrument.index();
            if order.ts_active != ts || order.status.is_terminal() {
                continue;
            }
            if let Some(row) = standing_row(desk, i) {
                self.activating.push(id);
                set.push((index_u32(i), index_u32(row)));
            }
        }
        if set.is_empty() {
            return Ok(());
        }
        desk.state.settle_marks(desk.plan, now.saturating_sub(1))?;
        self.activating.sort_unstable();
        self.activating.dedup();
        set.sort_unstable();
        set.dedup();
        self.match_set(desk, &set, PhaseMarket::STANDING)?;
        self.count_ahead(desk, &set, PhaseMarket::STANDING)?;
        self.set_marks(desk, &set, Phase::QUOTE)
    }

    pub(super) fn set_marks<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        set: &[(u32, u32)],
        phase: Phase,
    ) -> Result<()> {
        for &(i, row) in set {
            if self.watch[i as usize] & HELD == 0 {
                continue;
            }
            let mark = PhaseMarket::read(desk.plan, i as usize, row as usize, phase)?.mark();
            desk.state.value_at(desk.plan, i as usize, mark)?;
            Self::saw(desk.plan, desk.state, i as usize, phase == Phase::OPEN);
        }
        Ok(())
    }

    /// Bars of one feed that are complete; those in a break value positions and do nothing else.
    pub(super) fn on_bars<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        feed: &Feed,
        rows: &[(u32, u32)],
    ) -> Result<()> {
        let set = &*trading(feed, rows);
        if self.needs_bar {
            self.settle_deferred(desk, set)?;
        }
        let is_close_only = desk.plan.policies.path == BarPath::CloseOnly;
        self.liquidate_in(desk, set, if is_close_only { Phase::CLOSE } else { Phase::RANGE })?;
        if is_close_only {
            // Of such a bar nothing but the close is known: it is complete when that has been met.
            self.match_set(desk, set, Phase::CLOSE)?;
            self.trail_rules(desk, set)?;
        } else {
            self.match_set(desk, set, Phase::RANGE)?;
            self.forget_stands(desk, set);
            // What is entered at the close has not seen the high of the bar.
            self.trail_rules_before_closes(desk, set)?;
            let policies = &desk.plan.policies;
            let has_close = policies.fill_timing != FillTiming::NextOpen
                || policies.order_inside_bar == OrderInsideBar::Close
                || self.has_closing;
            if has_close {
                self.match_set(desk, set, Phase::CLOSE)?;
                self.trail_rules(desk, set)?;
            }
        }
        self.trail_orders(desk, set)?;
        self.set_marks(desk, rows, Phase::CLOSE)
    }

    /// The range of the bars is past: where the market stood inside them counts no more.
    fn forget_stands<R>(&mut self, desk: &mut Desk<'_, R>, set: &[(u32, u32)]) {
        for book in 0..desk.plan.books {
            for &(i, _) in set {
                for id in self.guards[guard_of(desk.plan, BookId(book), i as usize)].orders() {
                    desk.state.forget_stand(id);
                }
            }
        }
        for id in std::mem::take(&mut self.born_inside) {
            desk.state.forget_stand(id);
        }
    }

    /// Rows of one quote or trade feed: the k-th row of every instrument trades before the next of any.
    pub(super) fn on_ticks<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        feed: &Feed,
        rows: &[(u32, u32)],
    ) -> Result<()> {
        let phase = feed.data.kind.range_phase();
        let mut round = std::mem::take(&mut self.set);
        for k in 0.. {
            round.clear();
            // Rows of one feed are sorted by instrument: the k-th of each is k places behind its first.
            let is_kth =
                |at: usize| at >= k && rows[at - k].0 == rows[at].0 && (at == k || rows[at - k - 1].0 != rows[at].0);
            round.extend((0..rows.len()).filter(|&at| is_kth(at)).map(|at| rows[at]));
            if round.is_empty() {
                break;
            }
            let set = &*trading(feed, &round);
            self.liquidate_in(desk, set, phase)?;
            self.match_set(desk, set, phase)?;
            self.count_ahead(desk, set, phase)?;
            self.tell_market(desk, set, phase)?;
            if phase == Phase::TRADE {
                // Prints beside quotes move no stop and set no mark.
                round.retain(|&(i, _)| desk.plan.instruments[i as usize].prints.is_none());
            }
            let set = &*trading(feed, &round);
            self.trail_orders(desk, set)?;
            self.trail_rules(desk, set)?;
            self.set_marks(desk, &round, phase)?;
        }
        self.set = round;
        let mut over = std::mem::take(&mut self.over);
        over.sort();
        self.end_all_unfilled(desk, &over)?;
        over.clear();
        self.over = over;
        for &(i, _) in rows {
            self.live[i as usize].sweep(desk.state);
            self.refresh_watch(desk.plan, desk.state, i as usize);
        }
        Ok(())
    }
}
