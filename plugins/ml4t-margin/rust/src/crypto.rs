//! Margin of perpetual futures at exchanges of crypto currencies.

use core::ffi::CStr;

use ml4t_abi::{Answer, Holding, Kind, MarginContext, MarginOutput, PortfolioModel, Status, export_portfolio_model};

use crate::symbols::Bound;
use crate::{larger, whole};

/// From which notional which rate counts, and what is taken off.
type Tier = (f64, f64, f64);

#[derive(Clone)]
struct CryptoMargin {
    leverage: f64,
    /// The first is that of every instrument that is not named.
    tables: Vec<Vec<Tier>>,
    tables_of: Bound<usize>,
}

/// Tables with their lengths before them, and what follows them.
fn tables(count: usize, params: &[f64]) -> Option<(Vec<Vec<Tier>>, &[f64])> {
    let mut rest = params;
    let mut found = Vec::new();
    for _ in 0..count {
        let (length, after) = rest.split_first()?;
        let (rows, after) = after.split_at_checked(3 * whole(*length))?;
        found.push(rows.chunks_exact(3).map(|row| (row[0], row[1], row[2])).collect());
        rest = after;
    }
    Some((found, rest))
}

/// Rate and amount of the tier of a notional.
fn tier(table: &[Tier], notional: f64) -> (f64, f64) {
    let mut found = (0.0, 0.0);
    for &(floor, rate, amount) in table {
        if notional < floor {
            break;
        }
        found = (rate, amount);
    }
    found
}

impl PortfolioModel for CryptoMargin {
    type Context = MarginContext;
    type Output = MarginOutput;
    const KIND: Kind = Kind::MARGIN;
    const NAME: &'static CStr = c"CryptoMargin";

    fn new(params: &[f64]) -> Result<Self, String> {
        let read = || {
            let (&[leverage, count], rest) = params.split_first_chunk()?;
            let (tables, rest) = tables(whole(count), rest)?;
            let (mark, places) = rest.split_first()?;
            let places: Vec<usize> = places.iter().map(|place| whole(*place)).collect();
            let all_known = !tables.is_empty() && places.iter().all(|place| *place < tables.len());
            all_known.then(|| Self { leverage, tables, tables_of: Bound::new(*mark, places.into_iter()) })
        };
        read().ok_or_else(|| format!("CryptoMargin has a leverage and tables of tiers, found {params:?}"))
    }

    fn evaluate(
        &mut self,
        _context: &MarginContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        output: &mut MarginOutput,
    ) -> Answer {
        let (mut initial, mut maintenance) = (0.0, 0.0);
        for (holding, amount) in holdings.iter().zip(amounts) {
            let notional = holding.quantity.abs() * holding.mark.abs() * holding.multiplier;
            let table = self.tables_of.of(holding.asset, "CryptoMargin", "tiers_by_symbol", 0)?;
            let (rate, off) = tier(&self.tables[table], notional);
            let held = (notional * rate - off) * holding.fx;
            initial += larger(notional / self.leverage * holding.fx, held);
            maintenance += held;
            *amount = held;
        }
        (output.initial, output.maintenance) = (initial, maintenance);
        Ok(Status::OK)
    }
}

export_portfolio_model!(ml4t_margin_crypto: CryptoMargin);
