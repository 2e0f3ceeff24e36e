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
use crate::terms::Instructions;
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
    /// Those that ended and have more to tell than there is room for in [`Ended`].
    odd: Vec<Order>,
    wide: Wide,
}

impl Orders {
    /// No orders; those that ended stay within a budget of memory.
    #[must_use]
    pub fn new(budget: Option<Budget>) -> Self {
        Self { ended: Rows::new(budget), ..Self::default() }
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
        let k = (place & !KIND) as usize;
        match place & KIND {
            ENDED => Found::Ended(self.ended.get(k).unwrap_or_else(Ended::zeroed).order(&self.wide)),
            ODD => Found::Kept(&self.odd[k]),
            _ => Found::Kept(&self.working[k]),
        }
    }

    /// The order of that number, which exists.
    #[must_use]
    #[inline]
    pub fn of(&self, id: OrderId) -> Found<'_> {
        self.at(self.places[id.index()])
    }

    /// The order of that number, to change it.
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
            let kept = if let Some(ended) = Ended::of(order, &mut self.wide) {
                self.ended.push(ended);
                ENDED | crate::packed::number(self.ended.len() - 1)
            } else {
                self.odd.push(*order);
                ODD | crate::packed::number(self.odd.len() - 1)
            };
            self.places[id.index()] = kept;
            self.free.push(place);
        }
        self.closing.clear();
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Found<'_>> + Clone {
        self.places.iter().map(|&place| self.at(place))
    }

    /// Bytes that are kept of orders, in memory and outside.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let (here, away) = self.ended.bytes();
        let whole = (self.working.len() + self.odd.len()) * size_of::<Order>();
        (here + whole + self.places.len() * size_of::<u32>(), away)
    }
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|order| *order)).finish()
    }
}

/// What is kept of an order that ended: all that tables show of it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, packed(2))]
struct Ended {
    ts_submitted: Ns,
    ts_closed: Ns,
    quantity: i64,
    /// Limit price, or that of a stop.
    price: i64,
    filled_notional: Narrow,
    /// Nanoseconds from submission to acceptance; [`NOT`] before.
    accepted_after: u32,
    /// Expiry in seconds since 1970; [`NOT`] for none.
    expiry: u32,
    instrument: u32,
    tag: u32,
    worked: u32,
    text: u32,
    book: u16,
    kinds: u16,
    reason: u8,
    rule: u8,
}

const SECOND: i64 = 1_000_000_000;

impl Ended {
    /// The short form; `None` where it would say something else.
    fn of(order: &Order, wide: &mut Wide) -> Option<Self> {
        let request = &order.request;
        let price = request.limit_price.or(request.stop_price);
        let expiry = match order.ts_expiry {
            NEVER => NOT,
            ts if ts % SECOND == 0 => u32::try_from(ts / SECOND).ok()?,
            _ => return None,
        };
        let accepted_after = match order.ts_accepted {
            NEVER => NOT,
            ts => u32::try_from(ts - order.ts_submitted).ok()?,
        };
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
        let kinds = bits.iter().fold(0, |all, &(value, width)| all << width | value);
        let ended = Self {
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
            rule: order.rule.map_or(0, |rule| rule as u8 + 1),
        };
        // Whatever has no room here shows in what comes back.
        (ended.order(wide) == order.at_rest()).then_some(ended)
    }

    fn order(&self, wide: &Wide) -> Order {
        let mut kinds = self.kinds;
        let mut take = |width: u32| {
            let value = kinds & ((1 << width) - 1);
            kinds >>= width;
            usize::from(value)
        };
        let (is_triggered, has_rested, is_linked) = (take(1) == 1, take(1) == 1, take(1) == 1);
        let (all_or_none, reduce_only, post_only) = (take(1) == 1, take(1) == 1, take(1) == 1);
        let status = OrderStatus::ALL[take(3)];
        let time_in_force = TimeInForce::ALL[take(3).min(TimeInForce::ALL.len() - 1)];
        let order_type = OrderType::ALL[take(3)];
        let side = Side::ALL[take(1)];
        let price = Some(Price(self.price));
        let ts_expiry = if self.expiry == NOT { NEVER } else { i64::from(self.expiry) * SECOND };
        let request = OrderRequest {
            book: BookId(self.book),
            order_type,
            time_in_force,
            limit_price: price.filter(|_| order_type.has_limit()),
            stop_price: price.filter(|_| order_type.has_trigger()),
            expires_at: if time_in_force == TimeInForce::Gtd { ts_expiry } else { NEVER },
            instructions: Instructions { post_only, reduce_only, all_or_none },
            tag: self.tag,
            worked: self.worked,
            ..OrderRequest::market(InstrumentId(self.instrument), side, self.quantity)
        };
        let filled = if status == OrderStatus::Filled { self.quantity } else { 0 };
        Order {
            status,
            reason: Reason::ALL[usize::from(self.reason).min(Reason::ALL.len() - 1)],
            rule: usize::from(self.rule).checked_sub(1).map(|k| RuleKind::ALL[k]),
            is_triggered,
            is_linked,
            has_rested,
            text: self.text,
            leaves: self.quantity - filled,
            filled,
            filled_notional: Cash(wide.unpack(self.filled_notional)),
            ts_accepted: if self.accepted_after == NOT {
                NEVER
            } else {
                self.ts_submitted + i64::from(self.accepted_after)
            },
            ts_expiry,
            ts_closed: self.ts_closed,
            ..Order::new(request, self.ts_submitted)
        }
    }
}
