//! Models that scenarios name and that are not compiled into the simulator: their plugins have them, and here stand the
//! same formulas, as any crate may write them.

use std::collections::BTreeMap;

use ml4t_abi::{
    BorrowContext, BorrowOutput, FundingContext, FundingOutput, ImpactContext, ImpactOutput, InterestContext,
    InterestOutput, Status,
};
use ml4t_sim::carry::CarryModels;
use ml4t_sim::currency::{BASE, Currencies};
use ml4t_sim::error::Result;
use ml4t_sim::models::{
    BorrowModel, FundingModel, ImpactModel, InterestModel, Model, Models, Param, Params, builtin_fee, builtin_fill,
    builtin_fx, builtin_slippage,
};

use crate::margin::{liquidation_model, margin_model};
use crate::table::Scenario;
use crate::world::currency_of;

/// `VolumeShare` -> `volume_share`: the name of the compiled-in table.
fn builtin_name(class: &str) -> String {
    let mut name = String::new();
    for letter in class.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    match name.as_str() {
        "no_slippage" | "no_fee" => "none".to_owned(),
        "fixed_per_share" => "per_share".to_owned(),
        _ => name,
    }
}

fn model(scenario: &Scenario, key: &str) -> (Option<String>, Params) {
    of_table(scenario.settings(key))
}

fn of_table(mut settings: BTreeMap<String, toml::Value>) -> (Option<String>, Params) {
    let class = settings.remove("type").and_then(|t| t.as_str().map(builtin_name));
    let param = |value: toml::Value| match value {
        toml::Value::Boolean(flag) => Param::Flag(flag),
        toml::Value::String(text) => text.parse().map_or(Param::Missing, Param::Number),
        other => other.to_string().parse().map_or(Param::Missing, Param::Number),
    };
    (class, Params(settings.into_iter().map(|(name, value)| (name, param(value))).collect()))
}

/// The parameters of those names, or their defaults.
fn numbers<const N: usize>(params: &Params, defaults: [(&str, f64); N]) -> [f64; N] {
    defaults.map(|(name, default)| {
        let given = params.0.iter().find(|(known, _)| known == name);
        if let Some((_, Param::Number(x))) = given { *x } else { default }
    })
}

pub(crate) fn models(scenario: &Scenario, currencies: &Currencies) -> Result<Models> {
    let mut models = Models::default();
    if let (Some(name), params) = model(scenario, "fill") {
        models.fill = builtin_fill(&name, &params)?;
    }
    if let (Some(name), params) = model(scenario, "slippage") {
        models.slippage = builtin_slippage(&name, &params)?;
    }
    if let (Some(_), params) = model(scenario, "impact") {
        models.impact = Some(Box::new(AlmgrenChriss::new(&params)));
    }
    if let (Some(name), params) = model(scenario, "fee") {
        models.fee = builtin_fee(&name, &params)?;
    }
    models.carry = carry(scenario, currencies)?;
    if let (Some(name), params) = model(scenario, "fx") {
        models.fx = Some(builtin_fx(&name, &params)?);
    }
    models.margin = margin_model(scenario)?;
    models.liquidation = liquidation_model(scenario)?;
    Ok(models)
}

fn carry(scenario: &Scenario, currencies: &Currencies) -> Result<CarryModels> {
    let mut models = CarryModels::default();
    let defaults = [("credit", 0.0), ("debit", 0.0), ("short_rate", 0.0), ("day_count", 360.0)];
    if let (Some(_), params) = model(scenario, "borrow") {
        models.borrow = Some(Box::new(BorrowFee(numbers(&params, [("rate", f64::NAN), ("day_count", 360.0)]))));
    }
    if let (Some(_), _) = model(scenario, "funding") {
        models.funding = Some(Box::new(PerpetualFunding));
    }
    if let (Some(_), params) = model(scenario, "interest") {
        models.interest.push((BASE, Box::new(CashInterest(numbers(&params, defaults)))));
    }
    // Models of interest of other currencies than the base, by their names.
    for (name, value) in scenario.settings("interest_models") {
        let (_, params) = of_table(value.as_table().cloned().unwrap_or_default().into_iter().collect());
        let currency = currency_of(currencies, &name)?;
        models.interest.push((currency, Box::new(CashInterest(numbers(&params, defaults)))));
    }
    models.interest.sort_by_key(|(currency, _)| *currency);
    Ok(models)
}

/// A fill of q pays epsilon + eta q / tau, and moves later prices by gamma q.
#[derive(Clone, Debug)]
struct AlmgrenChriss([f64; 4]);

impl AlmgrenChriss {
    fn new(params: &Params) -> Self {
        Self(numbers(params, [("gamma", 0.0), ("eta", 0.0), ("epsilon", 0.0), ("tau", 1.0)]))
    }
}

impl Model<ImpactContext, ImpactOutput> for AlmgrenChriss {
    fn eval(&mut self, context: &ImpactContext, output: &mut ImpactOutput) -> Status {
        let [gamma, eta, epsilon, tau] = self.0;
        output.temporary = epsilon + eta * (context.quantity / tau);
        output.permanent = gamma * context.quantity;
        Status::OK
    }

    fn name(&self) -> &'static str {
        "AlmgrenChriss"
    }

    fn boxed_clone(&self) -> ImpactModel {
        Box::new(self.clone())
    }
}

/// A yearly rate on what a short position is worth: its own, else that of the data.
#[derive(Clone)]
struct BorrowFee([f64; 2]);

impl Model<BorrowContext, BorrowOutput> for BorrowFee {
    fn eval(&mut self, c: &BorrowContext, output: &mut BorrowOutput) -> Status {
        let [rate, day_count] = self.0;
        let rate = if rate.is_nan() { c.rate_annual } else { rate };
        output.fee = c.price.abs() * c.quantity * c.multiplier * rate * c.days / day_count;
        Status::OK
    }

    fn name(&self) -> &'static str {
        "BorrowFee"
    }

    fn boxed_clone(&self) -> BorrowModel {
        Box::new(self.clone())
    }
}

/// Longs pay shorts the rate of the data on the value at the mark.
#[derive(Clone)]
struct PerpetualFunding;

impl Model<FundingContext, FundingOutput> for PerpetualFunding {
    fn eval(&mut self, c: &FundingContext, output: &mut FundingOutput) -> Status {
        output.payment = -(c.quantity * c.multiplier * c.mark * c.rate);
        Status::OK
    }

    fn name(&self) -> &'static str {
        "PerpetualFunding"
    }

    fn boxed_clone(&self) -> FundingModel {
        Box::new(self.clone())
    }
}

/// One rate on cash that is free, one on what is owed, one on the value of shorts.
#[derive(Clone)]
struct CashInterest([f64; 4]);

impl Model<InterestContext, InterestOutput> for CashInterest {
    fn eval(&mut self, c: &InterestContext, output: &mut InterestOutput) -> Status {
        let [credit, debit, short_rate, day_count] = self.0;
        let balance = c.cash - c.short_value;
        let year = if balance > 0.0 { balance * credit } else { -(-balance * debit) };
        output.payment = (year + c.short_value * short_rate) * c.days / day_count;
        Status::OK
    }

    fn name(&self) -> &'static str {
        "CashInterest"
    }

    fn boxed_clone(&self) -> InterestModel {
        Box::new(self.clone())
    }
}
