//! What a venue keeps of the position rules for one position: their orders, and how far the market went.

use ml4t_abi::Phase;

use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::instrument::Instrument;
use crate::liquidation_price::Level;
use crate::money::{Price, Qty, Ratio};
use crate::order::{Order, OrderRequest, OrderStatus, OrderType, Reason, Side};
use crate::path::Stand;
use crate::phase::PhaseMarket;
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::rules::{Base, PositionRules, RuleKind};
use crate::state::State;
use crate::time::Ns;
use crate::trailing::better;
use crate::venue::Desk;
use crate::working::Working;

const KINDS: usize = RuleKind::ALL.len();
const TRAILING: usize = RuleKind::TrailingStop as usize;

/// Why the orders of rules have to be looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause {
    /// A fill changed the position; where the market stood when it came.
    Fill { phase: Phase, ts_open: Ns, stand: Stand },
    /// The rules changed.
    Rules,
    /// A split scaled the position.
    Split,
    /// A spin-off changed its cost and its price.
    Repriced,
    /// The exchange closes it at a price, from that time on.
    Liquidation(Ns),
}

/// The rules for the position of one book in one instrument.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guard {
    /// Those in force. A change that comes between the open of a bar and its booking waits for that.
    rules: PositionRules,
    orders: [Option<OrderId>; KINDS],
    /// Kinds whose order the strategy took back: they rest until rules are set anew or the position turns.
    waived: [bool; KINDS],
    /// Sign of the position that `orders`, `waived` and the following belong to.
    side: i64,
    /// Best price of the position in the rows seen of it: the highest of a long one, the lowest of a short one.
    best: Option<Price>,
    /// Place of the first row that was not looked at for it, among those of the instrument.
    unseen: u32,
    /// Whether the rules of the book changed and are not in force yet.
    pub(crate) is_late: bool,
    /// Where the exchange closes it, if that was reached.
    liquidation: Option<Level>,
}

impl Guard {
    /// Whether there is nothing to do for a position, whatever happens to it.
    pub(crate) fn is_idle(&self) -> bool {
        self.rules.is_empty() && self.orders.iter().all(Option::is_none)
    }

    /// Whether one of its stops follows the market.
    pub(crate) const fn trails(&self) -> bool {
        self.trailing().is_some()
    }

    /// The order of its trailing stop.
    pub(crate) const fn trailing(&self) -> Option<OrderId> {
        self.orders[TRAILING]
    }

    /// Live orders of rules, and those that ended since the last look.
    pub(crate) fn orders(&self) -> impl Iterator<Item = OrderId> {
        self.orders.iter().flatten().copied()
    }

    /// The position opened, turned or closed; `unseen` is the place of the first row that counts for it.
    pub(crate) const fn turn(&mut self, side: i64, unseen: u32) {
        self.side = side;
        self.waived = [false; KINDS];
        self.best = None;
        self.unseen = unseen;
        self.liquidation = None;
    }

    /// Sign of the position that it guards.
    pub(crate) const fn side(&self) -> i64 {
        self.side
    }

    /// Where the exchange is about to close the position.
    pub(crate) const fn liquidation(&self) -> Option<Level> {
        self.liquidation
    }

    /// Whether the exchange has begun to close it; it goes on until nothing is left.
    pub(crate) fn has_begun_liquidation(&self, state: &State) -> bool {
        let order = self.orders[RuleKind::Liquidation as usize].map(|id| state.order(id));
        order.is_some_and(|order| order.is_triggered && !order.status.is_terminal())
    }

    /// Let the exchange close the position at a price from a time on, or no more.
    pub(crate) fn liquidate<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        live: &mut Working,
        place: (BookId, usize),
        (level, since): (Option<Level>, Ns),
    ) -> Result<()> {
        let price = |level: Option<Level>| level.map(|level| level.price);
        if price(std::mem::replace(&mut self.liquidation, level)) == price(level) {
            return Ok(());
        }
        self.follow(desk, live, place, Cause::Liquidation(since), true)
    }

    /// The strategy took the order of a rule back.
    pub(crate) fn waive(&mut self, id: OrderId) {
        for (order, waived) in self.orders.iter().zip(&mut self.waived) {
            *waived |= *order == Some(id);
        }
    }

    /// Put other rules in force. `seen` is the number of rows that are past.
    pub(crate) fn set<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        live: &mut Working,
        (book, i): (BookId, usize),
        seen: usize,
    ) -> Result<()> {
        let rules = desk.state.rules[usize::from(book.0)];
        self.is_late = false;
        self.waived = [false; KINDS];
        let is_same_trail = self.rules.fraction(RuleKind::TrailingStop) == rules.fraction(RuleKind::TrailingStop);
        self.rules = rules;
        if self.side == 0 {
            return Ok(());
        }
        self.look(desk.plan, i, seen)?;
        self.follow(desk, live, (book, i), Cause::Rules, is_same_trail)
    }

    /// Follow a fill or a split.
    pub(crate) fn sync<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        live: &mut Working,
        place: (BookId, usize),
        cause: Cause,
    ) -> Result<()> {
        self.follow(desk, live, place, cause, !matches!(cause, Cause::Split | Cause::Repriced))
    }

    /// Scale what was seen of the old shares; `seen` is the number of rows that are past.
    pub(crate) fn split(&mut self, plan: &Plan, i: usize, seen: usize, ratio: Ratio) -> Result<()> {
        if self.side == 0 {
            return Ok(());
        }
        self.look(plan, i, seen)?;
        let scaled = self.best.map(|best| ratio.unscale(best).ok_or_else(|| range(&plan.instruments[i])));
        self.best = scaled.transpose()?;
        Ok(())
    }

    /// Look at the rows up to the place `seen` that were not looked at.
    fn look(&mut self, plan: &Plan, i: usize, seen: usize) -> Result<()> {
        let Some(feed) = plan.instruments[i].matching.map(|feed| plan.feed(feed)) else { return Ok(()) };
        let rows = feed.rows_of(i);
        while (self.unseen as usize) < seen {
            let row = rows[self.unseen as usize];
            self.unseen += 1;
            if feed.is_resting(row as usize) {
                continue;
            }
            let market = PhaseMarket::read(plan, i, row as usize, feed.data.kind.range_phase())?;
            let exit = if self.side > 0 { Side::Sell } else { Side::Buy };
            if let Some(extreme) = market.extreme(exit) {
                self.best = Some(self.best.map_or(extreme, |best| better(best, extreme, exit)));
            }
        }
        Ok(())
    }

    /// Move the trailing stop after the row at the place `seen - 1`.
    pub(crate) fn trail<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        (book, i): (BookId, usize),
        seen: usize,
    ) -> Result<()> {
        let Some(id) = self.orders[TRAILING] else { return Ok(()) };
        self.look(desk.plan, i, seen)?;
        let order = desk.state.order(id);
        if order.status.is_terminal() || order.is_triggered {
            return Ok(());
        }
        let side = order.request.side;
        let (Some(price), Some(old)) = (self.level(desk, (book, i), RuleKind::TrailingStop)?, order.request.stop_price)
        else {
            return Ok(());
        };
        desk.state.order_mut(id).request.stop_price = Some(better(old, price, side));
        Ok(())
    }

    /// Level of a rule for the position as it is; `None` where the rule is not set.
    fn level<R: Recorder>(
        &self,
        desk: &Desk<'_, R>,
        (book, i): (BookId, usize),
        kind: RuleKind,
    ) -> Result<Option<Price>> {
        if kind == RuleKind::Liquidation {
            return Ok(self.liquidation.map(|level| level.price));
        }
        let Some(fraction) = self.rules.fraction(kind) else { return Ok(None) };
        let instrument = &desk.plan.instruments[i];
        let position = &desk.state.book(book).positions[i];
        let worth = instrument.scale.per_price_unit(Qty(position.quantity.abs())).ok_or_else(|| range(instrument))?;
        let average = Base::new(position.cost.0 * i128::from(self.side), worth);
        let base = match self.best.filter(|_| kind == RuleKind::TrailingStop) {
            Some(best) if average.is_reached_by(best) == (self.side > 0) => Base::new(i128::from(best.0), 1),
            _ => average,
        };
        let is_below = (self.side > 0) == (kind != RuleKind::TakeProfit);
        base.level(instrument, fraction, is_below).map(Some).ok_or_else(|| range(instrument))
    }

    /// Bring the orders in line with the position. A trailing stop that `keeps` its fraction never goes back.
    fn follow<R: Recorder>(
        &mut self,
        desk: &mut Desk<'_, R>,
        live: &mut Working,
        (book, i): (BookId, usize),
        cause: Cause,
        keeps: bool,
    ) -> Result<()> {
        let held = desk.state.book(book).positions[i].quantity;
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        for kind in RuleKind::ALL {
            let slot = kind as usize;
            let existing = self.orders[slot].filter(|&id| !desk.state.has_ended(id));
            let fits = existing.filter(|&id| held != 0 && desk.state.order(id).request.side == side);
            let is_wanted = held != 0 && !self.waived[slot];
            let price = if is_wanted { self.level(desk, (book, i), kind)? } else { None };
            self.orders[slot] = match (price, fits) {
                (Some(price), Some(id)) => {
                    let keeps = keeps && kind == RuleKind::TrailingStop;
                    move_order(
                        desk,
                        id,
                        held.abs(),
                        if keeps { kept(&desk.state.order(id), price) } else { price },
                        cause,
                    )?;
                    live.note(&desk.state.order(id));
                    Some(id)
                }
                (price, _) => {
                    if let Some(id) = existing {
                        let is_asked = fits.is_some() && kind != RuleKind::Liquidation;
                        let reason = if is_asked { Reason::CanceledByRequest } else { Reason::PositionClosed };
                        desk.state.move_order(id, OrderStatus::Canceled, reason, desk.recorder)?;
                        live.note_end();
                    }
                    match price {
                        Some(price) => {
                            let id = place(desk, (book, i), kind, (side, held.abs(), price), cause)?;
                            live.insert(id, &desk.state.order(id));
                            Some(id)
                        }
                        None => None,
                    }
                }
            };
        }
        Ok(())
    }
}

fn range(instrument: &Instrument) -> SimError {
    SimError::overflow(format!("{}: the level or size of a position rule leaves its range", instrument.symbol))
}

fn kept(order: &Order, price: Price) -> Price {
    order.request.stop_price.map_or(price, |old| better(old, price, order.request.side))
}

/// From when on what the strategy asks for at this instant counts: after the opens, not for the bars that just opened.
pub(crate) fn from_now_on<R: Recorder>(desk: &Desk<'_, R>) -> Ns {
    desk.state.now.saturating_add(i64::from(desk.state.is_after_opens))
}

/// Give an order of a rule its size and level. A stop that has traded is a market order by now and keeps its price.
fn move_order<R: Recorder>(
    desk: &mut Desk<'_, R>,
    id: OrderId,
    quantity: i64,
    price: Price,
    cause: Cause,
) -> Result<()> {
    let asked_at = from_now_on(desk);
    let instrument = &desk.plan.instruments[desk.state.order(id).request.instrument.index()];
    let now = desk.state.now;
    let is_path_known = desk.plan.policies.path.is_known();
    let order = desk.state.order_mut(id);
    let has_other_size = std::mem::replace(&mut order.leaves, quantity) != quantity;
    order.request.quantity = order.filled.checked_add(quantity).ok_or_else(|| range(instrument))?;
    // A split has scaled the order before it comes here.
    let was_split = matches!(cause, Cause::Split);
    if order.is_triggered {
        if has_other_size {
            desk.state.note(id, (Reason::MovedWithPosition, 0), desk.recorder);
        }
        return Ok(());
    }
    let level = match order.request.order_type {
        OrderType::Limit => &mut order.request.limit_price,
        _ => &mut order.request.stop_price,
    };
    let has_moved = level.replace(price) != Some(price);
    match cause {
        // Where the market went before its level moved here does not count for it.
        Cause::Rules if has_moved => order.ts_active = asked_at,
        Cause::Liquidation(since) if has_moved => order.ts_active = since,
        Cause::Fill { phase: Phase::RANGE, stand, .. } => match order.request.order_type {
            OrderType::Limit if !is_path_known => {
                order.stood_at = Some(stand);
                if has_moved {
                    order.ts_active = now;
                }
            }
            OrderType::Limit if !has_moved => {}
            _ => order.stood_at = Some(stand),
        },
        _ => {}
    }
    if has_moved || has_other_size || was_split {
        desk.state.note(id, (Reason::MovedWithPosition, 0), desk.recorder);
    }
    Ok(())
}

fn place<R: Recorder>(
    desk: &mut Desk<'_, R>,
    (book, i): (BookId, usize),
    kind: RuleKind,
    (side, quantity, price): (Side, i64, Price),
    cause: Cause,
) -> Result<OrderId> {
    let order_type = kind.order_type();
    let request = OrderRequest {
        book,
        order_type,
        limit_price: (order_type == OrderType::Limit).then_some(price),
        stop_price: (order_type == OrderType::Stop).then_some(price),
        ..OrderRequest::market(InstrumentId(u32::try_from(i).unwrap_or(u32::MAX)), side, quantity)
    };
    let mut order = Order::new(request, desk.state.now);
    order.rule = Some(kind);
    let policies = &desk.plan.policies;
    order.ts_active = match cause {
        Cause::Fill { phase, ts_open, .. } => {
            policies.starts_in_bar(phase, ts_open, &request).unwrap_or(desk.state.now)
        }
        Cause::Rules => from_now_on(desk),
        Cause::Split | Cause::Repriced => desk.state.now,
        Cause::Liquidation(since) => since,
    };
    if let Cause::Fill { phase: Phase::RANGE, stand, .. } = cause {
        order.stood_at = Some(stand);
    }
    let id = desk.state.orders.push(order)?;
    desk.state.move_order(id, OrderStatus::Submitted, Reason::None, desk.recorder)?;
    desk.state.move_order(id, OrderStatus::Accepted, Reason::None, desk.recorder)?;
    Ok(id)
}
