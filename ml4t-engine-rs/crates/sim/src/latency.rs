//! How long a message is under way to the venue.

use std::sync::Arc;

use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::rng::Occasion;
use crate::time::Ns;

/// A latency: always the same, or drawn anew for every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Fixed(Ns),
    /// Evenly spaced quantiles from the smallest to the largest, linear between them.
    Quantiles(Arc<[Ns]>),
}

/// What a message is about; the numbers are those of its random stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// An order.
    Submit = 16,
    /// A change of one.
    Modify = 17,
    /// A cancel.
    Cancel = 18,
}

/// Latencies of the messages about orders of an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Of orders.
    pub submit: Delay,
    /// Of changes.
    pub modify: Delay,
    /// Of cancels.
    pub cancel: Delay,
}

impl Delay {
    /// From quantiles in nanoseconds; one of them is a fixed latency.
    ///
    /// # Errors
    /// None, one below zero, or one below the one before it.
    pub fn new(quantiles: &[Ns]) -> Result<Self> {
        match quantiles {
            [first, ..] if *first >= 0 && quantiles.is_sorted() => Ok(Self(match quantiles {
                [fixed] => Kind::Fixed(*fixed),
                _ => Kind::Quantiles(quantiles.into()),
            })),
            _ => Err(SimError::config(format!(
                "a latency needs quantiles in nanoseconds, the first at least 0 and none below the one before: {quantiles:?}"
            ))),
        }
    }

    /// The largest that can come.
    #[must_use]
    pub fn largest(&self) -> Ns {
        match &self.0 {
            Kind::Fixed(ns) => *ns,
            Kind::Quantiles(quantiles) => quantiles.last().copied().unwrap_or(0),
        }
    }

    /// The latency of one message: the n-th of its kind about an order.
    fn of(&self, seed: u64, message: Message, order: OrderId, attempt: u32) -> Ns {
        match &self.0 {
            Kind::Fixed(ns) => *ns,
            Kind::Quantiles(quantiles) => {
                let occasion = Occasion { model: message as u32, order: order.0, attempt };
                between(quantiles, occasion.first_bits(seed))
            }
        }
    }
}

impl Latency {
    /// The same for every message.
    ///
    /// # Errors
    /// It is below zero.
    pub fn fixed(ns: Ns) -> Result<Self> {
        let delay = Delay::new(&[ns])?;
        Ok(Self { submit: delay.clone(), modify: delay.clone(), cancel: delay })
    }

    /// How long a message is under way: the n-th of its kind about an order.
    #[must_use]
    pub fn of(&self, seed: u64, message: Message, order: OrderId, attempt: u32) -> Ns {
        let delay = match message {
            Message::Submit => &self.submit,
            Message::Modify => &self.modify,
            Message::Cancel => &self.cancel,
        };
        delay.of(seed, message, order, attempt)
    }
}

/// The quantile at `bits / 2^53`, between its neighbours in integers.
fn between(quantiles: &[Ns], bits: u64) -> Ns {
    let steps = quantiles.len() - 1;
    let place = u128::from(bits) * steps as u128;
    let at = usize::try_from(place >> 53).unwrap_or(usize::MAX).min(steps - 1);
    let part = place & ((1 << 53) - 1);
    let (low, high) = (quantiles[at], quantiles[at + 1]);
    let rise = (u128::from(high.abs_diff(low)) * part) >> 53;
    low.saturating_add(i64::try_from(rise).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours_in_proportion() {
        let quantiles = [10, 20, 60];
        assert_eq!(between(&quantiles, 0), 10);
        assert_eq!(between(&quantiles, 1 << 51), 15);
        assert_eq!(between(&quantiles, 1 << 52), 20);
        assert_eq!(between(&quantiles, 3 << 51), 40);
        assert_eq!(between(&quantiles, (1 << 53) - 1), 59);
        assert_eq!(between(&[0, i64::MAX], (1 << 53) - 1), i64::MAX - 1024);
    }

    #[test]
    fn what_is_no_row_of_quantiles_is_refused() {
        for bad in [&[][..], &[-1], &[-1, 3], &[3, 2]] {
            assert!(Delay::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Delay::new(&[7]).map(|d| d.largest()).ok(), Some(7));
    }

    #[test]
    fn a_fixed_latency_draws_nothing_and_a_drawn_one_is_the_same_each_time() -> Result<()> {
        let fixed = Latency::fixed(5)?;
        assert_eq!(fixed.of(1, Message::Cancel, OrderId(3), 9), 5);
        let drawn = Latency { submit: Delay::new(&[0, 1_000_000])?, ..fixed };
        let draw = |seed, order| drawn.of(seed, Message::Submit, OrderId(order), 0);
        assert_eq!(draw(1, 3), draw(1, 3));
        assert!(draw(1, 3) != draw(1, 4) && draw(1, 3) != draw(2, 3));
        Ok(())
    }
}
