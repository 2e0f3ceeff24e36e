//! Every change of net asset value, explained: by account, by instrument, by what caused it.
//!
//! From the rows that a run keeps anyway, when somebody asks. All of it is integers, so that the parts add up to the change
//! to the last digit; this is asserted for each net asset value.

use std::collections::BTreeMap;

use super::tables::TableRecorder;
use crate::currency::BASE;
use crate::error::{Result, SimError};
use crate::ids::{BookId, CurrencyId, InstrumentId};
use crate::ledger::{Account, Posting, PostingKind};
use crate::money::{Cash, Price, Qty};
use crate::recorder::{BalanceRow, Fill, FlowRow};
use crate::time::{Ns, render};

/// What a part of a change is for, in the sequence of the table; costs are negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Moves of the market at reference prices, what a position ended with and cash in lieu included.
    Price,
    /// Half spreads of fills; like the three after it without those of rolls.
    Spread,
    /// Slippage of fills.
    Slippage,
    /// Impact of fills.
    Impact,
    /// Fees.
    Fees,
    /// Dividends.
    Dividends,
    /// What borrowed shares cost.
    Borrow,
    /// Funding and rollover.
    Funding,
    /// Interest.
    Interest,
    /// Moves of the rates of currencies.
    Fx,
    /// What conversions cost.
    FxCosts,
    /// What rolls cost: half spreads, slippage, impact and fees of both legs.
    Roll,
    /// What was paid in or out.
    External,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Price,
        Self::Spread,
        Self::Slippage,
        Self::Impact,
        Self::Fees,
        Self::Dividends,
        Self::Borrow,
        Self::Funding,
        Self::Interest,
        Self::Fx,
        Self::FxCosts,
        Self::Roll,
        Self::External,
    ];

    /// Name of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Spread => "spread",
            Self::Slippage => "slippage",
            Self::Impact => "impact",
            Self::Fees => "fees",
            Self::Dividends => "dividends",
            Self::Borrow => "borrow",
            Self::Funding => "funding",
            Self::Interest => "interest",
            Self::Fx => "fx",
            Self::FxCosts => "fx_costs",
            Self::Roll => "roll",
            Self::External => "external",
        }
    }

    /// The part of a posting; `None` for those that move money between cash, receivable and inventory.
    const fn of(kind: PostingKind) -> Option<Self> {
        match kind {
            PostingKind::Fee => Some(Self::Fees),
            PostingKind::Dividend | PostingKind::Withholding => Some(Self::Dividends),
            PostingKind::Borrow => Some(Self::Borrow),
            PostingKind::Funding | PostingKind::Rollover => Some(Self::Funding),
            PostingKind::Interest => Some(Self::Interest),
            PostingKind::Conversion => Some(Self::Fx),
            PostingKind::ConversionCost => Some(Self::FxCosts),
            PostingKind::Deposit | PostingKind::Withdrawal => Some(Self::External),
            PostingKind::Trade
            | PostingKind::Realized
            | PostingKind::CashInLieu
            | PostingKind::CashOut
            | PostingKind::VariationMargin
            | PostingKind::Transfer
            | PostingKind::DividendPayment => None,
        }
    }
}

/// What an instrument, or with none the account itself, did to the net asset value of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// When the value was taken.
    pub ts: Ns,
    /// Label of its session.
    pub session: i32,
    /// Whose.
    pub book: BookId,
    /// Of what.
    pub instrument: Option<InstrumentId>,
    /// By [`Part`].
    pub parts: [Cash; Part::ALL.len()],
}

impl Contribution {
    /// The sum of the parts, which has room: it was part of a sum that had.
    #[must_use]
    pub fn total(&self) -> Cash {
        Cash(self.parts.iter().fold(0_i128, |sum, part| sum.saturating_add(part.0)))
    }
}

/// How many rows there were when a net asset value was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Upto {
    pub(super) postings: u32,
    pub(super) fills: u32,
    pub(super) positions: u32,
}

/// Whose and of what, the account itself after its instruments.
type Key = (u16, u32);
const OF_ACCOUNT: u32 = u32::MAX;

type Parts = [i128; Part::ALL.len()];

/// Sums of a window, those of each currency apart; the value of positions goes into the price.
#[derive(Default)]
struct Window(BTreeMap<(Key, CurrencyId), Parts>);

impl Window {
    fn add(&mut self, (key, currency): (Key, CurrencyId), part: Part, amount: i128) -> Result<()> {
        let sum = &mut self.0.entry((key, currency)).or_default()[part as usize];
        *sum = sum.checked_add(amount).ok_or_else(range)?;
        Ok(())
    }

    /// What a posting does to cash and receivable: as its own part, or as price where it pays for a position.
    ///
    /// What is given to another instrument counts like money: the price of neither has moved.
    fn post(&mut self, posting: &Posting, is_of_roll: bool) -> Result<()> {
        let is_money = |account: Account| matches!(account, Account::Cash | Account::Receivable | Account::Transfer);
        let gained = i128::from(is_money(posting.debit)) - i128::from(is_money(posting.credit));
        let key = (posting.book.0, posting.instrument.map_or(OF_ACCOUNT, |id| id.0));
        let part = match Part::of(posting.kind).unwrap_or(Part::Price) {
            Part::Fees if is_of_roll => Part::Roll,
            part => part,
        };
        if gained == 0 { Ok(()) } else { self.add((key, posting.currency), part, gained * posting.amount.0) }
    }
}

/// What was there at a net asset value, in its own currency: values of positions, and cash with receivables.
type Holdings = BTreeMap<(Key, CurrencyId), i128>;

/// Amounts in the base currency at a net asset value, and how much rounding may have moved their sum.
struct Converted<'a> {
    rates: &'a [BalanceRow],
    slack: i128,
}

impl Converted<'_> {
    fn of(&mut self, currency: CurrencyId, amount: i128) -> Result<i128> {
        if currency == BASE || amount == 0 {
            return Ok(amount);
        }
        let rate = self.rates.iter().find(|row| row.currency == currency).and_then(|row| row.rate);
        let rate = rate.ok_or_else(|| SimError::accounting("an amount has no rate".to_owned()))?;
        self.slack += rate.slack();
        rate.of(Cash(amount)).map(|cash| cash.0).ok_or_else(range)
    }
}

impl TableRecorder {
    /// What every change of net asset value consists of, one row an instrument and one for the account itself.
    ///
    /// # Errors
    /// The parts do not add up to a change, or a number leaves its range.
    pub fn attribution(&self) -> Result<Vec<Contribution>> {
        let mut rows = Vec::new();
        let (mut before, mut equity) = (Upto::default(), 0);
        // Each net asset value of a run in several currencies has as many rows of balances.
        let several = self.plan().currencies.are_several();
        let width = if several { usize::from(self.plan().books) * self.plan().currencies.names().len() } else { 0 };
        // Those of the begin come first: deposits count at the rates of then, and what moves since is of the rates.
        let (mut old_rates, mut balances) = self.balances().split_at(width);
        let mut held = holdings_of(old_rates)?;
        let navs = self.portfolio().filter_map(|row| row.session.map(|session| (row, session)));
        for ((nav, session), upto) in navs.zip(self.upto()) {
            let rates;
            (rates, balances) = balances.split_at(width);
            let mut window = self.window_of(before, upto)?;
            let mut holds = self.positions_of(before, upto);
            // What a position is worth is a part of its price; cash is explained by its postings.
            for (sign, values) in [(-1, &held), (1, &holds)] {
                let values = values.iter().filter(|(key, _)| key.0.1 != OF_ACCOUNT);
                values.clone().try_for_each(|(key, value)| window.add(*key, Part::Price, sign * value))?;
            }
            let (mut then, mut now) = (Converted { rates: old_rates, slack: 0 }, Converted { rates, slack: 0 });
            let mut parts: BTreeMap<Key, Parts> = BTreeMap::new();
            for ((key, currency), amounts) in &window.0 {
                let sums = parts.entry(*key).or_default();
                for (part, amount) in Part::ALL.into_iter().zip(amounts) {
                    let rates = if part == Part::External { &mut then } else { &mut now };
                    let sum = &mut sums[part as usize];
                    *sum = sum.checked_add(rates.of(*currency, *amount)?).ok_or_else(range)?;
                }
            }
            for flow in self.foreign_flows_of(before, upto) {
                let moved = now.of(flow.currency, flow.amount.0)? - flow.value.0;
                let sums = parts.entry((flow.book.0, OF_ACCOUNT)).or_default();
                for (part, amount) in [(Part::External, flow.value.0), (Part::Fx, moved)] {
                    let sum = &mut sums[part as usize];
                    *sum = sum.checked_add(amount).ok_or_else(range)?;
                }
            }
            // What was there before is worth more or less by the rates of now.
            for ((key, currency), amount) in &held {
                let moved = now.of(*currency, *amount)? - then.of(*currency, *amount)?;
                let fx = &mut parts.entry(*key).or_default()[Part::Fx as usize];
                *fx = fx.checked_add(moved).ok_or_else(range)?;
            }
            let sum = parts.values().flatten().try_fold(0_i128, |sum, part| sum.checked_add(*part));
            let worth = nav.equity.0;
            let (sum, change) = (sum.ok_or_else(range)?, worth.checked_sub(equity).ok_or_else(range)?);
            let slack = now.slack + then.slack + slack_of(rates) + slack_of(old_rates);
            if sum.abs_diff(change) > slack.unsigned_abs() {
                return Err(SimError::accounting(format!(
                    "the net asset value of {} changed by {}, its parts add up to {}",
                    render(nav.ts),
                    Cash(change).to_f64(),
                    Cash(sum).to_f64()
                )));
            }
            if sum != change {
                // What rounding leaves over is a matter of rates.
                parts.entry((0, OF_ACCOUNT)).or_default()[Part::Fx as usize] += change - sum;
            }
            let contribution = |(&(book, of), parts): (&Key, &Parts)| Contribution {
                ts: nav.ts,
                session,
                book: BookId(book),
                instrument: Some(InstrumentId(of)).filter(|_| of != OF_ACCOUNT),
                parts: parts.map(Cash),
            };
            rows.extend(parts.iter().filter(|(_, parts)| parts.iter().any(|&part| part != 0)).map(contribution));
            holds.extend(holdings_of(rates)?);
            (before, equity, held, old_rates) = (upto, worth, holds, rates);
        }
        Ok(rows)
    }

    /// What was booked between two net asset values, and what its fills lost.
    fn window_of(&self, before: Upto, upto: Upto) -> Result<Window> {
        let mut window = Window::default();
        self.rows_of(before.postings..upto.postings).try_for_each(|posting: Posting| {
            window.post(&posting, posting.fill.is_some_and(|(_, fill)| self.is_of_roll(fill)))
        })?;
        for fill in self.rows_of(before.fills..upto.fills) {
            self.count_costs(&fill, &mut window)?;
        }
        // What comes from outside counts at the rate of its time, and not as the opening balances do.
        for flow in self.foreign_flows_of(before, upto) {
            window.add(((flow.book.0, OF_ACCOUNT), flow.currency), Part::External, -flow.amount.0)?;
        }
        Ok(window)
    }

    /// What is paid from and to outside between two net asset values in other currencies than the base.
    fn foreign_flows_of(&self, before: Upto, upto: Upto) -> impl Iterator<Item = &FlowRow> + use<'_> {
        self.flows_of(before.postings..upto.postings).filter(|flow| flow.currency != BASE)
    }

    /// What positions add to what is owned at a net asset value: their worth, or what has not been settled of it.
    fn positions_of(&self, before: Upto, upto: Upto) -> Holdings {
        let mut holds = Holdings::new();
        for position in self.rows_of::<super::PositionRow>(before.positions..upto.positions) {
            let instrument = self.plan().instrument(position.instrument);
            let not_owned = if instrument.is_margined() { position.cost.0 + position.settled.0 } else { 0 };
            let key = ((position.book.0, position.instrument.0), instrument.currency);
            holds.insert(key, position.value.0 - not_owned);
        }
        holds
    }

    /// What a fill lost against its reference price is its own part, and no move of the market.
    fn count_costs(&self, fill: &Fill, window: &mut Window) -> Result<()> {
        let instrument = self.plan().instrument(fill.instrument);
        let key = ((fill.book.0, fill.instrument.0), instrument.currency);
        for (part, cost) in [(Part::Spread, fill.spread), (Part::Slippage, fill.slippage), (Part::Impact, fill.impact)]
        {
            if cost == Price(0) {
                continue;
            }
            let lost = instrument.scale.notional(cost, Qty(fill.quantity));
            let lost = lost.ok_or_else(|| crate::ledger::out_of_range(&instrument.symbol))?;
            window.add(key, if fill.is_of_roll { Part::Roll } else { part }, -lost.0)?;
            window.add(key, Part::Price, lost.0)?;
        }
        Ok(())
    }
}

/// Cash and receivables of other currencies than the base.
fn holdings_of(rates: &[BalanceRow]) -> Result<Holdings> {
    let foreign = rates.iter().filter(|row| row.currency != BASE);
    let cash = |row: &BalanceRow| row.cash.0.checked_add(row.receivable.0).ok_or_else(range);
    foreign.map(|row| Ok((((row.book.0, OF_ACCOUNT), row.currency), cash(row)?))).collect()
}

/// By how much the worth of all that is there may miss its exact value.
fn slack_of(rates: &[BalanceRow]) -> i128 {
    rates.iter().filter_map(|row| row.rate).map(|rate| rate.slack()).sum()
}

fn range() -> SimError {
    SimError::overflow("a contribution to the net asset value leaves the range of the ledger".to_owned())
}
