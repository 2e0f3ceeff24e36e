//! The books of a finished run, added up anew from the rows alone.

use ml4t_sim::error::{Result, SimError};
use ml4t_sim::ledger::{Account, Posting, PostingKind};
use ml4t_sim::money::{Cash, Qty};
use ml4t_sim::order::{OrderStatus, Side};
use ml4t_sim::plan::Plan;

use super::Outcome;

fn fail<T>(text: String) -> Result<T> {
    Err(SimError::accounting(text))
}

fn expect(what: &str, found: i128, wanted: i128) -> Result<()> {
    if found == wanted { Ok(()) } else { fail(format!("{what}: {found} instead of {wanted}")) }
}

/// Check every identity that must hold whatever happened.
pub(crate) fn check(outcome: &Outcome) -> Result<()> {
    check_postings(outcome)?;
    check_fills(outcome)?;
    check_orders(outcome)?;
    // Its parts are asserted to add up to every change of net asset value.
    outcome.recorder().attribution()?;
    check_positions(outcome)
}

/// Sum of postings = balance, of every account of every book; all accounts of a book add up to nothing.
fn check_postings(outcome: &Outcome) -> Result<()> {
    for book in &outcome.run.state.books {
        for (currency, purse) in book.purses() {
            let rows = outcome.recorder().ledger().filter(|p| p.book == book.id && p.currency == currency);
            let mut sums = [0_i128; Account::ALL.len()];
            for posting in rows {
                if posting.amount <= Cash::ZERO {
                    return fail(format!("a posting is not positive: {posting:?}"));
                }
                sums[posting.debit as usize] += posting.amount.0;
                sums[posting.credit as usize] -= posting.amount.0;
            }
            for account in Account::ALL {
                expect(account.as_str(), purse.balance(account).0, sums[account as usize])?;
            }
            expect("all balances", sums.iter().sum(), 0)?;
            let of = |account: Account| purse.balance(account).0;
            // Gains, dividends and capital are credits, so their balances are negative.
            let assets = of(Account::Cash) + of(Account::Receivable) + of(Account::Inventory);
            let carry = of(Account::Borrow) + of(Account::Funding) + of(Account::Interest);
            let gains = -of(Account::RealizedPnl) - of(Account::Dividends);
            let spent = of(Account::Fees) + carry + of(Account::Exchange) + of(Account::FxCosts);
            expect("cash + receivable + inventory", assets, gains - of(Account::Capital) - spent)?;
        }
    }
    Ok(())
}

/// A fill's parts add up to its price, its price to its notional, and all fills to the cash they moved.
fn check_fills(outcome: &Outcome) -> Result<()> {
    let plan = outcome.run.plan();
    for (k, fill) in outcome.recorder().fills().enumerate() {
        expect("number of a fill", i128::from(fill.number), i128::try_from(k).unwrap_or(-1))?;
        let adverse = fill.spread.0 + fill.slippage.0 + fill.impact.0;
        expect("price", i128::from(fill.price.0), i128::from(fill.reference.0 + fill.side.sign() * adverse))?;
        expect("notional", fill.notional.0, notional(plan, fill.instrument.index(), fill.price.0, fill.quantity)?)?;
    }
    for book in &outcome.run.state.books {
        for (instrument, i) in plan.instruments.iter().zip(0..) {
            let moved: i128 = outcome
                .recorder()
                .fills()
                .filter(|f| f.book == book.id && f.instrument.index() == i)
                .map(|f| -i128::from(f.side.sign()) * f.notional.0 - f.fee.0)
                .sum();
            // What is not paid for is worth what it was last settled at, which nothing has moved yet.
            let is_margined = instrument.is_margined();
            if is_margined && !plan.actions.is_empty() {
                continue;
            }
            let is_trade = |kind| match kind {
                PostingKind::Trade | PostingKind::Realized | PostingKind::Fee => true,
                PostingKind::VariationMargin => is_margined,
                _ => false,
            };
            let is_its_own = |p: &Posting| p.book == book.id && p.instrument.is_some_and(|id| id.index() == i);
            let rows = outcome.recorder().ledger().filter(|p| is_its_own(p) && is_trade(p.kind));
            let posted: i128 = rows
                .map(|p| match (p.debit, p.credit) {
                    (Account::Cash, _) => p.amount.0,
                    (_, Account::Cash) => -p.amount.0,
                    _ => 0,
                })
                .sum();
            expect("cash moved by fills", posted, moved + book.positions[i].basis().0)?;
        }
    }
    Ok(())
}

fn notional(plan: &Plan, i: usize, price: i64, quantity: i64) -> Result<i128> {
    let scale = &plan.instruments[i].scale;
    match scale.notional(ml4t_sim::money::Price(price), Qty(quantity)) {
        Some(cash) => Ok(cash.0),
        None => fail("a notional that was booked leaves its range".to_owned()),
    }
}

/// Every order has come to an end, its rows are a chain from created to there, and nothing is left reserved.
fn check_orders(outcome: &Outcome) -> Result<()> {
    let state = &outcome.run.state;
    for (k, order) in state.orders.iter().enumerate() {
        let events = outcome.recorder().order_events().filter(|e| e.order.index() == k);
        let mut status = OrderStatus::Created;
        let mut ts = i64::MIN;
        for event in events {
            if event.from != status || event.ts < ts {
                return fail(format!("order {}: broken chain at {event:?}", k + 1));
            }
            (status, ts) = (event.to, event.ts);
        }
        if !status.is_terminal() || status != order.status {
            return fail(format!(
                "order {} ended as {}, its rows say {}",
                k + 1,
                order.status.as_str(),
                status.as_str()
            ));
        }
        if order.reserved != Cash::ZERO {
            return fail(format!("order {} still reserves {:?}", k + 1, order.reserved));
        }
        if status == OrderStatus::Rejected && order.filled != 0 {
            return fail(format!("order {} was rejected with fills", k + 1));
        }
    }
    for book in &state.books {
        for (_, purse) in book.purses() {
            expect("reserved buying power", purse.reserved.0, 0)?;
            expect("reserved for what is not paid for", purse.reserved_margined.0, 0)?;
        }
    }
    Ok(())
}

/// Without splits, a position is the sum of its fills; its value is mark x quantity x multiplier; lots add up.
fn check_positions(outcome: &Outcome) -> Result<()> {
    let plan = outcome.run.plan();
    for book in &outcome.run.state.books {
        book.audit_all(&plan.instruments)?;
        for (i, position) in book.positions.iter().enumerate() {
            let filled: i64 = outcome
                .recorder()
                .fills()
                .filter(|f| f.book == book.id && f.instrument.index() == i)
                .map(|f| if f.side == Side::Buy { f.quantity } else { -f.quantity })
                .sum();
            if plan.actions.is_empty() {
                expect("position", i128::from(position.quantity), i128::from(filled))?;
            }
            let value = match position.mark {
                Some(mark) => notional(plan, i, mark.0, position.quantity)?,
                None => 0,
            };
            expect("value of a position", position.value.0, value)?;
        }
    }
    Ok(())
}
