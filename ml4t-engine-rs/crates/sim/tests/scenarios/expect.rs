//! What a run left behind, beside what the scenario expects.

use ml4t_abi::{Liquidity, Phase};
use ml4t_sim::error::Result;
use ml4t_sim::ids::InstrumentId;
use ml4t_sim::ledger::PostingKind;
use ml4t_sim::money::{CASH_EXPONENT, Cash, Decimal, Price, Qty};
use ml4t_sim::order::OrderStatus;
use ml4t_sim::recorder::Part;
use ml4t_sim::time::render;

use crate::common::decimal;
use crate::table::{Faults, Row, Scenario, Table, instant, wrong};
use crate::world::Outcome;

/// Compare every expected table in full, by the columns its header names.
pub(crate) fn compare(scenario: &Scenario, outcome: &Outcome, faults: &mut Faults) -> Result<()> {
    for name in ["events", "fills"] {
        if !scenario.expect.contains_key(name) {
            faults.add(format!("the table {name} is required"));
        }
    }
    for (name, expected) in &scenario.expect {
        let found = match name.as_str() {
            "events" => events(outcome),
            "fills" => fills(outcome),
            "postings" => postings(outcome),
            "portfolio" => portfolio(outcome),
            "positions" => positions(outcome),
            "round_trips" => round_trips(outcome),
            "attribution" => attribution(outcome)?,
            "balances" => balances(outcome),
            "conversions" => conversions(outcome),
            "cash_flows" => cash_flows(outcome),
            "margin" => margin(outcome),
            "margin_calls" => margin_calls(outcome),
            other => return Err(wrong(format!("no table {other} is expected of a run"))),
        };
        if let Some(text) = difference(expected, &found)? {
            faults.add(format!("{name}: {text}"));
        }
    }
    Ok(())
}

fn difference(expected: &Table, found: &[Row]) -> Result<Option<String>> {
    let mut is_equal = expected.rows.len() == found.len();
    for (wanted, row) in expected.rows.iter().zip(found) {
        for column in &expected.columns {
            let Some(value) = row.get(column) else { return Err(wrong(format!("no column {column}"))) };
            is_equal &= same(column, &wanted[column], value)?;
        }
    }
    if is_equal {
        return Ok(None);
    }
    let line = |row: &Row| expected.columns.iter().map(|c| row[c].as_str()).collect::<Vec<_>>().join(" | ");
    let lines = |rows: &[Row]| rows.iter().map(line).collect::<Vec<_>>().join("\n      ");
    Ok(Some(format!("expected\n      {}\n    found\n      {}", lines(&expected.rows), lines(found))))
}

/// Times and numbers are equal by value, everything else by text.
fn same(column: &str, wanted: &str, found: &str) -> Result<bool> {
    if wanted == found {
        return Ok(true);
    }
    if matches!(column, "time" | "sent" | "entered" | "exited") {
        return Ok(render(instant(wanted)?) == found);
    }
    if matches!(column, "entry_price" | "exit_price") {
        return Ok(wanted.parse::<f64>().is_ok_and(|w| found.parse::<f64>() == Ok(w)));
    }
    let exact = |text: &str| Decimal::parse(text).and_then(|d| d.scaled(CASH_EXPONENT));
    Ok(exact(wanted).is_some() && exact(wanted) == exact(found))
}

fn row<const N: usize>(cells: [(&str, String); N]) -> Row {
    cells.into_iter().map(|(column, text)| (column.to_owned(), text)).collect()
}

fn cash(amount: Cash) -> String {
    decimal(amount.0, CASH_EXPONENT)
}

/// Renders what belongs to an instrument.
struct Names<'a>(&'a Outcome);

impl Names<'_> {
    fn symbol(&self, id: InstrumentId) -> String {
        self.0.run().plan().instrument(id).symbol.clone()
    }

    fn currency(&self, id: InstrumentId) -> String {
        let plan = self.0.run().plan();
        plan.currencies.name(plan.instrument(id).currency).to_owned()
    }

    fn price(&self, id: InstrumentId, price: Price) -> String {
        decimal(i128::from(price.0), self.0.run().plan().instrument(id).scale.price_exponent)
    }

    fn quantity(&self, id: InstrumentId, quantity: i64) -> String {
        decimal(i128::from(quantity), self.0.run().plan().instrument(id).scale.quantity_exponent)
    }

    fn average(&self, id: InstrumentId, cost: Cash, quantity: i64) -> String {
        format!("{:?}", self.0.run().plan().instrument(id).scale.average_price(cost, Qty(quantity)))
    }
}

fn events(outcome: &Outcome) -> Vec<Row> {
    let rows = outcome.run().recorder.order_events().filter(|e| e.to != OrderStatus::Submitted);
    rows.map(|e| {
        row([
            ("time", render(e.ts)),
            ("order", (e.order.0 + 1).to_string()),
            ("status", e.to.as_str().to_owned()),
            ("reason", e.reason.code().to_owned()),
        ])
    })
    .collect()
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::OPEN => "open",
        Phase::RANGE => "range",
        Phase::QUOTE => "quote",
        Phase::TRADE => "trade",
        _ => "close",
    }
}

fn fills(outcome: &Outcome) -> Vec<Row> {
    let names = Names(outcome);
    let rows = outcome.run().recorder.fills().map(|f| {
        let price = |p| names.price(f.instrument, p);
        row([
            ("time", render(f.ts)),
            ("order", (f.order.0 + 1).to_string()),
            ("symbol", names.symbol(f.instrument)),
            ("side", f.side.as_str().to_owned()),
            ("quantity", names.quantity(f.instrument, f.quantity)),
            ("price", price(f.price)),
            ("reference", price(f.reference)),
            ("spread", price(f.spread)),
            ("slippage", price(f.slippage)),
            ("impact", price(f.impact)),
            ("permanent", price(f.permanent_impact)),
            ("fee", cash(f.fee)),
            ("notional", cash(f.notional)),
            ("liquidity", if f.liquidity == Liquidity::MAKER { "maker" } else { "taker" }.to_owned()),
            ("phase", phase_name(f.phase).to_owned()),
        ])
    });
    rows.collect()
}

fn postings(outcome: &Outcome) -> Vec<Row> {
    let names = Names(outcome);
    let opening = outcome.run().recorder.ledger().map(|p| p.ts).min();
    let rows =
        outcome.run().recorder.ledger().filter(move |p| p.kind != PostingKind::Deposit || Some(p.ts) != opening).map(
            |p| {
                row([
                    ("time", render(p.ts)),
                    ("kind", p.kind.as_str().to_owned()),
                    ("debit", p.debit.as_str().to_owned()),
                    ("credit", p.credit.as_str().to_owned()),
                    ("symbol", p.instrument.map(|id| names.symbol(id)).unwrap_or_default()),
                    ("currency", outcome.run().plan().currencies.name(p.currency).to_owned()),
                    ("amount", cash(p.amount)),
                    ("order", p.fill.map(|(order, _)| (order.0 + 1).to_string()).unwrap_or_default()),
                ])
            },
        );
    rows.collect()
}

fn date(label: i32) -> String {
    render(i64::from(label) * 86_400_000_000_000).split('T').next().unwrap_or_default().to_owned()
}

fn portfolio(outcome: &Outcome) -> Vec<Row> {
    let rows = outcome.run().recorder.portfolio().map(|p| {
        let value = p.long_value.0 + p.short_value.0;
        row([
            ("time", render(p.ts)),
            ("session", p.session.map(date).unwrap_or_default()),
            ("cash", cash(p.cash)),
            ("receivable", cash(p.receivable)),
            ("equity", cash(p.equity)),
            ("realized", cash(p.realized)),
            ("unrealized", cash(Cash(value - p.cost.0 + p.open_pnl.0))),
            ("carry", cash(p.carry)),
            ("open_pnl", cash(p.open_pnl)),
            ("gross_exposure", cash(Cash(p.long_value.0 - p.short_value.0 + p.margined_long.0 - p.margined_short.0))),
            ("fx_pnl", cash(p.fx)),
            ("fx_costs", cash(p.fx_costs)),
        ])
    });
    rows.collect()
}

fn balances(outcome: &Outcome) -> Vec<Row> {
    let currencies = &outcome.run().plan().currencies;
    let rows = outcome.run().recorder.balances().iter().map(|r| {
        row([
            ("session", r.session.map(date).unwrap_or_default()),
            ("currency", currencies.name(r.currency).to_owned()),
            ("cash", cash(r.cash)),
            ("receivable", cash(r.receivable)),
            ("long_value", cash(r.long_value)),
            ("short_value", cash(r.short_value)),
            ("open_pnl", cash(r.open_pnl)),
            ("fx_rate", r.rate.map_or_else(String::new, |rate| cash(rate.of_one()))),
            ("value", cash(r.value)),
        ])
    });
    rows.collect()
}

fn cash_flows(outcome: &Outcome) -> Vec<Row> {
    let currencies = &outcome.run().plan().currencies;
    let rows = outcome.run().recorder.flows().map(|r| {
        row([
            ("time", render(r.ts)),
            ("currency", currencies.name(r.currency).to_owned()),
            ("amount", cash(r.amount)),
            ("value", cash(r.value)),
            ("equity", cash(r.equity)),
        ])
    });
    rows.collect()
}

fn margin(outcome: &Outcome) -> Vec<Row> {
    let rows = outcome.run().recorder.margins().iter().map(|r| {
        row([
            ("session", date(r.session)),
            ("equity", cash(r.equity)),
            ("initial", cash(r.initial)),
            ("maintenance", cash(r.maintenance)),
            ("overnight", r.overnight.map_or_else(String::new, cash)),
            ("excess", cash(r.excess)),
        ])
    });
    rows.collect()
}

fn margin_calls(outcome: &Outcome) -> Vec<Row> {
    let rows = outcome.run().recorder.margin_calls().iter().map(|r| {
        row([
            ("time", render(r.ts)),
            ("kind", r.kind.as_str().to_owned()),
            ("status", r.status.as_str().to_owned()),
            ("equity", cash(r.equity)),
            ("requirement", cash(r.requirement)),
            ("amount", cash(r.amount)),
        ])
    });
    rows.collect()
}

fn conversions(outcome: &Outcome) -> Vec<Row> {
    let (names, currencies) = (Names(outcome), &outcome.run().plan().currencies);
    let rows = outcome.run().recorder.conversions().into_iter().map(|r| {
        row([
            ("id", r.id.map_or_else(String::new, |id| id.to_string())),
            ("sent", render(r.ts_submitted)),
            ("time", render(r.ts)),
            ("currency", currencies.name(r.currency).to_owned()),
            ("amount", cash(r.amount)),
            ("value", r.done.map_or_else(String::new, |(value, _)| cash(value))),
            ("cost", r.done.map_or_else(String::new, |(_, cost)| cash(cost))),
            ("symbol", r.instrument.map(|id| names.symbol(id)).unwrap_or_default()),
            ("cause", if r.id.is_some() { "asked" } else { "automatic" }.to_owned()),
            ("status", r.status.as_str().to_owned()),
        ])
    });
    rows.collect()
}

fn attribution(outcome: &Outcome) -> Result<Vec<Row>> {
    let names = Names(outcome);
    let rows = outcome.run().recorder.attribution()?.into_iter().map(|c| {
        let mut cells = row([
            ("session", date(c.session)),
            ("symbol", c.instrument.map(|id| names.symbol(id)).unwrap_or_default()),
            ("total", cash(c.total())),
        ]);
        cells.extend(Part::ALL.map(|part| (part.as_str().to_owned(), cash(c.parts[part as usize]))));
        cells
    });
    Ok(rows.collect())
}

fn positions(outcome: &Outcome) -> Vec<Row> {
    let names = Names(outcome);
    let rows = outcome.run().recorder.positions().map(|p| {
        row([
            ("session", date(p.session)),
            ("symbol", names.symbol(p.instrument)),
            ("quantity", names.quantity(p.instrument, p.quantity)),
            ("mark", names.price(p.instrument, p.mark)),
            ("value", cash(p.value)),
        ])
    });
    rows.collect()
}

fn round_trips(outcome: &Outcome) -> Vec<Row> {
    let names = Names(outcome);
    let rows = outcome.run().recorder.round_trips().map(|r| {
        let gross = Cash(r.exit_value.0 - r.entry_cost.0);
        row([
            ("symbol", names.symbol(r.instrument)),
            ("direction", if r.quantity > 0 { "long" } else { "short" }.to_owned()),
            ("quantity", names.quantity(r.instrument, r.quantity.abs())),
            ("entered", render(r.ts_entry)),
            ("exited", render(r.ts_exit)),
            ("entry_price", names.average(r.instrument, r.entry_cost, r.quantity)),
            ("exit_price", names.average(r.instrument, r.exit_value, r.quantity)),
            ("gross_pnl", cash(gross)),
            ("fees", cash(r.fees)),
            ("net_pnl", cash(Cash(gross.0 - r.fees.0))),
            ("currency", names.currency(r.instrument)),
            ("fx_rate", cash(r.fx_rate)),
        ])
    });
    rows.collect()
}
