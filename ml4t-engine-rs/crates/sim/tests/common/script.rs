//! A strategy that does what a script says, when it says so.

use ml4t_sim::engine::{Api, Strategy};
use ml4t_sim::error::{Result, SimError};
use ml4t_sim::ids::{BookId, InstrumentId, OrderId};
use ml4t_sim::money::{Decimal, Price};
use ml4t_sim::order::{OrderRequest, OrderType, Side, TimeInForce};
use ml4t_sim::plan::Plan;
use ml4t_sim::time::Ns;

use super::outcome::when;

/// An order in words.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    symbol: String,
    side: Side,
    quantity: i64,
    limit: Option<String>,
    stop: Option<String>,
    time_in_force: TimeInForce,
    book: BookId,
}

const fn ask(symbol: String, side: Side, quantity: i64) -> Ask {
    Ask { symbol, side, quantity, limit: None, stop: None, time_in_force: TimeInForce::Gtc, book: BookId(0) }
}

/// Buy at the market, good till canceled.
pub(crate) fn buy(symbol: &str, quantity: i64) -> Ask {
    ask(symbol.to_owned(), Side::Buy, quantity)
}

/// Sell at the market, good till canceled.
pub(crate) fn sell(symbol: &str, quantity: i64) -> Ask {
    ask(symbol.to_owned(), Side::Sell, quantity)
}

impl Ask {
    /// At this price or better.
    pub(crate) fn limit(self, price: &str) -> Self {
        Self { limit: Some(price.to_owned()), ..self }
    }

    /// Once this price trades.
    pub(crate) fn stop(self, price: &str) -> Self {
        Self { stop: Some(price.to_owned()), ..self }
    }

    /// To the close of its session.
    pub(crate) fn day(self) -> Self {
        Self { time_in_force: TimeInForce::Day, ..self }
    }

    /// At its first event, as a whole or not at all.
    pub(crate) fn fok(self) -> Self {
        Self { time_in_force: TimeInForce::Fok, ..self }
    }

    /// For another account.
    pub(crate) fn book(self, book: u16) -> Self {
        Self { book: BookId(book), ..self }
    }

    /// The request that the engine takes.
    pub(crate) fn request(&self, plan: &Plan) -> Result<OrderRequest> {
        let i = plan.instruments.iter().position(|x| x.symbol == self.symbol);
        let Some(i) = i else { return Err(SimError::unknown_name(self.symbol.clone())) };
        let exponent = plan.instruments[i].scale.price_exponent;
        let price = |text: &Option<String>| -> Result<Option<Price>> {
            let Some(text) = text else { return Ok(None) };
            let units = Decimal::parse(text).and_then(|d| d.scaled_i64(exponent));
            units
                .map(|p| Some(Price(p)))
                .ok_or_else(|| SimError::order(format!("{text} is no price of {}", self.symbol)))
        };
        let order_type = match (&self.limit, &self.stop) {
            (None, None) => OrderType::Market,
            (Some(_), None) => OrderType::Limit,
            (None, Some(_)) => OrderType::Stop,
            (Some(_), Some(_)) => OrderType::StopLimit,
        };
        Ok(OrderRequest {
            book: self.book,
            order_type,
            time_in_force: self.time_in_force,
            limit_price: price(&self.limit)?,
            stop_price: price(&self.stop)?,
            ..OrderRequest::market(InstrumentId(u32::try_from(i).unwrap_or(u32::MAX)), self.side, self.quantity)
        })
    }
}

/// What a test wants to read in a call of the strategy.
pub(crate) type Probe = fn(&Api<'_>) -> String;

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Send an order.
    Send(Ask),
    /// Ask to cancel an order; the first is number 1.
    Cancel(u64),
    /// Note what the probe reads.
    Probe(Probe),
}

/// The call of the strategy in which something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Phase 8.
    Instant,
    /// After phase 10.
    Opened,
}

/// What to do when.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    ts: Ns,
    moment: Moment,
    act: Act,
    is_done: bool,
}

/// The strategy, and what it saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    steps: Vec<Step>,
    pub(crate) timers: Vec<Ns>,
    /// Instants of the calls in phase 8.
    pub(crate) called: Vec<Ns>,
    /// What the probes read, with the time in front.
    pub(crate) probed: Vec<String>,
    /// Whether a cancel request found the order open.
    pub(crate) canceled: Vec<bool>,
    /// Orders that were sent after the opens of their instant.
    pub(crate) sent_after_opens: Vec<OrderId>,
}

impl Script {
    pub(crate) fn add(&mut self, ts: Ns, moment: Moment, act: Act) {
        self.steps.push(Step { ts, moment, act, is_done: false });
    }

    /// Every step had its moment; otherwise the test would claim something about a run that never did it.
    pub(crate) fn check_done(&self) -> Result<()> {
        match self.steps.iter().find(|s| !s.is_done) {
            None => Ok(()),
            Some(step) => Err(SimError::state(format!(
                "the strategy was not called at {} ({:?}) to do {:?}",
                when(step.ts),
                step.moment,
                step.act
            ))),
        }
    }

    fn act(&mut self, api: &mut Api<'_>, moment: Moment) -> Result<()> {
        let now = api.state.now;
        for step in self.steps.iter_mut().filter(|s| s.ts == now && s.moment == moment && !s.is_done) {
            step.is_done = true;
            match &step.act {
                Act::Send(ask) => {
                    let request = ask.request(api.plan)?;
                    let id = api.submit(request)?;
                    if moment == Moment::Opened {
                        self.sent_after_opens.push(id);
                    }
                }
                Act::Cancel(number) => self.canceled.push(api.cancel(OrderId(number - 1))),
                Act::Probe(probe) => self.probed.push(format!("{} {}", when(now), probe(api))),
            }
        }
        Ok(())
    }
}

impl Strategy for Script {
    fn on_start(&mut self, api: &mut Api<'_>) -> Result<()> {
        api.state.add_timers(&self.timers, 0)
    }

    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.called.push(api.state.now);
        self.act(api, Moment::Instant)
    }

    fn on_opened(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.act(api, Moment::Opened)
    }
}
