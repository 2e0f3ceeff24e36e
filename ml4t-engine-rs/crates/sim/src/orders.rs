//! All orders of a run: those at work as the engine needs them, those that ended as tables and handles do.

use std::fmt;
use std::ops::Deref;

use bytemuck::{Pod, Zeroable};

use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::money::{Cash, Price};
use crate::order::{Order, OrderRequest, OrderStatus, OrderType, Reason, Side, TimeInForce};
use crate::packed::{Narrow, Wide};
use crate::rows::{Budget, Rows};
use crate::rules::RuleKind;
use crate::terms::{Amount, Distance, Instructions, Trail};
use crate::time::{NEVER, Ns};

/// Orders of a run at most; two bits of a place say where it is.
const MAX_ORDERS: usize = 1 << 30;
const ENDED: u32 = 1 << 30;
const ODD: u32 = 2 << 30;
const KIND: u32 = 3 << 30;
/// "Not at all", of a time that is kept in four bytes.
const NOT: u32 = u32::MAX;

/// An order as it is found: at work, or put together from what is kept of it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack, and only where orders that ended are looked at")]
pub enum Found<'a> {
    /// As the engine keeps it.
    Kept(&'a Order),
    /// Put together anew.
    Ended(Order),
}

impl Deref for Found<'_> {
    type Target = Order;

    #[inline]
    fn deref(&self) -> &Order {
        match self {
            Self::Kept(order) => order,
            Self::Ended(order) => order,
        }
    }
}

/// Orders by number.
#[derive(Clone, Default)]
pub struct Orders {
    /// Where each is: a kind in two bits, and a place.
    places: Vec<u32>,
    working: Vec<Order>,
    /// Places in `working` that are free.
    free: Vec<u32>,
    /// Those that ended at this instant, or were changed after their end.
    closing: Vec<OrderId>,
    ended: Rows<Ended>,
    /// What few of them have beside, one number after the other.
    extras: Rows<i64>,
    /// Those that ended and have more to tell than there is room for: refusals of numbers, trails that splits made
    /// fractions or that never had a water mark.
    odd: Vec<Order>,
    wide: Wide,
}

impl Orders {
    /// No orders; those that ended stay within a budget of memory.
    #[must_use]
    pub fn new(budget: Option<Budget>) -> Self {
        Self { ended: Rows::new(budget.clone()), extras: Rows::new(budget), ..Self::default() }
    }

    /// How many there ever were.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there never was one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Take in a new order; its number.
    ///
    /// # Errors
    /// There are too many.
    pub fn push(&mut self, order: Order) -> Result<OrderId> {
        let number = self.places.len();
        if number >= MAX_ORDERS {
            return Err(SimError::order(format!("a run takes at most {MAX_ORDERS} orders")));
        }
        let place = self.seat(&order);
        self.places.push(place);
        Ok(OrderId(number as u64))
    }

    fn seat(&mut self, order: &Order) -> u32 {
        if let Some(place) = self.free.pop() {
            self.working[place as usize] = *order;
            return place;
        }
        self.working.push(*order);
        crate::packed::number(self.working.len() - 1)
    }

    /// The order of that number.
    #[must_use]
    pub fn get(&self, id: OrderId) -> Option<Found<'_>> {
        self.places.get(id.index()).map(|&place| self.at(place))
    }

    #[inline]
    fn at(&self, place: u32) -> Found<'_> {
        if place & KIND == 0 { Found::Kept(&self.working[place as usize]) } else { self.at_rest(place) }
    }

    /// An order that ended.
    #[cold]
    fn at_rest(&self, place: u32) -> Found<'_> {
        let k = (place & !KIND) as usize;
        if place & KIND == ODD {
            Found::Kept(&self.odd[k])
        } else {
            let ended = self.ended.get(k).unwrap_or_else(|| unreachable!("order at place {k} of those that ended"));
            Found::Ended(ended.order(&self.wide, &self.extras))
        }
    }

    /// The order of that number, which exists.
    #[must_use]
    #[inline]
    pub fn of(&self, id: OrderId) -> Found<'_> {
        self.at(self.places[id.index()])
    }

    /// Whether nothing more can happen to the order of that number.
    #[inline]
    pub(crate) fn has_ended(&self, id: OrderId) -> bool {
        let place = self.places[id.index()];
        place & KIND != 0 || self.working[place as usize].status.is_terminal()
    }

    /// Number of the worked order that it belongs to, 0 for none.
    #[must_use]
    pub fn worked_of(&self, id: OrderId) -> u32 {
        let place = self.places[id.index()];
        let k = (place & !KIND) as usize;
        if place & KIND == ENDED {
            self.ended.get(k).map_or(0, |ended| ended.worked)
        } else {
            self.of(id).request.worked
        }
    }

    /// Whether the order ended at an earlier instant.
    pub(crate) fn is_put_away(&self, id: OrderId) -> bool {
        self.places[id.index()] & KIND != 0
    }

    /// The order of that number, to change it; only a link is made to one that ended.
    #[inline]
    pub(crate) fn of_mut(&mut self, id: OrderId) -> &mut Order {
        let place = self.places[id.index()];
        let place = if place & KIND == 0 { place } else { self.reopen(id, place) };
        &mut self.working[place as usize]
    }

    /// Something is still said about an order that ended: it goes back to where orders can change.
    #[cold]
    fn reopen(&mut self, id: OrderId, place: u32) -> u32 {
        let order = *self.at(place);
        let place = self.seat(&order);
        self.places[id.index()] = place;
        self.closing.push(id);
        place
    }

    /// The order ended at this instant.
    pub(crate) fn close(&mut self, id: OrderId) {
        self.closing.push(id);
    }

    /// Put away the orders that ended, after everybody was told.
    #[inline]
    pub(crate) fn put_away(&mut self) {
        if !self.closing.is_empty() {
            self.put_closing_away();
        }
    }

    fn put_closing_away(&mut self) {
        for k in 0..self.closing.len() {
            let id = self.closing[k];
            let place = self.places[id.index()];
            // It may have been said twice that it ended.
            if place & KIND != 0 {
                continue;
            }
            let order = &self.working[place as usize];
            let (kind, kept) = if let Some(ended) = Ended::of(order, &mut self.wide, &mut self.extras) {
                self.ended.push(ended);
                (ENDED, self.ended.len() - 1)
            } else {
                self.odd.push(*order);
                (ODD, self.odd.len() - 1)
            };
            // One that is linked to after its end is put away again.
            assert!(kept < MAX_ORDERS, "more than {MAX_ORDERS} orders were put away");
            let kept = kind | crate::packed::number(kept);
            self.places[id.index()] = kept;
            self.free.push(place);
        }
        self.closing.clear();
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Found<'_>> + Clone {
        self.places.iter().map(|&place| self.at(place))
    }

    /// False once there was no room for what exceeds the budget.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.ended.has_room() && self.extras.has_room()
    }

    /// Bytes that are kept of orders, in memory and outside.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let ((here, away), (more, more_away)) = (self.ended.bytes(), self.extras.bytes());
        let whole = (self.working.len() + self.odd.len()) * size_of::<Order>() + self.wide.bytes();
        (here + more + whole + self.places.len() * size_of::<u32>(), away + more_away)
    }
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|order| *order)).finish()
    }
}

/// What is kept of an order that ended: all that tables show of it, and what its links ask for.
///
/// What is of use only while an order works is gone: where the market stood, water marks, how often models were
/// asked, fees and buying power, when messages arrive and from when on it meets the market, what is under way.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, packed(2))]
struct Ended {
    ts_submitted: Ns,
    ts_closed: Ns,
    quantity: i64,
    /// Limit price, or that of a stop.
    price: i64,
    filled_notional: Narrow,
    /// Nanoseconds from submission to acceptance; [`NOT`] before. With [`MORE`] where what it has beside begins.
    accepted_after: u32,
    /// Expiry in seconds since 1970; [`NOT`] for none. With [`MORE`] a bit for each number that it has beside.
    expiry: u32,
    instrument: u32,
    tag: u32,
    worked: u32,
    text: u32,
    book: u16,
    kinds: u16,
    reason: u8,
    /// Number of its rule from 1, 0 for none; [`MORE`] where it has [`Beside`].
    rule: u8,
}

/// What an order has beside that waited for another, that had two prices or trailed, or that ended with a part filled.
#[derive(Clone, Copy, Debug)]
enum Beside {
    /// When it was accepted, if not when it was sent.
    Accepted,
    /// When it expires, if ever.
    Expiry,
    /// The stop price, if the order has a limit too.
    Stop,
    /// What was filled, if not all or nothing.
    Filled,
    /// What was left, if not the rest.
    Leaves,
    /// Distance of a trail in units of price.
    Amount,
    /// Distance of a trail as a fraction.
    Fraction,
    /// Distance of the limit of a trail.
    Offset,
    /// Price from which a trail is in force.
    Activation,
    /// What was shown.
    Display,
}

/// One place for each [`Beside`].
type Extras = [Option<i64>; Beside::Display as usize + 1];

const MORE: u8 = 1 << 7;
/// It follows dividends.
const FOLLOWS_DIVIDENDS: u8 = 1 << 6;
// Numbers of a kind have three bits, those of reasons and rules less than a byte.
const _: () = assert!(OrderType::ALL.len() <= 8 && TimeInForce::ALL.len() <= 8 && OrderStatus::ALL.len() <= 8);
const _: () = assert!(Side::ALL.len() == 2 && RuleKind::ALL.len() < 63 && Reason::ALL.len() <= 256);

const SECOND: i64 = 1_000_000_000;

/// Time from submission to acceptance and expiry in four bytes each, where they have room.
fn short_times(order: &Order) -> (Option<u32>, Option<u32>) {
    let after = match order.ts_accepted {
        NEVER => Some(NOT),
        ts => ts.checked_sub(order.ts_submitted).and_then(|ns| u32::try_from(ns).ok()).filter(|&ns| ns != NOT),
    };
    let expiry = match order.ts_expiry {
        NEVER => Some(NOT),
        ts if ts % SECOND == 0 => u32::try_from(ts / SECOND).ok().filter(|&s| s != NOT),
        _ => None,
    };
    (after, expiry)
}

impl Ended {
    /// The short form; `None` where it would say something else.
    fn of(order: &Order, wide: &mut Wide, extras: &mut Rows<i64>) -> Option<Self> {
        let request = &order.request;
        let (has_limit, has_trigger) = (request.order_type.has_limit(), request.order_type.has_trigger());
        let filled = if order.status == OrderStatus::Filled { request.quantity } else { 0 };
        let expires_at = if request.time_in_force == TimeInForce::Gtd { order.ts_expiry } else { NEVER };
        let mut beside = Extras::default();
        let has_room = request.trail.is_none_or(|trail| trail.put(&mut beside));
        let is_plain = has_room
            && order.refusal.is_none()
            && has_limit == request.limit_price.is_some()
            && has_trigger == request.stop_price.is_some()
            && request.expires_at == expires_at;
        if !is_plain {
            return None;
        }
        let unless = |value: i64, usual: i64| Some(value).filter(|&value| value != usual);
        let leaves = request.quantity - filled;
        beside[Beside::Filled as usize] = unless(order.filled, filled);
        beside[Beside::Leaves as usize] = unless(order.leaves, leaves);
        beside[Beside::Stop as usize] = request.stop_price.filter(|_| has_limit).map(|price| price.0);
        beside[Beside::Display as usize] = request.display_quantity;
        let (after, expiry) = short_times(order);
        let (accepted_after, expiry, more) = match (after, expiry) {
            (Some(after), Some(expiry)) if beside.iter().all(Option::is_none) => (after, expiry, 0),
            _ => {
                beside[Beside::Accepted as usize] = unless(order.ts_accepted, order.ts_submitted);
                beside[Beside::Expiry as usize] = unless(order.ts_expiry, NEVER);
                let (begin, mut which) = (crate::packed::number(extras.len()), 0);
                for (k, value) in beside.into_iter().enumerate().filter_map(|(k, value)| Some((k, value?))) {
                    extras.push(value);
                    which |= 1 << k;
                }
                (begin, which, MORE)
            }
        };
        let price = request.limit_price.or(request.stop_price);
        let instructions = request.instructions;
        let bits = [
            (request.side as u16, 1),
            (request.order_type as u16, 3),
            (request.time_in_force as u16, 3),
            (order.status as u16, 3),
            (u16::from(instructions.post_only), 1),
            (u16::from(instructions.reduce_only), 1),
            (u16::from(instructions.all_or_none), 1),
            (u16::from(order.is_linked), 1),
            (u16::from(order.has_rested), 1),
            (u16::from(order.is_triggered), 1),
        ];
        let follows = if instructions.adjust_for_dividend { FOLLOWS_DIVIDENDS } else { 0 };
        let kinds = bits.iter().fold(0, |all, &(value, width)| all << width | value);
        Some(Self {
            ts_submitted: order.ts_submitted,
            ts_closed: order.ts_closed,
            quantity: request.quantity,
            price: price.map_or(0, |p| p.0),
            filled_notional: wide.pack(order.filled_notional.0),
            accepted_after,
            expiry,
            instrument: request.instrument.0,
            tag: request.tag,
            worked: request.worked,
            text: order.text,
            book: request.book.0,
            kinds,
            reason: order.reason as u8,
            rule: order.rule.map_or(0, |rule| rule as u8 + 1) | more | follows,
        })
    }

    /// What it has beside.
    fn beside(&self, extras: &Rows<i64>) -> Extras {
        let (mut beside, mut next) = (Extras::default(), self.accepted_after as usize);
        for (_, value) in beside.iter_mut().enumerate().filter(|(k, _)| self.expiry & 1 << k != 0) {
            *value = Some(extras.get(next).unwrap_or_else(|| unreachable!("number {next} of what orders have beside")));
            next += 1;
        }
        beside
    }

    fn order(&self, wide: &Wide, extras: &Rows<i64>) -> Order {
        let mut kinds = self.kinds;
        let mut take = |width: u32| {
            let value = kinds & ((1 << width) - 1);
            kinds >>= width;
            usize::from(value)
        };
        let (is_triggered, has_rested, is_linked) = (take(1) == 1, take(1) == 1, take(1) == 1);
        let (all_or_none, reduce_only, post_only) = (take(1) == 1, take(1) == 1, take(1) == 1);
        let status = OrderStatus::ALL[take(3)];
        let time_in_force = TimeInForce::ALL[take(3)];
        let order_type = OrderType::ALL[take(3)];
        let side = Side::ALL[take(1)];
        let filled = if status == OrderStatus::Filled { self.quantity } else { 0 };
        let (beside, ts_accepted, ts_expiry) = if self.rule & MORE == 0 {
            let accepted = match self.accepted_after {
                NOT => NEVER,
                after => self.ts_submitted + i64::from(after),
            };
            let expiry = if self.expiry == NOT { NEVER } else { i64::from(self.expiry) * SECOND };
            (Extras::default(), accepted, expiry)
        } else {
            let beside = self.beside(extras);
            let [accepted, expiry] = [Beside::Accepted, Beside::Expiry].map(|which| beside[which as usize]);
            (beside, accepted.unwrap_or(self.ts_submitted), expiry.unwrap_or(NEVER))
        };
        let has = |which: Beside| beside[which as usize];
        let request = OrderRequest {
            book: BookId(self.book),
            order_type,
            time_in_force,
            limit_price: Some(Price(self.price)).filter(|_| order_type.has_limit()),
            stop_price: Some(Price(has(Beside::Stop).unwrap_or(self.price))).filter(|_| order_type.has_trigger()),
            trail: Trail::found(&beside),
            display_quantity: has(Beside::Display),
            expires_at: if time_in_force == TimeInForce::Gtd { ts_expiry } else { NEVER },
            instructions: Instructions {
                post_only,
                reduce_only,
                all_or_none,
                adjust_for_dividend: self.rule & FOLLOWS_DIVIDENDS != 0,
            },
            tag: self.tag,
            worked: self.worked,
            ..OrderRequest::market(InstrumentId(self.instrument), side, self.quantity)
        };
        Order {
            status,
            reason: Reason::ALL[usize::from(self.reason)],
            rule: usize::from(self.rule & !(MORE | FOLLOWS_DIVIDENDS)).checked_sub(1).map(|k| RuleKind::ALL[k]),
            is_triggered,
            is_linked,
            has_rested,
            text: self.text,
            leaves: has(Beside::Leaves).unwrap_or(self.quantity - filled),
            filled: has(Beside::Filled).unwrap_or(filled),
            filled_notional: Cash(wide.unpack(self.filled_notional)),
            ts_accepted,
            ts_expiry,
            ts_closed: self.ts_closed,
            ..Order::new(request, self.ts_submitted)
        }
    }
}

impl Trail {
    /// Write down what it has; false where there is no room, after a split that left fractions of a price.
    fn put(&self, beside: &mut Extras) -> bool {
        let whole = |amount: Amount| i64::try_from(amount.num).ok().filter(|_| amount.den == 1);
        let (which, distance) = match self.distance {
            Distance::Amount(amount) => (Beside::Amount, whole(amount)),
            Distance::Fraction(fraction) => (Beside::Fraction, Some(fraction)),
        };
        let offset = self.limit_offset.map(whole);
        beside[which as usize] = distance;
        beside[Beside::Offset as usize] = offset.flatten();
        beside[Beside::Activation as usize] = self.activation.map(|price| price.0);
        distance.is_some() && offset != Some(None)
    }

    fn found(beside: &Extras) -> Option<Self> {
        let has = |which: Beside| beside[which as usize];
        let amount = |which: Beside| has(which).map(Amount::new);
        let distance = amount(Beside::Amount).map(Distance::Amount).or(has(Beside::Fraction).map(Distance::Fraction))?;
        let activation = has(Beside::Activation).map(Price);
        Some(Self { distance, limit_offset: amount(Beside::Offset), activation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Stand;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn maybe(price: impl Strategy<Value = i64>) -> impl Strategy<Value = Option<Price>> {
        prop::option::of(price.prop_map(Price))
    }

    prop_compose! {
        fn any_trail()(
            (is_amount, distance, den) in (any::<bool>(), any::<i64>(), prop_oneof![9 => Just(1), 1 => Just(3)]),
            offset in prop::option::of(prop_oneof![any::<i64>().prop_map(i128::from), any::<i128>()]),
            activation in maybe(any::<i64>()),
        ) -> Trail {
            let amount = Amount { num: distance.into(), den };
            let distance = if is_amount { Distance::Amount(amount) } else { Distance::Fraction(distance) };
            Trail { distance, limit_offset: offset.map(|num| Amount { num, den: 1 }), activation }
        }
    }

    prop_compose! {
        fn any_request()(
            (book, instrument, tag, worked) in (any::<u16>(), any::<u32>(), any::<u32>(), any::<u32>()),
            (side, order_type) in (select(Side::ALL), select(OrderType::ALL)),
            (time_in_force, quantity) in (select(TimeInForce::ALL), 1..=i64::MAX),
            (limit_price, stop_price, is_fitting) in (maybe(any::<i64>()), maybe(any::<i64>()), prop::bool::weighted(0.8)),
            [post_only, reduce_only, all_or_none, adjust_for_dividend] in any::<[bool; 4]>(),
            (trail, display) in (prop::option::weighted(0.3, any_trail()), prop::option::weighted(0.1, any::<i64>())),
            expires_at in prop_oneof![Just(NEVER), Just(1_704_067_200 * SECOND), any::<i64>()],
        ) -> OrderRequest {
            let fitting = |price: Option<Price>, needs: bool| if needs { price.or(Some(Price(7))) } else { None };
            OrderRequest {
                book: BookId(book),
                order_type,
                time_in_force,
                limit_price: if is_fitting { fitting(limit_price, order_type.has_limit()) } else { limit_price },
                stop_price: if is_fitting { fitting(stop_price, order_type.has_trigger()) } else { stop_price },
                trail,
                display_quantity: display,
                expires_at,
                instructions: Instructions { post_only, reduce_only, all_or_none, adjust_for_dividend },
                tag,
                worked,
                ..OrderRequest::market(InstrumentId(instrument), side, quantity)
            }
        }
    }

    /// Whether an order has the prices and the time that its kind has.
    fn fits(order: &Order) -> bool {
        let (request, kind) = (&order.request, order.request.order_type);
        let is_gtd = request.time_in_force == TimeInForce::Gtd;
        request.limit_price.is_some() == kind.has_limit()
            && request.stop_price.is_some() == kind.has_trigger()
            && request.expires_at == if is_gtd { order.ts_expiry } else { NEVER }
    }

    prop_compose! {
        fn any_order()(
            request in any_request(),
            status in select(vec![OrderStatus::Filled, OrderStatus::Canceled, OrderStatus::Rejected, OrderStatus::Expired]),
            (reason, rule) in (select(Reason::ALL), prop::option::of(select(RuleKind::ALL.as_slice()))),
            (is_triggered, is_linked, has_rested, has_cancel) in any::<(bool, bool, bool, bool)>(),
            (part, notional, text, attempts) in (prop::option::weighted(0.2, any::<i64>()), any::<i128>(), any::<u32>(), any::<u32>()),
            refusal in prop::option::weighted(0.1, Just(Reason::OffLot)),
            (submitted, closed) in (0..i64::MAX / 4, any::<i64>()),
            accepted in prop_oneof![Just(None), (0..8 * SECOND).prop_map(Some), Just(Some(0)), any::<i64>().prop_map(Some)],
            expiry in prop_oneof![Just(NEVER), (-2..1_i64 << 33).prop_map(|s| s * SECOND), any::<i64>()],
            stood_at in prop::option::of(Just(Stand { at: Price(1), place: 0 })),
        ) -> Order {
            let all = if status == OrderStatus::Filled { request.quantity } else { 0 };
            let filled = part.unwrap_or(all);
            Order {
                status,
                reason,
                rule,
                is_triggered,
                is_linked,
                has_rested,
                has_cancel,
                stood_at,
                refusal,
                text,
                attempts,
                leaves: request.quantity.wrapping_sub(filled),
                filled,
                filled_notional: Cash(notional),
                expected_price: Some(Price(5)),
                ts_accepted: accepted.map_or(NEVER, |after| submitted.saturating_add(after)),
                ts_active: submitted,
                ts_expiry: expiry,
                ts_closed: closed,
                ..Order::new(request, submitted)
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_in_short_is_the_order_at_rest(order in any_order()) {
            let (mut wide, mut extras) = (Wide::default(), Rows::default());
            let kept = Ended::of(&order, &mut wide, &mut extras).map(|ended| ended.order(&wide, &extras));
            prop_assert_eq!(kept.unwrap_or(order.at_rest()), order.at_rest());
            let request = order.request;
            let has_room = request.trail.is_none_or(|trail| trail.put(&mut Extras::default()));
            prop_assert!(kept.is_some() || !has_room || order.refusal.is_some() || !fits(&order));
        }

        #[test]
        fn orders_are_found_by_number_whatever_became_of_them(
            orders in prop::collection::vec((any_order(), any::<bool>(), any::<bool>()), 1..40),
        ) {
            let mut all = Orders::default();
            let mut expected = Vec::new();
            for (order, ends, comes_back) in &orders {
                let id = all.push(*order).map_err(|e| TestCaseError::fail(e.message))?;
                expected.push(*order);
                if *ends {
                    all.close(id);
                    all.put_away();
                }
                if *comes_back {
                    let k = id.index() / 2;
                    all.of_mut(OrderId(k as u64)).text = 77;
                    expected[k].text = 77;
                    all.put_away();
                }
            }
            prop_assert_eq!(all.len(), expected.len());
            for (found, order) in all.iter().zip(&expected) {
                prop_assert_eq!(found.at_rest(), order.at_rest());
            }
        }
    }

    #[test]
    fn a_plain_order_that_ended_is_kept_in_short_and_leaves_its_seat() -> Result<()> {
        let mut all = Orders::default();
        for k in 0..10 {
            let id = all.push(Order::new(OrderRequest::market(InstrumentId(0), Side::Buy, 5), k))?;
            let order = all.of_mut(id);
            for (to, at) in [(OrderStatus::Submitted, k), (OrderStatus::Accepted, k), (OrderStatus::Filled, k + 1)] {
                order.become_status(id, to, Reason::None, at)?;
            }
            (order.filled, order.leaves) = (5, 0);
            all.close(id);
            all.put_away();
        }
        assert_eq!((all.working.len(), all.odd.len(), all.ended.len()), (1, 0, 10));
        Ok(())
    }
}
