//! Past prices in the shares of now, for signals: orders always meet raw prices.
//!
//! A row counts with the corporate actions between it and now, and with none to come, so that what was seen at an instant
//! stays what was seen. The factor of a dividend is 1 - D / C, with C the last raw close before the ex-date
//! (the convention of CRSP, and of the adjusted closes of Yahoo Finance).

use crate::money::Cash;
use crate::plan::{ActionKind, Feed, FeedKind, Plan, bar, quote, trade};
use crate::state::State;

/// What past prices are adjusted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjustment {
    /// Splits and stock dividends.
    Split,
    /// Cash dividends and spin-offs too: what a holder who reinvests has.
    TotalReturn,
}

impl Adjustment {
    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "split" => Some(Self::Split),
            "total_return" => Some(Self::TotalReturn),
            _ => None,
        }
    }
}

/// What a value column counts in.
enum Counts {
    Prices,
    Shares,
    Neither,
}

fn counts(feed: &Feed, column: usize) -> Counts {
    match (feed.data.kind, column) {
        (FeedKind::Bar, bar::OPEN..=bar::CLOSE)
        | (FeedKind::Quote, quote::BID | quote::ASK)
        | (FeedKind::Trade, trade::PRICE) => Counts::Prices,
        (FeedKind::Bar, bar::VOLUME)
        | (FeedKind::Quote, quote::BID_SIZE | quote::ASK_SIZE)
        | (FeedKind::Trade, trade::SIZE) => Counts::Shares,
        _ => Counts::Neither,
    }
}

/// Bring values of the last known rows of an instrument, oldest first, into the shares of now.
pub fn adjust(
    plan: &Plan,
    state: &State,
    (i, f, column): (usize, usize, usize),
    known: &[u32],
    (how, values): (Adjustment, &mut [f64]),
) {
    let feed = &plan.feeds[f];
    let is_price = match counts(feed, column) {
        Counts::Prices => true,
        Counts::Shares => false,
        Counts::Neither => return,
    };
    let Some(&oldest) = known.first() else { return };
    let since: Vec<_> = state.actions_since(plan, i, feed.data.ts_event[oldest as usize]).collect();
    let mut left = since.len();
    let (mut prices, mut shares) = (1.0, 1.0);
    let all = state.readable_rows(plan, f, i);
    let first = all.len() - known.len();
    for (k, value) in values.iter_mut().enumerate().rev() {
        let ts = feed.data.ts_event[known[k] as usize];
        // All that came between this row and the one after it: instant by instant, the last one first.
        while let Some(last) = since[..left].last().filter(|action| action.ts >= ts) {
            let begin = since[..left].partition_point(|action| action.ts < last.ts);
            let before = all[..=first + k].iter().rev().map(|&row| feed.last_price(row as usize));
            let mut base = before.into_iter().find(|price| !price.is_nan()).unwrap_or(f64::NAN);
            for action in &since[begin..left] {
                let paid = action.kind.amount_off().filter(|_| how == Adjustment::TotalReturn);
                let (price, share) = factors(action.kind, paid.map(Cash::to_f64), base);
                // What is paid or split at one instant comes off the same close, one after the other.
                (prices, shares, base) = (prices * price, shares * share, base * price);
            }
            left = begin;
        }
        *value *= if is_price { prices } else { shares };
    }
}

/// By what an action multiplies prices and numbers of shares.
fn factors(kind: ActionKind, paid: Option<f64>, base: f64) -> (f64, f64) {
    match (kind, paid) {
        #[expect(clippy::cast_precision_loss, reason = "ratios of splits are small")]
        (ActionKind::Split(ratio), _) => {
            let (new, old) = (ratio.num as f64, ratio.den as f64);
            (old / new, new / old)
        }
        // An amount that is not below the price, or is of none, says nothing.
        (_, Some(amount)) if amount < base => (1.0 - amount / base, 1.0),
        _ => (1.0, 1.0),
    }
}
