//! Context and output structs, one pair per model kind.
//!
//! Prices are in the instrument's currency per unit, quantities in units, both as `f64`; missing data is
//! NaN, never 0. The engine fills every float of an output with NaN before the call, so that a required
//! field which the model left alone is detected.

/// Version of the structs of this module, written into every header.
pub const CONTEXT_VERSION: u16 = 1;

/// The part of a bar, or the kind of event, at which an order meets the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Phase(pub u32);

impl Phase {
    /// Open of a session or bar.
    pub const OPEN: Self = Self(1);
    /// Between open and close of a bar.
    pub const RANGE: Self = Self(2);
    /// Close of a bar.
    pub const CLOSE: Self = Self(3);
    /// A quote.
    pub const QUOTE: Self = Self(4);
    /// A trade print.
    pub const TRADE: Self = Self(5);
}

/// How the order acts at this event; a triggered stop acts as a market order, a triggered stop-limit as a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct OrderKind(pub u32);

impl OrderKind {
    /// Takes the price the market offers.
    pub const MARKET: Self = Self(1);
    /// Bound by its limit price.
    pub const LIMIT: Self = Self(2);
}

/// Whether a fill took or provided liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Liquidity(pub u32);

impl Liquidity {
    /// The order crossed the market.
    pub const TAKER: Self = Self(1);
    /// The order rested and was met.
    pub const MAKER: Self = Self(2);
}

/// First 24 bytes of every context.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// Size of the whole context as the engine was compiled.
    pub size: u32,
    /// [`CONTEXT_VERSION`].
    pub version: u16,
    /// +1 buys, -1 sells.
    pub side: i8,
    /// Zero.
    pub pad: u8,
    /// Index of the instrument in the run.
    pub asset: u32,
    /// Zero; bits are given meaning by later minor versions.
    pub flags: u32,
    /// Instant at which the fill is booked, ns UTC.
    pub ts_ns: i64,
}

impl Header {
    /// Header of a context of type `C`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "contexts are far below 4 GiB")]
    pub const fn of<C>(side: i8, asset: u32, ts_ns: i64) -> Self {
        Self { size: size_of::<C>() as u32, version: CONTEXT_VERSION, side, pad: 0, asset, flags: 0, ts_ns }
    }
}

/// What a fill model sees: an order that the matching rules allow to execute at `price`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FillContext {
    /// Common header.
    pub header: Header,
    /// How the order acts now.
    pub kind: OrderKind,
    /// Where in the bar, or at which event.
    pub phase: Phase,
    /// Liquidity the rules would report.
    pub liquidity: Liquidity,
    /// Zero.
    pub reserved: u32,
    /// Price at which the matching rules allow execution.
    pub price: f64,
    /// Open quantity of the order, positive.
    pub leaves_quantity: f64,
    /// Limit price, NaN without one.
    pub limit_price: f64,
    /// Stop price, NaN without one.
    pub stop_price: f64,
    /// Open of the bar.
    pub open: f64,
    /// High of the bar; NaN at the open unless the model declares that it needs the completed bar.
    pub high: f64,
    /// Low of the bar, as `high`.
    pub low: f64,
    /// Close of the bar, as `high`.
    pub close: f64,
    /// Volume of the bar, as `high`.
    pub volume: f64,
    /// Best bid.
    pub bid: f64,
    /// Best ask.
    pub ask: f64,
    /// Size at the bid.
    pub bid_size: f64,
    /// Size at the ask.
    pub ask_size: f64,
    /// Size of the trade print.
    pub trade_size: f64,
    /// Quantity that earlier orders took from this bar or event.
    pub volume_used: f64,
    /// Smallest quantity step.
    pub lot_size: f64,
    /// Smallest price step.
    pub tick_size: f64,
    /// Uniform draws in [0, 1).
    pub random: [f64; 4],
    /// Mean volume of the sessions before this one, 0 where there is none; NaN unless the model asks for it, and where
    /// a volume of them is missing.
    pub average_volume: f64,
    /// Quantity that orders took in this session, where the model asks for the average.
    pub session_used: f64,
}

/// What a fill model decides.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FillOutput {
    /// Execution price before slippage.
    pub price: f64,
    /// Quantity to fill now, at most the leaves quantity.
    pub quantity: f64,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Zero.
    pub reserved: u32,
    /// Reason of a refusal.
    pub code: u64,
}

/// What a slippage model sees: a fill about to happen at `price`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SlippageContext {
    /// Common header.
    pub header: Header,
    /// Where in the bar, or at which event.
    pub phase: Phase,
    /// Zero.
    pub reserved: u32,
    /// Reference price of the fill.
    pub price: f64,
    /// Quantity of the fill, positive.
    pub quantity: f64,
    /// Open of the bar.
    pub open: f64,
    /// High of the bar; NaN at the open unless the model declares that it needs the completed bar.
    pub high: f64,
    /// Low of the bar, as `high`.
    pub low: f64,
    /// Close of the bar, as `high`.
    pub close: f64,
    /// Volume of the bar, as `high`.
    pub volume: f64,
    /// Best bid.
    pub bid: f64,
    /// Best ask.
    pub ask: f64,
    /// Quantity that earlier orders took from this bar or event.
    pub volume_used: f64,
    /// Smallest price step.
    pub tick_size: f64,
    /// Smallest quantity step.
    pub lot_size: f64,
    /// Contract multiplier.
    pub multiplier: f64,
    /// Uniform draws in [0, 1).
    pub random: [f64; 4],
}

/// What a slippage model answers; positive numbers hurt the order.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SlippageOutput {
    /// Slippage per unit.
    pub adjustment: f64,
    /// Half spread paid per unit, reported apart.
    pub spread: f64,
    /// Most that may fill at this event; infinity without a cap.
    pub quantity_cap: f64,
    /// Reason of a refusal.
    pub code: u64,
}

/// What a fee model sees: a fill at its final price.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FeeContext {
    /// Common header.
    pub header: Header,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Zero.
    pub reserved: u32,
    /// Fill price.
    pub price: f64,
    /// Fill quantity, positive.
    pub quantity: f64,
    /// Contract multiplier.
    pub multiplier: f64,
    /// `price x quantity x multiplier`.
    pub notional: f64,
    /// Quantity of the order filled before this fill.
    pub order_filled_quantity: f64,
    /// Notional of the order filled before this fill.
    pub order_notional: f64,
    /// Fees charged to the order before this fill.
    pub order_fees: f64,
}

/// What a fee model answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FeeOutput {
    /// Money in the instrument's currency; negative for a rebate.
    pub fee: f64,
    /// Reason of a refusal.
    pub code: u64,
}
