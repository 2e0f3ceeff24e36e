//! The strategy of a scenario: it asks what the file says, in the calls the file names.

use ml4t_sim::contingent::GroupKind;
use ml4t_sim::engine::{Api, Strategy};
use ml4t_sim::error::Result;
use ml4t_sim::ids::{BookId, InstrumentId, OrderId};
use ml4t_sim::money::{Decimal, Price};
use ml4t_sim::order::{Order, OrderRequest, OrderType, Reason, Side, TimeInForce};
use ml4t_sim::policies::TickRounding;
use ml4t_sim::replace::Changes;
use ml4t_sim::rules::{PositionRules, RuleKind};
use ml4t_sim::terms::{Amount, Distance, Trail};
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
                    let live = api.state.orders.iter().position(|o| is_it(&o));
                    live.map(|k| api.cancel(OrderId(k as u64)));
                }
                ["cancel", number] => {
                    let number: usize = number.parse().map_err(|_| wrong(what.clone()))?;
                    api.cancel(self.sent[number - 1]);
                }
                ["modify", number, ref words @ ..] => {
                    let id = sent_as(&self.sent, number)?;
                    let changes = changes(api, id, words)?;
                    api.modify(id, changes)?;
                }
                ["convert", currency, amount] => {
                    let amount = Decimal::parse(amount).ok_or_else(|| wrong(what.clone()))?;
                    api.convert(BookId(0), currency, amount)?;
                }
                ["rules", ref rules @ ..] => api.set_position_rules(BookId(0), position_rules(rules)?),
                [side, quantity, symbol, ref terms @ ..] => {
                    let id = send(api, Side::parse(side)?, quantity, symbol, terms, &self.sent)?;
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
fn send(
    api: &mut Api<'_>,
    side: Side,
    quantity: &str,
    symbol: &str,
    terms: &[&str],
    sent: &[OrderId],
) -> Result<OrderId> {
    let Some(i) = api.plan.instruments.iter().position(|x| x.symbol == symbol) else {
        return Err(wrong(format!("no instrument {symbol}")));
    };
    let instrument = &api.plan.instruments[i];
    let scale = instrument.scale;
    let lots = |found| instrument.in_lots(found, api.plan.policies.lot_rounding);
    let mut refusal = None;
    let mut read = |text: &str, exponent: u32, up: bool, reason: Option<Reason>| -> Result<i64> {
        let found = Decimal::parse(text).and_then(|d| d.scaled_toward(exponent, up));
        let (value, is_exact) = found.ok_or_else(|| wrong(format!("{text:?} is no number")))?;
        if !is_exact {
            refusal = refusal.or(reason);
        }
        Ok(value)
    };
    let asked = Decimal::parse(quantity).and_then(|d| d.scaled_toward(scale.quantity_exponent, false));
    let (units, is_whole) = lots(asked.ok_or_else(|| wrong(format!("{quantity:?} is no number")))?);
    let units = units.max(1);
    let off_tick = (api.plan.policies.tick_rounding == TickRounding::Reject).then_some(Reason::OffTick);
    let id = InstrumentId(u32::try_from(i).unwrap_or(u32::MAX));
    let mut request = OrderRequest::market(id, side, units);
    let (mut parent, mut group) = (None, None);
    let (mut offset, mut activation, mut distance) = (None, None, None);
    let is_touch = terms.contains(&"touch");
    let mut rest = terms.iter();
    while let Some(&word) = rest.next() {
        let mut value = || rest.next().copied().unwrap_or_default();
        match word {
            "limit" | "stop" | "touch" | "activate" => {
                let up = (side == Side::Buy) == (word == "stop");
                let price = Price(read(value(), scale.price_exponent, up, off_tick)?);
                *(match word {
                    "limit" => &mut request.limit_price,
                    "activate" => &mut activation,
                    _ => &mut request.stop_price,
                }) = Some(price);
            }
            "trail" => {
                distance = Some(Distance::Amount(Amount::new(read(value(), scale.price_exponent, false, None)?)));
            }
            "trail_fraction" => distance = Some(Distance::Fraction(read(value(), 9, false, None)?)),
            "offset" => offset = Some(Amount::new(read(value(), scale.price_exponent, false, None)?)),
            "display" => request.display_quantity = Some(read(value(), scale.quantity_exponent, false, None)?),
            "until" => {
                request.time_in_force = TimeInForce::Gtd;
                request.expires_at = instant(&value().replace('T', " "))?;
            }
            "parent" => parent = Some(sent_as(sent, value())?),
            "oco" => group = Some((GroupKind::Oco, sent_as(sent, value())?)),
            "ouo" => group = Some((GroupKind::Ouo, sent_as(sent, value())?)),
            "post_only" => request.instructions.post_only = true,
            "reduce_only" => request.instructions.reduce_only = true,
            "all_or_none" => request.instructions.all_or_none = true,
            "adjust_for_dividend" => request.instructions.adjust_for_dividend = true,
            life => request.time_in_force = TimeInForce::parse(life)?,
        }
    }
    request.trail = distance.map(|distance| Trail { distance, limit_offset: offset, activation });
    request.order_type = type_of(&request, is_touch);
    let id = match if is_whole { refusal } else { Some(Reason::OffLot) } {
        Some(reason) => api.submit_refused(request, reason, String::new(), None)?,
        None => api.submit(request)?,
    };
    api.link(id, parent, group)?;
    Ok(id)
}

/// Type of an order, as its terms tell.
const fn type_of(request: &OrderRequest, is_touch: bool) -> OrderType {
    match (request.limit_price, request.stop_price, request.trail) {
        (_, _, Some(Trail { limit_offset: Some(_), .. })) => OrderType::TrailingStopLimit,
        (_, _, Some(_)) => OrderType::TrailingStop,
        (None, None, None) => OrderType::Market,
        (Some(_), None, None) => OrderType::Limit,
        (None, Some(_), None) if is_touch => OrderType::MarketIfTouched,
        (Some(_), Some(_), None) if is_touch => OrderType::LimitIfTouched,
        (None, Some(_), None) => OrderType::Stop,
        (Some(_), Some(_), None) => OrderType::StopLimit,
    }
}

fn sent_as(sent: &[OrderId], number: &str) -> Result<OrderId> {
    let place: usize = number.parse().map_err(|_| wrong(format!("{number:?} is no number of an order")))?;
    sent.get(place - 1).copied().ok_or_else(|| wrong(format!("order {number} was not sent")))
}

/// What `modify 1 limit 96.00` changes.
fn changes(api: &Api<'_>, id: OrderId, words: &[&str]) -> Result<Changes> {
    let request = api.state.order(id).request;
    let instrument = api.plan.instrument(request.instrument);
    let scale = instrument.scale;
    let mut found = Changes::default();
    for pair in words.chunks(2) {
        let [word, text] = pair[..] else { return Err(wrong(format!("{words:?} are no changes"))) };
        let exponent = if word == "quantity" { scale.quantity_exponent } else { scale.price_exponent };
        let value = Decimal::parse(text).and_then(|d| d.scaled_toward(exponent, false));
        let mut value = value.ok_or_else(|| wrong(format!("{text:?} is no number")))?;
        if word == "quantity" {
            value = instrument.in_lots(value, api.plan.policies.lot_rounding);
        }
        let (value, is_exact) = value;
        if !is_exact {
            found.refusal = Some(format!("{word} {text} cannot be kept"));
        }
        match word {
            "quantity" => found.quantity = Some(value),
            "limit" => found.limit_price = Some(Price(value)),
            "stop" => found.stop_price = Some(Price(value)),
            "trail" => found.distance = Some(Distance::Amount(Amount::new(value))),
            "offset" => found.limit_offset = Some(Amount::new(value)),
            _ => return Err(wrong(format!("{word:?} cannot be changed"))),
        }
    }
    Ok(found)
}

impl Strategy for Script {
    fn on_instant(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.act(api, false)
    }

    fn on_opened(&mut self, api: &mut Api<'_>) -> Result<()> {
        self.act(api, true)
    }
}
