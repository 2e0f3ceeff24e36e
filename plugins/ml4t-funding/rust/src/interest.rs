//! What cash earns, and what debt costs.

use core::ffi::CStr;

use ml4t_abi::{Answer, InterestContext, InterestOutput, Kind, Model, Status, export_model};

/// From which balance on which rate counts, ascending, the first from 0.
type Tiers = Vec<(f64, f64)>;

#[derive(Clone)]
struct CashInterest {
    credit: Tiers,
    debit: Tiers,
    short_rate: f64,
    day_count: f64,
}

/// A list of pairs with their number before it, and what follows it.
fn tiers(params: &[f64]) -> Option<(Tiers, &[f64])> {
    let (count, rest) = params.split_first()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length that the Python class wrote")]
    let (pairs, rest) = rest.split_at_checked(2 * *count as usize)?;
    Some((pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(), rest))
}

/// Interest of a year: each part of the balance at the rate of its tier.
fn of_a_year(balance: f64, tiers: &[(f64, f64)]) -> f64 {
    let mut sum = 0.0;
    for (k, &(from, rate)) in tiers.iter().enumerate() {
        if balance <= from {
            break;
        }
        let upto = tiers.get(k + 1).map_or(balance, |next| if next.0 < balance { next.0 } else { balance });
        sum += (upto - from) * rate;
    }
    sum
}

impl Model for CashInterest {
    type Context = InterestContext;
    type Output = InterestOutput;
    const KIND: Kind = Kind::INTEREST;
    const NAME: &'static CStr = c"CashInterest";

    fn new(params: &[f64]) -> Result<Self, String> {
        let read = || {
            let (credit, rest) = tiers(params)?;
            let (debit, rest) = tiers(rest)?;
            let &[short_rate, day_count] = rest else { return None };
            Some(Self { credit, debit, short_rate, day_count })
        };
        read().ok_or_else(|| format!("CashInterest has two lists of tiers, a rate and a day count, found {params:?}"))
    }

    fn evaluate(&mut self, context: &InterestContext, output: &mut InterestOutput) -> Answer {
        let balance = context.cash - context.short_value;
        let year = of_a_year(balance, &self.credit) - of_a_year(-balance, &self.debit);
        output.payment = (year + context.short_value * self.short_rate) * context.days / self.day_count;
        Ok(Status::OK)
    }
}

export_model!(ml4t_funding_cash_interest: CashInterest);
