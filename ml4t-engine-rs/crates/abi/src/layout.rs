//! Structs and constants: generated from abi.toml by generate.py; do not edit.

use core::ffi::{c_char, c_void};
use core::mem::offset_of;

/// First field of every table.
pub const MAGIC: u64 = 0x314C_444D_5434_4C4D;
/// Tables of another major version are refused.
pub const ABI_MAJOR: u16 = 1;
/// Grows when fields are appended.
pub const ABI_MINOR: u16 = 0;
/// Name of the capsule that holds a table.
pub const CAPSULE: &core::ffi::CStr = c"ml4t.model.v1";

/// What `eval` answers. 0 is never success: a numba function that raised returns 0 to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(pub i32);

impl Status {
    /// The model raised, or wrote nothing. Negative values are errors of its own, too.
    pub const ERROR: Self = Self(0);
    /// The output holds the answer.
    pub const OK: Self = Self(1);
    /// The model has nothing to say about this call; the engine goes on without it.
    pub const NO_OPINION: Self = Self(2);
    /// The order is refused; the reason stands in the output's `code`.
    pub const REJECT: Self = Self(3);
    /// Nothing now; ask again at the next event.
    pub const DEFER: Self = Self(4);
}

/// What a model decides; the number in its table, and the one that `__ml4t_model_v1__` is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Kind(pub u32);

impl Kind {
    /// Whether, where and how much of an order trades.
    pub const FILL: Self = Self(1);
    /// How much worse than its reference price any small order trades.
    pub const SLIPPAGE: Self = Self(2);
    /// How far our own size moves the price.
    pub const IMPACT: Self = Self(3);
    /// What a fill is charged.
    pub const FEE: Self = Self(4);
    /// What a portfolio has to keep aside.
    pub const MARGIN: Self = Self(5);
    /// What a short position costs.
    pub const BORROW: Self = Self(6);
    /// What a perpetual future pays.
    pub const FUNDING: Self = Self(7);
    /// How long a message is under way.
    pub const LATENCY: Self = Self(8);
    /// At which rate money is converted.
    pub const FX: Self = Self(9);
    /// When money of a fill is there.
    pub const SETTLEMENT: Self = Self(10);
    /// What is sold when the margin is gone.
    pub const LIQUIDATION: Self = Self(11);
    /// What is ordered when a limit is passed.
    pub const RISK: Self = Self(12);
    /// How an order is cut into others.
    pub const EXECUTOR: Self = Self(13);
    /// What is ordered.
    pub const STRATEGY: Self = Self(100);
    /// Numbers from a column.
    pub const INDICATOR: Self = Self(101);
    /// What cash earns and debt costs.
    pub const INTEREST: Self = Self(14);
}

/// Bits of a table's `flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Flag(pub u32);

impl Flag {
    /// `proto` alone answers; `clone` may be missing.
    pub const STATELESS: Self = Self(1);
    /// A state may move to another thread between calls.
    pub const SEND: Self = Self(2);
    /// One state may be evaluated by several threads at once.
    pub const CONCURRENT: Self = Self(4);
    /// The same context has the same answer.
    pub const PURE: Self = Self(8);
    /// The answer uses volume, range or close of the bar: a fill at its open waits for it.
    pub const NEEDS_BAR: Self = Self(16);
    /// `observe` wants every fill of the run.
    pub const NEEDS_OBSERVE: Self = Self(32);
}

/// Bits of a context's `flags`: what is NaN because nobody knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Missing(pub u32);

impl Missing {
    /// High, low and close of the bar.
    pub const BAR: Self = Self(1);
    /// The volume.
    pub const VOLUME: Self = Self(2);
    /// Bid and ask.
    pub const QUOTE: Self = Self(4);
    /// The average volume.
    pub const AVERAGE_VOLUME: Self = Self(8);
    /// The volatility.
    pub const VOLATILITY: Self = Self(16);
}

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

/// How an order acts at an event: a triggered stop acts as a market order, a triggered stop-limit as a limit.
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

/// What is under way to the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Message(pub u32);

impl Message {
    /// A new order.
    pub const SUBMIT: Self = Self(1);
    /// A change.
    pub const MODIFY: Self = Self(2);
    /// A cancel.
    pub const CANCEL: Self = Self(3);
}

/// What an order record asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Action(pub u32);

impl Action {
    /// A new order.
    pub const NEW: Self = Self(1);
    /// A change of the order `client_id`: what is NaN stays.
    pub const MODIFY: Self = Self(2);
    /// The end of the order `client_id`.
    pub const CANCEL: Self = Self(3);
    /// A market order that leads to the signed position `quantity`.
    pub const TARGET: Self = Self(4);
}

/// How an order is priced and triggered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct OrderType(pub u32);

impl OrderType {
    /// At the price that the market offers.
    pub const MARKET: Self = Self(1);
    /// At the limit price or better.
    pub const LIMIT: Self = Self(2);
    /// A market order once the stop price trades.
    pub const STOP: Self = Self(3);
    /// A limit order once the stop price trades.
    pub const STOP_LIMIT: Self = Self(4);
    /// A market order once the trigger is touched from the better side.
    pub const MARKET_IF_TOUCHED: Self = Self(5);
    /// A limit order once the trigger is touched from the better side.
    pub const LIMIT_IF_TOUCHED: Self = Self(6);
}

/// How long an order works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Life(pub u32);

impl Life {
    /// Until canceled.
    pub const GTC: Self = Self(0);
    /// To the close of its session.
    pub const DAY: Self = Self(1);
    /// For one event.
    pub const IOC: Self = Self(2);
    /// For one event, all or nothing.
    pub const FOK: Self = Self(3);
    /// For the open of a session.
    pub const OPG: Self = Self(4);
    /// For the close of a session.
    pub const CLS: Self = Self(5);
}

/// The first 24 bytes of every context.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// Size of the whole context as the engine was compiled.
    pub size: u32,
    /// Minor version of the context.
    pub version: u16,
    /// +1 buys, -1 sells, 0 where there is no side.
    pub side: i8,
    /// Zero.
    pub pad: u8,
    /// Index of the instrument in the run.
    pub asset: u32,
    /// What is missing: bits of `Missing`.
    pub flags: u32,
    /// Instant at which the fill is booked, ns UTC.
    pub ts_ns: i64,
}

impl Header {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { size: 0, version: 0, side: 0, pad: 0, asset: 0, flags: 0, ts_ns: 0 };
}

const _: () = {
    assert!(size_of::<Header>() == 24);
    assert!(offset_of!(Header, size) == 0);
    assert!(offset_of!(Header, version) == 4);
    assert!(offset_of!(Header, side) == 6);
    assert!(offset_of!(Header, pad) == 7);
    assert!(offset_of!(Header, asset) == 8);
    assert!(offset_of!(Header, flags) == 12);
    assert!(offset_of!(Header, ts_ns) == 16);
};

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
    /// Number of the order, from 1.
    pub order: u64,
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
    /// High of the bar; NaN at the open unless the model declares `NEEDS_BAR`.
    pub high: f64,
    /// Low of the bar, as `high`.
    pub low: f64,
    /// Close of the bar, as `high`; the price of a print.
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
    /// Uniform draws in [0, 1), as many as the table's `n_random`.
    pub random: [f64; 4],
    /// Mean volume of the last `average_days` sessions before this one, 0 where there is none; NaN unless asked for,
    /// and where a volume of them is missing.
    pub average_volume: f64,
    /// Quantity that orders took in this session, where the model asks for the average.
    pub session_used: f64,
    /// Quantity that trades before a resting order; NaN where nobody counts it.
    pub queue_ahead: f64,
}

impl FillContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        kind: OrderKind(0),
        phase: Phase(0),
        liquidity: Liquidity(0),
        reserved: 0,
        order: 0,
        price: f64::NAN,
        leaves_quantity: f64::NAN,
        limit_price: f64::NAN,
        stop_price: f64::NAN,
        open: f64::NAN,
        high: f64::NAN,
        low: f64::NAN,
        close: f64::NAN,
        volume: f64::NAN,
        bid: f64::NAN,
        ask: f64::NAN,
        bid_size: f64::NAN,
        ask_size: f64::NAN,
        trade_size: f64::NAN,
        volume_used: f64::NAN,
        lot_size: f64::NAN,
        tick_size: f64::NAN,
        random: [f64::NAN; 4],
        average_volume: f64::NAN,
        session_used: f64::NAN,
        queue_ahead: f64::NAN,
    };
}

const _: () = {
    assert!(size_of::<FillContext>() == 240);
    assert!(offset_of!(FillContext, kind) == 24);
    assert!(offset_of!(FillContext, phase) == 28);
    assert!(offset_of!(FillContext, liquidity) == 32);
    assert!(offset_of!(FillContext, reserved) == 36);
    assert!(offset_of!(FillContext, order) == 40);
    assert!(offset_of!(FillContext, price) == 48);
    assert!(offset_of!(FillContext, leaves_quantity) == 56);
    assert!(offset_of!(FillContext, limit_price) == 64);
    assert!(offset_of!(FillContext, stop_price) == 72);
    assert!(offset_of!(FillContext, open) == 80);
    assert!(offset_of!(FillContext, high) == 88);
    assert!(offset_of!(FillContext, low) == 96);
    assert!(offset_of!(FillContext, close) == 104);
    assert!(offset_of!(FillContext, volume) == 112);
    assert!(offset_of!(FillContext, bid) == 120);
    assert!(offset_of!(FillContext, ask) == 128);
    assert!(offset_of!(FillContext, bid_size) == 136);
    assert!(offset_of!(FillContext, ask_size) == 144);
    assert!(offset_of!(FillContext, trade_size) == 152);
    assert!(offset_of!(FillContext, volume_used) == 160);
    assert!(offset_of!(FillContext, lot_size) == 168);
    assert!(offset_of!(FillContext, tick_size) == 176);
    assert!(offset_of!(FillContext, random) == 184);
    assert!(offset_of!(FillContext, average_volume) == 216);
    assert!(offset_of!(FillContext, session_used) == 224);
    assert!(offset_of!(FillContext, queue_ahead) == 232);
};

/// A part of an order that trades at one price.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FillSlice {
    /// Execution price before slippage.
    pub price: f64,
    /// Quantity, positive.
    pub quantity: f64,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Zero.
    pub reserved: u32,
}

impl FillSlice {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { price: f64::NAN, quantity: f64::NAN, liquidity: Liquidity(0), reserved: 0 };
}

const _: () = {
    assert!(size_of::<FillSlice>() == 24);
    assert!(offset_of!(FillSlice, price) == 0);
    assert!(offset_of!(FillSlice, quantity) == 8);
    assert!(offset_of!(FillSlice, liquidity) == 16);
    assert!(offset_of!(FillSlice, reserved) == 20);
};

/// What a fill model decides beside its slices.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FillOutput {
    /// How many slices were written; all of them together at most the leaves quantity.
    pub n_fills: u32,
    /// Zero.
    pub reserved: u32,
    /// Reason of a refusal.
    pub code: u64,
}

impl FillOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { n_fills: 0, reserved: 0, code: 0 };
}

const _: () = {
    assert!(size_of::<FillOutput>() == 16);
    assert!(offset_of!(FillOutput, n_fills) == 0);
    assert!(offset_of!(FillOutput, reserved) == 4);
    assert!(offset_of!(FillOutput, code) == 8);
};

/// One level of an order book.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Level {
    /// Price of the level's bid.
    pub bid: f64,
    /// Size there.
    pub bid_size: f64,
    /// Price of the level's ask.
    pub ask: f64,
    /// Size there.
    pub ask_size: f64,
}

impl Level {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { bid: f64::NAN, bid_size: f64::NAN, ask: f64::NAN, ask_size: f64::NAN };
}

const _: () = {
    assert!(size_of::<Level>() == 32);
    assert!(offset_of!(Level, bid) == 0);
    assert!(offset_of!(Level, bid_size) == 8);
    assert!(offset_of!(Level, ask) == 16);
    assert!(offset_of!(Level, ask_size) == 24);
};

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
    /// High of the bar; NaN at the open unless the model declares `NEEDS_BAR`.
    pub high: f64,
    /// Low of the bar, as `high`.
    pub low: f64,
    /// Close of the bar, as `high`.
    pub close: f64,
    /// Volume of the bar, as `high`; size of the quote's far side, or of the print.
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
    /// Uniform draws in [0, 1), as many as the table's `n_random`.
    pub random: [f64; 4],
    /// Mean volume of the last `average_days` sessions before this one; NaN unless asked for, where a volume is missing
    /// and before the first session.
    pub average_volume: f64,
    /// Standard deviation of the daily returns of as many sessions, a fraction per day; NaN unless asked for, and with
    /// fewer than two returns.
    pub volatility: f64,
}

impl SlippageContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        phase: Phase(0),
        reserved: 0,
        price: f64::NAN,
        quantity: f64::NAN,
        open: f64::NAN,
        high: f64::NAN,
        low: f64::NAN,
        close: f64::NAN,
        volume: f64::NAN,
        bid: f64::NAN,
        ask: f64::NAN,
        volume_used: f64::NAN,
        tick_size: f64::NAN,
        lot_size: f64::NAN,
        multiplier: f64::NAN,
        random: [f64::NAN; 4],
        average_volume: f64::NAN,
        volatility: f64::NAN,
    };
}

const _: () = {
    assert!(size_of::<SlippageContext>() == 184);
    assert!(offset_of!(SlippageContext, phase) == 24);
    assert!(offset_of!(SlippageContext, reserved) == 28);
    assert!(offset_of!(SlippageContext, price) == 32);
    assert!(offset_of!(SlippageContext, quantity) == 40);
    assert!(offset_of!(SlippageContext, open) == 48);
    assert!(offset_of!(SlippageContext, high) == 56);
    assert!(offset_of!(SlippageContext, low) == 64);
    assert!(offset_of!(SlippageContext, close) == 72);
    assert!(offset_of!(SlippageContext, volume) == 80);
    assert!(offset_of!(SlippageContext, bid) == 88);
    assert!(offset_of!(SlippageContext, ask) == 96);
    assert!(offset_of!(SlippageContext, volume_used) == 104);
    assert!(offset_of!(SlippageContext, tick_size) == 112);
    assert!(offset_of!(SlippageContext, lot_size) == 120);
    assert!(offset_of!(SlippageContext, multiplier) == 128);
    assert!(offset_of!(SlippageContext, random) == 136);
    assert!(offset_of!(SlippageContext, average_volume) == 168);
    assert!(offset_of!(SlippageContext, volatility) == 176);
};

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

impl SlippageOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { adjustment: f64::NAN, spread: f64::NAN, quantity_cap: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<SlippageOutput>() == 32);
    assert!(offset_of!(SlippageOutput, adjustment) == 0);
    assert!(offset_of!(SlippageOutput, spread) == 8);
    assert!(offset_of!(SlippageOutput, quantity_cap) == 16);
    assert!(offset_of!(SlippageOutput, code) == 24);
};

/// What an impact model sees: a fill of `quantity` about to happen at `price`, before any impact.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ImpactContext {
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
    /// Quantity of the whole order.
    pub order_quantity: f64,
    /// Quantity of the order filled before this fill.
    pub order_filled_quantity: f64,
    /// Open of the bar.
    pub open: f64,
    /// High of the bar; NaN at the open unless the model declares `NEEDS_BAR`.
    pub high: f64,
    /// Low of the bar, as `high`.
    pub low: f64,
    /// Close of the bar, as `high`.
    pub close: f64,
    /// Volume of the bar, as `high`; size of the quote's far side, or of the print.
    pub volume: f64,
    /// Best bid.
    pub bid: f64,
    /// Best ask.
    pub ask: f64,
    /// Quantity that earlier orders took from this bar or event.
    pub volume_used: f64,
    /// Mean volume of the last `average_days` sessions before this one; NaN unless asked for, where a volume is missing
    /// and before the first session.
    pub average_volume: f64,
    /// Standard deviation of the daily returns of as many sessions, a fraction per day; NaN unless asked for, and with
    /// fewer than two returns.
    pub volatility: f64,
    /// Permanent impact of our fills so far that stands in this instrument, in price units, positive when it is up.
    pub displacement: f64,
    /// Smallest price step.
    pub tick_size: f64,
    /// Smallest quantity step.
    pub lot_size: f64,
    /// Contract multiplier.
    pub multiplier: f64,
    /// Uniform draws in [0, 1), as many as the table's `n_random`.
    pub random: [f64; 4],
}

impl ImpactContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        phase: Phase(0),
        reserved: 0,
        price: f64::NAN,
        quantity: f64::NAN,
        order_quantity: f64::NAN,
        order_filled_quantity: f64::NAN,
        open: f64::NAN,
        high: f64::NAN,
        low: f64::NAN,
        close: f64::NAN,
        volume: f64::NAN,
        bid: f64::NAN,
        ask: f64::NAN,
        volume_used: f64::NAN,
        average_volume: f64::NAN,
        volatility: f64::NAN,
        displacement: f64::NAN,
        tick_size: f64::NAN,
        lot_size: f64::NAN,
        multiplier: f64::NAN,
        random: [f64::NAN; 4],
    };
}

const _: () = {
    assert!(size_of::<ImpactContext>() == 208);
    assert!(offset_of!(ImpactContext, phase) == 24);
    assert!(offset_of!(ImpactContext, reserved) == 28);
    assert!(offset_of!(ImpactContext, price) == 32);
    assert!(offset_of!(ImpactContext, quantity) == 40);
    assert!(offset_of!(ImpactContext, order_quantity) == 48);
    assert!(offset_of!(ImpactContext, order_filled_quantity) == 56);
    assert!(offset_of!(ImpactContext, open) == 64);
    assert!(offset_of!(ImpactContext, high) == 72);
    assert!(offset_of!(ImpactContext, low) == 80);
    assert!(offset_of!(ImpactContext, close) == 88);
    assert!(offset_of!(ImpactContext, volume) == 96);
    assert!(offset_of!(ImpactContext, bid) == 104);
    assert!(offset_of!(ImpactContext, ask) == 112);
    assert!(offset_of!(ImpactContext, volume_used) == 120);
    assert!(offset_of!(ImpactContext, average_volume) == 128);
    assert!(offset_of!(ImpactContext, volatility) == 136);
    assert!(offset_of!(ImpactContext, displacement) == 144);
    assert!(offset_of!(ImpactContext, tick_size) == 152);
    assert!(offset_of!(ImpactContext, lot_size) == 160);
    assert!(offset_of!(ImpactContext, multiplier) == 168);
    assert!(offset_of!(ImpactContext, random) == 176);
};

/// What an impact model answers, per unit and positive when it hurts the order.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ImpactOutput {
    /// Paid by this fill and gone after it.
    pub temporary: f64,
    /// How far this fill moves the prices of our later fills.
    pub permanent: f64,
    /// Reason of a refusal.
    pub code: u64,
}

impl ImpactOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { temporary: f64::NAN, permanent: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<ImpactOutput>() == 24);
    assert!(offset_of!(ImpactOutput, temporary) == 0);
    assert!(offset_of!(ImpactOutput, permanent) == 8);
    assert!(offset_of!(ImpactOutput, code) == 16);
};

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
    /// `abs(price) x quantity x multiplier`.
    pub notional: f64,
    /// Quantity of the order filled before this fill.
    pub order_filled_quantity: f64,
    /// Notional of the order filled before this fill.
    pub order_notional: f64,
    /// Fees charged to the order before this fill.
    pub order_fees: f64,
    /// Quantity that the account traded in this calendar month (UTC) before this fill, all instruments.
    pub month_quantity: f64,
    /// Notional that the account traded in this calendar month (UTC) before this fill, all instruments, in the base
    /// currency.
    pub month_notional: f64,
}

impl FeeContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        liquidity: Liquidity(0),
        reserved: 0,
        price: f64::NAN,
        quantity: f64::NAN,
        multiplier: f64::NAN,
        notional: f64::NAN,
        order_filled_quantity: f64::NAN,
        order_notional: f64::NAN,
        order_fees: f64::NAN,
        month_quantity: f64::NAN,
        month_notional: f64::NAN,
    };
}

const _: () = {
    assert!(size_of::<FeeContext>() == 104);
    assert!(offset_of!(FeeContext, liquidity) == 24);
    assert!(offset_of!(FeeContext, reserved) == 28);
    assert!(offset_of!(FeeContext, price) == 32);
    assert!(offset_of!(FeeContext, quantity) == 40);
    assert!(offset_of!(FeeContext, multiplier) == 48);
    assert!(offset_of!(FeeContext, notional) == 56);
    assert!(offset_of!(FeeContext, order_filled_quantity) == 64);
    assert!(offset_of!(FeeContext, order_notional) == 72);
    assert!(offset_of!(FeeContext, order_fees) == 80);
    assert!(offset_of!(FeeContext, month_quantity) == 88);
    assert!(offset_of!(FeeContext, month_notional) == 96);
};

/// What a fee model answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FeeOutput {
    /// Money in the instrument's currency; negative for a rebate.
    pub fee: f64,
    /// Reason of a refusal.
    pub code: u64,
}

impl FeeOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { fee: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<FeeOutput>() == 16);
    assert!(offset_of!(FeeOutput, fee) == 0);
    assert!(offset_of!(FeeOutput, code) == 8);
};

/// A fill that was booked, for `observe`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FillEvent {
    /// Common header.
    pub header: Header,
    /// Number of the order, from 1.
    pub order: u64,
    /// Fill price.
    pub price: f64,
    /// Quantity, positive.
    pub quantity: f64,
    /// Contract multiplier.
    pub multiplier: f64,
    /// Fee.
    pub fee: f64,
    /// Slippage per unit.
    pub slippage: f64,
    /// Impact per unit.
    pub impact: f64,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Zero.
    pub reserved: u32,
}

impl FillEvent {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        order: 0,
        price: f64::NAN,
        quantity: f64::NAN,
        multiplier: f64::NAN,
        fee: f64::NAN,
        slippage: f64::NAN,
        impact: f64::NAN,
        liquidity: Liquidity(0),
        reserved: 0,
    };
}

const _: () = {
    assert!(size_of::<FillEvent>() == 88);
    assert!(offset_of!(FillEvent, order) == 24);
    assert!(offset_of!(FillEvent, price) == 32);
    assert!(offset_of!(FillEvent, quantity) == 40);
    assert!(offset_of!(FillEvent, multiplier) == 48);
    assert!(offset_of!(FillEvent, fee) == 56);
    assert!(offset_of!(FillEvent, slippage) == 64);
    assert!(offset_of!(FillEvent, impact) == 72);
    assert!(offset_of!(FillEvent, liquidity) == 80);
    assert!(offset_of!(FillEvent, reserved) == 84);
};

/// A quote or print, for `on_market` of a fill model.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MarketEvent {
    /// Common header.
    pub header: Header,
    /// Quote or trade.
    pub phase: Phase,
    /// Zero.
    pub reserved: u32,
    /// Best bid.
    pub bid: f64,
    /// Best ask.
    pub ask: f64,
    /// Size at the bid.
    pub bid_size: f64,
    /// Size at the ask.
    pub ask_size: f64,
    /// Price of the print.
    pub trade_price: f64,
    /// Size of the print.
    pub trade_size: f64,
    /// Number of the order in the run.
    pub order: u64,
    /// Its limit.
    pub limit_price: f64,
    /// Still to fill.
    pub leaves_quantity: f64,
}

impl MarketEvent {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        phase: Phase(0),
        reserved: 0,
        bid: f64::NAN,
        ask: f64::NAN,
        bid_size: f64::NAN,
        ask_size: f64::NAN,
        trade_price: f64::NAN,
        trade_size: f64::NAN,
        order: 0,
        limit_price: f64::NAN,
        leaves_quantity: f64::NAN,
    };
}

const _: () = {
    assert!(size_of::<MarketEvent>() == 104);
    assert!(offset_of!(MarketEvent, phase) == 24);
    assert!(offset_of!(MarketEvent, reserved) == 28);
    assert!(offset_of!(MarketEvent, bid) == 32);
    assert!(offset_of!(MarketEvent, ask) == 40);
    assert!(offset_of!(MarketEvent, bid_size) == 48);
    assert!(offset_of!(MarketEvent, ask_size) == 56);
    assert!(offset_of!(MarketEvent, trade_price) == 64);
    assert!(offset_of!(MarketEvent, trade_size) == 72);
    assert!(offset_of!(MarketEvent, order) == 80);
    assert!(offset_of!(MarketEvent, limit_price) == 88);
    assert!(offset_of!(MarketEvent, leaves_quantity) == 96);
};

/// A position as models of a whole portfolio see it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Holding {
    /// Index of the instrument in the run.
    pub asset: u32,
    /// Zero.
    pub reserved: u32,
    /// Signed.
    pub quantity: f64,
    /// Price at which it is valued.
    pub mark: f64,
    /// Contract multiplier.
    pub multiplier: f64,
    /// Base currency for one unit of the instrument's currency.
    pub fx: f64,
    /// Of the margin rates in force; NaN without one.
    pub initial_rate: f64,
    /// Likewise.
    pub maintenance_rate: f64,
    /// Smallest quantity that is traded.
    pub lot_size: f64,
    /// What the position has gained, in the base currency; of liquidation models alone, else NaN.
    pub unrealized: f64,
    /// What is needed to hold it, in the base currency; likewise.
    pub requirement: f64,
}

impl Holding {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        asset: 0,
        reserved: 0,
        quantity: f64::NAN,
        mark: f64::NAN,
        multiplier: f64::NAN,
        fx: f64::NAN,
        initial_rate: f64::NAN,
        maintenance_rate: f64::NAN,
        lot_size: f64::NAN,
        unrealized: f64::NAN,
        requirement: f64::NAN,
    };
}

const _: () = {
    assert!(size_of::<Holding>() == 80);
    assert!(offset_of!(Holding, asset) == 0);
    assert!(offset_of!(Holding, reserved) == 4);
    assert!(offset_of!(Holding, quantity) == 8);
    assert!(offset_of!(Holding, mark) == 16);
    assert!(offset_of!(Holding, multiplier) == 24);
    assert!(offset_of!(Holding, fx) == 32);
    assert!(offset_of!(Holding, initial_rate) == 40);
    assert!(offset_of!(Holding, maintenance_rate) == 48);
    assert!(offset_of!(Holding, lot_size) == 56);
    assert!(offset_of!(Holding, unrealized) == 64);
    assert!(offset_of!(Holding, requirement) == 72);
};

/// What a margin model sees beside the positions.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MarginContext {
    /// Common header.
    pub header: Header,
    /// Cash in the base currency.
    pub cash: f64,
    /// Equity in the base currency.
    pub equity: f64,
}

impl MarginContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { header: Header::UNSET, cash: f64::NAN, equity: f64::NAN };
}

const _: () = {
    assert!(size_of::<MarginContext>() == 40);
    assert!(offset_of!(MarginContext, cash) == 24);
    assert!(offset_of!(MarginContext, equity) == 32);
};

/// What a margin model answers for the whole portfolio, in the base currency; the maintenance of each position is an
/// array beside it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MarginOutput {
    /// Needed to open.
    pub initial: f64,
    /// Needed to hold.
    pub maintenance: f64,
    /// Reason of a refusal.
    pub code: u64,
    /// Needed at the close of a session; NaN where nothing is tested then.
    pub overnight: f64,
}

impl MarginOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { initial: f64::NAN, maintenance: f64::NAN, code: 0, overnight: f64::NAN };
}

const _: () = {
    assert!(size_of::<MarginOutput>() == 32);
    assert!(offset_of!(MarginOutput, initial) == 0);
    assert!(offset_of!(MarginOutput, maintenance) == 8);
    assert!(offset_of!(MarginOutput, code) == 16);
    assert!(offset_of!(MarginOutput, overnight) == 24);
};

/// What a liquidation model sees beside the positions.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LiquidationContext {
    /// Common header.
    pub header: Header,
    /// Cash in the base currency.
    pub cash: f64,
    /// Equity in the base currency.
    pub equity: f64,
    /// What equity lacks of what is needed.
    pub deficit: f64,
}

impl LiquidationContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { header: Header::UNSET, cash: f64::NAN, equity: f64::NAN, deficit: f64::NAN };
}

const _: () = {
    assert!(size_of::<LiquidationContext>() == 48);
    assert!(offset_of!(LiquidationContext, cash) == 24);
    assert!(offset_of!(LiquidationContext, equity) == 32);
    assert!(offset_of!(LiquidationContext, deficit) == 40);
};

/// What a liquidation model answers beside the quantities to close.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LiquidationOutput {
    /// Reason of a refusal.
    pub code: u64,
}

impl LiquidationOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { code: 0 };
}

const _: () = {
    assert!(size_of::<LiquidationOutput>() == 8);
    assert!(offset_of!(LiquidationOutput, code) == 0);
};

/// What a borrow model sees: a short position that was held over some days.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BorrowContext {
    /// Common header.
    pub header: Header,
    /// Settlement price.
    pub price: f64,
    /// Size of the short position, positive.
    pub quantity: f64,
    /// Contract multiplier.
    pub multiplier: f64,
    /// Calendar days.
    pub days: f64,
    /// Borrow rate of the data, a fraction per year; NaN without one.
    pub rate_annual: f64,
}

impl BorrowContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        price: f64::NAN,
        quantity: f64::NAN,
        multiplier: f64::NAN,
        days: f64::NAN,
        rate_annual: f64::NAN,
    };
}

const _: () = {
    assert!(size_of::<BorrowContext>() == 64);
    assert!(offset_of!(BorrowContext, price) == 24);
    assert!(offset_of!(BorrowContext, quantity) == 32);
    assert!(offset_of!(BorrowContext, multiplier) == 40);
    assert!(offset_of!(BorrowContext, days) == 48);
    assert!(offset_of!(BorrowContext, rate_annual) == 56);
};

/// What a borrow model answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BorrowOutput {
    /// Money in the instrument's currency, positive when it is paid.
    pub fee: f64,
    /// Reason of a refusal.
    pub code: u64,
}

impl BorrowOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { fee: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<BorrowOutput>() == 16);
    assert!(offset_of!(BorrowOutput, fee) == 0);
    assert!(offset_of!(BorrowOutput, code) == 8);
};

/// What a funding model sees: a position at a funding instant.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FundingContext {
    /// Common header.
    pub header: Header,
    /// Mark price.
    pub mark: f64,
    /// Signed position.
    pub quantity: f64,
    /// Contract multiplier.
    pub multiplier: f64,
    /// Funding rate of the data, a fraction per interval.
    pub rate: f64,
}

impl FundingContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self =
        Self { header: Header::UNSET, mark: f64::NAN, quantity: f64::NAN, multiplier: f64::NAN, rate: f64::NAN };
}

const _: () = {
    assert!(size_of::<FundingContext>() == 56);
    assert!(offset_of!(FundingContext, mark) == 24);
    assert!(offset_of!(FundingContext, quantity) == 32);
    assert!(offset_of!(FundingContext, multiplier) == 40);
    assert!(offset_of!(FundingContext, rate) == 48);
};

/// What a funding model answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FundingOutput {
    /// Cash that the account gets; negative when it pays.
    pub payment: f64,
    /// Reason of a refusal.
    pub code: u64,
}

impl FundingOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { payment: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<FundingOutput>() == 16);
    assert!(offset_of!(FundingOutput, payment) == 0);
    assert!(offset_of!(FundingOutput, code) == 8);
};

/// What an interest model sees: the cash of an account over some days.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InterestContext {
    /// Common header.
    pub header: Header,
    /// Balance at the begin of the days, negative where it is owed; proceeds of short sales are in it.
    pub cash: f64,
    /// Size of all short positions then, at their marks.
    pub short_value: f64,
    /// Calendar days.
    pub days: f64,
}

impl InterestContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { header: Header::UNSET, cash: f64::NAN, short_value: f64::NAN, days: f64::NAN };
}

const _: () = {
    assert!(size_of::<InterestContext>() == 48);
    assert!(offset_of!(InterestContext, cash) == 24);
    assert!(offset_of!(InterestContext, short_value) == 32);
    assert!(offset_of!(InterestContext, days) == 40);
};

/// What an interest model answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InterestOutput {
    /// Cash that the account gets; negative when it pays.
    pub payment: f64,
    /// Reason of a refusal.
    pub code: u64,
}

impl InterestOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { payment: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<InterestOutput>() == 16);
    assert!(offset_of!(InterestOutput, payment) == 0);
    assert!(offset_of!(InterestOutput, code) == 8);
};

/// What a latency model sees: a message that leaves.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LatencyContext {
    /// Common header.
    pub header: Header,
    /// What it asks for.
    pub message: Message,
    /// Index of the venue in the run.
    pub venue: u32,
    /// Uniform draws in [0, 1), as many as the table's `n_random`.
    pub random: [f64; 4],
}

impl LatencyContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { header: Header::UNSET, message: Message(0), venue: 0, random: [f64::NAN; 4] };
}

const _: () = {
    assert!(size_of::<LatencyContext>() == 64);
    assert!(offset_of!(LatencyContext, message) == 24);
    assert!(offset_of!(LatencyContext, venue) == 28);
    assert!(offset_of!(LatencyContext, random) == 32);
};

/// What a latency model answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LatencyOutput {
    /// Delay in ns, 0 or more.
    pub delay_ns: f64,
    /// Reason of a refusal.
    pub code: u64,
}

impl LatencyOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { delay_ns: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<LatencyOutput>() == 16);
    assert!(offset_of!(LatencyOutput, delay_ns) == 0);
    assert!(offset_of!(LatencyOutput, code) == 8);
};

/// What an fx model sees: money to convert.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FxContext {
    /// Common header.
    pub header: Header,
    /// Signed amount of the foreign currency.
    pub amount: f64,
    /// Middle rate of the data: base currency for one unit of the foreign one.
    pub rate: f64,
}

impl FxContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { header: Header::UNSET, amount: f64::NAN, rate: f64::NAN };
}

const _: () = {
    assert!(size_of::<FxContext>() == 40);
    assert!(offset_of!(FxContext, amount) == 24);
    assert!(offset_of!(FxContext, rate) == 32);
};

/// What an fx model answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FxOutput {
    /// Rate of the conversion.
    pub rate: f64,
    /// Fee in the base currency.
    pub fee: f64,
    /// Reason of a refusal.
    pub code: u64,
}

impl FxOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { rate: f64::NAN, fee: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<FxOutput>() == 24);
    assert!(offset_of!(FxOutput, rate) == 0);
    assert!(offset_of!(FxOutput, fee) == 8);
    assert!(offset_of!(FxOutput, code) == 16);
};

/// What a settlement model sees: money of a fill.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SettlementContext {
    /// Common header.
    pub header: Header,
    /// Signed amount.
    pub amount: f64,
    /// Session of the fill, days since 1970-01-01.
    pub session: i64,
}

impl SettlementContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { header: Header::UNSET, amount: f64::NAN, session: 0 };
}

const _: () = {
    assert!(size_of::<SettlementContext>() == 40);
    assert!(offset_of!(SettlementContext, amount) == 24);
    assert!(offset_of!(SettlementContext, session) == 32);
};

/// What a settlement model answers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SettlementOutput {
    /// After how many sessions the money is there, a whole number of 0 or more.
    pub sessions: f64,
    /// Reason of a refusal.
    pub code: u64,
}

impl SettlementOutput {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { sessions: f64::NAN, code: 0 };
}

const _: () = {
    assert!(size_of::<SettlementOutput>() == 16);
    assert!(offset_of!(SettlementOutput, sessions) == 0);
    assert!(offset_of!(SettlementOutput, code) == 8);
};

/// What a strategy, risk, liquidation or executor kernel asks for.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct OrderRecord {
    /// New, modify, cancel or target.
    pub action: Action,
    /// Index of the instrument.
    pub asset: u32,
    /// Of a new order.
    pub order_type: OrderType,
    /// Of a new order.
    pub life: Life,
    /// The kernel's own number of the order, above 0, by which it changes and cancels it; 0 for none.
    pub client_id: u64,
    /// Orders of one number above 0 cancel each other: the first that fills ends the rest.
    pub group: u64,
    /// `client_id` of the order whose fill this one waits for; 0 for none.
    pub parent: u64,
    /// Signed: positive buys. Of a target the position.
    pub quantity: f64,
    /// NaN without one.
    pub limit_price: f64,
    /// NaN without one.
    pub stop_price: f64,
}

impl OrderRecord {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        action: Action(0),
        asset: 0,
        order_type: OrderType(0),
        life: Life(0),
        client_id: 0,
        group: 0,
        parent: 0,
        quantity: f64::NAN,
        limit_price: f64::NAN,
        stop_price: f64::NAN,
    };
}

const _: () = {
    assert!(size_of::<OrderRecord>() == 64);
    assert!(offset_of!(OrderRecord, action) == 0);
    assert!(offset_of!(OrderRecord, asset) == 4);
    assert!(offset_of!(OrderRecord, order_type) == 8);
    assert!(offset_of!(OrderRecord, life) == 12);
    assert!(offset_of!(OrderRecord, client_id) == 16);
    assert!(offset_of!(OrderRecord, group) == 24);
    assert!(offset_of!(OrderRecord, parent) == 32);
    assert!(offset_of!(OrderRecord, quantity) == 40);
    assert!(offset_of!(OrderRecord, limit_price) == 48);
    assert!(offset_of!(OrderRecord, stop_price) == 56);
};

/// An order at work, as kernels see it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct OpenOrder {
    /// Index of the instrument.
    pub asset: u32,
    /// Its type.
    pub order_type: OrderType,
    /// The kernel's own number, 0 where it gave none.
    pub client_id: u64,
    /// Signed: positive buys.
    pub leaves_quantity: f64,
    /// NaN without one.
    pub limit_price: f64,
    /// NaN without one.
    pub stop_price: f64,
}

impl OpenOrder {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        asset: 0,
        order_type: OrderType(0),
        client_id: 0,
        leaves_quantity: f64::NAN,
        limit_price: f64::NAN,
        stop_price: f64::NAN,
    };
}

const _: () = {
    assert!(size_of::<OpenOrder>() == 40);
    assert!(offset_of!(OpenOrder, asset) == 0);
    assert!(offset_of!(OpenOrder, order_type) == 4);
    assert!(offset_of!(OpenOrder, client_id) == 8);
    assert!(offset_of!(OpenOrder, leaves_quantity) == 16);
    assert!(offset_of!(OpenOrder, limit_price) == 24);
    assert!(offset_of!(OpenOrder, stop_price) == 32);
};

/// What a strategy kernel sees at an instant beside the arrays.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StrategyContext {
    /// Common header.
    pub header: Header,
    /// Instruments of the run.
    pub n_assets: u32,
    /// Columns of the matrix, in the sequence in which the kernel asked for them.
    pub n_columns: u32,
    /// Instruments with a new row at this instant.
    pub n_changed: u32,
    /// Orders at work.
    pub n_open_orders: u32,
    /// Fills since the last call.
    pub n_fills: u32,
    /// 1 at the close of a session, else 0.
    pub session_closed: u32,
    /// Cash.
    pub cash: f64,
    /// Equity at the last marks.
    pub equity: f64,
    /// Number of the call in this run, from 0.
    pub instant: u64,
}

impl StrategyContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        n_assets: 0,
        n_columns: 0,
        n_changed: 0,
        n_open_orders: 0,
        n_fills: 0,
        session_closed: 0,
        cash: f64::NAN,
        equity: f64::NAN,
        instant: 0,
    };
}

const _: () = {
    assert!(size_of::<StrategyContext>() == 72);
    assert!(offset_of!(StrategyContext, n_assets) == 24);
    assert!(offset_of!(StrategyContext, n_columns) == 28);
    assert!(offset_of!(StrategyContext, n_changed) == 32);
    assert!(offset_of!(StrategyContext, n_open_orders) == 36);
    assert!(offset_of!(StrategyContext, n_fills) == 40);
    assert!(offset_of!(StrategyContext, session_closed) == 44);
    assert!(offset_of!(StrategyContext, cash) == 48);
    assert!(offset_of!(StrategyContext, equity) == 56);
    assert!(offset_of!(StrategyContext, instant) == 64);
};

/// What an execution algorithm sees: one order that it works, and its market. `header.side` and `header.asset` are
/// those of the order.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ExecutorContext {
    /// Common header.
    pub header: Header,
    /// Instant at which the order was given, ns UTC.
    pub begin_ns: i64,
    /// Number of the call for this order, from 0.
    pub call: u64,
    /// Orders at work.
    pub n_open_orders: u32,
    /// Zero.
    pub reserved: u32,
    /// Time since it was given, in sessions of the instrument's calendar: 0.5 is half of a session, and what lies
    /// between sessions does not count.
    pub elapsed: f64,
    /// The whole order, positive.
    pub quantity: f64,
    /// What has traded of it.
    pub filled: f64,
    /// What its orders at work still have to trade.
    pub working: f64,
    /// Average price of its fills; NaN before the first.
    pub average_price: f64,
    /// Last price that is known: close of a bar, print, or middle of a quote.
    pub price: f64,
    /// Best bid of the last quote.
    pub bid: f64,
    /// Best ask.
    pub ask: f64,
    /// Size at the bid.
    pub bid_size: f64,
    /// Size at the ask.
    pub ask_size: f64,
    /// Volume of the market since the call before.
    pub volume: f64,
    /// Volume of the market since the order was given.
    pub total_volume: f64,
    /// Mean volume of the sessions before the present one, over `average_days`.
    pub average_volume: f64,
    /// Standard deviation of their daily returns, a fraction per day.
    pub volatility: f64,
    /// Smallest step of a quantity.
    pub lot_size: f64,
    /// Smallest step of a price.
    pub tick_size: f64,
    /// Contract multiplier.
    pub multiplier: f64,
    /// Uniform draws in [0, 1), as many as the table's `n_random`.
    pub random: [f64; 4],
}

impl ExecutorContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self {
        header: Header::UNSET,
        begin_ns: 0,
        call: 0,
        n_open_orders: 0,
        reserved: 0,
        elapsed: f64::NAN,
        quantity: f64::NAN,
        filled: f64::NAN,
        working: f64::NAN,
        average_price: f64::NAN,
        price: f64::NAN,
        bid: f64::NAN,
        ask: f64::NAN,
        bid_size: f64::NAN,
        ask_size: f64::NAN,
        volume: f64::NAN,
        total_volume: f64::NAN,
        average_volume: f64::NAN,
        volatility: f64::NAN,
        lot_size: f64::NAN,
        tick_size: f64::NAN,
        multiplier: f64::NAN,
        random: [f64::NAN; 4],
    };
}

const _: () = {
    assert!(size_of::<ExecutorContext>() == 216);
    assert!(offset_of!(ExecutorContext, begin_ns) == 24);
    assert!(offset_of!(ExecutorContext, call) == 32);
    assert!(offset_of!(ExecutorContext, n_open_orders) == 40);
    assert!(offset_of!(ExecutorContext, reserved) == 44);
    assert!(offset_of!(ExecutorContext, elapsed) == 48);
    assert!(offset_of!(ExecutorContext, quantity) == 56);
    assert!(offset_of!(ExecutorContext, filled) == 64);
    assert!(offset_of!(ExecutorContext, working) == 72);
    assert!(offset_of!(ExecutorContext, average_price) == 80);
    assert!(offset_of!(ExecutorContext, price) == 88);
    assert!(offset_of!(ExecutorContext, bid) == 96);
    assert!(offset_of!(ExecutorContext, ask) == 104);
    assert!(offset_of!(ExecutorContext, bid_size) == 112);
    assert!(offset_of!(ExecutorContext, ask_size) == 120);
    assert!(offset_of!(ExecutorContext, volume) == 128);
    assert!(offset_of!(ExecutorContext, total_volume) == 136);
    assert!(offset_of!(ExecutorContext, average_volume) == 144);
    assert!(offset_of!(ExecutorContext, volatility) == 152);
    assert!(offset_of!(ExecutorContext, lot_size) == 160);
    assert!(offset_of!(ExecutorContext, tick_size) == 168);
    assert!(offset_of!(ExecutorContext, multiplier) == 176);
    assert!(offset_of!(ExecutorContext, random) == 184);
};

/// What an indicator sees beside its column: `header.asset` is the instrument.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct IndicatorContext {
    /// Common header.
    pub header: Header,
    /// Rows of the column, oldest first.
    pub n_rows: u64,
}

impl IndicatorContext {
    /// Nothing set: floats are NaN, everything else is zero.
    pub const UNSET: Self = Self { header: Header::UNSET, n_rows: 0 };
}

const _: () = {
    assert!(size_of::<IndicatorContext>() == 32);
    assert!(offset_of!(IndicatorContext, n_rows) == 24);
};

/// A native model: what it is, and its functions. Missing functions are null.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ModelTable {
    /// The bytes `ML4TMDL1`.
    pub magic: u64,
    /// Size of the table as its producer was compiled; what is beyond it counts as null or 0.
    pub struct_size: u32,
    /// Must be the engine's.
    pub abi_major: u16,
    /// May be any.
    pub abi_minor: u16,
    /// What the model decides.
    pub kind: Kind,
    /// Bits of `Flag`.
    pub flags: u32,
    /// Size of the context as the producer was compiled; at most the engine's.
    pub context_size: u32,
    /// Size of the output, likewise; 0 for kinds without one.
    pub output_size: u32,
    /// Uniform draws wanted for a call, at most 4.
    pub n_random: u32,
    /// Bytes that the engine keeps for every order of a fill model, at most 256.
    pub order_state_size: u32,
    /// Name of the model, UTF-8 with a final zero.
    pub name: *const c_char,
    /// Version of the model, likewise.
    pub model_version: *const c_char,
    /// The configured state that runs are cloned from.
    pub proto: *mut c_void,
    /// A new, independent state; null means that memory is out. May be missing for a STATELESS model.
    pub clone: Option<unsafe extern "C" fn(*const c_void) -> *mut c_void>,
    /// At the start of every run, with the seed of the run. Optional.
    pub reset: Option<unsafe extern "C" fn(*mut c_void, u64) -> Status>,
    /// Frees a state of `clone`; has to accept null.
    pub drop: Option<unsafe extern "C" fn(*mut c_void)>,
    /// The call itself, with the arguments of the kind.
    pub eval: Option<unsafe extern "C" fn()>,
    /// After every fill of the run, whoever made it; only with `NEEDS_OBSERVE`. Optional.
    pub observe: Option<unsafe extern "C" fn(*mut c_void, *const FillEvent) -> Status>,
    /// Writes UTF-8 text of the last error and returns its length; called after an error only. Optional.
    pub last_error: Option<unsafe extern "C" fn(*const c_void, *mut u8, usize) -> usize>,
    /// Writes the state and returns its size, also when the room does not suffice; the largest number is an error.
    /// Optional.
    pub save: Option<unsafe extern "C" fn(*const c_void, *mut u8, usize) -> usize>,
    /// Takes over what `save` wrote, in a state of equal parameters. Optional.
    pub load: Option<unsafe extern "C" fn(*mut c_void, *const u8, usize) -> Status>,
    /// Frees the table and its `proto`; called once, by whoever owns the table. Optional.
    pub release: Option<unsafe extern "C" fn(*mut ModelTable)>,
    /// Of a fill model: a quote or print that an order at work was active for, after it was matched. Optional.
    pub on_market: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, *const MarketEvent) -> Status>,
    /// Sessions over which `average_volume` and `volatility` go; 0 where the model needs neither.
    pub average_days: u32,
    /// Columns that a strategy kernel wants.
    pub n_columns: u32,
    /// Their names, separated by commas: fields of the feeds, signals and features.
    pub columns: *const c_char,
}

const _: () = {
    assert!(size_of::<ModelTable>() == 160);
    assert!(offset_of!(ModelTable, magic) == 0);
    assert!(offset_of!(ModelTable, struct_size) == 8);
    assert!(offset_of!(ModelTable, abi_major) == 12);
    assert!(offset_of!(ModelTable, abi_minor) == 14);
    assert!(offset_of!(ModelTable, kind) == 16);
    assert!(offset_of!(ModelTable, flags) == 20);
    assert!(offset_of!(ModelTable, context_size) == 24);
    assert!(offset_of!(ModelTable, output_size) == 28);
    assert!(offset_of!(ModelTable, n_random) == 32);
    assert!(offset_of!(ModelTable, order_state_size) == 36);
    assert!(offset_of!(ModelTable, name) == 40);
    assert!(offset_of!(ModelTable, model_version) == 48);
    assert!(offset_of!(ModelTable, proto) == 56);
    assert!(offset_of!(ModelTable, clone) == 64);
    assert!(offset_of!(ModelTable, reset) == 72);
    assert!(offset_of!(ModelTable, drop) == 80);
    assert!(offset_of!(ModelTable, eval) == 88);
    assert!(offset_of!(ModelTable, observe) == 96);
    assert!(offset_of!(ModelTable, last_error) == 104);
    assert!(offset_of!(ModelTable, save) == 112);
    assert!(offset_of!(ModelTable, load) == 120);
    assert!(offset_of!(ModelTable, release) == 128);
    assert!(offset_of!(ModelTable, on_market) == 136);
    assert!(offset_of!(ModelTable, average_days) == 144);
    assert!(offset_of!(ModelTable, n_columns) == 148);
    assert!(offset_of!(ModelTable, columns) == 152);
};

/// `eval` of the kinds slippage, impact, fee, borrow, funding, latency, fx, settlement, interest: the state, then
/// context: the context of the kind; output: the output of the kind, its floats NaN.
pub type Eval<C, O> = unsafe extern "C" fn(*mut c_void, *const C, *mut O) -> Status;

/// `eval` of the kinds fill: the state, then context: the order and the market; `order_state`: `order_state_size` bytes
/// that belong to the order, zero at first; null where the size is 0; levels: levels of the book, best first;
/// `n_levels`: how many; 0 without a book; fills: room for the slices, their floats NaN; capacity: how many have room;
/// output: how many were written.
pub type EvalFill = unsafe extern "C" fn(
    *mut c_void,
    *const FillContext,
    *mut c_void,
    *const Level,
    u32,
    *mut FillSlice,
    u32,
    *mut FillOutput,
) -> Status;

/// `eval` of the kinds margin: the state, then context: the account; holdings: its positions, by instrument; at least
/// one; n: how many; requirement: maintenance of each, NaN before the call; output: of the whole portfolio.
pub type EvalMargin =
    unsafe extern "C" fn(*mut c_void, *const MarginContext, *const Holding, u32, *mut f64, *mut MarginOutput) -> Status;

/// `eval` of the kinds liquidation: the state, then context: the account; holdings: its positions, by instrument; at
/// least one; n: how many; close: quantity to close of each, zero or more, NaN before the call; output: beside it.
pub type EvalLiquidation = unsafe extern "C" fn(
    *mut c_void,
    *const LiquidationContext,
    *const Holding,
    u32,
    *mut f64,
    *mut LiquidationOutput,
) -> Status;

/// `eval` of the kinds strategy, risk: the state, then context: the instant and the account; changed: instruments with
/// a new row, `n_changed` of them, ascending; columns: last known values, `n_columns x n_assets`, one column after the
/// other; NaN before the first; positions: signed positions, `n_assets` of them; `open_orders`: orders at work,
/// `n_open_orders` of them, oldest first; fills: fills since the last call, `n_fills` of them; orders: room for what is
/// asked; capacity: how many have room; `n_orders`: how many were written, 0 before the call.
pub type EvalStrategy = unsafe extern "C" fn(
    *mut c_void,
    *const StrategyContext,
    *const u32,
    *const f64,
    *const f64,
    *const OpenOrder,
    *const FillEvent,
    *mut OrderRecord,
    u32,
    *mut u32,
) -> Status;

/// `eval` of the kinds executor: the state, then context: the order and its market; `open_orders`: its orders at work,
/// `n_open_orders` of them, oldest first; orders: room for what is asked: new orders, cancels, and changes of prices;
/// capacity: how many have room; `n_orders`: how many were written, 0 before the call.
pub type EvalExecutor = unsafe extern "C" fn(
    *mut c_void,
    *const ExecutorContext,
    *const OpenOrder,
    *mut OrderRecord,
    u32,
    *mut u32,
) -> Status;

/// `eval` of the kinds indicator: the state, then context: the instrument; values: the column, `n_rows` long; output:
/// as many numbers, NaN before the call.
pub type EvalIndicator = unsafe extern "C" fn(*mut c_void, *const IndicatorContext, *const f64, *mut f64) -> Status;
