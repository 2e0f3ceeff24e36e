//! What a book has in one currency: a set of accounts, and the value of its positions.

use crate::error::{Result, SimError};
use crate::ledger::{Account, Posting, WHAT};
use crate::money::Cash;

/// Accounts of a book in one currency. Balances are debit-positive and add up to zero.
#[derive(Clone, Debug, Default)]
pub struct Purse {
    balances: [Cash; Account::ALL.len()],
    /// Sum of positive position values.
    pub long_value: Cash,
    /// Sum of negative position values.
    pub short_value: Cash,
    /// Buying power set aside for working orders, less what they will free.
    pub reserved: Cash,
}

impl Purse {
    /// Debit-positive balance of an account.
    #[must_use]
    pub const fn balance(&self, account: Account) -> Cash {
        self.balances[account as usize]
    }

    /// Cash at hand.
    #[must_use]
    pub const fn cash(&self) -> Cash {
        self.balance(Account::Cash)
    }

    /// Cash, receivables and positions at their marks.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn total(&self) -> Result<Cash> {
        self.cash()
            .plus(self.balance(Account::Receivable), WHAT)?
            .plus(self.long_value, WHAT)?
            .plus(self.short_value, WHAT)
    }

    /// Sum of the sizes of all positions.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn gross(&self) -> Result<Cash> {
        self.long_value.minus(self.short_value, WHAT)
    }

    /// What holding has cost: borrowed shares, funding and interest, less what they brought.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn carry(&self) -> Result<Cash> {
        let [borrow, funding, interest] =
            [Account::Borrow, Account::Funding, Account::Interest].map(|a| self.balance(a));
        borrow.plus(funding, WHAT)?.plus(interest, WHAT)
    }

    /// Cash, receivable, longs, shorts, cost, realised, fees, dividends, carry, what conversions brought and cost.
    ///
    /// # Errors
    /// A sum leaves the range of a ledger entry.
    pub(crate) fn parts(&self) -> Result<[Cash; 11]> {
        let gained = |account: Account| Cash(-self.balance(account).0);
        Ok([
            self.cash(),
            self.balance(Account::Receivable),
            self.long_value,
            self.short_value,
            self.balance(Account::Inventory),
            gained(Account::RealizedPnl),
            self.balance(Account::Fees),
            gained(Account::Dividends),
            self.carry()?,
            gained(Account::Exchange),
            self.balance(Account::FxCosts),
        ])
    }

    /// What cash leaves uncovered of what is set aside with so much more, if anything.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub(crate) fn shortfall(&self, more: Cash) -> Result<Cash> {
        let lacks = self.reserved.plus(more, WHAT)?.minus(self.cash(), WHAT)?;
        Ok(lacks.max(Cash::ZERO))
    }

    /// Move the amount of a posting.
    ///
    /// # Errors
    /// A balance leaves its range, or the balances no longer add up to zero.
    pub(crate) fn apply(&mut self, posting: &Posting) -> Result<()> {
        let debit = &mut self.balances[posting.debit as usize];
        *debit = debit.plus(posting.amount, WHAT)?;
        let credit = &mut self.balances[posting.credit as usize];
        *credit = credit.minus(posting.amount, WHAT)?;
        // Modulo 2^128, which loses nothing: a dozen balances that add up to a multiple of it other than zero are beyond
        // what any of them may hold.
        let total = Cash(self.balances.iter().fold(0, |sum: i128, balance| sum.wrapping_add(balance.0)));
        if total != Cash::ZERO {
            return Err(SimError::accounting(format!("balances add up to {} instead of zero", total.to_f64())));
        }
        Ok(())
    }

    /// Let a position be worth `value` instead of `before`. `None` out of range.
    pub(crate) fn revalue(&mut self, before: Cash, value: Cash) -> Option<()> {
        for (old, sign) in [(before, -1), (value, 1)] {
            let side = if old.0 >= 0 { &mut self.long_value } else { &mut self.short_value };
            side.0 = side.0.checked_add(old.0.checked_mul(sign)?)?;
        }
        Some(())
    }
}
