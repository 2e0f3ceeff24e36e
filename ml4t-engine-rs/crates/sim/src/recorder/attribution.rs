//! Every change of net asset value, explained: by account, by instrument, by what caused it.
//!
//! From the rows that a run keeps anyway, when somebody asks. All of it is integers, so that the parts add up to the change
//! to the last digit; this is asserted for each net asset value.

use std::collections::BTreeMap;

use super::tables::TableRecorder;
use crate::error::{Result, SimError};
use crate::ids::{BookId, InstrumentId};
use crate::ledger::{Account, Posting, PostingKind};
use crate::money::{Cash, Price, Qty};
use crate::recorder::{Fill, PortfolioRow};
use crate::time::{Ns, render};

/// What a part of a change is for, in the sequence of the table; costs are negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Moves of the market at reference prices, what a position ended with and cash in lieu included.
    Price,
    /// Half spreads of fills.
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
    /// Funding.
    Funding,
    /// Interest.
    Interest,
    /// What was paid in or out.
    External,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Price,
        Self::Spread,
        Self::Slippage,
        Self::Impact,
        Self::Fees,
        Self::Dividends,
        Self::Borrow,
        Self::Funding,
        Self::Interest,
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
            Self::External => "external",
        }
    }

    /// The part of a posting; `None` for those that move money between cash, receivable and inventory.
    const fn of(kind: PostingKind) -> Option<Self> {
        match kind {
            PostingKind::Fee => Some(Self::Fees),
            PostingKind::Dividend => Some(Self::Dividends),
            PostingKind::Borrow => Some(Self::Borrow),
            PostingKind::Funding => Some(Self::Funding),
            PostingKind::Interest => Some(Self::Interest),
            PostingKind::Deposit => Some(Self::External),
            PostingKind::Trade
            | PostingKind::Realized
            | PostingKind::CashInLieu
            | PostingKind::CashOut
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

/// Sums of a window; the value of positions goes into the price.
#[derive(Default)]
struct Window(BTreeMap<Key, [i128; Part::ALL.len()]>);

impl Window {
    fn add(&mut self, key: Key, part: Part, amount: i128) -> Result<()> {
        let sum = &mut self.0.entry(key).or_default()[part as usize];
        *sum = sum.checked_add(amount).ok_or_else(range)?;
        Ok(())
    }

    /// What a posting does to cash and receivable: as its own part, or as price where it pays for a position.
    fn post(&mut self, posting: &Posting) -> Result<()> {
        let is_money = |account: Account| matches!(account, Account::Cash | Account::Receivable);
        let gained = i128::from(is_money(posting.debit)) - i128::from(is_money(posting.credit));
        let key = (posting.book.0, posting.instrument.map_or(OF_ACCOUNT, |id| id.0));
        match gained {
            0 => Ok(()),
            _ => self.add(key, Part::of(posting.kind).unwrap_or(Part::Price), gained * posting.amount.0),
        }
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
        let mut values: BTreeMap<Key, i128> = BTreeMap::new();
        let navs = self.portfolio().filter_map(|row| row.session.map(|session| (row, session)));
        for ((nav, session), upto) in navs.zip(self.upto()) {
            let mut window = Window::default();
            self.rows_of(before.postings..upto.postings).try_for_each(|posting: Posting| window.post(&posting))?;
            for fill in self.rows_of(before.fills..upto.fills) {
                self.count_costs(&fill, &mut window)?;
            }
            for (key, value) in std::mem::take(&mut values) {
                window.add(key, Part::Price, -value)?;
            }
            for position in self.rows_of::<super::PositionRow>(before.positions..upto.positions) {
                let key = (position.book.0, position.instrument.0);
                values.insert(key, position.value.0);
                window.add(key, Part::Price, position.value.0)?;
            }
            let worth = worth(&nav)?;
            let sum = window.0.values().flatten().try_fold(0_i128, |sum, part| sum.checked_add(*part));
            let (sum, change) = (sum.ok_or_else(range)?, worth.checked_sub(equity).ok_or_else(range)?);
            if sum != change {
                return Err(SimError::accounting(format!(
                    "the net asset value of {} changed by {}, its parts add up to {}",
                    render(nav.ts),
                    Cash(change).to_f64(),
                    Cash(sum).to_f64()
                )));
            }
            let contribution = |(&(book, of), parts): (&Key, &[i128; Part::ALL.len()])| Contribution {
                ts: nav.ts,
                session,
                book: BookId(book),
                instrument: Some(InstrumentId(of)).filter(|_| of != OF_ACCOUNT),
                parts: parts.map(Cash),
            };
            rows.extend(window.0.iter().filter(|(_, parts)| parts.iter().any(|&part| part != 0)).map(contribution));
            (before, equity) = (upto, worth);
        }
        Ok(rows)
    }

    /// What a fill lost against its reference price is its own part, and no move of the market.
    fn count_costs(&self, fill: &Fill, window: &mut Window) -> Result<()> {
        let instrument = self.plan().instrument(fill.instrument);
        let key = (fill.book.0, fill.instrument.0);
        for (part, cost) in [(Part::Spread, fill.spread), (Part::Slippage, fill.slippage), (Part::Impact, fill.impact)]
        {
            if cost == Price(0) {
                continue;
            }
            let lost = instrument.scale.notional(cost, Qty(fill.quantity));
            let lost = lost.ok_or_else(|| crate::ledger::out_of_range(&instrument.symbol))?;
            window.add(key, part, -lost.0)?;
            window.add(key, Part::Price, lost.0)?;
        }
        Ok(())
    }
}

fn worth(nav: &PortfolioRow) -> Result<i128> {
    let parts = [nav.cash, nav.receivable, nav.long_value, nav.short_value];
    parts.iter().try_fold(0_i128, |sum, part| sum.checked_add(part.0)).ok_or_else(range)
}

fn range() -> SimError {
    SimError::overflow("a contribution to the net asset value leaves the range of the ledger".to_owned())
}
