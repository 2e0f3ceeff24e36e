//! The models of `ml4t-margin` as a native library: what a portfolio needs, and what is closed of it.
//!
//! Compiled against `ml4t-abi` alone, and reached through the tables that the exported functions make. Formulas and their
//! sources stand in the docstrings of the Python classes, whose `evaluate` is the reference; both do the same operations in
//! the same order, and only + - x / and comparisons occur, so that they agree bit for bit.

mod crypto;
mod futures;
mod leverage;
mod liquidation;
mod reg_t;
mod scenarios;
mod symbols;

/// The extension module: importing it shows where the library is, which is all that Python needs of it.
#[pyo3::pymodule]
mod _margin {}

/// As many parameters as the class has fields.
fn exactly<const N: usize>(name: &str, params: &[f64]) -> Result<[f64; N], String> {
    params.try_into().map_err(|_| format!("{name} has {N} parameters, found {}", params.len()))
}

/// The first parameters, and those after them.
fn first<'a, const N: usize>(name: &str, params: &'a [f64]) -> Result<([f64; N], &'a [f64]), String> {
    let (head, rest) = params.split_first_chunk().ok_or_else(|| format!("{name} has {N} parameters or more"))?;
    Ok((*head, rest))
}

/// `max` of Python: the first, unless the second is above it.
fn larger(first: f64, second: f64) -> f64 {
    if second > first { second } else { first }
}

/// `min` of Python: the first, unless the second is below it.
fn smaller(first: f64, second: f64) -> f64 {
    if second < first { second } else { first }
}

/// A whole number that the Python class wrote.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the Python class wrote it")]
fn whole(number: f64) -> usize {
    number as usize
}
