//! Named policies of execution. A parity profile is a set of these and nothing else.

use crate::error::{Result, SimError};

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
    /// Whether slippage applies to limit orders.
    LimitSlippage {
        /// None.
        None = "none",
        /// Slippage, at most to the limit price.
        Clamp = "clamp",
        /// No fill when slippage would pass the limit price.
        Refuse = "refuse",
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
        /// One lot at the average cost.
        Average = "average",
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

/// All execution policies of a run.
#[derive(Clone, Copy, Debug)]
pub struct Policies {
    /// See [`FillTiming`].
    pub fill_timing: FillTiming,
    /// See [`LimitTouch`].
    pub limit_touch: LimitTouch,
    /// See [`LimitGap`].
    pub limit_gap: LimitGap,
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
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            fill_timing: FillTiming::NextOpen,
            limit_touch: LimitTouch::Touch,
            limit_gap: LimitGap::OpenIfBetter,
            limit_slippage: LimitSlippage::None,
            insufficient_cash: InsufficientCash::Reject,
            zero_volume: ZeroVolume::NoFill,
            tick_rounding: TickRounding::Reject,
            trail_basis: TrailBasis::HighLow,
        }
    }
}
