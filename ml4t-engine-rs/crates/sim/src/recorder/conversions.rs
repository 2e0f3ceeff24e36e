//! Conversions of a run, from the postings that they are.

use super::tables::TableRecorder;
use super::{AskedConversion, ConversionStatus};
use crate::currency::BASE;
use crate::ids::{BookId, CurrencyId, InstrumentId};
use crate::ledger::{Account, Posting, PostingKind};
use crate::money::Cash;
use crate::time::Ns;

/// A conversion of a foreign currency into the base currency, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversionRow {
    /// Number of one that was asked for, from 1; `None` for what the account did by itself.
    pub id: Option<u64>,
    /// When it was asked for.
    pub ts_submitted: Ns,
    /// When it happened or ended.
    pub ts: Ns,
    /// Whose.
    pub book: BookId,
    /// Of which foreign currency.
    pub currency: CurrencyId,
    /// How much is bought, or sold below zero.
    pub amount: Cash,
    /// What that is worth at the middle rate and what it cost beyond; `None` where nothing happened.
    pub done: Option<(Cash, Cash)>,
    /// The instrument whose posting caused it.
    pub instrument: Option<InstrumentId>,
    /// What became of it.
    pub status: ConversionStatus,
    /// Number of the sentence in the run's sentences, 0 without one.
    pub text: u32,
}

impl TableRecorder {
    /// Conversions in their sequence, those that did not happen included.
    #[must_use]
    pub fn conversions(&self) -> Vec<ConversionRow> {
        let mut rows = Vec::new();
        if !self.plan().currencies.are_several() {
            return rows;
        }
        let mut asked = self.asked_conversions().iter().peekable();
        let mut postings = self.ledger().enumerate().peekable();
        while let Some((k, posting)) = postings.next() {
            while let Some((_, row)) = asked.next_if(|(at, row)| *at <= k && row.status != ConversionStatus::Executed) {
                rows.push(ConversionRow::ended(row));
            }
            if posting.kind != PostingKind::Conversion {
                continue;
            }
            // One of the foreign currency begins each; its worth and its cost follow, unless they are nothing.
            let mut next = |kind: PostingKind| {
                let follows = |(_, next): &(usize, Posting)| next.kind == kind && next.currency == BASE;
                postings.next_if(follows).map(|(_, next)| next)
            };
            let worth = next(PostingKind::Conversion).map_or(Cash::ZERO, |next| next.amount);
            let cost = next(PostingKind::ConversionCost).map_or(Cash::ZERO, |next| signed(&next, Account::FxCosts));
            let mine = asked.next_if(|(at, row)| *at == k && row.status == ConversionStatus::Executed);
            rows.push(ConversionRow {
                id: mine.map(|(_, row)| row.id),
                ts_submitted: mine.map_or(posting.ts, |(_, row)| row.ts_submitted),
                ts: posting.ts,
                book: posting.book,
                currency: posting.currency,
                amount: signed(&posting, Account::Cash),
                done: Some((worth, cost)),
                instrument: posting.instrument,
                status: ConversionStatus::Executed,
                text: 0,
            });
        }
        rows.extend(asked.map(|(_, row)| ConversionRow::ended(row)));
        rows
    }
}

/// Above zero where the account is debited.
fn signed(posting: &Posting, account: Account) -> Cash {
    if posting.debit == account { posting.amount } else { Cash(-posting.amount.0) }
}

impl ConversionRow {
    const fn ended(row: &AskedConversion) -> Self {
        Self {
            id: Some(row.id),
            ts_submitted: row.ts_submitted,
            ts: row.ts,
            book: row.book,
            currency: row.currency,
            amount: row.amount,
            done: None,
            instrument: None,
            status: row.status,
            text: row.text,
        }
    }
}
