//! The models of `ml4t-funding` as a native library: what holding costs and brings.
//!
//! Compiled against `ml4t-abi` alone, and reached through the tables that the exported functions make. Formulas and their
//! sources stand in the docstrings of the Python classes, whose `evaluate` is the reference; both do the same operations in
//! the same order, and only + - x / and rounding up occur, so that they agree bit for bit.

mod borrow;
mod interest;
mod perpetual;

/// The extension module: importing it shows where the library is, which is all that Python needs of it.
#[pyo3::pymodule]
mod _funding {}

/// As many parameters as the class has fields.
fn exactly<const N: usize>(name: &str, params: &[f64]) -> Result<[f64; N], String> {
    params.try_into().map_err(|_| format!("{name} has {N} parameters, found {}", params.len()))
}
