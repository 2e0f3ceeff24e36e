//! The interface of native models, version 1: what a model compiles against, and nothing else.
//!
//! Everything that crosses the boundary between the simulator and a model is defined here: flat `repr(C)`
//! structs of fixed-width integers and `f64`, status codes, and a table of functions. The crate is `no_std` and
//! has no dependency, so that a model written in Rust, C or numba compiles against nothing but these layouts.
//! [`layout`] is generated from `abi.toml`, as are the C header and the layouts of the Python package `ml4t.native`.
//!
//! The models that are compiled into the simulator (fills, slippage, fees) are evaluated through the same
//! structs as anybody's, so that none of ours has a way in that a third party lacks.
//!
//! # Write a model
//!
//! Implement [`Model`] and name the function that makes it:
//!
//! ```
//! use ml4t_abi::{Answer, Kind, Model, SlippageContext, SlippageOutput, Status, export_model};
//!
//! #[derive(Clone)]
//! struct HalfTick;
//!
//! impl Model for HalfTick {
//!     type Context = SlippageContext;
//!     type Output = SlippageOutput;
//!     const KIND: Kind = Kind::SLIPPAGE;
//!     const NAME: &'static core::ffi::CStr = c"HalfTick";
//!
//!     fn new(_params: &[f64]) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn evaluate(&mut self, context: &SlippageContext, output: &mut SlippageOutput) -> Answer {
//!         output.adjustment = context.tick_size / 2.0;
//!         output.spread = 0.0;
//!         output.quantity_cap = f64::INFINITY;
//!         Ok(Status::OK)
//!     }
//! }
//!
//! export_model!(half_tick: HalfTick);
//! # fn main() {}
//! ```
//!
//! A panic in `evaluate` becomes an error of the model with its message and place; it never leaves the library.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod export;
mod header;
pub mod layout;
mod model;

pub use layout::*;
pub use model::{
    Answer, ExecutorModel, FillModel, Model, Orders, PortfolioModel, Slices, StrategyInput, StrategyModel,
};
