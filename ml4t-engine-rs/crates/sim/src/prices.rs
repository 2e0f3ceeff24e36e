//! Prices that may be known: what an order is sized, judged and expected with.

use crate::money::{Price, middle};
use crate::plan::{FeedKind, Plan, bar, quote, trade};
use crate::state::State;

/// Last readable price of an instrument's matching feed: close, print, or the middle of the quote.
///
/// What has not arrived yet must not show in the size or the refusal of an order either. Corporate actions since
/// the row was complete are applied: it is the price at which an order may be expected to trade.
#[must_use]
pub fn last_price(plan: &Plan, state: &State, i: usize) -> Option<Price> {
    let id = plan.instruments[i].matching?;
    price_of_row(plan, state, i, state.readable_row(plan, id.index(), i)?)
}

/// As [`last_price`], but of the time before rows of this instant become readable.
pub(crate) fn price_before(plan: &Plan, state: &State, i: usize) -> Option<Price> {
    let id = plan.instruments[i].matching?;
    let times = &plan.feed(id).data.ts_event;
    let rows = state.readable_rows(plan, id.index(), i).iter().rev();
    let row = rows.copied().find(|&row| times[row as usize] < state.now)?;
    price_of_row(plan, state, i, row as usize)
}

fn price_of_row(plan: &Plan, state: &State, i: usize, row: usize) -> Option<Price> {
    let instrument = &plan.instruments[i];
    let feed = plan.feed(instrument.matching?);
    let scale = &instrument.scale;
    let last = match feed.data.kind {
        FeedKind::Bar => scale.price(feed.value(bar::CLOSE, row))?,
        FeedKind::Trade => scale.price(feed.value(trade::PRICE, row))?,
        FeedKind::Quote => middle(scale.price(feed.value(quote::BID, row)), scale.price(feed.value(quote::ASK, row)))?,
        FeedKind::Context => return None,
    };
    let mut since = state.actions_since(plan, i, feed.data.ts_event[row]);
    since.try_fold(last, |price, action| action.kind.price_after(price, scale))
}
