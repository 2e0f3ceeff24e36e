//! Named policies of execution. A parity profile is a set of these and nothing else.

use ml4t_abi::Phase;

use crate::error::{Result, SimError};
use crate::order::{OrderRequest, TimeInForce};
use crate::time::Ns;

macro_rules! policy {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Read the name used in configuration.
            ///
            /// # Errors
            /// The name is not known; the message lists those that are.
            pub fn parse(text: &str) -> Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(SimError::config(format!(
                        "{} = {other:?} is not known; allowed: {}",
                        stringify!($name), [$($text),*].join(", ")
                    ))),
                }
            }
        }
    };
}

policy!(
    /// How what a position has gained becomes cash.
    Settlement {
        /// The position is paid for when it is opened.
        Upfront = "upfront",
        /// Nothing is paid but what its price moves, each day.
        Daily = "daily",
        /// Nothing is paid but what its price has moved, when it is closed.
        OnClose = "on_close",
    }
);
policy!(
    /// What an account does by itself with cash of other currencies than its own.
    Conversion {
        /// It buys what is missing.
        WhenShort = "when_short",
        /// It buys what is missing, and sells what is there.
        Always = "always",
        /// Nothing: it may owe.
        Never = "never",
    }
);
policy!(
    /// When a market order meets the market.
    FillTiming {
        /// At the next open of its bar or session.
        NextOpen = "next_open",
        /// At the close of the next bar.
        NextClose = "next_close",
        /// At the close that the decision was made on: optimistic, and marked so in the manifest.
        SameClose = "same_close",
    }
);
policy!(
    /// Whether a limit price that is only touched fills.
    LimitTouch {
        /// A touch fills.
        Touch = "touch",
        /// The market must trade through the limit.
        Through = "through",
    }
);
policy!(
    /// Price of a limit order when the market opens beyond it.
    LimitGap {
        /// The better open.
        OpenIfBetter = "open_if_better",
        /// The limit price; exempt by name from the rule that a fill lies in the bar's range.
        AtLimit = "at_limit",
    }
);
policy!(
    /// Price of a stop that the open of a bar triggers.
    StopGap {
        /// The open: the gap is the order's.
        Open = "open",
        /// The stop price; exempt by name from the rule that a fill lies in the bar's range.
        AtStop = "at_stop",
    }
);
policy!(
    /// Who comes first where nothing but the sequence of submission decides.
    FillOrder {
        /// By submission.
        Submission = "submission",
        /// Orders against a position before others.
        ExitsFirst = "exits_first",
    }
);
policy!(
    /// The first quote that an order of a strategy meets.
    QuoteFill {
        /// The next one.
        Next = "next",
        /// The one that stands when it becomes active: optimistic, and marked so in the manifest.
        Standing = "standing",
    }
);
policy!(
    /// Whether slippage applies to limit orders.
    LimitSlippage {
        /// None.
        None = "none",
        /// Slippage, at most to the limit price.
        Clamp = "clamp",
        /// No fill when slippage would pass the limit price.
        Refuse = "refuse",
        /// In full, beyond the limit price if need be, and also for limits that rested.
        Full = "full",
    }
);
policy!(
    /// What happens to an order that the account cannot pay for at its fill.
    InsufficientCash {
        /// The order is rejected.
        Reject = "reject",
        /// What the account can pay for is filled, the rest is canceled.
        Partial = "partial",
        /// The order goes on working.
        Wait = "wait",
    }
);
policy!(
    /// Whether bars without volume fill orders.
    ZeroVolume {
        /// They do not: nothing traded.
        NoFill = "no_fill",
        /// They do.
        Fill = "fill",
    }
);
policy!(
    /// What happens to an order price off the tick grid.
    TickRounding {
        /// The order is rejected.
        Reject = "reject",
        /// The price moves to the tick that is worse for a fill: buys down, sells up; stops the other way.
        Passive = "passive",
    }
);
policy!(
    /// Which lots a closing fill consumes.
    LotPolicy {
        /// Oldest first.
        Fifo = "fifo",
        /// Newest first.
        Lifo = "lifo",
        /// The one first whose end gains least: the dearest of longs, the cheapest of shorts; of equal ones the oldest.
        HighestCost = "highest_cost",
        /// One lot at the average cost.
        Average = "average",
    }
);
policy!(
    /// What a fill has to leave an account, and what working orders set aside.
    BuyingPower {
        /// Leverage times equity bounds what is held; a plain cash account has its cash.
        Equity = "equity",
        /// Cash may not go below zero; a sale brings cash and needs none.
        Cash = "cash",
        /// Nothing is refused for want of money.
        Unlimited = "unlimited",
    }
);
policy!(
    /// What money of a sale may do before it settles.
    UnsettledCash {
        /// It buys like any other.
        Usable = "usable",
        /// It buys; what it has bought is not to be sold before it settles.
        GoodFaith = "good_faith",
        /// It buys nothing.
        Held = "held",
    }
);
policy!(
    /// Whether an order towards a target counts market orders that are under way.
    TargetOrders {
        /// They count as done.
        Counted = "counted",
        /// They do not: two targets in one callback trade twice.
        Ignored = "ignored",
    }
);
policy!(
    /// What of an order towards a value is cut to whole lots.
    TargetRounding {
        /// The position that it leads to.
        Position = "position",
        /// The order that leads there.
        Order = "order",
    }
);
policy!(
    /// What happens to a quantity that is no multiple of the lot.
    LotRounding {
        /// The order is rejected.
        Reject = "reject",
        /// It is cut to whole lots; what is cut to nothing is rejected.
        Down = "down",
    }
);
policy!(
    /// What a trailing stop order follows on bars.
    TrailBasis {
        /// Their highs and lows.
        HighLow = "high_low",
        /// Their closes.
        Close = "close",
    }
);
policy!(
    /// Who comes first inside a bar.
    BarPath {
        /// What hurts the position most: entries, then stops that close, then targets.
        Worst = "worst",
        /// Open, high, low, close.
        Ohlc = "ohlc",
        /// Open, low, high, close.
        Olhc = "olhc",
        /// The nearer extreme first, the low when both are equally near.
        NearestFirst = "nearest_first",
        /// Nothing but the close is offered.
        CloseOnly = "close_only",
        /// By submission.
        Submission = "submission",
    }
);
policy!(
    /// Whether prints beside quotes fill limits that rest.
    PrintFills {
        /// They do not.
        None = "none",
        /// At the limit or beyond it.
        Touch = "touch",
        /// Beyond it alone.
        Through = "through",
    }
);
policy!(
    /// Who is before a limit that rests at its price.
    QueuePosition {
        /// Nobody is counted.
        None = "none",
        /// The size that the quote shows.
        SizeAhead = "size_ahead",
    }
);
policy!(
    /// Whether what a fill has started may fill in the rest of the same bar.
    SameBarExit {
        /// It may, as the path says.
        Allow = "allow",
        /// It waits for the next bar.
        NextBar = "next_bar",
    }
);

policy!(
    /// The first that an order which became active inside an open bar meets.
    OrderInsideBar {
        /// The next bar.
        NextBar = "next_bar",
        /// The close of the open one.
        Close = "close",
    }
);

impl BarPath {
    /// Whether it says how the market went.
    pub(crate) const fn is_known(self) -> bool {
        matches!(self, Self::Ohlc | Self::Olhc | Self::NearestFirst)
    }
}

/// All execution policies of a run.
#[derive(Clone, Copy, Debug)]
pub struct Policies {
    /// See [`FillTiming`].
    pub fill_timing: FillTiming,
    /// See [`LimitTouch`].
    pub limit_touch: LimitTouch,
    /// See [`LimitGap`].
    pub limit_gap: LimitGap,
    /// See [`StopGap`].
    pub stop_gap: StopGap,
    /// See [`FillOrder`].
    pub fill_order: FillOrder,
    /// See [`QuoteFill`].
    pub quote_fill: QuoteFill,
    /// See [`LimitSlippage`].
    pub limit_slippage: LimitSlippage,
    /// See [`InsufficientCash`].
    pub insufficient_cash: InsufficientCash,
    /// See [`ZeroVolume`].
    pub zero_volume: ZeroVolume,
    /// See [`TickRounding`].
    pub tick_rounding: TickRounding,
    /// See [`TrailBasis`].
    pub trail_basis: TrailBasis,
    /// See [`TargetOrders`].
    pub target_orders: TargetOrders,
    /// See [`TargetRounding`].
    pub target_rounding: TargetRounding,
    /// See [`LotRounding`].
    pub lot_rounding: LotRounding,
    /// See [`BarPath`].
    pub path: BarPath,
    /// See [`SameBarExit`].
    pub same_bar_exit: SameBarExit,
    /// See [`OrderInsideBar`].
    pub order_inside_bar: OrderInsideBar,
    /// See [`PrintFills`].
    pub print_fills: PrintFills,
    /// See [`QueuePosition`].
    pub queue_position: QueuePosition,
}

impl Policies {
    /// Whether a market order that lives so long waits for a close.
    pub(crate) fn waits_for_close(&self, life: TimeInForce) -> bool {
        self.fill_timing != FillTiming::NextOpen && life != TimeInForce::Opg
    }

    /// From when on an order that a fill in a bar has started may fill in the rest of it; `None` where it waits for
    /// what comes later.
    pub(crate) fn starts_in_bar(&self, phase: Phase, ts_open: Ns, request: &OrderRequest) -> Option<Ns> {
        let life = request.time_in_force;
        let waits = self.same_bar_exit == SameBarExit::NextBar;
        match phase {
            Phase::OPEN => Some(ts_open.saturating_add(i64::from(waits))),
            Phase::RANGE if waits => None,
            Phase::RANGE if self.path.is_known() && !life.is_immediate() && life != TimeInForce::Cls => Some(ts_open),
            Phase::RANGE if request.order_type.is_stop() => Some(ts_open),
            _ => None,
        }
    }

    /// Refuse what contradicts itself.
    ///
    /// # Errors
    /// `close_only` with market orders that want the open; a close for orders from inside a bar of which `same_bar_exit`
    /// keeps them out; a queue that no print at the limit drains.
    pub fn validate(&self) -> Result<()> {
        if self.path == BarPath::CloseOnly && self.fill_timing == FillTiming::NextOpen {
            let text = "path = \"close_only\" knows no open, and fill_timing = \"next_open\" fills market orders there";
            return Err(SimError::config(text.to_owned()));
        }
        if self.order_inside_bar == OrderInsideBar::Close && self.same_bar_exit == SameBarExit::NextBar {
            let text = "order_inside_bar = \"close\" lets orders from inside a bar meet its close, and same_bar_exit = \
                        \"next_bar\" keeps what a fill started out of it";
            return Err(SimError::config(text.to_owned()));
        }
        if self.queue_position == QueuePosition::SizeAhead && self.print_fills != PrintFills::Touch {
            let text = "queue_position = \"size_ahead\" counts prints at the limit and needs print_fills = \"touch\"";
            return Err(SimError::config(text.to_owned()));
        }
        Ok(())
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            fill_timing: FillTiming::NextOpen,
            limit_touch: LimitTouch::Touch,
            limit_gap: LimitGap::OpenIfBetter,
            stop_gap: StopGap::Open,
            fill_order: FillOrder::Submission,
            quote_fill: QuoteFill::Next,
            limit_slippage: LimitSlippage::None,
            insufficient_cash: InsufficientCash::Reject,
            zero_volume: ZeroVolume::NoFill,
            tick_rounding: TickRounding::Reject,
            trail_basis: TrailBasis::HighLow,
            target_orders: TargetOrders::Counted,
            target_rounding: TargetRounding::Position,
            lot_rounding: LotRounding::Reject,
            path: BarPath::Worst,
            same_bar_exit: SameBarExit::Allow,
            order_inside_bar: OrderInsideBar::NextBar,
            print_fills: PrintFills::None,
            queue_position: QueuePosition::None,
        }
    }
}
