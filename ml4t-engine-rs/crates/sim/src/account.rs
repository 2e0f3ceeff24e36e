//! Buying power: what an account may still take on.

use crate::currency::{BASE, Quotes};
use crate::error::{Result, SimError};
use crate::exchange::Exchange;
use crate::ids::{CurrencyId, InstrumentId};
use crate::instrument::Instrument;
use crate::ledger::Book;
use crate::lots::Position;
use crate::margin::{About, Margin};
use crate::money::{Cash, Price, Qty, mul_div_half_even};
use crate::order::{Order, OrderType};
use crate::plan::{AccountSettings, Plan};
use crate::policies::{BuyingPower, Conversion};
use crate::prices::last_price;
use crate::purse::Purse;
use crate::state::State;
use crate::time::{Ns, render};

const WHAT: &str = "buying power";

/// Whether cash alone bounds what an account may do: it was asked for, or there is no leverage and no short.
pub(crate) const fn goes_by_cash(plan: &Plan) -> bool {
    let settings = &plan.account;
    match settings.buying_power {
        BuyingPower::Cash => true,
        BuyingPower::Unlimited => false,
        BuyingPower::Equity => {
            !plan.has_margin() && !settings.allows_short && settings.leverage.num == settings.leverage.den
        }
    }
}

/// More than any order can need, and far enough from the end of the range to be added to.
pub const UNLIMITED: Cash = Cash(i128::MAX / 4);

fn leveraged(equity: Cash, settings: &AccountSettings) -> Result<Cash> {
    mul_div_half_even(equity.0, i128::from(settings.leverage.num), i128::from(settings.leverage.den))
        .map(Cash)
        .ok_or_else(|| SimError::overflow("leverage x equity leaves the range of the ledger".to_owned()))
}

/// Equity and gross exposure of a book, in the base currency.
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
    pub fn at_marks(book: &Book, quotes: &Quotes) -> Result<Self> {
        Ok(Self { equity: book.equity(quotes)?, gross: book.gross_exposure(quotes)? })
    }

    /// At prices that have arrived: what a strategy may know.
    ///
    /// # Errors
    /// A sum leaves the range of a ledger entry.
    pub fn known(plan: &Plan, state: &State, book: &Book) -> Result<Self> {
        let quotes = &state.exchange.quotes;
        if !state.has_arrivals {
            return Self::at_marks(book, quotes);
        }
        let mut worth = Self { equity: Cash::ZERO, gross: Cash::ZERO };
        for (currency, purse) in book.purses() {
            let (mut equity, mut gross) = (purse.total()?, purse.gross()?);
            for (id, position) in book.holdings().filter(|(_, position)| position.currency == currency) {
                let (_, value) = known_value(plan, state, id.index(), position)?;
                equity = equity.minus(position.value, WHAT)?.plus(value, WHAT)?;
                let change = Cash(value.0.abs()).minus(Cash(position.value.0.abs()), WHAT)?;
                gross = gross.plus(change, WHAT)?;
            }
            worth.equity = worth.equity.plus(quotes.to_base(currency, equity)?, WHAT)?;
            worth.gross = worth.gross.plus(quotes.to_base(currency, gross)?, WHAT)?;
        }
        Ok(worth)
    }
}

/// Whether marks of an instrument may be of rows that nobody has been told of yet: its feed, or that of prints beside it, has
/// arrivals of its own.
fn is_marked_early(plan: &Plan, i: usize) -> bool {
    let instrument = &plan.instruments[i];
    let mut marking = instrument.matching.into_iter().chain(instrument.prints);
    marking.any(|feed| plan.feed(feed).arrival().is_some())
}

/// Price of a position as a strategy may know it: the mark, or the last price that has arrived, if there is one.
pub(crate) fn known_price(plan: &Plan, state: &State, i: usize, position: &Position) -> Option<Price> {
    if is_marked_early(plan, i) { last_price(plan, state, i) } else { position.mark }
}

/// Price and value of a position as a strategy may know them: before the first price that has arrived, without one, what
/// it cost.
///
/// # Errors
/// The value leaves the range of a ledger entry.
pub fn known_value(plan: &Plan, state: &State, i: usize, position: &Position) -> Result<(Option<Price>, Cash)> {
    if !is_marked_early(plan, i) {
        return Ok((position.mark, position.value));
    }
    let instrument = &plan.instruments[i];
    let Some(price) = last_price(plan, state, i) else {
        return Ok((None, position.carried_at()));
    };
    let value = instrument.scale.notional(price, Qty(position.quantity));
    let value = value.ok_or_else(|| SimError::overflow(format!("{}: the position's value", instrument.symbol)))?;
    Ok((Some(price), value))
}

/// What may still be bought (or sold short) in the base currency, less what working orders have set aside.
///
/// An account that goes by cash has its cash, one without a limit has [`UNLIMITED`], one with a margin model its equity
/// less what the positions need to be opened, any other leverage x equity less its gross exposure. Cash of other
/// currencies counts as far as it is not set aside; what is set aside beyond it is paid by the base currency, unless
/// nothing is converted.
///
/// # Errors
/// A rate is missing, or a sum leaves the range of a ledger entry.
pub fn free_power(plan: &Plan, state: &State, book: &Book) -> Result<Cash> {
    let (settings, quotes) = (&plan.account, &state.exchange.quotes);
    if settings.buying_power == BuyingPower::Unlimited {
        return Ok(UNLIMITED);
    }
    if goes_by_cash(plan) {
        let free = book.sum(quotes, |purse| book.spendable(plan, purse, state.now)?.minus(purse.reserved, WHAT))?;
        return free.minus(collateral(book, quotes)?, WHAT)?.minus(reserved_margined(book, quotes)?, WHAT);
    }
    let worth = Worth::known(plan, state, book)?;
    let reserved = book.sum(quotes, Purse::all_reserved)?;
    if state.margin.is_on() {
        let needs = state.margin.of_known(&About::of(plan, state, book.id), state)?.initial;
        return worth.equity.minus(needs, WHAT)?.minus(reserved, WHAT);
    }
    leveraged(worth.equity, settings)?.minus(worth.gross, WHAT)?.minus(reserved, WHAT)
}

/// What the base currency of an account that goes by cash keeps for positions that are not paid for: all of their size.
fn collateral(book: &Book, quotes: &Quotes) -> Result<Cash> {
    book.sum(quotes, Purse::margined_gross)
}

/// What working orders of such have set aside.
fn reserved_margined(book: &Book, quotes: &Quotes) -> Result<Cash> {
    book.sum(quotes, |purse| Ok(purse.reserved_margined))
}

/// What bounds an account before working orders, at the marks and in the base currency; for a message.
///
/// # Errors
/// As [`free_power`].
pub(crate) fn buying_power(plan: &Plan, state: &State, book: &Book) -> Result<Cash> {
    let quotes = &state.exchange.quotes;
    if state.margin.is_on() {
        let needs = state.margin.of_book(&About::of(plan, state, book.id))?.initial;
        return book.equity(quotes)?.minus(needs, WHAT);
    }
    if goes_by_cash(plan) {
        let cash = book.sum(quotes, |purse| book.spendable(plan, purse, state.now))?;
        return cash.minus(collateral(book, quotes)?, WHAT);
    }
    let worth = Worth::at_marks(book, quotes)?;
    leveraged(worth.equity, &plan.account)?.minus(worth.gross, WHAT)
}

/// What an account lacks for an order: what it needs and what is free, both of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Needed.
    pub needed: Cash,
    /// Free, less than that.
    pub free: Cash,
    /// Of which currency.
    pub currency: CurrencyId,
    /// Cash of it that may not be spent, for it has not settled.
    pub unsettled: Cash,
}

impl Lack {
    /// What is needed and what is free as a sentence shows them; the base currency goes without saying.
    #[must_use]
    pub fn shown(&self, plan: &Plan) -> (String, String) {
        let name =
            if self.currency == BASE { String::new() } else { format!(" {}", plan.currencies.name(self.currency)) };
        let text = |amount: Cash| format!("{}{name}", amount.to_f64());
        let waits = if self.unsettled == Cash::ZERO {
            String::new()
        } else {
            format!(", {} has not settled", text(self.unsettled))
        };
        (text(self.needed), format!("{} is free{waits}", text(self.free)))
    }
}

/// What an account lacks that is to set aside so much more of a currency; `None` if it can.
///
/// # Errors
/// As [`free_power`].
pub fn lacks_power(
    plan: &Plan,
    state: &State,
    book: &Book,
    (instrument, need): (&Instrument, Cash),
) -> Result<Option<Lack>> {
    let currency = instrument.currency;
    let (settings, quotes) = (&plan.account, &state.exchange.quotes);
    if need <= Cash::ZERO || settings.buying_power == BuyingPower::Unlimited {
        return Ok(None);
    }
    let own = book.purse(currency);
    if !goes_by_cash(plan) {
        // What a margin model needs is of the base currency.
        let needed = if plan.has_margin() { need } else { quotes.to_base(currency, need)? };
        let free = free_power(plan, state, book)?;
        return Ok((needed > free).then_some(Lack { needed, free, currency: BASE, unsettled: Cash::ZERO }));
    }
    let is_margined = instrument.is_margined();
    let withheld = |purse: &Purse| book.withheld(plan, purse, state.now);
    let spendable = |purse: &Purse| book.spendable(plan, purse, state.now);
    let is_covered = !is_margined && own.shortfall(spendable(own)?, need)? == Cash::ZERO;
    if currency != BASE && !is_margined && (is_covered || settings.conversion == Conversion::Never) {
        let free = spendable(own)?.minus(own.reserved, WHAT)?;
        return Ok((!is_covered).then_some(Lack { needed: need, free, currency, unsettled: withheld(own) }));
    }
    // What the other currencies lack is paid by the base currency.
    let base = book.purse(BASE);
    let mut free = spendable(base)?.minus(base.reserved, WHAT)?;
    free = free.minus(collateral(book, quotes)?, WHAT)?.minus(reserved_margined(book, quotes)?, WHAT)?;
    if settings.conversion != Conversion::Never {
        for (other, purse) in book.foreign().filter(|(other, _)| is_margined || *other != currency) {
            free = free.minus(quotes.to_base(other, purse.shortfall(spendable(purse)?, Cash::ZERO)?)?, WHAT)?;
        }
    }
    let lacks = match (currency == BASE, is_margined) {
        (true, _) => need,
        (false, true) => quotes.to_base(currency, need)?,
        (false, false) => quotes.to_base(currency, own.shortfall(spendable(own)?, need)?)?,
    };
    Ok((lacks > free).then_some(Lack { needed: lacks, free, currency: BASE, unsettled: withheld(base) }))
}

/// Buying power that a working order takes (positive) or will give back (negative), given the position held now.
///
/// It is of the instrument's currency. It takes the notional of what it would open, at the price expected when it was accepted. A market order gives
/// back the notional of what it would close; a resting one may never fill. Where shorts are not allowed a sale
/// opens nothing. Where cash alone counts every purchase takes its notional, and no sale does. With a margin model what
/// each would need alone stands for its notional, in the base currency. `None` when a number leaves the range of the ledger.
///
/// # Errors
/// The margin model fails.
pub fn reservation(plan: &Plan, state: &State, order: &Order, held: i64) -> Result<Option<Cash>> {
    let Some(price) = order.expected_price else { return Ok(Some(Cash::ZERO)) };
    let (instrument, settings) = (plan.instrument(order.request.instrument), &plan.account);
    let sign = order.request.side.sign();
    let by_cash = settings.buying_power == BuyingPower::Cash && !instrument.is_margined();
    if by_cash && sign > 0 {
        return Ok(instrument.scale.notional(Price(price.0.abs()), Qty(order.leaves)));
    }
    let closes = if held.signum() == -sign { held.abs().min(order.leaves) } else { 0 };
    let never_opens = order.request.instructions.reduce_only || (sign < 0 && (by_cash || !settings.allows_short));
    let opens = if never_opens { 0 } else { order.leaves - closes };
    let gives_back = if order.request.order_type == OrderType::Market { closes } else { 0 };
    if state.margin.is_on() {
        let (about, units) = (About::of(plan, state, order.request.book), (sign * opens, -sign * gives_back));
        return state.margin.of_order(&about, order.request.instrument, units, price).map(Some);
    }
    Ok(instrument.scale.notional(Price(price.0.abs()), Qty(opens - gives_back)))
}

/// A fill that an account is asked to carry; amounts are in the currency of its instrument.
#[derive(Clone, Copy, Debug)]
pub struct Exposure {
    /// Of which instrument.
    pub instrument: InstrumentId,
    /// Position afterwards.
    pub after: i64,
    /// Price of the fill.
    pub price: Price,
    /// Which that is.
    pub currency: CurrencyId,
    /// Whether its positions are not paid for.
    pub is_margined: bool,
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
/// A rate is missing, the model of conversions fails, or a sum leaves the range of a ledger entry.
pub fn affords(
    plan: &Plan,
    (exchange, margin): (&mut Exchange, &Margin),
    book: &Book,
    fill: &Exposure,
    now: Ns,
) -> Result<bool> {
    let (settings, currency) = (&plan.account, fill.currency);
    if settings.buying_power == BuyingPower::Unlimited {
        return Ok(true);
    }
    let quotes = &exchange.quotes;
    let size = |value: Cash| quotes.to_base(currency, Cash(value.0.abs()));
    if goes_by_cash(plan) && !fill.is_margined {
        let kept = collateral(book, quotes)?;
        let before = book.spendable(plan, book.purse(currency), now)?;
        let after = before.minus(fill.notional, WHAT)?.minus(fill.fee, WHAT)?;
        let least = if currency == BASE { kept } else { Cash::ZERO };
        return if after >= least || after >= before {
            Ok(true)
        } else {
            exchange.covers(plan, book, (currency, Cash(-after.0)), (kept, now))
        };
    }
    if fill.is_reducing {
        return Ok(true);
    }
    if margin.is_on() {
        let about = About::beside(plan, exchange, book, now);
        return margin.affords(&about, (fill.instrument, fill.after, fill.price), fill.fee);
    }
    if goes_by_cash(plan) {
        let others = collateral(book, quotes)?.minus(size(fill.value_before)?, WHAT)?;
        let kept = others.plus(size(fill.value_after)?, WHAT)?.plus(quotes.to_base(currency, fill.fee)?, WHAT)?;
        return Ok(kept <= book.spendable(plan, book.purse(BASE), now)?);
    }
    let others = book.gross_exposure(quotes)?.minus(size(fill.value_before)?, WHAT)?;
    let gross = others.plus(size(fill.value_after)?, WHAT)?;
    let equity = book.equity(quotes)?.minus(quotes.to_base(currency, fill.fee)?, WHAT)?;
    Ok(gross <= leveraged(equity, settings)?)
}

/// The sentence for a sell of an account that may not sell short.
pub(crate) fn short_text(instrument: &Instrument, quantity: i64, held: i64, now: Ns) -> String {
    let (quantity, held) = (instrument.scale.quantity_f64(quantity), instrument.scale.quantity_f64(held));
    let (symbol, now) = (&instrument.symbol, render(now));
    format!("sells {quantity} {symbol}, the account holds {held} and may not sell short ({now})")
}
