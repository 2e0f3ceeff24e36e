//! The tables of a run in narrow rows: what a fill, its order or the plan says is not said again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use ml4t_abi::{Liquidity, Phase};

use super::attribution::Upto;
use super::{
    AskedConversion, BalanceRow, Fill, FlowRow, MarginCallRow, MarginRow, OrderEvent, PortfolioRow, PositionRow,
    Recorder,
};
use crate::currency::{BASE, ONE};
use crate::ids::{BookId, CurrencyId, InstrumentId, OrderId};
use crate::instrument::Instrument;
use crate::ledger::{Account, Posting, PostingKind, RoundTrip};
use crate::money::{Cash, Price, Qty};
use crate::order::{OrderStatus, Reason, Side};
use crate::packed::{Narrow, Sparse, Wide, number};
use crate::plan::Plan;
use crate::rows::{Budget, Rows};
use crate::time::Ns;

/// No fill, or no session.
const NONE: u32 = u32::MAX;

/// What is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Everything.
    #[default]
    All,
    /// What the account is worth at each close of a session.
    Nav,
}

/// Keeps the rows of a run, in memory up to a budget.
#[derive(Clone)]
pub struct TableRecorder {
    plan: Arc<Plan>,
    keep: Keep,
    /// Whether rows of the account have more than the usual sums.
    has_beside: bool,
    wide: Wide,
    ledger: Rows<LedgerLine>,
    /// Time, account, instrument and currency of postings that no fill explains.
    unexplained: Sparse<(Ns, BookId, Option<InstrumentId>, CurrencyId)>,
    order_events: Rows<EventLine>,
    /// How many transitions they stand for beyond one each.
    further: usize,
    /// Sentences of transitions that have one of their own.
    texts: Sparse<u32>,
    fills: Rows<FillLine>,
    /// Those costs of fills that are not zero, one after the other.
    costs: Rows<i64>,
    /// Reference prices of fills whose price is not the reference and its costs.
    references: Sparse<Price>,
    round_trips: Rows<TripLine>,
    /// Cost and proceeds of round trips that are not quantity x price of their fills: those of parts that splits
    /// scaled, and of averages.
    values: Rows<[Narrow; 2]>,
    /// Time, account, instrument and rate of round trips that no fill closed.
    ended: Sparse<(Ns, BookId, InstrumentId, Cash)>,
    /// What the currency of a fill was worth, where it is not the base currency.
    fill_rates: Sparse<Cash>,
    /// Fills of rolls.
    of_rolls: Sparse<()>,
    positions: Rows<PositionLine>,
    portfolio: Rows<PortfolioLine>,
    /// What runs in several currencies, or with positions that are not paid for, have beside that, by row.
    beside: Sparse<[Cash; 6]>,
    /// Variation margin that a position had received, where there was some.
    settled: Sparse<Cash>,
    /// What is there in each currency at each net asset value of such runs.
    balances: Vec<BalanceRow>,
    /// Payments from and to outside, each with the number of postings then.
    flows: Vec<(u32, FlowRow)>,
    /// Ends of conversions that were asked for, each with the number of postings then.
    conversions: Vec<(usize, AskedConversion)>,
    /// What was needed at each net asset value, and the calls in between, where there is a margin model.
    margins: Vec<MarginRow>,
    margin_calls: Vec<MarginCallRow>,
    /// How far the others were at each net asset value.
    upto: Rows<Upto>,
}

/// A row of a table that can be read by number.
pub(super) trait Row: Sized {
    /// How many there are.
    fn count(tables: &TableRecorder) -> usize;
    /// The row of that number.
    fn read(tables: &TableRecorder, k: usize) -> Option<Self>;
}

impl TableRecorder {
    /// Empty tables, each of which keeps the budget in memory.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, keep: Keep, budget: Option<&Budget>) -> Self {
        let part = || budget.cloned();
        Self {
            plan: Arc::clone(plan),
            keep,
            has_beside: plan.currencies.are_several() || plan.instruments.iter().any(Instrument::is_margined),
            wide: Wide::default(),
            ledger: Rows::new(part()),
            unexplained: Sparse::default(),
            order_events: Rows::new(part()),
            further: 0,
            texts: Sparse::default(),
            fills: Rows::new(part()),
            costs: Rows::new(part()),
            references: Sparse::default(),
            round_trips: Rows::new(part()),
            values: Rows::new(part()),
            ended: Sparse::default(),
            fill_rates: Sparse::default(),
            of_rolls: Sparse::default(),
            positions: Rows::new(part()),
            portfolio: Rows::new(part()),
            beside: Sparse::default(),
            settled: Sparse::default(),
            balances: Vec::new(),
            flows: Vec::new(),
            conversions: Vec::new(),
            margins: Vec::new(),
            margin_calls: Vec::new(),
            upto: Rows::new(part()),
        }
    }

    /// What is written down.
    #[must_use]
    pub const fn keep(&self) -> Keep {
        self.keep
    }

    /// Postings.
    pub fn ledger(&self) -> impl ExactSizeIterator<Item = Posting> + Clone + use<'_> {
        self.rows()
    }

    /// Executions; the number of a fill is its position.
    pub fn fills(&self) -> impl ExactSizeIterator<Item = Fill> + Clone + use<'_> {
        self.rows()
    }

    /// Pairs of lot and fill.
    pub fn round_trips(&self) -> impl ExactSizeIterator<Item = RoundTrip> + Clone + use<'_> {
        self.rows()
    }

    /// Positions at each net asset value.
    pub fn positions(&self) -> impl ExactSizeIterator<Item = PositionRow> + Clone + use<'_> {
        self.rows()
    }

    /// The account, instant by instant.
    pub fn portfolio(&self) -> impl ExactSizeIterator<Item = PortfolioRow> + Clone + use<'_> {
        self.rows()
    }

    fn rows<T: Row>(&self) -> impl ExactSizeIterator<Item = T> + Clone + use<'_, T> {
        (0..T::count(self)).map(|k| self.row(k).unwrap_or_else(|| unreachable!("row {k} of {}", T::count(self))))
    }

    /// The rows with those numbers.
    pub(super) fn rows_of<T: Row>(&self, numbers: Range<u32>) -> impl Iterator<Item = T> + use<'_, T> {
        numbers.map(|k| self.row(k as usize).unwrap_or_else(|| unreachable!("row {k} of {}", T::count(self))))
    }

    /// What is there in each currency at each net asset value, in runs with several.
    #[must_use]
    pub fn balances(&self) -> &[BalanceRow] {
        &self.balances
    }

    /// Payments from and to outside.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = FlowRow> + Clone + use<'_> {
        self.flows.iter().map(|(_, row)| *row)
    }

    /// Those whose postings have these numbers.
    pub(super) fn flows_of(&self, postings: Range<u32>) -> impl Iterator<Item = &FlowRow> + use<'_> {
        self.flows.iter().filter(move |(at, _)| postings.contains(at)).map(|(_, row)| row)
    }

    /// What was needed at each net asset value.
    #[must_use]
    pub fn margins(&self) -> &[MarginRow] {
        &self.margins
    }

    /// Margin calls, and what became of them.
    #[must_use]
    pub fn margin_calls(&self) -> &[MarginCallRow] {
        &self.margin_calls
    }

    /// Ends of conversions that were asked for, each with the number of postings then.
    pub(super) fn asked_conversions(&self) -> &[(usize, AskedConversion)] {
        &self.conversions
    }

    /// How far the other rows were at each net asset value.
    pub(super) fn upto(&self) -> impl Iterator<Item = Upto> + use<'_> {
        self.upto.iter()
    }

    /// The plan of the run.
    pub(super) const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Whether a fill, by its number, is of a roll.
    pub(super) fn is_of_roll(&self, fill: u64) -> bool {
        u32::try_from(fill).is_ok_and(|fill| self.of_rolls.get(fill).is_some())
    }

    fn rate_of_fill(&self, k: u32) -> Cash {
        self.fill_rates.get(k).unwrap_or(ONE)
    }

    fn row<T: Row>(&self, k: usize) -> Option<T> {
        T::read(self, k)
    }

    /// How many transitions of orders there were.
    #[must_use]
    pub const fn order_event_count(&self) -> usize {
        self.order_events.len() + self.further
    }

    /// Transitions of orders, in their sequence.
    pub fn order_events(&self) -> impl Iterator<Item = OrderEvent> + Clone + use<'_> {
        self.order_events.iter().enumerate().flat_map(|(k, line)| {
            let text = self.texts.get(number(k)).unwrap_or(0);
            (0..line.count()).map(move |j| line.event(j, text))
        })
    }

    /// False once there was no room for what exceeds the budget.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.ledger.has_room()
            && self.order_events.has_room()
            && self.fills.has_room()
            && self.costs.has_room()
            && self.round_trips.has_room()
            && self.values.has_room()
            && self.positions.has_room()
            && self.portfolio.has_room()
            && self.upto.has_room()
    }

    /// Bytes of all rows, in memory and outside.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let all = [
            self.ledger.bytes(),
            self.order_events.bytes(),
            self.fills.bytes(),
            self.costs.bytes(),
            self.round_trips.bytes(),
            self.values.bytes(),
            self.positions.bytes(),
            self.portfolio.bytes(),
            self.upto.bytes(),
        ];
        let beside = [
            self.unexplained.bytes(),
            self.texts.bytes(),
            self.references.bytes(),
            self.ended.bytes(),
            self.fill_rates.bytes(),
            self.of_rolls.bytes(),
            self.beside.bytes(),
            self.settled.bytes(),
            size_of_val(self.balances.as_slice()),
            size_of_val(self.flows.as_slice()),
            size_of_val(self.conversions.as_slice()),
            size_of_val(self.margins.as_slice()),
            size_of_val(self.margin_calls.as_slice()),
        ];
        let kept = self.wide.bytes() + beside.into_iter().sum::<usize>();
        all.into_iter().fold((kept, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }
}

impl fmt::Debug for TableRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(self.order_events()).entries(self.fills()).entries(self.ledger());
        list.entries(self.round_trips()).entries(self.positions()).entries(self.portfolio());
        list.entries(self.balances()).entries(self.asked_conversions());
        list.entries(self.margins()).entries(self.margin_calls()).finish()
    }
}

impl Recorder for TableRecorder {
    fn posting(&mut self, row: &Posting) {
        if self.keep == Keep::Nav {
            return;
        }
        if row.fill.is_none() {
            self.unexplained.push(number(self.ledger.len()), (row.ts, row.book, row.instrument, row.currency));
        }
        let fill = row.fill.map_or(NONE, |(_, k)| u32::try_from(k).unwrap_or(NONE));
        self.ledger.push(LedgerLine {
            amount: self.wide.pack(row.amount.0),
            fill,
            kind: row.kind as u8,
            accounts: (row.debit as u8) << 4 | row.credit as u8,
        });
        debug_assert_eq!(self.row(self.ledger.len() - 1), Some(*row), "a posting is kept as it was");
    }

    fn order_event(&mut self, row: &OrderEvent) {
        if self.keep == Keep::Nav {
            return;
        }
        let line = EventLine::of(row);
        if row.text == 0
            && let Some(last) = self.order_events.last_mut()
            && let Some(further) = last.with(&line)
        {
            last.further = further;
            self.further += 1;
            return;
        }
        if row.text != 0 {
            self.texts.push(number(self.order_events.len()), row.text);
        }
        self.order_events.push(line);
    }

    fn fill(&mut self, row: &Fill) {
        if self.keep == Keep::Nav {
            return;
        }
        let per_unit = [row.spread, row.slippage, row.impact, row.permanent_impact];
        let (costs, mut which) = (number(self.costs.len()), 0);
        for (k, cost) in per_unit.into_iter().enumerate().filter(|(_, cost)| cost.0 != 0) {
            self.costs.push(cost.0);
            which |= 1 << k;
        }
        let line = FillLine {
            ts: row.ts,
            quantity: row.quantity,
            price: row.price.0,
            fee: self.wide.pack(row.fee.0),
            order: narrow(row.order),
            instrument: row.instrument.0,
            costs,
            book: row.book.0,
            kinds: (row.side as u8) << 7 | u8::try_from(row.liquidity.0).unwrap_or(0),
            phase: which << PHASE_BITS | u8::try_from(row.phase.0).unwrap_or(0),
        };
        if self.plan.instrument(row.instrument).currency != BASE {
            self.fill_rates.push(number(self.fills.len()), row.fx_rate);
        }
        if row.is_of_roll {
            self.of_rolls.push(number(self.fills.len()), ());
        }
        if reference(&line, per_unit) != row.reference {
            self.references.push(number(self.fills.len()), row.reference);
        }
        self.fills.push(line);
        debug_assert_eq!(self.row(self.fills.len() - 1), Some(*row), "a fill is kept as it was");
    }

    fn round_trip(&mut self, row: &RoundTrip) {
        if self.keep == Keep::Nav {
            return;
        }
        let mut line = TripLine {
            fees: self.wide.pack(row.fees.0),
            slippage: self.wide.pack(row.slippage.0),
            quantity: row.quantity,
            entry_fill: u32::try_from(row.entry_fill).unwrap_or(NONE),
            exit_fill: row.exit.map_or(NONE, |(_, k)| u32::try_from(k).unwrap_or(NONE)),
            values: NONE,
        };
        if row.exit.is_none() {
            self.ended.push(number(self.round_trips.len()), (row.ts_exit, row.book, row.instrument, row.fx_rate));
        }
        if line.at_prices(self) != Some([row.entry_cost, row.exit_value]) {
            line.values = number(self.values.len());
            self.values.push([self.wide.pack(row.entry_cost.0), self.wide.pack(row.exit_value.0)]);
        }
        self.round_trips.push(line);
        debug_assert_eq!(self.row(self.round_trips.len() - 1), Some(*row), "a round trip is kept as it was");
    }

    fn position(&mut self, row: &PositionRow) {
        if self.keep == Keep::Nav {
            return;
        }
        if row.settled != Cash::ZERO {
            self.settled.push(number(self.positions.len()), row.settled);
        }
        self.positions.push(PositionLine {
            ts: row.ts,
            quantity: row.quantity,
            mark: row.mark.0,
            cost: self.wide.pack(row.cost.0),
            session: row.session,
            instrument: row.instrument.0,
            book: row.book.0,
        });
        debug_assert_eq!(self.row(self.positions.len() - 1), Some(*row), "a position is kept as it was");
    }

    fn portfolio(&mut self, row: &PortfolioRow) {
        if self.keep == Keep::Nav && row.session.is_none() {
            return;
        }
        // The official value takes the place of the step of the same instant.
        if row.session.is_some() && self.portfolio.last().is_some_and(|last| last.ts == row.ts) {
            self.portfolio.pop();
            self.beside.cut(number(self.portfolio.len()));
        }
        if row.session.is_some() && self.keep == Keep::All {
            let (postings, fills) = (number(self.ledger.len()), number(self.fills.len()));
            self.upto.push(Upto { postings, fills, positions: number(self.positions.len()) });
        }
        let amounts = [
            row.cash,
            row.receivable,
            row.long_value,
            row.short_value,
            row.cost,
            row.realized,
            row.fees,
            row.dividends,
            row.carry,
        ];
        let mut packed = [Narrow::default(); 9];
        for (place, amount) in packed.iter_mut().zip(amounts) {
            *place = self.wide.pack(amount.0);
        }
        if self.has_beside {
            let beside = [row.equity, row.fx, row.fx_costs, row.open_pnl, row.margined_long, row.margined_short];
            self.beside.push(number(self.portfolio.len()), beside);
        }
        let session = row.session.unwrap_or(i32::MIN);
        self.portfolio.push(PortfolioLine { ts: row.ts, session, amounts: packed });
        debug_assert_eq!(self.row(self.portfolio.len() - 1), Some(*row), "an account is kept as it was");
    }

    fn balance(&mut self, row: &BalanceRow) {
        self.balances.push(*row);
    }

    fn flow(&mut self, row: &FlowRow) {
        self.flows.push((number(self.ledger.len()), *row));
    }

    fn conversion(&mut self, row: &AskedConversion) {
        if self.keep == Keep::All {
            self.conversions.push((self.ledger.len(), *row));
        }
    }

    fn margin(&mut self, row: &MarginRow) {
        self.margins.push(*row);
    }

    fn margin_call(&mut self, row: &MarginCallRow) {
        self.margin_calls.push(*row);
    }
}

/// A number of an order in four bytes; [`crate::orders::Orders`] gives no larger ones.
fn narrow(order: OrderId) -> u32 {
    u32::try_from(order.0).unwrap_or(NONE)
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, packed(2))]
struct LedgerLine {
    amount: Narrow,
    /// Number of the fill that explains it.
    fill: u32,
    kind: u8,
    accounts: u8,
}

impl Row for Posting {
    fn count(tables: &TableRecorder) -> usize {
        tables.ledger.len()
    }

    #[inline]
    fn read(tables: &TableRecorder, k: usize) -> Option<Self> {
        let line = tables.ledger.get(k)?;
        let (ts, book, instrument, currency, fill) = if line.fill == NONE {
            let (ts, book, instrument, currency) = tables.unexplained.get(number(k))?;
            (ts, book, instrument, currency, None)
        } else {
            let fill = tables.fills.get(line.fill as usize)?;
            let by = (OrderId(u64::from(fill.order)), u64::from(line.fill));
            let instrument = InstrumentId(fill.instrument);
            (fill.ts, BookId(fill.book), Some(instrument), tables.plan.instrument(instrument).currency, Some(by))
        };
        Some(Self {
            ts,
            book,
            currency,
            kind: PostingKind::ALL[usize::from(line.kind)],
            debit: Account::ALL[usize::from(line.accounts >> 4)],
            credit: Account::ALL[usize::from(line.accounts & 15)],
            amount: Cash(tables.wide.unpack(line.amount)),
            instrument,
            fill,
        })
    }
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, packed(2))]
struct EventLine {
    ts: Ns,
    filled: i64,
    order: u32,
    states: u8,
    reason: u8,
    /// For how many of the orders that follow by number the same was written down next, one after the other;
    /// [`TAKEN_AT_ONCE`]: the order itself was accepted next.
    further: u16,
}

const SENT: u8 = (OrderStatus::Created as u8) << 4 | OrderStatus::Submitted as u8;
const TAKEN: u8 = (OrderStatus::Submitted as u8) << 4 | OrderStatus::Accepted as u8;
const TAKEN_AT_ONCE: u16 = u16::MAX;

impl EventLine {
    fn of(row: &OrderEvent) -> Self {
        Self {
            ts: row.ts,
            filled: row.filled,
            order: narrow(row.order),
            states: (row.from as u8) << 4 | row.to as u8,
            reason: row.reason as u8,
            further: 0,
        }
    }

    const fn count(&self) -> u32 {
        if self.further == TAKEN_AT_ONCE { 2 } else { self.further as u32 + 1 }
    }

    /// What `further` is where the line stands for the next one too; `None` where it cannot.
    fn with(&self, next: &Self) -> Option<u16> {
        let is_plain = |line: &Self| line.reason == Reason::None as u8 && line.filled == 0;
        let is_alike = is_plain(self) && is_plain(next) && { self.ts } == { next.ts };
        if !is_alike || self.further >= TAKEN_AT_ONCE - 1 {
            return None;
        }
        match (self.states, next.states) {
            (SENT, TAKEN) if self.further == 0 && { self.order } == { next.order } => Some(TAKEN_AT_ONCE),
            (SENT, SENT) | (TAKEN, TAKEN) if self.order + self.count() == next.order => Some(self.further + 1),
            _ => None,
        }
    }

    /// The transition of that place in the line.
    fn event(&self, k: u32, text: u32) -> OrderEvent {
        let (order, states) = match (self.further, k) {
            (TAKEN_AT_ONCE, 1) => (self.order, TAKEN),
            _ => (self.order + k, self.states),
        };
        OrderEvent {
            ts: self.ts,
            order: OrderId(u64::from(order)),
            from: OrderStatus::ALL[usize::from(states >> 4)],
            to: OrderStatus::ALL[usize::from(states & 15)],
            reason: Reason::ALL[usize::from(self.reason)],
            text,
            filled: self.filled,
        }
    }
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, packed(2))]
struct FillLine {
    ts: Ns,
    quantity: i64,
    price: i64,
    fee: Narrow,
    order: u32,
    instrument: u32,
    /// Where its costs begin.
    costs: u32,
    book: u16,
    /// Side in the highest bit, liquidity in the others.
    kinds: u8,
    /// Which of the four costs are there in the upper half, the phase in the lower.
    phase: u8,
}

const PHASE_BITS: u32 = 4;

impl FillLine {
    const fn side(&self) -> Side {
        Side::ALL[(self.kinds >> 7) as usize]
    }
}

/// The price less its costs: spread, slippage, impact and the permanent part of it, for a unit.
const fn reference(line: &FillLine, [spread, slippage, impact, _]: [Price; 4]) -> Price {
    let costs = spread.0.wrapping_add(slippage.0).wrapping_add(impact.0);
    Price(line.price.wrapping_sub(costs.wrapping_mul(line.side().sign())))
}

impl Row for Fill {
    fn count(tables: &TableRecorder) -> usize {
        tables.fills.len()
    }

    #[inline]
    fn read(tables: &TableRecorder, k: usize) -> Option<Self> {
        let line = tables.fills.get(k)?;
        let (which, mut next) = (line.phase >> PHASE_BITS, line.costs as usize);
        let mut costs = [Price(0); 4];
        for (_, cost) in costs.iter_mut().enumerate().filter(|(k, _)| which & 1 << k != 0) {
            *cost = Price(tables.costs.get(next)?);
            next += 1;
        }
        let [spread, slippage, impact, permanent_impact] = costs;
        let instrument = InstrumentId(line.instrument);
        let price = Price(line.price);
        Some(Self {
            number: k as u64,
            order: OrderId(u64::from(line.order)),
            book: BookId(line.book),
            ts: line.ts,
            instrument,
            side: line.side(),
            quantity: line.quantity,
            price,
            reference: tables.references.get(number(k)).unwrap_or_else(|| reference(&line, costs)),
            spread,
            slippage,
            impact,
            permanent_impact,
            fee: Cash(tables.wide.unpack(line.fee)),
            notional: tables.plan.instrument(instrument).scale.notional(price, Qty(line.quantity))?,
            liquidity: Liquidity(u32::from(line.kinds & 0x7f)),
            phase: Phase(u32::from(line.phase & ((1 << PHASE_BITS) - 1))),
            fx_rate: tables.rate_of_fill(number(k)),
            is_of_roll: tables.is_of_roll(k as u64),
        })
    }
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, packed(2))]
struct TripLine {
    fees: Narrow,
    slippage: Narrow,
    quantity: i64,
    entry_fill: u32,
    exit_fill: u32,
    /// Where its cost and proceeds stand, if they are not those of the prices of its fills.
    values: u32,
}

impl TripLine {
    /// Cost and proceeds at the prices of the two fills.
    fn at_prices(&self, tables: &TableRecorder) -> Option<[Cash; 2]> {
        let at = |fill: u32| {
            let fill = tables.fills.get(fill as usize)?;
            let scale = &tables.plan.instrument(InstrumentId(fill.instrument)).scale;
            scale.notional(Price(fill.price), Qty(self.quantity))
        };
        Some([at(self.entry_fill)?, at(self.exit_fill)?])
    }
}

impl Row for RoundTrip {
    fn count(tables: &TableRecorder) -> usize {
        tables.round_trips.len()
    }

    #[inline]
    fn read(tables: &TableRecorder, k: usize) -> Option<Self> {
        let line = tables.round_trips.get(k)?;
        let entry = tables.fills.get(line.entry_fill as usize)?;
        let (ts_exit, book, instrument, fx_rate, exit) = if line.exit_fill == NONE {
            let (ts, book, instrument, rate) = tables.ended.get(number(k))?;
            (ts, book, instrument, rate, None)
        } else {
            let fill = tables.fills.get(line.exit_fill as usize)?;
            let by = (OrderId(u64::from(fill.order)), u64::from(line.exit_fill));
            let rate = tables.rate_of_fill(line.exit_fill);
            (fill.ts, BookId(fill.book), InstrumentId(fill.instrument), rate, Some(by))
        };
        let [entry_cost, exit_value] = if line.values == NONE {
            line.at_prices(tables)?
        } else {
            tables.values.get(line.values as usize)?.map(|amount| Cash(tables.wide.unpack(amount)))
        };
        Some(Self {
            book,
            instrument,
            quantity: line.quantity,
            ts_entry: entry.ts,
            ts_exit,
            entry_cost,
            exit_value,
            fees: Cash(tables.wide.unpack(line.fees)),
            slippage: Cash(tables.wide.unpack(line.slippage)),
            entry_order: OrderId(u64::from(entry.order)),
            entry_fill: u64::from(line.entry_fill),
            exit,
            fx_rate,
        })
    }
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, packed(2))]
struct PositionLine {
    ts: Ns,
    quantity: i64,
    mark: i64,
    cost: Narrow,
    session: i32,
    instrument: u32,
    book: u16,
}

impl Row for PositionRow {
    fn count(tables: &TableRecorder) -> usize {
        tables.positions.len()
    }

    #[inline]
    fn read(tables: &TableRecorder, k: usize) -> Option<Self> {
        let line = tables.positions.get(k)?;
        let (instrument, mark) = (InstrumentId(line.instrument), Price(line.mark));
        Some(Self {
            ts: line.ts,
            session: line.session,
            book: BookId(line.book),
            instrument,
            quantity: line.quantity,
            cost: Cash(tables.wide.unpack(line.cost)),
            settled: tables.settled.get(number(k)).unwrap_or(Cash::ZERO),
            mark,
            value: tables.plan.instrument(instrument).scale.notional(mark, Qty(line.quantity))?,
        })
    }
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, packed(2))]
struct PortfolioLine {
    ts: Ns,
    session: i32,
    amounts: [Narrow; 9],
}

impl Row for PortfolioRow {
    fn count(tables: &TableRecorder) -> usize {
        tables.portfolio.len()
    }

    #[inline]
    fn read(tables: &TableRecorder, k: usize) -> Option<Self> {
        let line = tables.portfolio.get(k)?;
        let amounts = { line.amounts }.map(|amount| Cash(tables.wide.unpack(amount)));
        let [cash, receivable, long_value, short_value, cost, realized, fees, dividends, carry] = amounts;
        let session = Some(line.session).filter(|&session| session != i32::MIN);
        let ts = line.ts;
        // With one currency nothing is converted, and a sum that had room once has it again.
        let sum = || Cash([cash, receivable, long_value, short_value].iter().fold(0, |sum, part| sum + part.0));
        let none = Cash::ZERO;
        let [equity, fx, fx_costs, open_pnl, margined_long, margined_short] =
            tables.beside.get(number(k)).unwrap_or_else(|| [sum(), none, none, none, none, none]);
        Some(Self {
            ts,
            session,
            cash,
            receivable,
            long_value,
            short_value,
            open_pnl,
            margined_long,
            margined_short,
            equity,
            cost,
            realized,
            fees,
            dividends,
            carry,
            fx,
            fx_costs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{EventLine, OrderEvent, OrderId, OrderStatus, Reason, TAKEN_AT_ONCE};
    use proptest::prelude::*;

    /// Lines as the recorder writes them.
    fn lines(events: &[OrderEvent]) -> Vec<EventLine> {
        let mut lines: Vec<EventLine> = Vec::new();
        for event in events {
            let line = EventLine::of(event);
            match lines.last_mut().and_then(|last| Some((last.with(&line)?, last))) {
                Some((further, last)) => last.further = further,
                None => lines.push(line),
            }
        }
        lines
    }

    fn read(lines: &[EventLine]) -> Vec<OrderEvent> {
        lines.iter().flat_map(|line| (0..line.count()).map(|k| line.event(k, 0))).collect()
    }

    fn event((order, ts, kind, filled): (u64, i64, usize, i64)) -> OrderEvent {
        let (from, to, reason) = [
            (OrderStatus::Created, OrderStatus::Submitted, Reason::None),
            (OrderStatus::Submitted, OrderStatus::Accepted, Reason::None),
            (OrderStatus::Accepted, OrderStatus::Filled, Reason::None),
            (OrderStatus::Submitted, OrderStatus::Rejected, Reason::OffLot),
            (OrderStatus::Submitted, OrderStatus::Accepted, Reason::Replaced),
        ][kind];
        OrderEvent { ts, order: OrderId(order), from, to, reason, text: 0, filled: filled.max(0) }
    }

    proptest! {
        #[test]
        fn transitions_come_back_one_by_one(
            rows in prop::collection::vec((0..4_u64, 0..2_i64, 0..5_usize, -9..2_i64), 0..60),
        ) {
            let events: Vec<OrderEvent> = rows.into_iter().map(event).collect();
            prop_assert_eq!(read(&lines(&events)), events);
        }
    }

    #[test]
    fn a_basket_takes_two_lines_until_it_fills_and_a_single_order_one() {
        let basket = |kind| (0..100_u64).map(move |order| event((order, 1, kind, 0)));
        let events: Vec<OrderEvent> = basket(0).chain(basket(1)).collect();
        assert_eq!(lines(&events).len(), 2);
        assert_eq!(read(&lines(&events)), events);
        let events = [event((7, 1, 0, 0)), event((7, 1, 1, 0))];
        assert_eq!(lines(&events).len(), 1);
    }

    #[test]
    fn a_line_ends_where_its_count_does() {
        let events: Vec<OrderEvent> = (0..200_000_u64).map(|order| event((order, 1, 1, 0))).collect();
        assert_eq!(read(&lines(&events)), events);
        assert!(lines(&events).iter().all(|line| line.further < TAKEN_AT_ONCE));
    }
}
