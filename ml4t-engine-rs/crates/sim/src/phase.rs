//! What one phase of one row offers: its prices, whom it may fill, and who comes first.

use ml4t_abi::{Liquidity, Phase};

use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::lots::Position;
use crate::matching::{Outcome, Reach, at_close, at_price, in_range, limit_allows};
use crate::money::{Price, middle};
use crate::order::{Order, OrderType, Side, TimeInForce};
use crate::path::{Path, on_path};
use crate::plan::{Feed, FeedKind, Plan, bar, quote, trade};
use crate::policies::{BarPath, FillOrder, LimitTouch, OrderInsideBar, Policies, PrintFills, StopGap, ZeroVolume};
use crate::time::Ns;

/// The prices that one phase of one row offers.
pub(crate) struct PhaseMarket {
    phase: Phase,
    pub(crate) ts_open: Ns,
    ts_event: Ns,
    pub(crate) has_traded: bool,
    allows_short: bool,
    is_close_only: bool,
    /// What orders that became active inside the bar meet.
    order_inside_bar: OrderInsideBar,
    /// Of a print beside quotes, which fills limits at rest and does nothing else: whom it fills.
    print_fills: Option<LimitTouch>,
    open: Option<Price>,
    high: Option<Price>,
    low: Option<Price>,
    close: Option<Price>,
    pub(crate) bid: Option<Price>,
    pub(crate) ask: Option<Price>,
    path: Option<Path>,
}

/// Whether an order comes before those of its kind: 0 for one against the position under [`FillOrder::ExitsFirst`].
pub(crate) fn precedence(order: &Order, position: &Position, policies: &Policies) -> u8 {
    let is_exit = position.quantity.signum() == -order.request.side.sign();
    u8::from(policies.fill_order == FillOrder::ExitsFirst && !is_exit)
}

/// A stop that the open has triggered, at its own price.
fn at_its_stop(order: &Order, found: Outcome) -> Outcome {
    let is_stop = matches!(order.request.order_type, OrderType::Stop | OrderType::TrailingStop);
    match (found, order.request.stop_price) {
        (Outcome::Executes(reach), Some(stop)) if is_stop && !order.is_triggered => {
            Outcome::Executes(Reach { price: stop, ..reach })
        }
        _ => found,
    }
}

impl PhaseMarket {
    /// The close at which a decision was made, for orders that ask for it.
    pub(crate) const DECISION_CLOSE: Phase = Phase(100);
    /// The close of a session, for orders on quotes and prints that ask for it.
    pub(crate) const SESSION_CLOSE: Phase = Phase(101);
    /// The quote that stands when an order becomes active, for those that just do.
    pub(crate) const STANDING: Phase = Phase(102);

    /// Whether the orders of an instrument meet quotes.
    pub(crate) fn is_of_quotes(plan: &Plan, i: usize) -> bool {
        plan.instruments[i].matching.is_some_and(|feed| plan.feed(feed).data.kind == FeedKind::Quote)
    }

    pub(crate) fn read(plan: &Plan, i: usize, row: usize, phase: Phase) -> Result<Self> {
        let instrument = &plan.instruments[i];
        let Some(feed) = instrument.met_in(phase).map(|f| plan.feed(f)) else {
            return Err(SimError::internal(format!("{}: matched without a feed", instrument.symbol)));
        };
        let ts_event = feed.data.ts_event[row];
        let is_print = instrument.is_print(phase);
        let is_through = plan.policies.print_fills == PrintFills::Through;
        let print_fills = if is_through { LimitTouch::Through } else { LimitTouch::Touch };
        let price = |feed: &Feed, c: usize| -> Result<Option<Price>> {
            let x = feed.value(c, row);
            if x.is_nan() {
                return Ok(None);
            }
            instrument.scale.price(x).map(Some).ok_or_else(|| {
                SimError::overflow(format!(
                    "{}: {} {x} at {ts_event} leaves the range of a price with {} decimals; lower price_exponent",
                    instrument.symbol, feed.data.columns[c].name, instrument.scale.price_exponent
                ))
            })
        };
        let mut market = Self {
            phase,
            ts_open: ts_event,
            ts_event,
            has_traded: true,
            allows_short: plan.account.allows_short,
            is_close_only: plan.policies.path == BarPath::CloseOnly,
            order_inside_bar: plan.policies.order_inside_bar,
            print_fills: is_print.then_some(print_fills),
            open: None,
            high: None,
            low: None,
            close: None,
            bid: None,
            ask: None,
            path: None,
        };
        match feed.data.kind {
            FeedKind::Bar => {
                market.ts_open = feed.data.ts_open.as_ref().map_or(ts_event, |o| o[row]);
                market.has_traded =
                    plan.policies.zero_volume == ZeroVolume::Fill || feed.value(bar::VOLUME, row) != 0.0;
                match phase {
                    Phase::OPEN => market.open = price(feed, bar::OPEN)?,
                    Phase::RANGE => {
                        market.open = price(feed, bar::OPEN)?;
                        market.high = price(feed, bar::HIGH)?;
                        market.low = price(feed, bar::LOW)?;
                        if plan.policies.path.is_known()
                            && let Some(range) = market.high.zip(market.low)
                        {
                            let close = price(feed, bar::CLOSE)?;
                            market.path = Path::of(plan.policies.path, market.open, range, close);
                        }
                    }
                    _ => market.close = price(feed, bar::CLOSE)?,
                }
            }
            FeedKind::Quote => {
                market.bid = price(feed, quote::BID)?;
                market.ask = price(feed, quote::ASK)?;
            }
            FeedKind::Trade => {
                market.close = price(feed, trade::PRICE)?;
                market.has_traded = !is_print || feed.value(trade::SIZE, row) != 0.0;
            }
            FeedKind::Context => {}
        }
        Ok(market)
    }

    /// Whether this is a print beside quotes.
    pub(crate) const fn is_print(&self) -> bool {
        self.print_fills.is_some()
    }

    /// Whether it is a quote, new or standing.
    const fn is_quote(&self) -> bool {
        self.phase.0 == Phase::QUOTE.0 || self.phase.0 == Self::STANDING.0
    }

    const fn is_decision_close(&self) -> bool {
        self.phase.0 == Self::DECISION_CLOSE.0
    }

    /// A bar fills orders that were active when it opened; a tick those active before it.
    pub(crate) const fn is_eligible(&self, ts_active: Ns) -> bool {
        match self.phase {
            Phase::QUOTE | Phase::TRADE => ts_active < self.ts_event,
            _ if self.phase.0 == Self::SESSION_CLOSE.0 => ts_active < self.ts_event,
            // The venue knows who becomes active.
            _ if self.phase.0 == Self::STANDING.0 => true,
            // The close that a decision was made on is there for what was sent at it and needs no time.
            _ if self.is_decision_close() => ts_active == self.ts_event,
            _ => ts_active <= self.ts_open || self.is_from_inside(ts_active),
        }
    }

    /// Whether an order became active inside the bar, and the bar's close is for it.
    pub(crate) const fn is_from_inside(&self, ts_active: Ns) -> bool {
        let meets_close = self.phase.0 == Phase::CLOSE.0 && matches!(self.order_inside_bar, OrderInsideBar::Close);
        meets_close && self.ts_open < ts_active && ts_active < self.ts_event
    }

    pub(crate) fn outcome(&self, order: &Order, plan: &Plan) -> Outcome {
        let policies = &plan.policies;
        if !self.has_traded {
            return Outcome::Untouched;
        }
        if let Some(touch) = self.print_fills {
            return self.print_outcome(order, touch);
        }
        let life = order.request.time_in_force;
        if life == TimeInForce::Cls {
            return self.closing_outcome(order, *policies);
        }
        let is_from_inside = self.is_from_inside(order.ts_active);
        let is_close_only = (self.is_close_only || is_from_inside) && life != TimeInForce::Opg;
        let waits_for_close = order.request.order_type == OrderType::Market && policies.waits_for_close(life);
        match (self.phase, self.open, self.high, self.low, self.close) {
            (Phase::OPEN, Some(open), ..) if !waits_for_close && !is_close_only => {
                let found = at_price(order, open, policies, false);
                if policies.stop_gap == StopGap::AtStop { at_its_stop(order, found) } else { found }
            }
            (Phase::RANGE, open, Some(high), Some(low), _) => match &self.path {
                Some(_) if waits_for_close => Outcome::Untouched,
                Some(path) => on_path(order, path, policies),
                None => in_range(order, open, (high, low), policies),
            },
            _ if self.is_quote() => {
                let market = if order.request.side == Side::Buy { self.ask } else { self.bid };
                market.map_or(Outcome::Untouched, |price| at_price(order, price, policies, true))
            }
            (Phase::TRADE, _, _, _, Some(price)) => at_price(order, price, policies, true),
            (Phase::CLOSE, _, _, _, Some(close)) if is_close_only => {
                // Where the close is all there is no limit rests, whatever made it wait.
                at_price(&Order { has_rested: false, ..*order }, close, policies, false)
            }
            (Phase::CLOSE, _, _, _, Some(close)) => at_close(order, close, policies),
            (_, _, _, _, Some(close)) if self.is_decision_close() && order.ts_accepted == self.ts_event => {
                at_close(order, close, policies)
            }
            _ => Outcome::Untouched,
        }
    }

    /// What a print beside quotes does: it fills limits at rest at their own price.
    fn print_outcome(&self, order: &Order, touch: LimitTouch) -> Outcome {
        let life = order.request.time_in_force;
        let rests = order.acts_as_limit() && order.has_rested;
        let is_met = rests && !life.is_immediate() && life != TimeInForce::Cls;
        match (self.close, order.request.limit_price) {
            (Some(print), Some(limit)) if is_met && limit_allows(order.request.side, print, limit, touch) => {
                Outcome::Executes(Reach::limit(limit, print, Liquidity::MAKER))
            }
            _ => Outcome::Untouched,
        }
    }

    /// What the close of a session does to an order that asked for it: of the bar that ends with the session, or the
    /// last quote or print of it.
    fn closing_outcome(&self, order: &Order, policies: Policies) -> Outcome {
        let price = match self.phase {
            Phase::CLOSE if order.ts_expiry == self.ts_event => self.close,
            _ if self.phase == Self::SESSION_CLOSE => {
                let far_side = if order.request.side == Side::Buy { self.ask } else { self.bid };
                far_side.or(self.close)
            }
            _ => None,
        };
        price.map_or(Outcome::Untouched, |price| at_close(order, price, &policies))
    }

    /// Whether an order that has one event only has had it in this phase.
    pub(crate) fn was_its_only_event(&self, order: &Order, policies: Policies) -> bool {
        let life = order.request.time_in_force;
        let is_from_inside = self.is_from_inside(order.ts_active);
        let is_close_only = (self.is_close_only || is_from_inside) && life != TimeInForce::Opg;
        let is_market = order.request.order_type == OrderType::Market;
        let at_closes = is_close_only || (is_market && policies.waits_for_close(life));
        match self.phase {
            Phase::OPEN => !at_closes,
            Phase::QUOTE | Phase::TRADE => !self.is_print(),
            _ if self.is_quote() => true,
            Phase::CLOSE => at_closes,
            _ => is_market && at_closes && self.is_decision_close() && order.ts_accepted == self.ts_event,
        }
    }

    /// Note on an order that does not execute what the phase did to it: it was triggered, or made to wait.
    pub(crate) fn leave(&self, order: &mut Order, outcome: Outcome) {
        if outcome == Outcome::Triggers {
            order.is_triggered = true;
            order.has_rested = true;
        } else if order.acts_as_limit() && self.makes_wait(order) {
            order.has_rested = true;
        }
    }

    /// Whether a limit that this phase leaves untouched has been made to wait by the market.
    const fn makes_wait(&self, order: &Order) -> bool {
        match self.phase {
            Phase::QUOTE | Phase::TRADE => !self.is_print(),
            _ if self.is_quote() => true,
            Phase::OPEN => !self.is_close_only,
            Phase::CLOSE => false,
            // What was at work at the open has waited since then.
            _ => self.path.is_some() && order.stood_at.is_some(),
        }
    }

    /// Place of an order within its instrument: leg of the path, distance along it, submission.
    ///
    /// The worst path inside a bar: entries first, then stops that close a position, then targets.
    pub(crate) fn key(
        &self,
        order: &Order,
        reach: Reach,
        (id, policies): (OrderId, &Policies),
        position: &Position,
    ) -> (u8, u64, OrderId) {
        if self.phase != Phase::RANGE || policies.path == BarPath::Submission {
            return (precedence(order, position, policies), 0, id);
        }
        if self.path.is_some() {
            return (0, reach.place, id);
        }
        let sells_long_only = order.request.side == Side::Sell && !self.allows_short;
        // An account that may not sell short has no selling entries: its sells wait for the entry they protect.
        let closes = sells_long_only || position.quantity.signum() == -order.request.side.sign();
        let leg = match (closes, order.request.order_type) {
            (false, _) => 0,
            (true, order_type) if order_type.is_stop() => 1,
            (true, _) => 2,
        };
        let distance = self.open.map_or(0, |open| reach.at.0.abs_diff(open.0));
        (leg, distance, id)
    }

    /// A price that was certainly offered to an order of that side: an open (the close where nothing else is known), a
    /// quote's side, a print.
    pub(crate) fn certain_price(&self, side: Side) -> Option<Price> {
        match (self.phase, side) {
            (Phase::OPEN, _) if !self.is_close_only => self.open,
            (Phase::CLOSE, _) if self.is_close_only => self.close,
            (_, Side::Sell) if self.is_quote() => self.bid,
            (_, Side::Buy) if self.is_quote() => self.ask,
            (Phase::TRADE, _) if !self.is_print() => self.close,
            _ => None,
        }
    }

    /// The price of the event that is best for a stop of that side to follow: the high, bid or print for a sell.
    pub(crate) fn extreme(&self, side: Side) -> Option<Price> {
        let (extreme, quoted) = match side {
            Side::Sell => (self.high, self.bid),
            Side::Buy => (self.low, self.ask),
        };
        extreme.or(quoted).or(self.close).or(self.open)
    }

    /// The price of the event that is worst for a position which an order of that side closes: the low, bid or print for a
    /// sell.
    pub(crate) fn worst(&self, exit: Side) -> Option<Price> {
        let (extreme, quoted) = match exit {
            Side::Sell => (self.low, self.bid),
            Side::Buy => (self.high, self.ask),
        };
        extreme.or(quoted).or(self.close).or(self.open)
    }

    /// Price at which positions are valued after this phase: the middle of a quote, else the last price.
    pub(crate) fn mark(&self) -> Option<Price> {
        middle(self.bid, self.ask).or(self.close).or(self.open)
    }
}
