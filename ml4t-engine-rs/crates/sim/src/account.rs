//! Buying power: what an account may still take on.

use crate::error::{Result, SimError};
use crate::instrument::Instrument;
use crate::ledger::Book;
use crate::money::{Cash, Price, Qty, mul_div_half_even};
use crate::order::{Order, OrderType};
use crate::plan::AccountSettings;

const WHAT: &str = "buying power";

/// Whether the account is a plain cash account: no leverage, no shorts.
const fn is_cash_account(settings: &AccountSettings) -> bool {
    !settings.allows_short && settings.leverage.num == settings.leverage.den
}

fn leveraged(equity: Cash, settings: &AccountSettings) -> Result<Cash> {
    mul_div_half_even(equity.0, i128::from(settings.leverage.num), i128::from(settings.leverage.den))
        .map(Cash)
        .ok_or_else(|| SimError::overflow("leverage x equity leaves the range of the ledger".to_owned()))
}

/// What may still be bought (or sold short) without closing anything, before working orders.
///
/// A cash account has its cash; any other account has leverage x equity less its gross exposure.
///
/// # Errors
/// A sum leaves the range of a ledger entry.
pub fn buying_power(book: &Book, settings: &AccountSettings) -> Result<Cash> {
    if is_cash_account(settings) {
        return Ok(book.cash());
    }
    leveraged(book.equity()?, settings)?.minus(book.gross_exposure()?, WHAT)
}

/// Buying power that a working order takes (positive) or will give back (negative), given the position held now.
///
/// It takes the notional of what it would open, at the price expected when it was accepted. A market order gives
/// back the notional of what it would close; a resting one may never fill. Where shorts are not allowed a sale
/// opens nothing. `None` when the notional leaves the range of the ledger.
#[must_use]
pub fn reservation(order: &Order, held: i64, instrument: &Instrument, settings: &AccountSettings) -> Option<Cash> {
    let Some(price) = order.expected_price else { return Some(Cash::ZERO) };
    let sign = order.request.side.sign();
    let closes = if held.signum() == -sign { held.abs().min(order.leaves) } else { 0 };
    let opens = if sign < 0 && !settings.allows_short { 0 } else { order.leaves - closes };
    let gives_back = if order.request.order_type == OrderType::Market { closes } else { 0 };
    instrument.scale.notional(Price(price.0.abs()), Qty(opens - gives_back))
}

/// A fill that an account is asked to carry.
#[derive(Clone, Copy, Debug)]
pub struct Exposure {
    /// Signed value of the fill: positive for buys.
    pub notional: Cash,
    /// Fee.
    pub fee: Cash,
    /// Value of the position now.
    pub value_before: Cash,
    /// Value of the position afterwards, at the fill price.
    pub value_after: Cash,
    /// Whether the fill only reduces a position.
    pub is_reducing: bool,
}

/// Whether the account can carry the fill.
///
/// # Errors
/// A sum leaves the range of a ledger entry.
pub fn affords(book: &Book, settings: &AccountSettings, fill: &Exposure) -> Result<bool> {
    if is_cash_account(settings) {
        let after = book.cash().minus(fill.notional, WHAT)?.minus(fill.fee, WHAT)?;
        return Ok(after >= Cash::ZERO || (fill.is_reducing && after >= book.cash()));
    }
    if fill.is_reducing {
        return Ok(true);
    }
    let gross = book
        .gross_exposure()?
        .minus(Cash(fill.value_before.0.abs()), WHAT)?
        .plus(Cash(fill.value_after.0.abs()), WHAT)?;
    let equity = book.equity()?.minus(fill.fee, WHAT)?;
    Ok(gross <= leveraged(equity, settings)?)
}
