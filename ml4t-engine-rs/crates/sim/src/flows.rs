//! What is paid in and taken out while a run goes on, in phase 3 before anything else is due.
//!
//! What the account is worth right before is written down beside it: the return of the time in between is known exactly.

use crate::account::goes_by_cash;
use crate::engine::Simulator;
use crate::error::{Result, SimError};
use crate::ids::{BookId, CurrencyId};
use crate::ledger::{Account, Posting, PostingKind};
use crate::money::Cash;
use crate::plan::Plan;
use crate::queue::Source;
use crate::recorder::{FlowRow, Recorder};
use crate::state::State;
use crate::time::{Ns, render};
use crate::venue::Venue;

/// A payment from outside, or to there.
#[derive(Clone, Copy, Debug)]
pub struct CashFlow {
    /// When.
    pub ts: Ns,
    /// In which currency.
    pub currency: CurrencyId,
    /// How much is paid in; below zero it is taken out.
    pub amount: Cash,
}

/// Check sequence and currencies.
///
/// # Errors
/// Names the row.
pub(crate) fn validate(flows: &[CashFlow], plan: &Plan) -> Result<()> {
    for (k, flow) in flows.iter().enumerate() {
        let is_known = flow.currency.index() < plan.currencies.names().len();
        if !is_known || flow.amount == Cash::ZERO || (k > 0 && flows[k - 1].ts > flow.ts) {
            return Err(SimError::data(format!(
                "cash flows, row {k}: they must be sorted by time, of currencies of the run, and none of zero"
            )));
        }
    }
    Ok(())
}

impl<S: Source, V: Venue, R: Recorder> Simulator<S, V, R> {
    /// Payments from and to outside that are due now; they belong to the first book.
    pub(crate) fn pay_flows(&mut self, now: Ns) -> Result<()> {
        let Self { plan, state, recorder, .. } = self;
        while let Some(flow) = plan.flows.get(state.flows_seen).filter(|flow| flow.ts <= now) {
            state.flows_seen += 1;
            let equity = state.equity()?;
            let State { books, exchange, .. } = &mut *state;
            let book = &mut books[0];
            let name = plan.currencies.name(flow.currency);
            let purse = book.purse(flow.currency);
            let cash = purse.settled(now)?;
            let settled = if plan.settlement_terms.is_some() { " settled" } else { "" };
            if flow.amount < Cash::ZERO && goes_by_cash(plan) && cash.plus(flow.amount, "cash")? < Cash::ZERO {
                return Err(SimError::data(format!(
                    "cash flows: {} {name} are to be taken out at {}, the account has {}{settled}; take out less, or later",
                    -flow.amount.to_f64(),
                    render(now),
                    cash.to_f64()
                )));
            }
            let value = exchange.quotes.to_base(flow.currency, flow.amount)?;
            let (book_id, currency, amount) = (BookId(0), flow.currency, flow.amount);
            recorder.flow(&FlowRow { ts: now, book: book_id, currency, amount, value, equity });
            let pays_in = amount > Cash::ZERO;
            let template = Posting {
                ts: now,
                book: book_id,
                kind: if pays_in { PostingKind::Deposit } else { PostingKind::Withdrawal },
                currency,
                debit: Account::Cash,
                credit: Account::Capital,
                amount: Cash::ZERO,
                instrument: None,
                fill: None,
            };
            book.post_signed(template, (Account::Cash, Account::Capital), amount, recorder)?;
            exchange.after_posting(plan, book, (currency, None), now, recorder)?;
        }
        Ok(())
    }
}
