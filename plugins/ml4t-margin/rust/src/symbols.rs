//! Parameters by symbol, in the sequence of the instruments of a run.

/// What belongs to each instrument of the run.
#[derive(Clone)]
pub(crate) enum Bound<T> {
    /// Nothing is said by symbol.
    Unneeded,
    /// Something is, and the symbols of the run are not known.
    Missing,
    /// By instrument.
    Known(Vec<T>),
}

impl<T: Copy> Bound<T> {
    /// Read the mark that `mark_of` of the Python side wrote.
    pub(crate) fn new(mark: f64, values: impl Iterator<Item = T>) -> Self {
        if mark < 0.0 {
            Self::Missing
        } else if mark > 0.0 {
            Self::Known(values.collect())
        } else {
            Self::Unneeded
        }
    }

    /// What belongs to an instrument; `otherwise` where nothing is said by symbol.
    pub(crate) fn of(&self, asset: u32, name: &str, needed: &str, otherwise: T) -> Result<T, String> {
        match self {
            Self::Unneeded => Ok(otherwise),
            Self::Missing => Err(format!(
                "{name}: {needed} names symbols, and which instruments have them is not known; ask the model that \
                 with_symbols(symbols) returns"
            )),
            Self::Known(values) => values.get(asset as usize).copied().ok_or_else(|| {
                let known = values.len();
                format!("{name}: instrument index {asset} is none of the {known} that with_symbols was given")
            }),
        }
    }
}
