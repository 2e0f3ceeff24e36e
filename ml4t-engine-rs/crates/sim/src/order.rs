//! Orders: what may be asked, the states an order goes through, and why.

use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::money::{Cash, Price};
use crate::rules::RuleKind;
use crate::time::{NEVER, Ns};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// All members, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Name in tables and configuration.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The member of that name.
            ///
            /// # Errors
            /// The name is not known; the message lists those that are.
            pub fn parse(text: &str) -> Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(SimError::order(format!(
                        "{} {other:?} is not known; allowed: {}",
                        stringify!($name), [$($text),*].join(", ")
                    ))),
                }
            }
        }
    };
}

named!(
    /// Side of an order or fill.
    Side {
        /// Adds to the position.
        Buy = "buy",
        /// Takes from it.
        Sell = "sell",
    }
);
named!(
    /// Kind of order.
    OrderType {
        /// Takes what the market offers.
        Market = "market",
        /// At the limit price or better.
        Limit = "limit",
        /// A market order once the stop price trades.
        Stop = "stop",
        /// A limit order once the stop price trades.
        StopLimit = "stop_limit",
    }
);
named!(
    /// How long an order works.
    TimeInForce {
        /// To the close of its session.
        Day = "day",
        /// Until filled or canceled.
        Gtc = "gtc",
    }
);
named!(
    /// State of an order.
    OrderStatus {
        /// Constructed.
        Created = "created",
        /// Sent, not yet checked.
        Submitted = "submitted",
        /// Checked and working.
        Accepted = "accepted",
        /// Working with fills.
        PartiallyFilled = "partially_filled",
        /// Complete.
        Filled = "filled",
        /// Taken back.
        Canceled = "canceled",
        /// Refused.
        Rejected = "rejected",
        /// Its time ran out.
        Expired = "expired",
    }
);

impl Side {
    /// +1 for buys, -1 for sells.
    #[must_use]
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }
}

impl OrderStatus {
    /// Whether nothing more can happen to the order.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Rejected | Self::Expired)
    }

    const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Created => matches!(next, Self::Submitted | Self::Rejected),
            Self::Submitted => matches!(next, Self::Accepted | Self::Rejected | Self::Canceled),
            Self::Accepted => {
                matches!(next, Self::PartiallyFilled | Self::Filled | Self::Canceled | Self::Rejected | Self::Expired)
            }
            // An order with fills is canceled, never rejected: a rejected order has moved no money.
            Self::PartiallyFilled => {
                matches!(next, Self::PartiallyFilled | Self::Filled | Self::Canceled | Self::Expired)
            }
            Self::Filled | Self::Canceled | Self::Rejected | Self::Expired => false,
        }
    }
}

/// Why a transition happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing to explain: created, submitted, accepted, filled.
    None,
    /// Canceled on request.
    CanceledByRequest,
    /// A day order at its session's close.
    SessionClosed,
    /// Still working when the data ended.
    EndOfData,
    /// Sent while the strategy warms up.
    WarmUp,
    /// Price off the tick grid.
    OffTick,
    /// Quantity off the lot grid.
    OffLot,
    /// A price that is zero or below on an instrument that does not allow it.
    PriceNotPositive,
    /// Would open or extend a short position on an account that may not.
    ShortNotAllowed,
    /// Buying power at intake.
    InsufficientBuyingPower,
    /// Cash or buying power at the fill.
    InsufficientCash,
    /// The instrument has no market data to match on.
    NoMarketData,
    /// An order towards a value, before the instrument's first price.
    NoPrice,
    /// The order shrank to nothing in a corporate action.
    ScaledToNothing,
    /// The position that a rule's order guarded was closed or turned.
    PositionClosed,
}

impl Reason {
    /// All reasons, for the catalogue in the documentation.
    pub const ALL: &'static [Self] = &[
        Self::None,
        Self::CanceledByRequest,
        Self::SessionClosed,
        Self::EndOfData,
        Self::WarmUp,
        Self::OffTick,
        Self::OffLot,
        Self::PriceNotPositive,
        Self::ShortNotAllowed,
        Self::InsufficientBuyingPower,
        Self::InsufficientCash,
        Self::NoMarketData,
        Self::NoPrice,
        Self::ScaledToNothing,
        Self::PositionClosed,
    ];

    /// Code in the tables.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::None => "",
            Self::CanceledByRequest => "CANCELED_BY_REQUEST",
            Self::SessionClosed => "SESSION_CLOSED",
            Self::EndOfData => "END_OF_DATA",
            Self::WarmUp => "WARM_UP",
            Self::OffTick => "OFF_TICK",
            Self::OffLot => "OFF_LOT",
            Self::PriceNotPositive => "PRICE_NOT_POSITIVE",
            Self::ShortNotAllowed => "SHORT_NOT_ALLOWED",
            Self::InsufficientBuyingPower => "INSUFFICIENT_BUYING_POWER",
            Self::InsufficientCash => "INSUFFICIENT_CASH",
            Self::NoMarketData => "NO_MARKET_DATA",
            Self::NoPrice => "NO_PRICE",
            Self::ScaledToNothing => "SCALED_TO_NOTHING",
            Self::PositionClosed => "POSITION_CLOSED",
        }
    }

    /// Sentence in the tables, where no more exact one was recorded.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::None => "",
            Self::CanceledByRequest => "canceled on request",
            Self::SessionClosed => "a day order expires at the close of its session",
            Self::EndOfData => "still working when the data ended",
            Self::WarmUp => "orders are refused while the strategy warms up",
            Self::OffTick => "a price of the order is not a multiple of the tick size",
            Self::OffLot => "the quantity is not a multiple of the lot size",
            Self::PriceNotPositive => "the instrument does not allow prices of zero or below",
            Self::ShortNotAllowed => "the account may not sell short",
            Self::InsufficientBuyingPower => "the order needs more buying power than the account has at intake",
            Self::InsufficientCash => "the account cannot pay for the fill",
            Self::NoMarketData => "the instrument has no feed to match orders on",
            Self::NoPrice => "the instrument has no price yet to size the order with",
            Self::ScaledToNothing => "a corporate action left less than one lot of the order",
            Self::PositionClosed => "the position that the rule guarded was closed or turned",
        }
    }
}

/// Largest price of an order in units of its exponent; what lies beyond is left for rounding to a tick.
const MAX_PRICE: u64 = i64::MAX.unsigned_abs() - 1_000_000_000_000_000;

/// What a strategy asks for; prices and quantity are already exact.
#[derive(Clone, Copy, Debug)]
pub struct OrderRequest {
    /// Account.
    pub book: BookId,
    /// Instrument.
    pub instrument: InstrumentId,
    /// Side.
    pub side: Side,
    /// Kind.
    pub order_type: OrderType,
    /// Lifetime.
    pub time_in_force: TimeInForce,
    /// Size, above zero, in quantity units.
    pub quantity: i64,
    /// Limit price of limit and stop-limit orders.
    pub limit_price: Option<Price>,
    /// Stop price of stop and stop-limit orders.
    pub stop_price: Option<Price>,
    /// Index of a free text in the run's texts, 0 for none.
    pub tag: u32,
}

impl OrderRequest {
    /// A market order, good until canceled.
    #[must_use]
    pub const fn market(instrument: InstrumentId, side: Side, quantity: i64) -> Self {
        Self {
            book: BookId(0),
            instrument,
            side,
            order_type: OrderType::Market,
            time_in_force: TimeInForce::Gtc,
            quantity,
            limit_price: None,
            stop_price: None,
            tag: 0,
        }
    }

    /// Check that the request has the prices its type needs, no others, and a size.
    ///
    /// # Errors
    /// Says which field is missing or out of place.
    pub fn validate(&self) -> Result<()> {
        if self.quantity <= 0 {
            return Err(SimError::order(
                "quantity of an order must be above zero; the side tells the direction".to_owned(),
            ));
        }
        let is_beyond = |p: Option<Price>| p.is_some_and(|p| p.0.unsigned_abs() > MAX_PRICE);
        if is_beyond(self.limit_price) || is_beyond(self.stop_price) {
            return Err(SimError::overflow("a price of the order is beyond the range of prices".to_owned()));
        }
        let name = self.order_type.as_str();
        let needs_limit = matches!(self.order_type, OrderType::Limit | OrderType::StopLimit);
        let needs_stop = matches!(self.order_type, OrderType::Stop | OrderType::StopLimit);
        for (field, needed, given) in [
            ("limit_price", needs_limit, self.limit_price.is_some()),
            ("stop_price", needs_stop, self.stop_price.is_some()),
        ] {
            if needed && !given {
                return Err(SimError::order(format!("a {name} order needs a {field}")));
            }
            if given && !needed {
                return Err(SimError::order(format!("a {name} order takes no {field}")));
            }
        }
        Ok(())
    }
}

/// An order as the engine tracks it.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// What was asked; prices and quantity follow corporate actions.
    pub request: OrderRequest,
    /// State.
    pub status: OrderStatus,
    /// Why the state was left or reached.
    pub reason: Reason,
    /// The position rule that placed the order, `None` for a strategy's own.
    pub rule: Option<RuleKind>,
    /// Whether the stop price has traded.
    pub is_triggered: bool,
    /// Whether the market made a limit wait, by its price or for want of volume: from then on it provides liquidity.
    pub has_rested: bool,
    /// Where the market stood when a fill inside the present bar placed or moved this order of a rule.
    pub stood_at: Option<Price>,
    /// How it ends once the fill that the open of a bar decided is booked: a cancel or expiry that came in between.
    pub end_pending: Option<(OrderStatus, Reason)>,
    /// Why it will be refused at intake whatever the account says: a number off the grid cannot be kept.
    pub refusal: Option<Reason>,
    /// How often models were asked about it.
    pub attempts: u32,
    /// Open quantity.
    pub leaves: i64,
    /// Filled quantity.
    pub filled: i64,
    /// Sum of price x quantity x multiplier of the fills.
    pub filled_notional: Cash,
    /// Fees charged.
    pub fees: Cash,
    /// Price at which it was expected to trade when it was accepted, in today's shares.
    pub expected_price: Option<Price>,
    /// Buying power set aside (positive) or expected to be freed (negative).
    pub reserved: Cash,
    /// When it was sent.
    pub ts_submitted: Ns,
    /// When it was accepted; `NEVER` before.
    pub ts_accepted: Ns,
    /// From when on it meets the market.
    pub ts_active: Ns,
    /// Close of its session for day orders, else `NEVER`.
    pub ts_expiry: Ns,
    /// When it reached a terminal state; `NEVER` before.
    pub ts_closed: Ns,
}

impl Order {
    /// A new order in state `Created`.
    #[must_use]
    pub const fn new(request: OrderRequest, now: Ns) -> Self {
        Self {
            request,
            status: OrderStatus::Created,
            reason: Reason::None,
            rule: None,
            is_triggered: false,
            has_rested: false,
            stood_at: None,
            end_pending: None,
            refusal: None,
            attempts: 0,
            leaves: request.quantity,
            filled: 0,
            filled_notional: Cash::ZERO,
            fees: Cash::ZERO,
            expected_price: None,
            reserved: Cash::ZERO,
            ts_submitted: now,
            ts_accepted: NEVER,
            ts_active: NEVER,
            ts_expiry: NEVER,
            ts_closed: NEVER,
        }
    }

    /// Go to another state.
    ///
    /// # Errors
    /// The transition is not one of the state machine's: a bug of the engine.
    pub fn become_status(&mut self, id: OrderId, next: OrderStatus, reason: Reason, now: Ns) -> Result<OrderStatus> {
        let previous = self.status;
        if !previous.may_become(next) {
            return Err(SimError::internal(format!(
                "order {}: {} cannot become {}",
                id.0 + 1,
                previous.as_str(),
                next.as_str()
            )));
        }
        self.status = next;
        self.reason = reason;
        if next == OrderStatus::Accepted {
            self.ts_accepted = now;
        }
        if next.is_terminal() {
            self.ts_closed = now;
        }
        Ok(previous)
    }

    /// Whether its limit decides: a limit order, or a stop-limit order whose stop has traded.
    #[must_use]
    pub const fn acts_as_limit(&self) -> bool {
        match self.request.order_type {
            OrderType::Limit => true,
            OrderType::StopLimit => self.is_triggered,
            OrderType::Market | OrderType::Stop => false,
        }
    }

    /// Signed open quantity.
    #[must_use]
    pub const fn signed_leaves(&self) -> i64 {
        self.request.side.sign() * self.leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_states_are_never_left() {
        for &from in OrderStatus::ALL.iter().filter(|s| s.is_terminal()) {
            for &to in OrderStatus::ALL {
                assert!(!from.may_become(to), "{} -> {}", from.as_str(), to.as_str());
            }
        }
    }

    #[test]
    fn every_state_but_the_terminal_ones_leads_to_an_end() {
        for &from in OrderStatus::ALL.iter().filter(|s| !s.is_terminal()) {
            assert!(OrderStatus::ALL.iter().any(|&to| from.may_become(to)));
        }
    }

    #[test]
    fn a_limit_order_without_limit_price_is_refused() {
        let mut request = OrderRequest::market(InstrumentId(0), Side::Buy, 1);
        request.order_type = OrderType::Limit;
        assert!(request.validate().is_err());
        request.limit_price = Some(Price(1));
        assert!(request.validate().is_ok());
        request.stop_price = Some(Price(1));
        assert!(request.validate().is_err());
    }
}
