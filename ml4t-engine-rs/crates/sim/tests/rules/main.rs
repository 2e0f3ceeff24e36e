//! Rules of the simulator, one module for each; one program, because linking is the dear part.

#[path = "../common/mod.rs"]
mod common;

mod account;
mod bar_fills;
mod competition;
mod corporate;
mod determinism;
mod event_order;
mod foreign;
mod lots;
mod overflow;
mod position_rules;
mod random;
mod readable;
mod sessions;
mod ticks;
mod worked;
