//! C layouts shared by the ml4t simulator and native models.
//!
//! Everything that crosses the boundary between the simulator and a model is defined here: flat
//! `repr(C)` structs of fixed-width integers and `f64`, and status codes. The crate is `no_std` and has
//! no dependency, so a model written in Rust, C or numba compiles against nothing but these layouts.
//!
//! The models that are compiled into the simulator (fills, slippage, fees) are evaluated through the same
//! structs as anybody's, so that none of ours has a way in that a third party lacks.
#![no_std]
#![forbid(unsafe_code)]

mod status;
mod types;

pub use status::Status;
pub use types::{
    CONTEXT_VERSION, FeeContext, FeeOutput, FillContext, FillOutput, Header, Liquidity, OrderKind, Phase,
    SlippageContext, SlippageOutput,
};
