//! Any of the indicators, fed with the fields it is made of.

use super::{Atr, Bollinger, Ema, Macd, RollingStd, Rsi, Sma};

/// Most values that an indicator takes or gives at a time.
pub const WIDTH: usize = 3;

/// One of the indicators.
#[derive(Clone, Debug)]
pub enum Indicator {
    /// [`Sma`].
    Sma(Sma),
    /// [`Ema`].
    Ema(Ema),
    /// [`Rsi`].
    Rsi(Rsi),
    /// [`RollingStd`].
    RollingStd(RollingStd),
    /// [`Atr`].
    Atr(Atr),
    /// [`Macd`].
    Macd(Macd),
    /// [`Bollinger`].
    Bollinger(Bollinger),
}

impl Indicator {
    /// Fields that it takes where nobody says otherwise, in the sequence of its arguments.
    #[must_use]
    pub const fn fields(&self) -> &'static [&'static str] {
        match self {
            Self::Atr(_) => &["high", "low", "close"],
            _ => &["close"],
        }
    }

    /// Names of what it gives; an indicator with one output calls it `value`.
    #[must_use]
    pub const fn outputs(&self) -> &'static [&'static str] {
        match self {
            Self::Macd(_) => &["line", "signal", "histogram"],
            Self::Bollinger(_) => &["lower", "middle", "upper"],
            _ => &["value"],
        }
    }

    /// Take the next values, as many as it has fields; the others are not looked at.
    pub fn update(&mut self, x: [f64; WIDTH]) {
        match self {
            Self::Sma(inner) => _ = inner.update(x[0]),
            Self::Ema(inner) => _ = inner.update(x[0]),
            Self::Rsi(inner) => _ = inner.update(x[0]),
            Self::RollingStd(inner) => _ = inner.update(x[0]),
            Self::Atr(inner) => _ = inner.update(x[0], x[1], x[2]),
            Self::Macd(inner) => _ = inner.update(x[0]),
            Self::Bollinger(inner) => _ = inner.update(x[0]),
        }
    }

    /// Last answers, NaN until warm; the places beyond its outputs are NaN.
    #[must_use]
    pub const fn values(&self) -> [f64; WIDTH] {
        const NONE: f64 = f64::NAN;
        match self {
            Self::Sma(inner) => [inner.value(), NONE, NONE],
            Self::Ema(inner) => [inner.value(), NONE, NONE],
            Self::Rsi(inner) => [inner.value(), NONE, NONE],
            Self::RollingStd(inner) => [inner.value(), NONE, NONE],
            Self::Atr(inner) => [inner.value(), NONE, NONE],
            Self::Macd(inner) => {
                let lines = inner.value();
                [lines.line, lines.signal, lines.histogram]
            }
            Self::Bollinger(inner) => {
                let bands = inner.value();
                [bands.lower, bands.middle, bands.upper]
            }
        }
    }
}
