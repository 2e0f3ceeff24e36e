//! The simulator of ml4t: everything that decides a number in a backtest.
//!
//! Pure Rust without clock, threads, I/O or hash-order iteration: the same plan gives the same bytes on every
//! machine. An immutable [`plan::Plan`] (columns, instruments, policies, models) is shared; a
//! [`state::State`] changes; [`engine::Simulator`] drives one through the other, generic over where rows come
//! from ([`queue::Source`]), where orders go ([`venue::Venue`]) and where results go ([`recorder::Recorder`]).
//!
//! Reading order: `engine` (the phases of an instant), `venue` (who trades first), `matching` (at which
//! price), `execution` (what it costs), `ledger` (what it does to the account).
#![deny(unsafe_code)]

pub mod account;
pub mod adjusted;
pub mod batches;
pub mod carry;
pub mod contingent;
pub mod corporate;
pub mod currency;
pub mod engine;
pub mod error;
pub mod exchange;
mod execution;
pub mod flows;
#[expect(unsafe_code, reason = "tables of other libraries")]
pub mod foreign;
pub mod front;
mod guard;
pub mod ids;
pub mod indicators;
pub mod instrument;
mod intake;
pub mod latency;
pub mod ledger;
pub mod liquidation_price;
pub mod lots;
pub mod margin;
mod margin_call;
mod marks;
pub mod matching;
pub mod metrics;
pub mod models;
pub mod money;
mod named_lots;
pub mod order;
pub mod orders;
mod packed;
pub mod path;
mod phase;
pub mod plan;
pub mod policies;
pub mod prices;
pub mod purse;
pub mod queue;
mod recall;
pub mod recorder;
pub mod records;
pub mod replace;
pub mod rng;
pub mod roll;
pub mod rows;
pub mod rules;
pub mod settlement;
pub mod state;
pub mod targets;
pub mod terms;
pub mod time;
pub mod tracked;
mod trailing;
pub mod transfer;
pub mod unsettled;
pub mod venue;
pub mod worked;
mod working;
