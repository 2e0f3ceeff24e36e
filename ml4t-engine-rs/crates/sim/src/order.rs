//! Orders: what may be asked, the states an order goes through, and why.

use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId, OrderId};
use crate::money::{Cash, Price};
use crate::path::Stand;
use crate::rules::RuleKind;
use crate::terms::{Instructions, Trail};
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
        /// A market order once the market comes to the trigger in the order's favour.
        MarketIfTouched = "market_if_touched",
        /// A limit order once the market comes to the trigger in the order's favour.
        LimitIfTouched = "limit_if_touched",
        /// A stop that follows the market.
        TrailingStop = "trailing_stop",
        /// A stop-limit that follows the market.
        TrailingStopLimit = "trailing_stop_limit",
    }
);
named!(
    /// How long an order works.
    TimeInForce {
        /// To the close of its session.
        Day = "day",
        /// Until filled or canceled.
        Gtc = "gtc",
        /// To a given time.
        Gtd = "gtd",
        /// At the first event it meets, and only there.
        Ioc = "ioc",
        /// The same, all of it or nothing.
        Fok = "fok",
        /// At the opening of the next session.
        Opg = "opg",
        /// At the close of its session.
        Cls = "cls",
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

    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

impl OrderType {
    /// Whether a price has to trade before the order may fill.
    #[must_use]
    pub const fn has_trigger(self) -> bool {
        !matches!(self, Self::Market | Self::Limit)
    }

    /// Whether the trigger lies against the order: a stop, not a touch.
    #[must_use]
    pub const fn is_stop(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit | Self::TrailingStop | Self::TrailingStopLimit)
    }

    /// Whether the stop follows the market.
    #[must_use]
    pub const fn is_trailing(self) -> bool {
        matches!(self, Self::TrailingStop | Self::TrailingStopLimit)
    }

    /// Whether a limit decides in the end.
    #[must_use]
    pub const fn has_limit(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit | Self::LimitIfTouched | Self::TrailingStopLimit)
    }
}

impl TimeInForce {
    /// Whether the order has one event only.
    #[must_use]
    pub const fn is_immediate(self) -> bool {
        matches!(self, Self::Ioc | Self::Fok | Self::Opg)
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
    /// Its instrument ended.
    Delisted,
    /// Its contract has expired.
    ContractExpired,
    /// Positions of its contract are rolled into the next one.
    Rolled,
    /// Nobody lends what it would sell short.
    NotAvailableToBorrow,
    /// Positions of its account are being closed for want of margin.
    Liquidation,
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
    /// The first event did not fill it, or not all of it.
    NotFilledAtOnce,
    /// The opening of the session did not fill it.
    NotFilledAtOpen,
    /// The close of the session did not fill it.
    NotFilledAtClose,
    /// The fill model takes no order like it.
    RefusedByModel,
    /// The time it was good for has come.
    TimeExpired,
    /// It may only make and would have taken.
    PostOnlyWouldTake,
    /// It may only reduce a position and there is none left for it.
    NothingToReduce,
    /// A cancel is under way.
    CancelRequested,
    /// A change is under way.
    ReplaceRequested,
    /// The order was changed.
    Replaced,
    /// The order stays as it was.
    ReplaceRejected,
    /// The order it waited for ended without a fill.
    ParentEnded,
    /// Another order of its group filled.
    GroupFilled,
    /// Another order of its group ended.
    GroupEnded,
    /// Another order of its group filled a part.
    Reduced,
    /// The order of a position rule took another size or level.
    MovedWithPosition,
    /// It sold what money that had not settled had bought.
    GoodFaithViolation,
    /// It names lots that are not held.
    NoSuchLot,
}

impl Reason {
    /// All reasons, for the catalogue in the documentation.
    pub const ALL: &'static [Self] = &[
        Self::None,
        Self::CanceledByRequest,
        Self::SessionClosed,
        Self::EndOfData,
        Self::Delisted,
        Self::ContractExpired,
        Self::Rolled,
        Self::NotAvailableToBorrow,
        Self::Liquidation,
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
        Self::NotFilledAtOnce,
        Self::NotFilledAtOpen,
        Self::NotFilledAtClose,
        Self::RefusedByModel,
        Self::TimeExpired,
        Self::PostOnlyWouldTake,
        Self::NothingToReduce,
        Self::CancelRequested,
        Self::ReplaceRequested,
        Self::Replaced,
        Self::ReplaceRejected,
        Self::ParentEnded,
        Self::GroupFilled,
        Self::GroupEnded,
        Self::Reduced,
        Self::MovedWithPosition,
        Self::GoodFaithViolation,
        Self::NoSuchLot,
    ];

    /// Code in the tables.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::None => "",
            Self::CanceledByRequest => "CANCELED_BY_REQUEST",
            Self::SessionClosed => "SESSION_CLOSED",
            Self::EndOfData => "END_OF_DATA",
            Self::Delisted => "DELISTED",
            Self::ContractExpired => "CONTRACT_EXPIRED",
            Self::Rolled => "ROLLED",
            Self::NotAvailableToBorrow => "NOT_AVAILABLE_TO_BORROW",
            Self::Liquidation => "LIQUIDATION",
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
            Self::NotFilledAtOnce => "NOT_FILLED_AT_ONCE",
            Self::NotFilledAtOpen => "NOT_FILLED_AT_OPEN",
            Self::NotFilledAtClose => "NOT_FILLED_AT_CLOSE",
            Self::RefusedByModel => "REFUSED_BY_MODEL",
            Self::TimeExpired => "TIME_EXPIRED",
            Self::PostOnlyWouldTake => "POST_ONLY_WOULD_TAKE",
            Self::NothingToReduce => "NOTHING_TO_REDUCE",
            Self::CancelRequested => "CANCEL_REQUESTED",
            Self::ReplaceRequested => "REPLACE_REQUESTED",
            Self::Replaced => "REPLACED",
            Self::ReplaceRejected => "REPLACE_REJECTED",
            Self::ParentEnded => "PARENT_ENDED",
            Self::GroupFilled => "GROUP_FILLED",
            Self::GroupEnded => "GROUP_ENDED",
            Self::Reduced => "REDUCED",
            Self::MovedWithPosition => "MOVED_WITH_POSITION",
            Self::GoodFaithViolation => "GOOD_FAITH_VIOLATION",
            Self::NoSuchLot => "NO_SUCH_LOT",
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
            Self::Delisted => "the instrument was delisted",
            Self::ContractExpired => "the contract has expired",
            Self::Rolled => "canceled because the contract is left for the next one",
            Self::NotAvailableToBorrow => "nobody lends what the order would sell short",
            Self::Liquidation => "canceled because positions of the account are being closed for want of margin",
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
            Self::NotFilledAtOnce => "the first event that the order met did not fill all of it",
            Self::NotFilledAtOpen => "the opening of the session did not fill all of it",
            Self::NotFilledAtClose => "the close of the session did not fill all of it",
            Self::RefusedByModel => "the fill model takes no order of that size",
            Self::TimeExpired => "the time that the order was good for has come",
            Self::PostOnlyWouldTake => "the order may only make, and the market is within its limit",
            Self::NothingToReduce => "the order may only reduce a position, and nothing is left to reduce",
            Self::CancelRequested => "a cancel is under way",
            Self::ReplaceRequested => "a change is under way",
            Self::Replaced => "changed on request",
            Self::ReplaceRejected => "the change was refused; the order stays as it was",
            Self::ParentEnded => "the order that it waited for ended without a fill",
            Self::GroupFilled => "another order of its group filled",
            Self::GroupEnded => "another order of its group ended",
            Self::Reduced => "another order of its group filled a part of what it was for",
            Self::MovedWithPosition => "the order of a position rule took the size or level that its position has now",
            Self::GoodFaithViolation => "sells what was bought with money that has not settled",
            Self::NoSuchLot => "no lot of the order that it names is held",
        }
    }
}

/// Largest price of an order in units of its exponent; what lies beyond is left for rounding to a tick.
const MAX_PRICE: u64 = i64::MAX.unsigned_abs() - 1_000_000_000_000_000;

/// What a strategy asks for; prices and quantity are already exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Limit price, where a limit decides; of a trailing stop-limit as the stop stands.
    pub limit_price: Option<Price>,
    /// The price that triggers; of a trailing stop as it stands, `None` before it has a water mark.
    pub stop_price: Option<Price>,
    /// How a trailing stop follows the market.
    pub trail: Option<Trail>,
    /// What a resting limit shows on quotes and prints.
    pub display_quantity: Option<i64>,
    /// End of a `gtd` order, `NEVER` otherwise.
    pub expires_at: Ns,
    /// What the order may not do.
    pub instructions: Instructions,
    /// Index of a free text in the run's texts, 0 for none.
    pub tag: u32,
    /// Number of the worked order that it belongs to, 0 for none.
    pub worked: u32,
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
            trail: None,
            display_quantity: None,
            expires_at: NEVER,
            instructions: Instructions::NONE,
            tag: 0,
            worked: 0,
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
        let is_trailing = self.order_type.is_trailing();
        for (field, needed, given) in [
            ("limit_price", self.order_type.has_limit() && !is_trailing, self.limit_price.is_some()),
            ("stop_price", self.order_type.has_trigger() && !is_trailing, self.stop_price.is_some()),
            ("trail_amount or trail_fraction", is_trailing, self.trail.is_some()),
            (
                "limit_offset",
                self.order_type == OrderType::TrailingStopLimit,
                self.trail.is_some_and(|t| t.limit_offset.is_some()),
            ),
            ("expire_at", self.time_in_force == TimeInForce::Gtd, self.expires_at != NEVER),
        ] {
            let what = if field == "expire_at" { self.time_in_force.as_str() } else { name };
            if needed && !given {
                return Err(SimError::order(format!("a {what} order needs a {field}")));
            }
            if given && !needed {
                return Err(SimError::order(format!("a {what} order takes no {field}")));
            }
        }
        self.validate_terms(name)
    }

    fn validate_terms(&self, name: &str) -> Result<()> {
        let life = self.time_in_force;
        let is_plain = matches!(self.order_type, OrderType::Market | OrderType::Limit);
        if (life.is_immediate() || life == TimeInForce::Cls) && !is_plain {
            let life = life.as_str();
            return Err(SimError::order(format!("{life} takes market and limit orders, found a {name} order")));
        }
        let is_limit = self.order_type == OrderType::Limit;
        if self.instructions.post_only && (!is_limit || life.is_immediate() || life == TimeInForce::Cls) {
            let life = life.as_str();
            return Err(SimError::order(format!(
                "post_only takes limit orders that may rest (gtc, day, gtd), found a {life} {name} order"
            )));
        }
        let has_fixed_price = self.order_type != OrderType::Market && !self.order_type.is_trailing();
        if self.instructions.adjust_for_dividend && !has_fixed_price {
            let life = life.as_str();
            return Err(SimError::order(format!(
                "adjust_for_dividend takes orders with a fixed limit or stop price, found a {life} {name} order"
            )));
        }
        let Some(shown) = self.display_quantity else { return Ok(()) };
        if !is_limit {
            return Err(SimError::order(format!("display_quantity takes limit orders, found a {name} order")));
        }
        if shown <= 0 || shown > self.quantity {
            return Err(SimError::order(
                "display_quantity must be above zero and not above the quantity of the order".to_owned(),
            ));
        }
        Ok(())
    }
}

/// An order as the engine tracks it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about an order")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Best price of the market that a trailing stop has seen; `None` before it is in force.
    pub water_mark: Option<Price>,
    /// Whether a cancel of it is under way, or waits for a fill to be booked.
    pub has_cancel: bool,
    /// How many changes of it are.
    pub changes: u32,
    /// How many were ever sent.
    pub changes_sent: u32,
    /// Whether it waits for another, others wait for it, or it belongs to a group.
    pub is_linked: bool,
    /// Whether the market made a limit wait, by its price or for want of volume: from then on it provides liquidity.
    pub has_rested: bool,
    /// Where the market stood when a fill inside the present bar placed or moved this order of a rule.
    pub stood_at: Option<Stand>,
    /// Why it will be refused at intake whatever the account says: a number off the grid cannot be kept.
    pub refusal: Option<Reason>,
    /// Number of the sentence that says in detail why it ended, 0 for none.
    pub text: u32,
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
    /// When the last message about it reaches the venue.
    pub ts_arrival: Ns,
    /// From when on it meets the market.
    pub ts_active: Ns,
    /// When it expires: the close of its session, or the time it is good for; else `NEVER`.
    pub ts_expiry: Ns,
    /// When it reached a terminal state; `NEVER` before.
    pub ts_closed: Ns,
}

impl Order {
    /// Whether it is always of the size of the position: that of a rule with a price.
    #[must_use]
    pub fn follows_position(&self) -> bool {
        self.rule.is_some() && self.request.order_type != OrderType::Market
    }

    /// A new order in state `Created`.
    #[must_use]
    pub const fn new(request: OrderRequest, now: Ns) -> Self {
        Self {
            request,
            status: OrderStatus::Created,
            reason: Reason::None,
            rule: None,
            is_triggered: false,
            water_mark: None,
            has_cancel: false,
            changes: 0,
            changes_sent: 0,
            is_linked: false,
            has_rested: false,
            stood_at: None,
            refusal: None,
            text: 0,
            attempts: 0,
            leaves: request.quantity,
            filled: 0,
            filled_notional: Cash::ZERO,
            fees: Cash::ZERO,
            expected_price: None,
            reserved: Cash::ZERO,
            ts_submitted: now,
            ts_accepted: NEVER,
            ts_arrival: now,
            ts_active: NEVER,
            ts_expiry: NEVER,
            ts_closed: NEVER,
        }
    }

    /// The order without what is of use only while it works.
    #[must_use]
    #[cfg(test)]
    pub(crate) const fn at_rest(&self) -> Self {
        Self {
            water_mark: None,
            has_cancel: false,
            changes: 0,
            changes_sent: 0,
            stood_at: None,
            attempts: 0,
            fees: Cash::ZERO,
            expected_price: None,
            reserved: Cash::ZERO,
            ts_arrival: self.ts_submitted,
            ts_active: NEVER,
            ..*self
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

    /// Whether its limit decides: a limit order, or one with a limit behind a trigger that has traded.
    #[must_use]
    pub const fn acts_as_limit(&self) -> bool {
        self.request.order_type.has_limit() && (self.is_triggered || !self.request.order_type.has_trigger())
    }

    /// What it may fill at most: all that is open, or what reduces a position of `held` units.
    #[must_use]
    pub const fn wanted(&self, held: i64) -> i64 {
        if !self.request.instructions.reduce_only {
            return self.leaves;
        }
        let opposite = -held.saturating_mul(self.request.side.sign());
        if opposite <= 0 {
            0
        } else if opposite < self.leaves {
            opposite
        } else {
            self.leaves
        }
    }

    /// What is under way to the venue: `cancel` before `replace`.
    #[must_use]
    pub const fn pending(&self) -> Option<&'static str> {
        match (self.status.is_terminal(), self.has_cancel, self.changes > 0) {
            (true, ..) | (false, false, false) => None,
            (false, true, _) => Some("cancel"),
            (false, false, true) => Some("replace"),
        }
    }

    /// Why it expires when its time has come.
    #[must_use]
    pub const fn expiry_reason(&self) -> Reason {
        match self.request.time_in_force {
            TimeInForce::Gtd => Reason::TimeExpired,
            TimeInForce::Opg => Reason::NotFilledAtOpen,
            TimeInForce::Cls => Reason::NotFilledAtClose,
            _ => Reason::SessionClosed,
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
