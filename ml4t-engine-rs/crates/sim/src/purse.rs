//! What a book has in one currency: a set of accounts, and the value of its positions.

use crate::error::{Result, SimError};
use crate::ledger::{Account, Posting, WHAT};
use crate::money::Cash;
use crate::time::Ns;
use crate::unsettled::Parcels;

/// Accounts of a book in one currency. Balances are debit-positive and add up to zero.
#[derive(Clone, Debug, Default)]
pub struct Purse {
    balances: [Cash; Account::ALL.len()],
    /// Sum of positive position values.
    pub long_value: Cash,
    /// Sum of negative position values.
    pub short_value: Cash,
    /// Sum of positive values of positions that are not paid for.
    pub margined_long: Cash,
    /// Sum of their negative values.
    pub margined_short: Cash,
    /// What of those values the account does not own.
    basis: Cash,
    /// Buying power set aside for working orders, less what they will free.
    pub reserved: Cash,
    /// The same for orders of what is not paid for.
    pub reserved_margined: Cash,
    /// Cash that has not settled.
    pub(crate) parcels: Parcels,
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

    /// Cash at hand that has settled.
    ///
    /// # Errors
    /// The difference leaves the range of a ledger entry.
    pub fn settled(&self, now: Ns) -> Result<Cash> {
        self.cash().minus(self.parcels.at(now), WHAT)
    }

    /// Cash, receivables and positions at their marks.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn total(&self) -> Result<Cash> {
        self.cash()
            .plus(self.balance(Account::Receivable), WHAT)?
            .plus(self.long_value, WHAT)?
            .plus(self.short_value, WHAT)?
            .plus(self.open_pnl(), WHAT)
    }

    /// What positions that are not paid for have gained since they were last settled.
    #[must_use]
    pub const fn open_pnl(&self) -> Cash {
        // Values and what they were settled at were added one by one with room.
        Cash(self.margined_long.0.wrapping_add(self.margined_short.0).wrapping_sub(self.basis.0))
    }

    /// Sum of the sizes of all positions that are not paid for.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn margined_gross(&self) -> Result<Cash> {
        self.margined_long.minus(self.margined_short, WHAT)
    }

    /// Sum of the sizes of all positions.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn gross(&self) -> Result<Cash> {
        self.long_value.minus(self.short_value, WHAT)?.plus(self.margined_gross()?, WHAT)
    }

    /// Buying power set aside for all working orders.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn all_reserved(&self) -> Result<Cash> {
        self.reserved.plus(self.reserved_margined, WHAT)
    }

    /// What holding has cost: borrowed shares, funding with rollover, and interest, less what they brought.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub fn carry(&self) -> Result<Cash> {
        let [borrow, funding, interest] =
            [Account::Borrow, Account::Funding, Account::Interest].map(|a| self.balance(a));
        borrow.plus(funding, WHAT)?.plus(interest, WHAT)
    }

    /// Cash, receivable, longs, shorts, cost, realised, fees, dividends, carry, what conversions brought and cost; of
    /// what is not paid for the open result, longs and shorts.
    ///
    /// # Errors
    /// A sum leaves the range of a ledger entry.
    pub(crate) fn parts(&self) -> Result<[Cash; 14]> {
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
            self.open_pnl(),
            self.margined_long,
            self.margined_short,
        ])
    }

    /// What so much spendable cash leaves uncovered of what is set aside with so much more, if anything.
    ///
    /// # Errors
    /// The sum leaves the range of a ledger entry.
    pub(crate) fn shortfall(&self, spendable: Cash, more: Cash) -> Result<Cash> {
        let lacks = self.reserved.plus(more, WHAT)?.minus(spendable, WHAT)?;
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
        if !self.parcels.is_empty() {
            self.parcels.follow(self.cash(), posting.ts);
        }
        Ok(())
    }

    /// Let a position that is not paid for have another value, and another part of it that is not owned. `None` out of
    /// range.
    pub(crate) fn revalue_margined(&mut self, before: (Cash, Cash), now: (Cash, Cash)) -> Option<()> {
        for ((value, basis), sign) in [(before, -1), (now, 1)] {
            let side = if value.0 >= 0 { &mut self.margined_long } else { &mut self.margined_short };
            side.0 = side.0.checked_add(value.0.checked_mul(sign)?)?;
            self.basis.0 = self.basis.0.checked_add(basis.0.checked_mul(sign)?)?;
        }
        Some(())
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
