//! The strategy of a scenario: it asks what the file says, in the calls the file names.

use ml4t_sim::engine::{Api, Strategy};
use ml4t_sim::error::Result;
use ml4t_sim::ids::{BookId, InstrumentId, OrderId};
use ml4t_sim::money::{Decimal, Price};
use ml4t_sim::order::{Order, OrderRequest, OrderType, Reason, Side, TimeInForce};
use ml4t_sim::policies::TickRounding;
use ml4t_sim::rules::{PositionRules, RuleKind};
use ml4t_sim::time::Ns;

use crate::table::{Scenario, cell, instant, wrong};

#[derive(Clone, Debug)]
struct Ask {
    ts: Ns,
    after_opens: bool,
    what: String,
    is_done: bool,
}

/// Asks in the sequence of the file, and the orders sent so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    asks: Vec<Ask>,
    sent: Vec<OrderId>,
}

impl Script {
    pub(crate) fn of(scenario: &Scenario) -> Result<Self> {
        let rows = scenario.table("asks")?.rows;
        let asks = rows.iter().map(|row| {
            Ok(Ask {
                ts: instant(cell(row, "sent", ""))?,
                after_opens: cell(row, "from", "") == "fill",
                what: cell(row, "what", "").to_owned(),
                is_done: false,
            })
        });
        Ok(Self { asks: asks.collect::<Result<_>>()?, sent: Vec::new() })
    }

    /// The first ask whose call never came.
    pub(crate) fn unsent(&self) -> Option<&str> {
        self.asks.iter().find(|a| !a.is_done).map(|a| a.what.as_str())
    }

    fn act(&mut self, api: &mut Api<'_>, after_opens: bool) -> Result<()> {
        for k in 0..self.asks.len() {
            let ask = &mut self.asks[k];
            if ask.ts != api.state.now || ask.after_opens != after_opens || ask.is_done {
                continue;
            }
            ask.is_done = true;
            let what = ask.what.clone();
            let words: Vec<&str> = what.split_whitespace().collect();
            match words[..] {
                ["cancel", rule] if RuleKind::ALL.iter().any(|k| k.as_str() == rule) => {
                    let is_it = |o: &Order| !o.status.is_terminal() && o.rule.is_some_and(|k| k.as_str() == rule);
                    let live = api.state.orders.iter().position(is_it);
                    live.map(|k| api.cancel(OrderId(k as u64)));
                }
                ["cancel", number] => {
                    let number: usize = number.parse().map_err(|_| wrong(what.clone()))?;
                    api.cancel(self.sent[number - 1]);
                }
                ["rules", ref rules @ ..] => api.set_position_rules(BookId(0), position_rules(rules)?),
                [side, quantity, symbol, ref terms @ ..] => {
                    let id = send(api, Side::parse(side)?, quantity, symbol, terms)?;
                    self.sent.push(id);
                }
                _ => return Err(wrong(format!("{what:?} is no ask"))),
            }
        }
        Ok(())
    }
}

fn position_rules(words: &[&str]) -> Result<PositionRules> {
    let mut rules = PositionRules::default();
    for pair in words.chunks(2) {
        let [name, fraction] = pair[..] else { continue };
        let kind = RuleKind::ALL.into_iter().find(|k| k.as_str() == name);
        let (Some(kind), Some(fraction)) = (kind, Decimal::parse(fraction)) else {
            return Err(wrong(format!("{words:?} are no rules")));
        };
        rules = rules.with(kind, fraction)?;
    }
    Ok(rules)
}

/// Send an order as the front door does: numbers that the instrument cannot keep are refused by name.
fn send(api: &mut Api<'_>, side: Side, quantity: &str, symbol: &str, terms: &[&str]) -> Result<OrderId> {
    let Some(i) = api.plan.instruments.iter().position(|x| x.symbol == symbol) else {
        return Err(wrong(format!("no instrument {symbol}")));
    };
    let scale = api.plan.instruments[i].scale;
    let mut refusal = None;
    let mut read = |text: &str, exponent: u32, up: bool, reason: Option<Reason>| -> Result<i64> {
        let found = Decimal::parse(text).and_then(|d| d.scaled_toward(exponent, up));
        let (value, is_exact) = found.ok_or_else(|| wrong(format!("{text:?} is no number")))?;
        if !is_exact {
            refusal = refusal.or(reason);
        }
        Ok(value)
    };
    let units = read(quantity, scale.quantity_exponent, false, Some(Reason::OffLot))?.max(1);
    let (mut limit, mut stop, mut time_in_force) = (None, None, TimeInForce::Gtc);
    let off_tick = (api.plan.policies.tick_rounding == TickRounding::Reject).then_some(Reason::OffTick);
    let mut rest = terms.iter();
    while let Some(&word) = rest.next() {
        match word {
            "day" => time_in_force = TimeInForce::Day,
            "limit" | "stop" => {
                let up = (side == Side::Buy) == (word == "stop");
                let price = read(rest.next().copied().unwrap_or_default(), scale.price_exponent, up, off_tick)?;
                *(if word == "limit" { &mut limit } else { &mut stop }) = Some(Price(price));
            }
            _ => return Err(wrong(format!("{word:?} is no term of an order"))),
        }
    }
    let order_type = match (limit, stop) {
        (None, None) => OrderType::Market,
        (Some(_), None) => OrderType::Limit,
        (None, Some(_)) => OrderType::Stop,
        (Some(_), Some(_)) => OrderType::StopLimit,
    };
    let id = InstrumentId(u32::try_from(i).unwrap_or(u32::MAX));
    let request = OrderRequest {
        order_type,
        time_in_force,
        limit_price: limit,
        stop_price: stop,
        ..OrderRequest::market(id, side, units)
    };
    match refusal {
        Some(reason) => api.submit_refused(request, reason, String::new(), None),
        None => api.submit(request),
    }
}

impl Strategy for Script {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.act(api, false)
    }

    fn on_opened(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.act(api, true)
    }
}
