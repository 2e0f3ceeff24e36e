//! The currencies of a run, and what an amount of one is worth in the base currency by the rates of the data.
//!
//! A rate is exact: the shortest decimal of the float that was given, with at most 15 decimals. Where no pair leads from a
//! currency to the base, two do by way of a third; each step rounds once to the unit of [`Cash`].

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Result, SimError, shown};
use crate::ids::CurrencyId;
use crate::money::{CASH_EXPONENT, Cash, Decimal, div_half_even, mul_div_half_even};
use crate::time::{NEVER, Ns, render};

/// The currency that an account is kept in.
pub const BASE: CurrencyId = CurrencyId(0);

/// Decimals of a rate.
const RATE_EXPONENT: u32 = 15;
const RATE_UNIT: i128 = 10_i128.pow(RATE_EXPONENT);
/// Rates from 1e-8 to 1e8 leave room for amounts.
const ALLOWED: std::ops::RangeInclusive<f64> = 1e-8..=1e8;
/// One unit of a currency.
pub(crate) const ONE: Cash = Cash(10_i128.pow(CASH_EXPONENT));

/// A row of rates as it was given.
#[derive(Clone, Debug)]
pub struct FxRow {
    /// From when on it is in force.
    pub ts: Ns,
    /// The currency of which one unit is priced.
    pub base: String,
    /// The currency of the price.
    pub quote: String,
    /// Units of `quote` for one of `base`.
    pub rate: f64,
}

/// Rate of a pair from an instant on.
#[derive(Clone, Copy, Debug)]
struct PairRate {
    ts: Ns,
    pair: usize,
    rate: i128,
}

/// A pair on the way from one currency to another, and whether its rate divides.
#[derive(Clone, Copy, Debug)]
struct Step {
    pair: usize,
    divides: bool,
}

/// The currencies of a run, the base currency first, and all that the data say of their rates.
#[derive(Debug)]
pub struct Currencies {
    names: Vec<String>,
    /// Sorted by name.
    pairs: Vec<(String, String)>,
    /// Sorted by time and pair.
    rates: Vec<PairRate>,
    /// The way of each currency to the base; that of the base is empty.
    routes: Vec<Vec<Step>>,
}

/// The rate that a float stands for, in units of 1e-15.
#[must_use]
pub fn exact_rate(x: f64) -> Option<i128> {
    let decimal = Decimal::parse(&format!("{x:?}"))?;
    match decimal.exponent.checked_sub(RATE_EXPONENT) {
        Some(beyond) => div_half_even(decimal.mantissa, 10_i128.checked_pow(beyond)?),
        None => decimal.scaled(RATE_EXPONENT),
    }
}

/// A quantity of a foreign currency at a rate of [`exact_rate`].
#[must_use]
pub fn at_rate(amount: Cash, rate: i128) -> Option<Cash> {
    mul_div_half_even(amount.0, rate, RATE_UNIT).map(Cash)
}

impl Currencies {
    /// A run in one currency.
    #[must_use]
    pub fn only(name: &str) -> Self {
        Self { names: vec![name.to_owned()], pairs: Vec::new(), rates: Vec::new(), routes: vec![Vec::new()] }
    }

    /// Several currencies, the base currency first, and their rates.
    ///
    /// # Errors
    /// A rate is out of range or out of sequence, or nothing leads from a currency to the base.
    pub fn new(names: Vec<String>, rows: &[FxRow]) -> Result<Self> {
        let pairs: BTreeSet<(String, String)> = rows.iter().map(|row| (row.base.clone(), row.quote.clone())).collect();
        let pairs: Vec<(String, String)> = pairs.into_iter().collect();
        let mut rates = Vec::with_capacity(rows.len());
        for row in rows {
            let place = || format!("{}{} at {}", row.base, row.quote, render(row.ts));
            let rate = exact_rate(row.rate).filter(|_| ALLOWED.contains(&row.rate)).ok_or_else(|| {
                SimError::data(format!("fx rates: {} is {}, allowed are 1e-8 to 1e8", place(), shown(row.rate)))
            })?;
            let names = (row.base.as_str(), row.quote.as_str());
            let pair = pairs.partition_point(|(base, quote)| (base.as_str(), quote.as_str()) < names);
            let next = PairRate { ts: row.ts, pair, rate };
            if rates.last().is_some_and(|last: &PairRate| (last.ts, last.pair) >= (next.ts, next.pair)) {
                return Err(SimError::data(format!(
                    "fx rates must be sorted by time and pair without duplicates: {} is not after the row before it",
                    place()
                )));
            }
            rates.push(next);
        }
        let mut currencies = Self { names, pairs, rates, routes: Vec::new() };
        currencies.routes =
            currencies.names.iter().map(|name| currencies.route(name)).collect::<Result<Vec<Vec<Step>>>>()?;
        Ok(currencies)
    }

    /// Names, the base currency first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Name of a currency.
    #[must_use]
    pub fn name(&self, id: CurrencyId) -> &str {
        &self.names[id.index()]
    }

    /// The currency of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<CurrencyId> {
        let place = self.names.iter().position(|known| known == name)?;
        u8::try_from(place).ok().map(CurrencyId)
    }

    /// Whether there is any but the base currency.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.names.len() > 1
    }

    /// The currencies other than the base.
    pub fn foreign(&self) -> impl Iterator<Item = CurrencyId> + use<> {
        (1..self.names.len()).map(|k| CurrencyId(u8::try_from(k).unwrap_or(u8::MAX)))
    }

    fn step(&self, from: &str, to: &str) -> Option<Step> {
        let place = |a: &str, b: &str| self.pairs.iter().position(|(base, quote)| base == a && quote == b);
        let direct = place(from, to).map(|pair| Step { pair, divides: false });
        direct.or_else(|| place(to, from).map(|pair| Step { pair, divides: true }))
    }

    fn route(&self, from: &str) -> Result<Vec<Step>> {
        let base = &self.names[0];
        if from == base {
            return Ok(Vec::new());
        }
        if let Some(step) = self.step(from, base) {
            return Ok(vec![step]);
        }
        let mut through: Vec<&String> = self.pairs.iter().flat_map(|(a, b)| [a, b]).collect();
        through.sort();
        let cross = |way: &&String| Some(vec![self.step(from, way)?, self.step(way, base)?]);
        through.iter().find_map(cross).ok_or_else(|| {
            let given: Vec<String> = self.pairs.iter().map(|(a, b)| format!("{a}{b}")).collect();
            let given =
                if given.is_empty() { "none is given".to_owned() } else { format!("given are {}", given.join(", ")) };
            SimError::config(format!(
                "no fx rates lead from {from} to the base currency {base}: {given}; add rates of {from}{base}, of \
                 {base}{from}, or of both with a third currency"
            ))
        })
    }

    /// When the next rate on the way of a currency comes after an instant.
    #[must_use]
    pub fn next_rate(&self, id: CurrencyId, after: Ns) -> Ns {
        let from = self.rates.partition_point(|row| row.ts <= after);
        let counts = |row: &&PairRate| self.routes[id.index()].iter().any(|step| step.pair == row.pair);
        self.rates[from..].iter().find(counts).map_or(NEVER, |row| row.ts)
    }
}

/// What one unit of a currency is worth in the base currency, as a product of at most two fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    steps: [(i128, i128); 2],
    count: u8,
}

impl Rate {
    /// That of the base currency.
    pub const ONE: Self = Self { steps: [(1, 1); 2], count: 0 };

    /// An amount in the base currency; `None` out of range.
    #[must_use]
    pub fn of(&self, amount: Cash) -> Option<Cash> {
        let steps = self.steps.iter().take(usize::from(self.count));
        steps.copied().try_fold(amount, |sum, (num, den)| mul_div_half_even(sum.0, num, den).map(Cash))
    }

    /// Units by which an amount may miss its exact worth, rounded up: each step rounds once.
    #[must_use]
    pub(crate) fn slack(&self) -> i128 {
        let steps = self.steps.iter().take(usize::from(self.count));
        steps.fold(0, |missed, (num, den)| missed * num / den + 2)
    }

    /// What one unit is worth.
    #[must_use]
    pub fn of_one(&self) -> Cash {
        self.of(ONE).unwrap_or(Cash::ZERO)
    }
}

/// The rates in force.
#[derive(Clone, Debug)]
pub struct Quotes {
    of: Arc<Currencies>,
    /// By pair; 0 before the first.
    in_force: Vec<i128>,
    seen: usize,
    now: Ns,
    /// Whether anything follows the time.
    are_several: bool,
    /// Of each currency; `None` before the first of its pairs.
    to_base: Vec<Option<Rate>>,
    /// What one unit of each is worth, exactly and as models see it.
    units: Vec<(Cash, f64)>,
}

impl Quotes {
    /// Before the first rate.
    #[must_use]
    pub fn new(of: &Arc<Currencies>) -> Self {
        let mut to_base = vec![None; of.names.len()];
        to_base[0] = Some(Rate::ONE);
        let mut units = vec![(Cash::ZERO, 0.0); of.names.len()];
        units[0] = (ONE, 1.0);
        Self {
            of: Arc::clone(of),
            in_force: vec![0; of.pairs.len()],
            seen: 0,
            now: i64::MIN,
            are_several: of.are_several(),
            to_base,
            units,
        }
    }

    /// Let the rates take effect that are due; tells whether there are any.
    #[inline]
    pub fn catch_up(&mut self, now: Ns) -> bool {
        self.are_several && self.follow(now)
    }

    fn follow(&mut self, now: Ns) -> bool {
        self.now = now;
        if self.of.rates.get(self.seen).is_none_or(|row| row.ts > now) {
            return false;
        }
        let of = Arc::clone(&self.of);
        while let Some(row) = of.rates.get(self.seen).filter(|row| row.ts <= now) {
            self.in_force[row.pair] = row.rate;
            self.seen += 1;
        }
        for (place, route) in self.to_base.iter_mut().zip(&of.routes) {
            let mut rate = Rate { count: u8::try_from(route.len()).unwrap_or(0), ..Rate::ONE };
            for (slot, step) in rate.steps.iter_mut().zip(route) {
                let found = self.in_force[step.pair];
                *slot = if step.divides { (RATE_UNIT, found) } else { (found, RATE_UNIT) };
            }
            let is_known = route.iter().all(|step| self.in_force[step.pair] != 0);
            *place = is_known.then_some(rate);
        }
        for (unit, rate) in self.units.iter_mut().zip(&self.to_base) {
            let worth = rate.map_or(Cash::ZERO, |rate| rate.of_one());
            *unit = (worth, worth.to_f64());
        }
        true
    }

    /// The rate of a currency to the base.
    ///
    /// # Errors
    /// There is none yet.
    pub fn rate(&self, id: CurrencyId) -> Result<Rate> {
        self.to_base[id.index()].ok_or_else(|| self.is_missing(id))
    }

    /// The rate of a currency to the base, if there is one yet.
    #[must_use]
    pub fn known_rate(&self, id: CurrencyId) -> Option<Rate> {
        self.to_base[id.index()]
    }

    /// What one unit of a currency is worth in the base currency; nothing before its first rate.
    #[must_use]
    #[inline]
    pub fn unit(&self, id: CurrencyId) -> Cash {
        self.units[id.index()].0
    }

    /// The same as models see it.
    #[must_use]
    #[inline]
    pub fn unit_f64(&self, id: CurrencyId) -> f64 {
        self.units[id.index()].1
    }

    /// An amount of a currency in the base currency; nothing is worth nothing before the first rate as well.
    ///
    /// # Errors
    /// There is no rate yet, or the amount leaves its range.
    #[inline]
    pub fn to_base(&self, id: CurrencyId, amount: Cash) -> Result<Cash> {
        if id == BASE || amount == Cash::ZERO { Ok(amount) } else { self.convert(id, amount) }
    }

    fn convert(&self, id: CurrencyId, amount: Cash) -> Result<Cash> {
        self.rate(id)?.of(amount).ok_or_else(|| {
            let (name, base) = (self.of.name(id), self.of.name(BASE));
            SimError::overflow(format!("{} {name} in {base} leaves the range of the ledger", amount.to_f64()))
        })
    }

    fn is_missing(&self, id: CurrencyId) -> SimError {
        let (name, base) = (self.of.name(id), self.of.name(BASE));
        let missing = self.of.routes[id.index()].iter().find(|step| self.in_force[step.pair] == 0);
        let first = missing.and_then(|step| self.of.rates.iter().find(|row| row.pair == step.pair));
        let first = first.map_or(String::new(), |row| {
            let (a, b) = &self.of.pairs[row.pair];
            format!(": the first rate of {a}{b} is of {}", render(row.ts))
        });
        SimError::data(format!(
            "no fx rate leads from {name} to {base} at {}{first}; give earlier rates, or begin later",
            render(self.now)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{Currencies, FxRow, Quotes, exact_rate};
    use crate::ids::CurrencyId;
    use crate::money::Cash;
    use std::sync::Arc;

    const UNIT: i128 = 10_i128.pow(18);

    fn row(ts: i64, pair: &str, rate: f64) -> FxRow {
        FxRow { ts, base: pair[..3].to_owned(), quote: pair[3..].to_owned(), rate }
    }

    fn quotes(names: &[&str], rows: &[FxRow], now: i64) -> Quotes {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut quotes = Quotes::new(&Arc::new(Currencies::new(names, rows).unwrap()));
        quotes.catch_up(now);
        quotes
    }

    #[test]
    fn a_rate_is_the_decimal_that_was_meant() {
        let exact = |x| exact_rate(x).unwrap();
        assert_eq!(exact(1.15826), 1_158_260_000_000_000);
        assert_eq!(exact(160.55), 160_550_000_000_000_000);
        assert_eq!(exact(1e8), 10_i128.pow(23));
        assert_eq!(exact(1e-8), 10_i128.pow(7));
        // 1 / 150 has 18 decimals as a float, the last three of which round.
        assert_eq!(exact(1.0 / 150.0), 6_666_666_666_667);
        assert_eq!([f64::NAN, f64::INFINITY].map(exact_rate), [None, None]);
    }

    #[test]
    fn direct_inverse_and_cross_rates_lead_to_the_base() {
        let direct = quotes(&["USD", "EUR"], &[row(5, "EURUSD", 1.1)], 5);
        assert_eq!(direct.to_base(CurrencyId(1), Cash(100 * UNIT)).unwrap(), Cash(110 * UNIT));
        let inverse = quotes(&["USD", "JPY"], &[row(5, "USDJPY", 150.0)], 5);
        assert_eq!(
            inverse.to_base(CurrencyId(1), Cash(10_000 * UNIT)).unwrap(),
            Cash(66_666_666_666_666_666_667),
            "10,000 JPY of EUR/JPY profit are 66.666667 USD at 150"
        );
        let rows = [row(1, "EURUSD", 1.1), row(1, "USDJPY", 150.0)];
        let cross = quotes(&["JPY", "EUR"], &rows, 1);
        assert_eq!(cross.to_base(CurrencyId(1), Cash(UNIT)).unwrap(), Cash(165 * UNIT));
    }

    #[test]
    fn a_pair_of_its_own_comes_before_its_inverse_and_the_first_letter_before_others() {
        let rows = [row(1, "EURUSD", 2.0), row(1, "USDEUR", 0.4)];
        let both = quotes(&["USD", "EUR"], &rows, 1);
        assert_eq!(both.to_base(CurrencyId(1), Cash(UNIT)).unwrap(), Cash(2 * UNIT));
        let rows = [row(1, "CHFUSD", 1.0), row(1, "EURCHF", 3.0), row(1, "EURGBP", 4.0), row(1, "GBPUSD", 1.0)];
        let third = quotes(&["USD", "EUR"], &rows, 1);
        assert_eq!(third.to_base(CurrencyId(1), Cash(UNIT)).unwrap(), Cash(3 * UNIT));
    }

    #[test]
    fn a_rate_is_in_force_from_its_instant_until_the_next() {
        let rows = [row(5, "EURUSD", 1.0), row(7, "EURUSD", 2.0)];
        let worth = |now| quotes(&["USD", "EUR"], &rows, now).to_base(CurrencyId(1), Cash(UNIT));
        let missing = worth(4).unwrap_err().message;
        assert!(missing.contains("no fx rate leads from EUR to USD") && missing.contains("EURUSD"), "{missing}");
        assert_eq!([5, 6, 7, 8].map(|now| worth(now).unwrap().0 / UNIT), [1, 1, 2, 2]);
        assert_eq!(quotes(&["USD", "EUR"], &rows, 0).to_base(CurrencyId(1), Cash::ZERO).unwrap(), Cash::ZERO);
    }

    #[test]
    fn what_is_no_rate_and_what_leads_nowhere_is_refused() {
        let refused = |names: &[&str], rows: &[FxRow]| {
            Currencies::new(names.iter().map(|name| (*name).to_owned()).collect(), rows).unwrap_err().message
        };
        for rate in [0.0, -1.1, f64::NAN, f64::INFINITY, 1e-9, 1e9] {
            assert!(refused(&["USD", "EUR"], &[row(5, "EURUSD", rate)]).contains("EURUSD at"));
        }
        let twice = [row(5, "EURUSD", 1.0), row(5, "EURUSD", 1.0)];
        assert!(refused(&["USD", "EUR"], &twice).contains("not after"));
        assert!(refused(&["USD", "EUR"], &[]).contains("none is given"));
        assert!(refused(&["USD", "EUR"], &[row(5, "EURGBP", 1.0)]).contains("given are EURGBP"));
    }
}
