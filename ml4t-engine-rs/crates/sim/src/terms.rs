//! What an order may say beside what, how much and at which price: trails and instructions.

use crate::instrument::Instrument;
use crate::money::{Price, Ratio};
use crate::order::Side;
use crate::rules::Base;

/// An exact amount in price units: splits divide it without rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Numerator.
    pub num: i128,
    /// Denominator, above zero.
    pub den: i128,
}

impl Amount {
    /// A whole number of price units.
    #[must_use]
    pub const fn new(units: i64) -> Self {
        Self { num: units as i128, den: 1 }
    }

    /// Sum. `None` out of range.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let (a, b) = (self.num.checked_mul(other.den)?, other.num.checked_mul(self.den)?);
        Some(Self { num: a.checked_add(b)?, den: self.den.checked_mul(other.den)? })
    }

    /// Difference. `None` out of range.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { num: other.num.checked_neg()?, den: other.den })
    }

    /// Product. `None` out of range.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        Some(Self { num: self.num.checked_mul(other.num)?, den: self.den.checked_mul(other.den)? })
    }

    /// Quotient by an amount above zero. `None` out of range.
    #[must_use]
    pub fn over(self, other: Self) -> Option<Self> {
        self.times(Self { num: other.den, den: other.num })
    }

    /// Whether it is at least another.
    #[must_use]
    pub fn is_at_least(self, other: Self) -> Option<bool> {
        Some(self.minus(other)?.num >= 0)
    }

    /// The whole multiple of `step` at or below it. `None` out of range.
    #[must_use]
    pub fn floor(self, step: i64) -> Option<i64> {
        let steps = self.num.div_euclid(self.den.checked_mul(i128::from(step))?);
        i64::try_from(steps.checked_mul(i128::from(step))?).ok()
    }

    /// As a quantity after a split. `None` out of range.
    #[must_use]
    pub fn scaled(self, ratio: Ratio) -> Option<Self> {
        let num = self.num.checked_mul(i128::from(ratio.num))?;
        Some(Self { num, den: self.den.checked_mul(i128::from(ratio.den))? })
    }

    /// In units of the shares after a split. `None` out of range.
    #[must_use]
    pub fn unscale(self, ratio: Ratio) -> Option<Self> {
        let num = self.num.checked_mul(i128::from(ratio.den))?;
        Some(Self { num, den: self.den.checked_mul(i128::from(ratio.num))? })
    }

    /// `price` less (`is_below`) or plus the amount, exactly, then on the tick below or above. `None` out of range.
    #[must_use]
    pub fn away_from(self, price: Price, instrument: &Instrument, is_below: bool, rounds_down: bool) -> Option<Price> {
        let whole = i128::from(price.0).checked_mul(self.den)?;
        let exact = if is_below { whole.checked_sub(self.num)? } else { whole.checked_add(self.num)? };
        let step = self.den.checked_mul(i128::from(instrument.tick_size))?;
        let ticks = if rounds_down { exact.div_euclid(step) } else { -(-exact).div_euclid(step) };
        i64::try_from(ticks.checked_mul(i128::from(instrument.tick_size))?).ok().map(Price)
    }
}

/// Distance of a trailing stop from its water mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// In units of price.
    Amount(Amount),
    /// Billionths of the size of the water mark.
    Fraction(i64),
}

/// How a trailing stop follows the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trail {
    /// How far behind.
    pub distance: Distance,
    /// Distance of the limit behind the stop, for a trailing stop-limit.
    pub limit_offset: Option<Amount>,
    /// Price that the market has to reach before anything happens.
    pub activation: Option<Price>,
}

impl Trail {
    /// The distance where it is an amount.
    #[must_use]
    pub const fn amount(&self) -> Option<Amount> {
        match self.distance {
            Distance::Amount(amount) => Some(amount),
            Distance::Fraction(_) => None,
        }
    }

    /// The distance where it is a fraction.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rendering")]
    pub const fn fraction(&self) -> Option<f64> {
        match self.distance {
            Distance::Amount(_) => None,
            Distance::Fraction(billionths) => Some(billionths as f64 / 1e9),
        }
    }

    /// Stop and limit of an order of that side for a water mark. `None` out of range.
    #[must_use]
    pub fn levels(&self, water: Price, side: Side, instrument: &Instrument) -> Option<(Price, Option<Price>)> {
        let is_below = side == Side::Sell;
        let stop = match self.distance {
            Distance::Amount(amount) => amount.away_from(water, instrument, is_below, is_below)?,
            Distance::Fraction(f) => Base::new(i128::from(water.0), 1).level(instrument, f, is_below)?,
        };
        Some((stop, self.limit(stop, side, instrument)?))
    }

    /// The limit behind a stop: on the tick that fills less where the offset is off the tick.
    #[expect(clippy::option_option, reason = "no limit is not the same as one out of range")]
    pub(crate) fn limit(&self, stop: Price, side: Side, instrument: &Instrument) -> Option<Option<Price>> {
        let is_below = side == Side::Sell;
        match self.limit_offset {
            None => Some(None),
            Some(offset) => offset.away_from(stop, instrument, is_below, !is_below).map(Some),
        }
    }

    /// Whether the market at `price` puts the stop in force.
    #[must_use]
    pub fn is_activated_by(&self, price: Price, side: Side) -> bool {
        match (self.activation, side) {
            (None, _) => true,
            (Some(level), Side::Sell) => price >= level,
            (Some(level), Side::Buy) => price <= level,
        }
    }

    /// In the shares after a split; the activation price goes to the tick that is reached later. `None` out of range.
    #[must_use]
    pub fn unscale(self, ratio: Ratio, side: Side, instrument: &Instrument) -> Option<Self> {
        let scaled = |amount: Option<Amount>| match amount {
            None => Some(None),
            Some(amount) => amount.unscale(ratio).map(Some),
        };
        let activation = match self.activation {
            None => None,
            Some(price) => Some(instrument.tick_of_quotient(price, ratio, side == Side::Buy)?),
        };
        let distance = match self.distance {
            Distance::Amount(amount) => Distance::Amount(amount.unscale(ratio)?),
            fraction @ Distance::Fraction(_) => fraction,
        };
        Some(Self { distance, limit_offset: scaled(self.limit_offset)?, activation })
    }
}

/// What an order may not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent instructions")]
pub struct Instructions {
    /// It may not take.
    pub post_only: bool,
    /// It may not open or turn a position.
    pub reduce_only: bool,
    /// An event fills all that is open of it or nothing.
    pub all_or_none: bool,
    /// It is lowered by what the shares pay out, where it waits below the market.
    pub adjust_for_dividend: bool,
}

impl Instructions {
    /// None of them.
    pub const NONE: Self =
        Self { post_only: false, reduce_only: false, all_or_none: false, adjust_for_dividend: false };

    /// Names of those that are set, as the tables show them.
    #[must_use]
    pub fn names(self) -> String {
        let all = [
            ("post_only", self.post_only),
            ("reduce_only", self.reduce_only),
            ("all_or_none", self.all_or_none),
            ("adjust_for_dividend", self.adjust_for_dividend),
        ];
        all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    }
}
