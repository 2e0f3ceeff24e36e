//! What a run leaves behind: fixed-width rows, rendered to tables by whoever reads them.

use crate::currency::Rate;
use crate::ids::{BookId, CurrencyId, InstrumentId, OrderId};
use crate::ledger::{Posting, RoundTrip};
use crate::margin_call::{CallKind, CallStatus};
use crate::money::{Cash, Price};
use crate::order::{OrderStatus, Reason, Side};
use crate::time::Ns;

use ml4t_abi::{Liquidity, Phase};

mod attribution;
mod conversions;
mod excursions;
mod tables;

pub use attribution::{Contribution, Part};
pub use conversions::ConversionRow;
pub use tables::{Keep, TableRecorder};

/// A transition of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// When.
    pub ts: Ns,
    /// Which order.
    pub order: OrderId,
    /// State before.
    pub from: OrderStatus,
    /// State after.
    pub to: OrderStatus,
    /// Why.
    pub reason: Reason,
    /// Number of the sentence in the run's sentences, 0 where the reason's own says it all.
    pub text: u32,
    /// Filled quantity after it.
    pub filled: i64,
}

/// One execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Running number.
    pub number: u64,
    /// Order.
    pub order: OrderId,
    /// Whose.
    pub book: BookId,
    /// When it is booked.
    pub ts: Ns,
    /// Instrument.
    pub instrument: InstrumentId,
    /// Side.
    pub side: Side,
    /// Size.
    pub quantity: i64,
    /// Final price: reference + side x (spread + slippage + impact).
    pub price: Price,
    /// Price the market offered.
    pub reference: Price,
    /// Half spread paid per unit.
    pub spread: Price,
    /// Slippage paid per unit.
    pub slippage: Price,
    /// Impact paid per unit.
    pub impact: Price,
    /// The part of it that earlier fills of the run left in the price.
    pub permanent_impact: Price,
    /// Fee, negative for a rebate.
    pub fee: Cash,
    /// Price x quantity x multiplier, positive for a positive price.
    pub notional: Cash,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Where in the bar, or at which event.
    pub phase: Phase,
    /// What one unit of its currency was worth in the base currency.
    pub fx_rate: Cash,
    /// Whether its order belongs to a roll.
    pub is_of_roll: bool,
}

/// A position at a net asset value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionRow {
    /// When.
    pub ts: Ns,
    /// Session label, days since 1970.
    pub session: i32,
    /// Whose.
    pub book: BookId,
    /// Instrument.
    pub instrument: InstrumentId,
    /// Signed quantity.
    pub quantity: i64,
    /// Signed cost.
    pub cost: Cash,
    /// Variation margin that it has received.
    pub settled: Cash,
    /// Mark.
    pub mark: Price,
    /// Value at the mark.
    pub value: Cash,
}

/// The account at one instant, all books together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortfolioRow {
    /// When.
    pub ts: Ns,
    /// Session label of a net asset value, days since 1970.
    pub session: Option<i32>,
    /// Cash.
    pub cash: Cash,
    /// Dividends due.
    pub receivable: Cash,
    /// Value of longs.
    pub long_value: Cash,
    /// Value of shorts, negative.
    pub short_value: Cash,
    /// What positions that are not paid for have gained since they were last settled.
    pub open_pnl: Cash,
    /// Values of those that are long.
    pub margined_long: Cash,
    /// Values of those that are short, negative.
    pub margined_short: Cash,
    /// Cash, receivable, longs, shorts and open result together; what the currencies are worth is converted once each, so that the parts may miss it by units of
    /// the ledger.
    pub equity: Cash,
    /// Cost of all positions, signed.
    pub cost: Cash,
    /// Realised gain before fees.
    pub realized: Cash,
    /// Fees paid.
    pub fees: Cash,
    /// Dividends earned.
    pub dividends: Cash,
    /// What holding cost.
    pub carry: Cash,
    /// What conversions have brought since, by the rates of now.
    pub fx: Cash,
    /// What they cost.
    pub fx_costs: Cash,
}

/// What a book has in one currency at the begin of the run, and at a net asset value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceRow {
    /// When.
    pub ts: Ns,
    /// Session label of a net asset value, days since 1970.
    pub session: Option<i32>,
    /// Whose.
    pub book: BookId,
    /// Of which currency.
    pub currency: CurrencyId,
    /// Cash.
    pub cash: Cash,
    /// Dividends due.
    pub receivable: Cash,
    /// Value of longs.
    pub long_value: Cash,
    /// Value of shorts, negative.
    pub short_value: Cash,
    /// What positions that are not paid for have gained since they were last settled.
    pub open_pnl: Cash,
    /// Rate to the base currency, if there is one yet.
    pub rate: Option<Rate>,
    /// All of it in the base currency.
    pub value: Cash,
}

/// A payment from outside, or to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// When.
    pub ts: Ns,
    /// Whose.
    pub book: BookId,
    /// In which currency.
    pub currency: CurrencyId,
    /// How much is paid in; below zero it is taken out.
    pub amount: Cash,
    /// What that is worth in the base currency.
    pub value: Cash,
    /// What all books were worth right before.
    pub equity: Cash,
}

/// What a book needs at a net asset value, in the base currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarginRow {
    /// When.
    pub ts: Ns,
    /// Session label, days since 1970.
    pub session: i32,
    /// Whose.
    pub book: BookId,
    /// Equity.
    pub equity: Cash,
    /// To open its positions.
    pub initial: Cash,
    /// To hold them.
    pub maintenance: Cash,
    /// To hold them over the close, if anything is tested then.
    pub overnight: Option<Cash>,
    /// Equity less maintenance.
    pub excess: Cash,
    /// The special memorandum account, if the test goes by one.
    pub sma: Option<Cash>,
}

/// A margin call, or what became of it; amounts are of the base currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarginCallRow {
    /// When.
    pub ts: Ns,
    /// Whose.
    pub book: BookId,
    /// What equity does not reach.
    pub kind: CallKind,
    /// What became of it.
    pub status: CallStatus,
    /// Equity.
    pub equity: Cash,
    /// What is needed.
    pub requirement: Cash,
    /// What is called for.
    pub amount: Cash,
    /// Until when.
    pub deadline: Option<Ns>,
}

/// What became of a conversion that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversionStatus {
    /// It happened.
    Executed,
    /// The account could not pay.
    Refused,
    /// The data ended before another rate.
    Expired,
}

impl ConversionStatus {
    /// Name in the table of conversions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

/// A conversion that a strategy asked for, at its end; the postings of one that happened follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedConversion {
    /// Number, from 1.
    pub id: u64,
    /// When it was asked for.
    pub ts_submitted: Ns,
    /// When it ended.
    pub ts: Ns,
    /// Whose.
    pub book: BookId,
    /// Of which foreign currency.
    pub currency: CurrencyId,
    /// How much is bought, or sold below zero.
    pub amount: Cash,
    /// What became of it.
    pub status: ConversionStatus,
    /// Number of the sentence in the run's sentences, 0 without one.
    pub text: u32,
}

/// Receives the rows of a run.
pub trait Recorder: Clone {
    /// A ledger row.
    fn posting(&mut self, row: &Posting);
    /// A transition of an order.
    fn order_event(&mut self, row: &OrderEvent);
    /// An execution.
    fn fill(&mut self, row: &Fill);
    /// An entry-to-exit pair.
    fn round_trip(&mut self, row: &RoundTrip);
    /// A position at a net asset value.
    fn position(&mut self, row: &PositionRow);
    /// The account at one instant.
    fn portfolio(&mut self, row: &PortfolioRow);
    /// What a book has in a currency at the begin, and at a net asset value; the row of the account follows.
    fn balance(&mut self, row: &BalanceRow);
    /// A payment from outside; its posting follows.
    fn flow(&mut self, row: &FlowRow);
    /// The end of a conversion that was asked for.
    fn conversion(&mut self, row: &AskedConversion);
    /// What a book needs at a net asset value.
    fn margin(&mut self, row: &MarginRow);
    /// A margin call, or what became of it.
    fn margin_call(&mut self, row: &MarginCallRow);
}

/// Keeps nothing: for runs of which only the metrics are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricsRecorder;

impl Recorder for MetricsRecorder {
    fn posting(&mut self, _: &Posting) {}
    fn order_event(&mut self, _: &OrderEvent) {}
    fn fill(&mut self, _: &Fill) {}
    fn round_trip(&mut self, _: &RoundTrip) {}
    fn position(&mut self, _: &PositionRow) {}
    fn portfolio(&mut self, _: &PortfolioRow) {}
    fn balance(&mut self, _: &BalanceRow) {}
    fn flow(&mut self, _: &FlowRow) {}
    fn conversion(&mut self, _: &AskedConversion) {}
    fn margin(&mut self, _: &MarginRow) {}
    fn margin_call(&mut self, _: &MarginCallRow) {}
}
