//! Position rules: stop loss, take profit and trailing stop, and the levels they stand for.
//!
//! A rule with a price level is a resting order held at the venue for the whole position. It is placed when the
//! position opens, follows its size and average entry, and is canceled when the position is closed; whichever
//! of them fills takes the others with it. Such orders act without latency and meet the rest of the bar in
//! which the position was opened; a target waits for the next bar when the entry itself filled inside the bar,
//! because whether the market went there before or after is not known. [`crate::guard`] keeps those orders.

use crate::error::{Result, SimError};
use crate::instrument::Instrument;
use crate::money::{Decimal, Price};
use crate::order::OrderType;

/// Kinds of position rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Leave when the price falls a fraction below the average entry (rises above, for shorts).
    StopLoss,
    /// Leave when it rises a fraction above (falls below, for shorts).
    TakeProfit,
    /// Leave when it falls a fraction below the highest price since the entry (rises above the lowest).
    TrailingStop,
    /// Close what there is no margin for: a rule of the broker, which no strategy sets or takes back.
    Liquidation,
    /// Buy back shares that were borrowed and are lent no longer: likewise.
    BuyIn,
    /// Leave a contract for the next one: likewise.
    Roll,
}

impl RuleKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::StopLoss, Self::TakeProfit, Self::TrailingStop, Self::Liquidation, Self::BuyIn, Self::Roll];
    /// Those that a strategy sets.
    pub const SET: [Self; 3] = [Self::StopLoss, Self::TakeProfit, Self::TrailingStop];

    /// Name in the tables: the tag of the order.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StopLoss => "stop_loss",
            Self::TakeProfit => "take_profit",
            Self::TrailingStop => "trailing_stop",
            Self::Liquidation => "liquidation",
            Self::BuyIn => "buy_in",
            Self::Roll => "roll",
        }
    }

    /// Whether its orders are the broker's: no strategy changes them or takes them back.
    #[must_use]
    pub const fn is_of_the_broker(self) -> bool {
        matches!(self, Self::Liquidation | Self::BuyIn | Self::Roll)
    }

    pub(crate) const fn order_type(self) -> OrderType {
        match self {
            Self::StopLoss | Self::TrailingStop | Self::Liquidation => OrderType::Stop,
            Self::TakeProfit => OrderType::Limit,
            Self::BuyIn | Self::Roll => OrderType::Market,
        }
    }
}

const BILLION: i64 = 1_000_000_000;

/// Fractions of a price by kind, in billionths; `None` where the rule is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PositionRules {
    fractions: [Option<i64>; RuleKind::ALL.len()],
}

impl PositionRules {
    /// Add a rule.
    ///
    /// # Errors
    /// The fraction is not above 0, a loss of 1 or more, has more than 9 decimals, or the kind is set already.
    pub fn with(mut self, kind: RuleKind, fraction: Decimal) -> Result<Self> {
        let is_loss = kind != RuleKind::TakeProfit;
        let Some(billionths) = fraction.scaled_i64(9).filter(|&f| f > 0 && (f < BILLION || !is_loss)) else {
            return Err(SimError::config(format!(
                "{}: the fraction must be above 0{} and have at most 9 decimals",
                kind.as_str(),
                if is_loss { ", below 1" } else { "" }
            )));
        };
        let slot = &mut self.fractions[kind as usize];
        if slot.is_some() {
            return Err(SimError::config(format!("{} is set twice", kind.as_str())));
        }
        *slot = Some(billionths);
        Ok(self)
    }

    /// Whether no rule is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fractions.iter().all(Option::is_none)
    }

    pub(crate) const fn fraction(&self, kind: RuleKind) -> Option<i64> {
        self.fractions[kind as usize]
    }
}

/// An exact price: a quotient in price units, the divisor above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    whole: i128,
    rest: i128,
    divisor: i128,
}

impl Base {
    /// `numerator / divisor` price units.
    pub(crate) const fn new(numerator: i128, divisor: i128) -> Self {
        Self { whole: numerator.div_euclid(divisor), rest: numerator.rem_euclid(divisor), divisor }
    }

    /// Whether a price is above the base, or at it.
    pub(crate) const fn is_reached_by(self, price: Price) -> bool {
        price.0 as i128 > self.whole || (price.0 as i128 == self.whole && self.rest == 0)
    }

    /// Level at `fraction` billionths from the base, below it when `is_below`, on the tick farther away: a stop
    /// triggers later and a target is reached later. Computed exactly and rounded once.
    pub(crate) fn level(self, instrument: &Instrument, fraction: i64, is_below: bool) -> Option<Price> {
        // A fraction of the size of the price, so that below is below where prices are negative, too.
        let away = if is_below == (self.whole >= 0) {
            BILLION.checked_sub(fraction)?
        } else {
            BILLION.checked_add(fraction)?
        };
        let factor = i128::from(away);
        let step = i128::from(instrument.tick_size).checked_mul(i128::from(BILLION))?;
        // The part behind the point of the base can only matter for whether something is left over.
        let (mut rest, mut divisor) = (self.rest, self.divisor);
        while rest.checked_mul(factor).is_none() {
            // Beyond 38 digits; what is cut is below 1e-20 of a price unit.
            (rest, divisor) = (rest / 2, divisor / 2);
        }
        let part = rest * factor;
        let billionths = self.whole.checked_mul(factor)?.checked_add(part.div_euclid(divisor))?;
        let is_exact = part.rem_euclid(divisor) == 0 && billionths.rem_euclid(step) == 0;
        let ticks = billionths.div_euclid(step).checked_add(i128::from(!is_below && !is_exact))?;
        i64::try_from(ticks.checked_mul(i128::from(instrument.tick_size))?).ok().map(Price)
    }
}
