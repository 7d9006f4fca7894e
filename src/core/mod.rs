//! The governor's core, from the ground up. Each file may use the ones above it.
//!
//! No clock, no I/O, no allocation after creation: time and machine samples come in as arguments.

pub mod sync;

pub mod handle;
pub mod word;

pub mod region;

pub mod account;
pub mod rate;
pub mod registry;
pub mod ring;
