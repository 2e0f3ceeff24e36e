//! What the simulator knows of an instrument.

use ml4t_abi::Phase;

use crate::error::{Result, SimError};
use crate::ids::{CalendarId, CurrencyId, FeedId};
use crate::latency::Latency;
use crate::money::{CASH_EXPONENT, Cash, Price, Ratio, Scale};
use crate::order::Side;
use crate::policies::{LotRounding, Settlement};

/// Static facts of one instrument.
#[derive(Clone, Debug)]
pub struct Instrument {
    /// Name; instruments of a plan are sorted by it.
    pub symbol: String,
    /// Settlement currency.
    pub currency: CurrencyId,
    /// How what a position in it has gained becomes cash.
    pub settlement: Settlement,
    /// Scales of price, quantity and multiplier.
    pub scale: Scale,
    /// Smallest price step of an order, in price units.
    pub tick_size: i64,
    /// Smallest quantity step of an order, in quantity units.
    pub lot_size: i64,
    /// Whether prices below zero are legal.
    pub allows_negative_prices: bool,
    /// Whether who sells it short borrows it: shares and coins, not derivatives.
    pub is_borrowed: bool,
    /// Whether what its funding rates pay is the rollover of a currency pair.
    pub rolls_over: bool,
    /// Session table.
    pub calendar: CalendarId,
    /// The feed that orders are matched on and that sets marks; `None` when the instrument has no market data.
    pub matching: Option<FeedId>,
    /// How long messages about its orders are under way.
    pub latency: Latency,
    /// The feed of prints beside quotes that fill limits at rest, where the policies ask for that.
    pub prints: Option<FeedId>,
}

impl Instrument {
    /// Whether the rows of a phase are prints beside quotes.
    pub(crate) fn is_print(&self, phase: Phase) -> bool {
        phase == Phase::TRADE && self.prints.is_some()
    }

    /// The feed whose rows orders meet in a phase.
    pub(crate) fn met_in(&self, phase: Phase) -> Option<FeedId> {
        if self.is_print(phase) { self.prints } else { self.matching }
    }

    /// Whole lots of an asked quantity that came to `units`, exactly or not. Under [`LotRounding::Down`] it is cut towards
    /// zero, unless that leaves nothing; else it stays for intake to judge.
    #[must_use]
    pub const fn in_lots(&self, (units, is_exact): (i64, bool), rounding: LotRounding) -> (i64, bool) {
        let whole = units - units % self.lot_size;
        match rounding {
            LotRounding::Down if whole != 0 => (whole, true),
            _ => (units, is_exact),
        }
    }

    /// Whether its positions are not paid for.
    #[must_use]
    pub const fn is_margined(&self) -> bool {
        !matches!(self.settlement, Settlement::Upfront)
    }

    /// Check what the types leave open.
    ///
    /// # Errors
    /// A step is not positive.
    pub fn validate(&self) -> Result<()> {
        if self.tick_size <= 0 || self.lot_size <= 0 {
            return Err(SimError::config(format!(
                "{}: tick_size and lot_size must be at least one unit of their exponent",
                self.symbol
            )));
        }
        Ok(())
    }

    /// Whether `price` is a multiple of the tick size.
    #[must_use]
    pub const fn on_tick(&self, price: Price) -> bool {
        price.0 % self.tick_size == 0
    }

    /// `price` divided by `ratio`, exactly, then rounded down or up to the tick. `None` out of range.
    #[must_use]
    pub fn tick_of_quotient(&self, price: Price, ratio: Ratio, rounds_down: bool) -> Option<Price> {
        let n = i128::from(price.0).checked_mul(i128::from(ratio.den))?;
        let d = i128::from(ratio.num).checked_mul(i128::from(self.tick_size))?;
        let ticks = if rounds_down { n.div_euclid(d) } else { -(-n).div_euclid(d) };
        i64::try_from(ticks.checked_mul(i128::from(self.tick_size))?).ok().map(Price)
    }

    /// A limit or, when it triggers against the order, a stop price on the tick that fills less: limits of buys and
    /// stops of sells down, limits of sells and stops of buys up.
    #[must_use]
    pub fn passive(&self, price: Price, side: Side, is_stop: bool) -> Price {
        if (side == Side::Buy) == is_stop { self.tick_ceil(price) } else { self.tick_floor(price) }
    }

    /// The price that an amount for a unit is; `None` where prices are not as fine.
    #[must_use]
    pub fn price_of(&self, per_unit: Cash) -> Option<Price> {
        let unit = 10_i128.pow(CASH_EXPONENT - self.scale.price_exponent);
        (per_unit.0 % unit == 0).then(|| i64::try_from(per_unit.0 / unit).ok().map(Price)).flatten()
    }

    /// Nearest tick at or below `price`.
    #[must_use]
    pub const fn tick_floor(&self, price: Price) -> Price {
        Price(price.0 - price.0.rem_euclid(self.tick_size))
    }

    /// Nearest tick at or above `price`.
    #[must_use]
    pub const fn tick_ceil(&self, price: Price) -> Price {
        let over = price.0.rem_euclid(self.tick_size);
        if over == 0 { price } else { Price(price.0 + self.tick_size - over) }
    }
}
