//! Scenario files as text: TOML around tables whose cells are separated by `|`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ml4t_sim::error::{Result, SimError};
use ml4t_sim::money::Decimal;
use ml4t_sim::time::Ns;

/// A row: its cells by column.
pub(crate) type Row = BTreeMap<String, String>;

/// A table of text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// One claim: keys of the file, and the tables that must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) why: String,
    keys: toml::Table,
    pub(crate) expect: BTreeMap<String, Table>,
}

/// What does not hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn one(text: String) -> Self {
        Self(vec![text])
    }

    pub(crate) fn add(&mut self, text: String) {
        self.0.push(text);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|text| writeln!(f, "  {text}"))
    }
}

pub(crate) fn wrong(text: String) -> SimError {
    SimError::data(text)
}

impl Table {
    fn parse(text: &str) -> Result<Self> {
        let cells = |line: &str| line.split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let columns = lines.next().map(cells).unwrap_or_default();
        let mut rows = Vec::new();
        for line in lines {
            let values = cells(line);
            if values.len() != columns.len() {
                return Err(wrong(format!("{} cells under {} columns in {line:?}", values.len(), columns.len())));
            }
            rows.push(columns.iter().cloned().zip(values).collect());
        }
        Ok(Self { columns, rows })
    }
}

impl Scenario {
    /// A table of the inputs; one without rows where it is not given.
    pub(crate) fn table(&self, key: &str) -> Result<Table> {
        self.text(key).map_or_else(|| Ok(Table::default()), |text| Table::parse(&text))
    }

    /// A text among the keys.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.keys.get(key).and_then(toml::Value::as_str).map(str::to_owned)
    }

    /// A whole number among the keys.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.keys.get(key).and_then(toml::Value::as_integer).and_then(|n| u64::try_from(n).ok())
    }

    /// The settings of an inline table, as text where they are numbers or text.
    pub(crate) fn settings(&self, key: &str) -> BTreeMap<String, toml::Value> {
        let table = self.keys.get(key).and_then(toml::Value::as_table);
        table.map(|t| t.clone().into_iter().collect()).unwrap_or_default()
    }
}

/// The scenarios of a file.
pub(crate) fn read(path: &Path) -> std::result::Result<Vec<Scenario>, Box<dyn std::error::Error>> {
    let document: toml::Table = std::fs::read_to_string(path)?.parse()?;
    let defaults = document.get("defaults").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let given = document.get("scenario").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let mut found = Vec::new();
    for value in given {
        let own = value.as_table().cloned().unwrap_or_default();
        let mut keys = defaults.clone();
        keys.extend(own);
        let text = |key: &str| keys.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let mut expect = BTreeMap::new();
        for (name, table) in keys.get("expect").and_then(toml::Value::as_table).into_iter().flatten() {
            expect.insert(name.clone(), Table::parse(table.as_str().unwrap_or_default())?);
        }
        found.push(Scenario { name: text("name"), why: text("why"), expect, keys });
    }
    Ok(found)
}

/// The cell of a column; `default` where the table has no such column or the cell is empty.
pub(crate) fn cell<'a>(row: &'a Row, column: &str, default: &'a str) -> &'a str {
    row.get(column).map(String::as_str).filter(|text| !text.is_empty()).unwrap_or(default)
}

/// A number as a float, NaN where the cell is empty.
pub(crate) fn float(row: &Row, column: &str) -> Result<f64> {
    let text = cell(row, column, "nan");
    text.parse().map_err(|_| wrong(format!("{column}: {text:?} is not a number")))
}

/// A number in units of `10^-exponent`.
pub(crate) fn units(text: &str, exponent: u32) -> Result<i64> {
    let found = Decimal::parse(text).and_then(|d| d.scaled_i64(exponent));
    found.ok_or_else(|| wrong(format!("{text:?} is not a number of at most {exponent} decimals")))
}

/// Days since 1970 of a date `YYYY-MM-DD` (H. Hinnant, "chrono-compatible low-level date algorithms").
pub(crate) fn day(text: &str) -> Result<i64> {
    let parts: Vec<i64> = text.split('-').filter_map(|p| p.parse().ok()).collect();
    let [year, month, date] = parts[..] else { return Err(wrong(format!("{text:?} is not a date YYYY-MM-DD"))) };
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + date - 1;
    Ok(era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468)
}

/// `YYYY-MM-DD HH:MM[:SS[.fraction]]`, UTC, in nanoseconds.
pub(crate) fn instant(text: &str) -> Result<Ns> {
    let bad = || wrong(format!("{text:?} is not a time YYYY-MM-DD HH:MM[:SS[.fraction]]"));
    let (date, clock) = text.split_once(' ').ok_or_else(bad)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<i64> = clock.split(':').map(str::parse).collect::<std::result::Result<_, _>>().map_err(|_| bad())?;
    let seconds = match parts[..] {
        [hour, minute] => hour * 3600 + minute * 60,
        [hour, minute, second] => hour * 3600 + minute * 60 + second,
        _ => return Err(bad()),
    };
    let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| bad())?;
    Ok((day(date)? * 86_400 + seconds) * 1_000_000_000 + nanos)
}
