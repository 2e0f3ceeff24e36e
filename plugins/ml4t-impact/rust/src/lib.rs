//! The impact models of `ml4t-impact` as a native library.
//!
//! Nothing here is known to the engine: it is compiled against `ml4t-abi` alone, and reached through the tables that
//! the exported functions make. The Python module that holds it is empty; `ml4t.native.load` opens the library and
//! asks for a table by name. Formulas and their sources stand in the docstrings of the Python classes, whose `evaluate`
//! is the reference.

mod almgren_2005;
mod almgren_chriss;
mod estimates;
mod linear;
mod propagator;
mod square_root;
mod trajectory;

/// The extension module: importing it shows where the library is, which is all that Python needs of it.
#[pyo3::pymodule]
mod _native {}
