//! Buying power: what an account may still take on.

use crate::error::{Result, SimError};
use crate::instrument::Instrument;
use crate::ledger::Book;
use crate::lots::Position;
use crate::money::{Cash, Price, Qty, mul_div_half_even};
use crate::order::{Order, OrderType};
use crate::plan::{AccountSettings, Plan};
use crate::policies::BuyingPower;
use crate::prices::last_price;
use crate::state::State;
use crate::time::{Ns, render};

const WHAT: &str = "buying power";

/// Whether cash alone bounds what an account may do: it was asked for, or there is no leverage and no short.
const fn goes_by_cash(settings: &AccountSettings) -> bool {
    match settings.buying_power {
        BuyingPower::Cash => true,
        BuyingPower::Unlimited => false,
        BuyingPower::Equity => !settings.allows_short && settings.leverage.num == settings.leverage.den,
    }
}

/// More than any order can need, and far enough from the end of the range to be added to.
pub const UNLIMITED: Cash = Cash(i128::MAX / 4);

fn leveraged(equity: Cash, settings: &AccountSettings) -> Result<Cash> {
    mul_div_half_even(equity.0, i128::from(settings.leverage.num), i128::from(settings.leverage.den))
        .map(Cash)
        .ok_or_else(|| SimError::overflow("leverage x equity leaves the range of the ledger".to_owned()))
}

/// Equity and gross exposure of a book.
#[derive(Clone, Copy, Debug)]
pub struct Worth {
    /// Cash, receivables and positions.
    pub equity: Cash,
    /// Sum of the sizes of all positions.
    pub gross: Cash,
}

impl Worth {
    /// At the marks: what the venue knows, and the tables show.
    ///
    /// # Errors
    /// A sum leaves the range of a ledger entry.
    pub fn at_marks(book: &Book) -> Result<Self> {
        Ok(Self { equity: book.equity()?, gross: book.gross_exposure()? })
    }

    /// At prices that have arrived: what a strategy may know.
    ///
    /// # Errors
    /// A sum leaves the range of a ledger entry.
    pub fn known(plan: &Plan, state: &State, book: &Book) -> Result<Self> {
        let mut worth = Self::at_marks(book)?;
        if !plan.feeds.iter().any(|f| f.arrival().is_some()) {
            return Ok(worth);
        }
        for (id, position) in book.holdings() {
            let (_, value) = known_value(plan, state, id.index(), position)?;
            worth.equity = worth.equity.minus(position.value, WHAT)?.plus(value, WHAT)?;
            let change = Cash(value.0.abs()).minus(Cash(position.value.0.abs()), WHAT)?;
            worth.gross = worth.gross.plus(change, WHAT)?;
        }
        Ok(worth)
    }
}

/// Price and value of a position as a strategy may know them.
///
/// The mark of a feed (or of prints beside it) with arrivals of its own is of a row that nobody has been told of yet: there it is the last
/// price that has arrived, and before the first, without a price, what the position cost.
///
/// # Errors
/// The value leaves the range of a ledger entry.
pub fn known_value(plan: &Plan, state: &State, i: usize, position: &Position) -> Result<(Option<Price>, Cash)> {
    let instrument = &plan.instruments[i];
    let mut marking = instrument.matching.into_iter().chain(instrument.prints);
    if marking.all(|feed| plan.feed(feed).arrival().is_none()) {
        return Ok((position.mark, position.value));
    }
    let Some(price) = last_price(plan, state, i) else { return Ok((None, position.cost)) };
    let value = instrument.scale.notional(price, Qty(position.quantity));
    let value = value.ok_or_else(|| SimError::overflow(format!("{}: the position's value", instrument.symbol)))?;
    Ok((Some(price), value))
}

/// What may still be bought (or sold short) without closing anything, before working orders.
///
/// An account that goes by cash has its cash, one without a limit has [`UNLIMITED`], any other has leverage x equity
/// less its gross exposure.
///
/// # Errors
/// A sum leaves the range of a ledger entry.
pub fn buying_power(book: &Book, settings: &AccountSettings, worth: Worth) -> Result<Cash> {
    if settings.buying_power == BuyingPower::Unlimited {
        return Ok(UNLIMITED);
    }
    if goes_by_cash(settings) {
        return Ok(book.cash());
    }
    leveraged(worth.equity, settings)?.minus(worth.gross, WHAT)
}

/// Buying power that a working order takes (positive) or will give back (negative), given the position held now.
///
/// It takes the notional of what it would open, at the price expected when it was accepted. A market order gives
/// back the notional of what it would close; a resting one may never fill. Where shorts are not allowed a sale
/// opens nothing. Where cash alone counts every purchase takes its notional, and no sale does. `None` when the notional
/// leaves the range of the ledger.
#[must_use]
pub fn reservation(order: &Order, held: i64, instrument: &Instrument, settings: &AccountSettings) -> Option<Cash> {
    let Some(price) = order.expected_price else { return Some(Cash::ZERO) };
    let sign = order.request.side.sign();
    let by_cash = settings.buying_power == BuyingPower::Cash;
    if by_cash && sign > 0 {
        return instrument.scale.notional(Price(price.0.abs()), Qty(order.leaves));
    }
    let closes = if held.signum() == -sign { held.abs().min(order.leaves) } else { 0 };
    let never_opens = order.request.instructions.reduce_only || (sign < 0 && (by_cash || !settings.allows_short));
    let opens = if never_opens { 0 } else { order.leaves - closes };
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
    if settings.buying_power == BuyingPower::Unlimited {
        return Ok(true);
    }
    if goes_by_cash(settings) {
        let after = book.cash().minus(fill.notional, WHAT)?.minus(fill.fee, WHAT)?;
        return Ok(after >= Cash::ZERO || after >= book.cash());
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

/// The sentence for a sell of an account that may not sell short.
pub(crate) fn short_text(instrument: &Instrument, quantity: i64, held: i64, now: Ns) -> String {
    let (quantity, held) = (instrument.scale.quantity_f64(quantity), instrument.scale.quantity_f64(held));
    let (symbol, now) = (&instrument.symbol, render(now));
    format!("sells {quantity} {symbol}, the account holds {held} and may not sell short ({now})")
}
