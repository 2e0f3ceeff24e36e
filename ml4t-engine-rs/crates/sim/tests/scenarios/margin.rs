//! Models of margin and liquidation that scenarios name, with the formulas of `ml4t-margin`.

use std::collections::BTreeMap;

use ml4t_abi::{Holding, LiquidationContext, LiquidationOutput, MarginContext, MarginOutput, Status};
use ml4t_sim::error::Result;
use ml4t_sim::liquidation_price::AtPrice;
use ml4t_sim::margin::MarginTerms;
use ml4t_sim::models::{LiquidationModel, MarginModel, PortfolioModel};

use crate::table::{Scenario, wrong};
use crate::world::duration;

type Settings = BTreeMap<String, toml::Value>;

fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.to_string().parse().ok())
}

fn setting(settings: &Settings, name: &str, default: f64) -> f64 {
    settings.get(name).and_then(number).unwrap_or(default)
}

fn class(settings: &Settings) -> &str {
    settings.get("type").and_then(toml::Value::as_str).unwrap_or_default()
}

/// What the models say about themselves.
pub(crate) fn margin_terms(scenario: &Scenario) -> Result<MarginTerms> {
    let (margin, liquidation) = (scenario.settings("margin"), scenario.settings("liquidation"));
    let grace = liquidation.get("grace").and_then(toml::Value::as_str);
    let warn_at = setting(&liquidation, "warn_at", f64::NAN);
    let is_isolated = margin.get("mode").and_then(toml::Value::as_str) == Some("isolated");
    let at_price = AtPrice { is_isolated, fee: setting(&margin, "liquidation_fee", 0.0) };
    Ok(MarginTerms {
        has_sma: false,
        grace: grace.map_or(Ok(0), duration)?,
        warn_at: Some(warn_at).filter(|part| !part.is_nan()),
        at_price: (class(&margin) == "CryptoMargin").then_some(at_price),
    })
}

pub(crate) fn margin_model(scenario: &Scenario) -> Result<Option<MarginModel>> {
    let settings = scenario.settings("margin");
    let model = match class(&settings) {
        "" => return Ok(None),
        "FixedLeverage" => Needs::Leverage {
            leverage: setting(&settings, "leverage", 1.0),
            maintenance: setting(&settings, "maintenance", 0.0),
        },
        "FuturesMargin" => Needs::Futures { intraday: setting(&settings, "intraday", 1.0) },
        "CryptoMargin" => {
            let listed = settings.get("tiers").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
            let mut tiers: Vec<[f64; 3]> = Vec::new();
            for row in listed {
                let cell = |k: usize| row.get(k).and_then(number).ok_or_else(|| wrong(format!("tier {row}")));
                let (floor, rate) = (cell(0)?, cell(1)?);
                let off = tiers.last().map_or(0.0, |[_, before, off]| floor * (rate - before) + off);
                tiers.push([floor, rate, off]);
            }
            Needs::Crypto { leverage: setting(&settings, "leverage", 20.0), tiers }
        }
        other => return Err(wrong(format!("no margin model {other}"))),
    };
    Ok(Some(Box::new(model)))
}

pub(crate) fn liquidation_model(scenario: &Scenario) -> Result<Option<LiquidationModel>> {
    Ok(match class(&scenario.settings("liquidation")) {
        "" => None,
        "CloseAll" => Some(Box::new(Closes::All)),
        "LargestLoserFirst" => Some(Box::new(Closes::LargestLoserFirst)),
        other => return Err(wrong(format!("no liquidation model {other}"))),
    })
}

/// What a portfolio needs.
#[derive(Clone)]
enum Needs {
    Leverage { leverage: f64, maintenance: f64 },
    Futures { intraday: f64 },
    Crypto { leverage: f64, tiers: Vec<[f64; 3]> },
}

impl Needs {
    /// To open a holding, to hold it, and to hold it over a close.
    fn of(&self, holding: &Holding) -> (f64, f64, f64) {
        let size = holding.quantity.abs();
        let notional = size * holding.mark.abs() * holding.multiplier;
        match self {
            Self::Leverage { leverage, maintenance } => {
                let value = notional * holding.fx;
                (value / leverage, value * maintenance, f64::NAN)
            }
            Self::Futures { intraday } => {
                let needed = |rate: f64| size * rate * holding.fx;
                let overnight = if *intraday < 1.0 { needed(holding.initial_rate) } else { f64::NAN };
                (needed(intraday * holding.initial_rate), needed(intraday * holding.maintenance_rate), overnight)
            }
            Self::Crypto { leverage, tiers } => {
                let tier = tiers.iter().rev().find(|[floor, ..]| *floor <= notional);
                let [_, rate, off] = tier.copied().unwrap_or_default();
                let held = (notional * rate - off) * holding.fx;
                ((notional / leverage * holding.fx).max(held), held, f64::NAN)
            }
        }
    }
}

impl PortfolioModel<MarginContext, MarginOutput> for Needs {
    fn eval(&mut self, _: &MarginContext, all: &[Holding], amounts: &mut [f64], output: &mut MarginOutput) -> Status {
        (output.initial, output.maintenance) = (0.0, 0.0);
        let mut overnight = 0.0;
        for (holding, amount) in all.iter().zip(amounts) {
            let needed;
            (needed, *amount, output.overnight) = self.of(holding);
            output.initial += needed;
            output.maintenance += *amount;
            overnight += output.overnight;
        }
        output.overnight = overnight;
        Status::OK
    }

    fn last_error(&self) -> String {
        String::new()
    }

    fn name(&self) -> &'static str {
        "margin"
    }

    fn reset(&mut self, _: u64) -> core::result::Result<(), String> {
        Ok(())
    }

    fn boxed_clone(&self) -> MarginModel {
        Box::new(self.clone())
    }
}

/// What is closed of a portfolio.
#[derive(Clone, Copy)]
enum Closes {
    All,
    LargestLoserFirst,
}

impl PortfolioModel<LiquidationContext, LiquidationOutput> for Closes {
    fn eval(
        &mut self,
        context: &LiquidationContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        _: &mut LiquidationOutput,
    ) -> Status {
        let mut sequence: Vec<usize> = (0..holdings.len()).collect();
        sequence.sort_by(|&a, &b| holdings[a].unrealized.total_cmp(&holdings[b].unrealized));
        let mut rest = if matches!(self, Self::All) { f64::INFINITY } else { context.deficit };
        for k in sequence {
            let needed = holdings[k].requirement;
            let part = if needed <= rest { 1.0 } else { rest.max(0.0) / needed };
            amounts[k] = holdings[k].quantity.abs() * part;
            rest -= needed;
        }
        Status::OK
    }

    fn last_error(&self) -> String {
        String::new()
    }

    fn name(&self) -> &'static str {
        "liquidation"
    }

    fn reset(&mut self, _: u64) -> core::result::Result<(), String> {
        Ok(())
    }

    fn boxed_clone(&self) -> LiquidationModel {
        Box::new(*self)
    }
}
