//! What is closed of a portfolio that lacks margin.

use core::cmp::Ordering;
use core::ffi::CStr;

use ml4t_abi::{
    Answer, Holding, Kind, LiquidationContext, LiquidationOutput, PortfolioModel, Status, export_portfolio_model,
};

use crate::{exactly, larger, smaller};

/// Refuse what is not known.
fn needs(name: &str, holding: &Holding, value: f64) -> Result<(), String> {
    if value.is_nan() {
        let asset = holding.asset;
        return Err(format!("{name}: instrument index {asset} lacks requirement or unrealized, which it goes by"));
    }
    Ok(())
}

#[derive(Clone)]
struct CloseAll;

impl PortfolioModel for CloseAll {
    type Context = LiquidationContext;
    type Output = LiquidationOutput;
    const KIND: Kind = Kind::LIQUIDATION;
    const NAME: &'static CStr = c"CloseAll";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [] = exactly("CloseAll", params)?;
        Ok(Self)
    }

    fn evaluate(
        &mut self,
        _context: &LiquidationContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        _output: &mut LiquidationOutput,
    ) -> Answer {
        for (holding, amount) in holdings.iter().zip(amounts) {
            *amount = holding.quantity.abs();
        }
        Ok(Status::OK)
    }
}

export_portfolio_model!(ml4t_margin_close_all: CloseAll);

#[derive(Clone)]
struct LargestLoserFirst {
    buffer: f64,
}

impl PortfolioModel for LargestLoserFirst {
    type Context = LiquidationContext;
    type Output = LiquidationOutput;
    const KIND: Kind = Kind::LIQUIDATION;
    const NAME: &'static CStr = c"LargestLoserFirst";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [buffer] = exactly("LargestLoserFirst", params)?;
        Ok(Self { buffer })
    }

    fn evaluate(
        &mut self,
        context: &LiquidationContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        _output: &mut LiquidationOutput,
    ) -> Answer {
        for holding in holdings {
            needs("LargestLoserFirst", holding, holding.requirement)?;
            needs("LargestLoserFirst", holding, holding.unrealized)?;
        }
        let mut sequence: Vec<(usize, &Holding)> = holdings.iter().enumerate().collect();
        sequence.sort_by(|(_, a), (_, b)| {
            let by_loss = a.unrealized.partial_cmp(&b.unrealized).unwrap_or(Ordering::Equal);
            by_loss.then(a.asset.cmp(&b.asset))
        });
        amounts.fill(0.0);
        let mut rest = context.deficit * (1.0 + self.buffer);
        for (k, holding) in sequence {
            let requirement = holding.requirement;
            if !(rest > 0.0 && requirement > 0.0) {
                continue;
            }
            if requirement <= rest {
                amounts[k] = holding.quantity.abs();
                rest -= requirement;
            } else {
                amounts[k] = holding.quantity.abs() * rest / requirement;
                rest = 0.0;
            }
        }
        if rest > 0.0 {
            for (holding, amount) in holdings.iter().zip(amounts) {
                *amount = holding.quantity.abs();
            }
        }
        Ok(Status::OK)
    }
}

export_portfolio_model!(ml4t_margin_largest_loser_first: LargestLoserFirst);

#[derive(Clone)]
struct ProRata {
    buffer: f64,
}

impl PortfolioModel for ProRata {
    type Context = LiquidationContext;
    type Output = LiquidationOutput;
    const KIND: Kind = Kind::LIQUIDATION;
    const NAME: &'static CStr = c"ProRata";

    fn new(params: &[f64]) -> Result<Self, String> {
        let [buffer] = exactly("ProRata", params)?;
        Ok(Self { buffer })
    }

    fn evaluate(
        &mut self,
        context: &LiquidationContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        _output: &mut LiquidationOutput,
    ) -> Answer {
        let mut together = 0.0;
        for holding in holdings {
            needs("ProRata", holding, holding.requirement)?;
            together += holding.requirement;
        }
        let mut part = 1.0;
        if together > 0.0 {
            part = larger(0.0, smaller(1.0, context.deficit * (1.0 + self.buffer) / together));
        }
        for (holding, amount) in holdings.iter().zip(amounts) {
            *amount = holding.quantity.abs() * part;
        }
        Ok(Status::OK)
    }
}

export_portfolio_model!(ml4t_margin_pro_rata: ProRata);
