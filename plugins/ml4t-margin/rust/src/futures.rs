//! Margin of futures, per contract.

use core::cmp::Ordering::{Equal, Greater};
use core::ffi::CStr;

use ml4t_abi::{Answer, Holding, Kind, MarginContext, MarginOutput, PortfolioModel, Status, export_portfolio_model};

use crate::first;

#[derive(Clone)]
struct FuturesMargin {
    intraday: f64,
    symbols: Vec<String>,
}

impl FuturesMargin {
    fn refused(&self, holding: &Holding) -> String {
        let who = self.symbols.get(holding.asset as usize).cloned();
        let who = who.unwrap_or_else(|| format!("instrument index {}", holding.asset));
        let what = match (holding.initial_rate.is_nan(), holding.maintenance_rate.is_nan()) {
            (true, true) => "initial and maintenance",
            (true, false) => "initial",
            (false, true) => "maintenance",
            _ => {
                let (initial, held) = (holding.initial_rate, holding.maintenance_rate);
                let rate = "FuturesMargin: the initial margin rate";
                return format!("{rate} {initial:?} of {who} is below that to hold, {held:?}");
            }
        };
        format!("FuturesMargin: no margin rate is in force for {who} ({what}); give margin_rates from then on")
    }
}

impl PortfolioModel for FuturesMargin {
    type Context = MarginContext;
    type Output = MarginOutput;
    const KIND: Kind = Kind::MARGIN;
    const NAME: &'static CStr = c"FuturesMargin";

    fn new(params: &[f64]) -> Result<Self, String> {
        let ([intraday], letters) = first("FuturesMargin", params)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "code points of the Python class")]
        let letter = |code: &f64| char::from_u32(*code as u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        let text: String = letters.iter().map(letter).collect();
        let symbols = if text.is_empty() { Vec::new() } else { text.split('\n').map(String::from).collect() };
        Ok(Self { intraday, symbols })
    }

    fn evaluate(
        &mut self,
        _context: &MarginContext,
        holdings: &[Holding],
        amounts: &mut [f64],
        output: &mut MarginOutput,
    ) -> Answer {
        let (mut initial, mut maintenance, mut overnight) = (0.0, 0.0, 0.0);
        for (holding, amount) in holdings.iter().zip(amounts) {
            // Also where one of them is not known.
            if !matches!(holding.initial_rate.partial_cmp(&holding.maintenance_rate), Some(Equal | Greater)) {
                return Err(self.refused(holding));
            }
            let size = holding.quantity.abs();
            let held = size * (self.intraday * holding.maintenance_rate) * holding.fx;
            initial += size * (self.intraday * holding.initial_rate) * holding.fx;
            overnight += size * holding.initial_rate * holding.fx;
            maintenance += held;
            *amount = held;
        }
        (output.initial, output.maintenance) = (initial, maintenance);
        if self.intraday < 1.0 {
            output.overnight = overnight;
        }
        Ok(Status::OK)
    }
}

export_portfolio_model!(ml4t_margin_futures: FuturesMargin);
