//! How long a message is under way to the venue.

use std::sync::Arc;

use ml4t_abi::{Header, LatencyContext, LatencyOutput, Message as AbiMessage, Status};

use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::models::LatencyModel;
use crate::order::Order;
use crate::plan::Plan;
use crate::rng::Occasion;
use crate::time::{Ns, render};

/// A latency: always the same, drawn anew for every message, or what a model answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Fixed(Ns),
    /// Evenly spaced quantiles from the smallest to the largest, linear between them.
    Quantiles(Arc<[Ns]>),
    /// The latency model of that index in the plan.
    Model(usize),
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
    /// Number of the venue, for models.
    pub venue: u32,
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

    /// What a latency model of the plan answers.
    #[must_use]
    pub const fn of_model(index: usize) -> Self {
        Self(Kind::Model(index))
    }

    /// The largest that can come; `None` where a model decides.
    #[must_use]
    pub fn largest(&self) -> Option<Ns> {
        match &self.0 {
            Kind::Fixed(ns) => Some(*ns),
            Kind::Quantiles(quantiles) => quantiles.last().copied(),
            Kind::Model(_) => None,
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
        Ok(Self { submit: delay.clone(), modify: delay.clone(), cancel: delay, venue: 0 })
    }

    const fn delay(&self, message: Message) -> &Delay {
        match message {
            Message::Submit => &self.submit,
            Message::Modify => &self.modify,
            Message::Cancel => &self.cancel,
        }
    }
}

/// The latency models of a run, each with a state of its own.
#[derive(Debug)]
pub struct LatencyModels(Vec<LatencyModel>);

impl Clone for LatencyModels {
    fn clone(&self) -> Self {
        Self(self.0.iter().map(|model| model.boxed_clone()).collect())
    }
}

impl LatencyModels {
    /// Copies of those of a plan, at the begin of a run.
    ///
    /// # Errors
    /// A model cannot begin.
    pub fn new(plan: &Plan) -> Result<Self> {
        let mut models = Vec::with_capacity(plan.models.latency.len());
        for model in &plan.models.latency {
            let mut model = model.boxed_clone();
            crate::models::begin(&mut *model, plan.seed)?;
            models.push(model);
        }
        Ok(Self(models))
    }

    /// How long the n-th message of its kind about an order is under way.
    ///
    /// # Errors
    /// A model fails, or answers what is no latency.
    pub fn of(
        &mut self,
        plan: &Plan,
        (id, order): (OrderId, &Order),
        (message, attempt): (Message, u32),
        now: Ns,
    ) -> Result<Ns> {
        let latency = &plan.instrument(order.request.instrument).latency;
        let occasion = Occasion { model: message as u32, order: id.0, attempt };
        match &latency.delay(message).0 {
            Kind::Fixed(ns) => Ok(*ns),
            Kind::Quantiles(quantiles) => Ok(between(quantiles, occasion.first_bits(plan.seed))),
            Kind::Model(index) => self.ask(plan, *index, (id, order, latency.venue), (message, occasion, now)),
        }
    }

    fn ask(
        &mut self,
        plan: &Plan,
        index: usize,
        (id, order, venue): (OrderId, &Order, u32),
        (message, occasion, now): (Message, Occasion, Ns),
    ) -> Result<Ns> {
        let model = &mut self.0[index];
        let instrument = order.request.instrument;
        let mut context = LatencyContext {
            header: Header::of::<LatencyContext>(if order.request.side.sign() > 0 { 1 } else { -1 }, instrument.0, now),
            message: match message {
                Message::Submit => AbiMessage::SUBMIT,
                Message::Modify => AbiMessage::MODIFY,
                Message::Cancel => AbiMessage::CANCEL,
            },
            venue,
            ..LatencyContext::UNSET
        };
        let draws = model.draws().min(context.random.len());
        if draws > 0 {
            context.random[..draws].copy_from_slice(&occasion.uniforms(plan.seed)[..draws]);
        }
        let mut output = LatencyOutput::UNSET;
        let status = model.eval(&context, &mut output);
        let refuse = |text: &str| {
            SimError::model(format!(
                "model {}, {}, order {}, {}: {text}",
                model.name(),
                plan.instrument(instrument).symbol,
                id.0 + 1,
                render(now)
            ))
        };
        if status != Status::OK {
            return Err(refuse(&crate::models::said(status, &model.last_error())));
        }
        // The upper bound is the first number beyond 64 bits.
        if !(0.0..9_223_372_036_854_775_808.0).contains(&output.delay_ns) {
            return Err(refuse(&format!("delay_ns {}; it must be 0 or more, and within 64 bits", output.delay_ns)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked above; a part of a nanosecond is none")]
        let ns = output.delay_ns as Ns;
        Ok(ns)
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
        assert_eq!(Delay::new(&[7]).map(|d| d.largest()).ok(), Some(Some(7)));
    }
}
